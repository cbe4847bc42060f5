// The head, the framing and the trailers of a server's answer, or a whole answer when it is an error, for each protocol.
// Reused from call to call; everything lies in an arena of its own until clear.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "base/arena.h"
#include "base/header.h"
#include "base/metadata.h"
#include "base/status.h"
#include "base/string.h"
#include "base/vec.h"
#include "compress/compress.h"
#include "rpc/request.h"

namespace zcrpc::rpc {

// Whether these are lines "name: value" that an answer to plain HTTP may have: not of names that tell where it ends.
bool valid_lines(std::string_view lines);

class Reply {
 public:
  explicit Reply(const base::Allocator* a = base::default_allocator()) : arena_(a), headers_(a), trailers_(a), body_(a), text_(a) {}
  Reply(const Reply&) = delete;
  Reply& operator=(const Reply&) = delete;

  void clear();
  void trim();  // after clear: gives memory back

  // Each begins anew. headers, trailers: the handler's, copied; may be null. resource_exhausted: no memory.
  // A unary answer of message_size bytes (as sent: after compression). invalid_argument: metadata that cannot be sent.
  base::Status ok(const Request& r, size_t message_size, compress::Coding coding, const base::Metadata* headers,
                  const base::Metadata* trailers);
  // A Connect GET whose client has the answer: 304, with all headers but those of the body.
  base::Status not_modified(const base::Metadata* headers, const base::Metadata* trailers);
  // An error; its own metadata goes with the trailers. Metadata that cannot be sent is left out.
  base::Status error(const Request& r, const base::Error& e, const base::Metadata* headers, const base::Metadata* trailers);
  base::Status error(const Request& r, base::Code code, std::string_view message);
  base::Status refuse(const Request& r, const Refusal& refusal);
  // A stream: what goes before its first message, and, with what begin_stream made still there, what comes behind the
  // last: trailers(), or for Connect and gRPC-Web body(), a message of the protocol's own. e null: it ended well.
  base::Status begin_stream(const Request& r, compress::Coding coding, const base::Metadata* headers);
  base::Status end_stream(const Request& r, const base::Error* e, const base::Metadata* trailers);
  // gRPC-Web's text form of a unary answer: prefix, message and body become the body.
  base::Status as_text(std::span<const base::Piece> message);
  // The head of an answer to plain HTTP. length: -1 if it is not told. lines: "name: value\n" more, for the application's
  // own use of names that metadata does not take. invalid_argument: what cannot be sent.
  struct Plain {
    int status = 200;
    std::string_view content_type, lines;
    int64_t length = -1;
  };
  base::Status begin_plain(const Plain& p, const base::Metadata* headers);
  // A bare HTTP answer without a body, for what never became a request.
  void bare(int status);

  // One header more (the date); both must last as long as the answer.
  [[nodiscard]] bool add(std::string_view name, std::string_view value, bool constant = false) {
    return headers_.push({name, value, constant});
  }

  // What to send: status, headers (content-length among them where it is told; pass -1 to Http1Answer), prefix, the
  // message (not of errors), body() (gRPC-Web's trailers, behind the message; of errors all), trailers (HTTP/2 only;
  // empty: none).
  int status() const { return status_; }
  std::span<const base::Header> headers() const { return {headers_.data(), headers_.size()}; }
  base::Slice prefix() const { return {prefix_, prefix_size_}; }
  base::Slice body() const { return body_.slice(); }
  std::span<const base::Header> trailers() const { return {trailers_.data(), trailers_.size()}; }
  bool is_error() const { return error_; }  // no message follows

 private:
  using Headers = base::Vec<base::Header>;
  bool number(std::string_view name, uint64_t v);
  bool copy(Headers* to, const base::Metadata* m, std::string_view prefix);
  bool connect_error(const base::Error& e, const base::Metadata* headers, const base::Metadata* trailers);
  bool grpc_error(const Request& r, const base::Error& e, const base::Metadata* headers, const base::Metadata* trailers);
  bool stream_error(const Request& r, const base::Error& e, const base::Metadata* headers, const base::Metadata* trailers);
  bool stream_type(const Request& r);
  bool grpc_status(Headers* to, const base::Error& e);
  bool end_frame(const Request& r, const base::Error* e, const base::Metadata* trailers);
  void end_json(const base::Error* e);
  bool to_text();
  base::Status write_error(const Request& r, const base::Error& e, const base::Metadata* headers,
                           const base::Metadata* trailers, bool list_codings);

  base::Arena arena_;
  Headers headers_, trailers_;
  base::String body_;
  base::String text_;
  uint8_t prefix_[kEnvelope] = {};
  uint8_t prefix_size_ = 0;
  int status_ = 0;
  bool error_ = false;
};

}  // namespace zcrpc::rpc
