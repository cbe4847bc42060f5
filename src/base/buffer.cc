#include "base/buffer.h"

#include <cstring>
#include <new>

namespace zcrpc::base {

Buffer* Buffer::make(size_t size, const Allocator* a) {
  if (size > SIZE_MAX - sizeof(Buffer) - kSlack) return nullptr;
  void* p = a->alloc(sizeof(Buffer) + size + kSlack, a->user);
  if (!p) return nullptr;
  auto* data = static_cast<uint8_t*>(p) + sizeof(Buffer);
  memset(data + size, 0, kSlack);
  return new (p) Buffer(data, size, a);
}

Buffer* Buffer::resize(Buffer* b, size_t size) {
  if (size > SIZE_MAX - sizeof(Buffer) - kSlack) return nullptr;
  // A fresh Buffer is built in the moved memory: nobody else has seen the old one.
  const Allocator* a = b->a_;
  void* p = a->realloc(b, sizeof(Buffer) + b->made_ + kSlack, sizeof(Buffer) + size + kSlack, a->user);
  if (!p) return nullptr;
  auto* data = static_cast<uint8_t*>(p) + sizeof(Buffer);
  memset(data + size, 0, kSlack);
  return new (p) Buffer(data, size, a);
}

Buffer* Buffer::wrap(const void* data, size_t size, Release release, void* user) {
  void* p = default_allocator()->alloc(sizeof(Buffer), nullptr);
  if (!p) return nullptr;
  static constexpr Release kNothing = [](const void*, size_t, void*) {};
  return new (p) Buffer(static_cast<const uint8_t*>(data), size, release ? release : kNothing, user);
}

Buffer* Buffer::part(Buffer* whole, size_t offset, size_t size) {
  Buffer* b = wrap(whole->data_ + offset, size, [](const void*, size_t, void* w) { static_cast<Buffer*>(w)->release(); }, whole);
  if (b) whole->retain();
  return b;
}

void Buffer::destroy() {
  size_t size = sizeof(Buffer);
  if (release_) release_(data_, size_, user_);
  else size += made_ + kSlack;
  const Allocator* a = a_;
  this->~Buffer();
  a->free(this, size, a->user);
}

}  // namespace zcrpc::base
