/* Streams of messages as C sees them: any cut of the bytes gives the same messages, limits hold, an end inside a message is
 * told; and one buffer that several threads read at once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <pthread.h>
#include <zcrpc.h>

#include "support/fail_malloc.h"

static zcrpc_schema *schema;
static const zcrpc_type *all;

static int set_up(void **state) {
  static char set[1 << 20];
  FILE *f = fopen(ENCODE_TEST_SET, "rb");
  size_t n;
  (void)state;
  if (!f) return -1;
  n = fread(set, 1, sizeof set, f);
  fclose(f);
  schema = zcrpc_schema_new(set, n, NULL);
  all = zcrpc_schema_type(schema, "t.All");
  return all ? 0 : -1;
}
static int tear_down(void **state) {
  (void)state;
  zcrpc_schema_release(schema);
  return 0;
}

/* A stream of messages of these sizes: bytes count up. Returns its length. */
static const size_t sizes[] = {0, 1, 127, 128, 5, 3000, 0, 70000, 2};
enum { MESSAGES = sizeof sizes / sizeof sizes[0] };
static size_t stream(int32_t framing, char *out) {
  size_t at = 0, m, i;
  for (m = 0; m < MESSAGES; m++) {
    at += zcrpc_delimited_prefix(framing, sizes[m], out + at);
    for (i = 0; i < sizes[m]; i++) out[at++] = (char)(m + i);
  }
  return at;
}
static void assert_message(const zcrpc_slice *s, size_t m) {
  size_t i;
  assert_int_equal(s->len, sizes[m]);
  for (i = 0; i < s->len; i++)
    if (s->data[i] != (char)(m + i)) fail_msg("message %zu differs at byte %zu", m, i);
}
static void assert_error(zcrpc_error *err, zcrpc_code code, const char *text, int64_t offset) {
  assert_non_null(err);
  assert_string_equal(zcrpc_error_message(err), text);
  assert_int_equal(zcrpc_error_code(err), code);
  assert_int_equal(zcrpc_error_offset(err), offset);
  zcrpc_error_free(err);
}

static char bytes[100000];

static void prefixes_are_what_they_say(void **state) {
  unsigned char b[5];
  (void)state;
  assert_int_equal(zcrpc_delimited_prefix(ZCRPC_DELIMITED_VARINT, 300, b), 2);
  assert_memory_equal(b, "\xAC\x02", 2);
  assert_int_equal(zcrpc_delimited_prefix(ZCRPC_DELIMITED_FIXED32, 0x010203, b), 4);
  assert_memory_equal(b, "\0\1\2\3", 4); /* big endian */
  assert_int_equal(zcrpc_delimited_prefix(ZCRPC_DELIMITED_VARINT, 0x7FFFFFFF, b), 5);
  assert_int_equal(zcrpc_delimited_prefix(ZCRPC_DELIMITED_VARINT, (size_t)1 << 31, b), 0);
  assert_int_equal(zcrpc_delimited_prefix(3, 1, b), 0);
}

static void messages_in_memory_are_found_in_place(void **state) {
  int32_t framing;
  (void)state;
  for (framing = 1; framing <= 2; framing++) {
    size_t len = stream(framing, bytes), at = 0, m, used;
    zcrpc_slice s;
    zcrpc_error *err = NULL;
    for (m = 0; m < MESSAGES; m++) {
      assert_int_equal(zcrpc_delimited_next(framing, bytes + at, len - at, 0, &s, &used, NULL), ZCRPC_OK);
      assert_message(&s, m);
      at += used;
      assert_true(sizes[m] == 0 || s.data == bytes + at - sizes[m]);
    }
    assert_int_equal(at, len);
    assert_int_equal(zcrpc_delimited_next(framing, "", 0, 0, &s, &used, NULL), ZCRPC_TOO_SMALL);
    assert_int_equal(used, 1);
    assert_int_equal(zcrpc_delimited_next(framing, "\0\0\0\5", framing == 1 ? 0 : 4, 0, &s, &used, NULL), ZCRPC_TOO_SMALL);
    if (framing == 2) assert_int_equal(used, 9);
    assert_int_equal(zcrpc_delimited_next(framing, framing == 1 ? "\x05" : "\0\0\0\5", framing == 1 ? 1 : 4, 4, &s, &used, &err), ZCRPC_RESOURCE_EXHAUSTED);
    assert_error(err, ZCRPC_RESOURCE_EXHAUSTED, "a message over the limit", 0);
  }
}

/* Pushed in pieces of every size, and of one byte. */
static void any_cut_gives_the_same_messages(void **state) {
  static const size_t cuts[] = {1, 2, 3, 7, 100, 4096, 65536, 70001, 1000000};
  int32_t framing;
  size_t c;
  (void)state;
  for (framing = 1; framing <= 2; framing++) {
    size_t len = stream(framing, bytes);
    for (c = 0; c < sizeof cuts / sizeof cuts[0]; c++) {
      zcrpc_reader *r = zcrpc_reader_new(framing, 0, NULL);
      zcrpc_buffer *b;
      size_t at = 0, m = 0;
      zcrpc_code code;
      for (;;) {
        while ((code = zcrpc_reader_next(r, &b, NULL)) == ZCRPC_OK && b) {
          zcrpc_slice s;
          zcrpc_buffer_slice(b, &s);
          assert_message(&s, m++);
          zcrpc_buffer_release(b);
        }
        if (code == ZCRPC_OK) break;
        assert_int_equal(code, ZCRPC_PENDING);
        if (at == len) {
          zcrpc_reader_end(r);
        } else {
          size_t n = len - at < cuts[c] ? len - at : cuts[c];
          assert_int_equal(zcrpc_reader_push(r, bytes + at, n, NULL), ZCRPC_OK);
          at += n;
        }
      }
      assert_int_equal(m, MESSAGES);
      assert_int_equal(zcrpc_reader_offset(r), len);
      zcrpc_reader_free(r);
    }
  }
}

struct source {
  size_t at, len, step;
  int again; /* every other time there is nothing yet */
};
static int64_t read_some(void *to, size_t len, void *user) {
  struct source *s = user;
  size_t n = s->len - s->at;
  if (s->again && (s->again ^= 2) & 2) return -1;
  if (n > s->step) n = s->step;
  if (n > len) n = len;
  memcpy(to, bytes + s->at, n);
  s->at += n;
  return (int64_t)n;
}
static void a_callback_is_asked_and_asked_again(void **state) {
  static const size_t steps[] = {1, 3, 1000, 100000};
  size_t i;
  (void)state;
  for (i = 0; i < 8; i++) {
    struct source source = {0, 0, 0, 0};
    zcrpc_reader *r = zcrpc_reader_new(ZCRPC_DELIMITED_VARINT, 70000, NULL);
    zcrpc_buffer *b;
    size_t m = 0, pending = 0;
    zcrpc_code code;
    source.len = stream(ZCRPC_DELIMITED_VARINT, bytes);
    source.step = steps[i / 2];
    source.again = i % 2;
    zcrpc_reader_set_source(r, read_some, &source);
    for (;;) {
      code = zcrpc_reader_next(r, &b, NULL);
      if (code == ZCRPC_PENDING) {
        pending++;
        continue;
      }
      assert_int_equal(code, ZCRPC_OK);
      if (!b) break;
      {
        zcrpc_slice s;
        zcrpc_buffer_slice(b, &s);
        assert_message(&s, m++);
      }
      zcrpc_buffer_release(b);
    }
    assert_int_equal(m, MESSAGES);
    assert_int_equal(pending > 0, i % 2);
    zcrpc_reader_free(r);
  }
}
static int64_t read_badly(void *to, size_t len, void *user) {
  (void)to;
  (void)user;
  return (int64_t)len + 1;
}

static void an_end_inside_a_message_is_not_a_clean_end(void **state) {
  int32_t framing;
  (void)state;
  for (framing = 1; framing <= 2; framing++) {
    size_t cut;
    for (cut = 0; cut < 8; cut++) {
      static const char *const streams[] = {"\x02" "ab" "\x81\x01" "x", "\0\0\0\2" "ab" "\0\0\0\1"};
      static const size_t whole[] = {3, 6};
      zcrpc_reader *r = zcrpc_reader_new(framing, 0, NULL);
      zcrpc_buffer *b = NULL;
      zcrpc_error *err = NULL;
      zcrpc_code code;
      if (framing == 1 && cut > 6) {
        zcrpc_reader_free(r);
        continue;
      }
      assert_int_equal(zcrpc_reader_push(r, streams[framing - 1], cut, NULL), ZCRPC_OK);
      zcrpc_reader_end(r);
      while ((code = zcrpc_reader_next(r, &b, &err)) == ZCRPC_OK && b) zcrpc_buffer_release(b);
      if (cut == 0 || cut == whole[framing - 1]) {
        assert_int_equal(code, ZCRPC_OK);
      } else {
        int64_t at = cut < whole[framing - 1] ? 0 : (int64_t)whole[framing - 1];
        assert_int_equal(code, ZCRPC_DATA_LOSS);
        assert_int_equal(zcrpc_error_offset(err), at);
        zcrpc_error_free(err);
        assert_int_equal(zcrpc_reader_next(r, &b, NULL), ZCRPC_DATA_LOSS); /* it sticks */
      }
      zcrpc_reader_free(r);
    }
  }
}

static void limits_and_broken_lengths_stick(void **state) {
  zcrpc_error *err = NULL;
  zcrpc_buffer *b;
  zcrpc_reader *r = zcrpc_reader_new(ZCRPC_DELIMITED_VARINT, 10, NULL);
  (void)state;
  assert_int_equal(zcrpc_reader_push(r, "\x01x\x0A" "0123456789\x0B", 14, NULL), ZCRPC_OK);
  assert_int_equal(zcrpc_reader_next(r, &b, NULL), ZCRPC_OK);
  zcrpc_buffer_release(b);
  assert_int_equal(zcrpc_reader_next(r, &b, NULL), ZCRPC_OK); /* a message of exactly the limit */
  zcrpc_buffer_release(b);
  assert_int_equal(zcrpc_reader_next(r, &b, &err), ZCRPC_RESOURCE_EXHAUSTED);
  assert_error(err, ZCRPC_RESOURCE_EXHAUSTED, "a message over the limit", 13);
  assert_int_equal(zcrpc_reader_next(r, &b, NULL), ZCRPC_RESOURCE_EXHAUSTED);
  zcrpc_reader_free(r);
  r = zcrpc_reader_new(ZCRPC_DELIMITED_VARINT, 0, NULL);
  assert_int_equal(zcrpc_reader_push(r, "\xFF\xFF\xFF\xFF\x7F", 5, NULL), ZCRPC_OK);
  err = NULL;
  assert_int_equal(zcrpc_reader_next(r, &b, &err), ZCRPC_INVALID_ARGUMENT);
  assert_error(err, ZCRPC_INVALID_ARGUMENT, "the length of a message is no varint of 32 bits", 0);
  zcrpc_reader_free(r);
  r = zcrpc_reader_new(ZCRPC_DELIMITED_FIXED32, 0, NULL);
  zcrpc_reader_set_source(r, read_badly, NULL);
  assert_int_equal(zcrpc_reader_next(r, &b, NULL), ZCRPC_UNAVAILABLE);
  zcrpc_reader_free(r);
  assert_null(zcrpc_reader_new(0, 0, NULL));
  zcrpc_reader_free(NULL);
  assert_int_equal(zcrpc_reader_next(NULL, &b, NULL), ZCRPC_INVALID_ARGUMENT);
}

/* A length of 2 GiB must not be believed: memory is taken as bytes come. */
static void a_promised_length_takes_no_memory(void **state) {
  zcrpc_reader *r = zcrpc_reader_new(ZCRPC_DELIMITED_FIXED32, 0, NULL);
  zcrpc_buffer *b;
  int i;
  (void)state;
  assert_int_equal(zcrpc_reader_push(r, "\x7F\xFF\xFF\xFF", 4, NULL), ZCRPC_OK);
  for (i = 0; i < 10; i++) {
    assert_int_equal(zcrpc_reader_push(r, bytes, 1000, NULL), ZCRPC_OK);
    assert_int_equal(zcrpc_reader_next(r, &b, NULL), ZCRPC_PENDING);
  }
  zcrpc_reader_free(r);
}

static zcrpc_code collect(const zcrpc_slice *parts, size_t count, void *user) {
  size_t *at = user, i;
  for (i = 0; i < count; i++) {
    memcpy(bytes + *at, parts[i].data, parts[i].len);
    *at += parts[i].len;
  }
  return *at > 50 ? ZCRPC_ABORTED : ZCRPC_OK;
}
static void a_finished_message_is_written_behind_its_length(void **state) {
  zcrpc_encoder *e = zcrpc_encoder_new(all, NULL);
  zcrpc_slice parts[4];
  size_t n = 0, at = 0;
  (void)state;
  zcrpc_encoder_put_string(e, 9, "text", 4);
  assert_int_equal(zcrpc_encoder_gather_delimited(e, ZCRPC_DELIMITED_FIXED32, parts, 4, &n, NULL), ZCRPC_OK);
  assert_int_equal(n, 2);
  assert_int_equal(parts[0].len, 4);
  assert_memory_equal(parts[0].data, "\0\0\0\6", 4);
  assert_memory_equal(parts[1].data, "\x4A\x04text", 6);
  assert_int_equal(zcrpc_encoder_gather_delimited(e, ZCRPC_DELIMITED_VARINT, parts, 1, &n, NULL), ZCRPC_TOO_SMALL);
  assert_int_equal(n, 2);
  assert_int_equal(zcrpc_encoder_write_delimited(e, ZCRPC_DELIMITED_VARINT, collect, &at, NULL), ZCRPC_OK);
  assert_memory_equal(bytes, "\x06\x4A\x04text", 7);
  at = 50;
  assert_int_equal(zcrpc_encoder_write_delimited(e, ZCRPC_DELIMITED_VARINT, collect, &at, NULL), ZCRPC_ABORTED);
  zcrpc_encoder_reset(e, all);
  assert_int_equal(zcrpc_encoder_gather_delimited(e, ZCRPC_DELIMITED_VARINT, parts, 4, &n, NULL), ZCRPC_OK);
  assert_int_equal(n, 1); /* an empty message is a length of 0 */
  assert_memory_equal(parts[0].data, "\0", 1);
  zcrpc_encoder_free(e);
}

static void large_messages_are_parts_of_what_was_pushed(void **state) {
  void *p;
  zcrpc_buffer *whole = zcrpc_buffer_new(20000, &p, NULL), *first, *second, *small;
  zcrpc_reader *r = zcrpc_reader_new(ZCRPC_DELIMITED_FIXED32, 0, NULL);
  zcrpc_slice s, in;
  (void)state;
  memset(p, 'x', 20000);
  memcpy(p, "\0\0\x20\0", 4);
  memcpy((char *)p + 4 + 8192, "\0\0\x20\0", 4);
  memcpy((char *)p + 8 + 16384, "\0\0\0\2ab", 6);
  assert_int_equal(zcrpc_reader_push_buffer(r, whole, 0, 8 + 16384 + 6, NULL), ZCRPC_OK);
  zcrpc_buffer_slice(whole, &in);
  zcrpc_buffer_release(whole);
  assert_int_equal(zcrpc_reader_next(r, &first, NULL), ZCRPC_OK);
  assert_int_equal(zcrpc_reader_next(r, &second, NULL), ZCRPC_OK);
  assert_int_equal(zcrpc_reader_next(r, &small, NULL), ZCRPC_OK);
  zcrpc_reader_free(r);
  zcrpc_buffer_slice(first, &s);
  assert_ptr_equal(s.data, in.data + 4);
  zcrpc_buffer_slice(second, &s);
  assert_ptr_equal(s.data, in.data + 8 + 8192);
  zcrpc_buffer_slice(small, &s);
  assert_true(s.data < in.data || s.data > in.data + in.len); /* a copy: it pins nothing */
  zcrpc_buffer_release(first);
  assert_int_equal(s.len, 2);
  zcrpc_buffer_release(second);
  zcrpc_buffer_release(small);
}

/* ---- One buffer, many readers */

enum { THREADS = 4, ROUNDS = 300 };
struct reading {
  zcrpc_buffer *part;
  int64_t sum;
};
static void *reading_thread(void *arg) {
  struct reading *job = arg;
  int i;
  for (i = 0; i < ROUNDS; i++) {
    zcrpc_arena *a = zcrpc_arena_new(NULL);
    const zcrpc_view *v = zcrpc_view_decode_buffer(all, job->part, NULL, a, NULL);
    zcrpc_slice s;
    zcrpc_view_string(v, 9, &s);
    job->sum += (int64_t)s.len + zcrpc_view_int64(v, 5);
    zcrpc_arena_free(a);
  }
  zcrpc_buffer_release(job->part);
  return NULL;
}
static void one_buffer_is_read_by_many_threads_at_once(void **state) {
  void *p;
  zcrpc_buffer *whole = zcrpc_buffer_new(2 * 8, &p, NULL);
  pthread_t threads[THREADS];
  struct reading jobs[THREADS];
  size_t i;
  (void)state;
  memcpy(p, "\x4A\x04text\x28\x05" "\x4A\x04text\x28\x06", 16);
  for (i = 0; i < THREADS; i++) {
    jobs[i].part = zcrpc_buffer_part(whole, i % 2 * 8, 8, NULL);
    jobs[i].sum = 0;
    assert_non_null(jobs[i].part);
  }
  assert_null(zcrpc_buffer_part(whole, 9, 8, NULL));
  assert_null(zcrpc_buffer_part(NULL, 0, 0, NULL));
  zcrpc_buffer_release(whole); /* the parts hold it */
  for (i = 0; i < THREADS; i++) assert_int_equal(pthread_create(&threads[i], NULL, reading_thread, &jobs[i]), 0);
  for (i = 0; i < THREADS; i++) {
    pthread_join(threads[i], NULL);
    assert_int_equal(jobs[i].sum, ROUNDS * (9 + (int64_t)(i % 2)));
  }
}

static zcrpc_code work(size_t len, size_t *messages) {
  zcrpc_error *err = NULL;
  zcrpc_reader *r = zcrpc_reader_new(ZCRPC_DELIMITED_VARINT, 0, &err);
  size_t at = 0;
  zcrpc_code code = zcrpc_error_code(err);
  *messages = 0;
  while (code == ZCRPC_OK) {
    zcrpc_buffer *b = NULL;
    code = zcrpc_reader_next(r, &b, &err);
    if (code == ZCRPC_PENDING) {
      zcrpc_error_free(err);
      err = NULL;
      if (at == len) {
        zcrpc_reader_end(r);
        code = ZCRPC_OK;
      } else {
        size_t n = len - at < 30000 ? len - at : 30000;
        code = zcrpc_reader_push(r, bytes + at, n, &err);
        at += n;
      }
    } else if (code == ZCRPC_OK && !b) {
      break;
    } else if (code == ZCRPC_OK) {
      ++*messages;
      zcrpc_buffer_release(b);
    }
  }
  zcrpc_error_free(err);
  zcrpc_reader_free(r);
  return code;
}
static void the_nth_allocation_fails_and_nothing_leaks(void **state) {
  size_t len = stream(ZCRPC_DELIMITED_VARINT, bytes), messages;
  long n;
  (void)state;
  for (n = 1;; n++) {
    long before = fail_malloc_live();
    zcrpc_code code;
    int failed;
    fail_malloc_at(n);
    code = work(len, &messages);
    failed = fail_malloc_stop();
    assert_int_equal(fail_malloc_live(), before);
    if (!failed) {
      assert_int_equal(messages, MESSAGES);
      break;
    }
    /* PENDING is an error object too, and may be the static one. */
    if (messages != MESSAGES) assert_int_equal(code, ZCRPC_RESOURCE_EXHAUSTED);
  }
  assert_true(n > 5);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(prefixes_are_what_they_say),
      cmocka_unit_test(messages_in_memory_are_found_in_place),
      cmocka_unit_test(any_cut_gives_the_same_messages),
      cmocka_unit_test(a_callback_is_asked_and_asked_again),
      cmocka_unit_test(an_end_inside_a_message_is_not_a_clean_end),
      cmocka_unit_test(limits_and_broken_lengths_stick),
      cmocka_unit_test(a_promised_length_takes_no_memory),
      cmocka_unit_test(a_finished_message_is_written_behind_its_length),
      cmocka_unit_test(large_messages_are_parts_of_what_was_pushed),
      cmocka_unit_test(one_buffer_is_read_by_many_threads_at_once),
      cmocka_unit_test(the_nth_allocation_fails_and_nothing_leaks),
  };
  return cmocka_run_group_tests(tests, set_up, tear_down);
}
