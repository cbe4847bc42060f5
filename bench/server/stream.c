/* bench.v1.Stream/Fetch: one buffer, sent again and again by reference, as far as there is room. */
#include "stream.h"

#include <stdlib.h>
#include <string.h>

enum { kMostSize = 4 << 20 };

typedef struct fetch {
  zcrpc_buffer *payload;
  size_t size;
  int64_t left;
} fetch;

static void go_on(zcrpc_call *call, fetch *f) {
  while (f->left > 0) {
    size_t n = f->left < (int64_t)f->size ? (size_t)f->left : f->size;
    if (zcrpc_call_room(call) == 0) return;
    bench_v1_Chunk_put_payload_buffer(bench_v1_Stream_fetch_response(call), f->payload, 0, n);
    if (zcrpc_call_send(call, NULL)) return;
    f->left -= (int64_t)n;
  }
  zcrpc_call_finish(call, NULL);
}

static fetch *begin(const bench_v1_FetchRequest *request) {
  fetch *f = calloc(1, sizeof *f);
  int64_t size = bench_v1_FetchRequest_size(request);
  void *bytes;
  if (!f) return NULL;
  f->left = bench_v1_FetchRequest_bytes(request);
  f->size = size < 1 ? 1 : size > kMostSize ? kMostSize : (size_t)size;
  f->payload = zcrpc_buffer_new(f->size, &bytes, NULL);
  if (!f->payload) {
    free(f);
    return NULL;
  }
  memset(bytes, 'x', f->size);
  return f;
}

void stream_fetch(zcrpc_call *call, const zcrpc_event *event, const bench_v1_FetchRequest *message, void *user) {
  fetch *f = zcrpc_call_user(call);
  (void)user;
  switch (event->kind) {
    case ZCRPC_EVENT_REQUEST:
      f = begin(message);
      zcrpc_call_set_user(call, f);
      if (f) go_on(call, f);
      else zcrpc_call_fail(call, ZCRPC_RESOURCE_EXHAUSTED, NULL, 0);
      break;
    case ZCRPC_EVENT_WRITABLE:
      if (f) go_on(call, f);
      break;
    case ZCRPC_EVENT_DONE:
      if (f) zcrpc_buffer_release(f->payload);
      free(f);
      break;
    default: break;
  }
}
