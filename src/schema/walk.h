// A walk over the fields of a message that are set, by their numbers.
#pragma once

#include "schema/view.h"

namespace zcrpc::schema {

// The set field (has()), or set extension, with the lowest number above `after`; nullptr: none.
const Field* next_set(View v, uint32_t after);

}  // namespace zcrpc::schema
