/* One request, and whether its answer is whole: a client that allocates nothing, on the thread that turns the loop, so that
 * what is counted or failed meanwhile is the server's. */
#ifndef TESTS_API_ONE_EXCHANGE_H
#define TESTS_API_ONE_EXCHANGE_H

#include <errno.h>

#include "h2.h"

static char request[4096];
static size_t request_size;
static char got[1 << 16];
static size_t got_size;

/* Whether what has come is a whole answer: by content-length, or by the end of stream 1. */
static int whole_http1(void) {
  char *head;
  got[got_size] = 0;
  head = strstr(got, "\r\n\r\n");
  if (!head) return 0;
  char *length = strcasestr(got, "content-length: ");
  return got_size >= (size_t)(head + 4 - got) + (length ? (size_t)atol(length + 16) : 0);
}
static int whole_h2(void) {
  size_t at = 0;
  while (at + 9 <= got_size) {
    const uint8_t *f = (const uint8_t *)got + at;
    size_t n = (size_t)f[0] << 16 | (size_t)f[1] << 8 | f[2];
    if (at + 9 + n > got_size) return 0;
    if (f[3] == 7 || f[3] == 3 || (f[8] == 1 && f[4] & 1 && f[3] <= 1)) return 1;
    at += 9 + n;
  }
  return 0;
}

static int connected(int port) {
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (connect(fd, (struct sockaddr *)&to, sizeof to)) abort();
  return fd;
}

/* Turns the loop until the answer to what was sent is there or the connection has ended; 1: an answer. */
static int answered(zcrpc_loop *loop, int fd, int (*whole)(void)) {
  int done = 0;
  int64_t limit = now_ms() + 5000;
  got_size = 0;
  while (!done && now_ms() < limit) {
    zcrpc_turn t = {.struct_size = sizeof t, .timeout_ms = 5};
    zcrpc_loop_turn(loop, &t, NULL);
    ssize_t n = recv(fd, got + got_size, sizeof got - 1 - got_size, MSG_DONTWAIT);
    if (n > 0) got_size += (size_t)n, done = whole();
    if (n == 0 || (n < 0 && errno != EAGAIN)) break;
  }
  if (now_ms() >= limit) fail_msg("neither an answer nor an end");
  return done;
}

/* The request is what nghttp2's client would send for a gRPC call, taken down once. */
static void say_h2(void) {
  static client c;
  static char m[64];
  int pair[2];
  nghttp2_session_callbacks *cb;
  memset(&c, 0, sizeof c);
  assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
  nghttp2_session_callbacks_new(&cb);
  nghttp2_session_callbacks_set_send_callback(cb, on_send);
  nghttp2_session_client_new(&c.session, cb, &c);
  nghttp2_session_callbacks_del(cb);
  nghttp2_submit_settings(c.session, NGHTTP2_FLAG_NONE, NULL, 0);
  c.fd = pair[0];
  grpc(&c, NULL, m, enveloped(m, "hello"));
  assert_int_equal(nghttp2_session_send(c.session), 0);
  request_size = (size_t)recv(pair[1], request, sizeof request, 0);
  h2_free(&c);
  close(pair[1]);
}

#endif
