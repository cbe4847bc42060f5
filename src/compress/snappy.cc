// snappy in its framed format. Both are written here: the library of that name allocates for each block, throws where
// there is no memory, and brings the C++ runtime into every process (docs/decisions/0121).
#include <algorithm>
#include <array>
#include <bit>
#include <cstdlib>
#include <cstring>
#include <new>

#include "compress/codec.h"

namespace zcrpc::compress {

namespace {

constexpr size_t kBlock = 65536;                     // of plain bytes in a chunk
constexpr size_t kPacked = 32 + kBlock + kBlock / 6;  // at most so many when compressed
constexpr size_t kHead = 4, kSum = 4;
constexpr uint8_t kBegin[] = {0xFF, 6, 0, 0, 's', 'N', 'a', 'P', 'p', 'Y'};
enum : uint8_t { kCompressed = 0x00, kPlain = 0x01, kFirstSkipped = 0x80, kIdentifier = 0xFF };

uint32_t load32(const uint8_t* p) {
  uint32_t v;
  memcpy(&v, p, 4);
  return std::endian::native == std::endian::little ? v : __builtin_bswap32(v);
}
void store32(uint8_t* p, uint32_t v) {
  for (int i = 0; i < 4; i++) p[i] = uint8_t(v >> (8 * i));
}

// ---- CRC-32C, eight bytes a step

constexpr auto kSums = [] {
  std::array<std::array<uint32_t, 256>, 8> t{};
  for (uint32_t i = 0; i < 256; i++) {
    uint32_t c = i;
    for (int k = 0; k < 8; k++) c = c & 1 ? c >> 1 ^ 0x82F63B78u : c >> 1;
    t[0][i] = c;
  }
  for (size_t n = 1; n < 8; n++)
    for (size_t i = 0; i < 256; i++) t[n][i] = t[n - 1][i] >> 8 ^ t[0][t[n - 1][i] & 255];
  return t;
}();

// Masked, as the format has it.
uint32_t sum(const uint8_t* p, size_t n) {
  uint32_t c = 0xFFFFFFFFu;
  for (; n >= 8; p += 8, n -= 8) {
    uint32_t a = c ^ load32(p), b = load32(p + 4);
    c = kSums[7][a & 255] ^ kSums[6][a >> 8 & 255] ^ kSums[5][a >> 16 & 255] ^ kSums[4][a >> 24] ^ kSums[3][b & 255] ^ kSums[2][b >> 8 & 255] ^
        kSums[1][b >> 16 & 255] ^ kSums[0][b >> 24];
  }
  for (; n; p++, n--) c = c >> 8 ^ kSums[0][(c ^ *p) & 255];
  c = ~c;
  return (c >> 15 | c << 17) + 0xA282EAD8u;
}

// ---- a block: a varint of its plain length, then literals and copies

// The plain length, at most kBlock, in out; -1: broken.
int64_t expand(const uint8_t* p, size_t n, uint8_t* out) {
  const uint8_t* end = p + n;
  size_t length = 0;
  for (int shift = 0;; shift += 7) {
    if (p == end || shift > 14) return -1;
    length |= size_t(*p & 127) << shift;
    if (*p++ < 128) break;
  }
  if (length > kBlock) return -1;
  size_t at = 0;
  while (p < end) {
    uint8_t tag = *p++;
    size_t size = 1 + size_t(tag >> 2), offset = 0, extra;
    if ((tag & 3) == 0) {
      extra = size > 60 ? size - 60 : 0;
      if (size_t(end - p) < extra) return -1;
      if (extra) {
        size = 1;
        for (size_t i = 0; i < extra; i++) size += size_t(p[i]) << (8 * i);
        p += extra;
      }
      if (size > size_t(end - p) || size > length - at) return -1;
      memcpy(out + at, p, size);
      p += size;
      at += size;
      continue;
    }
    extra = (tag & 3) == 1 ? 1 : (tag & 3) == 2 ? 2 : 4;
    if (size_t(end - p) < extra) return -1;
    for (size_t i = 0; i < extra; i++) offset |= size_t(p[i]) << (8 * i);
    p += extra;
    if (extra == 1) {
      offset |= size_t(tag >> 5) << 8;
      size = 4 + size_t(tag >> 2 & 7);
    }
    if (offset == 0 || offset > at || size > length - at) return -1;
    if (offset >= size) {
      memcpy(out + at, out + at - offset, size);
    } else {
      for (size_t i = 0; i < size; i++) out[at + i] = out[at + i - offset];
    }
    at += size;
  }
  return at == length ? int64_t(length) : -1;
}

uint8_t* put_literal(uint8_t* out, const uint8_t* p, size_t n) {
  if (n == 0) return out;
  if (n <= 60) {
    *out++ = uint8_t((n - 1) << 2);
  } else if (n <= 256) {
    *out++ = 60 << 2;
    *out++ = uint8_t(n - 1);
  } else {
    *out++ = 61 << 2;
    *out++ = uint8_t(n - 1);
    *out++ = uint8_t((n - 1) >> 8);
  }
  memcpy(out, p, n);
  return out + n;
}

uint8_t* put_copy(uint8_t* out, size_t offset, size_t n) {
  while (n > 0) {
    // Never leaves fewer than four for the last one, which the short form wants.
    size_t part = n > 67 ? 64 : n > 64 ? 60 : n;
    if (part >= 4 && part < 12 && offset < 2048) {
      *out++ = uint8_t(1 | (part - 4) << 2 | (offset >> 8) << 5);
      *out++ = uint8_t(offset);
    } else {
      *out++ = uint8_t(2 | (part - 1) << 2);
      *out++ = uint8_t(offset);
      *out++ = uint8_t(offset >> 8);
    }
    n -= part;
  }
  return out;
}

constexpr int kMostBits = 14;

// n is 1 to kBlock; table: 1 << kMostBits places. Returns how many bytes came out, at most kPacked.
size_t pack(const uint8_t* in, size_t n, uint8_t* out, uint16_t* table) {
  uint8_t* start = out;
  size_t v = n;
  for (; v >= 128; v >>= 7) *out++ = uint8_t(v | 128);
  *out++ = uint8_t(v);
  constexpr size_t kMargin = 15;  // what is behind is never searched, so that loads of four stay inside
  if (n <= kMargin + 1) return size_t(put_literal(out, in, n) - start);
  int bits = std::clamp(int(std::bit_width(n - 1)), 8, kMostBits);
  memset(table, 0, sizeof(uint16_t) << bits);
  auto place = [&](size_t at) -> uint16_t& { return table[load32(in + at) * 0x1E35A7BDu >> (32 - bits)]; };
  size_t limit = n - kMargin, emitted = 0, at = 1;
  while (at < limit) {
    // The longer nothing is found, the wider the steps.
    size_t found = 0;
    bool match = false;
    for (size_t skip = 32; at < limit; at += skip++ >> 5) {
      uint16_t& p = place(at);
      found = p;
      p = uint16_t(at);
      if ((match = load32(in + at) == load32(in + found))) break;
    }
    if (!match) break;
    out = put_literal(out, in + emitted, at - emitted);
    do {
      size_t size = 4;
      while (at + size < n && in[at + size] == in[found + size]) size++;
      out = put_copy(out, at - found, size);
      at += size;
      emitted = at;
      if (at >= limit) break;
      place(at - 1) = uint16_t(at - 1);
      uint16_t& p = place(at);
      found = p;
      p = uint16_t(at);
    } while (load32(in + at) == load32(in + found) && found < at);
    at++;
  }
  out = put_literal(out, in + emitted, n - emitted);
  return size_t(out - start);
}

// ---- the frames

struct In {
  uint8_t head[kHead];
  size_t head_size, left, have;  // of the chunk: what is still to come, what is in chunk
  size_t block_size, block_at;
  bool begun;
  uint8_t chunk[kSum + kPacked];
  uint8_t block[kBlock];
};

bool start_in(void* c, size_t) {
  auto* i = static_cast<In*>(c);
  i->head_size = i->left = i->have = i->block_size = i->block_at = 0;
  i->begun = false;
  return true;
}

void advance(Cut* cut, size_t n) {
  cut->in += n;
  cut->in_size -= n;
}

// Whether a chunk may look like this.
bool good_head(const In* i, uint8_t type, size_t size) {
  if (!i->begun && type != kIdentifier) return false;
  if (type == kIdentifier) return size == sizeof kBegin - kHead;
  if (type == kCompressed) return size > kSum && size <= kSum + kPacked;
  if (type == kPlain) return size >= kSum && size <= kSum + kBlock;
  return type >= kFirstSkipped;
}

bool whole_chunk(In* i) {
  uint8_t type = i->head[0];
  if (type == kIdentifier) return i->begun = memcmp(i->chunk, kBegin + kHead, sizeof kBegin - kHead) == 0;
  size_t n = i->have - kSum;
  if (type == kPlain) {
    memcpy(i->block, i->chunk + kSum, n);
  } else {
    int64_t r = expand(i->chunk + kSum, n, i->block);
    if (r < 0) return false;
    n = size_t(r);
  }
  i->block_size = n;
  i->block_at = 0;
  return sum(i->block, n) == load32(i->chunk);
}

Step step_in(void* c, Cut* cut) {
  auto* i = static_cast<In*>(c);
  for (;;) {
    size_t n = std::min(i->block_size - i->block_at, cut->room);
    memcpy(cut->out, i->block + i->block_at, n);
    i->block_at += n;
    cut->out += n;
    cut->room -= n;
    if (i->block_at < i->block_size) return Step::kMore;
    if (i->head_size < kHead) {
      n = std::min(kHead - i->head_size, cut->in_size);
      if (n == 0) return i->head_size == 0 && i->begun ? Step::kEnd : Step::kMore;
      memcpy(i->head + i->head_size, cut->in, n);
      i->head_size += n;
      advance(cut, n);
      if (i->head_size < kHead) continue;
      i->left = load32(i->head) >> 8;
      i->have = 0;
      if (!good_head(i, i->head[0], i->left)) return Step::kBroken;
    }
    n = std::min(i->left, cut->in_size);
    bool skipped = i->head[0] >= kFirstSkipped && i->head[0] != kIdentifier;
    if (!skipped && n) memcpy(i->chunk + i->have, cut->in, n);
    if (!skipped) i->have += n;
    i->left -= n;
    advance(cut, n);
    if (i->left) return Step::kMore;
    i->head_size = 0;
    if (!skipped && !whole_chunk(i)) return Step::kBroken;
  }
}

struct Out {
  size_t block_size, packed_size, packed_at;
  bool done;
  uint16_t table[1 << kMostBits];
  uint8_t block[kBlock];
  uint8_t packed[sizeof kBegin + kHead + kSum + kPacked];
};

bool start_out(void* c, int, size_t) {
  auto* o = static_cast<Out*>(c);
  o->block_size = o->packed_at = 0;
  o->done = false;
  memcpy(o->packed, kBegin, sizeof kBegin);
  o->packed_size = sizeof kBegin;
  return true;
}

void put_chunk(Out* o) {
  uint8_t* at = o->packed;
  size_t n = pack(o->block, o->block_size, at + kHead + kSum, o->table);
  uint8_t type = kCompressed;
  if (n >= o->block_size - o->block_size / 8) {  // not worth undoing
    type = kPlain;
    n = o->block_size;
    memcpy(at + kHead + kSum, o->block, n);
  }
  store32(at, uint32_t(n + kSum) << 8 | type);
  store32(at + kHead, sum(o->block, o->block_size));
  o->packed_size = kHead + kSum + n;
  o->packed_at = o->block_size = 0;
}

Step step_out(void* c, Cut* cut, bool last) {
  auto* o = static_cast<Out*>(c);
  for (;;) {
    size_t n = std::min(o->packed_size - o->packed_at, cut->room);
    memcpy(cut->out, o->packed + o->packed_at, n);
    o->packed_at += n;
    cut->out += n;
    cut->room -= n;
    if (o->packed_at < o->packed_size) return Step::kMore;
    if (o->done) return Step::kEnd;
    n = std::min(kBlock - o->block_size, cut->in_size);
    if (n) memcpy(o->block + o->block_size, cut->in, n);
    o->block_size += n;
    advance(cut, n);
    bool end = last && cut->in_size == 0;
    if (o->block_size < kBlock && !end) return Step::kMore;
    if (o->block_size) put_chunk(o);
    o->done = end;
  }
}

template <class T>
void* open() { return std::malloc(sizeof(T)); }
void close(void* c) { std::free(c); }

}  // namespace

const Codec kSnappyCodec = {
    open<In>, close, start_in, step_in,
    [](void*, uint8_t) { return true; },  // chunks follow one another
    [](void*) { return sizeof(In); },
    open<Out>, close, start_out, step_out,
    [](void*) { return sizeof(Out); },
    [](size_t) { return sizeof(In); },
};

}  // namespace zcrpc::compress
