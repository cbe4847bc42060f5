// TLS by OpenSSL: certificates, trust and rules for many connections. Counted, any thread. Reading the files again makes a
// new SSL_CTX for new connections; those that exist keep theirs.
#pragma once

#include <openssl/ssl.h>

#include <atomic>
#include <mutex>
#include <string_view>

#include "base/string.h"
#include "net/stream.h"

namespace zcrpc::tls {

struct Config {
  // PEM text, or the path of a file of it. The certificate is followed by its chain; without a key it holds that too.
  std::string_view certificate, key;
  std::string_view trust;    // authorities whose certificates a peer may show
  bool demand = true;        // a server with trust: clients must show a certificate, else they may
  std::string_view key_log;  // path: secrets are appended in NSS's format, for packet analysers
};

class Context final : public net::Streams {
 public:
  // invalid_argument: what cannot be read, and why.
  static base::Result<Context*> make(const Config& c);
  // Reads the files again. On failure everything stays as it was.
  base::Status reload();
  bool has_certificate() const { return !certificate_.empty(); }

  base::Result<net::Stream*> accept(const net::Io* io, int fd) override;
  void retain() override { refs_.fetch_add(1, std::memory_order_relaxed); }
  void release() override;

 private:
  Context() = default;
  ~Context();
  base::Result<SSL_CTX*> load();
  void log_secret(const char* line);
  static Context* of(const SSL_CTX* ctx);

  std::atomic<uint32_t> refs_{1};
  base::String certificate_, key_, trust_;
  bool demand_ = true;
  int key_log_fd_ = -1;
  BIO_METHOD* socket_ = nullptr;  // of every session
  std::mutex gate_;               // of the next
  SSL_CTX* current_ = nullptr;
};

}  // namespace zcrpc::tls
