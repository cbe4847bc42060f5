#define _GNU_SOURCE /* strcasestr */
/* A loop with an allocator of the application's: what it serves draws from there and from nowhere else, every byte comes
 * back, and the n-th request for memory may fail. One thread; the client allocates nothing. */
#include "one_exchange.h"
#include "support/fail_malloc.h"

/* ---- the allocator: one static piece of memory, free lists by size, each block with its size before it */

enum { CLASSES = 8192, HEAD = 16 };
static _Alignas(16) unsigned char memory[96 << 20];
static size_t top;
static void *idle[CLASSES];
static long live_blocks, live_bytes, requests, fail_at, mistakes;
static int has_failed;

static void *take(size_t size, void *user) {
  size_t whole = (size + HEAD + 15) / 16 * 16;
  unsigned char *p;
  assert_ptr_equal(user, memory);
  if (++requests == fail_at) return has_failed = 1, NULL;
  if (whole / 16 < CLASSES && idle[whole / 16]) {
    p = idle[whole / 16];
    memcpy(&idle[whole / 16], p, sizeof(void *));
  } else {
    if (top + whole > sizeof memory) return NULL;
    p = memory + top;
    top += whole;
  }
  memcpy(p, &size, sizeof size);
  live_blocks++;
  live_bytes += (long)size;
  return p + HEAD;
}
static void give(void *block, size_t size, void *user) {
  unsigned char *p = (unsigned char *)block - HEAD;
  size_t asked, whole = (size + HEAD + 15) / 16 * 16;
  (void)user;
  if (!block) return;
  memcpy(&asked, p, sizeof asked);
  if (asked != size) mistakes++;
  live_blocks--;
  live_bytes -= (long)asked;
  if (whole / 16 >= CLASSES) return;
  memcpy(p, &idle[whole / 16], sizeof(void *));
  idle[whole / 16] = p;
}
static void *retake(void *block, size_t old_size, size_t size, void *user) {
  void *p = take(size, user);
  if (!p || !block) return p;
  memcpy(p, block, old_size < size ? old_size : size);
  give(block, old_size, user);
  return p;
}
static const zcrpc_allocator allocator = {take, retake, give, memory};

static zcrpc_loop *new_loop(zcrpc_error **err) {
  zcrpc_options *o = zcrpc_options_new(ZCRPC_FOR_LOOP, NULL);
  zcrpc_loop *l;
  assert_int_equal(zcrpc_options_set_allocator(o, &allocator, NULL), ZCRPC_OK);
  l = zcrpc_loop_new(o, err);
  zcrpc_options_free(o);
  return l;
}

/* ---- the client */

/* 1: an answer. */
static int exchange(zcrpc_loop *loop, int fd, int (*whole)(void)) {
  if (send(fd, request, request_size, MSG_NOSIGNAL) != (ssize_t)request_size) return 0;
  return answered(loop, fd, whole);
}

static zcrpc_server *new_server(zcrpc_loop *loop, int *port, zcrpc_error **err) {
  zcrpc_server *s = zcrpc_server_new(NULL, err);
  if (!s || zcrpc_server_handle(s, method("s.S/Echo"), NULL, handler, NULL, err) || zcrpc_server_listen(s, "127.0.0.1:0", NULL, err) ||
      zcrpc_server_attach(s, loop, err)) {
    zcrpc_server_free(s);
    return NULL;
  }
  *port = atoi(strrchr(zcrpc_server_address(s, 0), ':') + 1);
  return s;
}

static void say_http1(const char *text) {
  char m[130];
  size_t n = message(m, text);
  request_size = (size_t)snprintf(request, sizeof request, "POST /s.S/Echo HTTP/1.1\r\nHost: x\r\nX-Some: metadata\r\nContent-Type: application/proto\r\n"
                                                           "Content-Length: %zu\r\n\r\n", n);
  memcpy(request + request_size, m, n);
  request_size += n;
}

/* ---- tests */

static void a_call_draws_from_malloc(void **state) {
  zcrpc_error *err = NULL;
  zcrpc_loop *loop = new_loop(&err);
  int port = 0, fd;
  zcrpc_server *s = new_server(loop, &port, &err);
  (void)state;
  if (!s) fail_msg("%s", zcrpc_error_message(err));
  for (int h2 = 0; h2 < 2; h2++) {
    if (h2) say_h2();
    else say_http1("a text that the handler gives back as it is");
    fd = connected(port);
    fail_malloc_at(0); /* counts from here: connection, parser or session, call and answer */
    assert_int_equal(exchange(loop, fd, h2 ? whole_h2 : whole_http1), 1);
    long used = fail_malloc_count();
    fail_malloc_stop();
    assert_int_equal(used, 0);
    if (!h2) {
      long before;
      for (int i = 0; i < 20; i++) assert_int_equal(exchange(loop, fd, whole_http1), 1);
      before = requests;
      fail_malloc_at(0);
      for (int i = 0; i < 50; i++) assert_int_equal(exchange(loop, fd, whole_http1), 1);
      used = fail_malloc_count();
      fail_malloc_stop();
      assert_int_equal(used, 0);
      assert_int_equal(requests, before); /* nor from the allocator, once it is warm */
    }
    close(fd);
  }
  assert_true(live_bytes > 65536);
  zcrpc_server_free(s);
  zcrpc_loop_free(loop);
  assert_int_equal(live_blocks, 0);
  assert_int_equal(live_bytes, 0);
  assert_int_equal(mistakes, 0);
}

static void every_request(int (*whole)(void)) {
  for (long n = 1;; n++) {
    zcrpc_error *err = NULL;
    zcrpc_loop *loop;
    zcrpc_server *s = NULL;
    int port = 0, result = -1;
    has_failed = 0;
    requests = 0;
    fail_at = n;
    loop = new_loop(&err);
    if (loop) s = new_server(loop, &port, &err);
    if (s) {
      int fd = connected(port);
      result = exchange(loop, fd, whole);
      close(fd);
      if (!result) { /* it lives: the same again, and now nothing fails */
        fail_at = 0;
        fd = connected(port);
        if (!exchange(loop, fd, whole)) fail_msg("request %ld: the server did not recover", n);
        close(fd);
      }
    } else {
      assert_int_equal(zcrpc_error_code(err), ZCRPC_RESOURCE_EXHAUSTED);
      zcrpc_error_free(err);
    }
    zcrpc_server_free(s);
    zcrpc_loop_free(loop);
    fail_at = 0;
    if (live_blocks) fail_msg("request %ld: %ld blocks were not given back", n, live_blocks);
    assert_int_equal(mistakes, 0);
    if (!has_failed && result == 1) {
      print_message("%ld requests for memory\n", n - 1);
      assert_true(n > 10);
      return;
    }
    assert_true(n < 1000);
  }
}

static void the_nth_request_breaks_http1(void **state) {
  (void)state;
  say_http1("a text that the handler gives back as it is");
  every_request(whole_http1);
}
static void the_nth_request_breaks_h2(void **state) {
  (void)state;
  say_h2();
  every_request(whole_h2);
}

/* Memory that the application holds on to may come back after the loop has gone. */
static void a_call_outlives_its_loops_memory(void **state) {
  zcrpc_error *err = NULL;
  zcrpc_loop *loop = new_loop(&err);
  int port = 0, fd;
  zcrpc_server *s = new_server(loop, &port, &err);
  (void)state;
  say_http1("never");
  fd = connected(port);
  assert_int_equal(send(fd, request, request_size, MSG_NOSIGNAL), (ssize_t)request_size);
  for (int i = 0; i < 200 && !atomic_load(&kept); i++) {
    zcrpc_turn t = {.struct_size = sizeof t, .timeout_ms = 5};
    zcrpc_loop_turn(loop, &t, NULL);
  }
  assert_non_null(atomic_load(&kept));
  zcrpc_server_free(s);
  zcrpc_loop_free(loop);
  assert_true(live_blocks > 0);
  release_kept();
  assert_int_equal(live_blocks, 0);
  assert_int_equal(mistakes, 0);
  close(fd);
}

static void half_an_allocator_is_taken(void **state) {
  zcrpc_allocator half = {take, NULL, give, NULL};
  zcrpc_options *o = zcrpc_options_new(ZCRPC_FOR_LOOP, NULL), *c = zcrpc_options_new(ZCRPC_FOR_CALL, NULL);
  (void)state;
  assert_int_equal(zcrpc_options_set_allocator(o, &half, NULL), ZCRPC_INVALID_ARGUMENT);
  assert_int_equal(zcrpc_options_set_allocator(c, &allocator, NULL), ZCRPC_INVALID_ARGUMENT);
  assert_int_equal(zcrpc_options_set_allocator(o, NULL, NULL), ZCRPC_OK);
  zcrpc_options_free(o);
  zcrpc_options_free(c);
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
      cmocka_unit_test(a_call_draws_from_malloc),
      cmocka_unit_test(the_nth_request_breaks_http1),
      cmocka_unit_test(the_nth_request_breaks_h2),
      cmocka_unit_test(a_call_outlives_its_loops_memory),
      cmocka_unit_test(half_an_allocator_is_taken),
  };
  return cmocka_run_group_tests(tests, load, unload);
}
