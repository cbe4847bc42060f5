// What servers need of zcrpc_tls, with and without TLS in the build.
#pragma once

#include <zcrpc.h>

#include "base/status.h"
#include "net/stream.h"

namespace zcrpc::capi {

#ifdef ZCRPC_WITH_TLS
// Borrowed; null without tls. invalid_argument: it has no certificate to serve with.
base::Status streams_of(zcrpc_tls* tls, net::Streams** out);
#else
inline base::Status streams_of(zcrpc_tls* tls, net::Streams** out) {
  *out = nullptr;
  return tls ? base::Status(base::Code::kUnimplemented, "this build has no TLS") : base::Status();
}
#endif

}  // namespace zcrpc::capi
