/* Fails the n-th allocation of the whole process, counts allocations, and tells what was not freed. Add
 * tests/support/fail_malloc.c to a test's SOURCES; it takes the place of malloc in the program and in every shared
 * library it loads, with and without sanitizers.
 *
 *   for (long n = 1;; n++) {
 *     long before = fail_malloc_live();
 *     fail_malloc_at(n);
 *     zcrpc_code code = work();
 *     int failed = fail_malloc_stop();          // 1: an allocation was made to fail
 *     ...free what work() made...
 *     assert_int_equal(fail_malloc_live(), before);
 *     if (!failed) break;                       // work() needs fewer than n allocations: all were tried
 *     assert_int_equal(code, ZCRPC_RESOURCE_EXHAUSTED);
 *   }
 */
#ifndef TESTS_SUPPORT_FAIL_MALLOC_H
#define TESTS_SUPPORT_FAIL_MALLOC_H

#ifdef __cplusplus
extern "C" {
#endif

/* From now on the n-th malloc, calloc or growing realloc of any thread returns NULL, once; 0: none, count only. */
void fail_malloc_at(long n);
/* Like it, and every later one fails too, as on a machine that has run out. */
void fail_malloc_from(long n);
/* Allocations that the shared library whose file name holds this text makes itself neither count nor fail. For
 * libraries that are known to crash without memory; once, for one library. */
void fail_malloc_spare(const char *library);
/* Ends it; 1 if an allocation was made to fail. */
int fail_malloc_stop(void);
/* Allocations since fail_malloc_at or fail_malloc_from. */
long fail_malloc_count(void);
/* Blocks that are allocated and not freed, since the program started. Always 0 under a sanitizer, which finds leaks
 * itself and hands out some blocks (strdup's) without asking this malloc. */
long fail_malloc_live(void);

#ifdef __cplusplus
}
#endif
#endif
