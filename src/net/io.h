// The one table through which server and client reach sockets, time and random numbers, so that fault tests and a
// simulation can replace them. Functions that can fail return a negative errno; none of them raises SIGPIPE.
#pragma once

#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <cstddef>
#include <cstdint>

#include "base/clock.h"

namespace zcrpc::net {

struct Io {
  // Sockets: always non-blocking and close-on-exec.
  int (*socket)(void* user, int domain, int type, int protocol);
  int (*bind)(void* user, int fd, const sockaddr* a, socklen_t n);
  int (*listen)(void* user, int fd, int backlog);
  int (*accept)(void* user, int fd, sockaddr* a, socklen_t* n);
  int (*connect)(void* user, int fd, const sockaddr* a, socklen_t n);
  int (*getsockname)(void* user, int fd, sockaddr* a, socklen_t* n);
  int (*getpeername)(void* user, int fd, sockaddr* a, socklen_t* n);
  int (*setsockopt)(void* user, int fd, int level, int name, const void* v, socklen_t n);
  int (*getsockopt)(void* user, int fd, int level, int name, void* v, socklen_t* n);
  int (*shutdown)(void* user, int fd, int how);
  int64_t (*recv)(void* user, int fd, void* p, size_t n);
  int64_t (*send)(void* user, int fd, const void* p, size_t n);
  int64_t (*sendv)(void* user, int fd, const iovec* v, size_t count);  // at most IOV_MAX
  int64_t (*unsent)(void* user, int fd);                     // bytes of a stream that its peer's side has not taken yet
  void (*close)(void* user, int fd);
  // Waiting.
  int (*epoll_create)(void* user);
  int (*epoll_ctl)(void* user, int ep, int op, int fd, epoll_event* e);
  int (*epoll_wait)(void* user, int ep, epoll_event* e, int max, int timeout_ms);
  int (*eventfd)(void* user);
  void (*eventfd_write)(void* user, int fd);  // async-signal-safe
  int (*timerfd)(void* user);                                // monotonic clock
  int (*timerfd_set)(void* user, int fd, int64_t when_ns);   // absolute; 0 disarms
  // Time and chance.
  int64_t (*monotonic_ns)(void* user);
  int64_t (*wall_ns)(void* user);
  int (*random)(void* user, void* p, size_t n);  // 0, or a negative errno
  void* user;
};

// The operating system. A constant.
const Io* system_io();

}  // namespace zcrpc::net
