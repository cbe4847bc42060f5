/* Streams within the process by events and by operations, with the server on the same loop and on others. */
#include "inproc.h"
#include "support/fail_malloc.h"

typedef struct outcome {
  char seen[64];
  char text[64];
  zcrpc_code code;
  int done, number;
  zcrpc_buffer *kept;
} outcome;
static void on_client(zcrpc_call *call, const zcrpc_event *e, const zcrpc_view *m, void *user) {
  outcome *o = user;
  zcrpc_slice s;
  size_t at = strlen(o->seen), have = strlen(o->text);
  o->seen[at] = e->kind == ZCRPC_EVENT_MESSAGE ? 'M' : e->kind == ZCRPC_EVENT_WRITABLE ? 'W' : e->kind == ZCRPC_EVENT_DONE ? 'D' : '?';
  if (m) {
    zcrpc_view_string(m, TEXT, &s);
    snprintf(o->text + have, sizeof o->text - have, "%.*s", (int)s.len, s.data);
    o->number = (int)zcrpc_view_int64(m, NUMBER);
    if (e->len > 4000 && !o->kept) o->kept = zcrpc_call_message(call, e, NULL);
  }
  if (e->kind != ZCRPC_EVENT_DONE) return;
  o->code = e->value;
  o->done = 1;
}
static void turn(zcrpc_loop *l, int times) {
  for (int i = 0; i < times; i++) zcrpc_loop_turn(l, &(zcrpc_turn){.struct_size = sizeof(zcrpc_turn), .timeout_ms = 2}, NULL);
}
static void turn_until(zcrpc_loop *l, const int *flag) {
  for (int64_t limit = now_ms() + 10000; !*flag && now_ms() < limit;) turn(l, 1);
  assert_true(*flag);
}
static void turn_until_seen(zcrpc_loop *l, const outcome *o) {
  for (int64_t limit = now_ms() + 10000; !o->seen[0] && now_ms() < limit;) turn(l, 1);
}

/* Client and server on one loop, or the server on threads of its own. */
static void events_differ(void **state) {
  for (int own = 0; own < 2; own++) {
    zcrpc_loop *l = zcrpc_loop_new(NULL, NULL);
    zcrpc_options *so = options();
    zcrpc_server *s = own ? zcrpc_server_new(so, NULL) : server;
    zcrpc_channel *ch = zcrpc_channel_new_inproc(l, s, NULL, NULL);
    outcome o = {.done = 0};
    zcrpc_call *c;
    zcrpc_slice bytes;
    (void)state;
    zcrpc_options_free(so);
    if (own) serve_streams(s);
    if (own) assert_int_equal(zcrpc_server_attach(s, l, NULL), ZCRPC_OK);

    c = open_in(ch, "s.S/Stream");
    put(c, "two");
    assert_int_equal(zcrpc_call_start(c, 0, on_client, &o, NULL), ZCRPC_OK);
    assert_int_equal(zcrpc_call_start(c, 0, on_client, &o, NULL), ZCRPC_FAILED_PRECONDITION);
    assert_int_equal(zcrpc_call_next(c, &(const zcrpc_view *){NULL}, NULL), ZCRPC_FAILED_PRECONDITION);
    turn(l, 20);
    assert_string_equal(o.seen, ""); /* no credits, no messages */
    zcrpc_call_read(c, 1);
    turn_until_seen(l, &o);
    turn(l, 20);
    assert_string_equal(o.seen, "M"); /* and no second one */
    zcrpc_call_read(c, 1); /* the end needs none */
    turn_until(l, &o.done);
    assert_string_equal(o.seen, "MMD");
    assert_string_equal(o.text, "ab");
    assert_int_equal(o.code, ZCRPC_OK);
    zcrpc_call_release(c);

    o = (outcome){.done = 0};
    c = open_in(ch, "s.S/Collect");
    assert_int_equal(zcrpc_call_start(c, 0, on_client, &o, NULL), ZCRPC_OK);
    put(c, "x");
    assert_int_equal(zcrpc_call_send(c, NULL), ZCRPC_OK);
    put(c, "y");
    assert_int_equal(zcrpc_call_send(c, NULL), ZCRPC_OK);
    assert_int_equal(zcrpc_call_close_send(c, NULL), ZCRPC_OK);
    turn_until(l, &o.done);
    assert_string_equal(o.seen, "D"); /* the one response comes with it */
    assert_string_equal(o.text, "xy");
    zcrpc_call_release(c);

    /* A large one, kept beyond its event without a copy. */
    o = (outcome){.done = 0};
    c = open_in(ch, "s.S/Stream");
    put(c, "flood 1 100000");
    assert_int_equal(zcrpc_call_start(c, 0, on_client, &o, NULL), ZCRPC_OK);
    zcrpc_call_read(c, 5);
    turn_until(l, &o.done);
    assert_string_equal(o.seen, "MD");
    zcrpc_buffer_slice(o.kept, &bytes);
    assert_true(bytes.len > 100000);
    zcrpc_buffer_release(o.kept);
    zcrpc_call_release(c);

    /* Room, and its end. */
    o = (outcome){.done = 0};
    c = open_in(ch, "s.S/Collect");
    zcrpc_metadata_add(zcrpc_call_metadata(c, ZCRPC_REQUEST_HEADERS), "x-hold", "1", 1, NULL);
    assert_int_equal(zcrpc_call_start(c, 0, on_client, &o, NULL), ZCRPC_OK);
    static char big[20000];
    int n = 0;
    for (; zcrpc_call_room(c) && n < 1000; n++) {
      zcrpc_encoder_put_string(zcrpc_call_encoder(c), PAYLOAD, big, sizeof big);
      assert_int_equal(zcrpc_call_send(c, NULL), ZCRPC_OK);
    }
    assert_in_range(n, 6, 8);
    turn(l, 20);
    assert_string_equal(o.seen, "");
    zcrpc_call *h = NULL;
    for (int64_t limit = now_ms() + 10000; !(h = atomic_exchange(&held, NULL)); turn(l, 1)) assert_true(now_ms() < limit);
    zcrpc_call_read(h, 1000);
    zcrpc_call_release(h);
    turn_until_seen(l, &o);
    turn(l, 30);
    assert_string_equal(o.seen, "W");
    zcrpc_call_close_send(c, NULL);
    turn_until(l, &o.done);
    assert_int_equal(o.number, n * (int)sizeof big);
    zcrpc_call_release(c);

    /* A cancel, a channel that closes, a server that ends. */
    o = (outcome){.done = 0};
    c = open_in(ch, "s.S/Stream");
    put(c, "never");
    assert_int_equal(zcrpc_call_start(c, 0, on_client, &o, NULL), ZCRPC_OK);
    turn(l, 3);
    zcrpc_call_cancel(c);
    turn_until(l, &o.done);
    assert_int_equal(o.code, ZCRPC_CANCELED);
    zcrpc_call_release(c);
    o = (outcome){.done = 0};
    c = open_in(ch, "s.S/Chat");
    assert_int_equal(zcrpc_call_start(c, 0, on_client, &o, NULL), ZCRPC_OK);
    turn(l, 3);
    if (own) zcrpc_server_drain(s, 30);
    else zcrpc_channel_free(ch);
    turn_until(l, &o.done);
    assert_int_equal(o.code, own ? ZCRPC_UNAVAILABLE : ZCRPC_CANCELED);
    zcrpc_call_release(c);
    if (own) zcrpc_channel_free(ch);
    if (own) zcrpc_server_free(s);
    zcrpc_loop_free(l);
  }
}

/* As a binding does it: operations and records. */
static void operations_differ(void **state) {
  zcrpc_loop *l = zcrpc_loop_new(NULL, NULL);
  zcrpc_channel *ch = zcrpc_channel_new_inproc(l, server, NULL, NULL);
  uint64_t chat = zcrpc_channel_bind(ch, method("s.S/Chat"), NULL);
  char bytes[64], seen[16] = "";
  zcrpc_event events[16];
  (void)state;
  size_t n = message(bytes, "hi");
  zcrpc_op start_op = {.target = chat, .tag = 7, .kind = ZCRPC_OP_START, .len = n};
  zcrpc_turn t = {.struct_size = sizeof t, .ops = &start_op, .op_count = 1, .op_base = (const uint8_t *)bytes, .op_base_len = sizeof bytes,
                  .events = events, .event_max = 16, .timeout_ms = 20};
  uint64_t id = 0;
  assert_true(chat != 0);
  assert_int_equal(zcrpc_loop_turn(l, &t, NULL), ZCRPC_OK);
  t.op_count = 0;
  /* Ids of calls are known from their events: by the first credit the message comes. */
  zcrpc_op more[3] = {{.kind = ZCRPC_OP_READ, .value = 10}, {.kind = ZCRPC_OP_SEND, .len = n}, {.kind = ZCRPC_OP_SEND, .flags = ZCRPC_OP_NO_MESSAGE | ZCRPC_OP_LAST}};
  id = (uint64_t)1 << 24 | 1; /* the first call of a loop */
  for (int i = 0; i < 3; i++) more[i].target = id;
  t.ops = more;
  t.op_count = 3;
  for (int64_t limit = now_ms() + 10000; !strchr(seen, 'D') && now_ms() < limit; t.op_count = 0) {
    assert_int_equal(zcrpc_loop_turn(l, &t, NULL), ZCRPC_OK);
    for (uint32_t i = 0; i < t.event_count; i++) {
      assert_int_equal(events[i].tag, 7);
      assert_int_equal(events[i].call, id);
      strcat(seen, events[i].kind == ZCRPC_EVENT_MESSAGE ? "M" : "D");
      if (events[i].kind == ZCRPC_EVENT_MESSAGE) assert_memory_equal((const void *)(uintptr_t)events[i].data, bytes, n);
      if (events[i].kind == ZCRPC_EVENT_DONE) assert_int_equal(events[i].value, ZCRPC_OK);
    }
  }
  assert_string_equal(seen, "MMD");
  zcrpc_channel_free(ch);
  zcrpc_loop_free(l);
}

/* One call of every kind, by events. 0: it did not end. */
static int stream_once(zcrpc_loop *l, zcrpc_channel *ch, const char *name, outcome *o) {
  zcrpc_call *c = zcrpc_channel_open(ch, method(name), NULL, NULL);
  static char big[10000];
  if (!c) return 1;
  put(c, "x");
  zcrpc_encoder_put_string(zcrpc_call_encoder(c), PAYLOAD, big, sizeof big);
  if (zcrpc_call_start(c, 0, on_client, o, NULL)) {
    zcrpc_call_release(c);
    return 1;
  }
  if (strcmp(name, "s.S/Stream")) {
    int bad = zcrpc_call_send(c, NULL);
    put(c, "y");
    bad |= zcrpc_call_send(c, NULL) | zcrpc_call_close_send(c, NULL);
    if (bad) zcrpc_call_cancel(c);
  }
  zcrpc_call_read(c, 100);
  for (int i = 0; i < 3000 && !o->done; i++) zcrpc_loop_turn(l, &(zcrpc_turn){.struct_size = sizeof(zcrpc_turn), .timeout_ms = i < 100 ? 0 : 1}, NULL);
  zcrpc_buffer_release(o->kept);
  o->kept = NULL;
  zcrpc_call_release(c);
  return o->done;
}

static void without_memory_a_stream_hangs_or_leaks(void **state) {
  static const char *const names[] = {"s.S/Stream", "s.S/Collect", "s.S/Chat"};
  (void)state;
  for (int kind = 0; kind < 3; kind++) {
    int failed = 1, good = 0, late;
    for (long n = 1; failed; n++) {
      long before = fail_malloc_live();
      zcrpc_loop *l = zcrpc_loop_new(NULL, NULL);
      zcrpc_server *s = zcrpc_server_new(NULL, NULL);
      zcrpc_channel *ch = zcrpc_channel_new_inproc(l, s, NULL, NULL);
      outcome o = {.done = 0}, again = o;
      serve_streams(s);
      assert_int_equal(zcrpc_server_attach(s, l, NULL), ZCRPC_OK);
      fail_malloc_at(n);
      late = !stream_once(l, ch, names[kind], &o);
      failed = fail_malloc_stop();
      if (late) fail_msg("%s hangs without allocation %ld: %s", names[kind], n, o.seen);
      good += o.done && o.code == ZCRPC_OK;
      if (o.done && o.code != ZCRPC_OK) assert_true(failed && (o.code == ZCRPC_RESOURCE_EXHAUSTED || o.code == ZCRPC_UNAVAILABLE || o.code == ZCRPC_INTERNAL || o.code == ZCRPC_CANCELED));
      /* The next one is none the worse for it. */
      assert_true(stream_once(l, ch, names[kind], &again));
      assert_int_equal(again.code, ZCRPC_OK);
      zcrpc_channel_free(ch);
      zcrpc_server_free(s);
      zcrpc_loop_free(l);
      assert_int_equal(fail_malloc_live(), before);
      assert_true(n < 2000);
    }
    assert_true(good > 0);
  }
}

/* Without the threads of the others' server, so that what is counted is what this one does. */
static int only_schema(void **state) {
  (void)state;
  schema = zcrpc_schema_new(kServeSet, sizeof kServeSet, NULL);
  return schema ? 0 : -1;
}
static int no_schema(void **state) {
  (void)state;
  zcrpc_schema_release(schema);
  return 0;
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(events_differ),
      cmocka_unit_test(operations_differ),
  };
  const struct CMUnitTest alone[] = {
      cmocka_unit_test(without_memory_a_stream_hangs_or_leaks),
  };
  int failed = cmocka_run_group_tests(tests, start, end);
  return failed + cmocka_run_group_tests(alone, only_schema, no_schema);
}
