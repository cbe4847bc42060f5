// Straight-line decoders of generated code (zcrpc/decode.h) beside the tables: what they do not do, the tables do.
#pragma once

#include <span>

#include <zcrpc/decode.h>

#include "view/view.h"

namespace zcrpc::view {

struct Context;

// The decoders of messages[i] are decoders->...[i], for the messages of one generated file.
struct Decoders {
  std::span<const schema::Message* const> messages;
  const zcrpc_decoders* decoders;
};
// Whether this library can call them.
bool speaks(const zcrpc_decoders* d);
// Gives the tables of a bound schema the decoders of its files. Once, before the schema is shared.
base::Status bind_decoders(schema::Schema* s, std::span<const Decoders> files);

// As Dispatcher::run, with the decoders where there are any.
bool run_decoders(Context* c);

}  // namespace zcrpc::view
