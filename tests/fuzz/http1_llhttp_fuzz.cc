// The HTTP/1.1 parser against llhttp: a request that ours takes, llhttp reads in the same way. (Ours refuses more; a proxy
// in front that reads otherwise what we take would be a way to smuggle requests.) Built only where llhttp's sources are:
// -DZCRPC_LLHTTP=DIR, the folder vendor/llhttp of the Python package httptools 0.9.0.
#include <llhttp.h>

#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "http/http1.h"

using namespace zcrpc;
using Event = http::Http1Parser::Event;

namespace {

struct Message {
  std::string method, target, body;
  std::vector<std::pair<std::string, std::string>> headers;
  bool keep_alive = true;
  bool comparable = true;
  bool operator==(const Message& o) const {
    return method == o.method && (target == o.target || o.target[0] != '/') && body == o.body && headers == o.headers;
  }
};

std::string lower(std::string s) {
  for (char& c : s) {
    if (c >= 'A' && c <= 'Z') c = char(c + 32);
  }
  return s;
}

std::string trim(std::string s) {
  while (!s.empty() && (s.back() == ' ' || s.back() == '\t')) s.pop_back();
  size_t i = 0;
  while (i < s.size() && (s[i] == ' ' || s[i] == '\t')) i++;
  return s.substr(i);
}

bool llhttp_knows(const std::string& method) {
  for (const char* known : {"GET", "POST", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH"}) {
    if (method == known) return true;
  }
  return false;
}

std::vector<Message> ours(const uint8_t* data, size_t size) {
  http::Http1Limits limits;
  http::Http1Parser p(&limits);
  base::Arena arena;
  base::Slice in(data, size);
  std::vector<Message> done;
  Message m;
  for (;;) {
    switch (p.next(&in, &arena)) {
      case Event::kMore: case Event::kError: return done;
      case Event::kHead:
        m = Message();
        m.method = p.head().method;
        // llhttp gives the target as it came; ours is compared when that is the origin form.
        m.target = p.head().target;
        m.keep_alive = p.head().keep_alive;
        for (const base::Header& h : p.head().headers) {
          m.headers.emplace_back(h.name, h.value);
          if (h.name == "upgrade") m.comparable = false;  // llhttp would leave HTTP
        }
        if (!llhttp_knows(m.method)) m.comparable = false;
        break;
      case Event::kBody: m.body += std::string(p.body().text()); break;
      case Event::kEnd:
        if (!m.comparable) return done;
        done.push_back(m);
        if (!m.keep_alive) return done;
        p.next_request();
        arena.reset();
        break;
    }
  }
}

struct Theirs {
  std::vector<Message> done;
  Message now;
  std::string name, value;
  bool in_value = false, trailers = false;
  void flush() {
    if (in_value && !trailers) now.headers.emplace_back(lower(name), trim(value));
    name.clear();
    value.clear();
    in_value = false;
  }
};

Theirs* of(llhttp_t* p) { return static_cast<Theirs*>(p->data); }

std::vector<Message> theirs(const uint8_t* data, size_t size, std::string* error) {
  Theirs t;
  llhttp_settings_t s;
  llhttp_settings_init(&s);
  s.on_message_begin = [](llhttp_t* p) { return of(p)->now = Message(), of(p)->trailers = false, 0; };
  s.on_url = [](llhttp_t* p, const char* at, size_t n) { return of(p)->now.target.append(at, n), 0; };
  s.on_header_field = [](llhttp_t* p, const char* at, size_t n) {
    if (of(p)->in_value) of(p)->flush();
    of(p)->name.append(at, n);
    return 0;
  };
  s.on_header_value = [](llhttp_t* p, const char* at, size_t n) { return of(p)->value.append(at, n), of(p)->in_value = true, 0; };
  s.on_header_value_complete = [](llhttp_t* p) { return of(p)->in_value = true, of(p)->flush(), 0; };
  s.on_headers_complete = [](llhttp_t* p) {
    of(p)->now.method = llhttp_method_name(llhttp_method_t(p->method));
    of(p)->trailers = true;
    return 0;
  };
  s.on_body = [](llhttp_t* p, const char* at, size_t n) { return of(p)->now.body.append(at, n), 0; };
  s.on_message_complete = [](llhttp_t* p) { return of(p)->done.push_back(of(p)->now), 0; };
  llhttp_t p;
  llhttp_init(&p, HTTP_REQUEST, &s);
  p.data = &t;
  llhttp_errno_t e = llhttp_execute(&p, reinterpret_cast<const char*>(data), size);
  if (e != HPE_OK) *error = std::string(llhttp_errno_name(e)) + " " + (p.reason ? p.reason : "");
  return t.done;
}

void print(const char* who, const std::vector<Message>& list) {
  for (const Message& m : list) {
    std::fprintf(stderr, "%s: %s %s body '%s'", who, m.method.c_str(), m.target.c_str(), m.body.c_str());
    for (auto& [n, v] : m.headers) std::fprintf(stderr, " [%s=%s]", n.c_str(), v.c_str());
    std::fprintf(stderr, "\n");
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  std::string error;
  std::vector<Message> a = ours(data + 1, size - 1), b = theirs(data + 1, size - 1, &error);
  for (size_t i = 0; i < a.size(); i++) {
    if (i < b.size() && a[i] == b[i]) continue;
    std::fprintf(stderr, "request %zu; llhttp: %s\n", i, error.c_str());
    print("ours", a);
    print("llhttp", b);
    std::abort();
  }
  return 0;
}
