// The server: routes, addresses, and the workers that serve them on their loops.
#pragma once

#include <algorithm>

#include "base/string.h"
#include "net/fork.h"
#include "net/listener.h"
#include "net/loop.h"
#include "net/stream.h"
#include "rpc/call.h"
#include "server/config.h"
#include "server/health.h"
#include "server/routes.h"
#include "server/worker.h"

namespace zcrpc::server {

class Server {
 public:
  static base::Result<Server*> make(const Config& c, const net::Loop::Options& loops);
  static void free(Server* s);  // detaches from the loops that it was attached to

  // streams: what every connection goes through; retained. nullptr: sockets as they are.
  base::Status listen(std::string_view address, net::Streams* streams = nullptr);
  const char* address(size_t i) const;  // nullptr past the end
  // interceptors: of the method, behind the server's; copied. replace: may take the place of another.
  base::Status set(Route r, std::span<const Interceptor> interceptors, std::string_view prefix, bool replace);
  base::Status set(const Route& r, std::span<const Interceptor> interceptors = {}) { return set(r, interceptors, config_.prefix, false); }
  base::Status set_unknown(Route r, std::span<const Interceptor> interceptors, bool replace);
  base::Status set_plain(Route r, bool replace);
  base::Status attach(net::Loop* loop, rpc::Hub* hub);
  base::Status run(int threads);
  void drain(int64_t grace_ms);         // signal-safe
  void stats(zcrpc_stats* out) const;

  const Config& config() const { return config_; }
  const Routes& routes() const { return routes_; }
  Health& health() const { return *health_; }
  bool draining() const { return drain_due_ns_.load(std::memory_order_acquire) != 0; }
  // Once draining: when the lame duck ends, and when whatever still runs does.
  int64_t duck_due_ns() const { return std::min(duck_due_ns_.load(std::memory_order_acquire), drain_due_ns()); }
  int64_t drain_due_ns() const { return drain_due_ns_.load(std::memory_order_acquire); }
  // Over all workers, for the cap.
  bool may_open() { return connections_.fetch_add(1, std::memory_order_relaxed) < config_.max_connections; }
  void closed() { connections_.fetch_sub(1, std::memory_order_relaxed); }
  // [any] Places for calls: up to so many, for the loop that has none left; and back again. Loops take several at a time, so that
  // calls share no memory, of a number that is large enough.
  size_t take_places(size_t most) {
    size_t left = places_left_.load(std::memory_order_relaxed), n;
    do n = left < most ? left : most;
    while (!places_left_.compare_exchange_weak(left, left - n, std::memory_order_relaxed));
    return n;
  }
  void give_places(size_t n) { places_left_.fetch_add(n, std::memory_order_relaxed); }
  // [any] What may happen ten thousand times a second, and is told of once in a while: how often it has, since it was told of
  // last; 0: not now.
  enum Mishap { kCallRefused, kConnectionRefused, kAcceptFailed, kNotTaken, kSlowBody, kMishaps };
  uint64_t tell(Mishap m, int64_t now_ns);
  void worker_stopped_listening();
  // [any] Who serves a call of this process that comes from that loop: the same, if it serves there, else one after the
  // other. Counted, the caller releases; nullptr: nobody.
  Worker* pick_worker(const net::Loop* from);
  // Waits until nobody is within drain, who may have seen a worker before it left its loop. They do not wait for anything.
  void await_drainers() const {
    while (drainers_.load() != 0) {}
  }

 private:
  struct Told {
    std::atomic<uint64_t> count{0};
    std::atomic<int64_t> due_ns{0};
  };
  struct Place {
    int fd;  // -1: closed, or the first worker's
    net::Address bound;
    net::Streams* streams;
    bool adopted;  // bound by somebody else, who removes its path too
    net::PathId path;  // of a local socket
    char text[net::kAddressText];
  };
  struct Thread;

  Server(const Config& c, const net::Loop::Options& loops) : config_(c), loops_(loops), places_left_(c.max_calls) {}
  ~Server() = default;
  base::Result<Worker*> add_worker(net::Loop* loop, rpc::Hub* hub);
  base::Result<const Interceptors*> join(std::span<const Interceptor> first, std::span<const Interceptor> second);
  base::Status own_config();
  base::Status complete(Route* r, std::span<const Interceptor> interceptors);  // what its options left open
  base::Status add_services();
  int64_t lame_duck_ms(int64_t now_ns) const;
  void close_places();                  // and removes the paths of local sockets

  net::ForkMark fork_;
  Config config_;
  net::Loop::Options loops_;
  base::Arena names_;
  Routes routes_;
  std::mutex lists_gate_;
  Interceptors* lists_ = nullptr;       // of the routes; a call may be on a replaced one
  Health* health_ = nullptr;
  base::Vec<Place*> places_;
  std::atomic<Worker*> workers_{nullptr};
  std::atomic<uint32_t> worker_count_{0}, picked_{0};
  std::atomic<uint32_t> drainers_{0};   // threads within drain, which may be about to wake a loop
  std::atomic<uint32_t> listening_{0};  // workers that accept, or may come to
  std::atomic<int64_t> duck_due_ns_{0}, drain_due_ns_{0};  // 0: not yet
  std::atomic<size_t> connections_{0};
  std::atomic<size_t> places_left_;     // that no loop has
  Told told_[kMishaps];
  bool turns_ = false;                  // a route answers through events
  bool ran_ = false;
};

}  // namespace zcrpc::server
