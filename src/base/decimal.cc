#include "base/decimal.h"

#include <charconv>
#include <cmath>
#include <cstdint>
#include <limits>

namespace zcrpc::base {
namespace {

constexpr bool digit(char c) { return c >= '0' && c <= '9'; }

// Of a number whose form was checked: whether it is 10 or more. Then what a float cannot hold is too large, not too small.
bool large(std::string_view s) {
  int64_t whole = 0, exponent = 0;  // digits before the point, from the first that is not 0; behind it: minus the zeros
  size_t i = 0;
  bool point = false, found = false;
  for (; i < s.size() && (digit(s[i]) || s[i] == '.'); i++) {
    if (s[i] == '.') {
      point = true;
    } else if (s[i] != '0' || found) {
      found = true;
      if (!point) whole++;
    } else if (point) {
      whole--;
    }
    if (found && point) break;
  }
  while (i < s.size() && s[i] != 'e' && s[i] != 'E') i++;
  if (i < s.size()) {
    i++;
    bool negative = i < s.size() && s[i] == '-';
    if (i < s.size() && !digit(s[i])) i++;
    for (; i < s.size(); i++)
      if (exponent < 100'000'000'000) exponent = exponent * 10 + (s[i] - '0');
    if (negative) exponent = -exponent;
  }
  return whole - 1 + exponent > 0;
}

template <class T>
bool read(std::string_view s, T* v) {
  bool negative = !s.empty() && s[0] == '-';
  std::string_view digits = s.substr(negative);
  if (digits.empty() || !(digit(digits[0]) || digits[0] == '.')) return false;  // from_chars would read "inf"
  T out = 0;
  auto r = std::from_chars(digits.data(), digits.data() + digits.size(), out);
  if (r.ptr != digits.data() + digits.size()) return false;
  if (r.ec == std::errc::result_out_of_range) {
    if (large(digits)) out = std::numeric_limits<T>::infinity();
    // Too small: the nearest is zero. (libstdc++ leaves the value alone for some, though denormals are told right.)
    else if (!(std::abs(out) < std::numeric_limits<T>::min())) out = 0;
  } else if (r.ec != std::errc()) {
    return false;
  }
  *v = negative ? -out : out;
  return true;
}

template <class T>
size_t write(T v, char* to) {
  // Whole numbers as such: to_chars would turn 100000 into 1e+05. -0 keeps its sign there.
  if (T limit = sizeof(T) == 8 ? T(1e15) : T(1e7); v > -limit && v < limit && v == T(int64_t(v)) && (v != 0 || !std::signbit(v)))
    return size_t(std::to_chars(to, to + kMaxDecimal, int64_t(v)).ptr - to);
  return size_t(std::to_chars(to, to + kMaxDecimal, v).ptr - to);
}

}  // namespace

bool read_decimal(std::string_view s, double* v) { return read(s, v); }
bool read_decimal(std::string_view s, float* v) { return read(s, v); }
size_t write_decimal(double v, char* to) { return write(v, to); }
size_t write_decimal(float v, char* to) { return write(v, to); }

}  // namespace zcrpc::base
