// Whole numbers in decimal, eight digits at a time.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>

namespace zcrpc::base {

// Eight digits of a number below 100,000,000, the first one in the lowest byte, as values from 0 to 9.
inline uint64_t eight_digits(uint32_t v) {
  uint64_t fours = v / 10000 | uint64_t(v % 10000) << 32;
  uint64_t hundreds = fours * 10486 >> 20 & 0x0000007F0000007F;
  uint64_t twos = hundreds | (fours - 100 * hundreds) << 16;
  uint64_t tens = twos * 103 >> 10 & 0x000F000F000F000F;
  return tens | (twos - 10 * tens) << 8;
}
inline constexpr uint64_t kZeroDigits = 0x3030303030303030;

inline char* put_eight(char* p, uint64_t digits) {
  digits |= kZeroDigits;
  if constexpr (std::endian::native == std::endian::big) digits = __builtin_bswap64(digits);
  memcpy(p, &digits, 8);
  return p + 8;
}

// The number without leading zeros. 24 bytes at p may be overwritten; returns the place behind the last digit.
inline char* put_decimal(char* p, uint64_t v) {
  if (v >= 100'000'000) {
    const uint64_t high = v / 100'000'000;
    p = put_decimal(p, high);  // at most twice
    return put_eight(p, eight_digits(uint32_t(v - high * 100'000'000)));
  }
  const uint64_t digits = eight_digits(uint32_t(v));
  const unsigned zeros = v ? unsigned(std::countr_zero(digits)) / 8 : 7;
  return put_eight(p, digits >> 8 * zeros) - zeros;
}
inline char* put_decimal(char* p, int64_t v) {
  if (v < 0) *p++ = '-';
  return put_decimal(p, v < 0 ? 0 - uint64_t(v) : uint64_t(v));
}

}  // namespace zcrpc::base
