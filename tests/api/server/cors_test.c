#define _GNU_SOURCE /* strcasestr */
/* Calls from web pages of other origins: preflights, what is allowed and exposed, and to whom. */
#include "h2.h"

static answer a;

static zcrpc_options *cors(const char *origins) {
  zcrpc_options *o = server_options();
  assert_int_equal(zcrpc_options_set_string(o, ZCRPC_SERVER_CORS_ORIGINS, origins, NULL), ZCRPC_OK);
  return o;
}

static void preflight(const char *path, const char *origin, const char *headers) {
  char text[512];
  int fd = dial();
  snprintf(text, sizeof text, "OPTIONS %s HTTP/1.1\r\nHost: x\r\nOrigin: %s\r\nAccess-Control-Request-Method: POST\r\n%s%s%s\r\n", path, origin,
           headers ? "Access-Control-Request-Headers: " : "", headers ? headers : "", headers ? "\r\n" : "");
  say(fd, text);
  read_answer(fd, &a);
  close(fd);
}

static void call(const char *origin) {
  char extra[128];
  int fd = dial();
  snprintf(extra, sizeof extra, "%s%s%s", origin ? "Origin: " : "", origin ? origin : "", origin ? "\r\n" : "");
  post_json(fd, extra, "{}");
  read_answer(fd, &a);
  close(fd);
}

static void no_cors_headers(void) {
  assert_null(header(&a, "access-control-allow-origin"));
  assert_null(header(&a, "access-control-allow-methods"));
  assert_null(header(&a, "access-control-allow-headers"));
  assert_null(header(&a, "access-control-expose-headers"));
  assert_null(header(&a, "access-control-allow-credentials"));
  assert_null(header(&a, "access-control-max-age"));
}

static void listed_origins(void **state) {
  zcrpc_options *o = cors("https://a.example, https://b.example:8443");
  set_int(o, ZCRPC_SERVER_CORS_CREDENTIALS, 1);
  assert_int_equal(zcrpc_options_set_string(o, ZCRPC_SERVER_CORS_HEADERS, "authorization, x-more", NULL), ZCRPC_OK);
  assert_int_equal(zcrpc_options_set_string(o, ZCRPC_SERVER_CORS_EXPOSE, "x-tail", NULL), ZCRPC_OK);
  (void)state;
  server_start(o, 1);
  preflight("/s.S/Echo", "https://b.example:8443", "content-type,x-user-agent");
  assert_int_equal(a.status, 204);
  assert_null(header(&a, "content-length"));
  assert_string_equal(header(&a, "access-control-allow-origin"), "https://b.example:8443");
  assert_string_equal(header(&a, "access-control-allow-credentials"), "true");
  assert_string_equal(header(&a, "access-control-allow-methods"), "GET, POST");
  assert_string_equal(header(&a, "access-control-allow-headers"),
                      "content-type, connect-protocol-version, connect-timeout-ms, grpc-timeout, x-grpc-web, x-user-agent, authorization, x-more");
  assert_string_equal(header(&a, "access-control-max-age"), "7200");
  assert_string_equal(header(&a, "vary"), "origin, access-control-request-method, access-control-request-headers");
  /* Somebody else's page: an answer, but no leave. */
  static const char *const others[] = {"https://c.example", "https://a.example.evil", "https://b.example", "http://a.example", "null", "HTTPS://A.EXAMPLE"};
  for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
    preflight("/s.S/Echo", others[i], "content-type");
    assert_int_equal(a.status, 204);
    no_cors_headers();
    assert_non_null(header(&a, "vary"));
    call(others[i]);
    assert_int_equal(a.status, 200);
    no_cors_headers();
    assert_string_equal(header(&a, "vary"), "origin");
  }
  call("https://a.example");
  assert_string_equal(body(&a), "{}");
  assert_string_equal(header(&a, "access-control-allow-origin"), "https://a.example");
  assert_string_equal(header(&a, "access-control-allow-credentials"), "true");
  assert_string_equal(header(&a, "access-control-expose-headers"), "grpc-status, grpc-message, grpc-status-details-bin, x-tail");
  assert_string_equal(header(&a, "vary"), "origin");
  assert_null(header(&a, "access-control-allow-methods"));
  call(NULL); /* no page, but a cache might keep it for one */
  no_cors_headers();
  assert_string_equal(header(&a, "vary"), "origin");
  /* Pages must be able to read errors, too: of a handler, and refusals. */
  int fd = dial();
  post_json(fd, "Origin: https://a.example\r\n", "{\"text\":\"fail 5 no\"}");
  read_answer(fd, &a);
  assert_int_equal(a.status, 404);
  assert_string_equal(header(&a, "access-control-allow-origin"), "https://a.example");
  say(fd, "POST /no.Such/Method HTTP/1.1\r\nHost: x\r\nOrigin: https://a.example\r\nContent-Type: application/json\r\nContent-Length: 0\r\n\r\n");
  read_answer(fd, &a);
  assert_int_equal(a.status, 404);
  assert_string_equal(header(&a, "access-control-allow-origin"), "https://a.example");
  /* OPTIONS that is no preflight is what it was. */
  say(fd, "OPTIONS /s.S/Echo HTTP/1.1\r\nHost: x\r\nOrigin: https://a.example\r\n\r\n");
  read_answer(fd, &a);
  assert_int_equal(a.status, 405);
  close(fd);
  server_stop(2000);
}

static void any_origin(void **state) {
  zcrpc_options *o = cors("*");
  set_int(o, ZCRPC_SERVER_CORS_MAX_AGE, 60);
  assert_int_equal(zcrpc_options_set_string(o, ZCRPC_SERVER_CORS_HEADERS, "*", NULL), ZCRPC_OK);
  (void)state;
  server_start(o, 1);
  preflight("/s.S/Echo", "https://anybody.example", "x-anything,content-type");
  assert_string_equal(header(&a, "access-control-allow-origin"), "*");
  assert_string_equal(header(&a, "access-control-allow-headers"), "x-anything,content-type");
  assert_string_equal(header(&a, "access-control-max-age"), "60");
  assert_null(header(&a, "access-control-allow-credentials"));
  call("https://anybody.example");
  assert_string_equal(header(&a, "access-control-allow-origin"), "*");
  assert_null(header(&a, "vary"));
  /* gRPC-Web over HTTP/2, a stream's head too. */
  static const char *const extra[] = {"origin", "https://anybody.example", NULL};
  static client c;
  char in[64];
  h2_open(&c);
  stream *t = h2_request(&c, "/s.S/Echo", "application/grpc-web+proto", extra, in, enveloped(in, "x"));
  h2_run(&c);
  assert_string_equal(field(t, "access-control-allow-origin"), "*");
  assert_string_equal(field(t, "access-control-expose-headers"), "grpc-status, grpc-message, grpc-status-details-bin");
  t = h2_request(&c, "/grpc.health.v1.Health/Watch", "application/grpc-web+proto", extra, "\0\0\0\0", 5);
  while (t->got < 7 && h2_step(&c)) {}
  assert_string_equal(field(t, "access-control-allow-origin"), "*");
  h2_free(&c);
  server_stop(2000);
}

/* Answers for pages of an origin that the options do not name. */
static void own_rules(zcrpc_call *call, const zcrpc_http *request, void *user) {
  zcrpc_http h = {.struct_size = sizeof h, .status = 200, .content_type = {"text/plain", 10}, .body = {"mine", 4}};
  static const char lines[] = "access-control-allow-origin: https://c.example\naccess-control-expose-headers: x-mine\n";
  (void)user;
  if (request->path.len == 4) h.headers = (zcrpc_slice){lines, sizeof lines - 1};
  if (request->path.len == 5)
    zcrpc_metadata_add(zcrpc_call_metadata(call, ZCRPC_RESPONSE_HEADERS), "access-control-allow-origin", "*", 1, NULL);
  assert_int_equal(zcrpc_call_reply_http(call, &h, NULL), ZCRPC_OK);
}

static int count(const char *name) {
  int n = 0;
  for (const char *at = a.text; (at = strcasestr(at, name)); at += strlen(name)) n++;
  return n;
}

static void a_plain_handlers_own_header_comes_twice(void **state) {
  zcrpc_options *o = cors("https://a.example");
  set_int(o, ZCRPC_SERVER_CORS_CREDENTIALS, 1);
  (void)state;
  server_make(o);
  assert_int_equal(zcrpc_server_handle_http(server, NULL, own_rules, NULL, NULL), ZCRPC_OK);
  pthread_create(&server_thread, NULL, server_main, (void *)(intptr_t)1);
  int fd = dial();
  for (int i = 0; i < 3; i++) {
    static const char *const paths[] = {"/own", "/meta", "/nobody"}, *const said[] = {"https://c.example", "*", "https://a.example"};
    say(fd, "GET ");
    say(fd, paths[i]);
    say(fd, " HTTP/1.1\r\nHost: x\r\nOrigin: https://a.example\r\n\r\n");
    read_answer(fd, &a);
    assert_int_equal(a.status, 200);
    assert_string_equal(header(&a, "access-control-allow-origin"), said[i]);
    assert_int_equal(count("access-control-allow-origin"), 1);
    assert_int_equal(count("access-control-expose-headers"), i != 1);
    assert_int_equal(count("access-control-allow-credentials"), i == 2);
    assert_int_equal(count("vary: origin"), 1);
  }
  close(fd);
  server_stop(2000);
}

static void without_it_nothing_changes(void **state) {
  (void)state;
  server_start(NULL, 1);
  preflight("/s.S/Echo", "https://a.example", NULL);
  assert_int_equal(a.status, 405);
  assert_string_equal(header(&a, "allow"), "POST");
  no_cors_headers();
  call("https://a.example");
  assert_int_equal(a.status, 200);
  no_cors_headers();
  assert_null(header(&a, "vary"));
  server_stop(2000);
}

static void mistakes_in_options_are_taken(void **state) {
  static const char *const bad[] = {"a.example", "https://a.example/", "https://", "://x", "https://a.example/path"};
  zcrpc_error *err = NULL;
  (void)state;
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    zcrpc_options *o = cors(bad[i]);
    assert_null(zcrpc_server_new(o, &err));
    assert_int_equal(zcrpc_error_code(err), ZCRPC_INVALID_ARGUMENT);
    assert_non_null(strstr(zcrpc_error_message(err), "is not an origin"));
    zcrpc_error_free(err);
    zcrpc_options_free(o);
  }
  zcrpc_options *o = cors("*");
  set_int(o, ZCRPC_SERVER_CORS_CREDENTIALS, 1);
  assert_null(zcrpc_server_new(o, &err));
  assert_non_null(strstr(zcrpc_error_message(err), "name the origins"));
  zcrpc_error_free(err);
  zcrpc_options_free(o);
  o = cors("https://a.example");
  assert_int_equal(zcrpc_options_set_string(o, ZCRPC_SERVER_CORS_HEADERS, "a b", NULL), ZCRPC_OK);
  assert_null(zcrpc_server_new(o, NULL));
  zcrpc_options_free(o);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(listed_origins),
      cmocka_unit_test(any_origin),
      cmocka_unit_test(a_plain_handlers_own_header_comes_twice),
      cmocka_unit_test(without_it_nothing_changes),
      cmocka_unit_test(mistakes_in_options_are_taken),
  };
  alarm(170);
  return cmocka_run_group_tests(tests, NULL, NULL);
}
