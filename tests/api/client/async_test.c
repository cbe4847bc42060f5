/* Calls on a loop: functions, tags, operations, cancel, and who may wait where. */
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>

#include "client.h"

typedef struct outcome {
  int done;
  zcrpc_code code;
  char text[64];
  zcrpc_call *inner; /* a call to try to block on, inside the turn */
  zcrpc_code inner_code;
} outcome;

static void on_done(zcrpc_call *call, const zcrpc_event *event, const zcrpc_view *message, void *user) {
  outcome *o = user;
  zcrpc_slice s;
  assert_int_equal(event->kind, ZCRPC_EVENT_DONE);
  assert_int_equal(zcrpc_call_is_done(call), 1);
  o->done++;
  o->code = event->value;
  zcrpc_view_string(message, TEXT, &s);
  snprintf(o->text, sizeof o->text, "%.*s", (int)s.len, s.data);
  if (event->value == 0) assert_null(zcrpc_call_error(call));
  else assert_int_equal(zcrpc_error_code(zcrpc_call_error(call)), event->value);
  if (o->inner) {
    zcrpc_error *err = NULL;
    assert_null(zcrpc_call_unary(o->inner, &err));
    o->inner_code = zcrpc_error_code(err);
    zcrpc_error_free(err);
  }
}

static zcrpc_channel *channel_on(zcrpc_loop *l) {
  zcrpc_channel *ch = zcrpc_channel_new(l, server.target, NULL, NULL, NULL);
  assert_non_null(ch);
  return ch;
}

/* Turns, sleeping on the loop's descriptor as an application would, until n is reached or 5 s have passed. */
static void turn_until(zcrpc_loop *l, const int *count, int n) {
  int64_t end = now_ms() + 5000;
  struct pollfd p = {.fd = zcrpc_loop_fd(l), .events = POLLIN};
  while (*count < n && now_ms() < end) {
    poll(&p, 1, 100);
    assert_int_equal(zcrpc_loop_turn(l, NULL, NULL), ZCRPC_OK);
  }
  assert_int_equal(*count, n);
}

static void a_function_gets_the_reply_inside_a_turn(void **state) {
  zcrpc_loop *l = zcrpc_loop_new(NULL, NULL);
  zcrpc_channel *ch = channel_on(l);
  zcrpc_call *c = open_call(ch, echo, NULL, "hello");
  outcome o = {0};
  (void)state;
  assert_int_equal(zcrpc_call_start(c, 0, on_done, &o, NULL), ZCRPC_OK);
  assert_int_equal(o.done, 0); /* never inside another call of the API */
  turn_until(l, &o.done, 1);
  assert_int_equal(o.code, ZCRPC_OK);
  assert_string_equal(o.text, "hello");
  assert_string_equal(seen(c, "x-seen-path"), "/p.S/Echo");
  zcrpc_call_release(c);
  zcrpc_channel_free(ch);
  zcrpc_loop_free(l);
}

static void many_calls_run_at_once(void **state) {
  enum { N = 40 };
  zcrpc_loop *l = zcrpc_loop_new(NULL, NULL);
  zcrpc_channel *ch = channel_on(l);
  zcrpc_call *c[N];
  outcome o[N];
  int i, done = 0;
  int64_t from = now_ms();
  (void)state;
  memset(o, 0, sizeof o);
  for (i = 0; i < N; i++) {
    c[i] = open_call(ch, echo, "slow-head", "hello");
    assert_int_equal(zcrpc_call_start(c[i], 0, on_done, &o[i], NULL), ZCRPC_OK);
  }
  while (done < N && now_ms() - from < 10000) {
    struct pollfd p = {.fd = zcrpc_loop_fd(l), .events = POLLIN};
    poll(&p, 1, 100);
    assert_int_equal(zcrpc_loop_turn(l, NULL, NULL), ZCRPC_OK);
    for (done = 0, i = 0; i < N; i++) done += o[i].done;
  }
  for (i = 0; i < N; i++) {
    assert_int_equal(o[i].code, ZCRPC_OK);
    assert_string_equal(o[i].text, "hello");
    zcrpc_call_release(c[i]);
  }
  assert_true(now_ms() - from < 5000); /* one after the other they would take 12 s */
  zcrpc_channel_free(ch);
  zcrpc_loop_free(l);
}

static void connections_are_as_few_as_was_asked(void **state) {
  zcrpc_loop *l = zcrpc_loop_new(NULL, NULL);
  zcrpc_options *options = zcrpc_options_new(ZCRPC_FOR_CHANNEL, NULL);
  zcrpc_channel *ch;
  zcrpc_call *c[3];
  outcome o[3];
  zcrpc_stats stats = {.struct_size = sizeof stats};
  int i;
  (void)state;
  memset(o, 0, sizeof o);
  assert_int_equal(zcrpc_options_set_int(options, ZCRPC_CHANNEL_CONNECTIONS, 1, NULL), 0);
  ch = zcrpc_channel_new(l, server.target, options, NULL, NULL);
  zcrpc_options_free(options);
  for (i = 0; i < 3; i++) {
    c[i] = open_call(ch, echo, "slow-head", "hello");
    assert_int_equal(zcrpc_call_start(c[i], 0, on_done, &o[i], NULL), ZCRPC_OK);
  }
  for (i = 0; i < 3; i++) turn_until(l, &o[i].done, 1);
  for (i = 0; i < 3; i++) {
    assert_int_equal(o[i].code, ZCRPC_OK);
    zcrpc_call_release(c[i]);
  }
  zcrpc_channel_stats(ch, &stats);
  assert_int_equal(stats.connections, 1);
  zcrpc_channel_free(ch);
  zcrpc_loop_free(l);
}

static void an_error_comes_as_done_with_its_code(void **state) {
  zcrpc_loop *l = zcrpc_loop_new(NULL, NULL);
  zcrpc_channel *ch = channel_on(l);
  zcrpc_call *c = open_call(ch, echo, "error", "hello");
  outcome o = {0};
  (void)state;
  assert_int_equal(zcrpc_call_start(c, 0, on_done, &o, NULL), ZCRPC_OK);
  turn_until(l, &o.done, 1);
  assert_int_equal(o.code, ZCRPC_NOT_FOUND);
  assert_int_equal(zcrpc_error_detail_count(zcrpc_call_error(c)), 1);
  zcrpc_call_release(c);
  zcrpc_channel_free(ch);
  zcrpc_loop_free(l);
}

/* One turn that takes events; how many came. */
static uint32_t take(zcrpc_loop *l, zcrpc_event *events, uint8_t *arena, size_t len, const zcrpc_op *op, const void *base, size_t base_len) {
  zcrpc_turn t = {.struct_size = sizeof t, .timeout_ms = 100, .events = events, .event_max = 8, .arena = arena, .arena_len = len};
  if (op) {
    t.ops = op;
    t.op_count = 1;
    t.op_base = base;
    t.op_base_len = base_len;
  }
  assert_int_equal(zcrpc_loop_turn(l, &t, NULL), ZCRPC_OK);
  return t.event_count;
}

static void without_a_function_the_event_carries_the_tag_and_the_message(void **state) {
  zcrpc_loop *l = zcrpc_loop_new(NULL, NULL);
  zcrpc_channel *ch = channel_on(l);
  zcrpc_call *c = open_call(ch, echo, NULL, "hello");
  zcrpc_event events[8];
  uint32_t n = 0;
  int64_t end = now_ms() + 5000;
  (void)state;
  assert_int_equal(zcrpc_call_start(c, 4711, NULL, NULL, NULL), ZCRPC_OK);
  while (n == 0 && now_ms() < end) n = take(l, events, NULL, 0, NULL, NULL, 0);
  assert_int_equal(n, 1);
  assert_int_equal(events[0].kind, ZCRPC_EVENT_DONE);
  assert_int_equal(events[0].value, ZCRPC_OK);
  assert_int_equal(events[0].tag, 4711);
  assert_int_equal(events[0].call, zcrpc_call_id(c));
  assert_int_equal(events[0].len, 7);
  assert_memory_equal((const void *)(uintptr_t)events[0].data, "\x0a\x05hello", 7);
  assert_true(events[0].index != 0 && events[0].index_len >= sizeof(zcrpc_index));
  assert_text(zcrpc_event_view(&events[0]), "hello");
  zcrpc_call_release(c);
  zcrpc_channel_free(ch);
  zcrpc_loop_free(l);
}

static void an_operation_starts_a_call_and_its_message_lands_in_the_arena(void **state) {
  zcrpc_loop *l = zcrpc_loop_new(NULL, NULL);
  zcrpc_channel *ch = channel_on(l);
  uint64_t id = zcrpc_channel_bind(ch, echo, NULL);
  static uint8_t base[64], arena[4096] __attribute__((aligned(8)));
  zcrpc_meta_head head = {6, 3};
  zcrpc_op op = {.kind = ZCRPC_OP_START, .target = id, .tag = 9, .data = 32, .len = 7, .meta = 0, .meta_len = sizeof head + 9};
  zcrpc_event events[8];
  uint32_t n;
  int64_t end = now_ms() + 5000;
  (void)state;
  assert_true(id != 0);
  assert_true(zcrpc_channel_bind(ch, echo, NULL) == id);
  assert_true(zcrpc_channel_bind(ch, get, NULL) != id);
  assert_int_equal(zcrpc_channel_bind(ch, streaming, NULL), 0);
  memcpy(base, &head, sizeof head);
  memcpy(base + sizeof head, "x-mineone", 9);
  memcpy(base + 32, "\x0a\x05hello", 7);
  n = take(l, events, arena, sizeof arena, &op, base, sizeof base);
  while (n == 0 && now_ms() < end) n = take(l, events, arena, sizeof arena, NULL, NULL, 0);
  assert_int_equal(n, 1);
  assert_int_equal(events[0].kind, ZCRPC_EVENT_DONE);
  assert_int_equal(events[0].value, ZCRPC_OK);
  assert_int_equal(events[0].tag, 9);
  assert_int_equal(events[0].len, 7);
  assert_memory_equal(arena + events[0].data, "\x0a\x05hello", 7);
  zcrpc_channel_free(ch);
  zcrpc_loop_free(l);
}

static void cancel_ends_a_call_at_once(void **state) {
  zcrpc_loop *l = zcrpc_loop_new(NULL, NULL);
  zcrpc_channel *ch = channel_on(l);
  zcrpc_call *c = open_call(ch, echo, "silent", "hello");
  outcome o = {0};
  int64_t from = now_ms();
  (void)state;
  assert_int_equal(zcrpc_call_start(c, 0, on_done, &o, NULL), ZCRPC_OK);
  zcrpc_loop_turn(l, NULL, NULL);
  zcrpc_call_cancel(c);
  zcrpc_call_cancel(c);
  turn_until(l, &o.done, 1);
  assert_int_equal(o.code, ZCRPC_CANCELED);
  assert_true(now_ms() - from < 2000);
  zcrpc_call_cancel(c);
  zcrpc_call_release(c);

  c = open_call(ch, echo, NULL, "hello"); /* canceled before it begins */
  zcrpc_call_cancel(c);
  o.done = 0;
  assert_int_equal(zcrpc_call_start(c, 0, on_done, &o, NULL), ZCRPC_OK);
  turn_until(l, &o.done, 1);
  assert_int_equal(o.code, ZCRPC_CANCELED);
  zcrpc_call_release(c);
  zcrpc_channel_free(ch);
  zcrpc_loop_free(l);
}

static void dropping_the_last_reference_cancels_without_an_event(void **state) {
  zcrpc_loop *l = zcrpc_loop_new(NULL, NULL);
  zcrpc_channel *ch = channel_on(l);
  zcrpc_call *c = open_call(ch, echo, "silent", "hello");
  zcrpc_stats stats = {.struct_size = sizeof stats};
  outcome o = {0};
  int i;
  (void)state;
  assert_int_equal(zcrpc_call_start(c, 0, on_done, &o, NULL), ZCRPC_OK);
  zcrpc_loop_turn(l, NULL, NULL);
  zcrpc_call_release(c);
  for (i = 0; i < 10; i++) zcrpc_loop_turn(l, NULL, NULL);
  zcrpc_channel_stats(ch, &stats);
  assert_int_equal(o.done, 0);
  assert_int_equal(stats.calls_now, 0);
  zcrpc_channel_free(ch);
  zcrpc_loop_free(l);
}

static void blocking_inside_a_turn_is_refused(void **state) {
  zcrpc_loop *l = zcrpc_loop_new(NULL, NULL);
  zcrpc_channel *ch = channel_on(l);
  zcrpc_call *c = open_call(ch, echo, NULL, "hello");
  outcome o = {0};
  (void)state;
  o.inner = open_call(ch, echo, NULL, "inner");
  assert_int_equal(zcrpc_call_start(c, 0, on_done, &o, NULL), ZCRPC_OK);
  turn_until(l, &o.done, 1);
  assert_int_equal(o.inner_code, ZCRPC_FAILED_PRECONDITION);
  zcrpc_call_release(o.inner);
  zcrpc_call_release(c);
  zcrpc_channel_free(ch);
  zcrpc_loop_free(l);
}

static void freeing_the_channel_cancels_what_runs(void **state) {
  zcrpc_loop *l = zcrpc_loop_new(NULL, NULL);
  zcrpc_channel *ch = channel_on(l);
  zcrpc_call *c = open_call(ch, echo, "silent", "hello"), *late = open_call(ch, echo, NULL, "late");
  outcome o = {0}, p = {0};
  (void)state;
  assert_int_equal(zcrpc_call_start(c, 0, on_done, &o, NULL), ZCRPC_OK);
  zcrpc_loop_turn(l, NULL, NULL);
  zcrpc_channel_free(ch);
  turn_until(l, &o.done, 1);
  assert_int_equal(o.code, ZCRPC_CANCELED);
  assert_int_equal(zcrpc_call_start(late, 0, on_done, &p, NULL), ZCRPC_OK);
  turn_until(l, &p.done, 1);
  assert_int_equal(p.code, ZCRPC_CANCELED);
  zcrpc_loop_free(l);
  /* A call that is over may be read and released after all of it has gone. */
  assert_int_equal(zcrpc_error_code(zcrpc_call_error(c)), ZCRPC_CANCELED);
  assert_null(zcrpc_call_metadata(c, ZCRPC_RESPONSE_HEADERS));
  zcrpc_call_release(c);
  zcrpc_call_release(late);
}

static void a_loop_freed_with_an_event_in_it_leaks_nothing(void **state) {
  zcrpc_loop *l = zcrpc_loop_new(NULL, NULL);
  zcrpc_channel *ch = channel_on(l);
  zcrpc_call *c = open_call(ch, echo, "silent", "hello");
  outcome o = {0};
  (void)state;
  assert_int_equal(zcrpc_call_start(c, 0, on_done, &o, NULL), ZCRPC_OK);
  zcrpc_call_cancel(c);
  zcrpc_call_release(c);
  zcrpc_channel_free(ch);
  zcrpc_loop_free(l);
  assert_int_equal(o.done, 0);
}

typedef struct waiter {
  zcrpc_channel *ch;
  zcrpc_call *call;
  int good, rounds;
  zcrpc_code code;
} waiter;

static void *call_often(void *user) {
  waiter *w = user;
  for (int i = 0; i < w->rounds; i++) {
    zcrpc_error *err = NULL;
    zcrpc_call *c = zcrpc_channel_open(w->ch, echo, NULL, NULL);
    zcrpc_encoder_put_int64(zcrpc_call_encoder(c), NUMBER, i);
    const zcrpc_view *v = zcrpc_call_unary(c, &err);
    if (v && zcrpc_view_int64(v, NUMBER) == i) w->good++;
    zcrpc_error_free(err);
    zcrpc_call_release(c);
  }
  return NULL;
}

static void several_threads_block_on_one_channel(void **state) {
  enum { THREADS = 6, ROUNDS = 60 };
  zcrpc_channel *ch = channel();
  waiter w[THREADS];
  pthread_t t[THREADS];
  int i;
  (void)state;
  for (i = 0; i < THREADS; i++) {
    w[i] = (waiter){.ch = ch, .rounds = ROUNDS};
    pthread_create(&t[i], NULL, call_often, &w[i]);
  }
  for (i = 0; i < THREADS; i++) {
    pthread_join(t[i], NULL);
    assert_int_equal(w[i].good, ROUNDS);
  }
  zcrpc_channel_free(ch);
}

static void *block(void *user) {
  waiter *w = user;
  zcrpc_error *err = NULL;
  w->good = zcrpc_call_unary(w->call, &err) != NULL;
  w->code = zcrpc_error_code(err);
  zcrpc_error_free(err);
  return NULL;
}

static void another_thread_cancels_a_blocked_one(void **state) {
  zcrpc_channel *ch = channel();
  waiter w = {.call = open_call(ch, echo, "silent", "hello")};
  pthread_t t;
  int64_t from = now_ms();
  (void)state;
  pthread_create(&t, NULL, block, &w);
  usleep(100000);
  zcrpc_call_cancel(w.call);
  pthread_join(t, NULL);
  assert_int_equal(w.code, ZCRPC_CANCELED);
  assert_true(now_ms() - from < 5000);
  zcrpc_call_release(w.call);
  zcrpc_channel_free(ch);
}

static void freeing_the_channel_ends_a_blocked_call(void **state) {
  zcrpc_channel *ch = channel();
  waiter w = {.call = open_call(ch, echo, "silent", "hello")};
  pthread_t t;
  (void)state;
  pthread_create(&t, NULL, block, &w);
  usleep(100000);
  zcrpc_channel_free(ch);
  pthread_join(t, NULL);
  assert_int_equal(w.code, ZCRPC_CANCELED);
  zcrpc_call_release(w.call);
}

static atomic_int over;
static void *turn_until_over(void *user) {
  zcrpc_loop *l = user;
  while (!atomic_load(&over)) {
    zcrpc_turn t = {.struct_size = sizeof t, .timeout_ms = 50};
    zcrpc_loop_turn(l, &t, NULL);
  }
  return NULL;
}

static void a_thread_may_block_while_another_turns_the_loop(void **state) {
  zcrpc_loop *l = zcrpc_loop_new(NULL, NULL);
  zcrpc_channel *ch = channel_on(l);
  waiter w = {.ch = ch, .rounds = 30};
  pthread_t t;
  (void)state;
  pthread_create(&t, NULL, turn_until_over, l);
  call_often(&w); /* who would wait for ever if the other went before it */
  atomic_store(&over, 1);
  zcrpc_loop_wake(l);
  pthread_join(t, NULL);
  assert_int_equal(w.good, 30);
  zcrpc_channel_free(ch);
  zcrpc_loop_free(l);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_function_gets_the_reply_inside_a_turn),
      cmocka_unit_test(many_calls_run_at_once),
      cmocka_unit_test(connections_are_as_few_as_was_asked),
      cmocka_unit_test(an_error_comes_as_done_with_its_code),
      cmocka_unit_test(without_a_function_the_event_carries_the_tag_and_the_message),
      cmocka_unit_test(an_operation_starts_a_call_and_its_message_lands_in_the_arena),
      cmocka_unit_test(cancel_ends_a_call_at_once),
      cmocka_unit_test(dropping_the_last_reference_cancels_without_an_event),
      cmocka_unit_test(blocking_inside_a_turn_is_refused),
      cmocka_unit_test(freeing_the_channel_cancels_what_runs),
      cmocka_unit_test(a_loop_freed_with_an_event_in_it_leaks_nothing),
      cmocka_unit_test(several_threads_block_on_one_channel),
      cmocka_unit_test(another_thread_cancels_a_blocked_one),
      cmocka_unit_test(freeing_the_channel_ends_a_blocked_call),
      cmocka_unit_test(a_thread_may_block_while_another_turns_the_loop),
  };
  return cmocka_run_group_tests(tests, set_up, tear_down);
}
