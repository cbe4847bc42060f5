/* Hostile inputs of any size, and the bounds that hold for all of them: a typed error, or memory within 1 MiB and 32
 * times the input; and time that grows as the input does. */
#ifndef TESTS_API_HOSTILE_H
#define TESTS_API_HOSTILE_H

#ifndef _DEFAULT_SOURCE
#define _DEFAULT_SOURCE
#endif
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <malloc.h>

#include <cmocka.h>
#include <zcrpc.h>

#include "support/peak_malloc.h"

#define MIB ((size_t)1 << 20)

/* Under a sanitizer, which takes twenty times as long and counts memory of its own: less of each, once, and no clock. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifdef SANITIZED
enum { RUNS = 1, TIMED = 0, PART = 8 };
#else
enum { RUNS = 3, TIMED = 1, PART = 1 }; /* runs: where the first seems slow */
#endif

typedef struct bytes { char *data; size_t len, cap; } bytes;

static void put(bytes *b, const void *data, size_t len) {
  if (b->len + len > b->cap) {
    b->cap = (b->len + len) * 2;
    b->data = (char *)realloc(b->data, b->cap);
    assert_non_null(b->data);
  }
  if (len) memcpy(b->data + b->len, data, len); /* data may be NULL then */
  b->len += len;
}
/* The same few bytes again and again, up to `size` in all. */
static void fill(bytes *b, size_t size, const void *unit, size_t len) {
  while (b->len + len <= size) put(b, unit, len);
}
typedef struct hostile {
  const char *name;
  void (*make)(bytes *b, size_t size);
} hostile;

typedef struct outcome {
  zcrpc_code code;
  size_t peak;    /* allocated at once */
  size_t kept;    /* of what came out: index, or bytes */
  double seconds; /* of CPU */
} outcome;

static double cpu_seconds(void) {
  struct timespec t;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* What an arena, its blocks and malloc itself need beside it is not much. */
static inline size_t allowed(size_t input) { return MIB + 32 * input; }
#define BESIDE ((size_t)16384)

/* Only these may come of malformed or oversized input, and with a place in it where it is malformed. */
static inline int typed(zcrpc_code code) { return code == ZCRPC_OK || code == ZCRPC_INVALID_ARGUMENT || code == ZCRPC_RESOURCE_EXHAUSTED; }

/* Runs work on a quarter of a mebibyte and on a whole one: both bounded, and the second at most some four times as long.
 * The factor leaves room for caches and for a busy machine; quadratic work takes sixteen times as long. */
typedef outcome (*worker)(const char *data, size_t len, const void *how);
static inline outcome best_of(worker work, const bytes *b, const void *how, int runs) {
  outcome best = work(b->data, b->len, how), o;
  while (--runs > 0) {
    o = work(b->data, b->len, how);
    if (o.seconds < best.seconds) best.seconds = o.seconds;
  }
  return best;
}
static inline int bounded(const char *what, const hostile *h, worker work, const void *how) {
  bytes small = {NULL, 0, 0}, large = {NULL, 0, 0};
  outcome a, b;
  int tries, wrong = 0;
  h->make(&small, MIB / 4 / PART);
  h->make(&large, MIB / PART);
  a = work(small.data, small.len, how);
  b = work(large.data, large.len, how);
  for (tries = 0; TIMED && tries < 3 && b.seconds > 0.004 && b.seconds > 9 * a.seconds; tries++) {
    outcome again = best_of(work, &large, how, RUNS);
    if (again.seconds < b.seconds) b.seconds = again.seconds;
  }
  if (!typed(a.code) || !typed(b.code)) {
    print_error("%s, %s: %s, %s\n", what, h->name, zcrpc_code_name(a.code), zcrpc_code_name(b.code));
    wrong = 1;
  }
  if (getenv("HOSTILE_PRINT"))
    printf("%-8s %-52s %-18s %6.2f bytes a byte, %8.3f ms, %5.1f times the quarter's\n", what, h->name, zcrpc_code_name(b.code),
           (double)(b.kept > b.peak ? b.kept : b.peak) / (double)large.len, b.seconds * 1e3, a.seconds > 0 ? b.seconds / a.seconds : 0);
  if (b.peak > allowed(large.len) + BESIDE || b.kept > allowed(large.len)) {
    print_error("%s, %s: %zu bytes of input took %zu, and kept %zu\n", what, h->name, large.len, b.peak, b.kept);
    wrong = 1;
  }
  if (TIMED && b.seconds > 0.004 && b.seconds > 9 * a.seconds) {
    /* From one size on memory comes in fresh pages, which takes longer once. Quadratic work takes longer at the next step too. */
    bytes next = {NULL, 0, 0};
    outcome c;
    h->make(&next, 4 * MIB / PART);
    c = best_of(work, &next, how, RUNS);
    free(next.data);
    if (c.seconds > 9 * b.seconds) {
      print_error("%s, %s: %g s for a quarter, %g s for the whole, %g s for four\n", what, h->name, a.seconds, b.seconds, c.seconds);
      wrong = 1;
    }
  }
  free(small.data);
  free(large.data);
  return wrong;
}
/* All of them, so that one that fails does not hide the others. */
static inline void all_bounded(const char *what, const hostile *list, size_t count, worker work, const void *how) {
  size_t i;
  int wrong = 0;
  for (i = 0; i < count; i++) wrong += bounded(what, &list[i], work, how);
  assert_int_equal(wrong, 0);
}

static zcrpc_schema *hostile_schema(void) {
  bytes set = {NULL, 0, 0};
  char block[4096];
  size_t n;
  zcrpc_schema *s;
  zcrpc_error *err = NULL;
  FILE *f = fopen(HOSTILE_SET, "rb");
  /* Memory that was freed stays with the process: what is timed is our work, not the kernel's pages. */
  mallopt(M_MMAP_MAX, 0);
  mallopt(M_TRIM_THRESHOLD, 1 << 30);
  assert_non_null(f);
  while ((n = fread(block, 1, sizeof block, f)) > 0) put(&set, block, n);
  fclose(f);
  s = zcrpc_schema_new(set.data, set.len, &err);
  if (!s) print_error("%s\n", zcrpc_error_message(err));
  assert_non_null(s);
  free(set.data);
  return s;
}

/* What the tests work on: hostile.proto, and the type H in it. */
static zcrpc_schema *schema;
static const zcrpc_type *type;

static int set_up(void **state) {
  (void)state;
  schema = hostile_schema();
  type = zcrpc_schema_type(schema, "hostile.H");
  return type ? 0 : -1;
}
static int tear_down(void **state) {
  (void)state;
  zcrpc_schema_release(schema);
  return 0;
}

#endif
