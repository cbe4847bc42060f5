/* What stands before a server: a balancer that speaks PROXY, and a service manager that has bound the port. */
#include <fcntl.h>

#include "http1.h"

static answer a;

static zcrpc_code who(zcrpc_call *call, const zcrpc_view *request, zcrpc_encoder *reply, void *user) {
  zcrpc_call_info info = {.struct_size = sizeof info};
  (void)request;
  (void)user;
  zcrpc_call_get_info(call, &info);
  zcrpc_encoder_put_string(reply, TEXT, info.peer.data, info.peer.len);
  return ZCRPC_OK;
}

static void begin(int64_t proxy, int fd) {
  zcrpc_options *o = server_options();
  zcrpc_error *err = NULL;
  char address[16];
  alarm(170);
  set_int(o, ZCRPC_SERVER_PROXY_PROTOCOL, proxy);
  server_make(o);
  handle_instead("s.S/Get", who, NULL);
  if (fd >= 0) {
    snprintf(address, sizeof address, "fd:%d", fd);
    if (zcrpc_server_listen(server, address, NULL, &err)) fail_msg("%s", zcrpc_error_message(err));
    server_port = atoi(strrchr(zcrpc_server_address(server, 1), ':') + 1);
  }
  pthread_create(&server_thread, NULL, server_main, (void *)(intptr_t)2);
}

static const char *ask_who(int fd) {
  static char text[128];
  say(fd, "POST /s.S/Get HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}");
  read_answer(fd, &a);
  assert_int_equal(a.status, 200);
  assert_int_equal(sscanf(a.text + a.head, "{\"text\":\"%100[^\"]\"}", text), 1);
  return text;
}

static void the_balancers_client_is_the_peer(void **state) {
  static const char v2[] = "\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xC0\x00\x02\x07\x0A\x00\x00\x01\x12\x67\x00\x50";
  char b[64];
  (void)state;
  begin(1, -1);
  int fd = dial();
  say(fd, "PROXY TCP4 192.0.2.1 10.0.0.1 4711 80\r\n");
  assert_string_equal(ask_who(fd), "192.0.2.1:4711");
  assert_string_equal(ask_who(fd), "192.0.2.1:4711"); /* once a connection */
  close(fd);
  fd = dial();
  for (size_t i = 0; i < sizeof v2 - 1; i++) { /* a byte a packet */
    send_all(fd, v2 + i, 1);
    usleep(1000);
  }
  assert_string_equal(ask_who(fd), "192.0.2.7:4711");
  close(fd);
  fd = dial();
  say(fd, "PROXY UNKNOWN\r\n");
  assert_memory_equal(ask_who(fd), "127.0.0.1:", 10);
  close(fd);
  fd = dial();
  say(fd, "POST /s.S/Get HTTP/1.1\r\nHost: x\r\n\r\n"); /* nobody vouches for it */
  assert_true(recv(fd, b, sizeof b, 0) <= 0);
  close(fd);
  server_stop(2000);
}

static void a_bound_descriptor_is_served(void **state) {
  struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  int listener = socket(AF_INET, SOCK_STREAM, 0), fd;
  (void)state;
  assert_int_equal(bind(listener, (struct sockaddr *)&at, sizeof at), 0);
  assert_int_equal(listen(listener, 16), 0);
  begin(0, listener);
  for (int i = 0; i < 8; i++) { /* whichever thread takes it */
    fd = dial();
    assert_memory_equal(ask_who(fd), "127.0.0.1:", 10);
    close(fd);
  }
  server_stop(2000);
  assert_int_equal(fcntl(listener, F_GETFD), -1); /* it was the server's */
}

static void other_descriptors_are_refused(void **state) {
  static const char *const wrong[] = {"fd:", "fd:x", "fd:-1", "fd:3x", "fd:99999", NULL, NULL};
  char plain[16], udp[16];
  zcrpc_error *err = NULL;
  int file = open("/dev/null", O_RDONLY), datagram = socket(AF_INET, SOCK_DGRAM, 0);
  (void)state;
  snprintf(plain, sizeof plain, "fd:%d", file);
  snprintf(udp, sizeof udp, "fd:%d", datagram);
  server_make(NULL);
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
    const char *address = wrong[i] ? wrong[i] : i == 5 ? plain : udp;
    zcrpc_code code = zcrpc_server_listen(server, address, NULL, &err);
    assert_true(code == (i < 4 ? ZCRPC_INVALID_ARGUMENT : ZCRPC_FAILED_PRECONDITION));
    zcrpc_error_free(err);
    err = NULL;
  }
  close(file);
  close(datagram);
  zcrpc_server_free(server);
  zcrpc_schema_release(schema);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_balancers_client_is_the_peer),
      cmocka_unit_test(a_bound_descriptor_is_served),
      cmocka_unit_test(other_descriptors_are_refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
