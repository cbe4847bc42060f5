/* The codings of this build, as their names stand in headers and errors. zcrpc_test_codings in CMake tells which they are. */
#ifndef ZCRPC_TESTS_CODINGS_H
#define ZCRPC_TESTS_CODINGS_H

#ifdef TEST_ZSTD
#define CODING_ZSTD(text) text
#else
#define CODING_ZSTD(text)
#endif
#ifdef TEST_BROTLI
#define CODING_BROTLI(text) text
#else
#define CODING_BROTLI(text)
#endif
#ifdef TEST_SNAPPY
#define CODING_SNAPPY(text) text
#else
#define CODING_SNAPPY(text)
#endif
/* A literal: all of them with commas between. */
#define CODINGS "gzip" CODING_ZSTD(", zstd") CODING_BROTLI(", br") CODING_SNAPPY(", snappy") ", deflate"

__attribute__((unused)) static const char *const coding_names[] = {
    "gzip",
#ifdef TEST_ZSTD
    "zstd",
#endif
#ifdef TEST_BROTLI
    "br",
#endif
#ifdef TEST_SNAPPY
    "snappy",
#endif
    "deflate",
};
enum { CODING_COUNT = sizeof coding_names / sizeof *coding_names };

#endif
