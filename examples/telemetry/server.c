/* A telemetry service: log batches in, a summary out. Connect and gRPC, HTTP/1.1 and HTTP/2, on one port.
 *   telemetry-server [ADDRESS]          (127.0.0.1:8080) */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "google/rpc/error_details.zcrpc.h"
#include "telemetry.zcrpc.h"
enum { SOURCES = 64, NAME = 64 };

typedef struct tally {
  char source[NAME];
  int64_t records, text_bytes, labels, latest_ns;
  telemetry_v1_Severity highest;
} tally;
typedef struct store { /* one thread serves: no lock */
  tally all, by_source[SOURCES];
  int sources;
} store;

static zcrpc_server *server;
static void on_signal(int number) {
  (void)number;
  zcrpc_server_drain(server, 2000); /* may be called in a signal handler */
}

/* Answers invalid_argument, and names the field for people (the text) and for programs (google.rpc.BadRequest). */
static zcrpc_code refuse(zcrpc_call *call, size_t record, const char *field, const char *why) {
  zcrpc_encoder *detail = google_rpc_BadRequest_encoder(NULL);
  google_rpc_BadRequest_FieldViolation_writer *violation;
  zcrpc_error *error;
  zcrpc_buffer *bytes;
  zcrpc_slice s = {NULL, 0};
  char path[80], text[160];
  snprintf(path, sizeof path, "records[%zu].%s", record, field);
  snprintf(text, sizeof text, "%s: %s", path, why);
  error = zcrpc_error_new(ZCRPC_INVALID_ARGUMENT, text, ZCRPC_NTS);
  violation = google_rpc_BadRequest_begin_field_violations(google_rpc_BadRequest_write(detail));
  google_rpc_BadRequest_FieldViolation_put_field(violation, path, ZCRPC_NTS);
  google_rpc_BadRequest_FieldViolation_put_description(violation, why, ZCRPC_NTS);
  google_rpc_BadRequest_FieldViolation_end(violation);
  bytes = zcrpc_encoder_finish(detail, NULL);
  zcrpc_buffer_slice(bytes, &s);
  zcrpc_error_add_detail(error, "google.rpc.BadRequest", s.data, s.len, NULL);
  zcrpc_buffer_release(bytes);
  zcrpc_encoder_free(detail);
  zcrpc_call_finish(call, error); /* takes it */
  return ZCRPC_INVALID_ARGUMENT;
}

static tally *find(store *st, zcrpc_slice source, int add) {
  int i;
  for (i = 0; i < st->sources; i++)
    if (strlen(st->by_source[i].source) == source.len && !memcmp(st->by_source[i].source, source.data, source.len))
      return &st->by_source[i];
  if (!add || st->sources == SOURCES) return NULL;
  memcpy(st->by_source[st->sources].source, source.data, source.len); /* shorter than NAME: checked before */
  return &st->by_source[st->sources++];
}

static void count(tally *t, const telemetry_v1_Record *r) {
  t->records++;
  t->text_bytes += (int64_t)telemetry_v1_Record_text(r).len;
  t->labels += (int64_t)telemetry_v1_Record_labels_count(r);
  if (telemetry_v1_Record_severity(r) > t->highest) t->highest = telemetry_v1_Record_severity(r);
  if (telemetry_v1_Record_time_ns(r) > t->latest_ns) t->latest_ns = telemetry_v1_Record_time_ns(r);
}

static zcrpc_code answer(const tally *t, telemetry_v1_Summary_writer *reply) {
  telemetry_v1_Summary_put_records(reply, t->records);
  telemetry_v1_Summary_put_text_bytes(reply, t->text_bytes);
  telemetry_v1_Summary_put_labels(reply, t->labels);
  telemetry_v1_Summary_put_highest(reply, t->highest);
  telemetry_v1_Summary_put_latest_ns(reply, t->latest_ns);
  return ZCRPC_OK;
}

static zcrpc_code ingest(zcrpc_call *call, const telemetry_v1_IngestRequest *request, telemetry_v1_Summary_writer *reply, void *user) {
  size_t i, n = telemetry_v1_IngestRequest_records_count(request);
  store *st = user;
  for (i = 0; i < n; i++) { /* all is checked before anything is taken */
    zcrpc_slice source = telemetry_v1_Record_source(telemetry_v1_IngestRequest_records(request, i));
    if (source.len == 0) return refuse(call, i, "source", "must not be empty");
    if (source.len >= NAME) return refuse(call, i, "source", "must be shorter than 64 bytes");
  }
  for (i = 0; i < n; i++) {
    const telemetry_v1_Record *r = telemetry_v1_IngestRequest_records(request, i);
    tally *t = find(st, telemetry_v1_Record_source(r), 1);
    count(&st->all, r);
    if (t) count(t, r);
  }
  return answer(&st->all, reply);
}

static zcrpc_code get_summary(zcrpc_call *call, const telemetry_v1_GetSummaryRequest *request, telemetry_v1_Summary_writer *reply, void *user) {
  zcrpc_slice source = telemetry_v1_GetSummaryRequest_source(request);
  tally *t = source.len ? find(user, source, 0) : &((store *)user)->all;
  return t ? answer(t, reply) : zcrpc_call_fail(call, ZCRPC_NOT_FOUND, "nothing has come from this source", ZCRPC_NTS);
}

int main(int argc, char **argv) {
  static store st;
  const telemetry_v1_Telemetry service = {.user = &st, .ingest = ingest, .get_summary = get_summary};
  zcrpc_error *err = NULL;
  int status = EXIT_FAILURE;
  if (!(server = zcrpc_server_new(NULL, &err)) || telemetry_v1_Telemetry_register(server, &service, &err) ||
      zcrpc_server_listen(server, argc > 1 ? argv[1] : "127.0.0.1:8080", NULL, &err))
    goto out;
  signal(SIGTERM, on_signal);
  signal(SIGINT, on_signal);
  printf("listening %s\n", zcrpc_server_address(server, 0));
  fflush(stdout);
  if (zcrpc_server_run(server, 1, &err) == ZCRPC_OK) status = EXIT_SUCCESS;
out:
  if (err) fprintf(stderr, "%s\n", zcrpc_error_message(err));
  zcrpc_error_free(err);
  zcrpc_server_free(server);
  return status;
}
