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
  explicit Request(const base::Allocator* a = base::default_allocator()) : target_(a), metadata_(a) {}
  Request(const Request&) = delete;
  Request& operator=(const Request&) = delete;

  void clear();  // keeps memory; HTTP/1.1 until set_http2
  void trim();   // gives it back
  // In order of arrival, pseudo headers too (HTTP/1.1: set_line). False without memory.
  [[nodiscard]] bool add(std::string_view name, std::string_view value);
  [[nodiscard]] bool set_line(std::string_view method, std::string_view target);  // HTTP/1.1
  void set_http2(bool yes) { http2_ = yes; }
  // Which codings there are; they outlive the request, and stay through clear. The build's until then.
  void set_codings(const compress::Registry* r) { codings_ = r; }
  const compress::Registry& codings() const { return *codings_; }
  // Before the first header: those that are no metadata are kept too, for somebody who answers plain HTTP.
  void keep_all(bool yes) { keep_all_ = yes; }

  // After the last header. method_flags: ZCRPC_METHOD_ of the method that path() names, -1 if there is none. Afterwards
  // protocol, codec, coding and timeout_ns tell how to go on; also after a refusal they tell how to answer.
  Refusal classify(int32_t method_flags, const RequestRules& rules);

  // What it looks like before anybody knows the method: a Connect unary call (POST or GET), a message in envelopes, or
  // neither.
  enum class Shape : uint8_t { kNone, kUnary, kStream };
  Shape shape() const;
  // It is no call, but somebody answers it all the same: errors are then written as its content type asks for, and
  // metadata() has all headers. False without memory.
  [[nodiscard]] bool make_plain();
  std::string_view method_text() const;        // of a plain one
  std::string_view content_type_text() const;  // likewise; empty: none

  bool http2() const { return http2_; }
  HttpMethod method() const { return method_; }
  std::string_view method_name() const;  // "POST"; "" for what we have no name for
  std::string_view path() const { return {target_.data(), path_}; }
  std::string_view query() const {  // behind the question mark
    return path_ < target_.size() ? std::string_view(target_.data() + path_ + 1, target_.size() - path_ - 1) : std::string_view();
  }
  Protocol protocol() const { return protocol_; }
  Codec codec() const { return codec_; }
  bool bare_grpc() const { return bare_grpc_; }                // application/grpc (or grpc-web) without +proto
  bool streams() const { return streams_; }                    // the method has more than one message on a side
  bool text() const { return text_; }                          // grpc-web-text: both bodies are base64
  compress::Coding coding() const { return coding_; }          // of the body or, in envelopes, of marked messages
  bool coding_named() const { return coding_named_; }          // even if it is identity
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
  // What one family of headers (plain, grpc-, connect-) says of codings.
  struct Codings {
    compress::Coding body = compress::Coding::kIdentity;
    compress::Coding preferred = compress::Coding::kIdentity;
    uint32_t accepted = 0;
    bool named = false;   // a coding was named for the body
    bool listed = false;  // codings for the answer were listed
    void read_body(std::string_view v, const compress::Registry& r);
    void read_list(std::string_view v, const compress::Registry& r);
  };
  struct Timeout {
    int64_t ns = kNoTimeout;
    bool bad = false;
    char value[24];  // if it is bad: for people
    void set_bad(std::string_view v);
  };
  [[nodiscard]] bool set_target(std::string_view v);
  void set_method(std::string_view v);
  void content_type(std::string_view v);
  Refusal classify_post(int32_t flags, const RequestRules& rules);
  Refusal classify_get(const RequestRules& rules);
  Refusal finish(const Codings& c, const Timeout& t);

  const compress::Registry* codings_ = &compress::kRegistry;
  base::Vec<char> target_;
  base::Metadata metadata_;
  base::Metadata rest_;  // with keep_all: what is not in metadata_
  size_t path_ = 0;  // of target_
  int64_t timeout_ns_ = kNoTimeout, content_length_ = -1;
  char refusal_[72];  // the text of one that quotes the request
  Timeout connect_timeout_, grpc_timeout_;
  Codings http_, grpc_, connect_;
  uint32_t accepted_ = 1;
  std::string_view get_message_;
  HttpMethod method_ = HttpMethod::kOther;
  Type type_ = Type::kAbsent;
  Protocol protocol_ = Protocol::kNone;
  Codec codec_ = Codec::kProto;
  compress::Coding coding_ = compress::Coding::kIdentity, preferred_ = compress::Coding::kIdentity;
  uint8_t version_ = 0;  // connect-protocol-version: 0 absent, 1, 2 another
  bool http2_ = false, bare_grpc_ = false, codec_known_ = false, coding_named_ = false, get_base64_ = false, text_ = false, streams_ = false,
       keep_all_ = false;
};

}  // namespace zcrpc::rpc
