/* Straight-line decoders of a generated file beside the library's tables: the same bytes, the same answer. In C and C++. */
#ifndef TESTS_SUPPORT_DECODERS_H
#define TESTS_SUPPORT_DECODERS_H

#include <stdio.h>
#include <string.h>

#include <zcrpc/codegen.h>
#include <zcrpc/decode.h>

/* A file of the program a second time, without the decoders for the better machine. */
static inline zcrpc_file baseline_of(const zcrpc_file *f, zcrpc_decoders *d) {
  zcrpc_file copy = *f;
  copy.loaded = NULL;
  if (f->decoders) {
    *d = *f->decoders;
    d->x86_64_v3 = NULL;
    copy.decoders = d;
  }
  return copy;
}

static inline const zcrpc_index *index_of(const zcrpc_view *v) {
  return (const zcrpc_index *)(const void *)((const unsigned char *)(const void *)v - ((const zcrpc_head *)(const void *)v)->self);
}

/* What is different between both answers to these bytes; NULL: nothing. b: the bytes as a buffer, or NULL. */
static inline const char *compare_decoders(zcrpc_file *f, uint32_t message, const void *data, size_t len, zcrpc_buffer *b,
                                           const zcrpc_options *o, zcrpc_arena *arena) {
  static char what[2200];
  zcrpc_error *want = NULL, *got = NULL;
  const zcrpc_type *type = zcrpc_file_type(f, message, &want);
  const zcrpc_view *tables, *straight;
  const char *wrong = NULL;
  zcrpc_arena_reset(arena);
  if (!type) return "the file does not load";
  tables = b ? zcrpc_view_decode_buffer(type, b, o, arena, &want) : zcrpc_view_decode(type, data, len, o, arena, &want);
  straight = b ? zcrpc_file_decode_buffer(f, message, b, o, arena, &got) : zcrpc_file_decode(f, message, data, len, o, arena, &got);
  if (!tables != !straight)
    wrong = tables ? "only the tables accept it" : "only the decoders accept it";
  else if (!tables && zcrpc_error_code(want) != zcrpc_error_code(got))
    wrong = "another code";
  else if (!tables && zcrpc_error_offset(want) != zcrpc_error_offset(got))
    wrong = "another offset";
  else if (!tables && (strcmp(zcrpc_error_message(want), zcrpc_error_message(got)) || strcmp(zcrpc_error_path(want), zcrpc_error_path(got))))
    wrong = "another text or path";
  else if (tables && index_of(tables)->size != index_of(straight)->size)
    wrong = "an index of another size";
  else if (tables && memcmp(index_of(tables), index_of(straight), index_of(tables)->size))
    wrong = "other bytes in the index";
  if (wrong) {
    snprintf(what, sizeof what, "%s, %zu bytes: %s; tables: %s at %lld in %s; decoders: %s at %lld in %s", zcrpc_type_name(type), len, wrong,
             want ? zcrpc_error_message(want) : "ok", (long long)zcrpc_error_offset(want), want ? zcrpc_error_path(want) : "",
             got ? zcrpc_error_message(got) : "ok", (long long)zcrpc_error_offset(got), got ? zcrpc_error_path(got) : "");
    wrong = what;
  }
  zcrpc_error_free(want);
  zcrpc_error_free(got);
  return wrong;
}

#endif
