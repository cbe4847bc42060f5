// What an encoder consists of; shared by the files of this folder.
//
// Its own bytes lie in one chunk, which grows by moving (offsets are kept, not addresses). What goes by reference is a
// cut in that chunk: a place where another buffer's bytes come in. So a length prefix and its payload always lie side
// by side, and a wrong guess of the prefix's size costs one memmove of bytes of our own.
#pragma once

#include <cstring>
#include <iterator>

#include "base/buffer.h"
#include "base/status.h"
#include "base/vec.h"
#include "encode/encoder.h"
#include "schema/schema.h"
#include "schema/view.h"
#include "wire/wire.h"

namespace zcrpc::encode {

inline constexpr size_t kByReference = 16384;  // from here on, bytes of a counted buffer are not copied
inline constexpr size_t kRoom = 48;            // enough for a tag, a length and any number, wherever one is written
inline constexpr size_t kOverrun = base::kSlack;  // copies may write this far behind `end`

struct Cut {
  size_t at;  // offset in the chunk, headroom included
  base::Slice bytes;
  base::Buffer* buffer;  // one reference is ours
};

inline constexpr uint32_t kNoElement = UINT32_MAX;

// An open sub-message, group, map entry or packed run.
struct Frame {
  const schema::Field* field;
  const schema::Message* outer;  // type to go back to
  size_t at;                     // offset of the length prefix; of a group: of its first byte
  size_t refs;                   // bytes by reference before it
  size_t first_cut;
  uint32_t element;              // which element of a repeated field; else kNoElement
  uint32_t last, last_count;     // the outer message's count of elements, while this one is open
  uint8_t guess;                 // bytes set aside for the length; 0: group
  uint8_t slot;                  // of guesses
};

// A sub-message that generated code has opened by itself (zcrpc/codegen.h has the same as zcrpc_open): no call of ours has
// come since, so that it has no frame, and its address is good. settle() makes frames of all of them.
struct Open {
  uint8_t* at;
  uint32_t field, element, last, last_count, slot, guess;
};

// A message of a view that is being written by put_fields.
struct Level {
  schema::View v;
  const schema::MaskNode* named;     // only these members of oneofs are written; nullptr: all
  const schema::Field *f, *f_end;    // known fields still to write
  const uint8_t *ext, *ext_end;      // extensions still to write
  const schema::Field* run;          // a run of messages in progress
  const uint8_t* run_at;
  uint32_t run_left;
  uint32_t run_order;                // of a sorted map: its places in Encoder::order begin here; run_at stays at the first
  // How this message is closed.
  enum Close : uint8_t { kRoot, kLength, kGroup, kEntry, kItem } close;
  bool sparse;
  uint8_t guess, entry_guess;
  uint32_t end_tag;                  // of a group
  size_t at, entry_at;               // length prefix of the message; of the map entry around it
  size_t refs, first_cut;
};

// The levels of a walk: a few inside, more on the heap, kept for the next walk.
class Levels {
 public:
  explicit Levels(const base::Allocator* a = base::default_allocator()) : more_(a) {}
  size_t size() const { return n_; }
  Level* push() {
    if (n_ >= kInside && !more_.grow(1)) return nullptr;
    return &at(n_++);
  }
  // The level below, or nullptr.
  Level* pop() {
    if (--n_ >= kInside) more_.pop();
    return n_ ? &at(n_ - 1) : nullptr;
  }
  void clear() {
    n_ = 0;
    more_.clear();
  }
  Level& at(size_t i) { return i < kInside ? inside_[i] : more_[i - kInside]; }

 private:
  static constexpr size_t kInside = 12;
  size_t n_ = 0;
  Level inside_[kInside];
  base::Vec<Level> more_;
};

struct Edit;  // edit.h

class Encoder {
 public:
  explicit Encoder(const base::Allocator* a) : frames(a), cuts(a), parts(a), levels(a), order(a), allocator(a) {}
  uint8_t* p = nullptr;    // zcrpc_cursor: down to guesses
  uint8_t* end = nullptr;
  Open* open = opens;
  Open* const first_open = opens;
  Open* const open_end = opens + std::size(opens);
  uint32_t last = 0, last_count = 0;  // elements begun so far of the repeated field begun last
  uint8_t guesses[64];      // bytes of the last length, by field
  uint8_t* base = nullptr;  // of the memory that is being written
  size_t headroom = 0;
  size_t refs = 0;          // bytes by reference so far
  const schema::Message* root = nullptr;
  const schema::Message* type = nullptr;  // of the innermost open message; nullptr inside a packed run
  base::Buffer* chunk = nullptr;
  size_t chunk_size = 0;    // its whole size; the buffer's own is cut when it is given away
  uint8_t* lent = nullptr;  // the caller's memory (reset_in)
  bool is_failed = false;
  bool is_sealed = false;
  bool editing = false;     // puts go to the edit; end == p until it is written
  base::Vec<Frame> frames;
  base::Vec<Cut> cuts;
  base::Vec<Part> parts;
  Levels levels;
  base::Vec<uint32_t> order;  // places of the entries of the maps in progress, sorted by key
  const base::Allocator* allocator;
  Edit* edit = nullptr;     // its memory, once there has been one
  base::Status status;
  uint8_t prefix[8];        // of a delimited message
  Open opens[8];
  uint8_t scratch[256];     // where a failed walk writes until it notices

  size_t offset() const { return size_t(p - base); }
  size_t written() const { return offset() - headroom + refs; }
  static uint8_t slot_of(const schema::Field* f) {
    return uint8_t((reinterpret_cast<uintptr_t>(f) / alignof(schema::Field) * 0x9E3779B1u >> 20) % sizeof guesses);
  }
  uint8_t* guess_of(const schema::Field* f) { return &guesses[slot_of(f)]; }
  // At least n bytes from p on. False: it has failed.
  bool room(size_t n) {
    if (size_t(end - p) >= n) [[likely]]
      return true;
    return grow(n);
  }
  bool grow(size_t n);
  // Frames for what was opened inline. Comes before whatever moves memory, asks for the open message or adds a reference.
  // False: it has failed.
  bool settle() { return open == opens || settle_opens(); }
  bool settle_opens();
  // Bytes that stay where they are. The buffer is retained here.
  bool refer(base::Buffer* b, base::Slice bytes);
  void drop_cuts();
  void start(const schema::Message* t);
};

void fail_at(Encoder* e, const schema::Field* leaf, base::Status s);
// Writes the length of what follows its `guess` set-aside bytes at offset `at`, moving it if the guess was wrong.
// False: the message is too long, and the encoder has failed.
bool close_length(Encoder* e, size_t at, uint8_t* guess, size_t refs, size_t first_cut);

// ---- Wire writers. Each may scribble up to kOverrun bytes behind what it returns.

// The lowest eight groups of 7 bits, one in each byte; and the bits that say of all bytes but the last of n that more follow.
inline uint64_t spread_groups(uint64_t v) {
  uint64_t x = (v & 0x000000000FFFFFFF) | (v & 0x00FFFFFFF0000000) << 4;
  x = (x & 0x00003FFF00003FFF) | (x & 0x0FFFC0000FFFC000) << 2;
  return (x & 0x007F007F007F007F) | (x & 0x3F803F803F803F80) << 1;
}
inline uint64_t more_follow(size_t n) { return n > 8 ? 0x8080808080808080 : 0x8080808080808080 & ((uint64_t(1) << (8 * (n - 1))) - 1); }

inline uint8_t* put_varint(uint8_t* p, uint64_t v) {
  if (v < 0x80) [[likely]] {
    *p = uint8_t(v);
    return p + 1;
  }
  if (v < 0x4000) {
    p[0] = uint8_t(v | 0x80);
    p[1] = uint8_t(v >> 7);
    return p + 2;
  }
  if (v < uint64_t(1) << 56) {
    const size_t n = wire::varint_size(v);
    wire::store_le<uint64_t>(p, spread_groups(v) | more_follow(n));
    return p + n;
  }
  return wire::put_varint(p, v);
}

inline constexpr uint8_t kWireOf[19] = {0, 1, 5, 0, 0, 0, 1, 5, 0, 2, 3, 2, 2, 0, 0, 5, 1, 0, 0};  // by Kind
inline uint32_t element_tag(const schema::Field* f) { return f->number << 3 | kWireOf[uint8_t(f->kind)]; }
inline uint32_t length_tag(const schema::Field* f) { return f->number << 3 | uint32_t(wire::Type::kLength); }

// Bits as schema::bits_at gives them, as they are written.
inline uint8_t* put_value(uint8_t* p, schema::Kind k, uint64_t bits) {
  switch (kWireOf[uint8_t(k)]) {
    case 1:
      wire::store_le<uint64_t>(p, bits);
      return p + 8;
    case 5:
      wire::store_le<uint32_t>(p, uint32_t(bits));
      return p + 4;
    default:
      if (k == schema::Kind::kSint32 || k == schema::Kind::kSint64) bits = wire::zigzag(int64_t(bits));
      return put_varint(p, bits);
  }
}
inline size_t value_size(schema::Kind k, uint64_t bits) {
  switch (kWireOf[uint8_t(k)]) {
    case 1: return 8;
    case 5: return 4;
    default: return wire::varint_size(k == schema::Kind::kSint32 || k == schema::Kind::kSint64 ? wire::zigzag(int64_t(bits)) : bits);
  }
}

struct Block16 { uint64_t a, b; };
inline void copy16(uint8_t* d, const uint8_t* s) {
  Block16 x;
  memcpy(&x, s, 16);
  memcpy(d, &x, 16);
}
// Reads n bytes exactly; writes exactly n, too.
inline void copy(uint8_t* d, const uint8_t* s, size_t n) {
  if (n >= 16) {
    if (n > 128) {
      memcpy(d, s, n);
      return;
    }
    for (size_t i = 0; i + 16 < n; i += 16) copy16(d + i, s + i);
    copy16(d + n - 16, s + n - 16);
  } else if (n >= 8) {
    uint64_t a, b;
    memcpy(&a, s, 8);
    memcpy(&b, s + n - 8, 8);
    memcpy(d, &a, 8);
    memcpy(d + n - 8, &b, 8);
  } else if (n >= 4) {
    uint32_t a, b;
    memcpy(&a, s, 4);
    memcpy(&b, s + n - 4, 4);
    memcpy(d, &a, 4);
    memcpy(d + n - 4, &b, 4);
  } else if (n) {
    uint8_t a = s[0], b = s[n / 2], c = s[n - 1];
    d[0] = a;
    d[n / 2] = b;
    d[n - 1] = c;
  }
}
// The same in whole blocks, for the sake of the branch predictor: up to 31 bytes too many are read and written. `safe`
// is the last address from which 32 bytes may be read.
inline void copy_blocks(uint8_t* d, const uint8_t* s, size_t n, const uint8_t* safe) {
  if (s + n > safe || n > 512) [[unlikely]] {
    copy(d, s, n);
    return;
  }
  size_t i = 0;
  do {
    copy16(d + i, s + i);
    copy16(d + i + 16, s + i + 16);
  } while ((i += 32) < n);
}

inline void copy_in(uint8_t* d, base::Slice s, const Around& around) {
  if (s.size <= 32 && around.holds(s.data)) [[likely]] {
    copy16(d, s.data);
    copy16(d + 16, s.data + 16);
    return;
  }
  copy(d, s.data, s.size);
}

}  // namespace zcrpc::encode
