// What a connection has to send: small bytes copied into pooled chunks, large ones by reference, sent in as few system
// calls as there are 512 pieces.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/buffer.h"
#include "base/vec.h"
#include "net/io.h"

namespace zcrpc::server {

// 16 KiB pieces of output memory, shared by the connections of a loop.
class Chunks {
 public:
  struct Chunk {
    Chunk* next;
    uint32_t used;      // bytes written
    uint32_t segments;  // that lie in it and have not been sent
    static constexpr size_t kRoom = 16 * 1024 - 16;
    uint8_t* data() { return reinterpret_cast<uint8_t*>(this + 1); }
  };
  explicit Chunks(const base::Allocator* a) : a_(a) {}
  Chunks(const Chunks&) = delete;
  Chunks& operator=(const Chunks&) = delete;
  ~Chunks();
  Chunk* take();  // nullptr without memory
  void give(Chunk* c);

 private:
  static constexpr size_t kKept = 64;
  const base::Allocator* a_;
  Chunk* free_ = nullptr;
  size_t count_ = 0;
};

// What keeps bytes alive that are sent by reference.
struct Holder {
  void (*drop)(Holder* self) = nullptr;
};

class Output {
 public:
  Output(Chunks* chunks, const base::Allocator* a) : chunks_(chunks), segments_(a) {}
  Output(const Output&) = delete;
  Output& operator=(const Output&) = delete;
  ~Output() { clear(); }

  // Appends never fail by themselves: lack of memory sticks, failed() tells, and the connection has to close.
  void copy(const void* data, size_t n);
  // By reference; holder->drop runs once they have been sent, or the connection closes.
  void refer(const uint8_t* data, size_t n, Holder* holder);
  // At most n (up to a chunk's room) contiguous bytes to write into; commit takes the first of them.
  uint8_t* reserve(size_t n);
  void commit(size_t n);

  size_t size() const { return size_; }  // bytes not sent yet
  bool empty() const { return size_ == 0; }
  bool failed() const { return failed_; }
  // Sends what the socket takes. Bytes sent, or a negative errno; -EAGAIN when it took nothing.
  int64_t send(const net::Io* io, int fd);
  void clear();

 private:
  struct Segment {
    const uint8_t* data;
    size_t size;
    Holder* holder;
    Chunks::Chunk* chunk;
  };
  static constexpr size_t kPieces = 512;
  void sent(size_t n);
  void done(const Segment& s);

  Chunks* chunks_;
  base::Vec<Segment> segments_;
  size_t first_ = 0;  // of segments_: those before it have been sent
  Chunks::Chunk* tail_ = nullptr;
  size_t size_ = 0;
  bool failed_ = false;
};

}  // namespace zcrpc::server
