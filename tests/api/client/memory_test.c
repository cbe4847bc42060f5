/* The n-th allocation fails, for every n, in making a channel and calling on it: resource_exhausted comes back, nothing
 * crashes, nothing leaks. libcurl's own allocations are left out: 7.88 divides by zero when the hash of a socket's
 * transfers cannot be allocated. */
#include "client.h"
#include "support/fail_malloc.h"

static zcrpc_code call_once(const char *odd, int32_t codec) {
  zcrpc_error *err = NULL;
  zcrpc_code code = ZCRPC_RESOURCE_EXHAUSTED;
  zcrpc_options *o = zcrpc_options_new(ZCRPC_FOR_CHANNEL, &err);
  zcrpc_channel *ch = NULL;
  zcrpc_call *c = NULL;
  const zcrpc_view *v = NULL;
  if (!o) goto out;
  if (zcrpc_options_set_int(o, ZCRPC_CHANNEL_CODEC, codec, &err)) goto out;
  if (zcrpc_options_set_int(o, ZCRPC_CHANNEL_TIMEOUT, 3000, &err)) goto out;
  if (!(ch = zcrpc_channel_new(NULL, server.target, o, NULL, &err))) goto out;
  if (!(c = zcrpc_channel_open(ch, echo, NULL, &err))) goto out;
  if (zcrpc_metadata_add(zcrpc_call_metadata(c, ZCRPC_REQUEST_HEADERS), "x-odd", odd, ZCRPC_NTS, &err)) goto out;
  zcrpc_encoder_put_string(zcrpc_call_encoder(c), TEXT, "hello", 5);
  v = zcrpc_call_unary(c, &err);
  if (v) code = ZCRPC_OK;
out:
  if (err) code = zcrpc_error_code(err);
  zcrpc_error_free(err);
  zcrpc_call_release(c);
  zcrpc_channel_free(ch);
  zcrpc_options_free(o);
  return code;
}

/* other: a code that may come instead, for want of memory to read what the server said. */
static void fail_each(const char *odd, int32_t codec, zcrpc_code good, zcrpc_code other) {
  long n, failures = 0;
  assert_int_equal(call_once(odd, codec), good);
  assert_int_equal(call_once(odd, codec), good); /* what libraries allocate once and keep */
  for (n = 1; n < 2000; n++) {
    long before = fail_malloc_live(), after;
    zcrpc_code code;
    int failed;
    fail_malloc_at(n);
    code = call_once(odd, codec);
    failed = fail_malloc_stop();
    after = fail_malloc_live();
    if (after > before) fail_msg("allocation %ld: %ld blocks leaked", n, after - before);
    if (!failed) break;
    failures++;
    if (code == good) continue; /* a pool or a cache may do without */
    if (code != ZCRPC_RESOURCE_EXHAUSTED && code != other) fail_msg("allocation %ld: %s", n, zcrpc_code_name(code));
  }
  assert_true(n > 20 && n < 2000);
  assert_true(failures > 10);
}

static int set_up_memory(void **state) {
  fail_malloc_spare("libcurl");
  return set_up(state);
}

static void every_allocation_of_a_good_call_may_fail(void **state) {
  (void)state;
  fail_each("echo", ZCRPC_PROTO, ZCRPC_OK, ZCRPC_RESOURCE_EXHAUSTED);
}
static void every_allocation_of_a_json_call_may_fail(void **state) {
  (void)state;
  fail_each("echo", ZCRPC_JSON, ZCRPC_OK, ZCRPC_RESOURCE_EXHAUSTED);
}
static void every_allocation_of_a_compressed_answer_may_fail(void **state) {
  (void)state;
  fail_each("gzip", ZCRPC_PROTO, ZCRPC_OK, ZCRPC_RESOURCE_EXHAUSTED);
}
static void every_allocation_of_an_error_with_details_may_fail(void **state) {
  (void)state;
  fail_each("error", ZCRPC_PROTO, ZCRPC_NOT_FOUND, ZCRPC_UNIMPLEMENTED);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_allocation_of_a_good_call_may_fail),
      cmocka_unit_test(every_allocation_of_a_json_call_may_fail),
      cmocka_unit_test(every_allocation_of_a_compressed_answer_may_fail),
      cmocka_unit_test(every_allocation_of_an_error_with_details_may_fail),
  };
  return cmocka_run_group_tests(tests, set_up_memory, tear_down);
}
