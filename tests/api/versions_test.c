/* Two versions of a schema side by side: threads go over from one to the other while they decode, and what was begun on the
 * old one ends on it. Runs under ThreadSanitizer too. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <zcrpc.h>

/* a.proto: message M { int32 x = 1 } and, in version 2, string y = 2 beside it. */
static const char set1[] = "\x0A\x19\x0A\x07" "a.proto" "\x22\x0E\x0A\x01M\x12\x09\x0A\x01x\x18\x01 \x01(\x05";
static const char set2[] = "\x0A\x24\x0A\x07" "a.proto" "\x22\x19\x0A\x01M\x12\x09\x0A\x01x\x18\x01 \x01(\x05\x12\x09\x0A\x01y\x18\x02 \x01(\x09";
static const char bytes[] = "\x08\x2A\x12\x02hi";

/* How a program shares the version in use: a pointer under a lock, and a reference for whoever uses it. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static zcrpc_schema *current;

static zcrpc_schema *take(void) {
  pthread_mutex_lock(&lock);
  zcrpc_schema *s = zcrpc_schema_retain(current);
  pthread_mutex_unlock(&lock);
  return s;
}

static void replace(zcrpc_schema *s) {
  pthread_mutex_lock(&lock);
  zcrpc_schema *old = current;
  current = s;
  pthread_mutex_unlock(&lock);
  zcrpc_schema_release(old);
}

/* Decodes until it has seen version 2, and then once more the view it began with. */
static void *reader(void *user) {
  long *faults = user;
  zcrpc_schema *first = take();
  zcrpc_arena *kept = zcrpc_arena_new(NULL), *a = zcrpc_arena_new(NULL);
  const zcrpc_view *old = zcrpc_view_decode(zcrpc_schema_type(first, "M"), bytes, sizeof bytes - 1, NULL, kept, NULL);
  int newer = 0, late = zcrpc_type_field_number(zcrpc_schema_type(first, "M"), "y") == 2; /* begun on version 2 already */
  while (newer < 100) {
    zcrpc_schema *s = take();
    const zcrpc_type *t = zcrpc_schema_type(s, "M");
    const zcrpc_view *v = zcrpc_view_decode(t, bytes, sizeof bytes - 1, NULL, a, NULL);
    int has_y = zcrpc_type_field_number(t, "y") == 2;
    zcrpc_slice y;
    zcrpc_view_string(v, 2, &y);
    if (zcrpc_view_int32(v, 1) != 42 || y.len != (has_y ? 2u : 0u) || zcrpc_view_unknown(v, 0, NULL, NULL) == has_y) ++*faults;
    newer += has_y;
    zcrpc_arena_reset(a);
    zcrpc_schema_release(s);
  }
  if (zcrpc_view_type(old) != zcrpc_schema_type(first, "M") || zcrpc_view_int32(old, 1) != 42 || zcrpc_view_unknown(old, 0, NULL, NULL) == late) ++*faults;
  zcrpc_arena_free(kept);
  zcrpc_arena_free(a);
  zcrpc_schema_release(first);
  return NULL;
}

static void a_schema_is_replaced_while_threads_decode_with_it(void **state) {
  pthread_t threads[4];
  long faults[4] = {0, 0, 0, 0};
  (void)state;
  current = zcrpc_schema_new(set1, sizeof set1 - 1, NULL);
  assert_non_null(current);
  for (int i = 0; i < 4; i++) assert_int_equal(pthread_create(&threads[i], NULL, reader, &faults[i]), 0);
  zcrpc_schema *next = NULL;
  for (int i = 0; i < 20; i++) {
    next = zcrpc_schema_new(i % 2 ? set1 : set2, (i % 2 ? sizeof set1 : sizeof set2) - 1, NULL);
    assert_non_null(next);
    replace(next);
  }
  replace(zcrpc_schema_new(set2, sizeof set2 - 1, NULL));
  for (int i = 0; i < 4; i++) {
    pthread_join(threads[i], NULL);
    assert_int_equal(faults[i], 0);
  }
  replace(NULL);
}

/* A view of one version goes into a message of the other as long as its type is the same. */
static void views_pass_between_versions_of_the_same_type(void **state) {
  zcrpc_schema *one = zcrpc_schema_new(set1, sizeof set1 - 1, NULL), *again = zcrpc_schema_new(set1, sizeof set1 - 1, NULL);
  zcrpc_schema *two = zcrpc_schema_new(set2, sizeof set2 - 1, NULL);
  (void)state;
  assert_true(zcrpc_type_fingerprint(zcrpc_schema_type(one, "M")) == zcrpc_type_fingerprint(zcrpc_schema_type(again, "M")));
  assert_true(zcrpc_type_fingerprint(zcrpc_schema_type(one, "M")) != zcrpc_type_fingerprint(zcrpc_schema_type(two, "M")));
  zcrpc_buffer *diff = zcrpc_schema_diff(one, two, NULL);
  zcrpc_slice text;
  zcrpc_buffer_slice(diff, &text);
  assert_true(text.len == 2 && !memcmp(text.data, "[]", 2));
  zcrpc_buffer_release(diff);
  diff = zcrpc_schema_diff(two, one, NULL);
  zcrpc_buffer_slice(diff, &text);
  static const char want[] = "[\n  {\"path\": \"M.y\", \"breaks\": \"wire\", \"kind\": \"field_removed\", \"reason\": \"the number 2 is not reserved\"}\n]";
  assert_int_equal(text.len, sizeof want - 1);
  assert_memory_equal(text.data, want, sizeof want - 1);
  zcrpc_buffer_release(diff);
  assert_null(zcrpc_schema_diff(NULL, one, NULL));
  zcrpc_schema_release(one);
  zcrpc_schema_release(again);
  zcrpc_schema_release(two);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_schema_is_replaced_while_threads_decode_with_it),
      cmocka_unit_test(views_pass_between_versions_of_the_same_type),
  };
  return cmocka_run_group_tests_name("versions", tests, NULL, NULL);
}
