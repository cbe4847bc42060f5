#include "server/pipe.h"

namespace zcrpc::server {

using base::Piece;

bool Pipe::push(std::span<const Piece> pieces, bool last) {
  size_t n = 0;
  std::lock_guard lock(gate_);
  if (pieces.size() && !pieces_.reserve(pieces_.size() + pieces.size())) return false;
  for (const Piece& p : pieces) {
    if (p.bytes.empty()) continue;
    p.buffer->retain();
    (void)pieces_.push(p);
    n += p.bytes.size;
  }
  last_ = last_ || last;
  size_.fetch_add(n);
  return true;
}

bool Pipe::is_full(size_t window) {
  if (size_.load() < window) return false;
  waits_.store(true);
  // What was used meanwhile may have gone without a word.
  return size_.load() >= window / 2 || !waits_.exchange(false);
}

bool Pipe::take(Piece* p) {
  std::lock_guard lock(gate_);
  if (at_ == pieces_.size()) return false;
  *p = pieces_[at_++];
  if (at_ == pieces_.size()) {
    pieces_.clear();
    at_ = 0;
  } else if (at_ >= 64 && at_ >= pieces_.size() / 2) {
    pieces_.shift(at_);
    at_ = 0;
  }
  return true;
}

bool Pipe::at_end() {
  std::lock_guard lock(gate_);
  return last_ && at_ == pieces_.size();
}

bool Pipe::used(size_t n, size_t window) {
  size_t left = size_.fetch_sub(n) - n;
  return left < window / 2 && waits_.exchange(false);
}

void Pipe::clear() {
  std::lock_guard lock(gate_);
  for (size_t i = at_; i < pieces_.size(); i++) pieces_[i].buffer->release();
  pieces_.drop();
  at_ = 0;
}

}  // namespace zcrpc::server
