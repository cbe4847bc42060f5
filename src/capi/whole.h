// For what walks a whole message (printing, encoding, comparing): a lazy view is decoded again, eagerly, so that nothing
// of it is missing.
#pragma once

#include <algorithm>

#include "base/arena.h"
#include "schema/view.h"
#include "view/view.h"

namespace zcrpc::capi {

// Of a budget, which the arena with v in it has been taken from, what v's index and what is decoded beside it may take.
inline size_t beside(size_t budget, schema::View v, const base::Arena& arena) {
  const size_t size = schema::index_of(v)->size, free = arena.reserved() - std::min(arena.reserved(), size);
  return std::max(size, budget - std::min(budget, free));
}

// v itself, or, if it is lazy, its message decoded into *arena, on what is left of the budget. Errors as view::decode has them:
// in what was not opened yet. left: bytes that this index, and what is decoded beside it, may take; 0: what it is by default.
inline base::Result<schema::View> whole(schema::View v, base::Arena* arena, size_t* left = nullptr) {
  if (left) *left = 0;
  if (!v || !schema::is_lazy(v)) [[likely]] return v;
  const schema::LazyRoot* all = schema::lazy_link_of(v)->root;
  const size_t spent = std::max(all->used, all->taken);
  view::Limits limits;
  limits.max_index = spent < all->budget ? all->budget - spent : 1;
  limits.told = all->budget;
  limits.max_depth = all->max_depth;
  limits.drop_unknown = all->drop_unknown;
  base::Slice bytes;
  auto decoded = [&](bool counted) {
    auto one = view::decode(schema::type_of(v), bytes, false, limits, arena, counted ? schema::anchor_of(v)->buffer : nullptr);
    if (left && one.ok()) *left = beside(limits.max_index, *one, *arena);
    return one;
  };
  if (schema::encoded(v, &bytes)) return decoded(true);
  size_t n = 0;
  for (const zcrpc_range& r : schema::pieces(v)) n += r.len;
  auto* joined = static_cast<uint8_t*>(arena->alloc(n));
  if (!joined) return base::Status::no_memory();
  uint8_t* p = joined;
  for (const zcrpc_range& r : schema::pieces(v)) {
    memcpy(p, schema::input_of(v) + r.offset, r.len);
    p += r.len;
  }
  bytes = {joined, n};
  return decoded(false);
}

}  // namespace zcrpc::capi
