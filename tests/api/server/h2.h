/* HTTP/2 with prior knowledge, by nghttp2's client over a blocking socket. */
#ifndef TESTS_API_H2_H
#define TESTS_API_H2_H

#include <nghttp2/nghttp2.h>

#include "http1.h"

enum { STREAMS = 256 };

typedef struct stream {
  int32_t id;
  int status, closed;
  uint32_t code;             /* of its end */
  int heads, frames;         /* HEADERS frames and DATA frames that came */
  size_t sent, size, cut;    /* of the body that is sent; cut: most bytes a DATA frame, 0 all */
  int hold;                  /* the body's end is not told */
  const char *data;
  size_t got;
  char *body;                /* 2 MiB, of the test */
  char fields[4096];         /* "name: value\n" of head and trailers, in order */
} stream;

typedef struct client {
  int fd;
  nghttp2_session *session;
  stream streams[STREAMS];
  int count, open;
  int goaways;
  int32_t last_id[8];
  uint32_t goaway_code;
  int settings_acked, pings;
} client;

static ssize_t on_send(nghttp2_session *s, const uint8_t *p, size_t n, int flags, void *user) {
  client *c = user;
  ssize_t k = send(c->fd, p, n, MSG_NOSIGNAL);
  if (k > 0) bytes_said += (uint64_t)k;
  (void)s;
  (void)flags;
  return k < 0 ? NGHTTP2_ERR_CALLBACK_FAILURE : k;
}

static stream *find(client *c, int32_t id) {
  for (int i = 0; i < c->count; i++)
    if (c->streams[i].id == id) return &c->streams[i];
  return NULL;
}

static int on_header(nghttp2_session *s, const nghttp2_frame *f, const uint8_t *name, size_t n, const uint8_t *value, size_t v,
                     uint8_t flags, void *user) {
  stream *t = find(user, f->hd.stream_id);
  (void)s;
  (void)flags;
  if (!t) return 0;
  if (n == 7 && memcmp(name, ":status", 7) == 0) t->status = atoi((const char *)value);
  size_t at = strlen(t->fields);
  snprintf(t->fields + at, sizeof t->fields - at, "%.*s: %.*s\n", (int)n, name, (int)v, value);
  return 0;
}

static int on_frame(nghttp2_session *s, const nghttp2_frame *f, void *user) {
  client *c = user;
  stream *t = f->hd.stream_id ? find(c, f->hd.stream_id) : NULL;
  (void)s;
  if (t && f->hd.type == NGHTTP2_HEADERS) t->heads++;
  if (t && f->hd.type == NGHTTP2_DATA) t->frames++;
  if (f->hd.type == NGHTTP2_SETTINGS && f->hd.flags & NGHTTP2_FLAG_ACK) c->settings_acked = 1;
  if (f->hd.type == NGHTTP2_PING && f->hd.flags & NGHTTP2_FLAG_ACK) c->pings++;
  if (f->hd.type == NGHTTP2_GOAWAY) {
    c->last_id[c->goaways++ % 8] = f->goaway.last_stream_id;
    c->goaway_code = f->goaway.error_code;
  }
  return 0;
}

static int on_chunk(nghttp2_session *s, uint8_t flags, int32_t id, const uint8_t *p, size_t n, void *user) {
  stream *t = find(user, id);
  (void)s;
  (void)flags;
  if (!t) return 0;
  if (t->got + n > 2 << 20) return NGHTTP2_ERR_CALLBACK_FAILURE;
  memcpy(t->body + t->got, p, n);
  t->got += n;
  return 0;
}

static int on_close(nghttp2_session *s, int32_t id, uint32_t code, void *user) {
  client *c = user;
  stream *t = find(c, id);
  (void)s;
  if (!t) return 0;
  t->closed = 1;
  t->code = code;
  c->open--;
  return 0;
}

static ssize_t on_read(nghttp2_session *s, int32_t id, uint8_t *to, size_t most, uint32_t *flags, nghttp2_data_source *source, void *user) {
  stream *t = source->ptr;
  size_t n = t->size - t->sent;
  (void)s;
  (void)id;
  (void)user;
  if (n == 0 && t->hold) return NGHTTP2_ERR_DEFERRED;
  if (n > most) n = most;
  if (t->cut && n > t->cut) n = t->cut;
  memcpy(to, t->data + t->sent, n);
  t->sent += n;
  if (t->sent == t->size && !t->hold) *flags |= NGHTTP2_DATA_FLAG_EOF;
  return (ssize_t)n;
}

static void h2_open(client *c) {
  nghttp2_session_callbacks *cb;
  nghttp2_settings_entry window = {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 1 << 20};
  memset(c, 0, sizeof *c);
  c->fd = dial();
  nghttp2_session_callbacks_new(&cb);
  nghttp2_session_callbacks_set_send_callback(cb, on_send);
  nghttp2_session_callbacks_set_on_header_callback(cb, on_header);
  nghttp2_session_callbacks_set_on_frame_recv_callback(cb, on_frame);
  nghttp2_session_callbacks_set_on_data_chunk_recv_callback(cb, on_chunk);
  nghttp2_session_callbacks_set_on_stream_close_callback(cb, on_close);
  nghttp2_session_client_new(&c->session, cb, c);
  nghttp2_session_callbacks_del(cb);
  nghttp2_submit_settings(c->session, NGHTTP2_FLAG_NONE, &window, 1);
}

static void h2_free(client *c) {
  for (int i = 0; i < c->count; i++) free(c->streams[i].body);
  nghttp2_session_del(c->session);
  close(c->fd);
}

#define FIELD(n, v) {(uint8_t *)(uintptr_t)(n), (uint8_t *)(uintptr_t)(v), strlen(n), strlen(v), NGHTTP2_NV_FLAG_NONE}

/* extra: "name", "value", ..., NULL; data must last. */
static stream *h2_request(client *c, const char *path, const char *type, const char *const *extra, const void *data, size_t n) {
  nghttp2_nv nv[16] = {FIELD(":method", "POST"), FIELD(":scheme", "http"), FIELD(":authority", "x"), FIELD(":path", path),
                       FIELD("content-type", type), FIELD("te", "trailers")};
  size_t count = 6;
  nghttp2_data_provider source;
  stream *t = &c->streams[c->count++];
  for (; extra && *extra; extra += 2) {
    nghttp2_nv one = FIELD(extra[0], extra[1]);
    nv[count++] = one;
  }
  memset(t, 0, sizeof *t);
  t->data = data;
  t->size = n;
  t->body = malloc(2 << 20);
  source.source.ptr = t;
  source.read_callback = on_read;
  t->id = nghttp2_submit_request(c->session, NULL, nv, count, &source, NULL);
  c->open++;
  return t;
}

/* Sends, and receives once. 0: the connection ended. */
static int h2_step(client *c) {
  uint8_t in[65536];
  if (nghttp2_session_send(c->session)) return 0;
  ssize_t n = recv(c->fd, in, sizeof in, 0);
  if (n <= 0) return 0;
  if (nghttp2_session_mem_recv(c->session, in, (size_t)n) < 0) return 0;
  return nghttp2_session_send(c->session) == 0;
}
static void h2_run(client *c) {
  while (c->open && h2_step(c)) {}
}

/* Value of the last field of that name, or NULL. */
static const char *field(const stream *t, const char *name) {
  static char value[4096];
  const char *found = NULL;
  size_t n = strlen(name);
  for (const char *line = t->fields; *line; line = strchr(line, '\n') + 1)
    if (strncmp(line, name, n) == 0 && strncmp(line + n, ": ", 2) == 0) found = line + n + 2;
  if (!found) return NULL;
  snprintf(value, sizeof value, "%.*s", (int)(strchr(found, '\n') - found), found);
  return value;
}

/* An enveloped message with a text; returns its length. */
static size_t enveloped(char *out, const char *text) {
  size_t n = message(out + 5, text);
  memset(out, 0, 4);
  out[4] = (char)n;
  return n + 5;
}

static stream *grpc(client *c, const char *const *extra, const void *data, size_t n) {
  return h2_request(c, "/s.S/Echo", "application/grpc", extra, data, n);
}

#endif
