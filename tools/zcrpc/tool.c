#include "tool.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define MAX_INPUT 0x7FFFFFFF

static void message(const char *format, va_list args) {
  char text[1024], *c;
  vsnprintf(text, sizeof text, format, args);
  for (c = text; *c; c++) /* one line, whatever a name or a path holds */
    if ((unsigned char)*c < 0x20 || *c == 0x7F) *c = '?';
  fprintf(stderr, "%s\n", text);
}

int usage_error(const char *format, ...) {
  va_list args;
  fputs("error: ", stderr);
  va_start(args, format);
  message(format, args);
  va_end(args);
  return EXIT_USAGE;
}

int input_error(zcrpc_code code, const char *format, ...) {
  va_list args;
  fprintf(stderr, "error: %s: ", zcrpc_code_name(code));
  va_start(args, format);
  message(format, args);
  va_end(args);
  return EXIT_BAD_INPUT;
}

int library_error(const char *where, zcrpc_error *e) {
  char offset[40] = "";
  const char *path = zcrpc_error_path(e);
  int result;
  if (zcrpc_error_offset(e) >= 0) snprintf(offset, sizeof offset, "byte %lld: ", (long long)zcrpc_error_offset(e));
  result = input_error(zcrpc_error_code(e), "%s%s%s%s%s%s", where ? where : "", where ? ": " : "", offset, path,
                       *path ? ": " : "", zcrpc_error_message(e));
  zcrpc_error_free(e);
  return result;
}

int read_flags(const char *command, const struct flag *flags, int argc, char **argv) {
  int i;
  for (i = 1; i < argc; i++) {
    const char *arg = argv[i], *equals = strchr(arg, '=');
    size_t name_len = equals ? (size_t)(equals - arg) : strlen(arg);
    const struct flag *f = flags;
    while (f->name && (strlen(f->name) != name_len || strncmp(f->name, arg, name_len) != 0)) f++;
    if (!f->name)
      return usage_error(*arg == '-' ? "zcrpc %s: no option %s; see zcrpc --help" : "zcrpc %s: what is %s for? See zcrpc --help",
                         command, arg);
    if (!f->value) {
      if (equals) return usage_error("zcrpc %s: %s takes no value", command, f->name);
      *f->set = 1;
      continue;
    }
    if (*f->value) return usage_error("zcrpc %s: %s comes twice", command, f->name);
    if (!equals && ++i == argc) return usage_error("zcrpc %s: %s needs a value", command, f->name);
    *f->value = equals ? equals + 1 : argv[i];
    if (!**f->value) return usage_error("zcrpc %s: %s needs a value", command, f->name);
  }
  return 0;
}

char *read_all(FILE *from, const char *name, size_t *len) {
  size_t room = 65536, used = 0, n;
  char *data = malloc(room), *more;
  while (data) {
    n = fread(data + used, 1, room - used, from);
    used += n;
    if (used > MAX_INPUT) {
      input_error(ZCRPC_RESOURCE_EXHAUSTED, "%s: more than 2147483647 bytes", name);
      free(data);
      return NULL;
    }
    if (ferror(from)) {
      input_error(ZCRPC_UNAVAILABLE, "%s: %s", name, strerror(errno));
      free(data);
      return NULL;
    }
    if (feof(from)) {
      *len = used;
      return data;
    }
    if (used == room) {
      room = room > MAX_INPUT / 2 ? (size_t)MAX_INPUT + 1 : room * 2;
      more = realloc(data, room);
      if (!more) free(data);
      data = more;
    }
  }
  input_error(ZCRPC_RESOURCE_EXHAUSTED, "%s: out of memory", name);
  return NULL;
}

char *read_file(const char *path, size_t *len) {
  FILE *f = fopen(path, "rb");
  char *data;
  if (!f) {
    input_error(errno == ENOENT ? ZCRPC_NOT_FOUND : errno == EACCES ? ZCRPC_PERMISSION_DENIED : ZCRPC_UNAVAILABLE, "%s: %s", path,
                strerror(errno));
    return NULL;
  }
  data = read_all(f, path, len);
  fclose(f);
  return data;
}

int write_line(const char *data, size_t len) {
  if (fwrite(data, 1, len, stdout) != len || putchar('\n') == EOF || fflush(stdout) != 0)
    return input_error(ZCRPC_UNAVAILABLE, "standard output: %s", strerror(errno));
  return 0;
}
