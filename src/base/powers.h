// Powers of ten to 128 bits: what decimal.cc multiplies with.
#pragma once

#include <cstdint>

namespace zcrpc::base {

// high * 2^64 + low, the leading bit set: the first 128 bits of 10^e, rounded up where there are more of them, which is so
// for all e but 0 to 55.
struct Power {
  uint64_t high, low;
};
inline constexpr int kLeastPower = -342, kMostPower = 324;
struct Powers {
  Power of[kMostPower - kLeastPower + 1];
};
extern const Powers kPowers;

inline const Power& power_of_ten(int e) { return kPowers.of[e - kLeastPower]; }
constexpr bool exact_power(int e) { return e >= 0 && e <= 55; }

// floor of log2(10^e), of log10(2^e) and of log10(3/4 * 2^e), for the exponents that doubles have
constexpr int log2_of_power(int e) { return (e * 1741647) >> 19; }
constexpr int log10_of_two(int e) { return (e * 1262611) >> 22; }
constexpr int log10_of_three_quarters(int e) { return (e * 1262611 - 524031) >> 22; }

}  // namespace zcrpc::base
