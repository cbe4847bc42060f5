// Errors that the server itself finds in what a client sent.
#pragma once

#include "base/status.h"

namespace zcrpc::server {

// A message that does not decode, as the client shall read it: place, path and reason in the text, and, when the field
// is known, a google.rpc.BadRequest detail that names it.
base::Status bad_request(base::Status s);

}  // namespace zcrpc::server
