// ProtoJSON, both ways and without a second message tree: printed straight from a view, parsed straight to wire bytes.
// https://protobuf.dev/programming-guides/json
#pragma once

#include <cstdint>

#include "base/slice.h"
#include "base/status.h"
#include "base/string.h"
#include "encode/encoder.h"
#include "schema/schema.h"
#include "schema/view.h"

namespace zcrpc::json {

struct PrintOptions {
  bool enum_numbers = false;  // enums as numbers
  bool proto_names = false;   // names as in the .proto file instead of lowerCamel ones
  bool pretty = false;        // lines and two spaces a level, of these at most 1 MiB and 16 times the message, or the source if that is less
  bool redact = false;        // "[REDACTED]" for fields marked debug_redact
  size_t source = 0;          // bytes of text that the message was made of: about as long it becomes; 0: by the length of the message
  size_t budget = 0;          // bytes that the index and the Anys in it may take; 0: as many as an index of the message's bytes
  uint32_t max_depth = 200;   // messages within messages; views are at most as deep as their decoder allowed
};

// Appends v, or with v null the empty message of `type` (else unused), to *out. Implicit defaults are left out, unknown
// fields too. invalid_argument with the field's path: what has no JSON form (a Timestamp out of its range, a string
// that is not UTF-8 ...). After an error *out holds what it held before.
base::Status print(schema::View v, const schema::Message* type, const PrintOptions& options, base::String* out);

struct ParseOptions {
  bool ignore_unknown = false;  // fields and enum names
  uint32_t max_depth = 100;     // messages within messages, as the decoder counts them: map entries too
  size_t max_output = wire::kMaxMessage;  // bytes of wire format
};

// Parses one JSON text, and nothing behind it but white space, into `out`, which has been reset to `type`. Strict RFC 8259.
// Repeated fields are written packed where they are declared so; fields come in the order of the text.
// invalid_argument: the message begins with "line 3, column 17: ", offset() is that byte, path() the field as in
// "records[3].severity"; resource_exhausted: depth, max_output, memory. After an error `out` has to be reset.
base::Status parse(const schema::Message* type, base::Slice json, const ParseOptions& options, encode::Encoder* out);

}  // namespace zcrpc::json
