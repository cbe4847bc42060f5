// Any bytes as a message of several types: every dispatcher, with slack behind the input and without, answers alike, byte
// for byte, eager, lazy and with unknown fields dropped; and libprotobuf accepts the same and reads the same, of an eager
// view and of a lazy one that was opened to the last level.
#include <cstdio>
#include <cstdlib>
#include <memory>

#include "unit/view/oracle.h"

namespace {

using namespace zcrpc;
using oracle::Decoded;

void must(bool truth, const char* what) {
  if (truth) return;
  std::fprintf(stderr, "%s\n", what);
  std::abort();
}

void same(const Decoded& a, const Decoded& b) {
  must(a.status.code() == b.status.code(), "dispatchers disagree about a status");
  must(a.status.offset() == b.status.offset(), "dispatchers disagree about an offset");
  must(std::string(a.status.path()) == b.status.path(), "dispatchers disagree about a path");
  if (a.view) must(a.index() == b.index(), "dispatchers build different indexes");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const bool quiet = [] {
    google::protobuf::SetLogHandler(nullptr);
    return true;
  }();
  (void)quiet;
  if (size == 0) return 0;
  const auto& prototype = *oracle::roots()[data[0] % oracle::roots().size()];
  const std::string bytes(reinterpret_cast<const char*>(data) + 1, size - 1), name = prototype.GetDescriptor()->full_name();
  const auto& all = oracle::schemas();
  const schema::Message* type = all[0].schema->message(name);
  const Decoded first(type, bytes, true);
  for (const auto& b : all)
    for (bool slack : {true, false}) same(first, Decoded(b.schema->message(name), bytes, slack));
  view::Limits lazily, dropping;
  lazily.lazy = dropping.drop_unknown = true;
  Decoded lazy(type, bytes, true, lazily);
  const Decoded dropped(type, bytes, true, dropping);
  for (const auto& b : all)
    for (bool slack : {true, false}) {
      same(lazy, Decoded(b.schema->message(name), bytes, slack, lazily));
      same(dropped, Decoded(b.schema->message(name), bytes, slack, dropping));
    }
  if (first.status.ok()) must(dropped.status.ok() && lazy.status.ok(), "a mode refuses what eager decoding takes");
  if (!first.status.ok()) {
    must(first.status.code() == base::Code::kInvalidArgument || first.status.code() == base::Code::kResourceExhausted, "a strange code");
    must(first.status.offset() >= 0 && size_t(first.status.offset()) <= bytes.size(), "an offset outside the input");
    if (first.status.code() == base::Code::kResourceExhausted) return 0;
  }
  if (std::string(first.status.message()).starts_with("tag of more")) return 0;  // libprotobuf 3.21 lets the bits fall off
  std::unique_ptr<google::protobuf::Message> m(prototype.New());
  must(m->ParsePartialFromString(bytes) == first.status.ok(), "libprotobuf disagrees");
  if (!first.status.ok()) return 0;
  const std::string why = oracle::difference(first.view, type, *m, false);
  if (!why.empty()) std::fprintf(stderr, "%s\n", why.c_str());
  must(why.empty(), "libprotobuf reads otherwise");
  must(oracle::difference(dropped.view, type, *m, false).empty(), "with unknown fields dropped the others read otherwise");
  const base::Status opened = view::open_all(lazy.view, &lazy.arena);
  if (opened.code() == base::Code::kResourceExhausted) return 0;
  must(opened.ok(), "a lazy view does not open");
  must(oracle::difference(lazy.view, type, *m, false).empty(), "a lazy view reads otherwise");
  return 0;
}
