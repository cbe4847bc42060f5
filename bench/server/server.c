/* zcrpc-bench-server --port N --threads N: bench.v1.Echo over Connect and gRPC, with default limits. Says where it
 * listens; on SIGTERM it drains, prints its counters as one line of JSON, and exits 0. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zcrpc.h>

#include "allocations.h"
#include "bench_set.h" /* kBenchSet, the FileDescriptorSet of bench.proto */

enum { kWarmUp = 10000, kGraceMs = 10000 };

/* Fields, by their numbers in bench.proto. */
enum { ECHO_TEXT = 1, ECHO_NUMBER = 2, ECHO_PAYLOAD = 3 };
enum { BATCH_RECORDS = 1 };
enum {
  RECORD_TIMESTAMP = 1, RECORD_SERVICE = 2, RECORD_INSTANCE = 3, RECORD_SEVERITY = 4, RECORD_TEXT = 5, RECORD_LABELS = 6,
  RECORD_TRACE = 7, RECORD_SPAN = 8, RECORD_SOURCE = 9
};
enum { SOURCE_FILE = 1, SOURCE_LINE = 2, SOURCE_FUNCTION = 3 };
enum { SUMMARY_COUNT = 1, SUMMARY_LENGTH = 2, SUMMARY_HIGHEST = 3 };

static zcrpc_server *server;
static atomic_ullong calls;

static void count_call(void) {
  if (atomic_fetch_add_explicit(&calls, 1, memory_order_relaxed) == kWarmUp)
    atomic_store_explicit(&allocations_counted, 1, memory_order_relaxed);
}

static zcrpc_code echo(zcrpc_call *call, const zcrpc_view *request, zcrpc_encoder *reply, void *user) {
  zcrpc_slice text, payload;
  int64_t number = zcrpc_view_int64(request, ECHO_NUMBER);
  (void)call;
  (void)user;
  count_call();
  zcrpc_view_string(request, ECHO_TEXT, &text);
  zcrpc_view_string(request, ECHO_PAYLOAD, &payload);
  if (text.len) zcrpc_encoder_put_string(reply, ECHO_TEXT, text.data, text.len);
  if (number) zcrpc_encoder_put_int64(reply, ECHO_NUMBER, number);
  if (payload.len) zcrpc_encoder_put_string(reply, ECHO_PAYLOAD, payload.data, payload.len);
  return ZCRPC_OK;
}

static size_t length_of(const zcrpc_view *v, uint32_t field) {
  zcrpc_slice s;
  zcrpc_view_string(v, field, &s);
  return s.len;
}

/* The line and the timestamp are read too, and kept from being optimised away. */
static volatile int64_t sink;

static size_t read_record(const zcrpc_view *record) {
  static const uint32_t strings[] = {RECORD_SERVICE, RECORD_INSTANCE, RECORD_TEXT, RECORD_TRACE, RECORD_SPAN};
  const zcrpc_view *source = zcrpc_view_message(record, RECORD_SOURCE);
  size_t total = 0, i, labels = zcrpc_view_count(record, RECORD_LABELS);
  zcrpc_slice s;
  for (i = 0; i < sizeof strings / sizeof *strings; i++) total += length_of(record, strings[i]);
  for (i = 0; i < labels; i++) {
    zcrpc_view_key_at(record, RECORD_LABELS, i, &s);
    total += s.len;
    zcrpc_view_string_at(record, RECORD_LABELS, i, &s);
    total += s.len;
  }
  sink = zcrpc_view_int64(record, RECORD_TIMESTAMP) + zcrpc_view_int64(source, SOURCE_LINE);
  return total + length_of(source, SOURCE_FILE) + length_of(source, SOURCE_FUNCTION);
}

static zcrpc_code ingest(zcrpc_call *call, const zcrpc_view *batch, zcrpc_encoder *reply, void *user) {
  size_t count = zcrpc_view_count(batch, BATCH_RECORDS), i, length = 0;
  int64_t highest = 0;
  (void)call;
  (void)user;
  count_call();
  for (i = 0; i < count; i++) {
    const zcrpc_view *record = zcrpc_view_message_at(batch, BATCH_RECORDS, i);
    int64_t severity = zcrpc_view_int64(record, RECORD_SEVERITY);
    if (severity > highest) highest = severity;
    length += read_record(record);
  }
  if (count) zcrpc_encoder_put_int64(reply, SUMMARY_COUNT, (int64_t)count);
  if (length) zcrpc_encoder_put_int64(reply, SUMMARY_LENGTH, (int64_t)length);
  if (highest) zcrpc_encoder_put_int64(reply, SUMMARY_HIGHEST, highest);
  return ZCRPC_OK;
}

static void on_term(int signo) {
  (void)signo;
  zcrpc_server_drain(server, kGraceMs);
}

static int handle(const zcrpc_schema *schema, const char *name, zcrpc_unary_fn fn, zcrpc_error **err) {
  const zcrpc_method *method = zcrpc_schema_method(schema, name);
  return method && zcrpc_server_handle(server, method, NULL, fn, NULL, err) == ZCRPC_OK;
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
  zcrpc_schema *schema = NULL;
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
  if (!(schema = zcrpc_schema_new(kBenchSet, sizeof kBenchSet, &err))) goto out;
  if (!(server = zcrpc_server_new(NULL, &err))) goto out;
  if (!handle(schema, "bench.v1.Echo/Echo", echo, &err) || !handle(schema, "bench.v1.Echo/Ingest", ingest, &err)) goto out;
  if (zcrpc_server_listen(server, address, NULL, &err)) goto out;
  printf("listening %s\n", zcrpc_server_address(server, 0));
  fflush(stdout);
  sigaction(SIGTERM, &on, NULL);
  sigaction(SIGINT, &on, NULL);
  if (zcrpc_server_run(server, threads, &err)) goto out;
  print_counters();
  status = EXIT_SUCCESS;
out:
  if (status) fprintf(stderr, "zcrpc-bench-server: %s\n", err ? zcrpc_error_message(err) : "no such method");
  zcrpc_error_free(err);
  zcrpc_server_free(server);
  zcrpc_schema_release(schema);
  return status;
}
