// In the build of the codec alone: what it refers to of the C++ runtime, in small. The real operator new and failures bring
// the runtime's throwing with them, and with that terminate, stderr and locks. Weak: a program that has the real ones keeps
// them.
#include <cstddef>
#include <cstdlib>
#include <new>

#define ZCRPC_INSTEAD __attribute__((weak))

namespace std {

// string_view::substr behind the end. The codec never asks for that; where it would, it must not go on.
[[noreturn]] ZCRPC_INSTEAD void __throw_out_of_range_fmt(const char*, ...) { __builtin_trap(); }
ZCRPC_INSTEAD extern const nothrow_t nothrow{};

}  // namespace std

ZCRPC_INSTEAD void* operator new(std::size_t n, const std::nothrow_t&) noexcept { return std::malloc(n ? n : 1); }
ZCRPC_INSTEAD void operator delete(void* p) noexcept { std::free(p); }
ZCRPC_INSTEAD void operator delete(void* p, std::size_t) noexcept { std::free(p); }
