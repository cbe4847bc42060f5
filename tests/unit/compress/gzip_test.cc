// Gzip in and out: limits, cuts at every byte, garbage, contexts that are used again, want of memory.
#include <malloc.h>

#include <cstring>
#include <random>
#include <string>

#include "compress/compress.h"
#include "support/fail_malloc.h"

extern "C" {
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
}

using namespace zcrpc;
using base::Code;
using base::Slice;
using base::Status;
using compress::Coding;
using compress::Deflater;
using compress::Inflater;
using compress::Pool;

namespace {

std::string text(size_t n, unsigned seed = 1) {
  std::mt19937 random(seed);
  std::string s;
  while (s.size() < n) s += "word" + std::to_string(random() % 100) + " ";
  s.resize(n);
  return s;
}

std::string squeeze(Pool* pool, const std::string& s, int level = 0, size_t step = SIZE_MAX) {
  Deflater d;
  assert_true(d.begin(pool, Coding::kGzip, level, s.size()).ok());
  for (size_t i = 0; i < s.size(); i += step) {
    assert_true(d.feed(Slice(std::string_view(s).substr(i, step))).ok());
    if (step == SIZE_MAX) break;
  }
  auto r = d.finish();
  assert_true(r.ok());
  std::string out((*r)->slice().text());
  (*r)->release();
  return out;
}

// The code, and what came out if it is OK.
Code expand(Pool* pool, const std::string& s, size_t limit, std::string* out = nullptr, size_t step = SIZE_MAX) {
  Inflater f;
  assert_true(f.begin(pool, Coding::kGzip, limit).ok());
  for (size_t i = 0; i < s.size(); i += step) {
    // A copy of its own: reads past the end are seen.
    std::string part = s.substr(i, step);
    std::vector<char> exact(part.begin(), part.end());
    Status st = f.feed(Slice(exact.data(), exact.size()));
    if (!st.ok()) return st.code();
    if (step == SIZE_MAX) break;
  }
  auto r = f.finish();
  if (!r.ok()) return r.status().code();
  if (out) out->assign((*r)->slice().text());
  assert_true((*r)->has_slack());
  (*r)->release();
  return Code::kOk;
}

void a_round_trip_changes_bytes(void**) {
  Pool pool;
  std::mt19937 random(5);
  for (size_t n : {size_t(0), size_t(1), size_t(100), size_t(4095), size_t(4096), size_t(4097), size_t(100000), size_t(1) << 20}) {
    for (int kind = 0; kind < 2; kind++) {
      std::string s = text(n);
      if (kind) for (char& c : s) c = char(random());
      for (int level : {0, 1, 9}) {
        std::string z = squeeze(&pool, s, level), out;
        assert_int_equal(int(expand(&pool, z, n, &out)), int(Code::kOk));  // exactly the limit passes
        assert_true(out == s);
        assert_int_equal(int(expand(&pool, z, n, &out, 1000)), int(Code::kOk));
        assert_true(out == s);
      }
      std::string out;
      assert_int_equal(int(expand(&pool, squeeze(&pool, s, 0, 777), SIZE_MAX, &out)), int(Code::kOk));
      assert_true(out == s);
    }
  }
  std::string s = text(3000), out;
  assert_int_equal(int(expand(&pool, squeeze(&pool, s), s.size(), &out, 1)), int(Code::kOk));
  assert_true(out == s);
}

void a_limit_is_passed_or_missed_by_one(void**) {
  Pool pool;
  for (size_t n : {size_t(1), size_t(2), size_t(4096), size_t(4097), size_t(50000)}) {
    std::string z = squeeze(&pool, text(n));
    assert_int_equal(int(expand(&pool, z, n)), int(Code::kOk));
    assert_int_equal(int(expand(&pool, z, n - 1)), int(Code::kResourceExhausted));
    assert_int_equal(int(expand(&pool, z, n - 1, nullptr, 1)), int(Code::kResourceExhausted));
  }
  std::string empty = squeeze(&pool, "");
  assert_int_equal(int(expand(&pool, empty, 0)), int(Code::kOk));
}

void a_bomb_is_inflated_before_it_is_refused(void**) {
  Pool pool;
  std::string z = squeeze(&pool, std::string(64 << 20, '\0'), 9);
  assert_true(z.size() < 100000);
  Inflater f;
  assert_true(f.begin(&pool, Coding::kGzip, 1 << 20).ok());
  assert_int_equal(int(f.feed(Slice(std::string_view(z))).code()), int(Code::kResourceExhausted));
  assert_int_equal(f.size(), (1 << 20) + 1);
  // And told at once, while most of it is still to come.
  f.reset();
  assert_true(f.begin(&pool, Coding::kGzip, 1 << 20).ok());
  assert_int_equal(int(f.feed(Slice(std::string_view(z).substr(0, 4000))).code()), int(Code::kResourceExhausted));
}

void truncated_data_are_a_clean_end(void**) {
  Pool pool;
  for (const std::string& z : {squeeze(&pool, text(500)), squeeze(&pool, ""), squeeze(&pool, text(9000), 1)}) {
    for (size_t i = 0; i < z.size(); i++) {
      assert_int_equal(int(expand(&pool, z.substr(0, i), 100000)), int(Code::kInvalidArgument));
      assert_int_equal(int(expand(&pool, z.substr(0, i), 100000, nullptr, 7)), int(Code::kInvalidArgument));
    }
  }
}

void garbage_is_passed_over(void**) {
  Pool pool;
  std::string s = text(500), z = squeeze(&pool, s), out;
  assert_int_equal(int(expand(&pool, z + "x", 100000)), int(Code::kInvalidArgument));
  assert_int_equal(int(expand(&pool, z + "x", 100000, nullptr, z.size())), int(Code::kInvalidArgument));
  assert_int_equal(int(expand(&pool, z + "\x1Fx", 100000)), int(Code::kInvalidArgument));
  assert_int_equal(int(expand(&pool, z + "\x1F", 100000)), int(Code::kInvalidArgument));
  assert_int_equal(int(expand(&pool, "not gzip at all", 100000)), int(Code::kInvalidArgument));
  // Several members in a row are one file.
  assert_int_equal(int(expand(&pool, z + z, 1000, &out)), int(Code::kOk));
  assert_true(out == s + s);
  assert_int_equal(int(expand(&pool, z + z, 999)), int(Code::kResourceExhausted));
  assert_int_equal(int(expand(&pool, z + z, 1000, &out, 1)), int(Code::kOk));
  // One byte wrong, wherever it is: an error, or the same bytes (the header has some that mean nothing).
  for (size_t i = 0; i < z.size(); i++) {
    std::string bad = z;
    bad[i] = char(bad[i] ^ 0x55);
    out.clear();
    Code c = expand(&pool, bad, 1000, &out);
    assert_true(c == Code::kInvalidArgument || c == Code::kResourceExhausted || (c == Code::kOk && out == s && i < 10));
  }
}

void a_small_message_holds_a_large_buffer(void**) {
  Pool pool;
  std::string z = squeeze(&pool, text(100));
  Inflater f;
  assert_true(f.begin(&pool, Coding::kGzip, 64 << 20).ok());
  long before = fail_malloc_live();
  assert_true(f.feed(Slice(std::string_view(z))).ok());
  auto r = f.finish();
  assert_true(r.ok());
  assert_int_equal((*r)->size(), 100);
  assert_true(malloc_usable_size(*r) < 5000);
  (*r)->release();
  assert_int_equal(fail_malloc_live(), before);
}

void contexts_are_made_anew_for_each_message(void**) {
  Pool pool;
  std::string s = text(2000), z = squeeze(&pool, s);
  assert_int_equal(int(expand(&pool, z, 2000)), int(Code::kOk));
  Inflater f;
  Deflater d;
  fail_malloc_at(0);
  for (int i = 0; i < 10; i++) {
    assert_true(f.begin(&pool, Coding::kGzip, 2000).ok());
    assert_true(f.feed(Slice(std::string_view(z))).ok());
    (*f.finish())->release();
    assert_true(d.begin(&pool, Coding::kGzip, i, 2000).ok());
    assert_true(d.feed(Slice(std::string_view(s))).ok());
    (*d.finish())->release();
  }
  assert_true(fail_malloc_count() <= 30);  // the messages' own buffers
  fail_malloc_stop();
  // A context that was left in the middle of a message is as good as new.
  for (int i = 0; i < 5; i++) {
    assert_true(f.begin(&pool, Coding::kGzip, 2000).ok());
    assert_true(f.feed(Slice(std::string_view(z).substr(0, z.size() / 2))).ok());
    f.reset();
    assert_true(d.begin(&pool, Coding::kGzip, 0, 0).ok());
    assert_true(d.feed(Slice(std::string_view(s).substr(0, 1000))).ok());
    d.reset();
  }
  std::string out;
  assert_int_equal(int(expand(&pool, squeeze(&pool, s), 2000, &out)), int(Code::kOk));
  assert_true(out == s);
}

void names_are_misread(void**) {
  assert_int_equal(int(compress::coding_from_name("gzip")), int(Coding::kGzip));
  assert_int_equal(int(compress::coding_from_name("GZip")), int(Coding::kGzip));
  assert_int_equal(int(compress::coding_from_name("identity")), int(Coding::kIdentity));
  assert_int_equal(int(compress::coding_from_name("")), int(Coding::kIdentity));
  assert_int_equal(int(compress::coding_from_name("x-gzip")), int(Coding::kUnknown));
  assert_int_equal(int(compress::coding_from_name("gzi")), int(Coding::kUnknown));
  assert_true(compress::coding_name(Coding::kGzip) == "gzip");
  assert_true(compress::coding_name(Coding::kUnknown).empty());
  assert_int_equal(compress::bit(Coding::kUnknown), 0);
  Inflater f;
  Deflater d;
  assert_int_equal(int(f.begin(nullptr, Coding::kUnknown, 1).code()), int(Code::kInternal));
  assert_int_equal(int(d.begin(nullptr, Coding::kIdentity, 0, 1).code()), int(Code::kInternal));
}

void a_lack_of_memory_crashes_or_leaks(void**) {
  std::string s = text(50000), z;
  {
    Pool pool;
    z = squeeze(&pool, s);
  }
  for (long n = 1;; n++) {
    assert_true(n < 100);
    long before = fail_malloc_live();
    fail_malloc_at(n);
    Code code;
    {
      Pool pool;
      Inflater f;
      Deflater d;
      auto work = [&]() -> Status {
        ZCRPC_TRY(f.begin(&pool, Coding::kGzip, 60000));
        ZCRPC_TRY(f.feed(Slice(std::string_view(z))));
        auto r = f.finish();
        if (!r.ok()) return r.take_status();
        base::BufferRef plain(*r);
        ZCRPC_TRY(d.begin(&pool, Coding::kGzip, 0, 0));
        ZCRPC_TRY(d.feed(plain->slice()));
        auto w = d.finish();
        if (!w.ok()) return w.take_status();
        (*w)->release();
        return {};
      };
      code = work().code();
    }
    int failed = fail_malloc_stop();
    assert_int_equal(fail_malloc_live(), before);
    if (!failed) break;
    // To give memory back may fail too, and harms nobody.
    assert_true(code == Code::kResourceExhausted || code == Code::kOk);
  }
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(a_round_trip_changes_bytes),
      cmocka_unit_test(a_limit_is_passed_or_missed_by_one),
      cmocka_unit_test(a_bomb_is_inflated_before_it_is_refused),
      cmocka_unit_test(truncated_data_are_a_clean_end),
      cmocka_unit_test(garbage_is_passed_over),
      cmocka_unit_test(a_small_message_holds_a_large_buffer),
      cmocka_unit_test(contexts_are_made_anew_for_each_message),
      cmocka_unit_test(names_are_misread),
      cmocka_unit_test(a_lack_of_memory_crashes_or_leaks),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
