// Numbers in JSON's grammar, read exactly: integers without a detour through a double, floats to the nearest.
#include <cmath>
#include <limits>

#include "base/decimal.h"
#include "json/read.h"

namespace zcrpc::json {

namespace {

constexpr bool digit(char c) { return c >= '0' && c <= '9'; }

// A number taken apart: its value is the digits of whole and fraction in a row, times 10^(exponent - fraction's length).
struct Parts {
  bool negative = false;
  std::string_view whole, fraction;
  int64_t exponent = 0;  // cut at 10^12, far beyond what any text's length can make up for
};

bool split(std::string_view s, Parts* out) {
  const char *p = s.data(), *end = p + s.size();
  if (p < end && *p == '-') {
    out->negative = true;
    p++;
  }
  const char* start = p;
  while (p < end && digit(*p)) p++;
  out->whole = {start, size_t(p - start)};
  if (out->whole.empty() || (out->whole.size() > 1 && *start == '0')) return false;
  if (p < end && *p == '.') {
    start = ++p;
    while (p < end && digit(*p)) p++;
    out->fraction = {start, size_t(p - start)};
    if (out->fraction.empty()) return false;
  }
  if (p < end && (*p == 'e' || *p == 'E')) {
    p++;
    bool negative = p < end && *p == '-';
    if (p < end && (*p == '+' || *p == '-')) p++;
    if (p == end) return false;
    for (; p < end && digit(*p); p++)
      if (out->exponent < 100'000'000'000) out->exponent = out->exponent * 10 + (*p - '0');
    if (negative) out->exponent = -out->exponent;
  }
  return p == end;
}

bool add_digit(uint64_t* v, uint32_t d) {
  uint64_t tens;
  return !__builtin_mul_overflow(*v, uint64_t(10), &tens) && !__builtin_add_overflow(tens, uint64_t(d), v);
}

bool zero(std::string_view digits) { return digits.find_first_not_of('0') == std::string_view::npos; }

Integer magnitude(const Parts& n, uint64_t* v) {
  *v = 0;
  if (zero(n.whole) && zero(n.fraction)) return Integer::kOk;
  int64_t digits = int64_t(n.whole.size() + n.fraction.size());
  int64_t shift = n.exponent - int64_t(n.fraction.size());
  int64_t kept = shift < 0 ? digits + shift : digits;  // the digits before the point
  if (kept <= 0) return Integer::kNotInteger;
  for (int64_t i = 0; i < digits; i++) {
    auto w = int64_t(n.whole.size());
    char c = i < w ? n.whole[size_t(i)] : n.fraction[size_t(i - w)];
    if (i >= kept) {
      if (c != '0') return Integer::kNotInteger;
    } else if (!add_digit(v, uint32_t(c - '0'))) {
      return Integer::kRange;
    }
  }
  for (; shift > 0; shift--)
    if (!add_digit(v, 0)) return Integer::kRange;
  return Integer::kOk;
}

// Up to 19 digits and nothing else: what nearly all integers look like.
bool short_digits(std::string_view s, uint64_t* v) {
  if (s.empty() || s.size() > 19 || (s[0] == '0' && s.size() > 1)) return false;
  uint64_t n = 0;
  for (char c : s) {
    if (!digit(c)) return false;
    n = n * 10 + uint64_t(c - '0');
  }
  *v = n;
  return true;
}

template <class T>
bool read_floating(std::string_view s, T* v, bool* range) {
  *range = false;
  uint64_t whole;
  if (s.size() <= 15 && short_digits(s, &whole)) {
    *v = T(whole);
    return true;
  }
  Parts n;
  if (!split(s, &n)) return false;
  T out = 0;
  if (!base::read_decimal(s, &out)) return false;
  if (!std::isfinite(out)) {
    *range = true;
    return false;
  }
  *v = out;
  return true;
}

}  // namespace

Integer read_uint64(std::string_view s, uint64_t* v) {
  if (short_digits(s, v)) return Integer::kOk;
  Parts n;
  if (!split(s, &n)) return Integer::kNotNumber;
  Integer r = magnitude(n, v);
  return r == Integer::kOk && n.negative && *v ? Integer::kRange : r;
}

Integer read_int64(std::string_view s, int64_t* v) {
  uint64_t m = 0;
  if (short_digits(s, &m)) {
    *v = int64_t(m);
    return m <= uint64_t(std::numeric_limits<int64_t>::max()) ? Integer::kOk : Integer::kRange;
  }
  Parts n;
  if (!split(s, &n)) return Integer::kNotNumber;
  if (Integer r = magnitude(n, &m); r != Integer::kOk) return r;
  if (m > uint64_t(std::numeric_limits<int64_t>::max()) + n.negative) return Integer::kRange;
  *v = int64_t(n.negative ? 0 - m : m);
  return Integer::kOk;
}

bool read_double(std::string_view s, double* v, bool* range) { return read_floating(s, v, range); }
bool read_float(std::string_view s, float* v, bool* range) { return read_floating(s, v, range); }

}  // namespace zcrpc::json
