// Slow code, part two: messages, groups and map entries are opened and closed.
#include <algorithm>

#include "view/context.h"

namespace zcrpc::view {
namespace {

using schema::Field;

}  // namespace

uint32_t count_elements(Context* c, const Target& to, const uint8_t* p) {
  const uint8_t* end = true_end(c);
  const uint32_t own = wire::tag(to.field->number, wire::Type::kLength);
  const uint16_t usual = to.entry->tag;
  for (uint32_t n = 0;; n++) {
    uint32_t len, tag;
    wire::Fault fault;
    // Short lengths and the usual tag, far from the end: most of them.
    while (end - p > 4 && (p[0] < 0x80 || p[1] < 0x80) && usual) {
      const bool one = p[0] < 0x80;
      len = one ? p[0] : (p[0] & 0x7Fu) | uint32_t(p[1]) << 7;
      const uint8_t* next = p + (one ? 1 : 2);
      if (end - next < ptrdiff_t(len) + 4) break;
      next += len;
      if (next[0] != uint8_t(usual) || (usual > 0xFF && next[1] != usual >> 8)) break;
      p = next + (usual > 0xFF ? 2 : 1);
      n++;
    }
    p = wire::read_length(p, end, &len, &fault);
    if (!p) return std::max(n, 1u);
    p += len;
    if (p == end) return n + 1;
    const uint8_t* q = wire::read_tag(p, end, &tag, &fault);
    if (!q || tag != own || size_t(q - p) != wire::varint_size(own)) return n + 1;  // fast code knows no longer ones either
    p = q;
  }
}

namespace {

// What there is to know of a message that is about to be opened.
struct Opening {
  const uint8_t* start;   // its tag
  const uint8_t* prefix;  // its length, or a group's first field
  const uint8_t* begin;   // its payload
  const uint8_t* end;
  bool group;
};

// Reads the length. False with a fault, also when it would lie too deep.
bool read_opening(Context* c, const Target& to, const uint8_t* start, const uint8_t* p, Opening* o) {
  *o = {start, p, p, true_end(c), to.field->kind == schema::Kind::kGroup};
  if (!o->group) {
    uint32_t n;
    o->begin = read_length(c, p, &n, to.field);
    if (!o->begin) return false;
    o->end = o->begin + n;
  }
  if (c->sp == c->depth_end) return fail(c, Fault::kDepth, start, to.field);
  return true;
}

void write_head(Context* c, uint8_t* m, const Table* t, const Opening& o) {
  zcrpc_head* h = head_of(m);
  h->self = t->sparse ? 0 : c->index_offset(m);
  h->start = c->offset(o.prefix);
  h->type_no = t->type_no | (o.group ? ZCRPC_HEAD_GROUP : 0);
}

void descend(Context* c, const Target& to, uint8_t* m, const Opening& o, uint32_t left, uint32_t flags, uint32_t first) {
  const Table* t = to.entry->sub;
  Walk& w = c->walk;
  Frame* f = c->sp;
  if (o.group) flags |= kGroup;
  if (t->sparse) flags |= kSparse;
  if (to.field->extension) flags |= kExtension;
  f->end = w.end;
  f->m = w.m;
  f->t = w.t;
  f->has = w.has;
  f->e = to.entry;
  f->left = left;
  f->true_end = nullptr;
  f->begin = c->offset(o.begin);
  f->tag_begin = c->offset(o.start);
  f->first = first;
  const uint8_t* end = o.end;
  if (c->clamp && end > c->clamp) {
    flags |= kClamped;
    f->true_end = end;
    end = c->clamp;
  }
  f->flags = flags;
  c->sp = f + 1;
  if (c->lazy) c->sp_end = c->sp;
  w = {o.begin, end, m, t, 0};
}

// Opens the element of a run that `left` others follow; the run has a place for each of them.
bool open_element(Context* c, const Target& to, const Opening& o, uint32_t left, uint32_t first) {
  const Table* t = to.entry->sub;
  uint8_t* s = slot(c, to);
  if (!s) return false;
  auto run = schema::load<zcrpc_run>(s);
  uint32_t at = run.count - left - 1;
  uint8_t* m;
  if (t->sparse) {
    m = open_scratch(c, t);
    if (!m) {
      c->fault_more = 0 - (left + 1);  // the run counts this one and those behind it already
      return false;
    }
  } else {
    m = c->index + (run.offset & ~kMarks) + size_t(at) * t->size;
  }
  if (!t->sparse) memset(m, 0, t->size);  // fast code clears elements one by one, and may have taken the array
  if (!t->entry) write_head(c, m, t, o);
  descend(c, to, m, o, left, t->entry ? uint32_t(kEntry) : 0u, first);
  return true;
}

bool enter_run(Context* c, const Target& to, const Opening& o) {
  const Table* t = to.entry->sub;
  uint8_t* s = slot(c, to);
  if (!s) return false;
  uint32_t first = schema::load<zcrpc_run>(s).count;
  uint32_t n = o.group ? 1 : count_elements(c, to, o.prefix);
  if (!append(c, to, t->sparse ? 4 : t->size, n)) return false;
  mark(c, to);
  return open_element(c, to, o, n - 1, first);
}

}  // namespace

uint32_t present_message(Context* c, const Target& to, const uint8_t* s) {
  const Walk& w = c->walk;
  if (w.t->entry) return 0;  // a map's value that comes again replaces the other
  if (to.entry->case_offset && schema::load<uint32_t>(w.m + to.entry->case_offset) != to.field->number) return 0;
  return schema::load<uint32_t>(s);
}

namespace {

bool push_piece(Context* c, uint32_t id, uint32_t from, uint32_t len) { return push_row(c, {id, kPieceRow, from, len}); }

// A further piece of the message at `at`: both are listed, and the message is opened again.
uint8_t* reopen(Context* c, const Table* t, uint32_t at, const Opening& o) {
  if (!(head_at(c, at)->type_no & ZCRPC_HEAD_MERGED)) {
    base::Slice first = schema::payload({c->input, c->input_size}, head_at(c, at));
    if (!push_piece(c, at, uint32_t(first.data - c->input), uint32_t(first.size))) return nullptr;
    head_at(c, at)->type_no |= ZCRPC_HEAD_MERGED;
  }
  if (!o.group && !push_piece(c, at, c->offset(o.begin), uint32_t(o.end - o.begin))) return nullptr;
  return t->sparse ? reopen_sparse(c, t, at) : c->index + at;
}

bool enter_singular(Context* c, const Target& to, const Opening& o) {
  const Table* t = to.entry->sub;
  uint8_t* s = slot(c, to);
  if (!s) return false;
  uint32_t at = present_message(c, to, s);
  mark(c, to);
  if (at) {
    uint8_t* m = reopen(c, t, at, o);
    if (!m) return false;
    descend(c, to, m, o, 0, kPiece, at);
    return true;
  }
  uint8_t* m = t->sparse ? open_scratch(c, t) : take(c, t->size);
  if (!m) return false;
  write_head(c, m, t, o);
  uint32_t offset = t->sparse ? 0 : c->index_offset(m);  // a sparse one has no place yet
  memcpy(slot(c, to), &offset, 4);
  descend(c, to, m, o, 0, 0, 0);
  return true;
}

void flush_bits(Walk& w) {
  if (!w.t->entry && w.has << 1) {
    uint32_t low = schema::load<uint32_t>(w.m + 12) | uint32_t(w.has);
    memcpy(w.m + 12, &low, 4);
    if (auto high = uint32_t(w.has << 1 >> 33)) {
      high |= schema::load<uint32_t>(w.m + 16);
      memcpy(w.m + 16, &high, 4);
    }
  }
  w.has = 0;
}

// What is left of the input goes into the patch, which has slack behind it, and the walk goes on there.
void flip(Context* c) {
  const uint32_t at = c->offset(c->walk.p);
  const size_t rest = c->input_size - at;
  memcpy(c->patch, c->input + at, rest);
  memset(c->patch + rest, 0, base::kSlack);
  const uint8_t* from = c->base;
  c->base = reinterpret_cast<const uint8_t*>(reinterpret_cast<uintptr_t>(c->patch) - at);
  auto moved = [&](const uint8_t* p) { return c->patch + ((p - from) - ptrdiff_t(at)); };
  // Frame i closes what lies open at its level; where that ends stands one frame further up, or in the walk.
  for (Frame* f = c->frames; f < c->sp; f++) {
    const uint8_t*& end = f + 1 == c->sp ? c->walk.end : (f + 1)->end;
    end = moved(f->flags & kClamped ? f->true_end : end);
    f->flags &= ~uint32_t(kClamped);
  }
  c->walk.p = c->patch;
  c->clamp = nullptr;
}

// The next element of a counted run. Its tag may be an overlong one, so it is read again.
bool next_element(Context* c, const Target& to, uint32_t left, uint32_t first) {
  const uint8_t* start = c->walk.p;
  uint32_t tag;
  wire::Fault fault;
  const uint8_t* p = wire::read_tag(start, true_end(c), &tag, &fault);
  Opening o;
  if (!p || !read_opening(c, to, start, p, &o)) return false;
  return open_element(c, to, o, left, first);
}

// A sparse message has got its place: its parent's slot, or the array there, tells it.
bool store_place(Context* c, const Target& to, uint32_t left, uint32_t at) {
  uint8_t* s = slot(c, to);
  if (!s) return false;
  if (to.field->repeated()) {
    auto run = schema::load<zcrpc_run>(s);
    s = c->index + (run.offset & ~kMarks) + size_t(run.count - left - 1) * 4;
  }
  memcpy(s, &at, 4);
  return true;
}

// The closed enum value of a map entry is not among its enum's: the entry is no entry, but an unknown field.
bool discard_entry(Context* c, const Target& to, uint32_t from) {
  uint8_t* s = slot(c, to);
  auto run = schema::load<zcrpc_run>(s);
  run.count--;
  memcpy(s, &run, sizeof run);
  // Those that follow move up: the last place stays empty, and must not show what lay there before.
  const uint32_t stride = to.entry->sub->size;
  memset(c->index + (run.offset & ~kMarks) + size_t(run.count) * stride, 0, stride);
  return push_unknown(c, from, c->offset(c->walk.p));
}

// The message is complete: back to its parent, and on to the next of the run.
Left close_message(Context* c) {
  Walk& w = c->walk;
  Frame* f = open_frame(c);
  uint32_t place = 0;
  flush_bits(w);
  if (f->flags & kSparse) {
    place = pack_sparse(c, f->flags & kPiece ? f->first : 0);
    if (!place) return Left::kFault;
  }
  if (f->flags & kRoot) {
    c->root = place ? place : c->index_offset(w.m);
    return Left::kFinished;
  }
  c->sp = f;
  if (c->lazy) c->sp_end = f;
  w = {f->flags & kItem ? c->base + f->resume : w.p, f->end, f->m, f->t, f->has};
  const Target to = frame_target(f);
  const uint32_t first = f->flags ? f->first : 0;
  if (f->flags & kSparse && !store_place(c, to, f->left, place)) return Left::kFault;
  if (f->flags & kDiscard && !discard_entry(c, to, f->tag_begin)) return Left::kFault;
  if (f->left) return next_element(c, to, f->left - 1, first) ? Left::kNext : Left::kFault;
  if (f->flags & kEntry && !settle_run(c, to, first)) return Left::kFault;
  return Left::kNext;
}

}  // namespace

bool enter_message(Context* c, const Target& to, const uint8_t* start, const uint8_t* p) {
  if (stays_closed(c, to.field)) return keep_closed(c, to, start, p);
  Opening o;
  if (!read_opening(c, to, start, p, &o)) return false;
  return to.field->repeated() ? enter_run(c, to, o) : enter_singular(c, to, o);
}

bool leave_group(Context* c, uint32_t number, const uint8_t* tag, const uint8_t* p) {
  Frame* f = open_frame(c);
  if (!(f->flags & kGroup) || frame_target(f).field->number != number) return fail(c, Fault::kEndGroup, tag, nullptr);
  if (f->flags & kPiece) {
    uint32_t id = message_id(c);
    if (!id || !push_piece(c, id, f->begin, c->offset(tag) - f->begin)) return false;
  }
  c->walk.p = p;
  return close_message(c) == Left::kNext;
}

Left slow_leave(Context* c) {
  const Frame* f = open_frame(c);
  const uint8_t* end = true_end(c);
  if (f->flags & kClamped && c->walk.p < end) {
    flip(c);
    return Left::kNext;
  }
  if (c->walk.p > end) return report_overrun(c) ? Left::kNext : Left::kFault;
  if (f->flags & kGroup) {
    fail(c, Fault::kTruncatedGroup, c->base + f->tag_begin, nullptr);
    return Left::kFault;
  }
  return close_message(c);
}

}  // namespace zcrpc::view
