// HTTP/2, the server's side, on nghttp2: bytes in, callbacks out; what is to be sent goes into an Output. No socket, no
// clock. Steady state allocates nothing: nghttp2 draws from a pool of the loop.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "base/allocator.h"
#include "base/header.h"
#include "base/slice.h"
#include "base/status.h"
#include "http/h2_memory.h"
#include "http/h2_window.h"
#include "http/output.h"

struct nghttp2_session;
struct nghttp2_session_callbacks;
struct nghttp2_option;

namespace zcrpc::http {

class H2Session;

enum H2Error : uint32_t {
  kH2NoError = 0, kH2Protocol = 1, kH2Internal = 2, kH2FlowControl = 3, kH2SettingsTimeout = 4, kH2StreamClosed = 5,
  kH2FrameSize = 6, kH2Refused = 7, kH2Cancel = 8, kH2Compression = 9, kH2EnhanceYourCalm = 11,
  kH2InadequateSecurity = 12,
};

struct H2Settings {
  uint32_t max_streams = 100;
  uint32_t stream_window = 256 << 10;
  uint32_t max_window = 0;               // to which windows grow with the path; not above stream_window: never
  uint32_t connection_window = 4 << 20;
  uint32_t max_header_bytes = 16 << 10;  // name + value + 32 each; over it 431, over 4 times it the connection closes
  // Streams that were not worth their making: that many, then so many a second. The peer's resets count if they came before
  // an answer had begun and within hasty_ns, those of ours if the peer caused them.
  int64_t reset_burst = 1000, reset_rate = 200, hasty_ns = 100'000'000;
  // Frames that bring nothing (empty DATA, WINDOW_UPDATE, PRIORITY, PING, SETTINGS, unknown ones): more than the work that goes
  // with them explains. Of a stream, which is reset then, and of the connection, which ends.
  int64_t stream_frame_burst = 500, stream_frame_rate = 100, frame_burst = 2000, frame_rate = 500;
};

// What may be spent: so much at once, then so much a second.
class H2Budget {
 public:
  void start(int64_t burst, int64_t now_ns) {
    left_ = burst;
    since_ns_ = now_ns;
  }
  // False: there is nothing left.
  bool spend(int64_t n, int64_t burst, int64_t rate, int64_t now_ns) {
    if ((left_ -= n) >= 0) return true;
    int64_t gained = (now_ns - since_ns_) / 1'000'000 * rate / 1000;
    if (gained <= 0) return false;
    since_ns_ = now_ns;
    left_ += gained < burst ? gained : burst;
    return left_ >= 0;
  }
  void earn(int64_t n, int64_t burst) { left_ = left_ + n < burst ? left_ + n : burst; }

 private:
  int64_t left_ = 0, since_ns_ = 0;
};

// A stream; embedded in the server's own object, which lives until `closed`.
class H2Stream {
 public:
  int32_t id() const { return id_; }
  // The peer may still send (no END_STREAM came).
  bool remote_open() const { return remote_open_; }
  // An answer has been begun; all of it has gone into an Output.
  bool answered() const { return answered_; }
  bool sent() const { return sent_; }
  // Bytes of its body that have gone into an Output.
  uint64_t gone() const { return gone_; }
  // The peer waits for a 100 before it sends the body: see go_on.
  bool expects() const { return expects_; }

 private:
  friend class H2Session;
  friend struct H2Glue;
  int32_t id_ = 0;
  enum class Reject : uint8_t { kNo, kTooLarge, kMalformed, kNoMemory };
  bool remote_open_ = true, answered_ = false, sent_ = false, more_ = false, deferred_ = false, reset_by_peer_ = false, calmed_ = false, expects_ = false;
  bool asked_ = false;     // its 100 waits to be framed
  bool framed_ = false;    // a DATA frame of it was begun, and waits for room in the Output
  Reject reject_ = Reject::kNo;  // found in the headers: the server never hears more than `closed`
  uint8_t prefix_size_ = 0, prefix_done_ = 0;
  uint8_t prefix_[8] = {};
  uint32_t header_bytes_ = 0;
  uint32_t window_ = 0;    // what it may send ahead
  size_t consumed_ = 0;    // of it, and not given back yet
  int64_t begun_ns_ = 0;
  H2Budget frames_;
  const base::Piece* pieces_ = nullptr;
  size_t piece_ = 0, offset_ = 0, left_ = 0;
  uint64_t gone_ = 0;      // bytes of body that have gone into an Output
  std::span<const base::Header> trailers_;
};

// What the server does. user is what the session was made with. None may delete the session, nor feed or flush it;
// answering and resetting is fine.
struct H2Events {
  // A request begins. nullptr refuses it (REFUSED_STREAM: the client may send it again).
  H2Stream* (*begin)(H2Session* s, void* user);
  // A header, pseudo ones too; names in lower case. Valid until it returns. False: no memory, the stream is reset.
  bool (*header)(H2Stream* s, std::string_view name, std::string_view value, void* user);
  void (*headers_end)(H2Stream* s, void* user);
  // Within what was fed. The stream window stays shut until consume.
  void (*data)(H2Stream* s, base::Slice bytes, void* user);
  void (*end)(H2Stream* s, void* user);  // END_STREAM, after headers_end and data; trailers of the client are dropped
  // Our END_STREAM has gone into the Output; if remote_open, linger, then reset with kH2NoError.
  void (*sent)(H2Stream* s, void* user);
  // The last one for each stream. code: of the RST that ended it, else kH2NoError. by_peer: it was the peer's RST.
  void (*closed)(H2Stream* s, uint32_t code, bool by_peer, void* user);
  // Optional.
  void (*settings)(void* user);                              // the client's first SETTINGS came
  void (*ping)(void* user);                                  // the peer's
  void (*ping_ack)(uint64_t opaque, void* user);             // to ping below
  void (*goaway)(int32_t last_stream, uint32_t code, void* user);  // the peer's
  // What was given of an answer with `more` has gone into the Output: send may be called, also from here.
  void (*taken)(H2Stream* s, void* user) = nullptr;
  // A 100, by go_on: its frame, so many bytes, is the next that goes into the Output.
  void (*continued)(H2Stream* s, size_t size, void* user) = nullptr;
};

// Shared by the sessions of a loop.
class H2Context {
 public:
  H2Context(const base::Allocator* a, const H2Settings& settings, const H2Events& events)
      : memory_(a), settings_(settings), events_(events) {}
  H2Context(const H2Context&) = delete;
  H2Context& operator=(const H2Context&) = delete;
  ~H2Context();  // after its sessions
  base::Status init();
  H2Memory* memory() { return &memory_; }
  const H2Settings& settings() const { return settings_; }

 private:
  friend class H2Session;
  friend struct H2Glue;
  H2Memory memory_;
  H2Settings settings_;
  H2Events events_;
  nghttp2_session_callbacks* callbacks_ = nullptr;
  nghttp2_option* option_ = nullptr;
};

class H2Session {
 public:
  // A connection whose preface has yet to be fed. Its SETTINGS wait for the first flush.
  static base::Result<H2Session*> make(H2Context* c, void* user);
  // Streams that are open end without `closed`: the server forgets them itself.
  static void free(H2Session* s);
  void* user() const { return user_; }

  // All of the bytes; they came at now_ns, of any clock. False: the connection is broken (a GOAWAY waits): flush, then close.
  [[nodiscard]] bool feed(base::Slice bytes, int64_t now_ns = 0);
  const char* failure() const { return failure_; }  // why feed was false, for people
  // Moves what may be sent into out, until it holds `most` bytes or nothing is left. False: no memory, close.
  [[nodiscard]] bool flush(Output* out, size_t most = 256 << 10);
  bool wants_flush() const;
  // Nothing more will come or go: close.
  bool over() const;

  // Answers. headers: without :status. prefix (at most 8 bytes, copied) and pieces are the body, trailers follow it; no
  // body and no trailers: one HEADERS with END_STREAM. Headers, pieces and trailers must last until `sent` or `closed`,
  // the bytes of pieces without a buffer too. more: further pieces follow by `send`. date: of that header, if there is
  // to be one; likewise.
  base::Status answer(H2Stream* s, int status, std::span<const base::Header> headers, base::Slice prefix,
                      std::span<const base::Piece> pieces, std::span<const base::Header> trailers, bool more = false,
                      std::string_view date = {});
  // The next message of an answer with `more`; the one before must have been taken (pending() == 0). last: with trailers.
  base::Status send(H2Stream* s, base::Slice prefix, std::span<const base::Piece> pieces,
                    std::span<const base::Header> trailers, bool more);
  size_t pending(const H2Stream* s) const;  // bytes of body not yet in an Output
  size_t waiting() const { return waiting_; }  // the same of all streams: they wait for windows, or for room
  bool blocked(const H2Stream* s) const;       // for the peer's windows
  bool held(const H2Stream* s) const;          // for its own window
  uint64_t gone() const { return gone_; }      // bytes of all bodies that have gone into an Output
  // What was handed over of an answer, and has not begun to leave, never will; send may follow with no more than trailers, which
  // go at once. False: a part of it has left, or nothing waits.
  bool drop_body(H2Stream* s);
  // A 100, if the peer waits for one, no byte of the body has come, and no answer was given. False: no memory.
  [[nodiscard]] bool go_on(H2Stream* s);
  // At once: what of an answer has not left, never will. So after an early answer wait for `sent`.
  void reset(H2Stream* s, uint32_t code);
  // Returns n bytes of stream window; the connection's returns by itself.
  void consume(H2Stream* s, size_t n);
  // By how much its window falls short of what the path asks for; and makes it larger by so much.
  uint32_t lacks(const H2Stream* s) const;
  void widen(H2Stream* s, uint32_t more);

  // GOAWAY in two steps: last id 2^31-1 and a PING; once that is answered, or at once by drain_now, the real last id.
  void drain();
  void drain_now();
  void goaway(uint32_t code);  // the last word, then over() once it was flushed
  void ping(uint64_t opaque);
  size_t streams() const { return streams_; }  // open, from begin to closed
  // When the frame or header block began of which a part has come, DATA apart; 0: none.
  int64_t head_since() const { return in_block_ ? block_ns_ : in_data() ? 0 : frame_since(); }
  // Likewise a DATA frame of which the head is here, and how much of the rest.
  int64_t data_since() const { return in_data() ? frame_since() : 0; }
  size_t data_came() const { return frame_size() - skip_; }
  bool draining() const { return drain_ != Drain::kNo; }

 private:
  friend struct H2Glue;
  enum class Drain : uint8_t { kNo, kNotice, kLast };
  H2Session(H2Context* c, void* user) : context_(c), user_(user) {}
  ~H2Session() = default;
  void count_frames(base::Slice bytes);
  bool in_data() const { return !in_block_ && head_size_ == 0 && head_[3] == 0; }
  int64_t frame_since() const { return head_size_ || skip_ ? frame_ns_ : 0; }
  size_t frame_size() const { return size_t(head_[0]) << 16 | size_t(head_[1]) << 8 | head_[2]; }
  void spend_reset();
  bool say_settings(base::Slice frame, Output* out);
  void enough(const char* why);  // which goes into GOAWAY's debug data, too
  base::Status take_body(H2Stream* s, base::Slice prefix, std::span<const base::Piece> pieces,
                         std::span<const base::Header> trailers, bool more);

  H2Context* context_;
  void* user_;
  nghttp2_session* session_ = nullptr;
  uint8_t* slab_ = nullptr;  // that much of session_ lies in
  Output* out_ = nullptr;  // during flush
  // The newest stream that the server was told of. nghttp2's own is the stream of the frame that came last, and a GOAWAY
  // with it says of calls that run that they may be sent again.
  int32_t last_id_ = 0;
  const char* failure_ = "";
  bool started_ = false, said_settings_ = false;
  int64_t now_ns_ = 0;
  H2Budget frames_, resets_;
  H2Window window_;
  int64_t useless_ = 0;     // frames of this feed, less what they brought
  // Where in the frames the input is.
  size_t skip_ = 24;        // of the preface, or of a frame's payload
  uint8_t head_[9] = {}, head_size_ = 0;
  bool in_block_ = false, last_of_block_ = false;  // a header block; the frame that ends it
  int64_t block_ns_ = 0, frame_ns_ = 0;  // when that began, and the frame
  bool said_last_ = false;  // in a GOAWAY: no further streams
  bool said_all_ = false;   // a GOAWAY for a fault has been framed: nothing follows it
  size_t streams_ = 0, waiting_ = 0, asked_ = 0;
  uint64_t gone_ = 0;
  int32_t recent_id_ = 0;   // the stream that was looked for last; nullptr: nghttp2 knows none of ours
  H2Stream* recent_ = nullptr;
  Drain drain_ = Drain::kNo;
  size_t most_ = 0;        // of flush
  bool broken_ = false, settings_seen_ = false, settings_taken_ = false;  // the peer's came; ours were acknowledged
};

}  // namespace zcrpc::http
