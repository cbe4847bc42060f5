// Section 9: certificates and trust.
#include "capi/tls.h"

#include "capi/convert.h"
#include "tls/context.h"

namespace zcrpc::capi {
ZCRPC_HANDLE(zcrpc_tls, tls::Context)
}

#include "capi/guard.h"  // after the handle, which it gives out
#include "capi/options.h"

using namespace zcrpc;
using namespace zcrpc::capi;
using base::Status;

namespace zcrpc::capi {

Status streams_of(zcrpc_tls* tls, net::Streams** out) {
  *out = nullptr;
  if (!tls) return {};
  if (!from_c(tls)->has_certificate()) return wrong("a server needs ZCRPC_TLS_CERTIFICATE");
  *out = from_c(tls);
  return {};
}

}  // namespace zcrpc::capi

zcrpc_tls* zcrpc_tls_new(const zcrpc_options* o, zcrpc_error** err) {
  return guard(err, [&]() -> base::Result<tls::Context*> {
    ZCRPC_TRY(check_for(o, ZCRPC_FOR_TLS));
    tls::Config c;
    c.certificate = get_string(from_c(o), ZCRPC_TLS_CERTIFICATE);
    c.key = get_string(from_c(o), ZCRPC_TLS_KEY);
    c.trust = get_string(from_c(o), ZCRPC_TLS_TRUST);
    c.demand = get_int(from_c(o), ZCRPC_TLS_VERIFY, 1) != 0;
    c.key_log = get_string(from_c(o), ZCRPC_TLS_KEY_LOG);
    return tls::Context::make(c);
  });
}

zcrpc_code zcrpc_tls_reload(zcrpc_tls* t, zcrpc_error** err) {
  return guard(err, [&]() -> Status { return t ? from_c(t)->reload() : wrong("no tls"); });
}

void zcrpc_tls_free(zcrpc_tls* t) {
  if (t) from_c(t)->release();
}
