// Hashes: a keyed one for tables whose keys a peer chooses (SipHash-1-3), and a fixed one for fingerprints (FNV-1a, 64 bits).
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace zcrpc::base {

struct HashKey {
  uint64_t k0, k1;
};
// 16 random bytes that the kernel gave this process at exec (AT_RANDOM); where there are none, addresses.
HashKey process_hash_key();
uint64_t siphash(HashKey key, const void* data, size_t size);

inline constexpr uint64_t kFnvStart = 0xcbf29ce484222325u;
constexpr uint64_t fnv1a(std::string_view s, uint64_t h = kFnvStart) {
  for (char c : s) h = (h ^ uint8_t(c)) * 0x100000001b3u;
  return h;
}

}  // namespace zcrpc::base
