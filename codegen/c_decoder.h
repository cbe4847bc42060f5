// Straight-line decoders in X.zcrpc.c: what zcrpc/decode.h tells of, for each message of a file.
#pragma once

#include <string>

#include "model.h"

namespace zcrpc::codegen {

// The part of X.zcrpc.c that it includes from itself, once for each instruction set; "" if no message has a decoder.
std::string c_decoders(const Model& model, const FileDecl& f);
// What stands before the file's constant: inclusions of that part, and the tables of it, named $ident$_decoders.
std::string c_decoder_tables(const Model& model, const FileDecl& f);

}  // namespace zcrpc::codegen
