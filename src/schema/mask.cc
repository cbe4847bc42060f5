#include "schema/mask.h"

#include <algorithm>
#include <new>

namespace zcrpc::schema {

using base::Code;
using base::Status;

namespace {

// The first segment of what is left of a path, which is shortened by it. An extension's name, in brackets, has dots.
std::string_view take_segment(std::string_view* path) {
  size_t n;
  if (path->starts_with('[')) {
    size_t close = path->find(']');
    n = close == path->npos ? path->size() : close + 1;
    if (n < path->size() && (*path)[n] != '.') n = path->size();  // "[a]b": no name at all
  } else {
    n = std::min(path->find('.'), path->size());
  }
  std::string_view segment = path->substr(0, n);
  *path = n == path->size() ? std::string_view() : path->substr(n + 1);
  return segment;
}

const Field* find_segment(const Message* type, std::string_view segment) {
  if (!segment.starts_with('[')) return type->by_proto_name(segment);
  if (segment.size() < 3 || !segment.ends_with(']')) return nullptr;
  const Field* f = type->schema->extension(segment.substr(1, segment.size() - 2));
  return f && f->parent == type ? f : nullptr;
}

// Whether segments may follow behind the field.
bool leads_on(const Field* f, uint32_t flags) {
  if (!is_message(f->kind)) return false;
  if (f->is_map()) return flags & kMaskThroughMaps;
  return !f->repeated() || flags & kMaskThroughRepeated;
}

MaskNode** find_row(const MaskNode* n, uint32_t number) {
  // Most lists name fields as the type has them.
  if (n->count && n->rows[n->count - 1]->field->number < number) return n->rows + n->count;
  return std::partition_point(n->rows, n->rows + n->count, [number](const MaskNode* c) { return c->field->number < number; });
}

MaskNode* make_node(const Field* f, const Message* type, base::Arena* arena) {
  void* memory = arena->alloc(sizeof(MaskNode));
  if (!memory) return nullptr;
  auto* n = new (memory) MaskNode;
  n->field = f;
  n->type = type;
  return n;
}

// The child for that field, made if need be; nullptr: no memory.
MaskNode* reach(MaskNode* n, const Field* f, base::Arena* arena) {
  MaskNode** at = find_row(n, f->number);
  if (at != n->rows + n->count && (*at)->field == f) return *at;
  auto place = size_t(at - n->rows);
  if (n->count == n->capacity) {
    uint32_t capacity = n->capacity ? n->capacity * 2 : 1;
    auto** rows = arena->array<MaskNode*>(capacity);
    if (!rows) return nullptr;
    std::copy(n->rows, n->rows + n->count, rows);
    n->rows = rows;
    n->capacity = capacity;
  }
  MaskNode* child = make_node(f, is_message(f->kind) ? f->message : nullptr, arena);
  if (!child) return nullptr;
  std::copy_backward(n->rows + place, n->rows + n->count, n->rows + n->count + 1);
  n->rows[place] = child;
  n->count++;
  return child;
}

// Walks a path. step(field) is called for each segment in turn; at the end of a path that is wrong, the error.
template <class Step>
Status walk(const Message* type, std::string_view path, uint32_t flags, Step step) {
  std::string_view rest = path;
  const Field* last = nullptr;
  const char* last_from = nullptr;
  auto wrong = [&](const char* name, const Status& s) { return Status(s.code(), s.message()).at(name - path.data()).in(path); };
  uint32_t depth = 0;
  do {
    const char* from = rest.data();
    bool dot_at_end = rest.ends_with('.');
    std::string_view segment = take_segment(&rest);
    if (last && !leads_on(last, flags)) {
      const char* what = last->is_map() ? "a map" : last->repeated() ? "repeated" : "no message";
      return wrong(last_from, Status::format(Code::kInvalidArgument, "%.*s is %s: no path leads through it", int(last->full_name.size()),
                                             last->full_name.data(), what));
    }
    if (last) type = last->message;
    last = find_segment(type, segment);
    if (!last)
      return wrong(from, Status::format(Code::kInvalidArgument, "%.*s has no field \"%.*s\"", int(type->name.size()), type->name.data(),
                                        int(std::min<size_t>(segment.size(), 200)), segment.data()));
    if (++depth > kMaskDepth) return wrong(from, Status(Code::kInvalidArgument, "a path of more than 100 fields"));
    if (rest.empty() && dot_at_end) return wrong(path.data() + path.size(), Status(Code::kInvalidArgument, "a path that ends with a dot"));
    last_from = from;
    ZCRPC_TRY(step(last));
  } while (!rest.empty());
  return {};
}

}  // namespace

const MaskNode* MaskNode::child(uint32_t number) const {
  MaskNode** at = find_row(this, number);
  return at != rows + count && (*at)->field->number == number ? *at : nullptr;
}

MaskNode* mask_root(const Message* type, base::Arena* arena) { return make_node(nullptr, type, arena); }

Status mask_add(MaskNode* root, std::string_view path, uint32_t flags, base::Arena* arena) {
  MaskNode* n = root;
  bool covered = root->whole;  // the rest of the path is only checked
  ZCRPC_TRY(walk(root->type, path, flags, [&](const Field* f) -> Status {
    if (covered) return {};
    if (!(n = reach(n, f, arena))) return Status::no_memory();
    covered = n->whole;
    return {};
  }));
  n->whole = true;
  n->count = 0;
  return {};
}

bool mask_valid(const Message* type, std::string_view path, uint32_t flags) {
  return walk(type, path, flags, [](const Field*) { return Status(); }).ok();
}

base::Result<MaskNode*> mask_compile(const Message* type, std::string_view paths, uint32_t flags, base::Arena* arena) {
  MaskNode* root = mask_root(type, arena);
  if (!root) return Status::no_memory();
  for (size_t at = 0; at <= paths.size();) {
    size_t end = std::min(paths.find(',', at), paths.size());
    if (end > at) {
      Status s = mask_add(root, paths.substr(at, end - at), flags, arena);
      if (!s.ok()) return std::move(s).at(s.offset() < 0 ? -1 : s.offset() + int64_t(at));
    }
    at = end + 1;
  }
  return root;
}

bool split_paths(std::string_view text, Paths* out) {
  for (size_t at = 0; at <= text.size();) {
    size_t end = std::min(text.find(',', at), text.size());
    if (end > at && !out->push(text.substr(at, end - at))) return false;
    at = end + 1;
  }
  return true;
}

bool path_covers(std::string_view above, std::string_view path) {
  return path.starts_with(above) && (path.size() == above.size() || path[above.size()] == '.');
}

// A dot sorts before every character of a name, so what a path covers follows right behind it.
void normalise_paths(Paths* paths) {
  std::sort(paths->begin(), paths->end());
  size_t n = 0;
  for (std::string_view p : *paths)
    if (!n || !path_covers((*paths)[n - 1], p)) (*paths)[n++] = p;
  paths->truncate(n);
}

bool paths_cover(const Paths& list, std::string_view path) {
  auto* above = std::upper_bound(list.begin(), list.end(), path);
  return above != list.begin() && path_covers(above[-1], path);
}

bool intersect_paths(const Paths& a, const Paths& b, Paths* out) {
  for (std::string_view p : a)
    if (paths_cover(b, p) && !out->push(p)) return false;
  for (std::string_view p : b)
    if (paths_cover(a, p) && !out->push(p)) return false;
  normalise_paths(out);
  return true;
}

}  // namespace zcrpc::schema
