// Memory: every allocation may fail, nothing leaks, and hostile descriptors get neither much memory nor much time.
#include "schema_test.h"
#include "support/fail_malloc.h"
#include "support/file.h"

#include <ctime>

using namespace schema_test;

namespace {

std::string dir;

void every_failing_allocation_is_resource_exhausted(void**) {
  const std::string sets[] = {file_bytes(dir + "/schema_bare.binpb"), file_bytes(ZCRPC_SOURCE_DIR "/tests/protos/editions.binpb"), set_of({file("a.proto").str(3, "b.proto")})};
  for (const std::string& set : sets) {
    const base::Code usual = Read(set).result.status().code();
    for (long n = 1;; n++) {
      long before = fail_malloc_live();
      base::Code code = base::Code::kOk;
      fail_malloc_at(n);
      int failed;
      {
        auto r = schema::read({set.data(), set.size()}, {});
        failed = fail_malloc_stop();
        code = r.status().code();
        if (r.ok()) (*r)->release();
      }
      assert_int_equal(fail_malloc_live(), before);
      if (!failed) break;
      // An arena that cannot have a comfortable block takes a smaller one: then all is as usual.
      if (code != usual) assert_int_equal(int(code), int(base::Code::kResourceExhausted));
      assert_true(n < 100000);
    }
    // Once memory is gone for good, nothing succeeds.
    for (long n = 1; n < 12; n++) {
      long before = fail_malloc_live();
      fail_malloc_from(n);
      base::Code code;
      {
        auto r = schema::read({set.data(), set.size()}, {});
        code = r.status().code();
        if (r.ok()) (*r)->release();
      }
      int failed = fail_malloc_stop();
      assert_int_equal(fail_malloc_live(), before);
      if (failed) assert_int_equal(int(code), int(base::Code::kResourceExhausted));
    }
  }
}

// Reads, within a second of CPU time for each MiB and 256 bytes of arena for each byte.
base::Code read_bounded(const std::string& set) {
  clock_t start = clock();
  auto r = schema::read({set.data(), set.size()}, {});
  double seconds = double(clock() - start) / CLOCKS_PER_SEC;
  assert_true(seconds < 4);
  base::Code code = r.status().code();
  if (r.ok()) {
    assert_true((*r)->arena.reserved() < 256 * set.size() + (2 << 20));
    (*r)->release();
  }
  return code;
}

std::string repeated(std::string_view unit, size_t total) {
  std::string s;
  while (s.size() < total) s += unit;
  return s;
}

constexpr size_t kMiB = 1 << 20;

void tiny_declarations_by_the_hundred_thousand(void**) {
  Pb head = file("a.proto");
  // Two bytes each: messages, enums, fields, ranges without anything in them.
  for (const char* unit : {"\x22\x00", "\x2A\x00", "\x32\x00", "\x3A\x00", "\x1A\x00"}) {
    Pb f = head;
    f.bytes += repeated({unit, 2}, kMiB);
    assert_true(read_bounded(set_of({f})) != base::Code::kOk);
  }
  for (const char* unit : {"\x12\x00", "\x1A\x00", "\x22\x00", "\x2A\x00", "\x42\x00", "\x4A\x00", "\x52\x00"}) {
    Pb m = message("M");
    m.bytes += repeated({unit, 2}, kMiB);
    (void)read_bounded(set_of({Pb(head).sub(4, m)}));
  }
  assert_true(read_bounded(repeated(std::string_view("\x0A\x00", 2), kMiB)) != base::Code::kOk);
  // Messages are the dearest: they are refused before memory is taken for them.
  Pb f = head;
  f.bytes += repeated({"\x22\x00", 2}, kMiB);
  Read r(set_of({f}));
  assert_int_equal(int(r.result.status().code()), int(base::Code::kResourceExhausted));
  assert_string_equal(r.result.status().message(), "the descriptors declare too much for their size");
}

void many_honest_declarations(void**) {
  Pb f = file("a.proto", "proto3"), big = message("Big");
  for (int i = 0; f.bytes.size() < kMiB; i++) {
    std::string n = std::to_string(i);
    f.sub(4, message("M" + n).sub(2, field("x", 1, kTypeInt32)).sub(2, field_of("next", 2, kTypeMessage, ".p.M" + std::to_string(i ? i - 1 : 0))));
  }
  assert_int_equal(int(read_bounded(set_of({f}))), 0);
  for (int i = 1; i < 18000; i++) big.sub(2, field("f" + std::to_string(i), i, kTypeInt32));
  assert_int_equal(int(read_bounded(set_of({file("a.proto", "proto3").sub(4, big)}))), 0);
  Pb values = Pb().str(1, "E");
  for (int i = 0; values.bytes.size() < kMiB; i++) values.sub(2, value("V" + std::to_string(i), i));
  assert_int_equal(int(read_bounded(set_of({file("a.proto", "proto3").sub(5, values)}))), 0);
}

void one_cycle_through_everything(void**) {
  Pb f = file("a.proto", "proto3");
  const int n = 20000;
  for (int i = 0; i < n; i++) f.sub(4, message("M" + std::to_string(i)).sub(2, field_of("next", 1, kTypeMessage, ".p.M" + std::to_string((i + 1) % n))));
  assert_int_equal(int(read_bounded(set_of({f}))), 0);
}

// A long scope's name in front of each of its many children would take their product.
void long_names_are_not_multiplied(void**) {
  Pb outer = message(std::string(1000, 'x'));
  for (int i = 0; outer.bytes.size() < kMiB; i++) outer.sub(3, message("m" + std::to_string(i)));
  assert_int_equal(int(read_bounded(set_of({file("a.proto").sub(4, outer)}))), int(base::Code::kResourceExhausted));
}

// Relative names look through every scope around them.
void relative_names_do_not_take_for_ever(void**) {
  Pb m = message("M");
  for (int i = 1; m.bytes.size() < kMiB && i < 18999; i++) m.sub(2, Pb().str(1, "f" + std::to_string(i)).num(3, i).str(6, "a.b.c.d"));
  std::string package = "a";
  for (int i = 0; i < 500; i++) package += ".a";
  assert_true(read_bounded(set_of({file("a.proto", "proto2", package).sub(4, m)})) != base::Code::kOk);
}

void long_chains_of_imports(void**) {
  Pb set;
  for (int i = 0; i < 30000; i++) {
    Pb f = file("f" + std::to_string(i));
    if (i) f.str(3, "f" + std::to_string(i - 1));
    set.sub(1, f);
  }
  assert_int_equal(int(read_bounded(set.bytes)), 0);
}

void garbage(void**) {
  uint64_t x = 88172645463325252u;
  for (int round = 0; round < 40; round++) {
    std::string s;
    while (s.size() < 64 << 10) {
      x ^= x << 13;
      x ^= x >> 7;
      x ^= x << 17;
      s.push_back(char(x & (round & 1 ? 0x3F : 0xFF)));
    }
    (void)read_bounded(s);
  }
}

// Good descriptors with one byte changed: an error or a schema, never more.
void every_byte_changed(void**) {
  const std::string good = file_bytes(ZCRPC_SOURCE_DIR "/tests/protos/editions.binpb");
  for (size_t i = 0; i < good.size(); i++)
    for (unsigned flip : {0x01u, 0x02u, 0x04u, 0x08u, 0x10u, 0x20u, 0x40u, 0x80u, 0xFFu}) {
      std::string bad = good;
      bad[i] = char(bad[i] ^ char(flip));
      auto r = schema::read({bad.data(), bad.size()}, {});
      if (r.ok())
        (*r)->release();
      else
        assert_true(r.status().code() == base::Code::kInvalidArgument || r.status().code() == base::Code::kResourceExhausted);
    }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc > 1) dir = argv[1];
  const CMUnitTest tests[] = {
      cmocka_unit_test(every_failing_allocation_is_resource_exhausted),
      cmocka_unit_test(tiny_declarations_by_the_hundred_thousand),
      cmocka_unit_test(many_honest_declarations),
      cmocka_unit_test(one_cycle_through_everything),
      cmocka_unit_test(long_names_are_not_multiplied),
      cmocka_unit_test(relative_names_do_not_take_for_ever),
      cmocka_unit_test(long_chains_of_imports),
      cmocka_unit_test(garbage),
      cmocka_unit_test(every_byte_changed),
  };
  return cmocka_run_group_tests_name("schema memory", tests, nullptr, nullptr);
}
