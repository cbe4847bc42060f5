/* What the server's tests share: a server that runs on threads of its own, and a handler that does as the text of its
 * request says:
 *   "fail CODE TEXT"   fails with that code and text          "detail"    fails with a detail and metadata
 *   "code CODE"        returns that code without a text       "meta"      answers with what x-ask says, in both places
 *   "size N"           answers with N bytes of payload        "later"     answers from another thread
 *   "never"            keeps the call until release_kept()    "drop"      returns PENDING and lets go
 *   "cancel"           resets                                 "bad"       writes a reply that cannot be encoded
 *   "left"             answers with the ms that are left
 * Anything else is echoed, with the number and the payload. */
#ifndef TESTS_API_SERVE_H
#define TESTS_API_SERVE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <zcrpc.h>

#include "serve_set.h" /* kServeSet, the FileDescriptorSet of serve.proto */

/* Not every test needs all of these. */
#pragma GCC diagnostic ignored "-Wunused-function"
#pragma GCC diagnostic ignored "-Wunused-variable"

enum { TEXT = 1, NUMBER = 2, PAYLOAD = 3, CHILDREN = 4 };

static zcrpc_schema *schema;
static zcrpc_server *server;
static pthread_t server_thread;
static int server_port;
static char server_address[128];
static _Atomic(zcrpc_call *) kept; /* of "never" */
static atomic_int handled;

static int64_t now_ms(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static const zcrpc_method *method(const char *name) { return zcrpc_schema_method(schema, name); }

static void *answer_later(void *user) {
  zcrpc_call *call = user;
  zcrpc_encoder_put_string(zcrpc_call_encoder(call), TEXT, "later", ZCRPC_NTS);
  zcrpc_call_finish(call, NULL);
  zcrpc_call_finish(call, NULL); /* a second time: ignored */
  zcrpc_call_release(call);
  return NULL;
}

static zcrpc_code fail_with_detail(zcrpc_call *call) {
  zcrpc_error *e = zcrpc_error_new(ZCRPC_NOT_FOUND, "no \"such\" thing \xc3\xa9", ZCRPC_NTS);
  zcrpc_error_add_detail(e, "s.M", "\x0a\x02hi", 4, NULL);
  zcrpc_metadata_add(zcrpc_error_metadata(e), "x-why", "because", ZCRPC_NTS, NULL);
  zcrpc_call_finish(call, e);
  return ZCRPC_NOT_FOUND;
}

static int is(zcrpc_slice s, const char *word) { return s.len >= strlen(word) && memcmp(s.data, word, strlen(word)) == 0; }

static zcrpc_code handler(zcrpc_call *call, const zcrpc_view *request, zcrpc_encoder *reply, void *user) {
  zcrpc_slice text, payload;
  char word[64];
  (void)user;
  atomic_fetch_add(&handled, 1);
  zcrpc_view_string(request, TEXT, &text);
  zcrpc_view_string(request, PAYLOAD, &payload);
  snprintf(word, sizeof word, "%.*s", (int)(text.len < sizeof word ? text.len : sizeof word - 1), text.data ? text.data : "");
  if (is(text, "fail ")) {
    int at = 0, code = 0;
    if (sscanf(word, "fail %d %n", &code, &at) != 1) return ZCRPC_INTERNAL;
    return zcrpc_call_fail(call, code, word + at, ZCRPC_NTS);
  }
  if (is(text, "code ")) return atoi(word + 5);
  if (is(text, "detail")) return fail_with_detail(call);
  if (is(text, "cancel")) return zcrpc_call_cancel(call), ZCRPC_PENDING;
  if (is(text, "drop")) return ZCRPC_PENDING;
  if (is(text, "bad")) return zcrpc_encoder_put_string(reply, NUMBER, "x", 1), ZCRPC_OK;
  if (is(text, "never")) return atomic_store(&kept, zcrpc_call_retain(call)), ZCRPC_PENDING;
  if (is(text, "left")) return zcrpc_encoder_put_int64(reply, NUMBER, zcrpc_call_time_left(call)), ZCRPC_OK;
  if (is(text, "later")) {
    pthread_t t;
    pthread_create(&t, NULL, answer_later, zcrpc_call_retain(call));
    pthread_detach(t);
    return ZCRPC_PENDING;
  }
  if (is(text, "size ")) {
    size_t n = (size_t)atol(word + 5);
    char *big = malloc(n + 1);
    if (!big) return ZCRPC_RESOURCE_EXHAUSTED;
    memset(big, 'z', n);
    zcrpc_encoder_put_string(reply, PAYLOAD, big, n);
    free(big);
    return ZCRPC_OK;
  }
  if (is(text, "meta")) {
    zcrpc_slice ask = {"", 0};
    zcrpc_metadata_get(zcrpc_call_metadata(call, ZCRPC_REQUEST_HEADERS), "x-ask", &ask);
    zcrpc_metadata_add(zcrpc_call_metadata(call, ZCRPC_RESPONSE_HEADERS), "x-head", ask.data, ask.len, NULL);
    zcrpc_metadata_add(zcrpc_call_metadata(call, ZCRPC_RESPONSE_TRAILERS), "x-tail", ask.data, ask.len, NULL);
    zcrpc_metadata_add(zcrpc_call_metadata(call, ZCRPC_RESPONSE_TRAILERS), "x-tail-bin", "\0\xff", 2, NULL);
  }
  if (text.len) zcrpc_encoder_put_string(reply, TEXT, text.data, text.len);
  if (zcrpc_view_int64(request, NUMBER)) zcrpc_encoder_put_int64(reply, NUMBER, zcrpc_view_int64(request, NUMBER));
  if (payload.len) zcrpc_encoder_put_string(reply, PAYLOAD, payload.data, payload.len);
  return ZCRPC_OK;
}

static void release_kept(void) {
  zcrpc_call *c = atomic_exchange(&kept, NULL);
  zcrpc_call_release(c);
}

static zcrpc_options *server_options(void) { return zcrpc_options_new(ZCRPC_FOR_SERVER, NULL); }
static void set_int(zcrpc_options *o, int32_t key, int64_t v) { assert_int_equal(zcrpc_options_set_int(o, key, v, NULL), ZCRPC_OK); }

/* A server with its methods, not running yet. Takes o. */
static void server_make(zcrpc_options *o) {
  zcrpc_error *err = NULL;
  schema = zcrpc_schema_new(kServeSet, sizeof kServeSet, &err);
  if (!schema) fail_msg("%s", zcrpc_error_message(err));
  server = zcrpc_server_new(o, &err);
  zcrpc_options_free(o);
  if (!server) fail_msg("%s", zcrpc_error_message(err));
  assert_int_equal(zcrpc_server_handle(server, method("s.S/Echo"), NULL, handler, NULL, NULL), ZCRPC_OK);
  assert_int_equal(zcrpc_server_handle(server, method("s.S/Get"), NULL, handler, NULL, NULL), ZCRPC_OK);
  if (zcrpc_server_listen(server, "127.0.0.1:0", NULL, &err)) fail_msg("%s", zcrpc_error_message(err));
  snprintf(server_address, sizeof server_address, "%s", zcrpc_server_address(server, 0));
  server_port = atoi(strrchr(server_address, ':') + 1);
}

/* In the place of the handler that server_make has set. */
static void handle_instead(const char *name, zcrpc_unary_fn fn, void *user) {
  zcrpc_options *o = zcrpc_options_new(ZCRPC_FOR_CALL, NULL);
  set_int(o, ZCRPC_SERVER_OVERRIDE, 1);
  assert_int_equal(zcrpc_server_handle(server, method(name), o, fn, user, NULL), ZCRPC_OK);
  zcrpc_options_free(o);
}

static void *server_main(void *threads) {
  zcrpc_error *err = NULL;
  if (zcrpc_server_run(server, (int32_t)(intptr_t)threads, &err)) fprintf(stderr, "run: %s\n", zcrpc_error_message(err));
  zcrpc_error_free(err);
  return NULL;
}

static void server_start(zcrpc_options *o, int threads) {
  server_make(o);
  pthread_create(&server_thread, NULL, server_main, (void *)(intptr_t)threads);
}

static void server_stop(int64_t grace_ms) {
  zcrpc_server_drain(server, grace_ms);
  pthread_join(server_thread, NULL);
  zcrpc_server_free(server);
  zcrpc_schema_release(schema);
}

static zcrpc_stats stats(void) {
  zcrpc_stats s = {.struct_size = sizeof s};
  zcrpc_server_stats(server, &s);
  return s;
}

static int start_default(void **state) {
  (void)state;
  signal(SIGALRM, SIG_DFL);
  alarm(170); /* a test that hangs shows where */
  server_start(NULL, 1);
  return 0;
}
static int stop_default(void **state) {
  (void)state;
  server_stop(2000);
  return 0;
}

/* A message with a text, as wire bytes; returns its length. */
static size_t message(char *out, const char *text) {
  size_t n = strlen(text);
  out[0] = 0x0A;
  out[1] = (char)n; /* below 128 */
  memcpy(out + 2, text, n);
  return n + 2;
}

#endif
