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

struct Projection;

// What a decode may take, and what it keeps.
struct Limits {
  size_t max_index = 0;    // bytes of arena; 0: min(64 MiB, 1 MiB + 32 x input)
  size_t told = 0;         // the limit that errors tell, where max_index is what is left of it
  uint32_t max_depth = 100;
  bool lazy = false;          // sub-messages wait until open() is asked for them; those in delimited encoding do not
  bool drop_unknown = false;  // unknown fields leave no trace in the index
  const Projection* projection = nullptr;  // of the same type; not together with lazy
  bool straight = false;      // by the straight-line decoders of generated code, if there are any
};

// Limits for protobuf that was made of `size` bytes of text, and lies in `beside` bytes while it is decoded: the budget is that
// of the text, which a program sent, less what lies beside the index. A limit that was set stays.
Limits of_text(const Limits& limits, size_t size, size_t beside);

// What the Anys in a message may take while it is walked: what its own index leaves of its budget. Whoever comes out of an Any
// goes back to the copy from before it (decision 0199).
class AnyBudget {
 public:
  AnyBudget() = default;
  // all: bytes that v's index and all Anys that are open at once may take; 0: as many as an index of v's bytes.
  AnyBudget(schema::View v, size_t all);
  // Decodes one into its arena, which is new, and takes what that is. Errors as decode() has them.
  base::Result<schema::View> take(const schema::Message* type, base::Slice bytes, uint32_t max_depth, base::Arena* arena);

 private:
  size_t all_ = 0, left_ = 0;
};

// Builds the decoder tables of all messages into the schema's arena and sets Message::decoder. Once, before the schema is shared.
base::Status bind(schema::Schema* s);

// Decodes `data` (which must outlive the view) into the arena. slack: kSlack bytes behind data may be read.
// holder: counted memory that data lies in and that the arena holds, or nullptr; parts of the view can then be sent by reference.
// invalid_argument (with offset and path), resource_exhausted (budget, depth, memory).
base::Result<schema::View> decode(const schema::Message* type, base::Slice data, bool slack, const Limits& limits, base::Arena* arena,
                                  base::Buffer* holder = nullptr);
// The same for entry points, where each instruction counts for small messages: nullptr, and the error in *why, which must be none before.
schema::View decode(const schema::Message* type, base::Slice data, bool slack, const Limits& limits, base::Arena* arena, base::Buffer* holder,
                    base::Status* why);

// The sub-message of a lazy view in this field (i: which element, or which entry of a map; 0 for a singular one), decoded
// now if it was not before, into the arena that v lies in. nullptr: absent. Of other views it is just looked up. Errors as
// decode() has them, with the same offset and path; budget and depth are those of the whole.
base::Result<schema::View> open(schema::View v, const schema::Field* f, size_t i, base::Arena* arena);
// All that waits in v, and in what is opened on the way.
base::Status open_all(schema::View v, base::Arena* arena);

// Writes the index into the caller's 8-aligned memory; *size: bytes written, or needed with too_small.
base::Status index(const schema::Message* type, base::Slice data, const Limits& limits, void* memory, size_t capacity, size_t* size);

}  // namespace zcrpc::view
