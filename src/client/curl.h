// The transport that libcurl carries. Inside this folder only.
#pragma once

#include <curl/curl.h>

#include "base/string.h"
#include "client/transport.h"
#include "net/names.h"

namespace zcrpc::client {

class CurlTransport;

// A socket that libcurl wants to hear about. They come out of a list that grows with the exchanges, since libcurl gives
// up for good when its socket callback fails.
struct CurlSocket : net::Handler {
  CurlTransport* transport = nullptr;
  CurlSocket* next = nullptr;
};

struct HttpExchange {
  CurlTransport* transport = nullptr;
  CURL* easy = nullptr;
  HttpSink* sink = nullptr;             // nullptr: idle
  HttpExchange *next = nullptr, *prev = nullptr;
  curl_slist* headers = nullptr;
  curl_slist* resolve = nullptr;        // lives as long as libcurl may look at it
  size_t header_bytes = 0;
  int32_t status = 0;
  base::Status early;                   // failed before libcurl had it; collect() tells the sink
  bool in_multi = false;
  bool repeatable = false;
  bool head_done = false;               // the final head has come to its end
  bool broken = false;                  // by the sink, which knows why
  bool lost = false;                    // the connection went after the request had been sent
  bool too_many_headers = false;
  char error[CURL_ERROR_SIZE] = {};
  CurlSocket sockets[2];                // happy eyeballs try two at a time
};

class CurlTransport : public Transport {
 public:
  static base::Result<Transport*> make(net::Loop* loop, const TransportOptions& o);

 private:
  friend struct CurlCallbacks;
  struct Tick : net::Timer { CurlTransport* self; };
  struct Check : net::Deferred { CurlTransport* self; };
  struct Query : net::NameQuery { CurlTransport* self; };
  enum class Names : uint8_t { kNotNeeded, kUnknown, kAsking, kKnown };

  explicit CurlTransport(net::Loop* l)
      : loop_(l), host_(l->allocator()), authority_(l->allocator()), path_(l->allocator()), resolve_(l->allocator()) {}
  ~CurlTransport() = default;
  base::Status init(const TransportOptions& o);
  void destroy();

  base::Result<HttpExchange*> begin(const HttpRequest& request, HttpSink* sink);
  base::Result<HttpExchange*> idle_exchange();
  base::Status prepare(HttpExchange* e);                    // what never changes
  base::Status describe(HttpExchange* e, const HttpRequest& request);
  base::Status add(HttpExchange* e);                        // to libcurl
  void abandon(HttpExchange* e);                            // back to the idle ones
  void finish(HttpExchange* e, base::Status s);
  base::Status status_of(HttpExchange* e, CURLcode code);
  void act(curl_socket_t fd, int what);
  void collect();                                           // exchanges that have ended
  void named(base::Status s, std::span<const net::Address> addresses);
  bool names_are_fresh() const;

  net::Loop* loop_;
  CURLM* multi_ = nullptr;
  net::Names* names_ = nullptr;
  base::String host_, authority_, path_;
  base::String resolve_;                                    // as CURLOPT_RESOLVE takes it
  uint16_t port_ = 0;
  size_t max_header_bytes_ = 0;
  Names name_state_ = Names::kNotNeeded;
  bool resolve_news_ = false;                               // libcurl has not seen resolve_ yet
  bool watch_failed_ = false;
  int64_t named_at_ = 0;
  std::atomic<uint64_t>* connections_ = nullptr;
  HttpExchange* active_ = nullptr;                          // a list through next and prev
  HttpExchange* idle_ = nullptr;                            // through next
  CurlSocket* free_sockets_ = nullptr;
  Tick tick_;
  Check check_;
  Query query_;
};

}  // namespace zcrpc::client
