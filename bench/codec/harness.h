// What the C++ programs of bench/codec share: the data sets, the clock, and the lines they print:
//   who <tab> work <tab> value <tab> unit
// Usage of each: PROGRAM FOLDER MILLISECONDS [WORD [WHO]]; only works whose name has WORD in it are run. With WHO, the one
// work whose name is WORD, by that side alone, and how many calls that were: for bench/codec/profile.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

namespace harness {

[[noreturn]] inline void die(const std::string& what) {
  fprintf(stderr, "codec bench: %s\n", what.c_str());
  exit(1);
}

inline uint64_t see(const char* p, size_t n) { return n + (n ? uint8_t(p[0]) : 0); }
inline uint64_t see(std::string_view s) { return see(s.data(), s.size()); }
inline uint64_t bits(double d) {
  uint64_t v;
  memcpy(&v, &d, sizeof v);
  return v;
}

struct Options {
  std::string folder, word, who;
  int milliseconds = 50;
};
inline Options g_options;

inline void begin(int argc, char** argv) {
  if (argc < 3) die("usage: PROGRAM FOLDER MILLISECONDS [WORD]");
  g_options.folder = argv[1];
  g_options.milliseconds = atoi(argv[2]);
  if (argc > 3) g_options.word = argv[3];
  if (argc > 4) g_options.who = argv[4];
}
inline bool wanted(const char* who, const std::string& work) {
  return g_options.who.empty() ? work.find(g_options.word) != std::string::npos : work == g_options.word && who == g_options.who;
}
// Whether works of this data set are wanted: always, unless one is profiled.
inline bool concerns(const std::string& set) { return g_options.who.empty() || g_options.word.compare(0, set.size() + 1, set + ":") == 0; }

// A data set: payloads, each behind its length in four bytes. Behind every payload lie 32 bytes that may be read, as our
// own receive buffers have them; peers are free to use them too.
struct Set {
  std::string name;
  std::vector<std::string> storage;
  std::vector<std::string_view> payloads;
};

inline std::string read_file(const std::string& path) {
  FILE* f = fopen(path.c_str(), "rb");
  if (!f) die("cannot read " + path);
  std::string all;
  char block[65536];
  for (size_t n; (n = fread(block, 1, sizeof block, f)) > 0;) all.append(block, n);
  fclose(f);
  return all;
}

inline Set load(const std::string& name) {
  Set set;
  set.name = name;
  const std::string all = read_file(g_options.folder + "/" + name + ".bin");
  for (size_t at = 0; at + 4 <= all.size();) {
    uint32_t n;
    memcpy(&n, all.data() + at, 4);
    set.storage.push_back(all.substr(at + 4, n));
    at += 4 + n;
  }
  for (std::string& s : set.storage) {
    size_t n = s.size();
    s.resize(n + 32);
    set.payloads.emplace_back(s.data(), n);
  }
  return set;
}

inline void report(const char* who, const std::string& work, double value, const char* unit) {
  printf("%s\t%s\t%.6g\t%s\n", who, work.c_str(), value, unit);
  fflush(stdout);
}
inline void checksum(const char* who, const std::string& what, uint64_t sum) {
  printf("%s\tsum of %s\t%llu\tsum\n", who, what.c_str(), (unsigned long long)sum);
}

inline volatile uint64_t g_sink;

// What is timed, in a function of its own, so that bench/codec/profile can count its instructions alone.
template <class F>
__attribute__((noinline)) uint64_t timed(size_t from, size_t to, int repeat, F& f) {
  uint64_t sum = 0;
  for (size_t i = from; i < to; i++)
    for (int r = 0; r < repeat; r++) sum += f(i);
  return sum;
}

// Nanoseconds a call of f(i), i over `count` items of the given sizes: items are timed in stretches of at least 16 KB,
// the fastest time of each stretch counts, and each pass meets all items in turn, so that large sets stay unlearnt by
// the branch predictor. `repeat` calls of each item come at once.
template <class F>
void race(const char* who, const std::string& work, const std::vector<std::string_view>& items, int repeat, F f) {
  using clock = std::chrono::steady_clock;
  if (!wanted(who, work)) return;
  std::vector<size_t> ends;
  size_t bytes = 0;
  for (size_t i = 0; i < items.size(); i++) {
    bytes += items[i].size();
    if (bytes >= 16384 || i + 1 == items.size()) ends.push_back(i + 1), bytes = 0;
  }
  std::vector<double> best(ends.size(), 1e30);
  // What a first call loads and the arena grows to is no part of a profile, which times ever few calls.
  if (!g_options.who.empty())
    for (size_t i = 0; i < items.size(); i++) g_sink = g_sink + f(i);
  const auto until = clock::now() + std::chrono::milliseconds(g_options.milliseconds);
  uint64_t sum = 0, calls = 0;
  for (int pass = 0; pass < 2 || clock::now() < until; pass++) {
    calls += items.size() * size_t(repeat);
    size_t i = 0;
    for (size_t k = 0; k < ends.size(); k++) {
      const auto start = clock::now();
      sum += timed(i, ends[k], repeat, f);
      best[k] = std::min(best[k], std::chrono::duration<double, std::nano>(clock::now() - start).count());
      i = ends[k];
    }
  }
  g_sink = g_sink + sum;
  double total = 0;
  for (double t : best) total += t;
  if (!g_options.who.empty()) report(who, work, double(calls), "calls");
  report(who, work, total / double(items.size()) / repeat, "ns");
}

// The log batch as a program has it before it encodes: pointers and lengths. Read by hand, so that no peer decides.
struct Label { std::string_view key, value; };
struct Plain {
  uint64_t timestamp = 0, severity = 0, line = 0;
  std::string_view service, instance, text, trace_id, span_id, file, function;
  std::vector<Label> labels;
};

inline uint64_t varint(std::string_view& s) {
  uint64_t v = 0;
  for (int shift = 0; !s.empty(); shift += 7) {
    uint8_t b = uint8_t(s[0]);
    s.remove_prefix(1);
    v |= uint64_t(b & 127) << shift;
    if (b < 128) break;
  }
  return v;
}
template <class F>  // f(field, number, bytes)
void walk(std::string_view s, F f) {
  while (!s.empty()) {
    uint64_t tag = varint(s), n = varint(s);
    if ((tag & 7) == 0) {
      f(tag >> 3, n, std::string_view());
    } else {
      f(tag >> 3, 0, s.substr(0, n));
      s.remove_prefix(n);
    }
  }
}
inline std::vector<Plain> plain(std::string_view batch) {
  std::vector<Plain> all;
  walk(batch, [&](uint64_t, uint64_t, std::string_view record) {
    Plain p;
    walk(record, [&](uint64_t field, uint64_t v, std::string_view s) {
      switch (field) {
        case 1: p.timestamp = v; break;
        case 2: p.service = s; break;
        case 3: p.instance = s; break;
        case 4: p.severity = v; break;
        case 5: p.text = s; break;
        case 6: {
          Label l;
          walk(s, [&](uint64_t k, uint64_t, std::string_view part) { (k == 1 ? l.key : l.value) = part; });
          p.labels.push_back(l);
          break;
        }
        case 7: p.trace_id = s; break;
        case 8: p.span_id = s; break;
        default:
          walk(s, [&](uint64_t k, uint64_t n, std::string_view part) {
            if (k == 1) p.file = part;
            if (k == 2) p.line = n;
            if (k == 3) p.function = part;
          });
      }
    });
    all.push_back(p);
  });
  return all;
}

// The data sets and the message of each.
#define HARNESS_SETS(X) \
  X(api, Api) X(logrec, Record) X(analytics, Event) X(gm1, Wide) X(logbatch, Batch) X(logvar, Batch) X(logmixed, Batch) X(anbig, Event)

}  // namespace harness
