#include "rpc/protocol.h"

#include <zcrpc.h>

#include <charconv>

namespace zcrpc::rpc {

using base::Code;

int http_from_code(Code code) {
  switch (code) {
    case Code::kOk: return 200;
    case Code::kCanceled: return 499;
    case Code::kInvalidArgument: case Code::kFailedPrecondition: case Code::kOutOfRange: return 400;
    case Code::kDeadlineExceeded: return 504;
    case Code::kNotFound: return 404;
    case Code::kAlreadyExists: case Code::kAborted: return 409;
    case Code::kPermissionDenied: return 403;
    case Code::kResourceExhausted: return 429;
    case Code::kUnimplemented: return 501;
    case Code::kUnavailable: return 503;
    case Code::kUnauthenticated: return 401;
    default: return 500;  // unknown, internal, data_loss, and codes that are no one's business outside
  }
}

Code code_from_http(int status) {
  switch (status) {
    case 400: return Code::kInternal;
    case 401: return Code::kUnauthenticated;
    case 403: return Code::kPermissionDenied;
    case 404: return Code::kUnimplemented;
    case 429: case 502: case 503: case 504: return Code::kUnavailable;
    default: return Code::kUnknown;
  }
}

Code code_from_http_grpc(int status) { return status == 431 ? Code::kInternal : code_from_http(status); }

Code code_from_reset(uint32_t h2_error) {
  switch (h2_error) {
    case 7: return Code::kUnavailable;          // REFUSED_STREAM
    case 8: return Code::kCanceled;             // CANCEL
    case 11: return Code::kResourceExhausted;   // ENHANCE_YOUR_CALM
    case 12: return Code::kPermissionDenied;    // INADEQUATE_SECURITY
    default: return Code::kInternal;
  }
}

namespace {

// At most `most` digits, nothing else.
bool digits(std::string_view s, size_t most, int64_t* v) {
  if (s.empty() || s.size() > most) return false;
  *v = 0;
  for (char c : s) {
    if (c < '0' || c > '9') return false;
    *v = *v * 10 + (c - '0');
  }
  return true;
}

int64_t times(int64_t v, int64_t unit) { return v > kNoTimeout / unit ? kNoTimeout : v * unit; }

constexpr int64_t kMs = 1000000;

int64_t in_units(int64_t ns, int64_t unit) { return ns / unit + (ns % unit != 0); }

struct Unit {
  char letter;
  int64_t ns;
};
constexpr Unit kUnits[] = {{'n', 1}, {'u', 1000}, {'m', kMs}, {'S', 1000 * kMs}, {'M', 60000 * kMs}, {'H', 3600000 * kMs}};

}  // namespace

bool read_connect_timeout(std::string_view s, int64_t* ns) {
  int64_t ms;
  if (!digits(s, 10, &ms)) return false;
  *ns = times(ms, kMs);
  return true;
}

bool read_grpc_timeout(std::string_view s, int64_t* ns) {
  int64_t v;
  if (s.size() < 2 || !digits(s.substr(0, s.size() - 1), 8, &v)) return false;
  for (const Unit& u : kUnits) {
    if (u.letter == s.back()) {
      *ns = times(v, u.ns);
      return true;
    }
  }
  return false;
}

size_t write_connect_timeout(int64_t ns, char out[kMaxTimeout]) {
  int64_t ms = in_units(ns < 0 ? 0 : ns, kMs);
  if (ms > 9999999999) ms = 9999999999;  // 115 days
  return size_t(std::to_chars(out, out + kMaxTimeout, ms).ptr - out);
}

size_t write_grpc_timeout(int64_t ns, char out[kMaxTimeout]) {
  if (ns < 0) ns = 0;
  for (const Unit& u : kUnits) {
    int64_t v = in_units(ns, u.ns);
    if (v > 99999999 && u.letter != 'H') continue;
    char* p = std::to_chars(out, out + kMaxTimeout - 1, v).ptr;
    *p++ = u.letter;
    return size_t(p - out);
  }
  return 0;
}

std::string_view user_agent(Protocol protocol, char out[kMaxUserAgent]) {
  bool grpc = protocol == Protocol::kGrpc;
  std::string_view name = grpc ? "grpc-c-zcrpc/" : "connect-c/";
  char* p = out + name.copy(out, name.size());
  for (int shift = 16; shift >= 0; shift -= 8) {
    p = std::to_chars(p, p + 3, ZCRPC_VERSION >> shift & 0xFF).ptr;
    if (shift) *p++ = '.';
  }
  if (!grpc) {
    std::string_view library = " (libzcrpc)";
    p += library.copy(p, library.size());
  }
  return {out, size_t(p - out)};
}

}  // namespace zcrpc::rpc
