#include "rpc/reply.h"

#include <algorithm>
#include <charconv>

#include "json/write.h"
#include "rpc/connect.h"
#include "rpc/grpc.h"
#include "rpc/message.h"
#include "rpc/web_text.h"

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

// The one of three: without a codec, proto, json.
std::string_view type_of(const Request& r, std::string_view bare, std::string_view proto, std::string_view json) {
  return r.bare_grpc() ? bare : r.codec() == Codec::kJson ? json : proto;
}

std::string_view content_type(const Request& r) {
  switch (r.protocol()) {
    case Protocol::kGrpc: return type_of(r, "application/grpc", "application/grpc+proto", "application/grpc+json");
    case Protocol::kGrpcWeb:
      if (r.text()) return type_of(r, "application/grpc-web-text", "application/grpc-web-text+proto", "application/grpc-web-text+json");
      return type_of(r, "application/grpc-web", "application/grpc-web+proto", "application/grpc-web+json");
    case Protocol::kConnectStream: return type_of(r, "", "application/connect+proto", "application/connect+json");
    default: return type_of(r, "", "application/proto", "application/json");
  }
}

std::string_view coding_header(const Request& r) {
  return is_grpc_family(r.protocol()) ? "grpc-encoding" : r.protocol() == Protocol::kConnectStream ? "connect-content-encoding" : "content-encoding";
}

std::string_view codings_header(const Request& r) {
  return is_grpc_family(r.protocol()) ? "grpc-accept-encoding" : r.protocol() == Protocol::kConnectStream ? "connect-accept-encoding" : "accept-encoding";
}

std::string_view accept_post(const Request& r) {
  bool streams = r.streams();
  if (!r.http2()) {
    return streams ? "application/connect+json, application/connect+proto, application/grpc-web, application/grpc-web+json, "
                     "application/grpc-web+proto, application/grpc-web-text, application/grpc-web-text+json, application/grpc-web-text+proto"
                   : "application/grpc-web, application/grpc-web+json, application/grpc-web+proto, application/grpc-web-text, "
                     "application/grpc-web-text+json, application/grpc-web-text+proto, application/json, application/proto";
  }
  return streams ? "application/connect+json, application/connect+proto, application/grpc, application/grpc+json, application/grpc+proto, "
                   "application/grpc-web, application/grpc-web+json, application/grpc-web+proto, application/grpc-web-text, "
                   "application/grpc-web-text+json, application/grpc-web-text+proto"
                 : "application/grpc, application/grpc+json, application/grpc+proto, application/grpc-web, application/grpc-web+json, "
                   "application/grpc-web+proto, application/grpc-web-text, application/grpc-web-text+json, application/grpc-web-text+proto, "
                   "application/json, application/proto";
}

// A line of a plain answer's own: not what decides where the answer ends, or how long the connection lasts.
bool may_be_told(std::string_view name, std::string_view value) {
  for (char c : name)
    if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || c == '-' || c == '_' || c == '.')) return false;
  if (name.empty() || name == "content-length" || name == "content-type" || (reserved_header(name) && !name.starts_with("content-"))) return false;
  for (char c : value)
    if ((uint8_t(c) < 0x20 && c != '\t') || c == 0x7F) return false;
  return true;
}

// "name: value\n" from the front of *lines. False: it cannot be sent.
bool next_line(std::string_view* lines, std::string_view* name, std::string_view* value) {
  size_t end = std::min(lines->find('\n'), lines->size()), colon = std::min(lines->find(':'), end);
  *name = lines->substr(0, colon);
  *value = colon < end ? lines->substr(colon + 1, end - colon - 1) : std::string_view();
  lines->remove_prefix(std::min(end + 1, lines->size()));
  while (!value->empty() && (value->front() == ' ' || value->front() == '\t')) value->remove_prefix(1);
  while (!value->empty() && (value->back() == ' ' || value->back() == '\r')) value->remove_suffix(1);
  return colon < end && may_be_told(*name, *value);
}

}  // namespace

bool valid_lines(std::string_view lines) {
  for (std::string_view name, value; !lines.empty();)
    if (!next_line(&lines, &name, &value)) return false;
  return true;
}

void Reply::clear() {
  headers_.clear();
  trailers_.clear();
  body_.clear();
  text_.clear();
  arena_.reset();
  prefix_size_ = 0;
  status_ = 0;
  error_ = false;
}

void Reply::trim() {
  if (body_.bytes().capacity() > kKept) body_.bytes().drop();
  if (text_.bytes().capacity() > kKept) text_.bytes().drop();
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
  if (is_grpc_family(r.protocol())) {
    if (message_size > UINT32_MAX) return Status(Code::kResourceExhausted, "message is larger than an envelope can tell");
    write_envelope(prefix_, coding != Coding::kIdentity, uint32_t(message_size));
    prefix_size_ = kEnvelope;
    done = add("content-type", content_type(r), true) &&
           (coding == Coding::kIdentity || add("grpc-encoding", r.codings().name(coding), true));
    if (r.protocol() == Protocol::kGrpc) {
      done = done && copy(&headers_, headers, "") && trailers_.push({"grpc-status", "0", true}) && copy(&trailers_, trailers, "");
    } else {
      done = done && end_frame(r, nullptr, trailers);
      size_t size = kEnvelope + message_size + body_.size();
      done = done && number("content-length", r.text() ? (size + 2) / 3 * 4 : size) && copy(&headers_, headers, "");
    }
  } else {
    done = add("content-type", content_type(r), true) && number("content-length", message_size) &&
           (coding == Coding::kIdentity || add("content-encoding", r.codings().name(coding), true)) &&
           (r.protocol() != Protocol::kConnectGet || add("vary", "accept-encoding", true)) &&
           copy(&headers_, headers, "") && copy(&headers_, trailers, "trailer-");
  }
  return done ? Status() : Status::no_memory();
}

Status Reply::not_modified(const Metadata* headers, const Metadata* trailers) {
  clear();
  ZCRPC_TRY(check_metadata(*headers));
  ZCRPC_TRY(check_metadata(*trailers));
  status_ = 304;
  error_ = true;  // no message follows
  bool done = add("vary", "accept-encoding", true) && copy(&headers_, headers, "") && copy(&headers_, trailers, "trailer-");
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
  bool done;
  switch (r.protocol()) {
    case Protocol::kGrpc: done = grpc_error(r, e, headers, trailers); break;
    case Protocol::kGrpcWeb:
    case Protocol::kConnectStream: done = stream_error(r, e, headers, trailers); break;
    default: done = connect_error(e, headers, trailers); break;
  }
  if (done && r.protocol() == Protocol::kConnectGet) done = add("vary", "accept-encoding", true);
  if (done && list_codings) done = add(codings_header(r), r.codings().list());
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
  return add("content-type", content_type(r), true) && copy(&headers_, headers, "") && copy(&headers_, trailers, "") &&
         copy(&headers_, e.metadata(), "") && grpc_status(&headers_, e);
}

bool Reply::grpc_status(Headers* to, const Error& e) {
  std::string_view message = percent_encode(e.message_view(), &arena_);
  if (message.data() == e.message_view().data()) message = arena_.text(message);
  if (!message.data() || !to->push({"grpc-status", status_digits(e.code()), true})) return false;
  if (!message.empty() && !to->push({"grpc-message", message, false})) return false;
  if (e.detail_count() == 0) return true;
  Slice details = write_status(e, &arena_);
  std::string_view encoded = details.data ? wire_value("-bin", details, &arena_) : std::string_view();
  return encoded.data() && to->push({"grpc-status-details-bin", encoded, false});
}

// ---- streams, and gRPC-Web

bool Reply::stream_type(const Request& r) {
  status_ = 200;
  return add("content-type", content_type(r), true);
}

Status Reply::begin_stream(const Request& r, Coding coding, const Metadata* headers) {
  clear();
  if (headers) ZCRPC_TRY(check_metadata(*headers));
  bool done = stream_type(r) && (coding == Coding::kIdentity || add(coding_header(r), r.codings().name(coding), true)) &&
              copy(&headers_, headers, "");
  return done ? Status() : Status::no_memory();
}

Status Reply::end_stream(const Request& r, const Error* e, const Metadata* trailers) {
  trailers_.clear();
  body_.clear();
  bool done;
  if (r.protocol() == Protocol::kGrpc) {
    done = (e ? grpc_status(&trailers_, *e) : trailers_.push({"grpc-status", "0", true})) && copy(&trailers_, trailers, "") &&
           (!e || copy(&trailers_, e->metadata(), ""));
  } else {
    done = end_frame(r, e, trailers) && (!r.text() || to_text());
  }
  return done ? Status() : Status::no_memory();
}

// A whole stream that is nothing but its end.
bool Reply::stream_error(const Request& r, const Error& e, const Metadata* headers, const Metadata* trailers) {
  return stream_type(r) && end_frame(r, &e, trailers) && (!r.text() || to_text()) && number("content-length", body_.size()) &&
         copy(&headers_, headers, "");
}

// The last envelope of a stream: Connect's JSON (flag 2), or gRPC-Web's trailers (flag 0x80) as lines.
bool Reply::end_frame(const Request& r, const Error* e, const Metadata* trailers) {
  bool web = r.protocol() == Protocol::kGrpcWeb;
  if (web && !(e ? grpc_status(&trailers_, *e) : trailers_.push({"grpc-status", "0", true}))) return false;
  if (!copy(&trailers_, trailers, "") || (e && !copy(&trailers_, e->metadata(), ""))) return false;
  body_.append(std::string_view("\0\0\0\0\0", kEnvelope));
  if (web) {
    for (const base::Header& h : trailers_) body_.append(h.name).append(": ").append(h.value).append("\r\n");
  } else {
    end_json(e);
  }
  trailers_.clear();
  if (!body_.ok() || body_.size() - kEnvelope > UINT32_MAX) return false;
  write_envelope(reinterpret_cast<uint8_t*>(&body_[0]), web ? 0x80 : 2, uint32_t(body_.size() - kEnvelope));
  return true;
}

// {"error":{...},"metadata":{"name":["value","value"]}}, each only if there is something in it.
void Reply::end_json(const Error* e) {
  body_.append('{');
  if (e) {
    body_.append("\"error\":");
    write_error_json(*e, &body_);
  }
  bool first = true;
  for (size_t i = 0; i < trailers_.size(); i++) {
    std::string_view name = trailers_[i].name;
    auto earlier = [&] {
      for (size_t k = 0; k < i; k++)
        if (trailers_[k].name == name) return true;
      return false;
    };
    if (earlier()) continue;
    body_.append(!first ? "],\"" : e ? ",\"metadata\":{\"" : "\"metadata\":{\"").append(name).append("\":[");
    for (size_t k = i; k < trailers_.size(); k++) {
      if (trailers_[k].name != name) continue;
      if (k > i) body_.append(',');
      json::append_quoted(&body_, trailers_[k].value);
    }
    first = false;
  }
  body_.append(first ? "}" : "]}}");
}

bool Reply::to_text() {
  text_.clear();
  TextEncoder text(&text_);
  text.add(body_.slice());
  text.end();
  std::swap(body_, text_);
  return body_.ok() && text_.ok();
}

Status Reply::as_text(std::span<const base::Piece> message) {
  text_.clear();
  TextEncoder text(&text_);
  text.add(prefix());
  for (const base::Piece& p : message) text.add(p.bytes);
  text.add(body_.slice());
  text.end();
  prefix_size_ = 0;
  std::swap(body_, text_);
  return body_.ok() && text_.ok() ? Status() : Status::no_memory();
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

Status Reply::begin_plain(const Plain& p, const Metadata* headers) {
  clear();
  if (headers) ZCRPC_TRY(check_metadata(*headers));
  status_ = p.status;
  std::string_view type = arena_.text(p.content_type);
  std::string_view lines = arena_.text(p.lines);
  bool done = type.data() && lines.data() && (type.empty() || add("content-type", type)) &&
              (p.length < 0 || number("content-length", uint64_t(p.length))) && copy(&headers_, headers, "");
  for (std::string_view name, value; done && !lines.empty();) {
    if (!next_line(&lines, &name, &value)) return Status(Code::kInvalidArgument, "a header that cannot be sent");
    done = add(name, value);
  }
  return done ? Status() : Status::no_memory();
}

void Reply::bare(int status) {
  clear();
  error_ = true;
  status_ = status;
  if (status == 204) return;  // has none by definition
  (void)add("content-length", "0");  // without memory for it the connection is closed behind the answer anyway
}

}  // namespace zcrpc::rpc
