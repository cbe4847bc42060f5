#include "base/released.h"

#ifdef ZCRPC_DEBUG

#include <dlfcn.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "base/allocator.h"
#include "base/public_entry.h"

namespace zcrpc::base {
namespace {

// Memory in which views have ended, and where no other has begun since.
struct Range {
  uintptr_t begin, end;
  uint64_t when;         // which end it was
  const char* function;  // public, on whose way it ended; nullptr: none was running
  const void* caller;
  const char* reason;    // why it ended there; nullptr: to end it is what the function is for
  const Arena* arena;
};
// Of the latest views, what they were.
struct Ended {
  uintptr_t begin, end;
  uint64_t when;
  char type[96];
};
struct Kept {
  void* block;
  size_t size;
};
constexpr size_t kRanges = 65536, kEnded = 1024, kBlocks = 64, kBytes = size_t(16) << 20;

// State of the whole process, which only debug builds have: an address is all that a view tells once its memory has gone.
// Zeroed by the loader; the lock spins, since what it guards is short.
std::atomic_flag lock_ = ATOMIC_FLAG_INIT;
Range ranges_[kRanges];  // by address, apart from each other; not malloc's, whose uses tests count
size_t range_count_;
uint64_t ends_;
Ended ended_[kEnded];
Kept kept_[kBlocks];
size_t next_ended_, next_kept_, kept_bytes_;
thread_local const char* function_;
thread_local const void* caller_;
thread_local const char* public_call_;
thread_local const void* public_caller_;
thread_local const char* reason_;

struct Locked {
  Locked() {
    while (lock_.test_and_set(std::memory_order_acquire)) {
    }
  }
  ~Locked() { lock_.clear(std::memory_order_release); }
};

// The first range that ends behind the address.
size_t place_of(uintptr_t at) {
  return size_t(std::partition_point(ranges_, ranges_ + range_count_, [at](const Range& r) { return r.end <= at; }) - ranges_);
}

// The oldest ends are forgotten, about half of all ranges.
void forget_some() {
  for (uint64_t young = kRanges; range_count_ > kRanges / 2; young /= 2) {
    auto* last = std::remove_if(ranges_, ranges_ + range_count_, [young](const Range& r) { return r.when + young <= ends_; });
    range_count_ = size_t(last - ranges_);
  }
}

void make_room_for_two() {
  if (range_count_ + 2 > kRanges) forget_some();
}

void insert(size_t at, const Range& r) {
  memmove(ranges_ + at + 1, ranges_ + at, (range_count_ - at) * sizeof(Range));
  ranges_[at] = r;
  range_count_++;
}

// Nothing has ended in [begin, end), as far as is known. Room for two ranges is there.
void cut(uintptr_t begin, uintptr_t end) {
  const size_t first = place_of(begin);
  if (first < range_count_ && ranges_[first].begin < begin) {
    Range behind = ranges_[first];
    ranges_[first].end = begin;
    if (behind.end > end) {
      behind.begin = end;
      insert(first + 1, behind);
      return;
    }
  }
  const size_t from = place_of(begin);
  size_t to = from;
  while (to < range_count_ && ranges_[to].end <= end) to++;
  memmove(ranges_ + from, ranges_ + to, (range_count_ - to) * sizeof(Range));
  range_count_ -= to - from;
  if (from < range_count_ && ranges_[from].begin < end) ranges_[from].begin = end;
}

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

// What is known of the address; begin 0: nothing has ended there.
struct Found {
  Range range{};
  char type[96] = "";
};
void find(uintptr_t at, Found* found) {
  const Locked locked;
  const size_t i = place_of(at);
  if (i == range_count_ || ranges_[i].begin > at) return;
  found->range = ranges_[i];
  for (const Ended& e : ended_)
    if (e.when == found->range.when && at >= e.begin && at < e.end) memcpy(found->type, e.type, sizeof e.type);
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

PublicCall::PublicCall(const char* function) : before_(public_call_) { public_call_ = function; }
PublicCall::~PublicCall() { public_call_ = before_; }

PublicEntry::PublicEntry(const char* function, const void* caller) : name_(function), before_(public_caller_) { public_caller_ = caller; }
PublicEntry::~PublicEntry() { public_caller_ = before_; }
const void* PublicEntry::caller() { return public_caller_; }

ReleaseReason::ReleaseReason(const char* reason) : before_(reason_) { reason_ = reason; }
ReleaseReason::~ReleaseReason() { reason_ = before_; }

uint64_t begin_end() {
  const Locked locked;
  return ++ends_;
}

void memory_ended(uint64_t end, const void* begin, size_t size, const Arena* arena) {
  const auto from = reinterpret_cast<uintptr_t>(begin);
  const Locked locked;
  if (!size) return;
  make_room_for_two();
  cut(from, from + size);
  make_room_for_two();
  Range r = {from, from + size, end, function_, caller_, nullptr, arena};
  if (!function_) {
    r.function = public_call_;
    r.caller = public_caller_;
    r.reason = reason_ ? reason_ : "the end of its call";
  }
  insert(place_of(from), r);
}

void view_ended(uint64_t end, const void* index, size_t size, std::string_view type) {
  const Locked locked;
  Ended* e = &ended_[next_ended_++ % kEnded];
  *e = {reinterpret_cast<uintptr_t>(index), reinterpret_cast<uintptr_t>(index) + size, end, {}};
  memcpy(e->type, type.data(), std::min(type.size(), sizeof e->type - 1));
}

void view_began(const void* index, size_t size) {
  const auto begin = reinterpret_cast<uintptr_t>(index);
  const Locked locked;
  make_room_for_two();
  cut(begin, begin + size);
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
  Found found;
  if (v) find(reinterpret_cast<uintptr_t>(v), &found);
  const Range& r = found.range;
  if (!r.end) return;
  if (public_call_ && strcmp(user, "operator()") == 0) user = public_call_;
  char caller[512], text[1024];
  name_of(r.caller, caller, sizeof caller);
  int n = snprintf(text, sizeof text, "zcrpc: %s: view%s%s used after %s%s%s, which ended arena %p%s%s\n", user, *found.type ? " of " : "", found.type,
                   r.reason ? r.reason : "", r.reason && r.function ? " in " : "", r.function ? r.function : "", static_cast<const void*>(r.arena),
                   r.function ? "; called at " : "", r.function ? caller : "");
  if (size_t(n) >= sizeof text) n = int(sizeof text) - 1;
  if (write(2, text, size_t(n)) < 0) {
  }
  abort();
}

}  // namespace zcrpc::base

#endif
