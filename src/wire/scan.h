// Looking for the few bytes that matter in a quoted string, 16 at a time where SSE2 is there, else 8. Never reads past the end.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "wire/wire.h"

namespace zcrpc::wire {

inline constexpr uint64_t kOnes = 0x0101010101010101u;
inline constexpr uint64_t kHighs = 0x8080808080808080u;

// Whether one of 8 bytes is a quote, a backslash or below 0x20; with High also above 0x7F.
template <bool High>
inline bool special8(uint64_t x) {
  uint64_t quote = x ^ kOnes * '"', slash = x ^ kOnes * '\\';
  uint64_t hit = ((quote - kOnes) & ~quote) | ((slash - kOnes) & ~slash) | ((x - kOnes * 0x20) & ~x);
  if constexpr (High) hit |= x;
  return hit & kHighs;
}
template <bool High>
inline bool special1(uint8_t c) {
  return c == '"' || c == '\\' || c < 0x20 || (High && c > 0x7F);
}

#ifdef __SSE2__
// The high bit of each of 16 bytes.
template <bool High>
inline __m128i special_bytes(__m128i x) {
  const __m128i hit = _mm_or_si128(_mm_cmpeq_epi8(x, _mm_set1_epi8('"')), _mm_cmpeq_epi8(x, _mm_set1_epi8('\\')));
  // Compared as signed numbers, 0x80 to 0xFF are below 0x20, too.
  if constexpr (High) return _mm_or_si128(hit, _mm_cmplt_epi8(x, _mm_set1_epi8(0x20)));
  return _mm_or_si128(hit, _mm_cmpeq_epi8(_mm_min_epu8(x, _mm_set1_epi8(0x1F)), x));
}
// A bit for each of 16 bytes.
template <bool High>
inline uint32_t special16(__m128i x) {
  return uint32_t(_mm_movemask_epi8(special_bytes<High>(x)));
}
inline __m128i load16(const uint8_t* p) { return _mm_loadu_si128(reinterpret_cast<const __m128i*>(p)); }
inline bool special8x2(uint64_t a, uint64_t b) { return special16<false>(_mm_set_epi64x(int64_t(b), int64_t(a))) != 0; }
#else
inline bool special8x2(uint64_t a, uint64_t b) { return special8<false>(a) || special8<false>(b); }
#endif

// The first special byte of [p, end), or end.
template <bool High>
inline const uint8_t* find_special(const uint8_t* p, const uint8_t* end) {
#ifdef __SSE2__
  for (; end - p >= 16; p += 16)
    if (uint32_t hit = special16<High>(load16(p))) return p + std::countr_zero(hit);
#endif
  for (; end - p >= 8; p += 8)
    if (special8<High>(load_le<uint64_t>(p))) break;
  while (p < end && !special1<High>(*p)) p++;
  return p;
}

// Copies s up to the first byte that has to be escaped and tells how many those were. `to` takes n bytes and 16 more, which
// may be overwritten.
inline size_t copy_plain(const uint8_t* s, size_t n, char* to) {
#ifdef __SSE2__
  if (n >= 16) {
    size_t i = 0;
    for (; n - i >= 64; i += 64) {  // one question for four blocks
      __m128i any = _mm_setzero_si128();
      for (size_t k = i; k < i + 64; k += 16) {
        const __m128i x = load16(s + k);
        _mm_storeu_si128(reinterpret_cast<__m128i*>(to + k), x);
        any = _mm_or_si128(any, special_bytes<false>(x));
      }
      if (_mm_movemask_epi8(any)) return size_t(find_special<false>(s + i, s + i + 64) - s);
    }
    for (; n - i >= 16; i += 16) {
      const __m128i x = load16(s + i);
      _mm_storeu_si128(reinterpret_cast<__m128i*>(to + i), x);
      if (const uint32_t hit = special16<false>(x)) return i + size_t(std::countr_zero(hit));
    }
    if (i == n) return n;
    // The last 16 again: what overlaps was plain.
    const __m128i x = load16(s + n - 16);
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to + n - 16), x);
    const uint32_t hit = special16<false>(x);
    return hit ? n - 16 + size_t(std::countr_zero(hit)) : n;
  }
#endif
  if (n < 16) {
    // Two loads that overlap take in any length; what has something special is gone through byte by byte.
    if (n >= 8) {
      auto a = load_le<uint64_t>(s), b = load_le<uint64_t>(s + n - 8);
      if (!special8x2(a, b)) {
        store_le(to, a);
        store_le(to + n - 8, b);
        return n;
      }
    } else if (n >= 4) {
      auto a = load_le<uint32_t>(s), b = load_le<uint32_t>(s + n - 4);
      if (auto both = a | uint64_t(b) << 32; !special8x2(both, both)) {
        store_le(to, a);
        store_le(to + n - 4, b);
        return n;
      }
    }
  }
  size_t i = 0;
  for (; n - i >= 8; i += 8) {
    auto x = load_le<uint64_t>(s + i);
    if (special8<false>(x)) break;
    memcpy(to + i, s + i, 8);
  }
  for (; i < n && !special1<false>(s[i]); i++) to[i] = char(s[i]);
  return i;
}

// Whether the `left` bytes at p begin with `key`, which lies in whole blocks of 16.
inline bool same_blocks(const uint8_t* p, size_t left, std::string_view key) {
  const size_t n = key.size();
#ifdef __SSE2__
  if (left >= ((n + 15) & ~size_t(15))) [[likely]] {
    auto k = reinterpret_cast<const uint8_t*>(key.data());
    for (size_t i = 0;; i += 16) {
      const auto equal = uint32_t(_mm_movemask_epi8(_mm_cmpeq_epi8(load16(p + i), load16(k + i))));
      if (n - i <= 16) return (~equal & (0xFFFFu >> (16 - (n - i)))) == 0;
      if (equal != 0xFFFF) return false;
    }
  }
#endif
  return left >= n && memcmp(p, key.data(), n) == 0;
}

}  // namespace zcrpc::wire
