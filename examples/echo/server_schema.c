/* A server for a schema that is known at run time only:
 *   protoc --include_imports --descriptor_set_out=echo.binpb echo.proto
 *   echo-server-schema echo.binpb [ADDRESS]         (127.0.0.1:8080) */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <zcrpc.h>

enum { TEXT = 1 }; /* field numbers of EchoRequest and EchoReply */

static zcrpc_server *server;

static void on_signal(int number) {
  (void)number;
  zcrpc_server_drain(server, 2000);
}

static zcrpc_code echo(zcrpc_call *call, const zcrpc_view *request, zcrpc_encoder *reply, void *user) {
  zcrpc_slice text;
  (void)user;
  zcrpc_view_string(request, TEXT, &text);
  if (text.len == 0)
    return zcrpc_call_fail(call, ZCRPC_INVALID_ARGUMENT, "text is empty", ZCRPC_NTS);
  zcrpc_encoder_put_string(reply, TEXT, text.data, text.len);
  return ZCRPC_OK;
}

static zcrpc_schema *load(const char *path, zcrpc_error **err) {
  static char set[1 << 20];
  size_t len = 0;
  FILE *f = fopen(path, "rb");
  if (f) {
    len = fread(set, 1, sizeof set, f);
    fclose(f);
  }
  return zcrpc_schema_new(set, len, err);
}

int main(int argc, char **argv) {
  zcrpc_error *err = NULL;
  zcrpc_schema *schema = NULL;
  zcrpc_options *options = NULL;
  const zcrpc_method *method;
  int status = EXIT_FAILURE;

  if (argc < 2 || !(schema = load(argv[1], &err))) goto out;
  if (!(method = zcrpc_schema_method(schema, "echo.v1.EchoService/Echo"))) goto out;
  if (!(options = zcrpc_options_new(ZCRPC_FOR_SERVER, &err))) goto out;
  if (zcrpc_options_set_int(options, ZCRPC_SERVER_REFLECTION, 1, &err)) goto out; /* for grpcurl and buf curl */
  if (!(server = zcrpc_server_new(options, &err))) goto out;
  if (zcrpc_server_handle(server, method, NULL, echo, NULL, &err)) goto out;
  if (zcrpc_server_listen(server, argc > 2 ? argv[2] : "127.0.0.1:8080", NULL, &err)) goto out;
  signal(SIGTERM, on_signal);
  printf("listening %s\n", zcrpc_server_address(server, 0));
  fflush(stdout);
  if (zcrpc_server_run(server, 1, &err)) goto out;
  status = EXIT_SUCCESS;
out:
  if (status) fprintf(stderr, "%s\n", err ? zcrpc_error_message(err) : "usage: echo-server-schema echo.binpb [ADDRESS]");
  zcrpc_error_free(err);
  zcrpc_server_free(server);
  zcrpc_options_free(options);
  zcrpc_schema_release(schema);
  return status;
}
