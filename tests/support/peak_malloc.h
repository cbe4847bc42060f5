/* Counts what the whole process has allocated at once, by taking the place of malloc. Add tests/support/peak_malloc.c to
 * a test's SOURCES. Under a sanitizer it counts nothing, and peak_malloc_bytes gives 0. */
#ifndef TESTS_SUPPORT_PEAK_MALLOC_H
#define TESTS_SUPPORT_PEAK_MALLOC_H

#include <stddef.h>

/* From now on: the most that is allocated at once beyond what is allocated now. */
void peak_malloc_start(void);
size_t peak_malloc_bytes(void);

#endif
