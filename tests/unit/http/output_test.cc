// A connection's output: order, memory given back, copies counted.
#include <cstdlib>
#include <random>
#include <string>
#include <vector>

#include "http/output.h"

extern "C" {
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
}

using namespace zcrpc;
using http::ChunkPool;
using http::Output;

namespace {

int g_blocks;
void* count_alloc(size_t n, void*) {
  g_blocks++;
  return std::malloc(n);
}
void* count_realloc(void* p, size_t, size_t n, void*) { return std::realloc(p, n); }
void count_free(void* p, size_t, void*) {
  if (p) g_blocks--;
  std::free(p);
}
const base::Allocator kCounting = {count_alloc, count_realloc, count_free, nullptr};

// Takes up to n bytes out, through a few iovecs at a time.
std::string drain(Output* out, size_t n) {
  std::string got;
  while (n && !out->empty()) {
    iovec v[3];
    size_t count = out->fill(v, 3), take = 0;
    assert_true(count > 0);
    for (size_t i = 0; i < count && n; i++) {
      size_t part = std::min(n, v[i].iov_len);
      got.append(static_cast<char*>(v[i].iov_base), part);
      take += part;
      n -= part;
    }
    out->sent(take);
  }
  return got;
}

void bytes_are_lost_or_reordered(void**) {
  std::mt19937 random(3);
  {
    ChunkPool pool(&kCounting, 2);
    Output out(&pool);
    std::string expected, got;
    int left = 0;
    for (int round = 0; round < 20000; round++) {
      size_t n = random() % (round % 10 ? 200 : 40000);
      std::string s(n, char('a' + round % 26));
      switch (random() % 4) {
        case 0: assert_true(out.append(s)); break;
        case 1: {
          n = std::min<size_t>(n, 300);
          s.resize(n);
          uint8_t* p = out.room(n ? n : 1);
          assert_non_null(p);
          memcpy(p, s.data(), n);
          assert_true(out.commit(n));
          break;
        }
        case 2: {
          base::Buffer* b = base::Buffer::make(n);
          if (n) memcpy(b->writable(), s.data(), n);
          assert_true(out.payload(b->slice(), b));
          b->release();
          break;
        }
        default: s.clear(); got += drain(&out, random() % 60000); break;
      }
      expected += s;
      if (round % 100 == 99) {
        got += drain(&out, SIZE_MAX);
        assert_int_equal(out.size(), 0);
        assert_int_equal(got.size(), expected.size());
        assert_true(got == expected);
        got.clear();
        expected.clear();
        left++;
      }
      assert_int_equal(out.size() + got.size(), expected.size());
    }
    assert_true(left > 100);
    assert_true(g_blocks <= 4);  // all but what the pool keeps has gone back: two chunks, a list and its array
    assert_true(out.append(std::string(100000, 'x')));
  }
  assert_int_equal(g_blocks, 0);
}

int g_released;
void released(const void*, size_t, void*) { g_released++; }

void a_reference_is_dropped_before_its_bytes_have_left(void**) {
  static const char kBytes[8192] = {};
  ChunkPool pool;
  Output out(&pool);
  base::Buffer* b = base::Buffer::wrap(kBytes, sizeof kBytes, released, nullptr);
  assert_true(out.append("head"));
  assert_true(out.payload(b->slice(), b));
  b->release();
  iovec v[4];
  assert_int_equal(out.fill(v, 4), 2);
  assert_ptr_equal(v[1].iov_base, kBytes);
  out.sent(4 + sizeof kBytes - 1);
  assert_int_equal(g_released, 0);
  out.sent(1);
  assert_int_equal(g_released, 1);
  assert_int_equal(out.copies, 0);
  // A connection that breaks gives back what it holds.
  b = base::Buffer::wrap(kBytes, sizeof kBytes, released, nullptr);
  assert_true(out.payload(b->slice(), b));
  b->release();
  out.clear();
  assert_int_equal(g_released, 2);
}

void copies_are_not_counted(void**) {
  ChunkPool pool;
  Output out(&pool);
  base::Buffer* b = base::Buffer::make(http::kByReference);
  assert_true(out.payload(b->slice().part(0, http::kByReference - 1), b));
  assert_int_equal(out.copies, 1);
  assert_int_equal(out.bytes_copied, http::kByReference - 1);
  assert_true(out.payload(b->slice(), b));
  assert_int_equal(out.copies, 1);
  assert_true(out.payload(b->slice(), nullptr));  // nobody holds it
  assert_int_equal(out.copies, 2);
  b->release();
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(bytes_are_lost_or_reordered),
      cmocka_unit_test(a_reference_is_dropped_before_its_bytes_have_left),
      cmocka_unit_test(copies_are_not_counted),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
