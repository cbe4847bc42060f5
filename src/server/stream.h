// What a call has besides when its method streams, or when its body is text: messages that wait to be sent, bytes that
// wait for a read credit, and the events of both. Made once for a pooled call, and kept with it.
#pragma once

#include <atomic>
#include <mutex>

#include "base/arena.h"
#include "base/header.h"
#include "base/string.h"
#include "base/vec.h"
#include "encode/encoder.h"
#include "rpc/call.h"
#include "rpc/web_text.h"

namespace zcrpc::server {

class Worker;

// A message on its way to the application, with all that its event points to. Pooled by the worker.
struct Delivery : rpc::Event {
  Worker* worker = nullptr;
  Delivery* next_idle = nullptr;
  base::Buffer* hold = nullptr;           // the block or buffer that the message lies in
  encode::Encoder* from_json = nullptr;   // or this, if it came as JSON
  base::Arena arena;                      // of its index

  explicit Delivery(const base::Allocator* a) : arena(a) {}
  static Delivery* make(Worker* w);       // nullptr without memory
  static void destroy(Delivery* d);
  void clear();                           // for the next message
};

// Messages in envelopes, in order: small ones copied one behind the other, large ones by reference.
class Outbox {
 public:
  explicit Outbox(const base::Allocator* a) : bytes_(a), parts_(a) {}
  Outbox(const Outbox&) = delete;
  Outbox& operator=(const Outbox&) = delete;
  ~Outbox() { clear(); }

  // All or nothing; false without memory. Buffers of large pieces are retained.
  [[nodiscard]] bool add(uint8_t flags, size_t size, std::span<const base::Piece> message);
  // Bytes without an envelope.
  [[nodiscard]] bool add(const base::Piece& bytes);
  void clear();                           // keeps its memory: the stream's next messages want it
  void trim();                            // and gives it back but for a little
  void swap(Outbox* o);
  size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  void count_copies(rpc::Counters* to);   // [inside] of payload, since this was asked last
  // What is in it, behind what is in list already; false without memory. Valid until it is changed.
  [[nodiscard]] bool pieces(base::Vec<base::Piece>* list) const;

 private:
  struct Part {
    size_t offset, size;                  // in bytes_
    base::Buffer* buffer;                 // or all of these: retained
    const uint8_t* data;
  };
  base::Vec<uint8_t> bytes_;
  base::Vec<Part> parts_;
  size_t size_ = 0;
  uint64_t copies_ = 0, bytes_copied_ = 0;
};

// What a call for plain HTTP has besides. Written by who answers, before the head may go.
struct PlainState {
  int32_t status = 0;
  base::String type, lines;               // the head's
  int64_t length = -1;                    // that it tells; -1: none
  uint64_t left = 0;                      // of it
  bool bodiless = false;                  // HEAD, 204, 304: the body is not sent
  zcrpc_event_fn events = nullptr;        // who hears of room, and of the end; guarded by the stream's gate
  void* events_user = nullptr;
  void clear();                           // but for events
};

struct StreamState {
  explicit StreamState(const base::Allocator* a)
      : filling(a), parts(a), arena(a), json(a), sending(a), pieces(a), text(a), held(a), decoded(a) {}
  // Bytes that may wait in a stream before zcrpc_call_room tells 0.
  static constexpr size_t kRoom = 128 << 10;

  // ---- out
  std::mutex gate;                        // of the next two: any thread sends
  Outbox filling;
  bool over = false;                      // nothing more is taken
  std::atomic<size_t> queued{0};          // bytes that were taken and are not in an Output yet
  std::atomic<bool> starved{false};       // somebody was told that there is no room
  std::atomic<bool> crowded{false};       // there is none, since so much of the connection's others waits
  std::atomic<bool> headers_gone{false};  // they were sent, or a message was: they are no longer the handler's
  std::atomic<uint64_t> messages_out{0}, bytes_out{0}, messages_in{0}, bytes_in{0}, size_out{0};
  // of the one thread that writes
  base::Vec<base::Piece> parts;
  base::Arena arena;
  base::String json;
  // [inside]
  Outbox sending;                         // what the transport reads from
  base::Vec<base::Piece> pieces;
  base::String text;
  bool begun = false;                     // the head went out
  bool ending = false, ended = false;     // the end is decided; it was handed to the transport
  bool pump_due = false;                  // at the connection's next flush
  bool writable_waits = false;
  rpc::Event writable;

  // ---- in, [inside] but for the credits that are given
  std::atomic<int32_t> given{0};
  int64_t credits = 0;
  base::Vec<uint8_t> held;                // came without a credit; from held_at on
  size_t held_at = 0;
  base::Slice lies;                       // or it is this, still where it was received, and held is empty
  base::Buffer* block = nullptr;          // which holds lies
  rpc::TextDecoder text_in;
  base::Vec<uint8_t> decoded;             // text only
  bool peer_ended = false, half_closed = false;
  bool broken = false;                    // nothing more is read, whoever ended the call
  rpc::Event half_close;

  std::atomic<bool> task_queued{false};

  size_t held_size() const { return held.size() - held_at + lies.size; }
  void recycle();
};

}  // namespace zcrpc::server
