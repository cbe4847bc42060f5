// From a message to the HTTP request of Connect's unary protocol: codec, compression, and whether it goes as a GET.
#pragma once

#include <string_view>

#include "base/buffer.h"
#include "base/metadata.h"
#include "base/status.h"
#include "base/string.h"
#include "client/config.h"
#include "compress/compress.h"
#include "schema/schema.h"

namespace zcrpc::client {

struct Request {
  explicit Request(const base::Allocator* a) : target(a), headers(a) {}
  base::String target;      // path and query
  base::Metadata headers;   // as on the wire
  base::BufferRef body;     // of a POST
  bool get = false;
  bool repeatable = false;  // sending it twice does no harm
};

// The message in the call's codec: wire bytes as they are, or as JSON.
base::Result<base::Buffer*> coded_message(const schema::Method* m, const CallConfig& config, base::Buffer* wire);

// The message compressed as config says, or null: it is not to be, or would not become smaller.
base::Result<base::Buffer*> compressed_message(base::Buffer* message, const CallConfig& config, compress::Pool* pool, const compress::Registry& codings);

// message: in the codec. prefix: of the channel's target, before the method's path. timeout_ns: rpc::kNoTimeout is none.
base::Status make_request(const schema::Method* m, const CallConfig& config, std::string_view prefix, base::Buffer* message,
                          const base::Metadata& metadata, int64_t timeout_ns, compress::Pool* pool, const compress::Registry& codings, Request* out);

}  // namespace zcrpc::client
