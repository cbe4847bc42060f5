/* Plain HTTP on the port of the calls: what a handler for it sees, and what it can answer, over HTTP/1.1 and HTTP/2. */
#include "h2.h"

static answer a;
static client c;
static char big[300000];

static struct {
  char method[16], path[64], query[64], type[64], host[32], custom[32], body[64], peer[64];
  size_t size;
  int32_t http;
} saw;

static void copy(char *to, size_t n, zcrpc_slice s) { snprintf(to, n, "%.*s", (int)s.len, s.data); }
#define COPY(to, s) copy(to, sizeof to, s)
static zcrpc_slice text(const char *s) { return (zcrpc_slice){s, strlen(s)}; }

static void *reply_later(void *user) {
  zcrpc_http h = {.struct_size = sizeof h, .status = 200, .content_type = text("text/plain"), .body = text("later")};
  usleep(10000);
  assert_int_equal(zcrpc_call_reply_http(user, &h, NULL), ZCRPC_OK);
  zcrpc_call_release(user);
  return NULL;
}

/* The head leaves, and then not all that it promised follows. */
static void *cut_later(void *user) {
  zcrpc_http h = {.struct_size = sizeof h, .status = 200, .content_type = text("text/plain"), .body = text("one "), .more = 1, .length = 100};
  assert_int_equal(zcrpc_call_reply_http(user, &h, NULL), ZCRPC_OK);
  usleep(50000);
  zcrpc_call_finish(user, NULL);
  zcrpc_call_release(user);
  return NULL;
}

/* A body in pieces, larger than what may wait: as long as there is room, and on when WRITABLE comes. */
enum { FLOOD = 1500000, PIECE = 20000 };
static struct {
  atomic_int writables, dones, code, sent, endless;
} flood;

static void flow(zcrpc_call *call) {
  int endless = atomic_load(&flood.endless);
  while ((endless || atomic_load(&flood.sent) < FLOOD) && zcrpc_call_room(call) > 0) {
    if (zcrpc_call_send_bytes(call, big, PIECE, NULL) != ZCRPC_OK) return;
    if (atomic_fetch_add(&flood.sent, PIECE) + PIECE == FLOOD && !endless) zcrpc_call_finish(call, NULL);
  }
}
static void on_flood(zcrpc_call *call, const zcrpc_event *e, const zcrpc_view *m, void *user) {
  assert_ptr_equal(user, &flood);
  assert_null(m);
  if (e->kind == ZCRPC_EVENT_WRITABLE) {
    atomic_fetch_add(&flood.writables, 1);
    flow(call);
  } else {
    assert_int_equal(e->kind, ZCRPC_EVENT_DONE);
    atomic_store(&flood.code, e->value);
    atomic_fetch_add(&flood.dones, 1);
  }
}
static void *flood_later(void *call) {
  zcrpc_http h = {.struct_size = sizeof h, .status = 200, .content_type = text("text/plain"), .more = 1, .length = atomic_load(&flood.endless) ? 0 : FLOOD, .events = on_flood, .events_user = &flood};
  usleep(1000);
  if (zcrpc_call_reply_http(call, &h, NULL) == ZCRPC_OK) flow(call);
  zcrpc_call_release(call);
  return NULL;
}
static void flood_begins(int endless) {
  atomic_store(&flood.endless, endless);
  atomic_store(&flood.writables, 0);
  atomic_store(&flood.dones, 0);
  atomic_store(&flood.sent, 0);
}
static void flood_ends(int code) {
  for (int64_t limit = now_ms() + 5000; !atomic_load(&flood.dones) && now_ms() < limit;) usleep(500);
  usleep(5000);
  assert_int_equal(atomic_load(&flood.dones), 1);
  assert_int_equal(atomic_load(&flood.code), code);
}

/* As the path says. */
static void page(zcrpc_call *call, const zcrpc_http *r, void *user) {
  zcrpc_http h = {.struct_size = sizeof h, .status = 200, .content_type = text("text/plain"), .body = text("a page")};
  zcrpc_call_info info = {.struct_size = sizeof info};
  zcrpc_slice v = {"", 0};
  (void)user;
  atomic_fetch_add(&handled, 1);
  memset(&saw, 0, sizeof saw);
  zcrpc_call_get_info(call, &info);
  assert_null(info.method);
  saw.http = info.http;
  COPY(saw.peer, info.peer);
  COPY(saw.method, r->method);
  COPY(saw.path, r->path);
  COPY(saw.query, r->query);
  COPY(saw.type, r->content_type);
  COPY(saw.body, r->body);
  saw.size = r->body.len;
  if (zcrpc_metadata_get(zcrpc_call_metadata(call, ZCRPC_REQUEST_HEADERS), "host", &v)) COPY(saw.host, v);
  if (zcrpc_metadata_get(zcrpc_call_metadata(call, ZCRPC_REQUEST_HEADERS), "x-custom", &v)) COPY(saw.custom, v);
  if (strcmp(saw.path, "/fail") == 0) {
    zcrpc_call_fail(call, ZCRPC_PERMISSION_DENIED, "not yours", ZCRPC_NTS);
  } else if (strcmp(saw.path, "/nothing") == 0) {
    zcrpc_call_finish(call, NULL);
  } else if (strcmp(saw.path, "/drop") == 0) {
  } else if (strcmp(saw.path, "/flood") == 0) {
    h = (zcrpc_http){.struct_size = sizeof h, .status = 200, .content_type = text("text/plain"), .more = 1, .length = atomic_load(&flood.endless) ? 0 : FLOOD, .events = on_flood, .events_user = &flood};
    assert_int_equal(zcrpc_call_reply_http(call, &h, NULL), ZCRPC_OK);
    flow(call);
  } else if (strcmp(saw.path, "/flood-later") == 0) {
    pthread_t t;
    pthread_create(&t, NULL, flood_later, zcrpc_call_retain(call));
    pthread_detach(t);
  } else if (strcmp(saw.path, "/older") == 0) { /* a program that was built with a shorter record */
    h.struct_size = offsetof(zcrpc_http, events);
    h.events = (void (*)(zcrpc_call *, const zcrpc_event *, const zcrpc_view *, void *))(uintptr_t)1;
    h.more = 1;
    assert_int_equal(zcrpc_call_reply_http(call, &h, NULL), ZCRPC_OK);
    zcrpc_call_finish(call, NULL);
    h.struct_size--;
    assert_int_equal(zcrpc_call_reply_http(call, &h, NULL), ZCRPC_INVALID_ARGUMENT);
  } else if (strcmp(saw.path, "/later") == 0 || strcmp(saw.path, "/cut") == 0) {
    pthread_t t;
    pthread_create(&t, NULL, saw.path[1] == 'l' ? reply_later : cut_later, zcrpc_call_retain(call));
    pthread_detach(t);
  } else if (strcmp(saw.path, "/204") == 0) {
    h.status = 204;
    h.content_type = h.body = text("");
    assert_int_equal(zcrpc_call_reply_http(call, &h, NULL), ZCRPC_OK);
  } else if (strcmp(saw.path, "/418") == 0) {
    h.status = 418;
    assert_int_equal(zcrpc_call_reply_http(call, &h, NULL), ZCRPC_OK);
  } else if (strcmp(saw.path, "/file") == 0) {
    h.buffer = zcrpc_buffer_wrap(big, sizeof big, NULL, NULL, NULL);
    zcrpc_buffer_slice(h.buffer, &h.body);
    h.headers = text("content-encoding: identity\ncache-control: max-age=60\n");
    zcrpc_metadata_add(zcrpc_call_metadata(call, ZCRPC_RESPONSE_HEADERS), "x-name", "file", 4, NULL);
    assert_int_equal(zcrpc_call_reply_http(call, &h, NULL), ZCRPC_OK);
    zcrpc_buffer_release(h.buffer);
  } else if (strcmp(saw.path, "/pieces") == 0 || strcmp(saw.path, "/told") == 0 || strcmp(saw.path, "/short") == 0 || strcmp(saw.path, "/broken") == 0) {
    h.more = 1;
    h.length = saw.path[1] == 't' ? 11 : saw.path[1] == 's' ? 100 : 0;
    h.body = text("one ");
    assert_int_equal(zcrpc_call_send_bytes(call, "x", 1, NULL), ZCRPC_FAILED_PRECONDITION);
    assert_int_equal(zcrpc_call_reply_http(call, &h, NULL), ZCRPC_OK);
    assert_int_equal(zcrpc_call_reply_http(call, &h, NULL), ZCRPC_FAILED_PRECONDITION);
    assert_int_equal(zcrpc_call_send_bytes(call, "two ", 4, NULL), ZCRPC_OK);
    assert_int_equal(zcrpc_call_send_bytes(call, "3..", 3, NULL), ZCRPC_OK);
    if (saw.path[1] == 't') assert_int_equal(zcrpc_call_send_bytes(call, "x", 1, NULL), ZCRPC_FAILED_PRECONDITION);
    if (saw.path[1] == 'b') zcrpc_call_fail(call, ZCRPC_INTERNAL, "broke", ZCRPC_NTS);
    else zcrpc_call_finish(call, NULL);
    assert_int_not_equal(zcrpc_call_send_bytes(call, "x", 1, NULL), ZCRPC_OK);
  } else if (strcmp(saw.path, "/wrong") == 0) {
    static const char *const bad[] = {"content-length: 7\n", "Upper: x\n", "x y: z\n", "transfer-encoding: chunked\n", "connection: close\n", "a: b\r\nc\n", "x: \x01\n", "host: x"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
      h.headers = text(bad[i]);
      assert_int_equal(zcrpc_call_reply_http(call, &h, NULL), ZCRPC_INVALID_ARGUMENT);
    }
    h.headers = text("");
    h.status = 100;
    assert_int_equal(zcrpc_call_reply_http(call, &h, NULL), ZCRPC_INVALID_ARGUMENT);
    h.status = 200;
    h.content_type = text("a\nb");
    assert_int_equal(zcrpc_call_reply_http(call, &h, NULL), ZCRPC_INVALID_ARGUMENT);
    h.content_type = text("text/plain");
    assert_int_equal(zcrpc_call_reply_http(call, &h, NULL), ZCRPC_OK);
  } else {
    assert_int_equal(zcrpc_call_reply_http(call, &h, NULL), ZCRPC_OK);
  }
}

static int start_plain(void **state) {
  (void)state;
  alarm(170);
  memset(big, 'f', sizeof big);
  zcrpc_options *o = server_options();
  set_int(o, ZCRPC_LIMIT_MESSAGE, 10000);
  server_make(o);
  assert_int_equal(zcrpc_server_handle_http(server, NULL, page, NULL, NULL), ZCRPC_OK);
  assert_int_equal(zcrpc_server_handle_http(server, NULL, page, NULL, NULL), ZCRPC_ALREADY_EXISTS);
  assert_int_equal(zcrpc_server_handle_http(server, NULL, NULL, NULL, NULL), ZCRPC_INVALID_ARGUMENT);
  pthread_create(&server_thread, NULL, server_main, (void *)(intptr_t)1);
  return 0;
}

static void ask(int fd, const char *line, const char *rest) {
  say(fd, line);
  say(fd, " HTTP/1.1\r\nHost: here\r\n");
  say(fd, rest);
  read_answer(fd, &a);
}

/* The head alone, and whatever follows in *tail until the connection has been silent for a while. */
static size_t raw(int fd, char *to, size_t n) {
  size_t have = 0;
  struct timeval soon = {.tv_usec = 200000};
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &soon, sizeof soon);
  for (ssize_t k; have + 1 < n && (k = recv(fd, to + have, n - 1 - have, 0)) > 0;) have += (size_t)k;
  to[have] = 0;
  return have;
}

static void a_request_is_not_seen_whole(void **state) {
  int fd = dial();
  (void)state;
  ask(fd, "PUT /a/b?c=d&e", "X-Custom: yes\r\nContent-Type: text/csv\r\nContent-Length: 5\r\n\r\n1,2,3");
  assert_int_equal(a.status, 200);
  assert_string_equal(body(&a), "a page");
  assert_string_equal(header(&a, "content-type"), "text/plain");
  assert_string_equal(saw.method, "PUT");
  assert_string_equal(saw.path, "/a/b");
  assert_string_equal(saw.query, "c=d&e");
  assert_string_equal(saw.type, "text/csv");
  assert_string_equal(saw.host, "here");
  assert_string_equal(saw.custom, "yes");
  assert_string_equal(saw.body, "1,2,3");
  assert_true(strncmp(saw.peer, "127.0.0.1:", 10) == 0);
  assert_int_equal(saw.http, ZCRPC_HTTP1);
  /* The connection stays; a body in chunks is put together; calls go where they went. */
  ask(fd, "POST /x", "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n");
  assert_string_equal(saw.body, "abcde");
  ask_json(fd, "{\"text\":\"call\"}", &a);
  assert_string_equal(body(&a), "{\"text\":\"call\"}");
  ask(fd, "GET /", "\r\n");
  assert_string_equal(body(&a), "a page");
  /* Paths that have a method, where nothing else fits: 405 and 415 before. */
  ask(fd, "GET /s.S/Echo", "\r\n");
  assert_string_equal(saw.path, "/s.S/Echo");
  ask(fd, "POST /s.S/Echo", "Content-Type: text/plain\r\nContent-Length: 2\r\n\r\nhi");
  assert_string_equal(saw.body, "hi");
  ask(fd, "POST /no.Such/Method", "Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{}");
  assert_string_equal(saw.path, "/no.Such/Method");
  close(fd);
}

static void head_and_bodiless_answers_have_a_body(void **state) {
  static char got[4096];
  int fd = dial();
  (void)state;
  say(fd, "HEAD /x HTTP/1.1\r\nHost: x\r\n\r\nGET /204 HTTP/1.1\r\nHost: x\r\n\r\nHEAD /pieces HTTP/1.1\r\nHost: x\r\n\r\nGET /418 HTTP/1.1\r\nHost: x\r\n\r\n");
  raw(fd, got, sizeof got);
  close(fd);
  char *second = strstr(got, "HTTP/1.1 204 No Content\r\n"), *third = second ? strstr(second + 1, "HTTP/1.1 200") : NULL,
       *fourth = third ? strstr(third + 1, "HTTP/1.1 418") : NULL;
  assert_non_null(fourth);
  assert_non_null(strstr(got, "content-length: 6\r\n"));
  assert_true(strstr(got, "content-length: 6\r\n") < second);
  assert_memory_equal(second - 4, "\r\n\r\n", 4);
  *fourth = 0;
  assert_null(strstr(second, "content-length"));
  assert_null(strstr(third, "chunked"));
  assert_memory_equal(fourth - 4, "\r\n\r\n", 4);
}

static void an_answer_in_pieces_is_cut_wrongly(void **state) {
  static char got[4096];
  int fd = dial();
  (void)state;
  say(fd, "GET /pieces HTTP/1.1\r\nHost: x\r\n\r\n");
  raw(fd, got, sizeof got);
  assert_non_null(strstr(got, "transfer-encoding: chunked\r\n"));
  assert_non_null(strstr(got, "\r\n\r\nb\r\none two 3..\r\n0\r\n\r\n"));
  ask(fd, "GET /told", "\r\n"); /* and the connection goes on */
  assert_string_equal(header(&a, "content-length"), "11");
  assert_string_equal(body(&a), "one two 3..");
  close(fd);
  /* Without chunks the end is the connection's. */
  fd = dial();
  say(fd, "GET /pieces HTTP/1.0\r\n\r\n");
  raw(fd, got, sizeof got);
  assert_non_null(strstr(got, "\r\n\r\none two 3.."));
  assert_null(strstr(got, "chunked"));
  close(fd);
  /* A promise that is not kept is an error, not an end. */
  fd = dial();
  ask(fd, "GET /short", "\r\n");
  assert_int_equal(a.status, 500);
  say(fd, "GET /cut HTTP/1.1\r\nHost: x\r\n\r\n");
  raw(fd, got, sizeof got);
  assert_non_null(strstr(got, "content-length: 100\r\n"));
  assert_non_null(strstr(got, "\r\n\r\none "));
  assert_true(ends(fd));
  close(fd);
}

static void a_large_answer_is_not_whole(void **state) {
  int fd = dial();
  (void)state;
  ask(fd, "GET /file", "\r\n");
  assert_int_equal(a.body, sizeof big);
  assert_memory_equal(body(&a), big, sizeof big);
  assert_string_equal(header(&a, "content-encoding"), "identity");
  assert_string_equal(header(&a, "cache-control"), "max-age=60");
  assert_string_equal(header(&a, "x-name"), "file");
  ask(fd, "GET /later", "\r\n");
  assert_string_equal(body(&a), "later");
  ask(fd, "GET /wrong", "\r\n");
  assert_string_equal(body(&a), "a page");
  close(fd);
}

static void a_body_in_pieces_is_not_told_of_room(void **state) {
  static char got[65537];
  static client h2;
  (void)state;
  for (int later = 0; later < 2; later++) {
    const char *line = later ? "GET /flood-later HTTP/1.1\r\nHost: x\r\n\r\n" : "GET /flood HTTP/1.1\r\nHost: x\r\n\r\n";
    size_t all = 0, head = 0;
    flood_begins(0);
    int fd = dial();
    say(fd, line);
    usleep(20000);
    while (all < head + FLOOD || !head) {
      ssize_t n = recv(fd, got, sizeof got - 1, 0);
      assert_true(n > 0);
      if (!head) head = (size_t)(strstr(got, "\r\n\r\n") + 4 - got);
      all += (size_t)n;
    }
    assert_int_equal(all, head + FLOOD);
    flood_ends(ZCRPC_OK);
    if (!later) assert_true(atomic_load(&flood.writables) > 1); /* else what was sent may leave as fast as it comes */
    ask(fd, "GET /", "\r\n"); /* and the connection goes on */
    assert_int_equal(a.status, 200);
    close(fd);
    /* Who goes in the middle ends it too. */
    flood_begins(1);
    fd = dial();
    int small = 4096;
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    say(fd, line);
    assert_true(recv(fd, got, 1000, 0) > 0);
    close(fd);
    flood_ends(ZCRPC_CANCELED);
    flood_begins(0);
    h2_open(&h2);
    stream *s = h2_request(&h2, later ? "/flood-later" : "/flood", "text/plain", NULL, "", 0);
    h2_run(&h2);
    assert_int_equal(s->got, FLOOD);
    flood_ends(ZCRPC_OK);
    if (!later) assert_true(atomic_load(&flood.writables) > 0);
    h2_free(&h2);
  }
  int fd = dial();
  ask(fd, "GET /older", "\r\n");
  assert_int_equal(a.status, 200);
  close(fd);
}

static void a_body_has_no_limit(void **state) {
  int fd = dial(), before = atomic_load(&handled);
  (void)state;
  ask(fd, "POST /x", "Content-Length: 10001\r\nExpect: 100-continue\r\n\r\n");
  assert_int_equal(a.status, 413);
  assert_string_equal(header(&a, "content-length"), "0");
  assert_true(ends(fd));
  close(fd);
  fd = dial();
  say(fd, "POST /x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2711\r\n");
  send_all(fd, big, 10001);
  say(fd, "\r\n");
  read_answer(fd, &a);
  assert_int_equal(a.status, 413);
  close(fd);
  assert_int_equal(atomic_load(&handled), before);
  fd = dial();
  say(fd, "POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 10000\r\n\r\n");
  send_all(fd, big, 10000);
  read_answer(fd, &a);
  assert_int_equal(a.status, 200);
  assert_int_equal(saw.size, 10000);
  close(fd);
}

static void an_error_is_not_in_the_requests_protocol(void **state) {
  int fd = dial();
  char in[64];
  (void)state;
  ask(fd, "GET /fail", "\r\n");
  assert_int_equal(a.status, 403);
  assert_string_equal(header(&a, "content-type"), "application/json");
  assert_string_equal(body(&a), "{\"code\":\"permission_denied\",\"message\":\"not yours\"}");
  ask(fd, "GET /nothing", "\r\n");
  assert_int_equal(a.status, 500);
  ask(fd, "GET /drop", "\r\n");
  assert_int_equal(a.status, 500);
  close(fd);
  h2_open(&c);
  stream *t = h2_request(&c, "/fail", "application/grpc", NULL, in, enveloped(in, "x"));
  h2_run(&c);
  assert_int_equal(t->status, 200);
  assert_string_equal(field(t, "grpc-status"), "7");
  assert_string_equal(field(t, "grpc-message"), "not yours");
  assert_int_equal(saw.size, 0);
  t = h2_request(&c, "/fail", "application/connect+json", NULL, in, enveloped(in, "x"));
  h2_run(&c);
  assert_int_equal(t->status, 200);
  assert_int_equal(t->body[0], 2);
  t->body[t->got] = 0;
  assert_non_null(strstr(t->body + 5, "permission_denied"));
  t = h2_request(&c, "/fail", "application/grpc-web+proto", NULL, in, enveloped(in, "x"));
  h2_run(&c);
  assert_int_equal((unsigned char)t->body[0], 0x80);
  t = h2_request(&c, "/fail", "application/proto", NULL, in, 0);
  h2_run(&c);
  assert_int_equal(t->status, 403);
  h2_free(&c);
}

static void http2_answers_differ(void **state) {
  nghttp2_nv head[] = {FIELD(":method", "HEAD"), FIELD(":scheme", "http"), FIELD(":authority", "there"), FIELD(":path", "/x?y")};
  char in[] = "abc";
  (void)state;
  h2_open(&c);
  stream *t = h2_request(&c, "/x", "text/csv", NULL, in, 3);
  h2_run(&c);
  assert_int_equal(t->status, 200);
  assert_int_equal(t->got, 6);
  assert_memory_equal(t->body, "a page", 6);
  assert_string_equal(field(t, "content-length"), "6");
  assert_string_equal(saw.host, "x");
  assert_string_equal(saw.body, "abc");
  assert_int_equal(saw.http, ZCRPC_HTTP2);
  t = h2_request(&c, "/pieces", "text/csv", NULL, in, 3);
  h2_run(&c);
  assert_int_equal(t->got, 11);
  assert_memory_equal(t->body, "one two 3..", 11);
  assert_null(field(t, "content-length"));
  t = h2_request(&c, "/file", "text/csv", NULL, in, 3);
  h2_run(&c);
  assert_int_equal(t->got, sizeof big);
  t = h2_request(&c, "/418", "text/csv", NULL, in, 3);
  h2_run(&c);
  assert_int_equal(t->status, 418);
  t = h2_request(&c, "/204", "text/csv", NULL, in, 3);
  h2_run(&c);
  assert_int_equal(t->status, 204);
  assert_int_equal(t->got, 0);
  assert_null(field(t, "content-length"));
  t = h2_request(&c, "/short", "text/csv", NULL, in, 3);
  h2_run(&c);
  assert_int_equal(t->status, 500);
  t = h2_request(&c, "/cut", "text/csv", NULL, in, 3);
  h2_run(&c);
  assert_int_equal(t->got, 4);
  assert_int_equal(t->code, NGHTTP2_INTERNAL_ERROR);
  t = h2_request(&c, "/x", "text/csv", NULL, big, 10001);
  h2_run(&c);
  assert_int_equal(t->status, 413);
  t = &c.streams[c.count++];
  memset(t, 0, sizeof *t);
  t->body = malloc(2 << 20);
  t->id = nghttp2_submit_request(c.session, NULL, head, 4, NULL, NULL);
  c.open++;
  h2_run(&c);
  assert_int_equal(t->status, 200);
  assert_int_equal(t->got, 0);
  assert_string_equal(field(t, "content-length"), "6");
  assert_string_equal(saw.method, "HEAD");
  assert_string_equal(saw.query, "y");
  assert_string_equal(saw.host, "there");
  h2_free(&c);
}

static zcrpc_code tries(zcrpc_call *call, const zcrpc_view *request, zcrpc_encoder *reply, void *user) {
  zcrpc_http h = {.struct_size = sizeof h, .status = 200};
  (void)request, (void)reply, (void)user;
  return zcrpc_call_reply_http(call, &h, NULL);
}

static void a_call_is_answered_as_plain_http(void **state) {
  (void)state;
  handle_instead("s.S/Get", tries, NULL);
  int fd = dial();
  say(fd, "POST /s.S/Get HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}");
  read_answer(fd, &a);
  assert_int_equal(a.status, 400);
  assert_string_equal(body(&a), "{\"code\":\"failed_precondition\"}");
  assert_int_equal(zcrpc_call_reply_http(NULL, NULL, NULL), ZCRPC_INVALID_ARGUMENT);
  close(fd);
}

static _Atomic(zcrpc_call *) waiting;
static void keep(zcrpc_call *call, const zcrpc_http *r, void *user) {
  (void)r, (void)user;
  atomic_store(&waiting, zcrpc_call_retain(call));
}

/* The handlers' threads may be slower than the server's end: what they say then goes nowhere. */
static void an_answer_after_the_servers_end_reads_what_has_gone(void **state) {
  zcrpc_http h = {.struct_size = sizeof h, .status = 200};
  (void)state;
  server_make(NULL);
  assert_int_equal(zcrpc_server_handle_http(server, NULL, keep, NULL, NULL), ZCRPC_OK);
  pthread_create(&server_thread, NULL, server_main, (void *)1);
  int fd = dial(), fd2 = dial();
  say(fd, "GET /x HTTP/1.1\r\nHost: x\r\n\r\n");
  say(fd2, "POST /s.S/Echo HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 16\r\n\r\n{\"text\":\"never\"}");
  for (int64_t limit = now_ms() + 10000; (!atomic_load(&waiting) || !atomic_load(&kept)) && now_ms() < limit;) usleep(500);
  server_stop(0);
  zcrpc_error *cause = zcrpc_error_new(ZCRPC_NOT_FOUND, "downstream", ZCRPC_NTS);
  assert_int_equal(zcrpc_call_reply_http(waiting, &h, NULL), ZCRPC_UNAVAILABLE);
  zcrpc_call_finish(waiting, NULL);
  zcrpc_call_release(waiting);
  assert_int_equal(zcrpc_call_fail_with(kept, ZCRPC_OK, cause), ZCRPC_NOT_FOUND);
  zcrpc_error_free(cause);
  release_kept();
  close(fd);
  close(fd2);
}

/* "Sat, 21 Nov 2026 23:40:15 GMT", and now. */
static int is_now(const char *date) {
  struct tm t;
  char again[64];
  time_t now = time(NULL);
  if (!date) return 0;
  for (int back = 0; back < 20; back++) {
    time_t then = now - back;
    strftime(again, sizeof again, "%a, %d %b %Y %H:%M:%S GMT", gmtime_r(&then, &t));
    if (!strcmp(again, date)) return 1;
  }
  return 0;
}

/* What caches may keep, and what people debug by; answers of calls over HTTP/2 are spared it (decision 0187). */
static void an_answer_does_not_say_when_it_was_made(void **state) {
  nghttp2_nv get[] = {FIELD(":method", "GET"), FIELD(":scheme", "http"), FIELD(":authority", "x"), FIELD(":path", "/s.S/Get?encoding=json&message=%7b%7d")};
  char in[64];
  (void)state;
  h2_open(&c);
  for (int i = 0; i < 3; i++) {
    stream *t = h2_request(&c, i ? "/418" : "/x", "text/csv", NULL, "abc", 3);
    h2_run(&c);
    if (!is_now(field(t, "date"))) fail_msg("%s", field(t, "date"));
    if (i == 1) usleep(1100000); /* another second */
  }
  stream *t = &c.streams[c.count++];
  memset(t, 0, sizeof *t);
  t->body = malloc(2 << 20);
  t->id = nghttp2_submit_request(c.session, NULL, get, sizeof get / sizeof *get, NULL, NULL);
  c.open++;
  h2_run(&c);
  assert_int_equal(t->status, 200);
  assert_true(is_now(field(t, "date")));
  t = h2_request(&c, "/s.S/Echo", "application/grpc", NULL, in, enveloped(in, "x"));
  h2_run(&c);
  assert_string_equal(field(t, "grpc-status"), "0");
  assert_null(field(t, "date"));
  h2_free(&c);
  int fd = dial();
  ask(fd, "GET /x", "\r\n");
  assert_true(is_now(header(&a, "date")));
  ask(fd, "GET /418", "\r\n");
  assert_true(is_now(header(&a, "date")));
  close(fd);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_request_is_not_seen_whole),
      cmocka_unit_test(head_and_bodiless_answers_have_a_body),
      cmocka_unit_test(an_answer_in_pieces_is_cut_wrongly),
      cmocka_unit_test(a_large_answer_is_not_whole),
      cmocka_unit_test(a_body_in_pieces_is_not_told_of_room),
      cmocka_unit_test(a_body_has_no_limit),
      cmocka_unit_test(an_error_is_not_in_the_requests_protocol),
      cmocka_unit_test(http2_answers_differ),
      cmocka_unit_test(an_answer_does_not_say_when_it_was_made),
      cmocka_unit_test(a_call_is_answered_as_plain_http),
  };
  const struct CMUnitTest alone[] = {
      cmocka_unit_test(an_answer_after_the_servers_end_reads_what_has_gone),
  };
  int failed = cmocka_run_group_tests(tests, start_plain, stop_default);
  return failed + cmocka_run_group_tests(alone, NULL, NULL);
}
