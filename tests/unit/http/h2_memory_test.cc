// Where nghttp2's memory lies: slabs side by side, and given back.
#include "http/h2_memory.h"

#include <cstdlib>
#include <cstring>

extern "C" {
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
}

namespace {

using namespace zcrpc;
using http::H2Memory;
using http::H2Slabs;

size_t g_blocks, g_bytes;
bool g_broke;
const base::Allocator kCounting = {
    .alloc = [](size_t n, void*) -> void* {
      if (g_broke) return nullptr;
      g_blocks++;
      g_bytes += n;
      return malloc(n);
    },
    .realloc = [](void* p, size_t have, size_t n, void*) -> void* {
      g_bytes += n - have;
      return realloc(p, n);
    },
    .free = [](void* p, size_t n, void*) {
      g_blocks--;
      g_bytes -= n;
      free(p);
    },
    .user = nullptr,
};

constexpr size_t kLarge[] = {2928, 4096, 16394};  // of nghttp2 1.52's session

void an_idle_session_keeps_more_than_two_pages(void**) {
  {
    H2Memory m(&kCounting);
    uint8_t* slab = m.begin_slab();
    assert_non_null(slab);
    assert_int_equal(reinterpret_cast<uintptr_t>(slab) % H2Slabs::kPage, H2Slabs::kHead);
    uint8_t* block[3];
    for (size_t i = 0; i < 3; i++) {
      block[i] = static_cast<uint8_t*>(m.alloc(kLarge[i]));
      assert_true(block[i] >= slab && block[i] + kLarge[i] <= slab + H2Slabs::kSlab - H2Slabs::kHead);
    }
    // The frame buffer begins in the second page, with room for the head of an ordinary answer.
    assert_true(block[2] + 512 < slab - H2Slabs::kHead + 2 * H2Slabs::kPage);
    void* small = m.alloc(1024);  // lies elsewhere
    assert_true(small < slab || small >= slab + H2Slabs::kSlab);
    m.end_slab();
    void* later = m.alloc(2048);
    assert_true(later < slab || later >= slab + H2Slabs::kSlab);
    for (uint8_t* b : block) m.free(b);
    m.free(small);
    m.free(later);
    m.free_slab(slab);
  }
  assert_int_equal(g_blocks, 0);
}

void a_block_of_a_slab_lands_in_a_free_list(void**) {
  {
    H2Memory m(&kCounting);
    uint8_t* slab = m.begin_slab();
    auto* p = static_cast<uint8_t*>(m.alloc(3000));
    memset(p, 7, 3000);
    m.end_slab();
    auto* q = static_cast<uint8_t*>(m.realloc(p, 3800));  // it grows out of the slab
    assert_ptr_not_equal(p, q);
    for (size_t i = 0; i < 3000; i++) assert_int_equal(q[i], 7);
    m.free_slab(slab);
    void* again = m.alloc(3000);
    assert_ptr_not_equal(again, p);
    m.free(again);
    m.free(q);
  }
  assert_int_equal(g_blocks, 0);
}

void slabs_of_closed_connections_are_kept_for_ever(void**) {
  size_t before = g_bytes;
  {
    H2Memory m(&kCounting);
    uint8_t* slab[100];
    for (auto& s : slab) {
      assert_non_null(s = m.begin_slab());
      memset(s, 1, H2Slabs::kSlab - H2Slabs::kHead);
      m.end_slab();
    }
    size_t most = g_bytes;
    for (size_t i = 0; i < 100; i += 2) m.free_slab(slab[i]);
    for (size_t i = 1; i < 100; i += 2) m.free_slab(slab[i]);
    assert_true(g_bytes - before < (most - before) / 10);
    // What is left is used again.
    size_t blocks = g_blocks;
    m.free_slab(m.begin_slab());
    m.end_slab();
    assert_int_equal(g_blocks, blocks);
  }
  assert_int_equal(g_bytes, before);
}

void memory_that_runs_out_is_not_told(void**) {
  H2Memory m(&kCounting);
  g_broke = true;
  assert_null(m.begin_slab());
  assert_null(m.alloc(3000));  // and is not cut from a slab that is not there
  g_broke = false;
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(an_idle_session_keeps_more_than_two_pages),
      cmocka_unit_test(a_block_of_a_slab_lands_in_a_free_list),
      cmocka_unit_test(slabs_of_closed_connections_are_kept_for_ever),
      cmocka_unit_test(memory_that_runs_out_is_not_told),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
