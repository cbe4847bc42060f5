/* zcrpc/decode_ops.h - the parts that straight-line decoders are put together from. Included by X.zcrpc.c only, once for
 * each ZCRPC_DECODE_PASS: 0 baseline, 3 x86-64-v3; ZCRPC_D() tells their names apart.
 *
 * Each does one field. p is behind the tag that was found; they return where the next one is, or NULL and have then
 * changed nothing, so that the decoder stops at the tag. They load whole words and vectors, up to 32 bytes behind what
 * they look at. */
#ifdef ZCRPC_DECODE_PASS

#ifndef ZCRPC_DECODE_OPS_H
#define ZCRPC_DECODE_OPS_H

#include <string.h>
#if defined(__SSE2__)
#include <immintrin.h>
#endif

#include "../zcrpc/decode.h"

#define ZCRPC_LIKELY(x) __builtin_expect(!!(x), 1)
#define ZCRPC_UNLIKELY(x) __builtin_expect(!!(x), 0)
#define ZCRPC_DECODE_INLINE static inline __attribute__((always_inline))

/* How a number lies on the wire and in a slot. */
enum { ZCRPC_AS_V64, ZCRPC_AS_V32, ZCRPC_AS_S64, ZCRPC_AS_S32, ZCRPC_AS_BOOL, ZCRPC_AS_F64, ZCRPC_AS_F32 };

ZCRPC_DECODE_INLINE uint32_t zcrpc_d_load32(const void *p) {
  uint32_t v;
  memcpy(&v, p, 4);
  return v;
}
ZCRPC_DECODE_INLINE void zcrpc_d_store32(void *p, uint32_t v) { memcpy(p, &v, 4); }
ZCRPC_DECODE_INLINE void zcrpc_d_store64(void *p, uint64_t v) { memcpy(p, &v, 8); }
/* A zcrpc_str or zcrpc_run. */
ZCRPC_DECODE_INLINE void zcrpc_d_pair(void *slot, uint32_t first, uint32_t second) {
  zcrpc_d_store32(slot, first);
  zcrpc_d_store32((uint8_t *)slot + 4, second);
}
ZCRPC_DECODE_INLINE uint32_t zcrpc_d_wire16(const uint8_t *p) {
  uint16_t v;
  memcpy(&v, p, 2);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
  v = __builtin_bswap16(v);
#endif
  return v;
}
ZCRPC_DECODE_INLINE uint32_t zcrpc_d_wire32(const uint8_t *p) {
  uint32_t v;
  memcpy(&v, p, 4);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
  v = __builtin_bswap32(v);
#endif
  return v;
}
ZCRPC_DECODE_INLINE uint64_t zcrpc_d_wire64(const uint8_t *p) {
  uint64_t v;
  memcpy(&v, p, 8);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
  v = __builtin_bswap64(v);
#endif
  return v;
}
/* Offset in the input, or in the index. */
ZCRPC_DECODE_INLINE uint32_t zcrpc_d_offset(const void *p, const void *base) { return (uint32_t)((uintptr_t)p - (uintptr_t)base); }
/* A presence bit that is set right away, and the first 32 that were collected. */
ZCRPC_DECODE_INLINE void zcrpc_d_bit(uint8_t *m, uint32_t bit) {
  uint8_t *word = m + 12 + bit / 32 * 4;
  zcrpc_d_store32(word, zcrpc_d_load32(word) | 1u << bit % 32);
}
ZCRPC_DECODE_INLINE void zcrpc_d_bits(uint8_t *m, uint32_t bits) { zcrpc_d_store32(m + 12, zcrpc_d_load32(m + 12) | bits); }
/* In x, one of a run, all is read; the next one, of `left`, is not for fast code. NULL. */
ZCRPC_DECODE_INLINE const uint8_t *zcrpc_d_between(zcrpc_decode *d, const uint8_t *p, uint8_t *x, const zcrpc_decode_type *u,
                                                   const uint8_t *end, uint8_t *m, const zcrpc_decode_type *t, uint32_t depth,
                                                   uint32_t field, uint32_t left) {
  t->calls->stop(d, p, p, x, u);
  return t->calls->unwind(d, end, m, t, depth, field, left);
}

#endif /* once */

#undef ZCRPC_D
#undef ZCRPC_PARSE
#undef ZCRPC_LEAF
#undef ZCRPC_HOT
#undef ZCRPC_FAR
#undef ZCRPC_DECODE_AVX2
#undef ZCRPC_DECODE_TARGET
#if ZCRPC_DECODE_PASS == 3
#define ZCRPC_D(name) zcrpc_d3_##name
#define ZCRPC_PARSE(name) zcrpc_parse3_##name
#define ZCRPC_LEAF(name) zcrpc_leaf3_##name
#define ZCRPC_DECODE_TARGET __attribute__((target("avx2,bmi,bmi2,popcnt")))
#define ZCRPC_DECODE_AVX2 1
#else
#define ZCRPC_D(name) zcrpc_d0_##name
#define ZCRPC_PARSE(name) zcrpc_parse0_##name
#define ZCRPC_LEAF(name) zcrpc_leaf0_##name
#define ZCRPC_DECODE_TARGET
#if defined(__AVX2__) && defined(__BMI__) && defined(__BMI2__)
#define ZCRPC_DECODE_AVX2 1
#else
#define ZCRPC_DECODE_AVX2 0
#endif
#endif
#define ZCRPC_HOT static inline __attribute__((always_inline)) ZCRPC_DECODE_TARGET
#define ZCRPC_FAR static __attribute__((noinline, unused)) ZCRPC_DECODE_TARGET

#if ZCRPC_DECODE_PASS == 3 ? !defined(ZCRPC_DECODE_OPS_3) : !defined(ZCRPC_DECODE_OPS_0)
#if ZCRPC_DECODE_PASS == 3
#define ZCRPC_DECODE_OPS_3
#else
#define ZCRPC_DECODE_OPS_0
#endif

/* ---- Numbers ------------------------------------------------------------------------------------------------ */

/* The 7-bit groups of a word pushed together. */
ZCRPC_HOT uint64_t ZCRPC_D(gather)(uint64_t w) {
#if ZCRPC_DECODE_AVX2
  return _pext_u64(w, 0x7F7F7F7F7F7F7F7Fu);
#else
  w &= 0x7F7F7F7F7F7F7F7Fu;
  w = (w & 0x007F007F007F007Fu) | (w & 0x7F007F007F007F00u) >> 1;
  w = (w & 0x00003FFF00003FFFu) | (w & 0x3FFF00003FFF0000u) >> 2;
  return (w & 0x000000000FFFFFFFu) | (w & 0x0FFFFFFF00000000u) >> 4;
#endif
}
ZCRPC_HOT const uint8_t *ZCRPC_D(varint)(const uint8_t *p, uint64_t *v) {
  uint64_t w = p[0], stop;
  if (ZCRPC_LIKELY(w < 0x80)) {
    *v = w;
    return p + 1;
  }
  if (ZCRPC_LIKELY(p[1] < 0x80)) {
    *v = (w & 0x7F) | (uint64_t)p[1] << 7;
    return p + 2;
  }
  w = zcrpc_d_wire64(p);
  stop = ~w & 0x8080808080808080u;
  if (ZCRPC_LIKELY(stop != 0)) {
    *v = ZCRPC_D(gather)(w & (stop ^ (stop - 1)));
    return p + ((uint32_t)__builtin_ctzll(stop) >> 3) + 1;
  }
  w = ZCRPC_D(gather)(w) | (uint64_t)(p[8] & 0x7F) << 56;
  if (p[8] < 0x80) {
    *v = w;
    return p + 9;
  }
  if (ZCRPC_UNLIKELY(p[9] >= 0x80)) return NULL;
  *v = w | (uint64_t)p[9] << 63;
  return p + 10;
}
/* A length of one or two bytes that stays below end. */
ZCRPC_HOT const uint8_t *ZCRPC_D(length)(const uint8_t *p, const uint8_t *end, uint32_t *n) {
  uint32_t b = *p++;
  if (b >= 0x80) {
    if (ZCRPC_UNLIKELY(*p >= 0x80)) return NULL;
    b = (b & 0x7F) | (uint32_t)*p++ << 7;
  }
  if (ZCRPC_UNLIKELY(end - p < (ptrdiff_t)b)) return NULL;
  *n = b;
  return p;
}
ZCRPC_HOT uint32_t ZCRPC_D(width)(int as) { return as == ZCRPC_AS_BOOL ? 1 : as == ZCRPC_AS_V32 || as == ZCRPC_AS_S32 || as == ZCRPC_AS_F32 ? 4 : 8; }
ZCRPC_HOT void ZCRPC_D(put)(uint8_t *to, uint64_t v, int as) {
  switch (as) {
    case ZCRPC_AS_V64: case ZCRPC_AS_F64: zcrpc_d_store64(to, v); break;
    case ZCRPC_AS_V32: case ZCRPC_AS_F32: zcrpc_d_store32(to, (uint32_t)v); break;
    case ZCRPC_AS_S64: zcrpc_d_store64(to, v >> 1 ^ (0 - (v & 1))); break;
    case ZCRPC_AS_S32: zcrpc_d_store32(to, (uint32_t)v >> 1 ^ (0 - ((uint32_t)v & 1))); break;
    default: *to = v != 0;
  }
}
ZCRPC_HOT const uint8_t *ZCRPC_D(value)(const uint8_t *p, uint64_t *v, int as) {
  if (as == ZCRPC_AS_F64) {
    *v = zcrpc_d_wire64(p);
    return p + 8;
  }
  if (as == ZCRPC_AS_F32) {
    *v = zcrpc_d_wire32(p);
    return p + 4;
  }
  return ZCRPC_D(varint)(p, v);
}
ZCRPC_HOT const uint8_t *ZCRPC_D(number)(const uint8_t *p, uint8_t *slot, int as) {
  uint64_t v;
  p = ZCRPC_D(value)(p, &v, as);
  if (ZCRPC_LIKELY(p != NULL)) ZCRPC_D(put)(slot, v, as);
  return p;
}
/* Of a closed enum that has the numbers whose bits are set in members, and no others. */
ZCRPC_HOT const uint8_t *ZCRPC_D(closed)(const uint8_t *p, uint8_t *slot, uint64_t members) {
  uint64_t v;
  p = ZCRPC_D(varint)(p, &v);
  if (ZCRPC_UNLIKELY(!p || v > 63 || !(members >> v & 1))) return NULL;
  zcrpc_d_store32(slot, (uint32_t)v);
  return p;
}

/* ---- Strings ------------------------------------------------------------------------------------------------ */

/* Whether [p, p + n) is all ASCII. A branch that depends on a length is often predicted wrong: up to 64 there is none. */
#if ZCRPC_DECODE_AVX2
ZCRPC_HOT __m256i ZCRPC_D(load)(const uint8_t *p) { return _mm256_loadu_si256((const __m256i *)(const void *)p); }
ZCRPC_HOT int32_t ZCRPC_D(ascii_64)(const uint8_t *p, uint32_t n) {
  int64_t over = (int64_t)n - 32;
  over &= ~(over >> 63);
  return _bzhi_u32((uint32_t)_mm256_movemask_epi8(_mm256_or_si256(ZCRPC_D(load)(p), ZCRPC_D(load)(p + over))), n) == 0;
}
ZCRPC_HOT int32_t ZCRPC_D(ascii)(const uint8_t *p, uint32_t n) {
  __m256i any;
  uint32_t i;
  if (n <= 64) return ZCRPC_D(ascii_64)(p, n);
  any = _mm256_or_si256(ZCRPC_D(load)(p), ZCRPC_D(load)(p + 32));
  for (i = 64; i + 32 < n; i += 32) any = _mm256_or_si256(any, ZCRPC_D(load)(p + i));
  return _mm256_movemask_epi8(_mm256_or_si256(any, ZCRPC_D(load)(p + n - 32))) == 0;
}
#elif defined(__SSE2__)
ZCRPC_HOT __m128i ZCRPC_D(load)(const uint8_t *p) { return _mm_loadu_si128((const __m128i *)(const void *)p); }
ZCRPC_HOT int32_t ZCRPC_D(ascii_64)(const uint8_t *p, uint32_t n) {
  uint32_t low = (uint32_t)_mm_movemask_epi8(ZCRPC_D(load)(p)), high = (uint32_t)_mm_movemask_epi8(ZCRPC_D(load)(p + 16));
  if (ZCRPC_LIKELY(n <= 32)) return (((uint64_t)high << 16 | low) & (((uint64_t)1 << n) - 1)) == 0;
  return (low | high | (uint32_t)_mm_movemask_epi8(_mm_or_si128(ZCRPC_D(load)(p + n - 32), ZCRPC_D(load)(p + n - 16)))) == 0;
}
ZCRPC_HOT int32_t ZCRPC_D(ascii)(const uint8_t *p, uint32_t n) {
  __m128i any;
  uint32_t i;
  if (n <= 64) return ZCRPC_D(ascii_64)(p, n);
  any = ZCRPC_D(load)(p + n - 16);
  for (i = 0; i + 16 <= n; i += 16) any = _mm_or_si128(any, ZCRPC_D(load)(p + i));
  return _mm_movemask_epi8(any) == 0;
}
#else
ZCRPC_HOT int32_t ZCRPC_D(ascii)(const uint8_t *p, uint32_t n) {
  uint64_t any;
  uint32_t i;
  if (n < 8) return ((n ? zcrpc_d_wire64(p) << (64 - 8 * n) : 0) & 0x8080808080808080u) == 0;
  any = zcrpc_d_wire64(p + n - 8);
  for (i = 0; i + 8 <= n; i += 8) any |= zcrpc_d_wire64(p + i);
  return (any & 0x8080808080808080u) == 0;
}
ZCRPC_HOT int32_t ZCRPC_D(ascii_64)(const uint8_t *p, uint32_t n) { return ZCRPC_D(ascii)(p, n); }
#endif

ZCRPC_HOT int32_t ZCRPC_D(is_utf8)(const uint8_t *p, uint32_t n, const zcrpc_decode_type *t) {
  return ZCRPC_LIKELY(ZCRPC_D(ascii)(p, n)) || t->calls->utf8(p, n);
}
ZCRPC_HOT const uint8_t *ZCRPC_D(bytes)(const uint8_t *base, const uint8_t *p, const uint8_t *end, uint8_t *slot) {
  uint32_t n;
  p = ZCRPC_D(length)(p, end, &n);
  if (ZCRPC_UNLIKELY(!p)) return NULL;
  zcrpc_d_pair(slot, zcrpc_d_offset(p, base), n);
  return p + n;
}
/* What text() below leaves: longer ones, and what is not ASCII. The slot is at `at` in m: a place that is only sometimes
 * wanted should not take a register. */
ZCRPC_FAR const uint8_t *ZCRPC_D(long_text)(const uint8_t *base, const uint8_t *p, const uint8_t *end, uint8_t *m, uint32_t at, const zcrpc_decode_type *t) {
  uint32_t n = p[0];
#if ZCRPC_DECODE_AVX2
  if (ZCRPC_LIKELY(n - 65 < 63 && end - p > (ptrdiff_t)n)) { /* up to 127, without a branch that depends on the length */
    const uint8_t *const q = p + 1, *const last = q + n - 32, *const third = q + (n < 96 ? n - 32 : 64);
    const __m256i low = _mm256_or_si256(ZCRPC_D(load)(q), ZCRPC_D(load)(q + 32)), high = _mm256_or_si256(ZCRPC_D(load)(third), ZCRPC_D(load)(last));
    if (ZCRPC_LIKELY(_mm256_movemask_epi8(_mm256_or_si256(low, high)) == 0)) {
      zcrpc_d_pair(m + at, zcrpc_d_offset(q, base), n);
      return q + n;
    }
  }
#endif
  p = ZCRPC_D(length)(p, end, &n);
  if (ZCRPC_UNLIKELY(!p || !ZCRPC_D(is_utf8)(p, n, t))) return NULL;
  zcrpc_d_pair(m + at, zcrpc_d_offset(p, base), n);
  return p + n;
}
/* A string that must be UTF-8. */
ZCRPC_HOT const uint8_t *ZCRPC_D(text)(const uint8_t *base, const uint8_t *p, const uint8_t *end, uint8_t *m, uint32_t at, const zcrpc_decode_type *t) {
  const uint32_t n = p[0];
  const uint8_t *const next = p + 1 + n;
  if (ZCRPC_UNLIKELY(n > 64 || next > end || !ZCRPC_D(ascii_64)(p + 1, n))) return ZCRPC_D(long_text)(base, p, end, m, at, t);
  zcrpc_d_pair(m + at, zcrpc_d_offset(p + 1, base), n);
  return next;
}

/* ---- Messages ----------------------------------------------------------------------------------------------- */

/* Zeroes [m, m + size): a constant, 16 or more and a multiple of 8. Written out, or it becomes a call of memset. */
ZCRPC_HOT void ZCRPC_D(zero)(uint8_t *m, uint32_t size) {
#if ZCRPC_DECODE_AVX2
  if (size >= 32) {
    const __m256i z = _mm256_setzero_si256();
    uint32_t i;
    for (i = 0; i + 32 < size; i += 32) {
      _mm256_storeu_si256((__m256i *)(void *)(m + i), z);
      __asm__("" : "+r"(m));
    }
    _mm256_storeu_si256((__m256i *)(void *)(m + size - 32), z);
    return;
  }
#endif
#if defined(__SSE2__)
  {
    const __m128i z = _mm_setzero_si128();
    uint32_t i;
    for (i = 0; i + 16 < size; i += 16) {
      _mm_storeu_si128((__m128i *)(void *)(m + i), z);
      __asm__("" : "+r"(m));
    }
    _mm_storeu_si128((__m128i *)(void *)(m + size - 16), z);
  }
#else
  memset(m, 0, size);
#endif
}
ZCRPC_HOT void ZCRPC_D(open)(const zcrpc_decode *d, const uint8_t *base, uint8_t *x, uint32_t size, const uint8_t *prefix, const zcrpc_decode_type *u) {
  ZCRPC_D(zero)(x, size);
  zcrpc_d_store32(x, zcrpc_d_offset(x, d->index));
  zcrpc_d_store32(x + 4, zcrpc_d_offset(prefix, base));
  zcrpc_d_store32(x + 8, u->type_no);
}
/* Opens a sub-message of `size` bytes, in *x, whose *n bytes of payload lie where it returns. */
ZCRPC_HOT const uint8_t *ZCRPC_D(message)(zcrpc_decode *d, const uint8_t *base, const uint8_t *p, const uint8_t *end, uint8_t *slot,
                                          uint32_t size, const zcrpc_decode_type *u, uint32_t depth, uint8_t **x, uint32_t *n) {
  const uint8_t *q = ZCRPC_D(length)(p, end, n);
  uint8_t *m = d->top;
  if (ZCRPC_UNLIKELY(!q || (size_t)(d->limit - m) < size || depth == 0)) return NULL;
  d->top = m + size;
  ZCRPC_D(open)(d, base, m, size, p, u);
  zcrpc_d_store32(slot, zcrpc_d_offset(m, d->index));
  *x = m;
  return q;
}
/* How many elements the run has whose first length prefix is at p. Only lengths are looked at, each some cache lines
 * behind the last one: those in between, which are read next, are asked for on the way. */
ZCRPC_HOT uint32_t ZCRPC_D(count)(zcrpc_decode *d, const uint8_t *p, const uint8_t *end, uint32_t tag, const zcrpc_decode_type *t,
                                  uint32_t depth, uint32_t field) {
  const uint32_t tag_len = tag > 0xFF ? 2 : 1;
  const uint8_t *mark = p, *q;
  uint32_t n = 0, len, i;
  if (end - p > 1024)
    for (i = 0; i < 1024; i += 64) __builtin_prefetch(p + i);
  p -= tag_len;
  do {
    if (p >= mark) {
      for (i = 1024; i < 1536; i += 64) __builtin_prefetch(p + i);
      mark = p + 512;
    }
    q = ZCRPC_D(length)(p + tag_len, end, &len);
    if (ZCRPC_UNLIKELY(!q)) {
      uint64_t v;
      q = ZCRPC_D(varint)(p + tag_len, &v);
      if (!q || q > end || (uint64_t)(end - q) < v) break;
      len = (uint32_t)v;
    }
    n++;
    p = q + len;
    if (p >= end) break;
    if ((tag > 0xFF ? zcrpc_d_wire16(p) : *p) != tag) return n;
  } while (1);
  if (ZCRPC_UNLIKELY(end == d->fence && depth == d->levels)) n += t->calls->count(d, p, t, field);
  return n;
}
/* Places side by side for a whole run of messages, the first of which begins at p. Their number goes to *left. NULL: stop. */
ZCRPC_HOT uint8_t *ZCRPC_D(run)(zcrpc_decode *d, const uint8_t *p, const uint8_t *end, uint8_t *slot, uint32_t size, uint32_t tag,
                                const zcrpc_decode_type *t, uint32_t depth, uint32_t field, uint32_t *left) {
  uint8_t *x = d->top;
  uint32_t n;
  if (ZCRPC_UNLIKELY(!ZCRPC_D(length)(p, end, &n) || zcrpc_d_load32(slot + 4) != 0 || depth == 0)) return NULL;
  n = ZCRPC_D(count)(d, p, end, tag, t, depth, field);
  if (ZCRPC_UNLIKELY((uint64_t)(d->limit - x) < (uint64_t)n * size)) return NULL;
  d->top = x + (size_t)n * size;
  zcrpc_d_pair(slot, zcrpc_d_offset(x, d->index), n);
  *left = n;
  return x;
}

/* ---- Arrays ------------------------------------------------------------------------------------------------- */

/* Where a run goes on: at top, if nothing lies behind what there is of it. NULL: stop. */
ZCRPC_HOT uint8_t *ZCRPC_D(run_start)(zcrpc_decode *d, const uint8_t *slot, uint32_t width, uint32_t *count) {
  const uint32_t offset = zcrpc_d_load32(slot), n = zcrpc_d_load32(slot + 4);
  uint64_t next;
  *count = n;
  if (ZCRPC_LIKELY(n == 0)) return d->top;
  if (offset & (ZCRPC_ELSEWHERE | 7)) return NULL;
  next = offset + (uint64_t)n * width;
  return d->index + ((next + 7) & ~(uint64_t)7) == d->top ? d->index + next : NULL;
}
ZCRPC_HOT void ZCRPC_D(run_done)(zcrpc_decode *d, uint8_t *slot, uint8_t *first, uint8_t *end, uint32_t before, uint32_t count) {
  if (before == 0) zcrpc_d_store32(slot, zcrpc_d_offset(first, d->index));
  zcrpc_d_store32(slot + 4, count);
  while ((size_t)(end - d->index) & 7) *end++ = 0;
  d->top = end;
}
ZCRPC_HOT int32_t ZCRPC_D(again)(const uint8_t *p, const uint8_t *end, uint32_t tag) {
  return p < end && (tag > 0xFF ? zcrpc_d_wire16(p) : *p) == tag;
}
/* Repeated strings; text: they must be UTF-8. */
ZCRPC_HOT const uint8_t *ZCRPC_D(strings)(zcrpc_decode *d, const uint8_t *p, const uint8_t *end, uint8_t *slot, uint32_t tag,
                                          const zcrpc_decode_type *t, int32_t text) {
  uint32_t before, count, n;
  uint8_t *const first = ZCRPC_D(run_start)(d, slot, 8, &before), *out = first;
  const uint8_t *q, *const base = d->base;
  if (ZCRPC_UNLIKELY(!first)) return NULL;
  p -= tag > 0xFF ? 2 : 1;
  count = before;
  do {
    q = ZCRPC_D(length)(p + (tag > 0xFF ? 2 : 1), end, &n);
    if (ZCRPC_UNLIKELY(!q || d->limit - out < 8 || (text && !ZCRPC_D(is_utf8)(q, n, t)))) {
      if (count == before) return NULL;
      break;
    }
    zcrpc_d_pair(out, zcrpc_d_offset(q, base), n);
    out += 8;
    count++;
    p = q + n;
  } while (ZCRPC_D(again)(p, end, tag));
  ZCRPC_D(run_done)(d, slot, first, out, before, count);
  return p;
}
ZCRPC_FAR const uint8_t *ZCRPC_D(texts)(zcrpc_decode *d, const uint8_t *p, const uint8_t *end, uint8_t *slot, uint32_t tag, const zcrpc_decode_type *t) {
  return ZCRPC_D(strings)(d, p, end, slot, tag, t, 1);
}
ZCRPC_FAR const uint8_t *ZCRPC_D(bytes_list)(zcrpc_decode *d, const uint8_t *p, const uint8_t *end, uint8_t *slot, uint32_t tag, const zcrpc_decode_type *t) {
  return ZCRPC_D(strings)(d, p, end, slot, tag, t, 0);
}
/* Repeated numbers written one by one. */
ZCRPC_HOT const uint8_t *ZCRPC_D(list)(zcrpc_decode *d, const uint8_t *p, const uint8_t *end, uint8_t *slot, uint32_t tag, int as) {
  uint32_t before, count;
  uint8_t *const first = ZCRPC_D(run_start)(d, slot, ZCRPC_D(width)(as), &before), *out = first;
  const uint8_t *q;
  uint64_t v;
  if (ZCRPC_UNLIKELY(!first)) return NULL;
  p -= tag > 0xFF ? 2 : 1;
  count = before;
  do {
    q = ZCRPC_D(value)(p + (tag > 0xFF ? 2 : 1), &v, as);
    if (ZCRPC_UNLIKELY(!q || q > end || d->limit - out < 8)) {
      if (count == before) return NULL;
      break;
    }
    ZCRPC_D(put)(out, v, as);
    out += ZCRPC_D(width)(as);
    count++;
    p = q;
  } while (ZCRPC_D(again)(p, end, tag));
  ZCRPC_D(run_done)(d, slot, first, out, before, count);
  return p;
}
/* Packed numbers of fixed width, 1 << shift bytes, stay where they are. */
ZCRPC_HOT const uint8_t *ZCRPC_D(borrow)(zcrpc_decode *d, const uint8_t *p, const uint8_t *end, uint8_t *m, uint8_t *slot, uint32_t shift,
                                         const zcrpc_decode_type *t, uint32_t field) {
  uint32_t n;
  const uint8_t *const q = ZCRPC_D(length)(p, end, &n);
  if (ZCRPC_UNLIKELY(!q || n == 0 || (n & ((1u << shift) - 1)) || zcrpc_d_load32(slot + 4) != 0)) return t->calls->packed(d, p, end, m, t, field);
  zcrpc_d_pair(slot, zcrpc_d_offset(q, d->base) | ZCRPC_ELSEWHERE, n >> shift);
  return q + n;
}
/* Packed varints: few of them here, long runs in the library. */
ZCRPC_HOT const uint8_t *ZCRPC_D(packed)(zcrpc_decode *d, const uint8_t *p, const uint8_t *end, uint8_t *m, uint8_t *slot,
                                         const zcrpc_decode_type *t, uint32_t field, int as) {
  const uint32_t width = ZCRPC_D(width)(as);
  const uint32_t n = *p;
  uint32_t before, count;
  uint64_t v;
  uint8_t *first, *out;
  if (ZCRPC_UNLIKELY(n > 32 || end - p < (ptrdiff_t)n + 1)) return t->calls->packed(d, p, end, m, t, field);
  if (ZCRPC_UNLIKELY(n == 0 || p[n] >= 0x80)) return NULL;
  first = out = ZCRPC_D(run_start)(d, slot, width, &before);
  if (ZCRPC_UNLIKELY(!first || d->limit - first < (ptrdiff_t)(n * width + 64))) return NULL;
  count = before;
  end = p + 1 + n;
  for (p++; p < end; count++, out += width) {
    p = ZCRPC_D(varint)(p, &v);
    if (ZCRPC_UNLIKELY(!p)) {
      t->calls->soil(d, out);
      return NULL;
    }
    ZCRPC_D(put)(out, v, as);
  }
  ZCRPC_D(run_done)(d, slot, first, out, before, count);
  return end;
}
#define ZCRPC_DECODE_ARRAYS(name, as)                                                                                                      \
  ZCRPC_FAR const uint8_t *ZCRPC_D(list_##name)(zcrpc_decode * d, const uint8_t *p, const uint8_t *end, uint8_t *slot, uint32_t tag) {     \
    return ZCRPC_D(list)(d, p, end, slot, tag, as);                                                                                        \
  }                                                                                                                                        \
  ZCRPC_FAR const uint8_t *ZCRPC_D(packed_##name)(zcrpc_decode * d, const uint8_t *p, const uint8_t *end, uint8_t *m, uint8_t *slot,       \
                                                  const zcrpc_decode_type *t, uint32_t field) {                                            \
    return ZCRPC_D(packed)(d, p, end, m, slot, t, field, as);                                                                              \
  }
ZCRPC_DECODE_ARRAYS(v64, ZCRPC_AS_V64)
ZCRPC_DECODE_ARRAYS(v32, ZCRPC_AS_V32)
ZCRPC_DECODE_ARRAYS(s64, ZCRPC_AS_S64)
ZCRPC_DECODE_ARRAYS(s32, ZCRPC_AS_S32)
ZCRPC_DECODE_ARRAYS(bool, ZCRPC_AS_BOOL)
#undef ZCRPC_DECODE_ARRAYS
ZCRPC_FAR const uint8_t *ZCRPC_D(list_f64)(zcrpc_decode *d, const uint8_t *p, const uint8_t *end, uint8_t *slot, uint32_t tag) {
  return ZCRPC_D(list)(d, p, end, slot, tag, ZCRPC_AS_F64);
}
ZCRPC_FAR const uint8_t *ZCRPC_D(list_f32)(zcrpc_decode *d, const uint8_t *p, const uint8_t *end, uint8_t *slot, uint32_t tag) {
  return ZCRPC_D(list)(d, p, end, slot, tag, ZCRPC_AS_F32);
}

/* ---- Maps of strings to strings or bytes ---------------------------------------------------------------------- */

/* An entry {1: key, 2: value} as all encoders write it, the key shorter than 128 bytes. p is at its length. */
ZCRPC_HOT const uint8_t *ZCRPC_D(entry)(const uint8_t *p, const uint8_t *end, uint32_t *key_len, const uint8_t **value, uint32_t *value_len) {
  uint32_t n, mid;
  const uint8_t *v;
  p = ZCRPC_D(length)(p, end, &n);
  if (ZCRPC_UNLIKELY(!p || p[0] != 0x0A || p[1] >= 0x80 || p[1] + 4u > n)) return NULL;
  *key_len = p[1];
  v = p + *key_len + 4;
  mid = zcrpc_d_wire16(v - 2);
  *value_len = mid >> 8;
  if ((mid & 0xFF) != 0x12) return NULL;
  if (mid >> 8 >= 0x80) {
    if (*v >= 0x80) return NULL;
    *value_len = (mid >> 8 & 0x7F) | (uint32_t)*v++ << 7;
  }
  *value = v;
  return v + *value_len == p + n ? p : NULL;
}
/* *ordered: each key surely comes behind the one before. */
ZCRPC_HOT const uint8_t *ZCRPC_D(map)(zcrpc_decode *d, const uint8_t *p, const uint8_t *end, uint8_t *slot, uint32_t tag,
                                      const zcrpc_decode_type *t, uint32_t depth, uint32_t *ordered, int32_t key_text, int32_t value_text) {
  const uint32_t tag_len = tag > 0xFF ? 2 : 1;
  const uint8_t *const base = d->base;
  uint8_t *const first = d->top, *const limit = d->limit - 16, *out = first;
  uint32_t ascending = ~0u;
#if ZCRPC_DECODE_AVX2
  __m256i last = _mm256_setzero_si256(); /* the key before, as far as the next one is compared with it */
#else
  const uint8_t *last = NULL;
  uint32_t last_len = 0;
#endif
  if (ZCRPC_UNLIKELY(zcrpc_d_load32(slot + 4) != 0 || depth == 0)) return NULL; /* entries are messages, too */
  p -= tag_len;
  do {
    const uint8_t *key = p + tag_len + 3, *value, *next = key - 2 + key[-3];
    const uint32_t n = key[-3];
    uint32_t key_len = key[-1], value_len;
    if (ZCRPC_UNLIKELY(out > limit)) goto no;
    /* Up to 64 bytes in all, one look at all of them: if the texts are ASCII, so are the tags and lengths between them. */
    if (ZCRPC_LIKELY(key_text && value_text && n <= 64 && end - key >= (ptrdiff_t)n - 2 && ZCRPC_D(ascii_64)(key - 2, n) && key[-2] == 0x0A &&
                     key_len <= 32 && key_len + 4 <= n && zcrpc_d_wire16(key + key_len) == ((n - 4 - key_len) << 8 | 0x12))) {
      value = key + key_len + 2;
      value_len = n - 4 - key_len;
    } else {
      key = ZCRPC_D(entry)(p + tag_len, end, &key_len, &value, &value_len);
      if (ZCRPC_UNLIKELY(!key)) goto no;
      key += 2;
      next = value + value_len;
      if (ZCRPC_UNLIKELY((key_text && !ZCRPC_D(is_utf8)(key, key_len, t)) || (value_text && !ZCRPC_D(is_utf8)(value, value_len, t)))) goto no;
    }
    {
#if ZCRPC_DECODE_AVX2
      /* The first byte that differs decides; beyond the end of the one before every key that has it as a prefix comes
       * after it anyway. Nothing comes surely after a long one. */
      const __m256i now = ZCRPC_D(load)(key);
      const uint32_t differ = ~(uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(now, last));
      const uint32_t less = (uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(_mm256_min_epu8(now, last), last));
      const uint32_t after = _bzhi_u32(_blsi_u32(differ) & less, key_len);
      ascending = after < ascending ? after : ascending;
      last = key_len <= 32 ? now : _mm256_set1_epi8(-1);
#else
      if (last) {
        const uint32_t least = last_len < key_len ? last_len : key_len;
        uint32_t at = 0;
        while (at < least && last[at] == key[at]) at++;
        if (at < least ? last[at] > key[at] : last_len >= key_len) ascending = 0;
      }
      last = key;
      last_len = key_len;
#endif
    }
    zcrpc_d_pair(out, zcrpc_d_offset(key, base), key_len);
    zcrpc_d_pair(out + 8, zcrpc_d_offset(value, base), value_len);
    out += 16;
    p = next;
  } while (ZCRPC_D(again)(p, end, tag));
  if (ZCRPC_UNLIKELY(p >= end && end == d->fence)) goto no; /* the run may go on behind */
  zcrpc_d_pair(slot, zcrpc_d_offset(first, d->index), (uint32_t)(out - first) / 16);
  d->top = out;
  *ordered = ascending;
  return p;
no:
  t->calls->soil(d, out);
  return NULL;
}
ZCRPC_FAR const uint8_t *ZCRPC_D(careful_map)(zcrpc_decode *d, const uint8_t *p, const uint8_t *end, uint8_t *slot, uint32_t tag,
                                              const zcrpc_decode_type *t, uint32_t depth, uint32_t *ordered) {
  return ZCRPC_D(map)(d, p, end, slot, tag, t, depth, ordered, 1, 1);
}
/* The usual run: ASCII, and entries of less than 128 bytes. They are only taken apart one by one; that they are ASCII is
 * seen of the whole run at the end. What turns out to be different begins anew with care. */
ZCRPC_HOT const uint8_t *ZCRPC_D(map_texts)(zcrpc_decode *d, const uint8_t *p, const uint8_t *end, uint8_t *slot, uint32_t tag,
                                            const zcrpc_decode_type *t, uint32_t depth, uint32_t *ordered) {
#if ZCRPC_DECODE_AVX2
  const uint8_t *const base = d->base, *const begin = p - 1;
  uint8_t *const first = d->top, *out = first;
  uint32_t want = tag | 0x0A0000u; /* tag, length, tag of the key, its length: one word, the lengths below 128 */
  uint32_t sure = 1;
  __m256i last = _mm256_setzero_si256();
  /* An entry of 6 bytes or more takes 16: enough for as many as may come. */
  if (ZCRPC_UNLIKELY(tag > 0x7F || (uint64_t)(end - p) * 3 + 64 > (uint64_t)(d->limit - first) || zcrpc_d_load32(slot + 4) != 0 || depth == 0))
    return ZCRPC_D(careful_map)(d, p, end, slot, tag, t, depth, ordered);
  p = begin;
  while (ZCRPC_LIKELY((zcrpc_d_wire32(p) & 0x80FF80FFu) == want)) {
    const uint32_t n = p[1], key_len = p[3], value_len = n - 4 - key_len;
    const uint8_t *const key = p + 4, *const next = p + 2 + n;
    __m256i now;
    uint32_t more, less;
    if (ZCRPC_UNLIKELY(next >= end)) {
      if (next > end) break;
      want = ~0u; /* no word is that once it is masked: the loop ends behind this entry */
    }
    if (ZCRPC_UNLIKELY((int32_t)value_len < 0 || key[key_len] != 0x12 || key[key_len + 1] != (uint8_t)value_len)) break;
    /* Whether the key surely comes after the one before, as in map(): the first byte that differs decides. Signed, since
     * bytes that are not ASCII are not settled here. */
    now = ZCRPC_D(load)(key);
    more = (uint32_t)_mm256_movemask_epi8(_mm256_cmpgt_epi8(now, last));
    less = (uint32_t)_mm256_movemask_epi8(_mm256_cmpgt_epi8(last, now));
    if (ZCRPC_UNLIKELY(_bzhi_u32(_blsmsk_u32(less) & more, key_len) == 0)) sure = 0;
    last = now;
    zcrpc_d_pair(out, zcrpc_d_offset(key, base), key_len);
    zcrpc_d_pair(out + 8, zcrpc_d_offset(key, base) + key_len + 2, value_len);
    out += 16;
    p = next;
  }
  if (ZCRPC_LIKELY((p < end ? *p != tag : end != d->fence) && ZCRPC_D(ascii)(begin, (uint32_t)(p - begin)))) {
    zcrpc_d_pair(slot, zcrpc_d_offset(first, d->index), (uint32_t)(out - first) / 16);
    d->top = out;
    *ordered = sure;
    return p;
  }
  t->calls->soil(d, out);
  p = begin + 1;
#endif
  return ZCRPC_D(careful_map)(d, p, end, slot, tag, t, depth, ordered);
}
ZCRPC_FAR const uint8_t *ZCRPC_D(map_text_bytes)(zcrpc_decode *d, const uint8_t *p, const uint8_t *end, uint8_t *slot, uint32_t tag,
                                                 const zcrpc_decode_type *t, uint32_t depth, uint32_t *ordered) {
  return ZCRPC_D(map)(d, p, end, slot, tag, t, depth, ordered, 1, 0);
}
ZCRPC_FAR const uint8_t *ZCRPC_D(map_bytes)(zcrpc_decode *d, const uint8_t *p, const uint8_t *end, uint8_t *slot, uint32_t tag,
                                            const zcrpc_decode_type *t, uint32_t depth, uint32_t *ordered) {
  return ZCRPC_D(map)(d, p, end, slot, tag, t, depth, ordered, 0, 0);
}

#endif /* once a pass, where files are compiled together */
#endif /* ZCRPC_DECODE_PASS */
