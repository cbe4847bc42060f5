// A reference-counted, immutable piece of memory: the library's own (with slack behind it), or the caller's with a
// release callback. Any thread may retain and release.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <utility>

#include "base/allocator.h"
#include "base/slice.h"

namespace zcrpc::base {

// Readable bytes behind every buffer of our own, so that the decoder may load whole vectors at its end.
inline constexpr size_t kSlack = 32;

class Buffer {
 public:
  using Release = void (*)(const void* data, size_t size, void* user);

  // New memory with one reference and kSlack zeroed bytes behind it; nullptr without memory. The allocator must last, and
  // free on whichever thread drops the last reference.
  static Buffer* make(size_t size, const Allocator* a = default_allocator());
  // The caller's memory: release runs once, on the thread that drops the last reference. nullptr: it never runs.
  static Buffer* wrap(const void* data, size_t size, Release release, void* user);
  // A part of another buffer, which it retains; nullptr without memory.
  static Buffer* part(Buffer* whole, size_t offset, size_t size);

  Buffer* retain() {
    refs_.fetch_add(1, std::memory_order_relaxed);
    return this;
  }
  void release() {
    if (refs_.fetch_sub(1, std::memory_order_acq_rel) == 1) destroy();
  }
  bool unique() const { return refs_.load(std::memory_order_acquire) == 1; }

  Slice slice() const { return {data_, size_}; }
  const uint8_t* data() const { return data_; }
  size_t size() const { return size_; }
  // What it was made with; of the caller's memory, what it shows.
  size_t held() const { return release_ ? size_ : made_; }
  // Whether kSlack bytes behind the data may be read.
  bool has_slack() const { return release_ == nullptr; }
  uint8_t* writable() { return const_cast<uint8_t*>(data_); }  // before it is shared only
  void shrink(size_t size) { size_ = size; }                   // before it is shared only
  // Memory of make that is not shared: another size, the bytes that fit kept. The old pointer is dead;
  // nullptr: no memory, and it lives on as it was.
  static Buffer* resize(Buffer* b, size_t size);

 private:
  Buffer(const uint8_t* d, size_t n, const Allocator* a) : refs_(1), data_(d), size_(n), made_(n), a_(a) {}
  Buffer(const uint8_t* d, size_t n, Release r, void* u) : refs_(1), data_(d), size_(n), release_(r), user_(u) {}
  ~Buffer() = default;
  void destroy();

  std::atomic<uint32_t> refs_;
  const uint8_t* data_;
  size_t size_;
  Release release_ = nullptr;  // of the caller's memory
  union {
    void* user_;
    size_t made_;              // of our own: what it was made with
  };
  const Allocator* a_ = default_allocator();
};

// Owns one reference.
class BufferRef {
 public:
  BufferRef() = default;
  explicit BufferRef(Buffer* b) : b_(b) {}  // takes the reference over
  BufferRef(const BufferRef&) = delete;
  BufferRef& operator=(const BufferRef&) = delete;
  BufferRef(BufferRef&& o) noexcept : b_(std::exchange(o.b_, nullptr)) {}
  BufferRef& operator=(BufferRef&& o) noexcept {
    if (this != &o) reset(std::exchange(o.b_, nullptr));
    return *this;
  }
  ~BufferRef() { reset(); }
  void reset(Buffer* b = nullptr) {
    if (b_) b_->release();
    b_ = b;
  }
  Buffer* get() const { return b_; }
  Buffer* operator->() const { return b_; }
  explicit operator bool() const { return b_ != nullptr; }
  [[nodiscard]] Buffer* take() { return std::exchange(b_, nullptr); }

 private:
  Buffer* b_ = nullptr;
};

}  // namespace zcrpc::base
