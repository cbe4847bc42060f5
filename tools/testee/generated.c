#include "testee.h"

const struct generated *find_generated(zcrpc_slice name) {
  (void)name;
  return NULL;
}
