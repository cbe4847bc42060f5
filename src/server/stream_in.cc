// A stream's requests: bytes become messages as far as read credits go, messages become events.
#include <algorithm>
#include <utility>

#include "json/json.h"
#include "server/call.h"
#include "server/errors.h"
#include "server/server.h"
#include "view/view.h"

namespace zcrpc::server {

using base::Code;
using base::Slice;
using base::Status;

namespace {
constexpr size_t kTextAtOnce = 4096;  // characters of base64 that are decoded before somebody looks at credits again
}  // namespace

bool ServerCall::prepare_stream() {
  if (!stream_ && !(stream_ = base::make_in<StreamState>(worker_->allocator(), worker_->allocator()))) return false;
  stream_->writable.call = stream_->half_close.call = this;
  stream_->writable.released = [](rpc::Event* e) {
    auto* c = static_cast<ServerCall*>(e->call);
    c->stream_->writable_waits = false;
    c->tell_room();  // what has gone since it was delivered
  };
  stream_->crowded.store(conn_->is_crowded(), std::memory_order_relaxed);
  return true;
}

// A method whose requests stream: its handler is told before the first message.
bool ServerCall::open_stream() {
  if (late()) {
    fail(Status(Code::kDeadlineExceeded, "deadline exceeded"));
    return false;
  }
  if (!method->input && speaks_json()) {
    fail(Status(Code::kUnimplemented, "this method has no schema here, so it takes no JSON"));
    return false;
  }
  stream_in_ = true;
  state_ = State::kHandling;
  queue_request();
  return state_ == State::kHandling;
}

// Text of a unary call, or of a method with one request.
void ServerCall::text_body(Slice bytes) {
  StreamState& s = *stream_;
  s.decoded.clear();
  using Result = rpc::TextDecoder::Result;
  Result r = bytes.data ? s.text_in.feed(bytes, &s.decoded) : s.text_in.end(&s.decoded);
  Status st = r == Result::kNoMemory ? Status::no_memory()
              : r == Result::kBroken ? Status(Code::kInvalidArgument, "broken base64 in a grpc-web-text body")
                                     : reader_.data({s.decoded.data(), s.decoded.size()});
  if (st.ok()) st = reader_.own();
  if (!st.ok()) fail(std::move(st));
}

void ServerCall::stream_body(Slice bytes) {
  StreamState& s = *stream_;
  if (!request_.text() && s.held_size() == 0) {
    size_t before = bytes.size;
    read_messages(&bytes, worker_->blocks.current());
    give_window(before - bytes.size);
  }
  if (state_ != State::kHandling || s.broken || bytes.empty()) return;
  if (Status st = hold(bytes); !st.ok()) return fail(std::move(st));
  pull();
}

// What came first stays where it was received: mostly that is the message that came with the head, before the handler was told
// of its call and could ask. What comes behind it is copied, and the first with it.
Status ServerCall::hold(Slice bytes) {
  StreamState& s = *stream_;
  if (!request_.text() && s.held_size() == 0 && worker_->kept_blocks < Worker::kMostKept) {
    s.block = worker_->blocks.current()->retain();
    s.lies = bytes;
    worker_->kept_blocks++;
  } else {
    if (s.block) {
      if (!s.held.append(s.lies.data, s.lies.size)) return Status::no_memory();
      counters->copied_in(s.lies.size);
      let_go_of_block();
    }
    if (!s.held.append(bytes.data, bytes.size)) return Status::no_memory();
    counters->copied_in(bytes.size);
  }
  return conn_->hold(bytes.size) ? Status() : Status(Code::kResourceExhausted, "too much waits to be read on this connection");
}

void ServerCall::let_go_of_block() {
  if (!stream_->block) return;
  std::exchange(stream_->block, nullptr)->release();
  stream_->lies = {};
  worker_->kept_blocks--;
}

void ServerCall::stream_body_end() {
  stream_->peer_ended = true;
  pull();
}

void ServerCall::give_window(size_t n) {
  if (n && conn_) conn_->returned(this, n);
}

void ServerCall::let_go_of_held() {
  size_t n = stream_->held_size();
  let_go_of_block();
  stream_->held.clear();
  stream_->held_at = 0;
  if (conn_) conn_->unhold(n);
  give_window(n);
}

// What is held becomes messages, and perhaps the end.
void ServerCall::pull() {
  if (local_) return pull_local();
  StreamState& s = *stream_;
  size_t used = 0;
  while (state_ == State::kHandling && s.credits > 0 && !s.broken) {
    if (s.block) {
      base::Buffer* block = s.block->retain();
      Slice in = s.lies;
      size_t before = in.size;
      read_messages(&in, block);
      used += before - in.size;
      if (s.block) s.lies = in;
      if (in.empty()) let_go_of_block();
      block->release();
    } else if (!request_.text()) {
      Slice in(s.held.data() + s.held_at, s.held_size());
      if (in.empty()) break;
      size_t before = in.size;
      read_messages(&in, nullptr);
      s.held_at += before - in.size;
      used += before - in.size;
    } else if (!s.decoded.empty()) {
      Slice in(s.decoded.data(), s.decoded.size());
      read_messages(&in, nullptr);
      s.decoded.shift(s.decoded.size() - in.size);
    } else {
      size_t n = std::min(s.held_size(), kTextAtOnce);
      if (n == 0) break;
      auto r = s.text_in.feed({s.held.data() + s.held_at, n}, &s.decoded);
      s.held_at += n;
      used += n;
      if (r == rpc::TextDecoder::Result::kBroken) spoil(Status(Code::kInvalidArgument, "broken base64 in a grpc-web-text body"));
      else if (r != rpc::TextDecoder::Result::kOk) spoil(Status::no_memory());
    }
  }
  if (s.held_at == s.held.size()) {
    s.held.clear();
    s.held_at = 0;
  } else if (s.held_at >= s.held.size() / 2) {
    s.held.shift(s.held_at);
    s.held_at = 0;
  }
  if (conn_) conn_->unhold(used);
  give_window(used);
  end_of_requests();
}

// The same within the process, where everything waits in the memory of the client.
void ServerCall::pull_local() {
  StreamState& s = *stream_;
  while (conn_ && state_ == State::kHandling && s.credits > 0 && !s.broken) {
    base::Piece* p = conn_->local()->front();
    if (!p) break;
    Slice in = p->bytes;
    read_messages(&in, p->buffer);
    if (conn_) conn_->local()->use(p->bytes.size - in.size);
  }
  if (conn_ && conn_->local()->at_end()) s.peer_ended = true;
  end_of_requests();
}

// Takes from *in while there are credits. holder: the bytes lie in it, and may stay there; nullptr: they go.
void ServerCall::read_messages(Slice* in, base::Buffer* holder) {
  StreamState& s = *stream_;
  while (in->size && s.credits > 0 && state_ == State::kHandling && !s.broken) {
    if (Status st = reader_.take_from(in); !st.ok()) return spoil(std::move(st));
    if (!reader_.complete()) {
      if (!local_) expect_rest();
      return;
    }
    if (Status st = reader_.expand(); !st.ok()) return spoil(std::move(st));
    s.credits--;
    if (Status st = deliver(holder); !st.ok()) return spoil(bad_request(std::move(st)));
    reader_.next();
  }
}

// The reader has nothing to go on with. A handler that has finished meanwhile, on its thread, has the say about the
// outcome, but until it is here nothing must be read either.
void ServerCall::spoil(Status s) {
  stream_->broken = true;
  fail(std::move(s));
}

Status ServerCall::deliver(base::Buffer* holder) {
  Delivery* d = worker_->take_delivery();
  if (!d) return Status::no_memory();
  auto give_back = [](rpc::Event* e) {
    auto* self = static_cast<Delivery*>(e);
    self->worker->give_delivery(self);
  };
  Slice message = reader_.message();
  Status st;
  if (reader_.borrowed() && holder) {
    d->hold = holder->retain();
  } else {
    st = reader_.own();
    message = reader_.message();
    if (st.ok()) d->hold = reader_.take();
  }
  size_t on_the_wire = message.size;
  bool json = speaks_json();
  if (st.ok() && json) st = read_json(&d->from_json, &message);
  d->message = nullptr;
  if (st.ok() && method->input) {
    auto v = view::decode(method->input, message, !json && d->hold && d->hold->has_slack(),
                          json ? view::of_text(route_->decode, on_the_wire, message.size) : route_->decode, &d->arena);
    if (v.ok()) d->message = *v;
    else st = v.take_status();
  }
  if (!st.ok()) {
    give_back(d);
    return st;
  }
  counters->add(counters->messages_in, 1);
  stream_->messages_in.fetch_add(1, std::memory_order_relaxed);
  stream_->bytes_in.fetch_add(on_the_wire, std::memory_order_relaxed);
  d->call = this;
  d->buffer = json ? nullptr : d->hold;
  d->record = {};
  d->record.kind = ZCRPC_EVENT_MESSAGE;
  set_message(d, message);
  d->released = give_back;
  d->before = route_->interceptors ? before_message : nullptr;
  heard_ns_ = worker_->loop()->now();
  worker_->hub()->push(d);
  return {};
}

// The peer has ended, and all that came has been delivered: cut short or not is known now.
void ServerCall::end_of_requests() {
  StreamState& s = *stream_;
  if (!s.peer_ended || s.half_closed || s.broken || s.held_size() || !s.decoded.empty() || state_ != State::kHandling) return;
  if (request_.text() && s.credits > 0) {
    if (s.text_in.end(&s.decoded) != rpc::TextDecoder::Result::kOk) return fail(Status(Code::kInvalidArgument, "broken base64 in a grpc-web-text body"));
    if (!s.decoded.empty()) return pull();
  }
  if (!reader_.between()) return fail(Status(Code::kInvalidArgument, "the stream was cut short"));
  s.half_closed = true;
  s.half_close.record = {};
  s.half_close.record.kind = ZCRPC_EVENT_HALF_CLOSE;
  worker_->hub()->push(&s.half_close);
}

// [any]
void ServerCall::read(rpc::Call* call, int32_t credits) {
  auto* c = static_cast<ServerCall*>(call);
  if (!c->stream_in_ || credits <= 0 || c->finished_.load()) return;
  // Nobody needs more than that at once, and nothing can overflow.
  int32_t was = c->stream_->given.load();
  int32_t now;
  do now = was > INT32_MAX - credits ? INT32_MAX : was + credits;
  while (!c->stream_->given.compare_exchange_weak(was, now));
  c->stream_task();
}

bool ServerCall::choked() const {
  return stream_in_ && state_ == State::kHandling && stream_->held_size() >= worker_->config().pipelined;
}

}  // namespace zcrpc::server
