#include "json/read.h"

#include <cstring>

#include "base/utf8.h"
#include "wire/scan.h"

namespace zcrpc::json {

namespace {

constexpr const char* kNotUtf8 = "a string is not valid UTF-8";
constexpr const char* kNoEnd = "a string without its closing quote";

bool digit(uint8_t c) { return c >= '0' && c <= '9'; }
int hex(uint8_t c) {
  if (digit(c)) return c - '0';
  c |= 0x20;
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}
// Four hexadecimal digits; -1: they are not.
int32_t hex4(const uint8_t* p, const uint8_t* end) {
  if (end - p < 4) return -1;
  int32_t v = 0;
  for (int i = 0; i < 4; i++) {
    int h = hex(p[i]);
    if (h < 0) return -1;
    v = v << 4 | h;
  }
  return v;
}

}  // namespace

bool Reader::open() {
  if (depth_ == 0) return wrong_at(p_ - 1, "nested too deeply", base::Code::kResourceExhausted);
  depth_--;
  return fresh_ = true;
}

bool Reader::enter_object() {
  if (!take('{')) return wrong("expected an object");
  return open();
}

bool Reader::enter_array() {
  if (!take('[')) return wrong("expected an array");
  return open();
}

bool Reader::member_comes_slow(bool first) {
  skip_space();
  if (p_ < end_ && *p_ == '}') {
    p_++;
    depth_++;
    return false;
  }
  if (!first) {
    if (p_ == end_ || *p_ != ',') return wrong("expected a comma or the object's end");
    p_++;
    skip_space();
  }
  if (p_ == end_ || *p_ != '"') return wrong("expected a name in quotes");
  p_++;
  return true;
}

bool Reader::colon_slow() { return take(':') || wrong("expected a colon"); }

bool Reader::next_member(std::string_view* s) { return member_comes() && name(s) && colon(); }

bool Reader::next_element() {
  bool first = fresh_;
  fresh_ = false;
  skip_space();
  if (p_ < end_ && *p_ == ']') {
    p_++;
    depth_++;
    return false;
  }
  if (first) return !failed_;
  if (p_ == end_ || *p_ != ',') return wrong("expected a comma or the array's end");
  p_++;
  return true;
}

// Behind the opening quote. Nearly all strings are ASCII without an escape and stay where they are.
inline bool Reader::string_into(std::string_view* s, base::String* scratch) {
  const uint8_t* p = wire::find_special<true>(p_, end_);
  if (p == end_ || *p != '"') [[unlikely]] return string_other(p, s, scratch);
  *s = {reinterpret_cast<const char*>(p_), size_t(p - p_)};
  p_ = p + 1;
  return true;
}

bool Reader::string(std::string_view* s) {
  if (!take('"')) return wrong("expected a string");
  return string_into(s, &scratch_);
}

bool Reader::name(std::string_view* s) {
  const uint8_t* start = p_;
  if (!string_into(s, &name_scratch_)) return false;
  raw_name_ = {reinterpret_cast<const char*>(start), size_t(p_ - 1 - start)};
  return true;
}

// p: the first byte that is not plain ASCII, or the end.
bool Reader::string_other(const uint8_t* p, std::string_view* s, base::String* scratch) {
  const uint8_t* start = p_;
  bool ascii = true;
  if (p < end_ && *p > 0x7F) {
    ascii = false;
    p = wire::find_special<false>(p, end_);
  }
  if (p < end_ && *p == '\\') return string_slow(start, p, ascii, s, scratch);
  if (p == end_) return wrong_at(start - 1, kNoEnd);
  if (*p != '"') return wrong_at(p, "a control character in a string");
  size_t n = size_t(p - start);
  if (!ascii) {
    size_t good = base::utf8_valid_prefix(start, n);
    if (good != n) return wrong_at(start + good, kNotUtf8);
  }
  *s = {reinterpret_cast<const char*>(start), n};
  p_ = p + 1;
  return true;
}

bool Reader::string_slow(const uint8_t* start, const uint8_t* p, bool ascii, std::string_view* s, base::String* scratch) {
  scratch->clear();
  const uint8_t* from = start;
  for (;;) {
    scratch->append({reinterpret_cast<const char*>(from), size_t(p - from)});
    if (p == end_) return wrong_at(start - 1, kNoEnd);
    if (*p == '"') break;
    if (*p != '\\') return wrong_at(p, "a control character in a string");
    if (!escape(&p, scratch)) return false;
    from = p;
    p = wire::find_special<false>(p, end_);
    if (ascii && wire::find_special<true>(from, p) != p) ascii = false;
  }
  if (!scratch->ok()) return wrong_at(start, "no memory", base::Code::kResourceExhausted);
  if (!ascii) {
    // Escapes are ASCII, so the text between the quotes is UTF-8 exactly when its unescaped form is.
    size_t n = size_t(p - start), good = base::utf8_valid_prefix(start, n);
    if (good != n) return wrong_at(start + good, kNotUtf8);
  }
  *s = scratch->view();
  p_ = p + 1;
  return true;
}

// *at is at the backslash, and then behind the escape.
bool Reader::escape(const uint8_t** at, base::String* scratch) {
  const uint8_t* p = *at;
  char plain = 0;
  switch (end_ - p < 2 ? 0 : p[1]) {
    case '"': plain = '"'; break;
    case '\\': plain = '\\'; break;
    case '/': plain = '/'; break;
    case 'b': plain = '\b'; break;
    case 'f': plain = '\f'; break;
    case 'n': plain = '\n'; break;
    case 'r': plain = '\r'; break;
    case 't': plain = '\t'; break;
    case 'u': {
      int32_t c = hex4(p + 2, end_);
      if (c < 0) return wrong_at(p, "a bad escape");
      const uint8_t* behind = p + 6;
      if (c >= 0xD800 && c <= 0xDFFF) {
        int32_t low = c < 0xDC00 && end_ - behind >= 6 && behind[0] == '\\' && behind[1] == 'u' ? hex4(behind + 2, end_) : -1;
        if (low < 0xDC00 || low > 0xDFFF) return wrong_at(p, "a lone surrogate");
        c = 0x10000 + ((c - 0xD800) << 10) + (low - 0xDC00);
        behind += 6;
      }
      char utf8[4];
      scratch->append({utf8, base::utf8_put(uint32_t(c), utf8)});
      *at = behind;
      return true;
    }
    default: return wrong_at(p, "a bad escape");
  }
  scratch->append(plain);
  *at = p + 2;
  return true;
}

bool Reader::number(std::string_view* s) {
  skip_space();
  const uint8_t *start = p_, *p = p_;
  if (p < end_ && *p == '-') p++;
  if (p == end_ || !digit(*p)) return wrong("expected a number");
  if (*p == '0' && end_ - p > 1 && digit(p[1])) return wrong("a number with a leading zero");
  while (p < end_ && digit(*p)) p++;
  if (p < end_ && *p == '.') {
    p++;
    if (p == end_ || !digit(*p)) return wrong("a number without digits behind its point");
    while (p < end_ && digit(*p)) p++;
  }
  if (p < end_ && (*p | 0x20) == 'e') {
    p++;
    if (p < end_ && (*p == '+' || *p == '-')) p++;
    if (p == end_ || !digit(*p)) return wrong("a number without digits in its exponent");
    while (p < end_ && digit(*p)) p++;
  }
  *s = {reinterpret_cast<const char*>(start), size_t(p - start)};
  p_ = p;
  return true;
}

bool Reader::literal(const char* text, size_t n) {
  if (size_t(end_ - p_) < n || memcmp(p_, text, n) != 0) return false;
  p_ += n;
  return true;
}

bool Reader::boolean(bool* v) {
  skip_space();
  if (literal("true", 4)) {
    *v = true;
    return true;
  }
  *v = false;
  return literal("false", 5) || wrong("expected true or false");
}

bool Reader::null() {
  skip_space();
  return literal("null", 4) || wrong("expected null");
}

bool Reader::skip_value() {
  std::string_view s;
  bool b;
  switch (peek()) {
    case Token::kObject:
      if (!enter_object()) return false;
      while (next_member(&s))
        if (!skip_value()) return false;
      return ok();
    case Token::kArray:
      if (!enter_array()) return false;
      while (next_element())
        if (!skip_value()) return false;
      return ok();
    case Token::kString: return string(&s);
    case Token::kNumber: return number(&s);
    case Token::kTrue: case Token::kFalse: return boolean(&b);
    case Token::kNull: return null();
    default: return wrong("expected a value");
  }
}

bool Reader::finish() {
  if (failed_) return false;
  skip_space();
  return p_ == end_ || wrong("something behind the end");
}

}  // namespace zcrpc::json
