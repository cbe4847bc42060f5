/* A blocking unary call: deadline, a header, the reply in place, the details of an error.
 *   echo-client-unary [TARGET] [TEXT]           (http://localhost:8080 hello) */
#include <stdio.h>
#include <stdlib.h>
#include "echo.zcrpc.h"

static void report(const zcrpc_error *e) {
  size_t i;
  zcrpc_slice type, value;
  fprintf(stderr, "%s: %s\n", zcrpc_code_name(zcrpc_error_code(e)), zcrpc_error_message(e));
  for (i = 0; i < zcrpc_error_detail_count(e); i++) {
    zcrpc_error_detail(e, i, &type, &value);
    fprintf(stderr, "  detail %.*s, %zu bytes\n", (int)type.len, type.data, value.len);
  }
}

int main(int argc, char **argv) {
  zcrpc_error *err = NULL;
  zcrpc_channel *channel = NULL;
  zcrpc_call *call = NULL;
  echo_v1_EchoRequest_writer *request;
  echo_v1_Origin_writer *origin;
  const echo_v1_EchoReply *reply;
  zcrpc_slice text;
  int status = EXIT_FAILURE;

  if (!(channel = zcrpc_channel_new(NULL, argc > 1 ? argv[1] : "http://localhost:8080", NULL, NULL, &err))) goto out;
  if (!(call = echo_v1_EchoService_echo_open(channel, NULL, &err))) goto out;
  zcrpc_call_set_timeout(call, 500);
  if (zcrpc_metadata_add(zcrpc_call_metadata(call, ZCRPC_REQUEST_HEADERS), "x-trace", "42", 2, &err)) goto out;

  request = echo_v1_EchoService_echo_request(call);
  echo_v1_EchoRequest_put_text(request, argc > 2 ? argv[2] : "hello", ZCRPC_NTS);
  origin = echo_v1_EchoRequest_begin_origin(request);
  echo_v1_Origin_put_host(origin, "lab-7", ZCRPC_NTS);
  echo_v1_Origin_end(origin);

  if (!(reply = echo_v1_EchoService_echo_reply(call, &err))) goto out;
  text = echo_v1_EchoReply_text(reply);
  printf("%.*s\n", (int)text.len, text.data);
  status = EXIT_SUCCESS;
out:
  if (err) report(err);
  zcrpc_error_free(err);
  zcrpc_call_release(call);
  zcrpc_channel_free(channel);
  return status;
}
