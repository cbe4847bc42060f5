// A vector of trivially copyable elements whose growth can fail: push and grow tell, nothing throws.
#pragma once

#include <cstdint>
#include <cstring>
#include <type_traits>
#include <utility>

#include "base/allocator.h"

namespace zcrpc::base {

template <class T>
class Vec {
  static_assert(std::is_trivially_copyable_v<T> && std::is_trivially_destructible_v<T>);

 public:
  constexpr Vec() = default;
  explicit Vec(const Allocator* a) : a_(a) {}
  Vec(const Vec&) = delete;
  Vec& operator=(const Vec&) = delete;
  Vec(Vec&& o) noexcept : a_(o.a_), p_(std::exchange(o.p_, nullptr)), n_(std::exchange(o.n_, 0)), cap_(std::exchange(o.cap_, 0)) {}
  Vec& operator=(Vec&& o) noexcept {
    if (this != &o) {
      drop();
      a_ = o.a_;
      p_ = std::exchange(o.p_, nullptr);
      n_ = std::exchange(o.n_, 0);
      cap_ = std::exchange(o.cap_, 0);
    }
    return *this;
  }
  constexpr ~Vec() {
    if (p_) drop();
  }

  size_t size() const { return n_; }
  size_t capacity() const { return cap_; }
  bool empty() const { return n_ == 0; }
  T* data() { return p_; }
  const T* data() const { return p_; }
  T& operator[](size_t i) { return p_[i]; }
  const T& operator[](size_t i) const { return p_[i]; }
  T* begin() { return p_; }
  T* end() { return p_ + n_; }
  const T* begin() const { return p_; }
  const T* end() const { return p_ + n_; }
  T& back() { return p_[n_ - 1]; }
  const T& back() const { return p_[n_ - 1]; }

  [[nodiscard]] bool reserve(size_t n) {
    if (n <= cap_) return true;
    size_t want = cap_ * 2 > n ? cap_ * 2 : n;
    return reserve_exact(want < 8 ? 8 : want);
  }
  // Without room for more.
  [[nodiscard]] bool reserve_exact(size_t want) {
    if (want <= cap_) return true;
    if (want > SIZE_MAX / sizeof(T)) return false;
    void* q = p_ ? a_->realloc(p_, cap_ * sizeof(T), want * sizeof(T), a_->user) : a_->alloc(want * sizeof(T), a_->user);
    if (!q) return false;
    p_ = static_cast<T*>(q);
    cap_ = want;
    return true;
  }
  [[nodiscard]] bool push(const T& v) {
    T copy = v;  // v may lie in this very vector
    if (n_ == cap_ && !reserve(n_ + 1)) return false;
    p_[n_++] = copy;
    return true;
  }
  // n elements more, uninitialised; nullptr without memory.
  [[nodiscard]] T* grow(size_t n) {
    if (n > SIZE_MAX - n_ || !reserve(n_ + n)) return nullptr;
    T* q = p_ + n_;
    n_ += n;
    return q;
  }
  [[nodiscard]] bool append(const T* v, size_t n) {
    if (n == 0) return true;
    T* q = grow(n);
    if (!q) return false;
    memcpy(q, v, n * sizeof(T));
    return true;
  }
  void pop() { --n_; }
  void truncate(size_t n) { n_ = n; }
  void clear() { n_ = 0; }
  void drop() {
    if (p_) a_->free(p_, cap_ * sizeof(T), a_->user);
    p_ = nullptr;
    n_ = cap_ = 0;
  }
  // Removes the first n elements.
  void shift(size_t n) {
    if (n < n_) memmove(p_, p_ + n, (n_ - n) * sizeof(T));
    n_ -= n;
  }

 private:
  const Allocator* a_ = default_allocator();
  T* p_ = nullptr;
  size_t n_ = 0, cap_ = 0;
};

}  // namespace zcrpc::base
