#include "client/call.h"

#include <algorithm>
#include <cstring>
#include <new>

#include "json/json.h"

namespace zcrpc::client {

using base::Code;
using base::Result;
using base::Slice;
using base::Status;

namespace {
constexpr int64_t kMaxTimeoutMs = 9'999'999'999;  // ten digits, as the header takes them
constexpr int64_t kNsPerMs = 1'000'000;

// Error objects have one owner: the call keeps its own, a blocking caller gets a copy.
base::Error* copy_of(const base::Error* e) {
  if (e->is_static()) return base::Error::no_memory();
  base::Error* c = base::Error::make(e->code(), e->message_view());
  if (c->is_static()) return c;
  bool good = c->set_path(e->path());
  c->set_offset(e->offset());
  for (size_t i = 0; good && i < e->detail_count(); i++) good = c->add_detail(e->detail_type(i), e->detail_value(i));
  good = good && c->metadata()->add_all(*e->metadata());
  if (good) return c;
  base::Error::free(c);
  return base::Error::no_memory();
}
}  // namespace

const rpc::Verbs UnaryCall::kVerbs = {
    .send = nullptr,
    .send_headers = nullptr,
    .close_send = nullptr,
    .room = nullptr,
    .read = nullptr,
    .cancel = UnaryCall::cancel,
    .finish = nullptr,
    .start = UnaryCall::start,
    .unary = UnaryCall::unary,
    .next = nullptr,
    .set_timeout = UnaryCall::set_timeout,
    .time_left_ms = UnaryCall::time_left_ms,
    .metadata = UnaryCall::metadata,
    .info = UnaryCall::info,
    .op = UnaryCall::op,
    .send_bytes = nullptr,
    .reply_http = nullptr,
    .unreferenced = UnaryCall::unreferenced,
    .set_compression = nullptr,
    .threw = UnaryCall::threw,
    .forked = UnaryCall::forked,
};

// ---- Making and ending ----

UnaryCall::UnaryCall(Channel* channel, const CallConfig& config)
    : channel_(channel), method_(channel->allocator()), config_(config), request_headers_(channel->allocator()), request_(channel->allocator()),
      arena_(channel->allocator()) {
  verbs = &kVerbs;
  hub = channel->hub();
  counters = &channel->counters();
  done.call = this;
  deadline_.self = begin_.self = cancel_.self = drop_.self = this;
  HttpSink::status = [](HttpSink* s, int32_t n) {
    auto* c = static_cast<UnaryCall*>(s);
    c->answered_ = true;
    return c->answer_.status(n);
  };
  HttpSink::header = [](HttpSink* s, std::string_view n, std::string_view v) { return static_cast<UnaryCall*>(s)->answer_.header(n, v); };
  HttpSink::data = [](HttpSink* s, Slice b) { return static_cast<UnaryCall*>(s)->on_data(b); };
  HttpSink::ended = [](HttpSink* s, Status r) { static_cast<UnaryCall*>(s)->on_ended(std::move(r)); };
  deadline_.fire = [](net::Timer* t) {
    static_cast<Deadline*>(t)->self->abort(Status(Code::kDeadlineExceeded, "the deadline has passed"));
  };
  begin_.run = [](net::Task* t) {
    UnaryCall* c = static_cast<Task*>(t)->self;
    c->begin();
    c->release();
  };
  cancel_.run = [](net::Task* t) {
    UnaryCall* c = static_cast<Task*>(t)->self;
    c->abort(Status(Code::kCanceled, "the call was canceled"));
    c->release();
  };
  drop_.run = [](net::Task* t) {
    UnaryCall* c = static_cast<Task*>(t)->self;
    c->abort(Status());
    destroy(c);
  };
}

Result<UnaryCall*> UnaryCall::make(Channel* channel, const schema::Method* m, const CallConfig& config) {
  const base::Allocator* a = channel->allocator();
  void* p = a->alloc(sizeof(UnaryCall), a->user);
  if (!p) return Status::no_memory();
  auto* c = new (p) UnaryCall(channel, config);
  channel->retain();
  Status s = c->method_.set(m);
  if (s.ok() && !(c->encoder = encode::encoder_new(m->input))) s = Status::no_memory();
  if (!s.ok()) {
    destroy(c);
    return s;
  }
  c->method = c->method_.get();
  return c;
}

void UnaryCall::destroy(UnaryCall* c) {
  Channel* channel = c->channel_;
  const base::Allocator* a = channel->allocator();
  encode::encoder_free(c->encoder);
  base::Error::free(c->error);
  c->~UnaryCall();
  a->free(c, sizeof(UnaryCall), a->user);
  channel->release();
}

bool UnaryCall::try_retain() {
  uint32_t n = refs.load(std::memory_order_relaxed);
  while (n)
    if (refs.compare_exchange_weak(n, n + 1, std::memory_order_acquire)) return true;
  return false;
}

void UnaryCall::unreferenced(rpc::Call* call) {
  auto* c = static_cast<UnaryCall*>(call);
  State s = c->state_.load(std::memory_order_acquire);
  if (s == State::kNew || s == State::kEnded) return destroy(c);
  if (c->channel_->forked()) return c->drop_.run(&c->drop_);
  c->channel_->run_inside(&c->drop_);
}

// Its DONE was the only event: there is nothing to end.
void UnaryCall::threw(rpc::Call* call, std::string_view what) {
  auto* c = static_cast<UnaryCall*>(call);
  std::string_view path = c->method->path;
  c->channel_->loop()->log().format(base::LogLevel::kError, "%.*s: the function of a call threw: %.*s", int(path.size()), path.data(), int(what.size()), what.data());
}

bool UnaryCall::forked(const rpc::Call* call) {
  auto* c = static_cast<const UnaryCall*>(call);
  return c->state_.load(std::memory_order_acquire) != State::kEnded && c->channel_->forked();
}

// ---- Beginning ----

Status UnaryCall::prepare() {
  if (state_.load() != State::kNew) return Status(Code::kFailedPrecondition, "the call has begun already");
  if (encode::failed(encoder)) return encode::take_status(encoder);
  Result<base::Buffer*> wire = encode::finish(encoder);
  if (!wire.ok()) return wire.take_status();
  base::BufferRef bytes(*wire);
  Result<base::Buffer*> coded = coded_message(method, config_, bytes.get());
  if (!coded.ok()) return coded.take_status();
  message_.reset(*coded);
  set_deadline();
  return {};
}

void UnaryCall::set_deadline() {
  const net::Io* io = channel_->loop()->io();
  begun_ns_ = io->monotonic_ns(io->user);
  if (config_.timeout_ms >= 0) deadline_ns_ = begun_ns_ + std::min(config_.timeout_ms, kMaxTimeoutMs) * kNsPerMs;
}

Status UnaryCall::unary(rpc::Call* call, schema::View* reply) {
  auto* c = static_cast<UnaryCall*>(call);
  if (!c->method->output) return Status(Code::kUnimplemented, "a method without a schema has no view: its reply comes as an event");
  if (c->channel_->loop()->inside()) return Status(Code::kFailedPrecondition, "a blocking call inside its loop's turn");
  ZCRPC_TRY(c->prepare());
  c->blocking_ = true;
  c->state_.store(State::kBegun);
  c->retain();
  c->channel_->run_inside(&c->begin_);
  ZCRPC_TRY(c->channel_->wait(c));
  if (c->error) return Status(copy_of(c->error));
  *reply = c->reply_;
  return {};
}

Status UnaryCall::start(rpc::Call* call, uint64_t tag, zcrpc_event_fn fn, void* user) {
  auto* c = static_cast<UnaryCall*>(call);
  if (!c->hub) return Status(Code::kFailedPrecondition, "the channel has no loop: nobody would deliver the events");
  ZCRPC_TRY(c->prepare());
  c->tag = tag;
  c->fn = fn;
  c->fn_user = user;
  c->state_.store(State::kBegun);
  c->retain();
  c->channel_->run_inside(&c->begin_);
  return {};
}

Status UnaryCall::start_op(Channel* channel, const schema::Method* m, const zcrpc_op* op, Slice message, base::Buffer* buffer, Slice meta) {
  CallConfig config = channel->call_config();
  if (op->timeout_ms) config.timeout_ms = op->timeout_ms;
  Result<UnaryCall*> made = make(channel, m, config);
  if (!made.ok()) return made.take_status();
  UnaryCall* c = *made;
  Status s;
  base::BufferRef bytes(buffer ? buffer->retain() : base::Buffer::make(message.size));
  if (!bytes) s = Status::no_memory();
  if (bytes && !buffer && message.size) {
    memcpy(bytes->writable(), message.data, message.size);
    c->counters->copied_out(message.size);
  }
  // A block was checked when the operation was.
  while (s.ok() && !meta.empty()) {
    zcrpc_meta_head h;
    memcpy(&h, meta.data, sizeof h);
    std::string_view name = meta.part(sizeof h, h.name_len).text();
    if (!rpc::valid_metadata_name(name))
      s = Status::format(Code::kInvalidArgument, "metadata: \"%.*s\" cannot be sent", int(std::min<size_t>(name.size(), 100)), name.data());
    else if (!c->request_headers_.add(name, meta.part(sizeof h + h.name_len, h.value_len))) s = Status::no_memory();
    meta = meta.from(sizeof h + h.name_len + h.value_len);
  }
  if (s.ok()) {
    Result<base::Buffer*> coded = coded_message(m, config, bytes.get());
    if (coded.ok()) c->message_.reset(*coded);
    s = coded.take_status();
  }
  if (!s.ok()) {
    destroy(c);
    return s;
  }
  if (buffer) buffer->release();  // it passed with success
  c->set_deadline();
  c->tag = op->tag;
  c->done.released = [](rpc::Event* e) { e->call->release(); };
  c->state_.store(State::kBegun);
  c->begin();
  return {};
}

// [inside]
void UnaryCall::begin() {
  state_.store(State::kRunning);
  channel_->enlist(this);
  rpc::Counters::add(counters->calls, 1);
  rpc::Counters::add(counters->calls_now, 1);
  Status s;
  if (!blocking_ && !hub->add(this)) s = Status::no_memory();
  else if (cancel_posted_.load()) s = Status(Code::kCanceled, "the call was canceled");
  else s = send();
  message_.reset();
  if (!s.ok()) finish(std::move(s));
}

Status UnaryCall::send() {
  int64_t left = rpc::kNoTimeout;
  if (deadline_ns_) {
    left = deadline_ns_ - channel_->loop()->now();
    if (left <= 0) return Status(Code::kDeadlineExceeded, "the deadline has passed");
    channel_->loop()->set_timer(&deadline_, deadline_ns_);
  }
  Result<Transport*> transport = channel_->transport();
  if (!transport.ok()) return transport.take_status();
  Transport* t = *transport;
  ZCRPC_TRY(make_request(method, config_, channel_->target().prefix, message_.get(), request_headers_, left, channel_->pool(), channel_->codings(), &request_));
  answer_.begin(config_.codec, config_.message_limit, channel_->pool(), &channel_->codings());
  HttpRequest r;
  r.get = request_.get;
  r.repeatable = request_.repeatable;
  r.target = request_.target.view();
  r.headers = &request_.headers;
  if (request_.body) r.body = request_.body->slice();
  Result<HttpExchange*> e = t->start(t, r, this);
  if (!e.ok()) return e.take_status();
  exchange_ = *e;
  bytes_out_ = r.body.size;
  rpc::Counters::add(counters->messages_out, 1);
  rpc::Counters::add(counters->bytes_out, r.body.size);
  if (r.body.size) counters->copied_out(r.body.size);  // into libcurl's own buffer
  return {};
}

void UnaryCall::cancel(rpc::Call* call) {
  auto* c = static_cast<UnaryCall*>(call);
  // Once is enough, and before it has begun there is nothing on the wire: begin sees the mark.
  if (c->has(rpc::kDone) || c->cancel_posted_.exchange(true) || c->state_.load() == State::kNew) return;
  c->retain();
  c->channel_->run_inside(&c->cancel_);
}

void UnaryCall::set_timeout(rpc::Call* call, int64_t timeout_ms) {
  auto* c = static_cast<UnaryCall*>(call);
  if (c->state_.load() == State::kNew) c->config_.timeout_ms = timeout_ms;
}

int64_t UnaryCall::time_left_ms(const rpc::Call* call) {
  auto* c = static_cast<const UnaryCall*>(call);
  if (c->state_.load() == State::kNew) return c->config_.timeout_ms < 0 ? -1 : c->config_.timeout_ms;
  if (!c->deadline_ns_) return -1;
  if (c->has(rpc::kDone)) return 0;
  const net::Io* io = c->channel_->loop()->io();
  return std::max<int64_t>(0, (c->deadline_ns_ - io->monotonic_ns(io->user)) / kNsPerMs);
}

base::Metadata* UnaryCall::metadata(rpc::Call* call, int32_t which) {
  auto* c = static_cast<UnaryCall*>(call);
  if (which == ZCRPC_REQUEST_HEADERS) return &c->request_headers_;
  if (!c->has(rpc::kDone) || !c->answered_) return nullptr;
  if (which == ZCRPC_RESPONSE_HEADERS) return &c->answer_.headers();
  return which == ZCRPC_RESPONSE_TRAILERS ? &c->answer_.trailers() : nullptr;
}

void UnaryCall::info(const rpc::Call* call, zcrpc_call_info* out) {
  auto* c = static_cast<const UnaryCall*>(call);
  out->protocol = ZCRPC_CONNECT;
  out->codec = c->config_.codec == rpc::Codec::kJson ? ZCRPC_JSON : ZCRPC_PROTO;
  out->http = ZCRPC_HTTP1;
  out->method = reinterpret_cast<const zcrpc_method*>(c->method);
  const Endpoint& at = c->channel_->target().endpoint;
  std::string_view peer = at.socket_path.empty() ? at.authority : c->channel_->target().text.view();
  out->peer = {peer.data(), peer.size()};
  if (!c->begun_ns_) return;
  bool done = c->has(rpc::kDone);
  out->bytes_out = c->bytes_out_;
  out->messages_out = c->bytes_out_ > 0 || c->exchange_;
  if (done) {
    out->bytes_in = const_cast<UnaryCall*>(c)->answer_.reader().body_bytes;
    out->messages_in = c->error == nullptr;
    out->age_ns = c->ended_ns_ - c->begun_ns_;
    return;
  }
  const net::Io* io = c->channel_->loop()->io();
  out->age_ns = io->monotonic_ns(io->user) - c->begun_ns_;
}

// Operations of a turn on a client's unary call: it can be canceled, and nothing else.
Status UnaryCall::op(rpc::Call* call, const zcrpc_op* o, Slice, base::Buffer* buffer, Slice) {
  if (o->kind != ZCRPC_OP_CANCEL) return Status(Code::kInvalidArgument, "not an operation for a client's unary call");
  base::BufferRef drop(buffer);
  cancel(call);
  return {};
}

// ---- The answer ----

bool UnaryCall::on_data(Slice bytes) {
  rpc::Counters::add(counters->bytes_in, bytes.size);
  // libcurl takes its memory back when we return.
  return answer_.data(bytes);
}

void UnaryCall::on_ended(Status s) {
  exchange_ = nullptr;
  finish(outcome(std::move(s)));
}

Status UnaryCall::outcome(Status transport) {
  if (!transport.ok()) {
    // Whatever broke the connection after the deadline, it is the deadline that the caller wants to hear of.
    bool late = deadline_ns_ && channel_->loop()->refresh() >= deadline_ns_ && transport.code() != Code::kResourceExhausted;
    return late ? Status(Code::kDeadlineExceeded, "the deadline has passed") : std::move(transport);
  }
  ZCRPC_TRY(answer_.finish());
  rpc::MessageReader& reader = answer_.reader();
  if (reader.bytes_copied) rpc::Counters::add(counters->copies_in, reader.copies);
  rpc::Counters::add(counters->bytes_copied_in, reader.bytes_copied);
  return decode_reply();
}

// Of a message that does not hold what it should: the server's mistake, not an argument of ours.
static Status blame_server(Status s, const schema::Message* type) {
  if (s.code() != Code::kInvalidArgument) return s;
  int64_t offset = s.offset();
  return Status::format(Code::kInternal, "the reply is not a %.*s: %s", int(type->name.size()), type->name.data(), s.message())
      .at(offset).in(s.path());
}

Status UnaryCall::decode_reply() {
  base::BufferRef bytes(answer_.take());
  if (!bytes) {  // an empty body needs no memory
    bytes.reset(base::Buffer::make(0));
    if (!bytes) return Status::no_memory();
  }
  if (!method->output) {
    reply_bytes_ = std::move(bytes);
    return {};
  }
  if (config_.codec == rpc::Codec::kJson) {
    json::ParseOptions lenient;
    lenient.ignore_unknown = true;  // a newer server may say more than we know
    encode::reset(encoder, method->output);
    if (Status s = json::parse(method->output, bytes->slice(), lenient, encoder); !s.ok()) return blame_server(std::move(s), method->output);
    Result<base::Buffer*> wire = encode::finish(encoder);
    if (!wire.ok()) return wire.take_status();
    bytes.reset(*wire);
  }
  if (!arena_.hold(bytes.get())) return Status::no_memory();
  Result<schema::View> v = view::decode(method->output, bytes->slice(), bytes->has_slack(), config_.decode, &arena_);
  if (!v.ok()) return blame_server(v.take_status(), method->output);
  reply_ = *v;
  reply_bytes_ = std::move(bytes);
  rpc::Counters::add(counters->messages_in, 1);
  return {};
}

// [inside]
void UnaryCall::abort(Status why) {
  if (state_.load() != State::kRunning) return;
  if (exchange_) channel_->cancel(exchange_);
  exchange_ = nullptr;
  finish(std::move(why));
}

// [inside] The one end of every call.
void UnaryCall::finish(Status s) {
  if (finished_) return;  // it ended by itself while its last reference was being dropped
  finished_ = true;
  channel_->loop()->clear_timer(&deadline_);
  channel_->delist(this);
  rpc::Counters::add(counters->calls_now, uint64_t(-1));
  if (!s.ok()) rpc::Counters::add(counters->calls_failed, 1);
  request_.body.reset();
  ended_ns_ = channel_->loop()->now();
  // Nobody is left to hear of it: whoever dropped the last reference is about to clean up.
  if (!try_retain()) {
    if (!blocking_) hub->remove(this);
    return;
  }
  error = s.take();
  if (error) reply_ = nullptr;
  zcrpc_event& r = done.record;
  r.kind = ZCRPC_EVENT_DONE;
  r.value = error ? int32_t(error->code()) : 0;
  if (error) {
    r.data = reinterpret_cast<uintptr_t>(error->message());
    r.len = uint32_t(error->message_view().size());
  } else {
    base::Buffer* bytes = reply_bytes_.get();
    r.data = reinterpret_cast<uintptr_t>(bytes->data());
    r.len = uint32_t(bytes->size());
    if (reply_) {
      r.index = reinterpret_cast<uintptr_t>(schema::index_of(reply_));
      r.index_len = schema::index_of(reply_)->size;
      done.message = reply_;
    }
  }
  bool told_by_event = !blocking_;
  state_.store(State::kEnded, std::memory_order_release);
  if (told_by_event) {
    set(rpc::kDone);
    hub->push(&done);
  } else {
    channel_->ended(this);
  }
  release();
}

}  // namespace zcrpc::client
