#include <nghttp2/nghttp2.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <map>

#include "sim/peers.h"

namespace sim {

namespace {

class Http2 : public Client {
 public:
  Http2(World* w, const Manner& m) : Client(w, m, true) {
    nghttp2_session_callbacks* cb = nullptr;
    nghttp2_option* o = nullptr;
    if (nghttp2_session_callbacks_new(&cb) || nghttp2_option_new(&o)) abort();
    nghttp2_session_callbacks_set_on_header_callback(cb, on_header);
    nghttp2_session_callbacks_set_on_frame_recv_callback(cb, on_frame);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(cb, on_data);
    nghttp2_session_callbacks_set_on_stream_close_callback(cb, on_close);
    nghttp2_option_set_no_auto_window_update(o, m.slow_window);
    if (nghttp2_session_client_new2(&session_, cb, this, o)) abort();
    nghttp2_session_callbacks_del(cb);
    nghttp2_option_del(o);
    nghttp2_settings_entry e = {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, m.window};
    nghttp2_submit_settings(session_, NGHTTP2_FLAG_NONE, &e, 1);
  }
  ~Http2() override { nghttp2_session_del(session_); }

  void add(Call* c, int64_t when_ns) override {
    calls_.push_back(c);
    left_++;
    world_->at(when_ns, [this, c] {
      waiting_.push_back(c);
      step();
    });
  }
  void finish() override { finishing_ = true; }

  void step() override {
    if (!link || done_) return;
    mischief();
    if (gone() || link->peer_reset) return over();
    greet();
    Chance& dice = world_->chance();
    if (manner_.ping && out_.empty() && dice.once_in(manner_.ping)) nghttp2_submit_ping(session_, NGHTTP2_FLAG_NONE, nullptr);
    if (manner_.goaway && dice.once_in(manner_.goaway)) {
      world_->note("link %d: the client says GOAWAY", link->number);
      nghttp2_submit_goaway(session_, NGHTTP2_FLAG_NONE, 0, NGHTTP2_NO_ERROR, nullptr, 0);
    }
    begin();
    go_on();
    fill();
    push();
    receive();
    if (done_) return;
    go_on();
    give_window();
    fill();
    push();
    if (left_ == 0 && finishing_ && streams_.empty()) {
      nghttp2_session_terminate_session(session_, NGHTTP2_NO_ERROR);
      fill();
      push();
      hang_up();
      return over();
    }
    if (unsent() || owed_ || link->down.readable() || nghttp2_session_want_write(session_)) world_->wake(link, std::max<int64_t>(manner_.think_ms * kMs, kMs));
  }

 private:
  struct Stream {
    Call* call = nullptr;
    std::string body;         // of what is sent, all messages
    size_t sent = 0;
    std::vector<size_t> ends; // where each message ends
    bool deferred = false;
    bool asks = false;        // whether it should send
    std::string in;
    int status = 0, grpc_status = -1;
    size_t owed = 0;
    bool end = false;
  };

  void begin() {
    while (!waiting_.empty()) {
      Call* c = waiting_.front();
      waiting_.pop_front();
      left_--;
      if (refusing_) {
        c->refused = true;  // it would open another connection
        continue;
      }
      std::string number = std::to_string(c->number), type = c->content_type(), path(c->path());
      std::string timeout = std::to_string(c->timeout_ms) + (c->protocol == Protocol::kConnect ? "" : "m");
      std::vector<nghttp2_nv> nv;
      auto field = [&](std::string_view name, std::string_view value) {
        nghttp2_nv f{};
        f.name = reinterpret_cast<uint8_t*>(const_cast<char*>(name.data()));
        f.namelen = name.size();
        f.value = reinterpret_cast<uint8_t*>(const_cast<char*>(value.data()));
        f.valuelen = value.size();
        nv.push_back(f);
      };
      field(":method", "POST");
      field(":scheme", "http");
      field(":authority", "sim");
      field(":path", path);
      field("content-type", type);
      field("te", "trailers");
      field("x-call", number);
      if (c->timeout_ms >= 0) field(c->protocol == Protocol::kConnect ? "connect-timeout-ms" : "grpc-timeout", timeout);
      bool asks = manner_.expect && world_->chance().once_in(manner_.expect);
      if (asks) field("expect", "100-continue");
      nghttp2_data_provider body{};
      body.read_callback = on_read;
      int32_t id = nghttp2_submit_request(session_, nullptr, nv.data(), nv.size(), &body, nullptr);
      if (id < 0) {
        c->refused = true;
        continue;
      }
      Stream& s = streams_[id];
      s.call = c;
      s.asks = asks;
      for (int i = 0; i < c->requests; i++) {
        s.body += c->request_body(i);
        s.ends.push_back(s.body.size());
      }
      c->begun = true;
      world_->note("call %u begins on link %d: HTTP/2 stream %d %s, %d requests of %zu", c->number, link->number, id, path.c_str(), c->requests, c->request_size);
      if (c->cancel_ns >= 0) world_->after(c->cancel_ns, [this, id, c] { give_up(id, c); });
    }
  }

  // Both sides in turns, where both stream: the next request after the answer to the last.
  size_t allowed(const Stream& s) const {
    if (s.call->kind != Kind::kChat || s.call->number % 2) return s.body.size();
    size_t got = 0;
    for (size_t at = 0; at + 5 <= s.in.size(); got++) {
      auto b = [&](size_t i) { return size_t(uint8_t(s.in[at + i])); };
      at += 5 + (b(1) << 24 | b(2) << 16 | b(3) << 8 | b(4));
      if (at > s.in.size()) break;
    }
    return got >= s.ends.size() ? s.body.size() : s.ends[got];
  }
  // With what waited for an answer, or to be asked for.
  void go_on() {
    for (auto& [id, s] : streams_)
      if (s.deferred && may_send(s)) {
        s.deferred = false;
        nghttp2_session_resume_data(session_, id);
      }
  }
  bool may_send(const Stream& s) const { return !s.asks && (s.sent == s.body.size() || s.sent < allowed(s)); }

  static ssize_t on_read(nghttp2_session*, int32_t id, uint8_t* to, size_t most, uint32_t* flags, nghttp2_data_source*, void* user) {
    auto* self = static_cast<Http2*>(user);
    Stream& s = self->streams_[id];
    size_t n = s.asks ? 0 : std::min({most, self->allowed(s) - s.sent, self->manner_.chunk});
    if (n) n = 1 + self->world_->chance().below(n);
    if (s.asks || (n == 0 && s.sent < s.body.size())) {
      s.deferred = true;
      return NGHTTP2_ERR_DEFERRED;
    }
    memcpy(to, s.body.data() + s.sent, n);
    s.sent += n;
    if (s.sent == s.body.size()) {
      *flags |= NGHTTP2_DATA_FLAG_EOF;
      s.call->half_closed = true;
    }
    return ssize_t(n);
  }

  static int on_header(nghttp2_session*, const nghttp2_frame* f, const uint8_t* name, size_t n, const uint8_t* value, size_t v, uint8_t, void* user) {
    auto* self = static_cast<Http2*>(user);
    auto it = self->streams_.find(f->hd.stream_id);
    if (it == self->streams_.end()) return 0;
    std::string_view key(reinterpret_cast<const char*>(name), n);
    std::string text(reinterpret_cast<const char*>(value), v);
    if (key == ":status") {
      it->second.status = atoi(text.c_str());
      if (it->second.status == 100 && !it->second.asks) self->world_->complain(self->link, "call %u: a 100 that nobody asked for, or a second", it->second.call->number);
    }
    if (key == "grpc-status") it->second.grpc_status = atoi(text.c_str());
    return 0;
  }

  static int on_frame(nghttp2_session*, const nghttp2_frame* f, void* user) {
    auto* self = static_cast<Http2*>(user);
    // To go on, or what its answer is: then it sends all the same.
    if (auto it = self->streams_.find(f->hd.stream_id); f->hd.type == NGHTTP2_HEADERS && it != self->streams_.end()) {
      if (it->second.status >= 200) it->second.call->left_waiting = it->second.asks;
      it->second.asks = false;
    }
    if ((f->hd.type == NGHTTP2_HEADERS || f->hd.type == NGHTTP2_DATA) && f->hd.flags & NGHTTP2_FLAG_END_STREAM) {
      auto it = self->streams_.find(f->hd.stream_id);
      if (it != self->streams_.end()) {
        it->second.end = true;
        // END_STREAM wins over what comes later: this is the answer.
        self->answered(it->second);
      }
    }
    if (f->hd.type == NGHTTP2_GOAWAY) {
      self->world_->note("link %d: GOAWAY %d, code %u", self->link->number, f->goaway.last_stream_id, f->goaway.error_code);
      self->refusing_ = true;
      self->last_id_ = f->goaway.last_stream_id;
      if (f->goaway.error_code) self->world_->complain(self->link, "link %d: GOAWAY with code %u", self->link->number, f->goaway.error_code);
    }
    return 0;
  }

  static int on_data(nghttp2_session*, uint8_t, int32_t id, const uint8_t* p, size_t n, void* user) {
    auto* self = static_cast<Http2*>(user);
    if (self->manner_.slow_window) {
      self->owed_ += n;
      self->debts_[id] += n;
    }
    auto it = self->streams_.find(id);
    if (it != self->streams_.end()) it->second.in.append(reinterpret_cast<const char*>(p), n);
    return 0;
  }

  void answered(Stream& s) {
    if (s.call->ended) return;
    s.call->judge_body(s.status, s.in, true, s.grpc_status);
    end(s.call);
  }

  static int on_close(nghttp2_session*, int32_t id, uint32_t code, void* user) {
    auto* self = static_cast<Http2*>(user);
    auto it = self->streams_.find(id);
    if (it == self->streams_.end()) return 0;
    Stream& s = it->second;
    s.call->left_waiting |= s.asks;
    if (!s.call->ended) {
      if (code == NGHTTP2_REFUSED_STREAM) s.call->refused = true;
      self->world_->note("call %u: its stream %d ends with %u", s.call->number, id, code);
      s.call->judge_body(s.status, s.in, false, -1);
      if (s.call->code == 0) s.call->code = Call::kNothing;
      self->end(s.call);
    }
    self->streams_.erase(it);
    return 0;
  }

  void give_window() {
    if (!owed_ || !world_->chance().once_in(3)) return;
    for (auto& [id, n] : debts_) nghttp2_session_consume(session_, id, n);
    debts_.clear();
    owed_ = 0;
  }

  void fill() {
    while (out_.size() < 16384) {
      const uint8_t* p = nullptr;
      ssize_t n = nghttp2_session_mem_send(session_, &p);
      if (n <= 0) break;
      out_.append(reinterpret_cast<const char*>(p), size_t(n));
    }
  }

  void receive() {
    std::string s = read();
    if (!s.empty() && nghttp2_session_mem_recv(session_, reinterpret_cast<const uint8_t*>(s.data()), s.size()) < 0) {
      world_->complain(link, "link %d: the server's bytes are not HTTP/2", link->number);
      world_->close(link);
      return over();
    }
    if (ended()) {
      world_->close(link);
      over();
    }
  }

  void give_up(int32_t id, Call* c) {
    if (c->ended || done_ || gone() || !streams_.count(id)) return;
    c->canceled = true;
    world_->note("call %u: its client gives up", c->number);
    nghttp2_submit_rst_stream(session_, NGHTTP2_FLAG_NONE, id, NGHTTP2_CANCEL);
    step();
  }

  void over() {
    done_ = true;
    for (auto& [id, s] : streams_) {
      if (refusing_ && id > last_id_) s.call->refused = true;
      s.call->left_waiting |= s.asks;
      if (!s.call->ended) end(s.call);
    }
    streams_.clear();
    if (link && !link->peer_closed) world_->close(link);
  }

  nghttp2_session* session_ = nullptr;
  bool finishing_ = false, refusing_ = false;
  int32_t last_id_ = INT32_MAX;
  int left_ = 0;
  size_t owed_ = 0;
  std::map<int32_t, size_t> debts_;
  std::deque<Call*> waiting_;
  std::map<int32_t, Stream> streams_;
};

}  // namespace

std::unique_ptr<Client> make_http2(World* w, const Manner& m) { return std::make_unique<Http2>(w, m); }

}  // namespace sim
