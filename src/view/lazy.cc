// Lazy views: sub-messages are noted where they lie, and decoded when they are asked for, each into an index of its own.
#include <algorithm>

#include "base/vec.h"
#include "view/context.h"

namespace zcrpc::view {
namespace {

using base::Code;
using base::Result;
using base::Status;
using schema::Field;
using schema::Message;
using schema::View;

// What is kept of a message whose length prefix is at p; its end, or nullptr with a fault.
const uint8_t* note(Context* c, const Target& to, const uint8_t* p, zcrpc_lazy* row) {
  uint32_t n;
  const uint8_t* begin = read_length(c, p, &n, to.field);
  *row = {0, c->offset(p), 0, 0, c->depth + uint32_t(c->sp - c->frames)};
  return begin ? begin + n : nullptr;
}

bool note_run(Context* c, const Target& to, const uint8_t* prefix) {
  const uint32_t n = count_elements(c, to, prefix);
  uint8_t* s = slot(c, to);
  if (!s) return false;
  // As if it were an array of the index, which it is.
  auto run = schema::load<zcrpc_run>(s);
  run.offset &= ~ZCRPC_ELSEWHERE;
  memcpy(s, &run, sizeof run);
  auto* rows = reinterpret_cast<zcrpc_lazy*>(append(c, to, sizeof(zcrpc_lazy), n));
  if (!rows) return false;
  mark(c, to);
  s = slot(c, to);
  run = schema::load<zcrpc_run>(s);
  run.offset |= ZCRPC_ELSEWHERE;
  memcpy(s, &run, sizeof run);
  const uint8_t* p = prefix;
  for (uint32_t i = 0;; i++) {
    p = note(c, to, p, &rows[i]);
    if (!p) return false;
    if (i + 1 == n) break;
    uint32_t tag;
    wire::Fault fault;
    p = wire::read_tag(p, true_end(c), &tag, &fault);
  }
  c->walk.p = p;
  return true;
}

bool note_singular(Context* c, const Target& to, const uint8_t* prefix) {
  zcrpc_lazy row;
  const uint8_t* end = note(c, to, prefix, &row);
  uint8_t* s = slot(c, to);
  if (!end || !s) return false;
  const uint32_t first = present_message(c, to, s);
  mark(c, to);
  uint8_t* place = take(c, sizeof row);
  if (!place) return false;
  memcpy(place, &row, sizeof row);
  const uint32_t at = c->index_offset(place);
  if (first) {  // a further piece
    auto* head = const_cast<zcrpc_lazy*>(schema::lazy_at(c->index, first));
    auto* last = const_cast<zcrpc_lazy*>(schema::lazy_at(c->index, head->last ? head->last : first));
    head->last = last->next = at;
  } else {
    const uint32_t offset = at | ZCRPC_ELSEWHERE;
    memcpy(slot(c, to), &offset, 4);
  }
  c->walk.p = end;
  return true;
}

// The row that the field's i-th message waits in; nullptr: it is absent, or of a view that is not lazy.
zcrpc_lazy* find(View v, const Field* f, size_t i) {
  const zcrpc_lazy* row = nullptr;
  if (!f->repeated()) {
    const uint8_t* s = schema::slot_of(v, f);
    const uint32_t at = s && i == 0 ? schema::load<uint32_t>(s) : 0;
    if (at & ZCRPC_ELSEWHERE) row = schema::lazy_at(schema::index_of(v), at);
  } else {
    const schema::Elements all = schema::elements(v, f);
    if (i >= all.count) return nullptr;
    if (f->is_map()) {
      const auto at = schema::load<uint32_t>(all.at(i) + f->map_value()->offset);
      if (at & ZCRPC_ELSEWHERE) row = schema::lazy_at(all.index, at);
    } else if (all.lazy) {
      row = schema::lazy_at(all.at(i), 0);
    }
  }
  return const_cast<zcrpc_lazy*>(row);
}

View look(View v, const Field* f, size_t i) {
  if (!f->repeated()) return i == 0 ? schema::sub_message(v, f) : nullptr;
  const schema::Elements all = schema::elements(v, f);
  if (i >= all.count) return nullptr;
  return f->is_map() ? all.message_at(all.at(i) + f->map_value()->offset) : all.message(f->message, i);
}

Result<View> decode_child(View v, const Field* f, size_t i, zcrpc_lazy* row, base::Arena* arena) {
  const Message* type = f->is_map() ? f->map_value()->message : f->message;
  const auto* t = static_cast<const Table*>(type->decoder);
  const schema::Anchor anchor = *schema::anchor_of(v);
  schema::LazyRoot* all = schema::lazy_link_of(v)->root;
  const base::Slice input{anchor.input, schema::index_of(v)->input_len};
  const Pieces pieces{piece_at(input, row->start), row, schema::index_of(v)};
  const schema::LazyLink link{all, v, f->number, uint32_t(i)};
  Context c;
  c.arena = arena;
  c.max_index = all->budget;
  c.budget = all->budget - std::min(all->budget, all->used);
  c.max_depth = all->max_depth;
  c.depth = row->depth;
  c.lazy = true;
  c.drop_unknown = all->drop_unknown;
  c.outer = &link;
  const Frames frames(&c);
  if (!frames.ok()) return Status::no_memory();
  constexpr size_t kPrefix = sizeof link + schema::kAnchorSize;
  // Little to begin with, since what is left of a block when this does not fit in it is lost; there mostly is more.
  const size_t least = kPrefix + sizeof(zcrpc_index) + t->size + std::min<size_t>((pieces.now.end - pieces.now.begin) / 2, 256);
  const size_t had = arena->reserved();
  arena->allow(all->budget - std::min(all->budget, all->taken));
  Status status = build(&c, t, input, all->slack, kPrefix, std::min(least, c.budget), row->start, pieces);
  if (!status.ok()) arena->region_abandon();
  arena->allow(SIZE_MAX);
  all->taken += arena->reserved() - had;
  if (!status.ok()) return status;
  memcpy(c.region, &link, sizeof link);
  memcpy(c.region + sizeof link, &anchor, sizeof anchor);
  const auto used = size_t(c.top - c.region);
  arena->region_close(c.region, used);
  arena->note_view(c.region, used, type->name);
  all->used += used;
  auto child = reinterpret_cast<View>(c.index + c.root);
  row->view = reinterpret_cast<uintptr_t>(child);
  return child;
}

}  // namespace

bool keep_closed(Context* c, const Target& to, const uint8_t* start, const uint8_t* p) {
  uint32_t n;
  if (!read_length(c, p, &n, to.field)) return false;
  if (c->sp == c->depth_end) return fail(c, Fault::kDepth, start, to.field);
  return to.field->repeated() ? note_run(c, to, p) : note_singular(c, to, p);
}

Result<View> open(View v, const Field* f, size_t i, base::Arena* arena) {
  zcrpc_lazy* row = v && schema::is_lazy(v) ? find(v, f, i) : nullptr;
  if (!row || row->view) return look(v, f, i);
  if (schema::anchor_of(v)->arena != arena) return Status(Code::kInvalidArgument, "a sub-message is opened in the arena that its parent lies in");
  return decode_child(v, f, i, row, arena);
}

namespace {

// A message on the way down, and which of its sub-messages comes next.
struct Level {
  View v;
  uint32_t field, element;  // place among the type's own fields, then its extensions
};

const Field* field_at(const Message* type, uint32_t at) {
  const size_t own = type->fields.size();
  if (at < own) return &type->fields[at];
  return at - own < type->extensions.size() ? type->extensions[at - own] : nullptr;
}

}  // namespace

// In depth, so that no more is kept in mind than a message has levels.
Status open_all(View v, base::Arena* arena) {
  if (!v || !schema::is_lazy(v)) return {};
  base::Vec<Level> levels;
  if (!levels.push({v, 0, 0})) return Status::no_memory();
  while (!levels.empty()) {
    Level& l = levels.back();
    const Field* f = field_at(schema::type_of(l.v), l.field);
    if (!f) {
      levels.pop();
      continue;
    }
    const bool message = (f->is_map() ? f->map_value() : f)->message;
    const uint32_t n = !message ? 0 : f->repeated() ? schema::elements(l.v, f).count : 1;
    if (l.element >= n) {
      l.field++;
      l.element = 0;
      continue;
    }
    Result<View> child = open(l.v, f, l.element++, arena);
    if (!child.ok()) return child.take_status();
    if (*child && !levels.push({*child, 0, 0})) return Status::no_memory();
  }
  return {};
}

}  // namespace zcrpc::view
