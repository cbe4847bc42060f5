// A server on one loop: its connections, its listeners there, and the memory that they share.
#pragma once

#include "base/arena.h"
#include "compress/compress.h"
#include "http/h2.h"
#include "http/http1.h"
#include "http/output.h"
#include "net/listener.h"
#include "net/loop.h"
#include "rpc/call.h"
#include "server/blocks.h"
#include "server/call.h"
#include "server/config.h"
#include "server/connection.h"

namespace zcrpc::server {

class Health;
class Server;

class Worker {
 public:
  static base::Result<Worker*> make(Server* s, net::Loop* loop, rpc::Hub* hub);
  struct Socket {
    int fd;
    net::Streams* streams;   // the server's, or nullptr
    bool own;                // the worker closes it
    bool shared;             // with the server's other loops
    bool adopted;            // perhaps with other processes
  };
  // [inside] One more listener.
  base::Status listen(const Socket& s);
  // [inside] Those that are not shared are its own from now on.
  void own_listeners();
  // [any] Signal-safe. The server's drain has begun, or its end has come nearer.
  void drain_posted();
  // [inside] Closes everything and leaves the loop. Memory stays until the last call has been released.
  void detach();
  void retain() { refs_.fetch_add(1, std::memory_order_relaxed); }
  void release();
  Worker* retained() {
    retain();
    return this;
  }

  const Config& config() const;
  Server* server() const { return server_; }
  rpc::Hub* hub() const { return hub_; }
  const base::Allocator* allocator() const { return allocator_; }
  net::Loop* loop() const { return loop_; }
  bool drained() const { return drained_.load(std::memory_order_acquire); }
  rpc::Counters& counters() { return counters_; }
  const rpc::Counters& counters() const { return counters_; }
  uint64_t late_ops();                     // [any] of its loop

  // [inside]
  ServerCall* take_call();
  void give_call(ServerCall* c);
  Delivery* take_delivery();               // nullptr without memory
  void give_delivery(Delivery* d);
  void closed(Connection* c);
  void opened(Connection* c);
  base::Status may_serve() const;          // a call of this process
  // A place for a call, of those that the server has over all loops. False: there is none, which is counted and logged.
  bool occupy();
  void vacate();
  std::string_view date();                 // for HTTP heads; its bytes stay where they are, and change every second
  const Route* route(const rpc::Request& r) const;  // nullptr: none
  uint32_t random() { return random_ = random_ * 1664525u + 1013904223u; }

  // [any]
  const base::Log& log() const { return log_; }
  bool forked() const { return fork_.forked(); }
  int64_t clock_ns() const { return io_->monotonic_ns(io_->user); }
  // [any] Runs t inside the loop: at once if nobody is there, else by posting. False: the worker has left its loop.
  bool run_inside(net::Task* t);
  // [any] Posts t, to run in a turn. False: the worker has left its loop.
  bool post(net::Task* t);

  Blocks blocks;
  http::ChunkPool chunks;
  http::H2Context h2;
  http::Http1Limits http1_limits;
  compress::Pool compression;
  base::Arena heads;                       // of HTTP/1.1 heads while they are read
  size_t kept_blocks = 0;                  // blocks that unfinished requests hold; beyond so many, requests are copied
  static constexpr size_t kMostKept = 64;
  Worker* next = nullptr;                  // the server's list

 private:
  struct OwnTask : net::Task { Worker* self; };
  struct OwnTimer : net::Timer { Worker* self; };
  struct DrainedEvent : rpc::Event { const base::Allocator* allocator; };
  struct Open {
    Worker* self;
    Socket socket;
    net::Listener listener;
  };

  Worker(Server* s, net::Loop* loop, rpc::Hub* hub, const http::H2Settings& settings);
  ~Worker();
  static void destroy(Worker* w);
  static void accepted(void* open, int fd, const net::Address& peer);
  size_t places_at_once() const;
  void drain();
  void leave();  // behind the lame-duck time: clients are told to go elsewhere
  int64_t bar_listeners(int64_t now, int64_t due);
  void close_listeners();
  void check_drained();
  void on_timer();

  std::atomic<uint32_t> refs_{1};
  Server* server_;                         // [inside] gone after detach
  Health* health_;                         // counted: calls that watch outlive the server
  net::Loop* loop_;
  const base::Allocator* allocator_;       // the loop's, and may be needed after it
  const net::Io* io_;
  const base::Log log_;                    // the loop's; calls may be finished after it
  rpc::Hub* hub_;
  net::ForkMark fork_;
  std::mutex gate_;                        // of the next two: threads that want in
  bool attached_ = true;
  int visitors_ = 0;
  rpc::Counters counters_;
  std::atomic<bool> drain_posted_{false}, drained_{false}, left_{false};
  bool draining_ = false, leaving_ = false, past_deadline_ = false, listening_ = true, barred_ = false, settled_ = false;
  int64_t barred_ns_ = 0;                  // since when nobody new may connect
  OwnTask drain_task_;
  OwnTimer timer_;
  DrainedEvent* drained_event_ = nullptr;    // until it is queued, which must not fail
  base::Vec<Open*> listeners_;
  Connection* connections_ = nullptr;
  ServerCall* idle_calls_ = nullptr;
  size_t idle_count_ = 0;
  Delivery* idle_deliveries_ = nullptr;
  size_t idle_delivery_count_ = 0;
  int64_t date_due_ns_ = INT64_MIN;        // when the next second begins
  char date_[http::kDateSize];
  uint32_t random_ = 1;
  size_t places_ = 0;                      // for calls, of the server's, that are free
};

}  // namespace zcrpc::server
