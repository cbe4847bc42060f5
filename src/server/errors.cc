#include "server/errors.h"

#include "base/string.h"
#include "wire/wire.h"

namespace zcrpc::server {

using base::Code;
using base::Slice;
using base::Status;

namespace {

void put_length(base::String* out, uint32_t field, size_t size) {
  out->append(char(wire::tag(field, wire::Type::kLength)));
  for (; size >= 0x80; size >>= 7) out->append(char(size | 0x80));
  out->append(char(size));
}

size_t length_size(size_t size) {
  size_t n = 2;  // a tag of one byte, and the last byte of the length
  while (size >>= 7) n++;
  return n;
}

// google.rpc.BadRequest: field_violations = 1 {field = 1, description = 2}.
void put_bad_request(base::String* out, std::string_view path, std::string_view reason) {
  put_length(out, 1, length_size(path.size()) + path.size() + length_size(reason.size()) + reason.size());
  put_length(out, 1, path.size());
  out->append(path);
  put_length(out, 2, reason.size());
  out->append(reason);
}

}  // namespace

Status bad_request(Status s) {
  if (s.error()->is_static()) return s;
  std::string_view path = s.path(), reason = s.error()->message_view();
  base::String text;
  // A JSON error tells its line and column by itself.
  bool placed = reason.starts_with("line ");
  if (!placed && s.offset() >= 0) text.append("byte ").append_int(s.offset()).append(": ");
  if (!placed && !path.empty()) text.append(path).append(": ");
  text.append(reason);
  if (placed && !path.empty()) text.append(" (").append(path).append(")");
  if (!text.ok()) return Status::no_memory();
  Status out(s.code(), text.view());
  if (out.error()->is_static()) return out;
  if (s.code() != Code::kInvalidArgument || path.empty()) return out;
  base::String detail;
  put_bad_request(&detail, path, reason);
  if (detail.ok()) (void)out.error()->add_detail("google.rpc.BadRequest", detail.slice());
  return out;
}

}  // namespace zcrpc::server
