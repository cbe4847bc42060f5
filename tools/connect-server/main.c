/* zcrpc-connect-server: the server that the Connect conformance runner tests. Reads one ServerCompatRequest from stdin,
 * tells on stdout where it listens, and serves until SIGTERM. Both messages follow four big-endian bytes of length. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "conformance_set.h" /* kConformanceSet, made from the runner's protos */
#include "service.h"

#define PACKAGE "connectrpc.conformance.v1."

enum { REQUEST_USE_TLS = 4, REQUEST_CLIENT_CERT = 5, REQUEST_RECEIVE_LIMIT = 6, REQUEST_CREDS = 7, CREDS_CERT = 1, CREDS_KEY = 2 };
enum { RESPONSE_HOST = 1, RESPONSE_PORT = 2, RESPONSE_CERT = 3, THREADS = 2 };

zcrpc_schema *service_schema;
static zcrpc_server *server;

static void on_term(int signo) {
  (void)signo;
  zcrpc_server_drain(server, 1000);
}

static int read_all(void *to, size_t n) { return fread(to, 1, n, stdin) == n; }

/* The request, decoded into a; NULL: broken. */
static const zcrpc_view *read_request(zcrpc_arena *a) {
  static char body[1 << 20];
  unsigned char head[4];
  size_t n;
  if (!read_all(head, 4)) return NULL;
  n = (size_t)head[0] << 24 | (size_t)head[1] << 16 | (size_t)head[2] << 8 | head[3];
  if (n > sizeof body || !read_all(body, n)) return NULL;
  return zcrpc_view_decode(zcrpc_schema_type(service_schema, PACKAGE "ServerCompatRequest"), body, n, NULL, a, NULL);
}

static int write_response(const zcrpc_view *request) {
  const char *address = zcrpc_server_address(server, 0);
  zcrpc_encoder *e = zcrpc_encoder_new(zcrpc_schema_type(service_schema, PACKAGE "ServerCompatResponse"), NULL);
  zcrpc_buffer *b;
  zcrpc_slice s, cert;
  unsigned char head[4];
  int good;
  zcrpc_encoder_put_string(e, RESPONSE_HOST, "127.0.0.1", ZCRPC_NTS);
  zcrpc_encoder_put_int64(e, RESPONSE_PORT, atoi(strrchr(address, ':') + 1));
  zcrpc_view_string(zcrpc_view_message(request, REQUEST_CREDS), CREDS_CERT, &cert);
  if (zcrpc_view_int32(request, REQUEST_USE_TLS)) zcrpc_encoder_put_string(e, RESPONSE_CERT, cert.data, cert.len);
  if (!(b = zcrpc_encoder_finish(e, NULL))) return 0;
  zcrpc_buffer_slice(b, &s);
  head[0] = (unsigned char)(s.len >> 24);
  head[1] = (unsigned char)(s.len >> 16);
  head[2] = (unsigned char)(s.len >> 8);
  head[3] = (unsigned char)s.len;
  good = fwrite(head, 1, 4, stdout) == 4 && fwrite(s.data, 1, s.len, stdout) == s.len && fflush(stdout) == 0;
  zcrpc_buffer_release(b);
  zcrpc_encoder_free(e);
  return good;
}

static int set_pem(zcrpc_options *o, int32_t key, const zcrpc_view *v, uint32_t field, zcrpc_error **err) {
  char text[16384];
  zcrpc_slice pem;
  zcrpc_view_string(v, field, &pem);
  snprintf(text, sizeof text, "%.*s", (int)pem.len, pem.data);
  return pem.len == 0 || !zcrpc_options_set_string(o, key, text, err);
}

/* *tls is NULL if none is wanted. 0: it cannot be had. */
static int make_tls(const zcrpc_view *request, zcrpc_tls **tls, zcrpc_error **err) {
  const zcrpc_view *creds = zcrpc_view_message(request, REQUEST_CREDS);
  zcrpc_options *o;
  if (!zcrpc_view_int32(request, REQUEST_USE_TLS)) return 1;
  if (!(o = zcrpc_options_new(ZCRPC_FOR_TLS, err))) return 0;
  if (set_pem(o, ZCRPC_TLS_CERTIFICATE, creds, CREDS_CERT, err) && set_pem(o, ZCRPC_TLS_KEY, creds, CREDS_KEY, err) &&
      set_pem(o, ZCRPC_TLS_TRUST, request, REQUEST_CLIENT_CERT, err))
    *tls = zcrpc_tls_new(o, err);
  zcrpc_options_free(o);
  return *tls != NULL;
}

static zcrpc_server *make_server(const zcrpc_view *request, zcrpc_error **err) {
  static const char *const kUnary[] = {"Unary", "IdempotentUnary"};
  static const char *const kStreams[] = {"ServerStream", "ClientStream", "BidiStream"};
  zcrpc_options *o = zcrpc_options_new(ZCRPC_FOR_SERVER, err);
  int64_t limit = zcrpc_view_int64(request, REQUEST_RECEIVE_LIMIT);
  zcrpc_server *s = NULL;
  zcrpc_tls *tls = NULL;
  char path[128];
  size_t i;
  int good = o && !zcrpc_options_set_string(o, ZCRPC_COMPRESSION, "*", err) && !zcrpc_options_set_int(o, ZCRPC_COMPRESSION_MIN, 0, err) &&
             (limit == 0 || !zcrpc_options_set_int(o, ZCRPC_LIMIT_MESSAGE, limit, err)) && (s = zcrpc_server_new(o, err));
  zcrpc_options_free(o);
  for (i = 0; good && i < sizeof kUnary / sizeof *kUnary; i++) {
    snprintf(path, sizeof path, PACKAGE "ConformanceService/%s", kUnary[i]);
    good = !zcrpc_server_handle(s, zcrpc_schema_method(service_schema, path), NULL, service_unary, NULL, err);
  }
  for (i = 0; good && i < sizeof kStreams / sizeof *kStreams; i++) {
    snprintf(path, sizeof path, PACKAGE "ConformanceService/%s", kStreams[i]);
    good = !zcrpc_server_handle_events(s, zcrpc_schema_method(service_schema, path), NULL, service_stream, NULL, err);
  }
  good = good && !zcrpc_server_handle(s, zcrpc_schema_method(service_schema, PACKAGE "ConformanceService/Unimplemented"), NULL,
                                      service_unimplemented, NULL, err);
  good = good && make_tls(request, &tls, err) && !zcrpc_server_listen(s, "127.0.0.1:0", tls, err);
  zcrpc_tls_free(tls);
  if (good) return s;
  zcrpc_server_free(s);
  return NULL;
}

int main(void) {
  zcrpc_error *err = NULL;
  zcrpc_arena *arena = zcrpc_arena_new(&err);
  const zcrpc_view *request;
  int status = EXIT_FAILURE;
  if (!arena || !(service_schema = zcrpc_schema_new(kConformanceSet, sizeof kConformanceSet, &err))) goto out;
  if (!(request = read_request(arena))) goto out;
  if (!(server = make_server(request, &err))) goto out;
  signal(SIGTERM, on_term);
  signal(SIGINT, on_term);
  if (!write_response(request) || zcrpc_server_run(server, THREADS, &err)) goto out;
  status = EXIT_SUCCESS;
out:
  if (err) fprintf(stderr, "%s\n", zcrpc_error_message(err));
  zcrpc_error_free(err);
  zcrpc_server_free(server);
  zcrpc_arena_free(arena);
  zcrpc_schema_release(service_schema);
  return status;
}
