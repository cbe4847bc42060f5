// zcrpc.h, section 10: the client; and of section 8 what only a client's call does.
#include "capi/channel.h"

#include "capi/loop.h"
#include "capi/options.h"

#include "capi/guard.h"

using namespace zcrpc;
using namespace zcrpc::capi;
using base::Code;
using base::Result;
using base::Status;

namespace zcrpc::capi {
namespace {
Status parent_s() { return Status(Code::kFailedPrecondition, "the channel belongs to the parent process"); }

// "zstd,gzip": the first that this build has. Names that no build has ever heard of are mistakes all the same.
Status read_compression(std::string_view list, const compress::Registry& codings, compress::Coding* out) {
  *out = compress::Coding::kIdentity;
  bool named = false;
  while (!list.empty()) {
    size_t comma = list.find(',');
    std::string_view name = list.substr(0, comma);
    list = comma == list.npos ? std::string_view() : list.substr(comma + 1);
    while (name.starts_with(' ')) name.remove_prefix(1);
    while (name.ends_with(' ')) name.remove_suffix(1);
    named = true;
    compress::Coding c = codings.find(name);
    if (c == compress::Coding::kUnknown) continue;
    *out = c;
    return {};
  }
  return named ? Status(Code::kUnimplemented, "ZCRPC_COMPRESSION: this build has none of these") : Status();
}

// What o (NULL is fine) says of calls; the rest stays.
Status read_call(const zcrpc_options* o, const compress::Registry& codings, client::CallConfig* c) {
  const Options* options = from_c(o);
  if (!options) return {};
  c->codec = get_int(options, ZCRPC_CHANNEL_CODEC, c->codec == rpc::Codec::kJson ? ZCRPC_JSON : ZCRPC_PROTO) == ZCRPC_JSON
                 ? rpc::Codec::kJson : rpc::Codec::kProto;
  c->timeout_ms = get_int(options, ZCRPC_CHANNEL_TIMEOUT, c->timeout_ms);
  c->message_limit = size_t(get_int(options, ZCRPC_LIMIT_MESSAGE, int64_t(c->message_limit)));
  c->compress_min = size_t(get_int(options, ZCRPC_COMPRESSION_MIN, int64_t(c->compress_min)));
  c->compression_level = int(get_int(options, ZCRPC_COMPRESSION_LEVEL, c->compression_level));
  c->get_limit = size_t(get_int(options, ZCRPC_CHANNEL_USE_GET, int64_t(c->get_limit)));
  c->decode.max_index = size_t(get_int(options, ZCRPC_DECODE_MAX_INDEX, int64_t(c->decode.max_index)));
  c->decode.max_depth = uint32_t(get_int(options, ZCRPC_DECODE_MAX_DEPTH, c->decode.max_depth));
  if (options->has(ZCRPC_COMPRESSION)) return read_compression(get_string(options, ZCRPC_COMPRESSION), codings, &c->coding);
  return {};
}

}  // namespace
}  // namespace zcrpc::capi

Status capi::read_channel(const zcrpc_options* o, client::ChannelConfig* c) {
  ZCRPC_TRY(check_for(o, ZCRPC_FOR_CHANNEL));
  if (o && from_c(o)->codings) c->codings = *from_c(o)->codings;
  ZCRPC_TRY(read_call(o, c->codings, &c->call));
  c->header_limit = size_t(get_int(from_c(o), ZCRPC_LIMIT_HEADERS, int64_t(c->header_limit)));
  c->connections = size_t(get_int(from_c(o), ZCRPC_CHANNEL_CONNECTIONS, 0));
  return {};
}

zcrpc_channel* zcrpc_channel_new(zcrpc_loop* l, const char* target, const zcrpc_options* o, zcrpc_tls* tls, zcrpc_error** err) {
  return guard(err, [&]() -> Result<client::Channel*> {
    if (!target) return wrong("zcrpc_channel_new: no target");
    if (tls) return Status(Code::kUnimplemented, "this build of the client has no TLS yet");
    client::ChannelConfig config;
    ZCRPC_TRY(read_channel(o, &config));
    Loop* loop = from_c(l);
    if (loop && loop->net->forked()) return Status(Code::kFailedPrecondition, "the loop belongs to the parent process");
    return client::Channel::make(loop ? loop->net : nullptr, loop ? &loop->hub : nullptr, target, config);
  });
}

void zcrpc_channel_free(zcrpc_channel* ch) {
  const base::PublicEntry entry(__func__, __builtin_return_address(0));
  if (ch) from_c(ch)->close();
}

zcrpc_call* zcrpc_channel_open(zcrpc_channel* ch, const zcrpc_method* m, const zcrpc_options* o, zcrpc_error** err) {
  return guard(err, [&]() -> Result<rpc::Call*> {
    if (!ch || !m) return wrong("zcrpc_channel_open: no channel, or no method");
    if (from_c(ch)->forked()) return parent_s();
    ZCRPC_TRY(check_for(o, ZCRPC_FOR_CALL));
    client::CallConfig config = from_c(ch)->call_config();
    ZCRPC_TRY(read_call(o, from_c(ch)->codings(), &config));
    return from_c(ch)->open(from_c(m), config);
  });
}

uint64_t zcrpc_channel_bind(zcrpc_channel* ch, const zcrpc_method* m, zcrpc_error** err) {
  uint64_t id = 0;
  (void)guard(err, [&]() -> Status {
    if (!ch || !m) return wrong("zcrpc_channel_bind: no channel, or no method");
    client::Channel* c = from_c(ch);
    if (c->forked()) return parent_s();
    net::Loop* l = c->loop();
    bool nested = l->inside();
    if (!nested) l->enter();
    Result<uint64_t> bound = c->bind(from_c(m));
    if (!nested) l->leave();
    if (bound.ok()) id = *bound;
    return bound.take_status();
  });
  return id;
}

void zcrpc_channel_stats(const zcrpc_channel* ch, zcrpc_stats* out) {
  if (!out || out->struct_size < offsetof(zcrpc_stats, dropped)) return;
  zcrpc_stats all{};
  if (!ch) return fill(out, all);
  const rpc::Counters& c = const_cast<client::Channel*>(from_c(ch))->counters();
  auto read = [](const std::atomic<uint64_t>& n) { return n.load(std::memory_order_relaxed); };
  all.calls = read(c.calls);
  all.calls_failed = read(c.calls_failed);
  all.calls_now = read(c.calls_now);
  all.connections = read(c.connections);
  all.connections_now = read(c.connections_now);
  all.bytes_in = read(c.bytes_in);
  all.bytes_out = read(c.bytes_out);
  all.messages_in = read(c.messages_in);
  all.messages_out = read(c.messages_out);
  all.copies_in = read(c.copies_in);
  all.copies_out = read(c.copies_out);
  all.bytes_copied_in = read(c.bytes_copied_in);
  all.bytes_copied_out = read(c.bytes_copied_out);
  all.late_ops = read(c.late_ops);
  compress::Pool* pool = const_cast<client::Channel*>(from_c(ch))->pool();
  all.inflates = read(pool->inflates);
  all.deflates = read(pool->deflates);
  fill(out, all);
}

// ---- Section 8, the client's side ----

namespace {
Status no_client_call() { return Status(Code::kFailedPrecondition, "not a client's call, or one of the parent process"); }
Status no_client_stream() { return Status(Code::kFailedPrecondition, "not a client's call that streams, or one of the parent process"); }
bool usable(rpc::Call* c) { return !c->verbs->forked(c); }
}  // namespace

const zcrpc_view* zcrpc_call_unary(zcrpc_call* call, zcrpc_error** err) {
  schema::View reply = nullptr;
  (void)guard(err, [&]() -> Status {
    rpc::Call* c = from_c(call);
    if (!c) return wrong("zcrpc_call_unary: no call");
    return usable(c) && c->verbs->unary ? c->verbs->unary(c, &reply) : no_client_call();
  });
  return to_c(reply);
}

zcrpc_code zcrpc_call_close_send(zcrpc_call* call, zcrpc_error** err) {
  return guard(err, [&]() -> Status {
    rpc::Call* c = from_c(call);
    if (!c) return wrong("zcrpc_call_close_send: no call");
    return usable(c) && c->verbs->close_send ? c->verbs->close_send(c) : no_client_stream();
  });
}

zcrpc_code zcrpc_call_next(zcrpc_call* call, const zcrpc_view** message, zcrpc_error** err) {
  schema::View next = nullptr;
  zcrpc_code code = guard(err, [&]() -> Status {
    rpc::Call* c = from_c(call);
    if (!c || !message) return wrong("zcrpc_call_next: no call, or no place for its message");
    return usable(c) && c->verbs->next ? c->verbs->next(c, &next) : no_client_stream();
  });
  if (message) *message = to_c(next);
  return code;
}

zcrpc_code zcrpc_call_start(zcrpc_call* call, uint64_t tag, zcrpc_event_fn fn, void* user, zcrpc_error** err) {
  return guard(err, [&]() -> Status {
    rpc::Call* c = from_c(call);
    if (!c) return wrong("zcrpc_call_start: no call");
    return usable(c) && c->verbs->start ? c->verbs->start(c, tag, fn, user) : no_client_call();
  });
}

void zcrpc_call_set_timeout(zcrpc_call* call, int64_t timeout_ms) {
  rpc::Call* c = from_c(call);
  if (c && usable(c) && c->verbs->set_timeout) c->verbs->set_timeout(c, timeout_ms < 0 ? -1 : timeout_ms);
}
