#include "tls/socket.h"

#include <errno.h>

#include <algorithm>

namespace zcrpc::tls {

namespace {

Socket* of(BIO* b) { return static_cast<Socket*>(BIO_get_data(b)); }

// Of a transfer: 1 and *done, or 0, with the retry flag if it is only a matter of waiting.
int outcome(BIO* b, int64_t n, size_t* done, int retry) {
  BIO_clear_retry_flags(b);
  if (n > 0) {
    *done = size_t(n);
    return 1;
  }
  *done = 0;
  if (n == -EAGAIN) {
    BIO_set_flags(b, retry | BIO_FLAGS_SHOULD_RETRY);
  } else if (n < 0 && of(b)->error == 0) {
    of(b)->error = int(n);
  }
  return 0;
}

int read(BIO* b, char* p, size_t n, size_t* done) {
  Socket* s = of(b);
  n = std::min(n, s->allowed);
  if (n == 0) return outcome(b, -EAGAIN, done, BIO_FLAGS_READ);
  int64_t got;
  do {
    got = s->io->recv(s->io->user, s->fd, p, n);
  } while (got == -EINTR);
  if (got > 0) s->allowed -= size_t(got);
  return outcome(b, got, done, BIO_FLAGS_READ);
}

int write(BIO* b, const char* p, size_t n, size_t* done) {
  Socket* s = of(b);
  int64_t sent;
  do {
    sent = s->io->send(s->io->user, s->fd, p, n);
  } while (sent == -EINTR);
  return outcome(b, sent, done, BIO_FLAGS_WRITE);
}

long control(BIO*, int what, long, void*) { return what == BIO_CTRL_FLUSH ? 1 : 0; }

}  // namespace

BIO_METHOD* socket_method() {
  BIO_METHOD* m = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "socket");
  if (!m) return nullptr;
  BIO_meth_set_read_ex(m, read);
  BIO_meth_set_write_ex(m, write);
  BIO_meth_set_ctrl(m, control);
  return m;
}

}  // namespace zcrpc::tls
