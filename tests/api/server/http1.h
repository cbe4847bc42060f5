/* HTTP/1.1 over a blocking socket, as raw as a test needs it. Nothing here allocates. */
#ifndef TESTS_API_HTTP1_H
#define TESTS_API_HTTP1_H

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <strings.h>
#include <sys/socket.h>

#include "serve.h"

typedef struct answer {
  int status;        /* 0: the connection ended */
  size_t head, body; /* lengths; the body follows the head in text */
  size_t next;       /* where the next answer begins */
  char text[1 << 20];
} answer;

static char pending[1 << 20]; /* received, of later answers */
static _Thread_local size_t pending_size;
static _Thread_local uint64_t bytes_said; /* that this thread has sent */

static int dial(void) {
  struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)server_port)};
  struct timeval limit = {.tv_sec = 20};
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;
  a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof a), 0);
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  pending_size = 0;
  return fd;
}

static void send_all(int fd, const void *data, size_t n) {
  const char *p = data;
  while (n) {
    ssize_t k = send(fd, p, n, MSG_NOSIGNAL);
    if (k <= 0) return; /* closed early: the answer tells */
    bytes_said += (uint64_t)k;
    p += k;
    n -= (size_t)k;
  }
}
static void say(int fd, const char *text) { send_all(fd, text, strlen(text)); }

/* Value of a header, or NULL; name in lower case. In a buffer of its own, until the next call. */
static const char *header(const answer *a, const char *name) {
  static char value[4096];
  const char *line = strstr(a->text, "\r\n");
  size_t n = strlen(name);
  while (line && line + 2 < a->text + a->head) {
    line += 2;
    if (strncasecmp(line, name, n) == 0 && line[n] == ':') {
      const char *v = line + n + 1, *end = strstr(v, "\r\n");
      while (*v == ' ') v++;
      snprintf(value, sizeof value, "%.*s", (int)(end - v), v);
      return value;
    }
    line = strstr(line, "\r\n");
  }
  return NULL;
}

/* Reads one answer, which has a content-length. */
static void read_answer(int fd, answer *a) {
  size_t have = pending_size;
  memcpy(a->text, pending, have);
  a->status = 0;
  a->head = a->body = 0;
  for (;;) {
    char *end;
    a->text[have] = 0;
    if (!a->head && (end = strstr(a->text, "\r\n\r\n"))) {
      const char *length;
      a->head = (size_t)(end + 4 - a->text);
      if (sscanf(a->text, "HTTP/1.%*d %d", &a->status) != 1) fail_msg("not an answer: %s", a->text);
      length = header(a, "content-length");
      a->body = length ? (size_t)atol(length) : 0;
      if (a->status == 100) a->body = 0;
    }
    if (a->head && have >= a->head + a->body) break;
    ssize_t n = recv(fd, a->text + have, sizeof a->text - 1 - have, 0);
    if (n <= 0) {
      a->status = 0;
      pending_size = 0;
      return;
    }
    have += (size_t)n;
  }
  pending_size = have - a->head - a->body;
  memcpy(pending, a->text + a->head + a->body, pending_size);
  a->text[a->head + a->body] = 0;
}
static const char *body(const answer *a) { return a->text + a->head; }

/* 1: the peer closes without another byte. */
static int ends(int fd) {
  char c;
  return pending_size == 0 && recv(fd, &c, 1, 0) == 0;
}

/* A POST to /s.S/Echo. */
static void post(int fd, const char *type, const char *extra, const void *data, size_t n) {
  char head[1024];
  int h = snprintf(head, sizeof head, "POST /s.S/Echo HTTP/1.1\r\nHost: x\r\nContent-Type: %s\r\nContent-Length: %zu\r\n%s\r\n", type, n, extra);
  send_all(fd, head, (size_t)h);
  send_all(fd, data, n);
}
static void post_json(int fd, const char *extra, const char *json) { post(fd, "application/json", extra, json, strlen(json)); }
static void ask_json(int fd, const char *json, answer *a) {
  post_json(fd, "", json);
  read_answer(fd, a);
}

#endif
