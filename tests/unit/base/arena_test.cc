// Arenas and buffers: where memory comes from, what it costs, and that it goes back.
#include "base/arena.h"

#include "support/cmocka.h"

#include <cstdlib>
#include <cstring>
#include <vector>

#include "base/buffer.h"

using namespace zcrpc::base;

namespace {

// Counts blocks and bytes, and can be made to fail; checks that sizes told to it are the ones it gave.
struct Counter {
  size_t live = 0, bytes = 0, calls = 0;
  long fail_at = 0;  // 0: never
  Allocator allocator{alloc, realloc, free, this};

  static void* alloc(size_t size, void* user) {
    auto* c = static_cast<Counter*>(user);
    if (++c->calls == size_t(c->fail_at)) return nullptr;
    c->live++;
    c->bytes += size;
    auto* p = static_cast<size_t*>(malloc(size + 16));
    *p = size;
    return p + 2;
  }
  static void* realloc(void* p, size_t old, size_t size, void* user) {
    void* q = alloc(size, user);
    if (!q) return nullptr;
    memcpy(q, p, old < size ? old : size);
    free(p, old, user);
    return q;
  }
  static void free(void* p, size_t size, void* user) {
    auto* c = static_cast<Counter*>(user);
    size_t* q = static_cast<size_t*>(p) - 2;
    assert_int_equal(*q, size);
    c->live--;
    c->bytes -= size;
    ::free(q);
  }
};

void pieces_are_aligned_and_apart(void**) {
  Counter c;
  {
    Arena a(&c.allocator);
    std::vector<uint8_t*> pieces;
    for (size_t i = 0; i < 500; i++) {
      auto* p = static_cast<uint8_t*>(a.alloc(i));
      assert_non_null(p);
      assert_int_equal(reinterpret_cast<uintptr_t>(p) % 8, 0);
      memset(p, int(i), i);
      pieces.push_back(p);
    }
    for (size_t i = 0; i < 500; i++)
      for (size_t k = 0; k < i; k++) assert_int_equal(pieces[i][k], uint8_t(i));
    assert_true(a.reserved() <= c.bytes && a.used() >= 500 * 499 / 2 && a.used() <= a.reserved());
    assert_true(c.calls < 12);  // blocks double
  }
  assert_int_equal(c.live, 0);
}

void sizes_that_overflow_are_refused(void**) {
  Arena a;
  assert_null(a.alloc(SIZE_MAX));
  assert_null(a.alloc(SIZE_MAX - 7));
  assert_null(a.alloc(SIZE_MAX / 2));
  assert_null(a.array<uint64_t>(SIZE_MAX / 8));
  assert_null(a.array<uint64_t>(SIZE_MAX / 4));
  assert_non_null(a.alloc(1));
}

void a_reset_arena_allocates_nothing_again(void**) {
  Counter c;
  Arena a(&c.allocator);
  auto round = [&] {
    for (int i = 0; i < 100; i++) assert_non_null(a.alloc(1000));
  };
  round();
  uint64_t before = a.generation();
  a.reset();
  assert_true(a.generation() != before);
  assert_int_equal(c.live, 1);  // one block for all of it
  size_t calls = c.calls;
  for (int i = 0; i < 5; i++) {
    round();
    a.reset();
  }
  assert_int_equal(c.calls, calls);
  assert_int_equal(a.used(), 0);
}

void a_region_grows_moves_and_keeps_its_bytes(void**) {
  Counter c;
  {
    Arena a(&c.allocator);
    assert_non_null(a.alloc(8));
    size_t capacity = 0;
    uint8_t* r = a.region_open(100, &capacity);
    assert_true(r && capacity >= 100);
    size_t used = 0;
    while (used < 1 << 20) {
      if (used + 7 > capacity) {
        // An arena grows a region exactly as far as it is asked to; those who fill one double it.
        size_t least = used < 4096 ? used + 7 : 2 * used;
        r = a.region_grow(r, used, least, &capacity);
        assert_true(r && capacity >= least);
      }
      for (int i = 0; i < 7; i++) r[used + size_t(i)] = uint8_t((used + size_t(i)) % 251);
      used += 7;
    }
    for (size_t i = 0; i < used; i++) assert_int_equal(r[i], i % 251);
    assert_true(a.reserved() <= 4 * used + 16384);  // old blocks of the region were given back
    a.region_close(r, used);
    auto* next = static_cast<uint8_t*>(a.alloc(8));
    assert_true(next >= r + used || next < r);
  }
  assert_int_equal(c.live, 0);
}

void a_region_that_cannot_grow_stays(void**) {
  Counter c;
  {
    Arena a(&c.allocator);
    size_t capacity;
    uint8_t* r = a.region_open(64, &capacity);
    memset(r, 7, 64);
    c.fail_at = long(c.calls) + 1;
    size_t was = capacity;
    // Twice: the comfortable size, then the needed one.
    uint8_t* g = a.region_grow(r, 64, capacity + 1, &capacity);
    if (!g) {
      assert_int_equal(capacity, was);
      for (int i = 0; i < 64; i++) assert_int_equal(r[i], 7);
    }
    c.fail_at = 0;
    a.region_abandon();
  }
  assert_int_equal(c.live, 0);
}

void an_abandoned_region_leaves_no_block_behind(void**) {
  Counter c;
  {
    Arena a(&c.allocator);
    void* before = a.alloc(1000);
    const size_t used = a.used(), reserved = a.reserved();
    for (int i = 0; i < 100; i++) {
      size_t capacity;
      uint8_t* r = a.region_open(64, &capacity);
      r = a.region_grow(r, 64, capacity + 1, &capacity);
      assert_non_null(r);
      r = a.region_grow(r, 64, 1 << 20, &capacity);
      assert_true(r && capacity >= 1 << 20);
      a.region_abandon();
      assert_int_equal(a.used(), used);
      assert_int_equal(a.reserved(), reserved);
    }
    auto* behind = static_cast<uint8_t*>(a.alloc(8));
    assert_ptr_equal(behind, static_cast<uint8_t*>(before) + 1000);
  }
  assert_int_equal(c.live, 0);
}

void blocks_take_no_more_than_is_allowed(void**) {
  Counter c;
  {
    Arena a(&c.allocator);
    assert_non_null(a.alloc(8));
    const size_t had = a.reserved();
    a.allow(5000);
    size_t capacity;
    assert_null(a.region_open(8192, &capacity));
    uint8_t* r = a.region_open(100, &capacity);  // in what is left of the block
    assert_true(r && capacity > 3000 && capacity < 4096);
    assert_int_equal(a.region_most(r), 5000);
    assert_null(a.region_grow(r, 100, 5008, &capacity));
    r = a.region_grow(r, 100, 4096, &capacity);  // it would have been 8,192
    assert_int_equal(capacity, 5000);
    assert_int_equal(a.region_most(r), 5000);
    assert_null(a.region_grow(r, 100, 5008, &capacity));
    assert_int_equal(a.reserved(), had + 5000);
    a.region_close(r, 100);
    assert_null(a.alloc(5000));
    assert_non_null(a.alloc(4896));
    a.allow(SIZE_MAX);
    assert_non_null(a.alloc(5000));
  }
  assert_int_equal(c.live, 0);
}

// Small regions do not make the blocks small: few blocks are asked for, however many regions outgrow one.
void regions_that_outgrow_their_block_get_one_with_room_for_more(void**) {
  Counter c;
  {
    Arena a(&c.allocator);
    size_t used = 0;
    for (int i = 0; i < 20000; i++) {
      size_t capacity, n = 100 + size_t(i) % 200;
      uint8_t* r = a.region_open(50, &capacity);
      if (capacity < n) r = a.region_grow(r, 50, n, &capacity);
      assert_non_null(r);
      a.region_close(r, n);
      used += n;
    }
    assert_true(a.reserved() < 2 * used + (1 << 20));
    assert_true(c.calls < 20);
  }
  assert_int_equal(c.live, 0);
}

void fixed_memory_never_calls_an_allocator(void**) {
  alignas(16) uint8_t memory[1003];
  for (size_t skip = 0; skip < 9; skip++) {
    Arena a(memory + skip, 1000 - skip);
    assert_null(a.allocator());
    size_t n = 0;
    while (a.alloc(16)) n++;
    assert_true(n >= 61 && n <= 62);
    a.reset();
    size_t capacity = 0;
    uint8_t* r = a.region_open(500, &capacity);
    assert_true(r >= memory + skip && capacity >= 500 && r + capacity <= memory + 1000);
    assert_null(a.region_grow(r, 500, 1001, &capacity));
  }
  Arena none(nullptr, 0);
  assert_null(none.alloc(1));
  assert_int_equal(none.used(), 0);
}

void buffers_are_held_until_reset_and_in_the_arenas_own_memory(void**) {
  int released = 0;
  Buffer* b = Buffer::wrap("x", 1, [](const void*, size_t, void* n) { ++*static_cast<int*>(n); }, &released);
  {
    alignas(8) uint8_t memory[64];
    Arena a(memory, sizeof memory);
    assert_true(a.hold(b));
    Buffer* other = Buffer::make(3);
    int more = 0;
    while (a.hold(more % 2 ? b : other)) more++;  // until it is full
    assert_int_equal(more, sizeof(void*) == 8 ? 3 : 7);
    assert_true(a.hold(more % 2 ? other : b));  // the one that was held last is not held twice
    other->release();
    b->release();
    assert_int_equal(released, 0);
    a.reset();
    assert_int_equal(released, 1);
  }
  b = Buffer::make(3);
  Arena a;
  assert_true(a.hold(b));
  b->release();  // the arena's reference goes with it
}

void text_has_a_zero_behind_it(void**) {
  Arena a;
  std::string_view s = a.text("abc");
  assert_true(s == "abc" && s.data()[3] == '\0');
  s = a.text("");
  assert_true(s.data() && s.data()[0] == '\0');
}

void every_failing_allocation_leaves_the_arena_usable(void**) {
  for (long n = 1; n < 20; n++) {
    Counter c;
    c.fail_at = n;
    {
      Arena a(&c.allocator);
      for (int i = 0; i < 200; i++) (void)a.alloc(500);
      assert_non_null(a.alloc(10));
      a.reset();
      assert_non_null(a.alloc(10));
    }
    assert_int_equal(c.live, 0);
  }
}

void buffers_have_slack_and_parts_hold_the_whole(void**) {
  Buffer* b = Buffer::make(10);
  memcpy(b->writable(), "0123456789", 10);
  for (size_t i = 0; i < kSlack; i++) assert_int_equal(b->data()[10 + i], 0);
  assert_true(b->has_slack() && b->unique());
  Buffer* p = Buffer::part(b, 3, 4);
  assert_false(b->unique());
  b->release();
  assert_true(p->slice().text() == "3456");
  p->release();
  assert_null(Buffer::make(SIZE_MAX));
  assert_null(Buffer::make(SIZE_MAX - kSlack));
  BufferRef r(Buffer::make(1));
  BufferRef moved = std::move(r);
  assert_true(!r && moved);
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(pieces_are_aligned_and_apart),
      cmocka_unit_test(sizes_that_overflow_are_refused),
      cmocka_unit_test(a_reset_arena_allocates_nothing_again),
      cmocka_unit_test(a_region_grows_moves_and_keeps_its_bytes),
      cmocka_unit_test(a_region_that_cannot_grow_stays),
      cmocka_unit_test(an_abandoned_region_leaves_no_block_behind),
      cmocka_unit_test(blocks_take_no_more_than_is_allowed),
      cmocka_unit_test(regions_that_outgrow_their_block_get_one_with_room_for_more),
      cmocka_unit_test(fixed_memory_never_calls_an_allocator),
      cmocka_unit_test(buffers_are_held_until_reset_and_in_the_arenas_own_memory),
      cmocka_unit_test(text_has_a_zero_behind_it),
      cmocka_unit_test(every_failing_allocation_leaves_the_arena_usable),
      cmocka_unit_test(buffers_have_slack_and_parts_hold_the_whole),
  };
  return cmocka_run_group_tests_name("arena", tests, nullptr, nullptr);
}
