// Reads the request of protoc by hand, so that a bug of our decoder cannot hide in the code that it generates.
#pragma once

#include <cstdint>
#include <string_view>

#include "wire/wire.h"

namespace zcrpc::codegen {

// Goes over the fields of one encoded message. bad() after the last one tells whether the bytes were broken.
class WireReader {
 public:
  explicit WireReader(std::string_view bytes)
      : p_(reinterpret_cast<const uint8_t*>(bytes.data())), end_(p_ + bytes.size()) {}

  bool next() {
    if (p_ == end_ || bad_) return false;
    const uint8_t* from = p_;
    wire::Fault fault;
    uint32_t tag;
    const uint8_t *value = wire::read_tag(p_, end_, &tag, &fault), *wrong;
    const uint8_t* after = value ? wire::skip_value(value, end_, tag, 100, &fault, &wrong) : nullptr;
    if (!after) {
      bad_ = true;
      return false;
    }
    number_ = wire::tag_number(tag);
    type_ = wire::tag_type(tag);
    whole_ = {reinterpret_cast<const char*>(from), size_t(after - from)};
    text_ = {};
    varint_ = 0;
    if (type_ == wire::Type::kVarint) (void)wire::read_varint(value, end_, &varint_, &fault);
    if (type_ == wire::Type::kLength) {
      uint32_t n;
      const uint8_t* data = wire::read_length(value, end_, &n, &fault);
      text_ = {reinterpret_cast<const char*>(data), n};
    }
    p_ = after;
    return true;
  }
  uint32_t number() const { return number_; }
  wire::Type type() const { return type_; }
  uint64_t varint() const { return varint_; }
  std::string_view text() const { return text_; }    // of a length-delimited field
  std::string_view whole() const { return whole_; }  // tag and all
  bool bad() const { return bad_; }

 private:
  const uint8_t *p_, *end_;
  uint32_t number_ = 0;
  wire::Type type_ = wire::Type::kVarint;
  uint64_t varint_ = 0;
  std::string_view text_, whole_;
  bool bad_ = false;
};

}  // namespace zcrpc::codegen
