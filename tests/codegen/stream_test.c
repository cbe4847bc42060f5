/* A method that streams, served through its generated member: typed events in, typed responses out. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "kinds/v1/kinds.zcrpc.h"

static int requests, ends;

/* Answers with n + 1 and n + 2, where the request says n. */
static void watch(zcrpc_call *call, const zcrpc_event *event, const kinds_v1_Leaf *message, void *user) {
  int i;
  assert_string_equal((const char *)user, "mine");
  if (event->kind == ZCRPC_EVENT_REQUEST) {
    requests++;
    for (i = 1; i <= 2; i++) {
      kinds_v1_All_put_f_int32(kinds_v1_Kinds_watch_response(call), kinds_v1_Leaf_value(message) + i);
      assert_int_equal(zcrpc_call_send(call, NULL), ZCRPC_OK);
    }
    zcrpc_call_finish(call, NULL);
  }
  if (event->kind == ZCRPC_EVENT_DONE) ends++;
}

static int dial(const zcrpc_server *s) {
  struct sockaddr_in to;
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  memset(&to, 0, sizeof to);
  to.sin_family = AF_INET;
  to.sin_port = htons((uint16_t)atoi(strrchr(zcrpc_server_address(s, 0), ':') + 1));
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
  return fd;
}

static int find(const char *in, size_t len, const char *what, size_t n) {
  size_t i;
  for (i = 0; i + n <= len; i++)
    if (!memcmp(in + i, what, n)) return 1;
  return 0;
}
#define FOUND(what) find(answer, got, what, sizeof what - 1)

static void a_stream_is_served_through_its_member(void **state) {
  static const char request[] = "POST /kinds.v1.Kinds/Watch HTTP/1.1\r\nHost: x\r\nContent-Type: application/connect+proto\r\n"
                                "Connect-Protocol-Version: 1\r\nContent-Length: 7\r\n\r\n\0\0\0\0\002\020\005";
  kinds_v1_Kinds impl;
  zcrpc_loop *loop = zcrpc_loop_new(NULL, NULL);
  zcrpc_server *server = zcrpc_server_new(NULL, NULL);
  char answer[4096];
  size_t got = 0;
  int fd, turns;
  (void)state;
  memset(&impl, 0, sizeof impl);
  impl.user = (void *)(uintptr_t) "mine";
  impl.watch = watch;
  assert_int_equal(kinds_v1_Kinds_register(server, &impl, NULL), ZCRPC_OK);
  assert_int_equal(zcrpc_server_listen(server, "127.0.0.1:0", NULL, NULL), ZCRPC_OK);
  assert_int_equal(zcrpc_server_attach(server, loop, NULL), ZCRPC_OK);
  fd = dial(server);
  assert_int_equal(send(fd, request, sizeof request - 1, 0), sizeof request - 1);
  for (turns = 0; turns < 2000 && !FOUND("{}"); turns++) {
    ssize_t n;
    zcrpc_loop_turn(loop, NULL, NULL);
    n = recv(fd, answer + got, sizeof answer - got, MSG_DONTWAIT);
    if (n > 0) got += (size_t)n;
    if (n < 0) usleep(5000);
  }
  assert_true(FOUND("HTTP/1.1 200"));
  assert_true(FOUND("\0\0\0\0\002\050\006")); /* f_int32: 6 */
  assert_true(FOUND("\0\0\0\0\002\050\007"));
  assert_true(FOUND("\002\0\0\0\002{}"));
  assert_int_equal(requests, 1);
  close(fd);
  for (turns = 0; turns < 100 && !ends; turns++) {
    zcrpc_loop_turn(loop, NULL, NULL);
    usleep(1000);
  }
  assert_int_equal(ends, 1);
  zcrpc_server_free(server);
  zcrpc_loop_free(loop);
  zcrpc_file_unload(&kinds_v1_kinds_file);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(a_stream_is_served_through_its_member)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
