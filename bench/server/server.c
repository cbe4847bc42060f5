/* zcrpc-bench-server --port N --threads N: bench.v1.Echo over Connect and gRPC, with default limits. Says where it
 * listens; on SIGTERM it drains, prints its counters as one line of JSON, and exits 0. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zcrpc.h>

#include "allocations.h"
#include "bench.zcrpc.h"
#include "stream.h"

enum { kWarmUp = 10000, kGraceMs = 10000 };

static zcrpc_server *server;
static atomic_ullong calls;

static void count_call(void) {
  if (atomic_fetch_add_explicit(&calls, 1, memory_order_relaxed) == kWarmUp)
    atomic_store_explicit(&allocations_counted, 1, memory_order_relaxed);
}

static zcrpc_code echo(zcrpc_call *call, const bench_v1_EchoRequest *request, bench_v1_EchoReply_writer *reply, void *user) {
  zcrpc_slice text = bench_v1_EchoRequest_text(request), payload = bench_v1_EchoRequest_payload(request);
  int64_t number = bench_v1_EchoRequest_number(request);
  (void)call;
  (void)user;
  count_call();
  if (text.len) bench_v1_EchoReply_put_text(reply, text.data, text.len);
  if (number) bench_v1_EchoReply_put_number(reply, number);
  if (payload.len) bench_v1_EchoReply_put_payload(reply, payload.data, payload.len);
  return ZCRPC_OK;
}

/* The line and the timestamp are read too, and kept from being optimised away. */
static volatile int64_t sink;

static size_t read_record(const bench_v1_LogRecord *r) {
  const bench_v1_SourceLocation *source = bench_v1_LogRecord_source(r);
  size_t i, labels = bench_v1_LogRecord_labels_count(r);
  size_t total = bench_v1_LogRecord_service(r).len + bench_v1_LogRecord_instance(r).len + bench_v1_LogRecord_text(r).len +
                 bench_v1_LogRecord_trace_id(r).len + bench_v1_LogRecord_span_id(r).len;
  for (i = 0; i < labels; i++) total += bench_v1_LogRecord_labels_key_at(r, i).len + bench_v1_LogRecord_labels_value_at(r, i).len;
  sink = bench_v1_LogRecord_timestamp_ns(r) + bench_v1_SourceLocation_line(source);
  return total + bench_v1_SourceLocation_file(source).len + bench_v1_SourceLocation_function(source).len;
}

static zcrpc_code ingest(zcrpc_call *call, const bench_v1_LogBatch *batch, bench_v1_LogSummary_writer *reply, void *user) {
  size_t count = bench_v1_LogBatch_records_count(batch), i, length = 0;
  bench_v1_Severity highest = bench_v1_Severity_SEVERITY_UNSPECIFIED;
  (void)call;
  (void)user;
  count_call();
  for (i = 0; i < count; i++) {
    const bench_v1_LogRecord *record = bench_v1_LogBatch_records(batch, i);
    if (bench_v1_LogRecord_severity(record) > highest) highest = bench_v1_LogRecord_severity(record);
    length += read_record(record);
  }
  if (count) bench_v1_LogSummary_put_count(reply, (int32_t)count);
  if (length) bench_v1_LogSummary_put_length(reply, (int64_t)length);
  if (highest) bench_v1_LogSummary_put_highest(reply, highest);
  return ZCRPC_OK;
}

static void on_term(int signo) {
  (void)signo;
  zcrpc_server_drain(server, kGraceMs);
}

static void print_counters(void) {
  unsigned long long made = atomic_load(&allocations_made); /* before printf, which allocates */
  zcrpc_stats s = {.struct_size = sizeof s};
  zcrpc_server_stats(server, &s);
  printf("{\"calls\": %llu, \"copies_in\": %llu, \"copies_out\": %llu, \"bytes_copied_in\": %llu, \"bytes_copied_out\": %llu, "
         "\"allocations\": %llu}\n",
         (unsigned long long)s.calls, (unsigned long long)s.copies_in, (unsigned long long)s.copies_out,
         (unsigned long long)s.bytes_copied_in, (unsigned long long)s.bytes_copied_out, made);
}

/* A whole decimal number; -1 for anything else. */
static int number(const char *text) {
  char *end;
  long n = strtol(text, &end, 10);
  return end == text || *end || n < 0 || n > 65535 ? -1 : (int)n;
}

int main(int argc, char **argv) {
  zcrpc_error *err = NULL;
  const bench_v1_Echo service = {.echo = echo, .ingest = ingest};
  const bench_v1_Stream streams = {.fetch = stream_fetch};
  struct sigaction on = {.sa_handler = on_term};
  int port = 0, threads = 1, i, status = EXIT_FAILURE;
  char address[64];

  for (i = 1; i + 1 < argc; i += 2) {
    if (strcmp(argv[i], "--port") == 0) port = number(argv[i + 1]);
    else if (strcmp(argv[i], "--threads") == 0) threads = number(argv[i + 1]);
    else break;
  }
  if (i < argc || port < 0 || port > 65535 || threads < 1) {
    fprintf(stderr, "usage: zcrpc-bench-server --port N --threads N\n");
    return 2;
  }
  snprintf(address, sizeof address, "127.0.0.1:%d", port);
  if (!(server = zcrpc_server_new(NULL, &err))) goto out;
  if (bench_v1_Echo_register(server, &service, &err) || bench_v1_Stream_register(server, &streams, &err)) goto out;
  if (zcrpc_server_listen(server, address, NULL, &err)) goto out;
  printf("listening %s\n", zcrpc_server_address(server, 0));
  fflush(stdout);
  sigaction(SIGTERM, &on, NULL);
  sigaction(SIGINT, &on, NULL);
  if (zcrpc_server_run(server, threads, &err)) goto out;
  print_counters();
  status = EXIT_SUCCESS;
out:
  if (status) fprintf(stderr, "zcrpc-bench-server: %s\n", zcrpc_error_message(err));
  zcrpc_error_free(err);
  zcrpc_server_free(server);
  return status;
}
