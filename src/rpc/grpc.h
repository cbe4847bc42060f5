// gRPC's own formats: percent-encoded messages and google.rpc.Status.
#pragma once

#include <string_view>

#include "base/arena.h"
#include "base/slice.h"
#include "base/status.h"

namespace zcrpc::rpc {

// All but 0x20 to 0x24 and 0x26 to 0x7E as %XX; s itself if nothing needs it. data() null: no memory.
std::string_view percent_encode(std::string_view s, base::Arena* arena);
// Never fails: what is not %XX stays. data() null: no memory.
std::string_view percent_decode(std::string_view s, base::Arena* arena);

// google.rpc.Status of code, message and details. data null: no memory.
base::Slice write_status(const base::Error& e, base::Arena* arena);
// The same read: an error with its details (type URLs without their prefix); null without memory, or if the bytes are
// not such a message.
base::Error* read_status(base::Slice bytes);

// What grpc-status, grpc-message and grpc-status-details-bin amount to; status "" means there was none. OK is null.
base::Error* read_grpc_error(std::string_view status, std::string_view message, std::string_view details_bin);

}  // namespace zcrpc::rpc
