// What the tests of messages share: the schema, hexadecimal bytes, parse and print in one line each.
#pragma once

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

#include "json/json.h"
#include "schema/schema.h"
#include "view/view.h"

namespace json_test {

using namespace zcrpc;

inline std::string read_file(const char* path) {
  std::string s;
  FILE* f = fopen(path, "rb");
  if (!f) abort();
  char b[65536];
  for (size_t n; (n = fread(b, 1, sizeof b, f)) > 0;) s.append(b, n);
  fclose(f);
  return s;
}

// The set of json_test.proto, json_old.proto and what they import.
inline schema::Schema* load() {
  std::string set = read_file(JSON_TEST_SET);
  auto r = schema::read(base::Slice(set), {});
  if (!r.ok()) {
    fprintf(stderr, "%s\n", r.status().message());
    abort();
  }
  base::Status s = view::bind(*r);
  if (!s.ok()) abort();
  return *r;
}

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

struct Parsed {
  base::Status status;
  std::string wire;
};
inline Parsed parse(const schema::Message* type, std::string_view text, const json::ParseOptions& o = {}) {
  Parsed out;
  encode::Encoder* e = encode::encoder_new(type);
  if (!e) {
    out.status = base::Status::no_memory();
    return out;
  }
  encode::reset(e, type);
  // Exactly as long as it is, so that a sanitizer sees one byte too far.
  char* exact = static_cast<char*>(malloc(text.size()));
  if (exact || text.empty()) {
    memcpy(exact, text.data(), text.size());
    out.status = json::parse(type, base::Slice(exact, text.size()), o, e);
  } else {
    out.status = base::Status::no_memory();
  }
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
inline Printed print(const schema::Message* type, std::string_view wire, const json::PrintOptions& o = {}) {
  Printed out;
  base::Arena arena;
  auto v = view::decode(type, base::Slice(wire), false, {}, &arena);
  if (!v.ok()) {
    out.status = v.take_status();
    return out;
  }
  base::String s;
  out.status = json::print(*v, type, o, &s);
  out.text.assign(s.view());
  return out;
}

}  // namespace json_test
