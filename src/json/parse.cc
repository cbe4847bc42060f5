// The parser: objects, fields and plain values, straight into the encoder.
#include <bit>

#include "json/parser.h"
#include "wire/scan.h"
#include "json/write.h"

namespace zcrpc::json {

using base::Code;
using schema::Kind;
using schema::Shape;

Parser::Parser(base::Slice text, const ParseOptions& o, encode::Encoder* e)
    // JSON nests at most an array and an object for each message, so that the message's depth is what counts.
    : r_(text, o.max_depth < 1u << 30 ? 2 * o.max_depth + 2 : o.max_depth), o_(o), e_(e), around_(text), depth_(o.max_depth),
      rescans_(text.size < SIZE_MAX / 8 ? 8 * text.size : SIZE_MAX) {}

base::Status Parser::run(const Message* type) {
  bool success = note(message(type)) && r_.finish() && good();
  if (success) return {};
  if (encode::failed(e_)) return encode::take_status(e_);
  base::Status s = r_.status();
  return path_.empty() || !path_.ok() ? std::move(s) : std::move(s).in(path_.view());
}

bool Parser::message(const Message* type) {
  return type->well_known == schema::WellKnown::kNone || type->well_known == schema::WellKnown::kEmpty ? object(type) : known(type);
}

bool Parser::object(const Message* type) { return r_.enter_object() && members(type, false); }

bool Parser::members(const Message* type, bool any) {
  size_t seen = seen_.size();
  size_t words = (type->fields.size() + type->oneofs.size() + type->extensions.size() + 63) / 64;
  bool first = true, typed = false;
  uint32_t next = 0;  // the field that is expected: printers write them in order
  while (r_.member_comes()) {
    const uint8_t* at = r_.position() - 1;
    const Field* f = expected(type, next, at);
    if (!f) {
      std::string_view name;
      if (!r_.name(&name)) break;
      if (any && name == "@type") {
        if (typed) return r_.wrong_at(at, "the field comes twice");
        typed = true;
        if (!r_.colon() || !r_.string(&name)) break;
        continue;
      }
      f = find(type, name);
      if (!f) {
        if (!unknown(type, at, name)) break;
        continue;
      }
      if (!r_.colon()) break;
    }
    if (first) {
      uint64_t* bits = seen_.grow(words);
      if (!bits && words) return r_.wrong_at(at, "no memory", Code::kResourceExhausted);
      for (size_t i = 0; i < words; i++) bits[i] = 0;
      first = false;
    }
    next = f->index + 1;
    if (!field(type, f, seen, at)) break;
  }
  seen_.truncate(seen);
  return r_.ok();
}

// The field at `next`, or one of those right behind it, if the text goes on at `at` with its name and a colon as the printer
// writes them; then they are consumed.
const schema::Field* Parser::expected(const Message* type, uint32_t next, const uint8_t* at) {
  const uint32_t stop = next + 3 < type->fields.size() ? next + 3 : uint32_t(type->fields.size());
  const size_t left = size_t(r_.text_end() - at);
  for (; next < stop; next++) {
    const std::string_view key = type->fields[next].json_key;
    if (key.empty() || !wire::same_blocks(at, left, key)) continue;
    r_.advance(at + key.size());
    return &type->fields[next];
  }
  return nullptr;
}

const schema::Field* Parser::find(const Message* type, std::string_view name) {
  if (name.size() < 3 || name.front() != '[' || name.back() != ']') return type->by_name(name);
  const Field* f = type->schema->extension(name.substr(1, name.size() - 2));
  return f && f->parent == type ? f : nullptr;
}

bool Parser::unknown(const Message* type, const uint8_t* at, std::string_view name) {
  if (!o_.ignore_unknown) {
    schema::Step *up = at_, step{up};
    step.name = name;
    at_ = &step;
    note(r_.wrong_named(at, "no field", name, " in ", type->name));
    at_ = up;
    return false;
  }
  return r_.colon() && r_.skip_value();
}

// Checks and sets the field's bit among those of its object.
bool Parser::first_time(const Message* type, const Field* f, size_t seen, const uint8_t* at) {
  size_t bit = f->index;
  if (f->extension) {
    size_t low = 0, high = type->extensions.size();
    while (low < high) {
      size_t middle = (low + high) / 2;
      if (type->extensions[middle]->number < f->number) low = middle + 1;
      else high = middle;
    }
    bit = type->fields.size() + type->oneofs.size() + low;
  }
  uint64_t &word = seen_[seen + bit / 64], mask = uint64_t(1) << bit % 64;
  if (word & mask) return r_.wrong_at(at, "the field comes twice");
  word |= mask;
  return true;
}

bool Parser::field(const Message* type, const Field* f, size_t seen, const uint8_t* at) {
  schema::Step *up = at_, step{up, f};
  at_ = &step;
  bool success = first_time(type, f, seen, at);
  if (success) {
    if (r_.peek() == Token::kNull && (f->repeated() || !takes_null(f))) {
      success = r_.null();  // not set
    } else {
      if (f->oneof) {
        size_t bit = type->fields.size() + size_t(f->oneof - type->oneofs.data());
        uint64_t &word = seen_[seen + bit / 64], mask = uint64_t(1) << bit % 64;
        if (word & mask) success = r_.wrong_at(at, "another field of the same oneof was set before");
        word |= mask;
      }
      success = success && (f->shape == Shape::kSingular ? singular(f) : f->shape == Shape::kMap ? map(f) : list(f));
    }
  }
  note(success);
  at_ = up;
  return success;
}

bool Parser::singular(const Field* f) {
  if (f->presence) return element(f);
  // An implicit default leaves no trace on the wire.
  if (schema::is_string(f->kind)) {
    base::Slice s;
    if (!text(f, &s)) return false;
    if (s.size) encode::put_bytes(e_, f, s, around_);
    return true;
  }
  uint64_t bits = 0;  // stays so for what is dropped
  if (!scalar(f, &bits)) return false;
  if (bits && !dropped_) encode::put_number(e_, f, bits);
  return true;
}

bool Parser::element(const Field* f) {
  if (schema::is_message(f->kind)) return sub_message(f);
  if (schema::is_string(f->kind)) {
    base::Slice s;
    if (!text(f, &s)) return false;
    encode::put_bytes(e_, f, s, around_);
    return true;
  }
  uint64_t bits;
  if (!scalar(f, &bits)) return false;
  if (!dropped_) encode::put_number(e_, f, bits);
  return true;
}

bool Parser::sub_message(const Field* f) {
  if (!enter()) return false;
  encode::begin_field(e_, f);
  if (!message(f->message)) return false;
  encode::end(e_);
  leave();
  return true;
}

bool Parser::list(const Field* f) {
  if (!r_.enter_array()) return false;
  bool open = false;
  schema::Step* step = at_;
  step->index = 0;
  bool null_is_value = takes_null(f);
  for (; r_.next_element(); step->index++) {
    if (!null_is_value && r_.peek() == Token::kNull) return r_.wrong("null in an array");
    if (!f->packed) {
      if (!element(f) || !good()) return false;
      continue;
    }
    uint64_t bits;
    if (!scalar(f, &bits)) return false;
    if (dropped_) continue;
    if (!open) encode::begin_packed(e_, f);
    open = true;
    encode::put_element(e_, f, bits);
    if ((step->index & 255) == 0 && !good()) return false;
  }
  if (!r_.ok()) return false;
  if (open) encode::end(e_);
  step->index = schema::kNoIndex;
  return true;
}

bool Parser::map(const Field* f) {
  if (!r_.enter_object()) return false;
  schema::Step* step = at_;
  step->has_key = step->escaped = true;
  step->quoted = schema::is_string(f->map_key()->kind);
  const bool texts = f->map_key()->kind == Kind::kString && f->map_value()->kind == Kind::kString;
  while (r_.member_comes()) {
    const uint8_t* at = r_.position() - 1;
    std::string_view key;
    if (!r_.name(&key)) return false;
    step->key = r_.raw_name();
    if (!r_.colon()) return false;
    if (texts && depth_ && r_.peek() == Token::kString) {
      std::string_view value;
      if (!r_.string(&value)) return false;
      encode::put_pair(e_, f, base::Slice(key), base::Slice(value), around_);
      if (!good()) return false;
      continue;
    }
    if (!entry(f, key, at) || !good()) return false;
  }
  step->has_key = false;
  return r_.ok();
}

bool Parser::entry(const Field* f, std::string_view name, const uint8_t* name_at) {
  const Field *key = f->map_key(), *value = f->map_value();
  uint64_t key_bits = 0, bits = 0;
  if (!schema::is_string(key->kind) && !map_key(key, name, &key_bits)) return r_.wrong_at(name_at, "not a key of this map");
  if (!takes_null(value) && r_.peek() == Token::kNull) return r_.wrong("null in a map");
  // Only an enum can turn out to be dropped, and then its key goes with it.
  bool is_enum = value->kind == Kind::kEnum;
  if (is_enum) {
    if (!scalar(value, &bits)) return false;
    if (dropped_) return true;
  }
  if (!enter()) return false;
  encode::begin_field(e_, f);
  if (schema::is_string(key->kind)) encode::put_bytes(e_, key, base::Slice(name));
  else encode::put_number(e_, key, key_bits);
  if (is_enum) encode::put_number(e_, value, bits);
  else if (!element(value)) return false;
  encode::end(e_);
  leave();
  return true;
}

bool Parser::map_key(const Field* key, std::string_view s, uint64_t* bits) {
  int64_t v;
  switch (key->kind) {
    case Kind::kBool:
      *bits = s == "true";
      return *bits || s == "false";
    case Kind::kUint64: case Kind::kFixed64: return read_uint64(s, bits) == Integer::kOk;
    case Kind::kUint32: case Kind::kFixed32: return read_uint64(s, bits) == Integer::kOk && *bits <= UINT32_MAX;
    case Kind::kInt64: case Kind::kSint64: case Kind::kSfixed64:
      if (read_int64(s, &v) != Integer::kOk) return false;
      break;
    default:
      if (read_int64(s, &v) != Integer::kOk || v < INT32_MIN || v > INT32_MAX) return false;
      break;
  }
  *bits = uint64_t(v);
  return true;
}

bool Parser::scalar(const Field* f, uint64_t* bits) {
  dropped_ = false;
  switch (f->kind) {
    case Kind::kDouble: return floating(true, bits);
    case Kind::kFloat: return floating(false, bits);
    case Kind::kInt64: case Kind::kSint64: case Kind::kSfixed64: return signed_integer(INT64_MIN, INT64_MAX, bits);
    case Kind::kUint64: case Kind::kFixed64: return unsigned_integer(UINT64_MAX, bits);
    case Kind::kUint32: case Kind::kFixed32: return unsigned_integer(UINT32_MAX, bits);
    case Kind::kEnum: return enumeration(f, bits);
    case Kind::kBool: {
      bool v;
      if (!r_.boolean(&v)) return false;
      *bits = v;
      return true;
    }
    default: return signed_integer(INT32_MIN, INT32_MAX, bits);
  }
}

// The characters of a number, which may stand in quotes.
bool Parser::number_text(std::string_view* s, const char* wanted) {
  switch (r_.peek()) {
    case Token::kString: return r_.string(s);
    case Token::kNumber: return r_.number(s);
    default: return r_.wrong(wanted);
  }
}

namespace {
const char* integer_fault(Integer r) { return r == Integer::kRange ? "integer out of range" : "expected an integer"; }
}  // namespace

bool Parser::signed_integer(int64_t min, int64_t max, uint64_t* bits) {
  r_.skip_space();
  const uint8_t* at = r_.position();
  std::string_view s;
  if (!number_text(&s, "expected an integer")) return false;
  int64_t v;
  Integer r = read_int64(s, &v);
  if (r == Integer::kOk && (v < min || v > max)) r = Integer::kRange;
  if (r != Integer::kOk) return r_.wrong_at(at, integer_fault(r));
  *bits = uint64_t(v);
  return true;
}

bool Parser::unsigned_integer(uint64_t max, uint64_t* bits) {
  r_.skip_space();
  const uint8_t* at = r_.position();
  std::string_view s;
  if (!number_text(&s, "expected an integer")) return false;
  Integer r = read_uint64(s, bits);
  if (r == Integer::kOk && *bits > max) r = Integer::kRange;
  return r == Integer::kOk || r_.wrong_at(at, integer_fault(r));
}

bool Parser::floating(bool wide, uint64_t* bits) {
  bool quoted = r_.peek() == Token::kString;
  const uint8_t* at = r_.position();
  std::string_view s;
  if (!number_text(&s, "expected a number")) return false;
  if (quoted) {
    double v = s == "NaN" ? __builtin_nan("") : s == "Infinity" ? __builtin_inf() : s == "-Infinity" ? -__builtin_inf() : 0;
    if (v != 0) {
      *bits = wide ? std::bit_cast<uint64_t>(v) : std::bit_cast<uint32_t>(float(v));
      return true;
    }
  }
  double d = 0;
  float f = 0;
  bool range;
  if (!(wide ? read_double(s, &d, &range) : read_float(s, &f, &range)))
    return r_.wrong_at(at, range ? "number out of range" : "expected a number");
  *bits = wide ? std::bit_cast<uint64_t>(d) : std::bit_cast<uint32_t>(f);
  return true;
}

bool Parser::enumeration(const Field* f, uint64_t* bits) {
  const schema::Enum* e = f->enumeration;
  Token t = r_.peek();
  const uint8_t* at = r_.position();
  std::string_view s;
  if (t == Token::kNull && takes_null(f)) {
    *bits = 0;
    return r_.null();
  }
  if (t == Token::kString) {
    if (!r_.string(&s)) return false;
    if (const schema::EnumValue* v = e->by_name(s)) {
      *bits = uint64_t(int64_t(v->number));
      return true;
    }
    dropped_ = o_.ignore_unknown;
    return dropped_ || r_.wrong_named(at, "no value", s, " in enum ", e->name);
  }
  if (t != Token::kNumber) return r_.wrong("expected an enum's name or number");
  if (!signed_integer(INT32_MIN, INT32_MAX, bits)) return false;
  if (!e->closed || e->has(int32_t(*bits))) return true;
  dropped_ = o_.ignore_unknown;
  return dropped_ || r_.wrong_at(at, "no such number in a closed enum");
}

bool Parser::text(const Field* f, base::Slice* s) {
  if (f->kind == Kind::kBytes) return bytes(s);
  std::string_view v;
  if (!r_.string(&v)) return false;
  *s = base::Slice(v);
  return true;
}

bool Parser::bytes(base::Slice* s) {
  r_.skip_space();
  const uint8_t* at = r_.position();
  std::string_view v;
  if (!r_.string(&v)) return false;
  bytes_.clear();
  if (!bytes_.reserve(v.size() / 4 * 3 + 2)) return r_.wrong_at(at, "no memory", Code::kResourceExhausted);
  size_t n;
  if (!base64_read(v, bytes_.data(), &n)) return r_.wrong_at(at, "expected base64");
  *s = {bytes_.data(), n};
  return true;
}

base::Status parse(const schema::Message* type, base::Slice json, const ParseOptions& options, encode::Encoder* out) {
  return Parser(json, options, out).run(type);
}

}  // namespace zcrpc::json
