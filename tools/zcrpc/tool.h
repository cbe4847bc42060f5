/* What the subcommands share: reading, writing, telling errors. Exit codes: 0 well, 1 what was given is bad, 2 usage. */
#ifndef ZCRPC_TOOL_H
#define ZCRPC_TOOL_H

#include <stdio.h>

#include <zcrpc.h>

enum { EXIT_BAD_INPUT = 1, EXIT_USAGE = 2 };

int decode_main(int argc, char **argv); /* argv[0]: the subcommand */
extern const char decode_help[];
int schema_main(int argc, char **argv);

/* "error: " and the rest in one line on stderr; the value to return. */
int usage_error(const char *format, ...) __attribute__((format(printf, 1, 2)));
int input_error(zcrpc_code code, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* From the library: "error: CODE: byte N: PATH: MESSAGE", without what it has not. `where` is put before, or NULL. Frees e. */
int library_error(const char *where, zcrpc_error *e);

/* Flags "--name VALUE", "--name=VALUE" and, with value NULL, "--name"; for usage errors prefixed by the subcommand. */
struct flag {
  const char *name;
  const char **value;
  int *set;
};
/* 0, or the exit code after a message. */
int read_flags(const char *command, const struct flag *flags, int argc, char **argv);

/* The whole of a stream, at most 2^31-1 bytes; NULL after a message. name is for the message. Caller frees. */
char *read_all(FILE *from, const char *name, size_t *len);
char *read_file(const char *path, size_t *len);
/* To stdout with a newline, flushed; 0, or the exit code after a message. */
int write_line(const char *data, size_t len);

#endif
