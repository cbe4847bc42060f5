/* The schema of a generated file is built once, whoever comes first, and a load that fails leaves nothing. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "kinds/v1/kinds.zcrpc.h"
#include "support/fail_malloc.h"

enum { kThreads = 8 };
static pthread_barrier_t start;

static void *load(void *out) {
  pthread_barrier_wait(&start);
  *(const zcrpc_schema **)out = zcrpc_file_schema(&kinds_v1_kinds_file, NULL);
  return NULL;
}

static void threads_that_load_at_once_share_one_schema(void **state) {
  int round, i;
  (void)state;
  for (round = 0; round < 20; round++) {
    pthread_t threads[kThreads];
    const zcrpc_schema *got[kThreads];
    pthread_barrier_init(&start, NULL, kThreads);
    for (i = 0; i < kThreads; i++) assert_int_equal(pthread_create(&threads[i], NULL, load, &got[i]), 0);
    for (i = 0; i < kThreads; i++) pthread_join(threads[i], NULL);
    pthread_barrier_destroy(&start);
    assert_non_null(got[0]);
    for (i = 1; i < kThreads; i++) assert_ptr_equal(got[i], got[0]);
    zcrpc_file_unload(&kinds_v1_kinds_file);
  }
}

static void a_load_that_fails_leaves_nothing(void **state) {
  long n;
  (void)state;
  for (n = 1;; n++) {
    long before = fail_malloc_live();
    zcrpc_error *err = NULL;
    const zcrpc_schema *s;
    int failed;
    fail_malloc_at(n);
    s = zcrpc_file_schema(&kinds_v1_kinds_file, &err);
    failed = fail_malloc_stop();
    if (!s) {
      assert_int_equal(zcrpc_error_code(err), ZCRPC_RESOURCE_EXHAUSTED);
      assert_null(kinds_v1_kinds_file.loaded);
    }
    zcrpc_error_free(err);
    zcrpc_file_unload(&kinds_v1_kinds_file);
    assert_int_equal(fail_malloc_live(), before);
    if (!failed) break;
  }
  assert_true(n > 5);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(threads_that_load_at_once_share_one_schema),
      cmocka_unit_test(a_load_that_fails_leaves_nothing),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
