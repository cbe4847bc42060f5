// Editions: feature sets, their defaults, and how a child's settings go over its parent's.
#pragma once

#include <cstdint>

namespace zcrpc::schema {

// Values are FeatureSet's in descriptor.proto; 0 is "not said here".
struct Features {
  uint8_t presence = 0, enum_type = 0, repeated = 0, utf8 = 0, message = 0, json = 0;

  enum : uint8_t { kExplicit = 1, kImplicit = 2, kLegacyRequired = 3 };
  enum : uint8_t { kOpen = 1, kClosed = 2 };
  enum : uint8_t { kPacked = 1, kExpanded = 2 };
  enum : uint8_t { kVerify = 2, kNone = 3 };
  enum : uint8_t { kLengthPrefixed = 1, kDelimited = 2 };
  enum : uint8_t { kAllow = 1, kLegacyBestEffort = 2 };

  bool any() const { return presence | enum_type | repeated | utf8 | message | json; }
};

enum : int32_t { kEditionProto2 = 998, kEditionProto3 = 999, kEdition2023 = 1000, kEdition2024 = 1001 };

constexpr bool known_edition(int32_t e) { return e >= kEditionProto2 && e <= kEdition2024; }

constexpr Features edition_defaults(int32_t edition) {
  using F = Features;
  if (edition == kEditionProto2) return {F::kExplicit, F::kClosed, F::kExpanded, F::kNone, F::kLengthPrefixed, F::kLegacyBestEffort};
  if (edition == kEditionProto3) return {F::kImplicit, F::kOpen, F::kPacked, F::kVerify, F::kLengthPrefixed, F::kAllow};
  return {F::kExplicit, F::kOpen, F::kPacked, F::kVerify, F::kLengthPrefixed, F::kAllow};
}

// What holds for a child that says `own` under a parent for which `parent` holds.
constexpr Features over(const Features& parent, const Features& own) {
  auto pick = [](uint8_t p, uint8_t o) { return o ? o : p; };
  return {pick(parent.presence, own.presence), pick(parent.enum_type, own.enum_type), pick(parent.repeated, own.repeated),
          pick(parent.utf8, own.utf8),         pick(parent.message, own.message),     pick(parent.json, own.json)};
}

}  // namespace zcrpc::schema
