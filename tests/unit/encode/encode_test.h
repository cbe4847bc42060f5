// What the tests of the encoder share: schemas from the test's descriptor set, and a decode that must succeed.
#pragma once

#include <cstdio>
#include <string>
#include <string_view>

#include "encode/encoder.h"
#include "schema/view.h"
#include "support/cmocka.h"
#include "support/file.h"
#include "view/view.h"

#undef fail  // cmocka's macro

using namespace zcrpc;

struct Types {
  schema::Schema* schema = nullptr;
  Types() {
    std::string set = file_bytes(ENCODE_TEST_SET);
    auto s = schema::read(base::Slice(std::string_view(set)), {});
    if (!s.ok()) fprintf(stderr, "%s\n", s.status().message());
    assert_true(s.ok());
    schema = *s;
    assert_true(view::bind(schema).ok());
  }
  ~Types() { schema->release(); }
  const schema::Message* operator[](const char* name) const {
    const schema::Message* m = schema->message(name);
    assert_non_null(m);
    return m;
  }
};

inline base::Slice slice(std::string_view s) { return base::Slice(s); }

inline schema::View decode(const schema::Message* t, std::string_view bytes, base::Arena* a) {
  auto v = view::decode(t, slice(bytes), false, {}, a);
  if (!v.ok()) fprintf(stderr, "decode: %s at %lld, %s\n", v.status().message(), (long long)v.status().offset(), v.status().path());
  assert_true(v.ok());
  return *v;
}

// The result as one string, taken through finish; the encoder must not have failed.
inline std::string finished(encode::Encoder* e) {
  auto b = encode::finish(e);
  if (!b.ok()) fprintf(stderr, "finish: %s, %s\n", b.status().message(), b.status().path());
  assert_true(b.ok());
  std::string s((*b)->slice().text());
  (*b)->release();
  return s;
}
inline std::string gathered(encode::Encoder* e) {
  auto parts = encode::gather(e);
  assert_true(parts.ok());
  std::string s;
  for (const encode::Part& p : *parts) s += p.bytes.text();
  return s;
}
