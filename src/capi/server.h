// What zcrpc_server is.
#pragma once

#include "server/server.h"

#include "capi/convert.h"

namespace zcrpc::capi {
ZCRPC_HANDLE(zcrpc_server, server::Server)
}
