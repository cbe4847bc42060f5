#include "server/pool.h"

#include <cstring>

namespace zcrpc::server {

Pool::Pool(const base::Allocator* behind, rpc::Counters* counters)
    : allocator_{&Pool::alloc, &Pool::realloc, &Pool::free, this}, behind_(behind), counters_(counters) {}

Pool::~Pool() {
  for (size_t c = 0; c <= kClasses; c++)
    while (Free* f = free_[c]) {
      free_[c] = f->next;
      behind_->free(f, c * kStep, behind_->user);
    }
}

void* Pool::alloc(size_t size, void* user) {
  auto* self = static_cast<Pool*>(user);
  size_t c = class_of(size ? size : 1);
  if (c <= kClasses) {
    if (Free* f = self->free_[c]) {
      self->free_[c] = f->next;
      return f;
    }
    size = c * kStep;
  }
  rpc::Counters::add(self->counters_->allocations, 1);
  return self->behind_->alloc(size, self->behind_->user);
}

void Pool::free(void* p, size_t size, void* user) {
  if (!p) return;
  auto* self = static_cast<Pool*>(user);
  size_t c = class_of(size ? size : 1);
  if (c > kClasses) return self->behind_->free(p, size, self->behind_->user);
  auto* f = static_cast<Free*>(p);
  f->next = self->free_[c];
  self->free_[c] = f;
}

void* Pool::realloc(void* p, size_t old_size, size_t size, void* user) {
  if (!p) return alloc(size, user);
  auto* self = static_cast<Pool*>(user);
  size_t old_class = class_of(old_size ? old_size : 1), c = class_of(size ? size : 1);
  if (old_class == c && c <= kClasses) return p;
  if (old_class > kClasses && c > kClasses) {
    rpc::Counters::add(self->counters_->allocations, 1);
    return self->behind_->realloc(p, old_size, size, self->behind_->user);
  }
  void* q = alloc(size, user);
  if (!q) return nullptr;
  memcpy(q, p, old_size < size ? old_size : size);
  free(p, old_size, user);
  return q;
}

Blocks::~Blocks() {
  for (base::Buffer* b : ring_)
    if (b) b->release();
}

bool Blocks::room(uint8_t** data, size_t* size) {
  base::Buffer* b = ring_[at_];
  if (b && used_ && b->unique()) used_ = 0;
  if (!b || kSize - used_ < kLeast) {
    // The next of the ring that nobody holds, else an empty place, else the next one's place: its holders keep it.
    size_t place = kRing;
    for (size_t i = 1; i <= kRing && place == kRing; i++) {
      size_t j = (at_ + i) % kRing;
      if (!ring_[j] || ring_[j]->unique()) place = j;
    }
    if (place == kRing) place = (at_ + 1) % kRing;
    if (!ring_[place] || !ring_[place]->unique()) {
      base::Buffer* fresh = base::Buffer::make(kSize);
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
