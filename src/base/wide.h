// A product of 128 bits, also where the compiler has no such type.
#pragma once

#include <cstdint>

namespace zcrpc::base {

struct Wide {
  uint64_t high, low;
};

inline Wide wide_times(uint64_t a, uint64_t b) {
#ifdef __SIZEOF_INT128__
  __extension__ typedef unsigned __int128 Product;
  Product p = Product(a) * b;
  return {uint64_t(p >> 64), uint64_t(p)};
#else
  uint64_t a0 = uint32_t(a), a1 = a >> 32, b0 = uint32_t(b), b1 = b >> 32;
  uint64_t low = a0 * b0, middle = a1 * b0 + (low >> 32), other = a0 * b1 + uint32_t(middle);
  return {a1 * b1 + (middle >> 32) + (other >> 32), other << 32 | uint32_t(low)};
#endif
}

}  // namespace zcrpc::base
