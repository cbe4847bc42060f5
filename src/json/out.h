// The printer's pen: what JSON writes in its own way.
#pragma once

#include <charconv>
#include <cstring>
#include <string_view>

#include "base/pen.h"
#include "base/slice.h"
#include "wire/scan.h"
#include "json/write.h"

namespace zcrpc::json {

class Out : public base::Pen {
 public:
  using base::Pen::Pen;

  // "s", escaped. s is UTF-8.
  void quoted(base::Slice s) {
    if (!room(s.size + 18)) return;
    *p_ = '"';
    size_t n = wire::copy_plain(s.data, s.size, p_ + 1);
    if (n != s.size) [[unlikely]] return escaped(s, n);
    p_[n + 1] = '"';
    p_ += n + 2;
  }
  // "s":
  void name(std::string_view s) {
    if (!room(s.size() + 19)) return;
    *p_ = '"';
    size_t n = wire::copy_plain(base::Slice(s).data, s.size(), p_ + 1);
    if (n != s.size()) [[unlikely]] {
      escaped(base::Slice(s), n);
      return put(':');
    }
    p_[n + 1] = '"';
    p_[n + 2] = ':';
    p_ += n + 3;
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
  // The rest of quoted(), when its first `done` characters and the quote before them are there, behind the cursor.
  void escaped(base::Slice s, size_t done);
};

}  // namespace zcrpc::json
