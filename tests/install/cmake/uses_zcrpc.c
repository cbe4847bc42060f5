/* A message of generated code, there and back, with the installed library. */
#include <stdio.h>
#include <string.h>

#include "greet.zcrpc.h"

int main(void) {
  static const int64_t numbers[] = {1, -2, 3};
  zcrpc_error *err = NULL;
  zcrpc_arena *arena = zcrpc_arena_new(&err);
  zcrpc_encoder *encoder = greet_v1_Greeting_encoder(&err);
  zcrpc_buffer *bytes;
  zcrpc_slice s = {NULL, 0}, name;
  const greet_v1_Greeting *read;
  int ok;

  greet_v1_Greeting_put_name(greet_v1_Greeting_write(encoder), "you", ZCRPC_NTS);
  zcrpc_encoder_put_int64s(encoder, greet_v1_Greeting_NUMBERS, numbers, 3);
  bytes = zcrpc_encoder_finish(encoder, &err);
  zcrpc_buffer_slice(bytes, &s);
  read = greet_v1_Greeting_decode(s.data, s.len, arena, &err);
  name = greet_v1_Greeting_name(read);
  ok = read && name.len == 3 && memcmp(name.data, "you", 3) == 0 && greet_v1_Greeting_numbers_count(read) == 3 &&
       greet_v1_Greeting_numbers(read, 1) == -2;
  if (err) printf("%s\n", zcrpc_error_message(err));
  printf("%d bytes, %s\n", (int)s.len, ok ? "read back" : "not read back");
  zcrpc_buffer_release(bytes);
  zcrpc_encoder_free(encoder);
  zcrpc_arena_free(arena);
  zcrpc_error_free(err);
  return ok ? 0 : 1;
}
