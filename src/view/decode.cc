// The entry points: memory for the index is opened, the dispatcher runs, what it left is tidied up.
#include <algorithm>
#include <new>

#include "view/context.h"
#include "view/fast.h"
#include "view/generated.h"
#include "view/project.h"

namespace zcrpc::view {
namespace {

using schema::Message;

constexpr size_t kMostBudget = size_t(64) << 20, kLeastBudget = size_t(1) << 20, kBudgetFactor = 32;
constexpr size_t kLargestIndex = wire::kMaxMessage & ~size_t(7);

ZCRPC_HOT bool open_region(Context* c, size_t prefix, size_t least) {
  size_t capacity;
  const size_t smallest = prefix + sizeof(zcrpc_index);  // of which no part may lie behind the region, however little is left of the budget
  c->region = c->arena->region_open(std::max(least, smallest), &capacity);
  if (!c->region) c->region = c->arena->region_open(smallest, &capacity);
  if (!c->region) {
    if (c->arena->region_most(nullptr) < smallest) c->fault = Fault::kBudget;
    return false;
  }
  capacity = std::min(capacity, std::max(c->budget, smallest)) & ~size_t(7);
  c->region_end = c->region + capacity;
  c->index = c->region + prefix;
  c->top = c->index + sizeof(zcrpc_index);
  c->limit = c->clean = c->region_end;
  c->row_count = c->row_capacity = 0;
  c->rows = nullptr;
  return true;
}

// The input's last bytes are read from a padded copy, unless there is slack behind them.
void open_input(Context* c, base::Slice data, bool slack) {
  c->input = data.data;
  c->input_size = data.size;
  c->base = data.data;
  c->clamp = nullptr;
  if (slack) return;
  if (data.size > kPatch) {
    c->clamp = data.end() - kMargin;
    return;
  }
  if (data.size) memcpy(c->patch, data.data, data.size);
  memset(c->patch + data.size, 0, base::kSlack);
  c->base = c->patch;
}

// The walk goes over the piece; the root is the message m.
ZCRPC_HOT void enter_root(Context* c, const Table* t, const Piece& piece, uint32_t flags) {
  Frame* f = c->frames;
  *f = {};
  f->t = t;
  f->flags = kRoot | flags | (t->sparse ? uint32_t(kSparse) : 0u);
  f->begin = piece.begin;
  f->first = c->root;
  const uint8_t* end = c->base + piece.end;
  c->walk = {c->base + piece.begin, end, nullptr, t, 0};
  if (c->clamp && end > c->clamp) {
    f->flags |= kClamped;
    f->true_end = end;
    c->walk.end = c->clamp;
  }
}

ZCRPC_HOT bool open_root(Context* c, const Table* t, const Piece& piece, uint32_t start) {
  enter_root(c, t, piece, 0);
  c->sp = c->frames;
  uint8_t* m = c->top;
  if (ZCRPC_LIKELY(!t->sparse && size_t(c->limit - m) >= t->size)) {
    c->top = m + t->size;
    zero_message(m, t->size);
  } else {
    m = t->sparse ? open_scratch(c, t) : take(c, t->size);
    if (!m) return false;
  }
  head_of(m)->self = t->sparse ? 0 : c->index_offset(m);
  head_of(m)->start = start;
  head_of(m)->type_no = t->type_no | (c->outer ? 0 : ZCRPC_HEAD_ROOT);
  c->walk.m = m;
  c->sp = c->frames + 1;
  return true;
}

// The root, complete, is opened again for a further piece.
bool reopen_root(Context* c, const Table* t, const Piece& piece) {
  c->sp = c->frames;
  if (!push_row(c, {c->root, kPieceRow, piece.begin, piece.end - piece.begin})) return false;
  enter_root(c, t, piece, kPiece);
  c->walk.m = t->sparse ? reopen_sparse(c, t, c->root) : c->index + c->root;
  c->sp = c->frames + 1;
  return c->walk.m;
}

bool run_root(Context* c, const Table* t) {
  c->sp_end = c->lazy ? c->sp : c->depth_end;
  return c->straight && t->straight ? run_decoders(c) : t->dispatcher->run(c);
}

// Those behind the first.
bool run_pieces(Context* c, const Table* t, base::Slice data, bool slack, Pieces pieces) {
  if (!push_row(c, {c->root, kPieceRow, pieces.now.begin, pieces.now.end - pieces.now.begin})) return false;
  while (pieces.more()) {
    pieces.next(data);
    open_input(c, data, slack);
    head_at(c, c->root)->type_no |= ZCRPC_HEAD_MERGED;
    if (!reopen_root(c, t, pieces.now) || !run_root(c, t)) return false;
  }
  return true;
}

}  // namespace

Piece piece_at(base::Slice input, uint32_t prefix) {
  uint32_t n;
  wire::Fault fault;
  const uint8_t* p = wire::read_length(input.data + prefix, input.end(), &n, &fault);
  const auto begin = uint32_t(p - input.data);
  return {begin, begin + n};
}

void Pieces::next(base::Slice input) {
  row = schema::lazy_at(index, row->next);
  now = piece_at(input, row->start);
}

size_t budget_for(const Limits& limits, size_t input) {
  if (limits.max_index) return std::min(limits.max_index, kLargestIndex);
  return std::min(kMostBudget, kLeastBudget + kBudgetFactor * std::min(input, kMostBudget));
}

// What lies beside is taken off the text's 32 fold, not off the largest index: a long string has hardly any index.
Limits of_text(const Limits& limits, size_t size, size_t beside) {
  Limits l = limits;
  if (l.max_index) return l;
  l.told = budget_for(l, size);
  const size_t both = kLeastBudget + kBudgetFactor * std::min(size, kMostBudget);
  l.max_index = beside < both ? std::min(l.told, both - beside) : 1;
  return l;
}

// A larger index is there because a program allowed it: then each Any has the budget of its own bytes.
AnyBudget::AnyBudget(schema::View v, size_t all) {
  const zcrpc_index* index = schema::index_of(v);
  all_ = all ? all : budget_for({}, index->input_len);
  left_ = all_ >= index->size ? all_ - index->size : SIZE_MAX;
}

base::Result<schema::View> AnyBudget::take(const Message* type, base::Slice bytes, uint32_t max_depth, base::Arena* arena) {
  Limits limits;
  limits.max_depth = max_depth;
  const bool bounded = left_ <= all_;
  if (bounded) {
    limits.max_index = left_ ? left_ : 1;
    limits.told = all_;
  }
  base::Result<schema::View> v = decode(type, bytes, false, limits, arena);
  if (bounded) left_ -= std::min(left_, arena->reserved());
  return v;
}

// Ordinary messages take half as many bytes of index as they have on the wire, trees of small messages 1.6 times as many,
// for which small inputs have room: one block does.
size_t first_room(size_t input) {
  if (input <= size_t(32) << 10) return 2 * input + 1024;
  return input <= (size_t(1) << 20) ? input + 1024 : (size_t(1) << 20) + input / 4;
}

Frames::Frames(Context* c) {
  c->frames = c->own_frames;
  if (c->max_depth - c->depth < kOwnFrames - 1) return;
  size_ = (c->max_depth - c->depth + 2) * sizeof(Frame);
  heap_ = base::kDefaultAllocator.alloc(size_, nullptr);
  c->frames = static_cast<Frame*>(heap_);
}

Frames::~Frames() {
  if (heap_) base::kDefaultAllocator.free(heap_, size_, nullptr);
}

namespace {

// The whole index, from c->index on. False: report() tells why, or, without a fault, there is no memory for a start.
ZCRPC_HOT bool build_index(Context* c, const Table* t, base::Slice data, bool slack, size_t prefix, size_t least, uint32_t start,
                           Piece first, const Pieces* further) {
  c->schema = t->message->schema;
  c->fault = Fault::kNone;
  c->fault_at = start;
  c->fault_more = 0;
  c->fault_field = nullptr;
  c->settle = nullptr;
  c->root = 0;
  c->sp = c->frames;
  c->depth_end = c->frames + (c->max_depth - c->depth) + 1;
  if (!open_region(c, prefix, least)) return false;
  open_input(c, data, slack);
  if (!open_root(c, t, first, start) || !run_root(c, t)) return false;
  if (ZCRPC_UNLIKELY(further != nullptr) && !run_pieces(c, t, data, slack, *further)) return false;
  auto* index = reinterpret_cast<zcrpc_index*>(c->index);
  if (ZCRPC_UNLIKELY(c->row_count)) {
    if (!tidy(c)) return false;
    index = reinterpret_cast<zcrpc_index*>(c->index);  // it may have moved
  } else {
    index->unknown = index->unknown_count = index->pieces = index->piece_count = 0;
  }
  index->magic = ZCRPC_INDEX_MAGIC;
  index->layout = ZCRPC_LAYOUT;
  index->size = c->index_offset(c->top);
  index->root = c->root;
  index->input_len = uint32_t(data.size);
  index->flags = c->lazy ? uint32_t(ZCRPC_INDEX_LAZY) : t->projected ? uint32_t(ZCRPC_INDEX_PROJECTED) : 0u;
  index->fingerprint = t->message->fingerprint;
  return true;
}

base::Status why_not(Context* c) { return c->fault == Fault::kNone ? base::Status::no_memory() : report(c); }

}  // namespace

// Memory is the caller's to close or to abandon.
base::Status build(Context* c, const Table* t, base::Slice data, bool slack, size_t prefix, size_t least, uint32_t start, Pieces pieces) {
  if (!build_index(c, t, data, slack, prefix, least, start, pieces.now, pieces.more() ? &pieces : nullptr)) return why_not(c);
  return {};
}

namespace {

// A whole message.
base::Status build(Context* c, const Table* t, base::Slice data, bool slack, size_t prefix, size_t least) {
  return build(c, t, data, slack, prefix, least, 0, {{0, uint32_t(data.size)}});
}

void set_limits(Context* c, const Limits& limits, size_t input) {
  c->budget = c->max_index = budget_for(limits, input);
  c->max_depth = std::min(limits.max_depth, wire::kDeepest);
  c->depth = 0;
  c->lazy = limits.lazy;
  c->straight = limits.straight && !limits.lazy && !limits.projection;
  c->drop_unknown = limits.drop_unknown;
  c->outer = nullptr;
}

base::Status too_long(size_t n) {
  return base::Status::format(base::Code::kResourceExhausted, "message of %zu bytes; the limit is %zu", n, wire::kMaxMessage);
}

const Table* table_for(const Message* type, const Limits& limits) {
  return limits.projection ? limits.projection->table : static_cast<const Table*>(type->decoder);
}

// What the table cannot be used for.
base::Status check(const Message* type, const Table* t, const Limits& limits) {
  if (!t) return base::Status(base::Code::kInternal, "the schema has no decoder");
  if (limits.projection && limits.projection->type != type) return base::Status(base::Code::kInvalidArgument, "the projection is of another type");
  if (limits.projection && limits.lazy) return base::Status(base::Code::kInvalidArgument, "a projection cannot be lazy");
  return {};
}

schema::View decode_lazy(Context* c, const Table* t, base::Slice data, bool slack, base::Buffer* holder, base::Status* why) {
  constexpr size_t kPrefix = sizeof(schema::LazyRoot) + sizeof(schema::LazyLink);
  static_assert(kPrefix % 8 == 0);
  base::Arena* const arena = c->arena;
  const size_t had = arena->reserved();
  *why = build(c, t, data, slack, kPrefix + schema::kAnchorSize, std::min(first_room(data.size), c->budget));
  if (!why->ok()) {
    arena->region_abandon();
    return nullptr;
  }
  const auto used = size_t(c->top - c->region);
  auto* all = new (c->region) schema::LazyRoot{c->max_index, used, arena->reserved() - had, c->max_depth, slack, c->drop_unknown};
  new (all + 1) schema::LazyLink{all, nullptr, 0, 0};
  new (c->region + kPrefix) schema::Anchor{data.data, c->schema, arena, arena->generation() ^ schema::kSeal, holder};
  arena->region_close(c->region, used);
  arena->note_view(c->region, used, t->message->name);
  return reinterpret_cast<schema::View>(c->index + c->root);
}

}  // namespace

base::Result<schema::View> decode(const Message* type, base::Slice data, bool slack, const Limits& limits, base::Arena* arena,
                                  base::Buffer* holder) {
  base::Status why;
  schema::View v = decode(type, data, slack, limits, arena, holder, &why);
  if (!v) return why;
  return v;
}

schema::View decode(const Message* type, base::Slice data, bool slack, const Limits& limits, base::Arena* arena, base::Buffer* holder,
                    base::Status* why) {
  const auto* t = table_for(type, limits);
  if (ZCRPC_UNLIKELY(!t || limits.projection || data.size > wire::kMaxMessage)) {
    *why = check(type, t, limits);
    if (why->ok() && data.size > wire::kMaxMessage) *why = too_long(data.size);
    if (!why->ok()) return nullptr;
  }
  Context c;
  set_limits(&c, limits, data.size);
  const Frames frames(&c);
  if (ZCRPC_UNLIKELY(!frames.ok())) {
    *why = base::Status::no_memory();
    return nullptr;
  }
  c.arena = arena;
  if (ZCRPC_UNLIKELY(c.lazy)) return decode_lazy(&c, t, data, slack, holder, why);
  const Piece all{0, uint32_t(data.size)};
  if (ZCRPC_UNLIKELY(!build_index(&c, t, data, slack, schema::kAnchorSize, std::min(first_room(data.size), c.budget), 0, all, nullptr))) {
    if (limits.told) c.max_index = limits.told;
    *why = why_not(&c);
    arena->region_abandon();
    return nullptr;
  }
  static_assert(sizeof(schema::Anchor) <= schema::kAnchorSize);  // 32 where pointers have 4 bytes
  new (c.region) schema::Anchor{data.data, c.schema, arena, arena->generation() ^ schema::kSeal, holder};
  arena->region_close(c.region, size_t(c.top - c.region));
  arena->note_view(c.region, size_t(c.top - c.region), type->name);
  return reinterpret_cast<schema::View>(c.index + c.root);
}

base::Status index(const Message* type, base::Slice data, const Limits& limits, void* memory, size_t capacity, size_t* size) {
  const auto* t = table_for(type, limits);
  *size = 0;
  ZCRPC_TRY(check(type, t, limits));
  if (data.size > wire::kMaxMessage) return too_long(data.size);
  if (limits.lazy) return base::Status(base::Code::kInvalidArgument, "an index that is copied cannot be lazy");
  Context c;
  set_limits(&c, limits, data.size);
  const Frames frames(&c);
  if (!frames.ok()) return base::Status::no_memory();
  base::Status status;
  {
    base::Arena fixed(memory, memory ? capacity : 0);
    c.arena = &fixed;
    status = build(&c, t, data, false, 0, std::min(capacity, c.budget));
    if (status.ok()) {
      *size = size_t(c.top - c.index);
      base::view_began(memory, *size);
      return {};
    }
    // Without memory to grow in, the decode may have needed more for a while than it would have left.
    if (status.code() != base::Code::kResourceExhausted || c.fault == Fault::kDepth) return status;
  }
  base::Arena elsewhere;
  c.arena = &elsewhere;
  status = build(&c, t, data, false, 0, std::min(first_room(data.size), c.budget));
  if (!status.ok()) return status;
  *size = size_t(c.top - c.index);
  if (*size > capacity)
    return base::Status::format(base::Code::kTooSmall, "the index takes %zu bytes, there are %zu", *size, capacity);
  memcpy(memory, c.index, *size);
  base::view_began(memory, *size);
  return {};
}

}  // namespace zcrpc::view
