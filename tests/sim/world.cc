#include "sim/world.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>

#include <algorithm>
#include <climits>
#include <cstdio>
#include <cstring>

namespace sim {

namespace {
constexpr uint64_t kBarren = 200;  // turns in a row in which nothing moved: more is a spin
constexpr int kFirst = 100;        // descriptors' numbers begin here
World* of(void* user) { return static_cast<World*>(user); }
}  // namespace

World::World(uint64_t seed, bool trace) : chance_(seed), trace_(trace) {
  io_.user = this;
  io_.socket = [](void* u, int domain, int, int) {
    if (domain != AF_NETLINK) return of(u)->open(Descriptor::kListener);
    of(u)->told_ = false;
    return of(u)->chance_.once_in(8) ? -EAFNOSUPPORT : of(u)->open(Descriptor::kNetlink);
  };
  io_.bind = [](void*, int, const sockaddr*, socklen_t) { return 0; };
  io_.listen = [](void* u, int fd, int) {
    of(u)->listener_ = fd;
    return 0;
  };
  io_.accept = [](void* u, int fd, sockaddr* a, socklen_t* n) { return of(u)->io_accept(fd, a, n); };
  io_.connect = [](void*, int, const sockaddr*, socklen_t) { return -ECONNREFUSED; };
  io_.getsockname = [](void*, int, sockaddr* a, socklen_t* n) {
    sockaddr_in v4{};
    v4.sin_family = AF_INET;
    v4.sin_port = htons(80);
    v4.sin_addr.s_addr = htonl(0x0a000001);
    memcpy(a, &v4, sizeof v4);
    *n = sizeof v4;
    return 0;
  };
  io_.getpeername = io_.getsockname;
  io_.setsockopt = [](void* u, int, int, int name, const void*, socklen_t) {
    if (of(u)->asleep_ == false && of(u)->turns_ && of(u)->hits(of(u)->faults.option)) return -ENOBUFS;
    if (name == SO_ATTACH_FILTER) of(u)->barred_ns_ = of(u)->now_;
    return 0;
  };
  io_.getsockopt = [](void*, int, int, int, void* v, socklen_t* n) {
    memset(v, 0, *n);
    return 0;
  };
  io_.shutdown = [](void* u, int fd, int) { return of(u)->io_shutdown(fd); };
  io_.recv = [](void* u, int fd, void* p, size_t n) { return of(u)->io_recv(fd, p, n); };
  io_.send = [](void* u, int fd, const void* p, size_t n) {
    iovec v{const_cast<void*>(p), n};
    return of(u)->io_sendv(fd, &v, 1);
  };
  io_.sendv = [](void* u, int fd, const iovec* v, size_t n) { return of(u)->io_sendv(fd, v, n); };
  io_.unsent = [](void* u, int fd) -> int64_t {
    Descriptor* d = of(u)->get(fd, Descriptor::kLink, "unsent");
    return d ? int64_t(d->link->down.in_flight + d->link->down.readable()) : -EBADF;
  };
  io_.close = [](void* u, int fd) { of(u)->io_close(fd); };
  io_.epoll_create = [](void* u) { return of(u)->open(Descriptor::kEpoll); };
  io_.epoll_ctl = [](void* u, int, int op, int fd, epoll_event* e) { return of(u)->io_ctl(op, fd, e); };
  io_.epoll_wait = [](void* u, int, epoll_event* e, int max, int ms) { return of(u)->io_wait(e, max, ms); };
  io_.eventfd = [](void* u) { return of(u)->open(Descriptor::kEvent); };
  io_.eventfd_write = [](void* u, int fd) {
    if (Descriptor* d = of(u)->get(fd, Descriptor::kEvent, "eventfd_write")) d->edge = true;
  };
  io_.timerfd = [](void* u) { return of(u)->open(Descriptor::kTimer); };
  io_.timerfd_set = [](void* u, int fd, int64_t when) {
    if (Descriptor* d = of(u)->get(fd, Descriptor::kTimer, "timerfd_set")) d->due = when;
    return 0;
  };
  // Reading a clock takes a moment.
  io_.monotonic_ns = [](void* u) { return of(u)->now_ += 200; };
  io_.wall_ns = [](void* u) { return of(u)->now_ + 1'700'000'000 * kSecond; };
  io_.random = [](void* u, void* p, size_t n) {
    for (size_t i = 0; i < n; i++) static_cast<uint8_t*>(p)[i] = uint8_t(of(u)->chance_.next());
    return 0;
  };
}

World::~World() = default;

void World::note(const char* format, ...) {
  if (!trace_) return;
  WorldSide w;
  printf("%12.6f  ", double(now_ - 1000 * kSecond) / 1e9);
  va_list a;
  va_start(a, format);
  vprintf(format, a);
  va_end(a);
  putchar('\n');
}

void World::wrong(const char* format, ...) {
  WorldSide w;
  char text[512];
  va_list a;
  va_start(a, format);
  vsnprintf(text, sizeof text, format, a);
  va_end(a);
  note("WRONG: %s", text);
  if (why.empty()) why = text;
}

void World::complain(const Link* l, const char* format, ...) {
  WorldSide w;
  if (l->disturbed) return;
  char text[512];
  va_list a;
  va_start(a, format);
  vsnprintf(text, sizeof text, format, a);
  va_end(a);
  complain(l->number, text);
}

void World::complain(int who, const char* text) {
  if (!failed_allocations_) return wrong("%s", text);
  note("for want of memory: %s", text);
  hurt_.insert(who);
}

void World::watch_memory() {
  allocations_ = failed_allocations_ = 0;
  sim_memory_start([](void* user, size_t size) -> int {
    World* self = of(user);
    uint64_t n = ++self->allocations_;
    const Shortage& s = self->shortage;
    if (!s.first || n < s.first || n > s.last || !self->chance_.once_in(s.one_in)) return 0;
    self->failed_allocations_++;
    self->note("allocation %llu, of %zu bytes, fails", static_cast<unsigned long long>(n), size);
    return 1;
  }, this);
}

void World::at(int64_t when_ns, std::function<void()> f) {
  queue_.push({std::max(when_ns, now_), chance_.next(), std::move(f)});
}

void World::jump(int64_t ns) {
  note("the clock jumps by %lld ms", static_cast<long long>(ns / kMs));
  now_ += ns;
  for (auto& l : links_) l->disturbed = true;
}

int World::open_descriptors() const {
  return int(std::count_if(descriptors_.begin(), descriptors_.end(), [](const Descriptor& d) { return d.kind != Descriptor::kFree; }));
}

int World::open(Descriptor::Kind kind, Link* l) {
  WorldSide w;
  size_t i = 0;  // the lowest number that is free, as the kernel does: numbers come back soon
  while (i < descriptors_.size() && descriptors_[i].kind != Descriptor::kFree) i++;
  if (i == descriptors_.size()) descriptors_.emplace_back();
  descriptors_[i] = Descriptor();
  descriptors_[i].kind = kind;
  descriptors_[i].link = l;
  return kFirst + int(i);
}

World::Descriptor* World::get(int fd, Descriptor::Kind kind, const char* what) {
  size_t i = size_t(fd - kFirst);
  if (fd >= kFirst && i < descriptors_.size() && descriptors_[i].kind == kind) return &descriptors_[i];
  wrong("%s on descriptor %d, which is none of that kind", what, fd);
  return nullptr;
}

// ---- bytes under way

void World::send(Pipe* p, Link* l, std::string bytes, bool fin, bool to_server) {
  p->in_flight += bytes.size();
  int64_t when = now_ + chance_.between(0, faults.latency_ms * kMs);
  if (hits(faults.stall)) {
    int64_t ns = chance_.between(0, faults.stall_ms * kMs);
    note("link %d %s: nothing moves for %lld ms", l->number, to_server ? "up" : "down", static_cast<long long>(ns / kMs));
    p->stalled_until_ns = now_ + ns;
    // Whoever is slower than the server's patience is not served.
    if ((l->stalled_ns += ns) > 8 * kSecond) l->disturbed = true;
  }
  when = std::max({when, p->last_ns, p->stalled_until_ns});
  p->last_ns = when + 1;  // distinct, so that the order of bytes is kept
  at(when, [this, p, l, bytes = std::move(bytes), fin, to_server] {
    p->in_flight -= bytes.size();
    if (l->reset || l->peer_reset) return;
    if (to_server && l->server_closed) {
      // Nobody is there any more: the answer is a reset, and what has not been read by then is lost.
      if (!bytes.empty()) reset_by_server(l);
      return;
    }
    if (!to_server && l->peer_closed) {
      if (!bytes.empty()) l->reset = true;
      return;
    }
    p->arrived += bytes;
    if (fin) p->fin = true;
    if (!to_server) wake(l);
  });
}

void World::reset_by_server(Link* l) {
  at(now_ + chance_.between(0, faults.latency_ms * kMs), [this, l] {
    if (l->peer_reset || l->peer_closed) return;
    l->peer_reset = true;
    l->down.arrived.clear();
    l->down.taken = 0;
    l->down.fin = true;
    wake(l);
  });
}

// ---- peers

Link* World::dial(Peer* p) {
  if (listener_ < 0 || barred_ns_) return nullptr;  // what a filter drops is said again after a second, when nobody listens
  links_.push_back(std::make_unique<Link>());
  Link* l = links_.back().get();
  l->number = int(links_.size());
  l->peer = p;
  p->link = l;
  static const size_t kSizes[] = {200, 3000, 20000, 65536, 300000};
  l->up.capacity = kSizes[chance_.below(5)];
  l->down.capacity = kSizes[chance_.below(5)];
  if (chance_.once_in(2)) {
    backlog_.push_back(l);
    return l;
  }
  handshakes_.push_back(l);
  after(chance_.between(0, 500) * kMs, [this, l] {
    if (std::erase(handshakes_, l)) backlog_.push_back(l);
  });
  return l;
}

size_t World::write(Link* l, std::string_view s) {
  if (l->peer_closed || l->peer_reset || l->up.fin_sent) return 0;
  size_t n = std::min(s.size(), l->up.room());
  if (n) send(&l->up, l, std::string(s.substr(0, n)), false, true);
  return n;
}

std::string World::read(Link* l, size_t most) {
  Pipe& p = l->down;
  size_t n = std::min(most, p.readable());
  std::string s = p.arrived.substr(p.taken, n);
  p.taken += n;
  if (p.taken == p.arrived.size()) {
    p.arrived.clear();
    p.taken = 0;
  }
  return s;
}

void World::finish(Link* l) {
  if (l->up.fin_sent || l->peer_closed) return;
  l->up.fin_sent = true;
  send(&l->up, l, {}, true, true);
}

void World::close(Link* l) {
  if (l->peer_closed) return;
  if (l->down.readable()) return abort(l);
  finish(l);
  l->peer_closed = true;
}

void World::abort(Link* l) {
  if (l->peer_closed) return;
  l->peer_closed = true;
  at(now_ + chance_.between(0, faults.latency_ms * kMs), [l] { l->reset = true; });
}

void World::wake(Link* l, int64_t within_ns) {
  if (l->step_due) return;
  l->step_due = true;
  at(now_ + chance_.between(0, within_ns), [l] {
    l->step_due = false;
    if (l->peer) l->peer->step();
  });
}

void World::stall(Link* l, bool up, int64_t ns) { (up ? l->up : l->down).stalled_until_ns = now_ + ns; }

// ---- the server's system calls

int World::io_accept(int fd, sockaddr* a, socklen_t* n) {
  WorldSide w;
  if (!get(fd, Descriptor::kListener, "accept")) return -EBADF;
  if (backlog_.empty()) return -EAGAIN;
  if (hits(faults.accept)) {
    static const int kErrors[] = {EMFILE, ENFILE, ENOMEM, ECONNABORTED, EINTR};
    int e = kErrors[chance_.below(5)];
    note("accept fails: %s", strerrorname_np(e));
    return -e;
  }
  size_t i = chance_.below(backlog_.size());
  Link* l = backlog_[i];
  backlog_.erase(backlog_.begin() + long(i));
  moved();
  l->accepted = true;
  l->accepted_ns = now_;
  most_links_ = std::max(most_links_, ++open_links_);
  l->fd = open(Descriptor::kLink, l);
  sockaddr_in v4{};
  v4.sin_family = AF_INET;
  v4.sin_port = htons(uint16_t(1024 + l->number));
  v4.sin_addr.s_addr = htonl(0x0a000002);
  memcpy(a, &v4, sizeof v4);
  *n = sizeof v4;
  note("link %d is descriptor %d", l->number, l->fd);
  return l->fd;
}

int64_t World::io_recv(int fd, void* p, size_t n) {
  WorldSide w;
  if (size_t i = size_t(fd - kFirst); i < descriptors_.size() && descriptors_[i].kind == Descriptor::kNetlink) {
    told_ = true;
    note("%zu handshakes are under way", handshakes_.size());
    nlmsghdr h{};
    h.nlmsg_len = sizeof h;
    h.nlmsg_type = handshakes_.empty() ? NLMSG_DONE : SOCK_DIAG_BY_FAMILY;
    memcpy(p, &h, std::min(n, sizeof h));
    return int64_t(std::min(n, sizeof h));
  }
  Descriptor* d = get(fd, Descriptor::kLink, "recv");
  if (!d) return -EBADF;
  Link* l = d->link;
  if (hits(faults.interrupt)) return -EINTR;
  if (l->reset) {
    moved();
    return -ECONNRESET;
  }
  if (l->up.readable() == 0) {
    if (!l->up.fin) return -EAGAIN;
    moved();
    return 0;
  }
  size_t most = std::min(n, l->up.readable());
  if (most > 1 && hits(faults.short_read)) most = 1 + chance_.below(most);
  memcpy(p, l->up.arrived.data() + l->up.taken, most);
  l->up.taken += most;
  if (l->up.taken == l->up.arrived.size()) {
    l->up.arrived.clear();
    l->up.taken = 0;
  }
  moved();
  note("link %d: recv of %zu", l->number, most);
  if (l->peer) wake(l);  // there is room again
  return int64_t(most);
}

int64_t World::io_sendv(int fd, const iovec* v, size_t count) {
  WorldSide w;
  if (size_t i = size_t(fd - kFirst); i < descriptors_.size() && descriptors_[i].kind == Descriptor::kNetlink) return int64_t(v[0].iov_len);
  Descriptor* d = get(fd, Descriptor::kLink, "send");
  if (!d) return -EBADF;
  Link* l = d->link;
  if (l->down.fin_sent) wrong("link %d: bytes after the end", l->number);
  if (hits(faults.interrupt)) return -EINTR;
  if (l->reset) {
    moved();
    return -EPIPE;
  }
  size_t offered = 0;
  for (size_t i = 0; i < count; i++) offered += v[i].iov_len;
  size_t n = std::min(offered, l->down.room());
  if (offered && !n) return -EAGAIN;
  if (n > 1 && hits(faults.short_write)) n = 1 + chance_.below(n);
  std::string bytes;
  bytes.reserve(n);
  for (size_t i = 0; i < count && bytes.size() < n; i++)
    bytes.append(static_cast<const char*>(v[i].iov_base), std::min(v[i].iov_len, n - bytes.size()));
  moved();
  note("link %d: send of %zu of %zu", l->number, n, offered);
  send(&l->down, l, std::move(bytes), false, false);
  return int64_t(n);
}

int World::io_shutdown(int fd) {
  WorldSide w;
  Descriptor* d = get(fd, Descriptor::kLink, "shutdown");
  if (!d) return -EBADF;
  moved();
  if (d->link->reset) return -ENOTCONN;
  if (!d->link->down.fin_sent) {
    d->link->down.fin_sent = true;
    send(&d->link->down, d->link, {}, true, false);
  }
  d->link->fin_ns = now_;
  note("link %d: the server has said all", d->link->number);
  return 0;
}

void World::io_close(int fd) {
  WorldSide w;
  size_t i = size_t(fd - kFirst);
  if (fd < kFirst || i >= descriptors_.size() || descriptors_[i].kind == Descriptor::kFree) return wrong("close of descriptor %d, which is not open", fd);
  moved();
  if (descriptors_[i].kind == Descriptor::kListener && fd == listener_) {
    listener_ = -1;
    if (barred_ns_ && told_ && !handshakes_.empty() && now_ - barred_ns_ < patience_ns)
      wrong("the listener closed %lld ms behind the bar, in the middle of %zu handshakes", static_cast<long long>((now_ - barred_ns_) / kMs), handshakes_.size());
    if (barred_ns_ && !backlog_.empty() && !faults.accept) wrong("the listener closed with %zu connections in its queue", backlog_.size());
    backlog_.insert(backlog_.end(), handshakes_.begin(), handshakes_.end());
    handshakes_.clear();
    for (Link* b : backlog_) {
      b->server_closed = true;
      reset_by_server(b);
    }
    backlog_.clear();
  }
  if (descriptors_[i].kind == Descriptor::kLink) {
    Link* l = descriptors_[i].link;
    note("link %d is closed by the server%s", l->number, l->up.readable() ? ", with bytes unread" : "");
    l->server_closed = true;
    l->closed_ns = now_;
    open_links_--;
    l->fd = -1;
    // It has waited long enough for its last word to be read.
    if (l->fin_ns && now_ - l->fin_ns >= 900 * kMs) l->disturbed = true;
    if (l->up.readable()) {
      reset_by_server(l);
    } else if (!l->down.fin_sent) {
      l->down.fin_sent = true;
      send(&l->down, l, {}, true, false);
    }
  }
  descriptors_[i] = Descriptor();
  watches_.erase(fd);
}

int World::io_ctl(int op, int fd, epoll_event* e) {
  WorldSide w;
  if (op == EPOLL_CTL_DEL) {
    if (!watches_.erase(fd)) wrong("descriptor %d was not watched", fd);
    return 0;
  }
  if (size_t i = size_t(fd - kFirst); i < descriptors_.size() && descriptors_[i].kind == Descriptor::kLink && hits(faults.ctl)) {
    note("epoll_ctl fails for descriptor %d", fd);
    descriptors_[i].link->disturbed = true;
    return -ENOMEM;
  }
  if ((op == EPOLL_CTL_ADD) == (watches_.count(fd) != 0)) return op == EPOLL_CTL_ADD ? -EEXIST : -ENOENT;
  watches_[fd] = {e->events, e->data.u64};
  return 0;
}

uint32_t World::ready(int fd) {
  Descriptor& d = descriptors_[size_t(fd - kFirst)];
  switch (d.kind) {
    case Descriptor::kListener: return backlog_.empty() ? 0u : uint32_t(EPOLLIN);
    case Descriptor::kEvent: return d.edge ? uint32_t(EPOLLIN) : 0u;
    case Descriptor::kTimer: return d.due && now_ >= d.due ? uint32_t(EPOLLIN) : 0u;
    case Descriptor::kLink: {
      Link* l = d.link;
      uint32_t r = 0;
      if (l->reset) return EPOLLIN | EPOLLOUT | EPOLLHUP | EPOLLERR;
      if (l->up.readable() || l->up.fin) r |= EPOLLIN;
      if (l->down.room() * 3 >= l->down.capacity) r |= EPOLLOUT;
      if (l->up.fin && l->down.fin_sent) r |= EPOLLHUP;
      return r;
    }
    default: return 0;
  }
}

void World::run_due() {
  while (!queue_.empty() && queue_.top().when <= now_) {
    auto f = std::move(const_cast<Event&>(queue_.top()).run);
    queue_.pop();
    moved();
    f();
  }
}

void World::pass(int64_t ns) {
  for (int64_t until = now_ + ns; !queue_.empty() && queue_.top().when <= until; run_due()) now_ = std::max(now_, queue_.top().when);
}

int World::io_wait(epoll_event* e, int max, int timeout_ms) {
  WorldSide w;
  turns_++;
  most_barren_ = std::max(most_barren_, ++barren_);
  if (barren_ > kBarren) {
    wrong("the loop turns without end, and nothing moves");
    barren_ = 0;
  }
  if (hits(faults.interrupt)) return -EINTR;
  int64_t until = timeout_ms < 0 ? INT64_MAX : now_ + timeout_ms * kMs;
  asleep_ = timeout_ms != 0;
  for (;;) {
    if (asleep_) run_due();
    std::vector<std::pair<int, uint32_t>> found;
    for (auto& [fd, watch] : watches_) {
      uint32_t r = ready(fd) & (watch.events | EPOLLERR | EPOLLHUP);
      if (r) found.push_back({fd, r});
      else if (watch.events & EPOLLIN && hits(faults.spurious)) found.push_back({fd, EPOLLIN});
    }
    if (!found.empty()) {
      // In any order, and not always all of them.
      for (size_t i = found.size(); i > 1; i--) std::swap(found[i - 1], found[chance_.below(i)]);
      size_t n = chance_.once_in(3) ? 1 + chance_.below(found.size()) : found.size();
      n = std::min(n, size_t(max));
      for (size_t i = 0; i < n; i++) {
        Descriptor& d = descriptors_[size_t(found[i].first - kFirst)];
        d.edge = false;
        d.due = 0;
        e[i].events = found[i].second;
        e[i].data.u64 = watches_[found[i].first].data;
        note("epoll_wait: descriptor %d: %x", found[i].first, found[i].second);
      }
      asleep_ = false;
      return int(n);
    }
    if (timeout_ms == 0) break;
    int64_t next = queue_.empty() ? INT64_MAX : queue_.top().when;
    if (next > until || next == INT64_MAX) {
      if (until != INT64_MAX && until > now_) {
        now_ = until;
        moved();
      }
      break;
    }
    now_ = std::max(now_, next);
  }
  asleep_ = false;
  return 0;
}

}  // namespace sim
