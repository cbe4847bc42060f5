/* JSON and text that ask for much: each kind, a mebibyte of it, ends in a typed error or within 1 MiB and 32 times its
 * size, in time that grows with it. */
#include "hostile.h"

/* `before`, then `unit` again and again, then `after`. */
static void around(bytes *b, size_t size, const char *before, const char *unit, const char *after) {
  put(b, before, strlen(before));
  fill(b, size - strlen(after), unit, strlen(unit));
  put(b, after, strlen(after));
}
/* A list: between its elements a comma. */
static void list(bytes *b, size_t size, const char *before, const char *element, const char *after) {
  char unit[64];
  snprintf(unit, sizeof unit, "%s,", element);
  around(b, size - strlen(element) - strlen(after), before, unit, "");
  put(b, element, strlen(element));
  put(b, after, strlen(after));
}
/* A map's entries, keys by number, step by step. */
static void entries(bytes *b, size_t size, const char *before, const char *format, uint32_t step, const char *after) {
  uint32_t i;
  char one[96];
  put(b, before, strlen(before));
  for (i = 0; b->len + 64 < size; i++) {
    snprintf(one, sizeof one, format, i ? "," : "", i * step);
    put(b, one, strlen(one));
  }
  put(b, after, strlen(after));
}

#define AROUND(name, before, unit, after) \
  static void name(bytes *b, size_t size) { around(b, size, before, unit, after); }
#define LIST(name, before, element, after) \
  static void name(bytes *b, size_t size) { list(b, size, before, element, after); }
#define ENTRIES(name, before, format, step, after) \
  static void name(bytes *b, size_t size) { entries(b, size, before, format, step, after); }

/* ---- JSON -------------------------------------------------------------------------------------------------------- */

LIST(json_empty_messages, "{\"children\":[", "{}", "]}")
LIST(json_empty_wide_messages, "{\"wides\":[", "{}", "]}")
LIST(json_empty_strings, "{\"texts\":[", "\"\"", "]}")
LIST(json_numbers, "{\"longs\":[", "1", "]}")
LIST(json_bools, "{\"bools\":[", "true", "]}")
LIST(json_quoted_numbers, "{\"longs\":[", "\"1e2\"", "]}")
LIST(json_long_numbers, "{\"longs\":[", "-1", "]}")
LIST(json_values, "{\"value\":[", "{}", "]}")
LIST(json_lists, "{\"value\":[", "[0]", "]}")
LIST(json_empty_lists, "{\"value\":[", "[]", "]}")
LIST(json_lists_in_lists, "{\"fields\":{\"k\":[", "[[]]", "]}}")
LIST(json_nulls, "{\"value\":[", "null", "]}")
LIST(json_unknown_names, "{\"unknown\":[", "{\"a\":[]}", "]}")
LIST(json_anys_without_type, "{\"any\":{\"@type\":\"type.googleapis.com/hostile.H\",\"children\":[", "{}", "]}}")
LIST(json_fields_again, "{", "\"text\":\"x\"", "}")
LIST(json_unknown_fields, "{", "\"no\":0", "}")
LIST(json_same_key, "{\"names\":{", "\"k\":\"v\"", "}}")
LIST(json_same_struct_key, "{\"fields\":{", "\"k\":{}", "}}")
ENTRIES(json_keys, "{\"names\":{", "%s\"%08x\":\"\"", 1, "}}")
ENTRIES(json_keys_scattered, "{\"names\":{", "%s\"%08x\":\"\"", 2654435761u, "}}")
ENTRIES(json_number_keys, "{\"numbers\":{", "%s\"%u\":1", 1, "}}")
ENTRIES(json_message_keys, "{\"tree\":{", "%s\"%u\":{}", 1, "}}")
ENTRIES(json_struct_keys, "{\"fields\":{", "%s\"%08x\":null", 1, "}}")
AROUND(json_arrays_in_arrays, "{\"value\":", "[", "")
AROUND(json_objects_in_objects, "{\"value\":", "{\"a\":", "")
AROUND(json_messages_in_messages, "", "{\"child\":", "")
AROUND(json_unknown_in_unknown, "{\"no\":", "{\"a\":", "")
AROUND(json_unknown_arrays, "{\"no\":", "[", "")
AROUND(json_escapes, "{\"text\":\"", "\\u0000", "\"}")
AROUND(json_surrogates, "{\"text\":\"", "\\ud83d\\ude00", "\"}")
AROUND(json_an_endless_string, "{\"text\":\"", "xxxxxxxx", "")
AROUND(json_an_endless_name, "{\"", "xxxxxxxx", "\":0}")
AROUND(json_digits, "{\"number\":", "1", "}")
AROUND(json_digits_of_a_fraction, "{\"real\":0.", "1", "}")
AROUND(json_digits_of_an_exponent, "{\"real\":1e", "9", "}")
AROUND(json_zeros_of_an_integer, "{\"number\":1.", "0", "}")
AROUND(json_base64, "{\"data\":\"", "AAAA", "\"}")
AROUND(json_blanks, "{", "        ", "}")
AROUND(json_mask, "{\"mask\":\"a", ",b", "\"}")
AROUND(json_mask_of_one_path, "{\"mask\":\"a", ".b", "\"}")
AROUND(json_anys_in_anys, "{\"any\":", "{\"@type\":\"type.googleapis.com/google.protobuf.Any\",\"value\":", "")
/* The type of an Any may come last: whoever looks for it at every level goes over the same text again and again. */
AROUND(json_anys_with_the_type_far_behind, "{\"any\":", "{\"value\":", "")
static void json_anys_with_the_type_last(bytes *b, size_t size) {
  static const char open[] = "{\"value\":", close[] = ",\"@type\":\"type.googleapis.com/google.protobuf.Any\"}";
  char filler[64];
  int i;
  put(b, "{\"any\":", 7);
  for (i = 0; i < 40; i++) put(b, open, sizeof open - 1);
  memset(filler, ' ', sizeof filler);
  while (b->len + 41 * sizeof close + 64 < size) put(b, filler, sizeof filler);
  put(b, "{}", 2);
  for (i = 0; i < 40; i++) put(b, close, sizeof close - 1);
  put(b, "}", 1);
}

/* What an Any holds becomes an index of its own, beside that of the message around. */
#define JSON_H "\"@type\":\"type.googleapis.com/hostile.H\""
LIST(json_an_any_of_lists, "{\"any\":{" JSON_H ",\"value\":[", "[0]", "]}}")
LIST(json_an_any_of_wide_messages, "{\"any\":{" JSON_H ",\"wides\":[", "{}", "]}}")
LIST(json_many_anys, "{\"children\":[", "{\"any\":{" JSON_H "}}", "]}")
/* 24 of them, each in the one before; and beside each next one what asks for much. */
static void nested(bytes *b, size_t size, const char *before, const char *unit, const char *separator, const char *end_of_units,
                   const char *open, const char *close) {
  const int levels = 24;
  const size_t part = (size - strlen(before)) / (size_t)levels;
  int i;
  put(b, before, strlen(before));
  for (i = 0; i < levels; i++) {
    const size_t end = b->len + part - strlen(open) - strlen(close) - strlen(end_of_units) - 64;
    put(b, unit, strlen(unit));
    while (b->len + strlen(unit) + strlen(separator) < end) {
      put(b, separator, strlen(separator));
      put(b, unit, strlen(unit));
    }
    put(b, end_of_units, strlen(end_of_units));
    if (i + 1 < levels) put(b, open, strlen(open));
  }
  for (i = 0; i < levels; i++) put(b, close, strlen(close));
}
static void json_anys_in_anys_with_lists(bytes *b, size_t size) {
  nested(b, size, "{\"any\":{" JSON_H ",\"value\":[", "[0]", ",", "]", ",\"any\":{" JSON_H ",\"value\":[", "}");
  put(b, "}", 1);
}
static void json_anys_in_anys_with_messages(bytes *b, size_t size) {
  nested(b, size, "{\"any\":{" JSON_H ",\"children\":[", "{}", ",", "]", ",\"any\":{" JSON_H ",\"children\":[", "}");
  put(b, "}", 1);
}
/* In lists in lists, where each line would have its spaces. */
static void json_numbers_far_in(bytes *b, size_t size) { list(b, size, "{\"value\":[[[[[[[[[[[[[[[[[[[[[[[[", "0", "]]]]]]]]]]]]]]]]]]]]]]]]}"); }
static void json_lists_far_in(bytes *b, size_t size) { list(b, size, "{\"value\":[[[[[[[[[[[[[[[[[[[[[[[[", "[0]", "]]]]]]]]]]]]]]]]]]]]]]]]}"); }

static const hostile kJson[] = {
#define INPUT(name) {#name, name}
    INPUT(json_empty_messages), INPUT(json_empty_wide_messages), INPUT(json_empty_strings), INPUT(json_numbers), INPUT(json_bools),
    INPUT(json_quoted_numbers), INPUT(json_long_numbers), INPUT(json_values), INPUT(json_lists),
    INPUT(json_empty_lists), INPUT(json_lists_in_lists), INPUT(json_nulls), INPUT(json_unknown_names),
    INPUT(json_anys_without_type), INPUT(json_fields_again), INPUT(json_unknown_fields), INPUT(json_same_key),
    INPUT(json_same_struct_key), INPUT(json_keys), INPUT(json_keys_scattered), INPUT(json_number_keys), INPUT(json_message_keys),
    INPUT(json_struct_keys), INPUT(json_arrays_in_arrays), INPUT(json_objects_in_objects), INPUT(json_messages_in_messages),
    INPUT(json_unknown_in_unknown), INPUT(json_unknown_arrays), INPUT(json_escapes), INPUT(json_surrogates),
    INPUT(json_an_endless_string), INPUT(json_an_endless_name), INPUT(json_digits), INPUT(json_digits_of_a_fraction),
    INPUT(json_digits_of_an_exponent), INPUT(json_zeros_of_an_integer), INPUT(json_base64), INPUT(json_blanks), INPUT(json_mask),
    INPUT(json_mask_of_one_path), INPUT(json_anys_in_anys), INPUT(json_anys_with_the_type_far_behind), INPUT(json_anys_with_the_type_last),
    INPUT(json_an_any_of_lists), INPUT(json_an_any_of_wide_messages), INPUT(json_many_anys), INPUT(json_anys_in_anys_with_lists),
    INPUT(json_anys_in_anys_with_messages), INPUT(json_numbers_far_in), INPUT(json_lists_far_in),
};

/* ---- Text -------------------------------------------------------------------------------------------------------- */

AROUND(text_empty_messages, "", "children{}", "")
AROUND(text_empty_wide_messages, "", "wides{}", "")
AROUND(text_empty_strings, "", "texts:''", "")
AROUND(text_numbers, "", "longs:1 ", "")
AROUND(text_hexadecimal, "", "longs:-0x1 ", "")
LIST(text_a_list_of_numbers, "longs:[", "1", "]")
LIST(text_a_list_of_messages, "children:[", "{}", "]")
AROUND(text_groups, "", "Parts{}", "")
AROUND(text_messages_in_messages, "", "child{", "")
AROUND(text_angles_in_angles, "", "child<", "")
AROUND(text_groups_in_unknown, "77{", "1{", "")
AROUND(text_empty_entries, "", "names{}", "")
AROUND(text_same_key, "", "names{key:'k' value:'v'}", "")
ENTRIES(text_keys, "", "%.0snames{key:'%08x'}", 2654435761u, "")
ENTRIES(text_number_keys, "", "%.0snumbers{key:%u}", 1, "")
AROUND(text_one_child_again, "", "child{}", "")
AROUND(text_literals_that_join, "text:", "'' ", "")
AROUND(text_escapes, "text:'", "\\001", "'")
AROUND(text_long_escapes, "text:'", "\\U0001F600", "'")
AROUND(text_comments, "", "#\n", "")
AROUND(text_one_comment, "#", "xxxxxxxx", "")
AROUND(text_digits, "number:", "1", "")
AROUND(text_digits_of_a_fraction, "real:0.", "1", "")
AROUND(text_an_endless_name, "", "xxxxxxxx", ":1")
AROUND(text_semicolons, "", ";", "")
AROUND(text_anys, "any{", "[type.googleapis.com/google.protobuf.Any]{", "")
AROUND(text_an_endless_any, "any{[type", ".a", "]{}}")
AROUND(text_unknown_numbers, "", "77:1 ", "")
AROUND(text_extensions, "", "[hostile.more_numbers]:1 ", "")

#define TEXT_H "[type.googleapis.com/hostile.H]{"
AROUND(text_an_any_of_wide_messages, "any{" TEXT_H, "wides{}", "}}")
AROUND(text_an_any_of_values, "any{" TEXT_H "value{list_value{", "values{}", "}}}}")
AROUND(text_many_anys, "", "children{any{" TEXT_H "}}}", "")
static void text_anys_in_anys_with_messages(bytes *b, size_t size) {
  nested(b, size, "any{" TEXT_H, "children{}", "", "", "any{" TEXT_H, "}}");
}

static const hostile kText[] = {
    INPUT(text_empty_messages), INPUT(text_empty_wide_messages), INPUT(text_empty_strings), INPUT(text_numbers), INPUT(text_hexadecimal),
    INPUT(text_a_list_of_numbers), INPUT(text_a_list_of_messages), INPUT(text_groups), INPUT(text_messages_in_messages),
    INPUT(text_angles_in_angles), INPUT(text_groups_in_unknown), INPUT(text_empty_entries), INPUT(text_same_key), INPUT(text_keys),
    INPUT(text_number_keys), INPUT(text_one_child_again), INPUT(text_literals_that_join), INPUT(text_escapes), INPUT(text_long_escapes),
    INPUT(text_comments), INPUT(text_one_comment), INPUT(text_digits), INPUT(text_digits_of_a_fraction), INPUT(text_an_endless_name),
    INPUT(text_semicolons), INPUT(text_anys), INPUT(text_an_endless_any), INPUT(text_unknown_numbers), INPUT(text_extensions),
    INPUT(text_an_any_of_wide_messages), INPUT(text_an_any_of_values), INPUT(text_many_anys), INPUT(text_anys_in_anys_with_messages),
};

/* ---- What is done with them -------------------------------------------------------------------------------------- */

typedef struct how { int32_t from, to; const zcrpc_options *options; int pretty; } how_to;

static outcome convert(const char *data, size_t len, const void *how) {
  const how_to *h = (const how_to *)how;
  outcome r = {ZCRPC_OK, 0, 0, 0};
  zcrpc_error *err = NULL;
  zcrpc_buffer *b;
  zcrpc_slice out;
  double start = cpu_seconds();
  peak_malloc_start();
  b = zcrpc_type_convert(type, h->from, data, len, h->to, h->options, &err);
  r.seconds = cpu_seconds() - start;
  r.peak = peak_malloc_bytes();
  r.code = b ? ZCRPC_OK : zcrpc_error_code(err);
  zcrpc_buffer_slice(b, &out);
  if (h->to != ZCRPC_PROTO) { /* what is printed counts on top; before an error that is what a printer begins with, and indents */
    const size_t printed = b ? 2 * out.len : (h->pretty ? 18 : 2) * len;
    r.peak -= r.peak < printed ? r.peak : printed;
  }
  r.kept = h->to == ZCRPC_PROTO || h->pretty ? out.len : 0;
  zcrpc_buffer_release(b);
  zcrpc_error_free(err);
  return r;
}

/* What it is as protobuf, read lazily, opened to the last and printed again, on the budget of those bytes. */
static outcome read_lazily(const char *data, size_t len, const void *how) {
  const how_to *h = (const how_to *)how;
  outcome r = {ZCRPC_OK, 0, 0, 0};
  zcrpc_error *err = NULL;
  zcrpc_buffer *b = zcrpc_type_convert(type, h->from, data, len, ZCRPC_PROTO, NULL, NULL), *printed = NULL;
  zcrpc_slice in, out;
  zcrpc_arena *a;
  const zcrpc_view *v;
  double start = cpu_seconds();
  if (!b) return r; /* it is refused, as the others have it */
  zcrpc_buffer_slice(b, &in);
  peak_malloc_start();
  a = zcrpc_arena_new(NULL);
  v = zcrpc_view_decode(type, in.data, in.len, h->options, a, &err);
  r.code = v ? zcrpc_view_open_all(v, a, &err) : zcrpc_error_code(err);
  if (r.code == ZCRPC_OK) {
    printed = zcrpc_view_print(v, h->to, NULL, &err);
    r.code = zcrpc_error_code(err);
  }
  r.seconds = cpu_seconds() - start;
  r.peak = peak_malloc_bytes();
  zcrpc_buffer_slice(printed, &out);
  out.len = 2 * (out.len + in.len); /* what is printed, and the room that a printer begins with */
  r.peak -= r.peak < out.len ? r.peak : out.len;
  if (r.peak > allowed(in.len) + BESIDE) print_error("%zu bytes of protobuf took %zu\n", in.len, r.peak);
  assert_true(r.peak <= allowed(in.len) + BESIDE);
  r.peak = 0; /* protobuf may be longer than the JSON that it was */
  zcrpc_error_free(err);
  zcrpc_buffer_release(printed);
  zcrpc_buffer_release(b);
  zcrpc_arena_free(a);
  return r;
}

static zcrpc_options *ignoring(void) {
  zcrpc_options *o = zcrpc_options_new(ZCRPC_FOR_FORMAT, NULL);
  assert_int_equal(zcrpc_options_set_int(o, ZCRPC_FORMAT_IGNORE_UNKNOWN, 1, NULL), ZCRPC_OK);
  return o;
}

#define COUNT(list) (sizeof list / sizeof *list)

static void parsing_json_is_bounded(void **state) {
  static const how_to how = {ZCRPC_JSON, ZCRPC_PROTO, NULL, 0};
  (void)state;
  all_bounded("JSON", kJson, COUNT(kJson), convert, &how);
}
static void parsing_json_that_ignores_is_bounded(void **state) {
  zcrpc_options *o = ignoring();
  const how_to how = {ZCRPC_JSON, ZCRPC_PROTO, o, 0};
  (void)state;
  all_bounded("JSON, unknown names ignored", kJson, COUNT(kJson), convert, &how);
  zcrpc_options_free(o);
}
static void json_there_and_back_is_bounded(void **state) {
  static const how_to how = {ZCRPC_JSON, ZCRPC_JSON, NULL, 0};
  (void)state;
  all_bounded("JSON to JSON", kJson, COUNT(kJson), convert, &how);
}
static void parsing_text_is_bounded(void **state) {
  static const how_to how = {ZCRPC_TEXT, ZCRPC_PROTO, NULL, 0};
  (void)state;
  all_bounded("text", kText, COUNT(kText), convert, &how);
}
static void parsing_text_that_ignores_is_bounded(void **state) {
  zcrpc_options *o = ignoring();
  const how_to how = {ZCRPC_TEXT, ZCRPC_PROTO, o, 0};
  (void)state;
  all_bounded("text, unknown names ignored", kText, COUNT(kText), convert, &how);
  zcrpc_options_free(o);
}
static void text_there_and_back_is_bounded(void **state) {
  static const how_to how = {ZCRPC_TEXT, ZCRPC_TEXT, NULL, 0};
  (void)state;
  all_bounded("text to text", kText, COUNT(kText), convert, &how);
}

/* With indents the whole text is bounded by what came in. */
static void pretty_text_is_bounded_by_the_text_that_it_was(void **state) {
  zcrpc_options *o = zcrpc_options_new(ZCRPC_FOR_FORMAT, NULL);
  const how_to json = {ZCRPC_JSON, ZCRPC_TEXT, o, 1}, again = {ZCRPC_JSON, ZCRPC_JSON, o, 1};
  (void)state;
  assert_int_equal(zcrpc_options_set_int(o, ZCRPC_FORMAT_PRETTY, 1, NULL), ZCRPC_OK);
  all_bounded("JSON to pretty text", kJson, COUNT(kJson), convert, &json);
  all_bounded("JSON to pretty JSON", kJson + COUNT(kJson) - 4, 4, convert, &again); /* far in, and Anys in Anys */
  zcrpc_options_free(o);
}

static void what_was_json_or_text_is_bounded_lazily(void **state) {
  zcrpc_options *o = zcrpc_options_new(ZCRPC_FOR_DECODE, NULL);
  const how_to json = {ZCRPC_JSON, ZCRPC_JSON, o, 0}, text = {ZCRPC_TEXT, ZCRPC_TEXT, o, 0};
  (void)state;
  assert_int_equal(zcrpc_options_set_int(o, ZCRPC_DECODE_MODE, ZCRPC_LAZY, NULL), ZCRPC_OK);
  all_bounded("JSON, then lazily", kJson, COUNT(kJson), read_lazily, &json);
  all_bounded("text, then lazily", kText, COUNT(kText), read_lazily, &text);
  zcrpc_options_free(o);
}

/* A program that allows a larger index than is usual has it, and can print the Anys that lie beside it. */
static void an_any_prints_beside_an_index_that_was_allowed(void **state) {
  static const char any[] = "\xB2\x01\x12\x0A\x0A/hostile.H\x12\x04\x82\x01\x01x";
  static const char end[] = "\"any\":{\"@type\":\"/hostile.H\",\"text\":\"x\"}}";
  zcrpc_options *o = zcrpc_options_new(ZCRPC_FOR_DECODE, NULL);
  zcrpc_arena *a = zcrpc_arena_new(NULL);
  bytes b = {NULL, 0, 0};
  const zcrpc_view *v;
  zcrpc_buffer *printed;
  zcrpc_slice s;
  (void)state;
  fill(&b, MIB / 4, "\x12\x00", 2);
  put(&b, any, sizeof any - 1);
  assert_null(zcrpc_view_decode(type, b.data, b.len, o, a, NULL));
  assert_int_equal(zcrpc_options_set_int(o, ZCRPC_DECODE_MAX_INDEX, 100 << 20, NULL), ZCRPC_OK);
  v = zcrpc_view_decode(type, b.data, b.len, o, a, NULL);
  assert_non_null(v);
  printed = zcrpc_view_print(v, ZCRPC_JSON, NULL, NULL);
  assert_non_null(printed);
  zcrpc_buffer_slice(printed, &s);
  assert_memory_equal((const char *)s.data + s.len - (sizeof end - 1), end, sizeof end - 1);
  zcrpc_buffer_release(printed);
  zcrpc_options_free(o);
  zcrpc_arena_free(a);
  free(b.data);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(parsing_json_is_bounded),
      cmocka_unit_test(parsing_json_that_ignores_is_bounded),
      cmocka_unit_test(json_there_and_back_is_bounded),
      cmocka_unit_test(parsing_text_is_bounded),
      cmocka_unit_test(parsing_text_that_ignores_is_bounded),
      cmocka_unit_test(text_there_and_back_is_bounded),
      cmocka_unit_test(pretty_text_is_bounded_by_the_text_that_it_was),
      cmocka_unit_test(an_any_prints_beside_an_index_that_was_allowed),
      cmocka_unit_test(what_was_json_or_text_is_bounded_lazily),
  };
  return cmocka_run_group_tests(tests, set_up, tear_down);
}
