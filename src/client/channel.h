// A channel: where calls are opened, and the loop on which they run. A channel belongs to one loop. Without one it has
// its own, which nobody sees: the threads that block on its calls take turns in running it.
#pragma once

#include <atomic>
#include <condition_variable>
#include <mutex>

#include "base/status.h"
#include "compress/compress.h"
#include "client/config.h"
#include "client/target.h"
#include "client/transport.h"
#include "net/loop.h"
#include "rpc/call.h"
#include "schema/schema.h"

namespace zcrpc::client {

class ClientCall;

class Channel {
 public:
  // loop and hub are the application's, or both null. The target is checked here; it is connected to at the first call.
  static base::Result<Channel*> make(net::Loop* loop, rpc::Hub* hub, std::string_view target, const ChannelConfig& config);

  // [any] Calls that run end with canceled, connections close, and the caller's reference goes. Others, of calls that
  // have not been released yet, may keep the channel's memory, but nothing of its loop when that is the application's.
  void close();
  void retain() { refs_.fetch_add(1, std::memory_order_relaxed); }
  void release();

  // [any] A call that has not begun, with one reference. config.timeout_ms and the rest are the call's own.
  base::Result<rpc::Call*> open(const schema::Method* m, const CallConfig& config);

  // [inside] The id under which ZCRPC_OP_START calls m; the same for the same method. Without memory: 0.
  base::Result<uint64_t> bind(const schema::Method* m);

  const CallConfig& call_config() const { return config_.call; }
  const compress::Registry& codings() const { return config_.codings; }
  const Target& target() const { return target_; }
  int32_t http() const { return config_.http; }
  net::Loop* loop() const { return loop_; }
  rpc::Hub* hub() const { return hub_; }
  bool has_own_loop() const { return own_loop_; }
  rpc::Counters& counters() { return counters_; }
  bool forked() const { return loop_->forked(); }

  const base::Allocator* allocator() const { return allocator_; }

  // [any] Runs t inside: now, if nobody else is, and then true; else in a coming turn.
  bool run_inside(net::Task* t);
  // Blocks until c has ended, or ready says so, which runs under a lock. Not inside.
  base::Status wait(ClientCall* c, bool (*ready)(ClientCall* c) = nullptr);
  // [inside] Marks c as ended and wakes its waiter. Nothing may touch c afterwards but who holds a reference.
  void ended(ClientCall* c);
  // [inside] What a waiter's ready looks at has changed.
  void tell();

  // [inside] The transport; made at the first call. closed: canceled.
  base::Result<Transport*> transport();
  void cancel(HttpExchange* e) { transport_->cancel(transport_, e); }
  compress::Pool* pool() { return &pool_; }  // [inside]
  void enlist(ClientCall* c);
  void delist(ClientCall* c);

 private:
  struct Close : net::Task { Channel* self; };
  struct Binding;
  Channel() = default;
  ~Channel() = default;
  base::Status may_call(const schema::Method* m) const;
  void shut();
  void unbind_all();
  static void destroy(Channel* c);

  std::atomic<uint32_t> refs_{1};
  const base::Allocator* allocator_ = nullptr;
  net::Loop* loop_ = nullptr;
  rpc::Hub* hub_ = nullptr;
  bool own_loop_ = false;
  bool closed_ = false;               // [inside]
  Target target_;
  ChannelConfig config_;
  Transport* transport_ = nullptr;    // [inside]
  ClientCall* running_ = nullptr;     // [inside] a list
  Binding* bindings_ = nullptr;       // [inside] a list
  compress::Pool pool_;               // [inside]
  Close close_;
  rpc::Counters counters_;
  std::mutex mutex_;                  // of the next two, and of a blocking call's end
  std::condition_variable changed_;
  bool led_ = false;                  // a thread runs our loop
};

}  // namespace zcrpc::client
