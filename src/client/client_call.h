// What every call of a client is, whatever its method streams: when it begins and ends, on which threads, and who holds it.
//
// It is written by one thread (message, headers, timeout), begun by unary, start or its first message, and from then on
// lives inside the loop until it has ended. While it runs the loop holds no reference: dropping the last one cancels it.
#pragma once

#include "client/channel.h"
#include "client/method.h"
#include "rpc/call.h"

namespace zcrpc::client {

class ClientCall : public rpc::Call {
 public:
  // [inside] Ends it from our side: canceled, late, channel closed.
  void abort(base::Status why);

  ClientCall *following = nullptr, *previous = nullptr;  // the channel's list of running calls

 protected:
  enum class State : uint8_t { kNew, kBegun, kRunning, kEnded };
  // What a unary call and one that streams differ in.
  struct Kind {
    base::Status (*send)(ClientCall* c);            // [inside] it begins: its request goes to the transport
    void (*finish)(ClientCall* c, base::Status s);  // [inside] the outcome; once
    void (*destroy)(ClientCall* c);                 // nobody holds it
  };

  ClientCall(const Kind* kind, Channel* channel, const CallConfig& config);
  ~ClientCall() = default;
  base::Status init(const schema::Method* m);
  void free_parts();                   // before its destructor

  // Verbs, see rpc/call.h.
  static void cancel(rpc::Call* c);
  static void set_timeout(rpc::Call* c, int64_t timeout_ms);
  static int64_t time_left_ms(const rpc::Call* c);
  static void unreferenced(rpc::Call* c);
  static void threw(rpc::Call* c, std::string_view what);
  static bool forked(const rpc::Call* c);
  void fill_info(zcrpc_call_info* out) const;

  void set_deadline();
  // Begins it on the loop, now or in a coming turn. Events go as tag, fn and fn_user say, unless a caller blocks.
  void go(bool blocking);
  void begin();                        // [inside]
  base::Result<int64_t> arm();         // [inside] sets the timer; the ns that are left
  base::Status read_block(base::Slice meta);  // of an operation, checked already, into the request's headers
  // The outcome of a transport's failure: whatever broke the connection after the deadline, that is what the caller wants to hear of.
  base::Status or_late(base::Status s);
  // [inside] The end's first part. False: it had ended already, or nobody is left to hear of it.
  bool ending(const base::Status& s);
  void tell_end();                     // and its last, with error and done filled in
  bool try_retain();
  static base::Error* copy_of(const base::Error* e);

  const Kind* kind_;
  Channel* channel_;
  MethodRef method_;
  CallConfig config_;
  std::atomic<State> state_{State::kNew};
  bool blocking_ = false;
  bool finished_ = false;              // [inside]
  base::Metadata request_headers_;     // the application's
  HttpExchange* exchange_ = nullptr;   // [inside]
  bool in_sink_ = false;               // [inside] the transport calls us, and must not be called back about the exchange's end
  int64_t begun_ns_ = 0, ended_ns_ = 0, deadline_ns_ = 0;  // 0: none

 private:
  struct Task : net::Task { ClientCall* self; };
  struct Deadline : net::Timer { ClientCall* self; };
  struct Late : net::Deferred { ClientCall* self; };
  Deadline deadline_;
  Task begin_, cancel_, drop_;
  Late drop_late_;
  std::atomic<bool> cancel_posted_{false};
};

// Of a message that does not hold what it should: the server's mistake, not an argument of ours.
base::Status blame_server(base::Status s, const schema::Message* type);

}  // namespace zcrpc::client
