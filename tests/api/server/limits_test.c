/* The limits of time and of bytes that an operator may change: each is set to another value, and shows by its effect. Where a
 * machine that is busy could be late, the value is above the default, so that being late proves nothing wrong. */
#include <zlib.h>

#include "h2.h"

static answer a;
static client c;
static char in[70000];

/* Ms until nobody is connected any more; -1: not within `most`. */
static int64_t alone_within(int64_t most) {
  int64_t begun = now_ms();
  while (stats().connections_now) {
    if (now_ms() - begun > most) return -1;
    usleep(2000);
  }
  return now_ms() - begun;
}

static void serve_with(int32_t key, int64_t value, int32_t key2, int64_t value2) {
  zcrpc_options *o = server_options();
  set_int(o, key, value);
  if (key2) set_int(o, key2, value2);
  server_start(o, 1);
}

/* A socket that takes no more than so much ahead of its reader. */
static int dial_narrow(int ahead) {
  int fd = dial();
  setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &ahead, sizeof ahead);
  return fd;
}

static const char kPreface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/* Ms until the server has closed its side, whatever it says before. */
static int64_t until_end(int fd) {
  int64_t begun = now_ms();
  char bytes[4096];
  while (recv(fd, bytes, sizeof bytes, 0) > 0) {}
  return now_ms() - begun;
}

static void who_says_nothing_whole_is_waited_for(void **state) {
  (void)state;
  serve_with(ZCRPC_SERVER_HEAD_TIMEOUT, 200, 0, 0);
  int silent = dial(), half = dial(), unset = dial();
  int64_t begun = now_ms();
  say(half, "POST /s.S/Echo HTTP/1.1\r\nHost: x\r\n");
  say(unset, kPreface);
  assert_true(ends(silent));
  read_answer(half, &a);
  assert_int_equal(a.status, 408);
  until_end(unset);
  assert_in_range(now_ms() - begun, 150, 8000);
  close(silent), close(half), close(unset);
  server_stop(1000);
}

static void a_body_comes_as_slowly_as_it_likes(void **state) {
  (void)state;
  serve_with(ZCRPC_SERVER_BODY_TIMEOUT, 200, ZCRPC_SERVER_MIN_RATE, 1000);
  int fd = dial();
  int64_t begun = now_ms();
  say(fd, "POST /s.S/Echo HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{");
  read_answer(fd, &a);
  assert_int_equal(a.status, 504);
  assert_non_null(strstr(body(&a), "deadline_exceeded"));
  assert_in_range(now_ms() - begun, 150, 8000);
  close(fd);
  server_stop(1000);
  /* Without a rate the time is nobody's. */
  serve_with(ZCRPC_SERVER_BODY_TIMEOUT, 20, ZCRPC_SERVER_MIN_RATE, 0);
  fd = dial();
  say(fd, "POST /s.S/Echo HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{");
  usleep(250000);
  say(fd, "}");
  read_answer(fd, &a);
  assert_int_equal(a.status, 200);
  close(fd);
  server_stop(1000);
}

static void an_idle_connection_stays_as_long_as_ever(void **state) {
  (void)state;
  serve_with(ZCRPC_SERVER_IDLE_TIMEOUT, 200, 0, 0);
  int fd = dial();
  ask_json(fd, "{}", &a);
  assert_int_equal(a.status, 200);
  int64_t begun = now_ms();
  assert_true(ends(fd));
  assert_in_range(now_ms() - begun, 100, 8000);
  close(fd);
  server_stop(1000);
  serve_with(ZCRPC_SERVER_IDLE_TIMEOUT, -1, 0, 0);
  fd = dial();
  ask_json(fd, "{}", &a);
  ask_json(fd, "{}", &a);
  assert_int_equal(a.status, 200);
  close(fd);
  server_stop(1000);
}

static void a_client_that_takes_nothing_holds_its_answer(void **state) {
  (void)state;
  serve_with(ZCRPC_SERVER_STALL_TIMEOUT, 200, 0, 0);
  int fd = dial_narrow(4096);
  post_json(fd, "", "{\"text\":\"size 16000000\"}");
  while (stats().bytes_out == 0) usleep(1000);
  assert_true(alone_within(8000) >= 0);
  assert_true(stats().bytes_out < 16000000);
  close(fd);
  server_stop(1000);
}

/* Ms until the server lets go of a reader of at most seven megabytes a second; -1: not within `most`. Its window is neither so narrow
   that the system's timers decide how much is taken, nor so wide that it opens in steps that take long to read. */
static int64_t let_go_within(int64_t most) {
  int fd = dial_narrow(100000);
  char bytes[20000];
  int64_t begun = now_ms(), took = -1; /* before the server's own time begins, however late this thread is */
  post_json(fd, "", "{\"text\":\"size 16000000\"}");
  while (stats().bytes_out == 0) usleep(1000);
  while (took < 0 && now_ms() - begun < most) {
    (void)!recv(fd, bytes, sizeof bytes, MSG_DONTWAIT);
    usleep(3000);
    if (stats().connections_now == 0) took = now_ms() - begun;
  }
  close(fd);
  return took;
}

static void who_takes_little_is_kept_as_ever(void **state) {
  (void)state;
  serve_with(ZCRPC_SERVER_STALL_TIMEOUT, 300, ZCRPC_SERVER_STALL_RATE, 10000000);
  assert_in_range(let_go_within(8000), 200, 8000);
  server_stop(1000);
  serve_with(ZCRPC_SERVER_STALL_TIMEOUT, 1000, ZCRPC_SERVER_STALL_RATE, 0);
  assert_int_equal(let_go_within(1800), -1);
  server_stop(1000);
}

static void the_last_word_is_followed_by_the_usual_silence(void **state) {
  (void)state;
  serve_with(ZCRPC_SERVER_LINGER, 1700, 0, 0);
  int fd = dial();
  post_json(fd, "Connection: close\r\n", "{}");
  read_answer(fd, &a);
  assert_int_equal(a.status, 200);
  int64_t took = alone_within(10000);
  assert_true(took >= 1500);
  close(fd);
  server_stop(1000);
}

/* A call that is answered before its body has come, over HTTP/2: ms until its stream is closed. */
static int64_t rest_of_an_upload(size_t n) {
  h2_open(&c);
  stream *t = h2_request(&c, "/s.S/Nope", "application/grpc", NULL, in, 5);
  t->hold = 1;
  while (!t->heads && h2_step(&c)) {}
  assert_string_equal(field(t, "grpc-status"), "12");
  int64_t begun = now_ms();
  if (n) {
    t->size += n;
    nghttp2_session_resume_data(c.session, t->id);
  }
  while (!t->closed && h2_step(&c)) {}
  assert_int_equal(t->closed, 1);
  assert_int_equal(t->code, NGHTTP2_NO_ERROR);
  h2_free(&c);
  return now_ms() - begun;
}

static void the_rest_of_an_upload_is_read_as_ever(void **state) {
  (void)state;
  serve_with(ZCRPC_SERVER_REST_TIMEOUT, 40000, 0, 0); /* a second without a byte */
  assert_in_range(rest_of_an_upload(0), 800, 9000);
  server_stop(1000);
  serve_with(ZCRPC_SERVER_REST_TIMEOUT, 800000, ZCRPC_SERVER_REST_SIZE, 1000);
  assert_in_range(rest_of_an_upload(60000), 0, 9000);
  server_stop(1000);
}

static void a_drain_asks_as_long_as_ever(void **state) {
  (void)state;
  serve_with(ZCRPC_SERVER_DRAIN_PING, 2500, 0, 0);
  int fd = dial(), deaf = dial();
  ask_json(fd, "{}", &a);
  send_all(deaf, kPreface, sizeof kPreface - 1);
  send_all(deaf, "\0\0\0\4\0\0\0\0\0", 9); /* SETTINGS; nobody acknowledges anything */
  while (stats().bytes_in < 100) usleep(1000);
  usleep(50000);
  int64_t begun = now_ms();
  zcrpc_server_drain(server, 20000);
  assert_true(ends(fd));
  assert_in_range(now_ms() - begun, 450, 2000 + 7000);
  until_end(deaf);
  assert_in_range(now_ms() - begun, 2300, 9000);
  close(fd), close(deaf);
  server_stop(1000);
}

static void a_question_of_long_ago_holds_up_a_drain(void **state) {
  (void)state;
  serve_with(ZCRPC_SERVER_POLLED_WITHIN, 0, 0, 0);
  int fd = dial();
  say(fd, "POST /grpc.health.v1.Health/Check HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}");
  read_answer(fd, &a);
  assert_int_equal(a.status, 200);
  close(fd);
  usleep(5000);
  int64_t begun = now_ms();
  server_stop(20000);
  assert_in_range(now_ms() - begun, 0, 4500); /* 5 s otherwise */
}

enum { MANY = 60, LARGE = 900000 };

static int settled(void) {
  int n = -1;
  for (int quiet = 0; quiet < 100; quiet++, usleep(2000))
    if (atomic_load(&handled) != n) n = atomic_load(&handled), quiet = 0;
  return n;
}

/* So many requests at once, each for a large answer, of a client that takes nothing: how many were handled. */
static int handled_unread(int *fd) {
  char m[64];
  atomic_store(&handled, 0);
  *fd = dial();
  for (int i = 0; i < MANY; i++) post(*fd, "application/proto", "", m, message(m, "size 900000"));
  return settled();
}

static void small_requests_have_large_answers(void **state) {
  int fd;
  (void)state;
  serve_with(ZCRPC_SERVER_MAX_OUTPUT, 4096, 0, 0);
  assert_in_range(handled_unread(&fd), 1, MANY * 2 / 3); /* what the kernel takes, and one more */
  for (int i = 0; i < MANY; i++) {
    read_answer(fd, &a);
    assert_int_equal(a.status, 200);
    assert_int_equal(a.body, LARGE + 4);
  }
  assert_int_equal(atomic_load(&handled), MANY);
  close(fd);
  server_stop(1000);
  serve_with(ZCRPC_SERVER_MAX_OUTPUT, 64 << 20, 0, 0);
  assert_int_equal(handled_unread(&fd), MANY);
  close(fd);
  server_stop(1000);
}

/* Bytes that the server takes of requests behind one that is not answered, as long as it takes any. */
static uint64_t taken_behind(size_t n) {
  char m[64];
  int fd = dial();
  post(fd, "application/proto", "", m, message(m, "never"));
  while (!atomic_load(&kept)) usleep(1000);
  memset(in, 'x', sizeof in);
  int h = snprintf(in, sizeof in, "POST /s.S/Echo HTTP/1.1\r\nHost: x\r\nContent-Type: application/proto\r\nContent-Length: 60000\r\n\r\n");
  size_t one = (size_t)h + 60000, sent = 0;
  for (int quiet = 0; sent < n && quiet < 300;) {
    ssize_t k = send(fd, in + sent % one, one - sent % one, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (k > 0) sent += (size_t)k, quiet = 0;
    else usleep(1000), quiet++;
  }
  uint64_t seen = 0;
  for (int quiet = 0; quiet < 200 && seen < n; quiet++, usleep(1000))
    if (stats().bytes_in != seen) seen = stats().bytes_in, quiet = 0;
  release_kept();
  close(fd);
  return seen;
}

static void requests_in_line_have_no_other_end(void **state) {
  (void)state;
  serve_with(ZCRPC_SERVER_MAX_PIPELINED, 4096, 0, 0);
  assert_in_range(taken_behind(2 << 20), 1, 600 << 10); /* what a turn takes off the socket comes on top */
  server_stop(1000);
  serve_with(ZCRPC_SERVER_MAX_PIPELINED, 8 << 20, 0, 0);
  assert_true(taken_behind(2 << 20) >= 2 << 20);
  server_stop(1000);
}

static void reads_nothing(zcrpc_call *call, const zcrpc_event *event, const zcrpc_view *m, void *user) {
  (void)call, (void)event, (void)m, (void)user;
}

static void streams_send_ahead_as_much_as_ever(void **state) {
  zcrpc_options *o = server_options();
  (void)state;
  set_int(o, ZCRPC_SERVER_WINDOW, 16 << 10);
  set_int(o, ZCRPC_SERVER_MAX_AHEAD, 16 << 10);
  server_make(o);
  assert_int_equal(zcrpc_server_handle_events(server, method("s.S/Collect"), NULL, reads_nothing, NULL, NULL), ZCRPC_OK);
  pthread_create(&server_thread, NULL, server_main, (void *)1);
  h2_open(&c);
  stream *first = h2_request(&c, "/s.S/Collect", "application/grpc", NULL, in, 12000);
  first->hold = 1;
  stream *second = h2_request(&c, "/s.S/Collect", "application/grpc", NULL, in, 12000);
  second->hold = 1;
  while (!first->heads && !second->heads && h2_step(&c)) {}
  assert_int_equal(first->heads + second->heads, 1);
  assert_string_equal(field(first->heads ? first : second, "grpc-status"), "8");
  h2_free(&c);
  server_stop(1000);
}

static void a_compressed_message_is_only_bound_by_what_it_holds(void **state) {
  char m[64], packed[4096];
  size_t size;
  z_stream z = {0};
  (void)state;
  serve_with(ZCRPC_LIMIT_COMPRESSED, 200, 0, 0);
  int fd = dial();
  deflateInit2(&z, 6, Z_DEFLATED, 31, 8, Z_DEFAULT_STRATEGY);
  z.next_in = (Bytef *)m;
  z.avail_in = (uInt)message(m, "small");
  z.next_out = (Bytef *)packed;
  z.avail_out = sizeof packed;
  assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
  size = z.total_out;
  deflateEnd(&z);
  post(fd, "application/proto", "Content-Encoding: gzip\r\n", packed, size);
  read_answer(fd, &a);
  assert_int_equal(a.status, 200);
  uint64_t inflates = stats().inflates;
  post(fd, "application/proto", "Content-Encoding: gzip\r\n", packed, 201); /* whatever it is */
  read_answer(fd, &a);
  assert_int_equal(a.status, 429);
  assert_non_null(strstr(body(&a), "larger than the limit of 200 bytes"));
  assert_true(stats().inflates == inflates);
  close(fd);
  server_stop(1000);
}

static void a_value_out_of_range_is_taken(void **state) {
  static const struct {
    int32_t key;
    const char *name;
    int64_t low, high;
  } ranges[] = {{ZCRPC_LIMIT_COMPRESSED, "LIMIT_COMPRESSED", 0, INT32_MAX},
                {ZCRPC_SERVER_HEAD_TIMEOUT, "SERVER_HEAD_TIMEOUT", 1, INT32_MAX},
                {ZCRPC_SERVER_BODY_TIMEOUT, "SERVER_BODY_TIMEOUT", 1, INT32_MAX},
                {ZCRPC_SERVER_MIN_RATE, "SERVER_MIN_RATE", 0, INT32_MAX},
                {ZCRPC_SERVER_IDLE_TIMEOUT, "SERVER_IDLE_TIMEOUT", -1, INT32_MAX},
                {ZCRPC_SERVER_STALL_TIMEOUT, "SERVER_STALL_TIMEOUT", 1, INT32_MAX},
                {ZCRPC_SERVER_STALL_RATE, "SERVER_STALL_RATE", 0, INT32_MAX},
                {ZCRPC_SERVER_LINGER, "SERVER_LINGER", 1, INT32_MAX},
                {ZCRPC_SERVER_REST_TIMEOUT, "SERVER_REST_TIMEOUT", 1, INT32_MAX},
                {ZCRPC_SERVER_REST_SIZE, "SERVER_REST_SIZE", 0, INT32_MAX},
                {ZCRPC_SERVER_DRAIN_PING, "SERVER_DRAIN_PING", 0, INT32_MAX},
                {ZCRPC_SERVER_POLLED_WITHIN, "SERVER_POLLED_WITHIN", 0, INT32_MAX},
                {ZCRPC_SERVER_MAX_OUTPUT, "SERVER_MAX_OUTPUT", 4096, INT32_MAX},
                {ZCRPC_SERVER_MAX_PIPELINED, "SERVER_MAX_PIPELINED", 4096, INT32_MAX},
                {ZCRPC_SERVER_MAX_AHEAD, "SERVER_MAX_AHEAD", 16384, INT32_MAX}};
  zcrpc_options *o = server_options();
  (void)state;
  for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++) {
    const int64_t wrong[] = {ranges[i].low - 1, ranges[i].high + 1};
    for (int k = 0; k < 2; k++) {
      char text[256];
      zcrpc_error *err = NULL;
      assert_int_equal(zcrpc_options_set_int(o, ranges[i].key, wrong[k], &err), ZCRPC_INVALID_ARGUMENT);
      snprintf(text, sizeof text, "option ZCRPC_%s is %lld; it takes %lld to %lld", ranges[i].name, (long long)wrong[k], (long long)ranges[i].low,
               (long long)ranges[i].high);
      assert_string_equal(zcrpc_error_message(err), text);
      zcrpc_error_free(err);
    }
    set_int(o, ranges[i].key, ranges[i].low);
    set_int(o, ranges[i].key, ranges[i].high);
  }
  server_start(o, 1); /* and nothing overflows */
  int fd = dial();
  ask_json(fd, "{}", &a);
  assert_int_equal(a.status, 200);
  close(fd);
  h2_open(&c);
  stream *t = grpc(&c, NULL, in, enveloped(in, "x"));
  h2_run(&c);
  assert_int_equal(t->status, 200);
  h2_free(&c);
  server_stop(0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(who_says_nothing_whole_is_waited_for),
      cmocka_unit_test(a_body_comes_as_slowly_as_it_likes),
      cmocka_unit_test(an_idle_connection_stays_as_long_as_ever),
      cmocka_unit_test(a_client_that_takes_nothing_holds_its_answer),
      cmocka_unit_test(who_takes_little_is_kept_as_ever),
      cmocka_unit_test(the_last_word_is_followed_by_the_usual_silence),
      cmocka_unit_test(the_rest_of_an_upload_is_read_as_ever),
      cmocka_unit_test(a_drain_asks_as_long_as_ever),
      cmocka_unit_test(a_question_of_long_ago_holds_up_a_drain),
      cmocka_unit_test(small_requests_have_large_answers),
      cmocka_unit_test(requests_in_line_have_no_other_end),
      cmocka_unit_test(streams_send_ahead_as_much_as_ever),
      cmocka_unit_test(a_compressed_message_is_only_bound_by_what_it_holds),
      cmocka_unit_test(a_value_out_of_range_is_taken),
  };
  alarm(160);
  return cmocka_run_group_tests(tests, NULL, NULL);
}
