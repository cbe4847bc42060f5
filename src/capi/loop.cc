// Section 7: the loop, its records, and work from other threads.
#include "capi/loop.h"

#include <cstring>
#include <new>

#include "capi/guard.h"
#include "capi/options.h"

using namespace zcrpc;
using namespace zcrpc::capi;
using base::Code;
using base::Status;

namespace zcrpc::capi {

Loop::~Loop() {
  for (rpc::Event** list : {&delivered, &lent})
    while (rpc::Event* e = *list) {
      *list = e->next;
      hub.release(e);
    }
  // Releasing posts tasks, and the tasks that run as the loop goes queue events.
  for (int i = 0; i < 2; i++) {
    while (rpc::Event* e = hub.front()) {
      hub.pop();
      hub.release(e);
    }
    net::Loop::free(net);
    net = nullptr;
  }
}

base::Result<Loop*> Loop::make(const net::Loop::Options& o) {
  auto* l = base::make_in<Loop>(o.allocator, o.allocator);
  if (!l) return Status::no_memory();
  auto made = net::Loop::make(o);
  if (!made.ok()) {
    free(l);
    return made.take_status();
  }
  l->net = *made;
  l->hub.pushed_user = l;
  l->hub.pushed = [](rpc::Hub*, void* user) {
    auto* self = static_cast<Loop*>(user);
    self->fresh = true;
    self->net->want_turn();
  };
  return l;
}

void Loop::free(Loop* l) {
  if (l) base::drop_in(l->allocator, l);
}

}  // namespace zcrpc::capi

namespace {

struct Bytes {
  const uint8_t* base;
  uint64_t len;
};

// The bytes at an offset that the caller wrote; false when they do not lie within his memory.
bool within(const Bytes& all, uint64_t offset, uint64_t len, base::Slice* out) {
  if (len == 0) {
    *out = {};
    return true;
  }
  if (!all.base || offset > all.len || len > all.len - offset) return false;
  *out = {all.base + offset, size_t(len)};
  return true;
}

// A block of zcrpc_meta_head, name, value: do they end where the block ends?
bool is_block(base::Slice block) {
  while (!block.empty()) {
    zcrpc_meta_head h;
    if (block.size < sizeof h) return false;
    memcpy(&h, block.data, sizeof h);
    block = block.from(sizeof h);
    if (h.name_len == 0 || h.name_len > block.size || h.value_len > block.size - h.name_len) return false;
    block = block.from(size_t(h.name_len) + h.value_len);
  }
  return true;
}

constexpr uint16_t kOpFlags = ZCRPC_OP_NO_MESSAGE | ZCRPC_OP_LAST | ZCRPC_OP_BUFFER | ZCRPC_OP_STATUS | ZCRPC_OP_META_EVENTS | ZCRPC_OP_ASK_ROOM;

Status check_op(const zcrpc_op& op, const Bytes& all, base::Slice* data, base::Buffer** buffer, base::Slice* meta) {
  *data = {};
  *buffer = nullptr;
  if (op.kind < ZCRPC_OP_START || op.kind > ZCRPC_OP_RELEASE) return wrong("operation: no such kind");
  if (op.flags & ~kOpFlags || op.reserved) return wrong("operation: unknown flags, or reserved is not 0");
  if (!within(all, op.meta, op.meta_len, meta) || !is_block(*meta)) return wrong("operation: meta is not a metadata block within the base");
  if (op.kind == ZCRPC_OP_RELEASE || op.flags & ZCRPC_OP_NO_MESSAGE) return {};
  if (op.flags & ZCRPC_OP_BUFFER) {
    *buffer = reinterpret_cast<base::Buffer*>(uintptr_t(op.data));
    if (!*buffer) return wrong("operation: no buffer");
    *data = (*buffer)->slice();
    return {};
  }
  return within(all, op.data, op.len, data) ? Status() : wrong("operation: data does not lie within the base");
}

void release_lent(Loop* l, const zcrpc_op& op) {
  for (rpc::Event** at = &l->lent; *at; at = &(*at)->next)
    if ((*at)->record.data == op.data && (!(*at)->call || (*at)->call->id == op.target)) {
      rpc::Event* e = *at;
      *at = e->next;
      l->hub.release(e);
      return;
    }
  l->hub.late_ops++;
}

// [inside] Carries one operation out. Its buffer passes only with success. copied: `all` are not the application's own bytes.
Status run_op(Loop* l, const zcrpc_op& op, const Bytes& all, bool copied = false) {
  base::Slice data, meta;
  base::Buffer* buffer;
  ZCRPC_TRY(check_op(op, all, &data, &buffer, &meta));
  if (op.kind == ZCRPC_OP_RELEASE) {
    release_lent(l, op);
    return {};
  }
  if (op.kind == ZCRPC_OP_START) {
    rpc::Target* t = l->hub.target(op.target);
    return t ? t->start(t, &op, data, buffer, meta) : wrong("operation: no such target");
  }
  rpc::Call* c = l->hub.find(op.target);
  if (!c || c->has(rpc::kDone) || !c->verbs->op) {
    l->hub.late_ops++;
    if (buffer) buffer->release();
    return {};
  }
  if (op.tag) c->tag = op.tag;
  if (copied && !buffer && data.size && op.value == ZCRPC_OK) c->counters->copied_out(data.size);
  return c->verbs->op(c, &op, data, buffer, meta);
}

// Operations on their way to a busy loop, in one piece: this, the operations, their bytes.
struct Submitted : net::Task {
  Loop* loop;
  size_t count, len;
  zcrpc_op* ops() { return reinterpret_cast<zcrpc_op*>(this + 1); }
  uint8_t* bytes() { return reinterpret_cast<uint8_t*>(ops() + count); }
  static size_t size(size_t count, size_t len) { return sizeof(Submitted) + count * sizeof(zcrpc_op) + len; }

  static void run_all(net::Task* t) {
    auto* s = static_cast<Submitted*>(t);
    for (size_t i = 0; i < s->count; i++) {
      // Their form was checked when they were submitted; what is left is lack of memory.
      Status st = run_op(s->loop, s->ops()[i], {s->bytes(), s->len}, true);
      if (st.ok()) continue;
      s->loop->net->log().format(base::LogLevel::kError, "submitted operation dropped: %s", st.message());
      if (s->ops()[i].flags & ZCRPC_OP_BUFFER) reinterpret_cast<base::Buffer*>(uintptr_t(s->ops()[i].data))->release();
    }
    const base::Allocator* a = s->loop->allocator;
    a->free(s, size(s->count, s->len), a->user);
  }
};

struct Posted : net::Task {
  const base::Allocator* allocator;
  zcrpc_post_fn fn;
  void* user;
};

// Memory of zcrpc_loop_wrap: when it is the caller's again, a task queues the event that says so.
struct Wrapped : net::Task, rpc::Event {
  Loop* loop;
};

constexpr size_t align8(size_t n) { return (n + 7) & ~size_t(7); }

// Writes the event's record; in arena mode its bytes too. False: it has to wait for an emptier arena.
bool write_event(zcrpc_turn* t, rpc::Event* e, zcrpc_event* out, bool* lend) {
  *out = e->record;
  if (e->call) {
    out->call = e->call->id;
    out->tag = e->call->tag;
  }
  *lend = false;
  if (!t->arena) return true;
  size_t data = align8(e->record.len), index = align8(e->record.index_len);
  if (data + index > t->arena_len - t->arena_used) {
    if (data + index <= t->arena_len) return false;
    out->flags |= ZCRPC_EVENT_BORROWED;
    *lend = true;
    return true;
  }
  if (e->record.len) {
    memcpy(t->arena + t->arena_used, reinterpret_cast<const void*>(uintptr_t(e->record.data)), e->record.len);
    if (e->call && e->call->counters) e->call->counters->copied_in(e->record.len);
  }
  out->data = t->arena_used;
  t->arena_used += data;
  out->index = 0;
  if (e->record.index_len) {
    memcpy(t->arena + t->arena_used, reinterpret_cast<const void*>(uintptr_t(e->record.index)), e->record.index_len);
    out->index = t->arena_used;
    t->arena_used += index;
  }
  return true;
}

void push_front(rpc::Event** list, rpc::Event* e) {
  e->next = *list;
  *list = e;
}

// Fills the caller's events from the queue.
void take_events(Loop* l, zcrpc_turn* t) {
  while (t->event_count < t->event_max) {
    rpc::Event* e = l->hub.front();
    if (!e) return;
    bool lend;
    zcrpc_event* out = &t->events[t->event_count];
    if (!write_event(t, e, out, &lend)) return;
    l->hub.pop();
    t->event_count++;
    if (lend) push_front(&l->lent, e);
    else if (!t->arena) push_front(&l->delivered, e);
    else l->hub.release(e);
  }
}

Status check_turn(const zcrpc_turn* t) {
  if (t->struct_size < sizeof(zcrpc_turn)) return wrong("turn: struct_size");
  if (t->op_count && !t->ops) return wrong("turn: no ops");
  if (t->events && t->event_max < 4) return wrong("turn: event_max is below 4");
  if (t->arena && (t->arena_len % 8 || uintptr_t(t->arena) % 8)) return wrong("turn: the arena is not 8-aligned");
  return {};
}

Status turn(Loop* l, zcrpc_turn* t) {
  if (t) {
    ZCRPC_TRY(check_turn(t));
    t->ops_done = t->event_count = 0;
    t->arena_used = 0;
  }
  ZCRPC_TRY(l->net->begin());
  while (rpc::Event* e = l->delivered) {
    l->delivered = e->next;
    l->hub.release(e);
  }
  Status s;
  if (t) {
    Bytes all{t->op_base, t->op_base_len};
    for (; t->ops_done < t->op_count; t->ops_done++)
      if (s = run_op(l, t->ops[t->ops_done], all); !s.ok()) break;
  }
  l->hub.run_functions();
  bool takes = t && t->events;
  bool ready = !s.ok() || (takes && l->hub.waiting());
  l->net->want_turn(ready);
  l->net->sleep(t ? t->timeout_ms : 0);
  l->hub.run_functions();
  if (takes && s.ok()) take_events(l, t);
  // What waits keeps the descriptor readable. A caller that takes no events is told once, and not again for the same.
  l->net->want_turn(l->hub.waiting() && (takes || l->fresh));
  l->fresh = false;
  l->net->end();
  return s;
}

}  // namespace

zcrpc_loop* zcrpc_loop_new(const zcrpc_options* o, zcrpc_error** err) {
  return guard(err, [&]() -> base::Result<Loop*> {
    net::Loop::Options options;
    if (o) {
      ZCRPC_TRY(check_for(o, ZCRPC_FOR_LOOP));
      options.log = from_c(o)->log;
      if (from_c(o)->allocator) options.allocator = from_c(o)->allocator;
    }
    return Loop::make(options);
  });
}

void zcrpc_loop_free(zcrpc_loop* l) {
  const base::PublicEntry entry(__func__, __builtin_return_address(0));
  Loop::free(from_c(l));
}

int32_t zcrpc_loop_fd(zcrpc_loop* l) { return l ? from_c(l)->net->fd() : -1; }

int64_t zcrpc_loop_timeout(zcrpc_loop* loop) {
  Loop* l = from_c(loop);
  if (!l || l->net->forked()) return -1;
  if (l->net->inside()) return l->hub.waiting() ? 0 : l->net->next_timer_ms();
  l->net->enter();
  int64_t ms = l->hub.waiting() ? 0 : l->net->next_timer_ms();
  l->net->leave();
  return ms;
}

zcrpc_code zcrpc_loop_turn(zcrpc_loop* l, zcrpc_turn* t, zcrpc_error** err) {
  return guard(err, [&]() -> Status {
    if (!l) return wrong("no loop");
    return turn(from_c(l), t);
  });
}

zcrpc_code zcrpc_loop_submit(zcrpc_loop* loop, const zcrpc_op* ops, size_t count, const void* base, size_t len, zcrpc_error** err) {
  return guard(err, [&]() -> Status {
    Loop* l = from_c(loop);
    if (!l || (count && !ops) || bad_slice(base, len)) return wrong("no loop, or no operations");
    if (l->net->forked()) return Status(Code::kFailedPrecondition, "the loop belongs to the parent process");
    Bytes all{static_cast<const uint8_t*>(base), len};
    // All or none: an operation of wrong form leaves every buffer with the caller.
    for (size_t i = 0; i < count; i++) {
      base::Slice data, meta;
      base::Buffer* buffer;
      ZCRPC_TRY(check_op(ops[i], all, &data, &buffer, &meta));
    }
    if (net::Inside in(l->net); in) {
      for (size_t i = 0; i < count; i++)
        if (Status s = run_op(l, ops[i], all); !s.ok()) return s;
      return {};
    }
    if (count > (SIZE_MAX - sizeof(Submitted) - len) / sizeof(zcrpc_op)) return Status::no_memory();
    void* p = l->allocator->alloc(Submitted::size(count, len), l->allocator->user);
    if (!p) return Status::no_memory();
    auto* s = new (p) Submitted;
    s->run = Submitted::run_all;
    s->loop = l;
    s->count = count;
    s->len = len;
    if (count) memcpy(s->ops(), ops, count * sizeof(zcrpc_op));
    if (len) memcpy(s->bytes(), base, len);
    l->net->post(s);
    return {};
  });
}

void zcrpc_loop_wake(zcrpc_loop* l) {
  if (l) from_c(l)->net->wake();
}

zcrpc_code zcrpc_loop_post(zcrpc_loop* l, zcrpc_post_fn fn, void* user, zcrpc_error** err) {
  return guard(err, [&]() -> Status {
    if (!l || !fn) return wrong("no loop, or no function");
    if (from_c(l)->net->forked()) return Status(Code::kFailedPrecondition, "the loop belongs to the parent process");
    const base::Allocator* a = from_c(l)->allocator;
    auto* p = base::make_in<Posted>(a);
    if (!p) return Status::no_memory();
    p->allocator = a;
    p->fn = fn;
    p->user = user;
    p->run = [](net::Task* t) {
      auto* self = static_cast<Posted*>(t);
      self->fn(self->user);
      base::drop_in(self->allocator, self);
    };
    from_c(l)->net->post(p);
    return {};
  });
}

zcrpc_buffer* zcrpc_loop_wrap(zcrpc_loop* l, const void* data, size_t len, uint64_t tag, zcrpc_error** err) {
  return guard(err, [&]() -> base::Result<base::Buffer*> {
    if (!l || bad_slice(data, len)) return wrong("no loop, or no memory");
    auto* w = base::make_in<Wrapped>(from_c(l)->allocator);
    if (!w) return Status::no_memory();
    w->loop = from_c(l);
    w->record.kind = ZCRPC_EVENT_RELEASED;
    w->record.tag = tag;
    w->run = [](net::Task* t) {
      auto* self = static_cast<Wrapped*>(t);
      self->loop->hub.push(self);
    };
    w->released = [](rpc::Event* e) {
      auto* self = static_cast<Wrapped*>(e);
      base::drop_in(self->loop->allocator, self);
    };
    base::Buffer* b = base::Buffer::wrap(
        data, len,
        [](const void*, size_t, void* user) {
          auto* self = static_cast<Wrapped*>(user);
          self->loop->net->post(self);
        },
        w);
    if (!b) {
      base::drop_in(from_c(l)->allocator, w);
      return Status::no_memory();
    }
    return b;
  });
}

zcrpc_call* zcrpc_loop_call(zcrpc_loop* loop, uint64_t id) {
  Loop* l = from_c(loop);
  if (!l || l->net->forked()) return nullptr;
  if (l->net->inside()) return to_c(l->hub.find(id));
  l->net->enter();
  rpc::Call* c = l->hub.find(id);
  l->net->leave();
  return to_c(c);
}

const zcrpc_view* zcrpc_event_view(const zcrpc_event* e) {
  if (!e || !e->index) return nullptr;
  auto* index = reinterpret_cast<const zcrpc_index*>(uintptr_t(e->index));
  return reinterpret_cast<const zcrpc_view*>(reinterpret_cast<const char*>(index) + index->root);
}
