// Interceptors: what they are told, and what their answers do.
#include <charconv>

#include "rpc/thrown.h"
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
    zcrpc_code code = ZCRPC_INTERNAL;
    rpc::Thrown thrown;
    bool good = rpc::came_back([&] {
      code = one.fn(reinterpret_cast<zcrpc_call*>(static_cast<rpc::Call*>(this)), &e, reinterpret_cast<const zcrpc_view*>(message), one.user);
    }, &thrown);
    if (!good) [[unlikely]] log_thrown("interceptor", thrown.what());
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
  if (go_on) forget_reply();
  return go_on;
}

// What an interceptor wrote before it passed a unary call on. What it sent into a stream has been sent.
void ServerCall::forget_reply() {
  encode::reset(own_encoder_, method->output);
  reply_bytes_.clear();
  if (reply_buffer_) reply_buffer_->release();
  reply_buffer_ = nullptr;
  reply_given_ = false;
}

// A turn fills these in when it hands the record out.
static zcrpc_event numbered(const rpc::Event* e) {
  zcrpc_event r = e->record;
  r.call = e->call->id;
  r.tag = e->call->tag;
  return r;
}

bool ServerCall::before_request(rpc::Event* e) {
  auto* c = static_cast<ServerCall*>(e->call);
  if (c->finished_.load()) return true;  // canceled, or late: as without interceptors
  bool go_on = c->intercept(numbered(e), e->message);
  if (!go_on) c->unheard_ = true;
  else c->forget_reply();
  return go_on;
}

bool ServerCall::before_message(rpc::Event* e) {
  auto* c = static_cast<ServerCall*>(e->call);
  return c->finished_.load() || c->intercept(numbered(e), e->message);
}

// In the opposite order. False: nobody else waits for it.
bool ServerCall::before_done(rpc::Event* e) {
  auto* c = static_cast<ServerCall*>(e->call);
  zcrpc_event r = numbered(e);
  for (uint32_t i = c->intercepted_; i-- > 0;) {
    const Interceptor& one = c->route_->interceptors->items()[i];
    rpc::Thrown thrown;
    bool good = rpc::came_back([&] { (void)one.fn(reinterpret_cast<zcrpc_call*>(static_cast<rpc::Call*>(c)), &r, nullptr, one.user); }, &thrown);
    if (!good) [[unlikely]] c->log_thrown("interceptor", thrown.what());
  }
  if (c->worker_->config().observe.fn) c->observe();
  return c->events_ && !c->unheard_;
}

namespace {

zcrpc_slice slice_of(std::string_view s) { return {s.empty() ? "" : s.data(), s.size()}; }

zcrpc_slice header_of(const base::Metadata& m, std::string_view name) {
  base::Slice value;
  return m.get(name, &value) ? slice_of(value.text()) : slice_of({});
}

// "192.0.2.1:4711", "[::1]:4711", or a local socket's name.
void split_peer(std::string_view peer, zcrpc_call_record* r) {
  size_t colon = peer.rfind(':');
  r->peer_address = slice_of(peer);
  if (peer.starts_with("unix:") || colon == peer.npos) return;
  int32_t port = 0;
  auto [end, e] = std::from_chars(peer.data() + colon + 1, peer.data() + peer.size(), port);
  if (e != std::errc() || end != peer.data() + peer.size()) return;
  std::string_view host = peer.substr(0, colon);
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  r->peer_address = slice_of(host);
  r->peer_port = port;
}

}  // namespace

void ServerCall::observe() {
  zcrpc_call_record r{};
  zcrpc_call_info i{};
  info(this, &i);
  r.struct_size = sizeof r;
  r.code = done.record.value;
  r.protocol = request_.protocol() == rpc::Protocol::kNone ? 0 : i.protocol;
  r.codec = i.codec;
  r.http = i.http;
  r.service = r.method = slice_of({});
  if (route_) {
    std::string_view path = route_->method->path;
    size_t slash = path.rfind('/');
    if (slash != path.npos) {
      r.method = slice_of(path.substr(slash + 1));
      if (slash > 0) r.service = slice_of(path.substr(1, slash - 1));
    }
  }
  r.path = i.path;
  r.http_method = i.http_method;
  split_peer({peer_, peer_size_}, &r);
  r.traceparent = header_of(request_.metadata(), "traceparent");
  r.tracestate = header_of(request_.metadata(), "tracestate");
  const net::Io* io = worker_->loop()->io();
  r.duration_ns = ended_ns_ - begun_ns_;
  r.start_ns = io->wall_ns(io->user) - (worker_->clock_ns() - begun_ns_);
  r.wait_ns = handled_ns_ ? handled_ns_ - begun_ns_ : -1;
  r.handler_ns = handled_ns_ ? (finished_ns_ ? finished_ns_ : ended_ns_) - handled_ns_ : -1;
  r.messages_in = i.messages_in;
  r.messages_out = i.messages_out;
  r.bytes_in = reader_.body_bytes;
  r.bytes_out = i.bytes_out;
  r.size_in = stream_in_ ? i.bytes_in : size_in_;
  r.size_out = stream_out_ ? stream_->size_out.load(std::memory_order_relaxed) : size_out_;
  const Observer& o = worker_->config().observe;
  rpc::Thrown thrown;
  if (!rpc::came_back([&] { o.fn(&r, o.user); }, &thrown)) [[unlikely]] log_thrown("observer", thrown.what());
}

}  // namespace zcrpc::server
