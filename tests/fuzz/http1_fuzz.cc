// The HTTP/1.1 parser: whatever comes, however it is cut, the same requests come out, and bodies are slices of the input.
// The first byte chooses the cuts.
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>

#include "base/hash.h"
#include "http/http1.h"

using namespace zcrpc;
using http::Http1Parser;
using Event = http::Http1Parser::Event;

namespace {

void require(bool truth) {
  if (!truth) std::abort();
}

struct Digest {
  uint64_t log = base::kFnvStart, body = base::kFnvStart;
  void add(std::string_view s) {
    log = base::fnv1a(s, log);
    log = base::fnv1a("\xFF", log);
  }
  void add(int64_t n) { add({reinterpret_cast<const char*>(&n), sizeof n}); }
};

void check_head(const http::Http1Head& h) {
  require(!h.method.empty() && !h.target.empty());
  require(h.http10 || !h.authority.empty());
  require(!(h.chunked && (h.content_length >= 0 || h.http10)));
  require(h.content_length >= -1);
  for (const base::Header& f : h.headers) {
    require(!f.name.empty());
    for (char c : f.name) require(!(c >= 'A' && c <= 'Z') && c > ' ' && c != ':' && c < 0x7F);
    for (char c : f.value) require(c != '\r' && c != '\n' && c != '\0');
    if (!f.value.empty()) require(f.value.front() != ' ' && f.value.back() != ' ');
  }
}

uint64_t run(const uint8_t* data, size_t size, unsigned cut) {
  http::Http1Limits limits;
  limits.head = 512;
  limits.headers = 16;
  limits.chunk_extension = 16;
  limits.extensions = 64;
  limits.trailer = 64;
  Http1Parser p(&limits);
  base::Arena arena;
  Digest d;
  for (size_t at = 0; at < size;) {
    size_t n = cut == 0 ? size : 1 + (cut * 7 + at) % (cut + 3);
    if (n > size - at) n = size - at;
    std::unique_ptr<uint8_t[]> part(new uint8_t[n]);
    memcpy(part.get(), data + at, n);
    at += n;
    base::Slice in(part.get(), n);
    for (bool more = true; more;) {
      switch (p.next(&in, &arena)) {
        case Event::kMore:
          require(in.empty());
          more = false;
          break;
        case Event::kHead:
          check_head(p.head());
          d.add(p.head().method);
          d.add(p.head().target);
          d.add(p.head().authority);
          d.add(p.head().content_length);
          d.add(int64_t(p.head().chunked) | int64_t(p.head().keep_alive) << 1 | int64_t(p.head().expect_continue) << 2);
          for (const base::Header& f : p.head().headers) d.add(f.name), d.add(f.value);
          break;
        case Event::kBody:
          require(p.body().size > 0 && p.body().data >= part.get() && p.body().end() <= part.get() + n);
          d.body = base::fnv1a(p.body().text(), d.body);
          break;
        case Event::kEnd:
          d.add(int64_t(d.body));
          p.next_request();
          arena.reset();
          break;
        case Event::kError:
          require(p.status() >= 400 && p.status() < 600 && *p.reason());
          d.add(p.status());
          d.add(int64_t(d.body));
          return d.log;
      }
    }
  }
  d.add(p.between_requests());
  d.add(int64_t(d.body));
  return d.log;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  unsigned cut = data[0];
  uint64_t whole = run(data + 1, size - 1, 0);
  require(run(data + 1, size - 1, 1) == whole);
  require(run(data + 1, size - 1, cut + 2) == whole);
  return 0;
}
