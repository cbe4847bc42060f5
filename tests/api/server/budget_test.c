/* The budgets of resets and of frames that bring nothing, and the windows, as options of a server. */
#include "h2.h"

static client c;

/* So many streams that are opened and reset at once: whether the connection ended for it. */
static int calmed_by_resets(int n) {
  static const char in[3]; /* of an envelope: nobody can answer it yet */
  h2_open(&c);
  for (int i = 0; i < n; i++) {
    stream *t = grpc(&c, NULL, in, sizeof in);
    t->hold = 1;
    nghttp2_session_send(c.session);
    nghttp2_submit_rst_stream(c.session, NGHTTP2_FLAG_NONE, t->id, NGHTTP2_CANCEL);
  }
  nghttp2_submit_ping(c.session, NGHTTP2_FLAG_NONE, (const uint8_t *)"are here");
  while (!c.pings && !c.goaways && h2_step(&c)) {}
  int calmed = c.goaways && c.goaway_code == NGHTTP2_ENHANCE_YOUR_CALM;
  assert_int_equal(calmed, !c.pings);
  h2_free(&c);
  return calmed;
}

static int calmed_by_pings(int n) {
  h2_open(&c);
  while (!c.settings_acked) assert_true(h2_step(&c));
  for (int i = 0; i < n; i++) nghttp2_submit_ping(c.session, NGHTTP2_FLAG_NONE, (const uint8_t *)"are here");
  while (c.pings < n && !c.goaways && h2_step(&c)) {}
  int calmed = c.goaways && c.goaway_code == NGHTTP2_ENHANCE_YOUR_CALM;
  h2_free(&c);
  return calmed;
}

static void budgets_are_what_they_were(void **state) {
  zcrpc_options *o = server_options();
  (void)state;
  server_start(NULL, 1);
  assert_false(calmed_by_resets(100));
  assert_false(calmed_by_pings(300));
  server_stop(1000);
  set_int(o, ZCRPC_SERVER_RESET_BURST, 10);
  set_int(o, ZCRPC_SERVER_RESET_RATE, 1);
  server_start(o, 1);
  assert_false(calmed_by_resets(8));
  assert_true(calmed_by_resets(20));
  assert_false(calmed_by_pings(300)); /* each its own */
  server_stop(1000);
  o = server_options();
  set_int(o, ZCRPC_SERVER_FRAME_BURST, 50);
  set_int(o, ZCRPC_SERVER_FRAME_RATE, 1);
  server_start(o, 1);
  assert_false(calmed_by_pings(30));
  assert_true(calmed_by_pings(100));
  server_stop(1000);
}

/* A rate refills: what was too much at once is none too much a second. */
static void a_rate_is_a_lifetime(void **state) {
  zcrpc_options *o = server_options();
  (void)state;
  set_int(o, ZCRPC_SERVER_FRAME_BURST, 50);
  set_int(o, ZCRPC_SERVER_FRAME_RATE, 2000);
  server_start(o, 1);
  h2_open(&c);
  while (!c.settings_acked) assert_true(h2_step(&c));
  for (int round = 1; round <= 6; round++) {
    for (int i = 0; i < 30; i++) nghttp2_submit_ping(c.session, NGHTTP2_FLAG_NONE, (const uint8_t *)"are here");
    while (c.pings < 30 * round) assert_true(h2_step(&c));
    usleep(40000);
  }
  assert_int_equal(c.goaways, 0);
  h2_free(&c);
  server_stop(1000);
}

static uint32_t window_of(zcrpc_options *o) {
  server_start(o, 1);
  h2_open(&c);
  while (!c.settings_acked) assert_true(h2_step(&c));
  uint32_t n = nghttp2_session_get_remote_settings(c.session, NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE);
  h2_free(&c);
  server_stop(1000);
  return n;
}

static void the_first_window_cannot_be_set(void **state) {
  zcrpc_options *o = server_options();
  (void)state;
  assert_int_equal(window_of(NULL), 256 << 10);
  set_int(o, ZCRPC_SERVER_WINDOW, 32 << 10);
  assert_int_equal(window_of(o), 32 << 10);
  o = server_options();
  set_int(o, ZCRPC_SERVER_WINDOW, 8 << 20);
  set_int(o, ZCRPC_SERVER_WINDOW_MAX, 0);
  assert_int_equal(window_of(o), 8 << 20);
}

static void wrong_options_are_taken(void **state) {
  static const struct {
    int32_t key;
    int64_t low, high;
  } ranges[] = {{ZCRPC_SERVER_RESET_RATE, 1, 1000000}, {ZCRPC_SERVER_RESET_BURST, 1, 1000000}, {ZCRPC_SERVER_FRAME_RATE, 1, 1000000},
                {ZCRPC_SERVER_FRAME_BURST, 1, 1000000}, {ZCRPC_SERVER_WINDOW, 16384, 16 << 20}, {ZCRPC_SERVER_WINDOW_MAX, 0, 256 << 20},
                {ZCRPC_LIMIT_INFLATING, 0, INT32_MAX}, {ZCRPC_SERVER_LAME_DUCK, -1, INT32_MAX}};
  zcrpc_options *o = server_options(), *call = zcrpc_options_new(ZCRPC_FOR_CALL, NULL);
  (void)state;
  for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++) {
    assert_int_equal(zcrpc_options_set_int(o, ranges[i].key, ranges[i].low - 1, NULL), ZCRPC_INVALID_ARGUMENT);
    assert_int_equal(zcrpc_options_set_int(o, ranges[i].key, ranges[i].high + 1, NULL), ZCRPC_INVALID_ARGUMENT);
    assert_int_equal(zcrpc_options_set_int(o, ranges[i].key, ranges[i].low, NULL), ZCRPC_OK);
    assert_int_equal(zcrpc_options_set_int(o, ranges[i].key, ranges[i].high, NULL), ZCRPC_OK);
    assert_int_equal(zcrpc_options_set_int(call, ranges[i].key, ranges[i].low, NULL), ZCRPC_INVALID_ARGUMENT);
  }
  zcrpc_options_free(o);
  zcrpc_options_free(call);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(budgets_are_what_they_were),
      cmocka_unit_test(a_rate_is_a_lifetime),
      cmocka_unit_test(the_first_window_cannot_be_set),
      cmocka_unit_test(wrong_options_are_taken),
  };
  alarm(170);
  return cmocka_run_group_tests(tests, NULL, NULL);
}
