// Elements of repeated fields in an edit: where they are, and which are left.
#include <bit>

#include "encode/edit.h"

namespace zcrpc::encode {

using base::Code;
using base::Slice;
using base::Status;
using schema::Field;

// ---- Which are left

void Live::in(const base::Allocator* a) {
  new (&bits_) base::Vec<uint64_t>(a);
  new (&tree_) base::Vec<uint32_t>(a);
}

// tree_[i - 1] counts the words from i - lowest bit of i, up to i - 1.
bool Live::add_word(uint32_t n) {
  const auto i = uint32_t(bits_.size() + 1);
  uint32_t sum = n;
  for (uint32_t step = 1; step < (i & (0 - i)); step <<= 1) sum += tree_[i - step - 1];
  return bits_.push(n < 64 ? (uint64_t(1) << n) - 1 : UINT64_MAX) && tree_.push(sum);
}

bool Live::extend(size_t n) {
  const uint32_t before = all_;
  all_ += uint32_t(n);
  left_ += uint32_t(n);
  if (bits_.empty()) return true;
  for (uint32_t row = before; row < all_;) {
    const uint32_t bit = row % 64, some = all_ - row < 64 - bit ? all_ - row : 64 - bit;
    if (bit) {
      bits_.back() |= ((uint64_t(1) << some) - 1) << bit;
      for (auto i = uint32_t(bits_.size()); i <= tree_.size(); i += i & (0 - i)) tree_[i - 1] += some;
    } else if (!add_word(some)) {
      return false;
    }
    row += some;
  }
  return true;
}

uint32_t Live::at(size_t i) const {
  if (bits_.empty()) return uint32_t(i);
  auto left = uint32_t(i);
  size_t word = 0;
  for (size_t step = std::bit_floor(tree_.size()); step; step >>= 1)
    if (word + step <= tree_.size() && tree_[word + step - 1] <= left) left -= tree_[(word += step) - 1];
  uint64_t bits = bits_[word];
  for (; left; left--) bits &= bits - 1;
  return uint32_t(word * 64) + uint32_t(std::countr_zero(bits));
}

bool Live::remove(size_t i) {
  if (bits_.empty()) {
    const size_t words = (size_t(all_) + 63) / 64;
    if (!bits_.reserve_exact(words) || !tree_.reserve_exact(words)) return false;
    for (uint32_t row = 0; row < all_; row += 64)
      if (!add_word(all_ - row < 64 ? all_ - row : 64)) return false;
  }
  const uint32_t row = at(i);
  bits_[row / 64] &= ~(uint64_t(1) << row % 64);
  for (uint32_t word = row / 64 + 1; word <= tree_.size(); word += word & (0 - word)) tree_[word - 1]--;
  left_--;
  return true;
}

// ---- Numbers

namespace {

// Whether there is so much to look through from that segment on that what is found is counted first: what a list grows
// out of stays in the arena.
bool is_long(const Node* n, uint32_t from) {
  size_t bytes = 0;
  for (uint32_t s = from; s < n->count(); s++) bytes += n->segments[s].bytes.size;
  return bytes > 16384;
}

// Calls fn(bits) for each number of f from that segment on, until it gives false.
template <class Fn>
bool scan_numbers(Encoder* e, const Node* n, uint32_t from, const Field* f, Fn fn) {
  bool good = true;
  if (!scan(e, n, from, [&](const Record& rec, uint32_t) {
        if (rec.field != f) return true;
        if (!rec.packed) return fn(rec.bits);
        for (const uint8_t *p = rec.payload, *end = p + rec.size; p < end;) {
          uint64_t bits;
          bool known;
          if (!(p = next_packed(f, p, end, &bits, &known))) return good = false;
          if (known && !fn(bits)) return false;
        }
        return true;
      }))
    return false;
  if (!good) malformed(e);
  return good;
}

}  // namespace

bool has_element(Encoder* e, const Field* f, const Live& live, size_t i) {
  if (i < live.size()) return true;
  fail_at(e, f, Status(Code::kOutOfRange, "no such element"));
  return false;
}

Numbers* list_numbers(Encoder* e, Node* n, const Field* f) {
  Rule* r = make_rule(e, n, f);
  if (!r) return nullptr;
  Numbers* numbers = r->numbers;
  if (!numbers) {
    if (!(numbers = make<Numbers>(e->edit))) return no_memory(e, f), nullptr;
    into_arena(e->edit, &numbers->all);
    numbers->live.in(&e->edit->in_arena);
  }
  base::Vec<uint64_t>& all = numbers->all;
  const size_t before = all.size();
  bool ok = true;
  if (!before && is_long(n, r->before)) {
    size_t found = 0;
    if (!scan_numbers(e, n, r->before, f, [&](uint64_t) { return ++found != 0; })) return nullptr;
    ok = all.reserve_exact(found);
  }
  if (ok && !scan_numbers(e, n, r->before, f, [&](uint64_t bits) { return ok = all.size() < kChanged && all.push(bits); })) return nullptr;
  if (!ok || !numbers->live.extend(all.size() - before)) return no_memory(e, f), nullptr;
  r->numbers = numbers;
  r->before = n->count();
  n->split = true;
  return numbers;
}

// ---- Strings and messages

namespace {

// Where the row is in its segment, as long as it is not changed.
Bytes payload_of(Encoder* e, const Node* n, const Segment& s, uint32_t at) {
  Record rec;
  Slice in = resolve(e->edit, s.bytes);
  if (!next_record(n->type, in.begin() + at, in.end(), &rec)) return {};
  return part_of(e->edit, s, rec.payload, rec.size);
}

uint32_t segment_of(const Rows* rows, uint32_t row) {
  size_t low = 0, high = rows->runs.size();
  while (high - low > 1) {
    const size_t mid = (low + high) / 2;
    (rows->runs[mid].first <= row ? low : high) = mid;
  }
  return rows->runs[low].segment;
}

Change* add_change(Edit* d, Rows* rows, uint32_t place) {
  Change* c = make<Change>(d);
  if (!c) return nullptr;
  c->place = place;
  rows->changes.back() = c;
  return c;
}

// A place of its own for what the row becomes.
Change* new_change(Encoder* e, Rows* rows, const Field* f, uint32_t row, base::Arena::Mark* mark) {
  Edit* d = e->edit;
  if (!rows->changes.push(nullptr)) return no_memory(e, f), nullptr;
  *mark = d->arena.mark();
  Change* c = add_change(d, rows, rows->places[row]);
  if (!c) return no_memory(e, f), nullptr;
  rows->places[row] = kChanged | uint32_t(rows->changes.size() - 1);
  return c;
}

}  // namespace

Rows* list_rows(Encoder* e, Node* n, const Field* f) {
  Rule* r = make_rule(e, n, f);
  if (!r) return nullptr;
  Edit* d = e->edit;
  Rows* rows = r->rows;
  if (!rows) {
    if (!(rows = make<Rows>(d))) return no_memory(e, f), nullptr;
    into_arena(d, &rows->places);
    into_arena(d, &rows->runs);
    into_arena(d, &rows->changes);
    rows->live.in(&d->in_arena);
    rows->scanned = r->before;
  }
  base::Vec<uint32_t>& places = rows->places;
  if (places.empty() && is_long(n, rows->scanned)) {
    size_t found = 0;
    if (!scan(e, n, rows->scanned, [&](const Record& rec, uint32_t) {
          found += rec.field == f;
          return true;
        }))
      return nullptr;
    if (!places.reserve_exact(found)) return no_memory(e, f), nullptr;
  }
  bool ok = true;
  const size_t before = places.size();
  if (!scan(e, n, rows->scanned, [&](const Record& rec, uint32_t s) {
        if (rec.field != f) return true;
        const auto row = uint32_t(places.size());
        if (rows->runs.empty() || rows->runs.back().segment != s) ok = push_one(&rows->runs, {s, row});
        const size_t at = rec.begin ? size_t(rec.begin - resolve(d, n->segments[s].bytes).data) : 0;
        return ok = ok && row < kChanged && places.push(uint32_t(at));
      }))
    return nullptr;
  if (!ok || !rows->live.extend(places.size() - before)) return no_memory(e, f), nullptr;
  r->rows = rows;
  rows->scanned = n->count();
  n->split = true;
  return rows;
}

bool change_row(Encoder* e, Rows* rows, const Field* f, uint32_t row, const Segment& value) {
  const uint32_t place = rows->places[row];
  base::Arena::Mark mark;
  Change* c = place & kChanged ? rows->changes[place & ~kChanged] : new_change(e, rows, f, row, &mark);
  if (c) c->value = value;
  return c != nullptr;
}

Opened open_element(Encoder* e, Node* n, const Field* f, size_t i) {
  Edit* d = e->edit;
  Opened o;
  Rows* rows = list_rows(e, n, f);
  if (!rows || !has_element(e, f, rows->live, i)) return o;
  const uint32_t row = rows->live.at(i), place = rows->places[row];
  Change* c = place & kChanged ? rows->changes[place & ~kChanged] : nullptr;
  const Segment& s = c ? c->value : n->segments[segment_of(rows, row)];
  if (s.kind == Segment::kChild) {
    o.node = s.child;
    return o;
  }
  const Bytes payload = payload_of(e, n, s, c ? 0 : place);
  o.log = d->log->offset();
  if (!c) {
    if (!(c = new_change(e, rows, f, row, &o.mark))) return o;
    o.home = &c->value;
    o.rows = rows;
    o.row = row;
  }
  Node* child = new_node(d, f->message);
  if (!child) return no_memory(e, f), o;
  if (!append_piece(e, child, payload)) return o;
  child->split = true;
  o.pieces = child->count();
  c->value = Segment();
  c->value.kind = Segment::kChild;
  c->value.field = f;
  c->value.child = child;
  o.node = child;
  return o;
}

// As it was, if nothing has come of it; folded, if it is small. Once: what is opened again and again would fill the log.
void close_element(Encoder* e, const Field* f, const Opened& o) {
  if (e->is_failed || !o.rows) return;
  Edit* d = e->edit;
  Rows* rows = o.rows;
  const Node* child = o.home->child;
  const uint32_t place = rows->changes.back()->place;
  if (child->rules.empty() && child->count() == o.pieces) {
    rows->places[o.row] = place;
    rows->changes.pop();
    (void)d->arena.rewind(o.mark);
    return;
  }
  Segment record;
  if (!fold(e, f, o.home->child, o, &record)) return;
  Change* c = add_change(d, rows, place);
  if (!c) return no_memory(e, f);
  c->value = record;
}

}  // namespace zcrpc::encode
