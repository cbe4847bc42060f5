#include "server/connection.h"

#include <errno.h>
#include <netinet/tcp.h>

#include <algorithm>
#include <cstring>
#include <new>
#include <utility>

#include "server/server.h"

namespace zcrpc::server {

using base::Code;
using base::Slice;
using base::Status;

namespace {
constexpr int64_t kMs = net::Timers::kNsPerMs;
constexpr int64_t kNever = net::Timers::kNever;
constexpr std::string_view kPreface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
constexpr uint8_t kTlsHandshake = 0x16;  // the first byte that such a client sends
constexpr size_t kPieces = 512;          // of one sendmsg
constexpr int kReceivesARound = 4;       // full blocks from one connection before the others have their turn

int64_t later(int64_t now, int64_t ms) { return net::Timers::after(now, ms); }
}  // namespace

Connection::Connection(Worker* w, int fd, const net::Address& peer) : worker_(w), out_(&w->chunks), parser_(&w->http1_limits, w->allocator()), held_(w->allocator()) {
  handler_.self = timer_.self = flush_.self = read_on_.self = this;
  handler_.fd = fd;
  handler_.ready = [](net::Handler* h, uint32_t events) { static_cast<OwnHandler*>(h)->self->ready(events); };
  timer_.fire = [](net::Timer* t) { static_cast<OwnTimer*>(t)->self->on_timer(); };
  flush_.run = read_on_.run = [](net::Deferred* d) { static_cast<OwnDeferred*>(d)->self->flush(); };
  read_on_.turn_only = true;
  peer_size_ = uint8_t(net::format_address(peer, peer_));
  most_held_ = w->config().held;
  contexts_.most = w->config().inflating;
  opened_ns_ = active_ns_ = heard_ns_ = w->loop()->now();
  head_due_ns_ = later(opened_ns_, w->config().head_ms);
  if (int64_t age = w->config().max_age_ms; age >= 0) {
    // 10 % more or less, so that connections made together do not end together.
    int64_t tenth = age / 10;
    age_ns_ = later(opened_ns_, age - tenth + int64_t(w->random() >> 8) % (2 * tenth + 1));
  } else {
    age_ns_ = kNever;
  }
}

Connection* Connection::make(Worker* w, int fd, const net::Address& peer, net::Streams* streams) {
  const net::Io* io = w->loop()->io();
  void* p = w->allocator()->alloc(sizeof(Connection), w->allocator()->user);
  auto* c = p ? new (p) Connection(w, fd, peer) : nullptr;
  Status s = c ? Status() : Status::no_memory();
  if (s.ok() && streams) {
    auto made = streams->accept(io, fd);
    if (made.ok()) {
      c->stream_ = *made;
    } else {
      s = made.take_status();
    }
  }
  if (s.ok()) s = w->loop()->add(&c->handler_, EPOLLIN);
  if (!s.ok()) {
    w->loop()->log().format(base::LogLevel::kError, "connection refused: %s", s.message());
    if (c) destroy(c);
    io->close(io->user, fd);
    return nullptr;
  }
  if (peer.of.any.sa_family != AF_UNIX) {
    int on = 1;
    (void)io->setsockopt(io->user, fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  }
  c->expect_by(std::min({c->head_due_ns_, c->age_ns_, later(c->opened_ns_, w->config().idle_ms)}));
  return c;
}

void Connection::destroy(Connection* c) {
  const base::Allocator* a = c->worker_->allocator();
  c->~Connection();
  a->free(c, sizeof(Connection), a->user);
}

void Connection::link(ServerCall* c) {
  running_++;
  c->prev = nullptr;
  c->next = calls_;
  if (calls_) calls_->prev = c;
  calls_ = c;
}

void Connection::unlink(ServerCall* c) {
  (c->prev ? c->prev->next : calls_) = c->next;
  if (c->next) c->next->prev = c->prev;
  c->next = c->prev = nullptr;
  active_ns_ = worker_->loop()->now();
  running_--;
}

void Connection::adopt(ServerCall* c) {
  running_++;
  c->next = orphans_;
  if (orphans_) orphans_->prev = c;
  orphans_ = c;
}

void Connection::leave(ServerCall* c) {
  (c->prev ? c->prev->next : orphans_) = c->next;
  if (c->next) c->next->prev = c->prev;
  c->next = c->prev = nullptr;
  running_--;
}

void Connection::flush_later() {
  if (in_ready_) {
    flush_due_ = true;
  } else {
    worker_->loop()->defer(&flush_);
  }
}

// ---- in

void Connection::ready(uint32_t events) {
  if (dead_) return;
  // A reset is told of again and again, whatever is waited for: who is not reading would never take it.
  if (events & (EPOLLHUP | EPOLLERR) && !reading_) return close();
  if (events & EPOLLOUT) {
    flush();
    if (dead_) return;
    if (stream_ && !shut_ && stream_->wants_write()) events |= EPOLLIN;  // its handshake goes on by reading
  }
  if (!(events & (EPOLLIN | EPOLLHUP | EPOLLERR))) return;
  in_ready_ = true;
  receive();
  in_ready_ = false;
  // What was answered goes out before the next connection is read: its calls and buffers end here, still in the cache,
  // and the next connection's are made of them. Left to the end of the turn, all connections' calls were alive at once.
  if (std::exchange(flush_due_, false)) flush();
}

// After our last word what comes is dropped, so nobody has to understand it, or may answer it.
int64_t Connection::recv(uint8_t* p, size_t n) {
  if (stream_ && !shut_) return stream_->recv(p, n);
  const net::Io* io = worker_->loop()->io();
  return io->recv(io->user, handler_.fd, p, n);
}

int64_t Connection::sendv(const iovec* v, size_t count) {
  if (stream_) return stream_->sendv(v, count);
  const net::Io* io = worker_->loop()->io();
  return count == 1 ? io->send(io->user, handler_.fd, v[0].iov_base, v[0].iov_len) : io->sendv(io->user, handler_.fd, v, count);
}

void Connection::receive() {
  // A stream may hold bytes that the socket's readiness no longer tells of: it is read until it has none, and what
  // bounds a turn is how much it may take off the socket.
  net::Stream* in = shut_ ? nullptr : stream_;
  if (in) in->allow(kReceivesARound * Blocks::kSize);
  for (int round = 0; (in || round < kReceivesARound) && reading_ && !(current_ && current_->choked()); round++) {
    uint8_t* at;
    size_t room;
    if (!worker_->blocks.room(&at, &room)) return close();
    int64_t n = recv(at, room);
    if (n == -EINTR) continue;
    clogged_ = n == -EAGAIN && in && in->wants_write();
    if (n == -EAGAIN) {
      // Its handshake may have ended with this.
      if (in && draining_ && protocol_ == Protocol::kUnknown && quiet()) [[unlikely]] await_request();
      if (in && (in->wants_write() != writing_ || listening_ == clogged_)) flush_later();
      return;
    }
    if (n <= 0) {
      if (in && !in->failure().empty()) {
        std::string_view why = in->failure();
        worker_->loop()->log().format(base::LogLevel::kInfo, "%.*s: %.*s", int(peer_size_), peer_, int(why.size()), why.data());
      }
      eof_ = true;
      // After our last word the peer's end is what we wait for. Else whoever waits for an answer has gone.
      return close();
    }
    rpc::Counters::add(worker_->counters().bytes_in, uint64_t(n));
    bool go_on = shut_ || fed({at, size_t(n)});
    outlive_block();
    worker_->blocks.handled(size_t(n));
    if (!go_on || (!in && size_t(n) < room)) return;
  }
}

// Requests that wait for the rest of their stream keep what they have borrowed.
void Connection::outlive_block() {
  if (!borrowing_) return;
  for (ServerCall* c = calls_; c;) {
    ServerCall* following = c->next;
    c->outlive_block();
    c = following;
  }
}

bool Connection::fed(Slice bytes) {
  heard_ns_ = worker_->loop()->now();
  if (ending_) return true;  // what comes after the end is read and dropped
  bool good = true;
  if (protocol_ == Protocol::kUnknown) {
    good = detect(bytes);
  } else if (protocol_ == Protocol::kHttp2) {
    good = feed_http2(bytes);
  } else {
    good = feed_http1(bytes);
  }
  flush_later();
  return good;
}

// HTTP/2 begins with a preface that no HTTP/1.1 request can be.
bool Connection::detect(Slice bytes) {
  if (const net::Address* behind = stream_ ? stream_->peer() : nullptr) peer_size_ = uint8_t(net::format_address(*behind, peer_));
  if (stream_ && stream_->protocol() == "http/1.1") {  // it was agreed upon, and nothing else comes
    protocol_ = Protocol::kHttp1;
    return feed_http1(bytes);
  }
  size_t n = std::min(bytes.size, kPreface.size() - seen_);
  if (memcmp(bytes.data, kPreface.data() + seen_, n) == 0) {
    if (seen_ + n < kPreface.size()) {
      seen_ = uint8_t(seen_ + n);
      return true;
    }
    protocol_ = Protocol::kHttp2;
    if (!start_http2()) {
      broken_ = true;
      return false;
    }
    return (seen_ == 0 || feed_http2(Slice(kPreface.data(), seen_))) && feed_http2(bytes);
  }
  // No request begins so, and whoever means TLS waits for an answer to it, not for ours.
  if (seen_ == 0 && bytes.data[0] == kTlsHandshake) {
    worker_->loop()->log().format(base::LogLevel::kInfo, "%.*s: a TLS handshake where HTTP was to begin: this port is in clear", int(peer_size_), peer_);
    broken_ = true;
    return false;
  }
  protocol_ = Protocol::kHttp1;
  return (seen_ == 0 || feed_http1(Slice(kPreface.data(), seen_))) && feed_http1(bytes);
}

// ---- out

// The last that is added to an answer's head: what browsers want to see.
bool Connection::add_cors(ServerCall* c) {
  const Cors& cors = worker_->config().cors;
  return !cors || c->answers_preflight() || cors.add(c->request(), &c->reply());
}

void Connection::answer(ServerCall* c, Slice body) {
  if (!local_ && !add_cors(c)) return fail_later();
  if (local_) {
    answer_local(c, body);
  } else if (is_http2()) {
    answer_http2(c, body);
  } else {
    answer_http1(c, body);
  }
  flush_later();
}

void Connection::stream(ServerCall* c, std::span<const base::Piece> pieces, bool first, bool last) {
  if (first && !local_ && !add_cors(c)) return fail_later();
  if (local_) {
    stream_local(c, pieces, first, last);
  } else if (is_http2()) {
    stream_http2(c, pieces, first, last);
  } else {
    stream_http1(c, pieces, first, last);
  }
}

// HTTP/1.1 is half duplex: clients that are still sending may not be reading. Answers wait for the request's end, or
// until so many wait that waiting on could be for ever.
bool Connection::takes(ServerCall* c) const {
  if (h2_) return h2_->pending(&c->h2) == 0;
  if (local_) return local_->takes();
  return out_.size() < worker_->config().high_water && (ended_ || c->is_finished() || c->queued() >= StreamState::kRoom);
}

void Connection::returned(ServerCall* c, size_t n) {
  if (h2_) h2_->consume(&c->h2, n);
}

void Connection::flush() {
  if (dead_ || (shut_ && !broken_)) return;  // after the last word nothing is said
  if (std::exchange(pumps_, false)) {
    for (ServerCall* c = calls_; c;) {
      ServerCall* following = c->next;
      c->pump_if_due();
      c = following;
    }
  }
  if (broken_) return close();
  if (local_) {
    while (!answered_ && !broken_ && current_ && current_->streams_out() && current_->pump()) {
    }
    if (answered_ || broken_) close();
    return;
  }
  if (protocol_ == Protocol::kHttp1) {
    if (current_ && answered_ && ended_) end_http1();
    // What waited may reach interceptors, and those run in turns only.
    if (worker_->loop()->in_turn()) read_held();
    else if (!held_.empty() && !waits() && !ending_) read_on();
    if (broken_) return close();
  }
  if (h2_) {
    if (std::exchange(expected_, false) && !ask_for_bodies()) return close();
    // Until nothing is left to frame, or the socket takes no more.
    do {
      if (!h2_->flush(&out_, worker_->config().high_water)) return close();
      send();
    } while (!dead_ && out_.empty() && h2_->wants_flush());
    if (!dead_ && h2_->waiting() && std::exchange(handed_, false)) watch_answers();
    if (!dead_) look_at_crowd();
    if (!dead_ && parked_ > 0) [[unlikely]] go_on();
  } else {
    send();
    while (!dead_ && out_.empty() && current_ && !answered_ && current_->streams_out() && current_->pump()) send();
    if (!dead_ && current_ && answered_ && ended_) flush_later();  // the stream has just ended
    if (!dead_ && !held_.empty() && !waits() && !ending_) read_on();  // there is room again
  }
  if (dead_) return;
  count_copies();
  if (h2_ && h2_->over() && !std::exchange(ending_, true) && *h2_->failure()) log_broken_http2();
  if (out_.empty()) {
    stalled_ns_ = 0;
    if (ending_) shut_down();
  } else if (!stalled_ns_) {
    watch_output();
  }
  if (!dead_ && !update_interest()) close();
}

// In a turn, if this is none.
void Connection::read_on() {
  if (worker_->loop()->in_turn()) flush_later();
  else worker_->loop()->defer(&read_on_);
}

void Connection::count_copies() {
  rpc::Counters& c = worker_->counters();
  rpc::Counters::add(c.copies_out, out_.copies - copies_seen_);
  rpc::Counters::add(c.bytes_copied_out, out_.bytes_copied - bytes_copied_seen_);
  copies_seen_ = out_.copies;
  bytes_copied_seen_ = out_.bytes_copied;
}

void Connection::send() {
  while (!out_.empty()) {
    iovec v[kPieces];
    size_t count = out_.fill(v, kPieces), offered = 0;
    for (size_t i = 0; i < count; i++) offered += v[i].iov_len;
    int64_t n = sendv(v, count);
    if (n == -EINTR) continue;
    if (n == -EAGAIN) return;
    if (n < 0) return close();
    out_.sent(size_t(n));
    rpc::Counters::add(worker_->counters().bytes_out, uint64_t(n));
    sent_ += n;
    if (size_t(n) < offered) return;  // full: no need to be told
  }
}

// A socket is called writable when a third of its buffer is free, and those may be megabytes: what the peer takes of them shows here.
// With TLS between it is its bytes, somewhat more than ours.
int64_t Connection::in_system() const {
  if (local_) return 0;
  const net::Io* io = worker_->loop()->io();
  return std::max<int64_t>(io->unsent(io->user, handler_.fd), 0);
}

// Something waits, and goes on waiting: by then all of it has to have gone that is there now, or as much as the slowest take. From now
// on: on a busy machine the system may take long over what it was given just before.
void Connection::watch_output() {
  const Config& config = worker_->config();
  stalled_ns_ = later(worker_->loop()->refresh(), config.stall_ms);
  const int64_t due = int64_t(Config::least(config.stall_rate, config.stall_ms)), all = put_out();
  sent_goal_ = std::min(all, sent_ + due);
  stall_goal_ = std::min(all, arrived() + due);
  expect_by(stalled_ns_);
}

void Connection::end_when_sent() {
  ending_ = true;
  flush_later();
}

// The last word has been sent: says so, and reads on for a while, since closing on unread bytes would reset the
// connection and take what was sent with it.
void Connection::shut_down() {
  if (shut_) return;
  shut_ = true;
  const net::Io* io = worker_->loop()->io();
  if (stream_ && !eof_) stream_->shutdown();
  if (eof_ || io->shutdown(io->user, handler_.fd, SHUT_WR) < 0) return close();
  linger_due_ns_ = later(worker_->loop()->now(), worker_->config().linger_ms);
  expect_by(linger_due_ns_);
}

bool Connection::update_interest() {
  bool write = !out_.empty() || (stream_ && !shut_ && stream_->wants_write());
  // A peer that does not take its answers gets no more of them, and pipelined requests have a cap.
  bool read = shut_ || (out_.size() < worker_->config().high_water && held_.size() < worker_->config().pipelined && !(current_ && current_->choked()));
  // A stream that cannot go on before the socket takes its bytes reads nothing: who has sent more, or its end, would be
  // told of again and again.
  bool listen = read && (shut_ || !clogged_);
  if (read == reading_ && write == writing_ && listen == listening_) return true;
  if (read && !reading_ && stream_) {  // which may hold what the socket's readiness does not tell of
    resume_ = true;
    expect_by(worker_->loop()->now());
  }
  if (int64_t now = worker_->loop()->now(); read != reading_) {
    (read ? resumed_ns_ : paused_ns_) = now;
    if (read) unread_ns_ += now - paused_ns_;
    if (read && linger_due_ns_ && !ending_) expect_by(linger_due_ns_ += now - paused_ns_);
  }
  reading_ = read;
  writing_ = write;
  listening_ = listen;
  return worker_->loop()->modify(&handler_, (listen ? uint32_t(EPOLLIN) : 0u) | (write ? uint32_t(EPOLLOUT) : 0u));
}

// ---- the end

void Connection::reset(ServerCall* c, uint32_t code) {
  if (is_http2()) {
    h2_->reset(&c->h2, code);
    flush_later();
  } else if (local_) {
    fail_later();
  } else {
    // The answers before it still go out; that this one is cut, the connection's end says.
    linger_due_ns_ = later(worker_->loop()->now(), worker_->config().linger_ms);
    expect_by(linger_due_ns_);
    expect_the_rest();
    end_when_sent();
  }
}

void Connection::expect_the_rest() { cut_goal_ = arrived() + int64_t(Config::least(worker_->config().body_rate, worker_->config().linger_ms)); }

// What was sent before a cut is waited for while the peer goes on taking it.
bool Connection::takes_the_rest(int64_t now) {
  if (!ending_ || shut_ || arrived() < cut_goal_) return false;
  expect_the_rest();
  linger_due_ns_ = later(now, worker_->config().linger_ms);
  return true;
}

void Connection::drain() {
  if (dead_ || (draining_ && !old_)) return;
  draining_ = true;
  if (ending_) return;  // its last word is queued, or was said
  if (h2_) {
    h2_->drain();
    ping_due_ns_ = later(worker_->loop()->now(), worker_->config().drain_ping_ms);
    expect_by(ping_due_ns_);
    flush_later();
  } else if (quiet()) {
    await_request();
  }
}

// While draining: one may be under way. Whoever has just come has something to ask, and takes a round trip for it if there was a handshake.
void Connection::await_request() {
  const Config& config = worker_->config();
  ping_due_ns_ = later(worker_->loop()->now(), protocol_ == Protocol::kUnknown ? config.drain_ping_ms : config.drain_quiet_ms);
  expect_by(ping_due_ns_);
}

// Its time is over: as drain(), but an idle HTTP/1.1 connection stays until the answer to its next request, since a proxy
// may be sending one just now, and would have to answer 502.
void Connection::grow_old() {
  const Config& config = worker_->config();
  if (protocol_ == Protocol::kHttp1 && !current_) {
    draining_ = true;
  } else {
    drain();
  }
  old_ = aged_ = true;
  age_ns_ = config.age_grace_ms < 0 ? kNever : later(worker_->loop()->now(), config.age_grace_ms);
  expect_by(age_ns_);
}

void Connection::drain_deadline(const char* why) {
  if (dead_) return;
  for (ServerCall* c = calls_; c;) {
    ServerCall* following = c->next;
    // Of a head that is not complete nobody knows the protocol: it was not processed.
    if (c->state() == ServerCall::State::kHead) reset(c, http::kH2Refused);
    else c->fail(Status(Code::kUnavailable, why));
    c = following;
  }
  if (h2_) h2_->drain_now();  // goaway() would keep what was just answered from going out
  end_when_sent();
}

void Connection::close() {
  if (dead_) return;
  dead_ = true;
  while (calls_) calls_->closed();
  while (orphans_) orphans_->orphaned();
  current_ = nullptr;
  worker_->loop()->clear_timer(&timer_);
  worker_->loop()->undefer(&read_on_);
  if (!local_) worker_->loop()->remove(&handler_);
  out_.clear();
  http::H2Session::free(h2_);
  h2_ = nullptr;
  const net::Io* io = worker_->loop()->io();
  if (!local_) io->close(io->user, handler_.fd);
  else local_->gone();
  worker_->closed(this);
  // Whoever is on the stack may look at dead_ until the phase ends.
  flush_.run = [](net::Deferred* d) { destroy(static_cast<OwnDeferred*>(d)->self); };
  worker_->loop()->defer(&flush_);
}

void Connection::forget_socket() {
  if (local_) return;
  const net::Io* io = worker_->loop()->io();
  io->close(io->user, handler_.fd);
}

// ---- time

void Connection::expect_by(int64_t due) {
  if (due == kNever || (timer_.set() && timer_due_ns_ <= due)) return;
  timer_due_ns_ = due;
  worker_->loop()->set_timer(&timer_, due);
}

void Connection::on_timer() {
  int64_t now = worker_->loop()->now();
  // What would be late may lie in the socket, when the process stood still and others were read first.
  if (std::exchange(resume_, false) || (reading_ && !local_ && too_slow(now))) ready(EPOLLIN);
  if (dead_) return;
  if (stalled_ns_ && now >= stalled_ns_) {
    send();
    if (dead_) return;
    if (sent_ >= sent_goal_ || arrived() >= stall_goal_) watch_output();
    flush();
    if (dead_) return;
  }
  int64_t due = check(now);
  if (!dead_) expect_by(std::max(due, now + kMs));
}

// One line for whoever wonders where a connection went, or its answer.
void Connection::log_cut(const char* why, int64_t ms, const char* option, base::LogLevel level) const {
  worker_->loop()->log().format(level, "%.*s: cut: %s for %lld ms (ZCRPC_SERVER_%s)", int(peer_size_), peer_, why, static_cast<long long>(ms), option);
}

void Connection::log_broken_http2() const {
  worker_->loop()->log().format(base::LogLevel::kInfo, "%.*s: bad HTTP/2: %s", int(peer_size_), peer_, h2_->failure());
}

// Who has not said a byte of HTTP may be a balancer that looks whether the port is open, or a browser's spare connection: nobody wants
// a line for each. A handshake that stops half way is a broken path, or an attack.
void Connection::log_late_head(bool settled) const {
  const bool silent = protocol_ == Protocol::kUnknown && seen_ == 0, opening = silent && stream_ && stream_->opening();
  const char* why = "no whole head";
  if (h2_) why = settled ? "no whole frame or header block" : "no SETTINGS";
  else if (opening) why = "no whole handshake";
  else if (silent) why = stream_ ? "no byte, or none behind the handshake" : "no byte";
  log_cut(why, worker_->config().head_ms, "HEAD_TIMEOUT", silent && !opening ? base::LogLevel::kDebug : base::LogLevel::kInfo);
}

// A peer that has gone without a word is asked, and given up when it says nothing.
bool Connection::alive(int64_t now, int64_t* due) {
  const Config& config = worker_->config();
  if (config.keepalive_ms < 0) return true;
  // Who is not read cannot answer, and a frame that drips says no more than silence.
  int64_t heard = heard_ns_;
  if (int64_t since = std::max(h2_->data_since(), resumed_ns_); h2_->data_since() && int64_t(h2_->data_came()) < (now - since) / kMs * config.body_rate / 1000) heard = since;
  heard = reading_ ? std::max(heard, resumed_ns_) : now;
  if (heard >= asked_ns_) asked_ns_ = 0;
  int64_t by = later(asked_ns_ ? asked_ns_ : heard, asked_ns_ ? config.keepalive_timeout_ms : config.keepalive_ms);
  if (now >= by && asked_ns_) {
    log_cut("no answer to a ping", config.keepalive_timeout_ms, "KEEPALIVE_TIMEOUT");
    close();
    return false;
  }
  if (now >= by) {
    asked_ns_ = now;
    h2_->ping(0);
    flush_later();
    by = later(now, config.keepalive_timeout_ms);
  }
  *due = std::min(*due, by);
  return true;
}

// Some balancers end a connection after so many; who drains before loses nothing.
void Connection::count_request() {
  int64_t most = worker_->config().max_requests;
  if (most < 0 || ++requests_ != most) return;
  if (h2_) {
    drain();
  } else {
    draining_ = true;  // this one's answer says so
    old_ = true;
  }
}

void Connection::log_slow(ServerCall* c, int64_t ms) const {
  const Config& config = worker_->config();
  unsigned long long n = worker_->server()->tell(Server::kSlowBody, worker_->loop()->now());
  if (n == 0) return;
  std::string_view path = c->logged_path();
  worker_->loop()->log().format(base::LogLevel::kInfo,
                                "%.*s: cut: %.*s: %llu bytes of a %s in %lld ms (ZCRPC_SERVER_BODY_TIMEOUT %lld ms, then ZCRPC_SERVER_MIN_RATE %lld bytes a second); %llu cut so",
                                int(peer_size_), peer_, int(path.size()), path.data(), static_cast<unsigned long long>(c->arrived_bytes()), c->takes_credit() ? "message" : "body", static_cast<long long>(ms),
                                static_cast<long long>(config.body_grace_ms), static_cast<long long>(config.body_rate), n);
}

// Of a TLS record nothing is seen before its end, so that as much more counts as here.
constexpr int64_t kRecord = 16 << 10;

// By how much a body, or a message of a stream, that is half here is ahead of the least rate.
int64_t Connection::ahead(const ServerCall* c, int64_t now) const {
  const int64_t ms = (now - c->arriving_since(now)) / kMs;
  return int64_t(c->arrived_bytes()) + (stream_ ? kRecord : 0) - std::min(ms * worker_->config().body_rate / 1000, int64_t(1) << 40);
}

bool Connection::is_late(const ServerCall* c, int64_t now) const { return now - c->arriving_since(now) >= worker_->config().body_grace_ms * kMs && ahead(c, now) < 0; }

// Streams over a slow line take turns, each with as much as a frame holds: none is too slow while all of them together are not.
bool Connection::too_slow(int64_t now) const {
  int64_t all = 0;
  bool late = false;
  for (ServerCall* c = calls_; c; c = c->next) {
    if (!c->is_arriving()) continue;
    all += ahead(c, now);
    late |= is_late(c, now);
  }
  return late && all < 0;
}

void Connection::check_bodies(int64_t now, int64_t* due) {
  const bool cut = too_slow(now);
  for (ServerCall* c = calls_; c;) {
    ServerCall* following = c->next;
    if (c->awaits_100()) {
      c->hear_100(arrived());
      *due = std::min(*due, now + kLookAgainMs * kMs);
    } else if (c->is_arriving()) {
      const int64_t begun = c->arriving_since(now);
      if (cut && is_late(c, now)) {
        log_slow(c, (now - begun) / kMs);
        c->fail(Status(Code::kDeadlineExceeded, "the request came too slowly"));
      } else {
        *due = std::min(*due, std::max(later(begun, worker_->config().body_grace_ms), now + kLookAgainMs * kMs));
      }
    }
    c = following;
  }
}

// What is late ends; what is not says when to look again.
int64_t Connection::check(int64_t now) {
  const Config& config = worker_->config();
  int64_t due_next = kNever;
  auto late = [&](int64_t due) {
    if (due == 0 || due == kNever) return false;
    if (now >= due) return true;
    due_next = std::min(due_next, due);
    return false;
  };
  if ((reading_ || ending_) && late(linger_due_ns_) && !takes_the_rest(now)) {
    if (!ending_) log_cut("a request that was answered early went on", config.dropped_ms, "REST_TIMEOUT");
    else if (!shut_) log_cut("too little was taken of what was sent before the end", config.linger_ms, "LINGER");
    close();
    return kNever;
  }
  if (late(stalled_ns_)) {
    log_cut("too little was taken of what was sent", config.stall_ms, "STALL_TIMEOUT");
    close();
    return kNever;
  }
  if (ending_) return std::min(due_next, linger_due_ns_ ? linger_due_ns_ : kNever);
  // head_due_ns_ is 0 from the first head on, so that a connection of which only an empty line has come is not settled.
  bool settled = protocol_ == Protocol::kHttp2 ? saw_settings_ : protocol_ == Protocol::kHttp1 && !parser_.in_head() && head_due_ns_ == 0;
  int64_t head_due = settled ? 0 : head_due_ns_;
  // The rest of a frame, or of a header block, may have come, and lie in the socket while nothing is read.
  if (int64_t since = h2_ && settled ? h2_->head_since() : 0) head_due = later(reading_ ? std::max(since, resumed_ns_) : now, config.head_ms);
  if (late(head_due)) {
    log_late_head(settled);
    if (h2_) h2_->goaway(settled ? http::kH2EnhanceYourCalm : http::kH2SettingsTimeout);
    if (protocol_ == Protocol::kHttp1) bare_http1(408);
    end_when_sent();
    return due_next;
  }
  if (h2_ && draining_ && !pinged_ && late(ping_due_ns_)) {
    pinged_ = true;
    h2_->drain_now();
    flush_later();
  }
  if (!h2_ && ping_due_ns_ && quiet() && late(ping_due_ns_)) {
    end_when_sent();
    return due_next;
  }
  if (h2_ && settled && !alive(now, &due_next)) return kNever;
  if (late(age_ns_)) {
    if (aged_) {
      age_ns_ = kNever;
      if (!idle()) log_cut("calls went on behind the connection's age", config.age_grace_ms, "AGE_GRACE");
      drain_deadline("the connection has reached its age");
      return due_next;
    }
    grow_old();
    due_next = std::min(due_next, age_ns_);
  }
  if (idle() && settled && !(protocol_ == Protocol::kHttp1 && !parser_.between_requests())) {
    if (late(later(active_ns_, config.idle_ms))) {
      if (h2_) h2_->goaway(http::kH2NoError);
      end_when_sent();
    }
    return due_next;
  }
  due_next = std::min(due_next, later(now, config.idle_ms));
  check_bodies(now, &due_next);
  return due_next;
}

}  // namespace zcrpc::server
