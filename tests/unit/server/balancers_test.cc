// What balancers and proxies do to a connection, each of which has broken a deployment of somebody's: as bytes over real sockets. The
// same with the real ones is in tests/interop.
#include <algorithm>
#include <memory>

#include "unit/server/frames.h"
#include "unit/server/harness.h"

#include "support/cmocka.h"

using namespace zcrpc;

namespace {

struct Peer {
  Harness* h;
  int fd;
  std::string got;
  bool closed = false;

  explicit Peer(Harness* harness) : h(harness), fd(dial(harness->port)) { assert_true(fd >= 0); }
  ~Peer() { close(fd); }
  void tell(std::string_view bytes) { say(fd, bytes); }
  // Until enough() or the end.
  template <class F>
  bool wait(F&& enough, int64_t ms = 5000) {
    for (int64_t limit = ms_now() + ms; !enough() && ms_now() < limit && !closed;) {
      h->turn(2);
      hear_once();
    }
    return enough();
  }
  void hear_once() {
    char b[65536];
    ssize_t n = recv(fd, b, sizeof b, MSG_DONTWAIT);
    if (n > 0) got.append(b, size_t(n));
    if (n == 0 || (n < 0 && errno != EAGAIN)) closed = true;
  }
  void settle() {
    for (int i = 0; i < 20; i++) h->turn(1), hear_once();
  }
  std::vector<Frame> frames(uint8_t type, uint32_t id = 0) const {
    std::vector<Frame> out;
    for (Frame& f : frames_of(got))
      if (f.type == type && (id == 0 || f.id == id)) out.push_back(std::move(f));
    return out;
  }
  // The stream was answered to its end.
  bool answered(uint32_t id) const {
    for (const Frame& f : frames_of(got))
      if (f.id == id && (f.type == kHeaders || f.type == kData) && f.flags & kEndStream) return true;
    return false;
  }
};

std::string grpc_stream(uint32_t id) { return frame(kHeaders, kEndHeaders, id, head("/s.S/Chat", {}, "application/grpc")); }
const std::string kEnveloped = std::string("\0\0\0\0\3", 5) + "\x0a\x01x";

// Calls that wait for their answer, by their events.
struct Waiting {
  std::vector<rpc::Call*> calls;
  std::vector<int32_t> ends;  // codes of DONE, in order

  void turn(Harness* h) {
    assert_true(h->loop->begin().ok());
    h->loop->sleep(1);
    while (rpc::Event* e = h->hub.front()) {
      h->hub.pop();
      if (e->record.kind == ZCRPC_EVENT_REQUEST) e->call->retain(), calls.push_back(e->call);
      if (e->record.kind == ZCRPC_EVENT_DONE) ends.push_back(e->record.value);
      h->hub.release(e);
    }
    h->loop->end();
  }
};

// Whatever its code says, NO_ERROR and what HAProxy makes of it (END_STREAM, then CANCEL) included.
void a_reset_cancels_more_than_its_call_or_nothing(void**) {
  struct {
    const char* what;
    uint32_t code;
    bool ended;  // the request was complete
  } kinds[] = {{"NO_ERROR", 0, true},   {"NO_ERROR, half a request", 0, false}, {"PROTOCOL_ERROR", 1, true}, {"INTERNAL_ERROR", 2, true},
               {"STREAM_CLOSED", 5, true}, {"REFUSED_STREAM", 7, true},          {"CANCEL", 8, true},         {"CANCEL, half a request", 8, false},
               {"an unknown code", 0x12345, true}};
  for (auto& k : kinds) {
    Harness h;
    assert_true(h.start(net::system_io()).ok());
    {
      Peer p(&h);
      Waiting w;
      p.tell(kHello + grpc_stream(1) + frame(kData, k.ended ? kEndStream : 0, 1, kEnveloped) + grpc_stream(3) + frame(kData, kEndStream, 3, kEnveloped));
      for (int64_t limit = ms_now() + 3000; w.calls.size() < 2 && ms_now() < limit;) w.turn(&h);
      assert_int_equal(w.calls.size(), 2);
      p.tell(frame(kReset, 0, 1, be32(k.code)));
      for (int64_t limit = ms_now() + 3000; w.ends.empty() && ms_now() < limit;) w.turn(&h);
      if (w.ends.size() != 1 || w.ends[0] != ZCRPC_CANCELED) fail_msg("%s: %zu ends", k.what, w.ends.size());
      // Both are answered: the first too late, which is counted and not written.
      for (rpc::Call* c : w.calls) {
        c->verbs->finish(c, {});
        c->release();
      }
      for (int64_t limit = ms_now() + 3000; !p.answered(3) && ms_now() < limit;) {
        w.turn(&h);
        p.hear_once();
      }
      if (!p.answered(3)) fail_msg("%s: the neighbour was not answered", k.what);
      for (int i = 0; i < 5; i++) w.turn(&h), p.hear_once();
      if (!p.frames(kHeaders, 1).empty() || !p.frames(kData, 1).empty()) fail_msg("%s: something was written behind the reset", k.what);
      if (p.closed || !p.frames(kGoaway).empty()) fail_msg("%s: the connection ended", k.what);
      zcrpc_stats s{};
      h.server->stats(&s);
      if (s.dropped != 1) fail_msg("%s: %d answers dropped", k.what, int(s.dropped));
    }
    h.stop();
  }
}

void send_message(Harness* h, rpc::Call* call) {
  assert_true(h->loop->begin().ok());
  zcrpc_op op{};
  op.kind = ZCRPC_OP_SEND;
  assert_true(call->verbs->op(call, &op, base::Slice("\x0a\x01x", 3), nullptr, {}).ok());
  h->loop->end();
}

// One that has had a message, one that has had none, one whose request has not ended.
void an_old_connections_streams_end_without_trailers(void**) {
  Harness h;
  server::Config c;
  c.max_age_ms = 300;
  c.age_grace_ms = 300;
  assert_true(h.start(net::system_io(), c).ok());
  {
    Peer p(&h);
    Waiting w;
    auto until = [&](auto&& enough) {
      size_t pings = 0;
      for (int64_t limit = ms_now() + 5000; !enough() && ms_now() < limit && !p.closed;) {
        w.turn(&h);
        p.hear_once();
        for (auto all = p.frames(kPing); pings < all.size(); pings++)
          if (!(all[pings].flags & 1)) p.tell(frame(kPing, 1, 0, all[pings].payload));
      }
      return enough();
    };
    p.tell(kHello + grpc_stream(1) + grpc_stream(3) + frame(kData, kEndStream, 3, kEnveloped) + grpc_stream(5));
    assert_true(until([&] { return w.calls.size() == 3; }));
    send_message(&h, w.calls[0]);
    // Two steps: after the ping the last stream is named, and nothing is cut yet.
    assert_true(until([&] { return p.frames(kGoaway).size() >= 2; }));
    auto goaways = p.frames(kGoaway);
    assert_int_equal(goaways[0].word(0), 0x7fffffff);
    assert_int_equal(goaways[1].word(0), 5);
    assert_int_equal(goaways[1].code(), 0);
    assert_int_equal(p.frames(kData, 1).size(), 1);
    assert_true(w.ends.empty());
    (void)until([&] { return false; });
    assert_true(p.closed);
    for (int64_t limit = ms_now() + 5000; w.ends.size() < 3 && ms_now() < limit;) w.turn(&h);
    for (uint32_t id : {1u, 3u, 5u}) {
      assert_true(p.answered(id));
      assert_int_equal(p.frames(kHeaders, id).size(), id == 1 ? 2 : 1);
    }
    std::string heads;  // grpc-status: 14 is written out the first time
    for (const Frame& f : p.frames(kHeaders)) heads += f.payload;
    assert_true(heads.find("14") != std::string::npos || heads.find("\x0b\x5f") != std::string::npos);
    assert_int_equal(w.ends.size(), 3);
    for (int32_t code : w.ends) assert_int_equal(code, ZCRPC_UNAVAILABLE);
    for (rpc::Call* call : w.calls) call->release();
  }
  h.stop();
}

int64_t g_now;

// By default: 30 minutes, 10 % more or less. The clock is the test's.
void connections_of_one_age_end_together(void**) {
  constexpr int kCount = 60;
  constexpr int64_t kMinute = 60'000'000'000;
  g_now = net::system_io()->monotonic_ns(nullptr);
  net::Io io = *net::system_io();
  io.monotonic_ns = [](void*) { return g_now; };
  Harness h;
  server::Config c;
  c.idle_ms = 24 * 3600 * 1000;
  c.keepalive_ms = -1;
  assert_true(h.start(&io, c).ok());
  {
    std::vector<std::unique_ptr<Peer>> peers;
    for (int i = 0; i < kCount; i++) {
      peers.push_back(std::make_unique<Peer>(&h));
      peers.back()->tell(kHello);
    }
    const int64_t start = g_now;
    auto told = [&] {
      for (int i = 0; i < 10; i++) h.turn(0);
      int n = 0;
      for (auto& p : peers) {
        p->hear_once();
        n += !p->frames(kGoaway).empty();
      }
      return n;
    };
    for (int64_t limit = ms_now() + 5000; ms_now() < limit;) {
      told();
      if (std::all_of(peers.begin(), peers.end(), [](auto& p) { return !p->frames(kSettings).empty(); })) break;
    }
    int before = 0, most = 0, minutes = 0;
    for (int minute = 1; minute <= 34; minute++) {
      g_now = start + minute * kMinute;
      int now = told();
      if (now > before) minutes++;
      most = std::max(most, now - before);
      if (minute < 27) assert_int_equal(now, 0);
      before = now;
    }
    print_message("%d connections ended in %d different minutes, %d at once at most\n", kCount, minutes, most);
    assert_int_equal(before, kCount);
    assert_true(minutes >= 4);
    assert_true(most < kCount / 2);
  }
  h.stop();
}

// Some balancers cut a connection after 10,000: what crosses our notice is still served.
void the_last_requests_of_a_connection_are_lost(void**) {
  Harness h;
  server::Config c;
  c.max_requests = 2;
  assert_true(h.start(net::system_io(), c).ok());
  {
    Peer p(&h);
    auto call = [&](uint32_t id) { return open_stream(id) + frame(kData, kEndStream, id, "\x0a\x01x"); };
    p.tell(kHello + call(1));
    assert_true(p.wait([&] { return p.answered(1); }));
    assert_true(p.frames(kGoaway).empty());
    p.tell(call(3));
    assert_true(p.wait([&] { return p.answered(3) && !p.frames(kGoaway).empty() && !p.frames(kPing).empty(); }));
    assert_int_equal(p.frames(kGoaway)[0].word(0), 0x7fffffff);
    p.tell(call(5));  // was under way
    assert_true(p.wait([&] { return p.answered(5); }));
    p.tell(frame(kPing, 1, 0, p.frames(kPing)[0].payload));
    assert_true(p.wait([&] { return p.closed; }));
    assert_int_equal(p.frames(kGoaway).back().word(0), 5);
    assert_int_equal(p.frames(kGoaway).back().code(), 0);
    assert_int_equal(h.requests, 3);
  }
  h.stop();
}

// Health has turned; until balancers have looked, whoever comes is served as before, and nobody is sent away.
void a_lame_duck_sends_its_clients_away(void**) {
  Harness h;
  server::Config c;
  c.lame_duck_ms = 400;
  assert_true(h.start(net::system_io(), c).ok());
  {
    Peer old(&h), silent(&h);
    auto call = [&](uint32_t id) { return open_stream(id) + frame(kData, kEndStream, id, "\x0a\x01x"); };
    old.tell(kHello + call(1));
    assert_true(old.wait([&] { return old.answered(1); }));
    int64_t start = ms_now();
    h.server->drain(5000);
    for (int i = 0; i < 5; i++) h.turn(1);
    Peer fresh(&h);
    fresh.tell(kHello + call(1));
    assert_true(fresh.wait([&] { return fresh.answered(1); }));
    for (uint32_t id = 3; ms_now() - start < 300; id += 2) {
      old.tell(call(id));
      assert_true(old.wait([&] { return old.answered(id); }));
    }
    if (ms_now() - start < 380) assert_true(old.frames(kGoaway).empty() && fresh.frames(kGoaway).empty() && !silent.closed);
    for (Peer* p : {&old, &fresh}) {
      assert_true(p->wait([&] { return !p->frames(kGoaway).empty() && !p->frames(kPing).empty(); }));
      assert_int_equal(p->frames(kGoaway)[0].word(0), 0x7fffffff);
      p->tell(frame(kPing, 1, 0, p->frames(kPing)[0].payload));
      assert_true(p->wait([&] { return p->closed; }));
    }
    assert_true(silent.wait([&] { return silent.closed; }));
    assert_true(ms_now() - start >= 390);
    assert_int_equal(dial(h.port), -1);
  }
  h.stop();
}

// A balancer looks now and then, so for so long nobody is told to go; the time that calls have to end in begins behind that. With
// both at once, GOAWAY and the hard end came together.
void calls_are_cut_before_anybody_was_told(void**) {
  constexpr int64_t kDuck = 300, kGrace = 400;
  for (bool answered : {true, false}) {
    Harness h;
    server::Config c;
    c.polled_duck_ms = kDuck;
    assert_true(h.start(net::system_io(), c).ok());
    {
      Waiting w;
      Peer poll(&h), two(&h), one(&h);
      auto until = [&](auto&& enough) {
        size_t pings = 0;
        for (int64_t limit = ms_now() + 5000; !enough() && ms_now() < limit;) {
          w.turn(&h);
          for (Peer* p : {&poll, &two, &one})
            if (!p->closed) p->hear_once();
          for (auto all = two.frames(kPing); pings < all.size(); pings++)
            if (!(all[pings].flags & 1)) two.tell(frame(kPing, 1, 0, all[pings].payload));
        }
        return enough();
      };
      const std::string check = "POST /grpc.health.v1.Health/Check HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}";
      poll.tell(check);
      assert_true(until([&] { return poll.got.ends_with("{\"status\":\"SERVING\"}"); }));
      two.tell(kHello + open_stream(1) + frame(kData, kEndStream, 1, "\x0a\x01x"));
      one.tell(post("\x0a\x01x"));
      assert_true(until([&] { return w.calls.size() == 2; }));
      int64_t start = ms_now(), waited;
      h.server->drain(kGrace);
      poll.tell(check);
      assert_true(until([&] { return poll.got.ends_with("{\"status\":\"NOT_SERVING\"}"); }));
      assert_true(until([&] { return !two.frames(kGoaway).empty(); }));
      waited = ms_now() - start;
      assert_true(waited >= kDuck - 10);
      assert_true(w.ends.empty() && !two.closed && !one.closed);
      if (answered) {
        // Later than a grace that had begun with the drain.
        assert_true(until([&] { return ms_now() - start >= kGrace + 100; }));
        assert_true(w.ends.empty());
        for (rpc::Call* call : w.calls) call->verbs->finish(call, {});
        assert_true(until([&] { return two.closed && one.closed; }));
        assert_true(two.answered(1));
        assert_true(one.got.starts_with("HTTP/1.1 200 "));
        assert_true(ms_now() - start < kDuck + kGrace);
      } else {
        assert_true(until([&] { return two.closed && one.closed; }));
        waited = ms_now() - start;
        assert_true(waited >= kDuck + kGrace - 10);
        assert_true(two.answered(1));  // with the status that says so
        assert_true(one.got.starts_with("HTTP/1.1 503 "));
        assert_true(one.got.ends_with("{\"code\":\"unavailable\",\"message\":\"the server is shutting down\"}"));
      }
      assert_true(until([&] { return w.ends.size() == 2; }));
      for (int32_t code : w.ends) assert_int_equal(code, answered ? ZCRPC_OK : ZCRPC_UNAVAILABLE);
      assert_int_equal(h.log.find("the server ends: 2 calls had not when its grace was over\n") != h.log.npos, !answered);
      for (rpc::Call* call : w.calls) call->release();
    }
    h.stop();
  }
}

// Who says 0 means now, whatever was said before.
void an_end_at_once_waits_for_balancers(void**) {
  for (bool second : {false, true}) {
    Harness h;
    server::Config c;
    c.lame_duck_ms = 60'000;
    assert_true(h.start(net::system_io(), c).ok());
    {
      Peer p(&h);
      Waiting w;
      p.tell(kHello + open_stream(1) + frame(kData, kEndStream, 1, "\x0a\x01x"));
      for (int64_t limit = ms_now() + 3000; w.calls.empty() && ms_now() < limit;) w.turn(&h);
      assert_int_equal(w.calls.size(), 1);
      if (second) {
        h.server->drain(60'000);
        for (int i = 0; i < 5; i++) w.turn(&h), p.hear_once();
        assert_true(p.frames(kGoaway).empty() && !p.closed);
      }
      h.server->drain(0);
      for (int64_t limit = ms_now() + 3000; w.ends.empty() && ms_now() < limit;) w.turn(&h), p.hear_once();
      assert_int_equal(w.ends.size(), 1);
      assert_int_equal(w.ends[0], ZCRPC_UNAVAILABLE);
      w.calls[0]->release();
    }
    h.stop();
  }
}

// It was https where the client spoke to, and is http here, or the other way round.
void another_scheme_is_refused(void**) {
  Harness h;
  assert_true(h.start(net::system_io()).ok());
  {
    Peer p(&h);
    p.tell(kHello);
    uint32_t id = 1;
    for (const char* scheme : {"\x86", "\x87"}) {
      std::string block = "\x83" + std::string(scheme) + field(4, "/s.S/Echo") + field(1, "x") + field(31, "application/proto");
      p.tell(frame(kHeaders, kEndHeaders, id, block) + frame(kData, kEndStream, id, "\x0a\x01x"));
      assert_true(p.wait([&] { return p.answered(id); }));
      assert_int_equal(p.frames(kData, id).size(), 1);
      id += 2;
    }
  }
  h.stop();
}

// A message's five bytes in front, and small messages that were sent together: some peers hang up on many tiny frames.
void small_messages_leave_in_frames_of_their_own(void**) {
  Harness h;
  assert_true(h.start(net::system_io()).ok());
  {
    Peer p(&h);
    h.answer = false;
    p.tell(kHello + grpc_stream(1));
    Waiting w;
    for (int64_t limit = ms_now() + 3000; w.calls.empty() && ms_now() < limit;) w.turn(&h);
    assert_int_equal(w.calls.size(), 1);
    rpc::Call* call = w.calls[0];
    assert_true(h.loop->begin().ok());
    for (int i = 0; i < 20; i++) {
      zcrpc_op op{};
      op.kind = ZCRPC_OP_SEND;
      assert_true(call->verbs->op(call, &op, base::Slice("\x0a\x01x", 3), nullptr, {}).ok());
    }
    h.loop->sleep(1);
    h.loop->end();
    call->verbs->finish(call, {});
    call->release();
    for (int64_t limit = ms_now() + 3000; !p.answered(1) && ms_now() < limit;) {
      w.turn(&h);
      p.hear_once();
    }
    assert_int_equal(p.frames(kData, 1).size(), 1);
    assert_int_equal(p.frames(kData, 1)[0].payload.size(), 20 * 8);
  }
  h.stop();
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(a_reset_cancels_more_than_its_call_or_nothing),
      cmocka_unit_test(an_old_connections_streams_end_without_trailers),
      cmocka_unit_test(connections_of_one_age_end_together),
      cmocka_unit_test(the_last_requests_of_a_connection_are_lost),
      cmocka_unit_test(a_lame_duck_sends_its_clients_away),
      cmocka_unit_test(calls_are_cut_before_anybody_was_told),
      cmocka_unit_test(an_end_at_once_waits_for_balancers),
      cmocka_unit_test(another_scheme_is_refused),
      cmocka_unit_test(small_messages_leave_in_frames_of_their_own),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
