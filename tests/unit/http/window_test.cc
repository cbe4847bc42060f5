// Windows that grow: an upload over a path that is made of time, 1 ms a step, with a speed and a length, to the server's
// session.
#include <nghttp2/nghttp2.h>

#include <algorithm>
#include <cstring>
#include <deque>
#include <string>

#include "http/h2.h"
#include "support/cmocka.h"

using namespace zcrpc;
using base::Slice;
using http::H2Context;
using http::H2Events;
using http::H2Session;
using http::H2Settings;
using http::H2Stream;
using http::H2Window;
using http::Output;

namespace {

constexpr int64_t kMs = 1'000'000;

struct Parcel {
  int64_t due;
  std::string bytes;
};

struct Path {
  int way_ms = 0;      // each way
  size_t speed = 0;    // bytes a ms, towards the server
  H2Settings settings;
  bool reads = true;   // the server takes what comes, and widens

  // What happened.
  size_t came = 0, most_ahead = 0;
  int pings = 0, streams_ended = 0;
  H2Session* session = nullptr;
  H2Stream streams[8];
  int begun = 0;
  size_t left[8] = {};

  // Uploads `size` bytes on each of n streams; ms that it took, or `limit`.
  int64_t upload(size_t size, int n, int64_t limit);
};

const H2Events kEvents = {
    [](H2Session*, void* user) -> H2Stream* {
      auto* p = static_cast<Path*>(user);
      return &p->streams[p->begun++];
    },
    [](H2Stream*, std::string_view, std::string_view, void*) { return true; },
    [](H2Stream*, void*) {},
    [](H2Stream* s, Slice bytes, void* user) {
      auto* p = static_cast<Path*>(user);
      p->came += bytes.size;
      if (!p->reads) return;
      p->session->consume(s, bytes.size);
      if (uint32_t more = p->session->lacks(s)) p->session->widen(s, more);
    },
    [](H2Stream*, void* user) { static_cast<Path*>(user)->streams_ended++; },
    [](H2Stream*, void*) {},
    [](H2Stream*, uint32_t, bool, void*) {},
    nullptr, nullptr, nullptr, nullptr,
};

ssize_t body(nghttp2_session*, int32_t, uint8_t* to, size_t n, uint32_t* flags, nghttp2_data_source* source, void*) {
  auto* left = static_cast<size_t*>(source->ptr);
  n = std::min(n, *left);
  memset(to, 'x', n);
  *left -= n;
  if (*left == 0) *flags |= NGHTTP2_DATA_FLAG_EOF;
  return ssize_t(n);
}

int64_t Path::upload(size_t size, int n, int64_t limit) {
  H2Context context(base::default_allocator(), settings, kEvents);
  assert_true(context.init().ok());
  auto made = H2Session::make(&context, this);
  assert_true(made.ok());
  session = *made;
  nghttp2_session_callbacks* cb;
  nghttp2_session* client;
  nghttp2_session_callbacks_new(&cb);
  nghttp2_session_callbacks_set_on_frame_recv_callback(cb, [](nghttp2_session*, const nghttp2_frame* f, void* user) {
    static_cast<Path*>(user)->pings += f->hd.type == NGHTTP2_PING;
    return 0;
  });
  nghttp2_session_client_new(&client, cb, this);
  nghttp2_session_callbacks_del(cb);
  nghttp2_submit_settings(client, NGHTTP2_FLAG_NONE, nullptr, 0);
  auto nv = [](const char* name, const char* value) {
    return nghttp2_nv{reinterpret_cast<uint8_t*>(const_cast<char*>(name)), reinterpret_cast<uint8_t*>(const_cast<char*>(value)), strlen(name), strlen(value), 0};
  };
  nghttp2_nv head[] = {nv(":method", "POST"), nv(":scheme", "http"), nv(":path", "/"), nv(":authority", "x")};
  for (int i = 0; i < n; i++) {
    left[i] = size;
    nghttp2_data_provider from = {{.ptr = &left[i]}, body};
    assert_true(nghttp2_submit_request(client, nullptr, head, 4, &from, nullptr) > 0);
  }
  http::ChunkPool chunks;
  Output out(&chunks);
  std::deque<Parcel> up, down;
  std::string queued;
  int64_t ms = 0;
  for (; ms < limit && streams_ended < n; ms++) {
    while (!down.empty() && down.front().due <= ms) {
      const std::string& b = down.front().bytes;
      assert_int_equal(nghttp2_session_mem_recv(client, reinterpret_cast<const uint8_t*>(b.data()), b.size()), b.size());
      down.pop_front();
    }
    const uint8_t* p;
    for (ssize_t k; queued.size() < speed && (k = nghttp2_session_mem_send(client, &p)) > 0;) queued.append(reinterpret_cast<const char*>(p), size_t(k));
    if (size_t k = std::min(speed, queued.size())) {
      up.push_back({ms + way_ms, queued.substr(0, k)});
      queued.erase(0, k);
    }
    while (!up.empty() && up.front().due <= ms) {
      assert_true(session->feed(Slice(std::string_view(up.front().bytes)), ms * kMs));
      up.pop_front();
    }
    assert_true(session->flush(&out));
    std::string said;
    while (!out.empty()) {
      iovec v[16];
      size_t count = out.fill(v, 16), all = 0;
      for (size_t i = 0; i < count; i++) said.append(static_cast<const char*>(v[i].iov_base), v[i].iov_len), all += v[i].iov_len;
      out.sent(all);
    }
    if (!said.empty()) down.push_back({ms + way_ms, said});
    size_t given = size * size_t(n);
    for (int i = 0; i < n; i++) given -= left[i];
    most_ahead = std::max(most_ahead, given - came);
  }
  out.clear();
  nghttp2_session_del(client);
  H2Session::free(session);
  return ms;
}

Path path(int way_ms, size_t speed, uint32_t most) {
  Path p;
  p.way_ms = way_ms;
  p.speed = speed;
  p.settings.max_window = most;
  return p;
}

// 100 ms there and back at 40 MB/s: a window of 256 KiB lets 2.6 MB/s through.
void a_long_path_stays_slow(void**) {
  Path fixed = path(50, 40'000, 0), grows = path(50, 40'000, 4 << 20);
  int64_t slow = fixed.upload(16 << 20, 1, 60'000), fast = grows.upload(16 << 20, 1, 60'000);
  print_message("16 MiB over 100 ms: %ld ms with a fixed window, %ld ms with one that grows: %zu KiB under way, %d pings\n", long(slow), long(fast), grows.most_ahead >> 10,
                grows.pings);
  assert_int_equal(fixed.pings, 0);
  assert_true(slow > 6000);
  assert_true(fast < slow / 3);
  assert_true(grows.most_ahead > 1 << 20);
  assert_true(grows.most_ahead <= 4 << 20);
  assert_true(grows.pings < 40);
}

void a_bound_is_passed(void**) {
  Path p = path(50, 40'000, 1 << 20);
  int64_t ms = p.upload(16 << 20, 1, 60'000);
  assert_true(ms < 3500);
  assert_in_range(p.most_ahead, 700 << 10, 1 << 20);
  // Above what the connection has at first, that grows along.
  Path large = path(200, 100'000, 16 << 20);
  ms = large.upload(64 << 20, 1, 60'000);
  assert_true(large.most_ahead > 8 << 20);
  assert_true(large.most_ahead <= 16 << 20);
  assert_true(ms < 10'000);
}

// A path that is slow, or short, gains nothing by more.
void a_slow_path_costs_memory(void**) {
  Path slow = path(50, 1000, 4 << 20);
  slow.upload(4 << 20, 1, 60'000);
  assert_true(slow.most_ahead <= 256 << 10);
  assert_true(slow.pings < 8);
  // Wherever a window that is large already is never filled.
  Path wide = path(5, 2'000, 64 << 20);
  wide.upload(16 << 20, 4, 60'000);
  assert_true(wide.most_ahead <= 512 << 10);
}

// What nobody consumes does not come back, and does not grow.
void a_stream_that_is_not_read_gets_more(void**) {
  Path p = path(50, 40'000, 4 << 20);
  p.reads = false;
  assert_int_equal(p.upload(16 << 20, 1, 2000), 2000);
  assert_true(p.came <= 256 << 10);
}

void the_arithmetic_overflows(void**) {
  H2Window w;
  w.start(256 << 10, UINT32_MAX);
  for (int i = 0; i < 64; i++) {
    w.came(SIZE_MAX / 2);
    if (!w.wants_ping()) break;
    w.ping(0);
    w.came(SIZE_MAX / 2);
    (void)w.pong(0);  // at once, and before it was asked
    w.ping(INT64_MAX);
    (void)w.pong(INT64_MIN + 1 + INT64_MAX);
  }
  assert_true(w.target() >= 256 << 10);
  // Without growth no measurement at all.
  H2Window none;
  none.start(256 << 10, 0);
  none.came(SIZE_MAX);
  assert_false(none.wants_ping());
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(a_long_path_stays_slow),
      cmocka_unit_test(a_bound_is_passed),
      cmocka_unit_test(a_slow_path_costs_memory),
      cmocka_unit_test(a_stream_that_is_not_read_gets_more),
      cmocka_unit_test(the_arithmetic_overflows),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
