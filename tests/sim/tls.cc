#include "sim/tls.h"

#define OPENSSL_SUPPRESS_DEPRECATED  // RAND_METHOD: there is no shorter way to give OpenSSL its random bytes
#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "sim/world.h"
#include "support/certificates.h"
#include "tls/context.h"

namespace sim {

using namespace zcrpc;

namespace {

Chance g_random(1);

int random_bytes(unsigned char* p, int n) {
  for (int i = 0; i < n; i++) p[i] = uint8_t(g_random.next());
  return 1;
}

void random_from_seeds() {
  static RAND_METHOD method{};
  method.bytes = method.pseudorand = random_bytes;
  method.status = [] { return 1; };
  if (RAND_set_rand_method(&method) != 1) abort();
}

// OpenSSL's own allocations are counted, and do not fail: 3.0.19 loses what it has made when an algorithm's name cannot be
// copied (EVP_KDF_fetch, EVP_KEYMGMT_fetch).
void spare_memory() {
  auto alloc = [](size_t n, const char*, int) -> void* {
    int was = sim_memory_spare(1);
    void* p = malloc(n);
    sim_memory_spare(was);
    return p;
  };
  auto grow = [](void* old, size_t n, const char*, int) -> void* {
    int was = sim_memory_spare(1);
    void* p = realloc(old, n);
    sim_memory_spare(was);
    return p;
  };
  auto drop = [](void* p, const char*, int) { free(p); };
  if (CRYPTO_set_mem_functions(alloc, grow, drop) != 1) abort();
}

// The same bytes whenever it is made: signatures differ in length.
void make_identity(identity* id) {
  identity_make(id, "sim", "DNS:sim", nullptr);
  ASN1_TIME_set_string(X509_getm_notBefore(id->certificate), "20200101000000Z");
  ASN1_TIME_set_string(X509_getm_notAfter(id->certificate), "21200101000000Z");
  if (X509_sign(id->certificate, id->key, EVP_sha256()) <= 0) abort();
  BIO* b = BIO_new(BIO_s_mem());
  PEM_write_bio_X509(b, id->certificate);
  identity_text(id->pem, sizeof id->pem, b);
}

class Client : public TlsClient {
 public:
  Client(SSL_CTX* context, bool http2, bool names_protocol, bool old_version) : ssl_(SSL_new(context)), in_(BIO_new(BIO_s_mem())), out_(BIO_new(BIO_s_mem())) {
    if (!ssl_ || !in_ || !out_) abort();
    SSL_set_bio(ssl_, in_, out_);
    SSL_set_connect_state(ssl_);
    if (old_version) SSL_set_max_proto_version(ssl_, TLS1_2_VERSION);
    static constexpr unsigned char kHttp2[] = {2, 'h', '2'}, kHttp1[] = {8, 'h', 't', 't', 'p', '/', '1', '.', '1'};
    if (names_protocol) SSL_set_alpn_protos(ssl_, http2 ? kHttp2 : kHttp1, http2 ? sizeof kHttp2 : sizeof kHttp1);
    shake();
  }
  ~Client() override { SSL_free(ssl_); }

  void received(std::string_view wire) override {
    BIO_write(in_, wire.data(), int(wire.size()));
    if (!SSL_is_init_finished(ssl_)) shake();
  }
  size_t send(std::string_view text) override {
    size_t n = 0;
    if (broken_ || text.empty() || !SSL_is_init_finished(ssl_)) return 0;
    return SSL_write_ex(ssl_, text.data(), text.size(), &n) == 1 ? n : 0;
  }
  void finish() override {
    if (!broken_ && SSL_is_init_finished(ssl_)) (void)SSL_shutdown(ssl_);
    ERR_clear_error();
  }
  std::string read() override {
    std::string all;
    char b[16384];
    size_t n = 0;
    while (!broken_ && SSL_is_init_finished(ssl_)) {
      int r = SSL_read_ex(ssl_, b, sizeof b, &n);
      if (r != 1) {
        check(r);
        break;
      }
      all.append(b, n);
    }
    return all;
  }
  std::string to_send() override {
    std::string s(BIO_ctrl_pending(out_), '\0');
    if (!s.empty()) BIO_read(out_, s.data(), int(s.size()));
    return s;
  }
  bool broken() const override { return broken_; }

 private:
  void shake() {
    if (!broken_) check(SSL_do_handshake(ssl_));
  }
  void check(int result) {
    int e = SSL_get_error(ssl_, result);
    broken_ = e == SSL_ERROR_SSL || e == SSL_ERROR_SYSCALL;
    ERR_clear_error();
  }

  SSL* ssl_;
  BIO *in_, *out_;
  bool broken_ = false;
};

SSL_CTX* client_context() {
  static SSL_CTX* context = [] {
    SSL_CTX* c = SSL_CTX_new(TLS_client_method());
    if (!c) abort();
    SSL_CTX_set_verify(c, SSL_VERIFY_NONE, nullptr);
    SSL_CTX_set_session_cache_mode(c, SSL_SESS_CACHE_OFF);
    return c;
  }();
  return context;
}

// A connection of each kind, so that what OpenSSL makes when it is first used is there before memory is watched.
void warm_up(net::Streams* server) {
  struct Wire {
    std::string in, out;
  };
  for (int i = 0; i < 4; i++) {
    auto client = make_tls_client(i % 2, true, i / 2);
    Wire wire;
    net::Io io{};
    io.user = &wire;
    io.recv = [](void* u, int, void* p, size_t n) -> int64_t {
      std::string& s = static_cast<Wire*>(u)->in;
      n = std::min(n, s.size());
      if (!n) return -EAGAIN;
      memcpy(p, s.data(), n);
      s.erase(0, n);
      return int64_t(n);
    };
    io.send = [](void* u, int, const void* p, size_t n) -> int64_t {
      static_cast<Wire*>(u)->out.append(static_cast<const char*>(p), n);
      return int64_t(n);
    };
    auto made = server->accept(&io, 0);
    if (!made.ok()) abort();
    char b[100];
    for (int turn = 0; turn < 6; turn++) {
      wire.in += client->to_send();
      (*made)->allow(SIZE_MAX);
      while ((*made)->recv(b, sizeof b) > 0) {}
      iovec v{b, sizeof b};
      if (turn > 3) (void)(*made)->sendv(&v, 1);
      client->received(std::exchange(wire.out, {}));
      (void)client->read();
      (void)client->send("hello");
    }
    (*made)->shutdown();
    delete *made;
  }
}

}  // namespace

net::Streams* tls_server() {
  static net::Streams* streams = []() -> net::Streams* {
    spare_memory();
    random_from_seeds();
    identity id;
    make_identity(&id);
    tls::Config c;
    c.certificate = id.pem;
    c.key = id.key_pem;
    auto made = tls::Context::make(c);
    identity_free(&id);
    if (!made.ok()) abort();
    warm_up(*made);
    return *made;
  }();
  return streams;
}

std::unique_ptr<TlsClient> make_tls_client(bool http2, bool names_protocol, bool old_version) {
  return std::make_unique<Client>(client_context(), http2, names_protocol, old_version);
}

void seed_tls(uint64_t seed) { g_random = Chance(seed); }

void end_tls() { OPENSSL_thread_stop(); }

}  // namespace sim
