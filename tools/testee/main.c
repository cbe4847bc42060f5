/* The testee of the protobuf conformance suite, on the public header alone. It reads requests from stdin and answers on
 * stdout, each a frame with a 4-byte little-endian length. Messages of binary are decoded and copied field by field in
 * the mode that ZCRPC_TESTEE_MODE names: eager (the default), lazy, generated, dynamic. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "testee.h"

/* The FileDescriptorSet of the test protos, for the modes without generated code; the dynamic one reads it from a file. */
extern const unsigned char testee_set[];
extern const size_t testee_set_len;

struct testee {
  enum mode mode;
  zcrpc_schema *schema; /* not in the generated mode */
  zcrpc_arena *arena;
  zcrpc_options *lazy;
};

static void die(const char *why, zcrpc_error *err) {
  fprintf(stderr, "zcrpc-protobuf-testee: %s%s%s\n", why, err ? ": " : "", err ? zcrpc_error_message(err) : "");
  exit(1);
}

static zcrpc_schema *read_schema(const char *path, zcrpc_error **err) {
  FILE *f = fopen(path, "rb");
  zcrpc_schema *s;
  char *data = malloc(1 << 22);
  size_t len;
  if (!f || !data) die(path, NULL);
  len = fread(data, 1, 1 << 22, f);
  fclose(f);
  s = zcrpc_schema_new(data, len, err);
  free(data);
  return s;
}

static void set_up(struct testee *t) {
  static const char *const names[] = {"eager", "lazy", "generated", "dynamic"};
  const char *name = getenv("ZCRPC_TESTEE_MODE"), *path = getenv("ZCRPC_TESTEE_SCHEMA");
  zcrpc_error *err = NULL;
  int i;
  memset(t, 0, sizeof *t);
  if (!name || !*name) name = "eager";
  for (i = 0; i < 4 && strcmp(name, names[i]); i++) continue;
  if (i == 4) die("ZCRPC_TESTEE_MODE is eager, lazy, generated or dynamic", NULL);
  t->mode = (enum mode)i;
  if (t->mode == MODE_DYNAMIC) t->schema = read_schema(path ? path : TESTEE_SET, &err);
  else if (t->mode != MODE_GENERATED) t->schema = zcrpc_schema_new(testee_set, testee_set_len, &err);
  if (t->mode != MODE_GENERATED && !t->schema) die("the schema", err);
  t->arena = zcrpc_arena_new(&err);
  t->lazy = zcrpc_options_new(ZCRPC_FOR_DECODE, &err);
  if (!t->arena || !t->lazy || zcrpc_options_set_int(t->lazy, ZCRPC_DECODE_MODE, ZCRPC_LAZY, &err) != ZCRPC_OK) die("set up", err);
}

/* One request under way. */
struct work {
  struct testee *t;
  const struct request *r;
  const struct generated *g;
  const zcrpc_type *type;
  zcrpc_options *format;
  zcrpc_buffer *parsed, *copy, *result; /* parsed: from JSON or text */
  zcrpc_error *err;
};

static void answer_error(uint32_t field, zcrpc_error *err) {
  char text[512];
  int n = snprintf(text, sizeof text, "%s: byte %lld: %s: %s", zcrpc_code_name(zcrpc_error_code(err)), (long long)zcrpc_error_offset(err),
                   zcrpc_error_path(err), zcrpc_error_message(err));
  write_response(field, text, n < (int)sizeof text ? (size_t)n : sizeof text - 1);
}
static void answer_text(uint32_t field, const char *text) { write_response(field, text, strlen(text)); }

static const zcrpc_view *decode(struct work *w, zcrpc_slice wire) {
  if (w->g) return w->g->decode(wire.data, wire.len, w->t->arena, &w->err);
  return zcrpc_view_decode(w->type, wire.data, wire.len, w->t->mode == MODE_LAZY ? w->t->lazy : NULL, w->t->arena, &w->err);
}

/* The payload, however it came, read and written again field by field; NULL: it is malformed. Of a lazy view this opens
 * every sub-message, and so finds what is wrong in it. */
static zcrpc_buffer *parse(struct work *w) {
  zcrpc_slice wire = w->r->payload;
  const zcrpc_view *v;
  zcrpc_encoder *e;
  zcrpc_buffer *copy = NULL;
  if (w->r->input != 1) {
    w->parsed = zcrpc_type_convert(w->type, w->r->input == 2 ? ZCRPC_JSON : ZCRPC_TEXT, wire.data, wire.len, ZCRPC_PROTO, w->format, &w->err);
    if (!w->parsed) return NULL;
    zcrpc_buffer_slice(w->parsed, &wire);
  }
  v = decode(w, wire);
  if (!v) return NULL;
  e = w->g ? w->g->encoder(&w->err) : zcrpc_encoder_new(w->type, &w->err);
  if (!e) return NULL;
  if (w->g) w->g->copy(v, e);
  if (w->g || copy_message(w->t->mode, v, e, w->t->arena, &w->err) == ZCRPC_OK) copy = zcrpc_encoder_finish(e, &w->err);
  zcrpc_encoder_free(e);
  return copy;
}

/* JSON and text are printed from the copy, so that all of it is seen. */
static zcrpc_buffer *print(struct work *w) {
  zcrpc_slice wire;
  const zcrpc_view *v;
  zcrpc_buffer_slice(w->copy, &wire);
  v = decode(w, wire);
  return v ? zcrpc_view_print(v, w->r->output == FORMAT_JSON ? ZCRPC_JSON : ZCRPC_TEXT, w->format, &w->err) : NULL;
}

static void answer(struct work *w) {
  static const uint32_t fields[] = {0, PROTOBUF_PAYLOAD, JSON_PAYLOAD, 0, TEXT_PAYLOAD};
  zcrpc_slice s;
  w->copy = parse(w);
  if (!w->copy) {
    answer_error(PARSE_ERROR, w->err);
    return;
  }
  w->result = w->r->output == FORMAT_PROTOBUF ? zcrpc_buffer_retain(w->copy) : print(w);
  if (!w->result) {
    answer_error(SERIALIZE_ERROR, w->err);
    return;
  }
  zcrpc_buffer_slice(w->result, &s);
  write_response(fields[w->r->output], s.data, s.len);
}

static void serve(struct testee *t, const struct request *r) {
  struct work w;
  char name[256];
  memset(&w, 0, sizeof w);
  w.t = t;
  w.r = r;
  /* The runner asks for a list of known failures first. There are none. */
  if (r->type.len == 22 && memcmp(r->type.data, "conformance.FailureSet", 22) == 0) {
    write_response(PROTOBUF_PAYLOAD, "", 0);
    return;
  }
  if (r->input == 7 || r->output == FORMAT_JSPB) {
    answer_text(SKIPPED, "JSPB is not for the public");
    return;
  }
  if (r->output < FORMAT_PROTOBUF || r->output > FORMAT_TEXT || r->input == 0 || r->type.len >= sizeof name) {
    answer_text(RUNTIME_ERROR, "no such request");
    return;
  }
  memcpy(name, r->type.data, r->type.len);
  name[r->type.len] = 0;
  if (t->mode == MODE_GENERATED) {
    w.g = find_generated(r->type);
    w.type = w.g ? generated_type(w.g, &w.err) : NULL;
  } else {
    w.type = zcrpc_schema_type(t->schema, name);
  }
  if (!w.type) {
    answer_text(RUNTIME_ERROR, "no such type");
    zcrpc_error_free(w.err);
    return;
  }
  w.format = zcrpc_options_new(ZCRPC_FOR_FORMAT, NULL);
  zcrpc_options_set_int(w.format, ZCRPC_FORMAT_IGNORE_UNKNOWN, r->category == CATEGORY_JSON_IGNORE_UNKNOWN, NULL);
  zcrpc_options_set_int(w.format, ZCRPC_FORMAT_UNKNOWN_FIELDS, r->print_unknown, NULL);
  answer(&w);
  zcrpc_options_free(w.format);
  zcrpc_buffer_release(w.result);
  zcrpc_buffer_release(w.copy);
  zcrpc_buffer_release(w.parsed);
  zcrpc_error_free(w.err);
  zcrpc_arena_reset(t->arena);
}

int main(void) {
  struct testee t;
  struct request r;
  char *frame;
  size_t len;
  set_up(&t);
  while ((frame = read_frame(&len)) != NULL) {
    if (read_request(frame, len, &r)) serve(&t, &r);
    else answer_text(RUNTIME_ERROR, "the request is malformed");
    free(frame);
  }
  zcrpc_options_free(t.lazy);
  zcrpc_arena_free(t.arena);
  zcrpc_schema_release(t.schema);
  return 0;
}
