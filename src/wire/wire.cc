#include "wire/wire.h"

namespace zcrpc::wire {
namespace {

const uint8_t* fail(Fault f, Fault* fault) {
  *fault = f;
  return nullptr;
}

// The value behind a tag that opens no group.
const uint8_t* skip_plain(const uint8_t* p, const uint8_t* end, Type t, Fault* fault) {
  uint64_t v;
  uint32_t n;
  switch (t) {
    case Type::kVarint: return read_varint(p, end, &v, fault);
    case Type::kFixed64: return size_t(end - p) < 8 ? fail(Fault::kTruncated, fault) : p + 8;
    case Type::kFixed32: return size_t(end - p) < 4 ? fail(Fault::kTruncated, fault) : p + 4;
    case Type::kLength: {
      const uint8_t* q = read_length(p, end, &n, fault);
      return q ? q + n : nullptr;
    }
    case Type::kEndGroup: return fail(Fault::kGroupMismatch, fault);
    default: return fail(Fault::kWireType, fault);
  }
}

}  // namespace

const char* fault_text(Fault f) {
  switch (f) {
    case Fault::kNone: return "no fault";
    case Fault::kTruncated: return "truncated";
    case Fault::kVarintTooLong: return "varint of more than 10 bytes";
    case Fault::kTagTooLong: return "tag of more than 5 bytes or 32 bits";
    case Fault::kFieldNumberZero: return "field number 0";
    case Fault::kWireType: return "wire type 6 or 7";
    case Fault::kGroupMismatch: return "end of a group that is not open";
    case Fault::kDepth: return "nested too deep";
    case Fault::kLengthTooLong: return "length over 2147483647";
  }
  return "unknown fault";
}

const uint8_t* read_varint(const uint8_t* p, const uint8_t* end, uint64_t* v, Fault* fault) {
  uint64_t r = 0;
  for (uint32_t shift = 0; shift < 70; shift += 7) {
    if (p == end) return fail(Fault::kTruncated, fault);
    uint8_t b = *p++;
    r |= uint64_t(b & 0x7F) << shift;  // of the tenth byte only the lowest bit fits
    if (b < 0x80) {
      *v = r;
      return p;
    }
  }
  return fail(Fault::kVarintTooLong, fault);
}

const uint8_t* read_tag(const uint8_t* p, const uint8_t* end, uint32_t* tag, Fault* fault) {
  uint32_t r = 0;
  for (uint32_t shift = 0;; shift += 7) {
    if (p == end) return fail(Fault::kTruncated, fault);
    uint8_t b = *p++;
    if (shift == 28 && b > 0x0F) return fail(Fault::kTagTooLong, fault);
    r |= uint32_t(b & 0x7F) << shift;
    if (b < 0x80) break;
  }
  if (tag_number(r) == 0) return fail(Fault::kFieldNumberZero, fault);
  if ((r & 7) > uint32_t(Type::kFixed32)) return fail(Fault::kWireType, fault);
  *tag = r;
  return p;
}

const uint8_t* read_length(const uint8_t* p, const uint8_t* end, uint32_t* len, Fault* fault) {
  uint64_t n;
  p = read_varint(p, end, &n, fault);
  if (!p) return nullptr;
  if (n > kMaxMessage) return fail(Fault::kLengthTooLong, fault);
  if (n > size_t(end - p)) return fail(Fault::kTruncated, fault);
  *len = uint32_t(n);
  return p;
}

const uint8_t* skip_value(const uint8_t* p, const uint8_t* end, uint32_t tag, uint32_t depth, Fault* fault, const uint8_t** at) {
  *at = p;
  if (tag_type(tag) != Type::kStartGroup) return skip_plain(p, end, tag_type(tag), fault);
  if (depth > kDeepest) depth = kDeepest;
  uint32_t open[kDeepest];  // numbers of the groups we are in
  uint32_t level = 0;
  for (;;) {
    if (tag_type(tag) == Type::kStartGroup) {
      if (level == depth) return fail(Fault::kDepth, fault);
      open[level++] = tag_number(tag);
    } else if (tag_type(tag) == Type::kEndGroup) {
      if (open[level - 1] != tag_number(tag)) return fail(Fault::kGroupMismatch, fault);
      if (--level == 0) return p;
    } else {
      p = skip_plain(p, end, tag_type(tag), fault);
      if (!p) return nullptr;
    }
    *at = p;
    p = read_tag(p, end, &tag, fault);
    if (!p) return nullptr;
  }
}

}  // namespace zcrpc::wire
