// The calls of an edit: each finds the open message and changes its segments and rules.
#include "encode/edit.h"

#include <cstdlib>
#include <new>

namespace zcrpc::encode {

using base::Code;
using base::Slice;
using base::Status;
using schema::Field;
using schema::Message;
using schema::View;

namespace {

Status wrong(const char* text) { return Status(Code::kInvalidArgument, text); }
void no_memory(Encoder* e) { fail(e, Status::no_memory()); }

// Whether an edit is under way; if not, that is the mistake.
bool edits(Encoder* e) {
  if (e->is_failed) return false;
  if (e->editing) return true;
  fail(e, Status(Code::kFailedPrecondition, e->is_sealed ? "the message is finished: reset the encoder first"
                                                         : "only an encoder that edits can do this: call zcrpc_encoder_edit first"));
  return false;
}

const Field* find(Encoder* e, uint32_t number) {
  if (!e->type) {
    fail(e, wrong("the encoder has no type"));
    return nullptr;
  }
  const Field* f = field_of(e->type, number);
  if (!f)
    fail(e, Status::format(Code::kInvalidArgument, "%.*s has no field %u", int(e->type->name.size()), e->type->name.data(), number));
  return f;
}

bool same_type(const Message* a, const Message* b) { return a == b || (a && b && a->fingerprint == b->fingerprint); }

// What a put has written, [from, end) of the log, as a segment.
Segment logged(const Edit* d, size_t from) {
  Segment s;
  s.kind = Segment::kRecords;
  s.bytes.at = from;
  s.bytes.size = d->log->offset() - from;
  return s;
}

// A field's value: in the place of what there is, or behind it.
bool put_segment(Encoder* e, Node* n, const Field* f, const Segment& s) {
  return f->repeated() ? append_segment(e, n, s) : set_value(e, n, f, s);
}

bool replace_element(Encoder* e, Node* n, const Field* f, size_t i, const Segment& s) {
  if (!f->repeated() || f->is_map()) {
    fail_at(e, f, wrong("not a repeated field"));
    return false;
  }
  if (schema::is_packable(f->kind)) {
    auto* numbers = list_numbers(e, n, f);
    if (!numbers) return false;
    if (i >= numbers->size()) {
      fail_at(e, f, Status(Code::kOutOfRange, "no such element"));
      return false;
    }
    Slice in = resolve(e->edit, s.bytes);
    Record r;
    if (next_record(n->type, in.begin(), in.end(), &r)) (*numbers)[i] = r.bits;
    return true;
  }
  Rows* rows = list_rows(e, n, f);
  if (!rows) return false;
  if (i >= rows->live.size()) {
    fail_at(e, f, Status(Code::kOutOfRange, "no such element"));
    return false;
  }
  rows->all[rows->live[i]].value = s;
  return true;
}

// A map entry that is complete: older ones of its key are dropped.
void finish_entry(Encoder* e, Node* n, const Field* f, Node* entry) {
  Key key;
  if (!node_key(e->edit, f, entry, &key)) return malformed(e);
  Rule* r = make_rule(e, n, f->number);
  KeyRule* k = r ? make_key(e, r, key) : nullptr;
  if (!k) return;
  k->before = n->count();
  Segment s;
  s.kind = Segment::kChild;
  s.field = f;
  s.child = entry;
  (void)append_segment(e, n, s);
}

const Field* map_of(Encoder* e, uint32_t field, bool text) {
  const Field* f = find(e, field);
  if (!f) return nullptr;
  if (!f->is_map() || schema::is_string(f->map_key()->kind) != text) {
    fail_at(e, f, wrong(text ? "not a map with string keys" : "not a map with integer keys"));
    return nullptr;
  }
  return f;
}

// The value of a key that is there, into a node: the last entry of it from that segment on.
bool find_entry(Encoder* e, Node* n, const Field* f, uint32_t from, const Key& key, Node** entry, Node* value) {
  bool ok = true;
  return scan(e, n, from, [&](const Record& rec, uint32_t s) {
    if (rec.field != f) return true;
    Key k;
    const bool text = schema::is_string(f->map_key()->kind);
    auto same = [&] { return text ? k.text.text() == key.text.text() : k.bits == key.bits; };
    if (!rec.begin) {
      Node* there = n->segments[s].child;
      if (!(ok = node_key(e->edit, f, there, &k)) || !same()) return ok;
      *entry = there;
      return true;
    }
    if (!(ok = entry_key(f, {rec.payload, rec.size}, &k)) || !same()) return ok;
    *entry = nullptr;
    value->segments.clear();
    Record r;
    for (const uint8_t *p = rec.payload, *end = p + rec.size; p < end; p = r.end) {
      if (!(ok = next_record(f->message, p, end, &r))) return false;
      if (r.field != f->map_value()) continue;
      Segment piece;
      piece.kind = Segment::kRecords;
      piece.bytes = part_of(e->edit, n->segments[s], r.payload, r.size);
      value->segments.clear();  // of two values the last one counts
      if (!(ok = append_segment(e, value, piece))) return false;
    }
    return true;
  }) && (ok || (malformed(e), false));
}

// An entry whose value, a message, is under edit.
Node* entry_of(Encoder* e, const Field* f, const Key& key, Node* value) {
  Node* entry = new_node(e->edit, f->message);
  if (!entry) {
    no_memory(e);
    return nullptr;
  }
  Encoder* log = e->edit->log;
  size_t from = log->offset();
  if (schema::is_string(f->map_key()->kind))
    put_bytes(log, f->map_key(), key.text);
  else
    put_number(log, f->map_key(), key.bits);
  if (log->is_failed) {
    fail_at(e, f, take_status(log));
    return nullptr;
  }
  Segment s;
  s.kind = Segment::kChild;
  s.field = f->map_value();
  s.child = value;
  if (!append_segment(e, entry, logged(e->edit, from)) || !set_value(e, entry, f->map_value(), s)) return nullptr;
  return entry;
}

void begin_key(Encoder* e, const Field* f, const Key& key) {
  if (!schema::is_message(f->map_value()->kind)) return fail_at(e, f, wrong("not a map of messages"));
  Node* n = open_node(e);
  Rule* r = make_rule(e, n, f->number);
  KeyRule* k = r ? make_key(e, r, key) : nullptr;
  Node* value = k ? new_node(e->edit, f->map_value()->message) : nullptr;
  if (!value) return k ? no_memory(e) : void();
  uint32_t from = k->before > r->before ? k->before : r->before;
  Node* entry = nullptr;
  if (!find_entry(e, n, f, from, key, &entry, value)) return;
  if (entry) {
    value = open_child(e, entry, f->map_value());
  } else {
    value->split = true;
    if (!(entry = entry_of(e, f, key, value))) return;
    k->before = n->count();
    Segment s;
    s.kind = Segment::kChild;
    s.field = f;
    s.child = entry;
    n->split = true;
    if (!append_segment(e, n, s)) return;
  }
  if (value) (void)open_frame(e, f, kNoElement, value);
}

void remove_key(Encoder* e, const Field* f, const Key& key) {
  Node* n = open_node(e);
  Rule* r = make_rule(e, n, f->number);
  if (KeyRule* k = r ? make_key(e, r, key) : nullptr) k->before = n->count();
}

bool int_key(Encoder* e, const Field* f, int64_t v, Key* key) {
  const uint32_t width = schema::slot_width(f->map_key()->kind);
  bool fits = true;
  switch (f->map_key()->kind) {
    case schema::Kind::kBool: fits = v == 0 || v == 1; break;
    case schema::Kind::kUint32: case schema::Kind::kFixed32: fits = v >= 0 && v <= UINT32_MAX; break;
    default: fits = width == 8 || (v >= INT32_MIN && v <= INT32_MAX);  // of 64 bits: as bits
  }
  if (!fits) fail_at(e, f, wrong("value out of range"));
  key->bits = uint64_t(v);
  return fits;
}

}  // namespace

// ---- Beginning and end

void edit(Encoder* e, View v) {
  const Message* type = v ? schema::type_of(v) : e->root;
  uint8_t *lent = e->lent, *lent_end = e->editing ? e->edit->end : e->end;
  const bool in_lent = lent && e->base == lent;
  if (in_lent)
    reset_in(e, type, lent, size_t(lent_end - lent) + kOverrun);
  else
    reset(e, type, e->headroom);
  Edit* d = e->edit;
  if (!d) {
    void* memory = std::malloc(sizeof(Edit));
    if (!memory) return no_memory(e);
    d = new (memory) Edit;
    if (!(d->log = encoder_new(nullptr))) {
      d->~Edit();
      std::free(memory);
      return no_memory(e);
    }
    d->in_arena = {[](size_t n, void* a) { return static_cast<base::Arena*>(a)->alloc(n); },
                   [](void* p, size_t old, size_t n, void* a) {
                     void* q = static_cast<base::Arena*>(a)->alloc(n);
                     if (q && p) memcpy(q, p, old < n ? old : n);
                     return q;
                   },
                   [](void*, size_t, void*) {}, &d->arena};
    e->edit = d;
  }
  Node* root = new_node(d, type);
  if (!root || !d->open.push(root)) return no_memory(e);
  e->editing = true;
  d->end = e->end;
  e->end = e->p;  // so that every put goes out of line
  if (append_view(e, root, v)) root->split = true;
}

// References are dropped; memory is kept.
void edit_reset(Encoder* e) {
  e->editing = false;
  e->edit->arena.reset();
  e->edit->open.clear();
  reset(e->edit->log, nullptr);
}

void edit_free(Encoder* e) {
  if (!e->edit) return;
  encoder_free(e->edit->log);
  e->edit->~Edit();
  std::free(e->edit);
  e->edit = nullptr;
}

bool open_frame(Encoder* e, const Field* f, uint32_t element, Node* child) {
  if (e->frames.size() >= wire::kDeepest) {
    fail_at(e, f, Status(Code::kResourceExhausted, "messages nested over 1000 deep"));
    return false;
  }
  Frame* frame = e->frames.grow(1);
  if (!frame || !e->edit->open.push(child)) {
    if (frame) e->frames.pop();
    no_memory(e);
    return false;
  }
  *frame = {f, e->type, 0, 0, 0, element, 0, 0, 0, 0};
  e->type = child->type;
  return true;
}

void edit_begin(Encoder* e, uint32_t field) {
  if (e->is_failed) return;
  const Field* f = find(e, field);
  if (!f) return;
  if (!schema::is_message(f->kind)) return fail_at(e, f, wrong("not a message field"));
  Node* n = open_node(e);
  Node* child;
  if (!f->repeated()) {
    child = open_child(e, n, f);
  } else if (!(child = new_node(e->edit, f->message))) {
    no_memory(e);
  } else if (!f->is_map()) {  // an entry is not appended before its key is known
    Segment s;
    s.kind = Segment::kChild;
    s.field = f;
    s.child = child;
    if (!append_segment(e, n, s)) child = nullptr;
  }
  if (child) (void)open_frame(e, f, kNoElement, child);
}

void begin_at(Encoder* e, uint32_t field, size_t i) {
  if (!edits(e)) return;
  const Field* f = find(e, field);
  if (!f) return;
  if (!schema::is_message(f->kind) || !f->repeated() || f->is_map()) return fail_at(e, f, wrong("not a repeated message field"));
  if (Node* child = open_element(e, open_node(e), f, i)) (void)open_frame(e, f, uint32_t(i), child);
}

void edit_end(Encoder* e) {
  if (e->is_failed) return;
  if (e->frames.empty()) return fail(e, Status(Code::kFailedPrecondition, "end without begin"));
  const Frame top = e->frames.back();
  Node* child = e->edit->open.back();
  e->edit->open.pop();
  e->frames.pop();
  e->type = top.outer;
  if (top.field->is_map() && child->type == top.field->message) finish_entry(e, open_node(e), top.field, child);
}

// ---- Puts

Encoder* open_log(Encoder* e) {
  if (e->is_failed) return nullptr;
  e->edit->log->type = e->type;
  return e->edit->log;
}

void close_log(Encoder* e, uint32_t field, size_t from, size_t element) {
  Encoder* log = e->edit->log;
  const Field* f = e->type ? field_of(e->type, field) : nullptr;
  if (log->is_failed) {
    Status s = take_status(log);
    return fail_at(e, f, s.error()->is_static() ? std::move(s) : Status(s.code(), s.message()));
  }
  if (log->offset() == from) return;  // an empty array
  Segment s = logged(e->edit, from);
  if (element == kAppend)
    (void)put_segment(e, open_node(e), f, s);
  else
    (void)replace_element(e, open_node(e), f, element, s);
}

void edit_put_buffer(Encoder* e, uint32_t field, base::Buffer* b, Slice bytes) {
  const Field* f = field_of(e->type, field);
  if (!e->edit->arena.hold(b)) return no_memory(e);
  Segment s;
  s.kind = Segment::kValue;
  s.field = f;
  s.bytes = {bytes.data, 0, bytes.size, b};
  (void)put_segment(e, open_node(e), f, s);
}

void edit_put_view(Encoder* e, uint32_t field, View v) {
  if (e->is_failed) return;
  const Field* f = find(e, field);
  if (!f) return;
  if (!schema::is_message(f->kind) || f->is_map()) return fail_at(e, f, wrong("not a message field"));
  if (v && !same_type(schema::type_of(v), f->message)) return fail_at(e, f, wrong("a message of another type"));
  Node* child = new_node(e->edit, f->message);
  if (!child) return no_memory(e);
  if (v && schema::anchor_of(v)->buffer) {
    if (!append_view(e, child, v)) return;
  } else if (v) {  // nobody keeps its bytes: a copy
    Encoder* log = e->edit->log;
    size_t from = log->offset();
    Slice whole;
    if (schema::encoded(v, &whole)) put_raw(log, whole);
    for (const zcrpc_range& r : schema::pieces(v)) put_raw(log, {schema::input_of(v) + r.offset, r.len});
    if (log->is_failed) return fail_at(e, f, take_status(log));
    if (!append_segment(e, child, logged(e->edit, from))) return;
  }
  child->split = true;
  Segment s;
  s.kind = Segment::kChild;
  s.field = f;
  s.child = child;
  (void)put_segment(e, open_node(e), f, s);
}

void edit_put_raw(Encoder* e, Slice fields) {
  if (e->is_failed || !fields.size) return;
  Encoder* log = e->edit->log;
  size_t from = log->offset();
  put_raw(log, fields);
  if (log->is_failed) return fail(e, take_status(log));
  (void)append_segment(e, open_node(e), logged(e->edit, from));
}

// ---- What only edits have

void clear(Encoder* e, uint32_t field) {
  if (!edits(e)) return;
  if (!e->type) return fail(e, wrong("the encoder has no type"));
  Node* n = open_node(e);
  if (const Field* f = field_of(e->type, field)) return void(clear_field(e, n, f));
  if (Rule* r = make_rule(e, n, field)) drop_field(n, r);
}

void remove_at(Encoder* e, uint32_t field, size_t i) {
  if (!edits(e)) return;
  const Field* f = find(e, field);
  if (!f) return;
  if (!f->repeated() || f->is_map()) return fail_at(e, f, wrong("not a repeated field"));
  Node* n = open_node(e);
  Status none(Code::kOutOfRange, "no such element");
  if (schema::is_packable(f->kind)) {
    auto* numbers = list_numbers(e, n, f);
    if (!numbers) return;
    if (i >= numbers->size()) return fail_at(e, f, std::move(none));
    memmove(numbers->data() + i, numbers->data() + i + 1, (numbers->size() - i - 1) * sizeof(uint64_t));
    return numbers->pop();
  }
  Rows* rows = list_rows(e, n, f);
  if (!rows) return;
  auto& live = rows->live;
  if (i >= live.size()) return fail_at(e, f, std::move(none));
  rows->all[live[i]].dropped = true;
  memmove(live.data() + i, live.data() + i + 1, (live.size() - i - 1) * sizeof(uint32_t));
  live.pop();
}

void put_int64_at(Encoder* e, uint32_t field, size_t i, int64_t v) {
  if (edits(e)) edit_put(e, field, [=](Encoder* log) { put_int64(log, field, v); }, i);
}
void put_uint64_at(Encoder* e, uint32_t field, size_t i, uint64_t v) {
  if (edits(e)) edit_put(e, field, [=](Encoder* log) { put_uint64(log, field, v); }, i);
}
void put_double_at(Encoder* e, uint32_t field, size_t i, double v) {
  if (edits(e)) edit_put(e, field, [=](Encoder* log) { put_double(log, field, v); }, i);
}
void put_string_at(Encoder* e, uint32_t field, size_t i, Slice s) {
  if (edits(e)) edit_put(e, field, [=](Encoder* log) { put_string(log, field, s); }, i);
}

void begin_key(Encoder* e, uint32_t field, Slice key) {
  const Field* f = edits(e) ? map_of(e, field, true) : nullptr;
  if (f) begin_key(e, f, Key{0, key});
}
void begin_key_int(Encoder* e, uint32_t field, int64_t key) {
  const Field* f = edits(e) ? map_of(e, field, false) : nullptr;
  Key k;
  if (f && int_key(e, f, key, &k)) begin_key(e, f, k);
}
void remove_key(Encoder* e, uint32_t field, Slice key) {
  const Field* f = edits(e) ? map_of(e, field, true) : nullptr;
  if (f) remove_key(e, f, Key{0, key});
}
void remove_key_int(Encoder* e, uint32_t field, int64_t key) {
  const Field* f = edits(e) ? map_of(e, field, false) : nullptr;
  Key k;
  if (f && int_key(e, f, key, &k)) remove_key(e, f, k);
}

void merge(Encoder* e, View v) {
  if (!edits(e) || !v) return;
  if (!same_type(schema::type_of(v), e->type)) return fail(e, wrong("a message of another type"));
  (void)append_view(e, open_node(e), v);
}

}  // namespace zcrpc::encode
