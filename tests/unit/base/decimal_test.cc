// Floating-point numbers in decimal, against the C++ library's to_chars and from_chars: random ones, and those where an
// algorithm that takes short cuts goes wrong.
#include "support/cmocka.h"

#include <bit>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <limits>
#include <string>

#include "base/decimal.h"

using namespace zcrpc::base;

namespace {

uint64_t g_random;
uint64_t random_bits() {
  g_random ^= g_random << 13;
  g_random ^= g_random >> 7;
  g_random ^= g_random << 17;
  return g_random * 0x9E3779B97F4A7C15u;
}

template <class T>
std::string written(T v) {
  char text[kMaxDecimal + 1];
  memset(text, '#', sizeof text);
  size_t n = write_decimal(v, text);
  assert_true(n <= kMaxDecimal && text[kMaxDecimal] == '#');
  return {text, n};
}

template <class T>
void check_write(T v) {
  if (!std::isfinite(v)) return;
  char text[64];
  std::to_chars_result r;
  T limit = sizeof(T) == 8 ? T(1e15) : T(1e7);
  if (v > -limit && v < limit && v == T(int64_t(v)) && (v != 0 || !std::signbit(v)))
    r = std::to_chars(text, text + sizeof text, int64_t(v));
  else
    r = std::to_chars(text, text + sizeof text, v);
  assert_string_equal(written(v).c_str(), std::string(text, r.ptr).c_str());
}

template <class T>
void check_read(std::string_view s) {
  T v = 77, expected = 0;
  auto r = std::from_chars(s.data(), s.data() + s.size(), expected);
  assert_true(r.ptr == s.data() + s.size());
  if (!read_decimal(s, &v)) fail_msg("%.*s is refused", int(s.size()), s.data());
  // What is too small or too large libstdc++ leaves alone; the exponent tells which it is.
  if (r.ec == std::errc::result_out_of_range && !(std::abs(expected) > 0)) {
    assert_true(v == 0 || std::isinf(v));
    return;
  }
  if (memcmp(&v, &expected, sizeof v) != 0 && !(r.ec == std::errc::result_out_of_range && std::abs(v) < std::numeric_limits<T>::min()))
    fail_msg("%.*s is read as %.17g, not as %.17g", int(s.size()), s.data(), double(v), double(expected));
}

void check_text(const std::string& s) {
  check_read<double>(s);
  check_read<float>(s);
}

template <class T>
T from_bits(uint64_t bits) {
  if constexpr (sizeof(T) == 8)
    return std::bit_cast<double>(bits);
  else
    return std::bit_cast<float>(uint32_t(bits));
}

template <class T>
void each_exponent(int bits, int exponents) {
  for (int e = 0; e < exponents; e++)
    for (int i = -3; i <= 3; i++) {
      check_write(from_bits<T>((uint64_t(e) << bits) + uint64_t(i)));
      check_write(from_bits<T>((uint64_t(e) << bits) + (uint64_t(1) << (bits - 1)) + uint64_t(i)));
    }
}

void a_power_of_two_or_its_neighbour_loses_a_digit(void**) {
  each_exponent<double>(52, 0x7FF);
  each_exponent<float>(23, 0xFF);
}

void a_short_decimal_is_written_longer(void**) {
  char s[16];
  for (int e = -326; e <= 310; e++)
    for (int d : {1, 2, 5, 9, 12, 25, 99, 123, 9007, 99999}) {
      std::string t(s, size_t(snprintf(s, sizeof s, "%de%d", d, e)));
      check_text(t);
      double v = 0;
      assert_true(read_decimal(t, &v));
      check_write(v);
      check_write(float(v));
    }
}

// The middle of two doubles, (2c + 1) * 2^(q-1), ends with zeros where 2c + 1 has factors of 5, and is then shorter than all
// that lies nearer; only an even mantissa may be written as that.
void a_border_is_given_to_the_odd_mantissa(void**) {
  uint64_t fives = 1;
  for (int j = 0; j <= 22; j++, fives *= 5)
    for (uint64_t i = 0; i < 40; i++) {
      uint64_t border = ((uint64_t(1) << 53) / fives + i) * fives;
      if (border % 2 == 0 || border >> 54) continue;
      for (int q = 1; q < 70; q++) {
        check_write(std::ldexp(double(border / 2), q));
        check_write(std::ldexp(double(border / 2 + 1), q));
      }
    }
}

// 5^k over 10^k has no rest, whatever the table's powers lack; and an odd 2^53 and some over 16 is a tie.
void an_exact_quotient_is_rounded(void**) {
  uint64_t five = 1;
  for (int k = 0; k <= 27; k++, five *= 5)
    for (uint64_t m : {1u, 3u, 7u, 1023u}) {
      if (five > UINT64_MAX / 10 / m) continue;
      double v = 0;
      assert_true(read_decimal(std::to_string(five * m) + "e-" + std::to_string(k), &v));
      assert_true(v == std::ldexp(double(m), -k));
    }
  for (uint64_t k = 0, power = 1; k <= 4; k++, power *= 5)
    for (uint64_t i = 1; i < 200; i += 2) {
      double v = 0;
      assert_true(read_decimal(std::to_string((9007199254740992 + i) * power) + "e-" + std::to_string(k), &v));
      assert_true(v == std::ldexp(double(9007199254740992 + (i & 2 ? i + 1 : i - 1)), -int(k)));
    }
}

void a_random_number_is_written_otherwise_than_by_to_chars(void**) {
  g_random = 88172645463325252;
  for (int i = 0; i < 20000; i++) {
    uint64_t r = random_bits();
    check_write(from_bits<double>(r));
    check_write(from_bits<float>(r));
    check_write(double(r) * double(r >> 50));  // whole, with and without an exponent
    check_write(float(r >> (r & 63)));
    check_write(double(r % 1'000'000) / 100);
    check_write(float(r % 100'000) / 100);
  }
}

void a_random_text_is_read_otherwise_than_by_from_chars(void**) {
  g_random = 362436069;
  for (int i = 0; i < 20000; i++) {
    uint64_t r = random_bits();
    std::string s(r & 1 ? "-" : "");
    auto n = int(1 + random_bits() % (i % 16 ? 22 : 60)), point = int(random_bits() % uint64_t(n + 3));
    for (int k = 0; k < n; k++) {
      if (k == point) s += '.';
      s += char('0' + random_bits() % 10);
    }
    if (r & 2) s += "e" + std::to_string(int(random_bits() % 700) - 350);
    else if (r & 4) s += "E+" + std::to_string(random_bits() % 20);
    check_text(s);
  }
}

// The middle of a float and the next is a double, which printf writes with all its digits. One in its last place decides.
void the_middle_of_two_floats_is_rounded_wrongly(void**) {
  g_random = 521288629;
  char s[256];
  for (int i = 0; i < 3000; i++) {
    auto bits = uint32_t(random_bits() & 0x7F7F'FFFF);
    double middle = (double(from_bits<float>(bits)) + double(from_bits<float>(bits + 1))) / 2;
    if (bits + 1 >= 0x7F80'0000) continue;
    for (int digits : {17, 18, 19, 20, 24, 160}) {
      std::string t(s, size_t(snprintf(s, sizeof s, "%.*e", digits, middle)));
      check_text(t);
      if (digits < 160) continue;
      float v = 0;
      assert_true(read_decimal(t, &v));
      assert_int_equal(std::bit_cast<uint32_t>(v), bits + (bits & 1));
      t.insert(t.find('e'), 1, '1');
      assert_true(read_decimal(t, &v));
      assert_int_equal(std::bit_cast<uint32_t>(v), bits + 1);
    }
  }
}

// In decimal: digits times factor, n times.
std::string times(std::string digits, int factor, int n) {
  for (; n > 0; n--) {
    int carry = 0;
    for (size_t i = digits.size(); i-- > 0;) {
      carry += (digits[i] - '0') * factor;
      digits[i] = char('0' + carry % 10);
      carry /= 10;
    }
    if (carry) digits.insert(0, 1, char('0' + carry));
  }
  return digits;
}

double read(const std::string& s) {
  double v = 77;
  assert_true(read_decimal(s, &v));
  return v;
}

void a_digit_far_behind_is_not_read(void**) {
  constexpr double kLeast = std::numeric_limits<double>::denorm_min(), kMost = std::numeric_limits<double>::max();
  // 2^-1075, between zero and the least double: 5^1075 behind the zeros.
  std::string half = times("1", 5, 1075);
  assert_int_equal(half.size(), 752);
  half = "0." + std::string(323, '0') + half;
  assert_true(read(half) == 0);
  assert_true(read(half + std::string(5000, '0')) == 0);
  assert_true(read(half + std::string(5000, '0') + "1") == kLeast);
  half.back()--;
  assert_true(read(half + std::string(5000, '9')) == 0);
  // 2^1024 - 2^970, between the largest double and infinity.
  std::string large = times("18014398509481983", 2, 970);
  assert_true(std::isinf(read(large)));
  large.back()--;
  assert_true(read(large) == kMost);
  assert_true(read(large + "." + std::string(1000, '9')) == kMost);
  // Around 2^53 + 1 and 2^53 + 3, in all places of the point.
  for (int e = -25; e <= 25; e++) {
    std::string tail = "e" + std::to_string(-e);
    auto at = [&](std::string whole, std::string fraction) {
      if (e < 0) return read("0." + std::string(size_t(-e), '0') + whole + fraction + "e" + std::to_string(-e + int(whole.size())));
      return read(whole + std::string(size_t(e), '0').replace(0, std::min(size_t(e), fraction.size()), fraction.substr(0, size_t(e))) +
                  (fraction.size() > size_t(e) ? "." + fraction.substr(size_t(e)) : "") + tail);
    };
    assert_true(at("9007199254740993", "") == 9007199254740992.0);
    assert_true(at("9007199254740993", std::string(800, '0')) == 9007199254740992.0);
    assert_true(at("9007199254740993", std::string(800, '0') + "1") == 9007199254740994.0);
    assert_true(at("9007199254740992", std::string(800, '9')) == 9007199254740992.0);
    assert_true(at("9007199254740995", "") == 9007199254740996.0);
    assert_true(at("9007199254740994", std::string(30, '9')) == 9007199254740994.0);
  }
}

void an_exponent_beyond_all_bounds_wraps(void**) {
  assert_true(std::isinf(read("1e99999999999999999999999")));
  assert_true(read("-1e-99999999999999999999999") == 0);
  assert_true(std::signbit(read("-1e-99999999999999999999999")));
  assert_true(read("0e99999999999999999999999") == 0);
  assert_true(read("0." + std::string(10000, '0') + "1e10001") == 1);
  assert_true(read("1" + std::string(10000, '0') + "e-10000") == 1);
  float f = 0;
  assert_true(read_decimal("3.4028236e38", &f) && std::isinf(f));
  assert_true(read_decimal("3.4028235e38", &f) && f == std::numeric_limits<float>::max());
}

void what_is_no_number_is_read(void**) {
  for (const char* s : {"", "-", ".", "-.", "+1", "1e", "1e+", "1E-", "1ee5", "1..2", "1.2.3", "--1", " 1", "1 ", "inf", "nan", "0x1", "1e5.", "12345678x", "1.12345678x",
                        "1.1234567 ", "/", ":"}) {
    double v = 5;
    float f = 5;
    if (read_decimal(s, &v) || read_decimal(s, &f)) fail_msg("\"%s\" is read", s);
    assert_true(v == 5 && f == 5);
  }
  assert_true(read(".5") == 0.5 && read("5.") == 5 && read("-5.e-1") == -0.5 && read("00012") == 12);
}

// The same bytes whatever the machine's byte order and products.
void another_machine_writes_other_bytes(void**) {
  g_random = 123456789;
  uint64_t hash = 14695981039346656037u;
  for (int i = 0; i < 20000; i++) {
    uint64_t r = random_bits();
    double v = from_bits<double>(r & 0x7FEF'FFFF'FFFF'FFFF), back = 0;
    float f = from_bits<float>(r & 0x7F7F'FFFF);
    std::string s = written(v) + " " + written(f) + " " + written(double(r >> 20) / 64) + " ";
    assert_true(read_decimal(written(v), &back) && back == v);
    for (char c : s) hash = (hash ^ uint8_t(c)) * 1099511628211u;
  }
  assert_true(hash == 16904764244841264945u);
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(a_power_of_two_or_its_neighbour_loses_a_digit),
      cmocka_unit_test(a_short_decimal_is_written_longer),
      cmocka_unit_test(a_border_is_given_to_the_odd_mantissa),
      cmocka_unit_test(an_exact_quotient_is_rounded),
      cmocka_unit_test(a_random_number_is_written_otherwise_than_by_to_chars),
      cmocka_unit_test(a_random_text_is_read_otherwise_than_by_from_chars),
      cmocka_unit_test(the_middle_of_two_floats_is_rounded_wrongly),
      cmocka_unit_test(a_digit_far_behind_is_not_read),
      cmocka_unit_test(an_exponent_beyond_all_bounds_wraps),
      cmocka_unit_test(what_is_no_number_is_read),
      cmocka_unit_test(another_machine_writes_other_bytes),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
