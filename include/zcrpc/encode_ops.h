/* zcrpc/encode_ops.h - what the comparers in X.zcrpc.c are made of; nothing else includes it.
 *
 * A comparer tells whether a message would be written as the very bytes that it was read from: it walks the fields in the
 * order of their numbers, as an encoder does, and looks whether the input goes on with what would be written. What it does
 * not know how to write, it asks the library about. Answers are those of the library's own walk (src/encode/same.cc). */
#ifndef ZCRPC_ENCODE_OPS_H
#define ZCRPC_ENCODE_OPS_H

#include <string.h>

#include "../zcrpc/layout.h"

#ifdef __cplusplus
extern "C" {
#endif

/* One comparison. Numbered by ZCRPC_CODEGEN. */
typedef struct zcrpc_same {
  const uint8_t *input, *end; /* of the input */
  const uint8_t *index;
  /* The field-th field (by number) of the message m is at p, if it is set. Where it ends; NULL: it is not as it would be. */
  const uint8_t *(*field)(const struct zcrpc_same *s, const uint8_t *p, const void *m, uint32_t field, uint32_t depth);
  /* A varint field. */
  const uint8_t *(*number)(const struct zcrpc_same *s, const uint8_t *p, uint32_t tag, uint64_t v);
  /* The unknown fields of m, which has some, or is stored otherwise than comparers know. */
  const uint8_t *(*rest)(const struct zcrpc_same *s, const uint8_t *p, const void *m);
} zcrpc_same;
/* m would be written as the bytes from p on: where they end; else NULL. depth: levels that may be opened. */
typedef const uint8_t *zcrpc_same_fn(const zcrpc_same *s, const uint8_t *p, const unsigned char *m, uint32_t depth);

#ifdef __cplusplus
}
#endif

#if defined(__GNUC__)
#define ZCRPC_SAME_OP static inline __attribute__((always_inline))

/* Bytes as they lie, the first one lowest. */
ZCRPC_SAME_OP uint32_t zcrpc_same_le16(const uint8_t *p) {
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
  uint16_t v;
  memcpy(&v, p, sizeof v);
  return v;
#else
  return p[0] | (uint32_t)p[1] << 8;
#endif
}
ZCRPC_SAME_OP uint32_t zcrpc_same_le32(const uint8_t *p) {
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
  uint32_t v;
  memcpy(&v, p, sizeof v);
  return v;
#else
  return zcrpc_same_le16(p) | zcrpc_same_le16(p + 2) << 16;
#endif
}

/* A number of three bytes or more, with the tag before it. */
static inline const uint8_t *zcrpc_same_long(const zcrpc_same *s, const uint8_t *p, uint32_t tag, uint64_t v) {
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
  if (s->end - p >= 11) {
    /* Eight groups of 7 bits over eight bytes, then the bits that say of all but the last that more comes. */
    const uint64_t more = 0x8080808080808080u;
    uint64_t have, x = (v & 0x000000000FFFFFFFu) | (v & 0x00FFFFFFF0000000u) << 4;
    const int32_t bytes = (70 - __builtin_clzll(v)) / 7;
    x = (x & 0x00003FFF00003FFFu) | (x & 0x0FFFC0000FFFC000u) << 2;
    x = (x & 0x007F007F007F007Fu) | (x & 0x3F803F803F803F80u) << 1;
    memcpy(&have, p + 1, sizeof have);
    if (p[0] != tag) return NULL;
    if (bytes <= 8) {
      x |= more & (((uint64_t)1 << (8 * (bytes - 1))) - 1);
      return (x ^ have) << (64 - 8 * bytes) ? NULL : p + 1 + bytes;
    }
    if ((x | more) != have) return NULL;
    if (bytes == 9) return p[9] == v >> 56 ? p + 10 : NULL;
    return p[9] == (uint8_t)(v >> 56 | 0x80) && p[10] == 1 ? p + 11 : NULL;
  }
#endif
  return s->number(s, p, tag, v);
}
/* Tags here are of one byte. */
ZCRPC_SAME_OP const uint8_t *zcrpc_same_number(const zcrpc_same *s, const uint8_t *p, uint32_t tag, uint64_t v) {
  if (v < 0x80 && s->end - p >= 2) return zcrpc_same_le16(p) == (tag | (uint32_t)v << 8) ? p + 2 : NULL;
  if (v >= 0x80 && v < 0x4000 && s->end - p >= 3)
    return p[0] == tag && zcrpc_same_le16(p + 1) == ((v & 0x7F) | 0x80 | v >> 7 << 8) ? p + 3 : NULL;
  return v < 0x4000 ? s->number(s, p, tag, v) : zcrpc_same_long(s, p, tag, v);
}
ZCRPC_SAME_OP uint64_t zcrpc_same_u64(const unsigned char *slot) {
  uint64_t v;
  memcpy(&v, slot, sizeof v);
  return v;
}
ZCRPC_SAME_OP uint32_t zcrpc_same_u32(const unsigned char *slot) {
  uint32_t v;
  memcpy(&v, slot, sizeof v);
  return v;
}
ZCRPC_SAME_OP int32_t zcrpc_same_bit(const unsigned char *m, uint32_t bit) {
  return (int32_t)(zcrpc_same_u32(m + 12 + bit / 32 * 4) >> bit % 32 & 1u);
}
/* The bytes of a string lie where its slot says: what is before them is looked at. */
ZCRPC_SAME_OP const uint8_t *zcrpc_same_text(const zcrpc_same *s, const uint8_t *p, zcrpc_str r, uint32_t tag) {
  uint32_t n = r.len;
  if (n < 0x80) return s->input + r.offset == p + 2 && zcrpc_same_le16(p) == (tag | n << 8) ? p + 2 + n : NULL;
  if (n < 0x4000)
    return s->input + r.offset == p + 3 && p[0] == tag && p[1] == (uint8_t)(n | 0x80) && p[2] == n >> 7 ? p + 3 + n : NULL;
  p = s->number(s, p, tag, n);
  return p && s->input + r.offset == p ? p + n : NULL;
}
ZCRPC_SAME_OP const uint8_t *zcrpc_same_string(const zcrpc_same *s, const uint8_t *p, const unsigned char *slot, uint32_t tag, int32_t set) {
  zcrpc_str r;
  memcpy(&r, slot, sizeof r);
  return r.len || set ? zcrpc_same_text(s, p, r, tag) : p;
}
/* Before the payload of a sub-message: its tag, and its length, which is as short as it can be. */
ZCRPC_SAME_OP const uint8_t *zcrpc_same_open(const zcrpc_same *s, const uint8_t *p, const unsigned char *m, uint32_t tag, size_t *n) {
  const zcrpc_head *head = (const zcrpc_head *)(const void *)m;
  uint32_t shift = 7;
  if ((head->type_no & (ZCRPC_HEAD_MERGED | ZCRPC_HEAD_ROOT | ZCRPC_HEAD_GROUP)) || s->input + head->start != p + 1 || p[0] != tag) return NULL;
  *n = *++p;
  if (*p++ < 0x80) return p;
  *n &= 0x7F;
  do *n |= (size_t)(*p & 0x7F) << shift, shift += 7;
  while (*p++ >= 0x80 && shift < 35);
  return p[-1] && p[-1] < 0x80 ? p : NULL;
}
ZCRPC_SAME_OP const uint8_t *zcrpc_same_message(const zcrpc_same *s, const uint8_t *p, const unsigned char *m, uint32_t tag, zcrpc_same_fn *fn,
                                                uint32_t depth) {
  size_t n;
  const uint8_t *q = zcrpc_same_open(s, p, m, tag, &n);
  if (!q || !(p = fn(s, q, m, depth - 1)) || (size_t)(p - q) != n) return NULL;
  return p;
}
/* A singular one. */
ZCRPC_SAME_OP const uint8_t *zcrpc_same_sub(const zcrpc_same *s, const uint8_t *p, const unsigned char *slot, uint32_t tag, zcrpc_same_fn *fn,
                                            uint32_t depth) {
  uint32_t at = zcrpc_same_u32(slot);
  return at && !(at & ZCRPC_ELSEWHERE) ? zcrpc_same_message(s, p, s->index + at, tag, fn, depth) : p;
}
/* Repeated ones, `stride` bytes apart. */
ZCRPC_SAME_OP const uint8_t *zcrpc_same_run(const zcrpc_same *s, const uint8_t *p, const unsigned char *slot, uint32_t tag, zcrpc_same_fn *fn,
                                            uint32_t depth, size_t stride) {
  zcrpc_run run;
  const unsigned char *m, *end;
  memcpy(&run, slot, sizeof run);
  if (!run.count) return p;
  if (run.offset & ZCRPC_ELSEWHERE) return NULL;
  for (m = s->index + run.offset, end = m + stride * run.count; m != end; m += stride)
    if (!(p = zcrpc_same_message(s, p, m, tag, fn, depth))) return NULL;
  return p;
}
/* A map from strings to strings. */
ZCRPC_SAME_OP const uint8_t *zcrpc_same_map(const zcrpc_same *s, const uint8_t *p, const unsigned char *slot, uint32_t tag) {
  zcrpc_run run;
  zcrpc_str at[2]; /* key, value */
  const unsigned char *entry, *end;
  memcpy(&run, slot, sizeof run);
  for (entry = s->index + run.offset, end = entry + sizeof at * run.count; entry != end; entry += sizeof at) {
    uint32_t n;
    memcpy(at, entry, sizeof at);
    n = at[0].len + at[1].len + 4;
    if (n < 0x80) {
      const uint8_t *q = p + 4 + at[0].len;
      if (s->input + at[0].offset != p + 4 || s->input + at[1].offset != q + 2) return NULL;
      if (zcrpc_same_le32(p) != (tag | 0x0A0000u | n << 8 | at[0].len << 24) || zcrpc_same_le16(q) != (0x12u | at[1].len << 8)) return NULL;
      p = q + 2 + at[1].len;
    } else {
      n += (at[0].len < 0x80 ? 0u : at[0].len < 0x4000 ? 1u : 2u) + (at[1].len < 0x80 ? 0u : at[1].len < 0x4000 ? 1u : 2u);
      if (n >= 0x100000 || !(p = s->number(s, p, tag, n)) || !(p = zcrpc_same_text(s, p, at[0], 0x0A))) return NULL;
      if (!(p = zcrpc_same_text(s, p, at[1], 0x12))) return NULL;
    }
  }
  return p;
}
#endif

#endif
