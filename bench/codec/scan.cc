// bench/codec: the floor. Walks every field of a log batch, tags and lengths, and stores nothing.
#include "harness.h"

using namespace harness;

namespace {

const uint8_t* number(const uint8_t* p, uint64_t* v) {
  uint64_t n = *p++;
  if (n >= 128) {
    n &= 127;
    for (int shift = 7;; shift += 7) {
      const uint64_t b = *p++;
      n |= (b & 127) << shift;
      if (b < 128) break;
    }
  }
  *v = n;
  return p;
}

// The messages of shapes.proto within a batch: which fields hold another one.
enum Level { kBatch, kRecord, kLeaf };

template <Level level>
uint64_t scan(const uint8_t* p, const uint8_t* end) {
  uint64_t count = 0;
  while (p < end) {
    uint64_t tag, n;
    p = number(p, &tag);
    p = number(p, &n);
    count++;
    if ((tag & 7) == 0) continue;
    if constexpr (level == kBatch) count += scan<kRecord>(p, p + n);
    if constexpr (level == kRecord)
      if (tag >> 3 == 6 || tag >> 3 == 9) count += scan<kLeaf>(p, p + n);
    p += n;
  }
  return count;
}

}  // namespace

int main(int argc, char** argv) {
  begin(argc, argv);
  for (const char* name : {"logbatch", "logvar", "logmixed"}) {
    const Set set = load(name);
    race("scan", set.name + ": decode", set.payloads, 1, [&](size_t i) {
      auto* p = reinterpret_cast<const uint8_t*>(set.payloads[i].data());
      return scan<kBatch>(p, p + set.payloads[i].size());
    });
  }
  return 0;
}
