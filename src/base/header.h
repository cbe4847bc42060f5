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

// Bytes to be sent. With a buffer they may leave by reference; without one they are copied in time.
struct Piece {
  Slice bytes;
  Buffer* buffer = nullptr;  // holds bytes; borrowed too: who sends by reference retains it
};

}  // namespace zcrpc::base
