// Text format in: what is read, as bytes; what is refused, with code, byte and path.
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

const schema::Message *g_all, *g_set, *g_strict;

void reads(const schema::Message* type, std::string_view text, const std::string& wire) {
  Parsed p = parse(type, text);
  if (!p.status.ok()) fail_msg("%.*s: %s", int(text.size()), text.data(), p.status.message());
  if (p.wire != wire) fail_msg("%.*s: other bytes", int(text.size()), text.data());
}
void refuses(const schema::Message* type, std::string_view text, int64_t offset, const char* path, const char* message,
             base::Code code = base::Code::kInvalidArgument) {
  Parsed p = parse(type, text);
  if (p.status.ok()) fail_msg("%.*s: accepted", int(text.size()), text.data());
  assert_int_equal(int(p.status.code()), int(code));
  assert_string_equal(p.status.message(), message);
  assert_string_equal(p.status.path(), path);
  assert_int_equal(p.status.offset(), offset);
}

void numbers_are_read_in_every_base_and_exactly(void**) {
  reads(g_all, "i32: -0x80000000", "\x08\x80\x80\x80\x80\xf8\xff\xff\xff\xff\x01"s);
  reads(g_all, "i32: 0777", "\x08\xff\x03"s);
  reads(g_all, "u64: 0xFFFFFFFFFFFFFFFF", "\x20\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"s);
  reads(g_all, "i32: - # sign\n 1", "\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"s);
  refuses(g_all, "i32: 2147483648", 5, "i32", "line 1, column 6: integer out of range");
  refuses(g_all, "i32: -2147483649", 5, "i32", "line 1, column 6: integer out of range");
  refuses(g_all, "u32: -1", 5, "u32", "line 1, column 6: expected an integer");
  refuses(g_all, "u64: 18446744073709551616", 5, "u64", "line 1, column 6: integer out of range");
  refuses(g_all, "i32: 1.0", 5, "i32", "line 1, column 6: expected an integer");
  refuses(g_all, "i32: 08", 6, "i32", "line 1, column 7: something right behind a number");
  refuses(g_all, "i32: 1i64: 2", 6, "i32", "line 1, column 7: something right behind a number");
}

void floats_overflow_to_infinity_and_keep_the_sign_of_zero(void**) {
  reads(g_all, "f: 1e39", "\x2d\x00\x00\x80\x7f"s);
  reads(g_all, "f: -1e39f", "\x2d\x00\x00\x80\xff"s);
  reads(g_all, "f: -0", "\x2d\x00\x00\x00\x80"s);
  reads(g_all, "f: .5 ", "\x2d\x00\x00\x00\x3f"s);
  reads(g_all, "f: 1.e0F", "\x2d\x00\x00\x80\x3f"s);
  reads(g_all, "d: -INFINITY", "\x31\x00\x00\x00\x00\x00\x00\xf0\xff"s);
  reads(g_all, "d: 1e-999", "\x31\x00\x00\x00\x00\x00\x00\x00\x00"s);
  refuses(g_all, "f: 0x1", 3, "f", "line 1, column 4: a float is decimal");
  refuses(g_all, "f: 01", 3, "f", "line 1, column 4: a float is decimal");
  refuses(g_all, "f: 1e", 5, "f", "line 1, column 6: a number without digits in its exponent");
  refuses(g_all, "f: infinite", 3, "f", "line 1, column 4: expected a number");
}

void strings_join_and_escapes_do_not_wrap(void**) {
  reads(g_all, "s: 'a\"' \"b'\" # c\n 'd'", "\x42\x05""a\"b'd"s);
  reads(g_all, R"(y: "\a\b\f\n\r\t\v\?\\\'\"\101\x41\300\xff")", "\x4a\x0f\a\b\f\n\r\t\v?\\'\"AA\300\xff"s);
  reads(g_all, R"(s: "\u00e9\U0001F600")", "\x42\x06\xc3\xa9\xf0\x9f\x98\x80"s);
  reads(g_all, "s: '' ''", "\x42\x00"s);
  refuses(g_all, R"(y: "\400")", 4, "y", "line 1, column 5: an octal escape beyond \\377");
  refuses(g_all, R"(s: "\ud800")", 4, "s", "line 1, column 5: no such code point");
  refuses(g_all, R"(s: "\U00110000")", 4, "s", "line 1, column 5: no such code point");
  refuses(g_all, R"(s: "\q")", 4, "s", "line 1, column 5: a bad escape");
  refuses(g_all, "s: \"a\nb\"", 5, "s", "line 1, column 6: a line's end or a zero within a string");
  refuses(g_all, "s: 'a", 3, "s", "line 1, column 4: a string without its closing quote");
  refuses(g_strict, R"(s: "\300")", 3, "s", "line 1, column 4: a string is not valid UTF-8");
  reads(g_strict, R"(y: "\300")", "\x12\x01\xc0"s);
}

void separators_come_once(void**) {
  reads(g_all, "i32: 1, i64: 2; sub < i32: 3 >, b: t", "\x08\x01\x10\x02\x5a\x02\x08\x03\x38\x01"s);
  refuses(g_all, "i32: 1,, i64: 2", 7, "", "line 1, column 8: expected a field's name");
  refuses(g_all, "sub { i32: 1 >", 13, "sub", "line 1, column 14: expected a field's name");
  refuses(g_all, "sub {", 5, "sub", "line 1, column 6: expected a field or }");
  refuses(g_all, "i32 1", 4, "i32", "line 1, column 5: expected a colon");
  refuses(g_all, "}", 0, "", "line 1, column 1: expected a field's name");
}

void lists_and_packed_runs(void**) {
  reads(g_all, "r: [1, 2] r: 3 loose: [1,2]", "\x62\x03\x01\x02\x03\xb8\x01\x01\xb8\x01\x02"s);
  reads(g_all, "r: [] rsub: [] rsub: [{}, <>]", "\x72\x00\x72\x00"s);
  refuses(g_all, "r: [1,]", 6, "r[1]", "line 1, column 7: expected a value");
  refuses(g_all, "i32: [1]", 5, "i32", "line 1, column 6: expected a value");
  refuses(g_all, "rsub {} rsub { rsub { i32: x } }", 27, "rsub[1].rsub[0].i32", "line 1, column 28: expected an integer");
  refuses(g_all, "rs: ['a', 'b'\n, 3]", 16, "rs[2]", "line 2, column 3: expected a string");
}

void singular_fields_come_once(void**) {
  refuses(g_all, "i32: 1 i32: 1", 7, "i32", "line 1, column 8: the field comes twice");
  refuses(g_all, "sub {} sub {}", 7, "sub", "line 1, column 8: the field comes twice");
  refuses(g_all, "one: 1 two: ''", 7, "two", "line 1, column 8: another field of the same oneof was set before");
  refuses(g_all, "[text.test.ext]: 1 [text.test.ext]: 1", 19, "[text.test.ext]", "line 1, column 20: the field comes twice");
}

void maps_are_entries_and_a_key_may_come_again(void**) {
  reads(g_all, "m { key: 'a' value: 1 } m < value: 2 key: 'a' >", "\x7a\x05\x0a\x01""a\x10\x01\x7a\x05\x10\x02\x0a\x01""a"s);
}

void groups_go_by_two_names(void**) {
  reads(g_all, "Data { x: 1 }", "\x8b\x01\x08\x01\x8c\x01"s);
  reads(g_all, "data: { x: 1 }", "\x8b\x01\x08\x01\x8c\x01"s);
  refuses(g_all, "DATA { x: 1 }", 0, "DATA", "line 1, column 1: no field \"DATA\" in text.test.All");
}

void enums_by_name_and_number(void**) {
  reads(g_all, "colour: GREEN", "\x50\x01"s);
  reads(g_all, "colour: 1", "\x50\x01"s);
  refuses(g_all, "colour: 7", 8, "colour", "line 1, column 9: no such number in a closed enum");
  refuses(g_all, "colour: BLUE", 8, "colour", "line 1, column 9: no value \"BLUE\" in enum text.test.Colour");
  reads(g_strict, "open: -7", "\x20\xf9\xff\xff\xff\xff\xff\xff\xff\xff\x01"s);
}

void extensions_by_full_name(void**) {
  reads(g_all, "[ text . test # comment\n .ext ]: 5", "\xa0\x06\x05"s);
  refuses(g_all, "[text.test.none]: 5", 0, "", "line 1, column 1: no extension \"text.test.none\" of text.test.All");
  refuses(g_all, "[te xt.test.ext]: 5", 4, "", "line 1, column 5: white space within a name");
  // In a MessageSet by the name of the message too.
  Parsed by_message = parse(g_set, "[text.test.Item] { n: 1 }"), by_name = parse(g_set, "[text.test.Item.item] { n: 1 }");
  assert_true(by_message.status.ok());
  assert_true(by_message.wire == by_name.wire);
}

void anys_are_expanded_in_place(void**) {
  reads(g_all, "any { [ a.com / b%2F / text.test.Item ] { n: 1 } }", "\xa2\x01\x1f\x0a\x19""a.com/b%2F/text.test.Item\x12\x02\x08\x01"s);
  refuses(g_all, "any { [a.com/text.test.None] {} }", 6, "any", "line 1, column 7: no type \"text.test.None\" in the schema");
  refuses(g_all, "[a.com/text.test.Item] {}", 0, "", "line 1, column 1: a type URL outside of an Any");
  refuses(g_all, "any { [a/text.test.Item] {} [a/text.test.Item] {} }", 28, "any.value", "line 1, column 29: the field comes twice");
  refuses(g_all, "any { [a/text.test.Item] { n: z } }", 30, "any.value.n", "line 1, column 31: expected an integer");
}

void reserved_names_are_skipped_with_any_value(void**) {
  reads(g_all, "gone: 1 away { x: 'a' 'b' [y.z]: -inf w < z: [1, {a: b}] > } gone: [0x1, <>] gone: -nan i32: 1", "\x08\x01"s);
  refuses(g_all, "gone: -x", 6, "", "line 1, column 7: expected a number");
  refuses(g_all, "sub { lost: 1 }", 6, "sub.lost", "line 1, column 7: no field \"lost\" in text.test.All");
  text::ParseOptions o;
  o.ignore_unknown = true;
  Parsed p = parse(g_all, "lost: 1 77: 'x' [no.ext] {} colour: BLUE r: [1] i32: 2", o);
  assert_true(p.status.ok());
  assert_true(p.wire == "\x62\x01\x01\x08\x02"s);
}

void limits_hold(void**) {
  std::string deep;
  for (int i = 0; i < 101; i++) deep += "sub {";
  Parsed p = parse(g_all, deep);
  assert_int_equal(int(p.status.code()), int(base::Code::kResourceExhausted));
  deep = "gone {";
  for (int i = 0; i < 1000000; i++) deep += "a {";
  assert_int_equal(int(parse(g_all, deep).status.code()), int(base::Code::kResourceExhausted));
  text::ParseOptions o;
  o.max_output = 3;
  assert_int_equal(int(parse(g_all, "s: 'abcd'", o).status.code()), int(base::Code::kResourceExhausted));
}

void implicit_defaults_leave_no_bytes(void**) { reads(g_strict, "n: 0 s: '' open: ZERO y: ''", ""s); }

int set_up(void**) {
  const schema::Schema* s = load();
  g_all = s->message("text.test.All");
  g_set = s->message("text.test.Set");
  g_strict = s->message("text.strict.Strict");
  return g_all && g_set && g_strict ? 0 : 1;
}
int tear_down(void**) {
  g_all->schema->release();
  return 0;
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(numbers_are_read_in_every_base_and_exactly),
      cmocka_unit_test(floats_overflow_to_infinity_and_keep_the_sign_of_zero),
      cmocka_unit_test(strings_join_and_escapes_do_not_wrap),
      cmocka_unit_test(separators_come_once),
      cmocka_unit_test(lists_and_packed_runs),
      cmocka_unit_test(singular_fields_come_once),
      cmocka_unit_test(maps_are_entries_and_a_key_may_come_again),
      cmocka_unit_test(groups_go_by_two_names),
      cmocka_unit_test(enums_by_name_and_number),
      cmocka_unit_test(extensions_by_full_name),
      cmocka_unit_test(anys_are_expanded_in_place),
      cmocka_unit_test(reserved_names_are_skipped_with_any_value),
      cmocka_unit_test(limits_hold),
      cmocka_unit_test(implicit_defaults_leave_no_bytes),
  };
  return cmocka_run_group_tests(tests, set_up, tear_down);
}
