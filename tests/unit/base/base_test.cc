// The rest of base: vectors, text, errors, metadata, UTF-8, hashes, logs, clocks.
#include "support/cmocka.h"

#include <cstring>
#include <string>

#include "base/clock.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/metadata.h"
#include "base/status.h"
#include "base/string.h"
#include "base/utf8.h"
#include "base/vec.h"
#include "support/fail_malloc.h"

using namespace zcrpc::base;

namespace {

void a_vector_survives_pushing_its_own_element(void**) {
  Vec<int> v;
  assert_true(v.push(1));
  for (int i = 0; i < 1000; i++) assert_true(v.push(v[0]));
  assert_int_equal(v.size(), 1001);
  for (int x : v) assert_int_equal(x, 1);
  v.shift(1000);
  assert_int_equal(v.size(), 1);
  v.shift(1);
  assert_true(v.empty());
}

void a_vector_that_cannot_grow_keeps_what_it_has(void**) {
  Vec<uint64_t> v;
  for (uint64_t i = 0; i < 8; i++) assert_true(v.push(i));
  fail_malloc_at(1);
  bool pushed = v.push(8);
  assert_int_equal(fail_malloc_stop(), 1);
  assert_false(pushed);
  assert_int_equal(v.size(), 8);
  for (uint64_t i = 0; i < 8; i++) assert_int_equal(v[size_t(i)], i);
  assert_null(v.grow(SIZE_MAX));
  assert_null(v.grow(SIZE_MAX / 8));
  assert_false(v.reserve(SIZE_MAX / 4));
  assert_int_equal(v.size(), 8);
  Vec<uint64_t> moved = std::move(v);
  assert_true(v.empty() && moved.size() == 8);
  v = std::move(moved);
  assert_int_equal(v.back(), 7);
}

void lack_of_memory_sticks_to_text(void**) {
  String s;
  s.append("abc").append('-').append_int(-42).append_int(uint64_t(UINT64_MAX));
  assert_true(s.ok() && s.view() == "abc--4218446744073709551615");
  assert_string_equal(s.c_str(), "abc--4218446744073709551615");
  fail_malloc_at(1);
  s.append(std::string_view("................................................................"));
  fail_malloc_stop();
  assert_false(s.ok());
  s.append('x');
  assert_false(s.ok());
  s.clear();
  assert_true(s.ok() && s.empty());
}

void a_status_owns_its_error(void**) {
  long before = fail_malloc_live();
  {
    Status a(Code::kNotFound, "gone");
    Status b = std::move(a);
    assert_true(a.ok() && !b.ok() && b.code() == Code::kNotFound);
    b = Status::format(Code::kInternal, "%d of %s", 3, "five");
    assert_string_equal(b.message(), "3 of five");
    b = std::move(b).at(17).in("a.b[2]");
    assert_true(b.offset() == 17 && !strcmp(b.path(), "a.b[2]"));
    Error* e = b.take();
    assert_true(b.ok());
    assert_true(e->set_path("other") && e->set_path("") && !strcmp(e->path(), ""));
    Error::free(e);
    Result<int> r(Status(Code::kAborted, ""));
    assert_true(!r.ok() && r.status().code() == Code::kAborted);
    assert_true(r.take_status().code() == Code::kAborted);
  }
  assert_int_equal(fail_malloc_live(), before);
  std::string longest(2000, 'x');
  assert_int_equal(strlen(Status::format(Code::kInternal, "%s", longest.c_str()).message()), 511);
}

void no_memory_for_an_error_is_an_error_too(void**) {
  fail_malloc_from(1);
  Status s(Code::kNotFound, "text"), f = Status::format(Code::kNotFound, "%d", 1);
  fail_malloc_stop();
  assert_true(s.code() == Code::kResourceExhausted && f.code() == Code::kResourceExhausted);
  s = std::move(s).at(5).in("x");  // the constant takes nothing
  assert_true(s.offset() == -1 && !*s.path() && s.error()->is_static());
  Status kept(Code::kNotFound, "text");
  fail_malloc_at(1);
  bool set = kept.error()->set_message("other");
  fail_malloc_stop();
  assert_false(set);
  assert_string_equal(kept.message(), "text");
}

void metadata_is_all_or_nothing(void**) {
  Metadata m;
  assert_true(m.add("a", Slice(std::string_view("1"))));
  for (long n = 1; n <= 2; n++) {
    std::string big(4096, 'v');
    fail_malloc_at(n);
    bool added = m.add("b", Slice(std::string_view(big)));
    fail_malloc_stop();
    assert_int_equal(m.size(), added ? 2 : 1);
    if (added) break;
  }
  Slice v;
  assert_true(m.get("a", &v) && v.text() == "1");
  assert_false(m.get("A", &v));
}

void utf8_is_rfc_3629(void**) {
  auto prefix = [](std::string_view s) { return utf8_valid_prefix(reinterpret_cast<const uint8_t*>(s.data()), s.size()); };
  // Every code point, and no surrogate.
  for (uint32_t c = 0; c <= 0x10FFFF; c++) {
    char b[4];
    size_t n = utf8_put(c, b);
    assert_int_equal(prefix({b, n}), c >= 0xD800 && c <= 0xDFFF ? 0 : n);
  }
  struct {
    const char* text;
    size_t valid;
  } bad[] = {{"ab\x80", 2}, {"\xC0\x80", 0}, {"\xC1\xBF", 0}, {"\xE0\x80\x80", 0}, {"\xED\xA0\x80", 0}, {"\xF0\x80\x80\x80", 0}, {"\xF4\x90\x80\x80", 0},
             {"\xF5\x80\x80\x80", 0}, {"\xFF", 0}, {"x\xE2\x82", 1}, {"12345678\xC3", 8}, {"1234567\xC3\xA9\xFF", 9}};
  for (const auto& b : bad) assert_int_equal(prefix(b.text), b.valid);
  // Broken at any place of a long text.
  std::string s(100, 'x');
  for (size_t i = 0; i < s.size(); i++) {
    std::string t = s;
    t[i] = '\xFE';
    assert_int_equal(prefix(t), i);
  }
}

void hashes_are_what_their_names_say(void**) {
  assert_true(fnv1a("") == 0xcbf29ce484222325u && fnv1a("a") == 0xaf63dc4c8601ec8cu && fnv1a("foobar") == 0x85944171f73967e8u);
  HashKey k{0x0706050403020100u, 0x0f0e0d0c0b0a0908u};
  const char text[] = "0123456789abcdef";
  for (size_t n = 0; n < 16; n++) assert_true(siphash(k, text, n) != siphash(k, text, n + 1));
  HashKey other{k.k0 + 1, k.k1};
  assert_true(siphash(k, text, 16) != siphash(other, text, 16));
  HashKey p = process_hash_key(), q = process_hash_key();
  assert_true(p.k0 == q.k0 && p.k1 == q.k1);
}

// What a client has sent forges no line, and moves no cursor.
void a_log_line_has_control_characters(void**) {
  std::string said;
  Log log{[](int32_t, const char* text, size_t n, void* user) { static_cast<std::string*>(user)->append(text, n); }, &said, LogLevel::kInfo};
  log.format(LogLevel::kInfo, "%s: \xc3\xa4 ~", "/a\r\n2 error\x1b[2J\x7f\t");
  assert_string_equal(said.c_str(), "/a??2 error?[2J??: \xc3\xa4 ~");
}

void logs_below_the_level_are_not_formatted(void**) {
  std::string got;
  Log log{[](int32_t level, const char* text, size_t n, void* user) { static_cast<std::string*>(user)->append(std::to_string(level) + ":").append(text, n).append(";"); },
          &got, LogLevel::kWarning};
  log.format(LogLevel::kInfo, "%s", "no");
  log.format(LogLevel::kWarning, "%d", 5);
  log.text(LogLevel::kError, "e");
  log.text(LogLevel::kDebug, "d");
  assert_string_equal(got.c_str(), "2:5;1:e;");
  Log().format(LogLevel::kError, "%d", 1);  // nowhere
}

void the_clock_goes_forward(void**) {
  const Clock* c = system_clock();
  int64_t a = c->now(), b = c->now();
  assert_true(b >= a && a > 0);
  assert_true(c->wall() > int64_t(1700000000) * 1000000000);
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(a_vector_survives_pushing_its_own_element),
      cmocka_unit_test(a_vector_that_cannot_grow_keeps_what_it_has),
      cmocka_unit_test(lack_of_memory_sticks_to_text),
      cmocka_unit_test(a_status_owns_its_error),
      cmocka_unit_test(no_memory_for_an_error_is_an_error_too),
      cmocka_unit_test(metadata_is_all_or_nothing),
      cmocka_unit_test(utf8_is_rfc_3629),
      cmocka_unit_test(hashes_are_what_their_names_say),
      cmocka_unit_test(a_log_line_has_control_characters),
      cmocka_unit_test(logs_below_the_level_are_not_formatted),
      cmocka_unit_test(the_clock_goes_forward),
  };
  return cmocka_run_group_tests_name("base", tests, nullptr, nullptr);
}
