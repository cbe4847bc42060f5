// A stream's requests: messages of any thread, in their envelopes, on their way to the transport.
#include <algorithm>
#include <cstring>

#include "client/request.h"
#include "client/stream_call.h"

namespace zcrpc::client {

using base::Buffer;
using base::BufferRef;
using base::Code;
using base::Piece;
using base::Result;
using base::Slice;
using base::Status;
using rpc::kEnvelope;

namespace {
constexpr size_t kByReference = 4096;  // what is smaller is copied, so that it does not pin an encoder's memory
}  // namespace

// ---- [any] the writer

Status StreamCall::may_send() {
  if (has(rpc::kDone)) return error ? Status(error->code(), "the call has ended") : Status(Code::kCanceled, "the call has ended");
  if (one_request() && sent_) return Status(Code::kFailedPrecondition, "the method takes one message, and it was sent");
  std::lock_guard lock(gate_);
  if (half_closed_) return Status(Code::kFailedPrecondition, "nothing is sent behind the end");
  return {};
}

// Whoever blocks waits here instead of filling memory.
Status StreamCall::await_room() {
  if (!blocking_ || channel_->loop()->inside()) return {};
  ZCRPC_TRY(channel_->wait(this, [](ClientCall* waits) {
    auto* self = static_cast<StreamCall*>(waits);
    std::lock_guard lock(self->gate_);
    if (self->over_ || self->room_now()) return true;
    self->starved_ = true;
    return false;
  }));
  return may_send();
}

Status StreamCall::send(rpc::Call* call) {
  auto* c = static_cast<StreamCall*>(call);
  bool first;
  {
    std::lock_guard lock(c->gate_);
    first = !c->begun_;
  }
  if (first) {
    ZCRPC_TRY(c->begin_blocking(true));
    if (c->one_request()) return {};
  }
  ZCRPC_TRY(c->may_send());
  ZCRPC_TRY(c->await_room());
  Status s = c->encoded();
  return s.ok() ? c->queue(false) : std::move(s);
}

Status StreamCall::send_bytes(rpc::Call* call, Slice bytes, Buffer* buffer) {
  auto* c = static_cast<StreamCall*>(call);
  ZCRPC_TRY(c->begin_blocking(false));
  ZCRPC_TRY(c->may_send());
  ZCRPC_TRY(c->await_room());
  ZCRPC_TRY(c->given(bytes, buffer));
  c->sent_ = true;
  return c->queue(c->one_request());
}

Status StreamCall::close_send(rpc::Call* call) {
  auto* c = static_cast<StreamCall*>(call);
  ZCRPC_TRY(c->begin_blocking(true));
  return c->queue(true);
}

bool StreamCall::add_part(Slice bytes, Buffer* buffer) {
  if (parts_.push({bytes, buffer})) return true;
  buffer->release();
  return false;
}

void StreamCall::drop_parts() {
  for (const Piece& p : parts_) p.buffer->release();
  parts_.clear();
}

// Memory for so many bytes that are copied, behind an envelope.
Buffer* StreamCall::copied(size_t head, size_t bytes) {
  if (bytes) {
    copies_.fetch_add(1, std::memory_order_relaxed);
    copied_.fetch_add(bytes, std::memory_order_relaxed);
  }
  return Buffer::make(head + bytes, channel_->allocator());
}

// The encoder's message, which is another one afterwards. From kByReference on its memory goes as it is, with the envelope
// in the room that was left before it.
Status StreamCall::encoded() {
  Status s;
  if (encode::failed(encoder)) {
    s = encode::take_status(encoder);
  } else if (config_.codec == rpc::Codec::kJson || config_.coding != compress::Coding::kIdentity) {
    Result<Buffer*> wire = encode::finish(encoder);
    if (wire.ok()) {
      s = coded(*wire);
      (*wire)->release();
    } else {
      s = wire.take_status();
    }
  } else {
    s = encoded_plain();
  }
  if (!s.ok()) drop_parts();
  encode::reset(encoder, method->input, kEnvelope);
  return s;
}

Status StreamCall::encoded_plain() {
  Result<Slice> whole = encode::contiguous(encoder);
  if (!whole.ok()) return whole.take_status();
  if (whole->data && whole->size < kByReference) {
    Buffer* b = copied(kEnvelope, whole->size);
    if (!b) return Status::no_memory();
    rpc::write_envelope(b->writable(), 0, uint32_t(whole->size));
    if (whole->size) memcpy(b->writable() + kEnvelope, whole->data, whole->size);
    return add_part(b->slice(), b) ? Status() : Status::no_memory();
  }
  size_t offset = 0;
  Result<Buffer*> chunk = encode::take_chunk(encoder, &offset);
  if (!chunk.ok()) return chunk.take_status();
  if (Buffer* b = *chunk) {
    rpc::write_envelope(b->writable(), 0, uint32_t(b->size() - offset));
    return add_part(b->slice(), b) ? Status() : Status::no_memory();
  }
  // Parts of it lie elsewhere: what is the encoder's own is copied.
  Result<std::span<const encode::Part>> parts = encode::gather(encoder);
  if (!parts.ok()) return parts.take_status();
  size_t size = 0, own = 0;
  for (const encode::Part& p : *parts) {
    size += p.bytes.size;
    if (!p.buffer) own += p.bytes.size;
  }
  BufferRef copies(copied(kEnvelope, own));
  if (!copies) return Status::no_memory();
  uint8_t* to = copies->writable();
  rpc::write_envelope(to, 0, uint32_t(size));
  const uint8_t* from = to;
  to += kEnvelope;
  auto close = [&] {
    bool good = to == from || add_part({from, size_t(to - from)}, copies->retain());
    from = to;
    return good;
  };
  for (const encode::Part& p : *parts) {
    if (!p.buffer) {
      memcpy(to, p.bytes.data, p.bytes.size);
      to += p.bytes.size;
    } else if (!close() || !add_part(p.bytes, p.buffer->retain())) {
      return Status::no_memory();
    }
  }
  return close() ? Status() : Status::no_memory();
}

Status StreamCall::given(Slice bytes, Buffer* buffer) {
  Status s;
  if (buffer) {
    s = coded(buffer);
  } else if (Buffer* b = copied(0, bytes.size)) {
    if (bytes.size) memcpy(b->writable(), bytes.data, bytes.size);
    s = coded(b);
    b->release();
  } else {
    s = Status::no_memory();
  }
  if (!s.ok()) drop_parts();
  return s;
}

Status StreamCall::coded(Buffer* wire) {
  Result<Buffer*> message = coded_message(method, config_, wire);
  if (!message.ok()) return message.take_status();
  BufferRef text(*message);
  Result<Buffer*> smaller = compressed_message(text.get(), config_, channel_->pool(), channel_->codings());
  if (!smaller.ok()) return smaller.take_status();
  BufferRef packed(*smaller);
  return packed ? enveloped(packed.get(), 1) : enveloped(text.get(), 0);
}

Status StreamCall::enveloped(Buffer* message, uint8_t mark) {
  if (message->size() > UINT32_MAX) return Status(Code::kResourceExhausted, "message is larger than an envelope can tell");
  bool stays = message->size() >= kByReference;
  Buffer* head = copied(kEnvelope, stays ? 0 : message->size());
  if (!head) return Status::no_memory();
  rpc::write_envelope(head->writable(), mark, uint32_t(message->size()));
  if (!stays && message->size()) memcpy(head->writable() + kEnvelope, message->data(), message->size());
  if (!add_part(head->slice(), head)) return Status::no_memory();
  return !stays || add_part(message->slice(), message->retain()) ? Status() : Status::no_memory();
}

// What is in parts_ goes, or just the end.
Status StreamCall::queue(bool last) {
  size_t size = 0;
  for (const Piece& p : parts_) size += p.bytes.size;
  bool message = size > 0, late, good = false;
  {
    std::lock_guard lock(gate_);
    late = over_;
    if (!late && queue_.reserve(queue_.size() + parts_.size())) {
      for (const Piece& p : parts_) (void)queue_.push(p);
      parts_.clear();
      queued_ += size;
      half_closed_ = half_closed_ || last;
      good = true;
    }
  }
  drop_parts();
  if (late && !message) return {};  // an end behind the end is none
  if (late) return Status(Code::kCanceled, "the call has ended");
  if (!good) return Status::no_memory();
  if (message) {
    messages_out_.fetch_add(1, std::memory_order_relaxed);
    bytes_out_.fetch_add(size - kEnvelope, std::memory_order_relaxed);
  }
  work_soon();
  return {};
}

size_t StreamCall::room_now() {
  if (over_ || half_closed_) return 0;
  size_t n = live_ ? transport_->room(transport_, live_, kRoom) : kRoom;
  return n > queued_ ? n - queued_ : 0;
}

size_t StreamCall::room(const rpc::Call* call) {
  auto* c = const_cast<StreamCall*>(static_cast<const StreamCall*>(call));
  std::lock_guard lock(c->gate_);
  size_t n = c->room_now();
  if (!n) c->starved_ = true;
  return n;
}

// Messages, or credits, wait for the loop.
void StreamCall::work_soon() {
  if (state_.load() == State::kNew || working_.exchange(true)) return;  // open takes what comes before
  retain();
  channel_->run_inside(&work_);
}

// ---- [inside]

// As a task, with a reference.
void StreamCall::work() {
  working_.store(false);
  if (state_.load() == State::kRunning) {
    int64_t more = given_.exchange(0);
    if (!one_answer()) credits_ += more;
    if (!flush()) {
      finish(this, Status::no_memory());
    } else {
      tell_room();
      pull();
    }
  }
  release();
}

// False: no memory.
bool StreamCall::flush() {
  bool last;
  {
    std::lock_guard lock(gate_);
    if (!live_) return true;
    std::swap(taken_, queue_);
    queued_ = 0;
    last = half_closed_ && !closed_;
  }
  bool good = true;
  if (!taken_.empty() || last) {
    size_t size = 0;
    for (const Piece& p : taken_) size += p.bytes.size;
    good = transport_->send(transport_, exchange_, {taken_.data(), taken_.size()}, last);
    closed_ = closed_ || last;
    rpc::Counters::add(counters->bytes_out, size);
    rpc::Counters::add(counters->messages_out, messages_out_.load(std::memory_order_relaxed) - messages_told_);
    messages_told_ = messages_out_.load(std::memory_order_relaxed);
    counters->copied_out_by(copies_.exchange(0), copied_.exchange(0));
  }
  for (const Piece& p : taken_) p.buffer->release();
  taken_.clear();
  return good;
}

void StreamCall::tell_room() {
  size_t room;
  {
    std::lock_guard lock(gate_);
    if (!starved_ || !live_ || half_closed_) return;
    if (transport_->room(transport_, live_, kRoom / 2) == 0) return;  // it will say when
    starved_ = false;
    room = room_now();
  }
  if (blocking_) return channel_->tell();
  if (writable_waits_ || !try_retain()) return;
  writable_waits_ = true;
  writable_.record = {};
  writable_.record.kind = ZCRPC_EVENT_WRITABLE;
  writable_.record.value = int32_t(room);
  hub->push(&writable_);
  release();
}

}  // namespace zcrpc::client
