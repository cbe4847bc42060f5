// An edit: a message that is changed without being taken apart. Internal to this folder; encoder.h has the calls.
//
// Protobuf merges what lies one behind the other, and an edit makes the most of it. A message under edit (Node) is a list
// of segments: stretches of wire records, of the view it began with or of merged ones, where they lie; records that were
// put (in a log, which is an encoder of its own); sub-messages under edit. Appending and merging are one segment more.
// What replaces or removes is a rule for its field: records before a certain segment are dropped, and a new value takes
// their place. Only a message that has rules is ever scanned; everything else is passed on whole, byte for byte.
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

// An element of a repeated string or message field that lies before Rows::scanned.
struct Row {
  uint32_t segment;
  bool dropped;
  Bytes payload;
  Segment value;  // kNone: as it was
};
struct Rows {
  base::Vec<Row> all;
  base::Vec<uint32_t> live;  // those that are not dropped
  uint32_t scanned;          // segments
};

struct KeyRule {
  Key key;
  uint32_t before = 0;    // entries of this key before that segment are dropped
  bool used = false;      // of the table
};
struct Keys {
  base::Vec<KeyRule> table;  // open-addressed, a power of two
  uint32_t count = 0;
};

struct Rule {
  uint32_t number = 0;
  uint32_t before = 0;          // records of the field before that segment are dropped
  uint32_t before_unknown = 0;  // those of its number that are unknown
  const schema::Field* field = nullptr;
  Segment value;                           // singular: takes their place
  base::Vec<uint64_t>* numbers = nullptr;  // repeated numbers: likewise
  Rows* rows = nullptr;
  Keys* keys = nullptr;
  // While it is written.
  bool placed = false;
  uint32_t row = 0;
};

struct Node {
  const schema::Message* type;
  base::Vec<Segment> segments;
  base::Vec<Rule> rules;  // ascending by number
  bool split = false;     // a rule counts segments: what is appended next is one of its own
  uint32_t count() const { return uint32_t(segments.size()); }
};

struct Edit {
  base::Arena arena;  // nodes and what they hold
  base::Allocator in_arena;
  Encoder* log = nullptr;
  base::Vec<Node*> open;  // the root, and one for each frame of the encoder
  uint8_t* end = nullptr; // of the encoder's memory, which hides it while it edits
};

// ---- For the puts of encoder.h, while e->editing

Node* open_node(Encoder* e);
Edit* edit_of(Encoder* e);
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

// ---- Pieces

const schema::Field* field_of(const schema::Message* type, uint32_t number);
base::Slice resolve(const Edit* d, const Bytes& b);
Node* new_node(Edit* d, const schema::Message* type);                     // nullptr: no memory
Rule* find_rule(Node* n, uint32_t number);                               // nullptr: none
Rule* make_rule(Encoder* e, Node* n, uint32_t number);                   // nullptr: it has failed
bool append_segment(Encoder* e, Node* n, const Segment& s);
bool append_view(Encoder* e, Node* n, schema::View v);                   // all of its records
void drop_field(Node* n, Rule* r);                                       // what there is of it up to now
bool set_value(Encoder* e, Node* n, const schema::Field* f, const Segment& value);
// The member of f's oneof that is set (without a oneof: f, or nullptr when it is absent). nullptr also: it has failed.
const schema::Field* live_member(Encoder* e, Node* n, const schema::Field* f);
// What there is of a field, dropped; members of its oneof that it had replaced do not come back.
bool copy_value(Encoder* e, Node* to, const Node* from, const schema::Field* f);  // a singular number or string: the last record
bool clear_field(Encoder* e, Node* n, const schema::Field* f);
Node* open_child(Encoder* e, Node* n, const schema::Field* f);           // the singular message that is there, or a new one
Node* open_element(Encoder* e, Node* n, const schema::Field* f, size_t i);
bool open_frame(Encoder* e, const schema::Field* f, uint32_t element, Node* child);
base::Vec<uint64_t>* list_numbers(Encoder* e, Node* n, const schema::Field* f);
Rows* list_rows(Encoder* e, Node* n, const schema::Field* f);
KeyRule* make_key(Encoder* e, Rule* r, const Key& key);
KeyRule* find_key(const schema::Field* map, Keys* keys, const Key& key);
bool node_key(const Edit* d, const schema::Field* map, Node* entry, Key* key);
void malformed(Encoder* e);

// Calls fn(record, segment number) for each record from that segment on, and for segments that are no records with
// record.begin null, until it gives false. False: malformed, and the encoder has failed.
template <class Fn>
bool scan(Encoder* e, const Node* n, uint32_t from, Fn fn) {
  for (uint32_t s = from; s < n->count(); s++) {
    const Segment& seg = n->segments[s];
    Record r;
    if (seg.kind != Segment::kRecords) {
      r.field = seg.field;
      r.number = seg.field->number;
      if (!fn(r, s)) return true;
      continue;
    }
    base::Slice in = resolve(edit_of(e), seg.bytes);
    for (const uint8_t* p = in.begin(); p < in.end(); p = r.end) {
      if (!next_record(n->type, p, in.end(), &r)) {
        malformed(e);
        return false;
      }
      if (!fn(r, s)) return true;
    }
  }
  return true;
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

// The whole edit, written at e's cursor (true: done) or counted (SIZE_MAX: malformed, or no memory).
bool write_edit(Encoder* e);
size_t count_edit(const Encoder* e);

}  // namespace zcrpc::encode
