// The printer's short way, which nearly all messages take: one line, JSON names, fields that lie in the message as its
// layout says. The cursor stays in a register, names come ready with quotes and colon, strings are looked through while
// they are copied, and each value brings the comma behind it, the last of which the closing bracket overwrites.
#include <bit>
#include <cstring>

#include "base/digits.h"
#include "json/printer.h"

namespace zcrpc::json {

using schema::Kind;
using schema::Shape;

namespace {

constexpr size_t kMargin = 64;  // what may be written, in whole blocks, behind the characters that count

void copy16(char* to, const void* from) { memcpy(to, from, 16); }

// In blocks of 16, as which the schema keeps it.
char* put_key(char* p, std::string_view key) {
  size_t i = 0;
  do copy16(p + i, key.data() + i);
  while ((i += 16) < key.size());
  return p + key.size();
}

char* put_number(char* p, const schema::Field& f, uint64_t bits) {
  switch (f.kind) {
    case Kind::kInt64: case Kind::kSint64: case Kind::kSfixed64: case Kind::kUint64: case Kind::kFixed64:
      *p++ = '"';
      p = f.kind == Kind::kUint64 || f.kind == Kind::kFixed64 ? base::put_decimal(p, bits) : base::put_decimal(p, int64_t(bits));
      *p++ = '"';
      break;
    case Kind::kUint32: case Kind::kFixed32:
      p = base::put_decimal(p, bits);
      break;
    case Kind::kBool:
      memcpy(p, bits ? "true " : "false", 5);
      p += bits ? 4 : 5;
      break;
    default:
      p = base::put_decimal(p, int64_t(bits));
      break;
  }
  *p++ = ',';
  return p;
}

}  // namespace

// "s" and the character `last` behind it; nullptr: no memory. Room for s and kMargin is there.
inline char* Printer::quoted(char* p, base::Slice s, char last) {
  *p = '"';
#ifdef __SSE2__
  if (s.size <= 32 && s.data <= safe_) [[likely]] {
    // Whole blocks of the input; what is beyond the string does not count.
    const __m128i a = wire::load16(s.data);
    _mm_storeu_si128(reinterpret_cast<__m128i*>(p + 1), a);
    uint64_t hits = wire::special16<false>(a);
    if (s.size > 16) {
      const __m128i b = wire::load16(s.data + 16);
      _mm_storeu_si128(reinterpret_cast<__m128i*>(p + 17), b);
      hits |= uint64_t(wire::special16<false>(b)) << 16;
    }
    hits &= (uint64_t(1) << s.size) - 1;
    if (!hits) [[likely]] {
      p[s.size + 1] = '"';
      p[s.size + 2] = last;
      return p + s.size + 3;
    }
    out_.cursor(p);
    return quoted_slowly(s, size_t(std::countr_zero(hits)), last);
  }
#endif
  const size_t n = wire::copy_plain(s.data, s.size, p + 1);
  if (n != s.size) [[unlikely]] {
    out_.cursor(p);
    return quoted_slowly(s, n, last);
  }
  p[n + 1] = '"';
  p[n + 2] = last;
  return p + n + 3;
}

char* Printer::quoted_slowly(base::Slice s, size_t done, char last) {
  out_.escaped(s, done);
  out_.put(last);
  return out_.ok() ? out_.cursor() : nullptr;
}

// A map from strings to strings, both UTF-8.
char* Printer::string_map(char* p, const schema::Field& f, const uint8_t* slot) {
  const auto run = schema::load<zcrpc_run>(slot);
  const uint8_t* at = index_ + run.offset;
  const uint8_t* const end = at + size_t(run.count) * f.stride;
  const uint32_t key_at = f.map_key()->offset, value_at = f.map_value()->offset;
  *p++ = '{';
  for (; at != end; at += f.stride) {
    const base::Slice key = string(at + key_at), value = string(at + value_at);
    if (!(p = out_.room_at(p, key.size + value.size + 2 * kMargin))) return nullptr;
    if (!(p = quoted(p, key, ':'))) return nullptr;
    if (!(p = out_.room_at(p, value.size + kMargin)) || !(p = quoted(p, value, ','))) return nullptr;
  }
  p[-1] = '}';
  *p++ = ',';
  return p;
}

// An enum's value, by its name if it has one.
char* Printer::enumerator(char* p, const schema::Field& f, const uint8_t* slot) {
  const schema::Enum* e = f.enumeration;
  const schema::EnumValue* v = o_.enum_numbers || e->well_known != schema::WellKnown::kNone ? nullptr : e->by_number(schema::load<int32_t>(slot));
  if (!v) return other(p, f, slot);
  const size_t n = v->name.size();
  if (!(p = out_.room_at(p, n + kMargin))) return nullptr;
  *p = '"';
  memcpy(p + 1, v->name.data(), n);
  p[n + 1] = '"';
  p[n + 2] = ',';
  return p + n + 3;
}

// A sub-message, and a comma; the cursor is the pen's meanwhile.
char* Printer::inner(char* p, const schema::Field& f, View v) {
  out_.cursor(p);
  if (!message(v, f.message) || !(p = out_.room_at(out_.cursor(), kMargin))) return nullptr;
  *p++ = ',';
  return p;
}

// A field of any kind by the long way.
char* Printer::other(char* p, const schema::Field& f, const uint8_t* slot) {
  out_.cursor(p);
  if (!field(&f, slot)) return nullptr;
  out_.put(',');
  return out_.room_at(out_.cursor(), kMargin);
}

bool Printer::compact(View v, const Message* type) {
  schema::Step *up = at_, step{up};
  char* p = out_.room_at(out_.cursor(), kMargin);
  if (!p) return false;
  *p++ = '{';
  const uint8_t* const m = schema::bytes_of(v);
  for (const Field& f : type->fields) {
    const uint8_t* const slot = m + f.offset;
    bool set = f.presence;
    if (f.case_offset) {
      if (schema::load<uint32_t>(m + f.case_offset) != f.number) continue;
      set = true;
    } else if (f.bit != ZCRPC_NO_BIT && !schema::bit_of(v, f.bit)) {
      continue;
    }
    // The comparisons below are those of present().
    if (f.shape == Shape::kSingular) {
      if (f.kind == Kind::kString) {
        const auto r = schema::load<zcrpc_str>(slot);
        if (!r.len && !set) continue;
        if (!(p = key(p, f, r.len))) return false;
        p = f.utf8 ? quoted(p, {input_ + r.offset, r.len}, ',') : other(p, f, slot);
      } else if (schema::is_message(f.kind)) {
        const auto at = schema::load<uint32_t>(slot);
        if (!at && !f.case_offset) continue;
        if (!(p = key(p, f, 0))) return false;
        if (!at || (at & ZCRPC_ELSEWHERE)) {
          p = other(p, f, slot);
        } else {
          step.field = &f;
          at_ = &step;
          p = inner(p, f, reinterpret_cast<View>(index_ + at));
          at_ = up;
        }
      } else if (f.kind == Kind::kBytes) {
        if (!schema::load<zcrpc_str>(slot).len && !set) continue;
        if (!(p = key(p, f, 0))) return false;
        p = other(p, f, slot);
      } else {
        const uint64_t bits = schema::bits_at(f.kind, slot);
        if (!bits && !set) continue;
        if (!(p = key(p, f, 0))) return false;
        if (f.kind == Kind::kEnum)
          p = enumerator(p, f, slot);
        else
          p = f.kind == Kind::kDouble || f.kind == Kind::kFloat ? other(p, f, slot) : put_number(p, f, bits);
      }
      if (!p) return false;
      continue;
    }
    const auto run = schema::load<zcrpc_run>(slot);
    if (!run.count) continue;
    if (!(p = key(p, f, 0))) return false;
    if (f.is_map() && f.map_key()->kind == Kind::kString && f.map_value()->kind == Kind::kString && f.map_key()->utf8 && f.map_value()->utf8) {
      p = string_map(p, f, slot);
    } else if (!f.is_map() && schema::is_message(f.kind) && !(run.offset & ZCRPC_ELSEWHERE)) {
      step.field = &f;
      at_ = &step;
      *p++ = '[';
      const uint8_t* at = index_ + run.offset;
      for (step.index = 0; p && step.index < run.count; step.index++, at += f.stride)
        p = inner(p, f, reinterpret_cast<View>(f.message->sparse ? index_ + schema::load<uint32_t>(at) : at));
      if (!p) return false;
      step.index = schema::kNoIndex;
      at_ = up;
      p[-1] = ']';
      *p++ = ',';
    } else {
      p = other(p, f, slot);
    }
    if (!p) return false;
  }
  if (p[-1] == ',') p--;
  *p++ = '}';
  out_.cursor(p);
  return true;
}

// The field's name, and room for n bytes and kMargin behind it.
inline char* Printer::key(char* p, const schema::Field& f, size_t n) {
  if (!(p = out_.room_at(p, f.json_key.size() + n + 2 * kMargin))) [[unlikely]] return nullptr;
  if (!f.json_key.empty()) [[likely]] return put_key(p, f.json_key);
  out_.cursor(p);
  out_.name(f.json_name);
  return out_.room_at(out_.cursor(), n + 2 * kMargin);
}

}  // namespace zcrpc::json
