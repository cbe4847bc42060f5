#include "compress/compress.h"

#include <algorithm>
#include <cstring>

#include "compress/codec.h"

namespace zcrpc::compress {

using base::Buffer;
using base::Code;
using base::Slice;
using base::Status;

namespace {

constexpr size_t kFirst = 4096;
enum { kIn, kOut };

Status no_coding() { return Status(Code::kInternal, "no such coding"); }
Status too_large(size_t limit) { return Status::format(Code::kResourceExhausted, "message is larger than the limit of %zu bytes", limit); }

void release(Buffer** b) {
  if (*b) (*b)->release();
  *b = nullptr;
}

// The finished message: memory that was guessed too large goes back, unless the pool keeps it for the next one.
Buffer* fit(Pool* pool, Buffer* b, size_t size) {
  size_t capacity = b->size();
  b->shrink(size);
  if (pool && pool->remember(b, capacity)) return b;
  if (capacity > 2 * size + kFirst) {
    if (Buffer* smaller = Buffer::resize(b, size)) return smaller;
  }
  return b;
}

Buffer* fresh(Pool* pool, size_t least) { return pool ? pool->buffer(least) : Buffer::make(least); }

bool append(Pool* pool, Buffer** to, size_t* used, Slice in) {
  size_t have = *to ? (*to)->size() : 0;
  if (in.size > SIZE_MAX / 4 - *used) return false;
  if (*used + in.size > have) {
    size_t want = std::max(kFirst, (*used + in.size) * 2);
    Buffer* b = *to ? Buffer::resize(*to, want) : fresh(pool, want);
    if (!b) return false;
    *to = b;
  }
  if (in.size) memcpy((*to)->writable() + *used, in.data, in.size);
  *used += in.size;
  return true;
}

}  // namespace

const Codec* codec_of(Coding c) {
  switch (c) {
    case Coding::kGzip: return &kGzipCodec;
    case Coding::kDeflate: return &kDeflateCodec;
#ifdef ZCRPC_WITH_ZSTD
    case Coding::kZstd: return &kZstdCodec;
#endif
#ifdef ZCRPC_WITH_BROTLI
    case Coding::kBr: return &kBrotliCodec;
#endif
#ifdef ZCRPC_WITH_SNAPPY
    case Coding::kSnappy: return &kSnappyCodec;
#endif
    default: return nullptr;
  }
}

// ---- the pool

void Pool::trim() {
  Locked lock(this);
  for (int side : {kIn, kOut}) {
    for (int i = 0; i < kBuiltIn; i++) {
      Shelf& s = shelves_[side][i];
      const Codec* codec = codec_of(Coding(i));
      while (s.count > 0) (side == kIn ? codec->close_in : codec->close_out)(s.idle[--s.count].context);
    }
  }
  idle_ = 0;
  for (Known& k : known_) {
    release(&k.buffer);
    k = {};
  }
}

void* Pool::take(int side, Coding coding) {
  Locked lock(this);
  Shelf& s = shelves_[side][uint8_t(coding)];
  if (s.count == 0) return nullptr;
  Idle& i = s.idle[--s.count];
  idle_ -= i.size;
  return i.context;
}

bool Pool::give(int side, Coding coding, void* context, size_t size) {
  Locked lock(this);
  Shelf& s = shelves_[side][uint8_t(coding)];
  if (s.count == kContexts || size > kIdle - idle_) return false;
  idle_ += size;
  s.idle[s.count++] = {context, size};
  return true;
}

// The smallest that is large enough: a small message should not hold much.
Buffer* Pool::buffer(size_t least) {
  if (least <= kBuffer) {
    Locked lock(this);
    Known* best = nullptr;
    for (Known& k : known_)
      if (k.buffer && k.capacity >= least && (!best || k.capacity < best->capacity) && k.buffer->unique()) best = &k;
    if (best) {
      Buffer* b = best->buffer;
      b->shrink(best->capacity);  // as it was
      *best = {};
      return b;
    }
  }
  return Buffer::make(least, a_);
}

bool Pool::remember(Buffer* b, size_t capacity) {
  if (capacity > kBuffer) return false;
  Locked lock(this);
  Known* place = nullptr;
  for (Known& k : known_) {
    if (!k.buffer) {
      place = &k;
      break;
    }
    if (k.capacity < capacity && (!place || k.capacity < place->capacity) && k.buffer->unique()) place = &k;
  }
  if (!place) return false;
  if (place->buffer) place->buffer->release();
  *place = {b->retain(), capacity};
  return true;
}

// ---- in

size_t Contexts::size(Coding coding, size_t limit) {
  const Codec* codec = codec_of(coding);
  return codec ? codec->most_in(limit) : 0;
}

Status Inflater::begin(Pool* pool, Coding coding, size_t limit, const Registry& registry, Buffer* into) {
  reset();
  out_ = into;
  codec_ = codec_of(coding);
  own_ = codec_ ? nullptr : registry.own(coding);
  if (!codec_ && !own_) return no_coding();
  if (pool) pool->inflates.fetch_add(1, std::memory_order_relaxed);
  pool_ = pool;
  coding_ = coding;
  limit_ = limit;
  open_ = true;
  if (own_) return {};
  context_ = pool ? pool->take(kIn, coding) : nullptr;
  if (!context_) context_ = codec_->open_in();
  return context_ && codec_->start_in(context_, limit) ? Status() : Status::no_memory();
}

// Grows with what came out so far, never by what somebody declared; one byte above the limit is enough to see it passed.
// (The first piece is of one size whatever the limit is: so it is used again.)
Status Inflater::room() {
  size_t most = std::max(kFirst, limit_ < SIZE_MAX ? limit_ + 1 : limit_);
  size_t have = out_ ? out_->size() : 0;
  if (size_ < have) return {};
  size_t want = std::min(most, std::max(kFirst, have > most / 4 ? most : have * 4));
  Buffer* b = out_ ? Buffer::resize(out_, want) : fresh(pool_, want);
  if (!b) return Status::no_memory();
  out_ = b;
  return {};
}

Status Inflater::feed(Slice in) {
  if (own_) return append(pool_, &raw_, &raw_size_, in) ? Status() : Status::no_memory();
  bool full = false;  // the last round filled all of the room: there may be more without further input
  while (in.size || full) {
    if (ended_) {
      if (in.empty()) return {};
      if (!codec_->again || !codec_->again(context_, in.data[0]))
        return Status(Code::kInvalidArgument, "bytes behind the end of the compressed data");
      ended_ = false;
    }
    ZCRPC_TRY(room());
    // Memory that was there before may be larger than the limit.
    size_t space = std::min(out_->size(), limit_ < SIZE_MAX ? limit_ + 1 : limit_) - size_;
    Cut cut{in.data, in.size, out_->writable() + size_, space};
    Step step = codec_->inflate(context_, &cut);
    bool moved = cut.in_size != in.size || cut.room != space;
    in = in.from(in.size - cut.in_size);
    size_ += space - cut.room;
    full = cut.room == 0 && step == Step::kMore;
    if (size_ > limit_) return too_large(limit_);
    if (step == Step::kNoMemory) return Status::no_memory();
    if (step == Step::kBroken || (!moved && in.size)) return Status(Code::kInvalidArgument, "compressed data are broken");
    ended_ = step == Step::kEnd;
  }
  return {};
}

// The application's coding: whole, into memory that grows to the limit and no further.
Status Inflater::expand() {
  size_t most = limit_ < SIZE_MAX ? limit_ + 1 : limit_;
  size_t want = std::min(most, std::max(kFirst, raw_size_ > most / 4 ? most : raw_size_ * 4));
  for (;;) {
    if (!out_ || out_->size() < want) {
      Buffer* b = out_ ? Buffer::resize(out_, want) : fresh(pool_, want);
      if (!b) return Status::no_memory();
      out_ = b;
    }
    size_t cap = std::min(out_->size(), most);
    int64_t n = own_->expand(raw_ ? raw_->data() : nullptr, raw_size_, out_->writable(), cap, own_->user);
    if (n >= 0 && uint64_t(n) <= cap) {
      size_ = size_t(n);
      return size_ > limit_ ? too_large(limit_) : Status();
    }
    if (n != -2) return Status(Code::kInvalidArgument, "compressed data are broken");
    if (cap == most) return too_large(limit_);
    want = cap > most / 2 ? most : cap * 2;
  }
}

base::Result<Buffer*> Inflater::finish(size_t* size) {
  if (own_) {
    ZCRPC_TRY(expand());
    ended_ = true;
  }
  if (!ended_) return Status(Code::kInvalidArgument, "compressed data are cut short");
  if (!out_) ZCRPC_TRY(room());
  Buffer* b = std::exchange(out_, nullptr);
  if (size) {
    *size = size_;
  } else {
    b = fit(pool_, b, size_);
  }
  reset();
  return b;
}

void Inflater::reset() {
  if (!codec_ && !own_ && !out_) return;  // never begun, as for most messages
  if (context_) {
    size_t held = codec_->rest_in(context_);
    if (!pool_ || !pool_->give(kIn, coding_, context_, held)) codec_->close_in(context_);
  }
  release(&out_);
  if (raw_ && pool_) (void)pool_->remember(raw_, raw_->size());
  release(&raw_);
  context_ = nullptr;
  codec_ = nullptr;
  own_ = nullptr;
  pool_ = nullptr;
  raw_size_ = size_ = limit_ = 0;
  open_ = ended_ = false;
}

// ---- out

Status Deflater::begin(Pool* pool, Coding coding, int level, size_t size, const Registry& registry) {
  reset();
  codec_ = codec_of(coding);
  own_ = codec_ ? nullptr : registry.own(coding);
  if (!codec_ && !own_) return no_coding();
  if (pool) pool->deflates.fetch_add(1, std::memory_order_relaxed);
  pool_ = pool;
  coding_ = coding;
  if (own_) return {};
  context_ = pool ? pool->take(kOut, coding) : nullptr;
  if (!context_) context_ = codec_->open_out();
  if (!context_ || !codec_->start_out(context_, level, size)) return Status::no_memory();
  // What is often enough; the rest grows.
  out_ = fresh(pool, std::max(kFirst / 4, size / 2 + 64));
  return out_ ? Status() : Status::no_memory();
}

Status Deflater::run(Slice in, bool last) {
  for (;;) {
    if (size_ == out_->size()) {
      if (size_ > SIZE_MAX / 4) return Status::no_memory();
      Buffer* b = Buffer::resize(out_, size_ * 2);
      if (!b) return Status::no_memory();
      out_ = b;
    }
    size_t space = out_->size() - size_;
    Cut cut{in.data, in.size, out_->writable() + size_, space};
    Step step = codec_->deflate(context_, &cut, last);
    in = in.from(in.size - cut.in_size);
    size_ += space - cut.room;
    if (step == Step::kNoMemory) return Status::no_memory();
    if (step == Step::kBroken) return Status(Code::kInternal, "compression failed");
    if (step == Step::kEnd) return {};
    if (!last && in.empty() && cut.room != 0) return {};
  }
}

Status Deflater::feed(Slice in) {
  if (own_) return append(pool_, &raw_, &raw_size_, in) ? Status() : Status::no_memory();
  return in.empty() ? Status() : run(in, false);
}

Status Deflater::compress() {
  size_t want = raw_size_ + kFirst;
  for (int tries = 0; tries < 4; tries++, want *= 2) {
    release(&out_);
    if (!(out_ = fresh(pool_, want))) return Status::no_memory();
    size_t cap = out_->size();
    int64_t n = own_->compress(raw_ ? raw_->data() : nullptr, raw_size_, out_->writable(), cap, own_->user);
    if (n >= 0 && uint64_t(n) <= cap) {
      size_ = size_t(n);
      return {};
    }
    if (n != -2) break;
  }
  return Status(Code::kInternal, "compression failed");
}

base::Result<Buffer*> Deflater::finish() {
  ZCRPC_TRY(own_ ? compress() : run({}, true));
  Buffer* b = fit(pool_, std::exchange(out_, nullptr), size_);
  reset();
  return b;
}

void Deflater::reset() {
  if (context_) {
    size_t held = codec_->rest_out(context_);
    if (!pool_ || !pool_->give(kOut, coding_, context_, held)) codec_->close_out(context_);
  }
  release(&out_);
  if (raw_ && pool_) (void)pool_->remember(raw_, raw_->size());
  release(&raw_);
  context_ = nullptr;
  codec_ = nullptr;
  own_ = nullptr;
  pool_ = nullptr;
  raw_size_ = size_ = 0;
}

}  // namespace zcrpc::compress
