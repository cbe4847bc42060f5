/* A server on the application's own loop: requests as events of turn, answers as operations. */
#include <poll.h>
#include <sys/epoll.h>

#include "h2.h"

enum { TAG = 4711, EVENTS = 64 };

static zcrpc_loop *loop;
static zcrpc_event events[EVENTS];
static _Alignas(8) uint8_t arena[1 << 16];
static client c;
static char m[256];

static int start_attached(void **state) {
  (void)state;
  alarm(170);
  server_make(NULL);
  assert_int_equal(zcrpc_server_route(server, method("s.S/Turn"), NULL, TAG, NULL), ZCRPC_OK);
  assert_int_equal(zcrpc_server_route(server, method("s.S/Chat"), NULL, TAG + 1, NULL), ZCRPC_OK);
  loop = zcrpc_loop_new(NULL, NULL);
  assert_int_equal(zcrpc_server_attach(server, loop, NULL), ZCRPC_OK);
  return 0;
}
static int stop_attached(void **state) {
  (void)state;
  zcrpc_server_free(server);
  zcrpc_loop_free(loop);
  zcrpc_schema_release(schema);
  return 0;
}

static zcrpc_turn turn_of(int timeout, int with_arena) {
  zcrpc_turn t = {.struct_size = sizeof t, .timeout_ms = timeout, .events = events, .event_max = EVENTS};
  if (with_arena) t.arena = arena, t.arena_len = sizeof arena;
  return t;
}

/* The client runs on a thread of its own, since it blocks. */
static void *run_client(void *user) {
  h2_run(user);
  return NULL;
}
static stream *ask(const char *text) {
  static char own[256];
  return h2_request(&c, "/s.S/Turn", "application/grpc", NULL, own, enveloped(own, text));
}

/* Turns until an event of that kind comes; its place in events. */
static uint32_t await_kind(int kind, int with_arena) {
  for (int64_t end = now_ms() + 10000; now_ms() < end;) {
    zcrpc_turn t = turn_of(100, with_arena);
    assert_int_equal(zcrpc_loop_turn(loop, &t, NULL), ZCRPC_OK);
    for (uint32_t i = 0; i < t.event_count; i++)
      if (events[i].kind == kind) return i;
  }
  fail_msg("no event of kind %d", kind);
  return 0;
}

static void finish(uint64_t call, int32_t code, const void *data, size_t n, uint16_t flags) {
  zcrpc_op op = {.target = call, .kind = ZCRPC_OP_FINISH, .flags = flags, .value = code, .len = n};
  zcrpc_turn t = turn_of(0, 0);
  t.events = NULL;
  t.ops = &op;
  t.op_count = 1;
  t.op_base = data;
  t.op_base_len = n;
  assert_int_equal(zcrpc_loop_turn(loop, &t, NULL), ZCRPC_OK);
  assert_int_equal(t.ops_done, 1);
}

static void a_request_or_its_done_is_no_event(void **state) {
  pthread_t t;
  zcrpc_slice text;
  uint32_t i;
  uint64_t id;
  (void)state;
  h2_open(&c);
  stream *s = ask("to the turn");
  pthread_create(&t, NULL, run_client, &c);
  i = await_kind(ZCRPC_EVENT_REQUEST, 0);
  assert_int_equal(events[i].tag, TAG);
  assert_int_equal(events[i].flags, ZCRPC_EVENT_END);
  assert_int_equal(events[i].value, -1);
  assert_int_equal(events[i].len, 13);
  assert_memory_equal((void *)(uintptr_t)events[i].data, "\x0a\x0bto the turn", 13);
  zcrpc_view_string(zcrpc_event_view(&events[i]), TEXT, &text);
  assert_int_equal(text.len, 11);
  assert_ptr_equal(text.data, (char *)(uintptr_t)events[i].data + 2); /* no copy */
  id = events[i].call;
  assert_non_null(zcrpc_loop_call(loop, id));
  assert_int_equal(zcrpc_call_id(zcrpc_loop_call(loop, id)), id);
  finish(id, ZCRPC_OK, "\x0a\x02ok", 4, 0);
  i = await_kind(ZCRPC_EVENT_DONE, 0);
  assert_int_equal(events[i].call, id);
  assert_int_equal(events[i].tag, TAG);
  assert_int_equal(events[i].value, ZCRPC_OK);
  pthread_join(t, NULL);
  assert_string_equal(field(s, "grpc-status"), "0");
  assert_int_equal(s->got, 9);
  assert_memory_equal(s->body + 5, "\x0a\x02ok", 4);
  /* It is over: what comes late is dropped and counted. */
  uint64_t late = stats().late_ops;
  finish(id, ZCRPC_OK, "", 0, 0);
  assert_null(zcrpc_loop_call(loop, id));
  assert_int_equal(stats().late_ops, late + 1);
  h2_free(&c);
}

static void an_arena_holds_something_else_than_the_request(void **state) {
  pthread_t t;
  (void)state;
  h2_open(&c);
  stream *s = ask("arena");
  pthread_create(&t, NULL, run_client, &c);
  uint32_t i = await_kind(ZCRPC_EVENT_REQUEST, 1);
  assert_int_equal(events[i].flags, ZCRPC_EVENT_END);
  assert_memory_equal(arena + events[i].data, "\x0a\x05" "arena", 7);
  assert_int_equal(events[i].index % 8, 0);
  zcrpc_index *index = (zcrpc_index *)(void *)(arena + events[i].index);
  assert_int_equal(index->magic, ZCRPC_INDEX_MAGIC);
  assert_int_equal(index->size, events[i].index_len);
  assert_int_equal(index->input_len, 7);
  finish(events[i].call, ZCRPC_NOT_FOUND, "not in here", 11, 0);
  i = await_kind(ZCRPC_EVENT_DONE, 1);
  assert_int_equal(events[i].value, ZCRPC_NOT_FOUND);
  assert_memory_equal(arena + events[i].data, "not in here", 11);
  pthread_join(t, NULL);
  assert_string_equal(field(s, "grpc-status"), "5");
  assert_string_equal(field(s, "grpc-message"), "not in here");
  h2_free(&c);
}

static void what_is_too_large_for_the_arena_is_lost(void **state) {
  static char big[100005];
  pthread_t t;
  (void)state;
  memcpy(big, "\0\0\x01\x86\xa0\x1a\x9c\x8d\x06", 9);
  h2_open(&c);
  stream *s = h2_request(&c, "/s.S/Turn", "application/grpc", NULL, big, sizeof big);
  pthread_create(&t, NULL, run_client, &c);
  uint32_t i = await_kind(ZCRPC_EVENT_REQUEST, 1);
  assert_int_equal(events[i].flags, ZCRPC_EVENT_END | ZCRPC_EVENT_BORROWED);
  assert_int_equal(events[i].len, 100000);
  assert_memory_equal((void *)(uintptr_t)events[i].data, big + 5, 100000);
  /* Lent beyond the call's end, until it is given back. */
  zcrpc_event lent = events[i];
  finish(lent.call, ZCRPC_OK, "", 0, 0);
  await_kind(ZCRPC_EVENT_DONE, 1);
  assert_memory_equal((void *)(uintptr_t)lent.data, big + 5, 100000);
  zcrpc_op op = {.target = lent.call, .kind = ZCRPC_OP_RELEASE, .data = lent.data};
  assert_int_equal(zcrpc_loop_submit(loop, &op, 1, NULL, 0, NULL), ZCRPC_OK);
  pthread_join(t, NULL);
  assert_string_equal(field(s, "grpc-status"), "0");
  h2_free(&c);
}

static void a_status_with_details_or_trailers_is_not_sent(void **state) {
  /* google.rpc.Status: code 9, message "no", one detail of type.googleapis.com/s.M */
  static const char status[] = "\x08\x09\x12\x02no\x1a\x21\x0a\x17type.googleapis.com/s.M\x12\x06\x0a\x04" "abcd";
  struct { zcrpc_meta_head head; char text[8]; } meta = {{5, 3}, "x-endyes"};
  char base[256];
  pthread_t t;
  (void)state;
  h2_open(&c);
  stream *s = ask("status");
  pthread_create(&t, NULL, run_client, &c);
  uint32_t i = await_kind(ZCRPC_EVENT_REQUEST, 1);
  memcpy(base, status, sizeof status - 1);
  memcpy(base + 100, &meta, sizeof meta);
  zcrpc_op op = {.target = events[i].call, .kind = ZCRPC_OP_FINISH, .flags = ZCRPC_OP_STATUS, .value = 9, .len = sizeof status - 1,
                 .meta = 100, .meta_len = sizeof meta, .tag = 99};
  zcrpc_error *err = NULL;
  if (zcrpc_loop_submit(loop, &op, 1, base, sizeof base, &err)) fail_msg("%s", zcrpc_error_message(err));
  i = await_kind(ZCRPC_EVENT_DONE, 1);
  assert_int_equal(events[i].tag, 99);
  pthread_join(t, NULL);
  assert_string_equal(field(s, "grpc-status"), "9");
  assert_string_equal(field(s, "grpc-message"), "no");
  assert_non_null(field(s, "grpc-status-details-bin"));
  assert_string_equal(field(s, "x-end"), "yes");
  h2_free(&c);
}

static void an_operation_reaches_outside_its_base(void **state) {
  static const struct { uint64_t data, len, meta; uint32_t meta_len; uint16_t kind, flags; } bad[] = {
      {0, 11, 0, 0, ZCRPC_OP_FINISH, 0},          {11, 1, 0, 0, ZCRPC_OP_FINISH, 0},
      {UINT64_MAX, 2, 0, 0, ZCRPC_OP_FINISH, 0},  {2, UINT64_MAX, 0, 0, ZCRPC_OP_SEND, 0},
      {0, 0, 4, 8, ZCRPC_OP_FINISH, 0},           {0, 0, 0, 9, ZCRPC_OP_FINISH, 0},
      {0, 0, 0, 0, 77, 0},                        {0, 0, 0, 0, 0, 0},
      {0, 0, 0, 0, ZCRPC_OP_FINISH, 0x8000},      {0, 0, 0, 0, ZCRPC_OP_FINISH, ZCRPC_OP_BUFFER},
  };
  char base[10] = {0};
  (void)state;
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    zcrpc_op ops[2] = {{.target = 1, .kind = ZCRPC_OP_READ},
                       {.target = 1, .data = bad[i].data, .len = bad[i].len, .meta = bad[i].meta, .meta_len = bad[i].meta_len,
                        .kind = bad[i].kind, .flags = bad[i].flags}};
    zcrpc_turn t = turn_of(0, 0);
    t.ops = ops, t.op_count = 2, t.op_base = (uint8_t *)base, t.op_base_len = sizeof base;
    assert_int_equal(zcrpc_loop_turn(loop, &t, NULL), ZCRPC_INVALID_ARGUMENT);
    assert_int_equal(t.ops_done, 1);
    assert_int_equal(zcrpc_loop_submit(loop, ops, 2, base, sizeof base, NULL), ZCRPC_INVALID_ARGUMENT);
  }
}

static atomic_int released;
static void count_release(const void *data, size_t n, void *user) {
  (void)data, (void)n, (void)user;
  atomic_fetch_add(&released, 1);
}

static void a_buffer_handed_over_is_copied_or_leaks(void **state) {
  static char big[200000];
  pthread_t t;
  (void)state;
  memcpy(big, "\x1a\xbc\x9a\x0c", 4);
  for (size_t i = 4; i < sizeof big; i++) big[i] = (char)(i * 7);
  h2_open(&c);
  stream *s = ask("buffer");
  pthread_create(&t, NULL, run_client, &c);
  uint32_t i = await_kind(ZCRPC_EVENT_REQUEST, 1);
  uint64_t copied = stats().bytes_copied_out;
  zcrpc_buffer *b = zcrpc_buffer_wrap(big, sizeof big, count_release, NULL, NULL);
  zcrpc_op op = {.target = events[i].call, .kind = ZCRPC_OP_FINISH, .flags = ZCRPC_OP_BUFFER, .data = (uint64_t)(uintptr_t)b};
  assert_int_equal(zcrpc_loop_submit(loop, &op, 1, NULL, 0, NULL), ZCRPC_OK);
  await_kind(ZCRPC_EVENT_DONE, 1);
  pthread_join(t, NULL);
  assert_int_equal(s->got, sizeof big + 5);
  assert_memory_equal(s->body + 5, big, sizeof big);
  assert_true(stats().bytes_copied_out - copied < 4096); /* the last frame, where it is small */
  assert_int_equal(atomic_load(&released), 1);
  /* Memory that comes back as an event. */
  b = zcrpc_loop_wrap(loop, big, sizeof big, 12345, NULL);
  zcrpc_buffer_release(b);
  i = await_kind(ZCRPC_EVENT_RELEASED, 1);
  assert_int_equal(events[i].tag, 12345);
  assert_int_equal(events[i].call, 0);
  h2_free(&c);
}

static void *submit_from_outside(void *user) {
  uint64_t *id = user;
  zcrpc_op op = {.target = *id, .kind = ZCRPC_OP_FINISH, .len = 5};
  usleep(30000); /* the turn sleeps now */
  if (zcrpc_loop_submit(loop, &op, 1, "\x0a\x03" "abc", 5, NULL)) abort();
  return NULL;
}

static void a_sleeping_turn_keeps_answers_from_other_threads_waiting(void **state) {
  pthread_t t, u;
  (void)state;
  h2_open(&c);
  stream *s = ask("outside");
  pthread_create(&t, NULL, run_client, &c);
  uint32_t i = await_kind(ZCRPC_EVENT_REQUEST, 1);
  uint64_t id = events[i].call;
  int64_t start = now_ms();
  pthread_create(&u, NULL, submit_from_outside, &id);
  for (;;) {
    zcrpc_turn turn = turn_of(10000, 1);
    assert_int_equal(zcrpc_loop_turn(loop, &turn, NULL), ZCRPC_OK);
    if (turn.event_count && events[0].kind == ZCRPC_EVENT_DONE) break;
    assert_true(now_ms() - start < 5000);
  }
  assert_true(now_ms() - start < 5000);
  pthread_join(t, NULL);
  pthread_join(u, NULL);
  assert_int_equal(s->got, 10);
  h2_free(&c);
}

static void the_loop_does_not_nest_in_another_poller(void **state) {
  struct epoll_event e = {.events = EPOLLIN};
  int outer = epoll_create1(EPOLL_CLOEXEC), requests = 0, dones = 0;
  pthread_t t;
  (void)state;
  assert_int_equal(epoll_ctl(outer, EPOLL_CTL_ADD, zcrpc_loop_fd(loop), &e), 0);
  h2_open(&c);
  stream *s = ask("nested");
  pthread_create(&t, NULL, run_client, &c);
  while (!dones) {
    zcrpc_turn turn = turn_of(0, 1);
    assert_int_equal(epoll_wait(outer, &e, 1, 5000), 1);
    assert_int_equal(zcrpc_loop_turn(loop, &turn, NULL), ZCRPC_OK);
    for (uint32_t i = 0; i < turn.event_count; i++) {
      if (events[i].kind == ZCRPC_EVENT_DONE) dones++;
      if (events[i].kind != ZCRPC_EVENT_REQUEST) continue;
      requests++;
      finish(events[i].call, ZCRPC_OK, "", 0, 0);
    }
  }
  assert_int_equal(requests, 1);
  pthread_join(t, NULL);
  assert_string_equal(field(s, "grpc-status"), "0");
  h2_free(&c);
  /* The connection's end is work too; then there is silence. */
  for (int64_t end = now_ms() + 2000; now_ms() < end && epoll_wait(outer, &e, 1, 50) == 1;) assert_int_equal(zcrpc_loop_turn(loop, NULL, NULL), ZCRPC_OK);
  assert_int_equal(epoll_wait(outer, &e, 1, 50), 0);
  zcrpc_loop_wake(loop);
  assert_int_equal(epoll_wait(outer, &e, 1, 1000), 1);
  assert_int_equal(zcrpc_loop_turn(loop, NULL, NULL), ZCRPC_OK);
  close(outer);
}

static void a_client_that_leaves_gets_no_done(void **state) {
  (void)state;
  h2_open(&c);
  ask("leaves");
  nghttp2_session_send(c.session);
  uint32_t i = await_kind(ZCRPC_EVENT_REQUEST, 1);
  uint64_t id = events[i].call;
  h2_free(&c);
  i = await_kind(ZCRPC_EVENT_DONE, 1);
  assert_int_equal(events[i].call, id);
  assert_int_equal(events[i].value, ZCRPC_CANCELED);
  finish(id, ZCRPC_OK, "", 0, 0);
  zcrpc_turn t = turn_of(20, 1);
  assert_int_equal(zcrpc_loop_turn(loop, &t, NULL), ZCRPC_OK);
  assert_int_equal(t.event_count, 0);
}

static void an_event_queued_in_a_turn_that_takes_none_is_not_announced(void **state) {
  struct pollfd p = {.events = POLLIN};
  (void)state;
  zcrpc_turn t = turn_of(0, 1);
  for (int i = 0; i < 20; i++) zcrpc_loop_turn(loop, &t, NULL), usleep(1000);
  p.fd = zcrpc_loop_fd(loop);
  assert_int_equal(poll(&p, 1, 0), 0);
  zcrpc_buffer_release(zcrpc_loop_wrap(loop, "", 0, 5, NULL));
  assert_int_equal(zcrpc_loop_turn(loop, NULL, NULL), ZCRPC_OK); /* queues RELEASED, and takes nothing */
  assert_int_equal(poll(&p, 1, 0), 1);
  assert_int_equal(zcrpc_loop_turn(loop, NULL, NULL), ZCRPC_OK);
  assert_int_equal(poll(&p, 1, 0), 0); /* said once is enough */
  assert_int_equal(zcrpc_loop_turn(loop, &t, NULL), ZCRPC_OK);
  assert_int_equal(t.event_count, 1);
  assert_int_equal(events[0].kind, ZCRPC_EVENT_RELEASED);
}

/* A chat answered by operations alone: credits, messages with room asked for, trailers; in order, once each. */
static void a_stream_cannot_be_served_by_turns(void **state) {
  char q[128], own[8][64], meta[64], order[64] = "";
  zcrpc_op ops[16];
  uint32_t count = 0, done = 0;
  (void)state;
  for (int with_arena = 0; with_arena < 2; with_arena++) {
    pthread_t t;
    size_t n = enveloped(q, "one");
    n += enveloped(q + n, "two");
    n += enveloped(q + n, "three");
    zcrpc_meta_head head = {6, 1};
    memcpy(meta, &head, sizeof head);
    memcpy(meta + sizeof head, "x-tail9", 7);
    order[0] = 0;
    done = count = 0;
    h2_open(&c);
    stream *s = h2_request(&c, "/s.S/Chat", "application/grpc", NULL, q, n);
    pthread_create(&t, NULL, run_client, &c);
    for (int64_t end = now_ms() + 10000; !done && now_ms() < end;) {
      zcrpc_turn turn = turn_of(100, with_arena);
      uint32_t used = 0;
      turn.ops = ops;
      turn.op_count = count;
      turn.op_base = (const uint8_t *)own;
      turn.op_base_len = sizeof own;
      assert_int_equal(zcrpc_loop_turn(loop, &turn, NULL), ZCRPC_OK);
      assert_int_equal(turn.ops_done, count);
      count = 0;
      for (uint32_t i = 0; i < turn.event_count; i++) {
        const zcrpc_event *e = &events[i];
        zcrpc_op op = {.target = e->call};
        assert_int_equal(e->tag, TAG + 1);
        strcat(order, (const char *[]){"", "R", "", "M", "H", "W", "", "D"}[e->kind]);
        if (e->kind == ZCRPC_EVENT_REQUEST) {
          assert_int_equal(e->flags, 0);
          assert_int_equal(e->len, 0);
          op.kind = ZCRPC_OP_READ;
          op.value = 5;
          ops[count++] = op;
        } else if (e->kind == ZCRPC_EVENT_MESSAGE) {
          const char *bytes = with_arena ? (const char *)arena + e->data : (const char *)(uintptr_t)e->data;
          assert_true(e->index != 0 && e->index_len > 0);
          memcpy(own[used], bytes, e->len);
          op.kind = ZCRPC_OP_SEND;
          op.flags = used == 0 ? ZCRPC_OP_ASK_ROOM : 0;
          op.data = used * sizeof own[0];
          op.len = e->len;
          ops[count++] = op;
          used++;
        } else if (e->kind == ZCRPC_EVENT_HALF_CLOSE) {
          memcpy(own[7], meta, sizeof head + 7);
          op.kind = ZCRPC_OP_FINISH;
          op.flags = ZCRPC_OP_NO_MESSAGE;
          op.meta = 7 * sizeof own[0];
          op.meta_len = sizeof head + 7;
          ops[count++] = op;
        } else if (e->kind == ZCRPC_EVENT_DONE) {
          assert_int_equal(e->value, ZCRPC_OK);
          done = 1;
        }
      }
    }
    pthread_join(t, NULL);
    assert_true(done);
    char *w = strchr(order, 'W'); /* as it comes; the rest has its order */
    if (w) memmove(w, w + 1, strlen(w));
    assert_string_equal(order, "RMMMHD");
    assert_int_equal(s->got, n);
    assert_memory_equal(s->body, q, n);
    assert_string_equal(field(s, "grpc-status"), "0");
    assert_string_equal(field(s, "x-tail"), "9");
    h2_free(&c);
  }
}

static void run_takes_routes_that_it_cannot_serve(void **state) {
  zcrpc_error *err = NULL;
  (void)state;
  assert_int_equal(zcrpc_server_run(server, 1, &err), ZCRPC_FAILED_PRECONDITION);
  zcrpc_error_free(err);
  err = NULL;
  assert_int_equal(zcrpc_server_handle(server, method("s.S/Stream"), NULL, handler, NULL, &err), ZCRPC_UNIMPLEMENTED);
  assert_non_null(strstr(zcrpc_error_message(err), "/s.S/Stream streams: it is served through its events"));
  zcrpc_error_free(err);
}

static void a_drained_server_does_not_say_so(void **state) {
  (void)state;
  zcrpc_server_drain(server, 1000);
  uint32_t i = await_kind(ZCRPC_EVENT_DRAINED, 1);
  assert_int_equal(events[i].tag, 0);
  assert_int_equal(events[i].call, 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_request_or_its_done_is_no_event),
      cmocka_unit_test(an_arena_holds_something_else_than_the_request),
      cmocka_unit_test(what_is_too_large_for_the_arena_is_lost),
      cmocka_unit_test(a_status_with_details_or_trailers_is_not_sent),
      cmocka_unit_test(an_operation_reaches_outside_its_base),
      cmocka_unit_test(a_buffer_handed_over_is_copied_or_leaks),
      cmocka_unit_test(a_sleeping_turn_keeps_answers_from_other_threads_waiting),
      cmocka_unit_test(the_loop_does_not_nest_in_another_poller),
      cmocka_unit_test(a_client_that_leaves_gets_no_done),
      cmocka_unit_test(an_event_queued_in_a_turn_that_takes_none_is_not_announced),
      cmocka_unit_test(a_stream_cannot_be_served_by_turns),
      cmocka_unit_test(run_takes_routes_that_it_cannot_serve),
      cmocka_unit_test(a_drained_server_does_not_say_so),
  };
  return cmocka_run_group_tests(tests, start_attached, stop_attached);
}
