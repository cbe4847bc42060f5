// Names to addresses, by c-ares inside a loop: nothing blocks but the reading of /etc/hosts and /etc/resolv.conf, and no
// thread is ever started.
#pragma once

#include <span>
#include <string_view>

#include "base/status.h"
#include "net/listener.h"
#include "net/loop.h"

struct ares_channeldata;

namespace zcrpc::net {

// One look-up. Embedded in its owner, who cancels it before it goes.
class Names;
struct NameQuery {
  // [inside] Once, unless it was cancelled; perhaps before resolve has returned. unavailable: no such name, no answer.
  // The addresses carry no port and live until it returns.
  void (*done)(NameQuery* self, base::Status status, std::span<const Address> addresses) = nullptr;
  struct NameLookup* lookup = nullptr;  // while it runs
};

// All [inside].
class Names {
 public:
  static base::Result<Names*> make(Loop* l);
  static void free(Names* n);  // queries that still run are cancelled

  // IPv4 and IPv6. The name is copied.
  void resolve(NameQuery* q, std::string_view name);
  void cancel(NameQuery* q);

 private:
  struct Socket : Handler {
    Names* names;
    Socket* next;
  };
  struct Retry : Timer {
    Names* names;
  };
  friend struct NameLookup;
  explicit Names(Loop* l) : loop_(l) { retry_.names = this; }
  base::Status init();
  void watch(int fd, bool readable, bool writable);
  void rearm();

  Loop* loop_;
  ares_channeldata* ares_ = nullptr;
  Socket* sockets_ = nullptr;
  Retry retry_;
};

// "192.0.2.1" or "2001:db8::1" (no brackets): no look-up is needed.
bool is_numeric_address(std::string_view host);

}  // namespace zcrpc::net
