// A unary call of a client: Connect over one HTTP exchange.
#pragma once

#include "base/arena.h"
#include "client/client_call.h"
#include "client/request.h"
#include "rpc/connect.h"

namespace zcrpc::client {

class UnaryCall : public ClientCall, private HttpSink {
 public:
  static base::Result<UnaryCall*> make(Channel* channel, const schema::Method* m, const CallConfig& config);

  // [inside] ZCRPC_OP_START: makes a call and begins it. It is the hub's, until its DONE has been released.
  static base::Status start_op(Channel* channel, const schema::Method* m, const zcrpc_op* op, base::Slice message, base::Buffer* buffer,
                               base::Slice meta);

 private:
  UnaryCall(Channel* channel, const CallConfig& config);
  ~UnaryCall() = default;
  static const Kind kKind;
  static void destroy(ClientCall* c);
  static base::Status send(ClientCall* c);
  static void finish(ClientCall* c, base::Status s);

  // Verbs, see rpc/call.h.
  static base::Status unary(rpc::Call* c, schema::View* reply);
  static base::Status start(rpc::Call* c, uint64_t tag, zcrpc_event_fn fn, void* user);
  static base::Metadata* metadata(rpc::Call* c, int32_t which);
  static void info(const rpc::Call* c, zcrpc_call_info* out);
  static base::Status op(rpc::Call* c, const zcrpc_op* op, base::Slice message, base::Buffer* buffer, base::Slice meta);
  static const rpc::Verbs kVerbs;

  base::Status prepare();              // the message, on the caller's thread
  base::Status outcome(base::Status transport);
  base::Status decode_reply();

  // HttpSink
  bool on_data(base::Slice bytes, base::Buffer* holder);
  void on_ended(base::Status s);

  base::BufferRef message_;            // of the request, in the codec; until it has begun
  bool message_copied_ = false;        // out of the encoder
  Request request_;
  rpc::ConnectAnswer answer_;
  bool answered_ = false;              // a head has come
  base::BufferRef reply_bytes_;
  base::Arena arena_;                  // of the reply's index
  schema::View reply_ = nullptr;
  uint64_t bytes_out_ = 0;
};

}  // namespace zcrpc::client
