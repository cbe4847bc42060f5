// A borrowed run of bytes. The type in which bytes cross modules.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace zcrpc::base {

struct Slice {
  const uint8_t* data = nullptr;
  size_t size = 0;

  constexpr Slice() = default;
  constexpr Slice(const uint8_t* d, size_t n) : data(d), size(n) {}
  Slice(const void* d, size_t n) : data(static_cast<const uint8_t*>(d)), size(n) {}
  explicit Slice(std::string_view s) : data(reinterpret_cast<const uint8_t*>(s.data())), size(s.size()) {}

  bool empty() const { return size == 0; }
  const uint8_t* begin() const { return data; }
  const uint8_t* end() const { return data + size; }
  std::string_view text() const { return {reinterpret_cast<const char*>(data), size}; }
  Slice from(size_t offset) const { return {data + offset, size - offset}; }
  Slice part(size_t offset, size_t n) const { return {data + offset, n}; }
};

}  // namespace zcrpc::base
