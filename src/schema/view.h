// Reading an index: accessors over the structs of zcrpc/layout.h, for the encoder, JSON and the public getters alike.
// Nothing here fails or allocates. A View is the address of a message's head; nullptr is the empty message.
#pragma once

#include <bit>
#include <cstring>

#include <zcrpc/layout.h>

#include "schema/schema.h"

namespace zcrpc::schema {

// Lies right before every index that belongs to C. It is the one part that is not position independent and is never copied.
struct Anchor {
  const uint8_t* input;
  const Schema* schema;
  base::Arena* arena;      // nullptr: an index in the caller's memory
  uint64_t seal;           // the arena's generation mixed with kSeal; a stale view has another
  base::Buffer* buffer;    // counted memory that input lies in and the arena holds: may be sent by reference; or nullptr
};
static_assert(sizeof(Anchor) <= 40);
// Lies before the anchor of every index of a lazy view: where its root message belongs, and, before the outermost one,
// what all of them share.
struct alignas(8) LazyRoot {
  size_t budget;
  size_t used, taken;  // of arena: by all indexes, those of opened children included, and in blocks that were got for them
  uint32_t max_depth;
  bool slack, drop_unknown;
};
struct alignas(8) LazyLink {
  LazyRoot* root;
  const zcrpc_head* parent;  // nullptr: this is the outermost
  uint32_t field, element;   // of the parent
};
inline constexpr uint64_t kSeal = 0x7a63727063736561u;
inline constexpr size_t kAnchorSize = 40;

using View = const zcrpc_head*;

inline const uint8_t* bytes_of(View v) { return reinterpret_cast<const uint8_t*>(v); }
inline const zcrpc_index* index_of(View v) { return reinterpret_cast<const zcrpc_index*>(bytes_of(v) - v->self); }
inline const Anchor* anchor_of(View v) { return reinterpret_cast<const Anchor*>(bytes_of(v) - v->self - kAnchorSize); }
inline const LazyLink* lazy_link_of(View v) { return reinterpret_cast<const LazyLink*>(bytes_of(v) - v->self - kAnchorSize) - 1; }
inline bool is_lazy(View v) { return index_of(v)->flags & ZCRPC_INDEX_LAZY; }
// What waits at this place of an index (bit 31 may be set), and the message once it was opened; nullptr: not yet.
inline const zcrpc_lazy* lazy_at(const void* index, uint32_t at) {
  return reinterpret_cast<const zcrpc_lazy*>(static_cast<const uint8_t*>(index) + (at & ~ZCRPC_ELSEWHERE));
}
inline View opened(const zcrpc_lazy* l) { return reinterpret_cast<View>(uintptr_t(l->view)); }
inline const uint8_t* input_of(View v) { return anchor_of(v)->input; }
inline const Message* type_of(View v) { return anchor_of(v)->schema->messages[v->type_no & ZCRPC_HEAD_TYPE]; }

template <class T>
inline T load(const void* p) {
  T v;
  memcpy(&v, p, sizeof v);
  return v;
}

inline bool bit_of(View v, uint32_t bit) { return load<uint32_t>(bytes_of(v) + 12 + 4 * (bit / 32)) >> (bit % 32) & 1; }

// Sparse messages: how many set bits lie below this one, which is the place of its slot.
inline uint32_t sparse_rank(View v, uint32_t bit) {
  uint32_t rank = 0, word = bit / 32;
  for (uint32_t i = 0; i < word; i++) rank += uint32_t(std::popcount(load<uint32_t>(bytes_of(v) + 12 + 4 * i)));
  return rank + uint32_t(std::popcount(load<uint32_t>(bytes_of(v) + 12 + 4 * word) & ((1u << bit % 32) - 1)));
}
const uint8_t* extension_slot(View v, const Field* f);  // nullptr: not set

// The slot of a field that its message may hold: nullptr when it cannot be set (absent in a sparse message, another
// member of its oneof, an extension that is not set). For plain messages a slot is there even when the field is absent;
// it then holds zeros.
inline const uint8_t* slot_of(View v, const Field* f) {
  const Message* m = f->parent;
  if (f->extension) [[unlikely]] return extension_slot(v, f);
  if (!m->sparse) [[likely]] {
    if (f->case_offset && load<uint32_t>(bytes_of(v) + f->case_offset) != f->number) return nullptr;
    return bytes_of(v) + f->offset;
  }
  return bit_of(v, f->bit) ? bytes_of(v) + m->size + 8 * sparse_rank(v, f->bit) : nullptr;
}
// Whether the slot of a singular number or string holds a value that came with the message.
inline bool filled(View v, const Field* f) {
  return f->bit == ZCRPC_NO_BIT || f->parent->sparse || !f->presence || bit_of(v, f->bit);
}

// Native bits of a number in a slot or array: zero-extended for 32-bit kinds and float; int32, sint32, sfixed32 and enum
// are sign-extended.
inline uint64_t bits_at(Kind k, const uint8_t* p) {
  switch (slot_width(k)) {
    case 1: return *p;
    case 4: {
      auto v = load<uint32_t>(p);
      switch (k) {
        case Kind::kInt32: case Kind::kSint32: case Kind::kSfixed32: case Kind::kEnum: return uint64_t(int64_t(int32_t(v)));
        default: return v;
      }
    }
    default: return load<uint64_t>(p);
  }
}

// Singular fields. `has`: explicit presence where the field has it, else "not the default"; repeated: not empty.
bool has(View v, const Field* f);
// The field of this oneof that is set, or nullptr.
const Field* which(View v, const Oneof* o);
inline uint64_t number(View v, const Field* f) {  // the default when absent; bits as bits_at
  const uint8_t* s = v ? slot_of(v, f) : nullptr;
  if (!s || !filled(v, f)) {
    auto d = uint32_t(f->default_bits);
    bool is_signed = f->kind == Kind::kInt32 || f->kind == Kind::kSint32 || f->kind == Kind::kSfixed32 || f->kind == Kind::kEnum;
    return is_signed ? uint64_t(int64_t(int32_t(d))) : f->default_bits;
  }
  return bits_at(f->kind, s);
}
inline base::Slice string(View v, const Field* f) {
  const uint8_t* s = v ? slot_of(v, f) : nullptr;
  if (!s || !filled(v, f)) return f->default_bytes;
  auto r = load<zcrpc_str>(s);
  return {input_of(v) + r.offset, r.len};
}
inline View sub_message(View v, const Field* f) {  // nullptr: absent, or not opened
  const uint8_t* s = v ? slot_of(v, f) : nullptr;
  uint32_t at = s ? load<uint32_t>(s) : 0;
  if (at & ZCRPC_ELSEWHERE) [[unlikely]] return opened(lazy_at(index_of(v), at));
  return at ? reinterpret_cast<View>(reinterpret_cast<const uint8_t*>(index_of(v)) + at) : nullptr;
}

// Repeated fields and maps: where their elements lie.
struct Elements {
  const uint8_t* data = nullptr;  // first element
  const uint8_t* input = nullptr; // base of strings
  const uint8_t* index = nullptr; // base of sub-messages
  uint32_t count = 0;
  uint32_t stride = 0;
  bool borrowed = false;  // raw little-endian fixed-width numbers in the input
  bool lazy = false;      // rows of zcrpc_lazy

  const uint8_t* at(size_t i) const { return data + i * stride; }
  uint64_t number(Kind k, size_t i) const { return borrowed ? wire_bits(k, at(i)) : bits_at(k, at(i)); }
  base::Slice string(size_t i) const { return string_at(at(i)); }
  base::Slice string_at(const uint8_t* slot) const {
    auto r = load<zcrpc_str>(slot);
    return {input + r.offset, r.len};
  }
  // Element of a repeated message field; nullptr: not opened.
  View message(const Message* type, size_t i) const {
    if (lazy) [[unlikely]] return opened(lazy_at(at(i), 0));
    return reinterpret_cast<View>(type->sparse ? index + load<uint32_t>(at(i)) : at(i));
  }
  View message_at(const uint8_t* slot) const {  // of a map entry's value slot
    auto o = load<uint32_t>(slot);
    if (o & ZCRPC_ELSEWHERE) [[unlikely]] return opened(lazy_at(index, o));
    return o ? reinterpret_cast<View>(index + o) : nullptr;
  }
  static uint64_t wire_bits(Kind k, const uint8_t* p) {
    if (slot_width(k) == 4) {
      auto v = wire::load_le<uint32_t>(p);
      return k == Kind::kSfixed32 ? uint64_t(int64_t(int32_t(v))) : v;
    }
    return wire::load_le<uint64_t>(p);
  }
};
Elements elements(View v, const Field* f);

// The payload of the message (or of its first piece) whose head is h, in the input it was decoded from.
base::Slice payload(base::Slice input, const zcrpc_head* h);
// The encoded bytes of this message, in place. False: it came in several pieces (pieces() lists them), or it is null.
bool encoded(View v, base::Slice* out);
// Rows of the table of pieces, and of the unknown table, that belong to this message.
std::span<const zcrpc_range> pieces(View v);
std::span<const zcrpc_range> unknown(View v);

}  // namespace zcrpc::schema
