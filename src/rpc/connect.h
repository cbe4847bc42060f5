// Connect's own formats: the error as JSON, both ways, and the unary call seen from the client.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/metadata.h"
#include "base/slice.h"
#include "base/status.h"
#include "base/string.h"
#include "compress/compress.h"
#include "rpc/message.h"
#include "rpc/protocol.h"

namespace zcrpc::rpc {

// {"code":"not_found","message":"...","details":[{"type":"...","value":"..."}]}; out->ok() tells.
void write_error_json(const base::Error& e, base::String* out);
// Never fails: what is not a Connect error, or has no known code, gets `fallback`, and text unless it has its own. The
// caller owns the error; without memory it is the static one.
base::Error* read_error_json(base::Slice json, base::Code fallback, std::string_view text);
// The last message of a stream, {"error":{...},"metadata":{"name":["value"]}}: OK, or the error with its metadata;
// trailers gets the metadata. internal: it is not that.
base::Status read_end_json(base::Slice json, base::Metadata* trailers);

// What a client sends besides the body.
struct ConnectCall {
  Codec codec = Codec::kProto;
  bool streams = false;                                   // messages in envelopes, both ways
  compress::Coding coding = compress::Coding::kIdentity;  // of the request's body, or of messages that say so
  bool accept_compressed = true;
  const compress::Registry* codings = &compress::kRegistry;
  int64_t timeout_ns = kNoTimeout;
  std::string_view user_agent{};                          // "": ours
  const base::Metadata* metadata = nullptr;
};
// Adds the headers of a POST, or of a GET (whose message travels in the target). invalid_argument: metadata that cannot
// be sent.
base::Status connect_headers(const ConnectCall& call, bool get, base::Metadata* out);
// "/pkg.Service/Method?connect=v1&base64=1&compression=..&encoding=..&message=.."; out->ok() tells.
void connect_get_target(std::string_view path, const ConnectCall& call, base::Slice message, base::String* out);

// The answer to a unary call, in the order in which a transport tells it.
class ConnectAnswer {
 public:
  ConnectAnswer() = default;

  void begin(Codec codec, size_t limit, compress::Pool* pool, const compress::Registry* codings = &compress::kRegistry);
  void reset();
  // False: no use in reading on; finish tells why.
  bool status(int http);
  bool header(std::string_view name, std::string_view value);  // name in lower case
  // holder: memory in which s may stay; it is retained until reset. nullptr: s goes when this returns.
  bool data(base::Slice s, base::Buffer* holder = nullptr);
  // All has come. OK: message() is the reply. Else the peer's error with its details and metadata, or what was wrong.
  base::Status finish();

  base::Slice message() const { return reader_.message(); }  // until reset
  // The message in memory of its own, or as the part that it is of a holder; the reference is the caller's. *slack: as
  // base::Buffer::has_slack. nullptr: no memory.
  base::Buffer* take(bool* slack);
  base::Metadata& headers() { return headers_; }
  base::Metadata& trailers() { return trailers_; }
  MessageReader& reader() { return reader_; }

 private:
  bool fail(base::Status s);
  base::Status check();
  base::Status peer_error();

  enum class Type : uint8_t { kAbsent, kOther, kProto, kJson };
  MessageReader reader_;
  base::BufferRef holder_;  // of a message that the reader has borrowed
  base::Metadata headers_, trailers_;
  base::Status status_;  // what went wrong on our side
  compress::Pool* pool_ = nullptr;
  const compress::Registry* codings_ = &compress::kRegistry;
  size_t limit_ = 0;
  int64_t content_length_ = -1;
  int http_ = 0;
  Codec codec_ = Codec::kProto;
  compress::Coding coding_ = compress::Coding::kIdentity;
  Type type_ = Type::kAbsent;
  bool began_ = false;
};

}  // namespace zcrpc::rpc
