#include "server/server.h"

#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <new>

#include "base/public_entry.h"
#include "net/proxy.h"
#include "rpc/thrown.h"
#include "server/services.h"

namespace zcrpc::server {

using base::Code;
using base::Result;
using base::Status;

namespace {
constexpr int kBacklog = 4096;
constexpr int64_t kMs = net::Timers::kNsPerMs;
constexpr int64_t kTellEveryNs = 10'000 * kMs;
}  // namespace

// A loop of run, and the thread that turns it.
struct Server::Thread {
  net::Loop* loop = nullptr;
  rpc::Hub* hub = nullptr;
  Worker* worker = nullptr;
  pthread_t id{};
  bool started = false;
  const void* caller = base::PublicEntry::caller();  // of run

  static void* main(void* self) {
    auto* t = static_cast<Thread*>(self);
    const base::PublicEntry entry("zcrpc_server_run", t->caller);
    while (!t->worker->drained()) {
      if (Status s = t->loop->begin(); !s.ok()) break;
      t->loop->sleep(-1);
      t->hub->run_functions();
      t->loop->want_turn(false);  // all that was queued has been delivered
      t->loop->end();
    }
    return nullptr;
  }
};

Result<Server*> Server::make(const Config& c, const net::Loop::Options& loops) {
  rpc::Thrown::prepare();
  auto* s = new (std::nothrow) Server(c, loops);
  if (!s) return Status::no_memory();
  Status ready = s->fork_.init();
  if (ready.ok()) ready = s->own_config();
  if (!ready.ok()) {
    free(s);
    return ready;
  }
  auto all = s->join(c.interceptors, {});
  if (!all.ok()) {
    free(s);
    return all.take_status();
  }
  s->config_.interceptors = {};
  if (*all) s->config_.interceptors = {(*all)->items(), (*all)->count};
  ready = s->add_services();
  if (!ready.ok()) {
    free(s);
    return ready;
  }
  return s;
}

// Its texts move to memory of the server's.
Status Server::own_config() {
  for (std::string_view* text : {&config_.prefix, &config_.hidden}) {
    *text = names_.text(*text);
    if (!text->data()) return Status::no_memory();
  }
  return config_.cors.own(&names_);
}

Status Server::add_services() {
  health_ = Health::make();
  if (!health_) return Status::no_memory();
  if (!config_.health && !config_.reflection) return {};
  auto types = services_schema();
  if (!types.ok()) return types.take_status();
  Status s;
  if (config_.health) s = add_health(this, *types);
  if (s.ok() && config_.reflection) s = add_reflection(this, *types);
  (*types)->release();  // its routes keep it
  return s;
}

void Server::free(Server* s) {
  if (!s) return;
  for (Worker* w = s->workers_.load(); w;) {
    Worker* next = w->next;
    w->detach();
    w->release();
    w = next;
  }
  s->close_places();  // of a server that never served, or could not
  for (Place* p : s->places_) {
    if (p->streams) p->streams->release();
    delete p;
  }
  while (Interceptors* l = s->lists_) {
    s->lists_ = l->next;
    std::free(l);
  }
  if (s->health_) s->health_->release();
  delete s;
}

Status Server::listen(std::string_view address, net::Streams* streams) {
  if (workers_.load()) return Status(Code::kFailedPrecondition, "the server runs already");
  net::Address a;
  int inherited = -1;
  if (address.starts_with("fd:")) {
    auto [end, e] = std::from_chars(address.data() + 3, address.data() + address.size(), inherited);
    if (e != std::errc() || end != address.data() + address.size() || inherited < 0)
      return Status::format(Code::kInvalidArgument, "%.*s: not \"fd:\" and a descriptor", int(address.size()), address.data());
  } else {
    ZCRPC_TRY(net::parse_address(address, &a));
  }
  auto* p = new (std::nothrow) Place;
  if (!p || !places_.reserve(places_.size() + 1)) {
    delete p;
    return Status::no_memory();
  }
  net::Streams* outer = streams;
  if (config_.proxy_protocol) {
    auto made = net::proxy_streams(streams);
    if (!made.ok()) {
      delete p;
      return made.take_status();
    }
    outer = *made;
  } else if (streams) {
    streams->retain();
  }
  auto fd = inherited >= 0 ? net::adopt_listener(loops_.io, inherited, &p->bound) : net::listen_on(loops_.io, a, kBacklog, &p->bound);
  if (!fd.ok()) {
    if (outer) outer->release();
    delete p;
    return fd.take_status();
  }
  p->fd = *fd;
  p->streams = outer;
  p->adopted = inherited >= 0;
  p->path = net::path_id(p->bound);
  net::format_address(p->bound, p->text);
  (void)places_.push(p);
  return {};
}

const char* Server::address(size_t i) const { return i < places_.size() ? places_[i]->text : nullptr; }

// nullptr: none.
Result<const Interceptors*> Server::join(std::span<const Interceptor> first, std::span<const Interceptor> second) {
  if (first.empty() && second.empty()) return static_cast<const Interceptors*>(nullptr);
  void* p = std::malloc(sizeof(Interceptors) + (first.size() + second.size()) * sizeof(Interceptor));
  if (!p) return Status::no_memory();
  auto* l = new (p) Interceptors{nullptr, 0};
  for (std::span<const Interceptor> part : {first, second})
    for (const Interceptor& i : part) l->items()[l->count++] = i;
  std::lock_guard lock(lists_gate_);
  l->next = lists_;
  lists_ = l;
  return static_cast<const Interceptors*>(l);
}

Status Server::complete(Route* r, std::span<const Interceptor> interceptors) {
  if (r->message_limit == 0) r->message_limit = config_.message_limit;
  if (r->max_deadline_ms < 0) r->max_deadline_ms = config_.max_deadline_ms;
  if (r->default_deadline_ms == Route::kInherit) r->default_deadline_ms = config_.default_deadline_ms;
  if (r->min_deadline_ms == Route::kInherit) r->min_deadline_ms = config_.min_deadline_ms;
  if (r->silence_ms == Route::kInherit) r->silence_ms = config_.silence_ms;
  auto joined = join(config_.interceptors, interceptors);
  if (!joined.ok()) return joined.take_status();
  r->interceptors = *joined;
  if (!r->own_compression) r->compression = config_.compression;
  if (r->compression_level < 0) r->compression_level = config_.compression_level;
  if (r->compress_min < 0) r->compress_min = int64_t(config_.compress_min);
  if (r->etags < 0) r->etags = config_.etags;
  return {};
}

Status Server::set(Route r, std::span<const Interceptor> interceptors, std::string_view prefix, bool replace) {
  if (r.fn && r.method->flags & (schema::kClientStream | schema::kServerStream))
    return Status::format(Code::kUnimplemented, "%.*s streams: it is served through its events", int(r.method->path.size()), r.method->path.data());
  ZCRPC_TRY(complete(&r, interceptors));
  ZCRPC_TRY(routes_.set(r, prefix, replace));
  if (!r.fn && !r.event_fn) turns_ = true;
  return {};
}

Status Server::set_unknown(Route r, std::span<const Interceptor> interceptors, bool replace) {
  ZCRPC_TRY(complete(&r, interceptors));
  r.raw = true;
  ZCRPC_TRY(routes_.set(Routes::kUnknownUnary, r, replace));
  ZCRPC_TRY(routes_.set(Routes::kUnknownStream, r, true));
  if (!r.event_fn) turns_ = true;
  return {};
}

Status Server::set_plain(Route r, bool replace) {
  r.silence_ms = -1;  // there are no messages
  ZCRPC_TRY(complete(&r, {}));
  return routes_.set(Routes::kPlain, r, replace);
}

Result<Worker*> Server::add_worker(net::Loop* loop, rpc::Hub* hub) {
  auto made = Worker::make(this, loop, hub);
  if (!made.ok()) return made;
  Worker* w = *made;
  routes_.publish();
  listening_.fetch_add(1);
  bool first = worker_count_.fetch_add(1) == 0;
  Status s;
  loop->enter();
  for (Place* p : places_) {
    bool shared = p->bound.of.any.sa_family == AF_UNIX || p->adopted;  // all loops accept from the one descriptor
    int fd = p->fd;
    if (!first && !shared) {
      auto again = net::listen_again(loops_.io, p->bound, kBacklog);
      if (!again.ok()) s = again.take_status();
      fd = again.ok() ? *again : -1;
    }
    if (s.ok()) s = w->listen({fd, p->streams, !first && !shared, shared, p->adopted});
    if (!s.ok()) break;
  }
  if (s.ok() && first) {
    // It closes them itself: one that stays open behind its end would go on queueing connections that nobody accepts.
    w->own_listeners();
    for (Place* p : places_)
      if (p->bound.of.any.sa_family != AF_UNIX && !p->adopted) p->fd = -1;
  }
  loop->leave();
  if (!s.ok()) {
    // The places stay as they are, if nobody else has them, for another try.
    listening_.fetch_add(1);
    w->detach();
    w->release();
    worker_count_.fetch_sub(1);
    if (listening_.fetch_sub(1) == 1 && workers_.load()) close_places();
    return s;
  }
  // At the front of a list that a signal handler may be walking.
  Worker* head = workers_.load();
  do w->next = head;
  while (!workers_.compare_exchange_weak(head, w));
  if (draining()) w->drain_posted();
  return w;
}

Worker* Server::pick_worker(const net::Loop* from) {
  uint32_t count = 0;
  for (Worker* w = workers_.load(); w; w = w->next) {
    if (w->loop() == from) return w->retained();
    count++;
  }
  if (!count) return nullptr;
  Worker* w = workers_.load();
  for (uint32_t i = picked_.fetch_add(1, std::memory_order_relaxed) % count; i > 0 && w->next; i--) w = w->next;
  return w->retained();
}

uint64_t Server::tell(Mishap m, int64_t now_ns) {
  Told& t = told_[m];
  t.count.fetch_add(1);
  int64_t due = t.due_ns.load();
  return now_ns >= due && t.due_ns.compare_exchange_strong(due, now_ns + kTellEveryNs) ? t.count.exchange(0) : 0;
}

void Server::worker_stopped_listening() {
  if (listening_.fetch_sub(1) == 1) close_places();
}

// Now the ports and paths are free.
void Server::close_places() {
  for (Place* p : places_) {
    if (p->fd < 0) continue;  // closed before; the path may be somebody else's by now
    // While it is open its file cannot be taken for another. Since nobody could connect any more, a successor may have put its own there.
    if (!p->adopted && !fork_.forked()) net::remove_path(p->bound, p->path);
    loops_.io->close(loops_.io->user, p->fd);
    p->fd = -1;
  }
}

Status Server::attach(net::Loop* loop, rpc::Hub* hub) {
  if (ran_) return Status(Code::kFailedPrecondition, "the server runs already");
  if (loop->forked()) return Status(Code::kFailedPrecondition, "the loop belongs to the parent process");
  return add_worker(loop, hub).take_status();
}

Status Server::run(int threads) {
  if (threads < 1 || threads > 1024) return Status(Code::kInvalidArgument, "threads: 1 to 1024");
  if (ran_ || workers_.load()) return Status(Code::kFailedPrecondition, "the server runs already, or did");
  if (turns_) return Status(Code::kFailedPrecondition, "a method is routed to a turn's events, which run takes none of: attach the server to a loop");
  ran_ = true;
  auto* all = new (std::nothrow) Thread[size_t(threads)];
  if (!all) return Status::no_memory();
  listening_.fetch_add(1);  // of ours: the ports stay until all loops are there
  Status s;
  for (int i = 0; i < threads && s.ok(); i++) {
    Thread& t = all[i];
    auto loop = net::Loop::make(loops_);
    if (!loop.ok()) {
      s = loop.take_status();
      break;
    }
    t.loop = *loop;
    t.hub = base::make_in<rpc::Hub>(loops_.allocator, loops_.allocator);
    if (!t.hub) {
      s = Status::no_memory();
      break;
    }
    // An event that another thread's work queues ends the sleep.
    t.hub->pushed_user = t.loop;
    t.hub->pushed = [](rpc::Hub*, void* user) { static_cast<net::Loop*>(user)->want_turn(); };
    auto w = add_worker(t.loop, t.hub);
    if (w.ok()) t.worker = *w;
    s = w.take_status();
  }
  // Signals are for the application's threads, of which the caller's is one.
  sigset_t everything, before;
  sigfillset(&everything);
  pthread_sigmask(SIG_SETMASK, &everything, &before);
  for (int i = 1; i < threads && s.ok(); i++) {
    all[i].started = pthread_create(&all[i].id, nullptr, Thread::main, &all[i]) == 0;
    if (!all[i].started) s = Status(Code::kResourceExhausted, "no thread");
  }
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  worker_stopped_listening();
  if (s.ok()) {
    Thread::main(&all[0]);
  } else {
    drain(0);
  }
  for (int i = 0; i < threads; i++)
    if (all[i].started) pthread_join(all[i].id, nullptr);
  // Their loops go, so their workers leave now; calls that somebody still holds keep the workers' memory.
  for (int i = 0; i < threads; i++) {
    Thread& t = all[i];
    if (t.worker) t.worker->detach();
    // The last connection may have closed after the thread's last round: its calls' functions hear of that too.
    if (t.hub && t.loop->begin().ok()) {
      t.hub->run_functions();
      t.loop->end();
    }
    while (rpc::Event* e = t.hub ? t.hub->front() : nullptr) {
      t.hub->pop();
      t.hub->release(e);
    }
    net::Loop::free(t.loop);
    base::drop_in(loops_.allocator, t.hub);
  }
  delete[] all;
  return s;
}

// Who polls for health looks again before it stops sending; without anybody who does, waiting is of no use.
int64_t Server::lame_duck_ms(int64_t now_ns) const {
  if (config_.lame_duck_ms >= 0) return config_.lame_duck_ms;
  return health_->polled_since(now_ns - config_.polled_ms * kMs) ? config_.polled_duck_ms : 0;
}

void Server::drain(int64_t grace_ms) {
  const net::Io* io = loops_.io;
  int64_t now = io->monotonic_ns(io->user), due = now;
  if (grace_ms > 0) {
    // The grace is for calls whose clients know that they must go: it begins when the lame duck ends, which the first drain has
    // decided for all.
    int64_t none = 0, duck = net::Timers::after(now, lame_duck_ms(now));
    if (!duck_due_ns_.compare_exchange_strong(none, duck)) duck = none;
    due = net::Timers::after(std::max(now, duck), grace_ms);
  }
  int64_t set = drain_due_ns_.load();
  do {
    if (set && set <= due) break;
  } while (!drain_due_ns_.compare_exchange_weak(set, due));
  drainers_.fetch_add(1);
  for (Worker* w = workers_.load(); w; w = w->next) w->drain_posted();
  drainers_.fetch_sub(1);
}

void Server::stats(zcrpc_stats* out) const {
  for (Worker* w = workers_.load(); w; w = w->next) {
    const rpc::Counters& c = w->counters();
    auto add = [](uint64_t* to, const std::atomic<uint64_t>& from) { *to += from.load(std::memory_order_relaxed); };
    add(&out->calls, c.calls);
    add(&out->calls_failed, c.calls_failed);
    add(&out->calls_now, c.calls_now);
    add(&out->connections, c.connections);
    add(&out->connections_now, c.connections_now);
    add(&out->bytes_in, c.bytes_in);
    add(&out->bytes_out, c.bytes_out);
    add(&out->messages_in, c.messages_in);
    add(&out->messages_out, c.messages_out);
    add(&out->copies_in, c.copies_in);
    add(&out->copies_out, c.copies_out);
    add(&out->bytes_copied_in, c.bytes_copied_in);
    add(&out->bytes_copied_out, c.bytes_copied_out);
    add(&out->allocations, c.allocations);
    add(&out->refused, c.refused);
    add(&out->dropped, c.dropped);
    for (size_t i = 0; i < 17; i++) add(&out->codes[i], c.codes[i]);
    add(&out->inflates, w->compression.inflates);
    add(&out->deflates, w->compression.deflates);
    out->late_ops += w->late_ops();
  }
}

}  // namespace zcrpc::server
