#include "base/header.h"
#include "rpc/request.h"

#include <zcrpc.h>

#include <algorithm>
#include <cstdio>
#include <cstring>

namespace zcrpc::rpc {

using base::Code;
using compress::Coding;

namespace {

constexpr size_t kKept = 4096;  // of a target and of metadata, from call to call

std::string_view trim(std::string_view s) {
  while (!s.empty() && (s.front() == ' ' || s.front() == '\t')) s.remove_prefix(1);
  while (!s.empty() && (s.back() == ' ' || s.back() == '\t')) s.remove_suffix(1);
  return s;
}

// Takes what stands before the next sep, or all.
std::string_view cut(std::string_view* s, char sep) {
  size_t at = std::min(s->find(sep), s->size());
  std::string_view part = s->substr(0, at);
  s->remove_prefix(std::min(at + 1, s->size()));
  return part;
}

constexpr std::string_view kApplication = "application/";

Refusal refuse(int http, Code code, const char* message) {
  Refusal r;
  r.http = http;
  r.code = code;
  r.message = message;
  return r;
}
// Answered as the protocol answers errors.
Refusal refuse(Code code, const char* message) { return refuse(200, code, message); }

Refusal not_allowed(const char* allow) {
  Refusal r = refuse(405, Code::kUnimplemented, "method not allowed");
  r.allow = allow;
  return r;
}

Refusal unsupported_type() {
  Refusal r = refuse(415, Code::kUnknown, "unsupported content type");
  r.accept_post = true;
  return r;
}

}  // namespace

void Request::clear() {
  target_.clear();
  metadata_.clear();
  rest_.clear();
  keep_all_ = false;
  path_ = 0;
  timeout_ns_ = kNoTimeout;
  content_length_ = -1;
  connect_timeout_ = grpc_timeout_ = {};
  http_ = grpc_ = connect_ = {};
  accepted_ = 1;
  get_message_ = {};
  method_ = HttpMethod::kOther;
  type_ = Type::kAbsent;
  protocol_ = Protocol::kNone;
  codec_ = Codec::kProto;
  coding_ = preferred_ = Coding::kIdentity;
  version_ = 0;
  http2_ = bare_grpc_ = codec_known_ = coding_named_ = get_base64_ = text_ = streams_ = false;
}

void Request::trim() {
  if (target_.capacity() > kKept) target_.drop();
}

void Request::Codings::read_body(std::string_view v, const compress::Registry& r) {
  v = rpc::trim(v);
  // Twice, or a list: more than one coding on top of another is nothing we undo.
  body = named ? Coding::kUnknown : r.find(v);
  named = true;
}

namespace {
// No weights but zero: Connect and gRPC have none, and whoever lists with weights lists the best first.
bool is_zero(std::string_view weight) {
  return weight.starts_with("q=0") && weight.find_first_not_of("0.", 3) == std::string_view::npos;
}
}  // namespace

void Request::Codings::read_list(std::string_view v, const compress::Registry& r) {
  listed = true;
  while (!v.empty()) {
    std::string_view weight = cut(&v, ',');
    std::string_view name = rpc::trim(cut(&weight, ';'));
    Coding c = name.empty() ? Coding::kUnknown : r.find(name);
    if (c == Coding::kUnknown || is_zero(rpc::trim(weight))) continue;
    if (preferred == Coding::kIdentity && !(accepted & bit(Coding::kIdentity))) preferred = c;
    accepted |= bit(c);
  }
}

// What can be shown of it.
void Request::Timeout::set_bad(std::string_view v) {
  bad = true;
  size_t n = std::min(v.size(), sizeof value - 1);
  for (size_t i = 0; i < n; i++) value[i] = v[i] >= 0x20 && v[i] < 0x7F ? v[i] : '?';
  if (n < v.size()) memset(value + n - 3, '.', 3);
  value[n] = '\0';
}

bool Request::set_target(std::string_view v) {
  target_.clear();
  if (!target_.append(v.data(), v.size())) return false;
  path_ = std::min(v.find('?'), v.size());
  return true;
}

std::string_view Request::method_name() const {
  static constexpr std::string_view kNames[] = {"", "POST", "GET", "HEAD", "OPTIONS"};
  return kNames[size_t(method_)];
}

void Request::set_method(std::string_view v) {
  method_ = v == "POST"      ? HttpMethod::kPost
            : v == "GET"     ? HttpMethod::kGet
            : v == "HEAD"    ? HttpMethod::kHead
            : v == "OPTIONS" ? HttpMethod::kOptions
                             : HttpMethod::kOther;
}

bool Request::set_line(std::string_view method, std::string_view target) {
  set_method(method);
  return set_target(target) && (!keep_all_ || rest_.add(":method", base::Slice(method)));
}

// application/ {proto json} | grpc[+proto +json] | grpc-web.. | connect+..
void Request::content_type(std::string_view v) {
  if (type_ != Type::kAbsent) {
    type_ = Type::kOther;  // given twice
    return;
  }
  // What nearly all clients say, before it is taken apart.
  if (v == "application/grpc" || v == "application/proto") {
    bare_grpc_ = v.ends_with("grpc");
    type_ = bare_grpc_ ? Type::kGrpc : Type::kConnect;
    codec_ = Codec::kProto;
    codec_known_ = true;
    return;
  }
  type_ = Type::kOther;
  std::string_view parameters = v;
  std::string_view media = rpc::trim(cut(&parameters, ';'));
  parameters = rpc::trim(parameters);
  if (media.size() <= kApplication.size() || !base::is_ignoring_case(media.substr(0, kApplication.size()), kApplication)) return;
  media.remove_prefix(kApplication.size());
  std::string_view suffix = media;
  std::string_view family = cut(&suffix, '+');
  bool plus = family.size() != media.size();
  if (!plus) suffix = media;
  codec_known_ = base::is_ignoring_case(suffix, "proto") || base::is_ignoring_case(suffix, "json");
  codec_ = base::is_ignoring_case(suffix, "json") ? Codec::kJson : Codec::kProto;
  if (!plus && codec_known_) {
    // text editors of requests like to say what JSON is always in
    if (parameters.empty() || (codec_ == Codec::kJson && (base::is_ignoring_case(parameters, "charset=utf-8") || base::is_ignoring_case(parameters, "charset=\"utf-8\"")))) {
      type_ = Type::kConnect;
    }
  } else if (base::is_ignoring_case(family, "grpc") && parameters.empty()) {
    type_ = Type::kGrpc;
    if (!plus) {
      bare_grpc_ = codec_known_ = true;
      codec_ = Codec::kProto;
    }
  } else if (base::is_ignoring_case(family, "grpc-web") || base::is_ignoring_case(family, "grpc-web-text")) {
    type_ = Type::kGrpcWeb;
    text_ = family.size() > 8;
    if (!plus) {
      bare_grpc_ = codec_known_ = true;
      codec_ = Codec::kProto;
    }
  } else if (base::is_ignoring_case(family, "connect") && plus) {
    type_ = Type::kConnectStream;
  }
}

// By length first: one comparison a header, for most of them none.
bool Request::add(std::string_view name, std::string_view value) {
  switch (name.size()) {
    case 5:
      if (name == ":path") return set_target(value);
      break;
    case 7:
      if (name == ":method") set_method(value);
      break;
    case 12:
      if (name == "content-type") content_type(value);
      if (name == "grpc-timeout" && !read_grpc_timeout(value, &grpc_timeout_.ns)) grpc_timeout_.set_bad(value);
      break;
    case 13:
      if (name == "grpc-encoding") grpc_.read_body(value, *codings_);
      break;
    case 14:
      if (name == "content-length") {
        content_length_ = 0;
        for (char c : value) {
          if (c < '0' || c > '9' || content_length_ > (INT64_MAX - 9) / 10) return content_length_ = -1, true;
          content_length_ = content_length_ * 10 + (c - '0');
        }
      }
      break;
    case 15:
      if (name == "accept-encoding") http_.read_list(value, *codings_);
      break;
    case 16:
      if (name == "content-encoding") http_.read_body(value, *codings_);
      break;
    case 18:
      if (name == "connect-timeout-ms" && !read_connect_timeout(value, &connect_timeout_.ns)) connect_timeout_.set_bad(value);
      break;
    case 20:
      if (name == "grpc-accept-encoding") grpc_.read_list(value, *codings_);
      break;
    case 23:
      if (name == "connect-accept-encoding") connect_.read_list(value, *codings_);
      break;
    case 24:
      if (name == "connect-protocol-version") version_ = value == "1" ? 1 : 2;
      if (name == "connect-content-encoding") connect_.read_body(value, *codings_);
      break;
    default: break;
  }
  if (!reserved_header(name)) return add_metadata(&metadata_, name, value);
  return !keep_all_ || rest_.add(name, base::Slice(rpc::trim(value)));
}

// ---- what it amounts to

Request::Shape Request::shape() const {
  if (method_ == HttpMethod::kPost) {
    if (type_ == Type::kConnect) return Shape::kUnary;
    bool stream = type_ == Type::kConnectStream || type_ == Type::kGrpcWeb || (type_ == Type::kGrpc && http2_);
    return stream ? Shape::kStream : Shape::kNone;
  }
  if (method_ != HttpMethod::kGet) return Shape::kNone;
  bool message = false, codec = false;
  for (std::string_view rest = query(); !rest.empty();) {
    std::string_view pair = cut(&rest, '&');
    message = message || pair.starts_with("message=");
    codec = codec || pair.starts_with("encoding=");
  }
  return message && codec ? Shape::kUnary : Shape::kNone;
}

bool Request::make_plain() {
  protocol_ = Protocol::kNone;
  if (method_ == HttpMethod::kPost) {
    if (type_ == Type::kGrpc && http2_) protocol_ = Protocol::kGrpc;
    if (type_ == Type::kGrpcWeb) protocol_ = Protocol::kGrpcWeb;
    if (type_ == Type::kConnectStream) protocol_ = Protocol::kConnectStream;
  }
  for (size_t i = 0; i < rest_.size(); i++) {
    std::string_view name = rest_.name(i);
    if (name == ":authority") name = "host";
    if (name[0] != ':' && !metadata_.add(name, rest_.value(i))) return false;
  }
  return true;
}

std::string_view Request::method_text() const {
  base::Slice v;
  return rest_.get(":method", &v) ? v.text() : std::string_view();
}

std::string_view Request::content_type_text() const {
  base::Slice v;
  return rest_.get("content-type", &v) ? v.text() : std::string_view();
}

Refusal Request::classify(int32_t flags, const RequestRules& rules) {
  if (method_ == HttpMethod::kPost) {
    if (type_ == Type::kGrpc && http2_) protocol_ = Protocol::kGrpc;
    if (type_ == Type::kGrpcWeb) protocol_ = Protocol::kGrpcWeb;
  }
  if (flags < 0) {
    if (is_grpc_family(protocol_)) return refuse(Code::kUnimplemented, "unknown method");
    return refuse(404, Code::kUnimplemented, "unknown method");
  }
  bool unary = !(flags & (ZCRPC_METHOD_CLIENT_STREAM | ZCRPC_METHOD_SERVER_STREAM));
  streams_ = !unary;
  bool get = unary && (flags & ZCRPC_METHOD_NO_SIDE_EFFECTS);
  if (method_ == HttpMethod::kPost) return classify_post(flags, rules);
  if (method_ == HttpMethod::kGet && get) return classify_get(rules);
  return not_allowed(get ? "GET, POST" : "POST");
}

Refusal Request::classify_post(int32_t flags, const RequestRules& rules) {
  bool unary = !(flags & (ZCRPC_METHOD_CLIENT_STREAM | ZCRPC_METHOD_SERVER_STREAM));
  if (type_ == Type::kGrpc) {
    if (!http2_) return refuse(505, Code::kUnimplemented, "gRPC needs HTTP/2");
  }
  if (type_ == Type::kGrpc || type_ == Type::kGrpcWeb) {
    if (!codec_known_) return refuse(Code::kUnimplemented, "unknown codec");
    return finish(grpc_, grpc_timeout_);
  }
  // A method has one kind of content type: messages bare, or in envelopes.
  if (type_ != (unary ? Type::kConnect : Type::kConnectStream) || !codec_known_) return unsupported_type();
  protocol_ = unary ? Protocol::kConnect : Protocol::kConnectStream;
  if (version_ == 2) return refuse(Code::kInvalidArgument, "connect-protocol-version must be \"1\"");
  if (version_ == 0 && rules.require_connect_version) {
    return refuse(Code::kInvalidArgument, "missing required header: set connect-protocol-version to \"1\"");
  }
  return finish(unary ? http_ : connect_, connect_timeout_);
}

Refusal Request::classify_get(const RequestRules& rules) {
  protocol_ = Protocol::kConnectGet;
  // Each of them counts where it comes first. Names that we do not know are somebody else's.
  std::string_view version, base64, coding, codec;
  bool has_version = false, has_base64 = false, has_coding = false, has_codec = false, has_message = false;
  auto take = [](std::string_view value, std::string_view* to, bool* has) {
    if (!*has) *to = value;
    *has = true;
  };
  for (std::string_view rest = query(); !rest.empty();) {
    std::string_view value = cut(&rest, '&');
    std::string_view name = cut(&value, '=');
    if (name == "message") take(value, &get_message_, &has_message);
    else if (name == "encoding") take(value, &codec, &has_codec);
    else if (name == "base64") take(value, &base64, &has_base64);
    else if (name == "compression") take(value, &coding, &has_coding);
    else if (name == "connect") take(value, &version, &has_version);
  }
  if (codec != "proto" && codec != "json") return unsupported_type();
  codec_ = codec == "json" ? Codec::kJson : Codec::kProto;
  get_base64_ = base64 == "1";
  if (has_version && version != "v1") return refuse(Code::kInvalidArgument, "query parameter connect must be \"v1\"");
  if (!has_version && rules.require_connect_version) {
    return refuse(Code::kInvalidArgument, "missing required query parameter: set connect to \"v1\"");
  }
  if (!has_message) return refuse(Code::kInvalidArgument, "missing query parameter: message");
  Codings c = http_;
  c.named = false;
  c.body = Coding::kIdentity;
  if (has_coding) c.read_body(coding, *codings_);
  return finish(c, connect_timeout_);
}

Refusal Request::finish(const Codings& c, const Timeout& t) {
  coding_ = c.body;
  coding_named_ = c.named;
  accepted_ = bit(Coding::kIdentity) | c.accepted;
  preferred_ = c.preferred;
  // A client that lists nothing understands at least what it used.
  if (!c.listed && c.body != Coding::kUnknown) {
    accepted_ |= bit(c.body);
    preferred_ = c.body;
  }
  if (t.bad) {
    snprintf(refusal_, sizeof refusal_, "broken timeout: %s: \"%s\"", &t == &grpc_timeout_ ? "grpc-timeout" : "connect-timeout-ms", t.value);
    return refuse(Code::kInvalidArgument, refusal_);
  }
  timeout_ns_ = t.ns;
  if (c.body == Coding::kUnknown) {
    Refusal r = refuse(Code::kUnimplemented, codings_->unknown_text());
    r.accept_encoding = true;
    return r;
  }
  return {};
}

}  // namespace zcrpc::rpc
