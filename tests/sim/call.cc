#include "sim/call.h"

#include <cstdlib>

namespace sim {

std::string Call::content(uint32_t of, int index, size_t size) {
  std::string s(size, '\0');
  uint64_t x = (uint64_t(of) << 20 | uint64_t(index)) * 0x9e3779b97f4a7c15u + 1;
  for (size_t i = 0; i < size; i++) {
    if (i % 8 == 0) x = x * 6364136223846793005u + 1442695040888963407u;
    s[i] = char(x >> (8 * (i % 8)));
  }
  return s;
}

std::string Call::envelope(uint8_t flags, std::string_view message) {
  std::string s(1, char(flags));
  for (int shift = 24; shift >= 0; shift -= 8) s.push_back(char(message.size() >> shift));
  return s.append(message);
}

int Call::code_of(std::string_view name) {
  static constexpr std::string_view kNames[] = {"ok", "canceled", "unknown", "invalid_argument", "deadline_exceeded", "not_found", "already_exists",
      "permission_denied", "resource_exhausted", "failed_precondition", "aborted", "out_of_range", "unimplemented", "internal", "unavailable",
      "data_loss", "unauthenticated"};
  for (int i = 0; i < 17; i++)
    if (kNames[i] == name) return i;
  return 2;
}

namespace {
// Of {"code":"name"...} or {"error":{"code":"name"...}}; 0 without.
int json_code(std::string_view s) {
  size_t at = s.find("\"code\":\"");
  if (at == s.npos) return 0;
  s.remove_prefix(at + 8);
  return Call::code_of(s.substr(0, s.find('"')));
}
}  // namespace

void Call::judge_body(int http_status, std::string_view body, bool end, int grpc_status) {
  if (!enveloped()) {
    if (!end) return;
    if (http_status == 200) {
      replies_got = 1;
      wrong_bytes = body != reply(0);
      code = 0;
    } else {
      code = json_code(body);
      if (code == 0) code = 2;
    }
    return;
  }
  bool last = false;
  while (!body.empty()) {
    if (body.size() < 5) break;
    auto b = [&](size_t i) { return uint32_t(uint8_t(body[i])); };
    uint32_t flags = b(0), size = b(1) << 24 | b(2) << 16 | b(3) << 8 | b(4);
    if (body.size() - 5 < size) break;
    std::string_view message = body.substr(5, size);
    body.remove_prefix(5 + size);
    if (last) wrong_bytes = true;
    if (flags == 2 && protocol == Protocol::kConnect) {
      last = true;
      code = json_code(message);
    } else if (flags == 0x80 && protocol == Protocol::kGrpcWeb) {
      last = true;
      size_t at = message.find("grpc-status: ");
      code = at == message.npos ? 2 : atoi(std::string(message.substr(at + 13)).c_str());
    } else if (flags == 0) {
      if (message != reply(replies_got)) wrong_bytes = true;
      replies_got++;
    } else {
      wrong_bytes = true;
    }
  }
  if (end && !body.empty()) wrong_bytes = true;
  if (end && grpc_status >= 0 && !last) code = grpc_status;
  if (end && code == kNothing && http_status != 200) code = 2;
}

}  // namespace sim
