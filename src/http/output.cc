#include "http/output.h"

#include <algorithm>
#include <cstring>
#include <new>

namespace zcrpc::http {

using base::Buffer;
using base::Slice;

namespace {
constexpr size_t kKeptSegments = 64;  // of a list that waits for its next use

void delete_list(const base::Allocator* a, Segments* s) {
  s->~Segments();
  a->free(s, sizeof *s, a->user);
}
}  // namespace

ChunkPool::~ChunkPool() {
  while (Chunk* c = idle_) {
    idle_ = c->next;
    a_->free(c, sizeof(Chunk) + kChunk, a_->user);
  }
  while (Segments* l = idle_lists_) {
    idle_lists_ = l->next;
    delete_list(a_, l);
  }
}

Chunk* ChunkPool::get() {
  if (Chunk* c = idle_) {
    idle_ = c->next;
    count_--;
    return c;
  }
  return static_cast<Chunk*>(a_->alloc(sizeof(Chunk) + kChunk, a_->user));
}

void ChunkPool::put(Chunk* c) {
  if (count_ >= keep_) return a_->free(c, sizeof(Chunk) + kChunk, a_->user);
  c->next = idle_;
  idle_ = c;
  count_++;
}

Segments* ChunkPool::get_list() {
  if (Segments* s = idle_lists_) {
    idle_lists_ = s->next;
    list_count_--;
    return s;
  }
  void* p = a_->alloc(sizeof(Segments), a_->user);
  return p ? new (p) Segments{.list = base::Vec<Segment>(a_)} : nullptr;
}

void ChunkPool::put_list(Segments* s) {
  if (list_count_ >= keep_) return delete_list(a_, s);
  s->list.clear();
  if (s->list.capacity() > kKeptSegments) s->list.drop();
  s->next = idle_lists_;
  idle_lists_ = s;
  list_count_++;
}

// The chunk being filled is given back once its last segment has been sent. It may hold no segment yet.
bool Output::next_chunk() {
  Chunk* c = pool_->get();
  if (!c) return false;
  if (chunk_) {
    Segment* last = nullptr;
    for (size_t i = segments_ ? segments_->list.size() : 0; i-- > first_ && !last;) {
      if (!segments_->list[i].holder) last = &segments_->list[i];
    }
    // Without a segment that waits, all of it has been sent, or nothing was written.
    if (last && last->data >= chunk_->bytes() && last->data < chunk_->bytes() + ChunkPool::kChunk) {
      last->chunk = chunk_;
    } else {
      pool_->put(chunk_);
    }
  }
  chunk_ = c;
  used_ = 0;
  return true;
}

bool Output::add(const uint8_t* p, size_t n, Buffer* holder) {
  if (!segments_ && !(segments_ = pool_->get_list())) return false;
  base::Vec<Segment>& list = segments_->list;
  if (first_ < list.size()) {
    Segment& last = list.back();
    if (!holder && !last.holder && !last.chunk && last.data + last.size == p) {
      last.size += n;
      size_ += n;
      return true;
    }
  }
  if (!list.push({p, n, holder, nullptr})) return false;
  size_ += n;
  return true;
}

uint8_t* Output::room(size_t n) {
  if (n > ChunkPool::kChunk) return nullptr;
  if ((!chunk_ || ChunkPool::kChunk - used_ < n) && !next_chunk()) return nullptr;
  return chunk_->bytes() + used_;
}

bool Output::commit(size_t n) {
  if (n == 0) return true;
  if (!add(chunk_->bytes() + used_, n, nullptr)) return false;
  used_ += n;
  return true;
}

bool Output::append(Slice bytes) {
  while (bytes.size) {
    size_t space = chunk_ ? ChunkPool::kChunk - used_ : 0;
    if (space < bytes.size && space < 64 && !next_chunk()) return false;
    space = ChunkPool::kChunk - used_;
    size_t n = std::min(space, bytes.size);
    memcpy(chunk_->bytes() + used_, bytes.data, n);
    if (!commit(n)) return false;
    bytes = bytes.from(n);
  }
  return true;
}

bool Output::reference(Slice bytes, Buffer* holder) {
  if (bytes.empty()) return true;
  if (!add(bytes.data, bytes.size, holder)) return false;
  holder->retain();
  return true;
}

bool Output::payload(Slice bytes, Buffer* holder) {
  if (bytes.empty()) return true;
  if (holder && bytes.size >= kByReference) return reference(bytes, holder);
  copies++;
  bytes_copied += bytes.size;
  return append(bytes);
}

size_t Output::fill(iovec* v, size_t max) const {
  if (!segments_) return 0;
  size_t n = std::min(max, segments_->list.size() - first_);
  for (size_t i = 0; i < n; i++) {
    const Segment& s = segments_->list[first_ + i];
    v[i] = {const_cast<uint8_t*>(s.data), s.size};
  }
  return n;
}

void Output::drop(Segment& s) {
  if (s.holder) s.holder->release();
  if (s.chunk) pool_->put(s.chunk);
}

void Output::give_list() {
  if (segments_) pool_->put_list(segments_);
  segments_ = nullptr;
  first_ = 0;
}

void Output::sent(size_t n) {
  size_ -= n;
  while (n > 0) {
    Segment& s = segments_->list[first_];
    if (n < s.size) {
      s.data += n;
      s.size -= n;
      return;
    }
    n -= s.size;
    drop(s);
    first_++;
  }
  if (size_ == 0) {
    give_list();
    if (chunk_) pool_->put(chunk_);
    chunk_ = nullptr;
  } else if (first_ >= 64) {
    segments_->list.shift(first_);
    first_ = 0;
  }
}

void Output::clear() {
  if (segments_)
    for (size_t i = first_; i < segments_->list.size(); i++) drop(segments_->list[i]);
  give_list();
  size_ = used_ = 0;
  if (chunk_) pool_->put(chunk_);
  chunk_ = nullptr;
}

}  // namespace zcrpc::http
