// Text format out: exact characters, and that what is printed reads as the same message.
#include "unit/text/support.h"

#include <cstdarg>
#include <cstddef>
#include <csetjmp>

extern "C" {
#include <cmocka.h>
}

using namespace text_test;
using namespace std::string_literals;

namespace {

const schema::Message *g_all, *g_set;

void prints(const std::string& wire, const char* want, const text::PrintOptions& o = {}) {
  Printed p = print(g_all, wire, o);
  if (!p.status.ok()) fail_msg("%s", p.status.message());
  assert_string_equal(p.text.c_str(), want);
}
std::string wire_of(std::string_view text) {
  Parsed p = parse(g_all, text);
  if (!p.status.ok()) fail_msg("%s", p.status.message());
  return p.wire;
}

constexpr const char* kEverything =
    "i32: -1 i64: -9223372036854775808 u32: 4294967295 u64: 18446744073709551615 f: inf d: -nan b: true s: \"a\\n\\\"\xc3\xa9\" "
    "y: \"\\303\\251\\000\" colour: GREEN sub { i32: 0 } r: [1, 2] rs: [\"a\", \"b\"] rsub {} rsub { one: 0 } m { key: \"k\" value: 0 } "
    "msub { key: -1 value { s: \"\" } } Data { x: 1 } two: \"t\" any { [a.com/text.test.Item] { n: 5 } } [text.test.ext]: 7 "
    "[text.test.ext_sub] { i32: 1 }";

void a_line_with_everything_comes_back(void**) {
  std::string text(kEverything), want = text;
  want.replace(want.find("-nan"), 4, "nan");
  prints(wire_of(text), want.c_str());
  text::PrintOptions pretty;
  pretty.pretty = true;
  assert_true(wire_of(print(g_all, wire_of(want), pretty).text) == wire_of(want));
}

void pretty_text_has_a_line_for_each_field(void**) {
  text::PrintOptions o;
  o.pretty = true;
  prints(wire_of("i32: 1 sub { sub {} s: 'x' } r: [1]"), "i32: 1\nsub {\n  s: \"x\"\n  sub {}\n}\nr: [1]", o);
}

void nothing_of_a_message_breaks_a_logs_line(void**) {
  prints(wire_of("s: '\\n\\r\\t\\001\\033[0m'"), "s: \"\\n\\r\\t\\001\\033[0m\"");
  prints("\x42\x02\xff\n"s, "s: \"\\377\\n\"");
}

void secrets_are_redacted_when_asked(void**) {
  text::PrintOptions o;
  o.redact = true;
  prints(wire_of("secret: 'x' i32: 1"), "i32: 1 secret: [REDACTED]", o);
  prints(wire_of("secret: 'x'"), "secret: \"x\"");
}

void unknown_fields_go_by_number_as_what_they_could_be(void**) {
  text::PrintOptions o;
  o.unknown = true;
  std::string wire = "\xc0\x3e\x05" "\xcd\x3e\x01\x00\x00\x00" "\xd1\x3e\x02\x00\x00\x00\x00\x00\x00\x00" "\xda\x3e\x02\x08\x01" "\xda\x3e\x02\xff\xff"
                     "\xda\x3e\x00" "\xe3\x3e\x08\x07\xe4\x3e"s;
  prints(wire, "1000: 5 1001: 0x00000001 1002: 0x0000000000000002 1003 { 1: 1 } 1003: \"\\377\\377\" 1003: \"\" 1004 { 1: 7 }", o);
  prints(wire, "");
  prints("\x50\x07"s, "10: 7", o);  // a closed enum's stranger
}

void an_any_that_cannot_be_expanded_is_printed_as_it_is(void**) {
  prints(wire_of("any { type_url: 'a.com/none.Type' value: 'x' }"), "any { type_url: \"a.com/none.Type\" value: \"x\" }");
  prints(wire_of("any { type_url: 'a.com/text.test.Item' value: '\\377' }"), "any { type_url: \"a.com/text.test.Item\" value: \"\\377\" }");
  prints(wire_of("any { type_url: 'a b/text.test.Item' }"), "any { type_url: \"a b/text.test.Item\" }");
}

void a_message_set_names_its_messages(void**) {
  Parsed p = parse(g_set, "[text.test.Item] { n: 1 }");
  assert_true(p.status.ok());
  assert_string_equal(print(g_set, p.wire).text.c_str(), "[text.test.Item] { n: 1 }");
}

void output_stops_at_its_bound(void**) {
  std::string wire = wire_of("s: '" + std::string(5000, 'x') + "' rs: ['a']");
  text::PrintOptions o;
  o.max_output = 1000;
  Printed p = print(g_all, wire, o);
  assert_int_equal(int(p.status.code()), int(base::Code::kResourceExhausted));
  assert_int_equal(p.text.size(), 0);
  bool cut = false;
  o.cut = &cut;
  p = print(g_all, wire, o);
  assert_true(p.status.ok() && cut);
  assert_true(p.text.size() <= 1000 && p.text.size() > 700);
}

void a_null_view_is_the_empty_message(void**) {
  base::String s;
  assert_true(text::print(nullptr, {}, &s).ok());
  assert_int_equal(s.size(), 0);
}

int set_up(void**) {
  const schema::Schema* s = load();
  g_all = s->message("text.test.All");
  g_set = s->message("text.test.Set");
  const_cast<schema::Field*>(g_all->by_proto_name("secret"))->debug_redact = true;
  return g_all && g_set ? 0 : 1;
}
int tear_down(void**) {
  g_all->schema->release();
  return 0;
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(a_line_with_everything_comes_back),
      cmocka_unit_test(pretty_text_has_a_line_for_each_field),
      cmocka_unit_test(nothing_of_a_message_breaks_a_logs_line),
      cmocka_unit_test(secrets_are_redacted_when_asked),
      cmocka_unit_test(unknown_fields_go_by_number_as_what_they_could_be),
      cmocka_unit_test(an_any_that_cannot_be_expanded_is_printed_as_it_is),
      cmocka_unit_test(a_message_set_names_its_messages),
      cmocka_unit_test(output_stops_at_its_bound),
      cmocka_unit_test(a_null_view_is_the_empty_message),
  };
  return cmocka_run_group_tests(tests, set_up, tear_down);
}
