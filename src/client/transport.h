// The seam between a client's calls and what carries them: one HTTP exchange, the request whole, the answer in pieces.
// It knows HTTP and nothing of RPC. Everything here is [inside] the transport's loop.
#pragma once

#include <atomic>
#include <cstdint>
#include <string_view>

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
};

// Gets the answer. None of these may start or cancel an exchange.
struct HttpSink {
  // False from any of these: the exchange is broken off, and ended is called with an OK that says nothing: the sink
  // knows why. The final status comes before the first header; interim ones are not told.
  bool (*status)(HttpSink* self, int32_t status);
  bool (*header)(HttpSink* self, std::string_view name, std::string_view value);  // name in lower case
  bool (*data)(HttpSink* self, base::Slice bytes);                                // valid until it returns
  // Once, as the last; not after cancel. OK: the answer is complete.
  void (*ended)(HttpSink* self, base::Status status);
};

struct HttpExchange;  // the transport's own

// A transport's table. The one with libcurl is curl_transport.
struct Transport {
  // On failure ended is not called.
  base::Result<HttpExchange*> (*start)(Transport* t, const HttpRequest& request, HttpSink* sink);
  // Ends it at once, on the wire too; the sink hears no more.
  void (*cancel)(Transport* t, HttpExchange* e);
  void (*free)(Transport* t);  // no exchange is open; connections are closed
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
