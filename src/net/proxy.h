// The PROXY protocol, versions 1 and 2 (haproxy.org, proxy-protocol.txt): a balancer's first bytes on a connection tell who
// is behind it. Streams that take them off the socket, and go on with the socket or with another stream, such as TLS.
#pragma once

#include "base/slice.h"
#include "net/listener.h"
#include "net/stream.h"

namespace zcrpc::net {

// Reads a header byte by byte, so that nothing that follows it is taken off the socket.
class ProxyHeader {
 public:
  static constexpr size_t kMost = 536;  // of version 2 with its extensions; version 1 has at most 107

  // How many bytes to receive next into `room`, never more than the header still has; 0: it is complete.
  size_t wants() const { return wants_; }
  bool begun() const { return size_ > 0; }
  uint8_t* room() { return bytes_ + size_; }
  // n of them have come. invalid_argument: this is no header, and why.
  base::Status came(size_t n);
  // The source; size 0: the balancer speaks for itself, or does not know.
  const Address& source() const { return source_; }

 private:
  base::Status text();
  base::Status binary();

  uint8_t bytes_[kMost];
  size_t size_ = 0, wants_ = kFirst;
  Address source_;
  static constexpr size_t kFirst = 15;  // "PROXY UNKNOWN\r\n" is the shortest
};

// inner: what follows the header, retained; nullptr: the socket as it is. Counted.
base::Result<Streams*> proxy_streams(Streams* inner);

}  // namespace zcrpc::net
