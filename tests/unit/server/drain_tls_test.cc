// Handshakes of TLS that go on while the server drains: they end, and what was connected for is asked and answered, since the
// port had accepted it. Flights take a while here, as they do between continents.
#include "unit/server/frames.h"
#include "unit/server/secure.h"

using namespace zcrpc;

namespace {

constexpr int kFlight = 40;  // ms
constexpr std::string_view kAnswer = "\x0a\x02ok";

server::Config draining_soon() {
  server::Config c;
  c.lame_duck_ms = 0;
  c.drain_ping_ms = 400;
  c.drain_quiet_ms = 10;
  return c;
}

void turn_for(Harness* h, int64_t ms) {
  for (int64_t limit = ms_now() + ms; ms_now() < limit;) h->turn(5);
}

// HTTP/2's first stream has been answered, and its connection goes as soon as a ping is.
bool answered(const std::string& got) {
  bool data = false, goaway = false;
  for (const Frame& f : frames_of(got)) data |= f.type == kData && f.payload == kAnswer, goaway |= f.type == kGoaway;
  return data && goaway;
}

// A handshake and a call behind it, each flight late; the server drains when `drain_at` of them have been said. What was answered.
std::string call_late(Secure* s, Client* c, std::string_view request, int drain_at) {
  int flights = 0;
  auto fly = [&](const std::string& bytes) {
    if (flights++ == drain_at) s->h.server->drain(60'000);
    turn_for(&s->h, kFlight);
    say(c->fd, bytes);
  };
  for (int64_t limit = ms_now() + 5000; !c->up && !c->closed && ms_now() < limit; s->h.turn(2)) {
    c->hear();
    c->up = SSL_do_handshake(c->ssl) == 1;
    if (std::string b = c->bytes(); !b.empty()) fly(b);
  }
  if (!c->up) return "no handshake";
  SSL_write(c->ssl, request.data(), int(request.size()));
  fly(c->bytes());
  std::string got;
  for (int64_t limit = ms_now() + 5000; !c->closed && !answered(got) && ms_now() < limit; s->h.turn(2)) {
    c->hear();
    char b[16384];
    for (int n; (n = SSL_read(c->ssl, b, sizeof b)) > 0;) got.append(b, size_t(n));
  }
  assert_true(flights > drain_at);
  return got;
}

void a_drain_cuts_handshakes(void**) {
  for (int version : {TLS1_2_VERSION, TLS1_3_VERSION})
    for (bool h2 : {false, true})
      for (int drain_at : {0, 1, 2}) {
        Secure s(draining_soon());
        Client c(s.port, h2 ? std::string_view("\x02h2", 3) : std::string_view("\x08http/1.1", 9));
        SSL_set_max_proto_version(c.ssl, version);
        for (int i = 0; i < 3; i++) s.h.turn(2);  // it is accepted
        std::string request = h2 ? kHello + open_stream(1) + frame(kData, kEndStream, 1, kAnswer) : post(kAnswer), got = call_late(&s, &c, request, drain_at);
        bool good = h2 ? answered(got) : c.closed && got.starts_with("HTTP/1.1 200 ") && got.ends_with(kAnswer) && got.find("onnection: close") != got.npos;
        if (!good) fail_msg("TLS %x, %s, a drain before flight %d: %zu bytes, \"%.*s\"; log: %s", unsigned(version), h2 ? "HTTP/2" : "HTTP/1.1", drain_at, got.size(), int(got.size()), got.data(), s.h.log.c_str());
      }
}

// Who has begun one, or has ended it and asks nothing, does not hold the drain up for ever.
void a_drain_waits_for_whoever_shakes_hands(void**) {
  for (int flights : {0, 1, 2}) {
    server::Config c = draining_soon();
    c.head_ms = 700;
    c.linger_ms = 50;
    Secure s(c);
    Client k(s.port);
    SSL_set_max_proto_version(k.ssl, TLS1_2_VERSION);
    if (flights > 0) say(k.fd, k.hello());
    for (int64_t limit = ms_now() + 5000; flights > 1 && !k.up && ms_now() < limit; s.h.turn(2)) k.step();
    turn_for(&s.h, 10);
    int64_t begin = ms_now();
    s.h.server->drain(60'000);
    for (; !k.closed && ms_now() - begin < 8000; s.h.turn(2)) k.hear();
    int64_t took = ms_now() - begin, want = flights == 1 ? 600 : 400;
    if (took < want - 20 || took > want + 3000) fail_msg("%d flights: closed after %d ms, not %d", flights, int(took), int(want));
    // The half-made one by its own time, and the log says so.
    assert_int_equal(s.h.log.find("no whole handshake") != std::string::npos, flights == 1);
  }
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(a_drain_cuts_handshakes),
      cmocka_unit_test(a_drain_waits_for_whoever_shakes_hands),
  };
  return cmocka_run_group_tests(tests, prepare, clear);
}
