// bench/json: wire bytes to JSON and JSON to wire bytes, ours beside libprotobuf's, in one process, round about.
// Prints one line a measurement: work <tab> who <tab> microseconds. Usage: json-bench SEED ROUNDS
#include <google/protobuf/descriptor.pb.h>
#include <google/protobuf/util/json_util.h>
#include <zcrpc.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <string>
#include <vector>

#include "../codec/data.h"
#include "bench.pb.h"

namespace {

[[noreturn]] void die(const char* what, const char* why) {
  fprintf(stderr, "json-bench: %s: %s\n", what, why);
  exit(1);
}

struct Ours {
  zcrpc_schema* schema = nullptr;
  const zcrpc_type* type = nullptr;
  zcrpc_arena* arena = zcrpc_arena_new(nullptr);

  Ours() {
    google::protobuf::FileDescriptorSet set;
    bench::v1::LogBatch::descriptor()->file()->CopyTo(set.add_file());
    std::string bytes = set.SerializeAsString();
    zcrpc_error* err = nullptr;
    schema = zcrpc_schema_new(bytes.data(), bytes.size(), &err);
    if (!schema) die("schema", zcrpc_error_message(err));
    type = zcrpc_schema_type(schema, "bench.v1.LogBatch");
  }
  ~Ours() {
    zcrpc_arena_free(arena);
    zcrpc_schema_release(schema);
  }
  // Decodes and prints; the arena is reused, the buffer is new.
  size_t print(const std::string& wire, std::string* keep = nullptr) {
    zcrpc_arena_reset(arena);
    zcrpc_error* err = nullptr;
    const zcrpc_view* v = zcrpc_view_decode(type, wire.data(), wire.size(), nullptr, arena, &err);
    zcrpc_buffer* b = v ? zcrpc_view_print(v, ZCRPC_JSON, nullptr, &err) : nullptr;
    if (!b) die("print", zcrpc_error_message(err));
    return done(b, keep);
  }
  size_t parse(const std::string& json, std::string* keep = nullptr) {
    zcrpc_error* err = nullptr;
    zcrpc_buffer* b = zcrpc_type_convert(type, ZCRPC_JSON, json.data(), json.size(), ZCRPC_PROTO, nullptr, &err);
    if (!b) die("parse", zcrpc_error_message(err));
    return done(b, keep);
  }
  static size_t done(zcrpc_buffer* b, std::string* keep) {
    zcrpc_slice s;
    zcrpc_buffer_slice(b, &s);
    if (keep) keep->assign(s.data, s.len);
    zcrpc_buffer_release(b);
    return s.len;
  }
};

// libprotobuf as its users call it: parse and print, parse and serialise, each time into a new message.
size_t their_print(const std::string& wire, std::string* keep = nullptr) {
  bench::v1::LogBatch m;
  std::string out;
  if (!m.ParseFromString(wire) || !google::protobuf::util::MessageToJsonString(m, &out).ok()) die("print", "libprotobuf");
  if (keep) *keep = out;
  return out.size();
}
size_t their_parse(const std::string& json, std::string* keep = nullptr) {
  bench::v1::LogBatch m;
  if (!google::protobuf::util::JsonStringToMessage(json, &m).ok()) die("parse", "libprotobuf");
  std::string out = m.SerializeAsString();
  if (keep) *keep = out;
  return out.size();
}

double now() { return std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

// Microseconds a text, over all of them, repeated until the clock can tell.
double once(const std::vector<std::string>& in, const std::function<size_t(const std::string&)>& f) {
  size_t n = 0;
  double start = now(), end;
  do {
    for (const std::string& s : in)
      if (f(s) == 0) die("measure", "nothing came out");
    n += in.size();
    end = now();
  } while (end - start < 20000);
  return (end - start) / double(n);
}

}  // namespace

int main(int argc, char** argv) {
  uint64_t seed = argc > 1 ? strtoull(argv[1], nullptr, 10) : 1;
  int rounds = argc > 2 ? atoi(argv[2]) : 5;
  Ours ours;
  struct Set {
    const char* name;
    std::vector<std::string> wire, json;
  } sets[] = {{"logbatch", {data::log_batch()}, {}}, {"logvar", data::log_variety(seed, false), {}}};
  for (Set& s : sets) {
    for (const std::string& wire : s.wire) {
      // Both sides mean the same before they are timed.
      std::string json, theirs, a, b;
      ours.print(wire, &json);
      their_print(wire, &theirs);
      ours.parse(theirs, &a);
      their_parse(json, &b);
      bench::v1::LogBatch x, y;
      if (!x.ParseFromString(a) || !y.ParseFromString(b) || x.records_size() != y.records_size() || a.size() != b.size() ||
          ours.print(a) != json.size() || ours.print(b) != json.size())
        die(s.name, "the two sides differ");
      s.json.push_back(json);
    }
    double best[4] = {1e9, 1e9, 1e9, 1e9};
    for (int r = 0; r < rounds; r++) {
      best[0] = std::min(best[0], once(s.wire, [&](const std::string& w) { return ours.print(w); }));
      best[1] = std::min(best[1], once(s.wire, [](const std::string& w) { return their_print(w); }));
      best[2] = std::min(best[2], once(s.json, [&](const std::string& j) { return ours.parse(j); }));
      best[3] = std::min(best[3], once(s.json, [](const std::string& j) { return their_parse(j); }));
    }
    size_t bytes = 0;
    for (const std::string& j : s.json) bytes += j.size();
    printf("%s\tbytes\t%zu\n", s.name, bytes / s.json.size());
    printf("%s-print\tzcrpc\t%.2f\n%s-print\tprotobuf\t%.2f\n", s.name, best[0], s.name, best[1]);
    printf("%s-parse\tzcrpc\t%.2f\n%s-parse\tprotobuf\t%.2f\n", s.name, best[2], s.name, best[3]);
  }
  return 0;
}
