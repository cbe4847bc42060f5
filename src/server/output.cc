#include "server/output.h"

#include <errno.h>

#include <algorithm>
#include <cstring>

namespace zcrpc::server {

Chunks::~Chunks() {
  while (Chunk* c = free_) {
    free_ = c->next;
    a_->free(c, sizeof(Chunk) + Chunk::kRoom, a_->user);
  }
}

Chunks::Chunk* Chunks::take() {
  Chunk* c = free_;
  if (c) {
    free_ = c->next;
    count_--;
  } else {
    c = static_cast<Chunk*>(a_->alloc(sizeof(Chunk) + Chunk::kRoom, a_->user));
    if (!c) return nullptr;
  }
  c->next = nullptr;
  c->used = c->segments = 0;
  return c;
}

void Chunks::give(Chunk* c) {
  if (count_ >= kKept) return a_->free(c, sizeof(Chunk) + Chunk::kRoom, a_->user);
  c->next = free_;
  free_ = c;
  count_++;
}

uint8_t* Output::reserve(size_t n) {
  if (failed_) return nullptr;
  if (!tail_ || Chunks::Chunk::kRoom - tail_->used < n) {
    Chunks::Chunk* c = chunks_->take();
    if (!c) {
      failed_ = true;
      return nullptr;
    }
    if (tail_ && tail_->segments == 0) chunks_->give(tail_);
    tail_ = c;
  }
  return tail_->data() + tail_->used;
}

void Output::commit(size_t n) {
  if (failed_ || n == 0) return;
  uint8_t* at = tail_->data() + tail_->used;
  if (first_ < segments_.size() && segments_.back().chunk == tail_ && segments_.back().data + segments_.back().size == at) {
    segments_.back().size += n;
  } else if (segments_.push(Segment{at, n, nullptr, tail_})) {
    tail_->segments++;
  } else {
    failed_ = true;
    return;
  }
  tail_->used += uint32_t(n);
  size_ += n;
}

void Output::copy(const void* data, size_t n) {
  auto* from = static_cast<const uint8_t*>(data);
  while (n) {
    size_t room = tail_ ? Chunks::Chunk::kRoom - tail_->used : 0;
    size_t part = std::min(n, room ? room : Chunks::Chunk::kRoom);
    uint8_t* to = reserve(part);
    if (!to) return;
    memcpy(to, from, part);
    commit(part);
    from += part;
    n -= part;
  }
}

void Output::refer(const uint8_t* data, size_t n, Holder* holder) {
  if (failed_ || n == 0 || !segments_.push(Segment{data, n, holder, nullptr})) {
    if (n) failed_ = true;
    if (holder) holder->drop(holder);
    return;
  }
  size_ += n;
}

void Output::done(const Segment& s) {
  if (s.holder) s.holder->drop(s.holder);
  if (s.chunk && --s.chunk->segments == 0 && s.chunk != tail_) chunks_->give(s.chunk);
}

void Output::sent(size_t n) {
  size_ -= n;
  while (n) {
    Segment& s = segments_[first_];
    if (n < s.size) {
      s.data += n;
      s.size -= n;
      break;
    }
    n -= s.size;
    Segment whole = s;
    first_++;
    done(whole);
  }
  if (size_ == 0) {
    // An idle connection keeps no memory for output.
    segments_.drop();
    first_ = 0;
    if (tail_) chunks_->give(tail_);
    tail_ = nullptr;
  } else if (first_ > 64 && first_ * 2 > segments_.size()) {
    segments_.shift(first_);
    first_ = 0;
  }
}

int64_t Output::send(const net::Io* io, int fd) {
  int64_t total = 0;
  while (size_) {
    int64_t n;
    size_t offered = 0, count = segments_.size() - first_;
    if (count == 1) {
      offered = segments_[first_].size;
      n = io->send(io->user, fd, segments_[first_].data, offered);
    } else {
      iovec v[kPieces];
      count = std::min(count, kPieces);
      for (size_t i = 0; i < count; i++) {
        const Segment& s = segments_[first_ + i];
        v[i] = {const_cast<uint8_t*>(s.data), s.size};
        offered += s.size;
      }
      n = io->sendv(io->user, fd, v, count);
    }
    if (n == -EINTR) continue;
    if (n < 0) return total && n == -EAGAIN ? total : n;
    sent(size_t(n));
    total += n;
    if (size_t(n) < offered) break;  // the socket is full: no need to hear it say so
  }
  return total;
}

void Output::clear() {
  while (first_ < segments_.size()) {
    Segment s = segments_[first_++];
    done(s);
  }
  segments_.drop();
  first_ = 0;
  size_ = 0;
  if (tail_) chunks_->give(tail_);
  tail_ = nullptr;
}

}  // namespace zcrpc::server
