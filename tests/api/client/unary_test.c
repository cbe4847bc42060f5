/* Blocking calls: what goes over the wire, what comes back, and every way in which it may go wrong. */
#include "client.h"
#include "support/codings.h"

static void echo_comes_back_and_the_request_is_what_connect_says(void **state) {
  zcrpc_channel *ch = channel();
  zcrpc_call *c = open_call(ch, echo, NULL, "hello");
  (void)state;
  add_header(c, "x-mine", "one");
  assert_int_equal(zcrpc_metadata_add(zcrpc_call_metadata(c, ZCRPC_REQUEST_HEADERS), "x-mine-bin", "\x01\x02\xff", 3, NULL), 0);
  zcrpc_encoder_put_int64(zcrpc_call_encoder(c), NUMBER, -7);
  assert_null(zcrpc_call_metadata(c, ZCRPC_RESPONSE_HEADERS));
  assert_good(c, "hello");
  assert_null(zcrpc_call_error(c));
  assert_int_equal(zcrpc_call_is_done(c), 1);
  assert_string_equal(seen(c, "x-seen-method"), "POST");
  assert_string_equal(seen(c, "x-seen-path"), "/p.S/Echo");
  assert_string_equal(seen(c, "x-seen-content-type"), "application/proto");
  assert_string_equal(seen(c, "x-seen-connect-protocol-version"), "1");
  assert_string_equal(seen(c, "x-seen-accept-encoding"), CODINGS);
  assert_string_equal(seen(c, "x-seen-expect"), "");
  assert_string_equal(seen(c, "x-seen-accept"), "");
  assert_string_equal(seen(c, "x-seen-connect-timeout-ms"), "");
  assert_string_equal(seen(c, "x-seen-mine"), "");
  assert_string_equal(seen(c, "x-seen-x-mine"), "one");
  assert_string_equal(seen(c, "x-seen-x-mine-bin"), "\x01\x02\xff"); /* it came back in a name in -bin */
  assert_memory_equal(seen(c, "x-seen-user-agent"), "connect-c/", 10);
  assert_non_null(strstr(seen(c, "x-seen-user-agent"), " (libzcrpc)"));
  /* Metadata of the answer: headers, trailers without their prefix, -bin decoded. */
  assert_memory_equal(seen(c, "x-bin"), "\x01\x02", 3);
  assert_string_equal(told(c, ZCRPC_RESPONSE_TRAILERS, "x-end"), "yes");
  {
    zcrpc_slice raw;
    assert_int_equal(zcrpc_metadata_get(zcrpc_call_metadata(c, ZCRPC_RESPONSE_TRAILERS), "x-bin", &raw), 1);
    assert_int_equal(raw.len, 3);
    assert_memory_equal(raw.data, "\x00\x01\xff", 3);
  }
  zcrpc_call_release(c);
  zcrpc_channel_free(ch);
}

static void an_untouched_message_is_empty_and_valid(void **state) {
  zcrpc_channel *ch = channel();
  zcrpc_call *c = open_call(ch, echo, NULL, NULL);
  (void)state;
  assert_good(c, "");
  assert_string_equal(seen(c, "x-seen-content-length"), "0");
  zcrpc_call_release(c);
  zcrpc_channel_free(ch);
}

static void calls_share_one_connection(void **state) {
  zcrpc_channel *ch = channel();
  zcrpc_stats stats = {.struct_size = sizeof stats};
  int i;
  (void)state;
  for (i = 0; i < 20; i++) {
    zcrpc_call *c = open_call(ch, echo, i % 3 == 1 ? "chunked" : i % 3 == 2 ? "interim" : NULL, "again");
    assert_good(c, "again");
    zcrpc_call_release(c);
  }
  zcrpc_channel_stats(ch, &stats);
  assert_int_equal(stats.connections, 1);
  assert_int_equal(stats.calls, 20);
  assert_int_equal(stats.calls_failed, 0);
  assert_int_equal(stats.calls_now, 0);
  assert_int_equal(stats.copies_in, 20);
  assert_int_equal(stats.copies_out, 20);
  assert_int_equal(stats.bytes_copied_out, 20 * 7);
  zcrpc_channel_free(ch);
}

static void json_goes_and_comes_as_json(void **state) {
  zcrpc_channel *ch = channel_with(server.target, ZCRPC_CHANNEL_CODEC, ZCRPC_JSON);
  zcrpc_call *c = open_call(ch, echo, NULL, "h\xc3\xbc");
  zcrpc_call_info info = {.struct_size = sizeof info};
  (void)state;
  assert_good(c, "h\xc3\xbc");
  assert_string_equal(seen(c, "x-seen-content-type"), "application/json");
  zcrpc_call_get_info(c, &info);
  assert_int_equal(info.codec, ZCRPC_JSON);
  assert_int_equal(info.protocol, ZCRPC_CONNECT);
  assert_int_equal(info.http, ZCRPC_HTTP1);
  assert_ptr_equal(info.method, echo);
  zcrpc_call_release(c);
  zcrpc_channel_free(ch);
}

static void only_methods_without_side_effects_go_as_get(void **state) {
  zcrpc_channel *ch = channel_with(server.target, ZCRPC_CHANNEL_USE_GET, 200);
  zcrpc_call *c = open_call(ch, get, NULL, "hello");
  char text[300];
  (void)state;
  assert_good(c, "hello");
  assert_string_equal(seen(c, "x-seen-method"), "GET");
  assert_string_equal(seen(c, "x-seen-target"), "/p.S/Get?connect=v1&base64=1&encoding=proto&message=CgVoZWxsbw");
  assert_string_equal(seen(c, "x-seen-content-type"), "");
  assert_string_equal(seen(c, "x-seen-connect-protocol-version"), "");
  zcrpc_call_release(c);

  c = open_call(ch, echo, NULL, "hello");
  assert_good(c, "hello");
  assert_string_equal(seen(c, "x-seen-method"), "POST");
  zcrpc_call_release(c);

  memset(text, 'a', sizeof text - 1);
  text[sizeof text - 1] = 0;
  c = open_call(ch, get, NULL, text); /* too long for a URL */
  assert_good(c, text);
  assert_string_equal(seen(c, "x-seen-method"), "POST");
  zcrpc_call_release(c);
  zcrpc_channel_free(ch);

  ch = channel();
  c = open_call(ch, get, NULL, "hello"); /* nobody asked for GET */
  assert_good(c, "hello");
  assert_string_equal(seen(c, "x-seen-method"), "POST");
  zcrpc_call_release(c);
  zcrpc_channel_free(ch);
}

static void requests_are_compressed_when_asked_and_large_enough(void **state) {
  zcrpc_options *o = zcrpc_options_new(ZCRPC_FOR_CHANNEL, NULL);
  zcrpc_channel *ch;
  zcrpc_call *c;
  char text[3000];
  (void)state;
  assert_int_equal(zcrpc_options_set_string(o, ZCRPC_COMPRESSION, "lzma, gzip", NULL), 0);
  assert_int_equal(zcrpc_options_set_int(o, ZCRPC_CHANNEL_USE_GET, 1000, NULL), 0);
  ch = zcrpc_channel_new(NULL, server.target, o, NULL, NULL);
  zcrpc_options_free(o);
  memset(text, 'a', sizeof text - 1);
  text[sizeof text - 1] = 0;
  c = open_call(ch, echo, NULL, text);
  assert_good(c, text);
  assert_string_equal(seen(c, "x-seen-encoding"), "gzip");
  assert_true(atoi(seen(c, "x-seen-content-length")) < 100);
  zcrpc_call_release(c);
  c = open_call(ch, echo, NULL, "short");
  assert_good(c, "short");
  assert_string_equal(seen(c, "x-seen-encoding"), "");
  zcrpc_call_release(c);
  c = open_call(ch, get, NULL, text);
  assert_good(c, text);
  assert_non_null(strstr(seen(c, "x-seen-target"), "?connect=v1&base64=1&compression=gzip&encoding=proto&message="));
  zcrpc_call_release(c);
  zcrpc_channel_free(ch);
}

static void answers_in_every_framing_are_read(void **state) {
  static const char *const odds[] = {"gzip", "chunked", "until-close", "interim", "slow-head", "trailing"};
  zcrpc_channel *ch = channel();
  size_t i;
  (void)state;
  for (i = 0; i < sizeof odds / sizeof *odds; i++) {
    zcrpc_call *c = open_call(ch, echo, odds[i], "some text that comes back");
    assert_good(c, "some text that comes back");
    zcrpc_call_release(c);
  }
  zcrpc_channel_free(ch);
}

static void large_messages_pass_both_ways(void **state) {
  size_t size = 3 << 20, i;
  char *text = malloc(size + 1);
  zcrpc_channel *ch = channel();
  int64_t from = now_ms();
  (void)state;
  for (i = 0; i < size; i++) text[i] = (char)('a' + i % 26);
  text[size] = 0;
  for (i = 0; i < 3; i++) {
    zcrpc_call *c = open_call(ch, echo, i == 1 ? "gzip" : NULL, text);
    assert_good(c, text);
    zcrpc_call_release(c);
  }
  assert_true(now_ms() - from < 20000);
  free(text);
  zcrpc_channel_free(ch);
}

static zcrpc_call *open_big(zcrpc_channel *ch, int size, int chunks) {
  zcrpc_call *c = open_call(ch, echo, "big", NULL);
  char text[20];
  snprintf(text, sizeof text, "%d", size);
  add_header(c, "x-size", text);
  snprintf(text, sizeof text, "%d", chunks);
  add_header(c, "x-chunks", text);
  return c;
}

static void the_limit_is_exact_and_stops_the_server_at_once(void **state) {
  /* A string of 9,996 bytes is a message of 9,999. */
  zcrpc_channel *ch = channel_with(server.target, ZCRPC_LIMIT_MESSAGE, 9999);
  int chunks;
  (void)state;
  for (chunks = 0; chunks <= 1000; chunks += 500) {
    zcrpc_call *c = open_big(ch, 9996, chunks);
    assert_non_null(zcrpc_call_unary(c, NULL));
    zcrpc_call_release(c);
    c = open_big(ch, 9997, chunks);
    assert_fails(c, ZCRPC_RESOURCE_EXHAUSTED, "");
    zcrpc_call_release(c);
  }
  assert_odd_fails(ch, "endless", ZCRPC_RESOURCE_EXHAUSTED, "");
  assert_odd_fails(ch, "gzip-bomb", ZCRPC_RESOURCE_EXHAUSTED, "");
  assert_odd_fails(ch, "many-headers", ZCRPC_RESOURCE_EXHAUSTED, "headers");
  zcrpc_channel_free(ch);
}

static void a_limit_of_a_call_is_that_calls_alone(void **state) {
  zcrpc_channel *ch = channel();
  zcrpc_options *o = zcrpc_options_new(ZCRPC_FOR_CALL, NULL);
  zcrpc_call *c;
  (void)state;
  assert_int_equal(zcrpc_options_set_int(o, ZCRPC_LIMIT_MESSAGE, 3, NULL), 0);
  c = zcrpc_channel_open(ch, echo, o, NULL);
  zcrpc_options_free(o);
  zcrpc_encoder_put_string(zcrpc_call_encoder(c), TEXT, "long", 4);
  assert_fails(c, ZCRPC_RESOURCE_EXHAUSTED, "");
  zcrpc_call_release(c);
  c = open_call(ch, echo, NULL, "long");
  assert_good(c, "long");
  zcrpc_call_release(c);
  zcrpc_channel_free(ch);
}

static void an_error_brings_message_details_and_metadata(void **state) {
  zcrpc_channel *ch = channel();
  int zipped;
  (void)state;
  for (zipped = 0; zipped < 2; zipped++) {
    zcrpc_error *err = NULL;
    zcrpc_slice type, value;
    zcrpc_call *c = open_call(ch, echo, "error", "hello");
    if (zipped) add_header(c, "x-gzip", "1");
    assert_null(zcrpc_call_unary(c, &err));
    assert_int_equal(zcrpc_error_code(err), ZCRPC_NOT_FOUND);
    assert_string_equal(zcrpc_error_message(err), "no such \xc3\xbc");
    assert_int_equal(zcrpc_error_detail_count(err), 1);
    zcrpc_error_detail(err, 0, &type, &value);
    assert_int_equal(type.len, 3);
    assert_memory_equal(type.data, "p.M", 3);
    assert_int_equal(value.len, 5);
    assert_memory_equal(value.data, "\x0a\x03why", 5);
    assert_int_equal(zcrpc_metadata_get(zcrpc_error_metadata(err), "x-end", &value), 1);
    assert_int_equal(zcrpc_metadata_get(zcrpc_error_metadata(err), "x-seen-path", &value), 1);
    zcrpc_error_free(err);
    /* The call keeps its own. */
    assert_int_equal(zcrpc_error_code(zcrpc_call_error(c)), ZCRPC_NOT_FOUND);
    assert_int_equal(zcrpc_error_detail_count(zcrpc_call_error(c)), 1);
    zcrpc_call_release(c);
  }
  zcrpc_channel_free(ch);
}

static void an_answer_that_is_no_connect_error_is_mapped_by_its_status(void **state) {
  static const struct { const char *status; zcrpc_code code; } rows[] = {
      {"400", ZCRPC_INTERNAL}, {"401", ZCRPC_UNAUTHENTICATED}, {"403", ZCRPC_PERMISSION_DENIED}, {"404", ZCRPC_UNIMPLEMENTED},
      {"429", ZCRPC_UNAVAILABLE}, {"502", ZCRPC_UNAVAILABLE}, {"503", ZCRPC_UNAVAILABLE}, {"504", ZCRPC_UNAVAILABLE},
      {"409", ZCRPC_UNKNOWN}, {"412", ZCRPC_UNKNOWN}, {"413", ZCRPC_UNKNOWN}, {"415", ZCRPC_UNKNOWN}, {"418", ZCRPC_UNKNOWN},
      {"431", ZCRPC_UNKNOWN}, {"505", ZCRPC_UNKNOWN}, {"302", ZCRPC_UNKNOWN}, {"500", ZCRPC_UNKNOWN}, {"800", ZCRPC_UNKNOWN}};
  zcrpc_channel *ch = channel();
  size_t i;
  (void)state;
  for (i = 0; i < sizeof rows / sizeof *rows; i++) {
    zcrpc_call *c = open_call(ch, echo, "status", "hello");
    add_header(c, "x-status", rows[i].status);
    assert_fails(c, rows[i].code, "");
    zcrpc_call_release(c);
  }
  assert_odd_fails(ch, "error-without-code", ZCRPC_UNAVAILABLE, "");
  assert_odd_fails(ch, "broken-error", ZCRPC_UNAVAILABLE, "");
  zcrpc_channel_free(ch);
}

static void a_broken_answer_is_never_a_reply(void **state) {
  static const struct { const char *odd; zcrpc_code code; } rows[] = {
      {"truncated", ZCRPC_UNAVAILABLE}, {"truncated-chunks", ZCRPC_UNAVAILABLE}, {"no-answer", ZCRPC_UNAVAILABLE},
      {"reset", ZCRPC_UNAVAILABLE}, {"garbage", ZCRPC_INTERNAL}, {"html", ZCRPC_UNKNOWN}, {"other-codec", ZCRPC_INTERNAL},
      {"no-type", ZCRPC_UNKNOWN}, {"bad-message", ZCRPC_INTERNAL}, {"gzip-cut", ZCRPC_INTERNAL}, {"unknown-encoding", ZCRPC_INTERNAL}};
  zcrpc_channel *ch = channel();
  zcrpc_call *c;
  size_t i;
  (void)state;
  for (i = 0; i < sizeof rows / sizeof *rows; i++) assert_odd_fails(ch, rows[i].odd, rows[i].code, "");
  c = open_call(ch, echo, NULL, "still well");
  assert_good(c, "still well");
  zcrpc_call_release(c);
  zcrpc_channel_free(ch);
}

static int requests_so_far(zcrpc_channel *ch) {
  zcrpc_call *c = open_call(ch, echo, NULL, "count");
  int n;
  assert_good(c, "count");
  n = atoi(seen(c, "x-requests"));
  zcrpc_call_release(c);
  return n;
}

static void a_request_that_may_have_been_served_is_not_sent_twice(void **state) {
  zcrpc_channel *ch = channel(), *other = channel();
  zcrpc_call *c;
  int before;
  (void)state;
  (void)requests_so_far(ch); /* opens the connection */
  before = requests_so_far(other);
  assert_odd_fails(ch, "no-answer-second", ZCRPC_UNAVAILABLE, "after the request had been sent");
  assert_int_equal(requests_so_far(other), before + 2);

  /* Without side effects it may be. */
  (void)requests_so_far(ch);
  c = open_call(ch, get, "no-answer-second", "hello");
  assert_good(c, "hello");
  zcrpc_call_release(c);
  zcrpc_channel_free(ch);
  zcrpc_channel_free(other);
}

/* What docs/copies.md says of the client, call by call. */
static void assert_copies(const zcrpc_method *m, const char *odd, const char *text, int get_limit, int in, int bytes_in, int out, int bytes_out) {
  zcrpc_channel *ch = channel_with(server.target, ZCRPC_CHANNEL_USE_GET, get_limit);
  zcrpc_call *c = open_call(ch, m, odd, text);
  zcrpc_stats stats = {.struct_size = sizeof stats};
  assert_good(c, text ? text : "");
  zcrpc_channel_stats(ch, &stats);
  assert_int_equal(stats.copies_in, in);
  assert_int_equal(stats.bytes_copied_in, bytes_in);
  assert_int_equal(stats.copies_out, out);
  assert_int_equal(stats.bytes_copied_out, bytes_out);
  zcrpc_call_release(c);
  zcrpc_channel_free(ch);
}

static void copies_are_those_that_the_page_names(void **state) {
  (void)state;
  assert_copies(echo, NULL, "hello", 0, 1, 7, 1, 7);
  assert_copies(echo, NULL, NULL, 0, 0, 0, 0, 0);
  assert_copies(echo, "chunked", "in pieces of seven bytes", 0, 1, 26, 1, 26);
  assert_copies(echo, "gzip", "hello", 0, 0, 0, 1, 7);
  assert_copies(get, NULL, "hello", 1000, 1, 7, 0, 0);
}

static void a_call_is_made_once(void **state) {
  zcrpc_channel *ch = channel();
  zcrpc_call *c = open_call(ch, echo, NULL, "hello");
  (void)state;
  assert_good(c, "hello");
  assert_fails(c, ZCRPC_FAILED_PRECONDITION, "begun");
  assert_int_equal(zcrpc_call_start(c, 0, NULL, NULL, NULL), ZCRPC_FAILED_PRECONDITION);
  zcrpc_call_release(c);
  c = open_call(ch, echo, NULL, "hello");
  assert_int_equal(zcrpc_call_start(c, 0, NULL, NULL, NULL), ZCRPC_FAILED_PRECONDITION); /* nobody would deliver */
  assert_good(c, "hello");
  zcrpc_call_release(c);
  zcrpc_channel_free(ch);
}

static void a_mistake_in_the_message_is_told_before_anything_is_sent(void **state) {
  zcrpc_channel *ch = channel();
  zcrpc_call *c = open_call(ch, echo, NULL, NULL);
  zcrpc_stats stats = {.struct_size = sizeof stats};
  (void)state;
  zcrpc_encoder_put_int64(zcrpc_call_encoder(c), TEXT, 1);
  assert_fails(c, ZCRPC_INVALID_ARGUMENT, "");
  zcrpc_call_release(c);
  zcrpc_channel_stats(ch, &stats);
  assert_int_equal(stats.connections, 0);
  zcrpc_channel_free(ch);
}

static void wrong_targets_and_methods_are_refused(void **state) {
  static const struct { const char *target; zcrpc_code code; } rows[] = {
      {"", ZCRPC_INVALID_ARGUMENT}, {"localhost:80", ZCRPC_INVALID_ARGUMENT}, {"http://", ZCRPC_INVALID_ARGUMENT},
      {"http://h:0", ZCRPC_INVALID_ARGUMENT}, {"http://h:65536", ZCRPC_INVALID_ARGUMENT}, {"http://h:", ZCRPC_INVALID_ARGUMENT},
      {"http://h:8x", ZCRPC_INVALID_ARGUMENT}, {"http://a b", ZCRPC_INVALID_ARGUMENT}, {"http://u@h", ZCRPC_INVALID_ARGUMENT},
      {"http://[::1", ZCRPC_INVALID_ARGUMENT}, {"http://[127.0.0.1]", ZCRPC_INVALID_ARGUMENT}, {"http://h/a b", ZCRPC_INVALID_ARGUMENT},
      {"http://h/?q", ZCRPC_INVALID_ARGUMENT}, {"http://h\r\nx: y", ZCRPC_INVALID_ARGUMENT}, {"unix:", ZCRPC_INVALID_ARGUMENT},
      {"https://localhost", ZCRPC_UNIMPLEMENTED}};
  size_t i;
  zcrpc_error *err = NULL;
  zcrpc_channel *ch;
  zcrpc_options *o;
  (void)state;
  for (i = 0; i < sizeof rows / sizeof *rows; i++) {
    assert_null(zcrpc_channel_new(NULL, rows[i].target, NULL, NULL, &err));
    if (zcrpc_error_code(err) != rows[i].code) fail_msg("%s: %s", rows[i].target, zcrpc_code_name(zcrpc_error_code(err)));
    zcrpc_error_free(err);
    err = NULL;
  }
  assert_null(zcrpc_channel_new(NULL, NULL, NULL, NULL, NULL));
  o = zcrpc_options_new(ZCRPC_FOR_CHANNEL, NULL);
  assert_int_equal(zcrpc_options_set_string(o, ZCRPC_COMPRESSION, "rot13", NULL), 0);
  assert_null(zcrpc_channel_new(NULL, server.target, o, NULL, &err));
  assert_int_equal(zcrpc_error_code(err), ZCRPC_UNIMPLEMENTED);
  zcrpc_error_free(err);
  zcrpc_options_free(o);
  ch = channel();
  assert_null(zcrpc_channel_open(ch, NULL, NULL, NULL));
  err = NULL;
  assert_null(zcrpc_channel_open(ch, streaming, NULL, &err));
  assert_int_equal(zcrpc_error_code(err), ZCRPC_UNIMPLEMENTED);
  zcrpc_error_free(err);
  assert_int_equal(zcrpc_channel_bind(ch, echo, NULL), 0); /* it has no loop that takes operations */
  zcrpc_channel_free(ch);
  zcrpc_channel_free(NULL);
  zcrpc_call_release(NULL);
}

static void a_prefix_stands_before_the_methods_path(void **state) {
  char target[200];
  zcrpc_channel *ch;
  zcrpc_call *c;
  (void)state;
  snprintf(target, sizeof target, "%s/api/v1/", server.target);
  ch = channel_with(target, 0, 0);
  c = open_call(ch, echo, NULL, "hello");
  assert_good(c, "hello");
  assert_string_equal(seen(c, "x-seen-path"), "/api/v1/p.S/Echo");
  zcrpc_call_release(c);
  zcrpc_channel_free(ch);
}

static void a_local_socket_is_as_good_as_a_port(void **state) {
  odd_server local;
  char path[64];
  zcrpc_channel *ch;
  zcrpc_call *c;
  (void)state;
  snprintf(path, sizeof path, "/tmp/zcrpc-client-%d.sock", (int)getpid());
  assert_int_equal(odd_server_start(&local, path), 0);
  ch = channel_with(local.target, 0, 0);
  c = open_call(ch, echo, NULL, "hello");
  assert_good(c, "hello");
  assert_string_equal(seen(c, "x-seen-host"), "localhost");
  zcrpc_call_release(c);
  zcrpc_channel_free(ch);
  odd_server_stop(&local);
  unlink(path);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(echo_comes_back_and_the_request_is_what_connect_says),
      cmocka_unit_test(an_untouched_message_is_empty_and_valid),
      cmocka_unit_test(calls_share_one_connection),
      cmocka_unit_test(json_goes_and_comes_as_json),
      cmocka_unit_test(only_methods_without_side_effects_go_as_get),
      cmocka_unit_test(requests_are_compressed_when_asked_and_large_enough),
      cmocka_unit_test(answers_in_every_framing_are_read),
      cmocka_unit_test(large_messages_pass_both_ways),
      cmocka_unit_test(the_limit_is_exact_and_stops_the_server_at_once),
      cmocka_unit_test(a_limit_of_a_call_is_that_calls_alone),
      cmocka_unit_test(an_error_brings_message_details_and_metadata),
      cmocka_unit_test(an_answer_that_is_no_connect_error_is_mapped_by_its_status),
      cmocka_unit_test(a_broken_answer_is_never_a_reply),
      cmocka_unit_test(a_request_that_may_have_been_served_is_not_sent_twice),
      cmocka_unit_test(copies_are_those_that_the_page_names),
      cmocka_unit_test(a_call_is_made_once),
      cmocka_unit_test(a_mistake_in_the_message_is_told_before_anything_is_sent),
      cmocka_unit_test(wrong_targets_and_methods_are_refused),
      cmocka_unit_test(a_prefix_stands_before_the_methods_path),
      cmocka_unit_test(a_local_socket_is_as_good_as_a_port),
  };
  return cmocka_run_group_tests(tests, set_up, tear_down);
}
