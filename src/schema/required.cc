#include "schema/required.h"

#include "base/string.h"
#include "base/vec.h"
#include "schema/builder.h"

namespace zcrpc::schema {

using base::Code;
using base::Status;

// Message::reaches_required: of those that have a required field, and of all that such a message can lie in. The edges
// from type to type, turned round, are walked once.
Status Builder::mark_required() {
  size_t n = messages_.size(), edges = 0;
  auto* first = make_array<uint32_t>(n + 1, &scratch_);
  auto each_edge = [&](auto&& f) {
    for (const MessageItem& i : messages_) {
      for (const Field& x : i.message->fields)
        if (x.message) f(x.message->type_no, i.message->type_no);
      for (const Field* x : i.message->extensions)
        if (x->message) f(x->message->type_no, i.message->type_no);
    }
  };
  if (!first) return Status::no_memory();
  each_edge([&](uint32_t to, uint32_t) { first[to]++, edges++; });
  for (size_t i = 0, sum = 0; i <= n; i++) {
    size_t count = first[i];
    first[i] = uint32_t(sum);
    sum += count;
  }
  auto* holders = make_array<uint32_t>(edges, &scratch_);
  auto* next = make_array<uint32_t>(n, &scratch_);
  auto* queue = make_array<Message*>(n, &scratch_);
  if (!holders || !next || !queue) return Status::no_memory();
  each_edge([&](uint32_t to, uint32_t from) { holders[first[to] + next[to]++] = from; });

  size_t end = 0;
  auto mark = [&](Message* m) {
    if (m->reaches_required) return;
    m->reaches_required = true;
    queue[end++] = m;
  };
  for (const MessageItem& i : messages_)
    for (const Field& x : i.message->fields)
      if (x.required) mark(i.message);
  for (size_t at = 0; at < end; at++) {
    uint32_t t = queue[at]->type_no;
    for (uint32_t k = first[t]; k < first[t + 1]; k++) mark(messages_[holders[k]].message);
  }
  return {};
}

namespace {

// One open message, and how far the walk over it has come.
struct Frame {
  View v;           // nullptr: an empty message, as the value of a map entry without one
  const Message* type;
  uint32_t field;   // the next of its fields, then of its extensions
  uint32_t element; // the next element of that field
};

constexpr uint32_t kOwn = 32;  // frames that lie on the C stack; deeper messages take memory

class Walk {
 public:
  Status run(View root) {
    if (!push(root, type_of(root))) return Status::no_memory();
    while (depth_) {
      Frame& f = top();
      const Field* x = field_of(f);
      if (!x) {
        depth_--;
        if (depth_ >= kOwn) more_.pop();
        continue;
      }
      if (x->required && !has(f.v, x)) return missing(x);
      if (!x->message || !looked_into(x) || !f.v) {
        leave(f);
        continue;
      }
      View child = nullptr;
      bool waits = false;
      const Message* type = x->message;
      if (!x->repeated()) {
        if (f.element || !has(f.v, x)) {
          leave(f);
          continue;
        }
        child = sub_message(f.v, x);
        waits = !child;
      } else {
        Elements all = elements(f.v, x);
        if (f.element >= all.count) {
          leave(f);
          continue;
        }
        if (x->is_map()) {
          const uint8_t* slot = all.at(f.element) + x->map_value()->offset;
          type = x->map_value()->message;
          child = all.message_at(slot);
          waits = !child && load<uint32_t>(slot) != 0;
        } else {
          child = all.message(x->message, f.element);
          waits = !child;
        }
      }
      f.element++;
      if (waits) return unopened();
      if (!push(child, type)) return Status::no_memory();
    }
    return {};
  }

 private:
  static const Field* field_of(const Frame& f) {
    size_t n = f.type->fields.size();
    if (f.field < n) return &f.type->fields[f.field];
    return f.field - n < f.type->extensions.size() ? f.type->extensions[f.field - n] : nullptr;
  }
  static bool looked_into(const Field* x) {
    const Message* m = x->is_map() ? x->map_value()->message : x->message;
    return m && m->reaches_required;
  }
  static void leave(Frame& f) { f.field++, f.element = 0; }

  Frame& frame(size_t i) { return i < kOwn ? own_[i] : more_[i - kOwn]; }
  Frame& top() { return frame(depth_ - 1); }
  bool push(View v, const Message* type) {
    Frame f = {v, type, 0, 0};
    if (depth_ < kOwn)
      own_[depth_] = f;
    else if (!more_.push(f))
      return false;
    depth_++;
    return true;
  }

  // The path to the field at which the topmost message stands, or to the element in which it was not left.
  Status at_path(Status s) {
    base::String path;
    for (size_t i = 0; i < depth_; i++) {
      const Frame& f = frame(i);
      const Field* x = field_of(f);
      if (!path.empty()) path.append('.');
      if (x->extension) {
        path.append('[').append(x->full_name).append(']');
      } else {
        path.append(x->name);
      }
      if (!x->repeated() || f.element == 0) continue;  // missing itself: no element yet
      if (x->is_map())
        append_key(f, x, &path);
      else
        path.append('[').append_int(f.element - 1).append(']');
    }
    return path.ok() ? std::move(s).in(path.view()) : std::move(s);
  }
  static void append_key(const Frame& f, const Field* map, base::String* path) {
    constexpr size_t kShown = 64;  // a hostile key must not make the path long
    Elements all = elements(f.v, map);
    const Field* key = map->map_key();
    const uint8_t* slot = all.at(f.element - 1) + key->offset;
    if (key->kind != Kind::kString) {
      path->append('[');
      uint64_t bits = bits_at(key->kind, slot);
      if (key->kind == Kind::kBool)
        path->append(bits ? "true" : "false");
      else if (key->kind == Kind::kUint64 || key->kind == Kind::kFixed64)
        path->append_int(bits);
      else
        path->append_int(int64_t(bits));
      path->append(']');
      return;
    }
    std::string_view text = all.string_at(slot).text();
    size_t n = text.size();
    if (n > kShown)
      for (n = kShown; n && (text[n] & 0xC0) == 0x80;) n--;
    path->append("[\"");
    for (char c : text.substr(0, n)) {
      if (c == '"' || c == '\\') path->append('\\');
      path->append(c);
    }
    path->append(n < text.size() ? "...\"]" : "\"]");
  }
  Status missing(const Field* x) {
    return at_path(Status::format(Code::kInvalidArgument, "required field %.*s is not set", ZCRPC_NAME(x->full_name)));
  }
  Status unopened() { return at_path({Code::kFailedPrecondition, "a lazy sub-message that was not opened cannot be checked"}); }

  size_t depth_ = 0;
  Frame own_[kOwn];
  base::Vec<Frame> more_;
};

}  // namespace

Status check_required(View v) {
  if (!v || !type_of(v)->reaches_required) return {};
  Walk w;
  return w.run(v);
}

}  // namespace zcrpc::schema
