/* Debug builds: every function that takes a view says its own name when the view's memory was released; and that it was, and by
 * what, is known however many others were released since. */
#define _DEFAULT_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <zcrpc.h>
#include <zcrpc/codegen.h>

#include "support/misuse.h"

static zcrpc_schema *schema;
static const zcrpc_type *type;
static zcrpc_arena *arena;
static const char kBytes[] = "\x1A\x05hello";

static const zcrpc_view *decode(zcrpc_arena *a) {
  const zcrpc_view *v = zcrpc_view_decode(type, kBytes, sizeof kBytes - 1, NULL, a, NULL);
  assert_non_null(v);
  return v;
}

typedef void (*misuse)(const zcrpc_view *v);

/* It has to abort; what it said on stderr, or "". */
static void said_by(misuse use, const zcrpc_view *v, char *said, size_t cap) {
  if (aborts(use, v, said, cap)) return;
  print_error("not caught; it said: %s\n", said);
  said[0] = 0;
}

/* ---- Every function that takes one -------------------------------------------------------------------------------- */

static zcrpc_slice slice;
static size_t size;
static int64_t number;
static double real;
static char text[64];
static zcrpc_value value;
static zcrpc_encoder *encoder(void) { return zcrpc_encoder_new(type, NULL); }

#define USES(X)                                                                                         \
  X(zcrpc_projection_from_mask, zcrpc_projection_from_mask(type, v, NULL))                              \
  X(zcrpc_view_open, zcrpc_view_open(v, 1, 0, arena, NULL))                                             \
  X(zcrpc_view_open_all, zcrpc_view_open_all(v, arena, NULL))                                           \
  X(zcrpc_view_type, zcrpc_view_type(v))                                                                \
  X(zcrpc_view_bytes, zcrpc_view_bytes(v, &slice))                                                      \
  X(zcrpc_view_has, zcrpc_view_has(v, 1))                                                               \
  X(zcrpc_view_which, zcrpc_view_which(v, 1))                                                           \
  X(zcrpc_view_int32, zcrpc_view_int32(v, 1))                                                           \
  X(zcrpc_view_int64, zcrpc_view_int64(v, 1))                                                           \
  X(zcrpc_view_uint64, zcrpc_view_uint64(v, 1))                                                         \
  X(zcrpc_view_double, zcrpc_view_double(v, 24))                                                        \
  X(zcrpc_view_string, zcrpc_view_string(v, 16, &slice))                                                \
  X(zcrpc_view_message, zcrpc_view_message(v, 1))                                                       \
  X(zcrpc_view_count, zcrpc_view_count(v, 3))                                                           \
  X(zcrpc_view_int64_at, zcrpc_view_int64_at(v, 8, 0))                                                  \
  X(zcrpc_view_uint64_at, zcrpc_view_uint64_at(v, 8, 0))                                                \
  X(zcrpc_view_double_at, zcrpc_view_double_at(v, 8, 0))                                                \
  X(zcrpc_view_string_at, zcrpc_view_string_at(v, 3, 0, &slice))                                        \
  X(zcrpc_view_message_at, zcrpc_view_message_at(v, 2, 0))                                              \
  X(zcrpc_view_int64s, zcrpc_view_int64s(v, 8, 0, &number, 1))                                          \
  X(zcrpc_view_doubles, zcrpc_view_doubles(v, 8, 0, &real, 1))                                          \
  X(zcrpc_view_array, zcrpc_view_array(v, 8, &size, &size))                                             \
  X(zcrpc_view_find, zcrpc_view_find(v, 4, "k", 1))                                                     \
  X(zcrpc_view_find_int, zcrpc_view_find_int(v, 5, 1))                                                  \
  X(zcrpc_view_key_at, zcrpc_view_key_at(v, 4, 0, &slice))                                              \
  X(zcrpc_view_key_int_at, zcrpc_view_key_int_at(v, 5, 0))                                              \
  X(zcrpc_view_value, zcrpc_view_value(v, 3, 0, &value, NULL))                                          \
  X(zcrpc_view_unknown, zcrpc_view_unknown(v, 0, NULL, &slice))                                         \
  X(zcrpc_view_equal, zcrpc_view_equal(NULL, v))                                                        \
  X(zcrpc_view_hash, zcrpc_view_hash(v, 0))                                                             \
  X(zcrpc_view_next, zcrpc_view_next(v, 0))                                                             \
  X(zcrpc_view_check_required, zcrpc_view_check_required(v, NULL))                                      \
  X(zcrpc_view_print, zcrpc_view_print(v, ZCRPC_TEXT, NULL, NULL))                                      \
  X(zcrpc_view_debug, zcrpc_view_debug(v, text, sizeof text))                                           \
  X(zcrpc_encoder_put_view, zcrpc_encoder_put_view(encoder(), 1, v))                                    \
  X(zcrpc_encoder_put_fields, zcrpc_encoder_put_fields(encoder(), v))                                   \
  X(zcrpc_encoder_put_same, zcrpc_encoder_put_same(encoder(), v, NULL))                                 \
  X(zcrpc_encoder_put_deterministic, zcrpc_encoder_put_deterministic(encoder(), v))                     \
  X(zcrpc_encoder_edit, zcrpc_encoder_edit(encoder(), v))                                               \
  X(zcrpc_encoder_merge, zcrpc_encoder_merge(encoder(), v))                                             \
  X(zcrpc_encoder_merge_masked, zcrpc_encoder_merge_masked(encoder(), v, zcrpc_mask_new(type, "text", 4, 0, NULL), 0)) \
  X(zcrpc_mask_from_view, zcrpc_mask_from_view(type, v, 0, NULL))                                       \
  X(zcrpc_view_encoded_size, zcrpc_view_encoded_size(v))                                                \
  X(zcrpc_view_encoded_bound, zcrpc_view_encoded_bound(v))                                              \
  X(zcrpc_view_time, zcrpc_view_time(v, &number, NULL))                                                 \
  X(zcrpc_any_type, zcrpc_any_type(v, &slice))                                                          \
  X(zcrpc_any_unpack, zcrpc_any_unpack(v, NULL, NULL, arena, NULL))                                     \
  X(zcrpc_value_kind, zcrpc_value_kind(v))                                                              \
  X(zcrpc_value_count, zcrpc_value_count(v))                                                            \
  X(zcrpc_value_at, zcrpc_value_at(v, 0, NULL))                                                         \
  X(zcrpc_value_get, zcrpc_value_get(v, "k", 1))

#define FUNCTION(name, call) \
  static void use_##name(const zcrpc_view *v) { (void)(call); }
USES(FUNCTION)
static const struct {
  const char *name;
  misuse use;
} kUses[] = {
#define ROW(name, call) {#name, use_##name},
    USES(ROW)};
enum { USE_COUNT = sizeof kUses / sizeof *kUses };

static void every_function_that_takes_a_view_is_named(void **state) {
  char said[4096], wanted[256];
  int i, wrong = 0;
  const zcrpc_view *v = decode(arena);
  (void)state;
  zcrpc_arena_reset(arena);
  for (i = 0; i < USE_COUNT; i++) {
    snprintf(wanted, sizeof wanted, "zcrpc: %s: view of hostile.H used after zcrpc_arena_reset, which ended arena 0x", kUses[i].name);
    said_by(kUses[i].use, v, said, sizeof said);
    if (strncmp(said, wanted, strlen(wanted)) == 0 && strstr(said, "api_released+0x")) continue;
    print_error("%s: %s\n", kUses[i].name, said);
    wrong++;
  }
  assert_int_equal(wrong, 0);
}

/* Of the header's functions with a parameter that is a view, those that are not above. */
static void no_function_is_left_out(void **state) {
  static char header[1 << 20];
  size_t n;
  int i, found, wrong = 0;
  char *at, *end, *open, *name;
  FILE *f = fopen(ZCRPC_SOURCE_DIR "/include/zcrpc.h", "rb");
  (void)state;
  assert_non_null(f);
  n = fread(header, 1, sizeof header - 1, f);
  fclose(f);
  header[n] = 0;
  for (at = header; (at = strstr(at, "ZCRPC_API ")) != NULL; at = end + 1) {
    end = strchr(at, ';');
    assert_non_null(end);
    *end = 0;
    open = strchr(at, '(');
    if (!open || !strstr(open, "const zcrpc_view *")) continue;
    *open = 0;
    for (name = open; name > at && name[-1] != ' ' && name[-1] != '*'; name--) {
    }
    for (i = found = 0; i < USE_COUNT; i++) found |= strcmp(kUses[i].name, name) == 0;
    if (found || strstr(open + 1, "const zcrpc_view **")) continue; /* what comes out is not misused */
    print_error("%s takes a view, and is not tried here\n", name);
    wrong++;
  }
  assert_int_equal(wrong, 0);
}

/* ---- After many others -------------------------------------------------------------------------------------------- */

enum { MANY = 5000 };

/* Each in an arena of its own, none of which is used again: what ended first is known as well as what ended last. */
static void after_thousands_of_others_it_is_known_what_ended(void **state) {
  static zcrpc_arena *arenas[MANY];
  const zcrpc_view *v[MANY];
  char said[4096], ended[64];
  int i;
  (void)state;
  for (i = 0; i < MANY; i++) {
    arenas[i] = zcrpc_arena_new(NULL);
    v[i] = decode(arenas[i]);
  }
  for (i = 0; i < MANY; i++) zcrpc_arena_free(arenas[i]);
  for (i = 0; i < MANY; i += 1249) {
    said_by(use_zcrpc_view_open_all, v[i], said, sizeof said);
    assert_non_null(strstr(said, "zcrpc: zcrpc_view_open_all: view"));
    assert_non_null(strstr(said, " used after zcrpc_arena_free, which ended arena 0x"));
    assert_non_null(strstr(said, "; called at "));
    assert_non_null(strstr(said, "api_released+0x"));
    snprintf(ended, sizeof ended, "ended arena %p", (void *)arenas[i]);
    assert_non_null(strstr(said, ended));
  }
  assert_non_null(strstr(said, "view of hostile.H used")); /* one of the last thousand */
}
/* Many in one arena: the first of them too. */
static void of_thousands_in_one_arena_the_first_is_known(void **state) {
  zcrpc_arena *a = zcrpc_arena_new(NULL);
  const zcrpc_view *first = decode(a);
  char said[4096];
  int i;
  (void)state;
  for (i = 0; i < MANY; i++) decode(a);
  zcrpc_arena_reset(a);
  said_by(use_zcrpc_view_has, first, said, sizeof said);
  assert_non_null(strstr(said, "zcrpc: zcrpc_view_has: view"));
  assert_non_null(strstr(said, " used after zcrpc_arena_reset, which ended arena 0x"));
  zcrpc_arena_free(a);
}
/* Where ended memory is used again the new view is left alone, and those around it are still known to have ended. */
static void a_view_in_the_place_of_an_ended_one_is_left_alone(void **state) {
  static union {
    char bytes[1 << 20];
    double aligned;
  } memory;
  zcrpc_arena *a = zcrpc_arena_new_in(&memory, sizeof memory, NULL);
  const zcrpc_view *v[200], *again;
  char said[4096];
  int i, round;
  (void)state;
  for (i = 0; i < 200; i++) v[i] = decode(a);
  zcrpc_arena_reset(a);
  for (round = 0; round < 2000; round++) {
    again = decode(a);
    assert_ptr_equal(again, v[0]);
    assert_int_equal(zcrpc_view_count(again, 3), 1);
    if (round % 2) zcrpc_arena_reset(a);
    else {
      decode(a);
      assert_int_equal(zcrpc_view_count(again, 3), 1);
      zcrpc_arena_reset(a);
    }
  }
  again = decode(a);
  assert_int_equal(zcrpc_view_count(again, 3), 1);
  said_by(use_zcrpc_view_has, v[100], said, sizeof said);
  assert_non_null(strstr(said, "zcrpc: zcrpc_view_has: view"));
  assert_non_null(strstr(said, " used after zcrpc_arena_reset"));
  assert_int_equal(zcrpc_view_count(again, 3), 1);
  zcrpc_arena_free(a);
}
/* An index in the caller's memory, where a view was before. */
static void an_index_in_the_place_of_an_ended_view_is_left_alone(void **state) {
  static union {
    char bytes[4096];
    double aligned;
  } memory;
  zcrpc_arena *a = zcrpc_arena_new_in(&memory, sizeof memory, NULL);
  const zcrpc_index *index = (const zcrpc_index *)(const void *)&memory;
  (void)state;
  decode(a);
  zcrpc_arena_free(a);
  assert_int_equal(zcrpc_view_index(type, kBytes, sizeof kBytes - 1, NULL, &memory, sizeof memory, &size, NULL), ZCRPC_OK);
  zcrpc_debug_view((const char *)&memory + index->root);
}

static int set_up(void **state) {
  static char set[65536];
  size_t n;
  FILE *f = fopen(HOSTILE_SET, "rb");
  (void)state;
  assert_non_null(f);
  n = fread(set, 1, sizeof set, f);
  fclose(f);
  schema = zcrpc_schema_new(set, n, NULL);
  type = zcrpc_schema_type(schema, "hostile.H");
  arena = zcrpc_arena_new(NULL);
  return type && arena ? 0 : -1;
}
static int tear_down(void **state) {
  (void)state;
  zcrpc_arena_free(arena);
  zcrpc_schema_release(schema);
  return 0;
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_function_that_takes_a_view_is_named),
      cmocka_unit_test(no_function_is_left_out),
      cmocka_unit_test(after_thousands_of_others_it_is_known_what_ended),
      cmocka_unit_test(of_thousands_in_one_arena_the_first_is_known),
      cmocka_unit_test(a_view_in_the_place_of_an_ended_one_is_left_alone),
      cmocka_unit_test(an_index_in_the_place_of_an_ended_view_is_left_alone),
  };
  return cmocka_run_group_tests(tests, set_up, tear_down);
}
