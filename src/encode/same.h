// Whether a view would be written as the very bytes that it was read from.
#pragma once

#include "base/slice.h"
#include "schema/view.h"

namespace zcrpc::encode {

// True: put_fields(v) writes exactly *bytes, which lie in the input. What a producer writes in the order of the numbers, as
// nearly all do, comes out so. Reads every field of v, and compares it with the input instead of writing it: far less
// work than a copy field by field, and at the first difference it ends. false is also said of what is rare: groups in
// sparse messages, extensions, messages in several pieces.
bool comes_as_written(schema::View v, base::Slice* bytes);

}  // namespace zcrpc::encode
