// The walk of fields.cc, with the input in place of an output: each field is what it would be written as, or the answer is
// no. Nothing here writes, allocates or fails.
#include "encode/same.h"

#include "encode/state.h"

namespace zcrpc::encode {

using schema::Field;
using schema::Kind;
using schema::Message;
using schema::Shape;
using schema::View;

namespace {

constexpr uint32_t kDeepest = 64;  // levels of C stack

// With the words that generated comparers read.
struct Walk : zcrpc_same {
  // Each takes the place that has been reached and gives the place behind what was expected there; nullptr: it was not.
  const uint8_t* message(View v, const Message* m, const uint8_t* p, uint32_t levels) const;
  const uint8_t* unknown(View v, const uint8_t* p) const;
  const uint8_t* if_set(const Field& f, View v, const uint8_t* p, uint32_t levels) const;
  const uint8_t* field_at(const Field& f, const uint8_t* slot, bool set, const uint8_t* p, uint32_t levels) const;
  const uint8_t* child(const Field& f, View v, const uint8_t* p, uint32_t levels) const;
  const uint8_t* repeated(const Field& f, const zcrpc_run& run, const uint8_t* p, uint32_t levels) const;
  const uint8_t* map(const Field& f, const zcrpc_run& run, const uint8_t* p) const;
  const uint8_t* packed(const Field& f, const uint8_t* data, uint32_t n, const uint8_t* p) const;

  [[gnu::always_inline]] const uint8_t* varint(const uint8_t* p, uint64_t v) const {
    if (v < 0x80) [[likely]] return p < end && *p == v ? p + 1 : nullptr;
    return long_varint(p, v);
  }
  const uint8_t* long_varint(const uint8_t* p, uint64_t v) const {
    if (end - p < 10) {  // rare: what is written is compared
      uint8_t bytes[16];
      const size_t n = size_t(put_varint(bytes, v) - bytes);
      return size_t(end - p) >= n && memcmp(p, bytes, n) == 0 ? p + n : nullptr;
    }
    if (v < 0x4000) return p[0] == uint8_t(v | 0x80) && p[1] == uint8_t(v >> 7) ? p + 2 : nullptr;
    const uint64_t groups = spread_groups(v), have = wire::load_le<uint64_t>(p);
    const size_t n = wire::varint_size(v);
    if (n <= 8) return ((groups | more_follow(n)) ^ have) << (64 - 8 * n) == 0 ? p + n : nullptr;
    if ((groups | more_follow(9)) != have) return nullptr;
    if (n == 9) return p[8] == v >> 56 ? p + 9 : nullptr;
    return p[8] == uint8_t(v >> 56 | 0x80) && p[9] == 1 ? p + 10 : nullptr;
  }
  // A length that is as short as it can be.
  const uint8_t* length(const uint8_t* p, uint64_t* n) const {
    if (end - p < 2) return p < end && (*n = *p) < 0x80 ? p + 1 : nullptr;
    *n = p[0];
    if (*n < 0x80) return p + 1;
    if (p[1] < 0x80) {
      *n = (p[0] & 0x7Fu) | uint64_t(p[1]) << 7;
      return p[1] ? p + 2 : nullptr;
    }
    wire::Fault fault;
    const uint8_t* q = wire::read_varint(p, end, n, &fault);
    return q && size_t(q - p) == wire::varint_size(*n) ? q : nullptr;
  }
  [[gnu::always_inline]] const uint8_t* tagged(const uint8_t* p, uint32_t tag, uint64_t v) const {
    p = varint(p, tag);
    return p ? varint(p, v) : nullptr;
  }
  const uint8_t* value(const uint8_t* p, Kind k, uint64_t bits) const {
    uint8_t bytes[16];
    const size_t n = size_t(put_value(bytes, k, bits) - bytes);
    return size_t(end - p) >= n && memcmp(p, bytes, n) == 0 ? p + n : nullptr;
  }
  // A string's bytes lie where its slot says: only what is before them has to be looked at.
  [[gnu::always_inline]] const uint8_t* string(const uint8_t* p, uint32_t tag, zcrpc_str r) const {
    const uint8_t* s = input + r.offset;
    if (tag < 0x80 && r.len < 0x80) [[likely]]
      return s - p == 2 && wire::load_le<uint16_t>(p) == (tag | r.len << 8) ? s + r.len : nullptr;
    p = varint(p, tag);
    if (p) p = varint(p, r.len);
    return p == s ? s + r.len : nullptr;
  }
};

const uint8_t* Walk::message(View v, const Message* m, const uint8_t* p, uint32_t levels) const {
  if (m->sparse || m->extendable() || levels == 0) return nullptr;
  const uint8_t* const at = schema::bytes_of(v);
  for (const Field& f : m->fields) {
    if (f.kind == Kind::kString && f.shape == Shape::kSingular && !f.presence && !f.case_offset) [[likely]] {
      const auto r = schema::load<zcrpc_str>(at + f.offset);
      if (r.len && !(p = string(p, f.number << 3 | 2, r))) return nullptr;
    } else if (!(p = if_set(f, v, p, levels))) {
      return nullptr;
    }
  }
  return v->type_no & ZCRPC_HEAD_UNKNOWN ? unknown(v, p) : p;
}

const uint8_t* Walk::unknown(View v, const uint8_t* p) const {
  for (const zcrpc_range& r : schema::unknown(v)) {
    if (r.number || input + r.offset != p) return nullptr;
    p += r.len;
  }
  return p;
}

[[gnu::always_inline]] inline const uint8_t* Walk::if_set(const Field& f, View v, const uint8_t* p, uint32_t levels) const {
  const uint8_t* const at = schema::bytes_of(v);
  bool set = f.presence;
  if (f.case_offset) {
    if (schema::load<uint32_t>(at + f.case_offset) != f.number) return p;
    set = true;
  } else if (f.bit != ZCRPC_NO_BIT && !schema::bit_of(v, f.bit)) {
    return p;
  }
  return field_at(f, at + f.offset, set, p, levels);
}

[[gnu::always_inline]] inline const uint8_t* Walk::field_at(const Field& f, const uint8_t* slot, bool set, const uint8_t* p, uint32_t levels) const {
  if (f.shape != Shape::kSingular) {
    const auto run = schema::load<zcrpc_run>(slot);
    return run.count ? repeated(f, run, p, levels) : p;
  }
  const uint32_t tag = f.number << 3;
  switch (f.kind) {
    case Kind::kString:
    case Kind::kBytes: {
      const auto r = schema::load<zcrpc_str>(slot);
      return r.len || set ? string(p, tag | 2, r) : p;
    }
    case Kind::kGroup:
    case Kind::kMessage: {
      const auto at = schema::load<uint32_t>(slot);
      if (!at || (at & ZCRPC_ELSEWHERE)) return p;
      return child(f, reinterpret_cast<View>(index + at), p, levels);
    }
    case Kind::kInt64:
    case Kind::kUint64: {
      const auto v = schema::load<uint64_t>(slot);
      return v || set ? tagged(p, tag, v) : p;
    }
    case Kind::kInt32:
    case Kind::kEnum: {
      const auto v = schema::load<int32_t>(slot);
      return v || set ? tagged(p, tag, uint64_t(int64_t(v))) : p;
    }
    default: {
      const uint64_t bits = schema::bits_at(f.kind, slot);
      if (!bits && !set) return p;
      p = varint(p, element_tag(&f));
      return p ? value(p, f.kind, bits) : nullptr;
    }
  }
}

// A sub-message with its tag and length, or between the tags of a group.
const uint8_t* Walk::child(const Field& f, View v, const uint8_t* p, uint32_t levels) const {
  if (f.extension || (v->type_no & (ZCRPC_HEAD_MERGED | ZCRPC_HEAD_ROOT))) return nullptr;
  if (!(p = varint(p, element_tag(&f)))) return nullptr;
  if (input + v->start != p) return nullptr;
  if (f.kind == Kind::kGroup) {
    p = message(v, f.message, p, levels - 1);
    return p ? varint(p, wire::tag(f.number, wire::Type::kEndGroup)) : nullptr;
  }
  uint64_t n = 0;
  const uint8_t* q = length(p, &n);
  if (!q) return nullptr;
  p = message(v, f.message, q, levels - 1);
  return p && size_t(p - q) == n ? p : nullptr;
}

const uint8_t* Walk::repeated(const Field& f, const zcrpc_run& run, const uint8_t* p, uint32_t levels) const {
  const bool borrowed = run.offset & ZCRPC_ELSEWHERE;
  if (f.is_map()) return map(f, run, p);
  if (schema::is_message(f.kind)) {
    if (borrowed || f.message->sparse) return nullptr;
    const uint8_t* at = index + run.offset;
    for (uint32_t i = 0; p && i < run.count; i++, at += f.stride) p = child(f, reinterpret_cast<View>(at), p, levels);
    return p;
  }
  const uint8_t* data = borrowed ? input + (run.offset & ~ZCRPC_ELSEWHERE) : index + run.offset;
  if (schema::is_string(f.kind)) {
    const uint32_t tag = length_tag(&f);
    for (uint32_t i = 0; p && i < run.count; i++) p = string(p, tag, schema::load<zcrpc_str>(data + size_t(i) * sizeof(zcrpc_str)));
    return p;
  }
  if (f.packed) return packed(f, data, run.count, p);
  const uint32_t tag = element_tag(&f), width = schema::slot_width(f.kind);
  for (uint32_t i = 0; p && i < run.count; i++) {
    const uint8_t* at = data + size_t(i) * width;
    p = varint(p, tag);
    if (p) p = value(p, f.kind, borrowed ? schema::Elements::wire_bits(f.kind, at) : schema::bits_at(f.kind, at));
  }
  return p;
}

const uint8_t* Walk::packed(const Field& f, const uint8_t* data, uint32_t n, const uint8_t* p) const {
  const uint32_t wire = kWireOf[uint8_t(f.kind)], width = schema::slot_width(f.kind);
  if (!(p = varint(p, length_tag(&f)))) return nullptr;
  if (wire == 1 || wire == 5) {
    const size_t bytes = size_t(n) * width;
    if (!(p = varint(p, bytes))) return nullptr;
    return p == data ? p + bytes : nullptr;  // where they lie; a run that had to be put together is not worth more code
  }
  uint64_t bytes = 0;
  const uint8_t* q = length(p, &bytes);
  if (!q) return nullptr;
  p = q;
  for (uint32_t i = 0; p && i < n; i++) p = value(p, f.kind, schema::bits_at(f.kind, data + size_t(i) * width));
  return p && size_t(p - q) == bytes ? p : nullptr;
}

// Maps from strings to strings; others are left to the walk that writes.
const uint8_t* Walk::map(const Field& f, const zcrpc_run& run, const uint8_t* p) const {
  const Field *key = f.map_key(), *val = f.map_value();
  const uint32_t tag = length_tag(&f);
  if (!schema::is_string(key->kind) || !schema::is_string(val->kind) || tag >= 0x80) return nullptr;
  const uint8_t* at = index + run.offset;
  const uint8_t* const stop = at + size_t(run.count) * f.stride;
  const uint32_t key_at = key->offset, value_at = val->offset, head = tag | 0x0A0000;
  for (; at != stop; at += f.stride) {
    const auto k = schema::load<zcrpc_str>(at + key_at), v = schema::load<zcrpc_str>(at + value_at);
    const uint32_t n = k.len + v.len + 4;  // they lie in the input: no overflow
    if (n < 0x80) [[likely]] {
      // tag, n, 1 and 2 as tags, and both lengths before the strings.
      const uint8_t* const key_end = p + 4 + k.len;
      if (input + k.offset != p + 4 || input + v.offset != key_end + 2) return nullptr;
      if (wire::load_le<uint32_t>(p) != (head | n << 8 | k.len << 24)) return nullptr;
      if (wire::load_le<uint16_t>(key_end) != (0x12 | v.len << 8)) return nullptr;
      p = key_end + 2 + v.len;
      continue;
    }
    const size_t size = 2 + wire::varint_size(k.len) + k.len + wire::varint_size(v.len) + v.len;
    p = tagged(p, tag, size);
    if (p) p = string(p, 1 << 3 | 2, k);
    if (p) p = string(p, 2 << 3 | 2, v);
    if (!p) return nullptr;
  }
  return p;
}

// What generated comparers ask.
const Walk* walk_of(const zcrpc_same* s) { return static_cast<const Walk*>(s); }
const uint8_t* field_of(const zcrpc_same* s, const uint8_t* p, const void* m, uint32_t field, uint32_t depth) {
  const auto v = static_cast<View>(m);
  return walk_of(s)->if_set(schema::type_of(v)->fields[field], v, p, depth);
}
const uint8_t* number_at(const zcrpc_same* s, const uint8_t* p, uint32_t tag, uint64_t v) { return walk_of(s)->tagged(p, tag, v); }
const uint8_t* rest_of(const zcrpc_same* s, const uint8_t* p, const void* m) { return walk_of(s)->unknown(static_cast<View>(m), p); }

}  // namespace

bool comes_as_written(View v, base::Slice* bytes, zcrpc_same_fn* same) {
  if (!schema::encoded(v, bytes)) return false;
  const zcrpc_index* index = schema::index_of(v);
  const uint8_t* input = schema::input_of(v);
  Walk walk;
  static_cast<zcrpc_same&>(walk) = {input, input + index->input_len, reinterpret_cast<const uint8_t*>(index), field_of, number_at, rest_of};
  const uint8_t* p = same ? same(&walk, bytes->data, schema::bytes_of(v), kDeepest)
                          : walk.message(v, schema::type_of(v), bytes->data, kDeepest);
  return p == bytes->end();
}

}  // namespace zcrpc::encode
