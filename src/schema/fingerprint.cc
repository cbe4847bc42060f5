// Fingerprints: 64 bits over everything of a type that generated code relies on, and of all types it reaches. Blind to
// comments, to the order of declarations and to files; the same on every platform (FNV-1a over little-endian words).
//
// Types that reach each other share a group (a strongly connected component), whose hash is over its members by name
// and the fingerprints of the types that the group reaches outside; so the whole is linear, whatever the cycles.
#include <algorithm>

#include "base/hash.h"
#include "schema/builder.h"

namespace zcrpc::schema {

using base::Status;

namespace {

class Hash {
 public:
  Hash& word(uint64_t v) {
    char b[8];
    for (int i = 0; i < 8; i++) b[i] = char(v >> (8 * i));
    h_ = base::fnv1a({b, 8}, h_);
    return *this;
  }
  Hash& text(std::string_view s) {
    word(s.size());
    h_ = base::fnv1a(s, h_);
    return *this;
  }
  uint64_t value() const { return h_; }

 private:
  uint64_t h_ = base::kFnvStart;
};

// The type alone; other types by name.
uint64_t own_hash(const Message* m) {
  Hash h;
  h.word(ZCRPC_LAYOUT).text(m->name).word(m->map_entry).word(m->message_set).word(!m->extension_ranges.empty()).word(m->fields.size());
  for (const Field& f : m->fields) {
    h.word(f.number).word(uint64_t(f.kind)).word(uint64_t(f.shape));
    h.word(f.presence).word(f.required).word(f.packed).word(f.utf8).word(f.closed_enum);
    h.word(f.oneof ? f.oneof->fields[0]->number : 0);
    if (f.message) h.text(f.message->name);
  }
  return h.value();
}

// Tarjan's algorithm with a stack of its own: types may be nested by the hundred thousand.
class Groups {
 public:
  explicit Groups(std::span<Message* const> messages) : messages_(messages) {}

  Status run() {
    size_t n = messages_.size();
    if (!fill(&order_, n) || !fill(&low_, n)) return Status::no_memory();
    for (uint32_t v = 0; v < n; v++)
      if (!order_[v]) ZCRPC_TRY(visit(v));
    return {};
  }

 private:
  struct Frame {
    uint32_t v;
    uint32_t field;
  };
  static bool fill(base::Vec<uint32_t>* v, size_t n) {
    uint32_t* p = v->grow(n);
    if (n && !p) return false;
    std::fill(p, p + n, 0u);
    return true;
  }

  bool enter(uint32_t v) {
    order_[v] = low_[v] = ++count_;
    return path_.push({v, 0}) && open_.push(v);
  }

  Status visit(uint32_t root) {
    if (!enter(root)) return Status::no_memory();
    while (!path_.empty()) {
      uint32_t v = path_.back().v;
      const Message* m = messages_[v];
      if (path_.back().field < m->fields.size()) {
        const Message* to = m->fields[path_.back().field++].message;
        if (!to) continue;
        uint32_t w = to->type_no;
        if (!order_[w]) {
          if (!enter(w)) return Status::no_memory();
        } else if (order_[w] != kDone) {
          low_[v] = std::min(low_[v], order_[w]);
        }
        continue;
      }
      path_.pop();
      if (!path_.empty()) low_[path_.back().v] = std::min(low_[path_.back().v], low_[v]);
      if (low_[v] == order_[v]) close(v);
    }
    return {};
  }

  // The group whose first member is v: everything above it on the stack.
  void close(uint32_t v) {
    size_t first = open_.size();
    while (open_[--first] != v) {
    }
    uint32_t* members = open_.begin() + first;
    size_t n = open_.size() - first;
    // Until all are hashed, a fingerprint of 0 tells who is in the group.
    std::sort(members, members + n, [&](uint32_t a, uint32_t b) { return messages_[a]->name < messages_[b]->name; });
    Hash group;
    group.word(n);
    for (size_t i = 0; i < n; i++) {
      const Message* m = messages_[members[i]];
      group.word(own_hash(m));
      for (const Field& f : m->fields)
        if (f.message) group.word(order_[f.message->type_no] == kDone ? f.message->fingerprint : 0);
    }
    for (size_t i = 0; i < n; i++) {
      Message* m = messages_[members[i]];
      uint64_t h = Hash().word(own_hash(m)).word(group.value()).value();
      m->fingerprint = h ? h : 1;  // 0 stays free to mean "none"
    }
    for (size_t i = 0; i < n; i++) order_[members[i]] = kDone;
    open_.truncate(first);
  }

  static constexpr uint32_t kDone = UINT32_MAX;
  std::span<Message* const> messages_;
  uint32_t count_ = 0;
  base::Vec<uint32_t> order_;  // 0: not seen; kDone: in a closed group
  base::Vec<uint32_t> low_;
  base::Vec<uint32_t> open_;
  base::Vec<Frame> path_;
};

}  // namespace

Status Builder::fingerprints() { return Groups(schema_->messages).run(); }

}  // namespace zcrpc::schema
