// Answers that their client does not take, though it answers every PING: how long they are kept, how much of them, and who hears
// of their end. And calls above the number that a server has places for.
#include <nghttp2/nghttp2.h>

#include <algorithm>
#include <map>

#include "unit/server/frames.h"
#include "unit/server/harness.h"

#include "support/cmocka.h"
extern "C" {
#include "support/peak_malloc.h"
}

using namespace zcrpc;

namespace {

constexpr int kLimit = 200;
constexpr size_t kMiB = 1 << 20;

std::string g_log;
void write_log(int32_t, const char* text, size_t n, void*) { g_log.append(text, n).append("\n"); }

server::Config hasty() {
  server::Config c;
  c.stall_ms = kLimit;
  c.linger_ms = 50;
  c.log = {write_log, nullptr, base::LogLevel::kInfo};
  return c;
}

std::string named(std::string_view name, std::string_view value) {
  return std::string(1, '\0') + char(name.size()) + std::string(name) + char(value.size()) + std::string(value);
}
const std::string kNoWindow = frame(kSettings, 0, 0, std::string("\x00\x04\x00\x00\x00\x00", 6));

// A client that is written by hand, and whose windows are what the test gives.
struct Client {
  Harness h;
  int fd = -1;
  std::string got;
  bool closed = false;
  nghttp2_hd_inflater* inflater = nullptr;
  size_t read = 0;                            // of got
  std::map<uint32_t, std::string> fields;     // "name: value\n" of all heads of a stream
  std::map<uint32_t, uint32_t> resets;        // their codes
  std::map<uint32_t, size_t> bytes;           // of DATA
  std::map<uint32_t, bool> ended;
  int pings = 0, goaways = 0;

  explicit Client(const server::Config& c, std::string_view first = kNoWindow, const net::Io* io = net::system_io()) {
    g_log.clear();
    base::Status s = h.start(io, c);
    if (!s.ok()) fail_msg("%s", s.message());
    nghttp2_hd_inflate_new(&inflater);
    fd = dial(h.port);
    assert_true(fd >= 0);
    if (!first.empty()) say(fd, kHello + std::string(first) + frame(kSettings, 1, 0));
  }
  ~Client() {
    nghttp2_hd_inflate_del(inflater);
    if (fd >= 0) close(fd);
    h.stop();
  }
  void step(int ms = 1) {
    h.turn(ms);
    char b[65536];
    ssize_t n;
    while ((n = recv(fd, b, sizeof b, MSG_DONTWAIT)) > 0) got.append(b, size_t(n));
    if (n == 0 || errno != EAGAIN) closed = true;
    if (got.size() < 4 || got[0] == 'H') return;
    while (read + 9 <= got.size()) {
      std::vector<Frame> one = frames_of(std::string_view(got).substr(read));
      if (one.empty()) break;
      for (const Frame& f : one) take(f), read += 9 + f.payload.size();
    }
  }
  void pause(int64_t ms) {
    for (int64_t end = ms_now() + ms; ms_now() < end;) step();
  }
  void take(const Frame& f) {
    if (f.type == kReset) resets[f.id] = f.code();
    if (f.type == kData) bytes[f.id] += f.payload.size();
    if (f.type == kPing && f.flags & 1) pings++;
    if (f.type == kGoaway) goaways++;
    if ((f.type == kData || f.type == kHeaders) && f.flags & kEndStream) ended[f.id] = true;
    if (f.type != kHeaders) return;
    const auto* in = reinterpret_cast<const uint8_t*>(f.payload.data());
    for (size_t left = f.payload.size();;) {
      nghttp2_nv nv;
      int flags = 0;
      ssize_t n = nghttp2_hd_inflate_hd2(inflater, &nv, &flags, in, left, 1);
      assert_true(n >= 0);
      in += n;
      left -= size_t(n);
      if (flags & NGHTTP2_HD_INFLATE_EMIT)
        fields[f.id].append(reinterpret_cast<char*>(nv.name), nv.namelen).append(": ").append(reinterpret_cast<char*>(nv.value), nv.valuelen).append("\n");
      if (flags & NGHTTP2_HD_INFLATE_FINAL || (left == 0 && !(flags & NGHTTP2_HD_INFLATE_EMIT))) break;
    }
    nghttp2_hd_inflate_end_headers(inflater);
  }
  // Until done(), or so long; what that took.
  template <class F>
  int64_t until(F&& done, int64_t ms = 5000) {
    int64_t start = ms_now();
    while (!done() && !closed && ms_now() - start < ms) step();
    return ms_now() - start;
  }
  // A unary call, all of it.
  std::string words(uint32_t id, std::string_view more = {}, std::string_view type = "application/proto") {
    bool grpc = type != "application/proto";
    return frame(kHeaders, kEndHeaders, id, head("/s.S/Echo", more, type)) +
           frame(kData, kEndStream, id, grpc ? std::string("\0\0\0\0\3\x0a\x01x", 8) : std::string("\x0a\x01x"));
  }
  void call(uint32_t id, std::string_view more = {}, std::string_view type = "application/proto") { say(fd, words(id, more, type)); }
  zcrpc_stats stats() {
    zcrpc_stats s{};
    h.server->stats(&s);
    return s;
  }
  bool has(uint32_t id, std::string_view line) { return fields[id].find(line) != std::string::npos; }
};

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

// ---- memory

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
  k.until([&] { return k.fields.count(101) > 0; }, 300);
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
  say(k.fd, frame(kWindow, 0, 0, be32(0x7fff0000 - 65535)) + frame(kSettings, 0, 0, std::string("\x00\x04\x00\x40\x00\x00", 6)));
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
      cmocka_unit_test(answers_that_nobody_takes_pile_up),
      cmocka_unit_test(calls_that_wait_are_lost),
      cmocka_unit_test(pipelined_answers_pile_up),
      cmocka_unit_test(calls_have_no_limit),
      cmocka_unit_test(a_client_that_goes_frees_its_places_at_once),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
