// A BIO over net's Io: OpenSSL's own writes with write(2), and a closed peer would then end the process by SIGPIPE.
#pragma once

#include <openssl/bio.h>

#include "net/io.h"

namespace zcrpc::tls {

struct Socket {
  const net::Io* io;
  int fd;
  size_t allowed = SIZE_MAX;  // bytes that may still be taken off it
  int error = 0;              // negative errno of the first failure; 0: none
};

// nullptr without memory. Of one context; its BIOs hold a pointer to their Socket as data.
BIO_METHOD* socket_method();

}  // namespace zcrpc::tls
