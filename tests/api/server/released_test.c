/* Debug builds: a view that is used after a loop has ended it is told with what ended it, the function that turned the loop,
 * and from where the program had called that. */
#include <regex.h>

#include "inproc.h"
#include "support/misuse.h"

static const zcrpc_view *_Atomic kept_view;

static void read_number(const zcrpc_view *v) { zcrpc_view_int64(v, NUMBER); }

/* What the use of v says on stderr, "" if it is not caught. */
static const char *said_of(const zcrpc_view *v) {
  static char said[4096];
  return aborts(read_number, v, said, sizeof said) ? said : "";
}

/* The whole line. Another thread may end the view a little later. */
static void assert_said(const zcrpc_view *v, const char *ended) {
  char wanted[512];
  const char *said = "";
  regex_t whole;
  snprintf(wanted, sizeof wanted,
           "^zcrpc: zcrpc_view_int64: view of s\\.M used after %s, which ended arena 0x[0-9a-f]+; called at [^ ]*server_released_test\\+0x[0-9a-f]+\n$", ended);
  assert_non_null(v);
  for (int64_t limit = now_ms() + 10000; !*said && now_ms() < limit; usleep(2000)) said = said_of(v);
  assert_int_equal(regcomp(&whole, wanted, REG_EXTENDED | REG_NOSUB), 0);
  if (regexec(&whole, said, 0, NULL, 0) != 0) fail_msg("said \"%s\", wanted %s", said, wanted);
  regfree(&whole);
}

static zcrpc_code keep_request(zcrpc_call *call, const zcrpc_view *request, zcrpc_encoder *reply, void *user) {
  (void)call, (void)reply, (void)user;
  atomic_store(&kept_view, request);
  return ZCRPC_OK;
}
static void keep_message(zcrpc_call *call, const zcrpc_event *e, const zcrpc_view *message, void *user) {
  (void)user;
  if (e->kind == ZCRPC_EVENT_REQUEST) zcrpc_call_read(call, 10);
  if (e->kind == ZCRPC_EVENT_MESSAGE) atomic_store(&kept_view, message);
  if (e->kind == ZCRPC_EVENT_HALF_CLOSE) zcrpc_call_finish(call, NULL);
}

typedef struct client {
  const zcrpc_view *message;
  int messages, done;
} client;
static void on_client(zcrpc_call *call, const zcrpc_event *e, const zcrpc_view *m, void *user) {
  client *c = user;
  (void)call;
  if (e->kind == ZCRPC_EVENT_MESSAGE) {
    c->message = m;
    c->messages++;
  }
  if (e->kind == ZCRPC_EVENT_DONE) c->done = 1;
}
static void turn_until(zcrpc_loop *l, const int *flag) {
  for (int64_t limit = now_ms() + 10000; !*flag && now_ms() < limit;)
    zcrpc_loop_turn(l, &(zcrpc_turn){.struct_size = sizeof(zcrpc_turn), .timeout_ms = 2}, NULL);
  assert_true(*flag);
}

static void what_a_turn_ended_has_no_place(void **state) {
  zcrpc_loop *l = zcrpc_loop_new(NULL, NULL);
  zcrpc_server *s = zcrpc_server_new(NULL, NULL);
  zcrpc_channel *ch = zcrpc_channel_new_inproc(l, s, NULL, NULL);
  client mine = {NULL, 0, 0};
  zcrpc_call *c;
  (void)state;
  assert_int_equal(zcrpc_server_handle(s, method("s.S/Echo"), NULL, keep_request, NULL, NULL), ZCRPC_OK);
  assert_int_equal(zcrpc_server_handle_events(s, method("s.S/Chat"), NULL, keep_message, NULL, NULL), ZCRPC_OK);
  assert_int_equal(zcrpc_server_handle_events(s, method("s.S/Stream"), NULL, on_event, NULL, NULL), ZCRPC_OK);
  assert_int_equal(zcrpc_server_attach(s, l, NULL), ZCRPC_OK);

  c = open_in(ch, "s.S/Echo");
  put(c, "unary");
  assert_int_equal(zcrpc_call_start(c, 0, on_client, &mine, NULL), ZCRPC_OK);
  turn_until(l, &mine.done);
  zcrpc_call_release(c);
  zcrpc_loop_turn(l, &(zcrpc_turn){.struct_size = sizeof(zcrpc_turn)}, NULL);
  assert_said(atomic_load(&kept_view), "the end of its call in zcrpc_loop_turn");

  /* A message of a stream ends with its event, though the call goes on. */
  mine = (client){NULL, 0, 0};
  c = open_in(ch, "s.S/Chat");
  atomic_store(&kept_view, NULL);
  assert_int_equal(zcrpc_call_start(c, 0, on_client, &mine, NULL), ZCRPC_OK);
  put(c, "stream");
  assert_int_equal(zcrpc_call_send(c, NULL), ZCRPC_OK);
  for (int i = 0; i < 1000 && !atomic_load(&kept_view); i++) zcrpc_loop_turn(l, &(zcrpc_turn){.struct_size = sizeof(zcrpc_turn), .timeout_ms = 2}, NULL);
  assert_said(atomic_load(&kept_view), "the end of its event in zcrpc_loop_turn");
  assert_int_equal(zcrpc_call_close_send(c, NULL), ZCRPC_OK);
  turn_until(l, &mine.done);
  zcrpc_call_release(c);

  /* So does a client's. */
  mine = (client){NULL, 0, 0};
  c = open_in(ch, "s.S/Stream");
  put(c, "two");
  assert_int_equal(zcrpc_call_start(c, 0, on_client, &mine, NULL), ZCRPC_OK);
  zcrpc_call_read(c, 10);
  turn_until(l, &mine.messages);
  assert_said(mine.message, "the end of its event in zcrpc_loop_turn");
  turn_until(l, &mine.done);
  zcrpc_call_release(c);

  zcrpc_channel_free(ch);
  zcrpc_server_free(s);
  zcrpc_loop_free(l);
}

static void what_a_servers_thread_ended_has_no_place(void **state) {
  zcrpc_call *c = open_in(channel, "s.S/Get");
  (void)state;
  atomic_store(&kept_view, NULL);
  put(c, "unary");
  assert_non_null(zcrpc_call_unary(c, NULL));
  zcrpc_call_release(c);
  assert_said(atomic_load(&kept_view), "the end of its call in zcrpc_server_run");
}

/* The call has not ended: its stream went on. */
static void a_message_that_gave_way_to_the_next_is_told_as_an_ended_call(void **state) {
  const zcrpc_view *first = NULL, *second = NULL, *none = NULL;
  zcrpc_call *c = open_in(channel, "s.S/Stream");
  (void)state;
  put(c, "two");
  assert_int_equal(zcrpc_call_next(c, &first, NULL), ZCRPC_OK);
  assert_string_equal(said_of(first), "");
  assert_int_equal(zcrpc_call_next(c, &second, NULL), ZCRPC_OK);
  assert_said(first, "the next message of its stream in zcrpc_call_next");
  assert_string_equal(said_of(second), "");
  assert_int_equal(zcrpc_call_next(c, &none, NULL), ZCRPC_OK);
  assert_null(none);
  assert_said(second, "the next message of its stream in zcrpc_call_next");
  zcrpc_call_release(c);

  c = open_in(channel, "s.S/Stream");
  put(c, "two");
  assert_int_equal(zcrpc_call_next(c, &first, NULL), ZCRPC_OK);
  zcrpc_call_release(c);
  assert_said(first, "zcrpc_call_release");
}

static int begin(void **state) {
  (void)state;
  signal(SIGALRM, SIG_DFL);
  alarm(170);
  make_without_address(options());
  assert_int_equal(zcrpc_server_handle(server, method("s.S/Get"), NULL, keep_request, NULL, NULL), ZCRPC_OK);
  pthread_create(&server_thread, NULL, server_main, (void *)(intptr_t)2);
  channel = zcrpc_channel_new_inproc(NULL, server, NULL, NULL);
  assert_non_null(channel);
  await_server(channel);
  return 0;
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(what_a_turn_ended_has_no_place),
      cmocka_unit_test(what_a_servers_thread_ended_has_no_place),
      cmocka_unit_test(a_message_that_gave_way_to_the_next_is_told_as_an_ended_call),
  };
  return cmocka_run_group_tests(tests, begin, end);
}
