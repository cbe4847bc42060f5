// A stream's answers: messages of any thread are queued in their envelopes, and move to the transport as it takes them.
#include <algorithm>

#include "json/json.h"
#include "server/call.h"
#include "server/server.h"
#include "view/view.h"

namespace zcrpc::server {

using base::Code;
using base::Piece;
using base::Slice;
using base::Status;

// ---- [any] the writer

Status ServerCall::send(rpc::Call* call) {
  auto* c = static_cast<ServerCall*>(call);
  if (!c->stream_out_) return Status(Code::kFailedPrecondition, "a unary call sends one message, by its end");
  return c->queue_encoded();
}

Status ServerCall::send_headers(rpc::Call* call) {
  auto* c = static_cast<ServerCall*>(call);
  if (!c->stream_out_) return Status(Code::kFailedPrecondition, "a unary call sends its headers with its message");
  ZCRPC_TRY(c->may_send());
  if (!c->stream_->headers_gone.exchange(true)) c->stream_task();
  return {};
}

Status ServerCall::may_send() const {
  if (has(rpc::kDone) && error) return Status(error->code(), "the call has ended");
  if (finished_.load()) return Status(Code::kCanceled, "the call has ended");
  bool one = !(method->flags & schema::kServerStream);
  if (one && stream_->messages_out.load(std::memory_order_relaxed)) return Status(Code::kFailedPrecondition, "the method answers with one message, and it was sent");
  return {};
}

// The encoder's message, which is another one afterwards.
Status ServerCall::queue_encoded() {
  ZCRPC_TRY(may_send());
  StreamState& s = *stream_;
  s.parts.clear();
  base::Buffer* owned = nullptr;
  Status st = speaks_json() ? encoded_bytes(&owned) : encoded_parts(&owned);
  if (st.ok()) st = queue_parts();
  if (owned) owned->release();
  s.parts.clear();
  encode::reset(own_encoder_, method->output);
  return st;
}

// As references, where they are worth it.
Status ServerCall::encoded_parts(base::Buffer** owned) {
  StreamState& s = *stream_;
  auto whole = encode::contiguous(own_encoder_);
  if (!whole.ok()) return whole.take_status();
  bool stays = whole->data && (whole->size < http::kByReference || squeezes(whole->size));
  if (stays) return s.parts.push({*whole, nullptr}) ? Status() : Status::no_memory();
  size_t offset = 0;
  auto chunk = encode::take_chunk(own_encoder_, &offset);
  if (!chunk.ok()) return chunk.take_status();
  if (*chunk) {
    *owned = *chunk;
    return s.parts.push({(*chunk)->slice().from(offset), *chunk}) ? Status() : Status::no_memory();
  }
  auto parts = encode::gather(own_encoder_);
  if (!parts.ok()) return parts.take_status();
  for (const encode::Part& p : *parts)
    if (!s.parts.push({p.bytes, p.buffer})) return Status::no_memory();
  return {};
}

// In one piece, for the JSON printer.
Status ServerCall::encoded_bytes(base::Buffer** owned) {
  auto whole = encode::contiguous(own_encoder_);
  if (!whole.ok()) return whole.take_status();
  Slice bytes = *whole;
  if (!bytes.data) {
    auto joined = encode::finish(own_encoder_);
    if (!joined.ok()) return joined.take_status();
    *owned = *joined;
    bytes = (*joined)->slice();
  }
  return as_json(bytes);
}

Status ServerCall::as_json(Slice bytes) {
  StreamState& s = *stream_;
  s.arena.reset();
  s.json.clear();
  if (!method->output) return Status(Code::kUnimplemented, "this method has no schema here, so it has no JSON");
  auto v = view::decode(method->output, bytes, false, route_->decode, &s.arena);
  if (!v.ok()) return v.take_status();
  json::PrintOptions options;
  options.budget = route_->decode.max_index;  // Anys are within the method's limit
  ZCRPC_TRY(json::print(*v, method->output, options, &s.json));
  return s.parts.push({s.json.slice(), nullptr}) ? Status() : Status::no_memory();
}

// Bytes of an operation. buffer: holds them, or null; its reference stays the caller's.
Status ServerCall::queue_bytes(Slice message, base::Buffer* buffer) {
  ZCRPC_TRY(may_send());
  StreamState& s = *stream_;
  s.parts.clear();
  Status st = speaks_json() ? as_json(message) : s.parts.push({message, buffer}) ? Status() : Status::no_memory();
  if (st.ok()) st = queue_parts();
  s.parts.clear();
  return st;
}

// One message, compressed if that is worth it.
Status ServerCall::queue_parts() {
  StreamState& s = *stream_;
  size_t size = 0;
  for (const Piece& p : s.parts) size += p.bytes.size;
  size_t plain = size;
  base::BufferRef packed;
  Piece one;
  std::span<const Piece> message(s.parts.data(), s.parts.size());
  base::Buffer* smaller = nullptr;
  ZCRPC_TRY(compressed(message, size, &smaller));
  packed.reset(smaller);
  if (packed) {
    size = packed->size();
    one = {packed->slice(), packed.get()};
    message = {&one, 1};
  }
  if (size > UINT32_MAX) return Status(Code::kResourceExhausted, "message is larger than an envelope can tell");
  {
    std::lock_guard lock(s.gate);
    if (s.over) return Status(Code::kCanceled, "the call has ended");
    if (!s.filling.add(packed ? 1 : 0, size, message)) return Status::no_memory();
    s.queued.fetch_add(rpc::kEnvelope + size);
  }
  s.headers_gone.store(true);
  s.messages_out.fetch_add(1, std::memory_order_relaxed);
  s.bytes_out.fetch_add(size, std::memory_order_relaxed);
  s.size_out.fetch_add(plain, std::memory_order_relaxed);
  stream_task();
  return {};
}

size_t ServerCall::room(const rpc::Call* call) {
  auto* c = static_cast<const ServerCall*>(call);
  if (!c->stream_out_ || c->finished_.load()) return 0;
  StreamState& s = *c->stream_;
  size_t queued = s.queued.load();
  if (queued < StreamState::kRoom && !s.crowded.load()) return StreamState::kRoom - queued;
  s.starved.store(true);
  // What was taken meanwhile may have gone without a word.
  queued = s.queued.load();
  if (queued >= StreamState::kRoom / 2 || s.crowded.load() || !s.starved.exchange(false)) return 0;
  return StreamState::kRoom - queued;
}

// Work that has to be done inside is asked for: credits, messages.
void ServerCall::stream_task() {
  retain();
  if (stream_->task_queued.exchange(true)) return release();
  if (!worker_->run_inside(&stream_task_)) {
    stream_->task_queued.store(false);
    release();
  }
}

// ---- [inside]

// As a task, with a reference.
void ServerCall::stream_work() {
  StreamState& s = *stream_;
  s.task_queued.store(false);
  if (conn_) {
    if (is_plain_ && !events_) {
      take_plain_events();
      tell_room();
    }
    if (stream_in_) {
      s.credits += s.given.exchange(0);
      pull();
    }
    // Not at once: what else is sent in this turn goes out with it.
    if (conn_) conn_->pump_later(this);
    if (conn_ && http2_ && stream_out_) count_queued();
  }
  release();
}

void ServerCall::tell_room() {
  StreamState& s = *stream_;
  if (!conn_ || s.writable_waits || s.ending || !events_ || s.crowded.load()) return;  // an interceptor that answers hears of no room
  size_t queued = s.queued.load();
  if (queued >= StreamState::kRoom / 2 || !s.starved.exchange(false)) return;
  s.writable_waits = true;
  s.writable.record = {};
  s.writable.record.kind = ZCRPC_EVENT_WRITABLE;
  s.writable.record.value = int32_t(StreamState::kRoom - queued);
  worker_->hub()->push(&s.writable);
}

void ServerCall::crowd(bool yes) {
  if (!stream_out_) return;
  stream_->crowded.store(yes);
  if (!yes) tell_room();
}

// What it sends is counted with what waits in HTTP/2, and there is only so much for a connection.
void ServerCall::count_queued() {
  conn_->count_queued(&counted_out_, stream_->queued.load() - stream_->sending.size());
  if (!finished_.load() && conn_->overflows(counted_out_ + conn_->pending(this))) fail(Status(Code::kResourceExhausted, "too much of earlier answers has not been taken"));
  conn_->look_at_crowd();
}

// The head can no longer wait. False: the call has become an error, or the connection an end.
bool ServerCall::begin_answer() {
  StreamState& s = *stream_;
  Status st = is_plain_ ? begin_plain_answer() : reply_.begin_stream(request_, coding_.load(std::memory_order_relaxed), ours_ ? nullptr : &headers_);
  if (st.ok()) return s.begun = true;
  worker_->loop()->log().format(base::LogLevel::kError, "%.*s: the answer's head: %s", int(method->path.size()), method->path.data(), st.message());
  if (finished_.exchange(true)) {
    conn_->fail_later();
    return false;
  }
  ours_ = true;
  outcome_ = Status(Code::kInternal, "");
  complete();
  return false;
}

// Hands what waits to the transport, if it takes more now. False: there was nothing to do.
bool ServerCall::pump() {
  StreamState& s = *stream_;
  if (!conn_ || s.ended || !conn_->takes(this)) return false;
  if (s.sending.size()) {
    s.queued.fetch_sub(s.sending.size());
    s.sending.clear();
    tell_room();
  }
  {
    std::lock_guard lock(s.gate);
    s.sending.swap(&s.filling);
  }
  conn_->count_queued(&counted_out_, 0);
  s.sending.count_copies(counters);
  if (s.sending.empty() && !s.ending && (s.begun || !s.headers_gone.load())) return false;
  if (!s.sending.empty()) heard_ns_ = worker_->loop()->now();
  bool starts = !s.begun;
  if (starts && !begin_answer()) return false;
  s.pieces.clear();
  bool good = s.sending.pieces(&s.pieces);
  if (good && request_.text() && !is_plain_ && s.sending.size()) {
    s.text.clear();
    rpc::TextEncoder text(&s.text);
    for (const Piece& p : s.pieces) text.add(p.bytes);
    text.end();
    s.pieces.clear();
    good = s.text.ok() && s.pieces.push({s.text.slice(), nullptr});
  }
  if (is_plain_) s.ended = s.ending;
  if (good && s.ending && !is_plain_) {
    good = reply_.end_stream(request_, error, ours_ ? nullptr : &trailers_).ok();
    if (good && !reply_.body().empty()) good = s.pieces.push({reply_.body(), nullptr});
    s.ended = true;
  }
  if (!good) {
    conn_->fail_later();
    return false;
  }
  conn_->stream(this, {s.pieces.data(), s.pieces.size()}, starts, s.ending);
  return true;
}

size_t ServerCall::untaken() const {
  const StreamState& s = *stream_;
  return s.queued.load() - s.sending.size() + (conn_ ? conn_->pending(this) : 0);
}

// The outcome is known: behind what was sent comes the end.
void ServerCall::complete_stream() {
  StreamState& s = *stream_;
  {
    std::lock_guard lock(s.gate);
    s.over = true;
    // An end of ours does not wait for what the peer may never take.
    if (ours_ || (is_plain_ && !outcome_.ok())) s.filling.trim();
  }
  if (conn_ && s.filling.empty()) conn_->count_queued(&counted_out_, 0);
  if (!outcome_.ok()) counters->add(counters->calls_failed, 1);
  s.ending = true;
  // gRPC's answer in one HEADERS frame has no place for headers of the handler's: clients would take them for trailers.
  bool apart = request_.protocol() == rpc::Protocol::kGrpc && !ours_ && !is_plain_ && headers_.size();
  bool whole = !outcome_.ok() && !s.begun && s.filling.empty() && !apart;
  if (whole) {
    s.ended = true;
    answer_error(*outcome_.error());
  }
  // The head of a plain answer has promised more than there will be: only a cut tells.
  bool cut = is_plain_ && !outcome_.ok() && !whole;
  error = outcome_.take();
  set(rpc::kDone);
  if (cut) {
    s.ended = true;
    conn_->reset(this, http::kH2Internal);
  }
  // That it was whole does not mean that the client takes it.
  if (whole && conn_ && http2_ && !lingering_ && !h2.sent()) expect_end();
  if (whole || cut) return;
  if (ours_ && conn_ && conn_->drop_unsent(this)) {
    s.queued.fetch_sub(s.sending.size());
    s.sending.trim();
  }
  counters->add(counters->messages_out, s.messages_out.load(std::memory_order_relaxed));
  if (conn_) {
    expect_end();
    conn_->pump_later(this);
  }
}

// The stream has ended: whoever does not take the rest in time is let go.
void ServerCall::expect_end() {
  const Config& config = worker_->config();
  const int64_t now = worker_->loop()->now(), stall = now + config.stall_ms * net::Timers::kNsPerMs;
  stall_due_ns_ = ours_ ? now + config.linger_ms * net::Timers::kNsPerMs : deadline_ns_ ? std::clamp(deadline_ns_ + grace_ns_, now, stall) : stall;
  left_seen_ = untaken();
  expect_turn(Config::least(config.body_rate, config.stall_ms), stall_due_ns_);
  if (stall_due_ns_ != stall) half_due_ns_ = 0;  // that end does not move
  worker_->loop()->set_timer(&timer_, half_due_ns_ ? half_due_ns_ : stall_due_ns_);
}

}  // namespace zcrpc::server
