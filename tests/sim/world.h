// A network, a clock and chance, all from one seed, behind net::Io: the server under test runs in it as it is. One thread:
// what would be another machine or another thread is an event of the world, run while the server sleeps in epoll_wait.
#pragma once

#include <cstdarg>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <queue>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "net/io.h"
#include "sim/memory.h"

namespace sim {

inline constexpr int64_t kMs = 1'000'000, kSecond = 1000 * kMs;

// splitmix64: the same numbers on every machine.
class Chance {
 public:
  explicit Chance(uint64_t seed) : state_(seed) {}
  uint64_t next() {
    uint64_t z = state_ += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
  }
  uint64_t below(uint64_t n) { return n ? next() % n : 0; }
  int64_t between(int64_t from, int64_t to) { return from + int64_t(below(uint64_t(to - from + 1))); }
  bool once_in(uint64_t n) { return below(n) == 0; }
  template <class T>
  const T& of(const std::vector<T>& list) { return list[below(list.size())]; }

 private:
  uint64_t state_;
};

// One direction of a connection.
struct Pipe {
  std::string arrived;           // to be read, from `taken` on
  size_t taken = 0;
  size_t in_flight = 0;          // bytes that are under way
  size_t capacity = 65536;
  int64_t last_ns = 0;           // when the last of them comes: nothing overtakes
  int64_t stalled_until_ns = 0;
  bool fin_sent = false, fin = false;
  size_t readable() const { return arrived.size() - taken; }
  size_t room() const { return capacity - std::min(capacity, readable() + in_flight); }
};

struct Link;

// Whoever is at the other end of a link. step: something may have changed; it reads and writes as it likes.
class Peer {
 public:
  virtual ~Peer() = default;
  virtual void step() = 0;
  Link* link = nullptr;
};

struct Link {
  int number = 0;
  int fd = -1;                   // the server's; -1: not accepted yet, or closed
  Pipe up, down;                 // to the server, to the peer
  bool accepted = false, server_closed = false, peer_closed = false;
  bool reset = false;            // the server will read an error
  bool peer_reset = false;       // the peer has seen one
  bool disturbed = false;        // what happens on it is no longer the server's doing
  bool garbled = false;          // the peer has said nonsense: bytes mean nothing any more
  bool step_due = false;
  int64_t stalled_ns = 0;        // in all
  bool slow = false;             // its peer reads slowly, though not too slowly
  int64_t accepted_ns = 0, closed_ns = 0;  // by the server
  int64_t fin_ns = 0;            // the server has said all
  Peer* peer = nullptr;
};

struct Faults {                  // one in so many; 0: never
  uint64_t interrupt = 0, short_read = 0, short_write = 0, spurious = 0, accept = 0, option = 0, ctl = 0, stall = 0;
  int64_t latency_ms = 0, stall_ms = 0;
};

// Memory that the server asks for and does not get.
struct Shortage {
  uint64_t first = 0;              // the number of the first allocation that fails; 0: none does
  uint64_t last = 0;               // of the last one that may
  uint64_t one_in = 1;             // so many of those fail
  bool once() const { return first && first == last; }
};

class World {
 public:
  World(uint64_t seed, bool trace);
  ~World();
  World(const World&) = delete;
  World& operator=(const World&) = delete;

  const zcrpc::net::Io* io() { return &io_; }
  int64_t now() const { return now_; }
  Chance& chance() { return chance_; }
  Faults faults;
  Shortage shortage;
  // Counts the server's allocations from now on, and has some of them fail.
  void watch_memory();
  uint64_t failed_allocations() const { return failed_allocations_; }
  bool tracing() const { return trace_; }
  void note(const char* format, ...) __attribute__((format(printf, 2, 3)));

  // f runs at that time, while the server sleeps. Events of the same time come in any order.
  void at(int64_t when_ns, std::function<void()> f);
  void after(int64_t ns, std::function<void()> f) { at(now_ + ns, std::move(f)); }
  // Lets the server miss so much time, as a machine does that was suspended.
  void jump(int64_t ns);

  // ---- of peers
  Link* dial(Peer* p);                         // nullptr: nobody listens
  size_t write(Link* l, std::string_view s);   // how much was taken
  std::string read(Link* l, size_t most);
  bool ended(const Link* l) const { return l->down.fin && l->down.readable() == 0; }
  void finish(Link* l);                        // shutdown for writing
  void close(Link* l);                         // as close(2): unread bytes become a reset
  void abort(Link* l);                         // a reset at once
  void wake(Link* l, int64_t within_ns = kMs); // the peer's step, soon
  void stall(Link* l, bool up, int64_t ns);

  // ---- what a run is judged by
  int64_t patience_ns = 0;                     // that a drain has with handshakes
  bool asleep() const { return asleep_; }
  uint64_t turns() const { return turns_; }
  uint64_t most_barren() const { return most_barren_; }
  int open_descriptors() const;
  std::string why;                             // what the server did that it must not; empty: nothing
  void wrong(const char* format, ...) __attribute__((format(printf, 2, 3)));
  // Wrong, unless the link was disturbed. If memory had run out, it is noted: one failure may hurt one connection.
  void complain(const Link* l, const char* format, ...) __attribute__((format(printf, 3, 4)));
  void complain(int who, const char* text);
  size_t most_links() const { return most_links_; }  // that the server had open at once
  size_t hurt() const { return hurt_.size(); }
  // What is left to happen when the server has gone.
  void pass(int64_t ns);

 private:
  struct Event {
    int64_t when;
    uint64_t order;
    std::function<void()> run;
  };
  struct Later {
    bool operator()(const Event& a, const Event& b) const { return a.when != b.when ? a.when > b.when : a.order > b.order; }
  };
  struct Watch {
    uint32_t events;
    uint64_t data;
  };
  struct Descriptor {
    enum Kind { kFree, kListener, kLink, kEpoll, kEvent, kTimer, kNetlink } kind = kFree;
    Link* link = nullptr;
    bool edge = false;             // of an eventfd
    int64_t due = 0;               // of a timerfd
    bool bound = false, listens = false;
  };
  int open(Descriptor::Kind kind, Link* l = nullptr);
  Descriptor* get(int fd, Descriptor::Kind kind, const char* what);
  uint32_t ready(int fd);
  bool hits(uint64_t one_in) { return one_in && chance_.once_in(one_in); }
  void send(Pipe* p, Link* l, std::string bytes, bool fin, bool to_server);
  void reset_by_server(Link* l);
  void run_due();
  void moved() { barren_ = 0; }

  int64_t io_recv(int fd, void* p, size_t n);
  int64_t io_sendv(int fd, const iovec* v, size_t count);
  int io_accept(int fd, sockaddr* a, socklen_t* n);
  int io_shutdown(int fd);
  void io_close(int fd);
  int io_ctl(int op, int fd, epoll_event* e);
  int io_wait(epoll_event* e, int max, int timeout_ms);

  zcrpc::net::Io io_{};
  Chance chance_;
  bool trace_;
  int64_t now_ = 1000 * kSecond;
  std::priority_queue<Event, std::vector<Event>, Later> queue_;
  std::vector<Descriptor> descriptors_;
  std::map<int, Watch> watches_;
  std::vector<std::unique_ptr<Link>> links_;
  std::vector<Link*> backlog_, handshakes_;  // that wait for accept; that have begun
  int64_t barred_ns_ = 0;                    // since when no more may begin
  bool told_ = false;                        // of them, when it was asked last
  int listener_ = -1;
  bool asleep_ = false;
  uint64_t turns_ = 0, barren_ = 0, most_barren_ = 0;
  uint64_t allocations_ = 0, failed_allocations_ = 0;
  size_t open_links_ = 0, most_links_ = 0;
  std::set<int> hurt_;             // numbers of links
};

}  // namespace sim
