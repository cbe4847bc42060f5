// The clients of a simulation: HTTP/1.1 one call after the other (or pipelined), HTTP/2 many at a time.
#pragma once

#include <algorithm>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "sim/call.h"
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
  uint64_t abort = 0, close = 0, fin = 0, goaway = 0, ping = 0, garbage = 0;  // one step in so many
  bool proxy = false;             // begins with a PROXY header
};

class Client : public Peer {
 public:
  Client(World* w, const Manner& m) : world_(w), manner_(m) {}
  // Some calls, begun at those times.
  virtual void add(Call* c, int64_t when_ns) = 0;
  // No more will be begun; the connection closes when all have ended.
  virtual void finish() = 0;
  bool has(const Call* c) const { return std::find(calls_.begin(), calls_.end(), c) != calls_.end(); }
  // The link is gone: what has not ended, has.
  void lost();

 protected:
  void push();                     // what waits goes into the link
  void mischief();
  bool gone() const { return !link || link->peer_closed; }
  void end(Call* c);

  World* world_;
  Manner manner_;
  std::string out_;
  std::vector<Call*> calls_;
  bool done_ = false;
};

std::unique_ptr<Client> make_http1(World* w, const Manner& m, bool pipelined);
std::unique_ptr<Client> make_http2(World* w, const Manner& m);

}  // namespace sim
