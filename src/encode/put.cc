// Puts one by one: by field number, checked, for callers; and by Field, trusted, for our own parsers.
#include <bit>
#include <cmath>

#include "base/utf8.h"
#include "encode/edit.h"

namespace zcrpc::encode {

using base::Code;
using base::Slice;
using base::Status;
using schema::Field;
using schema::Kind;

namespace {

Status wrong(const char* text) { return Status(Code::kInvalidArgument, text); }

// The field of that number in the innermost open message; nullptr: it has failed.
const Field* find(Encoder* e, uint32_t number) {
  if (e->is_failed || !e->settle()) return nullptr;
  if (!e->type) {
    fail(e, wrong(e->frames.empty() ? "the encoder has no type" : "inside a packed run only its elements fit"));
    return nullptr;
  }
  const Field* f = e->type->by_number(number);
  if (!f) f = e->type->extension(number);
  if (!f)
    fail(e, Status::format(Code::kInvalidArgument, "%.*s has no field %u", int(e->type->name.size()), e->type->name.data(), number));
  return f;
}

bool is_integer(Kind k) { return schema::is_packable(k) && k != Kind::kDouble && k != Kind::kFloat; }

// Whether an integer fits a field of that kind, given as its two's complement and its sign.
bool fits(Kind k, uint64_t bits, bool negative) {
  switch (k) {
    case Kind::kBool: return bits <= 1;
    case Kind::kInt32: case Kind::kSint32: case Kind::kSfixed32: case Kind::kEnum:
      return negative ? int64_t(bits) >= INT32_MIN : bits <= INT32_MAX;
    case Kind::kUint32: case Kind::kFixed32: return !negative && bits <= UINT32_MAX;
    case Kind::kUint64: case Kind::kFixed64: return !negative;
    default: return negative || bits <= INT64_MAX;
  }
}

void put_integer(Encoder* e, uint32_t field, uint64_t bits, bool negative) {
  const Field* f = find(e, field);
  if (!f) return;
  if (!is_integer(f->kind)) return fail_at(e, f, wrong("not an integer field"));
  if (!fits(f->kind, bits, negative)) return fail_at(e, f, wrong("value out of range"));
  put_number(e, f, bits);
}

uint64_t real_bits(Kind k, double v) {
  return k == Kind::kFloat ? std::bit_cast<uint32_t>(static_cast<float>(v)) : std::bit_cast<uint64_t>(v);
}

bool check_text(Encoder* e, const Field* f, Slice s) {
  if (!schema::is_string(f->kind)) {
    fail_at(e, f, wrong("not a string or bytes field"));
    return false;
  }
  if (f->utf8 && !base::utf8_valid(s.data, s.size)) {
    fail_at(e, f, wrong("invalid UTF-8"));
    return false;
  }
  return true;
}

bool put_tag(Encoder* e, uint32_t tag) {
  if (!e->room(kRoom)) return false;
  e->p = put_varint(e->p, tag);
  return true;
}

// Extensions of a MessageSet are items of it: group 1 { type id = 2, message = 3 }.
constexpr uint32_t kItemStart = 1 << 3 | 3, kItemEnd = 1 << 3 | 4, kItemType = 2 << 3, kItemMessage = 3 << 3 | 2;
bool is_item(const Field* f) { return f->extension && f->parent->message_set; }

// What comes before the length of a message, or before the fields of a group.
bool put_message_tag(Encoder* e, const Field* f) {
  if (!is_item(f)) [[likely]]
    return put_tag(e, element_tag(f));
  if (!e->room(kRoom)) return false;
  e->p = put_varint(e->p, kItemStart);
  e->p = put_varint(put_varint(e->p, kItemType), f->number);
  e->p = put_varint(e->p, kItemMessage);
  return true;
}

void append(Encoder* e, Slice s) {
  if (s.size == 0 || !e->room(s.size)) return;
  copy(e->p, s.data, s.size);
  e->p += s.size;
}

// Bytes of a counted buffer (or of nobody's), by reference when they are many.
void append_or_refer(Encoder* e, Slice s, base::Buffer* b) {
  if (b && s.size >= kByReference)
    (void)e->refer(b, s);
  else
    append(e, s);
}

// Counts the elements of the repeated field that is being written, for paths.
uint32_t next_element(Encoder* e, const Field* f) {
  if (!f->repeated()) return kNoElement;
  if (e->last == f->number) return ++e->last_count;
  e->last = f->number;
  return e->last_count = 0;
}

bool push(Encoder* e, const Field* f, uint32_t element, uint8_t guess, const schema::Message* inner) {
  if (!e->settle()) return false;
  Frame* frame = e->frames.grow(1);
  if (!frame) [[unlikely]] {
    fail_at(e, f, Status::no_memory());
    return false;
  }
  *frame = {f, e->type, e->offset(), e->refs, e->cuts.size(), element, e->last, e->last_count, guess, Encoder::slot_of(f)};
  e->type = inner;
  e->last = e->last_count = 0;
  e->p += guess;
  return true;
}

template <class Bits>
void put_numbers(Encoder* e, const Field* f, size_t n, Bits&& bits) {
  if (n == 0 || e->is_failed) return;
  if (!f->packed) {
    for (size_t i = 0; i < n && !e->is_failed; i++) put_number(e, f, bits(i));
    return;
  }
  uint32_t wire = kWireOf[uint8_t(f->kind)];
  size_t least = wire == 1 ? 8 : wire == 5 ? 4 : 1;
  if (n > wire::kMaxMessage / least) return fail_at(e, f, Status(Code::kResourceExhausted, "message over 2147483647 bytes"));
  if (!put_tag(e, length_tag(f))) return;
  size_t at = e->offset(), refs = e->refs, cuts = e->cuts.size();
  auto guess = uint8_t(wire::varint_size(n * least));
  e->p += guess;
  for (size_t i = 0; i < n;) {  // in blocks, since one room for all would be ten bytes a value
    size_t block = n - i < 64 ? n - i : 64;
    if (!e->room(block * 10)) return;
    for (size_t stop = i + block; i < stop; i++) e->p = put_value(e->p, f->kind, bits(i));
  }
  (void)close_length(e, at, &guess, refs, cuts);
}

}  // namespace

// ---- By number

void put_int64(Encoder* e, uint32_t field, int64_t v) {
  if (e->editing) [[unlikely]]
    return edit_put(e, field, [=](Encoder* log) { put_int64(log, field, v); });
  put_integer(e, field, uint64_t(v), v < 0);
}
void put_uint64(Encoder* e, uint32_t field, uint64_t v) {
  if (e->editing) [[unlikely]]
    return edit_put(e, field, [=](Encoder* log) { put_uint64(log, field, v); });
  put_integer(e, field, v, false);
}

void put_double(Encoder* e, uint32_t field, double v) {
  if (e->editing) [[unlikely]]
    return edit_put(e, field, [=](Encoder* log) { put_double(log, field, v); });
  const Field* f = find(e, field);
  if (!f) return;
  if (f->kind != Kind::kDouble && f->kind != Kind::kFloat) return fail_at(e, f, wrong("not a float or double field"));
  put_number(e, f, real_bits(f->kind, v));
}

void put_string(Encoder* e, uint32_t field, Slice s) {
  if (e->editing) [[unlikely]]
    return edit_put(e, field, [=](Encoder* log) { put_string(log, field, s); });
  const Field* f = find(e, field);
  if (f && check_text(e, f, s)) put_bytes(e, f, s);
}

void put_buffer(Encoder* e, uint32_t field, base::Buffer* b, size_t offset, size_t size) {
  const Field* f = find(e, field);
  if (!f) return;
  if (!b || offset > b->size() || size > b->size() - offset) return fail_at(e, f, wrong("not a part of the buffer"));
  Slice s = b->slice().part(offset, size);
  if (!check_text(e, f, s)) return;
  if (e->editing) [[unlikely]]
    return size < kByReference ? put_string(e, field, s) : edit_put_buffer(e, field, b, s);
  if (size < kByReference) return put_bytes(e, f, s);
  if (!put_tag(e, length_tag(f))) return;
  e->p = put_varint(e->p, size);
  (void)e->refer(b, s);
}

void put_view(Encoder* e, uint32_t field, schema::View v) {
  if (e->editing) [[unlikely]]
    return edit_put_view(e, field, v);
  const Field* f = find(e, field);
  if (!f) return;
  if (!schema::is_message(f->kind) || f->is_map()) return fail_at(e, f, wrong("not a message field"));
  if (v && schema::type_of(v) != f->message && schema::type_of(v)->fingerprint != f->message->fingerprint)
    return fail_at(e, f, wrong("a message of another type"));
  Slice one;
  std::span<const zcrpc_range> pieces;
  size_t n = 0;
  if (v && schema::encoded(v, &one))
    n = one.size;
  else if (v)
    for (const zcrpc_range& r : pieces = schema::pieces(v)) n += r.len;
  if (n > wire::kMaxMessage) return fail_at(e, f, Status(Code::kResourceExhausted, "message over 2147483647 bytes"));
  bool group = f->kind == Kind::kGroup;
  if (!put_message_tag(e, f)) return;
  if (!group) e->p = put_varint(e->p, n);
  base::Buffer* holder = v ? schema::anchor_of(v)->buffer : nullptr;
  if (one.size) append_or_refer(e, one, holder);
  for (const zcrpc_range& r : pieces) append_or_refer(e, {schema::input_of(v) + r.offset, r.len}, holder);
  if (group) (void)put_tag(e, wire::tag(f->number, wire::Type::kEndGroup));
  if (is_item(f)) (void)put_tag(e, kItemEnd);
}

void put_int64s(Encoder* e, uint32_t field, const int64_t* v, size_t n) {
  if (e->editing) [[unlikely]]
    return edit_put(e, field, [=](Encoder* log) { put_int64s(log, field, v, n); });
  const Field* f = find(e, field);
  if (!f) return;
  if (f->shape != schema::Shape::kRepeated || !is_integer(f->kind)) return fail_at(e, f, wrong("not a repeated integer field"));
  if (schema::slot_width(f->kind) < 8)  // of uint64 and fixed64 these are the bits
    for (size_t i = 0; i < n; i++)
      if (!fits(f->kind, uint64_t(v[i]), v[i] < 0)) return fail_at(e, f, wrong("value out of range"));
  put_numbers(e, f, n, [v](size_t i) { return uint64_t(v[i]); });
}

void put_doubles(Encoder* e, uint32_t field, const double* v, size_t n) {
  if (e->editing) [[unlikely]]
    return edit_put(e, field, [=](Encoder* log) { put_doubles(log, field, v, n); });
  const Field* f = find(e, field);
  if (!f) return;
  if (f->shape != schema::Shape::kRepeated || (f->kind != Kind::kDouble && f->kind != Kind::kFloat))
    return fail_at(e, f, wrong("not a repeated float or double field"));
  put_numbers(e, f, n, [v, k = f->kind](size_t i) { return real_bits(k, v[i]); });
}

void put_array(Encoder* e, uint32_t field, const void* v, size_t n) {
  if (e->editing) [[unlikely]]
    return edit_put(e, field, [=](Encoder* log) { put_array(log, field, v, n); });
  const Field* f = find(e, field);
  if (!f) return;
  if (f->shape != schema::Shape::kRepeated || !schema::is_packable(f->kind)) return fail_at(e, f, wrong("not a repeated numeric field"));
  const auto* at = static_cast<const uint8_t*>(v);
  put_numbers(e, f, n, [at, k = f->kind, width = schema::slot_width(f->kind)](size_t i) {
    return k == Kind::kBool ? at[i] != 0 : schema::bits_at(k, at + i * width);
  });
}

void put_raw(Encoder* e, Slice fields) {
  if (e->editing) [[unlikely]]
    return edit_put_raw(e, fields);
  append(e, fields);
}

void begin(Encoder* e, uint32_t field) {
  if (e->editing) [[unlikely]]
    return edit_begin(e, field);
  const Field* f = find(e, field);
  if (!f) return;
  if (!schema::is_message(f->kind)) return fail_at(e, f, wrong("not a message field"));
  begin_field(e, f);
}

// ---- By Field

void put_number(Encoder* e, const Field* f, uint64_t bits) {
  if (!put_tag(e, element_tag(f))) return;
  e->p = put_value(e->p, f->kind, bits);
}

void put_bytes(Encoder* e, const Field* f, Slice s, const Around& around) {
  if (s.size > wire::kMaxMessage) return fail_at(e, f, Status(Code::kResourceExhausted, "message over 2147483647 bytes"));
  if (!e->room(s.size + kRoom)) return;
  e->p = put_varint(put_varint(e->p, length_tag(f)), s.size);
  copy_in(e->p, s, around);
  e->p += s.size;
}

void put_pair(Encoder* e, const Field* f, Slice key, Slice value, const Around& around) {
  const uint32_t t = length_tag(f);
  if ((t | key.size | value.size | (key.size + value.size + 4)) < 0x80 && size_t(e->end - e->p) >= key.size + value.size + kRoom) [[likely]] {
    uint8_t* p = e->p;
    wire::store_le<uint32_t>(p, uint32_t(t | (key.size + value.size + 4) << 8 | 0x0A0000 | key.size << 24));
    copy_in(p + 4, key, around);
    p += 4 + key.size;
    p[0] = 2 << 3 | 2;
    p[1] = uint8_t(value.size);
    copy_in(p + 2, value, around);
    e->p = p + 2 + value.size;
    return;
  }
  begin_field(e, f);
  put_bytes(e, f->map_key(), key, around);
  put_bytes(e, f->map_value(), value, around);
  if (!e->is_failed) end(e);
}

void begin_field(Encoder* e, const Field* f) {
  if (e->is_failed || !put_message_tag(e, f)) return;
  bool group = f->kind == Kind::kGroup;
  (void)push(e, f, next_element(e, f), group ? uint8_t(0) : *e->guess_of(f), f->message);
}

void begin_packed(Encoder* e, const Field* f) {
  if (e->is_failed || !put_tag(e, length_tag(f))) return;
  (void)push(e, f, kNoElement, *e->guess_of(f), nullptr);
}

void put_element(Encoder* e, const Field* f, uint64_t bits) {
  if (e->room(kRoom)) e->p = put_value(e->p, f->kind, bits);
}

void end(Encoder* e) {
  if (e->editing) [[unlikely]]
    return edit_end(e);
  if (e->is_failed || !e->settle()) return;
  if (e->is_sealed) return (void)e->grow(1);  // says so
  if (e->frames.empty()) return fail(e, Status(Code::kFailedPrecondition, "end without begin"));
  const Frame& top = e->frames.back();
  size_t own = e->offset() - top.at - top.guess;
  uint8_t* length = e->base + top.at;
  if (top.guess == 1 && own < 0x80 && e->refs == top.refs) {
    *length = uint8_t(own);
  } else if (top.guess == 2 && own >= 0x80 && own < 0x4000 && e->refs == top.refs) {
    length[0] = uint8_t(own | 0x80);
    length[1] = uint8_t(own >> 7);
  } else if (top.guess == 0) {
    if (!put_tag(e, wire::tag(top.field->number, wire::Type::kEndGroup))) return;
  } else {
    uint8_t guess = top.guess;
    if (!close_length(e, top.at, &guess, top.refs, top.first_cut)) return;
    e->guesses[top.slot] = guess;
  }
  if (is_item(top.field) && !put_tag(e, kItemEnd)) return;
  e->type = top.outer;
  e->last = top.last;
  e->last_count = top.last_count;
  e->frames.pop();
}

}  // namespace zcrpc::encode
