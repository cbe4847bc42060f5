#include "base/pen.h"

namespace zcrpc::base {

void Pen::open(size_t used) {
  Vec<char>& bytes = to_->bytes();
  p_ = bytes.data() + used;
  end_ = bytes.data() + (bytes.capacity() < most_ ? bytes.capacity() : most_);
}

bool Pen::grow(size_t n) {
  if (!ok_) return false;
  size_t used = size(), capacity = to_->bytes().capacity();
  full_ = n > most_ - used;
  // A large piece exactly, small ones by doubling.
  if (full_ || n > SIZE_MAX / 4 || !to_->bytes().reserve(used + n > capacity * 2 ? used + n : capacity * 2)) {
    ok_ = false;
    end_ = p_;
    return false;
  }
  open(used);
  return true;
}

void Pen::line(size_t n) {
  if (n > blank_) n = blank_ = 0;
  blank_ -= n;
  if (!room(n + 1)) return;
  *p_ = '\n';
  memset(p_ + 1, ' ', n);
  p_ += n + 1;
}

}  // namespace zcrpc::base
