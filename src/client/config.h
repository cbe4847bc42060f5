// What a channel and its calls are set to. Plain values; capi fills them from options.
#pragma once

#include <cstddef>
#include <cstdint>

#include <zcrpc.h>

#include "client/transport.h"
#include "compress/registry.h"
#include "rpc/protocol.h"
#include "view/view.h"

namespace zcrpc::client {

struct CallConfig {
  rpc::Codec codec = rpc::Codec::kProto;
  compress::Coding coding = compress::Coding::kIdentity;  // of requests
  int compression_level = 0;               // 0: the coding's default
  size_t compress_min = 1024;              // smaller messages go as they are
  size_t message_limit = size_t(4) << 20;  // of an answer, after inflating
  size_t get_limit = 0;                    // Connect GET for methods without side effects, up to this length of path and query
  int64_t timeout_ms = -1;
  view::Limits decode;
};

struct ChannelConfig {
  compress::Registry codings;              // what answers may come in
  CallConfig call;                         // of calls that say nothing else
  size_t header_limit = 16 << 10;
  // Makes the transport, when there is need of it; nullptr: libcurl's. user goes with it.
  base::Result<Transport*> (*transport)(net::Loop* loop, void* user) = nullptr;
  void* transport_user = nullptr;
  bool streams = false;                    // it carries streams
  int32_t http = ZCRPC_HTTP1;              // as zcrpc_call_info tells
  size_t connections = 0;                  // 0: as many as calls at once
};

}  // namespace zcrpc::client
