#include "json/write.h"
#include "base/header.h"
#include "rpc/connect.h"

namespace zcrpc::rpc {

using base::Code;
using base::Error;
using base::Metadata;
using base::Slice;
using base::Status;
using base::String;
using compress::Coding;

namespace {

// application/json, whatever parameters follow.
bool media_is(std::string_view value, std::string_view media) {
  value = value.substr(0, value.find(';'));
  while (!value.empty() && value.back() == ' ') value.remove_suffix(1);
  return base::is_ignoring_case(value, media);
}

bool put(Metadata* out, std::string_view name, std::string_view value) { return out->add(name, Slice(value)); }

constexpr std::string_view kTrailer = "trailer-", kStreamCoding = "connect-content-encoding";

std::string_view stream_type(Codec c) { return c == Codec::kJson ? "application/connect+json" : "application/connect+proto"; }

}  // namespace

Status connect_headers(const ConnectCall& call, bool get, Metadata* out) {
  if (call.metadata) ZCRPC_TRY(check_metadata(*call.metadata));
  char digits[kMaxTimeout];
  bool ok = true;
  if (!get) {
    bool json = call.codec == Codec::kJson;
    ok = put(out, "content-type", call.streams ? stream_type(call.codec) : json ? "application/json" : "application/proto") &&
         put(out, "connect-protocol-version", "1") &&
         (call.coding == Coding::kIdentity || put(out, call.streams ? kStreamCoding : "content-encoding", call.codings->name(call.coding)));
  }
  if (ok && call.timeout_ns != kNoTimeout) {
    ok = put(out, "connect-timeout-ms", {digits, write_connect_timeout(call.timeout_ns, digits)});
  }
  if (ok && call.accept_compressed) ok = put(out, call.streams ? "connect-accept-encoding" : "accept-encoding", call.codings->list());
  Slice own;
  if (ok && !(call.metadata && call.metadata->get("user-agent", &own))) {
    char ours[kMaxUserAgent];
    ok = put(out, "user-agent", call.user_agent.empty() ? user_agent(Protocol::kConnect, ours) : call.user_agent);
  }
  base::Arena arena;
  for (size_t i = 0; ok && call.metadata && i < call.metadata->size(); i++) {
    std::string_view name = call.metadata->name(i);
    std::string_view value = wire_value(name, call.metadata->value(i), &arena);
    ok = value.data() && put(out, name, value);
  }
  return ok ? Status() : Status::no_memory();
}

// In the order that caches of other clients know.
void connect_get_target(std::string_view path, const ConnectCall& call, Slice message, String* out) {
  out->append(path).append("?connect=v1&base64=1");
  if (call.coding != Coding::kIdentity) out->append("&compression=").append(call.codings->name(call.coding));
  out->append("&encoding=").append(call.codec == Codec::kJson ? "json" : "proto").append("&message=");
  json::append_base64(out, message, json::Alphabet::kUrl, false);
}

void ConnectAnswer::begin(Codec codec, size_t limit, compress::Pool* pool, const compress::Registry* codings) {
  reset();
  codec_ = codec;
  limit_ = limit;
  pool_ = pool;
  codings_ = codings;
}

void ConnectAnswer::reset() {
  reader_.reset();
  holder_.reset();
  headers_.clear();
  trailers_.clear();
  status_ = {};
  content_length_ = -1;
  http_ = 0;
  coding_ = Coding::kIdentity;
  type_ = Type::kAbsent;
  began_ = false;
}

bool ConnectAnswer::fail(Status s) {
  if (status_.ok()) status_ = std::move(s);
  return false;
}

bool ConnectAnswer::status(int http) {
  http_ = http;
  return true;
}

bool ConnectAnswer::header(std::string_view name, std::string_view value) {
  if (name == "content-type") {
    type_ = media_is(value, "application/json") ? Type::kJson : media_is(value, "application/proto") ? Type::kProto : Type::kOther;
    return true;
  }
  if (name == "content-encoding") {
    coding_ = codings_->find(value);
    return true;
  }
  bool ok = true;
  if (name.starts_with(kTrailer)) {
    ok = add_metadata(&trailers_, name.substr(kTrailer.size()), value);
  } else if (!reserved_header(name)) {
    ok = add_metadata(&headers_, name, value);
  }
  return ok || fail(Status::no_memory());
}

// Whether the body is one that we can read.
Status ConnectAnswer::check() {
  if (coding_ == Coding::kUnknown) return Status(Code::kInternal, "the answer has an unknown compression");
  if (http_ != 200) return {};
  if (type_ == (codec_ == Codec::kJson ? Type::kJson : Type::kProto)) return {};
  bool other_codec = type_ == Type::kJson || type_ == Type::kProto;
  return Status(other_codec ? Code::kInternal : Code::kUnknown, "the answer has an unexpected content type");
}

bool ConnectAnswer::data(Slice s, base::Buffer* holder) {
  if (!status_.ok()) return false;
  if (!began_) {
    began_ = true;
    if (Status bad = check(); !bad.ok()) return fail(std::move(bad));
    MessageReader::Options o;
    o.coding = coding_;
    o.limit = limit_;
    o.content_length = content_length_;
    o.side = Side::kClient;
    o.pool = pool_;
    o.codings = codings_;
    reader_.begin(o);
  }
  Status st = reader_.data(s);
  if (st.ok() && !holder) st = reader_.own();
  // What was borrowed before has been copied by now.
  holder_.reset(st.ok() && holder && reader_.borrowed() ? holder->retain() : nullptr);
  return st.ok() || fail(std::move(st));
}

base::Buffer* ConnectAnswer::take(bool* slack) {
  *slack = true;
  if (holder_ && reader_.borrowed()) {
    Slice m = message();
    *slack = holder_->has_slack();
    if (m.data == holder_->data() && m.size == holder_->size()) return holder_.take();
    return base::Buffer::part(holder_.get(), size_t(m.data - holder_->data()), m.size);
  }
  // An empty body needs no memory of its own.
  base::Buffer* b = reader_.take();
  return b ? b : base::Buffer::make(0);
}

Status ConnectAnswer::finish() {
  if (!began_) (void)data({});
  if (status_.ok()) {
    if (Status st = reader_.end(); !st.ok()) (void)fail(std::move(st));
  }
  if (http_ == 200) return std::move(status_);
  // An error whose body cannot be read is still that error.
  if (!status_.ok()) return Status(code_from_http(http_), status_.message());
  return peer_error();
}

Status ConnectAnswer::peer_error() {
  char text[32] = "HTTP status ";
  char* p = text + 12;
  for (int i = 100; i > 0; i /= 10) *p++ = char('0' + http_ / i % 10);
  std::string_view otherwise(text, size_t(p - text));
  Error* e = type_ == Type::kJson ? read_error_json(reader_.message(), code_from_http(http_), otherwise)
                                  : Error::make(code_from_http(http_), otherwise);
  if (!e->is_static()) {
    (void)e->metadata()->add_all(headers_);
    (void)e->metadata()->add_all(trailers_);
  }
  return Status(e);
}

}  // namespace zcrpc::rpc
