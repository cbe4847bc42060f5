// The fast path's smallest parts. They load whole words and vectors, up to kSlack bytes past what they look at, and leave
// everything unusual to slow code by saying "no". Internal linkage throughout: this file is compiled once for each
// instruction set, and a copy with AVX2 in it must not be taken for the ordinary one.
#pragma once

#include <cstdint>
#include <cstring>

#if defined(__SSE2__)
#include <immintrin.h>
#endif

#include "view/context.h"

#define ZCRPC_HOT static inline __attribute__((always_inline))
// Hides how a value came about, so that the compiler keeps one register for it and what it can be computed back to.
#define ZCRPC_HIDE(x) __asm__("" : "+r"(x))
#define ZCRPC_LIKELY(x) __builtin_expect(!!(x), 1)
#define ZCRPC_UNLIKELY(x) __builtin_expect(!!(x), 0)

namespace zcrpc::view {
namespace {

template <class T>
ZCRPC_HOT T load(const void* p) {
  T v;
  memcpy(&v, p, sizeof v);
  return v;
}
template <class T>
ZCRPC_HOT void store(void* p, T v) {
  memcpy(p, &v, sizeof v);
}
template <class T>
ZCRPC_HOT T load_wire(const void* p) {
  T v = load<T>(p);
  if constexpr (std::endian::native == std::endian::big) {
    if constexpr (sizeof(T) == 2) v = T(__builtin_bswap16(uint16_t(v)));
    if constexpr (sizeof(T) == 4) v = T(__builtin_bswap32(uint32_t(v)));
    if constexpr (sizeof(T) == 8) v = T(__builtin_bswap64(uint64_t(v)));
  }
  return v;
}

inline constexpr uint64_t kTops = 0x8080808080808080u;
inline constexpr uint64_t kSevens = 0x7F7F7F7F7F7F7F7Fu;

// The 7-bit groups of a word pushed together.
ZCRPC_HOT uint64_t gather_sevens(uint64_t w) {
#if defined(__BMI2__)
  return _pext_u64(w, kSevens);
#else
  w &= kSevens;
  w = (w & 0x007F007F007F007Fu) | (w & 0x7F007F007F007F00u) >> 1;
  w = (w & 0x00003FFF00003FFFu) | (w & 0x3FFF00003FFF0000u) >> 2;
  return (w & 0x000000000FFFFFFFu) | (w & 0x0FFFFFFF00000000u) >> 4;
#endif
}

// A varint of three bytes or more; nullptr: longer than 10.
ZCRPC_HOT const uint8_t* read_long(const uint8_t* p, uint64_t* v) {
  uint64_t w = load_wire<uint64_t>(p);
  uint64_t stop = ~w & kTops;
  if (ZCRPC_LIKELY(stop)) {
    *v = gather_sevens(w & (stop ^ (stop - 1)));
    return p + (unsigned(__builtin_ctzll(stop)) >> 3) + 1;
  }
  uint64_t low = gather_sevens(w), b = p[8];
  if (b < 0x80) {
    *v = low | b << 56;
    return p + 9;
  }
  if (ZCRPC_UNLIKELY(p[9] >= 0x80)) return nullptr;
  *v = low | (b & 0x7F) << 56 | uint64_t(p[9]) << 63;
  return p + 10;
}

ZCRPC_HOT const uint8_t* read_varint(const uint8_t* p, uint64_t* v) {
  uint64_t b = *p;
  if (ZCRPC_LIKELY(b < 0x80)) {
    *v = b;
    return p + 1;
  }
  uint64_t b1 = p[1];
  if (ZCRPC_LIKELY(b1 < 0x80)) {
    *v = (b & 0x7F) | b1 << 7;
    return p + 2;
  }
  return read_long(p, v);
}

// A length of one or two bytes that stays below end; nullptr: ask slow code. What it told is then not the truth.
ZCRPC_HOT const uint8_t* read_length(const uint8_t* p, const uint8_t* end, uint32_t* n) {
  uint32_t b = *p++;
  if (ZCRPC_UNLIKELY(b >= 0x80)) {
    uint32_t b1 = *p++;
    if (ZCRPC_UNLIKELY(b1 >= 0x80)) return nullptr;
    b = (b & 0x7F) | b1 << 7;
  }
  // Signed: p may already have run past end by a few bytes.
  if (ZCRPC_UNLIKELY(end - p < ptrdiff_t(b))) return nullptr;
  *n = b;
  return p;
}

// The same without a branch between one byte and two, for lengths about 128.
ZCRPC_HOT const uint8_t* read_length_2(const uint8_t* p, const uint8_t* end, uint32_t* n) {
  const uint32_t w = load_wire<uint16_t>(p), two = w >> 7 & 1;
  const uint32_t b = (w & 0x7F) | (w >> 1 & 0x3F80 & (0 - two));
  p += 1 + two;
  if (ZCRPC_UNLIKELY((w >> 15 & two) || end - p < ptrdiff_t(b))) return nullptr;
  *n = b;
  return p;
}

// Whether [p, p + n) is all ASCII. Loads up to 32 bytes from p on even if n is less. Lengths vary from string to string,
// and a branch that depends on one is often predicted wrong: up to 64, and up to 256, there is none.
#if defined(__AVX2__)
ZCRPC_HOT __m256i load_32(const uint8_t* p) { return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)); }

ZCRPC_HOT bool is_ascii_64(const uint8_t* p, uint32_t n) {  // n at most 64
  int64_t over = int64_t(n) - 32;
  over &= ~(over >> 63);  // not below 0; written as a choice, gcc makes it a branch
  return _bzhi_u32(uint32_t(_mm256_movemask_epi8(_mm256_or_si256(load_32(p), load_32(p + over)))), n) == 0;
}
ZCRPC_HOT bool is_ascii(const uint8_t* p, uint32_t n) {
  if (ZCRPC_LIKELY(n <= 64)) return is_ascii_64(p, n);
  const uint32_t last = n - 32;
  __m256i any = _mm256_or_si256(load_32(p), load_32(p + 32));
  if (ZCRPC_LIKELY(n <= 256)) {
    auto at = [&](uint32_t i) { return load_32(p + (i < last ? i : last)); };
    any = _mm256_or_si256(any, _mm256_or_si256(_mm256_or_si256(at(64), at(96)), _mm256_or_si256(at(128), at(160))));
    any = _mm256_or_si256(any, _mm256_or_si256(at(192), at(224)));
  } else {
    for (uint32_t i = 64; i < last; i += 32) any = _mm256_or_si256(any, load_32(p + i));
    any = _mm256_or_si256(any, load_32(p + last));
  }
  return _mm256_movemask_epi8(any) == 0;
}
#elif defined(__SSE2__)
ZCRPC_HOT __m128i load_16(const uint8_t* p) { return _mm_loadu_si128(reinterpret_cast<const __m128i*>(p)); }

ZCRPC_HOT bool is_ascii_64(const uint8_t* p, uint32_t n) {  // n at most 64
  const auto low = uint32_t(_mm_movemask_epi8(load_16(p))), high = uint32_t(_mm_movemask_epi8(load_16(p + 16)));
  if (ZCRPC_LIKELY(n <= 32)) return ((uint64_t(high) << 16 | low) & ((uint64_t(1) << n) - 1)) == 0;
  return (low | high | uint32_t(_mm_movemask_epi8(_mm_or_si128(load_16(p + n - 32), load_16(p + n - 16))))) == 0;
}
ZCRPC_HOT bool is_ascii(const uint8_t* p, uint32_t n) {
  if (ZCRPC_LIKELY(n <= 64)) return is_ascii_64(p, n);
  __m128i any = load_16(p + n - 16);
  for (uint32_t i = 0; i + 16 <= n; i += 16) any = _mm_or_si128(any, load_16(p + i));
  return _mm_movemask_epi8(any) == 0;
}
#else
ZCRPC_HOT bool is_ascii(const uint8_t* p, uint32_t n) {
  if (n < 8) {
    uint64_t w = n ? load_wire<uint64_t>(p) << (64 - 8 * n) : 0;
    return (w & kTops) == 0;
  }
  uint64_t any = load<uint64_t>(p + n - 8);
  for (uint32_t i = 0; i + 8 <= n; i += 8) any |= load<uint64_t>(p + i);
  return (any & kTops) == 0;
}
ZCRPC_HOT bool is_ascii_64(const uint8_t* p, uint32_t n) { return is_ascii(p, n); }
#endif

// Zeroes [m, m + size): a message, 16 bytes or more in steps of 8. Exact: its neighbours are already in use.
ZCRPC_HOT void zero_message(uint8_t* m, uint32_t size) {
#if defined(__AVX2__)
  if (ZCRPC_LIKELY(size >= 32)) {
    const __m256i z = _mm256_setzero_si256();
    uint8_t* last = m + size - 32;
    for (; m < last; m += 32) {
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(m), z);
      __asm__("" : "+r"(m));  // or the compiler calls memset
    }
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(last), z);
    return;
  }
#endif
#if defined(__SSE2__)
  const __m128i z = _mm_setzero_si128();
  uint8_t* last = m + size - 16;
  for (; m < last; m += 16) {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(m), z);
    __asm__("" : "+r"(m));
  }
  _mm_storeu_si128(reinterpret_cast<__m128i*>(last), z);
#else
  memset(m, 0, size);
#endif
}

// Whether key a comes before key b, bytewise, and is not equal to it. Only short common prefixes are looked at: with
// false it may still be so.
ZCRPC_HOT bool surely_before(const uint8_t* a, uint32_t an, const uint8_t* b, uint32_t bn) {
  uint32_t n = an < bn ? an : bn;
#if defined(__SSE2__)
  __m128i x = _mm_loadu_si128(reinterpret_cast<const __m128i*>(a)), y = _mm_loadu_si128(reinterpret_cast<const __m128i*>(b));
  uint32_t differ = uint32_t(_mm_movemask_epi8(_mm_cmpeq_epi8(x, y))) ^ 0xFFFF;
  uint32_t at = uint32_t(__builtin_ctz(differ | 0x10000));
  if (ZCRPC_LIKELY(at < n)) return at < 16 && a[at] < b[at];
  return an < bn;
#else
  uint32_t at = 0;
  while (at < n && at < 16 && a[at] == b[at]) at++;
  if (at < n) return at < 16 && a[at] < b[at];
  return an < bn;
#endif
}

// How many fields of this tag follow one another, the one at p (behind its tag) included. Stops at what it cannot read.
ZCRPC_HOT uint32_t count_run(const uint8_t* p, const uint8_t* end, uint16_t tag, unsigned tag_length) {
  uint32_t n = 0;
  const uint16_t mask = tag_length == 1 ? 0xFF : 0xFFFF;
  for (;;) {
    uint32_t len;
    const uint8_t* q = read_length(p, end, &len);
    if (ZCRPC_UNLIKELY(!q)) {
      uint64_t v;
      q = read_varint(p, &v);
      if (!q || end - q < 0 || uint64_t(end - q) < v) return n;
      len = uint32_t(v);
    }
    n++;
    p = q + len;
    if (p >= end || (load_wire<uint16_t>(p) & mask) != tag) return n;
    p += tag_length;
  }
}

// The entry of the field whose tag is at p, if it is one of one or two bytes as the field is usually written.
ZCRPC_HOT const Entry* find_fast(const Table* t, const uint8_t* p) {
  uint32_t raw = p[0], number = raw >> 3;
  if (raw >= 0x80) {
    if (p[1] >= 0x80) return nullptr;
    number = (raw & 0x7F) >> 3 | uint32_t(p[1]) << 4;
    raw |= uint32_t(p[1]) << 8;
  }
  if (number >= t->dense_size || t->dense[number] == 0) return nullptr;
  const Entry* e = &t->entries[t->dense[number] - 1];
  return e->tag == raw ? e : nullptr;
}

}  // namespace
}  // namespace zcrpc::view
