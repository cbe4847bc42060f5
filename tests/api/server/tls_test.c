#define _GNU_SOURCE /* strcasestr */
/* A server behind TLS: by OpenSSL's client over blocking sockets, HTTP/1.1; and by curl over HTTP/2. */
#include <openssl/ssl.h>

#include "http1.h"
#include "support/certificates.h"

static identity ca, own, renewed, caller, between, remote; /* remote is vouched for by between, and that by ca */
static const identity *_Atomic expected = &caller;
static zcrpc_tls *plain, *mutual;
static int port_plain, port_mutual;
static _Atomic int seen_certificate; /* bytes of the last caller's */

static zcrpc_code who(zcrpc_call *call, const zcrpc_view *request, zcrpc_encoder *reply, void *user) {
  zcrpc_call_info info = {.struct_size = sizeof info};
  const unsigned char *at;
  int chain_length = 0;
  X509 *x;
  (void)request;
  (void)user;
  zcrpc_call_get_info(call, &info);
  atomic_store(&seen_certificate, (int)info.peer_certificate.len);
  if (!info.peer_certificate.len) return ZCRPC_OK;
  at = (const unsigned char *)info.peer_certificate.data;
  x = d2i_X509(NULL, &at, (long)info.peer_certificate.len);
  if (!x || X509_cmp(x, expected->certificate)) return ZCRPC_PERMISSION_DENIED;
  X509_free(x);
  /* The chain: the leaf, then those that vouch for it. */
  at = (const unsigned char *)info.peer_chain.data;
  for (const unsigned char *end = at + info.peer_chain.len; at < end; chain_length++) {
    x = d2i_X509(NULL, &at, (long)(end - at));
    if (!x || X509_cmp(x, chain_length == 0 ? expected->certificate : between.certificate)) return ZCRPC_PERMISSION_DENIED;
    X509_free(x);
  }
  zcrpc_encoder_put_int64(reply, NUMBER, chain_length);
  zcrpc_encoder_put_string(reply, TEXT, "caller", ZCRPC_NTS);
  return ZCRPC_OK;
}

static zcrpc_tls *tls_of(const char *certificate, const char *key, const char *trust) {
  zcrpc_error *err = NULL;
  zcrpc_options *o = zcrpc_options_new(ZCRPC_FOR_TLS, NULL);
  zcrpc_tls *t;
  assert_int_equal(zcrpc_options_set_string(o, ZCRPC_TLS_CERTIFICATE, certificate, NULL), ZCRPC_OK);
  assert_int_equal(zcrpc_options_set_string(o, ZCRPC_TLS_KEY, key, NULL), ZCRPC_OK);
  if (trust) assert_int_equal(zcrpc_options_set_string(o, ZCRPC_TLS_TRUST, trust, NULL), ZCRPC_OK);
  t = zcrpc_tls_new(o, &err);
  zcrpc_options_free(o);
  if (!t) fail_msg("%s", zcrpc_error_message(err));
  return t;
}

static char certificate_path[64], key_path[64];
static void write_files(const identity *i) {
  FILE *f = fopen(certificate_path, "w");
  fputs(i->pem, f);
  fclose(f);
  f = fopen(key_path, "w");
  fputs(i->key_pem, f);
  fclose(f);
}

static int listen_tls(zcrpc_tls *t, size_t place) {
  zcrpc_error *err = NULL;
  if (zcrpc_server_listen(server, "127.0.0.1:0", t, &err)) fail_msg("%s", zcrpc_error_message(err));
  return atoi(strrchr(zcrpc_server_address(server, place), ':') + 1);
}

static int start(void **state) {
  (void)state;
  signal(SIGALRM, SIG_DFL);
  alarm(170);
  identity_make(&ca, "authority", NULL, NULL);
  identity_make(&own, "server", "DNS:localhost,IP:127.0.0.1", &ca);
  identity_make(&renewed, "server, renewed", "DNS:localhost,IP:127.0.0.1", &ca);
  identity_make(&caller, "caller", "DNS:caller.test", &ca);
  identity_make(&between, "a lesser authority", NULL, &ca);
  identity_make(&remote, "remote", "DNS:remote.test", &between);
  snprintf(certificate_path, sizeof certificate_path, "/tmp/zcrpc-%d.pem", (int)getpid());
  snprintf(key_path, sizeof key_path, "/tmp/zcrpc-%d.key", (int)getpid());
  write_files(&own);
  server_make(NULL);
  handle_instead("s.S/Get", who, NULL);
  plain = tls_of(certificate_path, key_path, NULL);
  mutual = tls_of(own.pem, own.key_pem, ca.pem);
  port_plain = listen_tls(plain, 1);
  port_mutual = listen_tls(mutual, 2);
  zcrpc_tls_free(mutual); /* the listener has it */
  pthread_create(&server_thread, NULL, server_main, (void *)(intptr_t)1);
  return 0;
}

static int end(void **state) {
  (void)state;
  server_stop(2000);
  zcrpc_tls_free(plain);
  unlink(certificate_path);
  unlink(key_path);
  identity_free(&ca);
  identity_free(&own);
  identity_free(&renewed);
  identity_free(&caller);
  identity_free(&between);
  identity_free(&remote);
  return 0;
}

/* ---- a client ---- */

typedef struct secure {
  int fd;
  SSL_CTX *ctx;
  SSL *ssl;
} secure;

/* 1: shaken hands. */
static int secure_open(secure *s, int port, const identity *as) {
  static const unsigned char alpn[] = "\x08http/1.1";
  struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  s->fd = socket(AF_INET, SOCK_STREAM, 0);
  assert_int_equal(connect(s->fd, (struct sockaddr *)&a, sizeof a), 0);
  s->ctx = SSL_CTX_new(TLS_client_method());
  SSL_CTX_set_mode(s->ctx, SSL_MODE_NO_AUTO_CHAIN); /* the leaf alone, unless told otherwise */
  X509_STORE_add_cert(SSL_CTX_get_cert_store(s->ctx), ca.certificate);
  SSL_CTX_set_verify(s->ctx, SSL_VERIFY_PEER, NULL);
  if (as) {
    SSL_CTX_use_certificate(s->ctx, as->certificate);
    SSL_CTX_use_PrivateKey(s->ctx, as->key);
    if (as == &remote) SSL_CTX_add1_chain_cert(s->ctx, between.certificate);
  }
  s->ssl = SSL_new(s->ctx);
  SSL_set_fd(s->ssl, s->fd);
  SSL_set1_host(s->ssl, "localhost");
  SSL_set_alpn_protos(s->ssl, alpn, sizeof alpn - 1);
  return SSL_connect(s->ssl) == 1;
}
static void secure_close(secure *s) {
  SSL_free(s->ssl);
  SSL_CTX_free(s->ctx);
  close(s->fd);
}

/* Reads one answer with a Content-Length; its status, -1: the connection ended. */
static int ask(secure *s, const char *path, const void *body, size_t n, char *answer_body, size_t most, size_t *got) {
  static char in[1 << 17];
  char head[256];
  size_t have = 0;
  int h = snprintf(head, sizeof head, "POST %s HTTP/1.1\r\nHost: x\r\nContent-Type: application/proto\r\nContent-Length: %zu\r\n\r\n", path, n);
  if (SSL_write(s->ssl, head, h) != h || (n && SSL_write(s->ssl, body, (int)n) != (int)n)) return -1;
  for (;;) {
    char *end, *length;
    int k = SSL_read(s->ssl, in + have, (int)(sizeof in - 1 - have));
    if (k <= 0) return -1;
    have += (size_t)k;
    in[have] = 0;
    if (!(end = strstr(in, "\r\n\r\n"))) continue;
    length = strcasestr(in, "\r\ncontent-length:");
    assert_non_null(length);
    *got = (size_t)atol(length + 17);
    if ((size_t)(end + 4 - in) + *got > have) continue;
    assert_true(*got <= most);
    memcpy(answer_body, end + 4, *got);
    return atoi(in + 9);
  }
}

/* ---- tests ---- */

static void calls_are_answered_on_one_connection(void **state) {
  char m[64], back[1 << 17];
  size_t got, n;
  secure s;
  (void)state;
  assert_true(secure_open(&s, port_plain, NULL));
  for (int i = 0; i < 3; i++) {
    n = message(m, "hello");
    assert_int_equal(ask(&s, "/s.S/Echo", m, n, back, sizeof back, &got), 200);
    assert_int_equal(got, n);
    assert_memory_equal(back, m, n);
  }
  n = message(m, "size 100000");
  assert_int_equal(ask(&s, "/s.S/Echo", m, n, back, sizeof back, &got), 200);
  assert_int_equal(got, 100004);
  assert_int_equal(back[50000], 'z');
  secure_close(&s);
}

static void a_handler_sees_who_calls(void **state) {
  char back[256];
  size_t got;
  secure s;
  (void)state;
  assert_true(secure_open(&s, port_mutual, &caller));
  assert_int_equal(ask(&s, "/s.S/Get", NULL, 0, back, sizeof back, &got), 200);
  assert_int_equal(got, 10);
  assert_memory_equal(back, "\x10\x01\x0a\x06" "caller", 10);
  secure_close(&s);
  expected = &remote;
  assert_true(secure_open(&s, port_mutual, &remote));
  assert_int_equal(ask(&s, "/s.S/Get", NULL, 0, back, sizeof back, &got), 200);
  assert_int_equal(got, 10);
  assert_memory_equal(back, "\x10\x02\x0a\x06" "caller", 10);
  secure_close(&s);
  expected = &caller;
  assert_true(secure_open(&s, port_plain, &caller)); /* it was not asked for */
  atomic_store(&seen_certificate, -1);
  assert_int_equal(ask(&s, "/s.S/Get", NULL, 0, back, sizeof back, &got), 200);
  assert_int_equal(atomic_load(&seen_certificate), 0);
  secure_close(&s);
}

static void a_stranger_is_refused(void **state) {
  char back[256];
  size_t got;
  secure s;
  (void)state;
  /* TLS 1.3: the client has finished before the server has seen that there is no certificate. */
  assert_true(!secure_open(&s, port_mutual, NULL) || ask(&s, "/s.S/Get", NULL, 0, back, sizeof back, &got) == -1);
  secure_close(&s);
}

static int common_name_is(secure *s, const char *name) {
  char text[64] = "";
  X509_NAME_get_text_by_NID(X509_get_subject_name(SSL_get0_peer_certificate(s->ssl)), NID_commonName, text, sizeof text);
  return strcmp(text, name) == 0;
}

static void certificates_change_without_a_stop(void **state) {
  char m[64], back[256];
  size_t got, n = message(m, "hello");
  zcrpc_error *err = NULL;
  secure old, s;
  (void)state;
  assert_true(secure_open(&old, port_plain, NULL));
  assert_true(common_name_is(&old, "server"));
  write_files(&renewed);
  assert_int_equal(zcrpc_tls_reload(plain, NULL), ZCRPC_OK);
  assert_true(secure_open(&s, port_plain, NULL));
  assert_true(common_name_is(&s, "server, renewed"));
  secure_close(&s);
  assert_int_equal(ask(&old, "/s.S/Echo", m, n, back, sizeof back, &got), 200);
  secure_close(&old);
  unlink(key_path);
  assert_int_equal(zcrpc_tls_reload(plain, &err), ZCRPC_INVALID_ARGUMENT);
  assert_non_null(strstr(zcrpc_error_message(err), "No such file"));
  zcrpc_error_free(err);
  assert_true(secure_open(&s, port_plain, NULL));
  secure_close(&s);
}

static void clear_text_on_a_tls_port_ends(void **state) {
  char b[64];
  int fd, saved = server_port;
  (void)state;
  server_port = port_plain;
  fd = dial();
  server_port = saved;
  send_all(fd, "GET / HTTP/1.1\r\nHost: x\r\n\r\n", 27);
  assert_true(recv(fd, b, sizeof b, 0) <= 7); /* an alert, or nothing */
  while (recv(fd, b, sizeof b, 0) > 0) {}
  close(fd);
}

/* ALPN chooses; one and the same handler answers. */
static void curl_speaks_both_versions(void **state) {
  static const char *const versions[] = {"--http2", "2", "--http1.1", "1.1"};
  char authority[96];
  FILE *f;
  (void)state;
  snprintf(authority, sizeof authority, "/tmp/zcrpc-%d.ca", (int)getpid());
  f = fopen(authority, "w");
  fputs(ca.pem, f);
  fclose(f);
  for (int i = 0; i < 4; i += 2) {
    char command[1024], out[512] = "", wanted[128];
    snprintf(command, sizeof command,
             "curl -sS -m 10 %s --cacert %s -H 'content-type: application/json' -d '{\"text\":\"hello\"}' -w ' %%{http_version}' "
             "https://localhost:%d/s.S/Echo 2>&1", versions[i], authority, port_plain);
    f = popen(command, "r");
    assert_non_null(f);
    out[fread(out, 1, sizeof out - 1, f)] = 0;
    pclose(f);
    snprintf(wanted, sizeof wanted, "{\"text\":\"hello\"} %s", versions[i + 1]);
    assert_string_equal(out, wanted);
  }
  unlink(authority);
}

/* A peer that takes nothing holds its answer, and nobody else's. */
static void a_slow_reader_gets_all_in_the_end(void **state) {
  char m[64], back[256], b[1000];
  size_t got, n = message(m, "size 3000000"), total = 0;
  int k;
  secure slow, s;
  char head[256];
  (void)state;
  assert_true(secure_open(&slow, port_plain, NULL));
  k = snprintf(head, sizeof head, "POST /s.S/Echo HTTP/1.1\r\nHost: x\r\nContent-Type: application/proto\r\nConnection: close\r\nContent-Length: %zu\r\n\r\n", n);
  assert_int_equal(SSL_write(slow.ssl, head, k), k);
  assert_int_equal(SSL_write(slow.ssl, m, (int)n), (int)n);
  usleep(100000);
  assert_true(secure_open(&s, port_plain, NULL));
  n = message(m, "hello");
  assert_int_equal(ask(&s, "/s.S/Echo", m, n, back, sizeof back, &got), 200);
  secure_close(&s);
  while ((k = SSL_read(slow.ssl, b, sizeof b)) > 0) total += (size_t)k;
  assert_int_equal(SSL_get_error(slow.ssl, k), SSL_ERROR_ZERO_RETURN); /* not cut */
  assert_true(total > 3000000 && total < 3001000);
  secure_close(&slow);
}

/* Above the cap of pipelined requests reading stops, while OpenSSL holds some that the socket no longer tells of. */
static void pipelined_requests_go_on_after_a_pause(void **state) {
  enum { REQUESTS = 150, BODY = 1000 };
  static char in[1 << 20];
  char one[2048], m[64];
  size_t n = message(m, "never"), have = 0, answers = 0;
  int h, k;
  secure s;
  (void)state;
  assert_true(secure_open(&s, port_plain, NULL));
  h = snprintf(one, sizeof one, "POST /s.S/Echo HTTP/1.1\r\nHost: x\r\nContent-Type: application/proto\r\nContent-Length: %zu\r\n\r\n", n);
  memcpy(one + h, m, n);
  assert_int_equal(SSL_write(s.ssl, one, h + (int)n), h + (int)n);
  while (!atomic_load(&kept)) usleep(1000);
  h = snprintf(one, sizeof one, "POST /s.S/Echo HTTP/1.1\r\nHost: x\r\nContent-Type: application/proto\r\nContent-Length: %d\r\n\r\n\x1a\xe8\x07", BODY + 3);
  memset(one + h, 'p', BODY);
  for (int i = 0; i < REQUESTS; i++) assert_int_equal(SSL_write(s.ssl, one, h + BODY), h + BODY);
  usleep(100000);
  zcrpc_call_finish(atomic_load(&kept), NULL);
  release_kept();
  while (answers < REQUESTS + 1) {
    k = SSL_read(s.ssl, in + have, (int)(sizeof in - 1 - have));
    if (k <= 0) fail_msg("after %zu answers the connection ended", answers);
    have += (size_t)k;
    in[have] = 0;
    answers = 0;
    for (char *p = in; (p = strstr(p, "HTTP/1.1 200")); p++) answers++;
  }
  secure_close(&s);
}

static void a_listener_needs_a_certificate(void **state) {
  zcrpc_error *err = NULL;
  zcrpc_options *o = zcrpc_options_new(ZCRPC_FOR_TLS, NULL);
  zcrpc_tls *t = zcrpc_tls_new(o, NULL);
  zcrpc_server *other = zcrpc_server_new(NULL, NULL);
  (void)state;
  assert_non_null(t);
  assert_int_equal(zcrpc_server_listen(other, "127.0.0.1:0", t, &err), ZCRPC_INVALID_ARGUMENT);
  assert_string_equal(zcrpc_error_message(err), "a server needs ZCRPC_TLS_CERTIFICATE");
  zcrpc_error_free(err);
  zcrpc_server_free(other);
  zcrpc_tls_free(t);
  assert_int_equal(zcrpc_options_set_string(o, ZCRPC_TLS_CERTIFICATE, "/no/such.pem", NULL), ZCRPC_OK);
  assert_null(zcrpc_tls_new(o, &err));
  assert_string_equal(zcrpc_error_message(err), "ZCRPC_TLS_CERTIFICATE: /no/such.pem: No such file or directory");
  zcrpc_error_free(err);
  zcrpc_options_free(o);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(calls_are_answered_on_one_connection),
      cmocka_unit_test(a_handler_sees_who_calls),
      cmocka_unit_test(a_stranger_is_refused),
      cmocka_unit_test(clear_text_on_a_tls_port_ends),
      cmocka_unit_test(curl_speaks_both_versions),
      cmocka_unit_test(a_slow_reader_gets_all_in_the_end),
      cmocka_unit_test(pipelined_requests_go_on_after_a_pause),
      cmocka_unit_test(a_listener_needs_a_certificate),
      cmocka_unit_test(certificates_change_without_a_stop),
  };
  return cmocka_run_group_tests(tests, start, end);
}
