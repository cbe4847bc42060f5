// Floating-point numbers in decimal, without a locale and without memory.
#pragma once

#include <cstddef>
#include <string_view>

namespace zcrpc::base {

// The nearest value of digits with at most one point and perhaps an exponent, a minus before it allowed: "-1.5e3", ".5",
// "5.". Infinity for what is too large, zero for what is too small, both with the sign. False: something else.
bool read_decimal(std::string_view s, double* v);
bool read_decimal(std::string_view s, float* v);

// The shortest digits that read back to the same finite value; whole numbers of up to 15 digits (float: 7) without an
// exponent. Tells how many characters it wrote, at most kMaxDecimal.
inline constexpr size_t kMaxDecimal = 32;
size_t write_decimal(double v, char* to);
size_t write_decimal(float v, char* to);

}  // namespace zcrpc::base
