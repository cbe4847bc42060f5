/* Every kind of field, written with generated writers and read back with generated getters; and what must go wrong. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "kinds/v1/kinds.zcrpc.h"
#include "kinds/v1/proto2.zcrpc.h"
#include "google/protobuf/timestamp.zcrpc.h"
#include "names/hostile.zcrpc.h"

static zcrpc_arena *arena;

static zcrpc_buffer *finish(zcrpc_encoder *e) {
  zcrpc_error *err = NULL;
  zcrpc_buffer *b = zcrpc_encoder_finish(e, &err);
  if (!b) print_message("finish: %s (%s)\n", zcrpc_error_message(err), zcrpc_error_path(err));
  zcrpc_error_free(err);
  zcrpc_encoder_free(e);
  assert_non_null(b);
  return b;
}

static void assert_text(zcrpc_slice s, const char *want) {
  assert_int_equal(s.len, strlen(want));
  assert_memory_equal(s.data, want, s.len);
}
#define TEXT(s) s, strlen(s)

/* Decodes what e has written. The buffer is held by the arena. */
#define DECODE(type, e) decode_##type(e)
#define DECODER(type)                                                          \
  static const type *decode_##type(zcrpc_encoder *e) {                         \
    zcrpc_error *err = NULL;                                                   \
    zcrpc_buffer *b = finish(e);                                               \
    const type *m = type##_decode_buffer(b, arena, &err);                      \
    if (!m) print_message("decode: %s\n", zcrpc_error_message(err));           \
    zcrpc_error_free(err);                                                     \
    zcrpc_buffer_release(b);                                                   \
    assert_non_null(m);                                                        \
    return m;                                                                  \
  }
DECODER(kinds_v1_All)
DECODER(kinds_v1_Optional)
DECODER(kinds_v1_Repeated)
DECODER(kinds_v1_Maps)
DECODER(kinds_v1_Oneof)
DECODER(kinds_v1_Wide)
DECODER(kinds_two_Two)

static void scalars_come_back(void **state) {
  zcrpc_encoder *e = kinds_v1_All_encoder(NULL);
  kinds_v1_All_writer *w = kinds_v1_All_write(e);
  kinds_v1_Leaf_writer *leaf;
  kinds_v1_All_writer *self;
  google_protobuf_Timestamp_writer *when;
  const kinds_v1_All *m;
  (void)state;
  kinds_v1_All_put_f_double(w, -1.5e300);
  kinds_v1_All_put_f_float(w, 0.1f);
  kinds_v1_All_put_f_int64(w, INT64_MIN);
  kinds_v1_All_put_f_uint64(w, UINT64_MAX);
  kinds_v1_All_put_f_int32(w, -1);
  kinds_v1_All_put_f_fixed64(w, 0x0123456789ABCDEFu);
  kinds_v1_All_put_f_fixed32(w, 0xFEDCBA98u);
  kinds_v1_All_put_f_bool(w, 7);
  kinds_v1_All_put_f_string(w, "gr\xC3\xBC\xC3\x9F", ZCRPC_NTS);
  kinds_v1_All_put_f_bytes(w, "\0\xFF\x80", 3);
  kinds_v1_All_put_f_uint32(w, 3000000000u);
  kinds_v1_All_put_f_enum(w, kinds_v1_All_Color_COLOR_NEGATIVE);
  kinds_v1_All_put_f_sfixed32(w, INT32_MIN);
  kinds_v1_All_put_f_sfixed64(w, INT64_MIN + 1);
  kinds_v1_All_put_f_sint32(w, INT32_MIN);
  kinds_v1_All_put_f_sint64(w, INT64_MIN);
  leaf = kinds_v1_All_begin_f_message(w);
  kinds_v1_Leaf_put_name(leaf, TEXT("leaf"));
  kinds_v1_Leaf_put_value(leaf, 5);
  kinds_v1_Leaf_end(leaf);
  when = kinds_v1_All_begin_when(w);
  google_protobuf_Timestamp_put_seconds(when, 1700000000);
  google_protobuf_Timestamp_end(when);
  self = kinds_v1_All_begin_self(w);
  kinds_v1_All_put_f_int32(self, 300);
  kinds_v1_All_end(self);
  m = DECODE(kinds_v1_All, e);
  assert_true(kinds_v1_All_f_double(m) == -1.5e300);
  assert_true(kinds_v1_All_f_float(m) == 0.1f);
  assert_true(kinds_v1_All_f_int64(m) == INT64_MIN);
  assert_true(kinds_v1_All_f_uint64(m) == UINT64_MAX);
  assert_int_equal(kinds_v1_All_f_int32(m), -1);
  assert_true(kinds_v1_All_f_fixed64(m) == 0x0123456789ABCDEFu);
  assert_true(kinds_v1_All_f_fixed32(m) == 0xFEDCBA98u);
  assert_int_equal(kinds_v1_All_f_bool(m), 1);
  assert_text(kinds_v1_All_f_string(m), "gr\xC3\xBC\xC3\x9F");
  assert_int_equal(kinds_v1_All_f_bytes(m).len, 3);
  assert_memory_equal(kinds_v1_All_f_bytes(m).data, "\0\xFF\x80", 3);
  assert_true(kinds_v1_All_f_uint32(m) == 3000000000u);
  assert_true(kinds_v1_All_f_enum(m) == INT32_MIN);
  assert_true(kinds_v1_All_f_sfixed32(m) == INT32_MIN);
  assert_true(kinds_v1_All_f_sfixed64(m) == INT64_MIN + 1);
  assert_true(kinds_v1_All_f_sint32(m) == INT32_MIN);
  assert_true(kinds_v1_All_f_sint64(m) == INT64_MIN);
  assert_text(kinds_v1_Leaf_name(kinds_v1_All_f_message(m)), "leaf");
  assert_int_equal(kinds_v1_Leaf_value(kinds_v1_All_f_message(m)), 5);
  assert_true(google_protobuf_Timestamp_seconds(kinds_v1_All_when(m)) == 1700000000);
  assert_int_equal(kinds_v1_All_has_thing(m), 0);
  assert_int_equal(kinds_v1_All_has_self(m), 1);
  assert_int_equal(kinds_v1_All_f_int32(kinds_v1_All_self(m)), 300);
  /* Through what is not there, and through nothing at all. */
  assert_text(kinds_v1_Leaf_name(kinds_v1_All_f_message(kinds_v1_All_self(kinds_v1_All_self(m)))), "");
  assert_int_equal(kinds_v1_All_f_int32(NULL), 0);
  assert_text(kinds_v1_All_f_string(NULL), "");
  assert_non_null(kinds_v1_All_f_string(NULL).data);
  assert_null(kinds_v1_All_f_message(NULL));
  assert_int_equal(kinds_v1_Repeated_f_string_count(NULL), 0);
  assert_text(kinds_v1_Repeated_f_string(NULL, 0), "");
  assert_true(kinds_v1_Repeated_f_fixed64(NULL, 3) == 0);
  assert_null(kinds_v1_Repeated_f_message(NULL, 0));
  assert_text(kinds_v1_Maps_strings_key_at(NULL, 0), "");
  assert_int_equal(kinds_v1_Maps_counts_value_at(NULL, 1), 0);
  assert_null(kinds_v1_Maps_wides_value_at(NULL, 0));
  assert_int_equal(kinds_v1_Optional_has_f_message(NULL), 0);
}

static void presence_tells_zero_from_absent(void **state) {
  zcrpc_encoder *e = kinds_v1_Optional_encoder(NULL);
  kinds_v1_Optional_writer *w = kinds_v1_Optional_write(e);
  const kinds_v1_Optional *m;
  (void)state;
  kinds_v1_Optional_put_f_double(w, 0);
  kinds_v1_Optional_put_f_bool(w, 0);
  kinds_v1_Optional_put_f_string(w, "", 0);
  kinds_v1_Optional_put_f_message(w, NULL);
  m = DECODE(kinds_v1_Optional, e);
  assert_int_equal(kinds_v1_Optional_has_f_double(m), 1);
  assert_int_equal(kinds_v1_Optional_has_f_int64(m), 0);
  assert_int_equal(kinds_v1_Optional_has_f_uint32(m), 0);
  assert_int_equal(kinds_v1_Optional_has_f_bool(m), 1);
  assert_int_equal(kinds_v1_Optional_has_f_string(m), 1);
  assert_int_equal(kinds_v1_Optional_has_f_bytes(m), 0);
  assert_int_equal(kinds_v1_Optional_has_f_enum(m), 0);
  assert_int_equal(kinds_v1_Optional_has_f_message(m), 1);
}

static void repeated_fields_come_back(void **state) {
  static const float floats[] = {1.5f, -2.25f};
  static const int32_t ints[] = {1, -1, 300};
  static const uint8_t bools[] = {0, 1, 9};
  static const int64_t longs[] = {INT64_MIN, 0, 77};
  static const uint64_t fixed[] = {1, UINT64_MAX};
  zcrpc_encoder *e = kinds_v1_Repeated_encoder(NULL);
  kinds_v1_Repeated_writer *w = kinds_v1_Repeated_write(e);
  const kinds_v1_Repeated *m;
  size_t i;
  (void)state;
  kinds_v1_Repeated_put_f_double(w, 2.5);
  kinds_v1_Repeated_put_f_double(w, 3.5);
  kinds_v1_Repeated_put_f_float_array(w, floats, 2);
  kinds_v1_Repeated_put_f_int64_array(w, longs, 3);
  kinds_v1_Repeated_put_f_uint64_array(w, fixed, 2);
  kinds_v1_Repeated_put_f_int32_array(w, ints, 3);
  kinds_v1_Repeated_put_f_int32(w, 4); /* behind a packed run */
  kinds_v1_Repeated_put_f_fixed64_array(w, fixed, 2);
  kinds_v1_Repeated_put_f_fixed32(w, 12);
  kinds_v1_Repeated_put_f_bool_array(w, bools, 3);
  kinds_v1_Repeated_put_f_string(w, TEXT("one"));
  kinds_v1_Repeated_put_f_string(w, TEXT("two"));
  kinds_v1_Repeated_put_f_bytes(w, "\0", 1);
  kinds_v1_Repeated_put_f_enum(w, kinds_v1_All_Color_COLOR_RED);
  kinds_v1_Repeated_put_f_sint32_array(w, ints, 3);
  kinds_v1_Repeated_put_f_sint64_array(w, longs, 3);
  kinds_v1_Repeated_put_f_sfixed32_array(w, ints, 3);
  kinds_v1_Repeated_put_f_sfixed64_array(w, longs, 3);
  kinds_v1_Repeated_put_f_unpacked_array(w, ints, 3);
  for (i = 0; i < 40; i++) {
    kinds_v1_Leaf_writer *leaf = kinds_v1_Repeated_begin_f_message(w);
    kinds_v1_Leaf_put_value(leaf, (int32_t)i);
    kinds_v1_Leaf_end(leaf);
  }
  for (i = 0; i < 3; i++) {
    kinds_v1_Wide_writer *wide = kinds_v1_Repeated_begin_f_wide(w);
    if (i != 1) kinds_v1_Wide_put_z37(wide, (int64_t)i - 1);
    kinds_v1_Wide_end(wide);
  }
  m = DECODE(kinds_v1_Repeated, e);
  assert_int_equal(kinds_v1_Repeated_f_double_count(m), 2);
  assert_true(kinds_v1_Repeated_f_double(m, 1) == 3.5);
  assert_true(kinds_v1_Repeated_f_double(m, 2) == 0);
  assert_true(kinds_v1_Repeated_f_float(m, 1) == -2.25f);
  for (i = 0; i < 3; i++) {
    assert_true(kinds_v1_Repeated_f_int64(m, i) == longs[i]);
    assert_int_equal(kinds_v1_Repeated_f_int32(m, i), ints[i]);
    assert_int_equal(kinds_v1_Repeated_f_sint32(m, i), ints[i]);
    assert_true(kinds_v1_Repeated_f_sint64(m, i) == longs[i]);
    assert_int_equal(kinds_v1_Repeated_f_sfixed32(m, i), ints[i]);
    assert_true(kinds_v1_Repeated_f_sfixed64(m, i) == longs[i]);
    assert_int_equal(kinds_v1_Repeated_f_unpacked(m, i), ints[i]);
    assert_int_equal(kinds_v1_Repeated_f_bool(m, i), bools[i] != 0);
  }
  assert_int_equal(kinds_v1_Repeated_f_int32_count(m), 4);
  assert_int_equal(kinds_v1_Repeated_f_int32(m, 3), 4);
  assert_true(kinds_v1_Repeated_f_uint64(m, 1) == UINT64_MAX);
  assert_true(kinds_v1_Repeated_f_fixed64(m, 1) == UINT64_MAX);
  assert_int_equal(kinds_v1_Repeated_f_fixed32(m, 0), 12);
  assert_text(kinds_v1_Repeated_f_string(m, 1), "two");
  assert_text(kinds_v1_Repeated_f_string(m, 2), "");
  assert_int_equal(kinds_v1_Repeated_f_bytes(m, 0).len, 1);
  assert_int_equal(kinds_v1_Repeated_f_enum(m, 0), 1);
  assert_int_equal(kinds_v1_Repeated_f_uint32_count(m), 0);
  assert_int_equal(kinds_v1_Repeated_f_message_count(m), 40);
  for (i = 0; i < 40; i++) assert_int_equal(kinds_v1_Leaf_value(kinds_v1_Repeated_f_message(m, i)), (int32_t)i);
  assert_null(kinds_v1_Repeated_f_message(m, 40));
  assert_int_equal(kinds_v1_Repeated_f_wide_count(m), 3);
  for (i = 0; i < 3; i++) assert_int_equal(kinds_v1_Wide_z37(kinds_v1_Repeated_f_wide(m, i)), (int64_t)i - 1);
}

static void maps_come_back_and_find(void **state) {
  zcrpc_encoder *e = kinds_v1_Maps_encoder(NULL);
  kinds_v1_Maps_writer *w = kinds_v1_Maps_write(e);
  kinds_v1_Leaf_writer *leaf;
  kinds_v1_Wide_writer *wide;
  const kinds_v1_Maps *m;
  (void)state;
  kinds_v1_Maps_put_strings(w, TEXT("k1"), TEXT("v1"));
  kinds_v1_Maps_put_strings(w, TEXT("k2"), "\xC3\xA9", ZCRPC_NTS);
  kinds_v1_Maps_put_strings(w, "", 0, "", 0);
  kinds_v1_Maps_put_counts(w, TEXT("n"), -7);
  kinds_v1_Maps_put_doubles(w, -3, 0.5);
  kinds_v1_Maps_put_blobs(w, 1, "\xFF", 1);
  leaf = kinds_v1_Maps_begin_leaves(w, UINT64_MAX);
  kinds_v1_Leaf_put_name(leaf, TEXT("big"));
  kinds_v1_Maps_end_leaves(leaf);
  leaf = kinds_v1_Maps_begin_leaves(w, 2);
  kinds_v1_Maps_end_leaves(leaf);
  kinds_v1_Maps_put_colors(w, TEXT("red"), kinds_v1_All_Color_COLOR_RED);
  kinds_v1_Maps_put_floats(w, -1, 2.5f);
  wide = kinds_v1_Maps_begin_wides(w, 9);
  kinds_v1_Wide_put_s9(wide, TEXT("nine"));
  kinds_v1_Maps_end_wides(wide);
  m = DECODE(kinds_v1_Maps, e);
  assert_int_equal(kinds_v1_Maps_strings_count(m), 3);
  assert_text(kinds_v1_Maps_strings_key_at(m, kinds_v1_Maps_strings_find(m, TEXT("k2"))), "k2");
  assert_text(kinds_v1_Maps_strings_value_at(m, kinds_v1_Maps_strings_find(m, TEXT("k2"))), "\xC3\xA9");
  assert_true(kinds_v1_Maps_strings_find(m, TEXT("k3")) == ZCRPC_NONE);
  assert_text(kinds_v1_Maps_strings_value_at(m, ZCRPC_NONE), "");
  assert_int_equal(kinds_v1_Maps_counts_value_at(m, 0), -7);
  assert_int_equal(kinds_v1_Maps_doubles_key_at(m, 0), -3);
  assert_true(kinds_v1_Maps_doubles_value_at(m, kinds_v1_Maps_doubles_find(m, -3)) == 0.5);
  assert_int_equal(kinds_v1_Maps_blobs_key_at(m, 0), 1);
  assert_int_equal(kinds_v1_Maps_blobs_value_at(m, kinds_v1_Maps_blobs_find(m, 1)).len, 1);
  assert_int_equal(kinds_v1_Maps_leaves_count(m), 2);
  assert_text(kinds_v1_Leaf_name(kinds_v1_Maps_leaves_value_at(m, kinds_v1_Maps_leaves_find(m, UINT64_MAX))), "big");
  assert_int_equal(kinds_v1_Maps_colors_value_at(m, 0), kinds_v1_All_Color_COLOR_RED);
  assert_true(kinds_v1_Maps_floats_key_at(m, 0) == -1);
  assert_true(kinds_v1_Maps_floats_value_at(m, 0) == 2.5f);
  assert_text(kinds_v1_Wide_s9(kinds_v1_Maps_wides_value_at(m, 0)), "nine");
}

/* Inline and library write the same, whatever the length is and however much room is left. */
static void strings_of_all_lengths_are_those_of_the_library(void **state) {
  static char text[16500];
  const size_t far[] = {8190, 8191, 8192, 16383, 16384, 16385};
  size_t n, k;
  (void)state;
  for (k = 0; k < 3; k++) { /* ASCII; the last character is none; the first is none */
    zcrpc_encoder *e = kinds_v1_Repeated_encoder(NULL), *plain = kinds_v1_Repeated_encoder(NULL);
    kinds_v1_Repeated_writer *w = kinds_v1_Repeated_write(e);
    zcrpc_buffer *a, *b;
    zcrpc_slice x, y;
    for (n = 0; n < 600 + sizeof far / sizeof *far; n++) {
      const size_t len = n < 600 ? n : far[n - 600];
      memset(text, 'x', sizeof text);
      if (k && len >= 2) memcpy(k == 1 ? text + len - 2 : text, "\xC3\xA9", 2);
      kinds_v1_Repeated_put_f_string(w, text, len);
      kinds_v1_Repeated_put_f_bytes(w, text, len);
      zcrpc_encoder_put_string(plain, 9, text, len);
      zcrpc_encoder_put_string(plain, 12, text, len);
    }
    a = finish(e), b = finish(plain);
    zcrpc_buffer_slice(a, &x), zcrpc_buffer_slice(b, &y);
    assert_int_equal(x.len, y.len);
    assert_memory_equal(x.data, y.data, x.len);
    zcrpc_buffer_release(a), zcrpc_buffer_release(b);
  }
  for (n = 1; n < 300; n++) {
    zcrpc_encoder *e = kinds_v1_Repeated_encoder(NULL);
    zcrpc_error *err = NULL;
    memset(text, 'x', n);
    text[n - 1] = (char)0xC3; /* half a character */
    kinds_v1_Repeated_put_f_string(kinds_v1_Repeated_write(e), text, n);
    assert_null(zcrpc_encoder_finish(e, &err));
    assert_int_equal(zcrpc_error_code(err), ZCRPC_INVALID_ARGUMENT);
    assert_string_equal(zcrpc_error_path(err), "f_string");
    zcrpc_error_free(err);
    zcrpc_encoder_free(e);
  }
}

static void a_oneof_holds_one_member(void **state) {
  zcrpc_encoder *e = kinds_v1_Oneof_encoder(NULL);
  kinds_v1_Oneof_writer *w = kinds_v1_Oneof_write(e);
  const kinds_v1_Oneof *m;
  kinds_v1_Leaf_writer *leaf;
  (void)state;
  kinds_v1_Oneof_put_number(w, 5);
  kinds_v1_Oneof_put_text(w, TEXT("last"));
  m = DECODE(kinds_v1_Oneof, e);
  assert_int_equal(kinds_v1_Oneof_which_choice(m), kinds_v1_Oneof_TEXT);
  assert_text(kinds_v1_Oneof_text(m), "last");
  assert_int_equal(kinds_v1_Oneof_number(m), 0);
  assert_int_equal(kinds_v1_Oneof_has_number(m), 0);
  assert_int_equal(kinds_v1_Oneof_has_text(m), 1);
  assert_null(kinds_v1_Oneof_leaf(m));
  assert_int_equal(kinds_v1_Oneof_flag(m), 0);
  assert_true(kinds_v1_Oneof_real(m) == 0);
  e = kinds_v1_Oneof_encoder(NULL);
  w = kinds_v1_Oneof_write(e);
  kinds_v1_Oneof_put_real(w, 1);
  leaf = kinds_v1_Oneof_begin_leaf(w);
  kinds_v1_Leaf_put_value(leaf, 8);
  kinds_v1_Leaf_end(leaf);
  m = DECODE(kinds_v1_Oneof, e);
  assert_int_equal(kinds_v1_Oneof_which_choice(m), kinds_v1_Oneof_LEAF);
  assert_int_equal(kinds_v1_Leaf_value(kinds_v1_Oneof_leaf(m)), 8);
  assert_text(kinds_v1_Oneof_text(m), "");
  assert_int_equal(kinds_v1_Oneof_which_choice(NULL), 0);
}

static void a_sparse_message_reads_like_any_other(void **state) {
  zcrpc_encoder *e = kinds_v1_Wide_encoder(NULL);
  kinds_v1_Wide_writer *w = kinds_v1_Wide_write(e), *inner;
  kinds_v1_Leaf_writer *leaf;
  const kinds_v1_Wide *m;
  static const int32_t ints[] = {4, 5};
  (void)state;
  kinds_v1_Wide_put_a2(w, -2);
  kinds_v1_Wide_put_s13(w, TEXT("thirteen"));
  kinds_v1_Wide_put_r16_array(w, ints, 2);
  kinds_v1_Wide_put_r17(w, TEXT("x"));
  leaf = kinds_v1_Wide_begin_r18(w);
  kinds_v1_Leaf_put_value(leaf, 18);
  kinds_v1_Leaf_end(leaf);
  kinds_v1_Wide_put_o20(w, 0);
  kinds_v1_Wide_put_c24(w, 24);
  kinds_v1_Wide_put_c25(w, TEXT("c25"));
  kinds_v1_Wide_put_m27(w, TEXT("key"), 27);
  inner = kinds_v1_Wide_begin_w30(w);
  kinds_v1_Wide_put_b33(inner, 1);
  kinds_v1_Wide_end(inner);
  kinds_v1_Wide_put_f32(w, -0.5f);
  kinds_v1_Wide_put_x41(w, INT64_MIN);
  m = DECODE(kinds_v1_Wide, e);
  assert_int_equal(kinds_v1_Wide_a1(m), 0);
  assert_true(kinds_v1_Wide_a2(m) == -2);
  assert_text(kinds_v1_Wide_s13(m), "thirteen");
  assert_text(kinds_v1_Wide_s14(m), "");
  assert_int_equal(kinds_v1_Wide_r16_count(m), 2);
  assert_int_equal(kinds_v1_Wide_r16(m, 1), 5);
  assert_text(kinds_v1_Wide_r17(m, 0), "x");
  assert_int_equal(kinds_v1_Leaf_value(kinds_v1_Wide_r18(m, 0)), 18);
  assert_int_equal(kinds_v1_Wide_r19_count(m), 0);
  assert_int_equal(kinds_v1_Wide_has_o20(m), 1);
  assert_int_equal(kinds_v1_Wide_has_o21(m), 0);
  assert_int_equal(kinds_v1_Wide_has_m23(m), 0);
  assert_int_equal(kinds_v1_Wide_which_choice(m), kinds_v1_Wide_C25);
  assert_int_equal(kinds_v1_Wide_c24(m), 0);
  assert_text(kinds_v1_Wide_c25(m), "c25");
  assert_int_equal(kinds_v1_Wide_m27_value_at(m, kinds_v1_Wide_m27_find(m, TEXT("key"))), 27);
  assert_int_equal(kinds_v1_Wide_b33(kinds_v1_Wide_w30(m, 0)), 1);
  assert_true(kinds_v1_Wide_f32(m) == -0.5f);
  assert_true(kinds_v1_Wide_x41(m) == INT64_MIN);
  assert_int_equal(kinds_v1_Wide_a2(NULL), 0);
}

static void defaults_are_those_of_the_file(void **state) {
  zcrpc_encoder *e = kinds_two_Two_encoder(NULL);
  kinds_two_Two_writer *w = kinds_two_Two_write(e);
  kinds_two_Two_Part_writer *part;
  const kinds_two_Two *m;
  zcrpc_slice s;
  (void)state;
  assert_int_equal(kinds_two_Two_answer(NULL), 42);
  kinds_two_Two_put_id(w, 1);
  part = kinds_two_Two_begin_part(w);
  kinds_two_Two_Part_put_x(part, 3);
  kinds_two_Two_Part_put_y(part, TEXT("why"));
  kinds_two_Two_Part_end(part);
  zcrpc_encoder_put_string(e, kinds_two_note_NUMBER, "an extension", ZCRPC_NTS);
  m = DECODE(kinds_two_Two, e);
  assert_int_equal(kinds_two_Two_answer(m), 42);
  assert_int_equal(kinds_two_Two_has_answer(m), 0);
  assert_text(kinds_two_Two_greeting(m), "hi \"you\"\n?\?/");
  assert_int_equal(kinds_two_Two_raw(m).len, 5);
  assert_memory_equal(kinds_two_Two_raw(m).data, "\0\xFF" "abc", 5);
  assert_true(kinds_two_Two_pi(m) == 3.25);
  assert_true(kinds_two_Two_inf(m) < -3e38f);
  assert_int_equal(kinds_two_Two_on(m), 1);
  assert_true(kinds_two_Two_low(m) == INT64_MIN);
  assert_true(kinds_two_Two_high(m) == UINT64_MAX);
  assert_true(kinds_two_Two_low32(m) == INT32_MIN);
  assert_int_equal(kinds_two_Two_closed(m), kinds_two_Closed_CLOSED_B);
  assert_int_equal(kinds_two_Two_one(m), 7);
  assert_text(kinds_two_Two_two(m), "zwei");
  assert_int_equal(kinds_two_Two_Part_x(kinds_two_Two_part(m)), 3);
  assert_text(kinds_two_Two_Part_y(kinds_two_Two_part(m), 0), "why");
  zcrpc_view_string(kinds_two_Two_view(m), kinds_two_note_NUMBER, &s);
  assert_text(s, "an extension");
  e = kinds_two_Two_encoder(NULL);
  w = kinds_two_Two_write(e);
  kinds_two_Two_put_id(w, 0);
  kinds_two_Two_put_answer(w, 0);
  kinds_two_Two_put_on(w, 0);
  kinds_two_Two_put_greeting(w, "", 0);
  m = DECODE(kinds_two_Two, e);
  assert_int_equal(kinds_two_Two_answer(m), 0);
  assert_int_equal(kinds_two_Two_on(m), 0);
  assert_text(kinds_two_Two_greeting(m), "");
}

static void a_message_copies_whole_and_in_part(void **state) {
  zcrpc_encoder *e = kinds_v1_All_encoder(NULL), *f = kinds_v1_All_encoder(NULL);
  kinds_v1_All_writer *w = kinds_v1_All_write(e), *x = kinds_v1_All_write(f);
  kinds_v1_Leaf_writer *leaf;
  const kinds_v1_All *m;
  (void)state;
  leaf = kinds_v1_All_begin_f_message(w);
  kinds_v1_Leaf_put_name(leaf, TEXT("n"));
  kinds_v1_Leaf_end(leaf);
  kinds_v1_All_put_f_int32(w, 3);
  m = DECODE(kinds_v1_All, e);
  kinds_v1_All_copy(x, m);
  kinds_v1_All_put_f_message(x, kinds_v1_All_f_message(m));
  kinds_v1_All_put_self(x, m);
  m = DECODE(kinds_v1_All, f);
  assert_int_equal(kinds_v1_All_f_int32(m), 3);
  assert_int_equal(kinds_v1_All_f_int32(kinds_v1_All_self(m)), 3);
  assert_text(kinds_v1_Leaf_name(kinds_v1_All_f_message(kinds_v1_All_self(m))), "n");
}

static void a_view_of_another_message_is_refused(void **state) {
  zcrpc_encoder *e = kinds_v1_All_encoder(NULL);
  const kinds_v1_All *m;
  zcrpc_error *err = NULL;
  (void)state;
  m = DECODE(kinds_v1_All, e);
  assert_ptr_equal(kinds_v1_All_checked(kinds_v1_All_view(m), &err), m);
  assert_null(err);
  assert_null(kinds_v1_Leaf_checked(kinds_v1_All_view(m), &err));
  assert_int_equal(zcrpc_error_code(err), ZCRPC_INVALID_ARGUMENT);
  assert_string_equal(zcrpc_error_message(err), "a view of kinds.v1.All, not of kinds.v1.Leaf");
  zcrpc_error_free(err);
  err = NULL;
  assert_null(kinds_v1_Leaf_checked(NULL, &err));
  assert_null(err);
}

static void mistakes_in_writers_stick_with_their_path(void **state) {
  zcrpc_encoder *e = kinds_v1_Repeated_encoder(NULL);
  kinds_v1_Repeated_writer *w = kinds_v1_Repeated_write(e);
  zcrpc_error *err = NULL;
  int i;
  (void)state;
  for (i = 0; i < 3; i++) {
    kinds_v1_Leaf_writer *leaf = kinds_v1_Repeated_begin_f_message(w);
    kinds_v1_Leaf_put_name(leaf, i == 2 ? "\xFF" : "ok", ZCRPC_NTS);
    kinds_v1_Leaf_end(leaf);
  }
  kinds_v1_Repeated_put_f_string(w, TEXT("later"));
  assert_null(zcrpc_encoder_finish(e, &err));
  assert_int_equal(zcrpc_error_code(err), ZCRPC_INVALID_ARGUMENT);
  assert_string_equal(zcrpc_error_path(err), "f_message[2].name");
  assert_string_equal(zcrpc_error_message(err), "invalid UTF-8");
  zcrpc_error_free(err);
  zcrpc_encoder_free(e);
}

static void a_file_of_another_generator_is_refused(void **state) {
  zcrpc_file f = kinds_v1_kinds_file;
  uint64_t prints[32];
  zcrpc_error *err = NULL;
  (void)state;
  f.loaded = NULL;
  f.codegen = 99;
  assert_null(zcrpc_file_schema(&f, &err));
  assert_int_equal(zcrpc_error_code(err), ZCRPC_FAILED_PRECONDITION);
  zcrpc_error_free(err);
  err = NULL;
  f = kinds_v1_kinds_file;
  f.loaded = NULL;
  assert_true(f.message_count <= 32);
  memcpy(prints, f.fingerprints, f.message_count * sizeof *prints);
  prints[1] ^= 1;
  f.fingerprints = prints;
  assert_null(zcrpc_file_type(&f, 0, &err));
  assert_int_equal(zcrpc_error_code(err), ZCRPC_FAILED_PRECONDITION);
  assert_string_equal(zcrpc_error_message(err), "kinds/v1/kinds.proto: message kinds.v1.Leaf is not what it was when the code was generated");
  assert_null(f.loaded);
  zcrpc_error_free(err);
  err = NULL;
  assert_null(zcrpc_file_type(&kinds_v1_kinds_file, 1000, &err));
  assert_int_equal(zcrpc_error_code(err), ZCRPC_INVALID_ARGUMENT);
  zcrpc_error_free(err);
}

static void hostile_names_work(void **state) {
  zcrpc_error *err = NULL;
  zcrpc_encoder *e = Foo_encoder(NULL);
  Foo_writer *w = Foo_write(e);
  zcrpc_buffer *b;
  const Foo *m;
  (void)state;
  Foo_put_bar__(w, 1);
  Foo_put_has_bar(w, 2);
  Foo_put_end_(w, 3);
  Foo_put_FOO_value(w, 4);
  Foo_put_new(w, TEXT("new"));
  b = finish(e);
  m = Foo_decode_buffer(b, arena, &err);
  assert_non_null(m);
  assert_int_equal(Foo_bar__(m), 1);
  assert_int_equal(Foo_end_(m), 3);
  assert_text(Foo_new(m), "new");
  zcrpc_buffer_release(b);
  assert_non_null(zcrpc_file_schema(&names_hostile_file, &err));
}

static int set_up(void **state) {
  (void)state;
  arena = zcrpc_arena_new(NULL);
  return arena ? 0 : -1;
}
static int tear_down(void **state) {
  (void)state;
  zcrpc_arena_free(arena);
  zcrpc_file_unload(&kinds_v1_kinds_file);
  zcrpc_file_unload(&kinds_two_kinds_v1_proto2_file);
  zcrpc_file_unload(&names_hostile_file);
  return 0;
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(scalars_come_back),
      cmocka_unit_test(presence_tells_zero_from_absent),
      cmocka_unit_test(repeated_fields_come_back),
      cmocka_unit_test(maps_come_back_and_find),
      cmocka_unit_test(strings_of_all_lengths_are_those_of_the_library),
      cmocka_unit_test(a_oneof_holds_one_member),
      cmocka_unit_test(a_sparse_message_reads_like_any_other),
      cmocka_unit_test(defaults_are_those_of_the_file),
      cmocka_unit_test(a_message_copies_whole_and_in_part),
      cmocka_unit_test(a_view_of_another_message_is_refused),
      cmocka_unit_test(mistakes_in_writers_stick_with_their_path),
      cmocka_unit_test(a_file_of_another_generator_is_refused),
      cmocka_unit_test(hostile_names_work),
  };
  return cmocka_run_group_tests(tests, set_up, tear_down);
}
