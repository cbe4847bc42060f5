// In the shared library alone: what its own copy of the C++ runtime says before the process ends, because an exception
// left a function of the application's that must not throw (an allocator, a release callback). The runtime's own handler
// brings a demangler of 40 KB along for this one line; here the type's name stays mangled (c++filt reads it). Not in the
// static library: there the application's runtime, and its handler, serve both.
#include <cxxabi.h>
#include <sys/uio.h>

#include <cstring>
#include <typeinfo>

namespace __gnu_cxx {

// The runtime's default terminate handler refers to it by this name, and calls abort() behind it.
void __verbose_terminate_handler();
void __verbose_terminate_handler() {
  std::type_info* type = abi::__cxa_current_exception_type();
  const char* parts[] = {"libzcrpc: a callback threw that must not", type ? ": " : "", type ? type->name() : "", "\n"};
  iovec lines[4];
  for (size_t i = 0; i < 4; i++) lines[i] = {const_cast<char*>(parts[i]), strlen(parts[i])};
  [[maybe_unused]] ssize_t n = writev(2, lines, 4);  // nobody is left to tell of a failure
}

}  // namespace __gnu_cxx
