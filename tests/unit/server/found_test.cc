// What the simulation (tests/sim) has found in the server, each as a test with real sockets.
#include <netinet/tcp.h>

#include "unit/server/harness.h"

#include "support/cmocka.h"

using namespace zcrpc;

namespace {

std::string message(size_t n) {
  std::string s = "\x1a";
  for (size_t v = n; ; v >>= 7) {
    s.push_back(char((v & 0x7f) | (v > 0x7f ? 0x80 : 0)));
    if (v <= 0x7f) break;
  }
  return s + std::string(n, 'x');
}

// Whether turns wait when nothing happens: ten of 20 ms.
bool sleeps(Harness* h) {
  int64_t start = ms_now();
  for (int i = 0; i < 10; i++) h->turn(20);
  return ms_now() - start >= 100;
}

// Seed 2: EPOLLOUT was never taken back once a blocked socket had been drained, and every turn returned at once.
void a_drained_output_leaves_the_loop_spinning(void**) {
  Harness h;
  server::Config c;
  c.message_limit = size_t(64) << 20;
  assert_true(h.start(net::system_io(), c).ok());
  int fd = dial(h.port);
  std::string request = post(message(16'000'000));  // more than both sockets hold
  size_t sent = 0, got = 0;
  char b[65536];
  for (int64_t limit = ms_now() + 20'000; got < request.size() - 200 && ms_now() < limit;) {
    if (sent < request.size()) {
      ssize_t n = send(fd, request.data() + sent, request.size() - sent, MSG_NOSIGNAL | MSG_DONTWAIT);
      if (n > 0) sent += size_t(n);
      if (sent == request.size()) usleep(1000);
    } else {
      ssize_t n = recv(fd, b, sizeof b, MSG_DONTWAIT);
      if (n > 0) got += size_t(n);
    }
    h.turn(0);
  }
  assert_true(got >= 16'000'000);
  for (int i = 0; i < 5; i++) h.turn(1);
  assert_true(sleeps(&h));
  close(fd);
  h.stop();
}

// Seed 58: who does not read is told of a reset again and again.
void a_reset_while_nothing_is_read_keeps_the_loop_spinning(void**) {
  Harness h;
  h.answer = false;  // no credits: what comes waits, until it is too much and nothing more is read
  assert_true(h.start(net::system_io()).ok());
  int fd = dial(h.port);
  say(fd, "POST /s.S/Chat HTTP/1.1\r\nHost: x\r\nContent-Type: application/connect+proto\r\nContent-Length: 1000000\r\n\r\n");
  std::string rest(900'000, '\0');
  for (int64_t limit = ms_now() + 300; ms_now() < limit; h.turn(1)) (void)!send(fd, rest.data(), rest.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  assert_int_equal(h.requests, 1);
  assert_true(sleeps(&h));
  linger hard{1, 0};
  setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
  close(fd);
  for (int i = 0; i < 10; i++) h.turn(10);
  zcrpc_stats s{};
  h.server->stats(&s);
  assert_int_equal(s.connections_now, 0);
  assert_true(sleeps(&h));
  h.stop();
}

// Seed 4292: a cancel closed the connection at once, and with it went the answers before it.
void a_cancel_takes_the_answers_before_it_along(void**) {
  Harness h;
  assert_true(h.start(net::system_io()).ok());
  int fd = dial(h.port);
  say(fd, post("\x0a\x01x") + post("\x0a\x01y"));
  int64_t limit = ms_now() + 3000;
  // The first is answered by the harness, the second canceled, both before a byte has left.
  std::string got;
  bool closed = false;
  int seen = 0;
  while (ms_now() < limit && !closed) {
    assert_true(h.loop->begin().ok());
    h.loop->sleep(1);
    while (rpc::Event* e = h.hub.front()) {
      h.hub.pop();
      if (e->record.kind == ZCRPC_EVENT_REQUEST) {
        if (seen++ == 0) h.do_op(e);
        else e->call->verbs->cancel(e->call);
      }
      h.hub.release(e);
    }
    h.loop->end();
    char b[4096];
    ssize_t n = recv(fd, b, sizeof b, MSG_DONTWAIT);
    if (n > 0) got.append(b, size_t(n));
    closed = n == 0 || (n < 0 && errno != EAGAIN);
  }
  assert_int_equal(seen, 2);
  assert_true(closed);
  assert_true(got.starts_with("HTTP/1.1 200 OK") && got.ends_with("\x0a\x01x"));
  close(fd);
  h.stop();
}

// Seed 144219 (then): the answers before a canceled call were cut after a second, though their client was still taking them.
void a_cancel_cuts_answers_that_are_being_taken(void**) {
  static int64_t next;
  static net::Io slow = *net::system_io();  // 500 bytes each 20 ms
  next = 0;
  slow.send = [](void*, int fd, const void* p, size_t n) -> int64_t {
    if (ms_now() < next) return -EAGAIN;
    next = ms_now() + 20;
    return net::system_io()->send(nullptr, fd, p, n > 500 ? 500 : n);
  };
  slow.sendv = [](void* u, int fd, const iovec* v, size_t) { return slow.send(u, fd, v->iov_base, v->iov_len); };
  Harness h;
  server::Config c;
  c.linger_ms = 100;
  assert_true(h.start(&slow, c).ok());
  int fd = dial(h.port);
  std::string body = message(10'000);
  say(fd, post(body) + post("\x0a\x01y"));
  std::string got;
  bool closed = false;
  int seen = 0;
  for (int64_t limit = ms_now() + 5000; ms_now() < limit && !closed;) {
    assert_true(h.loop->begin().ok());
    h.loop->sleep(1);
    while (rpc::Event* e = h.hub.front()) {
      h.hub.pop();
      if (e->record.kind == ZCRPC_EVENT_REQUEST) {
        if (seen++ == 0) h.do_op(e);
        else e->call->verbs->cancel(e->call);
      }
      h.hub.release(e);
    }
    h.loop->end();
    char b[4096];
    ssize_t n = recv(fd, b, sizeof b, MSG_DONTWAIT);
    if (n > 0) got.append(b, size_t(n));
    closed = n == 0 || (n < 0 && errno != EAGAIN);
  }
  assert_int_equal(seen, 2);
  assert_true(closed);
  assert_true(got.starts_with("HTTP/1.1 200 OK") && got.ends_with(body));
  close(fd);
  h.stop();
}

// Seed 220: a connection that had said its last word was told to drain, wrote on, and closed in the middle of lingering.
void a_drain_speaks_after_the_last_word(void**) {
  Harness h;
  server::Config c;
  c.head_ms = c.idle_ms = 50;
  c.linger_ms = 400;
  assert_true(h.start(net::system_io(), c).ok());
  int fd = dial(h.port);
  say(fd, std::string("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0", 33));
  bool closed;
  hear(&h, fd, "", 2000, &closed);  // idle: GOAWAY and the end of its side
  assert_true(closed);
  h.server->drain(5000);
  for (int64_t limit = ms_now() + 100; ms_now() < limit;) h.turn(5);
  zcrpc_stats s{};
  h.server->stats(&s);
  assert_int_equal(s.connections_now, 1);  // it still waits for ours
  close(fd);
  for (int i = 0; i < 10; i++) h.turn(5);
  s = {};
  h.server->stats(&s);
  assert_int_equal(s.connections_now, 0);
  h.stop();
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(a_drained_output_leaves_the_loop_spinning),
      cmocka_unit_test(a_reset_while_nothing_is_read_keeps_the_loop_spinning),
      cmocka_unit_test(a_cancel_takes_the_answers_before_it_along),
      cmocka_unit_test(a_cancel_cuts_answers_that_are_being_taken),
      cmocka_unit_test(a_drain_speaks_after_the_last_word),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
