// The reader, the numbers, base64 and the calendar, apart from messages.
#include <cmath>
#include <cstdarg>
#include <cstddef>
#include <csetjmp>
#include <cstdint>
#include <cstring>
#include <limits>
#include <string>

extern "C" {
#include <cmocka.h>
}

#include "json/read.h"
#include "json/time.h"
#include "json/write.h"

using namespace zcrpc;
using namespace zcrpc::json;

namespace {

base::Slice slice(std::string_view s) { return base::Slice(s); }
std::string text(const base::String& s) { return std::string(s.view()); }

void assert_text(std::string_view got, std::string_view want) {
  if (got != want) fail_msg("got \"%.*s\", want \"%.*s\"", int(got.size()), got.data(), int(want.size()), want.data());
}

struct Fault {
  const char* json;
  size_t offset;
  const char* message;
};

void grammar_is_rfc_8259_and_no_more(void**) {
  const Fault bad[] = {
      {"", 0, "expected a value"},
      {" \n", 2, "expected a value"},
      {"nul", 0, "expected null"},
      {"True", 0, "expected a value"},
      {"tru", 0, "expected true or false"},
      {"// c\n1", 0, "expected a value"},
      {"1 /* c */", 2, "something behind the end"},
      {"1 2", 2, "something behind the end"},
      {"[1,]", 3, "expected a value"},
      {"[,1]", 1, "expected a value"},
      {"[1 2]", 3, "expected a comma or the array's end"},
      {"[1", 2, "expected a comma or the array's end"},
      {"[", 1, "expected a value"},
      {"]", 0, "expected a value"},
      {"{", 1, "expected a name in quotes"},
      {"{\"a\":1,}", 7, "expected a name in quotes"},
      {"{,}", 1, "expected a name in quotes"},
      {"{\"a\" 1}", 5, "expected a colon"},
      {"{\"a\":}", 5, "expected a value"},
      {"{\"a\":1 \"b\":2}", 7, "expected a comma or the object's end"},
      {"{a:1}", 1, "expected a name in quotes"},
      {"{'a':1}", 1, "expected a name in quotes"},
      {"{1:1}", 1, "expected a name in quotes"},
      {"'a'", 0, "expected a value"},
      {"\"a", 0, "a string without its closing quote"},
      {"\"a\\", 2, "a bad escape"},
      {"\"a\\\"", 0, "a string without its closing quote"},
      {"\"a\nb\"", 2, "a control character in a string"},
      {"\"a\\n\tb\"", 4, "a control character in a string"},
      {"\"0123456789abcdefghijklmno\x01\"", 26, "a control character in a string"},
      {"\"\\x41\"", 1, "a bad escape"},
      {"\"\\U0041\"", 1, "a bad escape"},
      {"\"\\u004\"", 1, "a bad escape"},
      {"\"\\u00g0\"", 1, "a bad escape"},
      {"\"\\'\"", 1, "a bad escape"},
      {"\"\\ud800\"", 1, "a lone surrogate"},
      {"\"x\\ud800\\u0041\"", 2, "a lone surrogate"},
      {"\"\\udc00\"", 1, "a lone surrogate"},
      {"\"\\ud800\\ud800\"", 1, "a lone surrogate"},
      {"\"\xC0\x80\"", 1, "a string is not valid UTF-8"},
      {"\"ab\xFF\"", 3, "a string is not valid UTF-8"},
      {"\"\xED\xA0\x80\"", 1, "a string is not valid UTF-8"},
      {"\"\xF4\x90\x80\x80\"", 1, "a string is not valid UTF-8"},
      {"\"\\n\xE4\xB8\"", 3, "a string is not valid UTF-8"},
      {"\"0123456789abcdef\xC3\"", 17, "a string is not valid UTF-8"},
      {"\xEF\xBB\xBF" "1", 0, "expected a value"},
      {"+1", 0, "expected a value"},
      {"-", 0, "expected a number"},
      {"01", 0, "a number with a leading zero"},
      {"-01", 0, "a number with a leading zero"},
      {"1.", 0, "a number without digits behind its point"},
      {".5", 0, "expected a value"},
      {"1e", 0, "a number without digits in its exponent"},
      {"1e+", 0, "a number without digits in its exponent"},
      {"0x10", 1, "something behind the end"},
      {"NaN", 0, "expected a value"},
      {"Infinity", 0, "expected a value"},
      {"\f1", 0, "expected a value"},
  };
  for (const Fault& f : bad) {
    Reader r(slice(f.json));
    if (r.skip_value() && r.finish()) fail_msg("accepted: %s", f.json);
    if (r.error_offset() != f.offset || strcmp(r.error(), f.message) != 0)
      fail_msg("%s: got %zu %s, want %zu %s", f.json, r.error_offset(), r.error(), f.offset, f.message);
    assert_false(r.finish());
    assert_int_equal(int(r.code()), int(base::Code::kInvalidArgument));
  }
  const char* good[] = {"1",  " -0 ", "0.5e-10", "1E+2", "[]", "[ ]", "{}", "{ }", "[[],{}]", "\"\"", "null", "true",
                        "\t\r\n [1 , 2]", "{\"a\":{\"a\":[null,true,false]}}", "\"\\u0000\"", "\"\x7F\"", "\"\\ud834\\udd1e\""};
  for (const char* g : good) {
    Reader r(slice(g));
    if (!r.skip_value() || !r.finish()) fail_msg("refused: %s: %s", g, r.error());
  }
}

void strings_come_out_unescaped(void**) {
  const struct { const char *json, *want; size_t n; } cases[] = {
      {"\"\"", "", 0},
      {"\"plain\"", "plain", 5},
      {"\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\/\b\f\n\r\t", 8},
      {"\"\\u0041\\u00e9\\u20AC\"", "A\xC3\xA9\xE2\x82\xAC", 6},
      {"\"\\uD83D\\ude00x\"", "\xF0\x9F\x98\x80x", 5},
      {"\"a\\u0000b\"", "a\0b", 3},
      {"\"0123456789abcdef0123456789\\nabcdef0123456789abcdef\"", "0123456789abcdef0123456789\nabcdef0123456789abcdef", 49},
      {"\"\xC3\xA9 0123456789abcdef \\t \xE2\x82\xAC\"", "\xC3\xA9 0123456789abcdef \t \xE2\x82\xAC", 25},
  };
  for (const auto& c : cases) {
    Reader r(slice(c.json));
    std::string_view s;
    assert_true(r.string(&s));
    assert_text(s, {c.want, c.n});
    assert_true(r.finish());
  }
  // Whatever the length and wherever the escape.
  for (size_t n = 0; n < 70; n++)
    for (size_t at = 0; at <= n; at++) {
      std::string json = "\"" + std::string(n, 'x'), want(n, 'x');
      json.insert(1 + at, "\\n");
      want.insert(at, "\n");
      json += '"';
      Reader r(slice(json));
      std::string_view s;
      assert_true(r.string(&s));
      assert_text(s, want);
      base::String out;
      append_quoted(&out, want);
      assert_text(out.view(), json);
    }
}

void members_and_elements_are_pulled_one_by_one(void**) {
  Reader r(slice("{\"code\":\"not_found\", \"details\":[{\"type\":\"a.B\",\"value\":\"CgE\"}, {}], \"x\":[1,{\"y\":[]}], \"n\\u0061me\":-1.5e3}"));
  std::string_view key, s;
  std::string seen;
  assert_true(r.enter_object());
  while (r.next_member(&key)) {
    seen += key;
    seen += ';';
    if (key == "code") {
      assert_true(r.string(&s));
      assert_text(s, "not_found");
    } else if (key == "details") {
      int n = 0;
      assert_true(r.enter_array());
      while (r.next_element()) {
        assert_true(r.enter_object());
        while (r.next_member(&key)) assert_true(r.string(&s));
        n++;
      }
      assert_int_equal(n, 2);
    } else if (key == "name") {
      assert_text(r.raw_name(), "n\\u0061me");
      assert_true(r.number(&s));
      assert_text(s, "-1.5e3");
    } else {
      assert_true(r.skip_value());
    }
  }
  assert_true(r.finish());
  assert_text(seen, "code;details;x;name;");
}

void nesting_is_bounded(void**) {
  std::string deep(50, '['), close(50, ']');
  Reader fits(slice(deep + close), 50);
  std::string all = deep + close;
  Reader r50(slice(all), 50), r49(slice(all), 49);
  assert_true(r50.skip_value() && r50.finish());
  assert_false(r49.skip_value());
  assert_int_equal(int(r49.code()), int(base::Code::kResourceExhausted));
  assert_int_equal(r49.error_offset(), 49);
  std::string hostile(1 << 20, '[');
  Reader r(slice(hostile));
  assert_false(r.skip_value());
}

void errors_tell_line_and_column(void**) {
  Reader r(slice("{\n  \"\xC3\xA9\": 1,\n  x\n}"));
  assert_false(r.skip_value());
  base::Status s = r.status();
  assert_string_equal(s.message(), "line 3, column 3: expected a name in quotes");
  assert_int_equal(s.offset(), 15);
  Reader r2(slice("{\"\xC3\xA9\" 1}"));
  assert_false(r2.skip_value());
  assert_string_equal(r2.status().message(), "line 1, column 6: expected a colon");
}

void integers_are_read_exactly(void**) {
  const struct { const char* s; Integer r; int64_t v; } cases[] = {
      {"0", Integer::kOk, 0},
      {"-0", Integer::kOk, 0},
      {"-0.0e9", Integer::kOk, 0},
      {"9223372036854775807", Integer::kOk, INT64_MAX},
      {"-9223372036854775808", Integer::kOk, INT64_MIN},
      {"9223372036854775808", Integer::kRange, 0},
      {"-9223372036854775809", Integer::kRange, 0},
      {"9007199254740993", Integer::kOk, 9007199254740993},
      {"9007199254740993.0", Integer::kOk, 9007199254740993},
      {"922337203685477580.7e1", Integer::kOk, INT64_MAX},
      {"92233720368547758070e-1", Integer::kOk, INT64_MAX},
      {"1e5", Integer::kOk, 100000},
      {"1E+5", Integer::kOk, 100000},
      {"100000.000", Integer::kOk, 100000},
      {"2.147483647e9", Integer::kOk, 2147483647},
      {"1200e-2", Integer::kOk, 12},
      {"0.0001e4", Integer::kOk, 1},
      {"1e18", Integer::kOk, 1000000000000000000},
      {"1e19", Integer::kRange, 0},
      {"1e536870000", Integer::kRange, 0},
      {"1e99999999999999999999999999", Integer::kRange, 0},
      {"0e99999999999999999999999999", Integer::kOk, 0},
      {"1e-99999999999999999999999999", Integer::kNotInteger, 0},
      {"0.5", Integer::kNotInteger, 0},
      {"1.5e0", Integer::kNotInteger, 0},
      {"15e-1", Integer::kNotInteger, 0},
      {"1e-1", Integer::kNotInteger, 0},
      {"", Integer::kNotNumber, 0},
      {"-", Integer::kNotNumber, 0},
      {"+1", Integer::kNotNumber, 0},
      {"01", Integer::kNotNumber, 0},
      {" 1", Integer::kNotNumber, 0},
      {"1 ", Integer::kNotNumber, 0},
      {"12abc", Integer::kNotNumber, 0},
      {"0x1", Integer::kNotNumber, 0},
      {"1.", Integer::kNotNumber, 0},
      {".1", Integer::kNotNumber, 0},
      {"1e", Integer::kNotNumber, 0},
      {"--1", Integer::kNotNumber, 0},
      {"NaN", Integer::kNotNumber, 0},
      {"0000000000000000000000000", Integer::kNotNumber, 0},
  };
  for (const auto& c : cases) {
    int64_t v = 0;
    Integer r = read_int64(c.s, &v);
    if (r != c.r || (r == Integer::kOk && v != c.v)) fail_msg("%s: %d %lld", c.s, int(r), (long long)v);
  }
  uint64_t u;
  assert_int_equal(int(read_uint64("18446744073709551615", &u)), int(Integer::kOk));
  assert_true(u == UINT64_MAX);
  assert_int_equal(int(read_uint64("18446744073709551616", &u)), int(Integer::kRange));
  assert_int_equal(int(read_uint64("-1", &u)), int(Integer::kRange));
  assert_int_equal(int(read_uint64("-0", &u)), int(Integer::kOk));
  assert_int_equal(int(read_uint64("1.8446744073709551615e19", &u)), int(Integer::kOk));
  assert_true(u == UINT64_MAX);
  // Long ones take their length in time, not their value.
  std::string many = "1" + std::string(1 << 20, '0') + "e-1048576";
  assert_int_equal(int(read_uint64(many, &u)), int(Integer::kOk));
  assert_int_equal(u, 1);
}

void floats_are_the_nearest_and_never_infinite(void**) {
  const struct { const char* s; double v; } good[] = {
      {"0", 0}, {"-0", -0.0}, {"1", 1}, {"0.1", 0.1}, {"123456789012345678", 123456789012345678.0}, {"1e308", 1e308},
      {"1.7976931348623157e308", 1.7976931348623157e308}, {"1.7976931348623158e308", 1.7976931348623157e308},
      {"5e-324", 5e-324}, {"1e-400", 0}, {"-1e-400", -0.0}, {"2.2250738585072011e-308", 2.2250738585072011e-308},
      {"0e9999999999", 0},
      {"1000000000000000000000000000000000000000e-39", 1},
  };
  for (const auto& c : good) {
    double v = 7;
    bool range;
    if (!read_double(c.s, &v, &range)) fail_msg("refused %s", c.s);
    if (memcmp(&v, &c.v, sizeof v) != 0) fail_msg("%s: %a, want %a", c.s, v, c.v);
  }
  double v;
  float f;
  bool range;
  for (const char* s : {"1e309", "-1e309", "1.7976931348623159e308", "1e99999999999"}) {
    assert_false(read_double(s, &v, &range));
    assert_true(range);
  }
  for (const char* s : {"", "-", "+1", "01", "1.", ".5", "NaN", "Infinity", "inf", "nan", "0x1p3", "1e", " 1", "1 ", "12abc"}) {
    if (read_double(s, &v, &range)) fail_msg("accepted %s", s);
    assert_false(range);
  }
  assert_true(read_float("3.4028235e38", &f, &range) && f == std::numeric_limits<float>::max());
  assert_true(read_float("1e-46", &f, &range) && f == 0);
  assert_true(read_float("1e-45", &f, &range) && f == std::numeric_limits<float>::denorm_min());
  assert_true(read_float("16777217", &f, &range) && f == 16777216.0f);
  assert_false(read_float("3.5e38", &f, &range));
  assert_true(range);
}

template <class T>
std::string written(T v) {
  char b[kMaxNumber];
  return std::string(b, write_number(v, b));
}

void floats_are_written_short_and_read_back_the_same(void**) {
  const struct { double v; const char* s; } cases[] = {
      {0, "0"}, {-0.0, "-0"}, {1, "1"}, {-1, "-1"}, {0.1, "0.1"}, {100000, "100000"}, {1e15, "1e+15"}, {1.5, "1.5"},
      {123456789012345, "123456789012345"}, {1e300, "1e+300"}, {5e-324, "5e-324"}, {NAN, "\"NaN\""}, {-NAN, "\"NaN\""},
      {INFINITY, "\"Infinity\""}, {-INFINITY, "\"-Infinity\""}};
  for (const auto& c : cases) assert_text(written(c.v), c.s);
  assert_text(written(0.1f), "0.1");
  assert_text(written(-0.0f), "-0");
  assert_text(written(3.4028235e38f), "3.4028235e+38");
  assert_text(written(1e6f), "1000000");
  uint64_t x = 88172645463325252u;
  for (int i = 0; i < 20000; i++) {
    x ^= x << 13, x ^= x >> 7, x ^= x << 17;
    double d, back;
    memcpy(&d, &x, 8);
    auto u = uint32_t(x >> 32);
    float f, fback;
    memcpy(&f, &u, 4);
    bool range;
    if (std::isfinite(d)) {
      assert_true(read_double(written(d), &back, &range));
      assert_memory_equal(&d, &back, 8);
    }
    if (std::isfinite(f)) {
      assert_true(read_float(written(f), &fback, &range));
      assert_memory_equal(&f, &fback, 4);
    }
  }
}

void base64_reads_both_alphabets_and_optional_padding(void**) {
  for (size_t n = 0; n < 600; n++) {
    std::string raw;
    for (size_t i = 0; i < n; i++) raw += char(i * 37 + n);
    for (Alphabet a : {Alphabet::kStandard, Alphabet::kUrl})
      for (bool padded : {false, true}) {
        base::String s;
        append_base64(&s, slice(raw), a, padded);
        assert_true(s.ok());
        assert_int_equal(s.size(), base64_size(n, padded));
        std::string back(s.size() / 4 * 3 + 2, 0);
        size_t m;
        assert_true(base64_read(s.view(), reinterpret_cast<uint8_t*>(back.data()), &m));
        back.resize(m);
        assert_text(back, raw);
      }
  }
  uint8_t out[16];
  size_t n;
  assert_true(base64_read("-_", out, &n) && n == 1 && out[0] == 0xFB);
  assert_true(base64_read("+/==", out, &n) && n == 1 && out[0] == 0xFB);
  for (const char* s : {"A", "AAAAA", "=", "==", "AA=", "A===", "AAA==", "AA==AA==", "AAAA====", "AA A", "AA\n", "A.AA", "AAAA=", "\xC3\xA9", "AAA=A"})
    if (base64_read(s, out, &n)) fail_msg("accepted %s", s);
}

void quoting_escapes_only_what_must_be(void**) {
  base::String out;
  append_quoted(&out, std::string_view("\0\x1f\" \\ / \x7f < \xC3\xA9 \xFF", 16));
  assert_text(text(out), "\"\\u0000\\u001f\\\" \\\\ / \x7F < \xC3\xA9 \xEF\xBF\xBD\"");
}

void calendar_goes_both_ways(void**) {
  int64_t days = kMinTimestamp / 86400;
  Civil c = civil_from_days(days);
  assert_true(c.year == 1 && c.month == 1 && c.day == 1);
  for (; days <= kMaxTimestamp / 86400; days += 7) {
    c = civil_from_days(days);
    assert_true(days_from_civil(c) == days);
  }
  c = civil_from_days(0);
  assert_true(c.year == 1970 && c.month == 1 && c.day == 1);
}

void timestamps_are_exact(void**) {
  const struct { const char* s; int64_t seconds; int32_t nanos; } good[] = {
      {"1970-01-01T00:00:00Z", 0, 0},
      {"0001-01-01T00:00:00Z", kMinTimestamp, 0},
      {"9999-12-31T23:59:59.999999999Z", kMaxTimestamp, 999999999},
      {"1969-12-31T23:59:59.5Z", -1, 500000000},
      {"2000-02-29T12:34:56.010Z", 951827696, 10000000},
      {"1970-01-01T08:00:01+08:00", 1, 0},
      {"1969-12-31T16:30:00-07:30", 0, 0},
      {"0001-01-01T00:00:00-23:59", kMinTimestamp + 86340, 0},
  };
  int64_t seconds;
  int32_t nanos;
  for (const auto& c : good) {
    if (const char* fault = read_timestamp(c.s, &seconds, &nanos)) fail_msg("%s: %s", c.s, fault);
    if (seconds != c.seconds || nanos != c.nanos) fail_msg("%s: %lld %d", c.s, (long long)seconds, nanos);
  }
  for (const char* s : {"", "1970-01-01T00:00:00", "1970-01-01t00:00:00Z", "1970-01-01T00:00:00z", "1970-01-01 00:00:00Z",
                        "1970-1-01T00:00:00Z", "70-01-01T00:00:00Z", "1970-13-01T00:00:00Z", "1970-00-01T00:00:00Z",
                        "1970-02-29T00:00:00Z", "1900-02-29T00:00:00Z", "1970-04-31T00:00:00Z", "1970-01-00T00:00:00Z",
                        "1970-01-01T24:00:00Z", "1970-01-01T00:60:00Z", "1970-01-01T00:00:60Z", "1970-01-01T00:00:00.Z",
                        "1970-01-01T00:00:00.1234567891Z", "1970-01-01T00:00:00,5Z", "1970-01-01T00:00:00Z ",
                        "1970-01-01T00:00:00+0800", "1970-01-01T00:00:00+08", "1970-01-01T00:00:00+24:00",
                        "1970-01-01T00:00:00+00:60", "0000-12-31T23:59:59Z", "0001-01-01T00:00:00+00:01",
                        "9999-12-31T23:59:59-00:01", "10000-01-01T00:00:00Z", "1970-01-01T00:00:00ZZ", "+970-01-01T00:00:00Z",
                        "1970-01-01T00:00Z", "1970-01-01T00:00:00.5"})
    if (!read_timestamp(s, &seconds, &nanos)) fail_msg("accepted %s", s);
}

void durations_are_exact(void**) {
  const struct { const char* s; int64_t seconds; int32_t nanos; } good[] = {
      {"0s", 0, 0}, {"1s", 1, 0}, {"-1.5s", -1, -500000000}, {"-0.000000001s", 0, -1}, {"1.000000001s", 1, 1},
      {"315576000000s", 315576000000, 0}, {"-315576000000.999999999s", -315576000000, -999999999}, {"3.000s", 3, 0}};
  int64_t seconds;
  int32_t nanos;
  for (const auto& c : good) {
    if (const char* fault = read_duration(c.s, &seconds, &nanos)) fail_msg("%s: %s", c.s, fault);
    if (seconds != c.seconds || nanos != c.nanos) fail_msg("%s: %lld %d", c.s, (long long)seconds, nanos);
  }
  for (const char* s : {"", "s", "1", "-s", "+1s", "1.s", ".5s", "1.0000000001s", "1 s", " 1s", "1s ", "1S", "1e3s", "--1s", "01s",
                        "315576000001s", "-315576000001s", "99999999999999999999s", "1.-5s", "0x1s", "1.5.5s"})
    if (!read_duration(s, &seconds, &nanos)) fail_msg("accepted %s", s);
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(grammar_is_rfc_8259_and_no_more),
      cmocka_unit_test(strings_come_out_unescaped),
      cmocka_unit_test(members_and_elements_are_pulled_one_by_one),
      cmocka_unit_test(nesting_is_bounded),
      cmocka_unit_test(errors_tell_line_and_column),
      cmocka_unit_test(integers_are_read_exactly),
      cmocka_unit_test(floats_are_the_nearest_and_never_infinite),
      cmocka_unit_test(floats_are_written_short_and_read_back_the_same),
      cmocka_unit_test(base64_reads_both_alphabets_and_optional_padding),
      cmocka_unit_test(quoting_escapes_only_what_must_be),
      cmocka_unit_test(calendar_goes_both_ways),
      cmocka_unit_test(timestamps_are_exact),
      cmocka_unit_test(durations_are_exact),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
