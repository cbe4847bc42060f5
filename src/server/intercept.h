// Who looks at calls on their way to the handler.
#pragma once

#include <zcrpc.h>

#include <cstdint>

namespace zcrpc::server {

struct Interceptor {
  zcrpc_intercept_fn fn;
  void* user;
};

// Hears of every call when it has ended.
struct Observer {
  zcrpc_observe_fn fn = nullptr;
  void* user = nullptr;
};

// Those of one route, the server's before the method's. Never changes, and lives as long as the server.
struct Interceptors {
  Interceptors* next;  // the server's list of these
  uint32_t count;
  Interceptor* items() { return reinterpret_cast<Interceptor*>(this + 1); }
  const Interceptor* items() const { return reinterpret_cast<const Interceptor*>(this + 1); }
};

}  // namespace zcrpc::server
