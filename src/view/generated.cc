#include "view/generated.h"

#include "base/utf8.h"
#include "view/ops.h"

namespace zcrpc::view {
namespace {

const Table* table_of(const zcrpc_decode_type* t) { return static_cast<const Table*>(t->own); }

// What a decoder holds while it runs, in the words that are shared with it.
struct Run : zcrpc_decode {
  Context* c;
  uint8_t* outermost;  // the message that was open when it was called
  uint32_t opened;     // frames of messages that it has left open

  explicit Run(Context* context, const Walk& w) : c(context), outermost(w.m), opened(0) {
    base = c->base;
    index = c->index;
    top = c->top;
    limit = c->limit;
    fence = open_frame(c)->flags & kClamped ? w.end : nullptr;
    levels = uint32_t(c->sp_end - c->sp);
  }
};
Run* run_of(zcrpc_decode* d) { return static_cast<Run*>(d); }

const uint8_t* stop(zcrpc_decode* d, const uint8_t* p, const uint8_t* end, uint8_t* m, const zcrpc_decode_type* t) {
  run_of(d)->c->walk = {p, end, m, table_of(t), 0};
  return nullptr;
}

const uint8_t* unwind(zcrpc_decode* d, const uint8_t* end, uint8_t* m, const zcrpc_decode_type* t, uint32_t depth, uint32_t field,
                      uint32_t left) {
  Run* run = run_of(d);
  const uint32_t level = run->levels - depth;
  Frame* f = run->c->sp + level;
  f->end = end;
  f->m = m;
  f->t = table_of(t);
  f->has = 0;
  f->e = &f->t->entries[field];
  f->left = left;
  f->flags = 0;
  if (run->opened <= level) run->opened = level + 1;
  return nullptr;
}

Target target(const zcrpc_decode_type* t, uint32_t field) {
  return {&table_of(t)->message->fields[field], &table_of(t)->entries[field]};
}

uint32_t count(zcrpc_decode* d, const uint8_t* p, const zcrpc_decode_type* t, uint32_t field) {
  Context* c = run_of(d)->c;
  const Target to = target(t, field);
  const uint32_t own = to.field->tag();
  uint32_t tag, len;
  wire::Fault fault;
  const uint8_t* q = wire::read_tag(p, true_end(c), &tag, &fault);
  if (!q || tag != own || size_t(q - p) != wire::varint_size(own) || !wire::read_length(q, true_end(c), &len, &fault)) return 0;
  return count_elements(c, to, q);
}

const uint8_t* settle(zcrpc_decode* d, const uint8_t* p, const uint8_t* end, uint8_t* m, const zcrpc_decode_type* t, uint32_t field) {
  Context* c = run_of(d)->c;
  const Target to = target(t, field);
  const auto run = schema::load<zcrpc_run>(m + to.entry->offset);
  c->walk = {p, end, m, table_of(t), 0};
  if (run.count <= kFewEntries) {  // takes no memory, so nothing moves
    settle_run(c, to, 0);
    return p;
  }
  c->settle = to.entry;
  return nullptr;
}

void soil(zcrpc_decode* d, uint8_t* end) {
  Context* c = run_of(d)->c;
  if (c->clean < end) c->clean = end;
}

int32_t utf8(const uint8_t* p, uint32_t n) { return base::utf8_valid(p, n); }

// By the table's code: it has the best instructions of this machine, and reads over the fence.
const uint8_t* packed(zcrpc_decode* d, const uint8_t* p, const uint8_t* end, uint8_t* m, const zcrpc_decode_type* t, uint32_t field) {
  Run* run = run_of(d);
  Context* c = run->c;
  const Table* own = table_of(t);
  const Entry* e = &own->entries[field];
  uint32_t n;
  p = read_far_length(p, d->fence && m == run->outermost ? open_frame(c)->true_end : end, &n);
  if (!p) return nullptr;
  c->top = d->top;
  const bool done = own->dispatcher->packed(c, e->op, m + e->offset, p, n, end);
  d->top = c->top;
  return done ? p + n : nullptr;
}

constexpr zcrpc_decode_calls kCalls = {stop, unwind, count, settle, soil, utf8, packed};

#if defined(__x86_64__)
bool has_v3() {
  __builtin_cpu_init();
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2") && __builtin_cpu_supports("popcnt");
}
#else
bool has_v3() { return false; }
#endif

}  // namespace

bool speaks(const zcrpc_decoders* d) { return d && d->struct_size >= sizeof(zcrpc_decoders) && d->decode == ZCRPC_DECODE && d->baseline; }

base::Status bind_decoders(schema::Schema* s, std::span<const Decoders> files) {
  const size_t n = s->messages.size();
  auto* types = s->arena.array<zcrpc_decode_type>(n);
  if (n && !types) return base::Status::no_memory();
  for (size_t i = 0; i < n; i++) {
    const schema::Message* m = s->messages[i];
    auto* t = static_cast<Table*>(const_cast<void*>(m->decoder));
    auto** subs = s->arena.array<const zcrpc_decode_type*>(m->fields.size());
    if (!subs && !m->fields.empty()) return base::Status::no_memory();
    for (const schema::Field& f : m->fields) subs[f.index] = f.message ? &types[f.message->type_no] : nullptr;
    types[i] = {&kCalls, nullptr, subs, t, m->type_no, 0};
    t->straight = &types[i];
  }
  const bool v3 = has_v3();
  for (const Decoders& file : files) {
    auto* decoders = v3 && file.decoders->x86_64_v3 ? file.decoders->x86_64_v3 : file.decoders->baseline;
    for (size_t i = 0; i < file.messages.size(); i++) types[file.messages[i]->type_no].parse = decoders[i];
  }
  return {};
}

namespace {

// Calls the decoder of the open message. True: it has come to the message's end; else it left the walk where it stopped.
ZCRPC_HOT bool parse(Run* run, Walk& w, const zcrpc_decode_type* s) {
  Context* c = run->c;
  c->walk.end = w.end;
  const uint8_t* p = s->parse(run, w.p, w.end, w.m, s, run->levels);
  if (ZCRPC_LIKELY(p != nullptr)) {
    w.p = p;
    return true;
  }
  w = c->walk;
  c->sp += run->opened;
  return false;
}
ZCRPC_HOT bool run_decoder(Context* c, Walk& w, const zcrpc_decode_type* s) {
  Run run(c, w);
  const bool whole = parse(&run, w, s);
  c->top = run.top;
  return whole;
}

// The same for an element of a run that slow code has begun, or that a decoder has left in its midst, and for those that follow.
bool run_elements(Context* c, Walk& w, const zcrpc_decode_type* s) {
  Run run(c, w);
  const Frame* f = open_frame(c);
  bool whole;
  while ((whole = parse(&run, w, s)) && !f->flags && f->left && next_of_run(c, w)) run.outermost = w.m;
  c->top = run.top;
  return whole;
}

enum class At { kField, kStop, kEnd };
// From there on, with decoders and, for messages that have none, the ops of tables.
bool run_mixed(Context* c, Walk w, At at) {
  static const void* const kLabels[] = {
      &&slow,
#define X(name) &&do_##name,
      ZCRPC_VIEW_OPS(X)
#undef X
  };
  const Entry* e;
  const Frame* open;
  const zcrpc_decode_type* s;
  uint8_t first;
  if (at == At::kStop) goto stopped;
  if (at == At::kEnd) goto leave_message;

next:
  if (w.p >= w.end) goto leave_message;
  s = w.t->straight;
  if (s && s->parse) {
    if (w.has << 1) {  // tables keep them; decoders do not
      store<uint32_t>(w.m + 12, load<uint32_t>(w.m + 12) | uint32_t(w.has));
      if (auto high = uint32_t(w.has << 1 >> 33)) store<uint32_t>(w.m + 16, load<uint32_t>(w.m + 16) | high);
      w.has = 0;
    }
    if (run_elements(c, w, s)) goto leave_message;
  stopped:
    if (c->settle) goto settle;
    if (w.p >= w.end) goto leave_message;
    goto slow;
  }
  e = &w.t->fast[*w.p >> 3];
  if ((load_wire<uint16_t>(w.p) & (e->tag > 0xFF ? 0xFFFF : 0xFF)) != e->tag || e->tag == 0) {
    e = find_fast(w.t, w.p);
    if (!e) goto slow;
  }
  goto* kLabels[size_t(e->op)];

#define X(name)                                                                                          \
  do_##name : if (!op_##name(c, w, e, e->tag_length()) &&                                                \
                  (Op::k##name != Op::kString || !long_string(c, w, e, e->tag_length()))) goto slow;     \
  if (ZCRPC_VIEW_IS_MAP(Op::k##name) && c->settle) goto settle;                                          \
  goto next;
  ZCRPC_VIEW_OPS(X)
#undef X

slow:
  // Others of the same kind that follow are not for the decoder either.
  first = *w.p;
  open = c->sp;
  c->walk = w;
  do {
    if (!slow_field(c)) return false;
  } while (c->sp == open && c->walk.p < c->walk.end && *c->walk.p == first);
  w = c->walk;
  goto next;

settle:
  c->walk = w;
  if (!settle_map(c)) return false;
  w = c->walk;
  goto next;

leave_message:
  if (leave(c, w) != Leave::kSlow) goto next;
  if (finish(c, w)) return true;
  c->walk = w;
  switch (slow_leave(c)) {
    case Left::kFault: return false;
    case Left::kFinished: return true;
    case Left::kNext: break;
  }
  w = c->walk;
  goto next;
}

}  // namespace

// A small message is often one call.
bool run_decoders(Context* c) {
  Walk w = c->walk;
  const zcrpc_decode_type* s = w.t->straight;
  if (w.p >= w.end || !s->parse) return run_mixed(c, w, At::kField);
  // A long packed run may have been the last field, and have ended beyond the clamp.
  if (!run_decoder(c, w, s)) return (!c->settle && finish(c, w)) || run_mixed(c, w, At::kStop);
  return finish(c, w) || run_mixed(c, w, At::kEnd);
}

}  // namespace zcrpc::view
