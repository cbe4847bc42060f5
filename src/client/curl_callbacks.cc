#include "client/curl_callbacks.h"

#include <netinet/in.h>
#include <netinet/tcp.h>

#include <cstring>

namespace zcrpc::client {

namespace {
constexpr size_t kMaxHeaderName = 256;
constexpr size_t kStop = 0;  // returned for bytes that were given: libcurl ends the transfer

std::string_view trimmed(std::string_view s) {
  while (!s.empty() && (s.front() == ' ' || s.front() == '\t')) s.remove_prefix(1);
  while (!s.empty() && (s.back() == ' ' || s.back() == '\t' || s.back() == '\r' || s.back() == '\n')) s.remove_suffix(1);
  return s;
}

// "HTTP/1.1 200 OK"
int32_t status_of(std::string_view line) {
  size_t space = line.find(' ');
  int32_t status = 0;
  if (space == line.npos) return 0;
  for (size_t i = space + 1; i < line.size() && i < space + 4; i++) {
    if (line[i] < '0' || line[i] > '9') return 0;
    status = status * 10 + (line[i] - '0');
  }
  return status;
}
}  // namespace

int CurlCallbacks::socket(CURL*, curl_socket_t fd, int what, void* user, void* own) {
  auto* t = static_cast<CurlTransport*>(user);
  auto* s = static_cast<CurlSocket*>(own);
  if (what == CURL_POLL_REMOVE) {
    if (!s) return 0;
    if (!t->loop_->forked()) t->loop_->remove(s);  // the epoll set is the parent's too
    curl_multi_assign(t->multi_, fd, nullptr);
    s->fd = -1;
    s->next = t->free_sockets_;
    t->free_sockets_ = s;
    return 0;
  }
  uint32_t events = (what & CURL_POLL_IN ? uint32_t(EPOLLIN) : 0) | (what & CURL_POLL_OUT ? uint32_t(EPOLLOUT) : 0);
  if (s) {
    if (!t->loop_->modify(s, events)) t->watch_failed_ = true;
    return 0;
  }
  s = t->free_sockets_;
  if (!s) {
    t->watch_failed_ = true;
    return 0;
  }
  s->fd = fd;
  s->ready = [](net::Handler* h, uint32_t e) {
    // An error shows as readable and writable, so that libcurl asks the socket itself what it is.
    int mask = 0;
    if (e & ~uint32_t(EPOLLOUT)) mask |= CURL_CSELECT_IN;
    if (e & ~uint32_t(EPOLLIN)) mask |= CURL_CSELECT_OUT;
    static_cast<CurlSocket*>(h)->transport->act(h->fd, mask);
  };
  if (!t->loop_->add(s, events).ok()) {
    s->fd = -1;
    t->watch_failed_ = true;
    return 0;
  }
  t->free_sockets_ = s->next;
  curl_multi_assign(t->multi_, fd, s);
  return 0;
}

// Only notes the time: libcurl must not be called from here.
int CurlCallbacks::timer(CURLM*, long ms, void* user) {
  auto* t = static_cast<CurlTransport*>(user);
  if (ms < 0) t->loop_->clear_timer(&t->tick_);
  else t->loop_->set_timer(&t->tick_, t->loop_->now() + int64_t(ms) * 1'000'000);
  return 0;
}

// Also the place where libcurl is kept from sending a request twice: when a connection that was kept alive goes away
// before the answer, it opens another and sends again, although the server may have acted on the first.
curl_socket_t CurlCallbacks::open_socket(void* user, curlsocktype, curl_sockaddr* address) {
  auto* e = static_cast<HttpExchange*>(user);
  CurlTransport* t = e->transport;
  long sent = 0;
  curl_easy_getinfo(e->easy, CURLINFO_REQUEST_SIZE, &sent);
  if (sent > 0 && !e->repeatable) {
    e->lost = true;
    return CURL_SOCKET_BAD;
  }
  const net::Io* io = t->loop_->io();
  int fd = io->socket(io->user, address->family, address->socktype, address->protocol);
  if (fd < 0) return CURL_SOCKET_BAD;
  if (t->connections_) t->connections_->fetch_add(1, std::memory_order_relaxed);
  return fd;
}

int CurlCallbacks::close_socket(void* user, curl_socket_t fd) {
  const net::Io* io = static_cast<CurlTransport*>(user)->loop_->io();
  io->close(io->user, fd);
  return 0;
}

size_t CurlCallbacks::header(char* line, size_t one, size_t n, void* user) {
  auto* e = static_cast<HttpExchange*>(user);
  size_t size = one * n;
  if (!e->sink) return size;
  e->header_bytes += size;
  if (e->header_bytes > e->transport->max_header_bytes_) {
    e->too_many_headers = true;
    return kStop;
  }
  std::string_view text = trimmed({line, size});
  if (e->head_done) return size;  // HTTP trailers mean nothing to a unary call
  if (text.empty()) {
    if (e->status >= 200) e->head_done = true;
    return size;
  }
  if (text.starts_with("HTTP/")) {
    e->status = status_of(text);
    if (e->status < 200 || e->sink->status(e->sink, e->status)) return size;
    e->broken = true;
    return kStop;
  }
  if (e->status < 200) return size;  // of an interim answer
  size_t colon = text.find(':');
  if (colon == text.npos || colon == 0 || colon > kMaxHeaderName) return size;
  char name[kMaxHeaderName];
  for (size_t i = 0; i < colon; i++) name[i] = char(text[i] >= 'A' && text[i] <= 'Z' ? text[i] | 0x20 : text[i]);
  if (e->sink->header(e->sink, {name, colon}, trimmed(text.substr(colon + 1)))) return size;
  e->broken = true;
  return kStop;
}

size_t CurlCallbacks::data(char* bytes, size_t one, size_t n, void* user) {
  auto* e = static_cast<HttpExchange*>(user);
  size_t size = one * n;
  if (!e->sink || size == 0 || e->sink->data(e->sink, base::Slice(bytes, size), nullptr)) return size;
  e->broken = true;
  return kStop;
}

}  // namespace zcrpc::client
