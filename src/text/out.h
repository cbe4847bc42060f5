// The printer's pen: what text format writes in its own way.
#pragma once

#include "base/decimal.h"
#include "base/pen.h"
#include "base/slice.h"

namespace zcrpc::text {

class Out : public base::Pen {
 public:
  using base::Pen::Pen;

  // "s", escaped. utf8: characters beyond ASCII stay as they are.
  void quoted(base::Slice s, bool utf8);
  template <class T>
  void floating(T v) {
    if (v != v) return text("nan");
    if (v == T(__builtin_inf())) return text("inf");
    if (v == T(-__builtin_inf())) return text("-inf");
    if (room(base::kMaxDecimal)) p_ += base::write_decimal(v, p_);
  }
  // 0x and all digits.
  void hex(uint64_t v, uint32_t digits) {
    if (!room(digits + 2)) return;
    p_[0] = '0';
    p_[1] = 'x';
    for (uint32_t i = digits; i-- > 0; v >>= 4) p_[2 + i] = "0123456789abcdef"[v & 15];
    p_ += digits + 2;
  }

 private:
  void escape(uint8_t c);
};

}  // namespace zcrpc::text
