// Frames of HTTP/2 as bytes, written and read.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

enum : uint8_t { kData, kHeaders, kPriority, kReset, kSettings, kPushPromise, kPing, kGoaway, kWindow, kContinuation };
constexpr uint8_t kEndStream = 1, kEndHeaders = 4;

inline std::string be32(uint32_t v) {
  return {char(v >> 24), char(v >> 16), char(v >> 8), char(v)};
}
inline std::string frame(uint8_t type, uint8_t flags, uint32_t id, std::string_view payload = {}) {
  std::string s = be32(uint32_t(payload.size()) << 8 | type);
  s.push_back(char(flags));
  return s + be32(id) + std::string(payload);
}
inline const std::string kHello = std::string("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n") + frame(kSettings, 0, 0);

// Literals without indexing over the static table's names.
inline std::string field(uint8_t index, std::string_view value) {
  std::string s;
  if (index < 15) s.push_back(char(index));
  else s += {'\x0f', char(index - 15)};
  s.push_back(char(value.size()));
  return s.append(value);
}
inline std::string head(std::string_view path, std::string_view more = {}, std::string_view type = "application/proto") {
  return "\x83\x86" + field(4, path) + field(1, "x") + field(31, type) + std::string(more);
}
inline std::string open_stream(uint32_t id, bool end = false, std::string_view path = "/s.S/Echo") {
  return frame(kHeaders, kEndHeaders | (end ? kEndStream : 0), id, head(path));
}

struct Frame {
  uint8_t type, flags;
  uint32_t id;
  std::string payload;
  uint32_t word(size_t at) const {
    if (at + 4 > payload.size()) return 0;
    auto b = [&](size_t i) { return uint32_t(uint8_t(payload[at + i])); };
    return b(0) << 24 | b(1) << 16 | b(2) << 8 | b(3);
  }
  // Of GOAWAY and RST_STREAM.
  uint32_t code() const { return word(type == kGoaway ? 4 : 0); }
};

// Those that have come whole.
inline std::vector<Frame> frames_of(std::string_view got) {
  std::vector<Frame> out;
  for (size_t at = 0; at + 9 <= got.size();) {
    auto b = [&](size_t i) { return uint32_t(uint8_t(got[at + i])); };
    size_t size = b(0) << 16 | b(1) << 8 | b(2);
    if (at + 9 + size > got.size()) break;
    out.push_back({uint8_t(b(3)), uint8_t(b(4)), (b(5) << 24 | b(6) << 16 | b(7) << 8 | b(8)) & 0x7fffffff, std::string(got.substr(at + 9, size))});
    at += 9 + size;
  }
  return out;
}
