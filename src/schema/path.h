// Where in a message we are: a chain of steps that lies on the stack, turned into text only for an error.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/status.h"
#include "base/string.h"
#include "schema/schema.h"

namespace zcrpc::schema {

inline constexpr uint32_t kNoIndex = 0xFFFFFFFFu;

struct Step {
  const Step* up = nullptr;
  const Field* field = nullptr;  // nullptr: only an index or a key, as within a Struct
  uint32_t index = kNoIndex;
  bool has_key = false;
  bool quoted = false;    // the key in quotes
  bool escaped = false;   // as it stands in the text that is read: what needs a backslash has one
  std::string_view key{};  // of a map, as text
  std::string_view name{};  // of a field that the schema does not know
};

// "records[3].labels["a"].[pkg.extension]"
void append_path(const Step* last, base::String* out);
base::Status with_path(base::Status s, const Step* last);

}  // namespace zcrpc::schema
