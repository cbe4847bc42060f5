// Layout 1: where each field lies in an index. The rules are written up in docs/layout.md; they are part of the ABI, so
// nothing here may change without a new number.
#include <algorithm>
#include <bit>

#include "schema/builder.h"

namespace zcrpc::schema {
namespace {

// Above this a message with few fields set would cost too much of the arena budget, and is stored packed.
constexpr uint32_t kWidestPlain = 192;
constexpr uint32_t kHead = sizeof(zcrpc_head);

constexpr uint32_t round8(uint32_t n) { return (n + 7) & ~7u; }

uint32_t width_of(const Field& f) { return f.repeated() ? 8 : slot_width(f.kind); }

bool has_bit(const Field& f) { return f.presence && !is_message(f.kind) && !f.oneof && !f.repeated(); }

uint32_t widest(const Oneof& o) {
  uint32_t w = 1;
  for (const Field* f : o.fields) w = std::max(w, slot_width(f->kind));
  return w;
}

// All slots of one width, in ascending order of field numbers; returns the offset behind them.
uint32_t place(Message* m, uint32_t width, uint32_t at) {
  for (Field& f : fields_of(m)) {
    if (!f.oneof) {
      if (width_of(f) != width) continue;
      f.offset = at;
      at += width;
      continue;
    }
    // A oneof stands where its lowest member does: the case word, then the value.
    auto* o = const_cast<Oneof*>(f.oneof);
    if (o->fields[0] != &f) continue;
    if (width == 4) {
      o->case_offset = at;
      at += 4;
    }
    if (widest(*o) == width) {
      o->value_offset = at;
      at += width;
    }
  }
  if (width == 8 && m->extendable()) {
    m->extension_slot = at;
    at += 8;
  }
  return at;
}

void lay_out_plain(Message* m) {
  uint32_t bits = 0;
  for (Field& f : fields_of(m)) f.bit = has_bit(f) ? uint16_t(bits++) : uint16_t(ZCRPC_NO_BIT);
  m->presence_words = std::max(1u, (bits + 31) / 32);
  uint32_t at = round8(kHead + 4 * (m->presence_words - 1));
  for (uint32_t width : {8u, 4u, 1u}) at = place(m, width, at);
  m->size = round8(at);
  for (Field& f : fields_of(m)) {
    if (!f.oneof) continue;
    f.offset = f.oneof->value_offset;
    f.case_offset = f.oneof->case_offset;
  }
}

// A bit for each field, the extensions' behind them, and slots of 8 bytes for those that are set.
void lay_out_sparse(Message* m) {
  m->sparse = true;
  for (Field& f : fields_of(m)) {
    f.bit = uint16_t(f.index);
    f.offset = f.case_offset = 0;
  }
  for (Oneof& o : oneofs_of(m)) o.case_offset = o.value_offset = 0;
  auto bits = uint32_t(m->fields.size()) + m->extendable();
  m->presence_words = std::max(1u, (bits + 31) / 32);
  m->size = round8(kHead + 4 * (m->presence_words - 1));
  m->extension_slot = 0;
}

// Key and value side by side, the wider first.
void lay_out_entry(Message* m) {
  Field &key = fields_of(m)[0], &value = fields_of(m)[1];
  uint32_t k = slot_width(key.kind), v = slot_width(value.kind), wide = std::max(k, v);
  (v > k ? key : value).offset = wide;
  m->size = 2 * wide;  // a narrow slot behind a wide one fills up to the wide one's alignment
  m->presence_words = 0;
}

void lay_out_message(Message* m) {
  if (m->map_entry) return lay_out_entry(m);
  lay_out_plain(m);
  if (m->size > kWidestPlain) lay_out_sparse(m);
}

void set_stride(Field* f) {
  if (!f->repeated()) return;
  if (is_message(f->kind))
    f->stride = f->message->sparse ? 4 : f->message->size;
  else
    f->stride = slot_width(f->kind);
}

}  // namespace

void Builder::lay_out() {
  for (const MessageItem& i : messages_) lay_out_message(i.message);
  for (const MessageItem& i : messages_)
    for (Field& f : fields_of(i.message)) set_stride(&f);
  for (const ExtensionItem& i : extensions_) set_stride(i.decl->field);
}

}  // namespace zcrpc::schema
