// HTTP/2: streams are calls.
#include <algorithm>

#include "server/connection.h"
#include "server/server.h"

namespace zcrpc::server {

using base::Slice;
using base::Status;

struct H2Callbacks {
  static Connection* conn(void* user) { return static_cast<Connection*>(user); }
  static ServerCall* call(http::H2Stream* s) { return static_cast<ServerCall::Stream*>(s)->self; }

  static http::H2Stream* begin(http::H2Session*, void* user) {
    Connection* c = conn(user);
    if (c->running() >= c->worker_->config().max_streams) return nullptr;
    ServerCall* k = c->worker_->take_call();
    if (!k) return nullptr;
    k->begin(c);
    c->count_request();
    return &k->h2;
  }
  static bool header(http::H2Stream* s, std::string_view name, std::string_view value, void*) { return call(s)->request().add(name, value); }
  static void headers_end(http::H2Stream* s, void* user) {
    Connection* c = conn(user);
    // A body that does not come with its head is given a time.
    if (!call(s)->head_done() || !s->remote_open()) return;
    c->expect_by(call(s)->begun_ns() + c->worker_->config().body_grace_ms * net::Timers::kNsPerMs);
    if (!s->expects()) return;
    c->expected_ = true;
    call(s)->asked(ServerCall::kUnframed);
  }
  static void data(http::H2Stream* s, Slice bytes, void* user) {
    // The one message of a unary call is what the stream's credit is for: its window returns as it arrives, and the
    // reader stops it at the limit. Calls whose requests stream return it by themselves.
    bool returns = !call(s)->takes_credit();
    call(s)->body(bytes);
    if (returns) conn(user)->h2_->consume(s, bytes.size);
    if (uint32_t more = conn(user)->h2_->lacks(s)) conn(user)->widen(call(s), more);
  }
  static void taken(http::H2Stream* s, void* user) {
    if (!call(s)->streams_out()) return;
    (void)call(s)->pump();
    if (conn(user)->pending(call(s)) == 0) call(s)->unwatch_answer();
  }
  static void continued(http::H2Stream* s, size_t size, void* user) { call(s)->framed_100(conn(user)->put_out() + int64_t(size)); }
  static void end(http::H2Stream* s, void*) { call(s)->body_end(); }
  static void sent(http::H2Stream* s, void*) {
    if (s->remote_open()) call(s)->linger();
  }
  static void closed(http::H2Stream* s, uint32_t, bool, void*) { call(s)->closed(); }
  static void settings(void* user) { conn(user)->saw_settings_ = true; }
  static void ping_ack(uint64_t, void*) {}
};

const http::H2Events Connection::kH2Events = {
    .begin = H2Callbacks::begin,
    .header = H2Callbacks::header,
    .headers_end = H2Callbacks::headers_end,
    .data = H2Callbacks::data,
    .end = H2Callbacks::end,
    .sent = H2Callbacks::sent,
    .closed = H2Callbacks::closed,
    .settings = H2Callbacks::settings,
    .ping = nullptr,
    .ping_ack = nullptr,
    .goaway = nullptr,
    .taken = H2Callbacks::taken,
    .continued = H2Callbacks::continued,
};

bool Connection::start_http2() {
  auto made = http::H2Session::make(&worker_->h2, this);
  if (!made.ok()) return false;
  h2_ = *made;
  if (int64_t every = worker_->config().keepalive_ms; every >= 0) expect_by(heard_ns_ + every * net::Timers::kNsPerMs);
  if (draining_) {  // since its first byte
    h2_->drain();
    ping_due_ns_ = worker_->loop()->now() + worker_->config().drain_ping_ms * net::Timers::kNsPerMs;
    expect_by(ping_due_ns_);
  }
  return true;
}

bool Connection::feed_http2(Slice bytes) {
  if (!h2_->feed(bytes, heard_ns_)) {
    log_broken_http2();
    end_when_sent();
    return false;
  }
  // DATA that drips is noticed when the peer is asked for a word: alive.
  if (int64_t since = h2_->head_since()) expect_by(since + worker_->config().head_ms * net::Timers::kNsPerMs);
  return true;
}

// Whoever waits for a 100 with its body, and whose body did not come all the same, and who was not refused. False: no memory.
bool Connection::ask_for_bodies() {
  for (ServerCall* c = calls_; c; c = c->next)
    if (c->state() != ServerCall::State::kHead && !h2_->go_on(&c->h2)) return false;
  return true;
}

// A stream that is read as fast as it comes may send as much ahead as the path holds. What one whose handler gives credits
// might leave lying here when that stops is counted, and there is only so much for all of them.
void Connection::widen(ServerCall* c, uint32_t more) {
  if (!c->takes_credit() && c->state() != ServerCall::State::kBody) return;  // nobody wants the rest
  if (c->takes_credit()) {
    if (c->held_in()) return;
    more = uint32_t(std::min<size_t>(more, worker_->config().max_window - widened_));
    if (more == 0) return;
    c->widened += more;
    widened_ += more;
  }
  h2_->widen(&c->h2, more);
}

// Each that was flushed in part has its own time to go on.
void Connection::watch_answers() {
  for (ServerCall* c = calls_; c; c = c->next) c->watch_answer();
}

bool Connection::too_much_waits() const { return waiting() > worker_->config().untaken / 4; }
bool Connection::may_wait(size_t size) const { return !h2_ || waiting() == 0 || waiting() + size <= worker_->config().untaken; }
bool Connection::overflows(size_t own) const { return h2_ && waiting() > worker_->config().untaken && waiting() > own; }

void Connection::look_at_crowd() {
  if (!h2_ || (crowded_ ? waiting() > worker_->config().untaken / 8 : !too_much_waits())) return;
  crowded_ = !crowded_;
  for (ServerCall* c = calls_; c; c = c->next) c->crowd(crowded_);
}

// Oldest first. Handlers run in turns only.
void Connection::go_on() {
  if (too_much_waits()) return;
  if (!worker_->loop()->in_turn()) return worker_->loop()->defer(&read_on_);
  ServerCall* c = calls_;
  while (c && c->next) c = c->next;
  while (c && parked_ > 0 && !too_much_waits()) {
    ServerCall* younger = c->prev;
    c->unpark();
    c = younger;
  }
  flush_later();
}

void Connection::end_unary(ServerCall* c) {
  if (Status s = h2_->send(&c->h2, {}, {}, c->reply().trailers(), false); !s.ok()) fail_later();
  flush_later();
}

std::string_view Connection::date(const ServerCall* c) { return c->dated() ? worker_->date() : std::string_view(); }

void Connection::answer_http2(ServerCall* c, Slice body) {
  handed_ = true;
  const rpc::Reply& r = c->reply();
  std::span<const base::Piece> pieces = r.is_error() ? std::span<const base::Piece>() : c->pieces();
  if (!body.empty()) pieces = c->body_piece(body);
  if (c->request().head_request()) pieces = {};
  if (Status s = h2_->answer(&c->h2, r.status(), r.headers(), r.prefix(), pieces, r.trailers(), false, date(c)); !s.ok()) fail_later();
}

void Connection::stream_http2(ServerCall* c, std::span<const base::Piece> pieces, bool first, bool last) {
  handed_ = true;
  const rpc::Reply& r = c->reply();
  std::span<const base::Header> trailers = last ? r.trailers() : std::span<const base::Header>();
  Status s = first ? h2_->answer(&c->h2, r.status(), r.headers(), {}, pieces, trailers, !last, date(c)) : h2_->send(&c->h2, {}, pieces, trailers, !last);
  if (!s.ok()) fail_later();
}

}  // namespace zcrpc::server
