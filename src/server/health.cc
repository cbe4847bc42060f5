#include "server/health.h"

#include <cstdlib>
#include <cstring>
#include <new>

#include "server/server.h"
#include "server/services.h"

namespace zcrpc::server {

using base::Code;

Health* Health::make() {
  auto* h = new (std::nothrow) Health;
  if (h && !h->set("", true).ok()) {
    delete h;
    h = nullptr;
  }
  return h;
}

Health::~Health() {
  for (Service* s : services_) std::free(s);
  for (Watcher** list : {&quiet_, &due_})
    while (Watcher* w = *list) drop(w);  // of calls whose last event nobody took
}

Health::Service* Health::find(std::string_view service) const {
  for (Service* s : services_)
    if (s->name() == service) return s;
  return nullptr;
}

Health::Status Health::status_of(std::string_view service) const {
  const Service* s = find(service);
  return !s ? kServiceUnknown : s->serving && !draining_ ? kServing : kNotServing;
}

base::Status Health::set(std::string_view service, bool serving) {
  std::unique_lock lock(gate_);
  Service* s = find(service);
  if (!s) {
    auto* memory = static_cast<Service*>(std::malloc(sizeof(Service) + service.size()));
    if (!memory || !services_.push(memory)) {
      std::free(memory);
      return base::Status::no_memory();
    }
    s = new (memory) Service{serving, uint32_t(service.size())};
    service.copy(reinterpret_cast<char*>(s + 1), service.size());
  }
  s->serving = serving;
  all_dirty();
  tell(lock);
  return {};
}

void Health::drain() {
  std::unique_lock lock(gate_);
  if (draining_) return;
  draining_ = true;
  all_dirty();
  tell(lock);
}

void Health::end_watches() {
  std::unique_lock lock(gate_);
  if (ended_) return;
  draining_ = ended_ = true;
  all_dirty();
  tell(lock);
}

// ---- handlers

zcrpc_code Health::check(zcrpc_call* call, const zcrpc_view* request, zcrpc_encoder* reply, void* user) {
  auto* self = static_cast<Health*>(user);
  rpc::Call* c = call_of(call);
  base::Slice service = schema::string(view_of(request), c->method->input->by_number(1));
  self->polled_ns_.store(static_cast<ServerCall*>(c)->begun_ns(), std::memory_order_relaxed);
  Status now;
  {
    std::lock_guard lock(self->gate_);
    now = self->status_of(service.text());
  }
  if (now == kServiceUnknown) {
    c->verbs->finish(c, told(Code::kNotFound, "unknown service"));
    return ZCRPC_NOT_FOUND;
  }
  encode::put_int64(reinterpret_cast<encode::Encoder*>(reply), 1, now);
  return ZCRPC_OK;
}

zcrpc_code Health::list(zcrpc_call*, const zcrpc_view*, zcrpc_encoder* reply, void* user) {
  auto* self = static_cast<Health*>(user);
  auto* e = reinterpret_cast<encode::Encoder*>(reply);
  std::lock_guard lock(self->gate_);
  for (const Service* s : self->services_) {
    encode::begin(e, 1);
    encode::put_string(e, 1, base::Slice(s->name()));
    encode::begin(e, 2);
    encode::put_int64(e, 1, self->status_of(s->name()));
    encode::end(e);
    encode::end(e);
  }
  return ZCRPC_OK;
}

void Health::watch(zcrpc_call* call, const zcrpc_event* event, const zcrpc_view* request, void* user) {
  auto* self = static_cast<Health*>(user);
  rpc::Call* c = call_of(call);
  std::unique_lock lock(self->gate_);
  Watcher* w = of(c, self);
  switch (event->kind) {
    case ZCRPC_EVENT_REQUEST:
      // A value, since what zcrpc_call_set_user has put there is an interceptor's.
      w = new (std::nothrow) Watcher{};
      if (!w || !c->values.push({self, w, nullptr})) {
        delete w;
        lock.unlock();
        c->verbs->finish(c, base::Status::no_memory());
        return;
      }
      w->call = c;
      w->service = schema::string(view_of(request), c->method->input->by_number(1)).text();
      self->watched_.fetch_add(1, std::memory_order_relaxed);
      self->move(w, &self->quiet_);
      self->mark(w);
      break;
    case ZCRPC_EVENT_WRITABLE:
      if (w) self->mark(w);
      break;
    case ZCRPC_EVENT_DONE:
      if (!w) return;
      self->watched_.fetch_sub(1, std::memory_order_relaxed);
      w->gone = true;
      if (!w->busy) self->drop(w);
      return;
    default: return;
  }
  self->tell(lock);
}

// ---- watchers

Health::Watcher* Health::of(const rpc::Call* c, const Health* h) {
  for (const rpc::Call::Value& v : c->values)
    if (v.key == h) return static_cast<Watcher*>(v.value);
  return nullptr;
}

void Health::unlink(Watcher* w) {
  if (!w->list) return;
  (w->prev ? w->prev->next : *w->list) = w->next;
  if (w->next) w->next->prev = w->prev;
}

void Health::move(Watcher* w, Watcher** list) {
  unlink(w);
  w->list = list;
  w->prev = nullptr;
  w->next = *list;
  if (w->next) w->next->prev = w;
  *list = w;
}

void Health::drop(Watcher* w) {
  unlink(w);
  delete w;
}

void Health::mark(Watcher* w) {
  w->dirty = true;
  if (!w->busy) move(w, &due_);
}

void Health::all_dirty() {
  for (Watcher* w = quiet_; w;) {
    Watcher* following = w->next;
    mark(w);
    w = following;
  }
}

// Sending may enter another loop, whose work may come back here: so it is done without the lock, and each time from the
// beginning, since the list may have changed. What is busy is looked at again by who made it so.
void Health::tell(std::unique_lock<std::mutex>& lock) {
  while (due_) write(due_, lock);
}

void Health::write(Watcher* w, std::unique_lock<std::mutex>& lock) {
  rpc::Call* c = w->call;
  Status now = status_of(w->service);
  bool news = now != w->sent, ends = ended_;
  w->dirty = false;
  w->busy = true;
  move(w, &quiet_);
  c->retain();
  lock.unlock();
  bool sent = false;
  // A reader that takes nothing gets the latest when it does: WRITABLE tells.
  if (news && c->verbs->room(c) > 0) {
    encode::put_int64(c->encoder, 1, now);
    sent = c->verbs->send(c).ok();
  }
  if (ends) c->verbs->finish(c, told(Code::kUnavailable, "the server is shutting down"));
  lock.lock();
  if (sent) w->sent = now;
  w->busy = false;
  if (w->gone) drop(w);
  else if (w->dirty) move(w, &due_);
  lock.unlock();
  c->release();  // perhaps the last: that, too, is work of a loop
  lock.lock();
}

base::Status add_health(Server* s, const schema::Schema* types) {
  Route r;
  r.uncounted = true;
  r.user = &s->health();
  auto add = [&](const char* path, zcrpc_unary_fn fn, zcrpc_event_fn event_fn) {
    r.method = types->method(path);
    r.fn = fn;
    r.event_fn = event_fn;
    return s->set(r, {}, "", false);
  };
  r.message_limit = 4096;
  ZCRPC_TRY(add("grpc.health.v1.Health/Check", Health::check, nullptr));
  ZCRPC_TRY(add("grpc.health.v1.Health/List", Health::list, nullptr));
  return add("grpc.health.v1.Health/Watch", nullptr, Health::watch);
}

}  // namespace zcrpc::server
