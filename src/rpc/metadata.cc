#include <cstring>

#include "json/write.h"
#include "rpc/protocol.h"

namespace zcrpc::rpc {

using base::Code;
using base::Metadata;
using base::Slice;
using base::Status;

namespace {

std::string_view trim(std::string_view s) {
  while (!s.empty() && (s.front() == ' ' || s.front() == '\t')) s.remove_prefix(1);
  while (!s.empty() && (s.back() == ' ' || s.back() == '\t')) s.remove_suffix(1);
  return s;
}

constexpr size_t kSmall = 512;

}  // namespace

bool is_binary_name(std::string_view name) { return name.ends_with("-bin"); }

// A name from HTTP is told by its length first: most are not ours.
bool reserved_header(std::string_view name) {
  if (name.empty() || name[0] == ':') return true;
  switch (name[0]) {
    case 'a': return name == "accept-encoding";
    case 'c': return name.starts_with("connect-") || name.starts_with("content-") || name == "connection";
    case 'd': return name == "date";
    case 'e': return name == "expect";
    case 'g': return name.starts_with("grpc-");
    case 'h': return name == "host" || name == "http2-settings";
    case 'k': return name == "keep-alive";
    case 'p': return name == "proxy-connection";
    case 't': return name == "te" || name == "trailer" || name == "transfer-encoding" || name.starts_with("trailer-");
    case 'u': return name == "upgrade";
    default: return false;
  }
}

bool valid_metadata_name(std::string_view name) {
  for (char c : name) {
    if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || c == '_' || c == '-' || c == '.')) return false;
  }
  return !reserved_header(name);
}

bool valid_metadata_value(std::string_view value) {
  for (char c : value) {
    if (c < 0x20 || c > 0x7E) return false;
  }
  return value.empty() || (value.front() != ' ' && value.back() != ' ');
}

bool add_metadata(Metadata* to, std::string_view name, std::string_view value) {
  if (!is_binary_name(name)) return to->add(name, Slice(trim(value)));
  for (;;) {
    size_t comma = value.find(',');
    std::string_view one = trim(value.substr(0, comma));
    uint8_t small[kSmall];
    base::Vec<uint8_t> large;
    uint8_t* out = small;
    size_t n;
    if (one.size() / 4 * 3 + 2 > kSmall && !(out = large.grow(one.size() / 4 * 3 + 2))) return false;
    if (json::base64_read(one, out, &n) && !to->add(name, Slice(out, n))) return false;
    if (comma == std::string_view::npos) return true;
    value.remove_prefix(comma + 1);
  }
}

std::string_view wire_value(std::string_view name, Slice value, base::Arena* arena) {
  if (!is_binary_name(name)) return value.empty() ? std::string_view("") : value.text();
  size_t n = json::base64_size(value.size, false);
  if (n == 0) return "";
  char* p = arena->array<char>(n);
  if (!p) return {};
  json::base64_write(value, json::Alphabet::kStandard, false, p);
  return {p, n};
}

Status check_metadata(const Metadata& m) {
  for (size_t i = 0; i < m.size(); i++) {
    std::string_view name = m.name(i);
    if (!valid_metadata_name(name)) {
      return Status::format(Code::kInvalidArgument, "metadata name \"%.*s\" cannot be sent", int(name.size() < 100 ? name.size() : 100), name.data());
    }
    if (!is_binary_name(name) && !valid_metadata_value(m.value(i).text())) {
      return Status::format(Code::kInvalidArgument, "the value of metadata \"%.*s\" is not printable ASCII", int(name.size() < 100 ? name.size() : 100), name.data());
    }
  }
  return {};
}

}  // namespace zcrpc::rpc
