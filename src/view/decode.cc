// The entry points: memory for the index is opened, the dispatcher runs, what it left is tidied up.
#include <algorithm>

#include "view/context.h"

namespace zcrpc::view {
namespace {

using schema::Message;

constexpr size_t kMostBudget = size_t(64) << 20, kLeastBudget = size_t(1) << 20, kBudgetFactor = 32;
constexpr size_t kLargestIndex = wire::kMaxMessage & ~size_t(7);

size_t budget_for(const Limits& limits, size_t input) {
  if (limits.max_index) return std::min(limits.max_index, kLargestIndex);
  return std::min(kMostBudget, kLeastBudget + kBudgetFactor * std::min(input, kMostBudget));
}

// Ordinary messages take about half as many bytes of index as they have on the wire: one block does.
size_t first_room(size_t input) { return input <= (size_t(1) << 20) ? input + 1024 : (size_t(1) << 20) + input / 4; }

bool open_region(Context* c, size_t prefix, size_t least) {
  size_t capacity;
  c->region = c->arena->region_open(least, &capacity);
  const size_t smallest = prefix + sizeof(zcrpc_index);
  if (!c->region) c->region = c->arena->region_open(smallest, &capacity);
  if (!c->region) return false;
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

bool open_root(Context* c, const Table* t) {
  Frame* f = c->frames;
  *f = {};
  f->t = t;
  f->flags = t->sparse ? uint32_t(kRoot | kSparse) : uint32_t(kRoot);
  c->sp = f;
  const uint8_t* end = c->base + c->input_size;
  c->walk = {c->base, end, nullptr, t, 0};
  if (c->clamp) {
    f->flags |= kClamped;
    f->true_end = end;
    c->walk.end = c->clamp;
  }
  uint8_t* m = t->sparse ? open_scratch(c, t) : take(c, t->size);
  if (!m) return false;
  head_of(m)->self = t->sparse ? 0 : c->index_offset(m);
  head_of(m)->type_no = t->type_no | ZCRPC_HEAD_ROOT;
  c->walk.m = m;
  c->sp = f + 1;
  return true;
}

// The whole index, from c->index on. Memory is the caller's to close or to abandon.
base::Status build(Context* c, const Table* t, base::Slice data, bool slack, const Limits& limits, size_t prefix, size_t least) {
  c->schema = t->message->schema;
  c->fault = Fault::kNone;
  c->fault_at = 0;
  c->fault_field = nullptr;
  c->settle = nullptr;
  c->walk = {};
  c->sp = c->frames;
  c->sp_end = c->frames + std::min(limits.max_depth, wire::kDeepest) + 1;
  if (!open_region(c, prefix, least)) return base::Status::no_memory();
  open_input(c, data, slack);
  if (!open_root(c, t) || !t->dispatcher->run(c) || !tidy(c)) return report(c, limits);
  auto* index = reinterpret_cast<zcrpc_index*>(c->index);
  index->magic = ZCRPC_INDEX_MAGIC;
  index->layout = ZCRPC_LAYOUT;
  index->size = c->index_offset(c->top);
  index->root = c->root;
  index->input_len = uint32_t(data.size);
  index->flags = 0;
  index->fingerprint = t->message->fingerprint;
  return {};
}

// Where open messages are kept: in the context, or for higher limits on the heap.
class Frames {
 public:
  Frames(Context* c, const Limits& limits) {
    c->frames = c->own_frames;
    if (limits.max_depth < kOwnFrames - 1) return;
    size_ = (std::min(limits.max_depth, wire::kDeepest) + 2) * sizeof(Frame);
    heap_ = base::kDefaultAllocator.alloc(size_, nullptr);
    c->frames = static_cast<Frame*>(heap_);
  }
  Frames(const Frames&) = delete;
  Frames& operator=(const Frames&) = delete;
  ~Frames() {
    if (heap_) base::kDefaultAllocator.free(heap_, size_, nullptr);
  }
  bool ok() const { return size_ == 0 || heap_; }

 private:
  void* heap_ = nullptr;
  size_t size_ = 0;
};

base::Status too_long(size_t n) {
  return base::Status::format(base::Code::kResourceExhausted, "message of %zu bytes; the limit is %zu", n, wire::kMaxMessage);
}

base::Status not_bound() { return base::Status(base::Code::kInternal, "the schema has no decoder"); }

}  // namespace

base::Result<schema::View> decode(const Message* type, base::Slice data, bool slack, const Limits& limits, base::Arena* arena,
                                  base::Buffer* holder) {
  const auto* t = static_cast<const Table*>(type->decoder);
  if (!t) return not_bound();
  if (data.size > wire::kMaxMessage) return too_long(data.size);
  Context c;
  const Frames frames(&c, limits);
  if (!frames.ok()) return base::Status::no_memory();
  c.arena = arena;
  c.budget = budget_for(limits, data.size);
  base::Status status = build(&c, t, data, slack, limits, schema::kAnchorSize, std::min(first_room(data.size), c.budget));
  if (!status.ok()) {
    arena->region_abandon();
    return status;
  }
  schema::Anchor anchor{data.data, c.schema, arena, arena->generation() ^ schema::kSeal, holder};
  static_assert(sizeof anchor == schema::kAnchorSize);
  memcpy(c.region, &anchor, sizeof anchor);
  arena->region_close(c.region, size_t(c.top - c.region));
  return reinterpret_cast<schema::View>(c.index + c.root);
}

base::Status index(const Message* type, base::Slice data, const Limits& limits, void* memory, size_t capacity, size_t* size) {
  const auto* t = static_cast<const Table*>(type->decoder);
  *size = 0;
  if (!t) return not_bound();
  if (data.size > wire::kMaxMessage) return too_long(data.size);
  Context c;
  const Frames frames(&c, limits);
  if (!frames.ok()) return base::Status::no_memory();
  c.budget = budget_for(limits, data.size);
  base::Status status;
  {
    base::Arena fixed(memory, memory ? capacity : 0);
    c.arena = &fixed;
    status = build(&c, t, data, false, limits, 0, std::min(capacity, c.budget));
    if (status.ok()) {
      *size = size_t(c.top - c.index);
      return {};
    }
    // Without memory to grow in, the decode may have needed more for a while than it would have left.
    if (status.code() != base::Code::kResourceExhausted || c.fault == Fault::kDepth) return status;
  }
  base::Arena elsewhere;
  c.arena = &elsewhere;
  status = build(&c, t, data, false, limits, 0, std::min(first_room(data.size), c.budget));
  if (!status.ok()) return status;
  *size = size_t(c.top - c.index);
  if (*size > capacity)
    return base::Status::format(base::Code::kTooSmall, "the index takes %zu bytes, there are %zu", *size, capacity);
  memcpy(memory, c.index, *size);
  return {};
}

}  // namespace zcrpc::view
