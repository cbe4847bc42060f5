// What comes in part: messages of streams, and bodies that wait for a 100. By a clock that the test moves.
#include <utility>

#include "unit/server/h2_client.h"

using namespace zcrpc;

namespace {

int64_t g_now = 0;
bool g_full = false;
int64_t g_unsent = 0;  // that the system holds

const net::Io* by_the_clock() {
  g_now = net::system_io()->monotonic_ns(nullptr);
  g_full = false;
  g_unsent = 0;
  static net::Io io;
  io = *net::system_io();
  io.monotonic_ns = [](void*) { return g_now; };
  io.send = [](void*, int fd, const void* p, size_t n) -> int64_t { return g_full ? -EAGAIN : net::system_io()->send(nullptr, fd, p, n); };
  io.sendv = [](void*, int fd, const iovec* v, size_t n) -> int64_t { return g_full ? -EAGAIN : net::system_io()->sendv(nullptr, fd, v, n); };
  io.unsent = [](void*, int) { return g_unsent; };
  // While it is full it is not called writable either.
  io.epoll_wait = [](void*, int ep, epoll_event* e, int max, int ms) -> int {
    const int n = net::system_io()->epoll_wait(nullptr, ep, e, max, g_full && ms != 0 ? 1 : ms);
    for (int i = 0; g_full && i < n; i++) e[i].events &= ~uint32_t(EPOLLOUT);
    return n;
  };
  return &io;
}

server::Config production() {
  server::Config c;
  c.keepalive_ms = -1;
  c.log = {write_log, nullptr, base::LogLevel::kInfo};
  return c;
}

const std::string kWide = frame(kWindow, 0, 0, be32(1 << 20)) + frame(kSettings, 0, 0, std::string("\x00\x04\x00\x40\x00\x00", 6));

struct Peer : Client {
  uint64_t told = 0;
  explicit Peer(bool http2, const server::Config& c = production()) : Client(c, http2 ? kWide : "", by_the_clock()) {
    if (http2) told = kHello.size() + kWide.size() + 9;
    until([&] { return stats().bytes_in >= told; });
  }
  // And it is read.
  void tell(std::string_view s) {
    say(fd, s);
    told += s.size();
    until([&] { return stats().bytes_in >= told; });
    rest();
  }
  void rest() {
    for (int i = 0; i < 5; i++) step(0);
  }
  void wait(int64_t ms) {
    g_now += ms * 1'000'000;
    rest();
  }
  // Cut just now. A stream whose client has not ended its side goes when that has been silent for a moment, and so does a connection.
  void end() {
    assert_true(g_log.find("ZCRPC_SERVER_BODY_TIMEOUT") != g_log.npos);
    for (int i = 0; i < 10 && h.dones == 0; i++) wait(300);
    assert_int_equal(h.dones, 1);
    assert_int_equal(h.code, ZCRPC_DEADLINE_EXCEEDED);
  }
};

struct Kind {
  bool http2;
  const char* type;
  bool text() const { return std::string_view(type).ends_with("text"); }
  std::string begin() const {
    if (http2) return frame(kHeaders, kEndHeaders, 1, head("/s.S/Chat", {}, type));
    return std::string("POST /s.S/Chat HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Type: ") + type + "\r\n\r\n";
  }
  std::string data(std::string_view s) const {
    if (http2) return frame(kData, 0, 1, s);
    char size[32];
    snprintf(size, sizeof size, "%zx\r\n", s.size());
    return size + std::string(s) + "\r\n";
  }
  std::string whole() const { return data(text() ? "AAAAAAMKAXg=" : std::string("\0\0\0\0\3\x0a\x01x", 8)); }
  // 100 bytes are to come, and one does; or not even all of the envelope.
  std::string half() const { return data(text() ? "AAAAAGQK" : std::string("\0\0\0\0\x64\x0a", 6)); }
  std::string drop() const { return data(text() ? "B" : "\1"); }
  std::string envelope() const { return data(text() ? "AAAA" : std::string("\0\0", 2)); }
};
const Kind kKinds[] = {
    {true, "application/grpc"},        {true, "application/connect+proto"},  {true, "application/grpc-web"},   {true, "application/grpc-web-text"},
    {false, "application/connect+proto"}, {false, "application/grpc-web"}, {false, "application/grpc-web-text"},
};

void half_a_message_is_waited_for(void**) {
  for (const Kind& kind : kKinds) {
    for (bool drips : {true, false}) {
      for (bool envelope : {false, true}) {
        Peer k(kind.http2);
        k.tell(kind.begin());
        k.tell(kind.whole());
        // Between messages it may be silent.
        for (int i = 0; i < 20; i++) k.wait(60'000);
        k.tell(kind.whole());
        k.wait(60'000);
        assert_int_equal(k.h.dones, 0);
        assert_true(g_log.empty());
        k.tell(envelope ? kind.envelope() : kind.half());
        int seconds = 0;
        for (; g_log.empty() && seconds < 60; seconds++) {
          if (drips) k.tell(kind.drop());
          k.wait(1000);
        }
        if (seconds < 10 || seconds > 11) fail_msg("%s over HTTP/%d: ended after %d s: %s", kind.type, kind.http2 ? 2 : 1, seconds, g_log.c_str());
        k.end();
        assert_true(g_log.find("/s.S/Chat: ") != g_log.npos && g_log.find(" bytes of a message in 1") != g_log.npos);
        if (!kind.http2) {
          k.until([&] { return k.closed; });
          assert_true(k.got.starts_with("HTTP/1.1 200 OK\r\n"));
          assert_true(kind.text() || k.got.find(kind.type[12] == 'c' ? "\"deadline_exceeded\"" : "grpc-status: 4\r\n") != k.got.npos);
          continue;
        }
        k.until([&] { return k.ended[1]; });
        assert_true(kind.type != kKinds[0].type || k.has(1, "grpc-status: 4\n"));
        // Its neighbours hear nothing of it.
        k.call(3);
        k.until([&] { return k.ended[3]; });
        assert_true(k.has(3, ":status: 200\n"));
        assert_int_equal(k.goaways, 0);
      }
    }
  }
}

// What ends them is data, but in gRPC, and whoever gives no window for it does not keep them.
void an_error_that_is_not_taken_keeps_its_call(void**) {
  for (const Kind& kind : kKinds) {
    if (!kind.http2) continue;
    for (bool late : {true, false}) {
      Peer k(true);
      k.tell(kNoWindow);
      k.tell(kind.begin());
      k.tell(late ? kind.half() : kind.text() ? kind.data("AH////8=") : kind.data(std::string("\0\x7f\0\0\0", 5)));
      for (int i = 0; i < 10 && k.h.dones == 0; i++) k.wait(5000);
      assert_int_equal(k.h.dones, 1);
      assert_int_equal(k.h.code, late ? ZCRPC_DEADLINE_EXCEEDED : ZCRPC_RESOURCE_EXHAUSTED);
      assert_int_equal(k.stats().calls_now, 0);
      assert_int_equal(k.goaways, 0);
    }
  }
}

// Clients with many uploads over a slow line send a frame of each in turn.
void a_message_whose_turn_has_not_come_is_cut(void**) {
  for (bool all : {true, false}) {
    Peer k(true);
    for (uint32_t id = 1; id < 61; id += 2)
      k.tell(frame(kHeaders, kEndHeaders, id, head("/s.S/Chat", {}, "application/grpc")) + frame(kData, 0, id, std::string("\0\0\0\x75\x30", 5)));
    for (uint32_t id = 1; id < 61; id += 2) {
      k.wait(900);
      if (all || id < 9) k.tell(frame(kData, 0, id, std::string(15'000, 'x')));
    }
    assert_int_equal(g_log.empty(), all);
    for (uint32_t id = 1; id < 61 && all; id += 2) {
      k.wait(900);
      k.tell(frame(kData, 0, id, std::string(15'000, 'x')));
    }
    assert_int_equal(k.stats().messages_in, all ? 30 : 0);
  }
}

// The process stood still, and there is more to read than a turn reads.
void what_lies_in_the_socket_is_taken_for_late(void**) {
  Peer k(true);
  std::vector<int> fds(200);
  for (int& fd : fds) {
    fd = dial(k.h.port);
    k.told += kHello.size() + kWide.size() + 9;
    say(fd, kHello + kWide + frame(kSettings, 1, 0));
    const std::string first = kKinds[0].begin() + kKinds[0].half();
    say(fd, first);
    k.told += first.size();
    k.step(0);
  }
  k.until([&] { return k.stats().bytes_in >= k.told; });
  k.wait(5000);
  for (int fd : fds) say(fd, kKinds[0].data(std::string(99, 'x')));
  k.wait(6000);
  k.until([&] { return k.stats().messages_in == fds.size(); });
  assert_int_equal(k.stats().messages_in, fds.size());
  assert_true(g_log.empty());
  for (int fd : fds) close(fd);
}

void a_message_that_comes_slowly_is_cut(void**) {
  for (const Kind& kind : kKinds) {
    if (kind.text()) continue;
    Peer k(kind.http2);
    k.tell(kind.begin());
    for (int message = 0; message < 2; message++) {
      k.tell(kind.data(std::string("\0\0\0\x75\x30", 5)));
      for (int i = 0; i < 100; i++) {
        k.wait(1000);
        k.tell(kind.data(std::string(300, 'x')));
      }
      k.wait(5000);
    }
    assert_int_equal(k.h.dones, 0);
    assert_int_equal(k.stats().messages_in, 2);
    assert_true(g_log.empty());
    // Of one that stops, what the one before it was ahead does not count.
    k.tell(kind.half());
    k.wait(9900);
    assert_int_equal(k.h.dones, 0);
    k.wait(1200);
    k.end();
  }
}

// A message that comes whole sets no timer, one that is half here does.
void each_message_sets_a_timer(void**) {
  for (const Kind& kind : kKinds) {
    Peer k(kind.http2);
    k.tell(kind.begin());
    k.wait(20'000);  // of the head there was one
    auto next = [&] {
      assert_true(k.h.loop->begin().ok());
      int64_t ms = k.h.loop->next_timer_ms();
      k.h.loop->end();
      return ms;
    };
    const int64_t before = next();
    for (int i = 0; i < 5; i++) k.tell(kind.whole());
    assert_int_equal(k.stats().messages_in, 5);
    assert_int_equal(next(), before);
    k.tell(kind.half());
    assert_in_range(next(), 1, 10'000);
  }
}

// The call of the REQUEST that comes next, to be released.
rpc::Call* request(Peer* k) {
  rpc::Call* call = nullptr;
  for (int64_t limit = ms_now() + 5000; !call && ms_now() < limit;) {
    assert_true(k->h.loop->begin().ok());
    k->h.loop->sleep(1);
    while (rpc::Event* e = k->h.hub.front()) {
      k->h.hub.pop();
      if (e->record.kind == ZCRPC_EVENT_REQUEST) e->call->retain(), call = e->call;
      k->h.hub.release(e);
    }
    k->h.loop->end();
  }
  assert_non_null(call);
  return call;
}

void a_message_that_nobody_asks_for_is_cut(void**) {
  for (const Kind& kind : kKinds) {
    Peer k(kind.http2);
    k.h.answer = false;
    say(k.fd, kind.begin());
    k.told += kind.begin().size();
    rpc::Call* call = request(&k);
    k.tell(kind.half());
    for (int i = 0; i < 60; i++) k.wait(10'000);
    assert_int_equal(k.h.dones, 0);
    // From then on it is.
    call->verbs->read(call, 1);
    k.wait(0);
    k.wait(9900);
    assert_int_equal(k.h.dones, 0);
    k.wait(1200);
    k.h.answer = true;
    k.end();
    call->release();
  }
}

// Because its answers are not taken: the rest may lie in the socket.
void a_message_that_is_not_read_is_cut(void**) {
  server::Config c = production();
  c.high_water = 4096;
  c.stall_ms = 24 * 3600 * 1000;
  Peer k(true, c);
  k.h.reply.assign(20'000, 'a');
  k.tell(kKinds[0].begin());
  k.tell(kKinds[0].half());
  k.wait(5000);
  g_full = true;
  k.tell(k.words(3));
  const std::string rest = kKinds[0].data(std::string(99, 'x'));
  say(k.fd, rest);
  for (int i = 0; i < 60; i++) k.wait(10'000);
  assert_int_equal(k.stats().messages_in, 1);
  assert_true(g_log.empty());
  g_full = false;
  // The socket is told of as writable, and then it is read.
  k.until([&] { return k.stats().messages_in == 2; });
  assert_int_equal(k.stats().messages_in, 2);
  k.told += rest.size();
  assert_true(g_log.empty());
  // What had been read before counts on.
  k.until([&] { return k.ended[3]; });
  k.tell(kKinds[0].half());
  k.wait(6000);
  g_full = true;
  k.tell(k.words(5));
  k.wait(60'000);
  g_full = false;
  k.until([&] { return k.ended[5]; });
  k.wait(3000);
  if (!g_log.empty()) fail_msg("%s", g_log.c_str());
  k.wait(2200);
  assert_true(g_log.find(" bytes of a message in 1") != g_log.npos);
}

// ---- bodies

std::string asks(bool http2) {
  if (http2) return frame(kHeaders, kEndHeaders, 1, head("/s.S/Echo", named("expect", "100-continue")));
  return "POST /s.S/Echo HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Type: application/proto\r\nContent-Length: 5000\r\n\r\n";
}

// Nobody can answer what lies here, behind output that is not taken.
void a_100_that_has_not_left_is_waited_for(void**) {
  for (bool http2 : {true, false}) {
    server::Config c = production();
    c.stall_ms = 24 * 3600 * 1000;
    Peer k(http2, c);
    g_full = true;
    k.tell(asks(http2));
    for (int i = 0; i < 60; i++) k.wait(10'000);
    assert_true(g_log.empty());
    // Nor while it lies in the system, behind much else.
    auto got_100 = [&] { return http2 ? k.has(1, ":status: 100\n") : k.got == "HTTP/1.1 100 Continue\r\n\r\n"; };
    g_unsent = 1 << 20;
    g_full = false;
    k.until(got_100);
    assert_true(got_100());
    for (int i = 0; i < 60; i++) k.wait(10'000);
    assert_true(g_log.empty());
    // That it has arrived is noticed within a second.
    g_unsent = 0;
    for (int i = 0; i < 11; i++) k.wait(900);
    assert_true(g_log.empty());
    for (int i = 0; i < 3; i++) k.wait(700);
    assert_true(g_log.find("/s.S/Echo: 0 bytes of a body in 1") != g_log.npos);
    k.until([&] { return http2 ? k.ended[1] : k.closed; });
    assert_true(http2 ? k.has(1, ":status: 504\n") : k.got.find("HTTP/1.1 504 ") != k.got.npos);
  }
}

// Who sends all the same is not waiting.
void a_body_without_its_100_has_no_time(void**) {
  for (bool http2 : {true, false}) {
    server::Config c = production();
    c.stall_ms = 24 * 3600 * 1000;
    Peer k(http2, c);
    g_full = true;
    k.tell(asks(http2));
    k.wait(60'000);
    k.tell(http2 ? frame(kData, 0, 1, "\x0a") : "\x0a");
    k.wait(9900);
    assert_true(g_log.empty());
    k.wait(1200);
    assert_true(g_log.find("/s.S/Echo: 1 bytes of a body in 1") != g_log.npos);
  }
}

// Those whose 100 waits may go, and end, and come again.
void a_call_that_waits_for_its_100_is_counted_for_ever(void**) {
  Peer k(true);
  for (uint32_t id = 1; id < 9; id += 2) {
    g_full = true;
    k.tell(frame(kHeaders, kEndHeaders, id, head("/s.S/Echo", named("expect", "100-continue"))));
    if (id == 3) k.tell(frame(kReset, 0, id, be32(http::kH2Cancel)));
    if (id == 5) k.tell(frame(kData, kEndStream, id));
    if (id == 7) k.wait(1000);
    g_full = false;
    k.wait(1);
    k.until([&] { return id == 3 || k.has(id, ":status: 100\n"); });
    assert_true(id == 3 || k.has(id, ":status: 100\n"));
    if (id == 1 || id == 7) k.tell(frame(kData, kEndStream, id, "\x0a\x01x"));
    k.until([&] { return id == 3 || k.ended[id]; });
    assert_true(id == 3 || k.has(id, ":status: 200\n"));
  }
  k.until([&] { return k.stats().calls_now == 0; });
  assert_int_equal(k.stats().calls_now, 0);
  assert_int_equal(k.h.requests, 3);
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(half_a_message_is_waited_for),
      cmocka_unit_test(an_error_that_is_not_taken_keeps_its_call),
      cmocka_unit_test(a_message_whose_turn_has_not_come_is_cut),
      cmocka_unit_test(what_lies_in_the_socket_is_taken_for_late),
      cmocka_unit_test(a_message_that_comes_slowly_is_cut),
      cmocka_unit_test(each_message_sets_a_timer),
      cmocka_unit_test(a_message_that_nobody_asks_for_is_cut),
      cmocka_unit_test(a_message_that_is_not_read_is_cut),
      cmocka_unit_test(a_100_that_has_not_left_is_waited_for),
      cmocka_unit_test(a_body_without_its_100_has_no_time),
      cmocka_unit_test(a_call_that_waits_for_its_100_is_counted_for_ever),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
