// What zcrpc_loop is: the event loop and the hub of the calls on it.
#pragma once

#include "capi/convert.h"
#include "net/loop.h"
#include "rpc/call.h"

namespace zcrpc::capi {

struct Loop {
  net::Loop* net = nullptr;
  rpc::Hub hub;
  rpc::Event* delivered = nullptr;  // events whose addresses the caller reads until the next turn
  rpc::Event* lent = nullptr;       // BORROWED ones, until OP_RELEASE
  bool fresh = false;               // [inside] an event was queued since the last turn ended
  const base::Allocator* allocator;

  explicit Loop(const base::Allocator* a) : hub(a), allocator(a) {}
  ~Loop();
  static base::Result<Loop*> make(const net::Loop::Options& o);
  static void free(Loop* l);
};

ZCRPC_HANDLE(zcrpc_loop, Loop)
ZCRPC_HANDLE(zcrpc_call, rpc::Call)

}  // namespace zcrpc::capi
