#include "view/project.h"

#include <cstdlib>
#include <new>

namespace zcrpc::view {
namespace {

using base::Result;
using base::Status;
using schema::Field;
using schema::MaskNode;
using schema::Message;

constexpr uint32_t kFlags = schema::kMaskThroughRepeated | schema::kMaskThroughMaps;

// Which of the 32 places of a table a tag of that number leads to.
uint32_t place_of(uint32_t number) { return number < 16 ? number : 16 | (number & 15); }

class Maker {
 public:
  Maker(base::Arena* arena) : arena_(arena) {}

  // The table for what `node` selects of m; nullptr: nothing. Without memory: nullptr. As deep as a path, at most
  // schema::kMaskDepth.
  const Table* table(const MaskNode* node, const Message* m) {
    auto* whole = static_cast<const Table*>(m->decoder);
    if (node && node->whole) return whole;
    auto* memory = arena_->alloc(sizeof(Table));
    const size_t n = m->fields.size(), known = m->extensions.size();
    auto* entries = arena_->array<Entry>(n + known);
    if (!memory || !entries) return nullptr;
    auto* t = new (memory) Table(*whole);
    if (n) memcpy(entries, whole->entries, n * sizeof(Entry));
    if (known) memcpy(entries + n, whole->extensions, known * sizeof(Entry));
    t->entries = entries;
    t->extensions = known ? entries + n : nullptr;
    t->projected = true;
    uint32_t taken = 1;  // number 0 is for slow code
    for (size_t i = 0; i < n + known; i++) {
      const Field* f = i < n ? &m->fields[i] : m->extensions[i - n];
      if (!entry(&entries[i], f, node, t)) return nullptr;
      if (entries[i].op != Op::kSkip) taken |= 1u << place_of(f->number);
    }
    t->skipped = ~taken;
    fill_places(t, n);
    return fill_skips(t) ? t : nullptr;
  }

 private:
  static const MaskNode* selected(const MaskNode* node, const Field* f) { return node ? node->child(f->number) : nullptr; }

  // Members of a oneof stay together: which came last decides whether one is set.
  static bool stays(const MaskNode* node, const Field* f) {
    if (f->parent->map_entry || selected(node, f)) return true;
    if (!f->oneof || f->extension) return false;
    for (const Field* other : f->oneof->fields)
      if (selected(node, other)) return true;
    return false;
  }

  bool entry(Entry* e, const Field* f, const MaskNode* node, const Table* t) {
    if (!stays(node, f)) {
      e->op = Op::kSkip;
      e->handler = t->dispatcher->handler(e->op, 1);
      return true;
    }
    if (!f->message) return true;
    e->sub = table(selected(node, f), f->message);
    return e->sub;
  }

  static void fill_places(Table* t, size_t n) {
    for (uint32_t i = 0; i < 32; i++) {
      Entry& e = t->fast[i];
      e = {};
      e.bit = kNoBit;
      const bool skip = t->skipped >> i & 1;
      e.op = skip ? Op::kSkip : Op::kSlow;
      e.handler = skip ? t->dispatcher->handler(Op::kSkip, 1) : t->dispatcher->miss();
    }
    for (size_t i = 0; i < n; i++) {
      const Entry& own = t->entries[i];
      if (own.op == Op::kSlow || own.op == Op::kSkip) continue;
      Entry& place = t->fast[(own.tag & 0xFF) >> 3];
      if (place.tag == 0) place = own;
    }
  }

  bool fill_skips(Table* t) {
    auto* skips = arena_->array<uint8_t>(256);
    if (!skips) return false;
    for (uint32_t b = 0; b < 256; b++) {
      const uint32_t type = b & 7;
      const bool known = t->skipped >> (b >> 3) & 1 && (type <= 2 || type == 5);
      skips[b] = !known ? kSkipNever : b >= 0x80 || type == 1 || type == 5 ? kSkipOther : type == 2 ? kSkipLength : kSkipNumber;
    }
    t->skips = skips;
    return true;
  }

  base::Arena* arena_;
};

}  // namespace

void Projection::release() {
  if (refs.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
  type->schema->release();
  this->~Projection();
  std::free(this);
}

ProjectionBuilder::ProjectionBuilder(const Message* type) : made_(nullptr) {
  void* memory = std::malloc(sizeof(Projection));
  if (!memory) return;
  made_ = new (memory) Projection;
  made_->type = type;
  type->schema->retain();
  root_ = schema::mask_root(type, &made_->arena);
}

ProjectionBuilder::~ProjectionBuilder() {
  if (made_) made_->release();
}

Status ProjectionBuilder::add(std::string_view path) {
  if (!root_) return Status::no_memory();
  return schema::mask_add(root_, path, kFlags, &made_->arena);
}

Status ProjectionBuilder::add_list(std::string_view paths) {
  for (size_t at = 0; at <= paths.size();) {
    const size_t comma = paths.find(',', at), end = comma == paths.npos ? paths.size() : comma;
    if (end > at) {
      Status s = add(paths.substr(at, end - at));
      if (!s.ok()) {
        const int64_t offset = s.offset();
        return std::move(s).at(offset < 0 ? offset : offset + int64_t(at));
      }
    }
    at = end + 1;
  }
  return {};
}

Result<Projection*> ProjectionBuilder::finish() {
  if (!root_) return Status::no_memory();
  if (!made_->type->decoder) return Status(base::Code::kInternal, "the schema has no decoder");
  made_->table = Maker(&made_->arena).table(root_, made_->type);
  if (!made_->table) return Status::no_memory();
  Projection* p = made_;
  made_ = nullptr;
  root_ = nullptr;
  return p;
}

}  // namespace zcrpc::view
