// Interceptors: what they are told, and what their answers do.
#include "server/call.h"
#include "server/worker.h"

namespace zcrpc::server {

using base::Code;
using base::Status;

bool ServerCall::intercept(const zcrpc_event& e, schema::View message) {
  const Interceptors& all = *route_->interceptors;
  for (uint32_t i = 0; i < all.count; i++) {
    if (e.kind == ZCRPC_EVENT_HEADERS) intercepted_ = i + 1;
    const Interceptor& one = all.items()[i];
    zcrpc_code code = one.fn(reinterpret_cast<zcrpc_call*>(static_cast<rpc::Call*>(this)), &e, reinterpret_cast<const zcrpc_view*>(message), one.user);
    if (code != ZCRPC_OK && !finished_.exchange(true)) {
      bool known = code >= ZCRPC_CANCELED && code <= ZCRPC_UNAUTHENTICATED;
      outcome_ = Status(known ? Code(code) : Code::kInternal, "");
      complete();
    }
    if (finished_.load()) return false;
  }
  return true;
}

bool ServerCall::intercept_head() {
  watched_ = true;
  zcrpc_event e{};
  e.kind = ZCRPC_EVENT_HEADERS;
  e.call = id;
  int64_t left = time_left_ms(this);
  e.value = left > INT32_MAX ? INT32_MAX : int32_t(left);
  retain();  // an interceptor may drop a reference of its own meanwhile; the stream keeps it beyond that
  bool go_on = intercept(e, nullptr);
  refs.fetch_sub(1, std::memory_order_acq_rel);
  if (go_on) encode::reset(own_encoder_, method->output);  // what was written and not sent
  return go_on;
}

bool ServerCall::before_request(rpc::Event* e) {
  auto* c = static_cast<ServerCall*>(e->call);
  if (c->finished_.load()) return true;  // canceled, or late: as without interceptors
  bool go_on = c->intercept(e->record, e->message);
  if (!go_on) c->unheard_ = true;
  else encode::reset(c->own_encoder_, c->method->output);
  return go_on;
}

bool ServerCall::before_message(rpc::Event* e) {
  auto* c = static_cast<ServerCall*>(e->call);
  return c->finished_.load() || c->intercept(e->record, e->message);
}

// In the opposite order. False: nobody else waits for it.
bool ServerCall::before_done(rpc::Event* e) {
  auto* c = static_cast<ServerCall*>(e->call);
  for (uint32_t i = c->intercepted_; i-- > 0;) {
    const Interceptor& one = c->route_->interceptors->items()[i];
    (void)one.fn(reinterpret_cast<zcrpc_call*>(static_cast<rpc::Call*>(c)), &e->record, nullptr, one.user);
  }
  return c->events_ && !c->unheard_;
}

}  // namespace zcrpc::server
