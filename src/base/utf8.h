// UTF-8 by RFC 3629: no overlong forms, no surrogates, nothing above U+10FFFF.
#pragma once

#include <cstddef>
#include <cstdint>

namespace zcrpc::base {

// Bytes of the longest valid prefix: n if all is valid.
size_t utf8_valid_prefix(const uint8_t* p, size_t n);
inline bool utf8_valid(const uint8_t* p, size_t n) { return utf8_valid_prefix(p, n) == n; }
// Writes one code point (not a surrogate, at most 0x10FFFF), 1 to 4 bytes; returns how many.
size_t utf8_put(uint32_t code_point, char* out);

}  // namespace zcrpc::base
