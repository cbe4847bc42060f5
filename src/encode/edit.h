// An edit: a message that is changed without being taken apart. Internal to this folder; encoder.h has the calls.
//
// Protobuf merges what lies one behind the other, and an edit makes the most of it. A message under edit (Node) is a list
// of segments: stretches of wire records, of the view it began with or of merged ones, where they lie; records that were
// put (in a log, which is an encoder of its own); sub-messages under edit. Appending and merging are one segment more.
// What replaces or removes is a rule for its field: records before a certain segment are dropped, and a new value takes
// their place. Only a message that has rules is ever scanned; everything else is passed on whole, byte for byte.
//
// What an edit holds has a budget, 1 MiB and 32 times what it was given and what it set, however small the messages are
// that hostile bytes consist of. Honest edits stay far below, since an element or entry that is small when it is closed
// is written to the log at once (fold), and its node forgotten.
#pragma once

#include "base/arena.h"
#include "encode/state.h"
#include "schema/mask.h"

namespace zcrpc::encode {

struct Node;

// Wire bytes: somebody else's, or (data null) a part of the log, which moves while it grows.
struct Bytes {
  const uint8_t* data = nullptr;
  size_t at = 0, size = 0;
  base::Buffer* holder = nullptr;  // counted memory that data lies in, held by the edit
};

struct Segment {
  enum Kind : uint8_t { kNone, kRecords, kValue, kChild } kind = kNone;
  const schema::Field* field = nullptr;  // of all but kRecords
  Node* child = nullptr;
  Bytes bytes;  // kRecords: whole records. kValue: the payload of a string that goes by reference
};

// One record of the wire, as the schema sees it.
struct Record {
  const uint8_t *begin = nullptr, *end = nullptr;  // tag included
  const uint8_t* payload = nullptr;                // of all but numbers
  size_t size = 0;
  uint64_t bits = 0;                               // of a number, as schema::bits_at
  uint32_t number = 0;                             // of an item of a MessageSet: its type id
  const schema::Field* field = nullptr;            // nullptr: unknown (another wire type, a closed enum's stranger)
  bool packed = false;
};
// The record at p < end. False: malformed.
bool next_record(const schema::Message* type, const uint8_t* p, const uint8_t* end, Record* r);
// The next number of a packed run; *known is false for a stranger of a closed enum.
const uint8_t* next_packed(const schema::Field* f, const uint8_t* p, const uint8_t* end, uint64_t* bits, bool* known);

struct Key {
  uint64_t bits = 0;
  base::Slice text;
};
// The key in the records of a map entry: the last one, or the default.
bool entry_key(const schema::Field* map, base::Slice entry, Key* key);

// Which of a number of rows are left, from the first removal on: bits, and a binary indexed tree of the count in each word.
class Live {
 public:
  void in(const base::Allocator* a);
  size_t size() const { return left_; }
  bool has(uint32_t row) const { return bits_.empty() || (bits_[row / 64] >> row % 64 & 1); }
  uint32_t at(size_t i) const;           // the i-th that is left
  [[nodiscard]] bool extend(size_t n);   // n more rows
  [[nodiscard]] bool remove(size_t i);   // the i-th that is left

 private:
  bool add_word(uint32_t n);
  base::Vec<uint64_t> bits_;
  base::Vec<uint32_t> tree_;
  uint32_t all_ = 0, left_ = 0;
};

// Elements of a repeated string or message field that lie before segment `scanned`: 4 bytes for each, and more for those
// that are something else now.
inline constexpr uint32_t kChanged = 0x80000000u;
struct Change {
  Segment value;
  uint32_t place;  // as it was in Rows::places
};
struct Rows {
  struct Run {
    uint32_t segment, first;  // its first row
  };
  base::Vec<uint32_t> places;  // of the record in its segment; or kChanged and which change
  base::Vec<Run> runs;         // segments that rows lie in
  base::Vec<Change*> changes;
  Live live;
  uint32_t scanned = 0;
};
struct Numbers {
  base::Vec<uint64_t> all;
  Live live;
};

struct KeyRule {
  Key key;
  uint32_t before = 0;    // entries of this key before that segment are dropped
  bool used = false;      // of the table
  bool opened = false;    // once: opened again, an entry keeps its node, or each turn would fill the log
};
struct Place {
  uint32_t segment = UINT32_MAX, at = 0;  // of a record in it
};
struct Keys {
  base::Vec<KeyRule> table;  // open-addressed, a power of two
  uint32_t count = 0;
  // Where each key was last, from the second look on: open-addressed, a power of two.
  base::Vec<Place> index;
  uint32_t indexed = 0, scanned = 0;
  bool asked = false;
};

struct Rule {
  uint32_t number = 0;
  uint32_t before = 0;          // records of the field before that segment are dropped
  uint32_t before_unknown = 0;  // those of its number that are unknown
  const schema::Field* field = nullptr;
  Segment value;                           // singular: takes their place
  Numbers* numbers = nullptr;              // repeated numbers: likewise
  Rows* rows = nullptr;
  Keys* keys = nullptr;
  // While it is written.
  bool placed = false;
  uint8_t level = 1;  // in the tree of Rules
  uint32_t row = 0;
  uint32_t left = 0, right = 0;
};

// The rules of a message. Few, as nearly always, are a list that ascends by number; more are one in the order in which they
// came, and in it a balanced search tree (an AA tree: leaves have level 1, and no path has more than two rules of a level).
// Links are places, counted from 1.
inline constexpr size_t kFewRules = 16;
class Rules {
 public:
  void in(const base::Allocator* a) { new (&all_) base::Vec<Rule>(a); }
  bool empty() const { return all_.empty(); }
  void clear();
  Rule* find(uint32_t number);                // nullptr: none
  [[nodiscard]] Rule* add(uint32_t number);   // that is not there yet; nullptr: no memory. Others may move
  unsigned levels() const { return root_ ? all_[root_ - 1].level : 0; }
  // In any order.
  Rule* begin() { return all_.begin(); }
  Rule* end() { return all_.end(); }
  // fn(rule) for each, ascending by number.
  template <class Fn>
  void ascending(Fn fn) {
    if (root_) return visit(root_, fn);
    for (Rule& r : all_) fn(r);
  }

 private:
  Rule& at(uint32_t place) { return all_[place - 1]; }
  uint32_t insert(uint32_t tree, uint32_t place);
  uint32_t skew(uint32_t tree);
  uint32_t split(uint32_t tree);
  template <class Fn>
  void visit(uint32_t tree, Fn& fn) {  // as deep as twice the levels
    for (; tree; tree = at(tree).right) {
      visit(at(tree).left, fn);
      fn(at(tree));
    }
  }
  base::Vec<Rule> all_;
  uint32_t root_ = 0;  // 0: they are few
};

struct Node {
  const schema::Message* type;
  base::Vec<Segment> segments;
  Rules rules;
  bool split = false;     // a rule counts segments: what is appended next is one of its own
  uint32_t count() const { return uint32_t(segments.size()); }
};

// A message that is open, and what becomes of it at its end.
struct Opened {
  Node* node = nullptr;
  Segment* home = nullptr;  // what holds it (of a map's value: the entry), if that may be folded
  Rows* rows = nullptr;     // home is a change of theirs, of this row
  uint32_t row = 0, pieces = 0;
  bool split = false;       // of the outer node, before
  base::Arena::Mark mark{};
  size_t log = 0;           // what the log and the arena had before it
};

struct Edit {
  Edit();
  base::Allocator counted;  // from the system, on the budget
  base::Arena arena{&counted};  // nodes and what they hold
  base::Allocator in_arena;
  Encoder* log = nullptr;
  base::Vec<Opened> open;  // the root, and one for each frame of the encoder
  uint8_t* end = nullptr; // of the encoder's memory, which hides it while it edits
  size_t given = 0;       // bytes of views and buffers
  size_t set = 0;         // bytes that were put, and kCall for each call that adds something
  size_t held = 0;        // bytes of counted
  bool over = false;      // why counted had nothing: the budget
};
inline constexpr size_t kCall = 16;  // what is put or merged, a message begun and a key count as so many bytes more
inline constexpr size_t kLeast = size_t(1) << 20, kFactor = 32;  // the budget

// ---- For the puts of encoder.h, while e->editing

Node* open_node(Encoder* e);
Edit* edit_of(Encoder* e);
bool edits(Encoder* e);  // whether an edit is under way; if not, that is the mistake
// The log, ready for a put into the open message; nullptr: it has failed.
Encoder* open_log(Encoder* e);
void close_log(Encoder* e, uint32_t field, size_t from, size_t element);
inline constexpr size_t kAppend = SIZE_MAX;
template <class Put>
void edit_put(Encoder* e, uint32_t field, Put put, size_t element = kAppend) {
  Encoder* log = open_log(e);
  if (!log) return;
  size_t from = log->offset();
  put(log);
  close_log(e, field, from, element);
}
void edit_begin(Encoder* e, uint32_t field);
void edit_end(Encoder* e);
void edit_put_view(Encoder* e, uint32_t field, schema::View v);
void edit_put_buffer(Encoder* e, uint32_t field, base::Buffer* b, base::Slice bytes);
void edit_put_raw(Encoder* e, base::Slice fields);
void edit_free(Encoder* e);
void edit_reset(Encoder* e);
void no_memory(Encoder* e, const schema::Field* f = nullptr);  // fails: over budget, or out of memory

// ---- Pieces

const schema::Field* field_of(const schema::Message* type, uint32_t number);
base::Slice resolve(const Edit* d, const Bytes& b);
Node* new_node(Edit* d, const schema::Message* type);                     // nullptr: no memory
Rule* make_rule(Encoder* e, Node* n, uint32_t number, const schema::Field* f);  // nullptr: it has failed
inline Rule* make_rule(Encoder* e, Node* n, const schema::Field* f) { return make_rule(e, n, f->number, f); }
bool append_segment(Encoder* e, Node* n, const Segment& s);
bool append_view(Encoder* e, Node* n, schema::View v);                   // all of its records
size_t bytes_of(schema::View v);
bool append_piece(Encoder* e, Node* n, const Bytes& piece);              // one of many, perhaps: small ones are gathered
void drop_field(Node* n, Rule* r);                                       // what there is of it up to now
bool set_value(Encoder* e, Node* n, const schema::Field* f, const Segment& value);
// The member of f's oneof that is set (without a oneof: f, or nullptr when it is absent). nullptr also: it has failed.
const schema::Field* live_member(Encoder* e, Node* n, const schema::Field* f);
// What there is of a field, dropped; members of its oneof that it had replaced do not come back.
bool copy_value(Encoder* e, Node* to, const Node* from, const schema::Field* f);  // a singular number or string: the last record
bool clear_field(Encoder* e, Node* n, const schema::Field* f);
Node* open_child(Encoder* e, Node* n, const schema::Field* f);           // the singular message that is there, or a new one
bool open_frame(Encoder* e, const schema::Field* f, uint32_t element, const Opened& o);
void malformed(Encoder* e);

// edit_rows.cc
bool has_element(Encoder* e, const schema::Field* f, const Live& live, size_t i);  // if not, that is the mistake
Numbers* list_numbers(Encoder* e, Node* n, const schema::Field* f);
Rows* list_rows(Encoder* e, Node* n, const schema::Field* f);
bool change_row(Encoder* e, Rows* rows, const schema::Field* f, uint32_t row, const Segment& value);
Opened open_element(Encoder* e, Node* n, const schema::Field* f, size_t i);  // node is null: it has failed
void close_element(Encoder* e, const schema::Field* f, const Opened& o);

// edit_keys.cc
KeyRule* make_key(Encoder* e, Rule* r, const Key& key);
KeyRule* find_key(const schema::Field* map, Keys* keys, const Key& key);
bool node_key(const Edit* d, const schema::Field* map, Node* entry, Key* key);
// The last entry of the key from that segment on. False: it has failed.
bool find_place(Encoder* e, Node* n, Rule* r, uint32_t from, const Key& key, Place* place);

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
// One element more, uninitialised, of a list in the arena that mostly has one or two; nullptr: no memory.
template <class T>
[[gnu::noinline]] T* one_more(base::Vec<T>* v) {
  return v->size() < v->capacity() || v->reserve_exact(v->empty() ? 2 : v->size() * 2) ? v->grow(1) : nullptr;
}
// x may lie in the list: what that grows out of stays.
template <class T>
bool push_one(base::Vec<T>* v, const T& x) {
  T* to = one_more(v);
  if (to) *to = x;
  return to != nullptr;
}

// Calls fn(record, segment number) for each record from that segment on, and for segments that are no records with
// record.begin null, until it gives false. False: malformed, and the encoder has failed.
bool scan(Encoder* e, const Node* n, uint32_t from, bool (*fn)(void*, const Record&, uint32_t), void* with);
template <class Fn>
bool scan(Encoder* e, const Node* n, uint32_t from, Fn fn) {
  return scan(e, n, from, [](void* with, const Record& r, uint32_t s) -> bool { return (*static_cast<Fn*>(with))(r, s); }, &fn);
}
// A part of a segment, by its place in memory.
inline Bytes part_of(const Edit* d, const Segment& s, const uint8_t* p, size_t n) {
  Bytes b = s.bytes;
  auto offset = size_t(p - resolve(d, b).data);
  if (b.data)
    b.data += offset;
  else
    b.at += offset;
  b.size = n;
  return b;
}

// The field with this message, as a record at the end of the log, where everything is cut off that came since o. False: it is
// not small, or has failed.
inline constexpr size_t kFold = 256;
bool fold(Encoder* e, const schema::Field* f, Node* n, const Opened& o, Segment* record);
// What a put has written, [from, end) of the log, as a segment.
Segment logged(Edit* d, size_t from);

// The whole edit, written at e's cursor (true: done) or counted (SIZE_MAX: malformed, or no memory).
bool write_edit(Encoder* e);
size_t count_edit(const Encoder* e);

}  // namespace zcrpc::encode
