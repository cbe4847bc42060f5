/* Which handler a path leads to: prefixes, conflicts, methods whose messages are bytes, and methods that nobody knows. */
#include "h2.h"

static answer a;
static client c;

static zcrpc_options *for_call(int32_t key, int64_t v) {
  zcrpc_options *o = zcrpc_options_new(ZCRPC_FOR_CALL, NULL);
  assert_int_equal(zcrpc_options_set_int(o, key, v, NULL), ZCRPC_OK);
  return o;
}

static void ask(const char *path, const char *json) {
  char text[512];
  int fd = dial();
  snprintf(text, sizeof text, "POST %s HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s", path, strlen(json), json);
  say(fd, text);
  read_answer(fd, &a);
  close(fd);
}

static void a_prefix_is_not_before_every_path(void **state) {
  zcrpc_options *o = server_options(), *own = zcrpc_options_new(ZCRPC_FOR_CALL, NULL);
  (void)state;
  assert_int_equal(zcrpc_options_set_string(o, ZCRPC_SERVER_PREFIX, "/api/v1", NULL), ZCRPC_OK);
  set_int(o, ZCRPC_SERVER_LAME_DUCK, 0); /* health is asked below: no balancer that is waited for */
  server_make(o);
  /* The same method again, beside the server's prefix: at another one, and at none. */
  assert_int_equal(zcrpc_options_set_string(own, ZCRPC_SERVER_PREFIX, "/api/v2", NULL), ZCRPC_OK);
  assert_int_equal(zcrpc_server_handle(server, method("s.S/Echo"), own, handler, NULL, NULL), ZCRPC_OK);
  assert_int_equal(zcrpc_options_set_string(own, ZCRPC_SERVER_PREFIX, "", NULL), ZCRPC_OK);
  assert_int_equal(zcrpc_server_handle(server, method("s.S/Get"), own, handler, NULL, NULL), ZCRPC_OK);
  assert_int_equal(zcrpc_options_set_string(own, ZCRPC_SERVER_PREFIX, "api", NULL), ZCRPC_OK);
  assert_int_equal(zcrpc_server_handle(server, method("s.S/Get"), own, handler, NULL, NULL), ZCRPC_INVALID_ARGUMENT);
  zcrpc_options_free(own);
  pthread_create(&server_thread, NULL, server_main, (void *)(intptr_t)1);
  ask("/api/v1/s.S/Echo", "{\"number\":\"1\"}");
  assert_string_equal(body(&a), "{\"number\":\"1\"}");
  ask("/api/v2/s.S/Echo", "{\"number\":\"2\"}");
  assert_string_equal(body(&a), "{\"number\":\"2\"}");
  ask("/s.S/Get", "{\"number\":\"3\"}");
  assert_string_equal(body(&a), "{\"number\":\"3\"}");
  const char *const none[] = {"/s.S/Echo", "/api/v2/s.S/Get", "/api/v1s.S/Echo", "/api/v1", "/api/v1/", "/api/v1/api/v1/s.S/Echo"};
  for (size_t i = 0; i < sizeof none / sizeof *none; i++) {
    ask(none[i], "{}");
    assert_int_equal(a.status, 404);
  }
  /* Health has no prefix: who asks knows none. */
  ask("/grpc.health.v1.Health/Check", "{}");
  assert_string_equal(body(&a), "{\"status\":\"SERVING\"}");
  server_stop(2000);
}

static zcrpc_code other(zcrpc_call *call, const zcrpc_view *request, zcrpc_encoder *reply, void *user) {
  (void)call, (void)request, (void)user;
  zcrpc_encoder_put_string(reply, TEXT, "other", ZCRPC_NTS);
  return ZCRPC_OK;
}

static void a_conflict_is_not_refused(void **state) {
  zcrpc_error *err = NULL;
  (void)state;
  server_make(NULL);
  assert_int_equal(zcrpc_server_handle(server, method("s.S/Echo"), NULL, other, NULL, &err), ZCRPC_ALREADY_EXISTS);
  assert_string_equal(zcrpc_error_message(err), "/s.S/Echo is served already; with ZCRPC_SERVER_OVERRIDE the new handler takes its place");
  zcrpc_error_free(err);
  /* Of another schema, or none: it is the path that counts. */
  zcrpc_method *same = zcrpc_method_new("/s.S/Echo", 0, NULL);
  assert_int_equal(zcrpc_server_route(server, same, NULL, 1, NULL), ZCRPC_ALREADY_EXISTS);
  zcrpc_method_free(same);
  same = zcrpc_method_new("/grpc.health.v1.Health/Check", 0, NULL);
  assert_int_equal(zcrpc_server_route(server, same, NULL, 1, NULL), ZCRPC_ALREADY_EXISTS);
  zcrpc_method_free(same);
  handle_instead("s.S/Echo", other, NULL);
  pthread_create(&server_thread, NULL, server_main, (void *)(intptr_t)1);
  ask("/s.S/Echo", "{}");
  assert_string_equal(body(&a), "{\"text\":\"other\"}");
  server_stop(2000);
}

/* ---- bytes */

static struct {
  char path[64], type[8], ask[32];
  int32_t codec;
  int64_t left;
  int whole, messages, done_code;
  size_t size;
  const char *data;      /* of the event */
  const char *kept_data; /* of the same as counted memory */
  _Atomic int done;
} saw;
static atomic_int begun, ended; /* calls of echo_bytes */

/* Sends back what it gets, as it is, and headers of its own; "stop" as the first message ends with an error. */
static void echo_bytes(zcrpc_call *call, const zcrpc_event *e, const zcrpc_view *m, void *user) {
  zcrpc_slice path, ask_for = {"", 0}, kept_bytes;
  zcrpc_buffer *b;
  assert_null(m);
  if (e->kind == ZCRPC_EVENT_REQUEST) {
    zcrpc_call_info info = {.struct_size = sizeof info};
    atomic_fetch_add(&begun, 1);
    zcrpc_call_get_info(call, &info);
    path = info.path;
    snprintf(saw.path, sizeof saw.path, "%.*s", (int)path.len, path.data);
    zcrpc_metadata_get(zcrpc_call_metadata(call, ZCRPC_REQUEST_HEADERS), "x-ask", &ask_for);
    snprintf(saw.ask, sizeof saw.ask, "%.*s", (int)ask_for.len, ask_for.data);
    saw.codec = info.codec;
    saw.left = zcrpc_call_time_left(call);
    saw.whole = (e->flags & ZCRPC_EVENT_END) != 0;
    zcrpc_metadata_add(zcrpc_call_metadata(call, ZCRPC_RESPONSE_HEADERS), "x-head", user ? "known" : "unknown", ZCRPC_NTS, NULL);
    zcrpc_metadata_add(zcrpc_call_metadata(call, ZCRPC_RESPONSE_TRAILERS), "x-tail", "1", 1, NULL);
    if (!saw.whole) zcrpc_call_read(call, 1);
  }
  if (e->kind == ZCRPC_EVENT_MESSAGE || (e->kind == ZCRPC_EVENT_REQUEST && saw.whole)) {
    saw.messages++;
    b = zcrpc_call_message(call, e, NULL);
    zcrpc_buffer_slice(b, &kept_bytes);
    assert_int_equal(kept_bytes.len, e->len);
    saw.size = e->len;
    saw.data = (const char *)(uintptr_t)e->data;
    saw.kept_data = kept_bytes.data;
    if (e->len == 4 && memcmp(kept_bytes.data, "stop", 4) == 0) zcrpc_call_fail(call, ZCRPC_ABORTED, "stopped", ZCRPC_NTS);
    else if (e->len < 8) assert_int_equal(zcrpc_call_send_bytes(call, kept_bytes.data, kept_bytes.len, NULL), ZCRPC_OK);
    else assert_int_equal(zcrpc_call_send_buffer(call, b, NULL), ZCRPC_OK);
    zcrpc_buffer_release(b);
    if (saw.whole) zcrpc_call_finish(call, NULL);
    else zcrpc_call_read(call, 1);
  }
  if (e->kind == ZCRPC_EVENT_HALF_CLOSE) zcrpc_call_finish(call, NULL);
  if (e->kind == ZCRPC_EVENT_DONE) {
    saw.done_code = e->value;
    atomic_store(&saw.done, 1);
    atomic_fetch_add(&ended, 1);
  }
}

static void forget(void) {
  /* The calls of the test before may still be on their way out. */
  for (int64_t limit = now_ms() + 10000; atomic_load(&begun) != atomic_load(&ended) && now_ms() < limit;) usleep(500);
  memset(&saw, 0, sizeof saw);
  saw.done_code = -1;
}
static void await_done(void) {
  for (int64_t end = now_ms() + 10000; !atomic_load(&saw.done) && now_ms() < end;) usleep(500);
  assert_true(atomic_load(&saw.done));
}

static int start_bytes(void **state) {
  zcrpc_options *raw = for_call(ZCRPC_SERVER_RAW, 1);
  zcrpc_method *bare = zcrpc_method_new("/bare.S/M", ZCRPC_METHOD_CLIENT_STREAM | ZCRPC_METHOD_SERVER_STREAM, NULL);
  zcrpc_error *err = NULL;
  (void)state;
  alarm(170);
  server_make(NULL);
  assert_int_equal(zcrpc_server_handle(server, method("s.S/Turn"), raw, handler, NULL, NULL), ZCRPC_INVALID_ARGUMENT);
  assert_int_equal(zcrpc_server_handle_events(server, method("s.S/Turn"), raw, echo_bytes, server, NULL), ZCRPC_OK);
  assert_int_equal(zcrpc_server_handle_events(server, bare, raw, echo_bytes, server, NULL), ZCRPC_OK);
  zcrpc_method_free(bare);
  assert_int_equal(zcrpc_server_handle_unknown(server, NULL, echo_bytes, NULL, NULL), ZCRPC_OK);
  assert_int_equal(zcrpc_server_route_unknown(server, NULL, 1, &err), ZCRPC_ALREADY_EXISTS);
  assert_string_equal(zcrpc_error_message(err), "unknown methods have a handler already; with ZCRPC_SERVER_OVERRIDE the new one takes its place");
  zcrpc_error_free(err);
  zcrpc_options_free(raw);
  pthread_create(&server_thread, NULL, server_main, (void *)(intptr_t)1);
  return 0;
}

static void a_raw_method_decodes(void **state) {
  (void)state;
  forget();
  /* Not JSON, and not protobuf: nobody looks. */
  ask("/s.S/Turn", "{broken");
  await_done();
  assert_int_equal(a.status, 200);
  assert_string_equal(header(&a, "content-type"), "application/json");
  assert_string_equal(body(&a), "{broken");
  assert_string_equal(header(&a, "x-head"), "known");
  assert_string_equal(header(&a, "trailer-x-tail"), "1");
  assert_int_equal(saw.codec, ZCRPC_JSON);
  assert_string_equal(saw.path, "/s.S/Turn");
  ask("/s.S/Echo", "{broken"); /* one beside it still does */
  assert_int_equal(a.status, 400);
}

static void a_large_message_is_copied_to_be_kept(void **state) {
  static char big[3000];
  int fd = dial();
  char head[256];
  (void)state;
  forget();
  memset(big, 'b', sizeof big);
  int n = snprintf(head, sizeof head, "POST /s.S/Turn HTTP/1.1\r\nHost: x\r\nContent-Type: application/proto\r\nContent-Length: %zu\r\n\r\n", sizeof big);
  char *whole = malloc((size_t)n + sizeof big);
  memcpy(whole, head, (size_t)n);
  memcpy(whole + n, big, sizeof big);
  send_all(fd, whole, (size_t)n + sizeof big);
  free(whole);
  read_answer(fd, &a);
  assert_int_equal(a.body, sizeof big);
  assert_memory_equal(body(&a), big, sizeof big);
  assert_ptr_equal(saw.kept_data, saw.data);
  close(fd);
}

static void an_unknown_unary_method_is_not_found(void **state) {
  (void)state;
  forget();
  ask("/no.Such/Method", "{\"a\":1}");
  await_done();
  assert_int_equal(a.status, 200);
  assert_string_equal(body(&a), "{\"a\":1}");
  assert_string_equal(header(&a, "x-head"), "unknown");
  assert_string_equal(saw.path, "/no.Such/Method");
  assert_true(saw.whole);
  /* A Connect GET, whose message is in the query. */
  int fd = dial();
  forget();
  say(fd, "GET /no.Such/Get?connect=v1&encoding=json&message=%7B%7D HTTP/1.1\r\nHost: x\r\nConnect-Timeout-Ms: 60000\r\n\r\n");
  read_answer(fd, &a);
  await_done();
  assert_string_equal(body(&a), "{}");
  assert_in_range(saw.left, 50000, 60000);
  /* What is no call stays what it was. */
  say(fd, "GET /no.Such/Get HTTP/1.1\r\nHost: x\r\n\r\n");
  read_answer(fd, &a);
  assert_int_equal(a.status, 404);
  close(fd);
}

static size_t envelope(char *out, const char *text) {
  size_t n = strlen(text);
  memset(out, 0, 4);
  out[4] = (char)n;
  memcpy(out + 5, text, n);
  return n + 5;
}

static void an_unknown_stream_loses_metadata_or_deadline(void **state) {
  static const char *const extra[] = {"x-ask", "this", "grpc-timeout", "60S", NULL};
  char in[64];
  size_t n = envelope(in, "one");
  (void)state;
  n += envelope(in + n, "second one");
  forget();
  h2_open(&c);
  stream *t = h2_request(&c, "/no.Such/Stream", "application/grpc+proto", extra, in, n);
  h2_run(&c);
  await_done();
  assert_int_equal(t->status, 200);
  assert_int_equal(t->got, n);
  assert_memory_equal(t->body, in, n);
  assert_string_equal(field(t, "grpc-status"), "0");
  assert_string_equal(field(t, "x-head"), "unknown");
  assert_string_equal(field(t, "x-tail"), "1");
  assert_string_equal(saw.path, "/no.Such/Stream");
  assert_string_equal(saw.ask, "this");
  assert_in_range(saw.left, 50000, 60000);
  assert_int_equal(saw.messages, 2);
  assert_false(saw.whole);
  assert_int_equal(saw.done_code, ZCRPC_OK);
  /* An error of the handler's, in the protocol of the call: gRPC, and Connect's stream. */
  forget();
  n = envelope(in, "stop");
  t = h2_request(&c, "/no.Such/Stream", "application/grpc", NULL, in, n);
  h2_run(&c);
  assert_string_equal(field(t, "grpc-status"), "10");
  assert_string_equal(field(t, "grpc-message"), "stopped");
  await_done();
  forget();
  t = h2_request(&c, "/no.Such/Stream", "application/connect+json", NULL, in, n);
  h2_run(&c);
  await_done();
  assert_int_equal(saw.codec, ZCRPC_JSON);
  assert_int_equal(t->body[0], 2);
  t->body[t->got] = 0;
  assert_non_null(strstr(t->body + 5, "\"code\":\"aborted\""));
  h2_free(&c);
}

static void a_raw_stream_without_a_schema_refuses_json(void **state) {
  char in[64];
  size_t n = envelope(in, "{\"x\":1}!");
  (void)state;
  forget();
  h2_open(&c);
  stream *t = h2_request(&c, "/bare.S/M", "application/connect+json", NULL, in, n);
  h2_run(&c);
  await_done();
  assert_memory_equal(t->body, in, n);
  assert_string_equal(field(t, "x-head"), "known");
  h2_free(&c);
}

static void an_unknown_method_has_no_limit(void **state) {
  static char big[(4 << 20) + 1];
  int fd = dial();
  (void)state;
  char head[256];
  int n = snprintf(head, sizeof head, "POST /no.Such/Method HTTP/1.1\r\nHost: x\r\nContent-Type: application/proto\r\nContent-Length: %zu\r\n\r\n", sizeof big);
  send_all(fd, head, (size_t)n);
  send_all(fd, big, sizeof big);
  read_answer(fd, &a);
  assert_int_equal(a.status, 429);
  close(fd);
}

static void routed_unknown_methods_do_not_reach_a_turn(void **state) {
  zcrpc_loop *loop = zcrpc_loop_new(NULL, NULL);
  zcrpc_event events[8];
  zcrpc_turn turn = {.struct_size = sizeof turn, .timeout_ms = 1000, .events = events, .event_max = 8};
  (void)state;
  server_make(NULL);
  assert_int_equal(zcrpc_server_route_unknown(server, NULL, 77, NULL), ZCRPC_OK);
  assert_int_equal(zcrpc_server_run(server, 1, NULL), ZCRPC_FAILED_PRECONDITION);
  assert_int_equal(zcrpc_server_attach(server, loop, NULL), ZCRPC_OK);
  int fd = dial(), found = 0;
  say(fd, "POST /x.Y/Z HTTP/1.1\r\nHost: x\r\nContent-Type: application/proto\r\nContent-Length: 3\r\n\r\nabc");
  for (int64_t end = now_ms() + 10000; !found && now_ms() < end;) {
    assert_int_equal(zcrpc_loop_turn(loop, &turn, NULL), ZCRPC_OK);
    for (uint32_t i = 0; i < turn.event_count; i++)
      if (events[i].kind == ZCRPC_EVENT_REQUEST) {
        zcrpc_call *call = zcrpc_loop_call(loop, events[i].call);
        zcrpc_call_info info = {.struct_size = sizeof info};
        zcrpc_call_get_info(call, &info);
        assert_int_equal(info.path.len, 6);
        assert_memory_equal(info.path.data, "/x.Y/Z", 6);
        assert_int_equal(events[i].tag, 77);
        assert_int_equal(events[i].len, 3);
        zcrpc_buffer *b = zcrpc_call_message(call, &events[i], NULL);
        assert_int_equal(zcrpc_call_send_buffer(call, b, NULL), ZCRPC_OK);
        zcrpc_buffer_release(b);
        zcrpc_call_finish(call, NULL);
        found = 1;
      }
  }
  turn.timeout_ms = 50;
  assert_int_equal(zcrpc_loop_turn(loop, &turn, NULL), ZCRPC_OK);
  read_answer(fd, &a);
  assert_string_equal(body(&a), "abc");
  close(fd);
  zcrpc_server_free(server);
  zcrpc_loop_free(loop);
  zcrpc_schema_release(schema);
}

int main(void) {
  const struct CMUnitTest bytes[] = {
      cmocka_unit_test(a_raw_method_decodes),
      cmocka_unit_test(a_large_message_is_copied_to_be_kept),
      cmocka_unit_test(an_unknown_unary_method_is_not_found),
      cmocka_unit_test(an_unknown_stream_loses_metadata_or_deadline),
      cmocka_unit_test(a_raw_stream_without_a_schema_refuses_json),
      cmocka_unit_test(an_unknown_method_has_no_limit),
  };
  const struct CMUnitTest alone[] = {
      cmocka_unit_test(a_prefix_is_not_before_every_path),
      cmocka_unit_test(a_conflict_is_not_refused),
      cmocka_unit_test(routed_unknown_methods_do_not_reach_a_turn),
  };
  alarm(170);
  int failed = cmocka_run_group_tests(bytes, start_bytes, stop_default);
  return failed + cmocka_run_group_tests(alone, NULL, NULL);
}
