/* Streams within the process: all kinds, blocking and by events; what holds over sockets holds here, and large messages are
 * read where they were written. */
#include "inproc.h"

/* ---- blocking */

static void kinds_of_streams_do_not_work(void **state) {
  zcrpc_code code;
  zcrpc_call_info info = {.struct_size = sizeof info};
  zcrpc_call *c = open_in(channel, "s.S/Stream");
  zcrpc_slice s;
  int before = atomic_load(&intercepted);
  (void)state;
  put(c, "two");
  zcrpc_metadata_add(zcrpc_call_metadata(c, ZCRPC_REQUEST_HEADERS), "x-ask", "this", 4, NULL);
  assert_null(zcrpc_call_metadata(c, ZCRPC_RESPONSE_HEADERS));
  assert_int_equal(zcrpc_call_send(c, NULL), ZCRPC_OK);
  assert_int_equal(zcrpc_call_send(c, NULL), ZCRPC_FAILED_PRECONDITION); /* the method takes one */
  assert_string_equal(next(c, &code), "a");
  assert_true(zcrpc_metadata_get(zcrpc_call_metadata(c, ZCRPC_RESPONSE_HEADERS), "x-head", &s));
  assert_string_equal(next(c, &code), "b");
  assert_null(next(c, &code));
  assert_int_equal(code, ZCRPC_OK);
  assert_null(next(c, &code)); /* and so it stays */
  assert_int_equal(code, ZCRPC_OK);
  assert_true(zcrpc_metadata_get(zcrpc_call_metadata(c, ZCRPC_RESPONSE_TRAILERS), "x-tail-bin", &s));
  assert_int_equal(s.len, 2);
  zcrpc_call_get_info(c, &info);
  assert_int_equal(info.http, 0);
  assert_int_equal(info.messages_in, 2);
  assert_int_equal(info.messages_out, 1);
  assert_true(zcrpc_call_is_done(c));
  zcrpc_call_release(c);

  c = open_in(channel, "s.S/Stream"); /* next alone begins it */
  put(c, "later");
  for (int i = 0; i < 3; i++) assert_string_equal(next(c, &code), "later");
  assert_null(next(c, &code));
  zcrpc_call_release(c);

  c = open_in(channel, "s.S/Collect");
  for (int i = 0; i < 3; i++) {
    put(c, i == 0 ? "one" : i == 1 ? "two" : "three");
    assert_int_equal(zcrpc_call_send(c, NULL), ZCRPC_OK);
  }
  assert_string_equal(next(c, &code), "onetwothree");
  assert_null(next(c, &code));
  assert_int_equal(code, ZCRPC_OK);
  assert_int_equal(zcrpc_call_send(c, NULL), ZCRPC_CANCELED);
  zcrpc_call_release(c);

  c = open_in(channel, "s.S/Chat");
  for (int i = 0; i < 100; i++) {
    char text[16];
    snprintf(text, sizeof text, "%d", i);
    put(c, text);
    assert_int_equal(zcrpc_call_send(c, NULL), ZCRPC_OK);
    assert_string_equal(next(c, &code), text); /* in both directions at once */
  }
  assert_int_equal(zcrpc_call_close_send(c, NULL), ZCRPC_OK);
  assert_int_equal(zcrpc_call_close_send(c, NULL), ZCRPC_OK);
  assert_int_equal(zcrpc_call_send(c, NULL), ZCRPC_FAILED_PRECONDITION);
  assert_int_equal(zcrpc_call_room(c), 0);
  assert_null(next(c, &code));
  assert_int_equal(code, ZCRPC_OK);
  zcrpc_call_release(c);
  assert_int_equal(atomic_load(&intercepted) - before, 4);
  assert_int_equal(stats().connections, 0);
}

static void errors_lose_their_details(void **state) {
  static const char *const words[] = {"refuse", "break"};
  (void)state;
  for (int i = 0; i < 3; i++) {
    zcrpc_call *c = open_in(channel, i == 2 ? "s.S/Chat" : "s.S/Stream");
    zcrpc_error *err = NULL;
    const zcrpc_view *v = NULL;
    zcrpc_slice type, value, s;
    put(c, i == 2 ? "fail" : words[i]);
    assert_int_equal(zcrpc_call_send(c, NULL), ZCRPC_OK);
    if (i == 1) assert_string_equal(next(c, NULL), "a");
    if (i == 1) assert_string_equal(next(c, NULL), "b");
    assert_int_equal(zcrpc_call_next(c, &v, &err), ZCRPC_NOT_FOUND);
    assert_null(v);
    assert_string_equal(zcrpc_error_message(err), "no \"such\" thing \xc3\xa9");
    assert_int_equal(zcrpc_error_detail_count(err), 1);
    zcrpc_error_detail(err, 0, &type, &value);
    assert_int_equal(value.len, 4);
    assert_true(zcrpc_metadata_get(zcrpc_error_metadata(err), "x-why", &s));
    assert_int_equal(zcrpc_error_code(zcrpc_call_error(c)), ZCRPC_NOT_FOUND);
    zcrpc_error_free(err);
    zcrpc_call_release(c);
  }
}

static zcrpc_code end_of(zcrpc_call *c) {
  zcrpc_code code;
  while (next(c, &code)) {
  }
  zcrpc_call_release(c);
  return code;
}

static void limits_deadlines_and_refusals_differ(void **state) {
  static char big[(1 << 20) + 1];
  zcrpc_call *c = open_in(channel, "s.S/Chat");
  int64_t begun;
  int done;
  (void)state;
  zcrpc_encoder_put_string(zcrpc_call_encoder(c), PAYLOAD, big, sizeof big);
  assert_int_equal(zcrpc_call_send(c, NULL), ZCRPC_OK);
  assert_int_equal(end_of(c), ZCRPC_RESOURCE_EXHAUSTED);

  done = atomic_load(&done_calls);
  begun = now_ms();
  c = open_in(channel, "s.S/Stream");
  put(c, "never");
  zcrpc_call_set_timeout(c, 200);
  assert_int_equal(end_of(c), ZCRPC_DEADLINE_EXCEEDED);
  assert_in_range(now_ms() - begun, 150, 3000);
  await_done(done + 1);

  c = open_in(channel, "s.S/Chat");
  zcrpc_metadata_add(zcrpc_call_metadata(c, ZCRPC_REQUEST_HEADERS), "x-refuse", "1", 1, NULL);
  assert_int_equal(end_of(c), ZCRPC_PERMISSION_DENIED);
  c = open_in(channel, "s.S/Chat");
  put(c, "forbidden");
  assert_int_equal(zcrpc_call_send(c, NULL), ZCRPC_OK);
  assert_int_equal(end_of(c), ZCRPC_PERMISSION_DENIED);
  c = open_in(channel, "s.S/Stream"); /* by the server, at once */
  put(c, "cancel");
  begun = now_ms();
  assert_int_equal(end_of(c), ZCRPC_UNAVAILABLE);
  assert_in_range(now_ms() - begun, 0, 30000);
  c = open_in(channel, "s.S/Collect");
  put(c, "none");
  zcrpc_call_send(c, NULL);
  assert_int_equal(end_of(c), ZCRPC_OK); /* an empty message is one */
}

static void *cancel_soon(void *call) {
  usleep(50000);
  zcrpc_call_cancel(call);
  return NULL;
}

/* Calls of the test before may still be on their way out: it is the code that tells. */
static void await_code(int code) {
  for (int64_t limit = now_ms() + 10000; atomic_load(&done_code) != code && now_ms() < limit;) usleep(500);
  assert_int_equal(atomic_load(&done_code), code);
}

static void a_cancel_does_not_reach_the_other_side(void **state) {
  pthread_t t;
  (void)state;
  for (int i = 0; i < 2; i++) {
    atomic_store(&done_code, -1);
    zcrpc_call *c = open_in(channel, i ? "s.S/Chat" : "s.S/Stream");
    put(c, "never");
    if (!i) assert_int_equal(zcrpc_call_send(c, NULL), ZCRPC_OK);
    pthread_create(&t, NULL, cancel_soon, c);
    if (i) {
      zcrpc_code code;
      assert_null(next(c, &code)); /* it waits for a message that does not come */
      assert_int_equal(code, ZCRPC_CANCELED);
    } else {
      assert_int_equal(end_of(zcrpc_call_retain(c)), ZCRPC_CANCELED);
    }
    pthread_join(t, NULL);
    await_code(ZCRPC_CANCELED);
    zcrpc_call_release(c);
  }
  /* Who lets go of a stream has canceled it. */
  atomic_store(&done_code, -1);
  zcrpc_call *c = open_in(channel, "s.S/Stream");
  put(c, "never");
  assert_int_equal(zcrpc_call_send(c, NULL), ZCRPC_OK);
  zcrpc_call_release(c);
  await_code(ZCRPC_CANCELED);
}

/* ---- memory */

static void large_messages_are_copied(void **state) {
  static char big[LARGE];
  zcrpc_stats before = stats(), after, of_channel = {.struct_size = sizeof of_channel}, then = of_channel;
  zcrpc_call *c = open_in(channel, "s.S/Chat");
  const zcrpc_view *v;
  zcrpc_slice s;
  zcrpc_code code;
  size_t n = sizeof big - 4;
  (void)state;
  zcrpc_channel_stats(channel, &then);
  for (int i = 0; i < 5; i++) {
    zcrpc_encoder_put_string(zcrpc_call_encoder(c), PAYLOAD, big, sizeof big); /* written once, by its author */
    assert_int_equal(zcrpc_call_send(c, NULL), ZCRPC_OK);
    assert_int_equal(zcrpc_call_next(c, &v, NULL), ZCRPC_OK);
    zcrpc_view_string(v, PAYLOAD, &s);
    assert_int_equal(s.len, sizeof big);
  }
  zcrpc_call_close_send(c, NULL);
  assert_null(next(c, &code));
  zcrpc_call_release(c);
  after = stats();
  zcrpc_channel_stats(channel, &of_channel);
  assert_int_equal(after.copies_in - before.copies_in, 0);
  assert_in_range(after.bytes_copied_out - before.bytes_copied_out, 0, 200); /* envelopes */
  assert_int_equal(of_channel.copies_out - then.copies_out, 0);
  assert_int_equal(of_channel.copies_in - then.copies_in, 0);

  /* An encoded message in memory of the application's is read there, on both sides. */
  for (int i = 0; i < 4; i++) big[i] = i == 0 ? 0x1A : (char)(((n >> (7 * (i - 1))) & 0x7f) | (i < 3 ? 0x80 : 0));
  shared = zcrpc_buffer_wrap(big, sizeof big, NULL, NULL, NULL);
  c = open_in(channel, "s.S/Collect");
  assert_int_equal(zcrpc_call_send_buffer(c, shared, NULL), ZCRPC_OK);
  assert_int_equal(zcrpc_call_next(c, &v, NULL), ZCRPC_OK);
  assert_int_equal(zcrpc_view_int64(v, NUMBER), n);
  assert_ptr_equal(atomic_load(&seen_at), big + 4);
  zcrpc_call_release(c);
  c = open_in(channel, "s.S/Stream");
  put(c, "share");
  assert_int_equal(zcrpc_call_next(c, &v, NULL), ZCRPC_OK);
  zcrpc_view_string(v, PAYLOAD, &s);
  assert_ptr_equal(s.data, big + 4);
  zcrpc_call_release(c);
  zcrpc_buffer_release(shared);
}

/* How many were sent, when five have been and it stays so for a while. */
static int sent_unread(atomic_int *count) {
  for (int64_t limit = now_ms() + 10000; atomic_load(count) < 5 && now_ms() < limit;) usleep(500);
  usleep(100000);
  return atomic_load(count);
}

static void a_slow_reader_fills_memory(void **state) {
  zcrpc_code code;
  zcrpc_call *c = open_in(channel, "s.S/Stream");
  int n = 0;
  (void)state;
  atomic_store(&sent_messages, 0);
  atomic_store(&writables, 0);
  put(c, "flood 200 20000");
  assert_int_equal(zcrpc_call_send(c, NULL), ZCRPC_OK);
  assert_non_null(next(c, &code));
  /* Two windows of 128 KiB and what was read ahead, of 4 MB. */
  assert_in_range(sent_unread(&sent_messages), 5, 40);
  for (n = 1; next(c, &code); n++) {
  }
  assert_int_equal(n, 200);
  assert_int_equal(code, ZCRPC_OK);
  assert_true(atomic_load(&writables) > 0);
  zcrpc_call_release(c);
}

static atomic_int sent_by_writer;
static void *write_much(void *user) {
  static char big[20000];
  zcrpc_call *c = user;
  for (int i = 0; i < 200; i++) {
    zcrpc_encoder_put_string(zcrpc_call_encoder(c), PAYLOAD, big, sizeof big);
    if (zcrpc_call_send(c, NULL)) break;
    atomic_fetch_add(&sent_by_writer, 1);
  }
  zcrpc_call_close_send(c, NULL);
  return NULL;
}

static void a_slow_server_fills_memory(void **state) {
  zcrpc_call *c = open_in(channel, "s.S/Collect"), *h;
  const zcrpc_view *v;
  pthread_t t;
  (void)state;
  zcrpc_metadata_add(zcrpc_call_metadata(c, ZCRPC_REQUEST_HEADERS), "x-hold", "1", 1, NULL);
  pthread_create(&t, NULL, write_much, c);
  for (int64_t limit = now_ms() + 10000; !(h = atomic_exchange(&held, NULL)); usleep(500)) assert_true(now_ms() < limit);
  assert_in_range(sent_unread(&sent_by_writer), 5, 20); /* the writer waits: one window of 128 KiB */
  zcrpc_call_read(h, 1000);
  zcrpc_call_release(h);
  pthread_join(t, NULL);
  assert_int_equal(zcrpc_call_next(c, &v, NULL), ZCRPC_OK);
  assert_int_equal(zcrpc_view_int64(v, NUMBER), 200 * 20000);
  zcrpc_call_release(c);
}

/* JSON, and compressed, as the channel's options say. */
static void codecs_and_codings_differ(void **state) {
  zcrpc_options *o = zcrpc_options_new(ZCRPC_FOR_CHANNEL, NULL);
  zcrpc_channel *ch;
  static char zeros[50000];
  const zcrpc_view *v;
  zcrpc_slice s;
  (void)state;
  set_int(o, ZCRPC_CHANNEL_CODEC, ZCRPC_JSON);
  assert_int_equal(zcrpc_options_set_string(o, ZCRPC_COMPRESSION, "gzip", NULL), ZCRPC_OK);
  ch = zcrpc_channel_new_inproc(NULL, server, o, NULL);
  zcrpc_options_free(o);
  zcrpc_call *c = open_in(ch, "s.S/Chat");
  for (int i = 0; i < 2; i++) {
    uint64_t inflates = stats().inflates;
    put(c, "json");
    zcrpc_encoder_put_string(zcrpc_call_encoder(c), PAYLOAD, zeros, i ? sizeof zeros : 3);
    assert_int_equal(zcrpc_call_send(c, NULL), ZCRPC_OK);
    assert_int_equal(zcrpc_call_next(c, &v, NULL), ZCRPC_OK);
    zcrpc_view_string(v, TEXT, &s);
    assert_int_equal(s.len, 4);
    zcrpc_view_string(v, PAYLOAD, &s);
    assert_int_equal(s.len, i ? sizeof zeros : 3);
    assert_int_equal(stats().inflates - inflates, i);
  }
  zcrpc_call_release(c);
  zcrpc_channel_free(ch);
}

/* ---- many threads */

static void *chat_much(void *user) {
  zcrpc_channel *ch = user;
  intptr_t bad = 0;
  for (int i = 0; i < 60; i++) {
    zcrpc_call *c = open_in(ch, i % 3 ? "s.S/Chat" : "s.S/Stream");
    zcrpc_code code = ZCRPC_OK;
    if (i % 5 == 0) zcrpc_call_set_timeout(c, i % 2 ? 1 : 0);
    if (i % 3) {
      for (int k = 0; k < 5; k++) {
        put(c, "hello");
        if (zcrpc_call_send(c, NULL)) break;
        if (k == 2 && i % 7 == 0) zcrpc_call_cancel(c);
        if (k % 2 && !next(c, &code)) break;
      }
      if (i % 4) zcrpc_call_close_send(c, NULL);
      if (i % 4)
        while (next(c, &code)) {
        }
    } else {
      put(c, i % 2 ? "later" : "flood 20 5000");
      while (next(c, &code)) {
      }
    }
    if (code != ZCRPC_OK && i % 5 && i % 7) bad++;
    zcrpc_call_release(c);
  }
  return (void *)bad;
}

static void threads_get_in_each_others_way(void **state) {
  pthread_t t[4];
  (void)state;
  for (int i = 0; i < 4; i++) pthread_create(&t[i], NULL, chat_much, channel);
  for (int i = 0; i < 4; i++) {
    void *bad;
    pthread_join(t[i], &bad);
    assert_null(bad);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(kinds_of_streams_do_not_work),
      cmocka_unit_test(errors_lose_their_details),
      cmocka_unit_test(limits_deadlines_and_refusals_differ),
      cmocka_unit_test(a_cancel_does_not_reach_the_other_side),
      cmocka_unit_test(large_messages_are_copied),
      cmocka_unit_test(a_slow_reader_fills_memory),
      cmocka_unit_test(a_slow_server_fills_memory),
      cmocka_unit_test(codecs_and_codings_differ),
      cmocka_unit_test(threads_get_in_each_others_way),
  };
  return cmocka_run_group_tests(tests, start, end);
}
