/* The helpers of zcrpc.h, section 11, and their shortcuts in generated code: every case of tests/cases/helpers.tsv, which
 * other languages run too, and what only C can do wrong. HELPERS_TSV is that file. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "google/protobuf/any.zcrpc.h"
#include "google/rpc/code.zcrpc.h"
#include "google/rpc/error_details.zcrpc.h"
#include "google/rpc/status.zcrpc.h"
#include "helpers.zcrpc.h"

static zcrpc_arena *arena;
static const zcrpc_schema *cases; /* what helpers.proto declares and imports, google/rpc among it */

typedef struct row {
  int line, n;
  char *at[8];
} row;

static size_t from_hex(const char *hex, char *out) {
  size_t n = 0;
  unsigned v;
  if (!strcmp(hex, "-")) return 0;
  for (; hex[0] && hex[1]; hex += 2, n++) {
    sscanf(hex, "%2x", &v);
    out[n] = (char)v;
  }
  return n;
}

static void same_bytes(const row *r, const char *data, size_t len, const char *hex) {
  char want[1024];
  size_t n = from_hex(hex, want);
  if (n != len || memcmp(data, want, n)) {
    size_t i;
    print_message("helpers.tsv:%d: ", r->line);
    for (i = 0; i < len; i++) print_message("%02x", (unsigned char)data[i]);
    print_message("\n");
    fail();
  }
}
static void same_text(const row *r, zcrpc_slice s, const char *want) {
  if (!strcmp(want, "-")) want = "";
  if (s.len != strlen(want) || memcmp(s.data, want, s.len)) {
    print_message("helpers.tsv:%d: %.*s\n", r->line, (int)s.len, s.data);
    fail();
  }
}
/* The last column: a code, or OK and then a result. */
static int ended_well(const row *r, zcrpc_error *err) {
  const char *want = r->at[r->n - 1];
  char got[64];
  if (!err && *want != '!') return 1;
  snprintf(got, sizeof got, "!%s", zcrpc_code_name(zcrpc_error_code(err)));
  if (strchr(want, '@')) snprintf(got, sizeof got, "!%s@%d", zcrpc_code_name(zcrpc_error_code(err)), (int)zcrpc_error_offset(err));
  if (strcmp(got, want)) {
    print_message("helpers.tsv:%d: %s: %s\n", r->line, got, zcrpc_error_message(err));
    fail();
  }
  zcrpc_error_free(err);
  return 0;
}

static const zcrpc_type *type_named(const char *before, const char *name) {
  char full[128];
  snprintf(full, sizeof full, "%s%s", before, name);
  return zcrpc_schema_type(cases, full);
}

static zcrpc_slice finish(zcrpc_encoder *e) {
  zcrpc_error *err = NULL;
  zcrpc_slice s, copy;
  char *to;
  zcrpc_buffer *b = zcrpc_encoder_finish(e, &err);
  if (!b) print_message("finish: %s\n", zcrpc_error_message(err));
  assert_non_null(b);
  zcrpc_buffer_slice(b, &s);
  copy.len = s.len;
  copy.data = to = (char *)test_malloc(s.len + 1);
  memcpy(to, s.data, s.len);
  zcrpc_buffer_release(b);
  zcrpc_encoder_free(e);
  return copy;
}
static void done(zcrpc_slice s) { test_free((void *)(uintptr_t)(const void *)s.data); }

static const zcrpc_view *decode(const zcrpc_type *t, const char *data, size_t len) {
  zcrpc_error *err = NULL;
  const zcrpc_view *v = zcrpc_view_decode(t, data, len, NULL, arena, &err);
  if (!v) print_message("decode: %s\n", zcrpc_error_message(err));
  assert_non_null(v);
  return v;
}

static void same_json(const row *r, const zcrpc_view *v, const char *want) {
  zcrpc_error *err = NULL;
  zcrpc_slice s;
  zcrpc_buffer *b = zcrpc_view_print(v, ZCRPC_JSON, NULL, &err);
  if (!b) print_message("print: %s\n", zcrpc_error_message(err));
  assert_non_null(b);
  zcrpc_buffer_slice(b, &s);
  same_text(r, s, want);
  zcrpc_buffer_release(b);
}

/* ---- One function a helper */

static int32_t what_of(const char *name) { return strcmp(name, "duration") ? ZCRPC_TIMESTAMP : ZCRPC_DURATION; }

static void time_split(const row *r) {
  int64_t seconds = 99;
  int32_t nanos = 99;
  zcrpc_time_split(what_of(r->at[1]), strtoll(r->at[2], NULL, 10), &seconds, &nanos);
  if (seconds != strtoll(r->at[3], NULL, 10) || nanos != atoi(r->at[4])) fail_msg("helpers.tsv:%d", r->line);
}

static void time_join(const row *r) {
  int64_t ns = 99, seconds = strtoll(r->at[2], NULL, 10);
  zcrpc_error *err = NULL;
  zcrpc_code code = zcrpc_time_join(what_of(r->at[1]), seconds, atoi(r->at[3]), &ns, &err);
  assert_int_equal(code, zcrpc_error_code(err));
  if (ended_well(r, err)) {
    if (ns != strtoll(r->at[4], NULL, 10)) fail_msg("helpers.tsv:%d", r->line);
  } else {
    assert_true(ns == 99);
  }
}

/* As a field of a message, as a message of its own, and through the shortcuts of generated code. */
static void time_message(const row *r) {
  int timestamp = what_of(r->at[1]) == ZCRPC_TIMESTAMP;
  int64_t ns = strtoll(r->at[2], NULL, 10), back = 99;
  zcrpc_encoder *e = zcrpc_encoder_new(type_named("google.protobuf.", timestamp ? "Timestamp" : "Duration"), NULL);
  const cases_v1_Holder *holder;
  zcrpc_slice s;
  zcrpc_encoder_put_time(e, 0, ns);
  s = finish(e);
  same_bytes(r, s.data, s.len, r->at[3]);
  done(s);
  e = cases_v1_Holder_encoder(NULL);
  if (timestamp)
    cases_v1_Holder_put_time_ns(cases_v1_Holder_write(e), ns);
  else
    cases_v1_Holder_put_duration_ns(cases_v1_Holder_write(e), ns);
  s = finish(e);
  same_bytes(r, s.data + 2, s.len - 2, r->at[3]);
  holder = cases_v1_Holder_decode(s.data, s.len, arena, NULL);
  assert_int_equal(timestamp ? cases_v1_Holder_time_ns(holder, &back, NULL) : cases_v1_Holder_duration_ns(holder, &back, NULL), ZCRPC_OK);
  assert_true(back == ns);
  done(s);
}

static zcrpc_slice any_of(const char *url, const char *hex, const google_protobuf_Any **out) {
  char value[1024];
  zcrpc_slice s;
  zcrpc_encoder *e = google_protobuf_Any_encoder(NULL);
  if (strcmp(url, "-")) google_protobuf_Any_put_type_url(google_protobuf_Any_write(e), url, ZCRPC_NTS);
  google_protobuf_Any_put_value(google_protobuf_Any_write(e), value, from_hex(hex, value));
  s = finish(e);
  *out = google_protobuf_Any_of(decode(zcrpc_schema_type(cases, "google.protobuf.Any"), s.data, s.len));
  return s;
}

static void any_type(const row *r) {
  const google_protobuf_Any *any;
  zcrpc_slice name, s = any_of(r->at[1], "-", &any);
  zcrpc_any_type(google_protobuf_Any_view(any), &name);
  same_text(r, name, r->at[2]);
  done(s);
}

static void any_pack(const row *r) {
  char value[1024];
  size_t len = from_hex(r->at[2], value);
  zcrpc_encoder *e = google_protobuf_Any_encoder(NULL);
  zcrpc_slice s;
  zcrpc_encoder_put_any(e, 0, r->at[1], value, len);
  s = finish(e);
  same_bytes(r, s.data, s.len, r->at[3]);
  done(s);
  e = cases_v1_Holder_encoder(NULL);
  zcrpc_encoder_put_any(e, cases_v1_Holder_ANY, r->at[1], value, len);
  s = finish(e);
  same_bytes(r, s.data + 2, s.len - 2, r->at[3]);
  done(s);
}

static void any_unpack(const row *r) {
  const google_protobuf_Any *any;
  zcrpc_error *err = NULL;
  zcrpc_slice s = any_of(r->at[1], r->at[2], &any);
  const zcrpc_type *t = strcmp(r->at[3], "-") ? zcrpc_schema_type(cases, r->at[3]) : NULL;
  const zcrpc_view *v = zcrpc_any_unpack(google_protobuf_Any_view(any), t, NULL, arena, &err);
  assert_int_equal(v == NULL, err != NULL);
  if (ended_well(r, err)) same_json(r, v, r->at[4]);
  done(s);
}

static void enum_name(const row *r) {
  int32_t number = (int32_t)strtol(r->at[2], NULL, 10);
  int is_code = strstr(r->at[1], "Code") != NULL;
  const char *want = strcmp(r->at[3], "-") ? r->at[3] : NULL;
  const char *generated = is_code ? google_rpc_Code_name(number) : cases_v1_Level_name(number);
  const char *dynamic = zcrpc_enum_name(zcrpc_schema_enum(cases, r->at[1]), number);
  if (!want) {
    assert_null(generated);
    assert_null(dynamic);
    return;
  }
  assert_string_equal(generated, want);
  assert_string_equal(dynamic, want);
}

static void enum_number(const row *r) {
  int32_t a = 99, b = 99, found_a, found_b, found = strcmp(r->at[3], "-") != 0;
  int is_code = strstr(r->at[1], "Code") != NULL;
  const char *name = strcmp(r->at[2], "-") ? r->at[2] : "";
  found_a = is_code ? google_rpc_Code_from_name(name, strlen(name), &a) : cases_v1_Level_from_name(name, ZCRPC_NTS, &a);
  found_b = zcrpc_enum_number(zcrpc_schema_enum(cases, r->at[1]), name, &b);
  assert_int_equal(found_a, found);
  assert_int_equal(found_b, found);
  assert_int_equal(a, found ? atoi(r->at[3]) : 99);
  assert_int_equal(b, a);
}

/* Reads a Value with the helpers, and writes it again with them. */
static void rebuild(const zcrpc_view *v, zcrpc_encoder *e, const char *key, size_t key_len, int root) {
  int32_t kind = zcrpc_value_kind(v);
  zcrpc_slice s;
  size_t i;
  switch (kind) {
    case ZCRPC_VALUE_NULL: zcrpc_value_put_null(e, key, key_len); break;
    case ZCRPC_VALUE_NUMBER: zcrpc_value_put_number(e, key, key_len, zcrpc_view_double(v, ZCRPC_VALUE_NUMBER)); break;
    case ZCRPC_VALUE_BOOL: zcrpc_value_put_bool(e, key, key_len, zcrpc_view_int32(v, ZCRPC_VALUE_BOOL)); break;
    case ZCRPC_VALUE_STRING:
      zcrpc_view_string(v, ZCRPC_VALUE_STRING, &s);
      zcrpc_value_put_string(e, key, key_len, s.data, s.len);
      break;
    default:
      if (root)
        zcrpc_encoder_begin(e, (uint32_t)kind);
      else
        zcrpc_value_begin(e, key, key_len, kind);
      for (i = 0; i < zcrpc_value_count(v); i++) {
        const zcrpc_view *item = zcrpc_value_at(v, i, &s);
        if (kind == ZCRPC_VALUE_STRUCT) assert_ptr_equal(zcrpc_value_get(v, s.data, s.len), item);
        rebuild(item, e, s.data, s.len, 0);
      }
      assert_null(zcrpc_value_at(v, i, &s));
      if (root)
        zcrpc_encoder_end(e);
      else
        zcrpc_value_end(e);
  }
}

static void value(const row *r) {
  char bytes[1024];
  size_t len = from_hex(r->at[1], bytes);
  const zcrpc_type *t = type_named("google.protobuf.", "Value");
  const zcrpc_view *v = decode(t, bytes, len);
  zcrpc_encoder *e = zcrpc_encoder_new(t, NULL);
  zcrpc_slice s;
  same_json(r, v, r->at[2]);
  rebuild(v, e, NULL, 0, 1);
  s = finish(e);
  same_bytes(r, s.data, s.len, r->at[1]);
  done(s);
}

/* From JSON, and through the field's shortcuts in generated code: the same bytes, the same value. */
static void wrapper(const row *r) {
  const zcrpc_type *t = type_named("google.protobuf.", r->at[1]);
  zcrpc_buffer *b = zcrpc_type_convert(t, ZCRPC_JSON, r->at[2], strlen(r->at[2]), ZCRPC_PROTO, NULL, NULL);
  zcrpc_encoder *e = cases_v1_Holder_encoder(NULL);
  cases_v1_Holder_writer *w = cases_v1_Holder_write(e);
  const cases_v1_Holder *h;
  const char *text = r->at[2] + (r->at[2][0] == '"');
  zcrpc_slice s;
  uint32_t field = 0;
  char name[32];
  size_t i;
  assert_non_null(b);
  zcrpc_buffer_slice(b, &s);
  same_bytes(r, s.data, s.len, r->at[3]);
  zcrpc_buffer_release(b);
  for (i = 0; r->at[1][i]; i++) name[i] = (char)(r->at[1][i] >= 'A' && r->at[1][i] <= 'Z' ? r->at[1][i] + 32 : r->at[1][i]);
  name[i] = 0;
  if (!strcmp(name, "doublevalue")) cases_v1_Holder_put_double_value_value(w, strtod(text, NULL)), field = 6;
  if (!strcmp(name, "floatvalue")) cases_v1_Holder_put_float_value_value(w, strtof(text, NULL)), field = 7;
  if (!strcmp(name, "int64value")) cases_v1_Holder_put_int64_value_value(w, strtoll(text, NULL, 10)), field = 8;
  if (!strcmp(name, "uint64value")) cases_v1_Holder_put_uint64_value_value(w, strtoull(text, NULL, 10)), field = 9;
  if (!strcmp(name, "int32value")) cases_v1_Holder_put_int32_value_value(w, atoi(text)), field = 10;
  if (!strcmp(name, "uint32value")) cases_v1_Holder_put_uint32_value_value(w, (uint32_t)strtoul(text, NULL, 10)), field = 11;
  if (!strcmp(name, "boolvalue")) cases_v1_Holder_put_bool_value_value(w, *text == 't'), field = 12;
  if (!strcmp(name, "stringvalue")) cases_v1_Holder_put_string_value_value(w, text, strlen(text) - 1), field = 13;
  if (!strcmp(name, "bytesvalue")) cases_v1_Holder_put_bytes_value_value(w, "\377\0", 2), field = 14;
  s = finish(e);
  h = cases_v1_Holder_decode(s.data, s.len, arena, NULL);
  assert_true(zcrpc_view_has(cases_v1_Holder_view(h), field));
  same_json(r, zcrpc_view_message(cases_v1_Holder_view(h), field), r->at[2]);
  if (field == 6) assert_true(cases_v1_Holder_double_value_value(h) == strtod(text, NULL));
  if (field == 7) assert_true(cases_v1_Holder_float_value_value(h) == strtof(text, NULL));
  if (field == 8) assert_true(cases_v1_Holder_int64_value_value(h) == strtoll(text, NULL, 10));
  if (field == 9) assert_true(cases_v1_Holder_uint64_value_value(h) == strtoull(text, NULL, 10));
  if (field == 10) assert_int_equal(cases_v1_Holder_int32_value_value(h), atoi(text));
  if (field == 11) assert_true(cases_v1_Holder_uint32_value_value(h) == strtoul(text, NULL, 10));
  if (field == 12) assert_int_equal(cases_v1_Holder_bool_value_value(h), *text == 't');
  if (field == 13) assert_int_equal(cases_v1_Holder_string_value_value(h).len, strlen(text) - 1);
  if (field == 14) assert_memory_equal(cases_v1_Holder_bytes_value_value(h).data, "\377\0", 2);
  done(s);
}

static void string(const row *r) {
  char data[64], out[64] = "x", tight[4] = "x";
  size_t len = from_hex(r->at[1], data);
  zcrpc_error *err = NULL;
  const char *copy;
  zcrpc_slice_string(data, len, out, sizeof out, &err);
  if (ended_well(r, err)) {
    assert_string_equal(out, strcmp(r->at[2], "-") ? r->at[2] : "");
    assert_int_equal(zcrpc_slice_string(data, len, tight, len, NULL), ZCRPC_TOO_SMALL);
    assert_int_equal(zcrpc_slice_string(data, len, tight, len + 1, NULL), ZCRPC_OK);
  } else {
    assert_string_equal(out, "");
  }
  err = NULL;
  copy = zcrpc_arena_string(arena, data, len, &err);
  assert_int_equal(copy == NULL, err != NULL);
  if (ended_well(r, err)) assert_string_equal(copy, out);
}

static void detail(const row *r) {
  const zcrpc_type *t = type_named("google.rpc.", r->at[1]);
  char bytes[1024];
  size_t len = from_hex(r->at[3], bytes);
  zcrpc_error *error = zcrpc_error_new(ZCRPC_ABORTED, "why", ZCRPC_NTS), *back, *err = NULL;
  zcrpc_encoder *e = zcrpc_encoder_new(t, NULL);
  const zcrpc_view *v = decode(t, bytes, len);
  const google_rpc_Status *status;
  zcrpc_slice type, data;
  zcrpc_buffer *b;
  same_json(r, v, r->at[2]);
  zcrpc_encoder_put_fields(e, v);
  assert_int_equal(zcrpc_error_put_detail(error, e, NULL), ZCRPC_OK);
  zcrpc_encoder_free(e);
  zcrpc_error_detail(error, 0, &type, &data);
  same_bytes(r, data.data, data.len, r->at[3]);
  /* Over the wire. */
  b = zcrpc_error_status(error, &err);
  assert_non_null(b);
  zcrpc_buffer_slice(b, &data);
  status = google_rpc_Status_decode(data.data, data.len, arena, NULL);
  assert_int_equal(google_rpc_Status_code(status), google_rpc_Code_ABORTED);
  assert_int_equal(google_rpc_Status_details_count(status), 1);
  zcrpc_any_type(google_protobuf_Any_view(google_rpc_Status_details(status, 0)), &type);
  assert_int_equal(type.len, strlen(zcrpc_type_name(t)));
  same_json(r, zcrpc_any_unpack(google_protobuf_Any_view(google_rpc_Status_details(status, 0)), t, NULL, arena, NULL), r->at[2]);
  back = zcrpc_error_from_status(data.data, data.len, &err);
  zcrpc_buffer_release(b);
  assert_non_null(back);
  assert_int_equal(zcrpc_error_code(back), ZCRPC_ABORTED);
  assert_string_equal(zcrpc_error_message(back), "why");
  v = zcrpc_error_find_detail(back, t, 0, arena, &err);
  zcrpc_error_free(back);
  same_json(r, v, r->at[2]);
  assert_null(zcrpc_error_find_detail(error, t, 1, arena, &err));
  assert_null(err);
  zcrpc_error_free(error);
}

static const struct helper {
  const char *name;
  int columns;
  void (*run)(const row *r);
} helpers[] = {
    {"time_split", 5, time_split}, {"time_join", 5, time_join}, {"time_message", 4, time_message}, {"any_type", 3, any_type},
    {"any_pack", 4, any_pack}, {"any_unpack", 5, any_unpack}, {"enum_name", 4, enum_name}, {"enum_number", 4, enum_number},
    {"value", 3, value}, {"wrapper", 4, wrapper}, {"string", 3, string}, {"detail", 4, detail},
};

static void the_shared_table_holds(void **state) {
  char line[4096], *at;
  int number = 0, ran = 0;
  size_t i;
  FILE *f = fopen(HELPERS_TSV, "r");
  (void)state;
  assert_non_null(f);
  while (fgets(line, sizeof line, f)) {
    row r;
    memset(&r, 0, sizeof r);
    r.line = ++number;
    line[strcspn(line, "\n")] = 0;
    if (!*line || *line == '#') continue;
    for (at = line; at && r.n < 8; r.n++) {
      r.at[r.n] = at;
      if ((at = strchr(at, '\t')) != NULL) *at++ = 0;
    }
    for (i = 0; i < sizeof helpers / sizeof *helpers; i++)
      if (!strcmp(helpers[i].name, r.at[0])) break;
    if (i == sizeof helpers / sizeof *helpers || r.n != helpers[i].columns) fail_msg("helpers.tsv:%d: %s", number, r.at[0]);
    helpers[i].run(&r);
    ran++;
    zcrpc_arena_reset(arena);
  }
  fclose(f);
  assert_true(ran > 100);
}

/* ---- What the table cannot say */

static void null_is_the_empty_message_everywhere(void **state) {
  int64_t ns = 99;
  zcrpc_slice s;
  zcrpc_buffer *b;
  (void)state;
  assert_int_equal(cases_v1_Holder_time_ns(NULL, &ns, NULL), ZCRPC_OK);
  assert_true(ns == 0);
  assert_int_equal(cases_v1_Holder_int32_value_value(NULL), 0);
  assert_int_equal(cases_v1_Holder_string_value_value(NULL).len, 0);
  assert_false(cases_v1_Holder_has_time(NULL));
  assert_null(cases_v1_Holder_struct(NULL));
  assert_int_equal(cases_v1_Holder_level(NULL), cases_v1_Level_LEVEL_UNSPECIFIED);
  assert_int_equal(zcrpc_value_kind(NULL), 0);
  assert_int_equal(zcrpc_value_count(NULL), 0);
  assert_null(zcrpc_value_at(NULL, 0, &s));
  assert_null(zcrpc_value_get(NULL, "k", ZCRPC_NTS));
  zcrpc_any_type(NULL, &s);
  assert_int_equal(s.len, 0);
  assert_null(zcrpc_error_find_detail(NULL, google_rpc_ErrorInfo_type_in(NULL, NULL), 0, arena, NULL));
  b = zcrpc_view_print(NULL, ZCRPC_PROTO, NULL, NULL);
  zcrpc_buffer_slice(b, &s);
  assert_int_equal(s.len, 0);
  zcrpc_buffer_release(b);
  zcrpc_encoder_put_time(NULL, 1, 1);
  zcrpc_encoder_put_any(NULL, 1, "a.B", "", 0);
  zcrpc_value_put_null(NULL, "k", ZCRPC_NTS);
  zcrpc_value_begin(NULL, "k", ZCRPC_NTS, ZCRPC_VALUE_STRUCT);
  zcrpc_value_end(NULL);
}

/* Each mistake, alone, sticks with its text. */
static void mistake(void (*write)(zcrpc_encoder *), const char *text) {
  zcrpc_encoder *e = cases_v1_Holder_encoder(NULL);
  zcrpc_error *err = NULL;
  write(e);
  assert_null(zcrpc_encoder_finish(e, &err));
  assert_int_equal(zcrpc_error_code(err), ZCRPC_INVALID_ARGUMENT);
  assert_string_equal(zcrpc_error_message(err), text);
  zcrpc_error_free(err);
  zcrpc_encoder_free(e);
}
static void time_of_level(zcrpc_encoder *e) { zcrpc_encoder_put_time(e, cases_v1_Holder_LEVEL, 1); }
static void time_of_nothing(zcrpc_encoder *e) { zcrpc_encoder_put_time(e, 99, 1); }
static void time_of_itself(zcrpc_encoder *e) { zcrpc_encoder_put_time(e, 0, 1); }
static void any_in_a_time(zcrpc_encoder *e) { zcrpc_encoder_put_any(e, cases_v1_Holder_TIME, "a.B", "", 0); }
static void any_of_nothing(zcrpc_encoder *e) { zcrpc_encoder_put_any(e, cases_v1_Holder_ANY, NULL, "", 0); }
static void value_nowhere(zcrpc_encoder *e) { zcrpc_value_put_null(e, "k", ZCRPC_NTS); }
static void member_without_key(zcrpc_encoder *e) {
  zcrpc_encoder_begin(e, cases_v1_Holder_STRUCT);
  zcrpc_value_put_bool(e, NULL, 0, 1);
}
static void number_without_end(zcrpc_encoder *e) {
  double zero = 0;
  zcrpc_encoder_begin(e, cases_v1_Holder_VALUE);
  zcrpc_value_put_number(e, NULL, 0, 1 / zero);
}
static void odd_kind(zcrpc_encoder *e) {
  zcrpc_encoder_begin(e, cases_v1_Holder_STRUCT);
  zcrpc_value_begin(e, "k", ZCRPC_NTS, ZCRPC_VALUE_BOOL);
}
static void begin_in_a_value(zcrpc_encoder *e) {
  zcrpc_encoder_begin(e, cases_v1_Holder_VALUE);
  zcrpc_value_begin(e, NULL, 0, ZCRPC_VALUE_LIST);
}
static void bad_text(zcrpc_encoder *e) {
  zcrpc_encoder_begin(e, cases_v1_Holder_STRUCT);
  zcrpc_value_put_string(e, "k", ZCRPC_NTS, "\377", 1);
}

static void mistakes_stick_with_their_reason(void **state) {
  (void)state;
  mistake(time_of_level, "zcrpc_encoder_put_time: no field of type Timestamp or Duration");
  mistake(time_of_nothing, "zcrpc_encoder_put_time: no field of type Timestamp or Duration");
  mistake(time_of_itself, "zcrpc_encoder_put_time: no field of type Timestamp or Duration");
  mistake(any_in_a_time, "zcrpc_encoder_put_any: not an Any");
  mistake(any_of_nothing, "zcrpc_encoder_put_any: type and data are needed");
  mistake(value_nowhere, "no Struct, ListValue or Value is open");
  mistake(member_without_key, "a member of a Struct needs a key");
  mistake(number_without_end, "a number in a Value is finite");
  mistake(odd_kind, "zcrpc_value_begin: neither a Struct nor a list");
  mistake(begin_in_a_value, "zcrpc_value_begin: in a Value, use zcrpc_encoder_begin");
  mistake(bad_text, "invalid UTF-8");
}

/* A Timestamp that came over the wire may hold anything. */
static void times_out_of_range_are_told(void **state) {
  static const char nanos[] = "\012\006\020\200\224\353\334\003"; /* time { nanos: 1000000000 } */
  static const char year[] = "\012\006\010\200\314\367\263\203\001";
  const cases_v1_Holder *h = cases_v1_Holder_decode(nanos, sizeof nanos - 1, arena, NULL);
  zcrpc_error *err = NULL;
  int64_t ns = 99;
  (void)state;
  (void)year;
  assert_int_equal(cases_v1_Holder_time_ns(h, &ns, &err), ZCRPC_INVALID_ARGUMENT);
  assert_string_equal(zcrpc_error_message(err), "nanos of a Timestamp are 0 to 999999999");
  assert_true(ns == 99);
  zcrpc_error_free(err);
  err = NULL;
  assert_int_equal(zcrpc_view_time(cases_v1_Holder_view(h), &ns, &err), ZCRPC_INVALID_ARGUMENT);
  zcrpc_error_free(err);
  assert_int_equal(zcrpc_time_join(7, 0, 0, &ns, NULL), ZCRPC_INVALID_ARGUMENT);
  assert_int_equal(zcrpc_time_join(ZCRPC_DURATION, 0, 0, NULL, NULL), ZCRPC_OK);
}

static void now_is_after_this_was_written(void **state) {
  int64_t now = zcrpc_time_now();
  (void)state;
  assert_true(now > INT64_C(1767225600000000000)); /* 2026 */
}

static void broken_details_are_told(void **state) {
  zcrpc_error *error = zcrpc_error_new(ZCRPC_INTERNAL, "x", 1), *err = NULL;
  zcrpc_encoder *e = google_rpc_ErrorInfo_encoder(NULL);
  (void)state;
  zcrpc_error_add_detail(error, "google.rpc.ErrorInfo", "\012\005", 2, NULL);
  assert_null(zcrpc_error_find_detail(error, google_rpc_ErrorInfo_type_in(NULL, NULL), 0, arena, &err));
  assert_int_equal(zcrpc_error_code(err), ZCRPC_INVALID_ARGUMENT);
  zcrpc_error_free(err);
  err = NULL;
  zcrpc_encoder_put_int64(e, 99, 1);
  assert_int_equal(zcrpc_error_put_detail(error, e, &err), ZCRPC_INVALID_ARGUMENT);
  assert_int_equal(zcrpc_error_detail_count(error), 1);
  zcrpc_error_free(err);
  err = NULL;
  assert_int_equal(zcrpc_error_put_detail(NULL, e, NULL), ZCRPC_INVALID_ARGUMENT);
  zcrpc_encoder_free(e);
  assert_null(zcrpc_error_from_status("\012\005", 2, &err));
  assert_int_equal(zcrpc_error_code(err), ZCRPC_INVALID_ARGUMENT);
  zcrpc_error_free(err);
  assert_null(zcrpc_error_status(NULL, NULL));
  zcrpc_error_free(error);
}

static int setup(void **state) {
  (void)state;
  cases = zcrpc_file_schema(&cases_v1_helpers_file, NULL);
  return (arena = zcrpc_arena_new(NULL)) && cases ? 0 : -1;
}
static int teardown(void **state) {
  (void)state;
  zcrpc_arena_free(arena);
  zcrpc_file_unload(&cases_v1_helpers_file);
  zcrpc_file_unload(&google_rpc_error_details_file);
  zcrpc_file_unload(&google_rpc_status_file);
  zcrpc_file_unload(&google_rpc_code_file);
  zcrpc_file_unload(&google_protobuf_any_file);
  return 0;
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_shared_table_holds),
      cmocka_unit_test(null_is_the_empty_message_everywhere),
      cmocka_unit_test(mistakes_stick_with_their_reason),
      cmocka_unit_test(times_out_of_range_are_told),
      cmocka_unit_test(now_is_after_this_was_written),
      cmocka_unit_test(broken_details_are_told),
  };
  return cmocka_run_group_tests(tests, setup, teardown);
}
