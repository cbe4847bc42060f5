/* Encoders as C sees them: NULL everywhere, mistakes told at the end, parts, references, memory. */
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
static const zcrpc_type *all, *leaf, *repeated;

static int set_up(void **state) {
  static char set[1 << 20];
  FILE *f = fopen(ENCODE_TEST_SET, "rb");
  size_t n;
  (void)state;
  if (!f) return -1;
  n = fread(set, 1, sizeof set, f);
  fclose(f);
  schema = zcrpc_schema_new(set, n, NULL);
  all = zcrpc_schema_type(schema, "t.All");
  leaf = zcrpc_schema_type(schema, "t.Leaf");
  repeated = zcrpc_schema_type(schema, "t.Repeated");
  return all && leaf && repeated ? 0 : -1;
}
static int tear_down(void **state) {
  (void)state;
  zcrpc_schema_release(schema);
  return 0;
}

static void assert_result(zcrpc_encoder *e, const char *want, size_t len) {
  zcrpc_error *err = NULL;
  zcrpc_buffer *b = zcrpc_encoder_finish(e, &err);
  zcrpc_slice s;
  if (err) print_message("%s\n", zcrpc_error_message(err));
  assert_non_null(b);
  zcrpc_buffer_slice(b, &s);
  assert_int_equal(s.len, len);
  assert_memory_equal(s.data, want, len);
  zcrpc_buffer_release(b);
}
#define RESULT(e, want) assert_result(e, want, sizeof(want) - 1)

static void assert_mistake(zcrpc_encoder *e, zcrpc_code code, const char *message, const char *path) {
  zcrpc_error *err = NULL;
  assert_null(zcrpc_encoder_finish(e, &err));
  assert_string_equal(zcrpc_error_message(err), message);
  assert_string_equal(zcrpc_error_path(err), path);
  assert_int_equal(zcrpc_error_code(err), code);
  zcrpc_error_free(err);
}

static void null_does_nothing(void **state) {
  zcrpc_error *err = NULL;
  size_t count;
  (void)state;
  zcrpc_encoder_free(NULL);
  zcrpc_encoder_reset(NULL, all);
  zcrpc_encoder_put_int64(NULL, 1, 1);
  zcrpc_encoder_put_uint64(NULL, 1, 1);
  zcrpc_encoder_put_double(NULL, 1, 1);
  zcrpc_encoder_put_string(NULL, 1, "x", 1);
  zcrpc_encoder_put_buffer(NULL, 1, NULL, 0, 0);
  zcrpc_encoder_put_view(NULL, 1, NULL);
  zcrpc_encoder_put_fields(NULL, NULL);
  zcrpc_encoder_put_int64s(NULL, 1, NULL, 0);
  zcrpc_encoder_put_doubles(NULL, 1, NULL, 0);
  zcrpc_encoder_put_array(NULL, 1, NULL, 0);
  zcrpc_encoder_put_raw(NULL, NULL, 0);
  zcrpc_encoder_begin(NULL, 1);
  zcrpc_encoder_end(NULL);
  assert_int_equal(zcrpc_encoder_size(NULL), 0);
  assert_int_equal(zcrpc_view_encoded_size(NULL), 0);
  assert_int_equal(zcrpc_view_encoded_bound(NULL), 0);
  assert_null(zcrpc_encoder_finish(NULL, &err));
  assert_int_equal(zcrpc_error_code(err), ZCRPC_INVALID_ARGUMENT);
  zcrpc_error_free(err);
  assert_int_equal(zcrpc_encoder_gather(NULL, NULL, 0, &count, NULL), ZCRPC_INVALID_ARGUMENT);
}

static void an_untouched_encoder_is_an_empty_message(void **state) {
  zcrpc_encoder *e = zcrpc_encoder_new(all, NULL);
  zcrpc_slice part;
  size_t count = 9;
  (void)state;
  RESULT(e, "");
  assert_int_equal(zcrpc_encoder_gather(e, &part, 1, &count, NULL), ZCRPC_OK);
  assert_int_equal(count, 0);
  zcrpc_encoder_free(e);
}

static void every_put_reaches_the_wire(void **state) {
  static const int64_t ints[] = {1, -1};
  static const double reals[] = {1};
  static const uint32_t native[] = {5, 300};
  zcrpc_encoder *e = zcrpc_encoder_new(all, NULL);
  (void)state;
  zcrpc_encoder_put_int64(e, 5, 150);
  zcrpc_encoder_put_uint64(e, 4, UINT64_MAX);
  zcrpc_encoder_put_double(e, 1, 1.0);
  zcrpc_encoder_put_string(e, 9, "text", ZCRPC_NTS);
  zcrpc_encoder_put_string(e, 12, NULL, 0);
  zcrpc_encoder_begin(e, 19);
  zcrpc_encoder_put_raw(e, "\x10\x07", 2);
  zcrpc_encoder_end(e);
  assert_int_equal(zcrpc_encoder_size(e), 3 + 11 + 9 + 6 + 2 + 5);
  RESULT(e, "\x28\x96\x01" "\x20\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01" "\x09\0\0\0\0\0\0\xF0\x3F" "\x4A\x04text" "\x62\0" "\x9A\x01\x02\x10\x07");
  zcrpc_encoder_reset(e, repeated);
  zcrpc_encoder_put_int64s(e, 17, ints, 2);
  zcrpc_encoder_put_doubles(e, 2, reals, 1);
  zcrpc_encoder_put_array(e, 13, native, 2);
  RESULT(e, "\x8A\x01\x02\x02\x01" "\x12\x04\0\0\x80\x3F" "\x6A\x03\x05\xAC\x02");
  zcrpc_encoder_free(e);
}

static void mistakes_are_told_at_the_end(void **state) {
  zcrpc_encoder *e = zcrpc_encoder_new(all, NULL);
  zcrpc_slice part;
  size_t count;
  (void)state;
  zcrpc_encoder_begin(e, 20);
  zcrpc_encoder_put_string(e, 9, "\x80", 1);
  zcrpc_encoder_put_int64(e, 99999, 1); /* a second mistake is not told */
  assert_mistake(e, ZCRPC_INVALID_ARGUMENT, "invalid UTF-8", "self.f_string");
  zcrpc_encoder_reset(e, all);
  zcrpc_encoder_put_string(e, 9, NULL, 5);
  assert_mistake(e, ZCRPC_INVALID_ARGUMENT, "NULL with a length", "");
  zcrpc_encoder_reset(e, all);
  zcrpc_encoder_put_buffer(e, 12, NULL, 0, 0);
  assert_mistake(e, ZCRPC_INVALID_ARGUMENT, "not a part of the buffer", "f_bytes");
  zcrpc_encoder_reset(e, all);
  zcrpc_encoder_put_int64s(e, 5, NULL, 0);
  assert_mistake(e, ZCRPC_INVALID_ARGUMENT, "not a repeated integer field", "f_int32");
  zcrpc_encoder_reset(e, NULL);
  zcrpc_encoder_put_int64(e, 5, 1);
  assert_mistake(e, ZCRPC_INVALID_ARGUMENT, "the encoder has no type", "");
  zcrpc_encoder_reset(e, all);
  zcrpc_encoder_put_int64(e, 5, 1);
  RESULT(e, "\x28\x01");
  zcrpc_encoder_put_int64(e, 5, 2);
  assert_int_equal(zcrpc_encoder_gather(e, &part, 1, &count, NULL), ZCRPC_FAILED_PRECONDITION);
  zcrpc_encoder_free(e);
}

static int released;
static void on_release(const void *data, size_t len, void *user) {
  (void)data;
  (void)len;
  (void)user;
  released++;
}

static void large_parts_stay_where_they_are(void **state) {
  static char big[20000];
  zcrpc_buffer *b = zcrpc_buffer_wrap(big, sizeof big, on_release, NULL, NULL);
  zcrpc_encoder *e = zcrpc_encoder_new(all, NULL);
  zcrpc_slice parts[3];
  size_t count = 0;
  (void)state;
  released = 0;
  zcrpc_encoder_put_int64(e, 5, 1);
  zcrpc_encoder_put_buffer(e, 12, b, 0, sizeof big);
  zcrpc_encoder_put_int64(e, 5, 2);
  zcrpc_buffer_release(b);
  assert_int_equal(zcrpc_encoder_gather(e, parts, 1, &count, NULL), ZCRPC_TOO_SMALL);
  assert_int_equal(count, 3);
  assert_int_equal(zcrpc_encoder_gather(e, parts, 3, &count, NULL), ZCRPC_OK);
  assert_int_equal(parts[0].len, 6);
  assert_memory_equal(parts[0].data, "\x28\x01\x62\xA0\x9C\x01", 6);
  assert_ptr_equal(parts[1].data, big);
  assert_int_equal(parts[1].len, sizeof big);
  assert_memory_equal(parts[2].data, "\x28\x02", 2);
  assert_int_equal(released, 0);
  zcrpc_encoder_reset(e, all);
  assert_int_equal(released, 1);
  zcrpc_encoder_free(e);
}

static void a_view_is_written_again(void **state) {
  static const char in[] = "\x4A\x01" "b" "\x28\x00" "\x9A\x01\x02\x10\x05" "\x28\x07" "\xF8\x06\x01"; /* the last is unknown */
  zcrpc_arena *a = zcrpc_arena_new(NULL);
  const zcrpc_view *v = zcrpc_view_decode(all, in, sizeof in - 1, NULL, a, NULL);
  zcrpc_encoder *e = zcrpc_encoder_new(all, NULL);
  (void)state;
  zcrpc_encoder_put_fields(e, v);
  assert_int_equal(zcrpc_view_encoded_size(v), sizeof in - 1 - 2);
  assert_true(zcrpc_view_encoded_bound(v) >= sizeof in);
  RESULT(e, "\x28\x07" "\x4A\x01" "b" "\x9A\x01\x02\x10\x05" "\xF8\x06\x01");
  zcrpc_encoder_reset(e, all);
  zcrpc_encoder_put_view(e, 40, zcrpc_view_message(v, 19));
  RESULT(e, "\xC2\x02\x02\x10\x05");
  zcrpc_encoder_reset(e, all);
  zcrpc_encoder_put_view(e, 40, v);
  assert_mistake(e, ZCRPC_INVALID_ARGUMENT, "a message of another type", "leaves");
  zcrpc_encoder_free(e);
  zcrpc_arena_free(a);
}

static void a_large_part_of_a_counted_message_goes_by_reference(void **state) {
  zcrpc_encoder *e = zcrpc_encoder_new(all, NULL);
  zcrpc_arena *a = zcrpc_arena_new(NULL);
  zcrpc_buffer *b = NULL;
  const zcrpc_view *v;
  zcrpc_slice parts[2], whole;
  size_t count = 0;
  static char big[20000];
  (void)state;
  memset(big, 'x', sizeof big);
  zcrpc_encoder_begin(e, 19);
  zcrpc_encoder_put_string(e, 1, big, sizeof big);
  zcrpc_encoder_end(e);
  b = zcrpc_encoder_finish(e, NULL);
  zcrpc_buffer_slice(b, &whole);
  v = zcrpc_view_decode_buffer(all, b, NULL, a, NULL);
  assert_non_null(v);
  zcrpc_buffer_release(b);
  zcrpc_encoder_reset(e, all);
  zcrpc_encoder_put_view(e, 40, zcrpc_view_message(v, 19));
  assert_int_equal(zcrpc_encoder_gather(e, parts, 2, &count, NULL), ZCRPC_OK);
  assert_int_equal(count, 2);
  assert_true(parts[1].data > whole.data && parts[1].data + parts[1].len == whole.data + whole.len);
  zcrpc_arena_free(a); /* the encoder holds the bytes on its own */
  assert_int_equal(parts[1].data[sizeof big], 'x');
  zcrpc_encoder_free(e);
}

static void write_some(zcrpc_encoder *e) {
  int i;
  zcrpc_encoder_reset(e, all);
  for (i = 0; i < 100; i++) {
    zcrpc_encoder_begin(e, 40);
    zcrpc_encoder_put_string(e, 1, "a name that takes some room", ZCRPC_NTS);
    zcrpc_encoder_end(e);
  }
}

static void a_warm_encoder_allocates_nothing(void **state) {
  zcrpc_encoder *e = zcrpc_encoder_new(all, NULL);
  zcrpc_slice part;
  size_t count;
  (void)state;
  write_some(e);
  assert_int_equal(zcrpc_encoder_gather(e, &part, 1, &count, NULL), ZCRPC_OK);
  fail_malloc_at(0);
  write_some(e);
  assert_int_equal(zcrpc_encoder_gather(e, &part, 1, &count, NULL), ZCRPC_OK);
  assert_int_equal(fail_malloc_count(), 0);
  (void)fail_malloc_stop();
  assert_int_equal(count, 1);
  zcrpc_encoder_free(e);
}

static void running_out_of_memory_is_told_and_leaks_nothing(void **state) {
  long n;
  (void)state;
  for (n = 1;; n++) {
    long before = fail_malloc_live();
    zcrpc_error *err = NULL;
    zcrpc_buffer *b = NULL;
    zcrpc_encoder *e;
    int failed;
    fail_malloc_from(n);
    e = zcrpc_encoder_new(all, &err);
    if (e) {
      write_some(e);
      b = zcrpc_encoder_finish(e, &err);
    }
    failed = fail_malloc_stop();
    zcrpc_encoder_free(e);
    if (!b) assert_int_equal(zcrpc_error_code(err), ZCRPC_RESOURCE_EXHAUSTED);
    zcrpc_buffer_release(b);
    zcrpc_error_free(err);
    assert_int_equal(fail_malloc_live(), before);
    if (!failed) break;
  }
  assert_true(n > 3);
}

/* In messages that are stored sparsely, and beside extensions. */
static void copies_by_projection_have_what_is_named_of_a_oneof(void **state) {
#define CASE(type, paths, data, want) {type, paths, data, want, sizeof(data) - 1, sizeof(want) - 1}
  static const struct {
    const char *type, *paths, *data, *want;
    size_t len, want_len;
  } cases[] = {
      CASE("t.Wide", "c24", "\xCA\x01\x01x", ""),
      CASE("t.Wide", "c24", "\xCA\x01\x01x\xC0\x01\x05", "\xC0\x01\x05"),
      CASE("t.Wide", "c24,b33", "\xCA\x01\x01x\x88\x02\x01", "\x88\x02\x01"),
      CASE("t.Wide", "w29.c24", "\xEA\x01\x04\xCA\x01\x01x", "\xEA\x01\x00"),
      CASE("t.Wide", "w29,c24", "\xEA\x01\x04\xCA\x01\x01x\xCA\x01\x01y", "\xEA\x01\x04\xCA\x01\x01x"),
      CASE("t.Wide", "w30.c24", "\xF2\x01\x04\xCA\x01\x01x\xF2\x01\x03\xC0\x01\x05", "\xF2\x01\x00\xF2\x01\x03\xC0\x01\x05"),
      CASE("t.Wide", "c26.name,c24", "\xD2\x01\x03\x0A\x01x", "\xD2\x01\x03\x0A\x01x"),
      CASE("t.Maps", "wides.value.c24", "\x42\x0B\x0D\x01\x00\x00\x00\x12\x04\xCA\x01\x01x", "\x42\x07\x0D\x01\x00\x00\x00\x12\x00"),
      CASE("t2.Two", "one,[t2.note]", "\x5A\x01x\xA2\x06\x01n", "\xA2\x06\x01n"),
      CASE("t2.Two", "two,[t2.note]", "\x5A\x01x\xA2\x06\x01n", "\x5A\x01x\xA2\x06\x01n"),
  };
  size_t i;
  (void)state;
  for (i = 0; i < sizeof cases / sizeof *cases; i++) {
    zcrpc_projection *p = zcrpc_projection_new(zcrpc_schema_type(schema, cases[i].type), cases[i].paths, NULL);
    zcrpc_buffer *b = zcrpc_projection_copy(p, cases[i].data, cases[i].len, NULL, NULL);
    zcrpc_slice s;
    if (!b) fail_msg("%s: no copy", cases[i].paths);
    zcrpc_buffer_slice(b, &s);
    if (s.len != cases[i].want_len || memcmp(s.data, cases[i].want, s.len) != 0) fail_msg("%s of %s, case %zu: %zu bytes", cases[i].paths, cases[i].type, i, s.len);
    zcrpc_buffer_release(b);
    zcrpc_projection_free(p);
  }
#undef CASE
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(null_does_nothing),
      cmocka_unit_test(an_untouched_encoder_is_an_empty_message),
      cmocka_unit_test(every_put_reaches_the_wire),
      cmocka_unit_test(mistakes_are_told_at_the_end),
      cmocka_unit_test(large_parts_stay_where_they_are),
      cmocka_unit_test(a_view_is_written_again),
      cmocka_unit_test(a_large_part_of_a_counted_message_goes_by_reference),
      cmocka_unit_test(a_warm_encoder_allocates_nothing),
      cmocka_unit_test(running_out_of_memory_is_told_and_leaks_nothing),
      cmocka_unit_test(copies_by_projection_have_what_is_named_of_a_oneof),
  };
  return cmocka_run_group_tests(tests, set_up, tear_down);
}
