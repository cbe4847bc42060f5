/* See fail_malloc.h. glibc's own functions lie under __libc_ names; a sanitizer's, which keep track of redzones and
 * leaks, under __interceptor_ names, and its malloc is weak so that this one wins. */
#include "fail_malloc.h"

#include <errno.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifdef SANITIZED
/* malloc is called before ThreadSanitizer is up, and instrumented atomics then crash. */
#ifdef __clang__
#pragma clang attribute push(__attribute__((disable_sanitizer_instrumentation)), apply_to = function)
#endif
#define BELOW(name) __interceptor_##name
#else
#define BELOW(name) __libc_##name
#endif

void *BELOW(malloc)(size_t size);
void *BELOW(calloc)(size_t count, size_t size);
void *BELOW(realloc)(void *p, size_t size);
void BELOW(free)(void *p);

void *malloc(size_t size);
void *calloc(size_t count, size_t size);
void *realloc(void *p, size_t size);
void free(void *p);

static atomic_long fail_first; /* 0: none */
static atomic_int fail_rest;
static atomic_int failed;
static atomic_long counted;
static atomic_long live;

/* Where a library lies whose allocations neither count nor fail: fail_malloc_spare. */
static uintptr_t spared_from, spared_to;

static int must_fail(void *caller) {
  if ((uintptr_t)caller >= spared_from && (uintptr_t)caller < spared_to) return 0;
  long n = atomic_fetch_add(&counted, 1) + 1;
  long first = atomic_load(&fail_first);
  if (first == 0 || n < first || (n > first && !atomic_load(&fail_rest))) return 0;
  atomic_store(&failed, 1);
  errno = ENOMEM;
  return 1;
}

static void *made(void *p) {
  if (p) atomic_fetch_add(&live, 1);
  return p;
}

void *malloc(size_t size) { return must_fail(__builtin_return_address(0)) ? NULL : made(BELOW(malloc)(size)); }

void *calloc(size_t count, size_t size) { return must_fail(__builtin_return_address(0)) ? NULL : made(BELOW(calloc)(count, size)); }

void *realloc(void *p, size_t size) {
  if (must_fail(__builtin_return_address(0))) return NULL;
  if (!p) return made(BELOW(malloc)(size));
  return BELOW(realloc)(p, size);
}

#ifndef SANITIZED
/* glibc's own would call malloc in the name of libc. */
char *strdup(const char *s) {
  size_t n = strlen(s) + 1;
  char *p = must_fail(__builtin_return_address(0)) ? NULL : made(BELOW(malloc)(n));
  return p ? memcpy(p, s, n) : NULL;
}
#endif

void free(void *p) {
  if (p) atomic_fetch_sub(&live, 1);
  BELOW(free)(p);
}

void fail_malloc_spare(const char *library) {
  char line[512];
  FILE *maps = fopen("/proc/self/maps", "r");
  while (maps && fgets(line, sizeof line, maps)) {
    unsigned long from, to;
    if (!strstr(line, library) || sscanf(line, "%lx-%lx", &from, &to) != 2) continue;
    if (!spared_from) spared_from = from;
    spared_to = to;
  }
  if (maps) fclose(maps);
}

static void arm(long n, int rest) {
  atomic_store(&counted, 0);
  atomic_store(&failed, 0);
  atomic_store(&fail_rest, rest);
  atomic_store(&fail_first, n);
}

void fail_malloc_at(long n) { arm(n, 0); }
void fail_malloc_from(long n) { arm(n, 1); }
int fail_malloc_stop(void) {
  atomic_store(&fail_first, 0);
  return atomic_load(&failed);
}
long fail_malloc_count(void) { return atomic_load(&counted); }
#ifdef SANITIZED
long fail_malloc_live(void) { return 0; }
#else
long fail_malloc_live(void) { return atomic_load(&live); }
#endif
#if defined(SANITIZED) && defined(__clang__)
#pragma clang attribute pop
#endif
