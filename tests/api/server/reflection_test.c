/* grpc.reflection: each kind of question, in both versions, and services that it does not tell of. */
#define _GNU_SOURCE /* memmem */
#include "h2.h"

static client c;

static int has(const stream *t, const char *text) { return memmem(t->body, t->got, text, strlen(text)) != NULL; }

/* ServerReflectionRequest with one field that is a string, in an envelope. */
static size_t question(char *out, int field, const char *text) {
  size_t n = strlen(text);
  memset(out, 0, 4);
  out[4] = (char)(n + 2);
  out[5] = (char)(field << 3 | 2);
  out[6] = (char)n;
  memcpy(out + 7, text, n);
  return n + 7;
}

static stream *ask(const char *version, const void *data, size_t n) {
  char path[128];
  snprintf(path, sizeof path, "/grpc.reflection.%s.ServerReflection/ServerReflectionInfo", version);
  stream *t = h2_request(&c, path, "application/grpc", NULL, data, n);
  h2_run(&c);
  assert_int_equal(t->status, 200);
  assert_string_equal(field(t, "grpc-status"), "0");
  return t;
}
static stream *ask_text(const char *version, int number, const char *text) {
  static char in[256];
  return ask(version, in, question(in, number, text));
}

static int start(void **state) {
  zcrpc_options *o = server_options();
  (void)state;
  alarm(170);
  set_int(o, ZCRPC_SERVER_REFLECTION, 1);
  assert_int_equal(zcrpc_options_set_string(o, ZCRPC_SERVER_REFLECTION_HIDE, "grpc.health.v1.Health, grpc.reflection.v1alpha.ServerReflection", NULL), ZCRPC_OK);
  server_make(o);
  pthread_create(&server_thread, NULL, server_main, (void *)(intptr_t)1);
  return 0;
}

static void the_list_is_not_cut(void **state) {
  (void)state;
  h2_open(&c);
  for (int i = 0; i < 2; i++) {
    stream *t = ask_text(i ? "v1" : "v1alpha", 7, "*");
    assert_true(has(t, "s.S"));
    assert_true(has(t, "grpc.reflection.v1.ServerReflection"));
    assert_false(has(t, "grpc.reflection.v1alpha.ServerReflection"));
    assert_false(has(t, "grpc.health.v1.Health"));
    /* The question comes back with the answer. */
    assert_memory_equal(t->body + 5, "\x12\x03\x3a\x01*", 5);
  }
  h2_free(&c);
}

static void a_symbol_or_a_file_is_not_found(void **state) {
  static const char *const found[] = {"s.S", "s.M", "s.S.Echo", "s.S/Echo", "s.M.text", ".s.M"};
  (void)state;
  h2_open(&c);
  for (size_t i = 0; i < sizeof found / sizeof *found; i++) assert_true(has(ask_text("v1", 4, found[i]), "serve.proto"));
  /* The bytes are those of the schema: at their place in the answer, field 4, field 1. */
  zcrpc_decl_info file = {.struct_size = sizeof file};
  zcrpc_decl_get_info(zcrpc_schema_file_at(schema, 0), &file);
  stream *t = ask_text("v1", 3, "serve.proto");
  assert_non_null(memmem(t->body, t->got, file.bytes.data, file.bytes.len));
  assert_true(has(ask_text("v1", 3, "grpc/reflection/v1/reflection.proto"), "ListServiceResponse"));
  static const char *const none[] = {"", "s", "s.X", "serve.proto", "grpc.health.v1.Health", "grpc.health.v1.Health.Check", "grpc.health.v1.Health/Check"};
  for (size_t i = 0; i < sizeof none / sizeof *none; i++) {
    t = ask_text("v1", 4, none[i]);
    assert_true(has(t, "\x08\x05\x12\x0eunknown symbol"));
  }
  assert_true(has(ask_text("v1", 3, "no.proto"), "\x08\x05\x12\x0cunknown file"));
  h2_free(&c);
}

static void extensions_are_not_told(void **state) {
  char in[64] = {0};
  (void)state;
  h2_open(&c);
  stream *t = ask_text("v1", 6, "s.M");
  assert_true(has(t, "\x2a\x05\x0a\x03s.M")); /* known, and has none */
  assert_true(has(ask_text("v1", 6, "s.X"), "unknown type"));
  /* file_containing_extension of s.M, 100 */
  memcpy(in + 5, "\x2a\x07\x0a\x03s.M\x10\x64", 9);
  in[4] = 9;
  t = ask("v1", in, 14);
  assert_true(has(t, "unknown extension"));
  /* nothing asked for */
  t = ask("v1", "\0\0\0\0", 5);
  assert_true(has(t, "\x08\x03\x12\x15nothing was asked for"));
  h2_free(&c);
}

static void many_questions_on_one_stream_are_not_answered_in_order(void **state) {
  static char in[200 * 32];
  size_t n = 0;
  (void)state;
  for (int i = 0; i < 200; i++) n += question(in + n, i & 1 ? 7 : 3, i & 1 ? "*" : "serve.proto");
  h2_open(&c);
  stream *t = ask("v1", in, n);
  int answers = 0;
  for (size_t at = 0; at < t->got; answers++) {
    const unsigned char *p = (const unsigned char *)t->body + at;
    size_t size = (size_t)p[3] << 8 | p[4];
    assert_int_equal(memmem(p, size, "\x3a\x01*", 3) != NULL, answers & 1);
    at += 5 + size;
  }
  assert_int_equal(answers, 200);
  h2_free(&c);
}

/* Half duplex on HTTP/1.1: what connect-go's reflection client falls back to. */
static void http1_is_refused(void **state) {
  static char got[8192];
  const char *json = "{\"listServices\":\"*\"}";
  char head[512];
  size_t have = 0;
  int fd = dial();
  (void)state;
  int n = snprintf(head, sizeof head,
                   "POST /grpc.reflection.v1.ServerReflection/ServerReflectionInfo HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
                   "Content-Type: application/connect+json\r\nContent-Length: %zu\r\n\r\n",
                   strlen(json) + 5);
  send_all(fd, head, (size_t)n);
  memset(head, 0, 4);
  head[4] = (char)strlen(json);
  send_all(fd, head, 5);
  say(fd, json);
  for (ssize_t k; have + 1 < sizeof got && (k = recv(fd, got + have, sizeof got - 1 - have, 0)) > 0;) have += (size_t)k;
  assert_non_null(memmem(got, have, "{\"name\":\"s.S\"}", 14));
  close(fd);
}

static void it_is_there_without_being_asked_for(void **state) {
  (void)state;
  server_start(NULL, 1);
  h2_open(&c);
  stream *t = h2_request(&c, "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", "application/grpc", NULL, "\0\0\0\0", 5);
  h2_run(&c);
  assert_string_equal(field(t, "grpc-status"), "12");
  h2_free(&c);
  server_stop(2000);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_list_is_not_cut),
      cmocka_unit_test(a_symbol_or_a_file_is_not_found),
      cmocka_unit_test(extensions_are_not_told),
      cmocka_unit_test(many_questions_on_one_stream_are_not_answered_in_order),
      cmocka_unit_test(http1_is_refused),
  };
  const struct CMUnitTest alone[] = {cmocka_unit_test(it_is_there_without_being_asked_for)};
  int failed = cmocka_run_group_tests(tests, start, stop_default);
  return failed + cmocka_run_group_tests(alone, NULL, NULL);
}
