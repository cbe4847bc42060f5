// zcrpc.h, section 2: buffers and arenas.
#include <cstdlib>
#include <new>

#include "capi/convert.h"
#include "capi/guard.h"

using namespace zcrpc;
using namespace zcrpc::capi;

zcrpc_buffer* zcrpc_buffer_new(size_t len, void** data, zcrpc_error** err) {
  return guard(err, [&]() -> base::Result<base::Buffer*> {
    if (!data) return wrong("zcrpc_buffer_new: data is NULL");
    base::Buffer* b = base::Buffer::make(len);
    if (!b) return base::Status::no_memory();
    *data = b->writable();
    return b;
  });
}

zcrpc_buffer* zcrpc_buffer_wrap(const void* data, size_t len, zcrpc_release_fn release, void* user, zcrpc_error** err) {
  return guard(err, [&]() -> base::Result<base::Buffer*> {
    if (bad_slice(data, len)) return wrong("zcrpc_buffer_wrap: data is NULL but its length is not 0");
    base::Buffer* b = base::Buffer::wrap(data, len, release, user);
    if (!b) return base::Status::no_memory();
    return b;
  });
}

zcrpc_buffer* zcrpc_buffer_retain(zcrpc_buffer* b) { return b ? to_c(from_c(b)->retain()) : nullptr; }

void zcrpc_buffer_release(zcrpc_buffer* b) {
  if (b) from_c(b)->release();
}

void zcrpc_buffer_slice(const zcrpc_buffer* b, zcrpc_slice* out) { put(out, b ? from_c(b)->slice() : base::Slice()); }

// An arena without an allocator lives, object and all, in the caller's memory.
zcrpc_arena* zcrpc_arena_new(zcrpc_error** err) {
  return guard(err, [&]() -> base::Result<base::Arena*> {
    void* p = std::malloc(sizeof(base::Arena));
    if (!p) return base::Status::no_memory();
    return new (p) base::Arena();
  });
}

zcrpc_arena* zcrpc_arena_new_in(void* memory, size_t len, zcrpc_error** err) {
  return guard(err, [&]() -> base::Result<base::Arena*> {
    size_t skip = (alignof(base::Arena) - reinterpret_cast<uintptr_t>(memory) % alignof(base::Arena)) % alignof(base::Arena);
    if (!memory || len < skip + sizeof(base::Arena)) return wrong("zcrpc_arena_new_in: at least 256 bytes are needed");
    auto* p = static_cast<uint8_t*>(memory) + skip;
    return new (p) base::Arena(p + sizeof(base::Arena), len - skip - sizeof(base::Arena));
  });
}

void zcrpc_arena_reset(zcrpc_arena* a) {
  const base::ReleaseSite site("zcrpc_arena_reset", __builtin_return_address(0));
  if (a) from_c(a)->reset();
}

void zcrpc_arena_free(zcrpc_arena* a) {
  if (!a) return;
  const base::ReleaseSite site("zcrpc_arena_free", __builtin_return_address(0));
  bool ours = from_c(a)->allocator() != nullptr;
  from_c(a)->~Arena();
  if (ours) std::free(a);
}
