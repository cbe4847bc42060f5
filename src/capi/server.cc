// Section 9: the server.
#include "capi/server.h"

#include <algorithm>

#include "capi/guard.h"  // after the handle, which it gives out
#include "capi/loop.h"
#include "capi/options.h"
#include "capi/tls.h"

using namespace zcrpc;
using namespace zcrpc::capi;
using base::Code;
using base::Status;

namespace {

Status read_coding(const Options* o, const compress::Registry& codings, compress::Preference* out) {
  Status s = compress::read_preference(get_string(o, ZCRPC_COMPRESSION), codings, out);
  return s.ok() ? Status() : Status::format(s.code(), "ZCRPC_COMPRESSION: %s", s.message());
}

Status check_prefix(std::string_view prefix) {
  if (!prefix.empty() && (prefix.front() != '/' || prefix.back() == '/' || prefix.find_first_of(" ?#%") != prefix.npos))
    return wrong("ZCRPC_SERVER_PREFIX begins with a slash and does not end with one");
  return {};
}

Status read_interceptors(const Options* o, base::Vec<server::Interceptor>* to) {
  if (!o) return {};
  for (const Options::Hook& h : o->interceptors)
    if (!to->push({h.fn, h.user})) return Status::no_memory();
  return {};
}

// What a peer may take its time for, and what may wait meanwhile.
void read_patience(const Options* o, server::Config* c) {
  c->head_ms = get_int(o, ZCRPC_SERVER_HEAD_TIMEOUT, c->head_ms);
  c->body_grace_ms = get_int(o, ZCRPC_SERVER_BODY_TIMEOUT, c->body_grace_ms);
  c->body_rate = get_int(o, ZCRPC_SERVER_MIN_RATE, c->body_rate);
  c->idle_ms = get_int(o, ZCRPC_SERVER_IDLE_TIMEOUT, c->idle_ms);
  c->stall_ms = get_int(o, ZCRPC_SERVER_STALL_TIMEOUT, c->stall_ms);
  c->stall_rate = get_int(o, ZCRPC_SERVER_STALL_RATE, c->stall_rate);
  c->linger_ms = get_int(o, ZCRPC_SERVER_LINGER, c->linger_ms);
  c->dropped_ms = get_int(o, ZCRPC_SERVER_REST_TIMEOUT, c->dropped_ms);
  c->reset_ms = std::max<int64_t>(c->dropped_ms / 40, 1);
  c->dropped = uint64_t(get_int(o, ZCRPC_SERVER_REST_SIZE, int64_t(c->dropped)));
  c->drain_ping_ms = get_int(o, ZCRPC_SERVER_DRAIN_PING, c->drain_ping_ms);
  c->drain_quiet_ms = c->drain_ping_ms / 5;
  c->polled_ms = get_int(o, ZCRPC_SERVER_POLLED_WITHIN, c->polled_ms);
  c->high_water = size_t(get_int(o, ZCRPC_SERVER_MAX_OUTPUT, int64_t(c->high_water)));
  c->pipelined = size_t(get_int(o, ZCRPC_SERVER_MAX_PIPELINED, int64_t(c->pipelined)));
}

Status read_config(const Options* o, server::Config* c, base::Vec<server::Interceptor>* interceptors) {
  c->message_limit = size_t(get_int(o, ZCRPC_LIMIT_MESSAGE, int64_t(c->message_limit)));
  c->header_limit = size_t(get_int(o, ZCRPC_LIMIT_HEADERS, int64_t(c->header_limit)));
  c->compressed_limit = size_t(get_int(o, ZCRPC_LIMIT_COMPRESSED, int64_t(c->compressed_limit)));
  if (o && o->codings) c->codings = *o->codings;
  ZCRPC_TRY(read_coding(o, c->codings, &c->compression));
  c->compression_level = int(get_int(o, ZCRPC_COMPRESSION_LEVEL, 0));
  c->etags = get_bool(o, ZCRPC_SERVER_ETAGS, false);
  c->compress_min = size_t(get_int(o, ZCRPC_COMPRESSION_MIN, int64_t(c->compress_min)));
  c->max_connections = size_t(get_int(o, ZCRPC_SERVER_MAX_CONNECTIONS, int64_t(c->max_connections)));
  c->max_calls = size_t(get_int(o, ZCRPC_SERVER_MAX_CALLS, int64_t(c->max_calls)));
  c->untaken = size_t(get_int(o, ZCRPC_LIMIT_UNTAKEN, int64_t(c->untaken)));
  c->max_streams = uint32_t(get_int(o, ZCRPC_SERVER_MAX_STREAMS, c->max_streams));
  c->max_deadline_ms = get_int(o, ZCRPC_SERVER_MAX_DEADLINE, c->max_deadline_ms);
  c->max_age_ms = get_int(o, ZCRPC_SERVER_MAX_CONNECTION_AGE, c->max_age_ms);
  c->keepalive_ms = get_int(o, ZCRPC_SERVER_KEEPALIVE, c->keepalive_ms);
  c->keepalive_timeout_ms = get_int(o, ZCRPC_SERVER_KEEPALIVE_TIMEOUT, c->keepalive_timeout_ms);
  c->max_requests = get_int(o, ZCRPC_SERVER_MAX_REQUESTS, c->max_requests);
  c->age_grace_ms = get_int(o, ZCRPC_SERVER_AGE_GRACE, c->age_grace_ms);
  c->reset_rate = get_int(o, ZCRPC_SERVER_RESET_RATE, c->reset_rate);
  c->reset_burst = get_int(o, ZCRPC_SERVER_RESET_BURST, c->reset_burst);
  c->frame_rate = get_int(o, ZCRPC_SERVER_FRAME_RATE, c->frame_rate);
  c->frame_burst = get_int(o, ZCRPC_SERVER_FRAME_BURST, c->frame_burst);
  c->window = size_t(get_int(o, ZCRPC_SERVER_WINDOW, int64_t(c->window)));
  c->max_window = size_t(get_int(o, ZCRPC_SERVER_WINDOW_MAX, int64_t(c->max_window)));
  c->held = size_t(get_int(o, ZCRPC_SERVER_MAX_AHEAD, int64_t(c->held)));
  c->held = std::max(c->held, c->window);  // a stream that fills its window alone has done nothing wrong
  read_patience(o, c);
  c->inflating = size_t(get_int(o, ZCRPC_LIMIT_INFLATING, int64_t(c->inflating)));
  c->proxy_protocol = get_int(o, ZCRPC_SERVER_PROXY_PROTOCOL, 0) != 0;
  c->prefix = get_string(o, ZCRPC_SERVER_PREFIX);
  ZCRPC_TRY(check_prefix(c->prefix));
  c->health = get_bool(o, ZCRPC_SERVER_HEALTH, c->health);
  c->reflection = get_bool(o, ZCRPC_SERVER_REFLECTION, c->reflection);
  c->hidden = get_string(o, ZCRPC_SERVER_REFLECTION_HIDE);
  c->lame_duck_ms = get_int(o, ZCRPC_SERVER_LAME_DUCK, c->lame_duck_ms);
  c->cors.origins = get_string(o, ZCRPC_SERVER_CORS_ORIGINS);
  c->cors.headers = get_string(o, ZCRPC_SERVER_CORS_HEADERS);
  c->cors.expose = get_string(o, ZCRPC_SERVER_CORS_EXPOSE);
  c->cors.credentials = get_bool(o, ZCRPC_SERVER_CORS_CREDENTIALS, false);
  c->cors.max_age_s = get_int(o, ZCRPC_SERVER_CORS_MAX_AGE, c->cors.max_age_s);
  c->default_deadline_ms = get_int(o, ZCRPC_SERVER_DEFAULT_DEADLINE, -1);
  c->min_deadline_ms = get_int(o, ZCRPC_SERVER_MIN_DEADLINE, 0);
  c->silence_ms = get_int(o, ZCRPC_SERVER_SILENCE, -1);
  ZCRPC_TRY(read_interceptors(o, interceptors));
  c->interceptors = {interceptors->data(), interceptors->size()};
  if (o) c->log = o->log;
  if (o) c->observe = {o->observe, o->observe_user};
  return {};
}

// What FOR_CALL options say of a route.
Status read_route(const zcrpc_options* o, const server::Config& config, server::Route* r) {
  ZCRPC_TRY(check_for(o, ZCRPC_FOR_CALL));
  r->message_limit = size_t(get_int(from_c(o), ZCRPC_LIMIT_MESSAGE, 0));
  r->max_deadline_ms = get_int(from_c(o), ZCRPC_SERVER_MAX_DEADLINE, -1);
  r->own_compression = o && from_c(o)->has(ZCRPC_COMPRESSION);
  ZCRPC_TRY(read_coding(from_c(o), config.codings, &r->compression));
  r->compression_level = int(get_int(from_c(o), ZCRPC_COMPRESSION_LEVEL, -1));
  r->compress_min = get_int(from_c(o), ZCRPC_COMPRESSION_MIN, -1);
  r->etags = int8_t(get_int(from_c(o), ZCRPC_SERVER_ETAGS, -1));
  r->decode = get_limits(from_c(o));
  r->decode.straight = true;  // where the method's schema came with decoders of generated code
  r->default_deadline_ms = get_int(from_c(o), ZCRPC_SERVER_DEFAULT_DEADLINE, server::Route::kInherit);
  r->min_deadline_ms = get_int(from_c(o), ZCRPC_SERVER_MIN_DEADLINE, server::Route::kInherit);
  r->silence_ms = get_int(from_c(o), ZCRPC_SERVER_SILENCE, server::Route::kInherit);
  r->raw = get_bool(from_c(o), ZCRPC_SERVER_RAW, false);
  return {};
}

bool replaces(const zcrpc_options* o) { return get_bool(from_c(o), ZCRPC_SERVER_OVERRIDE, false); }

Status set_route(zcrpc_server* s, const zcrpc_method* m, const zcrpc_options* o, server::Route r) {
  if (!s || !m) return wrong("no server, or no method");
  ZCRPC_TRY(read_route(o, from_c(s)->config(), &r));
  if (r.raw && r.fn) return wrong("ZCRPC_SERVER_RAW: messages that are bytes are served through zcrpc_server_handle_events or zcrpc_server_route");
  r.method = from_c(m);
  std::string_view prefix = get_string(from_c(o), ZCRPC_SERVER_PREFIX, from_c(s)->config().prefix);
  ZCRPC_TRY(check_prefix(prefix));
  base::Vec<server::Interceptor> interceptors;
  ZCRPC_TRY(read_interceptors(from_c(o), &interceptors));
  return from_c(s)->set(r, {interceptors.data(), interceptors.size()}, prefix, replaces(o));
}

Status set_unknown(zcrpc_server* s, const zcrpc_options* o, server::Route r) {
  if (!s) return wrong("no server");
  ZCRPC_TRY(read_route(o, from_c(s)->config(), &r));
  base::Vec<server::Interceptor> interceptors;
  ZCRPC_TRY(read_interceptors(from_c(o), &interceptors));
  return from_c(s)->set_unknown(r, {interceptors.data(), interceptors.size()}, replaces(o));
}

}  // namespace

zcrpc_server* zcrpc_server_new(const zcrpc_options* o, zcrpc_error** err) {
  return guard(err, [&]() -> base::Result<server::Server*> {
    ZCRPC_TRY(check_for(o, ZCRPC_FOR_SERVER));
    server::Config config;
    base::Vec<server::Interceptor> interceptors;
    ZCRPC_TRY(read_config(from_c(o), &config, &interceptors));
    net::Loop::Options loops;
    loops.log = config.log;
    if (o && from_c(o)->allocator) loops.allocator = from_c(o)->allocator;
    return server::Server::make(config, loops);
  });
}

void zcrpc_server_free(zcrpc_server* s) {
  const base::PublicEntry entry(__func__, __builtin_return_address(0));
  server::Server::free(from_c(s));
}

zcrpc_code zcrpc_server_listen(zcrpc_server* s, const char* address, zcrpc_tls* tls, zcrpc_error** err) {
  return guard(err, [&]() -> Status {
    if (!s || !address) return wrong("no server, or no address");
    net::Streams* streams = nullptr;
    ZCRPC_TRY(streams_of(tls, &streams));
    return from_c(s)->listen(address, streams);
  });
}

const char* zcrpc_server_address(const zcrpc_server* s, size_t i) { return s ? from_c(s)->address(i) : nullptr; }

zcrpc_code zcrpc_server_handle(zcrpc_server* s, const zcrpc_method* m, const zcrpc_options* o, zcrpc_unary_fn fn, void* user, zcrpc_error** err) {
  return guard(err, [&]() -> Status {
    if (!fn) return wrong("no handler");
    if (m && !from_c(m)->input) return Status(Code::kUnimplemented, "a method without a schema is served through zcrpc_server_route");
    server::Route r;
    r.fn = fn;
    r.user = user;
    return set_route(s, m, o, r);
  });
}

zcrpc_code zcrpc_server_handle_events(zcrpc_server* s, const zcrpc_method* m, const zcrpc_options* o, zcrpc_event_fn fn, void* user,
                                      zcrpc_error** err) {
  return guard(err, [&]() -> Status {
    if (!fn) return wrong("no handler");
    server::Route r;
    r.event_fn = fn;
    r.user = user;
    return set_route(s, m, o, r);
  });
}

zcrpc_code zcrpc_server_route(zcrpc_server* s, const zcrpc_method* m, const zcrpc_options* o, uint64_t tag, zcrpc_error** err) {
  return guard(err, [&]() -> Status {
    server::Route r;
    r.tag = tag;
    return set_route(s, m, o, r);
  });
}

zcrpc_code zcrpc_server_handle_unknown(zcrpc_server* s, const zcrpc_options* o, zcrpc_event_fn fn, void* user, zcrpc_error** err) {
  return guard(err, [&]() -> Status {
    if (!fn) return wrong("no handler");
    server::Route r;
    r.event_fn = fn;
    r.user = user;
    return set_unknown(s, o, r);
  });
}

zcrpc_code zcrpc_server_route_unknown(zcrpc_server* s, const zcrpc_options* o, uint64_t tag, zcrpc_error** err) {
  return guard(err, [&]() -> Status {
    server::Route r;
    r.tag = tag;
    return set_unknown(s, o, r);
  });
}

zcrpc_code zcrpc_server_handle_http(zcrpc_server* s, const zcrpc_options* o, zcrpc_http_fn fn, void* user, zcrpc_error** err) {
  return guard(err, [&]() -> Status {
    if (!s || !fn) return wrong("no server, or no handler");
    server::Route r;
    ZCRPC_TRY(read_route(o, from_c(s)->config(), &r));
    r.http_fn = fn;
    r.user = user;
    return from_c(s)->set_plain(r, replaces(o));
  });
}

zcrpc_code zcrpc_server_set_health(zcrpc_server* s, const char* service, int32_t serving, zcrpc_error** err) {
  return guard(err, [&]() -> Status {
    if (!s || !service || serving < 0 || serving > 1) return wrong("no server, no service, or neither 0 nor 1");
    return from_c(s)->health().set(service, serving != 0);
  });
}

zcrpc_code zcrpc_server_run(zcrpc_server* s, int32_t threads, zcrpc_error** err) {
  return guard(err, [&]() -> Status { return s ? from_c(s)->run(threads) : wrong("no server"); });
}

zcrpc_code zcrpc_server_attach(zcrpc_server* s, zcrpc_loop* l, zcrpc_error** err) {
  return guard(err, [&]() -> Status {
    if (!s || !l) return wrong("no server, or no loop");
    return from_c(s)->attach(from_c(l)->net, &from_c(l)->hub);
  });
}

void zcrpc_server_drain(zcrpc_server* s, int64_t grace_ms) {
  if (s) from_c(s)->drain(grace_ms);
}

void zcrpc_server_stats(const zcrpc_server* s, zcrpc_stats* out) {
  if (!out || out->struct_size < offsetof(zcrpc_stats, dropped)) return;
  zcrpc_stats all{};
  if (s) from_c(s)->stats(&all);
  fill(out, all);
}
