// Section 8: calls, the same object on both sides. What a side does lies behind rpc::Verbs.
#include <algorithm>
#include <cstddef>
#include <cstring>

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

zcrpc_code zcrpc_call_set_compression(zcrpc_call* call, const char* name, zcrpc_error** err) {
  return guard(err, [&]() -> Status {
    rpc::Call* c = from_c(call);
    if (!c) return wrong("no call");
    if (c->verbs->forked(c) || !c->verbs->set_compression) return Status(Code::kFailedPrecondition, "not a call whose answers are compressed here");
    return c->verbs->set_compression(c, name ? name : "");
  });
}

zcrpc_code zcrpc_call_send_bytes(zcrpc_call* call, const void* data, size_t len, zcrpc_error** err) {
  return guard(err, [&]() -> Status {
    rpc::Call* c = from_c(call);
    if (!c || bad_slice(data, len)) return wrong("no call, or no data");
    if (c->verbs->forked(c) || !c->verbs->send_bytes) return Status(Code::kFailedPrecondition, "not a call that sends bytes here");
    return c->verbs->send_bytes(c, given(data, len), nullptr);
  });
}

zcrpc_code zcrpc_call_send_buffer(zcrpc_call* call, zcrpc_buffer* b, zcrpc_error** err) {
  return guard(err, [&]() -> Status {
    rpc::Call* c = from_c(call);
    if (!c || !b) return wrong("no call, or no buffer");
    if (c->verbs->forked(c) || !c->verbs->send_bytes) return Status(Code::kFailedPrecondition, "not a call that sends bytes here");
    return c->verbs->send_bytes(c, from_c(b)->slice(), from_c(b));
  });
}

zcrpc_buffer* zcrpc_call_message(zcrpc_call* call, const zcrpc_event* event, zcrpc_error** err) {
  return guard(err, [&]() -> base::Result<base::Buffer*> {
    constexpr uint32_t kSmall = 1024;  // less is not worth what it would hold on to
    rpc::Call* c = from_c(call);
    if (!c || !event) return wrong("no call, or no event");
    const auto* data = reinterpret_cast<const uint8_t*>(uintptr_t(event->data));
    const rpc::Event* e = c->delivering;
    base::Buffer* b = nullptr;
    if (e && e->buffer && e->record.data == event->data && e->record.len == event->len && event->len >= kSmall) {
      b = base::Buffer::part(e->buffer, size_t(data - e->buffer->data()), event->len);
    } else if ((b = base::Buffer::make(event->len)) && event->len) {
      memcpy(b->writable(), data, event->len);
      c->counters->copied_in(event->len);
    }
    if (!b) return Status::no_memory();
    return b;
  });
}

zcrpc_code zcrpc_call_reply_http(zcrpc_call* call, const zcrpc_http* reply, zcrpc_error** err) {
  return guard(err, [&]() -> Status {
    rpc::Call* c = from_c(call);
    if (!c || !reply || reply->struct_size < offsetof(zcrpc_http, events)) return wrong("no call, or no answer");
    if (c->verbs->forked(c) || !c->verbs->reply_http) return Status(Code::kFailedPrecondition, "not a call for plain HTTP");
    zcrpc_http known{};
    memcpy(&known, reply, std::min<size_t>(sizeof known, reply->struct_size));
    return c->verbs->reply_http(c, known);
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
  const base::PublicEntry entry(__func__, __builtin_return_address(0));
  rpc::Call* c = from_c(call);
  if (usable(c) && c->verbs->cancel) c->verbs->cancel(c);
}

void zcrpc_call_finish(zcrpc_call* call, zcrpc_error* status) {
  const base::PublicEntry entry(__func__, __builtin_return_address(0));
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
  zcrpc_call_finish(call, zcrpc_error_new(code, text, len));
  return code;
}

zcrpc_code zcrpc_call_fail_with(zcrpc_call* call, zcrpc_code code, const zcrpc_error* cause) {
  if (code < ZCRPC_CANCELED || code > ZCRPC_UNAUTHENTICATED) code = zcrpc_error_code(cause);
  if (code < ZCRPC_CANCELED || code > ZCRPC_UNAUTHENTICATED) code = ZCRPC_INTERNAL;
  // Not spoken: the server logs it, and sends the code.
  Status s(Code(code), cause ? from_c(cause)->message_view() : std::string_view());
  if (cause && *from_c(cause)->path() && s.error()) (void)s.error()->set_path(from_c(cause)->path());
  zcrpc_call_finish(call, to_c(s.take()));
  return code;
}

zcrpc_code zcrpc_call_pass_on(zcrpc_call* from, zcrpc_call* to, int32_t what, zcrpc_error** err) {
  return guard(err, [&]() -> Status {
    rpc::Call *source = from_c(from), *target = from_c(to);
    if (!source || !target || what & ~(ZCRPC_PASS_TRACE | ZCRPC_PASS_DEADLINE)) return wrong("zcrpc_call_pass_on: two calls, and ZCRPC_PASS_ bits");
    if (!source->has(rpc::kServerSide) || target->has(rpc::kServerSide)) return wrong("zcrpc_call_pass_on: from a server's call to a client's");
    if (!usable(source) || !usable(target)) return Status(Code::kFailedPrecondition, "a call of the parent process");
    if (what & ZCRPC_PASS_TRACE) {
      const base::Metadata* in = source->verbs->metadata(source, ZCRPC_REQUEST_HEADERS);
      base::Metadata* out = target->verbs->metadata(target, ZCRPC_REQUEST_HEADERS);
      base::Slice own;
      // Who has said where it belongs knows better; a state without a parent means nothing.
      if (in && out && !out->get("traceparent", &own) && in->get("traceparent", &own)) {
        if (!out->add("traceparent", own)) return Status::no_memory();
        for (size_t i = 0; i < in->size(); i++)
          if (in->name(i) == "tracestate" && !out->add("tracestate", in->value(i))) return Status::no_memory();
      }
    }
    if (what & ZCRPC_PASS_DEADLINE) {
      int64_t left = source->verbs->time_left_ms(source), own = target->verbs->time_left_ms(target);
      if (left >= 0 && (own < 0 || left < own)) target->verbs->set_timeout(target, left);
    }
    return {};
  });
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
