#include "base/powers.h"

namespace zcrpc::base {
namespace {

// The leading 192 bits of a power of ten, what is behind them cut off: 32 bits a word, the least first. A step to the
// next power loses less than 2^-191 of the value, all 342 steps less than 2^10 units of the last place.
struct Long {
  static constexpr int kWords = 6;
  uint32_t w[kWords] = {0, 0, 0, 0, 0, 0x80000000};

  constexpr void shift_down(uint32_t above, int bits) {
    for (int i = 0; i < kWords; i++) {
      uint64_t next = i + 1 < kWords ? w[i + 1] : above;
      w[i] = uint32_t((next << 32 | w[i]) >> bits);
    }
  }
  constexpr void times_ten() {
    uint64_t carry = 0;
    for (uint32_t& x : w) {
      carry += uint64_t(x) * 10;
      x = uint32_t(carry);
      carry >>= 32;
    }
    shift_down(uint32_t(carry), carry >= 8 ? 4 : 3);
  }
  constexpr void over_ten() {  // times 16 before, so that the leading bit stays or moves one up
    uint64_t rest = w[kWords - 1] >> 28;
    uint32_t above = uint32_t(rest / 10);
    rest %= 10;
    for (int i = kWords - 1; i >= 0; i--) {
      rest = rest << 32 | uint32_t(w[i] << 4 | (i ? w[i - 1] >> 28 : 0));
      w[i] = uint32_t(rest / 10);
      rest %= 10;
    }
    if (above) shift_down(above, 1);
  }
};

struct Made {
  Powers powers = {};
  bool certain = true;
};

constexpr void put(Made* m, int e, const Long& v) {
  Power p{uint64_t(v.w[5]) << 32 | v.w[4], uint64_t(v.w[3]) << 32 | v.w[2]};
  if (exact_power(e)) {
    m->certain = m->certain && v.w[1] == 0 && v.w[0] == 0;
  } else {
    p.low++;
    // What was cut off reaches none of the bits that are kept, and rounding up no leading ones.
    m->certain = m->certain && v.w[1] != 0xFFFFFFFF && p.low != 0;
  }
  m->certain = m->certain && p.high >> 63;
  m->powers.of[e - kLeastPower] = p;
}

constexpr Made make() {
  Made m;
  Long up, down;
  for (int e = 0; e <= kMostPower; e++, up.times_ten()) put(&m, e, up);
  for (int e = -1; e >= kLeastPower; e--) {
    down.over_ten();
    put(&m, e, down);
  }
  return m;
}

static_assert(make().certain);

}  // namespace

constexpr Powers kPowers = make().powers;

}  // namespace zcrpc::base
