#include "client/client_call.h"

#include <algorithm>
#include <cstring>

#include "rpc/protocol.h"

namespace zcrpc::client {

using base::Code;
using base::Result;
using base::Slice;
using base::Status;

namespace {
constexpr int64_t kMaxTimeoutMs = 9'999'999'999;  // ten digits, as the header takes them
constexpr int64_t kNsPerMs = 1'000'000;
}  // namespace

// Error objects have one owner: the call keeps its own, a blocking caller gets a copy.
base::Error* ClientCall::copy_of(const base::Error* e) {
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

Status blame_server(Status s, const schema::Message* type) {
  if (s.code() != Code::kInvalidArgument) return s;
  int64_t offset = s.offset();
  return Status::format(Code::kInternal, "the reply is not a %.*s: %s", int(type->name.size()), type->name.data(), s.message())
      .at(offset).in(s.path());
}

// ---- Making and ending ----

ClientCall::ClientCall(const Kind* kind, Channel* channel, const CallConfig& config)
    : kind_(kind), channel_(channel), method_(channel->allocator()), config_(config), request_headers_(channel->allocator()) {
  channel->retain();
  hub = channel->hub();
  counters = &channel->counters();
  first.call = done.call = this;
  deadline_.self = begin_.self = cancel_.self = drop_.self = drop_late_.self = this;
  deadline_.fire = [](net::Timer* t) {
    static_cast<Deadline*>(t)->self->abort(Status(Code::kDeadlineExceeded, "the deadline has passed"));
  };
  begin_.run = [](net::Task* t) {
    ClientCall* c = static_cast<Task*>(t)->self;
    c->begin();
    c->release();
  };
  cancel_.run = [](net::Task* t) {
    ClientCall* c = static_cast<Task*>(t)->self;
    c->abort(Status(Code::kCanceled, "the call was canceled"));
    c->release();
  };
  drop_.run = [](net::Task* t) {
    ClientCall* c = static_cast<Task*>(t)->self;
    c->abort(Status());
    c->kind_->destroy(c);
  };
  drop_late_.run = [](net::Deferred* d) {
    ClientCall* c = static_cast<Late*>(d)->self;
    c->drop_.run(&c->drop_);
  };
}

Status ClientCall::init(const schema::Method* m) {
  ZCRPC_TRY(method_.set(m));
  if (!(encoder = encode::encoder_new(m->input))) return Status::no_memory();
  method = method_.get();
  return {};
}

void ClientCall::free_parts() {
  encode::encoder_free(encoder);
  base::Error::free(error);
}

bool ClientCall::try_retain() {
  uint32_t n = refs.load(std::memory_order_relaxed);
  while (n)
    if (refs.compare_exchange_weak(n, n + 1, std::memory_order_acquire)) return true;
  return false;
}

void ClientCall::unreferenced(rpc::Call* call) {
  auto* c = static_cast<ClientCall*>(call);
  State s = c->state_.load(std::memory_order_acquire);
  if (s == State::kNew || s == State::kEnded) return c->kind_->destroy(c);
  if (c->channel_->forked()) return c->drop_.run(&c->drop_);
  if (c->channel_->loop()->inside() && c->in_sink_) return c->channel_->loop()->defer(&c->drop_late_);
  c->channel_->run_inside(&c->drop_);
}

// What its function threw. A stream ends with it; a unary call's DONE was its only event.
void ClientCall::threw(rpc::Call* call, std::string_view what) {
  auto* c = static_cast<ClientCall*>(call);
  std::string_view path = c->method->path;
  c->channel_->loop()->log().format(base::LogLevel::kError, "%.*s: the function of a call threw: %.*s", int(path.size()), path.data(), int(what.size()), what.data());
  cancel(c);
}

bool ClientCall::forked(const rpc::Call* call) {
  auto* c = static_cast<const ClientCall*>(call);
  return c->state_.load(std::memory_order_acquire) != State::kEnded && c->channel_->forked();
}

// ---- Beginning ----

void ClientCall::set_deadline() {
  const net::Io* io = channel_->loop()->io();
  begun_ns_ = io->monotonic_ns(io->user);
  if (config_.timeout_ms >= 0) deadline_ns_ = begun_ns_ + std::min(config_.timeout_ms, kMaxTimeoutMs) * kNsPerMs;
}

void ClientCall::go(bool blocking) {
  blocking_ = blocking;
  state_.store(State::kBegun);
  retain();
  channel_->run_inside(&begin_);
}

// A block was checked when the operation was.
Status ClientCall::read_block(Slice meta) {
  while (!meta.empty()) {
    zcrpc_meta_head h;
    memcpy(&h, meta.data, sizeof h);
    std::string_view name = meta.part(sizeof h, h.name_len).text();
    if (!rpc::valid_metadata_name(name))
      return Status::format(Code::kInvalidArgument, "metadata: \"%.*s\" cannot be sent", int(std::min<size_t>(name.size(), 100)), name.data());
    if (!request_headers_.add(name, meta.part(sizeof h + h.name_len, h.value_len))) return Status::no_memory();
    meta = meta.from(sizeof h + h.name_len + h.value_len);
  }
  return {};
}

// [inside]
void ClientCall::begin() {
  state_.store(State::kRunning);
  channel_->enlist(this);
  rpc::Counters::add(counters->calls, 1);
  rpc::Counters::add(counters->calls_now, 1);
  Status s;
  if (!blocking_ && !hub->add(this)) s = Status::no_memory();
  else if (cancel_posted_.load()) s = Status(Code::kCanceled, "the call was canceled");
  else s = kind_->send(this);
  if (!s.ok()) kind_->finish(this, std::move(s));
}

Result<int64_t> ClientCall::arm() {
  if (!deadline_ns_) return rpc::kNoTimeout;
  int64_t left = deadline_ns_ - channel_->loop()->now();
  if (left <= 0) return Status(Code::kDeadlineExceeded, "the deadline has passed");
  channel_->loop()->set_timer(&deadline_, deadline_ns_);
  return left;
}

// ---- Verbs ----

void ClientCall::cancel(rpc::Call* call) {
  auto* c = static_cast<ClientCall*>(call);
  // Once is enough, and before it has begun there is nothing on the wire: begin sees the mark.
  if (c->has(rpc::kDone) || c->cancel_posted_.exchange(true) || c->state_.load() == State::kNew) return;
  c->retain();
  c->channel_->run_inside(&c->cancel_);
}

void ClientCall::set_timeout(rpc::Call* call, int64_t timeout_ms) {
  auto* c = static_cast<ClientCall*>(call);
  if (c->state_.load() == State::kNew) c->config_.timeout_ms = timeout_ms;
}

int64_t ClientCall::time_left_ms(const rpc::Call* call) {
  auto* c = static_cast<const ClientCall*>(call);
  if (c->state_.load() == State::kNew) return c->config_.timeout_ms < 0 ? -1 : c->config_.timeout_ms;
  if (!c->deadline_ns_) return -1;
  if (c->has(rpc::kDone)) return 0;
  const net::Io* io = c->channel_->loop()->io();
  return std::max<int64_t>(0, (c->deadline_ns_ - io->monotonic_ns(io->user)) / kNsPerMs);
}

void ClientCall::fill_info(zcrpc_call_info* out) const {
  out->protocol = ZCRPC_CONNECT;
  out->codec = config_.codec == rpc::Codec::kJson ? ZCRPC_JSON : ZCRPC_PROTO;
  out->http = channel_->http();
  out->method = reinterpret_cast<const zcrpc_method*>(method);
  const Endpoint& at = channel_->target().endpoint;
  std::string_view peer = at.socket_path.empty() ? at.authority : channel_->target().text.view();
  out->peer = {peer.data(), peer.size()};
  if (!begun_ns_) return;
  const net::Io* io = channel_->loop()->io();
  out->age_ns = (has(rpc::kDone) ? ended_ns_ : io->monotonic_ns(io->user)) - begun_ns_;
}

// ---- The end ----

Status ClientCall::or_late(Status s) {
  bool late = !s.ok() && deadline_ns_ && channel_->loop()->refresh() >= deadline_ns_ && s.code() != Code::kResourceExhausted;
  return late ? Status(Code::kDeadlineExceeded, "the deadline has passed") : std::move(s);
}

// [inside]
void ClientCall::abort(Status why) {
  if (state_.load() == State::kRunning) kind_->finish(this, std::move(why));
}

bool ClientCall::ending(const Status& s) {
  if (finished_) return false;  // it ended by itself while its last reference was being dropped
  finished_ = true;
  channel_->loop()->clear_timer(&deadline_);
  channel_->delist(this);
  rpc::Counters::add(counters->calls_now, uint64_t(-1));
  if (!s.ok()) rpc::Counters::add(counters->calls_failed, 1);
  ended_ns_ = channel_->loop()->now();
  // Nobody is left to hear of it: whoever dropped the last reference is about to clean up.
  if (try_retain()) return true;
  if (!blocking_) hub->remove(this);
  return false;
}

void ClientCall::tell_end() {
  zcrpc_event& r = done.record;
  r.kind = ZCRPC_EVENT_DONE;
  r.value = error ? int32_t(error->code()) : 0;
  if (error) {
    r.data = reinterpret_cast<uintptr_t>(error->message());
    r.len = uint32_t(error->message_view().size());
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
