// The services in the box: grpc.health.v1 and grpc.reflection, whose schema the library brings.
#pragma once

#include "base/status.h"
#include "rpc/call.h"
#include "schema/schema.h"

namespace zcrpc::server {

class Server;

// The schema of both; the caller releases.
base::Result<schema::Schema*> services_schema();
// Adds them to a server, without a prefix: clients of gRPC know none.
base::Status add_health(Server* s, const schema::Schema* types);
base::Status add_reflection(Server* s, const schema::Schema* types);

// The next item of a list with commas, without the spaces around it. False: the end.
inline bool next_item(std::string_view* list, std::string_view* item) {
  while (!list->empty()) {
    size_t comma = list->find(',');
    *item = list->substr(0, comma);
    *list = comma == list->npos ? std::string_view() : list->substr(comma + 1);
    while (!item->empty() && item->front() == ' ') item->remove_prefix(1);
    while (!item->empty() && item->back() == ' ') item->remove_suffix(1);
    if (!item->empty()) return true;
  }
  return false;
}

// An error that its reader is meant to read.
inline base::Status told(base::Code code, std::string_view text) {
  base::Status s(code, text);
  s.error()->set_spoken(true);
  return s;
}

// What the C types of a handler are here.
inline rpc::Call* call_of(zcrpc_call* c) { return reinterpret_cast<rpc::Call*>(c); }
inline schema::View view_of(const zcrpc_view* v) { return reinterpret_cast<schema::View>(v); }

}  // namespace zcrpc::server
