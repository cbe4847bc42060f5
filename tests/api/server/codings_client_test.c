/* Our client to our server in every coding, one of the application's among them: both ways, and counted on both sides. */
#include "serve.h"
#include "support/codings.h"

/* What ends in a run of one byte: its length and that byte, then the complement of the rest. */
static int64_t fold(const void *in, size_t n, void *out, size_t cap, void *user) {
  const uint8_t *p = in;
  (void)user;
  if (n < 16 || cap < n - 8) return -2;
  size_t same = 1;
  while (same < n && p[n - 1 - same] == p[n - 1]) same++;
  uint64_t head = (uint64_t)same << 8 | p[n - 1];
  memcpy(out, &head, 8);
  for (size_t i = 0; i < n - same; i++) ((uint8_t *)out)[8 + i] = (uint8_t)~p[i];
  return (int64_t)(8 + n - same);
}
static int64_t unfold(const void *in, size_t n, void *out, size_t cap, void *user) {
  const uint8_t *p = in;
  uint64_t head;
  (void)user;
  if (n < 8) return -1;
  memcpy(&head, in, 8);
  if (head >> 8 > 1 << 24) return -1;
  size_t same = (size_t)(head >> 8), rest = n - 8;
  if (rest + same > cap) return -2;
  for (size_t i = 0; i < rest; i++) ((uint8_t *)out)[i] = (uint8_t)~p[8 + i];
  memset((uint8_t *)out + rest, (int)(head & 255), same);
  return (int64_t)(rest + same);
}
static zcrpc_coding own = {sizeof own, 0, "x-fold", fold, unfold, NULL};

static int start(void **state) {
  zcrpc_options *o = server_options();
  (void)state;
  alarm(170);
  assert_int_equal(zcrpc_options_add_coding(o, &own, NULL), ZCRPC_OK);
  assert_int_equal(zcrpc_options_set_string(o, ZCRPC_COMPRESSION, "x-fold", NULL), ZCRPC_OK);
  server_start(o, 1);
  return 0;
}

static void a_coding_works_one_way_only(void **state) {
  static char payload[5000];
  char target[160];
  (void)state;
  memset(payload, 'p', sizeof payload);
  snprintf(target, sizeof target, "http://%s", server_address);
  for (int i = 0; i <= CODING_COUNT; i++) {
    const char *name = i < CODING_COUNT ? coding_names[i] : "x-fold";
    zcrpc_options *o = zcrpc_options_new(ZCRPC_FOR_CHANNEL, NULL);
    zcrpc_error *err = NULL;
    zcrpc_stats before = stats(), after, ours = {.struct_size = sizeof ours};
    zcrpc_slice got;
    assert_int_equal(zcrpc_options_add_coding(o, &own, NULL), ZCRPC_OK);
    assert_int_equal(zcrpc_options_set_string(o, ZCRPC_COMPRESSION, name, NULL), ZCRPC_OK);
    set_int(o, ZCRPC_COMPRESSION_LEVEL, 3);
    zcrpc_channel *ch = zcrpc_channel_new(NULL, target, o, NULL, &err);
    zcrpc_options_free(o);
    if (!ch) fail_msg("%s", zcrpc_error_message(err));
    zcrpc_call *c = zcrpc_channel_open(ch, method("s.S/Echo"), NULL, &err);
    zcrpc_encoder_put_string(zcrpc_call_encoder(c), PAYLOAD, payload, sizeof payload);
    const zcrpc_view *reply = zcrpc_call_unary(c, &err);
    if (!reply) fail_msg("%s: %s", name, zcrpc_error_message(err));
    zcrpc_view_string(reply, PAYLOAD, &got);
    assert_int_equal(got.len, sizeof payload);
    assert_memory_equal(got.data, payload, sizeof payload);
    zcrpc_call_release(c);
    zcrpc_channel_stats(ch, &ours);
    after = stats();
    assert_int_equal(after.inflates - before.inflates, 1);
    assert_int_equal(after.deflates - before.deflates, 1); /* the server prefers the application's */
    assert_int_equal(ours.inflates, 1);
    assert_int_equal(ours.deflates, 1);
    zcrpc_channel_free(ch);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(a_coding_works_one_way_only)};
  return cmocka_run_group_tests(tests, start, stop_default);
}
