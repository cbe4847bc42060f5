/* Straight-line decoders against the library's tables: random messages of every kind of field, in order and in none, cut
 * at every byte, with bytes changed, on small budgets. Indexes byte for byte, errors with code, offset, text and path. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kinds/v1/kinds.zcrpc.h"
#include "kinds/v1/proto2.zcrpc.h"
#include "support/decoders.h"
#include "view_log.zcrpc.h"
#include "view_three.zcrpc.h"
#include "view_two.zcrpc.h"

static uint64_t seed;
static uint32_t below(uint32_t n) {
  seed = seed * 6364136223846793005u + 1442695040888963407u;
  return (uint32_t)((seed >> 33) % n);
}
static uint32_t one_in(uint32_t n) { return below(n) == 0; }

/* ---- Random wire bytes ---- */

typedef struct bytes {
  uint8_t *p;
  size_t n, max;
} bytes;

static void add(bytes *b, const void *data, size_t n) {
  if (b->n + n > b->max) {
    b->max = (b->n + n) * 2;
    b->p = realloc(b->p, b->max);
    assert_non_null(b->p);
  }
  if (n) memcpy(b->p + b->n, data, n);
  b->n += n;
}
static void add_byte(bytes *b, unsigned v) {
  uint8_t c = (uint8_t)v;
  add(b, &c, 1);
}
static void add_varint(bytes *b, uint64_t v) {
  for (; v >= 0x80; v >>= 7) add_byte(b, (unsigned)(v & 0x7F) | 0x80);
  add_byte(b, (unsigned)v);
  if (one_in(400)) { /* longer than it need be */
    b->p[b->n - 1] |= 0x80;
    add_byte(b, 0);
  }
}
static void add_tag(bytes *b, uint32_t field, uint32_t type) { add_varint(b, field << 3 | type); }
static uint64_t any_number(void) {
  static const uint64_t some[] = {0, 1, 2, 10, 127, 128, 300, 1000, 16383, 16384, 2147483647u, 4294967295u, UINT64_MAX, UINT64_C(1) << 63};
  return one_in(3) ? some[below(sizeof some / sizeof *some)] : below(200);
}
static void add_text(bytes *b, int text) {
  static const char *const odd[] = {"gr\xC3\xBC\xC3\x9F", "\xE2\x82\xAC", "\xF0\x9F\x98\x80"};
  uint32_t i, n = one_in(20) ? below(600) : one_in(4) ? 50 + below(100) : below(24);
  for (i = 0; i < n; i++) add_byte(b, 'a' + below(26));
  if (one_in(text ? 12 : 3)) {
    const char *more = odd[below(3)];
    add(b, more, strlen(more));
  }
  if (one_in(text ? 500 : 3)) add_byte(b, 0xC0 + below(64));
}
static void add_payload(bytes *b, const bytes *payload) {
  add_varint(b, payload->n);
  add(b, payload->p, payload->n);
}

static uint32_t wire_of(int32_t kind) {
  switch (kind) {
    case ZCRPC_KIND_DOUBLE: case ZCRPC_KIND_FIXED64: case ZCRPC_KIND_SFIXED64: return 1;
    case ZCRPC_KIND_FLOAT: case ZCRPC_KIND_FIXED32: case ZCRPC_KIND_SFIXED32: return 5;
    case ZCRPC_KIND_STRING: case ZCRPC_KIND_BYTES: case ZCRPC_KIND_MESSAGE: return 2;
    case ZCRPC_KIND_GROUP: return 3;
    default: return 0;
  }
}
static void add_number(bytes *b, uint32_t wire) {
  uint64_t v = any_number();
  if (wire == 0) add_varint(b, v);
  if (wire == 1) add(b, &v, 8);
  if (wire == 5) add(b, &v, 4);
}

static void add_message(bytes *b, const zcrpc_type *t, int depth);

static void add_field(bytes *b, const zcrpc_field_info *f, int depth) {
  const uint32_t wire = wire_of(f->kind);
  bytes inner = {NULL, 0, 0};
  if (f->kind == ZCRPC_KIND_GROUP) {
    add_tag(b, f->number, 3);
    add_message(b, f->message, depth + 1);
    if (!one_in(300)) add_tag(b, f->number, 4);
    return;
  }
  if (f->kind == ZCRPC_KIND_MESSAGE) {
    if (depth > 5 && !one_in(3)) return;
    add_message(&inner, f->message, depth + 1);
  } else if (wire == 2) {
    add_text(&inner, f->kind == ZCRPC_KIND_STRING);
  } else {
    const uint32_t packed = (f->flags & ZCRPC_FIELD_PACKED) != 0;
    if (!(f->flags & ZCRPC_FIELD_REPEATED) || packed == one_in(12)) {
      add_tag(b, f->number, wire);
      add_number(b, wire);
      return;
    }
    { /* a run of small ones in places */
      uint32_t i, n = one_in(8) ? below(300) : below(6), small = one_in(2);
      for (i = 0; i < n; i++)
        if (small && wire == 0) add_byte(&inner, below(128));
        else add_number(&inner, wire);
    }
  }
  add_tag(b, f->number, 2);
  add_payload(b, &inner);
  free(inner.p);
}

static void add_stranger(bytes *b) {
  const uint32_t field = one_in(2) ? 1 + below(20) : 100 + below(3000), wire = below(4);
  bytes inner = {NULL, 0, 0};
  if (wire == 2) {
    add_tag(b, field, 2);
    add_text(&inner, 0);
    add_payload(b, &inner);
  } else if (wire == 3) {
    add_tag(b, field, 3);
    add_tag(b, field, 4);
  } else {
    add_tag(b, field, wire == 1 ? 1 : 0);
    add_number(b, wire == 1 ? 1 : 0);
  }
  free(inner.p);
}

static void add_message(bytes *b, const zcrpc_type *t, int depth) {
  zcrpc_field_info f;
  zcrpc_type_info info;
  uint32_t i, j, n;
  const uint32_t chance = depth == 0 ? 2 : 3 + (uint32_t)depth, shuffle = one_in(4);
  info.struct_size = sizeof info;
  f.struct_size = sizeof f;
  zcrpc_type_get_info(t, &info);
  n = info.field_count;
  if (n == 0) return;
  for (i = 0; i < n; i++) {
    if (!zcrpc_type_field_at(t, shuffle ? below(n) : i, &f)) continue;
    if (!(info.flags & ZCRPC_TYPE_MAP_ENTRY) && !one_in(n > 40 ? chance * 4 : chance)) continue;
    if (info.flags & ZCRPC_TYPE_MAP_ENTRY && one_in(25)) continue;
    j = f.flags & ZCRPC_FIELD_REPEATED ? (one_in(6) ? 20 : 1) + below(4) : one_in(40) ? 2 : 1;
    while (j--) add_field(b, &f, depth);
    if (one_in(60)) add_stranger(b);
  }
}

/* ---- Both sides ---- */

static zcrpc_arena *arena;
static zcrpc_options *tight;

static void same(zcrpc_file *f, uint32_t message, const uint8_t *data, size_t len, const zcrpc_options *o, int slack) {
  /* A copy of exactly that size, so that a sanitizer sees the first byte read past its end. */
  uint8_t *exact = malloc(len ? len : 1);
  const char *wrong;
  assert_non_null(exact);
  if (len) memcpy(exact, data, len);
  wrong = compare_decoders(f, message, exact, len, NULL, o, arena);
  if (!wrong && slack) {
    void *room;
    zcrpc_buffer *b = zcrpc_buffer_new(len, &room, NULL);
    assert_non_null(b);
    if (len) memcpy(room, data, len);
    wrong = compare_decoders(f, message, NULL, len, b, o, arena);
    zcrpc_arena_reset(arena);
    zcrpc_buffer_release(b);
  }
  if (wrong) {
    size_t i;
    print_message("%s\n", wrong);
    for (i = 0; i < len && i < 4000; i++) print_message("%02x", exact[i]);
    print_message("\n");
  }
  free(exact);
  assert_null(wrong);
}

static void try_type(zcrpc_file *f, uint32_t message, int rounds) {
  const zcrpc_type *type = zcrpc_file_type(f, message, NULL);
  assert_non_null(type);
  while (rounds--) {
    bytes b = {NULL, 0, 0};
    uint32_t i;
    add_message(&b, type, 0);
    if (b.n > 60000) b.n = 60000;
    same(f, message, b.p, b.n, NULL, 1);
    assert_int_equal(zcrpc_options_set_int(tight, ZCRPC_DECODE_MAX_INDEX, 200 + below(1 + (uint32_t)b.n * 3), NULL), ZCRPC_OK);
    assert_int_equal(zcrpc_options_set_int(tight, ZCRPC_DECODE_MAX_DEPTH, 1 + below(8), NULL), ZCRPC_OK);
    same(f, message, b.p, b.n, tight, 1);
    if (b.n < 400)
      for (i = 0; i < b.n; i++) same(f, message, b.p, i, NULL, 1);
    else
      for (i = 0; i < 20; i++) same(f, message, b.p, below((uint32_t)b.n), NULL, 1);
    for (i = 0; b.n && i < 30; i++) {
      const uint32_t at = below((uint32_t)b.n);
      const uint8_t was = b.p[at];
      b.p[at] = (uint8_t)(one_in(2) ? below(256) : was ^ (1u << below(8)));
      same(f, message, b.p, b.n, NULL, i % 2);
      if (one_in(2)) b.p[at] = was;
    }
    free(b.p);
  }
}

static void try_file(zcrpc_file *f, int rounds) {
  zcrpc_decoders d;
  zcrpc_file base = baseline_of(f, &d);
  uint32_t i;
  assert_non_null(zcrpc_file_schema(&base, NULL));
  for (i = 0; i < f->message_count; i++) {
    try_type(f, i, rounds);
    try_type(&base, i, rounds / 2);
  }
  zcrpc_file_unload(&base);
  zcrpc_file_unload(f);
}

static void decoders_agree_with_tables_on_proto3(void **state) {
  (void)state;
  seed = 1;
  try_file(&viewtest_three_view_three_file, 40);
}
static void decoders_agree_with_tables_on_proto2(void **state) {
  (void)state;
  seed = 2;
  try_file(&viewtest_two_view_two_file, 40);
}
static void decoders_agree_with_tables_on_messages_of_other_files(void **state) {
  (void)state;
  seed = 3;
  try_file(&kinds_v1_kinds_file, 40);
  try_file(&kinds_two_kinds_v1_proto2_file, 40);
}
static void decoders_agree_with_tables_on_log_batches(void **state) {
  (void)state;
  seed = 4;
  try_file(&bench_v1_view_log_file, 150);
}

static void add_entry(bytes *b, const char *key, size_t key_len, const char *value) {
  add_byte(b, 6 << 3 | 2);
  add_byte(b, (unsigned)(key_len + strlen(value) + 4));
  add_byte(b, 1 << 3 | 2);
  add_byte(b, (unsigned)key_len);
  add(b, key, key_len);
  add_byte(b, 2 << 3 | 2);
  add_byte(b, (unsigned)strlen(value));
  add(b, value, strlen(value));
}
static uint32_t place_in_log(const char *name) {
  uint32_t i = 0;
  while (strcmp(bench_v1_view_log_file.message_names[i], name)) i++;
  return i;
}
/* Whether a map has a key twice is only looked at where keys do not ascend. Keys that are alike, or begin or end in bytes that
 * a comparison of signed bytes, of whole vectors or of what lies behind a key would put in another order. */
static void try_keys(zcrpc_file *f) {
  static const char *const keys[] = {"", "a", "ab", "a\x01", "a\x12", "a\x13", "b", "\x01", "\x7F", "\xC3\xA9", "a\xC3\xA9", "label-key-10",
    "0123456789012345678901234567890", "01234567890123456789012345678901", "012345678901234567890123456789012", "01234567890123456789012345678901a"};
  static const char *const values[] = {"", "v", "\xE2\x82\xAC"};
  enum { kKeys = sizeof keys / sizeof *keys };
  const uint32_t record = place_in_log("bench.v1.LogRecord");
  uint32_t i, j, k, more;
  seed = 5;
  for (i = 0; i < kKeys; i++)
    for (j = 0; j < kKeys; j++)
      for (k = 0; k < 3; k++)
        for (more = 0; more < 4; more++) {
          bytes b = {NULL, 0, 0};
          add_entry(&b, keys[i], strlen(keys[i]), values[k]);
          add_entry(&b, keys[j], strlen(keys[j]), values[k && (i + j) % 3 == 0]);
          if (more & 1) add_entry(&b, keys[i], strlen(keys[i]), "w");
          if (more & 2) add(&b, "\x3A\x01t", 3);
          same(f, record, b.p, b.n, NULL, 1);
          free(b.p);
        }
}
static void a_key_that_comes_twice_is_seen_in_any_order(void **state) {
  zcrpc_decoders d;
  zcrpc_file base = baseline_of(&bench_v1_view_log_file, &d);
  (void)state;
  try_keys(&bench_v1_view_log_file);
  try_keys(&base);
  zcrpc_file_unload(&base);
}
/* The last entry of a message is its last though what lies behind, in the message around it, looks like one more. */
static void a_map_ends_with_its_message(void **state) {
  const uint32_t batch = place_in_log("bench.v1.LogBatch");
  uint32_t entries, behind;
  (void)state;
  for (entries = 1; entries < 4; entries++)
    for (behind = 0; behind < 4; behind++) {
      bytes b = {NULL, 0, 0}, record = {NULL, 0, 0};
      uint32_t i;
      for (i = 0; i < entries; i++) add_entry(&record, &"abc"[i % 3], 1, "value");
      add_byte(&b, 1 << 3 | 2);
      add_byte(&b, (unsigned)record.n);
      add(&b, record.p, record.n);
      for (i = 0; i < behind; i++) add_entry(&b, "x", 1, "y");
      add(&b, "\x00\x00\x00\x00", behind ? 0 : 4); /* tag 0: a fault, whose place is compared */
      same(&bench_v1_view_log_file, batch, b.p, b.n, NULL, 1);
      b.p[1] = (uint8_t)(b.p[1] + 5); /* reaches into what is behind */
      same(&bench_v1_view_log_file, batch, b.p, b.n, NULL, 1);
      free(b.p);
      free(record.p);
    }
}

/* ---- Comparers ---- */

static size_t written(zcrpc_encoder *e, char *out, size_t cap) {
  zcrpc_buffer *b = zcrpc_encoder_finish(e, NULL);
  zcrpc_slice s;
  assert_non_null(b);
  zcrpc_buffer_slice(b, &s);
  assert_true(s.len <= cap);
  memcpy(out, s.data, s.len);
  zcrpc_buffer_release(b);
  return s.len;
}

/* A copy through generated code is the one that the library makes: of random messages, of what they are when written
 * again (which comes as it would be written), and of that with one byte changed. */
#define COPIES(type)                                                                            \
  static void copies_of_##type(int rounds) {                                                    \
    static char once[1 << 20], own[1 << 20], theirs[1 << 20];                                   \
    zcrpc_encoder *e = type##_encoder(NULL);                                                    \
    const zcrpc_type *t = type##_type_in(NULL, NULL);                                           \
    size_t n, k;                                                                                \
    assert_non_null(e);                                                                         \
    while (rounds--) {                                                                          \
      bytes b = {NULL, 0, 0};                                                                   \
      const type *m;                                                                            \
      int turn;                                                                                 \
      add_message(&b, t, 0);                                                                    \
      n = b.n < 100000 ? b.n : 0;                                                               \
      if (n) memcpy(once, b.p, n);                                                              \
      free(b.p);                                                                                \
      for (turn = 0; turn < 12; turn++) {                                                       \
        zcrpc_arena_reset(arena);                                                               \
        if (!(m = type##_decode(once, n, arena, NULL))) break;                                  \
        zcrpc_encoder_reset(e, t);                                                              \
        type##_copy(type##_write(e), m);                                                        \
        k = written(e, own, sizeof own);                                                        \
        zcrpc_encoder_reset(e, t);                                                              \
        zcrpc_encoder_put_fields(e, type##_view(m));                                            \
        assert_int_equal(written(e, theirs, sizeof theirs), k);                                 \
        assert_memory_equal(own, theirs, k);                                                    \
        assert_int_equal(zcrpc_view_encoded_size(type##_view(m)), k);                           \
        if (turn == 0) {                                                                        \
          memcpy(once, own, n = k);                                                             \
        } else if (turn == 1) {                                                                 \
          assert_int_equal(k, n);                                                               \
          assert_memory_equal(own, once, k);                                                    \
        }                                                                                       \
        if (turn && n) once[below((uint32_t)n)] = (char)below(256);                             \
      }                                                                                         \
    }                                                                                           \
    zcrpc_encoder_free(e);                                                                      \
  }
COPIES(kinds_v1_All)
COPIES(kinds_v1_Optional)
COPIES(kinds_v1_Repeated)
COPIES(kinds_v1_Maps)
COPIES(kinds_v1_Oneof)
COPIES(kinds_two_Two)
COPIES(bench_v1_LogBatch)

static void copies_are_those_of_the_library(void **state) {
  (void)state;
  seed = 5;
  copies_of_kinds_v1_All(150);
  copies_of_kinds_v1_Optional(150);
  copies_of_kinds_v1_Repeated(150);
  copies_of_kinds_v1_Maps(150);
  copies_of_kinds_v1_Oneof(150);
  copies_of_kinds_two_Two(150);
  copies_of_bench_v1_LogBatch(150);
}

/* Optimised code has them; what else would have been compared above? */
static void decoders_are_there(void **state) {
  (void)state;
#ifdef __OPTIMIZE__
  assert_non_null(viewtest_three_view_three_file.decoders);
  assert_int_equal(viewtest_three_view_three_file.decoders->decode, ZCRPC_DECODE);
  assert_non_null(viewtest_three_view_three_file.decoders->baseline[0]);
#endif
}

static const uint8_t *never(zcrpc_decode *d, const uint8_t *p, const uint8_t *end, uint8_t *m, const zcrpc_decode_type *t, uint32_t depth) {
  (void)d, (void)p, (void)end, (void)m, (void)t, (void)depth;
  fail_msg("a decoder of another number was called");
  return NULL;
}

/* A file generated for another number of zcrpc/decode.h is decoded by tables, and works. */
static void decoders_of_another_number_are_left_alone(void **state) {
  static const uint8_t leaf[] = {0x0A, 2, 'h', 'i', 0x10, 7};
  zcrpc_decode_fn *all[64];
  zcrpc_decoders d = {sizeof d, ZCRPC_DECODE + 1, all, all};
  zcrpc_file f = kinds_v1_kinds_file;
  zcrpc_error *err = NULL;
  const kinds_v1_Leaf *m;
  size_t i;
  (void)state;
  for (i = 0; i < 64; i++) all[i] = never;
  f.loaded = NULL;
  f.decoders = &d;
  zcrpc_arena_reset(arena);
  m = kinds_v1_Leaf_of(zcrpc_file_decode(&f, 1, leaf, sizeof leaf, NULL, arena, &err));
  assert_non_null(m);
  assert_int_equal(kinds_v1_Leaf_value(m), 7);
  zcrpc_file_unload(&f);
}

static void wrong_arguments_are_told(void **state) {
  zcrpc_error *err = NULL;
  (void)state;
  assert_null(zcrpc_file_decode(&kinds_v1_kinds_file, 1, NULL, 3, NULL, arena, &err));
  assert_int_equal(zcrpc_error_code(err), ZCRPC_INVALID_ARGUMENT);
  zcrpc_error_free(err);
  err = NULL;
  assert_null(zcrpc_file_decode(&kinds_v1_kinds_file, 1000, "", 0, NULL, arena, &err));
  assert_int_equal(zcrpc_error_code(err), ZCRPC_INVALID_ARGUMENT);
  zcrpc_error_free(err);
  err = NULL;
  assert_null(zcrpc_file_decode_buffer(&kinds_v1_kinds_file, 1, NULL, NULL, arena, &err));
  assert_int_equal(zcrpc_error_code(err), ZCRPC_INVALID_ARGUMENT);
  zcrpc_error_free(err);
}

static int set_up(void **state) {
  (void)state;
  arena = zcrpc_arena_new(NULL);
  tight = zcrpc_options_new(ZCRPC_FOR_DECODE, NULL);
  return arena && tight ? 0 : -1;
}
static int tear_down(void **state) {
  (void)state;
  zcrpc_arena_free(arena);
  zcrpc_options_free(tight);
  zcrpc_file_unload(&kinds_v1_kinds_file);
  return 0;
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(decoders_are_there),
      cmocka_unit_test(decoders_agree_with_tables_on_proto3),
      cmocka_unit_test(decoders_agree_with_tables_on_proto2),
      cmocka_unit_test(decoders_agree_with_tables_on_messages_of_other_files),
      cmocka_unit_test(decoders_agree_with_tables_on_log_batches),
      cmocka_unit_test(a_key_that_comes_twice_is_seen_in_any_order),
      cmocka_unit_test(a_map_ends_with_its_message),
      cmocka_unit_test(copies_are_those_of_the_library),
      cmocka_unit_test(decoders_of_another_number_are_left_alone),
      cmocka_unit_test(wrong_arguments_are_told),
  };
  return cmocka_run_group_tests(tests, set_up, tear_down);
}
