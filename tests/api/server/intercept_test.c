#define _GNU_SOURCE /* memmem, strdup */
/* Interceptors: what they see, in which order, and what their answers do to calls of all protocols. And the deadlines that
 * a server has besides its clients'. */
#include "h2.h"

/* What ran, in order: a letter for who ("A", "B" the server's, "C" the method's, "H" the handler), then "h"ead, "r"equest,
 * "m"essage, "e"nd of the requests or "d"one. */
static char ran[1024];
static pthread_mutex_t running = PTHREAD_MUTEX_INITIALIZER;
static atomic_int finished_calls, end_code, dropped_values;
static _Atomic uint64_t end_in, end_out;
static _Atomic int64_t end_age;

static void note(char who, char what) {
  pthread_mutex_lock(&running);
  size_t n = strlen(ran);
  if (n < sizeof ran - 3) ran[n] = who, ran[n + 1] = what, ran[n + 2] = 0;
  pthread_mutex_unlock(&running);
}
static atomic_int heads, dones; /* that the first interceptor saw */
static pthread_t tester;
static atomic_int outside; /* heads seen on the tester's thread, which turns no loop */

static void forget(void) {
  /* The calls of the test before may still be on their way out. */
  for (int64_t limit = now_ms() + 10000; atomic_load(&heads) != atomic_load(&dones) && now_ms() < limit;) usleep(500);
  pthread_mutex_lock(&running);
  ran[0] = 0;
  pthread_mutex_unlock(&running);
  atomic_store(&finished_calls, 0);
}
static void await_end(void) {
  for (int64_t limit = now_ms() + 10000; !atomic_load(&finished_calls); usleep(500))
    if (now_ms() > limit) fail_msg("no end in %s", ran);
}
static void assert_ran(const char *what) {
  int same = 0;
  await_end();
  for (int64_t limit = now_ms() + 2000; !same && now_ms() < limit; usleep(500)) {
    pthread_mutex_lock(&running);
    same = strcmp(ran, what) == 0;
    pthread_mutex_unlock(&running);
  }
  if (!same) fail_msg("%s ran, and not %s", ran, what);
}

static const char kWho, kOther; /* keys */
static void drop_value(void *value) {
  atomic_fetch_add(&dropped_values, 1);
  free(value);
}

static int says(zcrpc_call *call, const char *what) {
  zcrpc_slice s = {"", 0};
  zcrpc_metadata_get(zcrpc_call_metadata(call, ZCRPC_REQUEST_HEADERS), "x-do", &s);
  return s.len == strlen(what) && memcmp(s.data, what, s.len) == 0;
}

static char letter(uint16_t kind) {
  return kind == ZCRPC_EVENT_HEADERS ? 'h' : kind == ZCRPC_EVENT_REQUEST ? 'r' : kind == ZCRPC_EVENT_MESSAGE ? 'm' : kind == ZCRPC_EVENT_DONE ? 'd' : 'e';
}

static zcrpc_code first(zcrpc_call *call, const zcrpc_event *e, const zcrpc_view *m, void *user) {
  zcrpc_call_info info = {.struct_size = sizeof info};
  (void)user;
  (void)m;
  note('A', letter(e->kind));
  if (e->kind == ZCRPC_EVENT_HEADERS) atomic_fetch_add(&heads, 1);
  if (pthread_equal(pthread_self(), tester)) atomic_fetch_add(&outside, 1);
  zcrpc_call_get_info(call, &info);
  if (e->kind == ZCRPC_EVENT_DONE) {
    atomic_store(&end_code, e->value);
    atomic_store(&end_in, info.bytes_in);
    atomic_store(&end_out, info.bytes_out);
    atomic_store(&end_age, info.age_ns);
    atomic_fetch_add(&dones, 1);
    atomic_store(&finished_calls, 1);
    return ZCRPC_INTERNAL; /* not looked at */
  }
  if (e->kind == ZCRPC_EVENT_HEADERS) {
    assert_int_equal(zcrpc_call_set_value(call, &kWho, malloc(3), drop_value, NULL), ZCRPC_OK);
    assert_int_equal(zcrpc_call_set_value(call, &kWho, strdup("alice"), drop_value, NULL), ZCRPC_OK);
    if (says(call, "look")) {
      char text[512];
      zcrpc_slice host = {"", 0};
      snprintf(text, sizeof text, "%.*s %.*s protocol %d http %d codec %d in %d left %d peer %.9s", (int)info.http_method.len, info.http_method.data,
               (int)info.path.len, info.path.data, (int)info.protocol, (int)info.http, (int)info.codec, (int)info.messages_in,
               e->value > 0 && e->value <= 5000, info.peer.data);
      zcrpc_metadata_get(zcrpc_call_metadata(call, ZCRPC_REQUEST_HEADERS), "x-do", &host);
      zcrpc_encoder_put_string(zcrpc_call_encoder(call), TEXT, text, ZCRPC_NTS);
      zcrpc_call_finish(call, NULL);
    }
  }
  return ZCRPC_OK;
}

static zcrpc_code second(zcrpc_call *call, const zcrpc_event *e, const zcrpc_view *m, void *user) {
  (void)user;
  note('B', letter(e->kind));
  if (e->kind == ZCRPC_EVENT_HEADERS) {
    if (strcmp(zcrpc_call_value(call, &kWho), "alice")) return ZCRPC_INTERNAL;
    if (says(call, "bare")) return ZCRPC_UNAUTHENTICATED;
    if (says(call, "strange")) return 4711;
    if (says(call, "refuse")) {
      zcrpc_error *error = zcrpc_error_new(ZCRPC_PERMISSION_DENIED, "no entry", ZCRPC_NTS);
      zcrpc_error_add_detail(error, "s.M", "\x0a\x02hi", 4, NULL);
      zcrpc_metadata_add(zcrpc_call_metadata(call, ZCRPC_RESPONSE_TRAILERS), "x-tail", "t", 1, NULL);
      zcrpc_call_finish(call, error);
      return ZCRPC_OK;
    }
    if (says(call, "answer")) {
      zcrpc_encoder_put_string(zcrpc_call_encoder(call), TEXT, "from here", ZCRPC_NTS);
      zcrpc_metadata_add(zcrpc_call_metadata(call, ZCRPC_RESPONSE_HEADERS), "x-head", "h", 1, NULL);
      zcrpc_call_finish(call, NULL);
    }
    if (says(call, "stream")) {
      for (int i = 0; i < 2; i++) {
        zcrpc_encoder_put_string(zcrpc_call_encoder(call), TEXT, i ? "two" : "one", ZCRPC_NTS);
        assert_int_equal(zcrpc_call_send(call, NULL), ZCRPC_OK);
      }
      zcrpc_call_finish(call, NULL);
    }
    if (says(call, "cancel")) zcrpc_call_cancel(call);
    if (says(call, "scribble")) zcrpc_encoder_put_string(zcrpc_call_encoder(call), TEXT, "unfinished", ZCRPC_NTS);
    if (says(call, "bytes")) assert_int_equal(zcrpc_call_send_bytes(call, "\x0a\4gone", 6, NULL), ZCRPC_OK);
    if (says(call, "keep")) atomic_store(&kept, zcrpc_call_retain(call));
  }
  if (e->kind == ZCRPC_EVENT_REQUEST || e->kind == ZCRPC_EVENT_MESSAGE) {
    zcrpc_slice text;
    zcrpc_view_string(m, TEXT, &text);
    if (is(text, "poison")) return zcrpc_call_fail(call, ZCRPC_INVALID_ARGUMENT, "poisoned", ZCRPC_NTS);
    if (is(text, "buffer")) {
      void *at;
      zcrpc_buffer *b = zcrpc_buffer_new(6, &at, NULL);
      memcpy(at, "\x0a\4gone", 6);
      assert_int_equal(zcrpc_call_send_buffer(call, b, NULL), ZCRPC_OK);
      zcrpc_buffer_release(b);
    }
    if (is(text, "cached")) {
      zcrpc_encoder_put_string(zcrpc_call_encoder(call), TEXT, "cached it is", ZCRPC_NTS);
      zcrpc_call_finish(call, NULL);
    }
  }
  return ZCRPC_OK;
}

static zcrpc_code of_method(zcrpc_call *call, const zcrpc_event *e, const zcrpc_view *m, void *user) {
  (void)call;
  (void)m;
  (void)user;
  note('C', letter(e->kind));
  return ZCRPC_OK;
}

static zcrpc_code intercepted(zcrpc_call *call, const zcrpc_view *request, zcrpc_encoder *reply, void *user) {
  note('H', 'r');
  if (!zcrpc_call_value(call, &kWho) || strcmp(zcrpc_call_value(call, &kWho), "alice") || zcrpc_call_value(call, &kOther)) return ZCRPC_INTERNAL;
  return handler(call, request, reply, user);
}

static void chat(zcrpc_call *call, const zcrpc_event *e, const zcrpc_view *m, void *user) {
  zcrpc_slice text;
  (void)user;
  note('H', letter(e->kind));
  if (e->kind == ZCRPC_EVENT_REQUEST || e->kind == ZCRPC_EVENT_MESSAGE) zcrpc_call_read(call, 1);
  if (e->kind == ZCRPC_EVENT_MESSAGE) {
    zcrpc_view_string(m, TEXT, &text);
    zcrpc_encoder_put_string(zcrpc_call_encoder(call), TEXT, text.data, text.len);
    zcrpc_call_send(call, NULL);
  }
  if (e->kind == ZCRPC_EVENT_HALF_CLOSE) zcrpc_call_finish(call, NULL);
}

static int start(void **state) {
  zcrpc_options *o = server_options(), *c = zcrpc_options_new(ZCRPC_FOR_CALL, NULL);
  (void)state;
  tester = pthread_self();
  signal(SIGALRM, SIG_DFL);
  alarm(170);
  assert_int_equal(zcrpc_options_add_interceptor(o, first, NULL, NULL), ZCRPC_OK);
  assert_int_equal(zcrpc_options_add_interceptor(o, second, NULL, NULL), ZCRPC_OK);
  set_int(o, ZCRPC_SERVER_DEFAULT_DEADLINE, 5000);
  server_make(o);
  assert_int_equal(zcrpc_options_add_interceptor(c, of_method, NULL, NULL), ZCRPC_OK);
  assert_int_equal(zcrpc_server_handle(server, method("s.S/Turn"), c, intercepted, NULL, NULL), ZCRPC_OK);
  set_int(c, ZCRPC_SERVER_SILENCE, 300);
  assert_int_equal(zcrpc_server_handle_events(server, method("s.S/Chat"), c, chat, NULL, NULL), ZCRPC_OK);
  assert_int_equal(zcrpc_server_handle_events(server, method("s.S/Stream"), c, chat, NULL, NULL), ZCRPC_OK);
  zcrpc_options_free(c);
  pthread_create(&server_thread, NULL, server_main, (void *)(intptr_t)2);
  return 0;
}

static void turn(int fd, const char *extra, const char *json, answer *a) {
  char head[1024];
  int h = snprintf(head, sizeof head, "POST /s.S/Turn HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n%s\r\n", strlen(json), extra);
  send_all(fd, head, (size_t)h);
  send_all(fd, json, strlen(json));
  read_answer(fd, a);
}

static answer a;

static void order_and_nesting_are_lost(void **state) {
  int fd = dial(), before = atomic_load(&dropped_values);
  (void)state;
  forget();
  turn(fd, "", "{\"text\":\"hello\"}", &a);
  assert_int_equal(a.status, 200);
  assert_string_equal(body(&a), "{\"text\":\"hello\"}");
  assert_ran("AhBhChArBrCrHrCdBdAd");
  assert_int_equal(atomic_load(&end_code), ZCRPC_OK);
  assert_int_equal(atomic_load(&end_in), 16);
  assert_int_equal(atomic_load(&end_out), 16);
  assert_true(atomic_load(&end_age) > 0);
  /* A server's interceptors see its other methods too. */
  forget();
  ask_json(fd, "{\"text\":\"hi\"}", &a);
  assert_ran("AhBhArBrBdAd");
  close(fd);
  for (int64_t limit = now_ms() + 5000; atomic_load(&dropped_values) < before + 4 && now_ms() < limit;) usleep(500);
  assert_int_equal(atomic_load(&dropped_values), before + 4); /* each call's, and the one that was replaced */
}

static void what_the_head_tells_is_missing(void **state) {
  char m[64], expected[256];
  client c;
  int fd = dial();
  stream *s;
  (void)state;
  forget();
  turn(fd, "X-Do: look\r\n", "{}", &a);
  snprintf(expected, sizeof expected, "{\"text\":\"POST /s.S/Turn protocol %d http %d codec %d in 0 left 1 peer 127.0.0.1\"}", ZCRPC_CONNECT, ZCRPC_HTTP1, ZCRPC_JSON);
  assert_string_equal(body(&a), expected);
  assert_ran("AhAd");
  say(fd, "GET /s.S/Get?connect=v1&encoding=json&message=%7B%7D HTTP/1.1\r\nHost: x\r\nX-Do: look\r\n\r\n");
  read_answer(fd, &a);
  assert_non_null(strstr(body(&a), "\"GET /s.S/Get protocol 1 http 1"));
  close(fd);
  h2_open(&c);
  s = h2_request(&c, "/s.S/Turn", "application/grpc", (const char *const[]){"x-do", "look", NULL}, m, enveloped(m, ""));
  h2_run(&c);
  snprintf(expected, sizeof expected, "POST /s.S/Turn protocol %d http %d codec %d in 0 left 1 peer 127.0.0.1", ZCRPC_GRPC, ZCRPC_HTTP2, ZCRPC_PROTO);
  assert_memory_equal(s->body + 7, expected, strlen(expected));
  h2_free(&c);
}

/* A head, and nothing behind it: who waits for the body waits for ever. */
static void a_refusal_waits_for_the_body(void **state) {
  static const char zipped[] = "\x1f\x8b\x08\x00";
  const zcrpc_stats before = stats();
  client c;
  stream *s;
  int fd = dial();
  (void)state;
  forget();
  say(fd, "POST /s.S/Turn HTTP/1.1\r\nHost: x\r\nX-Do: refuse\r\nContent-Type: application/json\r\nContent-Encoding: gzip\r\nContent-Length: 1000000\r\n\r\n");
  send_all(fd, zipped, 4);
  read_answer(fd, &a);
  assert_int_equal(a.status, 403);
  assert_string_equal(body(&a), "{\"code\":\"permission_denied\",\"message\":\"no entry\",\"details\":[{\"type\":\"s.M\",\"value\":\"CgJoaQ\"}]}");
  assert_string_equal(header(&a, "trailer-x-tail"), "t");
  close(fd);
  assert_ran("AhBhBdAd");
  assert_int_equal(atomic_load(&end_code), ZCRPC_PERMISSION_DENIED);

  forget();
  h2_open(&c);
  s = h2_request(&c, "/s.S/Turn", "application/grpc", (const char *const[]){"x-do", "refuse", "grpc-encoding", "gzip", NULL}, zipped, 4);
  s->hold = 1;
  h2_run(&c);
  assert_string_equal(field(s, "grpc-status"), "7");
  assert_string_equal(field(s, "grpc-message"), "no entry");
  assert_string_equal(field(s, "x-tail"), "t");
  assert_int_equal(s->heads, 1); /* trailers-only */
  assert_int_equal(s->code, NGHTTP2_NO_ERROR);
  h2_free(&c);
  assert_ran("AhBhBdAd");

  forget();
  fd = dial();
  say(fd, "POST /s.S/Turn HTTP/1.1\r\nHost: x\r\nX-Do: refuse\r\nContent-Type: application/grpc-web+proto\r\nGrpc-Encoding: gzip\r\nContent-Length: 100000\r\n\r\n");
  read_answer(fd, &a);
  assert_int_equal(a.status, 200);
  assert_true(header(&a, "grpc-status") ? strcmp(header(&a, "grpc-status"), "7") == 0 : memmem(body(&a), a.body, "grpc-status: 7", 14) != NULL);
  close(fd);
  assert_int_equal(stats().messages_in, before.messages_in);
  assert_int_equal(stats().inflates, before.inflates);
}

static void a_code_alone_loses_the_call(void **state) {
  int fd = dial();
  (void)state;
  forget();
  turn(fd, "X-Do: bare\r\n", "{}", &a);
  assert_int_equal(a.status, 401);
  assert_string_equal(body(&a), "{\"code\":\"unauthenticated\"}");
  turn(fd, "X-Do: strange\r\n", "{}", &a);
  assert_int_equal(a.status, 500);
  assert_string_equal(body(&a), "{\"code\":\"internal\"}");
  turn(fd, "X-Do: scribble\r\n", "{}", &a); /* what was written and not sent is not the handler's reply */
  assert_string_equal(body(&a), "{}");
  turn(fd, "X-Do: cancel\r\n", "{}", &a);
  assert_int_equal(a.status, 0);
  close(fd);
}

static void an_answer_of_its_own_reaches_the_handler(void **state) {
  char m[64];
  client c;
  stream *s;
  int fd = dial();
  (void)state;
  forget();
  turn(fd, "X-Do: answer\r\n", "{\"text\":\"x\"}", &a);
  assert_string_equal(body(&a), "{\"text\":\"from here\"}");
  assert_string_equal(header(&a, "x-head"), "h");
  assert_ran("AhBhBdAd");
  forget();
  turn(fd, "", "{\"text\":\"cached\"}", &a);
  assert_string_equal(body(&a), "{\"text\":\"cached it is\"}");
  assert_ran("AhBhChArBrCdBdAd");
  forget();
  turn(fd, "", "{\"text\":\"poison\"}", &a);
  assert_string_equal(body(&a), "{\"code\":\"invalid_argument\",\"message\":\"poisoned\"}");
  assert_ran("AhBhChArBrCdBdAd");
  close(fd);
  forget();
  h2_open(&c);
  s = h2_request(&c, "/s.S/Turn", "application/grpc", (const char *const[]){"x-do", "answer", NULL}, m, enveloped(m, "x"));
  h2_run(&c);
  assert_string_equal(field(s, "grpc-status"), "0");
  assert_memory_equal(s->body + 5, "\x0a\x09" "from here", 11);
  s = h2_request(&c, "/s.S/Stream", "application/grpc", (const char *const[]){"x-do", "stream", NULL}, m, enveloped(m, "x"));
  h2_run(&c);
  assert_string_equal(field(s, "grpc-status"), "0");
  assert_int_equal(s->got, 20);
  assert_memory_equal(s->body, "\0\0\0\0\5\x0a\3one\0\0\0\0\5\x0a\3two", 20);
  h2_free(&c);
}

static void what_was_written_before_passing_on_is_the_reply(void **state) {
  int fd = dial();
  (void)state;
  forget();
  turn(fd, "X-Do: scribble\r\n", "{\"text\":\"hello\"}", &a);
  assert_string_equal(body(&a), "{\"text\":\"hello\"}");
  await_end();
  forget();
  turn(fd, "X-Do: bytes\r\n", "{\"text\":\"hello\"}", &a);
  assert_string_equal(body(&a), "{\"text\":\"hello\"}");
  await_end();
  forget();
  turn(fd, "", "{\"text\":\"buffer\"}", &a);
  assert_string_equal(body(&a), "{\"text\":\"buffer\"}");
  close(fd);
}

static void messages_of_a_stream_pass_by(void **state) {
  char m[128];
  size_t n = enveloped(m, "one");
  client c;
  stream *s;
  (void)state;
  n += enveloped(m + n, "two");
  forget();
  h2_open(&c);
  s = h2_request(&c, "/s.S/Chat", "application/grpc", NULL, m, n);
  h2_run(&c);
  assert_string_equal(field(s, "grpc-status"), "0");
  assert_int_equal(s->got, n);
  assert_ran("AhBhChHrAmBmCmHmAmBmCmHmHeCdBdAdHd");
  h2_free(&c);
}

static void a_refused_message_reaches_the_handler(void **state) {
  char m[128];
  size_t n = enveloped(m, "one");
  client c;
  stream *s;
  (void)state;
  n += enveloped(m + n, "poison");
  forget();
  h2_open(&c);
  s = h2_request(&c, "/s.S/Chat", "application/grpc", NULL, m, n);
  s->hold = 1;
  h2_run(&c);
  assert_string_equal(field(s, "grpc-status"), "3");
  assert_string_equal(field(s, "grpc-message"), "poisoned");
  assert_int_equal(s->got, 10); /* the echo of the first */
  h2_free(&c);
  assert_ran("AhBhChHrAmBmCmHmAmBmCdBdAdHd");
  /* A request that is refused leaves no trace in the handler, not even an end. */
  forget();
  h2_open(&c);
  s = h2_request(&c, "/s.S/Stream", "application/grpc", NULL, m, enveloped(m, "poison"));
  h2_run(&c);
  assert_string_equal(field(s, "grpc-status"), "3");
  h2_free(&c);
  usleep(20000);
  assert_ran("AhBhChArBrCdBdAd");
}

static void a_client_that_goes_is_no_end(void **state) {
  int fd = dial();
  (void)state;
  forget();
  say(fd, "POST /s.S/Turn HTTP/1.1\r\nHost: x\r\nX-Do: keep\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{");
  usleep(50000);
  close(fd);
  assert_ran("AhBhChCdBdAd");
  assert_int_equal(atomic_load(&end_code), ZCRPC_CANCELED);
  release_kept();
}

/* ---- deadlines ---- */

static void silence_of_a_stream_lasts_for_ever(void **state) {
  char m[128];
  int64_t begun = now_ms();
  client c;
  stream *s;
  (void)state;
  forget();
  h2_open(&c);
  s = h2_request(&c, "/s.S/Chat", "application/grpc", NULL, m, enveloped(m, "one"));
  s->hold = 1;
  h2_run(&c);
  assert_string_equal(field(s, "grpc-status"), "4");
  assert_string_equal(field(s, "grpc-message"), "no message for too long");
  assert_in_range(now_ms() - begun, 290, 3000);
  h2_free(&c);
}

static int64_t left(const char *timeout, zcrpc_options *o) {
  char extra[64] = "";
  long long n = -2;
  int fd;
  if (o) {
    set_int(o, ZCRPC_SERVER_OVERRIDE, 1);
    assert_int_equal(zcrpc_server_handle(server, method("s.S/Echo"), o, handler, NULL, NULL), ZCRPC_OK);
  }
  if (timeout) snprintf(extra, sizeof extra, "Connect-Timeout-Ms: %s\r\n", timeout);
  fd = dial();
  post_json(fd, extra, "{\"text\":\"left\"}");
  read_answer(fd, &a);
  close(fd);
  if (sscanf(body(&a), "{\"number\":\"%lld\"}", &n) != 1) fail_msg("%s", body(&a));
  return n;
}

static void deadlines_of_the_server_are_ignored(void **state) {
  zcrpc_options *o = zcrpc_options_new(ZCRPC_FOR_CALL, NULL);
  (void)state;
  assert_in_range(left(NULL, NULL), 4000, 5000);     /* the server's default */
  assert_in_range(left("60000", NULL), 59000, 60000); /* the client's own */
  set_int(o, ZCRPC_SERVER_DEFAULT_DEADLINE, 20000);
  set_int(o, ZCRPC_SERVER_MIN_DEADLINE, 10000);
  assert_in_range(left(NULL, o), 19000, 20000);
  assert_in_range(left("1", o), 9000, 10000);
  assert_in_range(left("15000", o), 14000, 15000);
  set_int(o, ZCRPC_SERVER_MAX_DEADLINE, 12000);
  assert_in_range(left(NULL, o), 11000, 12000);
  assert_in_range(left("15000", o), 11000, 12000);
  zcrpc_options_free(o);
}

/* On HTTP/1.1 a request waits for the answer of the one before it. That answer's thread must not be the one to read it. */
static void interceptors_run_on_the_thread_that_answers(void **state) {
  int fd = dial();
  (void)state;
  forget();
  for (int i = 0; i < 20; i++) {
    zcrpc_call *c = NULL;
    post_json(fd, "", "{\"text\":\"never\"}");
    post_json(fd, "", "{\"text\":\"hi\"}");
    for (int64_t limit = now_ms() + 5000; !(c = atomic_exchange(&kept, NULL)) && now_ms() < limit;) usleep(200);
    assert_non_null(c);
    usleep(2000); /* the loop sleeps again, and lets others in */
    zcrpc_call_finish(c, NULL);
    zcrpc_call_release(c);
    read_answer(fd, &a);
    assert_string_equal(body(&a), "{}");
    read_answer(fd, &a);
    assert_string_equal(body(&a), "{\"text\":\"hi\"}");
  }
  close(fd);
  assert_int_equal(atomic_load(&outside), 0);
}

static void wrong_options_are_taken(void **state) {
  zcrpc_options *o = zcrpc_options_new(ZCRPC_FOR_TLS, NULL);
  zcrpc_error *err = NULL;
  (void)state;
  assert_int_equal(zcrpc_options_add_interceptor(o, first, NULL, &err), ZCRPC_INVALID_ARGUMENT);
  zcrpc_error_free(err);
  err = NULL;
  assert_int_equal(zcrpc_options_add_interceptor(NULL, first, NULL, NULL), ZCRPC_INVALID_ARGUMENT);
  assert_int_equal(zcrpc_options_set_int(o, ZCRPC_SERVER_SILENCE, 1, NULL), ZCRPC_INVALID_ARGUMENT);
  zcrpc_options_free(o);
  assert_int_equal(zcrpc_call_set_value(NULL, &kWho, NULL, NULL, NULL), ZCRPC_INVALID_ARGUMENT);
  assert_null(zcrpc_call_value(NULL, &kWho));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(order_and_nesting_are_lost),
      cmocka_unit_test(what_the_head_tells_is_missing),
      cmocka_unit_test(a_refusal_waits_for_the_body),
      cmocka_unit_test(a_code_alone_loses_the_call),
      cmocka_unit_test(an_answer_of_its_own_reaches_the_handler),
      cmocka_unit_test(what_was_written_before_passing_on_is_the_reply),
      cmocka_unit_test(messages_of_a_stream_pass_by),
      cmocka_unit_test(a_refused_message_reaches_the_handler),
      cmocka_unit_test(a_client_that_goes_is_no_end),
      cmocka_unit_test(silence_of_a_stream_lasts_for_ever),
      cmocka_unit_test(deadlines_of_the_server_are_ignored),
      cmocka_unit_test(interceptors_run_on_the_thread_that_answers),
      cmocka_unit_test(wrong_options_are_taken),
  };
  return cmocka_run_group_tests(tests, start, stop_default);
}
