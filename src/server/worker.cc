#include "server/worker.h"

#include <errno.h>

#include <algorithm>
#include <cstring>
#include <new>
#include <utility>

#include "server/server.h"

namespace zcrpc::server {

using base::Result;
using base::Status;

namespace {
constexpr int64_t kMs = net::Timers::kNsPerMs;
constexpr size_t kIdleCalls = 4096;  // kept for later; more are freed
constexpr size_t kIdleDeliveries = 256;

http::H2Settings h2_settings(const Config& c) {
  http::H2Settings s;
  s.max_streams = c.max_streams;
  s.max_header_bytes = uint32_t(c.header_limit);
  s.stream_window = uint32_t(c.window);
  s.max_window = uint32_t(c.max_window);
  s.connection_window = std::max(s.connection_window, s.stream_window);
  s.reset_burst = c.reset_burst;
  s.reset_rate = c.reset_rate;
  s.frame_burst = c.frame_burst;
  s.frame_rate = c.frame_rate;
  s.stream_frame_burst = std::max<int64_t>(c.frame_burst / 4, 1);
  s.stream_frame_rate = std::max<int64_t>(c.frame_rate / 5, 1);
  return s;
}
}  // namespace

Worker::Worker(Server* s, net::Loop* loop, rpc::Hub* hub, const http::H2Settings& settings)
    : blocks(&counters_, loop->allocator()), chunks(loop->allocator()), h2(loop->allocator(), settings, Connection::kH2Events), compression(loop->allocator()), heads(loop->allocator()),
      server_(s), health_(&s->health()), loop_(loop), allocator_(loop->allocator()), io_(loop->io()), log_(loop->log()), hub_(hub), listeners_(loop->allocator()) {
  health_->retain();
  http1_limits.head = s->config().header_limit;
  drain_task_.self = timer_.self = this;
  drain_task_.run = [](net::Task* t) {
    Worker* w = static_cast<OwnTask*>(t)->self;
    w->drain_posted_.store(false);
    w->drain();
    w->release();
  };
  timer_.fire = [](net::Timer* t) { static_cast<OwnTimer*>(t)->self->on_timer(); };
}

Worker::~Worker() {
  while (ServerCall* c = idle_calls_) {
    idle_calls_ = c->next;
    ServerCall::destroy(c);
  }
  while (Delivery* d = idle_deliveries_) {
    idle_deliveries_ = d->next_idle;
    Delivery::destroy(d);
  }
  base::drop_in(allocator_, drained_event_);
  health_->release();
}

Result<Worker*> Worker::make(Server* s, net::Loop* loop, rpc::Hub* hub) {
  const base::Allocator* a = loop->allocator();
  void* p = a->alloc(sizeof(Worker), a->user);
  if (!p) return Status::no_memory();
  auto* w = new (p) Worker(s, loop, hub, h2_settings(s->config()));
  w->drained_event_ = base::make_in<DrainedEvent>(a);
  Status ready = w->drained_event_ ? w->fork_.init() : Status::no_memory();
  if (ready.ok()) ready = w->h2.init();
  if (!ready.ok()) {
    destroy(w);
    return ready;
  }
  w->drained_event_->record.kind = ZCRPC_EVENT_DRAINED;
  w->drained_event_->allocator = a;
  w->drained_event_->released = [](rpc::Event* e) {
    auto* self = static_cast<DrainedEvent*>(e);
    base::drop_in(self->allocator, self);
  };
  (void)w->io_->random(w->io_->user, &w->random_, sizeof w->random_);
  return w;
}

void Worker::release() {
  if (refs_.fetch_sub(1, std::memory_order_acq_rel) == 1) destroy(this);
}

void Worker::destroy(Worker* w) {
  const base::Allocator* a = w->allocator_;
  w->~Worker();
  a->free(w, sizeof(Worker), a->user);
}

const Config& Worker::config() const { return server_->config(); }

const Route* Worker::route(const rpc::Request& r) const {
  const Routes& routes = server_->routes();
  if (const Route* known = routes.find(r.path())) return known;
  switch (r.shape()) {
    case rpc::Request::Shape::kUnary: return routes.special(Routes::kUnknownUnary);
    case rpc::Request::Shape::kStream: return routes.special(Routes::kUnknownStream);
    default: return nullptr;
  }
}

std::string_view Worker::date() {
  constexpr int64_t kSecond = 1'000'000'000;
  if (int64_t now = loop_->now(); now >= date_due_ns_) {
    int64_t wall = io_->wall_ns(io_->user);
    date_due_ns_ = now + kSecond - (wall < 0 ? 0 : wall % kSecond);
    http::http_date(wall, date_);
  }
  return {date_, sizeof date_};
}

// ---- calls

ServerCall* Worker::take_call() {
  if (ServerCall* c = idle_calls_) {
    idle_calls_ = c->next;
    idle_count_--;
    c->next = nullptr;
    return c;
  }
  rpc::Counters::add(counters_.allocations, 1);
  return ServerCall::make(this);
}

void Worker::give_call(ServerCall* c) {
  if (idle_count_ >= kIdleCalls) return ServerCall::destroy(c);
  c->next = idle_calls_;
  idle_calls_ = c;
  idle_count_++;
}

Delivery* Worker::take_delivery() {
  if (Delivery* d = idle_deliveries_) {
    idle_deliveries_ = d->next_idle;
    idle_delivery_count_--;
    return d;
  }
  rpc::Counters::add(counters_.allocations, 1);
  return Delivery::make(this);
}

void Worker::give_delivery(Delivery* d) {
  if (idle_delivery_count_ >= kIdleDeliveries) return Delivery::destroy(d);
  d->clear();
  d->next_idle = idle_deliveries_;
  idle_deliveries_ = d;
  idle_delivery_count_++;
}

bool Worker::run_inside(net::Task* t) {
  {
    std::lock_guard lock(gate_);
    if (!attached_ || fork_.forked()) return false;
    visitors_++;
  }
  // The loop cannot go while there are visitors.
  if (loop_->inside()) {
    t->run(t);
  } else if (net::Inside in(loop_); in) {
    t->run(t);
  } else {
    loop_->post(t);
  }
  std::lock_guard lock(gate_);
  visitors_--;
  return true;
}

bool Worker::post(net::Task* t) {
  std::lock_guard lock(gate_);  // the loop cannot go meanwhile
  if (!attached_ || fork_.forked()) return false;
  loop_->post(t);
  return true;
}

// Free places that one loop keeps are missed by the others: a small part of them all, at most.
size_t Worker::places_at_once() const { return std::clamp<size_t>(config().max_calls / 1024, 1, 64); }

bool Worker::occupy() {
  if (places_ == 0) places_ = server_->take_places(places_at_once());
  if (places_ > 0) {
    places_--;
    return true;
  }
  rpc::Counters::add(counters_.refused, 1);
  if (unsigned long long n = server_->tell(Server::kCallRefused, loop_->now()))
    log_.format(base::LogLevel::kWarning, "%llu calls refused: %zu run already (ZCRPC_SERVER_MAX_CALLS)", n, config().max_calls);
  return false;
}

void Worker::vacate() {
  if (left_.load()) return;  // and the server may have gone; while it has not, it waits for who is inside
  places_++;
  if (size_t n = places_at_once(); n == 1 || places_ >= 2 * n) {
    server_->give_places(n);
    places_ -= n;
  }
}

base::Status Worker::may_serve() const {
  if (left_.load()) return Status(base::Code::kUnavailable, "the server has ended");
  if (leaving_) return Status(base::Code::kUnavailable, "the server is shutting down");
  return {};
}

uint64_t Worker::late_ops() {
  std::lock_guard lock(gate_);
  return counters_.late_ops.load() + (attached_ ? hub_->late_ops.load() : 0);
}

// ---- connections

Status Worker::listen(const Socket& socket) {
  void* p = allocator_->alloc(sizeof(Open), allocator_->user);
  auto* o = p ? new (p) Open{this, socket, {}} : nullptr;
  if (!o) return Status::no_memory();
  // HTTP/1.1 has no PING: whoever went without a word in the middle of a call would keep its place for ever.
  if (const Config& c = config(); c.keepalive_ms >= 0) net::keep_alive(io_, socket.fd, c.keepalive_ms, c.keepalive_timeout_ms);
  Status s = o->listener.open(loop_, socket.fd, socket.shared, accepted, o);
  if (s.ok() && !listeners_.push(o)) s = Status::no_memory();
  if (!s.ok()) {
    o->listener.close();
    base::drop_in(allocator_, o);
  }
  return s;
}

void Worker::own_listeners() {
  for (Open* o : listeners_) o->socket.own = !o->socket.shared;
}

void Worker::accepted(void* user, int fd, const net::Address& peer) {
  auto* open = static_cast<Open*>(user);
  Worker* self = open->self;
  int64_t now = self->loop_->now();
  if (fd < 0) {
    if (fd == -EINVAL && self->server_->draining()) return;  // another loop has barred it
    if (unsigned long long n = self->server_->tell(Server::kAcceptFailed, now))
      self->log_.format(base::LogLevel::kWarning, "accept: %s, %llu times; new connections wait for 100 ms", strerrordesc_np(-fd), n);
    return;
  }
  if (!self->server_->may_open()) {
    self->server_->closed();
    rpc::Counters::add(self->counters_.refused, 1);
    self->io_->close(self->io_->user, fd);
    if (unsigned long long n = self->server_->tell(Server::kConnectionRefused, now))
      self->log_.format(base::LogLevel::kWarning, "%llu connections refused: %zu are open already (ZCRPC_SERVER_MAX_CONNECTIONS)", n, self->config().max_connections);
    for (Open* o : self->listeners_) o->listener.pause_a_while();
    return;
  }
  Connection* c = Connection::make(self, fd, peer, open->socket.streams);
  if (!c) {
    self->server_->closed();
    return;
  }
  self->opened(c);
  rpc::Counters::add(self->counters_.connections, 1);
  rpc::Counters::add(self->counters_.connections_now, 1);
  if (self->leaving_) c->drain();
}

void Worker::opened(Connection* c) {
  c->prev = nullptr;
  c->next = connections_;
  if (connections_) connections_->prev = c;
  connections_ = c;
}

void Worker::closed(Connection* c) {
  (c->prev ? c->prev->next : connections_) = c->next;
  if (c->next) c->next->prev = c->prev;
  c->next = c->prev = nullptr;
  if (!c->is_local()) {
    rpc::Counters::add(counters_.connections_now, uint64_t(-1));
    server_->closed();
  }
  check_drained();
}

// ---- the end

void Worker::drain_posted() {
  // Signal-safe: flags, and a task that is queued at most once.
  // It may be run by a loop that the worker has left.
  if (left_.load() || drain_posted_.exchange(true)) return;
  retain();
  loop_->post(&drain_task_);
}

void Worker::drain() {
  if (!attached_) return;
  if (!draining_) {
    draining_ = true;
    health_->drain();
  }
  // In the lame-duck time all goes on: a client that was told to go elsewhere would come back, to the same server.
  loop_->set_timer(&timer_, listening_ ? server_->duck_due_ns() : server_->drain_due_ns());
  check_drained();
}

void Worker::leave() {
  if (std::exchange(leaving_, true)) return;
  for (Connection* c = connections_; c;) {
    Connection* following = c->next;
    c->drain();
    c = following;
  }
}

void Worker::on_timer() {
  int64_t now = loop_->now(), due = server_->drain_due_ns();
  if (listening_ && now >= server_->duck_due_ns()) {
    if (int64_t again = bar_listeners(now, due); now < again && now < due) return loop_->set_timer(&timer_, std::min(again, due));
    // Those that the kernel has accepted were promised an answer.
    for (size_t i = 0; i < listeners_.size(); i++) listeners_[i]->listener.accept_queued();
    close_listeners();
    // Not before: who is told to go connects again, and is to be refused at once.
    leave();
    health_->end_watches();
  }
  if (now >= due && !past_deadline_) {
    past_deadline_ = true;
    size_t running = 0;
    for (Connection* c = connections_; c;) {
      Connection* following = c->next;
      running += c->running();
      c->drain_deadline();
      c = following;
    }
    if (running) loop_->log().format(base::LogLevel::kInfo, "the server ends: %zu calls had not when its grace was over", running);
    // What cannot even be told so has a moment, and is cut.
    loop_->set_timer(&timer_, now + config().linger_ms * kMs);
  } else if (past_deadline_) {
    while (connections_) connections_->close();
  } else {
    loop_->set_timer(&timer_, due);
  }
  check_drained();
}

// Nobody new may begin to connect, and those who had begun are waited for. Returns when to look again; now: nothing is to be
// waited for any more.
int64_t Worker::bar_listeners(int64_t now, int64_t due) {
  if (barred_ns_ == 0) {
    barred_ns_ = now;
    for (Open* o : listeners_) barred_ |= !o->socket.adopted && net::bar_listener(io_, o->listener.fd()) && o->socket.own;
  }
  int64_t waited = now - barred_ns_, most = 0;
  if (!barred_ || settled_) return now;
  for (Open* o : listeners_) {
    if (o->socket.adopted || !o->socket.own) continue;
    net::Connecting who = net::connecting(io_, o->listener.fd());
    if (who != net::Connecting::kNobody) most = std::max(most, who == net::Connecting::kSomebody ? config().drain_ping_ms : config().drain_quiet_ms);
  }
  // Who never ends a handshake may not take the time of calls: a quarter of it at most.
  most = std::min(most * kMs, (due - barred_ns_) / 4);
  if (waited < most) return now + std::min(std::max(waited, 1 * kMs), most - waited);
  // The kernel may be about to begin one whose SYN it had let pass, or to queue one that has ended.
  settled_ = waited > 0;
  return now + 1 * kMs;
}

void Worker::close_listeners() {
  if (!listening_) return;
  listening_ = false;
  for (Open* o : listeners_) {
    int fd = o->listener.fd();
    o->listener.close();
    if (o->socket.own) io_->close(io_->user, fd);
    base::drop_in(allocator_, o);
  }
  listeners_.clear();
  server_->worker_stopped_listening();
}

void Worker::check_drained() {
  if (!draining_ || listening_ || connections_ || drained()) return;
  loop_->clear_timer(&timer_);
  drained_.store(true, std::memory_order_release);
  hub_->push(drained_event_);
  drained_event_ = nullptr;
}

void Worker::detach() {
  if (fork_.forked()) {
    // The sockets are the parent's too: they are closed here, and nothing is sent or taken off the parent's epoll.
    for (Connection* c = connections_; c; c = c->next) c->forget_socket();
    for (Open* o : listeners_)
      if (o->socket.own) io_->close(io_->user, o->listener.fd());
    return;
  }
  {
    std::lock_guard lock(gate_);
    if (!attached_) return;
    attached_ = false;
    rpc::Counters::add(counters_.late_ops, hub_->late_ops.load());
  }
  left_.store(true);
  server_->await_drainers();
  for (;;) {  // visitors do not wait for anything, so this is short
    std::lock_guard lock(gate_);
    if (visitors_ == 0) break;
  }
  bool nested = loop_->inside();
  if (!nested) loop_->enter();
  draining_ = leaving_ = true;
  loop_->clear_timer(&timer_);
  close_listeners();
  while (connections_) connections_->close();
  hub_->run_before();  // interceptors hear the end while the server is there
  drained_.store(true, std::memory_order_release);
  if (!nested) loop_->leave();
}

}  // namespace zcrpc::server
