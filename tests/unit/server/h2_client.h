// A client of HTTP/2 that is written by hand, frame by frame, and whose windows are what the test gives.
#pragma once

#include <nghttp2/nghttp2.h>

#include <map>

#include "unit/server/frames.h"
#include "unit/server/harness.h"

#include "support/cmocka.h"

inline std::string g_log;
inline void write_log(int32_t, const char* text, size_t n, void*) { g_log.append(text, n).append("\n"); }

inline std::string named(std::string_view name, std::string_view value) {
  return std::string(1, '\0') + char(name.size()) + std::string(name) + char(value.size()) + std::string(value);
}
inline const std::string kNoWindow = frame(kSettings, 0, 0, std::string("\x00\x04\x00\x00\x00\x00", 6));

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

  explicit Client(const zcrpc::server::Config& c, std::string_view first = kNoWindow, const zcrpc::net::Io* io = zcrpc::net::system_io()) {
    g_log.clear();
    zcrpc::base::Status s = h.start(io, c);
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
