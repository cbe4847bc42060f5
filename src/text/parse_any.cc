// The parser: names in brackets, which are extensions and Anys, and fields that are skipped.
#include "text/parser.h"

namespace zcrpc::text {

using base::Code;
using schema::Kind;
using schema::WellKnown;

namespace {

bool is_hex(uint8_t c) { return is_digit(c) || (uint8_t(c | 0x20) >= 'a' && uint8_t(c | 0x20) <= 'f'); }

// Names with single dots between.
bool is_type_name(std::string_view s) {
  bool start = true;
  for (char c : s) {
    if (start ? !is_letter(uint8_t(c)) : !is_letter(uint8_t(c)) && !is_digit(uint8_t(c)) && c != '.') return false;
    start = c == '.';
  }
  return !start;
}

}  // namespace

std::string_view extension_name(const schema::Field* f) {
  bool own = f->parent->message_set && f->kind == Kind::kMessage && !f->repeated();
  if (!own) return f->full_name;
  std::string_view type = f->message->name, scope = f->full_name.substr(0, f->full_name.rfind('.'));
  return scope == type ? type : f->full_name;
}

bool Parser::bracketed(const Message* type, Open* o, const uint8_t* at) {
  if (!bracket_name()) return false;
  std::string_view name = name_.view();
  if (name.find('/') != std::string_view::npos) return any(type, o, at);
  if (!is_type_name(name)) return r_.wrong_at(at, "expected the name of an extension");
  const Field* f = extension(type, name);
  if (f) return assign(type, f, o, at);
  if (o_.ignore_unknown) return skip_field();
  return r_.wrong_named(at, "no extension", name, " of ", type->name);
}

// What stands between square brackets, without white space and comments, into name_. Between the characters of a name
// there is none.
bool Parser::bracket_name() {
  name_.clear();
  const uint8_t *p = r_.position() + 1, *before = p;
  r_.advance(p);
  for (;;) {
    uint8_t c = r_.peek();
    p = r_.position();
    if (r_.at_end()) return r_.wrong("expected ]");
    if (c == ']') break;
    bool word = is_letter(c) || is_digit(c);
    if (word && p != before && !name_.empty() && !is_url_mark(uint8_t(name_.view().back()))) return r_.wrong("white space within a name");
    if (c == '%') {
      if (r_.text_end() - p < 3 || !is_hex(p[1]) || !is_hex(p[2])) return r_.wrong("% takes two hexadecimal digits");
      name_.append({reinterpret_cast<const char*>(p), 3});
      p += 3;
    } else {
      if (!word && !is_url_mark(c)) return r_.wrong("a character that has no place in a name");
      name_.append(char(c));
      p++;
    }
    r_.advance(before = p);
  }
  r_.advance(p + 1);
  return name_.ok() || r_.wrong("no memory", Code::kResourceExhausted);
}

const schema::Field* Parser::extension(const Message* type, std::string_view name) {
  const Field* f = type->schema->extension(name);
  if (f) return f->parent == type ? f : nullptr;
  if (!type->message_set) return nullptr;
  for (const Field* x : type->extensions)
    if (x->message && x->message->name == name && extension_name(x) == name) return x;
  return nullptr;
}

// [domain/full.Name] { ... } stands for both fields of an Any. The URL is in name_.
bool Parser::any(const Message* type, Open* o, const uint8_t* at) {
  if (type->well_known != WellKnown::kAny) return r_.wrong_at(at, "a type URL outside of an Any");
  std::string_view url = name_.view();
  size_t slash = url.rfind('/');
  std::string_view name = url.substr(slash + 1);
  if (slash == 0 || !is_type_name(name)) return r_.wrong_at(at, "expected a type URL such as type.googleapis.com/pkg.Type");
  const Message* inner = type->schema->message(name);
  if (!inner) return r_.wrong_named(at, "no type", name, " in the schema", "");
  const Field *type_url = &type->fields[0], *value = &type->fields[1];
  schema::Step *up = at_, step{up, value};
  at_ = &step;
  char close;
  bool success = count(type, type_url, o, at) && count(type, value, o, at);
  if (success) {
    encode::put_bytes(e_, type_url, base::Slice(url));
    (void)r_.take(':');
    success = open_brace(&close) && enter();
  }
  if (success) {
    encode::begin_packed(e_, value);  // bytes, but a length and what follows all the same
    success = fields(inner, close);
  }
  if (success) {
    encode::end(e_);
    leave();
  }
  note(success);
  at_ = up;
  return success;
}

bool Parser::unknown(const Message* type, std::string_view name, const uint8_t* at) {
  for (std::string_view reserved : type->reserved_names)
    if (reserved == name) return skip_field();
  if (o_.ignore_unknown) return skip_field();
  schema::Step *up = at_, step{up};
  step.name = name;
  at_ = &step;
  note(r_.wrong_named(at, "no field", name, " in ", type->name));
  at_ = up;
  return false;
}

// Text does not tell the wire types of unknown fields, so that what was printed by number cannot be read again.
bool Parser::by_number(const Message* type, const uint8_t* at) {
  Number n;
  std::string_view word;
  if (!r_.number(&n, &word)) return false;
  if (n.form == Number::kFloat) return r_.wrong_at(at, "expected a field's name");
  if (o_.ignore_unknown) return skip_field();
  return r_.wrong_named(at, "no field", n.digits, " by number in ", type->name);
}

// ---- Behind a name: any value.

bool Parser::skip_field() {
  if (!r_.take(':')) {
    if (uint8_t c = r_.peek(); c != '{' && c != '<') return r_.wrong("expected a colon, { or <");
  }
  if (!r_.take('[')) return skip_value();
  if (r_.take(']')) return true;
  for (;;) {
    if (!skip_value()) return false;
    if (r_.take(']')) return true;
    if (!r_.take(',')) return r_.wrong("expected a comma or the list's end");
  }
}

bool Parser::skip_value() {
  uint8_t c = r_.peek();
  if (c == '{' || c == '<') return skip_message();
  if (c == '"' || c == '\'') {
    base::Slice s;
    return r_.string(&s);
  }
  const uint8_t* at = r_.position();
  Number n;
  std::string_view word;
  if (!r_.number(&n, &word)) return false;
  if (!n.negative || word.empty()) return true;
  auto is = [word](const char* s) {
    for (char w : word)
      if ((w | 0x20) != *s++) return false;
    return *s == 0;
  };
  return is("inf") || is("infinity") || is("nan") || r_.wrong_at(at, "expected a number");
}

bool Parser::skip_message() {
  char close;
  if (!open_brace(&close) || !enter()) return false;
  while (!r_.take(close)) {
    uint8_t c = r_.peek();
    Number n;
    std::string_view name;
    bool named = c == '[' ? bracket_name() : is_digit(c) ? r_.number(&n, &name) : r_.name(&name);
    if (!named || !skip_field()) return false;
    if (!r_.take(',')) (void)r_.take(';');
  }
  leave();
  return true;
}

}  // namespace zcrpc::text
