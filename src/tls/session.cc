#include "tls/session.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/x509.h>

#include <algorithm>
#include <climits>
#include <cstdio>
#include <cstring>
#include <new>

namespace zcrpc::tls {

using base::Result;
using base::Status;

namespace {
constexpr size_t kRecord = 16384;  // the most that one record carries (RFC 8446, 5.1)
}

Result<net::Stream*> Session::make(Context* context, SSL* ssl, BIO_METHOD* method, const net::Io* io, int fd) {
  auto* s = new (std::nothrow) Session(context, ssl, io, fd);
  if (!s) {
    SSL_free(ssl);
    return Status::no_memory();
  }
  BIO* bio = BIO_new(method);
  if (!bio) {
    delete s;
    ERR_clear_error();
    return Status::no_memory();
  }
  BIO_set_data(bio, &s->socket_);
  BIO_set_init(bio, 1);
  SSL_set_bio(ssl, bio, bio);
  return s;
}

Session::~Session() {
  SSL_free(ssl_);
  context_->release();
}

int64_t Session::failed(int result) {
  int error = SSL_get_error(ssl_, result);
  wants_write_ = error == SSL_ERROR_WANT_WRITE;
  if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE) return -EAGAIN;
  if (error == SSL_ERROR_ZERO_RETURN) return 0;
  broken_ = true;
  unsigned long code = ERR_peek_error();
  if (socket_.error == 0 && code != 0) {
    const char* reason = ERR_reason_error_string(code);
    long verified = SSL_get_verify_result(ssl_);
    if (ERR_GET_REASON(code) == SSL_R_CERTIFICATE_VERIFY_FAILED && verified != X509_V_OK) reason = X509_verify_cert_error_string(verified);
    snprintf(failure_, sizeof failure_, "%s%s", done_ ? "" : "TLS handshake: ", reason ? reason : "unknown error");
  }
  ERR_clear_error();
  return socket_.error ? socket_.error : code ? -EPROTO : -ECONNRESET;
}

void Session::handshaken() {
  done_ = true;
  X509* peer = SSL_get0_peer_certificate(ssl_);
  int size = peer ? i2d_X509(peer, nullptr) : 0;
  if (size <= 0) return;
  // What came with the leaf; a server's view of it leaves the leaf out, and a resumed session has none.
  STACK_OF(X509)* rest = SSL_get_peer_cert_chain(ssl_);
  int total = size, count = rest ? sk_X509_num(rest) : 0;
  for (int i = 0; i < count; i++) {
    int n = i2d_X509(sk_X509_value(rest, i), nullptr);
    if (n <= 0 || n > INT_MAX - total) count = i;
    else total += n;
  }
  certificate_.reset(base::Buffer::make(size_t(total)));
  if (!certificate_) return;
  uint8_t* at = certificate_->writable();
  i2d_X509(peer, &at);
  for (int i = 0; i < count; i++) i2d_X509(sk_X509_value(rest, i), &at);
}

int64_t Session::recv(void* p, size_t n) {
  if (broken_) return -ECONNRESET;
  ERR_clear_error();
  size_t got = 0;
  int result = SSL_read_ex(ssl_, p, n, &got);
  if (!done_ && SSL_is_init_finished(ssl_)) handshaken();
  if (result != 1) return failed(result);
  wants_write_ = false;
  return int64_t(got);
}

// Small pieces share records. A record that waits for the socket is offered again from the same bytes, and never
// shorter: its length is the least of what is queued, which only grows, and kRecord.
int64_t Session::sendv(const iovec* v, size_t count) {
  if (broken_) return -ECONNRESET;
  uint8_t gathered[kRecord];
  int64_t sent = 0;
  size_t i = 0, at = 0;  // of the first byte to go
  for (;;) {
    while (i < count && at == v[i].iov_len) i++, at = 0;
    if (i == count) return sent;
    const uint8_t* record = static_cast<const uint8_t*>(v[i].iov_base) + at;
    size_t size = std::min(v[i].iov_len - at, kRecord);
    if (size < kRecord && i + 1 < count) {
      memcpy(gathered, record, size);
      for (size_t j = i + 1; j < count && size < kRecord; j++) {
        size_t n = std::min(v[j].iov_len, kRecord - size);
        memcpy(gathered + size, v[j].iov_base, n);
        size += n;
      }
      record = gathered;
    }
    ERR_clear_error();
    size_t done = 0;
    int result = SSL_write_ex(ssl_, record, size, &done);
    if (result != 1) {
      int64_t why = failed(result);
      if (why == -EAGAIN && sent) return sent;
      return why == 0 ? -ECONNRESET : why;
    }
    wants_write_ = false;
    sent += int64_t(done);
    while (done) {
      size_t n = std::min(done, v[i].iov_len - at);
      done -= n;
      at += n;
      if (at == v[i].iov_len) i++, at = 0;
    }
  }
}

void Session::shutdown() {
  // A handshake that is under way has no end to tell, and OpenSSL would complain.
  if (broken_ || !done_) return;
  ERR_clear_error();
  (void)SSL_shutdown(ssl_);
  ERR_clear_error();
}

std::string_view Session::protocol() const {
  const unsigned char* name = nullptr;
  unsigned size = 0;
  SSL_get0_alpn_selected(ssl_, &name, &size);
  return {reinterpret_cast<const char*>(name), size};
}

}  // namespace zcrpc::tls
