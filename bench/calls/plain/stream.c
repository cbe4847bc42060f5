/* Bytes over loopback, with and without HTTP/2 around them.
 *   plain-stream serve BYTES BLOCK       answers each connection with BYTES, by writev of an 8-byte head and a block
 *   plain-stream plain PORT              reads until the end
 *   plain-stream http2 PORT REQUEST      sends the file, reads until END_STREAM, and counts the bytes of DATA frames
 * The readers print the bytes and the seconds between the first byte asked for and the last one read. */
#define _GNU_SOURCE /* clock_gettime beside strict C11 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum { kRoom = 1 << 18, kHead = 9, DATA = 0, HEADERS = 1, END_STREAM = 1 };

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static int serve(uint64_t bytes, size_t block) {
  int listener = socket(AF_INET, SOCK_STREAM, 0);
  struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t size = sizeof a;
  char *data = malloc(block), head[8] = {0};
  if (!data || bind(listener, (struct sockaddr *)&a, size) || listen(listener, 8)) return 1;
  if (getsockname(listener, (struct sockaddr *)&a, &size)) return 1;
  memset(data, 'x', block);
  printf("listening 127.0.0.1:%d\n", ntohs(a.sin_port));
  fflush(stdout);
  for (;;) {
    int fd = accept(listener, NULL, NULL);
    uint64_t sent = 0;
    if (fd < 0 || read(fd, head, 1) != 1) return 1;
    while (sent < bytes) {
      size_t done = 0, whole = sizeof head + block;
      while (done < whole) {
        size_t in_head = done < sizeof head ? sizeof head - done : 0, in_data = done > sizeof head ? done - sizeof head : 0;
        struct iovec v[2] = {{head + sizeof head - in_head, in_head}, {data + in_data, block - in_data}};
        ssize_t n = writev(fd, in_head ? v : v + 1, in_head ? 2 : 1);
        if (n < 0) return 1;
        done += (size_t)n;
      }
      sent += block;
    }
    close(fd);
  }
}

static uint8_t room[kRoom];

static uint64_t read_plain(int fd) {
  uint64_t total = 0;
  ssize_t n;
  if (write(fd, "?", 1) != 1) return 0;
  while ((n = read(fd, room, sizeof room)) > 0) total += (uint64_t)n;
  return total;
}

/* Frame heads are walked, their payloads only counted. 0: the stream did not end as it should. */
static uint64_t read_http2(int fd, const char *path) {
  uint8_t head[kHead];
  uint64_t total = 0, skip = 0;
  size_t have = 0;
  int last = 0;
  FILE *f = fopen(path, "rb");
  size_t size = f ? fread(room, 1, sizeof room, f) : 0;
  ssize_t n;
  if (!size || write(fd, room, size) != (ssize_t)size) return 0;
  fclose(f);
  while ((n = read(fd, room, sizeof room)) > 0) {
    size_t at = 0, end = (size_t)n;
    while (at < end) {
      if (skip) {
        size_t part = skip < end - at ? (size_t)skip : end - at;
        at += part;
        skip -= part;
      } else {
        head[have++] = room[at++];
        if (have < kHead) continue;
        have = 0;
        skip = (uint64_t)head[0] << 16 | (uint64_t)head[1] << 8 | head[2];
        if (head[3] == DATA) total += skip;
        last = last || ((head[3] == DATA || head[3] == HEADERS) && head[4] & END_STREAM);
      }
      if (last && !skip) return total;
    }
  }
  return 0;
}

int main(int argc, char **argv) {
  struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  int fd;
  double start;
  uint64_t bytes;
  if (argc == 4 && strcmp(argv[1], "serve") == 0) return serve(strtoull(argv[2], NULL, 10), strtoul(argv[3], NULL, 10));
  if (argc < 3) return 2;
  a.sin_port = htons((uint16_t)atoi(argv[2]));
  fd = socket(AF_INET, SOCK_STREAM, 0);
  if (connect(fd, (struct sockaddr *)&a, sizeof a)) return 1;
  start = now();
  bytes = argc == 4 ? read_http2(fd, argv[3]) : read_plain(fd);
  printf("%llu %.6f\n", (unsigned long long)bytes, now() - start);
  return bytes == 0;
}
