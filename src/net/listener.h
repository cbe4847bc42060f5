// Addresses to listen on, and accepting from them inside a loop.
#pragma once

#include <netinet/in.h>
#include <sys/un.h>

#include <string_view>

#include "base/status.h"
#include "net/loop.h"

namespace zcrpc::net {

struct Address {
  union {
    sockaddr any;
    sockaddr_in v4;
    sockaddr_in6 v6;
    sockaddr_un local;
  } of{};
  socklen_t size = 0;
};

// Long enough for format's text and its zero.
inline constexpr size_t kAddressText = 128;

// "192.0.2.1:80", "[2001:db8::1]:80", "localhost:80", "*:80" (every interface), "unix:/path". No names are looked up.
base::Status parse_address(std::string_view text, Address* out);
// The same form; returns its length. An unnamed local socket is "unix:".
size_t format_address(const Address& a, char* out);

// A bound and listening descriptor. Port 0: the system picks one, *bound tells. A path that a dead server left behind is
// removed; unavailable: it is in use, or the system says no.
base::Result<int> listen_on(const Io* io, const Address& a, int backlog, Address* bound);
// A descriptor that somebody else has bound and made listen, such as systemd's 3. It becomes the caller's, non-blocking
// and closed on exec; failed_precondition: it is none of that kind, and stays as it was.
base::Result<int> adopt_listener(const Io* io, int fd, Address* bound);
// One more descriptor on a TCP port that listen_on bound: the kernel spreads connections over them. Local sockets
// cannot: -1, and all loops accept from the one.
base::Result<int> listen_again(const Io* io, const Address& bound, int backlog);

// Which file a local socket was bound to; all 0: none. To be asked while the socket is open, or another may have its number.
struct PathId {
  uint64_t device = 0, inode = 0;
  bool operator==(const PathId&) const = default;
};
PathId path_id(const Address& bound);
// Removes the file, if it is still that one, and not a successor's.
void remove_path(const Address& bound, const PathId& ours);

// What is accepted from it is asked by the kernel whether it is still there, behind so long without a packet, and has ended when nothing
// has come for as long as timeout_ms then. A local socket needs none.
void keep_alive(const Io* io, int fd, int64_t idle_ms, int64_t timeout_ms);

// From now on nobody new can begin to connect, and those who have begun are still to be accepted: what makes the close of a
// listener that nobody else has lose no connection. A client whose first packet is left without an answer says it again after a
// second, and finds the port closed then; of a local socket it is refused at once. False: the system cannot.
bool bar_listener(const Io* io, int fd);
// Whether somebody is in the middle of a handshake with that listener's port: has said SYN, and not ACK yet. kUnknown: the system
// does not tell; of what only this machine can connect to, kNobody is told then, since such handshakes take no time.
enum class Connecting : uint8_t { kNobody, kSomebody, kUnknown };
Connecting connecting(const Io* io, int fd);

// Accepts inside a loop. When the process or the system is out of descriptors or memory it pauses for 100 ms.
class Listener {
 public:
  // Takes over fd's events, not fd itself. shared: other loops wait for the same descriptor. accepted: fd is a negative errno
  // where there is a pause.
  base::Status open(Loop* l, int fd, bool shared, void (*accepted)(void* user, int fd, const Address& peer), void* user);
  void close();  // leaves fd open
  void pause();  // accepts no more until resume
  void pause_a_while();
  void resume();
  // Takes what is queued in the kernel at this moment, in a pause too.
  void accept_queued();
  bool is_open() const { return loop_ != nullptr; }
  int fd() const { return handler_.fd; }

 private:
  struct Waiter : Handler {
    Listener* self;
  };
  struct Pause : Timer {
    Listener* self;
  };
  // False: no more are to be had.
  bool accept_one();

  Loop* loop_ = nullptr;
  Waiter handler_;
  Pause pause_;
  bool waiting_ = false;
  bool shared_ = false;
  void (*accepted_)(void*, int, const Address&) = nullptr;
  void* user_ = nullptr;
};

}  // namespace zcrpc::net
