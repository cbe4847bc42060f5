/* See memory.h. The server's blocks stand in a table by their address, so that it does not matter who frees them. */
#include "sim/memory.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifdef SANITIZED
#ifdef __clang__ /* malloc is called before the sanitizers are up */
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

/* Open addressing, and places that were given up are closed by moving the next ones up. */
enum { kPlaces = 1 << 16 };
static struct block {
  uintptr_t at; /* 0: free */
  size_t size;
} blocks[kPlaces];
static size_t block_count, bytes, peak;
static unsigned long count;
static int serving, spared;
static int (*must_fail)(void *user, size_t size);
static void *must_fail_user;

static size_t place_of(uintptr_t p) { return (size_t)((p >> 4) * UINT64_C(0x9e3779b97f4a7c15) >> 48); }

static size_t find(uintptr_t p) {
  size_t i = place_of(p);
  while (blocks[i].at && blocks[i].at != p) i = (i + 1) % kPlaces;
  return i;
}

static void *keep(void *p, size_t size) {
  size_t i;
  if (!p || block_count > kPlaces / 2) return p;
  i = find((uintptr_t)p);
  blocks[i].at = (uintptr_t)p;
  blocks[i].size = size;
  block_count++;
  bytes += size;
  if (bytes > peak) peak = bytes;
  return p;
}

/* Its size; SIZE_MAX: not the server's. */
static size_t forget(void *p) {
  size_t i, j, size;
  if (!block_count || !p) return SIZE_MAX;
  i = find((uintptr_t)p);
  if (!blocks[i].at) return SIZE_MAX;
  size = blocks[i].size;
  block_count--;
  bytes -= size;
  for (j = (i + 1) % kPlaces; blocks[j].at; j = (j + 1) % kPlaces) {
    size_t home = place_of(blocks[j].at);
    if ((j - home) % kPlaces < (j - i) % kPlaces) continue; /* it would be looked for behind i */
    blocks[i] = blocks[j];
    i = j;
  }
  blocks[i].at = 0;
  return size;
}

static int fails(size_t size) {
  int yes;
  if (!serving) return 0;
  count++;
  if (!must_fail || spared) return 0;
  serving = 0;
  yes = must_fail(must_fail_user, size);
  serving = 1;
  if (yes) errno = ENOMEM;
  return yes;
}

void *malloc(size_t size) {
  if (fails(size)) return NULL;
  return serving ? keep(BELOW(malloc)(size), size) : BELOW(malloc)(size);
}

void *calloc(size_t items, size_t size) {
  void *p;
  if (fails(items * size)) return NULL;
  p = BELOW(calloc)(items, size);
  return serving ? keep(p, items * size) : p;
}

void *realloc(void *p, size_t size) {
  size_t was;
  void *q;
  if (!p) return malloc(size);
  if (fails(size)) return NULL;
  was = forget(p);
  q = BELOW(realloc)(p, size);
  if (was == SIZE_MAX) return q;
  if (q) keep(q, size);
  else if (size) keep(p, was);
  return q;
}

void free(void *p) {
  forget(p);
  BELOW(free)(p);
}

int sim_memory_side(int server) {
  int was = serving;
  serving = server;
  return was;
}

int sim_memory_spare(int yes) {
  int was = spared;
  spared = yes;
  return was;
}

void sim_memory_start(int (*f)(void *user, size_t size), void *user) {
  if (block_count) memset(blocks, 0, sizeof blocks);
  block_count = bytes = peak = 0;
  count = 0;
  must_fail = f;
  must_fail_user = user;
}

size_t sim_memory_blocks(void) { return block_count; }
size_t sim_memory_bytes(void) { return bytes; }
size_t sim_memory_peak(void) { return peak; }
unsigned long sim_memory_count(void) { return count; }
size_t sim_memory_left(void) {
  size_t i = 0;
  while (i < kPlaces && !blocks[i].at) i++;
  return i < kPlaces ? blocks[i].size : 0;
}
#if defined(SANITIZED) && defined(__clang__)
#pragma clang attribute pop
#endif
