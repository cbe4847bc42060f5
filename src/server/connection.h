// One connection: HTTP/1.1 or HTTP/2, told apart by its first bytes. It owns the socket, what is to be sent, and the
// time that the peer may take.
#pragma once

#include "base/vec.h"
#include "http/h2.h"
#include "http/http1.h"
#include "http/output.h"
#include "net/listener.h"
#include "net/loop.h"
#include "net/stream.h"
#include "server/call.h"
#include "server/local.h"

namespace zcrpc::server {

class Connection {
 public:
  // Takes the socket over; nullptr without memory, and it is closed.
  static Connection* make(Worker* w, int fd, const net::Address& peer, net::Streams* streams);

  // The same for one exchange of this process, without a socket: see local.h.
  static Connection* make_local(Worker* w, LocalExchange* e);
  void begin_local(const LocalExchange& e);
  void feed_local();
  bool is_local() const { return local_ != nullptr; }
  int fd() const { return handler_.fd; }
  LocalExchange* local() const { return local_; }

  // The answer of a call, ready in its reply and pieces; body: of errors.
  void answer(ServerCall* c, base::Slice body);
  // A part of an answer that streams: pieces last until takes() is true again, what the call's reply holds until its end.
  void stream(ServerCall* c, std::span<const base::Piece> pieces, bool first, bool last);
  // Whether the transport takes more of a call that streams now; it is asked again when that may have changed.
  bool takes(ServerCall* c) const;
  // Bytes that it took of a call, and that have not left.
  size_t pending(const ServerCall* c) const { return h2_ ? h2_->pending(&c->h2) : local_ ? local_->unused() : out_.size(); }
  // Asks it, and the call, at the next flush.
  void pump_later(ServerCall* c) {
    c->pump_later();
    pumps_ = true;
    flush_later();
  }
  // n bytes of a stream's window go back to the peer.
  void returned(ServerCall* c, size_t n);
  // n bytes wait for read credits. False: that is too much.
  [[nodiscard]] bool hold(size_t n) { return (held_in_ += n) <= most_held_ + widened_; }
  void unhold(size_t n) { held_in_ -= n; }
  void widen(ServerCall* c, uint32_t more);
  void narrowed(size_t n) { widened_ -= n; }
  compress::Contexts* contexts() { return &contexts_; }
  // What waits in a call, before it is HTTP/2's, was *counted, and is n bytes.
  void count_queued(size_t* counted, size_t n) { queued_ += n - *counted, *counted = n; }
  // Of answers so much waits for the client's windows that nothing more is begun; that no answer of that size may be added.
  bool backed_up() const { return h2_ && (parked_ > 0 || too_much_waits()); }
  bool may_wait(size_t size) const;
  // What waits of a call, waits for the line, and not for its client's windows.
  bool lags(const ServerCall* c) const { return h2_ && !out_.empty() && !h2_->blocked(&c->h2); }
  // What waits of a call is held back by its own window (over HTTP/1.1: by nothing else); bytes of all bodies that have left.
  bool holds(const ServerCall* c) const { return !h2_ || h2_->held(&c->h2); }
  uint64_t gone() const { return h2_ ? h2_->gone() : 0; }
  // Bytes that have been put out; and of them those that have arrived, as far as the system knows.
  int64_t put_out() const { return sent_ + int64_t(out_.size()); }
  int64_t arrived() const { return sent_ - in_system(); }
  // That too much waits, and not of one call alone, of which own bytes do.
  bool overflows(size_t own) const;
  // From the same quarter on handlers of streams that ask are told of no room, until half of that is left.
  bool is_crowded() const { return crowded_; }
  void look_at_crowd();
  void parked(int n) { parked_ += n; }
  // HTTP/2: what was handed over of a call's answer, and has not begun to leave, never will. False: it has begun to.
  bool drop_unsent(ServerCall* c) { return h2_ && h2_->drop_body(&c->h2); }
  void end_unary(ServerCall* c);  // behind that, with its reply's trailers
  // Ends a call's stream without an answer: a reset, or on HTTP/1.1 the connection's end.
  void reset(ServerCall* c, uint32_t code);
  // No new calls; the connection closes when those that run have ended.
  void drain();
  // The end of that time: what still runs gets unavailable.
  void drain_deadline(const char* why = "the server is shutting down");
  // At once.
  void close();
  // In a child after fork: closes the descriptor, and leaves the rest alone.
  void forget_socket();

  // What comes is taken; for how long it was not, in all.
  bool reads() const { return reading_; }
  static constexpr int64_t kLookAgainMs = 1000;  // at what nobody tells of
  int64_t unread_ns(int64_t now) const { return unread_ns_ + (reading_ ? 0 : now - paused_ns_); }

  Worker* worker() const { return worker_; }
  http::H2Session* h2() const { return h2_; }
  bool is_http2() const { return protocol_ == Protocol::kHttp2; }
  std::string_view peer() const { return {peer_, peer_size_}; }
  base::Buffer* peer_certificate() const { return stream_ ? stream_->peer_certificate() : nullptr; }
  void flush_later();
  void fail_later() {  // from within a call: something has broken that only closing mends
    broken_ = true;
    flush_later();
  }
  void borrows(int n) { borrowing_ += n; }  // calls whose request lies in the block that was received into
  // Something is waited for that must have come by then.
  void expect_by(int64_t due_ns);
  void link(ServerCall* c);
  void unlink(ServerCall* c);
  // A call whose stream is no more while its handler goes on: it keeps its slot until it leaves.
  void adopt(ServerCall* c);
  void leave(ServerCall* c);
  // Calls whose streams are open, and those that were adopted.
  size_t running() const { return running_; }

  static const http::H2Events kH2Events;
  Connection *next = nullptr, *prev = nullptr;  // the worker's list

 private:
  enum class Protocol : uint8_t { kUnknown, kHttp1, kHttp2, kLocal };
  struct OwnHandler : net::Handler { Connection* self; };
  struct OwnTimer : net::Timer { Connection* self; };
  struct OwnDeferred : net::Deferred { Connection* self; };
  friend struct H2Callbacks;

  Connection(Worker* w, int fd, const net::Address& peer);
  ~Connection() { delete stream_; }  // and its memory to the worker's allocator: destroy
  static void destroy(Connection* c);

  void ready(uint32_t events);
  void receive();
  int64_t recv(uint8_t* p, size_t n);
  int64_t sendv(const iovec* v, size_t count);
  bool fed(base::Slice bytes);             // false: the connection has gone or goes
  bool detect(base::Slice bytes);
  bool add_cors(ServerCall* c);            // false: no memory
  void flush();
  void send();
  int64_t in_system() const;               // of what was sent: its peer's side has not got it yet
  void watch_output();
  void end_when_sent();                    // what is queued is the last word
  void shut_down();
  void expect_the_rest();
  bool takes_the_rest(int64_t now);        // since it was looked at last
  bool update_interest();
  void grow_old();
  void await_request();
  void count_request();
  void log_cut(const char* why, int64_t ms, const char* option, base::LogLevel level = base::LogLevel::kInfo) const;
  void log_late_head(bool settled) const;
  void log_slow(ServerCall* c, int64_t ms) const;
  int64_t ahead(const ServerCall* c, int64_t now) const;
  bool is_late(const ServerCall* c, int64_t now) const;
  bool too_slow(int64_t now) const;
  void check_bodies(int64_t now, int64_t* due);
  void log_broken_http2() const;
  bool alive(int64_t now, int64_t* due);   // false: it was closed
  void on_timer();
  int64_t check(int64_t now);              // when to look again
  bool idle() const { return calls_ == nullptr && held_.empty(); }
  // Nothing has come yet, not even of a handshake, or a handshake alone; or nothing of an HTTP/1.1 request after the last.
  bool quiet() const { return protocol_ == Protocol::kUnknown ? seen_ == 0 && !(stream_ && stream_->opening()) : protocol_ == Protocol::kHttp1 && !current_ && held_.empty() && parser_.between_requests(); }

  // connection_http1.cc
  bool feed_http1(base::Slice bytes);
  void parse_http1(base::Slice* in);       // until all is used up, or a call has to be answered first
  void read_held();
  void read_on();
  void outlive_block();
  bool full() const;                       // so much output waits that nothing more is begun
  bool waits() const { return current_ ? ended_ && !answered_ : full(); }
  void begin_http1(bool body_follows);
  void bare_http1(int status);             // what never became a call
  void answer_http1(ServerCall* c, base::Slice body);
  void stream_http1(ServerCall* c, std::span<const base::Piece> pieces, bool first, bool last);
  bool head_http1(ServerCall* c, bool chunked);
  void answered_http1();
  void end_http1();                        // the exchange is complete
  // connection_http2.cc
  bool start_http2();
  bool feed_http2(base::Slice bytes);
  bool ask_for_bodies();
  void watch_answers();
  size_t waiting() const { return h2_->waiting() + queued_; }
  bool too_much_waits() const;
  void go_on();                            // with those that were parked
  std::string_view date(const ServerCall* c);
  void answer_http2(ServerCall* c, base::Slice body);
  // local.cc
  void answer_local(ServerCall* c, base::Slice body);
  void stream_local(ServerCall* c, std::span<const base::Piece> pieces, bool first, bool last);
  bool head_local(const rpc::Reply& r);
  bool share(std::span<const base::Piece> pieces, base::Slice before, base::Slice behind, base::Vec<base::Piece>* out, base::BufferRef* copies);
  void stream_http2(ServerCall* c, std::span<const base::Piece> pieces, bool first, bool last);

  Worker* worker_;
  LocalExchange* local_ = nullptr;         // of kLocal
  bool wants_body_ = false;                // likewise: its call was not answered by its head
  net::Stream* stream_ = nullptr;          // between us and the socket; nullptr: the socket itself
  OwnHandler handler_;
  OwnTimer timer_;
  OwnDeferred flush_;
  OwnDeferred read_on_;                    // HTTP/1.1: from outside a turn an answer came, or room for one, and a request waits
  Protocol protocol_ = Protocol::kUnknown;
  bool dead_ = false;                      // closed; freed at the end of the phase
  bool broken_ = false;
  int borrowing_ = 0;
  bool draining_ = false, old_ = false, aged_ = false, ending_ = false, shut_ = false, saw_settings_ = false, pinged_ = false;
  bool reading_ = true;                    // what comes is taken
  bool listening_ = true, writing_ = false;  // what the loop waits for
  bool clogged_ = false;                   // stream_ reads on when the socket has taken what it has to say
  bool eof_ = false;
  bool resume_ = false;                    // the timer is set to read from stream_
  bool in_ready_ = false, flush_due_ = false;  // while the socket is read, its flush waits for the end of that
  uint8_t seen_ = 0;                       // bytes of the preface
  uint8_t peer_size_ = 0;
  char peer_[net::kAddressText];
  int64_t opened_ns_, active_ns_, age_ns_ = 0, head_due_ns_, stalled_ns_ = 0, linger_due_ns_ = 0, ping_due_ns_ = 0, timer_due_ns_ = 0;
  int64_t heard_ns_ = 0, asked_ns_ = 0;    // the last byte from the peer; when it was asked for one
  int64_t paused_ns_ = 0, resumed_ns_ = 0; // when what comes was taken no more, and again
  int64_t unread_ns_ = 0;                  // between the two, in all
  int64_t requests_ = 0;
  ServerCall *calls_ = nullptr, *orphans_ = nullptr;
  size_t running_ = 0;
  size_t held_in_ = 0, most_held_;
  int64_t cut_goal_ = 0;                   // of arrived(), by the end of linger_due_ns_
  int64_t sent_ = 0;                       // bytes that the socket took
  int64_t sent_goal_ = 0, stall_goal_ = 0; // by stalled_ns_: of those, or of what has arrived
  size_t widened_ = 0;                     // what windows of streams with credits have beyond the first
  compress::Contexts contexts_;            // of messages that are half here
  bool pumps_ = false;                     // a call has something for us at the next flush
  bool crowded_ = false;
  bool handed_ = false;                    // HTTP/2: a part of an answer was, since the last flush
  bool expected_ = false;                  // likewise: a 100 may be, by a client that has not sent its body yet
  int parked_ = 0;                         // calls that wait until less of answers does
  size_t queued_ = 0;                      // HTTP/2: bytes of answers that wait in calls
  http::Output out_;
  void count_copies();
  uint64_t copies_seen_ = 0, bytes_copied_seen_ = 0;
  http::H2Session* h2_ = nullptr;
  // HTTP/1.1
  http::Http1Parser parser_;
  ServerCall* current_ = nullptr;          // its request is being read, or its answer is awaited
  bool keep_alive_ = true, http10_ = false, answered_ = false, ended_ = false;
  base::Vec<uint8_t> held_;                // requests that wait their turn
};

}  // namespace zcrpc::server
