// HTTP/1.1 through curl_multi_socket_action. What libcurl 7.88 does that one would not guess is said where it matters.
#include "client/curl.h"

#include <errno.h>
#include <netinet/in.h>
#include <arpa/inet.h>
#include <string.h>

#include <new>

#include "client/curl_callbacks.h"

namespace zcrpc::client {

using base::Code;
using base::Result;
using base::Slice;
using base::Status;
using base::String;

namespace {
constexpr int64_t kNamesLastNs = int64_t(60) * 1'000'000'000;  // then the name is looked up again
constexpr long kConnectTimeoutMs = 20'000;
constexpr long kIdleConnections = 64;

template <class T>
void set(CURLcode& first, CURL* easy, CURLoption option, T value) {
  CURLcode r = curl_easy_setopt(easy, option, value);
  if (first == CURLE_OK) first = r;
}

Status no_memory_or(CURLcode r, const char* what) {
  if (r == CURLE_OUT_OF_MEMORY) return Status::no_memory();
  return Status::format(Code::kInternal, "%s: %s", what, curl_easy_strerror(r));
}

bool append(curl_slist** list, const char* text) {
  curl_slist* longer = curl_slist_append(*list, text);
  if (!longer) return false;
  *list = longer;
  return true;
}
}  // namespace

Result<Transport*> curl_transport(net::Loop* loop, const TransportOptions& options) { return CurlTransport::make(loop, options); }

Result<Transport*> CurlTransport::make(net::Loop* loop, const TransportOptions& o) {
  // Counted by libcurl, safe from any thread, and never undone: the application may use libcurl too.
  if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) return Status(Code::kInternal, "libcurl does not start");
  const base::Allocator* a = loop->allocator();
  void* p = a->alloc(sizeof(CurlTransport), a->user);
  if (!p) return Status::no_memory();
  auto* t = new (p) CurlTransport(loop);
  if (Status s = t->init(o); !s.ok()) {
    t->destroy();
    return s;
  }
  return static_cast<Transport*>(t);
}

Status CurlTransport::init(const TransportOptions& o) {
  start = [](Transport* t, const HttpRequest& r, HttpSink* s) { return static_cast<CurlTransport*>(t)->begin(r, s); };
  cancel = [](Transport* t, HttpExchange* e) { static_cast<CurlTransport*>(t)->abandon(e); };
  free = [](Transport* t) { static_cast<CurlTransport*>(t)->destroy(); };
  tick_.self = check_.self = query_.self = this;
  tick_.fire = [](net::Timer* t) { static_cast<Tick*>(t)->self->act(CURL_SOCKET_TIMEOUT, 0); };
  check_.run = [](net::Deferred* d) { static_cast<Check*>(d)->self->collect(); };
  query_.done = [](net::NameQuery* q, Status s, std::span<const net::Address> a) { static_cast<Query*>(q)->self->named(std::move(s), a); };

  const Endpoint& at = o.endpoint;
  host_.append(at.host);
  authority_.append(at.authority);
  path_.append(at.socket_path);
  if (!host_.ok() || !authority_.ok() || !path_.ok()) return Status::no_memory();
  port_ = at.port;
  max_header_bytes_ = o.max_header_bytes;
  connections_ = o.connections;
  if (at.socket_path.empty() && !net::is_numeric_address(at.host)) name_state_ = Names::kUnknown;

  multi_ = curl_multi_init();
  if (!multi_) return Status::no_memory();
  curl_multi_setopt(multi_, CURLMOPT_SOCKETFUNCTION, CurlCallbacks::socket);
  curl_multi_setopt(multi_, CURLMOPT_SOCKETDATA, this);
  curl_multi_setopt(multi_, CURLMOPT_TIMERFUNCTION, CurlCallbacks::timer);
  curl_multi_setopt(multi_, CURLMOPT_TIMERDATA, this);
  curl_multi_setopt(multi_, CURLMOPT_PIPELINING, CURLPIPE_NOTHING);
  curl_multi_setopt(multi_, CURLMOPT_MAXCONNECTS, kIdleConnections);
  if (o.max_connections) curl_multi_setopt(multi_, CURLMOPT_MAX_TOTAL_CONNECTIONS, long(o.max_connections));
  return {};
}

void CurlTransport::destroy() {
  if (names_) {
    names_->cancel(&query_);
    net::Names::free(names_);
  }
  while (active_) abandon(active_);
  const base::Allocator* a = loop_->allocator();
  // Open connections close through our callbacks, so the sockets' entries have to be there until the last.
  for (HttpExchange* e = idle_; e; e = e->next) curl_easy_cleanup(e->easy);
  if (multi_) curl_multi_cleanup(multi_);
  while (HttpExchange* e = idle_) {
    idle_ = e->next;
    e->~HttpExchange();
    a->free(e, sizeof(HttpExchange), a->user);
  }
  loop_->clear_timer(&tick_);
  loop_->undefer(&check_);
  this->~CurlTransport();
  a->free(this, sizeof(CurlTransport), a->user);
}

// ---- One exchange ----

Result<HttpExchange*> CurlTransport::begin(const HttpRequest& request, HttpSink* sink) {
  Result<HttpExchange*> made = idle_exchange();
  if (!made.ok()) return made;
  HttpExchange* e = *made;
  e->sink = sink;
  e->prev = nullptr;
  if ((e->next = active_)) active_->prev = e;
  active_ = e;
  Status s = describe(e, request);
  if (s.ok() && !names_are_fresh()) {
    if (!names_) {
      Result<net::Names*> n = net::Names::make(loop_);
      if (n.ok()) names_ = *n;
      s = n.take_status();
    }
    if (s.ok()) {
      // With addresses from before, calls go on while the name is looked up again.
      bool stale = name_state_ == Names::kKnown;
      if (name_state_ != Names::kAsking && !query_.lookup) {
        if (stale) named_at_ = loop_->now();
        else name_state_ = Names::kAsking;
        names_->resolve(&query_, host_.view());
      }
      if (name_state_ == Names::kAsking) return e;  // named() goes on
    }
  }
  // The answer of a look-up may have come at once, and sent this exchange on its way.
  if (s.ok() && !e->in_multi && e->early.ok()) s = add(e);
  if (!s.ok()) {
    abandon(e);
    return s;
  }
  return e;
}

Result<HttpExchange*> CurlTransport::idle_exchange() {
  if (HttpExchange* e = idle_) {
    idle_ = e->next;
    e->next = nullptr;
    e->header_bytes = 0;
    e->status = 0;
    e->early = Status();
    e->head_done = e->broken = e->lost = e->too_many_headers = false;
    e->error[0] = 0;
    return e;
  }
  const base::Allocator* a = loop_->allocator();
  void* p = a->alloc(sizeof(HttpExchange), a->user);
  if (!p) return Status::no_memory();
  auto* e = new (p) HttpExchange;
  e->transport = this;
  Status s = prepare(e);
  if (!s.ok()) {
    if (e->easy) curl_easy_cleanup(e->easy);
    e->~HttpExchange();
    a->free(e, sizeof(HttpExchange), a->user);
    return s;
  }
  for (CurlSocket& one : e->sockets) {
    one.transport = this;
    one.next = free_sockets_;
    free_sockets_ = &one;
  }
  return e;
}

Status CurlTransport::prepare(HttpExchange* e) {
  CURL* c = e->easy = curl_easy_init();
  if (!c) return Status::no_memory();
  CURLcode r = CURLE_OK;
  set(r, c, CURLOPT_PRIVATE, e);
  set(r, c, CURLOPT_ERRORBUFFER, e->error);
  set(r, c, CURLOPT_NOSIGNAL, 1L);  // no handler for SIGPIPE or SIGALRM: on Linux it sends with MSG_NOSIGNAL
  set(r, c, CURLOPT_NOPROGRESS, 1L);
  set(r, c, CURLOPT_PROTOCOLS_STR, "http");
  set(r, c, CURLOPT_HTTP_VERSION, long(CURL_HTTP_VERSION_1_1));
  set(r, c, CURLOPT_PROXY, "");     // not whatever the environment says
  set(r, c, CURLOPT_PATH_AS_IS, 1L);
  set(r, c, CURLOPT_FOLLOWLOCATION, 0L);
  set(r, c, CURLOPT_CONNECTTIMEOUT_MS, kConnectTimeoutMs);
  set(r, c, CURLOPT_BUFFERSIZE, 64L << 10);
  set(r, c, CURLOPT_HEADERFUNCTION, CurlCallbacks::header);
  set(r, c, CURLOPT_HEADERDATA, e);
  set(r, c, CURLOPT_WRITEFUNCTION, CurlCallbacks::data);
  set(r, c, CURLOPT_WRITEDATA, e);
  set(r, c, CURLOPT_OPENSOCKETFUNCTION, CurlCallbacks::open_socket);
  set(r, c, CURLOPT_OPENSOCKETDATA, e);
  set(r, c, CURLOPT_CLOSESOCKETFUNCTION, CurlCallbacks::close_socket);
  set(r, c, CURLOPT_CLOSESOCKETDATA, this);
  if (!path_.empty()) {
    const char* path = path_.c_str();
    if (!path) return Status::no_memory();
    set(r, c, CURLOPT_UNIX_SOCKET_PATH, path);
  }
  return r == CURLE_OK ? Status() : no_memory_or(r, "libcurl refuses an option");
}

Status CurlTransport::describe(HttpExchange* e, const HttpRequest& request) {
  String text(loop_->allocator());
  text.append("http://").append(authority_.view()).append(request.target);
  const char* url = text.c_str();
  if (!text.ok() || !url) return Status::no_memory();
  CURLcode r = CURLE_OK;
  set(r, e->easy, CURLOPT_URL, url);  // copied

  e->repeatable = request.repeatable;
  // Without these two libcurl asks for "Expect: 100-continue" above 1 MiB, and says that it accepts everything.
  bool good = append(&e->headers, "Expect:") && append(&e->headers, "Accept:");
  for (size_t i = 0; good && request.headers && i < request.headers->size(); i++) {
    text.clear();
    Slice value = request.headers->value(i);
    text.append(request.headers->name(i));
    if (value.empty()) text.append(';');  // libcurl's way to send a name without a value
    else text.append(": ").append(value.text());
    const char* line = text.c_str();
    good = text.ok() && line && append(&e->headers, line);
  }
  if (!good) return Status::no_memory();
  set(r, e->easy, CURLOPT_HTTPHEADER, e->headers);
  if (request.get) {
    set(r, e->easy, CURLOPT_HTTPGET, 1L);
  } else {
    set(r, e->easy, CURLOPT_POST, 1L);
    set(r, e->easy, CURLOPT_POSTFIELDSIZE_LARGE, curl_off_t(request.body.size));
    set(r, e->easy, CURLOPT_POSTFIELDS, request.body.size ? reinterpret_cast<const char*>(request.body.data) : "");
  }
  return r == CURLE_OK ? Status() : no_memory_or(r, "libcurl refuses the request");
}

Status CurlTransport::add(HttpExchange* e) {
  if (resolve_news_) {
    const char* entry = resolve_.c_str();
    if (!entry || !append(&e->resolve, entry)) return Status::no_memory();
    if (CURLcode r = curl_easy_setopt(e->easy, CURLOPT_RESOLVE, e->resolve); r != CURLE_OK) return no_memory_or(r, "addresses");
    resolve_news_ = false;  // libcurl keeps them for all exchanges
  }
  CURLMcode m = curl_multi_add_handle(multi_, e->easy);
  if (m != CURLM_OK) return m == CURLM_OUT_OF_MEMORY ? Status::no_memory() : Status(Code::kInternal, curl_multi_strerror(m));
  e->in_multi = true;
  act(CURL_SOCKET_TIMEOUT, 0);  // connects, or sends at once on an open connection
  return {};
}

void CurlTransport::abandon(HttpExchange* e) {
  e->sink = nullptr;
  if (e->in_multi) {
    // In the middle of a transfer this closes the connection, which is how HTTP/1.1 says cancel.
    curl_multi_remove_handle(multi_, e->easy);
    e->in_multi = false;
  }
  if (e->prev) e->prev->next = e->next;
  else if (active_ == e) active_ = e->next;
  if (e->next) e->next->prev = e->prev;
  e->prev = nullptr;
  curl_easy_setopt(e->easy, CURLOPT_HTTPHEADER, nullptr);
  curl_slist_free_all(e->headers);
  e->headers = nullptr;
  if (e->resolve) {
    curl_easy_setopt(e->easy, CURLOPT_RESOLVE, nullptr);
    curl_slist_free_all(e->resolve);
    e->resolve = nullptr;
  }
  // Its sockets may serve others, so that it is freed with the transport only.
  e->next = idle_;
  idle_ = e;
}

void CurlTransport::finish(HttpExchange* e, Status s) {
  HttpSink* sink = e->sink;
  abandon(e);
  if (sink) sink->ended(sink, std::move(s));
}

// ---- libcurl's events ----

void CurlTransport::act(curl_socket_t fd, int what) {
  int running;
  (void)curl_multi_socket_action(multi_, fd, what, &running);
  loop_->defer(&check_);
}

void CurlTransport::collect() {
  int left;
  HttpExchange* after;
  for (HttpExchange* e = active_; e; e = after) {
    after = e->next;
    if (!e->early.ok()) finish(e, std::move(e->early));
  }
  while (CURLMsg* m = curl_multi_info_read(multi_, &left)) {
    if (m->msg != CURLMSG_DONE) continue;
    HttpExchange* e = nullptr;
    curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, &e);
    CURLcode code = m->data.result;  // m goes with the next call
    finish(e, status_of(e, code));
  }
  if (watch_failed_) {
    watch_failed_ = false;
    while (active_) finish(active_, Status(Code::kResourceExhausted, "a socket could not be watched"));
  }
}

Status CurlTransport::status_of(HttpExchange* e, CURLcode code) {
  if (code == CURLE_OK || e->broken) return {};
  if (e->too_many_headers) return Status(Code::kResourceExhausted, "the answer's headers are larger than the limit");
  if (e->lost) return Status(Code::kUnavailable, "the connection was lost after the request had been sent");
  long os = 0;
  curl_easy_getinfo(e->easy, CURLINFO_OS_ERRNO, &os);
  const char* cause = os ? strerrordesc_np(int(os)) : nullptr;
  if (!cause) cause = e->error[0] ? e->error : curl_easy_strerror(code);
  switch (code) {
    case CURLE_OUT_OF_MEMORY:
    case CURLE_COULDNT_RESOLVE_HOST:  // it has an address, and no memory to keep it in
    case CURLE_FAILED_INIT: return Status::no_memory();
    case CURLE_COULDNT_CONNECT:
      if (name_state_ == Names::kKnown) named_at_ -= kNamesLastNs;  // the host may have moved
      return Status::format(Code::kUnavailable, "cannot connect to %.*s: %s", int(authority_.size()), authority_.data(), cause);
    case CURLE_OPERATION_TIMEDOUT:
      return Status::format(Code::kUnavailable, "connecting to %.*s took too long", int(authority_.size()), authority_.data());
    case CURLE_GOT_NOTHING: return Status(Code::kUnavailable, "the connection was closed without an answer");
    case CURLE_PARTIAL_FILE: return Status(Code::kUnavailable, "the connection was closed in the middle of the answer");
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR: return Status::format(Code::kUnavailable, "the connection was lost: %s", cause);
    default: return Status::format(Code::kInternal, "the answer is not HTTP/1.1 as it should be: %s", e->error[0] ? e->error : cause);
  }
}

// ---- Names ----

bool CurlTransport::names_are_fresh() const {
  return name_state_ == Names::kNotNeeded || (name_state_ == Names::kKnown && loop_->now() - named_at_ < kNamesLastNs);
}

// libcurl's own resolver starts a thread for each look-up (Debian's build), so it is never let to look anything up.
void CurlTransport::named(Status s, std::span<const net::Address> addresses) {
  bool had = name_state_ == Names::kKnown;
  String text(loop_->allocator());
  if (s.ok()) {
    text.append(host_.view()).append(':').append_int(port_);
    char one[INET6_ADDRSTRLEN];
    bool first = true;
    for (const net::Address& a : addresses) {
      bool six = a.of.any.sa_family == AF_INET6;
      const void* bytes = six ? static_cast<const void*>(&a.of.v6.sin6_addr) : &a.of.v4.sin_addr;
      if (!inet_ntop(six ? AF_INET6 : AF_INET, bytes, one, sizeof one)) continue;
      text.append(first ? ':' : ',').append(six ? "[" : "").append(one).append(six ? "]" : "");
      first = false;
    }
    if (!text.ok()) s = Status::no_memory();
  }
  if (s.ok()) {
    resolve_ = std::move(text);
    resolve_news_ = true;
    named_at_ = loop_->now();
    name_state_ = Names::kKnown;
  }
  if (had) return;  // good or bad: nobody waits
  if (!s.ok()) name_state_ = Names::kUnknown;
  for (HttpExchange* e = active_; e; e = e->next) {
    if (e->in_multi) continue;
    e->early = s.ok() ? add(e) : Status::format(s.code(), "cannot resolve %.*s: %s", int(host_.size()), host_.data(), s.message());
  }
  loop_->defer(&check_);
}

}  // namespace zcrpc::client
