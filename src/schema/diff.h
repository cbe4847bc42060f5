// What breaks from one version of a schema to the next.
#pragma once

#include "base/arena.h"
#include "base/status.h"
#include "base/vec.h"
#include "schema/schema.h"

namespace zcrpc::schema {

// From bad to mild; each breaks all that the ones behind it break. kWire: bytes or calls of the other version are misread
// or refused. kJson: binary goes on, JSON and text do not. kSource: only code that uses names and types has to change.
enum class Breaks : uint8_t { kWire, kJson, kSource };
const char* breaks_name(Breaks b);  // "wire", "json", "source"

struct Finding {
  std::string_view path;  // full name in the old version; of what is new: in the new one
  Breaks breaks;
  const char* kind;       // "field_removed": one of a fixed list, see diff.cc
  std::string_view reason;
};

// Findings in the order of the old declarations, texts in `arena`. Types go by their full names, fields and enum values
// by number, methods by path. A field that has a type of another name is compared with it as if it were the old one.
// resource_exhausted: no memory, or the two versions pair more types than they have.
base::Status diff(const Schema* from, const Schema* to, base::Arena* arena, base::Vec<Finding>* out);

}  // namespace zcrpc::schema
