// The wire format's smallest parts: tags, varints, lengths, skipping. https://protobuf.dev/programming-guides/encoding
// Readers here are the careful ones: they never look at or past `end`. The decoder has fast ones of its own.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace zcrpc::wire {

enum class Type : uint32_t { kVarint = 0, kFixed64 = 1, kLength = 2, kStartGroup = 3, kEndGroup = 4, kFixed32 = 5 };

inline constexpr uint32_t kMaxFieldNumber = (1u << 29) - 1;
inline constexpr uint32_t kMaxDepth = 100;   // the default limit
inline constexpr uint32_t kDeepest = 1000;   // the most that a caller may ask for
inline constexpr size_t kMaxMessage = 0x7FFFFFFF;  // offsets have 31 bits

constexpr uint32_t tag(uint32_t number, Type t) { return number << 3 | uint32_t(t); }
constexpr uint32_t tag_number(uint32_t t) { return t >> 3; }
constexpr Type tag_type(uint32_t t) { return Type(t & 7); }

constexpr uint64_t zigzag(int64_t v) { return uint64_t(v) << 1 ^ uint64_t(v >> 63); }
constexpr int64_t unzigzag(uint64_t v) { return int64_t(v >> 1 ^ (0 - (v & 1))); }

constexpr size_t varint_size(uint64_t v) { return (size_t(64 - std::countl_zero(v | 1)) * 9 + 64) >> 6; }
// At most 10 bytes.
inline uint8_t* put_varint(uint8_t* p, uint64_t v) {
  while (v >= 0x80) {
    *p++ = uint8_t(v | 0x80);
    v >>= 7;
  }
  *p++ = uint8_t(v);
  return p;
}

// Wire order is little-endian whatever the machine.
template <class T>
inline T load_le(const void* p) {
  T v;
  memcpy(&v, p, sizeof v);
  if constexpr (std::endian::native == std::endian::big) {
    if constexpr (sizeof(T) == 4) v = T(__builtin_bswap32(uint32_t(v)));
    if constexpr (sizeof(T) == 8) v = T(__builtin_bswap64(uint64_t(v)));
  }
  return v;
}
template <class T>
inline void store_le(void* p, T v) {
  T w = v;
  if constexpr (std::endian::native == std::endian::big) {
    if constexpr (sizeof(T) == 4) w = T(__builtin_bswap32(uint32_t(v)));
    if constexpr (sizeof(T) == 8) w = T(__builtin_bswap64(uint64_t(v)));
  }
  memcpy(p, &w, sizeof w);
}

// What can be wrong with wire bytes.
enum class Fault : uint8_t {
  kNone, kTruncated, kVarintTooLong, kTagTooLong, kFieldNumberZero, kWireType, kGroupMismatch, kDepth, kLengthTooLong,
};
const char* fault_text(Fault f);  // "truncated", "field number 0", ...

// Each returns the byte behind what it read, or nullptr with *fault told. Values may be overlong up to 10 bytes; bits
// beyond 64 are dropped. Tags are at most 5 bytes and 32 bits; field number 0 and wire types 6 and 7 are faults of theirs.
// A length is at most what is left before `end`.
const uint8_t* read_varint(const uint8_t* p, const uint8_t* end, uint64_t* v, Fault* fault);
const uint8_t* read_tag(const uint8_t* p, const uint8_t* end, uint32_t* tag, Fault* fault);
const uint8_t* read_length(const uint8_t* p, const uint8_t* end, uint32_t* len, Fault* fault);
// Skips the value behind a tag. A group is skipped with all that is in it, down to `depth` levels (itself the first; at
// most kDeepest), without recursion.
// On a fault *at is the byte where the offending item began.
const uint8_t* skip_value(const uint8_t* p, const uint8_t* end, uint32_t tag, uint32_t depth, Fault* fault, const uint8_t** at);

}  // namespace zcrpc::wire
