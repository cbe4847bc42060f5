#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "testee.h"

static void die(const char *why) {
  fprintf(stderr, "zcrpc-protobuf-testee: %s\n", why);
  exit(1);
}

char *read_frame(size_t *len) {
  unsigned char head[4];
  char *data;
  size_t n = fread(head, 1, 4, stdin);
  if (n == 0) return NULL;
  if (n != 4) die("stdin ends within a frame's length");
  *len = head[0] | (size_t)head[1] << 8 | (size_t)head[2] << 16 | (size_t)head[3] << 24;
  data = malloc(*len + 1);
  if (!data) die("out of memory");
  if (fread(data, 1, *len, stdin) != *len) die("stdin ends within a frame");
  return data;
}

/* The position behind a varint at p; NULL: there is none. */
static const char *read_varint(const char *p, const char *end, uint64_t *v) {
  int shift = 0;
  *v = 0;
  for (; p < end && shift < 64; shift += 7) {
    unsigned char c = (unsigned char)*p++;
    *v |= (uint64_t)(c & 127) << shift;
    if (c < 128) return p;
  }
  return NULL;
}

int read_request(const char *frame, size_t len, struct request *out) {
  const char *p = frame, *end = frame + len;
  memset(out, 0, sizeof *out);
  while (p < end) {
    uint64_t tag, n;
    zcrpc_slice s;
    if (!(p = read_varint(p, end, &tag)) || !(p = read_varint(p, end, &n))) return 0;
    if ((tag & 7) == 0) {
      if (tag >> 3 == 3) out->output = (int32_t)n;
      if (tag >> 3 == 5) out->category = (int32_t)n;
      if (tag >> 3 == 9) out->print_unknown = n != 0;
      continue;
    }
    if ((tag & 7) != 2 || n > (uint64_t)(end - p)) return 0;
    s.data = p;
    s.len = (size_t)n;
    p += n;
    switch (tag >> 3) {
      case 1: case 2: case 7: case 8:
        out->input = (int32_t)(tag >> 3);
        out->payload = s;
        break;
      case 4: out->type = s; break;
      default: break;
    }
  }
  return 1;
}

static size_t put_varint(unsigned char *to, uint64_t v) {
  size_t n = 0;
  for (; v > 127; v >>= 7) to[n++] = (unsigned char)(v | 128);
  to[n++] = (unsigned char)v;
  return n;
}

void write_response(uint32_t field, const char *data, size_t len) {
  unsigned char head[4 + 16];
  size_t n = 4, whole;
  n += put_varint(head + n, field << 3 | 2);
  n += put_varint(head + n, len);
  whole = n - 4 + len;
  head[0] = (unsigned char)whole;
  head[1] = (unsigned char)(whole >> 8);
  head[2] = (unsigned char)(whole >> 16);
  head[3] = (unsigned char)(whole >> 24);
  if (fwrite(head, 1, n, stdout) != n || fwrite(data, 1, len, stdout) != len || fflush(stdout) != 0) die("stdout is closed");
}
