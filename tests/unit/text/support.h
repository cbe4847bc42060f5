// What the tests of text format share: the schema, parse and print in one line each.
#pragma once

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

#include "schema/schema.h"
#include "text/text.h"
#include "view/view.h"

namespace text_test {

using namespace zcrpc;

// The set of text_test.proto, text_strict.proto and what they import.
inline schema::Schema* load() {
  std::string set;
  FILE* f = fopen(TEXT_TEST_SET, "rb");
  if (!f) abort();
  char b[65536];
  for (size_t n; (n = fread(b, 1, sizeof b, f)) > 0;) set.append(b, n);
  fclose(f);
  auto r = schema::read(base::Slice(set), {});
  if (!r.ok() || !view::bind(*r).ok()) abort();
  return *r;
}

struct Parsed {
  base::Status status;
  std::string wire;
};
inline Parsed parse(const schema::Message* type, std::string_view text, const text::ParseOptions& o = {}) {
  Parsed out;
  encode::Encoder* e = encode::encoder_new(type);
  if (!e) abort();
  encode::reset(e, type);
  // Exactly as long as it is, so that a sanitizer sees one byte too far.
  char* exact = static_cast<char*>(malloc(text.size() + !text.size()));
  if (!exact) abort();
  memcpy(exact, text.data(), text.size());
  out.status = text::parse(type, base::Slice(exact, text.size()), o, e);
  free(exact);
  if (out.status.ok()) {
    auto b = encode::finish(e);
    if (b.ok()) {
      out.wire.assign((*b)->slice().text());
      (*b)->release();
    } else {
      out.status = b.take_status();
    }
  }
  encode::encoder_free(e);
  return out;
}

struct Printed {
  base::Status status;
  std::string text;
};
inline Printed print(const schema::Message* type, std::string_view wire, const text::PrintOptions& o = {}) {
  Printed out;
  base::Arena arena;
  auto v = view::decode(type, base::Slice(wire), false, {}, &arena);
  if (!v.ok()) {
    out.status = v.take_status();
    return out;
  }
  base::String s;
  out.status = text::print(*v, o, &s);
  out.text.assign(s.view());
  return out;
}

}  // namespace text_test
