// Text under construction. Appends never fail by themselves: the first lack of memory sticks, and ok() tells.
#pragma once

#include <charconv>
#include <string_view>

#include "base/slice.h"
#include "base/vec.h"

namespace zcrpc::base {

class String {
 public:
  String() = default;
  explicit String(const Allocator* a) : v_(a) {}

  bool ok() const { return ok_; }
  size_t size() const { return v_.size(); }
  bool empty() const { return v_.empty(); }
  const char* data() const { return v_.data(); }
  std::string_view view() const { return {v_.data(), v_.size()}; }
  Slice slice() const { return Slice(view()); }
  char& operator[](size_t i) { return v_[i]; }

  String& append(std::string_view s) {
    if (!v_.append(s.data(), s.size())) ok_ = false;
    return *this;
  }
  String& append(char c) {
    if (!v_.push(c)) ok_ = false;
    return *this;
  }
  template <class Int>
    requires std::is_integral_v<Int>
  String& append_int(Int n) {
    char b[24];
    return append({b, size_t(std::to_chars(b, b + sizeof b, n).ptr - b)});
  }
  // Zero-terminated, the zero not counted in size(); nullptr without memory.
  const char* c_str() {
    if (!v_.push('\0')) return nullptr;
    v_.pop();
    return v_.data();
  }
  void truncate(size_t n) { v_.truncate(n); }
  void clear() {
    v_.clear();
    ok_ = true;
  }
  Vec<char>& bytes() { return v_; }

 private:
  Vec<char> v_;
  bool ok_ = true;
};

}  // namespace zcrpc::base
