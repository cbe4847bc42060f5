// The tokens of text format: names, numbers, strings; white space and comments between them are skipped.
#pragma once

#include <string_view>

#include "base/slice.h"
#include "base/source.h"
#include "base/string.h"

namespace zcrpc::text {

// A number as it is written. negative: a minus stood before it.
struct Number {
  enum Form : uint8_t { kDecimal, kOctal, kHex, kFloat } form = kDecimal;
  bool negative = false;
  std::string_view digits;  // without minus, 0x, and the f behind a float
};

inline bool is_digit(uint8_t c) { return c >= '0' && c <= '9'; }
inline bool is_letter(uint8_t c) { return (uint8_t(c | 0x20) >= 'a' && uint8_t(c | 0x20) <= 'z') || c == '_'; }
// What a type URL between brackets may hold besides letters, digits and percent escapes.
inline bool is_url_mark(uint8_t c) {
  return std::string_view("-.~!$&()*+,;=/").find(char(c)) != std::string_view::npos;
}

class Reader : public base::Source {
 public:
  using base::Source::Source;

  void skip_space() {
    if (p_ < end_ && (*p_ == ' ' || *p_ == '#' || (*p_ >= '\t' && *p_ <= '\r'))) skip_more();
  }
  // What comes next, white space skipped; 0 at the end.
  uint8_t peek() {
    skip_space();
    return p_ < end_ ? *p_ : 0;
  }
  bool at_end() {
    skip_space();
    return p_ == end_;
  }
  // Consumes c, if it comes next.
  bool take(char c) {
    if (peek() != uint8_t(c) || p_ == end_) return false;
    p_++;
    return true;
  }

  bool name(std::string_view* s);
  // One or more literals, joined: a view of the text, or of scratch memory until the next string.
  bool string(base::Slice* s);
  // With its sign, between which and the number white space may stand. A sign before a name is consumed too: then
  // *word is set to the name.
  bool number(Number* n, std::string_view* word);

 private:
  void skip_more();
  bool literal(base::Slice* s, bool more);
  bool escape(const uint8_t* at);
  bool octal(const uint8_t* at);
  bool code_point(const uint8_t* at, int digits);
  bool unsigned_number(Number* n);

  base::String scratch_;
};

// The integer of a number that is no float; false: beyond 64 bits.
bool magnitude(const Number& n, uint64_t* v);

}  // namespace zcrpc::text
