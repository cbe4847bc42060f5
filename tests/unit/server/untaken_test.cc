// Answers that their client does not take, though it answers every PING: how long they are kept, how much of them, and who hears
// of their end. And calls above the number that a server has places for.
#include <algorithm>

#include "unit/server/h2_client.h"

extern "C" {
#include "support/peak_malloc.h"
}

using namespace zcrpc;

namespace {

// A stream's beginning and one message of it.
std::string chat(uint32_t id) {
  return frame(kHeaders, kEndHeaders, id, head("/s.S/Chat", {}, "application/grpc")) + frame(kData, 0, id, std::string("\0\0\0\0\3\x0a\x01x", 8));
}

constexpr int kLimit = 200;
constexpr size_t kMiB = 1 << 20;

server::Config hasty() {
  server::Config c;
  c.stall_ms = kLimit;
  c.linger_ms = 50;
  c.log = {write_log, nullptr, base::LogLevel::kInfo};
  return c;
}

// ---- time

void a_deadline_ends_the_handler_and_not_the_answer(void**) {
  server::Config c = hasty();
  c.stall_ms = 60'000;
  Client k(c);
  k.h.reply.assign(4 * kMiB, 'a');
  k.call(1, named("connect-timeout-ms", "200"));
  int64_t took = k.until([&] { return k.resets.count(1) > 0; });
  assert_int_equal(k.resets[1], http::kH2Cancel);
  assert_true(took >= 190 && took < 3000);
  assert_true(k.has(1, ":status: 200\n"));
  assert_int_equal(k.bytes[1], 0);
  k.until([&] { return k.h.dones == 1; });
  assert_int_equal(k.h.code, ZCRPC_DEADLINE_EXCEEDED);
  assert_int_equal(k.stats().codes[ZCRPC_DEADLINE_EXCEEDED], 1);
  assert_int_equal(k.stats().codes[ZCRPC_OK], 0);
  assert_int_equal(k.stats().calls_failed, 1);
  assert_int_equal(k.stats().calls_now, 0);
  // The connection is as good as before.
  say(k.fd, frame(kPing, 0, 0, "12345678"));
  k.until([&] { return k.pings == 1; });
  assert_int_equal(k.pings, 1);
  assert_int_equal(k.goaways, 0);
}

// Nothing of its message has left, and trailers need no window.
void a_grpc_client_does_not_hear_of_its_deadline(void**) {
  server::Config c = hasty();
  c.stall_ms = 60'000;
  Client k(c);
  k.h.reply.assign(kMiB, 'a');
  k.call(1, named("grpc-timeout", "200m"), "application/grpc");
  int64_t took = k.until([&] { return k.ended[1]; });
  assert_true(k.ended[1]);
  assert_true(took >= 190 && took < 3000);
  assert_true(k.has(1, "grpc-status: 4\n"));
  assert_false(k.has(1, "grpc-status: 0\n"));
  assert_true(k.has(1, "grpc-message: deadline exceeded\n"));
  assert_int_equal(k.resets.size(), 0);
  assert_int_equal(k.bytes[1], 0);
  k.until([&] { return k.h.dones == 1; });
  assert_int_equal(k.h.code, ZCRPC_DEADLINE_EXCEEDED);
  // Half a message cannot be taken back.
  say(k.fd, frame(kSettings, 0, 0, std::string("\x00\x04\x00\x00\x10\x00", 6)));
  k.call(3, named("grpc-timeout", "200m"), "application/grpc");
  k.until([&] { return k.resets.count(3) > 0; });
  assert_int_equal(k.resets[3], http::kH2Cancel);
  assert_int_equal(k.bytes[3], 4096);
  // And the window that comes too late is no harm.
  say(k.fd, frame(kWindow, 0, 1, be32(1 << 20)) + frame(kWindow, 0, 3, be32(1 << 20)) + frame(kPing, 0, 0, "12345678"));
  k.until([&] { return k.pings == 1; });
  assert_int_equal(k.pings, 1);
  assert_int_equal(k.bytes[1], 0);
}

void an_answer_that_nobody_takes_is_kept_for_ever(void**) {
  Client k(hasty());
  k.h.reply.assign(4 * kMiB, 'a');
  k.call(1);
  int64_t start = ms_now();
  for (int i = 0; !k.resets.count(1) && ms_now() - start < 5000; i++) {
    if (i % 10 == 0) say(k.fd, frame(kPing, 0, 0, "12345678"));  // it is alive, and well
    k.step(5);
  }
  assert_int_equal(k.resets[1], http::kH2Cancel);
  assert_true(ms_now() - start >= kLimit - 10 && ms_now() - start < 3000);
  assert_true(k.pings > 0);
  k.until([&] { return k.h.dones == 1; });
  assert_int_equal(k.h.code, ZCRPC_DEADLINE_EXCEEDED);
  assert_true(g_log.find("/s.S/Echo") != g_log.npos && g_log.find("ZCRPC_SERVER_STALL_TIMEOUT is 200 ms") != g_log.npos);
  assert_true(g_log.find("4194304 bytes wait") != g_log.npos);
  assert_int_equal(k.stats().calls_now, 0);
  assert_false(k.closed);
}

// Byte by byte an answer of a megabyte would take a year.
void a_byte_now_and_then_keeps_an_answer(void**) {
  server::Config c = hasty();
  Client k(c);
  k.h.reply.assign(kMiB, 'a');
  k.call(1);
  int64_t start = ms_now();
  while (!k.resets.count(1) && ms_now() - start < 5000) {
    say(k.fd, frame(kWindow, 0, 1, be32(1)));
    k.pause(20);
  }
  assert_int_equal(k.resets[1], http::kH2Cancel);
  assert_true(k.bytes[1] > 0 && k.bytes[1] < 1000);
}

void a_slow_client_is_taken_for_a_stalled_one(void**) {
  server::Config c = hasty();
  Client k(c);
  k.h.reply.assign(200'000, 'a');
  k.call(1);
  int64_t start = ms_now();
  // Longer than the limit in all, never as long without a byte.
  while (!k.ended[1] && !k.resets.count(1) && ms_now() - start < 10'000) {
    say(k.fd, frame(kWindow, 0, 1, be32(5000)) + frame(kWindow, 0, 0, be32(5000)));
    k.pause(10);
  }
  assert_true(k.ended[1]);
  assert_int_equal(k.bytes[1], 200'000);
  k.until([&] { return k.h.dones == 1; });
  assert_int_equal(k.h.code, ZCRPC_OK);
}

// A stream in its middle: its handler hears why, and a gRPC client too, where it can be told.
void a_stream_that_nobody_takes_has_no_end(void**) {
  for (bool grpc : {true, false}) {
    for (bool deadline : {true, false}) {
      server::Config c = hasty();
      if (deadline) c.stall_ms = 60'000;
      Client k(c);
      std::string more = !deadline ? "" : grpc ? named("grpc-timeout", "200m") : named("connect-timeout-ms", "200");
      say(k.fd, frame(kHeaders, kEndHeaders, 1, head("/s.S/Chat", more, grpc ? "application/grpc" : "application/connect+proto")) +
                    frame(kData, 0, 1, std::string("\0\0\0\0\3\x0a\x01x", 8)));
      int64_t took = k.until([&] { return k.h.dones == 1; });
      assert_int_equal(k.h.dones, 1);
      assert_int_equal(k.h.code, ZCRPC_DEADLINE_EXCEEDED);
      assert_true(took >= 190 && took < 3000);
      for (int i = 0; i < 20; i++) k.step();
      assert_int_equal(k.bytes[1], 0);
      if (grpc) {
        assert_true(k.has(1, "grpc-status: 4\n"));
        assert_true(k.has(1, deadline ? "grpc-message: deadline exceeded\n" : "grpc-message: the client takes too little of the answer\n"));
      } else {
        assert_int_equal(k.resets[1], http::kH2Cancel);
      }
      assert_int_equal(g_log.find("ZCRPC_SERVER_STALL_TIMEOUT") != g_log.npos, !deadline);
      assert_int_equal(k.stats().codes[ZCRPC_DEADLINE_EXCEEDED], 1);
      assert_int_equal(k.stats().calls_now, 0);
    }
  }
}

// What goes on taking goes on, however long the stream is.
void a_stream_that_is_taken_is_cut(void**) {
  Client k(hasty(), frame(kWindow, 0, 0, be32(1 << 20)));
  say(k.fd, frame(kHeaders, kEndHeaders, 1, head("/s.S/Chat", {}, "application/grpc")));
  int64_t start = ms_now();
  size_t sent = 0;
  while (ms_now() - start < 4 * kLimit) {
    say(k.fd, frame(kData, 0, 1, std::string("\0\0\0\0\3\x0a\x01x", 8)));
    sent += 8;
    k.pause(10);
  }
  // And it may be silent for as long as it likes, if nothing waits.
  for (int64_t from = ms_now(); ms_now() - from < 3 * kLimit;) k.step(10);
  assert_int_equal(k.bytes[1], sent);
  assert_int_equal(k.resets.size(), 0);
  assert_int_equal(k.h.dones, 0);
}

// A stream that goes on, of whose messages something waits all the time.
struct Stream : Client {
  explicit Stream(const server::Config& c, size_t message, std::string_view first = kNoWindow) : Client(c, first) {
    say(fd, frame(kHeaders, kEndHeaders, 1, head("/s.S/Chat", {}, "application/grpc")));
    tell(message);
  }
  // What comes back.
  void tell(size_t n) { say(fd, frame(kData, 0, 1, std::string(1, '\0') + be32(uint32_t(n)) + std::string(n, 'x'))); }
  void open_window(uint32_t n) { say(fd, frame(kWindow, 0, 1, be32(n)) + frame(kWindow, 0, 0, be32(n))); }
};

server::Config hasty_streams() {
  server::Config c = hasty();
  c.stall_ms = 2 * kLimit;
  c.stall_rate = 5000;  // 2000 bytes in the time
  return c;
}

void a_byte_now_and_then_keeps_a_stream(void**) {
  Stream k(hasty_streams(), 10'000);
  int64_t start = ms_now();
  while (k.h.dones == 0 && ms_now() - start < 5000) {
    k.open_window(1);
    k.pause(20);
  }
  assert_int_equal(k.h.dones, 1);
  assert_int_equal(k.h.code, ZCRPC_DEADLINE_EXCEEDED);
  assert_true(ms_now() - start >= kLimit - 10 && ms_now() - start < 3000);
  assert_true(k.bytes[1] > 0 && k.bytes[1] < 1000);
  assert_true(g_log.find("/s.S/Chat: the client takes too little of its answer (ZCRPC_SERVER_STALL_TIMEOUT is 400 ms)") != g_log.npos);
  assert_int_equal(k.resets[1], http::kH2Cancel);  // a part of the message has left
  assert_false(k.closed);
}

// Who works on what it has, and takes the next piece then.
void a_slow_reader_of_a_stream_is_cut(void**) {
  Stream k(hasty_streams(), 10'000);
  for (size_t taken = 0; taken + 2000 <= 10'000; taken += 2000) {
    k.pause(kLimit * 3 / 4);
    k.open_window(2000);
  }
  k.until([&] { return k.bytes[1] == 10'000; });
  assert_int_equal(k.bytes[1], 10'000);
  assert_int_equal(k.h.dones, 0);
  assert_true(k.resets.empty());
}

// Below the rate, because the handler has no more to say: each message is taken, and the next waits by then.
void a_slow_handler_has_its_stream_cut(void**) {
  Stream k(hasty_streams(), 20);
  for (int i = 0; i < 20; i++) {
    k.tell(20);
    k.pause(kLimit / 4);
    k.open_window(25);
  }
  assert_true(k.bytes[1] >= 300);
  assert_int_equal(k.h.dones, 0);
  // And nothing waits now and then, but hardly when it is looked at.
  k.open_window(25);
  for (int i = 0; i < 8; i++) {
    k.tell(20);
    k.pause(kLimit * 4 / 5);
    k.open_window(25);
    k.pause(5);
  }
  assert_int_equal(k.h.dones, 0);
  assert_true(k.resets.empty());
}

// A line that takes so much, and no more.
struct Line {
  double per_ms = 0, credit = 0;
  int64_t at = 0;
  size_t room() {
    int64_t now = ms_now();
    if (!at) at = now;
    credit = std::min(credit + double(now - at) * per_ms, 100 * per_ms + 1);
    at = now;
    return size_t(credit);
  }
} g_line;

net::Io slow_line(double per_ms) {
  g_line = {per_ms, 0, 0};
  net::Io io = *net::system_io();
  io.send = [](void*, int fd, const void* p, size_t n) -> int64_t {
    n = std::min(n, g_line.room());
    if (n) g_line.credit -= double(n);
    return n ? net::system_io()->send(nullptr, fd, p, n) : -EAGAIN;
  };
  io.sendv = [](void*, int fd, const iovec* v, size_t) -> int64_t {
    size_t n = std::min(v->iov_len, g_line.room());
    if (n) g_line.credit -= double(n);
    return n ? net::system_io()->send(nullptr, fd, v->iov_base, n) : -EAGAIN;
  };
  return io;
}
const std::string kWide = frame(kWindow, 0, 0, be32(0x7fff0000 - 65535)) + frame(kSettings, 0, 0, std::string("\x00\x04\x00\x40\x00\x00", 6));

// One whose system takes much at once, and no more until a third of that has gone.
struct Buffer {
  double capacity = 0, per_ms = 0, fill = 0, sent = 0;
  int64_t at = 0;
  void pass() {
    int64_t now = ms_now();
    if (at) fill = std::max(0.0, fill - double(now - at) * per_ms);
    at = now;
  }
  double arrived() {
    pass();
    return sent - fill;
  }
  int64_t take(int fd, const void* p, size_t n) {
    pass();
    if ((capacity - fill) * 3 < capacity) return -EAGAIN;
    int64_t r = net::system_io()->send(nullptr, fd, p, std::min(n, size_t(capacity - fill)));
    if (r > 0) fill += double(r), sent += double(r);
    return r;
  }
} g_buffer;

net::Io buffered_line(double capacity, double per_ms) {
  g_buffer = {capacity, per_ms, 0, 0, 0};
  net::Io io = *net::system_io();
  io.send = [](void*, int fd, const void* p, size_t n) { return g_buffer.take(fd, p, n); };
  io.sendv = [](void*, int fd, const iovec* v, size_t) { return g_buffer.take(fd, v->iov_base, v->iov_len); };
  io.unsent = [](void*, int) {
    g_buffer.pass();
    return int64_t(g_buffer.fill);
  };
  return io;
}

// Sixteen calls at once, unary ones and streams in turn, each answered with as many bytes.
struct Crowd : Client {
  static constexpr int kMany = 16;
  static server::Config config() {
    server::Config c = hasty_streams();
    c.body_rate = 50'000;
    c.stall_rate = 20'000;
    return c;
  }
  Crowd(const server::Config& c, std::string_view hello, size_t each, const net::Io* io = net::system_io()) : Client(c, hello, io), size(each) {
    h.reply.assign(each, 'a');
    h.pushes = 1;
    std::string all;
    for (uint32_t i = 0; i < kMany; i++) all += i % 2 ? words(2 * i + 1) : chat(2 * i + 1);
    say(fd, all);
  }
  int whole() const { return int(std::count_if(bytes.begin(), bytes.end(), [&](auto& b) { return b.second >= size; })); }

  const size_t size;
};

// Many share a line, and each has less of it than the least rate: none of them holds back.
void a_slow_line_is_taken_for_slow_clients(void**) {
  net::Io io = slow_line(150);
  server::Config c = Crowd::config();
  c.high_water = 4096;
  Crowd k(c, kWide, 10'000, &io);
  int64_t took = k.until([&] { return k.whole() == k.kMany; }, 10'000);
  if (k.whole() != k.kMany) fail_msg("%d of %d after %d ms: %s", k.whole(), k.kMany, int(took), g_log.c_str());
  assert_true(took > 3 * kLimit);
  assert_true(k.resets.empty());
}

// The same where the connection's window is what is narrow, and not the line: one of many has nothing for longer than the limit.
void a_narrow_connection_is_taken_for_slow_clients(void**) {
  for (bool drips : {false, true}) {
    Crowd k(Crowd::config(), frame(kSettings, 0, 0, std::string("\x00\x04\x00\x40\x00\x00", 6)), 20'000);
    int64_t start = ms_now();
    auto cut = [&] { return int(k.resets.size()) + int(std::count_if(k.ended.begin(), k.ended.end(), [&](auto& e) { return e.second && k.has(e.first, "grpc-status: 4\n"); })); };
    while (k.whole() + cut() < k.kMany && ms_now() - start < 10'000) {
      say(k.fd, frame(kWindow, 0, 0, be32(drips ? 1 : 1500)));
      k.pause(10);
    }
    print_message("%s: %d whole, %d cut after %d ms\n", drips ? "drips" : "narrow", k.whole(), cut(), int(ms_now() - start));
    if (drips) {
      assert_true(cut() >= k.kMany - 4);  // those that the first window had room for came whole
    } else {
      assert_int_equal(k.whole(), k.kMany);
      assert_int_equal(cut(), 0);
      assert_true(ms_now() - start > 3 * kLimit);
    }
    assert_false(k.closed);
  }
}

// What is slow is not seen by what the socket takes.
void what_the_system_holds_hides_a_slow_client(void**) {
  for (bool http2 : {true, false}) {
    for (bool drips : {true, false}) {
      net::Io io = buffered_line(90'000, drips ? 1 : 20);
      Client k(hasty_streams(), http2 ? kWide : "", &io);
      k.h.reply.assign(120'000, 'a');
      if (http2) k.call(1);
      else say(k.fd, post("x"));
      int64_t took = k.until([&] { return k.got.size() > 120'000; }, 5000);
      assert_int_equal(k.closed, drips);
      assert_int_equal(k.got.size() > 120'000, !drips);
      assert_true(drips ? took >= kLimit - 10 && took < 3000 : took > 2 * kLimit);
    }
  }
}

// Nor does a stream hold back whose client has not got what would open its window.
void what_is_under_way_is_taken_for_a_shut_window(void**) {
  net::Io io = buffered_line(1 << 20, 380);  // it has come a little behind the third look, and there is time for an answer before the fourth
  Crowd k(Crowd::config(), frame(kWindow, 0, 0, be32(0x7fff0000 - 65535)) + frame(kSettings, 0, 0, std::string("\x00\x04\x00\x00\x75\x30", 6)), 60'000, &io);
  constexpr int kFirst = 30'000;
  int64_t start = ms_now();
  k.until([&] { return g_buffer.arrived() >= double(k.kMany * kFirst); });
  assert_true(ms_now() - start > 2 * kLimit);
  for (uint32_t i = 0; i < k.kMany; i++) say(k.fd, frame(kWindow, 0, 2 * i + 1, be32(kFirst + 100)));
  k.until([&] { return k.whole() == k.kMany; });
  if (k.whole() != k.kMany) fail_msg("%d of %d: %s", k.whole(), k.kMany, g_log.c_str());
  assert_true(k.resets.empty());
}

// By a clock that the test moves, and a system that holds what the test says.
int64_t g_now = 0, g_unsent = 0;
struct Behind : Client {
  Behind() : Client(config(), frame(kWindow, 0, 0, be32(1 << 20)) + frame(kSettings, 0, 0, std::string("\x00\x04\x00\x00\x75\x30", 6)), io()) {
    h.reply.assign(60'000, 'a');
    h.pushes = 1;
  }
  static server::Config config() {
    server::Config c = hasty();
    c.stall_ms = 30'000;
    c.keepalive_ms = -1;
    return c;
  }
  static const net::Io* io() {
    g_now = net::system_io()->monotonic_ns(nullptr);
    g_unsent = 1 << 20;
    static net::Io io = *net::system_io();
    io.monotonic_ns = [](void*) { return g_now; };
    io.unsent = [](void*, int) { return g_unsent; };
    return &io;
  }
};

// What lies in the system, where the connection has nothing more to put there, is under way as long as it gets less.
void what_never_arrives_is_under_way_for_ever(void**) {
  for (bool goes_on : {true, false}) {
    for (bool takes : {true, false}) {
      Behind k;
      say(k.fd, goes_on ? chat(1) : k.words(1));
      k.until([&] { return k.bytes[1] == 30'000; });
      for (int s = 0; s < 600 && g_log.empty(); s++) {
        g_now += 1'000'000'000;
        if (takes) g_unsent -= 40;
        for (int i = 0; i < 3; i++) k.step(0);
      }
      assert_int_equal(g_log.find("the client takes too little of its answer") == g_log.npos, takes);
    }
  }
}

// What was under way has come just before its client is looked at: that has half of the time at least to open the window.
void what_has_just_arrived_is_taken_for_a_shut_window(void**) {
  enum { kUnary, kGoesOn, kEnded, kKinds };
  for (int kind = 0; kind < kKinds; kind++) {
    for (bool opens : {true, false}) {
      Behind k;
      say(k.fd, kind == kUnary ? k.words(1) : chat(1) + (kind == kEnded ? frame(kData, kEndStream, 1) : ""));
      k.until([&] { return k.bytes[1] == 30'000; });
      auto wait = [&](int64_t ms) {
        for (g_now += ms * 1'000'000; ms >= 0; ms -= 1000) k.step(0);
      };
      wait(14'000);
      wait(1500);
      wait(13'000);
      g_unsent = 0;
      wait(1900);
      wait(8000);
      assert_int_equal(k.bytes[1], 30'000);
      assert_true(k.resets.empty() && g_log.empty());
      if (opens) {
        say(k.fd, frame(kWindow, 0, 1, be32(40'000)));
        k.until([&] { return k.bytes[1] >= 60'000; });
        assert_true(k.bytes[1] >= 60'000);
        assert_true(k.resets.empty());
      } else {
        for (int i = 0; i < 60 && g_log.empty(); i++) wait(1000);
        assert_true(g_log.find("the client takes too little of its answer") != g_log.npos);
      }
    }
  }
}

void a_line_that_drips_is_kept(void**) {
  for (bool http2 : {true, false}) {
    net::Io io = slow_line(0.3);
    Client k(hasty_streams(), http2 ? kWide : "", &io);
    k.h.reply.assign(kMiB, 'a');
    if (http2) k.call(1);
    else say(k.fd, post("x"));
    int64_t took = k.until([] { return false; }, 5000);
    assert_true(k.closed);
    assert_true(took >= kLimit - 10 && took < 3000);
    assert_true(g_log.find("cut: too little was taken of what was sent for 400 ms (ZCRPC_SERVER_STALL_TIMEOUT)") != g_log.npos);
    // Slow is not dripping.
    io = slow_line(20);
    Client slow(hasty_streams(), http2 ? kWide : "", &io);
    slow.h.reply.assign(20'000, 'a');
    if (http2) slow.call(1);
    else say(slow.fd, post("x"));
    took = slow.until([&] { return slow.got.size() > 20'000; }, 5000);
    assert_true(slow.got.size() > 20'000);
    assert_true(took > 2 * kLimit);
  }
}

// ---- memory

// A handler that sends whatever its room is.
void messages_of_streams_that_nobody_takes_pile_up(void**) {
  server::Config c = hasty();
  c.stall_ms = 60'000;
  c.untaken = 4 * kMiB;
  Client k(c);
  k.h.reply.assign(64 << 10, 'a');
  k.h.pushes = 10;
  constexpr uint32_t kCalls = 30;
  std::string all;
  for (uint32_t i = 0; i < kCalls; i++) all += chat(2 * i + 1);
  peak_malloc_start();
  say(k.fd, all);
  k.until([&] { return k.ended.size() >= kCalls - 6; });
  k.pause(50);
  size_t cost = peak_malloc_bytes();
  uint32_t refused = 0;
  for (auto& [id, end] : k.ended) refused += k.has(id, "grpc-status: 8\n") && k.has(id, "grpc-message: too much of earlier answers has not been taken\n");
  print_message("30 streams of 640 KiB that nobody takes: %u refused, %zu KiB\n", refused, cost >> 10);
  assert_in_range(refused, kCalls - 6, kCalls - 5);
  assert_true(cost < 8 * kMiB);
  // Those that were let be still have all that was sent.
  say(k.fd, kWide);
  size_t all_of_one = 10 * (5 + (64 << 10));
  auto whole = [&] { return std::count_if(k.bytes.begin(), k.bytes.end(), [&](auto& b) { return b.second == all_of_one; }); };
  k.until([&] { return whole() == kCalls - refused; });
  assert_int_equal(whole(), kCalls - refused);
  assert_int_equal(k.goaways, 0);
}

// Handlers that ask for room before each message are told to wait for others, and do not end because of them.
void handlers_that_ask_for_room_are_refused(void**) {
  for (size_t message : {size_t(64) << 10, kMiB}) {
    server::Config c = hasty();
    c.stall_ms = 60'000;
    c.untaken = 64 * message;
    Client k(c);
    k.h.reply.assign(message, 'a');
    k.h.polite = 3;
    constexpr uint32_t kCalls = 40;
    std::string all;
    for (uint32_t i = 0; i < kCalls; i++) all += chat(2 * i + 1);
    peak_malloc_start();
    say(k.fd, all);
    k.pause(100);
    size_t cost = peak_malloc_bytes();
    print_message("40 streams of 3 messages of %zu KiB that nobody takes: %zu KiB\n", message >> 10, cost >> 10);
    assert_true(cost < 24 * message + kMiB);  // a quarter of the limit, and what is on its way
    assert_true(k.ended.empty() && k.resets.empty());
    // Those that hold the room back go on as their client takes, and then the others, with all that they had to say.
    size_t of_one = 3 * (5 + message);
    auto whole = [&] { return std::count_if(k.bytes.begin(), k.bytes.end(), [&](auto& b) { return b.second == of_one; }); };
    say(k.fd, kWide);
    k.until([&] { return whole() == kCalls; }, 20'000);
    if (whole() != kCalls) fail_msg("%d of %u", int(whole()), kCalls);
    assert_true(k.ended.empty() && k.resets.empty());
  }
}

// One line tells of all.
void each_stalled_stream_has_a_line_in_the_log(void**) {
  Client k(hasty());
  k.h.reply.assign(64 << 10, 'a');
  std::string all;
  for (uint32_t i = 0; i < 50; i++) all += k.words(2 * i + 1);
  say(k.fd, all);
  k.until([&] { return k.resets.size() == 50; });
  assert_int_equal(k.resets.size(), 50);
  assert_int_equal(std::count(g_log.begin(), g_log.end(), '\n'), 1);
  assert_true(g_log.find(" 65536 bytes wait; 1 cut so\n") != g_log.npos);
}

// A lone one may be larger than the limit, as an answer may; behind it calls wait.
void one_stream_is_too_much_for_its_connection(void**) {
  server::Config c = hasty();
  c.stall_ms = 60'000;
  c.untaken = kMiB;
  Client k(c);
  k.h.reply.assign(256 << 10, 'a');
  k.h.pushes = 10;
  say(k.fd, chat(1));
  k.until([&] { return k.fields.count(1) > 0; });
  k.call(3);
  k.pause(30);
  assert_int_equal(k.h.requests, 1);
  say(k.fd, kWide);
  k.until([&] { return k.bytes[1] == 10 * (5 + (256 << 10)) && k.ended[3]; });
  assert_int_equal(k.bytes[1], 10 * (5 + (256 << 10)));
  assert_int_equal(k.h.requests, 2);
  assert_true(k.has(3, ":status: 200\n"));
  // Nothing is counted that has gone.
  for (uint32_t id = 5; id < 25; id += 2) {
    k.call(id);
    k.until([&] { return k.ended[id]; });
    assert_true(k.has(id, ":status: 200\n"));
  }
}

void answers_that_nobody_takes_pile_up(void**) {
  server::Config c = hasty();
  c.stall_ms = 1500;
  c.untaken = 16 * kMiB;
  Client k(c);
  k.h.reply.assign(4 * kMiB, 'a');
  peak_malloc_start();
  std::string all;  // in one piece
  for (uint32_t i = 0; i < 30; i++) all += k.words(2 * i + 1);
  say(k.fd, all);
  // All were begun before the first was answered: more than the limit is not kept.
  k.until([&] { return k.fields.size() == 30; });
  int taken = 0, refused = 0;
  for (auto& [id, lines] : k.fields) taken += lines.starts_with(":status: 200\n"), refused += lines.starts_with(":status: 429\n");
  size_t cost = peak_malloc_bytes();
  print_message("30 answers of 4 MiB that nobody takes: %d kept, %d refused, %zu MiB\n", taken, refused, cost >> 20);
  assert_int_equal(taken, 4);
  assert_int_equal(refused, 26);
  assert_true(cost < 24 * kMiB);
  // From a quarter on calls wait, and their deadline with them.
  k.call(101, named("connect-timeout-ms", "50"));
  k.call(103);
  k.call(105);
  k.until([&] { return k.fields.count(101) > 0; }, 1000);
  assert_true(k.has(101, ":status: 504\n"));
  assert_int_equal(k.h.requests, 30);
  // The end of what was not taken is their beginning.
  k.until([&] { return k.h.requests == 32 && k.fields.count(105) > 0; });
  assert_int_equal(k.h.requests, 32);
  assert_int_equal(k.resets[1], http::kH2Cancel);
  assert_true(k.has(103, ":status: 200\n") && k.has(105, ":status: 200\n"));
  assert_int_equal(k.goaways, 0);
  k.until([&] { return k.stats().calls_now == 0; });
  assert_int_equal(k.stats().calls_now, 0);
}

// A client that takes what it asked for is only slowed down.
void calls_that_wait_are_lost(void**) {
  server::Config c;
  c.untaken = 8 * kMiB;
  Client k(c);
  k.h.reply.assign(kMiB, 'a');
  constexpr uint32_t kFirst = 3, kAll = 40;
  std::string together;
  for (uint32_t i = 0; i < kFirst; i++) together += k.words(2 * i + 1);
  say(k.fd, together);
  k.until([&] { return k.fields.size() == kFirst; });
  assert_int_equal(k.fields.size(), kFirst);
  for (uint32_t i = kFirst; i < kAll; i++) k.call(2 * i + 1);
  for (int i = 0; i < 50; i++) k.step();
  assert_int_equal(k.h.requests, kFirst);
  say(k.fd, frame(kReset, 0, 2 * kFirst + 1, be32(http::kH2Cancel)));  // of one that waits
  say(k.fd, kWide);
  k.until([&] { return k.h.dones == int(kAll) - 1; }, 20'000);
  assert_int_equal(k.h.requests, kAll - 1);
  for (uint32_t i = 0; i < kAll; i++) {
    if (i == kFirst) continue;
    // Each was begun when less than the limit waited, together with others.
    if (k.has(2 * i + 1, ":status: 200\n")) assert_int_equal(k.bytes[2 * i + 1], kMiB);
    else assert_true(k.has(2 * i + 1, ":status: 429\n"));
  }
}

bool g_full = false;

// HTTP/1.1: one answer after the other, and none is made while those before it have not left.
void pipelined_answers_pile_up(void**) {
  net::Io io = *net::system_io();
  g_full = true;
  io.send = [](void*, int fd, const void* p, size_t n) -> int64_t { return g_full ? -EAGAIN : net::system_io()->send(nullptr, fd, p, n); };
  io.sendv = [](void*, int fd, const iovec* v, size_t n) -> int64_t { return g_full ? -EAGAIN : net::system_io()->sendv(nullptr, fd, v, n); };
  Client k({}, "", &io);
  k.h.reply.assign(512 << 10, 'a');
  constexpr int kRequests = 40;
  peak_malloc_start();
  for (int i = 0; i < kRequests; i++) say(k.fd, post("\x0a\x01x"));
  for (int i = 0; i < 100; i++) k.h.turn(1);
  assert_in_range(k.h.requests, 1, 2);
  assert_true(peak_malloc_bytes() < 4 * kMiB);
  g_full = false;
  k.until([&] { return k.got.size() > kRequests * k.h.reply.size(); }, 20'000);
  assert_int_equal(k.h.requests, kRequests);
  assert_true(k.got.size() > kRequests * k.h.reply.size());
  assert_false(k.closed);
}

// ---- calls in flight

void calls_have_no_limit(void**) {
  server::Config c = hasty();
  c.max_calls = 3;
  Client k(c, frame(kWindow, 0, 0, be32(1 << 20)));
  k.h.answer = false;
  for (uint32_t id : {1u, 3u, 5u}) k.call(id);
  k.until([&] { return k.h.requests == 3; });
  // Its body has not come, and will not be waited for.
  say(k.fd, frame(kHeaders, kEndHeaders, 7, head("/s.S/Echo", {}, "application/grpc")));
  say(k.fd, frame(kHeaders, kEndHeaders, 9, head("/s.S/Chat", {}, "application/connect+proto")));
  say(k.fd, frame(kHeaders, kEndHeaders, 11, head("/s.S/Echo")));
  say(k.fd, frame(kHeaders, kEndHeaders, 13, head("/s.S/None")));  // no call: 404 as ever
  k.until([&] { return k.ended[7] && k.ended[9] && k.ended[11] && k.ended[13]; });
  assert_true(k.has(7, "grpc-status: 14\n") && k.has(7, "grpc-message: the server has too many calls\n"));
  assert_true(k.has(9, ":status: 200\n") && k.bytes[9] > 5);  // a stream tells of it in its end
  assert_true(k.has(11, ":status: 503\n"));
  assert_true(k.has(13, ":status: 404\n"));
  assert_int_equal(k.h.requests, 3);
  assert_int_equal(k.stats().refused, 3);
  k.until([&] { return k.stats().codes[ZCRPC_UNAVAILABLE] == 3; });
  assert_int_equal(k.stats().codes[ZCRPC_UNAVAILABLE], 3);
  assert_true(g_log.find("1 calls refused: 3 run already (ZCRPC_SERVER_MAX_CALLS)") != g_log.npos);
  assert_true(g_log.find("refused") == g_log.rfind("refused"));  // a line a second
  // Another connection, of the other protocol.
  int other = dial(k.h.port);
  bool gone;
  say(other, post("\x0a\x01x"));
  std::string got = hear(&k.h, other, "}", 3000, &gone);
  assert_true(got.starts_with("HTTP/1.1 503 ") && got.find("the server has too many calls") != got.npos);
  assert_false(gone);
  // Health is no part of it.
  say(other, "POST /grpc.health.v1.Health/Check HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}");
  got = hear(&k.h, other, "}", 3000, &gone);
  assert_true(got.find("SERVING") != got.npos);
  close(other);
}

// Who hangs up does not make room while the handlers go on.
void a_client_that_goes_frees_its_places_at_once(void**) {
  server::Config c = hasty();
  c.max_calls = 2;
  Client k(c, frame(kWindow, 0, 0, be32(1 << 20)));
  k.call(1);
  k.call(3);
  rpc::Call* running[2];
  int count = 0;
  for (int i = 0; count < 2 && i < 1000; i++) {
    assert_true(k.h.loop->begin().ok());
    k.h.loop->sleep(1);
    while (rpc::Event* e = k.h.hub.front()) {
      k.h.hub.pop();
      if (e->record.kind == ZCRPC_EVENT_REQUEST) e->call->retain(), running[count++] = e->call;
      k.h.hub.release(e);
    }
    k.h.loop->end();
  }
  assert_int_equal(count, 2);
  close(std::exchange(k.fd, dial(k.h.port)));
  for (int i = 0; i < 50; i++) k.h.turn(1);
  bool gone;
  int other = dial(k.h.port);
  say(other, post("\x0a\x01x"));
  assert_true(hear(&k.h, other, "}", 3000, &gone).starts_with("HTTP/1.1 503 "));
  running[0]->release();
  running[1]->release();
  for (int i = 0; i < 5; i++) k.h.turn(1);
  for (int i = 0; i < 3; i++) {
    say(other, post("\x0a\x01x"));
    assert_true(hear(&k.h, other, "\x0a\x01x", 3000, &gone).starts_with("HTTP/1.1 200 "));
  }
  close(other);
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(a_deadline_ends_the_handler_and_not_the_answer),
      cmocka_unit_test(a_grpc_client_does_not_hear_of_its_deadline),
      cmocka_unit_test(an_answer_that_nobody_takes_is_kept_for_ever),
      cmocka_unit_test(a_byte_now_and_then_keeps_an_answer),
      cmocka_unit_test(a_slow_client_is_taken_for_a_stalled_one),
      cmocka_unit_test(a_stream_that_nobody_takes_has_no_end),
      cmocka_unit_test(a_stream_that_is_taken_is_cut),
      cmocka_unit_test(a_byte_now_and_then_keeps_a_stream),
      cmocka_unit_test(a_slow_reader_of_a_stream_is_cut),
      cmocka_unit_test(a_slow_handler_has_its_stream_cut),
      cmocka_unit_test(a_slow_line_is_taken_for_slow_clients),
      cmocka_unit_test(a_narrow_connection_is_taken_for_slow_clients),
      cmocka_unit_test(what_the_system_holds_hides_a_slow_client),
      cmocka_unit_test(what_is_under_way_is_taken_for_a_shut_window),
      cmocka_unit_test(what_has_just_arrived_is_taken_for_a_shut_window),
      cmocka_unit_test(what_never_arrives_is_under_way_for_ever),
      cmocka_unit_test(a_line_that_drips_is_kept),
      cmocka_unit_test(messages_of_streams_that_nobody_takes_pile_up),
      cmocka_unit_test(handlers_that_ask_for_room_are_refused),
      cmocka_unit_test(each_stalled_stream_has_a_line_in_the_log),
      cmocka_unit_test(one_stream_is_too_much_for_its_connection),
      cmocka_unit_test(answers_that_nobody_takes_pile_up),
      cmocka_unit_test(calls_that_wait_are_lost),
      cmocka_unit_test(pipelined_answers_pile_up),
      cmocka_unit_test(calls_have_no_limit),
      cmocka_unit_test(a_client_that_goes_frees_its_places_at_once),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
