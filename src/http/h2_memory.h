// Memory for nghttp2: free lists by size class, and slabs for the large blocks that each session begins with. Of one loop,
// no lock.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/allocator.h"

namespace zcrpc::http {

// The blocks of 2 KiB and more that nghttp2 allocates for a session, side by side from a page's beginning: its own state,
// its table of streams, and last a frame buffer of 16 KiB, of which ordinary answers touch the first few hundred bytes.
// So an idle connection keeps two pages of them resident; scattered by the allocator it was three and a half. Slabs come
// in groups, and a group goes back to the allocator with its last session.
class H2Slabs {
 public:
  static constexpr size_t kPage = 4096, kSlab = 6 * kPage, kGroup = 8;
  explicit H2Slabs(const base::Allocator* a) : a_(a) {}
  H2Slabs(const H2Slabs&) = delete;
  H2Slabs& operator=(const H2Slabs&) = delete;
  ~H2Slabs();      // after all slabs have been put back
  uint8_t* get();  // kSlab - kHead bytes, 16-aligned; nullptr without memory
  void put(uint8_t* slab);
  static constexpr size_t kHead = 16;

 private:
  struct Group {
    Group *next, *prev;     // of those that have a free slab
    uint8_t *memory, *first;
    uint32_t free;          // a bit each
  };
  static constexpr size_t kMemory = kGroup * kSlab + kPage;
  static constexpr uint32_t kAllFree = (uint32_t(1) << kGroup) - 1;
  Group* make_group();
  void link(Group* g);
  void unlink(Group* g);
  void free_group(Group* g);

  const base::Allocator* a_;
  Group* open_ = nullptr;   // have a free slab; a wholly free one is kept as the last of its kind
};

class H2Memory {
 public:
  // Bounded: beyond `keep` bytes idle memory goes back.
  explicit H2Memory(const base::Allocator* a, size_t keep = 8 << 20) : a_(a), slabs_(a), keep_(keep) {}
  H2Memory(const H2Memory&) = delete;
  H2Memory& operator=(const H2Memory&) = delete;
  ~H2Memory() { trim(); }
  void* alloc(size_t n);
  void free(void* p);
  void* realloc(void* p, size_t n);
  void trim();
  uint64_t misses() const { return misses_; }  // allocations that went to the allocator

  // Between these two, large blocks are cut from the slab; freeing one of them does nothing.
  uint8_t* begin_slab();  // nullptr without memory
  void end_slab() { at_ = end_ = nullptr; }
  void free_slab(uint8_t* slab);  // after everything in it; nullptr does nothing

 private:
  static constexpr size_t kStep = 64, kClasses = 65;  // up to 4 KiB
  static constexpr size_t kLarge = 2048;              // from here on into the slab
  struct Head {
    size_t size;  // of the whole block
    Head* next;   // of the idle ones; itself: part of a slab
  };
  void* cut(size_t n);

  const base::Allocator* a_;
  H2Slabs slabs_;
  uint8_t *at_ = nullptr, *end_ = nullptr;  // of the slab being cut
  Head* idle_[kClasses] = {};
  size_t idle_bytes_ = 0, keep_;
  uint64_t misses_ = 0;
};

}  // namespace zcrpc::http
