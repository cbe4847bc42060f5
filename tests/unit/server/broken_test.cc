// Requests that break where nobody expects them to: what the server counts, and what it reads on.
#include <thread>

#include "unit/server/harness.h"

#include "support/cmocka.h"

using namespace zcrpc;

namespace {

std::string ask(Harness* h, int fd, const std::string& request) {
  bool closed = false;
  say(fd, request);
  return hear(h, fd, "0\r\n\r\n", 300, &closed);
}

// Bytes of base64 that broke were never let go: a connection's next streams, which may be other people's behind a proxy,
// found no room.
void broken_text_takes_the_connections_room(void**) {
  Harness h;
  server::Config c;
  c.held = 5000;
  assert_true(h.start(net::system_io(), c).ok());
  int fd = dial(h.port);
  std::string request = "POST /s.S/Chat HTTP/1.1\r\nHost: x\r\nContent-Type: application/grpc-web-text\r\nContent-Length: 1000\r\n\r\n" + std::string(1000, '!');
  std::string first;
  for (int i = 0; i < 12; i++) {
    std::string got = ask(&h, fd, request);
    size_t body = got.find("\r\n\r\n");
    assert_true(body != std::string::npos);
    got = got.substr(body);
    if (i == 0) first = got;
    if (got != first) fail_msg("request %d: %s instead of %s", i, got.c_str(), first.c_str());
  }
  close(fd);
  h.stop();
}

// A handler ends its call on another thread while a broken envelope is being read: what comes behind it was read as if
// it had been good.
rpc::Call* chat;
bool armed;
int64_t finish_meanwhile(void*, int fd, void* p, size_t n) {
  int64_t got = net::system_io()->recv(nullptr, fd, p, n);
  if (armed && chat && got > 0) {
    armed = false;
    std::thread([] { chat->verbs->finish(chat, {}); }).join();
  }
  return got;
}

void a_finished_stream_reads_on_behind_a_broken_message(void**) {
  Harness h;
  h.answer = false;
  net::Io io = *net::system_io();
  io.recv = finish_meanwhile;
  assert_true(h.start(&io).ok());
  int fd = dial(h.port);
  int messages = 0;
  auto turn = [&] {
    assert_true(h.loop->begin().ok());
    h.loop->sleep(2);
    while (rpc::Event* e = h.hub.front()) {
      h.hub.pop();
      if (e->record.kind == ZCRPC_EVENT_REQUEST) {
        chat = e->call;
        chat->retain();
        chat->verbs->read(chat, 5);
      }
      if (e->record.kind == ZCRPC_EVENT_MESSAGE) messages++;
      h.hub.release(e);
    }
    h.loop->end();
  };
  say(fd, "POST /s.S/Chat HTTP/1.1\r\nHost: x\r\nContent-Type: application/connect+proto\r\nTransfer-Encoding: chunked\r\n\r\n");
  for (int i = 0; i < 200 && !chat; i++) turn();
  assert_non_null(chat);
  armed = true;
  say(fd, std::string("8\r\n\x07\0\0\0\x03" "abc\r\n", 13));
  for (int i = 0; i < 10; i++) turn();
  assert_false(armed);
  assert_int_equal(messages, 0);
  chat->release();
  chat = nullptr;
  close(fd);
  for (int i = 0; i < 5; i++) turn();
  h.stop();
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(broken_text_takes_the_connections_room),
      cmocka_unit_test(a_finished_stream_reads_on_behind_a_broken_message),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
