// The end of listeners: what the kernel has accepted for them is served, however many loops there are.
#include <netinet/tcp.h>
#include <pthread.h>
#include <sys/un.h>

#include <atomic>

#include "unit/server/harness.h"

#include "support/cmocka.h"

using namespace zcrpc;

namespace {

constexpr std::string_view kAsk = "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";

// ---- a crowd that makes a connection a request, until nobody listens any more

struct Crowd {
  net::Address to;
  std::atomic<int> served{0}, lost{0};
  std::atomic<int> why{0};  // errno of the last that was lost; -1: an end without an answer

  static void* main(void* self) {
    auto* c = static_cast<Crowd*>(self);
    while (c->one()) {}
    return nullptr;
  }
  // False: refused, which tells a client that it may try elsewhere.
  bool one() {
    int fd = socket(to.of.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    // Whose first packet is not answered would say it again after a second.
    timeval soon{0, 200'000}, late{20, 0};
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &soon, sizeof soon);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &late, sizeof late);
    if (connect(fd, &to.of.any, to.size) != 0) {
      close(fd);
      return false;
    }
    std::string got;
    int e = send(fd, kAsk.data(), kAsk.size(), MSG_NOSIGNAL) < 0 ? errno : 0;
    char b[4096];
    ssize_t n = -1;
    while (!e && (n = recv(fd, b, sizeof b, 0)) > 0) got.append(b, size_t(n));
    if (n < 0 && !e) e = errno;
    close(fd);
    if (got.starts_with("HTTP/1.1 404 ")) {
      served++;
    } else {
      lost++;
      why = e ? e : -1;
    }
    return true;
  }
};

struct Running {
  server::Server* server;
  int threads;
  bool good;
  static void* main(void* self) {
    auto* r = static_cast<Running*>(self);
    r->good = r->server->run(r->threads).ok();
    return nullptr;
  }
};

void a_crowd_is_served_to_the_last(const char* address, int threads, int rounds) {
  constexpr int kClients = 6;
  for (int round = 0; round < rounds; round++) {
    server::Config c;
    c.lame_duck_ms = round % 2 ? 20 : 0;
    auto made = server::Server::make(c, {});
    assert_true(made.ok());
    Running r{*made, threads, false};
    assert_true(r.server->listen(address).ok());
    Crowd crowd;
    assert_true(net::parse_address(r.server->address(0), &crowd.to).ok());
    pthread_t runner, clients[kClients];
    assert_int_equal(pthread_create(&runner, nullptr, Running::main, &r), 0);
    for (pthread_t& t : clients) assert_int_equal(pthread_create(&t, nullptr, Crowd::main, &crowd), 0);
    for (int64_t limit = ms_now() + 20'000; crowd.served < 50 && ms_now() < limit;) usleep(1000);
    r.server->drain(20'000);
    for (pthread_t t : clients) pthread_join(t, nullptr);
    pthread_join(runner, nullptr);
    server::Server::free(r.server);
    assert_true(r.good);
    assert_true(crowd.served >= 50);
    if (crowd.lost) fail_msg("%s, %d loops, round %d: %d lost, the last by %d (%s)", address, threads, round, crowd.lost.load(), crowd.why.load(), strerror(crowd.why));
  }
}

void connections_are_lost_behind_the_last_accept(void**) {
  a_crowd_is_served_to_the_last("127.0.0.1:0", 1, 4);
  a_crowd_is_served_to_the_last("127.0.0.1:0", 2, 8);
  a_crowd_is_served_to_the_last("[::1]:0", 4, 8);
  std::string path = "unix:/tmp/zcrpc-drain-" + std::to_string(getpid());
  a_crowd_is_served_to_the_last(path.c_str(), 1, 4);
  a_crowd_is_served_to_the_last(path.c_str(), 3, 8);
}

// The first loop's listener was the server's, and stayed open until the last loop had ended: what came in between was queued
// there, and nobody looked.
void a_loop_that_has_ended_goes_on_queueing(void**) {
  Harness h;
  server::Config c;
  c.lame_duck_ms = 0;
  assert_true(h.start(net::system_io(), c).ok());
  net::Loop::Options same;
  same.io = &h.io;
  auto second = net::Loop::make(same);
  assert_true(second.ok());
  rpc::Hub hub;
  assert_true(h.server->attach(*second, &hub).ok());
  h.server->drain(20'000);
  for (int64_t limit = ms_now() + 100; ms_now() < limit;) h.turn(5);  // the first has ended, the second does not know yet
  constexpr int kMany = 32;
  int fds[kMany];
  for (int& fd : fds) {
    fd = dial(h.port);  // the kernel chooses by the client's port: by now there is only one to choose
    assert_true(fd >= 0);
    say(fd, kAsk);
  }
  for (int64_t limit = ms_now() + 400; ms_now() < limit;) {
    assert_true((*second)->turn(5).ok());
    h.turn(0);
  }
  for (int fd : fds) {
    char b[4096];
    ssize_t n = recv(fd, b, sizeof b, MSG_DONTWAIT);
    if (n <= 0) fail_msg("not served: %zd, %s", n, n < 0 ? strerror(errno) : "the end");
    close(fd);
  }
  h.stop();
  while (rpc::Event* e = hub.front()) {
    hub.pop();
    hub.release(e);
  }
  net::Loop::free(*second);
}

// ---- handshakes under way

// The system, whose handshakes end when the client's first byte comes; and which does not tell of them, of an address elsewhere.
const net::Io* deferring(bool tells) {
  static net::Io io, silent;
  io = *net::system_io();
  io.listen = [](void* u, int fd, int backlog) {
    int s = 60;
    return setsockopt(fd, IPPROTO_TCP, TCP_DEFER_ACCEPT, &s, sizeof s) == 0 ? net::system_io()->listen(u, fd, backlog) : -errno;
  };
  silent = io;
  silent.socket = [](void* u, int domain, int type, int protocol) { return domain == AF_NETLINK ? -EAFNOSUPPORT : net::system_io()->socket(u, domain, type, protocol); };
  silent.getsockname = [](void* u, int fd, sockaddr* a, socklen_t* n) {
    int r = net::system_io()->getsockname(u, fd, a, n);
    if (r >= 0) reinterpret_cast<sockaddr_in*>(a)->sin_addr.s_addr = htonl(0xC0000201);
    return r;
  };
  return tells ? &io : &silent;
}

server::Config patient(int64_t ping_ms, int64_t quiet_ms) {
  server::Config c;
  c.lame_duck_ms = 0;
  c.drain_ping_ms = ping_ms;
  c.drain_quiet_ms = quiet_ms;
  return c;
}

// Turns for so long, or until the port refuses; that is when, or -1. While it waits the first packets of newcomers are dropped: they
// neither get in nor are refused.
int64_t refuses_at(Harness* h, int64_t begin, int64_t for_ms) {
  for (int64_t limit = ms_now() + for_ms; ms_now() < limit;) {
    h->turn(2);
    int other = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    sockaddr_in a{};
    a.sin_family = AF_INET;
    a.sin_port = htons(uint16_t(h->port));
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int r = connect(other, reinterpret_cast<sockaddr*>(&a), sizeof a);
    assert_true(r < 0 && errno == EINPROGRESS);
    pollfd p{other, POLLOUT, 0};
    bool told = poll(&p, 1, 2) > 0;
    close(other);
    if (told && p.revents & POLLERR) return ms_now() - begin;
    if (told && ms_now() - begin > 20) fail_msg("one got in behind the bar, after %d ms", int(ms_now() - begin));
  }
  return -1;
}

// A handshake takes a round trip, and a listener may be closed in the middle of one, although nobody else is connected.
void the_end_comes_before_handshakes_have_ended(void**) {
  for (bool tells : {true, false}) {
    Harness s;
    assert_true(s.start(deferring(tells), patient(tells ? 10'000 : 60'000, tells ? 1 : 600)).ok());
    int fd = dial(s.port);
    assert_true(fd >= 0);
    int64_t begin = ms_now();
    s.server->drain(60'000);
    s.turn(0);
    s.turn(5);
    int64_t early = refuses_at(&s, begin, 120);
    if (early >= 0) fail_msg("the listener closed after %d ms", int(early));
    say(fd, kAsk);
    bool closed;
    std::string got = hear(&s, fd, "", 9000, &closed);
    if (!got.starts_with("HTTP/1.1 404 ")) fail_msg("not served: \"%.*s\"", int(got.size()), got.data());
    // Nobody is waited for any more; if the system does not tell, as long as somebody might be.
    int64_t took = refuses_at(&s, begin, 20'000);
    if (took < 0 || took > 9000 || (!tells && took < 599)) fail_msg("the listener closed after %d ms", int(took));
    close(fd);
    s.stop();
  }
}

void a_handshake_that_never_ends_is_waited_for(void**) {
  struct {
    int64_t ping_ms, grace_ms, from_ms, to_ms;
  } cases[] = {{250, 60'000, 250, 5000}, {60'000, 1000, 250, 5000}, {60'000, 0, 0, 5000}};
  for (auto& c : cases) {
    Harness s;
    assert_true(s.start(deferring(true), patient(c.ping_ms, 1)).ok());
    int fd = dial(s.port);
    int64_t begin = ms_now();
    s.server->drain(c.grace_ms);
    s.turn(0);
    s.turn(1);
    int64_t took = refuses_at(&s, begin, 20'000);
    if (took < c.from_ms - 1 || took > c.to_ms) fail_msg("the listener closed after %d ms, not %d", int(took), int(c.from_ms));
    close(fd);
    s.stop();
  }
}

void a_drain_waits_though_nobody_connects(void**) {
  for (const net::Io* io : {deferring(true), net::system_io()}) {
    Harness s;
    assert_true(s.start(io, patient(60'000, 60'000)).ok());
    int64_t begin = ms_now();
    s.server->drain(600'000);
    int64_t took = refuses_at(&s, begin, 20'000);
    if (took < 0 || took > 9000) fail_msg("the listener closed after %d ms", int(took));
    s.stop();
  }
}

// A second signal, say. What it had posted was in the worker, which had gone by the next turn of the application's loop.
void a_drain_behind_the_end_is_heard_by_nobody(void**) {
  for (bool turns : {false, true}) {
    Harness s;
    assert_true(s.start(net::system_io(), patient(10, 1)).ok());
    s.server->drain(1000);
    for (int i = 0; i < 20; i++) s.turn(2);
    s.server->drain(500);
    server::Server::free(std::exchange(s.server, nullptr));
    if (turns) s.turn(0);
    s.stop();
  }
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(connections_are_lost_behind_the_last_accept),
      cmocka_unit_test(a_loop_that_has_ended_goes_on_queueing),
      cmocka_unit_test(the_end_comes_before_handshakes_have_ended),
      cmocka_unit_test(a_handshake_that_never_ends_is_waited_for),
      cmocka_unit_test(a_drain_waits_though_nobody_connects),
      cmocka_unit_test(a_drain_behind_the_end_is_heard_by_nobody),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
