/* The generated mode: messages through the code that protoc-gen-zcrpc makes of the test protos. */
#include <stdlib.h>
#include <string.h>

#include "google/protobuf/test_messages_edition2023.zcrpc.h"
#include "google/protobuf/test_messages_proto2.zcrpc.h"
#include "google/protobuf/test_messages_proto2_editions.zcrpc.h"
#include "google/protobuf/test_messages_proto3.zcrpc.h"
#include "google/protobuf/test_messages_proto3_editions.zcrpc.h"
#include "testee.h"
#include "testee_all.zcrpc.h"

static void *room(size_t n) {
  void *p = malloc(n);
  if (!p) abort();
  return p;
}

#include "copies.inc"

const zcrpc_type *generated_type(const struct generated *g, zcrpc_error **err) {
  return zcrpc_schema_type(zcrpc_file_schema(&zcrpc_testee_testee_all_file, err), g->name);
}

const struct generated *find_generated(zcrpc_slice name) {
  const struct generated *g;
  for (g = types; g->name; g++)
    if (strlen(g->name) == name.len && memcmp(g->name, name.data, name.len) == 0) return g;
  return NULL;
}
