// Memory of one server on one loop, reused so that a call in steady state allocates nothing: small pieces by size, and
// the blocks that sockets are read into.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/allocator.h"
#include "base/buffer.h"
#include "rpc/call.h"

namespace zcrpc::server {

// Pieces of up to 4 KiB from free lists, 64 bytes apart; larger ones from the allocator behind. Inside the loop only.
class Pool {
 public:
  Pool(const base::Allocator* behind, rpc::Counters* counters);
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;
  ~Pool();
  const base::Allocator* allocator() const { return &allocator_; }

 private:
  struct Free {
    Free* next;
  };
  static constexpr size_t kStep = 64, kClasses = 64;
  static size_t class_of(size_t size) { return (size + kStep - 1) / kStep; }
  static void* alloc(size_t size, void* user);
  static void* realloc(void* p, size_t old_size, size_t size, void* user);
  static void free(void* p, size_t size, void* user);

  base::Allocator allocator_;
  const base::Allocator* behind_;
  rpc::Counters* counters_;
  Free* free_[kClasses + 1] = {};
};

// Blocks to receive into. The bytes of a block that somebody holds, and kSlack bytes behind them, are never written
// again: the next receive goes behind them, or into another block. A block whose holders have gone is used again.
class Blocks {
 public:
  static constexpr size_t kSize = 64 * 1024;
  static constexpr size_t kLeast = 17 * 1024;  // room that a receive wants: a full DATA frame and its head

  explicit Blocks(rpc::Counters* counters) : counters_(counters) {}
  Blocks(const Blocks&) = delete;
  Blocks& operator=(const Blocks&) = delete;
  ~Blocks();

  // Where to receive; false without memory.
  [[nodiscard]] bool room(uint8_t** data, size_t* size);
  // The block that the last room lies in; who keeps bytes of it retains it.
  base::Buffer* current() const { return ring_[at_]; }
  // n bytes were received and have been handled. If nobody holds the block now, its memory is free again.
  void handled(size_t n);

 private:
  static constexpr size_t kRing = 32;  // blocks remembered; more are made, and freed by their last holder
  rpc::Counters* counters_;
  base::Buffer* ring_[kRing] = {};
  size_t at_ = 0;
  size_t used_ = 0;
};

}  // namespace zcrpc::server
