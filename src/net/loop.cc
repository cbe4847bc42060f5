#include "net/loop.h"

#include <errno.h>
#include <unistd.h>

#include <cstring>
#include <limits>
#include <new>

namespace zcrpc::net {

using base::Code;
using base::Result;
using base::Status;

namespace {
constexpr int64_t kNever = std::numeric_limits<int64_t>::max();
constexpr uint64_t kOwnDescriptor = 0;  // epoll data of wake and timer descriptors; handlers have a generation

Status failed(const char* what, int e) { return Status::format(Code::kUnavailable, "%s: %s", what, strerrordesc_np(-e)); }
}  // namespace

Result<Loop*> Loop::make(const Options& o) {
  void* p = o.allocator->alloc(sizeof(Loop), o.allocator->user);
  if (!p) return Status::no_memory();
  auto* l = new (p) Loop(o);
  if (Status s = l->init(); !s.ok()) {
    free(l);
    return s;
  }
  return l;
}

Status Loop::init() {
  ZCRPC_TRY(fork_.init());
  deferred_head_.next = deferred_head_.prev = &deferred_head_;
  turn_head_.next = turn_head_.prev = &turn_head_;
  const Io* io = o_.io;
  if ((ep_ = io->epoll_create(io->user)) < 0) return failed("epoll_create", ep_);
  if ((wake_fd_ = io->eventfd(io->user)) < 0) return failed("eventfd", wake_fd_);
  if ((timer_fd_ = io->timerfd(io->user)) < 0) return failed("timerfd", timer_fd_);
  // Edge-triggered, so that nobody has to read them: every write and every expiry is a new edge.
  epoll_event e{};
  e.events = EPOLLIN | EPOLLET;
  e.data.u64 = kOwnDescriptor;
  for (int fd : {wake_fd_, timer_fd_})
    if (int r = io->epoll_ctl(io->user, ep_, EPOLL_CTL_ADD, fd, &e); r < 0) return failed("epoll_ctl", r);
  now_ = io->monotonic_ns(io->user);
  timers_.start(now_);
  return {};
}

void Loop::free(Loop* l) {
  if (!l) return;
  if (!l->forked()) l->run_tasks();
  const Io* io = l->o_.io;
  for (int fd : {l->timer_fd_, l->wake_fd_, l->ep_})
    if (fd >= 0) io->close(io->user, fd);
  const base::Allocator* a = l->o_.allocator;
  l->~Loop();
  a->free(l, sizeof(Loop), a->user);
}

int Loop::fd() {
  // The turn that this wakes arms the timer descriptor for the first time.
  if (!nested_.exchange(true)) wake();
  return ep_;
}

void Loop::wake() {
  if (!woken_.exchange(true)) o_.io->eventfd_write(o_.io->user, wake_fd_);
}

void Loop::post(Task* t) {
  Task* head = tasks_.load(std::memory_order_relaxed);
  do t->next = head;
  while (!tasks_.compare_exchange_weak(head, t, std::memory_order_release, std::memory_order_relaxed));
  wake();
}

void Loop::run_tasks() {
  Task* t = tasks_.exchange(nullptr, std::memory_order_acquire);
  Task* in_order = nullptr;
  while (t) {
    Task* next = t->next;
    t->next = in_order;
    in_order = t;
    t = next;
  }
  while (in_order) {
    Task* next = in_order->next;
    in_order->next = nullptr;
    in_order->run(in_order);
    in_order = next;
  }
}

void Loop::defer(Deferred* d) {
  if (d->queued) return;
  d->queued = true;
  const bool waits = d->turn_only && !turning_;
  if (waits) want_turn_ = true;
  Deferred* head = waits ? &turn_head_ : &deferred_head_;
  d->next = head;
  d->prev = head->prev;
  d->prev->next = d;
  head->prev = d;
}

void Loop::undefer(Deferred* d) {
  if (!d->queued) return;
  d->queued = false;
  d->prev->next = d->next;
  d->next->prev = d->prev;
}

void Loop::run_deferred() {
  const auto run = [this](Deferred* head) {
    while (head->next != head) {
      Deferred* d = head->next;
      undefer(d);
      d->run(d);
    }
  };
  if (turning_) run(&turn_head_);
  run(&deferred_head_);
}

int64_t Loop::refresh() { return now_ = o_.io->monotonic_ns(o_.io->user); }

void Loop::set_timer(Timer* t, int64_t due_ns) { timers_.set(t, due_ns); }

int64_t Loop::next_timer_ms() {
  int64_t due = timers_.next();
  if (due == kNever) return -1;
  int64_t left = due - refresh();
  return left <= 0 ? 0 : (left + Timers::kNsPerMs - 1) / Timers::kNsPerMs;
}

void Loop::arm() {
  if (!nested_.load(std::memory_order_relaxed)) return;
  int64_t due = timers_.next();
  // An expiry that comes too early is harmless, so a timer that was cleared costs no system call here.
  if (due == kNever || (armed_ > now_ && armed_ <= due)) return;
  if (due <= 0) due = 1;  // 0 would disarm
  if (o_.io->timerfd_set(o_.io->user, timer_fd_, due) >= 0) armed_ = due;
}

void Loop::enter_locked() { owner_.store(std::this_thread::get_id(), std::memory_order_relaxed); }

Status Loop::begin() {
  if (forked()) return Status(Code::kFailedPrecondition, "the loop belongs to the parent process");
  if (inside()) return Status(Code::kFailedPrecondition, "turn from inside a turn");
  if (in_round_.exchange(true, std::memory_order_acquire)) return Status(Code::kFailedPrecondition, "another thread is in turn");
  mutex_.lock();
  enter_locked();
  turning_ = true;
  refresh();
  return {};
}

void Loop::sleep(int timeout_ms) {
  const Io* io = o_.io;
  run_tasks();
  run_deferred();
  int64_t wait = want_turn_ ? 0 : timeout_ms;
  int64_t due = timers_.next();
  if (due != kNever && wait != 0) {
    int64_t left = due <= now_ ? 0 : (due - now_ + Timers::kNsPerMs - 1) / Timers::kNsPerMs;
    if (wait < 0 || left < wait) wait = left;
  }
  if (wait > std::numeric_limits<int>::max()) wait = std::numeric_limits<int>::max();
  int n;
  if (wait == 0) {
    n = io->epoll_wait(io->user, ep_, batch_, int(std::size(batch_)), 0);
  } else {
    asleep_ = true;
    asleep_until_ = due;
    turning_ = false;
    owner_.store({}, std::memory_order_relaxed);
    mutex_.unlock();
    n = io->epoll_wait(io->user, ep_, batch_, int(std::size(batch_)), int(wait));
    mutex_.lock();
    enter_locked();
    turning_ = true;
    asleep_ = false;
  }
  refresh();
  if (n > 0) dispatch(n);
  timers_.run(now_);
  run_tasks();
  run_deferred();
}

void Loop::dispatch(int n) {
  for (int i = 0; i < n; i++) {
    uint64_t key = batch_[i].data.u64;
    if (key == kOwnDescriptor) {
      // Before the tasks run, so that one posted after them writes again.
      woken_.store(false);
      continue;
    }
    // A handler removed by an earlier one of this batch has another generation now.
    Slot s = slots_[uint32_t(key)];
    if (s.handler && s.generation == uint32_t(key >> 32)) s.handler->ready(s.handler, batch_[i].events);
  }
}

void Loop::end() {
  // Handlers ran since the sleep: what they took is not the time of whoever gets their answers.
  if (deferred_head_.next != &deferred_head_ || turn_head_.next != &turn_head_) refresh();
  run_deferred();
  arm();
  if (want_turn_) wake();
  want_turn_ = false;
  turning_ = false;
  owner_.store({}, std::memory_order_relaxed);
  mutex_.unlock();
  in_round_.store(false, std::memory_order_release);
}

Status Loop::turn(int timeout_ms) {
  ZCRPC_TRY(begin());
  sleep(timeout_ms);
  end();
  return {};
}

bool Loop::try_enter() {
  if (forked() || !mutex_.try_lock()) return false;
  enter_locked();
  refresh();
  return true;
}

void Loop::enter() {
  mutex_.lock();
  enter_locked();
  refresh();
}

void Loop::leave() {
  run_deferred();
  if (!asleep_) arm();
  if (want_turn_ || (asleep_ && timers_.next() < asleep_until_)) wake();
  want_turn_ = false;
  owner_.store({}, std::memory_order_relaxed);
  mutex_.unlock();
}

Status Loop::add(Handler* h, uint32_t events) {
  auto fd = size_t(h->fd);
  if (slots_.size() <= fd) {
    size_t n = fd + 1 - slots_.size();
    Slot* s = slots_.grow(n);
    if (!s) return Status::no_memory();
    memset(static_cast<void*>(s), 0, n * sizeof *s);
  }
  if (++generation_ == 0) generation_ = 1;
  epoll_event e{};
  e.events = events;
  e.data.u64 = uint64_t(generation_) << 32 | fd;
  if (int r = o_.io->epoll_ctl(o_.io->user, ep_, EPOLL_CTL_ADD, h->fd, &e); r < 0) return failed("epoll_ctl", r);
  slots_[fd] = {h, generation_};
  return {};
}

bool Loop::modify(Handler* h, uint32_t events) {
  epoll_event e{};
  e.events = events;
  e.data.u64 = uint64_t(slots_[size_t(h->fd)].generation) << 32 | uint32_t(h->fd);
  return o_.io->epoll_ctl(o_.io->user, ep_, EPOLL_CTL_MOD, h->fd, &e) >= 0;
}

void Loop::remove(Handler* h) {
  slots_[size_t(h->fd)] = {};
  if (forked()) return;  // the descriptor's registration is shared with the parent
  epoll_event e{};
  (void)o_.io->epoll_ctl(o_.io->user, ep_, EPOLL_CTL_DEL, h->fd, &e);
}

}  // namespace zcrpc::net
