#include "json/write.h"

#include <cmath>
#include <cstring>

#include "base/decimal.h"
#include "base/utf8.h"
#include "wire/scan.h"

namespace zcrpc::json {

namespace {

constexpr char kStandardDigits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
constexpr char kUrlDigits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

// Of a character of either alphabet; 0xFF of any other.
struct Values {
  uint8_t of[256];
};
constexpr Values make_values() {
  Values v{};
  for (auto& x : v.of) x = 0xFF;
  for (uint8_t i = 0; i < 64; i++) v.of[uint8_t(kStandardDigits[i])] = v.of[uint8_t(kUrlDigits[i])] = i;
  return v;
}
constexpr Values kValues = make_values();

template <class T>
void append_floating(base::String* out, T v) {
  char text[kMaxNumber];
  out->append({text, write_number(v, text)});
}

template <class T>
size_t write_floating(T v, char* to) {
  if (!std::isfinite(v)) {
    std::string_view s = std::isnan(v) ? "\"NaN\"" : v > 0 ? "\"Infinity\"" : "\"-Infinity\"";
    memcpy(to, s.data(), s.size());
    return s.size();
  }
  return base::write_decimal(v, to);
}

}  // namespace

size_t write_number(double v, char* to) { return write_floating(v, to); }
size_t write_number(float v, char* to) { return write_floating(v, to); }
void append_double(base::String* out, double v) { append_floating(out, v); }
void append_float(base::String* out, float v) { append_floating(out, v); }

size_t plain_prefix(const uint8_t* s, size_t n) { return size_t(wire::find_special<false>(s, s + n) - s); }

size_t write_escape(uint8_t c, char* to) {
  to[0] = '\\';
  switch (c) {
    case '"': to[1] = '"'; return 2;
    case '\\': to[1] = '\\'; return 2;
    case '\b': to[1] = 'b'; return 2;
    case '\f': to[1] = 'f'; return 2;
    case '\n': to[1] = 'n'; return 2;
    case '\r': to[1] = 'r'; return 2;
    case '\t': to[1] = 't'; return 2;
    default: break;
  }
  memcpy(to + 1, "u00", 3);
  to[4] = "0123456789abcdef"[c >> 4];
  to[5] = "0123456789abcdef"[c & 15];
  return 6;
}

void append_quoted(base::String* out, std::string_view s) {
  auto p = reinterpret_cast<const uint8_t*>(s.data());
  size_t n = s.size();
  out->append('"');
  while (n) {
    size_t plain = plain_prefix(p, n);
    size_t good = base::utf8_valid_prefix(p, plain);
    out->append({reinterpret_cast<const char*>(p), good});
    p += good;
    n -= good;
    if (good < plain) {
      out->append("\xEF\xBF\xBD");
    } else if (n) {
      char e[kMaxEscape];
      out->append({e, write_escape(*p, e)});
    } else {
      break;
    }
    p++;
    n--;
  }
  out->append('"');
}

void base64_write(base::Slice s, Alphabet alphabet, bool padded, char* out) {
  const char* d = alphabet == Alphabet::kUrl ? kUrlDigits : kStandardDigits;
  const uint8_t* p = s.data;
  size_t left = s.size;
  for (; left >= 3; left -= 3, p += 3) {
    uint32_t v = uint32_t(p[0]) << 16 | uint32_t(p[1]) << 8 | p[2];
    *out++ = d[v >> 18];
    *out++ = d[v >> 12 & 63];
    *out++ = d[v >> 6 & 63];
    *out++ = d[v & 63];
  }
  if (left == 0) return;
  uint32_t v = uint32_t(p[0]) << 16 | (left == 2 ? uint32_t(p[1]) << 8 : 0);
  *out++ = d[v >> 18];
  *out++ = d[v >> 12 & 63];
  if (left == 2) *out++ = d[v >> 6 & 63];
  if (padded) {
    *out++ = '=';
    if (left == 1) *out++ = '=';
  }
}

void append_base64(base::String* out, base::Slice s, Alphabet alphabet, bool padded) {
  constexpr size_t kRun = 192;
  char text[base64_size(kRun, true)];
  do {
    base::Slice run = s.part(0, s.size < kRun ? s.size : kRun);
    s = s.from(run.size);
    base64_write(run, alphabet, padded, text);
    out->append({text, base64_size(run.size, padded)});
  } while (s.size);
}

bool base64_read(std::string_view text, uint8_t* out, size_t* size) {
  auto p = reinterpret_cast<const uint8_t*>(text.data());
  size_t n = text.size();
  if (n && n % 4 == 0 && p[n - 1] == '=') n -= p[n - 2] == '=' ? 2 : 1;
  if (n % 4 == 1) return false;
  const uint8_t* start = out;
  const uint8_t* end = p + n;
  for (; end - p >= 4; p += 4) {
    uint32_t a = kValues.of[p[0]], b = kValues.of[p[1]], c = kValues.of[p[2]], e = kValues.of[p[3]];
    if ((a | b | c | e) > 63) return false;
    uint32_t v = a << 18 | b << 12 | c << 6 | e;
    *out++ = uint8_t(v >> 16);
    *out++ = uint8_t(v >> 8);
    *out++ = uint8_t(v);
  }
  if (p < end) {
    // Two characters hold one byte, three hold two. Their last bits are not checked: encoders differ there.
    uint32_t a = kValues.of[p[0]], b = kValues.of[p[1]], c = end - p == 3 ? kValues.of[p[2]] : 0;
    if ((a | b | c) > 63) return false;
    *out++ = uint8_t(a << 2 | b >> 4);
    if (end - p == 3) *out++ = uint8_t(b << 4 | c >> 2);
  }
  *size = size_t(out - start);
  return true;
}

}  // namespace zcrpc::json
