#include "server/local.h"

#include <charconv>
#include <cstring>
#include <new>

#include "server/server.h"

namespace zcrpc::server {

using base::Code;
using base::Slice;
using base::Status;

LocalExchange::LocalExchange(net::Loop* client)
    : target(client->allocator()), headers(client->allocator()), answer_headers(client->allocator()), allocator_(client->allocator()), client_(client) {
  arrive_.self = cancel_.self = deliver_.self = this;
  arrive_.run = [](net::Task* t) {
    LocalExchange* e = static_cast<Step*>(t)->self;
    e->arrive();
    e->release();
  };
  cancel_.run = [](net::Task* t) {
    LocalExchange* e = static_cast<Step*>(t)->self;
    if (e->connection_) e->connection_->close();
    e->release();
  };
  deliver_.run = [](net::Task* t) {
    LocalExchange* e = static_cast<Step*>(t)->self;
    if (e->wanted_) e->answered_(e, e->user_);
    e->release();
  };
}

LocalExchange* LocalExchange::make(net::Loop* client, void (*answered)(LocalExchange* e, void* user), void* user) {
  const base::Allocator* a = client->allocator();
  void* p = a->alloc(sizeof(LocalExchange), a->user);
  if (!p) return nullptr;
  auto* e = new (p) LocalExchange(client);
  e->answered_ = answered;
  e->user_ = user;
  return e;
}

void LocalExchange::release() {
  if (refs_.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
  Worker* w = worker_;
  const base::Allocator* a = allocator_;
  this->~LocalExchange();
  a->free(this, sizeof(LocalExchange), a->user);
  if (w) w->release();
}

Status LocalExchange::begin(Server* s) {
  worker_ = s->pick_worker(client_);
  if (!worker_) return Status(Code::kUnavailable, "the server does not run");
  retain();
  if (worker_->post(&arrive_)) return {};
  release();
  return Status(Code::kUnavailable, "the server has ended");
}

void LocalExchange::cancel() {
  wanted_ = false;
  {
    std::lock_guard lock(gate_);
    client_ = nullptr;
  }
  if (!worker_) return;
  retain();
  if (!worker_->post(&cancel_)) release();
}

// ---- inside the server's loop

void LocalExchange::arrive() {
  Status s = worker_->may_serve();
  if (s.ok() && !(connection_ = Connection::make_local(worker_, this))) s = Status::no_memory();
  if (!s.ok()) {
    failure = std::move(s);
    return answer();
  }
  retain();  // until gone
  connection_->begin_local(*this);
}

void LocalExchange::answer() {
  if (answered_once_) return;
  answered_once_ = true;
  std::lock_guard lock(gate_);
  if (!client_) return;
  retain();
  client_->post(&deliver_);
}

void LocalExchange::gone() {
  connection_ = nullptr;
  if (!answered_once_) failure = Status(Code::kUnavailable, "the server ended the connection");
  answer();
  release();
}

// ---- the connection

Connection* Connection::make_local(Worker* w, LocalExchange* e) {
  const base::Allocator* a = w->allocator();
  void* p = a->alloc(sizeof(Connection), a->user);
  if (!p) return nullptr;
  auto* c = new (p) Connection(w, -1, net::Address{});
  c->local_ = e;
  c->protocol_ = Protocol::kLocal;
  static constexpr std::string_view kPeer = "inproc";
  memcpy(c->peer_, kPeer.data(), kPeer.size());
  c->peer_size_ = kPeer.size();
  w->opened(c);
  return c;
}

void Connection::begin_local(const LocalExchange& e) {
  head_due_ns_ = 0;
  answered_ = false;
  ServerCall* k = worker_->take_call();
  if (!k) return fail_later();
  current_ = k;
  k->begin(this);
  rpc::Request& r = k->request();
  bool kept = r.set_line(e.get ? "GET" : "POST", e.target.view());
  for (size_t i = 0; i < e.headers.size(); i++) kept = kept && r.add(e.headers.name(i), e.headers.value(i).text());
  Slice bytes = e.body ? e.body->slice() : Slice();
  char digits[20];
  auto [end, bad] = std::to_chars(digits, digits + sizeof digits, bytes.size);
  kept = kept && (e.get || r.add("content-length", {digits, size_t(end - digits)}));
  if (!kept) return fail_later();
  ended_ = true;
  if (!k->head_done()) return;
  if (bytes.size) {
    k->hold_body(e.body.get());
    k->body(bytes);
  }
  k->body_end();
}

// The answer goes as a whole, in memory that its client may keep.
void Connection::answer_local(ServerCall* c, Slice body) {
  const rpc::Reply& r = c->reply();
  answered_ = true;
  local_->status = r.status();
  bool good = true;
  for (const base::Header& h : r.headers()) good = good && local_->answer_headers.add(h.name, Slice(h.value));
  size_t size = 0;
  std::span<const base::Piece> pieces = r.is_error() || !body.empty() ? std::span<const base::Piece>() : c->pieces();
  for (const base::Piece& p : pieces) size += p.bytes.size;
  size += r.prefix().size + body.size;
  base::Buffer* whole = good ? base::Buffer::make(size) : nullptr;
  if (!whole) return fail_later();
  uint8_t* to = whole->writable();
  auto put = [&](Slice s) {
    if (s.size) memcpy(to, s.data, s.size);
    to += s.size;
  };
  put(r.prefix());
  put(body);
  for (const base::Piece& p : pieces) put(p.bytes);
  worker_->counters().copied_out(size);
  local_->answer_body.reset(whole);
  local_->answer();
}

}  // namespace zcrpc::server
