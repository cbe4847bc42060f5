// The loop: waking, posting, nesting its descriptor, who is inside, what a forked child may do, and addresses.

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

#include "net/listener.h"
#include "net/loop.h"

// After the C++ headers: it defines a macro named fail.
extern "C" {
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
}

using namespace zcrpc;
using namespace zcrpc::net;

namespace {

constexpr int64_t kMs = Timers::kNsPerMs;

Loop* make() {
  auto l = Loop::make({});
  assert_true(l.ok());
  return *l;
}

int64_t now() { return system_io()->monotonic_ns(nullptr); }

bool readable(int fd, int ms) {
  pollfd p{fd, POLLIN, 0};
  return poll(&p, 1, ms) == 1;
}

struct Count : Task {
  std::atomic<int>* n;
  int order = 0;
};

void posted_work_is_lost_or_out_of_order(void**) {
  Loop* l = make();
  static std::atomic<int> ran{0};
  ran = 0;
  constexpr int kThreads = 4, kEach = 2000;
  std::vector<std::vector<Count>> work(kThreads);
  static std::atomic<int> disorder{0};
  static int last[kThreads];
  struct Numbered : Count {
    int thread;
  };
  std::vector<std::vector<Numbered>> tasks(kThreads);
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; t++) {
    last[t] = -1;
    tasks[size_t(t)].resize(kEach);
    threads.emplace_back([&, t] {
      for (int i = 0; i < kEach; i++) {
        Numbered& n = tasks[size_t(t)][size_t(i)];
        n.thread = t;
        n.order = i;
        n.run = [](Task* task) {
          auto* self = static_cast<Numbered*>(task);
          if (last[self->thread] != self->order - 1) disorder++;
          last[self->thread] = self->order;
          ran++;
        };
        l->post(&n);
      }
    });
  }
  int64_t end = now() + 10'000 * kMs;
  while (ran < kThreads * kEach && now() < end) assert_true(l->turn(1000).ok());
  for (auto& t : threads) t.join();
  assert_int_equal(ran.load(), kThreads * kEach);
  assert_int_equal(disorder.load(), 0);
  Loop::free(l);
}

void a_wake_does_not_end_the_sleep(void**) {
  Loop* l = make();
  std::thread t([&] {
    usleep(20'000);
    l->wake();
  });
  int64_t start = now();
  assert_true(l->turn(5000).ok());
  assert_true(now() - start < 2000 * kMs);
  t.join();
  // And a wake before the turn is not forgotten.
  l->wake();
  start = now();
  assert_true(l->turn(5000).ok());
  assert_true(now() - start < 2000 * kMs);
  Loop::free(l);
}

struct Probe : Timer {
  int fired = 0;
};

void the_descriptor_misses_timers_and_wakes(void**) {
  Loop* l = make();
  Probe p;
  p.fire = [](Timer* t) { static_cast<Probe*>(t)->fired++; };
  {
    Inside in(l);
    assert_true(bool(in));
    l->set_timer(&p, now() + 30 * kMs);
  }
  int fd = l->fd();
  assert_true(readable(fd, 1000));  // the first turn arms the timer descriptor
  assert_true(l->turn(0).ok());
  assert_int_equal(p.fired, 0);
  assert_false(readable(fd, 0));
  assert_true(readable(fd, 1000));
  while (!p.fired) assert_true(l->turn(0).ok());
  // An earlier timer that is set from outside a turn arms it again.
  Probe late = p;
  late.fired = 0;
  {
    Inside in(l);
    l->set_timer(&late, now() + 60'000 * kMs);
    l->set_timer(&p, now() + 20 * kMs);
  }
  for (int i = 0; i < 100 && p.fired < 2; i++) {
    assert_true(readable(fd, 1000));
    assert_true(l->turn(0).ok());
  }
  assert_int_equal(p.fired, 2);
  assert_int_equal(late.fired, 0);
  assert_true(l->turn(0).ok());
  assert_false(readable(fd, 0));
  l->wake();
  assert_true(readable(fd, 0));
  Loop::free(l);
}

void a_timer_set_from_outside_is_later_than_the_sleep(void**) {
  Loop* l = make();
  Probe p;
  p.fire = [](Timer* t) { static_cast<Probe*>(t)->fired++; };
  std::thread t([&] {
    usleep(30'000);  // the turn sleeps now
    for (;;) {
      Inside in(l);
      if (!in) continue;
      l->set_timer(&p, l->now() + 20 * kMs);
      break;
    }
  });
  int64_t start = now();
  while (!p.fired && now() - start < 5000 * kMs) assert_true(l->turn(4000).ok());
  assert_int_equal(p.fired, 1);
  assert_true(now() - start < 2000 * kMs);
  t.join();
  Loop::free(l);
}

struct Pair : Handler {
  Loop* loop;
  Pair* other;
  int runs = 0;
};

void an_event_reaches_a_handler_that_was_removed_in_the_same_round(void**) {
  Loop* l = make();
  int a[2], b[2];
  assert_int_equal(pipe(a), 0);
  assert_int_equal(pipe(b), 0);
  Pair pa, pb;
  auto ready = [](Handler* h, uint32_t) {
    auto* self = static_cast<Pair*>(h);
    self->runs++;
    self->loop->remove(self->other);
  };
  pa.ready = pb.ready = ready;
  pa.fd = a[0];
  pb.fd = b[0];
  pa.loop = pb.loop = l;
  pa.other = &pb;
  pb.other = &pa;
  {
    Inside in(l);
    assert_true(l->add(&pa, EPOLLIN).ok());
    assert_true(l->add(&pb, EPOLLIN).ok());
  }
  assert_int_equal(write(a[1], "x", 1), 1);
  assert_int_equal(write(b[1], "x", 1), 1);
  assert_true(l->turn(0).ok());
  assert_int_equal(pa.runs + pb.runs, 1);
  for (int fd : {a[0], a[1], b[0], b[1]}) close(fd);
  Loop::free(l);
}

struct Nested : Task {
  Loop* loop;
  base::Code code = base::Code::kOk;
};

void a_turn_inside_a_turn_is_let_in(void**) {
  Loop* l = make();
  Nested n;
  n.loop = l;
  n.run = [](Task* t) {
    auto* self = static_cast<Nested*>(t);
    self->code = self->loop->turn(0).code();
    Inside in(self->loop);  // entering is fine, and leaving it does not let others in
    assert_true(bool(in));
    assert_true(self->loop->in_turn());
  };
  l->post(&n);
  assert_true(l->turn(0).ok());
  assert_int_equal(int(n.code), int(base::Code::kFailedPrecondition));
  assert_false(l->inside());
  Loop::free(l);
}

void a_forked_child_turns_the_loop_of_its_parent(void**) {
  Loop* l = make();
  assert_false(l->forked());
  pid_t child = fork();
  if (child == 0) {
    bool right = l->forked() && l->turn(0).code() == base::Code::kFailedPrecondition && !l->try_enter();
    Loop::free(l);
    _exit(right ? 0 : 1);
  }
  int status = 0;
  assert_int_equal(waitpid(child, &status, 0), child);
  assert_int_equal(status, 0);
  assert_true(l->turn(0).ok());
  Loop::free(l);
}

std::string text_of(const Address& a) {
  char text[kAddressText];
  return std::string(text, format_address(a, text));
}

void addresses_are_misread(void**) {
  Address a;
  for (const char* good : {"127.0.0.1:80", "[::1]:8080", "[::]:0", "unix:/tmp/x.sock"}) {
    assert_true(parse_address(good, &a).ok());
    assert_string_equal(text_of(a).c_str(), good);
  }
  assert_true(parse_address("*:7", &a).ok());
  assert_string_equal(text_of(a).c_str(), "[::]:7");
  assert_true(parse_address("localhost:7", &a).ok());
  assert_string_equal(text_of(a).c_str(), "127.0.0.1:7");
  for (const char* bad : {"", "80", ":80", "::1:80", "127.0.0.1", "127.0.0.1:", "127.0.0.1:65536", "127.0.0.1:-1", "127.0.0.1: 1",
                          "example.org:80", "[::1]", "[::1:80", "unix:", "1.2.3:4"}) {
    base::Status s = parse_address(bad, &a);
    assert_int_equal(int(s.code()), int(base::Code::kInvalidArgument));
    assert_non_null(strstr(s.message(), bad));
    assert_non_null(strstr(s.message(), "want host:port, [v6]:port, unix:/path or fd:N"));
  }
}

void two_servers_share_a_port_unawares(void**) {
  Address any, bound, again;
  assert_true(parse_address("127.0.0.1:0", &any).ok());
  auto first = listen_on(system_io(), any, 16, &bound);
  assert_true(first.ok());
  assert_int_not_equal(ntohs(bound.of.v4.sin_port), 0);
  auto second = listen_on(system_io(), bound, 16, &again);
  assert_false(second.ok());
  assert_int_equal(int(second.status().code()), int(base::Code::kUnavailable));
  assert_non_null(strstr(second.status().message(), text_of(bound).c_str()));
  // But our own further loops get their share.
  auto more = listen_again(system_io(), bound, 16);
  assert_true(more.ok());
  close(*first);
  close(*more);
}

void a_socket_file_left_behind_keeps_the_server_from_starting(void**) {
  std::string path = "/tmp/zcrpc-test-" + std::to_string(getpid()) + ".sock";
  Address a, bound;
  assert_true(parse_address("unix:" + path, &a).ok());
  auto first = listen_on(system_io(), a, 16, &bound);
  assert_true(first.ok());
  auto second = listen_on(system_io(), a, 16, &bound);
  assert_false(second.ok());  // somebody answers there
  close(*first);
  auto third = listen_on(system_io(), a, 16, &bound);
  assert_true(third.ok());
  close(*third);
  unlink(path.c_str());
}

// Who had begun to connect is accepted, even in the middle of the handshake; nobody else gets in.
void a_barred_listener_loses_who_had_begun(void**) {
  std::string path = "unix:/tmp/zcrpc-barred-" + std::to_string(getpid());
  for (std::string where : {std::string("127.0.0.1:0"), std::string("[::1]:0"), path}) {
    Address any, bound;
    assert_true(parse_address(where, &any).ok());
    auto fd = listen_on(system_io(), any, 16, &bound);
    assert_true(fd.ok());
    int family = bound.of.any.sa_family, on = 5;
    int queued = socket(family, SOCK_STREAM, 0), begun = socket(family, SOCK_STREAM, 0), late = socket(family, SOCK_STREAM, 0);
    assert_int_equal(connect(queued, &bound.of.any, bound.size), 0);
    if (family != AF_UNIX) {
      // The kernel ends this handshake when the first byte comes, not before.
      assert_int_equal(setsockopt(*fd, IPPROTO_TCP, TCP_DEFER_ACCEPT, &on, sizeof on), 0);
      assert_true(connecting(system_io(), *fd) == Connecting::kNobody);
      assert_int_equal(connect(begun, &bound.of.any, bound.size), 0);
      assert_true(connecting(system_io(), *fd) == Connecting::kSomebody);
    } else {
      assert_true(connecting(system_io(), *fd) == Connecting::kNobody);
    }
    assert_true(bar_listener(system_io(), *fd));
    fcntl(late, F_SETFL, O_NONBLOCK);
    assert_int_equal(connect(late, &bound.of.any, bound.size), -1);
    assert_int_equal(errno, family == AF_UNIX ? ECONNREFUSED : EINPROGRESS);
    int want = family == AF_UNIX ? 1 : 2, got = 0;
    if (family != AF_UNIX) assert_int_equal(send(begun, "x", 1, MSG_NOSIGNAL), 1);
    for (int64_t limit = now() + 2000 * kMs; got < want && now() < limit;) {
      Address peer;
      peer.size = sizeof peer.of;
      int one = system_io()->accept(nullptr, *fd, &peer.of.any, &peer.size);
      if (one < 0) continue;
      got++;
      assert_int_equal(send(one, "y", 1, MSG_NOSIGNAL), 1);
      close(one);
    }
    assert_int_equal(got, want);
    assert_true(connecting(system_io(), *fd) == Connecting::kNobody);
    pollfd p{late, POLLOUT, 0};
    if (family != AF_UNIX) assert_int_equal(poll(&p, 1, 50), 0);
    char c;
    assert_int_equal(recv(queued, &c, 1, 0), 1);
    close(*fd);
    for (int s : {queued, begun, late}) close(s);
  }
  unlink(path.c_str() + 5);
}

// Some sandboxes have no netlink. Then there may be handshakes unless they take no time.
void handshakes_are_overlooked_where_the_system_does_not_tell(void**) {
  Io refuses = *system_io(), mumbles = refuses, deaf = refuses;
  refuses.socket = [](void* u, int domain, int type, int protocol) { return domain == AF_NETLINK ? -EAFNOSUPPORT : system_io()->socket(u, domain, type, protocol); };
  mumbles.recv = [](void*, int, void* p, size_t n) {
    memset(p, 0, n);
    static_cast<nlmsghdr*>(p)->nlmsg_type = NLMSG_ERROR;
    return int64_t(n);
  };
  deaf.recv = [](void*, int, void*, size_t) { return int64_t(-ENOBUFS); };
  struct {
    const char* where;
    Connecting untold;
  } cases[] = {{"127.0.0.1:0", Connecting::kNobody}, {"[::1]:0", Connecting::kNobody}, {"0.0.0.0:0", Connecting::kUnknown}, {"*:0", Connecting::kUnknown}};
  for (auto& c : cases) {
    Address any, bound;
    assert_true(parse_address(c.where, &any).ok());
    auto fd = listen_on(system_io(), any, 16, &bound);
    assert_true(fd.ok());
    assert_true(connecting(system_io(), *fd) == Connecting::kNobody);
    for (const Io* io : {&refuses, &mumbles, &deaf}) assert_true(connecting(io, *fd) == c.untold);
    // Of an address of both families handshakes of the older one are told, too.
    int on = 5, client = socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = bound.of.any.sa_family == AF_INET6 ? bound.of.v6.sin6_port : bound.of.v4.sin_port;
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(setsockopt(*fd, IPPROTO_TCP, TCP_DEFER_ACCEPT, &on, sizeof on), 0);
    bool there = connect(client, reinterpret_cast<sockaddr*>(&to), sizeof to) == 0;
    assert_true(connecting(system_io(), *fd) == (there ? Connecting::kSomebody : Connecting::kNobody));
    assert_true(there == (strcmp(c.where, "[::1]:0") != 0));
    close(client);
    close(*fd);
  }
}

// A server that goes lets nobody in any more, so that its file looks left behind, and is its successor's by the time that it removes it.
void the_file_of_a_successor_is_removed(void**) {
  Address any, bound, next;
  std::string path = "/tmp/zcrpc-successor-" + std::to_string(getpid());
  assert_true(parse_address("unix:" + path, &any).ok());
  auto old = listen_on(system_io(), any, 16, &bound);
  assert_true(old.ok());
  PathId ours = path_id(bound);
  assert_true(ours.inode != 0);
  assert_true(bar_listener(system_io(), *old));
  auto fd = listen_on(system_io(), any, 16, &next);
  assert_true(fd.ok());
  PathId theirs = path_id(next);
  assert_false(ours == theirs);
  remove_path(bound, ours);
  close(*old);
  int client = socket(AF_UNIX, SOCK_STREAM, 0);
  assert_int_equal(connect(client, &next.of.any, next.size), 0);
  remove_path(next, theirs);
  assert_int_equal(access(path.c_str(), F_OK), -1);
  remove_path(next, theirs);  // nothing there
  remove_path(next, {});
  close(client);
  close(*fd);
}

// Accepting while descriptors have run out.
struct Starved {
  Io io = *system_io();
  int left = 0;
  int accepts = 0;
} g_starved;

void accept_spins_when_descriptors_run_out(void**) {
  g_starved.io.accept = [](void*, int fd, sockaddr* a, socklen_t* n) {
    g_starved.accepts++;
    if (g_starved.left-- > 0) return -EMFILE;
    return system_io()->accept(nullptr, fd, a, n);
  };
  g_starved.left = 1;
  Loop::Options o;
  o.io = &g_starved.io;
  auto made = Loop::make(o);
  assert_true(made.ok());
  Loop* l = *made;
  Address any, bound;
  assert_true(parse_address("127.0.0.1:0", &any).ok());
  auto fd = listen_on(system_io(), any, 16, &bound);
  assert_true(fd.ok());
  static int accepted;
  accepted = -1;
  Listener listener;
  {
    Inside in(l);
    assert_true(listener.open(l, *fd, false, [](void*, int s, const Address&) { accepted = s; }, nullptr).ok());
  }
  int client = socket(AF_INET, SOCK_STREAM, 0);
  assert_int_equal(connect(client, &bound.of.any, bound.size), 0);
  int64_t start = now();
  int turns = 0;
  while (accepted < 0 && now() - start < 5000 * kMs) {
    assert_true(l->turn(1000).ok());
    turns++;
  }
  assert_true(accepted >= 0);
  assert_true(now() - start >= 90 * kMs);
  assert_true(turns <= 6);
  assert_true(g_starved.accepts <= 4);
  {
    Inside in(l);
    listener.close();
  }
  close(accepted);
  close(client);
  close(*fd);
  Loop::free(l);
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(posted_work_is_lost_or_out_of_order),
      cmocka_unit_test(a_wake_does_not_end_the_sleep),
      cmocka_unit_test(the_descriptor_misses_timers_and_wakes),
      cmocka_unit_test(a_timer_set_from_outside_is_later_than_the_sleep),
      cmocka_unit_test(an_event_reaches_a_handler_that_was_removed_in_the_same_round),
      cmocka_unit_test(a_turn_inside_a_turn_is_let_in),
      cmocka_unit_test(a_forked_child_turns_the_loop_of_its_parent),
      cmocka_unit_test(addresses_are_misread),
      cmocka_unit_test(two_servers_share_a_port_unawares),
      cmocka_unit_test(a_socket_file_left_behind_keeps_the_server_from_starting),
      cmocka_unit_test(a_barred_listener_loses_who_had_begun),
      cmocka_unit_test(handshakes_are_overlooked_where_the_system_does_not_tell),
      cmocka_unit_test(the_file_of_a_successor_is_removed),
      cmocka_unit_test(accept_spins_when_descriptors_run_out),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
