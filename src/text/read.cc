#include "text/read.h"

#include <charconv>

#include "base/utf8.h"
#include "wire/scan.h"

namespace zcrpc::text {

namespace {

int hex(uint8_t c) {
  if (is_digit(c)) return c - '0';
  c |= 0x20;
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}
bool is_octal(uint8_t c) { return c >= '0' && c <= '7'; }
// The next byte that may matter in a literal.
const uint8_t* special(const uint8_t* p, const uint8_t* end, uint8_t quote) {
  if (quote == '"') return wire::find_special<false>(p, end);
  while (p < end && *p != quote && *p != '\\' && *p >= 0x20) p++;
  return p;
}
std::string_view between(const uint8_t* from, const uint8_t* to) { return {reinterpret_cast<const char*>(from), size_t(to - from)}; }

}  // namespace

void Reader::skip_more() {
  while (p_ < end_) {
    if (*p_ == '#') {
      while (p_ < end_ && *p_ != '\n') p_++;
    } else if (*p_ == ' ' || (*p_ >= '\t' && *p_ <= '\r')) {
      p_++;
    } else {
      return;
    }
  }
}

bool Reader::name(std::string_view* s) {
  if (!is_letter(peek())) return wrong("expected a name");
  const uint8_t* start = p_;
  while (p_ < end_ && (is_letter(*p_) || is_digit(*p_))) p_++;
  *s = between(start, p_);
  return true;
}

bool Reader::string(base::Slice* s) {
  uint8_t quote = peek();
  if (quote != '"' && quote != '\'') return wrong("expected a string");
  scratch_.clear();
  if (!literal(s, false)) return false;
  while ((quote = peek()) == '"' || quote == '\'') {
    if (scratch_.empty()) scratch_.append(s->text());
    if (!literal(s, true)) return false;
  }
  return scratch_.ok() || wrong("no memory", base::Code::kResourceExhausted);
}

// Nearly all literals have no escape and stay where they are. more: something stands in the scratch memory already.
bool Reader::literal(base::Slice* s, bool more) {
  const uint8_t quote = *p_, *open = p_++, *from = p_;
  bool copied = more;
  for (;;) {
    p_ = special(p_, end_, quote);
    if (p_ == end_) return wrong_at(open, "a string without its closing quote");
    uint8_t c = *p_;
    if (c == quote) break;
    if (c == '\n' || c == 0) return wrong("a line's end or a zero within a string");
    if (c != '\\') {
      p_++;
      continue;
    }
    scratch_.append(between(from, p_));
    copied = true;
    if (!escape(p_)) return false;
    from = p_;
  }
  if (copied) {
    scratch_.append(between(from, p_));
    *s = scratch_.slice();
  } else {
    *s = {from, size_t(p_ - from)};
  }
  p_++;
  return true;
}

// Appends what the escape at `at` stands for, and goes behind it.
bool Reader::escape(const uint8_t* at) {
  p_ = at + 2;
  char plain;
  switch (end_ - at < 2 ? 0 : at[1]) {
    case 'a': plain = '\a'; break;
    case 'b': plain = '\b'; break;
    case 'f': plain = '\f'; break;
    case 'n': plain = '\n'; break;
    case 'r': plain = '\r'; break;
    case 't': plain = '\t'; break;
    case 'v': plain = '\v'; break;
    case '?': case '\\': case '\'': case '"': plain = char(at[1]); break;
    case '0': case '1': case '2': case '3': case '4': case '5': case '6': case '7': return octal(at);
    case 'x': case 'X': {
      int v = p_ < end_ ? hex(*p_) : -1;
      if (v < 0) return wrong_at(at, "an escape without a hexadecimal digit");
      p_++;
      if (int low = p_ < end_ ? hex(*p_) : -1; low >= 0) {
        v = v * 16 + low;
        p_++;
      }
      plain = char(v);
      break;
    }
    case 'u': return code_point(at, 4);
    case 'U': return code_point(at, 8);
    default: return wrong_at(at, "a bad escape");
  }
  scratch_.append(plain);
  return true;
}

bool Reader::octal(const uint8_t* at) {
  p_ = at + 1;
  uint32_t v = 0;
  for (int i = 0; i < 3 && p_ < end_ && is_octal(*p_); i++) v = v * 8 + (*p_++ - uint32_t('0'));
  if (v > 0xFF) return wrong_at(at, "an octal escape beyond \\377");
  scratch_.append(char(v));
  return true;
}

bool Reader::code_point(const uint8_t* at, int digits) {
  uint32_t c = 0;
  for (int i = 0; i < digits; i++, p_++) {
    int h = p_ < end_ ? hex(*p_) : -1;
    if (h < 0) return wrong_at(at, digits == 4 ? "\\u takes four hexadecimal digits" : "\\U takes eight hexadecimal digits");
    c = c << 4 | uint32_t(h);
  }
  if (c > 0x10FFFF || (c >= 0xD800 && c <= 0xDFFF)) return wrong_at(at, "no such code point");
  char utf8[4];
  scratch_.append({utf8, base::utf8_put(c, utf8)});
  return true;
}

bool Reader::number(Number* n, std::string_view* word) {
  *word = {};
  n->negative = take('-');
  if (is_letter(peek())) return name(word);
  return unsigned_number(n);
}

bool Reader::unsigned_number(Number* n) {
  const uint8_t* start = p_;
  auto digits = [this] {
    const uint8_t* from = p_;
    while (p_ < end_ && is_digit(*p_)) p_++;
    return p_ > from;
  };
  n->form = Number::kDecimal;
  if (p_ < end_ && *p_ == '0' && end_ - p_ > 1 && (p_[1] | 0x20) == 'x') {
    n->form = Number::kHex;
    start = p_ += 2;
    while (p_ < end_ && hex(*p_) >= 0) p_++;
    if (p_ == start) return wrong_at(start - 2, "0x without a hexadecimal digit");
    n->digits = between(start, p_);
  } else if (p_ < end_ && *p_ == '0' && end_ - p_ > 1 && is_digit(p_[1])) {
    n->form = Number::kOctal;
    while (p_ < end_ && is_octal(*p_)) p_++;
    n->digits = between(start, p_);
  } else {
    bool whole = digits(), point = p_ < end_ && *p_ == '.';
    if (point) {
      n->form = Number::kFloat;
      p_++;
      if (!digits() && !whole) return wrong_at(start, "expected a number");
    } else if (!whole) {
      return wrong("expected a value");
    }
    if (p_ < end_ && (*p_ | 0x20) == 'e') {
      n->form = Number::kFloat;
      p_++;
      if (p_ < end_ && (*p_ == '+' || *p_ == '-')) p_++;
      if (!digits()) return wrong("a number without digits in its exponent");
    }
    n->digits = between(start, p_);
    if (p_ < end_ && (*p_ | 0x20) == 'f') {
      n->form = Number::kFloat;
      p_++;
    }
  }
  if (p_ < end_ && (is_letter(*p_) || is_digit(*p_) || *p_ == '.')) return wrong("something right behind a number");
  return true;
}

bool magnitude(const Number& n, uint64_t* v) {
  int radix = n.form == Number::kHex ? 16 : n.form == Number::kOctal ? 8 : 10;
  auto r = std::from_chars(n.digits.data(), n.digits.data() + n.digits.size(), *v, radix);
  return r.ec == std::errc();
}

}  // namespace zcrpc::text
