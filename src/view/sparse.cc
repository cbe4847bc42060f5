// Wide messages. While one is open it lies in a frame with a slot for every field; complete, it is stored packed: head,
// a bit for each field, and the slots of those that are set. A further piece spreads it out again.
#include <bit>

#include "view/context.h"

namespace zcrpc::view {
namespace {

uint8_t* frame_slot(const Table* t, uint8_t* m, uint32_t bit) { return m + t->message->size + 8 * bit; }

// Calls fn(bit) for each set bit, in order; fn may clear it.
template <class Fn>
void each_bit(const Table* t, const uint8_t* m, Fn fn) {
  for (uint32_t word = 0; word < t->message->presence_words; word++)
    for (auto bits = schema::load<uint32_t>(m + 12 + 4 * word); bits; bits &= bits - 1)
      fn(word * 32 + uint32_t(std::countr_zero(bits)));
}

// Fields that are as if they were absent need no slot: empty runs, and defaults without presence.
bool is_void(const Table* t, uint32_t bit, const uint8_t* slot) {
  if (bit >= t->message->fields.size()) return false;
  const schema::Field& f = t->message->fields[bit];
  if (f.repeated()) return schema::load<zcrpc_run>(slot).count == 0;
  if (f.presence || f.oneof || is_message(f.kind)) return false;
  if (is_string(f.kind)) return schema::load<zcrpc_str>(slot).len == 0;
  return schema::load<uint64_t>(slot) == 0;
}

}  // namespace

uint8_t* reopen_sparse(Context* c, const Table* t, uint32_t at) {
  uint8_t* m = open_scratch(c, t);
  if (!m) return nullptr;
  const uint8_t* packed = c->index + at;
  memcpy(m, packed, t->message->size);
  const uint8_t* from = packed + t->message->size;
  each_bit(t, m, [&](uint32_t bit) {
    memcpy(frame_slot(t, m, bit), from, 8);
    from += 8;
  });
  return m;
}

uint32_t pack_sparse(Context* c, uint32_t old) {
  const Table* t = c->walk.t;
  const uint32_t head = t->message->size;
  uint8_t* m = c->walk.m;
  uint32_t slots = 0;
  each_bit(t, m, [&](uint32_t bit) {
    if (is_void(t, bit, frame_slot(t, m, bit))) {
      uint8_t* word = m + 12 + 4 * (bit / 32);
      uint32_t v = schema::load<uint32_t>(word) & ~(1u << bit % 32);
      memcpy(word, &v, 4);
      memset(frame_slot(t, m, bit), 0, 8);
    } else {
      slots++;
    }
  });
  // What it took before serves again if it is as many slots.
  uint32_t place = old, before = 0;
  if (old) each_bit(t, c->index + old, [&](uint32_t) { before++; });
  if (!old || before != slots) {
    uint8_t* p = take(c, head + 8 * slots);
    if (!p) return 0;
    place = c->index_offset(p);
  }
  m = c->walk.m;
  uint8_t* out = c->index + place;
  const uint32_t id = head_of(m)->self;  // a stub, or where it was: whatever names it there is sent on
  if (id && id != place) head_at(c, id)->self = place;
  if (old && old != place) head_at(c, old)->self = place;
  memcpy(out, m, head);
  head_of(out)->self = place;
  uint8_t* to = out + head;
  each_bit(t, m, [&](uint32_t bit) {
    memcpy(to, frame_slot(t, m, bit), 8);
    memset(frame_slot(t, m, bit), 0, 8);
    to += 8;
  });
  memset(m, 0, head);
  close_scratch(c, t);
  return place;
}

}  // namespace zcrpc::view
