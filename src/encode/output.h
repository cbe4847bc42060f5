// Where a walk over a view puts its fields: a count, or an encoder. Both are small values, copied into each function, so
// that what they hold, and the position, stay in registers.
#pragma once

#include "encode/state.h"

namespace zcrpc::encode {

// Counts.
struct Counter {
  using Pos = size_t;
  static constexpr bool kWrites = false;

  bool failed() const { return false; }
  Pos tag(Pos p, uint32_t t) const { return p + wire::varint_size(t); }
  Pos varint(Pos p, uint64_t v) const { return p + wire::varint_size(v); }
  Pos number(Pos p, uint32_t t, uint64_t v) const { return p + wire::varint_size(t) + wire::varint_size(v); }
  Pos fixed32(Pos p, uint32_t t, uint32_t) const { return p + wire::varint_size(t) + 4; }
  Pos fixed64(Pos p, uint32_t t, uint64_t) const { return p + wire::varint_size(t) + 8; }
  Pos value(Pos p, schema::Kind k, uint64_t bits) const { return p + value_size(k, bits); }
  Pos string(Pos p, uint32_t t, base::Slice s) const { return p + wire::varint_size(t) + wire::varint_size(s.size) + s.size; }
  Pos pair(Pos p, uint32_t t, base::Slice k, base::Slice v) const {
    size_t n = 2 + wire::varint_size(k.size) + k.size + wire::varint_size(v.size) + v.size;
    return p + wire::varint_size(t) + wire::varint_size(n) + n;
  }
  Pos raw(Pos p, base::Slice s) const { return p + s.size; }
  Pos open(Pos p, size_t* at, uint8_t*, uint8_t) const {
    *at = p;
    return p;
  }
  Pos close(Pos p, size_t at, uint8_t, const Level&) const { return p + wire::varint_size(p - at); }
  void mark(Level*) const {}
};

// Writes at an encoder's cursor.
struct Writer {
  using Pos = uint8_t*;
  static constexpr bool kWrites = true;
  Encoder* e;
  const uint8_t* safe;   // the last place of the input from which 32 bytes may be read
  base::Buffer* holder;  // of the input; or nullptr

  bool failed() const { return e->is_failed; }
  // Room for a tag, a length and a number. After a failure: in the scratch memory.
  [[gnu::always_inline]] inline Pos room(Pos p) const {
    if (size_t(e->end - p) >= kRoom) [[likely]]
      return p;
    return more(e, p, kRoom);
  }
  [[gnu::noinline]] static Pos more(Encoder* e, Pos p, size_t n) {
    if (!e->is_failed) {
      e->p = p;
      if (e->room(n)) return e->p;
    }
    return lost(e);
  }
  static Pos lost(Encoder* e) {
    e->end = e->scratch + sizeof e->scratch - kOverrun;
    return e->scratch;
  }
  [[gnu::always_inline]] inline Pos tag(Pos p, uint32_t t) const { return put_varint(room(p), t); }
  Pos varint(Pos p, uint64_t v) const { return put_varint(room(p), v); }
  [[gnu::always_inline]] inline Pos number(Pos p, uint32_t t, uint64_t v) const { return put_varint(put_varint(room(p), t), v); }
  Pos fixed32(Pos p, uint32_t t, uint32_t v) const {
    p = put_varint(room(p), t);
    wire::store_le<uint32_t>(p, v);
    return p + 4;
  }
  Pos fixed64(Pos p, uint32_t t, uint64_t v) const {
    p = put_varint(room(p), t);
    wire::store_le<uint64_t>(p, v);
    return p + 8;
  }
  Pos value(Pos p, schema::Kind k, uint64_t bits) const { return put_value(room(p), k, bits); }
  [[gnu::always_inline]] inline Pos string(Pos p, uint32_t t, base::Slice s) const {
    if (size_t(e->end - p) < s.size + kRoom || s.size >= kByReference) [[unlikely]]
      return long_string(*this, p, t, s);
    if ((t | s.size) < 0x80) [[likely]] {
      p[0] = uint8_t(t);
      p[1] = uint8_t(s.size);
      p += 2;
    } else {
      p = put_varint(put_varint(p, t), s.size);
    }
    copy_blocks(p, s.data, s.size, safe);
    return p + s.size;
  }
  [[gnu::noinline]] static Pos long_string(const Writer w, Pos p, uint32_t t, base::Slice s) {
    return w.raw(put_varint(put_varint(w.room(p), t), s.size), s);
  }
  // A map entry of two strings.
  [[gnu::always_inline]] inline Pos pair(Pos p, uint32_t t, base::Slice k, base::Slice v) const {
    if ((t | k.size | v.size | (k.size + v.size + 4)) >= 0x80 || size_t(e->end - p) < k.size + v.size + kRoom) [[unlikely]]
      return long_pair(*this, p, t, k, v);
    p[0] = uint8_t(t);
    p[1] = uint8_t(k.size + v.size + 4);
    p[2] = 1 << 3 | 2;
    p[3] = uint8_t(k.size);
    p += 4;
    copy_blocks(p, k.data, k.size, safe);
    p += k.size;
    p[0] = 2 << 3 | 2;
    p[1] = uint8_t(v.size);
    copy_blocks(p + 2, v.data, v.size, safe);
    return p + 2 + v.size;
  }
  [[gnu::noinline]] static Pos long_pair(const Writer w, Pos p, uint32_t t, base::Slice k, base::Slice v) {
    size_t n = 2 + wire::varint_size(k.size) + k.size + wire::varint_size(v.size) + v.size;
    p = w.number(p, t, n);
    p = w.string(p, 1 << 3 | 2, k);
    return w.string(p, 2 << 3 | 2, v);
  }
  [[gnu::noinline]] Pos raw(Pos p, base::Slice s) const {
    if (s.size >= kByReference && holder && !e->is_failed) {
      e->p = p;
      return e->refer(holder, s) ? e->p : lost(e);
    }
    if (size_t(e->end - p) < s.size) {
      p = more(e, p, s.size);
      if (e->is_failed) return p;
    }
    copy(p, s.data, s.size);
    return p + s.size;
  }
  [[gnu::always_inline]] inline Pos open(Pos p, size_t* at, uint8_t* guess, uint8_t g) const {
    p = room(p);
    *at = size_t(p - e->base);
    *guess = g;
    return p + g;
  }
  [[gnu::always_inline]] inline Pos close(Pos p, size_t at, uint8_t guess, const Level& l) const {
    size_t n = size_t(p - e->base) - at - guess;
    if (!e->is_failed && e->refs == l.refs) [[likely]] {
      uint8_t* to = e->base + at;
      if (n < 0x80 && guess == 1) {
        *to = uint8_t(n);
        return p;
      }
      if (n >= 0x80 && n < 0x4000 && guess == 2) {
        to[0] = uint8_t(n | 0x80);
        to[1] = uint8_t(n >> 7);
        return p;
      }
    }
    return close_slowly(e, p, at, guess, l);
  }
  [[gnu::noinline]] static Pos close_slowly(Encoder* e, Pos p, size_t at, uint8_t guess, const Level& l) {
    if (e->is_failed) return lost(e);
    e->p = p;
    return close_length(e, at, &guess, l.refs, l.first_cut) ? e->p : lost(e);
  }
  void mark(Level* l) const {
    l->refs = e->refs;
    l->first_cut = e->cuts.size();
  }
};

}  // namespace zcrpc::encode
