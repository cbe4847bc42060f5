// The region that the index grows in: messages from below, frames of sparse messages and rows from above.
#include <bit>

#include "view/context.h"

namespace zcrpc::view {
namespace {

uint8_t* rows_begin(const Context* c) { return c->region_end - size_t(c->row_capacity) * sizeof(Row); }

// Everything in [limit, region_end) or a part of it has moved by `by`: frames of sparse messages are pointed to.
void rebase(Context* c, const uint8_t* from, const uint8_t* to, ptrdiff_t by) {
  auto move = [&](uint8_t*& m) {
    if (m >= from && m < to) m += by;
  };
  move(c->walk.m);
  for (Frame* f = c->frames; f < c->sp; f++) move(f->m);
}

// The region becomes at least `want` bytes long.
bool grow(Context* c, size_t want) {
  auto capacity = size_t(c->region_end - c->region);
  if (want > c->budget) return fail(c, Fault::kBudget, nullptr, nullptr);
  // A little more than is wanted, so that the same message fits without a second look when the block is used again.
  size_t more = capacity * 2 < want ? want + want / 8 : capacity * 2;
  if (more > c->budget) more = c->budget;
  // Of lazy views the budget counts what their children take from the system, too.
  const size_t most = c->arena->region_most(c->region);
  if (want > most) return fail(c, Fault::kBudget, nullptr, nullptr);
  if (more > most) more = most;
  uint8_t *old = c->region, *old_limit = c->limit, *old_end = c->region_end;
  auto above = size_t(old_end - old_limit);
  size_t used = above ? capacity : size_t(c->top - old), got;
  uint8_t* region = c->arena->region_grow(old, used, more, &got);
  if (!region) {
    // A full arena in the caller's memory, or none left in the process.
    return fail(c, Fault::kMemory, nullptr, nullptr);
  }
  if (got > c->budget) got = c->budget & ~size_t(7);
  auto old_top = size_t(c->top - old), old_index = size_t(c->index - old);
  c->region = region;
  c->region_end = region + got;
  c->limit = c->region_end - above;
  if (above) memmove(c->limit, region + (capacity - above), above);
  // Old addresses are compared as numbers only.
  auto from = reinterpret_cast<uintptr_t>(old), mid = reinterpret_cast<uintptr_t>(old_limit);
  auto to = reinterpret_cast<uintptr_t>(old_end);
  auto move = [&](uint8_t*& m) {
    auto at = reinterpret_cast<uintptr_t>(m);
    if (at >= mid && at < to) m = c->limit + (at - mid);
    else if (at >= from && at < mid) m = region + (at - from);
  };
  move(c->walk.m);
  for (Frame* f = c->frames; f < c->sp; f++) move(f->m);
  c->index = region + old_index;
  c->top = region + old_top;
  c->rows = reinterpret_cast<Row*>(rows_begin(c));
  c->clean = c->limit;
  return true;
}

}  // namespace

bool make_room(Context* c, size_t n) {
  if (size_t(c->limit - c->top) >= n) return true;
  if (n > wire::kMaxMessage) return fail(c, Fault::kBudget, nullptr, nullptr);
  return grow(c, size_t(c->top - c->region) + n + size_t(c->region_end - c->limit));
}

uint8_t* take_raw(Context* c, size_t n) {
  const size_t whole = align8(n);
  if (!make_room(c, whole)) return nullptr;
  uint8_t* p = c->top;
  c->top = p + whole;
  if (whole != n) memset(p + n, 0, whole - n);
  return p;
}

uint8_t* take(Context* c, size_t n) {
  uint8_t* p = take_raw(c, n);
  if (p) memset(p, 0, n);
  return p;
}

uint8_t* open_scratch(Context* c, const Table* t) {
  if (!make_room(c, t->size)) return nullptr;
  c->limit -= t->size;
  if (c->clean > c->limit) {
    auto* dirty_end = c->clean < c->limit + t->size ? c->clean : c->limit + t->size;
    memset(c->limit, 0, size_t(dirty_end - c->limit));
    c->clean = c->limit;
  }
  return c->limit;
}

void close_scratch(Context* c, const Table* t) { c->limit += t->size; }

bool push_row(Context* c, const Row& row) {
  if (c->row_count == c->row_capacity) {
    uint32_t more = c->row_capacity ? c->row_capacity : 8;
    size_t bytes = more * sizeof(Row);
    if (!make_room(c, bytes)) return false;
    // The rows keep their end; what lies below them makes way.
    uint8_t *old_limit = c->limit, *old_rows = rows_begin(c);
    memmove(old_limit - bytes, old_limit, size_t(c->region_end - old_limit));
    // [old_limit, old_rows) are frames; the rows themselves moved down too, so that row i stays row i.
    rebase(c, old_limit, old_rows, -ptrdiff_t(bytes));
    c->limit = old_limit - bytes;
    c->row_capacity += more;
    c->rows = reinterpret_cast<Row*>(rows_begin(c));
    c->clean = c->limit;
  }
  c->rows[c->row_count++] = row;
  return true;
}

}  // namespace zcrpc::view
