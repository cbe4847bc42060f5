// bench/codec: FlatBuffers, the log batch only. The bytes are its own, the content is the same; what comes from a
// stranger must be verified before it is read.
#include "harness.h"
#include "log_generated.h"

using namespace harness;

namespace {

constexpr char kWho[] = "FlatBuffers";

uint64_t see(const flatbuffers::String* s) { return harness::see(s->c_str(), s->size()); }

uint64_t touch(const bench_flat::Batch* b) {
  uint64_t sum = 0;
  for (const auto* r : *b->records()) {
    sum += uint64_t(r->timestamp_ns()) + see(r->service()) + see(r->instance()) + uint64_t(int64_t(r->severity())) + see(r->text()) +
           see(r->trace_id()) + see(r->span_id());
    for (const auto* l : *r->labels()) sum += see(l->key()) + see(l->value());
    const auto* s = r->source();
    sum += see(s->file()) + uint64_t(int64_t(s->line())) + see(s->function());
  }
  return sum;
}

void build(flatbuffers::FlatBufferBuilder* b, const std::vector<Plain>& records) {
  b->Clear();
  auto text = [&](std::string_view s) { return b->CreateString(s.data(), s.size()); };
  std::vector<flatbuffers::Offset<bench_flat::Record>> all;
  std::vector<flatbuffers::Offset<bench_flat::Label>> labels;
  all.reserve(records.size());
  for (const Plain& p : records) {
    labels.clear();
    for (const Label& l : p.labels) {
      auto k = text(l.key), v = text(l.value);
      labels.push_back(bench_flat::CreateLabel(*b, k, v));
    }
    auto file = text(p.file), function = text(p.function);
    auto source = bench_flat::CreateSource(*b, file, int32_t(p.line), function);
    auto service = text(p.service), instance = text(p.instance), line = text(p.text), trace = text(p.trace_id), span = text(p.span_id);
    auto list = b->CreateVector(labels);
    all.push_back(bench_flat::CreateRecord(*b, int64_t(p.timestamp), service, instance, int32_t(p.severity), line, list, trace, span, source));
  }
  b->Finish(bench_flat::CreateBatch(*b, b->CreateVector(all)));
}

}  // namespace

int main(int argc, char** argv) {
  begin(argc, argv);
  for (const char* name : {"logbatch", "logvar"}) {
    const Set set = load(name);
    std::vector<std::string> storage;
    std::vector<std::string_view> bytes;
    flatbuffers::FlatBufferBuilder b(1 << 17);
    for (auto s : set.payloads) {
      build(&b, plain(s));
      storage.emplace_back(reinterpret_cast<const char*>(b.GetBufferPointer()), b.GetSize());
    }
    for (const std::string& s : storage) bytes.push_back(s);
    auto verified = [&](size_t i) {
      flatbuffers::Verifier v(reinterpret_cast<const uint8_t*>(bytes[i].data()), bytes[i].size());
      if (!bench_flat::VerifyBatchBuffer(v)) die("FlatBuffers: verify");
      return touch(bench_flat::GetBatch(bytes[i].data()));
    };
    uint64_t sum = 0;
    for (size_t i = 0; i < bytes.size(); i++) sum += verified(i);
    checksum(kWho, name, sum);
    race(kWho, std::string(name) + ": decode and touch", bytes, 1, verified);
    if (strcmp(name, "logbatch")) continue;
    const std::vector<Plain> records = plain(set.payloads[0]);
    race(kWho, std::string(name) + ": build and encode", bytes, 1, [&](size_t) {
      build(&b, records);
      return b.GetSize();
    });
  }
  return 0;
}
