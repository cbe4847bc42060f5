#include "base/released.h"

#ifdef ZCRPC_DEBUG

#include <dlfcn.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "base/allocator.h"

namespace zcrpc::base {
namespace {

struct Ended {
  uintptr_t begin, end;  // 0, 0: none
  const char* function;
  const void* caller;
  const Arena* arena;
  char type[96];
};
struct Kept {
  void* block;
  size_t size;
};
constexpr size_t kEnded = 1024, kBlocks = 64, kBytes = size_t(16) << 20;

// State of the whole process, which only debug builds have: an address is all that a view tells once its memory has gone.
// Zeroed by the loader; the lock spins, since what it guards is short.
std::atomic_flag lock_ = ATOMIC_FLAG_INIT;
Ended ended_[kEnded];
Kept kept_[kBlocks];
size_t next_ended_, next_kept_, kept_bytes_;
thread_local const char* function_;
thread_local const void* caller_;

struct Locked {
  Locked() {
    while (lock_.test_and_set(std::memory_order_acquire)) {
    }
  }
  ~Locked() { lock_.clear(std::memory_order_release); }
};

void drop(Kept* k) {
  if (!k->block) return;
  kept_bytes_ -= k->size;
  kDefaultAllocator.free(k->block, k->size, nullptr);
  *k = {};
}

// "prog+0x1234 (function)", as addr2line takes it.
void name_of(const void* at, char* text, size_t size) {
  Dl_info info;
  if (!at || !dladdr(at, &info) || !info.dli_fname) {
    snprintf(text, size, "%p", at);
    return;
  }
  snprintf(text, size, "%s+0x%zx%s%s%s", info.dli_fname, size_t(static_cast<const char*>(at) - static_cast<const char*>(info.dli_fbase)),
           info.dli_sname ? " (" : "", info.dli_sname ? info.dli_sname : "", info.dli_sname ? ")" : "");
}

}  // namespace

ReleaseSite::ReleaseSite(const char* function, const void* caller) : function_(base::function_), caller_(base::caller_) {
  base::function_ = function;
  base::caller_ = caller;
}

ReleaseSite::~ReleaseSite() {
  base::function_ = function_;
  base::caller_ = caller_;
}

void view_ended(const void* index, size_t size, std::string_view type, const Arena* arena) {
  const Locked locked;
  Ended* e = &ended_[next_ended_++ % kEnded];
  *e = {reinterpret_cast<uintptr_t>(index), reinterpret_cast<uintptr_t>(index) + size, function_, caller_, arena, {}};
  memcpy(e->type, type.data(), type.size() < sizeof e->type - 1 ? type.size() : sizeof e->type - 1);
}

void view_began(const void* index, size_t size) {
  const Locked locked;
  const auto begin = reinterpret_cast<uintptr_t>(index), end = begin + size;
  for (Ended& e : ended_)
    if (e.begin < end && begin < e.end) e.begin = e.end = 0;
}

bool keep_released(void* block, size_t size) {
  if (size > kBytes / 4) return false;
  const Locked locked;
  drop(&kept_[next_kept_ % kBlocks]);
  for (size_t i = 1; i < kBlocks && kept_bytes_ + size > kBytes; i++) drop(&kept_[(next_kept_ + i) % kBlocks]);
  kept_[next_kept_++ % kBlocks] = {block, size};
  kept_bytes_ += size;
  return true;
}

void check_view(const void* v, const char* user) {
  const auto at = reinterpret_cast<uintptr_t>(v);
  if (!at) return;
  Ended found = {};
  {
    const Locked locked;
    for (const Ended& e : ended_)
      if (at >= e.begin && at < e.end) found = e;
  }
  if (!found.end) return;
  char caller[512], text[1024];
  name_of(found.caller, caller, sizeof caller);
  int n = found.function ? snprintf(text, sizeof text, "zcrpc: %s: view of %s used after %s, which ended arena %p; called at %s\n", user, found.type,
                                    found.function, static_cast<const void*>(found.arena), caller)
                         : snprintf(text, sizeof text, "zcrpc: %s: view of %s used after the end of its call, which ended arena %p\n", user,
                                    found.type, static_cast<const void*>(found.arena));
  if (size_t(n) >= sizeof text) n = int(sizeof text) - 1;
  if (write(2, text, size_t(n)) < 0) {
  }
  abort();
}

}  // namespace zcrpc::base

#endif
