// The memory source that an arena, a vector or a loop draws from. Every call may fail and return nullptr.
#pragma once

#include <cstddef>
#include <new>
#include <utility>

namespace zcrpc::base {

struct Allocator {
  void* (*alloc)(size_t size, void* user);
  // old_size is what was asked for before, so that a bump or pool allocator needs no header.
  void* (*realloc)(void* p, size_t old_size, size_t size, void* user);
  void (*free)(void* p, size_t size, void* user);
  void* user;
};

// malloc, realloc and free. A constant: the library holds no state of its own.
extern const Allocator kDefaultAllocator;
constexpr const Allocator* default_allocator() { return &kDefaultAllocator; }

// An object in its memory; nullptr without. drop_in ends it.
template <class T, class... Args>
[[nodiscard]] T* make_in(const Allocator* a, Args&&... args) {
  void* p = a->alloc(sizeof(T), a->user);
  return p ? new (p) T(std::forward<Args>(args)...) : nullptr;
}
template <class T>
void drop_in(const Allocator* a, T* object) {
  if (!object) return;
  object->~T();
  a->free(object, sizeof(T), a->user);
}

}  // namespace zcrpc::base
