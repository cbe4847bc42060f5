/* What the client's tests share: one odd server, the schema, and short ways to call. */
/* Not every test needs all of these. */
#pragma GCC diagnostic ignored "-Wunused-function"
#pragma GCC diagnostic ignored "-Wunused-variable"
#ifndef TESTS_API_CLIENT_H
#define TESTS_API_CLIENT_H

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <time.h>
#include <zcrpc.h>

#include "odd_set.h" /* kOddSet, the FileDescriptorSet of odd.proto */
#include "support/odd_server.h"

enum { TEXT = 1, NUMBER = 2, PAYLOAD = 3 };

static odd_server server;
static zcrpc_schema *schema;
static const zcrpc_method *echo, *get, *streaming;

static int set_up(void **state) {
  (void)state;
  signal(SIGALRM, SIG_DFL);
  alarm(170); /* a test that hangs shows where */
  if (odd_server_start(&server, NULL)) return -1;
  schema = zcrpc_schema_new(kOddSet, sizeof kOddSet, NULL);
  echo = zcrpc_schema_method(schema, "p.S/Echo");
  get = zcrpc_schema_method(schema, "p.S/Get");
  streaming = zcrpc_schema_method(schema, "p.S/Stream");
  return echo && get && streaming ? 0 : -1;
}

static int tear_down(void **state) {
  (void)state;
  zcrpc_schema_release(schema);
  odd_server_stop(&server);
  return 0;
}

static int64_t now_ms(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static int entries(const char *folder) {
  DIR *d = opendir(folder);
  int n = 0;
  while (readdir(d)) n++;
  closedir(d);
  return n;
}
static int open_descriptors(void) { return entries("/proc/self/fd"); }
static int threads(void) { return entries("/proc/self/task") - 2; }

static zcrpc_channel *channel_with(const char *target, int32_t key, int64_t value) {
  zcrpc_error *err = NULL;
  zcrpc_options *o = zcrpc_options_new(ZCRPC_FOR_CHANNEL, NULL);
  zcrpc_channel *ch;
  if (key) assert_int_equal(zcrpc_options_set_int(o, key, value, NULL), ZCRPC_OK);
  ch = zcrpc_channel_new(NULL, target, o, NULL, &err);
  zcrpc_options_free(o);
  if (!ch) fail_msg("%s", zcrpc_error_message(err));
  return ch;
}
static zcrpc_channel *channel(void) { return channel_with(server.target, 0, 0); }

static void add_header(zcrpc_call *c, const char *name, const char *value) {
  assert_int_equal(zcrpc_metadata_add(zcrpc_call_metadata(c, ZCRPC_REQUEST_HEADERS), name, value, ZCRPC_NTS, NULL), ZCRPC_OK);
}

/* A call with a text, and with the server told how to be odd. */
static zcrpc_call *open_call(zcrpc_channel *ch, const zcrpc_method *m, const char *odd, const char *text) {
  zcrpc_error *err = NULL;
  zcrpc_call *c = zcrpc_channel_open(ch, m, NULL, &err);
  if (!c) fail_msg("%s", zcrpc_error_message(err));
  if (odd) add_header(c, "x-odd", odd);
  if (text) zcrpc_encoder_put_string(zcrpc_call_encoder(c), TEXT, text, ZCRPC_NTS);
  return c;
}

static void assert_text(const zcrpc_view *v, const char *text) {
  zcrpc_slice s;
  assert_non_null(v);
  zcrpc_view_string(v, TEXT, &s);
  assert_int_equal(s.len, strlen(text));
  assert_memory_equal(s.data, text, s.len);
}

/* A header or trailer of the answer as text; "" if it is not there. */
static const char *told(zcrpc_call *c, int32_t which, const char *name) {
  static char text[1024];
  zcrpc_slice s = {"", 0};
  zcrpc_metadata *m = zcrpc_call_metadata(c, which);
  if (m) zcrpc_metadata_get(m, name, &s);
  snprintf(text, sizeof text, "%.*s", (int)s.len, s.data);
  return text;
}
static const char *seen(zcrpc_call *c, const char *name) { return told(c, ZCRPC_RESPONSE_HEADERS, name); }

static void assert_good(zcrpc_call *c, const char *text) {
  zcrpc_error *err = NULL;
  const zcrpc_view *v = zcrpc_call_unary(c, &err);
  if (!v) fail_msg("%s: %s", zcrpc_code_name(zcrpc_error_code(err)), zcrpc_error_message(err));
  assert_text(v, text);
}

/* Fails with that code; the message holds `part`. */
static void assert_fails(zcrpc_call *c, zcrpc_code code, const char *part) {
  zcrpc_error *err = NULL;
  assert_null(zcrpc_call_unary(c, &err));
  if (zcrpc_error_code(err) != code || !strstr(zcrpc_error_message(err), part))
    fail_msg("%s: %s; expected %s: ...%s...", zcrpc_code_name(zcrpc_error_code(err)), zcrpc_error_message(err), zcrpc_code_name(code), part);
  zcrpc_error_free(err);
}

static void assert_odd_fails(zcrpc_channel *ch, const char *odd, zcrpc_code code, const char *part) {
  zcrpc_call *c = open_call(ch, echo, odd, "hello");
  assert_fails(c, code, part);
  zcrpc_call_release(c);
}

#endif
