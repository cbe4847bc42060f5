// The data sets of bench/codec, as wire bytes of the messages of shapes.proto, written by hand so that no peer's encoder
// decides what they look like (maps in the order in which a program would set them).
#pragma once

#include <cstdint>
#include <cstdio>
#include <cstring>
#include <random>
#include <string>
#include <vector>

namespace data {

inline void varint(std::string& s, uint64_t v) {
  for (; v >= 0x80; v >>= 7) s += char(v | 0x80);
  s += char(v);
}
inline void number(std::string& s, uint32_t field, uint64_t v) {
  varint(s, field << 3);
  varint(s, v);
}
inline void bytes(std::string& s, uint32_t field, const std::string& v) {
  varint(s, field << 3 | 2);
  varint(s, v.size());
  s += v;
}
inline void pair(std::string& s, uint32_t field, const std::string& key, const std::string& value) {
  std::string entry;
  bytes(entry, 1, key);
  bytes(entry, 2, value);
  bytes(s, field, entry);
}
template <class... A>
std::string print(const char* format, A... a) {
  char text[256];
  int n = snprintf(text, sizeof text, format, a...);
  return {text, size_t(n)};
}

// 50 records, 22,370 bytes: the same ones on every machine.
inline std::string log_batch() {
  std::string batch;
  for (unsigned i = 0; i < 50; i++) {
    std::string r, source;
    number(r, 1, 1700000000000000000u + i);
    bytes(r, 2, "api-gateway");
    bytes(r, 3, print("instance-%04x", i));
    number(r, 4, 2);
    bytes(r, 5, print("Processing request from client %u: GET /api/v1/users?page=%u&limit=50 completed in %ums with status 200 OK", i, i % 100, 42 + i % 200));
    for (unsigned j = 0; j < 6; j++) pair(r, 6, print("label-key-%u", j), print("label-value-%u-%u", i, j));
    bytes(r, 7, print("%032llx", 0xDEADBEEF00000000ull + i));
    bytes(r, 8, print("%016llx", 0xCAFE0000ull + i));
    bytes(source, 1, print("src/handlers/user_%u.rs", i % 10));
    number(source, 2, 42 + i % 500);
    bytes(source, 3, print("handle_get_users_%u", i % 5));
    bytes(r, 9, source);
    bytes(batch, 1, r);
  }
  return batch;
}

// 200 batches of about 20 KB: the log batch with random contents, too many of them for a branch predictor to learn.
// Every length, number and count of labels is random; labels stand in the order in which the log batch has them, or, as
// programs with hash tables write them, in none.
inline std::vector<std::string> log_variety(uint64_t seed, bool ordered) {
  std::mt19937_64 random(seed);
  auto below = [&](uint64_t n) { return unsigned(random() % n); };
  auto word = [&](size_t least, size_t most) {
    std::string s(least + below(most - least + 1), 'a');
    for (char& c : s) c = "abcdefghijklmnopqrstuvwxyz0123456789-_/."[below(40)];
    return s;
  };
  std::vector<std::string> all;
  for (int b = 0; b < 200; b++) {
    std::string batch;
    while (batch.size() < 20000) {
      std::string r, source;
      number(r, 1, 1700000000000000000u + (random() >> 24));
      bytes(r, 2, word(4, 20));
      bytes(r, 3, print("instance-%x", below(1u << (4 + below(28)))));
      number(r, 4, 1 + below(4));
      bytes(r, 5, word(0, 40) + print(" client %u: GET /%s?page=%u&limit=%u completed in %ums with status %u", below(1000000), word(0, 60).c_str(),
                                      below(1000), below(1000), below(100000), 200 + below(400)));
      unsigned labels = 2 + below(9), first = ordered ? 0 : below(labels);
      for (unsigned j = 0; j < labels; j++) pair(r, 6, print("label-key-%u", (j + first) % labels), word(1, 32));
      bytes(r, 7, print("%016llx%016llx", (unsigned long long)random(), (unsigned long long)random()));
      bytes(r, 8, print("%016llx", (unsigned long long)random()));
      bytes(source, 1, "src/" + word(4, 50) + ".rs");
      number(source, 2, 1 + below(5000));
      bytes(source, 3, word(4, 40));
      bytes(r, 9, source);
      bytes(batch, 1, r);
    }
    all.push_back(batch);
  }
  return all;
}

inline void fixed64(std::string& s, uint32_t field, uint64_t v) {
  varint(s, field << 3 | 1);
  for (int i = 0; i < 8; i++) s += char(v >> 8 * i);
}

// Random messages of the other shapes, of about the sizes that the public benchmarks have.
struct Random {
  std::mt19937_64 engine;
  explicit Random(uint64_t seed) : engine(seed) {}

  uint64_t between(uint64_t least, uint64_t most) { return least + engine() % (most - least + 1); }
  bool chance(unsigned percent) { return engine() % 100 < percent; }
  std::string word(size_t least, size_t most) {
    std::string s(between(least, most), 'a');
    for (char& c : s) c = char('a' + engine() % 26);
    return s;
  }
  std::string hex(size_t n) {
    std::string s(n, '0');
    for (char& c : s) c = "0123456789abcdef"[engine() % 16];
    return s;
  }
  void real(std::string& s, uint32_t field, double d) {
    uint64_t v;
    memcpy(&v, &d, sizeof v);
    fixed64(s, field, v);
  }
  template <class F>
  std::vector<std::string> many(size_t n, F f) {
    std::vector<std::string> all;
    while (n--) all.push_back(f());
    return all;
  }

  std::string api() {
    static constexpr unsigned kStatus[] = {200, 201, 400, 404, 500};
    std::string s;
    number(s, 1, engine() >> 1);
    number(s, 2, kStatus[engine() % 5]);
    bytes(s, 3, word(10, 100));
    real(s, 4, double(between(1, 5000)) / 10);
    if (chance(30)) number(s, 5, 1);
    if (chance(70)) bytes(s, 6, hex(32));
    if (chance(10)) number(s, 7, between(1000, 60000));
    for (uint64_t i = between(0, 5); i > 0; i--) bytes(s, 8, word(3, 15));
    return s;
  }
  std::string record() {
    std::string s;
    number(s, 1, between(1700000000000000000u, 1800000000000000000u));
    bytes(s, 2, word(5, 30));
    bytes(s, 3, word(5, 10) + "-" + std::to_string(between(1, 99)));
    if (uint64_t severity = between(0, 4)) number(s, 4, severity);
    bytes(s, 5, word(50, 500));
    for (uint64_t i = between(2, 8); i > 0; i--) pair(s, 6, word(3, 15), word(5, 50));
    bytes(s, 7, hex(32));
    bytes(s, 8, hex(16));
    if (chance(80)) {
      std::string source;
      bytes(source, 1, "src/" + word(5, 20) + ".rs");
      number(source, 2, between(1, 2000));
      bytes(source, 3, word(5, 30));
      bytes(s, 9, source);
    }
    return s;
  }
  std::string property() {
    std::string s;
    bytes(s, 1, word(3, 20));
    switch (engine() % 4) {
      case 0: bytes(s, 2, word(5, 50)); break;
      case 1: number(s, 3, uint64_t(int64_t(between(0, 2000)) - 1000)); break;
      case 2: real(s, 4, double(between(0, 200000)) / 1000 - 100); break;
      default: number(s, 5, engine() % 2);
    }
    return s;
  }
  std::string node(int depth) {
    std::string s;
    bytes(s, 1, word(5, 20));
    for (uint64_t i = between(1, 5); i > 0; i--) bytes(s, 2, property());
    if (depth > 0)
      for (uint64_t i = between(0, 3); i > 0; i--) bytes(s, 3, node(depth - 1));
    return s;
  }
  std::string event() {
    std::string s;
    bytes(s, 1, hex(24));
    number(s, 2, between(1700000000, 1800000000));
    bytes(s, 3, "user-" + std::to_string(between(1, 100000)));
    for (uint64_t i = between(3, 10); i > 0; i--) bytes(s, 4, property());
    for (uint64_t i = between(2, 5); i > 0; i--) bytes(s, 5, node(3));
    return s;
  }
  // 228 bytes, about half of the fields set.
  std::string wide() {
    std::string part, s;
    number(part, 1, 22);
    number(part, 2, 333);
    bytes(part, 15, word(16, 16));
    number(part, 12, 1);
    number(part, 13, 31415926535897);
    fixed64(part, 21, engine());
    number(part, 204, 77);
    bytes(part, 205, word(10, 10));
    number(part, 207, 123456789);
    bytes(s, 1, word(24, 24));
    number(s, 2, 42);
    number(s, 3, 100000);
    bytes(s, 4, word(12, 12));
    bytes(s, 5, word(8, 8));
    number(s, 6, 7);
    bytes(s, 7, word(8, 8));
    bytes(s, 9, word(5, 5));
    number(s, 12, 1);
    number(s, 13, 1);
    bytes(s, 15, part);
    number(s, 16, 65536);
    number(s, 22, 1ull << 40);
    number(s, 29, 5);
    number(s, 59, 1);
    number(s, 67, 1000);
    number(s, 100, 3);
    number(s, 104, 1);
    number(s, 130, 9);
    number(s, 271, 12345);
    number(s, 280, 2);
    bytes(s, 102, std::string(228 - s.size() - 3, 'w'));
    return s;
  }
  // About 1 MiB: 131,072 numbers of eight bytes, or numbers of one to four bytes.
  std::string packed(bool fixed) {
    std::string values, s;
    if (fixed) {
      for (int i = 0; i < 131072 * 8; i++) values += char(engine());
    } else {
      while (values.size() < 1 << 20) varint(values, engine() >> between(36, 63));
    }
    bytes(s, 1, values);
    return s;
  }
  // 100,000 rows with `set` of `fields` fields each, ascending; types as sparse.proto has them.
  std::string sparse(unsigned fields, unsigned set) {
    std::string all;
    for (int i = 0; i < 100000; i++) {
      std::string row;
      unsigned at = 0;
      for (unsigned k = 0; k < set; k++) {
        at += unsigned(between(1, (fields - at) / (set - k)));
        if (at % 4 == 0) bytes(row, at, word(1, 12));
        else number(row, at, at % 4 == 3 ? 1 : between(1, 100000));
      }
      bytes(all, 1, row);
    }
    return all;
  }
};

}  // namespace data
