#include "rpc/call.h"

#include <utility>

#include "base/public_entry.h"
#include "rpc/thrown.h"

namespace zcrpc::rpc {

// An id is the place in the table, plus 1, in the low 24 bits, and above it a generation that grows with each call
// of the place: 2^40 calls a place until one would return.
namespace {
constexpr int kPlaceBits = 24;
constexpr uint64_t kPlaceMask = (uint64_t(1) << kPlaceBits) - 1;
}  // namespace

bool Hub::add(Call* c) {
  if (!free_) {
    if (slots_.size() >= kPlaceMask - 1 || !slots_.push(Slot{nullptr, 0, 0})) return false;
    free_ = uint32_t(slots_.size());
  }
  uint32_t place = free_ - 1;
  Slot& s = slots_[place];
  free_ = s.next_free;
  s.call = c;
  s.generation++;
  s.next_free = 0;
  c->hub = this;
  c->id = s.generation << kPlaceBits | (place + 1);
  return true;
}

void Hub::remove(Call* c) {
  uint64_t place = (c->id & kPlaceMask) - 1;
  if (c->id == 0 || place >= slots_.size() || slots_[place].call != c) return;
  slots_[place].call = nullptr;
  slots_[place].next_free = free_;
  free_ = uint32_t(place) + 1;
}

Call* Hub::find(uint64_t id) const {
  uint64_t place = (id & kPlaceMask) - 1;
  if (place >= slots_.size()) return nullptr;
  const Slot& s = slots_[place];
  return s.generation == id >> kPlaceBits ? s.call : nullptr;
}

void Hub::push(Event* e) {
  if (e->call) e->call->retain();
  e->next = nullptr;
  (tail_ ? tail_->next : head_) = e;
  tail_ = e;
  if (pushed) pushed(this, pushed_user);
}

void Hub::pop() {
  head_ = head_->next;
  if (!head_) tail_ = nullptr;
}

void Hub::release(Event* e) {
  Call* c = e->call;
  bool last = e->record.kind == ZCRPC_EVENT_DONE;
  if (e->released) {
    const base::ReleaseReason reason(e->record.kind == ZCRPC_EVENT_MESSAGE ? "the end of its event" : nullptr);
    e->released(e);
  }
  if (!c) return;
  if (last) remove(c);
  c->release();
}

void Hub::run_functions() { run(true); }

void Hub::run_before() { run(false); }

void Hub::run(bool deliver) {
  Event* kept_head = nullptr;
  Event* kept_tail = nullptr;
  while (Event* e = head_) {
    pop();
    if (e->before && !std::exchange(e->before, nullptr)(e)) {
      release(e);
      continue;
    }
    Call* c = e->call;
    if (!deliver || !c || !c->fn) {
      e->next = nullptr;
      (kept_tail ? kept_tail->next : kept_head) = e;
      kept_tail = e;
      continue;
    }
    zcrpc_event record = e->record;
    record.call = c->id;
    record.tag = c->tag;
    c->delivering = e;
    Thrown thrown;
    bool good = came_back([&] { c->fn(reinterpret_cast<zcrpc_call*>(c), &record, reinterpret_cast<const zcrpc_view*>(e->message), c->fn_user); }, &thrown);
    c->delivering = nullptr;
    if (!good) [[unlikely]] c->verbs->threw(c, thrown.what());
    release(e);
  }
  head_ = kept_head;
  tail_ = kept_tail;
}

uint64_t Hub::bind(Target* t) { return targets_.push(t) ? targets_.size() : 0; }

void Hub::unbind(uint64_t id) {
  if (id - 1 < targets_.size()) targets_[id - 1] = nullptr;
}

Target* Hub::target(uint64_t id) const { return id - 1 < targets_.size() ? targets_[id - 1] : nullptr; }

}  // namespace zcrpc::rpc
