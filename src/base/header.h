// A field of an HTTP head or trailer on its way between rpc and http, which do not know each other; and a piece of a body.
// Both are borrowed.
#pragma once

#include <string_view>

#include "base/buffer.h"
#include "base/slice.h"

namespace zcrpc::base {

struct Header {
  std::string_view name;  // lower case
  std::string_view value;
  bool constant = false;  // the same in nearly every answer: worth a place in HPACK's table
};

// Names and most tokens of HTTP are compared without case: RFC 9110, sections 5.1 and 5.6.2.
constexpr char ascii_lower(char c) { return c >= 'A' && c <= 'Z' ? char(c + 32) : c; }
inline bool is_ignoring_case(std::string_view s, std::string_view lower_case) {
  if (s.size() != lower_case.size()) return false;
  for (size_t i = 0; i < s.size(); i++) {
    if (ascii_lower(s[i]) != lower_case[i]) return false;
  }
  return true;
}

// Bytes to be sent. With a buffer they may leave by reference; without one they are copied in time.
struct Piece {
  Slice bytes;
  Buffer* buffer = nullptr;  // holds bytes; borrowed too: who sends by reference retains it
};

}  // namespace zcrpc::base
