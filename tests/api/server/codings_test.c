#define _GNU_SOURCE /* memmem, strcasestr */
/* Codings on a server: which one an answer gets, what it costs to refuse one, the application's own, and GET with tags. */
#include <zlib.h>

#include "h2.h"
#include "support/fail_malloc.h"

static client c;
static answer a;
static char m[256];
static atomic_int received, intercepting;
static _Atomic(const char *) ask; /* what the handler asks of zcrpc_call_set_compression; NULL: nothing */
static atomic_int asked;          /* and what it got */

static size_t gzip(const void *in, size_t n, char *out, size_t room) {
  z_stream z = {0};
  deflateInit2(&z, 6, Z_DEFLATED, 31, 8, Z_DEFAULT_STRATEGY);
  z.next_in = (Bytef *)(uintptr_t)in;
  z.avail_in = (uInt)n;
  z.next_out = (Bytef *)out;
  z.avail_out = (uInt)room;
  assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
  n = z.total_out;
  deflateEnd(&z);
  return n;
}

static size_t wrap(char *out, int flag, size_t n) {
  out[0] = (char)flag;
  for (int i = 0; i < 4; i++) out[1 + i] = (char)(n >> (24 - 8 * i));
  return n + 5;
}

/* ---- handlers */

static zcrpc_code choosing(zcrpc_call *call, const zcrpc_view *request, zcrpc_encoder *reply, void *user) {
  const char *name = atomic_load(&ask);
  char one[32];
  /* Names apart by spaces: one after the other. */
  for (size_t n; name; name = name[n] ? name + n + 1 : NULL) {
    n = strcspn(name, " ");
    snprintf(one, sizeof one, "%.*s", (int)n, name);
    atomic_store(&asked, zcrpc_call_set_compression(call, one, NULL));
  }
  return handler(call, request, reply, user);
}

static zcrpc_code tagged(zcrpc_call *call, const zcrpc_view *request, zcrpc_encoder *reply, void *user) {
  zcrpc_slice text;
  zcrpc_view_string(request, TEXT, &text);
  if (is(text, "own"))
    zcrpc_metadata_add(zcrpc_call_metadata(call, ZCRPC_RESPONSE_HEADERS), "etag", "\"v1\"", 4, NULL);
  zcrpc_metadata_add(zcrpc_call_metadata(call, ZCRPC_RESPONSE_HEADERS), "cache-control", "max-age=60", 10, NULL);
  return handler(call, request, reply, user);
}

/* Stream: "N SIZE": so many messages of that size; Collect: counts. */
static void on_event(zcrpc_call *call, const zcrpc_event *e, const zcrpc_view *message, void *user) {
  static char plain[1 << 16];
  static long left, size;
  zcrpc_slice text;
  char word[64];
  (void)user;
  switch (e->kind) {
    case ZCRPC_EVENT_REQUEST:
      if (!(e->flags & ZCRPC_EVENT_END)) {
        zcrpc_call_read(call, 1);
        return;
      }
      zcrpc_view_string(message, TEXT, &text);
      snprintf(word, sizeof word, "%.*s", (int)text.len, text.data);
      sscanf(word, "%ld %ld", &left, &size);
      for (uint32_t i = 0, x = 1; i < 3000; i++) plain[i] = "abcdefghijklmnop"[(x = x * 1103515245u + 12345u) >> 28]; /* then zeros */
      break;
    case ZCRPC_EVENT_MESSAGE:
      atomic_fetch_add(&received, 1);
      zcrpc_call_read(call, 1);
      return;
    case ZCRPC_EVENT_HALF_CLOSE:
      zcrpc_call_finish(call, NULL);
      return;
    case ZCRPC_EVENT_WRITABLE: break;
    default: return;
  }
  for (; left > 0 && zcrpc_call_room(call); left--) {
    const char *name = atomic_load(&ask);
    if (name) atomic_store(&asked, zcrpc_call_set_compression(call, left % 2 ? name : "", NULL));
    zcrpc_encoder_put_string(zcrpc_call_encoder(call), PAYLOAD, plain, (size_t)size);
    if (zcrpc_call_send(call, NULL)) return;
  }
  if (left == 0) zcrpc_call_finish(call, NULL);
}

static zcrpc_code guard(zcrpc_call *call, const zcrpc_event *e, const zcrpc_view *message, void *user) {
  (void)message;
  (void)user;
  if (e->kind == ZCRPC_EVENT_HEADERS && atomic_load(&intercepting)) return zcrpc_call_fail(call, ZCRPC_UNAUTHENTICATED, "who", 3);
  return ZCRPC_OK;
}

/* Every byte becomes its complement. */
static int64_t complement(const void *in, size_t n, void *out, size_t cap, void *user) {
  atomic_fetch_add((atomic_int *)user, 1);
  if (n > cap) return -2;
  for (size_t i = 0; i < n; i++) ((uint8_t *)out)[i] = (uint8_t)~((const uint8_t *)in)[i];
  return (int64_t)n;
}
/* As the above without the last byte, which nobody here reads: what does not shrink is not sent compressed. */
static int64_t shorten(const void *in, size_t n, void *out, size_t cap, void *user) {
  return complement(in, n > 1 ? n - 1 : n, out, cap, user);
}

static atomic_int own_calls;

static int start(void **state) {
  zcrpc_options *o = server_options(), *method_options;
  zcrpc_coding own = {sizeof own, 0, "x-not", shorten, complement, &own_calls};
  zcrpc_error *err = NULL;
  (void)state;
  alarm(170);
  own.name = "X";
  assert_int_equal(zcrpc_options_add_coding(o, &own, NULL), ZCRPC_INVALID_ARGUMENT);
  own.name = "gzip";
  assert_int_equal(zcrpc_options_add_coding(o, &own, &err), ZCRPC_INVALID_ARGUMENT);
  assert_string_equal(zcrpc_error_message(err), "there is a coding \"gzip\" already");
  zcrpc_error_free(err);
  own.name = "x-not";
  assert_int_equal(zcrpc_options_add_coding(o, &own, NULL), ZCRPC_OK);
  assert_int_equal(zcrpc_options_set_string(o, ZCRPC_COMPRESSION, "zstd, gzip, x-not", NULL), ZCRPC_OK);
  assert_int_equal(zcrpc_options_add_interceptor(o, guard, NULL, NULL), ZCRPC_OK);
  set_int(o, ZCRPC_COMPRESSION_MIN, 100);
  server_make(o);
  handle_instead("s.S/Echo", choosing, NULL);
  method_options = zcrpc_options_new(ZCRPC_FOR_CALL, NULL);
  set_int(method_options, ZCRPC_SERVER_ETAGS, 1);
  set_int(method_options, ZCRPC_COMPRESSION_MIN, 0);
  assert_int_equal(zcrpc_options_set_string(method_options, ZCRPC_COMPRESSION, "*", NULL), ZCRPC_OK);
  set_int(method_options, ZCRPC_SERVER_OVERRIDE, 1);
  assert_int_equal(zcrpc_server_handle(server, method("s.S/Get"), method_options, tagged, NULL, NULL), ZCRPC_OK);
  set_int(method_options, ZCRPC_COMPRESSION_MIN, 3000);
  assert_int_equal(zcrpc_server_handle_events(server, method("s.S/Stream"), method_options, on_event, NULL, NULL), ZCRPC_OK);
  assert_int_equal(zcrpc_server_handle_events(server, method("s.S/Collect"), method_options, on_event, NULL, NULL), ZCRPC_OK);
  assert_int_equal(zcrpc_options_set_string(method_options, ZCRPC_COMPRESSION, "lzma", NULL), ZCRPC_OK);
  assert_int_equal(zcrpc_server_handle(server, method("s.S/Turn"), method_options, handler, NULL, &err), ZCRPC_INVALID_ARGUMENT);
  assert_string_equal(zcrpc_error_message(err), "ZCRPC_COMPRESSION: \"lzma\" is not a coding of this build");
  zcrpc_error_free(err);
  zcrpc_options_free(method_options);
  pthread_create(&server_thread, NULL, server_main, (void *)(intptr_t)1);
  return 0;
}

/* The coding of an answer of n bytes to a client that accepts these; "": as it is. */
static const char *coding_of(const char *accept, int n) {
  const char *const extra[] = {"grpc-accept-encoding", accept, NULL};
  static char got[64];
  h2_open(&c);
  {
    char text[32];
    snprintf(text, sizeof text, "size %d", n);
    stream *s = grpc(&c, extra, m, enveloped(m, text));
    h2_run(&c);
    assert_string_equal(field(s, "grpc-status"), "0");
    snprintf(got, sizeof got, "%s", field(s, "grpc-encoding") ? field(s, "grpc-encoding") : "");
    assert_int_equal(s->body[0], got[0] != 0);
  }
  h2_free(&c);
  return got;
}

static void the_wrong_coding_is_chosen(void **state) {
  (void)state;
  assert_string_equal(coding_of("gzip, zstd", 1000), "zstd"); /* the server's order */
  assert_string_equal(coding_of("gzip, br", 1000), "gzip");
  assert_string_equal(coding_of("br", 1000), "");             /* not among the preferred */
  assert_string_equal(coding_of("identity", 1000), "");
  assert_string_equal(coding_of("x-not", 1000), "x-not");
  assert_string_equal(coding_of("gzip", 90), "");             /* below the minimum */
  assert_string_equal(coding_of("gzip", 100), "gzip");
}

static void a_call_cannot_choose(void **state) {
  (void)state;
  atomic_store(&ask, "identity");
  assert_string_equal(coding_of("gzip, zstd", 1000), "");
  atomic_store(&ask, "br"); /* not preferred, and yet */
  assert_string_equal(coding_of("gzip, br", 1000), "br");
  assert_string_equal(coding_of("gzip", 1000), ""); /* the client does not take it */
  atomic_store(&ask, "");
  assert_string_equal(coding_of("gzip", 1000), "gzip");
  assert_int_equal(atomic_load(&asked), ZCRPC_OK);
  static const char *const there_and_back[] = {"br ", "identity ", "lzma br identity "};
  for (size_t i = 0; i < 3; i++) {
    atomic_store(&ask, there_and_back[i]); /* the last is "": as the options say */
    assert_string_equal(coding_of("gzip, br", 1000), "gzip");
    assert_int_equal(atomic_load(&asked), ZCRPC_OK);
    assert_string_equal(coding_of("br", 1000), "");
  }
  atomic_store(&ask, "lzma");
  assert_string_equal(coding_of("gzip", 1000), "gzip");
  assert_int_equal(atomic_load(&asked), ZCRPC_INVALID_ARGUMENT);
  atomic_store(&ask, NULL);
}

static void a_coding_of_the_application_is_not_used(void **state) {
  static const char *const both[] = {"grpc-encoding", "x-not", "grpc-accept-encoding", "identity", NULL};
  static const char *const strange[] = {"grpc-encoding", "x-nor", NULL};
  (void)state;
  h2_open(&c);
  size_t n = enveloped(m, "hello");
  for (size_t i = 5; i < n; i++) m[i] = (char)~m[i];
  m[0] = 1;
  stream *s = grpc(&c, both, m, n), *t = grpc(&c, strange, m, n);
  h2_run(&c);
  assert_string_equal(field(s, "grpc-status"), "0");
  assert_memory_equal(s->body + 7, "hello", 5);
  assert_string_equal(field(t, "grpc-status"), "12");
  assert_string_equal(field(t, "grpc-accept-encoding"), "gzip, zstd, br, snappy, deflate, x-not");
  h2_free(&c);
}

/* Broken, cut, with bytes behind, above the limit: by the same codes in every coding. What is no coding's data at all. */
static void broken_data_get_the_wrong_code(void **state) {
  static const char *const names[] = {"gzip", "zstd", "br", "snappy", "deflate"};
  int fd = dial();
  (void)state;
  for (size_t i = 0; i < 5; i++) {
    char extra[64];
    snprintf(extra, sizeof extra, "Content-Encoding: %s\r\n", names[i]);
    post(fd, "application/proto", extra, "\xde\xad\xbe\xef garbage", 12);
    read_answer(fd, &a);
    assert_int_equal(a.status, 400);
    assert_non_null(strstr(body(&a), "invalid_argument"));
    post(fd, "application/proto", extra, "", 0); /* nothing is never inflated */
    read_answer(fd, &a);
    assert_int_equal(a.status, 200);
  }
  close(fd);
}

static void a_refusal_costs_an_inflate(void **state) {
  static char body_text[400], zipped[400], head[512];
  uint64_t before = stats().inflates;
  int fd = dial();
  size_t n = message(body_text, "hello hello hello hello hello"), z = gzip(body_text, n, zipped + 5, sizeof zipped - 5);
  (void)state;
  atomic_store(&intercepting, 1);
  post(fd, "application/proto", "Content-Encoding: gzip\r\n", zipped + 5, z); /* head and body in one go, or nearly */
  read_answer(fd, &a);
  assert_int_equal(a.status, 401);
  h2_open(&c);
  static const char *const packed[] = {"grpc-encoding", "gzip", NULL};
  wrap(zipped, 1, z);
  stream *s = grpc(&c, packed, zipped, z + 5);
  h2_run(&c);
  assert_string_equal(field(s, "grpc-status"), "16");
  atomic_store(&intercepting, 0);
  /* Longer than any message that passes can be when compressed: told by its length alone. */
  snprintf(head, sizeof head, "POST /s.S/Echo HTTP/1.1\r\nHost: x\r\nContent-Type: application/proto\r\nContent-Encoding: gzip\r\nContent-Length: 90000000\r\n\r\n");
  int other = dial();
  say(other, head);
  send_all(other, zipped + 5, z);
  read_answer(other, &a);
  assert_int_equal(a.status, 429);
  close(other);
  wrap(zipped, 1, 90000000);
  s = grpc(&c, packed, zipped, z + 5);
  s->hold = 1;
  while (!s->heads && h2_step(&c)) {}
  assert_string_equal(field(s, "grpc-status"), "8");
  h2_free(&c);
  assert_int_equal(stats().inflates, before);
  fd = dial();
  post(fd, "application/proto", "Content-Encoding: gzip\r\n", zipped + 5, z);
  read_answer(fd, &a);
  assert_int_equal(a.status, 200);
  assert_int_equal(stats().inflates, before + 1);
  close(fd);
}

/* ---- GET */

static void get(int fd, const char *text, const char *extra) {
  char head[512];
  size_t n = (size_t)snprintf(head, sizeof head, "GET /s.S/Get?connect=v1&encoding=json&message=%%7B%%22text%%22%%3A%%22%s%%22%%7D HTTP/1.1\r\nHost: x\r\n%s\r\n", text, extra);
  send_all(fd, head, n);
  read_answer(fd, &a);
}

static void an_answer_that_the_client_has_is_sent_again(void **state) {
  char tag[64], line[128], other[64];
  int fd = dial();
  (void)state;
  get(fd, "own", "");
  assert_int_equal(a.status, 200);
  assert_string_equal(header(&a, "etag"), "\"v1\"");
  assert_string_equal(header(&a, "vary"), "accept-encoding");
  static const char *const same[] = {"\"v1\"", "W/\"v1\"", "*", "\"a,\", \"v1\"", "\"v0\",W/\"v1\"", NULL}, *const others[] = {"\"v2\"", "v1", "\"v1", "", "x \"v1\"", NULL};
  for (int i = 0; same[i]; i++) {
    snprintf(line, sizeof line, "If-None-Match: %s\r\n", same[i]);
    get(fd, "own", line);
    assert_int_equal(a.status, 304);
    assert_string_equal(header(&a, "etag"), "\"v1\"");
    assert_string_equal(header(&a, "vary"), "accept-encoding");
    assert_string_equal(header(&a, "cache-control"), "max-age=60");
    assert_null(header(&a, "content-length"));
    assert_null(header(&a, "content-type"));
    assert_null(header(&a, "transfer-encoding"));
    assert_null(header(&a, "connection")); /* it stays */
  }
  for (int i = 0; others[i]; i++) {
    snprintf(line, sizeof line, "If-None-Match: %s\r\n", others[i]);
    get(fd, "own", line);
    assert_int_equal(a.status, 200);
  }
  /* By itself: the same message, the same tag, however it travels; another message, another tag. */
  get(fd, "one", "Accept-Encoding: gzip\r\n");
  assert_int_equal(a.status, 200);
  snprintf(tag, sizeof tag, "%s", header(&a, "etag"));
  assert_int_equal(strlen(tag), 20);
  assert_memory_equal(tag, "W/\"", 3);
  get(fd, "two", "");
  snprintf(other, sizeof other, "%s", header(&a, "etag"));
  assert_string_not_equal(tag, other);
  snprintf(line, sizeof line, "If-None-Match: %s\r\nAccept-Encoding: br\r\n", tag);
  get(fd, "one", line);
  assert_int_equal(a.status, 304);
  assert_null(header(&a, "content-encoding"));
  get(fd, "two", line);
  assert_int_equal(a.status, 200);
  get(fd, "fail%205%20gone", "If-None-Match: *\r\n"); /* an error is an error */
  assert_int_equal(a.status, 404);
  close(fd);
}

static void http2_has_no_304(void **state) {
  nghttp2_nv nv[] = {FIELD(":method", "GET"), FIELD(":scheme", "http"), FIELD(":authority", "x"),
                     FIELD(":path", "/s.S/Get?connect=v1&encoding=json&message=%7B%22text%22%3A%22own%22%7D"), FIELD("if-none-match", "\"v1\"")};
  stream *t;
  (void)state;
  h2_open(&c);
  for (int i = 0; i < 2; i++) {
    t = &c.streams[c.count++];
    t->body = malloc(2 << 20);
    t->id = nghttp2_submit_request(c.session, NULL, nv, i ? 4 : 5, NULL, NULL);
    c.open++;
  }
  h2_run(&c);
  assert_int_equal(c.streams[0].status, 304);
  assert_int_equal(c.streams[0].got, 0);
  assert_int_equal(c.streams[0].frames, 0);
  assert_string_equal(field(&c.streams[0], "etag"), "\"v1\"");
  assert_null(field(&c.streams[0], "content-length"));
  assert_int_equal(c.streams[0].code, 0);
  assert_int_equal(c.streams[1].status, 200);
  h2_free(&c);
}

/* ---- streams */

static void await_received(int n) {
  for (int64_t end = now_ms() + 20000; atomic_load(&received) < n;) {
    if (now_ms() > end) fail_msg("%d messages of %d", atomic_load(&received), n);
    usleep(200);
  }
}

/* Messages that span receives, and, packed, are inflated. */
static void requests(int packed, size_t size) {
  static char plain[1 << 16], chunk[(1 << 16) + 64];
  int fd = dial(), h;
  char head[512];
  atomic_store(&received, 0);
  h = snprintf(head, sizeof head, "POST /s.S/Collect HTTP/1.1\r\nHost: x\r\nContent-Type: application/connect+proto\r\nTransfer-Encoding: chunked\r\n%s\r\n",
               packed ? "Connect-Content-Encoding: gzip\r\n" : "");
  send_all(fd, head, (size_t)h);
  plain[0] = 0x1A; /* payload */
  plain[1] = (char)(size & 127) | (char)128, plain[2] = (char)(size >> 7 & 127) | (char)128, plain[3] = (char)(size >> 14);
  for (size_t i = 0; i < size; i++) plain[4 + i] = (char)(i * i >> 3);
  memcpy(chunk, "00000\r\n", 7);
  size_t n = packed ? gzip(plain, size + 4, chunk + 12, sizeof chunk - 12) : size + 4;
  if (!packed) memcpy(chunk + 12, plain, n);
  n = wrap(chunk + 7, packed, n);
  snprintf(head, sizeof head, "%05zx", n);
  memcpy(chunk, head, 5);
  memcpy(chunk + 7 + n, "\r\n", 2);
  for (int i = 0; i < 600; i++) {
    if (i == 200) {
      await_received(200);
      fail_malloc_at(0);
    }
    send_all(fd, chunk, 100); /* in two */
    if (i % 8 == 0) usleep(300);
    send_all(fd, chunk + 100, n + 9 - 100);
  }
  await_received(600);
#ifndef ZCRPC_DEBUG /* debug builds note what was released */
  assert_true(fail_malloc_count() < 8); /* what a pool grows by, once, and not for each message */
#endif
  fail_malloc_stop();
  say(fd, "0\r\n\r\n");
  close(fd);
}

static void a_steady_stream_of_requests_allocates(void **state) {
  (void)state;
  requests(0, 30000);
  requests(0, 900);
  requests(1, 30000);
  requests(1, 900);
}

static void replies(const char *accept, int size) {
  static char in[1 << 16];
  char q[64], all[512];
  size_t got = 0, n = message(q + 5, "");
  int fd = dial(), h;
  n = message(q + 5, (snprintf(all, sizeof all, "3000 %d", size), all));
  n = wrap(q, 0, n);
  h = snprintf(all, sizeof all, "POST /s.S/Stream HTTP/1.1\r\nHost: x\r\nContent-Type: application/connect+proto\r\nContent-Length: %zu\r\n%s%s%s\r\n", n,
               accept ? "Connect-Accept-Encoding: " : "", accept ? accept : "", accept ? "\r\n" : "");
  send_all(fd, all, (size_t)h);
  send_all(fd, q, n);
  static const char kEnd[] = "\r\n0\r\n\r\n"; /* the last chunk */
  char tail[7] = "";
  for (int warm = 0; memcmp(tail, kEnd, 7);) {
    ssize_t k = recv(fd, in, sizeof in, 0);
    assert_true(k > 0);
    size_t fresh = (size_t)k < 7 ? (size_t)k : 7;
    memmove(tail, tail + fresh, 7 - fresh);
    memcpy(tail + 7 - fresh, in + k - fresh, fresh);
    if (got == 0) {
      in[k < 1000 ? k : 1000] = 0;
      assert_true((strcasestr(in, "connect-content-encoding: ") != NULL) == (accept != NULL));
    }
    got += (size_t)k;
    if (got > 1000000 && !warm) {
      warm = 1;
      fail_malloc_at(0);
    }
  }
#ifndef ZCRPC_DEBUG
  if (fail_malloc_count() >= 20) fail_msg("%s: %ld allocations", accept ? accept : "", fail_malloc_count());
#endif
  fail_malloc_stop();
  assert_true(got > 1000000);
  if (accept) assert_true(got < 3000 * (size_t)size * 9 / 10);
  close(fd);
}

static void a_steady_stream_of_replies_allocates(void **state) {
  static const char *const names[] = {NULL, "gzip", "zstd", "br", "snappy", "deflate"};
  (void)state;
  for (int i = 0; i < 6; i++) replies(names[i], i ? 6000 : 2000);
}

/* The head names one coding; single messages may go as they are. */
static void messages_of_a_stream_are_all_compressed(void **state) {
  static const char *const accept[] = {"grpc-accept-encoding", "gzip", NULL};
  size_t at = 0;
  int flags[4] = {0};
  (void)state;
  for (int other = 0; other < 2; other++) {
    atomic_store(&ask, other ? "br" : "identity");
    h2_open(&c);
    stream *s = h2_request(&c, "/s.S/Stream", "application/grpc", accept, m, enveloped(m, "4 5000"));
    h2_run(&c);
    assert_string_equal(field(s, "grpc-status"), "0");
    assert_string_equal(field(s, "grpc-encoding"), "gzip");
    at = 0;
    for (int i = 0; i < 4; i++) {
      flags[i] = s->body[at];
      at += 5 + ((size_t)(uint8_t)s->body[at + 3] << 8 | (uint8_t)s->body[at + 4]);
    }
    assert_int_equal(at, s->got);
    assert_int_equal(flags[0], 1);
    assert_int_equal(flags[1], 0);
    assert_int_equal(flags[2], 1);
    assert_int_equal(flags[3], 0);
    h2_free(&c);
  }
  atomic_store(&ask, NULL);
}

/* A caller's header may be older than the library. */
static void an_older_record_is_left_empty(void **state) {
  zcrpc_stats now = stats(), old;
  (void)state;
  memset(&old, 0x55, sizeof old);
  old.struct_size = offsetof(zcrpc_stats, inflates);
  zcrpc_server_stats(server, &old);
  assert_true(old.calls >= now.calls && old.calls < now.calls + 10);
  assert_int_equal(old.inflates, 0x5555555555555555);
  assert_true(now.inflates > 0 && now.deflates > 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_wrong_coding_is_chosen),
      cmocka_unit_test(a_call_cannot_choose),
      cmocka_unit_test(a_coding_of_the_application_is_not_used),
      cmocka_unit_test(broken_data_get_the_wrong_code),
      cmocka_unit_test(a_refusal_costs_an_inflate),
      cmocka_unit_test(an_answer_that_the_client_has_is_sent_again),
      cmocka_unit_test(http2_has_no_304),
      cmocka_unit_test(a_steady_stream_of_requests_allocates),
      cmocka_unit_test(a_steady_stream_of_replies_allocates),
      cmocka_unit_test(messages_of_a_stream_are_all_compressed),
      cmocka_unit_test(an_older_record_is_left_empty),
  };
  return cmocka_run_group_tests(tests, start, stop_default);
}
