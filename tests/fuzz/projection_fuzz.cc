// Any bytes through any mask of whole top-level fields: what eager decoding accepts, a projection accepts, with every
// dispatcher alike; it shows the fields that were named, as libprotobuf reads them, and no others.
#include <cstdio>
#include <cstdlib>
#include <memory>

#include "unit/view/oracle.h"
#include "view/project.h"

namespace {

using namespace zcrpc;
using oracle::Decoded;

void must(bool truth, const char* what) {
  if (truth) return;
  std::fprintf(stderr, "%s\n", what);
  std::abort();
}

// A bit a field; members of a oneof go together, since a projection keeps them together.
bool named(const google::protobuf::FieldDescriptor* f, uint32_t mask) {
  if (f->is_extension()) return false;
  const int place = f->real_containing_oneof() ? f->real_containing_oneof()->field(0)->index() : f->index();
  return mask >> place % 16 & 1;
}

struct Mask {
  view::Projection* compiled = nullptr;
  Mask(const schema::Message* type, const google::protobuf::Descriptor* d, uint32_t bits) {
    view::ProjectionBuilder builder(type);
    for (int i = 0; i < d->field_count(); i++)
      if (named(d->field(i), bits)) must(builder.add(d->field(i)->name()).ok(), "a path that exists is refused");
    auto made = builder.finish();
    must(made.ok(), "a mask that does not compile");
    compiled = *made;
  }
  ~Mask() { compiled->release(); }
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const bool quiet = [] {
    google::protobuf::SetLogHandler(nullptr);
    return true;
  }();
  (void)quiet;
  if (size < 3) return 0;
  const auto& prototype = *oracle::roots()[data[0] % oracle::roots().size()];
  const uint32_t bits = data[1] | uint32_t(data[2]) << 8;
  const std::string bytes(reinterpret_cast<const char*>(data) + 3, size - 3), name = prototype.GetDescriptor()->full_name();
  std::string index;
  bool accepted = false;
  const Decoded eager(oracle::schemas()[0].schema->message(name), bytes, true);
  std::unique_ptr<google::protobuf::Message> m(prototype.New());
  const bool parsed = eager.status.ok() && m->ParsePartialFromString(bytes);
  if (parsed) {
    std::vector<const google::protobuf::FieldDescriptor*> set;
    m->GetReflection()->ListFields(*m, &set);
    for (const auto* f : set)
      if (!named(f, bits)) m->GetReflection()->ClearField(m.get(), f);
  }
  for (const auto& b : oracle::schemas()) {
    const schema::Message* type = b.schema->message(name);
    const Mask mask(type, prototype.GetDescriptor(), bits);
    view::Limits limits;
    limits.projection = mask.compiled;
    for (bool slack : {true, false}) {
      const Decoded d(type, bytes, slack, limits);
      if (eager.status.ok()) must(d.status.ok(), "a projection refuses what eager decoding takes");
      if (!d.status.ok()) {
        must(d.status.offset() >= 0 && size_t(d.status.offset()) <= bytes.size(), "an offset outside the input");
        must(!accepted, "dispatchers disagree about a projection");
        continue;
      }
      if (!accepted) index = d.index(), accepted = true;
      must(d.index() == index, "dispatchers build different projections");
      if (!parsed) continue;
      const std::string why = oracle::difference(d.view, type, *m, false);
      if (!why.empty()) std::fprintf(stderr, "%s\n", why.c_str());
      must(why.empty(), "a projection reads otherwise");
    }
  }
  return 0;
}
