#include "rpc/grpc.h"

#include <charconv>
#include <cstring>

#include "json/write.h"
#include "rpc/protocol.h"
#include "wire/wire.h"

namespace zcrpc::rpc {

using base::Code;
using base::Error;
using base::Slice;
using wire::Type;

namespace {

constexpr bool plain(char c) { return c >= 0x20 && c <= 0x7E && c != '%'; }
constexpr char kHex[] = "0123456789ABCDEF";
constexpr std::string_view kTypeUrl = "type.googleapis.com/";

int hex(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

size_t field_size(size_t n) { return 1 + wire::varint_size(n) + n; }

uint8_t* put_head(uint8_t* p, uint32_t number, size_t size) {
  *p++ = uint8_t(wire::tag(number, Type::kLength));
  return wire::put_varint(p, size);
}

uint8_t* put_bytes(uint8_t* p, const void* s, size_t n) {
  if (n) memcpy(p, s, n);
  return p + n;
}

size_t any_size(std::string_view type, Slice value) {
  return field_size(kTypeUrl.size() + type.size()) + (value.size ? field_size(value.size) : 0);
}

Code code_of(uint64_t n) { return n <= 16 ? Code(int32_t(n)) : Code::kUnknown; }

// The next field; false at the end or on a fault.
struct Fields {
  const uint8_t *p, *end;
  uint32_t tag = 0;
  Slice bytes;
  uint64_t number = 0;
  bool broken = false;

  explicit Fields(Slice s) : p(s.data), end(s.data + s.size) {}
  bool next() {
    if (p == end) return false;
    wire::Fault fault;
    const uint8_t* at;
    p = wire::read_tag(p, end, &tag, &fault);
    if (p && wire::tag_type(tag) == Type::kVarint) {
      p = wire::read_varint(p, end, &number, &fault);
    } else if (p && wire::tag_type(tag) == Type::kLength) {
      uint32_t n = 0;
      p = wire::read_length(p, end, &n, &fault);
      if (p) bytes = {p, n}, p += n;
    } else if (p) {
      p = wire::skip_value(p, end, tag, wire::kMaxDepth, &fault, &at);
    }
    broken = p == nullptr;
    return !broken;
  }
};

bool read_detail(Slice any, Error* e) {
  std::string_view url;
  Slice value;
  Fields f(any);
  while (f.next()) {
    if (f.tag == wire::tag(1, Type::kLength)) url = f.bytes.text();
    if (f.tag == wire::tag(2, Type::kLength)) value = f.bytes;
  }
  size_t slash = url.rfind('/');
  if (slash != std::string_view::npos) url.remove_prefix(slash + 1);
  return !f.broken && e->add_detail(url, value);
}

}  // namespace

std::string_view percent_encode(std::string_view s, base::Arena* arena) {
  size_t odd = 0;
  for (char c : s) odd += !plain(c);
  if (odd == 0) return s.data() ? s : std::string_view("");
  char* out = arena->array<char>(s.size() + 2 * odd);
  if (!out) return {};
  char* p = out;
  for (char c : s) {
    if (plain(c)) {
      *p++ = c;
    } else {
      *p++ = '%';
      *p++ = kHex[uint8_t(c) >> 4];
      *p++ = kHex[uint8_t(c) & 15];
    }
  }
  return {out, size_t(p - out)};
}

std::string_view percent_decode(std::string_view s, base::Arena* arena) {
  if (s.find('%') == std::string_view::npos) return s.data() ? s : std::string_view("");
  char* out = arena->array<char>(s.size());
  if (!out) return {};
  char* p = out;
  for (size_t i = 0; i < s.size(); i++) {
    int high = s[i] == '%' && i + 2 < s.size() ? hex(s[i + 1]) : -1;
    int low = high >= 0 ? hex(s[i + 2]) : -1;
    if (low >= 0) i += 2;
    *p++ = low >= 0 ? char(high << 4 | low) : s[i];
  }
  return {out, size_t(p - out)};
}

Slice write_status(const Error& e, base::Arena* arena) {
  std::string_view message = e.message_view();
  size_t size = 2 + (message.empty() ? 0 : field_size(message.size()));
  for (size_t i = 0; i < e.detail_count(); i++) size += field_size(any_size(e.detail_type(i), e.detail_value(i)));
  auto* out = arena->array<uint8_t>(size);
  if (!out) return {};
  uint8_t* p = out;
  *p++ = uint8_t(wire::tag(1, Type::kVarint));
  *p++ = uint8_t(wire_code(e.code()));
  if (!message.empty()) {
    p = put_head(p, 2, message.size());
    p = put_bytes(p, message.data(), message.size());
  }
  for (size_t i = 0; i < e.detail_count(); i++) {
    std::string_view type = e.detail_type(i);
    Slice value = e.detail_value(i);
    p = put_head(p, 3, any_size(type, value));
    p = put_head(p, 1, kTypeUrl.size() + type.size());
    p = put_bytes(p, kTypeUrl.data(), kTypeUrl.size());
    p = put_bytes(p, type.data(), type.size());
    if (value.size) {
      p = put_head(p, 2, value.size);
      p = put_bytes(p, value.data, value.size);
    }
  }
  return {out, size};
}

Error* read_status(Slice bytes) {
  Error* e = Error::make(Code::kUnknown, "");
  if (e->is_static()) return nullptr;
  Fields f(bytes);
  bool ok = true;
  Code code = Code::kOk;
  while (ok && f.next()) {
    if (f.tag == wire::tag(1, Type::kVarint)) code = code_of(f.number);
    if (f.tag == wire::tag(2, Type::kLength)) ok = e->set_message(f.bytes.text());
    if (f.tag == wire::tag(3, Type::kLength)) ok = read_detail(f.bytes, e);
  }
  e->set_code(code);
  if (ok && !f.broken) return e;
  Error::free(e);
  return nullptr;
}

Error* read_grpc_error(std::string_view status, std::string_view message, std::string_view details_bin) {
  uint64_t n = 0;
  auto parsed = std::from_chars(status.data(), status.data() + status.size(), n);
  if (status.empty() || parsed.ec != std::errc() || parsed.ptr != status.data() + status.size()) {
    return Error::make(Code::kInternal, status.empty() ? "the answer has no grpc-status" : "broken grpc-status");
  }
  if (n == 0) return nullptr;
  base::Arena arena;
  Error* e = nullptr;
  if (!details_bin.empty()) {
    auto* raw = arena.array<uint8_t>(details_bin.size() / 4 * 3 + 2);
    size_t size;
    if (raw && json::base64_read(details_bin, raw, &size)) e = read_status({raw, size});
  }
  std::string_view text = percent_decode(message, &arena);
  if (!e) return Error::make(code_of(n), text);
  // The plain ones are what everybody sees: they count.
  e->set_code(code_of(n));
  if (e->message_view() != text && !e->set_message(text)) {
    Error::free(e);
    return Error::no_memory();
  }
  return e;
}

}  // namespace zcrpc::rpc
