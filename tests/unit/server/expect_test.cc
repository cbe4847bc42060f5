// Expect: 100-continue over HTTP/2: who asks before it sends is told, to go on or what its answer is.
#include "unit/server/h2_client.h"

using namespace zcrpc;

namespace {

const std::string kExpect = named("expect", "100-continue");

struct Asking : Client {
  explicit Asking(const server::Config& c = {}) : Client(c, frame(kWindow, 0, 0, be32(1 << 20))) {}
  void ask(uint32_t id, std::string_view path = "/s.S/Echo", std::string_view type = "application/proto", std::string_view more = {}, std::string_view behind = {}) {
    say(fd, frame(kHeaders, kEndHeaders, id, head(path, kExpect + std::string(more), type)) + std::string(behind));
  }
  // Before anything of the body: all that comes within a while.
  std::string first(uint32_t id) {
    until([&] { return fields.count(id) > 0; }, 500);
    pause(10);
    return fields[id];
  }
};

void a_client_that_asks_is_left_waiting(void**) {
  for (std::string_view type : {"application/proto", "application/grpc", "application/grpc-web", "application/grpc-web-text"}) {
    Asking k;
    k.ask(1, "/s.S/Echo", type);
    assert_string_equal(k.first(1).c_str(), ":status: 100\n");
    assert_false(k.ended[1]);
    assert_int_equal(k.h.requests, 0);
    std::string body = type == "application/proto" ? "\x0a\x01x" : type.ends_with("text") ? "AAAAAAMKAXg=" : std::string("\0\0\0\0\3\x0a\x01x", 8);
    say(k.fd, frame(kData, 0, 1, body.substr(0, 2)) + frame(kData, kEndStream, 1, body.substr(2)));
    k.until([&] { return k.ended[1]; });
    assert_true(k.fields[1].starts_with(":status: 100\n:status: 200\n"));
    assert_true(k.fields[1].find(":status", 1) == k.fields[1].rfind(":status"));
    assert_true(type != "application/grpc" || k.has(1, "grpc-status: 0\n"));
    assert_int_equal(k.h.requests, 1);
    assert_int_equal(k.goaways, 0);
  }
}

// Its head is all that there is to decide by.
void a_stream_that_asks_is_left_waiting(void**) {
  Asking k;
  k.ask(1, "/s.S/Chat", "application/grpc");
  assert_string_equal(k.first(1).c_str(), ":status: 100\n");
  for (int i = 0; i < 3; i++) say(k.fd, frame(kData, i == 2 ? kEndStream : 0, 1, std::string("\0\0\0\0\3\x0a\x01x", 8)));
  k.until([&] { return k.ended[1]; });
  assert_true(k.has(1, ":status: 200\n") && k.has(1, "grpc-status: 0\n"));
  assert_int_equal(k.bytes[1], 24);
}

// A final status at once, and never a 100 with it.
void a_refused_upload_is_asked_for(void**) {
  server::Config c;
  c.max_calls = 1;
  c.message_limit = 1000;
  Asking k(c);
  std::string large = named("content-length", "1001");
  k.ask(1, "/s.S/None");
  k.ask(3, "/s.S/None", "application/grpc");
  k.ask(5, "/s.S/Echo", "text/plain");
  k.ask(7, "/s.S/Echo", "application/proto", large);
  k.until([&] { return k.ended[1] && k.ended[3] && k.ended[5] && k.ended[7]; });
  assert_true(k.fields[1].starts_with(":status: 404\n"));
  assert_true(k.fields[3].starts_with(":status: 200\n") && k.has(3, "grpc-status: 12\n"));
  assert_true(k.fields[5].starts_with(":status: 415\n"));
  assert_true(k.fields[7].starts_with(":status: 429\n"));
  k.until([&] { return k.stats().calls_now == 0; });
  // Where there is no place for another call.
  k.h.answer = false;
  k.ask(9);
  assert_string_equal(k.first(9).c_str(), ":status: 100\n");
  k.ask(11);
  k.until([&] { return k.ended[11]; });
  assert_true(k.fields[11].starts_with(":status: 503\n"));
  assert_int_equal(k.h.requests, 0);
}

// Who does not wait is not asked, nor who has nothing to send, nor who expects something else, nor who expects nothing.
void a_body_that_has_come_is_asked_for(void**) {
  Asking k;
  k.ask(1, "/s.S/Echo", "application/proto", {}, frame(kData, 0, 1, "\x0a"));
  k.pause(30);
  assert_int_equal(k.fields.count(1), 0);
  say(k.fd, frame(kData, kEndStream, 1, "\x01x"));
  k.ask(3, "/s.S/Echo", "application/proto", {}, frame(kData, kEndStream, 3, "\x0a\x01x"));
  say(k.fd, frame(kHeaders, kEndHeaders | kEndStream, 5, head("/s.S/Echo", kExpect)));
  say(k.fd, frame(kHeaders, kEndHeaders, 7, head("/s.S/Echo", named("expect", "101-switch"))));
  say(k.fd, open_stream(9));
  k.until([&] { return k.ended[1] && k.ended[3] && k.ended[5]; });
  k.pause(20);
  for (uint32_t id : {1u, 3u, 5u}) assert_true(k.fields[id].starts_with(":status: 200\n"));
  assert_int_equal(k.fields.count(7) + k.fields.count(9), 0);
}

// Neither who resets its stream, nor a head of which only the half has come.
void a_stream_that_is_no_more_is_asked_for(void**) {
  Asking k;
  k.ask(1, "/s.S/Echo", "application/proto", {}, frame(kReset, 0, 1, be32(http::kH2Cancel)));
  std::string block = head("/s.S/Echo", kExpect);
  k.ask(3, "/s.S/Echo", "application/proto", {}, frame(kHeaders, 0, 5, block));
  assert_string_equal(k.first(3).c_str(), ":status: 100\n");
  assert_int_equal(k.fields.count(5), 0);
  say(k.fd, frame(kContinuation, kEndHeaders, 5));
  assert_string_equal(k.first(5).c_str(), ":status: 100\n");
  assert_int_equal(k.fields.count(1), 0);
  say(k.fd, frame(kPing, 0, 0, "12345678"));
  k.until([&] { return k.pings == 1; });
  assert_int_equal(k.pings, 1);
  assert_int_equal(k.goaways, 0);
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(a_client_that_asks_is_left_waiting),
      cmocka_unit_test(a_stream_that_asks_is_left_waiting),
      cmocka_unit_test(a_refused_upload_is_asked_for),
      cmocka_unit_test(a_body_that_has_come_is_asked_for),
      cmocka_unit_test(a_stream_that_is_no_more_is_asked_for),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
