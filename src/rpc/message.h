// One message on its way in, from slices of a body: bare (Connect) or in an envelope (gRPC). A message that lies in one
// slice is borrowed from it; otherwise the slices are copied, once, into a buffer that grows with what arrives. A compressed
// one is inflated as it arrives, or not before somebody wants it. The limit counts bytes after decompression.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/buffer.h"
#include "base/slice.h"
#include "base/status.h"
#include "compress/compress.h"
#include "rpc/protocol.h"

namespace zcrpc::rpc {

// Whose mistake a broken body is: a server blames the client (invalid_argument), a client the server (internal).
enum class Side : uint8_t { kServer, kClient };

// When a compressed message is inflated.
enum class Inflate : uint8_t {
  kArriving,  // with every slice
  kLate,      // a message that lies in one slice by expand(), others as they arrive: no compressed byte is copied
  kAsked,     // by expand(): until then the compressed bytes are joined
};

class MessageReader {
 public:
  // What is joined lies in memory of the allocator.
  explicit MessageReader(const base::Allocator* a = base::default_allocator()) : a_(a) {}
  MessageReader(const MessageReader&) = delete;
  MessageReader& operator=(const MessageReader&) = delete;
  ~MessageReader() { trim(); }

  struct Options {
    bool envelope = false;                 // gRPC
    compress::Coding coding = compress::Coding::kIdentity;
    bool coding_named = false;             // envelope: an encoding was named, so flag 1 is allowed even for identity
    uint8_t end_flag = 0;                  // envelope: of the protocol's own last message, whose body the reader hands out too
    size_t limit = 4 << 20;
    size_t compressed_limit = 0;           // of what comes, before it is inflated; 0: twice the limit and 4 KiB
    int64_t content_length = -1;           // bare: how much will come, -1 if not known. A hint only
    Side side = Side::kServer;
    Inflate inflate = Inflate::kArriving;
    compress::Pool* pool = nullptr;        // of contexts, and of buffers for messages that were handed over by take()
    compress::Contexts* contexts = nullptr;  // that this one counts among while it is half here; without room for its
                                             // context its compressed bytes are joined, until expand()
    const compress::Registry* codings = &compress::kRegistry;
  };
  void begin(const Options& o);
  // What the head declares, before a byte has come: at least n bytes of body. resource_exhausted: they cannot pass.
  base::Status declared(int64_t n) const;
  void reset();        // keeps a small buffer of its own for the next message
  void trim();         // gives that back too
  void let_go();       // of the context, and of what counts it: nothing more will come

  // A slice of the body. The message may be borrowed from it: it must stay, or own() must be called before it goes.
  // resource_exhausted: over the limit (at once, from the envelope's length, or while inflating), or no memory;
  // invalid_argument or internal: broken; unimplemented: a second message; internal: a compressed message without a
  // coding. After an error only reset.
  base::Status data(base::Slice s);
  // Streams, in envelopes: the same, but takes from the front of *s only until a message is complete; then next() before
  // more is given. The end of the body is clean if between() is true.
  base::Status take_from(base::Slice* s);
  void next();
  bool between() const { return head_size_ == 0; }
  size_t begun_bytes() const { return head_size_ < kEnvelope ? head_size_ : kEnvelope + size_ - left_; }  // of the message that is half here
  // The end of the body. unimplemented: no message; invalid_argument or internal: cut short. Then message() is there.
  base::Status end();
  // Connect GET: text of the query, percent-encoded and perhaps base64. Instead of data and end.
  base::Status query(std::string_view text, bool base64);

  // The message is inflated now, if it is not yet. Codes as data. Nothing for one that is not compressed.
  base::Status expand();
  bool packed() const { return packed_; }          // message() is still compressed: expand() comes first

  bool complete() const { return complete_; }      // all of a message is here, though the body may not have ended
  bool is_end() const { return end_; }             // its envelope has the end's flag
  base::Slice message() const { return message_; }  // until reset, if it is owned
  bool borrowed() const { return borrowed_; }       // from the last slice
  // Moves a borrowed message, or part of one, into memory of our own; counted.
  base::Status own();
  // Set when the message lies in a buffer (which has slack); its reference stays here.
  base::Buffer* buffer() const { return borrowed_ ? nullptr : buffer_; }
  base::Buffer* take();  // hands the buffer over; nullptr if the message is borrowed

  uint64_t copies = 0, bytes_copied = 0;  // of payload, since the start; a message that was joined counts once
  uint64_t body_bytes = 0;                // of this body

 private:
  void forget();
  void forget_context();
  base::Status broken(const char* text) const;
  base::Status too_large() const;
  base::Status too_large_compressed() const;
  uint64_t most_compressed() const;
  base::Status head();
  base::Status payload(base::Slice s);
  base::Status keep(base::Slice s);
  base::Status pack(base::Slice s);
  base::Status inflate(base::Slice s);
  base::Status inflated();
  bool has_context();
  bool room(size_t need, size_t expected);
  void whole();

  const base::Allocator* a_;
  Options o_;
  compress::Inflater inflater_;
  base::Buffer* buffer_ = nullptr;  // all of it is ours to write: the message is its first used_ bytes
  size_t used_ = 0;
  size_t size_ = 0, left_ = 0;      // envelope: length of the message, and what is still to come of it
  uint64_t compressed_in_ = 0;
  size_t context_ = 0;              // that o_.contexts counts of ours
  uint8_t head_[kEnvelope];
  uint8_t head_size_ = 0;
  bool compressed_ = false, complete_ = false, borrowed_ = false, counted_ = false, packed_ = false, end_ = false;
  base::Slice message_;
};

// Writes the five bytes before a message.
inline void write_envelope(uint8_t* out, uint8_t flags, uint32_t size) {
  out[0] = flags;
  for (int i = 0; i < 4; i++) out[1 + i] = uint8_t(size >> (24 - 8 * i));
}

}  // namespace zcrpc::rpc
