// A FileDescriptorProto as it was written, before anything is resolved: views into its bytes, in scratch memory.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "base/arena.h"
#include "base/slice.h"
#include "base/status.h"
#include "base/vec.h"
#include "schema/features.h"
#include "schema/schema.h"

namespace zcrpc::schema {

enum : int32_t { kLabelOptional = 1, kLabelRequired = 2, kLabelRepeated = 3 };

struct FieldDecl {
  std::string_view name, extendee, type_name, default_value, json_name;
  int32_t number = 0;
  int32_t label = kLabelOptional;
  int32_t type = 0;
  int32_t oneof_index = 0;
  bool has_extendee = false, has_default = false, has_json_name = false, has_oneof = false;
  bool proto3_optional = false;
  bool has_packed = false, packed = false;
  bool debug_redact = false;
  Features features;   // as written
  Features resolved;
  Field* field = nullptr;
  base::Slice bytes;
};

struct OneofDecl {
  std::string_view name;
  Features features, resolved;
  uint32_t members = 0;
  bool synthetic = false;
  Oneof* oneof = nullptr;
  base::Slice bytes;
};

struct RangeDecl {
  int32_t start = 0, end = 0;  // end as written: excluded for messages, included for enums
  base::Slice bytes;
};

struct EnumValueDecl {
  std::string_view name;
  int32_t number = 0;
  base::Slice bytes;
};

struct EnumDecl {
  std::string_view name;
  std::span<EnumValueDecl> values;
  std::span<RangeDecl> reserved;
  std::span<std::string_view> reserved_names;
  bool allow_alias = false;
  Features features, resolved;
  Enum* made = nullptr;
  base::Slice bytes;
};

struct MessageDecl {
  std::string_view name;
  std::span<FieldDecl> fields, extensions;
  std::span<MessageDecl> nested;
  std::span<EnumDecl> enums;
  std::span<OneofDecl> oneofs;
  std::span<RangeDecl> extension_ranges, reserved;
  std::span<std::string_view> reserved_names;
  bool message_set = false, map_entry = false, legacy_json = false;
  Features features, resolved;
  Message* made = nullptr;
  base::Slice bytes;
};

struct MethodDecl {
  std::string_view name, input, output;
  bool client_stream = false, server_stream = false;
  int32_t idempotency = 0;
  base::Slice bytes;
};

struct ServiceDecl {
  std::string_view name;
  std::span<MethodDecl> methods;
  Service* made = nullptr;
  base::Slice bytes;
};

struct FileDecl {
  std::string_view name, package, syntax;
  int32_t edition = 0;  // as written; resolved by the builder
  std::span<std::string_view> dependencies;
  std::span<MessageDecl> messages;
  std::span<EnumDecl> enums;
  std::span<ServiceDecl> services;
  std::span<FieldDecl> extensions;
  Features features, resolved;
  base::Slice bytes;
  File* made = nullptr;
  uint8_t visit = 0;  // while imports are walked

  bool legacy() const { return edition < kEdition2023; }
};

// Reads one FileDescriptorProto into scratch, which may grow to `limit` bytes. `start` is where offsets in errors count from.
base::Status parse_file(base::Slice bytes, const uint8_t* start, base::Arena* scratch, size_t limit, FileDecl* out);

// The FileDescriptorProtos of a set, in order.
base::Status split_set(base::Slice set, base::Vec<base::Slice>* files);

}  // namespace zcrpc::schema
