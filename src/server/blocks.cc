#include "server/blocks.h"

namespace zcrpc::server {

Blocks::~Blocks() {
  for (base::Buffer* b : ring_)
    if (b) b->release();
}

bool Blocks::room(uint8_t** data, size_t* size) {
  base::Buffer* b = ring_[at_];
  if (b && used_ && b->unique()) used_ = 0;
  if (!b || kSize - used_ < kLeast) {
    // The next of the ring that nobody holds, else an empty place, else the next one's place: its holders keep it.
    size_t place = kRing, empty = kRing;
    for (size_t i = 1; i <= kRing && place == kRing; i++) {
      size_t j = (at_ + i) % kRing;
      if (!ring_[j]) empty = j;
      else if (ring_[j]->unique()) place = j;
    }
    if (place == kRing) place = empty;
    if (place == kRing) place = (at_ + 1) % kRing;
    if (!ring_[place] || !ring_[place]->unique()) {
      base::Buffer* fresh = base::Buffer::make(kSize, a_);
      if (!fresh) return false;
      rpc::Counters::add(counters_->allocations, 1);
      if (ring_[place]) ring_[place]->release();
      ring_[place] = fresh;
    }
    at_ = place;
    used_ = 0;
    b = ring_[at_];
  }
  *data = b->writable() + used_;
  *size = kSize - used_;
  return true;
}

void Blocks::handled(size_t n) {
  if (ring_[at_]->unique()) {
    used_ = 0;
    return;
  }
  used_ += n + base::kSlack;
  if (used_ > kSize) used_ = kSize;
}

}  // namespace zcrpc::server
