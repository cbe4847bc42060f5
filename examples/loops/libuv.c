/* An echo server in libuv's loop.    echo-libuv [ADDRESS]    (127.0.0.1:8080) */
#include <signal.h>
#include <stdio.h>
#include <uv.h>
#include "echo.zcrpc.h"

static zcrpc_code echo(zcrpc_call *call, const echo_v1_EchoRequest *request, echo_v1_EchoReply_writer *reply, void *user) {
  zcrpc_slice text = echo_v1_EchoRequest_text(request);
  (void)user;
  if (!text.len) return zcrpc_call_fail(call, ZCRPC_INVALID_ARGUMENT, "text is empty", ZCRPC_NTS);
  echo_v1_EchoReply_put_text(reply, text.data, text.len);
  return ZCRPC_OK;
}

/* The loop's descriptor is readable: do all that is ready. */
static void on_ready(uv_poll_t *handle, int status, int what) {
  zcrpc_event events[16];
  zcrpc_turn t = {.struct_size = sizeof t, .events = events, .event_max = 16};
  uint32_t i;
  (void)status, (void)what;
  do {
    if (zcrpc_loop_turn(handle->data, &t, NULL)) t.event_count = 0;
    for (i = 0; i < t.event_count; i++)
      if (events[i].kind == ZCRPC_EVENT_DRAINED) uv_stop(handle->loop);
  } while (t.event_count);
}

static void on_signal(uv_signal_t *handle, int number) {
  (void)number;
  zcrpc_server_drain(handle->data, 2000);
}

int main(int argc, char **argv) {
  const echo_v1_EchoService service = {.echo = echo};
  zcrpc_error *err = NULL;
  zcrpc_loop *loop = zcrpc_loop_new(NULL, &err);
  zcrpc_server *server = zcrpc_server_new(NULL, &err);
  uv_poll_t ready = {.data = loop};
  uv_signal_t term = {.data = server};

  if (!loop || !server || echo_v1_EchoService_register(server, &service, &err) ||
      zcrpc_server_listen(server, argc > 1 ? argv[1] : "127.0.0.1:8080", NULL, &err) || zcrpc_server_attach(server, loop, &err))
    goto out;
  uv_poll_init(uv_default_loop(), &ready, zcrpc_loop_fd(loop));
  uv_poll_start(&ready, UV_READABLE, on_ready);
  uv_signal_init(uv_default_loop(), &term);
  uv_signal_start(&term, on_signal, SIGTERM);
  printf("listening %s\n", zcrpc_server_address(server, 0));
  fflush(stdout);
  uv_run(uv_default_loop(), UV_RUN_DEFAULT);
out:
  if (err) fprintf(stderr, "%s\n", zcrpc_error_message(err));
  zcrpc_server_free(server);
  zcrpc_loop_free(loop);
  return err ? 1 : 0;
}
