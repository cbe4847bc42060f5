/* The FileDescriptorSet of the test protos, made at build time. */
#include <stddef.h>

extern const unsigned char testee_set[];
extern const size_t testee_set_len;

const unsigned char testee_set[] = {
#include "set.inc"
};
const size_t testee_set_len = sizeof testee_set;
