// Every allocation that parsing and printing make, failed one by one: resource_exhausted, and nothing is left behind.
#include "unit/json/support.h"

#include <cstdarg>
#include <cstddef>
#include <csetjmp>

extern "C" {
#include <cmocka.h>
}

#include "support/fail_malloc.h"

using namespace json_test;

namespace {

schema::Schema* g_schema;
const schema::Message* g_type;

std::string long_text() {
  std::string s = "{\"text\":\"";
  for (int i = 0; i < 400; i++) s += "0123456789\\n";
  s += "\",\"data\":\"" + std::string(4000, 'A') + "\",\"rI32\":[1";
  for (int i = 0; i < 3000; i++) s += ",2";
  s += "],\"any\":{\"i32\":1,\"@type\":\"x/json.test.All\",\"any\":{\"@type\":\"x/google.protobuf.Duration\",\"value\":\"1s\"}},"
       "\"mText\":{\"a\\u0062\":\"c\\u0064\"},\"object\":{\"a\":[1,{\"b\":null}]},\"mask\":\"a,bC\",\"rSub\":[{\"sub\":{\"i32\":1}}]}";
  return s;
}

// Memory that is asked for generously is asked for again sparingly, so one failure alone may be overcome; all cannot.
enum Way { kOne, kAllFromThere };
void start(Way way, long n) { way == kOne ? fail_malloc_at(n) : fail_malloc_from(n); }
void check(Way way, int failed, base::Code code) {
  if (failed && way == kOne && code == base::Code::kOk) return;
  assert_int_equal(int(code), int(failed ? base::Code::kResourceExhausted : base::Code::kOk));
}

void parsing_survives_every_failed_allocation(void**) {
  std::string text = long_text();
  for (Way way : {kOne, kAllFromThere})
    for (long n = 1;; n++) {
      long before = fail_malloc_live();
      encode::Encoder* e = encode::encoder_new(g_type);
      assert_non_null(e);
      encode::reset(e, g_type);
      start(way, n);
      base::Status s = json::parse(g_type, base::Slice(text), {}, e);
      int failed = fail_malloc_stop();
      check(way, failed, s.code());
      encode::encoder_free(e);
      s = {};
      assert_int_equal(fail_malloc_live(), before);
      if (!failed) break;
      assert_true(n < 1000);
    }
}

void a_failed_parse_leaks_nothing_with_an_error_to_tell(void**) {
  std::string text = long_text();
  text.insert(text.size() - 4, ",\"bogus\":1");
  for (long n = 1;; n++) {
    long before = fail_malloc_live();
    encode::Encoder* e = encode::encoder_new(g_type);
    encode::reset(e, g_type);
    fail_malloc_at(n);
    base::Status s = json::parse(g_type, base::Slice(text), {}, e);
    int failed = fail_malloc_stop();
    assert_false(s.ok());
    encode::encoder_free(e);
    s = {};
    assert_int_equal(fail_malloc_live(), before);
    if (!failed) break;
    assert_true(n < 1000);
  }
}

void printing_survives_every_failed_allocation(void**) {
  Parsed p = parse(g_type, long_text());
  assert_true(p.status.ok());
  base::Arena arena;
  auto v = view::decode(g_type, base::Slice(p.wire), false, {}, &arena);
  assert_true(v.ok());
  for (Way way : {kOne, kAllFromThere})
    for (long n = 1;; n++) {
      long before = fail_malloc_live();
      int failed;
      {
        base::String out;
        start(way, n);
        base::Status s = json::print(*v, nullptr, {}, &out);
        failed = fail_malloc_stop();
        check(way, failed, s.code());
        assert_true(s.ok() == !out.empty());
      }
      assert_int_equal(fail_malloc_live(), before);
      if (!failed) break;
      assert_true(n < 1000);
    }
}

int setup(void**) {
  g_schema = load();
  g_type = g_schema->message("json.test.All");
  return 0;
}
int teardown(void**) {
  g_schema->release();
  return 0;
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(parsing_survives_every_failed_allocation),
      cmocka_unit_test(a_failed_parse_leaks_nothing_with_an_error_to_tell),
      cmocka_unit_test(printing_survives_every_failed_allocation),
  };
  return cmocka_run_group_tests(tests, setup, teardown);
}
