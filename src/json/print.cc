// The printer: messages, fields and plain values.
#include <bit>

#include "base/utf8.h"
#include "json/printer.h"

namespace zcrpc::json {

using base::Code;
using schema::Kind;
using schema::Shape;

void Out::escaped(base::Slice s, size_t done) {
  // The first `done` bytes and the quote are there already.
  p_ += done + 1;
  const uint8_t *at = s.data + done, *end = s.end();
  while (at < end) {
    if (!room(size_t(end - at) + kMaxEscape + 18)) return;
    if (uint8_t c = *at++; c == '"' || c == '\\') {
      p_[0] = '\\';
      p_[1] = char(c);
      p_ += 2;
    } else {
      p_ += write_escape(c, p_);
    }
    size_t n = wire::copy_plain(at, size_t(end - at), p_);
    at += n;
    p_ += n;
  }
  put('"');
}

bool Printer::fail(const char* message, Code code) {
  if (status_.ok()) status_ = schema::with_path(base::Status(code, message), at_);
  return false;
}

base::Status Printer::run(View v, const Message* type, base::String* to) {
  size_t before = to->size();
  if (v) {
    type = schema::type_of(v);
    start(v);
    const size_t size = schema::index_of(v)->input_len;
    out_.expect(o_.source ? o_.source : size * 3 / 2 + 64);
    out_.indent_for(o_.source && o_.source < size ? o_.source : size);
    anys_ = view::AnyBudget(v, o_.budget);
  }
  bool good = message(v, type);
  if (good && out_.ok() && to->ok()) {
    out_.close(out_.size());
    return {};
  }
  out_.close(before);
  return status_.ok() ? base::Status::no_memory() : std::move(status_);
}

const uint8_t* Printer::present(View v, const Field* f) const {
  const uint8_t* s = v ? schema::slot_of(v, f) : nullptr;
  if (!s) return nullptr;
  if (f->repeated()) return schema::load<zcrpc_run>(s).count ? s : nullptr;
  if (f->extension || f->case_offset) return s;
  if (schema::is_message(f->kind)) return schema::load<uint32_t>(s) ? s : nullptr;
  if (f->presence) return f->parent->sparse || f->bit == ZCRPC_NO_BIT || schema::bit_of(v, f->bit) ? s : nullptr;
  if (schema::is_string(f->kind)) return schema::load<zcrpc_str>(s).len ? s : nullptr;
  return schema::bits_at(f->kind, s) ? s : nullptr;
}

schema::Elements Printer::elements(const Field* f, const uint8_t* slot) const {
  auto run = schema::load<zcrpc_run>(slot);
  schema::Elements e;
  e.input = input_;
  e.index = index_;
  e.count = run.count;
  e.stride = f->stride;
  e.borrowed = run.offset & ZCRPC_ELSEWHERE;
  e.data = e.borrowed ? input_ + (run.offset & ~ZCRPC_ELSEWHERE) : index_ + run.offset;
  return e;
}

bool Printer::message(View v, const Message* type) {
  if (!enter()) return false;
  bool good = type->well_known == schema::WellKnown::kNone || type->well_known == schema::WellKnown::kEmpty
                  ? plain(v, type)
                  : known(v, type);
  leave();
  return good;
}

bool Printer::plain(View v, const Message* type) {
  if (plain_ && v && !type->sparse && type->extensions.empty()) return compact(v, type);
  bool first = true;
  open('{');
  if (!members(v, type, &first)) return false;
  close('}', first);
  return true;
}

bool Printer::members(View v, const Message* type, bool* first) {
  if (!v) return true;
  for (const Field& f : type->fields) {
    const uint8_t* slot = present(v, &f);
    if (slot && !member(&f, slot, first)) return false;
  }
  return type->extensions.empty() || extensions(v, type, first);
}

bool Printer::extensions(View v, const Message* type, bool* first) {
  for (const Field* f : type->extensions) {
    const uint8_t* slot = schema::extension_slot(v, f);
    if (!slot || (f->repeated() && schema::load<zcrpc_run>(slot).count == 0)) continue;
    if (!member(f, slot, first)) return false;
  }
  return true;
}

bool Printer::member(const Field* f, const uint8_t* slot, bool* first) {
  next(first);
  if (f->extension) [[unlikely]] {
    out_.text("\"[");
    out_.text(f->full_name);
    out_.text(o_.pretty ? "]\": " : "]\":");
  } else {
    name(o_.proto_names ? f->name : f->json_name);
  }
  if (o_.redact && f->debug_redact) [[unlikely]] {
    out_.text("\"[REDACTED]\"");
    return true;
  }
  return field(f, slot);
}

bool Printer::field(const Field* f, const uint8_t* slot) {
  schema::Step *up = at_, step{up, f};
  at_ = &step;
  bool good = f->shape == Shape::kSingular ? value(f, slot) : f->shape == Shape::kMap ? map(f, slot) : list(f, slot);
  at_ = up;
  return good;
}

bool Printer::value(const Field* f, const uint8_t* slot) {
  if (schema::is_message(f->kind)) {
    auto offset = schema::load<uint32_t>(slot);
    if (offset & ZCRPC_ELSEWHERE) return fail("a part of a lazy view that was not opened", Code::kFailedPrecondition);
    return message(offset ? reinterpret_cast<View>(index_ + offset) : nullptr, f->message);
  }
  if (schema::is_string(f->kind)) return text(f, string(slot));
  return number(f, schema::bits_at(f->kind, slot));
}

bool Printer::text(const Field* f, base::Slice s) {
  if (f->kind == Kind::kBytes) {
    out_.base64(s);
    return true;
  }
  // Where the field asks for UTF-8 the decoder has checked it.
  if (!f->utf8 && !base::utf8_valid(s.data, s.size)) [[unlikely]] return fail("a string that is not UTF-8 has no JSON form");
  out_.quoted(s);
  return true;
}

bool Printer::number(const Field* f, uint64_t bits) {
  switch (f->kind) {
    case Kind::kDouble: out_.floating(std::bit_cast<double>(bits)); break;
    case Kind::kFloat: out_.floating(std::bit_cast<float>(uint32_t(bits))); break;
    case Kind::kInt64: case Kind::kSint64: case Kind::kSfixed64: out_.quoted_integer(int64_t(bits)); break;
    case Kind::kUint64: case Kind::kFixed64: out_.quoted_integer(bits); break;
    case Kind::kUint32: case Kind::kFixed32: out_.integer(uint32_t(bits)); break;
    case Kind::kBool: out_.text(bits ? "true" : "false"); break;
    case Kind::kEnum: enumeration(f->enumeration, int32_t(bits)); break;
    default: out_.integer(int32_t(bits)); break;
  }
  return true;
}

void Printer::enumeration(const schema::Enum* e, int32_t n) {
  // Its one value is null; a number that no schema names stays a number, as in every open enum, or it would read back as 0.
  if (e->well_known == schema::WellKnown::kNullValue && n == 0) return out_.text("null");
  const schema::EnumValue* v = o_.enum_numbers ? nullptr : e->by_number(n);
  if (!v) return out_.integer(n);
  out_.quoted(base::Slice(v->name));
}

bool Printer::list(const Field* f, const uint8_t* slot) {
  schema::Elements e = elements(f, slot);
  schema::Step* step = at_;
  open('[');
  bool first = true, good = true;
  for (uint32_t i = 0; i < e.count && good; i++) {
    next(&first);
    step->index = i;
    if (schema::is_message(f->kind)) {
      good = message(e.message(f->message, i), f->message);
    } else if (schema::is_string(f->kind)) {
      good = text(f, e.string(i));
    } else {
      good = number(f, e.number(f->kind, i));
    }
  }
  if (good) close(']', first);
  return good;
}

// Writes the key with its quotes; *s: as text, for paths (digits: memory for it).
bool Printer::map_key(const Field* key, const uint8_t* slot, char* digits, std::string_view* s) {
  if (schema::is_string(key->kind)) {
    *s = string(slot).text();
    return text(key, base::Slice(*s));
  }
  uint64_t bits = schema::bits_at(key->kind, slot);
  char* end = digits;
  switch (key->kind) {
    case Kind::kBool:
      *s = bits ? "true" : "false";
      break;
    case Kind::kUint32: case Kind::kFixed32: case Kind::kUint64: case Kind::kFixed64:
      end = std::to_chars(digits, digits + kMaxNumber, bits).ptr;
      break;
    default:
      end = std::to_chars(digits, digits + kMaxNumber, int64_t(bits)).ptr;
      break;
  }
  if (end != digits) *s = {digits, size_t(end - digits)};
  out_.quoted(base::Slice(*s));
  return true;
}

bool Printer::map(const Field* f, const uint8_t* slot) {
  schema::Elements e = elements(f, slot);
  const Field *key = f->map_key(), *val = f->map_value();
  schema::Step* step = at_;
  step->has_key = true;
  step->quoted = schema::is_string(key->kind);
  char digits[kMaxNumber];
  open('{');
  bool first = true, good = true;
  for (uint32_t i = 0; i < e.count && good; i++) {
    const uint8_t* entry = e.at(i);
    next(&first);
    good = map_key(key, entry + key->offset, digits, &step->key);
    if (!good) break;
    out_.put(':');
    if (o_.pretty) out_.put(' ');
    good = value(val, entry + val->offset);
  }
  if (good) close('}', first);
  return good;
}

base::Status print(schema::View v, const schema::Message* type, const PrintOptions& options, base::String* out) {
  Printer p(options, out);
  return p.run(v, type, out);
}

}  // namespace zcrpc::json
