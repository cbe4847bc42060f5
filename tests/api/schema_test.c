/* Section 4: schemas. */
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

static char *set;
static size_t set_len;
static zcrpc_schema *schema;

static int read_set(void **state) {
  FILE *f = fopen(ZCRPC_SOURCE_DIR "/tests/protos/editions.binpb", "rb");
  (void)state;
  if (!f) return -1;
  set = (char *)malloc(1 << 16);
  set_len = fread(set, 1, 1 << 16, f);
  fclose(f);
  schema = zcrpc_schema_new(set, set_len, NULL);
  return schema ? 0 : -1;
}

static int free_set(void **state) {
  (void)state;
  zcrpc_schema_release(schema);
  free(set);
  return 0;
}

static void names_find_types(void **state) {
  const zcrpc_type *t = zcrpc_schema_type(schema, "editions.Fields");
  (void)state;
  assert_string_equal(zcrpc_type_name(t), "editions.Fields");
  assert_null(zcrpc_schema_type(schema, "editions.Field"));
  assert_null(zcrpc_schema_type(schema, ".editions.Fields"));
  assert_null(zcrpc_schema_type(schema, NULL));
  assert_null(zcrpc_schema_type(NULL, "editions.Fields"));
  size_t n = 0;
  for (const zcrpc_type *x; (x = zcrpc_schema_type_at(schema, n)); n++) {
    zcrpc_type_info info = {sizeof info, 0, 0, NULL, 0, 0, 0, 0};
    zcrpc_type_get_info(x, &info);
    assert_int_equal(info.type_no, n);
    assert_ptr_equal(zcrpc_schema_type(schema, info.name), x);
    assert_true(info.fingerprint != 0 && info.fingerprint == zcrpc_type_fingerprint(x));
  }
  assert_int_equal(n, 5);
  assert_string_equal(zcrpc_type_name(NULL), "");
  assert_int_equal(zcrpc_type_fingerprint(NULL), 0);
}

static void fields_tell_what_they_are(void **state) {
  const zcrpc_type *t = zcrpc_schema_type(schema, "editions.Fields");
  zcrpc_field_info f = {sizeof f, 0, 0, 0, NULL, NULL, NULL, NULL, NULL};
  (void)state;
  assert_int_equal(zcrpc_type_field(t, 3, &f), 1);
  assert_int_equal(f.struct_size, sizeof f);
  assert_int_equal(f.number, 3);
  assert_int_equal(f.kind, ZCRPC_KIND_INT32);
  assert_int_equal(f.flags, ZCRPC_FIELD_PRESENCE | ZCRPC_FIELD_REQUIRED);
  assert_string_equal(f.name, "required_field");
  assert_string_equal(f.json_name, "requiredField");
  assert_true(!f.oneof && !f.message && !f.enumeration);
  assert_int_equal(zcrpc_type_field(t, 4, &f), 1);
  assert_int_equal(f.flags, ZCRPC_FIELD_REPEATED | ZCRPC_FIELD_PACKED);
  assert_int_equal(zcrpc_type_field(t, 8, &f), 1);
  assert_int_equal(f.kind, ZCRPC_KIND_GROUP);
  assert_ptr_equal(f.message, zcrpc_schema_type(schema, "editions.Fields.Inner"));
  assert_int_equal(zcrpc_type_field(t, 10, &f), 1);
  assert_int_equal(f.flags, ZCRPC_FIELD_REPEATED | ZCRPC_FIELD_MAP);
  assert_string_equal(zcrpc_type_name(f.message), "editions.Fields.MapFieldEntry");
  assert_int_equal(zcrpc_type_field(t, 12, &f), 1);
  assert_int_equal(f.flags, ZCRPC_FIELD_PRESENCE | ZCRPC_FIELD_CLOSED_ENUM);
  assert_ptr_equal(f.enumeration, zcrpc_schema_enum(schema, "editions.Closed"));
  assert_int_equal(zcrpc_type_field(t, 15, &f), 1);
  assert_string_equal(f.oneof, "choice");
  assert_int_equal(zcrpc_type_field(t, 100, &f), 1);
  assert_int_equal(f.flags, ZCRPC_FIELD_REPEATED | ZCRPC_FIELD_EXTENSION);
  assert_string_equal(f.name, "delimited_extension");

  f.number = 77;
  assert_int_equal(zcrpc_type_field(t, 17, &f), 0);
  assert_int_equal(zcrpc_type_field(t, 0, &f), 0);
  assert_int_equal(zcrpc_type_field(NULL, 1, &f), 0);
  assert_int_equal(zcrpc_type_field(t, 1, NULL), 0);
  assert_int_equal(zcrpc_type_field_at(t, 16, &f), 0);
  assert_int_equal(f.number, 77);
  assert_int_equal(zcrpc_type_field_at(t, 15, &f), 1);
  assert_int_equal(f.number, 16);
  assert_int_equal(zcrpc_type_field_number(t, "map_field"), 10);
  assert_int_equal(zcrpc_type_field_number(t, "mapField"), 10);
  assert_int_equal(zcrpc_type_field_number(t, "mapfield"), 0);
  assert_int_equal(zcrpc_type_field_number(t, NULL), 0);
  assert_int_equal(zcrpc_type_field_number(NULL, "x"), 0);
}

/* A program built with an older or a newer header than the library. */
static void structs_of_other_sizes_are_filled_as_far_as_they_go(void **state) {
  const zcrpc_type *t = zcrpc_schema_type(schema, "editions.Fields");
  struct { zcrpc_field_info f; char more[8]; } newer;
  zcrpc_field_info older;
  (void)state;
  memset(&older, 0x55, sizeof older);
  older.struct_size = 12;
  assert_int_equal(zcrpc_type_field(t, 1, &older), 1);
  assert_true(older.struct_size == 12 && older.number == 1 && older.kind == ZCRPC_KIND_INT32 && older.flags == 0x55555555u);
  memset(&newer, 0x55, sizeof newer);
  newer.f.struct_size = sizeof newer;
  assert_int_equal(zcrpc_type_field(t, 1, &newer.f), 1);
  assert_string_equal(newer.f.name, "explicit_field");
  for (size_t i = 0; i < sizeof newer.more; i++) assert_int_equal(newer.more[i], 0);
}

static void the_layout_has_a_row_for_each_field(void **state) {
  const zcrpc_type *t = zcrpc_schema_type(schema, "editions.Fields");
  zcrpc_slot rows[16];
  uint32_t size = 0;
  (void)state;
  memset(rows, 0, sizeof rows);
  assert_int_equal(zcrpc_type_layout(t, rows, 16, &size), 16);
  assert_int_equal(size, 120);
  assert_true(rows[0].number == 1 && rows[0].offset == 80 && rows[0].bit == 0 && rows[0].kind == ZCRPC_KIND_INT32 && rows[0].shape == ZCRPC_SHAPE_SINGULAR);
  assert_true(rows[1].bit == ZCRPC_NO_BIT && rows[3].shape == ZCRPC_SHAPE_REPEATED && rows[3].stride == 4 && rows[9].shape == ZCRPC_SHAPE_MAP && rows[9].stride == 16);
  assert_true(rows[14].oneof == 112 && rows[15].oneof == 112 && rows[14].offset == rows[15].offset);
  assert_string_equal(zcrpc_type_name(zcrpc_schema_type_at(schema, rows[9].type_no)), "editions.Fields.MapFieldEntry");
  memset(rows, 0, sizeof rows);
  assert_int_equal(zcrpc_type_layout(t, rows, 2, NULL), 16);
  assert_true(rows[1].number == 2 && rows[2].number == 0);
  assert_int_equal(zcrpc_type_layout(t, NULL, 0, &size), 16);
  assert_int_equal(zcrpc_type_layout(NULL, rows, 16, &size), 0);
  assert_int_equal(size, 0);
}

static void enums_translate(void **state) {
  const zcrpc_enum *e = zcrpc_schema_enum(schema, "editions.Open");
  int32_t n = 99;
  (void)state;
  assert_string_equal(zcrpc_enum_name(e, 1), "OPEN_ONE");
  assert_null(zcrpc_enum_name(e, 2));
  assert_null(zcrpc_enum_name(NULL, 0));
  assert_int_equal(zcrpc_enum_number(e, "OPEN_ONE", &n), 1);
  assert_int_equal(n, 1);
  assert_int_equal(zcrpc_enum_number(e, "CLOSED_FIVE", &n), 0);
  assert_int_equal(n, 1);
  assert_int_equal(zcrpc_enum_number(e, "OPEN_ONE", NULL), 1);
  assert_int_equal(zcrpc_enum_number(NULL, "OPEN_ONE", &n), 0);
}

static void methods_without_a_schema(void **state) {
  static const char *const bad[] = {"", "/", "a.B/C", "/a.B", "/a.B/", "//C", "/a/b/c", "/a.B/C d", "/a.B/C\r\n", "/a.B/C?x=1", "/a.B/%41"};
  zcrpc_method_info info = {sizeof info, 9, NULL, NULL, NULL};
  zcrpc_method *m = zcrpc_method_new("/a.B/C", ZCRPC_METHOD_SERVER_STREAM, NULL);
  zcrpc_error *e = NULL;
  (void)state;
  zcrpc_method_get_info(m, &info);
  assert_string_equal(info.path, "/a.B/C");
  assert_true(info.flags == ZCRPC_METHOD_SERVER_STREAM && !info.input && !info.output);
  zcrpc_method_free(m);
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) assert_null(zcrpc_method_new(bad[i], 0, NULL));
  assert_null(zcrpc_method_new(NULL, 0, NULL));
  assert_null(zcrpc_method_new("/a.B/C", 64, &e));
  assert_string_equal(zcrpc_error_message(e), "zcrpc_method_new: unknown flags");
  zcrpc_error_free(e);
  zcrpc_method_get_info(NULL, &info);
  assert_string_equal(info.path, "");
  zcrpc_method_free(NULL);
  assert_null(zcrpc_schema_method(schema, "editions.None/Do"));
  assert_null(zcrpc_schema_method_at(schema, 0));
}

static void a_bad_set_names_file_and_symbol(void **state) {
  /* file a.proto with message M { x with number 0 } */
  static const char bad[] = "\x0A\x19\x0A\x07" "a.proto" "\x22\x0E\x0A\x01M\x12\x09\x0A\x01x\x18\x00 \x01(\x05";
  zcrpc_error *e = NULL;
  (void)state;
  assert_null(zcrpc_schema_new(bad, sizeof bad - 1, &e));
  assert_int_equal(zcrpc_error_code(e), ZCRPC_INVALID_ARGUMENT);
  assert_string_equal(zcrpc_error_message(e), "a.proto: M.x: field number 0 is not allowed (1 to 536870911)");
  zcrpc_error_free(e);
  assert_null(zcrpc_schema_new("\x0A\x05x", 3, &e));
  assert_int_equal(zcrpc_error_offset(e), 0);
  zcrpc_error_free(e);
  assert_null(zcrpc_schema_new(NULL, 3, NULL));
  zcrpc_schema *empty = zcrpc_schema_new(NULL, 0, NULL);
  assert_non_null(empty);
  zcrpc_schema_release(empty);
}

static void a_schema_needs_nothing_of_its_input(void **state) {
  char *copy = (char *)malloc(set_len);
  (void)state;
  memcpy(copy, set, set_len);
  zcrpc_schema *s = zcrpc_schema_new(copy, set_len, NULL);
  memset(copy, 0xEE, set_len);
  free(copy);
  assert_ptr_equal(zcrpc_schema_retain(s), s);
  zcrpc_schema_release(s);
  const zcrpc_type *t = zcrpc_schema_type(s, "editions.Newer");
  assert_string_equal(zcrpc_type_name(t), "editions.Newer");
  assert_int_equal(zcrpc_type_field_number(t, "prefixed_map"), 5);
  /* Another schema of the same bytes lives beside it and has the same fingerprints. */
  assert_true(t != zcrpc_schema_type(schema, "editions.Newer"));
  assert_int_equal(zcrpc_type_fingerprint(t), zcrpc_type_fingerprint(zcrpc_schema_type(schema, "editions.Newer")));
  zcrpc_schema_release(s);
  zcrpc_schema_release(NULL);
  assert_null(zcrpc_schema_retain(NULL));
}

static void what_is_set_can_be_walked_and_what_is_required_is_asked_for(void **state) {
  const zcrpc_type *t = zcrpc_schema_type(schema, "editions.Fields");
  /* 3: 0 (required), 2: 5, 10: an entry, 1: 0 (explicit) */
  static const char bytes[] = "\x18\x00\x10\x05\x52\x00\x08\x00";
  zcrpc_arena *a = zcrpc_arena_new(NULL);
  zcrpc_error *e = NULL;
  (void)state;
  const zcrpc_view *v = zcrpc_view_decode(t, bytes, sizeof bytes - 1, NULL, a, NULL);
  assert_non_null(v);
  assert_int_equal(zcrpc_view_next(v, 0), 1);
  assert_int_equal(zcrpc_view_next(v, 1), 2);
  assert_int_equal(zcrpc_view_next(v, 2), 3);
  assert_int_equal(zcrpc_view_next(v, 3), 10);
  assert_int_equal(zcrpc_view_next(v, 10), 0);
  assert_int_equal(zcrpc_view_next(NULL, 0), 0);
  assert_int_equal(zcrpc_view_check_required(v, &e), ZCRPC_OK);
  assert_null(e);
  v = zcrpc_view_decode(t, bytes + 2, 2, NULL, a, NULL);
  assert_int_equal(zcrpc_view_check_required(v, &e), ZCRPC_INVALID_ARGUMENT);
  assert_string_equal(zcrpc_error_path(e), "required_field");
  assert_string_equal(zcrpc_error_message(e), "required field editions.Fields.required_field is not set");
  zcrpc_error_free(e);
  assert_int_equal(zcrpc_view_check_required(v, NULL), ZCRPC_INVALID_ARGUMENT);
  assert_int_equal(zcrpc_view_check_required(NULL, NULL), ZCRPC_OK);
  zcrpc_arena_free(a);
}

static void every_failing_allocation_is_told_and_leaks_nothing(void **state) {
  long n;
  (void)state;
  for (n = 1;; n++) {
    long before = fail_malloc_live();
    zcrpc_error *e = NULL;
    fail_malloc_at(n);
    zcrpc_schema *s = zcrpc_schema_new(set, set_len, &e);
    int failed = fail_malloc_stop();
    if (!s) assert_int_equal(zcrpc_error_code(e), ZCRPC_RESOURCE_EXHAUSTED);
    zcrpc_schema_release(s);
    zcrpc_error_free(e);
    assert_int_equal(fail_malloc_live(), before);
    if (!failed) break;
  }
  assert_true(n > 10);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(names_find_types),
      cmocka_unit_test(fields_tell_what_they_are),
      cmocka_unit_test(structs_of_other_sizes_are_filled_as_far_as_they_go),
      cmocka_unit_test(the_layout_has_a_row_for_each_field),
      cmocka_unit_test(enums_translate),
      cmocka_unit_test(methods_without_a_schema),
      cmocka_unit_test(a_bad_set_names_file_and_symbol),
      cmocka_unit_test(a_schema_needs_nothing_of_its_input),
      cmocka_unit_test(what_is_set_can_be_walked_and_what_is_required_is_asked_for),
      cmocka_unit_test(every_failing_allocation_is_told_and_leaks_nothing),
  };
  return cmocka_run_group_tests_name("schema", tests, read_set, free_set);
}
