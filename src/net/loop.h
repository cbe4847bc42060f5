// The event loop: epoll, timers, work from other threads. It has no thread of its own: everything happens inside turn,
// or, for short work such as sending an answer, on a thread that has entered the loop while no turn was busy.
//
// Who may touch what: a mutex, the loop's "inside", is held by a turn except while it sleeps in epoll_wait. All calls
// marked [inside] need it. Other threads either try_enter (never blocks), or hand a Task over with post.
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>
#include <thread>

#include "base/allocator.h"
#include "base/log.h"
#include "base/status.h"
#include "base/vec.h"
#include "net/fork.h"
#include "net/io.h"
#include "net/timer.h"

namespace zcrpc::net {

// Something that waits for a descriptor. Embedded in its owner; the owner outlives its registration.
struct Handler {
  void (*ready)(Handler* self, uint32_t events) = nullptr;  // EPOLL bits
  int fd = -1;
};

// Work handed over from any thread; run once, inside. Embedded in its owner or freed by run.
struct Task {
  void (*run)(Task* self) = nullptr;
  Task* next = nullptr;
};

// Work for the end of the phase: what a connection has to flush. Embedded; queued at most once at a time.
struct Deferred {
  void (*run)(Deferred* self) = nullptr;
  Deferred* next = nullptr;
  Deferred* prev = nullptr;
  bool queued = false;
  bool turn_only = false;  // it may call the application back: what another thread defers waits for a turn
};

class Loop {
 public:
  struct Options {
    const Io* io = system_io();
    const base::Allocator* allocator = base::default_allocator();
    base::Log log;
  };
  static base::Result<Loop*> make(const Options& o);
  static void free(Loop* l);  // handlers and timers are simply forgotten; posted tasks that did not run are run

  const Io* io() const { return o_.io; }
  const base::Allocator* allocator() const { return o_.allocator; }
  const base::Log& log() const { return o_.log; }
  const Options& options() const { return o_; }

  // [any] The epoll descriptor: readable for sockets, after wake, and, from the first call on, when a timer is due.
  int fd();
  // [any], in signal handlers too: the turn that sleeps, or else the next one, returns at once.
  void wake();
  // [any] Runs t inside, in a coming turn, in order of posting.
  void post(Task* t);

  // One round: tasks, then sockets and timers (waiting at most timeout_ms, -1 for ever), then deferred work.
  // failed_precondition: called from inside itself, or while another thread is in turn.
  base::Status turn(int timeout_ms);
  // The same in two steps, for a caller that has work of its own to do inside before or after: begin enters, end
  // flushes deferred work and leaves. sleep lies between: tasks, waiting, sockets, timers, deferred work.
  base::Status begin();
  void sleep(int timeout_ms);  // [inside]
  void end();

  // [any] Enters the loop if nobody is inside (Inside below is the usual way). leave runs deferred work first, and
  // wakes a sleeping turn that has a timer earlier than it knew of, or events to return (want_turn).
  bool try_enter();
  void enter();  // waits until a thread that is inside has left; not from inside
  void leave();
  // [any] Whether this very thread is inside.
  bool inside() const { return owner_.load(std::memory_order_relaxed) == std::this_thread::get_id(); }
  // [any] Whether this thread is running a turn: callbacks may run.
  bool in_turn() const { return inside() && turning_; }
  // [inside] A sleeping turn must return (an event waits for its caller).
  void want_turn(bool yes = true) { want_turn_ = yes; }

  // [inside] Descriptors. Events: EPOLLIN, EPOLLOUT; EPOLLERR and EPOLLHUP come by themselves.
  base::Status add(Handler* h, uint32_t events);
  [[nodiscard]] bool modify(Handler* h, uint32_t events);  // false: the system refused; close the descriptor
  void remove(Handler* h);  // before its descriptor is closed

  // [inside] Timers; due times are io()->monotonic_ns. Setting again moves it. Neither allocates nor fails.
  void set_timer(Timer* t, int64_t due_ns);
  void clear_timer(Timer* t) { timers_.clear(t); }
  // [inside] Nanoseconds, read once a round; refresh reads it again.
  int64_t now() const { return now_; }
  int64_t refresh();
  // [inside] ms until the next timer (rounded up), -1: none.
  int64_t next_timer_ms();

  // [inside] Runs d once at the end of this phase of the turn, or of leave; turn_only from a thread that is not in turn:
  // at the end of the next phase of a turn, which is woken for it.
  void defer(Deferred* d);
  void undefer(Deferred* d);

  // [any] Whether this process is a child that inherited the loop by fork: then it may only free it.
  bool forked() const { return fork_.forked(); }

 private:
  explicit Loop(const Options& o) : o_(o), slots_(o.allocator) {}
  ~Loop() = default;
  base::Status init();
  void enter_locked();
  void run_tasks();
  void run_deferred();
  void dispatch(int n);
  void arm();  // timerfd, when somebody nests our descriptor

  struct Slot {
    Handler* handler;
    uint32_t generation;
  };
  Options o_;
  int ep_ = -1, wake_fd_ = -1, timer_fd_ = -1;
  ForkMark fork_;
  std::mutex mutex_;
  std::atomic<std::thread::id> owner_{};
  std::atomic<bool> woken_{false};
  std::atomic<bool> nested_{false};
  std::atomic<Task*> tasks_{nullptr};
  std::atomic<bool> in_round_{false};  // a turn exists, perhaps asleep
  bool turning_ = false;               // [inside] the owner is the turn
  bool asleep_ = false;                // [inside] a turn is in epoll_wait
  bool want_turn_ = false;             // [inside]
  int64_t asleep_until_ = 0;           // [inside] INT64_MAX: no timer
  int64_t armed_ = 0;                  // [inside] timerfd; 0: not
  int64_t now_ = 0;
  uint32_t generation_ = 0;
  base::Vec<Slot> slots_;              // by descriptor
  Timers timers_;
  Deferred deferred_head_;             // a ring
  Deferred turn_head_;                 // another, of what waits for a turn
  epoll_event batch_[128];             // of the turn alone
};

// Inside a loop for a scope, if that can be had without waiting. On a thread that is inside already it does nothing.
class Inside {
 public:
  explicit Inside(Loop* l) : loop_(l), nested_(l->inside()), entered_(!nested_ && l->try_enter()) {}
  Inside(const Inside&) = delete;
  Inside& operator=(const Inside&) = delete;
  ~Inside() {
    if (entered_) loop_->leave();
  }
  explicit operator bool() const { return nested_ || entered_; }

 private:
  Loop* loop_;
  bool nested_, entered_;
};

}  // namespace zcrpc::net
