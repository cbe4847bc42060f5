/* connectrpc.conformance.v1.ConformanceService: does what its requests say. */
#ifndef ZCRPC_CONNECT_SERVER_SERVICE_H
#define ZCRPC_CONNECT_SERVER_SERVICE_H

#include <zcrpc.h>

extern zcrpc_schema *service_schema; /* main's, while the server runs */

zcrpc_code service_unary(zcrpc_call *call, const zcrpc_view *request, zcrpc_encoder *reply, void *user);
zcrpc_code service_unimplemented(zcrpc_call *call, const zcrpc_view *request, zcrpc_encoder *reply, void *user);
void service_stream(zcrpc_call *call, const zcrpc_event *event, const zcrpc_view *message, void *user);

#endif
