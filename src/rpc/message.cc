#include "rpc/message.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "json/write.h"

namespace zcrpc::rpc {

using base::Buffer;
using base::Code;
using base::Slice;
using base::Status;

namespace {

constexpr size_t kFirst = 16 << 10;  // at most so much at once for a length that was only declared
constexpr size_t kKept = 64 << 10;   // from message to message

int hex(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

}  // namespace

void MessageReader::begin(const Options& o) {
  reset();
  o_ = o;
}

void MessageReader::reset() {
  forget();
  body_bytes = 0;
}

void MessageReader::next() { forget(); }

void MessageReader::let_go() {
  forget_context();
  o_.contexts = nullptr;
}

void MessageReader::forget_context() {
  inflater_.reset();
  if (context_) o_.contexts->give(std::exchange(context_, 0));
}

bool MessageReader::has_context() {
  if (context_ || !o_.contexts) return true;
  size_t n = compress::Contexts::size(o_.coding, o_.limit);
  if (!o_.contexts->take(n)) return false;
  context_ = n;
  return true;
}

void MessageReader::forget() {
  forget_context();
  if (buffer_ && (buffer_->size() > kKept || !buffer_->unique())) {
    buffer_->release();
    buffer_ = nullptr;
  }
  used_ = size_ = left_ = 0;
  compressed_in_ = 0;
  head_size_ = 0;
  compressed_ = complete_ = borrowed_ = counted_ = packed_ = end_ = false;
  message_ = {};
}

void MessageReader::trim() {
  reset();
  if (buffer_) buffer_->release();
  buffer_ = nullptr;
}

Status MessageReader::broken(const char* text) const {
  return Status(o_.side == Side::kServer ? Code::kInvalidArgument : Code::kInternal, text);
}

Status MessageReader::too_large() const {
  return Status::format(Code::kResourceExhausted, "message is larger than the limit of %zu bytes", o_.limit);
}

Status MessageReader::too_large_compressed() const {
  return Status::format(Code::kResourceExhausted, "message is larger than the limit of %llu bytes before it is inflated", static_cast<unsigned long long>(most_compressed()));
}

// What takes more than twice its size was made to waste our time.
uint64_t MessageReader::most_compressed() const {
  if (o_.compressed_limit) return o_.compressed_limit;
  return o_.limit < SIZE_MAX / 4 ? 2 * uint64_t(o_.limit) + 4096 : UINT64_MAX;
}

Status MessageReader::declared(int64_t n) const {
  bool packed = o_.coding != compress::Coding::kIdentity;
  uint64_t most = packed ? most_compressed() : o_.limit;
  if (o_.envelope) {  // which need not be compressed
    most = std::max<uint64_t>(most, o_.limit);
    most += most < UINT64_MAX - kEnvelope ? kEnvelope : 0;
  }
  if (n <= 0 || uint64_t(n) <= most) return {};
  return packed ? too_large_compressed() : too_large();
}

Status MessageReader::data(Slice s) {
  if (!o_.envelope) {
    body_bytes += s.size;
    return s.empty() ? Status() : payload(s);
  }
  ZCRPC_TRY(take_from(&s));
  if (s.size) return Status(Code::kUnimplemented, "the method takes one message, here comes a second");
  return {};
}

Status MessageReader::take_from(Slice* s) {
  while (s->size && !complete_) {
    bool in_head = head_size_ < kEnvelope;
    size_t n = std::min(in_head ? kEnvelope - head_size_ : left_, s->size);
    Slice part = s->part(0, n);
    *s = s->from(n);
    body_bytes += n;
    if (in_head) {
      memcpy(head_ + head_size_, part.data, n);
      head_size_ = uint8_t(head_size_ + n);
      if (head_size_ == kEnvelope) ZCRPC_TRY(head());
    } else {
      left_ -= n;
      ZCRPC_TRY(payload(part));
    }
  }
  return {};
}

// The envelope is judged before anything of the message is read.
Status MessageReader::head() {
  uint8_t flags = head_[0];
  end_ = flags & o_.end_flag;
  if (end_) flags ^= o_.end_flag;
  size_ = left_ = size_t(head_[1]) << 24 | size_t(head_[2]) << 16 | size_t(head_[3]) << 8 | head_[4];
  if (flags > 1) return Status(Code::kInternal, "unknown flags in an envelope");
  if (flags == 1 && !o_.coding_named) return Status(Code::kInternal, "a compressed message, but no encoding was named");
  compressed_ = flags == 1 && o_.coding != compress::Coding::kIdentity && size_ > 0;
  if (compressed_ && size_ > most_compressed()) return too_large_compressed();
  if (!compressed_ && size_ > o_.limit) return too_large();
  if (size_ == 0) complete_ = true;
  return {};
}

// A compressed part. As long as nobody wants the message, its bytes are all that there is.
Status MessageReader::pack(Slice s) {
  uint64_t most = most_compressed();
  compressed_in_ += s.size;
  bool declared = !o_.envelope && o_.content_length > 0 && uint64_t(o_.content_length) > most;
  if (declared || compressed_in_ > most) return too_large_compressed();
  if (inflater_.open()) return inflate(s);
  if (message_.empty()) {
    bool here = o_.envelope && left_ == 0;
    if (o_.inflate == Inflate::kArriving && (here || has_context())) return inflate(s);
    packed_ = true;
    if (o_.inflate == Inflate::kArriving) return keep(s);
    message_ = s;
    borrowed_ = true;
    return {};
  }
  if (o_.inflate == Inflate::kLate && borrowed_ && has_context()) {
    ZCRPC_TRY(inflate(message_));
    packed_ = borrowed_ = false;
    message_ = {};
    return inflate(s);
  }
  ZCRPC_TRY(own());
  return keep(s);
}

Status MessageReader::expand() {
  if (!packed_) return {};
  ZCRPC_TRY(inflate(message_));
  return inflated();
}

// Part of the message. Bare, its end is only known from end().
Status MessageReader::payload(Slice s) {
  if (!o_.envelope) compressed_ = o_.coding != compress::Coding::kIdentity;
  if (compressed_) {
    ZCRPC_TRY(pack(s));
    if (!o_.envelope || left_) return {};
    complete_ = true;
    return inflater_.open() ? inflated() : Status();
  }
  if (!o_.envelope) {
    bool declared = o_.content_length > 0 && uint64_t(o_.content_length) > o_.limit;
    if (declared || s.size > o_.limit - message_.size) return too_large();
    if (message_.empty()) {
      message_ = s;
      borrowed_ = true;
      return {};
    }
    if (borrowed_) ZCRPC_TRY(own());
    return keep(s);
  }
  if (s.size == size_) {
    message_ = s;
    borrowed_ = complete_ = true;
    return {};
  }
  ZCRPC_TRY(keep(s));
  complete_ = left_ == 0;
  return {};
}

// Room for `need` bytes in buffer_. `expected` is a hint from the peer, believed only as far as data have arrived.
bool MessageReader::room(size_t need, size_t expected) {
  size_t have = buffer_ ? buffer_->size() : 0;
  if (need <= have) return true;
  size_t want = expected > need ? std::min(expected, std::max(kFirst, need > SIZE_MAX / 4 ? need : need * 4)) : need * 2;
  size_t most = packed_ ? size_t(std::min<uint64_t>(most_compressed(), SIZE_MAX / 2)) : o_.limit;
  want = std::max(need, std::min(want, most));
  Buffer* b = buffer_ ? Buffer::resize(buffer_, want) : o_.pool ? o_.pool->buffer(want) : Buffer::make(want, a_);
  if (!b) return false;
  buffer_ = b;
  return true;
}

void MessageReader::whole() { message_ = {buffer_->data(), used_}; }

Status MessageReader::keep(Slice s) {
  size_t expected = o_.envelope ? size_ : o_.content_length > 0 ? size_t(o_.content_length) : 0;
  if (!room(used_ + s.size, expected)) return Status::no_memory();
  memcpy(buffer_->writable() + used_, s.data, s.size);
  used_ += s.size;
  if (!counted_) copies++;
  counted_ = true;
  bytes_copied += s.size;
  whole();
  return {};
}

Status MessageReader::own() {
  if (!borrowed_) return {};
  borrowed_ = false;
  Slice s = message_;
  if (packed_ && o_.inflate == Inflate::kLate && (complete_ || has_context())) {
    packed_ = false;
    message_ = {};
    ZCRPC_TRY(inflate(s));
    return complete_ ? inflated() : Status();
  }
  return keep(s);
}

Status MessageReader::inflate(Slice s) {
  Status st;
  if (!inflater_.open()) {
    // Into the memory that is here, unless what is inflated lies there.
    Buffer* into = packed_ && !borrowed_ ? nullptr : std::exchange(buffer_, nullptr);
    st = inflater_.begin(o_.pool, o_.coding, o_.limit, *o_.codings, into);
  }
  if (st.ok()) st = inflater_.feed(s);
  if (st.code() == Code::kInvalidArgument) return broken(st.message());
  return st;
}

Status MessageReader::inflated() {
  size_t size = 0;
  auto r = inflater_.finish(&size);
  if (!r.ok()) return r.status().code() == Code::kInvalidArgument ? broken(r.status().message()) : r.take_status();
  if (buffer_) {
    if (o_.pool) (void)o_.pool->remember(buffer_, buffer_->size());
    buffer_->release();
  }
  forget_context();
  buffer_ = *r;
  used_ = size;
  packed_ = borrowed_ = false;
  whole();
  return {};
}

Status MessageReader::end() {
  if (o_.envelope) {
    if (complete_) return {};
    if (head_size_ == 0) return Status(Code::kUnimplemented, "the method takes one message, none came");
    return broken("the message was cut short");
  }
  complete_ = true;
  return inflater_.open() ? inflated() : Status();
}

// Percent and base64 are undone in one buffer: both only make it shorter.
Status MessageReader::query(std::string_view text, bool base64) {
  body_bytes = text.size();
  if (!text.empty() && !room(text.size(), text.size())) return Status::no_memory();
  char* out = buffer_ ? reinterpret_cast<char*>(buffer_->writable()) : nullptr;
  size_t n = 0;
  for (size_t i = 0; i < text.size(); i++) {
    char c = text[i];
    if (c == '%') {
      int high = i + 2 < text.size() ? hex(text[i + 1]) : -1, low = i + 2 < text.size() ? hex(text[i + 2]) : -1;
      if (high < 0 || low < 0) return broken("broken percent-encoding in the message parameter");
      c = char(high << 4 | low);
      i += 2;
    } else if (c == '+' && !base64) {
      c = ' ';
    }
    out[n++] = c;
  }
  if (base64 && !json::base64_read({out, n}, reinterpret_cast<uint8_t*>(out), &n)) {
    return broken("broken base64 in the message parameter");
  }
  used_ = n;
  complete_ = true;
  if (n == 0) return {};
  whole();
  copies++;
  bytes_copied += n;
  if (o_.coding != compress::Coding::kIdentity) {
    packed_ = true;
    return o_.inflate == Inflate::kArriving ? expand() : Status();
  }
  return n > o_.limit ? too_large() : Status();
}

Buffer* MessageReader::take() {
  if (borrowed_ || !buffer_ || !complete_) return nullptr;
  size_t capacity = buffer_->size();
  buffer_->shrink(used_);
  used_ = 0;
  if (o_.pool) (void)o_.pool->remember(buffer_, capacity);
  return std::exchange(buffer_, nullptr);
}

}  // namespace zcrpc::rpc
