/* Editions 2023 and 2024 end to end, through the committed code that the plugin wrote for them: features decide what the
 * wire looks like and what counts as present. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "editions/editions.zcrpc.h"
#include "editions/newest.zcrpc.h"

static zcrpc_arena *arena;

/* What e has written must be these bytes; they are the ones to go on with. */
static void written(zcrpc_encoder *e, const char *want, size_t len) {
  zcrpc_error *err = NULL;
  zcrpc_slice s;
  zcrpc_buffer *b = zcrpc_encoder_finish(e, &err);
  if (!b) print_message("finish: %s\n", zcrpc_error_message(err));
  assert_non_null(b);
  zcrpc_buffer_slice(b, &s);
  assert_int_equal(s.len, len);
  assert_memory_equal(s.data, want, len);
  zcrpc_buffer_release(b);
  zcrpc_encoder_free(e);
}
#define BYTES(s) s, sizeof s - 1

static const editions_Message *decode(const char *data, size_t len) {
  zcrpc_error *err = NULL;
  const editions_Message *m = editions_Message_decode(data, len, arena, &err);
  if (!m) print_message("decode: %s\n", zcrpc_error_message(err));
  zcrpc_error_free(err);
  assert_non_null(m);
  return m;
}

static void delimited_messages_are_groups_on_the_wire(void **state) {
  static const char wire[] = "\033\010\007\023\010\010\024\034" /* 3: { x: 7 inner: { x: 8 } } */
                             "\113\010\001\114\113\114"         /* 9: { x: 1 } 9: {} */
                             "\153\010\002\154";                /* 13: { x: 2 } */
  zcrpc_encoder *e = editions_Message_encoder(NULL);
  editions_Message_writer *w = editions_Message_write(e);
  editions_Message_Inner_writer *inner = editions_Message_begin_delimited(w), *deep;
  const editions_Message *m;
  (void)state;
  editions_Message_Inner_put_x(inner, 7);
  deep = editions_Message_Inner_begin_inner(inner);
  editions_Message_Inner_put_x(deep, 8);
  editions_Message_Inner_end(deep);
  editions_Message_Inner_end(inner);
  inner = editions_Message_begin_delimiteds(w);
  editions_Message_Inner_put_x(inner, 1);
  editions_Message_Inner_end(inner);
  editions_Message_put_delimiteds(w, NULL);
  inner = editions_Message_begin_inner(w);
  editions_Message_Inner_put_x(inner, 2);
  editions_Message_Inner_end(inner);
  written(e, BYTES(wire));
  m = decode(BYTES(wire));
  assert_int_equal(editions_Message_Inner_x(editions_Message_delimited(m)), 7);
  assert_int_equal(editions_Message_Inner_x(editions_Message_Inner_inner(editions_Message_delimited(m))), 8);
  assert_int_equal(editions_Message_delimiteds_count(m), 2);
  assert_int_equal(editions_Message_Inner_x(editions_Message_delimiteds(m, 0)), 1);
  assert_int_equal(editions_Message_which_pick(m), editions_Message_INNER);
  assert_int_equal(editions_Message_Inner_x(editions_Message_inner(m)), 2);
  /* Passed on as it came. */
  e = editions_Message_encoder(NULL);
  editions_Message_copy(editions_Message_write(e), m);
  written(e, BYTES(wire));
}

static void presence_follows_the_feature(void **state) {
  static const char zeros[] = "\010\000\020\000";
  const editions_Message *m = decode(BYTES(zeros));
  (void)state;
  assert_true(editions_Message_has_explicit(m));
  assert_false(zcrpc_view_has(editions_Message_view(m), editions_Message_IMPLICIT));
  m = decode("", 0);
  assert_false(editions_Message_has_explicit(m));
  assert_false(editions_Message_has_verified(m));
  assert_int_equal(editions_Message_verified(m).len, 7);
  assert_memory_equal(editions_Message_verified(m).data, "edition", 7);
  assert_int_equal(editions_Message_closed(m), editions_Closed_ONE);
  assert_int_equal(editions_Message_open(m), editions_Open_NOTHING);
}

static void repeated_numbers_are_written_as_the_feature_says(void **state) {
  static const int32_t two[] = {1, 2};
  static const char wire[] = "\040\001\040\002\052\002\001\002";
  zcrpc_encoder *e = editions_Message_encoder(NULL);
  (void)state;
  editions_Message_put_expanded_array(editions_Message_write(e), two, 2);
  editions_Message_put_packed_array(editions_Message_write(e), two, 2);
  written(e, BYTES(wire));
  assert_int_equal(editions_Message_expanded_count(decode(BYTES("\042\002\001\002"))), 2); /* both are read */
  assert_int_equal(editions_Message_packed_count(decode(BYTES("\050\001\050\002"))), 2);
}

static void utf8_is_checked_where_the_feature_asks(void **state) {
  zcrpc_error *err = NULL;
  (void)state;
  assert_int_equal(editions_Message_unchecked(decode(BYTES("\062\001\377"))).len, 1);
  assert_null(editions_Message_decode(BYTES("\102\001\377"), arena, &err));
  assert_string_equal(zcrpc_error_path(err), "verified");
  zcrpc_error_free(err);
}

static void strangers_of_closed_enums_are_unknown_fields(void **state) {
  static const char wire[] = "\070\011\130\011\142\003\001\011\002"; /* closed: 9, open: 9, closeds: 1, 9, 2 */
  const editions_Message *m = decode(BYTES(wire));
  zcrpc_slice s;
  uint32_t field;
  (void)state;
  assert_false(editions_Message_has_closed(m));
  assert_int_equal(editions_Message_closed(m), editions_Closed_ONE);
  assert_int_equal(editions_Message_open(m), 9);
  assert_null(editions_Open_name(9));
  assert_int_equal(editions_Message_closeds_count(m), 2);
  assert_int_equal(editions_Message_closeds(m, 1), editions_Closed_TWO);
  assert_true(zcrpc_view_unknown(editions_Message_view(m), 0, &field, &s));
  assert_true(zcrpc_view_unknown(editions_Message_view(m), 1, &field, &s));
}

static void extensions_take_the_features_of_their_own_file(void **state) {
  static const char wire[] = "\243\006\010\005\244\006\250\006\001\250\006\002"; /* [100]: { x: 5 } delimited, [101]: 1, 2 expanded */
  zcrpc_encoder *e = editions_Message_encoder(NULL);
  editions_Message_writer *w = editions_Message_write(e);
  editions_Message_Inner_writer *inner = editions_inner_extension_begin(w);
  const editions_Message *m;
  (void)state;
  editions_Message_Inner_put_x(inner, 5);
  editions_Message_Inner_end(inner);
  editions_numbers_put(w, 1);
  editions_numbers_put(w, 2);
  written(e, BYTES(wire));
  m = decode(BYTES(wire));
  assert_int_equal(editions_Message_Inner_x(editions_inner_extension_get(m)), 5);
  assert_int_equal(editions_numbers_count(m), 2);
}

static void edition_2024_comes_back(void **state) {
  static const char wire[] = "\010\005\022\002\001\002\032\010\012\001k\022\003\012\001v";
  zcrpc_encoder *e = editions_newest_Message_encoder(NULL);
  editions_newest_Message_writer *w = editions_newest_Message_write(e);
  editions_newest_Message_Inner_writer *inner;
  const editions_newest_Message *m;
  static const int32_t two[] = {1, 2};
  (void)state;
  editions_newest_Message_put_number(w, 5);
  editions_newest_Message_put_numbers_array(w, two, 2);
  inner = editions_newest_Message_begin_inners(w, "k", 1);
  editions_newest_Message_Inner_put_text(inner, "v", 1);
  editions_newest_Message_end_inners(inner);
  written(e, BYTES(wire));
  m = editions_newest_Message_decode(BYTES(wire), arena, NULL);
  assert_true(editions_newest_Message_has_number(m));
  assert_int_equal(editions_newest_Message_inners_count(m), 1);
  assert_int_equal(editions_newest_Message_Inner_text(editions_newest_Message_inners_value_at(m, 0)).len, 1);
}

static int setup(void **state) {
  (void)state;
  return (arena = zcrpc_arena_new(NULL)) ? 0 : -1;
}
static int teardown(void **state) {
  (void)state;
  zcrpc_arena_free(arena);
  zcrpc_file_unload(&editions_editions_file);
  zcrpc_file_unload(&editions_newest_editions_newest_file);
  return 0;
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(delimited_messages_are_groups_on_the_wire),
      cmocka_unit_test(presence_follows_the_feature),
      cmocka_unit_test(repeated_numbers_are_written_as_the_feature_says),
      cmocka_unit_test(utf8_is_checked_where_the_feature_asks),
      cmocka_unit_test(strangers_of_closed_enums_are_unknown_fields),
      cmocka_unit_test(extensions_take_the_features_of_their_own_file),
      cmocka_unit_test(edition_2024_comes_back),
  };
  return cmocka_run_group_tests(tests, setup, teardown);
}
