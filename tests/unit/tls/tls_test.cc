// TLS over a pair of sockets, with OpenSSL's own client at the other end.
#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>
#include <string>

#include "tls/context.h"

#include "support/certificates.h"
#include "support/cmocka.h"

using namespace zcrpc;
using base::Code;
using base::Status;

namespace {

identity g_ca, g_server, g_other, g_client, g_stranger_ca, g_stranger;

int prepare(void**) {
  identity_make(&g_ca, "test authority", nullptr, nullptr);
  identity_make(&g_server, "server", "DNS:localhost,IP:127.0.0.1", &g_ca);
  identity_make(&g_other, "other server", "DNS:localhost", &g_ca);
  identity_make(&g_client, "client", "DNS:client.test", &g_ca);
  identity_make(&g_stranger_ca, "another authority", nullptr, nullptr);
  identity_make(&g_stranger, "stranger", "DNS:stranger.test", &g_stranger_ca);
  return 0;
}
int clear(void**) {
  for (identity* i : {&g_ca, &g_server, &g_other, &g_client, &g_stranger_ca, &g_stranger}) identity_free(i);
  return 0;
}

tls::Context* context_of(tls::Config c) {
  auto made = tls::Context::make(c);
  if (!made.ok()) fail_msg("%s", made.status().message());
  return *made;
}
tls::Config server_config() {
  tls::Config c;
  c.certificate = g_server.pem;
  c.key = g_server.key_pem;
  return c;
}

// A server's stream and a client, each on its end of a pair of non-blocking sockets.
struct Pair {
  int fd[2] = {-1, -1};
  net::Stream* stream = nullptr;
  SSL_CTX* ctx = nullptr;
  SSL* client = nullptr;
  std::string got;        // by the server
  int64_t last = -EAGAIN; // of recv
  int client_error = 0;

  explicit Pair(tls::Context* c) {
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fd), 0);
    int small = 4096;  // so that large writes have to wait
    setsockopt(fd[0], SOL_SOCKET, SO_SNDBUF, &small, sizeof small);
    auto made = c->accept(net::system_io(), fd[0]);
    assert_true(made.ok());
    stream = *made;
    ctx = SSL_CTX_new(TLS_client_method());
    assert_int_equal(X509_STORE_add_cert(SSL_CTX_get_cert_store(ctx), g_ca.certificate), 1);
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, nullptr);
    client = SSL_new(ctx);
    SSL_set_fd(client, fd[1]);
    SSL_set1_host(client, "localhost");
    SSL_set_connect_state(client);
  }
  ~Pair() {
    delete stream;
    SSL_free(client);
    SSL_CTX_free(ctx);
    close(fd[0]);
    close(fd[1]);
    ERR_clear_error();
  }
  void show(const identity& i) {
    SSL_use_certificate(client, i.certificate);
    SSL_use_PrivateKey(client, i.key);
  }
  void offer(std::string_view list) { SSL_set_alpn_protos(client, reinterpret_cast<const uint8_t*>(list.data()), unsigned(list.size())); }

  void serve() {
    char b[65536];
    while ((last = stream->recv(b, sizeof b)) > 0) got.append(b, size_t(last));
  }
  // Both sides until the client has shaken hands, or one of them has failed.
  bool shake() {
    for (int i = 0; i < 100; i++) {
      ERR_clear_error();
      int r = SSL_do_handshake(client);
      client_error = r == 1 ? 0 : SSL_get_error(client, r);
      serve();
      if (r == 1) break;
      if (client_error != SSL_ERROR_WANT_READ || last != -EAGAIN) return false;
    }
    // TLS 1.3: a refused client learns of it from what it reads next.
    char b[16];
    ERR_clear_error();
    int r = SSL_read(client, b, sizeof b);
    return r > 0 || SSL_get_error(client, r) == SSL_ERROR_WANT_READ;
  }
};

iovec piece(std::string_view s) { return {const_cast<char*>(s.data()), s.size()}; }

void bytes_come_through_both_ways(void**) {
  tls::Context* c = context_of(server_config());
  {
    Pair p(c);
    p.offer({"\x02h2\x08http/1.1", 12});
    assert_true(p.shake());
    assert_true(p.stream->protocol() == "h2");
    assert_null(p.stream->peer_certificate());
    assert_int_equal(SSL_write(p.client, "hello", 5), 5);
    p.serve();
    assert_string_equal(p.got.c_str(), "hello");
    iovec v[] = {piece("one "), piece(""), piece("two "), piece("three")};
    assert_int_equal(p.stream->sendv(v, 4), 13);
    char b[64];
    assert_int_equal(SSL_read(p.client, b, sizeof b), 13);  // one record
    assert_memory_equal(b, "one two three", 13);
  }
  c->release();
}

// Larger than the socket takes, in pieces of every size; offered again from where it stopped, as an Output does.
void a_large_answer_waits_for_its_reader(void**) {
  tls::Context* c = context_of(server_config());
  {
    Pair p(c);
    assert_true(p.shake());
    std::string all;
    for (int i = 0; i < 200000; i++) all.append(std::to_string(i));
    std::string back;
    size_t sent = 0, waits = 0;
    unsigned seed = 7;
    while (back.size() < all.size()) {
      if (sent < all.size()) {
        iovec v[8];
        size_t n = 0;
        for (size_t at = sent; n < 8 && at < all.size(); n++) {
          size_t size = std::min(all.size() - at, size_t(rand_r(&seed)) % (n % 3 ? 700 : 40000) + 1);
          v[n] = {all.data() + at, size};
          at += size;
        }
        // A record that waits is as long as what was queued then: what is offered again must not be shorter.
        if (n == 8) v[7].iov_len = all.size() - size_t(static_cast<char*>(v[7].iov_base) - all.data());
        int64_t took = p.stream->sendv(v, n);
        assert_true(took > 0 || took == -EAGAIN);
        if (took > 0) sent += size_t(took);
        if (took == -EAGAIN) waits++;
      }
      char b[10000];
      int r = SSL_read(p.client, b, sizeof b);
      if (r > 0) back.append(b, size_t(r));
    }
    assert_true(back == all);
    assert_true(waits > 0);
  }
  c->release();
}

// What OpenSSL has read ahead is handed out although the socket has nothing more.
void read_ahead_is_not_left_behind(void**) {
  tls::Context* c = context_of(server_config());
  {
    Pair p(c);
    assert_true(p.shake());
    for (int i = 0; i < 40; i++) assert_int_equal(SSL_write(p.client, "0123456789", 10), 10);
    char b[7];
    size_t total = 0;
    int64_t n;
    while ((n = p.stream->recv(b, sizeof b)) > 0) total += size_t(n);
    assert_int_equal(n, -EAGAIN);
    assert_int_equal(total, 400);
    // With an allowance of nothing the socket is not read.
    assert_int_equal(SSL_write(p.client, "more", 4), 4);
    p.stream->allow(0);
    assert_int_equal(p.stream->recv(b, sizeof b), -EAGAIN);
    p.stream->allow(1 << 20);
    assert_int_equal(p.stream->recv(b, sizeof b), 4);
  }
  c->release();
}

void an_end_is_told_from_a_cut(void**) {
  tls::Context* c = context_of(server_config());
  {
    Pair p(c);
    assert_true(p.shake());
    p.stream->shutdown();
    char b[8];
    int r = SSL_read(p.client, b, sizeof b);
    assert_int_equal(SSL_get_error(p.client, r), SSL_ERROR_ZERO_RETURN);
    SSL_shutdown(p.client);
    p.serve();
    assert_int_equal(p.last, 0);
  }
  {
    Pair p(c);
    assert_true(p.shake());
    shutdown(p.fd[1], SHUT_WR);  // without close_notify: it may be an attacker's cut
    p.serve();
    assert_true(p.last < 0 && p.last != -EAGAIN);
    iovec v = piece("x");
    assert_true(p.stream->sendv(&v, 1) < 0);
  }
  c->release();
}

void garbage_is_refused_with_a_reason(void**) {
  tls::Context* c = context_of(server_config());
  {
    Pair p(c);
    const char* text = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
    assert_int_equal(write(p.fd[1], text, strlen(text)), ssize_t(strlen(text)));
    p.serve();
    assert_true(p.last < 0 && p.last != -EAGAIN);
    assert_non_null(strstr(std::string(p.stream->failure()).c_str(), "http request"));
  }
  {
    Pair p(c);
    p.offer({"\x04spdy", 5});
    assert_false(p.shake());
  }
  c->release();
}

void a_client_certificate_is_demanded_checked_and_shown(void**) {
  tls::Config config = server_config();
  config.trust = g_ca.pem;
  tls::Context* c = context_of(config);
  {
    Pair p(c);
    assert_false(p.shake());
    assert_non_null(strstr(std::string(p.stream->failure()).c_str(), "peer did not return a certificate"));
  }
  {
    Pair p(c);
    p.show(g_stranger);
    assert_false(p.shake());
    assert_true(p.stream->failure().starts_with("TLS handshake: unable to get"));
  }
  {
    Pair p(c);
    p.show(g_client);
    assert_true(p.shake());
    base::Buffer* leaf = p.stream->peer_certificate();
    assert_non_null(leaf);
    const uint8_t* at = leaf->data();
    X509* x = d2i_X509(nullptr, &at, long(leaf->size()));
    assert_int_equal(X509_cmp(x, g_client.certificate), 0);
    X509_free(x);
  }
  c->release();
  config.demand = false;
  c = context_of(config);
  {
    Pair p(c);
    assert_true(p.shake());
    assert_null(p.stream->peer_certificate());
  }
  {
    Pair p(c);  // who shows one must show a good one
    p.show(g_stranger);
    assert_false(p.shake());
  }
  c->release();
}

void old_versions_are_refused(void**) {
  tls::Context* c = context_of(server_config());
  {
    Pair p(c);
    SSL_set_security_level(p.client, 0);
    SSL_set_min_proto_version(p.client, TLS1_VERSION);
    SSL_set_max_proto_version(p.client, TLS1_1_VERSION);
    assert_false(p.shake());
  }
  for (int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    Pair p(c);
    SSL_set_min_proto_version(p.client, version);
    SSL_set_max_proto_version(p.client, version);
    assert_true(p.shake());
    assert_int_equal(SSL_version(p.client), version);
  }
  c->release();
}

std::string write_file(const char* name, const char* text) {
  std::string path = std::string("/tmp/zcrpc-tls-") + std::to_string(getpid()) + "-" + name;
  FILE* f = fopen(path.c_str(), "w");
  assert_non_null(f);
  fputs(text, f);
  fclose(f);
  return path;
}

// New connections use what the files hold now; one that exists goes on; files that are broken change nothing.
void files_are_read_again_without_a_stop(void**) {
  std::string certificate = write_file("cert", g_server.pem), key = write_file("key", g_server.key_pem);
  tls::Config config;
  config.certificate = certificate;
  config.key = key;
  tls::Context* c = context_of(config);
  auto serves = [&](const identity& i) {
    Pair p(c);
    assert_true(p.shake());
    return X509_cmp(SSL_get0_peer_certificate(p.client), i.certificate) == 0;
  };
  {
    Pair old(c);
    assert_true(old.shake());
    write_file("cert", g_other.pem);
    Status s = c->reload();  // a certificate with the wrong key
    assert_int_equal(int(s.code()), int(Code::kInvalidArgument));
    assert_non_null(strstr(s.message(), "does not belong to the certificate"));
    assert_true(serves(g_server));
    write_file("key", g_other.key_pem);
    assert_true(c->reload().ok());
    assert_true(serves(g_other));
    assert_int_equal(SSL_write(old.client, "still", 5), 5);
    old.serve();
    assert_true(old.got == "still");
  }
  unlink(certificate.c_str());
  assert_false(c->reload().ok());
  assert_true(serves(g_other));
  unlink(key.c_str());
  c->release();
}

void secrets_are_logged_only_when_asked(void**) {
  std::string path = write_file("log", "");
  tls::Config config = server_config();
  config.key_log = path;
  tls::Context* c = context_of(config);
  {
    Pair p(c);
    assert_true(p.shake());
  }
  c->release();
  FILE* f = fopen(path.c_str(), "r");
  char line[512] = "";
  int good = 0;
  while (fgets(line, sizeof line, f)) good += strncmp(line, "CLIENT_TRAFFIC_SECRET_0 ", 24) == 0;
  fclose(f);
  unlink(path.c_str());
  assert_int_equal(good, 1);
}

void mistakes_name_the_option_and_the_reason(void**) {
  struct Case {
    tls::Config config;
    const char* says;
  };
  auto with = [](const char* certificate, const char* key, const char* trust) {
    tls::Config c;
    c.certificate = certificate;
    c.key = key;
    c.trust = trust;
    return c;
  };
  const Case cases[] = {
      {with("/no/such/file", "", ""), "ZCRPC_TLS_CERTIFICATE: /no/such/file: No such file or directory"},
      {with("/dev/null", "", ""), "ZCRPC_TLS_CERTIFICATE: /dev/null: holds no PEM (no \"-----BEGIN\")"},
      {with("/dev/zero", "", ""), "ZCRPC_TLS_CERTIFICATE: /dev/zero: has more than 1 MiB"},
      {with("", g_server.key_pem, ""), "ZCRPC_TLS_KEY without ZCRPC_TLS_CERTIFICATE"},
      {with(g_server.pem, "", ""), "holds no private key"},
      {with(g_server.pem, g_other.key_pem, ""), "ZCRPC_TLS_KEY: PEM text: does not belong to the certificate"},
      {with(g_server.pem, g_server.pem, ""), "ZCRPC_TLS_KEY: PEM text: holds no private key"},
      {with("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "", ""), "ZCRPC_TLS_CERTIFICATE: PEM text: "},
      {with("", "", g_server.key_pem), "ZCRPC_TLS_TRUST: PEM text: holds no certificate"},
  };
  for (const Case& one : cases) {
    auto made = tls::Context::make(one.config);
    assert_false(made.ok());
    assert_int_equal(int(made.status().code()), int(Code::kInvalidArgument));
    if (!strstr(made.status().message(), one.says)) fail_msg("\"%s\" does not say \"%s\"", made.status().message(), one.says);
    assert_int_equal(ERR_peek_error(), 0);
  }
  // A locked key does not ask on the terminal.
  BIO* b = BIO_new(BIO_s_mem());
  PEM_write_bio_PrivateKey(b, g_server.key, EVP_aes_128_cbc(), reinterpret_cast<const unsigned char*>("secret"), 6, nullptr, nullptr);
  char locked[2048];
  identity_text(locked, sizeof locked, b);
  auto made = tls::Context::make(with(g_server.pem, locked, ""));
  assert_false(made.ok());
  assert_non_null(strstr(made.status().message(), "without a passphrase"));
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(bytes_come_through_both_ways),
      cmocka_unit_test(a_large_answer_waits_for_its_reader),
      cmocka_unit_test(read_ahead_is_not_left_behind),
      cmocka_unit_test(an_end_is_told_from_a_cut),
      cmocka_unit_test(garbage_is_refused_with_a_reason),
      cmocka_unit_test(a_client_certificate_is_demanded_checked_and_shown),
      cmocka_unit_test(old_versions_are_refused),
      cmocka_unit_test(files_are_read_again_without_a_stop),
      cmocka_unit_test(secrets_are_logged_only_when_asked),
      cmocka_unit_test(mistakes_name_the_option_and_the_reason),
  };
  return cmocka_run_group_tests(tests, prepare, clear);
}
