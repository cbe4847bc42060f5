// The blocks that the sockets of a loop are read into.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/buffer.h"
#include "rpc/call.h"

namespace zcrpc::server {

// Blocks to receive into. The bytes of a block that somebody holds, and kSlack bytes behind them, are never written
// again: the next receive goes behind them, or into another block. A block whose holders have gone is used again.
class Blocks {
 public:
  static constexpr size_t kSize = 64 * 1024;
  static constexpr size_t kLeast = 17 * 1024;  // room that a receive wants: a full DATA frame and its head

  explicit Blocks(rpc::Counters* counters, const base::Allocator* a = base::default_allocator()) : a_(a), counters_(counters) {}
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
  const base::Allocator* a_;
  rpc::Counters* counters_;
  base::Buffer* ring_[kRing] = {};
  size_t at_ = 0;
  size_t used_ = 0;
};

}  // namespace zcrpc::server
