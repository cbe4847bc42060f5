/* The number of calls that a server takes at once: over all its loops, and for calls of its own process too. */
#include "http1.h"

enum { PLACES = 8, LOOPS = 3, CLIENTS = 24 };

static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER; /* of held */
static zcrpc_call *held[CLIENTS];
static atomic_int holding;
static answer a;

static zcrpc_code hold(zcrpc_call *call, const zcrpc_view *request, zcrpc_encoder *reply, void *user) {
  (void)request;
  (void)reply;
  (void)user;
  pthread_mutex_lock(&gate);
  held[atomic_load(&holding)] = zcrpc_call_retain(call);
  atomic_fetch_add(&holding, 1);
  pthread_mutex_unlock(&gate);
  return ZCRPC_PENDING;
}

static void let_go(void) {
  zcrpc_call *now[CLIENTS];
  pthread_mutex_lock(&gate);
  int n = atomic_exchange(&holding, 0);
  memcpy(now, held, sizeof now);
  pthread_mutex_unlock(&gate);
  for (int i = 0; i < n; i++) {
    zcrpc_call_finish(now[i], NULL);
    zcrpc_call_release(now[i]);
  }
}

static void start(int places, int threads) {
  zcrpc_options *o = server_options();
  set_int(o, ZCRPC_SERVER_MAX_CALLS, places);
  server_make(o);
  handle_instead("s.S/Echo", hold, NULL);
  pthread_create(&server_thread, NULL, server_main, (void *)(intptr_t)threads);
}

static void loops_count_for_themselves(void **state) {
  int fds[CLIENTS], ok = 0, refused = 0;
  (void)state;
  start(PLACES, LOOPS);
  for (int i = 0; i < CLIENTS; i++) post_json(fds[i] = dial(), "", "{}");
  for (int64_t end = now_ms() + 10000; (uint64_t)atomic_load(&holding) + stats().refused < CLIENTS && now_ms() < end;) usleep(1000);
  int most = atomic_load(&holding);
  assert_int_equal(most, PLACES);
  assert_int_equal(stats().refused, CLIENTS - most);
  let_go();
  for (int i = 0; i < CLIENTS; i++) {
    pending_size = 0;
    read_answer(fds[i], &a);
    ok += a.status == 200;
    refused += a.status == 503;
    if (a.status == 503) assert_non_null(strstr(body(&a), "\"code\":\"unavailable\",\"message\":\"the server has too many calls\""));
  }
  assert_int_equal(ok, most);
  assert_int_equal(refused, CLIENTS - most);
  /* All places are free again, on whichever loop. */
  for (int i = 0; i < PLACES; i++) post_json(fds[i], "", "{}");
  for (int64_t end = now_ms() + 10000; atomic_load(&holding) < PLACES && now_ms() < end;) usleep(1000);
  assert_int_equal(atomic_load(&holding), PLACES);
  let_go();
  for (int i = 0; i < PLACES; i++) {
    pending_size = 0;
    read_answer(fds[i], &a);
    assert_int_equal(a.status, 200);
  }
  for (int i = 0; i < CLIENTS; i++) close(fds[i]);
  server_stop(2000);
}

static zcrpc_code ask_inproc(zcrpc_channel *ch, char *text, size_t size) {
  zcrpc_error *err = NULL;
  zcrpc_call *call = zcrpc_channel_open(ch, method("s.S/Echo"), NULL, NULL);
  assert_non_null(call);
  (void)zcrpc_call_unary(call, &err);
  zcrpc_code code = zcrpc_error_code(err);
  snprintf(text, size, "%s", zcrpc_error_message(err));
  zcrpc_error_free(err);
  zcrpc_call_release(call);
  return code;
}

static void *free_the_place(void *user) {
  (void)user;
  while (atomic_load(&holding) == 0) usleep(1000);
  let_go();
  return NULL;
}

static void calls_of_the_process_are_not_counted(void **state) {
  char text[256];
  (void)state;
  start(1, 1);
  zcrpc_channel *ch = zcrpc_channel_new_inproc(NULL, server, NULL, NULL);
  int fd = dial();
  post_json(fd, "", "{}");
  while (atomic_load(&holding) == 0) usleep(1000);
  assert_int_equal(ask_inproc(ch, text, sizeof text), ZCRPC_UNAVAILABLE);
  assert_string_equal(text, "the server has too many calls");
  let_go();
  read_answer(fd, &a);
  assert_int_equal(a.status, 200);
  pthread_t t;
  pthread_create(&t, NULL, free_the_place, NULL);
  assert_int_equal(ask_inproc(ch, text, sizeof text), ZCRPC_OK);
  pthread_join(t, NULL);
  assert_int_equal(stats().refused, 1);
  close(fd);
  zcrpc_channel_free(ch);
  server_stop(2000);
}

int main(void) {
  signal(SIGALRM, SIG_DFL);
  alarm(170);
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(loops_count_for_themselves),
      cmocka_unit_test(calls_of_the_process_are_not_counted),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
