/* gRPC and Connect over HTTP/2 with prior knowledge. */
#include "h2.h"

#include <zlib.h>

static client c;
static char m[256];

static void a_reply_or_its_status_is_missing(void **state) {
  h2_open(&c);
  (void)state;
  size_t n = enveloped(m, "hello");
  stream *s = grpc(&c, NULL, m, n);
  h2_run(&c);
  assert_int_equal(s->status, 200);
  assert_string_equal(field(s, "content-type"), "application/grpc");
  assert_string_equal(field(s, "grpc-status"), "0");
  assert_null(field(s, "grpc-message"));
  assert_int_equal(s->got, n);
  assert_memory_equal(s->body, m, n);
  assert_int_equal(s->heads, 2);
  assert_int_equal(s->frames, 1); /* envelope and message together */
  assert_int_equal(s->code, NGHTTP2_NO_ERROR);
  h2_free(&c);
}

static void an_error_is_not_trailers_only(void **state) {
  h2_open(&c);
  (void)state;
  stream *s = grpc(&c, NULL, m, enveloped(m, "fail 5 100% gone\xc3\xa9"));
  h2_run(&c);
  assert_int_equal(s->status, 200);
  assert_int_equal(s->heads, 1);
  assert_int_equal(s->frames, 0);
  assert_string_equal(field(s, "grpc-status"), "5");
  assert_string_equal(field(s, "grpc-message"), "100%25 gone%C3%A9");
  s = grpc(&c, NULL, m, enveloped(m, "detail"));
  h2_run(&c);
  assert_string_equal(field(s, "grpc-status"), "5");
  assert_non_null(field(s, "grpc-status-details-bin"));
  assert_string_equal(field(s, "x-why"), "because");
  h2_free(&c);
}

static void an_unknown_method_is_a_plain_404_for_grpc(void **state) {
  h2_open(&c);
  (void)state;
  stream *s = h2_request(&c, "/s.S/Nope", "application/grpc", NULL, m, enveloped(m, "x"));
  stream *t = h2_request(&c, "/s.S/Nope", "application/json", NULL, "{}", 2);
  stream *u = h2_request(&c, "/s.S/Echo", "application/grpc+thrift", NULL, "{}", 2);
  stream *v = h2_request(&c, "/s.S/Echo", "application/grpcx", NULL, "{}", 2);
  h2_run(&c);
  assert_int_equal(s->status, 200);
  assert_string_equal(field(s, "grpc-status"), "12");
  assert_int_equal(t->status, 404);
  assert_string_equal(field(u, "grpc-status"), "12");
  assert_int_equal(v->status, 415);
  h2_free(&c);
}

static void connect_over_h2_is_not_served(void **state) {
  h2_open(&c);
  (void)state;
  stream *s = h2_request(&c, "/s.S/Echo", "application/json", NULL, "{\"text\":\"hi\"}", 13);
  h2_run(&c);
  assert_int_equal(s->status, 200);
  assert_string_equal(field(s, "content-length"), "13");
  assert_memory_equal(s->body, "{\"text\":\"hi\"}", 13);
  h2_free(&c);
}

static void metadata_does_not_arrive(void **state) {
  static const char *const ask[] = {"x-ask", "question", NULL};
  h2_open(&c);
  (void)state;
  stream *s = grpc(&c, ask, m, enveloped(m, "meta"));
  h2_run(&c);
  assert_string_equal(field(s, "x-head"), "question");
  assert_string_equal(field(s, "x-tail"), "question");
  assert_string_equal(field(s, "x-tail-bin"), "AP8");
  h2_free(&c);
}

static void a_deadline_is_not_kept(void **state) {
  static const char *const soon[] = {"grpc-timeout", "100m", NULL};
  int64_t start = now_ms();
  h2_open(&c);
  (void)state;
  stream *s = grpc(&c, soon, m, enveloped(m, "never"));
  h2_run(&c);
  assert_string_equal(field(s, "grpc-status"), "4");
  assert_true(now_ms() - start >= 90 && now_ms() - start < 5000);
  release_kept();
  /* While the request itself is slow, too. */
  s = grpc(&c, soon, m, 3);
  s->hold = 1;
  while (!s->heads && h2_step(&c)) {}
  assert_string_equal(field(s, "grpc-status"), "4");
  h2_free(&c);
}

static void gzip(const void *in, size_t n, char *out, size_t *size) {
  z_stream z = {0};
  deflateInit2(&z, 6, Z_DEFLATED, 31, 8, Z_DEFAULT_STRATEGY);
  z.next_in = (Bytef *)(uintptr_t)in;
  z.avail_in = (uInt)n;
  z.next_out = (Bytef *)out;
  z.avail_out = 65536;
  assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
  *size = z.total_out;
  deflateEnd(&z);
}

static size_t gunzip(const void *in, size_t n, char *out, size_t room) {
  z_stream z = {0};
  inflateInit2(&z, 31);
  z.next_in = (Bytef *)(uintptr_t)in;
  z.avail_in = (uInt)n;
  z.next_out = (Bytef *)out;
  z.avail_out = (uInt)room;
  assert_int_equal(inflate(&z, Z_FINISH), Z_STREAM_END);
  n = z.total_out;
  inflateEnd(&z);
  return n;
}

static void gzip_is_not_understood_or_not_used(void **state) {
  static const char *const both[] = {"grpc-encoding", "gzip", "grpc-accept-encoding", "gzip", NULL};
  static const char *const strange[] = {"grpc-encoding", "zip", NULL};
  static char packed[65536 + 5], plain[70000];
  size_t n, size;
  h2_open(&c);
  (void)state;
  n = message(m, "size 60000");
  gzip(m, n, packed + 5, &size);
  packed[0] = 1;
  packed[3] = (char)(size >> 8);
  packed[4] = (char)size;
  stream *s = grpc(&c, both, packed, size + 5);
  stream *t = grpc(&c, strange, packed, size + 5);
  stream *u = grpc(&c, NULL, packed, size + 5);
  h2_run(&c);
  assert_string_equal(field(s, "grpc-status"), "0");
  assert_string_equal(field(s, "grpc-encoding"), "gzip");
  assert_int_equal(s->body[0], 1);
  assert_true(s->got < 2000);
  assert_int_equal(gunzip(s->body + 5, s->got - 5, plain, sizeof plain), 60004);
  assert_string_equal(field(t, "grpc-status"), "12");
  assert_non_null(strstr(field(t, "grpc-accept-encoding"), "gzip"));
  assert_string_equal(field(u, "grpc-status"), "13"); /* marked as compressed without saying how */
  h2_free(&c);
}

static void a_message_above_the_limit_is_taken(void **state) {
  static char big[16];
  static char bomb[65536 + 5];
  static const char *const packed[] = {"grpc-encoding", "gzip", NULL};
  size_t size, n = 8 << 20;
  char *zeros = calloc(1, n);
  h2_open(&c);
  (void)state;
  big[1] = 0x00, big[2] = 0x40, big[3] = 0, big[4] = 1; /* 4 MiB and a byte, of which nothing comes */
  stream *s = grpc(&c, NULL, big, 16);
  s->hold = 1;
  while (!s->heads && h2_step(&c)) {}
  assert_string_equal(field(s, "grpc-status"), "8");
  gzip(zeros, n, bomb + 5, &size);
  bomb[0] = 1;
  bomb[3] = (char)(size >> 8), bomb[4] = (char)size;
  stream *t = grpc(&c, packed, bomb, size + 5);
  while (!t->closed && h2_step(&c)) {}
  assert_string_equal(field(t, "grpc-status"), "8");
  free(zeros);
  h2_free(&c);
}

static void a_request_in_many_frames_is_misread(void **state) {
  static char big[300005];
  size_t cuts[] = {1, 2, 3, 5, 6, 7, 1000, 16384}, i;
  h2_open(&c);
  (void)state;
  for (i = 0; i < sizeof cuts / sizeof *cuts; i++) {
    size_t n = enveloped(m, "in pieces");
    stream *s = grpc(&c, NULL, m, n);
    s->cut = cuts[i];
    h2_run(&c);
    assert_string_equal(field(s, "grpc-status"), "0");
    assert_memory_equal(s->body, m, n);
  }
  /* And a long one: field 3 of 299,996 bytes, echoed. */
  memcpy(big, "\0\0\x04\x93\xe0\x1a\xdc\xa7\x12", 9);
  for (i = 9; i < sizeof big; i++) big[i] = (char)i;
  stream *s = grpc(&c, NULL, big, sizeof big);
  h2_run(&c);
  assert_string_equal(field(s, "grpc-status"), "0");
  assert_int_equal(s->got, sizeof big);
  assert_memory_equal(s->body, big, sizeof big);
  h2_free(&c);
}

static void a_body_that_is_cut_or_too_long_reaches_the_handler(void **state) {
  int before = atomic_load(&handled);
  h2_open(&c);
  (void)state;
  size_t n = enveloped(m, "hello");
  stream *s = grpc(&c, NULL, m, n - 1);
  stream *t = grpc(&c, NULL, m, 0);
  char two[64];
  memcpy(two, m, n);
  memcpy(two + n, m, n);
  stream *u = grpc(&c, NULL, two, 2 * n);
  h2_run(&c);
  assert_string_equal(field(s, "grpc-status"), "3");
  assert_string_equal(field(t, "grpc-status"), "12");
  assert_string_equal(field(u, "grpc-status"), "12");
  assert_int_equal(atomic_load(&handled), before);
  h2_free(&c);
}

static void concurrent_streams_get_each_others_answers(void **state) {
  static char text[100][64];
  int i;
  h2_open(&c);
  (void)state;
  while (!c.settings_acked && h2_step(&c)) {}
  for (i = 0; i < 100; i++) {
    char say[32];
    snprintf(say, sizeof say, i % 3 ? "stream %d" : "later", i);
    grpc(&c, NULL, text[i], enveloped(text[i], say));
  }
  h2_run(&c);
  for (i = 0; i < 100; i++) {
    assert_string_equal(field(&c.streams[i], "grpc-status"), "0");
    assert_memory_equal(c.streams[i].body, text[i], c.streams[i].got);
  }
  h2_free(&c);
}

static void a_canceled_call_is_not_seen_by_its_handler(void **state) {
  h2_open(&c);
  (void)state;
  stream *s = grpc(&c, NULL, m, enveloped(m, "never"));
  nghttp2_session_send(c.session);
  while (!atomic_load(&kept)) usleep(1000);
  assert_false(zcrpc_call_is_done(atomic_load(&kept)));
  nghttp2_submit_rst_stream(c.session, NGHTTP2_FLAG_NONE, s->id, NGHTTP2_CANCEL);
  nghttp2_session_send(c.session);
  while (!zcrpc_call_is_done(atomic_load(&kept))) usleep(1000); /* nothing else ends it */
  zcrpc_call_finish(atomic_load(&kept), NULL); /* too late, and harmless */
  release_kept();
  /* The connection serves on. */
  s = grpc(&c, NULL, m, enveloped(m, "next"));
  while (!s->closed && h2_step(&c)) {}
  assert_string_equal(field(s, "grpc-status"), "0");
  h2_free(&c);
}

static void a_connection_that_ends_leaves_its_calls_running(void **state) {
  h2_open(&c);
  (void)state;
  grpc(&c, NULL, m, enveloped(m, "never"));
  nghttp2_session_send(c.session);
  while (!atomic_load(&kept)) usleep(1000);
  h2_free(&c);
  while (!zcrpc_call_is_done(atomic_load(&kept))) usleep(1000);
  release_kept();
}

static void a_reset_by_the_handler_does_not_reach_the_wire(void **state) {
  h2_open(&c);
  (void)state;
  stream *s = grpc(&c, NULL, m, enveloped(m, "cancel"));
  h2_run(&c);
  assert_true(s->closed);
  assert_int_equal(s->code, NGHTTP2_CANCEL);
  assert_int_equal(s->heads, 0);
  h2_free(&c);
}

static void a_stream_answered_early_stays_open(void **state) {
  h2_open(&c);
  (void)state;
  stream *s = h2_request(&c, "/s.S/Nope", "application/grpc", NULL, m, 5);
  s->hold = 1;
  while (!s->closed && h2_step(&c)) {}
  assert_string_equal(field(s, "grpc-status"), "12");
  assert_int_equal(s->code, NGHTTP2_NO_ERROR);
  h2_free(&c);
}

static int start_gzip(void **state) {
  zcrpc_options *o = server_options();
  (void)state;
  alarm(170);
  assert_int_equal(zcrpc_options_set_string(o, ZCRPC_COMPRESSION, "gzip", NULL), ZCRPC_OK);
  server_start(o, 1);
  return 0;
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_reply_or_its_status_is_missing),
      cmocka_unit_test(an_error_is_not_trailers_only),
      cmocka_unit_test(an_unknown_method_is_a_plain_404_for_grpc),
      cmocka_unit_test(connect_over_h2_is_not_served),
      cmocka_unit_test(metadata_does_not_arrive),
      cmocka_unit_test(a_deadline_is_not_kept),
      cmocka_unit_test(gzip_is_not_understood_or_not_used),
      cmocka_unit_test(a_message_above_the_limit_is_taken),
      cmocka_unit_test(a_request_in_many_frames_is_misread),
      cmocka_unit_test(a_body_that_is_cut_or_too_long_reaches_the_handler),
      cmocka_unit_test(concurrent_streams_get_each_others_answers),
      cmocka_unit_test(a_canceled_call_is_not_seen_by_its_handler),
      cmocka_unit_test(a_connection_that_ends_leaves_its_calls_running),
      cmocka_unit_test(a_reset_by_the_handler_does_not_reach_the_wire),
      cmocka_unit_test(a_stream_answered_early_stays_open),
  };
  return cmocka_run_group_tests(tests, start_gzip, stop_default);
}
