// Memory that runs out at every possible moment, memory that is kept, and memory that hostile depth may not take.
#include "encode_test.h"
#include "support/fail_malloc.h"

namespace {

using encode::Encoder;

struct Keep {
  Types types;
  base::Arena arena;
  std::string in;
  schema::View v = nullptr;

  // Every way of the encoder that needs memory: nested messages, maps, arrays, and a payload that makes it grow.
  Keep() {
    Encoder* e = encode::encoder_new(types["t.All"]);
    for (int i = 0; i < 14; i++) encode::begin(e, 20);
    encode::put_string(e, 9, slice(std::string_view("deep")));
    for (int i = 0; i < 14; i++) encode::end(e);
    for (int i = 0; i < 50; i++) {
      encode::begin(e, 40);
      encode::put_string(e, 1, slice(std::string(size_t(i) * 10, 'n')));
      encode::end(e);
    }
    encode::begin(e, 45);
    for (int i = 0; i < 20; i++) {
      encode::begin(e, 5);
      encode::put_int64(e, 1, i);
      encode::begin(e, 2);
      encode::put_int64(e, 2, i);
      encode::end(e);
      encode::end(e);
    }
    encode::end(e);
    in = finished(e);
    encode::encoder_free(e);
    v = decode(types["t.All"], in, &arena);
  }
};

struct Work {
  base::Status status;
  base::Buffer* out = nullptr;
};

Work work(const Keep& k, base::Buffer* big) {
  Work w;
  Encoder* e = encode::encoder_new(k.types.schema->message("t.All"));
  if (!e) {
    w.status = base::Status::no_memory();
    return w;
  }
  encode::put_fields(e, k.v);
  encode::begin(e, 20);
  encode::put_buffer(e, 12, big, 0, big->size());
  encode::put_fields(e, k.v);
  encode::end(e);
  auto parts = encode::gather(e);
  if (parts.ok()) {
    auto b = encode::finish(e);
    if (b.ok())
      w.out = *b;
    else
      w.status = b.take_status();
  } else {
    w.status = parts.take_status();
  }
  encode::encoder_free(e);
  return w;
}

void the_nth_allocation_fails_and_nothing_leaks(void**) {
  Keep k;
  base::Buffer* big = base::Buffer::make(20000);
  memset(big->writable(), 'x', 20000);
  Work whole = work(k, big);
  assert_true(whole.status.ok());
  std::string want(whole.out->slice().text());
  whole.out->release();
  long n = 1;
  for (;; n++) {
    long before = fail_malloc_live();
    fail_malloc_at(n);
    Work w = work(k, big);
    int failed = fail_malloc_stop();
    if (failed) {
      // Growth that fails is tried once more with the least that will do.
      if (!w.out) {
        assert_int_equal(int(w.status.code()), int(base::Code::kResourceExhausted));
      } else {
        assert_true(w.out->slice().text() == want);
      }
    } else {
      assert_true(w.out->slice().text() == want);
    }
    if (w.out) w.out->release();
    { base::Status gone = std::move(w.status); }
    assert_int_equal(fail_malloc_live(), before);
    if (!failed) break;
  }
  assert_true(n > 5);
  assert_true(big->unique());
  // And once for all, as on a machine that has run out.
  for (long from = 1; from < n; from++) {
    long before = fail_malloc_live();
    fail_malloc_from(from);
    Work w = work(k, big);
    (void)fail_malloc_stop();
    if (!w.out) assert_int_equal(int(w.status.code()), int(base::Code::kResourceExhausted));
    if (w.out) w.out->release();
    { base::Status gone = std::move(w.status); }
    assert_int_equal(fail_malloc_live(), before);
  }
  big->release();
}

void a_warm_encoder_allocates_nothing(void**) {
  Keep k;
  const schema::Message* all = k.types["t.All"];
  base::Buffer* big = base::Buffer::make(20000);
  Encoder* e = encode::encoder_new(all);
  for (int round = 0; round < 3; round++) {
    if (round == 2) fail_malloc_at(0);
    encode::reset(e, all, 14);
    encode::put_fields(e, k.v);
    encode::begin(e, 20);
    encode::put_buffer(e, 12, big, 0, big->size());
    encode::end(e);
    assert_true(encode::gather(e).ok());
    (void)encode::encoded_bound(k.v);
  }
  long count = fail_malloc_count();
  (void)fail_malloc_stop();
  assert_int_equal(count, 0);
  encode::encoder_free(e);
  big->release();
}

void a_large_message_is_not_kept_for_ever(void**) {
  Keep k;
  const schema::Message* all = k.types["t.All"];
  Encoder* e = encode::encoder_new(all);
  encode::put_string(e, 9, slice(std::string(1 << 20, 'x')));
  encode::reset(e, all);
  long before = fail_malloc_live();
  encode::trim(e, 65536);
  if (before) assert_int_equal(fail_malloc_live(), before - 1);
  encode::put_string(e, 9, slice(std::string_view("x")));
  assert_int_equal(finished(e).size(), 3);
  encode::encoder_free(e);
}

// Depth costs heap, not stack, and each level is closed once.
void depth_does_not_use_the_stack(void**) {
  Keep k;
  const schema::Message* all = k.types["t.All"];
  Encoder* e = encode::encoder_new(all);
  constexpr int kDepth = 200000;
  for (int i = 0; i < kDepth; i++) encode::begin(e, 20);
  encode::put_int64(e, 5, 1);
  // Ending all of them would move the payload at every level whose length outgrows its guess; a hundred is what any
  // decoder takes.
  encode::reset(e, all);
  for (int i = 0; i < 99; i++) encode::begin(e, 20);
  encode::put_int64(e, 5, 1);
  for (int i = 0; i < 99; i++) encode::end(e);
  std::string deep = finished(e);
  base::Arena arena;
  schema::View v = decode(all, deep, &arena);
  encode::reset(e, all);
  encode::put_fields(e, v);
  assert_int_equal(encode::encoded_size(v), deep.size());
  assert_true(finished(e) == deep);
  encode::encoder_free(e);
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(the_nth_allocation_fails_and_nothing_leaks),
      cmocka_unit_test(a_warm_encoder_allocates_nothing),
      cmocka_unit_test(a_large_message_is_not_kept_for_ever),
      cmocka_unit_test(depth_does_not_use_the_stack),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
