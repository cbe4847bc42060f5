// Reading descriptors in tests: what comes back, or which error.
#pragma once

#include "support/cmocka.h"

#include <string>

#include "schema/schema.h"
#include "support/pb.h"

namespace schema_test {

using namespace zcrpc;

struct Read {
  explicit Read(const std::string& set, schema::Options o = {}) : result(schema::read({set.data(), set.size()}, o)) {}
  ~Read() {
    if (result.ok()) (*result)->release();
  }
  Read(const Read&) = delete;
  Read& operator=(const Read&) = delete;
  const schema::Schema* operator->() {
    if (!result.ok()) fail_msg("not read: %s", result.status().message());
    return *result;
  }
  const schema::Field* field(const char* message, uint32_t number) {
    const schema::Message* m = (*this)->message(message);
    if (!m) fail_msg("no message %s", message);
    const schema::Field* f = m->by_number(number);
    if (!f) fail_msg("no field %u in %s", number, message);
    return f;
  }
  base::Result<schema::Schema*> result;
};

inline void refused(const std::string& set, const char* text) {
  Read r(set);
  if (r.result.ok()) fail_msg("was read, but should fail with: %s", text);
  assert_string_equal(r.result.status().message(), text);
  assert_int_equal(int(r.result.status().code()), int(base::Code::kInvalidArgument));
}
inline void accepted(const std::string& set) {
  Read r(set);
  if (!r.result.ok()) fail_msg("not read: %s", r.result.status().message());
}

// One file a.proto of package p with one message M.
inline std::string with_message(const Pb& m, std::string_view syntax = "proto2") { return set_of({file("a.proto", syntax).sub(4, m)}); }
// The same with one field in M.
inline std::string with_field(const Pb& f, std::string_view syntax = "proto2") { return with_message(message("M").sub(2, f), syntax); }

}  // namespace schema_test
