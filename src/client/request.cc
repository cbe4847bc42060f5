#include "client/request.h"

#include <cstring>

#include "base/arena.h"
#include "json/json.h"
#include "rpc/connect.h"

namespace zcrpc::client {

using base::Buffer;
using base::BufferRef;
using base::Result;
using base::Slice;
using base::Status;
using compress::Coding;

Result<Buffer*> coded_message(const schema::Method* m, const CallConfig& config, Buffer* wire) {
  if (config.codec == rpc::Codec::kProto || !m->input) return wire->retain();
  base::Arena arena;
  Result<schema::View> view = view::decode(m->input, wire->slice(), wire->has_slack(), {}, &arena);
  if (!view.ok()) return view.take_status();
  base::String text;
  ZCRPC_TRY(json::print(*view, m->input, {}, &text));
  Buffer* b = Buffer::make(text.size());
  if (!b) return Status::no_memory();
  if (text.size()) memcpy(b->writable(), text.data(), text.size());
  return b;
}

Result<Buffer*> compressed_message(Buffer* message, const CallConfig& config, compress::Pool* pool, const compress::Registry& codings) {
  // An empty body is never compressed; nor is one sent that grew.
  if (config.coding == Coding::kIdentity || !message->size() || message->size() < config.compress_min) return static_cast<Buffer*>(nullptr);
  compress::Deflater d;
  ZCRPC_TRY(d.begin(pool, config.coding, config.compression_level, message->size(), codings));
  ZCRPC_TRY(d.feed(message->slice()));
  Result<Buffer*> b = d.finish();
  if (!b.ok() || (*b)->size() < message->size()) return b;
  (*b)->release();
  return static_cast<Buffer*>(nullptr);
}

Status make_request(const schema::Method* m, const CallConfig& config, std::string_view prefix, Buffer* message,
                    const base::Metadata& metadata, int64_t timeout_ns, compress::Pool* pool, const compress::Registry& codings, Request* out) {
  rpc::ConnectCall call;
  call.codec = config.codec;
  call.timeout_ns = timeout_ns;
  call.metadata = &metadata;
  call.codings = &codings;
  BufferRef body(message->retain());
  Result<Buffer*> smaller = compressed_message(message, config, pool, codings);
  if (!smaller.ok()) return smaller.take_status();
  if (*smaller) {
    body.reset(*smaller);
    call.coding = config.coding;
  }
  out->repeatable = m->flags & (schema::kNoSideEffects | schema::kIdempotent);
  if (config.get_limit && (m->flags & schema::kNoSideEffects) && body->size() < config.get_limit) {
    out->target.append(prefix);
    rpc::connect_get_target(m->path, call, body->slice(), &out->target);
    if (!out->target.ok()) return Status::no_memory();
    out->get = out->target.size() <= config.get_limit;
    if (!out->get) out->target.clear();
  }
  if (!out->get) {
    out->target.append(prefix).append(m->path);
    if (!out->target.ok()) return Status::no_memory();
    out->body = std::move(body);
  }
  return rpc::connect_headers(call, out->get, &out->headers);
}

}  // namespace zcrpc::client
