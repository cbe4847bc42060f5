// What may lie between a connection and its socket: a byte stream, such as TLS. A connection without one uses the socket
// itself. Everything here is [inside] the loop of the socket.
#pragma once

#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/buffer.h"
#include "base/status.h"
#include "net/io.h"

namespace zcrpc::net {

struct Address;

class Stream {
 public:
  Stream() = default;
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;
  virtual ~Stream() = default;  // the descriptor stays open, and nothing is said to the peer

  // At most n bytes. 0: the peer has ended its side as it should. -EAGAIN: wait for the socket. Else a negative errno, and
  // `failure` tells more. A handshake happens within.
  virtual int64_t recv(void* p, size_t n) = 0;
  // Takes no more than so many bytes off the socket until it is called again: -EAGAIN then comes although the socket has
  // more, which its readiness will tell again. What was taken is always handed out before -EAGAIN.
  virtual void allow(size_t bytes) = 0;
  // How many bytes it took. After -EAGAIN the next call must begin with the same bytes.
  virtual int64_t sendv(const iovec* v, size_t count) = 0;
  // It has bytes of its own for the socket, which took no more: recv again once it is writable.
  virtual bool wants_write() const = 0;
  // The peer has begun to speak, and what comes before its first bytes for us, a handshake, has not ended.
  virtual bool opening() const = 0;
  // Tells the peer that nothing more will come. Once; what it cannot say at once stays unsaid.
  virtual void shutdown() = 0;

  virtual std::string_view protocol() const = 0;           // by ALPN: "h2", "http/1.1", ""
  virtual base::Buffer* peer_certificate() const = 0;      // leaf first, then what came with it, DER; borrowed; nullptr: none
  virtual std::string_view failure() const = 0;            // why recv or sendv failed; "" if the socket did
  // Who the peer speaks for, once the first bytes have come; nullptr: itself.
  virtual const Address* peer() const { return nullptr; }
};

// Makes streams over accepted sockets. Counted; accept is [any].
class Streams {
 public:
  virtual base::Result<Stream*> accept(const Io* io, int fd) = 0;
  virtual void retain() = 0;
  virtual void release() = 0;

 protected:
  ~Streams() = default;
};

}  // namespace zcrpc::net
