#include "tls/context.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cstring>
#include <new>

#include "tls/session.h"

namespace zcrpc::tls {

using base::Code;
using base::Result;
using base::Status;

namespace {

constexpr size_t kFile = 1 << 20;  // of PEM; more is a mistake
constexpr unsigned char kProtocols[] = {2, 'h', '2', 8, 'h', 't', 't', 'p', '/', '1', '.', '1'};

bool is_pem(std::string_view s) { return s.find("-----BEGIN") != s.npos; }
// How a source is called in errors.
std::string_view name_of(std::string_view s) { return is_pem(s) ? "PEM text" : s.substr(0, 200); }

Status wrong(const char* what, std::string_view source, const char* why) {
  return Status::format(Code::kInvalidArgument, "%s: %.*s: %s", what, int(name_of(source).size()), name_of(source).data(), why);
}

// The first error of OpenSSL's queue, which is emptied.
Status openssl_error(const char* what, std::string_view source) {
  unsigned long code = ERR_peek_error();
  const char* why = code ? ERR_reason_error_string(code) : nullptr;
  if (code && ERR_GET_REASON(code) == ERR_R_MALLOC_FAILURE) {
    ERR_clear_error();
    return Status::no_memory();
  }
  Status s = wrong(what, source, why ? why : "is not what it should be");
  ERR_clear_error();
  return s;
}

// Text, or a file's text.
Status read_source(const char* what, std::string_view source, base::Vec<char>* out) {
  if (is_pem(source)) return out->append(source.data(), source.size()) ? Status() : Status::no_memory();
  char path[4096];
  if (source.size() >= sizeof path) return wrong(what, source, "the path is too long");
  memcpy(path, source.data(), source.size());
  path[source.size()] = 0;
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return wrong(what, source, strerrordesc_np(errno));
  Status s;
  for (;;) {
    char b[8192];
    ssize_t n = read(fd, b, sizeof b);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) s = wrong(what, source, strerrordesc_np(errno));
    if (n <= 0) break;
    if (!out->append(b, size_t(n))) s = Status::no_memory();
    if (s.ok() && out->size() > kFile) s = wrong(what, source, "has more than 1 MiB");
    if (!s.ok()) break;
  }
  close(fd);
  if (s.ok() && !is_pem({out->data(), out->size()})) s = wrong(what, source, "holds no PEM (no \"-----BEGIN\")");
  return s;
}


// A passphrase is never asked for on the terminal.
int no_passphrase(char*, int, int, void*) { return -1; }

struct Pem {
  base::Vec<char> text;
  BIO* bio = nullptr;
  ~Pem() {
    BIO_free(bio);
    OPENSSL_cleanse(text.data(), text.size());  // it may be a key
  }
  Status open(const char* what, std::string_view source) {
    ZCRPC_TRY(read_source(what, source, &text));
    bio = BIO_new_mem_buf(text.data(), int(text.size()));
    return bio ? Status() : Status::no_memory();
  }
};

// The queue's "no start line" is how PEM's end shows itself.
bool at_end_of_pem() {
  unsigned long e = ERR_peek_last_error();
  if (ERR_GET_LIB(e) != ERR_LIB_PEM || ERR_GET_REASON(e) != PEM_R_NO_START_LINE) return false;
  ERR_clear_error();
  return true;
}

Status use_certificate(SSL_CTX* ctx, std::string_view source) {
  constexpr const char* kWhat = "ZCRPC_TLS_CERTIFICATE";
  Pem pem;
  ZCRPC_TRY(pem.open(kWhat, source));
  X509* leaf = PEM_read_bio_X509_AUX(pem.bio, nullptr, no_passphrase, nullptr);
  if (!leaf) return openssl_error(kWhat, source);
  int good = SSL_CTX_use_certificate(ctx, leaf);
  X509_free(leaf);
  if (good != 1) return openssl_error(kWhat, source);
  while (X509* next = PEM_read_bio_X509(pem.bio, nullptr, no_passphrase, nullptr)) {
    if (SSL_CTX_add0_chain_cert(ctx, next) != 1) {
      X509_free(next);
      return openssl_error(kWhat, source);
    }
  }
  return at_end_of_pem() ? Status() : openssl_error(kWhat, source);
}

Status use_key(SSL_CTX* ctx, const char* what, std::string_view source) {
  Pem pem;
  ZCRPC_TRY(pem.open(what, source));
  EVP_PKEY* key = PEM_read_bio_PrivateKey(pem.bio, nullptr, no_passphrase, nullptr);
  if (!key) {
    ERR_clear_error();  // "unsupported", whatever it was
    return wrong(what, source, "holds no private key that can be read without a passphrase");
  }
  int good = SSL_CTX_use_PrivateKey(ctx, key);
  EVP_PKEY_free(key);
  if (good != 1 || SSL_CTX_check_private_key(ctx) != 1) {
    ERR_clear_error();
    return wrong(what, source, "does not belong to the certificate");
  }
  return {};
}

// Authorities, and their names for clients to choose a certificate by.
Status use_trust(SSL_CTX* ctx, std::string_view source) {
  constexpr const char* kWhat = "ZCRPC_TLS_TRUST";
  Pem pem;
  ZCRPC_TRY(pem.open(kWhat, source));
  size_t count = 0;
  while (X509* one = PEM_read_bio_X509(pem.bio, nullptr, no_passphrase, nullptr)) {
    bool good = X509_STORE_add_cert(SSL_CTX_get_cert_store(ctx), one) == 1 && SSL_CTX_add_client_CA(ctx, one) == 1;
    X509_free(one);
    if (!good) return openssl_error(kWhat, source);
    count++;
  }
  if (!at_end_of_pem()) return openssl_error(kWhat, source);
  return count ? Status() : wrong(kWhat, source, "holds no certificate");
}

int choose_protocol(SSL*, const unsigned char** out, unsigned char* size, const unsigned char* in, unsigned in_size, void*) {
  unsigned char* chosen = nullptr;
  if (SSL_select_next_proto(&chosen, size, kProtocols, sizeof kProtocols, in, in_size) != OPENSSL_NPN_NEGOTIATED)
    return SSL_TLSEXT_ERR_ALERT_FATAL;  // no_application_protocol (RFC 7301, 3.2)
  *out = chosen;
  return SSL_TLSEXT_ERR_OK;
}

}  // namespace

Context::~Context() {
  SSL_CTX_free(current_);
  BIO_meth_free(socket_);
  if (key_log_fd_ >= 0) close(key_log_fd_);
  OPENSSL_cleanse(key_.bytes().data(), key_.size());
}

void Context::release() {
  if (refs_.fetch_sub(1, std::memory_order_acq_rel) == 1) delete this;
}

Result<Context*> Context::make(const Config& c) {
  auto* t = new (std::nothrow) Context;
  if (!t) return Status::no_memory();
  t->certificate_.append(c.certificate);
  t->key_.append(c.key);
  t->trust_.append(c.trust);
  t->demand_ = c.demand;
  Status s;
  if (!t->certificate_.ok() || !t->key_.ok() || !t->trust_.ok()) s = Status::no_memory();
  if (s.ok() && !c.key.empty() && c.certificate.empty())
    s = Status(Code::kInvalidArgument, "ZCRPC_TLS_KEY without ZCRPC_TLS_CERTIFICATE");
  if (s.ok()) {
    t->socket_ = socket_method();
    if (!t->socket_) s = Status::no_memory();
  }
  if (s.ok() && !c.key_log.empty()) {
    base::String path;
    const char* name = path.append(c.key_log).c_str();
    if (!name) {
      s = Status::no_memory();
    } else {
      t->key_log_fd_ = open(name, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
      if (t->key_log_fd_ < 0) s = wrong("ZCRPC_TLS_KEY_LOG", c.key_log, strerrordesc_np(errno));
    }
  }
  if (s.ok()) s = t->reload();
  if (!s.ok()) {
    delete t;
    return s;
  }
  return t;
}

Status Context::reload() {
  auto made = load();
  if (!made.ok()) return made.take_status();
  SSL_CTX* old;
  {
    std::lock_guard lock(gate_);
    old = current_;
    current_ = *made;
  }
  SSL_CTX_free(old);
  return {};
}

Result<SSL_CTX*> Context::load() {
  ERR_clear_error();
  SSL_CTX* ctx = SSL_CTX_new(TLS_method());
  if (!ctx) {
    ERR_clear_error();
    return Status::no_memory();
  }
  Status s;
  if (SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) != 1) s = openssl_error("TLS 1.2", "this OpenSSL");
  // HTTP/2 forbids both (RFC 9113, 9.2.1); renegotiation is also a way to burn the server's time.
  SSL_CTX_set_options(ctx, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION | SSL_OP_CIPHER_SERVER_PREFERENCE);
  SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
  SSL_CTX_set_read_ahead(ctx, 1);  // a record's head and body in one recv
  SSL_CTX_set_default_passwd_cb(ctx, no_passphrase);
  SSL_CTX_set_alpn_select_cb(ctx, choose_protocol, nullptr);
  SSL_CTX_set_app_data(ctx, this);  // sessions hold the context, and it outlives them
  // Sessions resume by tickets alone, so that nothing is kept for clients that have gone.
  SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
  static constexpr unsigned char kName[] = "zcrpc";
  (void)SSL_CTX_set_session_id_context(ctx, kName, sizeof kName - 1);
  if (key_log_fd_ >= 0) {
    SSL_CTX_set_keylog_callback(ctx, [](const SSL* ssl, const char* line) { of(SSL_get_SSL_CTX(ssl))->log_secret(line); });
  }
  if (s.ok() && !certificate_.empty()) {
    s = use_certificate(ctx, certificate_.view());
    if (s.ok()) {
      s = key_.empty() ? use_key(ctx, "ZCRPC_TLS_CERTIFICATE (there is no ZCRPC_TLS_KEY)", certificate_.view())
                       : use_key(ctx, "ZCRPC_TLS_KEY", key_.view());
    }
  }
  if (s.ok() && !trust_.empty()) {
    s = use_trust(ctx, trust_.view());
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | (demand_ ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0), nullptr);
  }
  if (!s.ok()) {
    SSL_CTX_free(ctx);
    return s;
  }
  return ctx;
}

Context* Context::of(const SSL_CTX* ctx) { return static_cast<Context*>(SSL_CTX_get_app_data(ctx)); }

void Context::log_secret(const char* line) {
  // One write, so that threads' and processes' lines do not mix. Its failure must not end a call.
  iovec v[] = {{const_cast<char*>(line), strlen(line)}, {const_cast<char*>("\n"), 1}};
  (void)!writev(key_log_fd_, v, 2);
}

Result<net::Stream*> Context::accept(const net::Io* io, int fd) {
  SSL* ssl;
  {
    std::lock_guard lock(gate_);
    ssl = SSL_new(current_);
  }
  if (!ssl) {
    ERR_clear_error();
    return Status::no_memory();
  }
  SSL_set_accept_state(ssl);
  return Session::make(this, ssl, socket_, io, fd);
}

}  // namespace zcrpc::tls
