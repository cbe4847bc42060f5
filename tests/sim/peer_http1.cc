#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "sim/peers.h"

namespace sim {

void Client::end(Call* c) {
  c->ended++;
  c->ended_ns = world_->now();
  world_->note("call %u ends for its client: code %d, %d replies%s", c->number, c->code, c->replies_got, c->wrong_bytes ? ", WRONG BYTES" : "");
}

void Client::lost() {
  for (Call* c : calls_)
    if (c->begun && !c->ended) end(c);
}

void Client::greet() {
  if (!greeted_ && manner_.proxy) (tls_ ? wire_ : out_) += "PROXY TCP4 192.0.2.1 10.0.0.1 4711 80\r\n";
  greeted_ = true;
}

void Client::push() {
  if (gone()) return;
  if (tls_) {
    while (!out_.empty() && wire_.size() < 32768) {
      size_t n = tls_->send(std::string_view(out_).substr(0, 16384));
      if (!n) break;
      out_.erase(0, n);
      wire_ += tls_->to_send();
    }
    wire_ += tls_->to_send();
  }
  std::string& bytes = tls_ ? wire_ : out_;
  size_t n = world_->write(link, bytes);
  bytes.erase(0, n);
}

std::string Client::read() {
  std::string s = world_->read(link, manner_.read_most);
  if (!tls_) return s;
  if (!s.empty()) tls_->received(s);
  s = tls_->read();
  if (tls_->broken() && !link->peer_reset) world_->complain(link, "link %d: what the server sent is not TLS, or an alert", link->number);
  return s;
}

// At the end of a connection that nobody minds.
void Client::hang_up() {
  if (tls_ && world_->chance().once_in(2)) {
    tls_->finish();
    push();
  }
  world_->close(link);
}

void Mute::step() {
  if (!link || link->peer_closed || link->peer_reset) return;
  first_.erase(0, world_->write(link, first_));
  (void)world_->read(link, 65536);
  if (world_->ended(link)) world_->close(link);
}

void Client::mischief() {
  Chance& dice = world_->chance();
  auto hits = [&](uint64_t n) { return n && dice.once_in(n); };
  if (gone()) return;
  if (hits(manner_.abort)) {
    world_->note("link %d: the client resets", link->number);
    link->disturbed = true;
    world_->abort(link);
  } else if (hits(manner_.close)) {
    world_->note("link %d: the client closes", link->number);
    link->disturbed = true;
    world_->close(link);
  } else if (hits(manner_.fin)) {
    world_->note("link %d: the client ends its side", link->number);
    link->disturbed = true;
    world_->finish(link);
  } else if (hits(manner_.garbage)) {
    world_->note("link %d: the client says nonsense", link->number);
    link->disturbed = link->garbled = true;
    std::string s;
    for (uint64_t n = 1 + dice.below(40); n > 0; n--) s.push_back(char(dice.next()));
    (tls_ && dice.once_in(2) ? wire_ : out_) += s;
  }
}

namespace {

class Http1 : public Client {
 public:
  Http1(World* w, const Manner& m, bool pipelined) : Client(w, m, false), pipelined_(pipelined) {}

  void add(Call* c, int64_t when_ns) override {
    calls_.push_back(c);
    world_->at(when_ns, [this, c] {
      waiting_.push_back(c);
      step();
    });
    left_++;
  }
  void finish() override { finishing_ = true; }

  void step() override {
    if (!link || done_) return;
    mischief();
    if (gone() || link->peer_reset) return over();
    greet();
    begin();
    push();
    feed();
    push();
    receive();
    if (done_) return;
    if (left_ == 0 && finishing_ && open_.empty()) {
      hang_up();
      return over();
    }
    if (unsent() || !sending_.empty() || link->down.readable() || (!waiting_.empty() && open_.empty())) world_->wake(link, std::max<int64_t>(manner_.think_ms * kMs, kMs));
  }

 private:
  struct Sending {
    Call* call;
    std::string rest;
    bool chunked;
  };

  void begin() {
    while (!waiting_.empty() && sending_.empty() && (open_.empty() || pipelined_)) {
      Call* c = waiting_.front();
      waiting_.pop_front();
      left_--;
      c->begun = true;
      world_->note("call %u begins on link %d: HTTP/1.1 %s, %d requests of %zu", c->number, link->number, std::string(c->path()).c_str(), c->requests, c->request_size);
      std::string body;
      for (int i = 0; i < c->requests; i++) body += c->request_body(i);
      bool chunked = c->streams() || world_->chance().once_in(3);
      out_ += "POST " + std::string(c->path()) + " HTTP/1.1\r\nHost: sim\r\nContent-Type: " + c->content_type() + "\r\nX-Call: " + std::to_string(c->number) + "\r\n";
      if (c->timeout_ms >= 0)
        out_ += c->protocol == Protocol::kConnect ? "Connect-Timeout-Ms: " + std::to_string(c->timeout_ms) + "\r\n" : "Grpc-Timeout: " + std::to_string(c->timeout_ms) + "m\r\n";
      out_ += chunked ? std::string("Transfer-Encoding: chunked\r\n\r\n") : "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n";
      sending_.push_back({c, std::move(body), chunked});
      open_.push_back(c);
      if (c->cancel_ns >= 0) world_->after(c->cancel_ns, [this, c] { give_up(c); });
    }
  }

  void feed() {
    while (!sending_.empty() && out_.size() < 4096) {
      Sending& s = sending_.front();
      size_t n = std::min({s.rest.size(), manner_.chunk, size_t(1 + world_->chance().below(manner_.chunk))});
      if (s.chunked && n) {
        char head[32];
        snprintf(head, sizeof head, "%zx\r\n", n);
        out_ += head + s.rest.substr(0, n) + "\r\n";
      } else {
        out_ += s.rest.substr(0, n);
      }
      s.rest.erase(0, n);
      if (s.rest.empty()) {
        if (s.chunked) out_ += "0\r\n\r\n";
        s.call->half_closed = true;
        sending_.pop_front();
        begin();
      }
      if (manner_.think_ms && world_->chance().once_in(2)) break;
    }
  }

  void receive() {
    in_ += read();
    bool end = ended();
    while (!open_.empty() && answer(end)) {}
    if (end) {
      if (!in_.empty() && open_.empty()) world_->complain(link, "link %d: %zu bytes that nobody asked for", link->number, in_.size());
      world_->close(link);
      over();
    }
  }

  // One answer at the front of in_; false: not all of it is there.
  bool answer(bool end) {
    size_t head = in_.find("\r\n\r\n");
    if (head == in_.npos) return false;
    std::string lines = in_.substr(0, head + 2);
    for (size_t i = 0; i < lines.size(); i++) lines[i] = char(tolower(uint8_t(lines[i])));
    auto field = [&](const char* name) -> std::string {
      size_t at = lines.find(std::string("\r\n") + name + ": ");
      if (at == lines.npos) return "";
      at += strlen(name) + 4;
      return lines.substr(at, lines.find("\r\n", at) - at);
    };
    int status = atoi(in_.c_str() + 9);
    if (status == 100) {
      in_.erase(0, head + 4);
      return true;
    }
    std::string body;
    size_t at = head + 4, used = 0;
    bool whole = false;
    if (field("transfer-encoding") == "chunked") {
      for (;;) {
        size_t line = in_.find("\r\n", at);
        if (line == in_.npos) break;
        size_t n = strtoul(in_.c_str() + at, nullptr, 16);
        if (in_.size() < line + 2 + n + 2) break;
        body.append(in_, line + 2, n);
        at = line + 2 + n + 2;
        if (n == 0) {
          whole = true;
          break;
        }
      }
      used = at;
    } else if (!field("content-length").empty()) {
      size_t n = strtoul(field("content-length").c_str(), nullptr, 10);
      whole = in_.size() - at >= n;
      body = in_.substr(at, n);
      used = at + n;
    } else {
      whole = end;
      body = in_.substr(at);
      used = in_.size();
    }
    if (!whole) return false;
    Call* c = open_.front();
    std::string bare = field("grpc-status");
    c->judge_body(status, body, true, bare.empty() ? -1 : atoi(bare.c_str()));
    if (status != 200 && c->code == Call::kNothing) c->code = 2;
    in_.erase(0, used);
    open_.pop_front();
    if (!c->ended) Client::end(c);
    if (!sending_.empty() && sending_.front().call == c) {
      // Answered early: what of it has not been sent still has to be, or the connection is over.
      if (field("connection") == "close") sending_.clear();
    }
    return true;
  }

  void give_up(Call* c) {
    if (c->ended || done_ || gone()) return;
    c->canceled = true;
    link->disturbed = true;
    world_->note("call %u: its client gives up", c->number);
    world_->abort(link);
    over();
  }

  void over() {
    done_ = true;
    for (Call* c : open_)
      if (!c->ended) {
        if (!in_.empty()) c->replies_got = 0;
        end(c);
      }
    open_.clear();
    if (link && !link->peer_closed) world_->close(link);
  }

  bool pipelined_, finishing_ = false;
  int left_ = 0;
  std::deque<Call*> waiting_, open_;
  std::deque<Sending> sending_;
  std::string in_;
};

}  // namespace

std::unique_ptr<Client> make_http1(World* w, const Manner& m, bool pipelined) { return std::make_unique<Http1>(w, m, pipelined); }

}  // namespace sim
