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
    if (!numbers || !has_element(e, f, numbers->live, i)) return false;
    Slice in = resolve(e->edit, s.bytes);
    Record r;
    if (next_record(n->type, in.begin(), in.end(), &r)) numbers->all[numbers->live.at(i)] = r.bits;
    return true;
  }
  Rows* rows = list_rows(e, n, f);
  return rows && has_element(e, f, rows->live, i) && change_row(e, rows, f, rows->live.at(i), s);
}

// A map entry that is complete: older ones of its key are dropped.
void finish_entry(Encoder* e, Node* n, const Field* f, const Opened& o) {
  Segment s;
  Key key;
  bool good;
  if (fold(e, f, o.node, o, &s)) {
    Record rec;
    Slice in = resolve(e->edit, s.bytes);
    good = next_record(n->type, in.begin(), in.end(), &rec) && entry_key(f, {rec.payload, rec.size}, &key);
  } else {
    good = node_key(e->edit, f, o.node, &key);
    s.kind = Segment::kChild;
    s.field = f;
    s.child = o.node;
  }
  if (e->is_failed) return;
  if (!good) return malformed(e);
  Rule* r = make_rule(e, n, f);
  KeyRule* k = r ? make_key(e, r, key) : nullptr;
  if (!k) return;
  k->before = n->count();
  (void)append_segment(e, n, s);
}

// The last segment, a message that has just been closed, as records.
void fold_last(Encoder* e, Node* n, const Opened& o) {
  Segment s;
  if (!fold(e, o.home->field, o.home->child, o, &s)) return;
  n->segments.pop();
  n->split = o.split;
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

// The value in the entry at that place, of two the last one, into a node.
bool read_entry(Encoder* e, Node* n, const Field* f, const Place& at, Node* value) {
  Record entry, r;
  const Segment& s = n->segments[at.segment];
  Slice in = resolve(e->edit, s.bytes);
  Bytes last;
  bool good = next_record(n->type, in.begin() + at.at, in.end(), &entry);
  for (const uint8_t *p = entry.payload, *end = p + entry.size; good && p < end; p = r.end) {
    if (!(good = next_record(f->message, p, end, &r))) break;
    if (r.field == f->map_value()) last = part_of(e->edit, s, r.payload, r.size);
  }
  if (!good) return malformed(e), false;
  return append_piece(e, value, last);
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
  Edit* d = e->edit;
  Node* n = open_node(e);
  Rule* r = make_rule(e, n, f);
  KeyRule* k = r ? make_key(e, r, key) : nullptr;
  Place at;
  if (!k || !find_place(e, n, r, k->before > r->before ? k->before : r->before, key, &at)) return;
  const bool there = at.segment != UINT32_MAX;
  Opened o;
  if (there && n->segments[at.segment].kind == Segment::kChild) {
    o.node = open_child(e, n->segments[at.segment].child, f->map_value());
    if (o.node) (void)open_frame(e, f, kNoElement, o);
    return;
  }
  k->before = n->count();
  Segment s;
  s.field = f;
  n->split = true;
  if (!append_segment(e, n, s)) return;
  Segment* const home = &n->segments.back();
  if (!k->opened) o.home = home;
  k->opened = true;
  o.split = true;
  o.mark = d->arena.mark();
  o.log = d->log->offset();
  o.node = new_node(d, f->map_value()->message);
  if (!o.node) return no_memory(e, f);
  if (there && !read_entry(e, n, f, at, o.node)) return;
  o.node->split = true;
  home->child = entry_of(e, f, key, o.node);
  if (!home->child) return;
  home->kind = Segment::kChild;
  (void)open_frame(e, f, kNoElement, o);
}

void remove_key(Encoder* e, const Field* f, const Key& key) {
  Node* n = open_node(e);
  Rule* r = make_rule(e, n, f);
  KeyRule* k = r ? make_key(e, r, key) : nullptr;
  if (!k) return;
  k->before = n->count();
  k->opened = false;
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

bool edits(Encoder* e) {
  if (e->is_failed) return false;
  if (e->editing) return true;
  fail(e, Status(Code::kFailedPrecondition, e->is_sealed ? "the message is finished: reset the encoder first"
                                                         : "only an encoder that edits can do this: call zcrpc_encoder_edit first"));
  return false;
}

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
    e->edit = d;
  }
  // What the last edit has left counts too: this one is not to meet its limit by that, nor to hold more than it may.
  if (d->held / 2 > kLeast / 4 && d->held / 2 > kLeast / 4 + kFactor / 4 * bytes_of(v)) {
    d->arena.~Arena();
    new (&d->arena) base::Arena(&d->counted);
  }
  d->given = d->set = 0;
  Opened root;
  root.node = new_node(d, type);
  if (!root.node || !d->open.push(root)) return no_memory(e);
  e->editing = true;
  d->end = e->end;
  e->end = e->p;  // so that every put goes out of line
  if (append_view(e, root.node, v)) root.node->split = true;
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

bool open_frame(Encoder* e, const Field* f, uint32_t element, const Opened& o) {
  if (e->frames.size() >= wire::kDeepest) {
    fail_at(e, f, Status(Code::kResourceExhausted, "messages nested over 1000 deep"));
    return false;
  }
  Frame* frame = e->frames.grow(1);
  if (!frame || !e->edit->open.push(o)) {
    if (frame) e->frames.pop();
    no_memory(e);
    return false;
  }
  *frame = {f, e->type, 0, 0, 0, element, 0, 0, 0, 0};
  e->type = o.node->type;
  return true;
}

void edit_begin(Encoder* e, uint32_t field) {
  if (e->is_failed) return;
  const Field* f = find(e, field);
  if (!f) return;
  if (!schema::is_message(f->kind)) return fail_at(e, f, wrong("not a message field"));
  Node* n = open_node(e);
  Edit* d = e->edit;
  d->set += kCall;
  Opened o;
  if (!f->repeated()) {
    o.node = open_child(e, n, f);
    if (o.node) (void)open_frame(e, f, kNoElement, o);
    return;
  }
  o.split = n->split;
  if (!f->is_map()) {  // an entry is not appended before its key is known
    Segment s;
    s.field = f;
    if (!append_segment(e, n, s)) return;
    o.home = &n->segments.back();
  }
  o.mark = d->arena.mark();
  o.log = d->log->offset();
  o.node = new_node(d, f->message);
  if (!o.node) return no_memory(e, f);
  if (o.home) {
    o.home->kind = Segment::kChild;
    o.home->child = o.node;
  }
  (void)open_frame(e, f, kNoElement, o);
}

void begin_at(Encoder* e, uint32_t field, size_t i) {
  if (!edits(e)) return;
  const Field* f = find(e, field);
  if (!f) return;
  if (!schema::is_message(f->kind) || !f->repeated() || f->is_map()) return fail_at(e, f, wrong("not a repeated message field"));
  const Opened o = open_element(e, open_node(e), f, i);
  if (o.node) (void)open_frame(e, f, uint32_t(i), o);
}

void edit_end(Encoder* e) {
  if (e->is_failed) return;
  if (e->frames.empty()) return fail(e, Status(Code::kFailedPrecondition, "end without begin"));
  const Frame top = e->frames.back();
  const Opened o = e->edit->open.back();
  e->edit->open.pop();
  e->frames.pop();
  e->type = top.outer;
  if (top.field->is_map() && o.node->type == top.field->message) finish_entry(e, open_node(e), top.field, o);
  else if (o.rows) close_element(e, top.field, o);
  else if (o.home) fold_last(e, open_node(e), o);
}

// ---- Puts

Encoder* open_log(Encoder* e) {
  if (e->is_failed) return nullptr;
  e->edit->log->type = e->type;
  e->edit->set += kCall;
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
  if (!e->edit->arena.hold(b)) return no_memory(e, f);
  e->edit->given += bytes.size;
  e->edit->set += kCall;
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
  Edit* d = e->edit;
  d->set += kCall;
  Segment s;
  s.kind = Segment::kChild;
  s.field = f;
  if (v && schema::anchor_of(v)->buffer && bytes_of(v) > kFold) {
    if (!(s.child = new_node(d, f->message))) return no_memory(e, f);
    if (!append_view(e, s.child, v)) return;
  } else {  // nobody keeps its bytes, or they are few: a copy
    Encoder* log = d->log;
    const size_t from = log->offset();
    log->type = e->type;
    if (f->repeated()) begin(log, field);
    Slice whole;
    if (v && schema::encoded(v, &whole)) put_raw(log, whole);
    else if (v)
      for (const zcrpc_range& r : schema::pieces(v)) put_raw(log, {schema::input_of(v) + r.offset, r.len});
    if (f->repeated()) end(log);
    if (log->is_failed) return fail_at(e, f, take_status(log));
    const Segment copy = logged(d, from);
    if (f->repeated()) return void(append_segment(e, open_node(e), copy));
    if (!(s.child = new_node(d, f->message))) return no_memory(e, f);
    if (!append_segment(e, s.child, copy)) return;
  }
  s.child->split = true;
  (void)put_segment(e, open_node(e), f, s);
}

void edit_put_raw(Encoder* e, Slice fields) {
  if (e->is_failed || !fields.size) return;
  e->edit->set += kCall;
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
  if (Rule* r = make_rule(e, n, field, nullptr)) drop_field(n, r);
}

void remove_at(Encoder* e, uint32_t field, size_t i) {
  if (!edits(e)) return;
  const Field* f = find(e, field);
  if (!f) return;
  if (!f->repeated() || f->is_map()) return fail_at(e, f, wrong("not a repeated field"));
  Node* n = open_node(e);
  Live* live = nullptr;
  if (schema::is_packable(f->kind)) {
    if (Numbers* numbers = list_numbers(e, n, f)) live = &numbers->live;
  } else if (Rows* rows = list_rows(e, n, f)) {
    live = &rows->live;
  }
  if (live && has_element(e, f, *live, i) && !live->remove(i)) no_memory(e, f);
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
  e->edit->set += kCall;
  (void)append_view(e, open_node(e), v);
}

}  // namespace zcrpc::encode
