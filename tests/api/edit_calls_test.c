/* Edits that were refused, answered wrongly or took too long before: of many small calls, of an encoder that is used again,
 * of keys and runs that lie in what the edit has written itself, and of inputs that do not fit 31 bits together. */
#define _GNU_SOURCE
#include "hostile.h"

#include <sys/mman.h>

enum { CHILD = 1, CHILDREN = 2, TEXTS = 3, TREE = 6, ENUMS = 10, TEXT = 16, WIDES = 18, DATA = 19, NUMBER = 25 };

static void varint(bytes *b, uint64_t v) {
  for (; v >= 128; v >>= 7) put(b, &(char){(char)(v | 128)}, 1);
  put(b, &(char){(char)v}, 1);
}
static const zcrpc_view *decode(const void *data, size_t len, zcrpc_arena *a) {
  zcrpc_options *o = zcrpc_options_new(ZCRPC_FOR_DECODE, NULL);
  const zcrpc_view *v;
  assert_int_equal(zcrpc_options_set_int(o, ZCRPC_DECODE_MAX_INDEX, 1 << 30, NULL), ZCRPC_OK);
  v = zcrpc_view_decode(type, data, len, o, a, NULL);
  assert_non_null(v);
  zcrpc_options_free(o);
  return v;
}
/* Gives how long what it has encoded is. */
static size_t finish(zcrpc_encoder *e) {
  zcrpc_error *err = NULL;
  zcrpc_slice got;
  zcrpc_buffer *b = zcrpc_encoder_finish(e, &err);
  if (!b) print_error("%s: %s\n", zcrpc_error_path(err), zcrpc_error_message(err));
  assert_non_null(b);
  zcrpc_buffer_slice(b, &got);
  zcrpc_buffer_release(b);
  return got.len;
}

/* The numbers that a closed enum has are written to the log, where the run itself lies. */
static void a_run_in_the_log_is_merged_by_mask(void **state) {
  bytes b = {NULL, 0, 0};
  char run[100];
  int i;
  zcrpc_arena *a = zcrpc_arena_new(NULL);
  zcrpc_encoder *e = zcrpc_encoder_new(type, NULL);
  zcrpc_mask *m = zcrpc_mask_new(type, "child.enums", ZCRPC_NTS, 0, NULL);
  const zcrpc_view *v;
  (void)state;
  memset(run, 2, sizeof run);
  for (i = 0; i < 30; i++) {
    put(&b, "\x0a\x66\x52\x64", 4);
    put(&b, run, sizeof run);
    put(&b, "\xc8\x01\x01", 3);
  }
  zcrpc_encoder_edit(e, NULL);
  zcrpc_encoder_merge_masked(e, decode(b.data, b.len, a), m, 0);
  v = zcrpc_encoder_view(e, a, NULL);
  assert_non_null(v);
  assert_int_equal(zcrpc_view_count(zcrpc_view_message(v, CHILD), ENUMS), 3000);
  zcrpc_mask_free(m);
  zcrpc_encoder_free(e);
  zcrpc_arena_free(a);
  free(b.data);
}

static void a_small_edit_after_a_large_one_has_its_limit(void **state) {
  static const char small[] = "\xc8\x01\x05\x82\x01\x01x";
  bytes b = {NULL, 0, 0};
  zcrpc_arena *a = zcrpc_arena_new(NULL);
  zcrpc_encoder *e = zcrpc_encoder_new(type, NULL);
  zcrpc_mask *m = zcrpc_mask_new(type, "number", ZCRPC_NTS, 0, NULL);
  const zcrpc_view *v;
  int i;
  (void)state;
  fill(&b, 2000000, "\x12\x00", 2);
  zcrpc_encoder_edit(e, decode(b.data, b.len, a));
  zcrpc_encoder_remove_at(e, CHILDREN, 0);
  assert_int_equal(finish(e), 1999998);
  v = decode(small, 7, a);
  for (i = 0; i < 3; i++) {
    zcrpc_encoder_edit(e, v);
    zcrpc_encoder_trim(e, m);
    assert_int_equal(finish(e), 3);
    if (i) zcrpc_encoder_reset(e, type);
  }
  zcrpc_mask_free(m);
  zcrpc_encoder_free(e);
  zcrpc_arena_free(a);
  free(b.data);
}

static void many_small_calls_are_an_honest_edit(void **state) {
  const int n = 100000;
  void *memory;
  zcrpc_buffer *b = zcrpc_buffer_new(3, &memory, NULL);
  zcrpc_arena *a = zcrpc_arena_new(NULL);
  zcrpc_encoder *e = zcrpc_encoder_new(type, NULL);
  const zcrpc_view *small[3] = {NULL};
  int i, j, k;
  (void)state;
  memcpy(memory, "\xc8\x01\x05", 3);
  small[0] = zcrpc_view_decode_buffer(type, b, NULL, a, NULL);
  small[1] = decode("\xc8\x01\x05", 3, a);
  for (k = 0; k < 3; k++) {
    zcrpc_encoder_edit(e, NULL);
    for (i = 0; i < n; i++) zcrpc_encoder_put_view(e, CHILDREN, small[k]);
    assert_int_equal(finish(e), (size_t)n * (small[k] ? 5 : 2));
    zcrpc_encoder_edit(e, NULL);
    for (i = 0; i < n; i++) zcrpc_encoder_merge(e, small[k]);
    assert_int_equal(finish(e), (size_t)n * (small[k] ? 3 : 0));
    zcrpc_encoder_edit(e, NULL);
    for (i = 0; i < n; i++) zcrpc_encoder_put_view(e, CHILD, small[k]);
    assert_int_equal(finish(e), small[k] ? 5 : 2);
  }
  zcrpc_encoder_edit(e, NULL);
  for (i = 0; i < n; i++) {
    zcrpc_encoder_begin(e, CHILD);
    zcrpc_encoder_end(e);
  }
  assert_int_equal(finish(e), 2);
  /* New rows of small fields, and then each field of each row. */
  zcrpc_encoder_edit(e, NULL);
  for (k = 0; k < 2; k++) {
    for (i = 0; i < 1000; i++) {
      if (k)
        zcrpc_encoder_begin_at(e, WIDES, (size_t)i);
      else
        zcrpc_encoder_begin(e, WIDES);
      for (j = 1; j <= 36; j += 2) {
        zcrpc_encoder_put_int64(e, (uint32_t)j, 1000000000 + i);
        zcrpc_encoder_put_string(e, (uint32_t)j + 1, "1234567", 7);
      }
      for (j = 1000; j < 1064; j++) zcrpc_encoder_clear(e, (uint32_t)j);
      zcrpc_encoder_end(e);
    }
  }
  assert_true(finish(e) > 1000 * 256);
  zcrpc_encoder_free(e);
  zcrpc_arena_free(a);
  zcrpc_buffer_release(b);
}

/* Neighbours in memory, over 2 GiB together: places in them have 31 bits. */
static void neighbours_over_two_gib_stay_apart(void **state) {
  const size_t len = 2147483000u, all = (size_t)9 << 29;
  zcrpc_arena *a = zcrpc_arena_new(NULL);
  zcrpc_encoder *e = zcrpc_encoder_new(type, NULL);
  const zcrpc_view *v;
  uint8_t *p;
  size_t at = 0;
  int i;
  (void)state;
  if (sizeof(size_t) < 8) skip();
  p = mmap(NULL, all, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (p == MAP_FAILED) skip();
  zcrpc_encoder_edit(e, NULL);
  for (i = 0; i < 2; i++) {
    bytes head = {NULL, 0, 0};
    varint(&head, DATA << 3 | 2);
    varint(&head, len);
    memcpy(p + at, head.data, head.len);
    zcrpc_encoder_merge(e, decode(p + at, head.len + len, a));
    at += head.len + len;
    free(head.data);
  }
  memcpy(p + at, "\x1a\x03one\x1a\x03two\x1a\x05three\x32\x07\x08\x01\x12\x03\xc8\x01\x05", 26);
  zcrpc_encoder_merge(e, decode(p + at, 26, a));
  zcrpc_encoder_clear(e, DATA);
  zcrpc_encoder_remove_at(e, TEXTS, 1);
  for (i = 2; i; i--) {
    zcrpc_encoder_begin_key_int(e, TREE, i);
    zcrpc_encoder_end(e);
  }
  v = zcrpc_encoder_view(e, a, NULL);
  assert_non_null(v);
  assert_int_equal(zcrpc_view_count(v, TEXTS), 2);
  assert_int_equal(zcrpc_view_count(v, TREE), 2);
  zcrpc_encoder_free(e);
  zcrpc_arena_free(a);
  munmap(p, all);
}

/* The entry is copied once, however often its key is opened: the log would hold 30 MB here. */
static void the_same_key_again_and_again_is_one_entry(void **state) {
  const int n = 200000;
  char text[220];
  zcrpc_arena *a = zcrpc_arena_new(NULL);
  zcrpc_encoder *e = zcrpc_encoder_new(type, NULL);
  const zcrpc_view *v;
  int i;
  (void)state;
  memset(text, 'x', sizeof text);
  zcrpc_encoder_edit(e, NULL);
  for (i = 0; i < n; i++) {
    if (i % 1000 == 0) zcrpc_encoder_remove_key_int(e, TREE, 7); /* and it begins anew */
    zcrpc_encoder_begin_key_int(e, TREE, 7);
    if (i % 1000 == 0) zcrpc_encoder_put_string(e, TEXT, text, sizeof text);
    zcrpc_encoder_put_int64(e, NUMBER, i & 63);
    zcrpc_encoder_end(e);
  }
  v = zcrpc_encoder_view(e, a, NULL);
  assert_non_null(v);
  assert_int_equal(zcrpc_view_count(v, TREE), 1);
  assert_int_equal(finish(e), 2 + 2 + 3 + 223 + 3 + 2);
  zcrpc_encoder_free(e);
  zcrpc_arena_free(a);
}

/* A message in many pieces with numbers of their own, of which one is kept. */
static double trimmed(size_t n) {
  bytes b = {NULL, 0, 0};
  zcrpc_arena *a = zcrpc_arena_new(NULL);
  zcrpc_encoder *e = zcrpc_encoder_new(type, NULL);
  zcrpc_mask *m = zcrpc_mask_new(type, "child.number", ZCRPC_NTS, 0, NULL);
  uint32_t number = 1000;
  double start;
  while (b.len < n) {
    bytes piece = {NULL, 0, 0};
    int i;
    for (i = 0; i < 4; i++) {
      varint(&piece, number++ << 3);
      put(&piece, "\x01", 1);
    }
    varint(&piece, 900 << 3 | 2);
    varint(&piece, 120);
    fill(&piece, piece.len + 120, "0", 1);
    put(&b, "\x0a", 1);
    varint(&b, piece.len);
    put(&b, piece.data, piece.len);
    put(&b, "\xc8\x01\x01", 3);
    free(piece.data);
  }
  zcrpc_encoder_edit(e, decode(b.data, b.len, a));
  start = cpu_seconds();
  zcrpc_encoder_trim(e, m);
  assert_int_equal(finish(e), 2);
  start = cpu_seconds() - start;
  zcrpc_mask_free(m);
  zcrpc_encoder_free(e);
  zcrpc_arena_free(a);
  free(b.data);
  return start;
}
static void trimming_many_pieces_takes_time_as_there_are(void **state) {
  int tries;
  double small = trimmed(200000), large = trimmed(800000);
  (void)state;
  for (tries = 0; tries < 3 && large > 9 * small; tries++) {
    small = trimmed(200000);
    large = trimmed(800000);
  }
  assert_true(large <= 9 * small);
}

/* Clears fields that the type does not know, the last one first, in a message that has room for so many rules. */
static double cleared(uint32_t n) {
  bytes b = {NULL, 0, 0};
  zcrpc_arena *a = zcrpc_arena_new(NULL);
  zcrpc_encoder *e = zcrpc_encoder_new(type, NULL);
  uint32_t i;
  double start;
  for (i = 0; i < n; i++) {
    varint(&b, (uint64_t)(1000 + i) << 3);
    put(&b, "\x01", 1);
  }
  varint(&b, DATA << 3 | 2); /* what the budget of so many rules comes from */
  varint(&b, 1 << 20);
  fill(&b, b.len + (1 << 20), "0", 1);
  zcrpc_encoder_edit(e, decode(b.data, b.len, a));
  start = cpu_seconds();
  for (i = n; i > 0; i--) zcrpc_encoder_clear(e, 1000 + i - 1);
  assert_int_equal(finish(e), 2 + 3 + (1 << 20));
  start = cpu_seconds() - start;
  zcrpc_encoder_free(e);
  zcrpc_arena_free(a);
  free(b.data);
  return start;
}
/* Four times as many took sixteen times as long. */
static void clearing_numbers_from_the_last_one_takes_time_as_there_are(void **state) {
  int tries;
  double small = cleared(20000), large = cleared(80000);
  (void)state;
  for (tries = 0; tries < 3 && large > 9 * small; tries++) {
    small = cleared(20000);
    large = cleared(80000);
  }
  assert_true(large <= 9 * small);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_run_in_the_log_is_merged_by_mask),
      cmocka_unit_test(a_small_edit_after_a_large_one_has_its_limit),
      cmocka_unit_test(many_small_calls_are_an_honest_edit),
      cmocka_unit_test(neighbours_over_two_gib_stay_apart),
      cmocka_unit_test(the_same_key_again_and_again_is_one_entry),
      cmocka_unit_test(trimming_many_pieces_takes_time_as_there_are),
      cmocka_unit_test(clearing_numbers_from_the_last_one_takes_time_as_there_are),
  };
  return cmocka_run_group_tests(tests, set_up, tear_down);
}
