#include "net/io.h"

#include <errno.h>
#include <linux/sockios.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <ctime>

namespace zcrpc::net {
namespace {

int result(int r) { return r < 0 ? -errno : r; }
int64_t result(ssize_t r) { return r < 0 ? -errno : int64_t(r); }

int64_t clock_ns(clockid_t id) {
  timespec t;
  clock_gettime(id, &t);
  return int64_t(t.tv_sec) * 1'000'000'000 + t.tv_nsec;
}

constexpr Io kSystem = {
    .socket = [](void*, int d, int t, int p) { return result(::socket(d, t | SOCK_NONBLOCK | SOCK_CLOEXEC, p)); },
    .bind = [](void*, int fd, const sockaddr* a, socklen_t n) { return result(::bind(fd, a, n)); },
    .listen = [](void*, int fd, int backlog) { return result(::listen(fd, backlog)); },
    .accept = [](void*, int fd, sockaddr* a, socklen_t* n) { return result(::accept4(fd, a, n, SOCK_NONBLOCK | SOCK_CLOEXEC)); },
    .connect = [](void*, int fd, const sockaddr* a, socklen_t n) { return result(::connect(fd, a, n)); },
    .getsockname = [](void*, int fd, sockaddr* a, socklen_t* n) { return result(::getsockname(fd, a, n)); },
    .getpeername = [](void*, int fd, sockaddr* a, socklen_t* n) { return result(::getpeername(fd, a, n)); },
    .setsockopt = [](void*, int fd, int l, int o, const void* v, socklen_t n) { return result(::setsockopt(fd, l, o, v, n)); },
    .getsockopt = [](void*, int fd, int l, int o, void* v, socklen_t* n) { return result(::getsockopt(fd, l, o, v, n)); },
    .shutdown = [](void*, int fd, int how) { return result(::shutdown(fd, how)); },
    .recv = [](void*, int fd, void* p, size_t n) { return result(::recv(fd, p, n, 0)); },
    .send = [](void*, int fd, const void* p, size_t n) { return result(::send(fd, p, n, MSG_NOSIGNAL)); },
    .sendv =
        [](void*, int fd, const iovec* v, size_t count) {
          msghdr m{};
          m.msg_iov = const_cast<iovec*>(v);
          m.msg_iovlen = count;
          return result(::sendmsg(fd, &m, MSG_NOSIGNAL));
        },
    .unsent =
        [](void*, int fd) -> int64_t {
          int n = 0;
          return ::ioctl(fd, SIOCOUTQ, &n) < 0 ? -errno : n;
        },
    .close = [](void*, int fd) { ::close(fd); },
    .epoll_create = [](void*) { return result(::epoll_create1(EPOLL_CLOEXEC)); },
    .epoll_ctl = [](void*, int ep, int op, int fd, epoll_event* e) { return result(::epoll_ctl(ep, op, fd, e)); },
    .epoll_wait = [](void*, int ep, epoll_event* e, int max, int ms) { return result(::epoll_wait(ep, e, max, ms)); },
    .eventfd = [](void*) { return result(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)); },
    .eventfd_write =
        [](void*, int fd) {
          int saved = errno;  // a signal handler may be in the middle of somebody's system call
          uint64_t one = 1;
          [[maybe_unused]] ssize_t n = ::write(fd, &one, sizeof one);
          errno = saved;
        },
    .timerfd = [](void*) { return result(::timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC)); },
    .timerfd_set =
        [](void*, int fd, int64_t when) {
          itimerspec t{};
          t.it_value.tv_sec = time_t(when / 1'000'000'000);
          t.it_value.tv_nsec = long(when % 1'000'000'000);
          return result(::timerfd_settime(fd, TFD_TIMER_ABSTIME, &t, nullptr));
        },
    .monotonic_ns = [](void*) { return clock_ns(CLOCK_MONOTONIC); },
    .wall_ns = [](void*) { return clock_ns(CLOCK_REALTIME); },
    .random =
        [](void*, void* p, size_t n) {
          ssize_t r = ::getrandom(p, n, 0);
          return r == ssize_t(n) ? 0 : -EIO;
        },
    .user = nullptr,
};

}  // namespace

const Io* system_io() { return &kSystem; }

}  // namespace zcrpc::net
