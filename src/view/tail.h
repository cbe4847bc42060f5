// The dispatcher that goes from field to field by tail calls: each handler does one field and jumps to the next one's,
// the walk stays in registers, no handler has a frame. Included once for each instruction set.
//
// clang 19: preserve_none gives enough argument registers and musttail makes the jump certain. Else six arguments, the
// System V limit, with `end` in memory; gcc makes sibling calls of them at -O2, which tests/unit/view/tail_check proves.
#include "view/ops.h"

#ifndef ZCRPC_TAIL_NAME
#error "define ZCRPC_TAIL_NAME and ZCRPC_TAIL_TEXT first"
#endif

#if defined(__clang__)
#define ZCRPC_MUSTTAIL [[clang::musttail]]
#else
#define ZCRPC_MUSTTAIL
#endif

#if defined(__clang__) && __has_attribute(preserve_none) && !defined(ZCRPC_TAIL_SIX)
#define ZCRPC_HANDLER static __attribute__((preserve_none, noinline)) bool
#define ZCRPC_ARGS Context *c, const uint8_t *p, const uint8_t *end, uint8_t *m, const Table *t, uint64_t has, const Entry *e
#define ZCRPC_WALK \
  Walk w { p, end, m, t, has }
#define ZCRPC_SET_END() (void)0
#define ZCRPC_END() w.end
#define ZCRPC_PASS c, w.p, w.end, w.m, w.t, w.has, e
#define ZCRPC_SAME c, p, end, m, t, has, e
#define ZCRPC_CONVENTION __attribute__((preserve_none))
#else
#define ZCRPC_HANDLER static __attribute__((noinline)) bool
#define ZCRPC_ARGS Context *c, const uint8_t *p, uint8_t *m, const Table *t, uint64_t has, const Entry *e
#define ZCRPC_WALK \
  Walk w { p, c->walk.end, m, t, has }
#define ZCRPC_SET_END() (c->walk.end = w.end)
#define ZCRPC_END() c->walk.end  // read again rather than kept
#define ZCRPC_PASS c, w.p, w.m, w.t, w.has, e
#define ZCRPC_SAME c, p, m, t, has, e
#define ZCRPC_CONVENTION
#endif

namespace zcrpc::view {
namespace {

typedef ZCRPC_CONVENTION bool (*Handler)(ZCRPC_ARGS);

ZCRPC_HOT const Entry* fast_entry(const Table* t, const uint8_t* p) {
  return reinterpret_cast<const Entry*>(reinterpret_cast<const char*>(t) + ((*p & 0xF8u) << 2));
}

#define ZCRPC_NEXT()                                                                        \
  do {                                                                                      \
    if (ZCRPC_UNLIKELY(w.p >= ZCRPC_END())) ZCRPC_MUSTTAIL return h_leave(ZCRPC_PASS);      \
    e = fast_entry(w.t, w.p);                                                               \
    ZCRPC_MUSTTAIL return reinterpret_cast<Handler>(const_cast<void*>(e->handler))(ZCRPC_PASS); \
  } while (0)

ZCRPC_HANDLER h_leave(ZCRPC_ARGS);

ZCRPC_HANDLER h_slow(ZCRPC_ARGS) {
  {
    ZCRPC_WALK;
    c->walk = w;
  }
  if (!slow_field(c)) return false;
  Walk w = c->walk;
  ZCRPC_NEXT();
}

ZCRPC_HANDLER h_settle(ZCRPC_ARGS) {
  {
    ZCRPC_WALK;
    c->walk = w;
  }
  if (!settle_map(c)) return false;
  Walk w = c->walk;
  ZCRPC_NEXT();
}

ZCRPC_HANDLER h_leave_slow(ZCRPC_ARGS) {
  {
    ZCRPC_WALK;
    if (finish(c, w)) return true;
    c->walk = w;
  }
  switch (slow_leave(c)) {
    case Left::kFault: return false;
    case Left::kFinished: return true;
    case Left::kNext: break;
  }
  Walk w = c->walk;
  ZCRPC_NEXT();
}

ZCRPC_HANDLER h_leave(ZCRPC_ARGS) {
  ZCRPC_WALK;
  if (ZCRPC_UNLIKELY(leave(c, w) == Leave::kSlow)) ZCRPC_MUSTTAIL return h_leave_slow(ZCRPC_PASS);
  ZCRPC_SET_END();
  ZCRPC_NEXT();
}

// The entry that the tag's first byte led to is another field's: find it by number, if it is a fast one.
ZCRPC_HANDLER h_miss(ZCRPC_ARGS) {
  ZCRPC_WALK;
  const Entry* found = find_fast(t, p);
  if (ZCRPC_UNLIKELY(!found)) ZCRPC_MUSTTAIL return h_slow(ZCRPC_PASS);
  e = found;
  ZCRPC_MUSTTAIL return reinterpret_cast<Handler>(const_cast<void*>(e->handler))(ZCRPC_PASS);
}

template <Op kOp>
inline constexpr bool kChangesEnd = kOp == Op::kMessage || kOp == Op::kOneofMessage || kOp == Op::kMessages;

// A string that the first try found too long or not ASCII.
#define ZCRPC_LONG_HANDLER(length)                                                              \
  ZCRPC_HANDLER h##length##_long(ZCRPC_ARGS) {                                                  \
    ZCRPC_WALK;                                                                                 \
    if (ZCRPC_UNLIKELY(!long_string(c, w, e, length))) ZCRPC_MUSTTAIL return h_slow(ZCRPC_SAME); \
    ZCRPC_NEXT();                                                                               \
  }
ZCRPC_LONG_HANDLER(1)
ZCRPC_LONG_HANDLER(2)

#define ZCRPC_OP_HANDLER(name, length, matches)                                                    \
  ZCRPC_HANDLER h##length##_##name(ZCRPC_ARGS) {                                                   \
    if (ZCRPC_UNLIKELY(!(matches))) ZCRPC_MUSTTAIL return h_miss(ZCRPC_SAME);                   \
    ZCRPC_WALK;                                                                                    \
    if (ZCRPC_UNLIKELY(!op_##name(c, w, e, length))) {                                             \
      if (Op::k##name == Op::kString) ZCRPC_MUSTTAIL return h##length##_long(ZCRPC_PASS);          \
      ZCRPC_MUSTTAIL return h_slow(ZCRPC_SAME);                                                    \
    }                                                                                              \
    if (kChangesEnd<Op::k##name>) ZCRPC_SET_END();                                                 \
    if (ZCRPC_VIEW_IS_MAP(Op::k##name) && ZCRPC_UNLIKELY(c->settle != nullptr)) ZCRPC_MUSTTAIL return h_settle(ZCRPC_PASS); \
    ZCRPC_NEXT();                                                                                  \
  }
#define X(name)                                           \
  ZCRPC_OP_HANDLER(name, 1, *p == uint8_t(e->tag))        \
  ZCRPC_OP_HANDLER(name, 2, load_wire<uint16_t>(p) == e->tag)
ZCRPC_VIEW_OPS(X)
#undef X

ZCRPC_HANDLER h_skip(ZCRPC_ARGS) {
  ZCRPC_WALK;
  if (ZCRPC_UNLIKELY(!op_Skip(c, w))) ZCRPC_MUSTTAIL return h_slow(ZCRPC_SAME);
  ZCRPC_NEXT();
}

const void* address(Handler h) { return reinterpret_cast<const void*>(h); }

const void* tail_handler(Op op, unsigned tag_length) {
  switch (op) {
#define X(name) \
  case Op::k##name: return address(tag_length == 1 ? h1_##name : h2_##name);
    ZCRPC_VIEW_OPS(X)
#undef X
    case Op::kSkip: return address(h_skip);
    default: return address(h_slow);
  }
}

bool tail_run(Context* c) {
  Walk w = c->walk;
  const Entry* e = nullptr;
  if (w.p >= w.end) return h_leave(ZCRPC_PASS);
  e = fast_entry(w.t, w.p);
  return reinterpret_cast<Handler>(const_cast<void*>(e->handler))(ZCRPC_PASS);
}

const void* tail_miss() { return address(h_miss); }

}  // namespace

extern const Dispatcher ZCRPC_TAIL_NAME;
const Dispatcher ZCRPC_TAIL_NAME = {ZCRPC_TAIL_TEXT, tail_run, tail_handler, tail_miss, packed_of};

}  // namespace zcrpc::view
