#include "base/arena.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace zcrpc::base {
namespace {
constexpr size_t kFirstBlock = 4096;
constexpr size_t kSteadyBlock = size_t(1) << 20;  // blocks double up to here: beyond, a large arena would hold far more than it uses
constexpr size_t kLargest = SIZE_MAX / 4;
}  // namespace

Arena::Arena(void* memory, size_t size) {
  auto at = reinterpret_cast<uintptr_t>(memory);
  size_t skip = (8 - at % 8) % 8;
  if (size >= skip) {
    fixed_ = static_cast<uint8_t*>(memory) + skip;
    fixed_size_ = (size - skip) & ~size_t(7);
  }
  cur_ = fixed_;
  end_ = fixed_ + fixed_size_;
  reserved_ = fixed_size_;
}

void Arena::release_held() {
  for (Held* h = held_; h;) {
    Held* next = h->next;
    h->buffer->release();
    h = next;
  }
  held_ = nullptr;
}

#ifdef ZCRPC_DEBUG
void Arena::note_view(const void* index, size_t size, std::string_view type) {
  view_began(index, size);
  auto* n = static_cast<Noted*>(alloc(sizeof(Noted)));
  if (!n) return;
  *n = {noted_, index, size, {}};
  memcpy(n->type, type.data(), type.size() < sizeof n->type - 1 ? type.size() : sizeof n->type - 1);
  noted_ = n;
}

// All views end. Their memory is overwritten, and, where it is the process's, not used again for a while.
void Arena::end_views() {
  if (!noted_) return;
  const uint64_t end = begin_end();
  for (Noted* n = noted_; n; n = n->next) view_ended(end, n->index, n->size, n->type);
  noted_ = nullptr;
  if (!blocks_) memory_ended(end, fixed_, size_t(cur_ - fixed_), this);
  for (Block* b = blocks_; b; b = b->next) memory_ended(end, start(b), b->size, this);
  want_ = used();
  if (!blocks_) {
    memset(fixed_, 0xDD, size_t(cur_ - fixed_));
    return;
  }
  for (Block* b = blocks_; b; b = b->next) memset(start(b), 0xDD, b->size);
  if (a_ != default_allocator()) return;
  for (Block* b = blocks_; b;) {
    Block* next = b->next;
    const size_t size = sizeof(Block) + b->size;
    reserved_ -= b->size;
    if (!keep_released(b, size)) a_->free(b, size, a_->user);
    b = next;
  }
  blocks_ = nullptr;
  cur_ = end_ = nullptr;
}
#endif

Arena::~Arena() {
  release_held();
  end_views();
  free_blocks(nullptr);
}

void Arena::free_block(Block* b) {
  if (!b) return;
  reserved_ -= b->size;
  a_->free(b, sizeof(Block) + b->size, a_->user);
}

void Arena::free_blocks(Block* keep) {
  free_block(std::exchange(spare_, nullptr));
  for (Block* b = blocks_; b;) {
    Block* next = b->next;
    if (b != keep) free_block(b);
    b = next;
  }
}

bool Arena::add_block(size_t least) {
  if (spare_) {
    Block* const b = std::exchange(spare_, nullptr);
    if (b->size >= least) return use_block(b);
    free_block(b);
  }
  const size_t left = (most_ - std::min(most_, reserved_)) & ~size_t(7);
  if (!a_ || least > kLargest || least > left) return false;
  size_t size = !blocks_ ? kFirstBlock : blocks_->size < kSteadyBlock / 2 ? blocks_->size * 2 : kSteadyBlock;
  if (size < want_) size = want_;
  if (size > left) size = left;
  if (size < least) size = least;
  size = (size + 7) & ~size_t(7);
  auto* b = static_cast<Block*>(a_->alloc(sizeof(Block) + size, a_->user));
  if (!b && size > least) {  // the comfortable size cannot be had: try the needed one
    size = (least + 7) & ~size_t(7);
    b = static_cast<Block*>(a_->alloc(sizeof(Block) + size, a_->user));
  }
  if (!b) return false;
  b->size = size;
  reserved_ += size;
  return use_block(b);
}

bool Arena::use_block(Block* b) {
  if (blocks_) blocks_->used = size_t(cur_ - start(blocks_));
  b->next = blocks_;
  b->used = 0;
  blocks_ = b;
  cur_ = start(b);
  end_ = cur_ + b->size;
  return true;
}

std::string_view Arena::text(std::string_view s) {
  auto* p = static_cast<char*>(alloc(s.size() + 1));
  if (!p) return {};
  if (!s.empty()) memcpy(p, s.data(), s.size());
  p[s.size()] = '\0';
  return {p, s.size()};
}

uint8_t* Arena::region_open(size_t least, size_t* capacity) {
  if (size_t(end_ - cur_) < least && !add_block(least)) return nullptr;
  *capacity = size_t(end_ - cur_);
  return cur_;
}

size_t Arena::region_most(const uint8_t* region) const {
  if (most_ == SIZE_MAX) return kLargest;
  const size_t left = (most_ - std::min(most_, reserved_)) & ~size_t(7);
  if (!region) return std::max(left, size_t(end_ - cur_));
  return blocks_ && region == start(blocks_) ? blocks_->size + left : left;
}

// A block like any other, in which the next regions have room too; or, where the region has one for itself, exactly as far as it
// is asked to: the caller doubles, and has a budget of real bytes.
uint8_t* Arena::region_grow(uint8_t* region, size_t used, size_t least, size_t* capacity) {
  if (!blocks_ || region != start(blocks_)) {
    if (!add_block(least)) return nullptr;
    memcpy(cur_, region, used);
    *capacity = size_t(end_ - cur_);
    return cur_;
  }
  // Nothing but the region lies in the block, so the block itself grows: a system that can moves large ones without a
  // copy, and there are never two of them.
  if (least > kLargest || least > region_most(region)) return nullptr;
  const size_t size = (least + 7) & ~size_t(7), before = blocks_->size;
  auto* b = static_cast<Block*>(a_->realloc(blocks_, sizeof(Block) + before, sizeof(Block) + size, a_->user));
  if (!b) return nullptr;
  b->size = size;
  blocks_ = b;
  reserved_ += size - before;
  cur_ = start(b);
  end_ = cur_ + size;
  *capacity = size;
  return cur_;
}

void Arena::region_abandon() {
  if (!blocks_ || !blocks_->next || cur_ != start(blocks_)) return;
  Block* const empty = blocks_;
  blocks_ = empty->next;
  reserved_ -= empty->size;
  a_->free(empty, sizeof(Block) + empty->size, a_->user);
  cur_ = start(blocks_) + blocks_->used;
  end_ = start(blocks_) + blocks_->size;
}

bool Arena::hold(Buffer* b) {
  if (held_ && held_->buffer == b) return true;
  auto* h = static_cast<Held*>(alloc(sizeof(Held)));
  if (!h) return false;
  *h = {held_, b->retain()};
  held_ = h;
  return true;
}

bool Arena::rewind(const Mark& to) {
  if (held_ != to.held) return false;
  while (blocks_ != to.block) {
    Block* const b = blocks_;
    blocks_ = b->next;
    free_block(std::exchange(spare_, b));
  }
  cur_ = to.at;
  if (a_) end_ = blocks_ ? start(blocks_) + blocks_->size : nullptr;
  return true;
}

size_t Arena::used() const {
  if (!blocks_) return size_t(cur_ - fixed_);
  size_t n = size_t(cur_ - reinterpret_cast<const uint8_t*>(blocks_ + 1));
  for (Block* b = blocks_->next; b; b = b->next) n += b->used;
  return n;
}

void Arena::reset() {
  generation_++;
  release_held();
  end_views();
  free_block(std::exchange(spare_, nullptr));
  if (!blocks_) {
    cur_ = fixed_;
    return;
  }
  if (blocks_->next) {
    want_ = used();
    Block* largest = blocks_;
    for (Block* b = blocks_; b; b = b->next)
      if (b->size > largest->size) largest = b;
    free_blocks(largest);
    largest->next = nullptr;
    blocks_ = largest;
    end_ = start(largest) + largest->size;
    // The next round gets one block that holds all of this one.
    if (want_ > largest->size) {
      Block* small = largest;
      blocks_ = nullptr;
      size_t size = (want_ + 7) & ~size_t(7);
      if (auto* b = static_cast<Block*>(a_->alloc(sizeof(Block) + size, a_->user))) {
        reserved_ += size - small->size;
        a_->free(small, sizeof(Block) + small->size, a_->user);
        b->next = nullptr;
        b->size = size;
        b->used = 0;
        blocks_ = b;
      } else {
        blocks_ = small;
      }
      end_ = start(blocks_) + blocks_->size;
    }
  }
  cur_ = start(blocks_);
}

}  // namespace zcrpc::base
