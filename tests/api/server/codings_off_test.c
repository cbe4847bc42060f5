/* What a build does with the codings that it has, and with those that it was made without. */
#include "http1.h"
#include "support/codings.h"

static void features_tell_of_another_build(void **state) {
  uint64_t expected = 0, known = ZCRPC_FEATURE_ZSTD | ZCRPC_FEATURE_BROTLI | ZCRPC_FEATURE_SNAPPY;
  (void)state;
  CODING_ZSTD(expected |= ZCRPC_FEATURE_ZSTD;)
  CODING_BROTLI(expected |= ZCRPC_FEATURE_BROTLI;)
  CODING_SNAPPY(expected |= ZCRPC_FEATURE_SNAPPY;)
  assert_int_equal(zcrpc_features() & known, expected);
}

static void a_preference_for_a_coding_that_is_not_here_is_taken(void **state) {
  static const char *const all[] = {"gzip", "zstd", "br", "snappy", "deflate"};
  (void)state;
  for (int i = 0; i < 5; i++) {
    int here = 0;
    for (int k = 0; k < CODING_COUNT; k++) here |= strcmp(all[i], coding_names[k]) == 0;
    zcrpc_options *o = server_options();
    assert_int_equal(zcrpc_options_set_string(o, ZCRPC_COMPRESSION, all[i], NULL), ZCRPC_OK);
    zcrpc_error *err = NULL;
    zcrpc_server *s = zcrpc_server_new(o, &err);
    zcrpc_options_free(o);
    if (here != (s != NULL)) fail_msg("%s: %s", all[i], s ? "taken" : zcrpc_error_message(err));
    if (!here) assert_int_equal(zcrpc_error_code(err), ZCRPC_INVALID_ARGUMENT);
    zcrpc_error_free(err);
    zcrpc_server_free(s);
  }
}

/* The refusal names what there is, in the error and in the header. */
static void a_request_in_a_coding_that_is_not_here_is_read(void **state) {
  static const char *const all[] = {"zstd", "br", "snappy", "lzma"};
  (void)state;
  for (int i = 0; i < 4; i++) {
    int here = 0;
    char extra[64];
    for (int k = 0; k < CODING_COUNT; k++) here |= strcmp(all[i], coding_names[k]) == 0;
    if (here) continue;
    int fd = dial();
    static answer a;
    snprintf(extra, sizeof extra, "Content-Encoding: %s\r\n", all[i]);
    post(fd, "application/json", extra, "xxxx", 4);
    read_answer(fd, &a);
    close(fd);
    if (a.status != 501) fail_msg("%s: %d", all[i], a.status);
    assert_string_equal(header(&a, "accept-encoding"), CODINGS);
    assert_non_null(strstr(body(&a), "unknown compression: supported are " CODINGS " and identity"));
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(features_tell_of_another_build),
      cmocka_unit_test(a_preference_for_a_coding_that_is_not_here_is_taken),
      cmocka_unit_test(a_request_in_a_coding_that_is_not_here_is_read),
  };
  return cmocka_run_group_tests_name("codings_off", tests, start_default, stop_default);
}
