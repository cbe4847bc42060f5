// gzip and deflate, which on the web is zlib's format.
#include <zlib.h>

#include <algorithm>
#include <cstdlib>

#include "compress/codec.h"

namespace zcrpc::compress {

namespace {

constexpr int kGzip = 15 + 16, kZlib = 15;  // the largest window, in gzip's framing or zlib's
// What zlib's manual says of its memory: windowBits 15, memLevel 8.
constexpr size_t kInSize = (32 << 10) + 8192, kOutSize = (128 << 10) + (128 << 10) + 8192;

struct Out {
  z_stream z;
  int level;
  bool made;  // z and its level are
};

// Most that zlib takes at once.
uInt portion(size_t n) { return uInt(std::min<size_t>(n, 1u << 30)); }

void give(z_stream* z, Cut* cut, uInt* in, uInt* out) {
  *in = portion(cut->in_size);
  *out = portion(cut->room);
  z->next_in = const_cast<Bytef*>(cut->in);
  z->avail_in = *in;
  z->next_out = cut->out;
  z->avail_out = *out;
}
void take(z_stream* z, Cut* cut, uInt in, uInt out) {
  size_t read = in - z->avail_in, written = out - z->avail_out;
  cut->in += read;
  cut->in_size -= read;
  cut->out += written;
  cut->room -= written;
}

template <int kWindow>
void* open_in() {
  auto* z = static_cast<z_stream*>(std::calloc(1, sizeof(z_stream)));
  if (!z) return nullptr;
  if (inflateInit2(z, kWindow) == Z_OK) return z;
  std::free(z);
  return nullptr;
}
void close_in(void* c) {
  inflateEnd(static_cast<z_stream*>(c));
  std::free(c);
}
bool start_in(void* c, size_t) { return inflateReset(static_cast<z_stream*>(c)) == Z_OK; }

Step step_in(void* c, Cut* cut) {
  auto* z = static_cast<z_stream*>(c);
  uInt in, out;
  int r;
  do {
    give(z, cut, &in, &out);
    r = inflate(z, Z_NO_FLUSH);
    take(z, cut, in, out);
  } while (r == Z_OK && z->avail_out == 0 && cut->room);  // a portion is not all
  if (r == Z_STREAM_END) return Step::kEnd;
  if (r == Z_OK || (r == Z_BUF_ERROR && cut->in_size == 0)) return Step::kMore;
  return r == Z_MEM_ERROR ? Step::kNoMemory : Step::kBroken;
}

// Gzip may be several members in a row.
bool member(void* c, uint8_t next) { return next == 0x1F && inflateReset(static_cast<z_stream*>(c)) == Z_OK; }

void* open_out() { return std::calloc(1, sizeof(Out)); }
void close_out(void* c) {
  if (static_cast<Out*>(c)->made) deflateEnd(&static_cast<Out*>(c)->z);
  std::free(c);
}

// Another level is another state: deflateParams up to zlib 1.2.11 writes to where the last message ended, even behind a
// deflateReset, and that memory has gone.
template <int kWindow>
bool start_out(void* c, int level, size_t) {
  auto* o = static_cast<Out*>(c);
  int zlevel = level <= 0 ? Z_DEFAULT_COMPRESSION : std::min(level, 9);
  if (o->made && o->level == zlevel) return deflateReset(&o->z) == Z_OK;
  if (o->made) deflateEnd(&o->z);
  o->level = zlevel;
  return o->made = deflateInit2(&o->z, zlevel, Z_DEFLATED, kWindow, 8, Z_DEFAULT_STRATEGY) == Z_OK;
}

Step step_out(void* c, Cut* cut, bool last) {
  z_stream* z = &static_cast<Out*>(c)->z;
  uInt in, out;
  give(z, cut, &in, &out);
  int r = deflate(z, last && cut->in_size == in ? Z_FINISH : Z_NO_FLUSH);
  take(z, cut, in, out);
  return r == Z_STREAM_END ? Step::kEnd : r == Z_OK || r == Z_BUF_ERROR ? Step::kMore : Step::kBroken;
}

}  // namespace

const Codec kGzipCodec = {
    open_in<kGzip>, close_in, start_in, step_in, member, [](void*) { return kInSize; },
    open_out, close_out, start_out<kGzip>, step_out, [](void*) { return kOutSize; },
    [](size_t) { return kInSize; },
};
const Codec kDeflateCodec = {
    open_in<kZlib>, close_in, start_in, step_in, nullptr, [](void*) { return kInSize; },
    open_out, close_out, start_out<kZlib>, step_out, [](void*) { return kOutSize; },
    [](size_t) { return kInSize; },
};

}  // namespace zcrpc::compress
