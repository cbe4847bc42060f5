// Message types at run time: read from FileDescriptorSet bytes, resolved, laid out, immutable, counted.
// Everything a schema consists of lies in its one arena. Names are zero-terminated views into it.
#pragma once

#include <atomic>
#include <cstdint>
#include <span>
#include <string_view>

#include <zcrpc/layout.h>

#include "base/arena.h"
#include "base/slice.h"
#include "base/status.h"
#include "wire/wire.h"

namespace zcrpc::schema {

// descriptor.proto's FieldDescriptorProto.Type.
enum class Kind : uint8_t {
  kDouble = 1, kFloat, kInt64, kUint64, kInt32, kFixed64, kFixed32, kBool, kString, kGroup, kMessage, kBytes, kUint32,
  kEnum, kSfixed32, kSfixed64, kSint32, kSint64,
};
enum class Shape : uint8_t { kSingular = ZCRPC_SHAPE_SINGULAR, kRepeated = ZCRPC_SHAPE_REPEATED, kMap = ZCRPC_SHAPE_MAP };

constexpr bool is_message(Kind k) { return k == Kind::kMessage || k == Kind::kGroup; }
constexpr bool is_string(Kind k) { return k == Kind::kString || k == Kind::kBytes; }
constexpr bool is_packable(Kind k) { return !is_message(k) && !is_string(k); }
constexpr wire::Type wire_type(Kind k) {
  switch (k) {
    case Kind::kDouble: case Kind::kFixed64: case Kind::kSfixed64: return wire::Type::kFixed64;
    case Kind::kFloat: case Kind::kFixed32: case Kind::kSfixed32: return wire::Type::kFixed32;
    case Kind::kString: case Kind::kBytes: case Kind::kMessage: return wire::Type::kLength;
    case Kind::kGroup: return wire::Type::kStartGroup;
    default: return wire::Type::kVarint;
  }
}
// Bytes of one value in a slot or an array of the index: 1, 4 or 8 (messages 4: an offset; strings 8: zcrpc_str).
constexpr uint32_t slot_width(Kind k) {
  switch (k) {
    case Kind::kBool: return 1;
    case Kind::kFloat: case Kind::kInt32: case Kind::kFixed32: case Kind::kUint32: case Kind::kEnum: case Kind::kSfixed32:
    case Kind::kSint32: case Kind::kMessage: case Kind::kGroup: return 4;
    default: return 8;
  }
}

// Well-known types with JSON forms of their own.
enum class WellKnown : uint8_t {
  kNone, kAny, kTimestamp, kDuration, kFieldMask, kStruct, kValue, kListValue, kNullValue /* an enum */, kDoubleValue,
  kFloatValue, kInt64Value, kUInt64Value, kInt32Value, kUInt32Value, kBoolValue, kStringValue, kBytesValue, kEmpty,
};

struct Schema;
struct Message;
struct Enum;
struct Oneof;
struct Declaration;  // declaration.h

struct EnumValue {
  std::string_view name;
  int32_t number;
};

struct Enum {
  const Schema* schema;
  std::string_view name;                     // full
  bool closed;
  WellKnown well_known;                      // kNullValue or kNone
  std::span<const EnumValue> values;         // as declared; the first is the default
  const EnumValue* by_number(int32_t n) const;           // the first of aliases; nullptr: none
  const EnumValue* by_name(std::string_view s) const;    // short name
  bool has(int32_t n) const { return by_number(n) != nullptr; }
  // look-up tables
  std::span<const uint32_t> number_order;    // indexes into values, ascending by number, first alias only
  std::span<const uint32_t> name_order;      // ascending by name
  uint32_t declaration;                      // place in Schema::declarations
};

struct Field {
  uint32_t number;
  Kind kind;
  Shape shape;
  bool presence;        // singular, explicit: absent differs from default
  bool required;
  bool packed;          // written packed
  bool extension;
  bool utf8;            // a string that must be UTF-8
  bool closed_enum;
  bool debug_redact;
  std::string_view name, json_name, full_name;
  std::string_view json_key;   // "jsonName": with its quotes and colon, in whole blocks of 16 bytes; empty: it needs escapes
  const Message* parent;       // the message it belongs to; of an extension: the extendee
  const Message* message;      // of a message, group or map entry
  const Enum* enumeration;
  const Oneof* oneof;          // nullptr: in none (synthetic ones do not count)
  uint64_t default_bits;       // of a number: native value, zero-extended 32 bits for 32-bit kinds and float, 0/1 for bool
  base::Slice default_bytes;   // of string and bytes
  // Layout 1, see docs/layout.md
  uint32_t index;              // place in Message::fields; of an extension: in Message::extensions of its extendee
  uint32_t offset;             // of its slot; sparse: 0
  uint32_t case_offset;        // of the oneof's case word; 0: none
  uint32_t stride;             // repeated and map: bytes an element
  uint16_t bit;                // presence bit; ZCRPC_NO_BIT
  uint32_t declaration;        // place in Schema::declarations
  bool is_map() const { return shape == Shape::kMap; }
  bool repeated() const { return shape != Shape::kSingular; }
  uint32_t tag() const { return wire::tag(number, packed ? wire::Type::kLength : wire_type(kind)); }  // as written
  // Map fields: the entry's key and value.
  const Field* map_key() const;
  const Field* map_value() const;
};

struct Oneof {
  std::string_view name;
  const Message* parent;
  std::span<const Field* const> fields;  // ascending by number
  uint32_t case_offset, value_offset;  // sparse: 0
};

struct Range {
  uint32_t start, end;  // end excluded
};

struct Message {
  const Schema* schema;
  std::string_view name;                // full
  uint32_t type_no;                     // place in Schema::messages
  uint32_t declaration;                 // place in Schema::declarations
  bool map_entry;
  bool message_set;
  bool reaches_required;                // has a required field, or can hold a message that does
  bool sparse;                          // stored packed: presence bitmap, then present 8-byte slots only
  WellKnown well_known;
  std::span<const Field> fields;        // ascending by number; extensions not among them
  std::span<const Oneof> oneofs;        // declared ones
  std::span<const Range> extension_ranges;
  std::span<const std::string_view> reserved_names;  // as declared
  std::span<const Field* const> extensions;  // of this message, known to this schema, ascending by number
  uint64_t fingerprint;
  // Layout 1
  uint32_t size;                        // plain: whole size, head included; map entry: entry's; sparse: of head and bitmap
  uint32_t presence_words;              // u32 words, the one in the head included (map entry: 0)
  uint32_t extension_slot;              // offset of the zcrpc_run of extensions; 0: not extendable, or sparse: then it
                                        // is bit fields.size()
  // Bound by view::bind, opaque here.
  const void* decoder;
  // look-up tables
  std::span<const uint16_t> dense;      // field number -> index + 1, for numbers below dense.size()
  std::span<const uint32_t> names;      // open-addressed: hash of proto or JSON name -> see find_name

  bool extendable() const { return message_set || !extension_ranges.empty(); }
  const Field* by_number(uint32_t n) const {
    if (n < dense.size()) return dense[n] ? &fields[dense[n] - 1u] : nullptr;
    return by_number_slow(n);
  }
  const Field* by_number_slow(uint32_t n) const;
  const Field* by_name(std::string_view s) const;        // proto or JSON name
  const Field* by_proto_name(std::string_view s) const;
  const Field* extension(uint32_t n) const;
  bool in_extension_range(uint32_t n) const;
};
inline const Field* Field::map_key() const { return &message->fields[0]; }
inline const Field* Field::map_value() const { return &message->fields[1]; }

enum : uint32_t { kClientStream = 1, kServerStream = 2, kNoSideEffects = 4, kIdempotent = 8 };

struct Method {
  const Schema* schema;
  std::string_view path;                // "/pkg.Service/Method"
  std::string_view service, name;       // full service name, short method name
  uint32_t flags;
  uint32_t declaration;                 // place in Schema::declarations
  const Message* input;
  const Message* output;
};

struct Service {
  std::string_view name;                // full
  std::span<const Method> methods;
};

struct File {
  std::string_view name, package;
  std::span<const Message* const> messages;   // top level and nested, in order of declaration (depth first, parents first)
  std::span<const Enum* const> enums;         // top level first, then those of messages in the same order
  std::span<const Service* const> services;
  base::Slice bytes;                          // the FileDescriptorProto, copied into the schema
  uint32_t declaration;                       // place in Schema::declarations
};

struct Schema {
  mutable std::atomic<uint32_t> refs{1};
  base::Arena arena;
  std::span<Message* const> messages;
  std::span<const Enum* const> enums;
  std::span<const Service> services;
  std::span<const Method* const> methods;
  std::span<const File> files;
  std::span<const Field* const> all_extensions;
  std::span<const Declaration> declarations;  // all that was declared, what is in something behind it

  // By full name without a leading dot; a method by "pkg.Service/Method", a slash before it allowed. nullptr: none.
  const Message* message(std::string_view name) const;
  const Enum* enumeration(std::string_view name) const;
  const Method* method(std::string_view path) const;
  const Field* extension(std::string_view full_name) const;
  const File* file(std::string_view name) const;

  const Schema* retain() const {
    refs.fetch_add(1, std::memory_order_relaxed);
    return this;
  }
  void release() const;
  struct Symbols;
  const Symbols* symbols = nullptr;
};

struct Options {
  // Well-known types (google/protobuf/*.proto that JSON knows) that an import names and the set lacks are supplied.
  bool supply_well_known = true;
};

// Reads FileDescriptorSet bytes and checks all of it; nothing is left behind on failure. Errors are invalid_argument
// with the file and the symbol in the message ("echo.proto: echo.v1.EchoRequest.text: field number 0"), and the
// byte offset where the descriptor itself is broken. decoder pointers are still null: view::bind fills them.
base::Result<Schema*> read(base::Slice file_descriptor_set, const Options& options);
// The same for FileDescriptorProtos that lie apart (generated code), in any order.
base::Result<Schema*> read_files(std::span<const base::Slice> files, const Options& options);

// The FileDescriptorProto of a well-known file by its name ("google/protobuf/any.proto"); empty: none.
base::Slice well_known_file(std::string_view name);

}  // namespace zcrpc::schema
