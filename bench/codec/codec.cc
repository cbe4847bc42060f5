// bench/codec: our codec beside its peers, in one process, round about. Prints one line a measurement:
//   work <tab> who <tab> value <tab> unit
// Usage: codec-bench SEED ROUNDS. Driven by bench/codec/run, which makes the tables.
#include <google/protobuf/arena.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <string>
#include <vector>

#include "bench.pb.h"
#include "bench.zcrpc.h"
#include "data.h"

// Every allocation of the process is counted.
static uint64_t g_mallocs;
extern "C" void* __libc_malloc(size_t);
extern "C" void* __libc_realloc(void*, size_t);
extern "C" void* malloc(size_t n) {
  g_mallocs++;
  return __libc_malloc(n);
}
extern "C" void* realloc(void* p, size_t n) {
  g_mallocs++;
  return __libc_realloc(p, n);
}

namespace {

using Batches = std::vector<std::string>;

[[noreturn]] void die(const char* what, zcrpc_error* err = nullptr) {
  fprintf(stderr, "codec-bench: %s%s%s\n", what, err ? ": " : "", zcrpc_error_message(err));
  exit(1);
}

// ---- Every field, read on both sides: numbers summed, of strings the length and the first byte -------------------

uint64_t see(const char* p, size_t n) { return n + (n ? uint8_t(p[0]) : 0); }
uint64_t see(zcrpc_slice s) { return see(s.data, s.len); }
uint64_t see(const std::string& s) { return see(s.data(), s.size()); }

uint64_t touch(const bench_v1_LogBatch* m) {
  uint64_t sum = 0;
  for (size_t i = 0, n = bench_v1_LogBatch_records_count(m); i < n; i++) {
    const bench_v1_LogRecord* r = bench_v1_LogBatch_records(m, i);
    sum += uint64_t(bench_v1_LogRecord_timestamp_ns(r)) + see(bench_v1_LogRecord_service(r)) + see(bench_v1_LogRecord_instance(r)) +
           uint64_t(int64_t(bench_v1_LogRecord_severity(r))) + see(bench_v1_LogRecord_text(r)) + see(bench_v1_LogRecord_trace_id(r)) +
           see(bench_v1_LogRecord_span_id(r));
    for (size_t j = 0, k = bench_v1_LogRecord_labels_count(r); j < k; j++)
      sum += see(bench_v1_LogRecord_labels_key_at(r, j)) + see(bench_v1_LogRecord_labels_value_at(r, j));
    if (const bench_v1_SourceLocation* s = bench_v1_LogRecord_source(r))
      sum += see(bench_v1_SourceLocation_file(s)) + uint64_t(int64_t(bench_v1_SourceLocation_line(s))) + see(bench_v1_SourceLocation_function(s));
  }
  return sum;
}

uint64_t touch(const bench::v1::LogBatch& m) {
  uint64_t sum = 0;
  for (const auto& r : m.records()) {
    sum += uint64_t(r.timestamp_ns()) + see(r.service()) + see(r.instance()) + uint64_t(int64_t(r.severity())) + see(r.text()) +
           see(r.trace_id()) + see(r.span_id());
    for (const auto& kv : r.labels()) sum += see(kv.first) + see(kv.second);
    if (r.has_source()) sum += see(r.source().file()) + uint64_t(int64_t(r.source().line())) + see(r.source().function());
  }
  return sum;
}

// ---- The two sides -----------------------------------------------------------------------------------------------

struct Ours {
  zcrpc_arena* arena = zcrpc_arena_new(nullptr);
  zcrpc_encoder* encoder = bench_v1_LogBatch_encoder(nullptr);

  const bench_v1_LogBatch* decode(const std::string& s) {
    zcrpc_arena_reset(arena);
    zcrpc_error* err = nullptr;
    const bench_v1_LogBatch* m = bench_v1_LogBatch_decode(s.data(), s.size(), arena, &err);
    if (!m) die("decode", err);
    return m;
  }
  size_t encode(const bench_v1_LogBatch* m) {
    zcrpc_encoder_reset(encoder, zcrpc_view_type(bench_v1_LogBatch_view(m)));
    zcrpc_encoder_put_fields(encoder, bench_v1_LogBatch_view(m));
    zcrpc_slice parts[4];
    size_t count = 0, size = 0;
    zcrpc_error* err = nullptr;
    if (zcrpc_encoder_gather(encoder, parts, 4, &count, &err)) die("encode", err);
    for (size_t i = 0; i < count; i++) size += parts[i].len;
    return size;
  }
};

struct Protobuf {
  std::vector<char> block = std::vector<char>(1 << 20);
  google::protobuf::Arena arena{options()};
  std::vector<uint8_t> out = std::vector<uint8_t>(1 << 17);

  google::protobuf::ArenaOptions options() {
    google::protobuf::ArenaOptions o;
    o.initial_block = block.data();
    o.initial_block_size = block.size();
    return o;
  }
  bench::v1::LogBatch* decode(const std::string& s) {
    arena.Reset();
    auto* m = google::protobuf::Arena::CreateMessage<bench::v1::LogBatch>(&arena);
    if (!m->ParseFromArray(s.data(), int(s.size()))) die("protobuf: parse");
    return m;
  }
  size_t encode(const bench::v1::LogBatch& m) {
    size_t n = m.ByteSizeLong();
    m.SerializeWithCachedSizesToArray(out.data());
    return n;
  }
};

// ---- Measuring: in each round every contender goes through all batches for a while. Each batch is timed by itself and
// its fastest time of all rounds counts, so that whatever else the machine does in between is left out on both sides.
// Each side meets all batches in turn, so that no predictor learns one by heart.

struct Contender {
  const char* who;
  std::function<void(size_t batch)> run;
  std::vector<double> best;
};

void race(const char* work, std::vector<Contender> all, size_t batches, int rounds) {
  using clock = std::chrono::steady_clock;
  for (Contender& c : all) c.best.assign(batches, 1e30);
  for (int round = 0; round < rounds; round++)
    for (Contender& c : all) {
      auto until = clock::now() + std::chrono::milliseconds(100);
      do {
        for (size_t i = 0; i < batches; i++) {
          auto start = clock::now();
          c.run(i);
          std::chrono::duration<double, std::nano> took = clock::now() - start;
          c.best[i] = std::min(c.best[i], took.count());
        }
      } while (clock::now() < until);
    }
  for (const Contender& c : all) {
    double sum = 0;
    for (double t : c.best) sum += t;
    printf("%s\t%s\t%.0f\tns\n", work, c.who, sum / double(batches));
  }
}

volatile uint64_t g_sink;

void measure(const std::string& name, const Batches& batches, int rounds) {
  Ours ours;
  Protobuf theirs;
  size_t wire = 0, index = 0;
  for (const std::string& s : batches) {
    const bench_v1_LogBatch* m = ours.decode(s);
    const bench::v1::LogBatch* p = theirs.decode(s);
    if (touch(m) != touch(*p)) die("the two sides do not read the same");
    if (ours.encode(m) != s.size() || theirs.encode(*p) != s.size()) die("encoded to another length");
    wire += s.size();
    const zcrpc_head* head = reinterpret_cast<const zcrpc_head*>(m);
    index += reinterpret_cast<const zcrpc_index*>(reinterpret_cast<const char*>(m) - head->self)->size;
  }
  uint64_t before = g_mallocs;
  for (const std::string& s : batches) ours.decode(s);
  uint64_t reused = g_mallocs - before;
  uint64_t most = 0;
  for (const std::string& s : batches) {
    zcrpc_arena* fresh = zcrpc_arena_new(nullptr);
    before = g_mallocs;
    if (!bench_v1_LogBatch_decode(s.data(), s.size(), fresh, nullptr)) die("decode");
    most = std::max(most, g_mallocs - before);
    zcrpc_arena_free(fresh);
  }
  printf("%s: mallocs, arena reused\tzcrpc\t%llu\tmallocs\n", name.c_str(), (unsigned long long)reused);
  printf("%s: mallocs, arena fresh\tzcrpc\t%llu\tmallocs\n", name.c_str(), (unsigned long long)most);
  printf("%s: arena bytes a wire byte\tzcrpc\t%.3f\tbytes\n", name.c_str(), double(index) / double(wire));

  race((name + ": decode and touch all").c_str(),
       {{"zcrpc", [&](size_t i) { g_sink = g_sink + touch(ours.decode(batches[i])); }},
        {"protobuf 3.21 arena", [&](size_t i) { g_sink = g_sink + touch(*theirs.decode(batches[i])); }}},
       batches.size(), rounds);
  race((name + ": decode").c_str(),
       {{"zcrpc", [&](size_t i) { g_sink = g_sink + uint64_t(ours.decode(batches[i]) != nullptr); }},
        {"protobuf 3.21 arena", [&](size_t i) { g_sink = g_sink + uint64_t(theirs.decode(batches[i]) != nullptr); }}},
       batches.size(), rounds);

  // Re-encode: the decoded messages of all batches lie ready on both sides.
  std::vector<zcrpc_arena*> arenas;
  std::vector<const bench_v1_LogBatch*> views;
  std::vector<bench::v1::LogBatch> messages(batches.size());
  for (size_t i = 0; i < batches.size(); i++) {
    arenas.push_back(zcrpc_arena_new(nullptr));
    views.push_back(bench_v1_LogBatch_decode(batches[i].data(), batches[i].size(), arenas[i], nullptr));
    if (!views[i] || !messages[i].ParseFromString(batches[i])) die("decode");
  }
  race((name + ": re-encode").c_str(),
       {{"zcrpc", [&](size_t i) { g_sink = g_sink + ours.encode(views[i]); }},
        {"protobuf 3.21 arena", [&](size_t i) { g_sink = g_sink + theirs.encode(messages[i]); }}},
       batches.size(), rounds);
  for (zcrpc_arena* a : arenas) zcrpc_arena_free(a);
  zcrpc_arena_free(ours.arena);
  zcrpc_encoder_free(ours.encoder);
}

}  // namespace

int main(int argc, char** argv) {
  uint64_t seed = argc > 1 ? strtoull(argv[1], nullptr, 10) : 1;
  int rounds = argc > 2 ? atoi(argv[2]) : 9;
  std::string batch = data::log_batch();
  if (batch.size() != 22370) die("the log batch is not 22,370 bytes");
  measure("logbatch", {batch}, rounds);
  measure("logvar", data::log_variety(seed, true), rounds);
  measure("logvar, labels unordered", data::log_variety(seed, false), rounds);
  return 0;
}
