// The seam between a client's calls and what carries them: one HTTP exchange, the answer in pieces, the request whole, or, of
// a transport that has streams, in pieces likewise.
// It knows HTTP and nothing of RPC. Everything here is [inside] the transport's loop.
#pragma once

#include <atomic>
#include <cstdint>
#include <string_view>

#include <span>

#include "base/header.h"
#include "base/metadata.h"
#include "base/slice.h"
#include "base/status.h"
#include "net/loop.h"

namespace zcrpc::client {

// Where a channel leads.
struct Endpoint {
  std::string_view host;         // a name or an address, IPv6 without brackets; "" for a local socket
  std::string_view authority;    // as the Host header says it
  std::string_view socket_path;  // of a local socket; else ""
  uint16_t port = 0;
};

struct HttpRequest {
  bool get = false;              // else POST
  bool repeatable = false;       // may be sent again if the connection is lost before any answer
  std::string_view target;       // path and query, as on the wire
  const base::Metadata* headers = nullptr;  // names and values as on the wire; without host and content-length
  base::Slice body;              // lives until the exchange has ended
  base::Buffer* buffer = nullptr;  // holds body; may be retained. nullptr: nothing counted does
  bool streams = false;          // the body goes on, by Transport::send
};

// Gets the answer. None of these may start or cancel an exchange.
struct HttpSink {
  // False from any of these: the exchange is broken off, and ended is called with an OK that says nothing: the sink
  // knows why. The final status comes before the first header; interim ones are not told.
  bool (*status)(HttpSink* self, int32_t status);
  bool (*header)(HttpSink* self, std::string_view name, std::string_view value);  // name in lower case
  // holder: where bytes may stay, retained by the sink; nullptr: they are valid until it returns.
  bool (*data)(HttpSink* self, base::Slice bytes, base::Buffer* holder);
  // Once, as the last; not after cancel. OK: the answer is complete.
  void (*ended)(HttpSink* self, base::Status status);
  // Streams: what waits of the request has become less than half of what room was asked about.
  void (*writable)(HttpSink* self) = nullptr;
};

struct HttpExchange;  // the transport's own

// A transport's table. The one with libcurl is curl_transport.
struct Transport {
  // On failure ended is not called.
  base::Result<HttpExchange*> (*start)(Transport* t, const HttpRequest& request, HttpSink* sink);
  // Ends it at once, on the wire too; the sink hears no more.
  void (*cancel)(Transport* t, HttpExchange* e);
  void (*free)(Transport* t);  // no exchange is open; connections are closed
  // Streams; nullptr: it has none.
  // More of the request, in pieces with buffers, which are retained; last: nothing comes behind. False: no memory.
  bool (*send)(Transport* t, HttpExchange* e, std::span<const base::Piece> pieces, bool last) = nullptr;
  // n bytes that data brought were used: so many more may come. Without it, a bounded number does.
  void (*used)(Transport* t, HttpExchange* e, size_t n) = nullptr;
  // [any], before the exchange has ended. Bytes that may be sent until that many wait; 0: as many do, and writable follows.
  size_t (*room)(Transport* t, HttpExchange* e, size_t window) = nullptr;
  bool by_reference = false;   // a body with a buffer is not copied
};

struct TransportOptions {
  Endpoint endpoint;               // copied
  size_t max_header_bytes = 16 << 10;
  size_t max_connections = 0;      // 0: as many as there are exchanges at once
  std::atomic<uint64_t>* connections = nullptr;  // counts those that were opened
};

// HTTP/1.1 through libcurl, driven by the loop. Connections stay open between exchanges.
base::Result<Transport*> curl_transport(net::Loop* loop, const TransportOptions& options);

}  // namespace zcrpc::client
