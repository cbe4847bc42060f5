#include "rpc/reply.h"

#include <charconv>

#include "rpc/connect.h"
#include "rpc/grpc.h"
#include "rpc/message.h"

namespace zcrpc::rpc {

using base::Code;
using base::Error;
using base::Metadata;
using base::Slice;
using base::Status;
using compress::Coding;

namespace {

constexpr size_t kKept = 4096;

constexpr std::string_view kStatusDigits[] = {"0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12", "13", "14", "15", "16"};

std::string_view status_digits(Code c) { return kStatusDigits[uint32_t(wire_code(c))]; }

std::string_view grpc_type(const Request& r) {
  if (r.bare_grpc()) return "application/grpc";
  return r.codec() == Codec::kJson ? "application/grpc+json" : "application/grpc+proto";
}

std::string_view connect_type(const Request& r) { return r.codec() == Codec::kJson ? "application/json" : "application/proto"; }

std::string_view accept_post(const Request& r) {
  return r.http2() ? "application/grpc, application/grpc+json, application/grpc+proto, application/json, application/proto"
                   : "application/json, application/proto";
}

}  // namespace

void Reply::clear() {
  headers_.clear();
  trailers_.clear();
  body_.clear();
  arena_.reset();
  prefix_size_ = 0;
  status_ = 0;
  error_ = false;
}

void Reply::trim() {
  if (body_.bytes().capacity() > kKept) body_.bytes().drop();
  if (headers_.capacity() > kKept / sizeof(base::Header)) headers_.drop();
  if (trailers_.capacity() > kKept / sizeof(base::Header)) trailers_.drop();
}

bool Reply::number(std::string_view name, uint64_t v) {
  char* p = arena_.array<char>(20);
  return p && add(name, {p, size_t(std::to_chars(p, p + 20, v).ptr - p)});
}

// Copied: what the handler does with its metadata afterwards is its own business.
bool Reply::copy(Headers* to, const Metadata* m, std::string_view prefix) {
  for (size_t i = 0; m && i < m->size(); i++) {
    std::string_view name = m->name(i);
    bool binary = is_binary_name(name);
    if (!valid_metadata_name(name) || (!binary && !valid_metadata_value(m->value(i).text()))) continue;
    char* p = arena_.array<char>(prefix.size() + name.size() + 1);
    std::string_view value = wire_value(name, m->value(i), &arena_);
    if (p && !binary) value = arena_.text(value);
    if (!p || !value.data()) return false;
    prefix.copy(p, prefix.size());
    name.copy(p + prefix.size(), name.size());
    if (!to->push({{p, prefix.size() + name.size()}, value, false})) return false;
  }
  return true;
}

Status Reply::ok(const Request& r, size_t message_size, Coding coding, const Metadata* headers, const Metadata* trailers) {
  clear();
  if (headers) ZCRPC_TRY(check_metadata(*headers));
  if (trailers) ZCRPC_TRY(check_metadata(*trailers));
  status_ = 200;
  bool done;
  if (r.protocol() == Protocol::kGrpc) {
    if (message_size > UINT32_MAX) return Status(Code::kResourceExhausted, "message is larger than an envelope can tell");
    write_envelope(prefix_, coding != Coding::kIdentity, uint32_t(message_size));
    prefix_size_ = kEnvelope;
    done = add("content-type", grpc_type(r), true) &&
           (coding == Coding::kIdentity || add("grpc-encoding", compress::coding_name(coding), true)) &&
           copy(&headers_, headers, "") && trailers_.push({"grpc-status", "0", true}) && copy(&trailers_, trailers, "");
  } else {
    done = add("content-type", connect_type(r), true) && number("content-length", message_size) &&
           (coding == Coding::kIdentity || add("content-encoding", compress::coding_name(coding), true)) &&
           (r.protocol() != Protocol::kConnectGet || add("vary", "accept-encoding", true)) &&
           copy(&headers_, headers, "") && copy(&headers_, trailers, "trailer-");
  }
  return done ? Status() : Status::no_memory();
}

Status Reply::error(const Request& r, const Error& e, const Metadata* headers, const Metadata* trailers) {
  return write_error(r, e, headers, trailers, false);
}

Status Reply::error(const Request& r, Code code, std::string_view message) {
  Status s(code, message);
  return write_error(r, *s.error(), nullptr, nullptr, false);
}

Status Reply::write_error(const Request& r, const Error& e, const Metadata* headers, const Metadata* trailers, bool list_codings) {
  clear();
  error_ = true;
  bool grpc = r.protocol() == Protocol::kGrpc;
  bool done = grpc ? grpc_error(r, e, headers, trailers) : connect_error(e, headers, trailers);
  if (done && !grpc && r.protocol() == Protocol::kConnectGet) done = add("vary", "accept-encoding", true);
  if (done && list_codings) {
    done = grpc ? add("grpc-accept-encoding", compress::supported_codings()) : add("accept-encoding", compress::supported_codings());
  }
  return done ? Status() : Status::no_memory();
}

bool Reply::connect_error(const Error& e, const Metadata* headers, const Metadata* trailers) {
  status_ = http_from_code(e.code());
  write_error_json(e, &body_);
  return body_.ok() && add("content-type", "application/json", true) && number("content-length", body_.size()) &&
         copy(&headers_, headers, "") && copy(&headers_, trailers, "trailer-") && copy(&headers_, e.metadata(), "trailer-");
}

// Trailers-only: one HEADERS frame. Details travel in an encoded google.rpc.Status.
bool Reply::grpc_error(const Request& r, const Error& e, const Metadata* headers, const Metadata* trailers) {
  status_ = 200;
  if (!add("content-type", grpc_type(r), true) || !copy(&headers_, headers, "") || !copy(&headers_, trailers, "") ||
      !copy(&headers_, e.metadata(), "")) {
    return false;
  }
  std::string_view message = percent_encode(e.message_view(), &arena_);
  if (message.data() == e.message_view().data()) message = arena_.text(message);
  if (!message.data() || !add("grpc-status", status_digits(e.code()), true)) return false;
  if (!message.empty() && !add("grpc-message", message)) return false;
  if (e.detail_count() == 0) return true;
  Slice details = write_status(e, &arena_);
  std::string_view encoded = details.data ? wire_value("-bin", details, &arena_) : std::string_view();
  return encoded.data() && add("grpc-status-details-bin", encoded);
}

Status Reply::refuse(const Request& r, const Refusal& f) {
  if (f.http == 200) {
    Status s(f.code, f.message);
    return write_error(r, *s.error(), nullptr, nullptr, f.accept_encoding);
  }
  clear();
  error_ = true;
  status_ = f.http;
  bool done = add("content-length", "0") && (!f.allow || add("allow", f.allow, true)) &&
              (!f.accept_post || add("accept-post", accept_post(r), true));
  return done ? Status() : Status::no_memory();
}

void Reply::bare(int status) {
  clear();
  error_ = true;
  status_ = status;
  (void)add("content-length", "0");  // without memory for it the connection is closed behind the answer anyway
}

}  // namespace zcrpc::rpc
