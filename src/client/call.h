// A unary call of a client: Connect over one HTTP exchange.
//
// It is written by one thread (message, headers, timeout), begun by unary or start, and from then on lives inside the
// loop until it has ended. While it runs the loop holds no reference: dropping the last one cancels it.
#pragma once

#include "base/arena.h"
#include "client/channel.h"
#include "client/method.h"
#include "client/request.h"
#include "rpc/call.h"
#include "rpc/connect.h"

namespace zcrpc::client {

class UnaryCall : public rpc::Call, private HttpSink {
 public:
  static base::Result<UnaryCall*> make(Channel* channel, const schema::Method* m, const CallConfig& config);

  // [inside] ZCRPC_OP_START: makes a call and begins it. It is the hub's, until its DONE has been released.
  static base::Status start_op(Channel* channel, const schema::Method* m, const zcrpc_op* op, base::Slice message, base::Buffer* buffer,
                               base::Slice meta);
  // [inside] Ends it from our side: canceled, late, channel closed.
  void abort(base::Status why);

  UnaryCall *following = nullptr, *previous = nullptr;  // the channel's list of running calls

 private:
  enum class State : uint8_t { kNew, kBegun, kRunning, kEnded };
  struct Task : net::Task { UnaryCall* self; };
  struct Deadline : net::Timer { UnaryCall* self; };

  UnaryCall(Channel* channel, const CallConfig& config);
  ~UnaryCall() = default;
  static void destroy(UnaryCall* c);

  // Verbs, see rpc/call.h.
  static base::Status unary(rpc::Call* c, schema::View* reply);
  static base::Status start(rpc::Call* c, uint64_t tag, zcrpc_event_fn fn, void* user);
  static void cancel(rpc::Call* c);
  static void set_timeout(rpc::Call* c, int64_t timeout_ms);
  static int64_t time_left_ms(const rpc::Call* c);
  static base::Metadata* metadata(rpc::Call* c, int32_t which);
  static void info(const rpc::Call* c, zcrpc_call_info* out);
  static base::Status op(rpc::Call* c, const zcrpc_op* op, base::Slice message, base::Buffer* buffer, base::Slice meta);
  static void unreferenced(rpc::Call* c);
  static void threw(rpc::Call* c, std::string_view what);
  static bool forked(const rpc::Call* c);
  static const rpc::Verbs kVerbs;

  base::Status prepare();              // the message, on the caller's thread
  void set_deadline();
  void begin();                        // [inside]
  base::Status send();
  void finish(base::Status s);         // [inside] the outcome
  base::Status outcome(base::Status transport);
  base::Status decode_reply();
  bool try_retain();

  // HttpSink
  bool on_data(base::Slice bytes);
  void on_ended(base::Status s);

  Channel* channel_;
  MethodRef method_;
  CallConfig config_;
  std::atomic<State> state_{State::kNew};
  bool blocking_ = false;
  bool finished_ = false;              // [inside]
  base::Metadata request_headers_;     // the application's
  base::BufferRef message_;            // of the request, in the codec; until it has begun
  Request request_;
  rpc::ConnectAnswer answer_;
  bool answered_ = false;              // a head has come
  base::BufferRef reply_bytes_;
  base::Arena arena_;                  // of the reply's index
  schema::View reply_ = nullptr;
  HttpExchange* exchange_ = nullptr;   // [inside]
  int64_t begun_ns_ = 0, ended_ns_ = 0, deadline_ns_ = 0;  // 0: none
  uint64_t bytes_out_ = 0;
  Deadline deadline_;
  Task begin_, cancel_, drop_;
  std::atomic<bool> cancel_posted_{false};
};

}  // namespace zcrpc::client
