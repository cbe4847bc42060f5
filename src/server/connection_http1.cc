// HTTP/1.1: one request at a time; those behind it wait.
#include <algorithm>
#include <cstring>

#include "server/connection.h"
#include "server/server.h"

namespace zcrpc::server {

using base::Slice;
using base::Status;

namespace {
constexpr int64_t kMs = net::Timers::kNsPerMs;
constexpr uint64_t kDropped = 64 << 10;  // a body that nobody wants is read to its end if it is not longer than this
}  // namespace

// Small requests behind each other may have large answers.
bool Connection::full() const { return out_.size() >= worker_->config().high_water; }

bool Connection::feed_http1(Slice bytes) {
  if (held_.empty() && !waits()) parse_http1(&bytes);
  if (!bytes.empty() && !ending_) {
    worker_->counters().copied_in(bytes.size);
    if (!held_.append(bytes.data, bytes.size)) broken_ = true;
  }
  return !broken_;
}

// What waited goes through a block, like all that is received: requests may keep it.
void Connection::read_held() {
  while (!held_.empty() && !waits() && !ending_ && !broken_) {
    uint8_t* at;
    size_t room;
    if (!worker_->blocks.room(&at, &room)) {
      broken_ = true;
      return;
    }
    size_t n = std::min(held_.size(), room);
    memcpy(at, held_.data(), n);
    Slice in(at, n);
    parse_http1(&in);
    worker_->counters().copied_in(n - in.size);
    outlive_block();
    worker_->blocks.handled(n);
    held_.shift(n - in.size);
    if (current_ && answered_ && ended_) end_http1();
  }
  if (ending_ || held_.empty()) held_.drop();
}

void Connection::parse_http1(Slice* in) {
  while (!ending_ && !broken_) {
    switch (parser_.next(in, &worker_->heads)) {
      case http::Http1Parser::Event::kMore:
        if (parser_.in_head() && head_due_ns_ == 0) {
          head_due_ns_ = worker_->loop()->now() + worker_->config().head_ms * kMs;
          expect_by(head_due_ns_);
        }
        return;
      case http::Http1Parser::Event::kHead:
        begin_http1(!in->empty());
        worker_->heads.reset();
        break;
      case http::Http1Parser::Event::kBody:
        if (current_) current_->body(parser_.body());
        break;
      case http::Http1Parser::Event::kEnd:
        ended_ = true;
        if (current_) current_->body_end();
        if (!answered_) return;  // the next request waits for this one's answer
        end_http1();
        if (full()) return;
        break;
      case http::Http1Parser::Event::kError:
        worker_->loop()->log().format(base::LogLevel::kInfo, "%.*s: bad request: %s", int(peer_size_), peer_, parser_.reason());
        if (current_) {
          current_->fail(Status(base::Code::kInvalidArgument, parser_.reason()));
        } else {
          bare_http1(parser_.status());
        }
        end_when_sent();
        return;
    }
  }
}

void Connection::begin_http1(bool body_follows) {
  const http::Http1Head& h = parser_.head();
  keep_alive_ = h.keep_alive;
  http10_ = h.http10;
  answered_ = ended_ = false;
  head_due_ns_ = 0;
  ServerCall* k = worker_->take_call();
  if (!k) {
    broken_ = true;
    return;
  }
  current_ = k;
  count_request();
  k->begin(this);
  rpc::Request& r = k->request();
  bool kept = r.set_line(h.method, h.target);
  for (const base::Header& f : h.headers) kept = kept && r.add(f.name, f.value);
  if (!kept) {
    broken_ = true;
    return;
  }
  bool wanted = k->head_done();
  if (wanted && h.expect_continue && h.has_body() && !body_follows) {
    if (!out_.append(http::kContinue)) broken_ = true;
    k->asked(put_out());
  }
  if (wanted && h.has_body()) expect_by(k->begun_ns() + worker_->config().body_grace_ms * kMs);
}

bool Connection::head_http1(ServerCall* c, bool chunked) {
  const rpc::Reply& r = c->reply();
  const http::Http1Head& h = parser_.head();
  // An answer before the request's end: a short rest is read and dropped, for a long one the connection is not worth it.
  bool rest = !ended_ && h.has_body();
  int64_t most = int64_t(std::min(kDropped, worker_->config().dropped));
  if (draining_ || (rest && (h.chunked || h.expect_continue || h.content_length > most))) keep_alive_ = false;
  if (chunked && http10_) keep_alive_ = chunked = false;  // its end is the connection's
  http::Http1Answer a;
  a.chunked = chunked;
  a.status = r.status();
  a.headers = r.headers();
  a.date = worker_->date();
  a.close = !keep_alive_;
  a.keep_alive = http10_ && keep_alive_;
  size_t bound = http::http1_head_bound(a);
  uint8_t* at = bound <= http::ChunkPool::kChunk ? out_.room(bound) : nullptr;
  return at && out_.commit(http::http1_write_head(a, reinterpret_cast<char*>(at)));
}

void Connection::answer_http1(ServerCall* c, Slice body) {
  const rpc::Reply& r = c->reply();
  bool good = head_http1(c, false);
  if (good && !c->request().head_request()) {
    good = out_.append(r.prefix());
    if (!body.empty()) {
      good = good && (r.is_error() ? out_.append(body) : out_.payload(body, nullptr));
    } else if (!r.is_error()) {
      for (const base::Piece& p : c->pieces()) good = good && out_.payload(p.bytes, p.buffer);
    }
  }
  if (!good) fail_later();
  answered_http1();
}

void Connection::stream_http1(ServerCall* c, std::span<const base::Piece> pieces, bool first, bool last) {
  bool chunks = c->in_chunks() && !http10_;
  bool good = !first || head_http1(c, c->in_chunks());
  size_t size = 0;
  for (const base::Piece& p : pieces) size += p.bytes.size;
  if (size && chunks) {
    char line[18];
    good = good && out_.append(Slice(line, http::http1_chunk_head(size, line)));
  }
  for (const base::Piece& p : pieces) good = good && out_.payload(p.bytes, p.buffer);
  if (size && chunks) good = good && out_.append(http::kChunkEnd);
  if (last && chunks) good = good && out_.append(http::kLastChunk);
  if (!good) return fail_later();
  if (last) answered_http1();
}

void Connection::answered_http1() {
  answered_ = true;
  if (draining_) keep_alive_ = false;  // it began after a stream's head had gone
  if (!ended_ && parser_.head().has_body() && keep_alive_) {
    linger_due_ns_ = worker_->loop()->now() + worker_->config().dropped_ms * kMs;
    expect_by(linger_due_ns_);
  }
  if (!keep_alive_) end_when_sent();
}

void Connection::end_http1() {
  ServerCall* c = current_;
  current_ = nullptr;
  answered_ = ended_ = false;
  if (!ending_) linger_due_ns_ = 0;
  c->closed();
  parser_.next_request();
}

void Connection::bare_http1(int status) {
  http::Http1Answer a;
  a.status = status;
  a.date = worker_->date();
  a.content_length = 0;
  a.close = true;
  size_t bound = http::http1_head_bound(a);
  uint8_t* at = bound <= http::ChunkPool::kChunk ? out_.room(bound) : nullptr;
  if (!at || !out_.commit(http::http1_write_head(a, reinterpret_cast<char*>(at)))) fail_later();
}

}  // namespace zcrpc::server
