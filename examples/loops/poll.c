/* An echo server in a loop of the application's own around poll(2).    echo-poll [ADDRESS]    (127.0.0.1:8080) */
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include "echo.zcrpc.h"

static zcrpc_server *server;
static void on_signal(int number) {
  (void)number;
  zcrpc_server_drain(server, 2000); /* may be called in a signal handler; it wakes the loop */
}

static zcrpc_code echo(zcrpc_call *call, const echo_v1_EchoRequest *request, echo_v1_EchoReply_writer *reply, void *user) {
  zcrpc_slice text = echo_v1_EchoRequest_text(request);
  (void)user;
  if (!text.len) return zcrpc_call_fail(call, ZCRPC_INVALID_ARGUMENT, "text is empty", ZCRPC_NTS);
  echo_v1_EchoReply_put_text(reply, text.data, text.len);
  return ZCRPC_OK;
}

/* All that is ready, without waiting. 0: the server has drained. */
static int turn(zcrpc_loop *loop) {
  zcrpc_event events[16];
  zcrpc_turn t = {.struct_size = sizeof t, .events = events, .event_max = 16};
  uint32_t i;
  do {
    if (zcrpc_loop_turn(loop, &t, NULL)) return 0;
    for (i = 0; i < t.event_count; i++)
      if (events[i].kind == ZCRPC_EVENT_DRAINED) return 0;
  } while (t.event_count);
  return 1;
}

int main(int argc, char **argv) {
  const echo_v1_EchoService service = {.echo = echo};
  zcrpc_error *err = NULL;
  zcrpc_loop *loop = zcrpc_loop_new(NULL, &err);
  struct pollfd files[1] = {{.fd = zcrpc_loop_fd(loop), .events = POLLIN}}; /* and those of the application */

  if (!loop || !(server = zcrpc_server_new(NULL, &err)) || echo_v1_EchoService_register(server, &service, &err) ||
      zcrpc_server_listen(server, argc > 1 ? argv[1] : "127.0.0.1:8080", NULL, &err) || zcrpc_server_attach(server, loop, &err))
    goto out;
  signal(SIGTERM, on_signal);
  printf("listening %s\n", zcrpc_server_address(server, 0));
  fflush(stdout);
  while (turn(loop)) poll(files, 1, -1); /* timers make the descriptor readable too */
out:
  if (err) fprintf(stderr, "%s\n", zcrpc_error_message(err));
  zcrpc_server_free(server);
  zcrpc_loop_free(loop);
  return err ? 1 : 0;
}
