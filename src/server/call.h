// A call of a server, from its head to the last byte of its answer. Pooled by its worker.
//
// It lives as long as its stream is linked to it, or somebody holds a reference: a handler that answers later, an event.
// Only finish, release and the like are called by other threads; what they start is done inside the loop.
#pragma once

#include "base/arena.h"
#include "base/header.h"
#include "http/h2.h"
#include "net/loop.h"
#include "net/listener.h"
#include "rpc/call.h"
#include "rpc/message.h"
#include "rpc/reply.h"
#include "rpc/request.h"
#include "server/cors.h"
#include "server/routes.h"
#include "server/stream.h"

namespace zcrpc::server {

class Connection;
class Worker;

class ServerCall : public rpc::Call {
 public:
  enum class State : uint8_t {
    kHead,      // headers arrive
    kBody,      // the message arrives
    kHandling,  // somebody is to answer
    kAnswered,  // the answer is on its way, or the call was reset
  };

  static ServerCall* make(Worker* w);  // nullptr without memory
  static void destroy(ServerCall* c);

  // [inside] A new call on a connection, which calls `closed` exactly once.
  void begin(Connection* conn);
  // The head is complete. False: it was answered already, the body is of no interest.
  bool head_done();
  void body(base::Slice bytes);
  void body(const base::Piece& piece);  // within the process: it stays where it is
  void body_end();
  void feed() { pull(); }               // likewise: something has come, or the end
  // The stream is no more.
  void closed();
  // What was borrowed from the block that is about to be received into again is kept otherwise.
  void outlive_block();
  // Ends it with an error of ours, if it has not been finished.
  void fail(base::Status s);

  State state() const { return state_; }
  Connection* connection() const { return conn_; }
  rpc::Request& request() { return request_; }
  std::string_view logged_path() const { return request_.path().substr(0, 200); }
  rpc::Reply& reply() { return reply_; }
  std::span<const base::Piece> pieces() const { return {pieces_.data(), pieces_.size()}; }
  // For HTTP/2, whose answers have to last.
  std::span<const base::Piece> body_piece(base::Slice body) {
    body_piece_ = {body, nullptr};
    return {&body_piece_, 1};
  }
  // A body, or a message of a stream, has come in part, and its client alone keeps the rest back; since when, without the time in
  // which nothing was read; how much there is.
  bool is_arriving() const {
    if (state_ == State::kBody) return !parked_ && !asked_at_;
    return takes_credit() && !reader_.between() && !stream_->broken && !is_finished();
  }
  int64_t arriving_since(int64_t now) const;
  uint64_t arrived_bytes() const { return stream_in_ ? reader_.begun_bytes() : reader_.body_bytes; }
  // It waits for a 100, which ends at that byte of what its connection puts out, or waits there to be framed: the time of its body begins when
  // that has arrived, or the body comes.
  static constexpr int64_t kUnframed = INT64_MAX;
  void asked(int64_t at);
  void framed_100(int64_t at) {
    if (asked_at_) asked_at_ = at;
  }
  bool awaits_100() const { return asked_at_ != 0; }
  void hear_100(int64_t arrived) {
    if (arrived >= asked_at_) go_ahead();
  }
  void go_ahead();
  // Requests stream: the window of what arrives returns by credits, and not by itself.
  bool takes_credit() const { return stream_in_ && state_ == State::kHandling; }
  // HTTP/1.1: what waits for credits has become so much that reading on has to wait too.
  bool choked() const;
  // Hands what waits to the transport, if it takes more now. False: there was nothing to do.
  bool pump();
  void pump_later() { stream_->pump_due = true; }
  void pump_if_due() {
    if (!stream_out_ || !stream_->pump_due) return;
    stream_->pump_due = false;
    (void)pump();
  }
  bool streams_out() const { return stream_out_; }
  // So much of all answers waits that its handler is told of no room; or no more.
  void crowd(bool yes);
  // HTTP/2: behind a flush that left something of an answer here.
  void watch_answer();
  void unwatch_answer() {  // nothing waits
    if (state_ != State::kAnswered) stall_due_ns_ = 0, under_way_goal_ = INT64_MIN;
  }
  // It was complete, and had to wait: now it may go on.
  bool is_parked() const { return parked_; }
  void unpark();
  bool answers_preflight() const { return !route_ && Cors::is_preflight(request_); }
  // Whether HTTP/1.1 has to tell by chunks where the answer, which streams, ends.
  // An answer that caches may keep, or that is none to a call: its head says when it was made (decision 0187).
  bool dated() const { return is_plain_ || request_.protocol() == rpc::Protocol::kNone || request_.protocol() == rpc::Protocol::kConnectGet; }
  bool in_chunks() const { return !is_plain_ || (http_->length < 0 && !http_->bodiless); }
  bool is_finished() const { return finished_.load(std::memory_order_relaxed); }
  size_t queued() const { return stream_->queued.load(std::memory_order_relaxed); }
  int64_t begun_ns() const { return begun_ns_; }
  // The connection that counts it among its calls is no more.
  void orphaned();
  // HTTP/2: our side has ended and the peer's has not: what still comes is dropped, within bounds, and if the end does not come a
  // reset without error follows.
  void linger();

  // [any] See rpc::Verbs.
  static void finish(rpc::Call* c, base::Status s);

  // Bytes of its requests that wait for credits.
  size_t held_in() const { return stream_in_ ? stream_->held_size() : 0; }
  size_t widened = 0;                  // its connection's account of its window

  struct Stream : http::H2Stream { ServerCall* self = nullptr; } h2;
  ServerCall *next = nullptr, *prev = nullptr;  // of the connection's list, or of the pool

 private:
  static constexpr uint64_t kNoMessage = UINT64_MAX;
  struct OwnTask : net::Task { ServerCall* self; };
  struct OwnTimer : net::Timer { ServerCall* self; };

  explicit ServerCall(Worker* w);
  ~ServerCall();
  static const rpc::Verbs kVerbs;
  static base::Status send(rpc::Call* c);
  static base::Status send_headers(rpc::Call* c);
  static size_t room(const rpc::Call* c);
  static void read(rpc::Call* c, int32_t credits);
  static void cancel(rpc::Call* c);
  static int64_t time_left_ms(const rpc::Call* c);
  static base::Metadata* metadata(rpc::Call* c, int32_t which);
  static void info(const rpc::Call* c, zcrpc_call_info* out);
  static base::Status op(rpc::Call* c, const zcrpc_op* op, base::Slice message, base::Buffer* buffer, base::Slice meta);
  static base::Status set_compression(rpc::Call* c, std::string_view name);
  static base::Status send_bytes(rpc::Call* c, base::Slice bytes, base::Buffer* buffer);
  static base::Status reply_http(rpc::Call* c, const zcrpc_http& reply);
  static void unreferenced(rpc::Call* c);
  static void threw(rpc::Call* c, std::string_view what);
  static bool forked(const rpc::Call* c);

  static void finish_inside(ServerCall* c);
  void set_deadline();
  void wait_for_time();
  // intercept.cc
  bool intercept_head();               // false: it was answered; the body is of no interest
  bool intercept(const zcrpc_event& e, schema::View message);
  void forget_reply();
  void drop_reply();                   // and its memory
  void observe();
  static bool before_request(rpc::Event* e);
  static bool before_message(rpc::Event* e);
  static bool before_done(rpc::Event* e);
  void on_timer();
  void begin_arriving();
  void expect_rest();
  void expect_progress();
  void expect_turn(uint64_t bytes, int64_t due);
  int64_t look_halfway(int64_t now, int64_t due);
  bool waits_its_turn() const;
  bool stalls(int64_t now);            // what waits for the client has waited long enough
  void answer_not_taken();
  void cut(const char* why);
  void log_not_taken() const;
  bool occupy();                       // false: the server is full, and it was answered so
  void vacate();
  void park();
  void dispatch();                     // the request is complete
  base::Status decode();
  base::Status read_json(encode::Encoder** e, base::Slice* message);
  bool late() const;
  void set_message(rpc::Event* e, base::Slice message);
  void call_handler();
  void log_thrown(const char* who, std::string_view what) const;
  void queue_request();
  void keep_block();
  void keep_or_own();
  void complete();                     // [inside] outcome_ becomes the answer
  // The codec is JSON, and the message is not to be had as it is.
  bool speaks_json() const { return request_.codec() == rpc::Codec::kJson && !route_->raw; }
  void answer_refusal(const rpc::Refusal& r);
  base::Status answer_ok();
  base::Status bad_reply(const base::Status& s);
  base::Status unspoken(const base::Status& s);
  base::Status gather_reply();         // pieces_ of the message
  base::Slice given_reply();           // the message of an operation
  base::Status print_reply();          // the same as JSON
  base::Status compress_reply(size_t* size, compress::Coding* coding);
  bool squeezes(size_t size) const;    // [any] a message of that size is to be compressed
  base::Status compressed(std::span<const base::Piece> message, size_t size, base::Buffer** out);  // [any] null: nothing was gained
  base::Status unchanged(bool* yes);   // whether the client of a GET has this answer
  void answer_error(const base::Error& e);
  void abort();                        // [inside] reset without an answer
  void done_event();
  // stream_in.cc
  bool prepare_stream();               // false: no memory
  bool open_stream();                  // as head_done
  void text_body(base::Slice bytes);   // data null: the end
  void stream_body(base::Slice bytes);
  void stream_body_end();
  void pull();
  void pull_local();
  void read_messages(base::Slice* in, base::Buffer* holder);
  void spoil(base::Status s);
  base::Status deliver(base::Buffer* holder);
  void end_of_requests();
  void give_window(size_t n);
  base::Status hold(base::Slice bytes);  // without a credit
  void let_go_of_block();
  void let_go_of_held();               // it will never be read
  // stream_out.cc
  base::Status may_send() const;
  base::Status queue_encoded();
  base::Status encoded_parts(base::Buffer** owned);
  base::Status encoded_bytes(base::Buffer** owned);
  base::Status as_json(base::Slice bytes);
  base::Status queue_bytes(base::Slice message, base::Buffer* buffer);
  base::Status queue_parts();
  void stream_task();
  void stream_work();
  void tell_room();
  bool begin_answer();
  size_t untaken() const;              // bytes of the answer that are not on their way yet
  void count_queued();
  void complete_stream();
  void expect_end();
  // plain.cc
  bool answer_preflight();             // false: it is none
  const Route* plain_route(const rpc::Refusal& r) const;  // nullptr: nobody answers it as plain HTTP
  bool begin_plain(const Route* r);    // as head_done
  void take_plain_events();
  void dispatch_plain();
  base::Status queue_plain(base::Slice bytes, base::Buffer* buffer);
  base::Status plain_end() const;      // why its answer cannot end like this
  base::Status begin_plain_answer();
  void answer_plain_error(const base::Error& e);
  void settle();                       // [inside] is it still needed?
  void recycle();
  void count_copies();

  Worker* worker_;
  Connection* conn_ = nullptr;         // [inside] nullptr: the stream is no more
  Connection* home_ = nullptr;         // [inside] which counts it although its stream is no more
  uint64_t dropped_ = 0, dropped_seen_ = 0;  // bytes of the request that came after the answer
  int64_t linger_due_ns_ = 0;
  const Route* route_ = nullptr;
  State state_ = State::kHead;
  bool stream_in_ = false, stream_out_ = false;  // the method's requests stream; its answers do, or have to be sent as if
  bool is_plain_ = false;
  bool http2_ = false, local_ = false, events_ = false, lingering_ = false, borrowing_ = false, counted_kept_ = false;
  bool counted_ = false;               // a head has come: it is a call
  bool occupies_ = false;              // it has one of the server's places for calls
  bool parked_ = false;                // its request is complete, and too much of other answers waits
  bool cut_ = false;                   // its answer was given up behind its end: outcome_ tells why
  bool watched_ = false;               // somebody besides the handler wants to hear of its end
  bool unheard_ = false;               // an interceptor kept it from the handler, who hears nothing of it
  uint8_t message_in_seen_ = 0;        // of a method with one request: its message has come
  base::Code refused_ = base::Code::kOk;  // without an error object: refused by its head
  uint32_t intercepted_ = 0;           // how many interceptors saw HEADERS
  bool ours_ = false;                  // the outcome is the server's, and the handler may still be writing metadata
  std::atomic<bool> finished_{false};  // by the handler, the deadline, a cancel: the first one counts
  std::atomic<bool> settling_{false};  // its task is queued
  std::atomic<bool> aborted_{false};   // the outcome is a reset
  base::Status outcome_;               // written by who set finished_
  bool reply_given_ = false;           // by an operation: the message is reply_bytes_ or reply_buffer_, not the encoder's
  base::Buffer* reply_buffer_ = nullptr;
  base::Vec<uint8_t> reply_bytes_;
  int64_t begun_ns_ = 0, deadline_ns_ = 0;  // 0: none
  int64_t arriving_ns_ = 0, unread_ns_ = 0;  // when what is half here began; its connection's then
  uint64_t arriving_at_ = kNoMessage;       // the byte of a stream's body with which it began
  int64_t asked_at_ = 0;                    // see asked; 0: it does not wait for a 100
  int64_t grace_ns_ = 0;                    // until an answer tells that it has passed
  int64_t handled_ns_ = 0, finished_ns_ = 0;  // of a watched call: when its handler got it, and ended it
  int64_t heard_ns_ = 0, ended_ns_ = 0;  // when a stream's last message came or went; when a watched call ended
  base::Slice message_;                // the request, as decoded
  schema::View view_ = nullptr;
  base::Arena arena_;                  // of its index
  rpc::Request request_;
  rpc::MessageReader reader_;
  rpc::Reply reply_;
  encode::Encoder* from_json_ = nullptr;
  encode::Encoder* own_encoder_ = nullptr;
  base::Metadata headers_, trailers_;
  base::Vec<base::Piece> pieces_;
  base::Piece body_piece_;
  base::String json_;                  // the reply as JSON
  base::Buffer* kept_ = nullptr;       // the block that the request lies in
  base::Buffer* certificate_ = nullptr;  // the peer's, and what came with it, DER
  base::Buffer* chunk_ = nullptr;      // the memory that pieces_ lie in
  OwnTimer timer_;
  OwnTask finish_task_, settle_task_, stream_task_;
  StreamState* stream_ = nullptr;      // nullptr until it is needed, then kept
  PlainState* http_ = nullptr;        // likewise
  uint64_t copies_seen_ = 0, bytes_copied_seen_ = 0;
  size_t message_in_ = 0, message_out_ = 0;  // as they were on the wire
  size_t size_in_ = 0, size_out_ = 0;        // without compression
  size_t left_seen_ = 0;               // untaken() when the timer was set
  int64_t stall_due_ns_ = 0;           // until when something of what waits has to leave; 0: nothing waits
  uint64_t all_goal_ = 0;              // of the connection's bodies: so much has to have gone
  int64_t put_out_ = 0;                // of the connection, when that was set
  int64_t half_due_ns_ = 0;            // when half of that time is over; 0: it is,
  bool under_way_ = false;             // and something of that had not arrived, though what should have since the last such look;
  int64_t under_way_goal_ = INT64_MIN; // by the next one, so much should
  uint64_t gone_goal_ = 0;             // of h2: so much
  size_t counted_out_ = 0;             // of what is queued, by the connection
  // Of answers: what the head of a stream tells, and whether messages go as they are all the same.
  std::atomic<compress::Coding> coding_{compress::Coding::kIdentity};
  std::atomic<bool> plain_{false};
  uint8_t peer_size_ = 0;
  char peer_[net::kAddressText];
};

}  // namespace zcrpc::server
