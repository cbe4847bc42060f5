// One TLS connection over a socket.
#pragma once

#include <openssl/ssl.h>

#include "tls/context.h"
#include "tls/socket.h"

namespace zcrpc::tls {

class Session final : public net::Stream {
 public:
  // ssl: made for this, with its role set; taken over, also on failure.
  static base::Result<net::Stream*> make(Context* context, SSL* ssl, BIO_METHOD* method, const net::Io* io, int fd);
  ~Session() override;

  int64_t recv(void* p, size_t n) override;
  void allow(size_t bytes) override { socket_.allowed = bytes; }
  int64_t sendv(const iovec* v, size_t count) override;
  bool wants_write() const override { return wants_write_; }
  bool opening() const override { return !done_ && SSL_get_state(ssl_) != TLS_ST_BEFORE; }
  void shutdown() override;
  std::string_view protocol() const override;
  base::Buffer* peer_certificate() const override { return certificate_.get(); }
  std::string_view failure() const override { return failure_; }

 private:
  Session(Context* context, SSL* ssl, const net::Io* io, int fd) : context_(context), ssl_(ssl), socket_{io, fd} { context->retain(); }
  int64_t failed(int result);  // what an SSL call's end means to a caller of recv and sendv
  void handshaken();

  Context* context_;
  SSL* ssl_;
  Socket socket_;
  base::BufferRef certificate_;
  bool done_ = false;         // the handshake
  bool wants_write_ = false;
  bool broken_ = false;
  char failure_[160] = "";
};

}  // namespace zcrpc::tls
