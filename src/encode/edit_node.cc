// Nodes of an edit: their segments and rules, and what is found of a field among them.
#include <new>

#include "base/hash.h"
#include "encode/edit.h"

namespace zcrpc::encode {

using base::Code;
using base::Slice;
using base::Status;
using schema::Field;
using schema::Message;

namespace {

// An object in the arena; what it holds lies there too, so it is never destroyed.
template <class T>
T* make(Edit* d) {
  void* memory = d->arena.alloc(sizeof(T));
  return memory ? new (memory) T() : nullptr;
}
template <class T>
void into_arena(Edit* d, base::Vec<T>* v) {
  new (v) base::Vec<T>(&d->in_arena);
}

void no_memory(Encoder* e) { fail(e, Status::no_memory()); }

// Finds the row after a push at the right place.
Rule* insert_rule(Node* n, uint32_t number) {
  size_t at = n->rules.size();
  if (!n->rules.push(Rule())) return nullptr;
  for (; at && n->rules[at - 1].number > number; at--) n->rules[at] = n->rules[at - 1];
  n->rules[at] = Rule();
  n->rules[at].number = number;
  return &n->rules[at];
}

uint64_t key_hash(const Field* map, const Key& k) {
  base::HashKey secret = base::process_hash_key();
  if (schema::is_string(map->map_key()->kind)) return base::siphash(secret, k.text.data, k.text.size);
  return base::siphash(secret, &k.bits, sizeof k.bits);
}
bool same_key(const Field* map, const Key& a, const Key& b) {
  if (!schema::is_string(map->map_key()->kind)) return a.bits == b.bits;
  return a.text.size == b.text.size && (a.text.size == 0 || memcmp(a.text.data, b.text.data, a.text.size) == 0);
}
KeyRule* key_place(const Field* map, base::Vec<KeyRule>& table, const Key& key) {
  size_t mask = table.size() - 1, at = size_t(key_hash(map, key)) & mask;
  while (table[at].used && !same_key(map, table[at].key, key)) at = (at + 1) & mask;
  return &table[at];
}

}  // namespace

Edit* edit_of(Encoder* e) { return e->edit; }
Node* open_node(Encoder* e) { return e->edit->open.back(); }

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
  into_arena(d, &n->rules);
  return n;
}

Rule* find_rule(Node* n, uint32_t number) {
  size_t low = 0, high = n->rules.size();
  while (low < high) {
    size_t mid = (low + high) / 2;
    if (n->rules[mid].number < number)
      low = mid + 1;
    else
      high = mid;
  }
  return low < n->rules.size() && n->rules[low].number == number ? &n->rules[low] : nullptr;
}

Rule* make_rule(Encoder* e, Node* n, uint32_t number) {
  Rule* r = find_rule(n, number);
  if (!r) r = insert_rule(n, number);
  if (!r) {
    no_memory(e);
    return nullptr;
  }
  r->field = field_of(n->type, number);
  n->split = true;
  return r;
}

bool append_segment(Encoder* e, Node* n, const Segment& s) {
  if (s.kind == Segment::kRecords) {
    if (s.bytes.size == 0) return true;
    // What is put one after the other is one stretch of the log.
    if (!n->split && !n->segments.empty() && !s.bytes.data) {
      Segment& last = n->segments.back();
      if (last.kind == Segment::kRecords && !last.bytes.data && last.bytes.at + last.bytes.size == s.bytes.at) {
        last.bytes.size += s.bytes.size;
        return true;
      }
    }
  }
  n->split = false;
  if (n->segments.size() < UINT32_MAX && n->segments.push(s)) return true;
  no_memory(e);
  return false;
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
      Rule* r = make_rule(e, n, other->number);
      if (!r) return false;
      drop_field(n, r);
    }
  }
  Rule* r = make_rule(e, n, f->number);
  if (!r) return false;
  drop_field(n, r);
  r->value = value;
  return true;
}

const Field* live_member(Encoder* e, Node* n, const Field* f) {
  const Field* live = nullptr;
  uint32_t from = UINT32_MAX;
  auto look = [&](const Field* m) {
    const Rule* r = find_rule(n, m->number);
    from = r && r->before < from ? r->before : r ? from : 0;
    if (r && r->value.kind != Segment::kNone) live = m;
  };
  if (f->oneof)
    for (const Field* m : f->oneof->fields) look(m);
  else
    look(f);
  if (!scan(e, n, from, [&](const Record& rec, uint32_t s) {
        if (!rec.field || (rec.field != f && (!f->oneof || rec.field->oneof != f->oneof))) return true;
        const Rule* r = find_rule(n, rec.number);
        if (!r || s >= r->before) live = rec.field;
        return true;
      }))
    return nullptr;
  return live;
}

bool copy_value(Encoder* e, Node* to, const Node* from, const Field* f) {
  Segment last;
  const Rule* r = find_rule(const_cast<Node*>(from), f->number);
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
  const Rule* r = find_rule(n, f->number);
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
  Rule* r = make_rule(e, n, f->number);
  if (!r) return false;
  drop_field(n, r);
  return true;
}

Node* open_child(Encoder* e, Node* n, const Field* f) {
  Edit* d = e->edit;
  Rule* r = find_rule(n, f->number);
  uint32_t from = r ? r->before : 0;
  Node* child = r && r->value.kind == Segment::kChild ? r->value.child : nullptr;
  if (child && from == n->count()) return child;
  // Pieces that came since, as the decoder would merge them: another member of its oneof ends what came before.
  if (!child && !(child = new_node(d, f->message))) {
    no_memory(e);
    return nullptr;
  }
  bool ok = true;
  if (!scan(e, n, from, [&](const Record& rec, uint32_t s) {
        if (!rec.field) return true;
        if (rec.field == f) {
          Segment piece;
          piece.kind = Segment::kRecords;
          piece.bytes = part_of(d, n->segments[s], rec.payload, rec.size);
          ok = append_segment(e, child, piece);
        } else if (f->oneof && rec.field->oneof == f->oneof && (child->count() || !child->rules.empty())) {
          child = new_node(d, f->message);
          if (!child) no_memory(e);
          ok = child != nullptr;
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

base::Vec<uint64_t>* list_numbers(Encoder* e, Node* n, const Field* f) {
  Rule* r = make_rule(e, n, f->number);
  if (!r) return nullptr;
  base::Vec<uint64_t>* numbers = r->numbers;
  if (!numbers) {
    if (!(numbers = make<base::Vec<uint64_t>>(e->edit))) {
      no_memory(e);
      return nullptr;
    }
    into_arena(e->edit, numbers);
  }
  bool ok = true, good = true;
  if (!scan(e, n, r->before, [&](const Record& rec, uint32_t) {
        if (rec.field != f) return true;
        if (!rec.packed) return ok = numbers->push(rec.bits);
        for (const uint8_t *p = rec.payload, *end = p + rec.size; p < end;) {
          uint64_t bits;
          bool known;
          if (!(p = next_packed(f, p, end, &bits, &known))) return good = false;
          if (known && !(ok = numbers->push(bits))) return false;
        }
        return true;
      }))
    return nullptr;
  if (!ok) no_memory(e);
  if (!good) malformed(e);
  if (!ok || !good) return nullptr;
  r->numbers = numbers;
  r->before = n->count();
  n->split = true;
  return numbers;
}

Rows* list_rows(Encoder* e, Node* n, const Field* f) {
  Rule* r = make_rule(e, n, f->number);
  if (!r) return nullptr;
  Rows* rows = r->rows;
  if (!rows) {
    if (!(rows = make<Rows>(e->edit))) {
      no_memory(e);
      return nullptr;
    }
    into_arena(e->edit, &rows->all);
    into_arena(e->edit, &rows->live);
    rows->scanned = r->before;
  }
  bool ok = true;
  if (!scan(e, n, rows->scanned, [&](const Record& rec, uint32_t s) {
        if (rec.field != f) return true;
        Bytes payload;
        if (rec.begin) payload = part_of(e->edit, n->segments[s], rec.payload, rec.size);
        return ok = rows->live.push(uint32_t(rows->all.size())) && rows->all.push({s, false, payload, Segment()});
      }))
    return nullptr;
  if (!ok) {
    no_memory(e);
    return nullptr;
  }
  r->rows = rows;
  rows->scanned = n->count();
  n->split = true;
  return rows;
}

Node* open_element(Encoder* e, Node* n, const Field* f, size_t i) {
  Rows* rows = list_rows(e, n, f);
  if (!rows) return nullptr;
  if (i >= rows->live.size()) {
    fail_at(e, f, Status(Code::kOutOfRange, "no such element"));
    return nullptr;
  }
  Row& row = rows->all[rows->live[i]];
  if (row.value.kind == Segment::kChild) return row.value.child;
  const Segment& s = n->segments[row.segment];
  if (s.kind == Segment::kChild) return s.child;
  Node* child = new_node(e->edit, f->message);
  if (!child) {
    no_memory(e);
    return nullptr;
  }
  Segment piece;
  piece.kind = Segment::kRecords;
  piece.bytes = row.payload;
  if (!append_segment(e, child, piece)) return nullptr;
  child->split = true;
  row.value.kind = Segment::kChild;
  row.value.field = f;
  row.value.child = child;
  return child;
}

KeyRule* find_key(const Field* map, Keys* keys, const Key& key) {
  if (!keys || keys->table.empty()) return nullptr;
  KeyRule* at = key_place(map, keys->table, key);
  return at->used ? at : nullptr;
}

KeyRule* make_key(Encoder* e, Rule* r, const Key& key) {
  Edit* d = e->edit;
  if (!r->keys) {
    if (!(r->keys = make<Keys>(d))) {
      no_memory(e);
      return nullptr;
    }
    into_arena(d, &r->keys->table);
  }
  Keys* keys = r->keys;
  if (KeyRule* there = find_key(r->field, keys, key)) return there;
  if ((keys->count + 1) * 2 > keys->table.size()) {
    base::Vec<KeyRule> bigger(&d->in_arena);
    size_t size = keys->table.empty() ? 16 : keys->table.size() * 2;
    if (!bigger.reserve(size)) {
      no_memory(e);
      return nullptr;
    }
    for (size_t i = 0; i < size; i++) (void)bigger.push(KeyRule());
    for (const KeyRule& k : keys->table)
      if (k.used) *key_place(r->field, bigger, k.key) = k;
    keys->table = std::move(bigger);
  }
  KeyRule* at = key_place(r->field, keys->table, key);
  at->key.bits = key.bits;
  if (key.text.size) {
    auto* copy = d->arena.array<uint8_t>(key.text.size);
    if (!copy) {
      no_memory(e);
      return nullptr;
    }
    memcpy(copy, key.text.data, key.text.size);
    at->key.text = {copy, key.text.size};
  }
  at->used = true;
  keys->count++;
  return at;
}

// A singular field of a node under edit is in a rule, or else in the records.
bool node_key(const Edit* d, const Field* map, Node* entry, Key* key) {
  *key = Key();
  const Rule* r = find_rule(entry, 1);
  if (r && r->value.kind == Segment::kRecords) return entry_key(map, resolve(d, r->value.bytes), key);
  if (r && r->value.kind == Segment::kValue) {
    key->text = resolve(d, r->value.bytes);
    return true;
  }
  for (uint32_t s = r ? r->before : 0; s < entry->count(); s++) {
    if (entry->segments[s].kind != Segment::kRecords) continue;
    Key found;
    Slice in = resolve(d, entry->segments[s].bytes);
    // The last one counts, and a stretch without one has none to tell.
    Record rec;
    for (const uint8_t* p = in.begin(); p < in.end(); p = rec.end) {
      if (!next_record(entry->type, p, in.end(), &rec)) return false;
      if (rec.field != map->map_key()) continue;
      found.bits = rec.bits;
      found.text = rec.payload ? Slice(rec.payload, rec.size) : Slice();
      *key = found;
    }
  }
  return true;
}

}  // namespace zcrpc::encode
