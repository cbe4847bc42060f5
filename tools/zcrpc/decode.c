/* zcrpc decode: one message from standard input, as JSON or text format. */
#include <stdlib.h>
#include <string.h>

#include "tool.h"

/* How many single characters separate two names, counted up to a limit; a small table suffices for names. */
static size_t distance(const char *a, const char *b) {
  enum { MAX = 96 };
  size_t row[MAX + 1], n = strlen(a), m = strlen(b), i, j;
  if (n > MAX || m > MAX) return MAX;
  for (j = 0; j <= m; j++) row[j] = j;
  for (i = 1; i <= n; i++) {
    size_t diagonal = row[0];
    row[0] = i;
    for (j = 1; j <= m; j++) {
      size_t least = diagonal + (a[i - 1] != b[j - 1]);
      diagonal = row[j];
      if (row[j] + 1 < least) least = row[j] + 1;
      if (row[j - 1] + 1 < least) least = row[j - 1] + 1;
      row[j] = least;
    }
  }
  return row[m];
}

static const char *last_part(const char *name) {
  const char *dot = strrchr(name, '.');
  return dot ? dot + 1 : name;
}

/* Tells what there is instead: the nearest name if one is near, else the first few. */
static int no_such_type(const zcrpc_schema *s, const char *file, const char *name) {
  char list[512] = "";
  const char *nearest = NULL;
  size_t best = strlen(name) / 3 + 1, n = 0, listed = 0, d;
  const zcrpc_type *t;
  for (; (t = zcrpc_schema_type_at(s, n)) != NULL; n++) {
    const char *there = zcrpc_type_name(t);
    d = strcmp(last_part(there), last_part(name)) == 0 ? 0 : distance(there, name);
    if (d < best) {
      best = d;
      nearest = there;
    }
    /* Not those that came along as imports of everybody. */
    if (listed < 4 && strncmp(there, "google.protobuf.", 16) != 0 && strlen(list) + strlen(there) + 3 < sizeof list) {
      if (listed++) strcat(list, ", ");
      strcat(list, there);
    }
  }
  if (nearest) return input_error(ZCRPC_NOT_FOUND, "%s has no message type %s; did you mean %s?", file, name, nearest);
  if (n == 0) return input_error(ZCRPC_NOT_FOUND, "%s has no message type at all", file);
  if (listed == 0) return input_error(ZCRPC_NOT_FOUND, "%s has no message type %s", file, name);
  return input_error(ZCRPC_NOT_FOUND, "%s has no message type %s; it has %s%s", file, name, list, n > listed ? ", ..." : "");
}

static zcrpc_schema *read_schema(const char *file) {
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

static zcrpc_options *format_options(int pretty, int proto_names, int enum_numbers, int unknown, zcrpc_error **err) {
  zcrpc_options *o = zcrpc_options_new(ZCRPC_FOR_FORMAT, err);
  if (o && zcrpc_options_set_int(o, ZCRPC_FORMAT_PRETTY, pretty, err) == ZCRPC_OK &&
      zcrpc_options_set_int(o, ZCRPC_FORMAT_PROTO_NAMES, proto_names, err) == ZCRPC_OK &&
      zcrpc_options_set_int(o, ZCRPC_FORMAT_ENUM_NUMBERS, enum_numbers, err) == ZCRPC_OK &&
      zcrpc_options_set_int(o, ZCRPC_FORMAT_UNKNOWN_FIELDS, unknown, err) == ZCRPC_OK)
    return o;
  zcrpc_options_free(o);
  return NULL;
}

static int decode(const zcrpc_type *type, int32_t format, const zcrpc_options *o) {
  zcrpc_error *err = NULL;
  zcrpc_buffer *out;
  zcrpc_slice text;
  size_t len;
  int result;
  char *data = read_all(stdin, "standard input", &len);
  if (!data) return EXIT_BAD_INPUT;
  out = zcrpc_type_convert(type, ZCRPC_PROTO, data, len, format, o, &err);
  free(data);
  if (!out) return library_error(NULL, err);
  zcrpc_buffer_slice(out, &text);
  result = write_line(text.data, text.len);
  zcrpc_buffer_release(out);
  return result;
}

const char decode_help[] =
    "Usage: zcrpc decode --schema FILE --type NAME [options] < MESSAGE\n"
    "\n"
    "Reads one protobuf message from standard input and prints it.\n"
    "  --schema FILE   a FileDescriptorSet: protoc --include_imports --descriptor_set_out=FILE ...\n"
    "  --type NAME     full name of the message's type, such as echo.v1.EchoRequest\n"
    "  --format NAME   json (the default), or text: protobuf's text format\n"
    "  --pretty        on several lines\n"
    "  --proto-names   JSON: field names as in the .proto file, not lowerCamelCase\n"
    "  --enum-numbers  enums as numbers\n"
    "  --unknown       text: unknown fields too, by number\n";

int decode_main(int argc, char **argv) {
  const char *file = NULL, *name = NULL, *format = NULL;
  int pretty = 0, proto_names = 0, enum_numbers = 0, unknown = 0, help = 0, result;
  const struct flag flags[] = {{"--schema", &file, NULL},          {"--type", &name, NULL},
                               {"--pretty", NULL, &pretty},        {"--proto-names", NULL, &proto_names},
                               {"--enum-numbers", NULL, &enum_numbers}, {"--format", &format, NULL},
                               {"--unknown", NULL, &unknown},      {"--help", NULL, &help},
                               {NULL, NULL, NULL}};
  zcrpc_error *err = NULL;
  zcrpc_schema *schema;
  zcrpc_options *o;
  const zcrpc_type *type;
  if ((result = read_flags("decode", flags, argc, argv)) != 0) return result;
  if (help) return write_line(decode_help, strlen(decode_help) - 1);
  if (format && strcmp(format, "json") != 0 && strcmp(format, "text") != 0)
    return usage_error("zcrpc decode: --format is json or text, not %s", format);
  if (!file || !name) return usage_error("zcrpc decode: %s is needed; see zcrpc --help", file ? "--type NAME" : "--schema FILE");
  schema = read_schema(file);
  if (!schema) return EXIT_BAD_INPUT;
  type = zcrpc_schema_type(schema, name);
  o = format_options(pretty, proto_names, enum_numbers, unknown, &err);
  if (!type)
    result = no_such_type(schema, file, name);
  else if (!o)
    result = library_error(NULL, err);
  else
    result = decode(type, format && !strcmp(format, "text") ? ZCRPC_TEXT : ZCRPC_JSON, o);
  zcrpc_options_free(o);
  zcrpc_schema_release(schema);
  return result;
}
