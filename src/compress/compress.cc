#include "compress/compress.h"

#include <zlib.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>

namespace zcrpc::compress {

using base::Buffer;
using base::Code;
using base::Slice;
using base::Status;

namespace {

struct Entry {
  std::string_view name;
  Coding coding;
};
// In the order in which we list them.
constexpr Entry kCodings[] = {{"gzip", Coding::kGzip}};

constexpr int kGzipWindow = 15 + 16;  // zlib's word for "the largest window, in gzip's framing"
constexpr size_t kFirst = 4096;

struct Out {
  z_stream z;
  int level;
};

bool equal_ignoring_case(std::string_view a, std::string_view lower) {
  return a.size() == lower.size() &&
         std::equal(a.begin(), a.end(), lower.begin(), [](char x, char y) { return (x >= 'A' && x <= 'Z' ? x + 32 : x) == y; });
}

void free_in(void* c) {
  inflateEnd(static_cast<z_stream*>(c));
  std::free(c);
}
void free_out(void* c) {
  deflateEnd(&static_cast<Out*>(c)->z);
  std::free(c);
}

z_stream* new_in() {
  auto* z = static_cast<z_stream*>(std::calloc(1, sizeof(z_stream)));
  if (!z) return nullptr;
  if (inflateInit2(z, kGzipWindow) == Z_OK) return z;
  std::free(z);
  return nullptr;
}

Out* new_out(int level) {
  auto* o = static_cast<Out*>(std::calloc(1, sizeof(Out)));
  if (!o) return nullptr;
  o->level = level;
  if (deflateInit2(&o->z, level, Z_DEFLATED, kGzipWindow, 8, Z_DEFAULT_STRATEGY) == Z_OK) return o;
  std::free(o);
  return nullptr;
}

// Most that zlib takes at once.
uInt portion(size_t n) { return uInt(std::min<size_t>(n, 1u << 30)); }

// The finished message: memory that was guessed too large goes back.
Buffer* fit(Buffer* b, size_t size) {
  if (b->size() > 2 * size + kFirst) {
    if (Buffer* smaller = Buffer::resize(b, size)) return smaller;
  }
  b->shrink(size);
  return b;
}

}  // namespace

Coding coding_from_name(std::string_view name) {
  if (name.empty() || equal_ignoring_case(name, "identity")) return Coding::kIdentity;
  for (const Entry& e : kCodings) {
    if (equal_ignoring_case(name, e.name)) return e.coding;
  }
  return Coding::kUnknown;
}

std::string_view coding_name(Coding c) {
  if (c == Coding::kIdentity) return "identity";
  for (const Entry& e : kCodings) {
    if (e.coding == c) return e.name;
  }
  return "";
}

std::string_view supported_codings() { return "gzip"; }
const char* unknown_coding_text() { return "unknown compression: supported are gzip and identity"; }

Pool::~Pool() { trim(); }

void Pool::trim() {
  while (in_ > 0) free_in(idle_in_[--in_]);
  while (out_ > 0) free_out(idle_out_[--out_]);
}

// ---- in

Status Inflater::begin(Pool* pool, Coding coding, size_t limit) {
  reset();
  if (coding != Coding::kGzip) return Status(Code::kInternal, "no such coding");
  if (pool && pool->in_ > 0) {
    context_ = pool->idle_in_[--pool->in_];
    inflateReset(static_cast<z_stream*>(context_));
  } else {
    context_ = new_in();
  }
  if (!context_) return Status::no_memory();
  pool_ = pool;
  limit_ = limit;
  return {};
}

// Grows with what came out so far, never by what somebody declared; one byte above the limit is enough to see it passed.
Status Inflater::room() {
  size_t most = limit_ < SIZE_MAX ? limit_ + 1 : limit_;
  size_t have = out_ ? out_->size() : 0;
  if (size_ < have) return {};
  size_t want = std::min(most, std::max(kFirst, have > most / 4 ? most : have * 4));
  Buffer* b = out_ ? Buffer::resize(out_, want) : Buffer::make(want);
  if (!b) return Status::no_memory();
  out_ = b;
  return {};
}

Status Inflater::feed(Slice in) {
  auto* z = static_cast<z_stream*>(context_);
  bool full = false;  // the last round filled all of the room: there may be more without further input
  while (in.size || full) {
    if (ended_) {
      if (in.empty()) return {};
      // Gzip may be several members in a row.
      if (in.data[0] != 0x1F) return Status(Code::kInvalidArgument, "bytes behind the end of the compressed data");
      inflateReset(z);
      ended_ = false;
    }
    ZCRPC_TRY(room());
    uInt given = portion(in.size), space = portion(out_->size() - size_);
    z->next_in = const_cast<Bytef*>(in.data);
    z->avail_in = given;
    z->next_out = out_->writable() + size_;
    z->avail_out = space;
    int r = inflate(z, Z_NO_FLUSH);
    in = in.from(given - z->avail_in);
    size_ += space - z->avail_out;
    full = z->avail_out == 0 && r != Z_STREAM_END;
    if (size_ > limit_) return Status(Code::kResourceExhausted, "message is larger than the limit");
    if (r == Z_STREAM_END) {
      ended_ = true;
    } else if (r == Z_MEM_ERROR) {
      return Status::no_memory();
    } else if (r != Z_OK && !(r == Z_BUF_ERROR && in.empty())) {
      return Status(Code::kInvalidArgument, "compressed data are broken");
    }
  }
  return {};
}

base::Result<Buffer*> Inflater::finish() {
  if (!ended_) return Status(Code::kInvalidArgument, "compressed data are cut short");
  if (!out_) ZCRPC_TRY(room());
  Buffer* b = fit(std::exchange(out_, nullptr), size_);
  reset();
  return b;
}

void Inflater::reset() {
  if (context_) {
    if (pool_ && pool_->in_ < Pool::kKept) {
      pool_->idle_in_[pool_->in_++] = context_;
    } else {
      free_in(context_);
    }
  }
  if (out_) out_->release();
  context_ = nullptr;
  out_ = nullptr;
  pool_ = nullptr;
  size_ = limit_ = 0;
  ended_ = false;
}

// ---- out

Status Deflater::begin(Pool* pool, Coding coding, int level, size_t size_hint) {
  reset();
  if (coding != Coding::kGzip) return Status(Code::kInternal, "no such coding");
  int zlevel = level <= 0 ? Z_DEFAULT_COMPRESSION : std::min(level, 9);
  if (pool && pool->out_ > 0) {
    auto* o = static_cast<Out*>(pool->idle_out_[--pool->out_]);
    context_ = o;
    deflateReset(&o->z);
    if (o->level != zlevel && deflateParams(&o->z, zlevel, Z_DEFAULT_STRATEGY) == Z_OK) o->level = zlevel;
  } else {
    context_ = new_out(zlevel);
  }
  if (!context_) return Status::no_memory();
  pool_ = pool;
  // What is often enough; the rest grows.
  out_ = Buffer::make(std::max(kFirst / 4, size_hint / 2 + 64));
  return out_ ? Status() : Status::no_memory();
}

Status Deflater::run(int flush) {
  z_stream& z = static_cast<Out*>(context_)->z;
  for (;;) {
    if (size_ == out_->size()) {
      if (size_ > SIZE_MAX / 4) return Status::no_memory();
      Buffer* b = Buffer::resize(out_, size_ * 2);
      if (!b) return Status::no_memory();
      out_ = b;
    }
    uInt space = portion(out_->size() - size_);
    z.next_out = out_->writable() + size_;
    z.avail_out = space;
    int r = deflate(&z, flush);
    size_ += space - z.avail_out;
    if (r == Z_STREAM_END) return {};
    if (r != Z_OK && r != Z_BUF_ERROR) return Status(Code::kInternal, "compression failed");
    if (flush == Z_NO_FLUSH && z.avail_in == 0 && z.avail_out != 0) return {};
  }
}

Status Deflater::feed(Slice in) {
  z_stream& z = static_cast<Out*>(context_)->z;
  while (in.size) {
    uInt given = portion(in.size);
    z.next_in = const_cast<Bytef*>(in.data);
    z.avail_in = given;
    ZCRPC_TRY(run(Z_NO_FLUSH));
    in = in.from(given);
  }
  return {};
}

base::Result<Buffer*> Deflater::finish() {
  z_stream& z = static_cast<Out*>(context_)->z;
  z.next_in = nullptr;
  z.avail_in = 0;
  ZCRPC_TRY(run(Z_FINISH));
  Buffer* b = fit(std::exchange(out_, nullptr), size_);
  reset();
  return b;
}

void Deflater::reset() {
  if (context_) {
    if (pool_ && pool_->out_ < Pool::kKept) {
      pool_->idle_out_[pool_->out_++] = context_;
    } else {
      free_out(context_);
    }
  }
  if (out_) out_->release();
  context_ = nullptr;
  out_ = nullptr;
  pool_ = nullptr;
  size_ = 0;
}

}  // namespace zcrpc::compress
