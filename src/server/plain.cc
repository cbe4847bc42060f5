// Requests that are no calls, and their answers; preflights of browsers; messages that are bytes.
#include <new>

#include "rpc/thrown.h"
#include "server/call.h"
#include "server/server.h"

namespace zcrpc::server {

using base::Code;
using base::Slice;
using base::Status;

// ---- what browsers ask before a call

bool ServerCall::answer_preflight() {
  if (!Cors::is_preflight(request_)) return false;
  finished_.store(true);
  set(rpc::kDone);
  state_ = State::kAnswered;
  if (Status s = worker_->config().cors.preflight(request_, &reply_); !s.ok()) {
    conn_->fail_later();
  } else {
    conn_->answer(this, {});
  }
  return true;
}

// ---- plain HTTP

const Route* ServerCall::plain_route(const rpc::Refusal& r) const {
  bool taken = local_ || (route_ && r.http != 405 && r.http != 415);
  return taken ? nullptr : worker_->server()->routes().special(Routes::kPlain);
}

bool ServerCall::begin_plain(const Route* r) {
  route_ = r;
  method = r->method;
  is_plain_ = true;
  if (!occupy()) return false;
  if (!http_) http_ = new (std::nothrow) PlainState;
  if (!http_ || !request_.make_plain() || !prepare_stream()) {
    fail(Status::no_memory());
    return false;
  }
  stream_out_ = true;
  coding_.store(compress::Coding::kIdentity, std::memory_order_relaxed);
  set_deadline();
  wait_for_time();
  // The body of a call is nobody's, and may have no end.
  if (request_.protocol() != rpc::Protocol::kNone) {
    dispatch_plain();
    return false;
  }
  if (request_.content_length() > 0 && uint64_t(request_.content_length()) > r->message_limit) {
    fail(Status(Code::kResourceExhausted, "the body is too large"));
    return false;
  }
  rpc::MessageReader::Options o;
  o.limit = r->message_limit;
  o.compressed_limit = worker_->config().compressed_limit;
  o.content_length = request_.content_length();
  o.pool = &worker_->compression;
  o.codings = &worker_->config().codings;
  reader_.begin(o);
  state_ = State::kBody;
  return true;
}

void ServerCall::dispatch_plain() {
  state_ = State::kHandling;
  auto slice = [](std::string_view s) { return zcrpc_slice{s.data() ? s.data() : "", s.size()}; };
  zcrpc_http h{};
  h.struct_size = sizeof h;
  h.method = slice(request_.method_text());
  h.path = slice(request_.path());
  h.query = slice(request_.query());
  h.content_type = slice(request_.content_type_text());
  h.headers = slice("");
  h.body = slice(message_.text());
  refs.store(1, std::memory_order_relaxed);
  rpc::Thrown thrown;
  bool good = rpc::came_back([&] { route_->http_fn(reinterpret_cast<zcrpc_call*>(static_cast<rpc::Call*>(this)), &h, route_->user); }, &thrown);
  if (!good) [[unlikely]] threw(this, thrown.what());
  // What was received stays readable for whoever has retained the call.
  if (refs.load(std::memory_order_acquire) > 1) keep_block();
  if (refs.fetch_sub(1, std::memory_order_acq_rel) == 1) settle();
}

// [any] The one thread that answers.
Status ServerCall::reply_http(rpc::Call* call, const zcrpc_http& r) {
  auto* c = static_cast<ServerCall*>(call);
  if (!c->is_plain_) return Status(Code::kFailedPrecondition, "not a call for plain HTTP");
  ZCRPC_TRY(c->may_send());
  StreamState& s = *c->stream_;
  if (s.headers_gone.load()) return Status(Code::kFailedPrecondition, "it was answered already");
  if (r.status < 200 || r.status > 599) return Status(Code::kInvalidArgument, "status: 200 to 599");
  std::string_view lines(r.headers.data ? r.headers.data : "", r.headers.len);
  std::string_view type(r.content_type.data ? r.content_type.data : "", r.content_type.len);
  if (!rpc::valid_lines(lines)) return Status(Code::kInvalidArgument, "headers: a line that cannot be sent");
  if (!rpc::valid_metadata_value(type)) return Status(Code::kInvalidArgument, "content_type: printable ASCII");
  const auto* buffer = reinterpret_cast<const base::Buffer*>(r.buffer);
  Slice body(r.body.data, r.body.len);
  if (buffer && (body.data < buffer->data() || body.data + body.size > buffer->data() + buffer->size()))
    return Status(Code::kInvalidArgument, "body: not in the buffer");
  PlainState& p = *c->http_;
  p.clear();
  p.status = r.status;
  p.type.append(type);
  p.lines.append(lines);
  if (!p.type.ok() || !p.lines.ok()) return Status::no_memory();
  bool empty = r.status == 204 || r.status == 304;
  p.bodiless = empty || c->request_.head_request();
  if (!r.more) p.length = int64_t(r.body.len);
  else if (r.length && r.length <= INT64_MAX) p.length = int64_t(r.length);
  p.left = p.length < 0 ? 0 : uint64_t(p.length);
  Status st = c->queue_plain(body, reinterpret_cast<base::Buffer*>(r.buffer));
  if (empty) p.length = -1;  // they have none by definition
  ZCRPC_TRY(std::move(st));
  bool hears = r.more && r.events;
  if (hears) {
    std::lock_guard lock(s.gate);
    if (s.over) return Status(Code::kCanceled, "the call has ended");
    p.events = r.events;  // from here on it hears of the end
    p.events_user = r.events_user;
  }
  if (!s.headers_gone.exchange(true) || hears) c->stream_task();
  if (!r.more) finish(c, {});
  return {};
}

// [inside] Who answers in pieces wants to hear of room and of the end. Without memory its events have no number.
void ServerCall::take_plain_events() {
  {
    std::lock_guard lock(stream_->gate);
    if (events_ || !http_->events) return;
    fn = http_->events;
    fn_user = http_->events_user;
  }
  (void)worker_->hub()->add(this);
  events_ = true;
  tag = route_->tag;
  retain();  // until DONE has been released
}

Status ServerCall::queue_plain(Slice bytes, base::Buffer* buffer) {
  ZCRPC_TRY(may_send());
  StreamState& s = *stream_;
  if (http_->length >= 0) {
    if (bytes.size > http_->left) return Status(Code::kFailedPrecondition, "more than the length that was told");
    http_->left -= bytes.size;
  }
  if (http_->bodiless || bytes.empty()) return {};
  {
    std::lock_guard lock(s.gate);
    if (s.over) return Status(Code::kCanceled, "the call has ended");
    if (!s.filling.add({bytes, buffer})) return Status::no_memory();
    s.queued.fetch_add(bytes.size);
  }
  s.headers_gone.store(true);
  s.bytes_out.fetch_add(bytes.size, std::memory_order_relaxed);
  stream_task();
  return {};
}

Status ServerCall::plain_end() const {
  const char* wrong = !stream_->headers_gone.load() ? "a plain request was finished without an answer"
                      : http_->length >= 0 && http_->left ? "an answer's body is shorter than its length" : nullptr;
  if (!wrong) return {};
  std::string_view path = logged_path();
  worker_->log().format(base::LogLevel::kError, "%.*s: %s", int(path.size()), path.data(), wrong);
  return Status(Code::kInternal, "");
}

Status ServerCall::begin_plain_answer() {
  rpc::Reply::Plain p;
  p.status = http_->status;
  p.content_type = http_->type.view();
  p.lines = http_->lines.view();
  p.length = http_->length;
  return reply_.begin_plain(p, ours_ ? nullptr : &headers_);
}

// What the server itself finds wrong has no body.
void ServerCall::answer_plain_error(const base::Error& e) {
  int status = rpc::http_from_code(e.code());
  if (e.code() == Code::kResourceExhausted) status = &e == base::Error::no_memory() ? 503 : 413;
  reply_.bare(status);
  conn_->answer(this, {});
}

// ---- bytes

Status ServerCall::send_bytes(rpc::Call* call, Slice bytes, base::Buffer* buffer) {
  auto* c = static_cast<ServerCall*>(call);
  if (c->is_plain_) {
    if (!c->stream_->headers_gone.load()) return Status(Code::kFailedPrecondition, "the answer begins with zcrpc_call_reply_http");
    return c->queue_plain(bytes, buffer);
  }
  if (c->stream_out_) return c->queue_bytes(bytes, buffer);
  if (c->finished_.load()) return Status(Code::kCanceled, "the call has ended");
  if (!buffer) {
    c->reply_bytes_.clear();
    if (!c->reply_bytes_.append(bytes.data, bytes.size)) return Status::no_memory();
  }
  if (c->reply_buffer_) c->reply_buffer_->release();
  c->reply_buffer_ = buffer ? buffer->retain() : nullptr;
  c->reply_given_ = true;
  return {};
}

}  // namespace zcrpc::server
