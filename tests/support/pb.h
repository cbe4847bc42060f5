// Protobuf bytes written by hand, field by field; and descriptors made of them. For tests only.
//
//   Pb f = file("a.proto", "proto3").sub(4, message("M").sub(2, field("x", 1, kTypeInt32)));
//   std::string set = set_of({f});
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>

struct Pb {
  std::string bytes;

  void varint(uint64_t v) {
    for (; v >= 0x80; v >>= 7) bytes.push_back(char(v | 0x80));
    bytes.push_back(char(v));
  }
  Pb& num(uint32_t n, int64_t v) {
    varint(uint64_t(n) << 3);
    varint(uint64_t(v));
    return *this;
  }
  Pb& str(uint32_t n, std::string_view s) {
    varint(uint64_t(n) << 3 | 2);
    varint(s.size());
    bytes.append(s);
    return *this;
  }
  Pb& sub(uint32_t n, const Pb& p) { return str(n, p.bytes); }
};

enum { kTypeDouble = 1, kTypeFloat, kTypeInt64, kTypeUint64, kTypeInt32, kTypeFixed64, kTypeFixed32, kTypeBool, kTypeString,
       kTypeGroup, kTypeMessage, kTypeBytes, kTypeUint32, kTypeEnum, kTypeSfixed32, kTypeSfixed64, kTypeSint32, kTypeSint64 };
enum { kOptional = 1, kRequired = 2, kRepeated = 3 };

// syntax "2023" and "2024" are editions.
inline Pb file(std::string_view name, std::string_view syntax = "proto2", std::string_view package = "p") {
  Pb f;
  f.str(1, name);
  if (!package.empty()) f.str(2, package);
  if (syntax == "2023" || syntax == "2024")
    f.str(12, "editions").num(14, syntax == "2023" ? 1000 : 1001);
  else if (syntax != "proto2")
    f.str(12, syntax);
  return f;
}
inline Pb message(std::string_view name) { return Pb().str(1, name); }
inline Pb field(std::string_view name, int32_t number, int32_t type, int32_t label = kOptional) {
  return Pb().str(1, name).num(3, number).num(4, label).num(5, type);
}
inline Pb field_of(std::string_view name, int32_t number, int32_t type, std::string_view type_name, int32_t label = kOptional) {
  return field(name, number, type, label).str(6, type_name);
}
inline Pb value(std::string_view name, int32_t number) { return Pb().str(1, name).num(2, number); }
inline Pb enumeration(std::string_view name, std::initializer_list<Pb> values) {
  Pb e = Pb().str(1, name);
  for (const Pb& v : values) e.sub(2, v);
  return e;
}
// FeatureSet: presence 1, enum_type 2, repeated 3, utf8 4, message_encoding 5, json 6.
inline Pb features(std::initializer_list<std::pair<uint32_t, int>> set) {
  Pb f;
  for (auto [n, v] : set) f.num(n, v);
  return f;
}
inline std::string set_of(std::initializer_list<Pb> files) {
  Pb set;
  for (const Pb& f : files) set.sub(1, f);
  return set.bytes;
}
