#define _GNU_SOURCE /* memmem, strcasestr */
/* The n-th allocation fails, for every n, from the server's making to its answer: the call fails or succeeds, the server
 * lives, and nothing leaks. One thread, so that all is the same each time; the client allocates nothing. */
#include <zlib.h>

#include "one_exchange.h"
#include "support/codings.h"
#include "support/fail_malloc.h"

/* On a connection of its own; 1: an answer. */
static int exchange(zcrpc_loop *loop, int port, int (*whole)(void)) {
  int fd = connected(port), done;
  if (send(fd, request, request_size, MSG_NOSIGNAL) != (ssize_t)request_size) abort();
  done = answered(loop, fd, whole);
  close(fd);
  return done;
}

static int squeezing; /* answers are compressed as the client likes it best */

static zcrpc_server *new_server(zcrpc_error **err) {
  zcrpc_options *o = zcrpc_options_new(ZCRPC_FOR_SERVER, err);
  zcrpc_server *s = NULL;
  if (o && (!squeezing || !zcrpc_options_set_string(o, ZCRPC_COMPRESSION, "*", err))) s = zcrpc_server_new(o, err);
  zcrpc_options_free(o);
  return s;
}

/* From nothing to an answer, and back to nothing. -1: the server could not be made; else whether it answered. */
static int whole_life(int (*whole)(void), zcrpc_error **err) {
  zcrpc_loop *loop = zcrpc_loop_new(NULL, err);
  zcrpc_server *s = loop ? new_server(err) : NULL;
  int result = -1;
  if (s && !zcrpc_server_handle(s, method("s.S/Echo"), NULL, handler, NULL, err) && !zcrpc_server_listen(s, "127.0.0.1:0", NULL, err) &&
      !zcrpc_server_attach(s, loop, err)) {
    result = exchange(loop, atoi(strrchr(zcrpc_server_address(s, 0), ':') + 1), whole);
    if (!result) {
      /* It lives: the same again, and now nothing fails. */
      fail_malloc_at(0);
      result = exchange(loop, atoi(strrchr(zcrpc_server_address(s, 0), ':') + 1), whole) ? 0 : -2;
    }
  }
  zcrpc_server_free(s);
  zcrpc_loop_free(loop);
  return result;
}

static void every_allocation(int (*whole)(void)) {
  for (long n = 1;; n++) {
    zcrpc_error *err = NULL;
    long before = fail_malloc_live();
    fail_malloc_at(n);
    int result = whole_life(whole, &err);
    int failed = fail_malloc_stop();
    if (result == -1 && err) {
      assert_int_equal(zcrpc_error_code(err), ZCRPC_RESOURCE_EXHAUSTED);
      failed = 1;
    }
    zcrpc_error_free(err);
    if (result == -2) fail_msg("allocation %ld: the server did not recover", n);
    if (fail_malloc_live() != before) fail_msg("allocation %ld: %ld blocks leaked", n, fail_malloc_live() - before);
    if (!failed && result == 1) {
      print_message("%ld allocations\n", n - 1);
      assert_true(n > 20);
      break;
    }
    assert_true(n < 2000);
  }
}

static void lack_of_memory_breaks_a_server_of_http1(void **state) {
  (void)state;
  request_size = (size_t)snprintf(request, sizeof request, "POST /s.S/Echo HTTP/1.1\r\nHost: x\r\nX-Some: metadata\r\nContent-Type: application/json\r\n"
                                                           "Content-Length: 22\r\n\r\n{\"text\":\"size 3000\"}  ");
  every_allocation(whole_http1);
}

/* In both directions; the body is `{"text":"size 3000"}`. */
static void lack_of_memory_breaks_a_coding(void **state) {
  static const char body[] = "{\"text\":\"size 3000\"}";
  char packed[256];
  z_stream z = {0};
  (void)state;
  deflateInit2(&z, 6, Z_DEFLATED, 31, 8, Z_DEFAULT_STRATEGY);
  z.next_in = (Bytef *)(uintptr_t)body;
  z.avail_in = sizeof body - 1;
  z.next_out = (Bytef *)packed;
  z.avail_out = sizeof packed;
  assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
  squeezing = 1;
  for (int i = 0; i < CODING_COUNT; i++) {
    request_size = (size_t)snprintf(request, sizeof request, "POST /s.S/Echo HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Encoding: gzip\r\n"
                                                             "Accept-Encoding: %s\r\nContent-Length: %lu\r\n\r\n", coding_names[i], z.total_out);
    memcpy(request + request_size, packed, z.total_out);
    request_size += z.total_out;
    every_allocation(whole_http1);
    assert_non_null(strcasestr(got, "\r\ncontent-encoding: "));
  }
  squeezing = 0;
  deflateEnd(&z);
}

static void lack_of_memory_breaks_an_error(void **state) {
  (void)state;
  request_size = (size_t)snprintf(request, sizeof request, "POST /s.S/Echo HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
                                                           "Content-Length: 18\r\n\r\n{\"text\":\"detail\"} ");
  every_allocation(whole_http1);
}

static void lack_of_memory_breaks_a_server_of_h2(void **state) {
  (void)state;
  server_port = 0;
  say_h2();
  every_allocation(whole_h2);
}

static int load(void **state) {
  (void)state;
  alarm(170);
  schema = zcrpc_schema_new(kServeSet, sizeof kServeSet, NULL);
  return schema ? 0 : -1;
}
static int unload(void **state) {
  (void)state;
  zcrpc_schema_release(schema);
  return 0;
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(lack_of_memory_breaks_a_server_of_http1),
      cmocka_unit_test(lack_of_memory_breaks_a_coding),
      cmocka_unit_test(lack_of_memory_breaks_an_error),
      cmocka_unit_test(lack_of_memory_breaks_a_server_of_h2),
  };
  return cmocka_run_group_tests(tests, load, unload);
}
