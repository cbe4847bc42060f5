// The parser: well-known types, which have JSON forms of their own.
#include "json/parser.h"
#include "wire/scan.h"

namespace zcrpc::json {

using base::Code;
using schema::WellKnown;

// The schema calls a message well known only if its fields are what they should be: numbered from 1, none besides.
bool Parser::known(const Message* type) {
  switch (type->well_known) {
    case WellKnown::kAny: return any(type);
    case WellKnown::kTimestamp: return timestamp(type, false);
    case WellKnown::kDuration: return timestamp(type, true);
    case WellKnown::kFieldMask: return field_mask(type);
    case WellKnown::kStruct: return struct_value(type);
    case WellKnown::kValue: return dynamic_value(type);
    case WellKnown::kListValue: return list_value(type);
    default: return wrapper(type);
  }
}

bool Parser::timestamp(const Message* type, bool is_duration) {
  const Field *s = &type->fields[0], *n = &type->fields[1];
  r_.skip_space();
  const uint8_t* at = r_.position();
  std::string_view text;
  if (!r_.string(&text)) return false;
  int64_t seconds;
  int32_t nanos;
  const char* fault = is_duration ? read_duration(text, &seconds, &nanos) : read_timestamp(text, &seconds, &nanos);
  if (fault) return r_.wrong_at(at, fault);
  if (seconds) encode::put_number(e_, s, uint64_t(seconds));
  if (nanos) encode::put_number(e_, n, uint64_t(int64_t(nanos)));
  return true;
}

bool Parser::field_mask(const Message* type) {
  const Field* f = &type->fields[0];
  r_.skip_space();
  const uint8_t* at = r_.position();
  std::string_view text;
  if (!r_.string(&text)) return false;
  if (text.empty()) return true;
  for (;;) {
    size_t comma = text.find(',');
    if (!mask_path(f, at, text.substr(0, comma))) return false;
    if (comma == std::string_view::npos) return true;
    text.remove_prefix(comma + 1);
  }
}

// lowerCamel to snake_case: names of letters and digits with dots between.
bool Parser::mask_path(const Field* f, const uint8_t* at, std::string_view path) {
  bytes_.clear();
  if (!bytes_.reserve(path.size() * 2)) return r_.wrong_at(at, "no memory", Code::kResourceExhausted);
  uint8_t *to = bytes_.data(), before = '.';
  for (char c : path) {
    bool upper = c >= 'A' && c <= 'Z', lower = c >= 'a' && c <= 'z', digit = c >= '0' && c <= '9';
    if (!upper && !lower && !(before == '.' ? false : digit || c == '.')) return r_.wrong_at(at, "expected a field mask such as foo,barBaz");
    if (upper) *to++ = '_';
    *to++ = uint8_t(upper ? c - 'A' + 'a' : c);
    before = uint8_t(c);
  }
  if (before == '.') return r_.wrong_at(at, "expected a field mask such as foo,barBaz");
  encode::put_bytes(e_, f, {bytes_.data(), size_t(to - bytes_.data())});
  return true;
}

bool Parser::struct_value(const Message* type) {
  schema::Step *up = at_, step{up};
  at_ = &step;
  bool success = note(map(&type->fields[0]));
  at_ = up;
  return success;
}

bool Parser::list_value(const Message* type) {
  schema::Step *up = at_, step{up};
  at_ = &step;
  bool success = note(list(&type->fields[0]));
  at_ = up;
  return success;
}

bool Parser::dynamic_value(const Message* type) {
  uint64_t bits = 0;
  switch (r_.peek()) {
    case Token::kNull:
      if (!r_.null()) return false;
      encode::put_number(e_, &type->fields[0], 0);
      return true;
    case Token::kNumber:
      if (!floating(true, &bits)) return false;
      encode::put_number(e_, &type->fields[1], bits);
      return true;
    case Token::kString: return element(&type->fields[2]);
    case Token::kTrue: case Token::kFalse: return element(&type->fields[3]);
    case Token::kObject: return sub_message(&type->fields[4]);
    case Token::kArray: return sub_message(&type->fields[5]);
    default: return r_.wrong("expected a value");
  }
}

bool Parser::wrapper(const Message* type) { return singular(&type->fields[0]); }

// "@type" decides how the rest is read, and may come anywhere: found in a first pass, unless it leads.
bool Parser::any(const Message* type) {
  if (!r_.enter_object()) return false;
  Reader::Mark start = r_.mark();
  base::Slice url;
  bool empty;
  if (!any_type(&url, &empty)) return false;
  if (empty) return true;
  size_t slash = url.text().rfind('/');
  if (slash == std::string_view::npos || slash + 1 == url.size) return r_.wrong_at(start.p, "the \"@type\" of an Any has no type behind a slash");
  std::string_view name = url.text().substr(slash + 1);
  const Message* inner = type->schema->message(name);
  if (!inner) return r_.wrong_named(start.p, "no type", name, " in the schema", "");
  encode::put_bytes(e_, &type->fields[0], url);
  r_.rewind(start);
  if (!enter()) return false;
  encode::begin_packed(e_, &type->fields[1]);  // bytes, but a length and what follows all the same
  if (!(inner->well_known == WellKnown::kNone ? members(inner, true) : any_value(inner))) return false;
  encode::end(e_);
  leave();
  return true;
}

bool Parser::any_type(base::Slice* url, bool* empty) {
  const uint8_t* start = r_.position();
  std::string_view name, value;
  *empty = true;
  while (r_.next_member(&name)) {
    *empty = false;
    if (name == "@type") {
      if (!r_.string(&value)) return false;
      *url = base::Slice(value);
      auto again = size_t(r_.position() - start);
      if (again > rescans_) return r_.wrong("too much before the \"@type\" of nested Anys", Code::kResourceExhausted);
      rescans_ -= again;
      return true;
    }
    if (!r_.skip_value()) return false;
  }
  return r_.ok() && (*empty || r_.wrong_at(start, "an Any without \"@type\""));
}

// What is no object of its own lies under "value".
bool Parser::any_value(const Message* type) {
  std::string_view name;
  bool typed = false, found = false;
  while (r_.member_comes()) {
    const uint8_t* at = r_.position() - 1;
    if (!r_.name(&name)) return false;
    bool is_type = name == "@type", is_value = name == "value";
    if ((is_type && typed) || (is_value && found)) return r_.wrong_at(at, "the field comes twice");
    if (!is_type && !is_value) {
      if (!unknown(type, at, name)) return false;
      continue;
    }
    if (!r_.colon()) return false;
    if (is_type ? !r_.string(&name) : !message(type)) return false;
    (is_type ? typed : found) = true;
  }
  if (!r_.ok()) return false;
  return found || type->well_known == WellKnown::kEmpty || r_.wrong("an Any of a well-known type without \"value\"");
}

}  // namespace zcrpc::json
