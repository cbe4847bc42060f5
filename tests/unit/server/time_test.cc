// What a peer may take its time for, with limits of a tenth of a second instead of those of production.
#include <netinet/tcp.h>

#include <algorithm>

#include "unit/server/harness.h"

#include "support/cmocka.h"

using namespace zcrpc;

namespace {

constexpr int kLimit = 150;

server::Config hasty() {
  server::Config c;
  c.head_ms = kLimit;
  c.idle_ms = kLimit;
  c.stall_ms = kLimit;
  c.body_grace_ms = kLimit;
  c.body_rate = 1'000'000;
  c.linger_ms = 50;
  c.drain_ping_ms = kLimit;
  return c;
}

std::string frame(uint8_t type, uint8_t flags, uint32_t id, std::string_view payload = {}) {
  std::string s = {char(payload.size() >> 16), char(payload.size() >> 8), char(payload.size()), char(type), char(flags), 0, 0, 0, char(id)};
  return s + std::string(payload);
}
// SETTINGS, and the head of a call to a path that nobody serves.
std::string refused() {
  auto field = [](std::string name, std::string_view value) { return name + std::string(1, char(value.size())) + std::string(value); };
  return "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(4, 0, 0) +
         frame(1, 4, 1, "\x83\x86" + field("\x04", "/s.S/Nope") + field("\x01", "x") + field("\x0f\x10", "application/grpc"));
}
std::string upload(size_t n) {
  std::string s;
  for (; n >= 10'000; n -= 10'000) s += frame(0, 0, 1, std::string(10'000, 'x'));
  return s;
}
int resets(const std::string& got, uint32_t* code) {
  int n = 0;
  for (size_t at = 0; at + 13 <= got.size();) {
    auto b = [&](size_t i) { return uint32_t(uint8_t(got[at + i])); };
    if (b(3) == 3) n++, *code = b(12);
    at += 9 + (b(0) << 16 | b(1) << 8 | b(2));
  }
  return n;
}

int frames(const std::string& got, uint8_t type) {
  int n = 0;
  for (size_t at = 0; at + 9 <= got.size();) {
    auto b = [&](size_t i) { return uint32_t(uint8_t(got[at + i])); };
    n += b(3) == type;
    at += 9 + (b(0) << 16 | b(1) << 8 | b(2));
  }
  return n;
}

// Says `text` on a new connection and waits for the server to end it: ms that took; *got: what it said.
int64_t until_closed(const server::Config& c, std::string_view text, std::string* got, std::string* log = nullptr) {
  Harness h;
  assert_true(h.start(net::system_io(), c).ok());
  int fd = dial(h.port);
  int64_t start = ms_now();
  say(fd, text);
  bool closed;
  *got = hear(&h, fd, "", 5000, &closed);
  assert_true(closed);
  int64_t took = ms_now() - start;
  if (log) *log = h.log;
  close(fd);
  h.stop();
  return took;
}

void a_peer_that_says_nothing_is_kept(void**) {
  std::string got;
  int64_t took = until_closed(hasty(), "", &got);
  assert_true(took >= kLimit - 10 && took < 3000);
  assert_true(got.empty());
  took = until_closed(hasty(), "PRI * HT", &got);
  assert_true(took >= kLimit - 10 && took < 3000);
}

void a_head_that_dawdles_is_waited_for(void**) {
  std::string got;
  server::Config c = hasty();
  c.idle_ms = 60'000;
  int64_t took = until_closed(c, "POST /s.S/Echo HTTP/1.1\r\nHost: x\r\nX: y", &got);
  assert_true(took >= kLimit - 10 && took < 3000);
  assert_true(got.starts_with("HTTP/1.1 408 "));
  // After a first request too.
  took = until_closed(c, post("\x0a\x01x") + "POST /s.S", &got);
  assert_true(took < 3000);
  assert_true(got.find("HTTP/1.1 200 OK") == 0 && got.find("HTTP/1.1 408 ") != got.npos);
}

void a_preface_without_settings_is_waited_for(void**) {
  std::string got;
  server::Config c = hasty();
  c.idle_ms = 60'000;
  int64_t took = until_closed(c, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", &got);
  assert_true(took >= kLimit - 10 && took < 3000);
}

void a_body_that_drips_is_waited_for(void**) {
  std::string got;
  server::Config c = hasty();
  c.idle_ms = 60'000;
  int64_t took = until_closed(c, "POST /s.S/Echo HTTP/1.1\r\nHost: x\r\nContent-Type: application/proto\r\nContent-Length: 100000\r\n\r\n\x0a", &got);
  assert_true(took < 4000);
  assert_true(got.starts_with("HTTP/1.1 504 "));
}

void an_idle_connection_is_kept_for_ever_or_a_busy_one_reaped(void**) {
  std::string got;
  int64_t took = until_closed(hasty(), post("\x0a\x01x"), &got);
  assert_true(took >= kLimit - 10 && took < 3000);
  assert_true(got.starts_with("HTTP/1.1 200 OK"));
  // A call that is being handled is not idleness.
  Harness h;
  h.answer = false;
  assert_true(h.start(net::system_io(), hasty()).ok());
  int fd = dial(h.port);
  say(fd, post("\x0a\x01x"));
  bool closed;
  got = hear(&h, fd, "", 4 * kLimit, &closed);
  assert_false(closed);
  assert_int_equal(h.requests, 1);
  close(fd);
  h.stop();
}

// Whoever wonders where a connection went finds one line, with the limit and the option that moves it.
void a_cut_leaves_no_line(void**) {
  server::Config patient = hasty();
  patient.idle_ms = 60'000;
  struct {
    server::Config c;
    std::string text, want;
  } kinds[] = {
      {hasty(), "", ""},
      {hasty(), "PRI * HT", "cut: no whole head for 150 ms (ZCRPC_SERVER_HEAD_TIMEOUT)"},
      {patient, "POST /s.S", "cut: no whole head for 150 ms (ZCRPC_SERVER_HEAD_TIMEOUT)"},
      {patient, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "cut: no SETTINGS for 150 ms (ZCRPC_SERVER_HEAD_TIMEOUT)"},
      {patient, "POST /s.S/Echo HTTP/1.1\r\nHost: x\r\nContent-Type: application/proto\r\nContent-Length: 100000\r\n\r\n\x0a",
       "cut: /s.S/Echo: 1 bytes of a body in "},
      {hasty(), post("\x0a\x01x"), ""},  // nothing was cut
  };
  for (auto& k : kinds) {
    std::string got, log;
    until_closed(k.c, k.text, &got, &log);
    bool good = k.want.empty() ? log.empty() : log.find(k.want) != log.npos && std::count(log.begin(), log.end(), '\n') == 1 && log.starts_with("127.0.0.1:");
    if (!good) fail_msg("wanted \"%s\", logged \"%s\"", k.want.c_str(), log.c_str());
    if (k.want.starts_with("cut: /")) assert_true(log.find("(ZCRPC_SERVER_BODY_TIMEOUT 150 ms, then ZCRPC_SERVER_MIN_RATE 1000000 bytes a second); 1 cut so\n") != log.npos);
  }
}

void a_peer_that_reads_nothing_is_kept(void**) {
  Harness h;
  server::Config c = hasty();
  c.body_grace_ms = c.idle_ms = 60'000;
  assert_true(h.start(net::system_io(), c).ok());
  int fd = dial(h.port), small = 4096;
  setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
  std::string one = post(std::string("\x1a\xc0\x84\x3d", 4) + std::string(1'000'000, 'x'));
  size_t sent = 0, all = 20 * one.size();
  int64_t start = ms_now();
  for (; ms_now() - start < 6000 && h.server; h.turn(1)) {
    if (sent < all) {
      ssize_t n = send(fd, one.data() + sent % one.size(), one.size() - sent % one.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
      if (n > 0) sent += size_t(n);
      if (n < 0 && errno != EAGAIN) break;
    }
    zcrpc_stats s{};
    h.server->stats(&s);
    if (s.connections == 1 && s.connections_now == 0) break;
  }
  zcrpc_stats s{};
  h.server->stats(&s);
  assert_int_equal(s.connections_now, 0);
  assert_true(ms_now() - start < 5000);
  assert_true(sent < all);  // above its high-water mark the server stopped reading
  assert_true(h.log.find(": cut: too little was taken of what was sent for 150 ms (ZCRPC_SERVER_STALL_TIMEOUT)\n") != h.log.npos);
  close(fd);
  h.stop();
}

// HTTP/2: a head of which a part has come, at any place where it may stop. Nothing else can come behind it.
void a_header_block_that_dawdles_is_waited_for(void**) {
  const std::string hello = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(4, 0, 0), part = "\x83\x86";
  server::Config c = hasty();
  c.idle_ms = 60'000;
  c.body_grace_ms = 60'000;
  const std::string kinds[] = {
      hello + frame(1, 0, 1, part),                                         // and no CONTINUATION
      hello + frame(1, 0, 1, part) + frame(9, 0, 1, part),                  // or not the last
      hello + frame(1, 0, 1, part) + frame(9, 4, 1, part).substr(0, 10),    // or not all of it
      hello + frame(1, 0, 1, part) + frame(9, 4, 1).substr(0, 5),           // not even its head
      hello + frame(1, 4, 1, part).substr(0, 10),
      hello + frame(1, 4, 1, part).substr(0, 9),
      refused() + frame(1, 1, 1, "\x00"),                                   // trailers
      hello + frame(6, 0, 0, "12345678").substr(0, 8),                      // of any other frame: a part of its head
      hello + frame(6, 0, 0, "12345678").substr(0, 12),                     // or of the rest
      hello + frame(0x42, 0, 0, "grease").substr(0, 9),
      refused() + frame(0, 0, 1, "12345678").substr(0, 8),
  };
  for (auto& kind : kinds) {
    std::string got, log;
    int64_t took = until_closed(c, kind, &got, &log);
    assert_true(took >= kLimit - 10 && took < 3000);
    assert_true(log.find(": cut: no whole frame or header block for 150 ms (ZCRPC_SERVER_HEAD_TIMEOUT)\n") != log.npos);
    assert_int_equal(frames(got, 7), 1);
  }
  // Frames that trickle are no progress.
  Harness h;
  assert_true(h.start(net::system_io(), c).ok());
  int fd = dial(h.port);
  say(fd, hello + frame(1, 0, 1, part));
  bool closed = false;
  int64_t start = ms_now();
  while (!closed && ms_now() - start < 5000) {
    hear(&h, fd, "", 10, &closed);
    say(fd, frame(9, 0, 1, "\x00\x01" "a\x01" "b"));
  }
  assert_true(closed);
  assert_true(ms_now() - start < 3000);
  close(fd);
  h.stop();
}

// Many that come in parts, each in time, and what is open between them.
void a_header_block_in_parts_is_cut(void**) {
  server::Config c = hasty();
  c.idle_ms = c.body_grace_ms = 60'000;
  c.head_ms = 4 * kLimit;
  Harness h;
  assert_true(h.start(net::system_io(), c).ok());
  int fd = dial(h.port);
  say(fd, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(4, 0, 0));
  bool closed = false;
  std::string got;
  for (uint32_t id = 1; id < 12 && !closed; id += 2) {
    std::string head = std::string("\x83\x86\x04\x09/s.S/Echo\x01\x01x", 16) + std::string("\x0f\x10\x11" "application/proto", 20);
    say(fd, frame(1, 0, id, head.substr(0, 10)));
    got += hear(&h, fd, "", kLimit * 4 / 3, &closed);
    say(fd, frame(9, 0, id, head.substr(10, 5)) + frame(9, 4, id, head.substr(15)) + frame(0, 1, id, "\x0a\x01x"));
    got += hear(&h, fd, "", kLimit / 5, &closed);
  }
  assert_false(closed);
  assert_int_equal(h.requests, 6);
  assert_int_equal(frames(got, 7), 0);
  close(fd);
  h.stop();
}

const std::string kEcho = std::string("\x83\x86\x04\x09/s.S/Echo\x01\x01x", 16) + std::string("\x0f\x10\x11" "application/proto", 20);
const std::string kChat = std::string("\x83\x86\x04\x09/s.S/Chat\x01\x01x", 16) + std::string("\x0f\x10\x10" "application/grpc", 19);

// The frames of a stream's body have no time but that of a silent peer: a byte now and then is no word.
void data_that_drips_keeps_a_dead_stream(void**) {
  for (bool drips : {true, false}) {
    server::Config c = hasty();
    c.idle_ms = 60'000;
    c.body_rate = 10'000;
    c.keepalive_ms = c.keepalive_timeout_ms = kLimit;
    Harness h;
    h.echo = false;
    assert_true(h.start(net::system_io(), c).ok());
    int fd = dial(h.port);
    say(fd, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(4, 0, 0) + frame(1, 4, 1, kChat));
    const std::string one = frame(0, 0, 1, std::string("\0\0\0\x3e\x80", 5) + std::string(16'000, 'x'));
    bool closed = false;
    int64_t start = ms_now(), most = drips ? 5000 : 6 * kLimit;
    size_t said = 0;
    // At a good rate each frame is longer than the ping waits, too, and is cut nowhere else.
    while (!closed && ms_now() - start < most) {
      std::string_view piece = std::string_view(one).substr(said % one.size(), drips ? 1 : 500);
      say(fd, piece);
      said += piece.size();
      hear(&h, fd, "", 5, &closed);
    }
    assert_int_equal(closed, drips);
    if (drips) assert_true(ms_now() - start >= 2 * kLimit - 10 && ms_now() - start < 3000);
    assert_int_equal(h.log.find(": cut: no answer to a ping for 150 ms (ZCRPC_SERVER_KEEPALIVE_TIMEOUT)\n") != h.log.npos, drips);
    close(fd);
    h.stop();
  }
}

bool g_full = false;
net::Io full_or_not() {
  net::Io io = *net::system_io();
  io.send = [](void*, int fd, const void* p, size_t n) -> int64_t { return g_full ? -EAGAIN : net::system_io()->send(nullptr, fd, p, n); };
  io.sendv = [](void*, int fd, const iovec* v, size_t n) -> int64_t { return g_full ? -EAGAIN : net::system_io()->sendv(nullptr, fd, v, n); };
  return io;
}

int64_t g_now, g_takes;

// What a handler takes on the loop's thread, or the system for what it is given, was taken from its client: the time to take an
// answer began with the turn.
void who_is_slow_uses_up_its_clients_time(void**) {
  for (bool handler : {true, false}) {
    net::Io io = full_or_not();
    io.monotonic_ns = [](void*) { return g_now; };
    io.send = [](void*, int fd, const void* p, size_t n) -> int64_t {
      g_now += std::exchange(g_takes, 0);
      return g_full ? -EAGAIN : net::system_io()->send(nullptr, fd, p, n);
    };
    g_now = net::system_io()->monotonic_ns(nullptr);
    server::Config c = hasty();
    c.idle_ms = 60'000;
    Harness h;
    assert_true(h.start(&io, c).ok());
    int fd = dial(h.port);
    g_full = true;
    say(fd, post("\x0a\x01x"));
    for (int64_t limit = ms_now() + 3000; h.requests == 0 && ms_now() < limit;) {
      assert_true(h.loop->begin().ok());
      h.loop->sleep(1);
      while (rpc::Event* e = h.hub.front()) {
        h.hub.pop();
        h.requests++;
        (handler ? g_now : g_takes) += 10'000'000'000;
        h.do_op(e);
        h.hub.release(e);
      }
      h.loop->end();
    }
    assert_int_equal(h.requests, 1);
    assert_int_equal(g_takes, 0);
    for (int i = 0; i < 4; i++) {
      h.turn(1);
      if (!h.log.empty()) fail_msg("%s", h.log.c_str());
      g_now += kLimit / 4 * 1'000'000;
    }
    g_full = false;
    bool closed;
    assert_true(hear(&h, fd, "\x0a\x01x", 3000, &closed).starts_with("HTTP/1.1 200 OK"));
    assert_false(closed);
    close(fd);
    h.stop();
  }
}

// Nor is a body slow that lies in the socket, nor a peer dead whose PING does. But the time that was read counts.
void a_body_that_is_not_read_is_cut(void**) {
  net::Io io = full_or_not();
  server::Config c = hasty();
  c.idle_ms = c.stall_ms = 60'000;
  c.keepalive_ms = c.keepalive_timeout_ms = 2 * kLimit;
  c.body_rate = 1;
  c.high_water = 4096;
  Harness h;
  h.reply.assign(20'000, 'a');
  assert_true(h.start(&io, c).ok());
  int fd = dial(h.port);
  bool closed = false;
  say(fd, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(4, 0, 0));
  hear(&h, fd, "", 20, &closed);
  g_full = true;
  say(fd, frame(1, 4, 1, kEcho) + frame(1, 4, 3, kEcho) + frame(1, 4, 5, kEcho) + frame(0, 1, 5, "\x0a\x01x"));
  hear(&h, fd, "", 30, &closed);
  say(fd, frame(0, 1, 1, "\x0a\x01x"));
  hear(&h, fd, "", 6 * kLimit, &closed);
  assert_int_equal(h.requests, 1);
  assert_false(closed);
  assert_true(h.log.empty());
  g_full = false;
  int64_t start = ms_now();
  for (int i = 0; i < 100 && h.requests < 2; i++) hear(&h, fd, "", 10, &closed);
  assert_int_equal(h.requests, 2);
  for (int i = 0; i < 200 && h.log.empty(); i++) {
    say(fd, frame(6, 0, 0, "12345678"));
    hear(&h, fd, "", 10, &closed);
  }
  assert_true(ms_now() - start < 3000);
  // Of the 900 ms before hardly any counted.
  size_t at = h.log.find(": cut: /s.S/Echo: 0 bytes of a body in ");
  if (at == h.log.npos) fail_msg("%s", h.log.c_str());
  assert_true(atoi(h.log.c_str() + at + strlen(": cut: /s.S/Echo: 0 bytes of a body in ")) <= kLimit + 50 + ms_now() - start);
  assert_false(closed);
  close(fd);
  h.stop();
}

// A request that was answered early, whose rest waits behind an answer that is being taken.
void the_rest_of_a_request_that_is_not_read_is_cut(void**) {
  net::Io io = full_or_not();
  server::Config c = hasty();
  c.idle_ms = c.stall_ms = c.body_grace_ms = 60'000;
  c.dropped_ms = kLimit;
  c.high_water = 40;
  Harness h;
  assert_true(h.start(&io, c).ok());
  int fd = dial(h.port);
  bool closed = false;
  g_full = true;
  std::string early = "POST /s.S/None HTTP/1.1\r\nHost: x\r\nContent-Type: application/proto\r\nContent-Length: 5000\r\n\r\n";
  say(fd, early);
  hear(&h, fd, "", 20, &closed);
  say(fd, std::string(5000, 'x') + post("\x0a\x01x"));
  hear(&h, fd, "", 4 * kLimit, &closed);
  assert_false(closed);
  g_full = false;
  std::string got = hear(&h, fd, "\x0a\x01x", 3000, &closed);
  assert_true(got.starts_with("HTTP/1.1 404 ") && got.ends_with("\x0a\x01x"));
  assert_true(h.log.empty());
  // And one that is read has its time.
  say(fd, early);
  hear(&h, fd, "", 3000, &closed);
  assert_true(closed);
  assert_true(h.log.find("ZCRPC_SERVER_REST_TIMEOUT") != h.log.npos);
  close(fd);
  h.stop();
}

// The rest of a block lies in the socket while the server does not read, since its answers are not taken.
void who_is_not_read_is_taken_for_slow(void**) {
  net::Io io = full_or_not();
  server::Config c = hasty();
  c.idle_ms = c.stall_ms = 60'000;
  c.high_water = 4096;
  Harness h;
  h.reply.assign(20'000, 'a');
  assert_true(h.start(&io, c).ok());
  int fd = dial(h.port);
  bool closed = false;
  say(fd, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(4, 0, 0));
  hear(&h, fd, "", 20, &closed);
  const std::string& head = kEcho;
  g_full = true;
  say(fd, frame(1, 4, 1, head) + frame(0, 1, 1, "\x0a\x01x") + frame(1, 4, 3, head).substr(0, 20));
  hear(&h, fd, "", 30, &closed);
  say(fd, frame(1, 4, 3, head).substr(20) + frame(0, 1, 3, "\x0a\x01x"));
  hear(&h, fd, "", 3 * kLimit, &closed);
  assert_int_equal(h.requests, 1);
  assert_false(closed);
  g_full = false;
  for (int i = 0; i < 100 && h.requests < 2; i++) hear(&h, fd, "", 10, &closed);
  assert_int_equal(h.requests, 2);
  assert_false(closed);
  assert_true(h.log.empty());
  close(fd);
  h.stop();
}

// An idle one answers one request more, so that a proxy which is sending it just then does not see it lost.
void an_old_connection_is_never_renewed_or_loses_a_request(void**) {
  server::Config c = hasty();
  c.idle_ms = 60'000;
  c.max_age_ms = 100;
  Harness h;
  assert_true(h.start(net::system_io(), c).ok());
  int fd = dial(h.port);
  bool closed;
  say(fd, post("\x0a\x01x"));
  std::string got = hear(&h, fd, "\x0a\x01x", 5000, &closed);
  assert_false(closed);
  assert_true(got.find("onnection: close") == got.npos);
  got = hear(&h, fd, "", 300, &closed);
  assert_false(closed);
  say(fd, post("\x0a\x01x"));
  got = hear(&h, fd, "", 5000, &closed);
  assert_true(closed);
  assert_true(got.starts_with("HTTP/1.1 200 OK"));
  assert_true(got.find("onnection: close") != got.npos);
  close(fd);
  h.stop();
}

void a_call_on_an_old_connection_runs_on_past_its_grace(void**) {
  server::Config c = hasty();
  c.max_age_ms = 100;
  c.age_grace_ms = 100;
  Harness h;
  assert_true(h.start(net::system_io(), c).ok());
  h.answer = false;
  int fd = dial(h.port);
  int64_t start = ms_now();
  say(fd, post("\x0a\x01x"));
  bool closed;
  std::string got = hear(&h, fd, "", 5000, &closed);
  assert_true(closed);
  assert_true(ms_now() - start >= 180 && ms_now() - start < 3000);
  assert_true(got.starts_with("HTTP/1.1 503 "));
  assert_true(got.find("\"unavailable\"") != got.npos);
  assert_true(h.log.find("for 100 ms (ZCRPC_SERVER_AGE_GRACE)\n") != h.log.npos);
  close(fd);
  h.stop();
}

void a_peer_that_has_gone_without_a_word_is_kept(void**) {
  for (bool there : {true, false}) {
    Harness h;
    server::Config c;
    c.head_ms = 10'000;
    c.keepalive_ms = kLimit;
    c.keepalive_timeout_ms = kLimit;
    assert_true(h.start(net::system_io(), c).ok());
    int fd = dial(h.port);
    say(fd, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(4, 0, 0));
    int64_t start = ms_now();
    bool closed = false;
    std::string got;
    for (int answered = 0; !closed && ms_now() - start < 10 * kLimit;) {
      got += hear(&h, fd, "", 5, &closed);
      for (; there && answered < frames(got, 6); answered++) say(fd, frame(6, 1, 0, std::string(8, '\0')));
    }
    assert_int_equal(closed, !there);
    if (there) assert_true(frames(got, 6) >= 3);
    else assert_true(frames(got, 6) == 1 && ms_now() - start >= 2 * kLimit - 10);
    assert_int_equal(h.log.find(": cut: no answer to a ping for 150 ms (ZCRPC_SERVER_KEEPALIVE_TIMEOUT)\n") != h.log.npos, !there);
    close(fd);
    h.stop();
  }
}

// HTTP/1.1 has none: the kernel asks, of what was accepted from a listener that was told to.
int g_accepted = -1;
void a_peer_of_http1_that_has_gone_without_a_word_is_kept(void**) {
  for (bool asked : {true, false}) {
    net::Io io = *net::system_io();
    io.accept = [](void*, int fd, sockaddr* a, socklen_t* n) {
      const int got = net::system_io()->accept(nullptr, fd, a, n);
      return got < 0 ? got : g_accepted = got;
    };
    Harness h;
    server::Config c;
    c.keepalive_ms = asked ? 90'500 : -1;
    c.keepalive_timeout_ms = 20'000;
    assert_true(h.start(&io, c).ok());
    int fd = dial(h.port);
    say(fd, post("x"));
    bool closed = false;
    assert_true(hear(&h, fd, "\r\n\r\n", 2000, &closed).starts_with("HTTP/1.1 200"));
    auto option = [](int level, int name) {
      int v = -1;
      socklen_t n = sizeof v;
      assert_int_equal(getsockopt(g_accepted, level, name, &v, &n), 0);
      return v;
    };
    assert_int_equal(option(SOL_SOCKET, SO_KEEPALIVE), asked);
    if (asked) {
      assert_int_equal(option(IPPROTO_TCP, TCP_KEEPIDLE), 91);
      assert_int_equal(option(IPPROTO_TCP, TCP_KEEPINTVL), 5);
      assert_int_equal(option(IPPROTO_TCP, TCP_KEEPCNT), 4);
    }
    close(fd);
    h.stop();
  }
}

// Pings are no calls: who only pings is idle.
void pings_keep_an_idle_connection_open(void**) {
  Harness h;
  server::Config c;
  c.head_ms = 50;
  c.idle_ms = 2 * kLimit;
  assert_true(h.start(net::system_io(), c).ok());
  int fd = dial(h.port);
  say(fd, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(4, 0, 0));
  bool closed = false;
  std::string got;
  for (int64_t start = ms_now(); !closed && ms_now() - start < 20 * kLimit;) {
    say(fd, frame(6, 0, 0, "12345678"));
    got += hear(&h, fd, "", 20, &closed);
  }
  assert_true(closed);
  assert_int_equal(frames(got, 7), 1);
  close(fd);
  h.stop();
}

void a_connection_takes_more_requests_than_it_may(void**) {
  Harness h;
  server::Config c;
  c.max_requests = 2;
  assert_true(h.start(net::system_io(), c).ok());
  int fd = dial(h.port);
  say(fd, post("\x0a\x01x") + post("\x0a\x01y") + post("\x0a\x01z"));
  bool closed;
  std::string got = hear(&h, fd, "", 3000, &closed);
  assert_true(closed);
  assert_int_equal(h.requests, 2);
  assert_true(got.find("\x0a\x01y") != got.npos && got.find("\x0a\x01z") == got.npos);
  assert_true(got.find("onnection: close") > got.find("\x0a\x01x"));
  close(fd);
  h.stop();
}

// That it is a connection's last says nothing of how long a call may take.
void the_last_request_of_a_connection_is_cut_at_its_age(void**) {
  Harness h;
  server::Config c;
  c.max_requests = 1;
  c.max_age_ms = kLimit;
  h.answer = false;
  assert_true(h.start(net::system_io(), c).ok());
  int fd = dial(h.port);
  say(fd, post("\x0a\x01x"));
  bool closed;
  std::string got = hear(&h, fd, "", 4 * kLimit, &closed);
  assert_int_equal(h.requests, 1);
  assert_false(closed);
  assert_true(got.empty());
  close(fd);
  h.stop();
}

// curl 7.88 and nginx take a reset for a failure, whatever its code: who goes on sending is listened to.
void an_early_answer_resets_who_is_still_sending(void**) {
  server::Config c;
  c.reset_ms = kLimit;
  c.dropped = 100'000;
  struct {
    size_t bytes;
    bool ends;
    int resets;
  } kinds[] = {{50'000, true, 0}, {50'000, false, 1}, {150'000, true, 1}};
  for (auto& k : kinds) {
    Harness h;
    assert_true(h.start(net::system_io(), c).ok());
    int fd = dial(h.port);
    bool closed;
    say(fd, refused() + upload(10'000));
    std::string got = hear(&h, fd, "", kLimit / 2, &closed);  // the answer has come; it goes on
    say(fd, frame(4, 1, 0) + upload(k.bytes));
    if (k.ends) say(fd, frame(0, 1, 1));
    got += hear(&h, fd, "", 4 * kLimit, &closed);
    assert_false(closed);
    uint32_t code = 0;
    assert_int_equal(resets(got, &code), k.resets);
    assert_int_equal(code, 0);
    close(fd);
    h.stop();
  }
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(a_peer_that_says_nothing_is_kept),
      cmocka_unit_test(a_head_that_dawdles_is_waited_for),
      cmocka_unit_test(a_preface_without_settings_is_waited_for),
      cmocka_unit_test(a_body_that_drips_is_waited_for),
      cmocka_unit_test(an_idle_connection_is_kept_for_ever_or_a_busy_one_reaped),
      cmocka_unit_test(a_cut_leaves_no_line),
      cmocka_unit_test(a_peer_that_reads_nothing_is_kept),
      cmocka_unit_test(a_header_block_that_dawdles_is_waited_for),
      cmocka_unit_test(a_header_block_in_parts_is_cut),
      cmocka_unit_test(data_that_drips_keeps_a_dead_stream),
      cmocka_unit_test(who_is_slow_uses_up_its_clients_time),
      cmocka_unit_test(a_body_that_is_not_read_is_cut),
      cmocka_unit_test(the_rest_of_a_request_that_is_not_read_is_cut),
      cmocka_unit_test(who_is_not_read_is_taken_for_slow),
      cmocka_unit_test(an_old_connection_is_never_renewed_or_loses_a_request),
      cmocka_unit_test(a_call_on_an_old_connection_runs_on_past_its_grace),
      cmocka_unit_test(a_peer_that_has_gone_without_a_word_is_kept),
      cmocka_unit_test(a_peer_of_http1_that_has_gone_without_a_word_is_kept),
      cmocka_unit_test(pings_keep_an_idle_connection_open),
      cmocka_unit_test(a_connection_takes_more_requests_than_it_may),
      cmocka_unit_test(the_last_request_of_a_connection_is_cut_at_its_age),
      cmocka_unit_test(an_early_answer_resets_who_is_still_sending),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
