// What a schema declares, as it was written: a tree of files, messages, fields and so on, in the order of the source, each
// with its piece of descriptor. Options, reserved numbers and comments are read from there when they are asked for.
#pragma once

#include "base/vec.h"
#include "schema/schema.h"

namespace zcrpc::schema {

struct Declaration {
  // The numbers are zcrpc.h's.
  enum Kind : uint8_t { kFile = 1, kMessage, kField, kExtension, kOneof, kEnum, kValue, kService, kMethod, kRange };

  const Schema* schema;
  std::string_view name;  // full; of a method "pkg.Service/Method"; of a file its own; of an extension range ""
  base::Slice bytes;      // its descriptor, in File::bytes
  const void* what;       // File, Message, Field, Oneof, Enum, EnumValue, Service, Method by kind; of a range nullptr
  uint32_t parent;        // place in Schema::declarations; of a file its own place
  uint32_t end;           // the place behind all that is declared in it
  uint32_t place;         // among its parent's of one list of the descriptor
  Kind kind;

  uint32_t index() const { return uint32_t(this - schema->declarations.data()); }
  const Declaration* up() const { return kind == kFile ? nullptr : &schema->declarations[parent]; }
  const Declaration* first() const { return end > index() + 1 ? this + 1 : nullptr; }
  const Declaration* next() const {  // sibling
    if (kind == kFile) return end < schema->declarations.size() ? &schema->declarations[end] : nullptr;
    return end < schema->declarations[parent].end ? &schema->declarations[end] : nullptr;
  }
  const File* file() const;
};

// By full name as in Declaration; of a method also "pkg.Service.Method" and with a slash before it. nullptr: none.
const Declaration* find_declaration(const Schema* s, std::string_view name);

// "google.protobuf.FieldDescriptorProto", "google.protobuf.FieldOptions".
const char* descriptor_type(Declaration::Kind k);
const char* options_type(Declaration::Kind k);
// Its options, encoded: in place, or, if they came in several pieces, joined in `scratch`. Empty: none.
base::Result<base::Slice> options_of(const Declaration& d, base::Arena* scratch);
bool deprecated(const Declaration& d);

// First and last number of an extension range.
void range_of(const Declaration& d, int32_t* first, int32_t* last);

// What a message or enum reserves, in order: first ranges, then names. Both ends are included.
struct Reserved {
  int32_t first, last;
  base::Slice name;  // of a reserved name; else empty
};
bool reserved_at(const Declaration& d, size_t i, Reserved* out);
bool reserves_number(const Declaration& d, int32_t number);
bool reserves_name(const Declaration& d, std::string_view name);

// Comments, if the descriptors have source info: 0 the one before it, 1 the one behind it, from 2 on those that stand
// apart above it. False: there is none.
bool comment_at(const Declaration& d, size_t i, base::Slice* out);

}  // namespace zcrpc::schema
