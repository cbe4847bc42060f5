/* zcrpc_view_print and zcrpc_type_convert through the public header: results, errors, options, want of memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <zcrpc.h>

#include "support/fail_malloc.h"

static zcrpc_schema *schema;
static const zcrpc_type *all;

static char *read_file(const char *path, size_t *len) {
  FILE *f = fopen(path, "rb");
  char *data = malloc(1 << 20);
  assert_non_null(f);
  assert_non_null(data);
  *len = fread(data, 1, 1 << 20, f);
  fclose(f);
  return data;
}

static int setup(void **state) {
  size_t len;
  char *set = read_file(JSON_TEST_SET, &len);
  (void)state;
  schema = zcrpc_schema_new(set, len, NULL);
  free(set);
  assert_non_null(schema);
  all = zcrpc_schema_type(schema, "json.test.All");
  assert_non_null(all);
  return 0;
}
static int teardown(void **state) {
  (void)state;
  zcrpc_schema_release(schema);
  return 0;
}

static void assert_buffer(zcrpc_buffer *b, const void *want, size_t len) {
  zcrpc_slice s;
  assert_non_null(b);
  zcrpc_buffer_slice(b, &s);
  if (s.len != len || memcmp(s.data, want, len) != 0) fail_msg("got %.*s", (int)s.len, s.data);
  zcrpc_buffer_release(b);
}
/* want: a literal, which may hold zeros */
#define assert_bytes(buffer, want) assert_buffer(buffer, want, sizeof(want) - 1)
#define CONVERT(from, data, to, o, err) zcrpc_type_convert(all, from, data, sizeof data - 1, to, o, err)

static void formats_convert_both_ways(void **state) {
  static const char json[] = "{\"optI32\":0,\"i32\":7}", wire[] = "\x90\x01\x00\x08\x07";
  (void)state;
  assert_buffer(CONVERT(ZCRPC_JSON, json, ZCRPC_PROTO, NULL, NULL), wire, 5);
  assert_bytes(CONVERT(ZCRPC_PROTO, wire, ZCRPC_JSON, NULL, NULL), "{\"i32\":7,\"optI32\":0}");
  /* The same format twice checks and normalises. */
  assert_bytes(CONVERT(ZCRPC_PROTO, wire, ZCRPC_PROTO, NULL, NULL), "\x08\x07\x90\x01\x00");
  assert_bytes(CONVERT(ZCRPC_JSON, " { \"opt_i32\" : \"0\" } ", ZCRPC_JSON, NULL, NULL), "{\"optI32\":0}");
  assert_bytes(zcrpc_type_convert(all, ZCRPC_PROTO, NULL, 0, ZCRPC_JSON, NULL, NULL), "{}");
  assert_bytes(zcrpc_type_convert(all, ZCRPC_JSON, "{}", ZCRPC_NTS, ZCRPC_PROTO, NULL, NULL), "");
}

static void a_view_prints_whole_or_in_part(void **state) {
  static const char wire[] = "\x8a\x01\x02\x08\x05\x72\x01x";
  zcrpc_arena *arena = zcrpc_arena_new(NULL);
  const zcrpc_view *v = zcrpc_view_decode(all, wire, sizeof wire - 1, NULL, arena, NULL);
  (void)state;
  assert_non_null(v);
  assert_bytes(zcrpc_view_print(v, ZCRPC_JSON, NULL, NULL), "{\"text\":\"x\",\"sub\":{\"i32\":5}}");
  assert_bytes(zcrpc_view_print(zcrpc_view_message(v, 17), ZCRPC_JSON, NULL, NULL), "{\"i32\":5}");
  assert_bytes(zcrpc_view_print(zcrpc_view_message(v, 17), ZCRPC_PROTO, NULL, NULL), "\x08\x05");
  assert_bytes(zcrpc_view_print(v, ZCRPC_PROTO, NULL, NULL), "\x72\x01x\x8a\x01\x02\x08\x05");
  assert_bytes(zcrpc_view_print(NULL, ZCRPC_JSON, NULL, NULL), "{}");
  assert_bytes(zcrpc_view_print(NULL, ZCRPC_PROTO, NULL, NULL), "");
  zcrpc_arena_free(arena);
}

static void options_shape_the_text(void **state) {
  static const char wire[] = "\x90\x01\x01\x80\x01\x01";
  zcrpc_options *o = zcrpc_options_new(ZCRPC_FOR_FORMAT, NULL), *other = zcrpc_options_new(ZCRPC_FOR_DECODE, NULL);
  zcrpc_error *err = NULL;
  (void)state;
  assert_int_equal(zcrpc_options_set_int(o, ZCRPC_FORMAT_PROTO_NAMES, 1, NULL), ZCRPC_OK);
  assert_int_equal(zcrpc_options_set_int(o, ZCRPC_FORMAT_ENUM_NUMBERS, 1, NULL), ZCRPC_OK);
  assert_bytes(CONVERT(ZCRPC_PROTO, wire, ZCRPC_JSON, o, NULL), "{\"colour\":1,\"opt_i32\":1}");
  assert_int_equal(zcrpc_options_set_int(o, ZCRPC_FORMAT_PRETTY, 1, NULL), ZCRPC_OK);
  assert_bytes(CONVERT(ZCRPC_PROTO, wire, ZCRPC_JSON, o, NULL), "{\n  \"colour\": 1,\n  \"opt_i32\": 1\n}");
  assert_int_equal(zcrpc_options_set_int(o, ZCRPC_FORMAT_IGNORE_UNKNOWN, 1, NULL), ZCRPC_OK);
  assert_bytes(CONVERT(ZCRPC_JSON, "{\"bogus\":1,\"i32\":1}", ZCRPC_PROTO, o, NULL), "\x08\x01");
  assert_null(CONVERT(ZCRPC_PROTO, wire, ZCRPC_JSON, other, &err));
  assert_int_equal(zcrpc_error_code(err), ZCRPC_INVALID_ARGUMENT);
  zcrpc_error_free(err);
  zcrpc_options_free(o);
  zcrpc_options_free(other);
}

static void errors_tell_code_place_and_path(void **state) {
  zcrpc_error *err = NULL;
  (void)state;
  assert_null(CONVERT(ZCRPC_JSON, "{\"rSub\":[{},\n{\"i32\":\"x\"}]}", ZCRPC_PROTO, NULL, &err));
  assert_int_equal(zcrpc_error_code(err), ZCRPC_INVALID_ARGUMENT);
  assert_string_equal(zcrpc_error_message(err), "line 2, column 8: expected an integer");
  assert_string_equal(zcrpc_error_path(err), "r_sub[1].i32");
  assert_int_equal(zcrpc_error_offset(err), 20);
  zcrpc_error_free(err);
  assert_null(CONVERT(ZCRPC_PROTO, "\x8a\x01\x02\x08\x80", ZCRPC_JSON, NULL, &err));
  assert_int_equal(zcrpc_error_code(err), ZCRPC_INVALID_ARGUMENT);
  assert_string_equal(zcrpc_error_path(err), "sub.i32");
  assert_int_equal(zcrpc_error_offset(err), 4);
  zcrpc_error_free(err);
  assert_null(CONVERT(ZCRPC_PROTO, "\xda\x04\x00", ZCRPC_JSON, NULL, &err));
  assert_string_equal(zcrpc_error_path(err), "value");
  assert_int_equal(zcrpc_error_offset(err), -1);
  zcrpc_error_free(err);
}

static void text_format_converts_like_the_others(void **state) {
  static const char wire[] = "\x90\x01\x00\x08\x07", unknown[] = "\x08\x07\xf8\x7f\x05";
  zcrpc_options *o = zcrpc_options_new(ZCRPC_FOR_FORMAT, NULL);
  zcrpc_error *err = NULL;
  (void)state;
  assert_bytes(CONVERT(ZCRPC_PROTO, wire, ZCRPC_TEXT, NULL, NULL), "i32: 7 opt_i32: 0");
  assert_buffer(CONVERT(ZCRPC_TEXT, "opt_i32: 0, i32: 0x7", ZCRPC_PROTO, NULL, NULL), wire, 5);
  assert_bytes(CONVERT(ZCRPC_TEXT, "sub < i32: 1 >", ZCRPC_JSON, NULL, NULL), "{\"sub\":{\"i32\":1}}");
  assert_bytes(CONVERT(ZCRPC_JSON, "{\"sub\":{}}", ZCRPC_TEXT, NULL, NULL), "sub {}");
  assert_int_equal(zcrpc_options_set_int(o, ZCRPC_FORMAT_UNKNOWN_FIELDS, 1, NULL), ZCRPC_OK);
  assert_bytes(CONVERT(ZCRPC_PROTO, unknown, ZCRPC_TEXT, o, NULL), "i32: 7 2047: 5");
  assert_int_equal(zcrpc_options_set_int(o, ZCRPC_FORMAT_PRETTY, 1, NULL), ZCRPC_OK);
  assert_bytes(CONVERT(ZCRPC_PROTO, unknown, ZCRPC_TEXT, o, NULL), "i32: 7\n2047: 5");
  zcrpc_options_free(o);
  assert_null(CONVERT(ZCRPC_TEXT, "sub {\n  i32: x\n}", ZCRPC_PROTO, NULL, &err));
  assert_int_equal(zcrpc_error_code(err), ZCRPC_INVALID_ARGUMENT);
  assert_string_equal(zcrpc_error_message(err), "line 2, column 8: expected an integer");
  assert_string_equal(zcrpc_error_path(err), "sub.i32");
  assert_int_equal(zcrpc_error_offset(err), 13);
  zcrpc_error_free(err);
}

static void one_call_prints_a_message_for_a_log(void **state) {
  static const char wire[] = "\x08\x07\x72\x04\xc3\xa9\xc3\xa9\xf8\x7f\x05";
  zcrpc_arena *arena = zcrpc_arena_new(NULL);
  const zcrpc_view *v = zcrpc_view_decode(all, wire, sizeof wire - 1, NULL, arena, NULL);
  char line[64], small[18];
  (void)state;
  assert_non_null(v);
  assert_int_equal(zcrpc_view_debug(v, line, sizeof line), 27);
  assert_string_equal(line, "i32: 7 text: \"\xc3\xa9\xc3\xa9\" 2047: 5");
  /* Cut between characters. */
  assert_int_equal(zcrpc_view_debug(v, small, sizeof small), 17);
  assert_string_equal(small, "i32: 7 text: \"...");
  assert_int_equal(zcrpc_view_debug(v, small, 3), 2);
  assert_string_equal(small, "..");
  assert_int_equal(zcrpc_view_debug(v, small, 1), 0);
  assert_string_equal(small, "");
  assert_int_equal(zcrpc_view_debug(v, NULL, 5), 0);
  assert_int_equal(zcrpc_view_debug(NULL, small, sizeof small), 0);
  assert_string_equal(small, "");
  zcrpc_arena_free(arena);
}

static void wrong_arguments_are_told(void **state) {
  zcrpc_error *err = NULL;
  (void)state;
  assert_null(zcrpc_type_convert(NULL, ZCRPC_PROTO, "", 0, ZCRPC_JSON, NULL, &err));
  assert_int_equal(zcrpc_error_code(err), ZCRPC_INVALID_ARGUMENT);
  zcrpc_error_free(err);
  assert_null(zcrpc_type_convert(all, ZCRPC_PROTO, NULL, 3, ZCRPC_JSON, NULL, &err));
  assert_int_equal(zcrpc_error_code(err), ZCRPC_INVALID_ARGUMENT);
  zcrpc_error_free(err);
  assert_null(zcrpc_type_convert(all, 4, "", 0, ZCRPC_JSON, NULL, &err));
  assert_int_equal(zcrpc_error_code(err), ZCRPC_INVALID_ARGUMENT);
  zcrpc_error_free(err);
  assert_null(zcrpc_view_print(NULL, 0, NULL, &err));
  assert_int_equal(zcrpc_error_code(err), ZCRPC_INVALID_ARGUMENT);
  zcrpc_error_free(err);
  assert_null(zcrpc_view_print(NULL, 7, NULL, NULL));
}

static void large_results_outlive_what_made_them(void **state) {
  size_t n = 100000, i;
  char *json = malloc(n + 16);
  zcrpc_buffer *wire, *text;
  zcrpc_slice s;
  (void)state;
  memcpy(json, "{\"text\":\"", 9);
  for (i = 0; i < n; i++) json[9 + i] = (char)('a' + i % 26);
  memcpy(json + 9 + n, "\"}", 2);
  wire = zcrpc_type_convert(all, ZCRPC_JSON, json, n + 11, ZCRPC_PROTO, NULL, NULL);
  zcrpc_buffer_slice(wire, &s);
  text = zcrpc_type_convert(all, ZCRPC_PROTO, s.data, s.len, ZCRPC_JSON, NULL, NULL);
  zcrpc_buffer_release(wire);
  assert_buffer(text, json, n + 11);
  free(json);
}

/* The protobuf in between is larger than any index may be, and is not taken off it. */
static void a_string_larger_than_the_largest_index_converts(void **state) {
  static const char head[] = "{\"text\":\"", tail[] = "\"}";
  const size_t bytes = (size_t)70 << 20, len = sizeof head - 1 + bytes + sizeof tail - 1;
  char *text = malloc(len);
  zcrpc_error *err = NULL;
  zcrpc_buffer *b;
  zcrpc_slice s;
  (void)state;
  assert_non_null(text);
  memcpy(text, head, sizeof head - 1);
  memset(text + sizeof head - 1, 'a', bytes);
  memcpy(text + len - (sizeof tail - 1), tail, sizeof tail - 1);
  b = zcrpc_type_convert(all, ZCRPC_JSON, text, len, ZCRPC_JSON, NULL, &err);
  if (err) print_error("%s\n", zcrpc_error_message(err));
  assert_non_null(b);
  zcrpc_buffer_slice(b, &s);
  assert_int_equal(s.len, len);
  assert_memory_equal(s.data, text, len);
  zcrpc_buffer_release(b);
  free(text);
}

static void every_failed_allocation_is_resource_exhausted(void **state) {
  static const char json[] = "{\"text\":\"a\\nb\",\"rI32\":[1,2,3],\"rSub\":[{\"data\":\"AAAA\"}],\"object\":{\"a\":[1]}}";
  long n;
  (void)state;
  for (n = 1; n < 1000; n++) {
    long before = fail_malloc_live();
    zcrpc_error *err = NULL;
    zcrpc_buffer *b;
    int failed;
    fail_malloc_from(n);
    b = CONVERT(ZCRPC_JSON, json, ZCRPC_JSON, NULL, &err);
    failed = fail_malloc_stop();
    assert_int_equal(zcrpc_error_code(err), failed ? ZCRPC_RESOURCE_EXHAUSTED : ZCRPC_OK);
    assert_int_equal(b == NULL, failed);
    zcrpc_error_free(err);
    zcrpc_buffer_release(b);
    assert_int_equal(fail_malloc_live(), before);
    if (!failed) break;
  }
  assert_true(n > 5 && n < 1000);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(formats_convert_both_ways),
      cmocka_unit_test(a_view_prints_whole_or_in_part),
      cmocka_unit_test(options_shape_the_text),
      cmocka_unit_test(errors_tell_code_place_and_path),
      cmocka_unit_test(text_format_converts_like_the_others),
      cmocka_unit_test(one_call_prints_a_message_for_a_log),
      cmocka_unit_test(wrong_arguments_are_told),
      cmocka_unit_test(large_results_outlive_what_made_them),
      cmocka_unit_test(a_string_larger_than_the_largest_index_converts),
      cmocka_unit_test(every_failed_allocation_is_resource_exhausted),
  };
  return cmocka_run_group_tests(tests, setup, teardown);
}
