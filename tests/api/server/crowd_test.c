/* A crowd: 10,000 connections that do nothing, half of them HTTP/2, and 1,000 streams that do something, at one server with
 * one thread. What they cost it in memory and, idle, in time; that each stream gets its own answers, that neighbours are
 * served meanwhile, that the idle ones still answer, and that all of them end in time.
 *
 * The clients are a process of their own: both ends would not fit into the descriptors of one. */
#include <errno.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "http1.h"

enum { IDLE = 10000, BUSY = 10, PER = 100, STREAMS = BUSY * PER, ROUNDS = 20 };

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { MEASURED = 0 };
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
enum { MEASURED = 0 };
#else
enum { MEASURED = 1 };
#endif
#else
enum { MEASURED = 1 };
#endif

/* ---- the clients' process: does as it is told, a letter a step, and answers with the same letter ---- */

static void give_up(const char *what, int n) {
  fprintf(stderr, "clients: %s (%d): %s\n", what, n, strerror(errno));
  _exit(1);
}

static int idle[IDLE]; /* the even ones speak HTTP/1.1 */

static int reach(int port) {
  struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
  struct timeval limit = {.tv_sec = 20};
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;
  a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (fd < 0 || connect(fd, (struct sockaddr *)&a, sizeof a) != 0) give_up("connect", fd);
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  return fd;
}

enum { DATA, HEADERS, RESET = 3, SETTINGS, PING = 6, GOAWAY, WINDOW };

static size_t put_frame(char *to, int type, int flags, uint32_t id, const void *payload, size_t n) {
  const char head[9] = {(char)(n >> 16), (char)(n >> 8), (char)n, (char)type, (char)flags, (char)(id >> 24), (char)(id >> 16), (char)(id >> 8), (char)id};
  memcpy(to, head, 9);
  if (n) memcpy(to + 9, payload, n);
  return 9 + n;
}

/* POST to that path, by HPACK's literals over the static table's names. */
static size_t put_head(char *to, uint32_t id, const char *path) {
  char block[128];
  int n = snprintf(block, sizeof block, "\x83\x86\x04%c%s\x01\x01x\x0f\x10\x10" "application/grpc", (int)strlen(path), path);
  return put_frame(to, HEADERS, 4, id, block, (size_t)n);
}
static size_t put_text(char *to, uint32_t id, int flags, const char *text) {
  char m[64] = {0, 0, 0, 0, (char)(strlen(text) + 2)};
  return put_frame(to, DATA, flags, id, m, 5 + message(m + 5, text));
}
static size_t put_preface(char *to) {
  static const char window[4] = {0x0f, 0, 0, 0};
  memcpy(to, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 24);
  return 24 + put_frame(to + 24, SETTINGS, 0, 0, NULL, 0) + put_frame(to + 33, WINDOW, 0, 0, window, 4);
}

static uint32_t be24(const char *p) { return (uint32_t)(uint8_t)p[0] << 16 | (uint32_t)(uint8_t)p[1] << 8 | (uint8_t)p[2]; }

/* One call of an idle connection, and its answer to the end. */
static void call_once(int i, uint32_t id) {
  char out[1024], in[4096], text[32];
  size_t n = 0, have = 0;
  int fd = idle[i];
  snprintf(text, sizeof text, "idle %d", i);
  if (i % 2 == 0) {
    char m[64];
    size_t size = message(m, text);
    n = (size_t)snprintf(out, sizeof out, "POST /s.S/Echo HTTP/1.1\r\nHost: x\r\nContent-Type: application/proto\r\nContent-Length: %zu\r\n\r\n", size);
    memcpy(out + n, m, size);
    n += size;
  } else {
    if (id == 1) n = put_preface(out);
    n += put_head(out + n, id, "/s.S/Echo");
    n += put_text(out + n, id, 1, text);
  }
  if (send(fd, out, n, MSG_NOSIGNAL) != (ssize_t)n) give_up("send", i);
  for (;;) {
    ssize_t k = recv(fd, in + have, sizeof in - have, 0);
    if (k <= 0) give_up("an idle connection ended", i);
    have += (size_t)k;
    if (i % 2 == 0) {
      if (have > strlen(text) && memcmp(in + have - strlen(text), text, strlen(text)) == 0) return;
      continue;
    }
    /* Whole frames: the answer is a message and trailers, which end the stream. */
    int said = 0, over = 0;
    for (size_t at = 0; at + 9 <= have && at + 9 + be24(in + at) <= have; at += 9 + be24(in + at)) {
      size_t size = be24(in + at);
      if (in[at + 3] == DATA) said = size == 7 + strlen(text) && memcmp(in + at + 9 + 7, text, strlen(text)) == 0;
      if (in[at + 3] == HEADERS && in[at + 4] & 1) over = 1;
    }
    if (over && !said) give_up("another's answer", i);
    if (over) return;
  }
}

/* The streams: one epoll loop over their connections. */
static struct busy {
  int fd, in_rounds[PER], ended[PER];
  size_t have;
  char in[1 << 17];
} busy[BUSY];
static int epoll, answers, ends_seen;

static void say_round(struct busy *b, int from, int to, int flags) {
  static char out[PER * 128];
  size_t n = 0;
  char text[32];
  for (int s = from; s < to; s++) {
    uint32_t id = (uint32_t)(2 * s + 1);
    snprintf(text, sizeof text, "%d of %d.%d", b->in_rounds[s] + 1, (int)(b - busy), s);
    if (b->in_rounds[s] == 0 && !flags) n += put_head(out + n, id, "/s.S/Chat");
    n += flags ? put_frame(out + n, DATA, flags, id, NULL, 0) : put_text(out + n, id, 0, text);
  }
  for (size_t at = 0; at < n;) {
    ssize_t k = send(b->fd, out + at, n - at, MSG_NOSIGNAL);
    if (k <= 0) give_up("send on a busy connection", (int)(b - busy));
    at += (size_t)k;
  }
}

static void frame_came(struct busy *b, int type, int flags, uint32_t id, const char *payload, size_t n) {
  int s = (int)(id / 2);
  char text[32];
  if (type == GOAWAY || type == RESET) give_up(type == GOAWAY ? "GOAWAY" : "a reset", s);
  if (type == DATA) {
    snprintf(text, sizeof text, "%d of %d.%d", b->in_rounds[s] + 1, (int)(b - busy), s);
    if (n != 7 + strlen(text) || memcmp(payload + 7, text, n - 7) != 0) give_up("another stream's answer", s);
    b->in_rounds[s]++;
    answers++;
  }
  if (type == HEADERS && flags & 1) b->ended[s] = 1, ends_seen++;
}

/* Until so many answers, and ends of streams, have come. again: each answer is followed by the next question. */
static void converse(int wanted_answers, int wanted_ends, int again) {
  while (answers < wanted_answers || ends_seen < wanted_ends) {
    struct epoll_event e[BUSY];
    int n = epoll_wait(epoll, e, BUSY, 20000);
    if (n <= 0) give_up("the streams stand still", answers);
    for (int i = 0; i < n; i++) {
      struct busy *b = e[i].data.ptr;
      int before[PER];
      ssize_t k = recv(b->fd, b->in + b->have, sizeof b->in - b->have, 0);
      if (k <= 0) give_up("a busy connection ended", (int)(b - busy));
      b->have += (size_t)k;
      memcpy(before, b->in_rounds, sizeof before);
      size_t at = 0;
      for (; at + 9 <= b->have && at + 9 + be24(b->in + at) <= b->have; at += 9 + be24(b->in + at))
        frame_came(b, b->in[at + 3], b->in[at + 4], (be24(b->in + at + 5) << 8 | (uint8_t)b->in[at + 8]) & 0x7fffffff, b->in + at + 9, be24(b->in + at));
      memmove(b->in, b->in + at, b->have -= at);
      for (int s = 0; again && s < PER; s++)
        if (b->in_rounds[s] != before[s] && b->in_rounds[s] < ROUNDS) say_round(b, s, s + 1, 0);
    }
  }
}

static void clients(int port, int orders, int reports) {
  char step;
  alarm(170);
  while (read(orders, &step, 1) == 1) {
    switch (step) {
      case 'i': /* they come, and have a call each */
        for (int i = 0; i < IDLE; i++) {
          idle[i] = reach(port);
          call_once(i, 1);
        }
        break;
      case 's': /* the streams begin */
        epoll = epoll_create1(0);
        for (struct busy *b = busy; b < busy + BUSY; b++) {
          char hello[64];
          struct epoll_event e = {.events = EPOLLIN, .data.ptr = b};
          b->fd = reach(port);
          size_t n = put_preface(hello);
          if (send(b->fd, hello, n, MSG_NOSIGNAL) != (ssize_t)n) give_up("preface", 0);
          epoll_ctl(epoll, EPOLL_CTL_ADD, b->fd, &e);
          say_round(b, 0, PER, 0);
        }
        converse(STREAMS, 0, 0);
        break;
      case 'c': /* they go on, all at once */
        for (struct busy *b = busy; b < busy + BUSY; b++) say_round(b, 0, PER, 0);
        converse(STREAMS * ROUNDS, 0, 1);
        break;
      case 'e':
        for (struct busy *b = busy; b < busy + BUSY; b++) say_round(b, 0, PER, 1);
        converse(0, STREAMS, 0);
        break;
      case 'a': /* some of the idle ones wake up */
        for (int i = 0; i < IDLE; i += 101) call_once(i, 3);
        break;
      default: break;
    }
    if (write(reports, &step, 1) != 1) break;
  }
  _exit(0);
}

/* ---- the server's process ---- */

static int orders[2], reports[2], drained;
static pid_t child;
static answer a;

static void order(char step) { assert_int_equal(write(orders[1], &step, 1), 1); }
static void reported(char step) {
  char got = 0;
  if (read(reports[0], &got, 1) != 1 || got != step) fail_msg("the clients gave up in step %c", step);
}

static size_t resident(void) {
  unsigned long all = 0, here = 0;
  FILE *f = fopen("/proc/self/statm", "r");
  if (!f || fscanf(f, "%lu %lu", &all, &here) != 2) here = 0;
  if (f) fclose(f);
  return here * (size_t)sysconf(_SC_PAGESIZE);
}
static double cpu_ms(void) {
  struct timespec t;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static void chat(zcrpc_call *call, const zcrpc_event *event, const zcrpc_view *m, void *user) {
  (void)user;
  if (event->kind == ZCRPC_EVENT_REQUEST) zcrpc_call_read(call, 1);
  if (event->kind == ZCRPC_EVENT_HALF_CLOSE) zcrpc_call_finish(call, NULL);
  if (event->kind != ZCRPC_EVENT_MESSAGE) return;
  zcrpc_slice text;
  zcrpc_view_string(m, TEXT, &text);
  zcrpc_encoder_put_string(zcrpc_call_encoder(call), TEXT, text.data, text.len);
  zcrpc_call_send(call, NULL);
  zcrpc_call_read(call, 1);
}

/* A new connection, and a call on it: the longest that one of them took, ms. */
static int64_t neighbours(int count) {
  int64_t longest = 0;
  for (int i = 0; i < count; i++) {
    int64_t from = now_ms();
    int fd = dial();
    ask_json(fd, "{\"text\":\"neighbour\"}", &a);
    assert_int_equal(a.status, 200);
    assert_string_equal(body(&a), "{\"text\":\"neighbour\"}");
    close(fd);
    if (now_ms() - from > longest) longest = now_ms() - from;
  }
  return longest;
}

static void await_connections(uint64_t count) {
  for (int64_t end = now_ms() + 10000; stats().connections_now != count && now_ms() < end;) usleep(1000);
  assert_int_equal(stats().connections_now, count);
}

static int start(void **state) {
  struct rlimit files;
  zcrpc_options *o = server_options();
  (void)state;
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
  alarm(170);
  set_int(o, ZCRPC_SERVER_MAX_CONNECTIONS, IDLE + BUSY + 10);
  server_make(o);
  assert_int_equal(zcrpc_server_handle_events(server, method("s.S/Chat"), NULL, chat, NULL, NULL), ZCRPC_OK);
  assert_int_equal(pipe(orders), 0);
  assert_int_equal(pipe(reports), 0);
  child = fork(); /* while there is one thread */
  if (child == 0) {
    close(orders[1]);
    clients(server_port, orders[0], reports[1]);
  }
  close(orders[0]);
  close(reports[1]);
  pthread_create(&server_thread, NULL, server_main, (void *)(intptr_t)1);
  return 0;
}

static int end(void **state) {
  int status = -1;
  (void)state;
  close(orders[1]);
  waitpid(child, &status, 0);
  if (!drained) {
    zcrpc_server_drain(server, 0);
    pthread_join(server_thread, NULL);
  }
  zcrpc_server_free(server);
  zcrpc_schema_release(schema);
  return status;
}

static int crowded; /* there were descriptors enough */

static void ten_thousand_idle_connections_cost_more_than_they_may(void **state) {
  struct rlimit files;
  (void)state;
  getrlimit(RLIMIT_NOFILE, &files);
  if (files.rlim_cur < IDLE + 200) {
    print_message("skipped: a process may have %lu descriptors here, and this needs %d\n", (unsigned long)files.rlim_cur, IDLE + 200);
    skip();
  }
  crowded = 1;
  neighbours(10);
  size_t before = resident();
  int64_t from = now_ms();
  order('i');
  reported('i');
  assert_int_equal(stats().connections_now, IDLE);
  size_t growth = resident() - before;
  print_message("%d idle connections: %zu KiB, in %d ms\n", IDLE, growth >> 10, (int)(now_ms() - from));
  /* Half of them HTTP/2, at most 14,000 bytes each, half HTTP/1.1, at most 1,000; and 2 MB for what does not grow with them. */
  if (MEASURED) assert_true(growth < IDLE / 2 * 15000 + 2000000);
  /* They cost no time. */
  double used = cpu_ms();
  usleep(500000);
  used = cpu_ms() - used;
  print_message("half a second of them: %.1f ms of CPU\n", used);
  if (MEASURED) assert_true(used < 50);
  int64_t longest = neighbours(50);
  print_message("a neighbour's connection and call: %d ms at most\n", (int)longest);
  assert_true(longest < 2000);
}

static void a_thousand_streams_among_them_are_mixed_up_or_starve(void **state) {
  (void)state;
  if (!crowded) skip();
  await_connections(IDLE); /* the neighbours' last are on their way out */
  size_t before = resident();
  order('s');
  reported('s');
  assert_int_equal(stats().calls_now, STREAMS);
  int64_t from = now_ms();
  order('c');
  int64_t longest = neighbours(50);
  reported('c');
  int64_t all = now_ms() - from;
  size_t growth = resident() - before;
  print_message("%d streams: %zu KiB; %d messages back and forth in %d ms; a neighbour waited %d ms at most\n", STREAMS, growth >> 10,
                STREAMS * (ROUNDS - 1), (int)all, (int)longest);
  assert_true(longest < 2000 || longest < all / 2); /* a slow machine is slow at both */
  if (MEASURED) assert_true(growth < 16 << 20);
  order('a');
  reported('a');
  order('e');
  reported('e');
  for (int64_t limit = now_ms() + 5000; stats().calls_now && now_ms() < limit;) usleep(1000);
  assert_int_equal(stats().calls_now, 0);
  assert_int_equal(stats().messages_in, 10 + 50 + 50 + IDLE + STREAMS * ROUNDS + (IDLE + 100) / 101);
}

/* Nobody among them reads or closes: each gets its GOAWAY, its time for a last request, its second to take the last word. */
static void the_crowd_holds_up_the_drain(void **state) {
  (void)state;
  if (!crowded) skip();
  await_connections(IDLE + BUSY);
  int64_t from = now_ms();
  zcrpc_server_drain(server, 60000);
  pthread_join(server_thread, NULL);
  drained = 1;
  print_message("drained in %d ms\n", (int)(now_ms() - from));
  assert_true(now_ms() - from < 50000);
  assert_int_equal(stats().connections_now, 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(ten_thousand_idle_connections_cost_more_than_they_may),
      cmocka_unit_test(a_thousand_streams_among_them_are_mixed_up_or_starve),
      cmocka_unit_test(the_crowd_holds_up_the_drain),
  };
  return cmocka_run_group_tests(tests, start, end);
}
