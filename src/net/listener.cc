#include "net/listener.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/tcp.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <iterator>

namespace zcrpc::net {

using base::Code;
using base::Result;
using base::Status;

namespace {

constexpr int64_t kPauseNs = 100 * Timers::kNsPerMs;
constexpr int kAcceptsARound = 64;  // so that new connections do not starve the others

Status bad(std::string_view text) {
  return Status::format(Code::kInvalidArgument, "address \"%.*s\": want host:port, [v6]:port, unix:/path or fd:N",
                        int(text.size() < 200 ? text.size() : 200), text.data());
}

Status failed(const char* what, const Address& a, int e) {
  char text[kAddressText];
  format_address(a, text);
  return Status::format(Code::kUnavailable, "%s %s: %s", what, text, strerrordesc_np(-e));
}

// A socket file that nobody answers on any more.
bool stale(const Io* io, const Address& a) {
  int fd = io->socket(io->user, AF_UNIX, SOCK_STREAM, 0);
  if (fd < 0) return false;
  int r = io->connect(io->user, fd, &a.of.any, a.size);
  io->close(io->user, fd);
  return r == -ECONNREFUSED;
}

Result<int> bind_socket(const Io* io, const Address& a, bool again) {
  int family = a.of.any.sa_family;
  int fd = io->socket(io->user, family, SOCK_STREAM, 0);
  if (fd < 0) return failed("socket for", a, fd);
  int on = 1, r = 0;
  if (family != AF_UNIX) {
    r = io->setsockopt(io->user, fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    // Only further sockets of ours say so before bind: the first one must find a port that another server has.
    if (r >= 0 && again) r = io->setsockopt(io->user, fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
    if (r >= 0 && family == AF_INET6) {
      int only = !IN6_IS_ADDR_UNSPECIFIED(&a.of.v6.sin6_addr);
      r = io->setsockopt(io->user, fd, IPPROTO_IPV6, IPV6_V6ONLY, &only, sizeof only);
    }
  }
  if (r >= 0) r = io->bind(io->user, fd, &a.of.any, a.size);
  if (r >= 0 && family != AF_UNIX && !again) r = io->setsockopt(io->user, fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
  if (r >= 0) return fd;
  io->close(io->user, fd);
  if (r == -EADDRINUSE && family == AF_UNIX && stale(io, a) && ::unlink(a.of.local.sun_path) == 0) return bind_socket(io, a, again);
  return failed("bind", a, r);
}

}  // namespace

Status parse_address(std::string_view text, Address* out) {
  *out = {};
  if (text.starts_with("unix:")) {
    std::string_view path = text.substr(5);
    if (path.empty() || path.size() >= sizeof out->of.local.sun_path || path.find('\0') != path.npos) return bad(text);
    out->of.local.sun_family = AF_UNIX;
    memcpy(out->of.local.sun_path, path.data(), path.size());
    out->of.local.sun_path[path.size()] = '\0';  // the union's other bytes need not be zero
    out->size = socklen_t(offsetof(sockaddr_un, sun_path) + path.size() + 1);
    return {};
  }
  size_t colon = text.rfind(':');
  if (colon == text.npos) return bad(text);
  std::string_view host = text.substr(0, colon), digits = text.substr(colon + 1);
  uint16_t port = 0;
  auto [end, e] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
  if (e != std::errc() || end != digits.data() + digits.size()) return bad(text);
  bool bracketed = host.size() >= 2 && host.front() == '[' && host.back() == ']';
  if (bracketed) host = host.substr(1, host.size() - 2);
  if (host == "localhost") host = "127.0.0.1";
  if (host == "*" && !bracketed) {
    host = "::";
    bracketed = true;
  }
  char name[INET6_ADDRSTRLEN];
  if (host.empty() || host.size() >= sizeof name) return bad(text);
  memcpy(name, host.data(), host.size());
  name[host.size()] = '\0';
  if (!bracketed && inet_pton(AF_INET, name, &out->of.v4.sin_addr) == 1) {
    out->of.v4.sin_family = AF_INET;
    out->of.v4.sin_port = htons(port);
    out->size = sizeof out->of.v4;
    return {};
  }
  if (bracketed && inet_pton(AF_INET6, name, &out->of.v6.sin6_addr) == 1) {
    out->of.v6.sin6_family = AF_INET6;
    out->of.v6.sin6_port = htons(port);
    out->size = sizeof out->of.v6;
    return {};
  }
  return bad(text);
}

size_t format_address(const Address& a, char* out) {
  char host[INET6_ADDRSTRLEN] = "";
  int n = 0;
  switch (a.of.any.sa_family) {
    case AF_INET:
      inet_ntop(AF_INET, &a.of.v4.sin_addr, host, sizeof host);
      n = snprintf(out, kAddressText, "%s:%u", host, ntohs(a.of.v4.sin_port));
      break;
    case AF_INET6: {
      const in6_addr& v6 = a.of.v6.sin6_addr;
      if (IN6_IS_ADDR_V4MAPPED(&v6)) {
        inet_ntop(AF_INET, v6.s6_addr + 12, host, sizeof host);
        n = snprintf(out, kAddressText, "%s:%u", host, ntohs(a.of.v6.sin6_port));
      } else {
        inet_ntop(AF_INET6, &v6, host, sizeof host);
        n = snprintf(out, kAddressText, "[%s]:%u", host, ntohs(a.of.v6.sin6_port));
      }
      break;
    }
    case AF_UNIX: {
      size_t named = a.size > offsetof(sockaddr_un, sun_path) ? a.size - offsetof(sockaddr_un, sun_path) : 0;
      n = snprintf(out, kAddressText, "unix:%.*s", int(strnlen(a.of.local.sun_path, named)), a.of.local.sun_path);
      break;
    }
    default: out[0] = '\0';
  }
  return n < 0 ? 0 : size_t(n);
}

Result<int> listen_on(const Io* io, const Address& a, int backlog, Address* bound) {
  Result<int> fd = bind_socket(io, a, false);
  if (!fd.ok()) return fd;
  *bound = {};
  bound->size = sizeof bound->of;
  int r = io->listen(io->user, *fd, backlog);
  if (r >= 0) r = io->getsockname(io->user, *fd, &bound->of.any, &bound->size);
  if (r >= 0) return fd;
  io->close(io->user, *fd);
  return failed("listen on", a, r);
}

Result<int> adopt_listener(const Io* io, int fd, Address* bound) {
  auto wrong = [fd](const char* why) { return Status::format(Code::kFailedPrecondition, "fd:%d: %s", fd, why); };
  int type = 0, listens = 0;
  socklen_t n = sizeof type;
  if (int r = io->getsockopt(io->user, fd, SOL_SOCKET, SO_TYPE, &type, &n); r < 0) return wrong(strerrordesc_np(-r));
  n = sizeof listens;
  if (io->getsockopt(io->user, fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &n) < 0 || type != SOCK_STREAM || !listens)
    return wrong("not a stream socket that listens");
  *bound = {};
  bound->size = sizeof bound->of;
  if (int r = io->getsockname(io->user, fd, &bound->of.any, &bound->size); r < 0) return wrong(strerrordesc_np(-r));
  int flags = ::fcntl(fd, F_GETFL);
  if (flags < 0 || ::fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 || ::fcntl(fd, F_SETFD, FD_CLOEXEC) < 0) return wrong(strerrordesc_np(errno));
  return fd;
}

Result<int> listen_again(const Io* io, const Address& bound, int backlog) {
  if (bound.of.any.sa_family == AF_UNIX) return -1;
  Result<int> fd = bind_socket(io, bound, true);
  if (!fd.ok()) return fd;
  if (int r = io->listen(io->user, *fd, backlog); r < 0) {
    io->close(io->user, *fd);
    return failed("listen on", bound, r);
  }
  return fd;
}

PathId path_id(const Address& bound) {
  struct stat st;
  if (bound.of.any.sa_family != AF_UNIX || ::lstat(bound.of.local.sun_path, &st) != 0) return {};
  return {st.st_dev, st.st_ino};
}

void remove_path(const Address& bound, const PathId& ours) {
  if (ours.inode && path_id(bound) == ours) ::unlink(bound.of.local.sun_path);
}

void keep_alive(const Io* io, int fd, int64_t idle_ms, int64_t timeout_ms) {
  constexpr int on = 1, probes = 4;
  // Seconds, as far as the kernel takes them.
  auto seconds = [](int64_t ms) { return int(std::clamp<int64_t>((ms + 999) / 1000, 1, 32767)); };
  const int idle = seconds(idle_ms), every = seconds(timeout_ms / probes);
  (void)io->setsockopt(io->user, fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
  (void)io->setsockopt(io->user, fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof idle);
  (void)io->setsockopt(io->user, fd, IPPROTO_TCP, TCP_KEEPINTVL, &every, sizeof every);
  (void)io->setsockopt(io->user, fd, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof probes);
}

bool bar_listener(const Io* io, int fd) {
  // Of a local socket what is queued can be accepted behind this; of a TCP socket it would be reset.
  int family = 0;
  socklen_t n = sizeof family;
  if (io->getsockopt(io->user, fd, SOL_SOCKET, SO_DOMAIN, &family, &n) < 0) return false;
  if (family == AF_UNIX) return io->shutdown(io->user, fd, SHUT_RD) >= 0;
  // Drops what has SYN without ACK; the ACK that ends a handshake passes. Needs no privilege.
  constexpr uint32_t kFlags = 13, kSyn = 0x02, kAck = 0x10;
  sock_filter code[] = {
      BPF_STMT(BPF_LD | BPF_B | BPF_ABS, kFlags),
      BPF_STMT(BPF_ALU | BPF_AND | BPF_K, kSyn | kAck),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, kSyn, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, 0),
      BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
  };
  sock_fprog filter{uint16_t(std::size(code)), code};
  return io->setsockopt(io->user, fd, SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof filter) >= 0;
}

Connecting connecting(const Io* io, int fd) {
  Address a;
  a.size = sizeof a.of;
  if (io->getsockname(io->user, fd, &a.of.any, &a.size) < 0 || a.of.any.sa_family == AF_UNIX) return Connecting::kNobody;
  bool v6 = a.of.any.sa_family == AF_INET6;
  // What ss(8) does. Needs no privilege; half a handshake is not a socket yet, so nothing else tells of it.
  constexpr uint32_t kSynReceived = 3;
  struct {
    nlmsghdr head;
    inet_diag_req_v2 what;
  } ask{};
  ask.head.nlmsg_len = sizeof ask;
  ask.head.nlmsg_type = SOCK_DIAG_BY_FAMILY;
  ask.head.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
  ask.what.sdiag_family = uint8_t(a.of.any.sa_family);
  ask.what.sdiag_protocol = IPPROTO_TCP;
  ask.what.idiag_states = 1u << kSynReceived;
  ask.what.id.idiag_sport = v6 ? a.of.v6.sin6_port : a.of.v4.sin_port;
  nlmsghdr first{};  // the first of the answer says it all
  if (int s = io->socket(io->user, AF_NETLINK, SOCK_DGRAM, NETLINK_SOCK_DIAG); s >= 0) {
    bool told = io->send(io->user, s, &ask, sizeof ask) >= 0 && io->recv(io->user, s, &first, sizeof first) >= int64_t(sizeof first);
    io->close(io->user, s);
    if (told && first.nlmsg_type == SOCK_DIAG_BY_FAMILY) return Connecting::kSomebody;
    if (told && first.nlmsg_type == NLMSG_DONE) return Connecting::kNobody;
  }
  bool here = v6 ? IN6_IS_ADDR_LOOPBACK(&a.of.v6.sin6_addr) : ntohl(a.of.v4.sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
  return here ? Connecting::kNobody : Connecting::kUnknown;
}

Status Listener::open(Loop* l, int fd, bool shared, void (*accepted)(void*, int, const Address&), void* user) {
  shared_ = shared;
  accepted_ = accepted;
  user_ = user;
  handler_.self = this;
  handler_.fd = fd;
  handler_.ready = [](Handler* h, uint32_t) {
    Listener* self = static_cast<Waiter*>(h)->self;
    for (int i = 0; i < kAcceptsARound && self->waiting_ && self->accept_one(); i++) {}
  };
  pause_.self = this;
  pause_.fire = [](Timer* t) { static_cast<Pause*>(t)->self->resume(); };
  ZCRPC_TRY(l->add(&handler_, EPOLLIN | (shared ? uint32_t(EPOLLEXCLUSIVE) : 0u)));
  loop_ = l;
  waiting_ = true;
  return {};
}

void Listener::close() {
  if (!loop_) return;
  loop_->clear_timer(&pause_);
  if (waiting_) loop_->remove(&handler_);
  waiting_ = false;
  loop_ = nullptr;
}

void Listener::pause() {
  if (!loop_ || !waiting_) return;
  loop_->remove(&handler_);  // an exclusive wait cannot be modified
  waiting_ = false;
}

void Listener::pause_a_while() {
  if (!loop_) return;
  pause();
  loop_->set_timer(&pause_, loop_->now() + kPauseNs);
}

void Listener::resume() {
  if (!loop_ || waiting_) return;
  waiting_ = loop_->add(&handler_, EPOLLIN | (shared_ ? uint32_t(EPOLLEXCLUSIVE) : 0u)).ok();
  if (!waiting_) loop_->set_timer(&pause_, loop_->now() + kPauseNs);
}

void Listener::accept_queued() {
  for (int i = 0; i < 1 << 20 && loop_ && accept_one(); i++) {}
}

bool Listener::accept_one() {
  const Io* io = loop_->io();
  Address peer;
  peer.size = sizeof peer.of;
  int fd = io->accept(io->user, handler_.fd, &peer.of.any, &peer.size);
  // Errors of the connection that was being accepted are not ours (accept(2)).
  if (fd == -ECONNABORTED || fd == -EINTR || fd == -EPROTO || fd == -ENETDOWN || fd == -EHOSTUNREACH || fd == -ENETUNREACH) return true;
  if (fd == -EAGAIN) return false;
  if (fd < 0) pause_a_while();
  accepted_(user_, fd, peer);
  return fd >= 0;
}

}  // namespace zcrpc::net
