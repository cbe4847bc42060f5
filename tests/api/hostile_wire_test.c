/* Binary input that asks for much: each kind, a mebibyte of it, ends in a typed error or within 1 MiB and 32 times its
 * size, in time that grows with it; in every mode of the decoder, and with what is done with the view afterwards. */
#define _GNU_SOURCE /* memmem */
#ifdef HOSTILE_GENERATED
#include <hostile.zcrpc.h>
#endif

#include "hostile.h"

static void varint(bytes *b, uint64_t v) {
  char c;
  for (; v >= 0x80; v >>= 7) {
    c = (char)(v | 0x80);
    put(b, &c, 1);
  }
  c = (char)v;
  put(b, &c, 1);
}

/* ---- What comes -------------------------------------------------------------------------------------------------- */

#define UNIT(name, literal) \
  static void name(bytes *b, size_t size) { fill(b, size, literal, sizeof literal - 1); }
UNIT(empty_messages, "\x12\x00")
UNIT(empty_messages_of_an_empty_type, "\x8A\x01\x00")
UNIT(empty_wide_messages, "\x92\x01\x00")
UNIT(wide_messages_with_one_field, "\x92\x01\x02\x08\x01")
UNIT(empty_strings, "\x1A\x00")
UNIT(empty_map_entries, "\x22\x00")
UNIT(empty_number_entries, "\x2A\x00")
UNIT(empty_message_entries, "\x32\x00")
UNIT(elements_one_by_one, "\x40\x00")
UNIT(packed_runs_of_one, "\x42\x01\x00")
UNIT(packed_runs_of_none, "\x42\x00")
UNIT(packed_runs_of_one_fixed, "\x4A\x08\x01\x02\x03\x04\x05\x06\x07\x08")
UNIT(unknown_enum_numbers_one_by_one, "\x50\x07")
UNIT(empty_groups, "\x63\x64")
UNIT(one_child_again_and_again, "\x0A\x00")
UNIT(one_child_merged, "\x0A\x02\x0A\x00")
UNIT(oneof_turned_around, "\x6A\x00\x72\x00")
UNIT(oneof_message_and_string, "\x6A\x02\x12\x00\x7A\x01x")
UNIT(unknown_fields, "\xE0\x03\x00")
UNIT(unknown_fields_apart, "\xE0\x03\x00\x80\x01\x01x")
UNIT(a_child_with_one_unknown_field, "\x12\x03\xE0\x03\x00")
UNIT(unknown_groups, "\xE3\x03\xE4\x03")
UNIT(unknown_groups_never_ended, "\xE3\x03")
UNIT(groups_never_ended, "\x5B\x0A\x00")
UNIT(group_ends_alone, "\x5C")
UNIT(duplicate_names, "\x22\x06\x0A\x01k\x12\x01v")
UNIT(duplicate_message_entries, "\x32\x08\x08\x01\x12\x04\x12\x00\x12\x00")
UNIT(a_map_entry_with_two_values, "\x32\x08\x08\x01\x12\x00\x12\x02\x12\x00")
UNIT(extensions_one_by_one, "\xA0\x06\x01")
UNIT(an_extension_message_merged, "\xAA\x06\x02\x12\x00")
UNIT(unknown_extensions, "\xE8\x06\x00")
UNIT(overlong_tags, "\xC0\x80\x80\x80\x00\x80\x80\x80\x80\x80\x80\x80\x80\x80\x00")
UNIT(lengths_that_lie, "\x12\xFF\xFF\xFF\xFF\x07")

static void packed(bytes *b, size_t size, char tag, const char *unit, size_t len) {
  bytes run = {NULL, 0, 0};
  fill(&run, size - 8, unit, len);
  put(b, &tag, 1);
  varint(b, run.len);
  put(b, run.data, run.len);
  free(run.data);
}
static void packed_bools(bytes *b, size_t size) { packed(b, size, 0x3A, "\1", 1); }
static void packed_short_numbers(bytes *b, size_t size) { packed(b, size, 0x42, "\7", 1); }
static void packed_long_numbers(bytes *b, size_t size) { packed(b, size, 0x42, "\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\1", 10); }
static void packed_unknown_enum_numbers(bytes *b, size_t size) { packed(b, size, 0x52, "\7", 1); }
static void packed_enum_numbers_half_unknown(bytes *b, size_t size) { packed(b, size, 0x52, "\7\2", 2); }

/* Messages in messages, as deep as the size allows; built from the inside, turned around at the end. */
static void deep(bytes *b, size_t size, char tag) {
  size_t i;
  bytes r = {NULL, 0, 0}, v = {NULL, 0, 0};
  while (r.len + 6 < size) {
    v.len = 0;
    varint(&v, r.len);
    for (i = v.len; i > 0; i--) put(&r, v.data + i - 1, 1);
    put(&r, &tag, 1);
  }
  for (i = r.len; i > 0; i--) put(b, r.data + i - 1, 1);
  free(r.data);
  free(v.data);
}
static void deep_messages(bytes *b, size_t size) { deep(b, size, 0x0A); }
static void deep_elements(bytes *b, size_t size) { deep(b, size, 0x12); }
static void deep_entries(bytes *b, size_t size) { deep(b, size, 0x32); }
static void deep_unknown(bytes *b, size_t size) { deep(b, size, 0x7A); }
/* Just under the limit of depth, again and again. */
static void chains(bytes *b, size_t size, char tag) {
  bytes one = {NULL, 0, 0};
  deep(&one, 2 * 62 + 6, tag);
  fill(b, size, one.data, one.len);
  free(one.data);
}
static void chains_of_messages(bytes *b, size_t size) { chains(b, size, 0x12); }
static void chains_of_merged_messages(bytes *b, size_t size) { chains(b, size, 0x0A); }
static void chains_of_groups(bytes *b, size_t size) {
  bytes one = {NULL, 0, 0};
  int i;
  for (i = 0; i < 45; i++) put(&one, "\xE3\x03", 2);
  for (i = 0; i < 45; i++) put(&one, "\xE4\x03", 2);
  fill(b, size, one.data, one.len);
  free(one.data);
}

static void names(bytes *b, size_t size, size_t count, uint32_t step) {
  uint32_t i;
  char entry[16], key[9];
  for (i = 0; i < count && b->len + 14 <= size; i++) {
    snprintf(key, sizeof key, "%08x", i * step);
    memcpy(entry, "\x22\x0A\x0A\x08", 4);
    memcpy(entry + 4, key, 8);
    put(b, entry, 12);
  }
}
static void ascending_names(bytes *b, size_t size) { names(b, size, SIZE_MAX, 1); }
static void descending_names(bytes *b, size_t size) { names(b, size, SIZE_MAX, 0xFFFFFFFFu); }
static void scattered_names(bytes *b, size_t size) { names(b, size, SIZE_MAX, 2654435761u); }
/* Two keys in turn, so that no entry looks like the one before it. */
static void two_names_in_turn(bytes *b, size_t size) { fill(b, size, "\x22\x03\x0A\x01z\x22\x03\x0A\x01" "a", 10); }
static void number_entries(bytes *b, size_t size, size_t count, uint32_t step) {
  uint32_t i;
  for (i = 0; i < count && b->len + 9 <= size; i++) {
    bytes key = {NULL, 0, 0};
    varint(&key, i * step);
    put(b, "\x2A", 1);
    varint(b, key.len + 1);
    put(b, "\x08", 1);
    put(b, key.data, key.len);
    free(key.data);
  }
}
static void descending_numbers(bytes *b, size_t size) { number_entries(b, size, SIZE_MAX, 0xFFFFFFFFu); }
static void scattered_numbers(bytes *b, size_t size) { number_entries(b, size, SIZE_MAX, 2654435761u); }

/* Wide messages in wide messages: each open one wants its whole width. */
static void chains_of_wide_messages(bytes *b, size_t size) {
  size_t i;
  int k;
  bytes r = {NULL, 0, 0}, v = {NULL, 0, 0}, one = {NULL, 0, 0};
  for (k = 0; k < 90; k++) {
    v.len = 0;
    varint(&v, r.len);
    for (i = v.len; i > 0; i--) put(&r, v.data + i - 1, 1);
    put(&r, k & 1 ? "\x01\x92" : "\x02\xC2", 2);
  }
  for (i = r.len; i > 0; i--) put(&one, r.data + i - 1, 1);
  fill(b, size, one.data, one.len);
  free(r.data);
  free(v.data);
  free(one.data);
}

static const hostile kInputs[] = {
#define INPUT(name) {#name, name}
    INPUT(empty_messages), INPUT(empty_messages_of_an_empty_type), INPUT(empty_wide_messages), INPUT(wide_messages_with_one_field),
    INPUT(empty_strings), INPUT(empty_map_entries), INPUT(empty_number_entries), INPUT(empty_message_entries), INPUT(elements_one_by_one),
    INPUT(packed_runs_of_one), INPUT(packed_runs_of_none), INPUT(packed_runs_of_one_fixed), INPUT(unknown_enum_numbers_one_by_one),
    INPUT(empty_groups), INPUT(one_child_again_and_again), INPUT(one_child_merged), INPUT(oneof_turned_around),
    INPUT(oneof_message_and_string), INPUT(unknown_fields), INPUT(unknown_fields_apart), INPUT(a_child_with_one_unknown_field),
    INPUT(unknown_groups), INPUT(unknown_groups_never_ended), INPUT(groups_never_ended), INPUT(group_ends_alone), INPUT(duplicate_names),
    INPUT(duplicate_message_entries), INPUT(a_map_entry_with_two_values), INPUT(extensions_one_by_one), INPUT(an_extension_message_merged),
    INPUT(unknown_extensions), INPUT(overlong_tags), INPUT(lengths_that_lie), INPUT(packed_bools), INPUT(packed_short_numbers),
    INPUT(packed_long_numbers), INPUT(packed_unknown_enum_numbers), INPUT(packed_enum_numbers_half_unknown), INPUT(deep_messages),
    INPUT(deep_elements), INPUT(deep_entries), INPUT(deep_unknown), INPUT(chains_of_messages), INPUT(chains_of_merged_messages),
    INPUT(chains_of_groups), INPUT(ascending_names), INPUT(descending_names), INPUT(scattered_names), INPUT(two_names_in_turn),
    INPUT(descending_numbers), INPUT(scattered_numbers), INPUT(chains_of_wide_messages),
};
#define INPUT_COUNT (sizeof kInputs / sizeof *kInputs)

/* As many small things as there is room for, as far in as a decoder lets them be: each would be a line with 200 spaces before it. */
static void wrap(bytes *inner, const char *tag, size_t len) {
  bytes b = {NULL, 0, 0};
  put(&b, tag, len);
  varint(&b, inner->len);
  put(&b, inner->data, inner->len);
  free(inner->data);
  *inner = b;
}
static void far_in(bytes *b) {
  int i;
  for (i = 0; i < 97; i++) wrap(b, "\x0A", 1);
}
static void empty_messages_far_in(bytes *b, size_t size) {
  empty_messages_of_an_empty_type(b, size - 500);
  far_in(b);
}
static void empty_strings_far_in(bytes *b, size_t size) {
  empty_strings(b, size - 500);
  far_in(b);
}
static void bools_far_in(bytes *b, size_t size) {
  packed_bools(b, size - 500);
  far_in(b);
}
static void entries_far_in(bytes *b, size_t size) {
  scattered_numbers(b, size - 500);
  far_in(b);
}
static void lists_far_in(bytes *b, size_t size) {
  int i;
  fill(b, size - 500, "\x0A\x06\x32\x04\x0A\x02\x08\x00", 8); /* [null] */
  for (i = 0; i < 44; i++) {
    wrap(b, "\x32", 1);
    wrap(b, "\x0A", 1);
  }
  wrap(b, "\x32", 1);
  wrap(b, "\xAA\x01", 2);
}
static const hostile kFarIn[] = {INPUT(empty_messages_far_in), INPUT(empty_strings_far_in), INPUT(bools_far_in), INPUT(entries_far_in), INPUT(lists_far_in)};

/* ---- What is done with it ---------------------------------------------------------------------------------------- */

static size_t index_size(const zcrpc_view *v) {
  const zcrpc_head *head = (const zcrpc_head *)(const void *)v;
  return ((const zcrpc_index *)(const void *)((const char *)v - head->self))->size;
}

/* What is done with the view, all of it on the budget of the decode; NULL: nothing. */
typedef zcrpc_code (*use)(const zcrpc_view *v, zcrpc_arena *a, size_t *written, zcrpc_error **err);
typedef struct way {
  const zcrpc_options *options;
  use then;
  int generated; /* by straight-line decoders */
  size_t writes; /* bytes for each byte of input that a writer may take beside what it writes, which may have faults of its own: JSON is UTF-8 */
} way;

/* The view lives in a fresh arena: all that is taken is counted, but for what is written, which comes on top. */
static outcome decode(const char *data, size_t len, const void *how) {
  const way *w = (const way *)how;
  outcome r = {ZCRPC_OK, 0, 0, 0};
  size_t written = 0;
  zcrpc_error *err = NULL;
  zcrpc_arena *a;
  const zcrpc_view *v;
  double start = cpu_seconds();
  peak_malloc_start();
  a = zcrpc_arena_new(NULL);
#ifdef HOSTILE_GENERATED
  if (w->generated) v = zcrpc_file_decode(&hostile_hostile_file, 0, data, len, w->options, a, &err);
  else
#endif
    v = zcrpc_view_decode(type, data, len, w->options, a, &err);
  r.code = zcrpc_error_code(err);
  if (v) {
    r.kept = index_size(v);
    if (w->then) r.code = w->then(v, a, &written, &err);
  }
  r.seconds = cpu_seconds() - start;
  r.peak = peak_malloc_bytes();
  /* A buffer that grows may have room for half as much again. */
  written = 2 * written + w->writes * len;
  r.peak -= r.peak < written ? r.peak : written;
  if (r.code == ZCRPC_INVALID_ARGUMENT && (!v || !w->writes)) assert_true(zcrpc_error_offset(err) >= 0 && (size_t)zcrpc_error_offset(err) <= len);
  zcrpc_error_free(err);
  zcrpc_arena_free(a);
  return r;
}

/* Lazy, and then opened to the last level. */
static zcrpc_code open_at_once(const zcrpc_view *v, zcrpc_arena *a, size_t *written, zcrpc_error **err) {
  (void)written;
  return zcrpc_view_open_all(v, a, err);
}

/* The same one by one, and on after an error: what cannot be had is not taken either. The first error counts. */
static void open_below(const zcrpc_view *v, zcrpc_arena *a, zcrpc_error **first) {
  const zcrpc_type *t = zcrpc_view_type(v);
  uint32_t field = 0;
  size_t i, n;
  zcrpc_field_info f, value;
  f.struct_size = value.struct_size = sizeof f;
  while ((field = zcrpc_view_next(v, field)) != 0) {
    if (!zcrpc_type_field(t, field, &f) || !f.message) continue;
    if (f.flags & ZCRPC_FIELD_MAP && (!zcrpc_type_field(f.message, 2, &value) || !value.message)) continue;
    n = f.flags & ZCRPC_FIELD_REPEATED ? zcrpc_view_count(v, field) : 1;
    for (i = 0; i < n; i++) {
      zcrpc_error *err = NULL;
      const zcrpc_view *child = zcrpc_view_open(v, field, i, a, &err);
      if (child) open_below(child, a, first);
      if (err && !*first) *first = err;
      else zcrpc_error_free(err);
    }
  }
}
static zcrpc_code open_one_by_one(const zcrpc_view *v, zcrpc_arena *a, size_t *written, zcrpc_error **err) {
  (void)written;
  open_below(v, a, err);
  return zcrpc_error_code(*err);
}

/* Written again: what a walk over all of it needs, and an edit. Of a lazy view that was opened as far as it went before. */
static zcrpc_code write_with(zcrpc_encoder *e, size_t *written, zcrpc_error **err) {
  zcrpc_buffer *b = zcrpc_encoder_finish(e, err);
  zcrpc_slice out;
  zcrpc_buffer_slice(b, &out);
  *written = out.len;
  zcrpc_buffer_release(b);
  zcrpc_encoder_free(e);
  return zcrpc_error_code(*err);
}
static zcrpc_code encode_again(const zcrpc_view *v, zcrpc_arena *a, size_t *written, zcrpc_error **err) {
  zcrpc_encoder *e = zcrpc_encoder_new(type, NULL);
  (void)zcrpc_view_open_all(v, a, NULL);
  zcrpc_encoder_put_fields(e, v);
  return write_with(e, written, err);
}
static zcrpc_code edit_over_it(const zcrpc_view *v, zcrpc_arena *a, size_t *written, zcrpc_error **err) {
  zcrpc_encoder *e = zcrpc_encoder_new(type, NULL);
  (void)zcrpc_view_open_all(v, a, NULL);
  zcrpc_encoder_edit(e, v);
  zcrpc_encoder_begin(e, 1);
  zcrpc_encoder_put_string(e, 16, "edited", 6);
  zcrpc_encoder_end(e);
  zcrpc_encoder_clear(e, 3);
  return write_with(e, written, err);
}
static zcrpc_code print_as_json(const zcrpc_view *v, zcrpc_arena *a, size_t *written, zcrpc_error **err) {
  zcrpc_slice out;
  zcrpc_buffer *b;
  (void)zcrpc_view_open_all(v, a, NULL);
  b = zcrpc_view_print(v, ZCRPC_JSON, NULL, err);
  zcrpc_buffer_slice(b, &out);
  *written = out.len;
  zcrpc_buffer_release(b);
  return zcrpc_error_code(*err);
}

/* Read as protobuf and written as protobuf, JSON or text: what is written counts on top of what the reading may take. */
static outcome convert(const char *data, size_t len, const void *how) {
  outcome r = {ZCRPC_OK, 0, 0, 0};
  zcrpc_error *err = NULL;
  zcrpc_buffer *b;
  zcrpc_slice out;
  double start = cpu_seconds();
  peak_malloc_start();
  b = zcrpc_type_convert(type, ZCRPC_PROTO, data, len, *(const int32_t *)how, NULL, &err);
  r.seconds = cpu_seconds() - start;
  r.code = b ? ZCRPC_OK : zcrpc_error_code(err);
  zcrpc_buffer_slice(b, &out);
  r.peak = peak_malloc_bytes();
  /* A buffer that grows may have room for half as much again; the encoder notes lengths before it writes. */
  r.peak -= r.peak < 2 * out.len + len ? r.peak : 2 * out.len + len;
  zcrpc_buffer_release(b);
  zcrpc_error_free(err);
  return r;
}

static zcrpc_options *decode_option(int32_t key, int64_t value) {
  zcrpc_options *o = zcrpc_options_new(ZCRPC_FOR_DECODE, NULL);
  assert_int_equal(zcrpc_options_set_int(o, key, value, NULL), ZCRPC_OK);
  return o;
}

/* ---- Tests ------------------------------------------------------------------------------------------------------- */

static void eager_decode_is_bounded(void **state) {
  static const way eager = {NULL, NULL, 0, 0};
  (void)state;
  all_bounded("eager", kInputs, INPUT_COUNT, decode, &eager);
}
static void decoding_by_generated_code_is_bounded(void **state) {
  static const way generated = {NULL, NULL, 1, 0};
  (void)state;
#ifndef HOSTILE_GENERATED
  skip();
#endif
  all_bounded("generated", kInputs, INPUT_COUNT, decode, &generated);
}
static void dropping_unknown_fields_is_bounded(void **state) {
  way drop = {decode_option(ZCRPC_DECODE_DROP_UNKNOWN, 1), NULL, 0, 0};
  (void)state;
  all_bounded("drop", kInputs, INPUT_COUNT, decode, &drop);
  zcrpc_options_free((zcrpc_options *)drop.options);
}
/* Names nothing that comes; names some of it; names parts at the end of long ways. */
static void projections_are_bounded(void **state) {
  static const char *const masks[] = {"real", "children,names,longs,texts,wides",
                                      "child.child.text,children.children.text,tree.value.child,wides.deep,left.text,[hostile.more].text"};
  size_t i;
  (void)state;
  for (i = 0; i < sizeof masks / sizeof *masks; i++) {
    zcrpc_options *o = zcrpc_options_new(ZCRPC_FOR_DECODE, NULL);
    zcrpc_error *err = NULL;
    zcrpc_projection *p = zcrpc_projection_new(type, masks[i], &err);
    way projected = {o, NULL, 0, 0};
    if (!p) print_error("%s\n", zcrpc_error_message(err));
    assert_non_null(p);
    assert_int_equal(zcrpc_options_set_projection(o, p, NULL), ZCRPC_OK);
    all_bounded(masks[i], kInputs, INPUT_COUNT, decode, &projected);
    zcrpc_options_free(o);
    zcrpc_projection_free(p);
  }
}
/* The encoder notes lengths before it writes; a printer begins with room for one and a half times the input; an edit keeps 56 bytes for
 * each piece of a message that it opens, in a list that doubles (docs/decisions/0082). */
enum { ENCODER = 1, PRINTER = 2, EDIT = 28 };
static void lazily(const char *what, use then, size_t writes) {
  way lazy = {decode_option(ZCRPC_DECODE_MODE, ZCRPC_LAZY), then, 0, writes};
  all_bounded(what, kInputs, INPUT_COUNT, decode, &lazy);
  zcrpc_options_free((zcrpc_options *)lazy.options);
}
static void lazy_decode_opened_at_once_is_bounded(void **state) {
  (void)state;
  lazily("lazy, at once", open_at_once, 0);
}
static void lazy_decode_opened_one_by_one_is_bounded(void **state) {
  (void)state;
  lazily("lazy, one by one", open_one_by_one, 0);
}
static void encoding_a_lazy_view_is_bounded(void **state) {
  (void)state;
  lazily("lazy, encoded", encode_again, ENCODER);
}
static void printing_a_lazy_view_is_bounded(void **state) {
  (void)state;
  lazily("lazy, printed", print_as_json, PRINTER);
}
static void editing_is_bounded(void **state) {
  static const way eager = {NULL, edit_over_it, 0, EDIT};
  (void)state;
  all_bounded("edited", kInputs, INPUT_COUNT, decode, &eager);
  lazily("lazy, edited", edit_over_it, EDIT);
}
static void encoding_again_is_bounded(void **state) {
  static const int32_t to = ZCRPC_PROTO;
  (void)state;
  all_bounded("encode", kInputs, INPUT_COUNT, convert, &to);
}
static void printing_as_json_is_bounded(void **state) {
  static const int32_t to = ZCRPC_JSON;
  (void)state;
  all_bounded("to JSON", kInputs, INPUT_COUNT, convert, &to);
}
static void printing_as_text_is_bounded(void **state) {
  static const int32_t to = ZCRPC_TEXT;
  (void)state;
  all_bounded("to text", kInputs, INPUT_COUNT, convert, &to);
}

/* Lines and indents: what they take beside the same in one line is bounded, and it reads back the same. */
static zcrpc_slice printed(const bytes *b, int32_t to, const zcrpc_options *o, zcrpc_buffer **out, zcrpc_code *code) {
  zcrpc_error *err = NULL;
  zcrpc_slice s;
  *out = zcrpc_type_convert(type, ZCRPC_PROTO, b->data, b->len, to, o, &err);
  *code = zcrpc_error_code(err);
  zcrpc_error_free(err);
  zcrpc_buffer_slice(*out, &s);
  return s;
}
static int reads_as(zcrpc_slice text, int32_t from, const char *data, size_t len) {
  zcrpc_buffer *b = zcrpc_type_convert(type, from, text.data, text.len, ZCRPC_PROTO, NULL, NULL);
  zcrpc_buffer *whole = zcrpc_type_convert(type, ZCRPC_PROTO, data, len, ZCRPC_PROTO, NULL, NULL), *again;
  zcrpc_slice s, t;
  int same;
  zcrpc_buffer_slice(b, &s);
  again = zcrpc_type_convert(type, ZCRPC_PROTO, s.data, s.len, ZCRPC_PROTO, NULL, NULL);
  zcrpc_buffer_slice(again, &s);
  zcrpc_buffer_slice(whole, &t);
  same = b && s.len == t.len && memcmp(s.data, t.data, s.len) == 0;
  zcrpc_buffer_release(b);
  zcrpc_buffer_release(again);
  zcrpc_buffer_release(whole);
  return same;
}
static int pretty_is_bounded(const hostile *h, int32_t to, int far) {
  bytes b = {NULL, 0, 0};
  zcrpc_options *o = zcrpc_options_new(ZCRPC_FOR_FORMAT, NULL);
  zcrpc_buffer *flat, *lines;
  zcrpc_slice one, many;
  zcrpc_code code, same;
  size_t peak, most;
  int wrong;
  h->make(&b, MIB / PART);
  if (!far) zcrpc_options_set_int(o, ZCRPC_FORMAT_UNKNOWN_FIELDS, 1, NULL);
  one = printed(&b, to, o, &flat, &code);
  zcrpc_options_set_int(o, ZCRPC_FORMAT_PRETTY, 1, NULL);
  peak_malloc_start();
  many = printed(&b, to, o, &lines, &same);
  peak = peak_malloc_bytes();
  most = MIB + 16 * b.len + 2 * one.len;
  wrong = code != same || one.len > MIB + 16 * b.len || many.len > most || peak > allowed(b.len) + BESIDE + 2 * many.len + 2 * b.len;
  if (far) wrong |= code != ZCRPC_OK || !reads_as(many, to, b.data, b.len);
  if (wrong || getenv("HOSTILE_PRINT"))
    print_message("%s, %s: %zu bytes are %zu, prettily %zu of %zu, with %zu of memory: %s\n", h->name, to == ZCRPC_JSON ? "JSON" : "text", b.len, one.len,
                  many.len, most, peak, zcrpc_code_name(same));
  zcrpc_buffer_release(flat);
  zcrpc_buffer_release(lines);
  zcrpc_options_free(o);
  free(b.data);
  return wrong;
}
static void printing_prettily_is_bounded(void **state) {
  size_t i;
  int wrong = 0;
  (void)state;
  for (i = 0; i < INPUT_COUNT; i++) wrong += pretty_is_bounded(&kInputs[i], ZCRPC_JSON, 0) + pretty_is_bounded(&kInputs[i], ZCRPC_TEXT, 0);
  for (i = 0; i < sizeof kFarIn / sizeof *kFarIn; i++) wrong += pretty_is_bounded(&kFarIn[i], ZCRPC_JSON, 1) + pretty_is_bounded(&kFarIn[i], ZCRPC_TEXT, 1);
  assert_int_equal(wrong, 0);
}
/* Indents go to the end of what is not deep, and of what is until they took 1 MiB and 16 times the message. */
static void indents_end_late_or_early(void **state) {
  int far;
  (void)state;
  for (far = 0; far < 2; far++) {
    bytes b = {NULL, 0, 0};
    zcrpc_options *o = zcrpc_options_new(ZCRPC_FOR_FORMAT, NULL);
    zcrpc_buffer *text;
    zcrpc_slice s;
    zcrpc_code code;
    const char *at;
    size_t depth = far ? 198 : 4, spaces = 0, i;
    char line[256];
    zcrpc_options_set_int(o, ZCRPC_FORMAT_PRETTY, 1, NULL);
    (far ? empty_messages_far_in : empty_messages_of_an_empty_type)(&b, MIB / PART);
    s = printed(&b, ZCRPC_JSON, o, &text, &code);
    assert_int_equal(code, ZCRPC_OK);
    snprintf(line, sizeof line, "\n%*s{},\n%*s{},\n", (int)depth, "", (int)depth, "");
    assert_non_null(memmem(s.data, s.len, line, strlen(line)));
    at = (const char *)memmem(s.data, s.len, "\n{}", 3);
    assert_int_equal(at != NULL, far);
    for (i = 0; i < s.len; i++) spaces += s.data[i] == ' ';
    assert_true(spaces <= MIB + 16 * b.len + 200); /* those behind a colon */
    if (far) assert_true(spaces > MIB + 16 * b.len - 200);
    if (far) assert_null(memmem(at, s.len - (size_t)(at - (const char *)s.data), "  ", 2)); /* and none again */
    zcrpc_buffer_release(text);
    zcrpc_options_free(o);
    free(b.data);
  }
}

/* A packed run that ends the input, with nothing behind it that may be read, and the same with slack behind it: the same
 * numbers, or the same error. */
static void packed_run_at_the_end_of_the_input_reads_as_elsewhere(void **state) {
  uint64_t random = 88172645463325252u;
  size_t round, i;
  (void)state;
  for (round = 0; round < 400; round++) {
    bytes run = {NULL, 0, 0}, b = {NULL, 0, 0};
    size_t count = 100 + round, n[2];
    int64_t *numbers[2];
    void *memory, *exact;
    zcrpc_arena *a = zcrpc_arena_new(NULL);
    zcrpc_error *err[2] = {NULL, NULL};
    const zcrpc_view *v[2];
    zcrpc_buffer *buffer;
    for (i = 0; i < count; i++) {
      random ^= random << 13, random ^= random >> 7, random ^= random << 17;
      varint(&run, round % 3 ? random >> (random % 64) : random % 200);
    }
    if (round % 10 == 9) run.data[run.len - 1] = (char)0x80; /* cut in the last number */
    if (round % 50 == 8) memset(run.data + run.len - 12, 0x80, 11); /* or a number that is too long */
    put(&b, "\x42", 1);
    varint(&b, run.len);
    put(&b, run.data, run.len);
    exact = malloc(b.len);
    assert_non_null(exact);
    memcpy(exact, b.data, b.len);
    buffer = zcrpc_buffer_new(b.len, &memory, NULL);
    memcpy(memory, b.data, b.len);
    v[0] = zcrpc_view_decode(type, exact, b.len, NULL, a, &err[0]);
    v[1] = zcrpc_view_decode_buffer(type, buffer, NULL, a, &err[1]);
    assert_int_equal(v[0] != NULL, v[1] != NULL);
    assert_int_equal(zcrpc_error_code(err[0]), zcrpc_error_code(err[1]));
    assert_true(zcrpc_error_offset(err[0]) == zcrpc_error_offset(err[1]));
    if (v[0]) {
      for (i = 0; i < 2; i++) {
        numbers[i] = (int64_t *)calloc(count, sizeof(int64_t));
        n[i] = zcrpc_view_int64s(v[i], 8, 0, numbers[i], count);
      }
      assert_int_equal(n[0], count);
      assert_int_equal(n[1], count);
      assert_memory_equal(numbers[0], numbers[1], count * sizeof(int64_t));
      free(numbers[0]);
      free(numbers[1]);
    }
    zcrpc_error_free(err[0]);
    zcrpc_error_free(err[1]);
    zcrpc_arena_free(a);
    zcrpc_buffer_release(buffer);
    free(exact);
    free(run.data);
    free(b.data);
  }
}

/* 1,000,000 keys in ascending, descending and no order, of strings and of numbers: all are there, within the budget. */
static void maps_of_a_million_keys(void **state) {
  static const uint32_t steps[] = {1, 0xFFFFFFFFu, 2654435761u};
  size_t i, kind;
  (void)state;
  for (kind = 0; kind < 2; kind++)
    for (i = 0; i < 3; i++) {
      bytes b = {NULL, 0, 0};
      zcrpc_arena *a = zcrpc_arena_new(NULL);
      zcrpc_error *err = NULL;
      const zcrpc_view *v;
      double start;
      (kind ? number_entries : names)(&b, SIZE_MAX, 1000000 / PART, steps[i]);
      start = cpu_seconds();
      peak_malloc_start();
      v = zcrpc_view_decode(type, b.data, b.len, NULL, a, &err);
      if (!v) print_error("%s\n", zcrpc_error_message(err));
      assert_non_null(v);
      assert_int_equal(zcrpc_view_count(v, kind ? 5 : 4), 1000000 / PART);
      assert_true(peak_malloc_bytes() <= allowed(b.len));
      if (getenv("HOSTILE_PRINT"))
        printf("1,000,000 %s, step %08x: %zu bytes, %.2f bytes a byte, %.1f ms\n", kind ? "numbers" : "names", steps[i], b.len,
               (double)peak_malloc_bytes() / (double)b.len, (cpu_seconds() - start) * 1e3);
      assert_true(cpu_seconds() - start < 20);
      zcrpc_arena_free(a);
      free(b.data);
    }
}

/* As many messages behind keys, which wait until they are opened: all at once, or the first and the last. */
static void a_lazy_map_of_a_million_keys(void **state) {
  zcrpc_options *o = decode_option(ZCRPC_DECODE_MODE, ZCRPC_LAZY);
  static const uint32_t steps[] = {1, 2654435761u};
  size_t turn, i;
  (void)state;
  for (turn = 0; turn < 4; turn++) {
    bytes b = {NULL, 0, 0};
    zcrpc_arena *a = zcrpc_arena_new(NULL);
    zcrpc_error *err = NULL;
    const zcrpc_view *v;
    double start = cpu_seconds();
    for (i = 0; i < 1000000 / PART; i++) {
      bytes key = {NULL, 0, 0};
      varint(&key, (uint32_t)(i * steps[turn / 2]) >> 1); /* of int32: not negative */
      put(&b, "\x32", 1);
      varint(&b, key.len + 7);
      put(&b, "\x08", 1);
      put(&b, key.data, key.len);
      put(&b, "\x12\x04\x82\x01\x01x", 6); /* text */
      free(key.data);
    }
    peak_malloc_start();
    v = zcrpc_view_decode(type, b.data, b.len, o, a, &err);
    if (!v) print_error("%s\n", zcrpc_error_message(err));
    assert_non_null(v);
    assert_true(zcrpc_view_count(v, 6) >= 1000000 / PART / 2);
    if (turn % 2) {
      assert_true(typed(zcrpc_view_open_all(v, a, &err)));
    } else {
      assert_non_null(zcrpc_view_open(v, 6, 0, a, NULL));
      assert_non_null(zcrpc_view_open(v, 6, zcrpc_view_count(v, 6) - 1, a, NULL));
    }
    assert_true(peak_malloc_bytes() <= allowed(b.len) + BESIDE);
    if (getenv("HOSTILE_PRINT"))
      printf("1,000,000 messages behind keys, turn %zu: %zu bytes, %.2f bytes a byte, %.1f ms: %s\n", turn, b.len,
             (double)peak_malloc_bytes() / (double)b.len, (cpu_seconds() - start) * 1e3, zcrpc_code_name(zcrpc_error_code(err)));
    assert_true(cpu_seconds() - start < 20);
    zcrpc_error_free(err);
    zcrpc_arena_free(a);
    free(b.data);
  }
  zcrpc_options_free(o);
}

/* Wherever the budget ends, and whatever is left of the arena's block there: opening a message writes nothing behind it (which AddressSanitizer sees). */
static void a_lazy_open_at_the_end_of_the_budget_writes_behind_the_block(void **state) {
  static const struct { const char *unit; size_t len, count; } kinds[] = {{"\x12\x02\x12\x00", 4, 307}, {"\x12\x00", 2, 400}, {"\x5b\x0a\x02\x12\x00\x5c", 6, 200}};
  size_t kind, i;
  int64_t most;
  (void)state;
  for (kind = 0; kind < sizeof kinds / sizeof *kinds; kind++) {
    bytes b = {NULL, 0, 0};
    int ended = 0;
    for (i = 0; i < kinds[kind].count; i++) put(&b, kinds[kind].unit, kinds[kind].len);
    for (most = 20000; most < 60000; most += 24) {
      zcrpc_options *o = decode_option(ZCRPC_DECODE_MODE, ZCRPC_LAZY);
      zcrpc_arena *a = zcrpc_arena_new(NULL);
      zcrpc_error *err = NULL;
      const zcrpc_view *v;
      zcrpc_code code;
      assert_int_equal(zcrpc_options_set_int(o, ZCRPC_DECODE_MAX_INDEX, most, NULL), ZCRPC_OK);
      v = zcrpc_view_decode(type, b.data, b.len, o, a, &err);
      code = v ? zcrpc_view_open_all(v, a, &err) : zcrpc_error_code(err);
      assert_true(code == ZCRPC_OK || code == ZCRPC_RESOURCE_EXHAUSTED);
      ended += code != ZCRPC_OK;
      zcrpc_error_free(err);
      zcrpc_arena_free(a);
      zcrpc_options_free(o);
    }
    assert_true(ended > 0);
    free(b.data);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(eager_decode_is_bounded),
      cmocka_unit_test(dropping_unknown_fields_is_bounded),
      cmocka_unit_test(decoding_by_generated_code_is_bounded),
      cmocka_unit_test(projections_are_bounded),
      cmocka_unit_test(lazy_decode_opened_at_once_is_bounded),
      cmocka_unit_test(lazy_decode_opened_one_by_one_is_bounded),
      cmocka_unit_test(encoding_a_lazy_view_is_bounded),
      cmocka_unit_test(printing_a_lazy_view_is_bounded),
      cmocka_unit_test(editing_is_bounded),
      cmocka_unit_test(encoding_again_is_bounded),
      cmocka_unit_test(printing_as_json_is_bounded),
      cmocka_unit_test(printing_as_text_is_bounded),
      cmocka_unit_test(printing_prettily_is_bounded),
      cmocka_unit_test(indents_end_late_or_early),
      cmocka_unit_test(packed_run_at_the_end_of_the_input_reads_as_elsewhere),
      cmocka_unit_test(maps_of_a_million_keys),
      cmocka_unit_test(a_lazy_open_at_the_end_of_the_budget_writes_behind_the_block),
      cmocka_unit_test(a_lazy_map_of_a_million_keys),
  };
  return cmocka_run_group_tests(tests, set_up, tear_down);
}
