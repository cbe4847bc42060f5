// The decoder: wire bytes to an index, in one pass, table driven. See docs/layout.md.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/arena.h"
#include "base/buffer.h"
#include "base/status.h"
#include "schema/schema.h"
#include "schema/view.h"

namespace zcrpc::view {

struct Limits {
  size_t max_index = 0;    // bytes of arena; 0: min(64 MiB, 1 MiB + 32 x input)
  uint32_t max_depth = 100;
};

// Builds the decoder tables of all messages into the schema's arena and sets Message::decoder. Once, before the schema is shared.
base::Status bind(schema::Schema* s);

// Decodes `data` (which must outlive the view) into the arena. slack: kSlack bytes behind data may be read.
// holder: counted memory that data lies in and that the arena holds, or nullptr; parts of the view can then be sent by reference.
// invalid_argument (with offset and path), resource_exhausted (budget, depth, memory).
base::Result<schema::View> decode(const schema::Message* type, base::Slice data, bool slack, const Limits& limits, base::Arena* arena,
                                  base::Buffer* holder = nullptr);

// Writes the index into the caller's 8-aligned memory; *size: bytes written, or needed with too_small.
base::Status index(const schema::Message* type, base::Slice data, const Limits& limits, void* memory, size_t capacity, size_t* size);

}  // namespace zcrpc::view
