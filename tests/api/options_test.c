/* Section 3: options. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <zcrpc.h>

static void refused_int(int32_t what, int32_t key, int64_t value, const char *text) {
  zcrpc_error *e = NULL;
  zcrpc_options *o = zcrpc_options_new(what, NULL);
  assert_int_equal(zcrpc_options_set_int(o, key, value, &e), ZCRPC_INVALID_ARGUMENT);
  assert_string_equal(zcrpc_error_message(e), text);
  zcrpc_error_free(e);
  zcrpc_options_free(o);
}

static void a_bad_value_is_refused_at_once_with_its_range(void **state) {
  (void)state;
  refused_int(ZCRPC_FOR_DECODE, ZCRPC_DECODE_MAX_DEPTH, 0, "option ZCRPC_DECODE_MAX_DEPTH is 0; it takes 1 to 1000");
  refused_int(ZCRPC_FOR_DECODE, ZCRPC_DECODE_MAX_DEPTH, 1001, "option ZCRPC_DECODE_MAX_DEPTH is 1001; it takes 1 to 1000");
  refused_int(ZCRPC_FOR_SERVER, ZCRPC_LIMIT_MESSAGE, 0, "option ZCRPC_LIMIT_MESSAGE is 0; it takes 1 to 2147483647");
  refused_int(ZCRPC_FOR_SERVER, ZCRPC_LIMIT_MESSAGE, INT64_MAX, "option ZCRPC_LIMIT_MESSAGE is 9223372036854775807; it takes 1 to 2147483647");
  refused_int(ZCRPC_FOR_CHANNEL, ZCRPC_CHANNEL_CODEC, 3, "option ZCRPC_CHANNEL_CODEC is 3; it takes 1 to 2");
}

static void a_key_of_another_kind_is_refused(void **state) {
  (void)state;
  refused_int(ZCRPC_FOR_FORMAT, ZCRPC_LIMIT_MESSAGE, 5, "option ZCRPC_LIMIT_MESSAGE is not for ZCRPC_FOR_FORMAT");
  refused_int(ZCRPC_FOR_CHANNEL, ZCRPC_SERVER_MAX_STREAMS, 5, "option ZCRPC_SERVER_MAX_STREAMS is not for ZCRPC_FOR_CHANNEL");
  refused_int(ZCRPC_FOR_SERVER, 9999, 5, "option 9999 is not known");
  refused_int(ZCRPC_FOR_SERVER, ZCRPC_COMPRESSION, 5, "option ZCRPC_COMPRESSION takes a string");
}

static void the_last_value_holds(void **state) {
  zcrpc_options *o = zcrpc_options_new(ZCRPC_FOR_CALL, NULL);
  zcrpc_error *e = NULL;
  (void)state;
  assert_int_equal(zcrpc_options_set_int(o, ZCRPC_LIMIT_MESSAGE, 5, NULL), ZCRPC_OK);
  assert_int_equal(zcrpc_options_set_int(o, ZCRPC_LIMIT_MESSAGE, 6, NULL), ZCRPC_OK);
  assert_int_equal(zcrpc_options_set_int(o, ZCRPC_DECODE_MAX_DEPTH, 20, NULL), ZCRPC_OK);
  assert_int_equal(zcrpc_options_set_string(o, ZCRPC_COMPRESSION, "gzip", NULL), ZCRPC_OK);
  assert_int_equal(zcrpc_options_set_string(o, ZCRPC_COMPRESSION, "", NULL), ZCRPC_OK);
  assert_int_equal(zcrpc_options_set_string(o, ZCRPC_LIMIT_MESSAGE, "6", &e), ZCRPC_INVALID_ARGUMENT);
  assert_string_equal(zcrpc_error_message(e), "option ZCRPC_LIMIT_MESSAGE takes a number");
  zcrpc_error_free(e);
  assert_int_equal(zcrpc_options_set_string(o, ZCRPC_COMPRESSION, NULL, NULL), ZCRPC_INVALID_ARGUMENT);
  zcrpc_options_free(o);
}

static void log_line(int32_t level, const char *text, size_t len, void *user) {
  (void)level, (void)text, (void)len, (void)user;
}

static void logs_are_for_what_runs(void **state) {
  zcrpc_options *o = zcrpc_options_new(ZCRPC_FOR_LOOP, NULL), *d = zcrpc_options_new(ZCRPC_FOR_DECODE, NULL);
  (void)state;
  assert_int_equal(zcrpc_options_set_log(o, 4, log_line, NULL, NULL), ZCRPC_OK);
  assert_int_equal(zcrpc_options_set_log(o, 0, log_line, NULL, NULL), ZCRPC_INVALID_ARGUMENT);
  assert_int_equal(zcrpc_options_set_log(o, 5, log_line, NULL, NULL), ZCRPC_INVALID_ARGUMENT);
  assert_int_equal(zcrpc_options_set_log(d, 1, log_line, NULL, NULL), ZCRPC_INVALID_ARGUMENT);
  zcrpc_options_free(o);
  zcrpc_options_free(d);
}

static void null_and_strangers(void **state) {
  zcrpc_error *e = NULL;
  (void)state;
  assert_null(zcrpc_options_new(0, &e));
  assert_string_equal(zcrpc_error_message(e), "zcrpc_options_new: 0 is no ZCRPC_FOR_");
  zcrpc_error_free(e);
  assert_null(zcrpc_options_new(99, NULL));
  assert_null(zcrpc_options_new(-1, NULL));
  assert_int_equal(zcrpc_options_set_int(NULL, ZCRPC_LIMIT_MESSAGE, 1, NULL), ZCRPC_INVALID_ARGUMENT);
  assert_int_equal(zcrpc_options_set_string(NULL, ZCRPC_COMPRESSION, "", NULL), ZCRPC_INVALID_ARGUMENT);
  assert_int_equal(zcrpc_options_set_log(NULL, 1, log_line, NULL, NULL), ZCRPC_INVALID_ARGUMENT);
  zcrpc_options_free(NULL);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_bad_value_is_refused_at_once_with_its_range),
      cmocka_unit_test(a_key_of_another_kind_is_refused),
      cmocka_unit_test(the_last_value_holds),
      cmocka_unit_test(logs_are_for_what_runs),
      cmocka_unit_test(null_and_strangers),
  };
  return cmocka_run_group_tests_name("options", tests, NULL, NULL);
}
