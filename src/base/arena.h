// A bump arena: many small pieces, freed together, its memory reused after reset. Besides single pieces it hands out one
// growing region at a time (the index of a message), which may move while it grows and lies still once it is closed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/allocator.h"
#include "base/buffer.h"
#include "base/released.h"

namespace zcrpc::base {

class Arena {
 public:
  explicit Arena(const Allocator* a = default_allocator()) : a_(a) {}
  // Inside the caller's memory alone: never calls an allocator; full is nullptr.
  Arena(void* memory, size_t size);
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;
  ~Arena();

  // 8-aligned, uninitialised; nullptr without memory.
  [[nodiscard]] void* alloc(size_t size) {
    size += size == 0;  // nothing is a piece too: nullptr means no memory
    // Blocks end 8-aligned: what fits unrounded, fits rounded.
    if (size_t(end_ - cur_) < size && !add_block(size)) return nullptr;
    void* p = cur_;
    cur_ += (size + 7) & ~size_t(7);
    return p;
  }
  template <class T>
  [[nodiscard]] T* array(size_t n) {
    return n > SIZE_MAX / 2 / sizeof(T) ? nullptr : static_cast<T*>(alloc(n * sizeof(T)));
  }
  // A copy with a zero behind it; data() null without memory.
  [[nodiscard]] std::string_view text(std::string_view s);

  // Opens a region of at least `least` bytes at an 8-aligned address and tells how many there are; nullptr without
  // memory. At most one is open, and nothing else is allocated meanwhile.
  [[nodiscard]] uint8_t* region_open(size_t least, size_t* capacity);
  // Moves the open region, of which `used` bytes count, to one of at least `least` bytes. On failure the old one stays.
  [[nodiscard]] uint8_t* region_grow(uint8_t* region, size_t used, size_t least, size_t* capacity);
  void region_close(uint8_t* region, size_t used) { cur_ = region + ((used + 7) & ~size_t(7)); }
  // What was not closed was never taken; a block that was got for it goes back.
  void region_abandon();
  // Until the next call, blocks may take at most so many bytes more from the system. SIZE_MAX: no bound.
  void allow(size_t bytes) { most_ = bytes < SIZE_MAX - reserved_ ? reserved_ + bytes : SIZE_MAX; }
  // How long the open region can become under that bound; nullptr: one that is still to be opened.
  size_t region_most(const uint8_t* region) const;

#ifdef ZCRPC_DEBUG
  // An index of that many bytes lies here, in a piece of this arena; it ends with it.
  void note_view(const void* index, size_t size, std::string_view type);
#else
  void note_view(const void*, size_t, std::string_view) {}
#endif
  // Holds a reference to b until reset, one for many times in a row; false without memory.
  [[nodiscard]] bool hold(Buffer* b);
  // Forgets all pieces, keeps the largest block (and asks for enough at once next time). Generations tell stale views.
  void reset();
  uint64_t generation() const { return generation_; }
  // Where the arena is; and back to there, so that the pieces since were never taken. False: some of them hold buffers, and stay.
  struct Mark {
    void* block;
    uint8_t* at;
    const void* held;
  };
  Mark mark() const { return {blocks_, cur_, held_}; }
  bool rewind(const Mark& to);
  // Makes the newest piece longer, where it lies; false: it is not the newest, or there is no room behind it.
  [[nodiscard]] bool extend(const void* piece, size_t before, size_t size) {
    if (static_cast<const uint8_t*>(piece) + ((before + 7) & ~size_t(7)) != cur_ || size - before > size_t(end_ - cur_)) return false;
    cur_ += ((size + 7) & ~size_t(7)) - ((before + 7) & ~size_t(7));
    return true;
  }
  // Bytes in pieces, and in blocks.
  size_t used() const;
  size_t reserved() const { return reserved_; }
  const Allocator* allocator() const { return a_; }

 private:
  struct alignas(8) Block {  // so that what lies behind it is aligned where pointers have 4 bytes
    Block* next;
    size_t size;  // behind this head
    size_t used;  // once it is no longer the current one
  };
  struct Held {
    Held* next;
    Buffer* buffer;
  };
  void release_held();
#ifdef ZCRPC_DEBUG
  struct Noted {
    Noted* next;
    const void* index;
    size_t size;
    char type[96];
  };
  void end_views();
  Noted* noted_ = nullptr;  // pieces of the arena too
#else
  void end_views() {}
#endif
  static uint8_t* start(Block* b) { return reinterpret_cast<uint8_t*>(b + 1); }
  bool add_block(size_t least);
  bool use_block(Block* b);
  void free_block(Block* b);
  void free_blocks(Block* keep);

  const Allocator* a_ = nullptr;  // null: fixed memory
  Block* blocks_ = nullptr;       // the current one first
  Block* spare_ = nullptr;        // left by rewind, for the next: a mark near a block's end is gone back to again and again
  uint8_t *cur_ = nullptr, *end_ = nullptr;
  uint8_t* fixed_ = nullptr;
  size_t fixed_size_ = 0;
  size_t reserved_ = 0, want_ = 0, most_ = SIZE_MAX;
  uint64_t generation_ = 1;
  Held* held_ = nullptr;  // pieces of the arena itself, so that fixed memory stays the only memory
};

}  // namespace zcrpc::base
