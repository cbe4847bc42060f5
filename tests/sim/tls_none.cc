// A build without TLS.
#include "sim/tls.h"

namespace sim {

zcrpc::net::Streams* tls_server() { return nullptr; }
std::unique_ptr<TlsClient> make_tls_client(bool, bool, bool) { return nullptr; }
void seed_tls(uint64_t) {}
void end_tls() {}

}  // namespace sim
