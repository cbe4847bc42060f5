/* Edits as C sees them: which bytes come out, what is read back, what is told of mistakes; masks; equality and hash. */
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
static const zcrpc_type *all, *leaf, *maps, *two, *repeated, *set_type, *unpacked;
static zcrpc_arena *arena, *other;
static zcrpc_encoder *e;

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
  maps = zcrpc_schema_type(schema, "t.Maps");
  two = zcrpc_schema_type(schema, "t2.Two");
  repeated = zcrpc_schema_type(schema, "t.Repeated");
  unpacked = zcrpc_schema_type(schema, "t.Unpacked");
  set_type = zcrpc_schema_type(schema, "t2.Set");
  arena = zcrpc_arena_new(NULL);
  other = zcrpc_arena_new(NULL);
  e = zcrpc_encoder_new(NULL, NULL);
  return all && leaf && maps && two && repeated && set_type && unpacked && arena && other && e ? 0 : -1;
}
static int tear_down(void **state) {
  (void)state;
  zcrpc_encoder_free(e);
  zcrpc_arena_free(other);
  zcrpc_arena_free(arena);
  zcrpc_schema_release(schema);
  return 0;
}

static const zcrpc_view *decode(const zcrpc_type *t, const char *bytes, size_t len, zcrpc_arena *a) {
  zcrpc_error *err = NULL;
  const zcrpc_view *v = zcrpc_view_decode(t, bytes, len, NULL, a, &err);
  if (err) print_message("%s at %d\n", zcrpc_error_message(err), (int)zcrpc_error_offset(err));
  assert_non_null(v);
  return v;
}
#define DECODE(t, bytes) decode(t, bytes, sizeof(bytes) - 1, arena)
#define EDIT(t, bytes) zcrpc_encoder_edit(e, DECODE(t, bytes))

static void assert_result(const char *want, size_t len) {
  zcrpc_error *err = NULL;
  size_t size = zcrpc_encoder_size(e), i;
  zcrpc_buffer *b = zcrpc_encoder_finish(e, &err);
  zcrpc_slice s;
  if (err) print_message("%s (%s)\n", zcrpc_error_message(err), zcrpc_error_path(err));
  assert_non_null(b);
  zcrpc_buffer_slice(b, &s);
  if (s.len != len || memcmp(s.data, want, len) != 0) {
    for (i = 0; i < s.len; i++) print_message("%02x ", (unsigned char)s.data[i]);
    print_message("\n");
  }
  assert_int_equal(s.len, len);
  assert_memory_equal(s.data, want, len);
  assert_int_equal(size, len);
  zcrpc_buffer_release(b);
}
#define RESULT(want) assert_result(want, sizeof(want) - 1)

static void assert_mistake(zcrpc_code code, const char *message, const char *path) {
  zcrpc_error *err = NULL;
  assert_null(zcrpc_encoder_finish(e, &err));
  assert_string_equal(zcrpc_error_message(err), message);
  assert_string_equal(zcrpc_error_path(err), path);
  assert_int_equal(zcrpc_error_code(err), code);
  zcrpc_error_free(err);
}

/* f_int32 1; an unknown field 99 with an overlong varint; f_string "ab"; leaf { name "n" unknown 9: 7 }; f_int32 2 */
#define MIXED "\x28\x01" "\x98\x06\x85\x80\x00" "\x4A\x02" "ab" "\x9A\x01\x05\x0A\x01n\x48\x07" "\x28\x02"

static void what_is_not_touched_passes_byte_for_byte(void **state) {
  (void)state;
  EDIT(all, MIXED);
  RESULT(MIXED);
  EDIT(all, MIXED);
  zcrpc_encoder_clear(e, 13); /* is not there */
  RESULT(MIXED);
}

static void a_new_value_stands_where_the_old_one_stood(void **state) {
  (void)state;
  EDIT(all, MIXED);
  zcrpc_encoder_put_int64(e, 5, 9);
  RESULT("\x28\x09" "\x98\x06\x85\x80\x00" "\x4A\x02" "ab" "\x9A\x01\x05\x0A\x01n\x48\x07");
  EDIT(all, MIXED);
  zcrpc_encoder_put_string(e, 9, "longer", ZCRPC_NTS);
  zcrpc_encoder_put_string(e, 9, "c", 1); /* the last one wins, and the other leaves no trace */
  zcrpc_encoder_put_uint64(e, 13, 3);     /* was not there: at the end */
  RESULT("\x28\x01" "\x98\x06\x85\x80\x00" "\x4A\x01" "c" "\x9A\x01\x05\x0A\x01n\x48\x07" "\x28\x02" "\x68\x03");
}

static void a_field_deep_inside_is_changed_alone(void **state) {
  (void)state;
  EDIT(all, MIXED);
  zcrpc_encoder_begin(e, 19);
  zcrpc_encoder_put_string(e, 1, "other", 5);
  zcrpc_encoder_end(e);
  RESULT("\x28\x01" "\x98\x06\x85\x80\x00" "\x4A\x02" "ab" "\x9A\x01\x09\x0A\x05other\x48\x07" "\x28\x02");
  /* A sub-message in two pieces becomes one, where the first one stood. */
  EDIT(all, "\x9A\x01\x03\x0A\x01n" "\x28\x01" "\x9A\x01\x04\x10\x05\x48\x07");
  zcrpc_encoder_begin(e, 19);
  zcrpc_encoder_put_int64(e, 2, 6);
  zcrpc_encoder_end(e);
  RESULT("\x9A\x01\x07\x0A\x01n\x10\x06\x48\x07" "\x28\x01");
}

static void cleared_fields_leave_no_occurrence(void **state) {
  (void)state;
  EDIT(all, MIXED);
  zcrpc_encoder_clear(e, 5);
  zcrpc_encoder_clear(e, 99); /* unknown */
  zcrpc_encoder_begin(e, 19);
  zcrpc_encoder_clear(e, 9);
  zcrpc_encoder_end(e);
  RESULT("\x4A\x02" "ab" "\x9A\x01\x03\x0A\x01n");
  /* A field of another wire type than declared is unknown, and stays. */
  EDIT(all, "\x2A\x01x" "\x28\x01");
  zcrpc_encoder_clear(e, 5);
  RESULT("\x2A\x01x");
}

static void a_oneof_has_one_member(void **state) {
  (void)state;
  EDIT(all, "\xF0\x01\x05" "\x28\x01" "\xFA\x01\x01x");
  zcrpc_encoder_put_int64(e, 30, 7);
  RESULT("\xF0\x01\x07" "\x28\x01");
  /* A member that had been replaced does not come back when the one that replaced it is cleared. */
  EDIT(all, "\xF0\x01\x05" "\x28\x01" "\xFA\x01\x01x");
  zcrpc_encoder_clear(e, 31);
  RESULT("\x28\x01");
  EDIT(all, "\xF0\x01\x05" "\x28\x01" "\xFA\x01\x01x");
  zcrpc_encoder_clear(e, 30); /* is not set: nothing happens to the other */
  RESULT("\x28\x01" "\xFA\x01\x01x");
  /* Nor do pieces merge that it had parted: picked { name }, number, picked { value }. */
  EDIT(all, "\x82\x02\x03\x0A\x01" "a" "\xF0\x01\x05" "\x82\x02\x02\x10\x01");
  zcrpc_encoder_clear(e, 30);
  RESULT("\x82\x02\x02\x10\x01");
  /* picked, number, picked: only the second picked is there to be opened. */
  EDIT(all, "\x82\x02\x03\x0A\x01" "a" "\xF0\x01\x05" "\x82\x02\x02\x10\x01");
  zcrpc_encoder_begin(e, 32);
  zcrpc_encoder_put_int64(e, 2, 2);
  zcrpc_encoder_end(e);
  RESULT("\x82\x02\x02\x10\x02");
}

static void elements_are_replaced_removed_appended(void **state) {
  (void)state;
  EDIT(all, "\xC2\x02\x02\x10\x01" "\x28\x01" "\xC2\x02\x02\x10\x02" "\xC2\x02\x02\x10\x03");
  zcrpc_encoder_remove_at(e, 40, 0);
  zcrpc_encoder_begin_at(e, 40, 1); /* the third one */
  zcrpc_encoder_put_int64(e, 2, 33);
  zcrpc_encoder_end(e);
  zcrpc_encoder_begin(e, 40);
  zcrpc_encoder_put_int64(e, 2, 4);
  zcrpc_encoder_end(e);
  zcrpc_encoder_remove_at(e, 40, 2); /* the new one */
  RESULT("\x28\x01" "\xC2\x02\x02\x10\x02" "\xC2\x02\x02\x10\x21");
  /* Numbers come out as declared: packed, where the first record stood. */
  EDIT(repeated, "\x28\x01" "\x4A\x01" "a" "\x2A\x02\x02\x03");
  zcrpc_encoder_put_int64_at(e, 5, 1, -1);
  zcrpc_encoder_remove_at(e, 5, 0);
  zcrpc_encoder_put_string_at(e, 9, 0, "b", 1);
  RESULT("\x2A\x0B\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01\x03" "\x4A\x01" "b");
  EDIT(unpacked, "\x2A\x02\x02\x03");
  zcrpc_encoder_put_uint64_at(e, 5, 1, 4);
  RESULT("\x28\x02\x28\x04");
  EDIT(repeated, "\x0A\x08\0\0\0\0\0\0\xF0\x3F");
  zcrpc_encoder_put_double_at(e, 1, 0, 2.0);
  RESULT("\x0A\x08\0\0\0\0\0\0\0\x40");
}

static void keys_of_maps_are_set_opened_removed(void **state) {
  (void)state;
  /* counts { a: 1, b: 2, a: 3 } */
#define COUNTS "\x12\x05\x0A\x01" "a\x10\x01" "\x12\x05\x0A\x01" "b\x10\x02" "\x12\x05\x0A\x01" "a\x10\x03"
  EDIT(maps, COUNTS);
  zcrpc_encoder_remove_key(e, 2, "a", 1);
  RESULT("\x12\x05\x0A\x01" "b\x10\x02");
  EDIT(maps, COUNTS);
  zcrpc_encoder_begin(e, 2);
  zcrpc_encoder_put_string(e, 1, "a", 1);
  zcrpc_encoder_put_int64(e, 2, 9);
  zcrpc_encoder_end(e);
  RESULT("\x12\x05\x0A\x01" "b\x10\x02" "\x12\x05\x0A\x01" "a\x10\x09");
  /* leaves { 7: { name "n" unknown } } */
  EDIT(maps, "\x2A\x09\x08\x07\x12\x05\x0A\x01n\x48\x07");
  zcrpc_encoder_begin_key_int(e, 5, 7);
  zcrpc_encoder_put_int64(e, 2, 1);
  zcrpc_encoder_end(e);
  zcrpc_encoder_begin_key_int(e, 5, 8);
  zcrpc_encoder_end(e);
  RESULT("\x2A\x0B\x08\x07\x12\x07\x0A\x01n\x48\x07\x10\x01" "\x2A\x04\x08\x08\x12\x00");
  EDIT(maps, "\x2A\x02\x08\x07");
  zcrpc_encoder_remove_key_int(e, 5, 7);
  RESULT("");
  EDIT(maps, COUNTS);
  zcrpc_encoder_clear(e, 2);
  RESULT("");
}

static void strangers_of_closed_enums_stay(void **state) {
  zcrpc_mask *m;
  (void)state;
  /* list, packed: A, 99, B; closed 99; closed_map 1: 99 */
  EDIT(two, "\x08\x01" "\x3A\x03\x01\x63\x02" "\x20\x63" "\x72\x04\x08\x01\x10\x63");
  zcrpc_encoder_clear(e, 7);
  zcrpc_encoder_clear(e, 4);
  zcrpc_encoder_clear(e, 14);
  RESULT("\x08\x01" "\x38\x63" "\x20\x63" "\x72\x04\x08\x01\x10\x63");
  /* But not where a mask tells what is to stay. */
  EDIT(two, "\x08\x01" "\x3A\x03\x01\x63\x02" "\x20\x63" "\x72\x04\x08\x01\x10\x63");
  m = zcrpc_mask_new(two, "id", ZCRPC_NTS, 0, NULL);
  zcrpc_encoder_trim(e, m);
  RESULT("\x08\x01");
  zcrpc_mask_free(m);
}

static void groups_extensions_and_message_sets_are_edited(void **state) {
  (void)state;
  /* part group { x 1 }, parts group { z 1 }, note "n" */
  EDIT(two, "\x08\x01" "\x2B\x08\x01\x2C" "\x33\x08\x01\x34" "\xA2\x06\x01n");
  zcrpc_encoder_begin(e, 5);
  zcrpc_encoder_put_string(e, 2, "y", 1);
  zcrpc_encoder_end(e);
  zcrpc_encoder_begin_at(e, 6, 0);
  zcrpc_encoder_put_int64(e, 1, 2);
  zcrpc_encoder_end(e);
  zcrpc_encoder_put_string(e, 100, "m", 1);
  RESULT("\x08\x01" "\x2B\x08\x01\x12\x01y\x2C" "\x33\x08\x02\x34" "\xA2\x06\x01m");
  /* An item in group form: type id 1000, { text "t" }; and an unknown one. */
  EDIT(set_type, "\x0B\x10\xE8\x07\x1A\x03\x0A\x01t\x0C" "\x0B\x10\x05\x1A\x00\x0C");
  zcrpc_encoder_begin(e, 1000);
  zcrpc_encoder_put_string(e, 1, "u", 1);
  zcrpc_encoder_end(e);
  RESULT("\x0B\x10\xE8\x07\x1A\x03\x0A\x01u\x0C" "\x0B\x10\x05\x1A\x00\x0C");
}

static void a_merge_is_protobufs(void **state) {
  const zcrpc_view *v;
  (void)state;
  /* int32 5, leaf { value 2 }, leaves [ {} ] */
  v = decode(all, "\x28\x05" "\x9A\x01\x02\x10\x02" "\xC2\x02\x00", 10, other);
  EDIT(all, "\x28\x01" "\x9A\x01\x03\x0A\x01n");
  zcrpc_encoder_put_int64(e, 5, 3); /* before the merge: v's wins */
  zcrpc_encoder_merge(e, v);
  zcrpc_encoder_put_string(e, 9, "s", 1);
  zcrpc_encoder_begin(e, 19); /* both pieces */
  zcrpc_encoder_put_int64(e, 2, 7);
  zcrpc_encoder_end(e);
  RESULT("\x28\x03" "\x9A\x01\x05\x0A\x01n\x10\x07" "\x28\x05" "\xC2\x02\x00" "\x4A\x01s");
  zcrpc_arena_reset(other);
}

static void what_was_set_can_be_read_back(void **state) {
  const zcrpc_view *v;
  zcrpc_slice s;
  (void)state;
  EDIT(all, MIXED);
  zcrpc_encoder_begin(e, 19);
  zcrpc_encoder_put_string(e, 1, "set", 3);
  v = zcrpc_encoder_view(e, other, NULL); /* with leaf still open */
  assert_non_null(v);
  zcrpc_view_string(zcrpc_view_message(v, 19), 1, &s);
  assert_int_equal(s.len, 3);
  assert_memory_equal(s.data, "set", 3);
  zcrpc_encoder_put_string(e, 1, "again", 5);
  zcrpc_encoder_end(e);
  v = zcrpc_encoder_view(e, other, NULL);
  zcrpc_view_string(zcrpc_view_message(v, 19), 1, &s);
  assert_int_equal(s.len, 5);
  zcrpc_encoder_reset(e, all); /* the view lives on its own */
  assert_int_equal(zcrpc_view_int32(v, 5), 2);
  assert_null(zcrpc_encoder_view(e, other, NULL)); /* no edit */
  zcrpc_arena_reset(other);
}

/* Of 5 bytes, of some blocks, and of what malloc gets from the system: each was read where memory had been freed. */
static void what_is_read_back_outlives_the_edit(void **state) {
  static const size_t sizes[] = {5, 1000, 20000, 200000};
  size_t i;
  (void)state;
  for (i = 0; i < sizeof sizes / sizeof *sizes; i++) {
    size_t n = sizes[i], k;
    char *text = (char *)malloc(n);
    zcrpc_encoder *once = zcrpc_encoder_new(all, NULL);
    const zcrpc_view *v;
    zcrpc_slice s;
    memset(text, 'x', n);
    zcrpc_encoder_edit(once, NULL);
    zcrpc_encoder_put_string(once, 9, text, n);
    v = zcrpc_encoder_view(once, other, NULL);
    assert_non_null(v);
    zcrpc_encoder_free(once);
    for (k = 0; k < 20; k++) {
      char *again = (char *)malloc(n + 16 * k);
      assert_non_null(again);
      memset(again, 'y', n + 16 * k);
      free(again);
    }
    zcrpc_view_string(v, 9, &s);
    assert_int_equal(s.len, n);
    assert_memory_equal(s.data, text, n);
    free(text);
    zcrpc_arena_reset(other);
  }
}

static void an_edit_can_begin_with_nothing(void **state) {
  (void)state;
  zcrpc_encoder_reset(e, all);
  zcrpc_encoder_edit(e, NULL);
  zcrpc_encoder_begin(e, 19);
  zcrpc_encoder_put_int64(e, 2, 1);
  zcrpc_encoder_end(e);
  zcrpc_encoder_begin(e, 19); /* the same one */
  zcrpc_encoder_put_string(e, 1, "n", 1);
  zcrpc_encoder_end(e);
  RESULT("\x9A\x01\x05\x0A\x01n\x10\x01"); /* new fields by number */
}

static void large_parts_go_by_reference_and_only_from_buffers(void **state) {
  static char bytes[40000];
  zcrpc_slice parts[8], in;
  size_t n = 0, i, total = 0;
  zcrpc_buffer *b;
  void *p;
  const zcrpc_view *v;
  int counted;
  (void)state;
  /* f_int32 1, f_bytes of 30000, f_int32 2 at the end */
  memcpy(bytes, "\x28\x01\x62\xB0\xEA\x01", 6);
  memset(bytes + 6, 'x', 30000);
  memcpy(bytes + 30006, "\x40\x01", 2);
  for (counted = 0; counted < 2; counted++) {
    b = zcrpc_buffer_new(30008, &p, NULL);
    memcpy(p, bytes, 30008);
    zcrpc_buffer_slice(b, &in);
    v = counted ? zcrpc_view_decode_buffer(all, b, NULL, arena, NULL) : zcrpc_view_decode(all, in.data, in.len, NULL, arena, NULL);
    zcrpc_encoder_edit(e, v);
    zcrpc_encoder_put_int64(e, 5, 7);
    assert_int_equal(zcrpc_encoder_gather(e, parts, 8, &n, NULL), ZCRPC_OK);
    for (i = total = 0; i < n; i++) total += parts[i].len;
    assert_int_equal(total, 30008);
    if (counted) {
      assert_int_equal(n, 2);
      assert_ptr_equal(parts[1].data, in.data + 2); /* where it lies: nothing was copied but the new value */
      zcrpc_buffer_release(b);
      zcrpc_arena_reset(arena); /* the encoder holds it on its own */
      assert_memory_equal(parts[1].data, bytes + 2, parts[1].len);
      zcrpc_encoder_reset(e, all);
    } else {
      assert_int_equal(n, 1);
      zcrpc_encoder_reset(e, all);
      zcrpc_buffer_release(b);
    }
  }
}

static void mistakes_are_told_at_the_end(void **state) {
  (void)state;
  zcrpc_encoder_reset(e, all);
  zcrpc_encoder_clear(e, 5);
  assert_mistake(ZCRPC_FAILED_PRECONDITION, "only an encoder that edits can do this: call zcrpc_encoder_edit first", "");
  EDIT(all, MIXED);
  zcrpc_encoder_begin(e, 19);
  zcrpc_encoder_put_int64(e, 2, (int64_t)1 << 40);
  assert_mistake(ZCRPC_INVALID_ARGUMENT, "value out of range", "leaf.value");
  EDIT(all, MIXED);
  zcrpc_encoder_begin(e, 19);
  assert_mistake(ZCRPC_FAILED_PRECONDITION, "a sub-message is still open", "leaf");
  EDIT(all, MIXED);
  zcrpc_encoder_begin_at(e, 40, 0);
  assert_mistake(ZCRPC_OUT_OF_RANGE, "no such element", "leaves");
  EDIT(all, "\xC2\x02\x02\x10\x01");
  zcrpc_encoder_begin_at(e, 40, 0);
  zcrpc_encoder_put_string(e, 1, "\xFF", 1);
  assert_mistake(ZCRPC_INVALID_ARGUMENT, "invalid UTF-8", "leaves[0].name");
  EDIT(all, MIXED);
  zcrpc_encoder_end(e);
  assert_mistake(ZCRPC_FAILED_PRECONDITION, "end without begin", "");
  EDIT(all, MIXED);
  zcrpc_encoder_merge(e, DECODE(leaf, "\x10\x01"));
  assert_mistake(ZCRPC_INVALID_ARGUMENT, "a message of another type", "");
  EDIT(all, MIXED);
  zcrpc_encoder_put_raw(e, "\x28", 1);
  zcrpc_encoder_clear(e, 5);
  assert_mistake(ZCRPC_INVALID_ARGUMENT, "malformed fields in the message that is edited", "");
  EDIT(maps, COUNTS);
  zcrpc_encoder_remove_key_int(e, 2, 1);
  assert_mistake(ZCRPC_INVALID_ARGUMENT, "not a map with integer keys", "counts");
  EDIT(all, MIXED);
  zcrpc_encoder_put_string(e, 4711, "x", 1);
  assert_mistake(ZCRPC_INVALID_ARGUMENT, "t.All has no field 4711", "");
}

static void null_does_nothing(void **state) {
  zcrpc_slice s;
  (void)state;
  zcrpc_encoder_edit(NULL, NULL);
  zcrpc_encoder_begin_at(NULL, 1, 0);
  zcrpc_encoder_put_int64_at(NULL, 1, 0, 0);
  zcrpc_encoder_put_uint64_at(NULL, 1, 0, 0);
  zcrpc_encoder_put_double_at(NULL, 1, 0, 0);
  zcrpc_encoder_put_string_at(NULL, 1, 0, NULL, 0);
  zcrpc_encoder_remove_at(NULL, 1, 0);
  zcrpc_encoder_begin_key(NULL, 1, NULL, 0);
  zcrpc_encoder_begin_key_int(NULL, 1, 0);
  zcrpc_encoder_remove_key(NULL, 1, NULL, 0);
  zcrpc_encoder_remove_key_int(NULL, 1, 0);
  zcrpc_encoder_clear(NULL, 1);
  zcrpc_encoder_merge(NULL, NULL);
  zcrpc_encoder_trim(NULL, NULL);
  zcrpc_encoder_merge_masked(NULL, NULL, NULL, 0);
  zcrpc_encoder_put_deterministic(NULL, NULL);
  assert_null(zcrpc_encoder_view(NULL, NULL, NULL));
  zcrpc_mask_free(NULL);
  assert_int_equal(zcrpc_mask_count(NULL), 0);
  assert_int_equal(zcrpc_mask_has(NULL, "a", 1), 0);
  zcrpc_mask_at(NULL, 0, &s);
  assert_int_equal(s.len, 0);
  assert_int_equal(zcrpc_view_equal(NULL, NULL), 1);
  (void)zcrpc_view_hash(NULL, 0);
}

/* ---- Deterministic, equal, hash */

static void maps_come_out_by_key(void **state) {
  (void)state;
  zcrpc_encoder_reset(e, maps);
  /* counts b, a, ""; doubles 1, -1; leaves 2, 1 */
  zcrpc_encoder_put_deterministic(e, DECODE(maps, "\x12\x05\x0A\x01" "b\x10\x02" "\x12\x05\x0A\x01" "a\x10\x01" "\x12\x02\x10\x03"
                                            "\x1A\x02\x08\x01" "\x1A\x0B\x08\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01"
                                            "\x2A\x04\x08\x02\x12\x00" "\x2A\x04\x08\x01\x12\x00"));
  RESULT("\x12\x04\x0A\x00\x10\x03" "\x12\x05\x0A\x01" "a\x10\x01" "\x12\x05\x0A\x01" "b\x10\x02"
         "\x1A\x14\x08\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01\x11\0\0\0\0\0\0\0\0" "\x1A\x0B\x08\x01\x11\0\0\0\0\0\0\0\0"
         "\x2A\x04\x08\x01\x12\x00" "\x2A\x04\x08\x02\x12\x00");
}

static void assert_equal(const zcrpc_type *t, const char *a, size_t an, const char *b, size_t bn, int want) {
  const zcrpc_view *x = decode(t, a, an, arena), *y = decode(t, b, bn, other);
  assert_int_equal(zcrpc_view_equal(x, y), want);
  assert_int_equal(zcrpc_view_equal(y, x), want);
  assert_int_equal(zcrpc_view_equal(x, x), 1);
  assert_int_equal(zcrpc_view_hash(x, 7) == zcrpc_view_hash(y, 7), want);
  assert_int_not_equal(zcrpc_view_hash(x, 7), zcrpc_view_hash(x, 8));
  zcrpc_arena_reset(arena);
  zcrpc_arena_reset(other);
}
#define EQUAL(t, a, b, want) assert_equal(t, a, sizeof(a) - 1, b, sizeof(b) - 1, want)

static void equality_is_of_values_not_of_bytes(void **state) {
  (void)state;
  EQUAL(all, "\x28\x01\x4A\x01x", "\x4A\x01x\x28\x81\x00", 1);                  /* order, overlong varints */
  EQUAL(all, "\x28\x01", "\x28\x02", 0);
  EQUAL(all, "\x28\x00", "", 1);                                              /* an implicit default is absence */
  EQUAL(all, "\xA8\x01\x00", "", 0);                                          /* an explicit one is not */
  EQUAL(all, "\x9A\x01\x00", "", 0);                                          /* nor is an empty sub-message */
  EQUAL(all, "\xF0\x01\x00", "", 0);                                          /* nor a oneof's member */
  EQUAL(all, "\x15\0\0\0\x80", "", 0);                                        /* -0 */
  EQUAL(all, "\x15\1\0\xC0\x7F", "\x15\2\0\xC0\xFF", 1);                      /* NaN is NaN */
  EQUAL(maps, "\x12\x05\x0A\x01" "a\x10\x01" "\x12\x05\x0A\x01" "b\x10\x02", "\x12\x05\x0A\x01" "b\x10\x02" "\x12\x05\x0A\x01" "a\x10\x01", 1);
  EQUAL(maps, "\x12\x05\x0A\x01" "a\x10\x01" "\x12\x05\x0A\x01" "b\x10\x02", "\x12\x05\x0A\x01" "b\x10\x01" "\x12\x05\x0A\x01" "a\x10\x02", 0);
  EQUAL(repeated, "\x28\x01\x28\x02", "\x2A\x02\x01\x02", 1);                 /* packed or not */
  EQUAL(repeated, "\x28\x01\x28\x02", "\x28\x02\x28\x01", 0);
  EQUAL(all, "\x98\x06\x05\x28\x01", "\x28\x01\x98\x06\x85\x00", 1);          /* unknown fields by value */
  EQUAL(all, "\x98\x06\x05", "\x98\x06\x06", 0);
  EQUAL(all, "\x98\x06\x05\x90\x06\x05", "\x90\x06\x05\x98\x06\x05", 0);      /* and in order */
  EQUAL(two, "\x3A\x02\x01\x63", "\x38\x63\x38\x01", 1);                      /* a stranger in a packed run is one */
  EQUAL(two, "\xA2\x06\x01n\xA8\x06\x01", "\xA8\x06\x01\xA2\x06\x01n", 1);    /* extensions */
  assert_int_equal(zcrpc_view_equal(DECODE(all, ""), NULL), 1);
  assert_int_equal(zcrpc_view_hash(DECODE(all, ""), 1) == zcrpc_view_hash(NULL, 1), 1);
  assert_int_equal(zcrpc_view_equal(DECODE(all, "\x28\x01"), DECODE(leaf, "\x10\x01")), 0);
}

static void without_memory_maps_in_another_order_are_neither_equal_nor_not(void **state) {
  const zcrpc_view *a = DECODE(maps, "\x12\x05\x0A\x01" "a\x10\x01" "\x12\x05\x0A\x01" "b\x10\x02");
  const zcrpc_view *b = DECODE(maps, "\x12\x05\x0A\x01" "b\x10\x02" "\x12\x05\x0A\x01" "a\x10\x01");
  long n;
  (void)state;
  for (n = 1;; n++) {
    int32_t equal;
    int failed;
    fail_malloc_at(n);
    equal = zcrpc_view_equal(a, b);
    failed = fail_malloc_stop();
    assert_int_equal(equal, failed ? -1 : 1);
    if (!failed) break;
  }
  assert_int_equal(n, 3); /* one sorted list for each */
  fail_malloc_at(1);
  assert_int_equal(zcrpc_view_equal(a, a), 1); /* the same order needs none */
  (void)fail_malloc_stop();
}

/* ---- Masks */

static void assert_paths(zcrpc_mask *m, const char *want) {
  char text[200] = "";
  zcrpc_slice s;
  size_t i;
  assert_non_null(m);
  for (i = 0; i < zcrpc_mask_count(m); i++) {
    zcrpc_mask_at(m, i, &s);
    if (i) strcat(text, ",");
    strncat(text, s.data, s.len);
  }
  assert_string_equal(text, want);
  zcrpc_mask_free(m);
}

static void masks_are_normalised_united_and_intersected(void **state) {
  zcrpc_mask *a = zcrpc_mask_new(NULL, "b.c,a,b,b.d,,a.x,ab", ZCRPC_NTS, 0, NULL);
  zcrpc_mask *b = zcrpc_mask_new(NULL, "b.c,a.x.y,q", ZCRPC_NTS, 0, NULL);
  (void)state;
  assert_int_equal(zcrpc_mask_has(a, "b.e", ZCRPC_NTS), 1);
  assert_int_equal(zcrpc_mask_has(a, "abc", ZCRPC_NTS), 0);
  assert_int_equal(zcrpc_mask_has(b, "b", ZCRPC_NTS), 0);
  assert_paths(zcrpc_mask_union(a, b, NULL), "a,ab,b,q");
  assert_paths(zcrpc_mask_intersection(a, b, NULL), "a.x.y,b.c");
  assert_paths(zcrpc_mask_intersection(a, NULL, NULL), "");
  assert_paths(zcrpc_mask_union(NULL, b, NULL), "a.x.y,b.c,q");
  assert_paths(a, "a,ab,b");
  zcrpc_mask_free(b);
}

static void a_path_of_no_field_is_told_with_its_place(void **state) {
  zcrpc_error *err = NULL;
  (void)state;
  assert_null(zcrpc_mask_new(all, "f_int32,leaf.nope", ZCRPC_NTS, 0, &err));
  assert_string_equal(zcrpc_error_message(err), "t.Leaf has no field \"nope\"");
  assert_string_equal(zcrpc_error_path(err), "leaf.nope");
  assert_int_equal(zcrpc_error_offset(err), 13);
  zcrpc_error_free(err);
  err = NULL;
  assert_null(zcrpc_mask_new(all, "leaves.name", ZCRPC_NTS, 0, &err));
  assert_string_equal(zcrpc_error_message(err), "t.All.leaves is repeated: no path leads through it");
  assert_int_equal(zcrpc_error_offset(err), 0);
  zcrpc_error_free(err);
  err = NULL;
  assert_null(zcrpc_mask_new(all, "f_int32,leaf.name.x", ZCRPC_NTS, 0, &err));
  assert_int_equal(zcrpc_error_offset(err), 13);
  zcrpc_error_free(err);
  assert_paths(zcrpc_mask_new(all, "leaves.name", ZCRPC_NTS, ZCRPC_MASK_THROUGH_REPEATED, NULL), "leaves.name");
  assert_null(zcrpc_mask_new(all, "f_int32.x", ZCRPC_NTS, 0, NULL));
  assert_null(zcrpc_mask_new(all, "leaf.", ZCRPC_NTS, 0, NULL));
  assert_null(zcrpc_mask_new(all, "fInt32", ZCRPC_NTS, 0, NULL));
  assert_paths(zcrpc_mask_new(two, "[t2.note],id", ZCRPC_NTS, 0, NULL), "[t2.note],id");
}

static void a_message_is_trimmed_to_a_mask(void **state) {
  zcrpc_mask *m = zcrpc_mask_new(all, "f_string,leaf.name,leaves.value", ZCRPC_NTS, ZCRPC_MASK_THROUGH_REPEATED, NULL);
  zcrpc_mask *untyped = zcrpc_mask_new(NULL, "nope", ZCRPC_NTS, 0, NULL);
  (void)state;
  EDIT(all, MIXED "\xC2\x02\x05\x0A\x01" "a\x10\x01" "\x9A\x01\x02\x10\x01");
  zcrpc_encoder_trim(e, m);
  RESULT("\x4A\x02" "ab" "\x9A\x01\x03\x0A\x01n" "\xC2\x02\x02\x10\x01");
  EDIT(all, MIXED);
  zcrpc_encoder_trim(e, untyped);
  assert_mistake(ZCRPC_INVALID_ARGUMENT, "t.All has no field \"nope\"", "nope");
  zcrpc_mask_free(untyped);
  zcrpc_mask_free(m);
  /* A oneof's member that had been replaced does not come back. */
  m = zcrpc_mask_new(all, "number", ZCRPC_NTS, 0, NULL);
  EDIT(all, "\xF0\x01\x05" "\x28\x01" "\xFA\x01\x01x");
  zcrpc_encoder_trim(e, m);
  RESULT("");
  zcrpc_mask_free(m);
}

static void a_masked_merge_takes_what_is_named(void **state) {
  zcrpc_mask *m = zcrpc_mask_new(all, "f_string,f_int32,leaf.value,leaves", ZCRPC_NTS, 0, NULL);
  const zcrpc_view *v;
  (void)state;
  v = decode(all, "\x4A\x01s" "\x9A\x01\x05\x0A\x01x\x10\x02" "\xC2\x02\x00" "\x68\x01", 16, other);
  EDIT(all, MIXED "\xC2\x02\x02\x10\x01");
  zcrpc_encoder_merge_masked(e, v, m, 0);
  /* f_int32 is cleared, since v has none. */
  RESULT("\x98\x06\x85\x80\x00" "\x4A\x01s" "\x9A\x01\x07\x0A\x01n\x48\x07\x10\x02" "\xC2\x02\x02\x10\x01" "\xC2\x02\x00");
  EDIT(all, "\xC2\x02\x02\x10\x01");
  zcrpc_encoder_merge_masked(e, v, m, ZCRPC_MERGE_REPLACE_REPEATED);
  RESULT("\x4A\x01s" "\x9A\x01\x02\x10\x02" "\xC2\x02\x00");
  zcrpc_mask_free(m);
  m = zcrpc_mask_new(all, "leaf", ZCRPC_NTS, 0, NULL);
  EDIT(all, "\x9A\x01\x02\x48\x07");
  zcrpc_encoder_merge_masked(e, v, m, 0);
  RESULT("\x9A\x01\x07\x48\x07\x0A\x01x\x10\x02");
  EDIT(all, "\x9A\x01\x02\x48\x07");
  zcrpc_encoder_merge_masked(e, v, m, ZCRPC_MERGE_REPLACE_MESSAGES);
  RESULT("\x9A\x01\x05\x0A\x01x\x10\x02");
  zcrpc_mask_free(m);
  zcrpc_arena_reset(other);
}

/* ---- Memory */

static zcrpc_code work(const zcrpc_view *v, const zcrpc_view *w, zcrpc_buffer **out) {
  zcrpc_error *err = NULL;
  zcrpc_code code;
  zcrpc_arena *a = zcrpc_arena_new(&err);
  zcrpc_encoder *edit = a ? zcrpc_encoder_new(NULL, &err) : NULL;
  zcrpc_mask *m = edit ? zcrpc_mask_new(all, "leaf,leaves,maps,self,f_string,text,f_bytes", ZCRPC_NTS, 0, &err) : NULL;
  int i;
  *out = NULL;
  if (m) {
    zcrpc_encoder_edit(edit, v);
    zcrpc_encoder_put_string(edit, 9, "text", 4);
    zcrpc_encoder_put_string(edit, 31, "text", 4);
    zcrpc_encoder_begin(edit, 19);
    zcrpc_encoder_put_int64(edit, 2, 5);
    zcrpc_encoder_end(edit);
    zcrpc_encoder_begin_at(edit, 40, 1);
    zcrpc_encoder_put_string(edit, 1, "one", 3);
    zcrpc_encoder_end(edit);
    zcrpc_encoder_remove_at(edit, 40, 0);
    zcrpc_encoder_begin(edit, 45);
    for (i = 0; i < 40; i++) {
      zcrpc_encoder_begin_key_int(edit, 5, i);
      zcrpc_encoder_put_int64(edit, 2, i);
      zcrpc_encoder_end(edit);
    }
    zcrpc_encoder_remove_key_int(edit, 5, 3);
    zcrpc_encoder_end(edit);
    zcrpc_encoder_merge(edit, w);
    zcrpc_encoder_merge_masked(edit, w, m, ZCRPC_MERGE_REPLACE_REPEATED);
    zcrpc_encoder_trim(edit, m);
    if (zcrpc_encoder_view(edit, a, &err)) *out = zcrpc_encoder_finish(edit, &err);
  }
  code = zcrpc_error_code(err);
  zcrpc_error_free(err);
  zcrpc_mask_free(m);
  zcrpc_encoder_free(edit);
  zcrpc_arena_free(a);
  return code;
}

/* Tables that grow, arenas of several blocks, messages too large to be folded, and a trim through elements. */
static zcrpc_code large_work(const zcrpc_view *v, const zcrpc_view *w, zcrpc_buffer **out) {
  static char text[300];
  zcrpc_error *err = NULL;
  zcrpc_code code;
  zcrpc_arena *a = zcrpc_arena_new(&err);
  zcrpc_encoder *edit = a ? zcrpc_encoder_new(NULL, &err) : NULL;
  zcrpc_mask *m = edit ? zcrpc_mask_new(all, "leaf,leaves.name,maps,repeated,selves.self.leaf", ZCRPC_NTS, ZCRPC_MASK_THROUGH_REPEATED, &err) : NULL;
  zcrpc_mask *some = m ? zcrpc_mask_new(all, "leaf,leaves,maps,repeated", ZCRPC_NTS, 0, &err) : NULL;
  int i;
  *out = NULL;
  if (some) {
    zcrpc_encoder_edit(edit, v);
    for (i = 0; i < 300; i += 3) {
      zcrpc_encoder_begin_at(edit, 40, (size_t)i);
      zcrpc_encoder_put_string(edit, 1, text, i % 2 ? 3 : sizeof text);
      zcrpc_encoder_end(edit);
    }
    for (i = 0; i < 100; i++) zcrpc_encoder_remove_at(edit, 40, (size_t)i);
    for (i = 0; i < 100; i++) {
      zcrpc_encoder_begin(edit, 41);
      zcrpc_encoder_begin(edit, 20);
      zcrpc_encoder_put_view(edit, 40, zcrpc_view_message(w, 19));
      zcrpc_encoder_put_view(edit, 19, zcrpc_view_message(w, 19));
      zcrpc_encoder_end(edit);
      zcrpc_encoder_end(edit);
    }
    zcrpc_encoder_begin(edit, 44);
    for (i = 0; i < 2000; i += 7) zcrpc_encoder_put_int64_at(edit, 5, (size_t)i, -1);
    for (i = 0; i < 100; i++) zcrpc_encoder_remove_at(edit, 5, (size_t)i);
    for (i = 0; i < 300; i += 5) zcrpc_encoder_put_string_at(edit, 9, (size_t)i, text, 20);
    for (i = 0; i < 700; i++) zcrpc_encoder_put_int64(edit, 5, i);
    zcrpc_encoder_put_int64_at(edit, 5, 2500, 1);
    zcrpc_encoder_end(edit);
    zcrpc_encoder_begin(edit, 45);
    for (i = 0; i < 200; i += 2) {
      zcrpc_encoder_begin_key_int(edit, 5, i);
      zcrpc_encoder_put_string(edit, 1, text, i % 3 ? 3 : sizeof text);
      zcrpc_encoder_end(edit);
      zcrpc_encoder_remove_key_int(edit, 5, i + 1);
    }
    zcrpc_encoder_end(edit);
    zcrpc_encoder_merge_masked(edit, w, some, 0);
    zcrpc_encoder_trim(edit, m);
    if (zcrpc_encoder_view(edit, a, &err)) *out = zcrpc_encoder_finish(edit, &err);
  }
  code = zcrpc_error_code(err);
  zcrpc_error_free(err);
  zcrpc_mask_free(some);
  zcrpc_mask_free(m);
  zcrpc_encoder_free(edit);
  zcrpc_arena_free(a);
  return code;
}

typedef zcrpc_code (*worker)(const zcrpc_view *v, const zcrpc_view *w, zcrpc_buffer **out);
static void every_allocation_fails_once(worker edits, const zcrpc_view *v, const zcrpc_view *w) {
  zcrpc_buffer *want, *got;
  zcrpc_slice x, y;
  long n;
  int from;
  assert_int_equal(edits(v, w, &want), ZCRPC_OK);
  zcrpc_buffer_slice(want, &x);
  for (from = 0; from < 2; from++) {
    for (n = 1;; n++) {
      long before = fail_malloc_live();
      zcrpc_code code;
      int failed;
      if (from) fail_malloc_from(n); else fail_malloc_at(n);
      code = edits(v, w, &got);
      failed = fail_malloc_stop();
      if (got) {
        zcrpc_buffer_slice(got, &y);
        assert_int_equal(y.len, x.len);
        assert_memory_equal(y.data, x.data, x.len);
        zcrpc_buffer_release(got);
      } else {
        assert_int_equal(code, ZCRPC_RESOURCE_EXHAUSTED);
      }
      assert_int_equal(fail_malloc_live(), before);
      if (!failed) break;
    }
    assert_true(n > 10);
  }
  zcrpc_buffer_release(want);
}

#define BASE MIXED "\xC2\x02\x02\x10\x01" "\xC2\x02\x02\x10\x02" "\xEA\x02\x04\x2A\x02\x08\x07"
static void the_nth_allocation_fails_and_nothing_leaks(void **state) {
  const zcrpc_view *v = DECODE(all, BASE), *w = decode(all, BASE, sizeof(BASE) - 1, other);
  (void)state;
  every_allocation_fails_once(work, v, w);
  zcrpc_arena_reset(other);
}

static void the_nth_allocation_of_a_large_edit_fails_and_nothing_leaks(void **state) {
  zcrpc_buffer *large;
  zcrpc_slice in;
  int i;
  (void)state;
  zcrpc_encoder_reset(e, all);
  for (i = 0; i < 300; i++) {
    zcrpc_encoder_begin(e, 40);
    zcrpc_encoder_put_string(e, 1, "the name of a leaf, of forty bytes or so", (size_t)(i % 40));
    zcrpc_encoder_end(e);
  }
  zcrpc_encoder_begin(e, 19);
  zcrpc_encoder_put_int64(e, 2, 5);
  zcrpc_encoder_end(e);
  zcrpc_encoder_begin(e, 44);
  for (i = 0; i < 2000; i++) zcrpc_encoder_put_int64(e, 5, i);
  for (i = 0; i < 300; i++) zcrpc_encoder_put_string(e, 9, "element", (size_t)(i % 8));
  zcrpc_encoder_end(e);
  zcrpc_encoder_begin(e, 45);
  for (i = 0; i < 100; i++) {
    zcrpc_encoder_begin(e, 5);
    zcrpc_encoder_put_uint64(e, 1, (uint64_t)i);
    zcrpc_encoder_end(e);
  }
  zcrpc_encoder_end(e);
  large = zcrpc_encoder_finish(e, NULL);
  assert_non_null(large);
  zcrpc_buffer_slice(large, &in);
  every_allocation_fails_once(large_work, decode(all, in.data, in.len, arena), decode(all, in.data, in.len, other));
  zcrpc_arena_reset(other);
  zcrpc_buffer_release(large);
}

static void a_warm_edit_allocates_nothing(void **state) {
  const zcrpc_view *v = DECODE(all, BASE);
  zcrpc_slice parts[4];
  size_t n;
  int i;
  (void)state;
  for (i = 0; i < 4; i++) {
    if (i == 3) fail_malloc_at(0);
    zcrpc_encoder_edit(e, v);
    zcrpc_encoder_begin(e, 19);
    zcrpc_encoder_put_string(e, 1, "redacted", ZCRPC_NTS);
    zcrpc_encoder_end(e);
    zcrpc_encoder_begin_at(e, 40, 0);
    zcrpc_encoder_put_int64(e, 2, 3);
    zcrpc_encoder_end(e);
    zcrpc_encoder_clear(e, 45);
    assert_int_equal(zcrpc_encoder_gather(e, parts, 4, &n, NULL), ZCRPC_OK);
  }
  assert_int_equal(fail_malloc_count(), 0);
  (void)fail_malloc_stop();
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(what_is_not_touched_passes_byte_for_byte),
      cmocka_unit_test(a_new_value_stands_where_the_old_one_stood),
      cmocka_unit_test(a_field_deep_inside_is_changed_alone),
      cmocka_unit_test(cleared_fields_leave_no_occurrence),
      cmocka_unit_test(a_oneof_has_one_member),
      cmocka_unit_test(elements_are_replaced_removed_appended),
      cmocka_unit_test(keys_of_maps_are_set_opened_removed),
      cmocka_unit_test(strangers_of_closed_enums_stay),
      cmocka_unit_test(groups_extensions_and_message_sets_are_edited),
      cmocka_unit_test(a_merge_is_protobufs),
      cmocka_unit_test(what_was_set_can_be_read_back),
      cmocka_unit_test(what_is_read_back_outlives_the_edit),
      cmocka_unit_test(an_edit_can_begin_with_nothing),
      cmocka_unit_test(large_parts_go_by_reference_and_only_from_buffers),
      cmocka_unit_test(mistakes_are_told_at_the_end),
      cmocka_unit_test(null_does_nothing),
      cmocka_unit_test(maps_come_out_by_key),
      cmocka_unit_test(equality_is_of_values_not_of_bytes),
      cmocka_unit_test(without_memory_maps_in_another_order_are_neither_equal_nor_not),
      cmocka_unit_test(masks_are_normalised_united_and_intersected),
      cmocka_unit_test(a_path_of_no_field_is_told_with_its_place),
      cmocka_unit_test(a_message_is_trimmed_to_a_mask),
      cmocka_unit_test(a_masked_merge_takes_what_is_named),
      cmocka_unit_test(the_nth_allocation_fails_and_nothing_leaks),
      cmocka_unit_test(the_nth_allocation_of_a_large_edit_fails_and_nothing_leaks),
      cmocka_unit_test(a_warm_edit_allocates_nothing),
  };
  return cmocka_run_group_tests(tests, set_up, tear_down);
}
