// What options say of a channel, for those that make one.
#pragma once

#include "client/channel.h"

#include "capi/convert.h"

namespace zcrpc::capi {

ZCRPC_HANDLE(zcrpc_channel, client::Channel)  // before guard.h, whose template looks them up

base::Status read_channel(const zcrpc_options* o, client::ChannelConfig* c);

}  // namespace zcrpc::capi
