/* interop-server [--listen ADDRESS] [--age MS] [--grace MS] [--lame-duck MS] [--certificate FILE] [--cors ORIGINS]: interop.v1.Interop, for
 * other people's clients. Says where it listens; on SIGTERM it drains and exits 0. */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "google/rpc/error_details.zcrpc.h"
#include "interop.zcrpc.h"

enum { KEPT = 256, TEXT = 64 };

/* Streams by the text of their first request, the newest KEPT of them. */
typedef struct seen {
  char text[TEXT];
  int begun, done;
  zcrpc_code code;
} seen;

/* One stream. */
typedef struct play {
  char text[TEXT];
  seen *seen;
  int count, size, hold, after; /* of the first request */
  zcrpc_code code;
  int came, sent;
} play;

static seen table[KEPT]; /* one thread serves: no lock */
static unsigned next_seen;
static char filler[4 << 20];
static zcrpc_server *server;
static int64_t grace_ms = 5000;

static void on_signal(int number) {
  (void)number;
  zcrpc_server_drain(server, grace_ms);
}

static void copy_text(char *to, zcrpc_slice from) {
  size_t n = from.len < TEXT - 1 ? from.len : TEXT - 1;
  memcpy(to, from.data, n);
  to[n] = 0;
}

static void repeat(zcrpc_call *call, const char *name, int32_t where) {
  zcrpc_slice value;
  if (zcrpc_metadata_get(zcrpc_call_metadata(call, ZCRPC_REQUEST_HEADERS), name, &value))
    zcrpc_metadata_add(zcrpc_call_metadata(call, where), name, value.data, value.len, NULL);
}

static void repeat_metadata(zcrpc_call *call) {
  repeat(call, "x-interop", ZCRPC_RESPONSE_HEADERS);
  repeat(call, "x-interop-bin", ZCRPC_RESPONSE_TRAILERS);
}

static zcrpc_code refuse(zcrpc_call *call, zcrpc_code code, const char *text) {
  zcrpc_error *error = zcrpc_error_new(code, text, ZCRPC_NTS);
  zcrpc_encoder *detail = google_rpc_ErrorInfo_encoder(NULL);
  google_rpc_ErrorInfo_writer *info = google_rpc_ErrorInfo_write(detail);
  google_rpc_ErrorInfo_put_reason(info, "ASKED_FOR", ZCRPC_NTS);
  google_rpc_ErrorInfo_put_domain(info, "interop", ZCRPC_NTS);
  zcrpc_error_put_detail(error, detail, NULL);
  zcrpc_encoder_free(detail);
  zcrpc_call_finish(call, error);
  return code;
}

static void put_reply(interop_v1_Reply_writer *reply, zcrpc_slice text, int number, int size) {
  if (text.len) interop_v1_Reply_put_text(reply, text.data, text.len);
  if (number) interop_v1_Reply_put_number(reply, number);
  if (size > (int)sizeof filler) size = (int)sizeof filler;
  if (size > 0) interop_v1_Reply_put_payload(reply, filler, (size_t)size);
}

/* ---- unary ---- */

static void *hold_call(void *user) {
  struct timespec step = {0, 5000000};
  while (!zcrpc_call_is_done(user)) nanosleep(&step, NULL);
  zcrpc_call_release(user);
  return NULL;
}

static zcrpc_code unary(zcrpc_call *call, const interop_v1_Request *request, interop_v1_Reply_writer *reply, void *user) {
  zcrpc_slice text = interop_v1_Request_text(request);
  char copy[TEXT];
  pthread_t thread;
  (void)user;
  repeat_metadata(call);
  copy_text(copy, text);
  if (interop_v1_Request_code(request)) return refuse(call, interop_v1_Request_code(request), copy);
  if (interop_v1_Request_hold(request)) {
    if (pthread_create(&thread, NULL, hold_call, zcrpc_call_retain(call))) abort();
    pthread_detach(thread);
    return ZCRPC_PENDING;
  }
  put_reply(reply, text, 1, interop_v1_Request_size(request));
  return ZCRPC_OK;
}

/* The same; proxies may keep the answer. */
static zcrpc_code get(zcrpc_call *call, const interop_v1_Request *request, interop_v1_Reply_writer *reply, void *user) {
  zcrpc_metadata_add(zcrpc_call_metadata(call, ZCRPC_RESPONSE_HEADERS), "cache-control", "max-age=60", ZCRPC_NTS, NULL);
  return unary(call, request, reply, user);
}

static zcrpc_code tell_seen(zcrpc_call *call, const interop_v1_SeenRequest *request, interop_v1_SeenReply_writer *reply, void *user) {
  char text[TEXT];
  size_t i;
  (void)call;
  (void)user;
  copy_text(text, interop_v1_SeenRequest_text(request));
  for (i = 0; i < KEPT; i++)
    if (table[i].begun && strcmp(table[i].text, text) == 0) {
      interop_v1_SeenReply_put_begun(reply, 1);
      interop_v1_SeenReply_put_done(reply, table[i].done);
      interop_v1_SeenReply_put_code(reply, table[i].code);
      break;
    }
  return ZCRPC_OK;
}

/* ---- streams ---- */

static void begin(play *p, const interop_v1_Request *request) {
  copy_text(p->text, interop_v1_Request_text(request));
  p->count = interop_v1_Request_count(request);
  p->size = interop_v1_Request_size(request);
  p->hold = interop_v1_Request_hold(request);
  p->after = interop_v1_Request_after(request);
  p->code = interop_v1_Request_code(request);
  p->seen = &table[next_seen++ % KEPT];
  memset(p->seen, 0, sizeof *p->seen);
  memcpy(p->seen->text, p->text, TEXT);
  p->seen->begun = 1;
}

static void end(zcrpc_call *call, const play *p) {
  if (p->code) {
    refuse(call, p->code, p->text);
  } else {
    zcrpc_call_finish(call, NULL);
  }
}

static int send_one(zcrpc_call *call, play *p, zcrpc_slice text) {
  put_reply(interop_v1_Interop_download_response(call), text, ++p->sent, p->size);
  return zcrpc_call_send(call, NULL) == ZCRPC_OK;
}

/* As many as there is room for. */
static void pour(zcrpc_call *call, play *p) {
  zcrpc_slice text = {p->text, strlen(p->text)};
  int most = p->hold ? 1 : p->count;
  while (p->sent < most) {
    if (zcrpc_call_room(call) == 0) return; /* WRITABLE follows */
    if (!send_one(call, p, text)) return;
  }
  if (!p->hold) end(call, p);
}

static void finish_upload(zcrpc_call *call, play *p) {
  zcrpc_slice text = {p->text, strlen(p->text)};
  if (!p->code) put_reply(interop_v1_Interop_upload_response(call), text, p->came, p->size);
  end(call, p);
}

/* What streams of every kind share: their state, and that DONE is noted. NULL: nothing more is to be done. */
static play *advance(zcrpc_call *call, const zcrpc_event *event, const interop_v1_Request *message) {
  play *p = zcrpc_call_user(call);
  if (event->kind == ZCRPC_EVENT_REQUEST) {
    if (!(p = calloc(1, sizeof *p))) return NULL;
    zcrpc_call_set_user(call, p);
    repeat_metadata(call);
  }
  if (message && ++p->came == 1) begin(p, message);
  if (event->kind != ZCRPC_EVENT_DONE) return p;
  if (p && p->seen) {
    p->seen->done = 1;
    p->seen->code = event->value;
  }
  free(p);
  return NULL;
}

static void download(zcrpc_call *call, const zcrpc_event *event, const interop_v1_Request *message, void *user) {
  play *p = advance(call, event, message);
  (void)user;
  if (p && (event->kind == ZCRPC_EVENT_REQUEST || event->kind == ZCRPC_EVENT_WRITABLE)) pour(call, p);
}

static void upload(zcrpc_call *call, const zcrpc_event *event, const interop_v1_Request *message, void *user) {
  play *p = advance(call, event, message);
  (void)user;
  if (!p) return;
  if (event->kind == ZCRPC_EVENT_HALF_CLOSE) {
    if (!p->hold) finish_upload(call, p);
  } else if (p->after && p->came == p->after) {
    finish_upload(call, p);
  } else if (event->kind != ZCRPC_EVENT_WRITABLE) {
    zcrpc_call_read(call, 1);
  }
}

static void chat(zcrpc_call *call, const zcrpc_event *event, const interop_v1_Request *message, void *user) {
  play *p = advance(call, event, message);
  (void)user;
  if (!p) return;
  if (event->kind == ZCRPC_EVENT_HALF_CLOSE) {
    if (!p->hold) end(call, p);
    return;
  }
  if (event->kind == ZCRPC_EVENT_WRITABLE) return;
  if (message && !send_one(call, p, interop_v1_Request_text(message))) return;
  if (p->after && p->came == p->after) {
    end(call, p);
  } else {
    zcrpc_call_read(call, 1);
  }
}

/* ---- the program ---- */

int main(int argc, char **argv) {
  static const interop_v1_Interop service = {
      .unary = unary, .get = get, .download = download, .upload = upload, .chat = chat, .seen = tell_seen};
  zcrpc_options *o = zcrpc_options_new(ZCRPC_FOR_SERVER, NULL), *with = zcrpc_options_new(ZCRPC_FOR_TLS, NULL);
  const char *address = "127.0.0.1:0";
  zcrpc_error *err = NULL;
  zcrpc_tls *tls = NULL;
  int i, status = EXIT_FAILURE;

  memset(filler, 'f', sizeof filler);
  for (i = 1; i + 1 < argc; i += 2) {
    zcrpc_code code = ZCRPC_OK;
    if (!strcmp(argv[i], "--listen")) {
      address = argv[i + 1];
    } else if (!strcmp(argv[i], "--grace")) {
      grace_ms = atoi(argv[i + 1]);
    } else if (!strcmp(argv[i], "--age")) {
      code = zcrpc_options_set_int(o, ZCRPC_SERVER_MAX_CONNECTION_AGE, atoi(argv[i + 1]), &err);
    } else if (!strcmp(argv[i], "--lame-duck")) {
      code = zcrpc_options_set_int(o, ZCRPC_SERVER_LAME_DUCK, atoi(argv[i + 1]), &err);
    } else if (!strcmp(argv[i], "--cors")) {
      code = zcrpc_options_set_string(o, ZCRPC_SERVER_CORS_ORIGINS, argv[i + 1], &err);
      if (!code) code = zcrpc_options_set_string(o, ZCRPC_SERVER_CORS_HEADERS, "x-interop, x-interop-bin", &err);
      if (!code) code = zcrpc_options_set_string(o, ZCRPC_SERVER_CORS_EXPOSE, "x-interop, trailer-x-interop-bin", &err);
    } else if (!strcmp(argv[i], "--certificate")) {
      if (!(code = zcrpc_options_set_string(with, ZCRPC_TLS_CERTIFICATE, argv[i + 1], &err)) && !(tls = zcrpc_tls_new(with, &err)))
        code = ZCRPC_INVALID_ARGUMENT;
    } else {
      break;
    }
    if (code) goto out;
  }
  if (i != argc) {
    fprintf(stderr, "usage: interop-server [--listen ADDRESS] [--age MS] [--grace MS] [--lame-duck MS] [--certificate FILE] [--cors ORIGINS]\n");
    return 2;
  }
  if (!(server = zcrpc_server_new(o, &err)) || interop_v1_Interop_register(server, &service, &err) ||
      zcrpc_server_listen(server, address, tls, &err))
    goto out;
  signal(SIGTERM, on_signal);
  printf("listening %s\n", zcrpc_server_address(server, 0));
  fflush(stdout);
  if (zcrpc_server_run(server, 1, &err) == ZCRPC_OK) status = EXIT_SUCCESS;
out:
  if (err) fprintf(stderr, "interop-server: %s\n", zcrpc_error_message(err));
  zcrpc_error_free(err);
  zcrpc_server_free(server);
  zcrpc_tls_free(tls);
  zcrpc_options_free(o);
  zcrpc_options_free(with);
  return status;
}
