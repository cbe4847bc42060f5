/* As much of cmocka's interface as the codec's unit tests use, for machines whose cmocka is not at hand (cross builds).
 * A failed assertion ends its test; the others run. */
#ifndef TESTS_BARE_CMOCKA_H
#define TESTS_BARE_CMOCKA_H

#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct CMUnitTest {
  const char *name;
  void (*test)(void **state);
};
#define cmocka_unit_test(f) {#f, f}

static jmp_buf bare_failed;

static inline void bare_check(int ok, const char *what, const char *file, int line) {
  if (ok) return;
  printf("%s:%d: %s\n", file, line, what);
  longjmp(bare_failed, 1);
}
static inline void bare_equal(uint64_t a, uint64_t b, const char *what, const char *file, int line) {
  if (a == b) return;
  printf("%s:%d: %s: %#llx != %#llx\n", file, line, what, (unsigned long long)a, (unsigned long long)b);
  longjmp(bare_failed, 1);
}
static inline void bare_text(const char *a, const char *b, int same, const char *file, int line) {
  if ((strcmp(a, b) == 0) == same) return;
  printf("%s:%d: \"%s\" %s \"%s\"\n", file, line, a, same ? "!=" : "==", b);
  longjmp(bare_failed, 1);
}

#define assert_true(c) bare_check(!!(c), #c, __FILE__, __LINE__)
#define assert_false(c) bare_check(!(c), "not " #c, __FILE__, __LINE__)
#define assert_int_equal(a, b) bare_equal((uint64_t)(a), (uint64_t)(b), #a " == " #b, __FILE__, __LINE__)
#define assert_ptr_equal(a, b) bare_check((const void *)(a) == (const void *)(b), #a " == " #b, __FILE__, __LINE__)
#define assert_null(a) bare_check((a) == NULL, #a " is NULL", __FILE__, __LINE__)
#define assert_non_null(a) bare_check((a) != NULL, #a " is not NULL", __FILE__, __LINE__)
#define assert_string_equal(a, b) bare_text(a, b, 1, __FILE__, __LINE__)
#define assert_string_not_equal(a, b) bare_text(a, b, 0, __FILE__, __LINE__)
#define assert_memory_equal(a, b, n) bare_check(memcmp(a, b, n) == 0, #a " == " #b, __FILE__, __LINE__)
#define fail_msg(...) (printf("%s:%d: ", __FILE__, __LINE__), printf(__VA_ARGS__), printf("\n"), longjmp(bare_failed, 1))

#define cmocka_run_group_tests(tests, setup, teardown) cmocka_run_group_tests_name("", tests, setup, teardown)
#define cmocka_run_group_tests_name(name, tests, setup, teardown) \
  bare_run(tests, sizeof(tests) / sizeof *(tests), setup, teardown)

static inline int bare_one(const struct CMUnitTest *t, void **state) {
  if (setjmp(bare_failed) == 0) {
    t->test(state);
    return 0;
  }
  printf("FAILED %s\n", t->name);
  return 1;
}
static inline int bare_run(const struct CMUnitTest *tests, size_t n, int (*setup)(void **), int (*teardown)(void **)) {
  void *state = NULL;
  size_t i;
  int failed = 0;
  if (setup && setup(&state)) return 1;
  for (i = 0; i < n; i++) failed += bare_one(&tests[i], &state);
  if (teardown) teardown(&state);
  printf("%d of %d passed\n", (int)n - failed, (int)n);
  return failed;
}

#endif
