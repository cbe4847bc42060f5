// JSON out: the text of a message, and what has none.
#include "unit/json/support.h"

#include <cstdarg>
#include <cstddef>
#include <csetjmp>
#include <cstring>

extern "C" {
#include <cmocka.h>
}

using namespace json_test;

namespace {

schema::Schema* g_schema;
constexpr const char* kAll = "json.test.All";
const schema::Message* type(const char* name) {
  const schema::Message* m = g_schema->message(name);
  if (!m) fail_msg("no type %s", name);
  return m;
}

void prints(const char* name, const char* wire, const char* want, const json::PrintOptions& o = {}) {
  Printed p = print(type(name), unhex(wire), o);
  if (!p.status.ok()) fail_msg("%s: %s (%s)", wire, p.status.message(), p.status.path());
  if (p.text != want) fail_msg("%s:\n  got  %s\n  want %s", wire, p.text.c_str(), want);
}
void refuses(const char* name, const char* wire, const char* path, const char* message) {
  Printed p = print(type(name), unhex(wire));
  if (p.status.ok()) fail_msg("%s printed as %s", wire, p.text.c_str());
  if (p.status.code() != base::Code::kInvalidArgument || strcmp(p.status.path(), path) != 0 || strcmp(p.status.message(), message) != 0)
    fail_msg("%s: %s %s: %s", wire, base::code_name(p.status.code()), p.status.path(), p.status.message());
  assert_int_equal(p.status.offset(), -1);
  assert_int_equal(p.text.size(), 0);
}

void implicit_defaults_are_left_out_and_explicit_zeros_kept(void**) {
  prints(kAll, "", "{}");
  prints(kAll, "0800 1000 5d00000000 61 0000000000000000 6800 7200 7a00 800100", "{}");
  prints(kAll, "5d00000080", "{\"flt\":-0}");
  prints(kAll, "900100 9a0100 a00100 a80100", "{\"optI32\":0,\"optText\":\"\",\"optYes\":false,\"optColour\":\"NONE\"}");
  prints(kAll, "e80300", "{\"cI32\":0}");
  prints(kAll, "8a0100", "{\"sub\":{}}");
  prints("json.old.Old", "0800 1200", "{\"number\":0,\"text\":\"\"}");
  // An unset message, without a view.
  base::String s;
  assert_true(json::print(nullptr, type(kAll), {}, &s).ok());
  assert_true(json::print(nullptr, type("google.protobuf.Timestamp"), {}, &s).ok());
  assert_true(json::print(nullptr, type("google.protobuf.ListValue"), {}, &s).ok());
  assert_true(s.view() == "{}\"1970-01-01T00:00:00Z\"[]");
}

void numbers_have_their_json_forms(void**) {
  prints(kAll, "08 ffffffffffffffffff01 10 ffffffffffffffffff01 18 ffffffff0f 20 ffffffffffffffffff01 2801 3001",
         "{\"i32\":-1,\"i64\":\"-1\",\"u32\":4294967295,\"u64\":\"18446744073709551615\",\"s32\":-1,\"s64\":\"-1\"}");
  prints(kAll, "3d01000000 410200000000000000 4dffffffff 51feffffffffffffff", "{\"f32\":1,\"f64\":\"2\",\"sf32\":-1,\"sf64\":\"-2\"}");
  prints(kAll, "5d0000c07f 61010000000000f8ff", "{\"flt\":\"NaN\",\"dbl\":\"NaN\"}");
  prints(kAll, "5d000080ff 61000000000000f07f", "{\"flt\":\"-Infinity\",\"dbl\":\"Infinity\"}");
  prints(kAll, "5dcdcccc3d 619a9999999999b93f 6801", "{\"flt\":0.1,\"dbl\":0.1,\"yes\":true}");
}

void enums_print_names_and_unknown_numbers(void**) {
  prints(kAll, "800101", "{\"colour\":\"RED\"}");
  prints(kAll, "80014d", "{\"colour\":77}");
  prints(kAll, "b202020201", "{\"rColour\":[\"BLUE\",\"RED\"]}");
  json::PrintOptions o;
  o.enum_numbers = true;
  prints(kAll, "800101", "{\"colour\":1}", o);
  prints(kAll, "800400", "{\"cNull\":null}", o);
  prints(kAll, "800400", "{\"cNull\":null}");
  // A number that NullValue does not name: as null it would read back as 0.
  prints(kAll, "800402 f80402", "{\"cNull\":2,\"null\":2}");
}

void strings_are_escaped_and_bytes_base64(void**) {
  prints(kAll, "720c 61 22 5c 0a 01 2f c3a9 7f 3c 0800", "{\"text\":\"a\\\"\\\\\\n\\u0001/\xC3\xA9\x7F<\\b\\u0000\"}");
  prints(kAll, "7a02 fbff", "{\"data\":\"+/8=\"}");
  prints(kAll, "a20200 a2020161 aa020100", "{\"rText\":[\"\",\"a\"],\"rData\":[\"AA==\"]}");
  // Whatever the length, and wherever the character that is escaped.
  const schema::Message* m = type(kAll);
  for (size_t n = 1; n < 70; n++)
    for (size_t at = 0; at < n; at++) {
      std::string text(n, 'y'), want(n, 'y'), wire = "\x72";
      text[at] = '\t';
      want.replace(at, 1, "\\t");
      wire += char(n);
      wire += text;
      Printed p = print(m, wire);
      if (p.text != "{\"text\":\"" + want + "\"}") fail_msg("%zu at %zu: %s", n, at, p.text.c_str());
      // The same where more of the input comes behind the string, and as a map's key and value.
      wire[0] = 0x2A;
      p = print(type("json.test.Plain"), wire + "\x52\x28" + std::string(40, '"'));
      std::string quotes;
      for (int i = 0; i < 40; i++) quotes += "\\\"";
      if (p.text != "{\"text\":\"" + want + "\",\"optText\":\"" + quotes + "\"}") fail_msg("%zu at %zu: %s", n, at, p.text.c_str());
      const std::string entry = "\x0A" + wire.substr(1) + "\x12" + wire.substr(1);
      if (entry.size() >= 128) continue;
      p = print(type("json.test.Plain"), "\x72" + std::string(1, char(entry.size())) + entry + "\x82\x01\x28" + std::string(40, 'x'));
      if (p.text != "{\"mText\":{\"" + want + "\":\"" + want + "\"},\"cText\":\"" + std::string(40, 'x') + "\"}")
        fail_msg("%zu at %zu: %s", n, at, p.text.c_str());
    }
}

void plain_messages_print_as_others_do(void**) {
  const char* name = "json.test.Plain";
  prints(name, "", "{}");
  prints(name, "0800 1000 2a00 5200 5800", "{\"optText\":\"\",\"optS64\":\"0\"}");
  prints(name, "08ffffffffffffffffff01 10ffffffffffffffffff01 18ffffffff0f 21ffffffffffffffff",
         "{\"i32\":-1,\"i64\":\"-1\",\"u32\":4294967295,\"f64\":\"18446744073709551615\"}");
  prints(name, "108080808080808080 8001 58ffffffffffffffffff01", "{\"i64\":\"-9223372036854775808\",\"optS64\":\"-9223372036854775808\"}");
  prints(name, "3801 4001", "{\"colour\":\"RED\",\"yes\":true}");
  prints(name, "3807 49000000000000f03f", "{\"colour\":7,\"dbl\":1}");
  prints(name, "6200 620161", "{\"rText\":[\"\",\"a\"]}");
  prints(name, "6a00 6a020801 6a00", "{\"rSub\":[{},{\"i32\":1},{}]}");
  prints(name, "7a021200 7a0408011200", "{\"mSub\":{\"0\":{},\"1\":{}}}");
  prints(name, "820100", "{\"cText\":\"\"}");
  prints(name, "8a0100", "{\"cSub\":{}}");
  prints(name, "900100", "{\"cU64\":\"0\"}");
  prints(name, "980100", "{\"cColour\":\"NONE\"}");
  prints(name, "a00100", "{\"cNull\":null}");
  prints(name, "aa0100 b20101 61 c2010161",
         "{\"time\":\"1970-01-01T00:00:00Z\",\"\\\"own\\\"\":\"a\",\"longNameOfAFieldThatTakesMoreThanOneBlock\":\"a\"}");
  refuses(name, "6a00 6a11 8a010e aa010b 10ffffffffffffffffff01", "r_sub[1].c_sub.time", "a timestamp outside of the years 1 to 9999, or with wrong nanos");
}

void a_string_that_is_not_utf8_is_not_printed(void**) {
  refuses("json.old.Old", "1202 c328", "text", "a string that is not UTF-8 has no JSON form");
  refuses("json.old.Old", "33 1203 1201ff 34", "part.b[0].text", "a string that is not UTF-8 has no JSON form");
}

void maps_have_string_keys(void**) {
  prints(kAll, "9a03060a0161120162 9a03040a001200", "{\"mText\":{\"a\":\"b\",\"\":\"\"}}");
  prints(kAll, "a203020802 a2030d08ffffffffffffffffff011003", "{\"mI32\":{\"2\":0,\"-1\":3}}");
  prints(kAll, "aa030d08ffffffffffffffffff011200", "{\"mSub\":{\"18446744073709551615\":{}}}");
  prints(kAll, "aa030208 05", "{\"mSub\":{\"5\":{}}}");
  prints(kAll, "b20304 08001001 b2030408011002", "{\"mColour\":{\"false\":\"RED\",\"true\":\"BLUE\"}}");
  prints(kAll, "ba0305 0801120100", "{\"mData\":{\"-1\":\"AA==\"}}");
  // Decoded once: the last of equal keys.
  prints(kAll, "9a03060a0161120162 9a03060a0161120163", "{\"mText\":{\"a\":\"c\"}}");
}

void well_known_types_have_their_own_forms(void**) {
  prints(kAll, "ba0400", "{\"time\":\"1970-01-01T00:00:00Z\"}");
  prints(kAll, "ba0405 1080ade204", "{\"time\":\"1970-01-01T00:00:00.010Z\"}");
  prints(kAll, "ba0403 10e807", "{\"time\":\"1970-01-01T00:00:00.000001Z\"}");
  prints(kAll, "ba040d 08ffffffffffffffffff01 1001", "{\"time\":\"1969-12-31T23:59:59.000000001Z\"}");
  prints(kAll, "c20400", "{\"span\":\"0s\"}");
  prints(kAll, "c2040b 10ffffffffffffffffff01", "{\"span\":\"-0.000000001s\"}");
  prints(kAll, "c20408 08011080cab5ee01", "{\"span\":\"1.500s\"}");
  prints(kAll, "ca0400", "{\"mask\":\"\"}");
  prints(kAll, "ca0411 0a03666f6f 0a0a6261725f62617a2e7131", "{\"mask\":\"foo,barBaz.q1\"}");
  prints(kAll, "d20400 e20400 ea0400", "{\"object\":{},\"list\":[],\"empty\":{}}");
  prints(kAll, "d20410 0a0e0a0161120911000000000000f03f", "{\"object\":{\"a\":1}}");
  prints(kAll, "da0411 320f 0a020800 0a09 3207 0a05 1a034e614e", "{\"value\":[null,[\"NaN\"]]}");
  prints(kAll, "8a05020801 920500 9a0500 a20500 aa0500 b20500 ba0500 c20500 ca0500",
         "{\"wBool\":true,\"wI32\":0,\"wI64\":\"0\",\"wU32\":0,\"wU64\":\"0\",\"wFlt\":0,\"wDbl\":0,\"wText\":\"\",\"wData\":\"\"}");
  prints("google.protobuf.BoolValue", "0801", "true");
}

void what_has_no_json_form_is_an_error_with_its_path(void**) {
  refuses(kAll, "ba0407 0880d2cfa8b107", "time", "a timestamp outside of the years 1 to 9999, or with wrong nanos");
  refuses(kAll, "ba040b 10ffffffffffffffffff01", "time", "a timestamp outside of the years 1 to 9999, or with wrong nanos");
  refuses(kAll, "da0506 108094ebdc03", "r_time[0]", "a timestamp outside of the years 1 to 9999, or with wrong nanos");
  refuses(kAll, "c2040d 0801 10ffffffffffffffffff01", "span", "a duration whose seconds and nanos differ in sign");
  refuses(kAll, "c20407 0881f0eccf9709", "span", "a duration beyond 315,576,000,000 seconds, or with wrong nanos");
  refuses(kAll, "ca0408 0a06666f6f426172", "mask", "a field mask's path that does not come back from lowerCamel");
  refuses(kAll, "ca0407 0a05615f335f62", "mask", "a field mask's path that does not come back from lowerCamel");
  refuses(kAll, "ca0406 0a04615f5f62", "mask", "a field mask's path that does not come back from lowerCamel");
  refuses(kAll, "ca0404 0a02615f", "mask", "a field mask's path that does not come back from lowerCamel");
  refuses(kAll, "ca0402 0a00", "mask", "an empty path in a field mask");
  refuses(kAll, "da0409 11000000000000f87f", "value", "NaN and infinity have no JSON form in a Value");
  refuses(kAll, "da0400", "value", "a Value without a kind has no JSON form");
  refuses(kAll, "d20412 0a10 0a026b79 120a 3208 0a0020 00 0a022000", "object[\"ky\"][0]", "a Value without a kind has no JSON form");
}

void an_any_prints_what_it_holds(void**) {
  prints(kAll, "f20400", "{\"any\":{}}");
  prints(kAll, "f20415 0a0f782f6a736f6e2e746573742e416c6c 12020801", "{\"any\":{\"@type\":\"x/json.test.All\",\"i32\":1}}");
  prints(kAll, "f20411 0a0f782f6a736f6e2e746573742e416c6c", "{\"any\":{\"@type\":\"x/json.test.All\"}}");
  prints(kAll, "f20420 0a1a612f676f6f676c652e70726f746f6275662e4475726174696f6e 12020801",
         "{\"any\":{\"@type\":\"a/google.protobuf.Duration\",\"value\":\"1s\"}}");
  refuses(kAll, "f20409 0a07782f6e6f2e4d79", "any", "the schema has no type of that Any");
  refuses(kAll, "f20403 0a0178", "any", "the type URL of an Any without a slash");
}

void groups_extensions_and_options(void**) {
  prints("json.old.Old", "33 0801 34 3b 3c", "{\"part\":{\"a\":1},\"parts\":[{}]}");
  prints("json.old.Old", "a00607 aa060161 ba06020102 f2060909000000000000f03f",
         "{\"[json.old.ext]\":7,\"[json.old.ext_texts]\":[\"a\"],\"[json.old.ext_packed]\":[1,2],\"[json.old.Scope.inner]\":{\"d\":1}}");
  json::PrintOptions o;
  o.proto_names = true;
  prints(kAll, "900101 a2020161", "{\"opt_i32\":1,\"r_text\":[\"a\"]}", o);
  prints("json.test.Names", "1001 5001", "{\"fieldName2\":1,\"a \\\"quoted\\\" \\\\ name\":1}");
  prints("json.test.Names", "1001 5001", "{\"field_name2\":1,\"own\":1}", o);
  json::PrintOptions pretty;
  pretty.pretty = true;
  prints(kAll, "", "{}", pretty);
  prints(kAll, "0801 8a0100 fa01020102 9a03060a0161120162 ba0202 0801",
         "{\n  \"i32\": 1,\n  \"sub\": {},\n  \"rI32\": [\n    1,\n    2\n  ],\n  \"rSub\": [\n    {\n      \"i32\": 1\n    }\n  ],\n"
         "  \"mText\": {\n    \"a\": \"b\"\n  }\n}",
         pretty);
}

void unknown_fields_are_not_printed(void**) { prints(kAll, "a03e01 0801 a23e00", "{\"i32\":1}"); }

void a_wide_sparse_message_prints_what_is_set(void**) {
  prints("json.test.Wide", "0801 aa01026869 c80200 ea03020102 8a05020805 d80500 a80601",
         "{\"a1\":1,\"c1\":\"hi\",\"e1\":0,\"g1\":[1,2],\"i1\":{\"a1\":5},\"j1\":0,\"k1\":true}");
}

void depth_is_bounded(void**) {
  std::string wire;
  for (int i = 0; i < 60; i++) {
    std::string outer = "\x8a\x01";
    size_t n = wire.size();
    if (n >= 128) outer += char((n & 127) | 128), n >>= 7;
    outer += char(n);
    wire = outer + wire;
  }
  json::PrintOptions o;
  o.max_depth = 61;
  assert_true(print(type(kAll), wire, o).status.ok());
  o.max_depth = 60;
  assert_int_equal(int(print(type(kAll), wire, o).status.code()), int(base::Code::kResourceExhausted));
}

void an_error_leaves_the_output_as_it_was(void**) {
  std::string wire = unhex("7203616263 da0400");
  base::Arena arena;
  auto v = view::decode(type(kAll), base::Slice(wire), false, {}, &arena);
  assert_true(v.ok());
  base::String s;
  s.append("before");
  assert_false(json::print(*v, nullptr, {}, &s).ok());
  assert_true(s.view() == "before");
  assert_true(s.ok());
}

int setup(void**) {
  g_schema = load();
  return 0;
}
int teardown(void**) {
  g_schema->release();
  return 0;
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(implicit_defaults_are_left_out_and_explicit_zeros_kept),
      cmocka_unit_test(numbers_have_their_json_forms),
      cmocka_unit_test(enums_print_names_and_unknown_numbers),
      cmocka_unit_test(strings_are_escaped_and_bytes_base64),
      cmocka_unit_test(plain_messages_print_as_others_do),
      cmocka_unit_test(a_string_that_is_not_utf8_is_not_printed),
      cmocka_unit_test(maps_have_string_keys),
      cmocka_unit_test(well_known_types_have_their_own_forms),
      cmocka_unit_test(what_has_no_json_form_is_an_error_with_its_path),
      cmocka_unit_test(an_any_prints_what_it_holds),
      cmocka_unit_test(groups_extensions_and_options),
      cmocka_unit_test(unknown_fields_are_not_printed),
      cmocka_unit_test(a_wide_sparse_message_prints_what_is_set),
      cmocka_unit_test(depth_is_bounded),
      cmocka_unit_test(an_error_leaves_the_output_as_it_was),
  };
  return cmocka_run_group_tests(tests, setup, teardown);
}
