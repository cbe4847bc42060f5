// bench/codec: Cap'n Proto, the log batch only, flat (one segment, not packed). Pointers are checked as they are read.
#include <capnp/message.h>
#include <capnp/serialize.h>

#include "harness.h"
#include "log.capnp.h"

using namespace harness;

namespace {

constexpr char kWho[] = "Cap'n Proto";

uint64_t see(capnp::Text::Reader s) { return harness::see(s.cStr(), s.size()); }
capnp::Text::Reader text(std::string_view s) { return capnp::Text::Reader(s.data(), s.size()); }

uint64_t touch(bench_capnp::Batch::Reader b) {
  uint64_t sum = 0;
  for (auto r : b.getRecords()) {
    sum += uint64_t(r.getTimestampNs()) + see(r.getService()) + see(r.getInstance()) + uint64_t(int64_t(r.getSeverity())) + see(r.getText()) +
           see(r.getTraceId()) + see(r.getSpanId());
    for (auto l : r.getLabels()) sum += see(l.getKey()) + see(l.getValue());
    auto s = r.getSource();
    sum += see(s.getFile()) + uint64_t(int64_t(s.getLine())) + see(s.getFunction());
  }
  return sum;
}

// Text::Reader wants a zero behind the text; the log batch's strings are given one here, before the clock runs.
struct Terminated {
  std::vector<std::string> storage;
  std::vector<Plain> records;
  explicit Terminated(std::vector<Plain> from) : records(std::move(from)) {
    storage.reserve(records.size() * 32);
    auto own = [&](std::string_view& s) { s = storage.emplace_back(s); };
    for (Plain& p : records) {
      for (auto* s : {&p.service, &p.instance, &p.text, &p.trace_id, &p.span_id, &p.file, &p.function}) own(*s);
      for (Label& l : p.labels) own(l.key), own(l.value);
    }
  }
};

void build(bench_capnp::Batch::Builder b, const std::vector<Plain>& records) {
  auto all = b.initRecords(unsigned(records.size()));
  unsigned i = 0;
  for (const Plain& p : records) {
    auto r = all[i++];
    r.setTimestampNs(int64_t(p.timestamp));
    r.setService(text(p.service));
    r.setInstance(text(p.instance));
    r.setSeverity(int32_t(p.severity));
    r.setText(text(p.text));
    auto labels = r.initLabels(unsigned(p.labels.size()));
    unsigned j = 0;
    for (const Label& l : p.labels) {
      labels[j].setKey(text(l.key));
      labels[j++].setValue(text(l.value));
    }
    r.setTraceId(text(p.trace_id));
    r.setSpanId(text(p.span_id));
    auto s = r.initSource();
    s.setFile(text(p.file));
    s.setLine(int32_t(p.line));
    s.setFunction(text(p.function));
  }
}

}  // namespace

int main(int argc, char** argv) {
  begin(argc, argv);
  std::vector<capnp::word> scratch(1 << 16);  // zeroed, and zeroed again by every builder that goes
  for (const char* name : {"logbatch", "logvar"}) {
    const Set set = load(name);
    std::vector<kj::Array<capnp::word>> words;
    std::vector<std::string_view> bytes;
    for (auto s : set.payloads) {
      capnp::MallocMessageBuilder m;
      build(m.initRoot<bench_capnp::Batch>(), Terminated(plain(s)).records);
      words.push_back(capnp::messageToFlatArray(m));
      auto b = words.back().asBytes();
      bytes.emplace_back(reinterpret_cast<const char*>(b.begin()), b.size());
    }
    auto read = [&](size_t i) {
      capnp::FlatArrayMessageReader m(words[i]);
      return touch(m.getRoot<bench_capnp::Batch>());
    };
    uint64_t sum = 0;
    for (size_t i = 0; i < bytes.size(); i++) sum += read(i);
    checksum(kWho, name, sum);
    race(kWho, std::string(name) + ": decode and touch", bytes, 1, read);
    if (strcmp(name, "logbatch")) continue;
    const Terminated records(plain(set.payloads[0]));
    race(kWho, std::string(name) + ": build and encode", bytes, 1, [&](size_t) {
      capnp::MallocMessageBuilder m(kj::arrayPtr(scratch.data(), scratch.size()));
      build(m.initRoot<bench_capnp::Batch>(), records.records);
      size_t n = 0;
      for (auto segment : m.getSegmentsForOutput()) n += segment.size();
      return n;
    });
  }
  return 0;
}
