// What a server is set to. Plain values; capi fills them from options. Times in milliseconds.
#pragma once

#include <cstddef>
#include <cstdint>

#include <span>

#include "base/log.h"
#include "compress/compress.h"
#include "server/cors.h"
#include "server/intercept.h"
#include "view/view.h"

namespace zcrpc::server {

struct Config {
  size_t message_limit = size_t(4) << 20;  // after inflating
  size_t compressed_limit = 0;             // before it; 0: as the limit after it says
  size_t header_limit = 16 << 10;
  compress::Registry codings;
  compress::Preference compression;        // of answers, where the client takes it
  int compression_level = 0;               // 0: the coding's default
  size_t compress_min = 1024;              // smaller answers go as they are
  bool etags = false;                      // answers to GET get one, unless the handler has set its own
  size_t max_connections = 10000;
  uint32_t max_streams = 100;              // a connection
  size_t max_calls = 100'000;              // of all connections, until their handlers have ended
  size_t untaken = 128 << 20;              // bytes of a connection's answers that wait for windows of HTTP/2; above a quarter of it calls wait
  int64_t max_deadline_ms = -1;            // -1: none
  int64_t default_deadline_ms = -1;        // of calls whose client names none
  int64_t min_deadline_ms = 0;             // a client's shorter one becomes this
  int64_t silence_ms = -1;                 // of streams: without a message either way
  Observer observe;
  std::span<const Interceptor> interceptors;  // of every method; until the server is made, which copies them
  int64_t max_age_ms = 30 * 60 * 1000;     // of a connection, +-10 %; -1: none
  int64_t age_grace_ms = -1;               // for the calls that are open then; -1: as long as they take
  int64_t keepalive_ms = 120'000;          // HTTP/2: a PING after so long without a byte, idle or not; -1: none
  int64_t keepalive_timeout_ms = 20'000;   // and the end without an answer
  int64_t max_requests = -1;               // of a connection, then it drains; -1: any number
  int64_t lame_duck_ms = -1;               // -1: polled_duck_ms if somebody polls for health, else none
  // Streams that were not worth their making, of a connection: so many at once, then so many a second; likewise frames that
  // bring nothing.
  int64_t reset_burst = 1000;
  int64_t reset_rate = 200;
  int64_t frame_burst = 2000;
  int64_t frame_rate = 500;
  size_t window = 256 << 10;               // of a stream over HTTP/2, at first,
  size_t max_window = 4 << 20;             // and at most
  size_t inflating = 32 << 20;             // bytes of a connection's contexts for messages that are half here
  bool proxy_protocol = false;             // connections begin with a PROXY header
  std::string_view prefix;                 // before every path; lies in the server's arena
  Cors cors;
  bool health = true;                      // grpc.health.v1
  bool reflection = false;                 // grpc.reflection.v1 and v1alpha,
  std::string_view hidden;                 // but not of these services; lies in the server's arena
  view::Limits decode;
  base::Log log;

  // What a peer may take its time for.
  int64_t head_ms = 10'000;                // preface and SETTINGS; a request's head, from its first byte
  int64_t idle_ms = 5 * 60 * 1000;         // without a call; -1: for ever
  int64_t stall_ms = 30'000;               // not taking a byte of what we send,
  int64_t stall_rate = 32;                 // or not so many a second, though all the time something waits
  int64_t body_grace_ms = 10'000;          // a body may dawdle so long,
  int64_t body_rate = 256;                 // then it has to bring so many bytes a second, counted from its beginning
  int64_t linger_ms = 1'000;               // reading on after the last word, so that it is not lost to a reset
  // After an early answer the rest of the request is read and dropped, so that its stream can end without a reset:
  int64_t reset_ms = 250;                  // until so long nothing of it has come (a fortieth of the next),
  int64_t dropped_ms = 10'000;             // or it has taken so long,
  uint64_t dropped = 16 << 20;             // or so many bytes
  int64_t polled_ms = 60'000;              // a drain waits for those who have asked for health in the time before,
  int64_t polled_duck_ms = 5'000;          // so long
  int64_t drain_ping_ms = 1'000;           // waiting for the answer to GOAWAY's ping
  int64_t drain_quiet_ms = 200;            // after which a drain closes connections on which nothing comes (a fifth of it)
  size_t high_water = 256 << 10;           // bytes of output above which nothing is read
  size_t pipelined = 64 << 10;             // bytes of HTTP/1.1 requests that wait their turn, or a read credit
  size_t held = 4 << 20;                   // bytes of a connection's streams that wait for read credits

  // What a rate in bytes a second asks for in so many ms; never nothing.
  static uint64_t least(int64_t rate, int64_t ms) { return rate * ms < 1000 ? 1 : uint64_t(rate * ms / 1000); }
};

}  // namespace zcrpc::server
