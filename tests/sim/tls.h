// TLS in the simulation: the server's from src/tls, the clients' by OpenSSL over memory. Its random bytes come from the
// run's seed, so that a run is the same each time.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "net/stream.h"

namespace sim {

// A client's end of one connection.
class TlsClient {
 public:
  virtual ~TlsClient() = default;
  virtual void received(std::string_view wire) = 0;
  // What of text it takes now, as records; nothing before the handshake is over.
  virtual size_t send(std::string_view text) = 0;
  virtual void finish() = 0;            // close_notify
  virtual std::string read() = 0;       // text that has come
  virtual std::string to_send() = 0;    // bytes for the wire
  virtual bool broken() const = 0;      // what came is not TLS, or an alert
};

// nullptr: this build has no TLS. Made once, outside of runs.
zcrpc::net::Streams* tls_server();
std::unique_ptr<TlsClient> make_tls_client(bool http2, bool names_protocol, bool old_version);
// Random bytes from now on.
void seed_tls(uint64_t seed);
// What OpenSSL keeps for the thread goes.
void end_tls();

}  // namespace sim
