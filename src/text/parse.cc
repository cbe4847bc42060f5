// The parser: fields and plain values, straight into the encoder.
#include <bit>

#include "base/decimal.h"
#include "base/utf8.h"
#include "text/parser.h"

namespace zcrpc::text {

using base::Code;
using schema::Kind;
using schema::Shape;

namespace {

std::string_view last_part(std::string_view name) { return name.substr(name.rfind('.') + 1); }
std::string_view scope(std::string_view name) {
  size_t dot = name.rfind('.');
  return dot == std::string_view::npos ? std::string_view() : name.substr(0, dot);
}
char lower(char c) { return c >= 'A' && c <= 'Z' ? char(c - 'A' + 'a') : c; }
bool same_lower(std::string_view s, const char* word) {  // word: in lower case
  for (char c : s)
    if (lower(c) != *word++) return false;
  return *word == 0;
}

}  // namespace

bool group_like(const schema::Field* f) {
  if (f->kind != Kind::kGroup) return false;
  std::string_view type = last_part(f->message->name);
  if (type.size() != f->name.size()) return false;
  for (size_t i = 0; i < type.size(); i++)
    if (lower(type[i]) != f->name[i]) return false;
  return scope(f->message->name) == scope(f->full_name);
}

base::Status Parser::run(const Message* type) {
  if (fields(type, 0) && good()) return {};
  if (encode::failed(e_)) return encode::take_status(e_);
  base::Status s = r_.status();
  return path_.empty() || !path_.ok() ? std::move(s) : std::move(s).in(path_.view());
}

bool Parser::fields(const Message* type, char close) {
  Open o{counts_.size()};
  while (!r_.at_end()) {
    if (close && r_.take(close)) {
      close_run(&o);
      counts_.truncate(o.counts);
      return true;
    }
    if (!field(type, &o) || !good()) return false;
    if (!r_.take(',')) (void)r_.take(';');
  }
  if (!r_.ok()) return false;
  if (close) return r_.wrong(close == '}' ? "expected a field or }" : "expected a field or >");
  close_run(&o);
  return true;
}

bool Parser::field(const Message* type, Open* o) {
  const uint8_t* at = r_.position();
  uint8_t c = r_.peek();
  if (c == '[') return bracketed(type, o, at);
  if (is_digit(c)) return by_number(type, at);
  if (!is_letter(c)) return r_.wrong("expected a field's name");
  std::string_view name;
  if (!r_.name(&name)) return false;
  const Field* f = find(type, name, o);
  return f ? assign(type, f, o, at) : unknown(type, name, at);
}

const schema::Field* Parser::find(const Message* type, std::string_view name, Open* o) {
  if (o->next < type->fields.size() && type->fields[o->next].name == name) return &type->fields[o->next];
  if (const Field* f = type->by_proto_name(name)) return f;
  // A group goes by the name of its message.
  name_.clear();
  for (char c : name) name_.append(lower(c));
  const Field* f = name_.ok() ? type->by_proto_name(name_.view()) : nullptr;
  return f && group_like(f) && last_part(f->message->name) == name ? f : nullptr;
}

bool Parser::assign(const Message* type, const Field* f, Open* o, const uint8_t* at) {
  schema::Step *up = at_, step{up, f};
  at_ = &step;
  if (!f->extension) o->next = f->index + 1;
  if (o->packed && o->packed != f) close_run(o);
  bool success = count(type, f, o, at);
  if (success) {
    bool colon = r_.take(':');
    if (!colon && !schema::is_message(f->kind)) success = r_.wrong("expected a colon");
    else success = elements(f, o);
  }
  note(success);
  at_ = up;
  return success;
}

// Counts of fields and oneofs, then of extensions, which most messages do not have: these are added when one comes.
uint32_t* Parser::counter(const Message* type, Open* o, size_t i) {
  size_t plain = type->fields.size() + type->oneofs.size(), have = counts_.size() - o->counts;
  size_t want = i < plain ? plain : plain + type->extensions.size();
  if (have < want) {
    uint32_t* more = counts_.grow(want - have);
    if (!more) return nullptr;
    memset(more, 0, (want - have) * sizeof *more);
  }
  return &counts_[o->counts + i];
}

// Singular fields come once, and one member of a oneof. Of a repeated field the path tells which element this is.
bool Parser::count(const Message* type, const Field* f, Open* o, const uint8_t* at) {
  size_t plain = type->fields.size() + type->oneofs.size();
  uint32_t* n = counter(type, o, f->extension ? plain + f->index : f->index);
  if (!n) return r_.wrong_at(at, "no memory", Code::kResourceExhausted);
  if (f->repeated()) {
    at_->index = *n;
    return true;
  }
  if (++*n > 1) return r_.wrong_at(at, "the field comes twice");
  if (f->oneof && ++*counter(type, o, type->fields.size() + size_t(f->oneof - type->oneofs.data())) > 1)
    return r_.wrong_at(at, "another field of the same oneof was set before");
  return true;
}

// One value, or, of a repeated field, perhaps several between square brackets.
bool Parser::elements(const Field* f, Open* o) {
  if (!f->repeated()) return element(f, o);
  uint32_t before = at_->index;
  bool success = true;
  if (!r_.take('[')) {
    success = element(f, o);
    at_->index++;
  } else if (!r_.take(']')) {
    for (;;) {
      if (!element(f, o) || !good()) return false;
      at_->index++;
      if (r_.take(']')) break;
      if (!r_.take(',')) return r_.wrong("expected a comma or the list's end");
    }
  }
  const Message* type = f->parent;
  size_t i = f->extension ? type->fields.size() + type->oneofs.size() + f->index : f->index;
  counts_[o->counts + i] += at_->index - before;
  if (!success) at_->index--;
  return success;
}

bool Parser::element(const Field* f, Open* o) {
  if (schema::is_message(f->kind)) return sub_message(f);
  if (schema::is_string(f->kind)) {
    base::Slice s;
    if (!text(f, &s)) return false;
    // An implicit default leaves no trace on the wire.
    if (s.size || f->presence || f->repeated()) encode::put_bytes(e_, f, s);
    return true;
  }
  uint64_t bits;
  if (!scalar(f, &bits)) return false;
  if (dropped_) return true;
  if (f->packed) {
    if (!o->packed) encode::begin_packed(e_, f);
    o->packed = f;
    encode::put_element(e_, f, bits);
  } else if (bits || f->presence || f->repeated()) {
    encode::put_number(e_, f, bits);
  }
  return true;
}

void Parser::close_run(Open* o) {
  if (o->packed) encode::end(e_);
  o->packed = nullptr;
}

bool Parser::open_brace(char* close) {
  *close = r_.take('{') ? '}' : r_.take('<') ? '>' : '\0';
  return *close || r_.wrong("expected { or <");
}

bool Parser::sub_message(const Field* f) {
  char close;
  if (!open_brace(&close) || !enter()) return false;
  encode::begin_field(e_, f);
  if (!fields(f->message, close)) return false;
  encode::end(e_);
  leave();
  return true;
}

bool Parser::scalar(const Field* f, uint64_t* bits) {
  dropped_ = false;
  switch (f->kind) {
    case Kind::kDouble: return floating(true, bits);
    case Kind::kFloat: return floating(false, bits);
    case Kind::kInt64: case Kind::kSint64: case Kind::kSfixed64: return integer(true, INT64_MAX, bits);
    case Kind::kUint64: case Kind::kFixed64: return integer(false, UINT64_MAX, bits);
    case Kind::kUint32: case Kind::kFixed32: return integer(false, UINT32_MAX, bits);
    case Kind::kBool: return boolean(bits);
    case Kind::kEnum: return enumeration(f, bits);
    default: return integer(true, INT32_MAX, bits);
  }
}

bool Parser::integer(bool is_signed, uint64_t most, uint64_t* bits) {
  r_.skip_space();
  const uint8_t* at = r_.position();
  Number n;
  std::string_view word;
  if (!r_.number(&n, &word)) return false;
  if (!word.empty() || n.form == Number::kFloat || (n.negative && !is_signed)) return r_.wrong_at(at, "expected an integer");
  if (!magnitude(n, bits) || *bits > most + n.negative) return r_.wrong_at(at, "integer out of range");
  if (n.negative) *bits = 0 - *bits;
  return true;
}

bool Parser::floating(bool wide, uint64_t* bits) {
  r_.skip_space();
  const uint8_t* at = r_.position();
  Number n;
  std::string_view word;
  if (!r_.number(&n, &word)) return false;
  double d = 0;
  float f = 0;
  if (!word.empty()) {
    if (same_lower(word, "inf") || same_lower(word, "infinity")) d = __builtin_inf();
    else if (same_lower(word, "nan")) d = __builtin_nan("");
    else return r_.wrong_at(at, "expected a number");
    f = float(d);
  } else if (n.form == Number::kHex || n.form == Number::kOctal) {
    return r_.wrong_at(at, "a float is decimal");
  } else if (!(wide ? base::read_decimal(n.digits, &d) : base::read_decimal(n.digits, &f))) {
    return r_.wrong_at(at, "expected a number");
  }
  if (n.negative) {
    d = -d;
    f = -f;
  }
  *bits = wide ? std::bit_cast<uint64_t>(d) : std::bit_cast<uint32_t>(f);
  return true;
}

bool Parser::boolean(uint64_t* bits) {
  if (is_letter(r_.peek())) {
    const uint8_t* at = r_.position();
    std::string_view word;
    if (!r_.name(&word)) return false;
    *bits = word == "true" || word == "True" || word == "t";
    return *bits || word == "false" || word == "False" || word == "f" || r_.wrong_at(at, "expected true or false");
  }
  return integer(false, 1, bits);
}

bool Parser::enumeration(const Field* f, uint64_t* bits) {
  const schema::Enum* e = f->enumeration;
  uint8_t c = r_.peek();
  const uint8_t* at = r_.position();
  if (is_letter(c)) {
    std::string_view word;
    if (!r_.name(&word)) return false;
    if (const schema::EnumValue* v = e->by_name(word)) {
      *bits = uint64_t(int64_t(v->number));
      return true;
    }
    dropped_ = o_.ignore_unknown;
    return dropped_ || r_.wrong_named(at, "no value", word, " in enum ", e->name);
  }
  if (!integer(true, INT32_MAX, bits)) return false;
  if (!e->closed || e->has(int32_t(*bits))) return true;
  dropped_ = o_.ignore_unknown;
  return dropped_ || r_.wrong_at(at, "no such number in a closed enum");
}

bool Parser::text(const Field* f, base::Slice* s) {
  r_.skip_space();
  const uint8_t* at = r_.position();
  if (!r_.string(s)) return false;
  return !f->utf8 || base::utf8_valid(s->data, s->size) || r_.wrong_at(at, "a string is not valid UTF-8");
}

base::Status parse(const schema::Message* type, base::Slice text, const ParseOptions& options, encode::Encoder* out) {
  return Parser(text, options, out).run(type);
}

}  // namespace zcrpc::text
