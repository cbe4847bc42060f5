// The end of arrays: keys of maps that come twice, and the marks and rows that a decode leaves behind.
#include <algorithm>
#include <bit>

#include "base/hash.h"
#include "view/context.h"

namespace zcrpc::view {
namespace {

using schema::Field;
using schema::Kind;

// The entries of one map: keys compare by their bytes, numbers by value.
struct Entries {
  uint8_t* data;
  uint32_t stride;
  uint32_t key_offset, key_width;
  bool text, is_signed;
  const uint8_t* input;

  Entries(Context* c, const Field* f, uint8_t* at) : data(at), stride(f->stride), input(c->input) {
    const Field* key = f->map_key();
    key_offset = key->offset;
    key_width = schema::slot_width(key->kind);
    text = is_string(key->kind);
    is_signed = key->kind == Kind::kInt32 || key->kind == Kind::kInt64 || key->kind == Kind::kSint32 ||
                key->kind == Kind::kSint64 || key->kind == Kind::kSfixed32 || key->kind == Kind::kSfixed64;
  }
  uint8_t* at(uint32_t i) const { return data + size_t(i) * stride; }
  uint64_t number(uint32_t i) const {
    const uint8_t* p = at(i) + key_offset;
    if (key_width == 8) return schema::load<uint64_t>(p);
    if (key_width == 4) {
      auto v = schema::load<uint32_t>(p);
      return is_signed ? uint64_t(int64_t(int32_t(v))) : v;
    }
    return *p;
  }
  zcrpc_str string(uint32_t i) const { return schema::load<zcrpc_str>(at(i) + key_offset); }
  bool equal(uint32_t i, uint32_t j) const {
    if (!text) return number(i) == number(j);
    zcrpc_str a = string(i), b = string(j);
    return a.len == b.len && memcmp(input + a.offset, input + b.offset, a.len) == 0;
  }
  bool before(uint32_t i, uint32_t j) const {
    if (!text) {
      uint64_t a = number(i), b = number(j);
      return is_signed ? int64_t(a) < int64_t(b) : a < b;
    }
    zcrpc_str a = string(i), b = string(j);
    int order = memcmp(input + a.offset, input + b.offset, std::min(a.len, b.len));
    return order < 0 || (order == 0 && a.len < b.len);
  }
  // Equal keys have equal prints, and others hardly ever.
  uint64_t print(uint32_t i) const {
    if (!text) return number(i);
    const zcrpc_str s = string(i);
    const uint8_t* p = input + s.offset;
    if (s.len >= 8) return schema::load<uint64_t>(p) * 0x9E3779B97F4A7C15u ^ schema::load<uint64_t>(p + s.len - 8) ^ s.len;
    if (s.len >= 4) return uint64_t(schema::load<uint32_t>(p)) << 32 ^ schema::load<uint32_t>(p + s.len - 4) ^ s.len;
    return s.len ? uint64_t(p[0]) << 16 | uint64_t(p[s.len / 2]) << 8 | p[s.len - 1] : 0;
  }
  void move(uint32_t to, uint32_t from) const {
    if (to != from) memcpy(at(to), at(from), stride);
  }
  uint64_t hash(base::HashKey key, uint32_t i) const {
    if (text) return base::siphash(key, input + string(i).offset, string(i).len);
    uint64_t v = number(i);
    return base::siphash(key, &v, sizeof v);
  }
};

// The last of equal keys wins, in the place of the first. Both return how many entries remain.
uint32_t unite_few(const Entries& e, uint32_t n) {
  uint64_t prints[kFewEntries];
  uint32_t kept = 0;
  for (uint32_t i = 0; i < n; i++) {
    const uint64_t print = prints[kept] = e.print(i);
    uint32_t j = 0;
    while (j < kept && (prints[j] != print || !e.equal(j, i))) j++;
    e.move(j, i);
    if (j == kept) kept++;
  }
  return kept;
}

uint32_t unite_many(const Entries& e, uint32_t n, uint32_t* table, uint32_t size) {
  const base::HashKey key = base::process_hash_key();
  uint32_t kept = 0;
  for (uint32_t i = 0; i < n; i++) {
    auto at = uint32_t(e.hash(key, i)) & (size - 1);
    while (table[at] && !e.equal(table[at] - 1, i)) at = (at + 1) & (size - 1);
    if (table[at] == 0) table[at] = ++kept;
    e.move(table[at] - 1, i);
  }
  return kept;
}

// Clears the marks of an array, which are in the low bits of its offset.
bool tidy_run(Context* c, const Field* f, uint32_t message) {
  auto find = [&] { return const_cast<uint8_t*>(schema::slot_of(reinterpret_cast<schema::View>(c->index + message), f)); };
  uint8_t* s = find();
  if (!s) return true;  // its oneof, or its message, has been replaced
  auto run = schema::load<zcrpc_run>(s);
  if ((run.offset & ZCRPC_ELSEWHERE && !stays_closed(c, f)) || !(run.offset & kMarks)) return true;
  if (run.offset & kUnsorted) {
    uint32_t n = run.count;
    if (n <= kFewEntries) {
      run.count = unite_few(Entries(c, f, c->index + (run.offset & ~kMarks)), n);
    } else {
      size_t bytes = std::bit_ceil(size_t(n) * 2) * sizeof(uint32_t);
      if (!make_room(c, bytes)) return false;
      s = find();
      auto* table = reinterpret_cast<uint32_t*>(c->top);
      memset(table, 0, bytes);
      if (c->clean < c->top + bytes) c->clean = c->top + bytes;
      run.count = unite_many(Entries(c, f, c->index + (run.offset & ~kMarks)), n, table, uint32_t(bytes / sizeof(uint32_t)));
    }
  }
  run.offset &= ~kMarks;
  memcpy(s, &run, sizeof run);
  return true;
}

bool comes_before(const Row& a, const Row& b) {
  if (a.number != b.number && (a.number ^ b.number) & kPieceRow) return !(a.number & kPieceRow);
  return a.message != b.message ? a.message < b.message : a.offset < b.offset;
}

}  // namespace

bool settle_run(Context* c, const Target& to, uint32_t first) {
  uint8_t* s = slot(c, to);
  auto run = schema::load<zcrpc_run>(s);
  if (run.offset & kUnsorted) return true;
  const Entries e(c, to.field, c->index + (run.offset & ~kMarks));
  if (first == 0) {
    if (run.count <= kFewEntries) {
      run.count = unite_few(e, run.count);
      memcpy(s, &run, sizeof run);
      return true;
    }
    uint32_t i = 1;
    while (i < run.count && e.before(i - 1, i)) i++;
    if (i >= run.count) return true;
  }
  if (!(run.offset & kMarks)) {
    uint32_t id = message_id(c);
    if (!id || !push_row(c, {id, to.field->number | kTidyRow, 0, 0})) return false;
    s = slot(c, to);
  }
  run.offset |= kUnsorted;
  memcpy(s, &run, sizeof run);
  return true;
}

bool settle_map(Context* c) {
  const Entry* e = c->settle;
  c->settle = nullptr;
  return settle_run(c, {&c->walk.t->message->fields[e->index], e}, 0);
}

bool tidy(Context* c) {
  uint32_t n = 0;
  for (uint32_t i = 0; i < c->row_count; i++) {
    Row row = c->rows[i];
    row.message = resolve(c, row.message);
    if (!(row.number & kTidyRow)) {
      c->rows[n++] = row;
      continue;
    }
    const schema::Message* m = c->schema->messages[head_at(c, row.message)->type_no & ZCRPC_HEAD_TYPE];
    const Field* f = find_target(static_cast<const Table*>(m->decoder), row.number & ~kTidyRow).field;
    if (!tidy_run(c, f, row.message)) return false;
  }
  std::sort(c->rows, c->rows + n, comes_before);
  auto* out = reinterpret_cast<Row*>(c->top);
  if (n) memmove(out, c->rows, n * sizeof(Row));
  auto* index = reinterpret_cast<zcrpc_index*>(c->index);
  index->unknown_count = index->piece_count = 0;
  for (uint32_t i = 0; i < n; i++) {
    if (out[i].number & kPieceRow) {
      out[i].number = 0;
      index->piece_count++;
    } else {
      index->unknown_count++;
    }
  }
  index->unknown = index->unknown_count ? c->index_offset(out) : 0;
  index->pieces = index->piece_count ? c->index_offset(out + index->unknown_count) : 0;
  c->top += n * sizeof(Row);
  return true;
}

}  // namespace zcrpc::view
