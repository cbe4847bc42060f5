#include "sim/run.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <vector>

#include "net/loop.h"
#include "server/server.h"
#include "sim/call.h"
#include "sim/peers.h"
#include "sim/world.h"

namespace sim {

using namespace zcrpc;

namespace {

// What the run is like: the calmer, the more can be asked of it.
struct Weather {
  bool calm = false;       // nothing goes wrong: every call gets its own answer
  int64_t drain_ns = 0, grace_ms = 0;
};

class Run {
 public:
  Run(uint64_t seed, bool trace) : world_(seed, trace), dice_(world_.chance()) { seed_tls(seed); }

  Outcome go() {
    plan();
    world_.watch_memory();
    if (start()) {
      while (!drained_ && world_.why.empty()) {
        turn();
        if (world_.now() > drained_by_) world_.wrong("the drain has not ended");
        if (world_.turns() > 2'000'000) world_.wrong("more turns than any run needs");
      }
      if (world_.why.empty()) settle();
    }
    stop();
    if (world_.why.empty()) judge();
    Outcome o;
    o.why = world_.why;
    o.turns = world_.turns();
    o.allocations = sim_memory_count();
    o.failed_allocations = world_.failed_allocations();
    o.peak = sim_memory_peak();
    o.bound = memory_bound();
    o.calls = calls_.size();
    for (auto& c : calls_) o.answered += c->code == 0;
    return o;
  }

 private:
  struct Handling {         // of a call that the server has told of
    Call* call;
    rpc::Call* handle;
    int sent = 0;
    bool ended = false, ending = false;
  };

  // ---- the plan

  // Memory: enough in most runs; in others one allocation fails, some of them, or all for a while.
  void plan_shortage() {
    if (!dice_.once_in(3)) return;
    Shortage& s = world_.shortage;
    s.first = uint64_t(dice_.once_in(8) ? dice_.between(1, 60) : dice_.between(40, 300));  // a start takes about 50, a run about 150
    switch (dice_.below(4)) {
      case 0:
        s.last = UINT64_MAX;
        s.one_in = dice_.of<uint64_t>({2, 10, 30});
        break;
      case 1: s.last = s.first + dice_.below(100); break;
      default: s.last = s.first;
    }
  }

  void plan() {
    int mood = int(dice_.below(4));  // 0 and 1: calm; 2: rough; 3: wild
    weather_.calm = mood < 2;
    world_.faults.latency_ms = dice_.of<int64_t>({0, 1, 10, 100});
    slow_ = world_.faults.latency_ms == 100;
    if (!dice_.once_in(3)) {
      world_.faults.interrupt = dice_.of<uint64_t>({0, 50, 10});
      world_.faults.short_read = dice_.of<uint64_t>({0, 10, 2, 1});
      world_.faults.short_write = dice_.of<uint64_t>({0, 10, 2, 1});
      world_.faults.spurious = dice_.of<uint64_t>({0, 20});
    }
    world_.faults.stall = dice_.of<uint64_t>({0, 0, 200, 30});
    world_.faults.stall_ms = dice_.of<int64_t>({10, 500, 3000});
    if (mood == 3) {
      world_.faults.option = 3;
      world_.faults.accept = dice_.of<uint64_t>({0, 3});
      world_.faults.ctl = dice_.of<uint64_t>({0, 100});
      world_.faults.stall_ms = dice_.of<int64_t>({500, 20'000, 60'000});
      excuse_time_ = true;
    }
    config_.max_streams = uint32_t(dice_.of<int>({1, 3, 100, 100}));
    config_.max_age_ms = weather_.calm && dice_.once_in(2) ? -1 : dice_.of<int64_t>({-1, 300, 2000, 30'000});
    if (config_.max_age_ms >= 0) config_.age_grace_ms = dice_.of<int64_t>({-1, -1, 0, 500, 5000});
    config_.idle_ms = dice_.of<int64_t>({1000, 300'000, 300'000});
    config_.lame_duck_ms = dice_.of<int64_t>({0, 0, 500});
    config_.proxy_protocol = dice_.once_in(10);
    config_.high_water = dice_.of<size_t>({4 << 10, 256 << 10});
    if (dice_.once_in(3)) config_.pipelined = 4 << 10;
    if (dice_.once_in(4)) config_.max_requests = dice_.between(1, 6), few_ = true;
    weather_.drain_ns = world_.now() + dice_.of<int64_t>({10 * kMs, kSecond, 30 * kSecond, 120 * kSecond});
    weather_.grace_ms = dice_.of<int64_t>({0, 1000, 60'000});
    if (mood < 1) {  // all the time that it takes
      weather_.drain_ns = world_.now() + 3600 * kSecond;
      weather_.grace_ms = 600'000;
      all_ = true;
    }
    if (few_ || (config_.max_age_ms >= 0 && (config_.max_age_ms < 10'000 || config_.age_grace_ms >= 0))) all_ = false;
    if (dice_.once_in(8)) config_.untaken = dice_.of<size_t>({64 << 10, 256 << 10}), tight_ = true;
    heavy_ = dice_.once_in(100);
    tls_ = dice_.once_in(10) ? tls_server() : nullptr;
    plan_shortage();
  }

  Call* make_call(bool http2) {
    auto c = std::make_unique<Call>();
    c->number = uint32_t(calls_.size());
    c->http2 = http2;
    c->kind = Kind(dice_.of<int>({0, 0, 0, 1, 2, 3}));
    c->protocol = Protocol(dice_.below(3));
    if (!http2) {
      if (c->kind == Kind::kChat) c->kind = Kind::kPush;
      if (c->protocol == Protocol::kGrpc) c->protocol = Protocol::kConnect;
    }
    auto size = [&] { return size_t(dice_.once_in(12) ? dice_.below(70'000) : dice_.once_in(4) ? dice_.below(6000) : dice_.below(200)); };
    c->request_size = size();
    c->reply_size = size();
    if (c->requests_stream()) c->requests = int(dice_.below(6));
    if (c->answers_stream()) c->replies = int(dice_.below(6));
    if (c->kind == Kind::kChat) c->replies = c->requests;
    if (dice_.once_in(4)) c->outcome = int(dice_.between(1, 16));
    c->way = Way(dice_.of<int>({0, 0, 0, 1, 2}));
    c->later_ns = dice_.of<int64_t>({kMs, 100 * kMs, 3 * kSecond});
    c->flood = dice_.once_in(4);
    if (c->requests_stream() && dice_.once_in(4)) {
      c->early = int(dice_.below(uint64_t(c->requests) + 1));
      if (c->kind == Kind::kChat) c->replies = c->early;
    }
    if (heavy_ && http2 && (c->kind == Kind::kPull || c->kind == Kind::kPush)) {
      c->heavy = true;
      (c->kind == Kind::kPull ? c->replies : c->requests) = int(dice_.between(50, 200));
      (c->kind == Kind::kPull ? c->reply_size : c->request_size) = size_t(dice_.between(5000, 20'000));
      c->early = -1;
      c->flood = false;
    }
    if (!weather_.calm) {
      if (dice_.once_in(8)) c->way = Way(dice_.between(3, 5));
      if (dice_.once_in(6)) c->timeout_ms = dice_.of<int64_t>({0, 1, 50, 1000, 9'999'999});
      if (dice_.once_in(6)) c->cancel_ns = dice_.between(0, 2 * kSecond);
    }
    calls_.push_back(std::move(c));
    return calls_.back().get();
  }

  void make_clients() {
    int n = int(dice_.between(1, 4));
    for (int i = 0; i < n; i++) {
      Manner m;
      m.think_ms = dice_.of<int64_t>({0, 1, 20, 200});
      m.read_most = dice_.of<size_t>({65536, 65536, 1000, 60});
      m.chunk = dice_.of<size_t>({65536, 1000, 100});
      m.slow_window = dice_.once_in(3);
      m.window = uint32_t(dice_.of<int>({65535, 1 << 20, slow_ ? 5000 : 1000, 5000}));
      if (heavy_) m.read_most = std::max<size_t>(m.read_most, 1000), m.chunk = std::max<size_t>(m.chunk, 1000);
      // Slower than the least rate, and the server lets it go.
      if (m.window == 1000 || m.chunk == 100 || m.read_most == 60) m.think_ms = std::min<int64_t>(m.think_ms, 1);
      m.ping = dice_.of<uint64_t>({0, 10});
      m.expect = dice_.of<uint64_t>({0, 0, 3});
      // One that reads slowly, and sends meanwhile.
      bool slow_reader = dice_.once_in(8);
      if (slow_reader) m.read_most = 60, m.think_ms = dice_.of<int64_t>({20, 100}), m.expect = 0, m.chunk = 65536;
      m.proxy = config_.proxy_protocol;
      m.tls = tls_ != nullptr;
      m.old_tls = dice_.once_in(4);
      m.names_protocol = !dice_.once_in(4);
      if (!weather_.calm) {
        m.abort = dice_.of<uint64_t>({0, 0, 100});
        m.close = dice_.of<uint64_t>({0, 0, 100});
        m.fin = dice_.of<uint64_t>({0, 0, 100});
        m.goaway = dice_.of<uint64_t>({0, 0, 50});
        m.garbage = dice_.of<uint64_t>({0, 0, 0, 50});
      }
      bool http2 = !dice_.once_in(3);
      clients_.push_back(http2 ? make_http2(&world_, m) : make_http1(&world_, m, dice_.once_in(2)));
      Client* client = clients_.back().get();
      int64_t begin = world_.now() + dice_.of<int64_t>({0, 50, 2000}) * kMs;
      for (int64_t k = dice_.between(1, 6), when = begin; k > 0; k--) {
        Call* call = make_call(http2);
        if (slow_reader) {  // what it sends lies there while its answers are not taken
          call->reply_size = size_t(dice_.between(20'000, 70'000));
          call->request_size = size_t(dice_.between(2000, 6000));
          when += dice_.between(0, 1000) * kMs;
        }
        client->add(call, when);
        if (!dice_.once_in(3)) when += dice_.between(0, 400) * kMs;
      }
      client->finish();
      world_.at(begin, [this, client, slow_reader] {
        if (!world_.dial(client)) return client->lost();
        client->link->slow = slow_reader;
        world_.wake(client->link);
      });
    }
  }

  // Calls of the server's own process, beside the others.
  void make_locals() {
    if (!dice_.once_in(3)) return;
    locals_ = std::make_unique<Locals>(&world_, loop_, server_);
    for (int64_t n = dice_.between(1, 4); n > 0; n--) {
      Call* c = make_call(true);
      c->http2 = false;
      c->local = true;
      c->kind = Kind::kUnary;
      c->requests = c->replies = 1;
      c->early = -1;
      c->heavy = false;
      c->protocol = Protocol::kConnect;
      locals_->add(c, world_.now() + dice_.between(0, 3000) * kMs);
    }
  }

  // Connections on which nothing more comes, at any of the places where more must.
  void make_mutes() {
    if (!dice_.once_in(8)) return;
    static constexpr char kHalfHead[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0\0\0\x02\x01\0\0\0\0\x01\x83\x86";
    static constexpr std::string_view kFirst[] = {"", "PRI * HT", "POST /s.S/Un", {"\x16\x03\x01\x02", 4}, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "PROXY TCP4",
                                                  {kHalfHead, sizeof kHalfHead - 1}, {kHalfHead, sizeof kHalfHead - 2}};
    for (int64_t n = dice_.between(1, 3); n > 0; n--) {
      mutes_.push_back(std::make_unique<Mute>(&world_, std::string(kFirst[dice_.below(std::size(kFirst))])));
      Mute* m = mutes_.back().get();
      world_.after(dice_.between(0, 3000) * kMs, [this, m] {
        if (world_.dial(m)) world_.wake(m->link);
      });
    }
  }

  // ---- the server

  // Something of the server could not be made. It may lack memory, and says so then.
  bool cannot(const char* what, const base::Status& s) {
    if (!world_.failed_allocations() || s.code() != base::Code::kResourceExhausted) world_.wrong("%s: %s", what, s.message());
    world_.note("%s: %s", what, s.message());
    return false;
  }

  bool start() {
    ServerSide in;
    net::Loop::Options o;
    o.io = world_.io();
    if (world_.tracing()) {
      o.log.write = [](int32_t, const char* text, size_t size, void* user) { static_cast<World*>(user)->note("log: %.*s", int(size), text); };
      o.log.user = &world_;
      o.log.level = base::LogLevel::kDebug;
    }
    auto loop = net::Loop::make(o);
    if (!loop.ok()) return cannot("no loop", loop.status());
    loop_ = *loop;
    auto made = server::Server::make(config_, o);
    if (!made.ok()) return cannot("no server", made.status());
    server_ = *made;
    static constexpr uint32_t kFlags[] = {0, ZCRPC_METHOD_SERVER_STREAM, ZCRPC_METHOD_CLIENT_STREAM, ZCRPC_METHOD_CLIENT_STREAM | ZCRPC_METHOD_SERVER_STREAM};
    for (size_t i = 0; i < 4; i++) {
      Call c;
      c.kind = Kind(i);
      methods_[i].path = c.path();
      methods_[i].flags = kFlags[i];
      server::Route r;
      r.method = &methods_[i];
      if (auto s = server_->set(r); !s.ok()) return cannot("no route", s);
    }
    if (auto s = server_->listen("10.0.0.1:80", tls_); !s.ok()) return cannot("listen", s);
    if (auto s = server_->attach(loop_, &hub_); !s.ok()) return cannot("attach", s);
    WorldSide out;
    make_clients();
    make_mutes();
    make_locals();
    world_.at(weather_.drain_ns, [this] {
      world_.note("drain, grace %lld ms", static_cast<long long>(weather_.grace_ms));
      drain();
      world_.after(weather_.grace_ms * kMs, [this] {
        for (auto& c : calls_) c->cut |= c->done < c->seen || !c->ended;
      });
    });
    if (!weather_.calm && dice_.once_in(4)) {
      world_.at(world_.now() + dice_.between(0, 5000) * kMs, [this] { 
        int64_t ns = dice_.of<int64_t>({kSecond, 60 * kSecond, 3600 * kSecond});
        world_.jump(ns);
        world_.patience_ns = 0;  // a drain that has begun may have no time left
        if (drained_by_ < INT64_MAX - ns) drained_by_ += ns;
      });
    }
    return true;
  }

  void turn() {
    ServerSide in;
    if (auto s = loop_->begin(); !s.ok()) return world_.wrong("turn: %s", s.message());
    loop_->sleep(-1);
    while (rpc::Event* e = hub_.front()) {
      hub_.pop();
      handle(e);
      hub_.release(e);
    }
    loop_->end();
    WorldSide out;
    // Once nothing is left to do, the rest of the time may pass.
    if (!early_drain_ && all_ended()) {
      early_drain_ = true;
      drain();
    }
  }
  void drain() {
    if (drained_by_ == INT64_MAX) world_.patience_ns = std::min<int64_t>(kSecond, weather_.grace_ms * kMs / 4) / 2;
    drained_by_ = world_.now() + weather_.grace_ms * kMs + 10 * kSecond;
    ServerSide in;
    server_->drain(weather_.grace_ms);
  }
  bool all_ended() const {
    for (auto& c : calls_)
      if ((!c->ended && !c->refused) || c->seen != c->done) return false;
    return true;
  }

  // What the clients have yet to read, they read.
  void settle() {
    world_.pass(600 * kSecond);
    // A call that came to a drained server of this process is told so in turns.
    for (int i = 0; i < 1000 && world_.why.empty() && locals_ && locals_->open(); i++) turn();
    for (auto& c : clients_) c->lost();
  }

  void stop() {
    for (auto& [id, h] : held_) {
      if (!h.ended) world_.wrong("call %u: no DONE", h.call->number);
    }
    held_.clear();
    ServerSide in;
    server::Server::free(server_);
    while (rpc::Event* e = hub_.front()) {
      hub_.pop();
      hub_.release(e);
    }
    net::Loop::free(loop_);
    if (tls_) end_tls();
    if (world_.why.empty() && world_.open_descriptors()) world_.wrong("%d descriptors are left open", world_.open_descriptors());
  }

  // ---- handlers

  Handling* find(rpc::Call* c) {
    auto it = held_.find(c->id);
    return it == held_.end() ? nullptr : &it->second;
  }

  void handle(rpc::Event* e) {
    WorldSide out;
    if (e->record.kind == ZCRPC_EVENT_DRAINED) {
      world_.note("drained");
      drained_ = true;
      return;
    }
    rpc::Call* handle = e->call;
    if (!handle) return;
    if (e->record.kind == ZCRPC_EVENT_REQUEST) return request(e);
    Handling* h = find(handle);
    if (!h) return world_.wrong("event %d of a call that is unknown", e->record.kind);
    Call* c = h->call;
    if (h->ended) return world_.wrong("call %u: event %d after DONE", c->number, e->record.kind);
    switch (e->record.kind) {
      case ZCRPC_EVENT_DONE:
        world_.note("call %u is done: %d", c->number, e->record.value);
        c->done++;
        // Whoever takes less than the least rate is let go.
        if (c->finished && world_.now() - c->finished_ns > 25 * kSecond) c->cut = true;
        if (!c->finished && c->way != Way::kNever && e->record.value == 0) world_.wrong("call %u: DONE without an error, though nobody ended it", c->number);
        h->ended = true;
        h->handle = nullptr;
        break;
      case ZCRPC_EVENT_MESSAGE: message(h, e); break;
      case ZCRPC_EVENT_HALF_CLOSE:
        c->half_close_seen = true;
        if (c->requests_seen != c->requests && c->early < 0) world_.wrong("call %u: %d of %d requests before the end", c->number, c->requests_seen, c->requests);
        finish(h);
        break;
      case ZCRPC_EVENT_WRITABLE: send_more(h); break;
      default: world_.wrong("event of kind %d", e->record.kind);
    }
  }

  void request(rpc::Event* e) {
    rpc::Call* handle = e->call;
    base::Metadata* m = handle->verbs->metadata(handle, ZCRPC_REQUEST_HEADERS);
    base::Slice text;
    size_t number = m && m->get("x-call", &text) ? size_t(atol(std::string(text.text()).c_str())) : SIZE_MAX;
    if (number >= calls_.size()) return world_.wrong("a request that nobody made");
    Call* c = calls_[number].get();
    world_.note("call %u is seen by its handler", c->number);
    if (++c->seen > 1) return world_.wrong("call %u is seen twice", c->number);
    if (held_.count(handle->id)) return world_.wrong("id %llx comes twice", static_cast<unsigned long long>(handle->id));
    Handling& h = held_[handle->id];
    h.call = c;
    h.handle = handle;
    if (c->requests_stream()) {
      if (e->record.flags & ZCRPC_EVENT_END) world_.wrong("call %u: END with a stream's REQUEST", c->number);
      if (c->early == 0) return finish(&h);
      return op(&h, ZCRPC_OP_READ, {}, dice_.of<int32_t>({1, 1, 3}));
    }
    check(c, e, 0);
    c->requests_seen = 1;
    if (c->answers_stream()) return send_more(&h);
    finish(&h);
  }

  Link* link_of(const Call& c) const {
    for (auto& client : clients_)
      if (client->has(&c)) return client->link;
    return nullptr;
  }
  bool garbled(const Call& c) const {
    Link* l = link_of(c);
    return l && l->garbled;
  }
  void check(Call* c, rpc::Event* e, int i) {
    std::string_view got(reinterpret_cast<const char*>(uintptr_t(e->record.data)), e->record.len);
    if (got != c->request(i) && !garbled(*c)) {
      size_t at = 0;
      for (std::string want = c->request(i); at < got.size() && at < want.size() && got[at] == want[at];) at++;
      world_.wrong("call %u: request %d has other bytes from %zu on (%zu instead of %zu)", c->number, i, at, got.size(), c->request_size);
    }
  }

  void message(Handling* h, rpc::Event* e) {
    Call* c = h->call;
    check(c, e, c->requests_seen);
    c->requests_seen++;
    if (h->handle->has(rpc::kDone)) return;
    if (c->kind == Kind::kChat && c->replies_sent < c->replies && !h->ending) send_one(h);
    if (c->early >= 0 && c->requests_seen >= c->early) return finish(h);
    op(h, ZCRPC_OP_READ, {}, 1);
  }

  void send_one(Handling* h) {
    op(h, ZCRPC_OP_SEND, h->call->reply(h->call->replies_sent));
    h->call->replies_sent++;
  }

  static size_t room(Handling* h) {
    ServerSide in;
    return h->handle->verbs->room(h->handle);
  }

  void send_more(Handling* h) {
    Call* c = h->call;
    if (c->kind != Kind::kPull || h->ending) return;
    while (c->replies_sent < c->replies && !h->ending) {
      if (!c->flood && room(h) == 0) return;  // WRITABLE follows
      send_one(h);
    }
    finish(h);
  }

  // The handler's end, in its way.
  void finish(Handling* h) {
    if (h->ending) return;
    h->ending = true;
    Call* c = h->call;
    uint64_t id = h->handle->id;
    switch (c->way) {
      case Way::kNow: return end(id);
      case Way::kNever: return;  // the deadline, the client or the drain does
      case Way::kLater:
      case Way::kThread: {
        // By another thread, while the loop sleeps.
        world_.after(c->later_ns, [this, id] { from_outside(id); });
        return;
      }
      case Way::kCancel: {
        c->finished = true;
        ServerSide in;
        return h->handle->verbs->cancel(h->handle);
      }
      case Way::kDrop: {
        if (h->handle->has(rpc::kDone)) return;
        c->finished = true;
        ServerSide in;
        base::Status s(base::Code::kInternal, "");
        return h->handle->verbs->finish(h->handle, std::move(s));
      }
    }
  }

  void from_outside(uint64_t id) {
    auto it = held_.find(id);
    if (it == held_.end() || it->second.ended) return;
    Handling& h = it->second;
    if (h.call->way == Way::kThread && h.call->outcome) {
      h.call->finished = true;
      h.call->finished_ns = world_.now();
      world_.note("call %u: its handler ends it with %d, on another thread", h.call->number, h.call->outcome);
      ServerSide in;
      h.handle->verbs->finish(h.handle, base::Status(base::Code(h.call->outcome), "as planned"));
      return;
    }
    ServerSide side;
    net::Inside in(loop_);
    if (!in) return world_.wrong("a sleeping loop cannot be entered");
    end(id);
  }

  void end(uint64_t id) {
    WorldSide out;
    Handling* h = &held_[id];
    Call* c = h->call;
    if (h->handle->has(rpc::kDone)) return;
    c->finished = true;
    c->finished_ns = world_.now();
    world_.note("call %u: its handler ends it with %d", c->number, c->outcome);
    zcrpc_op o{};
    o.kind = ZCRPC_OP_FINISH;
    o.value = c->outcome;
    std::string reply;
    if (c->outcome) {
      reply = "as planned";
    } else if (c->answers_stream()) {
      o.flags = ZCRPC_OP_NO_MESSAGE;
    } else {
      reply = c->reply(0);
      c->replies_sent = 1;
    }
    do_op(h, &o, reply);
  }

  void op(Handling* h, uint16_t kind, const std::string& bytes, int32_t value = 0) {
    zcrpc_op o{};
    o.kind = kind;
    o.value = value;
    do_op(h, &o, bytes);
  }
  void do_op(Handling* h, zcrpc_op* o, const std::string& bytes) {
    if (h->handle->has(rpc::kDone)) return;
    ServerSide in;
    base::Buffer* b = nullptr;
    base::Slice s(bytes.data(), bytes.size());
    if (o->kind == ZCRPC_OP_SEND && bytes.size() >= 4096 && dice_.once_in(2)) b = base::Buffer::make(bytes.size());
    if (b) {
      memcpy(b->writable(), bytes.data(), bytes.size());
      s = b->slice();
    }
    auto st = h->handle->verbs->op(h->handle, o, s, b, {});
    if (st.ok()) return;
    if (b) b->release();
    if (st.code() == base::Code::kResourceExhausted && world_.failed_allocations()) return give_up(h);
    if (o->kind != ZCRPC_OP_SEND) world_.wrong("call %u: operation %d: %s", h->call->number, o->kind, st.message());
  }

  // A handler that was refused what it asked for, for want of memory.
  void give_up(Handling* h) {
    Call* c = h->call;
    world_.note("call %u: its handler gives up for want of memory", c->number);
    c->outcome = int(base::Code::kResourceExhausted);
    c->finished = h->ending = true;
    c->finished_ns = world_.now();
    h->handle->verbs->finish(h->handle, base::Status::no_memory());
  }

  // ---- what must hold

  void judge() {
    for (auto& c : calls_) judge(*c);
    for (auto& client : clients_)
      if (client->link) judge(*client->link);
    // Whoever never asks for anything is let go when heads are due.
    for (auto& m : mutes_) {
      const Link* l = m->link;
      if (!l || !l->accepted || l->disturbed || l->stalled_ns || excuse_time_) continue;
      int64_t ns = l->closed_ns - l->accepted_ns;
      if (ns > (config_.head_ms + config_.linger_ms + 2000) * kMs) world_.wrong("link %d, on which nothing came, lived for %lld ms", l->number, static_cast<long long>(ns / kMs));
    }
    if (sim_memory_peak() > memory_bound()) world_.wrong("%zu bytes were allocated at once, and %zu should do", sim_memory_peak(), memory_bound());
    // One allocation is for one connection: its neighbours have what they asked for.
    if (world_.shortage.once() && world_.hurt() > 1) world_.wrong("one allocation failed, and %zu connections suffered", world_.hurt());
  }

  // The most that the server may have allocated at once: what it has anyway, what the limits give a connection and a
  // stream, and the messages of calls. How long streams are does not matter, unless their handler asks for no room.
  size_t memory_bound() const {
    constexpr size_t kServer = 640 << 10, kLink = 48 << 10, kTls = 96 << 10, kCall = 12 << 10, kRoom = 2 * server::StreamState::kRoom;
    size_t bound = kServer + world_.most_links() * (kLink + (tls_ ? kTls : 0) + config_.high_water);
    for (auto& c : calls_) {
      if (!c->begun) continue;
      size_t in = size_t(c->requests) * c->request_size, out = size_t(c->replies) * c->reply_size;
      if (c->requests_stream()) in = std::min<size_t>(in, http::H2Settings().stream_window) + c->request_size;
      if (c->answers_stream() && !c->flood) out = std::min<size_t>(out, kRoom) + c->reply_size;
      bound += kCall + in + out;
    }
    return bound;
  }

  // Whether an age and its grace may have cut what the client saw end then.
  bool outlived(const Link& l, int64_t when_ns) const {
    return config_.max_age_ms >= 0 && config_.age_grace_ms >= 0 && when_ns - l.accepted_ns >= (config_.max_age_ms * 9 / 10 + config_.age_grace_ms) * kMs;
  }

  void judge(const Link& l) {
    if (!l.accepted || l.disturbed || l.stalled_ns || l.slow || excuse_time_ || slow_ || config_.max_age_ms < 0 || config_.age_grace_ms < 0) return;
    int64_t most = (config_.max_age_ms * 11 / 10 + config_.age_grace_ms) * kMs + 40 * kSecond;
    if (l.closed_ns - l.accepted_ns > most) world_.wrong("link %d lived for %lld ms", l.number, static_cast<long long>((l.closed_ns - l.accepted_ns) / kMs));
  }

  void judge(const Call& c) {
    if (c.ended > 1) world_.wrong("call %u ended %d times for its client", c.number, c.ended);
    if (c.begun && !c.ended && !c.refused) world_.wrong("call %u never ended for its client", c.number);
    if (c.seen != c.done) world_.wrong("call %u: %d REQUEST, %d DONE", c.number, c.seen, c.done);
    if (c.wrong_bytes && !garbled(c)) world_.wrong("call %u: its client read bytes that nobody wrote", c.number);
    if (c.refused && c.seen) world_.wrong("call %u was refused, and handled", c.number);
    if (c.code == 0 && !garbled(c)) {
      if (!c.finished || c.outcome) world_.wrong("call %u: OK for its client, and not for its handler", c.number);
      if (c.replies_got != (c.answers_stream() ? c.replies : 1)) world_.wrong("call %u: OK with %d of %d replies", c.number, c.replies_got, c.replies);
    }
    Link* link = link_of(c);
    bool excused = (link ? link->disturbed : !c.local) || c.canceled || c.timeout_ms >= 0 || excuse_time_ || c.way >= Way::kNever;
    if (excused || c.refused) return;
    if (c.left_waiting && (c.code == 4 || c.seen)) complain(c, "its client was never told to send");
    // Nobody disturbed it: what the handler said is what the client got.
    if (tight_ && c.http2 && (c.code == 8 || c.code == Call::kNothing)) return;
    if (c.cut || (link && (c.code == 14 || c.code == Call::kNothing) && outlived(*link, c.ended_ns))) return;
    if (c.finished && c.code != c.outcome) complain(c, "its handler ended it with " + std::to_string(c.outcome) + ", its client got " + std::to_string(c.code));
    if (!c.http2) return;  // HTTP/1.1 closes after some errors, and what was not answered goes elsewhere
    // A handshake of TLS over a narrow link may take longer than the server's patience.
    if (tls_ && link && link->closed_ns - link->accepted_ns >= config_.head_ms * kMs) return;
    // Of several bodies on such a link one may come too slowly.
    bool narrow = slow_ || (link && link->up.capacity < 3000);
    if (all_ && c.begun && !c.seen && !(c.code == 4 && narrow)) complain(c, "was never handled");
    if (all_ && !c.begun) complain(c, "could not begin");
  }
  void complain(const Call& c, const std::string& what) {
    const Link* l = link_of(c);
    std::string text = "call " + std::to_string(c.number) + ": " + what;
    if (l) world_.complain(l, "%s", text.c_str());
    else world_.complain(-1 - int(c.number), text.c_str());
  }

  World world_;
  Chance& dice_;
  Weather weather_;
  server::Config config_;
  bool all_ = false, few_ = false, slow_ = false, tight_ = false, excuse_time_ = false, early_drain_ = false, heavy_ = false, drained_ = false;
  int64_t drained_by_ = INT64_MAX;
  std::vector<std::unique_ptr<Call>> calls_;
  std::vector<std::unique_ptr<Client>> clients_;
  std::map<uint64_t, Handling> held_;
  std::vector<std::unique_ptr<Mute>> mutes_;
  std::unique_ptr<Locals> locals_;
  net::Streams* tls_ = nullptr;
  net::Loop* loop_ = nullptr;
  rpc::Hub hub_;
  server::Server* server_ = nullptr;
  schema::Method methods_[4]{};
};

}  // namespace

Outcome run(uint64_t seed, bool trace) {
  Outcome o;
  {
    Run r(seed, trace);
    o = r.go();
  }
  if (size_t n = sim_memory_blocks(); n && o.why.empty()) o.why = std::to_string(n) + " blocks of memory are left, one of them of " + std::to_string(sim_memory_left()) + " bytes";
  sim_memory_start(nullptr, nullptr);
  return o;
}

}  // namespace sim
