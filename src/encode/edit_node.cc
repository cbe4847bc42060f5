// Nodes of an edit: their segments and rules, and what is found of a field among them.
#include "encode/edit.h"

namespace zcrpc::encode {

using base::Code;
using base::Slice;
using base::Status;
using schema::Field;
using schema::Message;

namespace {

size_t budget(const Edit* d) {
  const size_t n = d->given + d->set, most = (SIZE_MAX - kLeast) / kFactor;
  return kLeast + kFactor * (n < most ? n : most);
}
// Whether n bytes more are within it. Half of the log may be empty.
bool within(Edit* d, size_t n) {
  const size_t all = d->held + 2 * d->log->offset();
  d->over = budget(d) < all || budget(d) - all < n;
  return !d->over;
}

}  // namespace

// The budget is asked before the system is, and the arena asks for less when it gets nothing.
Edit::Edit() {
  counted = {[](size_t n, void* user) -> void* {
               auto* d = static_cast<Edit*>(user);
               void* p = within(d, n) ? base::kDefaultAllocator.alloc(n, nullptr) : nullptr;
               if (p) d->held += n;
               return p;
             },
             [](void* p, size_t old, size_t n, void* user) -> void* {
               auto* d = static_cast<Edit*>(user);
               void* q = n <= old || within(d, n - old) ? base::kDefaultAllocator.realloc(p, old, n, nullptr) : nullptr;
               if (q) d->held += n - old;
               return q;
             },
             [](void* p, size_t n, void* user) {
               static_cast<Edit*>(user)->held -= n;
               base::kDefaultAllocator.free(p, n, nullptr);
             },
             this};
  in_arena = {[](size_t n, void* a) { return static_cast<base::Arena*>(a)->alloc(n); },
              [](void* p, size_t old, size_t n, void* a) {
                if (p && static_cast<base::Arena*>(a)->extend(p, old, n)) return p;
                void* q = static_cast<base::Arena*>(a)->alloc(n);
                if (q && p) memcpy(q, p, old < n ? old : n);
                return q;
              },
              [](void*, size_t, void*) {}, &arena};
}

Edit* edit_of(Encoder* e) { return e->edit; }
Node* open_node(Encoder* e) { return e->edit->open.back().node; }

void no_memory(Encoder* e, const Field* f) {
  const Edit* d = e->edit;
  if (!d || !d->over) return fail_at(e, f, Status::no_memory());
  fail_at(e, f, Status::format(Code::kResourceExhausted, "the edit needs more than its limit of %zu bytes: 1 MiB, and 32 times what is edited and put",
                               budget(d)));
}

void malformed(Encoder* e) { fail(e, Status(Code::kInvalidArgument, "malformed fields in the message that is edited")); }

Slice resolve(const Edit* d, const Bytes& b) {
  if (b.data) return {b.data, b.size};
  return {d->log->base + b.at, b.size};
}

Node* new_node(Edit* d, const Message* type) {
  Node* n = make<Node>(d);
  if (!n) return nullptr;
  n->type = type;
  into_arena(d, &n->segments);
  n->rules.in(&d->in_arena);
  return n;
}

Rule* make_rule(Encoder* e, Node* n, uint32_t number, const Field* f) {
  Rule* r = n->rules.find(number);
  if (!r && (r = n->rules.add(number))) r->field = f;
  if (!r) {
    no_memory(e, f);
    return nullptr;
  }
  n->split = true;
  return r;
}

bool scan(Encoder* e, const Node* n, uint32_t from, bool (*fn)(void*, const Record&, uint32_t), void* with) {
  for (uint32_t s = from; s < n->count(); s++) {
    const Segment& seg = n->segments[s];
    Record r;
    if (seg.kind != Segment::kRecords) {
      r.field = seg.field;
      r.number = seg.field->number;
      if (!fn(with, r, s)) return true;
      continue;
    }
    Slice in = resolve(e->edit, seg.bytes);
    for (size_t at = 0; at < in.size;) {
      if (!next_record(n->type, in.data + at, in.end(), &r)) {
        malformed(e);
        return false;
      }
      at = size_t(r.end - in.data);
      if (!fn(with, r, s)) return true;
      in = resolve(e->edit, seg.bytes);  // fn may have put something: the log moves while it grows
    }
  }
  return true;
}

bool append_segment(Encoder* e, Node* n, const Segment& s) {
  if (s.kind == Segment::kRecords) {
    if (s.bytes.size == 0) return true;
    // Places in a segment have 31 bits.
    if (s.bytes.size > wire::kMaxMessage) {
      fail(e, Status(Code::kResourceExhausted, "fields over 2147483647 bytes"));
      return false;
    }
    // What lies one behind the other is one stretch.
    if (!n->split && !n->segments.empty() && n->segments.back().kind == Segment::kRecords) {
      Bytes& last = n->segments.back().bytes;
      const bool together = s.bytes.data ? last.data && last.data + last.size == s.bytes.data && last.holder == s.bytes.holder
                                         : !last.data && last.at + last.size == s.bytes.at;
      if (together && s.bytes.size <= wire::kMaxMessage - last.size) {
        last.size += s.bytes.size;
        return true;
      }
    }
  }
  n->split = false;
  if (n->segments.size() < UINT32_MAX && push_one(&n->segments, s)) return true;
  no_memory(e, s.field);
  return false;
}

// A segment is longer than a small piece: copies of those, one behind the other, share one.
bool append_piece(Encoder* e, Node* n, const Bytes& piece) {
  constexpr size_t kSmall = 128;
  Segment s;
  s.kind = Segment::kRecords;
  s.bytes = piece;
  if (piece.data && piece.size < kSmall && !n->segments.empty()) {
    const Bytes& last = n->segments.back().bytes;
    if (n->split || !last.data || last.data + last.size != piece.data) {
      Encoder* log = e->edit->log;
      s.bytes = {nullptr, log->offset(), piece.size, nullptr};
      put_raw(log, {piece.data, piece.size});
      if (log->is_failed) {
        fail(e, take_status(log));
        return false;
      }
    }
  }
  return append_segment(e, n, s);
}

size_t bytes_of(schema::View v) {
  Slice whole;
  size_t n = 0;
  if (!v) return 0;
  if (schema::encoded(v, &whole)) return whole.size;
  for (const zcrpc_range& r : schema::pieces(v)) n += r.len;
  return n;
}

bool append_view(Encoder* e, Node* n, schema::View v) {
  if (!v) return true;
  base::Buffer* holder = schema::anchor_of(v)->buffer;
  if (holder && !e->edit->arena.hold(holder)) {
    no_memory(e);
    return false;
  }
  Segment s;
  s.kind = Segment::kRecords;
  auto add = [&](const uint8_t* p, size_t size) {
    e->edit->given += size;
    s.bytes = {p, 0, size, holder};
    return size == 0 || append_segment(e, n, s);
  };
  Slice whole;
  if (schema::encoded(v, &whole)) return add(whole.data, whole.size);
  for (const zcrpc_range& r : schema::pieces(v))
    if (!add(schema::input_of(v) + r.offset, r.len)) return false;
  return true;
}

void drop_field(Node* n, Rule* r) {
  r->before = n->count();
  r->value = Segment();
  r->numbers = nullptr;
  r->rows = nullptr;
  r->keys = nullptr;
  if (!r->field) r->before_unknown = r->before;
  n->split = true;
}

bool set_value(Encoder* e, Node* n, const Field* f, const Segment& value) {
  if (f->oneof) {
    for (const Field* other : f->oneof->fields) {
      if (other == f) continue;
      Rule* r = make_rule(e, n, other);
      if (!r) return false;
      drop_field(n, r);
    }
  }
  Rule* r = make_rule(e, n, f);
  if (!r) return false;
  drop_field(n, r);
  r->value = value;
  return true;
}

const Field* live_member(Encoder* e, Node* n, const Field* f) {
  const Field* live = nullptr;
  uint32_t from = UINT32_MAX;
  auto look = [&](const Field* m) {
    const Rule* r = n->rules.find(m->number);
    from = r && r->before < from ? r->before : r ? from : 0;
    if (r && r->value.kind != Segment::kNone) live = m;
  };
  if (f->oneof)
    for (const Field* m : f->oneof->fields) look(m);
  else
    look(f);
  if (!scan(e, n, from, [&](const Record& rec, uint32_t s) {
        if (!rec.field || (rec.field != f && (!f->oneof || rec.field->oneof != f->oneof))) return true;
        const Rule* r = n->rules.find(rec.number);
        if (!r || s >= r->before) live = rec.field;
        return true;
      }))
    return nullptr;
  return live;
}

bool copy_value(Encoder* e, Node* to, const Node* from, const Field* f) {
  Segment last;
  const Rule* r = const_cast<Node*>(from)->rules.find(f->number);
  if (!scan(e, from, r ? r->before : 0, [&](const Record& rec, uint32_t s) {
        if (rec.field != f) return true;
        last.kind = Segment::kRecords;
        last.bytes = part_of(e->edit, from->segments[s], rec.begin, size_t(rec.end - rec.begin));
        return true;
      }))
    return false;
  return last.kind == Segment::kNone || set_value(e, to, f, last);
}

namespace {

bool has_records(Encoder* e, Node* n, const Field* f) {
  const Rule* r = n->rules.find(f->number);
  bool found = false;
  (void)scan(e, n, r ? r->before : 0, [&](const Record& rec, uint32_t) { return !(found = rec.field == f); });
  return found;
}

// Makes the member of a oneof that is set the only one of which there is any record.
bool settle(Encoder* e, Node* n, const Field* live) {
  return schema::is_message(live->kind) ? open_child(e, n, live) != nullptr : copy_value(e, n, n, live);
}

}  // namespace

bool clear_field(Encoder* e, Node* n, const Field* f) {
  if (f->oneof) {
    const Field* live = live_member(e, n, f);
    if (e->is_failed) return false;
    if (live == f) return set_value(e, n, f, Segment());
    // Records that another member has replaced: without them, pieces of that one which they part would merge.
    if (live) return !has_records(e, n, f) || settle(e, n, live);
  }
  Rule* r = make_rule(e, n, f);
  if (!r) return false;
  drop_field(n, r);
  return true;
}

Node* open_child(Encoder* e, Node* n, const Field* f) {
  Edit* d = e->edit;
  Rule* r = n->rules.find(f->number);
  uint32_t from = r ? r->before : 0;
  Node* child = r && r->value.kind == Segment::kChild ? r->value.child : nullptr;
  if (child && from == n->count()) return child;
  // Pieces that came since, as the decoder would merge them: another member of its oneof ends what came before.
  if (!child && !(child = new_node(d, f->message))) {
    no_memory(e, f);
    return nullptr;
  }
  bool ok = true;
  if (!scan(e, n, from, [&](const Record& rec, uint32_t s) {
        if (!rec.field) return true;
        if (rec.field == f) {
          ok = append_piece(e, child, part_of(d, n->segments[s], rec.payload, rec.size));
        } else if (f->oneof && rec.field->oneof == f->oneof && (child->count() || !child->rules.empty())) {
          child->segments.clear();
          child->rules.clear();
        }
        return ok;
      }))
    return nullptr;
  if (!ok) return nullptr;
  child->split = true;
  Segment value;
  value.kind = Segment::kChild;
  value.field = f;
  value.child = child;
  return set_value(e, n, f, value) ? child : nullptr;
}

}  // namespace zcrpc::encode
