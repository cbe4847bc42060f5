/* What the tests of streams within the process share: a server that listens nowhere, and a handler that does as the text of its
 * request says:
 *   "flood N SIZE"  N messages, as far as there is room   "never"   nothing      "refuse"  an error with details
 *   "cancel"        a message, and a reset                "later"   three messages from another thread
 *   "share"         the message in `shared`               else      "a", "b"; "break": and then an error
 * Collect answers with all texts and the sum of the payloads' lengths, Chat with each message; "fail" ends it. A request with
 * x-hold gets its credits from the test, by `held`. */
#ifndef TESTS_API_INPROC_H
#define TESTS_API_INPROC_H

#include "serve.h"

enum { LARGE = 300000 };

static zcrpc_channel *channel; /* without a loop: blocking callers */
static atomic_int done_calls, done_code, intercepted, half_closes, writables, sent_messages, messages_seen;
static _Atomic(const void *) seen_at; /* where the server's handler read a payload */
static _Atomic(zcrpc_call *) held;    /* of a call that waits for its credits */
static zcrpc_buffer *shared;          /* an encoded message in memory of the application's */

typedef struct job {
  char word[64];
  int sent;
  size_t received;
} job;

static void put(zcrpc_call *call, const char *text) { zcrpc_encoder_put_string(zcrpc_call_encoder(call), TEXT, text, ZCRPC_NTS); }

static void *later(void *user) {
  zcrpc_call *call = user;
  for (int i = 0; i < 3; i++) {
    put(call, "later");
    zcrpc_call_send(call, NULL);
  }
  zcrpc_call_finish(call, NULL);
  zcrpc_call_release(call);
  return NULL;
}

/* "flood N SIZE": N messages, as far as there is room. */
static void flood(zcrpc_call *call, job *j) {
  static char big[LARGE];
  int n = 0, size = 0;
  sscanf(j->word, "flood %d %d", &n, &size);
  for (; j->sent < n; j->sent++) {
    if (zcrpc_call_room(call) == 0) return;
    zcrpc_encoder_put_int64(zcrpc_call_encoder(call), NUMBER, j->sent);
    zcrpc_encoder_put_string(zcrpc_call_encoder(call), PAYLOAD, big, (size_t)size);
    if (zcrpc_call_send(call, NULL)) return;
    atomic_fetch_add(&sent_messages, 1);
  }
  zcrpc_call_finish(call, NULL);
}

static void answer(zcrpc_call *call, job *j) {
  if (strncmp(j->word, "flood", 5) == 0) {
    flood(call, j);
  } else if (strcmp(j->word, "never") == 0) {
  } else if (strcmp(j->word, "refuse") == 0) {
    fail_with_detail(call);
  } else if (strcmp(j->word, "cancel") == 0) {
    put(call, "a");
    zcrpc_call_send(call, NULL);
    zcrpc_call_cancel(call);
  } else if (strcmp(j->word, "share") == 0) {
    zcrpc_call_send_buffer(call, shared, NULL);
    zcrpc_call_finish(call, NULL);
  } else if (strcmp(j->word, "later") == 0) {
    pthread_t t;
    pthread_create(&t, NULL, later, zcrpc_call_retain(call));
    pthread_detach(t);
  } else {
    zcrpc_slice ask = {"", 0};
    zcrpc_metadata_get(zcrpc_call_metadata(call, ZCRPC_REQUEST_HEADERS), "x-ask", &ask);
    if (ask.len) zcrpc_metadata_add(zcrpc_call_metadata(call, ZCRPC_RESPONSE_HEADERS), "x-head", ask.data, ask.len, NULL);
    zcrpc_metadata_add(zcrpc_call_metadata(call, ZCRPC_RESPONSE_TRAILERS), "x-tail-bin", "\0\xff", 2, NULL);
    put(call, "a");
    zcrpc_call_send(call, NULL);
    put(call, "b");
    zcrpc_call_send(call, NULL);
    if (strcmp(j->word, "break") == 0) fail_with_detail(call);
    else zcrpc_call_finish(call, NULL);
  }
}

static void on_event(zcrpc_call *call, const zcrpc_event *e, const zcrpc_view *message, void *user) {
  job *j = zcrpc_call_user(call);
  int chat = user != NULL;
  zcrpc_slice text, payload;
  if (!j && e->kind != ZCRPC_EVENT_REQUEST && e->kind != ZCRPC_EVENT_DONE) return;
  switch (e->kind) {
    case ZCRPC_EVENT_REQUEST:
      zcrpc_call_set_user(call, j = calloc(1, sizeof *j));
      if (!j) {
        zcrpc_call_fail(call, ZCRPC_RESOURCE_EXHAUSTED, "no memory", ZCRPC_NTS);
      } else if (e->flags & ZCRPC_EVENT_END) {
        zcrpc_view_string(message, TEXT, &text);
        zcrpc_view_string(message, PAYLOAD, &payload);
        atomic_store(&seen_at, payload.data);
        snprintf(j->word, sizeof j->word, "%.*s", (int)text.len, text.data);
        answer(call, j);
      } else {
        zcrpc_slice hold;
        if (zcrpc_metadata_get(zcrpc_call_metadata(call, ZCRPC_REQUEST_HEADERS), "x-hold", &hold)) atomic_store(&held, zcrpc_call_retain(call));
        else zcrpc_call_read(call, chat ? 1 : 1000000);
      }
      break;
    case ZCRPC_EVENT_MESSAGE:
      atomic_fetch_add(&messages_seen, 1);
      zcrpc_view_string(message, PAYLOAD, &payload);
      atomic_store(&seen_at, payload.data);
      j->received += payload.len;
      zcrpc_view_string(message, TEXT, &text);
      if (!chat) {
        size_t have = strlen(j->word);
        snprintf(j->word + have, sizeof j->word - have, "%.*s", (int)text.len, text.data);
        break;
      }
      if (is(text, "fail")) {
        fail_with_detail(call);
        break;
      }
      zcrpc_encoder_put_fields(zcrpc_call_encoder(call), message);
      zcrpc_call_send(call, NULL);
      zcrpc_call_read(call, 1);
      break;
    case ZCRPC_EVENT_HALF_CLOSE:
      atomic_fetch_add(&half_closes, 1);
      if (!chat && strcmp(j->word, "none") != 0) {
        put(call, j->word);
        zcrpc_encoder_put_int64(zcrpc_call_encoder(call), NUMBER, (int64_t)j->received);
      }
      zcrpc_call_finish(call, NULL);
      break;
    case ZCRPC_EVENT_WRITABLE:
      atomic_fetch_add(&writables, 1);
      flood(call, j);
      break;
    case ZCRPC_EVENT_DONE:
      atomic_store(&done_code, e->value);
      free(j);
      atomic_fetch_add(&done_calls, 1);
      break;
    default: fail_msg("event %d", e->kind);
  }
}

static zcrpc_code look(zcrpc_call *call, const zcrpc_event *e, const zcrpc_view *m, void *user) {
  zcrpc_call_info info = {.struct_size = sizeof info};
  zcrpc_slice text;
  (void)user;
  zcrpc_call_get_info(call, &info);
  if (e->kind == ZCRPC_EVENT_HEADERS) {
    zcrpc_slice s;
    atomic_fetch_add(&intercepted, 1);
    if (info.http != 0 || info.peer.len != 6 || memcmp(info.peer.data, "inproc", 6)) return ZCRPC_INTERNAL;
    if (zcrpc_metadata_get(zcrpc_call_metadata(call, ZCRPC_REQUEST_HEADERS), "x-refuse", &s)) return zcrpc_call_fail(call, ZCRPC_PERMISSION_DENIED, "no", 2);
  }
  if (e->kind == ZCRPC_EVENT_MESSAGE) {
    zcrpc_view_string(m, TEXT, &text);
    if (is(text, "forbidden")) return ZCRPC_PERMISSION_DENIED;
  }
  return ZCRPC_OK;
}

static void serve_streams(zcrpc_server *s) {
  assert_int_equal(zcrpc_server_handle_events(s, method("s.S/Stream"), NULL, on_event, NULL, NULL), ZCRPC_OK);
  assert_int_equal(zcrpc_server_handle_events(s, method("s.S/Collect"), NULL, on_event, NULL, NULL), ZCRPC_OK);
  assert_int_equal(zcrpc_server_handle_events(s, method("s.S/Chat"), NULL, on_event, s, NULL), ZCRPC_OK);
}

static zcrpc_options *options(void) {
  zcrpc_options *o = server_options();
  assert_int_equal(zcrpc_options_add_interceptor(o, look, NULL, NULL), ZCRPC_OK);
  set_int(o, ZCRPC_LIMIT_MESSAGE, 1 << 20);
  set_int(o, ZCRPC_SERVER_LINGER, 60000); /* of sockets alone */
  return o;
}

static zcrpc_call *open_in(zcrpc_channel *ch, const char *name) {
  zcrpc_error *err = NULL;
  zcrpc_call *c = zcrpc_channel_open(ch, method(name), NULL, &err);
  if (!c) fail_msg("%s", zcrpc_error_message(err));
  return c;
}

/* Once the server's threads serve. */
static void await_server(zcrpc_channel *ch) {
  for (int64_t limit = now_ms() + 10000;; usleep(1000)) {
    zcrpc_call *c = open_in(ch, "s.S/Echo");
    int served = zcrpc_call_unary(c, NULL) != NULL;
    zcrpc_call_release(c);
    if (served) return;
    if (now_ms() > limit) fail_msg("nobody serves");
  }
}

/* A server that listens nowhere. */
static void make_without_address(zcrpc_options *o) {
  zcrpc_error *err = NULL;
  schema = zcrpc_schema_new(kServeSet, sizeof kServeSet, &err);
  server = zcrpc_server_new(o, &err);
  zcrpc_options_free(o);
  if (!server) fail_msg("%s", zcrpc_error_message(err));
  assert_int_equal(zcrpc_server_handle(server, method("s.S/Echo"), NULL, handler, NULL, NULL), ZCRPC_OK);
  serve_streams(server);
}

static int start(void **state) {
  (void)state;
  signal(SIGALRM, SIG_DFL);
  alarm(170);
  make_without_address(options());
  pthread_create(&server_thread, NULL, server_main, (void *)(intptr_t)2);
  channel = zcrpc_channel_new_inproc(NULL, server, NULL, NULL);
  assert_non_null(channel);
  await_server(channel);
  return 0;
}
static int end(void **state) {
  zcrpc_channel_free(channel);
  return stop_default(state);
}

static void await_done(int n) {
  for (int64_t limit = now_ms() + 10000; atomic_load(&done_calls) < n; usleep(500))
    if (now_ms() > limit) fail_msg("the server's call does not end");
}

/* The next message's text; NULL: the end, with its code in *code. */
static const char *next(zcrpc_call *c, zcrpc_code *code) {
  static _Thread_local char text[64];
  const zcrpc_view *v = NULL;
  zcrpc_error *err = NULL;
  zcrpc_slice s;
  zcrpc_code got = zcrpc_call_next(c, &v, &err);
  if (code) *code = got;
  zcrpc_error_free(err);
  if (!v) return NULL;
  assert_int_equal(got, ZCRPC_OK);
  zcrpc_view_string(v, TEXT, &s);
  snprintf(text, sizeof text, "%.*s", (int)s.len, s.data);
  return text;
}

#endif
