#include <zstd.h>
#include <zstd_errors.h>

#include <algorithm>

#include "compress/codec.h"

namespace zcrpc::compress {

namespace {

// What RFC 8878 asks every decoder to take, and what no peer may ask us to exceed. Up to level 19 we stay below it too.
constexpr int kWindow = 23, kMostLevel = 19;
constexpr size_t kMostIn = (size_t(1) << kWindow) + (768 << 10);  // the ring, blocks of 128 KiB on both of its sides, tables

Step wrong(size_t r) { return ZSTD_getErrorCode(r) == ZSTD_error_memory_allocation ? Step::kNoMemory : Step::kBroken; }

void take(Cut* cut, const ZSTD_inBuffer& in, const ZSTD_outBuffer& out) {
  cut->in += in.pos;
  cut->in_size -= in.pos;
  cut->out += out.pos;
  cut->room -= out.pos;
}

void* open_in() {
  ZSTD_DCtx* d = ZSTD_createDCtx();
  if (d) (void)ZSTD_DCtx_setParameter(d, ZSTD_d_windowLogMax, kWindow);
  return d;
}
void close_in(void* c) { ZSTD_freeDCtx(static_cast<ZSTD_DCtx*>(c)); }
bool start_in(void* c, size_t) { return !ZSTD_isError(ZSTD_DCtx_reset(static_cast<ZSTD_DCtx*>(c), ZSTD_reset_session_only)); }

Step step_in(void* c, Cut* cut) {
  ZSTD_inBuffer in{cut->in, cut->in_size, 0};
  ZSTD_outBuffer out{cut->out, cut->room, 0};
  size_t r = ZSTD_decompressStream(static_cast<ZSTD_DCtx*>(c), &out, &in);
  take(cut, in, out);
  return ZSTD_isError(r) ? wrong(r) : r == 0 ? Step::kEnd : Step::kMore;
}

void* open_out() { return ZSTD_createCCtx(); }
void close_out(void* c) { ZSTD_freeCCtx(static_cast<ZSTD_CCtx*>(c)); }

// A size that is known makes tables and window as small as they can be.
bool start_out(void* c, int level, size_t size) {
  auto* z = static_cast<ZSTD_CCtx*>(c);
  int zlevel = level <= 0 ? ZSTD_CLEVEL_DEFAULT : std::min(level, kMostLevel);
  return !ZSTD_isError(ZSTD_CCtx_reset(z, ZSTD_reset_session_only)) &&
         !ZSTD_isError(ZSTD_CCtx_setParameter(z, ZSTD_c_compressionLevel, zlevel)) &&
         (size == 0 || !ZSTD_isError(ZSTD_CCtx_setPledgedSrcSize(z, size)));
}

Step step_out(void* c, Cut* cut, bool last) {
  ZSTD_inBuffer in{cut->in, cut->in_size, 0};
  ZSTD_outBuffer out{cut->out, cut->room, 0};
  size_t r = ZSTD_compressStream2(static_cast<ZSTD_CCtx*>(c), &out, &in, last ? ZSTD_e_end : ZSTD_e_continue);
  take(cut, in, out);
  return ZSTD_isError(r) ? wrong(r) : last && r == 0 ? Step::kEnd : Step::kMore;
}

}  // namespace

const Codec kZstdCodec = {
    open_in, close_in, start_in, step_in,
    [](void*, uint8_t) { return true; },  // frames follow one another; a wrong beginning is seen by the library
    [](void* c) { return ZSTD_sizeof_DCtx(static_cast<ZSTD_DCtx*>(c)); },
    open_out, close_out, start_out, step_out,
    [](void* c) { return ZSTD_sizeof_CCtx(static_cast<ZSTD_CCtx*>(c)); },
    [](size_t) { return kMostIn; },
};

}  // namespace zcrpc::compress
