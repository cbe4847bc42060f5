#include "schema/builder.h"

namespace zcrpc::schema {
namespace {

constexpr uint8_t kSet[] = {
#include "well_known_set.inc"
};

// A field of a message by its number, for the two levels that are walked here. The bytes are our own: they are sound.
bool next_bytes(const uint8_t** p, const uint8_t* end, uint32_t* number, base::Slice* value) {
  wire::Fault fault;
  uint32_t tag, n;
  const uint8_t *q, *at;
  if (*p == end || !(q = wire::read_tag(*p, end, &tag, &fault))) return false;
  *number = wire::tag_number(tag);
  *value = {};
  if (wire::tag_type(tag) == wire::Type::kLength && (q = wire::read_length(q, end, &n, &fault))) {
    *value = {q, n};
    *p = q + n;
    return true;
  }
  return q && (*p = wire::skip_value(q, end, tag, 1, &fault, &at));
}

}  // namespace

base::Slice well_known_file(std::string_view name) {
  if (!name.starts_with("google/protobuf/")) return {};
  uint32_t number;
  base::Slice file, value;
  for (const uint8_t* p = kSet; next_bytes(&p, kSet + sizeof kSet, &number, &file);)
    for (const uint8_t* q = file.begin(); next_bytes(&q, file.end(), &number, &value);)
      if (number == 1) {
        if (value.text() == name) return file;
        break;
      }
  return {};
}

}  // namespace zcrpc::schema
