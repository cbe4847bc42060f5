// The answer of a call, and the verbs that look at it.
#include <algorithm>
#include <cstring>

#include "base/hash.h"
#include "json/json.h"
#include "rpc/conditional.h"
#include "rpc/grpc.h"
#include "server/call.h"
#include "server/errors.h"
#include "server/server.h"
#include "view/view.h"

namespace zcrpc::server {

using base::Code;
using base::Slice;
using base::Status;

void ServerCall::answer_refusal(const rpc::Refusal& r) {
  finished_.store(true);
  set(rpc::kDone);
  state_ = State::kAnswered;
  counters->add(counters->calls_failed, 1);
  refused_ = r.http == 200 ? r.code : rpc::code_from_http(r.http);
  if (Status s = reply_.refuse(request_, r); !s.ok()) return conn_->fail_later();
  conn_->answer(this, reply_.body());
}

void ServerCall::answer_error(const base::Error& e) {
  pieces_.clear();
  reply_.clear();
  if (is_plain_ && ours_) return answer_plain_error(e);
  if (Status s = reply_.error(request_, e, ours_ ? nullptr : &headers_, ours_ ? nullptr : &trailers_); !s.ok()) {
    // Metadata that cannot be sent, or no memory: the bare code, and if that fails too, the connection's end.
    worker_->loop()->log().format(base::LogLevel::kError, "an error could not be sent as it is: %s", s.message());
    reply_.clear();
    if (Status again = reply_.error(request_, e.code(), ""); !again.ok()) return conn_->fail_later();
  }
  conn_->answer(this, reply_.body());
}

Status ServerCall::answer_ok() {
  Status s = speaks_json() ? print_reply() : gather_reply();
  size_t size = 0;
  for (const base::Piece& p : pieces_) size += p.bytes.size;
  size_out_ = size;
  compress::Coding coding = compress::Coding::kIdentity;
  bool had = false;
  if (s.ok() && request_.protocol() == rpc::Protocol::kConnectGet) s = unchanged(&had);
  if (s.ok() && had) {
    pieces_.clear();
    size_out_ = 0;
    if (s = reply_.not_modified(&headers_, &trailers_); !s.ok()) return bad_reply(s);
    conn_->answer(this, {});
    return {};
  }
  if (s.ok()) s = compress_reply(&size, &coding);
  if (s.ok() && !conn_->may_wait(size)) {
    ours_ = true;
    drop_reply();
    return Status(Code::kResourceExhausted, "too much of earlier answers has not been taken");
  }
  if (s.ok()) s = reply_.ok(request_, size, coding, &headers_, &trailers_);
  if (s.ok() && request_.text()) s = reply_.as_text(pieces());
  else if (s.ok() && !reply_.body().empty() && !pieces_.push({reply_.body(), nullptr})) s = Status::no_memory();
  if (!s.ok()) return bad_reply(s);
  message_out_ = size;
  counters->add(counters->messages_out, 1);
  conn_->answer(this, request_.text() ? reply_.body() : Slice());
  return {};
}

// The error that is sent instead may wait for long.
void ServerCall::drop_reply() {
  pieces_.clear();
  for (base::Buffer** b : {&chunk_, &reply_buffer_}) {
    if (*b) (*b)->release();
    *b = nullptr;
  }
  json_.bytes().drop();
  reply_bytes_.drop();
  encode::reset(own_encoder_, nullptr);
  encode::trim(own_encoder_, 0);
}

// What the handler did wrong is for the log, not for the peer. [any]
Status ServerCall::bad_reply(const Status& s) {
  std::string_view path = logged_path();
  worker_->log().format(base::LogLevel::kError, "%.*s: the reply: %s%s%s", int(path.size()), path.data(), s.path(),
                        *s.path() ? ": " : "", *s.message() ? s.message() : base::code_name(s.code()));
  return Status(s.code() == Code::kResourceExhausted ? Code::kResourceExhausted : Code::kInternal, "");
}

// What the application did not write itself, the error of a call downstream say, is for the log likewise. [any]
Status ServerCall::unspoken(const Status& s) {
  std::string_view path = logged_path();
  worker_->log().format(base::LogLevel::kError, "%.*s: answered with %s%s%s%s%s", int(path.size()), path.data(), base::code_name(s.code()),
                        *s.path() || *s.message() ? "; the cause: " : "", s.path(), *s.path() && *s.message() ? ": " : "", s.message());
  return Status(s.code() >= Code::kPending ? Code::kInternal : s.code(), "");
}

// Of an operation. What came without a buffer was copied when it was taken.
Slice ServerCall::given_reply() {
  if (reply_buffer_) return reply_buffer_->slice();
  if (reply_bytes_.size()) counters->copied_out(reply_bytes_.size());
  return {reply_bytes_.data(), reply_bytes_.size()};
}

Status ServerCall::gather_reply() {
  if (reply_given_) return pieces_.push({given_reply(), reply_buffer_}) ? Status() : Status::no_memory();
  auto whole = encode::contiguous(own_encoder_);
  if (!whole.ok()) return whole.take_status();
  // What is to be compressed need not outlive the encoder's memory, which is used again then.
  bool stays = whole->data && (whole->size < http::kByReference || squeezes(whole->size));
  if (stays) return pieces_.push({*whole, nullptr}) ? Status() : Status::no_memory();
  size_t offset = 0;
  auto chunk = encode::take_chunk(own_encoder_, &offset);
  if (!chunk.ok()) return chunk.take_status();
  if (*chunk) {
    chunk_ = *chunk;
    return pieces_.push({chunk_->slice().from(offset), chunk_}) ? Status() : Status::no_memory();
  }
  auto parts = encode::gather(own_encoder_);
  if (!parts.ok()) return parts.take_status();
  for (const encode::Part& p : *parts)
    if (!pieces_.push({p.bytes, p.buffer})) return Status::no_memory();
  return {};
}

Status ServerCall::print_reply() {
  Slice bytes;
  if (reply_given_) {
    bytes = given_reply();
  } else {
    auto whole = encode::contiguous(own_encoder_);
    if (!whole.ok()) return whole.take_status();
    bytes = *whole;
    if (!bytes.data) {  // parts of it lie elsewhere
      auto joined = encode::finish(own_encoder_);
      if (!joined.ok()) return joined.take_status();
      chunk_ = *joined;
      bytes = chunk_->slice();
    }
  }
  auto v = view::decode(method->output, bytes, false, route_->decode, &arena_);
  if (!v.ok()) return v.take_status();
  json::PrintOptions options;
  options.budget = route_->decode.max_index;  // Anys are within the method's limit
  ZCRPC_TRY(json::print(*v, method->output, options, &json_));
  return pieces_.push({json_.slice(), nullptr}) ? Status() : Status::no_memory();
}

// The tag is of the message, not of how it travels: one for all codings.
Status ServerCall::unchanged(bool* yes) {
  Slice etag;
  if (!headers_.get("etag", &etag)) {
    if (!route_->etags) return {};
    uint64_t hash = base::kFnvStart;
    for (const base::Piece& p : pieces_) hash = base::fnv1a(p.bytes.text(), hash);
    char text[rpc::kTag];
    if (!headers_.add("etag", Slice(rpc::write_tag(hash, text))) || !headers_.get("etag", &etag)) return Status::no_memory();
  }
  *yes = rpc::has_tag(request_.metadata(), etag.text());
  return {};
}

bool ServerCall::squeezes(size_t size) const {
  return coding_.load(std::memory_order_relaxed) != compress::Coding::kIdentity && !plain_.load(std::memory_order_relaxed) && size > 0 &&
         size >= size_t(route_->compress_min);
}

// Compresses a message, if that is wanted and worth it.
Status ServerCall::compressed(std::span<const base::Piece> message, size_t size, base::Buffer** out) {
  *out = nullptr;
  if (!squeezes(size)) return {};
  compress::Coding coding = coding_.load(std::memory_order_relaxed);
  compress::Deflater deflater;
  ZCRPC_TRY(deflater.begin(&worker_->compression, coding, route_->compression_level, size, worker_->config().codings));
  for (const base::Piece& p : message) ZCRPC_TRY(deflater.feed(p.bytes));
  auto packed = deflater.finish();
  if (!packed.ok()) return packed.take_status();
  if ((*packed)->size() < size) {
    *out = *packed;
  } else {
    (*packed)->release();
  }
  return {};
}

Status ServerCall::compress_reply(size_t* size, compress::Coding* coding) {
  base::Buffer* packed = nullptr;
  ZCRPC_TRY(compressed({pieces_.data(), pieces_.size()}, *size, &packed));
  if (!packed) return {};
  // The pieces' own memory is done with, save what an encoder or an operation still owns.
  pieces_.clear();
  if (chunk_) chunk_->release();
  chunk_ = packed;
  *size = chunk_->size();
  *coding = coding_.load(std::memory_order_relaxed);
  return pieces_.push({chunk_->slice(), chunk_}) ? Status() : Status::no_memory();
}

Status ServerCall::set_compression(rpc::Call* call, std::string_view name) {
  auto* c = static_cast<ServerCall*>(call);
  if (c->finished_.load()) return Status(Code::kCanceled, "the call has ended");
  const compress::Registry& codings = c->worker_->config().codings;
  // "": what the options chose when the call began.
  compress::Coding coding = name.empty() ? c->route_->compression.choose(c->request_.accepted(), c->request_.preferred()) : codings.find(name);
  if (coding == compress::Coding::kUnknown)
    return Status::format(Code::kInvalidArgument, "\"%.*s\" is not a coding of this server", int(std::min<size_t>(name.size(), 64)), name.data());
  if (coding == compress::Coding::kIdentity) {
    c->plain_.store(true);
    return {};
  }
  bool taken = c->request_.accepted() & compress::bit(coding);
  if (taken && coding != c->coding_.load()) {
    // The head of a stream names one coding for all of its messages.
    if (c->stream_out_ && c->stream_->headers_gone.load()) return Status(Code::kFailedPrecondition, "the response headers, which name another coding, have gone");
    c->coding_.store(coding);
  }
  c->plain_.store(!taken);
  return {};
}

// ---- verbs

bool ServerCall::forked(const rpc::Call* c) { return static_cast<const ServerCall*>(c)->worker_->forked(); }

int64_t ServerCall::time_left_ms(const rpc::Call* call) {
  auto* c = static_cast<const ServerCall*>(call);
  if (!c->deadline_ns_) return -1;
  int64_t left = c->deadline_ns_ - c->worker_->clock_ns();
  return left <= 0 ? 0 : (left + net::Timers::kNsPerMs - 1) / net::Timers::kNsPerMs;
}

base::Metadata* ServerCall::metadata(rpc::Call* call, int32_t which) {
  auto* c = static_cast<ServerCall*>(call);
  if (which == ZCRPC_REQUEST_HEADERS) return &c->request_.metadata();
  // Once somebody has finished it, another thread may be sending these.
  if (c->finished_.load()) return nullptr;
  if (which == ZCRPC_RESPONSE_HEADERS && c->stream_out_ && c->stream_->headers_gone.load()) return nullptr;
  return which == ZCRPC_RESPONSE_HEADERS ? &c->headers_ : which == ZCRPC_RESPONSE_TRAILERS ? &c->trailers_ : nullptr;
}

namespace {
// DER tells its own length: a SEQUENCE, as certificates are.
size_t leaf_size(Slice chain) {
  if (chain.size < 2 || chain.data[0] != 0x30) return chain.size;
  size_t head = 2, size = chain.data[1];
  if (size & 0x80) {
    size_t bytes = size & 0x7F;
    if (bytes > 4 || chain.size < 2 + bytes) return chain.size;
    size = 0;
    for (size_t i = 0; i < bytes; i++) size = size << 8 | chain.data[2 + i];
    head += bytes;
  }
  return size > chain.size - head ? chain.size : head + size;
}
}  // namespace

void ServerCall::info(const rpc::Call* call, zcrpc_call_info* out) {
  auto* c = static_cast<const ServerCall*>(call);
  rpc::Protocol p = c->request_.protocol();
  out->protocol = p == rpc::Protocol::kGrpc ? ZCRPC_GRPC : p == rpc::Protocol::kGrpcWeb ? ZCRPC_GRPC_WEB : ZCRPC_CONNECT;
  out->codec = c->request_.codec() == rpc::Codec::kJson ? ZCRPC_JSON : ZCRPC_PROTO;
  out->http = c->local_ ? 0 : c->http2_ ? ZCRPC_HTTP2 : ZCRPC_HTTP1;
  if (!c->is_plain_) out->method = reinterpret_cast<const zcrpc_method*>(c->method);
  out->peer = {c->peer_, c->peer_size_};
  if (c->certificate_) {
    out->peer_chain = {reinterpret_cast<const char*>(c->certificate_->data()), c->certificate_->size()};
    out->peer_certificate = {out->peer_chain.data, leaf_size(c->certificate_->slice())};
  }
  std::string_view path = c->request_.path(), verb = c->request_.method_name();
  out->path = {path.data(), path.size()};
  out->http_method = {verb.data(), verb.size()};
  out->bytes_in = c->message_in_;
  out->bytes_out = c->message_out_;
  out->messages_in = c->message_in_seen_;
  out->messages_out = c->message_out_ ? 1 : 0;
  if (c->stream_out_) {
    out->messages_out = c->stream_->messages_out.load(std::memory_order_relaxed);
    out->bytes_out = c->stream_->bytes_out.load(std::memory_order_relaxed);
  }
  if (c->stream_in_) {
    out->messages_in = c->stream_->messages_in.load(std::memory_order_relaxed);
    out->bytes_in = c->stream_->bytes_in.load(std::memory_order_relaxed);
  }
  out->age_ns = (c->ended_ns_ ? c->ended_ns_ : c->worker_->clock_ns()) - c->begun_ns_;
}

namespace {

Status read_block(Slice block, base::Metadata* to) {
  while (!block.empty()) {
    zcrpc_meta_head h;
    memcpy(&h, block.data, sizeof h);
    block = block.from(sizeof h);
    std::string_view name = block.part(0, h.name_len).text();
    if (!rpc::valid_metadata_name(name)) return Status(Code::kInvalidArgument, "operation: a metadata name that cannot be sent");
    if (!to->add(name, block.part(h.name_len, h.value_len))) return Status::no_memory();
    block = block.from(size_t(h.name_len) + h.value_len);
  }
  return {};
}

}  // namespace

Status ServerCall::op(rpc::Call* call, const zcrpc_op* op, Slice message, base::Buffer* buffer, Slice meta) {
  auto* c = static_cast<ServerCall*>(call);
  switch (op->kind) {
    case ZCRPC_OP_CANCEL:
      cancel(c);
      break;
    case ZCRPC_OP_SEND:
    case ZCRPC_OP_FINISH: {
      bool finish = op->kind == ZCRPC_OP_FINISH;
      bool ok = !finish || op->value == ZCRPC_OK;
      if (finish && (op->value < ZCRPC_OK || op->value > ZCRPC_UNAUTHENTICATED)) return Status(Code::kInvalidArgument, "operation: no such code");
      if (c->finished_.load()) break;
      ZCRPC_TRY(read_block(meta, finish ? &c->trailers_ : &c->headers_));
      Status outcome;
      if (!ok) {
        outcome = op->flags & ZCRPC_OP_STATUS ? Status(rpc::read_status(message)) : Status(Code(op->value), message.text());
        // A status that says OK, or nothing that can be read, is still the error that it was sent as.
        if (outcome.ok() || int32_t(outcome.code()) != op->value) outcome = Status(Code(op->value), "");
      } else if (!(op->flags & ZCRPC_OP_NO_MESSAGE) && c->stream_out_) {
        // A method with one answer may have sent it already; its end takes none then.
        bool spare = finish && message.empty() && c->stream_->messages_out.load() && !(c->method->flags & schema::kServerStream);
        Status st = spare ? Status() : c->queue_bytes(message, buffer);
        if (!st.ok() && !finish) return st;
        if (!st.ok()) outcome = c->bad_reply(st);
        if (op->flags & ZCRPC_OP_ASK_ROOM) {
          c->stream_->starved.store(true);
          c->tell_room();
        }
      } else if (!finish && c->stream_out_) {
        ZCRPC_TRY(send_headers(c));
      } else if (!(op->flags & ZCRPC_OP_NO_MESSAGE)) {
        if (!buffer) {
          c->reply_bytes_.clear();
          if (!c->reply_bytes_.append(message.data, message.size)) return Status::no_memory();
        }
        if (c->reply_buffer_) c->reply_buffer_->release();
        c->reply_buffer_ = buffer;
        buffer = nullptr;
        c->reply_given_ = true;
      }
      if (finish && !c->finished_.exchange(true)) {
        c->outcome_ = std::move(outcome);
        c->complete();
      }
      break;
    }
    case ZCRPC_OP_READ:
      read(c, op->value);  // a unary call's message has come: nothing then
      break;
    default: break;
  }
  if (buffer) buffer->release();
  return {};
}

}  // namespace zcrpc::server
