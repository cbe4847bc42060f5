#include "client/channel.h"

#include <new>

#include "client/call.h"
#include "client/stream_call.h"
#include "rpc/thrown.h"

namespace zcrpc::client {

using base::Code;
using base::Result;
using base::Status;

Result<Channel*> Channel::make(net::Loop* loop, rpc::Hub* hub, std::string_view target, const ChannelConfig& config) {
  rpc::Thrown::prepare();
  const base::Allocator* a = loop ? loop->allocator() : base::default_allocator();
  void* p = a->alloc(sizeof(Channel), a->user);
  if (!p) return Status::no_memory();
  auto* c = new (p) Channel;
  c->allocator_ = a;
  c->config_ = config;
  c->hub_ = hub;
  c->loop_ = loop;
  Status s = parse_target(target, &c->target_);
  if (s.ok() && !loop) {
    Result<net::Loop*> own = net::Loop::make({});
    if (own.ok()) {
      c->loop_ = *own;
      c->own_loop_ = true;
    }
    s = own.take_status();
  }
  c->close_.self = c;
  c->close_.run = [](net::Task* t) {
    Channel* self = static_cast<Close*>(t)->self;
    self->shut();
    self->release();
  };
  if (!s.ok()) {
    c->~Channel();
    a->free(p, sizeof(Channel), a->user);
    return s;
  }
  return c;
}

void Channel::close() {
  // The child of a fork frees what it inherited, and runs nothing.
  if (!forked()) {
    retain();  // of the task; the last reference must not go inside a loop of our own
    run_inside(&close_);
  }
  release();
}

// [inside]
void Channel::shut() {
  closed_ = true;
  unbind_all();
  while (ClientCall* c = running_) c->abort(Status(Code::kCanceled, "the channel was closed"));
  if (transport_) transport_->free(transport_);
  transport_ = nullptr;
}

void Channel::release() {
  if (refs_.fetch_sub(1, std::memory_order_acq_rel) == 1) destroy(this);
}

void Channel::destroy(Channel* c) {
  const base::Allocator* a = c->allocator_;  // an application's loop may be gone by now
  net::Loop* own = c->own_loop_ ? c->loop_ : nullptr;
  if (c->transport_) c->transport_->free(c->transport_);  // after fork only
  c->~Channel();
  a->free(c, sizeof(Channel), a->user);
  net::Loop::free(own);
}

bool Channel::run_inside(net::Task* t) {
  if (loop_->inside()) {
    t->run(t);
    return true;
  }
  if (loop_->try_enter()) {
    t->run(t);
    loop_->leave();
    return true;
  }
  loop_->post(t);
  return false;
}

Result<Transport*> Channel::transport() {
  if (closed_) return Status(Code::kCanceled, "the channel was closed");
  if (transport_) return transport_;
  TransportOptions o;
  o.endpoint = target_.endpoint;
  o.max_header_bytes = config_.header_limit;
  o.max_connections = config_.connections;
  o.connections = &counters_.connections;
  Result<Transport*> t = config_.transport ? config_.transport(loop_, config_.transport_user) : curl_transport(loop_, o);
  if (t.ok()) transport_ = *t;
  return t;
}

static bool streams(const schema::Method* m) { return m->flags & (schema::kClientStream | schema::kServerStream); }

Status Channel::may_call(const schema::Method* m) const {
  if (streams(m) && !config_.streams) return Status(Code::kUnimplemented, "the client carries streams within the process only");
  return {};
}

Result<rpc::Call*> Channel::open(const schema::Method* m, const CallConfig& config) {
  if (forked()) return Status(Code::kFailedPrecondition, "the channel belongs to the parent process");
  ZCRPC_TRY(may_call(m));
  if (streams(m)) {
    Result<StreamCall*> c = StreamCall::make(this, m, config);
    if (!c.ok()) return c.take_status();
    return static_cast<rpc::Call*>(*c);
  }
  Result<UnaryCall*> c = UnaryCall::make(this, m, config);
  if (!c.ok()) return c.take_status();
  return static_cast<rpc::Call*>(*c);
}

// ---- Methods for ZCRPC_OP_START ----

struct Channel::Binding : rpc::Target {
  explicit Binding(Channel* c) : channel(c), method(c->allocator()) {}
  Channel* channel;
  MethodRef method;
  uint64_t id = 0;
  Binding* next = nullptr;
};

Result<uint64_t> Channel::bind(const schema::Method* m) {
  if (!hub_) return Status(Code::kFailedPrecondition, "the channel has no loop that takes operations");
  if (closed_) return Status(Code::kCanceled, "the channel was closed");
  ZCRPC_TRY(may_call(m));
  for (Binding* b = bindings_; b; b = b->next)
    if (b->method.get() == m) return b->id;
  void* p = allocator_->alloc(sizeof(Binding), allocator_->user);
  if (!p) return Status::no_memory();
  auto* b = new (p) Binding(this);
  b->start = [](rpc::Target* t, const zcrpc_op* op, base::Slice message, base::Buffer* buffer, base::Slice meta) {
    auto* self = static_cast<Binding*>(t);
    auto* start = streams(self->method.get()) ? StreamCall::start_op : UnaryCall::start_op;
    return start(self->channel, self->method.get(), op, message, buffer, meta);
  };
  Status s = b->method.set(m);
  if (s.ok() && !(b->id = hub_->bind(b))) s = Status::no_memory();
  if (!s.ok()) {
    b->~Binding();
    allocator_->free(b, sizeof(Binding), allocator_->user);
    return s;
  }
  b->next = bindings_;
  bindings_ = b;
  return b->id;
}

void Channel::unbind_all() {
  while (Binding* b = bindings_) {
    bindings_ = b->next;
    hub_->unbind(b->id);
    b->~Binding();
    allocator_->free(b, sizeof(Binding), allocator_->user);
  }
}

// ---- Calls ----

void Channel::enlist(ClientCall* c) {
  c->previous = nullptr;
  if ((c->following = running_)) running_->previous = c;
  running_ = c;
}

void Channel::delist(ClientCall* c) {
  if (c->previous) c->previous->following = c->following;
  else if (running_ == c) running_ = c->following;
  if (c->following) c->following->previous = c->previous;
  c->previous = c->following = nullptr;
}

// ---- Blocking ----

Status Channel::wait(ClientCall* c, bool (*ready)(ClientCall* c)) {
  Status s;
  std::unique_lock lock(mutex_);
  while (!c->has(rpc::kDone) && !(ready && ready(c))) {
    if (!own_loop_ || led_) {
      changed_.wait(lock);
      continue;
    }
    led_ = true;
    lock.unlock();
    s = loop_->turn(-1);
    lock.lock();
    led_ = false;
    if (!s.ok()) break;
  }
  // Whoever is left goes on: one of them runs the loop.
  if (own_loop_ && !led_) changed_.notify_all();
  return s;
}

void Channel::ended(ClientCall* c) {
  {
    std::lock_guard lock(mutex_);
    c->set(rpc::kDone);
  }
  tell();
}

void Channel::tell() {
  {
    std::lock_guard lock(mutex_);
    changed_.notify_all();
  }
  // One that waits may be the one who runs the loop, and sleeps in it.
  if (own_loop_ && !loop_->in_turn()) loop_->want_turn();
}

}  // namespace zcrpc::client
