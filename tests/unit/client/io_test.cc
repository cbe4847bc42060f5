// The n-th system call that goes through net::Io fails, for every n, while a client calls: the call ends, with its reply or
// with an error; nothing hangs, and no descriptor stays open. (libcurl sends and receives by itself.)
#include <dirent.h>
#include <errno.h>
#include <time.h>

#include <string>

#include "client/channel.h"
#include "encode/encoder.h"
#include "support/cmocka.h"
#include "support/odd_server.h"
#include "support/pb.h"
#include "view/view.h"

using namespace zcrpc;

namespace {

odd_server server;
schema::Schema* s;

// An Io that counts the calls that can fail, and fails one of them.
int count, fail_at, fail_with;
bool fails() { return ++count == fail_at; }
net::Io failing_io() {
  net::Io io = *net::system_io();
  io.socket = [](void* u, int d, int t, int p) { return fails() ? -fail_with : net::system_io()->socket(u, d, t, p); };
  io.epoll_create = [](void* u) { return fails() ? -fail_with : net::system_io()->epoll_create(u); };
  io.epoll_ctl = [](void* u, int ep, int op, int fd, epoll_event* e) {
    // Taking a descriptor out cannot fail in a way that matters.
    return op != EPOLL_CTL_DEL && fails() ? -fail_with : net::system_io()->epoll_ctl(u, ep, op, fd, e);
  };
  io.epoll_wait = [](void* u, int ep, epoll_event* e, int max, int ms) { return fails() ? -fail_with : net::system_io()->epoll_wait(u, ep, e, max, ms); };
  io.eventfd = [](void* u) { return fails() ? -fail_with : net::system_io()->eventfd(u); };
  io.timerfd = [](void* u) { return fails() ? -fail_with : net::system_io()->timerfd(u); };
  return io;
}

int open_descriptors() {
  DIR* d = opendir("/proc/self/fd");
  int n = 0;
  while (readdir(d)) n++;
  closedir(d);
  return n;
}

int64_t now_ms() {
  timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return int64_t(t.tv_sec) * 1000 + t.tv_nsec / 1000000;
}

struct Outcome {
  int done = 0;
  int32_t code = 0;
};

void on_done(zcrpc_call*, const zcrpc_event* e, const zcrpc_view*, void* user) {
  auto* o = static_cast<Outcome*>(user);
  o->done++;
  o->code = e->value;
}

// One call on a loop with that Io; -1: there was no loop to call on.
int32_t call_once(const net::Io* io, const std::string& target) {
  net::Loop::Options options;
  options.io = io;
  auto made = net::Loop::make(options);
  if (!made.ok()) return -1;
  net::Loop* l = *made;
  Outcome o;
  {
    rpc::Hub hub;
    hub.pushed_user = l;
    hub.pushed = [](rpc::Hub*, void* user) { static_cast<net::Loop*>(user)->want_turn(); };
    client::ChannelConfig config;
    config.call.timeout_ms = 1500;
    auto ch = client::Channel::make(l, &hub, target, config);
    assert_true(ch.ok());
    auto call = (*ch)->open(s->method("p.S/Echo"), (*ch)->call_config());
    assert_true(call.ok());
    rpc::Call* c = *call;
    encode::put_string(c->encoder, 1, base::Slice(std::string_view("hello")));
    assert_true(c->verbs->start(c, 0, on_done, &o).ok());
    int64_t end = now_ms() + 5000;
    while (!o.done && now_ms() < end) {
      assert_true(l->begin().ok());
      l->sleep(100);
      hub.run_functions();
      l->end();
    }
    assert_int_equal(o.done, 1);
    c->release();
    (*ch)->close();
    assert_true(l->begin().ok());
    hub.run_functions();
    l->end();
  }
  net::Loop::free(l);
  return o.code;
}

void every_failing_call_ends_in_an_answer_or_an_error(void**) {
  static const int codes[] = {EMFILE, ENOMEM, EINTR};
  net::Io io = failing_io();
  for (const std::string& target : {std::string(server.target), "http://localhost" + std::string(strrchr(server.target, ':'))}) {
    fail_at = 0;
    assert_int_equal(call_once(&io, target), 0);  // what libraries open once
    for (int code : codes) {
      fail_with = code;
      int errors = 0, n = 1;
      for (;; n++) {
        int before = open_descriptors();
        count = 0;
        fail_at = n;
        int32_t r = call_once(&io, target);
        assert_int_equal(open_descriptors(), before);
        if (count < n) {
          assert_int_equal(r, 0);
          break;
        }
        if (r != 0) errors++;
        if (r > 0 && r != ZCRPC_UNAVAILABLE && r != ZCRPC_RESOURCE_EXHAUSTED && r != ZCRPC_DEADLINE_EXCEEDED) fail_msg("call %d: code %d", n, r);
        assert_true(n < 200);
      }
      assert_true(errors >= 3);
    }
  }
}

int set_up(void**) {
  alarm(150);
  if (odd_server_start(&server, nullptr)) return -1;
  Pb m = message("M").sub(2, field("text", 1, kTypeString));
  Pb method = Pb().str(1, "Echo").str(2, ".p.M").str(3, ".p.M");
  std::string set = set_of({file("odd.proto", "proto3").sub(4, m).sub(6, Pb().str(1, "S").sub(2, method))});
  auto r = schema::read(base::Slice(std::string_view(set)), {});
  if (!r.ok() || !view::bind(*r).ok()) return -1;
  s = *r;
  return s->method("p.S/Echo") ? 0 : -1;
}

int tear_down(void**) {
  s->release();
  odd_server_stop(&server);
  return 0;
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {cmocka_unit_test(every_failing_call_ends_in_an_answer_or_an_error)};
  return cmocka_run_group_tests(tests, set_up, tear_down);
}
