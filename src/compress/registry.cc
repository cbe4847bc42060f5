#include "compress/registry.h"

#include <algorithm>

namespace zcrpc::compress {

using base::Code;
using base::Status;

namespace {
constexpr char lower(char c) { return c >= 'A' && c <= 'Z' ? char(c + 32) : c; }
bool same(std::string_view a, std::string_view b) {
  return a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin(), [](char x, char y) { return lower(x) == y; });
}

constexpr std::string_view kNames[kBuiltIn] = {
    "identity",
    "gzip",
#ifdef ZCRPC_WITH_ZSTD
    "zstd",
#else
    {},
#endif
#ifdef ZCRPC_WITH_BROTLI
    "br",
#else
    {},
#endif
#ifdef ZCRPC_WITH_SNAPPY
    "snappy",
#else
    {},
#endif
    "deflate",
};
}  // namespace

constexpr void Registry::write() {
  size_t n = kBefore.copy(text_, kBefore.size());
  list_size_ = 0;
  for (int i = 1; i < kBuiltIn + count_; i++) {
    std::string_view one = i < kBuiltIn ? kNames[i] : own_name(i - kBuiltIn);
    if (one.empty()) continue;
    if (list_size_) {
      text_[n++] = ',';
      text_[n++] = ' ';
    }
    n += one.copy(text_ + n, one.size());
    list_size_ = n - kBefore.size();
  }
  n += kBehind.copy(text_ + n, kBehind.size());
  text_[n] = 0;
}

constexpr Registry::Registry(Build) { write(); }
constinit const Registry kRegistry{Registry::Build{}};
Registry::Registry() : Registry(kRegistry) {}

Coding Registry::find(std::string_view name) const {
  if (name.empty()) return Coding::kIdentity;
  for (int i = 0; i < kBuiltIn + count_; i++)
    if (same(name, i < kBuiltIn ? kNames[i] : own_name(i - kBuiltIn))) return Coding(i);
  return Coding::kUnknown;
}

std::string_view Registry::name(Coding c) const {
  int i = uint8_t(c);
  return i < kBuiltIn ? kNames[i] : i < kBuiltIn + count_ ? own_name(i - kBuiltIn) : std::string_view();
}

Status Registry::add(std::string_view name, const Own& own) {
  if (!own.compress || !own.expand) return Status(Code::kInvalidArgument, "a coding needs both of its functions");
  bool good = !name.empty() && name.size() <= kMostName;
  for (char c : name) good = good && ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.');
  if (!good) return Status(Code::kInvalidArgument, "a coding's name is 1 to 32 of a-z 0-9 - _ .");
  if (find(name) != Coding::kUnknown) return Status::format(Code::kInvalidArgument, "there is a coding \"%.*s\" already", int(name.size()), name.data());
  if (count_ == kMostOwn) return Status(Code::kResourceExhausted, "no more than 8 codings of the application's");
  name.copy(names_[count_], name.size());
  name_sizes_[count_] = uint8_t(name.size());
  own_[count_++] = own;
  write();
  return {};
}

Coding Preference::choose(uint32_t accepted, Coding its_first) const {
  if (any) return its_first;
  for (int i = 0; i < count; i++)
    if (accepted & bit(order[i])) return order[i];
  return Coding::kIdentity;
}

Status read_preference(std::string_view list, const Registry& registry, Preference* out) {
  *out = {};
  while (!list.empty()) {
    size_t comma = std::min(list.find(','), list.size());
    std::string_view name = list.substr(0, comma);
    list.remove_prefix(std::min(comma + 1, list.size()));
    while (name.starts_with(' ')) name.remove_prefix(1);
    while (name.ends_with(' ')) name.remove_suffix(1);
    if (name == "*") {
      out->any = true;
      continue;
    }
    Coding c = registry.find(name);
    if (c == Coding::kUnknown)
      return Status::format(Code::kInvalidArgument, "\"%.*s\" is not a coding of this build", int(std::min<size_t>(name.size(), 64)), name.data());
    bool there = c == Coding::kIdentity || std::find(out->order, out->order + out->count, c) != out->order + out->count;
    if (!there) out->order[out->count++] = c;
  }
  return {};
}

}  // namespace zcrpc::compress
