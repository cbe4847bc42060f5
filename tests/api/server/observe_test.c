#define _GNU_SOURCE /* memmem */
/* What leaves a server besides its answers: errors of calls downstream, which must not; the log; statistics; what an observer
 * is told; the trace that goes on to the next server. And methods that are replaced while calls run. */
#include "h2.h"

static zcrpc_channel *downstream;
static char logged[8192];
static pthread_mutex_t logging = PTHREAD_MUTEX_INITIALIZER;

static void on_log(int32_t level, const char *text, size_t len, void *user) {
  (void)user;
  pthread_mutex_lock(&logging);
  size_t at = strlen(logged);
  snprintf(logged + at, sizeof logged - at, "%d %.*s\n", (int)level, (int)len, text);
  pthread_mutex_unlock(&logging);
}
static int in_log(const char *text) {
  pthread_mutex_lock(&logging);
  int yes = strstr(logged, text) != NULL;
  logged[0] = 0;
  pthread_mutex_unlock(&logging);
  return yes;
}

/* ---- an observer ---- */

static zcrpc_call_record last;
static char last_text[8][128]; /* service, method, path, http_method, peer_address, traceparent, tracestate */
static int records;
static pthread_mutex_t observing = PTHREAD_MUTEX_INITIALIZER;

static void keep_text(int i, zcrpc_slice s) { snprintf(last_text[i], sizeof last_text[i], "%.*s", (int)s.len, s.data); }
static void on_record(const zcrpc_call_record *r, void *user) {
  (void)user;
  pthread_mutex_lock(&observing);
  last = *r;
  keep_text(0, r->service), keep_text(1, r->method), keep_text(2, r->path), keep_text(3, r->http_method), keep_text(4, r->peer_address);
  keep_text(5, r->traceparent), keep_text(6, r->tracestate);
  records++;
  pthread_mutex_unlock(&observing);
}
static int record_count(void) {
  pthread_mutex_lock(&observing);
  int n = records;
  pthread_mutex_unlock(&observing);
  return n;
}
static void await_records(int n) {
  for (int64_t limit = now_ms() + 10000; record_count() < n; usleep(500))
    if (now_ms() > limit) fail_msg("%d records, and not %d", record_count(), n);
}

/* How many there are, when all calls until now have theirs: a record comes behind the answer that its client has read. */
static int told(void) {
  zcrpc_stats now;
  for (int64_t limit = now_ms() + 10000; (now = stats()).calls_now || (uint64_t)record_count() < now.calls; usleep(500))
    if (now_ms() > limit) fail_msg("%d records of %d calls, %d under way", record_count(), (int)now.calls, (int)now.calls_now);
  return record_count();
}

/* ---- a handler that asks another server ---- */

static void *ask_downstream(void *user) {
  zcrpc_call *call = user, *next = zcrpc_channel_open(downstream, method("s.S/Echo"), NULL, NULL);
  zcrpc_error *err = NULL;
  zcrpc_slice how = {"", 0};
  zcrpc_metadata_get(zcrpc_call_metadata(call, ZCRPC_REQUEST_HEADERS), "x-how", &how);
  assert_int_equal(zcrpc_call_pass_on(call, next, ZCRPC_PASS_TRACE | ZCRPC_PASS_DEADLINE, NULL), ZCRPC_OK);
  if (is(how, "trace")) {
    zcrpc_slice parent = {"", 0}, s = {"", 0};
    char text[256];
    zcrpc_metadata *m = zcrpc_call_metadata(next, ZCRPC_REQUEST_HEADERS);
    zcrpc_metadata_get(m, "traceparent", &parent);
    zcrpc_metadata_get(m, "tracestate", &s);
    assert_int_equal(zcrpc_call_pass_on(call, next, ZCRPC_PASS_TRACE, NULL), ZCRPC_OK); /* it has one now */
    snprintf(text, sizeof text, "%.*s|%.*s|%d|%d", (int)parent.len, parent.data, (int)s.len, s.data, (int)zcrpc_metadata_count(m),
             zcrpc_call_time_left(next) <= 7000 && zcrpc_call_time_left(next) > 6000);
    zcrpc_encoder_put_string(zcrpc_call_encoder(call), TEXT, text, ZCRPC_NTS);
    zcrpc_call_finish(call, NULL);
  } else {
    zcrpc_encoder_put_string(zcrpc_call_encoder(next), TEXT, "fail 7 the secret", ZCRPC_NTS);
    assert_null(zcrpc_call_unary(next, &err));
    assert_int_equal(zcrpc_error_code(err), ZCRPC_PERMISSION_DENIED);
    assert_string_equal(zcrpc_error_message(err), "the secret");
    if (is(how, "as ")) {
      assert_int_equal(zcrpc_call_fail_with(call, ZCRPC_UNAVAILABLE, err), ZCRPC_UNAVAILABLE);
      zcrpc_error_free(err);
    } else if (is(how, "with")) {
      assert_int_equal(zcrpc_call_fail_with(call, 0, err), ZCRPC_PERMISSION_DENIED);
      zcrpc_error_free(err);
    } else if (is(how, "said")) { /* on purpose */
      zcrpc_call_fail(call, zcrpc_error_code(err), zcrpc_error_message(err), ZCRPC_NTS);
      zcrpc_error_free(err);
    } else {
      zcrpc_call_finish(call, err);
    }
  }
  zcrpc_call_release(next);
  zcrpc_call_release(call);
  return NULL;
}

static zcrpc_code asker(zcrpc_call *call, const zcrpc_view *request, zcrpc_encoder *reply, void *user) {
  pthread_t t;
  (void)request;
  (void)reply;
  (void)user;
  pthread_create(&t, NULL, ask_downstream, zcrpc_call_retain(call));
  pthread_detach(t);
  return ZCRPC_PENDING;
}

static void chat(zcrpc_call *call, const zcrpc_event *e, const zcrpc_view *m, void *user) {
  (void)m;
  (void)user;
  if (e->kind == ZCRPC_EVENT_REQUEST) zcrpc_call_read(call, 100);
  if (e->kind == ZCRPC_EVENT_MESSAGE) {
    zcrpc_encoder_put_string(zcrpc_call_encoder(call), TEXT, "12345678", 8);
    zcrpc_call_send(call, NULL);
  }
  if (e->kind == ZCRPC_EVENT_HALF_CLOSE) {
    /* An error of the library's own: whoever gave bad bytes to a decoder need not tell the client. */
    zcrpc_error *err = NULL;
    zcrpc_arena *a = zcrpc_arena_new(NULL);
    assert_null(zcrpc_view_decode(zcrpc_schema_type(schema, "s.M"), "\x0a\x7f", 2, NULL, a, &err));
    zcrpc_arena_free(a);
    zcrpc_call_finish(call, err);
  }
}

static int start(void **state) {
  zcrpc_options *o = server_options();
  zcrpc_error *err = NULL;
  char target[160];
  (void)state;
  signal(SIGALRM, SIG_DFL);
  alarm(170);
  assert_int_equal(zcrpc_options_set_log(o, 2, on_log, NULL, NULL), ZCRPC_OK);
  assert_int_equal(zcrpc_options_set_observer(o, on_record, NULL, NULL), ZCRPC_OK);
  server_make(o);
  assert_int_equal(zcrpc_server_handle(server, method("s.S/Turn"), NULL, asker, NULL, NULL), ZCRPC_OK);
  assert_int_equal(zcrpc_server_handle_events(server, method("s.S/Chat"), NULL, chat, NULL, NULL), ZCRPC_OK);
  snprintf(target, sizeof target, "http://%s", server_address);
  downstream = zcrpc_channel_new(NULL, target, NULL, NULL, &err);
  if (!downstream) fail_msg("%s", zcrpc_error_message(err));
  pthread_create(&server_thread, NULL, server_main, (void *)(intptr_t)2);
  return 0;
}
static int end(void **state) {
  zcrpc_channel_free(downstream);
  return stop_default(state);
}

static answer a;

static void turn(int fd, const char *extra, const char *type, const char *data, size_t n) {
  char head[1024];
  int h = snprintf(head, sizeof head, "POST /s.S/Turn HTTP/1.1\r\nHost: x\r\nContent-Type: %s\r\nContent-Length: %zu\r\n%s\r\n", type, n, extra);
  send_all(fd, head, (size_t)h);
  send_all(fd, data, n);
  read_answer(fd, &a);
}

/* ---- errors ---- */

static void an_error_from_downstream_is_told_by_connect(void **state) {
  int fd = dial();
  (void)state;
  turn(fd, "", "application/json", "{}", 2);
  assert_int_equal(a.status, 403);
  assert_string_equal(body(&a), "{\"code\":\"permission_denied\"}");
  assert_true(in_log("1 /s.S/Turn: answered with permission_denied; the cause: the secret\n"));
  turn(fd, "X-How: with\r\n", "application/json", "{}", 2);
  assert_string_equal(body(&a), "{\"code\":\"permission_denied\"}");
  assert_true(in_log("the cause: the secret"));
  turn(fd, "X-How: as another\r\n", "application/json", "{}", 2);
  assert_string_equal(body(&a), "{\"code\":\"unavailable\"}");
  assert_true(in_log("answered with unavailable; the cause: the secret"));
  turn(fd, "X-How: said\r\n", "application/json", "{}", 2);
  assert_string_equal(body(&a), "{\"code\":\"permission_denied\",\"message\":\"the secret\"}");
  assert_false(in_log("secret"));
  close(fd);
}

static void an_error_from_downstream_is_told_by_grpc(void **state) {
  char m[128];
  size_t n;
  client c;
  stream *s;
  (void)state;
  h2_open(&c);
  s = h2_request(&c, "/s.S/Turn", "application/grpc", NULL, m, enveloped(m, ""));
  h2_run(&c);
  assert_string_equal(field(s, "grpc-status"), "7");
  assert_null(field(s, "grpc-status-details-bin"));
  assert_null(strstr(s->fields, "secret"));
  assert_true(in_log("the cause: the secret"));
  n = enveloped(m, "one");
  s = h2_request(&c, "/s.S/Chat", "application/grpc", NULL, m, n);
  h2_run(&c);
  assert_string_equal(field(s, "grpc-status"), "3");
  assert_true(!field(s, "grpc-message") || !*field(s, "grpc-message"));
  assert_true(in_log("/s.S/Chat: answered with invalid_argument; the cause: text: length past the end"));
  h2_free(&c);
}

static void an_error_from_downstream_is_told_by_grpc_web(void **state) {
  char m[64];
  int fd = dial();
  (void)state;
  turn(fd, "", "application/grpc-web+proto", m, enveloped(m, ""));
  assert_int_equal(a.status, 200);
  assert_null(memmem(a.text, a.head + a.body, "secret", 6));
  assert_true(memmem(a.text, a.head + a.body, "grpc-status: 7", 14) || memmem(a.text, a.head + a.body, "grpc-status:7", 13));
  assert_true(in_log("the cause: the secret"));
  close(fd);
}

/* ---- what is counted and told ---- */

static void counters_miss_a_code(void **state) {
  zcrpc_stats before, after;
  struct { uint32_t struct_size, reserved; uint64_t calls; } old = {.struct_size = 16};
  int fd = dial(), n = told();
  (void)state;
  ask_json(fd, "{\"text\":\"hello\"}", &a);
  await_records(n + 1);
  before = stats();
  ask_json(fd, "{\"text\":\"hello\"}", &a);
  ask_json(fd, "{\"text\":\"fail 5 x\"}", &a);
  ask_json(fd, "{\"text\":\"fail 5 x\"}", &a);
  ask_json(fd, "{\"text\":\"bad\"}", &a);
  ask_json(fd, "{\"text\":\"later\"}", &a); /* which finishes twice */
  say(fd, "POST /s.S/None HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}");
  read_answer(fd, &a);
  await_records(n + 7);
  for (int64_t limit = now_ms() + 5000; stats().dropped == before.dropped && now_ms() < limit;) usleep(500);
  after = stats();
  assert_int_equal(after.calls - before.calls, 6);
  assert_int_equal(after.calls_failed - before.calls_failed, 4);
  assert_int_equal(after.codes[ZCRPC_OK] - before.codes[ZCRPC_OK], 2);
  assert_int_equal(after.codes[ZCRPC_NOT_FOUND] - before.codes[ZCRPC_NOT_FOUND], 2);
  assert_int_equal(after.codes[ZCRPC_INTERNAL] - before.codes[ZCRPC_INTERNAL], 1);
  assert_int_equal(after.codes[ZCRPC_UNIMPLEMENTED] - before.codes[ZCRPC_UNIMPLEMENTED], 1);
  assert_int_equal(after.dropped - before.dropped, 1);
  zcrpc_server_stats(server, (zcrpc_stats *)(void *)&old); /* too small to be one: left alone */
  assert_int_equal(old.calls, 0);
  close(fd);
}

static void an_observer_misses_what_telemetry_names(void **state) {
  struct timespec t;
  int fd = dial(), n = told();
  int64_t wall;
  client c;
  stream *s;
  char m[256];
  size_t size = 0;
  (void)state;
  clock_gettime(CLOCK_REALTIME, &t);
  wall = (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
  post_json(fd, "Traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\nTracestate: a=1\r\n", "{\"text\":\"hello\"}");
  read_answer(fd, &a);
  await_records(n + 1);
  assert_int_equal(last.struct_size, sizeof last);
  assert_int_equal(last.code, ZCRPC_OK);
  assert_int_equal(last.protocol, ZCRPC_CONNECT);
  assert_int_equal(last.codec, ZCRPC_JSON);
  assert_int_equal(last.http, ZCRPC_HTTP1);
  assert_string_equal(last_text[0], "s.S");
  assert_string_equal(last_text[1], "Echo");
  assert_string_equal(last_text[2], "/s.S/Echo");
  assert_string_equal(last_text[3], "POST");
  assert_string_equal(last_text[4], "127.0.0.1");
  assert_true(last.peer_port > 0);
  assert_string_equal(last_text[5], "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
  assert_string_equal(last_text[6], "a=1");
  assert_in_range(last.start_ns, wall - 1000000000, wall + 10000000000);
  assert_true(last.wait_ns >= 0 && last.handler_ns >= 0 && last.duration_ns >= last.wait_ns + last.handler_ns);
  assert_int_equal(last.messages_in, 1);
  assert_int_equal(last.messages_out, 1);
  assert_int_equal(last.size_in, 16);
  assert_int_equal(last.size_out, 16);
  assert_int_equal(last.bytes_in, 16);
  assert_int_equal(last.bytes_out, 16);
  say(fd, "POST /s.S/None HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}");
  read_answer(fd, &a);
  await_records(n + 2);
  assert_int_equal(last.code, ZCRPC_UNIMPLEMENTED);
  assert_string_equal(last_text[0], "");
  assert_string_equal(last_text[2], "/s.S/None");
  assert_int_equal(last.wait_ns, -1);
  assert_int_equal(last.handler_ns, -1);
  close(fd);
  for (int i = 0; i < 3; i++) size += enveloped(m + size, "one");
  h2_open(&c);
  s = h2_request(&c, "/s.S/Chat", "application/grpc", NULL, m, size);
  h2_run(&c);
  h2_free(&c);
  await_records(n + 3);
  assert_int_equal(last.code, ZCRPC_INVALID_ARGUMENT);
  assert_int_equal(last.protocol, ZCRPC_GRPC);
  assert_int_equal(last.http, ZCRPC_HTTP2);
  assert_int_equal(last.messages_in, 3);
  assert_int_equal(last.messages_out, 3);
  assert_int_equal(last.size_in, 15);
  assert_int_equal(last.bytes_in, 30);
  assert_int_equal(last.size_out, 30);
  (void)s;
}

static void a_trace_ends_at_the_first_server(void **state) {
  int fd = dial();
  (void)state;
  turn(fd, "X-How: trace\r\nConnect-Timeout-Ms: 7000\r\nTraceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\nTracestate: a=1\r\nTracestate: b=2\r\n",
       "application/json", "{}", 2);
  assert_string_equal(body(&a), "{\"text\":\"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01|a=1|3|1\"}");
  turn(fd, "X-How: trace\r\nTracestate: a=1\r\n", "application/json", "{}", 2); /* a state of nothing */
  assert_string_equal(body(&a), "{\"text\":\"||0|0\"}");
  close(fd);
  assert_int_equal(zcrpc_call_pass_on(NULL, NULL, 1, NULL), ZCRPC_INVALID_ARGUMENT);
}

/* ---- replaced while calls run ---- */

typedef struct version {
  const zcrpc_method *m;
  int64_t number;
  atomic_int *wrong;
} version;

static zcrpc_code of_version(zcrpc_call *call, const zcrpc_view *request, zcrpc_encoder *reply, void *user) {
  version *v = user;
  zcrpc_call_info info = {.struct_size = sizeof info};
  zcrpc_slice text;
  zcrpc_call_get_info(call, &info);
  if (info.method != v->m) atomic_fetch_add(v->wrong, 1);
  zcrpc_view_string(request, TEXT, &text);
  if (is(text, "never")) return atomic_store(&kept, zcrpc_call_retain(call)), ZCRPC_PENDING;
  zcrpc_encoder_put_int64(reply, NUMBER, v->number);
  return ZCRPC_OK;
}

static atomic_int over, answered;
static void *call_on(void *user) {
  atomic_int *wrong = user;
  static _Thread_local answer mine;
  int fd = dial();
  while (!atomic_load(&over)) {
    const char *json = "{\"text\":\"x\"}";
    char head[256];
    int h = snprintf(head, sizeof head, "POST /s.S/Get HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s", strlen(json), json);
    size_t have = 0;
    send_all(fd, head, (size_t)h);
    do {
      ssize_t k = recv(fd, mine.text + have, sizeof mine.text - 1 - have, 0);
      if (k <= 0) break;
      have += (size_t)k;
      mine.text[have] = 0;
    } while (!strstr(mine.text, "\r\n\r\n{\"number\":\"1\"}") && !strstr(mine.text, "\r\n\r\n{\"number\":\"2\"}") && !strstr(mine.text, "\r\n\r\n{\"n0mber\":\"2\"}"));
    if (strncmp(mine.text, "HTTP/1.1 200", 12) || strstr(mine.text, "{\"number\":\"2\"}")) atomic_fetch_add(wrong, 1);
    atomic_fetch_add(&answered, 1);
  }
  close(fd);
  return NULL;
}

static void a_replaced_schema_breaks_a_call_that_runs(void **state) {
  static unsigned char second[sizeof kServeSet];
  zcrpc_schema *one = zcrpc_schema_new(kServeSet, sizeof kServeSet, NULL), *two;
  atomic_int wrong = 0;
  version v1 = {zcrpc_schema_method(one, "s.S/Get"), 1, &wrong}, v2 = {NULL, 2, &wrong};
  zcrpc_options *o = zcrpc_options_new(ZCRPC_FOR_CALL, NULL);
  pthread_t threads[3];
  unsigned char *name;
  int fd;
  (void)state;
  (void)zcrpc_options_set_int(o, ZCRPC_SERVER_OVERRIDE, 1, NULL);
  memcpy(second, kServeSet, sizeof second);
  /* The second version spells a field otherwise: its name, and its name in JSON. */
  while ((name = memmem(second, sizeof second, "number", 6))) name[1] = '0';
  two = zcrpc_schema_new(second, sizeof second, NULL);
  assert_non_null(two);
  v2.m = zcrpc_schema_method(two, "s.S/Get");
  assert_int_equal(zcrpc_server_handle(server, v1.m, o, of_version, &v1, NULL), ZCRPC_OK);
  fd = dial();
  say(fd, "POST /s.S/Get HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 16\r\n\r\n{\"text\":\"never\"}");
  while (!atomic_load(&kept)) usleep(500);
  for (int i = 0; i < 3; i++) pthread_create(&threads[i], NULL, call_on, &wrong);
  for (int i = 0; i < 100 || atomic_load(&answered) < 100; i++) {
    assert_int_equal(zcrpc_server_handle(server, i & 1 ? v1.m : v2.m, o, of_version, i & 1 ? &v1 : &v2, NULL), ZCRPC_OK);
    usleep(500);
  }
  assert_int_equal(zcrpc_server_handle(server, v2.m, o, of_version, &v2, NULL), ZCRPC_OK);
  atomic_store(&over, 1);
  for (int i = 0; i < 3; i++) pthread_join(threads[i], NULL);
  zcrpc_schema_release(one); /* the call that waits still has it */
  zcrpc_schema_release(two);
  zcrpc_encoder_put_int64(zcrpc_call_encoder(atomic_load(&kept)), NUMBER, 1);
  zcrpc_call_finish(atomic_load(&kept), NULL);
  release_kept();
  read_answer(fd, &a);
  assert_string_equal(body(&a), "{\"number\":\"1\"}");
  say(fd, "POST /s.S/Get HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}");
  read_answer(fd, &a);
  assert_string_equal(body(&a), "{\"n0mber\":\"2\"}");
  close(fd);
  assert_int_equal(atomic_load(&wrong), 0);
  zcrpc_options_free(o);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(an_error_from_downstream_is_told_by_connect),
      cmocka_unit_test(an_error_from_downstream_is_told_by_grpc),
      cmocka_unit_test(an_error_from_downstream_is_told_by_grpc_web),
      cmocka_unit_test(counters_miss_a_code),
      cmocka_unit_test(an_observer_misses_what_telemetry_names),
      cmocka_unit_test(a_trace_ends_at_the_first_server),
      cmocka_unit_test(a_replaced_schema_breaks_a_call_that_runs),
  };
  return cmocka_run_group_tests(tests, start, end);
}
