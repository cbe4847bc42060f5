// The words that all of rpc uses: protocols, codecs, codes on the wire, timeouts, names of metadata.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/arena.h"
#include "base/metadata.h"
#include "base/status.h"

namespace zcrpc::rpc {

enum class Protocol : uint8_t { kNone, kConnect, kConnectGet, kConnectStream, kGrpc, kGrpcWeb };
enum class Codec : uint8_t { kProto, kJson };
enum class HttpMethod : uint8_t { kOther, kPost, kGet, kHead, kOptions };

inline constexpr size_t kEnvelope = 5;             // flags, big-endian length
inline constexpr int64_t kNoTimeout = INT64_MAX;   // nanoseconds

// ---- codes
// As it goes out: local codes are nobody's business, and nothing else is OK.
constexpr base::Code wire_code(base::Code c) { return int32_t(c) >= 1 && int32_t(c) <= 16 ? c : base::Code::kUnknown; }
int http_from_code(base::Code code);        // Connect's map; 500 for local ones
base::Code code_from_http(int status);      // of an answer that is not a Connect error
base::Code code_from_http_grpc(int status); // of an answer without grpc-status; kOk never
base::Code code_from_reset(uint32_t h2_error);

// ---- timeouts, in nanoseconds. False: not as the protocol says. What exceeds 64 bits is kNoTimeout.
bool read_connect_timeout(std::string_view s, int64_t* ns);  // ms, 1 to 10 digits
bool read_grpc_timeout(std::string_view s, int64_t* ns);     // 1 to 8 digits and a unit
// Rounded up, so that the peer's deadline is never before ours; at most 10 and 9 characters. Returns how many.
inline constexpr size_t kMaxTimeout = 16;
size_t write_connect_timeout(int64_t ns, char out[kMaxTimeout]);
size_t write_grpc_timeout(int64_t ns, char out[kMaxTimeout]);

// "connect-c/0.1.0 (libzcrpc)", "grpc-c-zcrpc/0.1.0".
inline constexpr size_t kMaxUserAgent = 48;
std::string_view user_agent(Protocol p, char out[kMaxUserAgent]);

constexpr bool is_grpc_family(Protocol p) { return p == Protocol::kGrpc || p == Protocol::kGrpcWeb; }
// Messages come and go in envelopes, in unary calls too.
constexpr bool has_envelopes(Protocol p) { return is_grpc_family(p) || p == Protocol::kConnectStream; }

// ---- metadata
// Whether an application may send it: a name of 0-9a-z_-. that is not the protocols' own.
bool valid_metadata_name(std::string_view name);
// Printable ASCII, no space at either end.
bool valid_metadata_value(std::string_view value);
// Names that belong to HTTP or to a protocol, and that handlers do not see: ":path", "connect-", "grpc-", "content-",
// "te", ...
bool reserved_header(std::string_view name);
bool is_binary_name(std::string_view name);  // ends in -bin
// Takes a header from the wire into metadata: a -bin value is split at commas and decoded, padded or not (what is not
// base64 is dropped); others are trimmed. False without memory.
[[nodiscard]] bool add_metadata(base::Metadata* to, std::string_view name, std::string_view value);
// The value as it goes on the wire: base64 without padding for -bin, made in arena; else itself. data() null: no memory.
std::string_view wire_value(std::string_view name, base::Slice value, base::Arena* arena);
// invalid_argument with the name, if one of them cannot be sent.
base::Status check_metadata(const base::Metadata& m);

}  // namespace zcrpc::rpc
