// A hierarchical timing wheel: setting and clearing a timer is O(1), never allocates and never fails. Resolution 1 ms,
// never early; reach 2^42 ms after boot, which is 139 years.
#pragma once

#include <cstdint>

namespace zcrpc::net {

// Embedded in its owner, who clears it before it goes.
struct Timer {
  void (*fire)(Timer* self) = nullptr;
  int64_t due_ms = 0;
  Timer* next = nullptr;
  Timer* prev = nullptr;  // nullptr: not set
  uint8_t level = 0, slot = 0;
  bool set() const { return prev != nullptr; }
};

class Timers {
 public:
  Timers();
  Timers(const Timers&) = delete;
  Timers& operator=(const Timers&) = delete;

  void start(int64_t now_ns) { tick_ = now_ns / kNsPerMs; }
  void set(Timer* t, int64_t due_ns);
  void clear(Timer* t);
  // Fires all that are due. A timer is unset before its function runs; the function may set and clear any.
  void run(int64_t now_ns);
  // When run has something to do next, ns; INT64_MAX: never. It may be earlier than the earliest timer, never later.
  int64_t next() const;
  bool empty() const { return count_ == 0; }

  static constexpr int64_t kNsPerMs = 1'000'000;
  static constexpr int64_t kNever = INT64_MAX;
  // So many ms behind now_ns, ns; kNever: ms below 0, and where it cannot be told.
  static int64_t after(int64_t now_ns, int64_t ms) { return ms < 0 || ms > (kNever - now_ns) / kNsPerMs ? kNever : now_ns + ms * kNsPerMs; }

 private:
  static constexpr int kLevels = 7, kBits = 6, kSlots = 1 << kBits;
  void place(Timer* t);
  static void link(Timer* head, Timer* t);
  static void unlink(Timer* t);

  int64_t tick_ = 0;  // all timers due at or before it have fired
  uint64_t count_ = 0;
  uint64_t used_[kLevels] = {};
  Timer slots_[kLevels][kSlots];  // heads of rings
  Timer due_;                     // ring of those that fire now
};

}  // namespace zcrpc::net
