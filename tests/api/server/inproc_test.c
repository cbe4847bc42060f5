#define _GNU_SOURCE
/* A channel to a server of the same process: the same answers, errors, metadata, limits, deadlines and ends as over sockets,
 * without one; with the server on loops of its own, and on the very loop that calls. */
#include <dirent.h>

#include "serve.h"

static zcrpc_channel *channel; /* without a loop: blocking callers */
static atomic_int ended_code, intercepted;

static zcrpc_code note_end(zcrpc_call *call, const zcrpc_event *e, const zcrpc_view *m, void *user) {
  zcrpc_call_info info = {.struct_size = sizeof info};
  (void)m;
  (void)user;
  zcrpc_call_get_info(call, &info);
  if (e->kind == ZCRPC_EVENT_HEADERS) {
    zcrpc_slice s = {"", 0};
    atomic_fetch_add(&intercepted, 1);
    if (info.http != 0 || info.peer.len != 6 || memcmp(info.peer.data, "inproc", 6)) return ZCRPC_INTERNAL;
    if (zcrpc_metadata_get(zcrpc_call_metadata(call, ZCRPC_REQUEST_HEADERS), "x-refuse", &s)) return zcrpc_call_fail(call, ZCRPC_PERMISSION_DENIED, "no", 2);
  }
  if (e->kind == ZCRPC_EVENT_DONE) atomic_store(&ended_code, e->value);
  return ZCRPC_OK;
}

static zcrpc_options *options(void) {
  zcrpc_options *o = server_options();
  assert_int_equal(zcrpc_options_add_interceptor(o, note_end, NULL, NULL), ZCRPC_OK);
  set_int(o, ZCRPC_LIMIT_MESSAGE, 100000);
  set_int(o, ZCRPC_SERVER_LINGER, 60000); /* of sockets alone */
  return o;
}

static int start(void **state) {
  zcrpc_error *err = NULL;
  (void)state;
  signal(SIGALRM, SIG_DFL);
  alarm(170);
  server_start(options(), 2);
  channel = zcrpc_channel_new_inproc(NULL, server, NULL, &err);
  if (!channel) fail_msg("%s", zcrpc_error_message(err));
  return 0;
}
static int end(void **state) {
  zcrpc_channel_free(channel);
  return stop_default(state);
}

static zcrpc_call *open_call(zcrpc_channel *ch, const char *name, const char *text) {
  zcrpc_error *err = NULL;
  zcrpc_call *c = zcrpc_channel_open(ch, method(name), NULL, &err);
  if (!c) fail_msg("%s", zcrpc_error_message(err));
  zcrpc_encoder_put_string(zcrpc_call_encoder(c), TEXT, text, ZCRPC_NTS);
  return c;
}

/* The server's threads need a moment until they serve. */
static const zcrpc_view *answer_of(zcrpc_call **c, const char *text) {
  for (int64_t limit = now_ms() + 5000;;) {
    zcrpc_error *err = NULL;
    const zcrpc_view *v = zcrpc_call_unary(*c, &err);
    if (v) return v;
    if (zcrpc_error_code(err) != ZCRPC_UNAVAILABLE || now_ms() > limit) fail_msg("%s", zcrpc_error_message(err));
    zcrpc_error_free(err);
    zcrpc_call_release(*c);
    usleep(1000);
    *c = open_call(channel, "s.S/Echo", text);
  }
}

static int sockets(void) {
  DIR *d = opendir("/proc/self/fd");
  struct dirent *e;
  int n = 0;
  while ((e = readdir(d))) {
    char path[64], to[128] = "";
    snprintf(path, sizeof path, "/proc/self/fd/%.20s", e->d_name);
    if (readlink(path, to, sizeof to - 1) > 0 && strncmp(to, "socket:", 7) == 0) n++;
  }
  closedir(d);
  return n;
}

static void answers_differ(void **state) {
  zcrpc_call *c = open_call(channel, "s.S/Echo", "hello");
  const zcrpc_view *v = answer_of(&c, "hello");
  zcrpc_slice s;
  int before = sockets();
  (void)state;
  zcrpc_view_string(v, TEXT, &s);
  assert_int_equal(s.len, 5);
  assert_memory_equal(s.data, "hello", 5);
  zcrpc_call_release(c);
  for (int i = 0; i < 200; i++) {
    char text[32];
    snprintf(text, sizeof text, i & 1 ? "size %d" : "later", i * 100);
    c = open_call(channel, i & 2 ? "s.S/Get" : "s.S/Echo", text);
    v = zcrpc_call_unary(c, NULL);
    assert_non_null(v);
    zcrpc_view_string(v, PAYLOAD, &s);
    assert_int_equal(s.len, i & 1 ? i * 100 : 0);
    zcrpc_call_release(c);
  }
  assert_int_equal(sockets(), before);
  assert_int_equal(stats().connections, 0);
  assert_true(atomic_load(&intercepted) >= 200);
}

static void errors_and_metadata_differ(void **state) {
  zcrpc_call *c = open_call(channel, "s.S/Echo", "detail");
  zcrpc_error *err = NULL;
  zcrpc_slice type, value, s = {"", 0};
  (void)state;
  assert_null(zcrpc_call_unary(c, &err));
  assert_int_equal(zcrpc_error_code(err), ZCRPC_NOT_FOUND);
  assert_string_equal(zcrpc_error_message(err), "no \"such\" thing \xc3\xa9");
  assert_int_equal(zcrpc_error_detail_count(err), 1);
  zcrpc_error_detail(err, 0, &type, &value);
  assert_int_equal(value.len, 4);
  assert_true(zcrpc_metadata_get(zcrpc_error_metadata(err), "x-why", &s));
  zcrpc_error_free(err);
  zcrpc_call_release(c);

  c = open_call(channel, "s.S/Echo", "meta");
  zcrpc_metadata_add(zcrpc_call_metadata(c, ZCRPC_REQUEST_HEADERS), "x-ask", "this", 4, NULL);
  assert_non_null(zcrpc_call_unary(c, NULL));
  assert_true(zcrpc_metadata_get(zcrpc_call_metadata(c, ZCRPC_RESPONSE_HEADERS), "x-head", &s));
  assert_memory_equal(s.data, "this", 4);
  assert_true(zcrpc_metadata_get(zcrpc_call_metadata(c, ZCRPC_RESPONSE_TRAILERS), "x-tail-bin", &s));
  assert_int_equal(s.len, 2);
  assert_memory_equal(s.data, "\0\xff", 2);
  zcrpc_call_release(c);

  c = open_call(channel, "s.S/Echo", "hello");
  zcrpc_metadata_add(zcrpc_call_metadata(c, ZCRPC_REQUEST_HEADERS), "x-refuse", "1", 1, NULL);
  err = NULL;
  assert_null(zcrpc_call_unary(c, &err));
  assert_int_equal(zcrpc_error_code(err), ZCRPC_PERMISSION_DENIED);
  zcrpc_error_free(err);
  zcrpc_call_release(c);

}

static zcrpc_code code_of(zcrpc_call *c) {
  zcrpc_error *err = NULL;
  zcrpc_code code = zcrpc_call_unary(c, &err) ? ZCRPC_OK : zcrpc_error_code(err);
  zcrpc_error_free(err);
  zcrpc_call_release(c);
  return code;
}

static void limits_and_deadlines_differ(void **state) {
  static char big[200000];
  zcrpc_call *c = open_call(channel, "s.S/Echo", "x");
  int64_t begun;
  (void)state;
  zcrpc_encoder_put_string(zcrpc_call_encoder(c), PAYLOAD, big, sizeof big);
  assert_int_equal(code_of(c), ZCRPC_RESOURCE_EXHAUSTED);
  c = open_call(channel, "s.S/Turn", "x");
  assert_int_equal(code_of(c), ZCRPC_UNIMPLEMENTED);
  begun = now_ms();
  c = open_call(channel, "s.S/Echo", "never");
  zcrpc_call_set_timeout(c, 200);
  assert_int_equal(code_of(c), ZCRPC_DEADLINE_EXCEEDED);
  assert_in_range(now_ms() - begun, 150, 3000);
  while (!atomic_load(&kept)) usleep(500);
  release_kept();
  begun = now_ms();
  c = open_call(channel, "s.S/Echo", "cancel");
  assert_int_equal(code_of(c), ZCRPC_UNAVAILABLE);
  assert_in_range(now_ms() - begun, 0, 30000); /* nothing lingers where there is no socket */
  c = open_call(channel, "s.S/Echo", "drop");
  assert_int_equal(code_of(c), ZCRPC_INTERNAL);
}

/* ---- on one loop, and from it ---- */

typedef struct outcome {
  int done;
  zcrpc_code code;
  char text[64];
} outcome;
static void on_done(zcrpc_call *call, const zcrpc_event *e, const zcrpc_view *m, void *user) {
  outcome *o = user;
  zcrpc_slice s;
  (void)call;
  zcrpc_view_string(m, TEXT, &s);
  snprintf(o->text, sizeof o->text, "%.*s", (int)s.len, s.data);
  o->code = e->value;
  o->done++;
}
static void turn_until(zcrpc_loop *l, const int *count, int n) {
  int64_t limit = now_ms() + 5000;
  while (*count < n && now_ms() < limit) {
    zcrpc_turn t = {.struct_size = sizeof t, .timeout_ms = 20};
    assert_int_equal(zcrpc_loop_turn(l, &t, NULL), ZCRPC_OK);
  }
  assert_int_equal(*count, n);
}

static void one_loop_for_both_hangs(void **state) {
  zcrpc_loop *l = zcrpc_loop_new(NULL, NULL);
  zcrpc_options *o = options();
  zcrpc_server *s = zcrpc_server_new(o, NULL);
  zcrpc_channel *ch = zcrpc_channel_new_inproc(l, s, NULL, NULL);
  outcome got = {0};
  zcrpc_call *c;
  (void)state;
  zcrpc_options_free(o);
  assert_int_equal(zcrpc_server_handle(s, method("s.S/Echo"), NULL, handler, NULL, NULL), ZCRPC_OK);
  c = open_call(ch, "s.S/Echo", "early");
  assert_int_equal(zcrpc_call_start(c, 0, on_done, &got, NULL), ZCRPC_OK);
  turn_until(l, &got.done, 1);
  assert_int_equal(got.code, ZCRPC_UNAVAILABLE); /* nobody serves yet */
  zcrpc_call_release(c);
  assert_int_equal(zcrpc_server_attach(s, l, NULL), ZCRPC_OK);
  c = open_call(ch, "s.S/Echo", "hello");
  assert_int_equal(zcrpc_call_start(c, 0, on_done, &got, NULL), ZCRPC_OK);
  assert_int_equal(got.done, 1); /* handlers and functions run in turns only */
  turn_until(l, &got.done, 2);
  assert_int_equal(got.code, ZCRPC_OK);
  assert_string_equal(got.text, "hello");
  zcrpc_call_release(c);
  /* A caller that goes is a client that goes. */
  atomic_store(&ended_code, -1);
  c = open_call(ch, "s.S/Echo", "never");
  assert_int_equal(zcrpc_call_start(c, 0, on_done, &got, NULL), ZCRPC_OK);
  for (int i = 0; i < 5; i++) zcrpc_loop_turn(l, &(zcrpc_turn){.struct_size = sizeof(zcrpc_turn), .timeout_ms = 5}, NULL);
  assert_non_null(atomic_load(&kept));
  zcrpc_call_cancel(c);
  turn_until(l, &got.done, 3);
  assert_int_equal(got.code, ZCRPC_CANCELED);
  for (int i = 0; i < 5; i++) zcrpc_loop_turn(l, &(zcrpc_turn){.struct_size = sizeof(zcrpc_turn), .timeout_ms = 5}, NULL);
  assert_int_equal(atomic_load(&ended_code), ZCRPC_CANCELED);
  assert_true(zcrpc_call_is_done(atomic_load(&kept)));
  release_kept();
  zcrpc_call_release(c);
  /* A server that ends takes its calls along; the channel lives on. */
  c = open_call(ch, "s.S/Echo", "never");
  assert_int_equal(zcrpc_call_start(c, 0, on_done, &got, NULL), ZCRPC_OK);
  for (int i = 0; i < 5; i++) zcrpc_loop_turn(l, &(zcrpc_turn){.struct_size = sizeof(zcrpc_turn), .timeout_ms = 5}, NULL);
  zcrpc_server_drain(s, 50);
  turn_until(l, &got.done, 4);
  assert_int_equal(got.code, ZCRPC_UNAVAILABLE);
  release_kept();
  zcrpc_call_release(c);
  c = open_call(ch, "s.S/Echo", "hello");
  assert_int_equal(zcrpc_call_start(c, 0, on_done, &got, NULL), ZCRPC_OK);
  turn_until(l, &got.done, 5);
  assert_int_equal(got.code, ZCRPC_UNAVAILABLE);
  zcrpc_call_release(c);
  zcrpc_channel_free(ch);
  zcrpc_server_free(s);
  zcrpc_loop_free(l);
}

/* ---- many threads ---- */

static void *call_much(void *user) {
  zcrpc_channel *ch = user;
  intptr_t bad = 0;
  for (int i = 0; i < 200; i++) {
    zcrpc_call *c = zcrpc_channel_open(ch, method("s.S/Echo"), NULL, NULL);
    zcrpc_encoder_put_string(zcrpc_call_encoder(c), TEXT, i % 3 ? "later" : "hello", ZCRPC_NTS);
    if (i % 7 == 0) zcrpc_call_set_timeout(c, i % 2);
    if (!zcrpc_call_unary(c, NULL) && i % 7) bad++;
    zcrpc_call_release(c);
  }
  return (void *)bad;
}

static void threads_get_in_each_others_way(void **state) {
  pthread_t t[4];
  (void)state;
  for (int i = 0; i < 4; i++) pthread_create(&t[i], NULL, call_much, channel);
  for (int i = 0; i < 4; i++) {
    void *bad;
    pthread_join(t[i], &bad);
    assert_null(bad);
  }
}

/* ---- the last word of a server ---- */

static zcrpc_call *pair[2]; /* of the server's thread */
static atomic_int begun, done_events;
static void on_pair(zcrpc_call *call, const zcrpc_event *e, const zcrpc_view *m, void *user) {
  (void)m, (void)user;
  if (e->kind == ZCRPC_EVENT_REQUEST) pair[atomic_fetch_add(&begun, 1)] = call;
  if (e->kind != ZCRPC_EVENT_DONE) return;
  /* The end of one is the answer of the other: its connection is the last, and closes as the round ends. */
  if (atomic_fetch_add(&done_events, 1) == 0) zcrpc_call_finish(pair[pair[0] == call], NULL);
}
static void *ask_pair(void *call) {
  (void)zcrpc_call_unary(call, NULL);
  zcrpc_call_release(call);
  return NULL;
}

/* On its own: the server of the others has stopped. */
static void a_call_that_ends_with_its_server_does_not_hear_of_it(void **state) {
  zcrpc_options *call_options = zcrpc_options_new(ZCRPC_FOR_CALL, NULL);
  pthread_t t[2];
  (void)state;
  server_make(NULL);
  set_int(call_options, ZCRPC_SERVER_OVERRIDE, 1);
  assert_int_equal(zcrpc_server_handle_events(server, method("s.S/Echo"), call_options, on_pair, NULL, NULL), ZCRPC_OK);
  zcrpc_options_free(call_options);
  pthread_create(&server_thread, NULL, server_main, (void *)1);
  zcrpc_channel *ch = zcrpc_channel_new_inproc(NULL, server, NULL, NULL);
  for (int served = 0; !served; usleep(1000)) {
    zcrpc_call *c = open_call(ch, "s.S/Get", "hello");
    served = zcrpc_call_unary(c, NULL) != NULL;
    zcrpc_call_release(c);
  }
  for (int i = 0; i < 2; i++) {
    zcrpc_call *c = open_call(ch, "s.S/Echo", "x");
    if (i) zcrpc_call_set_timeout(c, 300);
    pthread_create(&t[i], NULL, ask_pair, c);
  }
  for (int64_t limit = now_ms() + 10000; atomic_load(&begun) < 2 && now_ms() < limit;) usleep(500);
  zcrpc_server_drain(server, 10000);
  pthread_join(server_thread, NULL);
  assert_int_equal(atomic_load(&done_events), 2);
  for (int i = 0; i < 2; i++) pthread_join(t[i], NULL);
  zcrpc_channel_free(ch);
  zcrpc_server_free(server);
  zcrpc_schema_release(schema);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(answers_differ),
      cmocka_unit_test(errors_and_metadata_differ),
      cmocka_unit_test(limits_and_deadlines_differ),
      cmocka_unit_test(threads_get_in_each_others_way),
      cmocka_unit_test(one_loop_for_both_hangs),
  };
  const struct CMUnitTest alone[] = {
      cmocka_unit_test(a_call_that_ends_with_its_server_does_not_hear_of_it),
  };
  int failed = cmocka_run_group_tests(tests, start, end);
  return failed + cmocka_run_group_tests(alone, NULL, NULL);
}
