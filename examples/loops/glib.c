/* An echo server in GLib's main loop.    echo-glib [ADDRESS]    (127.0.0.1:8080) */
#include <glib-unix.h>
#include <signal.h>
#include <stdio.h>
#include "echo.zcrpc.h"

static GMainLoop *gloop;

static zcrpc_code echo(zcrpc_call *call, const echo_v1_EchoRequest *request, echo_v1_EchoReply_writer *reply, void *user) {
  zcrpc_slice text = echo_v1_EchoRequest_text(request);
  (void)user;
  if (!text.len) return zcrpc_call_fail(call, ZCRPC_INVALID_ARGUMENT, "text is empty", ZCRPC_NTS);
  echo_v1_EchoReply_put_text(reply, text.data, text.len);
  return ZCRPC_OK;
}

/* The loop's descriptor is readable: do all that is ready. */
static gboolean on_ready(gint fd, GIOCondition what, gpointer loop) {
  zcrpc_event events[16];
  zcrpc_turn t = {.struct_size = sizeof t, .events = events, .event_max = 16};
  uint32_t i;
  (void)fd, (void)what;
  do {
    if (zcrpc_loop_turn(loop, &t, NULL)) t.event_count = 0;
    for (i = 0; i < t.event_count; i++)
      if (events[i].kind == ZCRPC_EVENT_DRAINED) g_main_loop_quit(gloop);
  } while (t.event_count);
  return G_SOURCE_CONTINUE;
}

static gboolean on_signal(gpointer server) {
  zcrpc_server_drain(server, 2000);
  return G_SOURCE_CONTINUE;
}

int main(int argc, char **argv) {
  const echo_v1_EchoService service = {.echo = echo};
  zcrpc_error *err = NULL;
  zcrpc_loop *loop = zcrpc_loop_new(NULL, &err);
  zcrpc_server *server = zcrpc_server_new(NULL, &err);

  if (!loop || !server || echo_v1_EchoService_register(server, &service, &err) ||
      zcrpc_server_listen(server, argc > 1 ? argv[1] : "127.0.0.1:8080", NULL, &err) || zcrpc_server_attach(server, loop, &err))
    goto out;
  gloop = g_main_loop_new(NULL, FALSE);
  g_unix_fd_add(zcrpc_loop_fd(loop), G_IO_IN, on_ready, loop);
  g_unix_signal_add(SIGTERM, on_signal, server);
  printf("listening %s\n", zcrpc_server_address(server, 0));
  fflush(stdout);
  g_main_loop_run(gloop);
  g_main_loop_unref(gloop);
out:
  if (err) fprintf(stderr, "%s\n", zcrpc_error_message(err));
  zcrpc_server_free(server);
  zcrpc_loop_free(loop);
  return err ? 1 : 0;
}
