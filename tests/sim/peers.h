// The clients of a simulation: HTTP/1.1 one call after the other (or pipelined), HTTP/2 many at a time.
#pragma once

#include <algorithm>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "server/local.h"
#include "server/server.h"
#include "sim/call.h"
#include "sim/tls.h"
#include "sim/world.h"

struct nghttp2_session;

namespace sim {

// What a client is like.
struct Manner {
  int64_t think_ms = 0;           // between things that it does
  size_t read_most = 65536;       // bytes at a time
  size_t chunk = 65536;           // bytes of a body at a time
  bool slow_window = false;       // HTTP/2: gives window back late
  uint32_t window = 65535;
  uint64_t expect = 0;            // HTTP/2: one call in so many asks before it sends (Expect: 100-continue)
  uint64_t abort = 0, close = 0, fin = 0, goaway = 0, ping = 0, garbage = 0;  // one step in so many
  bool proxy = false;             // begins with a PROXY header
  bool tls = false, old_tls = false, names_protocol = true;  // TLS 1.2; by ALPN
};

class Client : public Peer {
 public:
  Client(World* w, const Manner& m, bool http2) : world_(w), manner_(m) {
    if (m.tls) tls_ = make_tls_client(http2, m.names_protocol, m.old_tls);
  }
  // Some calls, begun at those times.
  virtual void add(Call* c, int64_t when_ns) = 0;
  // No more will be begun; the connection closes when all have ended.
  virtual void finish() = 0;
  bool has(const Call* c) const { return std::find(calls_.begin(), calls_.end(), c) != calls_.end(); }
  // The link is gone: what has not ended, has.
  void lost();

 protected:
  void greet();                    // before the first byte
  void push();                     // what waits goes into the link
  std::string read();
  bool ended() const { return world_->ended(link) || (tls_ && tls_->broken()); }
  bool unsent() const { return !out_.empty() || !wire_.empty(); }
  void hang_up();
  void mischief();
  bool gone() const { return !link || link->peer_closed; }
  void end(Call* c);

  World* world_;
  Manner manner_;
  std::string out_;
  std::unique_ptr<TlsClient> tls_; // nullptr: none
  std::string wire_;               // what became of out_ with TLS, and waits for the link
  std::vector<Call*> calls_;
  bool done_ = false, greeted_ = false;
};

// Begins, and says no more.
class Mute : public Peer {
 public:
  Mute(World* w, std::string first) : world_(w), first_(std::move(first)) {}
  void step() override;

 private:
  World* world_;
  std::string first_;
};

// Calls of the server's own process.
class Locals {
 public:
  Locals(World* w, zcrpc::net::Loop* loop, zcrpc::server::Server* s);
  ~Locals();
  void add(Call* c, int64_t when_ns);
  bool open() const { return open_ != 0; }  // a call has begun and not ended

 private:
  struct One;
  void begin(One* one);
  void end(One* one);
  void cancel(One* one);
  static void answered(One* one, zcrpc::base::Status failure);

  World* world_;
  zcrpc::net::Loop* loop_;
  zcrpc::server::Server* server_;
  size_t open_ = 0;
  std::vector<std::unique_ptr<One>> calls_;
};

std::unique_ptr<Client> make_http1(World* w, const Manner& m, bool pipelined);
std::unique_ptr<Client> make_http2(World* w, const Manner& m);

}  // namespace sim
