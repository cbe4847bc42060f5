// The fields of one encoded message, one after the other: for descriptors, which are read by hand.
#pragma once

#include "base/slice.h"
#include "wire/wire.h"

namespace zcrpc::schema {

class Fields {
 public:
  explicit Fields(base::Slice s) : p_(s.begin()), end_(s.end()) {}

  bool next() {
    if (p_ == end_) return false;
    at_ = p_;
    const uint8_t* q = wire::read_tag(p_, end_, &tag_, &fault_);
    if (!q) return false;
    const uint8_t* value = q;
    const uint8_t* at = q;
    switch (wire::tag_type(tag_)) {
      case wire::Type::kVarint: q = wire::read_varint(q, end_, &varint_, &fault_); break;
      case wire::Type::kLength: {
        uint32_t n = 0;
        q = wire::read_length(q, end_, &n, &fault_);
        if (q) {
          bytes_ = {q, n};
          q += n;
        }
        break;
      }
      default: q = wire::skip_value(value, end_, tag_, wire::kMaxDepth, &fault_, &at);
    }
    if (!q) return false;
    p_ = q;
    return true;
  }

  // Whether the current field is this number with this wire type: with another one it is an unknown field.
  bool is_bytes(uint32_t number) const { return tag_ == wire::tag(number, wire::Type::kLength); }
  bool is_varint(uint32_t number) const { return tag_ == wire::tag(number, wire::Type::kVarint); }
  base::Slice bytes() const { return bytes_; }
  uint64_t varint() const { return varint_; }
  bool broken() const { return fault_ != wire::Fault::kNone; }
  wire::Fault fault() const { return fault_; }
  const uint8_t* at() const { return at_; }

  void text(uint32_t number, std::string_view* out, bool* has = nullptr) {
    if (!is_bytes(number)) return;
    *out = bytes_.text();
    if (has) *has = true;
  }
  void integer(uint32_t number, int32_t* out, bool* has = nullptr) {
    if (!is_varint(number)) return;
    *out = int32_t(varint_);
    if (has) *has = true;
  }
  void truth(uint32_t number, bool* out, bool* has = nullptr) {
    if (!is_varint(number)) return;
    *out = varint_ != 0;
    if (has) *has = true;
  }

 private:
  const uint8_t *p_, *end_, *at_ = nullptr;
  uint32_t tag_ = 0;
  uint64_t varint_ = 0;
  base::Slice bytes_;
  wire::Fault fault_ = wire::Fault::kNone;
};

}  // namespace zcrpc::schema
