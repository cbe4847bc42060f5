/* Connect over HTTP/1.1, against a server that runs: what a client sees on the wire. */
#include "http1.h"

static answer a;

static void a_request_in_proto_is_not_answered_in_proto(void **state) {
  char m[64];
  int fd = dial();
  size_t n = message(m, "hello");
  (void)state;
  m[n++] = 0x10; /* number = 7 */
  m[n++] = 7;
  post(fd, "application/proto", "", m, n);
  read_answer(fd, &a);
  assert_int_equal(a.status, 200);
  assert_string_equal(header(&a, "content-type"), "application/proto");
  assert_int_equal(a.body, n);
  assert_memory_equal(body(&a), m, n);
  close(fd);
}

static void a_request_in_json_is_not_answered_in_json(void **state) {
  int fd = dial();
  (void)state;
  ask_json(fd, "{\"text\":\"h\xc3\xa9\",\"number\":\"9007199254740993\",\"payload\":\"AAE=\"}", &a);
  assert_int_equal(a.status, 200);
  assert_string_equal(header(&a, "content-type"), "application/json");
  assert_string_equal(body(&a), "{\"text\":\"h\xc3\xa9\",\"number\":\"9007199254740993\",\"payload\":\"AAE=\"}");
  assert_non_null(header(&a, "date"));
  assert_null(header(&a, "server"));
  close(fd);
}

static void an_empty_body_is_not_an_empty_message(void **state) {
  int fd = dial();
  (void)state;
  post(fd, "application/proto", "", "", 0);
  read_answer(fd, &a);
  assert_int_equal(a.status, 200);
  assert_int_equal(a.body, 0);
  close(fd);
}

static void get_is_served_for_methods_with_side_effects(void **state) {
  int fd = dial();
  (void)state;
  say(fd, "GET /s.S/Get?connect=v1&encoding=json&message=%7B%22text%22%3A%22x%22%7D HTTP/1.1\r\nHost: x\r\n\r\n");
  read_answer(fd, &a);
  assert_int_equal(a.status, 200);
  assert_string_equal(body(&a), "{\"text\":\"x\"}");
  assert_string_equal(header(&a, "vary"), "accept-encoding");
  say(fd, "GET /s.S/Get?message=CgF4&base64=1&encoding=proto HTTP/1.1\r\nHost: x\r\n\r\n");
  read_answer(fd, &a);
  assert_int_equal(a.status, 200);
  assert_memory_equal(body(&a), "\x0a\x01x", 3);
  say(fd, "GET /s.S/Echo?connect=v1&encoding=json&message=%7B%7D HTTP/1.1\r\nHost: x\r\n\r\n");
  read_answer(fd, &a);
  assert_int_equal(a.status, 405);
  assert_string_equal(header(&a, "allow"), "POST");
  close(fd);
}

static void what_is_not_served_ends_the_connection(void **state) {
  int fd = dial();
  (void)state;
  say(fd, "POST /s.S/Nope HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}");
  read_answer(fd, &a);
  assert_int_equal(a.status, 404);
  say(fd, "PUT /s.S/Echo HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}");
  read_answer(fd, &a);
  assert_int_equal(a.status, 405);
  say(fd, "POST /s.S/Echo HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\n{}");
  read_answer(fd, &a);
  assert_int_equal(a.status, 415);
  assert_non_null(strstr(header(&a, "accept-post"), "application/json"));
  ask_json(fd, "{}", &a);
  assert_int_equal(a.status, 200);
  close(fd);
}

static void an_error_loses_its_text_details_or_metadata(void **state) {
  int fd = dial();
  (void)state;
  ask_json(fd, "{\"text\":\"fail 5 it is not here\"}", &a);
  assert_int_equal(a.status, 404);
  assert_string_equal(body(&a), "{\"code\":\"not_found\",\"message\":\"it is not here\"}");
  ask_json(fd, "{\"text\":\"detail\"}", &a);
  assert_int_equal(a.status, 404);
  assert_string_equal(body(&a), "{\"code\":\"not_found\",\"message\":\"no \\\"such\\\" thing \xc3\xa9\","
                                "\"details\":[{\"type\":\"s.M\",\"value\":\"CgJoaQ\"}]}");
  assert_string_equal(header(&a, "trailer-x-why"), "because");
  ask_json(fd, "{\"text\":\"code 7\"}", &a);
  assert_int_equal(a.status, 403);
  assert_string_equal(body(&a), "{\"code\":\"permission_denied\"}");
  close(fd);
}

/* Only what a handler wrote reaches the wire. */
static void a_handlers_mistake_is_told_to_the_client(void **state) {
  int fd = dial();
  (void)state;
  ask_json(fd, "{\"text\":\"bad\"}", &a);
  assert_int_equal(a.status, 500);
  assert_string_equal(body(&a), "{\"code\":\"internal\"}");
  ask_json(fd, "{\"text\":\"code 4711\"}", &a);
  assert_int_equal(a.status, 500);
  assert_string_equal(body(&a), "{\"code\":\"internal\"}");
  ask_json(fd, "{\"text\":\"drop\"}", &a);
  assert_int_equal(a.status, 500);
  assert_string_equal(body(&a), "{\"code\":\"internal\"}");
  close(fd);
}

static void a_bad_message_is_refused_without_saying_where(void **state) {
  int fd = dial();
  (void)state;
  post(fd, "application/proto", "", "\x10\x01\x22\x04\x0a\x05" "hi", 8); /* children[0].text is cut */
  read_answer(fd, &a);
  assert_int_equal(a.status, 400);
  assert_non_null(strstr(body(&a), "\"code\":\"invalid_argument\""));
  assert_non_null(strstr(body(&a), "\"byte "));
  assert_non_null(strstr(body(&a), "children[0].text: "));
  assert_non_null(strstr(body(&a), "\"type\":\"google.rpc.BadRequest\""));
  ask_json(fd, "{\"children\":[{},{\"number\":\"x\"}]}", &a);
  assert_int_equal(a.status, 400);
  assert_non_null(strstr(body(&a), "line 1, column "));
  assert_non_null(strstr(body(&a), "children[1].number"));
  assert_non_null(strstr(body(&a), "google.rpc.BadRequest"));
  ask_json(fd, "{\"text\":\"still here\"}", &a);
  assert_int_equal(a.status, 200);
  close(fd);
}

static void metadata_does_not_arrive(void **state) {
  int fd = dial();
  (void)state;
  post_json(fd, "X-Ask: question\r\n", "{\"text\":\"meta\"}");
  read_answer(fd, &a);
  assert_int_equal(a.status, 200);
  assert_string_equal(header(&a, "x-head"), "question");
  assert_string_equal(header(&a, "trailer-x-tail"), "question");
  assert_string_equal(header(&a, "trailer-x-tail-bin"), "AP8");
  close(fd);
}

static void a_request_in_pieces_is_misread(void **state) {
  static const char json[] = "{\"text\":\"split\"}";
  char whole[256];
  int len = snprintf(whole, sizeof whole, "POST /s.S/Echo HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
                     sizeof json - 1, json);
  (void)state;
  for (size_t cut = 1; cut < (size_t)len; cut += 3) {
    int fd = dial();
    send_all(fd, whole, cut);
    usleep(2000);
    send_all(fd, whole + cut, (size_t)len - cut);
    read_answer(fd, &a);
    assert_int_equal(a.status, 200);
    assert_string_equal(body(&a), json);
    close(fd);
  }
}

static void a_chunked_request_is_misread(void **state) {
  int fd = dial();
  (void)state;
  say(fd, "POST /s.S/Echo HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{\"tex\r\n");
  usleep(20000);
  say(fd, "B\r\nt\":\"chunk\"}\r\n0\r\n\r\n");
  read_answer(fd, &a);
  if (a.status != 200) fail_msg("%s", a.text);
  assert_string_equal(body(&a), "{\"text\":\"chunk\"}");
  ask_json(fd, "{}", &a);
  assert_int_equal(a.status, 200);
  close(fd);
}

static void pipelined_requests_are_answered_out_of_order(void **state) {
  char text[64];
  int i, fd = dial();
  (void)state;
  post_json(fd, "", "{\"text\":\"later\"}"); /* those behind it wait */
  for (i = 0; i < 50; i++) {
    snprintf(text, sizeof text, "{\"text\":\"%s %d\"}", i % 7 == 3 ? "later" : "now", i);
    post_json(fd, "", text);
  }
  read_answer(fd, &a);
  assert_string_equal(body(&a), "{\"text\":\"later\"}");
  for (i = 0; i < 50; i++) {
    read_answer(fd, &a);
    assert_int_equal(a.status, 200);
    snprintf(text, sizeof text, i % 7 == 3 ? "{\"text\":\"later\"}" : "{\"text\":\"now %d\"}", i);
    assert_string_equal(body(&a), text);
  }
  close(fd);
}

static void a_connection_outlives_what_was_asked_for(void **state) {
  int fd = dial();
  (void)state;
  post_json(fd, "Connection: close\r\n", "{}");
  read_answer(fd, &a);
  assert_int_equal(a.status, 200);
  assert_string_equal(header(&a, "connection"), "close");
  assert_true(ends(fd));
  close(fd);
  fd = dial();
  say(fd, "POST /s.S/Echo HTTP/1.0\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}");
  read_answer(fd, &a);
  assert_int_equal(a.status, 200);
  assert_true(ends(fd));
  close(fd);
}

static void expect_continue_is_left_waiting(void **state) {
  int fd = dial();
  (void)state;
  say(fd, "POST /s.S/Echo HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n");
  read_answer(fd, &a);
  assert_int_equal(a.status, 100);
  say(fd, "{}");
  read_answer(fd, &a);
  assert_int_equal(a.status, 200);
  /* Not wanted: the final answer at once, and the end. */
  say(fd, "POST /s.S/Nope HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n");
  read_answer(fd, &a);
  assert_int_equal(a.status, 404);
  assert_true(ends(fd));
  close(fd);
  /* More than is taken, bare, packed and in an envelope: who asked is spared the way. */
  static const char *const heads[] = {
      "Content-Type: application/json\r\nContent-Length: 4194305\r\n",
      "Content-Type: application/proto\r\nContent-Encoding: gzip\r\nContent-Length: 8392705\r\n",
      "Content-Type: application/grpc-web\r\nContent-Length: 4194310\r\n",
      "Content-Type: application/grpc-web-text\r\nContent-Length: 16777240\r\n",
  };
  for (size_t i = 0; i < sizeof heads / sizeof *heads; i++) {
    char text[512];
    fd = dial();
    snprintf(text, sizeof text, "POST /s.S/Echo HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n%s\r\n", heads[i]);
    say(fd, text);
    read_answer(fd, &a);
    if (a.status == 100) fail_msg("%s: 100", heads[i]);
    assert_int_equal(a.status, i < 2 ? 429 : 200);
    if (i == 0) assert_string_equal(body(&a), "{\"code\":\"resource_exhausted\",\"message\":\"message is larger than the limit of 4194304 bytes\"}");
    if (i == 1) assert_non_null(strstr(body(&a), "message is larger than the limit of 8392704 bytes before it is inflated"));
    if (i == 2) assert_non_null(strstr(body(&a) + 5, "grpc-status: 8\r\n"));
    assert_true(ends(fd));
    close(fd);
  }
  /* One byte less is asked for. */
  fd = dial();
  say(fd, "POST /s.S/Echo HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Type: application/json\r\nContent-Length: 4194304\r\n\r\n");
  read_answer(fd, &a);
  assert_int_equal(a.status, 100);
  close(fd);
}

/* Each of these could be read in two ways by two parsers. */
static void an_ambiguous_request_is_served(void **state) {
  static const char *const heads[] = {
      "POST /s.S/Echo HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
      "POST /s.S/Echo HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
      "POST /s.S/Echo HTTP/1.1\r\nHost: x\r\nContent-Length : 2\r\n\r\n{}",
      "POST /s.S/Echo HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}",
      "POST /s.S/Echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
      "POST /s.S/Echo HTTP/1.1\r\nHost: x\r\n folded: y\r\nContent-Length: 2\r\n\r\n{}",
  };
  int before = atomic_load(&handled);
  (void)state;
  for (size_t i = 0; i < sizeof heads / sizeof *heads; i++) {
    int fd = dial();
    say(fd, heads[i]);
    read_answer(fd, &a);
    assert_true(a.status == 400 || a.status == 501);
    assert_true(ends(fd));
    close(fd);
  }
  assert_int_equal(atomic_load(&handled), before);
}

static void a_head_without_end_is_read_for_ever(void **state) {
  char line[128];
  int i, fd = dial();
  (void)state;
  say(fd, "POST /s.S/Echo HTTP/1.1\r\nHost: x\r\n");
  for (i = 0; i < 300; i++) {
    snprintf(line, sizeof line, "X-Filler-%d: %080d\r\n", i, i);
    say(fd, line);
  }
  read_answer(fd, &a);
  assert_int_equal(a.status, 431);
  assert_true(ends(fd));
  close(fd);
}

static void a_message_of_the_limit_is_refused_or_a_longer_one_taken(void **state) {
  static char big[(4 << 20) + 1];
  size_t n = (4 << 20) - 5; /* field 15, which nobody knows, and a length of four bytes */
  int fd = dial();
  (void)state;
  big[0] = 0x7A;
  big[1] = (char)(n & 0x7F) | (char)0x80;
  big[2] = (char)(n >> 7 & 0x7F) | (char)0x80;
  big[3] = (char)(n >> 14 & 0x7F) | (char)0x80;
  big[4] = (char)(n >> 21);
  post(fd, "application/proto", "", big, 4 << 20);
  read_answer(fd, &a);
  assert_int_equal(a.status, 200);
  post(fd, "application/proto", "", big, (4 << 20) + 1);
  read_answer(fd, &a);
  assert_int_equal(a.status, 429);
  assert_non_null(strstr(body(&a), "resource_exhausted"));
  close(fd);
}

static void a_client_that_leaves_breaks_the_server(void **state) {
  int i;
  (void)state;
  for (i = 0; i < 20; i++) {
    int fd = dial();
    if (i % 4 == 0) say(fd, "POST /s.S/Echo HTTP/1.1\r\nHos");
    if (i % 4 == 1) say(fd, "POST /s.S/Echo HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 50\r\n\r\n{");
    if (i % 4 == 2) post_json(fd, "", "{\"text\":\"later\"}");
    if (i % 4 == 3) post_json(fd, "", "{\"text\":\"size 900000\"}");
    if (i % 3 == 0) {
      struct linger now = {1, 0};
      setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    }
    close(fd);
  }
  int fd = dial();
  ask_json(fd, "{\"text\":\"here\"}", &a);
  assert_int_equal(a.status, 200);
  close(fd);
}

static void a_large_answer_is_cut(void **state) {
  int fd = dial();
  (void)state;
  post(fd, "application/proto", "", "\x0a\x0bsize 700000", 13);
  read_answer(fd, &a);
  assert_int_equal(a.status, 200);
  assert_int_equal(a.body, 700000 + 4);
  assert_int_equal(body(&a)[4], 'z');
  assert_int_equal(body(&a)[a.body - 1], 'z');
  close(fd);
}

static void a_deadline_is_not_kept(void **state) {
  int64_t start = now_ms();
  int fd = dial();
  (void)state;
  post_json(fd, "Connect-Timeout-Ms: 100\r\n", "{\"text\":\"never\"}");
  read_answer(fd, &a);
  assert_int_equal(a.status, 504);
  assert_non_null(strstr(body(&a), "deadline_exceeded"));
  assert_true(now_ms() - start > 100 && now_ms() - start < 5000); /* behind the client's own */
  assert_true(zcrpc_call_is_done(atomic_load(&kept)));
  assert_int_equal(zcrpc_error_code(zcrpc_call_error(atomic_load(&kept))), ZCRPC_DEADLINE_EXCEEDED);
  release_kept();
  post_json(fd, "Connect-Timeout-Ms: 5000\r\n", "{\"text\":\"left\"}");
  read_answer(fd, &a);
  int left = atoi(strstr(body(&a), "number\":\"") + 9);
  assert_true(left > 3000 && left <= 5000);
  post_json(fd, "Connect-Timeout-Ms: x\r\n", "{}");
  read_answer(fd, &a);
  assert_int_equal(a.status, 400);
  /* The body's time counts too. */
  say(fd, "POST /s.S/Echo HTTP/1.1\r\nHost: x\r\nConnect-Timeout-Ms: 100\r\nContent-Type: application/json\r\nContent-Length: 20\r\n\r\n{");
  read_answer(fd, &a);
  assert_int_equal(a.status, 504);
  close(fd);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_request_in_proto_is_not_answered_in_proto),
      cmocka_unit_test(a_request_in_json_is_not_answered_in_json),
      cmocka_unit_test(an_empty_body_is_not_an_empty_message),
      cmocka_unit_test(get_is_served_for_methods_with_side_effects),
      cmocka_unit_test(what_is_not_served_ends_the_connection),
      cmocka_unit_test(an_error_loses_its_text_details_or_metadata),
      cmocka_unit_test(a_handlers_mistake_is_told_to_the_client),
      cmocka_unit_test(a_bad_message_is_refused_without_saying_where),
      cmocka_unit_test(metadata_does_not_arrive),
      cmocka_unit_test(a_request_in_pieces_is_misread),
      cmocka_unit_test(a_chunked_request_is_misread),
      cmocka_unit_test(pipelined_requests_are_answered_out_of_order),
      cmocka_unit_test(a_connection_outlives_what_was_asked_for),
      cmocka_unit_test(expect_continue_is_left_waiting),
      cmocka_unit_test(an_ambiguous_request_is_served),
      cmocka_unit_test(a_head_without_end_is_read_for_ever),
      cmocka_unit_test(a_message_of_the_limit_is_refused_or_a_longer_one_taken),
      cmocka_unit_test(a_client_that_leaves_breaks_the_server),
      cmocka_unit_test(a_large_answer_is_cut),
      cmocka_unit_test(a_deadline_is_not_kept),
  };
  return cmocka_run_group_tests(tests, start_default, stop_default);
}
