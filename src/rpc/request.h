// What a client asks for, read from the head of an HTTP request as its headers arrive: most become a number at once, and
// only the target and the metadata are kept as text. Reused from call to call.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/metadata.h"
#include "base/status.h"
#include "base/vec.h"
#include "compress/compress.h"
#include "rpc/protocol.h"

namespace zcrpc::rpc {

// Why a request gets no handler.
struct Refusal {
  int http = 0;                              // 0: it is not refused; 200: the protocol's own error with code
  base::Code code = base::Code::kUnknown;
  const char* message = "";                  // static
  const char* allow = nullptr;               // of 405
  bool accept_post = false;                  // of 415
  bool accept_encoding = false;              // list the codings we know
  explicit operator bool() const { return http != 0; }
};

struct RequestRules {
  bool require_connect_version = false;
};

class Request {
 public:
  Request() = default;
  Request(const Request&) = delete;
  Request& operator=(const Request&) = delete;

  void clear();  // keeps memory
  void trim();   // gives it back
  // In order of arrival, pseudo headers too (HTTP/1.1: set_line). False without memory.
  [[nodiscard]] bool add(std::string_view name, std::string_view value);
  [[nodiscard]] bool set_line(std::string_view method, std::string_view target);  // HTTP/1.1
  void set_http2(bool yes) { http2_ = yes; }

  // After the last header. method_flags: ZCRPC_METHOD_ of the method that path() names, -1 if there is none. Afterwards
  // protocol, codec, coding and timeout_ns tell how to go on; also after a refusal they tell how to answer.
  Refusal classify(int32_t method_flags, const RequestRules& rules);

  bool http2() const { return http2_; }
  HttpMethod method() const { return method_; }
  std::string_view path() const { return {target_.data(), path_}; }
  std::string_view query() const { return path_ < target_.size() ? std::string_view(target_.data() + path_ + 1, target_.size() - path_ - 1) : std::string_view(); }
  std::string_view authority() const { return {authority_.data(), authority_.size()}; }
  Protocol protocol() const { return protocol_; }
  Codec codec() const { return codec_; }
  bool bare_grpc() const { return bare_grpc_; }                // application/grpc without +proto
  compress::Coding coding() const { return coding_; }          // of the body or, in envelopes, of marked messages
  uint32_t accepted() const { return accepted_; }              // mask of codings for the answer, identity included
  compress::Coding preferred() const { return preferred_; }    // the first of accepted() that is not identity, or identity
  int64_t timeout_ns() const { return timeout_ns_; }
  int64_t content_length() const { return content_length_; }   // -1: none
  bool head_request() const { return method_ == HttpMethod::kHead; }
  base::Metadata& metadata() { return metadata_; }             // -bin decoded
  const base::Metadata& metadata() const { return metadata_; }

  // Connect GET, after classify: where the message lies in the query, still encoded.
  std::string_view get_message() const { return get_message_; }
  bool get_base64() const { return get_base64_; }

 private:
  enum class Type : uint8_t { kAbsent, kOther, kConnect, kConnectStream, kGrpc, kGrpcWeb };
  void content_type(std::string_view v);
  void accept(std::string_view v);
  void encoding(std::string_view v);
  Refusal refuse(int http, base::Code code, const char* message) const { return {http, code, message, nullptr, false, false}; }
  Refusal classify_get(int32_t flags, const RequestRules& rules);
  bool parse_query();

  base::Vec<char> target_, authority_;
  base::Metadata metadata_;
  size_t path_ = 0;
  int64_t timeout_ns_ = kNoTimeout, connect_timeout_ = kNoTimeout, grpc_timeout_ = kNoTimeout, content_length_ = -1;
  uint32_t accepted_ = 1, accept_http_ = 0, accept_grpc_ = 0, accept_stream_ = 0;
  std::string_view get_message_;
  HttpMethod method_ = HttpMethod::kOther;
  Type type_ = Type::kAbsent;
  Protocol protocol_ = Protocol::kNone;
  Codec codec_ = Codec::kProto;
  compress::Coding coding_ = compress::Coding::kIdentity, preferred_ = compress::Coding::kIdentity;
  compress::Coding http_coding_ = compress::Coding::kIdentity, grpc_coding_ = compress::Coding::kIdentity,
                   stream_coding_ = compress::Coding::kIdentity;
  compress::Coding prefer_http_ = compress::Coding::kIdentity, prefer_grpc_ = compress::Coding::kIdentity,
                   prefer_stream_ = compress::Coding::kIdentity;
  uint8_t version_ = 0;  // connect-protocol-version: 0 absent, 1, 2 another
  bool http2_ = false, bare_grpc_ = false, get_base64_ = false, get_has_message_ = false, get_has_codec_ = false;
  bool bad_connect_timeout_ = false, bad_grpc_timeout_ = false, accept_seen_ = false;
};

}  // namespace zcrpc::rpc
