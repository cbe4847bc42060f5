// What the tests of JSON share: the schema, hexadecimal bytes, parse and print in one line each.
#pragma once

#include <cstdint>

#include "json/json.h"
#include "support/characters.h"

namespace json_test {

using namespace zcrpc;
using characters::Parsed;
using characters::Printed;

// The set of json_test.proto, json_old.proto and what they import.
inline schema::Schema* load() { return characters::load(JSON_TEST_SET); }

inline std::string hex(std::string_view bytes) {
  std::string s;
  for (char c : bytes) {
    char b[3];
    snprintf(b, sizeof b, "%02x", uint8_t(c));
    s += b;
  }
  return s;
}
inline std::string unhex(std::string_view text) {
  std::string s;
  int high = -1;
  for (char c : text) {
    if (c == ' ') continue;
    int v = c <= '9' ? c - '0' : c - 'a' + 10;
    if (high < 0) {
      high = v;
    } else {
      s += char(high << 4 | v);
      high = -1;
    }
  }
  return s;
}

inline Parsed parse(const schema::Message* type, std::string_view text, const json::ParseOptions& o = {}) {
  return characters::parse(type, text, [&](base::Slice s, encode::Encoder* e) { return json::parse(type, s, o, e); });
}
inline Printed print(const schema::Message* type, std::string_view wire, const json::PrintOptions& o = {}) {
  return characters::print(type, wire, [&](const schema::View& v, base::String* s) { return json::print(v, type, o, s); });
}

}  // namespace json_test
