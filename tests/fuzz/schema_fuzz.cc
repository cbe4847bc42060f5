// Any bytes as a FileDescriptorSet: an error, or a schema in which every look-up and every offset holds.
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "schema/schema.h"

using namespace zcrpc;

namespace {

void must(bool truth) {
  if (!truth) abort();
}

void check_layout(const schema::Message* m) {
  for (const schema::Field& f : m->fields) {
    must(m->by_number(f.number) == &f && m->by_proto_name(f.name) == &f && m->by_name(f.json_name) != nullptr);
    must(f.parent == m && (f.message != nullptr) == schema::is_message(f.kind) && (f.enumeration != nullptr) == (f.kind == schema::Kind::kEnum));
    if (m->sparse) {
      must(f.bit == f.index && f.offset == 0);
      continue;
    }
    uint32_t width = f.repeated() ? 8 : schema::slot_width(f.kind);
    must(f.offset % width == 0 && f.offset + width <= m->size && (m->map_entry || f.offset >= sizeof(zcrpc_head)));
    if (f.bit != ZCRPC_NO_BIT) must(f.bit < 32 * m->presence_words);
    if (f.oneof) must(f.case_offset >= sizeof(zcrpc_head) && f.case_offset + 4 <= m->size);
  }
  if (m->map_entry) must(m->fields.size() == 2 && m->fields[0].number == 1);
  must(m->fingerprint != 0);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  auto r = schema::read({data, size}, {});
  if (!r.ok()) {
    must(r.status().code() == base::Code::kInvalidArgument || r.status().code() == base::Code::kResourceExhausted);
    must(r.status().offset() < int64_t(size) + 1);
    return 0;
  }
  const schema::Schema* s = *r;
  must(s->arena.reserved() <= 512 * size + (8 << 20));
  for (const schema::Message* m : s->messages) {
    must(s->message(m->name) == m);
    check_layout(m);
  }
  for (const schema::Enum* e : s->enums) must(s->enumeration(e->name) == e && !e->values.empty() && e->has(e->values[0].number));
  for (const schema::Method* m : s->methods) must(s->method(m->path) == m && m->input && m->output);
  for (const schema::Field* x : s->all_extensions) must(s->extension(x->full_name) == x && x->parent->extension(x->number) == x);
  s->release();
  return 0;
}
