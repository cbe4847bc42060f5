// Straight-line comparers: does a message come as it would be written? (zcrpc/encode_ops.h)
#pragma once

#include <string>

#include "model.h"

namespace zcrpc::codegen {

bool has_comparer(const schema::Message* m);
// Those of a file, which ZCRPC_SAME_OF(message) then names; "" if no message can have one.
std::string c_comparers(const Model& model, const FileDecl& f);

}  // namespace zcrpc::codegen
