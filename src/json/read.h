// A pull reader of strict JSON (RFC 8259): one pass, no tree. The first mistake sticks; every call after it fails too.
//
//   Reader r(text);
//   std::string_view key;
//   if (r.enter_object())
//     while (r.next_member(&key)) key == "code" ? r.string(&code) : r.skip_value();
//   if (!r.finish()) ... r.error(), r.error_offset()
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/slice.h"
#include "base/source.h"
#include "base/string.h"

namespace zcrpc::json {

enum class Token : uint8_t { kObject, kArray, kString, kNumber, kTrue, kFalse, kNull, kOther /* or the end */ };

class Reader : public base::Source {
 public:
  explicit Reader(base::Slice text, uint32_t max_depth = 100) : base::Source(text), depth_(max_depth) {}

  // Skips white space and tells what comes next by its first byte.
  Token peek() {
    skip_space();
    if (p_ == end_) return Token::kOther;
    switch (*p_) {
      case '{': return Token::kObject;
      case '[': return Token::kArray;
      case '"': return Token::kString;
      case 't': return Token::kTrue;
      case 'f': return Token::kFalse;
      case 'n': return Token::kNull;
      default: return *p_ == '-' || (*p_ >= '0' && *p_ <= '9') ? Token::kNumber : Token::kOther;
    }
  }

  [[nodiscard]] bool enter_object();
  // The next member's name: a view of the text, or of scratch memory until the next name or string. False: the object
  // has ended and was left, or a mistake.
  [[nodiscard]] bool next_member(std::string_view* name);
  [[nodiscard]] bool enter_array();
  // True: an element comes. False: the array has ended and was left, or a mistake.
  [[nodiscard]] bool next_element();

  // A string, unescaped, valid UTF-8: a view of the text, or of scratch memory until the next name or string.
  bool string(std::string_view* s);
  // A number's characters, its grammar checked.
  bool number(std::string_view* s);
  bool boolean(bool* v);
  bool null();
  // Any value, with all that is in it.
  bool skip_value();
  // Nothing but white space is left, and no mistake was made.
  bool finish();

  // For parsers built on this one.
  // A place to come back to.
  struct Mark {
    const uint8_t* p;
    uint32_t depth;
    bool fresh;
  };
  Mark mark() const { return {p_, depth_, fresh_}; }
  void rewind(const Mark& m) {
    p_ = m.p;
    depth_ = m.depth;
    fresh_ = m.fresh;
  }
  void skip_space() {
    while (p_ < end_ && (*p_ == ' ' || *p_ == '\n' || *p_ == '\t' || *p_ == '\r')) p_++;
  }
  // Consumes c, white space before it allowed.
  bool take(char c) {
    skip_space();
    if (p_ == end_ || *p_ != uint8_t(c)) return false;
    p_++;
    return true;
  }
  // The text of the name that next_member gave last, as it stands between its quotes.
  std::string_view raw_name() const { return raw_name_; }
  // next_member without unescaping into the same scratch as string(): up to the name, first quote consumed.
  [[nodiscard]] bool member_comes() {
    bool first = fresh_;
    fresh_ = false;
    if (!first && end_ - p_ > 1 && p_[0] == ',' && p_[1] == '"') [[likely]] {
      p_ += 2;
      return true;
    }
    return member_comes_slow(first);
  }
  [[nodiscard]] bool colon() {
    if (p_ < end_ && *p_ == ':') [[likely]] {
      p_++;
      return true;
    }
    return colon_slow();
  }
  [[nodiscard]] bool name(std::string_view* s);

 private:
  bool string_into(std::string_view* s, base::String* scratch);
  bool string_other(const uint8_t* p, std::string_view* s, base::String* scratch);
  bool string_slow(const uint8_t* start, const uint8_t* p, bool ascii, std::string_view* s, base::String* scratch);
  bool escape(const uint8_t** at, base::String* scratch);
  bool member_comes_slow(bool first);
  bool colon_slow();
  bool literal(const char* text, size_t n);
  bool open();

  uint32_t depth_;      // levels left
  bool fresh_ = false;  // right behind an opening bracket
  std::string_view raw_name_;
  base::String name_scratch_, scratch_;
};

// The integer that a number's characters stand for, exactly: 1e5, 100000.000 and 2.147483647e9 are integers. Grammar as in
// JSON, checked here too. kNotInteger: a fraction is left; kRange: beyond int64/uint64.
enum class Integer : uint8_t { kOk, kNotNumber, kNotInteger, kRange };
Integer read_int64(std::string_view s, int64_t* v);
Integer read_uint64(std::string_view s, uint64_t* v);
// The nearest double or float; false: not a JSON number, or too large (*range tells).
bool read_double(std::string_view s, double* v, bool* range);
bool read_float(std::string_view s, float* v, bool* range);

}  // namespace zcrpc::json
