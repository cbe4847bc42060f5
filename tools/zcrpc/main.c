/* zcrpc, the command line of libzcrpc: written against its public header alone. */
#include <signal.h>
#include <string.h>

#include "tool.h"

static const char help[] =
    "Usage: zcrpc decode --schema FILE --type NAME [options] < MESSAGE\n"
    "       zcrpc decode --help\n"
    "       zcrpc schema diff OLD NEW [--breaks wire|json|source] [--json]\n"
    "       zcrpc --help | --version\n"
    "\n"
    "decode: reads one protobuf message from standard input and prints it as JSON or as text; its --help lists the options.\n"
    "\n"
    "schema diff: what breaks from one FileDescriptorSet to the next, one line each; exit status 1 if anything does.\n"
    "  --breaks LEVEL  only what breaks the wire (wire), JSON too (json), or also source code (source, the default)\n"
    "  --json          all of it as a JSON array\n"
    "\n"
    "Exit status: 0, 1 if what was given is bad (one line on standard error tells the code, the byte and the field),\n"
    "2 for a wrong command line.\n";

static int version(void) {
  char text[64];
  uint32_t v = zcrpc_version();
  int n = snprintf(text, sizeof text, "zcrpc %u.%u.%u", (unsigned)(v >> 16 & 0xFF), (unsigned)(v >> 8 & 0xFF), (unsigned)(v & 0xFF));
  return write_line(text, (size_t)n);
}

int main(int argc, char **argv) {
  /* A reader that has gone is an error to be told, not a death. */
  signal(SIGPIPE, SIG_IGN);
  if (argc < 2) return usage_error("zcrpc needs a command, such as decode; see zcrpc --help");
  if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h") || !strcmp(argv[1], "help")) return write_line(help, sizeof help - 2);
  if (!strcmp(argv[1], "--version")) return version();
  if (!strcmp(argv[1], "decode")) return decode_main(argc - 1, argv + 1);
  if (!strcmp(argv[1], "schema")) return schema_main(argc - 1, argv + 1);
  return usage_error("zcrpc has no command %s; see zcrpc --help", argv[1]);
}
