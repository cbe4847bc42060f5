// zcrpc.h, section 1: metadata.
#include <algorithm>

#include "capi/convert.h"
#include "capi/guard.h"

using namespace zcrpc;
using namespace zcrpc::capi;

namespace {

bool name_char(char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.'; }

// What the protocols write themselves, and what HTTP forbids an application to touch.
bool reserved(std::string_view name) {
  if (name.starts_with("grpc-") || name.starts_with("connect-") || name.starts_with("trailer-")) return true;
  static constexpr std::string_view kNames[] = {
      "accept-encoding", "connection", "content-encoding", "content-length", "content-type", "date", "expect", "host",
      "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"};
  return std::find(std::begin(kNames), std::end(kNames), name) != std::end(kNames);
}

bool text_value(base::Slice v) {
  return std::all_of(v.begin(), v.end(), [](uint8_t c) { return c >= 0x20 && c <= 0x7E; });
}

}  // namespace

zcrpc_code zcrpc_metadata_add(zcrpc_metadata* m, const char* name, const void* value, size_t len, zcrpc_error** err) {
  return guard(err, [&]() -> base::Status {
    if (!m) return wrong("zcrpc_metadata_add: no metadata");
    if (!name || !*name) return wrong("zcrpc_metadata_add: no name");
    if (bad_slice(value, len)) return wrong("zcrpc_metadata_add: value is NULL but its length is not 0");
    std::string_view n(name);
    if (!std::all_of(n.begin(), n.end(), name_char))
      return base::Status::format(base::Code::kInvalidArgument, "metadata name \"%.100s\": only a-z, 0-9, '-', '_' and '.' are allowed", name);
    if (reserved(n)) return base::Status::format(base::Code::kInvalidArgument, "metadata name \"%.100s\" is reserved", name);
    base::Slice v = given(value, len);
    if (!n.ends_with("-bin") && !text_value(v))
      return base::Status::format(base::Code::kInvalidArgument, "metadata \"%.100s\": value is not printable ASCII; names in -bin take any bytes", name);
    if (!from_c(m)->add(n, v)) return base::Status::no_memory();
    return {};
  });
}

int32_t zcrpc_metadata_get(const zcrpc_metadata* m, const char* name, zcrpc_slice* value) {
  base::Slice v;
  bool found = m && name && from_c(m)->get(name, &v);
  put(value, v);
  return found;
}

size_t zcrpc_metadata_count(const zcrpc_metadata* m) { return m ? from_c(m)->size() : 0; }

void zcrpc_metadata_at(const zcrpc_metadata* m, size_t i, zcrpc_slice* name, zcrpc_slice* value) {
  bool there = m && i < from_c(m)->size();
  put(name, there ? base::Slice(from_c(m)->name(i)) : base::Slice());
  put(value, there ? from_c(m)->value(i) : base::Slice());
}
