// The check of required fields, which decoding leaves out: a message without them is read like any other.
#pragma once

#include "base/status.h"
#include "schema/view.h"

namespace zcrpc::schema {

// Whether every required field of v, and of all messages in it (extensions, maps, elements), is set. invalid_argument:
// one is missing, and the path names it ("records[3].source", "labels["a"].name", "[pkg.extension].id").
// failed_precondition: a lazy sub-message that has to be looked into was not opened; the path names it.
base::Status check_required(View v);

}  // namespace zcrpc::schema
