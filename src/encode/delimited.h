// Streams of messages: each behind a prefix that tells its length. The reader takes bytes as they come, pushed or from a
// callback, and hands out one buffer a message; errors stick.
#pragma once

#include <cstdint>

#include "base/buffer.h"
#include "base/status.h"
#include "base/vec.h"
#include "encode/encoder.h"

namespace zcrpc::encode {

enum class Framing : int32_t {
  kVarint = 1,   // as writeDelimitedTo of protobuf's Java and kin
  kFixed32 = 2,  // four bytes, big endian
};
inline constexpr size_t kPrefix = 5;  // a prefix is at most so long

// Writes the prefix of a message of that size (at most wire::kMaxMessage); returns how long it is.
size_t put_prefix(Framing framing, size_t size, uint8_t* out);
// Reads one: bytes it takes, 0: it is not all there. *size may be over any limit. A varint over 32 bits or 5 bytes:
// SIZE_MAX.
size_t read_prefix(Framing framing, base::Slice in, uint64_t* size);

// As gather, with the prefix as the first part.
base::Result<std::span<const Part>> gather_delimited(Encoder* e, Framing framing);

class DelimitedReader {
 public:
  // Fills up to n bytes at `to`: how many; 0: the end; -1: none now; less: it failed.
  using Source = int64_t (*)(void* to, size_t n, void* user);

  DelimitedReader(Framing framing, size_t max) : framing_(framing), max_(max) {}
  DelimitedReader(const DelimitedReader&) = delete;
  DelimitedReader& operator=(const DelimitedReader&) = delete;
  ~DelimitedReader();

  void set_source(Source source, void* user) {
    source_ = source;
    user_ = user;
  }
  // Copies the bytes; or keeps a reference. Without memory nothing was taken.
  base::Status push(base::Slice bytes);
  base::Status push(base::Buffer* b, base::Slice part);
  void end() { ended_ = true; }  // no bytes come after those that were pushed
  // The next message, whose reference is the caller's: a part of what was pushed, if it lies in one piece and is not small,
  // else a copy. nullptr: the stream ended behind the last one. Code kPending: more bytes are needed. data_loss: it ended
  // inside a message; resource_exhausted: a message over the limit; both with the offset of its prefix.
  base::Result<base::Buffer*> next();
  uint64_t offset() const { return offset_; }  // bytes of the stream that are done with

 private:
  struct Piece {
    base::Buffer* buffer;
    base::Slice bytes;
  };
  base::Status stick(base::Code code, const char* text);
  base::Status fill();
  base::Status from_source();
  base::Result<base::Buffer*> take();
  base::Status take_prefix();
  base::Status join();
  bool room();
  bool front(base::Slice* s) const;
  void consume(size_t n);

  Framing framing_;
  size_t max_;
  Source source_ = nullptr;
  void* user_ = nullptr;
  base::Vec<Piece> pieces_;
  size_t first_ = 0;               // pieces before it are done with
  base::Buffer* block_ = nullptr;  // copies go here
  size_t filled_ = 0;
  uint8_t prefix_[kPrefix];
  size_t prefix_size_ = 0;
  bool in_message_ = false, ended_ = false;
  size_t need_ = 0, have_ = 0;
  base::Buffer* joined_ = nullptr;  // a message in several pieces
  uint64_t offset_ = 0, began_ = 0;
  base::Code code_ = base::Code::kOk;
  const char* text_ = nullptr;
};

}  // namespace zcrpc::encode
