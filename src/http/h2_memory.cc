#include "http/h2_memory.h"

#include <bit>
#include <cstring>
#include <new>

namespace zcrpc::http {

// ---- slabs

H2Slabs::~H2Slabs() {
  while (open_) free_group(open_);
}

H2Slabs::Group* H2Slabs::make_group() {
  void* p = a_->alloc(sizeof(Group), a_->user);
  if (!p) return nullptr;
  auto* g = new (p) Group{};
  g->memory = static_cast<uint8_t*>(a_->alloc(kMemory, a_->user));
  if (!g->memory) {
    a_->free(g, sizeof *g, a_->user);
    return nullptr;
  }
  g->first = g->memory + (kPage - reinterpret_cast<uintptr_t>(g->memory) % kPage) % kPage;
  g->free = kAllFree;
  link(g);
  return g;
}

void H2Slabs::link(Group* g) {
  g->prev = nullptr;
  g->next = open_;
  if (open_) open_->prev = g;
  open_ = g;
}

void H2Slabs::unlink(Group* g) {
  (g->prev ? g->prev->next : open_) = g->next;
  if (g->next) g->next->prev = g->prev;
}

void H2Slabs::free_group(Group* g) {
  unlink(g);
  a_->free(g->memory, kMemory, a_->user);
  a_->free(g, sizeof *g, a_->user);
}

uint8_t* H2Slabs::get() {
  Group* g = open_ ? open_ : make_group();
  if (!g) return nullptr;
  int i = std::countr_zero(g->free);
  g->free &= g->free - 1;
  if (!g->free) unlink(g);
  uint8_t* slab = g->first + size_t(i) * kSlab;
  memcpy(slab, &g, sizeof g);  // whose it is
  return slab + kHead;
}

void H2Slabs::put(uint8_t* p) {
  Group* g;
  memcpy(&g, p - kHead, sizeof g);
  auto i = uint32_t(size_t(p - kHead - g->first) / kSlab);
  if (!g->free) link(g);
  g->free |= uint32_t(1) << i;
  // One that is wholly free stays, for connections that come and go one by one.
  if (g->free == kAllFree && (g->next || g->prev)) free_group(g);
}

// ---- blocks

void* H2Memory::cut(size_t n) {
  size_t size = (n + sizeof(Head) + 15) / 16 * 16;
  if (size > size_t(end_ - at_)) return nullptr;
  auto* h = new (at_) Head{size, nullptr};
  h->next = h;
  at_ += size;
  return h + 1;
}

void* H2Memory::alloc(size_t n) {
  if (n > SIZE_MAX - sizeof(Head) - kStep) return nullptr;
  if (at_ && n >= kLarge) {
    if (void* p = cut(n)) return p;
  }
  size_t size = (n + sizeof(Head) + kStep - 1) / kStep * kStep;
  size_t c = size / kStep;
  Head* h;
  if (c < kClasses && idle_[c]) {
    h = idle_[c];
    idle_[c] = h->next;
    idle_bytes_ -= size;
  } else {
    h = static_cast<Head*>(a_->alloc(size, a_->user));
    if (!h) return nullptr;
    misses_++;
    h->size = size;
  }
  h->next = nullptr;
  return h + 1;
}

void H2Memory::free(void* p) {
  if (!p) return;
  Head* h = static_cast<Head*>(p) - 1;
  if (h->next == h) return;
  size_t c = h->size / kStep;
  if (c >= kClasses || idle_bytes_ + h->size > keep_) return a_->free(h, h->size, a_->user);
  h->next = idle_[c];
  idle_[c] = h;
  idle_bytes_ += h->size;
}

void* H2Memory::realloc(void* p, size_t n) {
  if (!p) return alloc(n);
  size_t have = (static_cast<Head*>(p) - 1)->size - sizeof(Head);
  if (n <= have) return p;
  void* q = alloc(n);
  if (!q) return nullptr;
  memcpy(q, p, have);
  free(p);
  return q;
}

void H2Memory::trim() {
  for (Head*& list : idle_) {
    while (Head* h = list) {
      list = h->next;
      a_->free(h, h->size, a_->user);
    }
  }
  idle_bytes_ = 0;
}

uint8_t* H2Memory::begin_slab() {
  uint8_t* slab = slabs_.get();
  at_ = slab;
  end_ = slab ? slab + H2Slabs::kSlab - H2Slabs::kHead : nullptr;
  return slab;
}

void H2Memory::free_slab(uint8_t* slab) {
  if (slab) slabs_.put(slab);
}

}  // namespace zcrpc::http
