// The state of one decode: where the walk is, the stack of open messages, and the memory that the index grows in.
//
//   region:  [anchor][index head][messages, arrays ... top)   free   [limit: frames of sparse messages][rows](end
//
// Everything stored is an offset, so the region may move while it grows: slow code calls make_room(), which rebases
// every pointer that the context holds. Fast code never grows: it finds too little room, and leaves the field to slow code.
#pragma once

#include <cstring>

#include "base/arena.h"
#include "schema/view.h"
#include "view/table.h"
#include "view/view.h"

namespace zcrpc::view {

// What an open message is, besides a plain singular one.
enum FrameFlag : uint32_t {
  kRoot = 1,
  kGroup = 2,     // ends with an end tag, not at a place
  kSparse = 4,    // lies in a zeroed frame, to be stored packed when it is complete
  kEntry = 8,     // a map entry
  kClamped = 16,  // `end` is short of the true end: the input's last bytes must not be read fast (see flip())
  kPiece = 32,    // a further piece of a message that has come before
  kDiscard = 64,  // a map entry whose closed enum value is unknown: the whole of it is an unknown field
  kExtension = 128,  // the field is an extension
  kItem = 256,    // a MessageSet's item: the walk goes on at `resume`, behind the item
};

// Beside each open message: the state of its parent, to which the walk returns, and what closes it.
struct Frame {
  const uint8_t* end;
  uint8_t* m;
  const Table* t;
  uint64_t has;
  const Entry* e;            // the parent's field that the message is in
  uint32_t left;             // elements of the same run that follow
  uint32_t flags;            // 0: close and go on without a look at the rest, which only slow code fills in
  const uint8_t* true_end;   // kClamped: of the open message
  uint32_t begin;            // input offset of its payload (flags other than 0)
  uint32_t tag_begin;        // input offset of its tag (flags other than 0)
  uint32_t first;            // kEntry: place of the first entry of this run
  uint32_t resume;           // kItem: input offset
};

struct Walk {
  const uint8_t* p;
  const uint8_t* end;   // of the message that is open
  uint8_t* m;           // it
  const Table* t;       // its type
  uint64_t has;         // its presence bits that are not stored yet; bit 63 is nothing
};

// Rows of unknown ranges, pieces, and arrays to be tidied up when the decode is over, in the order they turned up.
// Their message is an offset, perhaps one that has been left: resolve() follows the heads that forward.
using Row = zcrpc_range;
inline constexpr uint32_t kPieceRow = 0x40000000u;  // in Row::number: a piece
inline constexpr uint32_t kTidyRow = 0x80000000u;   // in Row::number, besides the field: its array carries marks

// Marks in the low bits of the offset of a run while it is under construction; tidy() clears them.
inline constexpr uint32_t kGrown = 1;     // has room for the next power of two
inline constexpr uint32_t kUnsorted = 2;  // a map whose keys did not ascend: duplicates are still to be found
inline constexpr uint32_t kMarks = 3;

enum class Fault : uint8_t {
  kNone, kTruncatedTag, kTruncatedVarint, kTruncatedLength, kTruncatedFixed, kTruncatedGroup, kPastEnd, kVarintTooLong,
  kTagTooLong, kFieldNumber, kWireType, kEndGroup, kPackedSize, kUtf8, kDepth, kBudget, kMemory,
};

inline constexpr uint32_t kOwnFrames = 102;   // for the root and the 100 levels of the default limit
inline constexpr size_t kMargin = 48;         // fast code, started before this many bytes from the end, stays inside
inline constexpr uint32_t kFewEntries = 16;    // of a map: compared each with each
inline constexpr size_t kPatch = 256;         // inputs up to this size are copied at once

struct Context {
  const uint8_t* base;   // p - base is an offset in the input (base moves when the walk goes over to the patch)
  uint8_t* index;        // the zcrpc_index
  uint8_t* top;          // where the next piece goes
  uint8_t* limit;        // it must end here
  Frame* sp;             // behind the frame of the open message
  Frame* sp_end;         // fast code opens no more: at depth_end, or, in a lazy decode, always
  Frame* depth_end;      // nor does slow code
  Walk walk;             // of slow code; fast code holds its own copy in registers

  const uint8_t* input;
  size_t input_size;
  const uint8_t* clamp;  // the walk leaves the input for the patch here; nullptr: slack behind it, or already done

  const schema::Schema* schema;
  base::Arena* arena;
  uint8_t* region;
  uint8_t* region_end;   // capacity that the budget allows
  size_t budget;
  size_t prefix;         // bytes before the index: the anchor
  uint8_t* clean;        // of the free bytes below region_end's rows, those from here on are zero
  Row* rows;             // row_capacity of them end at region_end
  uint32_t row_count, row_capacity;
  uint32_t root;         // its offset, once it is complete

  // The first fault that was told.
  Fault fault;
  uint32_t fault_at;                // input offset
  const schema::Field* fault_field; // of the open message; nullptr: none in particular
  uint32_t fault_more;              // elements of its run that are not counted yet, or, below zero, too many
  const Entry* settle;              // map whose run has just ended out of order

  // What is kept, and of a child that is opened where it belongs.
  bool lazy, drop_unknown;
  bool straight = false;            // decoders of generated code run where there are some (generated.h)
  uint32_t depth;                   // levels above the root of this index
  uint32_t max_depth;               // of the whole
  size_t max_index;
  const schema::LazyLink* outer;    // nullptr: none

  uint8_t patch[kPatch + base::kSlack];
  Frame* frames;         // own_frames, unless the limit is higher
  Frame own_frames[kOwnFrames];

  uint32_t offset(const uint8_t* p) const { return uint32_t(reinterpret_cast<uintptr_t>(p) - reinterpret_cast<uintptr_t>(base)); }
  uint32_t index_offset(const void* p) const { return uint32_t(static_cast<const uint8_t*>(p) - index); }
};

// ---- Slow code, shared by all dispatchers. Each works on c->walk; false: a fault was told, the decode is over. ----

// One field, whatever it is, from its tag on.
bool slow_field(Context* c);
// The open message has no more bytes before `end`: closes it, or finds what is wrong.
enum class Left { kFault, kNext, kFinished };
Left slow_leave(Context* c);
// The run of map entries of c->settle has ended, and its keys did not ascend.
bool settle_map(Context* c);

// ---- Pieces of slow code -------------------------------------------------------------------------------------

// A field as slow code sees it: one of the message's own, or an extension.
struct Target {
  const schema::Field* field;
  const Entry* entry;
};
Target find_target(const Table* t, uint32_t number);  // field is nullptr: unknown
Target frame_target(const Frame* f);                  // the field that an open message is in

inline Frame* open_frame(Context* c) { return c->sp - 1; }
// Where the open message really ends; of a group, where what it is in ends.
inline const uint8_t* true_end(const Context* c) {
  const Frame* f = c->sp - 1;
  return f->flags & kClamped ? f->true_end : c->walk.end;
}
inline zcrpc_head* head_of(uint8_t* m) { return reinterpret_cast<zcrpc_head*>(m); }
inline zcrpc_head* head_at(Context* c, uint32_t offset) { return head_of(c->index + offset); }
inline size_t align8(size_t n) { return (n + 7) & ~size_t(7); }

bool fail(Context* c, Fault fault, const uint8_t* at, const schema::Field* field);

// memory.cc
bool make_room(Context* c, size_t n);    // n bytes between top and limit; everything may move
uint8_t* take(Context* c, size_t n);     // n zeroed bytes at top, 8-aligned; nullptr with a fault
uint8_t* take_raw(Context* c, size_t n);  // the same, but only what rounding up has added is zero
uint8_t* open_scratch(Context* c, const Table* t);  // a zeroed frame below limit; nullptr with a fault
void close_scratch(Context* c, const Table* t);     // the last one opened; it must be all zeros again
bool push_row(Context* c, const Row& row);

// fields.cc
const uint8_t* read_varint(Context* c, const uint8_t* p, uint64_t* v, const schema::Field* f);
const uint8_t* read_length(Context* c, const uint8_t* p, uint32_t* n, const schema::Field* f);
// The field's slot in the open message; of an extension that is not set yet one is made. nullptr with a fault.
uint8_t* slot(Context* c, const Target& to);
// The field is set now: its presence bit, its oneof's case. Another member of the oneof is no longer.
void mark(Context* c, const Target& to);
// Room for n more elements of `width` bytes at the end of the run in the field's slot, counted; the caller fills all.
uint8_t* append(Context* c, const Target& to, uint32_t width, uint32_t n);
// Where rows find the open message: its own offset, or that of a stub that will forward to it. 0 with a fault.
uint32_t message_id(Context* c);
uint32_t resolve(Context* c, uint32_t id);
// Passes a group by, whose start tag is at `start` and ends at p; nullptr with a fault.
const uint8_t* skip_group(Context* c, const uint8_t* start, const uint8_t* p, uint32_t tag);
// Input [from, to) is an unknown field of the open message; number: or a bare unknown number of that closed enum.
bool push_unknown(Context* c, uint32_t from, uint32_t to, uint32_t number = 0);

// lazy.cc: the message (or the whole run of them) at a tag is noted, and stays closed.
bool keep_closed(Context* c, const Target& to, const uint8_t* start, const uint8_t* p);
inline bool stays_closed(const Context* c, const schema::Field* f) {
  return c->lazy && f->kind == schema::Kind::kMessage && !f->is_map();
}

// decode.cc, for lazy.cc too: the pieces of one message, one after the other.
struct Piece {
  uint32_t begin, end;  // in the input
};
struct Pieces {
  Piece now;
  const zcrpc_lazy* row = nullptr;     // that `now` is of, if further ones may follow
  const zcrpc_index* index = nullptr;  // of the rows

  bool more() const { return row && row->next; }
  void next(base::Slice input);  // if there are more
};
Piece piece_at(base::Slice input, uint32_t prefix);
// Where open messages are kept: in the context, or for higher limits on the heap.
class Frames {
 public:
  explicit Frames(Context* c);
  Frames(const Frames&) = delete;
  Frames& operator=(const Frames&) = delete;
  ~Frames();
  bool ok() const { return size_ == 0 || heap_; }

 private:
  void* heap_ = nullptr;
  size_t size_ = 0;
};
size_t first_room(size_t input);  // for an index, where it is not known better
size_t budget_for(const Limits& limits, size_t input);
base::Status build(Context* c, const Table* t, base::Slice data, bool slack, size_t prefix, size_t least, uint32_t start, Pieces pieces);

// messages.cc: start is the field's tag, p what follows it.
bool enter_message(Context* c, const Target& to, const uint8_t* start, const uint8_t* p);
bool leave_group(Context* c, uint32_t number, const uint8_t* tag, const uint8_t* p);
// Elements of the same field in a row, from the one whose tag ends before p: as many as have come.
uint32_t count_elements(Context* c, const Target& to, const uint8_t* p);
// The message of the slot s that a further piece is to be merged with; 0: none.
uint32_t present_message(Context* c, const Target& to, const uint8_t* s);

// message_set.cc: the item whose start tag is at `start`, and ends at p.
bool set_item(Context* c, const uint8_t* start, const uint8_t* p);
inline constexpr uint32_t kItemStart = wire::tag(1, wire::Type::kStartGroup);

// sparse.cc
uint8_t* reopen_sparse(Context* c, const Table* t, uint32_t at);  // into a frame; nullptr with a fault
uint32_t pack_sparse(Context* c, uint32_t old);  // the open message, stored at last; old: where it was before. 0 with a fault

// maps.cc: a run [first, count) has been appended. Finds duplicates at once, or leaves a mark for tidy().
bool settle_run(Context* c, const Target& to, uint32_t first);
// After the last field: duplicates in long maps, marks, rows in order.
bool tidy(Context* c);

// fault.cc
bool report_overrun(Context* c);  // the open message's last field went past its end: says which
base::Status report(Context* c);

}  // namespace zcrpc::view
