#include "base/header.h"
#include "http/http1.h"

#include <algorithm>
#include <cstring>

namespace zcrpc::http {

using base::Header;
using base::Slice;

namespace {

// RFC 9110's tchar.
constexpr bool is_token(uint8_t c) {
  if ((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')) return true;
  switch (c) {
    case '!': case '#': case '$': case '%': case '&': case '\'': case '*': case '+': case '-': case '.': case '^': case '_':
    case '`': case '|': case '~': return true;
    default: return false;
  }
}

constexpr uint8_t kToken = 1, kValue = 2, kTarget = 4, kHost = 8;

struct Classes {
  uint8_t of[256];
  constexpr Classes() : of() {
    for (int i = 0; i < 256; i++) {
      auto c = uint8_t(i);
      bool alnum = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
      uint8_t k = 0;
      if (is_token(c)) k |= kToken;
      if (c == ' ' || c == '\t' || (c > 0x20 && c != 0x7F)) k |= kValue;
      if (c > 0x20 && c < 0x7F && c != '#') k |= kTarget;
      if (alnum || c == '.' || c == '-' || c == ':' || c == '[' || c == ']' || c == '_' || c == '~' || c == '%') k |= kHost;
      of[i] = k;
    }
  }
};
constexpr Classes kClasses;

bool all(const char* p, const char* end, uint8_t kind) {
  uint8_t acc = kind;
  for (; p < end; p++) acc &= kClasses.of[uint8_t(*p)];
  return acc & kind;
}

// all(p, end, kValue), eight at a time where they are printable ASCII: most of a head is values.
bool all_of_value(const char* p, const char* end) {
  constexpr uint64_t kOnes = 0x0101010101010101u, kHigh = 0x8080808080808080u;
  for (; end - p >= 8; p += 8) {
    uint64_t w;
    memcpy(&w, p, sizeof w);
    uint64_t del = w ^ 0x7F * kOnes;
    // A byte below 0x20, or 0x7F, or above, borrows or has its high bit.
    if (((w - 0x20 * kOnes) | (del - kOnes) | w) & kHigh && !all(p, p + 8, kValue)) return false;
  }
  return all(p, end, kValue);
}

// The letters of a field's name in lower case; 0 for what is none of them.
struct Lower {
  char of[256];
  constexpr Lower() : of() {
    for (int i = 0; i < 256; i++) of[i] = is_token(uint8_t(i)) ? base::ascii_lower(char(i)) : '\0';
  }
};
constexpr Lower kLower;

constexpr bool is_space(char c) { return c == ' ' || c == '\t'; }

std::string_view trim(std::string_view s) {
  while (!s.empty() && is_space(s.front())) s.remove_prefix(1);
  while (!s.empty() && is_space(s.back())) s.remove_suffix(1);
  return s;
}

constexpr int hex(uint8_t c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

std::string_view text(const char* p, const char* end) { return {p, size_t(end - p)}; }

}  // namespace

// What the headers say about the body, before it is judged as a whole.
struct Http1Parser::Framing {
  bool host = false, length = false, encoding = false, close = false, keep = false;
};

bool Http1Parser::fail(int status, const char* reason) {
  state_ = State::kError;
  status_ = status;
  reason_ = reason;
  held_.drop();
  return false;
}

void Http1Parser::next_request() {
  if (state_ == State::kError) return;
  state_ = State::kStart;
  head_ = {};
  body_ = {};
  left_ = 0;
  seen_ = line_ = lines_ = extensions_ = trailer_ = 0;
  skipped_ = false;
}

Http1Parser::Event Http1Parser::next(Slice* in, base::Arena* arena) {
  switch (state_) {
    case State::kStart: return find_head(in, arena);
    case State::kBody: return counted(in);
    case State::kEnd: return Event::kEnd;
    case State::kError: return Event::kError;
    default: return chunked(in);
  }
}

// ---- the head

// Looks for the empty line from seen_ on. *end: behind it, or 0. Every LF must follow a CR: another parser might take a
// bare one as the end of a line.
bool Http1Parser::scan(const char* p, size_t n, size_t* end) {
  *end = 0;
  while (const void* found = seen_ < n ? memchr(p + seen_, '\n', n - seen_) : nullptr) {
    auto at = size_t(static_cast<const char*>(found) - p);
    if (at == 0 || p[at - 1] != '\r') return fail(400, "a line that ends without CR");
    seen_ = at + 1;
    lines_++;
    if (at - 1 == line_) {
      *end = seen_;
      return true;
    }
    line_ = seen_;
  }
  seen_ = n;
  return true;
}

Http1Parser::Event Http1Parser::find_head(Slice* in, base::Arena* arena) {
  while (!in->empty()) {
    // In place as long as it lies in one piece; what came in parts is put together first.
    size_t before = held_.size();
    size_t take = std::min(in->size, limits_->head + 1 - before);
    const char* p = reinterpret_cast<const char*>(in->data);
    if (before) {
      if (!held_.append(p, take)) return fail(500, "no memory"), Event::kError;
      p = held_.data();
    }
    size_t n = before + take, end;
    if (!scan(p, n, &end)) return Event::kError;
    if (end == 2 && !skipped_) {
      // Some clients send an empty line behind a body.
      *in = in->from(2 - before);
      held_.clear();
      seen_ = line_ = lines_ = 0;
      skipped_ = true;
      continue;
    }
    if (end == 2) return fail(400, "empty request line"), Event::kError;
    if (end > limits_->head || (end == 0 && n > limits_->head)) {
      bool long_line = !memchr(p, '\n', n);
      return fail(long_line ? 414 : 431, long_line ? "request line is too long" : "headers are too long"), Event::kError;
    }
    if (end == 0) {
      if (!before && !held_.append(p, n)) return fail(500, "no memory"), Event::kError;
      *in = in->from(take);
      return Event::kMore;
    }
    char* copy = arena->array<char>(end);
    if (!copy) return fail(500, "no memory"), Event::kError;
    memcpy(copy, p, end);
    *in = in->from(end - before);
    held_.drop();
    return parse_head(copy, copy + end, arena) ? Event::kHead : Event::kError;
  }
  return Event::kMore;
}

// [p, end) is lines_ lines, the last of them empty, and each of its LFs follows a CR.
bool Http1Parser::parse_head(char* p, char* end, base::Arena* arena) {
  size_t lines = lines_ - 2;
  if (lines > limits_->headers) return fail(431, "too many headers");
  auto* list = arena->array<Header>(lines ? lines : 1);
  if (!list) return fail(500, "no memory");
  head_ = {};
  char* eol = static_cast<char*>(memchr(p, '\n', size_t(end - p)));
  if (!request_line(p, eol - 1)) return false;
  Framing f;
  for (size_t i = 0; i < lines; i++) {
    p = eol + 1;
    eol = static_cast<char*>(memchr(p, '\n', size_t(end - p)));
    if (!field(p, eol - 1, &list[i]) || !framing_field(list[i], &f)) return false;
  }
  head_.headers = {list, lines};
  return framing(f);
}

bool Http1Parser::request_line(char* p, char* end) {
  auto* sp = static_cast<char*>(memchr(p, ' ', size_t(end - p)));
  if (!sp || sp == p || !all(p, sp, kToken)) return fail(400, "request line without a method");
  auto* last = static_cast<char*>(memchr(sp + 1, ' ', size_t(end - sp - 1)));
  if (!last) return fail(400, "request line without a version");
  std::string_view version = text(last + 1, end);
  if (version == "HTTP/1.0") {
    head_.http10 = true;
  } else if (version != "HTTP/1.1") {
    bool http = version.size() == 8 && version.starts_with("HTTP/") && hex(uint8_t(version[5])) >= 0 && version[6] == '.';
    return http ? fail(505, "HTTP version is not served") : fail(400, "broken HTTP version");
  }
  head_.method = text(p, sp);
  return target(sp + 1, last);
}

bool Http1Parser::target(char* p, char* end) {
  if (p == end || !all(p, end, kTarget)) return fail(400, "broken request target");
  std::string_view t = text(p, end);
  if (head_.method == "CONNECT") return fail(501, "CONNECT is not served");
  if (t[0] == '/' || (t == "*" && head_.method == "OPTIONS")) {
    head_.target = t;
    return true;
  }
  // The absolute form, as sent to proxies; its host counts, not the Host header.
  size_t scheme = t.size() > 7 && base::is_ignoring_case(t.substr(0, 7), "http://") ? 7 : t.size() > 8 && base::is_ignoring_case(t.substr(0, 8), "https://") ? 8 : 0;
  if (!scheme) return fail(400, "broken request target");
  char* host = p + scheme;
  char* path = std::find_if(host, end, [](char c) { return c == '/' || c == '?'; });
  if (host == path || !all(host, path, kHost)) return fail(400, "broken host in the request target");
  head_.authority = text(host, path);
  if (path == end) {
    head_.target = "/";
  } else if (*path == '/') {
    head_.target = text(path, end);
  } else {
    // "http://host?query": the slash that is missing takes the place that the scheme no longer needs.
    memmove(host - 1, host, size_t(path - host));
    head_.authority = text(host - 1, path - 1);
    path[-1] = '/';
    head_.target = text(path - 1, end);
  }
  return true;
}

bool Http1Parser::field(char* p, char* end, Header* h) {
  if (p < end && is_space(*p)) return fail(400, "a header that goes on in the next line");
  char* colon = p;
  while (char c = kLower.of[uint8_t(*colon)]) *colon++ = c;  // not beyond end, where a CR is
  if (*colon != ':') return fail(400, memchr(colon, ':', size_t(end - colon)) ? "broken header name" : "a header without a colon");
  if (colon == p) return fail(400, "broken header name");
  if (!all_of_value(colon + 1, end)) return fail(400, "a control character in a header");
  *h = {text(p, colon), trim(text(colon + 1, end)), false};
  return true;
}

bool Http1Parser::framing_field(const Header& h, Framing* f) {
  switch (h.name.size()) {
    case 4:
      if (h.name != "host") return true;
      if (f->host) return fail(400, "host is given twice");
      f->host = true;
      if (h.value.empty() || !all(h.value.data(), h.value.data() + h.value.size(), kHost)) return fail(400, "broken host");
      if (head_.authority.empty()) head_.authority = h.value;
      return true;
    case 6:
      if (h.name != "expect" || head_.http10) return true;
      if (!base::is_ignoring_case(h.value, "100-continue")) return fail(417, "unknown expectation");
      head_.expect_continue = true;
      return true;
    case 10:
      if (h.name != "connection") return true;
      for (std::string_view rest = h.value; !rest.empty();) {
        size_t comma = std::min(rest.find(','), rest.size());
        std::string_view option = trim(rest.substr(0, comma));
        if (base::is_ignoring_case(option, "close")) f->close = true;
        if (base::is_ignoring_case(option, "keep-alive")) f->keep = true;
        rest.remove_prefix(std::min(comma + 1, rest.size()));
      }
      return true;
    case 14: {
      if (h.name != "content-length") return true;
      if (f->length) return fail(400, "content-length is given twice");
      f->length = true;
      // Nineteen digits would no longer fit.
      if (h.value.empty() || h.value.size() > 18) return fail(400, "content-length is not a number");
      int64_t n = 0;
      for (char c : h.value) {
        if (c < '0' || c > '9') return fail(400, "content-length is not a number");
        n = n * 10 + (c - '0');
      }
      head_.content_length = n;
      return true;
    }
    case 17:
      if (h.name != "transfer-encoding") return true;
      if (f->encoding) return fail(400, "transfer-encoding is given twice");
      f->encoding = true;
      if (!base::is_ignoring_case(h.value, "chunked")) return fail(400, "transfer-encoding other than chunked");
      return true;
    default: return true;
  }
}

bool Http1Parser::framing(const Framing& f) {
  if (f.encoding && f.length) return fail(400, "both transfer-encoding and content-length");
  if (f.encoding && head_.http10) return fail(400, "transfer-encoding in HTTP/1.0");
  if (!f.host && !head_.http10) return fail(400, "no host");
  head_.chunked = f.encoding;
  head_.keep_alive = !f.close && (!head_.http10 || f.keep);
  left_ = head_.content_length > 0 ? uint64_t(head_.content_length) : 0;
  digits_ = 0;
  state_ = f.encoding ? State::kSize : left_ ? State::kBody : State::kEnd;
  return true;
}

// ---- bodies

Http1Parser::Event Http1Parser::counted(Slice* in) {
  if (in->empty()) return Event::kMore;
  body_ = in->part(0, size_t(std::min<uint64_t>(in->size, left_)));
  *in = in->from(body_.size);
  left_ -= body_.size;
  if (left_ == 0) state_ = State::kEnd;
  return Event::kBody;
}

Http1Parser::Event Http1Parser::chunked(Slice* in) {
  while (!in->empty()) {
    if (state_ == State::kData) {
      body_ = in->part(0, size_t(std::min<uint64_t>(in->size, left_)));
      *in = in->from(body_.size);
      left_ -= body_.size;
      if (left_ == 0) state_ = State::kDataCr;
      return Event::kBody;
    }
    uint8_t c = *in->data;
    *in = in->from(1);
    if (!(state_ == State::kTrailer ? trailer_byte(c) : chunk_byte(c))) return Event::kError;
    if (state_ == State::kEnd) return Event::kEnd;
  }
  return Event::kMore;
}

bool Http1Parser::chunk_byte(uint8_t c) {
  switch (state_) {
    case State::kSize: {
      if (int d = hex(c); d >= 0) {
        // Fifteen digits are more than anybody sends, and cannot overflow.
        if (++digits_ > 15) return fail(400, "chunk size is too long");
        left_ = (digits_ == 1 ? 0 : left_ << 4) | unsigned(d);
        return true;
      }
      if (digits_ == 0) return fail(400, "broken chunk size");
      extension_ = 0;
      in_extension_ = Extension::kBegin;
      if (c == '\r') state_ = State::kSizeLf;
      else if (c == ';') state_ = State::kExtension;
      else return fail(400, "broken chunk size");
      return true;
    }
    case State::kExtension:
      if (c != '\r' && (++extension_ > limits_->chunk_extension || ++extensions_ > limits_->extensions)) {
        return fail(400, "chunk extensions are too long");
      }
      return extension_byte(c) || fail(400, "broken chunk extension");
    case State::kSizeLf:
      if (c != '\n') return fail(400, "bare CR behind a chunk size");
      digits_ = 0;
      state_ = left_ ? State::kData : State::kTrailer;
      return true;
    case State::kDataCr:
      if (c != '\r') return fail(400, "a chunk longer than its size");
      state_ = State::kDataLf;
      return true;
    default:  // kDataLf
      if (c != '\n') return fail(400, "a chunk longer than its size");
      state_ = State::kSize;
      return true;
  }
}

// name, name=token or name="quoted", separated by semicolons; without the blanks that the RFC calls bad.
bool Http1Parser::extension_byte(uint8_t c) {
  using E = Extension;
  bool token = kClasses.of[c] & kToken;
  bool ends = c == '\r' || c == ';';
  switch (in_extension_) {
    case E::kQuoted:
      if (c == '"') in_extension_ = E::kQuoteEnd;
      if (c == '\\') in_extension_ = E::kEscape;
      return kClasses.of[c] & kValue;
    case E::kEscape:
      in_extension_ = E::kQuoted;
      return kClasses.of[c] & kValue;
    case E::kBegin:
      in_extension_ = E::kName;
      return token;
    case E::kEquals:
      in_extension_ = c == '"' ? E::kQuoted : E::kValue;
      return token || c == '"';
    case E::kName:
      if (c == '=') {
        in_extension_ = E::kEquals;
        return true;
      }
      break;
    case E::kValue: break;
    case E::kQuoteEnd: token = false; break;
  }
  if (!ends) return token;
  in_extension_ = E::kBegin;
  if (c == '\r') state_ = State::kSizeLf;
  return true;
}

// Trailers are checked as headers are, and dropped.
bool Http1Parser::trailer_byte(uint8_t c) {
  if (++trailer_ > limits_->trailer) return fail(431, "trailers are too long");
  if (!held_.push(char(c))) return fail(500, "no memory");
  if (c != '\n') return true;
  if (held_.size() < 2 || held_[held_.size() - 2] != '\r') return fail(400, "a line that ends without CR");
  if (held_.size() == 2) {
    held_.drop();
    state_ = State::kEnd;
    return true;
  }
  Header h;
  if (!field(held_.data(), held_.end() - 2, &h)) return false;
  // Another parser might take them for the next request's.
  if (h.name == "content-length" || h.name == "transfer-encoding" || h.name == "host") return fail(400, "framing in a trailer");
  held_.clear();
  return true;
}

}  // namespace zcrpc::http
