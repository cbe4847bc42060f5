/* Section 2: buffers and arenas; and what the first sections do when memory runs out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <pthread.h>

#include <zcrpc.h>

#include "support/fail_malloc.h"

struct released {
  const void *data;
  size_t len;
  int times;
};
static void release(const void *data, size_t len, void *user) {
  struct released *r = (struct released *)user;
  r->data = data;
  r->len = len;
  r->times++;
}

static void a_buffer_is_filled_and_shared(void **state) {
  void *data = NULL;
  zcrpc_slice s;
  zcrpc_buffer *b = zcrpc_buffer_new(5, &data, NULL);
  (void)state;
  assert_non_null(b);
  assert_int_equal((uintptr_t)data % 8, 0);
  memcpy(data, "hello", 5);
  assert_ptr_equal(zcrpc_buffer_retain(b), b);
  zcrpc_buffer_release(b);
  zcrpc_buffer_slice(b, &s);
  assert_int_equal(s.len, 5);
  assert_memory_equal(s.data, "hello", 5);
  for (size_t i = 0; i < 32; i++) assert_int_equal(s.data[5 + i], 0); /* slack that may be read */
  zcrpc_buffer_release(b);
  zcrpc_buffer_slice(NULL, &s);
  assert_true(s.len == 0 && s.data);
  zcrpc_buffer_release(NULL);
  assert_null(zcrpc_buffer_retain(NULL));
  b = zcrpc_buffer_new(0, &data, NULL);
  assert_non_null(b);
  zcrpc_buffer_release(b);
}

static void wrapped_memory_comes_back_exactly_once(void **state) {
  static const char bytes[] = "wrapped";
  struct released r = {NULL, 0, 0};
  zcrpc_buffer *b = zcrpc_buffer_wrap(bytes, 7, release, &r, NULL);
  zcrpc_slice s;
  (void)state;
  zcrpc_buffer_slice(b, &s);
  assert_ptr_equal(s.data, bytes);
  zcrpc_buffer_retain(b);
  zcrpc_buffer_release(b);
  assert_int_equal(r.times, 0);
  zcrpc_buffer_release(b);
  assert_true(r.times == 1 && r.data == bytes && r.len == 7);
  b = zcrpc_buffer_wrap(bytes, 7, NULL, NULL, NULL); /* static memory */
  assert_non_null(b);
  zcrpc_buffer_release(b);
}

static void wrong_arguments_are_told(void **state) {
  zcrpc_error *e = NULL;
  struct released r = {NULL, 0, 0};
  (void)state;
  assert_null(zcrpc_buffer_wrap(NULL, 1, release, &r, &e));
  assert_int_equal(zcrpc_error_code(e), ZCRPC_INVALID_ARGUMENT);
  zcrpc_error_free(e);
  assert_int_equal(r.times, 0);
  assert_null(zcrpc_buffer_new(1, NULL, &e));
  assert_int_equal(zcrpc_error_code(e), ZCRPC_INVALID_ARGUMENT);
  zcrpc_error_free(e);
  void *data;
  assert_null(zcrpc_buffer_new(SIZE_MAX, &data, &e));
  assert_int_equal(zcrpc_error_code(e), ZCRPC_RESOURCE_EXHAUSTED);
  zcrpc_error_free(e);
  assert_null(zcrpc_buffer_new(SIZE_MAX - 40, &data, NULL));
}

#define kThreads 4
#define kRounds 20000
static void *retain_and_release(void *b) {
  for (int i = 0; i < kRounds; i++) {
    zcrpc_buffer_retain((zcrpc_buffer *)b);
    zcrpc_buffer_release((zcrpc_buffer *)b);
  }
  zcrpc_buffer_release((zcrpc_buffer *)b);
  return NULL;
}

static void any_thread_may_drop_the_last_reference(void **state) {
  struct released r = {NULL, 0, 0};
  pthread_t threads[kThreads];
  zcrpc_buffer *b = zcrpc_buffer_wrap("x", 1, release, &r, NULL);
  (void)state;
  for (int i = 0; i < kThreads; i++) {
    zcrpc_buffer_retain(b);
    assert_int_equal(pthread_create(&threads[i], NULL, retain_and_release, b), 0);
  }
  zcrpc_buffer_release(b);
  for (int i = 0; i < kThreads; i++) pthread_join(threads[i], NULL);
  assert_int_equal(r.times, 1);
}

static void an_arena_lives_in_the_callers_memory(void **state) {
  _Alignas(16) char memory[1024];
  zcrpc_error *e = NULL;
  (void)state;
  fail_malloc_at(1); /* nothing may be allocated */
  zcrpc_arena *a = zcrpc_arena_new_in(memory, sizeof memory, &e);
  zcrpc_arena_reset(a);
  zcrpc_arena_free(a);
  assert_int_equal(fail_malloc_stop(), 0);
  assert_non_null(a);
  assert_true((char *)a >= memory && (char *)a < memory + sizeof memory);
  a = zcrpc_arena_new_in(memory + 3, 256, &e); /* at any alignment */
  assert_non_null(a);
  zcrpc_arena_free(a);
  assert_null(zcrpc_arena_new_in(memory, 16, &e));
  assert_int_equal(zcrpc_error_code(e), ZCRPC_INVALID_ARGUMENT);
  zcrpc_error_free(e);
  assert_null(zcrpc_arena_new_in(NULL, 1024, NULL));
}

static void arenas_take_null(void **state) {
  (void)state;
  zcrpc_arena_reset(NULL);
  zcrpc_arena_free(NULL);
  zcrpc_arena *a = zcrpc_arena_new(NULL);
  assert_non_null(a);
  zcrpc_arena_reset(a);
  zcrpc_arena_free(a);
}

/* All that sections 1 to 3 allocate, once; returns the first code that is not OK. */
static zcrpc_code everything(void) {
  zcrpc_code code = ZCRPC_OK;
  zcrpc_error *err = NULL;
  void *data;
  zcrpc_error *e = zcrpc_error_new(ZCRPC_NOT_FOUND, "text", 4);
  zcrpc_buffer *b = zcrpc_buffer_new(100, &data, &err), *w = NULL;
  zcrpc_arena *a = NULL;
  zcrpc_options *o = NULL;
  zcrpc_method *m = NULL;
  if (zcrpc_error_code(e) != ZCRPC_NOT_FOUND) code = zcrpc_error_code(e);
  if (!code) code = zcrpc_error_add_detail(e, "a.B", "xyz", 3, &err);
  if (!code) code = zcrpc_metadata_add(zcrpc_error_metadata(e), "a", "b", 1, &err);
  if (!code && !b) code = zcrpc_error_code(err);
  if (!code && !(w = zcrpc_buffer_wrap("x", 1, NULL, NULL, &err))) code = zcrpc_error_code(err);
  if (!code && !(a = zcrpc_arena_new(&err))) code = zcrpc_error_code(err);
  if (!code && !(o = zcrpc_options_new(ZCRPC_FOR_SERVER, &err))) code = zcrpc_error_code(err);
  if (!code) code = zcrpc_options_set_int(o, ZCRPC_LIMIT_MESSAGE, 5, &err);
  if (!code) code = zcrpc_options_set_string(o, ZCRPC_COMPRESSION, "gzip", &err);
  if (!code && !(m = zcrpc_method_new("/a.B/C", 0, &err))) code = zcrpc_error_code(err);
  zcrpc_method_free(m);
  zcrpc_options_free(o);
  zcrpc_arena_free(a);
  zcrpc_buffer_release(w);
  zcrpc_buffer_release(b);
  zcrpc_error_free(e);
  zcrpc_error_free(err);
  return code;
}

static void every_failing_allocation_is_told_and_leaks_nothing(void **state) {
  long n;
  (void)state;
  for (n = 1;; n++) {
    long before = fail_malloc_live();
    fail_malloc_at(n);
    zcrpc_code code = everything();
    int failed = fail_malloc_stop();
    assert_int_equal(fail_malloc_live(), before);
    if (!failed) {
      assert_int_equal(code, ZCRPC_OK);
      break;
    }
    assert_int_equal(code, ZCRPC_RESOURCE_EXHAUSTED);
  }
  assert_true(n > 8);
}

static void the_error_of_want_of_memory_takes_nothing(void **state) {
  (void)state;
  fail_malloc_at(1);
  zcrpc_error *e = zcrpc_error_new(ZCRPC_NOT_FOUND, "text", 4);
  fail_malloc_stop();
  assert_int_equal(zcrpc_error_code(e), ZCRPC_RESOURCE_EXHAUSTED);
  assert_string_equal(zcrpc_error_message(e), "out of memory");
  assert_null(zcrpc_error_metadata(e));
  assert_int_equal(zcrpc_error_add_detail(e, "a.B", "x", 1, NULL), ZCRPC_RESOURCE_EXHAUSTED);
  zcrpc_error_free(e);
  zcrpc_error_free(e); /* it is not anybody's: freeing it does nothing */
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_buffer_is_filled_and_shared),
      cmocka_unit_test(wrapped_memory_comes_back_exactly_once),
      cmocka_unit_test(wrong_arguments_are_told),
      cmocka_unit_test(any_thread_may_drop_the_last_reference),
      cmocka_unit_test(an_arena_lives_in_the_callers_memory),
      cmocka_unit_test(arenas_take_null),
      cmocka_unit_test(every_failing_allocation_is_told_and_leaks_nothing),
      cmocka_unit_test(the_error_of_want_of_memory_takes_nothing),
  };
  return cmocka_run_group_tests_name("memory", tests, NULL, NULL);
}
