// Records of the wire as the schema sees them: which field they belong to, and which are unknown, exactly as the decoder
// has it.
#include "encode/edit.h"

namespace zcrpc::encode {

using schema::Field;
using schema::Kind;
using schema::Message;
using wire::Type;

namespace {

// A number as it came, as schema::bits_at gives it.
uint64_t native(Kind k, uint64_t v) {
  switch (k) {
    case Kind::kBool: return v != 0;
    case Kind::kSint32: return uint64_t(int64_t(int32_t(uint32_t(v) >> 1 ^ (0 - (uint32_t(v) & 1)))));
    case Kind::kSint64: return uint64_t(wire::unzigzag(v));
    case Kind::kInt32: case Kind::kEnum: case Kind::kSfixed32: return uint64_t(int64_t(int32_t(v)));
    case Kind::kUint32: case Kind::kFixed32: case Kind::kFloat: return uint32_t(v);
    default: return v;
  }
}

// A map entry whose value is a number that its closed enum does not have is an unknown field as a whole.
bool is_stray_entry(const Field* map, base::Slice entry) {
  const Field* value = map->map_value();
  if (!value->closed_enum) return false;
  bool stray = false;
  for (const uint8_t* p = entry.begin(); p < entry.end();) {
    uint32_t tag;
    wire::Fault fault;
    const uint8_t *at, *from = wire::read_tag(p, entry.end(), &tag, &fault);
    uint64_t v;
    if (!from || !(p = wire::skip_value(from, entry.end(), tag, wire::kDeepest, &fault, &at))) return false;
    if (tag != wire::tag(2, Type::kVarint)) continue;
    if (wire::read_varint(from, entry.end(), &v, &fault)) stray = !value->enumeration->has(int32_t(v));
  }
  return stray;
}

// The item of a MessageSet in group form: the first id and the first message in it count.
void read_item(const Message* type, const uint8_t* p, const uint8_t* end, Record* r) {
  uint64_t id = 0;
  const uint8_t* message = nullptr;
  uint32_t size = 0;
  while (p < end) {
    uint32_t tag;
    wire::Fault fault;
    const uint8_t *at, *value = wire::read_tag(p, end, &tag, &fault);
    if (!value) return;
    if (tag == wire::tag(2, Type::kVarint) && !id) (void)wire::read_varint(value, end, &id, &fault);
    if (tag == wire::tag(3, Type::kLength) && !message) message = wire::read_length(value, end, &size, &fault);
    if (!(p = wire::skip_value(value, end, tag, wire::kDeepest, &fault, &at))) return;
  }
  if (!id || id > INT32_MAX || !message) return;
  r->number = uint32_t(id);
  r->field = type->extension(r->number);
  r->payload = message;
  r->size = size;
}

}  // namespace

const Field* field_of(const Message* type, uint32_t number) {
  const Field* f = type->by_number(number);
  return f ? f : type->extension(number);
}

bool next_record(const Message* type, const uint8_t* p, const uint8_t* end, Record* r) {
  uint32_t tag;
  wire::Fault fault;
  *r = Record();
  r->begin = p;
  const uint8_t* value = wire::read_tag(p, end, &tag, &fault);
  if (!value || wire::tag_type(tag) == Type::kEndGroup) return false;
  r->number = wire::tag_number(tag);
  const Type t = wire::tag_type(tag);
  uint64_t v = 0;
  switch (t) {
    case Type::kVarint:
      if (!(r->end = wire::read_varint(value, end, &v, &fault))) return false;
      break;
    case Type::kFixed32:
      if (end - value < 4) return false;
      v = wire::load_le<uint32_t>(value);
      r->end = value + 4;
      break;
    case Type::kFixed64:
      if (end - value < 8) return false;
      v = wire::load_le<uint64_t>(value);
      r->end = value + 8;
      break;
    case Type::kLength: {
      uint32_t n = 0;
      if (!(r->payload = wire::read_length(value, end, &n, &fault))) return false;
      r->size = n;
      r->end = r->payload + n;
      break;
    }
    default: {
      const uint8_t* bad;
      if (!(r->end = wire::skip_value(value, end, tag, wire::kDeepest, &fault, &bad))) return false;
      r->payload = value;
      r->size = size_t(r->end - value);
      // Without the end tag, which may have been written longer than it need be.
      for (const uint8_t* q = value; q < r->end;) {
        const uint8_t* next = wire::read_tag(q, r->end, &tag, &fault);
        if (!next) return false;
        if (wire::tag_type(tag) == Type::kEndGroup) {
          r->size = size_t(q - value);
          break;
        }
        if (!(q = wire::skip_value(next, r->end, tag, wire::kDeepest, &fault, &bad))) return false;
      }
      break;
    }
  }
  if (type->message_set && r->number == 1 && t == Type::kStartGroup) {
    read_item(type, r->payload, r->payload + r->size, r);
    return true;
  }
  const Field* f = field_of(type, r->number);
  if (!f) return true;
  if (t == schema::wire_type(f->kind)) {
    if (schema::is_packable(f->kind)) {
      r->bits = native(f->kind, v);
      if (f->closed_enum && !f->enumeration->has(int32_t(v))) return true;
    } else if (f->is_map() && is_stray_entry(f, {r->payload, r->size})) {
      return true;
    }
    r->field = f;
  } else if (t == Type::kLength && f->repeated() && schema::is_packable(f->kind)) {
    r->field = f;
    r->packed = true;
  }
  return true;
}

const uint8_t* next_packed(const Field* f, const uint8_t* p, const uint8_t* end, uint64_t* bits, bool* known) {
  wire::Fault fault;
  uint64_t v = 0;
  *known = true;
  switch (schema::wire_type(f->kind)) {
    case Type::kFixed32:
      if (end - p < 4) return nullptr;
      v = wire::load_le<uint32_t>(p);
      p += 4;
      break;
    case Type::kFixed64:
      if (end - p < 8) return nullptr;
      v = wire::load_le<uint64_t>(p);
      p += 8;
      break;
    default:
      p = wire::read_varint(p, end, &v, &fault);
      if (p && f->closed_enum) *known = f->enumeration->has(int32_t(v));
  }
  *bits = native(f->kind, v);
  return p;
}

bool entry_key(const Field* map, base::Slice entry, Key* key) {
  *key = Key();
  Record r;
  for (const uint8_t* p = entry.begin(); p < entry.end(); p = r.end) {
    if (!next_record(map->message, p, entry.end(), &r)) return false;
    if (r.field != map->map_key()) continue;
    key->bits = r.bits;
    key->text = r.payload ? base::Slice(r.payload, r.size) : base::Slice();
  }
  return true;
}

}  // namespace zcrpc::encode
