// Which kinds of fields may take each other's place, and how they are called. For diff.cc.
#pragma once

#include "schema/diff.h"

namespace zcrpc::schema {

inline const char* kind_name(Kind k) {
  constexpr const char* kNames[] = {"", "double", "float", "int64", "uint64", "int32", "fixed64", "fixed32", "bool", "string", "delimited message",
                                    "message", "bytes", "uint32", "enum", "sfixed32", "sfixed64", "sint32", "sint64"};
  return kNames[int(k)];
}
inline const char* shape_name(const Field& f) { return f.is_map() ? "a map" : f.repeated() ? "repeated" : "singular"; }
inline const char* stream_name(uint32_t flags) {
  constexpr const char* kNames[] = {"unary", "client streaming", "server streaming", "bidirectional"};
  return kNames[flags & (kClientStream | kServerStream)];
}

// How much it breaks that a field of kind f.kind became one of g.kind. Kinds of one wire group read each other's bytes;
// of these, some have the same JSON: 32-bit numbers, 64-bit ones (which are strings).
inline Breaks kinds_break(const Field& f, const Field& g) {
  constexpr uint8_t kWireGroup[] = {0, 1, 2, 3, 3, 3, 4, 5, 3, 6, 7, 8, 6, 3, 3, 5, 4, 9, 9};
  constexpr uint8_t kJsonGroup[] = {0, 1, 1, 2, 2, 3, 2, 3, 4, 5, 6, 6, 7, 3, 8, 3, 2, 3, 2};
  static_assert(sizeof kWireGroup == size_t(Kind::kSint64) + 1 && sizeof kJsonGroup == sizeof kWireGroup);
  if (kWireGroup[int(f.kind)] != kWireGroup[int(g.kind)]) return Breaks::kWire;
  if (g.kind == Kind::kEnum && g.closed_enum) return Breaks::kWire;    // numbers that it does not know are lost
  if (g.kind == Kind::kString && g.utf8) return Breaks::kWire;         // bytes that are no text are refused
  return kJsonGroup[int(f.kind)] == kJsonGroup[int(g.kind)] ? Breaks::kSource : Breaks::kJson;
}

}  // namespace zcrpc::schema
