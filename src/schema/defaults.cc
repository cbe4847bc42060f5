// Default values, which descriptors carry as text.
#include <bit>
#include <charconv>
#include <cstring>
#include <limits>

#include "base/decimal.h"
#include "base/utf8.h"
#include "schema/builder.h"

namespace zcrpc::schema {

using base::Status;

namespace {

template <class T>
bool integer(std::string_view s, uint64_t* bits) {
  T v;
  auto r = std::from_chars(s.data(), s.data() + s.size(), v);
  if (r.ec != std::errc() || r.ptr != s.data() + s.size()) return false;
  if constexpr (sizeof(T) == 4)
    *bits = uint32_t(v);
  else
    *bits = uint64_t(v);
  return true;
}

template <class T>
bool floating(std::string_view s, T* v) {
  constexpr T kInfinity = std::numeric_limits<T>::infinity();
  if (s == "inf" || s == "-inf") {
    *v = s[0] == '-' ? -kInfinity : kInfinity;
    return true;
  }
  if (s == "nan" || s == "-nan") {
    *v = std::numeric_limits<T>::quiet_NaN();
    return true;
  }
  return base::read_decimal(s, v);
}

int hex(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// C escapes as protoc writes them for bytes. Returns the bytes written to out (at most s.size()), or SIZE_MAX.
size_t unescape(std::string_view s, uint8_t* out) {
  uint8_t* p = out;
  for (size_t i = 0; i < s.size();) {
    char c = s[i++];
    if (c != '\\') {
      *p++ = uint8_t(c);
      continue;
    }
    if (i == s.size()) return SIZE_MAX;
    c = s[i++];
    if (c >= '0' && c <= '7') {
      uint32_t v = uint32_t(c - '0');
      for (int k = 1; k < 3 && i < s.size() && s[i] >= '0' && s[i] <= '7'; k++) v = v * 8 + uint32_t(s[i++] - '0');
      if (v > 0xFF) return SIZE_MAX;
      *p++ = uint8_t(v);
      continue;
    }
    if (c == 'x' || c == 'X') {
      if (i == s.size() || hex(s[i]) < 0) return SIZE_MAX;
      auto v = uint32_t(hex(s[i++]));
      if (i < s.size() && hex(s[i]) >= 0) v = v * 16 + uint32_t(hex(s[i++]));
      *p++ = uint8_t(v);
      continue;
    }
    static constexpr char kFrom[] = "abfnrtv\\?'\"", kTo[] = "\a\b\f\n\r\t\v\\?'\"";
    const char* at = strchr(kFrom, c);
    if (!at || !*at) return SIZE_MAX;
    *p++ = uint8_t(kTo[at - kFrom]);
  }
  return size_t(p - out);
}

}  // namespace

Status Builder::set_default(const FileDecl& f, const FieldDecl& d) {
  Field* x = d.field;
  x->default_bytes = base::Slice(std::string_view(""));
  if (x->kind == Kind::kEnum) x->default_bits = uint32_t(x->enumeration->values[0].number);
  if (!d.has_default) return {};
  std::string_view s = d.default_value;
  bool good = false;
  switch (x->kind) {
    case Kind::kInt32: case Kind::kSint32: case Kind::kSfixed32: good = integer<int32_t>(s, &x->default_bits); break;
    case Kind::kInt64: case Kind::kSint64: case Kind::kSfixed64: good = integer<int64_t>(s, &x->default_bits); break;
    case Kind::kUint32: case Kind::kFixed32: good = integer<uint32_t>(s, &x->default_bits); break;
    case Kind::kUint64: case Kind::kFixed64: good = integer<uint64_t>(s, &x->default_bits); break;
    case Kind::kBool:
      good = s == "true" || s == "false";
      x->default_bits = s == "true";
      break;
    case Kind::kFloat: {
      float v = 0;
      good = floating(s, &v);
      x->default_bits = std::bit_cast<uint32_t>(v);
      break;
    }
    case Kind::kDouble: {
      double v = 0;
      good = floating(s, &v);
      x->default_bits = std::bit_cast<uint64_t>(v);
      break;
    }
    case Kind::kEnum:
      if (const EnumValue* v = x->enumeration->by_name(s)) {
        good = true;
        x->default_bits = uint32_t(v->number);
      }
      break;
    case Kind::kString: {
      good = base::utf8_valid(reinterpret_cast<const uint8_t*>(s.data()), s.size());
      std::string_view kept = schema_->arena.text(s);
      if (!kept.data()) return Status::no_memory();
      x->default_bytes = base::Slice(kept);
      break;
    }
    case Kind::kBytes: {
      auto* p = static_cast<uint8_t*>(schema_->arena.alloc(s.size() + 1));
      if (!p) return Status::no_memory();
      size_t n = unescape(s, p);
      good = n != SIZE_MAX;
      if (good) {
        p[n] = 0;
        x->default_bytes = {p, n};
      }
      break;
    }
    case Kind::kMessage: case Kind::kGroup: break;  // check_field has refused it
  }
  if (!good) return wrong(f, x->full_name, "default value \"%.*s\" does not fit the type", ZCRPC_NAME(s));
  return {};
}

}  // namespace zcrpc::schema
