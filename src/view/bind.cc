// Tables from a schema: which field gets which fast op, and where the dispatcher finds it.
#include <new>

#include "view/context.h"

namespace zcrpc::view {
namespace {

using schema::Enum;
using schema::Field;
using schema::Kind;
using schema::Message;

// One or two bytes as they stand on the wire; 0: more.
uint16_t fast_tag(uint32_t tag) {
  if (tag < 0x80) return uint16_t(tag);
  if (tag < 0x4000) return uint16_t((tag & 0x7F) | 0x80 | tag >> 7 << 8);
  return 0;
}

// The numbers of an enum as bits; false: some do not fit.
bool members_of(const Enum* e, uint64_t* members) {
  *members = 0;
  for (const auto& v : e->values) {
    if (v.number < 0 || v.number > 63) return false;
    *members |= uint64_t(1) << v.number;
  }
  return true;
}

Op number_op(Kind k) {
  switch (k) {
    case Kind::kInt64: case Kind::kUint64: return Op::kV64;
    case Kind::kInt32: case Kind::kUint32: case Kind::kEnum: return Op::kV32;
    case Kind::kSint64: return Op::kS64;
    case Kind::kSint32: return Op::kS32;
    case Kind::kBool: return Op::kBool;
    case Kind::kDouble: case Kind::kFixed64: case Kind::kSfixed64: return Op::kF64;
    case Kind::kFloat: case Kind::kFixed32: case Kind::kSfixed32: return Op::kF32;
    default: return Op::kSlow;
  }
}

Op packed_op(Kind k) {
  switch (number_op(k)) {
    case Op::kV64: return Op::kPackedV64;
    case Op::kV32: return Op::kPackedV32;
    case Op::kS64: return Op::kPackedS64;
    case Op::kS32: return Op::kPackedS32;
    case Op::kBool: return Op::kPackedBool;
    case Op::kF64: return Op::kBorrow64;
    case Op::kF32: return Op::kBorrow32;
    default: return Op::kSlow;
  }
}

Op in_oneof(Op op) {
  switch (op) {
    case Op::kV64: return Op::kOneofV64;
    case Op::kV32: return Op::kOneofV32;
    case Op::kBool: return Op::kOneofBool;
    case Op::kF64: return Op::kOneofF64;
    case Op::kF32: return Op::kOneofF32;
    case Op::kString: return Op::kOneofString;
    case Op::kBytes: return Op::kOneofBytes;
    case Op::kMessage: return Op::kOneofMessage;
    default: return Op::kSlow;
  }
}

// The fast op of a field, if it has one.
Op op_of(const Field& f, Entry* e) {
  const bool plain_message = f.kind == Kind::kMessage && !f.message->sparse;
  if (f.is_map()) {
    const Message* m = f.message;
    if (m->fields[0].kind != Kind::kString || !is_string(m->fields[1].kind)) return Op::kSlow;
    if (m->fields[1].utf8) return m->fields[0].utf8 ? Op::kMapStrings : Op::kSlow;
    return m->fields[0].utf8 ? Op::kMapStringBytes : Op::kMapBytes;
  }
  if (f.repeated()) {
    if (is_message(f.kind)) return plain_message ? Op::kMessages : Op::kSlow;
    if (is_string(f.kind)) return f.utf8 ? Op::kStrings : Op::kBytesList;
    if (f.closed_enum) return Op::kSlow;
    if (f.packed) return packed_op(f.kind);
    switch (number_op(f.kind)) {
      case Op::kV64: return Op::kListV64;
      case Op::kV32: return Op::kListV32;
      default: return Op::kSlow;
    }
  }
  Op op = Op::kSlow;
  if (is_message(f.kind)) op = plain_message ? Op::kMessage : Op::kSlow;
  else if (is_string(f.kind)) op = f.utf8 ? Op::kString : Op::kBytes;
  // In a map's entry only slow code knows that a good value takes back what a stray one before it has said.
  else if (f.closed_enum) op = members_of(f.enumeration, &e->members) && !f.oneof && !f.parent->map_entry ? Op::kEnum : Op::kSlow;
  else op = number_op(f.kind);
  if (f.oneof) return f.parent->sparse ? Op::kSlow : in_oneof(op);
  return op;
}

void fill_entry(Entry* e, const Field& f, const Message* m, const Table* sub, const Dispatcher* d) {
  *e = {};
  e->op = f.extension ? Op::kSlow : op_of(f, e);
  if (sub) e->sub = sub;
  e->offset = m->sparse ? m->size + 8 * f.index : f.offset;
  e->number = f.number;
  e->case_offset = uint16_t(f.case_offset);
  e->index = uint16_t(f.index);
  e->tag = fast_tag(f.tag());
  e->bit = kNoBit;
  if (!m->map_entry && f.bit != ZCRPC_NO_BIT && !f.extension) {
    if (f.bit < kNoBit) e->bit = uint8_t(f.bit);
    else e->op = Op::kSlow;
  }
  if (e->tag == 0) e->op = Op::kSlow;
  e->handler = d->handler(e->op, e->tag_length());
}

bool fill_table(Table* t, const Message* m, const Dispatcher* d, base::Arena* arena, Table* const* tables) {
  const size_t n = m->fields.size(), known = m->extensions.size();
  auto* entries = arena->array<Entry>(n + known);
  if (!entries && n + known) return false;
  auto sub = [&](const Field& f) { return is_message(f.kind) ? tables[f.message->type_no] : nullptr; };
  for (size_t i = 0; i < n; i++) fill_entry(&entries[i], m->fields[i], m, sub(m->fields[i]), d);
  for (size_t i = 0; i < known; i++) {
    fill_entry(&entries[n + i], *m->extensions[i], m, sub(*m->extensions[i]), d);
    entries[n + i].index = uint16_t(i);
  }
  for (Entry& e : t->fast) {
    e = {};
    e.handler = d->miss();
    e.bit = kNoBit;
  }
  for (size_t i = 0; i < n; i++) {
    if (entries[i].op == Op::kSlow) continue;  // its handler does not look at the tag
    Entry& place = t->fast[(entries[i].tag & 0xFF) >> 3];
    if (place.tag == 0) place = entries[i];
  }
  t->sparse = m->sparse;
  t->entry = m->map_entry;
  t->extension_offset = !m->extendable() ? 0 : m->sparse ? m->size + 8 * uint32_t(n) : m->extension_slot;
  t->size = m->sparse ? m->size + 8 * uint32_t(n + m->extendable()) : m->size;
  t->type_no = m->type_no;
  t->message = m;
  t->entries = entries;
  t->extensions = known ? entries + n : nullptr;
  t->dense = m->dense.data();
  t->dense_size = uint32_t(m->dense.size());
  t->dispatcher = d;
  return true;
}

}  // namespace

base::Status bind_to(schema::Schema* s, const Dispatcher* d) {
  const size_t n = s->messages.size();
  auto** tables = s->arena.array<Table*>(n);
  auto* memory = static_cast<uint8_t*>(s->arena.alloc(n * sizeof(Table)));
  if (n && (!tables || !memory)) return base::Status::no_memory();
  for (size_t i = 0; i < n; i++) tables[i] = new (memory + i * sizeof(Table)) Table();
  for (size_t i = 0; i < n; i++) {
    if (!fill_table(tables[i], s->messages[i], d, &s->arena, tables)) return base::Status::no_memory();
    s->messages[i]->decoder = tables[i];
  }
  return {};
}

base::Status bind(schema::Schema* s) { return bind_to(s, best_dispatcher()); }

}  // namespace zcrpc::view
