#include "http/h2.h"

#include <nghttp2/nghttp2.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <new>
#include <utility>

namespace zcrpc::http {

using base::Code;
using base::Header;
using base::Piece;
using base::Slice;
using base::Status;

// ---- what nghttp2 calls

namespace {

constexpr uint64_t kDrainPing = 0x7a63727063647261u;  // tells our own PING from the application's
constexpr uint64_t kWindowPing = 0x7a6372706362646cu;  // and that which measures the path
constexpr size_t kFrameHead = 9;
constexpr size_t kUseful = 64;                        // bytes of DATA that make up for a frame without any
constexpr uint32_t kAnyNumber = 0x7fffffff;           // of streams, for nghttp2
constexpr size_t kMaxHeaderBlock = 1 << 20;           // of our answers
constexpr ssize_t kTooManyContinuations = -905;       // nghttp2's, which has a name for it since 1.61, and where that was patched

Status failed(int rv) {
  if (rv == NGHTTP2_ERR_NOMEM) return Status::no_memory();
  return Status(Code::kInternal, nghttp2_strerror(rv));
}

void put64(uint8_t* p, uint64_t v) {
  for (int i = 8; i-- > 0; v >>= 8) p[i] = uint8_t(v);
}

uint64_t get64(const uint8_t* p) {
  uint64_t v = 0;
  for (int i = 0; i < 8; i++) v = v << 8 | p[i];
  return v;
}

// Names and values stay where they are until the frame has been made. Only what hardly changes is worth a place in the
// table: what does, would push the rest out.
nghttp2_nv field(std::string_view name, std::string_view value, bool constant) {
  nghttp2_nv nv;
  nv.name = reinterpret_cast<uint8_t*>(const_cast<char*>(name.data()));
  nv.value = reinterpret_cast<uint8_t*>(const_cast<char*>(value.data()));
  nv.namelen = name.size();
  nv.valuelen = value.size();
  nv.flags = NGHTTP2_NV_FLAG_NO_COPY_NAME | NGHTTP2_NV_FLAG_NO_COPY_VALUE;
  if (!constant) nv.flags |= NGHTTP2_NV_FLAG_NO_INDEX;
  return nv;
}

// An array of fields on the stack, or in the pool when there are many.
class Fields {
 public:
  Fields(H2Memory* m, size_t n) : memory_(m) {
    if (n > kHere) list_ = static_cast<nghttp2_nv*>(m->alloc(n * sizeof(nghttp2_nv)));
  }
  Fields(const Fields&) = delete;
  Fields& operator=(const Fields&) = delete;
  ~Fields() {
    if (list_ != here_) memory_->free(list_);
  }
  bool ok() const { return list_ != nullptr; }
  void add(std::string_view name, std::string_view value, bool constant) { list_[count_++] = field(name, value, constant); }
  void add(std::span<const Header> headers) {
    for (const Header& h : headers) add(h.name, h.value, h.constant);
  }
  const nghttp2_nv* data() const { return list_; }
  size_t size() const { return count_; }

 private:
  static constexpr size_t kHere = 24;
  H2Memory* memory_;
  nghttp2_nv here_[kHere];
  nghttp2_nv* list_ = here_;
  size_t count_ = 0;
};

constexpr int kFirstStatus = 200, kLastStatus = 599;
constexpr auto kStatusDigits = [] {
  std::array<char, size_t(kLastStatus - kFirstStatus + 1) * 3> digits{};
  for (int i = kFirstStatus; i <= kLastStatus; i++) {
    char* to = &digits[size_t(i - kFirstStatus) * 3];
    to[0] = char('0' + i / 100);
    to[1] = char('0' + i / 10 % 10);
    to[2] = char('0' + i % 10);
  }
  return digits;
}();

// Outlives the call, as all header values do.
std::string_view status_text(int status) {
  if (status < kFirstStatus || status > kLastStatus) status = 500;
  return {&kStatusDigits[size_t(status - kFirstStatus) * 3], 3};
}

}  // namespace

struct H2Glue {
  static H2Session* session(void* user) { return static_cast<H2Session*>(user); }
  static const H2Events& events(H2Session* s) { return s->context_->events_; }
  // nghttp2 hashes its way to a stream. What comes in a row is mostly of one: a header a call, then DATA.
  static H2Stream* stream(nghttp2_session* ng, H2Session* s, int32_t id) {
    if (s->recent_id_ != id) {
      s->recent_ = static_cast<H2Stream*>(nghttp2_session_get_stream_user_data(ng, id));
      s->recent_id_ = id;
    }
    return s->recent_;
  }

  static int begin_headers(nghttp2_session* ng, const nghttp2_frame* f, void* user) {
    H2Session* s = session(user);
    if (f->hd.type != NGHTTP2_HEADERS || f->headers.cat != NGHTTP2_HCAT_REQUEST) return 0;
    // What a GOAWAY that has yet to leave says is not to be served, is not served.
    // A drain that begins with this stream includes it.
    const int32_t before = s->last_id_;
    if (!s->said_last_) s->last_id_ = f->hd.stream_id;
    bool room = s->streams_ < s->context_->settings_.max_streams;
    H2Stream* st = s->said_last_ || !room ? nullptr : events(s).begin(s, s->user_);
    if (!st) {
      s->last_id_ = before;
      // Counted here and not when the reset leaves: between two flushes there is room for many.
      s->spend_reset();
      if (s->broken_) return NGHTTP2_ERR_CALLBACK_FAILURE;
      return nghttp2_submit_rst_stream(ng, NGHTTP2_FLAG_NONE, f->hd.stream_id, NGHTTP2_REFUSED_STREAM) == NGHTTP2_ERR_NOMEM ? NGHTTP2_ERR_CALLBACK_FAILURE : 0;
    }
    *st = H2Stream();
    st->id_ = f->hd.stream_id;
    st->begun_ns_ = s->now_ns_;
    st->window_ = s->context_->settings_.stream_window;
    st->frames_.start(s->context_->settings_.stream_frame_burst, s->now_ns_);
    s->useless_ -= 3;  // it explains itself and two more
    nghttp2_session_set_stream_user_data(ng, st->id_, st);
    s->recent_id_ = st->id_;
    s->recent_ = st;
    s->streams_++;
    return 0;
  }

  static int header(nghttp2_session* ng, const nghttp2_frame* f, const uint8_t* name, size_t name_size, const uint8_t* value,
                    size_t value_size, uint8_t, void* user) {
    H2Session* s = session(user);
    H2Stream* st = stream(ng, s, f->hd.stream_id);
    if (!st) return 0;
    uint64_t limit = s->context_->settings_.max_header_bytes;
    uint64_t bytes = uint64_t(st->header_bytes_) + name_size + value_size + 32;
    if (bytes > limit * 4) {
      // A few bytes of HPACK may stand for megabytes: no use in decoding the rest.
      s->enough("headers over four times the limit (ZCRPC_LIMIT_HEADERS)");
      return NGHTTP2_ERR_CALLBACK_FAILURE;
    }
    st->header_bytes_ = uint32_t(bytes);
    if (bytes > limit) st->reject_ = H2Stream::Reject::kTooLarge;
    if (st->reject_ != H2Stream::Reject::kNo || f->headers.cat != NGHTTP2_HCAT_REQUEST) return 0;
    std::string_view key(reinterpret_cast<const char*>(name), name_size), text(reinterpret_cast<const char*>(value), value_size);
    if (key == "expect" && base::is_ignoring_case(text, "100-continue")) st->expects_ = true;
    if (!events(s).header(st, key, text, s->user_)) st->reject_ = H2Stream::Reject::kNoMemory;
    return 0;
  }

  // nghttp2 would leave out such a field and go on.
  static int invalid_header(nghttp2_session* ng, const nghttp2_frame* f, const uint8_t*, size_t, const uint8_t*, size_t, uint8_t,
                            void* user) {
    if (H2Stream* st = stream(ng, session(user), f->hd.stream_id)) st->reject_ = H2Stream::Reject::kMalformed;
    return 0;
  }

  static int rejected(nghttp2_session* ng, H2Stream* st) {
    st->answered_ = true;
    if (st->reject_ == H2Stream::Reject::kTooLarge) {
      nghttp2_nv nv = field(":status", status_text(431), true);
      return nghttp2_submit_response(ng, st->id_, &nv, 1, nullptr);
    }
    uint32_t code = st->reject_ == H2Stream::Reject::kMalformed ? NGHTTP2_PROTOCOL_ERROR : NGHTTP2_INTERNAL_ERROR;
    return nghttp2_submit_rst_stream(ng, NGHTTP2_FLAG_NONE, st->id_, code);
  }

  // One stream pays before the connection does.
  static int useless(nghttp2_session* ng, H2Session* s, H2Stream* st) {
    const H2Settings& o = s->context_->settings_;
    if (st->calmed_ || st->frames_.spend(1, o.stream_frame_burst, o.stream_frame_rate, s->now_ns_)) return 0;
    st->calmed_ = true;
    return nghttp2_submit_rst_stream(ng, NGHTTP2_FLAG_NONE, st->id_, NGHTTP2_ENHANCE_YOUR_CALM) == NGHTTP2_ERR_NOMEM ? NGHTTP2_ERR_CALLBACK_FAILURE : 0;
  }

  // Padding is no work: a frame that has any is worth what it brings besides.
  static bool brings_nothing(const nghttp2_frame* f) {
    size_t n = f->hd.length - std::min(f->data.padlen, f->hd.length);
    return n == 0 || (f->data.padlen && n < kUseful);
  }

  static int frame_recv(nghttp2_session* ng, const nghttp2_frame* f, void* user) {
    H2Session* s = session(user);
    switch (f->hd.type) {
      case NGHTTP2_HEADERS:
      case NGHTTP2_DATA: {
        H2Stream* st = stream(ng, s, f->hd.stream_id);
        if (!st) return 0;
        bool last = f->hd.flags & NGHTTP2_FLAG_END_STREAM;
        if (last) st->remote_open_ = false;
        if (last) s->useless_--;
        else if (f->hd.type == NGHTTP2_DATA && brings_nothing(f)) return useless(ng, s, st);
        bool request = f->hd.type == NGHTTP2_HEADERS && f->headers.cat == NGHTTP2_HCAT_REQUEST;
        if (st->reject_ != H2Stream::Reject::kNo) {
          return (request || !st->answered_) && rejected(ng, st) == NGHTTP2_ERR_NOMEM ? NGHTTP2_ERR_CALLBACK_FAILURE : 0;
        }
        if (request) events(s).headers_end(st, s->user_);
        if (last) events(s).end(st, s->user_);
        return 0;
      }
      case NGHTTP2_RST_STREAM:
        if (H2Stream* st = stream(ng, s, f->hd.stream_id)) {
          st->reset_by_peer_ = true;
          s->useless_--;
          // An honest client gives up on what takes long, or on what it no longer needs.
          if (!st->answered_ && s->now_ns_ - st->begun_ns_ < s->context_->settings_.hasty_ns) s->spend_reset();
          if (s->broken_) return NGHTTP2_ERR_CALLBACK_FAILURE;  // the rest of what came is of no interest
        }
        return 0;
      case NGHTTP2_WINDOW_UPDATE:
        if (H2Stream* st = f->hd.stream_id ? stream(ng, s, f->hd.stream_id) : nullptr) return useless(ng, s, st);
        return 0;
      case NGHTTP2_PRIORITY:
        if (H2Stream* st = stream(ng, s, f->hd.stream_id)) return useless(ng, s, st);
        return 0;
      case NGHTTP2_SETTINGS:
        if (f->hd.flags & NGHTTP2_FLAG_ACK) s->settings_taken_ = true;
        if (!(f->hd.flags & NGHTTP2_FLAG_ACK) && !s->settings_seen_) {
          s->settings_seen_ = true;
          if (events(s).settings) events(s).settings(s->user_);
        }
        return 0;
      case NGHTTP2_PING: {
        uint64_t opaque = get64(f->ping.opaque_data);
        if (!(f->hd.flags & NGHTTP2_FLAG_ACK)) {
          if (events(s).ping) events(s).ping(s->user_);
        } else if (opaque == kWindowPing && s->window_.asked()) {
          s->useless_--;
          return s->window_.pong(s->now_ns_) ? widen_connection(ng, s) : 0;
        } else if (opaque == kDrainPing) {
          if (s->drain_ == H2Session::Drain::kNotice) s->drain_now();
        } else if (events(s).ping_ack) {
          events(s).ping_ack(opaque, s->user_);
        }
        return 0;
      }
      case NGHTTP2_GOAWAY:
        if (events(s).goaway) events(s).goaway(f->goaway.last_stream_id, f->goaway.error_code, s->user_);
        return 0;
      default: return 0;
    }
  }

  static int widen_connection(nghttp2_session* ng, H2Session* s) {
    const H2Settings& o = s->context_->settings_;
    uint32_t size = std::max(o.connection_window, s->window_.target());
    return nghttp2_session_set_local_window_size(ng, NGHTTP2_FLAG_NONE, 0, int32_t(size)) ? NGHTTP2_ERR_CALLBACK_FAILURE : 0;
  }

  static int data_chunk(nghttp2_session* ng, uint8_t flags, int32_t id, const uint8_t* p, size_t n, void* user) {
    H2Session* s = session(user);
    // At once, whatever becomes of the stream: it must not starve its neighbours.
    if (nghttp2_session_consume_connection(ng, n)) return NGHTTP2_ERR_CALLBACK_FAILURE;
    s->window_.came(n);
    H2Stream* st = stream(ng, s, id);
    if (st) {
      int64_t itself = flags & NGHTTP2_FLAG_PADDED ? 0 : 1, worth = int64_t(n / kUseful);
      st->expects_ = false;
      s->useless_ -= itself ? itself : worth;
      st->frames_.earn(itself + worth, s->context_->settings_.stream_frame_burst);
    }
    if (st && st->reject_ == H2Stream::Reject::kNo) events(s).data(st, {p, n}, s->user_);
    return 0;
  }

  static int stream_close(nghttp2_session* ng, int32_t id, uint32_t code, void* user) {
    H2Session* s = session(user);
    H2Stream* st = stream(ng, s, id);
    if (!st) return 0;
    nghttp2_session_set_stream_user_data(ng, id, nullptr);
    s->recent_id_ = 0;
    s->recent_ = nullptr;
    s->streams_--;
    s->waiting_ -= st->left_;
    s->asked_ -= st->asked_;
    events(s).closed(st, code, st->reset_by_peer_, s->user_);
    return 0;
  }

  // The first HEADERS of a stream that waits for it is its 100.
  static void went_on(H2Stream* st, H2Session* s, size_t size) {
    if (!st || !std::exchange(st->asked_, false)) return;
    s->asked_--;
    if (events(s).continued) events(s).continued(st, size, s->user_);
  }

  static int frame_send(nghttp2_session* ng, const nghttp2_frame* f, void* user) {
    H2Session* s = session(user);
    if (f->hd.type == NGHTTP2_RST_STREAM) {
      uint32_t code = f->rst_stream.error_code;
      bool the_peers = code != NGHTTP2_NO_ERROR && code != NGHTTP2_INTERNAL_ERROR && code != NGHTTP2_CANCEL;
      if (the_peers && code != NGHTTP2_REFUSED_STREAM) s->spend_reset();
      return 0;
    }
    if (s->asked_ && f->hd.type == NGHTTP2_HEADERS) [[unlikely]] went_on(stream(ng, s, f->hd.stream_id), s, f->hd.length + kFrameHead);
    if (f->hd.type == NGHTTP2_GOAWAY && s->broken_ && f->goaway.error_code != NGHTTP2_NO_ERROR) s->said_all_ = true;
    if ((f->hd.type != NGHTTP2_HEADERS && f->hd.type != NGHTTP2_DATA) || !(f->hd.flags & NGHTTP2_FLAG_END_STREAM)) return 0;
    H2Stream* st = stream(ng, s, f->hd.stream_id);
    if (!st) return 0;
    st->sent_ = true;
    if (st->reject_ == H2Stream::Reject::kNo) {
      events(s).sent(st, s->user_);
    } else if (st->remote_open_) {
      // Not earlier: a reset that waits keeps all other frames of its stream from being sent.
      nghttp2_submit_rst_stream(ng, NGHTTP2_FLAG_NONE, st->id_, NGHTTP2_NO_ERROR);
    }
    return 0;
  }

  // An answer that cannot be sent (larger than the block limit) must not leave its stream open for ever.
  static int frame_not_send(nghttp2_session* ng, const nghttp2_frame* f, int why, void* user) {
    if (f->hd.type != NGHTTP2_HEADERS || why == NGHTTP2_ERR_STREAM_CLOSED || why == NGHTTP2_ERR_STREAM_CLOSING) return 0;
    if (stream(ng, session(user), f->hd.stream_id)) {
      nghttp2_submit_rst_stream(ng, NGHTTP2_FLAG_NONE, f->hd.stream_id, NGHTTP2_INTERNAL_ERROR);
    }
    return 0;
  }

  // How much goes into the next DATA frame. The bytes are only taken in send_data.
  static ssize_t read(nghttp2_session* ng, int32_t id, uint8_t*, size_t most, uint32_t* flags, nghttp2_data_source* source,
                      void* user) {
    auto* st = static_cast<H2Stream*>(source->ptr);
    st->deferred_ = st->left_ == 0 && st->more_;
    if (st->deferred_) return NGHTTP2_ERR_DEFERRED;
    size_t n = std::min(most, st->left_);
    st->framed_ = true;
    *flags |= NGHTTP2_DATA_FLAG_NO_COPY;
    if (n < st->left_ || st->more_) return ssize_t(n);
    *flags |= NGHTTP2_DATA_FLAG_EOF;
    if (!st->trailers_.empty()) {
      *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
      if (trailers(ng, session(user), id, st->trailers_)) return NGHTTP2_ERR_CALLBACK_FAILURE;
    }
    return ssize_t(n);
  }

  static int trailers(nghttp2_session* ng, H2Session* s, int32_t id, std::span<const Header> list) {
    Fields fields(&s->context_->memory_, list.size());
    if (!fields.ok()) return NGHTTP2_ERR_NOMEM;
    fields.add(list);
    return nghttp2_submit_trailer(ng, id, fields.data(), fields.size());
  }

  static int send_data(nghttp2_session*, nghttp2_frame*, const uint8_t* head, size_t n, nghttp2_data_source* source, void* user) {
    H2Session* s = session(user);
    Output* out = s->out_;
    auto* st = static_cast<H2Stream*>(source->ptr);
    if (out->size() >= s->most_) return NGHTTP2_ERR_WOULDBLOCK;
    if (!out->append(Slice(head, kFrameHead))) return NGHTTP2_ERR_CALLBACK_FAILURE;
    st->framed_ = false;
    st->left_ -= n;
    st->gone_ += n;
    s->gone_ += n;
    s->waiting_ -= n;
    // What was sent explains the windows that come back, the stream's and the connection's, and a ping.
    const int64_t bytes = int64_t(n / kUseful), all = st->left_ == 0;
    st->frames_.earn(bytes + all, s->context_->settings_.stream_frame_burst);
    s->frames_.earn(bytes + 3 * all, s->context_->settings_.frame_burst);
    if (size_t rest = size_t(st->prefix_size_ - st->prefix_done_)) {
      size_t part = std::min(rest, n);
      if (!out->append(Slice(st->prefix_ + st->prefix_done_, part))) return NGHTTP2_ERR_CALLBACK_FAILURE;
      st->prefix_done_ = uint8_t(st->prefix_done_ + part);
      n -= part;
    }
    while (n > 0) {
      const Piece& p = st->pieces_[st->piece_];
      size_t part = std::min(p.bytes.size - st->offset_, n);
      if (!out->payload(p.bytes.part(st->offset_, part), p.buffer)) return NGHTTP2_ERR_CALLBACK_FAILURE;
      n -= part;
      st->offset_ += part;
      if (st->offset_ == p.bytes.size) {
        st->piece_++;
        st->offset_ = 0;
      }
    }
    if (st->left_ == 0 && st->more_ && events(s).taken) events(s).taken(st, s->user_);
    return 0;
  }

  static void* ng_malloc(size_t n, void* m) { return static_cast<H2Memory*>(m)->alloc(n); }
  static void ng_free(void* p, void* m) { static_cast<H2Memory*>(m)->free(p); }
  static void* ng_calloc(size_t a, size_t b, void* m) {
    if (b && a > SIZE_MAX / b) return nullptr;
    void* p = static_cast<H2Memory*>(m)->alloc(a * b);
    if (p) memset(p, 0, a * b);
    return p;
  }
  static void* ng_realloc(void* p, size_t n, void* m) { return static_cast<H2Memory*>(m)->realloc(p, n); }
};

// ---- context

Status H2Context::init() {
  if (nghttp2_session_callbacks_new(&callbacks_) || nghttp2_option_new(&option_)) return Status::no_memory();
  nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks_, H2Glue::begin_headers);
  nghttp2_session_callbacks_set_on_header_callback(callbacks_, H2Glue::header);
  nghttp2_session_callbacks_set_on_invalid_header_callback(callbacks_, H2Glue::invalid_header);
  nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks_, H2Glue::frame_recv);
  nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks_, H2Glue::data_chunk);
  nghttp2_session_callbacks_set_on_stream_close_callback(callbacks_, H2Glue::stream_close);
  nghttp2_session_callbacks_set_on_frame_send_callback(callbacks_, H2Glue::frame_send);
  nghttp2_session_callbacks_set_on_frame_not_send_callback(callbacks_, H2Glue::frame_not_send);
  nghttp2_session_callbacks_set_send_data_callback(callbacks_, H2Glue::send_data);
  nghttp2_option_set_no_auto_window_update(option_, 1);
  nghttp2_option_set_no_closed_streams(option_, 1);
  nghttp2_option_set_max_send_header_block_length(option_, kMaxHeaderBlock);
  // Resets have a budget of our own: this one counts every honest cancel, and reads a clock.
  nghttp2_option_set_stream_reset_rate_limit(option_, uint64_t(1) << 40, uint64_t(1) << 40);
  return {};
}

H2Context::~H2Context() {
  nghttp2_session_callbacks_del(callbacks_);
  nghttp2_option_del(option_);
}

// ---- session

base::Result<H2Session*> H2Session::make(H2Context* c, void* user) {
  void* p = c->memory_.alloc(sizeof(H2Session));
  if (!p) return Status::no_memory();
  auto* s = new (p) H2Session(c, user);
  if (!(s->slab_ = c->memory_.begin_slab())) {
    free(s);
    return Status::no_memory();
  }
  nghttp2_mem mem = {&c->memory_, H2Glue::ng_malloc, H2Glue::ng_free, H2Glue::ng_calloc, H2Glue::ng_realloc};
  int rv = nghttp2_session_server_new3(&s->session_, c->callbacks_, s, c->option_, &mem);
  c->memory_.end_slab();
  const H2Settings& o = c->settings_;
  nghttp2_settings_entry entries[] = {
      {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, kAnyNumber},  // say_settings tells the peer ours
      {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, o.stream_window},
      {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, o.max_header_bytes},
  };
  if (!rv) rv = nghttp2_submit_settings(s->session_, NGHTTP2_FLAG_NONE, entries, std::size(entries));
  if (!rv) rv = nghttp2_session_set_local_window_size(s->session_, NGHTTP2_FLAG_NONE, 0, int32_t(o.connection_window));
  if (rv) {
    free(s);
    return failed(rv);
  }
  return s;
}

void H2Session::free(H2Session* s) {
  if (!s) return;
  nghttp2_session_del(s->session_);
  H2Memory* m = &s->context_->memory_;
  m->free_slab(s->slab_);
  s->~H2Session();
  m->free(s);
}

// Frames that bring something take their cost back in the callbacks. nghttp2 tells of no frames that it ignores, so heads are
// read here.
void H2Session::count_frames(Slice bytes) {
  while (!bytes.empty()) {
    if (skip_) {
      size_t n = std::min(skip_, bytes.size);
      skip_ -= n;
      bytes = bytes.from(n);
      if (skip_ == 0 && last_of_block_) in_block_ = last_of_block_ = false;
      continue;
    }
    size_t n = std::min(sizeof head_ - head_size_, bytes.size);
    if (head_size_ == 0) frame_ns_ = now_ns_;
    memcpy(head_ + head_size_, bytes.data, n);
    head_size_ = uint8_t(head_size_ + n);
    bytes = bytes.from(n);
    if (head_size_ < sizeof head_) return;
    head_size_ = 0;
    skip_ = frame_size();
    if (head_[3] != NGHTTP2_DATA || skip_ < kUseful || head_[4] & NGHTTP2_FLAG_PADDED) useless_++;
    if (head_[3] != NGHTTP2_HEADERS && head_[3] != NGHTTP2_CONTINUATION) continue;
    // Without a payload, or out of place, it ends nothing: then the connection does.
    if (!std::exchange(in_block_, true)) block_ns_ = frame_ns_;
    last_of_block_ = head_[4] & NGHTTP2_FLAG_END_HEADERS;
    if (skip_ == 0 && last_of_block_) in_block_ = last_of_block_ = false;
  }
}

void H2Session::spend_reset() {
  const H2Settings& o = context_->settings_;
  if (!resets_.spend(1, o.reset_burst, o.reset_rate, now_ns_)) enough("too many streams reset (ZCRPC_SERVER_RESET_BURST, ZCRPC_SERVER_RESET_RATE)");
}

// nghttp2's way to end a session has no debug data, so what follows the GOAWAY is kept back here.
void H2Session::enough(const char* why) {
  if (broken_) return;
  broken_ = said_last_ = true;
  failure_ = why;
  int rv = nghttp2_submit_goaway(session_, NGHTTP2_FLAG_NONE, last_id_, NGHTTP2_ENHANCE_YOUR_CALM, reinterpret_cast<const uint8_t*>(why), strlen(why));
  if (rv) goaway(NGHTTP2_ENHANCE_YOUR_CALM);
}

bool H2Session::feed(Slice bytes, int64_t now_ns) {
  if (broken_) return false;
  const H2Settings& o = context_->settings_;
  if (!started_) {
    started_ = true;
    frames_.start(o.frame_burst, now_ns);
    resets_.start(o.reset_burst, now_ns);
    window_.start(o.stream_window, o.max_window);
  }
  now_ns_ = now_ns;
  useless_ = 0;
  count_frames(bytes);
  if (ssize_t n = nghttp2_session_mem_recv(session_, bytes.data, bytes.size); n == NGHTTP2_ERR_FLOODED) {
    enough("too many pings and settings to answer at a time");
  } else if (n == kTooManyContinuations) {
    enough("too many CONTINUATION frames");
  } else if (n < 0 && !broken_) {
    broken_ = true;
    failure_ = nghttp2_strerror(int(n));
  }
  if (window_.wants_ping()) {
    window_.ping(now_ns);
    ping(kWindowPing);
  }
  if (useless_ < 0) frames_.earn(-useless_, o.frame_burst);
  else if (!frames_.spend(useless_, o.frame_burst, o.frame_rate, now_ns)) enough("too many frames that bring nothing (ZCRPC_SERVER_FRAME_BURST, ZCRPC_SERVER_FRAME_RATE)");
  return !broken_;
}

bool H2Session::flush(Output* out, size_t most) {
  out_ = out;
  most_ = most;
  bool ok = true;
  while (ok && !said_all_ && out->size() < most) {
    const uint8_t* p;
    ssize_t n = nghttp2_session_mem_send(session_, &p);
    if (n == 0) break;
    ok = n > 0 && (said_settings_ ? out->append(Slice(p, size_t(n))) : say_settings(Slice(p, size_t(n)), out));
  }
  out_ = nullptr;
  return ok;
}

// Our SETTINGS, the first frame that leaves. nghttp2 takes a stream above the limit that it was told, once that was acknowledged,
// for the connection's end, and the calls that run end with it; the server refuses the stream alone (RFC 9113, 5.1.2). So
// nghttp2 knows of no limit, and the one that the peer reads is written here.
bool H2Session::say_settings(Slice frame, Output* out) {
  constexpr size_t kHead = kFrameHead, kEntry = 6;
  uint8_t bytes[kHead + 8 * kEntry];
  said_settings_ = true;
  if (frame.size < kHead || frame.size > sizeof bytes || frame.data[3] != NGHTTP2_SETTINGS || frame.data[4] & NGHTTP2_FLAG_ACK) return false;
  memcpy(bytes, frame.data, frame.size);
  for (size_t at = kHead; at + kEntry <= frame.size; at += kEntry) {
    if ((bytes[at] << 8 | bytes[at + 1]) != NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS) continue;
    for (size_t i = 0; i < 4; i++) bytes[at + 2 + i] = uint8_t(context_->settings_.max_streams >> (24 - 8 * i));
  }
  return out->append(Slice(bytes, frame.size));
}

bool H2Session::wants_flush() const { return !said_all_ && nghttp2_session_want_write(session_); }

bool H2Session::over() const {
  return broken_ ? !wants_flush() : !nghttp2_session_want_read(session_) && !nghttp2_session_want_write(session_);
}

// Where the body lies; it is taken from there when flow control lets it go.
Status H2Session::take_body(H2Stream* s, Slice prefix, std::span<const Piece> pieces, std::span<const Header> trailers, bool more) {
  if (prefix.size > sizeof s->prefix_) return Status(Code::kInternal, "prefix is too long");
  if (prefix.size) memcpy(s->prefix_, prefix.data, prefix.size);
  s->prefix_size_ = uint8_t(prefix.size);
  s->prefix_done_ = 0;
  s->pieces_ = pieces.data();
  s->piece_ = s->offset_ = 0;
  s->left_ = prefix.size;
  for (const Piece& p : pieces) s->left_ += p.bytes.size;
  waiting_ += s->left_;
  s->trailers_ = trailers;
  s->more_ = more;
  return {};
}

Status H2Session::answer(H2Stream* s, int status, std::span<const Header> headers, Slice prefix, std::span<const Piece> pieces,
                         std::span<const Header> trailers, bool more, std::string_view date) {
  if (s->answered_) return Status(Code::kInternal, "a second answer");
  ZCRPC_TRY(take_body(s, prefix, pieces, trailers, more));
  Fields fields(&context_->memory_, headers.size() + 2);
  if (!fields.ok()) return Status::no_memory();
  fields.add(":status", status_text(status), true);
  fields.add(headers);
  if (!date.empty()) fields.add("date", date, true);  // all of one second share it
  int rv;
  if (s->left_ || more) {
    nghttp2_data_provider body = {{.ptr = s}, H2Glue::read};
    rv = nghttp2_submit_response(session_, s->id_, fields.data(), fields.size(), &body);
  } else if (trailers.empty()) {
    rv = nghttp2_submit_response(session_, s->id_, fields.data(), fields.size(), nullptr);
  } else {
    rv = nghttp2_submit_headers(session_, NGHTTP2_FLAG_NONE, s->id_, nullptr, fields.data(), fields.size(), nullptr);
    rv = rv < 0 ? rv : H2Glue::trailers(session_, this, s->id_, trailers);
  }
  if (rv < 0) return failed(rv);
  s->answered_ = true;
  return {};
}

Status H2Session::send(H2Stream* s, Slice prefix, std::span<const Piece> pieces, std::span<const Header> trailers, bool more) {
  if (!s->answered_ || !s->more_ || s->left_) return Status(Code::kInternal, "the stream is not ready for a message");
  ZCRPC_TRY(take_body(s, prefix, pieces, trailers, more));
  // Nothing but trailers is left: they go without an empty DATA frame before them. The frame that waits for data ends
  // with the stream.
  if (s->deferred_ && s->left_ == 0 && !more && !trailers.empty()) {
    int rv = H2Glue::trailers(session_, this, s->id_, trailers);
    s->more_ = true;  // should that frame be looked at before these have left
    s->trailers_ = {};
    return rv < 0 ? failed(rv) : Status();
  }
  int rv = nghttp2_session_resume_data(session_, s->id_);
  // Not deferred yet: the first flush is still to come, and will see the message.
  if (rv && rv != NGHTTP2_ERR_INVALID_ARGUMENT) return failed(rv);
  return {};
}

size_t H2Session::pending(const H2Stream* s) const { return s->left_; }

bool H2Session::held(const H2Stream* s) const { return nghttp2_session_get_stream_remote_window_size(session_, s->id_) <= 0; }

bool H2Session::blocked(const H2Stream* s) const {
  return held(s) || nghttp2_session_get_remote_window_size(session_) <= 0;
}

bool H2Session::drop_body(H2Stream* s) {
  if (s->left_ == 0 || s->framed_ || s->prefix_done_ || s->piece_ || s->offset_) return false;
  waiting_ -= s->left_;
  s->left_ = s->prefix_size_ = 0;
  s->pieces_ = nullptr;
  s->trailers_ = {};
  s->more_ = s->deferred_ = true;
  return true;
}

bool H2Session::go_on(H2Stream* s) {
  if (!std::exchange(s->expects_, false) || s->answered_ || !s->remote_open_) return true;
  nghttp2_nv nv = field(":status", "100", true);
  if (nghttp2_submit_headers(session_, NGHTTP2_FLAG_NONE, s->id_, nullptr, &nv, 1, nullptr)) return false;
  s->asked_ = true;
  asked_++;
  return true;
}

void H2Session::reset(H2Stream* s, uint32_t code) {
  nghttp2_submit_rst_stream(session_, NGHTTP2_FLAG_NONE, s->id_, code);
}

// nghttp2 gives a window back when half of it was consumed, so that between a half and all of it is of use. Where windows grow with
// the path, and are measured by what comes, it goes back by quarters. (Never more than has come: padding is nghttp2's business.)
void H2Session::consume(H2Stream* s, size_t n) {
  nghttp2_session_consume_stream(session_, s->id_, n);
  if (!settings_taken_ || context_->settings_.max_window <= context_->settings_.stream_window) return;
  if ((s->consumed_ += n) < s->window_ / 4) return;
  int64_t came = nghttp2_session_get_stream_effective_recv_data_length(session_, s->id_);
  int64_t back = std::min(came, int64_t(s->consumed_));
  s->consumed_ = 0;
  if (back > 0) nghttp2_submit_window_update(session_, NGHTTP2_FLAG_NONE, s->id_, int32_t(back));
}

// Before our SETTINGS are acknowledged windows are still those of the protocol.
uint32_t H2Session::lacks(const H2Stream* s) const {
  return settings_taken_ && s->window_ < window_.target() ? window_.target() - s->window_ : 0;
}

void H2Session::widen(H2Stream* s, uint32_t more) {
  s->window_ += more;
  nghttp2_session_set_local_window_size(session_, NGHTTP2_FLAG_NONE, s->id_, int32_t(s->window_));
}

void H2Session::drain() {
  if (drain_ != Drain::kNo) return;
  drain_ = Drain::kNotice;
  uint8_t opaque[8];
  put64(opaque, kDrainPing);
  if (nghttp2_submit_shutdown_notice(session_) || nghttp2_submit_ping(session_, NGHTTP2_FLAG_NONE, opaque)) drain_now();
}

void H2Session::drain_now() {
  if (drain_ == Drain::kLast) return;
  drain_ = Drain::kLast;
  said_last_ = true;
  nghttp2_submit_goaway(session_, NGHTTP2_FLAG_NONE, last_id_, NGHTTP2_NO_ERROR, nullptr, 0);
}

void H2Session::goaway(uint32_t code) {
  said_last_ = true;
  nghttp2_session_terminate_session2(session_, last_id_, code);
}

void H2Session::ping(uint64_t opaque) {
  uint8_t data[8];
  put64(data, opaque);
  nghttp2_submit_ping(session_, NGHTTP2_FLAG_NONE, data);
}

}  // namespace zcrpc::http
