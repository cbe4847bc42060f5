// A server with a listener of TLS, and a client whose bytes go through memory, so that a test decides when and how many leave.
#pragma once

#include <openssl/err.h>
#include <openssl/ssl.h>

#include "tls/context.h"
#include "unit/server/harness.h"

#include "support/certificates.h"
#include "support/cmocka.h"

inline identity g_ca, g_server;

inline int prepare(void**) {
  identity_make(&g_ca, "test authority", nullptr, nullptr);
  identity_make(&g_server, "server", "DNS:localhost", &g_ca);
  return 0;
}
inline int clear(void**) {
  identity_free(&g_ca);
  identity_free(&g_server);
  return 0;
}

struct Client {
  SSL_CTX* ctx = SSL_CTX_new(TLS_client_method());
  SSL* ssl = nullptr;
  int fd = -1;
  bool up = false, closed = false;

  explicit Client(int port, std::string_view alpn = {"\x08http/1.1", 9}) {
    X509_STORE_add_cert(SSL_CTX_get_cert_store(ctx), g_ca.certificate);
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, nullptr);
    ssl = SSL_new(ctx);
    SSL_set1_host(ssl, "localhost");
    SSL_set_bio(ssl, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    SSL_set_alpn_protos(ssl, reinterpret_cast<const uint8_t*>(alpn.data()), unsigned(alpn.size()));
    SSL_set_connect_state(ssl);
    fd = dial(port);
    assert_true(fd >= 0);
  }
  ~Client() {
    SSL_free(ssl);
    SSL_CTX_free(ctx);
    if (fd >= 0) close(fd);
    ERR_clear_error();
  }
  // What it wants to say.
  std::string bytes() {
    std::string s(BIO_ctrl_pending(SSL_get_wbio(ssl)), '\0');
    if (!s.empty()) BIO_read(SSL_get_wbio(ssl), s.data(), int(s.size()));
    return s;
  }
  std::string hello() {
    SSL_do_handshake(ssl);
    return bytes();
  }
  void hear() {
    char b[16384];
    ssize_t n = recv(fd, b, sizeof b, MSG_DONTWAIT);
    if (n > 0) BIO_write(SSL_get_rbio(ssl), b, int(n));
    if (n == 0 || (n < 0 && errno != EAGAIN)) closed = true;
  }
  void step() {
    hear();
    if (!up) up = SSL_do_handshake(ssl) == 1;
    say(fd, bytes());
  }
  // One call; "" if there was no answer in time.
  std::string call(Harness* h, std::string_view text) {
    std::string request = post(text), got;
    for (int64_t limit = ms_now() + 3000; !up && !closed && ms_now() < limit; h->turn(1)) step();
    if (!up) return "";
    SSL_write(ssl, request.data(), int(request.size()));
    for (int64_t limit = ms_now() + 3000; !closed && ms_now() < limit; h->turn(1)) {
      char b[4096];
      step();
      int n = SSL_read(ssl, b, sizeof b);
      if (n > 0) got.append(b, size_t(n));
      if (got.ends_with(text)) return got;
    }
    return "";
  }
};

struct Secure {
  Harness h;
  zcrpc::tls::Context* context = nullptr;
  int port = 0;

  explicit Secure(const zcrpc::server::Config& c) {
    zcrpc::tls::Config t;
    t.certificate = g_server.pem;
    t.key = g_server.key_pem;
    auto made = zcrpc::tls::Context::make(t);
    if (!made.ok()) fail_msg("%s", made.status().message());
    context = *made;
    h.streams = context;
    zcrpc::base::Status s = h.start(zcrpc::net::system_io(), c);
    if (!s.ok()) fail_msg("%s", s.message());
    port = atoi(strrchr(h.server->address(1), ':') + 1);
  }
  ~Secure() {
    h.stop();
    context->release();
  }
  uint64_t connections() {
    zcrpc_stats s{};
    h.server->stats(&s);
    return s.connections_now;
  }
};
