// gRPC-Web's text form: a body in base64. A sender pads whenever it flushes, so that padding may stand anywhere: what is
// read are quanta of four characters, each for itself.
#pragma once

#include <cstdint>

#include "base/slice.h"
#include "base/string.h"
#include "base/vec.h"

namespace zcrpc::rpc {

class TextDecoder {
 public:
  void reset() { *this = {}; }
  enum class Result : uint8_t { kOk, kBroken, kNoMemory };
  // Appends to out what the text stands for; up to three characters are kept for the next call.
  Result feed(base::Slice text, base::Vec<uint8_t>* out);
  // The end of the body: a last quantum may lack its padding.
  Result end(base::Vec<uint8_t>* out);

 private:
  size_t flush(uint8_t* p);
  uint32_t bits_ = 0;
  uint8_t chars_ = 0, pads_ = 0;  // of the quantum that is open
};

// Writes pieces as if they were one: padding stands at the end alone, for peers that expect it nowhere else.
class TextEncoder {
 public:
  explicit TextEncoder(base::String* out) : out_(out) {}
  void add(base::Slice s);  // appends to out, but for up to two bytes
  void end();

 private:
  base::String* out_;
  uint8_t open_[3];
  size_t open_size_ = 0;
};

}  // namespace zcrpc::rpc
