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

const ClientCall::Kind UnaryCall::kKind = {.send = UnaryCall::send, .finish = UnaryCall::finish, .destroy = UnaryCall::destroy};

UnaryCall::UnaryCall(Channel* channel, const CallConfig& config)
    : ClientCall(&kKind, channel, config), request_(channel->allocator()), arena_(channel->allocator()) {
  verbs = &kVerbs;
  HttpSink::status = [](HttpSink* s, int32_t n) {
    auto* c = static_cast<UnaryCall*>(s);
    c->answered_ = true;
    return c->answer_.status(n);
  };
  HttpSink::header = [](HttpSink* s, std::string_view n, std::string_view v) { return static_cast<UnaryCall*>(s)->answer_.header(n, v); };
  HttpSink::data = [](HttpSink* s, Slice b, base::Buffer* holder) { return static_cast<UnaryCall*>(s)->on_data(b, holder); };
  HttpSink::ended = [](HttpSink* s, Status r) { static_cast<UnaryCall*>(s)->on_ended(std::move(r)); };
}

Result<UnaryCall*> UnaryCall::make(Channel* channel, const schema::Method* m, const CallConfig& config) {
  const base::Allocator* a = channel->allocator();
  void* p = a->alloc(sizeof(UnaryCall), a->user);
  if (!p) return Status::no_memory();
  auto* c = new (p) UnaryCall(channel, config);
  if (Status s = c->init(m); !s.ok()) {
    destroy(c);
    return s;
  }
  return c;
}

void UnaryCall::destroy(ClientCall* call) {
  auto* c = static_cast<UnaryCall*>(call);
  Channel* channel = c->channel_;
  const base::Allocator* a = channel->allocator();
  c->free_parts();
  c->~UnaryCall();
  a->free(c, sizeof(UnaryCall), a->user);
  channel->release();
}

// ---- Beginning ----

Status UnaryCall::prepare() {
  if (state_.load() != State::kNew) return Status(Code::kFailedPrecondition, "the call has begun already");
  if (encode::failed(encoder)) return encode::take_status(encoder);
  Result<Slice> lies = encode::contiguous(encoder);
  if (!lies.ok()) return lies.take_status();
  Result<base::Buffer*> wire = encode::finish(encoder);
  if (!wire.ok()) return wire.take_status();
  base::BufferRef bytes(*wire);
  message_copied_ = bytes->size() && bytes->data() != lies->data;
  Result<base::Buffer*> coded = coded_message(method, config_, bytes.get());
  if (!coded.ok()) return coded.take_status();
  message_.reset(*coded);
  set_deadline();
  return {};
}

Status UnaryCall::unary(rpc::Call* call, schema::View* reply) {
  auto* c = static_cast<UnaryCall*>(call);
  if (!c->method->output) return Status(Code::kUnimplemented, "a method without a schema has no view: its reply comes as an event");
  if (c->channel_->loop()->inside()) return Status(Code::kFailedPrecondition, "a blocking call inside its loop's turn");
  ZCRPC_TRY(c->prepare());
  c->go(true);
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
  c->go(false);
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
  if (s.ok()) s = c->read_block(meta);
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
Status UnaryCall::send(ClientCall* call) {
  auto* c = static_cast<UnaryCall*>(call);
  base::BufferRef message = std::move(c->message_);
  Result<int64_t> left = c->arm();
  if (!left.ok()) return left.take_status();
  Channel* ch = c->channel_;
  Result<Transport*> transport = ch->transport();
  if (!transport.ok()) return transport.take_status();
  Transport* t = *transport;
  Request& q = c->request_;
  ZCRPC_TRY(make_request(c->method, c->config_, ch->target().prefix, message.get(), c->request_headers_, *left, ch->pool(), ch->codings(), &q));
  c->answer_.begin(c->config_.codec, c->config_.message_limit, ch->pool(), &ch->codings());
  HttpRequest r;
  r.get = q.get;
  r.repeatable = q.repeatable;
  r.target = q.target.view();
  r.headers = &q.headers;
  r.buffer = q.body.get();
  if (q.body) r.body = q.body->slice();
  Result<HttpExchange*> e = t->start(t, r, c);
  if (!e.ok()) return e.take_status();
  c->exchange_ = *e;
  c->bytes_out_ = r.body.size;
  rpc::Counters::add(c->counters->messages_out, 1);
  rpc::Counters::add(c->counters->bytes_out, r.body.size);
  // Into libcurl's own buffer; or, where it goes as it is, out of the encoder, if it did not leave there as it is.
  if (r.body.size && (!t->by_reference || c->message_copied_)) c->counters->copied_out(r.body.size);
  return {};
}

// ---- Verbs ----

base::Metadata* UnaryCall::metadata(rpc::Call* call, int32_t which) {
  auto* c = static_cast<UnaryCall*>(call);
  if (which == ZCRPC_REQUEST_HEADERS) return &c->request_headers_;
  if (!c->has(rpc::kDone) || !c->answered_) return nullptr;
  if (which == ZCRPC_RESPONSE_HEADERS) return &c->answer_.headers();
  return which == ZCRPC_RESPONSE_TRAILERS ? &c->answer_.trailers() : nullptr;
}

void UnaryCall::info(const rpc::Call* call, zcrpc_call_info* out) {
  auto* c = static_cast<const UnaryCall*>(call);
  c->fill_info(out);
  if (!c->begun_ns_) return;
  out->bytes_out = c->bytes_out_;
  out->messages_out = c->bytes_out_ > 0 || c->exchange_;
  if (!c->has(rpc::kDone)) return;
  out->bytes_in = const_cast<UnaryCall*>(c)->answer_.reader().body_bytes;
  out->messages_in = c->error == nullptr;
}

// Operations of a turn on a client's unary call: it can be canceled, and nothing else.
Status UnaryCall::op(rpc::Call* call, const zcrpc_op* o, Slice, base::Buffer* buffer, Slice) {
  if (o->kind != ZCRPC_OP_CANCEL) return Status(Code::kInvalidArgument, "not an operation for a client's unary call");
  base::BufferRef drop(buffer);
  cancel(call);
  return {};
}

// ---- The answer ----

bool UnaryCall::on_data(Slice bytes, base::Buffer* holder) {
  rpc::Counters::add(counters->bytes_in, bytes.size);
  return answer_.data(bytes, holder);
}

void UnaryCall::on_ended(Status s) {
  exchange_ = nullptr;
  finish(this, outcome(std::move(s)));
}

Status UnaryCall::outcome(Status transport) {
  if (!transport.ok()) return or_late(std::move(transport));
  ZCRPC_TRY(answer_.finish());
  rpc::MessageReader& reader = answer_.reader();
  if (reader.bytes_copied) rpc::Counters::add(counters->copies_in, reader.copies);
  rpc::Counters::add(counters->bytes_copied_in, reader.bytes_copied);
  return decode_reply();
}

Status UnaryCall::decode_reply() {
  bool slack;
  base::BufferRef bytes(answer_.take(&slack));
  if (!bytes) return Status::no_memory();
  if (!method->output) {
    reply_bytes_ = std::move(bytes);
    return {};
  }
  view::Limits limits = config_.decode;
  if (config_.codec == rpc::Codec::kJson) {
    json::ParseOptions lenient;
    lenient.ignore_unknown = true;  // a newer server may say more than we know
    encode::reset(encoder, method->output);
    if (Status s = json::parse(method->output, bytes->slice(), lenient, encoder); !s.ok()) return blame_server(std::move(s), method->output);
    Result<base::Buffer*> wire = encode::finish(encoder);
    if (!wire.ok()) return wire.take_status();
    limits = view::of_text(limits, bytes->size(), (*wire)->held());
    bytes.reset(*wire);
    slack = true;
  }
  if (!arena_.hold(bytes.get())) return Status::no_memory();
  Result<schema::View> v = view::decode(method->output, bytes->slice(), slack, limits, &arena_);
  if (!v.ok()) return blame_server(v.take_status(), method->output);
  reply_ = *v;
  reply_bytes_ = std::move(bytes);
  rpc::Counters::add(counters->messages_in, 1);
  return {};
}

// [inside] The one end of every call.
void UnaryCall::finish(ClientCall* call, Status s) {
  auto* c = static_cast<UnaryCall*>(call);
  if (c->exchange_) c->channel_->cancel(c->exchange_);
  c->exchange_ = nullptr;
  if (!c->ending(s)) return;
  c->request_.body.reset();
  c->error = s.take();
  if (c->error) {
    c->reply_ = nullptr;
  } else {
    zcrpc_event& r = c->done.record;
    base::Buffer* bytes = c->reply_bytes_.get();
    r.data = reinterpret_cast<uintptr_t>(bytes->data());
    r.len = uint32_t(bytes->size());
    c->done.buffer = bytes;
    if (c->reply_) {
      r.index = reinterpret_cast<uintptr_t>(schema::index_of(c->reply_));
      r.index_len = schema::index_of(c->reply_)->size;
      c->done.message = c->reply_;
    }
  }
  c->tell_end();
}

}  // namespace zcrpc::client
