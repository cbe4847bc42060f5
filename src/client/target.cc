#include "client/target.h"

#include <charconv>

#include "net/names.h"

namespace zcrpc::client {

using base::Code;
using base::Status;

namespace {
Status wrong(std::string_view text, const char* why) {
  return Status::format(Code::kInvalidArgument, "target \"%.*s\": %s", int(text.size() < 200 ? text.size() : 200), text.data(), why);
}

// What may stand in a host name; an IPv6 address is checked as such.
bool is_host(std::string_view s) {
  if (s.empty() || s.size() > 253) return false;
  for (char c : s) {
    bool good = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_';
    if (!good) return false;
  }
  return true;
}

bool is_prefix(std::string_view s) {
  for (char c : s)
    if (c <= ' ' || c >= 0x7F || c == '?' || c == '#') return false;
  return true;
}
}  // namespace

Status parse_target(std::string_view given, Target* out) {
  out->text.append(given);
  if (!out->text.ok()) return Status::no_memory();
  std::string_view s = out->text.view();
  Endpoint& at = out->endpoint;
  if (s.starts_with("unix:")) {
    at.socket_path = s.substr(5);
    if (at.socket_path.empty() || at.socket_path.size() > 107) return wrong(given, "a path of 1 to 107 bytes must follow \"unix:\"");
    if (at.socket_path.find('\0') != s.npos) return wrong(given, "a zero byte in the path");
    at.authority = "localhost";
    return {};
  }
  if (s.starts_with("https://")) return Status(Code::kUnimplemented, "https: this build of the client has no TLS yet");
  if (!s.starts_with("http://")) return wrong(given, "http://host:port or unix:/path is expected");
  s.remove_prefix(7);
  size_t slash = s.find('/');
  at.authority = s.substr(0, slash);
  out->prefix = slash == s.npos ? std::string_view() : s.substr(slash);
  while (out->prefix.ends_with('/')) out->prefix.remove_suffix(1);
  if (!is_prefix(out->prefix)) return wrong(given, "the prefix must be a plain path");

  std::string_view port;
  if (at.authority.starts_with('[')) {
    size_t close = at.authority.find(']');
    if (close == s.npos) return wrong(given, "\"]\" is missing");
    at.host = at.authority.substr(1, close - 1);
    if (at.host.find(':') == s.npos || !net::is_numeric_address(at.host)) return wrong(given, "not an IPv6 address");
    port = at.authority.substr(close + 1);
  } else {
    size_t colon = at.authority.find(':');
    at.host = at.authority.substr(0, colon);
    port = colon == s.npos ? std::string_view() : at.authority.substr(colon);
    if (!is_host(at.host)) return wrong(given, "not a host name");
  }
  at.port = 80;
  if (port.empty()) return {};
  auto [end, error] = std::from_chars(port.data() + 1, port.data() + port.size(), at.port);
  bool good = port[0] == ':' && port.size() > 1 && error == std::errc() && end == port.data() + port.size() && at.port != 0;
  return good ? Status() : wrong(given, "not a port");
}

}  // namespace zcrpc::client
