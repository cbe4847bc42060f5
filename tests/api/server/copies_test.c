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
static atomic_uint turns; /* that were begun */
static _Atomic uint64_t submit_to; /* of a call that is answered from outside the loop */
static char m[256], big[1 << 17], page[1 << 16];
static zcrpc_buffer *large_buffer;

static size_t request_size, answer_size, body_size, text_size; /* of the call that was just made: see docs/copies.md */
static atomic_int reads;                            /* messages that a stream's handler asks for at once */
static zcrpc_call *_Atomic waiting;                 /* a stream's call whose handler has asked for none */

/* Turns the loop and answers s.S/Turn: "op-buffer" with a buffer, anything else with the bytes "\x0a\x02ok". */
static void *turn_main(void *user) {
  static zcrpc_event events[16];
  static _Alignas(8) uint8_t arena[4096];
  zcrpc_op ops[16];
  uint32_t count = 0;
  (void)user;
  while (!atomic_load(&stop)) {
    atomic_fetch_add(&turns, 1);
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
        if (memmem(data, events[i].len, "op-submit", 9)) {
          atomic_store(&submit_to, events[i].call);
          continue;
        }
        if (memmem(data, events[i].len, "op-buffer", 9)) op.data = (uint64_t)(uintptr_t)zcrpc_buffer_retain(large_buffer), op.flags = ZCRPC_OP_BUFFER;
      }
      ops[count++] = op;
    }
  }
  return NULL;
}

/* Echoes the last message that came, or answers with N bytes of payload, behind the last of them. */
static void on_stream(zcrpc_call *call, const zcrpc_event *e, const zcrpc_view *view, void *user) {
  zcrpc_slice text = {"", 0};
  (void)user;
  if (e->kind == ZCRPC_EVENT_REQUEST && !(e->flags & ZCRPC_EVENT_END)) {
    if (atomic_load(&reads)) zcrpc_call_read(call, 100);
    else atomic_store(&waiting, zcrpc_call_retain(call));
  }
  if (view) {
    zcrpc_view_string(view, TEXT, &text);
    static char payload[LARGE];
    size_t n = is(text, "size ") ? (size_t)atol(text.data + 5) : 0;
    if (n) zcrpc_encoder_put_string(zcrpc_call_encoder(call), PAYLOAD, payload, n);
    else zcrpc_encoder_put_string(zcrpc_call_encoder(call), TEXT, text.data, text.len);
    zcrpc_call_send(call, NULL);
  }
  if (e->kind == ZCRPC_EVENT_HALF_CLOSE || e->flags & ZCRPC_EVENT_END) zcrpc_call_finish(call, NULL);
}

static void on_raw(zcrpc_call *call, const zcrpc_event *e, const zcrpc_view *view, void *user) {
  (void)view;
  (void)user;
  if (e->kind != ZCRPC_EVENT_REQUEST) return;
  zcrpc_buffer *b = zcrpc_call_message(call, e, NULL);
  zcrpc_call_send_buffer(call, b, NULL);
  zcrpc_buffer_release(b);
  zcrpc_call_finish(call, NULL);
}

/* Gives back what was posted, and for a GET the large buffer. */
static void on_page(zcrpc_call *call, const zcrpc_http *r, void *user) {
  zcrpc_http h = {.struct_size = sizeof h, .status = 200, .content_type = {"text/plain", 10}, .body = r->body};
  (void)user;
  if (!r->body.len) zcrpc_buffer_slice(h.buffer = large_buffer, &h.body);
  zcrpc_call_reply_http(call, &h, NULL);
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
  assert_int_equal(zcrpc_server_handle_events(server, method("s.S/Stream"), NULL, on_stream, NULL, NULL), ZCRPC_OK);
  assert_int_equal(zcrpc_server_handle_events(server, method("s.S/Chat"), NULL, on_stream, NULL, NULL), ZCRPC_OK);
  zcrpc_options *as_bytes = zcrpc_options_new(ZCRPC_FOR_CALL, NULL);
  set_int(as_bytes, ZCRPC_SERVER_RAW, 1);
  zcrpc_method *bare = zcrpc_method_new("/s.S/Raw", 0, NULL);
  assert_int_equal(zcrpc_server_handle_events(server, bare, as_bytes, on_raw, NULL, NULL), ZCRPC_OK);
  zcrpc_method_free(bare);
  assert_int_equal(zcrpc_server_handle_http(server, NULL, on_page, NULL, NULL), ZCRPC_OK);
  zcrpc_options_free(as_bytes);
  atomic_store(&reads, 1);
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

/* Until a turn that begins now has ended, and all that it ran. */
static void turned(void) {
  for (unsigned was = atomic_load(&turns); atomic_load(&turns) - was < 2; usleep(200)) zcrpc_loop_wake(loop);
}
/* Until the server has done what it does at all that was said. */
static void heard(void) {
  while (stats().bytes_in < bytes_said) usleep(200);
  turned();
}

/* ---- the paths ---- */

/* To its end; n bytes of request, with the envelope. */
static void finished(stream *s, size_t n) {
  while (!s->closed && h2_step(&c)) {}
  assert_string_equal(field(s, "grpc-status"), "0");
  request_size = n - 5;
  answer_size = s->got - 5;
}
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
  heard();
  s->hold = 0;
  nghttp2_session_resume_data(c.session, s->id);
  finished(s, n);
}
static void two_frames(void) {
  size_t n = enveloped(m, "hello");
  stream *s = h2_request(&c, "/s.S/Echo", "application/grpc", NULL, m, n);
  s->cut = 8;
  finished(s, n);
}
static void http1_call(const char *type, const void *data, size_t n, int split) {
  char head[256];
  int fd = dial(), h = snprintf(head, sizeof head, "POST /s.S/Echo HTTP/1.1\r\nHost: x\r\nContent-Type: %s\r\nContent-Length: %zu\r\n\r\n", type, n);
  char *whole = malloc((size_t)h + n);
  memcpy(whole, head, (size_t)h);
  memcpy(whole + h, data, n);
  if (split) {
    send_all(fd, whole, (size_t)h + 3);
    heard();
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
static void http1_body_later(void) {
  int fd = dial();
  say(fd, "POST /s.S/Echo HTTP/1.1\r\nHost: x\r\nContent-Type: application/proto\r\nContent-Length: 7\r\n\r\n");
  heard();
  send_all(fd, m, request_size = message(m, "hello"));
  read_answer(fd, &a);
  assert_int_equal(a.status, 200);
  answer_size = a.body;
  close(fd);
}
static void http1_waits(void) {
  char text[512];
  int fd = dial(), n;
  post(fd, "application/proto", "", m, message(m, "never"));
  while (!atomic_load(&kept)) usleep(1000);
  n = snprintf(text, sizeof text, "POST /s.S/Echo HTTP/1.1\r\nHost: x\r\nContent-Type: application/proto\r\nContent-Length: 7\r\n\r\n\x0a\x05hello");
  send_all(fd, text, (size_t)n);
  heard();
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
  turned(); /* the one that sleeps now has none */
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
/* ---- gRPC-Web */

static size_t base64(char *out, const void *data, size_t n) {
  static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  const uint8_t *p = data;
  size_t at = 0;
  for (size_t i = 0; i < n; i += 3) {
    uint32_t b = (uint32_t)p[i] << 16 | (i + 1 < n ? (uint32_t)p[i + 1] << 8 : 0) | (i + 2 < n ? p[i + 2] : 0);
    for (int k = 0; k < 4; k++) out[at++] = i + (size_t)k > n ? '=' : letters[b >> (18 - 6 * k) & 63];
  }
  return at;
}
/* A call whose body ends with a frame of trailers; "size N" answers with more than that. */
static void web_call(const char *path, const char *type, const char *text) {
  static char encoded[512];
  size_t n = enveloped(m, text);
  const char *sent = m;
  request_size = n - 5;
  if (strstr(type, "text")) text_size = n = base64(encoded, m, n), sent = encoded;
  stream *s = h2_request(&c, path, type, NULL, sent, n);
  while (!s->closed && h2_step(&c)) {}
  assert_int_equal(s->status, 200);
  body_size = s->got;
  answer_size = strncmp(text, "size ", 5) ? request_size : (size_t)atol(text + 5) + 3; /* a payload of 128 to 16,383 bytes */
}
static void web(void) { web_call("/s.S/Echo", "application/grpc-web+proto", "hello"); }
static void web_large(void) { web_call("/s.S/Echo", "application/grpc-web+proto", "size 9000"); }
static void web_text(void) { web_call("/s.S/Echo", "application/grpc-web-text+proto", "hello"); }
static void http1_web_text(void) {
  http1_call("application/grpc-web-text+proto", m, base64(m, big, enveloped(big, "hello")), 0);
  body_size = a.body;
}
static void web_text_large(void) { web_call("/s.S/Echo", "application/grpc-web-text+proto", "size 9000"); }
static void web_text_stream(void) { web_call("/s.S/Stream", "application/grpc-web-text+proto", "hello"); }
static void web_text_chat(void) { web_call("/s.S/Chat", "application/grpc-web-text+proto", "hello"); }

/* ---- streams */

static void chat_at_once(void) {
  int on = 1, off = 0;
  setsockopt(c.fd, IPPROTO_TCP, TCP_CORK, &on, sizeof on); /* head and message in one packet */
  size_t n = enveloped(m, "hello");
  stream *s = h2_request(&c, "/s.S/Chat", "application/grpc", NULL, m, n);
  nghttp2_session_send(c.session);
  setsockopt(c.fd, IPPROTO_TCP, TCP_CORK, &off, sizeof off);
  finished(s, n);
}
/* The message comes when the handler has asked for it, in DATA frames of up to `cut` bytes (0: in one). */
static void chat_later(size_t cut) {
  size_t n = enveloped(m, "hello");
  stream *s = h2_request(&c, "/s.S/Chat", "application/grpc", NULL, m, 0);
  s->hold = 1;
  nghttp2_session_send(c.session);
  heard();
  s->size = n;
  s->cut = cut;
  s->hold = 0;
  nghttp2_session_resume_data(c.session, s->id);
  finished(s, n);
}
static void chat(void) { chat_later(0); }
static void chat_in_pieces(void) { chat_later(8); }
static void chat_waiting(int split) {
  atomic_store(&reads, 0);
  size_t n = enveloped(m, "hello");
  stream *s = h2_request(&c, "/s.S/Chat", "application/grpc", NULL, m, split ? 7 : n);
  s->hold = split;
  nghttp2_session_send(c.session);
  if (split) {
    heard();
    s->size = n;
    s->hold = 0;
    nghttp2_session_resume_data(c.session, s->id);
    nghttp2_session_send(c.session);
  }
  while (!atomic_load(&waiting)) usleep(1000);
  heard();
  zcrpc_call_read(atomic_load(&waiting), 100);
  zcrpc_call_release(atomic_exchange(&waiting, NULL));
  finished(s, n);
  atomic_store(&reads, 1);
}
static void chat_waits(void) { chat_waiting(0); }
static void chat_waits_split(void) { chat_waiting(1); }
static void stream_large(void) { h2_call("/s.S/Stream", NULL, m, enveloped(m, "size 9000")); }

/* ---- raw, plain, in process */

static void raw_of(size_t size) {
  memset(big, 'r', size + 5);
  memset(big, 0, 5);
  big[3] = (char)(size >> 8);
  big[4] = (char)size;
  h2_call("/s.S/Raw", NULL, big, size + 5);
}
static void raw_small(void) { raw_of(100); }
static void raw_large(void) { raw_of(9000); }
static void plain(void) {
  int fd = dial();
  say(fd, "POST /page HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello");
  read_answer(fd, &a);
  assert_int_equal(a.status, 200);
  request_size = 5;
  answer_size = a.body;
  close(fd);
}
static void plain_large(void) {
  int fd = dial();
  say(fd, "GET /page HTTP/1.1\r\nHost: x\r\n\r\n");
  read_answer(fd, &a);
  assert_int_equal(a.status, 200);
  answer_size = a.body;
  close(fd);
}
static void ask_local(const char *text) {
  zcrpc_error *err = NULL;
  zcrpc_channel *channel = zcrpc_channel_new_inproc(NULL, server, NULL, &err);
  zcrpc_call *call = zcrpc_channel_open(channel, method("s.S/Echo"), NULL, &err);
  zcrpc_encoder_put_string(zcrpc_call_encoder(call), TEXT, text, ZCRPC_NTS);
  if (!zcrpc_call_unary(call, &err)) fail_msg("%s", zcrpc_error_message(err));
  zcrpc_call_release(call);
  zcrpc_channel_free(channel);
}
static void local(void) {
  ask_local("hello");
  request_size = answer_size = 7;
}
static void local_large(void) { ask_local("size 100000"); }

static atomic_int busy;
static void stay(void *user) {
  (void)user;
  atomic_store(&busy, 1);
  while (atomic_load(&busy)) usleep(200);
}
static void op_submit(void) {
  zcrpc_op op = {.kind = ZCRPC_OP_FINISH, .len = 4};
  stream *s = h2_request(&c, "/s.S/Turn", "application/grpc", NULL, m, enveloped(m, "op-submit"));
  atomic_store(&submit_to, 0);
  nghttp2_session_send(c.session);
  while (!(op.target = atomic_load(&submit_to))) usleep(1000);
  atomic_store(&busy, 0);
  zcrpc_loop_post(loop, stay, NULL, NULL);
  while (!atomic_load(&busy)) usleep(1000);
  assert_int_equal(zcrpc_loop_submit(loop, &op, 1, "\x0a\x02ok", 4, NULL), ZCRPC_OK);
  atomic_store(&busy, 0);
  while (!s->closed && h2_step(&c)) {}
  assert_string_equal(field(s, "grpc-status"), "0");
  answer_size = s->got - 5;
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
    {"http1-whole", 0, NULL, http1_whole},  {"http1-body-later", 0, NULL, http1_body_later},
    {"http1-split", 0, NULL, http1_split},  {"http1-waits", 0, NULL, http1_waits},
    {"get", 0, NULL, get},                  {"gzip-in", 0, NULL, gzip_in},          {"json-in", 0, NULL, json_in},
    {"turn-address", 0, turn_address, turn_address}, {"turn-arena", 0, turn_arena, turn_arena},
    {"turn-borrowed", 0, turn_borrowed, borrowed_call},
    {"web-in", 0, NULL, web},               {"web-text-in", 0, NULL, web_text},     {"web-text-stream-in", 0, NULL, web_text_chat},
    {"stream-in", 0, NULL, chat},           {"stream-two-frames", 0, NULL, chat_in_pieces}, {"stream-at-once", 0, NULL, chat_at_once},
    {"stream-waits", 0, NULL, chat_waits},  {"stream-waits-split", 0, NULL, chat_waits_split},
    {"raw-in", 0, NULL, raw_large},         {"raw-small-in", 0, NULL, raw_small},         {"plain-in", 0, NULL, plain},           {"local-in", 0, NULL, local},
    {"small", 1, NULL, small},              {"large", 1, NULL, large},              {"http1-large", 1, NULL, http1_large},
    {"json-out", 1, NULL, json_in},         {"json-out-large", 1, NULL, json_out_large}, {"gzip-out", 1, NULL, gzip_out},
    {"op-bytes", 1, turn_address, op_bytes}, {"op-buffer", 1, turn_address, op_buffer}, {"op-submit", 1, turn_address, op_submit}, {"error", 1, NULL, error},
    {"web-out", 1, NULL, web},              {"web-large", 1, NULL, web_large},      {"web-text-out", 1, NULL, web_text},
    {"http1-web-text", 1, NULL, http1_web_text}, {"web-text-large", 1, NULL, web_text_large}, {"web-text-stream-out", 1, NULL, web_text_stream},
    {"stream-out", 1, NULL, chat},          {"stream-large", 1, NULL, stream_large}, {"raw-out", 1, NULL, raw_small},
    {"raw-large", 1, NULL, raw_large},      {"plain-out", 1, NULL, plain},
    {"plain-large", 1, NULL, plain_large},  {"local-out", 1, NULL, local},
    {"local-large", 1, NULL, local_large},
};
enum { PATHS = sizeof paths / sizeof *paths };

/* When all calls have ended and been counted. */
static zcrpc_stats settled(void) {
  zcrpc_stats s;
  for (int64_t limit = now_ms() + 5000; (s = stats()).calls_now && now_ms() < limit;) usleep(1000);
  turned();
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

/* A sum of numbers and lengths, each perhaps with a factor: "request + 2 x answer". */
static uint64_t value(const char *text) {
  uint64_t sum = 0;
  for (const char *at = text;; at += 3) {
    size_t n = strcspn(at, "+"), factor = 1;
    while (n && at[n - 1] == ' ') n--;
    const char *word = at;
    if (n > 4 && memcmp(at + 1, " x ", 3) == 0) factor = (size_t)(*at - '0'), word += 4;
    size_t left = n - (size_t)(word - at);
    if (left == 7 && memcmp(word, "request", 7) == 0) sum += factor * request_size;
    else if (left == 6 && memcmp(word, "answer", 6) == 0) sum += factor * answer_size;
    else if (left == 5 && memcmp(word, "frame", 5) == 0) sum += factor * (answer_size + 5);
    else if (left == 4 && memcmp(word, "body", 4) == 0) sum += factor * body_size;
    else if (left == 4 && memcmp(word, "text", 4) == 0) sum += factor * text_size;
    else if (left == 8 && memcmp(word, "trailers", 8) == 0) sum += factor * (body_size - answer_size - 5);
    else if (left && word[0] >= '0' && word[0] <= '9') sum += strtoull(word, NULL, 10);
    else fail_msg("docs/copies.md: what is \"%s\"?", text);
    at += n;
    if (!*at) return sum;
  }
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
    print_error("%s: %llu copies of %llu bytes; the page says %s of %s (request %zu, answer %zu, body %zu)\n", paths[i].name, (unsigned long long)n,
                (unsigned long long)size, copies, bytes, request_size, answer_size, body_size);
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
