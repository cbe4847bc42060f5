// What the tests of JSON and of text format share: a schema from a set on disk, parse and print in one line each.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>

#include "base/string.h"
#include "encode/encoder.h"
#include "schema/schema.h"
#include "support/file.h"
#include "view/view.h"

namespace characters {

using namespace zcrpc;

inline schema::Schema* load(const char* path) {
  std::string set = file_bytes(path);
  auto r = schema::read(base::Slice(set), {});
  base::Status s = r.ok() ? view::bind(*r) : r.take_status();
  if (!s.ok()) {
    fprintf(stderr, "%s: %s\n", path, s.message());
    abort();
  }
  return *r;
}

struct Parsed {
  base::Status status;
  std::string wire;
};
struct Printed {
  base::Status status;
  std::string text;
};

// read(slice, encoder) parses. Without memory (which tests take away) the status says so.
template <class Read>
Parsed parse(const schema::Message* type, std::string_view text, Read&& read) {
  encode::Encoder* e = encode::encoder_new(type);
  // Exactly as long as it is, so that a sanitizer sees one byte too far.
  char* exact = static_cast<char*>(malloc(text.size()));
  Parsed out{base::Status::no_memory(), {}};
  if (e && (exact || text.empty())) {
    encode::reset(e, type);
    if (!text.empty()) memcpy(exact, text.data(), text.size());
    out.status = read(base::Slice(exact, text.size()), e);
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
  if (e) encode::encoder_free(e);
  return out;
}

// write(view, string) prints.
template <class Write>
Printed print(const schema::Message* type, std::string_view wire, Write&& write) {
  Printed out;
  base::Arena arena;
  auto v = view::decode(type, base::Slice(wire), false, {}, &arena);
  if (!v.ok()) {
    out.status = v.take_status();
    return out;
  }
  base::String s;
  out.status = write(*v, &s);
  out.text.assign(s.view());
  return out;
}

}  // namespace characters
