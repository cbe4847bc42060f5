#include "schema/walk.h"

#include <algorithm>

namespace zcrpc::schema {
namespace {

std::span<const zcrpc_ext> extension_rows(View v, const Message* m) {
  const uint8_t* slot = nullptr;
  if (m->sparse) {
    auto bit = uint32_t(m->fields.size());  // the last bit of the bitmap is the run of extensions
    if (m->extendable() && bit_of(v, bit)) slot = bytes_of(v) + m->size + 8 * sparse_rank(v, bit);
  } else if (m->extension_slot) {
    slot = bytes_of(v) + m->extension_slot;
  }
  if (!slot) return {};
  auto run = load<zcrpc_run>(slot);
  return {reinterpret_cast<const zcrpc_ext*>(reinterpret_cast<const uint8_t*>(index_of(v)) + run.offset), run.count};
}

}  // namespace

const Field* next_set(View v, uint32_t after) {
  if (!v) return nullptr;
  const Message* m = type_of(v);
  const Field* found = nullptr;
  auto* f = std::partition_point(m->fields.data(), m->fields.data() + m->fields.size(), [after](const Field& x) { return x.number <= after; });
  for (; f != m->fields.data() + m->fields.size() && !found; f++)
    if (has(v, f)) found = f;
  auto rows = extension_rows(v, m);
  auto* row = std::partition_point(rows.data(), rows.data() + rows.size(), [after](const zcrpc_ext& x) { return x.number <= after; });
  for (; row != rows.data() + rows.size() && (!found || row->number < found->number); row++) {
    const Field* x = m->extension(row->number);
    if (x && has(v, x)) return x;
  }
  return found;
}

}  // namespace zcrpc::schema
