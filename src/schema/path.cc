#include "schema/path.h"

namespace zcrpc::schema {

void append_path(const Step* last, base::String* out) {
  if (!last) return;
  append_path(last->up, out);
  if (const Field* f = last->field) {
    if (!out->empty()) out->append('.');
    if (f->extension) {
      out->append('[').append(f->full_name).append(']');
    } else {
      out->append(f->name);
    }
  }
  if (last->index != kNoIndex) out->append('[').append_int(last->index).append(']');
  if (last->has_key) {
    out->append(last->quoted ? "[\"" : "[");
    // A hostile key must not make the path long.
    constexpr size_t kShown = 64;
    size_t n = last->key.size();
    if (n > kShown) {
      n = kShown;
      while (n && (last->key[n] & 0xC0) == 0x80) n--;
    }
    for (char c : last->key.substr(0, n)) {
      if (!last->escaped && (c == '"' || c == '\\')) out->append('\\');
      out->append(c);
    }
    if (n < last->key.size()) out->append("...");
    out->append(last->quoted ? "\"]" : "]");
  }
}

base::Status with_path(base::Status s, const Step* last) {
  base::String path;
  append_path(last, &path);
  return path.ok() ? std::move(s).in(path.view()) : std::move(s);
}

}  // namespace zcrpc::schema
