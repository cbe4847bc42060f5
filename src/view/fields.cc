// Slow code, part one: any field, with every check and every rule of the format. The fast ops are its special cases.
#include <algorithm>
#include <bit>

#include "base/utf8.h"
#include "view/context.h"

namespace zcrpc::view {
namespace {

using schema::Field;
using schema::Kind;
using wire::Type;

Fault from_wire(wire::Fault f) {
  switch (f) {
    case wire::Fault::kVarintTooLong: return Fault::kVarintTooLong;
    case wire::Fault::kTagTooLong: return Fault::kTagTooLong;
    case wire::Fault::kFieldNumberZero: return Fault::kFieldNumber;
    case wire::Fault::kWireType: return Fault::kWireType;
    case wire::Fault::kGroupMismatch: return Fault::kEndGroup;
    case wire::Fault::kDepth: return Fault::kDepth;
    case wire::Fault::kLengthTooLong: return Fault::kPastEnd;
    default: return Fault::kTruncatedGroup;
  }
}

uint64_t convert(Kind k, uint64_t v) {
  switch (k) {
    case Kind::kBool: return v != 0;
    case Kind::kSint32: return uint32_t(v) >> 1 ^ (0 - (uint32_t(v) & 1));
    case Kind::kSint64: return v >> 1 ^ (0 - (v & 1));
    default: return v;
  }
}

void store_bits(uint8_t* p, uint32_t width, uint64_t v) {
  auto w = uint32_t(v);
  auto b = uint8_t(v);
  if (width == 8) memcpy(p, &v, 8);
  if (width == 4) memcpy(p, &w, 4);
  if (width == 1) *p = b;
}

// The number behind a tag of that wire type; nullptr with a fault.
const uint8_t* read_number(Context* c, const uint8_t* p, Type type, uint64_t* v, const Field* f) {
  if (type == Type::kVarint) return read_varint(c, p, v, f);
  size_t width = type == Type::kFixed64 ? 8 : 4;
  if (size_t(true_end(c) - p) < width) {
    fail(c, Fault::kTruncatedFixed, p, f);
    return nullptr;
  }
  *v = width == 8 ? wire::load_le<uint64_t>(p) : wire::load_le<uint32_t>(p);
  return p + width;
}

bool skip_unknown(Context* c, const uint8_t* start, const uint8_t* p, uint32_t tag) {
  const uint8_t* next = nullptr;
  uint64_t v;
  uint32_t n;
  switch (wire::tag_type(tag)) {
    case Type::kLength:
      next = read_length(c, p, &n, nullptr);
      if (next) next += n;
      break;
    case Type::kStartGroup: next = skip_group(c, start, p, tag); break;
    default: next = read_number(c, p, wire::tag_type(tag), &v, nullptr);
  }
  if (!next) return false;
  if (!push_unknown(c, c->offset(start), c->offset(next))) return false;
  c->walk.p = next;
  return true;
}

bool number_field(Context* c, const Target& to, const uint8_t* start, const uint8_t* p, Type type) {
  const Field* f = to.field;
  uint64_t v;
  p = read_number(c, p, type, &v, f);
  if (!p) return false;
  v = convert(f->kind, v);
  if (f->closed_enum && !f->enumeration->has(int32_t(v))) {
    if (!push_unknown(c, c->offset(start), c->offset(p))) return false;
    if (c->walk.t->entry) open_frame(c)->flags |= kDiscard;
  } else {
    uint32_t width = schema::slot_width(f->kind);
    uint8_t* s = f->repeated() ? append(c, to, width, 1) : slot(c, to);
    if (!s) return false;
    store_bits(s, width, v);
    mark(c, to);
    if (c->walk.t->entry && f->closed_enum) open_frame(c)->flags &= ~uint32_t(kDiscard);
  }
  c->walk.p = p;
  return true;
}

bool string_field(Context* c, const Target& to, const uint8_t* p) {
  const Field* f = to.field;
  uint32_t n;
  p = read_length(c, p, &n, f);
  if (!p) return false;
  if (f->utf8) {
    size_t good = base::utf8_valid_prefix(p, n);
    if (good != n) return fail(c, Fault::kUtf8, p + good, f);
  }
  uint8_t* s = f->repeated() ? append(c, to, 8, 1) : slot(c, to);
  if (!s) return false;
  zcrpc_str value{c->offset(p), n};
  memcpy(s, &value, sizeof value);
  mark(c, to);
  c->walk.p = p + n;
  return true;
}

bool packed_fixed(Context* c, const Target& to, const uint8_t* p, uint32_t n, uint32_t width) {
  uint8_t* s = slot(c, to);
  if (!s) return false;
  auto run = schema::load<zcrpc_run>(s);
  if (run.count == 0) {  // borrowed where it lies
    run = {c->offset(p) | ZCRPC_ELSEWHERE, n / width};
    memcpy(s, &run, sizeof run);
    return true;
  }
  uint8_t* out = append(c, to, width, n / width);
  if (!out) return false;
  for (uint32_t i = 0; i < n; i += width) {
    if (width == 8) store_bits(out + i, 8, wire::load_le<uint64_t>(p + i));
    else store_bits(out + i, 4, wire::load_le<uint32_t>(p + i));
  }
  return true;
}

bool packed_field(Context* c, const Target& to, const uint8_t* p) {
  const Field* f = to.field;
  uint32_t n;
  p = read_length(c, p, &n, f);
  if (!p) return false;
  const uint8_t* end = p + n;
  uint32_t width = schema::slot_width(f->kind);
  if (n == 0) {
    c->walk.p = end;
    return true;
  }
  if (wire_type(f->kind) != Type::kVarint) {
    if (n % width) {
      c->fault_more = n / width;
      return fail(c, Fault::kPackedSize, end - n % width, f);
    }
    if (!packed_fixed(c, to, p, n, width)) return false;
    mark(c, to);
    c->walk.p = end;
    return true;
  }
  // All values are looked at before memory is taken for them: as many as have come, and not more.
  uint32_t count = 0;
  for (const uint8_t* q = p; q < end; count++) {
    uint64_t v;
    wire::Fault fault;
    const uint8_t* next = wire::read_varint(q, end, &v, &fault);
    if (!next) {
      c->fault_more = count;
      return fail(c, fault == wire::Fault::kTruncated ? Fault::kTruncatedVarint : Fault::kVarintTooLong, q, f);
    }
    if (f->closed_enum && !f->enumeration->has(int32_t(v))) {
      if (!push_unknown(c, c->offset(q), c->offset(next), f->number)) return false;
      count--;
    }
    q = next;
  }
  if (count) {
    uint8_t* out = append(c, to, width, count);
    if (!out) return false;
    for (const uint8_t* q = p; q < end;) {
      uint64_t v;
      wire::Fault fault;
      q = wire::read_varint(q, end, &v, &fault);
      v = convert(f->kind, v);
      if (f->closed_enum && !f->enumeration->has(int32_t(v))) continue;
      store_bits(out, width, v);
      out += width;
    }
    mark(c, to);
  }
  c->walk.p = end;
  return true;
}

// The heads of moved messages tell their new place, and what they left tells it too.
void forward(Context* c, uint8_t* from, uint8_t* to, uint32_t stride, uint32_t n) {
  for (uint32_t i = 0; i < n; i++, from += stride, to += stride)
    head_of(from)->self = head_of(to)->self = c->index_offset(to);
}

// The field that a projection does not name has an entry, too, which tells that.
constexpr Entry kNotNamed = {nullptr, {nullptr}, 0, 0, 0, 0, 0, kNoBit, Op::kSkip};

Target find_named(const Table* t, uint32_t number) {
  const Field* f = t->message->by_number(number);
  if (!f) f = t->message->extension(number);
  if (!f) return {nullptr, nullptr};
  const Entry* end = t->entries + t->count;
  const Entry* e = std::lower_bound(t->entries, end, number, [](const Entry& at, uint32_t n) { return at.number < n; });
  return {f, e != end && e->number == number ? e : &kNotNamed};
}

}  // namespace

Target find_target(const Table* t, uint32_t number) {
  if (t->projected) return find_named(t, number);
  if (const Field* f = t->message->by_number(number)) return {f, &t->entries[f->index]};
  if (const Field* f = t->extensions ? t->message->extension(number) : nullptr) {
    auto known = t->message->extensions;
    for (size_t low = 0, high = known.size(); low < high;) {
      size_t mid = (low + high) / 2;
      if (known[mid] == f) return {f, &t->extensions[mid]};
      if (known[mid]->number < number) low = mid + 1;
      else high = mid;
    }
  }
  return {nullptr, nullptr};
}

Target frame_target(const Frame* f) {
  bool extension = f->flags & kExtension;
  return {extension ? f->t->message->extensions[f->e->index] : &f->t->message->fields[f->e->index], f->e};
}

bool fail(Context* c, Fault fault, const uint8_t* at, const Field* field) {
  if (c->fault == Fault::kNone) {
    c->fault = fault;
    c->fault_at = at ? c->offset(at) : c->offset(c->walk.p);
    c->fault_field = field;
  }
  return false;
}

const uint8_t* read_varint(Context* c, const uint8_t* p, uint64_t* v, const Field* f) {
  wire::Fault fault;
  const uint8_t* q = wire::read_varint(p, true_end(c), v, &fault);
  if (!q) fail(c, fault == wire::Fault::kTruncated ? Fault::kTruncatedVarint : Fault::kVarintTooLong, p, f);
  return q;
}

const uint8_t* read_length(Context* c, const uint8_t* p, uint32_t* n, const Field* f) {
  uint64_t v;
  wire::Fault fault;
  const uint8_t* end = true_end(c);
  const uint8_t* q = wire::read_varint(p, end, &v, &fault);
  if (!q) {
    fail(c, fault == wire::Fault::kTruncated ? Fault::kTruncatedLength : Fault::kVarintTooLong, p, f);
    return nullptr;
  }
  if (v > uint64_t(end - q)) {
    fail(c, Fault::kPastEnd, p, f);
    return nullptr;
  }
  *n = uint32_t(v);
  return q;
}

const uint8_t* skip_group(Context* c, const uint8_t* start, const uint8_t* p, uint32_t tag) {
  wire::Fault fault;
  const uint8_t *at, *next = wire::skip_value(p, true_end(c), tag, uint32_t(c->depth_end - c->sp), &fault, &at);
  if (!next) fail(c, from_wire(fault), fault == wire::Fault::kTruncated ? start : at, nullptr);
  return next;
}

uint8_t* slot(Context* c, const Target& to) {
  const Table* t = c->walk.t;
  if (!to.field->extension) return c->walk.m + to.entry->offset;
  // One array for each message, ascending by number. It has room for the next power of two.
  auto run = schema::load<zcrpc_run>(c->walk.m + t->extension_offset);
  auto* rows = reinterpret_cast<zcrpc_ext*>(c->index + run.offset);
  uint32_t at = 0;
  while (at < run.count && rows[at].number < to.field->number) at++;
  if (at < run.count && rows[at].number == to.field->number) return reinterpret_cast<uint8_t*>(&rows[at].value);
  if (run.count == 0 || std::has_single_bit(run.count)) {
    uint8_t* more = take(c, sizeof(zcrpc_ext) * (run.count ? run.count * 2 : 1));
    if (!more) return nullptr;
    if (run.count) memcpy(more, c->index + run.offset, run.count * sizeof(zcrpc_ext));
    run.offset = c->index_offset(more);
    rows = reinterpret_cast<zcrpc_ext*>(more);
  }
  memmove(rows + at + 1, rows + at, (run.count - at) * sizeof(zcrpc_ext));
  rows[at] = {to.field->number, 0, 0};
  run.count++;
  memcpy(c->walk.m + t->extension_offset, &run, sizeof run);
  return reinterpret_cast<uint8_t*>(&rows[at].value);
}

void mark(Context* c, const Target& to) {
  Walk& w = c->walk;
  const Field* f = to.field;
  auto set = [&](uint32_t bit, bool on) {
    uint8_t* word = w.m + 12 + 4 * (bit / 32);
    auto v = schema::load<uint32_t>(word);
    v = on ? v | 1u << bit % 32 : v & ~(1u << bit % 32);
    memcpy(word, &v, 4);
    if (bit < kNoBit) w.has &= ~(uint64_t(1) << bit);
  };
  if (f->extension) {
    if (w.t->sparse) set(uint32_t(w.t->message->fields.size()), true);
    return;
  }
  if (f->oneof && f->oneof->fields.size() > 1 && w.t->sparse) {
    for (const Field* other : f->oneof->fields) {
      if (other == f) continue;
      memset(w.m + w.t->message->size + 8 * other->index, 0, 8);
      set(other->bit, false);
    }
  }
  if (to.entry->case_offset) memcpy(w.m + to.entry->case_offset, &f->number, 4);
  if (!w.t->entry && f->bit != ZCRPC_NO_BIT) set(f->bit, true);
}

uint8_t* append(Context* c, const Target& to, uint32_t width, uint32_t n) {
  uint8_t* s = slot(c, to);
  if (!s) return nullptr;
  auto run = schema::load<zcrpc_run>(s);
  uint64_t total = uint64_t(run.count) + n;
  if (total * width > wire::kMaxMessage) {
    fail(c, Fault::kBudget, nullptr, to.field);
    return nullptr;
  }
  const bool borrowed = run.offset & ZCRPC_ELSEWHERE;
  const uint32_t marks = borrowed ? 0 : run.offset & kMarks, offset = run.offset & ~(ZCRPC_ELSEWHERE | kMarks);
  const uint64_t capacity = marks & kGrown ? std::bit_ceil(uint64_t(run.count)) : run.count;
  const uint64_t wanted = run.count == 0 ? total : std::bit_ceil(total);
  if (run.count == 0 || borrowed) {
    // New, or no longer where it lies in the input. The latter has room for exactly what it holds, as if it were new.
    uint8_t* p = take_raw(c, size_t(total) * width);
    if (!p) return nullptr;
    const uint8_t* in = c->input + (run.offset & ~ZCRPC_ELSEWHERE);
    for (uint64_t i = 0; i < uint64_t(run.count) * width; i += width)
      store_bits(p + i, width, width == 8 ? wire::load_le<uint64_t>(in + i) : wire::load_le<uint32_t>(in + i));
    run.offset = c->index_offset(p);
  } else if (total > capacity) {
    const bool at_top = c->index + offset + align8(size_t(capacity) * width) == c->top;
    if (at_top) {
      const uint64_t room = marks & kGrown ? wanted : total;
      if (!take(c, align8(size_t(room) * width) - align8(size_t(capacity) * width))) return nullptr;
    } else {
      if (!marks) {  // the first mark: tidy() has to look here
        uint32_t id = message_id(c);
        if (!id || !push_row(c, {id, to.field->number | kTidyRow, 0, 0})) return nullptr;
      }
      uint8_t* p = take(c, size_t(wanted) * width);
      if (!p) return nullptr;
      uint8_t* old = c->index + offset;
      memcpy(p, old, size_t(run.count) * width);
      if (is_message(to.field->kind) && !to.field->is_map() && !to.entry->sub->sparse && !stays_closed(c, to.field)) forward(c, old, p, width, run.count);
      run.offset = c->index_offset(p) | marks | kGrown;
    }
  }
  uint8_t* first = c->index + (run.offset & ~kMarks) + size_t(run.count) * width;
  // Messages and entries are cleared one by one, numbers written at once: what is left is the rounding up.
  run.count = uint32_t(total);
  s = slot(c, to);
  memcpy(s, &run, sizeof run);
  return first;
}

uint32_t message_id(Context* c) {
  if (!c->walk.t->sparse) return head_of(c->walk.m)->self;
  if (head_of(c->walk.m)->self == 0) {
    uint8_t* stub = take(c, sizeof(zcrpc_head));
    if (!stub) return 0;
    head_of(stub)->self = head_of(c->walk.m)->self = c->index_offset(stub);
  }
  return head_of(c->walk.m)->self;
}

uint32_t resolve(Context* c, uint32_t id) {
  while (head_at(c, id)->self != id) id = head_at(c, id)->self;
  return id;
}

bool push_unknown(Context* c, uint32_t from, uint32_t to, uint32_t number) {
  if (c->walk.t->entry || c->walk.t->projected || c->drop_unknown) return true;  // a map has no place for them
  uint32_t id = message_id(c);
  if (!id) return false;
  head_of(c->walk.m)->type_no |= ZCRPC_HEAD_UNKNOWN;
  if (c->row_count && number == 0) {  // neighbours are one row
    Row& last = c->rows[c->row_count - 1];
    if (last.message == id && last.number == 0 && last.offset + last.len == from) {
      last.len += to - from;
      return true;
    }
  }
  return push_row(c, {id, number, from, to - from});
}

namespace {

bool known_field(Context* c, const Target& to, const uint8_t* start, const uint8_t* p, uint32_t tag) {
  const Type type = wire::tag_type(tag);
  if (const Field* f = to.field; f && to.entry->op != Op::kSkip) {
    const Type own = wire_type(f->kind);
    if (type == own) {
      if (is_message(f->kind)) return enter_message(c, to, start, p);
      if (is_string(f->kind)) return string_field(c, to, p);
      return number_field(c, to, start, p, type);
    }
    if (type == Type::kLength && f->repeated() && is_packable(f->kind)) return packed_field(c, to, p);
  }
  return skip_unknown(c, start, p, tag);
}

}  // namespace

bool slow_field(Context* c) {
  const uint8_t* start = c->walk.p;
  uint32_t tag;
  wire::Fault fault;
  const uint8_t* p = wire::read_tag(start, true_end(c), &tag, &fault);
  if (!p) return fail(c, fault == wire::Fault::kTruncated ? Fault::kTruncatedTag : from_wire(fault), start, nullptr);
  if (wire::tag_type(tag) == Type::kEndGroup) return leave_group(c, wire::tag_number(tag), start, p);
  if (tag == kItemStart && c->walk.t->message->message_set) return set_item(c, start, p);
  const Target to = find_target(c->walk.t, wire::tag_number(tag));
  const Frame* const open = c->sp;
  if (known_field(c, to, start, p, tag)) return true;
  // Want of room is told where no field is known.
  if (c->fault == Fault::kBudget && !c->fault_field && c->sp == open) c->fault_field = to.field;
  return false;
}

}  // namespace zcrpc::view
