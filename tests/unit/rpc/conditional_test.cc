// If-None-Match: which tags it names.
#include <string>

#include "rpc/conditional.h"

extern "C" {
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
}

using namespace zcrpc;
using rpc::names_tag;

namespace {

void a_tag_is_missed_or_imagined(void**) {
  for (const char* tag : {"\"a\"", "W/\"a\""}) {
    for (const char* list : {"\"a\"", "W/\"a\"", " \"a\"", "*", "\"b\", \"a\"", "\"b\",W/\"a\"", "\"b\" ,\t\"a\" ", "\"b,\\\", \"a\"", "\"\", \"a\"", "\"a\"x"})
      assert_true(names_tag(list, tag));
    for (const char* list : {"", "a", "\"a", "\"b\"", "\"aa\"", "\"A\"", "w/\"a\"", "\"b\" \"a\"", "b, \"a\"", ",", "**"}) assert_false(names_tag(list, tag));
  }
  for (const char* broken : {"", "a", "\"a", "W/", "*"}) {
    assert_false(names_tag("*", broken));
    assert_false(names_tag(broken, broken));
  }
}

void a_tag_is_not_that_of_the_bytes(void**) {
  char a[rpc::kTag], b[rpc::kTag];
  assert_true(rpc::write_tag(0x0123456789abcdef, a) == "W/\"0123456789abcdef\"");
  assert_true(names_tag(rpc::write_tag(1, a), rpc::write_tag(1, b)));
  assert_false(names_tag(rpc::write_tag(1, a), rpc::write_tag(2, b)));
}

void a_second_header_is_not_read(void**) {
  base::Metadata m;
  assert_false(rpc::has_tag(m, "\"a\""));
  assert_true(m.add("if-none-match", base::Slice("\"b\"")) && m.add("if-match", base::Slice("\"c\"")) && m.add("if-none-match", base::Slice("\"a\"")));
  assert_true(rpc::has_tag(m, "\"a\""));
  assert_false(rpc::has_tag(m, "\"c\""));
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(a_tag_is_missed_or_imagined),
      cmocka_unit_test(a_tag_is_not_that_of_the_bytes),
      cmocka_unit_test(a_second_header_is_not_read),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
