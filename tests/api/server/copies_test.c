#define _GNU_SOURCE /* memmem, strcasestr */
/* The copy counters against docs/copies.md: one call on each path of its tables. */
#include <zlib.h>

#include "h2.h"

enum { LARGE = 12000 };

static client c;
static answer a;
static zcrpc_loop *loop;
static pthread_t turner;
static atomic_int stop, use_arena;
static char m[256], big[1 << 17], page[1 << 16];
static zcrpc_buffer *large_buffer;

static size_t request_size, answer_size; /* of the call that was just made */

/* Turns the loop and answers s.S/Turn: "op-buffer" with a buffer, anything else with the bytes "\x0a\x02ok". */
static void *turn_main(void *user) {
  static zcrpc_event events[16];
  static _Alignas(8) uint8_t arena[4096];
  zcrpc_op ops[16];
  uint32_t count = 0;
  (void)user;
  while (!atomic_load(&stop)) {
    zcrpc_turn t = {.struct_size = sizeof t, .timeout_ms = 100, .ops = ops, .op_base = (const uint8_t *)"\x0a\x02ok", .op_base_len = 4,
                    .op_count = count, .events = events, .event_max = 16};
    if (atomic_load(&use_arena)) t.arena = arena, t.arena_len = sizeof arena;
    if (zcrpc_loop_turn(loop, &t, NULL)) abort();
    count = 0;
    for (uint32_t i = 0; i < t.event_count; i++) {
      if (events[i].kind != ZCRPC_EVENT_REQUEST) continue;
      zcrpc_op op = {.target = events[i].call, .kind = ZCRPC_OP_FINISH, .len = 4};
      if (events[i].flags & ZCRPC_EVENT_BORROWED) {
        ops[count++] = (zcrpc_op){.target = events[i].call, .kind = ZCRPC_OP_RELEASE, .data = events[i].data};
      } else {
        const char *data = (const char *)(t.arena ? arena + events[i].data : (uint8_t *)(uintptr_t)events[i].data);
        if (memmem(data, events[i].len, "op-buffer", 9)) op.data = (uint64_t)(uintptr_t)zcrpc_buffer_retain(large_buffer), op.flags = ZCRPC_OP_BUFFER;
      }
      ops[count++] = op;
    }
  }
  return NULL;
}

static int start(void **state) {
  void *data;
  FILE *f = fopen(ZCRPC_SOURCE_DIR "/docs/copies.md", "rb");
  zcrpc_options *o = server_options();
  (void)state;
  alarm(170);
  assert_non_null(f);
  page[fread(page, 1, sizeof page - 1, f)] = 0;
  fclose(f);
  assert_int_equal(zcrpc_options_set_string(o, ZCRPC_COMPRESSION, "gzip", NULL), ZCRPC_OK);
  server_make(o);
  assert_int_equal(zcrpc_server_route(server, method("s.S/Turn"), NULL, 1, NULL), ZCRPC_OK);
  large_buffer = zcrpc_buffer_new(8004, &data, NULL);
  memset(data, 'b', 8004);
  memcpy(data, "\x1a\xc1\x3e", 3); /* payload of 8001 bytes */
  loop = zcrpc_loop_new(NULL, NULL);
  assert_int_equal(zcrpc_server_attach(server, loop, NULL), ZCRPC_OK);
  pthread_create(&turner, NULL, turn_main, NULL);
  h2_open(&c);
  return 0;
}

static int end(void **state) {
  (void)state;
  h2_free(&c);
  atomic_store(&stop, 1);
  zcrpc_loop_wake(loop);
  pthread_join(turner, NULL);
  zcrpc_server_free(server);
  zcrpc_loop_free(loop);
  zcrpc_buffer_release(large_buffer);
  zcrpc_schema_release(schema);
  return 0;
}

/* ---- the paths ---- */

static stream *h2_call(const char *path, const char *const *extra, const void *data, size_t n) {
  stream *s = h2_request(&c, path, "application/grpc", extra, data, n);
  while (!s->closed && h2_step(&c)) {}
  if (!field(s, "grpc-status") || strcmp(field(s, "grpc-status"), "0")) fail_msg("%s", s->fields);
  request_size = n - 5;
  answer_size = s->got - 5;
  return s;
}
static void one_frame(void) { h2_call("/s.S/Echo", NULL, m, enveloped(m, "hello")); }
static void end_later(void) {
  size_t n = enveloped(m, "hello");
  stream *s = h2_request(&c, "/s.S/Echo", "application/grpc", NULL, m, n);
  s->hold = 1;
  nghttp2_session_send(c.session);
  usleep(50000);
  s->hold = 0;
  nghttp2_session_resume_data(c.session, s->id);
  while (!s->closed && h2_step(&c)) {}
  assert_string_equal(field(s, "grpc-status"), "0");
  request_size = n - 5;
  answer_size = s->got - 5;
}
static void two_frames(void) {
  size_t n = enveloped(m, "hello");
  stream *s = h2_request(&c, "/s.S/Echo", "application/grpc", NULL, m, n);
  s->cut = 8;
  while (!s->closed && h2_step(&c)) {}
  assert_string_equal(field(s, "grpc-status"), "0");
  request_size = n - 5;
  answer_size = s->got - 5;
}
static void http1_call(const char *type, const void *data, size_t n, int split) {
  char head[256];
  int fd = dial(), h = snprintf(head, sizeof head, "POST /s.S/Echo HTTP/1.1\r\nHost: x\r\nContent-Type: %s\r\nContent-Length: %zu\r\n\r\n", type, n);
  char *whole = malloc((size_t)h + n);
  memcpy(whole, head, (size_t)h);
  memcpy(whole + h, data, n);
  if (split) {
    send_all(fd, whole, (size_t)h + 3);
    usleep(50000);
    send_all(fd, whole + h + 3, n - 3);
  } else {
    send_all(fd, whole, (size_t)h + n);
  }
  free(whole);
  read_answer(fd, &a);
  assert_int_equal(a.status, 200);
  request_size = n;
  answer_size = a.body;
  close(fd);
}
static void http1_whole(void) { http1_call("application/proto", m, message(m, "hello"), 0); }
static void http1_split(void) { http1_call("application/proto", m, message(m, "hello"), 1); }
static void http1_waits(void) {
  char text[512];
  int fd = dial(), n;
  post(fd, "application/proto", "", m, message(m, "never"));
  while (!atomic_load(&kept)) usleep(1000);
  n = snprintf(text, sizeof text, "POST /s.S/Echo HTTP/1.1\r\nHost: x\r\nContent-Type: application/proto\r\nContent-Length: 7\r\n\r\n\x0a\x05hello");
  send_all(fd, text, (size_t)n);
  usleep(50000);
  zcrpc_call_finish(atomic_load(&kept), NULL); /* an empty answer */
  release_kept();
  read_answer(fd, &a);
  read_answer(fd, &a);
  assert_int_equal(a.status, 200);
  request_size = (size_t)n;
  answer_size = a.body;
  close(fd);
}
static void get(void) {
  int fd = dial();
  say(fd, "GET /s.S/Get?connect=v1&encoding=proto&base64=1&message=CgVoZWxsbw HTTP/1.1\r\nHost: x\r\n\r\n");
  read_answer(fd, &a);
  assert_int_equal(a.status, 200);
  request_size = 7;
  answer_size = a.body;
  close(fd);
}
static size_t gzip_message(char *out, const char *text) {
  z_stream z = {0};
  char plain[128];
  deflateInit2(&z, 6, Z_DEFLATED, 31, 8, Z_DEFAULT_STRATEGY);
  z.next_in = (Bytef *)plain;
  z.avail_in = (uInt)message(plain, text);
  z.next_out = (Bytef *)out + 5;
  z.avail_out = 200;
  assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
  memset(out, 0, 5);
  out[0] = 1;
  out[4] = (char)z.total_out;
  size_t n = z.total_out + 5;
  deflateEnd(&z);
  return n;
}
static void gzip_in(void) {
  static const char *const packed[] = {"grpc-encoding", "gzip", NULL};
  h2_call("/s.S/Echo", packed, m, gzip_message(m, "hello"));
}
static void json_in(void) {
  int fd = dial();
  post_json(fd, "", "{\"text\":\"hello\"}");
  read_answer(fd, &a);
  assert_int_equal(a.status, 200);
  request_size = answer_size = a.body;
  close(fd);
}
static void turn_address(void) {
  atomic_store(&use_arena, 0);
  h2_call("/s.S/Turn", NULL, m, enveloped(m, "hello"));
}
static void turn_arena(void) {
  atomic_store(&use_arena, 1);
  zcrpc_loop_wake(loop); /* the turn that sleeps now has none */
  usleep(20000);
  h2_call("/s.S/Turn", NULL, m, enveloped(m, "hello"));
}
static void turn_borrowed(void) {
  memcpy(big, "\0\0\x01\x86\xa0\x1a\x9c\x8d\x06", 9);
  turn_arena();
}
static void borrowed_call(void) { h2_call("/s.S/Turn", NULL, big, 100005); }

static void small(void) { one_frame(); }
static void large(void) {
  char text[32];
  snprintf(text, sizeof text, "size %d", LARGE);
  h2_call("/s.S/Echo", NULL, m, enveloped(m, text));
}
static void http1_large(void) {
  char text[32];
  snprintf(text, sizeof text, "size %d", LARGE);
  http1_call("application/proto", m, message(m, text), 0);
}
static void json_out_large(void) { http1_call("application/json", "{\"text\":\"size 9000\"}", 20, 0); }
static void gzip_out(void) {
  static const char *const accept[] = {"grpc-accept-encoding", "gzip", NULL};
  h2_call("/s.S/Echo", accept, m, enveloped(m, "size 9000"));
}
static void op_bytes(void) { turn_address(); }
static void op_buffer(void) {
  atomic_store(&use_arena, 0);
  h2_call("/s.S/Turn", NULL, m, enveloped(m, "op-buffer"));
}
static void error(void) {
  stream *s = h2_request(&c, "/s.S/Echo", "application/grpc", NULL, m, enveloped(m, "fail 5 no"));
  while (!s->closed && h2_step(&c)) {}
  assert_string_equal(field(s, "grpc-status"), "5");
  request_size = answer_size = 0;
}

static const struct {
  const char *name;
  int out;
  void (*before)(void), (*call)(void);
} paths[] = {
    {"h2-one-frame", 0, NULL, one_frame},   {"h2-end-later", 0, NULL, end_later},   {"h2-two-frames", 0, NULL, two_frames},
    {"http1-whole", 0, NULL, http1_whole},  {"http1-split", 0, NULL, http1_split},  {"http1-waits", 0, NULL, http1_waits},
    {"get", 0, NULL, get},                  {"gzip-in", 0, NULL, gzip_in},          {"json-in", 0, NULL, json_in},
    {"turn-address", 0, turn_address, turn_address}, {"turn-arena", 0, turn_arena, turn_arena},
    {"turn-borrowed", 0, turn_borrowed, borrowed_call},
    {"small", 1, NULL, small},              {"large", 1, NULL, large},              {"http1-large", 1, NULL, http1_large},
    {"json-out", 1, NULL, json_in},         {"json-out-large", 1, NULL, json_out_large}, {"gzip-out", 1, NULL, gzip_out},
    {"op-bytes", 1, turn_address, op_bytes}, {"op-buffer", 1, turn_address, op_buffer}, {"error", 1, NULL, error},
};
enum { PATHS = sizeof paths / sizeof *paths };

/* When all calls have ended and been counted. */
static zcrpc_stats settled(void) {
  zcrpc_stats s;
  for (int64_t limit = now_ms() + 5000; (s = stats()).calls_now && now_ms() < limit;) usleep(1000);
  usleep(20000);
  return stats();
}

/* The i-th cell of a path's row, without the spaces around it. */
static void cell(const char *name, int i, char *out, size_t room) {
  char key[64];
  snprintf(key, sizeof key, "\n| `%s` |", name);
  const char *at = strstr(page, key);
  if (!at) fail_msg("docs/copies.md has no row for %s", name);
  at += strlen(key);
  while (i--) at = strchr(at, '|') + 1;
  while (*at == ' ') at++;
  size_t n = strcspn(at, "|");
  while (n && at[n - 1] == ' ') n--;
  snprintf(out, room, "%.*s", (int)n, at);
}

static uint64_t value(const char *text) {
  if (strcmp(text, "request") == 0) return request_size;
  if (strcmp(text, "answer") == 0) return answer_size;
  if (strcmp(text, "2 x request") == 0) return 2 * request_size;
  if (strcmp(text, "2 x answer") == 0) return 2 * answer_size;
  if (text[0] < '0' || text[0] > '9') fail_msg("docs/copies.md: what is \"%s\"?", text);
  return strtoull(text, NULL, 10);
}

static void a_path_copies_more_or_less_than_its_page_says(void **state) {
  int wrong = 0;
  (void)state;
  one_frame(); /* SETTINGS and the like are behind us */
  for (int i = 0; i < PATHS; i++) {
    char copies[64], bytes[64];
    if (paths[i].before) paths[i].before();
    zcrpc_stats before = settled();
    paths[i].call();
    zcrpc_stats after = settled();
    uint64_t n = paths[i].out ? after.copies_out - before.copies_out : after.copies_in - before.copies_in;
    uint64_t size = paths[i].out ? after.bytes_copied_out - before.bytes_copied_out : after.bytes_copied_in - before.bytes_copied_in;
    cell(paths[i].name, 1, copies, sizeof copies);
    cell(paths[i].name, 2, bytes, sizeof bytes);
    if (n == value(copies) && size == value(bytes)) continue;
    print_error("%s: %llu copies of %llu bytes; the page says %s of %s (request %zu, answer %zu)\n", paths[i].name, (unsigned long long)n,
                (unsigned long long)size, copies, bytes, request_size, answer_size);
    wrong++;
  }
  assert_int_equal(wrong, 0);
}

static void a_row_of_the_page_is_not_tested(void **state) {
  int rows = 0;
  (void)state;
  for (const char *at = page; (at = strstr(at, "\n| `")); at++) rows++;
  assert_int_equal(rows, PATHS);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_path_copies_more_or_less_than_its_page_says),
      cmocka_unit_test(a_row_of_the_page_is_not_tested),
  };
  return cmocka_run_group_tests(tests, start, end);
}
