// The dispatcher for every compiler and every flag: one function, a computed goto for each field.
#include "view/ops.h"

namespace zcrpc::view {
namespace {

bool goto_run(Context* c) {
  static const void* const kLabels[] = {
      &&slow,
#define X(name) &&do_##name,
      ZCRPC_VIEW_OPS(X)
#undef X
      &&skip,
  };
  Walk w = c->walk;
  const Entry* e;

next:
  if (w.p >= w.end) goto leave_message;
  e = &w.t->fast[*w.p >> 3];
  if (e->op != Op::kSkip && ((load_wire<uint16_t>(w.p) & (e->tag > 0xFF ? 0xFFFF : 0xFF)) != e->tag || e->tag == 0)) {
    e = find_fast(w.t, w.p);
    if (!e) goto slow;
  }
  goto* kLabels[size_t(e->op)];

#define X(name)                                           \
  do_##name : if (!op_##name(c, w, e, e->tag_length()) &&                                             \
                  (Op::k##name != Op::kString || !long_string(c, w, e, e->tag_length()))) goto slow;  \
  if (ZCRPC_VIEW_IS_MAP(Op::k##name) && c->settle) goto settle;    \
  goto next;
  ZCRPC_VIEW_OPS(X)
#undef X

skip:
  if (op_Skip(c, w)) goto next;

slow:
  c->walk = w;
  if (!slow_field(c)) return false;
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

const void* no_handler(Op, unsigned) { return nullptr; }
const void* no_miss() { return nullptr; }

}  // namespace

const Dispatcher kGoto = {"computed goto", goto_run, no_handler, no_miss, packed_of};

}  // namespace zcrpc::view
