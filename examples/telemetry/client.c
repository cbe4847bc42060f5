/* Sends three records and asks for the summary.
 *   telemetry-client [TARGET] [SOURCE]     (http://127.0.0.1:8080 demo; with an empty SOURCE the server refuses) */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "google/rpc/error_details.zcrpc.h"
#include "telemetry.zcrpc.h"

/* The error's text, and the fields that google.rpc.BadRequest names. */
static void report(const zcrpc_error *e) {
  zcrpc_arena *arena = zcrpc_arena_new(NULL);
  size_t i, k;
  fprintf(stderr, "%s: %s\n", zcrpc_code_name(zcrpc_error_code(e)), zcrpc_error_message(e));
  for (i = 0; arena && i < zcrpc_error_detail_count(e); i++) {
    zcrpc_slice type, value;
    const google_rpc_BadRequest *bad;
    zcrpc_error_detail(e, i, &type, &value);
    fprintf(stderr, "  detail: %.*s\n", (int)type.len, type.data);
    bad = google_rpc_BadRequest_decode(value.data, value.len, arena, NULL);
    for (k = 0; k < google_rpc_BadRequest_field_violations_count(bad); k++) {
      const google_rpc_BadRequest_FieldViolation *v = google_rpc_BadRequest_field_violations(bad, k);
      zcrpc_slice field = google_rpc_BadRequest_FieldViolation_field(v), why = google_rpc_BadRequest_FieldViolation_description(v);
      fprintf(stderr, "    %.*s: %.*s\n", (int)field.len, field.data, (int)why.len, why.data);
    }
  }
  zcrpc_arena_free(arena);
}

static void print(const char *what, const telemetry_v1_Summary *s) {
  printf("%s: %lld records, %lld bytes of text, %lld labels, highest severity %d\n", what, (long long)telemetry_v1_Summary_records(s),
         (long long)telemetry_v1_Summary_text_bytes(s), (long long)telemetry_v1_Summary_labels(s), (int)telemetry_v1_Summary_highest(s));
}

static void write_records(telemetry_v1_IngestRequest_writer *request, const char *source) {
  static const char *const texts[] = {"starting", "disk is getting full", "cannot write"};
  int i;
  for (i = 0; i < 3; i++) {
    telemetry_v1_Record_writer *r = telemetry_v1_IngestRequest_begin_records(request);
    telemetry_v1_Record_put_time_ns(r, (int64_t)time(NULL) * 1000000000 + i);
    telemetry_v1_Record_put_source(r, source, ZCRPC_NTS);
    telemetry_v1_Record_put_severity(r, telemetry_v1_Severity_SEVERITY_INFO + i);
    telemetry_v1_Record_put_text(r, texts[i], ZCRPC_NTS);
    telemetry_v1_Record_put_labels(r, "host", ZCRPC_NTS, "lab-7", ZCRPC_NTS);
    telemetry_v1_Record_end(r);
  }
}

int main(int argc, char **argv) {
  const char *target = argc > 1 ? argv[1] : "http://127.0.0.1:8080", *source = argc > 2 ? argv[2] : "demo";
  zcrpc_error *err = NULL;
  zcrpc_channel *channel = zcrpc_channel_new(NULL, target, NULL, NULL, &err);
  zcrpc_call *ingest = NULL, *get = NULL;
  const telemetry_v1_Summary *summary;
  int status = EXIT_FAILURE;

  if (!channel || !(ingest = telemetry_v1_Telemetry_ingest_open(channel, NULL, &err))) goto out;
  zcrpc_call_set_timeout(ingest, 2000);
  write_records(telemetry_v1_Telemetry_ingest_request(ingest), source);
  if (!(summary = telemetry_v1_Telemetry_ingest_reply(ingest, &err))) goto out;
  print("all", summary);

  if (!(get = telemetry_v1_Telemetry_get_summary_open(channel, NULL, &err))) goto out;
  telemetry_v1_GetSummaryRequest_put_source(telemetry_v1_Telemetry_get_summary_request(get), source, ZCRPC_NTS);
  if (!(summary = telemetry_v1_Telemetry_get_summary_reply(get, &err))) goto out;
  print(source, summary);
  status = EXIT_SUCCESS;
out:
  if (err) report(err);
  zcrpc_call_release(ingest);
  zcrpc_call_release(get);
  zcrpc_channel_free(channel);
  zcrpc_error_free(err);
  return status;
}
