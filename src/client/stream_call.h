// A call of a client whose method streams, over one exchange of a transport that carries streams, in Connect's protocol.
//
// Messages that are sent wait in a queue that any thread fills, until the loop hands them to the transport. What comes waits
// where the transport has put it until there are credits. A caller that blocks (send, next) has a few credits from the
// start; others get events for those that they give (zcrpc_call_read).
#pragma once

#include <mutex>

#include "base/arena.h"
#include "base/header.h"
#include "client/client_call.h"
#include "rpc/connect_stream.h"

namespace zcrpc::client {

class StreamCall : public ClientCall, private HttpSink {
 public:
  static base::Result<StreamCall*> make(Channel* channel, const schema::Method* m, const CallConfig& config);

  // [inside] As UnaryCall::start_op.
  static base::Status start_op(Channel* channel, const schema::Method* m, const zcrpc_op* op, base::Slice message, base::Buffer* buffer,
                               base::Slice meta);

 private:
  static constexpr size_t kRoom = 128 << 10;  // bytes that may wait to be taken by the server
  static constexpr int64_t kAhead = 4;        // messages that are read before a blocking caller asks

  // A message that has come.
  struct Inbound : rpc::Event {
    const base::Allocator* allocator = nullptr;
    Inbound* following = nullptr;              // that wait to be asked for, or are not in use
    base::Buffer* hold = nullptr;              // its bytes
    encode::Encoder* from_json = nullptr;      // or these
    base::Arena arena;                         // of its index

    explicit Inbound(const base::Allocator* a) : arena(a) {}
    static void destroy(Inbound* m);
    void clear();
  };
  struct Work : net::Task { StreamCall* self; };

  StreamCall(Channel* channel, const CallConfig& config);
  ~StreamCall() = default;
  static const Kind kKind;
  static void destroy(ClientCall* c);
  static base::Status open(ClientCall* c);
  static void finish(ClientCall* c, base::Status s);
  bool one_request() const { return !(method->flags & schema::kClientStream); }
  bool one_answer() const { return !(method->flags & schema::kServerStream); }

  // Verbs, see rpc/call.h.
  static base::Status send(rpc::Call* c);
  static base::Status send_bytes(rpc::Call* c, base::Slice bytes, base::Buffer* buffer);
  static base::Status close_send(rpc::Call* c);
  static size_t room(const rpc::Call* c);
  static void read(rpc::Call* c, int32_t credits);
  static base::Status start(rpc::Call* c, uint64_t tag, zcrpc_event_fn fn, void* user);
  static base::Status next(rpc::Call* c, schema::View* message);
  static base::Metadata* metadata(rpc::Call* c, int32_t which);
  static void info(const rpc::Call* c, zcrpc_call_info* out);
  static base::Status op(rpc::Call* c, const zcrpc_op* op, base::Slice message, base::Buffer* buffer, base::Slice meta);
  static const rpc::Verbs kVerbs;

  // stream_call_out.cc, [any] the writer
  base::Status begin_blocking(bool with_message);
  base::Status may_send();
  base::Status await_room();
  base::Status encoded();                      // parts_ of the encoder's message
  base::Status encoded_plain();
  base::Status given(base::Slice bytes, base::Buffer* buffer);  // parts_ of one that is encoded already
  base::Status coded(base::Buffer* wire);      // parts_ of one that lies in one buffer
  base::Status enveloped(base::Buffer* message, uint8_t mark);
  base::Buffer* copied(size_t head, size_t bytes);
  bool add_part(base::Slice bytes, base::Buffer* buffer);  // takes the reference, also without memory
  void drop_parts();
  base::Status queue(bool last);
  size_t room_now();                           // with gate_
  void work_soon();
  // [inside]
  void work();
  bool flush();
  void tell_room();

  // stream_call_in.cc, [inside]
  bool on_status(int32_t http);
  bool on_header(std::string_view name, std::string_view value);
  bool on_data(base::Slice bytes, base::Buffer* holder);
  void on_ended(base::Status s);
  void pull();
  void spoil(base::Status s);
  base::Status deliver(base::Buffer* holder);
  base::Status decode(Inbound* m, base::Buffer* holder);
  Inbound* inbound();                          // nullptr without memory
  void give_back(Inbound* m);
  base::Status outcome();

  // Of the one who writes.
  base::Vec<base::Piece> parts_;               // a message, with references
  bool sent_ = false;                          // the one request

  std::mutex gate_;                            // of these:
  base::Vec<base::Piece> queue_;               // with references
  size_t queued_ = 0;                          // its bytes
  HttpExchange* live_ = nullptr;               // exchange_, while it takes bytes
  Transport* transport_ = nullptr;             // its
  Inbound *ready_ = nullptr, **ready_end_ = &ready_;  // for a blocking caller
  bool begun_ = false, half_closed_ = false, over_ = false, starved_ = false;

  std::atomic<int32_t> given_{0};              // credits
  std::atomic<bool> working_{false}, head_done_{false};
  std::atomic<uint64_t> messages_out_{0}, bytes_out_{0}, messages_in_{0}, bytes_in_{0}, copies_{0}, copied_{0};
  Work work_;
  Inbound* current_ = nullptr;                 // of a blocking reader: what next gave

  // [inside]
  base::String target_;
  base::Metadata headers_;
  base::Vec<base::Piece> taken_;               // from queue_, on their way
  bool closed_ = false;                        // the transport knows of our end
  rpc::ConnectStreamAnswer answer_;
  base::Vec<base::Piece> held_;                // what has come, with references; from held_at_ on
  size_t held_at_ = 0;
  int64_t credits_ = 0;
  bool ended_ = false, broken_ = false;        // the exchange has; nothing more is read
  base::Status end_, why_;                     // how, and why
  Inbound* idle_ = nullptr;
  Inbound* reply_ = nullptr;                   // of a method with one
  rpc::Event writable_;
  bool writable_waits_ = false;
  uint64_t messages_told_ = 0;                 // to the counters
};

}  // namespace zcrpc::client
