#include "service.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Field numbers of connectrpc/conformance/v1/service.proto. */
enum { REQUEST_DEFINITION = 1, BIDI_FULL_DUPLEX = 2 };
enum { DEFINITION_HEADERS = 1, DEFINITION_DATA = 2, UNARY_ERROR = 3, UNARY_TRAILERS = 4, UNARY_DELAY = 6 };
enum { STREAM_DELAY = 3, STREAM_ERROR = 4, STREAM_TRAILERS = 5 };
enum { RESPONSE_PAYLOAD = 1, PAYLOAD_DATA = 1, PAYLOAD_INFO = 2 };
enum { INFO_HEADERS = 1, INFO_TIMEOUT = 2, INFO_REQUESTS = 3 };
enum { HEADER_NAME = 1, HEADER_VALUE = 2, ERROR_CODE = 1, ERROR_MESSAGE = 2, ERROR_DETAILS = 3, ANY_URL = 1, ANY_VALUE = 2 };

typedef struct bytes {
  char *data;
  size_t len;
} bytes;

/* What one call is asked to do, and how far it has come. Whoever runs it, the loop or a thread that sleeps in between,
 * holds a reference; so does the call until DONE. */
typedef struct play {
  atomic_int refs;
  zcrpc_call *call;
  zcrpc_arena *arena;
  const zcrpc_type *input;      /* of the requests */
  const zcrpc_view *definition; /* NULL: there is none */
  bytes *requests;              /* all that came and were not echoed yet */
  size_t count, space;
  size_t next;                  /* response to send */
  int64_t timeout;              /* as it was at the start; -1: none */
  int stream, full_duplex, begun, half_closed;
} play;

static void play_release(play *p) {
  size_t i;
  if (atomic_fetch_sub(&p->refs, 1) != 1) return;
  for (i = 0; i < p->count; i++) free(p->requests[i].data);
  free(p->requests);
  zcrpc_arena_free(p->arena);
  zcrpc_call_release(p->call);
  free(p);
}

static play *play_new(zcrpc_call *call) {
  zcrpc_call_info info = {.struct_size = sizeof info};
  zcrpc_method_info method = {.struct_size = sizeof method};
  play *p = calloc(1, sizeof *p);
  if (!p || !(p->arena = zcrpc_arena_new(NULL))) {
    free(p);
    return NULL;
  }
  zcrpc_call_get_info(call, &info);
  zcrpc_method_get_info(info.method, &method);
  atomic_store(&p->refs, 1);
  p->call = zcrpc_call_retain(call);
  p->input = method.input;
  p->stream = (method.flags & ZCRPC_METHOD_SERVER_STREAM) != 0;
  p->timeout = zcrpc_call_time_left(call);
  return p;
}

/* Keeps a request; the first tells what to do. 0: no memory. */
static int take_request(play *p, const zcrpc_view *request) {
  zcrpc_slice wire;
  bytes *b;
  if (p->count == p->space) {
    size_t space = p->space ? 2 * p->space : 4;
    bytes *more = realloc(p->requests, space * sizeof *more);
    if (!more) return 0;
    p->requests = more;
    p->space = space;
  }
  zcrpc_view_bytes(request, &wire);
  b = &p->requests[p->count];
  if (!(b->data = malloc(wire.len + 1))) return 0;
  if (wire.len) memcpy(b->data, wire.data, wire.len);
  b->len = wire.len;
  p->count++;
  if (!p->begun) {
    /* In memory of its own, since the bytes of a request go when it has been echoed. */
    zcrpc_buffer *copy;
    void *to;
    const zcrpc_view *own;
    if (!(copy = zcrpc_buffer_new(wire.len, &to, NULL))) return 0;
    if (wire.len) memcpy(to, wire.data, wire.len);
    own = zcrpc_view_decode_buffer(p->input, copy, NULL, p->arena, NULL);
    zcrpc_buffer_release(copy);
    if (!own) return 0;
    p->begun = 1;
    p->definition = zcrpc_view_message(own, REQUEST_DEFINITION);
    p->full_duplex = p->stream && zcrpc_view_int32(own, BIDI_FULL_DUPLEX) != 0;
  }
  return 1;
}

static void forget_requests(play *p) {
  while (p->count) free(p->requests[--p->count].data);
}

/* Metadata of one name is one Header with several values. */
static void put_headers(zcrpc_encoder *e, zcrpc_metadata *m) {
  size_t count = zcrpc_metadata_count(m), i, k;
  zcrpc_slice name, other, value;
  for (i = 0; i < count; i++) {
    zcrpc_metadata_at(m, i, &name, &value);
    for (k = 0; k < i; k++) {
      zcrpc_metadata_at(m, k, &other, &value);
      if (other.len == name.len && memcmp(other.data, name.data, name.len) == 0) break;
    }
    if (k < i) continue;
    zcrpc_encoder_begin(e, INFO_HEADERS);
    zcrpc_encoder_put_string(e, HEADER_NAME, name.data, name.len);
    for (k = i; k < count; k++) {
      zcrpc_metadata_at(m, k, &other, &value);
      if (other.len == name.len && memcmp(other.data, name.data, name.len) == 0) zcrpc_encoder_put_string(e, HEADER_VALUE, value.data, value.len);
    }
    zcrpc_encoder_end(e);
  }
}

/* The fields of a RequestInfo. */
static void put_info(play *p, zcrpc_encoder *e, int all) {
  char url[128];
  size_t i;
  if (all) {
    put_headers(e, zcrpc_call_metadata(p->call, ZCRPC_REQUEST_HEADERS));
    if (p->timeout >= 0) zcrpc_encoder_put_int64(e, INFO_TIMEOUT, p->timeout);
  }
  snprintf(url, sizeof url, "type.googleapis.com/%s", zcrpc_type_name(p->input));
  for (i = 0; i < p->count; i++) {
    zcrpc_encoder_begin(e, INFO_REQUESTS);
    zcrpc_encoder_put_string(e, ANY_URL, url, ZCRPC_NTS);
    zcrpc_encoder_put_string(e, ANY_VALUE, p->requests[i].data, p->requests[i].len);
    zcrpc_encoder_end(e);
  }
}

static void add_metadata(zcrpc_metadata *m, const zcrpc_view *definition, uint32_t field) {
  size_t i, k;
  for (i = 0; m && i < zcrpc_view_count(definition, field); i++) {
    const zcrpc_view *header = zcrpc_view_message_at(definition, field, i);
    zcrpc_slice name, value;
    char text[256];
    zcrpc_view_string(header, HEADER_NAME, &name);
    snprintf(text, sizeof text, "%.*s", (int)name.len, name.data);
    for (k = 0; text[k]; k++)
      if (text[k] >= 'A' && text[k] <= 'Z') text[k] = (char)(text[k] + 32);
    for (k = 0; k < zcrpc_view_count(header, HEADER_VALUE); k++) {
      zcrpc_view_string_at(header, HEADER_VALUE, k, &value);
      zcrpc_metadata_add(m, text, value.data, value.len, NULL);
    }
  }
}

static void add_detail(zcrpc_error *e, zcrpc_slice url, const void *value, size_t len) {
  char name[256];
  const char *slash;
  snprintf(name, sizeof name, "%.*s", (int)url.len, url.data);
  slash = strrchr(name, '/');
  zcrpc_error_add_detail(e, slash ? slash + 1 : name, value, len, NULL);
}

/* The error that the definition asks for; with_info: it carries what came. */
static zcrpc_error *make_error(play *p, const zcrpc_view *wanted, int with_info) {
  zcrpc_slice text, url, value;
  zcrpc_error *e;
  size_t i;
  zcrpc_view_string(wanted, ERROR_MESSAGE, &text);
  e = zcrpc_error_new(zcrpc_view_int32(wanted, ERROR_CODE), text.data, text.len);
  for (i = 0; i < zcrpc_view_count(wanted, ERROR_DETAILS); i++) {
    const zcrpc_view *any = zcrpc_view_message_at(wanted, ERROR_DETAILS, i);
    zcrpc_view_string(any, ANY_URL, &url);
    zcrpc_view_string(any, ANY_VALUE, &value);
    add_detail(e, url, value.data, value.len);
  }
  if (with_info) {
    static const char kInfo[] = "connectrpc.conformance.v1.ConformancePayload.RequestInfo";
    zcrpc_encoder *info = zcrpc_encoder_new(zcrpc_schema_type(service_schema, kInfo), NULL);
    zcrpc_buffer *encoded;
    put_info(p, info, 1);
    encoded = zcrpc_encoder_finish(info, NULL);
    zcrpc_buffer_slice(encoded, &value);
    url.data = kInfo;
    url.len = sizeof kInfo - 1;
    add_detail(e, url, value.data, value.len);
    zcrpc_buffer_release(encoded);
    zcrpc_encoder_free(info);
  }
  return e;
}

static int wait_ms(play *p, int64_t ms) {
  /* In small steps, so that a call that has ended does not keep its thread. */
  while (ms > 0 && !zcrpc_call_is_done(p->call)) {
    struct timespec t = {0, (long)(ms > 10 ? 10 : ms) * 1000000};
    nanosleep(&t, NULL);
    ms -= 10;
  }
  return !zcrpc_call_is_done(p->call);
}

static int64_t delay_of(const play *p) { return zcrpc_view_int64(p->definition, p->stream ? STREAM_DELAY : UNARY_DELAY); }

/* The answer of a method with one response. */
static void answer_once(play *p) {
  zcrpc_encoder *e = zcrpc_call_encoder(p->call);
  const zcrpc_view *error = zcrpc_view_message(p->definition, UNARY_ERROR);
  zcrpc_slice data;
  add_metadata(zcrpc_call_metadata(p->call, ZCRPC_RESPONSE_HEADERS), p->definition, DEFINITION_HEADERS);
  add_metadata(zcrpc_call_metadata(p->call, ZCRPC_RESPONSE_TRAILERS), p->definition, UNARY_TRAILERS);
  if (!wait_ms(p, delay_of(p))) return;
  if (error) {
    zcrpc_call_finish(p->call, make_error(p, error, 1));
    return;
  }
  zcrpc_view_string(p->definition, DEFINITION_DATA, &data);
  zcrpc_encoder_begin(e, RESPONSE_PAYLOAD);
  if (data.len) zcrpc_encoder_put_string(e, PAYLOAD_DATA, data.data, data.len);
  zcrpc_encoder_begin(e, PAYLOAD_INFO);
  put_info(p, e, 1);
  zcrpc_encoder_end(e);
  zcrpc_encoder_end(e);
  zcrpc_call_finish(p->call, NULL);
}

/* One response of a stream. 0: the call has ended. */
static int send_next(play *p) {
  zcrpc_encoder *e;
  zcrpc_slice data;
  if (!wait_ms(p, delay_of(p))) return 0;
  e = zcrpc_call_encoder(p->call);
  zcrpc_view_string_at(p->definition, DEFINITION_DATA, p->next, &data);
  zcrpc_encoder_begin(e, RESPONSE_PAYLOAD);
  zcrpc_encoder_put_string(e, PAYLOAD_DATA, data.data, data.len);
  if (p->next == 0 || (p->full_duplex && p->count)) {
    zcrpc_encoder_begin(e, PAYLOAD_INFO);
    put_info(p, e, p->next == 0);
    zcrpc_encoder_end(e);
    if (p->full_duplex) forget_requests(p);
  }
  zcrpc_encoder_end(e);
  p->next++;
  return zcrpc_call_send(p->call, NULL) == ZCRPC_OK;
}

static void begin_stream(play *p) {
  add_metadata(zcrpc_call_metadata(p->call, ZCRPC_RESPONSE_HEADERS), p->definition, DEFINITION_HEADERS);
  add_metadata(zcrpc_call_metadata(p->call, ZCRPC_RESPONSE_TRAILERS), p->definition, STREAM_TRAILERS);
  if (zcrpc_view_count(p->definition, DEFINITION_DATA)) zcrpc_call_send_headers(p->call, NULL);
}

/* All that is left of a stream's answer, and its end. */
static void end_stream(play *p) {
  const zcrpc_view *error = zcrpc_view_message(p->definition, STREAM_ERROR);
  while (p->next < zcrpc_view_count(p->definition, DEFINITION_DATA))
    if (!send_next(p)) return;
  zcrpc_call_finish(p->call, error ? make_error(p, error, p->next == 0) : NULL);
}

/* What is to be done after a request, or after the last one. */
static void step(play *p) {
  if (!p->stream) {
    answer_once(p);
  } else if (p->half_closed) {
    if (!p->full_duplex) begin_stream(p);
    end_stream(p);
  } else if (p->next >= zcrpc_view_count(p->definition, DEFINITION_DATA)) {
    if (p->next == 0) begin_stream(p);
    end_stream(p); /* a request too many gets the error at once */
  } else {
    if (p->next == 0) begin_stream(p);
    if (send_next(p)) zcrpc_call_read(p->call, 1);
  }
}

static void *run_slowly(void *user) {
  step(user);
  play_release(user);
  return NULL;
}

/* What takes time has a thread: the loop must not sleep. The next event comes when the step is done, save DONE. */
static void run_step(play *p) {
  pthread_t thread;
  if (delay_of(p) == 0) {
    step(p);
    return;
  }
  atomic_fetch_add(&p->refs, 1);
  if (pthread_create(&thread, NULL, run_slowly, p) == 0) {
    pthread_detach(thread);
  } else {
    play_release(p);
    zcrpc_call_fail(p->call, ZCRPC_RESOURCE_EXHAUSTED, "no thread", ZCRPC_NTS);
  }
}

zcrpc_code service_unary(zcrpc_call *call, const zcrpc_view *request, zcrpc_encoder *reply, void *user) {
  play *p = play_new(call);
  (void)reply;
  (void)user;
  if (!p) return ZCRPC_RESOURCE_EXHAUSTED;
  if (take_request(p, request)) {
    run_step(p);
  } else {
    zcrpc_call_fail(call, ZCRPC_RESOURCE_EXHAUSTED, "no memory", ZCRPC_NTS);
  }
  play_release(p);
  return ZCRPC_PENDING;
}

zcrpc_code service_unimplemented(zcrpc_call *call, const zcrpc_view *request, zcrpc_encoder *reply, void *user) {
  (void)request;
  (void)reply;
  (void)user;
  return zcrpc_call_fail(call, ZCRPC_UNIMPLEMENTED, "not implemented, as it should be", ZCRPC_NTS);
}

void service_stream(zcrpc_call *call, const zcrpc_event *event, const zcrpc_view *message, void *user) {
  play *p = zcrpc_call_user(call);
  (void)user;
  switch (event->kind) {
    case ZCRPC_EVENT_REQUEST:
      if (!(p = play_new(call))) {
        zcrpc_call_fail(call, ZCRPC_RESOURCE_EXHAUSTED, "no memory", ZCRPC_NTS);
        return;
      }
      zcrpc_call_set_user(call, p);
      if (!(event->flags & ZCRPC_EVENT_END)) {
        zcrpc_call_read(call, 1);
        return;
      }
      p->half_closed = 1; /* a stream of answers to one request */
      if (take_request(p, message)) run_step(p);
      break;
    case ZCRPC_EVENT_MESSAGE:
      if (!take_request(p, message)) {
        zcrpc_call_fail(call, ZCRPC_RESOURCE_EXHAUSTED, "no memory", ZCRPC_NTS);
      } else if (p->full_duplex) {
        run_step(p);
      } else {
        zcrpc_call_read(call, 1);
      }
      break;
    case ZCRPC_EVENT_HALF_CLOSE:
      p->half_closed = 1;
      run_step(p);
      break;
    case ZCRPC_EVENT_DONE:
      if (p) play_release(p);
      break;
    default: break;
  }
}
