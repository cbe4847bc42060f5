// Where a channel is told to lead: "http://host:port[/prefix]" or "unix:/path".
#pragma once

#include "base/status.h"
#include "base/string.h"
#include "client/transport.h"

namespace zcrpc::client {

struct Target {
  base::String text;        // keeps the bytes; the views below lie in it
  Endpoint endpoint;
  std::string_view prefix;  // before every method's path; never ends in a slash
};

// invalid_argument: not of that form. unimplemented: a form that this build does not speak, such as https.
base::Status parse_target(std::string_view text, Target* out);

}  // namespace zcrpc::client
