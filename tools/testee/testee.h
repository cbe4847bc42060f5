/* zcrpc-protobuf-testee: what its files share. */
#ifndef ZCRPC_TESTEE_H
#define ZCRPC_TESTEE_H

#include <zcrpc.h>

/* How messages are read (ZCRPC_TESTEE_MODE). */
enum mode {
  MODE_EAGER,     /* run-time tables, typed getters */
  MODE_LAZY,      /* the same over views whose sub-messages are opened one by one */
  MODE_GENERATED, /* code from protoc-gen-zcrpc: its decoders, getters and writers */
  MODE_DYNAMIC    /* a schema from a file; fields by name, values with a tag */
};

/* conformance.ConformanceRequest and ConformanceResponse. Slices point into the frame. */
struct request {
  int32_t input;  /* the number of the payload's field: 1 protobuf, 2 JSON, 7 JSPB, 8 text; 0: none */
  int32_t output; /* conformance.WireFormat */
  int32_t category;
  int32_t print_unknown;
  zcrpc_slice payload, type;
};
enum { FORMAT_PROTOBUF = 1, FORMAT_JSON = 2, FORMAT_JSPB = 3, FORMAT_TEXT = 4, CATEGORY_JSON_IGNORE_UNKNOWN = 3 };
enum { /* fields of the response */
  PARSE_ERROR = 1, RUNTIME_ERROR = 2, PROTOBUF_PAYLOAD = 3, JSON_PAYLOAD = 4, SKIPPED = 5, SERIALIZE_ERROR = 6, TEXT_PAYLOAD = 8
};

/* envelope.c: read and written by hand, so that a mistake of the library cannot hide there. */
/* The next frame from stdin, as long as *len; NULL at its end. Caller frees. Exits when stdin breaks off in a frame. */
char *read_frame(size_t *len);
/* 0: the envelope is malformed. */
int read_request(const char *frame, size_t len, struct request *out);
/* A response with one field, which is string or bytes, as a frame on stdout. */
void write_response(uint32_t field, const char *data, size_t len);

/* copy.c: v, field by field through the getters, into e. a: v's arena, for sub-messages that have to be opened. */
zcrpc_code copy_message(enum mode mode, const zcrpc_view *v, zcrpc_encoder *e, zcrpc_arena *a, zcrpc_error **err);

/* Extensions and unknown fields alone, for generated code, which has no accessors for them here. */
void copy_rest(const zcrpc_view *v, zcrpc_encoder *e);

/* generated.c. A type of the test protos by its full name as generated code knows it; NULL: none. */
struct generated {
  const char *name;
  const zcrpc_view *(*decode)(const void *data, size_t len, zcrpc_arena *a, zcrpc_error **err);
  zcrpc_encoder *(*encoder)(zcrpc_error **err);
  void (*copy)(const zcrpc_view *v, zcrpc_encoder *e);
};
const struct generated *find_generated(zcrpc_slice name);
/* Its type among all types of the test protos, for JSON and text, where an Any may hold any of them. */
const zcrpc_type *generated_type(const struct generated *g, zcrpc_error **err);

#endif
