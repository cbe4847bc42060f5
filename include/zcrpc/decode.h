/* zcrpc/decode.h - between the library and the straight-line decoders in X.zcrpc.c; nothing else includes it.
 *
 * A decoder walks the fields of one message in the order of their numbers and writes slots by the layout it was generated
 * for. Whatever is not as expected (another order, an unknown field, a merge, want of room, the input's last bytes, a
 * fault) it does not judge: it stops at that field's tag, and the library's own code goes on from there, with every check
 * and every rule, and calls the decoder again behind it. So indexes, errors, budget and limits are those of the tables.
 *
 * All that both sides see is below, numbered by ZCRPC_DECODE. A library that no longer speaks a file's number decodes it
 * by tables; so does one that finds no decoders. */
#ifndef ZCRPC_DECODE_H
#define ZCRPC_DECODE_H

#include "../zcrpc/layout.h"

#define ZCRPC_DECODE 2

#ifdef __cplusplus
extern "C" {
#endif

/* One decode. While a decoder runs, only `top` changes, and only it changes it: nothing moves. */
typedef struct zcrpc_decode {
  const uint8_t *base;  /* of the input: p - base is an offset in it. 32 bytes behind every `end` may be read */
  uint8_t *index;       /* the zcrpc_index */
  uint8_t *top;         /* where the next message or array goes; 8-aligned. What lies above it may be scribbled on (soil) */
  uint8_t *limit;       /* there is room up to here */
  const uint8_t *fence; /* not NULL: the message that was open when the library called goes on behind its `end`, which is
                           this, in bytes that must be read with care */
  uint32_t levels;      /* that may be opened below that message */
} zcrpc_decode;

struct zcrpc_decode_type;
/* Decodes the fields at [p, end) into m, a message of type t that may have some already. Returns end; or what stop() or
 * unwind() returned. depth: how many levels may be opened below it. */
typedef const uint8_t *zcrpc_decode_fn(zcrpc_decode *d, const uint8_t *p, const uint8_t *end, uint8_t *m,
                                       const struct zcrpc_decode_type *t, uint32_t depth);

/* The library's side. Each that returns a pointer returns NULL when the decoder must at once return that, too. */
typedef struct zcrpc_decode_calls {
  /* In m, the field at p is none of the decoder's business; or p is not end, where it should be. NULL. */
  const uint8_t *(*stop)(zcrpc_decode *d, const uint8_t *p, const uint8_t *end, uint8_t *m, const struct zcrpc_decode_type *t);
  /* The decoder of m's field `field` (its place among the type's, by number) has returned NULL; `left` elements of the
   * same run are still to come. NULL. */
  const uint8_t *(*unwind)(zcrpc_decode *d, const uint8_t *end, uint8_t *m, const struct zcrpc_decode_type *t, uint32_t depth,
                           uint32_t field, uint32_t left);
  /* Further elements of the run in `field` of the message that was open, from p on, near `fence` or behind it. */
  uint32_t (*count)(zcrpc_decode *d, const uint8_t *p, const struct zcrpc_decode_type *t, uint32_t field);
  /* The map in m's field has come in one run up to p, and not with ascending keys. p, or NULL. */
  const uint8_t *(*settle)(zcrpc_decode *d, const uint8_t *p, const uint8_t *end, uint8_t *m, const struct zcrpc_decode_type *t, uint32_t field);
  /* Bytes above top, up to `end`, have been written and are not part of the index. */
  void (*soil)(zcrpc_decode *d, uint8_t *end);
  /* Whether [p, p + n) is UTF-8. */
  int32_t (*utf8)(const uint8_t *p, uint32_t n);
  /* A packed run in m's field, whose length is at p: one that is long, or reaches over the fence. Where the next field is,
   * perhaps behind `end`; or NULL, and nothing has changed. */
  const uint8_t *(*packed)(zcrpc_decode *d, const uint8_t *p, const uint8_t *end, uint8_t *m, const struct zcrpc_decode_type *t, uint32_t field);
} zcrpc_decode_calls;

/* A message type as it is in the schema of the file that is loaded. */
typedef struct zcrpc_decode_type {
  const zcrpc_decode_calls *calls;
  zcrpc_decode_fn *parse;                       /* NULL: none for this machine; do not open it */
  const struct zcrpc_decode_type *const *subs;  /* of each field, by its place; NULL: no message */
  const void *own;                              /* the library's */
  uint32_t type_no;
  uint32_t reserved;
} zcrpc_decode_type;

/* What zcrpc_file.decoders points to: for each of message_names a function, or NULL. */
typedef struct zcrpc_decoders {
  uint32_t struct_size;
  uint32_t decode;                    /* ZCRPC_DECODE of the generator */
  zcrpc_decode_fn *const *baseline;   /* for any machine that the program runs on */
  zcrpc_decode_fn *const *x86_64_v3;  /* AVX2 and BMI2 and what comes with them; or NULL */
} zcrpc_decoders;

#ifdef __cplusplus
}
#endif

/* ---- Which decoders a file is compiled with: it includes itself for each, with ZCRPC_DECODE_PASS set ---------------
 * None without optimisation, where the library's tables are far ahead of them, nor by other compilers than gcc and clang;
 * ZCRPC_DECODE_NONE leaves them out where size matters more. */

#if defined(ZCRPC_DECODE_NONE) || !defined(__GNUC__) || !defined(__OPTIMIZE__)
#define ZCRPC_DECODE_BASELINE 0
#else
#define ZCRPC_DECODE_BASELINE 1
#endif
#if ZCRPC_DECODE_BASELINE && defined(__x86_64__) && !(defined(__AVX2__) && defined(__BMI2__) && defined(__BMI__))
#define ZCRPC_DECODE_V3 1
#else
#define ZCRPC_DECODE_V3 0
#endif

#endif
