/* grpc.health.v1 in the box: Check, Watch and List in every protocol, and what drain makes of them. */
#include "h2.h"

#include <sys/resource.h>

static answer a;
static client c;

static void ask(int fd, const char *method, const char *json) {
  char text[512];
  snprintf(text, sizeof text, "POST /grpc.health.v1.Health/%s HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
           method, strlen(json), json);
  say(fd, text);
  read_answer(fd, &a);
}

/* A request for that service in an envelope, or bare. */
static size_t request(char *out, const char *service, int envelope) {
  char *p = envelope ? out + 5 : out;
  size_t n = strlen(service);
  if (n) {
    p[0] = 0x0A;
    p[1] = (char)n;
    memcpy(p + 2, service, n);
    n += 2;
  }
  if (!envelope) return n;
  memset(out, 0, 4);
  out[4] = (char)n;
  return n + 5;
}

static void a_protocol_is_not_answered(void **state) {
  static const struct {
    const char *type;
    int envelope;
    const char *want;
    size_t size;
  } cases[] = {
      {"application/proto", 0, "\x08\x01", 2},
      {"application/json", 2, "{\"status\":\"SERVING\"}", 20},
      {"application/grpc", 1, "\0\0\0\0\2\x08\x01", 7},
      {"application/grpc+proto", 1, "\0\0\0\0\2\x08\x01", 7},
      {"application/grpc-web+proto", 1, "\0\0\0\0\2\x08\x01", 7},
  };
  char in[64];
  (void)state;
  h2_open(&c);
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    size_t n = cases[i].envelope == 2 ? 2 : request(in, "", cases[i].envelope);
    if (cases[i].envelope == 2) memcpy(in, "{}", 2);
    stream *t = h2_request(&c, "/grpc.health.v1.Health/Check", cases[i].type, NULL, in, n);
    h2_run(&c);
    assert_int_equal(t->status, 200);
    assert_true(t->got >= cases[i].size);
    assert_memory_equal(t->body, cases[i].want, cases[i].size);
  }
  h2_free(&c);
}

static void a_service_that_was_not_set_is_known(void **state) {
  char in[64];
  int fd = dial();
  (void)state;
  ask(fd, "Check", "{\"service\":\"s.S\"}");
  assert_int_equal(a.status, 404);
  assert_string_equal(body(&a), "{\"code\":\"not_found\",\"message\":\"unknown service\"}");
  assert_int_equal(zcrpc_server_set_health(server, "s.S", 0, NULL), ZCRPC_OK);
  ask(fd, "Check", "{\"service\":\"s.S\"}");
  assert_string_equal(body(&a), "{\"status\":\"NOT_SERVING\"}");
  assert_int_equal(zcrpc_server_set_health(server, "s.S", 1, NULL), ZCRPC_OK);
  ask(fd, "Check", "{\"service\":\"s.S\"}");
  assert_string_equal(body(&a), "{\"status\":\"SERVING\"}");
  ask(fd, "Check", "{}");
  assert_string_equal(body(&a), "{\"status\":\"SERVING\"}");
  ask(fd, "List", "{}");
  assert_int_equal(a.status, 200);
  assert_string_equal(body(&a), "{\"statuses\":{\"\":{\"status\":\"SERVING\"},\"s.S\":{\"status\":\"SERVING\"}}}");
  close(fd);
  h2_open(&c);
  stream *t = h2_request(&c, "/grpc.health.v1.Health/Check", "application/grpc", NULL, in, request(in, "no.Such", 1));
  h2_run(&c);
  assert_string_equal(field(t, "grpc-status"), "5");
  h2_free(&c);
  assert_int_equal(zcrpc_server_set_health(server, NULL, 1, NULL), ZCRPC_INVALID_ARGUMENT);
  assert_int_equal(zcrpc_server_set_health(server, "s.S", 2, NULL), ZCRPC_INVALID_ARGUMENT);
  assert_int_equal(zcrpc_server_set_health(NULL, "s.S", 1, NULL), ZCRPC_INVALID_ARGUMENT);
}

static void receive(stream *t, size_t size) {
  while (t->got < size && h2_step(&c)) {}
  assert_int_equal(t->got, size);
}
static int status_at(const stream *t, size_t i) { return t->body[i * 7 + 6]; }

static void a_watcher_is_not_told_of_a_change(void **state) {
  char in[64], in2[64];
  (void)state;
  h2_open(&c);
  /* Nothing is known of it: that is a status here, and the stream stays open. */
  stream *t = h2_request(&c, "/grpc.health.v1.Health/Watch", "application/grpc", NULL, in, request(in, "w.W", 1));
  stream *all = h2_request(&c, "/grpc.health.v1.Health/Watch", "application/connect+proto", NULL, in2, request(in2, "", 1));
  receive(t, 7);
  assert_int_equal(status_at(t, 0), 3);
  receive(all, 7);
  assert_int_equal(status_at(all, 0), 1);
  zcrpc_server_set_health(server, "w.W", 1, NULL);
  receive(t, 14);
  assert_int_equal(status_at(t, 1), 1);
  zcrpc_server_set_health(server, "w.W", 1, NULL); /* no change: no message */
  zcrpc_server_set_health(server, "other", 0, NULL);
  zcrpc_server_set_health(server, "w.W", 0, NULL);
  receive(t, 21);
  assert_int_equal(status_at(t, 2), 2);
  assert_int_equal(all->got, 7);
  assert_false(t->closed);
  /* The client goes: the next change finds nobody. */
  nghttp2_submit_rst_stream(c.session, NGHTTP2_FLAG_NONE, t->id, NGHTTP2_CANCEL);
  nghttp2_submit_rst_stream(c.session, NGHTTP2_FLAG_NONE, all->id, NGHTTP2_CANCEL);
  nghttp2_session_send(c.session);
  zcrpc_server_set_health(server, "w.W", 1, NULL);
  h2_free(&c);
}

static atomic_int going;
static void *flap(void *user) {
  for (int i = 0; atomic_load(&going); i++) zcrpc_server_set_health(server, "f.F", i & 1, NULL);
  return user;
}

static void many_threads_set_while_many_watch(void **state) {
  enum { THREADS = 4, WATCHERS = 40 };
  pthread_t threads[THREADS];
  char in[64];
  size_t n = request(in, "f.F", 1);
  (void)state;
  atomic_store(&going, 1);
  for (int i = 0; i < THREADS; i++) pthread_create(&threads[i], NULL, flap, NULL);
  h2_open(&c);
  for (int i = 0; i < WATCHERS; i++) h2_request(&c, "/grpc.health.v1.Health/Watch", "application/grpc", NULL, in, n);
  for (int64_t end = now_ms() + 300; now_ms() < end && h2_step(&c);) {}
  atomic_store(&going, 0);
  for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
  /* Afterwards each hears of the last word. */
  zcrpc_server_set_health(server, "f.F", 0, NULL);
  zcrpc_server_set_health(server, "f.F", 1, NULL);
  for (int i = 0; i < WATCHERS; i++) {
    stream *t = &c.streams[i];
    for (int64_t end = now_ms() + 10000; (t->got == 0 || t->body[t->got - 1] != 1) && now_ms() < end && h2_step(&c);) {}
    assert_true(t->got > 0);
    assert_int_equal(t->got % 7, 0);
    assert_int_equal(t->body[t->got - 1], 1);
  }
  h2_free(&c);
}

static void drain_closes_before_health_says_so(void **state) {
  zcrpc_options *o = server_options();
  char in[64], in2[64];
  (void)state;
  set_int(o, ZCRPC_SERVER_LAME_DUCK, 2000);
  server_start(o, 2);
  zcrpc_server_set_health(server, "s.S", 1, NULL);
  h2_open(&c);
  stream *t = h2_request(&c, "/grpc.health.v1.Health/Watch", "application/grpc", NULL, in, request(in, "s.S", 1));
  stream *unknown = h2_request(&c, "/grpc.health.v1.Health/Watch", "application/grpc", NULL, in2, request(in2, "no.Such", 1));
  receive(t, 7);
  receive(unknown, 7);
  int64_t began = now_ms();
  zcrpc_server_drain(server, 5000);
  receive(t, 14);
  assert_int_equal(status_at(t, 1), 2);
  assert_int_equal(c.goaways, 0);
  /* The listener is open still, and whoever asks anew is told the same, whatever is set now. */
  zcrpc_server_set_health(server, "s.S", 1, NULL);
  int fd = dial();
  ask(fd, "Check", "{\"service\":\"s.S\"}");
  assert_string_equal(body(&a), "{\"status\":\"NOT_SERVING\"}");
  close(fd);
  fd = dial();
  ask(fd, "Check", "{}");
  assert_string_equal(body(&a), "{\"status\":\"NOT_SERVING\"}");
  close(fd);
  /* Then watches end, and do not hold the drain up until its deadline. */
  h2_run(&c);
  assert_string_equal(field(t, "grpc-status"), "14");
  assert_int_equal(status_at(unknown, 0), 3);
  assert_string_equal(field(unknown, "grpc-status"), "14");
  assert_int_equal(unknown->got, 7);
  h2_free(&c);
  pthread_join(server_thread, NULL);
  assert_in_range(now_ms() - began, 1950, 6500); /* and not 2 s and 5 */
  zcrpc_server_free(server);
  zcrpc_schema_release(schema);
}

/* Without an option the listeners stay open for whoever polls, and for nobody else. */
static void a_balancer_that_polls_has_no_time_to_look(void **state) {
  (void)state;
  server_start(NULL, 2);
  int64_t began = now_ms();
  zcrpc_server_drain(server, 5000);
  pthread_join(server_thread, NULL);
  assert_true(now_ms() - began < 4500); /* and not 5 s */
  zcrpc_server_free(server);
  zcrpc_schema_release(schema);
  for (int watches = 0; watches < 2; watches++) {
    char in[64];
    server_start(NULL, 2);
    int fd = dial();
    if (watches) {
      h2_open(&c);
      receive(h2_request(&c, "/grpc.health.v1.Health/Watch", "application/grpc", NULL, in, request(in, "", 1)), 7);
    } else {
      ask(fd, "Check", "{}");
    }
    began = now_ms();
    zcrpc_server_drain(server, 100); /* begins behind the 5 s */
    usleep(400000);
    close(fd);
    fd = dial();
    ask(fd, "Check", "{}");
    assert_string_equal(body(&a), "{\"status\":\"NOT_SERVING\"}");
    close(fd);
    if (watches) assert_int_equal(c.goaways, 0);
    zcrpc_server_drain(server, 0); /* at once: the test need not wait */
    if (watches) {
      h2_run(&c);
      h2_free(&c);
    }
    pthread_join(server_thread, NULL);
    assert_in_range(now_ms() - began, 400, 4900);
    zcrpc_server_free(server);
    zcrpc_schema_release(schema);
  }
}

/* A watch whose last event is taken after its server has gone. */
static void a_watch_outlives_its_server_badly(void **state) {
  zcrpc_loop *loop = zcrpc_loop_new(NULL, NULL);
  zcrpc_turn turn = {.struct_size = sizeof turn, .timeout_ms = 20};
  char in[64];
  (void)state;
  server_make(NULL);
  assert_int_equal(zcrpc_server_attach(server, loop, NULL), ZCRPC_OK);
  h2_open(&c);
  stream *t = h2_request(&c, "/grpc.health.v1.Health/Watch", "application/grpc", NULL, in, request(in, "", 1));
  nghttp2_session_send(c.session);
  for (int i = 0; i < 5; i++) assert_int_equal(zcrpc_loop_turn(loop, &turn, NULL), ZCRPC_OK);
  receive(t, 7);
  zcrpc_server_set_health(server, "", 0, NULL);
  zcrpc_server_free(server);
  for (int i = 0; i < 3; i++) assert_int_equal(zcrpc_loop_turn(loop, &turn, NULL), ZCRPC_OK);
  zcrpc_loop_free(loop);
  zcrpc_schema_release(schema);
  h2_free(&c);
}

static int mine;
static atomic_int own_ends, strangers;
static zcrpc_code keep_own(zcrpc_call *call, const zcrpc_event *e, const zcrpc_view *m, void *user) {
  (void)m, (void)user;
  if (e->kind == ZCRPC_EVENT_HEADERS) zcrpc_call_set_user(call, &mine);
  if (e->kind != ZCRPC_EVENT_DONE) return ZCRPC_OK;
  if (zcrpc_call_user(call) != &mine) atomic_fetch_add(&strangers, 1);
  atomic_fetch_add(&own_ends, 1);
  return ZCRPC_OK;
}

static void a_watch_and_an_interceptor_take_each_others_state(void **state) {
  zcrpc_options *o = server_options();
  char in[64];
  (void)state;
  assert_int_equal(zcrpc_options_add_interceptor(o, keep_own, NULL, NULL), ZCRPC_OK);
  server_start(o, 1);
  h2_open(&c);
  stream *t = h2_request(&c, "/grpc.health.v1.Health/Watch", "application/grpc", NULL, in, request(in, "w.W", 1));
  receive(t, 7);
  zcrpc_server_set_health(server, "w.W", 1, NULL);
  receive(t, 14);
  h2_free(&c);
  server_stop(2000);
  assert_int_equal(atomic_load(&own_ends), 1);
  assert_int_equal(atomic_load(&strangers), 0);
}

/* A second loop cannot have its listener: that is no end of the server, which goes on serving on the first. */
static void a_loop_that_cannot_serve_ends_all_health(void **state) {
  zcrpc_loop *loop = zcrpc_loop_new(NULL, NULL), *second = zcrpc_loop_new(NULL, NULL);
  zcrpc_turn turn = {.struct_size = sizeof turn, .timeout_ms = 20};
  struct rlimit was, none;
  char in[64];
  (void)state;
  server_make(NULL);
  assert_int_equal(zcrpc_server_attach(server, loop, NULL), ZCRPC_OK);
  assert_int_equal(getrlimit(RLIMIT_NOFILE, &was), 0);
  none = was;
  none.rlim_cur = 0;
  assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
  zcrpc_code code = zcrpc_server_attach(server, second, NULL);
  assert_int_equal(setrlimit(RLIMIT_NOFILE, &was), 0);
  assert_int_not_equal(code, ZCRPC_OK);
  h2_open(&c);
  stream *t = h2_request(&c, "/grpc.health.v1.Health/Watch", "application/grpc", NULL, in, request(in, "", 1));
  nghttp2_session_send(c.session);
  for (int i = 0; i < 5; i++) assert_int_equal(zcrpc_loop_turn(loop, &turn, NULL), ZCRPC_OK);
  receive(t, 7);
  assert_int_equal(status_at(t, 0), 1);
  assert_false(t->closed);
  h2_free(&c);
  zcrpc_server_free(server);
  for (int i = 0; i < 3; i++) assert_int_equal(zcrpc_loop_turn(loop, &turn, NULL), ZCRPC_OK);
  zcrpc_loop_free(loop);
  zcrpc_loop_free(second);
  zcrpc_schema_release(schema);
}

static void health_cannot_be_left_out(void **state) {
  zcrpc_options *o = server_options();
  (void)state;
  set_int(o, ZCRPC_SERVER_HEALTH, 0);
  server_start(o, 1);
  int fd = dial();
  ask(fd, "Check", "{}");
  assert_int_equal(a.status, 404);
  close(fd);
  assert_int_equal(zcrpc_server_set_health(server, "s.S", 1, NULL), ZCRPC_OK);
  server_stop(2000);
}

int main(void) {
  const struct CMUnitTest shared[] = {
      cmocka_unit_test(a_protocol_is_not_answered),
      cmocka_unit_test(a_service_that_was_not_set_is_known),
      cmocka_unit_test(a_watcher_is_not_told_of_a_change),
      cmocka_unit_test(many_threads_set_while_many_watch),
  };
  const struct CMUnitTest alone[] = {
      cmocka_unit_test(drain_closes_before_health_says_so),
      cmocka_unit_test(a_balancer_that_polls_has_no_time_to_look),
      cmocka_unit_test(a_watch_outlives_its_server_badly),
      cmocka_unit_test(a_watch_and_an_interceptor_take_each_others_state),
      cmocka_unit_test(a_loop_that_cannot_serve_ends_all_health),
      cmocka_unit_test(health_cannot_be_left_out),
  };
  int failed = cmocka_run_group_tests(shared, start_default, stop_default);
  return failed + cmocka_run_group_tests(alone, NULL, NULL);
}
