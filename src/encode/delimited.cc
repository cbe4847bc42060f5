#include "encode/delimited.h"

#include <algorithm>

#include "encode/state.h"

namespace zcrpc::encode {

using base::Buffer;
using base::Code;
using base::Slice;
using base::Status;

namespace {
constexpr size_t kBlock = 65536;
constexpr size_t kSmall = 1024;  // below, a part of a buffer would pin more than it saves
}  // namespace

size_t put_prefix(Framing framing, size_t size, uint8_t* out) {
  if (framing == Framing::kVarint) return size_t(wire::put_varint(out, size) - out);
  for (int i = 0; i < 4; i++) out[i] = uint8_t(size >> (24 - 8 * i));
  return 4;
}

size_t read_prefix(Framing framing, Slice in, uint64_t* size) {
  *size = 0;
  if (framing == Framing::kFixed32) {
    if (in.size < 4) return 0;
    for (int i = 0; i < 4; i++) *size = *size << 8 | in.data[i];
    return 4;
  }
  for (size_t i = 0; i < kPrefix; i++) {
    if (i == in.size) return 0;
    *size |= uint64_t(in.data[i] & 0x7F) << (7 * i);
    if (in.data[i] < 0x80) return *size > UINT32_MAX ? SIZE_MAX : i + 1;
  }
  return SIZE_MAX;
}

base::Result<std::span<const Part>> gather_delimited(Encoder* e, Framing framing) {
  auto parts = gather(e);
  if (!parts.ok()) return parts.take_status();
  size_t n = put_prefix(framing, size(e), e->prefix);
  if (!e->parts.push({})) return Status::no_memory();
  std::copy_backward(e->parts.begin(), e->parts.end() - 1, e->parts.end());
  e->parts[0] = {{e->prefix, n}, nullptr};
  return std::span<const Part>(e->parts.data(), e->parts.size());
}

DelimitedReader::~DelimitedReader() {
  for (size_t i = first_; i < pieces_.size(); i++) pieces_[i].buffer->release();
  if (block_) block_->release();
  if (joined_) joined_->release();
}

Status DelimitedReader::stick(Code code, const char* text) {
  code_ = code;
  text_ = text;
  return Status(code, text).at(int64_t(began_));
}

// ---- Bytes that came

// A block with some room in it; false: no memory.
bool DelimitedReader::room() {
  if (block_ && first_ == pieces_.size() && block_->unique()) filled_ = 0;
  if (block_ && filled_ < kBlock) return true;
  Buffer* b = Buffer::make(kBlock);
  if (!b) return false;
  if (block_) block_->release();
  block_ = b;
  filled_ = 0;
  return true;
}

// What the block got, as a piece, or as more of the last one.
Status DelimitedReader::push(Buffer* b, Slice part) {
  if (part.size == 0) return {};
  if (first_ < pieces_.size() && pieces_.back().buffer == b && pieces_.back().bytes.end() == part.begin()) {
    pieces_.back().bytes.size += part.size;
    return {};
  }
  if (first_ == pieces_.size()) {
    pieces_.clear();
    first_ = 0;
  }
  if (!pieces_.push({b, part})) return Status::no_memory();
  b->retain();
  return {};
}

Status DelimitedReader::push(Slice bytes) {
  if (bytes.size == 0) return {};
  // All or nothing: what does not fit a block gets a buffer of its own.
  if (!room()) return Status::no_memory();
  if (bytes.size <= kBlock - filled_) {
    memcpy(block_->writable() + filled_, bytes.data, bytes.size);
    ZCRPC_TRY(push(block_, {block_->data() + filled_, bytes.size}));
    filled_ += bytes.size;
    return {};
  }
  base::BufferRef whole(Buffer::make(bytes.size));
  if (!whole) return Status::no_memory();
  memcpy(whole->writable(), bytes.data, bytes.size);
  return push(whole.get(), whole->slice());
}

Status DelimitedReader::from_source() {
  // What a long message lacks goes where it belongs; everything else into the block.
  uint8_t* to;
  size_t n;
  const bool straight = in_message_ && joined_ && have_ < joined_->size();
  if (straight) {
    to = joined_->writable() + have_;
    n = std::min(joined_->size(), need_) - have_;
  } else {
    if (!room()) return Status::no_memory();
    to = block_->writable() + filled_;
    n = kBlock - filled_;
  }
  int64_t got = source_(to, n, user_);
  if (got == 0) {
    ended_ = true;
    return {};
  }
  if (got == -1) return Status(Code::kPending, "more bytes are needed");
  if (got < 0 || uint64_t(got) > n) return stick(Code::kUnavailable, "the source of the stream failed");
  if (straight) {
    have_ += size_t(got);
    offset_ += uint64_t(got);
    return {};
  }
  ZCRPC_TRY(push(block_, {to, size_t(got)}));
  filled_ += size_t(got);
  return {};
}

Status DelimitedReader::fill() {
  if (ended_)
    return stick(Code::kDataLoss, in_message_ ? "the stream ended inside a message" : "the stream ended inside the length of a message");
  if (source_) return from_source();
  return Status(Code::kPending, "more bytes are needed");
}

bool DelimitedReader::front(Slice* s) const {
  if (first_ == pieces_.size()) return false;
  *s = pieces_[first_].bytes;
  return true;
}

void DelimitedReader::consume(size_t n) {
  Piece& p = pieces_[first_];
  p.bytes = p.bytes.from(n);
  offset_ += n;
  if (p.bytes.size) return;
  p.buffer->release();
  first_++;
}

// ---- Messages

Status DelimitedReader::take_prefix() {
  for (Slice s; front(&s);) {
    if (prefix_size_ == 0) began_ = offset_;
    prefix_[prefix_size_++] = s.data[0];
    consume(1);
    uint64_t size;
    size_t used = read_prefix(framing_, {prefix_, prefix_size_}, &size);
    if (used == 0) continue;
    if (used == SIZE_MAX) return stick(Code::kInvalidArgument, "the length of a message is no varint of 32 bits");
    if (size > max_) return stick(Code::kResourceExhausted, "a message over the limit");
    prefix_size_ = 0;
    in_message_ = true;
    need_ = size_t(size);
    have_ = 0;
    return {};
  }
  return {};
}

// Moves what there is of a message in several pieces into one buffer, which grows as bytes arrive.
Status DelimitedReader::join() {
  for (Slice s; have_ < need_ && front(&s);) {
    if (!joined_ || have_ == joined_->size()) {
      size_t want = std::min(need_, std::max(kBlock, have_ * 2));
      Buffer* b = joined_ ? Buffer::resize(joined_, want) : Buffer::make(want);
      if (!b) return Status::no_memory();
      joined_ = b;
    }
    size_t n = std::min({s.size, need_ - have_, joined_->size() - have_});
    memcpy(joined_->writable() + have_, s.data, n);
    have_ += n;
    consume(n);
  }
  // Room for what the source will bring.
  if (source_ && joined_ && have_ < need_ && have_ == joined_->size()) {
    Buffer* b = Buffer::resize(joined_, std::min(need_, have_ * 2));
    if (!b) return Status::no_memory();
    joined_ = b;
  }
  return {};
}

base::Result<Buffer*> DelimitedReader::take() {
  Slice s;
  if (have_ == 0 && front(&s) && s.size >= need_ && need_ > 0) {
    Buffer* whole = pieces_[first_].buffer;
    Buffer* b;
    if (need_ >= kSmall) {
      b = Buffer::part(whole, size_t(s.data - whole->data()), need_);
    } else if ((b = Buffer::make(need_))) {
      memcpy(b->writable(), s.data, need_);
    }
    if (!b) return Status::no_memory();
    consume(need_);
    in_message_ = false;
    return b;
  }
  if (need_ == 0 && !joined_ && !(joined_ = Buffer::make(0))) return Status::no_memory();
  ZCRPC_TRY(join());
  if (have_ < need_) return static_cast<Buffer*>(nullptr);
  in_message_ = false;
  Buffer* b = joined_;
  joined_ = nullptr;
  return b;
}

base::Result<Buffer*> DelimitedReader::next() {
  if (code_ != Code::kOk) return Status(code_, text_).at(int64_t(began_));
  for (;;) {
    if (!in_message_) ZCRPC_TRY(take_prefix());
    if (in_message_) {
      base::Result<Buffer*> b = take();
      if (!b.ok() || *b) return b;
    }
    if (ended_ && !in_message_ && prefix_size_ == 0) return static_cast<Buffer*>(nullptr);
    ZCRPC_TRY(fill());
  }
}

}  // namespace zcrpc::encode
