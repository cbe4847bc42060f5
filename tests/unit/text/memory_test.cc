// Every allocation that parsing and printing make, failed one by one: resource_exhausted, and nothing is left behind.
#include "unit/text/support.h"

#include <cstdarg>
#include <cstddef>
#include <csetjmp>

extern "C" {
#include <cmocka.h>
}

#include "support/fail_malloc.h"

using namespace text_test;

namespace {

const schema::Message* g_all;

std::string long_text() {
  std::string s = "s: '";
  for (int i = 0; i < 400; i++) s += "0123456789\\n";
  s += "' 'and more' r: [1";
  for (int i = 0; i < 3000; i++) s += ",2";
  s += "] Data { x: 1 } any { [x/text.test.All] { any { [y/text.test.Item] { n: 1 } } } } [text.test.ext]: 1 m { key: 'a\\x62' value: 1 }";
  return s;
}

// Memory that is asked for generously is asked for again sparingly, so one failure alone may be overcome.
void check(int failed, base::Code code) {
  if (code == base::Code::kOk) return;
  assert_true(failed);
  assert_int_equal(int(code), int(base::Code::kResourceExhausted));
}

void parsing_survives_every_failed_allocation(void**) {
  std::string text = long_text();
  for (long n = 1;; n++) {
    long before = fail_malloc_live();
    encode::Encoder* e = encode::encoder_new(g_all);
    assert_non_null(e);
    encode::reset(e, g_all);
    fail_malloc_from(n);
    base::Status s = text::parse(g_all, base::Slice(text), {}, e);
    int failed = fail_malloc_stop();
    check(failed, s.code());
    assert_true(!failed || !s.ok());
    encode::encoder_free(e);
    s = {};
    assert_int_equal(fail_malloc_live(), before);
    if (!failed) break;
    assert_true(n < 1000);
  }
}

void printing_survives_every_failed_allocation(void**) {
  Parsed p = parse(g_all, long_text());
  assert_true(p.status.ok());
  base::Arena arena;
  auto v = view::decode(g_all, base::Slice(p.wire), false, {}, &arena);
  assert_true(v.ok());
  for (long n = 1;; n++) {
    long before = fail_malloc_live();
    {
      base::String out;
      fail_malloc_from(n);
      base::Status s = text::print(*v, {}, &out);
      int failed = fail_malloc_stop();
      check(failed, s.code());
      if (!s.ok()) assert_int_equal(out.size(), 0);
      s = {};
      if (!failed) break;
    }
    assert_int_equal(fail_malloc_live(), before);
    assert_true(n < 1000);
  }
}

int set_up(void**) {
  g_all = load()->message("text.test.All");
  return g_all ? 0 : 1;
}
int tear_down(void**) {
  g_all->schema->release();
  return 0;
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(parsing_survives_every_failed_allocation),
      cmocka_unit_test(printing_survives_every_failed_allocation),
  };
  return cmocka_run_group_tests(tests, set_up, tear_down);
}
