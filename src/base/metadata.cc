#include "base/metadata.h"

namespace zcrpc::base {

bool Metadata::add(std::string_view name, Slice value) {
  size_t at = bytes_.size();
  if (at > UINT32_MAX / 2 || name.size() > UINT32_MAX / 4 || value.size > UINT32_MAX / 4) return false;
  if (!bytes_.append(name.data(), name.size()) ||
      !bytes_.append(reinterpret_cast<const char*>(value.data), value.size) ||
      !rows_.push({uint32_t(at), uint32_t(name.size()), uint32_t(value.size)})) {
    bytes_.truncate(at);
    return false;
  }
  return true;
}

bool Metadata::get(std::string_view wanted, Slice* out) const {
  for (size_t i = 0; i < size(); i++)
    if (name(i) == wanted) {
      *out = value(i);
      return true;
    }
  return false;
}

bool Metadata::add_all(const Metadata& o) {
  for (size_t i = 0; i < o.size(); i++)
    if (!add(o.name(i), o.value(i))) return false;
  return true;
}

}  // namespace zcrpc::base
