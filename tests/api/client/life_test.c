/* Time, names, descriptors, threads, processes: what a client owes the program it lives in. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "client.h"

static void a_deadline_is_kept_and_sent(void **state) {
  zcrpc_channel *ch = channel_with(server.target, ZCRPC_CHANNEL_TIMEOUT, 5000);
  zcrpc_call *c = open_call(ch, echo, NULL, "hello");
  int left;
  (void)state;
  assert_int_equal(zcrpc_call_time_left(c), 5000);
  assert_good(c, "hello");
  left = atoi(seen(c, "x-seen-connect-timeout-ms"));
  assert_true(left > 4000 && left <= 5000);
  zcrpc_call_release(c);
  zcrpc_channel_free(ch);
}

static void a_silent_or_slow_server_runs_into_the_deadline(void **state) {
  static const char *const odds[] = {"silent", "slow-body", "endless"};
  size_t i;
  (void)state;
  for (i = 0; i < sizeof odds / sizeof *odds; i++) {
    zcrpc_channel *ch = channel_with(server.target, ZCRPC_LIMIT_MESSAGE, 0x7FFFFFFF);
    zcrpc_call *c = open_call(ch, echo, odds[i], "hello");
    int64_t from = now_ms();
    zcrpc_call_set_timeout(c, 150);
    assert_fails(c, ZCRPC_DEADLINE_EXCEEDED, "");
    assert_true(now_ms() - from >= 150 && now_ms() - from < 3000);
    zcrpc_call_release(c);
    c = open_call(ch, echo, NULL, "next"); /* on a new connection */
    assert_good(c, "next");
    zcrpc_call_release(c);
    zcrpc_channel_free(ch);
  }
}

static void a_deadline_that_has_passed_sends_nothing(void **state) {
  zcrpc_channel *ch = channel();
  zcrpc_call *c = open_call(ch, echo, NULL, "hello");
  zcrpc_stats stats = {.struct_size = sizeof stats};
  (void)state;
  zcrpc_call_set_timeout(c, 0);
  assert_fails(c, ZCRPC_DEADLINE_EXCEEDED, "");
  zcrpc_channel_stats(ch, &stats);
  assert_int_equal(stats.connections, 0);
  zcrpc_call_release(c);
  zcrpc_channel_free(ch);
}

static void a_huge_timeout_does_not_overflow(void **state) {
  zcrpc_channel *ch = channel();
  zcrpc_call *c = open_call(ch, echo, NULL, "hello");
  (void)state;
  zcrpc_call_set_timeout(c, INT64_MAX);
  assert_good(c, "hello");
  assert_true(strlen(seen(c, "x-seen-connect-timeout-ms")) <= 10);
  zcrpc_call_release(c);
  zcrpc_channel_free(ch);
}

static void a_refused_connection_is_unavailable(void **state) {
  struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
  socklen_t n = sizeof a;
  int fd = socket(AF_INET, SOCK_STREAM, 0); /* bound and not listening */
  char target[64];
  zcrpc_channel *ch;
  (void)state;
  bind(fd, (struct sockaddr *)&a, sizeof a);
  getsockname(fd, (struct sockaddr *)&a, &n);
  snprintf(target, sizeof target, "http://127.0.0.1:%d", ntohs(a.sin_port));
  ch = channel_with(target, 0, 0);
  assert_odd_fails(ch, NULL, ZCRPC_UNAVAILABLE, "cannot connect to 127.0.0.1");
  assert_odd_fails(ch, NULL, ZCRPC_UNAVAILABLE, "refused");
  zcrpc_channel_free(ch);
  close(fd);
  ch = channel_with("unix:/nonexistent/socket", 0, 0);
  assert_odd_fails(ch, NULL, ZCRPC_UNAVAILABLE, "");
  zcrpc_channel_free(ch);
}

static void a_name_that_does_not_resolve_is_unavailable_and_starts_no_thread(void **state) {
  zcrpc_channel *ch = channel_with("http://no-such-host.invalid:80", ZCRPC_CHANNEL_TIMEOUT, 2000);
  zcrpc_call *c = open_call(ch, echo, NULL, "hello");
  zcrpc_error *err = NULL;
  (void)state;
  assert_null(zcrpc_call_unary(c, &err));
  /* Where there is no name server at all, the deadline comes first. */
  assert_true(zcrpc_error_code(err) == ZCRPC_UNAVAILABLE || zcrpc_error_code(err) == ZCRPC_DEADLINE_EXCEEDED);
  assert_int_equal(threads(), 1);
  zcrpc_error_free(err);
  zcrpc_call_release(c);
  zcrpc_channel_free(ch);
}

static void a_name_is_looked_up_without_a_thread(void **state) {
  char target[64];
  zcrpc_channel *ch;
  int i;
  (void)state;
  snprintf(target, sizeof target, "http://localhost%s", strrchr(server.target, ':'));
  ch = channel_with(target, ZCRPC_CHANNEL_TIMEOUT, 5000);
  for (i = 0; i < 3; i++) {
    zcrpc_call *c = open_call(ch, echo, NULL, "hello");
    assert_good(c, "hello");
    assert_memory_equal(seen(c, "x-seen-host"), "localhost:", 10);
    assert_int_equal(threads(), 1);
    zcrpc_call_release(c);
  }
  zcrpc_channel_free(ch);
}

static void nothing_is_left_open(void **state) {
  int before, i;
  (void)state;
  for (i = 0; i < 4; i++) {
    zcrpc_channel *ch = channel();
    zcrpc_call *c = open_call(ch, echo, NULL, "hello");
    assert_good(c, "hello");
    zcrpc_call_release(c);
    assert_odd_fails(ch, "truncated", ZCRPC_UNAVAILABLE, "");
    c = open_call(ch, echo, "silent", "hello");
    zcrpc_call_set_timeout(c, 50);
    assert_fails(c, ZCRPC_DEADLINE_EXCEEDED, "");
    zcrpc_call_release(c);
    zcrpc_channel_free(ch);
    if (i == 0) before = open_descriptors(); /* what libraries open once and for all */
  }
  assert_int_equal(open_descriptors(), before);
  assert_int_equal(threads(), 1);
}

static void sockets_close_on_exec(void **state) {
  zcrpc_channel *ch = channel();
  zcrpc_call *c = open_call(ch, echo, NULL, "hello");
  char path[64], link[64];
  int fd, sockets = 0;
  (void)state;
  assert_good(c, "hello");
  for (fd = 3; fd < 100; fd++) {
    struct sockaddr_storage a;
    socklen_t n = sizeof a;
    if (getpeername(fd, (struct sockaddr *)&a, &n) || a.ss_family != AF_INET) continue;
    sockets++;
    snprintf(path, sizeof path, "/proc/self/fdinfo/%d", fd);
    FILE *f = fopen(path, "r");
    unsigned flags = 0;
    while (fgets(link, sizeof link, f))
      if (sscanf(link, "flags: %o", &flags) == 1) break;
    fclose(f);
    assert_true(flags & 02000000); /* O_CLOEXEC */
  }
  assert_int_equal(sockets, 1);
  zcrpc_call_release(c);
  zcrpc_channel_free(ch);
}

/* A server that takes the connection and drops it while the client still sends. SIGPIPE would end this program. */
static void a_connection_that_breaks_while_sending_raises_no_signal(void **state) {
  struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
  socklen_t n = sizeof a;
  int fd = socket(AF_INET, SOCK_STREAM, 0), i;
  char target[64], *text = malloc(4000001);
  zcrpc_channel *ch;
  pid_t dropper;
  (void)state;
  bind(fd, (struct sockaddr *)&a, sizeof a);
  listen(fd, 8);
  getsockname(fd, (struct sockaddr *)&a, &n);
  snprintf(target, sizeof target, "http://127.0.0.1:%d", ntohs(a.sin_port));
  dropper = fork();
  if (dropper == 0) {
    for (i = 0; i < 5; i++) {
      struct linger hard = {1, 0};
      char some[1000];
      int one = accept(fd, NULL, NULL);
      if (read(one, some, sizeof some) < 0) _exit(1);
      setsockopt(one, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
      close(one);
    }
    _exit(0);
  }
  signal(SIGPIPE, SIG_DFL);
  memset(text, 'a', 4000000);
  text[4000000] = 0;
  ch = channel_with(target, ZCRPC_CHANNEL_TIMEOUT, 5000);
  for (i = 0; i < 5; i++) {
    zcrpc_call *c = open_call(ch, echo, NULL, text);
    assert_fails(c, ZCRPC_UNAVAILABLE, "");
    zcrpc_call_release(c);
  }
  zcrpc_channel_free(ch);
  waitpid(dropper, NULL, 0);
  close(fd);
  free(text);
}

static void on_done(zcrpc_call *call, const zcrpc_event *event, const zcrpc_view *message, void *user) {
  int *done = user;
  (void)call;
  (void)message;
  *done = event->value == ZCRPC_OK ? 1 : -1;
}

/* Fork in mid-call: the child may only free, and does the parent no harm by it. */
static void a_child_frees_what_it_inherited_and_the_parent_goes_on(void **state) {
  zcrpc_loop *l = zcrpc_loop_new(NULL, NULL);
  zcrpc_channel *ch = zcrpc_channel_new(l, server.target, NULL, NULL, NULL);
  zcrpc_call *c = open_call(ch, echo, "slow-head", "hello");
  int done = 0, status = 0;
  int64_t end = now_ms() + 5000;
  pid_t child;
  (void)state;
  assert_int_equal(zcrpc_call_start(c, 0, on_done, &done, NULL), ZCRPC_OK);
  zcrpc_loop_turn(l, NULL, NULL);
  child = fork();
  if (child == 0) {
    zcrpc_error *err = NULL;
    int good = zcrpc_channel_open(ch, echo, NULL, &err) == NULL && zcrpc_error_code(err) == ZCRPC_FAILED_PRECONDITION;
    zcrpc_error_free(err);
    zcrpc_call_release(c);
    zcrpc_channel_free(ch);
    zcrpc_loop_free(l);
    _exit(good && !done ? 0 : 1);
  }
  waitpid(child, &status, 0);
  assert_int_equal(status, 0);
  while (!done && now_ms() < end) {
    zcrpc_turn t = {.struct_size = sizeof t, .timeout_ms = 100};
    assert_int_equal(zcrpc_loop_turn(l, &t, NULL), ZCRPC_OK);
  }
  assert_int_equal(done, 1);
  assert_string_equal(seen(c, "x-seen-path"), "/p.S/Echo");
  zcrpc_call_release(c);
  zcrpc_channel_free(ch);
  zcrpc_loop_free(l);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_deadline_is_kept_and_sent),
      cmocka_unit_test(a_silent_or_slow_server_runs_into_the_deadline),
      cmocka_unit_test(a_deadline_that_has_passed_sends_nothing),
      cmocka_unit_test(a_huge_timeout_does_not_overflow),
      cmocka_unit_test(a_refused_connection_is_unavailable),
      cmocka_unit_test(a_name_that_does_not_resolve_is_unavailable_and_starts_no_thread),
      cmocka_unit_test(a_name_is_looked_up_without_a_thread),
      cmocka_unit_test(nothing_is_left_open),
      cmocka_unit_test(sockets_close_on_exec),
      cmocka_unit_test(a_connection_that_breaks_while_sending_raises_no_signal),
      cmocka_unit_test(a_child_frees_what_it_inherited_and_the_parent_goes_on),
  };
  return cmocka_run_group_tests(tests, set_up, tear_down);
}
