/* Bursts of calls on many connections that are read in one turn: each connection's answers go out, and its calls end,
 * before the next connection is read. So what one burst needed is enough for all, and nothing is allocated. */
#include <fcntl.h>
#include <linux/sockios.h>
#include <sys/ioctl.h>

#include "h2.h"
#include "../../support/fail_malloc.h"

enum { CONNECTIONS = 8, CALLS = 32 };

static zcrpc_loop *loop;
static client clients[CONNECTIONS];
static char m[256];

static int start_attached(void **state) {
  (void)state;
  alarm(170);
  server_make(NULL);
  loop = zcrpc_loop_new(NULL, NULL);
  assert_int_equal(zcrpc_server_attach(server, loop, NULL), ZCRPC_OK);
  for (int i = 0; i < CONNECTIONS; i++) h2_open(&clients[i]);
  return 0;
}
static int stop_attached(void **state) {
  (void)state;
  for (int i = 0; i < CONNECTIONS; i++) h2_free(&clients[i]);
  zcrpc_server_free(server);
  zcrpc_loop_free(loop);
  zcrpc_schema_release(schema);
  return 0;
}

static void turn(int timeout) {
  zcrpc_event events[4];
  zcrpc_turn t = {.struct_size = sizeof t, .timeout_ms = timeout, .events = events, .event_max = 4};
  assert_int_equal(zcrpc_loop_turn(loop, &t, NULL), ZCRPC_OK);
}

/* Sends a burst, which has arrived when it returns; nothing of the answer is read. */
static void burst(client *c, size_t n) {
  int waiting = 1;
  for (int i = 0; i < CALLS; i++) grpc(c, NULL, m, n);
  assert_int_equal(nghttp2_session_send(c->session), 0);
  for (int64_t end = now_ms() + 10000; waiting && now_ms() < end; usleep(200)) assert_int_equal(ioctl(c->fd, SIOCOUTQ, &waiting), 0);
  assert_int_equal(waiting, 0);
}

/* Turns, and reads what has come, until the client has every answer. */
static void collect(client *c) {
  uint8_t in[65536];
  int flags = fcntl(c->fd, F_GETFL);
  fcntl(c->fd, F_SETFL, flags | O_NONBLOCK);
  for (int64_t end = now_ms() + 20000; c->open && now_ms() < end;) {
    ssize_t got = recv(c->fd, in, sizeof in, 0);
    if (got > 0) assert_true(nghttp2_session_mem_recv(c->session, in, (size_t)got) >= 0);
    if (got <= 0) turn(1);
  }
  assert_int_equal(c->open, 0);
  for (int i = 0; i < c->count; i++) assert_string_equal(field(&c->streams[i], "grpc-status"), "0");
  fcntl(c->fd, F_SETFL, flags);
}

static void forget(client *c) {
  for (int i = 0; i < c->count; i++) free(c->streams[i].body);
  c->count = 0;
}

static void what_one_burst_needed_is_enough_for_all(void **state) {
  size_t n = enveloped(m, "hello");
  (void)state;
  /* Each connection gets what is its own, one after the other; twice, since queues grow. */
  for (int round = 0; round < 4; round++) {
    for (int i = 0; i < CONNECTIONS; i++) {
      burst(&clients[i], n);
      collect(&clients[i]);
      forget(&clients[i]);
    }
  }
  for (int i = 0; i < CONNECTIONS; i++) burst(&clients[i], n);
  uint64_t made = stats().allocations;
  fail_malloc_at(0);
  turn(100);
  turn(0);
  assert_int_equal(stats().calls, 5 * CONNECTIONS * CALLS); /* all of them in that one turn */
  assert_int_equal(stats().allocations, made);
#ifndef ZCRPC_DEBUG /* debug builds note what was released */
  assert_int_equal(fail_malloc_count(), 0);
#endif
  for (int i = 0; i < CONNECTIONS; i++) collect(&clients[i]);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(what_one_burst_needed_is_enough_for_all, start_attached, stop_attached),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
