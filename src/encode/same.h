// Whether a view would be written as the very bytes that it was read from.
#pragma once

#include <zcrpc/encode_ops.h>

#include "base/slice.h"
#include "encode/encoder.h"

namespace zcrpc::encode {

// True: put_fields(v) writes exactly *bytes, which lie in the input. What a producer writes in the order of the numbers, as
// nearly all do, comes out so. Reads every field of v, and compares it with the input instead of writing it: far less
// work than a copy field by field, and at the first difference it ends. false is also said of what is rare: sparse
// messages, extensions, messages in several pieces. same: generated code for v's type, or nullptr.
bool comes_as_written(schema::View v, base::Slice* bytes, zcrpc_same_fn* same = nullptr);

// put_fields with it.
void put_fields(Encoder* e, schema::View v, zcrpc_same_fn* same);

}  // namespace zcrpc::encode
