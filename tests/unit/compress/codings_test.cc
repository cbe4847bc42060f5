// Every coding in and out: limits, cuts at every byte, garbage, contexts that are used again, want of memory.
#include <malloc.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#ifdef HAVE_SNAPPY
#include <snappy-c.h>
#endif

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
using compress::Registry;

namespace {

std::string text(size_t n, unsigned seed = 1) {
  std::mt19937 random(seed);
  std::string s;
  while (s.size() < n) s += "word" + std::to_string(random() % 100) + " ";
  s.resize(n);
  return s;
}

// Bytes that are allocated, but under a sanitizer.
long held() {
  struct mallinfo2 m = mallinfo2();
  return long(m.uordblks + m.hblkhd);
}

constexpr Coding kAll[] = {Coding::kGzip, Coding::kZstd, Coding::kBr, Coding::kSnappy, Coding::kDeflate};

std::string squeeze(Pool* pool, Coding c, const std::string& s, int level = 0, size_t step = SIZE_MAX) {
  Deflater d;
  assert_true(d.begin(pool, c, level, s.size()).ok());
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
Code expand(Pool* pool, Coding c, const std::string& s, size_t limit, std::string* out = nullptr, size_t step = SIZE_MAX) {
  Inflater f;
  assert_true(f.begin(pool, c, limit).ok());
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
  assert_true((*r)->size() <= limit);
  assert_true((*r)->has_slack());
  (*r)->release();
  return Code::kOk;
}

void a_round_trip_changes_bytes(void**) {
  Pool pool;
  std::mt19937 random(5);
  for (Coding c : kAll) {
    for (size_t n : {size_t(0), size_t(1), size_t(15), size_t(16), size_t(17), size_t(100), size_t(4095), size_t(4096), size_t(65535), size_t(65536),
                     size_t(65537), size_t(200000)}) {
      for (int kind = 0; kind < 3; kind++) {
        std::string s = text(n);
        if (kind == 1) for (char& b : s) b = char(random());
        if (kind == 2) std::fill(s.begin(), s.end(), 'a');
        for (int level : {0, 1, 9}) {
          std::string z = squeeze(&pool, c, s, level), out;
          assert_int_equal(int(expand(&pool, c, z, n, &out)), int(Code::kOk));  // exactly the limit passes
          assert_true(out == s);
          assert_int_equal(int(expand(&pool, c, z, n, &out, 1000)), int(Code::kOk));
          assert_true(out == s);
          if (kind != 1 && n >= 4096) assert_true(z.size() < n / 2);
        }
        std::string out;
        assert_int_equal(int(expand(&pool, c, squeeze(&pool, c, s, 0, 777), SIZE_MAX, &out)), int(Code::kOk));
        assert_true(out == s);
      }
    }
  }
}

// A level that a coding does not have is its nearest.
void a_level_is_refused(void**) {
  Pool pool;
  for (Coding c : kAll)
    for (int level : {1, 12, 22}) {
      std::string s = text(20000), z = squeeze(&pool, c, s, level), out;
      assert_int_equal(int(expand(&pool, c, z, s.size(), &out)), int(Code::kOk));
      assert_true(out == s);
    }
}

void a_split_changes_the_message(void**) {
  Pool pool;
  for (Coding c : kAll) {
    std::string s = text(700), z = squeeze(&pool, c, s), out;
    for (size_t i = 0; i <= z.size(); i++) {
      Inflater f;
      assert_true(f.begin(&pool, c, 700).ok());
      assert_true(f.feed(Slice(std::string_view(z).substr(0, i))).ok());
      assert_true(f.feed(Slice(std::string_view(z).substr(i))).ok());
      base::BufferRef b(*f.finish());
      assert_true(b->slice().text() == s);
    }
    std::string big = text(200000);
    assert_int_equal(int(expand(&pool, c, squeeze(&pool, c, big), big.size(), &out, 1)), int(Code::kOk));
    assert_true(out == big);
  }
}

void a_limit_is_passed_or_missed_by_one(void**) {
  Pool pool;
  for (Coding c : kAll) {
    for (size_t n : {size_t(1), size_t(2), size_t(4096), size_t(4097), size_t(50000), size_t(65536), size_t(65537)}) {
      std::string z = squeeze(&pool, c, text(n));
      assert_int_equal(int(expand(&pool, c, z, n)), int(Code::kOk));
      assert_int_equal(int(expand(&pool, c, z, n - 1)), int(Code::kResourceExhausted));
      assert_int_equal(int(expand(&pool, c, z, n - 1, nullptr, 1)), int(Code::kResourceExhausted));
    }
    std::string empty = squeeze(&pool, c, "");
    assert_int_equal(int(expand(&pool, c, empty, 0)), int(Code::kOk));
  }
}

void a_bomb_is_inflated_before_it_is_refused(void**) {
  for (Coding c : kAll) {
    Pool pool;
    std::string z = squeeze(&pool, c, std::string(16 << 20, '\0'), 3);
    assert_true(z.size() < (c == Coding::kSnappy ? size_t(4) << 20 : 100000));
    Inflater f;
    assert_true(f.begin(&pool, c, 1 << 20).ok());
    long before = held();
    Status refused = f.feed(Slice(std::string_view(z)));
    assert_int_equal(int(refused.code()), int(Code::kResourceExhausted));
    assert_string_equal(refused.message(), "message is larger than the limit of 1048576 bytes");
    assert_int_equal(f.size(), (1 << 20) + 1);
    assert_true(held() - before < 12 << 20);  // the window of zstd and br, which it is only promised, among it
    // And told at once, while most of it is still to come.
    f.reset();
    assert_true(f.begin(&pool, c, 1 << 20).ok());
    assert_int_equal(int(f.feed(Slice(std::string_view(z).substr(0, z.size() > 1000 ? z.size() / 2 : z.size() - 1))).code()), int(Code::kResourceExhausted));
  }
}

void truncated_data_are_a_clean_end(void**) {
  Pool pool;
  for (Coding c : kAll) {
    for (const std::string& z : {squeeze(&pool, c, text(500)), squeeze(&pool, c, ""), squeeze(&pool, c, text(9000), 1)}) {
      for (size_t i = 0; i < z.size(); i++) {
        // Behind the identifier of snappy's frames nothing need follow.
        Code code = c == Coding::kSnappy && i == 10 ? Code::kOk : Code::kInvalidArgument;
        assert_int_equal(int(expand(&pool, c, z.substr(0, i), 100000)), int(code));
        assert_int_equal(int(expand(&pool, c, z.substr(0, i), 100000, nullptr, 7)), int(code));
      }
    }
  }
}

// Several members, frames or files in a row are one message, where the format says so.
void members_in_a_row_are_misread(void**) {
  Pool pool;
  for (Coding c : kAll) {
    std::string s = text(500), z = squeeze(&pool, c, s), out;
    bool several = c == Coding::kGzip || c == Coding::kZstd || c == Coding::kSnappy;
    for (size_t step : {size_t(SIZE_MAX), size_t(1), z.size()}) {
      assert_int_equal(int(expand(&pool, c, z + z, 1000, &out, step)), int(several ? Code::kOk : Code::kInvalidArgument));
      if (several) assert_true(out == s + s);
      if (several) assert_int_equal(int(expand(&pool, c, z + z, 999, nullptr, step)), int(Code::kResourceExhausted));
    }
  }
}

void garbage_is_passed_over(void**) {
  Pool pool;
  for (Coding c : kAll) {
    std::string s = text(500), z = squeeze(&pool, c, s), out;
    assert_int_equal(int(expand(&pool, c, z + "x", 100000)), int(Code::kInvalidArgument));
    assert_int_equal(int(expand(&pool, c, z + "x", 100000, nullptr, z.size())), int(Code::kInvalidArgument));
    assert_int_equal(int(expand(&pool, c, z + "\x1Fx", 100000)), int(Code::kInvalidArgument));
    assert_int_equal(int(expand(&pool, c, z + "\x1F", 100000)), int(Code::kInvalidArgument));
    assert_int_equal(int(expand(&pool, c, "not compressed at all", 100000)), int(Code::kInvalidArgument));
    // One byte wrong, wherever it is, never crashes; what has a check sum finds it.
    bool sums = c == Coding::kGzip || c == Coding::kDeflate || c == Coding::kSnappy;
    for (size_t i = 0; i < z.size(); i++) {
      std::string bad = z;
      bad[i] = char(bad[i] ^ 0x55);
      out.clear();
      Code code = expand(&pool, c, bad, 1000, &out);
      assert_true(code == Code::kInvalidArgument || code == Code::kResourceExhausted || code == Code::kOk);
      if (sums && code == Code::kOk && out != s) fail_msg("coding %d: byte %zu", int(c), i);
    }
  }
}

// What a frame declares is not believed: eight bytes that promise a window of 128 MiB get nothing.
void a_window_is_as_large_as_the_peer_says(void**) {
  Pool pool;
  const uint8_t head[] = {0x28, 0xB5, 0x2F, 0xFD, 0x00, (27 - 10) << 3, 0x01, 0x00, 0x00};
  Inflater f;
  assert_true(f.begin(&pool, Coding::kZstd, 1 << 20).ok());
  long before = held();
  assert_int_equal(int(f.feed(Slice(head, sizeof head)).code()), int(Code::kInvalidArgument));
  assert_true(held() - before < 1 << 20);
}

#ifdef HAVE_SNAPPY
// The blocks within the frames, against the library of that name.
void snappy_is_a_dialect(void**) {
  Pool pool;
  std::mt19937 random(9);
  for (int i = 0; i < 100; i++) {
    std::string s = text(random() % 70000, unsigned(i));
    if (i % 3 == 1) for (size_t k = 0; k < s.size(); k += 1 + random() % 9) s[k] = char(random());
    s.resize(std::min<size_t>(s.size(), 65536));
    std::string z = squeeze(&pool, Coding::kSnappy, s);
    if (s.empty()) continue;
    assert_true(z.substr(0, 10) == std::string("\xFF\x06\0\0sNaPpY", 10));
    size_t n = uint8_t(z[11]) | size_t(uint8_t(z[12])) << 8 | size_t(uint8_t(z[13])) << 16;
    assert_int_equal(n + 14, z.size());
    std::string plain(s.size(), 0);
    size_t size = plain.size();
    if (z[10] == 0) {
      assert_int_equal(snappy_uncompress(z.data() + 18, n - 4, plain.data(), &size), SNAPPY_OK);
      assert_int_equal(size, s.size());
      assert_true(plain == s);
    }
    // And theirs read by us, in a frame with our sum.
    std::string theirs(snappy_max_compressed_length(s.size()), 0);
    size = theirs.size();
    assert_int_equal(snappy_compress(s.data(), s.size(), theirs.data(), &size), SNAPPY_OK);
    if (z[10] == 0) assert_true(n - 4 < size + size / 8 + 16);  // about as small
    std::string frame = z.substr(0, 18) + theirs.substr(0, size), out;
    frame[10] = 0;
    for (int k = 0; k < 3; k++) frame[11 + size_t(k)] = char((size + 4) >> (8 * k));
    assert_int_equal(int(expand(&pool, Coding::kSnappy, frame, 65536, &out)), int(Code::kOk));
    assert_true(out == s);
  }
}
#endif

// Padding and skippable chunks mean nothing; reserved ones, and a wrong sum, are errors.
void chunks_of_snappy_are_misread(void**) {
  Pool pool;
  std::string begin("\xFF\x06\0\0sNaPpY", 10), s = text(1000), z = squeeze(&pool, Coding::kSnappy, s), body = z.substr(10), out;
  auto code = [&](const std::string& b) { return expand(&pool, Coding::kSnappy, b, 5000, &out); };
  assert_int_equal(int(code(begin + std::string("\xFE\x03\0\0abc", 7) + body + std::string("\x80\x01\0\0x", 5) + begin)), int(Code::kOk));
  assert_true(out == s);
  assert_int_equal(int(code(body)), int(Code::kInvalidArgument));
  assert_int_equal(int(code(begin + std::string("\x02\x01\0\0x", 5) + body)), int(Code::kInvalidArgument));
  assert_int_equal(int(code(begin + std::string("\x00\x04\0\0abcd", 8))), int(Code::kInvalidArgument));
  assert_int_equal(int(code(begin + std::string("\x01\x05\0\0abcde", 9))), int(Code::kInvalidArgument));
  assert_int_equal(int(code(begin + std::string("\x01\x05\x00\x01", 4))), int(Code::kInvalidArgument));  // more than a block
  // Uncompressed, "a": its sum is known from the format's description of it.
  std::string one = squeeze(&pool, Coding::kSnappy, "a");
  assert_int_equal(one[10], 1);
  assert_int_equal(int(code(one)), int(Code::kOk));
  assert_true(out == "a");
}

void a_small_message_holds_a_large_buffer(void**) {
  Pool pool;
  std::string z = squeeze(&pool, Coding::kGzip, text(100));
  Inflater f;
  long before = fail_malloc_live();
  assert_true(f.begin(nullptr, Coding::kGzip, 64 << 20).ok());
  assert_true(f.feed(Slice(std::string_view(z))).ok());
  auto r = f.finish();
  assert_true(r.ok());
  assert_int_equal((*r)->size(), 100);
  assert_true(malloc_usable_size(*r) < 5000);
  (*r)->release();
  assert_int_equal(fail_malloc_live(), before);
}

void contexts_are_made_anew_for_each_message(void**) {
  for (Coding c : kAll) {
    Pool pool;
    std::string s = text(2000), z = squeeze(&pool, c, s);
    Inflater f;
    Deflater d;
    auto once = [&](size_t limit) {
      assert_true(f.begin(&pool, c, limit).ok());
      assert_true(f.feed(Slice(std::string_view(z))).ok());
      base::BufferRef in(*f.finish());
      assert_true(d.begin(&pool, c, 0, s.size()).ok());
      assert_true(d.feed(Slice(std::string_view(s))).ok());
      base::BufferRef out(*d.finish());
      assert_int_equal(in->size(), 2000);
      assert_true(out->slice().text() == z);
    };
    for (int i = 0; i < 3; i++) once(2000);
    uint64_t before = pool.inflates.load();
    fail_malloc_at(0);
    for (int i = 0; i < 10; i++) once(2000 + size_t(i));
    if (fail_malloc_count()) fail_msg("coding %d: %ld allocations", int(c), fail_malloc_count());  // neither contexts nor buffers
    fail_malloc_stop();
    assert_int_equal(pool.inflates.load(), before + 10);
    // A context that was left in the middle of a message is as good as new.
    for (int i = 0; i < 5; i++) {
      assert_true(f.begin(&pool, c, 2000).ok());
      assert_true(f.feed(Slice(std::string_view(z).substr(0, z.size() / 2))).ok());
      f.reset();
      assert_true(d.begin(&pool, c, 0, 0).ok());
      assert_true(d.feed(Slice(std::string_view(s).substr(0, 1000))).ok());
      d.reset();
    }
    once(2000);
  }
}

void idle_contexts_pile_up(void**) {
  long before = fail_malloc_live();
  {
    Pool pool;
    std::string big = text(1 << 20), z[5];
    for (size_t i = 0; i < 5; i++) z[i] = squeeze(&pool, kAll[i], big);
    Inflater in[5][6];
    Deflater out[5][6];
    long at_first = held();
    for (size_t i = 0; i < 5; i++)
      for (size_t k = 0; k < 6; k++) {
        assert_true(in[i][k].begin(&pool, kAll[i], big.size()).ok());
        assert_true(in[i][k].feed(Slice(std::string_view(z[i]))).ok());
        assert_true(out[i][k].begin(&pool, kAll[i], 0, big.size()).ok());
        assert_true(out[i][k].feed(Slice(std::string_view(big))).ok());
      }
    for (size_t i = 0; i < 5; i++)
      for (size_t k = 0; k < 6; k++) in[i][k].reset(), out[i][k].reset();
    assert_true(held() - at_first < long(Pool::kIdle + Pool::kBuffers * Pool::kBuffer + (1 << 20)));
  }
  assert_int_equal(fail_malloc_live(), before);
}

void a_buffer_is_used_again_while_somebody_reads_it(void**) {
  Pool pool;
  base::Buffer* a = pool.buffer(1000);
  memset(a->writable(), 'a', 1000);
  a->shrink(500);
  assert_true(pool.remember(a, 1000));
  base::BufferRef b(pool.buffer(1000));
  assert_ptr_not_equal(b.get(), a);
  assert_int_equal(a->size(), 500);
  uint8_t* at = a->writable();
  a->release();
  base::BufferRef c(pool.buffer(200));
  assert_ptr_equal(c->writable(), at);
  assert_int_equal(c->size(), 1000);
  assert_true(c->unique());
  base::BufferRef large(pool.buffer(Pool::kBuffer + 1));
  assert_false(pool.remember(large.get(), large->size()));
}

// Tables of br that grow a little with each block: what was given back for being too small is not kept beside the rest.
void tables_that_grow_pile_up(void**) {
  std::string z;
  size_t used = 0;
  auto put = [&](unsigned v, int bits) {
    for (int i = 0; i < bits; i++, used++) {
      if (used % 8 == 0) z.push_back(0);
      z.back() = char(uint8_t(z.back()) | ((v >> i & 1) << used % 8));
    }
  };
  // A prefix code of one symbol, which then takes no bits.
  auto one = [&](unsigned symbol, int bits) {
    put(1, 2);
    put(0, 2);
    put(symbol, bits);
  };
  put(0, 1);  // a window of 64 KiB
  for (unsigned trees = 2; trees <= 256; trees++) {
    put(0, 3);         // not the last, a length of 16 bits
    put(0, 16);        // one byte
    put(0, 1 + 3 + 6); // compressed; one block type of each kind; no postfix, no direct distances
    put(0, 2);
    unsigned extra = unsigned(std::bit_width(trees - 1)) - 1;
    put(1 | extra << 1, 4);
    put(trees - 1 - (1u << extra), int(extra));
    put(0, 1);         // the map of contexts: no runs, all of them one tree's
    one(0, int(std::bit_width(trees - 1)));
    put(0, 2);         // not moved to the front; one tree of distances
    for (unsigned i = 0; i < trees; i++) one('a', 8);
    one(8, 10);        // insert one byte
    one(0, 6);
  }
  put(3, 2);
  assert_true(z.size() < 60000);
  Pool pool;
  std::string out;
  assert_int_equal(int(expand(&pool, Coding::kBr, z, 1 << 20, &out)), int(Code::kOk));
  assert_true(out == std::string(255, 'a'));
  pool.trim();
  Inflater f;
  assert_true(f.begin(&pool, Coding::kBr, 1 << 20).ok());
  long before = held();
  // All but the end, at which idle memory is let go.
  assert_true(f.feed(Slice(std::string_view(z).substr(0, z.size() - 1))).ok());
  long grown = held() - before;
  if (grown > (4 << 20) + (2 << 20)) fail_msg("%zu bytes hold %ld", z.size(), grown);
}

// ---- the application's own

struct Caesar {
  int calls = 0;
};
int64_t shift(const void* in, size_t n, void* out, size_t cap, void* user, int by) {
  static_cast<Caesar*>(user)->calls++;
  if (n > cap) return -2;
  for (size_t i = 0; i < n; i++) static_cast<uint8_t*>(out)[i] = uint8_t(static_cast<const uint8_t*>(in)[i] + by);
  return int64_t(n);
}
// Each byte twice, so that a limit can be passed; "!" is broken.
int64_t twice(const void* in, size_t n, void* out, size_t cap, void*) {
  if (n && *static_cast<const char*>(in) == '!') return -1;
  if (2 * n > cap) return -2;
  for (size_t i = 0; i < 2 * n; i++) static_cast<char*>(out)[i] = static_cast<const char*>(in)[i / 2];
  return int64_t(2 * n);
}
int64_t lies(const void*, size_t, void*, size_t cap, void*) { return int64_t(cap) + 1; }

void a_coding_of_the_application_is_not_held_to_the_limit(void**) {
  Pool pool;
  Registry r;
  Caesar caesar;
  compress::Own own{[](const void* in, size_t n, void* out, size_t cap, void* u) { return shift(in, n, out, cap, u, 1); },
                    [](const void* in, size_t n, void* out, size_t cap, void* u) { return shift(in, n, out, cap, u, -1); }, &caesar};
  assert_true(r.add("rot1", own).ok());
  assert_true(r.add("x-twice", {twice, twice, nullptr}).ok());
  assert_true(r.add("lies", {lies, lies, nullptr}).ok());
  Coding c = r.find("ROT1"), t = r.find("x-twice"), l = r.find("lies");
  assert_true(r.name(c) == "rot1");
  assert_true(r.list() == "gzip, zstd, br, snappy, deflate, rot1, x-twice, lies");
  assert_string_equal(r.unknown_text(), "unknown compression: supported are gzip, zstd, br, snappy, deflate, rot1, x-twice, lies and identity");
  for (size_t n : {size_t(0), size_t(1), size_t(5000), size_t(100000)}) {
    std::string s = text(n);
    Deflater d;
    assert_true(d.begin(&pool, c, 0, 0, r).ok());
    for (size_t i = 0; i < n; i += 999) assert_true(d.feed(Slice(std::string_view(s).substr(i, 999))).ok());
    base::BufferRef z(*d.finish());
    for (size_t limit : {n, n - 1}) {
      if (n == 0 && limit) continue;
      Inflater f;
      assert_true(f.begin(&pool, c, limit, r).ok());
      for (size_t i = 0; i < n; i += 777) assert_true(f.feed(z->slice().part(i, std::min<size_t>(777, n - i))).ok());
      auto out = f.finish();
      if (limit < n) {
        assert_int_equal(int(out.status().code()), int(Code::kResourceExhausted));
      } else {
        assert_true((*out)->slice().text() == s);
        (*out)->release();
      }
    }
  }
  auto once = [&](Coding coding, const char* in, size_t limit) {
    Inflater f;
    assert_true(f.begin(&pool, coding, limit, r).ok());
    assert_true(f.feed(Slice(std::string_view(in))).ok());
    auto out = f.finish();
    if (out.ok()) (*out)->release();
    return out.ok() ? Code::kOk : out.status().code();
  };
  assert_int_equal(int(once(t, "abc", 6)), int(Code::kOk));
  assert_int_equal(int(once(t, "abc", 5)), int(Code::kResourceExhausted));
  assert_int_equal(int(once(t, "!", 100)), int(Code::kInvalidArgument));
  assert_int_equal(int(once(l, "abc", 100)), int(Code::kInvalidArgument));
  Deflater d;
  assert_true(d.begin(&pool, l, 0, 0, r).ok());
  assert_int_equal(int(d.finish().status().code()), int(Code::kInternal));
}

void a_registry_takes_anything(void**) {
  Registry r;
  compress::Own own{twice, twice, nullptr};
  for (const char* bad : {"", "gzip", "identity", "Upper", "a b", "a,b", "abcdefghijklmnopqrstuvwxyz1234567"})
    assert_int_equal(int(r.add(bad, own).code()), int(Code::kInvalidArgument));
  assert_int_equal(int(r.add("half", {twice, nullptr, nullptr}).code()), int(Code::kInvalidArgument));
  for (int i = 0; i < compress::kMostOwn; i++) assert_true(r.add("own-" + std::to_string(i), own).ok());
  assert_int_equal(int(r.add("own-0", own).code()), int(Code::kInvalidArgument));
  assert_int_equal(int(r.add("one-more", own).code()), int(Code::kResourceExhausted));
  Registry copy = r;
  assert_true(copy.list().ends_with("own-6, own-7") && copy.find("own-7") != Coding::kUnknown);
  assert_int_equal(int(compress::kRegistry.find("own-7")), int(Coding::kUnknown));
}

void a_preference_is_not_followed(void**) {
  const Registry& r = compress::kRegistry;
  compress::Preference p;
  uint32_t gz = compress::bit(Coding::kGzip), z = compress::bit(Coding::kZstd);
  assert_true(compress::read_preference("zstd, gzip,zstd", r, &p).ok());
  assert_int_equal(p.count, 2);
  assert_int_equal(int(p.choose(gz | z | 1, Coding::kGzip)), int(Coding::kZstd));
  assert_int_equal(int(p.choose(gz | 1, Coding::kGzip)), int(Coding::kGzip));
  assert_int_equal(int(p.choose(1 | compress::bit(Coding::kBr), Coding::kBr)), int(Coding::kIdentity));
  assert_true(compress::read_preference("*", r, &p).ok());
  assert_int_equal(int(p.choose(gz | z | 1, Coding::kGzip)), int(Coding::kGzip));
  assert_true(compress::read_preference("", r, &p).ok());
  assert_int_equal(int(p.choose(gz | z | 1, Coding::kGzip)), int(Coding::kIdentity));
  assert_int_equal(int(compress::read_preference("gzip,lzma", r, &p).code()), int(Code::kInvalidArgument));
}

void names_are_misread(void**) {
  const Registry& r = compress::kRegistry;
  assert_int_equal(int(r.find("gzip")), int(Coding::kGzip));
  assert_int_equal(int(r.find("GZip")), int(Coding::kGzip));
  assert_int_equal(int(r.find("identity")), int(Coding::kIdentity));
  assert_int_equal(int(r.find("")), int(Coding::kIdentity));
  for (const char* stranger : {"x-gzip", "gzi", "br2", "*"}) assert_int_equal(int(r.find(stranger)), int(Coding::kUnknown));
  for (Coding c : kAll) assert_int_equal(int(r.find(r.name(c))), int(c));
  assert_true(r.name(Coding::kUnknown).empty());
  assert_int_equal(compress::bit(Coding::kUnknown), 0);
  Inflater f;
  Deflater d;
  assert_int_equal(int(f.begin(nullptr, Coding::kUnknown, 1).code()), int(Code::kInternal));
  assert_int_equal(int(d.begin(nullptr, Coding::kIdentity, 0, 1).code()), int(Code::kInternal));
}

void a_lack_of_memory_crashes_or_leaks(void**) {
  std::string s = text(50000);
  for (Coding c : kAll) {
    std::string z = squeeze(nullptr, c, s);
    for (long n = 1;; n++) {
      assert_true(n < 200);
      long before = fail_malloc_live();
      fail_malloc_at(n);
      Code code;
      {
        Pool pool;
        Inflater f;
        Deflater d;
        auto work = [&]() -> Status {
          ZCRPC_TRY(f.begin(&pool, c, 60000));
          ZCRPC_TRY(f.feed(Slice(std::string_view(z))));
          auto r = f.finish();
          if (!r.ok()) return r.take_status();
          base::BufferRef plain(*r);
          ZCRPC_TRY(d.begin(&pool, c, 0, 0));
          ZCRPC_TRY(d.feed(plain->slice()));
          auto w = d.finish();
          if (!w.ok()) return w.take_status();
          (*w)->release();
          return {};
        };
        code = work().code();
      }
      int failed = fail_malloc_stop();
      if (fail_malloc_live() != before) fail_msg("coding %d, allocation %ld: %ld leaked", int(c), n, fail_malloc_live() - before);
      if (!failed) break;
      // To give memory back may fail too, and harms nobody.
      if (code != Code::kResourceExhausted && code != Code::kOk) fail_msg("coding %d, allocation %ld: code %d", int(c), n, int(code));
    }
  }
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(a_round_trip_changes_bytes),
      cmocka_unit_test(a_level_is_refused),
      cmocka_unit_test(a_split_changes_the_message),
      cmocka_unit_test(a_limit_is_passed_or_missed_by_one),
      cmocka_unit_test(a_bomb_is_inflated_before_it_is_refused),
      cmocka_unit_test(truncated_data_are_a_clean_end),
      cmocka_unit_test(members_in_a_row_are_misread),
      cmocka_unit_test(garbage_is_passed_over),
      cmocka_unit_test(a_window_is_as_large_as_the_peer_says),
#ifdef HAVE_SNAPPY
      cmocka_unit_test(snappy_is_a_dialect),
#endif
      cmocka_unit_test(chunks_of_snappy_are_misread),
      cmocka_unit_test(a_small_message_holds_a_large_buffer),
      cmocka_unit_test(contexts_are_made_anew_for_each_message),
      cmocka_unit_test(idle_contexts_pile_up),
      cmocka_unit_test(tables_that_grow_pile_up),
      cmocka_unit_test(a_buffer_is_used_again_while_somebody_reads_it),
      cmocka_unit_test(a_coding_of_the_application_is_not_held_to_the_limit),
      cmocka_unit_test(a_registry_takes_anything),
      cmocka_unit_test(a_preference_is_not_followed),
      cmocka_unit_test(names_are_misread),
      cmocka_unit_test(a_lack_of_memory_crashes_or_leaks),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
