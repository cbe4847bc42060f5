// The n-th system call fails, for every n and in several ways: at worst the connection that it was for is closed, and
// the next one is served.
#include <sys/un.h>

#include <algorithm>

#include "unit/server/harness.h"

#include "support/cmocka.h"

using namespace zcrpc;
using net::Io;

namespace {

// Wraps the system's table: the call numbered `at` fails with `error`.
struct Faults {
  Io io = *net::system_io();
  long count = 0, at = 0;
  int error = 0;
  bool hit = false;
} g;

template <auto Member, class... A>
auto faulty(void*, A... a) {
  using R = decltype((net::system_io()->*Member)(nullptr, a...));
  if constexpr (!std::is_void_v<R>) {
    if (++g.count == g.at) {
      g.hit = true;
      return R(-g.error);
    }
  }
  return (net::system_io()->*Member)(nullptr, a...);
}

template <auto Member>
struct Wrap;
template <class R, class... A, R (*Io::*Member)(void*, A...)>
struct Wrap<Member> {
  static R call(void* u, A... a) { return faulty<Member, A...>(u, a...); }
};

void wrap_all() {
  g.io.socket = Wrap<&Io::socket>::call;
  g.io.bind = Wrap<&Io::bind>::call;
  g.io.listen = Wrap<&Io::listen>::call;
  g.io.accept = Wrap<&Io::accept>::call;
  g.io.getsockname = Wrap<&Io::getsockname>::call;
  g.io.setsockopt = Wrap<&Io::setsockopt>::call;
  g.io.shutdown = Wrap<&Io::shutdown>::call;
  g.io.recv = Wrap<&Io::recv>::call;
  g.io.send = Wrap<&Io::send>::call;
  g.io.sendv = Wrap<&Io::sendv>::call;
  g.io.epoll_create = Wrap<&Io::epoll_create>::call;
  g.io.epoll_ctl = Wrap<&Io::epoll_ctl>::call;
  g.io.epoll_wait = Wrap<&Io::epoll_wait>::call;
  g.io.eventfd = Wrap<&Io::eventfd>::call;
  g.io.timerfd = Wrap<&Io::timerfd>::call;
  g.io.timerfd_set = Wrap<&Io::timerfd_set>::call;
  g.io.random = Wrap<&Io::random>::call;
}

int open_descriptors() {
  int n = 0;
  for (int fd = 3; fd < 256; fd++) n += fcntl(fd, F_GETFD) != -1;
  return n;
}

// Two requests on one connection, and one on another.
void each_call_fails(int error) {
  std::string body = std::string("\x1a\xc0\x84\x3d", 4) + std::string(1'000'000, 'x');
  for (long n = 1;; n++) {
    int before = open_descriptors();
    g.count = 0;
    g.at = n;
    g.error = error;
    g.hit = false;
    Harness h;
    base::Status s = h.start(&g.io);
    if (s.ok()) {
      int fd = dial(h.port);
      assert_true(fd >= 0);
      bool closed;
      std::string answers;
      say(fd, post("\x0a\x05hello"));
      answers = hear(&h, fd, "\x0a\x05hello", 3000, &closed);
      if (!closed) {
        assert_true(answers.starts_with("HTTP/1.1 200 OK\r\n"));
        std::string big = post(body);
        for (size_t at = 0; at < big.size() && !closed;) {  // more than the sockets hold
          ssize_t k = send(fd, big.data() + at, big.size() - at, MSG_NOSIGNAL | MSG_DONTWAIT);
          if (k > 0) at += size_t(k);
          if (k < 0 && errno != EAGAIN) closed = true;
          h.turn(0);
        }
        if (!closed) {
          answers = hear(&h, fd, "xxxx", 20, &closed);
          for (int64_t limit = ms_now() + 5000; !closed && answers.size() < body.size() && ms_now() < limit;)
            answers += hear(&h, fd, "", 5, &closed);
          if (!closed) assert_true(answers.starts_with("HTTP/1.1 200 OK\r\n") && answers.ends_with("xxxx"));
        }
      }
      close(fd);
      // Whatever it was: the server serves.
      int other = dial(h.port);
      assert_true(other >= 0);
      say(other, post("\x0a\x05other"));
      answers = hear(&h, other, "\x0a\x05other", 3000, &closed);
      if (!answers.ends_with("\x0a\x05other") && g.hit) {  // this one was the victim: the next one, then
        close(other);
        other = dial(h.port);
        say(other, post("\x0a\x05other"));
        answers = hear(&h, other, "\x0a\x05other", 3000, &closed);
      }
      if (!answers.ends_with("\x0a\x05other")) fail_msg("after call %ld failed with %d the server served nobody", n, error);
      close(other);
    } else {
      assert_true(g.hit);
    }
    h.stop();
    if (open_descriptors() != before) fail_msg("call %ld: %d descriptors leaked", n, open_descriptors() - before);
    if (!g.hit) {
      print_message("%ld system calls\n", n - 1);
      assert_true(n > 30);
      return;
    }
    assert_true(n < 5000);
  }
}

void a_failing_system_call_stops_the_server(void**) {
  wrap_all();
  each_call_fails(ENOMEM);
}
void a_connection_that_breaks_takes_others_along(void**) { each_call_fails(ECONNRESET); }
void an_interrupted_call_loses_bytes(void**) { each_call_fails(EINTR); }

// Three messages there and back over a stream, one of them larger than what sockets hold, whatever fails on the way: all
// of them and the end, or a connection that closes; and the next one is served.
void each_call_of_a_stream_fails(int error) {
  auto framed = [](const std::string& s, char flags = 0) {
    std::string f(1, flags);
    for (int i = 24; i >= 0; i -= 8) f.push_back(char(s.size() >> i));
    return f + s;
  };
  std::string big(600'000, 'x');
  std::string body = framed("one") + framed(big) + framed("three");
  std::string end = framed("{}", 2);
  std::string request = "POST /s.S/Chat HTTP/1.1\r\nHost: x\r\nContent-Type: application/connect+proto\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
  for (long n = 1;; n++) {
    int before = open_descriptors();
    g.count = 0;
    g.at = n;
    g.error = error;
    g.hit = false;
    Harness h;
    if (h.start(&g.io).ok()) {
      int fd = dial(h.port);
      assert_true(fd >= 0);
      bool closed = false;
      std::string answer;
      for (size_t at = 0; at < request.size() && !closed;) {
        ssize_t k = send(fd, request.data() + at, request.size() - at, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (k > 0) at += size_t(k);
        if (k < 0 && errno != EAGAIN) closed = true;
        if (!closed) answer += hear(&h, fd, "", 0, &closed);
        h.turn(0);
      }
      const std::string last = end + "\r\n0\r\n\r\n";
      for (int64_t limit = ms_now() + 5000; !closed && !answer.ends_with(last) && ms_now() < limit;) answer += hear(&h, fd, "", 5, &closed);
      if (!closed) {
        assert_true(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with(last));
        assert_true(size_t(std::count(answer.begin(), answer.end(), 'x')) >= big.size());
      }
      close(fd);
      for (int i = 0; i < 2; i++) {
        int other = dial(h.port);
        assert_true(other >= 0);
        say(other, post("\x0a\x05other"));
        answer = hear(&h, other, "\x0a\x05other", 3000, &closed);
        close(other);
        if (answer.ends_with("\x0a\x05other")) break;
        if (i == 1 || !g.hit) fail_msg("after call %ld of a stream failed with %d the server served nobody", n, error);
      }
    } else {
      assert_true(g.hit);
    }
    h.stop();
    if (open_descriptors() != before) fail_msg("call %ld: %d descriptors leaked", n, open_descriptors() - before);
    if (!g.hit) {
      print_message("%ld system calls\n", n - 1);
      assert_true(n > 20);
      return;
    }
    assert_true(n < 5000);
  }
}

void a_failing_system_call_breaks_streams(void**) {
  wrap_all();
  each_call_of_a_stream_fails(ENOMEM);
  each_call_of_a_stream_fails(ECONNRESET);
  each_call_of_a_stream_fails(EINTR);
}

// A port, a local socket and a descriptor of somebody else's: after an attach that failed the next one serves on all of them,
// and the socket's path goes with the server, not earlier.
void a_first_attach_that_fails_takes_the_addresses_along(void**) {
  wrap_all();
  char path[64];
  snprintf(path, sizeof path, "/tmp/zcrpc-attach-%d", int(getpid()));
  auto dial_path = [&] {
    sockaddr_un a{};
    a.sun_family = AF_UNIX;
    memcpy(a.sun_path, path, strlen(path) + 1);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, reinterpret_cast<sockaddr*>(&a), sizeof a), 0);
    return fd;
  };
  int failures = 0;
  for (long n = 1;; n++) {
    g.at = 0;
    int before = open_descriptors();
    Harness h;
    net::Loop::Options o;
    o.io = &g.io;
    h.loop = *net::Loop::make(o);
    h.server = *server::Server::make({}, o);
    h.method.path = "/s.S/Echo";
    server::Route r;
    r.method = &h.method;
    assert_true(h.server->set(r).ok());
    int bound = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in any{};
    any.sin_family = AF_INET;
    any.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(bind(bound, reinterpret_cast<sockaddr*>(&any), sizeof any), 0);
    assert_int_equal(listen(bound, 10), 0);
    assert_true(h.server->listen("127.0.0.1:0").ok());
    assert_true(h.server->listen(std::string("unix:") + path).ok());
    assert_true(h.server->listen("fd:" + std::to_string(bound)).ok());
    g.count = 0;
    g.at = n;
    g.error = ENOMEM;
    g.hit = false;
    bool refused = !h.server->attach(h.loop, &h.hub).ok();
    bool hit = g.hit;
    g.at = 0;
    failures += refused;
    if (refused) {
      assert_int_equal(access(path, F_OK), 0);
      if (n % 2) assert_true(h.server->attach(h.loop, &h.hub).ok());
    }
    if (!refused || n % 2) {
      auto port = [&](size_t i) { return atoi(strrchr(h.server->address(i), ':') + 1); };
      for (int fd : {dial(port(0)), dial_path(), dial(port(2))}) {
        bool closed;
        assert_true(fd >= 0);
        say(fd, post("\x0a\x05hello"));
        assert_true(hear(&h, fd, "\x0a\x05hello", 3000, &closed).starts_with("HTTP/1.1 200 OK"));
        close(fd);
      }
    }
    h.stop();
    assert_int_equal(access(path, F_OK), -1);
    if (open_descriptors() != before) fail_msg("call %ld: %d descriptors leaked", n, open_descriptors() - before);
    if (!hit) break;
    assert_true(n < 100);
  }
  assert_true(failures >= 3);
}

// A TLS hello, zeros, and half a line, on a port that expects HTTP: at the latest when heads are due the connection goes.
void garbage_keeps_its_connection(void**) {
  const std::string garbage[] = {std::string("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 11) + std::string(500, '\x5a'), std::string(64, '\0'),
                                 "PRI * HTTP/2.0\r\n\r\nSM\r\n", "GET", std::string("\r\n"), std::string(1, '\x80')};
  for (const std::string& bytes : garbage) {
    Harness h;
    server::Config config;
    config.head_ms = 100;
    config.linger_ms = 50;
    assert_true(h.start(net::system_io(), config).ok());
    int fd = dial(h.port);
    assert_true(fd >= 0);
    say(fd, bytes);
    bool closed;
    int64_t began = ms_now();
    hear(&h, fd, "", 3000, &closed);
    if (!closed || ms_now() - began > 2000) fail_msg("%zu bytes that begin with %02x keep their connection", bytes.size(), uint8_t(bytes[0]));
    assert_int_equal(h.requests, 0);
    // Whoever means TLS is told at once: it waits for an answer, and none that we know would help.
    if (bytes[0] == '\x16') {
      assert_true(h.log.find("_HEAD_TIMEOUT") == h.log.npos);
      assert_true(h.log.find(": a TLS handshake where HTTP was to begin: this port is in clear\n") != h.log.npos);
    }
    close(fd);
    h.stop();
  }
}

// Sockets that take and give one byte at a time: nothing is lost or out of order.
void short_reads_and_writes_lose_bytes(void**) {
  g = {};
  g.io = *net::system_io();
  g.io.recv = [](void*, int fd, void* p, size_t n) { return net::system_io()->recv(nullptr, fd, p, n ? 1 : 0); };
  g.io.send = [](void*, int fd, const void* p, size_t n) { return net::system_io()->send(nullptr, fd, p, n > 7 ? 7 : n); };
  g.io.sendv = [](void*, int fd, const iovec* v, size_t) {
    return net::system_io()->send(nullptr, fd, v->iov_base, v->iov_len > 5 ? 5 : v->iov_len);
  };
  Harness h;
  assert_true(h.start(&g.io).ok());
  int fd = dial(h.port);
  std::string body = "\x1a\xd0\x0f" + std::string(2000, 'y');
  say(fd, post(body) + post("\x0a\x03two"));
  bool closed;
  std::string got = hear(&h, fd, "\x0a\x03two", 10000, &closed);
  size_t at = got.find("\r\n\r\n");
  assert_true(at != got.npos);
  assert_true(got.compare(at + 4, body.size(), body) == 0);
  assert_true(got.ends_with("\x0a\x03two"));
  close(fd);
  h.stop();
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(a_failing_system_call_stops_the_server),
      cmocka_unit_test(a_connection_that_breaks_takes_others_along),
      cmocka_unit_test(an_interrupted_call_loses_bytes),
      cmocka_unit_test(a_failing_system_call_breaks_streams),
      cmocka_unit_test(a_first_attach_that_fails_takes_the_addresses_along),
      cmocka_unit_test(garbage_keeps_its_connection),
      cmocka_unit_test(short_reads_and_writes_lose_bytes),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
