#include "base/hash.h"

#include <sys/auxv.h>

#include <bit>
#include <cstring>

namespace zcrpc::base {
namespace {

struct State {
  uint64_t a, b, c, d;
  void round() {
    a += b; b = std::rotl(b, 13); b ^= a; a = std::rotl(a, 32);
    c += d; d = std::rotl(d, 16); d ^= c;
    a += d; d = std::rotl(d, 21); d ^= a;
    c += b; b = std::rotl(b, 17); b ^= c; c = std::rotl(c, 32);
  }
  void word(uint64_t w) {
    d ^= w;
    round();
    a ^= w;
  }
};

}  // namespace

HashKey process_hash_key() {
  HashKey k{uint64_t(reinterpret_cast<uintptr_t>(&k)), uint64_t(reinterpret_cast<uintptr_t>(&process_hash_key))};
  if (auto* r = reinterpret_cast<const void*>(getauxval(AT_RANDOM))) memcpy(&k, r, sizeof k);
  return k;
}

uint64_t siphash(HashKey key, const void* data, size_t size) {
  State s{key.k0 ^ 0x736f6d6570736575u, key.k1 ^ 0x646f72616e646f6du, key.k0 ^ 0x6c7967656e657261u, key.k1 ^ 0x7465646279746573u};
  auto* p = static_cast<const uint8_t*>(data);
  size_t n = size;
  for (; n >= 8; n -= 8, p += 8) {
    uint64_t w;
    memcpy(&w, p, 8);
    s.word(w);
  }
  uint64_t last = uint64_t(size) << 56;
  for (size_t i = 0; i < n; i++) last |= uint64_t(p[i]) << (8 * i);
  s.word(last);
  s.c ^= 0xff;
  s.round(); s.round(); s.round();
  return s.a ^ s.b ^ s.c ^ s.d;
}

}  // namespace zcrpc::base
