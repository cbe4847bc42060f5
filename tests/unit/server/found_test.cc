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

// ---- readers that take their time: the clock is the test's, and so is how much the socket takes

int64_t g_now;
size_t g_room;

struct SlowReader {
  net::Io io = *net::system_io();
  Harness h;
  int fd = -1;
  std::string got;
  bool closed = false;

  SlowReader() {
    g_now = net::system_io()->monotonic_ns(nullptr);
    g_room = 200'000;  // what the kernels hold, say
    io.monotonic_ns = [](void*) { return g_now; };
    io.send = [](void*, int to, const void* p, size_t n) -> int64_t {
      int64_t k = g_room ? net::system_io()->send(nullptr, to, p, std::min(n, g_room)) : -EAGAIN;
      if (k > 0) g_room -= size_t(k);
      return k;
    };
    io.sendv = [](void*, int to, const iovec* v, size_t) -> int64_t {
      int64_t k = g_room ? net::system_io()->send(nullptr, to, v[0].iov_base, std::min(v[0].iov_len, g_room)) : -EAGAIN;
      if (k > 0) g_room -= size_t(k);
      return k;
    };
    // Never a third of its buffer is free.
    io.epoll_ctl = [](void*, int ep, int op, int of, epoll_event* e) {
      epoll_event masked = e ? *e : epoll_event{};
      masked.events &= ~uint32_t(EPOLLOUT);
      return net::system_io()->epoll_ctl(nullptr, ep, op, of, e ? &masked : nullptr);
    };
    assert_true(h.start(&io).ok());
    fd = dial(h.port);
  }
  ~SlowReader() {
    close(fd);
    h.stop();
  }
  void take() {
    char b[65536];
    ssize_t k = recv(fd, b, sizeof b, MSG_DONTWAIT);
    if (k > 0) got.append(b, size_t(k));
    if (k == 0 || (k < 0 && errno != EAGAIN)) closed = true;
  }
  void say_all(const std::string& bytes) {
    size_t sent = 0;
    for (int64_t limit = ms_now() + 20'000; sent < bytes.size() && ms_now() < limit; h.turn(0)) {
      ssize_t n = send(fd, bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL | MSG_DONTWAIT);
      if (n > 0) sent += size_t(n);
    }
    assert_int_equal(sent, bytes.size());
    for (int i = 0; i < 200; i++) h.turn(0);
  }
  void pass(int64_t seconds, size_t room) {
    g_now += seconds * 1'000'000'000;
    g_room = room;
    for (int i = 0; i < 5; i++) {
      h.turn(0);
      take();
    }
  }
  // 20 KB every ten seconds.
  void dawdle(int64_t seconds) {
    for (int64_t s = 0; s < seconds && !closed; s += 10) pass(10, g_room + 20'000);
    if (closed) fail_msg("cut after %zu bytes", got.size());
  }
  void finish(std::string_view end) {
    for (int i = 0; i < 5000 && !got.ends_with(end) && !closed; i++) pass(1, size_t(1) << 20);
    if (!got.ends_with(end)) fail_msg("%zu bytes, closed %d, and not the end", got.size(), closed);
  }
  void stops_reading() {
    for (int i = 0; i < 20; i++) {
      pass(10, 0);
      zcrpc_stats s{};
      h.server->stats(&s);
      if (s.connections_now == 0) return;
    }
    fail_msg("it is kept for ever");
  }
};

// A connection was closed 30 s after the first time that its socket took no more, although its client went on reading: a socket is
// called writable when a third of its buffer is free, and who reads slowly frees less than that in the time.
void a_slow_reader_is_cut_like_one_that_stalls(void**) {
  SlowReader r;
  std::string body = message(3'500'000);
  body.replace(body.size() - 3, 3, "end");
  r.say_all(post(body));
  assert_int_equal(r.h.requests, 1);
  r.dawdle(400);
  r.finish("end");
  assert_true(r.got.size() > body.size());
}

// The same for the end of a stream, which had 30 s of its own.
void a_slow_readers_stream_is_cut_at_its_end(void**) {
  for (bool goes_on : {true, false}) {
    SlowReader r;
    std::string body, one = message(900'000);
    for (int i = 0; i < 4; i++) body += std::string("\0", 1) + char(one.size() >> 24) + char(one.size() >> 16) + char(one.size() >> 8) + char(one.size()) + one;
    r.say_all("POST /s.S/Chat HTTP/1.1\r\nHost: x\r\nContent-Type: application/connect+proto\r\nContent-Length: " + std::to_string(body.size()) +
              "\r\n\r\n" + body);
    r.dawdle(goes_on ? 200 : 50);
    if (goes_on) {
      r.finish("{}\r\n0\r\n\r\n");
      assert_true(r.got.size() > body.size());
    } else {
      r.stops_reading();
    }
  }
}

// What was said of a request whose head was not complete when the drain's time ended was an error in the protocol that the fields
// so far made one guess. Nothing is known of it: it was not processed.
void a_head_that_is_cut_by_the_drain_is_answered(void**) {
  const std::string block = "\x83\x86\x04\x09/s.S/Echo\x01\x01x\x0f\x10\x10" "application/grpc";
  const std::string heads[] = {
      "POST /s.S/Echo HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n",
      "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + std::string("\0\0\0\4\0\0\0\0\0\0\0", 11) + char(block.size()) + std::string("\1\0\0\0\0\1", 6) + block,
  };
  for (auto& head : heads) {
    Harness h;
    assert_true(h.start(net::system_io()).ok());
    int fd = dial(h.port);
    bool closed;
    bool h2 = &head != heads;
    say(fd, head);
    std::string got = hear(&h, fd, "", 100, &closed);
    assert_false(closed);
    h.server->drain(300);
    got += hear(&h, fd, "", 5000, &closed);
    assert_true(closed);
    assert_int_equal(h.requests, 0);
    if (!h2) {
      assert_string_equal(got.c_str(), "");
    } else {
      for (size_t at = 0; at + 9 <= got.size();) {
        auto b = [&](size_t i) { return uint32_t(uint8_t(got[at + i])); };
        assert_int_not_equal(b(3), 1);  // no HEADERS
        if (b(3) == 3) assert_int_equal(b(12), http::kH2Refused);
        at += 9 + (b(0) << 16 | b(1) << 8 | b(2));
      }
    }
    close(fd);
    h.stop();
  }
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(a_drained_output_leaves_the_loop_spinning),
      cmocka_unit_test(a_reset_while_nothing_is_read_keeps_the_loop_spinning),
      cmocka_unit_test(a_cancel_takes_the_answers_before_it_along),
      cmocka_unit_test(a_cancel_cuts_answers_that_are_being_taken),
      cmocka_unit_test(a_drain_speaks_after_the_last_word),
      cmocka_unit_test(a_slow_reader_is_cut_like_one_that_stalls),
      cmocka_unit_test(a_slow_readers_stream_is_cut_at_its_end),
      cmocka_unit_test(a_head_that_is_cut_by_the_drain_is_answered),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
