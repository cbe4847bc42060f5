// Writing is Schubfach (R. Giulietti, "The Schubfach way to render doubles"), reading is Eisel and Lemire's algorithm
// (D. Lemire, "Number parsing at a gigabyte per second"), both on one table of powers of ten. The C++ library's to_chars and
// from_chars would bring 160 KB into the shared library, most of it tables for formats that nothing here asks for.
#include "base/decimal.h"

#include <bit>
#include <charconv>
#include <cstdint>
#include <cstring>

#include "base/powers.h"
#include "base/wide.h"

namespace zcrpc::base {
namespace {

// What a float consists of: bits of the mantissa without the hidden one; the exponent field of infinity; the exponent of the
// last bit of subnormals.
struct Format {
  int bits, infinite, least;
  // Products of 64 bits and a power of ten can lie exactly between two floats for these exponents only.
  int least_tie, most_tie;
};
constexpr Format kDouble{52, 0x7FF, -1074, -4, 23};
constexpr Format kFloat{23, 0xFF, -149, -17, 10};

constexpr bool digit(char c) { return unsigned(c) - '0' < 10; }

// ---- Reading ----

// digits * 10^exponent, with up to 19 of the digits in the number; more is what comes behind them, from the first on.
struct Number {
  uint64_t first = 0;
  int64_t exponent = 0;  // of first's last digit
  std::string_view more;  // digits and perhaps a point
};

// A whole number of up to 5120 bits: 800 digits and a power of two, or a mantissa and a power of ten.
struct Big {
  static constexpr int kWords = 160;
  uint32_t w[kWords];
  int n = 0;  // words in use

  explicit Big(uint64_t v) {
    for (; v; v >>= 32) w[n++] = uint32_t(v);
  }
  void times_plus(uint32_t factor, uint32_t plus) {
    uint64_t carry = plus;
    for (int i = 0; i < n; i++) {
      carry += uint64_t(w[i]) * factor;
      w[i] = uint32_t(carry);
      carry >>= 32;
    }
    if (carry && n < kWords) w[n++] = uint32_t(carry);
  }
  void times_power_of_ten(int64_t e) {
    for (; e >= 9; e -= 9) times_plus(1'000'000'000, 0);
    for (; e > 0; e--) times_plus(10, 0);
  }
  void times_power_of_two(int e) {
    for (; e >= 31; e -= 31) times_plus(uint32_t(1) << 31, 0);
    if (e > 0) times_plus(uint32_t(1) << e, 0);
  }
  int compare(const Big& b) const {
    if (n != b.n) return n < b.n ? -1 : 1;
    for (int i = n - 1; i >= 0; i--)
      if (w[i] != b.w[i]) return w[i] < b.w[i] ? -1 : 1;
    return 0;
  }
};

// Whether the number is nearer to the float behind the one of these bits. It lies between them.
bool nearer_to_next(const Number& d, uint64_t bits, const Format& f) {
  constexpr int kDigits = 781;  // with the first 19 more than the middle of two doubles has; what follows only breaks a tie
  Big number(d.first);
  int64_t exponent = d.exponent;
  int used = 0;
  bool rest = false;
  uint32_t nine = 0, scale = 1;
  for (char c : d.more) {
    if (c == '.') continue;
    if (used == kDigits) {
      rest = rest || c != '0';
    } else {
      used++;
      exponent--;
      nine = nine * 10 + uint32_t(c - '0');
      scale *= 10;
      if (scale == 1'000'000'000) {
        number.times_plus(scale, nine);
        nine = 0;
        scale = 1;
      }
    }
  }
  number.times_plus(scale, nine);
  uint64_t mantissa = bits & ((uint64_t(1) << f.bits) - 1);
  auto biased = int(bits >> f.bits);
  if (biased) mantissa |= uint64_t(1) << f.bits;
  Big middle(2 * mantissa + 1);
  int two = f.least + (biased ? biased - 1 : 0) - 1;
  if (exponent > 0) number.times_power_of_ten(exponent);
  if (exponent < 0) middle.times_power_of_ten(-exponent);
  if (two > 0) middle.times_power_of_two(two);
  if (two < 0) number.times_power_of_two(-two);
  int c = number.compare(middle);
  return c > 0 || (c == 0 && (rest || (mantissa & 1)));
}

// The bits of the float nearest to w * 10^e.
template <const Format& f>
uint64_t nearest(uint64_t w, int64_t e) {
  const uint64_t infinity = uint64_t(f.infinite) << f.bits;
  if (w == 0 || e < kLeastPower) return 0;
  if (e > 308) return infinity;
  auto q = int(e);
  int zeros = std::countl_zero(w);
  w <<= zeros;
  Power p = power_of_ten(q);
  // Eisel and Lemire's table is cut off where a division by 5^-q is never exact in 64 bits, and rounded up where it may be.
  if (q < -27 || q > 55) p.low--;
  Wide product = wide_times(w, p.high);
  if (uint64_t mask = UINT64_MAX >> (f.bits + 3); (product.high & mask) == mask) {
    uint64_t more = wide_times(w, p.low).high;
    product.low += more;
    product.high += product.low < more;
  }
  auto upper = int(product.high >> 63);
  int shift = upper + 64 - f.bits - 3;
  uint64_t mantissa = product.high >> shift;
  int biased = log2_of_power(q) + 64 + upper - zeros - f.least - f.bits;
  if (biased <= 0) {  // subnormal, or it becomes the first that is not by rounding
    if (biased <= -63) return 0;
    mantissa >>= 1 - biased;
    return (mantissa + (mantissa & 1)) >> 1;
  }
  // A tie goes to the even one.
  if (product.low <= 1 && q >= f.least_tie && q <= f.most_tie && (mantissa & 3) == 1 && mantissa << shift == product.high) mantissa--;
  mantissa = (mantissa + (mantissa & 1)) >> 1;
  // Adding the mantissa with its leading bit lets one that has become too long carry into the exponent.
  uint64_t bits = (uint64_t(biased - 1) << f.bits) + mantissa;
  return bits < infinity ? bits : infinity;
}

// Eight characters, the first in the lowest byte.
uint64_t load_eight(const char* p) {
  uint64_t v;
  memcpy(&v, p, 8);
  return std::endian::native == std::endian::big ? __builtin_bswap64(v) : v;
}
constexpr uint64_t each(uint8_t byte) { return UINT64_MAX / 255 * byte; }

bool eight_digits(uint64_t v) { return ((v & each(0xF0)) | ((v + each(6)) & each(0xF0)) >> 4) == each(0x33); }

// Of eight digits: pairs, then fours, then all.
uint64_t eight_of(uint64_t v) {
  v -= each('0');
  v = v * 10 + (v >> 8);
  constexpr uint64_t kPairs = 0x000000FF'000000FF;
  return ((v & kPairs) * (100 + (uint64_t(1'000'000) << 32)) + (v >> 16 & kPairs) * (1 + (uint64_t(10'000) << 32))) >> 32;
}

const char* digits(const char* p, const char* end, uint64_t* v) {
  for (; p < end && digit(*p); p++) *v = *v * 10 + uint64_t(*p - '0');
  return p;
}

// More than 19 digits: the first 19 behind leading zeros, and what comes behind them.
__attribute__((noinline)) void cut(std::string_view s, Number* out) {
  uint64_t first = 0;
  int used = 0;
  int64_t exponent = 0;
  bool point = false;
  for (size_t i = 0; i < s.size(); i++) {
    if (s[i] == '.') {
      point = true;
    } else if (used < 19) {
      first = first * 10 + uint64_t(s[i] - '0');
      used += first != 0;
      exponent -= point;
    } else {
      if (out->more.empty()) out->more = s.substr(i);
      exponent += !point;
    }
  }
  out->first = first;
  out->exponent = exponent;
}

// Digits with at most one point, and an exponent. False: not of that form.
bool take_apart(std::string_view s, Number* out) {
  const char *start = s.data(), *end = start + s.size();
  uint64_t first = 0;
  const char* p = digits(start, end, &first);
  int64_t n = p - start;
  if (p < end && *p == '.') {
    const char* point = ++p;
    for (uint64_t v; end - p >= 8 && eight_digits(v = load_eight(p)); p += 8) first = first * 100'000'000 + eight_of(v);
    p = digits(p, end, &first);
    out->exponent = point - p;
    n += p - point;
  }
  if (n == 0) return false;
  out->first = first;
  if (n > 19) cut({start, size_t(p - start)}, out);
  if (p == end) return true;
  if (*p != 'e' && *p != 'E') return false;
  p++;
  bool negative = p < end && *p == '-';
  if (p < end && (*p == '-' || *p == '+')) p++;
  if (p == end) return false;
  int64_t exponent = 0;
  for (; p < end; p++) {
    if (!digit(*p)) return false;
    if (exponent < 100'000'000'000) exponent = exponent * 10 + (*p - '0');  // beyond what any text's length makes up for
  }
  out->exponent += negative ? -exponent : exponent;
  return true;
}

template <const Format& f>
bool read(std::string_view s, uint64_t* bits) {
  bool negative = !s.empty() && s[0] == '-';
  Number d;
  if (!take_apart(s.substr(negative), &d)) return false;
  uint64_t v = nearest<f>(d.first, d.exponent);
  // With more digits the number lies between that one and the next: mostly nearest to the same float as both.
  if (!d.more.empty() && v != nearest<f>(d.first + 1, d.exponent) && nearer_to_next(d, v, f)) v++;
  *bits = v | uint64_t(negative) << (f.bits == 52 ? 63 : 31);
  return true;
}

// ---- Writing ----

struct Decimal {
  uint64_t digits;
  int exponent;
};

// high bits of g * c, the last one set if anything is behind them that counts
uint64_t round_to_odd(const Power& g, uint64_t c) {
  uint64_t behind = wide_times(g.low, c).high;
  Wide p = wide_times(g.high, c);
  p.low += behind;
  p.high += p.low < behind;
  return p.high | (p.low > 1);
}

// The shortest decimal that is nearer to c * 2^q than to its neighbours, and of those of that length the nearest; perhaps with
// zeros at its end. closer: the neighbour below is half as far as the one above.
Decimal shortest(uint64_t c, int q, bool closer) {
  int k = closer ? log10_of_three_quarters(q) : log10_of_two(q);
  int h = q + log2_of_power(-k) + 1;
  const Power& g = power_of_ten(-k);
  bool odd = c & 1;  // an even mantissa gets what lies on the border
  uint64_t lower = round_to_odd(g, (4 * c - 2 + closer) << h) + odd;
  uint64_t v = round_to_odd(g, 4 * c << h);
  uint64_t upper = round_to_odd(g, (4 * c + 2) << h) - odd;
  uint64_t s = v / 4;
  if (s >= 10) {
    uint64_t tenth = s / 10;
    bool down = lower <= 40 * tenth, up = 40 * tenth + 40 <= upper;
    if (down != up) return {tenth + up, k + 1};
  }
  bool down = lower <= 4 * s, up = 4 * s + 4 <= upper;
  if (down != up) return {s + up, k};
  uint64_t middle = 4 * s + 2;
  return {s + (v > middle || (v == middle && (s & 1))), k};
}

// The eight digits of v, the first in the lowest byte: each half, then pairs, then digits, beside each other.
uint64_t eight_from(uint32_t v) {
  uint64_t x = v / 10'000 | uint64_t(v % 10'000) << 32;
  uint64_t hundreds = (x * 10486) >> 20 & 0x0000007F'0000007F;
  x = hundreds | (x - 100 * hundreds) << 16;
  uint64_t tens = (x * 103) >> 10 & 0x000F000F'000F000F;
  return tens | (x - 10 * tens) << 8;
}

void put_eight(char* to, uint64_t digits) {
  digits |= each('0');
  if (std::endian::native == std::endian::big) digits = __builtin_bswap64(digits);
  memcpy(to, &digits, 8);
}

// c * 2^q, less than 10^22, with all its digits.
char* put_whole(char* to, uint64_t c, int q) {
  constexpr uint64_t kPart = 100'000'000;
  uint64_t low = c % kPart << q, high = (c / kPart << q) + low / kPart;
  if (high == 0) return std::to_chars(to, to + 20, low).ptr;
  to = std::to_chars(to, to + 20, high).ptr;
  put_eight(to, eight_from(uint32_t(low % kPart)));
  return to + 8;
}

// As the C++ library does: without an exponent where that is not longer. Copies are of one length, more than what is needed:
// all of kMaxDecimal may be written to.
size_t write(uint64_t bits, const Format& f, char* to) {
  char* p = to;
  if (bits >> (f.bits == 52 ? 63 : 31)) *p++ = '-';
  uint64_t mantissa = bits & ((uint64_t(1) << f.bits) - 1);
  int biased = int(bits >> f.bits) & f.infinite;
  if (!biased && !mantissa) {
    *p++ = '0';
    return size_t(p - to);
  }
  uint64_t c = mantissa | uint64_t(biased != 0) << f.bits;
  int q = f.least + (biased ? biased - 1 : 0);
  Decimal d = shortest(c, q, mantissa == 0 && biased > 1);

  // 17 digits between zeros; from the first to the last that is none.
  constexpr size_t kDigits = 7;
  char text[48];
  memset(text, '0', sizeof text);
  uint64_t low = d.digits % 100'000'000, high = d.digits / 100'000'000, top = high / 100'000'000;
  low = eight_from(uint32_t(low));
  high = eight_from(uint32_t(high % 100'000'000));
  text[kDigits] = char('0' + top);
  put_eight(text + kDigits + 1, high);
  put_eight(text + kDigits + 9, low);
  int first = top ? 0 : high ? 1 + std::countr_zero(high) / 8 : 9 + std::countr_zero(low) / 8;
  int after = low ? std::countl_zero(low) / 8 : high ? 8 + std::countl_zero(high) / 8 : 16;
  const char* digits = text + kDigits + first;
  int n = 17 - first - after, exponent = d.exponent + after, point = exponent + n;  // digits before the point

  if (exponent >= 0 && exponent <= (n > 1 ? 5 : 4)) {
    if (q > 0) return size_t(put_whole(p, c, q) - to);
    memcpy(p, digits, 22);
    return size_t(p + point - to);
  }
  if (exponent < 0 && exponent >= (n > 1 ? -(n + 3) : -3)) {
    if (point <= 0) {
      digits -= 1 - point;
      n += 1 - point;
      point = 1;
    }
    memcpy(p + 1, digits, 21);
    for (int i = 0; i < point; i++) p[i] = digits[i];
    p[point] = '.';
    return size_t(p + n + 1 - to);
  }
  p[0] = digits[0];
  memcpy(p + 1, digits, 17);
  if (n > 1) p[1] = '.';
  p += n > 1 ? n + 1 : 1;
  *p++ = 'e';
  int e = point - 1;
  *p++ = e < 0 ? '-' : '+';
  if (e < 0) e = -e;
  if (e < 10) *p++ = '0';
  return size_t(std::to_chars(p, p + 3, e).ptr - to);
}

}  // namespace

bool read_decimal(std::string_view s, double* v) {
  uint64_t bits;
  if (!read<kDouble>(s, &bits)) return false;
  *v = std::bit_cast<double>(bits);
  return true;
}

bool read_decimal(std::string_view s, float* v) {
  uint64_t bits;
  if (!read<kFloat>(s, &bits)) return false;
  *v = std::bit_cast<float>(uint32_t(bits));
  return true;
}

// Whole numbers as such: 100000, not 1e+05.
size_t write_decimal(double v, char* to) {
  if (v > -1e15 && v < 1e15 && v == double(int64_t(v)) && v != 0) return size_t(std::to_chars(to, to + kMaxDecimal, int64_t(v)).ptr - to);
  return write(std::bit_cast<uint64_t>(v), kDouble, to);
}

size_t write_decimal(float v, char* to) {
  if (v > -1e7f && v < 1e7f && v == float(int32_t(v)) && v != 0) return size_t(std::to_chars(to, to + kMaxDecimal, int32_t(v)).ptr - to);
  return write(std::bit_cast<uint32_t>(v), kFloat, to);
}

}  // namespace zcrpc::base
