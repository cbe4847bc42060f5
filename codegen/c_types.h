// How kinds of fields look in C.
#pragma once

#include <string>

#include "model.h"

namespace zcrpc::codegen {

std::string upper(std::string s);
// "echo/v1/echo.proto", "/pkg.Service/Method": without anything that could end a comment or a string.
std::string clean_path(std::string_view s);
std::string c_int32(int64_t v);                                   // as a literal
std::string c_type(const Model& model, const schema::Field* f);   // of a value: "int32_t", "zcrpc_slice"
std::string getter(schema::Kind k);                               // the end of zcrpc_gen_...
std::string element_getter(schema::Kind k);                       // the middle of zcrpc_gen_..._at
std::string putter(schema::Kind k);                               // the end of zcrpc_gen_put_...
// An expression for the field's slot in the message `m`, NULL where the default is not zero and the field is absent.
std::string slot_of(const schema::Field* f);
// What the getter gives for an absent field, as its last argument or arguments.
std::string default_of(const schema::Field* f);
bool is_stream(const MethodDecl& d);

}  // namespace zcrpc::codegen
