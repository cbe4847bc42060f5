// The printer: fields that the schema does not know, by number.
#include "base/utf8.h"
#include "text/printer.h"
#include "wire/wire.h"

namespace zcrpc::text {

using wire::Type;

namespace {

// How deep bytes are taken for messages because they could be. Each level is looked at once more.
constexpr uint32_t kGuesses = 10;

bool could_be_message(base::Slice s) {
  const uint8_t* p = s.data;
  while (p < s.end()) {
    uint32_t tag;
    wire::Fault fault;
    const uint8_t* at;
    p = wire::read_tag(p, s.end(), &tag, &fault);
    if (!p || wire::tag_type(tag) == Type::kEndGroup) return false;
    p = wire::skip_value(p, s.end(), tag, kGuesses, &fault, &at);
    if (!p) return false;
  }
  return !s.empty();
}

}  // namespace

bool Printer::unknown(View v) {
  base::Slice input = {schema::input_of(v), schema::index_of(v)->input_len};
  for (const zcrpc_range& r : schema::unknown(v)) {
    const uint8_t* p = input.data + r.offset;
    if (r.number) {  // a bare number that a closed enum does not know
      uint64_t n = 0;
      wire::Fault fault;
      if (!wire::read_varint(p, p + r.len, &n, &fault)) continue;
      next();
      out_.integer(r.number);
      out_.text(": ");
      out_.integer(int32_t(n));
    } else if (!unknown_fields(p, p + r.len, kGuesses)) {
      return false;
    }
  }
  return out_.ok();
}

// Up to `end`, or through the end tag of the group that p is within. The bytes were checked.
const uint8_t* Printer::unknown_fields(const uint8_t* p, const uint8_t* end, uint32_t levels) {
  while (p < end && out_.ok()) {
    uint32_t tag, len;
    uint64_t n;
    wire::Fault fault;
    p = wire::read_tag(p, end, &tag, &fault);
    if (!p) break;
    Type type = wire::tag_type(tag);
    if (type == Type::kEndGroup) return p;
    next();
    out_.integer(wire::tag_number(tag));
    switch (type) {
      case Type::kVarint:
        p = wire::read_varint(p, end, &n, &fault);
        out_.text(": ");
        if (p) out_.integer(n);
        break;
      case Type::kFixed32:
        out_.text(": ");
        out_.hex(wire::load_le<uint32_t>(p), 8);
        p += 4;
        break;
      case Type::kFixed64:
        out_.text(": ");
        out_.hex(wire::load_le<uint64_t>(p), 16);
        p += 8;
        break;
      case Type::kLength:
        p = wire::read_length(p, end, &len, &fault);
        if (!p || !unknown_length({p, len}, levels)) return nullptr;
        p += len;
        break;
      default:
        if (!enter()) return nullptr;
        open();
        p = unknown_fields(p, end, levels ? levels - 1 : 0);
        close();
        leave();
        break;
    }
    if (!p) break;
  }
  return out_.ok() ? p : nullptr;
}

bool Printer::unknown_length(base::Slice s, uint32_t levels) {
  if (levels == 0 || !could_be_message(s)) {
    out_.text(": ");
    out_.quoted(s, base::utf8_valid(s.data, s.size));
    return true;
  }
  if (!enter()) return false;
  open();
  bool good = unknown_fields(s.data, s.end(), levels - 1) != nullptr;
  close();
  leave();
  return good;
}

}  // namespace zcrpc::text
