// The attacks of docs/serving.md, byte by byte over real sockets: what became of the attacker's connection, that a neighbour was
// served meanwhile, and what it cost the server in CPU time and memory.
#include <zlib.h>

#include <algorithm>
#include <ctime>

#include "unit/server/frames.h"
#include "unit/server/harness.h"

#include "support/cmocka.h"
extern "C" {
#include "support/peak_malloc.h"
}

using namespace zcrpc;

namespace {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr double kSlower = 20;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
constexpr double kSlower = 20;
#else
constexpr double kSlower = 1;
#endif
#else
constexpr double kSlower = 1;
#endif

double cpu_ms() {
  timespec t;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return double(t.tv_sec) * 1e3 + double(t.tv_nsec) / 1e6;
}

// ---- an attacker, and a neighbour who only wants an echo

struct Scene {
  Harness h;
  int fd = -1, neighbour = -1;
  double cpu = 0;
  std::string got;       // what the attacker was told
  bool closed = false, reads = true;
  size_t taken = 0;      // bytes of the attack that left

  explicit Scene(const server::Config& c = {}, const net::Io* io = net::system_io()) {
    base::Status s = h.start(io, c);
    if (!s.ok()) fail_msg("%s", s.message());
    neighbour = dial(h.port);
    fd = dial(h.port);
    assert_true(fd >= 0 && neighbour >= 0);
    peak_malloc_start();
  }
  ~Scene() {
    if (fd >= 0) close(fd);
    if (neighbour >= 0) close(neighbour);
    h.stop();
  }
  void turn(int ms = 0) {
    double from = cpu_ms();
    h.turn(ms);
    cpu += cpu_ms() - from;
  }
  void hear_once() {
    char b[65536];
    ssize_t n = recv(fd, b, sizeof b, MSG_DONTWAIT);
    if (n > 0) got.append(b, size_t(n));
    if (n == 0 || (n < 0 && errno != EAGAIN)) closed = true;
  }
  // All of it, or as much as the server takes; gives up when nothing moves for a while.
  void attack(std::string_view bytes) {
    peak_malloc_start();
    taken = 0;
    for (int still = 0; taken < bytes.size() && !closed && still < 60; still++) {
      ssize_t n = send(fd, bytes.data() + taken, bytes.size() - taken, MSG_NOSIGNAL | MSG_DONTWAIT);
      if (n > 0) taken += size_t(n), still = 0;
      if (n < 0 && errno != EAGAIN) closed = true;
      turn(still ? 1 : 0);
      if (reads) hear_once();
    }
    for (int i = 0; i < 20; i++) {
      turn(1);
      if (reads) hear_once();
    }
  }
  void neighbour_is_served() {
    bool gone;
    say(neighbour, post("\x0a\x05" "hello"));
    std::string answer = hear(&h, neighbour, "\x0a\x05" "hello", 3000, &gone);
    if (!answer.ends_with("\x0a\x05" "hello")) fail_msg("the neighbour was not served: %s", answer.c_str());
  }
  void cost(const char* what, double ms, size_t bytes) {
    print_message("%s: %.1f ms, %zu KiB at most\n", what, cpu, peak_malloc_bytes() >> 10);
    if (cpu > ms * kSlower) fail_msg("%s cost %.1f ms of CPU, which is over %.0f", what, cpu, ms);
    if (peak_malloc_bytes() > bytes) fail_msg("%s cost %zu bytes of memory", what, peak_malloc_bytes());
  }
  // Frames of a type that the attacker was sent, and the code of the last one that has one.
  int frames(uint8_t type, uint32_t* code = nullptr) const {
    int n = 0;
    for (const Frame& f : frames_of(got)) {
      if (f.type != type) continue;
      n++;
      if (code) *code = f.code();
    }
    return n;
  }
  void told_to_calm_down() {
    uint32_t code = 0;
    assert_int_equal(frames(kGoaway, &code), 1);
    assert_int_equal(code, http::kH2EnhanceYourCalm);
  }
  // To whom it may concern: the other side's log, and ours. It is the last frame.
  void told_why(std::string_view option) {
    std::vector<Frame> all = frames_of(got);
    assert_true(!all.empty() && all.back().type == kGoaway);
    if (all.back().payload.find(option, 8) == std::string::npos) fail_msg("GOAWAY says \"%s\"", all.back().payload.substr(8).c_str());
    if (h.log.find(option) == std::string::npos) fail_msg("logged \"%s\"", h.log.c_str());
  }
};

// ---- HTTP/2

// CVE-2023-44487.
void rapid_resets_are_served(void**) {
  Scene s;
  s.h.answer = false;
  std::string all = kHello;
  for (uint32_t i = 0; i < 5000; i++) all += open_stream(2 * i + 1, true) + frame(kReset, 0, 2 * i + 1, be32(http::kH2Cancel));
  s.attack(all);
  s.told_to_calm_down();
  s.told_why("_RATE)");  // of resets, or of frames: whichever is used up first
  assert_true(s.closed);
  assert_in_range(s.h.requests, 100, 1100);  // those that nobody has answered yet count against the streams
  s.h.answer = true;
  s.neighbour_is_served();
  s.cost("5,000 rapid resets", 150, 6 << 20);
}

// Who resets a stream, or makes us do so, does not get rid of its handler.
void resets_make_room_for_more_handlers(void**) {
  for (bool ours : {false, true}) {
    server::Config c;
    c.max_streams = 10;
    Scene s(c);
    std::string all = kHello;
    for (uint32_t i = 0; i < 100; i++)
      all += open_stream(2 * i + 1, true) + (ours ? frame(kWindow, 0, 2 * i + 1, be32(0x7fffffff)) : frame(kReset, 0, 2 * i + 1, be32(http::kH2Cancel)));
    say(s.fd, all);
    rpc::Call* running[100];
    int count = 0;
    for (int i = 0; i < 50; i++) {
      assert_true(s.h.loop->begin().ok());
      s.h.loop->sleep(1);
      while (rpc::Event* e = s.h.hub.front()) {
        s.h.hub.pop();
        if (e->record.kind == ZCRPC_EVENT_REQUEST) e->call->retain(), running[count++] = e->call;
        s.h.hub.release(e);
      }
      s.h.loop->end();
    }
    assert_int_equal(count, 10);
    for (int i = 0; i < count; i++) running[i]->release();
    s.turn(1);
    // Once they have let go there is room again.
    say(s.fd, open_stream(1001));
    say(s.fd, frame(kData, kEndStream, 1001, "\x0a\x01x"));
    for (int i = 0; i < 2000 && !s.frames(kData); i++) s.turn(1), s.hear_once();
    assert_int_equal(s.frames(kData), 1);
    assert_false(s.closed);
    s.neighbour_is_served();
  }
}

// CVE-2025-8671: the server is made to reset.
void resets_of_our_own_are_free(void**) {
  Scene s;
  std::string all = kHello;
  for (uint32_t i = 0; i < 5000; i++) {
    all += open_stream(2 * i + 1);
    all += i % 2 ? frame(kWindow, 0, 2 * i + 1, be32(0x7fffffff)) : frame(kWindow, 0, 2 * i + 1, be32(0));
  }
  s.attack(all);
  assert_true(s.closed);
  assert_int_equal(s.h.requests, 0);
  uint32_t code = 0;
  assert_int_equal(s.frames(kGoaway, &code), 1);
  assert_true(code == http::kH2EnhanceYourCalm || code == http::kH2Protocol);  // a window of 0 is a connection's error to some
  s.neighbour_is_served();
  s.cost("MadeYouReset by windows", 150, 6 << 20);
}

void lies_about_lengths_are_free(void**) {
  Scene s;
  std::string all = kHello;
  for (uint32_t i = 0; i < 5000; i++) {
    all += frame(kHeaders, kEndHeaders, 2 * i + 1, head("/s.S/Echo", field(28, "3")));
    all += frame(kData, kEndStream, 2 * i + 1, "12345");
  }
  s.attack(all);
  s.told_to_calm_down();
  assert_true(s.closed);
  assert_int_equal(s.h.requests, 0);
  s.neighbour_is_served();
  s.cost("MadeYouReset by content-length", 150, 6 << 20);
}

// An honest client that reached the limit finds out which, and so does whoever runs the server.
void a_goaway_for_resets_says_nothing(void**) {
  Scene s;
  std::string all = kHello;
  for (uint32_t i = 0; i < 2000; i++) all += open_stream(2 * i + 1) + frame(kReset, 0, 2 * i + 1, be32(http::kH2Cancel));
  s.attack(all);
  s.told_to_calm_down();
  s.told_why("too many streams reset (ZCRPC_SERVER_RESET_BURST, ZCRPC_SERVER_RESET_RATE)");
  assert_true(s.closed);
  s.neighbour_is_served();
}

// CVE-2024-28182.
void continuations_without_end_are_read(void**) {
  Scene s;
  std::string all = kHello + frame(kHeaders, 0, 1, head("/s.S/Echo"));
  for (int i = 0; i < 50'000; i++) all += frame(kContinuation, 0, 1, i % 2 ? "" : std::string("\x00\x01" "a\x01" "b", 5));
  s.attack(all);
  s.told_to_calm_down();
  s.told_why("too many CONTINUATION frames");
  assert_true(s.closed);
  assert_int_equal(s.h.requests, 0);
  s.neighbour_is_served();
  s.cost("50,000 CONTINUATIONs", 60, 3 << 20);
}

void an_hpack_bomb_is_unpacked(void**) {
  for (bool huge : {false, true}) {
    Scene s;
    // One field of 3,900 bytes in the table, then a byte for each time it is named.
    std::string block = head("/s.S/Echo") + "\x40\x01" "a\x7f\xbd\x1d" + std::string(3900, 'v');
    size_t times = huge ? 147'000 : 8;
    std::string rest(times, '\xbe'), all = kHello + frame(kHeaders, 0, 1, block);
    for (; rest.size() > 16'000; rest.erase(0, 16'000)) all += frame(kContinuation, 0, 1, rest.substr(0, 16'000));
    all += frame(kContinuation, kEndHeaders, 1, rest);
    s.attack(all);
    assert_int_equal(s.h.requests, 0);
    if (huge) {
      s.told_to_calm_down();
      s.told_why("(ZCRPC_LIMIT_HEADERS)");
      assert_true(s.closed);
    } else {
      assert_false(s.closed);  // over the limit, and not over four times it: the stream alone
      assert_int_equal(s.frames(kHeaders), 1);
      assert_int_equal(s.frames(kGoaway), 0);
    }
    s.neighbour_is_served();
    s.cost(huge ? "an HPACK bomb of 147 KB" : "an HPACK bomb over the limit", 20, 3 << 20);
  }
}

void frames_that_bring_nothing_are_taken(void**) {
  struct {
    const char* what;
    std::string one;
    bool stream;  // it has one, which pays first
  } kinds[] = {
      {"300,000 empty DATA", frame(kData, 0, 1), true},
      {"300,000 padded DATA without a byte", frame(kData, 8, 1, std::string("\x03\0\0\0", 4)), true},
      {"60,000 DATA of 100 bytes of padding", frame(kData, 8, 1, "\x63" + std::string(99, '\0')), true},
      {"60,000 DATA of a byte, padded to 100", frame(kData, 8, 1, "\x62" + std::string(99, '\0')), true},
      {"300,000 WINDOW_UPDATE of the connection", frame(kWindow, 0, 0, be32(1)), false},
      {"300,000 WINDOW_UPDATE of a stream", frame(kWindow, 0, 1, be32(1)), true},
      {"300,000 PRIORITY", frame(kPriority, 0, 1, std::string("\0\0\0\0\1", 5)), true},
      {"300,000 PRIORITY of idle streams", frame(kPriority, 0, 9, std::string("\0\0\0\0\1", 5)), false},
      {"300,000 unknown frames", frame(0x77, 0, 0, "x"), false},
      {"300,000 RST_STREAM of nothing", frame(kReset, 0, 1, be32(8)), false},
      {"300,000 PING answers", frame(kPing, 1, 0, "12345678"), false},
      {"300,000 PING, read", frame(kPing, 0, 0, "12345678"), false},
      {"300,000 SETTINGS, read", frame(kSettings, 0, 0), false},
  };
  for (auto& k : kinds) {
    Scene s;
    std::string all, many;
    for (int i = 0; i < 600; i++) many += k.one;
    for (int i = 0; i < (k.one.size() > 64 ? 100 : 500); i++) all += many;
    s.attack(kHello + open_stream(1) + many);
    if (s.closed || s.frames(kGoaway)) fail_msg("%s: 600 are enough", k.what);
    if (s.frames(kReset) != k.stream) fail_msg("%s: %d streams reset", k.what, s.frames(kReset));
    s.attack(all);
    if (!s.closed) fail_msg("%s: the connection stays", k.what);
    uint32_t code = 0;
    assert_true(s.frames(kGoaway, &code) >= 1);
    if (code != http::kH2EnhanceYourCalm) fail_msg("%s: GOAWAY with %u", k.what, code);
    if (k.stream) {
      int resets = s.frames(kReset, &code);
      if (resets != 1 || code != http::kH2EnhanceYourCalm) fail_msg("%s: %d streams reset, the last with %u", k.what, resets, code);
    }
    s.neighbour_is_served();
    s.cost(k.what, 40, 3 << 20);
  }
}

// Never reading: the server stops reading too, or ends it, and nothing piles up.
void floods_whose_answers_nobody_reads_pile_up(void**) {
  for (uint8_t type : {kPing, kSettings}) {
    Scene s;
    s.reads = false;
    std::string all = kHello, many;
    for (int i = 0; i < 1000; i++) many += type == kPing ? frame(kPing, 0, 0, "12345678") : frame(kSettings, 0, 0);
    for (int i = 0; i < 300; i++) all += many;
    s.attack(all);
    s.neighbour_is_served();
    s.cost(type == kPing ? "300,000 PINGs, unread" : "300,000 SETTINGS, unread", 40, 3 << 20);
    for (int i = 0; i < 2000 && !s.closed; i++) s.turn(1), s.hear_once();
    assert_true(s.closed);
    assert_true(s.got.size() < 1 << 20);
  }
}

void streams_above_the_limit_are_served(void**) {
  server::Config c;
  c.max_streams = 50;
  Scene s(c);
  std::string all = kHello;
  for (uint32_t i = 0; i < 500; i++) all += open_stream(2 * i + 1);
  s.attack(all);
  uint32_t code = 0;
  assert_int_equal(s.frames(kReset, &code), 450);
  assert_int_equal(code, http::kH2Refused);
  zcrpc_stats stats{};
  s.h.server->stats(&stats);
  assert_int_equal(stats.calls_now, 50);
  s.neighbour_is_served();
  s.cost("500 streams, 50 allowed", 60, 6 << 20);
}

// An honest client's frames: many small messages, each followed by a window and a ping, are no attack.
void a_chatty_client_is_taken_for_an_attack(void**) {
  Scene s;
  std::string all = kHello + frame(kWindow, 0, 0, be32(1 << 24));
  const std::string one = open_stream(0).substr(9);
  for (uint32_t i = 0; i < 20'000; i++) {
    uint32_t id = 2 * i + 1;
    all = (i ? "" : all) + open_stream(id) + frame(kData, kEndStream, id, "\x0a\x01x") + frame(kWindow, 0, 0, be32(3)) + frame(kPing, 0, 0, "bdp-ping");
    for (size_t at = 0; at < all.size();) {
      ssize_t n = send(s.fd, all.data() + at, all.size() - at, MSG_NOSIGNAL | MSG_DONTWAIT);
      if (n > 0) at += size_t(n);
      s.turn();
    }
    if (i % 50 == 49) s.turn(), s.hear_once();
  }
  for (int i = 0; i < 50; i++) s.turn(1), s.hear_once();
  assert_false(s.closed);
  assert_int_equal(s.frames(kGoaway), 0);
  assert_int_equal(s.h.requests, 20'000);
}

// Nor are small messages of a stream whose client opens both windows behind each of them, as Dart's does.
void a_chatty_stream_is_taken_for_an_attack(void**) {
  Scene s;
  const std::string message("\0\0\0\0\3\x0a\x01x", 8);
  std::string all = kHello + frame(kHeaders, kEndHeaders, 1, head("/s.S/Chat", {}, "application/grpc"));
  for (int i = 0; i < 6000; i++) {
    all += frame(kData, 0, 1, message) + frame(kWindow, 0, 0, be32(8)) + frame(kWindow, 0, 1, be32(8));
    for (size_t at = 0; at < all.size() && !s.closed;) {
      ssize_t n = send(s.fd, all.data() + at, all.size() - at, MSG_NOSIGNAL | MSG_DONTWAIT);
      if (n > 0) at += size_t(n);
      s.turn();
    }
    all.clear();
    s.hear_once();
  }
  for (int i = 0; i < 50; i++) s.turn(1), s.hear_once();
  assert_false(s.closed);
  assert_int_equal(s.frames(kGoaway), 0);
  assert_int_equal(s.frames(kReset), 0);
  size_t came = 0;
  for (const Frame& f : frames_of(s.got)) came += f.type == kData ? f.payload.size() : 0;
  assert_int_equal(came, 6000 * message.size());
}

// ---- HTTP/1.1

void two_parsers_read_two_requests(void**) {
  const std::string second = "POST /s.S/Echo HTTP/1.1\r\nHost: x\r\nContent-Type: application/proto\r\nContent-Length: 3\r\n\r\n\x0a\x01y";
  const std::string start = "POST /s.S/Echo HTTP/1.1\r\n", host = "Host: x\r\nContent-Type: application/proto\r\n";
  auto sized = [](std::string_view body) { return "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + std::string(body); };
  const std::pair<const char*, std::string> kinds[] = {
      {"TE and CL", start + host + "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + second},
      {"TE other than chunked", start + host + "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n" + second},
      {"TE twice", start + host + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + second},
      {"TE identity", start + host + "Transfer-Encoding: identity\r\n" + sized(second)},
      {"TE with chunked last", start + host + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n" + second},
      {"CL twice", start + host + "Content-Length: 3\r\n" + sized(second)},
      {"CL list", start + host + "Content-Length: 3, 3\r\n\r\n\x0a\x01x" + second},
      {"CL with a sign", start + host + "Content-Length: +3\r\n\r\n\x0a\x01x" + second},
      {"CL negative", start + host + "Content-Length: -1\r\n\r\n" + second},
      {"CL hexadecimal", start + host + "Content-Length: 0x3\r\n\r\n\x0a\x01x" + second},
      {"CL empty", start + host + "Content-Length: \r\n\r\n" + second},
      {"CL too large for 64 bits", start + host + "Content-Length: 18446744073709551619\r\n\r\n\x0a\x01x" + second},
      {"space before the colon", start + host + "Content-Length : 3\r\n\r\n\x0a\x01x" + second},
      {"obs-fold", start + host + "X: a\r\n b\r\n" + sized("\x0a\x01x") + second},
      {"bare LF", "POST /s.S/Echo HTTP/1.1\nHost: x\nContent-Length: 3\n\n\x0a\x01x" + second},
      {"bare CR in a value", start + host + "X: a\rContent-Length: 9\r\n" + sized("\x0a\x01x") + second},
      {"NUL in a value", start + host + std::string("X: a\0b\r\n", 8) + sized("\x0a\x01x") + second},
      {"TE on 1.0", "POST /s.S/Echo HTTP/1.0\r\n" + host + "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + second},
      {"no Host", start + "Content-Type: application/proto\r\n" + sized("\x0a\x01x") + second},
      {"Host twice", start + host + "Host: y\r\n" + sized("\x0a\x01x") + second},
      {"chunk size with a sign", start + host + "Transfer-Encoding: chunked\r\n\r\n+3\r\n\x0a\x01x\r\n0\r\n\r\n" + second},
      {"chunk size that overflows", start + host + "Transfer-Encoding: chunked\r\n\r\n10000000000000003\r\n\x0a\x01x\r\n0\r\n\r\n" + second},
      {"chunk without its CRLF", start + host + "Transfer-Encoding: chunked\r\n\r\n3\r\n\x0a\x01xxx0\r\n\r\n" + second},
      {"chunk with a bare LF", start + host + "Transfer-Encoding: chunked\r\n\r\n3\n\x0a\x01x\r\n0\r\n\r\n" + second},
      {"framing field in a trailer", start + host + "Transfer-Encoding: chunked\r\n\r\n3\r\n\x0a\x01x\r\n0\r\nContent-Length: 5\r\n\r\n" + second},
  };
  for (auto& [what, bytes] : kinds) {
    Scene s;
    s.attack(bytes);
    for (int i = 0; i < 300 && !s.closed; i++) s.turn(1), s.hear_once();
    if (!s.got.starts_with("HTTP/1.1 400 ")) fail_msg("%s: %.60s", what, s.got.c_str());
    if (!s.closed) fail_msg("%s: the connection stays", what);
    if (s.got.find("HTTP/1.1", 8) != std::string::npos) fail_msg("%s: a second request was answered", what);
    if (s.h.requests) fail_msg("%s: a handler was asked", what);
    s.neighbour_is_served();
  }
}

void pipelined_requests_pile_up(void**) {
  Scene s;
  s.h.answer = false;
  std::string all, one = post("\x0a\x01x");
  while (all.size() < 8 << 20) all += one;
  s.attack(all);
  zcrpc_stats stats{};
  s.h.server->stats(&stats);
  assert_true(stats.bytes_in < 512 << 10);
  assert_int_equal(s.h.requests, 1);
  s.h.answer = true;
  s.neighbour_is_served();
  s.cost("8 MiB of pipelined requests", 40, 3 << 20);
}

void chunk_extensions_and_trailers_are_free(void**) {
  const std::string start = "POST /s.S/Echo HTTP/1.1\r\nHost: x\r\nContent-Type: application/proto\r\nTransfer-Encoding: chunked\r\n\r\n";
  std::string extension = start + "3;" + std::string(1 << 20, 'a') + "\r\n\x0a\x01x\r\n0\r\n\r\n", extensions = start, trailer = start + "3\r\n\x0a\x01x\r\n0\r\n";
  for (int i = 0; i < 100'000; i++) extensions += "1;a=b\r\nx\r\n";
  for (int i = 0; i < 100'000; i++) trailer += "a: b\r\n";
  for (const std::string* bytes : {&extension, &extensions, &trailer}) {
    Scene s;
    s.attack(*bytes);
    for (int i = 0; i < 1500 && !s.closed; i++) s.turn(1), s.hear_once();
    assert_true(s.got.starts_with("HTTP/1.1 4"));
    assert_true(s.closed);
    s.neighbour_is_served();
    s.cost("chunk extensions or trailers without end", 60, 3 << 20);
  }
}

// ---- bodies

void a_decompression_bomb_goes_off(void**) {
  std::string zeros(size_t(64) << 20, '\0'), packed(1 << 20, '\0');
  z_stream z{};
  assert_int_equal(deflateInit2(&z, 9, Z_DEFLATED, 31, 8, Z_DEFAULT_STRATEGY), Z_OK);
  z.next_in = reinterpret_cast<Bytef*>(zeros.data());
  z.avail_in = uInt(zeros.size());
  z.next_out = reinterpret_cast<Bytef*>(packed.data());
  z.avail_out = uInt(packed.size());
  assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
  packed.resize(z.total_out);
  deflateEnd(&z);
  zeros = {};
  Scene s;
  s.attack("POST /s.S/Echo HTTP/1.1\r\nHost: x\r\nContent-Type: application/proto\r\nContent-Encoding: gzip\r\nContent-Length: " + std::to_string(packed.size()) + "\r\n\r\n" + packed);
  assert_true(s.got.starts_with("HTTP/1.1 429 "));
  assert_true(s.got.find("resource_exhausted") != std::string::npos);
  assert_int_equal(s.h.requests, 0);
  s.neighbour_is_served();
  s.cost("64 MiB of zeros in 64 KB", 100, 12 << 20);
}

std::string literal(std::string_view name, std::string_view value) {
  return std::string(1, '\0') + char(name.size()) + std::string(name) + char(value.size()) + std::string(value);
}
std::string zstd_stream(uint32_t id, bool chat) {
  return frame(kHeaders, kEndHeaders, id,
               "\x83\x86" + field(4, chat ? "/s.S/Chat" : "/s.S/Echo") + field(1, "x") + field(31, chat ? "application/grpc" : "application/proto") +
                   literal(chat ? "grpc-encoding" : "content-encoding", "zstd"));
}
// A frame with a window of 8 MiB and one block of 1,000 bytes as they are.
std::string zstd_message(bool chat, bool last) {
  std::string zstd("\x28\xb5\x2f\xfd\x00\x68\x40\x1f\x00", 9);
  if (last) zstd[6] |= 1;
  zstd += "\x1a\xe5\x07" + std::string(997, 'z');
  return (chat ? '\x01' + be32(uint32_t(last ? zstd.size() : 100'000)) : "") + zstd;
}

// Each stream begins a message that promises a window of 8 MiB, and never ends it.
void windows_of_messages_that_never_end_pile_up(void**) {
  for (bool chat : {false, true}) {
    Scene s;
    std::string all = kHello;
    for (uint32_t id = 1; id < 200; id += 2) {
      std::string body = zstd_message(chat, false);
      // In pieces: what lies in one slice is not looked at before it is whole.
      all += zstd_stream(id, chat) + frame(kData, 0, id, std::string_view(body).substr(0, 300)) + frame(kData, 0, id, std::string_view(body).substr(300));
    }
    s.attack(all);
    s.neighbour_is_served();
    assert_false(s.closed);
    assert_int_equal(s.frames(kReset), 0);
    s.cost("100 windows of 8 MiB", 400, 45u << 20);  // three of them, and the rest of the connection
  }
}

// When they do end all are there, whether they had a context or waited for one.
void messages_without_room_for_their_window_are_lost(void**) {
  for (bool chat : {false, true}) {
    Scene s;
    std::string all = kHello, rest;
    for (uint32_t id = 1; id < 40; id += 2) {
      std::string body = zstd_message(chat, true);
      all += zstd_stream(id, chat) + frame(kData, 0, id, std::string_view(body).substr(0, 300)) + frame(kData, 0, id, std::string_view(body).substr(300, 300));
      rest += frame(kData, 0, id, std::string_view(body).substr(600, 200)) + frame(kData, kEndStream, id, std::string_view(body).substr(800));
    }
    s.attack(all);
    s.attack(rest);
    assert_int_equal(s.h.requests, 20);
    assert_int_equal(s.frames(kReset), 0);
    size_t echoed = 0;
    for (size_t at = 0; (at = s.got.find(std::string(997, 'z'), at)) != s.got.npos; at += 997) echoed++;
    assert_int_equal(echoed, 20);
  }
}

// A length that is announced is not memory that is taken.
void an_announced_length_is_believed(void**) {
  Scene s;
  std::string all = kHello;
  for (uint32_t i = 0; i < 90; i++)
    all += frame(kHeaders, kEndHeaders, 2 * i + 1, "\x83\x86" + field(4, "/s.S/Echo") + field(1, "x") + field(31, "application/grpc")) + frame(kData, 0, 2 * i + 1, std::string("\0\0\x3f\xff\xff" "x", 6));
  s.attack(all);
  assert_false(s.closed);
  s.neighbour_is_served();
  s.cost("90 announcements of 4 MiB", 40, 4 << 20);
}

// ---- connections

void connections_above_the_cap_spin_or_starve(void**) {
  server::Config c;
  c.max_connections = 5;
  Scene s(c);
  s.turn(1);
  int more[20];
  for (int& fd : more) fd = dial(s.h.port);
  int64_t start = ms_now();
  s.cpu = 0;
  int turns = 0;
  for (; ms_now() - start < 500; turns++) s.turn(100);
  zcrpc_stats stats{};
  s.h.server->stats(&stats);
  assert_int_equal(stats.connections_now, 5);
  assert_true(stats.refused > 0);
  // Told of once, and then in counts.
  const char* told = " connections refused: 5 are open already (ZCRPC_SERVER_MAX_CONNECTIONS)";
  size_t at = s.h.log.find(told);
  assert_true(at != std::string::npos && s.h.log.find(told, at + 1) == std::string::npos);
  assert_true(turns < 100);
  s.neighbour_is_served();
  s.cost("20 connections too many for half a second", 30, 2 << 20);
  for (int fd : more) close(fd);
  // Those that gave up have to be passed over first.
  bool served = false;
  for (int64_t limit = ms_now() + 5000; !served && ms_now() < limit;) {
    for (int i = 0; i < 10; i++) s.turn(10);
    int late = dial(s.h.port);
    bool gone;
    say(late, post("\x0a\x01x"));
    served = hear(&s.h, late, "\x0a\x01x", 1000, &gone).ends_with("\x0a\x01x");
    close(late);
  }
  assert_true(served);
}

bool g_exhausted = false;
void a_lack_of_descriptors_spins(void**) {
  net::Io io = *net::system_io();
  io.accept = [](void*, int fd, sockaddr* a, socklen_t* n) { return g_exhausted ? -EMFILE : net::system_io()->accept(nullptr, fd, a, n); };
  Scene s({}, &io);
  s.neighbour_is_served();
  g_exhausted = true;
  int waiting = dial(s.h.port);
  s.cpu = 0;
  int turns = 0;
  for (int64_t start = ms_now(); ms_now() - start < 500; turns++) s.turn(100);
  assert_true(turns < 50);
  s.neighbour_is_served();
  s.cost("half a second without descriptors", 20, 1 << 20);
  const char* told = "accept: Too many open files, 1 times; new connections wait for 100 ms\n";
  size_t at = s.h.log.find(told);
  assert_true(at != std::string::npos && s.h.log.find("accept", at + strlen(told)) == std::string::npos);
  g_exhausted = false;
  bool gone;
  say(waiting, post("\x0a\x01x"));
  assert_true(hear(&s.h, waiting, "\x0a\x01x", 3000, &gone).ends_with("\x0a\x01x"));
  close(waiting);
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(rapid_resets_are_served),
      cmocka_unit_test(resets_make_room_for_more_handlers),
      cmocka_unit_test(resets_of_our_own_are_free),
      cmocka_unit_test(a_goaway_for_resets_says_nothing),
      cmocka_unit_test(lies_about_lengths_are_free),
      cmocka_unit_test(continuations_without_end_are_read),
      cmocka_unit_test(an_hpack_bomb_is_unpacked),
      cmocka_unit_test(frames_that_bring_nothing_are_taken),
      cmocka_unit_test(floods_whose_answers_nobody_reads_pile_up),
      cmocka_unit_test(streams_above_the_limit_are_served),
      cmocka_unit_test(a_chatty_client_is_taken_for_an_attack),
      cmocka_unit_test(a_chatty_stream_is_taken_for_an_attack),
      cmocka_unit_test(two_parsers_read_two_requests),
      cmocka_unit_test(pipelined_requests_pile_up),
      cmocka_unit_test(chunk_extensions_and_trailers_are_free),
      cmocka_unit_test(a_decompression_bomb_goes_off),
      cmocka_unit_test(windows_of_messages_that_never_end_pile_up),
      cmocka_unit_test(messages_without_room_for_their_window_are_lost),
      cmocka_unit_test(an_announced_length_is_believed),
      cmocka_unit_test(connections_above_the_cap_spin_or_starve),
      cmocka_unit_test(a_lack_of_descriptors_spins),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
