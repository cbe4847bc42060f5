// The printer: messages, fields and plain values.
#include <bit>

#include "base/utf8.h"
#include "text/printer.h"
#include "text/read.h"
#include "wire/scan.h"

namespace zcrpc::text {

using base::Code;
using schema::Kind;
using schema::Shape;

void Out::escape(uint8_t c) {
  if (!room(4)) return;
  *p_++ = '\\';
  switch (c) {
    case '\n': *p_++ = 'n'; break;
    case '\r': *p_++ = 'r'; break;
    case '\t': *p_++ = 't'; break;
    case '"': case '\\': *p_++ = char(c); break;
    default:  // three digits, so that what follows is no fourth
      p_[0] = char('0' + (c >> 6));
      p_[1] = char('0' + (c >> 3 & 7));
      p_[2] = char('0' + (c & 7));
      p_ += 3;
  }
}

void Out::quoted(base::Slice s, bool utf8) {
  put('"');
  const uint8_t *p = s.data, *end = s.end();
  while (p < end && ok_) {
    // In pieces, so that a text that may not become longer is cut within a long string, not before it.
    constexpr size_t kPiece = 256;
    const uint8_t* stop = size_t(end - p) < kPiece ? end : p + kPiece;
    const uint8_t* plain = utf8 ? wire::find_special<false>(p, stop) : wire::find_special<true>(p, stop);
    text({reinterpret_cast<const char*>(p), size_t(plain - p)});
    p = plain;
    if (p < stop) escape(*p++);
  }
  put('"');
}

bool Printer::fail(const char* message) {
  if (status_.ok()) status_ = schema::with_path(base::Status(Code::kResourceExhausted, message), at_);
  return false;
}

base::Status Printer::run(View v, base::String* to) {
  size_t before = to->size();
  if (v) {
    const size_t size = schema::index_of(v)->input_len;
    if (!o_.cut) out_.expect(o_.source ? o_.source : size * 3 / 2 + 64);
    out_.indent_for(o_.source && o_.source < size ? o_.source : size);
    anys_ = view::AnyBudget(v, o_.budget);
  }
  bool good = (!v || enter()) && fields(v);
  bool cut = !out_.ok() && out_.full() && o_.cut;
  if (cut) *o_.cut = true;
  if (cut || (good && out_.ok() && to->ok())) {
    out_.close(out_.size());
    return {};
  }
  out_.close(before);
  if (!status_.ok()) return std::move(status_);
  return out_.full() ? base::Status(Code::kResourceExhausted, "the text becomes too long") : base::Status::no_memory();
}

bool Printer::fields(View v) {
  if (!v) return true;
  const Message* type = schema::type_of(v);
  bool done = false;
  if (type->well_known == schema::WellKnown::kAny && !any(v, type, &done)) return false;
  if (!done) {
    for (const Field& f : type->fields)
      if (schema::has(v, &f) && !field(v, &f)) return false;
    for (const Field* f : type->extensions)
      if (schema::has(v, f) && !field(v, f)) return false;
  }
  return !o_.unknown || unknown(v);
}

void Printer::name(const Field* f) {
  if (f->extension) {
    out_.put('[');
    out_.text(extension_name(f));
    out_.put(']');
  } else if (group_like(f)) {
    std::string_view type = f->message->name;
    out_.text(type.substr(type.rfind('.') + 1));
  } else {
    out_.text(f->name);
  }
}

bool Printer::field(View v, const Field* f) {
  schema::Step *up = at_, step{up, f};
  at_ = &step;
  bool good = true;
  if (o_.redact && f->debug_redact) {
    next();
    name(f);
    out_.text(": [REDACTED]");
  } else if (f->repeated()) {
    schema::Elements e = schema::elements(v, f);
    good = f->is_map() ? map(f, e) : schema::is_message(f->kind) ? messages(f, e) : list(f, e);
  } else {
    next();
    name(f);
    if (schema::is_message(f->kind)) {
      good = sub_message(schema::sub_message(v, f));
    } else {
      out_.text(": ");
      if (schema::is_string(f->kind)) text(f, schema::string(v, f));
      else number(f, schema::number(v, f));
    }
  }
  at_ = up;
  return good && out_.ok();
}

bool Printer::sub_message(View v) {
  if (!enter()) return false;
  open();
  bool good = fields(v);
  close();
  leave();
  return good;
}

void Printer::text(const Field* f, base::Slice s) {
  // Where the field asks for UTF-8 the decoder has checked it. Bytes are escaped, as other printers do it.
  out_.quoted(s, f->kind == Kind::kString && (f->utf8 || base::utf8_valid(s.data, s.size)));
}

void Printer::number(const Field* f, uint64_t bits) {
  switch (f->kind) {
    case Kind::kDouble: return out_.floating(std::bit_cast<double>(bits));
    case Kind::kFloat: return out_.floating(std::bit_cast<float>(uint32_t(bits)));
    case Kind::kInt64: case Kind::kSint64: case Kind::kSfixed64: return out_.integer(int64_t(bits));
    case Kind::kUint64: case Kind::kFixed64: return out_.integer(bits);
    case Kind::kUint32: case Kind::kFixed32: return out_.integer(uint32_t(bits));
    case Kind::kBool: return out_.text(bits ? "true" : "false");
    case Kind::kEnum:
      if (const schema::EnumValue* v = o_.enum_numbers ? nullptr : f->enumeration->by_number(int32_t(bits))) return out_.text(v->name);
      return out_.integer(int32_t(bits));
    default: return out_.integer(int32_t(bits));
  }
}

bool Printer::list(const Field* f, const schema::Elements& e) {
  next();
  name(f);
  out_.text(": [");
  for (uint32_t i = 0; i < e.count && out_.ok(); i++) {
    if (i) out_.text(", ");
    if (schema::is_string(f->kind)) text(f, e.string(i));
    else number(f, e.number(f->kind, i));
  }
  out_.put(']');
  return true;
}

bool Printer::messages(const Field* f, const schema::Elements& e) {
  for (uint32_t i = 0; i < e.count && out_.ok(); i++) {
    at_->index = i;
    next();
    name(f);
    if (!sub_message(e.message(f->message, i))) return false;
  }
  return true;
}

bool Printer::map(const Field* f, const schema::Elements& e) {
  const Field *key = f->map_key(), *value = f->map_value();
  for (uint32_t i = 0; i < e.count && out_.ok(); i++) {
    const uint8_t* entry = e.at(i);
    at_->index = i;
    next();
    name(f);
    open();
    next();
    out_.text("key: ");
    if (schema::is_string(key->kind)) text(key, e.string_at(entry + key->offset));
    else number(key, schema::bits_at(key->kind, entry + key->offset));
    next();
    out_.text("value");
    const uint8_t* slot = entry + value->offset;
    if (o_.redact && value->debug_redact) {
      out_.text(": [REDACTED]");
    } else if (schema::is_message(value->kind)) {
      if (!sub_message(e.message_at(slot))) return false;
    } else {
      out_.text(": ");
      if (schema::is_string(value->kind)) text(value, e.string_at(slot));
      else number(value, schema::bits_at(value->kind, slot));
    }
    close();
  }
  return true;
}

namespace {

// Whether a type URL can stand between brackets and come back the same.
bool plain_url(std::string_view url) {
  for (char c : url)
    if (!is_url_mark(uint8_t(c)) && !is_letter(uint8_t(c)) && !is_digit(uint8_t(c))) return false;
  return true;
}

}  // namespace

// *done: printed with its value expanded. What the schema does not know, or what does not decode, is printed as it is.
bool Printer::any(View v, const Message* type, bool* done) {
  base::Slice url = schema::string(v, &type->fields[0]), bytes = schema::string(v, &type->fields[1]);
  size_t slash = url.text().rfind('/');
  if (slash == std::string_view::npos || slash == 0 || !plain_url(url.text())) return true;
  const Message* inner = type->schema->message(url.text().substr(slash + 1));
  if (!inner) return true;
  base::Arena arena;
  const view::AnyBudget before = anys_;
  auto decoded = anys_.take(inner, bytes, o_.max_depth > depth_ ? o_.max_depth - depth_ : 1, &arena);
  if (!decoded.ok()) {
    anys_ = before;
    return true;
  }
  *done = true;
  next();
  out_.put('[');
  out_.text(url.text());
  out_.put(']');
  const bool good = sub_message(*decoded);
  anys_ = before;
  return good;
}

base::Status print(schema::View v, const PrintOptions& options, base::String* out) {
  Printer p(options, out);
  return p.run(v, out);
}

}  // namespace zcrpc::text
