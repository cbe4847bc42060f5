// grpc.health.v1.Health: what is known of services, and who watches them. Counted: the server and its workers hold it, so
// that it is there for the last event of the last call.
#pragma once

#include <atomic>
#include <mutex>
#include <string_view>

#include "base/status.h"
#include "base/vec.h"
#include "rpc/call.h"

namespace zcrpc::server {

class Health {
 public:
  static Health* make();  // nullptr without memory
  void retain() { refs_.fetch_add(1, std::memory_order_relaxed); }
  void release() {
    if (refs_.fetch_sub(1, std::memory_order_acq_rel) == 1) delete this;
  }

  // [any] Watchers are told.
  base::Status set(std::string_view service, bool serving);
  // [any] From now on nothing serves, whatever is set.
  void drain();
  // [any] Watches end: a server that drains does not wait for them.
  void end_watches();

  // [any] Whether somebody has asked since then, or watches.
  bool polled_since(int64_t ns) const { return watched_.load(std::memory_order_relaxed) != 0 || polled_ns_.load(std::memory_order_relaxed) > ns; }

  // The handlers; user is the Health.
  static zcrpc_code check(zcrpc_call* call, const zcrpc_view* request, zcrpc_encoder* reply, void* user);
  static zcrpc_code list(zcrpc_call* call, const zcrpc_view* request, zcrpc_encoder* reply, void* user);
  static void watch(zcrpc_call* call, const zcrpc_event* event, const zcrpc_view* request, void* user);

 private:
  // HealthCheckResponse.ServingStatus
  enum Status : int32_t { kServing = 1, kNotServing = 2, kServiceUnknown = 3 };
  struct Service {
    bool serving;
    uint32_t size;  // of the name, which lies behind
    std::string_view name() const { return {reinterpret_cast<const char*>(this + 1), size}; }
  };
  // One stream of Watch. Exactly one thread at a time writes to its call (busy); who wants to write meanwhile leaves
  // word (dirty). Those that are dirty and not busy are in a list of their own: a client with many watches must not make
  // each of them cost a walk over all.
  struct Watcher {
    Watcher *next, *prev;
    Watcher** list;            // which one it is in
    rpc::Call* call;
    std::string_view service;  // lies in the call's request
    int32_t sent;              // the last status; 0: none
    bool dirty, busy, gone;
  };

  Health() = default;
  ~Health();
  Service* find(std::string_view service) const;
  Status status_of(std::string_view service) const;
  static Watcher* of(const rpc::Call* c, const Health* h);
  void mark(Watcher* w);
  void all_dirty();
  void move(Watcher* w, Watcher** list);
  void unlink(Watcher* w);
  void tell(std::unique_lock<std::mutex>& lock);  // whoever is dirty
  void write(Watcher* w, std::unique_lock<std::mutex>& lock);
  void drop(Watcher* w);

  std::atomic<uint32_t> refs_{1};
  mutable std::mutex gate_;
  base::Vec<Service*> services_;
  Watcher *quiet_ = nullptr, *due_ = nullptr;
  bool draining_ = false, ended_ = false;
  std::atomic<int64_t> polled_ns_{INT64_MIN};  // the last question
  std::atomic<int> watched_{0};                // watches that are open
};

}  // namespace zcrpc::server
