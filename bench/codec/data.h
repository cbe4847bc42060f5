// The data sets of bench/codec, as wire bytes of bench.v1.LogBatch, written by hand so that no peer's encoder decides
// what they look like (maps in the order in which a program would set them).
#pragma once

#include <cstdint>
#include <cstdio>
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

}  // namespace data
