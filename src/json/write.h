// Parts for writing JSON text: strings, numbers, base64. Appends never fail by themselves; out->ok() tells.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/decimal.h"
#include "base/slice.h"
#include "base/string.h"

namespace zcrpc::json {

// A quoted string. Bytes that are not UTF-8 become U+FFFD, one for each byte.
void append_quoted(base::String* out, std::string_view s);
// A JSON number, or "NaN", "Infinity", "-Infinity" in quotes. Shortest digits that read back to the same value.
void append_double(base::String* out, double v);
void append_float(base::String* out, float v);

// The same into memory that is there; each tells how many characters it wrote, at most kMaxNumber, kMaxEscape.
inline constexpr size_t kMaxNumber = base::kMaxDecimal, kMaxEscape = 6;
size_t write_number(double v, char* to);
size_t write_number(float v, char* to);
size_t write_escape(uint8_t c, char* to);  // c: a quote, a backslash, or below 0x20

enum class Alphabet : uint8_t { kStandard, kUrl };
constexpr size_t base64_size(size_t n, bool padded) { return padded ? (n + 2) / 3 * 4 : (n * 4 + 2) / 3; }
// Writes base64_size(s.size, padded) characters.
void base64_write(base::Slice s, Alphabet alphabet, bool padded, char* out);
void append_base64(base::String* out, base::Slice s, Alphabet alphabet, bool padded);
// Reads either alphabet, with or without padding. out takes up to text.size() / 4 * 3 + 2 bytes; it may be the text's own
// memory.
// False: a character that does not belong, or an impossible length.
bool base64_read(std::string_view text, uint8_t* out, size_t* size);

// Longest prefix of s that goes into a JSON string as it is: no quote, no backslash, nothing below 0x20.
size_t plain_prefix(const uint8_t* s, size_t n);

}  // namespace zcrpc::json
