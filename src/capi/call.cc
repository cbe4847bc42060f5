// Section 8: calls, the same object on both sides. What a side does lies behind rpc::Verbs.
#include "capi/loop.h"

#include "capi/guard.h"

using namespace zcrpc;
using namespace zcrpc::capi;
using base::Code;
using base::Status;

namespace {

// A child after fork may release a call that it inherited, and do nothing else with it.
bool usable(const rpc::Call* c) { return c && !c->verbs->forked(c); }

}  // namespace

zcrpc_call* zcrpc_call_retain(zcrpc_call* c) {
  if (c) from_c(c)->retain();
  return c;
}

void zcrpc_call_release(zcrpc_call* c) {
  const base::ReleaseSite site("zcrpc_call_release", __builtin_return_address(0));
  if (c) from_c(c)->release();
}

uint64_t zcrpc_call_id(const zcrpc_call* c) { return c ? from_c(c)->id : 0; }

void zcrpc_call_set_user(zcrpc_call* c, void* user) {
  if (c) from_c(c)->user = user;
}

void* zcrpc_call_user(const zcrpc_call* c) { return c ? from_c(c)->user : nullptr; }

zcrpc_encoder* zcrpc_call_encoder(zcrpc_call* c) { return usable(from_c(c)) ? to_c(from_c(c)->encoder) : nullptr; }

// zcrpc_call_unary, _start and _set_timeout, which only a client has, are in channel.cc.

zcrpc_code zcrpc_call_send(zcrpc_call* call, zcrpc_error** err) {
  return guard(err, [&]() -> Status {
    rpc::Call* c = from_c(call);
    if (!c) return wrong("no call");
    if (c->verbs->forked(c) || !c->verbs->send) return Status(Code::kFailedPrecondition, "not a call that sends messages here");
    return c->verbs->send(c);
  });
}

zcrpc_code zcrpc_call_send_headers(zcrpc_call* call, zcrpc_error** err) {
  return guard(err, [&]() -> Status {
    rpc::Call* c = from_c(call);
    if (!c) return wrong("no call");
    if (c->verbs->forked(c) || !c->verbs->send_headers) return Status(Code::kFailedPrecondition, "not a call that sends headers here");
    return c->verbs->send_headers(c);
  });
}

size_t zcrpc_call_room(zcrpc_call* call) {
  rpc::Call* c = from_c(call);
  return usable(c) && c->verbs->room ? c->verbs->room(c) : 0;
}

void zcrpc_call_read(zcrpc_call* call, int32_t credits) {
  rpc::Call* c = from_c(call);
  if (usable(c) && c->verbs->read) c->verbs->read(c, credits);
}

void zcrpc_call_cancel(zcrpc_call* call) {
  rpc::Call* c = from_c(call);
  if (usable(c) && c->verbs->cancel) c->verbs->cancel(c);
}

void zcrpc_call_finish(zcrpc_call* call, zcrpc_error* status) {
  rpc::Call* c = from_c(call);
  if (usable(c) && c->verbs->finish) {
    c->verbs->finish(c, Status(from_c(status)));
  } else {
    zcrpc_error_free(status);
  }
}

zcrpc_code zcrpc_call_fail(zcrpc_call* call, zcrpc_code code, const char* text, size_t len) {
  // What is not an error cannot be failed with; the peer hears of an internal one.
  if (code < ZCRPC_CANCELED || code > ZCRPC_UNAUTHENTICATED) code = ZCRPC_INTERNAL;
  zcrpc_call_finish(call, to_c(Status(Code(code), given(text, len).text()).take()));
  return code;
}

zcrpc_metadata* zcrpc_call_metadata(zcrpc_call* call, int32_t which) {
  rpc::Call* c = from_c(call);
  return usable(c) && c->verbs->metadata ? to_c(c->verbs->metadata(c, which)) : nullptr;
}

const zcrpc_error* zcrpc_call_error(const zcrpc_call* call) {
  const rpc::Call* c = from_c(call);
  return c && c->has(rpc::kDone) ? to_c(static_cast<const base::Error*>(c->error)) : nullptr;
}

int64_t zcrpc_call_time_left(const zcrpc_call* call) {
  const rpc::Call* c = from_c(call);
  return usable(c) && c->verbs->time_left_ms ? c->verbs->time_left_ms(c) : -1;
}

int32_t zcrpc_call_is_done(const zcrpc_call* c) { return c && from_c(c)->has(rpc::kDone); }

void zcrpc_call_get_info(const zcrpc_call* call, zcrpc_call_info* out) {
  if (!out || out->struct_size < offsetof(zcrpc_call_info, http_method)) return;
  zcrpc_call_info info{};
  info.peer = info.peer_certificate = info.http_method = info.path = info.peer_chain = slice_of(base::Slice());
  const rpc::Call* c = from_c(call);
  if (usable(c) && c->verbs->info) c->verbs->info(c, &info);
  fill(out, info);
}

zcrpc_code zcrpc_call_set_value(zcrpc_call* call, const void* key, void* value, void (*drop)(void*), zcrpc_error** err) {
  return guard(err, [&]() -> Status {
    rpc::Call* c = from_c(call);
    if (!c || !key) return wrong("zcrpc_call_set_value: no call, or no key");
    if (!usable(c) || !c->has(rpc::kServerSide)) return Status(Code::kFailedPrecondition, "not a call that a server of this process was asked");
    for (rpc::Call::Value& v : c->values) {
      if (v.key != key) continue;
      if (v.drop) v.drop(v.value);
      v = {key, value, drop};
      return {};
    }
    return c->values.push({key, value, drop}) ? Status() : Status::no_memory();
  });
}

void* zcrpc_call_value(const zcrpc_call* call, const void* key) {
  const rpc::Call* c = from_c(call);
  if (c)
    for (const rpc::Call::Value& v : c->values)
      if (v.key == key) return v.value;
  return nullptr;
}
