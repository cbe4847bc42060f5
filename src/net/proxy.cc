#include "net/proxy.h"

#include <arpa/inet.h>
#include <errno.h>

#include <algorithm>
#include <atomic>
#include <charconv>
#include <cstring>
#include <new>

namespace zcrpc::net {

using base::Code;
using base::Result;
using base::Status;

namespace {

constexpr uint8_t kSignature[12] = {0x0D, 0x0A, 0x0D, 0x0A, 0x00, 0x0D, 0x0A, 0x51, 0x55, 0x49, 0x54, 0x0A};
constexpr size_t kFixed = 16;     // of version 2
constexpr size_t kTextMost = 107; // of version 1, with its line end

Status bad(const char* why) { return Status::format(Code::kInvalidArgument, "PROXY header: %s", why); }

bool take_port(std::string_view s, uint16_t* out) {
  auto [end, e] = std::from_chars(s.data(), s.data() + s.size(), *out);
  return e == std::errc() && end == s.data() + s.size() && !s.empty();
}

}  // namespace

Status ProxyHeader::came(size_t n) {
  size_ += n;
  wants_ -= n;
  if (size_ <= sizeof kSignature ? memcmp(bytes_, kSignature, size_) == 0 : memcmp(bytes_, kSignature, sizeof kSignature) == 0)
    return binary();
  if (memcmp(bytes_, "PROXY ", std::min<size_t>(size_, 6)) != 0) return bad("the connection begins otherwise");
  return text();
}

Status ProxyHeader::binary() {
  if (size_ < kFixed) {
    wants_ = kFixed - size_;
    return {};
  }
  size_t length = size_t(bytes_[14]) << 8 | bytes_[15];
  if (bytes_[12] >> 4 != 2) return bad("version is not 2");
  if ((bytes_[12] & 15) > 1) return bad("the command is neither LOCAL nor PROXY");
  if (length > kMost - kFixed) return bad("longer than 536 bytes");
  wants_ = kFixed + length - size_;
  if (wants_ || (bytes_[12] & 15) == 0) return {};
  const uint8_t* at = bytes_ + kFixed;
  if (bytes_[13] == 0x11) {  // TCP over IPv4
    if (length < 12) return bad("too short for IPv4");
    source_.of.v4.sin_family = AF_INET;
    memcpy(&source_.of.v4.sin_addr, at, 4);
    memcpy(&source_.of.v4.sin_port, at + 8, 2);
    source_.size = sizeof source_.of.v4;
  } else if (bytes_[13] == 0x21) {  // TCP over IPv6
    if (length < 36) return bad("too short for IPv6");
    source_.of.v6.sin6_family = AF_INET6;
    memcpy(&source_.of.v6.sin6_addr, at, 16);
    memcpy(&source_.of.v6.sin6_port, at + 32, 2);
    source_.size = sizeof source_.of.v6;
  } else if (bytes_[13] == 0x31) {  // a local socket
    if (length < 216) return bad("too short for a local socket");
    source_.of.local.sun_family = AF_UNIX;
    memcpy(source_.of.local.sun_path, at, 108);
    source_.of.local.sun_path[sizeof source_.of.local.sun_path - 1] = '\0';
    source_.size = sizeof source_.of.local;
  } else if (bytes_[13] != 0) {
    return bad("an unknown kind of address");
  }
  return {};
}

Status ProxyHeader::text() {
  if (bytes_[size_ - 1] != '\n') {
    if (size_ == kTextMost) return bad("a line of more than 107 bytes");
    wants_ = std::max<size_t>(wants_, 1);
    return {};
  }
  std::string_view line(reinterpret_cast<const char*>(bytes_), size_);
  if (!line.ends_with("\r\n") || line.find('\n') != size_ - 1) return bad("a line that does not end in CR LF");
  wants_ = 0;
  line.remove_suffix(2);
  if (line == "PROXY UNKNOWN" || line.starts_with("PROXY UNKNOWN ")) return {};
  std::string_view word[6];
  for (size_t i = 0; i < 6; i++) {
    size_t space = line.find(' ');
    word[i] = line.substr(0, space);
    if ((space == line.npos) != (i == 5)) return bad("not six words");
    line.remove_prefix(i == 5 ? line.size() : space + 1);
  }
  char host[INET6_ADDRSTRLEN];
  uint16_t port = 0, other = 0;
  if (word[2].size() >= sizeof host || word[3].size() >= sizeof host || !take_port(word[4], &port) || !take_port(word[5], &other))
    return bad("an address or a port that cannot be read");
  memcpy(host, word[2].data(), word[2].size());
  host[word[2].size()] = '\0';
  if (word[1] == "TCP4" && inet_pton(AF_INET, host, &source_.of.v4.sin_addr) == 1) {
    source_.of.v4.sin_family = AF_INET;
    source_.of.v4.sin_port = htons(port);
    source_.size = sizeof source_.of.v4;
    return {};
  }
  if (word[1] == "TCP6" && inet_pton(AF_INET6, host, &source_.of.v6.sin6_addr) == 1) {
    source_.of.v6.sin6_family = AF_INET6;
    source_.of.v6.sin6_port = htons(port);
    source_.size = sizeof source_.of.v6;
    return {};
  }
  return bad("an address or a port that cannot be read");
}

namespace {

class ProxyStream final : public Stream {
 public:
  ProxyStream(const Io* io, int fd, Streams* inner) : io_(io), fd_(fd), streams_(inner) {
    if (inner) inner->retain();
  }
  ~ProxyStream() override {
    delete inner_;
    if (streams_) streams_->release();
  }

  int64_t recv(void* p, size_t n) override {
    if (broken_) return -EPROTO;
    while (size_t wants = header_.wants()) {
      int64_t got = io_->recv(io_->user, fd_, header_.room(), wants);
      if (got == -EINTR) continue;
      if (got <= 0) return got;
      if (Status s = header_.came(size_t(got)); !s.ok()) return broken(s);
      if (header_.wants() == 0 && streams_) {
        auto made = streams_->accept(io_, fd_);
        if (!made.ok()) return broken(made.status());
        inner_ = *made;
        inner_->allow(allowed_);
      }
    }
    if (inner_) return inner_->recv(p, n);
    n = std::min(n, allowed_);
    if (n == 0) return -EAGAIN;
    int64_t got = io_->recv(io_->user, fd_, p, n);
    if (got > 0) allowed_ -= size_t(got);
    return got;
  }
  void allow(size_t bytes) override {
    allowed_ = bytes;
    if (inner_) inner_->allow(bytes);
  }
  int64_t sendv(const iovec* v, size_t count) override {
    if (inner_) return inner_->sendv(v, count);
    return io_->sendv(io_->user, fd_, v, count);
  }
  bool wants_write() const override { return inner_ && inner_->wants_write(); }
  bool opening() const override { return inner_ ? inner_->opening() : header_.begun() && header_.wants() > 0; }
  void shutdown() override {
    if (inner_) inner_->shutdown();
  }
  std::string_view protocol() const override { return inner_ ? inner_->protocol() : std::string_view(); }
  base::Buffer* peer_certificate() const override { return inner_ ? inner_->peer_certificate() : nullptr; }
  std::string_view failure() const override { return broken_ || !inner_ ? std::string_view(failure_) : inner_->failure(); }
  const Address* peer() const override { return header_.wants() == 0 && header_.source().size ? &header_.source() : nullptr; }

 private:
  int64_t broken(const Status& s) {
    broken_ = true;
    snprintf(failure_, sizeof failure_, "%s", s.message());
    return -EPROTO;
  }

  const Io* io_;
  int fd_;
  Streams* streams_;
  Stream* inner_ = nullptr;
  size_t allowed_ = SIZE_MAX;
  bool broken_ = false;
  char failure_[96] = "";
  ProxyHeader header_;
};

class ProxyStreams final : public Streams {
 public:
  explicit ProxyStreams(Streams* inner) : inner_(inner) {
    if (inner) inner->retain();
  }
  Result<Stream*> accept(const Io* io, int fd) override {
    Stream* s = new (std::nothrow) ProxyStream(io, fd, inner_);
    if (!s) return Status::no_memory();
    return s;
  }
  void retain() override { refs_.fetch_add(1, std::memory_order_relaxed); }
  void release() override {
    if (refs_.fetch_sub(1, std::memory_order_acq_rel) == 1) delete this;
  }

 private:
  ~ProxyStreams() {
    if (inner_) inner_->release();
  }
  std::atomic<uint32_t> refs_{1};
  Streams* inner_;
};

}  // namespace

Result<Streams*> proxy_streams(Streams* inner) {
  Streams* s = new (std::nothrow) ProxyStreams(inner);
  if (!s) return Status::no_memory();
  return s;
}

}  // namespace zcrpc::net
