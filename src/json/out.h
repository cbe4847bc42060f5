// The printer's pen: a cursor in the memory of a base::String, so that a character is one store.
#pragma once

#include <charconv>
#include <cstring>
#include <string_view>

#include "base/slice.h"
#include "base/string.h"
#include "json/scan.h"
#include "json/write.h"

namespace zcrpc::json {

class Out {
 public:
  explicit Out(base::String* to) : to_(to) { open(to->size()); }
  // Room for what is likely to come; not needed.
  void expect(size_t n) { (void)room(n); }

  // False: no memory; then nothing may be written. Whether that has happened: ok().
  [[nodiscard]] bool room(size_t n) {
    if (size_t(end_ - p_) >= n) [[likely]] return true;
    return grow(n);
  }
  bool ok() const { return ok_; }
  // Makes what was written the string's; or leaves the string as it was at the start.
  void close(size_t size) { to_->truncate(size); }
  size_t size() const { return size_t(p_ - to_->data()); }

  void put(char c) {
    if (room(1)) *p_++ = c;
  }
  void text(std::string_view s) {
    if (!room(s.size())) return;
    memcpy(p_, s.data(), s.size());
    p_ += s.size();
  }
  void spaces(size_t n) {
    if (!room(n)) return;
    memset(p_, ' ', n);
    p_ += n;
  }
  // "s", escaped. s is UTF-8.
  void quoted(base::Slice s) {
    if (!room(s.size + 18)) return;
    *p_ = '"';
    size_t n = copy_plain(s.data, s.size, p_ + 1);
    if (n != s.size) [[unlikely]] return escaped(s, n);
    p_[n + 1] = '"';
    p_ += n + 2;
  }
  // "s":
  void name(std::string_view s) {
    if (!room(s.size() + 19)) return;
    *p_ = '"';
    size_t n = copy_plain(base::Slice(s).data, s.size(), p_ + 1);
    if (n != s.size()) [[unlikely]] {
      escaped(base::Slice(s), n);
      return put(':');
    }
    p_[n + 1] = '"';
    p_[n + 2] = ':';
    p_ += n + 3;
  }
  template <class Int>
  void integer(Int v) {
    if (room(24)) p_ = std::to_chars(p_, p_ + 24, v).ptr;
  }
  template <class Int>
  void quoted_integer(Int v) {
    if (!room(26)) return;
    *p_++ = '"';
    p_ = std::to_chars(p_, p_ + 24, v).ptr;
    *p_++ = '"';
  }
  template <class T>
  void floating(T v) {
    if (room(kMaxNumber)) p_ += write_number(v, p_);
  }
  void base64(base::Slice s) {
    size_t n = base64_size(s.size, true);
    if (!room(n + 2)) return;
    *p_ = '"';
    base64_write(s, Alphabet::kStandard, true, p_ + 1);
    p_[n + 1] = '"';
    p_ += n + 2;
  }
  // `digits` decimal digits, zeros before.
  void padded(uint32_t v, uint32_t digits) {
    if (!room(digits)) return;
    for (uint32_t i = digits; i-- > 0; v /= 10) p_[i] = char('0' + v % 10);
    p_ += digits;
  }

 private:
  void open(size_t used) {
    p_ = to_->bytes().data() + used;
    end_ = to_->bytes().data() + to_->bytes().capacity();
  }
  bool grow(size_t n);
  void escaped(base::Slice s, size_t done);

  base::String* to_;
  char *p_ = nullptr, *end_ = nullptr;
  bool ok_ = true;
};

}  // namespace zcrpc::json
