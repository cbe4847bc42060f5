/* The floor: an epoll loop of recv and send that answers canned bytes and parses next to nothing.
 *   plain-loop http1|http2 ANSWER-HEAD ANSWER-BODY [TRAILERS]
 * The files hold the bytes of an answer: on HTTP/1.1 head and body, one answer for each receive (h2load sends a request at
 * a time); on HTTP/2 the HPACK blocks and the body, one answer for each END_STREAM, frame heads walked, nothing decoded. */
#define _GNU_SOURCE /* accept4 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { kIn = 65536, kOut = 262144, kPreface = 24, kHead = 9 };
enum { DATA = 0, HEADERS = 1, SETTINGS = 4, PING = 6, WINDOW_UPDATE = 8 };
enum { END_STREAM = 1, ACK = 1, END_HEADERS = 4 };

typedef struct connection {
  int fd, seen_preface;
  size_t kept;          /* bytes of a frame that is not whole yet */
  uint32_t received;    /* of the connection's window */
  uint8_t in[kIn];
} connection;

typedef struct block {
  uint8_t bytes[4096];
  size_t size;
} block;

static block head, body, trailers;
static uint8_t out[kOut];
static size_t out_size;

static void read_file(const char *path, block *b) {
  FILE *f = fopen(path, "rb");
  if (!f) exit(2);
  b->size = fread(b->bytes, 1, sizeof b->bytes, f);
  fclose(f);
}

static void put(const void *p, size_t n) {
  memcpy(out + out_size, p, n);
  out_size += n;
}

static void frame(size_t size, int type, int flags, uint32_t stream) {
  uint8_t h[kHead] = {(uint8_t)(size >> 16), (uint8_t)(size >> 8), (uint8_t)size, (uint8_t)type, (uint8_t)flags};
  stream = htonl(stream);
  memcpy(h + 5, &stream, 4);
  put(h, kHead);
}

static void answer(uint32_t stream) {
  frame(head.size, HEADERS, END_HEADERS, stream);
  put(head.bytes, head.size);
  frame(body.size, DATA, trailers.size ? 0 : END_STREAM, stream);
  put(body.bytes, body.size);
  if (!trailers.size) return;
  frame(trailers.size, HEADERS, END_HEADERS | END_STREAM, stream);
  put(trailers.bytes, trailers.size);
}

static void window(uint32_t n) {
  n = htonl(n);
  frame(4, WINDOW_UPDATE, 0, 0);
  put(&n, 4);
}

/* All whole frames of c->in; how many bytes they were. */
static size_t frames(connection *c, size_t size) {
  size_t at = 0;
  if (!c->seen_preface) {
    if (size < kPreface) return 0;
    at = kPreface;
    c->seen_preface = 1;
    frame(0, SETTINGS, 0, 0);
  }
  while (size - at >= kHead) {
    const uint8_t *f = c->in + at;
    uint32_t n = (uint32_t)f[0] << 16 | (uint32_t)f[1] << 8 | f[2], stream;
    if (size - at < kHead + n) break;
    memcpy(&stream, f + 5, 4);
    if (f[3] == DATA) c->received += n;
    if ((f[3] == DATA || f[3] == HEADERS) && f[4] & END_STREAM) answer(ntohl(stream) & 0x7fffffffu);
    if (f[3] == SETTINGS && !(f[4] & ACK)) frame(0, SETTINGS, ACK, 0);
    if (f[3] == PING && !(f[4] & ACK)) {
      frame(n, PING, ACK, 0);
      put(f + kHead, n);
    }
    at += kHead + n;
  }
  if (c->received > 16384) {
    window(c->received);
    c->received = 0;
  }
  return at;
}

static int serve(connection *c, int http2) {
  ssize_t n = recv(c->fd, c->in + c->kept, kIn - c->kept, 0);
  if (n < 0 && errno == EAGAIN) return 1;
  if (n <= 0) return 0;
  out_size = 0;
  if (http2) {
    size_t size = c->kept + (size_t)n, used = frames(c, size);
    c->kept = size - used;
    memmove(c->in, c->in + used, c->kept);
  } else {
    put(head.bytes, head.size);
    put(body.bytes, body.size);
  }
  /* Loopback's buffers hold what 256 streams ask for. */
  return !out_size || send(c->fd, out, out_size, MSG_NOSIGNAL) == (ssize_t)out_size;
}

int main(int argc, char **argv) {
  int one = 1, ep = epoll_create1(0), listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), http2;
  struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  struct epoll_event e = {.events = EPOLLIN}, ready[256];
  socklen_t size = sizeof a;
  if (argc < 4) return 2;
  http2 = strcmp(argv[1], "http2") == 0;
  read_file(argv[2], &head);
  read_file(argv[3], &body);
  if (argc > 4) read_file(argv[4], &trailers);
  if (bind(listener, (struct sockaddr *)&a, size) || listen(listener, 1024) || getsockname(listener, (struct sockaddr *)&a, &size)) return 1;
  printf("listening 127.0.0.1:%d\n", ntohs(a.sin_port));
  fflush(stdout);
  epoll_ctl(ep, EPOLL_CTL_ADD, listener, &e);
  for (;;) {
    int n = epoll_wait(ep, ready, 256, -1), i;
    for (i = 0; i < n; i++) {
      connection *c = ready[i].data.ptr;
      if (!c) {
        int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
        if (fd < 0 || !(c = calloc(1, sizeof *c))) continue;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        c->fd = fd;
        e.data.ptr = c;
        epoll_ctl(ep, EPOLL_CTL_ADD, fd, &e);
      } else if (!serve(c, http2)) {
        close(c->fd);
        free(c);
      }
    }
  }
}
