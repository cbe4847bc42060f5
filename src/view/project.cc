#include "view/project.h"

#include <algorithm>
#include <cstdlib>
#include <new>

#include "base/hash.h"
#include "schema/path.h"
#include "view/context.h"

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

Status too_large(size_t most) {
  return Status::format(base::Code::kResourceExhausted, "the projection takes more than %zu bytes, which are 1 MiB and 32 for each of its paths'", most);
}

// The fields that a table is to have, ascending by number.
struct Named {
  Entry* entries;
  uint32_t count;
};

class Maker {
 public:
  // most: bytes that both arenas may take.
  Maker(base::Arena* kept, base::Arena* scratch, size_t most) : kept_(kept), scratch_(scratch), most_(most) {}

  // The table for what `node` selects of m; nullptr: nothing. As deep as a path, at most schema::kMaskDepth. On failure
  // nullptr, and why().
  const Table* table(const MaskNode* node, const Message* m) {
    auto* whole = static_cast<const Table*>(m->decoder);
    if (node && node->whole) return whole;
    Named named{static_cast<Entry*>(take(scratch_, most_named(node, m) * sizeof(Entry))), 0};
    if (!named.entries) return nullptr;
    return each_named(node, m, [&](const Field* f) { return name(&named, f, node, whole); }) ? shared(whole, named) : nullptr;
  }
  Status why() { return std::move(status_); }
  // A member of a oneof came along that is not named.
  bool more_than_named() const { return more_; }

 private:
  void* take(base::Arena* from, size_t n) {
    const size_t held = kept_->reserved() + scratch_->reserved();
    from->allow(held < most_ ? most_ - held : 0);
    void* p = from->alloc(n);
    if (!p) status_ = from->region_most(nullptr) < n ? schema::with_path(too_large(most_), at_) : Status::no_memory();
    return p;
  }

  // Keys and values of maps are always there. Members of a oneof stay together: which came last decides whether one is set.
  template <class Fn>
  static bool each_named(const MaskNode* node, const Message* m, Fn fn) {
    if (m->map_entry) return fn(&m->fields[0]) && fn(&m->fields[1]);
    const schema::Oneof* last = nullptr;
    for (const MaskNode* child : node ? node->children() : std::span<MaskNode* const>()) {
      const Field* f = child->field;
      if (f->extension || !f->oneof) {
        if (!fn(f)) return false;
      } else if (f->oneof != last) {
        last = f->oneof;
        for (const Field* other : last->fields)
          if (!fn(other)) return false;
      }
    }
    return true;
  }
  static size_t most_named(const MaskNode* node, const Message* m) {
    size_t n = 0;
    each_named(node, m, [&](const Field*) { return ++n != 0; });
    return n;
  }

  bool name(Named* to, const Field* f, const MaskNode* node, const Table* whole) {
    Entry *const end = to->entries + to->count, *e = end;
    while (e != to->entries && e[-1].number > f->number) e--;
    if (e != to->entries && e[-1].number == f->number) return true;  // of a oneof between whose members others lie
    memmove(e + 1, e, size_t(end - e) * sizeof(Entry));
    to->count++;
    *e = *find_target(whole, f->number).entry;
    if (f->oneof && !(node && node->child(f->number))) more_ = true;
    if (!f->message) return true;
    const schema::Step *up = at_, step{up, f};
    at_ = &step;
    e->sub = table(node ? node->child(f->number) : nullptr, f->message);
    at_ = up;
    return e->sub;
  }

  // The table with these entries, made if there is none: many parts of a mask look alike.
  const Table* shared(const Table* whole, const Named& named) {
    if (count_ * 2 >= size_ && !grow()) return nullptr;
    const Table** at = place(whole->message, named.entries, named.count);
    if (*at) return *at;
    count_++;
    return *at = make(whole, named);
  }
  const Table** place(const Message* m, const Entry* entries, uint32_t n) const {
    for (uint64_t h = base::siphash(key_, entries, n * sizeof(Entry)) + m->type_no;; h++) {
      const Table** at = &set_[h & (size_ - 1)];
      if (!*at || ((*at)->message == m && (*at)->count == n && memcmp((*at)->entries, entries, n * sizeof(Entry)) == 0)) return at;
    }
  }
  bool grow() {
    const Table** old = set_;
    const size_t before = size_, size = before ? before * 2 : 64;
    auto** set = static_cast<const Table**>(take(scratch_, size * sizeof(const Table*)));
    if (!set) return false;
    set_ = std::fill_n(set, size, nullptr) - size;
    size_ = size;
    for (size_t i = 0; i < before; i++)
      if (old[i]) *place(old[i]->message, old[i]->entries, old[i]->count) = old[i];
    return true;
  }

  Table* make(const Table* whole, const Named& named) {
    void* memory = take(kept_, sizeof(Table) + named.count * sizeof(Entry));
    if (!memory) return nullptr;
    auto* t = new (memory) Table(*whole);
    auto* entries = reinterpret_cast<Entry*>(t + 1);
    memcpy(entries, named.entries, named.count * sizeof(Entry));
    t->entries = entries;
    t->extensions = nullptr;
    t->count = named.count;
    t->projected = true;
    uint32_t taken = 1;  // number 0 is for slow code
    for (uint32_t i = 0; i < t->count; i++) taken |= 1u << place_of(entries[i].number);
    t->skipped = ~taken;
    return fill_dense(t, fill_places(t)) && fill_skips(t) ? t : nullptr;
  }

  // What found its place taken is looked for by number: up to which?
  static uint32_t fill_places(Table* t) {
    for (uint32_t i = 0; i < 32; i++) {
      Entry& e = t->fast[i];
      e = {};
      e.bit = kNoBit;
      const bool skip = t->skipped >> i & 1;
      e.op = skip ? Op::kSkip : Op::kSlow;
      e.handler = skip ? t->dispatcher->handler(Op::kSkip, 1) : t->dispatcher->miss();
    }
    uint32_t dense = 0;
    for (uint32_t i = 0; i < t->count; i++) {
      const Entry& own = t->entries[i];
      if (own.op == Op::kSlow) continue;
      Entry& place = t->fast[(own.tag & 0xFF) >> 3];
      if (place.tag == 0) place = own;
      else if (own.number < t->dense_size) dense = own.number + 1;
    }
    return dense;
  }

  bool fill_dense(Table* t, uint32_t size) {
    t->dense_size = size;
    t->dense = nullptr;
    if (size == 0) return true;
    auto* dense = static_cast<uint16_t*>(take(kept_, size * sizeof(uint16_t)));
    if (!dense) return false;
    std::fill_n(dense, size, uint16_t(0));
    for (uint32_t i = 0; i < t->count && t->entries[i].number < size; i++) dense[t->entries[i].number] = uint16_t(i + 1);
    t->dense = dense;
    return true;
  }

  bool fill_skips(Table* t) {
    if (!skips_ || skips_of_ != t->skipped) {
      auto* skips = static_cast<uint8_t*>(take(kept_, 256));
      if (!skips) return false;
      for (uint32_t b = 0; b < 256; b++) {
        const uint32_t type = b & 7;
        const bool known = t->skipped >> (b >> 3) & 1 && (type <= 2 || type == 5);
        skips[b] = !known ? kSkipNever : b >= 0x80 || type == 1 || type == 5 ? kSkipOther : type == 2 ? kSkipLength : kSkipNumber;
      }
      skips_ = skips;
      skips_of_ = t->skipped;
    }
    t->skips = skips_;
    return true;
  }

  base::Arena *kept_, *scratch_;
  size_t most_;
  const schema::Step* at_ = nullptr;
  Status status_;
  const Table** set_ = nullptr;  // all that were made, by their hash
  size_t size_ = 0, count_ = 0;
  const uint8_t* skips_ = nullptr;  // the last ones
  uint32_t skips_of_ = 0;
  bool more_ = false;
  const base::HashKey key_ = base::process_hash_key();
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
  most_ += 32 * path.size();
  base::Arena* arena = &made_->arena;
  arena->allow(most_ - std::min(most_, arena->reserved()));
  Status s = schema::mask_add(root_, path, kFlags, arena);
  // The largest piece would have been a row for every field that a type can have.
  if (s.code() == base::Code::kResourceExhausted && arena->region_most(nullptr) < UINT16_MAX * sizeof(void*)) s = too_large(most_).at(0).in(path);
  return s;
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
  Maker maker(&made_->arena, &scratch_, most_);
  made_->table = maker.table(root_, made_->type);
  if (!made_->table) return maker.why();
  if (maker.more_than_named()) made_->mask = root_;
  Projection* p = made_;
  made_ = nullptr;
  root_ = nullptr;
  return p;
}

}  // namespace zcrpc::view
