#include "client/stream_call.h"

#include <algorithm>
#include <new>

#include "base/public_entry.h"
#include "client/request.h"

namespace zcrpc::client {

using base::Code;
using base::Result;
using base::Slice;
using base::Status;

const rpc::Verbs StreamCall::kVerbs = {
    .send = StreamCall::send,
    .send_headers = nullptr,
    .close_send = StreamCall::close_send,
    .room = StreamCall::room,
    .read = StreamCall::read,
    .cancel = StreamCall::cancel,
    .finish = nullptr,
    .start = StreamCall::start,
    .unary = nullptr,
    .next = StreamCall::next,
    .set_timeout = StreamCall::set_timeout,
    .time_left_ms = StreamCall::time_left_ms,
    .metadata = StreamCall::metadata,
    .info = StreamCall::info,
    .op = StreamCall::op,
    .send_bytes = StreamCall::send_bytes,
    .reply_http = nullptr,
    .unreferenced = StreamCall::unreferenced,
    .set_compression = nullptr,
    .threw = StreamCall::threw,
    .forked = StreamCall::forked,
};

const ClientCall::Kind StreamCall::kKind = {.send = StreamCall::open, .finish = StreamCall::finish, .destroy = StreamCall::destroy};

// ---- Making and ending ----

StreamCall::StreamCall(Channel* channel, const CallConfig& config)
    : ClientCall(&kKind, channel, config), parts_(channel->allocator()), queue_(channel->allocator()), target_(channel->allocator()),
      headers_(channel->allocator()), taken_(channel->allocator()), held_(channel->allocator()) {
  verbs = &kVerbs;
  writable_.call = this;
  writable_.released = [](rpc::Event* e) { static_cast<StreamCall*>(e->call)->writable_waits_ = false; };
  work_.self = this;
  work_.run = [](net::Task* t) { static_cast<Work*>(t)->self->work(); };
  HttpSink::status = [](HttpSink* s, int32_t n) { return static_cast<StreamCall*>(s)->on_status(n); };
  HttpSink::header = [](HttpSink* s, std::string_view n, std::string_view v) { return static_cast<StreamCall*>(s)->on_header(n, v); };
  HttpSink::data = [](HttpSink* s, Slice b, base::Buffer* holder) { return static_cast<StreamCall*>(s)->on_data(b, holder); };
  HttpSink::ended = [](HttpSink* s, Status r) { static_cast<StreamCall*>(s)->on_ended(std::move(r)); };
  HttpSink::writable = [](HttpSink* s) {
    auto* c = static_cast<StreamCall*>(s);
    c->in_sink_ = true;
    c->tell_room();
    c->in_sink_ = false;
  };
}

Result<StreamCall*> StreamCall::make(Channel* channel, const schema::Method* m, const CallConfig& config) {
  const base::Allocator* a = channel->allocator();
  void* p = a->alloc(sizeof(StreamCall), a->user);
  if (!p) return Status::no_memory();
  auto* c = new (p) StreamCall(channel, config);
  if (Status s = c->init(m); !s.ok()) {
    destroy(c);
    return s;
  }
  encode::reset(c->encoder, m->input, rpc::kEnvelope);
  if (c->one_answer()) c->credits_ = INT64_MAX;  // it is the end's
  return c;
}

void StreamCall::destroy(ClientCall* call) {
  auto* c = static_cast<StreamCall*>(call);
  Channel* channel = c->channel_;
  const base::Allocator* a = channel->allocator();
  for (Inbound* list : {c->ready_, c->idle_, c->current_, c->reply_})
    while (list) {
      Inbound* m = list;
      list = m->following;
      Inbound::destroy(m);
    }
  c->drop_parts();
  for (base::Vec<base::Piece>* left : {&c->queue_, &c->taken_})
    for (const base::Piece& p : *left) p.buffer->release();
  for (size_t i = c->held_at_; i < c->held_.size(); i++) c->held_[i].buffer->release();
  c->free_parts();
  c->~StreamCall();
  a->free(c, sizeof(StreamCall), a->user);
  channel->release();
}

void StreamCall::Inbound::clear() {
  if (hold) hold->release();
  hold = nullptr;
  arena.reset();
  following = nullptr;
  message = nullptr;
}

void StreamCall::Inbound::destroy(Inbound* m) {
  m->clear();
  encode::encoder_free(m->from_json);
  base::drop_in(m->allocator, m);
}

// ---- Beginning ----

Status StreamCall::start(rpc::Call* call, uint64_t tag, zcrpc_event_fn fn, void* user) {
  auto* c = static_cast<StreamCall*>(call);
  if (!c->hub) return Status(Code::kFailedPrecondition, "the channel has no loop: nobody would deliver the events");
  {
    std::lock_guard lock(c->gate_);
    if (c->begun_) return Status(Code::kFailedPrecondition, "the call has begun already");
  }
  if (c->one_request()) {
    ZCRPC_TRY(c->encoded());
    ZCRPC_TRY(c->queue(true));
    c->sent_ = true;
  }
  {
    std::lock_guard lock(c->gate_);
    c->begun_ = true;
  }
  c->tag = tag;
  c->fn = fn;
  c->fn_user = user;
  c->set_deadline();
  c->go(false);
  return {};
}

// The caller will block. with_message: the one request is what the encoder holds. By the writer or the reader, whoever is first.
Status StreamCall::begin_blocking(bool with_message) {
  {
    std::lock_guard lock(gate_);
    if (begun_) return {};
    if (channel_->loop()->inside()) return Status(Code::kFailedPrecondition, "a blocking call inside its loop's turn");
    begun_ = true;
    blocking_ = true;
  }
  if (!one_answer()) credits_ = kAhead;
  Status s;
  if (with_message && one_request()) {
    sent_ = true;
    s = encoded();
    if (s.ok()) s = queue(true);
  }
  set_deadline();
  if (!s.ok()) cancel(this);  // it cannot be asked any more, and ends as one that was canceled
  go(true);
  return s;
}

Status StreamCall::start_op(Channel* channel, const schema::Method* m, const zcrpc_op* op, Slice message, base::Buffer* buffer, Slice meta) {
  CallConfig config = channel->call_config();
  if (op->timeout_ms) config.timeout_ms = op->timeout_ms;
  Result<StreamCall*> made = make(channel, m, config);
  if (!made.ok()) return made.take_status();
  StreamCall* c = *made;
  c->begun_ = true;
  Status s = c->read_block(meta);
  bool last = op->flags & ZCRPC_OP_LAST;
  if (s.ok() && !(op->flags & ZCRPC_OP_NO_MESSAGE)) {
    s = c->given(message, buffer);
    last = last || c->one_request();
    if (s.ok()) s = c->queue(last);
    c->sent_ = true;
  } else if (s.ok() && last) {
    s = c->queue(true);
  }
  if (!s.ok()) {
    destroy(c);
    return s;
  }
  if (buffer) buffer->release();  // it passed with success
  c->set_deadline();
  c->tag = op->tag;
  c->done.released = [](rpc::Event* e) { e->call->release(); };
  c->state_.store(State::kBegun);
  c->begin();
  return {};
}

// [inside] What was queued before it began goes behind the head.
Status StreamCall::open(ClientCall* call) {
  auto* c = static_cast<StreamCall*>(call);
  Result<int64_t> left = c->arm();
  if (!left.ok()) return left.take_status();
  Channel* ch = c->channel_;
  Result<Transport*> transport = ch->transport();
  if (!transport.ok()) return transport.take_status();
  Transport* t = *transport;
  rpc::ConnectCall call_head;
  call_head.codec = c->config_.codec;
  call_head.streams = true;
  call_head.coding = c->config_.coding;
  call_head.timeout_ns = *left;
  call_head.metadata = &c->request_headers_;
  call_head.codings = &ch->codings();
  ZCRPC_TRY(rpc::connect_headers(call_head, false, &c->headers_));
  c->target_.append(ch->target().prefix).append(c->method->path);
  if (!c->target_.ok()) return Status::no_memory();
  c->answer_.begin(c->config_.codec, c->config_.message_limit, ch->pool(), &ch->codings());
  HttpRequest r;
  r.target = c->target_.view();
  r.headers = &c->headers_;
  r.streams = true;
  Result<HttpExchange*> e = t->start(t, r, c);
  if (!e.ok()) return e.take_status();
  c->exchange_ = *e;
  {
    std::lock_guard lock(c->gate_);
    c->live_ = *e;
    c->transport_ = t;
  }
  int64_t early = c->given_.exchange(0);  // before it began
  if (!c->one_answer()) c->credits_ += early;
  return c->flush() ? Status() : Status::no_memory();
}

// ---- Verbs ----

void StreamCall::read(rpc::Call* call, int32_t credits) {
  auto* c = static_cast<StreamCall*>(call);
  if (credits <= 0 || c->one_answer() || c->has(rpc::kDone)) return;
  // Nobody needs more than that at once, and nothing can overflow.
  int32_t was = c->given_.load();
  int32_t now;
  do now = was > INT32_MAX - credits ? INT32_MAX : was + credits;
  while (!c->given_.compare_exchange_weak(was, now));
  c->work_soon();
}

Status StreamCall::next(rpc::Call* call, schema::View* message) {
  auto* c = static_cast<StreamCall*>(call);
  *message = nullptr;
  if (!c->method->output) return Status(Code::kUnimplemented, "a method without a schema has no views: its messages come as events");
  if (c->channel_->loop()->inside()) return Status(Code::kFailedPrecondition, "a blocking call inside its loop's turn");
  ZCRPC_TRY(c->begin_blocking(true));
  if (!c->blocking_) return Status(Code::kFailedPrecondition, "the call was started, and its messages come as events");
  if (c->one_answer()) ZCRPC_TRY(close_send(c));  // it comes when all was asked
  if (c->current_) {
    const base::ReleaseReason reason("the next message of its stream");
    Inbound::destroy(c->current_);
  }
  c->current_ = nullptr;
  ZCRPC_TRY(c->channel_->wait(c, [](ClientCall* waits) {
    auto* self = static_cast<StreamCall*>(waits);
    std::lock_guard lock(self->gate_);
    return self->ready_ != nullptr;
  }));
  {
    std::lock_guard lock(c->gate_);
    if (Inbound* m = c->ready_) {
      c->ready_ = m->following;
      if (!c->ready_) c->ready_end_ = &c->ready_;
      m->following = nullptr;
      c->current_ = m;
    }
  }
  if (c->current_) {
    *message = c->current_->message;
    read(c, 1);
    return {};
  }
  if (c->has(rpc::kDone) && c->error) return Status(copy_of(c->error));
  return {};
}

base::Metadata* StreamCall::metadata(rpc::Call* call, int32_t which) {
  auto* c = static_cast<StreamCall*>(call);
  if (which == ZCRPC_REQUEST_HEADERS) return &c->request_headers_;
  if (!c->head_done_.load(std::memory_order_acquire)) return nullptr;
  if (which == ZCRPC_RESPONSE_HEADERS) return &c->answer_.headers();
  return which == ZCRPC_RESPONSE_TRAILERS && c->has(rpc::kDone) ? &c->answer_.trailers() : nullptr;
}

void StreamCall::info(const rpc::Call* call, zcrpc_call_info* out) {
  auto* c = static_cast<const StreamCall*>(call);
  c->fill_info(out);
  out->messages_out = c->messages_out_.load(std::memory_order_relaxed);
  out->bytes_out = c->bytes_out_.load(std::memory_order_relaxed);
  out->messages_in = c->messages_in_.load(std::memory_order_relaxed);
  out->bytes_in = c->bytes_in_.load(std::memory_order_relaxed);
}

// [inside] Operations of a turn.
Status StreamCall::op(rpc::Call* call, const zcrpc_op* op, Slice message, base::Buffer* buffer, Slice) {
  auto* c = static_cast<StreamCall*>(call);
  switch (op->kind) {
    case ZCRPC_OP_CANCEL: cancel(c); break;
    case ZCRPC_OP_READ: read(c, op->value); break;
    case ZCRPC_OP_SEND: {
      if (!(op->flags & ZCRPC_OP_NO_MESSAGE)) ZCRPC_TRY(send_bytes(c, message, buffer));
      if (op->flags & ZCRPC_OP_LAST) ZCRPC_TRY(close_send(c));
      if (op->flags & ZCRPC_OP_ASK_ROOM) {
        {
          std::lock_guard lock(c->gate_);
          c->starved_ = true;
        }
        c->tell_room();
      }
      break;
    }
    default: return Status(Code::kInvalidArgument, "not an operation for a client's call");
  }
  if (buffer) buffer->release();
  return {};
}

// ---- The end ----

Status StreamCall::outcome() {
  if (!end_.ok()) return or_late(std::move(end_));
  if (broken_) return std::move(why_);
  return answer_.finish();
}

// [inside] The one end of every call.
void StreamCall::finish(ClientCall* call, Status s) {
  auto* c = static_cast<StreamCall*>(call);
  c->head_done_.store(true, std::memory_order_release);
  {
    std::lock_guard lock(c->gate_);
    c->over_ = true;
    c->live_ = nullptr;
    for (const base::Piece& p : c->queue_) p.buffer->release();
    c->queue_.drop();
    c->queued_ = 0;
  }
  if (c->exchange_) c->channel_->cancel(c->exchange_);
  c->exchange_ = nullptr;
  for (size_t i = c->held_at_; i < c->held_.size(); i++) c->held_[i].buffer->release();
  c->held_.drop();
  c->held_at_ = 0;
  bool asked = c->one_answer() && !c->blocking_;
  if (s.ok() && c->one_answer() && !c->messages_in_.load()) s = Status(Code::kUnimplemented, "the method answers with one message, none came");
  c->counters->copied_out_by(c->copies_.exchange(0), c->copied_.exchange(0));
  rpc::Counters::add(c->counters->copies_in, c->answer_.reader().copies);
  rpc::Counters::add(c->counters->bytes_copied_in, c->answer_.reader().bytes_copied);
  if (!c->ending(s)) return;
  c->error = s.take();
  if (!c->error && asked && c->reply_) {
    zcrpc_event& r = c->done.record;
    r.data = c->reply_->record.data;
    r.len = c->reply_->record.len;
    r.index = c->reply_->record.index;
    r.index_len = c->reply_->record.index_len;
    c->done.message = c->reply_->message;
    c->done.buffer = c->reply_->buffer;
  }
  c->tell_end();
}

}  // namespace zcrpc::client
