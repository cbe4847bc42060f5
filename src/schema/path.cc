#include "schema/path.h"

namespace zcrpc::schema {

namespace {

// What a hostile text calls a key or a field must not make the path long. Between characters.
constexpr size_t kShown = 64;
std::string_view shown(std::string_view s) {
  size_t n = s.size();
  if (n > kShown) {
    n = kShown;
    while (n && (s[n] & 0xC0) == 0x80) n--;
  }
  return s.substr(0, n);
}

}  // namespace

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
  if (!last->name.empty()) {
    if (!out->empty()) out->append('.');
    std::string_view name = shown(last->name);
    for (char c : name) out->append(uint8_t(c) < 0x20 || c == 0x7F ? '?' : c);
    if (name.size() < last->name.size()) out->append("...");
  }
  if (last->index != kNoIndex) out->append('[').append_int(last->index).append(']');
  if (last->has_key) {
    out->append(last->quoted ? "[\"" : "[");
    std::string_view key = shown(last->key);
    show_key(key, last->escaped, [out](std::string_view piece) { out->append(piece); });
    if (key.size() < last->key.size()) out->append("...");
    out->append(last->quoted ? "\"]" : "]");
  }
}

base::Status with_path(base::Status s, const Step* last) {
  base::String path;
  append_path(last, &path);
  return path.ok() ? std::move(s).in(path.view()) : std::move(s);
}

}  // namespace zcrpc::schema
