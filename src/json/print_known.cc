// The printer: well-known types, which have JSON forms of their own.
#include <bit>
#include <cmath>

#include "json/printer.h"

namespace zcrpc::json {

using schema::Kind;
using schema::WellKnown;

// The schema calls a message well known only if its fields are what they should be: numbered from 1, none besides.
bool Printer::known(View v, const Message* type) {
  switch (type->well_known) {
    case WellKnown::kAny: return any(v, type);
    case WellKnown::kTimestamp: return timestamp(v, type);
    case WellKnown::kDuration: return duration(v, type);
    case WellKnown::kFieldMask: return field_mask(v, type);
    case WellKnown::kStruct: return struct_value(v, type);
    case WellKnown::kValue: return dynamic_value(v, type);
    case WellKnown::kListValue: return list_value(v, type);
    default: return wrapper(v, type);
  }
}

// 0, 3, 6 or 9 digits behind a point.
void Printer::nanos(int32_t n) {
  if (n == 0) return;
  auto u = uint32_t(n);
  out_.put('.');
  if (u % 1'000'000 == 0) return out_.padded(u / 1'000'000, 3);
  if (u % 1'000 == 0) return out_.padded(u / 1'000, 6);
  out_.padded(u, 9);
}

bool Printer::timestamp(View v, const Message* type) {
  auto seconds = int64_t(schema::number(v, &type->fields[0]));
  auto nano = int32_t(schema::number(v, &type->fields[1]));
  if (seconds < kMinTimestamp || seconds > kMaxTimestamp || nano < 0 || nano > kMaxNanos)
    return fail("a timestamp outside of the years 1 to 9999, or with wrong nanos");
  int64_t days = (seconds >= 0 ? seconds : seconds - 86399) / 86400;
  auto second = uint32_t(seconds - days * 86400);
  Civil c = civil_from_days(days);
  out_.put('"');
  out_.padded(uint32_t(c.year), 4);
  out_.put('-');
  out_.padded(c.month, 2);
  out_.put('-');
  out_.padded(c.day, 2);
  out_.put('T');
  out_.padded(second / 3600, 2);
  out_.put(':');
  out_.padded(second / 60 % 60, 2);
  out_.put(':');
  out_.padded(second % 60, 2);
  nanos(nano);
  out_.text("Z\"");
  return true;
}

bool Printer::duration(View v, const Message* type) {
  auto seconds = int64_t(schema::number(v, &type->fields[0]));
  auto nano = int32_t(schema::number(v, &type->fields[1]));
  if (seconds < -kMaxDuration || seconds > kMaxDuration || nano < -kMaxNanos || nano > kMaxNanos)
    return fail("a duration beyond 315,576,000,000 seconds, or with wrong nanos");
  if ((seconds < 0 && nano > 0) || (seconds > 0 && nano < 0)) return fail("a duration whose seconds and nanos differ in sign");
  out_.put('"');
  if (seconds < 0 || nano < 0) out_.put('-');
  out_.integer(seconds < 0 ? -seconds : seconds);
  nanos(nano < 0 ? -nano : nano);
  out_.text("s\"");
  return true;
}

bool Printer::field_mask(View v, const Message* type) {
  const Field* f = &type->fields[0];
  schema::Elements e;
  if (const uint8_t* slot = present(v, f)) e = elements(f, slot);
  out_.put('"');
  for (uint32_t i = 0; i < e.count; i++) {
    if (i) out_.put(',');
    if (!mask_path(e.string(i))) return false;
  }
  out_.put('"');
  return true;
}

// snake_case to lowerCamel; only what comes back the same: lower case, digits, and an underscore before a letter alone.
bool Printer::mask_path(base::Slice path) {
  if (path.empty()) return fail("an empty path in a field mask");
  if (!out_.room(path.size)) return false;
  bool upper = false;
  for (uint8_t c : path) {
    bool letter = c >= 'a' && c <= 'z';
    if (upper) {
      if (!letter) break;
      out_.put(char(c - 'a' + 'A'));
      upper = false;
    } else if (c == '_') {
      upper = true;
    } else if (letter || (c >= '0' && c <= '9') || c == '.') {
      out_.put(char(c));
    } else {
      upper = true;
      break;
    }
  }
  return !upper || fail("a field mask's path that does not come back from lowerCamel");
}

bool Printer::struct_value(View v, const Message* type) {
  const Field* f = &type->fields[0];
  const uint8_t* slot = present(v, f);
  if (!slot) {
    out_.text("{}");
    return true;
  }
  schema::Step *up = at_, step{up};
  at_ = &step;
  bool good = map(f, slot);
  at_ = up;
  return good;
}

bool Printer::list_value(View v, const Message* type) {
  const Field* f = &type->fields[0];
  const uint8_t* slot = present(v, f);
  if (!slot) {
    out_.text("[]");
    return true;
  }
  schema::Step *up = at_, step{up};
  at_ = &step;
  bool good = list(f, slot);
  at_ = up;
  return good;
}

bool Printer::dynamic_value(View v, const Message* type) {
  for (const Field& f : type->fields) {
    const uint8_t* slot = present(v, &f);
    if (!slot) continue;
    if (f.number == 1) {
      out_.text("null");
      return true;
    }
    if (f.kind == Kind::kDouble && !std::isfinite(std::bit_cast<double>(schema::bits_at(f.kind, slot))))
      return fail("NaN and infinity have no JSON form in a Value");
    return value(&f, slot);
  }
  return fail("a Value without a kind has no JSON form");
}

bool Printer::wrapper(View v, const Message* type) {
  const Field* f = &type->fields[0];
  return schema::is_string(f->kind) ? text(f, schema::string(v, f)) : number(f, schema::number(v, f));
}

bool Printer::any(View v, const Message* type) {
  base::Slice url = schema::string(v, &type->fields[0]), bytes = schema::string(v, &type->fields[1]);
  if (url.empty() && bytes.empty()) {
    out_.text("{}");
    return true;
  }
  size_t slash = url.text().rfind('/');
  if (slash == std::string_view::npos) return fail("the type URL of an Any without a slash");
  const Message* inner = type->schema->message(url.text().substr(slash + 1));
  if (!inner) return fail("the schema has no type of that Any");
  base::Arena arena;
  const view::AnyBudget before = anys_;
  auto decoded = anys_.take(inner, bytes, o_.max_depth - depth_, &arena);
  if (!decoded.ok()) {
    if (status_.ok()) status_ = schema::with_path(decoded.take_status(), at_);
    return false;
  }
  const uint8_t *input = input_, *index = index_, *safe = safe_;
  start(*decoded);
  bool good = any_value(*decoded, inner, url);
  input_ = input;
  index_ = index;
  safe_ = safe;
  anys_ = before;
  return good;
}

bool Printer::any_value(View v, const Message* type, base::Slice url) {
  bool first = true;
  open('{');
  next(&first);
  name("@type");
  out_.quoted(url);
  // Those that are no objects of their own lie under "value".
  if (type->well_known != WellKnown::kNone) {
    next(&first);
    name("value");
    if (!message(v, type)) return false;
  } else if (!members(v, type, &first)) {
    return false;
  }
  close('}', false);
  return true;
}

}  // namespace zcrpc::json
