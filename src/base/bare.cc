// In the build of the codec alone: what it refers to of the C++ runtime, in small. The real from_chars and operator new
// bring the runtime's throwing with them, and with that terminate, stderr and locks. Weak: a program that has the real
// ones keeps them.
#include <bit>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <new>

#define ZCRPC_INSTEAD __attribute__((weak))

namespace {

// A whole number of up to 5120 bits: 800 digits, times or over a power of ten that a double can have.
struct Big {
  static constexpr int kWords = 160;
  uint32_t w[kWords] = {};
  int n = 0;  // words in use

  void times_plus(uint32_t factor, uint32_t plus) {
    uint64_t carry = plus;
    for (int i = 0; i < n; i++) {
      carry += uint64_t(w[i]) * factor;
      w[i] = uint32_t(carry);
      carry >>= 32;
    }
    if (carry && n < kWords) w[n++] = uint32_t(carry);
  }
  void shift(int bits) {
    int words = bits / 32;
    if (n && words) {
      for (int i = n - 1; i >= 0; i--) w[i + words] = w[i];
      for (int i = 0; i < words; i++) w[i] = 0;
      n += words;
    }
    if (bits % 32) times_plus(1u << bits % 32, 0);
  }
  int length() const { return n ? 32 * n - std::countl_zero(w[n - 1]) : 0; }
  int compare(const Big& b) const {
    if (n != b.n) return n < b.n ? -1 : 1;
    for (int i = n - 1; i >= 0; i--)
      if (w[i] != b.w[i]) return w[i] < b.w[i] ? -1 : 1;
    return 0;
  }
  void minus(const Big& b) {  // b is not larger
    int64_t carry = 0;
    for (int i = 0; i < n; i++) {
      carry += int64_t(w[i]) - (i < b.n ? b.w[i] : 0);
      w[i] = uint32_t(carry);
      carry >>= 32;
    }
    while (n && w[n - 1] == 0) n--;
  }
};

struct Format {
  int precision, least, most;  // bits of the mantissa; exponents of the smallest step and of what is too large
};

// num / den, rounded to even, as the bits of a float without its sign; UINT64_MAX: too large.
uint64_t divided(Big& num, Big& den, const Format& f) {
  int e = num.length() - den.length();  // 2^(e-1) < num / den < 2^(e+1)
  if (e > 0) den.shift(e);
  if (e < 0) num.shift(-e);
  if (num.compare(den) < 0) {
    e--;
    num.shift(1);
  }
  int bits = f.precision;
  if (e - (f.precision - 1) < f.least) bits = e - f.least + 1;  // a subnormal has fewer
  if (bits < 0) return 0;
  uint64_t mantissa = 0;
  for (int i = 0; i < bits; i++) {
    mantissa <<= 1;
    if (num.compare(den) >= 0) {
      num.minus(den);
      mantissa |= 1;
    }
    num.shift(1);
  }
  int half = num.compare(den);  // what is left, doubled: against one half
  if (half > 0 || (half == 0 && (mantissa & 1))) mantissa++;
  // Adding the exponent to the mantissa with its leading bit makes a round-up that overflows come out right.
  uint64_t biased = bits < f.precision ? 0 : uint64_t(e - f.least - f.precision + 1);
  uint64_t out = (biased << (f.precision - 1)) + mantissa;
  return out >> (f.precision - 1) >= uint64_t(f.most) ? UINT64_MAX : out;
}

bool digit(char c) { return c >= '0' && c <= '9'; }

// The longest number at the beginning of the text, as from_chars takes it: no plus, no spaces, no hex, inf or nan.
std::from_chars_result read(const char* p, const char* end, const Format& f, int sign_bit, uint64_t* out) {
  constexpr int kDigits = 800;  // more than any half-way point between two doubles has
  const char* start = p;
  bool negative = p != end && *p == '-';
  p += negative;
  Big num, den;
  int used = 0;
  int64_t scale = 0;
  bool any = false, rest = false, point = false;
  num.n = 0;
  for (; p != end && (digit(*p) || (*p == '.' && !point)); p++) {
    if (*p == '.') {
      point = true;
      continue;
    }
    any = true;
    if (used == 0 && *p == '0') {
      scale -= point;
    } else if (used < kDigits) {
      num.times_plus(10, uint32_t(*p - '0'));
      used++;
      scale -= point;
    } else {
      rest = rest || *p != '0';
      scale += !point;
    }
  }
  if (!any) return {start, std::errc::invalid_argument};
  if (rest) {
    num.times_plus(10, 1);
    scale--;
  }
  if (p != end && (*p == 'e' || *p == 'E')) {
    const char* q = p + 1;
    bool down = q != end && *q == '-';
    if (q != end && (*q == '-' || *q == '+')) q++;
    if (q != end && digit(*q)) {
      int64_t e = 0;
      for (; q != end && digit(*q); q++)
        if (e < 100000000) e = e * 10 + (*q - '0');
      scale += down ? -e : e;
      p = q;
    }
  }
  uint64_t sign = uint64_t(negative) << sign_bit;
  *out = sign;
  if (used == 0) return {p, std::errc()};
  std::from_chars_result beyond{p, std::errc::result_out_of_range};
  if (scale + used > 400 || scale + used < -400) return beyond;
  den.times_plus(1, 1);
  for (int64_t i = 0; i < scale; i++) num.times_plus(10, 0);
  for (int64_t i = scale; i < 0; i++) den.times_plus(10, 0);
  uint64_t bits = divided(num, den, f);
  if (bits == UINT64_MAX || bits == 0) return beyond;
  *out = sign | bits;
  return {p, std::errc()};
}

}  // namespace

namespace std {

ZCRPC_INSTEAD from_chars_result from_chars(const char* first, const char* last, double& value, chars_format) noexcept {
  uint64_t bits = 0;
  from_chars_result r = read(first, last, {53, -1074, 2047}, 63, &bits);
  if (r.ec == errc()) value = bit_cast<double>(bits);
  return r;
}
ZCRPC_INSTEAD from_chars_result from_chars(const char* first, const char* last, float& value, chars_format) noexcept {
  uint64_t bits = 0;
  from_chars_result r = read(first, last, {24, -149, 255}, 31, &bits);
  if (r.ec == errc()) value = bit_cast<float>(uint32_t(bits));
  return r;
}

// string_view::substr behind the end. The codec never asks for that; where it would, it must not go on.
[[noreturn]] ZCRPC_INSTEAD void __throw_out_of_range_fmt(const char*, ...) { __builtin_trap(); }
ZCRPC_INSTEAD extern const nothrow_t nothrow{};

}  // namespace std

ZCRPC_INSTEAD void* operator new(std::size_t n, const std::nothrow_t&) noexcept { return std::malloc(n ? n : 1); }
ZCRPC_INSTEAD void operator delete(void* p) noexcept { std::free(p); }
ZCRPC_INSTEAD void operator delete(void* p, std::size_t) noexcept { std::free(p); }
