/* Run at build time: testee-write-copies SET FILE HEADER... Writes C that copies every message of the FileDescriptorSet through
 * generated code alone: for each field the getter and the writer that protoc-gen-zcrpc makes of it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <zcrpc.h>

static FILE *out;
static char *headers; /* the generated ones, one behind the other */

/* A field as generated code calls it: what finds its name taken has something behind it. */
static const char *field_name(const char *t, const zcrpc_field_info *f) {
  static const char *const endings[] = {"", "_", "_value", "_field", "__", "_value_"};
  static char name[256];
  char call[1024];
  size_t i;
  for (i = 0; i < sizeof endings / sizeof *endings; i++) {
    snprintf(name, sizeof name, "%s%s", f->name, endings[i]);
    snprintf(call, sizeof call, " %s_%s%s(", t, name, f->flags & ZCRPC_FIELD_REPEATED ? "_count" : "");
    if (strstr(headers, call)) return name;
    call[0] = '*';
    if (strstr(headers, call)) return name;
  }
  fprintf(stderr, "no getter of %s.%s\n", t, f->name);
  exit(1);
}

static void read_headers(char **paths, int n) {
  size_t used = 0, size = 1;
  int i;
  for (i = 0; i < n; i++) {
    FILE *f = fopen(paths[i], "rb");
    if (!f || !(headers = realloc(headers, size += 1 << 22))) exit(1);
    used += fread(headers + used, 1, (1 << 22) - 1, f);
    headers[used] = 0;
    fclose(f);
  }
}

/* echo.v1.Request as echo_v1_Request. A few at a time, so that one printf can name several. */
static const char *c_name(const zcrpc_type *t) {
  static char names[4][512];
  static int next;
  char *name = names[next++ % 4], *c;
  snprintf(name, sizeof names[0], "%s", zcrpc_type_name(t));
  for (c = name; *c; c++)
    if (*c == '.') *c = '_';
  return name;
}

static int is_message(int32_t kind) { return kind == ZCRPC_KIND_MESSAGE || kind == ZCRPC_KIND_GROUP; }
static int is_text(int32_t kind) { return kind == ZCRPC_KIND_STRING || kind == ZCRPC_KIND_BYTES; }

static const char *element_type(int32_t kind) {
  switch (kind) {
    case ZCRPC_KIND_DOUBLE: return "double";
    case ZCRPC_KIND_FLOAT: return "float";
    case ZCRPC_KIND_INT64: case ZCRPC_KIND_SINT64: case ZCRPC_KIND_SFIXED64: return "int64_t";
    case ZCRPC_KIND_UINT64: case ZCRPC_KIND_FIXED64: return "uint64_t";
    case ZCRPC_KIND_UINT32: case ZCRPC_KIND_FIXED32: return "uint32_t";
    case ZCRPC_KIND_BOOL: return "unsigned char";
    default: return "int32_t";
  }
}

static void map(const char *t, const zcrpc_field_info *f, const char *name) {
  zcrpc_field_info key, value;
  int text_key;
  key.struct_size = value.struct_size = sizeof key;
  if (!zcrpc_type_field(f->message, 1, &key) || !zcrpc_type_field(f->message, 2, &value)) exit(1);
  text_key = is_text(key.kind);
  fprintf(out, "  for (i = 0; i < %s_%s_count(m); i++) {\n", t, name);
  if (text_key) fprintf(out, "    zcrpc_slice k = %s_%s_key_at(m, i);\n", t, name);
  if (is_message(value.kind)) {
    const char *inner = c_name(value.message);
    fprintf(out, "    %s_writer *to = %s_begin_%s(w, ", inner, t, name);
    if (text_key) fprintf(out, "k.data, k.len);\n");
    else fprintf(out, "%s_%s_key_at(m, i));\n", t, name);
    fprintf(out, "    copy_%s(%s_%s_value_at(m, i), to);\n    %s_end_%s(to);\n  }\n", inner, t, name, t, name);
    return;
  }
  if (is_text(value.kind)) fprintf(out, "    zcrpc_slice v = %s_%s_value_at(m, i);\n", t, name);
  fprintf(out, "    %s_put_%s(w, ", t, name);
  if (text_key) fprintf(out, "k.data, k.len, ");
  else fprintf(out, "%s_%s_key_at(m, i), ", t, name);
  if (is_text(value.kind)) fprintf(out, "v.data, v.len);\n  }\n");
  else fprintf(out, "%s_%s_value_at(m, i));\n  }\n", t, name);
}

static void repeated(const char *t, const zcrpc_field_info *f, const char *name) {
  if (is_message(f->kind)) {
    const char *inner = c_name(f->message);
    fprintf(out, "  for (i = 0; i < %s_%s_count(m); i++) {\n", t, name);
    fprintf(out, "    %s_writer *to = %s_begin_%s(w);\n    copy_%s(%s_%s(m, i), to);\n    %s_end(to);\n  }\n", inner, t, name, inner, t,
            name, inner);
  } else if (is_text(f->kind)) {
    fprintf(out, "  for (i = 0; i < %s_%s_count(m); i++) {\n", t, name);
    fprintf(out, "    zcrpc_slice s = %s_%s(m, i);\n    %s_put_%s(w, s.data, s.len);\n  }\n", t, name, t, name);
  } else {
    /* In one piece, so that it is packed where it is declared so. */
    fprintf(out, "  if ((n = %s_%s_count(m)) != 0) {\n    %s *all = room(n * sizeof *all);\n", t, name, element_type(f->kind));
    fprintf(out, "    for (i = 0; i < n; i++) all[i] = (%s)%s_%s(m, i);\n", element_type(f->kind), t, name);
    fprintf(out, "    %s_put_%s_array(w, all, n);\n    free(all);\n  }\n", t, name);
  }
}

static void singular(const char *t, const zcrpc_field_info *f, const char *name) {
  if (f->flags & ZCRPC_FIELD_PRESENCE) fprintf(out, "  if (%s_has_%s(m)) {\n", t, name);
  else fprintf(out, "  if (zcrpc_view_has(%s_view(m), %u)) {\n", t, (unsigned)f->number);
  if (is_message(f->kind)) {
    const char *inner = c_name(f->message);
    fprintf(out, "    %s_writer *to = %s_begin_%s(w);\n    copy_%s(%s_%s(m), to);\n    %s_end(to);\n", inner, t, name, inner, t, name, inner);
  } else if (is_text(f->kind)) {
    fprintf(out, "    zcrpc_slice s = %s_%s(m);\n    %s_put_%s(w, s.data, s.len);\n", t, name, t, name);
  } else {
    fprintf(out, "    %s_put_%s(w, %s_%s(m));\n", t, name, t, name);
  }
  fprintf(out, "  }\n");
}

static void message(const zcrpc_type *type) {
  const char *t = c_name(type);
  char name[512];
  zcrpc_field_info f;
  size_t i;
  snprintf(name, sizeof name, "%s", t);
  f.struct_size = sizeof f;
  fprintf(out, "\nstatic inline void copy_%s(const %s *m, %s_writer *w) {\n  size_t i, n;\n  (void)i;\n  (void)n;\n  if (!m) return;\n", name, name, name);
  for (i = 0; zcrpc_type_field_at(type, i, &f); i++) {
    const char *in_c = field_name(name, &f);
    if (f.flags & ZCRPC_FIELD_MAP) map(name, &f, in_c);
    else if (f.flags & ZCRPC_FIELD_REPEATED) repeated(name, &f, in_c);
    else singular(name, &f, in_c);
  }
  fprintf(out, "  copy_rest(%s_view(m), (zcrpc_encoder *)(void *)w);\n}\n", name);
}

/* How the testee reaches the messages that the suite asks for. */
static void entry(const zcrpc_type *type) {
  const char *t = c_name(type);
  fprintf(out, "\nstatic const zcrpc_view *decode_%s(const void *data, size_t len, zcrpc_arena *a, zcrpc_error **err) {\n", t);
  fprintf(out, "  return %s_view(%s_decode(data, len, a, err));\n}\n", t, t);
  fprintf(out, "static void copy_view_%s(const zcrpc_view *v, zcrpc_encoder *e) { copy_%s(%s_of(v), %s_write(e)); }\n", t, t, t, t);
}

static int asked_for(const zcrpc_type *type) {
  const char *dot = strrchr(zcrpc_type_name(type), '.');
  return dot && strncmp(zcrpc_type_name(type), "protobuf_test_messages.", 23) == 0 && strncmp(dot + 1, "TestAll", 7) == 0;
}

int main(int argc, char **argv) {
  static char set[1 << 22];
  zcrpc_error *err = NULL;
  zcrpc_schema *schema;
  zcrpc_type_info info;
  const zcrpc_type *t;
  size_t len, i, pass;
  FILE *f = argc > 3 ? fopen(argv[1], "rb") : NULL;
  if (!f || !(out = fopen(argv[2], "w"))) return 2;
  len = fread(set, 1, sizeof set, f);
  fclose(f);
  read_headers(argv + 3, argc - 3);
  schema = zcrpc_schema_new(set, len, &err);
  if (!schema) {
    fprintf(stderr, "%s\n", zcrpc_error_message(err));
    return 1;
  }
  info.struct_size = sizeof info;
  fprintf(out, "/* Made by testee-write-copies. */\n");
  for (pass = 0; pass < 3; pass++) {
    for (i = 0; (t = zcrpc_schema_type_at(schema, i)) != NULL; i++) {
      zcrpc_type_get_info(t, &info);
      if (info.flags & ZCRPC_TYPE_MAP_ENTRY) continue;
      if (pass == 0) fprintf(out, "static inline void copy_%s(const %s *m, %s_writer *w);\n", c_name(t), c_name(t), c_name(t));
      if (pass == 1) message(t);
      if (pass == 2 && asked_for(t)) entry(t);
    }
  }
  fprintf(out, "\nstatic const struct generated types[] = {\n");
  for (i = 0; (t = zcrpc_schema_type_at(schema, i)) != NULL; i++)
    if (asked_for(t)) fprintf(out, "    {\"%s\", decode_%s, %s_encoder, copy_view_%s},\n", zcrpc_type_name(t), c_name(t), c_name(t), c_name(t));
  fprintf(out, "    {NULL, NULL, NULL, NULL}};\n");
  zcrpc_schema_release(schema);
  return fclose(out) == 0 ? 0 : 1;
}
