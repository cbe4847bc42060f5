#include "base/utf8.h"

#include <cstring>

namespace zcrpc::base {
namespace {

inline bool tail(uint8_t b) { return (b & 0xC0) == 0x80; }

// Length of the sequence at p, 0 if it is broken. RFC 3629, section 4.
size_t sequence(const uint8_t* p, size_t n) {
  uint8_t b = p[0];
  if (b < 0x80) return 1;
  if (b < 0xC2) return 0;
  if (b < 0xE0) return n >= 2 && tail(p[1]) ? 2 : 0;
  if (b < 0xF0) {
    if (n < 3 || !tail(p[1]) || !tail(p[2])) return 0;
    if (b == 0xE0 && p[1] < 0xA0) return 0;  // overlong
    if (b == 0xED && p[1] > 0x9F) return 0;  // surrogate
    return 3;
  }
  if (b > 0xF4 || n < 4 || !tail(p[1]) || !tail(p[2]) || !tail(p[3])) return 0;
  if (b == 0xF0 && p[1] < 0x90) return 0;  // overlong
  if (b == 0xF4 && p[1] > 0x8F) return 0;  // above U+10FFFF
  return 4;
}

}  // namespace

size_t utf8_valid_prefix(const uint8_t* p, size_t n) {
  size_t i = 0;
  while (i < n) {
    uint64_t word;
    while (n - i >= 8) {
      memcpy(&word, p + i, 8);
      if (word & 0x8080808080808080u) break;
      i += 8;
    }
    if (i == n) break;
    size_t len = sequence(p + i, n - i);
    if (len == 0) return i;
    i += len;
  }
  return n;
}

size_t utf8_put(uint32_t c, char* out) {
  if (c < 0x80) {
    out[0] = char(c);
    return 1;
  }
  if (c < 0x800) {
    out[0] = char(0xC0 | c >> 6);
    out[1] = char(0x80 | (c & 0x3F));
    return 2;
  }
  if (c < 0x10000) {
    out[0] = char(0xE0 | c >> 12);
    out[1] = char(0x80 | (c >> 6 & 0x3F));
    out[2] = char(0x80 | (c & 0x3F));
    return 3;
  }
  out[0] = char(0xF0 | c >> 18);
  out[1] = char(0x80 | (c >> 12 & 0x3F));
  out[2] = char(0x80 | (c >> 6 & 0x3F));
  out[3] = char(0x80 | (c & 0x3F));
  return 4;
}

}  // namespace zcrpc::base
