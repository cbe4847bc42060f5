/* Debug builds: a view that is used after its memory was released ends the process, and tells what was released, and where. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client.h"
#include "support/misuse.h"

static zcrpc_arena *arena;
static zcrpc_call *call;
static char in_place[4096];

static const zcrpc_view *decode(zcrpc_arena *a) {
  static const char bytes[] = "\x0a\x05hello";
  const zcrpc_view *v = zcrpc_view_decode(zcrpc_schema_type(schema, "p.M"), bytes, 7, NULL, a, NULL);
  assert_non_null(v);
  assert_text(v, "hello");
  return v;
}

static void (*misuse)(void);
static void run_misuse(const zcrpc_view *v) {
  (void)v;
  misuse();
}

/* It has to abort; what it said on stderr must hold both parts. */
static void caught(void (*how)(void), const char *first, const char *second) {
  char said[4096];
  misuse = how;
  if (!aborts(run_misuse, NULL, said, sizeof said)) fail_msg("not caught; it said: %s", said);
  if (!strstr(said, first) || !strstr(said, second)) fail_msg("said %s", said);
}

static void after_reset(void) {
  const zcrpc_view *v = decode(arena);
  zcrpc_arena_reset(arena);
  zcrpc_view_int32(v, NUMBER);
}
static void after_reset_and_the_next_message(void) {
  const zcrpc_view *v = decode(arena);
  zcrpc_arena_reset(arena);
  decode(arena);
  zcrpc_view_has(v, TEXT);
}
static void after_free(void) {
  zcrpc_arena *a = zcrpc_arena_new(NULL);
  const zcrpc_view *v = decode(a);
  zcrpc_arena_free(a);
  zcrpc_view_type(v);
}
static void after_free_in_the_callers_memory(void) {
  zcrpc_arena *a = zcrpc_arena_new_in(in_place, sizeof in_place, NULL);
  const zcrpc_view *v = decode(a);
  zcrpc_arena_free(a);
  zcrpc_view_count(v, TEXT);
}
static void put_into_an_encoder(void) {
  const zcrpc_view *v = decode(arena);
  zcrpc_encoder *e = zcrpc_encoder_new(zcrpc_schema_type(schema, "p.M"), NULL);
  zcrpc_arena_reset(arena);
  zcrpc_encoder_put_fields(e, v);
}
static void after_call_release(void) {
  zcrpc_channel *ch = channel();
  zcrpc_slice s;
  const zcrpc_view *v;
  call = open_call(ch, echo, NULL, "hello");
  v = zcrpc_call_unary(call, NULL);
  assert_non_null(v);
  zcrpc_call_release(call);
  zcrpc_view_string(v, TEXT, &s);
}

static void a_view_of_a_released_arena_is_caught(void **state) {
  (void)state;
  caught(after_reset, "zcrpc_view_int32: view of p.M used after zcrpc_arena_reset", "client_released_test+0x");
  caught(after_reset_and_the_next_message, "zcrpc_view_has: view of p.M used after zcrpc_arena_reset", "client_released_test+0x");
  caught(after_free, "zcrpc_view_type: view of p.M used after zcrpc_arena_free", "client_released_test+0x");
  caught(after_free_in_the_callers_memory, "zcrpc_view_count: view of p.M used after zcrpc_arena_free", "client_released_test+0x");
  caught(put_into_an_encoder, "zcrpc_encoder_put_fields: view of p.M used after zcrpc_arena_reset", "ended arena 0x");
}

static void the_reply_of_a_released_call_is_caught(void **state) {
  (void)state;
  caught(after_call_release, "zcrpc_view_string: view of p.M used after zcrpc_call_release", "client_released_test+0x");
}

static void views_that_live_are_left_alone(void **state) {
  const zcrpc_view *v;
  int i;
  (void)state;
  for (i = 0; i < 3000; i++) { /* more than are remembered */
    zcrpc_arena_reset(arena);
    v = decode(arena);
    assert_text(v, "hello");
  }
}

static int begin(void **state) {
  arena = zcrpc_arena_new(NULL);
  return set_up(state);
}
static int end(void **state) {
  zcrpc_arena_free(arena);
  return tear_down(state);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_view_of_a_released_arena_is_caught),
      cmocka_unit_test(the_reply_of_a_released_call_is_caught),
      cmocka_unit_test(views_that_live_are_left_alone),
  };
  return cmocka_run_group_tests(tests, begin, end);
}
