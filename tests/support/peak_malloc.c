/* See peak_malloc.h. One thread at a time. */
#include "peak_malloc.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif

#ifdef SANITIZED
void peak_malloc_start(void) {}
size_t peak_malloc_bytes(void) { return 0; }
#else
#include <malloc.h>

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *p, size_t size);
void __libc_free(void *p);

static size_t now, most, from;

static void *count(void *p) {
  if (p) now += malloc_usable_size(p);
  if (now > most) most = now;
  return p;
}
static void uncount(void *p) {
  if (p) now -= malloc_usable_size(p);
}

void *malloc(size_t size);
void *calloc(size_t items, size_t size);
void *realloc(void *p, size_t size);
void free(void *p);

void *malloc(size_t size) { return count(__libc_malloc(size)); }
void *calloc(size_t items, size_t size) { return count(__libc_calloc(items, size)); }
void *realloc(void *p, size_t size) {
  void *q;
  uncount(p);
  q = __libc_realloc(p, size);
  if (!q && size) {
    count(p);
    return q;
  }
  return count(q);
}
void free(void *p) {
  uncount(p);
  __libc_free(p);
}

void peak_malloc_start(void) { most = from = now; }
size_t peak_malloc_bytes(void) { return most - from; }
#endif
