// Keys of maps in an edit: which entries are dropped, and where the last one of a key is.
#include <bit>

#include "base/hash.h"
#include "encode/edit.h"

namespace zcrpc::encode {

using base::Slice;
using schema::Field;

namespace {

bool has_text(const Field* map) { return schema::is_string(map->map_key()->kind); }

uint64_t key_hash(const Field* map, const Key& k) {
  base::HashKey secret = base::process_hash_key();
  return has_text(map) ? base::siphash(secret, k.text.data, k.text.size) : base::siphash(secret, &k.bits, sizeof k.bits);
}
bool same_key(const Field* map, const Key& a, const Key& b) {
  return has_text(map) ? a.text.text() == b.text.text() : a.bits == b.bits;
}
KeyRule* key_place(const Field* map, base::Vec<KeyRule>& table, const Key& key) {
  size_t mask = table.size() - 1, at = size_t(key_hash(map, key)) & mask;
  while (table[at].used && !same_key(map, table[at].key, key)) at = (at + 1) & mask;
  return &table[at];
}

// A table of that many empty slots.
template <class T>
bool empty_table(Edit* d, size_t size, base::Vec<T>* table) {
  into_arena(d, table);
  if (!table->reserve_exact(size)) return false;
  for (size_t i = 0; i < size; i++) (void)table->push(T());
  return true;
}

// Of a record of the map, or of an entry under edit.
bool record_key(Encoder* e, const Node* n, const Field* map, const Record& rec, uint32_t s, Key* key) {
  const bool good = rec.begin ? entry_key(map, {rec.payload, rec.size}, key) : node_key(e->edit, map, n->segments[s].child, key);
  if (!good) malformed(e);
  return good;
}

Place place_of(Encoder* e, const Node* n, const Record& rec, uint32_t s) {
  return {s, rec.begin ? uint32_t(rec.begin - resolve(e->edit, n->segments[s].bytes).data) : 0};
}

bool place_key(Encoder* e, const Node* n, const Field* map, const Place& at, Key* key) {
  Record rec;
  const Segment& s = n->segments[at.segment];
  if (s.kind == Segment::kRecords) {
    Slice in = resolve(e->edit, s.bytes);
    if (!next_record(n->type, in.begin() + at.at, in.end(), &rec)) return malformed(e), false;
  }
  return record_key(e, n, map, rec, at.segment, key);
}

// The slot of the key, or the empty one where it belongs. nullptr: it has failed.
Place* slot_of(Encoder* e, const Node* n, const Field* map, base::Vec<Place>& index, const Key& key) {
  const size_t mask = index.size() - 1;
  for (size_t at = size_t(key_hash(map, key)) & mask;; at = (at + 1) & mask) {
    if (index[at].segment == UINT32_MAX) return &index[at];
    Key there;
    if (!place_key(e, n, map, index[at], &there)) return nullptr;
    if (same_key(map, there, key)) return &index[at];
  }
}

// Room for so many entries more. What the table grows out of stays in the arena, so at first they are counted.
bool grow_index(Encoder* e, const Node* n, const Field* map, Keys* keys, size_t more) {
  const size_t least = (keys->indexed + more) * 4 / 3 + 1;
  if (least <= keys->index.size()) return true;
  base::Vec<Place> bigger;
  if (!empty_table(e->edit, std::bit_ceil(least > 64 ? least : 64), &bigger)) return no_memory(e, map), false;
  for (const Place& p : keys->index) {
    if (p.segment == UINT32_MAX) continue;
    Key key;
    Place* to = place_key(e, n, map, p, &key) ? slot_of(e, n, map, bigger, key) : nullptr;
    if (!to) return false;
    *to = p;
  }
  keys->index = std::move(bigger);
  return true;
}

// Brings the index up to what has come since.
bool index_entries(Encoder* e, const Node* n, Rule* r) {
  Keys* keys = r->keys;
  const Field* map = r->field;
  const uint32_t from = keys->scanned > r->before ? keys->scanned : r->before;
  size_t more = 0;
  if (!scan(e, n, from, [&](const Record& rec, uint32_t) {
        more += rec.field == map;
        return true;
      }) ||
      (more && !grow_index(e, n, map, keys, more)))
    return false;
  bool ok = true;
  if (more && !scan(e, n, from, [&](const Record& rec, uint32_t s) {
        if (rec.field != map) return true;
        Key key;
        ok = record_key(e, n, map, rec, s, &key);
        Place* slot = ok ? slot_of(e, n, map, keys->index, key) : nullptr;
        if (!slot) return ok = false;
        keys->indexed += slot->segment == UINT32_MAX;
        *slot = place_of(e, n, rec, s);
        return true;
      }))
    return false;
  keys->scanned = n->count();
  return ok;
}

}  // namespace

// The first time, entries are looked through; who asks again gets an index.
bool find_place(Encoder* e, Node* n, Rule* r, uint32_t from, const Key& key, Place* place) {
  Keys* keys = r->keys;
  const Field* map = r->field;
  *place = Place();
  if (keys->asked) {
    if (!index_entries(e, n, r)) return false;
    if (keys->index.empty()) return true;
    const Place* slot = slot_of(e, n, map, keys->index, key);
    if (!slot) return false;
    if (slot->segment >= from) *place = *slot;  // what is empty has no segment
    return true;
  }
  keys->asked = true;
  bool ok = true;
  return scan(e, n, from, [&](const Record& rec, uint32_t s) {
    Key there;
    if (rec.field != map) return true;
    if (!(ok = record_key(e, n, map, rec, s, &there))) return false;
    if (same_key(map, there, key)) *place = place_of(e, n, rec, s);
    return true;
  }) && ok;
}

KeyRule* find_key(const Field* map, Keys* keys, const Key& key) {
  if (!keys || keys->table.empty()) return nullptr;
  KeyRule* at = key_place(map, keys->table, key);
  return at->used ? at : nullptr;
}

KeyRule* make_key(Encoder* e, Rule* r, const Key& key) {
  Edit* d = e->edit;
  d->set += kCall + key.text.size;
  if (!r->keys) {
    if (!(r->keys = make<Keys>(d))) return no_memory(e, r->field), nullptr;
    into_arena(d, &r->keys->table);
    into_arena(d, &r->keys->index);
  }
  Keys* keys = r->keys;
  if (KeyRule* there = find_key(r->field, keys, key)) return there;
  if ((keys->count + 1) * 2 > keys->table.size()) {
    base::Vec<KeyRule> bigger;
    if (!empty_table(d, keys->table.empty() ? 16 : keys->table.size() * 2, &bigger)) return no_memory(e, r->field), nullptr;
    for (const KeyRule& k : keys->table)
      if (k.used) *key_place(r->field, bigger, k.key) = k;
    keys->table = std::move(bigger);
  }
  KeyRule* at = key_place(r->field, keys->table, key);
  at->key.bits = key.bits;
  if (key.text.size) {
    auto* copy = d->arena.array<uint8_t>(key.text.size);
    if (!copy) return no_memory(e, r->field), nullptr;
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
  const Rule* r = entry->rules.find(1);
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
