#include "net/timer.h"

#include <bit>
#include <limits>

namespace zcrpc::net {

// Level l has slots of 64^l ms. A timer lies at the level of the highest group of six bits in which its time differs
// from tick_; when tick_ enters its slot it moves down.

Timers::Timers() {
  for (auto& level : slots_)
    for (Timer& head : level) head.next = head.prev = &head;
  due_.next = due_.prev = &due_;
}

void Timers::link(Timer* head, Timer* t) {
  t->prev = head->prev;
  t->next = head;
  head->prev->next = t;
  head->prev = t;
}

void Timers::unlink(Timer* t) {
  t->prev->next = t->next;
  t->next->prev = t->prev;
  t->next = t->prev = nullptr;
}

void Timers::place(Timer* t) {
  constexpr int64_t kEnd = int64_t(1) << (kLevels * kBits);
  int64_t due = t->due_ms < kEnd ? t->due_ms : kEnd - 1;
  if (due <= tick_) {
    t->level = kLevels;
    link(&due_, t);
    return;
  }
  int level = (63 - std::countl_zero(uint64_t(due) ^ uint64_t(tick_))) / kBits;
  int slot = int(due >> (level * kBits)) & (kSlots - 1);
  t->level = uint8_t(level);
  t->slot = uint8_t(slot);
  used_[level] |= uint64_t(1) << slot;
  link(&slots_[level][slot], t);
}

void Timers::set(Timer* t, int64_t due_ns) {
  if (t->set()) clear(t);
  // Rounded up, so that no timer is early.
  t->due_ms = due_ns > std::numeric_limits<int64_t>::max() - kNsPerMs ? due_ns / kNsPerMs : (due_ns + kNsPerMs - 1) / kNsPerMs;
  count_++;
  place(t);
}

void Timers::clear(Timer* t) {
  if (!t->set()) return;
  int level = t->level, slot = t->slot;
  unlink(t);
  count_--;
  if (level < kLevels && slots_[level][slot].next == &slots_[level][slot]) used_[level] &= ~(uint64_t(1) << slot);
}

int64_t Timers::next() const {
  if (due_.next != &due_) return tick_ * kNsPerMs;
  for (int level = 0; level < kLevels; level++) {
    int shift = level * kBits;
    int here = int(tick_ >> shift) & (kSlots - 1);
    uint64_t later = here == kSlots - 1 ? 0 : used_[level] >> (here + 1);
    if (!later) continue;
    int64_t slot = here + 1 + std::countr_zero(later);
    return ((((tick_ >> shift) & ~int64_t(kSlots - 1)) + slot) << shift) * kNsPerMs;
  }
  return std::numeric_limits<int64_t>::max();
}

void Timers::run(int64_t now_ns) {
  int64_t now = now_ns / kNsPerMs;
  for (;;) {
    while (due_.next != &due_) {
      Timer* t = due_.next;
      unlink(t);
      count_--;
      t->fire(t);
    }
    int64_t n = next();
    if (n == std::numeric_limits<int64_t>::max() || n / kNsPerMs > now) break;
    tick_ = n / kNsPerMs;
    // The slots that begin at this tick: move what they hold down, the widest first.
    for (int level = kLevels - 1; level >= 0; level--) {
      int slot = int(tick_ >> (level * kBits)) & (kSlots - 1);
      if (!(used_[level] >> slot & 1)) continue;
      Timer* head = &slots_[level][slot];
      used_[level] &= ~(uint64_t(1) << slot);
      Timer* t = head->next;
      head->next->prev = head->prev = head;  // detach the ring
      head->next = head;
      while (t != head) {
        Timer* after = t->next;
        t->next = t->prev = nullptr;
        place(t);
        t = after;
      }
    }
  }
  // Nothing lies between tick_ and now, so the wheel may turn on at once.
  if (now > tick_) tick_ = now;
}

}  // namespace zcrpc::net
