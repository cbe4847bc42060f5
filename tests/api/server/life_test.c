/* Servers from start to end: threads, drain, limits, fork, and what lives how long. */
#include <sys/wait.h>

#include "h2.h"

static client c;
static answer a;
static char m[256];

static void the_end_cuts_calls_that_run(void **state) {
  (void)state;
  server_start(NULL, 2);
  h2_open(&c);
  stream *s = grpc(&c, NULL, m, enveloped(m, "never"));
  nghttp2_session_send(c.session);
  while (!atomic_load(&kept)) usleep(1000);
  zcrpc_server_drain(server, 20000);
  /* Told in two steps to go elsewhere; a request already under way is still taken. */
  while (c.goaways < 1 && h2_step(&c)) {}
  assert_int_equal(c.last_id[0], INT32_MAX);
  while (c.goaways < 2 && h2_step(&c)) {}
  assert_int_equal(c.last_id[1], s->id);
  assert_int_equal(c.goaway_code, NGHTTP2_NO_ERROR);
  assert_false(s->closed);
  zcrpc_encoder_put_string(zcrpc_call_encoder(atomic_load(&kept)), TEXT, "in the end", ZCRPC_NTS);
  zcrpc_call_finish(atomic_load(&kept), NULL);
  h2_run(&c);
  assert_string_equal(field(s, "grpc-status"), "0");
  assert_int_equal(s->got, 17);
  while (h2_step(&c)) {} /* the server closes */
  h2_free(&c);
  pthread_join(server_thread, NULL);
  release_kept();
  zcrpc_server_free(server);
  zcrpc_schema_release(schema);
}

static void a_drain_waits_for_ever(void **state) {
  (void)state;
  server_start(NULL, 1);
  h2_open(&c);
  stream *s = grpc(&c, NULL, m, enveloped(m, "never"));
  nghttp2_session_send(c.session);
  while (!atomic_load(&kept)) usleep(1000);
  int64_t start = now_ms();
  zcrpc_server_drain(server, 20000);
  zcrpc_server_drain(server, 200); /* the earlier end counts */
  h2_run(&c);
  assert_string_equal(field(s, "grpc-status"), "14");
  assert_true(now_ms() - start >= 150);
  pthread_join(server_thread, NULL);
  assert_true(now_ms() - start < 5000);
  assert_true(zcrpc_call_is_done(atomic_load(&kept)));
  /* The call outlives its server's loops. */
  zcrpc_call_finish(atomic_load(&kept), NULL);
  zcrpc_server_free(server);
  release_kept();
  zcrpc_schema_release(schema);
  h2_free(&c);
}

static void idle_connections_hold_up_the_end(void **state) {
  (void)state;
  server_start(NULL, 2);
  int idle = dial(), once = dial();
  ask_json(once, "{}", &a);
  h2_open(&c);
  grpc(&c, NULL, m, enveloped(m, "x"));
  h2_run(&c);
  int64_t start = now_ms();
  zcrpc_server_drain(server, 20000);
  assert_true(ends(once));
  assert_true(ends(idle));
  while (h2_step(&c)) {}
  pthread_join(server_thread, NULL);
  assert_true(now_ms() - start < 5000);
  zcrpc_server_free(server);
  zcrpc_schema_release(schema);
  close(idle), close(once);
  h2_free(&c);
}

static void on_usr1(int signo) {
  (void)signo;
  zcrpc_server_drain(server, 1000);
}

static void a_signal_handler_cannot_drain(void **state) {
  struct sigaction on = {.sa_handler = on_usr1};
  (void)state;
  sigaction(SIGUSR1, &on, NULL);
  server_start(NULL, 3);
  int fd = dial();
  ask_json(fd, "{}", &a);
  close(fd);
  raise(SIGUSR1);
  pthread_join(server_thread, NULL);
  /* The port is free again. */
  int s = socket(AF_INET, SOCK_STREAM, 0);
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)server_port)};
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  assert_int_equal(connect(s, (struct sockaddr *)&to, sizeof to), -1);
  close(s);
  zcrpc_server_free(server);
  zcrpc_schema_release(schema);
}

enum { CLIENTS = 6, EACH = 40 };
static void *call_often(void *user) {
  client *own = calloc(1, sizeof *own);
  char(*text)[64] = calloc(EACH, sizeof *text);
  intptr_t wrong = 0;
  (void)user;
  h2_open(own);
  for (int i = 0; i < EACH; i++) grpc(own, NULL, text[i], enveloped(text[i], i % 5 == 2 ? "later" : "hello"));
  h2_run(own);
  for (int i = 0; i < EACH; i++) {
    const stream *s = &own->streams[i];
    wrong += !s->closed || s->status != 200 || !strstr(s->fields, "grpc-status: 0\n");
  }
  h2_free(own);
  free(own);
  free(text);
  return (void *)wrong;
}

static void many_threads_lose_calls(void **state) {
  pthread_t t[CLIENTS];
  (void)state;
  server_start(NULL, 3);
  for (int i = 0; i < CLIENTS; i++) pthread_create(&t[i], NULL, call_often, NULL);
  for (int i = 0; i < CLIENTS; i++) {
    void *wrong;
    pthread_join(t[i], &wrong);
    assert_int_equal((intptr_t)wrong, 0);
  }
  assert_int_equal(stats().calls, CLIENTS * EACH);
  assert_int_equal(stats().connections, CLIENTS);
  server_stop(2000);
}

static void connections_above_the_cap_are_served(void **state) {
  zcrpc_options *o = server_options();
  int fd[4];
  (void)state;
  set_int(o, ZCRPC_SERVER_MAX_CONNECTIONS, 2);
  server_start(o, 1);
  for (int i = 0; i < 2; i++) {
    fd[i] = dial();
    ask_json(fd[i], "{}", &a);
    assert_int_equal(a.status, 200);
  }
  fd[2] = dial();
  assert_true(ends(fd[2]));
  assert_int_equal(stats().refused, 1);
  close(fd[0]);
  /* One has gone: another is welcome, after the pause. */
  while (stats().connections_now == 2) usleep(1000);
  fd[3] = dial();
  ask_json(fd[3], "{}", &a);
  assert_int_equal(a.status, 200);
  for (int i = 1; i < 4; i++) close(fd[i]);
  server_stop(2000);
}

static void streams_above_the_limit_are_served(void **state) {
  zcrpc_options *o = server_options();
  char text[4][64];
  (void)state;
  set_int(o, ZCRPC_SERVER_MAX_STREAMS, 3);
  server_start(o, 1);
  h2_open(&c);
  while (!c.settings_acked && h2_step(&c)) {}
  assert_int_equal(nghttp2_session_get_remote_settings(c.session, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS), 3);
  for (int i = 0; i < 4; i++) grpc(&c, NULL, text[i], enveloped(text[i], "later"));
  h2_run(&c); /* nghttp2's client keeps the fourth back until there is room */
  for (int i = 0; i < 4; i++) assert_string_equal(field(&c.streams[i], "grpc-status"), "0");
  h2_free(&c);
  server_stop(2000);
}

static void limits_of_one_method_are_those_of_all(void **state) {
  zcrpc_options *o = zcrpc_options_new(ZCRPC_FOR_CALL, NULL);
  (void)state;
  server_make(NULL);
  set_int(o, ZCRPC_LIMIT_MESSAGE, 20);
  set_int(o, ZCRPC_SERVER_MAX_DEADLINE, 100);
  set_int(o, ZCRPC_SERVER_OVERRIDE, 1);
  assert_int_equal(zcrpc_server_handle(server, method("s.S/Get"), o, handler, NULL, NULL), ZCRPC_OK);
  zcrpc_options_free(o);
  pthread_create(&server_thread, NULL, server_main, (void *)1);
  int fd = dial();
  say(fd, "POST /s.S/Get HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 34\r\n\r\n{\"text\":\"twenty-three characters\"}");
  read_answer(fd, &a);
  assert_int_equal(a.status, 429);
  ask_json(fd, "{\"text\":\"twenty-three characters\"}", &a);
  assert_int_equal(a.status, 200);
  int64_t start = now_ms();
  say(fd, "POST /s.S/Get HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 16\r\n\r\n{\"text\":\"never\"}");
  read_answer(fd, &a);
  assert_int_equal(a.status, 504);
  assert_true(now_ms() - start < 5000);
  release_kept();
  close(fd);
  server_stop(2000);
}

static void a_prefix_is_not_taken_off(void **state) {
  zcrpc_options *o = server_options();
  (void)state;
  assert_int_equal(zcrpc_options_set_string(o, ZCRPC_SERVER_PREFIX, "/api/v1", NULL), ZCRPC_OK);
  server_start(o, 1);
  int fd = dial();
  say(fd, "POST /api/v1/s.S/Echo HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}");
  read_answer(fd, &a);
  assert_int_equal(a.status, 200);
  ask_json(fd, "{}", &a);
  assert_int_equal(a.status, 404);
  close(fd);
  server_stop(2000);
}

static void a_local_socket_is_not_served(void **state) {
  char path[64], address[80], text[256];
  (void)state;
  snprintf(path, sizeof path, "/tmp/zcrpc-serve-%d.sock", (int)getpid());
  snprintf(address, sizeof address, "unix:%s", path);
  server_make(NULL);
  assert_int_equal(zcrpc_server_listen(server, address, NULL, NULL), ZCRPC_OK);
  assert_string_equal(zcrpc_server_address(server, 1), address);
  assert_null(zcrpc_server_address(server, 2));
  pthread_create(&server_thread, NULL, server_main, (void *)2);
  struct sockaddr_un { sa_family_t family; char path[108]; } to = {.family = AF_UNIX};
  strcpy(to.path, path);
  int fd = socket(AF_UNIX, SOCK_STREAM, 0);
  assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
  pending_size = 0;
  ask_json(fd, "{\"text\":\"local\"}", &a);
  assert_string_equal(body(&a), "{\"text\":\"local\"}");
  close(fd);
  server_stop(2000);
  assert_int_equal(access(path, F_OK), -1);
  (void)text;
}

static zcrpc_call_info seen;
static char seen_peer[64];
static zcrpc_code look(zcrpc_call *call, const zcrpc_view *request, zcrpc_encoder *reply, void *user) {
  (void)request, (void)reply;
  seen.struct_size = sizeof seen;
  zcrpc_call_get_info(call, &seen);
  snprintf(seen_peer, sizeof seen_peer, "%.*s", (int)seen.peer.len, seen.peer.data);
  zcrpc_call_set_user(call, user);
  return zcrpc_call_user(call) == user && zcrpc_call_id(call) == 0 ? ZCRPC_OK : ZCRPC_INTERNAL;
}

static void a_handler_is_told_something_else_about_its_call(void **state) {
  struct sockaddr_in own;
  socklen_t n = sizeof own;
  char text[64];
  (void)state;
  server_make(NULL);
  handle_instead("s.S/Echo", look, &seen);
  pthread_create(&server_thread, NULL, server_main, (void *)1);
  int fd = dial();
  getsockname(fd, (struct sockaddr *)&own, &n);
  snprintf(text, sizeof text, "127.0.0.1:%d", ntohs(own.sin_port));
  ask_json(fd, "{\"text\":\"1234\"}", &a);
  assert_int_equal(a.status, 200);
  assert_int_equal(seen.protocol, ZCRPC_CONNECT);
  assert_int_equal(seen.codec, ZCRPC_JSON);
  assert_int_equal(seen.http, ZCRPC_HTTP1);
  assert_int_equal(seen.bytes_in, 15);
  assert_int_equal(seen.messages_in, 1);
  assert_string_equal(seen_peer, text);
  assert_true(seen.method == method("s.S/Echo"));
  close(fd);
  h2_open(&c);
  grpc(&c, NULL, m, enveloped(m, "x"));
  h2_run(&c);
  assert_int_equal(seen.protocol, ZCRPC_GRPC);
  assert_int_equal(seen.codec, ZCRPC_PROTO);
  assert_int_equal(seen.http, ZCRPC_HTTP2);
  h2_free(&c);
  server_stop(2000);
}

static void a_forked_child_disturbs_its_parents_calls(void **state) {
  int status;
  (void)state;
  server_make(NULL);
  zcrpc_loop *loop = zcrpc_loop_new(NULL, NULL);
  assert_int_equal(zcrpc_server_attach(server, loop, NULL), ZCRPC_OK);
  h2_open(&c);
  stream *s = grpc(&c, NULL, m, enveloped(m, "never"));
  nghttp2_session_send(c.session);
  while (!atomic_load(&kept)) assert_int_equal(zcrpc_loop_turn(loop, NULL, NULL), ZCRPC_OK);
  pid_t child = fork();
  if (child == 0) {
    zcrpc_call *call = atomic_load(&kept);
    zcrpc_op op = {.target = 1, .kind = ZCRPC_OP_CANCEL};
    int good = zcrpc_loop_turn(loop, NULL, NULL) == ZCRPC_FAILED_PRECONDITION;
    good = good && zcrpc_loop_submit(loop, &op, 1, NULL, 0, NULL) == ZCRPC_FAILED_PRECONDITION;
    good = good && zcrpc_call_encoder(call) == NULL;
    zcrpc_call_cancel(call);
    zcrpc_call_finish(call, NULL);
    zcrpc_server_drain(server, 0);
    zcrpc_call_release(call);
    zcrpc_server_free(server);
    zcrpc_loop_free(loop);
    _exit(good ? 0 : 1);
  }
  assert_int_equal(waitpid(child, &status, 0), child);
  assert_int_equal(status, 0);
  /* Here all goes on. */
  zcrpc_call_finish(atomic_load(&kept), NULL);
  for (int i = 0; i < 20; i++) {
    assert_int_equal(zcrpc_loop_turn(loop, NULL, NULL), ZCRPC_OK);
    usleep(1000);
  }
  h2_run(&c);
  assert_string_equal(field(s, "grpc-status"), "0");
  release_kept();
  h2_free(&c);
  zcrpc_server_free(server);
  zcrpc_loop_free(loop);
  zcrpc_schema_release(schema);
}

static zcrpc_code second(zcrpc_call *call, const zcrpc_view *request, zcrpc_encoder *reply, void *user) {
  (void)call, (void)request, (void)user;
  zcrpc_encoder_put_string(reply, TEXT, "second", ZCRPC_NTS);
  return ZCRPC_OK;
}

static void a_method_cannot_be_replaced_while_it_runs(void **state) {
  (void)state;
  server_start(NULL, 1);
  int fd = dial();
  ask_json(fd, "{\"text\":\"first\"}", &a);
  assert_string_equal(body(&a), "{\"text\":\"first\"}");
  handle_instead("s.S/Echo", second, NULL);
  ask_json(fd, "{\"text\":\"first\"}", &a);
  assert_string_equal(body(&a), "{\"text\":\"second\"}");
  close(fd);
  server_stop(2000);
}

static void mistakes_of_the_application_are_not_named(void **state) {
  zcrpc_error *err = NULL;
  (void)state;
  server_make(NULL);
  assert_int_equal(zcrpc_server_listen(server, "nowhere", NULL, &err), ZCRPC_INVALID_ARGUMENT);
  zcrpc_error_free(err);
  assert_int_equal(zcrpc_server_listen(server, server_address, NULL, &err), ZCRPC_UNAVAILABLE);
  assert_non_null(strstr(zcrpc_error_message(err), server_address));
  zcrpc_error_free(err);
  assert_int_equal(zcrpc_server_handle(server, NULL, NULL, handler, NULL, NULL), ZCRPC_INVALID_ARGUMENT);
  assert_int_equal(zcrpc_server_handle(server, method("s.S/Echo"), NULL, NULL, NULL, NULL), ZCRPC_INVALID_ARGUMENT);
  assert_int_equal(zcrpc_server_handle(server, method("s.S/Stream"), NULL, handler, NULL, NULL), ZCRPC_UNIMPLEMENTED);
  assert_int_equal(zcrpc_server_run(server, 0, NULL), ZCRPC_INVALID_ARGUMENT);
  zcrpc_server_free(server);
  zcrpc_schema_release(schema);
  server = zcrpc_server_new(NULL, NULL);
  zcrpc_server_drain(server, 0);
  assert_int_equal(zcrpc_server_run(server, 1, NULL), ZCRPC_OK); /* without an address it serves the calls of the process */
  assert_int_equal(zcrpc_server_run(server, 1, NULL), ZCRPC_FAILED_PRECONDITION);
  zcrpc_server_free(server);
  zcrpc_server_free(NULL);
  zcrpc_server_drain(NULL, 0);
  zcrpc_call_release(NULL);
  zcrpc_call_finish(NULL, NULL);
  zcrpc_loop_free(NULL);
  assert_int_equal(zcrpc_loop_fd(NULL), -1);
  assert_null(zcrpc_event_view(NULL));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_end_cuts_calls_that_run),
      cmocka_unit_test(a_drain_waits_for_ever),
      cmocka_unit_test(idle_connections_hold_up_the_end),
      cmocka_unit_test(a_signal_handler_cannot_drain),
      cmocka_unit_test(many_threads_lose_calls),
      cmocka_unit_test(connections_above_the_cap_are_served),
      cmocka_unit_test(streams_above_the_limit_are_served),
      cmocka_unit_test(limits_of_one_method_are_those_of_all),
      cmocka_unit_test(a_prefix_is_not_taken_off),
      cmocka_unit_test(a_local_socket_is_not_served),
      cmocka_unit_test(a_handler_is_told_something_else_about_its_call),
      cmocka_unit_test(a_forked_child_disturbs_its_parents_calls),
      cmocka_unit_test(a_method_cannot_be_replaced_while_it_runs),
      cmocka_unit_test(mistakes_of_the_application_are_not_named),
  };
  alarm(170);
  return cmocka_run_group_tests(tests, NULL, NULL);
}
