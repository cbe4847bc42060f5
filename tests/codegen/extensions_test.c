/* Extensions through their generated accessors: every kind, nested scopes, message sets, sparse messages, options. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "ext/base.zcrpc.h"
#include "ext/more.zcrpc.h"
#include "google/protobuf/descriptor.zcrpc.h"

static zcrpc_arena *arena;

static void assert_text(zcrpc_slice s, const char *want) {
  assert_int_equal(s.len, strlen(want));
  assert_memory_equal(s.data, want, s.len);
}
#define TEXT(s) s, strlen(s)

static zcrpc_buffer *finish(zcrpc_encoder *e) {
  zcrpc_error *err = NULL;
  zcrpc_buffer *b = zcrpc_encoder_finish(e, &err);
  if (!b) print_message("finish: %s (%s)\n", zcrpc_error_message(err), zcrpc_error_path(err));
  zcrpc_error_free(err);
  zcrpc_encoder_free(e);
  assert_non_null(b);
  return b;
}

/* The bytes, borrowed from a buffer that the arena holds. */
static zcrpc_slice bytes_of(zcrpc_encoder *e) {
  zcrpc_slice s;
  zcrpc_buffer *b = finish(e);
  assert_non_null(zcrpc_view_decode_buffer(ext_base_Base_type_in(NULL, NULL), b, NULL, arena, NULL)); /* any type will do */
  zcrpc_buffer_slice(b, &s);
  zcrpc_buffer_release(b);
  return s;
}

static const ext_base_Base *decode(zcrpc_slice s) {
  zcrpc_error *err = NULL;
  const ext_base_Base *m = ext_base_Base_decode_in(&ext_more_ext_more_file, s.data, s.len, arena, &err);
  if (!m) print_message("decode: %s\n", zcrpc_error_message(err));
  zcrpc_error_free(err);
  assert_non_null(m);
  return m;
}

static void every_kind_comes_back(void **state) {
  zcrpc_encoder *e = ext_base_Base_encoder_in(&ext_more_ext_more_file, NULL);
  ext_base_Base_writer *w = ext_base_Base_write(e);
  ext_more_Note_writer *note;
  const ext_base_Base *m;
  static const int32_t numbers[] = {1, -2, 3};
  static const uint64_t words[] = {7, UINT64_MAX};
  static const uint8_t truths[] = {1, 0, 1};
  (void)state;
  ext_base_Base_put_id(w, 5);
  ext_more_real_put(w, -0.5);
  ext_more_small_put(w, 1.5f);
  ext_more_i64_put(w, INT64_MIN);
  ext_more_u64_put(w, UINT64_MAX);
  ext_more_i32_put(w, INT32_MIN);
  ext_more_f64_put(w, UINT64_MAX - 1);
  ext_more_f32_put(w, UINT32_MAX);
  ext_more_truth_put(w, 0);
  ext_more_text_put(w, TEXT("text"));
  ext_more_Grouped_put_x(ext_more_grouped_begin(w), 9);
  ext_more_Grouped_end((ext_more_Grouped_writer *)(void *)w);
  note = ext_more_note_begin(w);
  ext_more_Note_put_text(note, TEXT("n"));
  ext_more_Note_end(note);
  ext_more_raw_put(w, "\0\377", 2);
  ext_more_u32_put(w, UINT32_MAX);
  ext_more_mood_put(w, ext_more_Mood_MOOD_FINE);
  ext_more_sf32_put(w, -1);
  ext_more_sf64_put(w, -2);
  ext_more_s32_put(w, -3);
  ext_more_s64_put(w, -4);
  ext_more_numbers_put(w, 11);
  ext_more_numbers_put_array(w, numbers, 3);
  ext_more_packed_words_put_array(w, words, 2);
  ext_more_texts_put(w, TEXT("a"));
  ext_more_texts_put(w, TEXT("b"));
  ext_more_Note_end(ext_more_many_begin(w));
  ext_more_many_put(w, NULL);
  ext_more_truths_put_array(w, truths, 3);
  ext_more_moods_put(w, ext_more_Mood_MOOD_BAD);
  ext_more_last_put(w, 536870911);
  m = decode(bytes_of(e));
  assert_int_equal(ext_base_Base_id(m), 5);
  assert_true(ext_more_real_get(m) == -0.5);
  assert_true(ext_more_small_get(m) == 1.5f);
  assert_true(ext_more_i64_get(m) == INT64_MIN);
  assert_true(ext_more_u64_get(m) == UINT64_MAX);
  assert_int_equal(ext_more_i32_get(m), INT32_MIN);
  assert_true(ext_more_f64_get(m) == UINT64_MAX - 1);
  assert_true(ext_more_f32_get(m) == UINT32_MAX);
  assert_int_equal(ext_more_truth_get(m), 0);
  assert_true(ext_more_truth_has(m));
  assert_text(ext_more_text_get(m), "text");
  assert_int_equal(ext_more_Grouped_x(ext_more_grouped_get(m)), 9);
  assert_text(ext_more_Note_text(ext_more_note_get(m)), "n");
  assert_int_equal(ext_more_raw_get(m).len, 2);
  assert_memory_equal(ext_more_raw_get(m).data, "\0\377", 2);
  assert_true(ext_more_u32_get(m) == UINT32_MAX);
  assert_int_equal(ext_more_mood_get(m), 3);
  assert_int_equal(ext_more_sf32_get(m), -1);
  assert_true(ext_more_sf64_get(m) == -2);
  assert_int_equal(ext_more_s32_get(m), -3);
  assert_true(ext_more_s64_get(m) == -4);
  assert_int_equal(ext_more_numbers_count(m), 4);
  assert_int_equal(ext_more_numbers_get(m, 0), 11);
  assert_int_equal(ext_more_numbers_get(m, 3), 3);
  assert_int_equal(ext_more_numbers_get(m, 4), 0);
  assert_int_equal(ext_more_packed_words_count(m), 2);
  assert_true(ext_more_packed_words_get(m, 1) == UINT64_MAX);
  assert_int_equal(ext_more_texts_count(m), 2);
  assert_text(ext_more_texts_get(m, 1), "b");
  assert_int_equal(ext_more_many_count(m), 2);
  assert_non_null(ext_more_many_get(m, 1));
  assert_null(ext_more_many_get(m, 2));
  assert_int_equal(ext_more_truths_count(m), 3);
  assert_int_equal(ext_more_truths_get(m, 2), 1);
  assert_int_equal(ext_more_moods_get(m, 0), -1);
  assert_int_equal(ext_more_last_get(m), 536870911);
}

static void absent_ones_give_their_defaults(void **state) {
  const ext_base_Base *m = ext_base_Base_decode_in(&ext_more_ext_more_file, "", 0, arena, NULL);
  int i;
  (void)state;
  for (i = 0; i < 2; i++, m = NULL) {
    assert_false(ext_more_real_has(m));
    assert_true(ext_more_real_get(m) == 2.5);
    assert_int_equal(ext_more_i32_get(m), -7);
    assert_int_equal(ext_more_truth_get(m), 1);
    assert_text(ext_more_text_get(m), "none");
    assert_int_equal(ext_more_mood_get(m), -1);
    assert_null(ext_more_note_get(m));
    assert_int_equal(ext_more_numbers_count(m), 0);
    assert_int_equal(ext_more_many_count(m), 0);
    assert_text(ext_more_texts_get(m, 0), "");
  }
}

static void nested_scopes_keep_their_own(void **state) {
  zcrpc_encoder *e = ext_base_Base_encoder_in(&ext_more_ext_more_file, NULL);
  ext_base_Base_writer *w = ext_base_Base_write(e);
  ext_more_Scope_writer *scope;
  const ext_base_Base *m;
  (void)state;
  ext_more_text_put(w, TEXT("outer"));
  ext_more_Scope_text_put(w, TEXT("inner"));
  scope = ext_more_Scope_of_begin(w);
  ext_more_Scope_put_depth(scope, 4);
  ext_more_Scope_end(scope);
  ext_more_Scope_end(ext_more_Scope_all_begin(w));
  m = decode(bytes_of(e));
  assert_text(ext_more_text_get(m), "outer");
  assert_text(ext_more_Scope_text_get(m), "inner");
  assert_int_equal(ext_more_Scope_depth(ext_more_Scope_of_get(m)), 4);
  assert_int_equal(ext_more_Scope_all_count(m), 1);
}

static void extensions_deep_inside_are_found(void **state) {
  zcrpc_encoder *e = ext_base_Holder_encoder_in(&ext_more_ext_more_file, NULL);
  ext_base_Base_writer *base = ext_base_Holder_begin_base(ext_base_Holder_write(e));
  const ext_base_Holder *m;
  zcrpc_slice s;
  (void)state;
  ext_more_i64_put(base, 6);
  ext_base_Base_end(base);
  base = ext_base_Holder_begin_bases(ext_base_Holder_write(e));
  ext_more_text_put(base, TEXT("x"));
  ext_base_Base_end(base);
  s = bytes_of(e);
  m = ext_base_Holder_decode_in(&ext_more_ext_more_file, s.data, s.len, arena, NULL);
  assert_true(ext_more_i64_get(ext_base_Holder_base(m)) == 6);
  assert_text(ext_more_text_get(ext_base_Holder_bases(m, 0)), "x");
}

/* The base file alone does not know them: to it they are unknown fields, and writing them is a mistake. */
static void a_schema_without_the_file_does_not_know_them(void **state) {
  zcrpc_encoder *e = ext_base_Base_encoder_in(&ext_more_ext_more_file, NULL);
  const ext_base_Base *m;
  zcrpc_error *err = NULL;
  zcrpc_slice s, unknown;
  uint32_t field;
  (void)state;
  ext_more_i64_put(ext_base_Base_write(e), 6);
  s = bytes_of(e);
  m = ext_base_Base_decode(s.data, s.len, arena, NULL);
  assert_false(ext_more_i64_has(m));
  assert_int_equal(zcrpc_view_unknown(ext_base_Base_view(m), 0, &field, &unknown), 1);
  assert_int_equal(unknown.len, s.len);
  e = ext_base_Base_encoder(NULL);
  ext_more_i64_put(ext_base_Base_write(e), 6);
  assert_null(zcrpc_encoder_finish(e, &err));
  assert_string_equal(zcrpc_error_message(err), "ext.base.Base has no field 102");
  zcrpc_error_free(err);
  zcrpc_encoder_free(e);
  err = NULL;
  assert_null(ext_more_Note_type_in(&ext_base_ext_base_file, &err));
  assert_int_equal(zcrpc_error_code(err), ZCRPC_INVALID_ARGUMENT);
  zcrpc_error_free(err);
}

static void sparse_messages_have_them_too(void **state) {
  zcrpc_encoder *e = ext_base_Wide_encoder_in(&ext_more_ext_more_file, NULL);
  ext_base_Wide_writer *w = ext_base_Wide_write(e);
  const ext_base_Wide *m;
  zcrpc_slice s;
  (void)state;
  ext_base_Wide_put_a07(w, TEXT("seven"));
  ext_more_wide_number_put(w, 77);
  ext_more_wide_texts_put(w, TEXT("one"));
  ext_more_wide_texts_put(w, TEXT("two"));
  s = bytes_of(e);
  m = ext_base_Wide_decode_in(&ext_more_ext_more_file, s.data, s.len, arena, NULL);
  assert_text(ext_base_Wide_a07(m), "seven");
  assert_int_equal(ext_more_wide_number_get(m), 77);
  assert_int_equal(ext_more_wide_texts_count(m), 2);
  assert_text(ext_more_wide_texts_get(m, 1), "two");
  assert_false(ext_more_wide_number_has(NULL));
}

static void written(zcrpc_encoder *e, const char *want, size_t len) {
  zcrpc_slice s;
  zcrpc_buffer *b = finish(e);
  zcrpc_buffer_slice(b, &s);
  assert_int_equal(s.len, len);
  assert_memory_equal(s.data, want, len);
  zcrpc_buffer_release(b);
}

/* Items are groups, as all others write them; read are plain fields too. */
static void message_sets_hold_messages(void **state) {
  static const char wire[] = "\013\020\350\007\032\002\010\005\014"; /* group 1 { 2: 1000, 3: { 1: 5 } } */
  static const char plain[] = "\302\076\002\010\005";              /* 1000: { 1: 5 } */
  zcrpc_encoder *e = ext_base_Set_encoder_in(&ext_more_ext_more_file, NULL);
  const ext_base_Set *m = ext_base_Set_decode_in(&ext_more_ext_more_file, plain, sizeof plain - 1, arena, NULL);
  ext_more_Scope_writer *scope;
  (void)state;
  assert_true(ext_more_Scope_message_set_extension_has(m));
  assert_int_equal(ext_more_Scope_depth(ext_more_Scope_message_set_extension_get(m)), 5);
  scope = ext_more_Scope_message_set_extension_begin(ext_base_Set_write(e));
  ext_more_Scope_put_depth(scope, 5);
  ext_more_Scope_end(scope);
  written(e, wire, sizeof wire - 1);
  e = ext_base_Set_encoder_in(&ext_more_ext_more_file, NULL);
  ext_more_Scope_message_set_extension_put(ext_base_Set_write(e), ext_more_Scope_message_set_extension_get(m));
  written(e, wire, sizeof wire - 1);
}

/* Options are messages like others: decoded with the schema of the file that defines the extensions. */
static void custom_options_are_read_with_their_accessors(void **state) {
  const google_protobuf_FileDescriptorProto *file = google_protobuf_FileDescriptorProto_decode_in(
      &ext_more_ext_more_file, ext_more_ext_more_file.descriptor, ext_more_ext_more_file.descriptor_len, arena, NULL);
  const google_protobuf_DescriptorProto *m = NULL;
  const google_protobuf_FieldOptions *o;
  size_t i;
  (void)state;
  for (i = 0; i < google_protobuf_FileDescriptorProto_message_type_count(file); i++) {
    m = google_protobuf_FileDescriptorProto_message_type(file, i);
    if (google_protobuf_DescriptorProto_name(m).len == 9) break;
  }
  assert_text(google_protobuf_DescriptorProto_name(m), "Annotated");
  assert_text(ext_more_Note_text(ext_more_about_get(google_protobuf_DescriptorProto_options(m))), "annotated");
  assert_text(ext_more_Note_text(ext_more_Note_notes(ext_more_about_get(google_protobuf_DescriptorProto_options(m)), 0)), "inner");
  o = google_protobuf_FieldDescriptorProto_options(google_protobuf_DescriptorProto_field(m, 0));
  assert_text(ext_more_label_get(o), "x mark");
  assert_int_equal(ext_more_weights_count(o), 2);
  assert_int_equal(ext_more_weights_get(o, 1), 5);
}

static int setup(void **state) {
  (void)state;
  return (arena = zcrpc_arena_new(NULL)) ? 0 : -1;
}
static int teardown(void **state) {
  (void)state;
  zcrpc_arena_free(arena);
  zcrpc_file_unload(&ext_more_ext_more_file);
  zcrpc_file_unload(&ext_base_ext_base_file);
  return 0;
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_kind_comes_back),
      cmocka_unit_test(absent_ones_give_their_defaults),
      cmocka_unit_test(nested_scopes_keep_their_own),
      cmocka_unit_test(extensions_deep_inside_are_found),
      cmocka_unit_test(a_schema_without_the_file_does_not_know_them),
      cmocka_unit_test(sparse_messages_have_them_too),
      cmocka_unit_test(message_sets_hold_messages),
      cmocka_unit_test(custom_options_are_read_with_their_accessors),
  };
  return cmocka_run_group_tests(tests, setup, teardown);
}
