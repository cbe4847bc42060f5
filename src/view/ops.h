// The fast bodies of the decoder: one for each Op, used by every dispatcher. A body starts with w.p at the field's tag,
// which it knows to match, and either does the whole field and answers true, or leaves everything as it was and answers
// false: slow_field then does it. Only slow code grows memory, judges faults, and knows merges and unknown values.
#pragma once

#include "view/fast.h"

namespace zcrpc::view {
namespace {

ZCRPC_HOT void set_bit(Walk& w, const Entry* e) { w.has |= uint64_t(1) << (e->bit & 63); }
ZCRPC_HOT void set_case(Walk& w, const Entry* e) { store<uint32_t>(w.m + e->case_offset, e->number); }
ZCRPC_HOT uint32_t unzigzag32(uint32_t v) { return v >> 1 ^ (0 - (v & 1)); }

#define ZCRPC_OP(name) ZCRPC_HOT bool op_##name(Context* c, Walk& w, const Entry* e, unsigned tl)

// ---- Projections: what is not named ----------------------------------------------------------------------------

// Any field that is not named, from its tag on; nullptr: ask slow code. Only what bounds it is looked at. A tag of two
// bytes that needs one could be any field's.
static __attribute__((noinline)) const uint8_t* skip_one(const uint8_t* p, const uint8_t* end) {
  const uint32_t b = *p++;
  if (b >= 0x80) {
    const uint32_t b1 = *p++;
    if (b1 >= 0x80 || b1 == 0) return nullptr;
  }
  uint64_t v;
  uint32_t n;
  switch (b & 7) {
    case 0: p = read_varint(p, &v); break;
    case 1: p += 8; break;
    case 5: p += 4; break;
    case 2:
      p = read_length(p, end, &n);
      if (p) p += n;
      break;
    default: return nullptr;
  }
  return p && p <= end ? p : nullptr;
}

// The field at w.p is not named, whichever it is: so are those behind it whose tags say so. Each is found by the one before
// it: the loop is short and has no choices, only branches.
ZCRPC_HOT bool op_Skip(Context* c, Walk& w) {
  (void)c;
  const uint8_t *p = w.p, *q, *const end = w.end, *const skips = w.t->skips;
  for (;;) {
    const uint8_t kind = skips[*p];
    uint64_t n = p[1];
    if (ZCRPC_LIKELY(kind == kSkipLength)) {  // most, and short
      if (ZCRPC_UNLIKELY(n >= 0x80)) goto any;
      q = p + 2 + n;
      ZCRPC_HIDE(q);
      if (ZCRPC_LIKELY(q < end)) {
        // The same tag and length again, as with the entries of a map: found without waiting for the length to be read.
        const auto same = load<uint16_t>(p);
        p = q;
        while (load<uint16_t>(p) == same && end - p > ptrdiff_t(n) + 2) p += n + 2;
        continue;
      }
      if (q > end) break;
    } else if (kind == kSkipNumber && n < 0x80) {
      q = p + 2;
    } else if (kind == kSkipNever && p != w.p) {
      break;
    } else {
    any:
      q = skip_one(p, end);
      if (!q) break;
    }
    if (q > end) break;
    p = q;
    if (p == end) break;
  }
  const bool some = p != w.p;
  w.p = p;
  return some;
}

// ---- Numbers and strings -------------------------------------------------------------------------------------

template <class T, class Convert>
ZCRPC_HOT bool varint_field(Walk& w, const Entry* e, unsigned tl, Convert convert) {
  uint64_t v;
  const uint8_t* p = read_varint(w.p + tl, &v);
  if (ZCRPC_UNLIKELY(!p)) return false;
  store<T>(w.m + e->offset, convert(v));
  set_bit(w, e);
  w.p = p;
  return true;
}
ZCRPC_OP(V64) { (void)c; return varint_field<uint64_t>(w, e, tl, [](uint64_t v) { return v; }); }
ZCRPC_OP(V32) { (void)c; return varint_field<uint32_t>(w, e, tl, [](uint64_t v) { return uint32_t(v); }); }
ZCRPC_OP(S64) { (void)c; return varint_field<uint64_t>(w, e, tl, [](uint64_t v) { return v >> 1 ^ (0 - (v & 1)); }); }
ZCRPC_OP(S32) { (void)c; return varint_field<uint32_t>(w, e, tl, [](uint64_t v) { return unzigzag32(uint32_t(v)); }); }
ZCRPC_OP(Bool) { (void)c; return varint_field<uint8_t>(w, e, tl, [](uint64_t v) { return uint8_t(v != 0); }); }
ZCRPC_OP(Enum) {
  (void)c;
  uint64_t v;
  const uint8_t* p = read_varint(w.p + tl, &v);
  if (ZCRPC_UNLIKELY(!p || v > 63 || !(e->members >> v & 1))) return false;
  store<uint32_t>(w.m + e->offset, uint32_t(v));
  set_bit(w, e);
  w.p = p;
  return true;
}
template <class T>
ZCRPC_HOT bool fixed_field(Walk& w, const Entry* e, unsigned tl) {
  store<T>(w.m + e->offset, load_wire<T>(w.p + tl));
  set_bit(w, e);
  w.p += tl + sizeof(T);
  return true;
}
ZCRPC_OP(F64) { (void)c; return fixed_field<uint64_t>(w, e, tl); }
ZCRPC_OP(F32) { (void)c; return fixed_field<uint32_t>(w, e, tl); }

ZCRPC_HOT void store_pair(uint8_t* slot, uint32_t first, uint32_t second) {
  store<uint32_t>(slot, first);
  store<uint32_t>(slot + 4, second);
}
ZCRPC_HOT void store_string(Context* c, uint8_t* slot, const uint8_t* p, uint32_t n) { store_pair(slot, c->offset(p), n); }
template <bool kUtf8>
ZCRPC_HOT bool string_field(Context* c, Walk& w, const Entry* e, unsigned tl) {
  uint32_t n;
  const uint8_t* p = read_length_2(w.p + tl, w.end, &n);
  if (ZCRPC_UNLIKELY(!p)) return false;
  if (kUtf8 && ZCRPC_UNLIKELY(!is_ascii(p, n))) return false;
  store_string(c, w.m + e->offset, p, n);
  set_bit(w, e);
  w.p = p + n;
  return true;
}
// Most strings are short. Longer ones are a second try, so that the first needs few registers (and in a handler of its
// own no frame); see tail.h.
ZCRPC_OP(String) {
  const uint8_t* p = w.p + tl + 1;
  ZCRPC_HIDE(p);
  uint32_t n = p[-1];
  if (ZCRPC_UNLIKELY(n > 64 || w.end - p < ptrdiff_t(n) || !is_ascii_64(p, n))) {
    w.p = p - tl - 1;
    return false;
  }
  store_string(c, w.m + e->offset, p, n);
  set_bit(w, e);
  w.p = p + n;
  return true;
}
ZCRPC_HOT bool long_string(Context* c, Walk& w, const Entry* e, unsigned tl) { return string_field<true>(c, w, e, tl); }
ZCRPC_OP(Bytes) { return string_field<false>(c, w, e, tl); }

#define ZCRPC_ONEOF_OP(name)                   \
  ZCRPC_OP(Oneof##name) {                      \
    if (!op_##name(c, w, e, tl)) return false; \
    set_case(w, e);                            \
    return true;                               \
  }
ZCRPC_ONEOF_OP(V64)
ZCRPC_ONEOF_OP(V32)
ZCRPC_ONEOF_OP(Bool)
ZCRPC_ONEOF_OP(F64)
ZCRPC_ONEOF_OP(F32)
ZCRPC_OP(OneofString) {
  if (!long_string(c, w, e, tl)) return false;
  set_case(w, e);
  return true;
}
ZCRPC_ONEOF_OP(Bytes)

// ---- Messages ------------------------------------------------------------------------------------------------

ZCRPC_HOT void open_message(Context* c, uint8_t* m, const Table* t, const uint8_t* length_prefix) {
  zero_message(m, t->size);
  uint32_t self = c->index_offset(m), start = c->offset(length_prefix);
  store<uint32_t>(m, self);
  store<uint32_t>(m + 4, start);
  store<uint32_t>(m + 8, t->type_no);
}
// Goes from the open message into m, whose payload is the n bytes at p.
ZCRPC_HOT void descend(Context* c, Walk& w, const Entry* e, uint8_t* m, const uint8_t* p, uint32_t n, uint32_t left) {
  Frame* f = c->sp;
  f->end = w.end;
  f->m = w.m;
  f->t = w.t;
  f->has = w.has;
  f->e = e;
  f->left = left;
  f->flags = 0;
  c->sp = f + 1;
  w = {p, p + n, m, e->sub, 0};
}
ZCRPC_HOT bool message_field(Context* c, Walk& w, const Entry* e, unsigned tl) {
  const uint8_t* prefix = w.p + tl;
  uint32_t n;
  const uint8_t* p = read_length(prefix, w.end, &n);
  const Table* t = e->sub;
  uint8_t* m = c->top;
  if (ZCRPC_UNLIKELY(!p || size_t(c->limit - m) < t->size || c->sp == c->sp_end)) return false;
  c->top = m + t->size;
  open_message(c, m, t, prefix);
  store<uint32_t>(w.m + e->offset, c->index_offset(m));
  set_bit(w, e);
  descend(c, w, e, m, p, n, 0);
  return true;
}
ZCRPC_OP(Message) {
  if (ZCRPC_UNLIKELY(load<uint32_t>(w.m + e->offset) != 0)) return false;  // a further piece
  return message_field(c, w, e, tl);
}
ZCRPC_OP(OneofMessage) {
  if (ZCRPC_UNLIKELY(load<uint32_t>(w.m + e->case_offset) == e->number)) return false;
  uint8_t* m = w.m;
  if (!message_field(c, w, e, tl)) return false;
  store<uint32_t>(m + e->case_offset, e->number);
  return true;
}
// Elements of a run that may go on behind the clamp.
static __attribute__((noinline)) uint32_t count_over(Context* c, const Walk& w, const Entry* e, const uint8_t* prefix) {
  c->walk.end = w.end;
  return count_elements(c, {&w.t->field(e), e}, prefix);
}
// The whole run is counted, its elements lie side by side.
ZCRPC_OP(Messages) {
  const uint8_t* prefix = w.p + tl;
  uint8_t* slot = w.m + e->offset;
  uint32_t n;
  const uint8_t* p = read_length(prefix, w.end, &n);
  if (ZCRPC_UNLIKELY(!p || load<uint32_t>(slot + 4) != 0 || c->sp == c->sp_end)) return false;
  const uint32_t k = ZCRPC_LIKELY(w.end != c->clamp) ? count_run(prefix, w.end, e->tag, tl) : count_over(c, w, e, prefix);
  uint8_t* m = c->top;
  uint64_t size = uint64_t(k) * e->sub->size;
  if (ZCRPC_UNLIKELY(uint64_t(c->limit - m) < size)) return false;
  c->top = m + size;
  store<uint32_t>(slot, c->index_offset(m));
  store<uint32_t>(slot + 4, k);
  set_bit(w, e);
  open_message(c, m, e->sub, prefix);
  descend(c, w, e, m, p, n, k - 1);
  return true;
}

// The open message is complete, and others of its run follow: opens the next. False: its length is for slow code.
ZCRPC_HOT bool next_of_run(Context* c, Walk& w) {
  Frame* f = c->sp - 1;
  // Counted, so the tag is known to match. The walk is at w.end, too, which is known long before.
  const uint8_t* prefix = w.end + (f->e->tag > 0xFF ? 2 : 1);
  uint32_t n;
  const uint8_t* p = read_length(prefix, f->end, &n);
  if (ZCRPC_UNLIKELY(!p)) return false;
  f->left--;
  uint8_t* m = w.m + w.t->size;
  open_message(c, m, w.t, prefix);
  w.p = p;
  w.end = p + n;
  w.m = m;
  return true;
}

enum class Leave { kNext, kUp, kSlow };
// The open message's bytes are done. Closes it if there is nothing special about it.
ZCRPC_HOT Leave leave(Context* c, Walk& w) {
  Frame* f = c->sp - 1;
  if (ZCRPC_UNLIKELY(w.p != w.end || f->flags)) return Leave::kSlow;
  if (w.has << 1) {
    store<uint32_t>(w.m + 12, load<uint32_t>(w.m + 12) | uint32_t(w.has));
    auto high = uint32_t(w.has << 1 >> 33);
    if (high) store<uint32_t>(w.m + 16, load<uint32_t>(w.m + 16) | high);
  }
  if (f->left) {
    w.has = 0;
    return next_of_run(c, w) ? Leave::kNext : Leave::kSlow;
  }
  c->sp = f;
  w.end = f->end;
  w.m = f->m;
  w.t = f->t;
  w.has = f->has;
  return Leave::kUp;
}

// The open message is the root, whole and with nothing special about it: closes it, and the walk is over.
ZCRPC_HOT bool finish(Context* c, Walk& w) {
  const Frame* f = c->sp - 1;
  if ((f->flags & ~uint32_t(kClamped)) != kRoot || w.p != (f->flags & kClamped ? f->true_end : w.end)) return false;
  if (w.has << 1) {
    store<uint32_t>(w.m + 12, load<uint32_t>(w.m + 12) | uint32_t(w.has));
    auto high = uint32_t(w.has << 1 >> 33);
    if (high) store<uint32_t>(w.m + 16, load<uint32_t>(w.m + 16) | high);
  }
  c->root = c->index_offset(w.m);
  if (ZCRPC_UNLIKELY(c->row_count)) c->walk = w;  // tidy() says where it ran out of room
  return true;
}

// Gives up after writing above top: those bytes are no longer zero.
ZCRPC_HOT bool soiled(Context* c, uint8_t* end) {
  if (c->clean < end) c->clean = end;
  return false;
}

// ---- Arrays --------------------------------------------------------------------------------------------------

// Where a run may go on: at top, if nothing lies behind what there is of it. nullptr: ask slow code.
ZCRPC_HOT uint8_t* run_start(Context* c, const uint8_t* slot, uint32_t width, uint32_t* count) {
  uint32_t offset = load<uint32_t>(slot), n = load<uint32_t>(slot + 4);
  *count = n;
  if (ZCRPC_LIKELY(n == 0)) return c->top;
  if (offset & (ZCRPC_ELSEWHERE | kMarks)) return nullptr;
  uint8_t* start = c->index + offset;
  uint8_t* next = start + uint64_t(n) * width;
  return c->index + align8(size_t(next - c->index)) == c->top ? next : nullptr;
}
ZCRPC_HOT void run_done(Context* c, uint8_t* slot, uint8_t* first, uint8_t* end, uint32_t before, uint32_t count) {
  if (before == 0) store<uint32_t>(slot, c->index_offset(first));
  store<uint32_t>(slot + 4, count);
  while (size_t(end - c->index) & 7) *end++ = 0;
  c->top = end;
}

template <bool kUtf8>
ZCRPC_HOT bool strings_field(Context* c, Walk& w, const Entry* e, unsigned tl) {
  uint8_t* slot = w.m + e->offset;
  uint32_t before;
  uint8_t* first = run_start(c, slot, 8, &before);
  if (ZCRPC_UNLIKELY(!first)) return false;
  uint8_t* out = first;
  uint32_t count = before;
  const uint16_t mask = tl == 1 ? 0xFF : 0xFFFF;
  const uint8_t* p = w.p;
  do {
    uint32_t n;
    const uint8_t* q = read_length(p + tl, w.end, &n);
    if (ZCRPC_UNLIKELY(!q || c->limit - out < 8 || (kUtf8 && !is_ascii(q, n)))) {
      if (count == before) return false;
      break;  // the rest is for slow code
    }
    store_string(c, out, q, n);
    out += 8;
    count++;
    p = q + n;
  } while (p < w.end && (load_wire<uint16_t>(p) & mask) == e->tag);
  run_done(c, slot, first, out, before, count);
  set_bit(w, e);
  w.p = p;
  return true;
}
ZCRPC_OP(Strings) { return strings_field<true>(c, w, e, tl); }
ZCRPC_OP(BytesList) { return strings_field<false>(c, w, e, tl); }

// Repeated numbers written one by one.
template <class T>
ZCRPC_HOT bool list_field(Context* c, Walk& w, const Entry* e, unsigned tl) {
  uint8_t* slot = w.m + e->offset;
  uint32_t before;
  uint8_t* first = run_start(c, slot, sizeof(T), &before);
  if (ZCRPC_UNLIKELY(!first)) return false;
  uint8_t* out = first;
  uint32_t count = before;
  const uint16_t mask = tl == 1 ? 0xFF : 0xFFFF;
  const uint8_t* p = w.p;
  do {
    uint64_t v;
    const uint8_t* q = read_varint(p + tl, &v);
    if (ZCRPC_UNLIKELY(!q || q > w.end || c->limit - out < 8)) {
      if (count == before) return false;
      break;
    }
    store<T>(out, T(v));
    out += sizeof(T);
    count++;
    p = q;
  } while (p < w.end && (load_wire<uint16_t>(p) & mask) == e->tag);
  run_done(c, slot, first, out, before, count);
  set_bit(w, e);
  w.p = p;
  return true;
}
ZCRPC_OP(ListV64) { return list_field<uint64_t>(c, w, e, tl); }
ZCRPC_OP(ListV32) { return list_field<uint32_t>(c, w, e, tl); }

// Where the open message really ends.
ZCRPC_HOT const uint8_t* far_end(const Context* c, const Walk& w) {
  const Frame* f = c->sp - 1;
  return f->flags & kClamped ? f->true_end : w.end;
}
// A length that is long, or reaches over the clamp; nullptr: ask slow code.
ZCRPC_HOT const uint8_t* read_far_length(const uint8_t* p, const uint8_t* far, uint32_t* n) {
  uint64_t v;
  p = read_varint(p, &v);
  if (!p || v > wire::kMaxMessage || far - p < ptrdiff_t(v)) return nullptr;
  *n = uint32_t(v);
  return p;
}

// Packed fixed-width numbers stay where they are.
template <unsigned kShift>
ZCRPC_HOT bool borrow_run(const Context* c, uint8_t* slot, const uint8_t* p, uint32_t n) {
  if (ZCRPC_UNLIKELY(n == 0 || n & ((1u << kShift) - 1) || load<uint32_t>(slot + 4) != 0)) return false;
  store<uint32_t>(slot, c->offset(p) | ZCRPC_ELSEWHERE);
  store<uint32_t>(slot + 4, n >> kShift);
  return true;
}
template <unsigned kShift>
ZCRPC_HOT bool borrow_field(Context* c, Walk& w, const Entry* e, unsigned tl) {
  uint32_t n;
  const uint8_t* p = read_length(w.p + tl, w.end, &n);
  if (ZCRPC_UNLIKELY(!p)) p = read_far_length(w.p + tl, far_end(c, w), &n);
  if (ZCRPC_UNLIKELY(!p || !borrow_run<kShift>(c, w.m + e->offset, p, n))) return false;
  set_bit(w, e);
  w.p = p + n;
  return true;
}
ZCRPC_OP(Borrow64) { return borrow_field<3>(c, w, e, tl); }
ZCRPC_OP(Borrow32) { return borrow_field<2>(c, w, e, tl); }

// Values in n bytes of varints: those that end one.
ZCRPC_HOT uint32_t count_varints(const uint8_t* p, uint32_t n) {
  uint32_t k = 0, i = 0;
#if defined(__AVX2__)
  for (; i + 32 <= n; i += 32)
    k += 32 - uint32_t(__builtin_popcount(uint32_t(_mm256_movemask_epi8(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p + i))))));
#endif
  for (; i + 8 <= n; i += 8) k += uint32_t(__builtin_popcountll(~load<uint64_t>(p + i) & kTops));
  for (; i < n; i++) k += p[i] < 0x80;
  return k;
}

#if defined(__AVX2__)
// kSevensOf[n]: the bits that count in a value of n bytes, up to 8. Behind that, what packed_blocks() reads for nothing.
struct SevensOf {
  uint64_t mask[66] = {};
  constexpr SevensOf() {
    for (unsigned n = 1; n < 66; n++) mask[n] = n < 8 ? kSevens >> (64 - 8 * n) : kSevens;
  }
};
inline constexpr SevensOf kSevensOf;

// 64 bytes at a time: a mask of the bytes that end a value, then one pext a value. Values are taken in fours, so that up to
// three more are written than there are. Stops when fewer than 80 bytes are left; tells how far it came.
template <class T, class Convert>
static __attribute__((noinline)) const uint8_t* packed_blocks(const uint8_t* p, const uint8_t* end, T** out, Convert convert) {
  T* o = *out;
  while (end - p >= 80) {
    auto low = uint32_t(_mm256_movemask_epi8(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p))));
    auto high = uint32_t(_mm256_movemask_epi8(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p + 32))));
    uint64_t more = uint64_t(high) << 32 | low, stops = ~more;
    if (more == 0) {
      for (unsigned i = 0; i < 64; i++) o[i] = convert(p[i]);
      o += 64;
      p += 64;
      continue;
    }
    uint64_t long_run = more & more >> 1;  // eight continuations in a row
    long_run &= long_run >> 2;
    long_run &= long_run >> 4;
    if (ZCRPC_UNLIKELY(long_run)) {
      uint64_t v;
      const uint8_t* q = read_varint(p, &v);
      if (!q) break;
      *o++ = convert(v);
      p = q;
      continue;
    }
    const auto count = unsigned(__builtin_popcountll(stops)), bytes = unsigned(64 - __builtin_clzll(stops));
    uint64_t at = 0;
    auto one = [&](unsigned i) {
      const uint64_t next = _tzcnt_u64(stops) + 1;  // 65 when there are no more
      stops = _blsr_u64(stops);
      o[i] = convert(_pext_u64(load<uint64_t>(p + at), kSevensOf.mask[next - at]));
      at = next;
    };
    T* const behind = o + count;
    do {
      one(0);
      one(1);
      one(2);
      one(3);
      o += 4;
    } while (o < behind);
    o = behind;
    p += bytes;
  }
  *out = o;
  return p;
}
#endif

constexpr ptrdiff_t kVarintMost = 16;  // bytes that reading one may touch

// The n bytes of varints at p become elements at the end of the run in `slot`. They may reach over `near`, behind whose
// slack nothing is read.
template <class T, class Convert>
ZCRPC_HOT bool packed_run(Context* c, uint8_t* slot, const uint8_t* p, uint32_t n, const uint8_t* near, Convert convert) {
  uint32_t before;
  uint8_t* first = run_start(c, slot, sizeof(T), &before);
  if (ZCRPC_UNLIKELY(!first || n == 0 || p[n - 1] >= 0x80)) return false;
  uint32_t k = count_varints(p, n);
  if (ZCRPC_UNLIKELY(size_t(c->limit - first) / sizeof(T) < size_t(k) + 8)) return false;
  T* out = reinterpret_cast<T*>(first);
  const uint8_t* end = p + n;
#if defined(__AVX2__)
  p = packed_blocks(p, end, &out, convert);
#endif
  while (p < end - (end > near ? kVarintMost : 0)) {
    uint64_t v;
    p = read_varint(p, &v);
    if (ZCRPC_UNLIKELY(!p)) return soiled(c, reinterpret_cast<uint8_t*>(out));
    *out++ = convert(v);
  }
  if (ZCRPC_UNLIKELY(p < end)) {  // nothing behind the end may be read: the last values from a copy
    uint8_t last[2 * kVarintMost] = {};
    memcpy(last, p, size_t(end - p));
    for (const uint8_t *q = last, *stop = last + (end - p); q < stop;) {
      uint64_t v;
      q = read_varint(q, &v);
      if (ZCRPC_UNLIKELY(!q)) return soiled(c, reinterpret_cast<uint8_t*>(out));
      *out++ = convert(v);
    }
  }
  run_done(c, slot, first, reinterpret_cast<uint8_t*>(out), before, before + k);
  return true;
}
template <class T, class Convert>
ZCRPC_HOT bool packed_field(Context* c, Walk& w, const Entry* e, unsigned tl, Convert convert) {
  uint32_t n;
  const uint8_t* p = read_length(w.p + tl, w.end, &n);
  if (ZCRPC_UNLIKELY(!p)) p = read_far_length(w.p + tl, far_end(c, w), &n);
  if (ZCRPC_UNLIKELY(!p || !packed_run<T>(c, w.m + e->offset, p, n, w.end, convert))) return false;
  set_bit(w, e);
  w.p = p + n;
  return true;
}
constexpr auto kAsIs64 = [](uint64_t v) { return v; };
constexpr auto kAsIs32 = [](uint64_t v) { return uint32_t(v); };
constexpr auto kZigzag64 = [](uint64_t v) { return v >> 1 ^ (0 - (v & 1)); };
constexpr auto kZigzag32 = [](uint64_t v) { return unzigzag32(uint32_t(v)); };
constexpr auto kTruth = [](uint64_t v) { return uint8_t(v != 0); };
ZCRPC_OP(PackedV64) { return packed_field<uint64_t>(c, w, e, tl, kAsIs64); }
ZCRPC_OP(PackedV32) { return packed_field<uint32_t>(c, w, e, tl, kAsIs32); }
ZCRPC_OP(PackedS64) { return packed_field<uint64_t>(c, w, e, tl, kZigzag64); }
ZCRPC_OP(PackedS32) { return packed_field<uint32_t>(c, w, e, tl, kZigzag32); }
ZCRPC_OP(PackedBool) { return packed_field<uint8_t>(c, w, e, tl, kTruth); }

// Packed runs for decoders of generated code, out of line: Dispatcher::packed.
[[maybe_unused]] static bool packed_of(Context* c, Op op, uint8_t* slot, const uint8_t* p, uint32_t n, const uint8_t* near) {
  switch (op) {
    case Op::kPackedV64: return packed_run<uint64_t>(c, slot, p, n, near, kAsIs64);
    case Op::kPackedV32: return packed_run<uint32_t>(c, slot, p, n, near, kAsIs32);
    case Op::kPackedS64: return packed_run<uint64_t>(c, slot, p, n, near, kZigzag64);
    case Op::kPackedS32: return packed_run<uint32_t>(c, slot, p, n, near, kZigzag32);
    case Op::kPackedBool: return packed_run<uint8_t>(c, slot, p, n, near, kTruth);
    case Op::kBorrow64: return borrow_run<3>(c, slot, p, n);
    case Op::kBorrow32: return borrow_run<2>(c, slot, p, n);
    default: return false;
  }
}

// ---- Maps: string to string or bytes -----------------------------------------------------------------------------

// An entry {1: key, 2: value} as all encoders write it, the key shorter than 128 bytes.
struct Pair {
  const uint8_t *key, *value, *next;
  uint32_t key_len, value_len;
};
// p is at the entry's length.
ZCRPC_HOT bool read_pair(const uint8_t* p, const uint8_t* end, Pair* out) {
  uint32_t n;
  p = read_length(p, end, &n);
  if (ZCRPC_UNLIKELY(!p)) return false;
  const uint32_t head = load_wire<uint16_t>(p), key_len = head >> 8;
  if (ZCRPC_UNLIKELY(((head ^ 0x0A) & 0x80FF) || key_len + 4 > n)) return false;
  const uint8_t* value = p + key_len + 4;
  const uint32_t mid = load_wire<uint16_t>(value - 2);
  uint32_t value_len = mid >> 8;
  if (ZCRPC_UNLIKELY((mid ^ 0x12) & 0x80FF)) {
    if ((mid & 0xFF) != 0x12 || *value > 0x7F) return false;
    value_len = (value_len & 0x7F) | uint32_t(*value++) << 7;
  }
  *out = {p + 2, value, p + n, key_len, value_len};
  return value + value_len == out->next;
}

// Whether what must be is ASCII. Clears *ascending unless the key comes after the one before.
// The key before, as far as the next one is compared with it.
struct LastKey {
#if defined(__AVX2__)
  __m256i head = _mm256_setzero_si256();
  void set(const Pair& e) { head = e.key_len <= 32 ? load_32(e.key) : _mm256_set1_epi8(-1); }  // nothing comes after a long one
  // Whether e's key surely comes after it, bytewise. The first byte that differs decides; beyond the end of the one before
  // every key that has it as a prefix comes after it anyway, so only e's own length matters.
  // Not 0: it does.
  uint32_t is_before(const Pair& e) const {
    const __m256i key = load_32(e.key);
    const auto differ = ~uint32_t(_mm256_movemask_epi8(_mm256_cmpeq_epi8(key, head)));
    const auto less = uint32_t(_mm256_movemask_epi8(_mm256_cmpeq_epi8(_mm256_min_epu8(key, head), head)));
    return _bzhi_u32(_blsi_u32(differ) & less, e.key_len);
  }
#else
  const uint8_t* key = nullptr;
  uint32_t len = 0;
  void set(const Pair& e) {
    key = e.key;
    len = e.key_len;
  }
  uint32_t is_before(const Pair& e) const { return !key || surely_before(key, len, e.key, e.key_len); }
#endif
};

template <bool kKeyUtf8, bool kValueUtf8>
ZCRPC_HOT bool map_field(Context* c, Walk& w, const Entry* e, unsigned tl) {
  uint8_t* slot = w.m + e->offset;
  if (ZCRPC_UNLIKELY(load<uint32_t>(slot + 4) != 0 || c->sp == c->depth_end)) return false;  // entries are messages, too
  const uint16_t mask = tl == 1 ? 0xFF : 0xFFFF, own = e->tag;
  const uint8_t *p = w.p, *const end = w.end, *const base = c->base;
  uint8_t *const first = c->top, *const limit = c->limit - 16;
  uint8_t* out = first;
  LastKey last;
  uint32_t ascending = ~0u;
  do {
    Pair pair;
    const uint8_t* entry = p + tl + 1;
    const uint32_t n = entry[-1], head = load_wire<uint16_t>(entry), key_len = head >> 8;
    if (ZCRPC_UNLIKELY(out > limit)) return soiled(c, out);
    // Up to 64 bytes in all, one look at all of them: if the texts are ASCII, so are the tags and lengths between them.
    if (ZCRPC_LIKELY(kKeyUtf8 && kValueUtf8 && n <= 64 && end - entry >= ptrdiff_t(n) && is_ascii_64(entry, n) && (head & 0xFF) == 0x0A &&
                     key_len <= 32 && key_len + 4 <= n && load_wire<uint16_t>(entry + 2 + key_len) == ((n - 4 - key_len) << 8 | 0x12))) {
      pair = {entry + 2, entry + 4 + key_len, entry + n, key_len, n - 4 - key_len};
    } else if (!read_pair(p + tl, end, &pair) || (kKeyUtf8 && !is_ascii(pair.key, pair.key_len)) ||
               (kValueUtf8 && !is_ascii(pair.value, pair.value_len))) {
      return soiled(c, out);
    }
    const uint32_t after = last.is_before(pair);
    ascending = after < ascending ? after : ascending;
    last.set(pair);
    store_pair(out, uint32_t(pair.key - base), pair.key_len);
    store_pair(out + 8, uint32_t(pair.value - base), pair.value_len);
    out += 16;
    p = pair.next;
  } while (p < end && (load_wire<uint16_t>(p) & mask) == own);
  if (ZCRPC_UNLIKELY(p >= end && end == c->clamp)) return soiled(c, out);  // the run may go on behind
  store_pair(slot, c->index_offset(first), uint32_t(out - first) / 16);
  c->top = out;
  set_bit(w, e);
  w.p = p;
  if (ZCRPC_UNLIKELY(ascending == 0)) c->settle = e;
  return true;
}
ZCRPC_OP(MapStrings) { return map_field<true, true>(c, w, e, tl); }
ZCRPC_OP(MapStringBytes) { return map_field<true, false>(c, w, e, tl); }
ZCRPC_OP(MapBytes) { return map_field<false, false>(c, w, e, tl); }

}  // namespace
}  // namespace zcrpc::view
