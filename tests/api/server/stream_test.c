/* Streams through their events: all kinds, all protocols, HTTP/1.1 and HTTP/2, with the bytes on the wire. */
#include <poll.h>

#include "h2.h"

enum { CONCURRENT = 8 };

/* What the handlers saw, in order: one letter an event (R M H W D), of all calls. */
static char seen[4096];
static atomic_int seen_count, begun_calls, done_calls, done_code, hold_credits, sent_messages;
static _Atomic(zcrpc_call *) held; /* of a call that was told to wait */

static pthread_mutex_t seeing = PTHREAD_MUTEX_INITIALIZER; /* of seen */

static void saw(char what) {
  int at = atomic_fetch_add(&seen_count, 1);
  pthread_mutex_lock(&seeing);
  if (at < (int)sizeof seen - 1) seen[at] = what;
  pthread_mutex_unlock(&seeing);
}
static int has_seen(char what) {
  pthread_mutex_lock(&seeing);
  int yes = strchr(seen, what) != NULL;
  pthread_mutex_unlock(&seeing);
  return yes;
}
static void forget(void) {
  /* The calls of the test before may still be on their way out. */
  for (int64_t end = now_ms() + 10000; atomic_load(&begun_calls) != atomic_load(&done_calls) && now_ms() < end;) usleep(500);
  pthread_mutex_lock(&seeing);
  memset(seen, 0, sizeof seen);
  pthread_mutex_unlock(&seeing);
  atomic_store(&seen_count, 0);
  atomic_store(&done_code, -1);
  atomic_store(&hold_credits, 0);
  atomic_store(&sent_messages, 0);
}
static void await(char what) {
  for (int64_t end = now_ms() + 10000; !has_seen(what);) {
    if (now_ms() > end) fail_msg("no %c in %s", what, seen);
    usleep(500);
  }
}

/* ---- handlers */

typedef struct job {
  char word[64];
  int sent;
  size_t received;
} job;

static void put_text(zcrpc_call *call, const char *text) { zcrpc_encoder_put_string(zcrpc_call_encoder(call), TEXT, text, ZCRPC_NTS); }

static void *send_later(void *user) {
  zcrpc_call *call = user;
  for (int i = 0; i < 3; i++) {
    put_text(call, "later");
    zcrpc_call_send(call, NULL);
    usleep(1000);
  }
  zcrpc_call_finish(call, NULL);
  zcrpc_call_release(call);
  return NULL;
}

/* "flood N SIZE": N messages, as far as there is room. */
static void flood(zcrpc_call *call, job *j) {
  static char big[1 << 16];
  int n = 0, size = 0;
  sscanf(j->word, "flood %d %d", &n, &size);
  for (; j->sent < n; j->sent++) {
    if (zcrpc_call_room(call) == 0) return;
    zcrpc_encoder_put_string(zcrpc_call_encoder(call), PAYLOAD, big, (size_t)size);
    if (zcrpc_call_send(call, NULL)) return;
    atomic_fetch_add(&sent_messages, 1);
  }
  zcrpc_call_finish(call, NULL);
}

static void begin(zcrpc_call *call, job *j) {
  if (strncmp(j->word, "flood", 5) == 0) {
    flood(call, j);
  } else if (strcmp(j->word, "never") == 0) {
  } else if (strcmp(j->word, "head") == 0) {
    zcrpc_metadata_add(zcrpc_call_metadata(call, ZCRPC_RESPONSE_HEADERS), "x-head", "1", 1, NULL);
    assert_int_equal(zcrpc_call_send_headers(call, NULL), ZCRPC_OK);
    assert_null(zcrpc_call_metadata(call, ZCRPC_RESPONSE_HEADERS));
  } else if (strcmp(j->word, "refuse") == 0) {
    zcrpc_call_fail(call, ZCRPC_PERMISSION_DENIED, "no", ZCRPC_NTS);
  } else if (strcmp(j->word, "later") == 0) {
    pthread_t t;
    pthread_create(&t, NULL, send_later, zcrpc_call_retain(call));
    pthread_detach(t);
  } else if (strcmp(j->word, "bad") == 0) {
    zcrpc_encoder_put_string(zcrpc_call_encoder(call), NUMBER, "x", 1);
    assert_int_equal(zcrpc_call_send(call, NULL), ZCRPC_INVALID_ARGUMENT);
    put_text(call, "good");
    assert_int_equal(zcrpc_call_send(call, NULL), ZCRPC_OK);
    zcrpc_call_finish(call, NULL);
  } else {
    zcrpc_metadata_add(zcrpc_call_metadata(call, ZCRPC_RESPONSE_TRAILERS), "x-tail", "2", 1, NULL);
    put_text(call, "a");
    zcrpc_call_send(call, NULL);
    put_text(call, "b");
    zcrpc_call_send(call, NULL);
    if (strcmp(j->word, "break") == 0) zcrpc_call_fail(call, ZCRPC_DATA_LOSS, "broke", ZCRPC_NTS);
    else zcrpc_call_finish(call, NULL);
  }
}

static void on_event(zcrpc_call *call, const zcrpc_event *e, const zcrpc_view *message, void *user) {
  job *j = zcrpc_call_user(call);
  int chat = user != NULL;
  zcrpc_slice text;
  switch (e->kind) {
    case ZCRPC_EVENT_REQUEST:
      atomic_fetch_add(&begun_calls, 1);
      saw('R');
      zcrpc_call_set_user(call, j = calloc(1, sizeof *j));
      if (e->flags & ZCRPC_EVENT_END) {
        zcrpc_view_string(message, TEXT, &text);
        snprintf(j->word, sizeof j->word, "%.*s", (int)text.len, text.data);
        begin(call, j);
      } else if (atomic_load(&hold_credits)) {
        atomic_store(&held, zcrpc_call_retain(call));
      } else {
        zcrpc_call_read(call, chat ? 1 : 100);
      }
      break;
    case ZCRPC_EVENT_MESSAGE:
      saw('M');
      zcrpc_view_string(message, PAYLOAD, &text);
      j->received += text.len;
      zcrpc_view_string(message, TEXT, &text);
      if (!chat) {
        size_t have = strlen(j->word);
        snprintf(j->word + have, sizeof j->word - have, "%.*s", (int)text.len, text.data);
        break;
      }
      zcrpc_encoder_put_string(zcrpc_call_encoder(call), TEXT, text.data, text.len);
      zcrpc_call_send(call, NULL);
      zcrpc_call_read(call, 1);
      break;
    case ZCRPC_EVENT_HALF_CLOSE:
      saw('H');
      if (!chat) {
        put_text(call, j->word);
        if (j->received) zcrpc_encoder_put_int64(zcrpc_call_encoder(call), NUMBER, (int64_t)j->received);
      }
      zcrpc_call_finish(call, NULL); /* of Collect with its one answer */
      break;
    case ZCRPC_EVENT_WRITABLE:
      saw('W');
      assert_true(e->value > 0);
      flood(call, j);
      break;
    case ZCRPC_EVENT_DONE:
      atomic_store(&done_code, e->value);
      saw('D');
      free(j);
      atomic_fetch_add(&done_calls, 1);
      break;
    default: fail_msg("event %d", e->kind);
  }
}

static int start(void **state) {
  (void)state;
  alarm(170);
  server_make(NULL);
  assert_int_equal(zcrpc_server_handle_events(server, method("s.S/Stream"), NULL, on_event, NULL, NULL), ZCRPC_OK);
  assert_int_equal(zcrpc_server_handle_events(server, method("s.S/Collect"), NULL, on_event, NULL, NULL), ZCRPC_OK);
  assert_int_equal(zcrpc_server_handle_events(server, method("s.S/Chat"), NULL, on_event, server, NULL), ZCRPC_OK);
  pthread_create(&server_thread, NULL, server_main, (void *)(intptr_t)1);
  return 0;
}

/* ---- HTTP/1.1, by bytes */

/* Sends a request, and returns all of the answer's body, unchunked; *head is its head. */
static size_t exchange(const char *path, const char *type, const void *data, size_t n, int chunked, char *head, size_t space, char *body) {
  static char text[1 << 20];
  int fd = dial();
  size_t have = 0, out = 0;
  char request[512];
  int h = snprintf(request, sizeof request, "POST /s.S/%s HTTP/1.1\r\nHost: x\r\nContent-Type: %s\r\nConnection: close\r\n", path, type);
  send_all(fd, request, (size_t)h);
  if (!chunked) {
    h = snprintf(request, sizeof request, "Content-Length: %zu\r\n\r\n", n);
    send_all(fd, request, (size_t)h);
    send_all(fd, data, n);
  } else {
    say(fd, "Transfer-Encoding: chunked\r\n\r\n");
    for (size_t at = 0; at < n; at += 7) { /* chunks that cut messages anywhere */
      size_t part = n - at < 7 ? n - at : 7;
      h = snprintf(request, sizeof request, "%zx\r\n", part);
      send_all(fd, request, (size_t)h);
      send_all(fd, (const char *)data + at, part);
      say(fd, "\r\n");
    }
    say(fd, "0\r\n\r\n");
  }
  for (ssize_t k; (k = recv(fd, text + have, sizeof text - 1 - have, 0)) > 0;) have += (size_t)k;
  close(fd);
  text[have] = 0;
  char *end = strstr(text, "\r\n\r\n");
  assert_non_null(end);
  snprintf(head, space, "%.*s", (int)(end + 2 - text), text);
  char *p = end + 4, *limit = text + have;
  if (!strstr(head, "transfer-encoding: chunked")) {
    memcpy(body, p, (size_t)(limit - p));
    return (size_t)(limit - p);
  }
  for (;;) {
    char *line = strstr(p, "\r\n");
    assert_non_null(line);
    size_t size = strtoul(p, NULL, 16);
    p = line + 2;
    if (size == 0) break;
    assert_true((size_t)(limit - p) >= size + 2);
    memcpy(body + out, p, size);
    out += size;
    assert_memory_equal(p + size, "\r\n", 2);
    p += size + 2;
  }
  assert_true(limit - p == 2); /* and nothing behind the last chunk */
  return out;
}

static void is_bytes(const char *got, size_t n, const char *expected, size_t m) {
  if (n != m || memcmp(got, expected, n) != 0) {
    for (size_t i = 0; i < n; i++) fprintf(stderr, "%c", got[i] >= 32 && got[i] < 127 ? got[i] : '.');
    fail_msg("%zu bytes, expected %zu", n, m);
  }
}
#define IS_BYTES(got, n, text) is_bytes(got, n, text, sizeof(text) - 1)

static void a_connect_stream_is_framed_wrong(void **state) {
  char q[64], head[2048], body[4096];
  size_t n;
  (void)state;
  forget();
  n = exchange("Stream", "application/connect+proto", q, enveloped(q, "two"), 0, head, sizeof head, body);
  assert_true(strstr(head, "HTTP/1.1 200 OK\r\n") == head);
  assert_non_null(strstr(head, "content-type: application/connect+proto\r\n"));
  IS_BYTES(body, n, "\0\0\0\0\3\n\1a\0\0\0\0\3\n\1b\2\0\0\0\35{\"metadata\":{\"x-tail\":[\"2\"]}}");
}

/* Three requests, "one", "two", "three", for a method whose requests stream. */
static size_t three(char *q) {
  size_t n = enveloped(q, "one");
  n += enveloped(q + n, "two");
  return n + enveloped(q + n, "three");
}

static void requests_of_a_stream_are_lost(void **state) {
  char q[128], head[2048], body[4096];
  size_t n;
  (void)state;
  for (int chunked = 0; chunked < 2; chunked++) {
    forget();
    n = exchange("Collect", "application/connect+proto", q, three(q), chunked, head, sizeof head, body);
    IS_BYTES(body, n, "\0\0\0\0\15\n\13onetwothree\2\0\0\0\2{}");
    await('D');
    assert_string_equal(seen, "RMMMHD");
    assert_int_equal(done_code, ZCRPC_OK);
    forget();
    n = exchange("Chat", "application/grpc-web+proto", q, three(q), chunked, head, sizeof head, body);
    IS_BYTES(body, n, "\0\0\0\0\5\n\3one\0\0\0\0\5\n\3two\0\0\0\0\7\n\5three\x80\0\0\0\20grpc-status: 0\r\n");
    assert_non_null(strstr(head, "content-type: application/grpc-web+proto\r\n"));
  }
}

static void grpc_web_text_is_not_decoded(void **state) {
  char head[2048], body[4096];
  /* Two messages, each flushed with its own padding: "\0\0\0\0\3\n\1a" and "\0\0\0\0\3\n\1b" */
  static const char q[] = "AAAAAAMKAWE=AAAAAAMKAWI=";
  size_t n;
  (void)state;
  for (int chunked = 0; chunked < 2; chunked++) {
    forget();
    n = exchange("Collect", "application/grpc-web-text", q, sizeof q - 1, chunked, head, sizeof head, body);
    IS_BYTES(body, n, "AAAAAAQKAmFigAAAABBncnBjLXN0YXR1czogMA0K");
    assert_non_null(strstr(head, "content-type: application/grpc-web-text\r\n"));
    forget();
    n = exchange("Echo", "application/grpc-web-text+proto", q, 12, chunked, head, sizeof head, body);
    IS_BYTES(body, n, "AAAAAAMKAWGAAAAAEGdycGMtc3RhdHVzOiAwDQo=");
    assert_non_null(strstr(head, "content-length: 40\r\n"));
  }
  n = exchange("Echo", "application/grpc-web-text", "AAAAAAM*", 8, 0, head, sizeof head, body);
  assert_non_null(strstr(head, "200 OK"));
  assert_true(n > 8 && memcmp(body, "gAAAA", 5) == 0); /* nothing but trailers */
}

static void json_streams_are_not_json(void **state) {
  static const char q[] = "\0\0\0\0\16{\"text\": \"hi\"}";
  char head[2048], body[4096];
  size_t n;
  (void)state;
  n = exchange("Chat", "application/connect+json", q, sizeof q - 1, 0, head, sizeof head, body);
  IS_BYTES(body, n, "\0\0\0\0\15{\"text\":\"hi\"}\2\0\0\0\2{}");
  forget();
  n = exchange("Chat", "application/connect+json", "\0\0\0\0\4nope", 9, 0, head, sizeof head, body);
  assert_true(n > 5 && body[0] == 2 && memcmp(body + 5, "{\"error\":{\"code\":\"invalid_argument\"", 35) == 0);
  await('D');
  assert_int_equal(done_code, ZCRPC_INVALID_ARGUMENT);
}

static void a_stream_that_was_cut_is_complete(void **state) {
  char q[128], head[2048], body[4096];
  (void)state;
  for (size_t cut = 1; cut < 10; cut++) {
    forget();
    size_t n = enveloped(q, "one") + cut;
    enveloped(q + n - cut, "two");
    size_t got = exchange("Collect", "application/connect+proto", q, n, 0, head, sizeof head, body);
    assert_true(got > 5 && body[0] == 2);
    assert_memory_equal(body + 5, "{\"error\":{\"code\":\"invalid_argument\"", 35);
    await('D');
    assert_string_equal(seen, "RMD");
    assert_int_equal(done_code, ZCRPC_INVALID_ARGUMENT);
  }
}

static void one_request_too_many_or_too_few(void **state) {
  char q[128], head[2048], body[4096];
  size_t n;
  (void)state;
  forget();
  for (int count = 0; count <= 2; count += 2) {
    n = exchange("Stream", "application/connect+proto", q, count ? enveloped(q, "two") + enveloped(q + 10, "two") : 0, 0, head, sizeof head, body);
    assert_true(n > 5 && body[0] == 2);
    assert_memory_equal(body + 5, "{\"error\":{\"code\":\"unimplemented\"", 32);
  }
  assert_string_equal(seen, "");
}

static void a_timeout_of_nothing_calls_the_handler(void **state) {
  answer *a = malloc(sizeof *a);
  int fd = dial(), before = atomic_load(&handled);
  (void)state;
  post_json(fd, "connect-timeout-ms: 0\r\n", "{}");
  read_answer(fd, a);
  assert_int_equal(a->status, 504);
  assert_non_null(strstr(body(a), "deadline_exceeded"));
  assert_int_equal(atomic_load(&handled), before);
  close(fd);
  free(a);
}

static void an_unknown_coding_is_not_told_what_is_known(void **state) {
  answer *a = malloc(sizeof *a);
  int fd = dial();
  (void)state;
  post_json(fd, "content-encoding: x-odd\r\n", "{}");
  read_answer(fd, a);
  assert_int_equal(a->status, 501);
  assert_non_null(strstr(header(a, "accept-encoding"), "gzip"));
  assert_non_null(strstr(body(a), "gzip"));
  close(fd);
  free(a);
}

/* ---- HTTP/2 */

/* Sends more of a request that was held back, or, with last, its end. */
static char outgoing[4096];
static void more(client *c, stream *t, const char *text, int last) {
  static size_t at;
  size_t n = text ? enveloped(outgoing + at % 2048, text) : 0;
  t->data = outgoing + at % 2048;
  t->sent = 0;
  t->size = n;
  at += n;
  t->hold = !last;
  nghttp2_session_resume_data(c->session, t->id);
  nghttp2_session_send(c->session);
}

static stream *open_held(client *c, const char *path, const char *const *extra) {
  stream *t = h2_request(c, path, "application/grpc", extra, "", 0);
  t->hold = 1;
  nghttp2_session_send(c->session);
  return t;
}

static void a_chat_waits_for_its_end(void **state) {
  static const char *const words[] = {"a", "bb", "ccc"};
  client c;
  size_t at = 0;
  (void)state;
  forget();
  h2_open(&c);
  stream *t = open_held(&c, "/s.S/Chat", NULL);
  for (int i = 0; i < 3; i++) {
    char expected[64];
    size_t n = enveloped(expected, words[i]);
    more(&c, t, words[i], 0);
    while (t->got < at + n) assert_true(h2_step(&c));
    assert_memory_equal(t->body + at, expected, n);
    at += n;
  }
  more(&c, t, NULL, 1);
  h2_run(&c);
  assert_string_equal(field(t, "grpc-status"), "0");
  assert_int_equal(t->code, 0);
  assert_int_equal(t->heads, 2);
  assert_int_equal(t->frames, 3); /* none of them empty */
  h2_free(&c);
  await('D');
  assert_string_equal(seen, "RMMMHD");
}

static void messages_of_a_stream_leave_one_by_one(void **state) {
  client c;
  char q[64];
  (void)state;
  forget();
  h2_open(&c);
  stream *t = h2_request(&c, "/s.S/Stream", "application/grpc", NULL, q, enveloped(q, "two"));
  h2_run(&c);
  IS_BYTES(t->body, t->got, "\0\0\0\0\3\n\1a\0\0\0\0\3\n\1b");
  assert_int_equal(t->frames, 1); /* both, and their trailers */
  assert_int_equal(t->heads, 2);
  assert_string_equal(field(t, "x-tail"), "2");
  h2_free(&c);
}

static void an_error_loses_what_was_sent_before_it(void **state) {
  client c;
  char q[64], r[64];
  (void)state;
  forget();
  h2_open(&c);
  stream *t = h2_request(&c, "/s.S/Stream", "application/grpc", NULL, q, enveloped(q, "break"));
  stream *u = h2_request(&c, "/s.S/Stream", "application/grpc", NULL, r, enveloped(r, "refuse"));
  h2_run(&c);
  IS_BYTES(t->body, t->got, "\0\0\0\0\3\n\1a\0\0\0\0\3\n\1b");
  assert_string_equal(field(t, "grpc-status"), "15");
  assert_string_equal(field(t, "grpc-message"), "broke");
  assert_string_equal(field(t, "x-tail"), "2");
  assert_string_equal(field(u, "grpc-status"), "7");
  assert_int_equal(u->heads, 1); /* trailers-only */
  assert_int_equal(u->frames, 0);
  h2_free(&c);
}

static void another_thread_cannot_send(void **state) {
  client c;
  char q[CONCURRENT][64];
  (void)state;
  forget();
  h2_open(&c);
  stream *t[CONCURRENT];
  for (int i = 0; i < CONCURRENT; i++) t[i] = h2_request(&c, "/s.S/Stream", "application/grpc", NULL, q[i], enveloped(q[i], "later"));
  h2_run(&c);
  for (int i = 0; i < CONCURRENT; i++) {
    assert_int_equal(t[i]->got, 3 * 12);
    assert_string_equal(field(t[i], "grpc-status"), "0");
  }
  h2_free(&c);
}

static void a_mistake_in_a_message_ends_the_stream(void **state) {
  client c;
  char q[64];
  (void)state;
  h2_open(&c);
  stream *t = h2_request(&c, "/s.S/Stream", "application/grpc", NULL, q, enveloped(q, "bad"));
  h2_run(&c);
  IS_BYTES(t->body, t->got, "\0\0\0\0\6\n\4good");
  assert_string_equal(field(t, "grpc-status"), "0");
  h2_free(&c);
}

static void headers_wait_for_a_message(void **state) {
  client c;
  char q[64];
  (void)state;
  forget();
  h2_open(&c);
  stream *t = h2_request(&c, "/s.S/Stream", "application/grpc", NULL, q, enveloped(q, "head"));
  while (t->heads == 0) assert_true(h2_step(&c));
  assert_string_equal(field(t, "x-head"), "1");
  nghttp2_submit_rst_stream(c.session, NGHTTP2_FLAG_NONE, t->id, NGHTTP2_CANCEL);
  assert_int_equal(nghttp2_session_send(c.session), 0);
  await('D');
  assert_int_equal(done_code, ZCRPC_CANCELED);
  h2_free(&c);
}

static void a_deadline_is_not_seen(void **state) {
  static const char *const timeout[] = {"grpc-timeout", "50m", NULL};
  client c;
  char q[64];
  (void)state;
  for (int chat = 0; chat < 2; chat++) {
    forget();
    h2_open(&c);
    int64_t began = now_ms();
    stream *t = chat ? open_held(&c, "/s.S/Chat", timeout) : h2_request(&c, "/s.S/Stream", "application/grpc", timeout, q, enveloped(q, "never"));
    h2_run(&c);
    assert_string_equal(field(t, "grpc-status"), "4");
    assert_true(now_ms() - began >= 49 && now_ms() - began < 5000);
    await('D');
    assert_string_equal(seen, "RD");
    assert_int_equal(done_code, ZCRPC_DEADLINE_EXCEEDED);
    h2_free(&c);
  }
}

static void a_client_that_goes_leaves_its_call(void **state) {
  client c;
  (void)state;
  for (int bare = 0; bare < 2; bare++) {
    forget();
    h2_open(&c);
    stream *t = open_held(&c, "/s.S/Chat", NULL);
    more(&c, t, "a", 0);
    while (t->got == 0) assert_true(h2_step(&c));
    if (bare) {
      shutdown(c.fd, SHUT_RDWR);
    } else {
      nghttp2_submit_rst_stream(c.session, NGHTTP2_FLAG_NONE, t->id, NGHTTP2_CANCEL);
      nghttp2_session_send(c.session);
    }
    await('D'); /* nothing else ends it */
    assert_int_equal(done_code, ZCRPC_CANCELED);
    h2_free(&c);
  }
}

/* What waits to be read: the client's socket is polled for a moment, so that every WINDOW_UPDATE has come. */
static void settle(client *c) {
  struct pollfd p = {.fd = c->fd, .events = POLLIN};
  while (poll(&p, 1, 100) == 1) assert_true(h2_step(c));
}

static void a_message_comes_without_a_credit(void **state) {
  enum { SIZE = 1 << 20 };
  client c;
  char *q = calloc(1, SIZE + 32);
  (void)state;
  forget();
  atomic_store(&hold_credits, 1);
  /* One message, larger than the stream's window: payload of SIZE bytes. */
  size_t n = 5;
  q[n++] = 0x1A;
  for (size_t v = SIZE; v; v >>= 7) q[n++] = (char)((v & 0x7F) | (v >= 128 ? 0x80 : 0));
  size_t body = n - 5 + SIZE;
  for (int i = 0; i < 4; i++) q[1 + i] = (char)(body >> (24 - 8 * i));
  h2_open(&c);
  stream *t = h2_request(&c, "/s.S/Collect", "application/grpc", NULL, q, body + 5);
  nghttp2_session_send(c.session);
  await('R');
  while (t->sent < 256 << 10) assert_true(h2_step(&c)); /* the server's SETTINGS come when they come */
  settle(&c);
  assert_int_equal(t->sent, 256 << 10); /* the stream's window, which stays shut */
  assert_string_equal(seen, "R");
  zcrpc_call *call = atomic_exchange(&held, NULL);
  zcrpc_call_read(call, 1);
  zcrpc_call_release(call);
  h2_run(&c);
  assert_string_equal(field(t, "grpc-status"), "0");
  await('D');
  assert_string_equal(seen, "RMHD");
  h2_free(&c);
  free(q);
}

static void a_slow_reader_costs_memory(void **state) {
  client c;
  char q[64];
  int n = 0;
  (void)state;
  forget();
  h2_open(&c);
  stream *t = h2_request(&c, "/s.S/Stream", "application/grpc", NULL, q, enveloped(q, "flood 30 60000"));
  nghttp2_session_send(c.session);
  for (int last = -1; last != (n = atomic_load(&sent_messages)) || n == 0; last = n) usleep(50000);
  /* The window of 1 MiB that the client opened, what the stream may queue, and a message. */
  assert_true(n < 30);
  h2_run(&c);
  assert_string_equal(field(t, "grpc-status"), "0");
  assert_int_equal(t->got, 30 * (60000 + 5 + 4));
  await('D');
  assert_non_null(strchr(seen, 'W'));
  h2_free(&c);
}

static void a_stream_outlives_its_server(void **state) {
  client c;
  (void)state;
  forget();
  h2_open(&c);
  stream *t = open_held(&c, "/s.S/Chat", NULL);
  await('R');
  zcrpc_server_drain(server, 50);
  h2_run(&c);
  assert_string_equal(field(t, "grpc-status"), "14");
  await('D');
  assert_int_equal(done_code, ZCRPC_UNAVAILABLE);
  h2_free(&c);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_connect_stream_is_framed_wrong),
      cmocka_unit_test(requests_of_a_stream_are_lost),
      cmocka_unit_test(grpc_web_text_is_not_decoded),
      cmocka_unit_test(json_streams_are_not_json),
      cmocka_unit_test(a_stream_that_was_cut_is_complete),
      cmocka_unit_test(one_request_too_many_or_too_few),
      cmocka_unit_test(a_timeout_of_nothing_calls_the_handler),
      cmocka_unit_test(an_unknown_coding_is_not_told_what_is_known),
      cmocka_unit_test(a_chat_waits_for_its_end),
      cmocka_unit_test(messages_of_a_stream_leave_one_by_one),
      cmocka_unit_test(an_error_loses_what_was_sent_before_it),
      cmocka_unit_test(another_thread_cannot_send),
      cmocka_unit_test(a_mistake_in_a_message_ends_the_stream),
      cmocka_unit_test(headers_wait_for_a_message),
      cmocka_unit_test(a_deadline_is_not_seen),
      cmocka_unit_test(a_client_that_goes_leaves_its_call),
      cmocka_unit_test(a_message_comes_without_a_credit),
      cmocka_unit_test(a_slow_reader_costs_memory),
      cmocka_unit_test(a_stream_outlives_its_server),
  };
  return cmocka_run_group_tests(tests, start, stop_default);
}
