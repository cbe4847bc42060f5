// Calls of the server's own process, from another thread or loop: they take no link.
#include <cstring>
#include <utility>

#include "server/local.h"
#include "sim/peers.h"

namespace sim {

using namespace zcrpc;

struct Locals::One : server::LocalClient {
  Locals* of;
  Call* call;
  server::LocalExchange* exchange;
  std::string answer;

  One(Locals* locals, Call* c) : of(locals), call(c), exchange(nullptr) {
    head = [](LocalClient*, server::LocalExchange*) { return true; };
    piece = [](LocalClient* self, const base::Piece& p) {
      {
        WorldSide out;
        static_cast<One*>(self)->answer.append(p.bytes.text());
      }
      p.buffer->release();
      return true;
    };
    writable = [](LocalClient*) {};
    ended = [](LocalClient* self, base::Status s) { answered(static_cast<One*>(self), std::move(s)); };
  }
};

Locals::Locals(World* w, net::Loop* loop, server::Server* s) : world_(w), loop_(loop), server_(s) {}
Locals::~Locals() = default;

void Locals::add(Call* c, int64_t when_ns) {
  calls_.push_back(std::make_unique<One>(this, c));
  One* one = calls_.back().get();
  world_->at(when_ns, [one] { one->of->begin(one); });
}

void Locals::end(One* one) {
  Call* c = one->call;
  c->ended++;
  open_--;
  c->ended_ns = world_->now();
  world_->note("call %u ends for its client in this process: code %d%s", c->number, c->code, c->wrong_bytes ? ", WRONG BYTES" : "");
}

void Locals::begin(One* one) {
  Call* c = one->call;
  c->begun = true;
  open_++;
  world_->note("call %u begins in this process: a request of %zu", c->number, c->request_size);
  std::string body = c->request_body(0), number = std::to_string(c->number), timeout = std::to_string(c->timeout_ms);
  ServerSide side;
  net::Inside in(loop_);
  if (!in) return world_->wrong("a sleeping loop cannot be entered");
  server::LocalExchange* e = server::LocalExchange::make(loop_, one);
  bool good = e != nullptr;
  if (good) {
    e->target.append(c->path());
    good = e->target.ok() && e->headers.add("content-type", base::Slice(std::string_view("application/proto"))) && e->headers.add("x-call", base::Slice(std::string_view(number)));
    if (good && c->timeout_ms >= 0) good = e->headers.add("connect-timeout-ms", base::Slice(std::string_view(timeout)));
    base::BufferRef bytes(good ? base::Buffer::make(body.size()) : nullptr);
    if (bytes && !body.empty()) memcpy(bytes->writable(), body.data(), body.size());
    base::Piece whole{bytes ? bytes->slice() : base::Slice(), bytes.get()};
    good = bytes && e->send({&whole, 1}, true);
  }
  if (!good || !e->begin(server_).ok()) {
    if (e) e->release();
    c->refused = true;
    WorldSide out;
    return end(one);
  }
  one->exchange = e;
  WorldSide out;
  if (c->cancel_ns >= 0) world_->after(c->cancel_ns, [this, one] { cancel(one); });
}

void Locals::cancel(One* one) {
  if (!one->exchange) return;
  world_->note("call %u: its client in this process gives up", one->call->number);
  one->call->canceled = true;
  end(one);
  ServerSide side;
  net::Inside in(loop_);
  one->exchange->cancel();
  std::exchange(one->exchange, nullptr)->release();
}

void Locals::answered(One* one, base::Status failure) {
  server::LocalExchange* e = one->exchange;
  {
    WorldSide out;
    Call* c = one->call;
    if (failure.ok()) {
      c->judge_body(e->status, one->answer, true, -1);
    } else {
      c->code = int(failure.code());
    }
    one->of->end(one);
    one->exchange = nullptr;
  }
  e->release();
}

}  // namespace sim
