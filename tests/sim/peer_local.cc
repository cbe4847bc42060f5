// Calls of the server's own process, from another thread or loop: they take no link.
#include <cstring>
#include <utility>

#include "server/local.h"
#include "sim/peers.h"

namespace sim {

using namespace zcrpc;

struct Locals::One {
  Locals* of;
  Call* call;
  server::LocalExchange* exchange;
};

Locals::Locals(World* w, net::Loop* loop, server::Server* s) : world_(w), loop_(loop), server_(s) {}
Locals::~Locals() = default;

void Locals::add(Call* c, int64_t when_ns) {
  calls_.push_back(std::make_unique<One>(One{this, c, nullptr}));
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
  server::LocalExchange* e = server::LocalExchange::make(loop_, [](server::LocalExchange* x, void* user) { answered(static_cast<One*>(user), x); }, one);
  bool good = e != nullptr;
  if (good) {
    e->target.append(c->path());
    good = e->target.ok() && e->headers.add("content-type", base::Slice(std::string_view("application/proto"))) && e->headers.add("x-call", base::Slice(std::string_view(number)));
    if (good && c->timeout_ms >= 0) good = e->headers.add("connect-timeout-ms", base::Slice(std::string_view(timeout)));
    e->body.reset(good ? base::Buffer::make(body.size()) : nullptr);
    good = bool(e->body);
    if (good && !body.empty()) memcpy(e->body->writable(), body.data(), body.size());
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

void Locals::answered(One* one, server::LocalExchange* e) {
  {
    WorldSide out;
    Call* c = one->call;
    if (e->failure.ok()) {
      std::string_view body;
      if (e->answer_body) body = e->answer_body->slice().text();
      c->judge_body(e->status, body, true, -1);
    } else {
      c->code = int(e->failure.code());
    }
    one->of->end(one);
    one->exchange = nullptr;
  }
  e->release();
}

}  // namespace sim
