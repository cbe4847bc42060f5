/* The counter of allocations.c. */
#ifndef BENCH_ALLOCATIONS_H
#define BENCH_ALLOCATIONS_H

#include <stdatomic.h>

extern atomic_int allocations_counted; /* 1: count from now on */
extern atomic_ullong allocations_made;

#endif
