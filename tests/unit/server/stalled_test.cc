// Handshakes of TLS that stop half way: each is cut at the deadline of the handshake, whatever it sends meanwhile, and
// neither the neighbours nor the loop notice. With a limit of a fifth of a second instead of ten.
#include "unit/server/secure.h"

extern "C" {
#include "support/peak_malloc.h"
}

using namespace zcrpc;

namespace {

constexpr int kLimit = 200;
constexpr int kCount = 50;  // of each kind

server::Config hasty() {
  server::Config c;
  c.head_ms = kLimit;
  c.linger_ms = 50;
  return c;
}

enum Kind { kNothing, kHalfAHello, kNoFinish, kDrip, kGarbageLength, kKinds };
const char* const kNames[] = {"no byte", "half a ClientHello", "a ClientHello, and no Finished", "a byte now and then", "a record that is never filled"};

void a_stalled_handshake_is_waited_for(void**) {
  for (int kind = 0; kind < kKinds; kind++) {
    Secure s(hasty());
    bool gone;
    // Neighbours that were there before: one over TLS, one in clear text.
    Client old(s.port);
    assert_true(old.call(&s.h, "\x0a\x03" "old").starts_with("HTTP/1.1 200 OK"));
    int clear_text = dial(s.h.port);
    say(clear_text, post("\x0a\x01x"));
    assert_true(hear(&s.h, clear_text, "\x0a\x01x", 3000, &gone).ends_with("\x0a\x01x"));

    peak_malloc_start();
    int stalled[kCount];
    std::string hellos[kCount];
    size_t said = 0;
    int64_t start = ms_now();
    for (int i = 0; i < kCount; i++) {
      Client c(s.port);
      hellos[i] = c.hello();
      stalled[i] = std::exchange(c.fd, -1);
      if (kind == kHalfAHello) say(stalled[i], std::string_view(hellos[i]).substr(0, hellos[i].size() / 2));
      if (kind == kNoFinish) say(stalled[i], hellos[i]);
      if (kind == kGarbageLength) say(stalled[i], std::string_view("\x16\x03\x01\x3f\xff\x01\x00\x3f\xfb", 9));
      s.h.turn(0);
    }
    size_t cost = peak_malloc_bytes();
    uint64_t there = 0;
    int64_t longest = 0, took = 0;
    bool early = false;  // on a busy machine the first may have gone before the last has come
    for (int i = 0; took == 0 && ms_now() - start < 5000; i++) {
      // The neighbours go on, and new ones come in.
      int64_t from = ms_now();
      assert_true(old.call(&s.h, "\x0a\x03" "old").starts_with("HTTP/1.1 200 OK"));
      say(clear_text, post("\x0a\x01y"));
      assert_true(hear(&s.h, clear_text, "\x0a\x01y", 3000, &gone).ends_with("\x0a\x01y"));
      if (i % 5 == 0) {
        Client fresh(s.port);
        assert_true(fresh.call(&s.h, "\x0a\x05" "fresh").starts_with("HTTP/1.1 200 OK"));
      }
      longest = std::max(longest, ms_now() - from);
      there = std::max(there, s.connections());
      early = early || (i == 0 && ms_now() - start < kLimit - 10);
      if (kind == kDrip && said < hellos[0].size() - 1) {
        for (int k = 0; k < kCount; k++) say(stalled[k], std::string_view(hellos[k]).substr(said, 1));
        said++;
      }
      usleep(1000);
      for (int k = 0; k < 20; k++) s.h.turn(1);
      if (s.connections() <= 2) took = ms_now() - start;
    }
    print_message("%d times %s: gone after %d ms; %zu KiB; a neighbour waited %d ms at most\n", kCount, kNames[kind], int(took), cost >> 10, int(longest));
    assert_true(there >= kCount + 2 || !early);
    assert_true(took >= kLimit - 10 && took < kLimit + 2000);  // and not later for what came meanwhile
    assert_true(longest < 2000);
    assert_true(cost < kCount * size_t(200) << 10);  // most of it is OpenSSL's
    for (int fd : stalled) {
      char b[4096];
      ssize_t n;
      while ((n = recv(fd, b, sizeof b, MSG_DONTWAIT)) > 0) {}
      assert_true(n == 0 || errno != EAGAIN);  // it was told
      close(fd);
    }
    close(clear_text);
  }
}

// The handshake is done in time, and then nothing comes: the same limit.
void silence_behind_a_handshake_is_waited_for(void**) {
  Secure s(hasty());
  int64_t start = ms_now();
  Client c(s.port, {"\x02h2", 3});
  while (!c.up && ms_now() - start < 3000) {
    c.step();
    s.h.turn(1);
  }
  assert_true(c.up);
  while (!c.closed && ms_now() - start < 5000) {
    c.hear();
    s.h.turn(1);
  }
  assert_true(c.closed);
  assert_true(ms_now() - start >= kLimit - 10 && ms_now() - start < kLimit + 2000);
}

// A message of which the envelope came in a record of its own, and the rest in one, twice as fast as it has to: of that nothing is seen before its end.
void a_record_in_parts_is_taken_for_slow(void**) {
  for (bool goes_on : {true, false}) {
    server::Config c = hasty();
    c.body_grace_ms = kLimit;
    c.body_rate = 10'000;
    Secure s(c);
    Client k(s.port);
    for (int64_t limit = ms_now() + 3000; !k.up && ms_now() < limit; s.h.turn(1)) k.step();
    assert_true(k.up);
    const std::string head = "POST /s.S/Chat HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Type: application/connect+proto\r\n\r\n5\r\n" +
                             std::string("\0\0\0\x3e\x80", 5) + "\r\n";
    const std::string rest = "3e80\r\n\x0a\xfd\x7c" + std::string(15'997, 'x') + "\r\n";
    SSL_write(k.ssl, head.data(), int(head.size()));
    k.step();
    for (int i = 0; i < 5; i++) s.h.turn(1);
    SSL_write(k.ssl, rest.data(), int(rest.size()));
    const std::string wire = k.bytes();
    int64_t start = ms_now();
    size_t said = 0;
    auto messages = [&] {
      zcrpc_stats now{};
      s.h.server->stats(&now);
      return now.messages_in;
    };
    while (messages() == 0 && s.h.log.empty() && ms_now() - start < 4000) {
      size_t due = std::min(wire.size(), goes_on ? size_t(ms_now() - start) * 20 : 100);
      say(k.fd, std::string_view(wire).substr(said, due - said));
      said = due;
      s.h.turn(5);
    }
    if (goes_on && !s.h.log.empty()) fail_msg("%s", s.h.log.c_str());
    assert_int_equal(s.h.log.find("ZCRPC_SERVER_BODY_TIMEOUT") != s.h.log.npos, !goes_on);
    if (!goes_on) assert_in_range(ms_now() - start, 1600, 3000);
  }
}

// Balancers look whether a port is open, or speaks TLS, and ask nothing: thousands of times a day, and nobody wants a line for each.
std::string g_lines;
void a_health_check_has_a_line_at_info(void**) {
  enum Probe { kOpen, kReset, kHello, kHelloReset, kShake, kShakeAndBye, kSilent, kHelloSilent, kShakeSilent, kProbes };
  for (bool secure : {true, false}) {
    for (int probe = 0; probe < kProbes; probe++) {
      if (!secure && probe != kOpen && probe != kReset && probe != kSilent) continue;
      server::Config c = hasty();
      g_lines.clear();
      c.log = {[](int32_t level, const char* text, size_t n, void*) { g_lines.append(std::to_string(level)).append(" ").append(text, n).append("\n"); }, nullptr, base::LogLevel::kDebug};
      Secure s(c);
      {
        Client k(secure ? s.port : s.h.port, {"\x02h2", 3});
        s.h.turn(1);
        if (probe == kHello || probe == kHelloReset || probe == kHelloSilent) say(k.fd, k.hello());
        if (probe == kShake || probe == kShakeAndBye || probe == kShakeSilent) {
          for (int64_t limit = ms_now() + 3000; !k.up && ms_now() < limit; s.h.turn(1)) k.step();
          assert_true(k.up);
        }
        for (int i = 0; i < 5; i++) s.h.turn(1);
        if (probe == kShakeAndBye) SSL_shutdown(k.ssl), say(k.fd, k.bytes());
        linger reset{1, 0};
        if (probe == kReset || probe == kHelloReset) setsockopt(k.fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
        bool waits = probe == kSilent || probe == kHelloSilent || probe == kShakeSilent;
        if (!waits) close(std::exchange(k.fd, -1));
        for (int64_t limit = ms_now() + 5000; s.connections() > 0 && ms_now() < limit;) {
          s.h.turn(1);
          if (k.fd >= 0) k.hear();
        }
        assert_int_equal(s.connections(), 0);
      }
      const char* want = probe == kSilent && !secure ? ": cut: no byte for 200 ms" : probe == kHelloSilent ? ": cut: no whole handshake for 200 ms"
                         : probe == kSilent || probe == kShakeSilent ? ": cut: no byte, or none behind the handshake for 200 ms" : nullptr;
      const bool line = want && g_lines.find(want) != g_lines.npos && g_lines.starts_with(probe == kHelloSilent ? "3 " : "4 ");
      if (want ? !line : !g_lines.empty()) fail_msg("%s, probe %d: %s", secure ? "TLS" : "clear", probe, g_lines.c_str());
    }
  }
}

// Found by the simulation: a peer that takes nothing of a handshake, and has ended its side or sent more, was told of in
// every turn until the deadline.
void a_clogged_handshake_keeps_the_loop_spinning(void**) {
  for (bool ends : {true, false}) {
    // Sockets that are full: they take nothing, and are never called writable.
    static net::Io full;
    full = *net::system_io();
    full.send = [](void*, int, const void*, size_t) -> int64_t { return -EAGAIN; };
    full.epoll_ctl = [](void*, int ep, int op, int fd, epoll_event* e) {
      e->events &= ~uint32_t(EPOLLOUT);
      return net::system_io()->epoll_ctl(nullptr, ep, op, fd, e);
    };
    tls::Config t;
    t.certificate = g_server.pem;
    t.key = g_server.key_pem;
    auto made = tls::Context::make(t);
    assert_true(made.ok());
    Harness h;
    h.streams = *made;
    assert_true(h.start(&full).ok());
    Client c(atoi(strrchr(h.server->address(1), ':') + 1));
    say(c.fd, c.hello());
    for (int i = 0; i < 5; i++) h.turn(5);
    if (ends) shutdown(c.fd, SHUT_WR);
    else say(c.fd, "more");
    for (int i = 0; i < 5; i++) h.turn(5);
    int64_t start = ms_now();
    for (int i = 0; i < 10; i++) h.turn(20);
    assert_true(ms_now() - start >= 100);  // nothing happens, so turns wait
    h.stop();
    (*made)->release();
  }
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(a_stalled_handshake_is_waited_for),
      cmocka_unit_test(a_clogged_handshake_keeps_the_loop_spinning),
      cmocka_unit_test(silence_behind_a_handshake_is_waited_for),
      cmocka_unit_test(a_record_in_parts_is_taken_for_slow),
      cmocka_unit_test(a_health_check_has_a_line_at_info),
  };
  return cmocka_run_group_tests(tests, prepare, clear);
}
