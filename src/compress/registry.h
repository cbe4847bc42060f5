// Which codings there are: those of the build, in the order in which we list them, and behind them the application's own.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/status.h"

namespace zcrpc::compress {

// Places in a registry; a set of codings is a mask of 1 << place. The build's have their place whether it has them or not.
enum class Coding : uint8_t { kIdentity = 0, kGzip = 1, kZstd = 2, kBr = 3, kSnappy = 4, kDeflate = 5, kUnknown = 255 };
inline constexpr int kBuiltIn = 6;  // places; the application's follow
inline constexpr int kMostOwn = 8;
inline constexpr int kPlaces = kBuiltIn + kMostOwn;
constexpr uint32_t bit(Coding c) { return c == Coding::kUnknown ? 0 : 1u << uint32_t(c); }

// The application's: whole messages at once. Both write at most cap bytes and return how many; -1: broken, -2: does not fit.
struct Own {
  int64_t (*compress)(const void* in, size_t size, void* out, size_t cap, void* user) = nullptr;
  int64_t (*expand)(const void* in, size_t size, void* out, size_t cap, void* user) = nullptr;
  void* user = nullptr;
};

// A value; the texts lie in it.
class Registry {
 public:
  static constexpr size_t kMostName = 32;

  Registry();  // those of the build
  struct Build {};
  constexpr explicit Registry(Build);  // registry.cc
  // invalid_argument: not a name of a-z 0-9 - _ . (at most 32), one that is there already, or no functions;
  // resource_exhausted: there are 8.
  base::Status add(std::string_view name, const Own& own);
  // Case does not matter. "" is identity; what is not there is kUnknown.
  Coding find(std::string_view name) const;
  std::string_view name(Coding c) const;
  const Own* own(Coding c) const { return uint8_t(c) >= kBuiltIn && uint8_t(c) < kBuiltIn + count_ ? &own_[uint8_t(c) - kBuiltIn] : nullptr; }
  // All but identity, by comma, as accept-encoding lists them.
  std::string_view list() const { return {text_ + kBefore.size(), list_size_}; }
  // What to tell a peer whose coding is not there: it names those that are.
  const char* unknown_text() const { return text_; }

 private:
  static constexpr std::string_view kBefore = "unknown compression: supported are ", kBehind = " and identity";
  static constexpr size_t kText = kBefore.size() + kBehind.size() + (kPlaces - 1) * (kMostName + 2) + 1;
  constexpr std::string_view own_name(int i) const { return {names_[i], name_sizes_[i]}; }
  constexpr void write();

  char names_[kMostOwn][kMostName] = {};
  uint8_t name_sizes_[kMostOwn] = {};
  Own own_[kMostOwn] = {};
  int count_ = 0;
  size_t list_size_ = 0;
  char text_[kText] = {};
};

extern const Registry kRegistry;  // of the build alone

// Which codings answers may have.
struct Preference {
  Coding order[kPlaces] = {};
  uint8_t count = 0;
  bool any = false;  // whichever the client names first
  // accepted: mask of what the client takes; its first: the one that it named first.
  Coding choose(uint32_t accepted, Coding its_first) const;
};
// "zstd, gzip", or "*"; identity is passed over. invalid_argument with the name that is not there.
base::Status read_preference(std::string_view list, const Registry& registry, Preference* out);

}  // namespace zcrpc::compress
