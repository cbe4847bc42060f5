// bench/codec: protobuf C++, of whichever version this is compiled with (WHO names it). Messages are made on an arena
// with a first block of a mebibyte, which each decode uses anew.
#include <google/protobuf/arena.h>
#include <google/protobuf/util/json_util.h>

#include "harness.h"
#include "shapes.pb.h"
#include "sparse.pb.h"

using namespace harness;
namespace gp = google::protobuf;
using bench::shapes::Batch;

namespace {

#include "touch_protobuf.h"

struct Decoder {
  std::vector<char> block = std::vector<char>(1 << 20);
  gp::Arena arena{options()};

  gp::ArenaOptions options() {
    gp::ArenaOptions o;
    o.initial_block = block.data();
    o.initial_block_size = block.size();
    return o;
  }
  template <class M>
  M* decode(std::string_view s) {
    arena.Reset();
    M* m = gp::Arena::CreateMessage<M>(&arena);
    if (!m->ParseFromArray(s.data(), int(s.size()))) die("protobuf: parse");
    return m;
  }
};

template <class M>
void decode_rows(const Set& set) {
  Decoder d;
  uint64_t sum = 0;
  for (auto s : set.payloads) sum += touch(*d.decode<M>(s));
  checksum(WHO, set.name, sum);
  race(WHO, set.name + ": decode and touch", set.payloads, 1, [&](size_t i) { return touch(*d.decode<M>(set.payloads[i])); });
}

template <class M>
size_t encode(const M& m, std::vector<uint8_t>* out) {
  const size_t n = m.ByteSizeLong();
  if (n > out->size()) die("protobuf: size");
  m.SerializeWithCachedSizesToArray(out->data());
  return n;
}

void build(const Set& set) {
  const std::vector<Plain> records = plain(set.payloads[0]);
  Decoder d;
  std::vector<uint8_t> out(1 << 17);
  race(WHO, set.name + ": build and encode", set.payloads, 1, [&](size_t) {
    d.arena.Reset();
    auto* m = gp::Arena::CreateMessage<Batch>(&d.arena);
    for (const Plain& p : records) {
      auto* r = m->add_records();
      r->set_timestamp_ns(int64_t(p.timestamp));
      r->set_service(p.service.data(), p.service.size());
      r->set_instance(p.instance.data(), p.instance.size());
      r->set_severity(bench::shapes::Severity(p.severity));
      r->set_text(p.text.data(), p.text.size());
      for (const Label& l : p.labels) (*r->mutable_labels())[std::string(l.key)].assign(l.value.data(), l.value.size());
      r->set_trace_id(p.trace_id.data(), p.trace_id.size());
      r->set_span_id(p.span_id.data(), p.span_id.size());
      auto* s = r->mutable_source();
      s->set_file(p.file.data(), p.file.size());
      s->set_line(int32_t(p.line));
      s->set_function(p.function.data(), p.function.size());
    }
    const size_t n = encode(*m, &out);
    if (n != set.payloads[0].size()) die("protobuf: built another length");
    return n;
  });
}

void log_rows(const Set& set) {
  Decoder d;
  std::vector<uint8_t> out(1 << 17);
  std::vector<Batch> messages(set.payloads.size());
  for (size_t i = 0; i < messages.size(); i++) messages[i].ParseFromArray(set.payloads[i].data(), int(set.payloads[i].size()));
  race(WHO, set.name + ": re-encode", set.payloads, 1, [&](size_t i) { return encode(messages[i], &out); });

  std::vector<std::string> texts(messages.size());
  std::vector<std::string_view> views;
  for (size_t i = 0; i < messages.size(); i++)
    if (!gp::util::MessageToJsonString(messages[i], &texts[i]).ok()) die("protobuf: print");
  for (const std::string& t : texts) views.push_back(t);
  race(WHO, set.name + ": wire to JSON", set.payloads, 1, [&](size_t i) {
    std::string text;
    if (!gp::util::MessageToJsonString(*d.decode<Batch>(set.payloads[i]), &text).ok()) die("protobuf: print");
    return text.size();
  });
  race(WHO, set.name + ": JSON to wire", views, 1, [&](size_t i) {
    d.arena.Reset();
    auto* m = gp::Arena::CreateMessage<Batch>(&d.arena);
    if (!gp::util::JsonStringToMessage(texts[i], m).ok()) die("protobuf: parse JSON");
    return encode(*m, &out);
  });
}

template <class M>
void sparse(const char* name) {
  const Set set = load(name);
  gp::Arena arena;
  auto* m = gp::Arena::CreateMessage<M>(&arena);
  if (!m->ParseFromArray(set.payloads[0].data(), int(set.payloads[0].size()))) die("protobuf: parse");
  report(WHO, std::string(name) + ": arena bytes a wire byte", double(arena.SpaceUsed()) / double(set.payloads[0].size()), "bytes");
}

}  // namespace

int main(int argc, char** argv) {
  begin(argc, argv);
#define ROWS(name, type) decode_rows<bench::shapes::type>(load(#name));
  HARNESS_SETS(ROWS)
  Decoder d;
  const Set fixed = load("packedfixed"), varints = load("packedvarint"), batch = load("logbatch");
  race(WHO, "packed fixed64, 1 MiB: decode", fixed.payloads, 1, [&](size_t i) {
    auto* m = d.decode<bench::shapes::PackedFixed>(fixed.payloads[i]);
    return reinterpret_cast<uintptr_t>(m->values().data()) + uint64_t(m->values_size());
  });
  auto sum = [&](size_t i) { return touch(*d.decode<bench::shapes::PackedVarint>(varints.payloads[i])); };
  checksum(WHO, "packedvarint", sum(0));
  race(WHO, "packed varint, 1 MiB: decode and touch", varints.payloads, 1, sum);
  race(WHO, "logbatch: two fields of each record", batch.payloads, 1, [&](size_t i) {
    uint64_t all = 0;
    for (const auto& r : d.decode<Batch>(batch.payloads[i])->records()) all += uint64_t(r.timestamp_ns()) + see(r.span_id());
    return all;
  });
  log_rows(batch);
  log_rows(load("logvar"));
  build(batch);
  sparse<bench::sparse::Table200>("sparse200");
  sparse<bench::sparse::Table30>("sparse30");
  return 0;
}
