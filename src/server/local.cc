#include "server/local.h"

#include <charconv>
#include <cstring>
#include <new>

#include "server/server.h"

namespace zcrpc::server {

using base::Code;
using base::Piece;
using base::Slice;
using base::Status;

LocalExchange::LocalExchange(net::Loop* loop, LocalClient* client)
    : target(loop->allocator()), headers(loop->allocator()), answer_headers(loop->allocator()), allocator_(loop->allocator()), asker_(client),
      loop_(loop), to_server_(loop->allocator()), to_client_(loop->allocator()) {
  for (Step* s : {&arrive_, &more_, &room_, &cancel_, &deliver_}) s->self = this;
  arrive_.run = [](net::Task* t) {
    LocalExchange* e = static_cast<Step*>(t)->self;
    e->arrive();
    e->release();
  };
  // Whatever is done in a step's time after it was marked as run is seen by the next one.
  more_.run = room_.run = [](net::Task* t) {
    auto* s = static_cast<Step*>(t);
    LocalExchange* e = s->self;
    s->posted.store(false);
    if (e->connection_) e->connection_->feed_local();
    e->release();
  };
  cancel_.run = [](net::Task* t) {
    LocalExchange* e = static_cast<Step*>(t)->self;
    if (e->connection_) e->connection_->close();
    e->release();
  };
  deliver_.run = [](net::Task* t) {
    auto* s = static_cast<Step*>(t);
    LocalExchange* e = s->self;
    s->posted.store(false);
    e->deliver();
    e->release();
  };
}

LocalExchange::~LocalExchange() {
  if (front_.buffer) front_.buffer->release();
}

LocalExchange* LocalExchange::make(net::Loop* loop, LocalClient* client) {
  const base::Allocator* a = loop->allocator();
  void* p = a->alloc(sizeof(LocalExchange), a->user);
  return p ? new (p) LocalExchange(loop, client) : nullptr;
}

void LocalExchange::release() {
  if (refs_.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
  Worker* w = worker_;
  const base::Allocator* a = allocator_;
  this->~LocalExchange();
  a->free(this, sizeof(LocalExchange), a->user);
  if (w) w->release();
}

// With a reference, and at most once at a time. False: the worker has left its loop.
bool LocalExchange::to_worker(Step* s) {
  if (s->posted.exchange(true)) return true;
  retain();
  if (worker_->post(s)) return true;
  release();
  return false;
}

void LocalExchange::to_client() {
  if (deliver_.posted.exchange(true)) return;
  std::lock_guard lock(gate_);
  if (!loop_) return;
  retain();
  loop_->post(&deliver_);
}

// ---- inside the client's loop

Status LocalExchange::begin(Server* s) {
  worker_ = s->pick_worker(loop_);
  if (!worker_) return Status(Code::kUnavailable, "the server does not run");
  if (to_worker(&arrive_)) return {};
  return Status(Code::kUnavailable, "the server has ended");
}

bool LocalExchange::send(std::span<const Piece> pieces, bool last) {
  if (!to_server_.push(pieces, last)) return false;
  if (worker_) (void)to_worker(&more_);  // a worker that has gone has told so
  return true;
}

size_t LocalExchange::room(size_t window) {
  if (to_server_.is_full(window)) return 0;
  size_t n = to_server_.size();
  return n < window ? window - n : 1;  // what is full by now was not when it was asked
}

void LocalExchange::used(size_t n) {
  if (n && to_client_.used(n, kWindow)) (void)to_worker(&room_);
}

void LocalExchange::cancel() {
  wanted_ = false;
  {
    std::lock_guard lock(gate_);
    loop_ = nullptr;
  }
  to_client_.clear();
  if (worker_) (void)to_worker(&cancel_);
}

void LocalExchange::deliver() {
  // Whatever came before the end is there when the end is.
  bool over = ended_.load(std::memory_order_acquire);
  bool go_on = wanted_;
  if (go_on && writable_.exchange(false)) asker_->writable(asker_);
  if (go_on && !told_head_ && head_ready_.load(std::memory_order_acquire)) {
    told_head_ = true;
    go_on = asker_->head(asker_, this);
  }
  for (Piece p; go_on && to_client_.take(&p);) {
    size_t n = p.bytes.size;
    go_on = asker_->piece(asker_, p);
    if (!streams) used(n);
  }
  if (!wanted_ || (go_on && !over)) return;
  Status failure = go_on ? std::move(failure_) : Status();
  wanted_ = false;
  if (!go_on) cancel();
  asker_->ended(asker_, std::move(failure));
}

// ---- inside the server's loop

void LocalExchange::arrive() {
  Status s = worker_->may_serve();
  if (s.ok() && !(connection_ = Connection::make_local(worker_, this))) s = Status::no_memory();
  if (!s.ok()) return end(std::move(s));
  retain();  // until gone
  connection_->begin_local(*this);
  if (connection_) connection_->feed_local();
}

bool LocalExchange::answer(std::span<const Piece> pieces) {
  if (!to_client_.push(pieces, false)) return false;
  to_client();
  return true;
}

void LocalExchange::end(Status failure) {
  if (ended_once_) return;
  ended_once_ = true;
  failure_ = std::move(failure);
  ended_.store(true, std::memory_order_release);
  to_client();
}

Piece* LocalExchange::front() {
  if (!front_.buffer && !to_server_.take(&front_)) return nullptr;
  return &front_;
}

void LocalExchange::use(size_t n) {
  front_.bytes = front_.bytes.from(n);
  if (front_.bytes.empty()) {
    front_.buffer->release();
    front_ = {};
  }
  if (n && to_server_.used(n, kWindow)) {
    writable_.store(true);
    to_client();
  }
}

void LocalExchange::gone() {
  connection_ = nullptr;
  end(Status(Code::kUnavailable, "the server ended the connection"));
  to_server_.clear();
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
  char digits[20];
  auto [end, bad] = std::to_chars(digits, digits + sizeof digits, e.pending());
  kept = kept && (e.get || e.streams || r.add("content-length", {digits, size_t(end - digits)}));
  if (!kept) return fail_later();
  wants_body_ = k->head_done();
}

// What its client has sent since: a call whose requests stream takes of it what it has credits for.
void Connection::feed_local() {
  if (dead_ || broken_ || answered_) return;
  if (wants_body_ && current_->takes_credit()) {
    current_->feed();
  } else if (wants_body_ && !ended_) {
    while (Piece* p = local_->front()) {
      size_t n = p->bytes.size;
      current_->body(*p);
      local_->use(n);
    }
    if (local_->at_end()) {
      ended_ = true;
      current_->body_end();
    }
  }
  flush_later();  // its client may take more of the answer, too
}

// What lies in memory of its own, or in the server's, is copied; what a buffer holds goes as it is.
bool Connection::share(std::span<const Piece> pieces, Slice before, Slice behind, base::Vec<Piece>* out, base::BufferRef* copies) {
  size_t size = before.size + behind.size, copied = 0;
  for (const Piece& p : pieces)
    if (!p.buffer) copied += p.bytes.size;
  if (!out->reserve(pieces.size() + 2)) return false;
  if (size + copied) copies->reset(base::Buffer::make(size + copied, worker_->allocator()));
  if (size + copied && !*copies) return false;
  uint8_t* to = *copies ? (*copies)->writable() : nullptr;
  auto copy = [&](Slice s) {
    if (!s.size) return;
    memcpy(to, s.data, s.size);
    // Neighbours are one piece.
    if (!out->empty() && out->back().buffer == copies->get()) out->back().bytes.size += s.size;
    else (void)out->push({{to, s.size}, copies->get()});
    to += s.size;
  };
  copy(before);
  for (const Piece& p : pieces) {
    if (p.buffer) (void)out->push(p);
    else copy(p.bytes);
  }
  copy(behind);
  if (copied) worker_->counters().copied_out(copied);
  return true;
}

bool Connection::head_local(const rpc::Reply& r) {
  local_->status = r.status();
  for (const base::Header& h : r.headers())
    if (!local_->answer_headers.add(h.name, Slice(h.value))) return false;
  local_->head_done();
  return true;
}

// The answer as a whole, in memory that its client may keep.
void Connection::answer_local(ServerCall* c, Slice body) {
  const rpc::Reply& r = c->reply();
  answered_ = true;
  std::span<const Piece> pieces = r.is_error() || !body.empty() ? std::span<const Piece>() : c->pieces();
  base::Vec<Piece> all(worker_->allocator());
  base::BufferRef copies;
  if (!head_local(r) || !share(pieces, r.prefix(), body, &all, &copies) || !local_->answer({all.data(), all.size()})) return fail_later();
  local_->end({});
}

void Connection::stream_local(ServerCall* c, std::span<const Piece> pieces, bool first, bool last) {
  base::Vec<Piece> all(worker_->allocator());
  base::BufferRef copies;
  if ((first && !head_local(c->reply())) || !share(pieces, {}, {}, &all, &copies) || !local_->answer({all.data(), all.size()})) return fail_later();
  answered_ = last;
  if (last) local_->end({});
  flush_later();
}

}  // namespace zcrpc::server
