// What the decoder runs on: for each message type one Table, made by bind() from the schema. The first 32 entries are
// reached straight from a tag's first byte; everything else goes by field number.
#pragma once

#include <cstdint>

#include <zcrpc/decode.h>

#include "schema/schema.h"

namespace zcrpc::view {

struct Table;
struct Dispatcher;

// The operations that have a fast body in ops.h. What has none, or does not fit at a given moment, is Slow: one careful
// function (slow.cc) that knows every case.
#define ZCRPC_VIEW_OPS(X)                                                                                       \
  X(V64) X(V32) X(S64) X(S32) X(Bool) X(Enum) X(F64) X(F32) X(String) X(Bytes) X(Message)                       \
  X(OneofV64) X(OneofV32) X(OneofBool) X(OneofF64) X(OneofF32) X(OneofString) X(OneofBytes) X(OneofMessage)     \
  X(Strings) X(BytesList) X(Messages) X(Borrow64) X(Borrow32)                                                   \
  X(PackedV64) X(PackedV32) X(PackedS64) X(PackedS32) X(PackedBool) X(ListV64) X(ListV32) X(MapStrings) X(MapStringBytes) X(MapBytes)

// Those whose run may leave duplicates to settle_map().
#define ZCRPC_VIEW_IS_MAP(op) ((op) == Op::kMapStrings || (op) == Op::kMapStringBytes || (op) == Op::kMapBytes)

enum class Op : uint8_t {
  kSlow,
#define X(name) k##name,
  ZCRPC_VIEW_OPS(X)
#undef X
  kSkip,   // of projections: any field that is not named, and those of its kind that follow
  kCount
};

inline constexpr uint8_t kNoBit = 63;  // of the 64 presence bits that the fast path holds in a register

struct Entry {
  const void* handler;      // of the table's dispatcher; the computed goto goes by op instead
  union {
    const Table* sub;       // messages, groups, map entries
    uint64_t members;       // Op::kEnum: bit n says that the closed enum has the number n
  };
  uint32_t offset;          // of the slot, in the message, in a sparse type's frame, or in a map entry
  uint32_t number;
  uint16_t tag;             // one or two bytes as they stand on the wire (little-endian); 0: longer, never fast
  uint16_t case_offset;     // of the oneof's case word
  uint16_t index;           // of the field in its message, or among the message's extensions
  uint8_t bit;
  Op op;

  unsigned tag_length() const { return tag > 0xFF ? 2 : 1; }
};
static_assert(sizeof(Entry) == 32);

struct Table {
  Entry fast[32];               // by (first byte of the tag) >> 3: numbers 1 to 15, then two-byte tags by their low bits
  uint32_t size;                // of a message when it is opened: itself, or the frame of a sparse one
  uint32_t type_no;
  uint32_t extension_offset;    // of the run of extensions; 0: none
  bool sparse, entry;           // entry: a map entry, which has no head
  bool projected;               // fields that are not named, unknown ones among them, leave no trace
  uint32_t skipped;             // projected: places of `fast` that no named field's tag leads to
  const uint8_t* skips;         // projected: by the first byte of a tag, whether the field may be skipped, and how
  const schema::Message* message;
  const Entry* entries;         // by field index; projected: those named, extensions among them, ascending by number
  const Entry* extensions;      // by place in message->extensions
  const uint16_t* dense;        // as Message::dense, into entries
  uint32_t dense_size;
  uint32_t count;               // projected: of entries
  const Dispatcher* dispatcher;
  const zcrpc_decode_type* straight;  // decoders of generated code; nullptr: its file has none

  const schema::Field& field(const Entry* e) const { return message->fields[e->index]; }
};

// In Table::skips. Groups and what is no tag at all are never skipped here.
enum Skip : uint8_t {
  kSkipNever,
  kSkipOther,   // a tag of two bytes, or fixed width
  kSkipLength,
  kSkipNumber,  // a varint
};

struct Context;

// One way to run the ops: which instruction set, and how control goes from field to field.
struct Dispatcher {
  const char* name;
  // Runs c->walk until the root is complete (true), or until slow code has told a fault (false).
  bool (*run)(Context* c);
  const void* (*handler)(Op op, unsigned tag_length);
  const void* (*miss)();  // handler of an entry that no field has taken
  // A packed run, whole, for decoders of generated code (ops.h). False: slow code must do it.
  bool (*packed)(Context* c, Op op, uint8_t* slot, const uint8_t* p, uint32_t n, const uint8_t* near);
};

extern const Dispatcher kGoto;
// All that this build holds, the best first; the last one always works.
const Dispatcher* const* dispatchers();  // ended by nullptr
bool usable(const Dispatcher* d);          // on this machine
const Dispatcher* best_dispatcher();
base::Status bind_to(schema::Schema* s, const Dispatcher* d);

}  // namespace zcrpc::view
