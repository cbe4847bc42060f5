// put_fields and encoded_size: one walk over a view, for two kinds of output, so that size and bytes cannot disagree.
// Nested messages lie on a stack of our own.
#include <algorithm>
#include <bit>

#include "encode/output.h"
#include "encode/same.h"

namespace zcrpc::encode {

using base::Code;
using base::Slice;
using base::Status;
using schema::Field;
using schema::Kind;
using schema::MaskNode;
using schema::Message;
using schema::View;

namespace {

template <class T>
T load(const uint8_t* p) {
  return schema::load<T>(p);
}

constexpr uint32_t kItemStart = 1 << 3 | 3, kItemEnd = 1 << 3 | 4, kItemType = 2 << 3, kItemMessage = 3 << 3 | 2;

// Bytes of the length prefix that a sub-message came with: a good guess of the one it will get.
uint8_t prefix_guess(View v, const uint8_t* input) {
  if (v->type_no & (ZCRPC_HEAD_MERGED | ZCRPC_HEAD_GROUP | ZCRPC_HEAD_ROOT)) return 2;
  const uint8_t* q = input + v->start;
  if (q[0] < 0x80) [[likely]]
    return 1;
  uint64_t n = 0;
  for (unsigned shift = 0; shift < 35; shift += 7, q++) {
    n |= uint64_t(*q & 0x7F) << shift;
    if (*q < 0x80) break;
  }
  size_t size = wire::varint_size(n);
  return uint8_t(size < 5 ? size : 5);
}

// ---- The walk

template <class Out>
class Walk {
 public:
  using Pos = typename Out::Pos;
  // order: maps are sorted by key, with its help; nullptr: as they lie. named: as Level::named.
  Walk(Out out, Levels& levels, View root, base::Vec<uint32_t>* order = nullptr, const MaskNode* named = nullptr)
      : out_(out), levels_(levels), order_(order), named_(inside(named)), input_(schema::input_of(root)), index_(reinterpret_cast<const uint8_t*>(schema::index_of(root))) {}

  // Less than all was written if the output failed, or if no_memory().
  Pos run(Pos p, View root);
  bool no_memory() const { return no_memory_; }

 private:
  bool enter(View v, const Message* m, Level::Close close, const MaskNode* named);
  static const MaskNode* inside(const MaskNode* node) { return node && !node->whole ? node : nullptr; }
  // Of what a field that is named has in it, what is.
  static const MaskNode* inside(const Level* l, const Field* f) { return l->named ? inside(l->named->child(f->number)) : nullptr; }
  void find_extensions(Level* l, const Message* m);
  Pos fields(Pos p);
  Pos all_fields(Pos p);
  [[gnu::always_inline]] inline Pos field(const Out& out, Pos p, const Field* f, const uint8_t* slot, bool explicitly);
  Pos message(Pos p, const Field* f, View child);
  Pos item(Pos p, const Field* f, View child);
  Pos next_element(Pos p);
  Pos next_entry(Pos p);
  Pos repeated(Pos p, const Field* f, const uint8_t* slot);
  Pos packed(Pos p, const Field* f, const uint8_t* data, uint32_t n, bool borrowed);
  Pos map(Pos p, const Field* f, const zcrpc_run& run);
  bool sort(const Field* f, const uint8_t* first, uint32_t n);
  [[gnu::always_inline]] inline Pos entry(const Out& out, Pos p, const Field* f, const uint8_t* at);
  Pos unknown(Pos p, View v);
  Pos leave(Pos p);
  Slice text(const uint8_t* slot) const {
    auto r = load<zcrpc_str>(slot);
    return {input_ + r.offset, r.len};
  }
  // Size and bytes of a map's key, or value if it is no message.
  size_t scalar_size(const Field* f, const uint8_t* slot) const {
    if (!schema::is_string(f->kind)) return 1 + value_size(f->kind, schema::bits_at(f->kind, slot));
    size_t n = load<zcrpc_str>(slot).len;
    return 1 + wire::varint_size(n) + n;
  }
  Pos scalar(const Out& out, Pos p, const Field* f, const uint8_t* slot) {
    if (schema::is_string(f->kind)) return out.string(p, length_tag(f), text(slot));
    return out.value(out.tag(p, element_tag(f)), f->kind, schema::bits_at(f->kind, slot));
  }

  const Out out_;
  Levels& levels_;
  base::Vec<uint32_t>* order_;
  const MaskNode* named_;
  const uint8_t* input_;
  const uint8_t* index_;
  Level* l_ = nullptr;   // the innermost
  bool turn_ = false;    // a message was entered, or a run of them begun: back to the main loop
  bool no_memory_ = false;
};

template <class Out>
bool Walk<Out>::enter(View v, const Message* m, Level::Close close, const MaskNode* named) {
  Level* l = levels_.push();
  turn_ = true;
  if (!l) {
    no_memory_ = true;
    return false;
  }
  l->v = v;
  l->named = named;
  l->f = m->fields.data();
  l->f_end = l->f + m->fields.size();
  l->ext = l->ext_end = nullptr;
  l->sparse = m->sparse;
  if (m->extendable()) find_extensions(l, m);
  l->run_left = 0;
  l->close = close;
  l_ = l;
  out_.mark(l);
  return true;
}

template <class Out>
void Walk<Out>::find_extensions(Level* l, const Message* m) {
  const uint8_t* at = schema::bytes_of(l->v);
  if (m->sparse) {  // the last bit of the bitmap is theirs
    auto bit = uint32_t(m->fields.size());
    if (!schema::bit_of(l->v, bit)) return;
    at += m->size + 8 * schema::sparse_rank(l->v, bit);
  } else {
    at += m->extension_slot;
  }
  auto run = load<zcrpc_run>(at);
  l->ext = index_ + run.offset;
  l->ext_end = l->ext + run.count * sizeof(zcrpc_ext);
}

template <class Out>
typename Out::Pos Walk<Out>::run(Pos p, View root) {
  (void)enter(root, schema::type_of(root), Level::kRoot, named_);
  while (l_ && !no_memory_ && !out_.failed()) {
    if (l_->run_left) {
      p = l_->run->is_map() ? next_entry(p) : next_element(p);
      continue;
    }
    turn_ = false;
    p = l_->ext == l_->ext_end && !l_->sparse ? fields(p) : all_fields(p);
    if (turn_) continue;
    if (l_->v->type_no & ZCRPC_HEAD_UNKNOWN) p = unknown(p, l_->v);
    p = leave(p);
  }
  return p;
}

// Writes the fields of a plain message until another has to be entered.
template <class Out>
typename Out::Pos Walk<Out>::fields(Pos p) {
  Level* const l = l_;
  const Out out = out_;
  const uint8_t* const m = schema::bytes_of(l->v);
  const Field* const end = l->f_end;
  for (const Field* f = l->f; f != end; f++) {
    bool explicitly = f->presence;
    if (f->case_offset) {
      if (load<uint32_t>(m + f->case_offset) != f->number || (l->named && !l->named->child(f->number))) continue;
      explicitly = true;
    } else if (f->bit != ZCRPC_NO_BIT && !schema::bit_of(l->v, f->bit)) {
      continue;
    }
    if (f->shape == schema::Shape::kSingular && !schema::is_message(f->kind)) {
      p = field(out, p, f, m + f->offset, explicitly);
      continue;
    }
    l->f = f + 1;
    p = field(out, p, f, m + f->offset, explicitly);
    if (turn_) return p;
  }
  l->f = end;
  return p;
}

// With extensions, or of a message that is stored sparsely: in ascending order.
template <class Out>
typename Out::Pos Walk<Out>::all_fields(Pos p) {
  Level* const l = l_;
  const Out out = out_;
  while (!turn_) {
    if (l->ext != l->ext_end && (l->f == l->f_end || load<uint32_t>(l->ext) < l->f->number)) {
      const Field* f = schema::type_of(l->v)->extension(load<uint32_t>(l->ext));
      const uint8_t* slot = l->ext + offsetof(zcrpc_ext, value);
      l->ext += sizeof(zcrpc_ext);
      if (f) p = field(out, p, f, slot, true);
    } else if (l->f != l->f_end) {
      const Field* f = l->f++;
      const uint8_t* slot = schema::slot_of(l->v, f);
      if (!slot || (!f->case_offset && f->bit != ZCRPC_NO_BIT && !schema::bit_of(l->v, f->bit))) continue;
      if (l->named && f->oneof && !l->named->child(f->number)) continue;
      p = field(out, p, f, slot, f->presence || f->oneof);
    } else {
      break;
    }
  }
  return p;
}

// One field whose slot is there. explicitly: it is written even if it holds its default.
template <class Out>
typename Out::Pos Walk<Out>::field(const Out& out, Pos p, const Field* f, const uint8_t* slot, bool explicitly) {
  if (f->shape != schema::Shape::kSingular) return repeated(p, f, slot);
  const uint32_t number = f->number << 3;
  switch (f->kind) {
    case Kind::kString:
    case Kind::kBytes: {
      auto r = load<zcrpc_str>(slot);
      if (!r.len && !explicitly) return p;
      return out.string(p, number | 2, {input_ + r.offset, r.len});
    }
    case Kind::kGroup:
    case Kind::kMessage: {
      auto at = load<uint32_t>(slot);
      if (!at || (at & ZCRPC_ELSEWHERE)) return p;
      return message(p, f, reinterpret_cast<View>(index_ + at));
    }
    case Kind::kInt64:
    case Kind::kUint64: {
      auto v = load<uint64_t>(slot);
      return v || explicitly ? out.number(p, number, v) : p;
    }
    case Kind::kInt32:
    case Kind::kEnum: {
      auto v = load<int32_t>(slot);
      return v || explicitly ? out.number(p, number, uint64_t(int64_t(v))) : p;
    }
    case Kind::kUint32: {
      auto v = load<uint32_t>(slot);
      return v || explicitly ? out.number(p, number, v) : p;
    }
    case Kind::kBool:
      return *slot || explicitly ? out.number(p, number, *slot) : p;
    case Kind::kSint32: {
      auto v = load<int32_t>(slot);
      return v || explicitly ? out.number(p, number, wire::zigzag(v)) : p;
    }
    case Kind::kSint64: {
      auto v = load<int64_t>(slot);
      return v || explicitly ? out.number(p, number, wire::zigzag(v)) : p;
    }
    case Kind::kFloat:
    case Kind::kFixed32:
    case Kind::kSfixed32: {
      auto v = load<uint32_t>(slot);
      return v || explicitly ? out.fixed32(p, number | 5, v) : p;
    }
    case Kind::kDouble:
    case Kind::kFixed64:
    case Kind::kSfixed64: {
      auto v = load<uint64_t>(slot);
      return v || explicitly ? out.fixed64(p, number | 1, v) : p;
    }
  }
  return p;
}

template <class Out>
typename Out::Pos Walk<Out>::message(Pos p, const Field* f, View child) {
  if (f->extension && f->parent->message_set) return item(p, f, child);
  bool group = f->kind == Kind::kGroup;
  p = out_.tag(p, element_tag(f));
  if (!enter(child, f->message, group ? Level::kGroup : Level::kLength, inside(l_, f))) return p;
  if (group) {
    l_->end_tag = wire::tag(f->number, wire::Type::kEndGroup);
    return p;
  }
  return out_.open(p, &l_->at, &l_->guess, prefix_guess(child, input_));
}

// A MessageSet's item: group 1 { type id = 2, message = 3 }.
template <class Out>
typename Out::Pos Walk<Out>::item(Pos p, const Field* f, View child) {
  p = out_.tag(p, kItemStart);
  p = out_.number(p, kItemType, f->number);
  p = out_.tag(p, kItemMessage);
  if (!enter(child, f->message, Level::kItem, inside(l_, f))) return p;
  return out_.open(p, &l_->at, &l_->guess, prefix_guess(child, input_));
}

// Repeated fields and maps. Of messages only the run is noted: they are entered one by one.
template <class Out>
typename Out::Pos Walk<Out>::repeated(Pos p, const Field* f, const uint8_t* slot) {
  auto run = load<zcrpc_run>(slot);
  if (!run.count) return p;
  bool borrowed = run.offset & ZCRPC_ELSEWHERE;
  const uint8_t* data = borrowed ? input_ + (run.offset & ~ZCRPC_ELSEWHERE) : index_ + run.offset;
  if (schema::is_message(f->is_map() ? f->map_value()->kind : f->kind)) {
    l_->run = f;
    l_->run_at = data;
    l_->run_left = run.count;
    turn_ = true;
    if (order_ && f->is_map()) {
      l_->run_order = uint32_t(order_->size());
      (void)sort(f, data, run.count);
    }
    return p;
  }
  if (f->is_map()) return map(p, f, run);
  if (schema::is_string(f->kind)) {
    uint32_t t = length_tag(f);
    for (uint32_t i = 0; i < run.count; i++) p = out_.string(p, t, text(data + size_t(i) * sizeof(zcrpc_str)));
    return p;
  }
  if (f->packed) return packed(p, f, data, run.count, borrowed);
  uint32_t t = element_tag(f);
  uint32_t width = schema::slot_width(f->kind);
  for (uint32_t i = 0; i < run.count; i++) {
    const uint8_t* at = data + size_t(i) * width;
    uint64_t bits = borrowed ? schema::Elements::wire_bits(f->kind, at) : schema::bits_at(f->kind, at);
    p = out_.value(out_.tag(p, t), f->kind, bits);
  }
  return p;
}

template <class Out>
typename Out::Pos Walk<Out>::packed(Pos p, const Field* f, const uint8_t* data, uint32_t n, bool borrowed) {
  uint32_t wire = kWireOf[uint8_t(f->kind)];
  uint32_t width = schema::slot_width(f->kind);
  p = out_.tag(p, length_tag(f));
  if (wire == 1 || wire == 5 || width == 1) {
    size_t bytes = size_t(n) * width;
    p = out_.varint(p, bytes);
    if (borrowed || width == 1 || std::endian::native == std::endian::little) return out_.raw(p, {data, bytes});
    for (uint32_t i = 0; i < n; i++) p = out_.value(p, f->kind, schema::bits_at(f->kind, data + size_t(i) * width));
    return p;
  }
  size_t bytes = 0;
  for (uint32_t i = 0; i < n; i++) bytes += value_size(f->kind, schema::bits_at(f->kind, data + size_t(i) * width));
  p = out_.varint(p, bytes);
  if constexpr (!Out::kWrites) return p + bytes;
  for (uint32_t i = 0; i < n; i++) p = out_.value(p, f->kind, schema::bits_at(f->kind, data + size_t(i) * width));
  return p;
}

// A map without messages: the length of each entry is known before it is written.
template <class Out>
typename Out::Pos Walk<Out>::map(Pos p, const Field* f, const zcrpc_run& run) {
  const Field *key = f->map_key(), *value = f->map_value();
  uint32_t t = length_tag(f), stride = f->stride;
  uint32_t key_at = key->offset, value_at = value->offset;
  const uint8_t* at = index_ + run.offset;
  const Out out = out_;
  if (order_) [[unlikely]] {
    const size_t first = order_->size();
    if (!sort(f, at, run.count)) return p;
    for (uint32_t i = 0; i < run.count; i++) p = entry(out, p, f, at + size_t((*order_)[first + i]) * stride);
    order_->truncate(first);
    return p;
  }
  if (schema::is_string(key->kind) && schema::is_string(value->kind)) {
    for (uint32_t i = 0; i < run.count; i++, at += stride) p = out.pair(p, t, text(at + key_at), text(at + value_at));
    return p;
  }
  for (uint32_t i = 0; i < run.count; i++, at += stride) p = entry(out, p, f, at);
  return p;
}

template <class Out>
typename Out::Pos Walk<Out>::entry(const Out& out, Pos p, const Field* f, const uint8_t* at) {
  const Field *key = f->map_key(), *value = f->map_value();
  const uint8_t *k = at + key->offset, *v = at + value->offset;
  p = out.number(p, length_tag(f), scalar_size(key, k) + scalar_size(value, v));
  p = scalar(out, p, key, k);
  return scalar(out, p, value, v);
}

// Puts the places of the entries, by ascending key, behind those of the maps around: strings by their bytes, numbers by
// value. False: no memory.
template <class Out>
bool Walk<Out>::sort(const Field* f, const uint8_t* first, uint32_t n) {
  uint32_t* places = order_->grow(n);
  if (!places) {
    no_memory_ = true;
    return false;
  }
  const Field* key = f->map_key();
  const uint8_t* keys = first + key->offset;
  const uint32_t stride = f->stride;
  for (uint32_t i = 0; i < n; i++) places[i] = i;
  if (schema::is_string(key->kind)) {
    std::sort(places, places + n, [&](uint32_t a, uint32_t b) {
      return text(keys + size_t(a) * stride).text() < text(keys + size_t(b) * stride).text();
    });
    return true;
  }
  const bool is_unsigned = key->kind == Kind::kUint64 || key->kind == Kind::kFixed64 || schema::slot_width(key->kind) < 8;
  const bool is_signed32 = key->kind == Kind::kInt32 || key->kind == Kind::kSint32 || key->kind == Kind::kSfixed32;
  // Signed numbers sort as unsigned ones with their sign bit turned.
  const uint64_t turn = is_signed32 || !is_unsigned ? uint64_t(1) << 63 : 0;
  std::sort(places, places + n, [&](uint32_t a, uint32_t b) {
    return (schema::bits_at(key->kind, keys + size_t(a) * stride) ^ turn) < (schema::bits_at(key->kind, keys + size_t(b) * stride) ^ turn);
  });
  return true;
}

template <class Out>
typename Out::Pos Walk<Out>::next_element(Pos p) {
  Level& l = *l_;
  const Field* f = l.run;
  View child = reinterpret_cast<View>(f->message->sparse ? index_ + load<uint32_t>(l.run_at) : l.run_at);
  l.run_at += f->stride;
  l.run_left--;
  // One that comes as it would be written, though the whole does not. Not asked again further down, or a deep message
  // would be compared once for each level.
  Slice bytes;
  if (l.close == Level::kRoot && !order_ && !l.named && f->kind == Kind::kMessage && comes_as_written(child, &bytes)) return out_.string(p, length_tag(f), bytes);
  return message(p, f, child);
}

template <class Out>
typename Out::Pos Walk<Out>::next_entry(Pos p) {
  Level& l = *l_;
  const Field *f = l.run, *key = f->map_key(), *value = f->map_value();
  const uint8_t* entry_at = l.run_at;
  l.run_left--;
  if (!order_) [[likely]] {
    l.run_at += f->stride;
  } else {
    // From the end of a run of n places, n - run_left have been taken; inner maps have left no places behind.
    const size_t end = order_->size();
    entry_at += size_t((*order_)[end - 1 - l.run_left]) * f->stride;
    if (!l.run_left) order_->truncate(l.run_order);
  }
  const uint8_t *k = entry_at + key->offset, *v = entry_at + value->offset;
  p = out_.tag(p, length_tag(f));
  size_t key_bytes = scalar_size(key, k);
  auto at = load<uint32_t>(v);
  if (!at || (at & ZCRPC_ELSEWHERE)) {  // an entry without a value: the empty message
    p = out_.varint(p, key_bytes + 2);
    p = scalar(out_, p, key, k);
    p = out_.tag(p, length_tag(value));
    return out_.varint(p, 0);
  }
  View child = reinterpret_cast<View>(index_ + at);
  const MaskNode* entry_named = inside(&l, f);
  if (!enter(child, value->message, Level::kEntry, entry_named ? inside(entry_named->child(value->number)) : nullptr)) return p;
  uint8_t guess = prefix_guess(child, input_);
  Slice whole;
  size_t inner = guess > 1 || !schema::encoded(child, &whole) ? size_t(1) << (7 * guess - 7) : whole.size;
  p = out_.open(p, &l_->entry_at, &l_->entry_guess, uint8_t(wire::varint_size(key_bytes + 1 + guess + inner)));
  p = scalar(out_, p, key, k);
  p = out_.tag(p, length_tag(value));
  return out_.open(p, &l_->at, &l_->guess, guess);
}

template <class Out>
typename Out::Pos Walk<Out>::unknown(Pos p, View v) {
  for (const zcrpc_range& r : schema::unknown(v)) {
    const uint8_t* at = input_ + r.offset;
    if (!r.number) {
      p = out_.raw(p, {at, r.len});
      continue;
    }
    // A closed enum's stray number out of a packed run: a field of its own.
    uint64_t bits = 0;
    wire::Fault fault;
    (void)wire::read_varint(at, at + r.len, &bits, &fault);
    p = out_.number(p, wire::tag(r.number, wire::Type::kVarint), bits);
  }
  return p;
}

// Closes the innermost message.
template <class Out>
typename Out::Pos Walk<Out>::leave(Pos p) {
  const Level& l = *l_;
  switch (l.close) {
    case Level::kRoot:
      break;
    case Level::kGroup:
      p = out_.tag(p, l.end_tag);
      break;
    case Level::kItem:
      p = out_.tag(out_.close(p, l.at, l.guess, l), kItemEnd);
      break;
    case Level::kEntry:
      p = out_.close(p, l.at, l.guess, l);
      p = out_.close(p, l.entry_at, l.entry_guess, l);
      break;
    case Level::kLength:
      p = out_.close(p, l.at, l.guess, l);
      break;
  }
  l_ = levels_.pop();
  return p;
}

}  // namespace

namespace {

void put_all(Encoder* e, View v, bool sorted, zcrpc_same_fn* same = nullptr, const MaskNode* named = nullptr) {
  if (!v || e->is_failed) return;
  if (e->editing) [[unlikely]]
    return merge(e, v);
  if (!e->settle()) return;
  if (e->type && schema::type_of(v) != e->type && schema::type_of(v)->fingerprint != e->type->fingerprint)
    return fail(e, Status(Code::kInvalidArgument, "a message of another type"));
  if (!e->room(kRoom)) return;
  const schema::Anchor* anchor = schema::anchor_of(v);
  Slice bytes;
  if (!sorted && !named && comes_as_written(v, &bytes, same)) {
    if (anchor->buffer && bytes.size >= kByReference)
      (void)e->refer(anchor->buffer, bytes);
    else if (e->room(bytes.size)) {
      if (bytes.size) memcpy(e->p, bytes.data, bytes.size);
      e->p += bytes.size;
    }
    return;
  }
  uint32_t len = schema::index_of(v)->input_len;
  Writer out{e, len >= 32 ? anchor->input + len - 32 : nullptr, anchor->buffer};
  e->levels.clear();
  e->order.clear();
  Walk<Writer> walk(out, e->levels, v, sorted ? &e->order : nullptr, named);
  uint8_t* p = walk.run(e->p, v);
  if (e->is_failed) {
    e->p = e->end = e->base;
    return;
  }
  e->p = p;
  if (walk.no_memory()) fail(e, Status::no_memory());
}

}  // namespace

void put_fields(Encoder* e, View v) { put_all(e, v, false); }
void put_fields(Encoder* e, View v, zcrpc_same_fn* same) { put_all(e, v, false, same); }
void put_named(Encoder* e, View v, const MaskNode* mask) { put_all(e, v, false, nullptr, mask); }
void put_deterministic(Encoder* e, View v) { put_all(e, v, true); }

size_t encoded_size(View v) {
  if (!v) return 0;
  Counter out;
  Levels levels;
  Walk<Counter> walk(out, levels, v);
  size_t n = walk.run(0, v);
  return walk.no_memory() ? SIZE_MAX : n;
}

// What grows when it is written again: a packed element that is declared unpacked (1 byte to 6), an empty map entry
// (2 to 20), a 5-byte negative int32 (to 10, plus its tag). Ten times is more than any of them reaches.
size_t encoded_bound(View v) {
  if (!v) return 0;
  size_t n = 0;
  Slice whole;
  if (schema::encoded(v, &whole))
    n = whole.size;
  else
    for (const zcrpc_range& r : schema::pieces(v)) n += r.len;
  return n > (SIZE_MAX - 32) / 10 ? SIZE_MAX : 10 * n + 32;
}

}  // namespace zcrpc::encode
