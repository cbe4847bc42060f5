// Who may call from a web page of another origin, and what browsers are told about it.
#pragma once

#include <string_view>

#include "base/arena.h"
#include "base/status.h"
#include "rpc/reply.h"
#include "rpc/request.h"

namespace zcrpc::server {

// As set by options; the texts are the server's.
struct Cors {
  std::string_view origins;   // "https://a.example, https://b.example", or "*"; empty: no page may
  std::string_view headers;   // request headers besides the protocols'; "*" among them: any
  std::string_view expose;    // answer headers besides the protocols'
  bool credentials = false;
  int64_t max_age_s = 7200;

  explicit operator bool() const { return !origins.empty(); }
  // Copies the texts into a, puts the lists together, and checks them. invalid_argument: what is no origin or no name.
  base::Status own(base::Arena* a);
  // A preflight: an answer of its own.
  static bool is_preflight(const rpc::Request& r);
  base::Status preflight(const rpc::Request& r, rpc::Reply* reply) const;
  // Any other answer: headers more, unless it tells an origin already. False without memory.
  [[nodiscard]] bool add(const rpc::Request& r, rpc::Reply* reply) const;

 private:
  std::string_view allow_, expose_, max_age_;  // as sent
  bool any_origin_ = false, any_header_ = false;
  bool allows(std::string_view origin) const;
  bool varies() const { return !any_origin_ || credentials; }
  [[nodiscard]] bool add_origin(std::string_view origin, rpc::Reply* reply) const;
};

}  // namespace zcrpc::server
