#include "schema/view.h"

#include <algorithm>

namespace zcrpc::schema {
namespace {

const uint8_t* at(View v, uint32_t offset) { return reinterpret_cast<const uint8_t*>(index_of(v)) + offset; }

// The rows of one message in a table that is ordered by message.
std::span<const zcrpc_range> rows_of(View v, uint32_t table, uint32_t count) {
  auto* rows = reinterpret_cast<const zcrpc_range*>(at(v, table));
  uint32_t self = v->self;
  auto* first = std::partition_point(rows, rows + count, [self](const zcrpc_range& r) { return r.message < self; });
  auto* last = std::partition_point(first, rows + count, [self](const zcrpc_range& r) { return r.message == self; });
  return {first, last};
}

// Length of the fields of a group from p to its end tag. The bytes were validated when they were decoded.
size_t group_length(const uint8_t* p, const uint8_t* end) {
  const uint8_t* start = p;
  while (p < end) {
    uint32_t tag;
    wire::Fault fault;
    const uint8_t *bad, *value = wire::read_tag(p, end, &tag, &fault);
    if (!value || wire::tag_type(tag) == wire::Type::kEndGroup) break;
    p = wire::skip_value(value, end, tag, UINT32_MAX, &fault, &bad);
    if (!p) return 0;
  }
  return size_t(p - start);
}

}  // namespace

const uint8_t* extension_slot(View v, const Field* f) {
  const Message* m = f->parent;
  if (!m->extension_slot && !m->sparse) return nullptr;
  const uint8_t* slot;
  if (m->sparse) {
    auto bit = uint32_t(m->fields.size());  // the last bit of the bitmap is the run of extensions
    if (!m->extendable() || !bit_of(v, bit)) return nullptr;
    slot = bytes_of(v) + m->size + 8 * sparse_rank(v, bit);
  } else {
    slot = bytes_of(v) + m->extension_slot;
  }
  auto run = load<zcrpc_run>(slot);
  auto* rows = reinterpret_cast<const zcrpc_ext*>(at(v, run.offset));
  auto* row = std::partition_point(rows, rows + run.count, [f](const zcrpc_ext& r) { return r.number < f->number; });
  return row != rows + run.count && row->number == f->number ? reinterpret_cast<const uint8_t*>(&row->value) : nullptr;
}

bool has(View v, const Field* f) {
  const uint8_t* s = v ? slot_of(v, f) : nullptr;
  if (!s) return false;
  if (f->repeated()) return load<zcrpc_run>(s).count != 0;
  if (f->extension || f->case_offset) return true;
  if (is_message(f->kind)) return load<uint32_t>(s) != 0;
  if (f->presence) return f->parent->sparse || f->bit == ZCRPC_NO_BIT || bit_of(v, f->bit);
  if (is_string(f->kind)) return load<zcrpc_str>(s).len != 0;
  return bits_at(f->kind, s) != 0;
}

const Field* which(View v, const Oneof* o) {
  if (!v) return nullptr;
  if (!o->parent->sparse) {
    auto number = load<uint32_t>(bytes_of(v) + o->case_offset);
    if (!number) return nullptr;
    for (const Field* f : o->fields)
      if (f->number == number) return f;
    return nullptr;
  }
  for (const Field* f : o->fields)
    if (bit_of(v, f->bit)) return f;
  return nullptr;
}

Elements elements(View v, const Field* f) {
  Elements e;
  const uint8_t* s = v && f->repeated() ? slot_of(v, f) : nullptr;
  if (!s) return e;
  auto run = load<zcrpc_run>(s);
  if (run.count == 0) return e;
  e.input = input_of(v);
  e.index = reinterpret_cast<const uint8_t*>(index_of(v));
  e.count = run.count;
  e.stride = f->stride;
  e.borrowed = run.offset & ZCRPC_ELSEWHERE;
  if (e.borrowed && is_message(f->kind)) [[unlikely]] {
    e.borrowed = false;
    e.lazy = true;
    e.stride = sizeof(zcrpc_lazy);
    e.data = reinterpret_cast<const uint8_t*>(lazy_at(e.index, run.offset));
    return e;
  }
  e.data = e.borrowed ? e.input + (run.offset & ~ZCRPC_ELSEWHERE) : e.index + run.offset;
  return e;
}

base::Slice payload(base::Slice input, const zcrpc_head* h) {
  if (h->type_no & ZCRPC_HEAD_ROOT) return input;
  const uint8_t* p = input.data + h->start;
  if (h->type_no & ZCRPC_HEAD_GROUP) return {p, group_length(p, input.end())};
  uint32_t len;
  wire::Fault fault;
  p = wire::read_length(p, input.end(), &len, &fault);
  return p ? base::Slice(p, len) : base::Slice();
}

bool encoded(View v, base::Slice* out) {
  *out = {};
  if (!v || v->type_no & ZCRPC_HEAD_MERGED) return false;
  *out = payload({input_of(v), index_of(v)->input_len}, v);
  return true;
}

std::span<const zcrpc_range> pieces(View v) {
  if (!v || !(v->type_no & ZCRPC_HEAD_MERGED)) return {};
  return rows_of(v, index_of(v)->pieces, index_of(v)->piece_count);
}

std::span<const zcrpc_range> unknown(View v) {
  if (!v || !(v->type_no & ZCRPC_HEAD_UNKNOWN)) return {};
  return rows_of(v, index_of(v)->unknown, index_of(v)->unknown_count);
}

}  // namespace zcrpc::schema
