#include "net/names.h"

#include <ares.h>
#include <arpa/inet.h>
#include <netdb.h>

#include <cstring>
#include <new>

namespace zcrpc::net {

using base::Code;
using base::Result;
using base::Status;

// What c-ares holds on to while it looks a name up; it may outlive a query that was cancelled.
struct NameLookup {
  Names* names;
  NameQuery* query;  // nullptr: cancelled

  static void finished(void* argument, int status, int timeouts, ares_addrinfo* info);
  void end(Status s, std::span<const Address> addresses);
};

namespace {
constexpr int kTimeoutMs = 2000;  // of the first try; c-ares doubles it
constexpr int kTries = 3;
constexpr size_t kMaxAddresses = 16;
constexpr size_t kMaxName = 255;
}  // namespace

bool is_numeric_address(std::string_view host) {
  char text[64];
  if (host.size() >= sizeof text) return false;
  memcpy(text, host.data(), host.size());
  text[host.size()] = 0;
  in6_addr to;
  return inet_pton(AF_INET, text, &to) == 1 || inet_pton(AF_INET6, text, &to) == 1;
}

Result<Names*> Names::make(Loop* l) {
  const base::Allocator* a = l->allocator();
  void* p = a->alloc(sizeof(Names), a->user);
  if (!p) return Status::no_memory();
  auto* n = new (p) Names(l);
  if (Status s = n->init(); !s.ok()) {
    free(n);
    return s;
  }
  return n;
}

Status Names::init() {
  retry_.fire = [](Timer* t) {
    Names* n = static_cast<Retry*>(t)->names;
    ares_process_fd(n->ares_, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
    n->rearm();
  };
  ares_options o{};
  o.timeout = kTimeoutMs;
  o.tries = kTries;
  o.sock_state_cb = [](void* user, ares_socket_t fd, int readable, int writable) {
    static_cast<Names*>(user)->watch(fd, readable != 0, writable != 0);
  };
  o.sock_state_cb_data = this;
  int r = ares_init_options(&ares_, &o, ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_SOCK_STATE_CB);
  if (r == ARES_ENOMEM) return Status::no_memory();
  if (r != ARES_SUCCESS) return Status::format(Code::kUnavailable, "name resolution: %s", ares_strerror(r));
  return {};
}

void Names::free(Names* n) {
  if (!n) return;
  if (n->ares_) ares_destroy(n->ares_);  // ends every look-up, and closes its sockets through watch
  n->loop_->clear_timer(&n->retry_);
  const base::Allocator* a = n->loop_->allocator();
  n->~Names();
  a->free(n, sizeof(Names), a->user);
}

void Names::watch(int fd, bool readable, bool writable) {
  Socket** at = &sockets_;
  while (*at && (*at)->fd != fd) at = &(*at)->next;
  const base::Allocator* a = loop_->allocator();
  uint32_t events = (readable ? uint32_t(EPOLLIN) : 0) | (writable ? uint32_t(EPOLLOUT) : 0);
  if (Socket* s = *at) {
    if (events) {
      (void)loop_->modify(s, events);
      return;
    }
    if (!loop_->forked()) loop_->remove(s);  // the epoll set is the parent's too
    *at = s->next;
    a->free(s, sizeof(Socket), a->user);
    return;
  }
  // Without memory the look-up runs into its time limit, and is told as such.
  if (!events) return;
  void* p = a->alloc(sizeof(Socket), a->user);
  if (!p) return;
  auto* s = new (p) Socket;
  s->names = this;
  s->fd = fd;
  s->ready = [](Handler* h, uint32_t e) {
    Names* n = static_cast<Socket*>(h)->names;
    ares_socket_t ready = h->fd;  // h may go while c-ares works
    ares_process_fd(n->ares_, e & ~uint32_t(EPOLLOUT) ? ready : ARES_SOCKET_BAD, e & EPOLLOUT ? ready : ARES_SOCKET_BAD);
    n->rearm();
  };
  if (!loop_->add(s, events).ok()) {
    a->free(s, sizeof(Socket), a->user);
    return;
  }
  s->next = sockets_;
  sockets_ = s;
}

// c-ares tells how long until it wants to try again; it has to be asked after everything that it does.
void Names::rearm() {
  timeval most{60, 0}, left;
  if (!sockets_ || !ares_timeout(ares_, &most, &left)) {
    loop_->clear_timer(&retry_);
    return;
  }
  loop_->set_timer(&retry_, loop_->now() + int64_t(left.tv_sec) * 1'000'000'000 + int64_t(left.tv_usec) * 1000 + 1'000'000);
}

void Names::resolve(NameQuery* q, std::string_view name) {
  char text[kMaxName + 1];
  if (name.empty() || name.size() > kMaxName) return q->done(q, Status(Code::kInvalidArgument, "bad host name"), {});
  memcpy(text, name.data(), name.size());
  text[name.size()] = 0;
  const base::Allocator* a = loop_->allocator();
  void* p = a->alloc(sizeof(NameLookup), a->user);
  if (!p) return q->done(q, Status::no_memory(), {});
  q->lookup = new (p) NameLookup{this, q};
  ares_addrinfo_hints hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_flags = ARES_AI_NOSORT;  // sorting opens a socket for each address
  hints.ai_socktype = SOCK_STREAM;
  ares_getaddrinfo(ares_, text, nullptr, &hints, NameLookup::finished, p);
  rearm();
}

void Names::cancel(NameQuery* q) {
  if (q->lookup) q->lookup->query = nullptr;
  q->lookup = nullptr;
}

void NameLookup::end(Status s, std::span<const Address> addresses) {
  NameQuery* q = query;
  const base::Allocator* a = names->loop_->allocator();
  a->free(this, sizeof *this, a->user);
  if (!q) return;
  q->lookup = nullptr;
  q->done(q, std::move(s), addresses);
}

void NameLookup::finished(void* argument, int status, int, ares_addrinfo* info) {
  auto* l = static_cast<NameLookup*>(argument);
  if (status == ARES_EDESTRUCTION) l->query = nullptr;
  if (status == ARES_ENOMEM) return l->end(Status::no_memory(), {});
  if (status != ARES_SUCCESS) return l->end(Status::format(Code::kUnavailable, "name resolution: %s", ares_strerror(status)), {});
  Address found[kMaxAddresses];
  size_t n = 0;
  for (ares_addrinfo_node* node = info ? info->nodes : nullptr; node && n < kMaxAddresses; node = node->ai_next) {
    if (size_t(node->ai_addrlen) > sizeof found[n].of) continue;
    memcpy(&found[n].of, node->ai_addr, size_t(node->ai_addrlen));
    found[n++].size = socklen_t(node->ai_addrlen);
  }
  if (info) ares_freeaddrinfo(info);
  l->end(n ? Status() : Status(Code::kUnavailable, "name resolution: the name has no address"), {found, n});
}

}  // namespace zcrpc::net
