// What a connection has to send: small things copied into chunks, large ones by reference, in order, ready for one
// sendmsg. Chunks and lists come from a pool of the loop and go back as soon as they have been sent, so that an idle
// connection holds none.
#pragma once

#include <sys/uio.h>

#include <cstdint>
#include <string_view>

#include "base/allocator.h"
#include "base/buffer.h"
#include "base/slice.h"
#include "base/vec.h"

namespace zcrpc::http {

// From this size on a payload leaves by reference.
inline constexpr size_t kByReference = 4096;

struct Chunk {
  Chunk* next;
  uint8_t* bytes() { return reinterpret_cast<uint8_t*>(this + 1); }
};

// One piece of what is to be sent.
struct Segment {
  const uint8_t* data;
  size_t size;
  base::Buffer* holder;  // released once sent; or
  Chunk* chunk;          // given back once sent: this is the last segment in it
};
struct Segments {
  Segments* next = nullptr;
  base::Vec<Segment> list;
};

// What outputs are made of, and give back when they are empty.
class ChunkPool {
 public:
  static constexpr size_t kChunk = 16384 - sizeof(Chunk);
  explicit ChunkPool(const base::Allocator* a = base::default_allocator(), size_t keep = 64) : a_(a), keep_(keep) {}
  ChunkPool(const ChunkPool&) = delete;
  ChunkPool& operator=(const ChunkPool&) = delete;
  ~ChunkPool();
  Chunk* get();  // nullptr without memory
  void put(Chunk* c);
  Segments* get_list();  // an empty one; nullptr without memory
  void put_list(Segments* s);

 private:
  const base::Allocator* a_;
  Chunk* idle_ = nullptr;
  Segments* idle_lists_ = nullptr;
  size_t count_ = 0, list_count_ = 0, keep_;
};

class Output {
 public:
  explicit Output(ChunkPool* pool) : pool_(pool) {}
  Output(const Output&) = delete;
  Output& operator=(const Output&) = delete;
  ~Output() { clear(); }

  // Each false without memory: half of it may have been added, so that the connection can only be closed.
  [[nodiscard]] bool append(base::Slice bytes);
  [[nodiscard]] bool append(std::string_view s) { return append(base::Slice(s)); }
  [[nodiscard]] bool reference(base::Slice bytes, base::Buffer* holder);  // retains holder until they have been sent
  // n contiguous bytes to write at once (at most ChunkPool::kChunk); then commit says how many were. nullptr: no memory.
  uint8_t* room(size_t n);
  [[nodiscard]] bool commit(size_t n);
  // By reference from kByReference on, if that can be, else copied and counted.
  [[nodiscard]] bool payload(base::Slice bytes, base::Buffer* holder);

  size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  // Fills v with what comes next, as far as max entries go; returns how many. Valid until sent or append.
  size_t fill(iovec* v, size_t max) const;
  void sent(size_t n);
  void clear();

  // Payload copies since the start.
  uint64_t copies = 0, bytes_copied = 0;

 private:
  bool next_chunk();
  [[nodiscard]] bool add(const uint8_t* p, size_t n, base::Buffer* holder);
  void drop(Segment& s);
  void give_list();

  ChunkPool* pool_;
  Segments* segments_ = nullptr;  // of the pool; nullptr: nothing waits
  size_t first_ = 0;       // segments before it have been sent
  size_t size_ = 0;
  Chunk* chunk_ = nullptr;  // being filled
  size_t used_ = 0;         // of it
};

}  // namespace zcrpc::http
