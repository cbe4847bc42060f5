/* Handlers, interceptors and observers in C++ that throw: the client reads a bare code, the log has the cause, the stack of
 * the function was unwound, and everybody else goes on. */
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "h2.h"
#include "throwing.h"

static answer a;
static int event_kind, intercept_kind, observer_throws;
static char logged[1 << 16];
static size_t logged_size;
static pthread_mutex_t logging = PTHREAD_MUTEX_INITIALIZER;

static void keep_log(int32_t level, const char *text, size_t n, void *user) {
  (void)level;
  (void)user;
  pthread_mutex_lock(&logging);
  if (logged_size + n + 2 < sizeof logged) logged_size += (size_t)snprintf(logged + logged_size, n + 2, "%.*s\n", (int)n, text);
  pthread_mutex_unlock(&logging);
}
static void forget_log(void) {
  pthread_mutex_lock(&logging);
  logged_size = 0;
  logged[0] = 0;
  pthread_mutex_unlock(&logging);
}
static int has_logged(const char *text) {
  pthread_mutex_lock(&logging);
  int yes = strstr(logged, text) != NULL;
  pthread_mutex_unlock(&logging);
  return yes;
}
/* The log of a call may come after its answer. */
static void await_log(const char *text) {
  for (int64_t end = now_ms() + 5000; !has_logged(text);) {
    if (now_ms() > end) fail_msg("not in the log: %s\nbut: %s", text, logged);
    usleep(500);
  }
}

static void nothing_is_left(void) {
  for (int64_t end = now_ms() + 5000; (throwing_locals() || stats().calls_now) && now_ms() < end;) usleep(500);
  assert_int_equal(throwing_locals(), 0);
  assert_int_equal(stats().calls_now, 0);
  assert_int_equal(throwing_uncaught(), 0);
}

static void neighbour_is_served(void) {
  int fd = dial();
  post(fd, "application/json", "", "{\"text\":\"hi\"}", 13);
  read_answer(fd, &a);
  assert_int_equal(a.status, 200);
  close(fd);
}

static int start(void **state) {
  zcrpc_options *o = server_options();
  (void)state;
  alarm(170);
  event_kind = intercept_kind = -1; /* nobody reads yet */
  assert_int_equal(zcrpc_options_set_log(o, 4, keep_log, NULL, NULL), ZCRPC_OK);
  assert_int_equal(zcrpc_options_add_interceptor(o, throw_intercept, &intercept_kind, NULL), ZCRPC_OK);
  assert_int_equal(zcrpc_options_set_observer(o, throw_observe, &observer_throws, NULL), ZCRPC_OK);
  server_make(o);
  handle_instead("s.S/Get", throw_unary, NULL);
  assert_int_equal(zcrpc_server_handle_events(server, method("s.S/Chat"), NULL, throw_at_event, &event_kind, NULL), ZCRPC_OK);
  assert_int_equal(zcrpc_server_handle_http(server, NULL, throw_http, NULL, NULL), ZCRPC_OK);
  pthread_create(&server_thread, NULL, server_main, (void *)(intptr_t)1);
  return 0;
}

static int end(void **state) {
  (void)state;
  server_stop(2000);
  return 0;
}

static void get(int fd, const char *text) {
  char json[64], head[256];
  int n = snprintf(json, sizeof json, "{\"text\":\"%s\"}", text);
  int h = snprintf(head, sizeof head, "POST /s.S/Get HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n", n);
  send_all(fd, head, (size_t)h);
  send_all(fd, json, (size_t)n);
  read_answer(fd, &a);
}

static void a_thrown_text_reaches_the_wire_or_the_process_ends(void **state) {
  static const struct {
    const char *kind, *log;
  } kinds[] = {
      {"runtime", "/s.S/Get: the handler threw: the password is hunter2\n"},
      {"own", "/s.S/Get: the handler threw: an exception of its own, hunter2\n"},
      {"alloc", "/s.S/Get: the handler threw: std::bad_alloc\n"},
      {"number", "/s.S/Get: the handler threw: no std::exception\n"},
      {"nested", "/s.S/Get: the handler threw: outer, hunter2\n"},
      {"long", "/s.S/Get: the handler threw: xxxxxxxx"},
  };
  int fd = dial();
  (void)state;
  for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
    forget_log();
    get(fd, kinds[i].kind); /* on one connection, which is not worse for it */
    assert_int_equal(a.status, 500);
    assert_string_equal(body(&a), "{\"code\":\"internal\"}");
    await_log(kinds[i].log);
    get(fd, "nothing");
    assert_int_equal(a.status, 200);
    assert_string_equal(body(&a), "{\"text\":\"half a reply\"}");
    assert_int_equal(throwing_uncaught(), 0); /* by the runtime that the handler sees */
  }
  close(fd);
  nothing_is_left();
}

static void a_grpc_client_is_told_the_text(void **state) {
  client c;
  char m[64];
  size_t n = enveloped(m, "runtime");
  (void)state;
  h2_open(&c);
  for (int i = 0; i < 3; i++) h2_request(&c, "/s.S/Get", "application/grpc", NULL, m, n);
  h2_run(&c);
  for (int i = 0; i < 3; i++) {
    assert_int_equal(c.streams[i].status, 200);
    assert_string_equal(field(&c.streams[i], "grpc-status"), "13");
    assert_null(strstr(c.streams[i].fields, "hunter2"));
    assert_int_equal(c.streams[i].got, 0);
  }
  h2_free(&c);
  nothing_is_left();
}

static void an_answer_that_was_given_is_taken_back(void **state) {
  int fd = dial();
  (void)state;
  forget_log();
  get(fd, "finished");
  assert_int_equal(a.status, 200);
  assert_string_equal(body(&a), "{\"text\":\"half a reply\"}");
  await_log("the handler threw");
  close(fd);
  nothing_is_left();
}

/* At each event of a stream: behind what was sent comes a bare code. */
static void a_stream_hangs_when_its_handler_throws(void **state) {
  static const int kinds[] = {ZCRPC_EVENT_REQUEST, ZCRPC_EVENT_MESSAGE, ZCRPC_EVENT_HALF_CLOSE, ZCRPC_EVENT_DONE};
  (void)state;
  for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
    client c;
    char m[64];
    size_t n = enveloped(m, "x");
    forget_log();
    __atomic_store_n(&event_kind, kinds[i], __ATOMIC_SEQ_CST);
    h2_open(&c);
    stream *t = h2_request(&c, "/s.S/Chat", "application/grpc", NULL, m, n);
    h2_run(&c);
    assert_string_equal(field(t, "grpc-status"), kinds[i] == ZCRPC_EVENT_DONE ? "0" : "13");
    assert_null(strstr(t->fields, "hunter2"));
    assert_int_equal(t->got, kinds[i] == ZCRPC_EVENT_REQUEST ? 0 : 11);
    h2_free(&c);
    await_log("/s.S/Chat: the handler threw: the password is hunter2\n");
    nothing_is_left();
    neighbour_is_served();
  }
  __atomic_store_n(&event_kind, -1, __ATOMIC_SEQ_CST);
}

static void an_interceptor_that_throws_lets_the_call_pass(void **state) {
  static const int kinds[] = {ZCRPC_EVENT_HEADERS, ZCRPC_EVENT_REQUEST, ZCRPC_EVENT_DONE};
  int before = atomic_load(&handled);
  (void)state;
  for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
    int fd = dial();
    forget_log();
    __atomic_store_n(&intercept_kind, kinds[i], __ATOMIC_SEQ_CST);
    ask_json(fd, "{\"text\":\"hi\"}", &a);
    if (kinds[i] == ZCRPC_EVENT_DONE) {
      assert_int_equal(a.status, 200);
    } else {
      assert_int_equal(a.status, 500);
      assert_string_equal(body(&a), "{\"code\":\"internal\"}");
    }
    await_log("/s.S/Echo: the interceptor threw: the password is hunter2\n");
    close(fd);
    nothing_is_left();
  }
  __atomic_store_n(&intercept_kind, -1, __ATOMIC_SEQ_CST);
  assert_int_equal(atomic_load(&handled) - before, 1);
  neighbour_is_served();
}

static void an_observer_that_throws_ends_the_server(void **state) {
  (void)state;
  forget_log();
  __atomic_store_n(&observer_throws, 1, __ATOMIC_SEQ_CST);
  neighbour_is_served();
  await_log("/s.S/Echo: the observer threw: the password is hunter2\n");
  __atomic_store_n(&observer_throws, 0, __ATOMIC_SEQ_CST);
  neighbour_is_served();
  nothing_is_left();
}

static void a_page_that_throws_is_never_answered(void **state) {
  char rest[4096];
  size_t got = 0;
  int fd = dial();
  (void)state;
  forget_log();
  say(fd, "GET /page HTTP/1.1\r\nHost: x\r\n\r\n");
  read_answer(fd, &a);
  assert_int_equal(a.status, 500);
  assert_null(strstr(a.text, "hunter2"));
  await_log("/page: the handler threw: the password is hunter2\n");
  close(fd);
  /* Its head had promised 100 bytes: the connection ends short of them. */
  fd = dial();
  say(fd, "GET /late HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  for (ssize_t n; (n = recv(fd, rest + got, sizeof rest - 1 - got, 0)) > 0;) got += (size_t)n;
  rest[got] = 0;
  assert_null(strstr(rest, "hunter2"));
  const char *text = strstr(rest, "\r\n\r\n");
  if (text) assert_true(strlen(text + 4) < 100);
  close(fd);
  nothing_is_left();
  neighbour_is_served();
}

static void throwing_leaks(void **state) {
  int fd = dial();
  (void)state;
  for (int i = 0; i < 300; i++) {
    get(fd, "own");
    assert_int_equal(a.status, 500);
  }
  close(fd);
  nothing_is_left();
}

/* A client's: its DONE was told, and its loop turns on. */
static void a_reply_that_throws_stops_the_loop(void **state) {
  zcrpc_options *o = zcrpc_options_new(ZCRPC_FOR_LOOP, NULL);
  zcrpc_turn turn = {.struct_size = sizeof turn, .timeout_ms = 20};
  char target[160];
  int replies = 0;
  (void)state;
  if (!(zcrpc_features() & ZCRPC_FEATURE_CLIENT)) skip();
  forget_log();
  assert_int_equal(zcrpc_options_set_log(o, 4, keep_log, NULL, NULL), ZCRPC_OK);
  zcrpc_loop *loop = zcrpc_loop_new(o, NULL);
  zcrpc_options_free(o);
  snprintf(target, sizeof target, "http://%s", server_address);
  zcrpc_channel *ch = zcrpc_channel_new(loop, target, NULL, NULL, NULL);
  assert_non_null(ch);
  for (int i = 0; i < 2; i++) {
    zcrpc_call *call = zcrpc_channel_open(ch, method("s.S/Echo"), NULL, NULL);
    zcrpc_encoder_put_string(zcrpc_call_encoder(call), TEXT, "x", 1);
    assert_int_equal(zcrpc_call_start(call, 0, throw_reply, &replies, NULL), ZCRPC_OK);
    for (int64_t limit = now_ms() + 5000; replies <= i && now_ms() < limit;) assert_int_equal(zcrpc_loop_turn(loop, &turn, NULL), ZCRPC_OK);
    assert_int_equal(replies, i + 1);
    zcrpc_call_release(call);
  }
  assert_true(has_logged("/s.S/Echo: the function of a call threw: the password is hunter2\n"));
  zcrpc_channel_free(ch);
  zcrpc_loop_free(loop);
  nothing_is_left();
}

/* A release callback must not throw. The process ends, as of any C++ program; what it died of stands on its stderr. */
static void who_must_not_throw_ends_the_process_without_a_word(void **state) {
  (void)state;
  int ends[2];
  assert_int_equal(pipe(ends), 0);
  pid_t child = fork();
  if (child == 0) {
    const struct rlimit no_core = {0, 0};
    setrlimit(RLIMIT_CORE, &no_core);
    signal(SIGABRT, SIG_DFL); /* cmocka catches it */
    dup2(ends[1], STDERR_FILENO);
    zcrpc_buffer_release(zcrpc_buffer_wrap("x", 1, throw_release, NULL, NULL));
    _exit(0);
  }
  close(ends[1]);
  char text[4096] = "";
  size_t n = 0;
  for (ssize_t r; n + 1 < sizeof text && (r = read(ends[0], text + n, sizeof text - n - 1)) > 0;) n += (size_t)r;
  close(ends[0]);
  int status = 0;
  assert_int_equal(waitpid(child, &status, 0), child);
  assert_true(WIFSIGNALED(status));
  assert_int_equal(WTERMSIG(status), SIGABRT);
  assert_non_null(strstr(text, "Own")); /* its type, mangled or not */
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_thrown_text_reaches_the_wire_or_the_process_ends),
      cmocka_unit_test(a_grpc_client_is_told_the_text),
      cmocka_unit_test(an_answer_that_was_given_is_taken_back),
      cmocka_unit_test(a_stream_hangs_when_its_handler_throws),
      cmocka_unit_test(an_interceptor_that_throws_lets_the_call_pass),
      cmocka_unit_test(an_observer_that_throws_ends_the_server),
      cmocka_unit_test(a_page_that_throws_is_never_answered),
      cmocka_unit_test(throwing_leaks),
      cmocka_unit_test(a_reply_that_throws_stops_the_loop),
      cmocka_unit_test(who_must_not_throw_ends_the_process_without_a_word),
  };
  return cmocka_run_group_tests(tests, start, end);
}
