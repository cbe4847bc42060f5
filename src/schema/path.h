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

// A key of a map as a path shows it, handed to put piece by piece: a path is one line of text, which neither a quote nor a
// NUL of the input's ends. escaped: quotes and backslashes have their backslash already.
template <class Put>
void show_key(std::string_view key, bool escaped, Put put) {
  constexpr char kHex[] = "0123456789abcdef";
  for (const char& c : key) {
    const auto b = uint8_t(c);
    if (b < 0x20 || b == 0x7F) {
      const char code[] = {'\\', 'x', kHex[b >> 4], kHex[b & 15]};
      put(std::string_view(code, sizeof code));
      continue;
    }
    if (!escaped && (c == '"' || c == '\\')) put(std::string_view("\\"));
    put(std::string_view(&c, 1));
  }
}

// "records[3].labels["a"].[pkg.extension]"
void append_path(const Step* last, base::String* out);
base::Status with_path(base::Status s, const Step* last);

}  // namespace zcrpc::schema
