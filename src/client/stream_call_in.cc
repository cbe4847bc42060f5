// A stream's answers: what the transport brings becomes messages as far as credits go, messages become events, or what a
// blocking caller asks for next.
#include <cstring>

#include "client/stream_call.h"
#include "json/json.h"
#include "view/view.h"

namespace zcrpc::client {

using base::Buffer;
using base::Code;
using base::Result;
using base::Slice;
using base::Status;

// ---- The sink. Who has let go of the call hears nothing of it any more, though its exchange may not have ended yet.

bool StreamCall::on_status(int32_t http) {
  answer_.status(http);
  return true;
}

bool StreamCall::on_header(std::string_view name, std::string_view value) { return answer_.header(name, value); }

bool StreamCall::on_data(Slice bytes, Buffer* holder) {
  if (!try_retain()) return false;
  in_sink_ = true;
  head_done_.store(true, std::memory_order_release);
  rpc::Counters::add(counters->bytes_in, bytes.size);
  Buffer* b = holder ? holder->retain() : Buffer::make(bytes.size, channel_->allocator());
  if (b && !holder) {
    memcpy(b->writable(), bytes.data, bytes.size);
    bytes = b->slice();
    counters->copied_in(bytes.size);
  }
  if (b && held_.push({bytes, b})) {
    pull();
  } else {
    if (b) b->release();
    spoil(Status::no_memory());
  }
  bool go_on = !broken_;
  release();  // if it is the last one, the call goes at the end of the phase
  in_sink_ = false;
  return go_on;
}

void StreamCall::on_ended(Status s) {
  exchange_ = nullptr;
  {
    std::lock_guard lock(gate_);
    live_ = nullptr;
  }
  if (!try_retain()) return;
  head_done_.store(true, std::memory_order_release);
  ended_ = true;
  end_ = std::move(s);
  if (!end_.ok() || broken_) finish(this, outcome());
  else pull();
  release();
}

// ----

// What is held becomes messages, and perhaps the end.
void StreamCall::pull() {
  while (!finished_ && !broken_ && held_at_ < held_.size()) {
    base::Piece* p = &held_[held_at_];
    // The end may be read though nobody asks for more.
    if (credits_ <= 0 && !answer_.at_end(p->bytes)) break;
    Slice in = p->bytes;
    Status s = answer_.take(&in);
    size_t n = p->bytes.size - in.size;
    if (s.ok() && answer_.has_message()) {
      credits_--;
      s = deliver(p->buffer);
      answer_.reader().next();
    }
    p->bytes = in;
    if (n && exchange_ && transport_->used) transport_->used(transport_, exchange_, n);
    if (in.empty()) {
      p->buffer->release();
      held_at_++;
    }
    if (!s.ok()) return spoil(std::move(s));
  }
  if (held_at_ == held_.size()) {
    held_.clear();
    held_at_ = 0;
    if (ended_ && !finished_) finish(this, outcome());
  } else if (held_at_ >= 64 && held_at_ >= held_.size() / 2) {
    held_.shift(held_at_);
    held_at_ = 0;
  }
}

// Nothing more can be read.
void StreamCall::spoil(Status s) {
  broken_ = true;
  if (in_sink_) why_ = std::move(s);  // ended comes
  else finish(this, std::move(s));
}

StreamCall::Inbound* StreamCall::inbound() {
  if (Inbound* m = idle_) {
    idle_ = m->following;
    m->following = nullptr;
    return m;
  }
  auto* m = base::make_in<Inbound>(channel_->allocator(), channel_->allocator());
  if (!m) return nullptr;
  m->allocator = channel_->allocator();
  return m;
}

void StreamCall::give_back(Inbound* m) {
  if (idle_) return Inbound::destroy(m);
  m->clear();
  idle_ = m;
}

Status StreamCall::decode(Inbound* m, Buffer* holder) {
  rpc::MessageReader& r = answer_.reader();
  Slice message = r.message();
  if (r.borrowed() && holder) {
    m->hold = holder->retain();
  } else {
    ZCRPC_TRY(r.own());
    message = r.message();
    m->hold = r.take();
  }
  bytes_in_.fetch_add(message.size, std::memory_order_relaxed);
  view::Limits limits = config_.decode;
  bool json = config_.codec == rpc::Codec::kJson && method->output;
  if (json) {
    if (!m->from_json && !(m->from_json = encode::encoder_new(nullptr, channel_->allocator()))) return Status::no_memory();
    encode::reset(m->from_json, method->output);
    json::ParseOptions lenient;
    lenient.ignore_unknown = true;  // a newer server may say more than we know
    if (Status s = json::parse(method->output, message, lenient, m->from_json); !s.ok()) return blame_server(std::move(s), method->output);
    Result<Slice> wire = encode::contiguous(m->from_json);
    if (!wire.ok()) return wire.take_status();
    limits = view::of_text(limits, message.size, wire->size);
    message = *wire;
  }
  m->record = {};
  m->record.kind = ZCRPC_EVENT_MESSAGE;
  m->record.data = reinterpret_cast<uintptr_t>(message.data);
  m->record.len = uint32_t(message.size);
  m->buffer = json ? nullptr : m->hold;
  if (!method->output) return {};
  Result<schema::View> v = view::decode(method->output, message, !json && m->hold && m->hold->has_slack(), limits, &m->arena);
  if (!v.ok()) return blame_server(v.take_status(), method->output);
  m->message = *v;
  m->record.index = reinterpret_cast<uintptr_t>(schema::index_of(*v));
  m->record.index_len = schema::index_of(*v)->size;
  return {};
}

Status StreamCall::deliver(Buffer* holder) {
  if (one_answer() && messages_in_.load()) return Status(Code::kUnimplemented, "the method answers with one message, here comes a second");
  Inbound* m = inbound();
  if (!m) return Status::no_memory();
  if (Status s = decode(m, holder); !s.ok()) {
    Inbound::destroy(m);
    return s;
  }
  rpc::Counters::add(counters->messages_in, 1);
  messages_in_.fetch_add(1, std::memory_order_relaxed);
  if (blocking_) {
    {
      std::lock_guard lock(gate_);
      *ready_end_ = m;
      ready_end_ = &m->following;
    }
    channel_->tell();
  } else if (one_answer()) {
    reply_ = m;  // DONE has it
  } else {
    m->call = this;
    m->released = [](rpc::Event* e) { static_cast<StreamCall*>(e->call)->give_back(static_cast<Inbound*>(e)); };
    hub->push(m);
  }
  return {};
}

}  // namespace zcrpc::client
