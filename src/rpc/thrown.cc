#include "rpc/thrown.h"

#include <cxxabi.h>
#include <dlfcn.h>
#include <unwind.h>

#include <algorithm>
#include <cstring>

namespace zcrpc::rpc {

namespace {

// What __cxa_get_globals points at: section 2.2.2 of the C++ ABI for exceptions.
struct Globals {
  void* caught;
  unsigned uncaught;
};

}  // namespace

void Thrown::set(const char* what) noexcept {
  if (!what) what = "no std::exception";
  size_ = std::min(strlen(what), sizeof text_);
  memcpy(text_, what, size_);
}

// libgcc is linked into the library, like libstdc++. The application's unwinder walks the stack, and asks our copy's functions
// where our frames catch; they abort unless their table of registers was filled, which a walk of their own does at its start.
void Thrown::prepare() noexcept {
  (void)_Unwind_Backtrace([](_Unwind_Context*, void*) { return _URC_END_OF_STACK; }, nullptr);
}

// The library has a C++ runtime of its own in it. The application's counted the exception when it was thrown, ours counted it
// off when it was caught: std::uncaught_exceptions() would be wrong on both sides for as long as the thread lives. With one
// runtime for both there is nothing to do, and with one that the application has linked into itself nothing that could be done.
void Thrown::forget() noexcept {
  using Get = abi::__cxa_eh_globals* (*)() noexcept;
  auto theirs = reinterpret_cast<Get>(dlsym(RTLD_DEFAULT, "__cxa_get_globals"));
  Get ours = abi::__cxa_get_globals;
  if (!theirs || theirs() == ours()) return;
  reinterpret_cast<Globals*>(ours())->uncaught = 0;
  auto* g = reinterpret_cast<Globals*>(theirs());
  if (g->uncaught) g->uncaught--;
}

}  // namespace zcrpc::rpc
