/* Views through the public header: what getters give, also for what is not there; what decoding refuses, and where. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <zcrpc.h>

#include "support/fail_malloc.h"

/* A FileDescriptorSet by hand: message T, with a Sub, numbers, a map and a oneof. */
typedef struct bytes { unsigned char data[1024]; size_t len; } bytes;

static void put_varint(bytes *b, uint64_t v) {
  for (; v >= 0x80; v >>= 7) b->data[b->len++] = (unsigned char)(v | 0x80);
  b->data[b->len++] = (unsigned char)v;
}
static void put_num(bytes *b, uint32_t field, uint64_t v) {
  put_varint(b, (uint64_t)field << 3);
  put_varint(b, v);
}
static void put_data(bytes *b, uint32_t field, const void *data, size_t len) {
  put_varint(b, (uint64_t)field << 3 | 2);
  put_varint(b, len);
  memcpy(b->data + b->len, data, len);
  b->len += len;
}
static void put_text(bytes *b, uint32_t field, const char *s) { put_data(b, field, s, strlen(s)); }
static void put_sub(bytes *b, uint32_t field, const bytes *sub) { put_data(b, field, sub->data, sub->len); }

static void put_field(bytes *message, const char *name, uint32_t number, uint32_t label, uint32_t type, const char *type_name, int oneof) {
  bytes f = {{0}, 0};
  put_text(&f, 1, name);
  put_num(&f, 3, number);
  put_num(&f, 4, label);
  put_num(&f, 5, type);
  if (type_name) put_text(&f, 6, type_name);
  if (oneof >= 0) put_num(&f, 9, (uint64_t)oneof);
  put_sub(message, 2, &f);
}

static zcrpc_schema *schema;
static const zcrpc_type *type;
static zcrpc_arena *arena;

static int set_up(void **state) {
  bytes file = {{0}, 0}, t = {{0}, 0}, entry = {{0}, 0}, kids = {{0}, 0}, options = {{0}, 0}, oneof = {{0}, 0}, set = {{0}, 0};
  (void)state;
  put_text(&entry, 1, "NamesEntry");
  put_field(&entry, "key", 1, 1, 9, NULL, -1);
  put_field(&entry, "value", 2, 1, 5, NULL, -1);
  put_num(&options, 7, 1);
  put_sub(&entry, 7, &options);
  put_text(&oneof, 1, "pick");
  put_text(&t, 1, "T");
  put_field(&t, "id", 1, 1, 5, NULL, -1);
  put_field(&t, "text", 2, 1, 9, NULL, -1);
  put_field(&t, "sub", 3, 1, 11, ".p.T", -1);
  put_field(&t, "list", 4, 3, 3, NULL, -1);
  put_field(&t, "ratio", 5, 1, 1, NULL, -1);
  put_field(&t, "subs", 6, 3, 11, ".p.T", -1);
  put_field(&t, "names", 7, 3, 11, ".p.T.NamesEntry", -1);
  put_field(&t, "a", 8, 1, 8, NULL, 0);
  put_field(&t, "b", 9, 1, 9, NULL, 0);
  put_field(&t, "fixed", 10, 3, 6, NULL, -1);
  put_field(&t, "kids", 11, 3, 11, ".p.T.KidsEntry", -1);
  put_sub(&t, 3, &entry);
  put_text(&kids, 1, "KidsEntry");
  put_field(&kids, "key", 1, 1, 9, NULL, -1);
  put_field(&kids, "value", 2, 1, 11, ".p.T", -1);
  put_sub(&kids, 7, &options);
  put_sub(&t, 3, &kids);
  put_sub(&t, 8, &oneof);
  put_text(&file, 1, "t.proto");
  put_text(&file, 2, "p");
  put_sub(&file, 4, &t);
  put_text(&file, 12, "proto3");
  put_sub(&set, 1, &file);
  schema = zcrpc_schema_new(set.data, set.len, NULL);
  type = zcrpc_schema_type(schema, "p.T");
  arena = zcrpc_arena_new(NULL);
  return schema && type && arena ? 0 : -1;
}
static int tear_down(void **state) {
  (void)state;
  zcrpc_arena_free(arena);
  zcrpc_schema_release(schema);
  return 0;
}

static bytes sample(void) {
  bytes b = {{0}, 0}, sub = {{0}, 0}, e = {{0}, 0}, f = {{0}, 0};
  uint64_t fixed[2] = {7, 1};
  fixed[1] <<= 40;
  put_num(&b, 1, (uint64_t)-5);
  put_text(&b, 2, "hi");
  put_num(&sub, 1, 9);
  put_sub(&b, 3, &sub);
  put_data(&b, 4, "\x01\x96\x01", 3);
  put_sub(&b, 6, &sub);
  put_sub(&b, 6, &f);
  put_text(&e, 1, "one");
  put_num(&e, 2, 1);
  put_sub(&b, 7, &e);
  put_num(&b, 8, 1);
  put_data(&b, 10, fixed, sizeof fixed);
  put_num(&b, 90, 3);
  return b;
}

static void getters_give_what_was_sent(void **state) {
  bytes b = sample();
  const zcrpc_view *v = zcrpc_view_decode(type, b.data, b.len, NULL, arena, NULL);
  zcrpc_slice s;
  int64_t numbers[4];
  uint32_t field = 5;
  size_t count, width, place;
  (void)state;
  assert_non_null(v);
  assert_ptr_equal(zcrpc_view_type(v), type);
  assert_int_equal(zcrpc_view_int32(v, 1), -5);
  zcrpc_view_string(v, 2, &s);
  assert_int_equal(s.len, 2);
  assert_memory_equal(s.data, "hi", 2);
  assert_int_equal(zcrpc_view_int64(zcrpc_view_message(v, 3), 1), 9);
  assert_int_equal(zcrpc_view_int64s(v, 4, 0, numbers, 4), 2);
  assert_int_equal(numbers[1], 150);
  assert_int_equal(zcrpc_view_count(v, 6), 2);
  assert_int_equal(zcrpc_view_int32(zcrpc_view_message_at(v, 6, 0), 1), 9);
  place = zcrpc_view_find(v, 7, "one", 3);
  assert_int_equal(place, 0);
  assert_int_equal(zcrpc_view_int64_at(v, 7, place), 1);
  assert_int_equal(zcrpc_view_find(v, 7, "two", ZCRPC_NTS), ZCRPC_NONE);
  zcrpc_view_key_at(v, 7, 0, &s);
  assert_memory_equal(s.data, "one", 3);
  assert_int_equal(zcrpc_view_which(v, 9), 8);
  assert_int_equal(zcrpc_view_has(v, 9), 0);
  assert_int_equal(zcrpc_view_uint64_at(v, 10, 1), (uint64_t)1 << 40);
  assert_non_null(zcrpc_view_array(v, 10, &count, &width));
  assert_int_equal(count, 2);
  assert_int_equal(width, 8);
  assert_int_equal(zcrpc_view_unknown(v, 0, &field, &s), 1);
  assert_int_equal(field, 0);
  assert_int_equal(s.len, 3);
  assert_int_equal(zcrpc_view_unknown(v, 1, &field, &s), 0);
  assert_int_equal(zcrpc_view_bytes(v, &s), 1);
  assert_int_equal(s.len, b.len);
  assert_int_equal(zcrpc_view_bytes(zcrpc_view_message(v, 3), &s), 1);
  assert_memory_equal(s.data, "\x08\x09", 2);
  zcrpc_arena_reset(arena);
}

static void getters_never_fail(void **state) {
  bytes b = sample();
  const zcrpc_view *views[2];
  zcrpc_slice s = {"x", 1};
  size_t i, count, width;
  uint32_t f;
  (void)state;
  views[0] = NULL;
  views[1] = zcrpc_view_decode(type, b.data, b.len, NULL, arena, NULL);
  for (i = 0; i < 2; i++)
    for (f = 0; f < 100; f++) { /* every getter on every field, right or wrong: nothing but defaults */
      (void)zcrpc_view_has(views[i], f);
      (void)zcrpc_view_which(views[i], f);
      (void)zcrpc_view_int32(views[i], f);
      (void)zcrpc_view_uint64(views[i], f);
      (void)zcrpc_view_double(views[i], f);
      zcrpc_view_string(views[i], f, &s);
      assert_non_null(s.data);
      (void)zcrpc_view_message(views[i], f);
      assert_int_equal(zcrpc_view_int64_at(views[i], f, 1000), 0);
      (void)zcrpc_view_double_at(views[i], f, 0);
      zcrpc_view_string_at(views[i], f, 0, &s);
      assert_non_null(s.data);
      assert_null(zcrpc_view_message_at(views[i], f, ZCRPC_NONE));
      (void)zcrpc_view_array(views[i], f, &count, &width);
      (void)zcrpc_view_find(views[i], f, "a", 1);
      (void)zcrpc_view_find_int(views[i], f, 1);
      zcrpc_view_key_at(views[i], f, 0, &s);
    }
  assert_int_equal(zcrpc_view_int64(views[1], 2), 0); /* a string */
  assert_int_equal(zcrpc_view_int64(views[1], 4), 0); /* repeated */
  zcrpc_view_string(NULL, 2, &s);
  assert_int_equal(s.len, 0);
  zcrpc_arena_reset(arena);
}

static void the_checked_getter_tells(void **state) {
  bytes b = sample();
  const zcrpc_view *v = zcrpc_view_decode(type, b.data, b.len, NULL, arena, NULL);
  zcrpc_value value;
  zcrpc_error *err = NULL;
  (void)state;
  assert_int_equal(zcrpc_view_value(v, 1, 0, &value, NULL), ZCRPC_OK);
  assert_int_equal(value.kind, ZCRPC_KIND_INT32);
  assert_int_equal(value.of.i, -5);
  assert_int_equal(zcrpc_view_value(v, 4, 1, &value, NULL), ZCRPC_OK);
  assert_int_equal(value.of.i, 150);
  assert_int_equal(zcrpc_view_value(v, 4, 2, &value, &err), ZCRPC_NOT_FOUND);
  assert_non_null(err);
  zcrpc_error_free(err);
  assert_int_equal(zcrpc_view_value(v, 77, 0, &value, NULL), ZCRPC_NOT_FOUND);
  assert_int_equal(zcrpc_view_value(v, 9, 0, &value, NULL), ZCRPC_NOT_FOUND);
  zcrpc_arena_reset(arena);
}

static void broken_bytes_are_told_with_byte_and_path(void **state) {
  static const char bad[] = "\x1a\x03\x12\x05hi"; /* sub.text of 5 bytes, 1 is left of sub */
  zcrpc_error *err = NULL;
  size_t size = 7;
  (void)state;
  assert_null(zcrpc_view_decode(type, bad, 5, NULL, arena, &err));
  assert_int_equal(zcrpc_error_code(err), ZCRPC_INVALID_ARGUMENT);
  assert_int_equal(zcrpc_error_offset(err), 3);
  assert_string_equal(zcrpc_error_path(err), "sub.text");
  assert_string_equal(zcrpc_error_message(err), "length past the end");
  zcrpc_error_free(err);
  assert_int_equal(zcrpc_view_index(type, bad, 5, NULL, NULL, 0, &size, NULL), ZCRPC_INVALID_ARGUMENT);
}

static void options_limit_index_and_depth(void **state) {
  zcrpc_options *o = zcrpc_options_new(ZCRPC_FOR_DECODE, NULL);
  zcrpc_error *err = NULL;
  bytes b = {{0}, 0}, deeper = {{0}, 0};
  (void)state;
  put_num(&b, 1, 1);
  put_sub(&deeper, 3, &b);
  assert_int_equal(zcrpc_options_set_int(o, ZCRPC_DECODE_MAX_DEPTH, 1, NULL), ZCRPC_OK);
  assert_non_null(zcrpc_view_decode(type, deeper.data, deeper.len, o, arena, NULL));
  b = deeper;
  deeper.len = 0;
  put_sub(&deeper, 3, &b);
  assert_null(zcrpc_view_decode(type, deeper.data, deeper.len, o, arena, &err));
  assert_int_equal(zcrpc_error_code(err), ZCRPC_RESOURCE_EXHAUSTED);
  assert_string_equal(zcrpc_error_path(err), "sub.sub");
  zcrpc_error_free(err);
  zcrpc_options_free(o);
  zcrpc_arena_reset(arena);
}

static int released;
static void count_release(const void *data, size_t len, void *user) {
  (void)data;
  (void)len;
  (void)user;
  released++;
}

static void the_arena_holds_a_decoded_buffer(void **state) {
  bytes b = sample();
  zcrpc_buffer *buffer = zcrpc_buffer_wrap(b.data, b.len, count_release, NULL, NULL);
  const zcrpc_view *v = zcrpc_view_decode_buffer(type, buffer, NULL, arena, NULL);
  (void)state;
  assert_int_equal(zcrpc_view_int32(v, 1), -5);
  zcrpc_buffer_release(buffer);
  assert_int_equal(released, 0);
  zcrpc_arena_reset(arena);
  assert_int_equal(released, 1);
}

static void an_index_fits_the_memory_that_was_asked_for(void **state) {
  bytes b = sample();
  size_t size = 0;
  uint64_t *memory;
  zcrpc_index *head;
  (void)state;
  assert_int_equal(zcrpc_view_index(type, b.data, b.len, NULL, NULL, 0, &size, NULL), ZCRPC_TOO_SMALL);
  assert_true(size > 48 && size % 8 == 0);
  memory = (uint64_t *)malloc(size);
  assert_int_equal(zcrpc_view_index(type, b.data, b.len, NULL, memory, size, &size, NULL), ZCRPC_OK);
  head = (zcrpc_index *)memory;
  assert_int_equal(head->magic, ZCRPC_INDEX_MAGIC);
  assert_int_equal(head->size, size);
  assert_true(head->fingerprint == zcrpc_type_fingerprint(type));
  free(memory);
}

static void a_lazy_child_is_absent_until_it_is_opened(void **state) {
  bytes m = {{0}, 0}, sub = {{0}, 0}, bad = {{0}, 0};
  zcrpc_options *o = zcrpc_options_new(ZCRPC_FOR_DECODE, NULL);
  const zcrpc_view *v, *child;
  zcrpc_error *err = NULL;
  zcrpc_buffer *b;
  zcrpc_slice s;
  size_t size;
  (void)state;
  assert_int_equal(zcrpc_options_set_int(o, ZCRPC_DECODE_MODE, ZCRPC_LAZY, NULL), ZCRPC_OK);
  put_num(&sub, 1, 7);
  put_text(&sub, 2, "seven");
  put_data(&bad, 2, "\xff", 1);
  put_sub(&m, 3, &sub);
  put_sub(&m, 6, &sub);
  v = zcrpc_view_decode(type, m.data, m.len, o, arena, NULL);
  assert_non_null(v);
  assert_int_equal(zcrpc_view_has(v, 3), 1);
  assert_int_equal(zcrpc_view_count(v, 6), 1);
  assert_null(zcrpc_view_message(v, 3));
  assert_null(zcrpc_view_message_at(v, 6, 0));
  assert_int_equal(zcrpc_view_int32(zcrpc_view_message(v, 3), 1), 0);
  /* What walks all of it sees all of it. */
  assert_int_equal(zcrpc_view_encoded_size(v), m.len);
  b = zcrpc_view_print(v, ZCRPC_JSON, NULL, NULL);
  zcrpc_buffer_slice(b, &s);
  assert_int_equal(s.len, strlen("{\"sub\":{\"id\":7,\"text\":\"seven\"},\"subs\":[{\"id\":7,\"text\":\"seven\"}]}"));
  zcrpc_buffer_release(b);
  child = zcrpc_view_open(v, 3, 0, arena, &err);
  assert_non_null(child);
  assert_null(err);
  assert_ptr_equal(zcrpc_view_message(v, 3), child);
  assert_int_equal(zcrpc_view_int32(child, 1), 7);
  zcrpc_view_string(child, 2, &s);
  assert_memory_equal(s.data, "seven", 5);
  assert_null(zcrpc_view_message_at(v, 6, 0));
  assert_int_equal(zcrpc_view_open_all(v, arena, NULL), ZCRPC_OK);
  assert_int_equal(zcrpc_view_int32(zcrpc_view_message_at(v, 6, 0), 1), 7);
  assert_null(zcrpc_view_open(v, 6, 1, arena, &err));
  assert_null(err);
  assert_null(zcrpc_view_open(v, 2, 0, arena, &err));
  assert_int_equal(zcrpc_error_code(err), ZCRPC_INVALID_ARGUMENT);
  zcrpc_error_free(err);
  put_sub(&m, 6, &bad);
  v = zcrpc_view_decode(type, m.data, m.len, o, arena, NULL);
  err = NULL;
  assert_int_equal(zcrpc_view_open_all(v, arena, &err), ZCRPC_INVALID_ARGUMENT);
  assert_string_equal(zcrpc_error_path(err), "subs[1].text");
  assert_int_equal(zcrpc_error_offset(err), (int)m.len - 1);
  zcrpc_error_free(err);
  /* An index to be copied is never lazy. */
  err = NULL;
  assert_int_equal(zcrpc_view_index(type, m.data, m.len, o, NULL, 0, &size, &err), ZCRPC_INVALID_ARGUMENT);
  zcrpc_error_free(err);
  zcrpc_options_free(o);
}

static void a_projection_decodes_and_copies_what_it_names(void **state) {
  bytes m = {{0}, 0}, sub = {{0}, 0}, mask = {{0}, 0};
  zcrpc_options *o = zcrpc_options_new(ZCRPC_FOR_DECODE, NULL);
  zcrpc_projection *p = zcrpc_projection_new(type, "id,subs.text", NULL);
  const zcrpc_view *v;
  zcrpc_error *err = NULL;
  zcrpc_buffer *b;
  zcrpc_schema *masks;
  zcrpc_slice s;
  (void)state;
  assert_non_null(p);
  assert_int_equal(zcrpc_options_set_projection(o, p, NULL), ZCRPC_OK);
  put_num(&sub, 1, 7);
  put_text(&sub, 2, "seven");
  put_num(&m, 1, 3);
  put_text(&m, 2, "text");
  put_sub(&m, 3, &sub);
  put_sub(&m, 6, &sub);
  put_num(&m, 99, 1);
  v = zcrpc_view_decode(type, m.data, m.len, o, arena, NULL);
  assert_non_null(v);
  assert_int_equal(zcrpc_view_int32(v, 1), 3);
  assert_int_equal(zcrpc_view_has(v, 2), 0);
  assert_null(zcrpc_view_message(v, 3));
  assert_int_equal(zcrpc_view_count(v, 6), 1);
  assert_int_equal(zcrpc_view_has(zcrpc_view_message_at(v, 6, 0), 1), 0);
  zcrpc_view_string(zcrpc_view_message_at(v, 6, 0), 2, &s);
  assert_memory_equal(s.data, "seven", 5);
  assert_int_equal(zcrpc_view_unknown(v, 0, NULL, &s), 0);
  b = zcrpc_projection_copy(p, m.data, m.len, NULL, NULL);
  zcrpc_buffer_slice(b, &s);
  assert_int_equal(s.len, 2 + 2 + 7);
  assert_memory_equal(s.data, "\x08\x03\x32\x07\x12\x05seven", s.len);
  zcrpc_buffer_release(b);
  zcrpc_projection_free(p); /* the options hold it */
  assert_non_null(zcrpc_view_decode(type, m.data, m.len, o, arena, NULL));
  assert_int_equal(zcrpc_options_set_int(o, ZCRPC_DECODE_MODE, ZCRPC_LAZY, NULL), ZCRPC_OK);
  assert_null(zcrpc_view_decode(type, m.data, m.len, o, arena, &err));
  assert_int_equal(zcrpc_error_code(err), ZCRPC_INVALID_ARGUMENT);
  zcrpc_error_free(err);
  zcrpc_options_free(o);
  err = NULL;
  assert_null(zcrpc_projection_new(type, "id,subs.wrong", &err));
  assert_int_equal(zcrpc_error_offset(err), 8);
  assert_string_equal(zcrpc_error_path(err), "subs.wrong");
  zcrpc_error_free(err);
  /* From a FieldMask, of any schema. */
  {
    bytes file = {{0}, 0}, set = {{0}, 0};
    put_text(&file, 1, "m.proto");
    put_text(&file, 3, "google/protobuf/field_mask.proto");
    put_sub(&set, 1, &file);
    masks = zcrpc_schema_new(set.data, set.len, NULL);
    assert_non_null(masks);
  }
  put_text(&mask, 1, "text");
  put_text(&mask, 1, "sub.id");
  v = zcrpc_view_decode(zcrpc_schema_type(masks, "google.protobuf.FieldMask"), mask.data, mask.len, NULL, arena, NULL);
  p = zcrpc_projection_from_mask(type, v, NULL);
  assert_non_null(p);
  b = zcrpc_projection_copy(p, m.data, m.len, NULL, NULL);
  zcrpc_buffer_slice(b, &s);
  assert_int_equal(s.len, 6 + 4);
  assert_memory_equal(s.data, "\x12\x04text\x1a\x02\x08\x07", s.len);
  zcrpc_buffer_release(b);
  zcrpc_projection_free(p);
  zcrpc_schema_release(masks);
}

static void assert_copy(const char *paths, const char *data, size_t len, const char *want, size_t want_len) {
  zcrpc_projection *p = zcrpc_projection_new(type, paths, NULL);
  zcrpc_buffer *b = zcrpc_projection_copy(p, data, len, NULL, NULL);
  zcrpc_slice s;
  assert_non_null(b);
  zcrpc_buffer_slice(b, &s);
  assert_int_equal(s.len, want_len);
  assert_memory_equal(s.data, want, want_len);
  zcrpc_buffer_release(b);
  zcrpc_projection_free(p);
}
#define COPY(paths, data, want) assert_copy(paths, data, sizeof(data) - 1, want, sizeof(want) - 1)

/* They are decoded, since the last of them counts. */
static void members_of_a_oneof_that_are_not_named_are_not_copied(void **state) {
  (void)state;
  COPY("a", "\x4A\x06secret", "");
  COPY("a,id", "\x4A\x06secret\x08\x01", "\x08\x01");
  COPY("a", "\x40\x01\x4A\x01x", ""); /* replaced */
  COPY("a", "\x4A\x01x\x40\x01", "\x40\x01");
  COPY("a,b", "\x4A\x01x", "\x4A\x01x");
  COPY("sub.a", "\x1A\x03\x4A\x01x\x4A\x01y", "\x1A\x00");
  COPY("sub,a", "\x1A\x03\x4A\x01x\x4A\x01y", "\x1A\x03\x4A\x01x"); /* named whole */
  COPY("subs.a", "\x32\x03\x4A\x01x\x32\x02\x40\x01", "\x32\x00\x32\x02\x40\x01");
  COPY("kids.value.a", "\x5A\x08\x0A\x01k\x12\x03\x4A\x01x", "\x5A\x05\x0A\x01k\x12\x00");
  COPY("kids.value.b,a", "\x5A\x08\x0A\x01k\x12\x03\x4A\x01x\x4A\x01y", "\x5A\x08\x0A\x01k\x12\x03\x4A\x01x");
  COPY("kids,a", "\x5A\x08\x0A\x01k\x12\x03\x4A\x01x\x4A\x01y", "\x5A\x08\x0A\x01k\x12\x03\x4A\x01x");
  COPY("kids.key,a", "\x5A\x08\x0A\x01k\x12\x03\x4A\x01x\x4A\x01y", "\x5A\x05\x0A\x01k\x12\x00");
}

static void compiling_a_projection_without_memory_tells_so_and_leaks_nothing(void **state) {
  long n;
  (void)state;
  for (n = 1;; n++) {
    long before = fail_malloc_live();
    zcrpc_error *err = NULL;
    zcrpc_projection *p;
    int failed;
    fail_malloc_at(n);
    p = zcrpc_projection_new(type, "sub.sub.sub.text,sub.subs.sub.id,subs.sub.subs.id,id,subs.subs.names.value,text", &err);
    failed = fail_malloc_stop();
    if (!p) assert_int_equal(zcrpc_error_code(err), ZCRPC_RESOURCE_EXHAUSTED);
    zcrpc_projection_free(p);
    zcrpc_error_free(err);
    assert_int_equal(fail_malloc_live(), before);
    if (!failed) break;
  }
  assert_true(n > 3);
}

static void unknown_fields_can_be_dropped(void **state) {
  bytes m = {{0}, 0};
  zcrpc_options *o = zcrpc_options_new(ZCRPC_FOR_DECODE, NULL);
  const zcrpc_view *v;
  zcrpc_slice s;
  (void)state;
  put_num(&m, 1, 3);
  put_num(&m, 99, 1);
  v = zcrpc_view_decode(type, m.data, m.len, o, arena, NULL);
  assert_int_equal(zcrpc_view_unknown(v, 0, NULL, &s), 1);
  assert_int_equal(zcrpc_view_encoded_size(v), m.len);
  assert_int_equal(zcrpc_options_set_int(o, ZCRPC_DECODE_DROP_UNKNOWN, 1, NULL), ZCRPC_OK);
  v = zcrpc_view_decode(type, m.data, m.len, o, arena, NULL);
  assert_int_equal(zcrpc_view_unknown(v, 0, NULL, &s), 0);
  assert_int_equal(zcrpc_view_encoded_size(v), 2);
  zcrpc_options_free(o);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(getters_give_what_was_sent),
      cmocka_unit_test(getters_never_fail),
      cmocka_unit_test(the_checked_getter_tells),
      cmocka_unit_test(broken_bytes_are_told_with_byte_and_path),
      cmocka_unit_test(options_limit_index_and_depth),
      cmocka_unit_test(the_arena_holds_a_decoded_buffer),
      cmocka_unit_test(an_index_fits_the_memory_that_was_asked_for),
      cmocka_unit_test(a_lazy_child_is_absent_until_it_is_opened),
      cmocka_unit_test(a_projection_decodes_and_copies_what_it_names),
      cmocka_unit_test(members_of_a_oneof_that_are_not_named_are_not_copied),
      cmocka_unit_test(compiling_a_projection_without_memory_tells_so_and_leaks_nothing),
      cmocka_unit_test(unknown_fields_can_be_dropped),
  };
  return cmocka_run_group_tests(tests, set_up, tear_down);
}
