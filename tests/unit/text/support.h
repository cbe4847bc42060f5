// What the tests of text format share: the schema, parse and print in one line each.
#pragma once

#include "support/characters.h"
#include "text/text.h"

namespace text_test {

using namespace zcrpc;
using characters::Parsed;
using characters::Printed;

// The set of text_test.proto, text_strict.proto and what they import.
inline schema::Schema* load() { return characters::load(TEXT_TEST_SET); }

inline Parsed parse(const schema::Message* type, std::string_view text, const text::ParseOptions& o = {}) {
  return characters::parse(type, text, [&](base::Slice s, encode::Encoder* e) { return text::parse(type, s, o, e); });
}
inline Printed print(const schema::Message* type, std::string_view wire, const text::PrintOptions& o = {}) {
  return characters::print(type, wire, [&](const schema::View& v, base::String* s) { return text::print(v, o, s); });
}

}  // namespace text_test
