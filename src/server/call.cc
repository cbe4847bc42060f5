#include "server/call.h"

#include <algorithm>
#include <cstring>
#include <new>
#include <utility>

#include "json/json.h"
#include "rpc/thrown.h"
#include "server/errors.h"
#include "server/server.h"
#include "view/view.h"

namespace zcrpc::server {

using base::Code;
using base::Slice;
using base::Status;

namespace {
// What a pooled call may keep for the next one.
constexpr size_t kKeptArena = 256 << 10, kKeptOutput = 64 << 10;
constexpr char kNotTaken[] = "the client takes too little of the answer";

int64_t in_ns(int64_t ms) { return net::Timers::after(0, ms); }
}  // namespace

const rpc::Verbs ServerCall::kVerbs = {
    .send = ServerCall::send,
    .send_headers = ServerCall::send_headers,
    .close_send = nullptr,
    .room = ServerCall::room,
    .read = ServerCall::read,
    .cancel = ServerCall::cancel,
    .finish = ServerCall::finish,
    .start = nullptr,
    .unary = nullptr,
    .next = nullptr,
    .set_timeout = nullptr,
    .time_left_ms = ServerCall::time_left_ms,
    .metadata = ServerCall::metadata,
    .info = ServerCall::info,
    .op = ServerCall::op,
    .send_bytes = ServerCall::send_bytes,
    .reply_http = ServerCall::reply_http,
    .unreferenced = ServerCall::unreferenced,
    .set_compression = ServerCall::set_compression,
    .threw = ServerCall::threw,
    .forked = ServerCall::forked,
};

ServerCall::ServerCall(Worker* w)
    : worker_(w), reply_bytes_(w->allocator()), arena_(w->allocator()), request_(w->allocator()), reader_(w->allocator()),
      reply_(w->allocator()), headers_(w->allocator()), trailers_(w->allocator()), pieces_(w->allocator()), json_(w->allocator()) {
  verbs = &kVerbs;
  refs.store(0, std::memory_order_relaxed);  // its stream is what keeps it, until a handler or an event does
  flags.store(rpc::kServerSide, std::memory_order_relaxed);
  counters = &w->counters();
  h2.self = this;
  timer_.self = finish_task_.self = settle_task_.self = stream_task_.self = this;
  timer_.fire = [](net::Timer* t) { static_cast<OwnTimer*>(t)->self->on_timer(); };
  finish_task_.run = [](net::Task* t) { finish_inside(static_cast<OwnTask*>(t)->self); };
  stream_task_.run = [](net::Task* t) { static_cast<OwnTask*>(t)->self->stream_work(); };
  settle_task_.run = [](net::Task* t) {
    ServerCall* c = static_cast<OwnTask*>(t)->self;
    c->settling_.store(false);
    c->settle();
  };
  first.call = done.call = this;
  request_.set_codings(&w->config().codings);
  values = base::Vec<Value>(w->allocator());
}

ServerCall::~ServerCall() {
  encode::encoder_free(own_encoder_);
  encode::encoder_free(from_json_);
  base::drop_in(worker_->allocator(), stream_);
  delete http_;
}

ServerCall* ServerCall::make(Worker* w) {
  void* p = w->allocator()->alloc(sizeof(ServerCall), w->allocator()->user);
  if (!p) return nullptr;
  auto* c = new (p) ServerCall(w);
  c->own_encoder_ = encode::encoder_new(nullptr, w->allocator());
  if (!c->own_encoder_) {
    destroy(c);
    return nullptr;
  }
  return c;
}

void ServerCall::destroy(ServerCall* c) {
  const base::Allocator* a = c->worker_->allocator();
  c->~ServerCall();
  a->free(c, sizeof(ServerCall), a->user);
}

void ServerCall::begin(Connection* conn) {
  worker_->retain();
  conn_ = conn;
  http2_ = conn->is_http2();
  local_ = conn->is_local();
  request_.set_http2(http2_);
  request_.keep_all(worker_->server()->routes().special(Routes::kPlain) != nullptr);
  begun_ns_ = worker_->loop()->now();
  arriving_ns_ = begun_ns_;
  unread_ns_ = conn->unread_ns(begun_ns_);
  std::string_view peer = conn->peer();
  peer_size_ = uint8_t(peer.size());
  memcpy(peer_, peer.data(), peer.size());
  if (base::Buffer* shown = conn->peer_certificate()) certificate_ = shown->retain();
  conn->link(this);
  counters->add(counters->calls_now, 1);
}

// ---- the request

bool ServerCall::head_done() {
  counters->add(counters->calls, 1);
  counted_ = true;
  if (worker_->config().cors && answer_preflight()) return false;
  watched_ = worker_->config().observe.fn != nullptr;
  route_ = worker_->route(request_);
  method = route_ ? route_->method : nullptr;
  rpc::Refusal refusal = request_.classify(route_ ? int32_t(route_->method->flags) : -1, {});
  if (refusal) {
    if (const Route* plain = plain_route(refusal)) return begin_plain(plain);
    answer_refusal(refusal);
    return false;
  }
  if (!occupy()) return false;
  set_deadline();
  coding_.store(route_->compression.choose(request_.accepted(), request_.preferred()), std::memory_order_relaxed);
  bool streams = method->flags & (schema::kClientStream | schema::kServerStream);
  if (streams || request_.text()) {
    if (!prepare_stream()) {
      fail(Status::no_memory());
      return false;
    }
    stream_out_ = streams;
  }
  wait_for_time();
  encode::reset(own_encoder_, method->output);
  encoder = own_encoder_;
  if (route_->interceptors && !intercept_head()) [[unlikely]] return false;
  rpc::MessageReader::Options o;
  o.envelope = rpc::has_envelopes(request_.protocol());
  o.coding = request_.coding();
  o.coding_named = request_.coding() != compress::Coding::kIdentity;
  o.limit = route_->message_limit;
  o.compressed_limit = worker_->config().compressed_limit;
  o.content_length = request_.content_length();
  o.pool = &worker_->compression;
  o.contexts = conn_->contexts();
  o.codings = &worker_->config().codings;
  // Whoever refuses a call before its message is looked at has not paid for inflating it.
  o.inflate = method->flags & schema::kClientStream || request_.text() ? rpc::Inflate::kArriving : rpc::Inflate::kLate;
  reader_.begin(o);
  if (method->flags & schema::kClientStream) return open_stream();
  // At once, for whoever asks before it sends (Expect: 100-continue). Text in base64 may be padded every four letters.
  if (Status s = reader_.declared(request_.content_length() / (request_.text() ? 4 : 1)); !s.ok()) {
    fail(std::move(s));
    return false;
  }
  state_ = State::kBody;
  return true;
}

// A client that keeps its deadline itself should find it passed before it hears so: one that gives up between the head of
// our answer and its body has neither an error nor its deadline. Connect's header is in whole milliseconds, so it may be one
// short, and a busy client is late by a slice of its processor's time (decision 0148).
constexpr int64_t kMostGrace = 10 * net::Timers::kNsPerMs;

bool ServerCall::late() const { return deadline_ns_ && worker_->loop()->now() >= deadline_ns_; }

void ServerCall::set_deadline() {
  int64_t timeout = request_.timeout_ns();
  if (timeout == rpc::kNoTimeout) {
    if (route_->default_deadline_ms >= 0) timeout = in_ns(route_->default_deadline_ms);
  } else {
    timeout = std::max(timeout, in_ns(route_->min_deadline_ms));
  }
  if (route_->max_deadline_ms >= 0) timeout = std::min(timeout, in_ns(route_->max_deadline_ms));
  if (timeout == rpc::kNoTimeout || timeout > INT64_MAX / 2 - begun_ns_) return;
  deadline_ns_ = begun_ns_ + timeout;
  grace_ns_ = net::Timers::kNsPerMs + std::min(timeout / 16, kMostGrace);
}

// Sets the timer to whichever comes first: the deadline, the end of a stream's patience, or of that with what the client
// does not take.
void ServerCall::wait_for_time() {
  int64_t due = deadline_ns_ ? deadline_ns_ + grace_ns_ : 0;
  if (stream_out_ && route_->silence_ms >= 0) {
    if (heard_ns_ == 0) heard_ns_ = worker_->loop()->now();
    int64_t silent = net::Timers::after(heard_ns_, route_->silence_ms);
    if (!due || silent < due) due = silent;
  }
  int64_t look = stall_due_ns_ && half_due_ns_ ? half_due_ns_ : stall_due_ns_;
  if (look && (!due || look < due)) due = look;
  if (due) worker_->loop()->set_timer(&timer_, due);
}

// A stream that has ended has set its timer already.
void ServerCall::watch_answer() {
  if (stall_due_ns_ || lingering_ || !h2.answered() || conn_->pending(this) == 0 || (stream_out_ && state_ == State::kAnswered)) return;
  expect_progress();
  wait_for_time();
}

// By then all has to have left that waits now, or so many bytes a second: as many as of a body, if the answer is complete; fewer of a
// stream that goes on, which its client may hold back while it works on what it has.
void ServerCall::expect_progress() {
  const Config& config = worker_->config();
  int64_t rate = state_ == State::kAnswered ? config.body_rate : config.stall_rate;
  stall_due_ns_ = worker_->loop()->now() + config.stall_ms * net::Timers::kNsPerMs;
  gone_goal_ = h2.gone() + std::min<uint64_t>(stream_out_ ? untaken() : conn_->pending(this), Config::least(rate, config.stall_ms));
  expect_turn(gone_goal_ - h2.gone(), stall_due_ns_);
}

void ServerCall::expect_turn(uint64_t bytes, int64_t due) {
  all_goal_ = conn_->gone() + bytes;
  put_out_ = conn_->put_out();
  half_due_ns_ = due - (due - worker_->loop()->now()) / 2;
}

// What arrives just before the end of the time leaves its client none to open the window: what has not arrived by half of it is under way, if
// anything arrives at all: less than the system's buffer holds is watched by nobody else, and whoever reads nothing would never be cut. Returns when the time is over, which is no sooner than as much again.
int64_t ServerCall::look_halfway(int64_t now, int64_t due) {
  if (!half_due_ns_ || now < half_due_ns_) return due;
  const Config& config = worker_->config();
  const int64_t arrived = conn_->arrived();
  under_way_ = arrived < put_out_ && arrived >= under_way_goal_;
  under_way_goal_ = std::min(conn_->put_out(), arrived + int64_t(Config::least(config.stall_rate, config.stall_ms)));
  return std::max(due, now + due - std::exchange(half_due_ns_, 0));
}

// What its client's windows let go, and waits all the same, waits for the connection, and its neighbours there. Where only the
// connection's window holds it back, it is their turn in that: what all of them took together counts. And who had not got what was put out
// when the time began, since much lies in the system, could not give its window back.
bool ServerCall::waits_its_turn() const {
  return conn_->lags(this) || (!conn_->holds(this) && conn_->gone() >= all_goal_) || under_way_;
}

bool ServerCall::stalls(int64_t now) {
  if (!stall_due_ns_) return false;
  stall_due_ns_ = look_halfway(now, stall_due_ns_);
  if (now < stall_due_ns_) return false;
  stall_due_ns_ = 0;
  if (conn_->pending(this) == 0) return false;  // watched again when something waits again
  if (h2.gone() < gone_goal_ && !waits_its_turn()) return true;
  expect_progress();
  return false;
}

// A unary answer is complete, and waits for the client's windows.
void ServerCall::answer_not_taken() {
  if (!conn_ || cut_ || conn_->pending(this) == 0) return;
  if (late()) return cut("deadline exceeded");
  if (stalls(worker_->loop()->now())) return cut(kNotTaken);
  wait_for_time();
}

// The rest of an answer is given up. What a gRPC client can be told yet, because nothing of the message has left, it is told;
// others hear of a reset.
void ServerCall::cut(const char* why) {
  if (why == kNotTaken) log_not_taken();
  if (!error && refused_ == Code::kOk) {
    cut_ = true;
    outcome_ = Status(Code::kDeadlineExceeded, why);
    counters->add(counters->calls_failed, 1);
  }
  bool told = !stream_out_ && cut_ && request_.protocol() == rpc::Protocol::kGrpc && conn_->drop_unsent(this) &&
              reply_.end_stream(request_, outcome_.error(), nullptr).ok();
  if (told) conn_->end_unary(this);
  else conn_->reset(this, http::kH2Cancel);
}

void ServerCall::log_not_taken() const {
  unsigned long long n = worker_->server()->tell(Server::kNotTaken, worker_->loop()->now());
  std::string_view path = logged_path();
  if (n) worker_->log().format(base::LogLevel::kInfo, "%.*s: %.*s: the client takes too little of its answer (ZCRPC_SERVER_STALL_TIMEOUT is %lld ms); %zu bytes wait; %llu cut so",
                               int(peer_size_), peer_, int(path.size()), path.data(), static_cast<long long>(worker_->config().stall_ms), stream_out_ ? untaken() : conn_->pending(this), n);
}

// ---- the time of what comes

int64_t ServerCall::arriving_since(int64_t now) const { return arriving_ns_ + conn_->unread_ns(now) - unread_ns_; }

void ServerCall::begin_arriving() {
  arriving_ns_ = worker_->loop()->now();
  unread_ns_ = conn_->unread_ns(arriving_ns_);
  conn_->expect_by(net::Timers::after(arriving_ns_, worker_->config().body_grace_ms));
}

// Between its messages a stream may be silent; one that has begun has the time of a body.
void ServerCall::expect_rest() {
  const uint64_t at = reader_.body_bytes - reader_.begun_bytes();
  if (std::exchange(arriving_at_, at) != at) begin_arriving();
}

void ServerCall::asked(int64_t at) {
  if (state_ != State::kBody) return;
  asked_at_ = at;
  conn_->expect_by(net::Timers::after(worker_->loop()->now(), Connection::kLookAgainMs));
}

void ServerCall::go_ahead() {
  asked_at_ = 0;
  begin_arriving();
}

// ---- places

// Before anything of the body is read. Clients take unavailable for what may be sent again, here or elsewhere.
bool ServerCall::occupy() {
  if (route_->uncounted) return true;
  if (!worker_->occupy()) {
    fail(Status(Code::kUnavailable, "the server has too many calls"));
    return false;
  }
  return occupies_ = true;
}

void ServerCall::vacate() {
  if (std::exchange(occupies_, false)) worker_->vacate();
}

// What waits for a client's windows is held here: who has that much of it begins nothing more. Its request goes on waiting where
// it lies, or in memory of its own.
void ServerCall::park() {
  parked_ = true;
  conn_->parked(1);
  if (!kept_ && reader_.borrowed()) keep_or_own();
}

void ServerCall::unpark() {
  if (!std::exchange(parked_, false)) return;
  conn_->parked(-1);
  if (state_ == State::kBody) dispatch();
}

void ServerCall::on_timer() {
  if (lingering_) {
    if (!conn_) return;
    // Clients that are still sending take a reset for a failure, whatever its code: curl 7.88, nginx.
    int64_t now = worker_->loop()->now(), more = worker_->config().reset_ms * net::Timers::kNsPerMs;
    if (!conn_->reads()) linger_due_ns_ += more;
    else if (dropped_ == dropped_seen_ || now >= linger_due_ns_) return conn_->reset(this, http::kH2NoError);
    dropped_seen_ = dropped_;
    worker_->loop()->set_timer(&timer_, now + more);
    return;
  }
  if (state_ == State::kAnswered && !stream_out_) return answer_not_taken();
  if (state_ == State::kAnswered) {
    // The end was decided long ago, and the peer has not taken what comes before it. One that goes on taking is waited for.
    if (!conn_ || cut_ || (http2_ && h2.sent())) return;
    const Config& config = worker_->config();
    int64_t now = worker_->loop()->now();
    stall_due_ns_ = look_halfway(now, stall_due_ns_);
    if (now < stall_due_ns_) return worker_->loop()->set_timer(&timer_, stall_due_ns_);
    size_t left = untaken(), due = Config::least(config.body_rate, config.stall_ms);
    if (!ours_ && !late() && (left + due <= left_seen_ || waits_its_turn())) return expect_end();
    return cut(ours_ || late() ? "deadline exceeded" : kNotTaken);
  }
  int64_t now = worker_->loop()->now();
  if (finished_.load()) return;  // by another thread, whose answer is on its way here
  if (late()) return fail(Status(Code::kDeadlineExceeded, "deadline exceeded"));
  if (stalls(now)) {
    log_not_taken();
    return fail(Status(Code::kDeadlineExceeded, kNotTaken));
  }
  if (stream_out_ && route_->silence_ms >= 0 && now >= net::Timers::after(heard_ns_, route_->silence_ms))
    return fail(Status(Code::kDeadlineExceeded, "no message for too long"));
  wait_for_time();  // something was heard, or has left, since the timer was set
}

void ServerCall::body(Slice bytes) {
  if (takes_credit()) return stream_body(bytes);
  if (lingering_ && (dropped_ += bytes.size) > worker_->config().dropped) conn_->reset(this, http::kH2NoError);
  if (state_ != State::kBody) return;
  if (asked_at_) [[unlikely]] go_ahead();  // it did not wait
  if (request_.text()) {
    if (!bytes.empty()) text_body(bytes);
    return;
  }
  if (Status s = reader_.data(bytes); !s.ok()) {
    fail(std::move(s));
    return;
  }
  if (reader_.borrowed() && !borrowing_) {
    borrowing_ = true;
    conn_->borrows(1);
  }
}

void ServerCall::body(const base::Piece& piece) {
  base::Buffer* before = kept_;
  kept_ = piece.buffer->retain();
  body(piece.bytes);
  if (before) before->release();  // what was borrowed from it has been joined with this
}

void ServerCall::body_end() {
  if (borrowing_) {
    borrowing_ = false;
    conn_->borrows(-1);
  }
  if (takes_credit()) return stream_body_end();
  if (state_ == State::kBody && request_.text()) text_body({});
  if (state_ != State::kBody) return;
  Status s = request_.protocol() == rpc::Protocol::kConnectGet ? reader_.query(request_.get_message(), request_.get_base64()) : reader_.end();
  if (!s.ok()) {
    fail(std::move(s));
  } else if (conn_->backed_up()) [[unlikely]] {
    park();
  } else {
    dispatch();
  }
}

void ServerCall::outlive_block() {
  if (borrowing_ && !kept_) keep_or_own();
}

// So many blocks may be kept; what comes then is copied.
void ServerCall::keep_or_own() {
  if (worker_->kept_blocks < Worker::kMostKept) {
    keep_block();
    counted_kept_ = true;
    worker_->kept_blocks++;
  } else if (Status s = reader_.own(); !s.ok()) {
    fail(std::move(s));
  }
}

void ServerCall::keep_block() {
  if (!kept_ && reader_.borrowed()) kept_ = worker_->blocks.current()->retain();
}

void ServerCall::dispatch() {
  state_ = State::kHandling;
  if (late()) {
    fail(Status(Code::kDeadlineExceeded, "deadline exceeded"));
    return;
  }
  if (Status s = reader_.expand(); !s.ok()) {
    fail(std::move(s));
    return;
  }
  message_ = reader_.message();
  counters->add(counters->messages_in, 1);
  message_in_ = reader_.body_bytes;
  size_in_ = message_.size;
  message_in_seen_ = 1;
  heard_ns_ = worker_->loop()->now();
  if (is_plain_) return dispatch_plain();
  if (Status s = decode(); !s.ok()) {
    fail(bad_request(std::move(s)));
    return;
  }
  if (route_->fn) {
    if (route_->interceptors) [[unlikely]] {
      // Their turn, then the handler's.
      first.record = {};
      first.record.kind = ZCRPC_EVENT_REQUEST;
      first.record.flags = ZCRPC_EVENT_END;
      first.message = view_;
      set_message(&first, message_);
      retain();
      bool go_on = before_request(&first);
      if (!go_on && refs.load(std::memory_order_acquire) > 1) keep_block();
      if (refs.fetch_sub(1, std::memory_order_acq_rel) == 1 && !go_on) settle();
      if (!go_on) return;
    }
    call_handler();
  } else {
    queue_request();
  }
}

Status ServerCall::decode() {
  if (!method->input) {
    if (!speaks_json()) return {};
    return Status(Code::kUnimplemented, "this method has no schema here, so it takes no JSON");
  }
  view::Limits limits = route_->decode;
  if (request_.codec() == rpc::Codec::kJson) {
    const size_t text = message_.size;
    ZCRPC_TRY(read_json(&from_json_, &message_));
    limits = view::of_text(limits, text, message_.size);
  }
  bool slack = request_.codec() == rpc::Codec::kProto;  // of blocks and of the reader's own buffers
  if (local_ && reader_.borrowed()) slack = slack && kept_->has_slack();
  auto v = view::decode(method->input, message_, slack, limits, &arena_);
  if (!v.ok()) return v.take_status();
  view_ = *v;
  return {};
}

// A message in JSON becomes one in *e.
Status ServerCall::read_json(encode::Encoder** e, Slice* message) {
  if (!*e && !(*e = encode::encoder_new(nullptr, worker_->allocator()))) return Status::no_memory();
  encode::reset(*e, method->input);
  json::ParseOptions o;
  o.max_depth = route_->decode.max_depth;
  o.max_output = route_->message_limit;
  ZCRPC_TRY(json::parse(method->input, *message, o, *e));
  auto bytes = encode::contiguous(*e);
  if (!bytes.ok()) return bytes.take_status();
  *message = *bytes;
  return {};
}

void ServerCall::call_handler() {
  if (watched_) {
    retain();  // an interceptor may hold it too
    handled_ns_ = worker_->clock_ns();
  } else {
    refs.store(1, std::memory_order_relaxed);
  }
  const Route* r = route_;
  zcrpc_code code = ZCRPC_INTERNAL;
  rpc::Thrown thrown;
  bool good = rpc::came_back([&] {
    code = r->fn(reinterpret_cast<zcrpc_call*>(static_cast<rpc::Call*>(this)), reinterpret_cast<const zcrpc_view*>(view_),
                 reinterpret_cast<zcrpc_encoder*>(own_encoder_), r->user);
  }, &thrown);
  if (!good) [[unlikely]] log_thrown("handler", thrown.what());
  if (code != ZCRPC_PENDING && !finished_.exchange(true)) {
    if (code != ZCRPC_OK) {
      bool known = code >= ZCRPC_CANCELED && code <= ZCRPC_UNAUTHENTICATED;
      outcome_ = Status(known ? Code(code) : Code::kInternal, "");
    }
    complete();
  }
  // What was received stays readable for whoever has retained the call.
  if (refs.load(std::memory_order_acquire) > 1) keep_block();
  if (refs.fetch_sub(1, std::memory_order_acq_rel) == 1) settle();
}

// Its text is for the log alone.
void ServerCall::log_thrown(const char* who, std::string_view what) const {
  std::string_view path = logged_path();
  worker_->log().format(base::LogLevel::kError, "%.*s: the %s threw: %.*s", int(path.size()), path.data(), who, int(what.size()), what.data());
}

void ServerCall::threw(rpc::Call* call, std::string_view what) {
  auto* c = static_cast<ServerCall*>(call);
  c->log_thrown("handler", what);
  if (c->finished_.exchange(true)) return;
  c->outcome_ = Status(Code::kInternal, "");
  c->complete();
}

void ServerCall::queue_request() {
  if (!worker_->hub()->add(this)) {
    fail(Status::no_memory());
    return;
  }
  keep_block();
  events_ = true;
  tag = route_->tag;
  retain();  // until DONE has been released
  if (watched_) handled_ns_ = worker_->clock_ns();
  first.record = {};
  first.record.kind = ZCRPC_EVENT_REQUEST;
  first.message = view_;
  first.buffer = from_json_ && view_ ? nullptr : reader_.borrowed() ? kept_ : reader_.buffer();
  if (!stream_in_) {
    first.record.flags = ZCRPC_EVENT_END;
    set_message(&first, message_);
  }
  fn = route_->event_fn;
  fn_user = route_->user;
  first.record.value = -1;
  if (deadline_ns_) {
    int64_t left = (deadline_ns_ - worker_->loop()->now()) / net::Timers::kNsPerMs;
    first.record.value = left < 0 ? 0 : left > INT32_MAX ? INT32_MAX : int32_t(left);
  }
  first.before = route_->interceptors && !stream_in_ ? before_request : nullptr;
  worker_->hub()->push(&first);
}

void ServerCall::set_message(rpc::Event* e, Slice message) {
  e->record.data = uint64_t(reinterpret_cast<uintptr_t>(message.data));
  e->record.len = uint32_t(message.size);
  if (!e->message) return;
  const zcrpc_index* index = schema::index_of(e->message);
  e->record.index = uint64_t(reinterpret_cast<uintptr_t>(index));
  e->record.index_len = index->size;
}

void ServerCall::done_event() {
  done.record = {};
  done.record.kind = ZCRPC_EVENT_DONE;
  done.record.value = error ? int32_t(error->code()) : int32_t(refused_);
  if (error) {
    std::string_view text = error->message_view();
    done.record.data = uint64_t(reinterpret_cast<uintptr_t>(text.data()));
    done.record.len = uint32_t(text.size());
  }
  done.before = watched_ ? before_done : nullptr;
  done.released = nullptr;
  if (events_) done.released = [](rpc::Event* e) { e->call->release(); };
  worker_->hub()->push(&done);
}

// ---- the end

void ServerCall::finish(rpc::Call* call, Status s) {
  auto* c = static_cast<ServerCall*>(call);
  if (c->finished_.load()) {  // and its server, with all that belongs to it, may have gone
    c->counters->dropped.fetch_add(1, std::memory_order_relaxed);
    return;
  }
  if (s.error() && !s.error()->spoken()) s = c->unspoken(s);
  // The one answer of a method whose requests stream is its end's, as a unary call's.
  if (c->stream_out_ && s.ok() && !(c->method->flags & schema::kServerStream) && !c->stream_->messages_out.load()) {
    if (Status sent = c->queue_encoded(); !sent.ok()) s = c->bad_reply(sent);
  }
  if (c->is_plain_ && s.ok()) s = c->plain_end();
  if (c->finished_.exchange(true)) {
    c->counters->dropped.fetch_add(1, std::memory_order_relaxed);
    return;
  }
  c->outcome_ = std::move(s);
  c->retain();
  if (!c->worker_->run_inside(&c->finish_task_)) c->release();
}

// As a task: with the reference that finish took.
void ServerCall::finish_inside(ServerCall* c) {
  c->complete();
  c->release();
}

void ServerCall::cancel(rpc::Call* call) {
  auto* c = static_cast<ServerCall*>(call);
  if (c->finished_.exchange(true)) return;
  c->aborted_.store(true, std::memory_order_relaxed);
  c->outcome_ = Status(Code::kCanceled, "canceled by the server");
  c->retain();
  if (!c->worker_->run_inside(&c->finish_task_)) c->release();
}

void ServerCall::fail(Status s) {
  if (finished_.exchange(true)) return;
  ours_ = true;
  outcome_ = std::move(s);
  complete();
}

void ServerCall::linger() {
  if (!conn_) return;
  lingering_ = true;
  linger_due_ns_ = worker_->loop()->now() + worker_->config().dropped_ms * net::Timers::kNsPerMs;
  if (stream_in_) let_go_of_held();
  worker_->loop()->set_timer(&timer_, worker_->loop()->now() + worker_->config().reset_ms * net::Timers::kNsPerMs);
}

// Called once a call, after finished_ was set by whoever wrote outcome_.
void ServerCall::complete() {
  worker_->loop()->clear_timer(&timer_);
  stall_due_ns_ = 0;
  if (watched_) finished_ns_ = worker_->clock_ns();
  if (!conn_) {
    outcome_ = {};  // closed() told of the end already
    set(rpc::kDone);
    return;
  }
  state_ = State::kAnswered;
  if (stream_out_ && !aborted_.load(std::memory_order_relaxed)) return complete_stream();
  if (aborted_.load(std::memory_order_relaxed)) {
    conn_->reset(this, http::kH2Cancel);
  } else {
    if (outcome_.ok()) outcome_ = answer_ok();
    if (!outcome_.ok()) answer_error(*outcome_.error());
  }
  if (!outcome_.ok()) counters->add(counters->calls_failed, 1);
  error = outcome_.take();
  set(rpc::kDone);  // from here on other threads may look at error
}

void ServerCall::closed() {
  if (borrowing_) conn_->borrows(-1);
  borrowing_ = false;
  worker_->loop()->clear_timer(&timer_);
  if (parked_) conn_->parked(-1);
  parked_ = false;
  if (cut_) error = outcome_.take();  // not before: whoever has finished it may be looking
  reader_.let_go();
  conn_->narrowed(std::exchange(widened, 0));
  conn_->count_queued(&counted_out_, 0);
  if (stream_out_) {
    conn_->unhold(stream_->held_size());
    let_go_of_block();
    std::lock_guard lock(stream_->gate);
    stream_->over = true;
  }
  if (is_plain_ && stream_out_) take_plain_events();
  conn_->unlink(this);
  // Whoever resets streams does not get rid of their handlers.
  if (state_ == State::kHandling && !finished_.load()) {
    home_ = conn_;
    home_->adopt(this);
  } else {
    vacate();
  }
  conn_ = nullptr;
  counters->add(counters->calls_now, uint64_t(-1));
  if (!finished_.exchange(true)) {
    if (route_) counters->add(counters->calls_failed, 1);
    error = Status(Code::kCanceled, "canceled by the client").take();
    set(rpc::kDone);
  } else if (state_ == State::kHandling) {
    // Another thread's answer is on its way here, too late: complete() drops it.
    error = Status(Code::kCanceled, "canceled by the client").take();
  }
  state_ = State::kAnswered;
  if (watched_) ended_ns_ = worker_->clock_ns();
  if (counted_) counters->add(counters->codes[error ? size_t(error->code()) : size_t(refused_)], 1);
  if (events_ || watched_) done_event();
  settle();
}

void ServerCall::unreferenced(rpc::Call* call) {
  auto* c = static_cast<ServerCall*>(call);
  if (c->settling_.exchange(true)) return;  // a task that does it is under way
  if (!c->worker_->run_inside(&c->settle_task_)) {
    // The worker has left its loop, and with it every connection: nothing is left to do but this.
    Worker* w = c->worker_;
    c->occupies_ = false;
    c->recycle();
    destroy(c);
    w->release();
  }
}

void ServerCall::orphaned() {
  home_->leave(this);
  home_ = nullptr;
}

void ServerCall::settle() {
  if (refs.load(std::memory_order_acquire) != 0 || settling_.load()) return;
  if (state_ == State::kHandling && !finished_.load()) {
    worker_->loop()->log().text(base::LogLevel::kError, "a handler let go of its call without an answer");
    fail(Status(Code::kInternal, ""));
  }
  if (conn_ || state_ == State::kHandling) return;
  recycle();
  Worker* w = worker_;
  w->give_call(this);
  w->release();
}

void ServerCall::count_copies() {
  counters->add(counters->copies_in, reader_.copies - copies_seen_);
  counters->add(counters->bytes_copied_in, reader_.bytes_copied - bytes_copied_seen_);
  copies_seen_ = reader_.copies;
  bytes_copied_seen_ = reader_.bytes_copied;
}

// Back to what a fresh call is, with its memory.
void ServerCall::recycle() {
  count_copies();
  if (home_) orphaned();
  vacate();
  if (counted_kept_) worker_->kept_blocks--;
  for (base::Buffer** b : {&kept_, &chunk_, &reply_buffer_, &certificate_})
    if (*b) {
      (*b)->release();
      *b = nullptr;
    }
  if (arena_.reserved() > kKeptArena) {
    arena_.~Arena();
    new (&arena_) base::Arena(worker_->allocator());
  } else {
    arena_.reset();
  }
  if (encoder || from_json_) {
    encode::reset(own_encoder_, nullptr);
    encode::trim(own_encoder_, kKeptOutput);
    if (from_json_) {
      encode::reset(from_json_, nullptr);
      encode::trim(from_json_, kKeptOutput);
    }
  }
  if (stream_) {
    let_go_of_block();
    stream_->recycle();
  }
  if (is_plain_ && http_) {
    http_->clear();
    http_->events = nullptr;
  }
  if (json_.bytes().capacity() > kKeptOutput) json_.bytes().drop();
  json_.clear();
  if (reply_bytes_.capacity() > kKeptOutput) reply_bytes_.drop();
  reply_bytes_.clear();
  pieces_.clear();
  request_.clear();
  reader_.reset();
  reply_.clear();
  headers_.clear();
  trailers_.clear();
  base::Error::free(error);
  error = nullptr;
  outcome_ = {};
  refs.store(0, std::memory_order_relaxed);
  flags.store(rpc::kServerSide, std::memory_order_relaxed);
  id = tag = 0;
  user = nullptr;
  method = nullptr;
  encoder = nullptr;
  route_ = nullptr;
  view_ = nullptr;
  message_ = {};
  state_ = State::kHead;
  fn = nullptr;
  fn_user = nullptr;
  drop_values();
  stream_in_ = stream_out_ = is_plain_ = watched_ = unheard_ = false;
  message_in_seen_ = 0;
  refused_ = Code::kOk;
  intercepted_ = 0;
  heard_ns_ = ended_ns_ = handled_ns_ = finished_ns_ = 0;
  size_in_ = size_out_ = 0;
  counted_ = cut_ = parked_ = under_way_ = false;
  stall_due_ns_ = half_due_ns_ = 0;
  under_way_goal_ = INT64_MIN;
  coding_.store(compress::Coding::kIdentity, std::memory_order_relaxed);
  plain_.store(false, std::memory_order_relaxed);
  events_ = lingering_ = borrowing_ = counted_kept_ = reply_given_ = ours_ = false;
  aborted_.store(false, std::memory_order_relaxed);
  finished_.store(false, std::memory_order_relaxed);
  deadline_ns_ = asked_at_ = 0;
  arriving_at_ = kNoMessage;
  message_in_ = message_out_ = left_seen_ = 0;
  dropped_ = dropped_seen_ = 0;
  h2 = Stream{};
  h2.self = this;
}

}  // namespace zcrpc::server
