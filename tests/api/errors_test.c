/* Section 1: version, codes, errors, metadata. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <zcrpc.h>

static int same(zcrpc_slice s, const void *data, size_t len) { return s.len == len && s.data && (len == 0 || memcmp(s.data, data, len) == 0); }

static void header_and_library_agree(void **state) {
  (void)state;
  assert_int_equal(zcrpc_version(), ZCRPC_VERSION);
  assert_int_equal(zcrpc_layout(), ZCRPC_LAYOUT);
  assert_true((zcrpc_features() & ~(uint64_t)127) == 0);
}

static void codes_have_connects_names(void **state) {
  static const char *const names[] = {"ok", "canceled", "unknown", "invalid_argument", "deadline_exceeded", "not_found", "already_exists",
                                      "permission_denied", "resource_exhausted", "failed_precondition", "aborted", "out_of_range",
                                      "unimplemented", "internal", "unavailable", "data_loss", "unauthenticated"};
  (void)state;
  for (zcrpc_code c = 0; c <= 16; c++) {
    assert_string_equal(zcrpc_code_name(c), names[c]);
    assert_int_equal(zcrpc_code_from_name(names[c]), c);
  }
  assert_string_equal(zcrpc_code_name(ZCRPC_TOO_SMALL), "too_small");
  assert_string_equal(zcrpc_code_name(17), "unknown");
  assert_string_equal(zcrpc_code_name(-1), "unknown");
  assert_int_equal(zcrpc_code_from_name("NOT_FOUND"), ZCRPC_UNKNOWN);
  assert_int_equal(zcrpc_code_from_name(""), ZCRPC_UNKNOWN);
  assert_int_equal(zcrpc_code_from_name(NULL), ZCRPC_UNKNOWN);
}

static void an_error_keeps_what_it_was_given(void **state) {
  zcrpc_error *e = zcrpc_error_new(ZCRPC_NOT_FOUND, "no such thing, and more", 13), *other = NULL;
  zcrpc_slice type, value;
  (void)state;
  assert_int_equal(zcrpc_error_code(e), ZCRPC_NOT_FOUND);
  assert_string_equal(zcrpc_error_message(e), "no such thing");
  assert_string_equal(zcrpc_error_path(e), "");
  assert_int_equal(zcrpc_error_offset(e), -1);
  assert_int_equal(zcrpc_error_detail_count(e), 0);
  assert_int_equal(zcrpc_error_add_detail(e, "google.rpc.BadRequest", "\x0A\x00z", 3, NULL), ZCRPC_OK);
  assert_int_equal(zcrpc_error_add_detail(e, "x.Empty", NULL, 0, NULL), ZCRPC_OK);
  assert_int_equal(zcrpc_error_detail_count(e), 2);
  zcrpc_error_detail(e, 0, &type, &value);
  assert_true(same(type, "google.rpc.BadRequest", 21) && same(value, "\x0A\x00z", 3));
  zcrpc_error_detail(e, 1, &type, &value);
  assert_true(same(type, "x.Empty", 7) && same(value, "", 0));
  zcrpc_error_detail(e, 2, &type, NULL);
  assert_true(same(type, "", 0));
  assert_int_equal(zcrpc_error_add_detail(e, NULL, "x", 1, &other), ZCRPC_INVALID_ARGUMENT);
  assert_int_equal(zcrpc_error_code(other), ZCRPC_INVALID_ARGUMENT);
  zcrpc_error_free(other);
  assert_int_equal(zcrpc_error_add_detail(e, "x", NULL, 1, NULL), ZCRPC_INVALID_ARGUMENT);
  assert_int_equal(zcrpc_error_add_detail(NULL, "x", "y", 1, NULL), ZCRPC_INVALID_ARGUMENT);
  assert_int_equal(zcrpc_error_detail_count(e), 2);
  zcrpc_error_free(e);
}

static void only_the_sixteen_codes_make_errors(void **state) {
  static const zcrpc_code strangers[] = {ZCRPC_OK, 17, -1, ZCRPC_PENDING, ZCRPC_TOO_SMALL};
  (void)state;
  for (size_t i = 0; i < 5; i++) {
    zcrpc_error *e = zcrpc_error_new(strangers[i], NULL, 0);
    assert_int_equal(zcrpc_error_code(e), ZCRPC_UNKNOWN);
    assert_string_equal(zcrpc_error_message(e), "");
    zcrpc_error_free(e);
  }
  zcrpc_error *e = zcrpc_error_new(ZCRPC_ABORTED, "text", ZCRPC_NTS);
  assert_string_equal(zcrpc_error_message(e), "text");
  zcrpc_error_free(e);
}

static void null_is_the_error_that_is_none(void **state) {
  zcrpc_slice type, value;
  (void)state;
  assert_int_equal(zcrpc_error_code(NULL), ZCRPC_OK);
  assert_string_equal(zcrpc_error_message(NULL), "");
  assert_string_equal(zcrpc_error_path(NULL), "");
  assert_int_equal(zcrpc_error_offset(NULL), -1);
  assert_int_equal(zcrpc_error_detail_count(NULL), 0);
  zcrpc_error_detail(NULL, 0, &type, &value);
  assert_true(same(type, "", 0) && same(value, "", 0));
  assert_null(zcrpc_error_metadata(NULL));
  zcrpc_error_free(NULL);
}

static void metadata_keeps_order_and_repeats(void **state) {
  zcrpc_error *e = zcrpc_error_new(ZCRPC_INTERNAL, "", 0);
  zcrpc_metadata *m = zcrpc_error_metadata(e);
  zcrpc_slice name, value;
  (void)state;
  assert_int_equal(zcrpc_metadata_add(m, "a", "1", ZCRPC_NTS, NULL), ZCRPC_OK);
  assert_int_equal(zcrpc_metadata_add(m, "b-bin", "\0\xFF\n", 3, NULL), ZCRPC_OK);
  assert_int_equal(zcrpc_metadata_add(m, "a", "2", 1, NULL), ZCRPC_OK);
  assert_int_equal(zcrpc_metadata_add(m, "empty_.0", NULL, 0, NULL), ZCRPC_OK);
  assert_int_equal(zcrpc_metadata_count(m), 4);
  assert_int_equal(zcrpc_metadata_get(m, "a", &value), 1);
  assert_true(same(value, "1", 1));
  assert_int_equal(zcrpc_metadata_get(m, "b-bin", &value), 1);
  assert_true(same(value, "\0\xFF\n", 3));
  assert_int_equal(zcrpc_metadata_get(m, "c", &value), 0);
  assert_true(same(value, "", 0));
  assert_int_equal(zcrpc_metadata_get(m, "a", NULL), 1);
  zcrpc_metadata_at(m, 2, &name, &value);
  assert_true(same(name, "a", 1) && same(value, "2", 1));
  zcrpc_metadata_at(m, 4, &name, &value);
  assert_true(same(name, "", 0) && same(value, "", 0));
  assert_int_equal(zcrpc_metadata_count(NULL), 0);
  assert_int_equal(zcrpc_metadata_get(NULL, "a", &value), 0);
  zcrpc_metadata_at(NULL, 0, &name, &value);
  zcrpc_error_free(e);
}

static void refused_metadata(const char *name, const void *value, size_t len, const char *text) {
  zcrpc_error *e = zcrpc_error_new(ZCRPC_INTERNAL, "", 0), *why = NULL;
  assert_int_equal(zcrpc_metadata_add(zcrpc_error_metadata(e), name, value, len, &why), ZCRPC_INVALID_ARGUMENT);
  assert_string_equal(zcrpc_error_message(why), text);
  assert_int_equal(zcrpc_metadata_count(zcrpc_error_metadata(e)), 0);
  zcrpc_error_free(why);
  zcrpc_error_free(e);
}

static void metadata_cannot_smuggle_headers(void **state) {
  (void)state;
  refused_metadata("", "x", 1, "zcrpc_metadata_add: no name");
  refused_metadata(NULL, "x", 1, "zcrpc_metadata_add: no name");
  refused_metadata("Upper", "x", 1, "metadata name \"Upper\": only a-z, 0-9, '-', '_' and '.' are allowed");
  refused_metadata(":path", "x", 1, "metadata name \":path\": only a-z, 0-9, '-', '_' and '.' are allowed");
  refused_metadata("a b", "x", 1, "metadata name \"a b\": only a-z, 0-9, '-', '_' and '.' are allowed");
  refused_metadata("grpc-status", "0", 1, "metadata name \"grpc-status\" is reserved");
  refused_metadata("connect-timeout-ms", "0", 1, "metadata name \"connect-timeout-ms\" is reserved");
  refused_metadata("trailer-x", "0", 1, "metadata name \"trailer-x\" is reserved");
  refused_metadata("content-length", "0", 1, "metadata name \"content-length\" is reserved");
  refused_metadata("te", "0", 1, "metadata name \"te\" is reserved");
  refused_metadata("a", "x\r\nset-cookie: y", ZCRPC_NTS, "metadata \"a\": value is not printable ASCII; names in -bin take any bytes");
  refused_metadata("a", "\x80", 1, "metadata \"a\": value is not printable ASCII; names in -bin take any bytes");
  refused_metadata("a", "x\0y", 3, "metadata \"a\": value is not printable ASCII; names in -bin take any bytes");
  refused_metadata("a", NULL, 1, "zcrpc_metadata_add: value is NULL but its length is not 0");
  assert_int_equal(zcrpc_metadata_add(NULL, "a", "b", 1, NULL), ZCRPC_INVALID_ARGUMENT);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(header_and_library_agree),         cmocka_unit_test(codes_have_connects_names),
      cmocka_unit_test(an_error_keeps_what_it_was_given), cmocka_unit_test(only_the_sixteen_codes_make_errors),
      cmocka_unit_test(null_is_the_error_that_is_none),   cmocka_unit_test(metadata_keeps_order_and_repeats),
      cmocka_unit_test(metadata_cannot_smuggle_headers),
  };
  return cmocka_run_group_tests_name("errors", tests, NULL, NULL);
}
