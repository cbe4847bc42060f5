#include "server/cors.h"

#include <charconv>

#include "server/services.h"

namespace zcrpc::server {

using base::Code;
using base::Slice;
using base::Status;

namespace {

// What browsers are told whatever the options say: the headers of Connect, gRPC-Web and their clients.
constexpr std::string_view kHeaders = "content-type, connect-protocol-version, connect-timeout-ms, grpc-timeout, x-grpc-web, x-user-agent";
constexpr std::string_view kExpose = "grpc-status, grpc-message, grpc-status-details-bin";
constexpr std::string_view kPreflightVary = "origin, access-control-request-method, access-control-request-headers";

bool has_item(std::string_view list, std::string_view wanted) {
  for (std::string_view item; next_item(&list, &item);)
    if (item == wanted) return true;
  return false;
}

bool is_token(std::string_view s) {
  for (char c : s)
    if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' || c == '_' || c == '.' || c == '*')) return false;
  return true;
}

Status check_names(std::string_view list, const char* option) {
  for (std::string_view item; next_item(&list, &item);)
    if (!is_token(item)) return Status::format(Code::kInvalidArgument, "%s: \"%.*s\" is not a header's name", option, int(item.size()), item.data());
  return {};
}

// "a, b" of the protocols' names and the application's.
std::string_view join(base::Arena* a, std::string_view ours, std::string_view more) {
  if (more.empty()) return ours;
  size_t n = ours.size() + 2 + more.size();
  char* p = a->array<char>(n);
  if (!p) return {};
  ours.copy(p, ours.size());
  p[ours.size()] = ',';
  p[ours.size() + 1] = ' ';
  more.copy(p + ours.size() + 2, more.size());
  return {p, n};
}

std::string_view header(const rpc::Request& r, std::string_view name) {
  Slice v;
  return r.metadata().get(name, &v) ? v.text() : std::string_view();
}

bool has_header(const rpc::Reply& r, std::string_view name) {
  for (const base::Header& h : r.headers())
    if (h.name == name) return true;
  return false;
}

}  // namespace

Status Cors::own(base::Arena* a) {
  for (std::string_view* text : {&origins, &headers, &expose}) {
    *text = a->text(*text);
    if (!text->data()) return Status::no_memory();
  }
  if (!*this) return {};
  any_origin_ = has_item(origins, "*");
  any_header_ = has_item(headers, "*");
  std::string_view list = origins;
  for (std::string_view item; next_item(&list, &item);) {
    size_t host = item.find("://");
    if (item != "*" && item != "null" && (host == item.npos || host == 0 || item.find_first_of("/ ?#", host + 3) != item.npos || host + 3 == item.size()))
      return Status::format(Code::kInvalidArgument, "ZCRPC_SERVER_CORS_ORIGINS: \"%.*s\" is not an origin, as \"https://example.com\" is",
                            int(item.size()), item.data());
  }
  if (any_origin_ && credentials)
    return Status(Code::kInvalidArgument, "ZCRPC_SERVER_CORS_CREDENTIALS: not for any page of the world; name the origins");
  ZCRPC_TRY(check_names(headers, "ZCRPC_SERVER_CORS_HEADERS"));
  ZCRPC_TRY(check_names(expose, "ZCRPC_SERVER_CORS_EXPOSE"));
  allow_ = join(a, kHeaders, headers);
  expose_ = join(a, kExpose, expose);
  char* digits = a->array<char>(20);
  if (!allow_.data() || !expose_.data() || !digits) return Status::no_memory();
  max_age_ = {digits, size_t(std::to_chars(digits, digits + 20, max_age_s).ptr - digits)};
  return {};
}

bool Cors::allows(std::string_view origin) const { return !origin.empty() && (any_origin_ || has_item(origins, origin)); }

bool Cors::is_preflight(const rpc::Request& r) {
  Slice v;
  return r.method() == rpc::HttpMethod::kOptions && r.metadata().get("origin", &v) && r.metadata().get("access-control-request-method", &v);
}

bool Cors::add_origin(std::string_view origin, rpc::Reply* reply) const {
  return reply->add("access-control-allow-origin", varies() ? origin : std::string_view("*")) &&
         (!credentials || has_header(*reply, "access-control-allow-credentials") || reply->add("access-control-allow-credentials", "true", true));
}

// Whether the method and the headers that are asked for are among those told is the browser's to compare.
Status Cors::preflight(const rpc::Request& r, rpc::Reply* reply) const {
  reply->bare(204);
  std::string_view origin = header(r, "origin");
  bool done = reply->add("vary", kPreflightVary, true);
  if (allows(origin)) {
    std::string_view wanted = any_header_ ? header(r, "access-control-request-headers") : std::string_view();
    done = done && add_origin(origin, reply) && reply->add("access-control-allow-methods", "GET, POST", true) &&
           reply->add("access-control-allow-headers", wanted.empty() ? allow_ : wanted) && reply->add("access-control-max-age", max_age_);
  }
  return done ? Status() : Status::no_memory();
}

bool Cors::add(const rpc::Request& r, rpc::Reply* reply) const {
  // Also to those who are not asked for it: a cache must not give their answer to a page.
  if (varies() && !reply->add("vary", "origin", true)) return false;
  // Who answers by rules of its own has said all: two such headers a browser takes for none, and our leave to send
  // cookies is not for an origin that we have not looked at.
  if (has_header(*reply, "access-control-allow-origin")) return true;
  std::string_view origin = header(r, "origin");
  return !allows(origin) || (add_origin(origin, reply) && reply->add("access-control-expose-headers", expose_));
}

}  // namespace zcrpc::server
