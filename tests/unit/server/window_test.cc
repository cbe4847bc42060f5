// Windows that grow, over real sockets: a client that hears all a while later, as over a long path, sends as much as it may. How
// much that comes to be, and what it costs when the handler stops reading.
#include <algorithm>
#include <deque>

#include "unit/server/harness.h"

#include "support/cmocka.h"
extern "C" {
#include "support/peak_malloc.h"
}

using namespace zcrpc;

namespace {

enum : uint8_t { kData, kHeaders, kReset = 3, kSettings = 4, kPing = 6, kGoaway = 7, kWindow = 8 };
constexpr size_t kFrame = 16384, kMessage = 3 * kFrame;

std::string be32(uint32_t v) { return {char(v >> 24), char(v >> 16), char(v >> 8), char(v)}; }
std::string frame(uint8_t type, uint8_t flags, uint32_t id, std::string_view payload = {}) {
  return be32(uint32_t(payload.size()) << 8 | type) + char(flags) + be32(id) + std::string(payload);
}
uint32_t number(std::string_view s) { return uint32_t(uint8_t(s[0])) << 24 | uint32_t(uint8_t(s[1])) << 16 | uint32_t(uint8_t(s[2])) << 8 | uint8_t(s[3]); }

// A client with streams of messages without end.
struct Far {
  Harness* h;
  int fd, way_ms;
  int64_t connection = 65535;
  struct Stream {
    int64_t window = 65535, sent = 0;
    bool reset = false;
  } streams[8];
  int count;
  bool gone = false;
  std::string got, out;
  struct Parcel {
    int64_t due;
    std::string frame;
  };
  std::deque<Parcel> later;
  int64_t most = 0;  // of a window at once
  int pings = 0;

  Far(Harness* harness, int way, int n) : h(harness), fd(dial(harness->port)), way_ms(way), count(n) {
    out = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(kSettings, 0, 0);
    auto field = [](uint8_t index, std::string_view v) {
      return std::string(index < 15 ? std::string(1, char(index)) : std::string{'\x0f', char(index - 15)}) + char(v.size()) + std::string(v);
    };
    for (int i = 0; i < n; i++)
      out += frame(kHeaders, 4, uint32_t(2 * i + 1), "\x83\x86" + field(4, "/s.S/Chat") + field(1, "x") + field(31, "application/grpc"));
  }
  ~Far() { close(fd); }

  void hears(std::string_view f) {
    uint32_t id = number(f.substr(5)) & 0x7fffffff;
    switch (uint8_t(f[3])) {
      case kSettings:
        if (f[4] & 1) break;
        for (size_t at = 9; at + 6 <= f.size(); at += 6)
          if (f[at + 1] == 4)
            for (Stream& s : streams) s.window += number(f.substr(at + 2)) - 65535;
        out += frame(kSettings, 1, 0);
        break;
      case kPing:
        if (!(f[4] & 1)) out += frame(kPing, 1, 0, f.substr(9)), pings++;
        break;
      case kWindow:
        (id ? streams[id / 2].window : connection) += number(f.substr(9));
        if (id) most = std::max(most, streams[id / 2].window);
        break;
      case kReset: streams[id / 2].reset = true; break;
      case kGoaway: gone = true; break;
      default: break;
    }
  }
  // One round: hears what is due, says what it may, lets the server turn.
  void step() {
    char b[65536];
    ssize_t n = recv(fd, b, sizeof b, MSG_DONTWAIT);
    if (n > 0) got.append(b, size_t(n));
    if (n == 0) gone = true;
    while (got.size() >= 9) {
      size_t size = 9 + (number(got) >> 8);
      if (got.size() < size) break;
      later.push_back({ms_now() + 2 * way_ms, got.substr(0, size)});
      got.erase(0, size);
    }
    for (; !later.empty() && later.front().due <= ms_now(); later.pop_front()) hears(later.front().frame);
    for (int i = 0; i < count && out.size() < 1 << 20; i++) {
      Stream& s = streams[i];
      while (!s.reset && s.window >= int64_t(kFrame) && connection >= int64_t(kFrame) && out.size() < 1 << 20) {
        // Every third frame begins a message of three.
        std::string payload(kFrame, 'x');
        if (s.sent % int64_t(kMessage) == 0) payload.replace(0, 5, std::string(1, '\0') + be32(kMessage - 5));
        out += frame(kData, 0, uint32_t(2 * i + 1), payload);
        s.sent += kFrame;
        s.window -= kFrame;
        connection -= kFrame;
      }
    }
    if (!out.empty() && (n = send(fd, out.data(), out.size(), MSG_NOSIGNAL | MSG_DONTWAIT)) > 0) out.erase(0, size_t(n));
    h->turn(out.empty() ? 1 : 0);
  }
  int64_t sent() const {
    int64_t all = 0;
    for (const Stream& s : streams) all += s.sent;
    return all;
  }
  void run(int64_t ms) {
    for (int64_t until = ms_now() + ms; ms_now() < until;) step();
  }
};

void neighbour_is_served(Harness* h) {
  bool closed;
  int fd = dial(h->port);
  h->answer = true;
  say(fd, post("\x0a\x05hello"));
  assert_true(hear(h, fd, "\x0a\x05hello", 3000, &closed).ends_with("hello"));
  close(fd);
}

int64_t uploaded(const server::Config& c, int64_t* most) {
  Harness h;
  h.echo = false;
  assert_true(h.start(net::system_io(), c).ok());
  int64_t sent;
  {
    Far far(&h, 20, 1);
    far.run(1500);
    assert_false(far.gone || far.streams[0].reset);
    sent = far.sent();
    *most = far.most;
  }
  h.stop();
  return sent;
}

// 40 ms there and back.
void throughput_does_not_rise_over_a_long_path(void**) {
  server::Config c;
  int64_t most_fixed, most;
  int64_t grown = uploaded(c, &most);
  c.max_window = 0;
  int64_t fixed = uploaded(c, &most_fixed);
  print_message("in 1.5 s over 40 ms: %ld KiB with fixed windows, %ld KiB with windows that grew to %ld KiB\n", long(fixed >> 10), long(grown >> 10), long(most >> 10));
  assert_true(most_fixed <= 256 << 10);
  assert_true(most > 512 << 10);
  assert_true(most <= 4 << 20);
  assert_true(grown > 2 * fixed);
}

// The handlers of eight streams stop reading when all windows have grown.
void windows_that_have_grown_are_memory_without_end(void**) {
  Harness h;
  h.echo = false;
  assert_true(h.start(net::system_io()).ok());
  {
    Far far(&h, 10, 8);
    far.run(1000);
    assert_false(far.gone);
    assert_true(far.most > 300 << 10);
    h.answer = false;
    peak_malloc_start();
    int64_t before = far.sent();
    far.run(500);
    int64_t more = far.sent() - before;
    size_t bytes = peak_malloc_bytes();
    print_message("8 streams whose handlers stop: %ld KiB more were sent, and cost %zu KiB\n", long(more >> 10), bytes >> 10);
    // 8 first windows, and 4 MiB beyond for all of them together; memory that grows by doubling, and what the test itself holds.
    assert_true(more <= (6 << 20) + (2 << 20));
    assert_true(bytes <= 24u << 20);
    assert_false(far.gone);
    for (const Far::Stream& s : far.streams) assert_false(s.reset);
    neighbour_is_served(&h);
  }
  h.stop();
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(throughput_does_not_rise_over_a_long_path),
      cmocka_unit_test(windows_that_have_grown_are_memory_without_end),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
