/* Section 4: what a schema declares, its options among them, through the shared library. */
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
static zcrpc_arena *arena;

static int open_all(void **state) {
  static char bytes[1 << 16];
  FILE *f = fopen(OPTIONS_SET, "rb");
  (void)state;
  if (!f) return -1;
  size_t n = fread(bytes, 1, sizeof bytes, f);
  fclose(f);
  schema = zcrpc_schema_new(bytes, n, NULL);
  arena = zcrpc_arena_new(NULL);
  return schema && arena ? 0 : -1;
}

static int close_all(void **state) {
  (void)state;
  zcrpc_schema_release(schema);
  zcrpc_arena_free(arena);
  return 0;
}

static zcrpc_decl_info info_of(const zcrpc_decl *d) {
  zcrpc_decl_info info;
  memset(&info, 0, sizeof info);
  info.struct_size = sizeof info;
  zcrpc_decl_get_info(d, &info);
  return info;
}

static const zcrpc_view *options(const char *name) {
  zcrpc_error *e = NULL;
  const zcrpc_view *v = zcrpc_decl_options(zcrpc_schema_decl(schema, name), NULL, arena, &e);
  assert_null(e);
  return v;
}

static void expect_text(const zcrpc_view *v, uint32_t field, const char *text) {
  zcrpc_slice s;
  zcrpc_view_string(v, field, &s);
  assert_int_equal(s.len, strlen(text));
  assert_memory_equal(s.data, text, s.len);
}

static void custom_options_are_fields_of_a_view(void **state) {
  (void)state;
  expect_text(options("options.proto"), 50001, "platform");
  const zcrpc_view *table = zcrpc_view_message(options("opts.Order"), 50002);
  expect_text(table, 1, "orders");
  expect_text(zcrpc_view_message_at(table, 2, 0), 1, "lines");
  const zcrpc_view *price = options("opts.Order.price");
  int64_t weights[3] = {0, 0, 0};
  assert_int_equal(zcrpc_view_int64s(price, 50003, 0, weights, 3), 2);
  assert_true(weights[0] == 3 && weights[1] == 4);
  assert_true(zcrpc_view_has(price, 50004) && zcrpc_view_int32(price, 50004) == 0);
  const zcrpc_view *note = options("opts.Order.note");
  assert_true(!zcrpc_view_has(note, 50004) && zcrpc_view_int32(note, 50004) == 1 && zcrpc_view_int32(note, 3) == 1);
  assert_int_equal(zcrpc_view_int32(options("opts.Order.way"), 50005), 1);
  assert_int_equal(zcrpc_view_int64(options("opts.Level"), 50006), -7);
  expect_text(options("opts.HIGH"), 50007, "top");
  expect_text(options("opts.Shop"), 50008, "\001\377");
  assert_true(zcrpc_view_double(options("opts.Shop/Take"), 50009) == 1.5);
  assert_null(options("opts.Shop/List"));
  assert_null(options("opts.Order.Inner"));
  const zcrpc_decl *range = NULL;
  for (const zcrpc_decl *d = zcrpc_decl_first(zcrpc_schema_decl(schema, "opts.Order")); d && !range; d = zcrpc_decl_next(d))
    if (info_of(d).kind == ZCRPC_DECL_RANGE) range = d;
  zcrpc_decl_info info = info_of(range);
  assert_true(info.number == 30 && info.last == 40 && info.type == zcrpc_schema_type(schema, "opts.Order"));
  expect_text(zcrpc_decl_options(range, NULL, arena, NULL), 50010, "us");
}

static void options_can_be_read_with_the_types_of_another_schema(void **state) {
  static const char broken[] = "\x0A\x1E\x0A\x07" "a.proto" "\x22\x13\x0A\x01M\x12\x0E\x0A\x01x\x18\x01 \x01(\x05" "\x42\x03\x18\x01\x08";
  static const char plain[] = "\x0A\x1D\x0A\x07" "a.proto" "\x22\x12\x0A\x01M\x12\x0D\x0A\x01x\x18\x01 \x01(\x05" "\x42\x02\x18\x01";
  zcrpc_error *e = NULL;
  (void)state;
  zcrpc_schema *s = zcrpc_schema_new(plain, sizeof plain - 1, NULL);
  assert_non_null(s);
  const zcrpc_decl *x = zcrpc_schema_decl(s, "M.x");
  assert_int_equal(info_of(x).flags, ZCRPC_DECL_DEPRECATED);
  assert_null(zcrpc_decl_options(x, NULL, arena, &e));
  assert_int_equal(zcrpc_error_code(e), ZCRPC_FAILED_PRECONDITION);
  assert_string_equal(zcrpc_error_message(e), "the schema has no google.protobuf.FieldOptions: zcrpc_schema_descriptors has");
  zcrpc_error_free(e);
  zcrpc_schema *d = zcrpc_schema_descriptors(NULL);
  assert_int_equal(zcrpc_view_int32(zcrpc_decl_options(x, d, arena, NULL), 3), 1);
  /* The bytes of a declaration are a message of its descriptor_type. */
  zcrpc_decl_info info = info_of(zcrpc_schema_decl(s, "M"));
  const zcrpc_view *m = zcrpc_view_decode(zcrpc_schema_type(d, info.descriptor_type), info.bytes.data, info.bytes.len, NULL, arena, NULL);
  expect_text(m, 1, "M");
  expect_text(zcrpc_view_message_at(m, 2, 0), 1, "x");
  zcrpc_schema_release(d);
  zcrpc_schema_release(s);
  /* Options whose bytes are broken are refused with the schema. */
  assert_null(zcrpc_schema_new(broken, sizeof broken - 1, NULL));
  assert_null(zcrpc_decl_options(NULL, NULL, arena, NULL));
  assert_null(zcrpc_decl_options(zcrpc_schema_decl(schema, "opts.Order"), NULL, NULL, NULL));
}

static void a_tree_is_walked_in_the_order_of_the_source(void **state) {
  static const char *const names[] = {"opts.Order.price", "opts.Order.note", "opts.Order.post", "opts.Order.inner", "opts.Order.counts", "opts.Order.way",
                                      "opts.Order.Inner", "opts.Order.CountsEntry", "", "", "opts.Order.inside"};
  static const int32_t kinds[] = {3, 3, 3, 3, 3, 5, 2, 2, 10, 10, 4};
  const zcrpc_decl *order = zcrpc_schema_decl(schema, "opts.Order"), *d = zcrpc_decl_first(order);
  size_t i = 0;
  (void)state;
  for (; d; d = zcrpc_decl_next(d), i++) {
    assert_string_equal(info_of(d).name, names[i]);
    assert_int_equal(info_of(d).kind, kinds[i]);
    assert_ptr_equal(zcrpc_decl_parent(d), order);
  }
  assert_int_equal(i, 11);
  const zcrpc_type *t = zcrpc_schema_type(schema, "opts.Order");
  assert_ptr_equal(zcrpc_type_decl(t, 0), order);
  assert_string_equal(info_of(zcrpc_type_decl(t, 6)).name, "opts.Order.counts");
  zcrpc_decl_info outside = info_of(zcrpc_type_decl(t, 30));
  assert_true(outside.kind == ZCRPC_DECL_EXTENSION && outside.number == 30 && outside.type == t);
  assert_null(zcrpc_type_decl(t, 7));
  const zcrpc_enum *level = zcrpc_schema_enum(schema, "opts.Level");
  assert_ptr_equal(info_of(zcrpc_enum_decl(level)).enumeration, level);
  zcrpc_decl_info high = info_of(zcrpc_schema_decl(schema, "opts.HIGH"));
  assert_true(high.number == 1 && high.enumeration == level && high.flags == ZCRPC_DECL_DEPRECATED);
  const zcrpc_method *take = zcrpc_schema_method(schema, "opts.Shop/Take");
  assert_ptr_equal(info_of(zcrpc_method_decl(take)).method, take);
  assert_string_equal(info_of(zcrpc_decl_parent(zcrpc_method_decl(take))).name, "opts.Shop");
  zcrpc_method *bare = zcrpc_method_new("/a/b", 0, NULL);
  assert_null(zcrpc_method_decl(bare));
  zcrpc_method_free(bare);
  assert_string_equal(info_of(zcrpc_schema_file_at(schema, 0)).name, "google/protobuf/descriptor.proto");
  assert_string_equal(info_of(zcrpc_schema_file_at(schema, 1)).name, "options.proto");
  assert_ptr_equal(zcrpc_decl_next(zcrpc_schema_file_at(schema, 0)), zcrpc_schema_file_at(schema, 1));
  assert_null(zcrpc_schema_file_at(schema, 2));
  assert_null(zcrpc_schema_file_at(NULL, 0));
  assert_true(!zcrpc_decl_first(NULL) && !zcrpc_decl_next(NULL) && !zcrpc_decl_parent(NULL) && !zcrpc_schema_decl(NULL, "x") &&
              !zcrpc_schema_decl(schema, NULL) && !zcrpc_type_decl(NULL, 0) && !zcrpc_enum_decl(NULL) && !zcrpc_method_decl(NULL));
  assert_string_equal(info_of(NULL).name, "");
}

static void extensions_of_a_type_are_listed(void **state) {
  const zcrpc_type *t = zcrpc_schema_type(schema, "opts.Order");
  zcrpc_field_info f;
  (void)state;
  memset(&f, 0, sizeof f);
  f.struct_size = sizeof f;
  assert_int_equal(zcrpc_type_extension_at(t, 0, &f), 1);
  assert_true(f.number == 30 && f.flags == (ZCRPC_FIELD_REPEATED | ZCRPC_FIELD_EXTENSION) && f.message == t);
  assert_int_equal(zcrpc_type_extension_at(t, 1, &f), 1);
  assert_string_equal(f.name, "inside");
  assert_int_equal(zcrpc_type_extension_at(t, 2, &f), 0);
  assert_int_equal(zcrpc_type_extension_at(NULL, 0, &f), 0);
}

static void reserved_numbers_and_comments_are_told(void **state) {
  const zcrpc_decl *order = zcrpc_schema_decl(schema, "opts.Order");
  int32_t first = 0, last = 0;
  zcrpc_slice s;
  (void)state;
  assert_int_equal(zcrpc_decl_reserved(order, 1, &first, &last, &s), 1);
  assert_true(first == 10 && last == 20 && s.len == 0);
  assert_int_equal(zcrpc_decl_reserved(order, 2, NULL, &last, NULL), 1);
  assert_int_equal(last, 536870911);
  assert_int_equal(zcrpc_decl_reserved(order, 4, NULL, NULL, &s), 1);
  assert_true(s.len == 5 && !memcmp(s.data, "older", 5));
  assert_int_equal(zcrpc_decl_reserved(order, 5, NULL, NULL, &s), 0);
  assert_int_equal(zcrpc_decl_reserved(zcrpc_schema_decl(schema, "opts.Shop"), 0, NULL, NULL, NULL), 0);
  assert_int_equal(zcrpc_decl_reserved(NULL, 0, NULL, NULL, NULL), 0);
  assert_int_equal(zcrpc_decl_reserved(zcrpc_schema_decl(schema, "opts.Level"), 1, &first, &last, NULL), 1);
  assert_true(first == -5 && last == -3);
  assert_int_equal(zcrpc_decl_comment(order, 0, &s), 1);
  assert_true(s.len == 28 && !memcmp(s.data, " The order\n  of a customer.\n", 28));
  assert_int_equal(zcrpc_decl_comment(order, 1, &s), 0);
  assert_int_equal(zcrpc_decl_comment(order, 3, &s), 1);
  assert_true(s.len == 18 && !memcmp(s.data, " Second detached.\n", 18));
  assert_int_equal(zcrpc_decl_comment(zcrpc_schema_decl(schema, "opts.Order.price"), 1, &s), 1);
  assert_true(s.len == 11 && !memcmp(s.data, " In cents.\n", 11));
  assert_int_equal(zcrpc_decl_comment(zcrpc_schema_decl(schema, "opts.Order.Inner.deep"), 0, NULL), 1);
  assert_int_equal(zcrpc_decl_comment(NULL, 0, &s), 0);
}

static void every_failing_allocation_is_told_and_leaks_nothing(void **state) {
  const zcrpc_decl *order = zcrpc_schema_decl(schema, "opts.Order");
  (void)state;
  for (long n = 1;; n++) {
    long before = fail_malloc_live();
    zcrpc_error *e = NULL;
    zcrpc_arena *a = zcrpc_arena_new(NULL);
    fail_malloc_at(n);
    zcrpc_schema *d = zcrpc_schema_descriptors(&e);
    const zcrpc_view *v = d ? zcrpc_decl_options(order, NULL, a, &e) : NULL;
    int failed = fail_malloc_stop();
    if (!v) assert_int_equal(zcrpc_error_code(e), ZCRPC_RESOURCE_EXHAUSTED);
    zcrpc_error_free(e);
    zcrpc_schema_release(d);
    zcrpc_arena_free(a);
    assert_int_equal(fail_malloc_live(), before);
    if (!failed) break;
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(custom_options_are_fields_of_a_view),
      cmocka_unit_test(options_can_be_read_with_the_types_of_another_schema),
      cmocka_unit_test(a_tree_is_walked_in_the_order_of_the_source),
      cmocka_unit_test(extensions_of_a_type_are_listed),
      cmocka_unit_test(reserved_numbers_and_comments_are_told),
      cmocka_unit_test(every_failing_allocation_is_told_and_leaks_nothing),
  };
  return cmocka_run_group_tests_name("declarations", tests, open_all, close_all);
}
