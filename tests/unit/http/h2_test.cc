// The server's HTTP/2 session against nghttp2's client, in memory, frame by frame.
#include <nghttp2/nghttp2.h>

#include <cstdlib>
#include <cstring>
#include <deque>
#include <map>
#include <string>
#include <vector>

#include "http/h2.h"
#include "support/fail_malloc.h"

extern "C" {
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
}

using namespace zcrpc;
using base::Header;
using base::Piece;
using base::Slice;
using http::H2Context;
using http::H2Events;
using http::H2Session;
using http::H2Settings;
using http::H2Stream;
using http::Output;

namespace {

// ---- the server

struct Call : H2Stream {
  std::string headers, body;
  bool headers_done = false, ended = false, sent_seen = false, closed = false, by_peer = false, in_use = false;
  uint32_t code = 0;
};

struct Server {
  H2Session* session = nullptr;
  Call calls[300];
  size_t begun = 0, refuse_from = SIZE_MAX;
  bool drain_at_once = false;
  bool fail_header = false, quiet = false;  // quiet: no strings, so that nothing of the test allocates
  uint64_t pings = 0, ping_acks = 0;
  void (*on_headers)(Server*, Call*) = nullptr;
  void (*on_end)(Server*, Call*) = nullptr;
};

H2Stream* begin(H2Session*, void* user) {
  auto* s = static_cast<Server*>(user);
  if (s->begun >= s->refuse_from) return nullptr;
  for (Call& c : s->calls) {
    if (c.in_use) continue;
    s->begun++;
    if (!s->quiet) c = Call();
    c.in_use = true;
    if (s->drain_at_once) s->session->drain_now();
    return &c;
  }
  return nullptr;
}
bool header(H2Stream* st, std::string_view n, std::string_view v, void* user) {
  auto* s = static_cast<Server*>(user);
  if (s->fail_header) return false;
  if (!s->quiet) static_cast<Call*>(st)->headers += std::string(n) + "=" + std::string(v) + "\n";
  return true;
}
void headers_end(H2Stream* st, void* user) {
  auto* s = static_cast<Server*>(user);
  static_cast<Call*>(st)->headers_done = true;
  if (s->on_headers) s->on_headers(s, static_cast<Call*>(st));
}
void data(H2Stream* st, Slice b, void* user) {
  if (!static_cast<Server*>(user)->quiet) static_cast<Call*>(st)->body += std::string(b.text());
}
void end(H2Stream* st, void* user) {
  auto* s = static_cast<Server*>(user);
  static_cast<Call*>(st)->ended = true;
  if (s->on_end) s->on_end(s, static_cast<Call*>(st));
}
void sent(H2Stream* st, void*) { static_cast<Call*>(st)->sent_seen = true; }
void closed(H2Stream* st, uint32_t code, bool by_peer, void* user) {
  auto* c = static_cast<Call*>(st);
  c->closed = true;
  c->code = code;
  c->by_peer = by_peer;
  if (static_cast<Server*>(user)->quiet) c->in_use = false;
}
void ping(void* user) { static_cast<Server*>(user)->pings++; }
void ping_ack(uint64_t opaque, void* user) { static_cast<Server*>(user)->ping_acks = opaque; }
const H2Events kEvents = {begin, header, headers_end, data, end, sent, closed, nullptr, ping, ping_ack, nullptr};

// ---- the client

struct Seen {
  std::string headers, data, trailers;
  int frames = 0, data_frames = 0, headers_frames = 0, empty_data = 0;
  bool end = false, closed = false;
  uint32_t code = 0;
};

struct Client {
  nghttp2_session* ng = nullptr;
  std::map<int32_t, Seen> seen;
  std::map<int32_t, std::string> bodies;
  std::vector<std::pair<int32_t, uint32_t>> goaways;  // last stream, code
};

ssize_t body_read(nghttp2_session*, int32_t, uint8_t* buf, size_t n, uint32_t* flags, nghttp2_data_source* src, void*) {
  auto* s = static_cast<std::string*>(src->ptr);
  size_t part = std::min(n, s->size());
  memcpy(buf, s->data(), part);
  s->erase(0, part);
  if (s->empty()) *flags |= NGHTTP2_DATA_FLAG_EOF;
  return ssize_t(part);
}

int c_header(nghttp2_session*, const nghttp2_frame* f, const uint8_t* n, size_t nl, const uint8_t* v, size_t vl, uint8_t, void* u) {
  Seen& s = static_cast<Client*>(u)->seen[f->hd.stream_id];
  std::string line = std::string(reinterpret_cast<const char*>(n), nl) + "=" + std::string(reinterpret_cast<const char*>(v), vl) + "\n";
  (f->headers.cat == NGHTTP2_HCAT_HEADERS ? s.trailers : s.headers) += line;
  return 0;
}
int c_data(nghttp2_session*, uint8_t, int32_t id, const uint8_t* p, size_t n, void* u) {
  static_cast<Client*>(u)->seen[id].data.append(reinterpret_cast<const char*>(p), n);
  return 0;
}
int c_frame(nghttp2_session*, const nghttp2_frame* f, void* u) {
  auto* c = static_cast<Client*>(u);
  if (f->hd.type == NGHTTP2_GOAWAY) c->goaways.emplace_back(f->goaway.last_stream_id, f->goaway.error_code);
  if (f->hd.stream_id == 0) return 0;
  Seen& s = c->seen[f->hd.stream_id];
  s.frames++;
  if (f->hd.type == NGHTTP2_DATA) s.data_frames++, s.empty_data += f->hd.length == 0;
  if (f->hd.type == NGHTTP2_HEADERS) s.headers_frames++;
  if ((f->hd.type == NGHTTP2_DATA || f->hd.type == NGHTTP2_HEADERS) && (f->hd.flags & NGHTTP2_FLAG_END_STREAM)) s.end = true;
  return 0;
}
int c_close(nghttp2_session*, int32_t id, uint32_t code, void* u) {
  Seen& s = static_cast<Client*>(u)->seen[id];
  s.closed = true;
  s.code = code;
  return 0;
}

// ---- both, and the wire between them

struct Rig {
  H2Context context;
  http::ChunkPool pool;
  Output out{&pool};
  Server server;
  Client client;
  bool alive = true;

  explicit Rig(const H2Settings& settings = {}, bool with_client = true) : context(base::default_allocator(), settings, kEvents) {
    assert_true(context.init().ok());
    auto r = H2Session::make(&context, &server);
    assert_true(r.ok());
    server.session = *r;
    if (!with_client) return;
    nghttp2_session_callbacks* cb;
    nghttp2_session_callbacks_new(&cb);
    nghttp2_session_callbacks_set_on_header_callback(cb, c_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(cb, c_data);
    nghttp2_session_callbacks_set_on_frame_recv_callback(cb, c_frame);
    nghttp2_session_callbacks_set_on_stream_close_callback(cb, c_close);
    nghttp2_option* o;
    nghttp2_option_new(&o);
    nghttp2_option_set_no_http_messaging(o, 1);  // so that it sends what it should not
    nghttp2_session_client_new2(&client.ng, cb, &client, o);
    nghttp2_option_del(o);
    nghttp2_session_callbacks_del(cb);
    nghttp2_settings_entry window = {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 1 << 24};
    nghttp2_submit_settings(client.ng, 0, &window, 1);
    nghttp2_session_set_local_window_size(client.ng, 0, 0, 1 << 24);
  }
  ~Rig() {
    H2Session::free(server.session);
    nghttp2_session_del(client.ng);
  }
  std::string client_bytes() {
    std::string all;
    for (;;) {
      const uint8_t* p;
      ssize_t n = nghttp2_session_mem_send(client.ng, &p);
      if (n <= 0) return all;
      all.append(reinterpret_cast<const char*>(p), size_t(n));
    }
  }
  int64_t now_ns = 1'000'000'000;
  void to_server(const std::string& bytes) {
    std::vector<char> copy(bytes.begin(), bytes.end());
    if (!copy.empty()) alive = server.session->feed(Slice(copy.data(), copy.size()), now_ns) && alive;
  }
  std::string server_bytes(size_t most = 256 << 10) {
    assert_true(server.session->flush(&out, most));
    std::string all;
    while (!out.empty()) {
      iovec v[8];
      size_t count = out.fill(v, 8), take = 0;
      for (size_t i = 0; i < count; i++) {
        all.append(static_cast<char*>(v[i].iov_base), v[i].iov_len);
        take += v[i].iov_len;
      }
      out.sent(take);
    }
    return all;
  }
  void to_client(const std::string& bytes) {
    nghttp2_session_mem_recv(client.ng, reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size());
  }
  // Until nobody has anything to say.
  void settle() {
    for (int i = 0; i < 100; i++) {
      std::string a = client_bytes();
      to_server(a);
      std::string b = server_bytes();
      to_client(b);
      if (a.empty() && b.empty()) return;
    }
    fail();
  }
  int32_t request(const std::string& body, const std::vector<std::pair<std::string, std::string>>& more = {}, bool end_stream = true) {
    std::vector<std::pair<std::string, std::string>> list = {
        {":method", "POST"}, {":scheme", "http"}, {":path", "/p.S/M"}, {":authority", "h"}};
    list.insert(list.end(), more.begin(), more.end());
    static std::deque<std::string> names;  // as they are: what nghttp2 copies, it makes lower case
    for (auto& [n, v] : list) names.push_back(n);
    size_t name = names.size() - list.size();
    std::vector<nghttp2_nv> nv;
    for (auto& [n, v] : list) {
      nv.push_back({reinterpret_cast<uint8_t*>(names[name++].data()), reinterpret_cast<uint8_t*>(v.data()), n.size(), v.size(),
                    NGHTTP2_NV_FLAG_NO_COPY_NAME});
    }
    if (!end_stream) return nghttp2_submit_headers(client.ng, 0, -1, nullptr, nv.data(), nv.size(), nullptr);
    if (body.empty()) return nghttp2_submit_request(client.ng, nullptr, nv.data(), nv.size(), nullptr, nullptr);
    auto* keep = new std::string(body);
    nghttp2_data_provider dp = {{.ptr = keep}, body_read};
    int32_t id = nghttp2_submit_request(client.ng, nullptr, nv.data(), nv.size(), &dp, nullptr);
    owned.push_back(keep);
    return id;
  }
  std::vector<std::string*> owned;
  void drop_bodies() {
    for (auto* s : owned) delete s;
    owned.clear();
  }
};

struct Bodies {
  Rig& r;
  ~Bodies() { r.drop_bodies(); }
};

const Header kHeaders[] = {{"content-type", "application/grpc", true}, {"x-id", "77", false}};
const Header kTrailers[] = {{"grpc-status", "0", true}};
const uint8_t kPrefix[5] = {0, 0, 0, 0, 13};
const char kHello[] = "\x0a\x0bhello world";
const Piece kSmall[] = {{Slice(kHello, 13), nullptr}};

void answer_small(Server* s, Call* c) {
  assert_true(s->session->answer(c, 200, kHeaders, Slice(kPrefix, 5), kSmall, kTrailers).ok());
}

void a_unary_call_takes_more_than_it_needs(void**) {
  Rig r;
  Bodies b{r};
  r.server.on_end = answer_small;
  int32_t id = r.request("0123456789", {{"te", "trailers"}});
  r.settle();
  Call& c = r.server.calls[0];
  assert_string_equal(c.headers.c_str(), ":method=POST\n:scheme=http\n:path=/p.S/M\n:authority=h\nte=trailers\n");
  assert_string_equal(c.body.c_str(), "0123456789");
  assert_true(c.ended && c.sent_seen && c.closed && !c.by_peer);
  Seen& s = r.client.seen[id];
  assert_string_equal(s.headers.c_str(), ":status=200\ncontent-type=application/grpc\nx-id=77\n");
  assert_string_equal(s.trailers.c_str(), "grpc-status=0\n");
  assert_int_equal(s.data.size(), 18);
  assert_memory_equal(s.data.data(), kPrefix, 5);
  assert_memory_equal(s.data.data() + 5, kHello, 13);
  assert_int_equal(s.frames, 3);  // HEADERS, DATA with prefix and message, HEADERS
  assert_true(s.end && s.closed);
  assert_int_equal(s.code, 0);
  assert_int_equal(r.out.copies, 1);
  assert_int_equal(r.out.bytes_copied, 13);
  assert_int_equal(r.server.session->streams(), 0);
}

void answers_without_a_body_get_an_empty_data_frame(void**) {
  Rig r;
  r.server.on_end = [](Server* s, Call* c) { assert_true(s->session->answer(c, 200, kTrailers, {}, {}, {}).ok()); };
  int32_t id = r.request("");
  r.settle();
  assert_int_equal(r.client.seen[id].frames, 1);
  assert_true(r.client.seen[id].end);
  // Headers and trailers, and nothing between them.
  r.server.on_end = [](Server* s, Call* c) { assert_true(s->session->answer(c, 200, kHeaders, {}, {}, kTrailers).ok()); };
  id = r.request("");
  r.settle();
  assert_int_equal(r.client.seen[id].frames, 2);
  assert_int_equal(r.client.seen[id].data_frames, 0);
  assert_string_equal(r.client.seen[id].trailers.c_str(), "grpc-status=0\n");
}

base::Buffer* g_large;
Piece g_pieces[3];

void a_large_answer_is_copied(void**) {
  Rig r;
  g_large = base::Buffer::make(100000);
  for (size_t i = 0; i < 100000; i++) g_large->writable()[i] = uint8_t(i * 7 + i / 256);
  g_pieces[0] = {Slice(kHello, 13), nullptr};
  g_pieces[1] = {g_large->slice().part(0, 60000), g_large};
  g_pieces[2] = {g_large->slice().from(60000), g_large};
  r.server.on_end = [](Server* s, Call* c) {
    assert_true(s->session->answer(c, 200, kHeaders, Slice(kPrefix, 5), g_pieces, {}).ok());
  };
  int32_t id = r.request("");
  r.to_server(r.client_bytes());
  assert_true(r.server.session->flush(&r.out));
  iovec v[64];
  size_t n = r.out.fill(v, 64), inside = 0;
  for (size_t i = 0; i < n; i++) {
    auto* p = static_cast<uint8_t*>(v[i].iov_base);
    if (p >= g_large->data() && p < g_large->data() + 100000) inside += v[i].iov_len;
  }
  // What a frame's border leaves below 4 KiB is copied, nothing else.
  assert_int_equal(inside + r.out.bytes_copied, 100013);
  assert_true(r.out.bytes_copied < 13 + 3 * http::kByReference);
  assert_true(inside > 90000);
  std::string all;
  while (!r.out.empty()) {
    n = r.out.fill(v, 1);
    all.append(static_cast<char*>(v[0].iov_base), v[0].iov_len);
    r.out.sent(v[0].iov_len);
  }
  r.to_client(all);
  r.settle();
  const std::string& got = r.client.seen[id].data;
  assert_int_equal(got.size(), 100018);
  assert_memory_equal(got.data() + 18, g_large->data(), 100000);
  assert_int_equal(r.client.seen[id].data_frames, 7);
  assert_true(g_large->unique());
  g_large->release();
}

void a_flush_is_not_bounded(void**) {
  Rig r;
  g_large = base::Buffer::make(1 << 20);
  memset(g_large->writable(), 'x', 1 << 20);
  g_pieces[0] = {g_large->slice(), g_large};
  r.server.on_end = [](Server* s, Call* c) {
    assert_true(s->session->answer(c, 200, kHeaders, {}, std::span<const Piece>(g_pieces, 1), kTrailers).ok());
  };
  int32_t id = r.request("");
  r.to_server(r.client_bytes());
  r.to_client(r.server_bytes());
  r.to_server(r.client_bytes());
  std::string all;
  int rounds = 0;
  for (; r.server.session->wants_flush(); rounds++) {
    assert_true(r.server.session->flush(&r.out, 50000));
    assert_true(r.out.size() < 50000 + 16384 + 1000);
    std::string part = r.server_bytes(1);
    if (part.empty()) break;
    r.to_client(part);
    r.to_server(r.client_bytes());
  }
  r.settle();
  assert_true(rounds >= 10);
  assert_int_equal(r.client.seen[id].data.size(), 1 << 20);
  assert_true(r.client.seen[id].end);
  g_large->release();
}

void the_steady_state_allocates(void**) {
  Rig r;
  r.server.quiet = true;
  r.server.on_end = answer_small;
  uint64_t misses = 0;
  long made = 0;
  for (int round = 0; round < 300; round++) {
    Bodies b{r};
    for (int i = 0; i < 16; i++) (void)r.request("some request body", {{"te", "trailers"}, {"grpc-timeout", "1S"}});
    std::string bytes = r.client_bytes();
    if (round == 50) misses = r.context.memory()->misses();
    fail_malloc_at(0);
    assert_true(r.server.session->feed(Slice(std::string_view(bytes))));
    assert_true(r.server.session->flush(&r.out));
    made = fail_malloc_count();
    fail_malloc_stop();
    if (round >= 50) assert_int_equal(made, 0);
    r.to_client(r.server_bytes());
    r.client.seen.clear();
  }
  assert_int_equal(r.context.memory()->misses(), misses);
  assert_int_equal(r.server.begun, 300 * 16);
}

void large_headers_get_through(void**) {
  H2Settings o;
  o.max_header_bytes = 2000;
  {
    Rig r(o);
    r.server.on_end = answer_small;
    int32_t id = r.request("", {{"x", std::string(2100, 'x')}});
    int32_t good = r.request("", {{"x", "y"}});
    r.settle();
    assert_string_equal(r.client.seen[id].headers.c_str(), ":status=431\n");
    assert_false(r.server.calls[0].headers_done);
    assert_true(r.server.calls[0].closed);
    assert_true(r.client.seen[good].headers.starts_with(":status=200\n"));
    assert_true(r.alive);
    assert_int_equal(r.server.session->streams(), 0);
    // The client is still sending: the answer, then a reset that asks it to stop.
    id = r.request("", {{"x", std::string(2100, 'x')}}, false);
    r.settle();
    assert_string_equal(r.client.seen[id].headers.c_str(), ":status=431\n");
    assert_true(r.client.seen[id].closed);
    assert_int_equal(r.client.seen[id].code, 0);
  }
  Rig r(o);
  (void)r.request("", {{"x", std::string(7000, 'x')}, {"y", std::string(1500, 'y')}});
  r.to_server(r.client_bytes());
  assert_false(r.alive);
  r.to_client(r.server_bytes());
  assert_int_equal(r.client.goaways.size(), 1);
  assert_int_equal(r.client.goaways[0].second, NGHTTP2_ENHANCE_YOUR_CALM);
  assert_true(r.server.session->over());
}

void the_limit_of_headers_is_off_by_one(void**) {
  H2Settings o;
  size_t fixed = 7 + 4 + 32 + 7 + 4 + 32 + 5 + 6 + 32 + 10 + 1 + 32;
  o.max_header_bytes = uint32_t(fixed + 1 + 100 + 32);
  Rig r(o);
  r.server.on_end = answer_small;
  int32_t exact = r.request("", {{"x", std::string(100, 'x')}});
  int32_t over = r.request("", {{"x", std::string(101, 'x')}});
  r.settle();
  assert_true(r.client.seen[exact].headers.starts_with(":status=200\n"));
  assert_string_equal(r.client.seen[over].headers.c_str(), ":status=431\n");
}

void more_streams_than_agreed_are_served(void**) {
  H2Settings o;
  o.max_streams = 4;
  Rig r(o);
  // The client has not heard of the limit yet.
  std::vector<int32_t> ids;
  for (int i = 0; i < 6; i++) ids.push_back(r.request(""));
  r.to_server(r.client_bytes());
  r.to_client(r.server_bytes());
  assert_int_equal(r.server.begun, 4);
  assert_int_equal(r.client.seen[ids[4]].code, NGHTTP2_REFUSED_STREAM);
  assert_int_equal(r.client.seen[ids[5]].code, NGHTTP2_REFUSED_STREAM);
  assert_int_equal(r.server.session->streams(), 4);
}

// The same once it has: nghttp2 would end the connection, and with it the calls that run.
void one_stream_too_many_ends_the_others(void**) {
  H2Settings o;
  o.max_streams = 4;
  Rig r(o);
  r.settle();  // the SETTINGS were acknowledged
  assert_int_equal(nghttp2_session_get_remote_settings(r.client.ng, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS), 4);
  std::vector<int32_t> ids;
  for (int i = 0; i < 4; i++) ids.push_back(r.request(""));
  r.settle();
  assert_int_equal(r.server.begun, 4);
  // nghttp2's client keeps to the limit: the fifth is written by hand. Its id is far away, its header block all static.
  std::string fifth("\x00\x00\x06\x01\x05\x00\x00\x01\x01\x83\x86\x84\x01\x01" "x", 15);
  assert_true(r.server.session->feed(Slice(std::string_view(fifth))));
  std::string said = r.server_bytes();
  assert_int_equal(said.size(), 13);
  assert_int_equal(said[3], NGHTTP2_RST_STREAM);
  assert_int_equal(said[12], NGHTTP2_REFUSED_STREAM);
  assert_int_equal(r.server.begun, 4);
  assert_int_equal(r.server.session->streams(), 4);
  // The four go on, and when they have ended there is room.
  for (int i = 0; i < 4; i++) answer_small(&r.server, &r.server.calls[i]);
  r.to_client(r.server_bytes());
  for (int32_t id : ids) assert_true(r.client.seen[id].end);
  assert_true(r.server.session->feed(Slice(std::string_view(fifth.replace(8, 1, "\x03")))));
  assert_int_equal(r.server.begun, 5);
}

// Refused streams cost a little each: a flood of them, all in one piece, is cut within the budget of resets.
void streams_too_many_are_refused_without_end(void**) {
  H2Settings o;
  o.max_streams = 1;
  o.reset_burst = 50;
  Rig r(o);
  r.settle();
  std::string all;
  for (uint32_t i = 0; i < 500; i++) {
    all += std::string("\x00\x00\x06\x01\x05", 5) + std::string{char(0), char(0), char((2 * i + 1) >> 8), char(2 * i + 1)} + std::string("\x83\x86\x84\x01\x01" "x", 6);
  }
  assert_false(r.server.session->feed(Slice(std::string_view(all))));
  assert_string_equal(r.server.session->failure(), "too many streams reset (ZCRPC_SERVER_RESET_BURST, ZCRPC_SERVER_RESET_RATE)");
  std::string said = r.server_bytes();
  size_t resets = 0;
  uint32_t goaway = 0;
  for (size_t at = 0; at + 9 <= said.size();) {
    size_t size = size_t(uint8_t(said[at])) << 16 | size_t(uint8_t(said[at + 1])) << 8 | uint8_t(said[at + 2]);
    if (said[at + 3] == NGHTTP2_RST_STREAM) resets++;
    if (said[at + 3] == NGHTTP2_GOAWAY) goaway = uint8_t(said[at + 9 + 7]);
    at += 9 + size;
  }
  assert_true(resets <= 50);
  assert_int_equal(goaway, NGHTTP2_ENHANCE_YOUR_CALM);
  assert_true(r.server.session->over());
}

void a_busy_server_cannot_refuse(void**) {
  Rig r;
  r.server.refuse_from = 1;
  r.server.on_end = answer_small;
  int32_t first = r.request(""), second = r.request("");
  r.settle();
  assert_true(r.client.seen[first].end);
  assert_int_equal(r.client.seen[second].code, NGHTTP2_REFUSED_STREAM);
  assert_int_equal(r.server.session->streams(), 0);
}

void one_stream_starves_its_neighbours(void**) {
  H2Settings o;
  o.stream_window = 70000;
  o.connection_window = 100000;
  Rig r(o);
  Bodies b{r};
  r.server.on_end = answer_small;
  r.settle();
  int32_t big = r.request(std::string(200000, 'a'));
  r.settle();
  Call& c = r.server.calls[0];
  assert_int_equal(c.body.size(), 70000);  // its own window is shut
  int32_t other = r.request(std::string(60000, 'b'));
  r.settle();  // the connection's is not
  assert_true(r.client.seen[other].end);
  assert_int_equal(r.server.calls[1].body.size(), 60000);
  while (!c.ended) {
    size_t before = c.body.size();
    r.server.session->consume(&c, 70000);
    r.settle();
    assert_true(c.body.size() > before);
  }
  assert_int_equal(c.body.size(), 200000);
  assert_true(r.client.seen[big].end);
}

void a_drain_cuts_calls_off(void**) {
  Rig r;
  int32_t open = r.request("");
  r.settle();
  r.server.session->drain();
  std::string notice = r.server_bytes();
  int32_t crossing = r.request("");  // on its way while the notice is
  std::string bytes = r.client_bytes();
  r.to_client(notice);
  assert_int_equal(r.client.goaways.size(), 1);
  assert_int_equal(r.client.goaways[0].first, 0x7FFFFFFF);
  r.to_server(bytes);
  assert_int_equal(r.server.begun, 2);
  r.settle();  // the PING came back
  assert_int_equal(r.client.goaways.size(), 2);
  assert_int_equal(r.client.goaways[1].first, crossing);
  assert_int_equal(r.client.goaways[1].second, 0);
  assert_false(r.server.session->over());
  answer_small(&r.server, &r.server.calls[0]);
  answer_small(&r.server, &r.server.calls[1]);
  r.settle();
  assert_true(r.client.seen[open].end && r.client.seen[crossing].end);
  assert_true(r.server.session->over());
}

// So many streams, each opened and reset so long after; whether the connection is still good.
bool survives(int resets, int64_t apart_ns, int64_t lived_ns, bool answered) {
  Rig r;
  r.server.quiet = true;
  for (int i = 0; i < resets && r.alive; i++) {
    int32_t id = r.request("", {}, !answered);
    r.to_server(r.client_bytes());
    r.to_client(r.server_bytes());
    r.now_ns += lived_ns;
    if (answered) {
      for (Call& c : r.server.calls)
        if (c.in_use) answer_small(&r.server, &c);
    }
    nghttp2_submit_rst_stream(r.client.ng, 0, id, NGHTTP2_CANCEL);
    r.to_server(r.client_bytes());
    r.to_client(r.server_bytes());
    r.now_ns += apart_ns - lived_ns;
  }
  return r.alive && r.client.goaways.empty();
}

// A balancer's clients share a connection: for a minute 200 of them a second give up.
void honest_cancels_are_taken_for_an_attack(void**) {
  assert_true(survives(12'000, 5'000'000, 1'000'000, false));
  assert_true(survives(20'000, 1'000'000, 150'000'000, false));  // a thousand a second that had waited
  assert_true(survives(5'000, 1'000, 500, true));                // or had been answered
  assert_true(survives(1'000, 1'000, 500, false));
  assert_false(survives(1'200, 1'000, 500, false));
}

// Found by the simulation, seed 10300.
void a_goaway_disowns_a_call_that_runs(void**) {
  Rig r;
  Bodies bodies{r};
  int32_t first = r.request(std::string(100'000, 'a'));  // more than its window: the rest comes later
  r.settle();
  int32_t second = r.request("");
  r.settle();
  assert_int_equal(r.server.begun, 2);
  r.server.session->consume(&r.server.calls[0], 70'000);
  r.settle();  // the frame that came last is the first stream's
  r.server.session->drain();
  r.server.session->drain_now();
  r.settle();
  assert_true(first < second);
  assert_int_equal(r.client.goaways.back().first, second);
  assert_false(r.client.seen[second].closed);  // or it would be sent a second time
}

// Found by the simulation, seeds 505 and 1763.
void a_call_is_served_behind_a_goaway_that_disowns_it(void**) {
  Rig r;
  int32_t first = r.request("");
  r.settle();
  r.server.session->drain();
  r.to_client(r.server_bytes());
  r.server.session->drain_now();  // it waits to be sent: the socket takes nothing
  // HEADERS of stream 3, END_STREAM: :method POST, :scheme http, :path /, all from the static table.
  r.to_server(std::string("\0\0\3\1\5\0\0\0\3\x83\x86\x84", 12));
  assert_int_equal(r.server.begun, 1);
  r.to_client(r.server_bytes());
  assert_int_equal(r.client.goaways.back().first, first);
}

// Found by the simulation, seed 108959 (then): the last request that a connection may have begins its drain, for whose
// notice there was no memory.
void a_drain_that_begins_with_a_call_disowns_it(void**) {
  Rig r;
  r.server.drain_at_once = true;
  int32_t id = r.request("");
  r.settle();
  assert_int_equal(r.server.begun, 1);
  assert_int_equal(r.client.goaways.back().first, id);
  assert_false(r.client.seen[id].closed);
}

void a_cancel_is_not_told(void**) {
  Rig r;
  int32_t id = r.request("");
  r.settle();
  nghttp2_submit_rst_stream(r.client.ng, 0, id, NGHTTP2_CANCEL);
  r.settle();
  assert_true(r.server.calls[0].closed && r.server.calls[0].by_peer);
  assert_int_equal(r.server.calls[0].code, http::kH2Cancel);
  id = r.request("");
  r.settle();
  r.server.session->reset(&r.server.calls[1], http::kH2Cancel);
  r.settle();
  assert_true(r.server.calls[1].closed && !r.server.calls[1].by_peer);
  assert_int_equal(r.client.seen[id].code, NGHTTP2_CANCEL);
}

void an_early_answer_waits_for_the_request(void**) {
  Rig r;
  r.server.on_headers = answer_small;
  int32_t id = r.request("", {}, false);
  r.settle();
  Call& c = r.server.calls[0];
  assert_true(r.client.seen[id].end && c.sent_seen && !c.closed);
  assert_true(c.remote_open() && c.sent());
  r.server.session->reset(&c, http::kH2NoError);
  r.settle();
  assert_true(c.closed && r.client.seen[id].closed);
  assert_int_equal(r.client.seen[id].code, 0);
}

void messages_that_come_later_are_lost(void**) {
  Rig r;
  r.server.on_end = [](Server* s, Call* c) { assert_true(s->session->answer(c, 200, kHeaders, {}, {}, {}, true).ok()); };
  int32_t id = r.request("");
  r.settle();
  Call& c = r.server.calls[0];
  assert_int_equal(r.client.seen[id].frames, 1);
  for (int i = 0; i < 3; i++) {
    assert_true(r.server.session->send(&c, Slice(kPrefix, 5), kSmall, {}, true).ok());
    assert_int_equal(r.server.session->pending(&c), 18);
    assert_int_equal(int(r.server.session->send(&c, Slice(kPrefix, 5), kSmall, {}, true).code()), int(base::Code::kInternal));
    r.settle();
    assert_int_equal(r.server.session->pending(&c), 0);
  }
  assert_true(r.server.session->send(&c, {}, {}, kTrailers, false).ok());
  r.settle();
  Seen& s = r.client.seen[id];
  assert_int_equal(s.data.size(), 54);
  assert_int_equal(s.data_frames, 3);
  assert_int_equal(s.empty_data, 0);
  assert_string_equal(s.trailers.c_str(), "grpc-status=0\n");
  assert_true(s.end);
}

void a_broken_peer_is_believed(void**) {
  {
    Rig r({}, false);
    assert_false(r.server.session->feed(Slice(std::string_view("GET / HTTP/1.1\r\n\r\nxxxxxxxxx"))));
    assert_false(r.server.session->feed(Slice(std::string_view("PRI"))));
  }
  struct {
    std::vector<std::pair<std::string, std::string>> headers;
    std::string body;
  } cases[] = {
      {{{"connection", "close"}}, ""},       {{{"Upper", "x"}}, ""},          {{{"x", "a\nb"}}, ""},
      {{{"content-length", "3"}}, "ab"},     {{{"content-length", "1"}}, "ab"}, {{{"content-length", "x"}}, ""},
      {{{"content-length", "0"}, {"content-length", "0"}}, ""}, {{{"te", "gzip"}}, ""}, {{{":path", "/again"}}, ""},
      {{{"x", "y"}, {":authority", "late"}}, ""},
  };
  for (auto& k : cases) {
    Rig r;
    Bodies b{r};
    r.server.on_end = answer_small;
    int32_t id = r.request(k.body, k.headers);
    r.settle();
    Seen& s = r.client.seen[id];
    if (!s.closed || s.code != NGHTTP2_PROTOCOL_ERROR) print_error("%s: %u\n", k.headers[0].first.c_str(), s.code);
    assert_true(s.closed);
    assert_int_equal(s.code, NGHTTP2_PROTOCOL_ERROR);
    assert_true(r.alive);
    assert_int_equal(r.server.session->streams(), 0);
    // Its neighbours live on.
    int32_t good = r.request("");
    r.settle();
    assert_true(r.client.seen[good].end);
  }
}

void pings_are_confused(void**) {
  Rig r;
  r.settle();
  r.server.session->ping(0x0102030405060708);
  nghttp2_submit_ping(r.client.ng, 0, nullptr);
  r.settle();
  assert_int_equal(r.server.ping_acks, 0x0102030405060708);
  assert_int_equal(r.server.pings, 1);
}

void a_lack_of_memory_crashes_or_leaks(void**) {
  g_large = base::Buffer::make(20000);
  memset(g_large->writable(), 'x', 20000);
  g_pieces[0] = {g_large->slice(), g_large};
  // The client's bytes once, so that only the server allocates.
  std::string bytes;
  {
    Rig r;
    Bodies b{r};
    for (int i = 0; i < 3; i++) (void)r.request("body", {{"x", std::string(300, 'x')}});
    bytes = r.client_bytes();
  }
  long n = 1;
  for (; n < 1000; n++) {
    static Server server;
    server.quiet = true;
    server.begun = 0;
    for (Call& c : server.calls) c.in_use = false;
    server.on_end = [](Server* s, Call* c) {
      base::Status st = s->session->answer(c, 200, kHeaders, Slice(kPrefix, 5), std::span<const Piece>(g_pieces, 1), kTrailers);
      if (!st.ok()) {
        assert_int_equal(int(st.code()), int(base::Code::kResourceExhausted));
        s->session->reset(c, http::kH2Internal);
      }
    };
    long before = fail_malloc_live();
    fail_malloc_at(n);
    {
      H2Context context(base::default_allocator(), {}, kEvents);
      http::ChunkPool pool;
      Output out(&pool);
      if (context.init().ok()) {
        auto r = H2Session::make(&context, &server);
        if (r.ok()) {
          server.session = *r;
          if ((*r)->feed(Slice(std::string_view(bytes)))) (void)(*r)->flush(&out);
          H2Session::free(*r);
        }
      }
    }
    int failed = fail_malloc_stop();
    assert_int_equal(fail_malloc_live(), before);
    if (!failed) break;
  }
  assert_true(n > 20 && n < 1000);
  assert_true(g_large->unique());
  g_large->release();
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(a_unary_call_takes_more_than_it_needs),
      cmocka_unit_test(answers_without_a_body_get_an_empty_data_frame),
      cmocka_unit_test(a_large_answer_is_copied),
      cmocka_unit_test(a_flush_is_not_bounded),
      cmocka_unit_test(the_steady_state_allocates),
      cmocka_unit_test(large_headers_get_through),
      cmocka_unit_test(the_limit_of_headers_is_off_by_one),
      cmocka_unit_test(more_streams_than_agreed_are_served),
      cmocka_unit_test(one_stream_too_many_ends_the_others),
      cmocka_unit_test(streams_too_many_are_refused_without_end),
      cmocka_unit_test(a_busy_server_cannot_refuse),
      cmocka_unit_test(one_stream_starves_its_neighbours),
      cmocka_unit_test(a_drain_cuts_calls_off),
      cmocka_unit_test(honest_cancels_are_taken_for_an_attack),
      cmocka_unit_test(a_goaway_disowns_a_call_that_runs),
      cmocka_unit_test(a_call_is_served_behind_a_goaway_that_disowns_it),
      cmocka_unit_test(a_drain_that_begins_with_a_call_disowns_it),
      cmocka_unit_test(a_cancel_is_not_told),
      cmocka_unit_test(an_early_answer_waits_for_the_request),
      cmocka_unit_test(messages_that_come_later_are_lost),
      cmocka_unit_test(a_broken_peer_is_believed),
      cmocka_unit_test(pings_are_confused),
      cmocka_unit_test(a_lack_of_memory_crashes_or_leaks),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
