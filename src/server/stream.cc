#include "server/stream.h"

#include <cstring>
#include <new>
#include <utility>

#include "http/output.h"
#include "rpc/message.h"
#include "server/worker.h"

namespace zcrpc::server {

using base::Piece;
using base::Slice;

namespace {
// What pooled objects keep for the next call.
constexpr size_t kKept = 64 << 10;

void trim(base::Arena* a) {
  if (a->reserved() > kKept) {
    const base::Allocator* from = a->allocator();
    a->~Arena();
    new (a) base::Arena(from);
  } else {
    a->reset();
  }
}
template <class T>
void trim(base::Vec<T>* v) {
  if (v->capacity() * sizeof(T) > kKept) v->drop();
  v->clear();
}
void trim(base::String* s) {
  if (s->bytes().capacity() > kKept) s->bytes().drop();
  s->clear();
}
}  // namespace

// ---- deliveries

Delivery* Delivery::make(Worker* w) {
  auto* d = base::make_in<Delivery>(w->allocator(), w->allocator());
  if (d) d->worker = w;
  return d;
}

void Delivery::destroy(Delivery* d) {
  d->clear();
  encode::encoder_free(d->from_json);
  base::drop_in(d->worker->allocator(), d);
}

void Delivery::clear() {
  if (hold) hold->release();
  hold = nullptr;
  trim(&arena);
  if (from_json) {
    encode::reset(from_json, nullptr);
    encode::trim(from_json, kKept);
  }
}

// ---- what waits to be sent

bool Outbox::add(uint8_t flags, size_t size, std::span<const Piece> message) {
  auto by_reference = [](const Piece& p) { return p.buffer && p.bytes.size >= http::kByReference; };
  size_t copied = rpc::kEnvelope;
  for (const Piece& p : message)
    if (!by_reference(p)) copied += p.bytes.size;
  size_t at = bytes_.size();
  if (!parts_.reserve(parts_.size() + 2 * message.size() + 1)) return false;
  uint8_t* to = bytes_.grow(copied);
  if (!to) return false;
  uint8_t* start = to;
  if (copied > rpc::kEnvelope) {
    copies_++;
    bytes_copied_ += copied - rpc::kEnvelope;
  }
  rpc::write_envelope(to, flags, uint32_t(size));
  to += rpc::kEnvelope;
  // Neighbours in bytes_ are one part.
  auto close = [&] {
    size_t n = size_t(to - start);
    if (n == 0) return;
    if (!parts_.empty() && !parts_.back().buffer) {
      parts_.back().size += n;
    } else {
      (void)parts_.push({at, n, nullptr, nullptr});
    }
    at += n;
    start = to;
  };
  for (const Piece& p : message) {
    if (by_reference(p)) {
      close();
      (void)parts_.push({0, p.bytes.size, p.buffer->retain(), p.bytes.data});
    } else if (p.bytes.size) {
      memcpy(to, p.bytes.data, p.bytes.size);
      to += p.bytes.size;
    }
  }
  close();
  size_ += rpc::kEnvelope + size;
  return true;
}

bool Outbox::add(const Piece& p) {
  if (!parts_.reserve(parts_.size() + 1)) return false;
  if (p.buffer && p.bytes.size >= http::kByReference) {
    (void)parts_.push({0, p.bytes.size, p.buffer->retain(), p.bytes.data});
  } else if (p.bytes.size) {
    size_t at = bytes_.size();
    if (!bytes_.append(p.bytes.data, p.bytes.size)) return false;
    copies_++;
    bytes_copied_ += p.bytes.size;
    if (!parts_.empty() && !parts_.back().buffer) {
      parts_.back().size += p.bytes.size;
    } else {
      (void)parts_.push({at, p.bytes.size, nullptr, nullptr});
    }
  }
  size_ += p.bytes.size;
  return true;
}

void PlainState::clear() {
  status = 0;
  type.clear();
  lines.clear();
  length = -1;
  left = 0;
  bodiless = false;
}

void Outbox::clear() {
  for (const Part& p : parts_)
    if (p.buffer) p.buffer->release();
  parts_.clear();
  bytes_.clear();
  size_ = 0;
  copies_ = bytes_copied_ = 0;
}

void Outbox::count_copies(rpc::Counters* to) {
  if (copies_ == 0) return;
  to->add(to->copies_out, std::exchange(copies_, 0));
  to->add(to->bytes_copied_out, std::exchange(bytes_copied_, 0));
}

void Outbox::trim() {
  clear();
  server::trim(&bytes_);
  server::trim(&parts_);
}

void Outbox::swap(Outbox* o) {
  std::swap(bytes_, o->bytes_);
  std::swap(parts_, o->parts_);
  std::swap(size_, o->size_);
  std::swap(copies_, o->copies_);
  std::swap(bytes_copied_, o->bytes_copied_);
}

bool Outbox::pieces(base::Vec<Piece>* list) const {
  if (!list->reserve(list->size() + parts_.size())) return false;
  for (const Part& p : parts_) (void)list->push({p.buffer ? Slice(p.data, p.size) : Slice(bytes_.data() + p.offset, p.size), p.buffer});
  return true;
}

// ---- the state

void StreamState::recycle() {
  filling.trim();
  sending.trim();
  over = false;
  queued.store(0, std::memory_order_relaxed);
  starved.store(false, std::memory_order_relaxed);
  crowded.store(false, std::memory_order_relaxed);
  headers_gone.store(false, std::memory_order_relaxed);
  for (std::atomic<uint64_t>* n : {&messages_out, &bytes_out, &messages_in, &bytes_in, &size_out}) n->store(0, std::memory_order_relaxed);
  trim(&parts);
  trim(&arena);
  trim(&json);
  trim(&pieces);
  trim(&text);
  begun = ending = ended = pump_due = writable_waits = false;
  given.store(0, std::memory_order_relaxed);
  credits = 0;
  trim(&held);
  held_at = 0;
  text_in.reset();
  trim(&decoded);
  peer_ended = half_closed = broken = false;
}

}  // namespace zcrpc::server
