// A cursor in the memory of a String, so that a character of output is one store. Writing never fails by itself; ok()
// tells.
#pragma once

#include <charconv>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

#include "base/string.h"

namespace zcrpc::base {

class Pen {
 public:
  // Appends to *to, and makes it no longer than `most`.
  explicit Pen(String* to, size_t most = SIZE_MAX) : to_(to), most_(most < to->size() ? to->size() : most) { open(to->size()); }
  // Room for what is likely to come; not needed.
  void expect(size_t n) { (void)room(n); }

  // False: no memory, or too long; then nothing may be written. Whether that has happened: ok().
  [[nodiscard]] bool room(size_t n) {
    if (size_t(end_ - p_) >= n) [[likely]] return true;
    return grow(n);
  }
  // For writers that keep the cursor in a register: p, or where it has moved to, with room for n bytes; nullptr: none.
  char* cursor() const { return p_; }
  void cursor(char* p) { p_ = p; }
  [[nodiscard]] char* room_at(char* p, size_t n) {
    if (size_t(end_ - p) >= n) [[likely]] return p;
    p_ = p;
    return grow(n) ? p_ : nullptr;
  }
  bool ok() const { return ok_; }
  // It has failed for the length alone. What was written before is there.
  bool full() const { return full_; }
  size_t size() const { return size_t(p_ - to_->data()); }
  // Makes `size` bytes the string's: size() for all, less to take something back.
  void close(size_t size) { to_->truncate(size); }

  void put(char c) {
    if (room(1)) *p_++ = c;
  }
  void text(std::string_view s) {
    if (!room(s.size())) return;
    memcpy(p_, s.data(), s.size());
    p_ += s.size();
  }
  // How much of the output may be indentation (decision 0194).
  void indent_for(size_t message) { blank_ = (size_t(1) << 20) + (message < SIZE_MAX / 32 ? 16 * message : SIZE_MAX / 2); }
  // The beginning of a line, n spaces in, or, when there has been too much indentation, at the margin.
  void line(size_t n);
  template <class Int>
  void integer(Int v) {
    if (room(24)) p_ = std::to_chars(p_, p_ + 24, v).ptr;
  }
  // `digits` decimal digits, zeros before.
  void padded(uint32_t v, uint32_t digits) {
    if (!room(digits)) return;
    for (uint32_t i = digits; i-- > 0; v /= 10) p_[i] = char('0' + v % 10);
    p_ += digits;
  }

 protected:
  void open(size_t used);
  bool grow(size_t n);

  String* to_;
  size_t most_;
  char *p_ = nullptr, *end_ = nullptr;
  size_t blank_ = 0;
  bool ok_ = true, full_ = false;
};

}  // namespace zcrpc::base
