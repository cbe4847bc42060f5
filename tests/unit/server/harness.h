// A server over its own loop in one thread, with a table of system calls that a test may interfere with, and an opaque
// method, /s.S/Echo, whose requests are answered with their own bytes through events, and another, /s.S/Chat, that does the
// same with each message of a stream.
#pragma once

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <string>
#include <utility>

#include "net/loop.h"
#include "server/server.h"

// The time that client and server share here, as they share a thread: a machine that does not let it run holds up both, so that
// neither was silent meanwhile, and it does not count. A wait is as long as it was asked to be, all between two looks at the clock
// takes 3 ms at most.
struct Steady {
  static inline int64_t real = zcrpc::net::system_io()->monotonic_ns(nullptr), now = real;
  static inline int (*waits)(void*, int, epoll_event*, int, int) = nullptr;

  static int64_t pass(int64_t most_ms) {
    int64_t was = std::exchange(real, zcrpc::net::system_io()->monotonic_ns(nullptr));
    return now += std::min(real - was, most_ms * 1'000'000);
  }
  static int64_t look(void*) { return pass(3); }
  static int wait(void* user, int ep, epoll_event* e, int max, int ms) {
    look(nullptr);
    int n = waits(user, ep, e, max, ms);
    pass(ms + 1);
    return n;
  }
  // Of a table whose clock is the system's.
  static zcrpc::net::Io io(const zcrpc::net::Io* from) {
    zcrpc::net::Io io = *from;
    if (io.monotonic_ns != zcrpc::net::system_io()->monotonic_ns) return io;
    waits = io.epoll_wait;
    io.epoll_wait = wait;
    io.monotonic_ns = look;
    return io;
  }
};
inline int64_t ms_now() { return Steady::look(nullptr) / 1'000'000; }

struct Harness {
  zcrpc::net::Io io;  // what it runs on
  zcrpc::net::Loop* loop = nullptr;
  zcrpc::rpc::Hub hub;
  zcrpc::server::Server* server = nullptr;
  zcrpc::schema::Method method{}, chat{};
  zcrpc::net::Streams* streams = nullptr;  // of a second listener, if there is one; borrowed
  bool answer = true;   // else requests are left waiting
  bool echo = true;     // else messages of a stream are only read
  std::string reply;    // what requests are answered with instead of their own bytes, unless it is empty
  int pushes = 0;       // a stream's first message is answered with so many replies at once, whatever its room is
  int polite = 0;       // likewise, but when there is room
  std::map<zcrpc::rpc::Call*, int> left;  // of those
  int requests = 0, port = 0;
  int dones = 0, code = 0;  // DONEs that were heard, and the last one's code
  std::string log;      // a line each

  // What went wrong, if anything did; empty: it serves.
  zcrpc::base::Status start(const zcrpc::net::Io* from, zcrpc::server::Config config = {}) {
    zcrpc::net::Loop::Options o;
    io = Steady::io(from);
    o.io = &io;
    o.log = config.log;
    if (!o.log.write) o.log = {[](int32_t, const char* text, size_t n, void* user) { static_cast<std::string*>(user)->append(text, n).append("\n"); }, &log, zcrpc::base::LogLevel::kInfo};
    auto made_loop = zcrpc::net::Loop::make(o);
    if (!made_loop.ok()) return made_loop.take_status();
    loop = *made_loop;
    auto made = zcrpc::server::Server::make(config, o);
    if (!made.ok()) return made.take_status();
    server = *made;
    method.path = "/s.S/Echo";
    zcrpc::server::Route r;
    r.method = &method;
    ZCRPC_TRY(server->set(r));
    chat.path = "/s.S/Chat";
    chat.flags = ZCRPC_METHOD_CLIENT_STREAM | ZCRPC_METHOD_SERVER_STREAM;
    r.method = &chat;
    ZCRPC_TRY(server->set(r));
    ZCRPC_TRY(server->listen("127.0.0.1:0"));
    if (streams) ZCRPC_TRY(server->listen("127.0.0.1:0", streams));
    port = atoi(strrchr(server->address(0), ':') + 1);
    return server->attach(loop, &hub);
  }
  void stop() {
    zcrpc::server::Server::free(server);
    while (zcrpc::rpc::Event* e = hub.front()) {
      hub.pop();
      hub.release(e);
    }
    zcrpc::net::Loop::free(loop);
  }
  void send_politely(zcrpc::rpc::Call* c) {
    zcrpc_op op{};
    op.kind = ZCRPC_OP_SEND;
    for (int& n = left[c]; n > 0 && c->verbs->room(c) > 0; n--) (void)c->verbs->op(c, &op, zcrpc::base::Slice(std::string_view(reply)), nullptr, {}).ok();
  }
  void do_op(zcrpc::rpc::Event* e) {
    zcrpc_op op{};
    if (polite && (e->record.kind == ZCRPC_EVENT_MESSAGE || e->record.kind == ZCRPC_EVENT_WRITABLE)) {
      left.emplace(e->call, polite);
      return send_politely(e->call);
    }
    zcrpc::base::Slice bytes;
    switch (e->record.kind) {
      case ZCRPC_EVENT_REQUEST:
        op.kind = e->record.flags & ZCRPC_EVENT_END ? ZCRPC_OP_FINISH : ZCRPC_OP_READ;
        op.value = op.kind == ZCRPC_OP_READ;
        break;
      case ZCRPC_EVENT_MESSAGE:
        op.kind = ZCRPC_OP_SEND;
        for (int i = 0; i < pushes; i++) (void)e->call->verbs->op(e->call, &op, zcrpc::base::Slice(std::string_view(reply)), nullptr, {}).ok();
        if (pushes) return;
        op.kind = echo ? ZCRPC_OP_SEND : ZCRPC_OP_READ;
        op.value = 1;
        break;
      case ZCRPC_EVENT_HALF_CLOSE:
        op.kind = ZCRPC_OP_FINISH;
        op.flags = ZCRPC_OP_NO_MESSAGE;
        break;
      default: return;
    }
    if (!reply.empty() && op.kind == ZCRPC_OP_FINISH) bytes = zcrpc::base::Slice(std::string_view(reply));
    else if (e->record.len) bytes = {reinterpret_cast<const void*>(uintptr_t(e->record.data)), e->record.len};
    zcrpc::base::Status s = e->call->verbs->op(e->call, &op, bytes, nullptr, {});
    if (s.ok() && op.kind == ZCRPC_OP_SEND) {
      op.kind = ZCRPC_OP_READ;
      op.value = 1;
      s = e->call->verbs->op(e->call, &op, {}, nullptr, {});
    }
    (void)s.ok();
  }
  void turn(int ms) {
    if (!loop->begin().ok()) return;
    loop->sleep(ms);
    while (zcrpc::rpc::Event* e = hub.front()) {
      hub.pop();
      if (e->record.kind == ZCRPC_EVENT_REQUEST) requests++;
      if (e->record.kind == ZCRPC_EVENT_DONE) dones++, code = e->record.value;
      if (answer && e->call && !e->call->has(zcrpc::rpc::kDone)) do_op(e);
      hub.release(e);
    }
    loop->end();
  }
};

inline int dial(int port) {
  sockaddr_in a{};
  a.sin_family = AF_INET;
  a.sin_port = htons(uint16_t(port));
  a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (connect(fd, reinterpret_cast<sockaddr*>(&a), sizeof a) != 0) {
    close(fd);
    return -1;
  }
  return fd;
}
inline void say(int fd, std::string_view s) { (void)!send(fd, s.data(), s.size(), MSG_NOSIGNAL); }

// Turns until the peer has sent something that ends in `end`, or has closed, or ms have passed. closed: it has.
inline std::string hear(Harness* h, int fd, std::string_view end, int64_t ms, bool* closed) {
  std::string got;
  *closed = false;
  for (int64_t limit = ms_now() + ms; ms_now() < limit;) {
    h->turn(2);
    char b[65536];
    ssize_t n = recv(fd, b, sizeof b, MSG_DONTWAIT);
    if (n > 0) got.append(b, size_t(n));
    if (n == 0 || (n < 0 && errno != EAGAIN)) *closed = true;
    if (*closed || (!end.empty() && got.ends_with(end))) break;
  }
  return got;
}

inline std::string post(std::string_view body) {
  return "POST /s.S/Echo HTTP/1.1\r\nHost: x\r\nContent-Type: application/proto\r\nContent-Length: " + std::to_string(body.size()) +
         "\r\n\r\n" + std::string(body);
}
