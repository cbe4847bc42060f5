/* Field masks that ask for much: each kind, a mebibyte of it, through everything that takes a mask ends in a typed error or
 * within 1 MiB and 32 times its size, in time that grows with it. */
#include "hostile.h"

static const zcrpc_type *mask_type;

/* ---- What comes: paths with commas between ------------------------------------------------------------------------- */

static void path(bytes *b, const char *text) {
  if (b->len) put(b, ",", 1);
  put(b, text, strlen(text));
}
/* Names with dots between, each chosen by `choose`: as many as `depth`, and "text" at the end. */
static void way_down(char *out, const char *const *names, uint32_t count, int depth, uint64_t choose) {
  int i;
  *out = 0;
  for (i = 0; i < depth; i++) {
    strcat(strcat(out, names[choose % count]), ".");
    choose /= count;
  }
  strcat(out, "text");
}
static const char *const kNames[] = {"child", "left", "children", "right"};

#define SAME(name, text) \
  static void name(bytes *b, size_t size) { while (b->len + sizeof text < size) path(b, text); }
SAME(one_path_again, "number")
SAME(one_deep_path_again, "child.children.tree.value.left.right.[hostile.more].part.inside.text")
SAME(two_paths_that_cover_each_other, "child.child.text,child")

#define COUNTED(name, names_, count, depth)                       \
  static void name(bytes *b, size_t size) {                       \
    uint64_t i;                                                   \
    char one[2048];                                               \
    for (i = 0;; i++) {                                           \
      way_down(one, names_, count, depth, i);                     \
      if (b->len + strlen(one) + 1 >= size) return;               \
      path(b, one);                                               \
    }                                                             \
  }
COUNTED(all_ways_of_two_names, kNames, 2, 20)
COUNTED(all_ways_of_four_names, kNames, 4, 10)
COUNTED(long_ways_that_part_early, kNames, 2, 90)
/* Any few ways of each length: no two parts of such a mask are alike. */
static void ways_at_random(bytes *b, size_t size) {
  uint64_t seed = 1;
  char one[256];
  for (;;) {
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    way_down(one, kNames, 4, 8 + (int)(seed >> 60), seed >> 20);
    if (b->len + strlen(one) + 1 >= size) return;
    path(b, one);
  }
}
/* The fields of wide messages, the last first, below more and more of them. */
static void wide_fields_backwards(bytes *b, size_t size) {
  uint32_t i, k, from;
  char one[256];
  for (i = 0;; i++) {
    for (k = 36; k > 0; k--) {
      one[0] = 0;
      for (from = i; from; from /= 3) strcat(one, from % 3 == 0 ? "left." : from % 3 == 1 ? "wides.deep." : "part.more.");
      snprintf(one + strlen(one), 32, "wides.f%u", k);
      if (b->len + strlen(one) + 1 >= size) return;
      path(b, one);
    }
  }
}
/* Each one longer than the one before; and each one shorter, so that none is covered when it comes. */
static void longer_and_longer(bytes *b, size_t size) {
  int depth = 1;
  char one[2048];
  for (;; depth = depth % 99 + 1) {
    way_down(one, kNames, 1, depth, 0);
    if (b->len + strlen(one) + 1 >= size) return;
    path(b, one);
  }
}
static void shorter_and_shorter(bytes *b, size_t size) {
  int depth = 99;
  char one[2048];
  for (;; depth = depth > 1 ? depth - 1 : 99) {
    way_down(one, kNames, 1, depth, 0);
    one[strlen(one) - 5] = 0;
    if (b->len + strlen(one) + 1 >= size) return;
    path(b, one);
  }
}
static void names_that_nothing_has(bytes *b, size_t size) {
  uint32_t i;
  char one[16];
  for (i = 0; b->len + sizeof one < size; i++) {
    snprintf(one, sizeof one, "p%u", i * 2654435761u);
    path(b, one);
  }
}
static void one_path_without_end(bytes *b, size_t size) { fill(b, size, "child.", 6); }
static void one_name_without_end(bytes *b, size_t size) { fill(b, size, "x", 1); }
static void one_bracket_without_end(bytes *b, size_t size) {
  put(b, "[", 1);
  fill(b, size, ".a", 2);
}
static void commas(bytes *b, size_t size) { fill(b, size, ",", 1); }
static void dots(bytes *b, size_t size) { fill(b, size, ".", 1); }

static const hostile kMasks[] = {
#define INPUT(name) {#name, name}
    INPUT(one_path_again), INPUT(one_deep_path_again), INPUT(two_paths_that_cover_each_other), INPUT(all_ways_of_two_names),
    INPUT(all_ways_of_four_names), INPUT(long_ways_that_part_early), INPUT(ways_at_random), INPUT(wide_fields_backwards),
    INPUT(longer_and_longer), INPUT(shorter_and_shorter), INPUT(names_that_nothing_has), INPUT(one_path_without_end),
    INPUT(one_name_without_end), INPUT(one_bracket_without_end), INPUT(commas), INPUT(dots),
};

/* ---- What is done with it ------------------------------------------------------------------------------------------ */

/* With the mask as text (a zero behind it), or as a decoded FieldMask; what it takes beside that is measured. */
typedef void (*use)(const char *text, size_t len, const zcrpc_view *mask, zcrpc_error **err);

static void as_field_mask(bytes *b, const char *text, size_t len) {
  const char *end = text + len;
  while (text < end) {
    const char *comma = memchr(text, ',', (size_t)(end - text)), *stop = comma ? comma : end;
    size_t n = (size_t)(stop - text);
    put(b, "\x0A", 1);
    for (; n > 127; n >>= 7) {
      char c = (char)(n | 0x80);
      put(b, &c, 1);
    }
    {
      char c = (char)n;
      put(b, &c, 1);
    }
    put(b, text, (size_t)(stop - text));
    text = stop + 1;
  }
}

static outcome take(const char *data, size_t len, const void *how) {
  outcome r = {ZCRPC_OK, 0, 0, 0};
  bytes text = {NULL, 0, 0}, wire = {NULL, 0, 0};
  zcrpc_error *err = NULL;
  zcrpc_arena *a = zcrpc_arena_new(NULL);
  const zcrpc_view *mask;
  double start;
  put(&text, data, len);
  put(&text, "", 1);
  as_field_mask(&wire, data, len);
  mask = zcrpc_view_decode(mask_type, wire.data, wire.len, NULL, a, NULL);
  assert_non_null(mask);
  start = cpu_seconds();
  peak_malloc_start();
  (*(const use *)how)(text.data, len, mask, &err);
  r.peak = peak_malloc_bytes();
  r.seconds = cpu_seconds() - start;
  r.code = zcrpc_error_code(err);
  zcrpc_error_free(err);
  zcrpc_arena_free(a);
  free(text.data);
  free(wire.data);
  return r;
}

static void compile_a_list(const char *text, size_t len, const zcrpc_view *mask, zcrpc_error **err) {
  (void)len, (void)mask;
  zcrpc_projection_free(zcrpc_projection_new(type, text, err));
}
static void compile_a_message(const char *text, size_t len, const zcrpc_view *mask, zcrpc_error **err) {
  (void)text, (void)len;
  zcrpc_projection_free(zcrpc_projection_from_mask(type, mask, err));
}
static void take_a_list(const char *text, size_t len, const zcrpc_view *mask, zcrpc_error **err) {
  (void)mask;
  zcrpc_mask_free(zcrpc_mask_new(type, text, len, ZCRPC_MASK_THROUGH_REPEATED, err));
}
static void take_a_message(const char *text, size_t len, const zcrpc_view *mask, zcrpc_error **err) {
  (void)text, (void)len;
  zcrpc_mask_free(zcrpc_mask_from_view(type, mask, 0, err));
}
/* Without a type nothing is refused: all is done with it that can be done with masks. */
static void unite_and_intersect(const char *text, size_t len, const zcrpc_view *mask, zcrpc_error **err) {
  zcrpc_mask *a = zcrpc_mask_new(NULL, text, len / 2, 0, err), *b = zcrpc_mask_new(NULL, text + len / 2, len - len / 2, 0, NULL);
  zcrpc_mask *both = zcrpc_mask_intersection(a, b, NULL), *either = zcrpc_mask_union(a, b, NULL);
  size_t i;
  zcrpc_slice s;
  (void)mask;
  if (!*err) assert_true(a && b && both && either);
  for (i = 0; i < zcrpc_mask_count(either); i++) {
    zcrpc_mask_at(either, i, &s);
    assert_int_equal(zcrpc_mask_has(either, (const char *)s.data, s.len), 1);
    assert_true(zcrpc_mask_has(both, (const char *)s.data, s.len) <= zcrpc_mask_has(a, (const char *)s.data, s.len));
  }
  zcrpc_mask_free(a);
  zcrpc_mask_free(b);
  zcrpc_mask_free(both);
  zcrpc_mask_free(either);
}
/* Of a small message; the mask has been taken, and is not measured again. */
static zcrpc_code edit(const char *text, size_t len, int merge, zcrpc_error **err) {
  static const char small[] = "\x0A\x06\x0A\x04\x82\x01\x01x\x12\x02\x12\x00\x6A\x03\x82\x01\x00";
  zcrpc_arena *a = zcrpc_arena_new(NULL);
  const zcrpc_view *v = zcrpc_view_decode(type, small, sizeof small - 1, NULL, a, NULL);
  zcrpc_mask *m = zcrpc_mask_new(type, text, len, ZCRPC_MASK_THROUGH_REPEATED, err);
  zcrpc_encoder *e = zcrpc_encoder_new(type, NULL);
  zcrpc_code code = zcrpc_error_code(*err);
  assert_non_null(v);
  if (m) {
    zcrpc_encoder_edit(e, v);
    if (merge) zcrpc_encoder_merge_masked(e, v, m, 0);
    else zcrpc_encoder_trim(e, m);
    zcrpc_buffer_release(zcrpc_encoder_finish(e, err));
    code = zcrpc_error_code(*err);
  }
  zcrpc_mask_free(m);
  zcrpc_encoder_free(e);
  zcrpc_arena_free(a);
  return code;
}
static void trim(const char *text, size_t len, const zcrpc_view *mask, zcrpc_error **err) {
  (void)mask;
  edit(text, len, 0, err);
}
static void merge(const char *text, size_t len, const zcrpc_view *mask, zcrpc_error **err) {
  (void)mask;
  edit(text, len, 1, err);
}

#define BOUNDED(name, what)                                                          \
  static void name(void **state) {                                                   \
    static const use how = what;                                                     \
    (void)state;                                                                     \
    all_bounded(#what, kMasks, sizeof kMasks / sizeof *kMasks, take, &how);          \
  }
BOUNDED(projections_of_lists_are_bounded, compile_a_list)
BOUNDED(projections_of_masks_are_bounded, compile_a_message)
BOUNDED(masks_of_lists_are_bounded, take_a_list)
BOUNDED(masks_of_messages_are_bounded, take_a_message)
BOUNDED(unions_and_intersections_are_bounded, unite_and_intersect)
BOUNDED(trimming_is_bounded, trim)
BOUNDED(merging_is_bounded, merge)

/* No two parts alike: tables of their own, until there are too many. Where it ended is told. */
static void a_projection_that_becomes_too_large_tells_its_limit_and_the_path(void **state) {
  bytes b = {NULL, 0, 0};
  zcrpc_error *err = NULL;
  size_t paths = 0, i;
  char limit[64];
  (void)state;
  ways_at_random(&b, MIB / 8);
  put(&b, "", 1);
  for (i = 0; i < b.len; i++) paths += b.data[i] && b.data[i] != ',';
  assert_null(zcrpc_projection_new(type, b.data, &err));
  assert_int_equal(zcrpc_error_code(err), ZCRPC_RESOURCE_EXHAUSTED);
  snprintf(limit, sizeof limit, "more than %zu bytes", MIB + 32 * paths);
  assert_non_null(strstr(zcrpc_error_message(err), limit));
  assert_int_equal(strspn(zcrpc_error_path(err), "childrenleftright."), strlen(zcrpc_error_path(err)));
  assert_true(strlen(zcrpc_error_path(err)) > 0);
  zcrpc_error_free(err);
  free(b.data);
}

/* 20 levels, two ways at each: what lies at the same depth looks alike, and is one table. */
static void parts_that_look_alike_share_their_tables(void **state) {
  bytes b = {NULL, 0, 0};
  zcrpc_projection *p;
  (void)state;
  all_ways_of_two_names(&b, MIB / 4);
  put(&b, "", 1);
  peak_malloc_start();
  p = zcrpc_projection_new(type, b.data, NULL);
  assert_non_null(p);
  assert_true(peak_malloc_bytes() < 4 * MIB);
  zcrpc_projection_free(p);
  free(b.data);
}

static int set_up_masks(void **state) {
  if (set_up(state) != 0) return -1;
  mask_type = zcrpc_schema_type(schema, "google.protobuf.FieldMask");
  return mask_type ? 0 : -1;
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(projections_of_lists_are_bounded),
      cmocka_unit_test(projections_of_masks_are_bounded),
      cmocka_unit_test(masks_of_lists_are_bounded),
      cmocka_unit_test(masks_of_messages_are_bounded),
      cmocka_unit_test(unions_and_intersections_are_bounded),
      cmocka_unit_test(trimming_is_bounded),
      cmocka_unit_test(merging_is_bounded),
      cmocka_unit_test(a_projection_that_becomes_too_large_tells_its_limit_and_the_path),
      cmocka_unit_test(parts_that_look_alike_share_their_tables),
  };
  return cmocka_run_group_tests(tests, set_up_masks, tear_down);
}
