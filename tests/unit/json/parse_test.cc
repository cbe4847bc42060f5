// JSON in: what is accepted, as wire bytes; what is not, with code, byte and path.
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
const schema::Message* type(const char* name) {
  const schema::Message* m = g_schema->message(name);
  if (!m) fail_msg("no type %s", name);
  return m;
}

struct Good {
  const char* json;
  const char* wire;  // hexadecimal
};
struct Bad {
  const char* json;
  int64_t offset;
  const char* path;
  const char* message;
};

void accept(const char* name, const Good& g, const json::ParseOptions& o = {}) {
  Parsed p = parse(type(name), g.json, o);
  if (!p.status.ok()) fail_msg("%s: %s (%s)", g.json, p.status.message(), p.status.path());
  std::string got = hex(p.wire), want = hex(unhex(g.wire));
  if (got != want) fail_msg("%s:\n  got  %s\n  want %s", g.json, got.c_str(), want.c_str());
}

void refuse(const char* name, const Bad& b, base::Code code = base::Code::kInvalidArgument, const json::ParseOptions& o = {}) {
  Parsed p = parse(type(name), b.json, o);
  if (p.status.ok()) fail_msg("accepted: %s as %s", b.json, hex(p.wire).c_str());
  if (p.status.code() != code || p.status.offset() != b.offset || strcmp(p.status.path(), b.path) != 0 ||
      strcmp(p.status.message(), b.message) != 0)
    fail_msg("%s:\n  got  %s %lld %s: %s\n  want %lld %s: %s", b.json, base::code_name(p.status.code()), (long long)p.status.offset(),
             p.status.path(), p.status.message(), (long long)b.offset, b.path, b.message);
}

constexpr const char* kAll = "json.test.All";

void a_message_is_an_object_and_nothing_else(void**) {
  const Bad bad[] = {
      {"", 0, "", "line 1, column 1: expected an object"},
      {"null", 0, "", "line 1, column 1: expected an object"},
      {"[]", 0, "", "line 1, column 1: expected an object"},
      {"\"x\"", 0, "", "line 1, column 1: expected an object"},
      {"{}{}", 2, "", "line 1, column 3: something behind the end"},
      {"{} // no", 3, "", "line 1, column 4: something behind the end"},
      {"{/**/}", 1, "", "line 1, column 2: expected a name in quotes"},
      {"{\"i32\":1,}", 9, "", "line 1, column 10: expected a name in quotes"},
      {"{\"i32\":1", 8, "", "line 1, column 9: expected a comma or the object's end"},
      {"{'i32':1}", 1, "", "line 1, column 2: expected a name in quotes"},
      {"{i32:1}", 1, "", "line 1, column 2: expected a name in quotes"},
      {"{\"i32\"}", 6, "", "line 1, column 7: expected a colon"},
      {"{\"sub\":[]}", 7, "sub", "line 1, column 8: expected an object"},
      {"{\"sub\":1}", 7, "sub", "line 1, column 8: expected an object"},
      {"{\n \"sub\": {\n  \"i32\": x}}", 21, "sub.i32", "line 3, column 10: expected an integer"},
      {"{\"bogus\":1}", 1, "bogus", "line 1, column 2: no field \"bogus\" in json.test.All"},
      {"{\"sub\":{\"\":1}}", 8, "sub", "line 1, column 9: no field \"\" in json.test.All"},
      {"{\"[json.old.ext]\":1}", 1, "[json.old.ext]", "line 1, column 2: no field \"[json.old.ext]\" in json.test.All"},
  };
  for (const Bad& b : bad) refuse(kAll, b);
  accept(kAll, {" \t\r\n{ } ", ""});
  accept(kAll, {"{\"sub\":{}}", "8a0100"});
  accept(kAll, {"{\"sub\" : { \"sub\" :{\"i32\": 1}\n}}", "8a0105 8a0102 0801"});
}

void names_are_read_in_both_spellings(void**) {
  const Good good[] = {
      {"{\"optI32\":1}", "900101"},
      {"{\"opt_i32\":1}", "900101"},
      {"{\"opt\\u005fi32\":1}", "900101"},
      {"{\"\\u006fptI32\":1}", "900101"},
  };
  for (const Good& g : good) accept(kAll, g);
  const Good names[] = {
      {"{\"fieldname1\":1,\"fieldName2\":2,\"FieldName3\":3,\"fieldName4\":4,\"field0name5\":5,\"field0Name6\":6,\"fieldName7\":7,"
       "\"FieldName8\":8,\"FIELDNAME9\":9,\"a \\\"quoted\\\" \\\\ name\":10}",
       "0801 1002 1803 2004 2805 3006 3807 4008 4809 500a"},
      {"{\"field_name2\":2,\"_field_name3\":3,\"field__name4_\":4,\"field_0_name6\":6,\"FIELD_NAME9\":9,\"own\":10}",
       "1002 1803 2004 3006 4809 500a"},
  };
  for (const Good& g : names) accept("json.test.Names", g);
  // A name's own quote must not end the text's.
  refuse("json.test.Names", {"{\"a \"quoted\" \\ name\":10}", 1, "a ", "line 1, column 2: no field \"a \" in json.test.Names"});
}

void a_field_comes_once(void**) {
  const Bad bad[] = {
      {"{\"i32\":1,\"i32\":1}", 9, "i32", "line 1, column 10: the field comes twice"},
      {"{\"optI32\":1,\"opt_i32\":1}", 12, "opt_i32", "line 1, column 13: the field comes twice"},
      {"{\"i32\":1,\"\\u0069\\u00332\":1}", 9, "i32", "line 1, column 10: the field comes twice"},
      {"{\"sub\":{},\"sub\":{}}", 10, "sub", "line 1, column 11: the field comes twice"},
      {"{\"rI32\":[],\"rI32\":[]}", 11, "r_i32", "line 1, column 12: the field comes twice"},
      {"{\"cI32\":1,\"cText\":\"\"}", 10, "c_text", "line 1, column 11: another field of the same oneof was set before"},
      {"{\"cNull\":null,\"cI32\":1}", 14, "c_i32", "line 1, column 15: another field of the same oneof was set before"},
      {"{\"cI32\":1,\"cI32\":2}", 10, "c_i32", "line 1, column 11: the field comes twice"},
      {"{\"sub\":{\"sub\":{\"i32\":0,\"i32\":0}}}", 23, "sub.sub.i32", "line 1, column 24: the field comes twice"},
  };
  for (const Bad& b : bad) refuse(kAll, b);
  // The bits of an object are its own.
  accept(kAll, {"{\"i32\":1,\"sub\":{\"i32\":2,\"sub\":{\"i32\":3}},\"rSub\":[{\"i32\":4},{\"i32\":5}]}", "0801 8a0107 0802 8a0102 0803 ba02020804 ba02020805"});
}

void null_unsets(void**) {
  const Good good[] = {
      {"{\"i32\":null,\"text\":null,\"sub\":null,\"rI32\":null,\"mI32\":null,\"optI32\":null,\"colour\":null,\"wI32\":null,"
       "\"time\":null,\"object\":null,\"list\":null,\"any\":null,\"empty\":null}", ""},
      {"{\"cI32\":null,\"cText\":\"a\"}", "f203 0161"},
      {"{\"cText\":\"a\",\"cI32\":null}", "f203 0161"},
      {"{\"value\":null}", "da0402 0800"},
      {"{\"cValue\":null}", "8a0402 0800"},
      {"{\"cNull\":null}", "800400"},
      {"{\"cNull\":\"NULL_VALUE\"}", "800400"},
      {"{\"null\":null}", ""},
      {"{\"rValue\":[null,1]}", "e205020800 e20509 11000000000000f03f"},
      {"{\"mValue\":{\"a\":null}}", "f20507 0a0161 12020800"},
  };
  for (const Good& g : good) accept(kAll, g);
  const Bad bad[] = {
      {"{\"rI32\":[1,null]}", 11, "r_i32[1]", "line 1, column 12: null in an array"},
      {"{\"rText\":[null]}", 10, "r_text[0]", "line 1, column 11: null in an array"},
      {"{\"rSub\":[ null]}", 10, "r_sub[0]", "line 1, column 11: null in an array"},
      {"{\"rWI32\":[null]}", 10, "r_w_i32[0]", "line 1, column 11: null in an array"},
      {"{\"mI32\":{\"1\":null}}", 13, "m_i32[1]", "line 1, column 14: null in a map"},
      {"{\"mText\":{\"k\":null}}", 14, "m_text[\"k\"]", "line 1, column 15: null in a map"},
      {"{\"mText\":{null:\"a\"}}", 10, "m_text", "line 1, column 11: expected a name in quotes"},
      {"{\"i32\":nul}", 7, "i32", "line 1, column 8: expected null"},
      {"{\"i32\":nullx}", 11, "", "line 1, column 12: expected a comma or the object's end"},
  };
  for (const Bad& b : bad) refuse(kAll, b);
}

void integers_keep_their_range_and_form(void**) {
  const Good good[] = {
      {"{\"i32\":-2147483648}", "08 80808080f8ffffffff01"},
      {"{\"i32\":\"2147483647\"}", "08 ffffffff07"},
      {"{\"i32\":2.147483647e9}", "08 ffffffff07"},
      {"{\"i32\":1e5}", "08 a08d06"},
      {"{\"i32\":100000.000}", "08 a08d06"},
      {"{\"i32\":\"1e5\"}", "08 a08d06"},
      {"{\"i32\":-0}", ""},
      {"{\"i64\":\"-9223372036854775808\"}", "10 80808080808080808001"},
      {"{\"i64\":9223372036854775807}", "10 ffffffffffffffff7f"},
      {"{\"i64\":9007199254740993}", "10 8180808080808010"},
      {"{\"i64\":\"9007199254740993\"}", "10 8180808080808010"},
      {"{\"u32\":4294967295}", "18 ffffffff0f"},
      {"{\"u64\":\"18446744073709551615\"}", "20 ffffffffffffffffff01"},
      {"{\"s32\":-1,\"s64\":\"-2\"}", "2801 3003"},
      {"{\"f32\":1,\"f64\":\"2\",\"sf32\":-1,\"sf64\":-2}", "3d01000000 410200000000000000 4dffffffff 51feffffffffffffff"},
      {"{\"optI32\":0}", "900100"},
      {"{\"i32\":0}", ""},
  };
  for (const Good& g : good) accept(kAll, g);
  const Bad bad[] = {
      {"{\"i32\":2147483648}", 7, "i32", "line 1, column 8: integer out of range"},
      {"{\"i32\":\"-2147483649\"}", 7, "i32", "line 1, column 8: integer out of range"},
      {"{\"i64\":9223372036854775808}", 7, "i64", "line 1, column 8: integer out of range"},
      {"{\"u32\":4294967296}", 7, "u32", "line 1, column 8: integer out of range"},
      {"{\"u32\":-1}", 7, "u32", "line 1, column 8: integer out of range"},
      {"{\"u64\":-1}", 7, "u64", "line 1, column 8: integer out of range"},
      {"{\"u64\":18446744073709551616}", 7, "u64", "line 1, column 8: integer out of range"},
      {"{\"i32\":\"1e536870000\"}", 7, "i32", "line 1, column 8: integer out of range"},
      {"{\"i32\":0.5}", 7, "i32", "line 1, column 8: expected an integer"},
      {"{\"i32\":1e-1}", 7, "i32", "line 1, column 8: expected an integer"},
      {"{\"i32\":+1}", 7, "i32", "line 1, column 8: expected an integer"},
      {"{\"i32\":01}", 7, "i32", "line 1, column 8: a number with a leading zero"},
      {"{\"i32\":-}", 7, "i32", "line 1, column 8: expected a number"},
      {"{\"i32\":\" 1\"}", 7, "i32", "line 1, column 8: expected an integer"},
      {"{\"i32\":\"1 \"}", 7, "i32", "line 1, column 8: expected an integer"},
      {"{\"i32\":\"\"}", 7, "i32", "line 1, column 8: expected an integer"},
      {"{\"i32\":\"+1\"}", 7, "i32", "line 1, column 8: expected an integer"},
      {"{\"i32\":\"12abc\"}", 7, "i32", "line 1, column 8: expected an integer"},
      {"{\"i32\":\"0x1\"}", 7, "i32", "line 1, column 8: expected an integer"},
      {"{\"i32\":12abc}", 9, "", "line 1, column 10: expected a comma or the object's end"},
      {"{\"i32\":true}", 7, "i32", "line 1, column 8: expected an integer"},
      {"{\"i32\":[1]}", 7, "i32", "line 1, column 8: expected an integer"},
      {"{\"i32\":}", 7, "i32", "line 1, column 8: expected an integer"},
      {"{\"i32\":NaN}", 7, "i32", "line 1, column 8: expected an integer"},
      {"{\"rSub\":[{},{},{\"i32\":  1.5}]}", 24, "r_sub[2].i32", "line 1, column 25: expected an integer"},
  };
  for (const Bad& b : bad) refuse(kAll, b);
}

void floats_are_finite_or_quoted(void**) {
  const Good good[] = {
      {"{\"dbl\":1}", "61 000000000000f03f"},
      {"{\"dbl\":\"1\"}", "61 000000000000f03f"},
      {"{\"dbl\":\"NaN\"}", "61 000000000000f87f"},
      {"{\"dbl\":\"Infinity\"}", "61 000000000000f07f"},
      {"{\"dbl\":\"-Infinity\"}", "61 000000000000f0ff"},
      {"{\"dbl\":-0.0}", "61 0000000000000080"},
      {"{\"dbl\":1e-400}", ""},
      {"{\"dbl\":0}", ""},
      {"{\"flt\":1.5}", "5d 0000c03f"},
      {"{\"flt\":\"NaN\"}", "5d 0000c07f"},
      {"{\"flt\":\"-Infinity\"}", "5d 000080ff"},
      {"{\"flt\":3.4028235e38}", "5d ffff7f7f"},
  };
  for (const Good& g : good) accept(kAll, g);
  const Bad bad[] = {
      {"{\"dbl\":1e309}", 7, "dbl", "line 1, column 8: number out of range"},
      {"{\"dbl\":\"-1e309\"}", 7, "dbl", "line 1, column 8: number out of range"},
      {"{\"flt\":3.5e38}", 7, "flt", "line 1, column 8: number out of range"},
      {"{\"flt\":-1e39}", 7, "flt", "line 1, column 8: number out of range"},
      {"{\"dbl\":NaN}", 7, "dbl", "line 1, column 8: expected a number"},
      {"{\"dbl\":Infinity}", 7, "dbl", "line 1, column 8: expected a number"},
      {"{\"dbl\":-Infinity}", 7, "dbl", "line 1, column 8: expected a number"},
      {"{\"dbl\":\"inf\"}", 7, "dbl", "line 1, column 8: expected a number"},
      {"{\"dbl\":\"nan\"}", 7, "dbl", "line 1, column 8: expected a number"},
      {"{\"dbl\":\"+Infinity\"}", 7, "dbl", "line 1, column 8: expected a number"},
      {"{\"dbl\":\"\"}", 7, "dbl", "line 1, column 8: expected a number"},
      {"{\"dbl\":\" 1\"}", 7, "dbl", "line 1, column 8: expected a number"},
      {"{\"dbl\":\"0x1p3\"}", 7, "dbl", "line 1, column 8: expected a number"},
      {"{\"dbl\":true}", 7, "dbl", "line 1, column 8: expected a number"},
      {"{\"dbl\":.5}", 7, "dbl", "line 1, column 8: expected a number"},
  };
  for (const Bad& b : bad) refuse(kAll, b);
}

void bool_is_true_or_false(void**) {
  accept(kAll, {"{\"yes\":true,\"optYes\":false,\"rYes\":[true,false]}", "6801 a00100 9a02020100"});
  accept(kAll, {"{\"yes\":false}", ""});
  for (const char* v : {"1", "0", "\"true\"", "\"\"", "TRUE", "True", "t"}) {
    std::string json = std::string("{\"yes\":") + v + "}";
    refuse(kAll, {json.c_str(), 7, "yes", "line 1, column 8: expected true or false"});
  }
}

void enums_go_by_name_alias_or_number(void**) {
  const Good good[] = {
      {"{\"colour\":\"RED\"}", "800101"},
      {"{\"colour\":\"CRIMSON\"}", "800101"},
      {"{\"colour\":2}", "800102"},
      {"{\"colour\":2.0}", "800102"},
      {"{\"colour\":77}", "80014d"},
      {"{\"colour\":\"INFRA\"}", "8001 fbffffffffffffffff01"},
      {"{\"colour\":\"NONE\"}", ""},
      {"{\"optColour\":\"NONE\"}", "a80100"},
      {"{\"rColour\":[\"BLUE\",0,-1]}", "b2020c 0200ffffffffffffffffff01"},
      {"{\"mColour\":{\"true\":\"BLUE\"}}", "b203040801 1002"},
  };
  for (const Good& g : good) accept(kAll, g);
  const Bad bad[] = {
      {"{\"colour\":\"PINK\"}", 10, "colour", "line 1, column 11: no value \"PINK\" in enum json.test.Colour"},
      {"{\"colour\":\"red\"}", 10, "colour", "line 1, column 11: no value \"red\" in enum json.test.Colour"},
      {"{\"colour\":\"1\"}", 10, "colour", "line 1, column 11: no value \"1\" in enum json.test.Colour"},
      {"{\"colour\":\"\"}", 10, "colour", "line 1, column 11: no value \"\" in enum json.test.Colour"},
      {"{\"colour\":1.5}", 10, "colour", "line 1, column 11: expected an integer"},
      {"{\"colour\":2147483648}", 10, "colour", "line 1, column 11: integer out of range"},
      {"{\"colour\":true}", 10, "colour", "line 1, column 11: expected an enum's name or number"},
      {"{\"rColour\":[\"RED\",\"X\"]}", 18, "r_colour[1]", "line 1, column 19: no value \"X\" in enum json.test.Colour"},
  };
  for (const Bad& b : bad) refuse(kAll, b);
  accept("json.old.Old", {"{\"closed\":\"ONE\",\"rClosed\":[2],\"mClosed\":{\"a\":1}}", "1801 2002 2a05 0a0161 1001"});
  refuse("json.old.Old", {"{\"closed\":3}", 10, "closed", "line 1, column 11: no such number in a closed enum"});
  refuse("json.old.Old", {"{\"rClosed\":[1,3]}", 14, "r_closed[1]", "line 1, column 15: no such number in a closed enum"});
}

void unknown_is_dropped_only_when_asked(void**) {
  json::ParseOptions o;
  o.ignore_unknown = true;
  const Good good[] = {
      {"{\"bogus\":{\"a\":[1,{\"b\":\"\\u0000\"}],\"c\":null},\"i32\":1,\"x\":0}", "0801"},
      {"{\"bogus\":1,\"bogus\":2}", ""},
      {"{\"colour\":\"PINK\"}", ""},
      {"{\"cColour\":\"PINK\"}", ""},
      {"{\"rColour\":[\"PINK\",\"RED\",\"PINK\"]}", "b2020101"},
      {"{\"rColour\":[\"PINK\"]}", ""},
      {"{\"mColour\":{\"true\":\"PINK\",\"false\":\"RED\"}}", "b203040800 1001"},
      {"{\"[no.such.ext]\":1}", ""},
  };
  for (const Good& g : good) accept(kAll, g, o);
  accept("json.old.Old", {"{\"closed\":9,\"rClosed\":[9,1],\"mClosed\":{\"a\":9}}", "2001"}, o);
  const Bad bad[] = {
      {"{\"bogus\":01}", 9, "", "line 1, column 10: a number with a leading zero"},
      {"{\"bogus\":[1,]}", 12, "", "line 1, column 13: expected a value"},
      {"{\"bogus\":\"\\ud800\"}", 10, "", "line 1, column 11: a lone surrogate"},
      {"{\"bogus\":\"\xFF\"}", 10, "", "line 1, column 11: a string is not valid UTF-8"},
      {"{\"colour\":true}", 10, "colour", "line 1, column 11: expected an enum's name or number"},
  };
  for (const Bad& b : bad) refuse(kAll, b, base::Code::kInvalidArgument, o);
}

void strings_and_bytes(void**) {
  const Good good[] = {
      {"{\"text\":\"a\\n\\u00e9\\ud83d\\ude00\"}", "7208 610ac3a9f09f9880"},
      {"{\"text\":\"\\u0000\"}", "720100"},
      {"{\"text\":\"\"}", ""},
      {"{\"optText\":\"\"}", "9a0100"},
      {"{\"data\":\"aGk=\"}", "7a026869"},
      {"{\"data\":\"aGk\"}", "7a026869"},
      {"{\"data\":\"-_\"}", "7a01fb"},
      {"{\"data\":\"+/\"}", "7a01fb"},
      {"{\"data\":\"\"}", ""},
      {"{\"data\":\"\\u0061Gk=\"}", "7a026869"},
      {"{\"rText\":[\"\",\"a\"],\"rData\":[\"\",\"AA==\"]}", "a20200 a2020161 aa0200 aa020100"},
  };
  for (const Good& g : good) accept(kAll, g);
  const Bad bad[] = {
      {"{\"text\":1}", 8, "text", "line 1, column 9: expected a string"},
      {"{\"text\":\"\xC3\x28\"}", 9, "text", "line 1, column 10: a string is not valid UTF-8"},
      {"{\"text\":\"\\udc00\"}", 9, "text", "line 1, column 10: a lone surrogate"},
      {"{\"text\":\"\t\"}", 9, "text", "line 1, column 10: a control character in a string"},
      {"{\"data\":\"a\"}", 8, "data", "line 1, column 9: expected base64"},
      {"{\"data\":\"aGk=aGk=\"}", 8, "data", "line 1, column 9: expected base64"},
      {"{\"data\":\"a Gk\"}", 8, "data", "line 1, column 9: expected base64"},
      {"{\"data\":[1]}", 8, "data", "line 1, column 9: expected a string"},
  };
  for (const Bad& b : bad) refuse(kAll, b);
}

void repeated_fields_are_packed_as_declared(void**) {
  const Good good[] = {
      {"{\"rI32\":[1,-1,\"3\"]}", "fa010c 01ffffffffffffffffff01 03"},
      {"{\"rI64\":[1,2]}", "800201 800202"},
      {"{\"rF64\":[1]}", "8a0208 0100000000000000"},
      {"{\"rFlt\":[0,\"NaN\"]}", "920208 00000000 0000c07f"},
      {"{\"rS64\":[-1,1]}", "c2020201 02"},
      {"{\"rI32\":[]}", ""},
      {"{\"rSub\":[{},{\"rI32\":[7]}]}", "ba0200 ba0204 fa010107"},
  };
  for (const Good& g : good) accept(kAll, g);
  std::string many = "{\"rI32\":[0";
  for (int i = 1; i < 5000; i++) many += ",0";
  many += "]}";
  Parsed p = parse(type(kAll), many);
  assert_true(p.status.ok());
  assert_string_equal(hex(p.wire.substr(0, 4)).c_str(), "fa018827");
  assert_int_equal(p.wire.size(), 5004);
  const Bad bad[] = {
      {"{\"rI32\":1}", 8, "r_i32", "line 1, column 9: expected an array"},
      {"{\"rI32\":{}}", 8, "r_i32", "line 1, column 9: expected an array"},
      {"{\"rI32\":[1,[2]]}", 11, "r_i32[1]", "line 1, column 12: expected an integer"},
      {"{\"rI32\":[1,]}", 11, "r_i32[1]", "line 1, column 12: expected an integer"},
      {"{\"rI32\":[1 2]}", 11, "r_i32[1]", "line 1, column 12: expected a comma or the array's end"},
      {"{\"rI32\":[1", 10, "r_i32[1]", "line 1, column 11: expected a comma or the array's end"},
      {"{\"rSub\":[{},[]]}", 12, "r_sub[1]", "line 1, column 13: expected an object"},
  };
  for (const Bad& b : bad) refuse(kAll, b);
}

void map_keys_are_strict(void**) {
  const Good good[] = {
      {"{\"mText\":{\"\":\"\",\"a\":\"b\"}}", "9a0304 0a001200 9a0306 0a0161 120162"},
      {"{\"mI32\":{\"-1\":0}}", "a2030d 08ffffffffffffffffff01 1000"},
      {"{\"mSub\":{\"18446744073709551615\":{}}}", "aa030d 08ffffffffffffffffff01 1200"},
      {"{\"mColour\":{\"false\":1}}", "b20304 0800 1001"},
      {"{\"mData\":{\"-1\":\"AA\"}}", "ba0305 0801 120100"},
      // The last of equal keys wins, without a merge, when it is decoded.
      {"{\"mText\":{\"a\":\"b\",\"a\":\"c\"}}", "9a0306 0a0161 120162 9a0306 0a0161 120163"},
  };
  for (const Good& g : good) accept(kAll, g);
  const Bad bad[] = {
      {"{\"mI32\":{\"2147483648\":0}}", 9, "m_i32[2147483648]", "line 1, column 10: not a key of this map"},
      {"{\"mI32\":{\"01\":0}}", 9, "m_i32[01]", "line 1, column 10: not a key of this map"},
      {"{\"mI32\":{\"\":0}}", 9, "m_i32[]", "line 1, column 10: not a key of this map"},
      {"{\"mI32\":{\" 1\":0}}", 9, "m_i32[ 1]", "line 1, column 10: not a key of this map"},
      {"{\"mI32\":{1:0}}", 9, "m_i32", "line 1, column 10: expected a name in quotes"},
      {"{\"mColour\":{\"1\":0}}", 12, "m_colour[1]", "line 1, column 13: not a key of this map"},
      {"{\"mColour\":{\"True\":0}}", 12, "m_colour[True]", "line 1, column 13: not a key of this map"},
      {"{\"mSub\":{\"-1\":{}}}", 9, "m_sub[-1]", "line 1, column 10: not a key of this map"},
      {"{\"mSub\":{\"1\":{\"mSub\":{\"2\":{\"i32\":\"\"}}}}}", 33, "m_sub[1].m_sub[2].i32", "line 1, column 34: expected an integer"},
      {"{\"mText\":{\"a\":\"\",\"b\":1}}", 21, "m_text[\"b\"]", "line 1, column 22: expected a string"},
      {"{\"mText\":[]}", 9, "m_text", "line 1, column 10: expected an object"},
  };
  for (const Bad& b : bad) refuse(kAll, b);
}

void wrappers_are_bare(void**) {
  const Good good[] = {
      {"{\"wBool\":true}", "8a05020801"},
      {"{\"wI32\":0}", "920500"},
      {"{\"wI64\":\"-1\"}", "9a050b 08ffffffffffffffffff01"},
      {"{\"wU32\":1,\"wU64\":\"2\"}", "a2050208 01 aa0502 0802"},
      {"{\"wFlt\":1,\"wDbl\":\"NaN\"}", "b20505 0d0000803f ba0509 09000000000000f87f"},
      {"{\"wText\":\"\",\"wData\":\"AA==\"}", "c20500 ca05030a0100"},
      {"{\"rWI32\":[0,1]}", "ea0500 ea05020801"},
  };
  for (const Good& g : good) accept(kAll, g);
  refuse(kAll, {"{\"wI32\":{\"value\":1}}", 8, "w_i32", "line 1, column 9: expected an integer"});
  accept("google.protobuf.Int32Value", {" 7 ", "0807"});
  refuse("google.protobuf.Int32Value", {"null", 0, "", "line 1, column 1: expected an integer"});
}

void times_are_exact(void**) {
  const Good good[] = {
      {"{\"time\":\"1970-01-01T00:00:00Z\"}", "ba0400"},
      {"{\"time\":\"1970-01-01T00:00:01.000000001Z\"}", "ba0404 0801 1001"},
      {"{\"time\":\"1970-01-01T01:00:01+01:00\"}", "ba0402 0801"},
      {"{\"span\":\"0s\"}", "c20400"},
      {"{\"span\":\"-0.000000001s\"}", "c2040b 10ffffffffffffffffff01"},
      {"{\"span\":\"1.5s\"}", "c20408 0801 1080cab5ee01"},
      {"{\"rTime\":[\"1970-01-01T00:00:00Z\"]}", "da0500"},
  };
  for (const Good& g : good) accept(kAll, g);
  const Bad bad[] = {
      {"{\"time\":\"0000-01-01T00:00:00Z\"}", 8, "time", "line 1, column 9: a timestamp outside of the years 1 to 9999"},
      {"{\"time\":\"1970-01-01t00:00:00Z\"}", 8, "time", "line 1, column 9: expected a timestamp such as 2006-01-02T15:04:05.999Z"},
      {"{\"time\":0}", 8, "time", "line 1, column 9: expected a string"},
      {"{\"rTime\":[\"\"]}", 10, "r_time[0]", "line 1, column 11: expected a timestamp such as 2006-01-02T15:04:05.999Z"},
      {"{\"span\":\"1\"}", 8, "span", "line 1, column 9: expected a duration such as 1.5s"},
      {"{\"span\":\"315576000001s\"}", 8, "span", "line 1, column 9: a duration beyond 315,576,000,000 seconds"},
  };
  for (const Bad& b : bad) refuse(kAll, b);
}

void field_masks_come_back_the_same(void**) {
  const Good good[] = {
      {"{\"mask\":\"\"}", "ca0400"},
      {"{\"mask\":\"foo,barBaz.quxQ\"}", "ca0414 0a03666f6f 0a0d6261725f62617a2e7175785f71"},
      {"{\"mask\":\"a1.b2\"}", "ca0407 0a0561312e6232"},
  };
  for (const Good& g : good) accept(kAll, g);
  for (const char* v : {"foo_bar", ",", "a,", ",a", "a..b", ".a", "a.", "a b", "1a", " a", "a,,b", "*", "a-b"}) {
    std::string json = std::string("{\"mask\":\"") + v + "\"}";
    refuse(kAll, {json.c_str(), 8, "mask", "line 1, column 9: expected a field mask such as foo,barBaz"});
  }
}

void struct_value_and_list_value(void**) {
  const Good good[] = {
      {"{\"object\":{}}", "d20400"},
      {"{\"object\":{\"a\":1}}", "d20410 0a0e 0a0161 120911 000000000000f03f"},
      {"{\"value\":\"x\"}", "da0403 1a0178"},
      {"{\"value\":true}", "da0402 2001"},
      {"{\"value\":false}", "da0402 2000"},
      {"{\"value\":0}", "da0409 110000000000000000"},
      {"{\"value\":\"\"}", "da0402 1a00"},
      {"{\"value\":{}}", "da0402 2a00"},
      {"{\"value\":[]}", "da0402 3200"},
      {"{\"value\":[null,[\"NaN\"]]}", "da0411 320f 0a020800 0a09 3207 0a05 1a034e614e"},
      {"{\"list\":[false]}", "e20404 0a02 2000"},
  };
  for (const Good& g : good) accept(kAll, g);
  const Bad bad[] = {
      {"{\"object\":[]}", 10, "object", "line 1, column 11: expected an object"},
      {"{\"list\":{}}", 8, "list", "line 1, column 9: expected an array"},
      {"{\"value\":1e999}", 9, "value", "line 1, column 10: number out of range"},
      {"{\"value\":NaN}", 9, "value", "line 1, column 10: expected a value"},
      {"{\"object\":{\"a\":{\"b\":[1,x]}}}", 23, "object[\"a\"][\"b\"][1]", "line 1, column 24: expected a value"},
  };
  for (const Bad& b : bad) refuse(kAll, b);
  accept("google.protobuf.Value", {"null", "0800"});
  accept("google.protobuf.ListValue", {"[]", ""});
  accept("google.protobuf.Empty", {"{}", ""});
  refuse("google.protobuf.Empty", {"{\"a\":1}", 1, "a", "line 1, column 2: no field \"a\" in google.protobuf.Empty"});
}

std::string nest(const char* open, const char* middle, const char* close, int n) {
  std::string s, e;
  for (int i = 0; i < n; i++) {
    s += open;
    e += close;
  }
  return s + middle + e;
}

void nesting_ends_where_the_decoder_ends(void**) {
  assert_true(parse(type("google.protobuf.Struct"), nest("{\"a\":", "1", "}", 25)).status.ok());
  assert_true(parse(type("google.protobuf.ListValue"), nest("[", "1", "]", 25)).status.ok());
  for (const char* t : {"google.protobuf.Struct", "google.protobuf.Value"}) {
    Parsed p = parse(type(t), nest("{\"a\":", "1", "}", 200));
    assert_int_equal(int(p.status.code()), int(base::Code::kResourceExhausted));
  }
  Parsed list = parse(type("google.protobuf.ListValue"), nest("[", "1", "]", 200));
  assert_int_equal(int(list.status.code()), int(base::Code::kResourceExhausted));
  // What is accepted can be decoded, and the next level neither.
  struct { const char *open, *middle, *close; } shapes[] = {{"{\"sub\":", "{}", "}"}, {"{\"rSub\":[", "{}", "]}"}, {"{\"mSub\":{\"1\":", "{}", "}}"}};
  for (auto& s : shapes) {
    int deepest = 0;
    for (int n = 30; n < 130; n++) {
      Parsed p = parse(type(kAll), nest(s.open, s.middle, s.close, n));
      if (p.status.ok()) {
        deepest = n;
        base::Arena arena;
        auto v = view::decode(type(kAll), base::Slice(p.wire), false, {}, &arena);
        if (!v.ok()) fail_msg("%s at %d: %s", s.open, n, v.status().message());
      } else {
        assert_int_equal(int(p.status.code()), int(base::Code::kResourceExhausted));
      }
    }
    assert_int_equal(deepest, s.open[2] == 'm' ? 50 : 100);
  }
  json::ParseOptions o;
  o.ignore_unknown = true;
  Parsed unknown = parse(type(kAll), "{\"x\":" + std::string(1 << 20, '[') + "}", o);
  assert_int_equal(int(unknown.status.code()), int(base::Code::kResourceExhausted));
}

void output_is_bounded(void**) {
  json::ParseOptions o;
  o.max_output = 100;
  std::string json = "{\"rF64\":[0";
  for (int i = 0; i < 100000; i++) json += ",0";
  json += "]}";
  Parsed p = parse(type(kAll), json, o);
  assert_int_equal(int(p.status.code()), int(base::Code::kResourceExhausted));
  assert_true(p.status.offset() < 2000);
  accept(kAll, {"{\"text\":\"abc\"}", "7203616263"}, o);
}

void any_reads_its_type_anywhere(void**) {
  const Good good[] = {
      {"{\"any\":{}}", "f20400"},
      {"{\"any\":{\"@type\":\"x/json.test.All\",\"i32\":1}}", "f20415 0a0f782f6a736f6e2e746573742e416c6c 12020801"},
      {"{\"any\":{\"i32\":1,\"@type\":\"x/json.test.All\"}}", "f20415 0a0f782f6a736f6e2e746573742e416c6c 12020801"},
      {"{\"any\":{\"\\u0040type\":\"x/json.test.All\"}}", "f20413 0a0f782f6a736f6e2e746573742e416c6c 1200"},
      {"{\"any\":{\"@type\":\"a/google.protobuf.Duration\",\"value\":\"1s\"}}",
       "f20420 0a1a612f676f6f676c652e70726f746f6275662e4475726174696f6e 12020801"},
      {"{\"any\":{\"value\":\"1s\",\"@type\":\"a/google.protobuf.Duration\"}}",
       "f20420 0a1a612f676f6f676c652e70726f746f6275662e4475726174696f6e 12020801"},
  };
  for (const Good& g : good) accept(kAll, g);
  const Bad bad[] = {
      {"{\"any\":{\"i32\":1}}", 8, "any", "line 1, column 9: an Any without \"@type\""},
      {"{\"any\":{\"@type\":\"json.test.All\"}}", 8, "any", "line 1, column 9: the \"@type\" of an Any has no type behind a slash"},
      {"{\"any\":{\"@type\":\"x/\"}}", 8, "any", "line 1, column 9: the \"@type\" of an Any has no type behind a slash"},
      {"{\"any\":{\"@type\":\"x/no.Such\"}}", 8, "any", "line 1, column 9: no type \"no.Such\" in the schema"},
      {"{\"any\":{\"@type\":1}}", 16, "any", "line 1, column 17: expected a string"},
      {"{\"any\":{\"@type\":\"x/json.test.All\",\"@type\":\"x/json.test.All\"}}", 34, "any", "line 1, column 35: the field comes twice"},
      {"{\"any\":{\"@type\":\"x/json.test.All\",\"i32\":1,\"i32\":1}}", 42, "any.i32", "line 1, column 43: the field comes twice"},
      {"{\"any\":{\"@type\":\"a/google.protobuf.Duration\"}}", 45, "any", "line 1, column 46: an Any of a well-known type without \"value\""},
      {"{\"any\":{\"@type\":\"a/google.protobuf.Duration\",\"x\":1}}", 45, "any.x", "line 1, column 46: no field \"x\" in google.protobuf.Duration"},
  };
  for (const Bad& b : bad) refuse(kAll, b);
  // Nested, with the type last at every level: not quadratic without end.
  std::string open, close;
  for (int i = 0; i < 40; i++) {
    open += "{\"any\":";
    close = ",\"@type\":\"x/json.test.All\"}" + close;
  }
  Parsed p = parse(type("google.protobuf.Any"), open + "{}" + close);
  assert_false(p.status.ok());
}

void groups_and_extensions(void**) {
  const Good good[] = {
      {"{\"part\":{\"a\":1}}", "33 0801 34"},
      {"{\"parts\":[{\"a\":1},{}]}", "3b 0801 3c 3b3c"},
      {"{\"[json.old.ext]\":7}", "a00607"},
      {"{\"[json.old.ext_texts]\":[\"a\",\"\"]}", "aa060161 aa0600"},
      {"{\"[json.old.ext_packed]\":[1,2]}", "ba06020102"},
      {"{\"[json.old.Scope.inner]\":{\"d\":1}}", "f20609 09000000000000f03f"},
  };
  for (const Good& g : good) accept("json.old.Old", g);
  const Bad bad[] = {
      {"{\"[json.old.ext]\":7,\"[json.old.ext]\":7}", 20, "[json.old.ext]", "line 1, column 21: the field comes twice"},
      {"{\"[json.old.none]\":7}", 1, "[json.old.none]", "line 1, column 2: no field \"[json.old.none]\" in json.old.Old"},
      {"{\"json.old.ext\":7}", 1, "json.old.ext", "line 1, column 2: no field \"json.old.ext\" in json.old.Old"},
      {"{\"[json.old.ext_old]\":{\"[json.old.ext]\":\"\"}}", 40, "[json.old.ext_old].[json.old.ext]", "line 1, column 41: expected an integer"},
  };
  for (const Bad& b : bad) refuse("json.old.Old", b);
}

void a_wide_message_keeps_its_bits_apart(void**) {
  std::string json = "{", again;
  const schema::Message* m = type("json.test.Wide");
  for (const schema::Field& f : m->fields) {
    if (f.oneof && f.number != 91) continue;
    const char* v = f.repeated() ? (f.is_map() ? "{}" : "[]") : schema::is_message(f.kind) ? "{}" : schema::is_string(f.kind) ? "\"\""
                    : f.kind == schema::Kind::kBool ? "false" : "0";
    if (json.size() > 1) json += ',';
    json += "\"" + std::string(f.json_name) + "\":" + v;
  }
  Parsed p = parse(m, json + "}");
  if (!p.status.ok()) fail_msg("%s", p.status.message());
  for (const schema::Field& f : m->fields) {
    if (f.oneof && f.number != 91) continue;
    again = json + ",\"" + std::string(f.name) + "\":null}";
    p = parse(m, again);
    assert_string_equal(p.status.path(), std::string(f.name).c_str());
  }
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
      cmocka_unit_test(a_message_is_an_object_and_nothing_else),
      cmocka_unit_test(names_are_read_in_both_spellings),
      cmocka_unit_test(a_field_comes_once),
      cmocka_unit_test(null_unsets),
      cmocka_unit_test(integers_keep_their_range_and_form),
      cmocka_unit_test(floats_are_finite_or_quoted),
      cmocka_unit_test(bool_is_true_or_false),
      cmocka_unit_test(enums_go_by_name_alias_or_number),
      cmocka_unit_test(unknown_is_dropped_only_when_asked),
      cmocka_unit_test(strings_and_bytes),
      cmocka_unit_test(repeated_fields_are_packed_as_declared),
      cmocka_unit_test(map_keys_are_strict),
      cmocka_unit_test(wrappers_are_bare),
      cmocka_unit_test(times_are_exact),
      cmocka_unit_test(field_masks_come_back_the_same),
      cmocka_unit_test(struct_value_and_list_value),
      cmocka_unit_test(nesting_ends_where_the_decoder_ends),
      cmocka_unit_test(output_is_bounded),
      cmocka_unit_test(any_reads_its_type_anywhere),
      cmocka_unit_test(groups_and_extensions),
      cmocka_unit_test(a_wide_message_keeps_its_bits_apart),
  };
  return cmocka_run_group_tests(tests, setup, teardown);
}
