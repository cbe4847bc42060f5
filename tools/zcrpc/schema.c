/* zcrpc schema diff OLD NEW: what breaks from one descriptor set to the next. */
#include <stdlib.h>
#include <string.h>

#include "tool.h"

static zcrpc_schema *read_set(const char *file) {
  zcrpc_error *err = NULL;
  zcrpc_schema *s;
  size_t len;
  char *set = read_file(file, &len);
  if (!set) return NULL;
  s = zcrpc_schema_new(set, len, &err);
  free(set);
  if (!s) library_error(file, err);
  return s;
}

/* A member of a finding, which is a google.protobuf.Struct: field 1 is its map, field 3 of a Value its text. */
static zcrpc_slice member(const zcrpc_view *finding, const char *name) {
  zcrpc_slice text;
  zcrpc_view_string(zcrpc_view_message_at(finding, 1, zcrpc_view_find(finding, 1, name, ZCRPC_NTS)), 3, &text);
  return text;
}

/* 0 wire, 1 json, 2 source; -1: something else. */
static int level_of(const char *name, size_t len) {
  static const char *const levels[] = {"wire", "json", "source"};
  int i;
  for (i = 0; i < 3; i++)
    if (strlen(levels[i]) == len && memcmp(levels[i], name, len) == 0) return i;
  return -1;
}

/* The findings up to that level, one line each; how many there were. */
static size_t print(const zcrpc_view *list, int level, int *failed) {
  size_t i, n = 0;
  for (i = 0; i < zcrpc_view_count(list, 1); i++) {
    const zcrpc_view *finding = zcrpc_view_message(zcrpc_view_message_at(list, 1, i), 5);
    zcrpc_slice breaks = member(finding, "breaks"), path = member(finding, "path"), kind = member(finding, "kind"), reason = member(finding, "reason");
    char line[2048];
    int len;
    if (level_of(breaks.data, breaks.len) > level) continue;
    n++;
    len = snprintf(line, sizeof line, "%.*s: %.*s: %.*s: %.*s", (int)breaks.len, breaks.data, (int)path.len, path.data, (int)kind.len, kind.data,
                   (int)reason.len, reason.data);
    if (write_line(line, len < (int)sizeof line ? (size_t)len : sizeof line - 1) != 0) {
      *failed = 1;
      return n;
    }
  }
  return n;
}

/* The findings are JSON: read like any other, as a google.protobuf.ListValue. */
static int tell(zcrpc_buffer *findings, int level, int json) {
  static const char set[] = "\x0A\x21\x0A\x01" "d\x1A\x1C" "google/protobuf/struct.proto";
  zcrpc_error *err = NULL;
  zcrpc_schema *s = NULL;
  zcrpc_arena *a = NULL;
  zcrpc_buffer *wire = NULL;
  const zcrpc_view *list = NULL;
  zcrpc_slice text;
  size_t found = 0;
  int failed = 0;
  zcrpc_buffer_slice(findings, &text);
  if ((s = zcrpc_schema_new(set, sizeof set - 1, &err)) != NULL && (a = zcrpc_arena_new(&err)) != NULL &&
      (wire = zcrpc_type_convert(zcrpc_schema_type(s, "google.protobuf.ListValue"), ZCRPC_JSON, text.data, text.len, ZCRPC_PROTO, NULL, &err)) != NULL)
    list = zcrpc_view_decode_buffer(zcrpc_schema_type(s, "google.protobuf.ListValue"), wire, NULL, a, &err);
  if (!list) {
    failed = library_error(NULL, err);
  } else if (json) {
    failed = write_line(text.data, text.len);
    found = zcrpc_view_count(list, 1);
  } else {
    found = print(list, level, &failed);
  }
  zcrpc_buffer_release(wire);
  zcrpc_arena_free(a);
  zcrpc_schema_release(s);
  return failed ? failed : found ? EXIT_BAD_INPUT : 0;
}

static int diff(const char *old, const char *new, int level, int json) {
  zcrpc_error *err = NULL;
  zcrpc_schema *from = read_set(old), *to = from ? read_set(new) : NULL;
  zcrpc_buffer *findings;
  int result = EXIT_BAD_INPUT;
  if (to) {
    findings = zcrpc_schema_diff(from, to, &err);
    result = findings ? tell(findings, level, json) : library_error(NULL, err);
    zcrpc_buffer_release(findings);
  }
  zcrpc_schema_release(from);
  zcrpc_schema_release(to);
  return result;
}

int schema_main(int argc, char **argv) {
  const char *breaks = NULL;
  int json = 0, level = 2, result;
  const struct flag flags[] = {{"--breaks", &breaks, NULL}, {"--json", NULL, &json}, {NULL, NULL, NULL}};
  if (argc < 2 || strcmp(argv[1], "diff") != 0) return usage_error("zcrpc schema: the command is diff; see zcrpc --help");
  if (argc < 4 || *argv[2] == '-' || *argv[3] == '-') return usage_error("zcrpc schema diff: needs two descriptor sets, the old one and the new one");
  if ((result = read_flags("schema diff", flags, argc - 3, argv + 3)) != 0) return result;
  if (breaks && (level = level_of(breaks, strlen(breaks))) < 0) return usage_error("zcrpc schema diff: --breaks is wire, json or source, not %s", breaks);
  return diff(argv[2], argv[3], level, json);
}
