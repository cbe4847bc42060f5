// Protobuf's text format, both ways and without a second message tree: printed straight from a view, parsed straight to
// wire bytes. https://protobuf.dev/reference/protobuf/textformat-spec
#pragma once

#include <cstdint>

#include "base/slice.h"
#include "base/status.h"
#include "base/string.h"
#include "encode/encoder.h"
#include "schema/schema.h"
#include "schema/view.h"

namespace zcrpc::text {

struct PrintOptions {
  bool pretty = false;        // a line for each field, two spaces a level as in JSON; else all in one line
  bool unknown = false;       // unknown fields too, by number
  bool redact = false;        // "[REDACTED]" for fields marked debug_redact
  bool enum_numbers = false;  // enums as numbers
  size_t source = 0;          // bytes of text that the message was made of: about as long it becomes; 0: by the length of the message
  size_t budget = 0;          // bytes that the index and the Anys in it may take; 0: as many as an index of the message's bytes
  uint32_t max_depth = 200;   // messages within messages; views are at most as deep as their decoder allowed
  size_t max_output = SIZE_MAX;  // of *out
  bool* cut = nullptr;           // if given: what does not fit is left away, which is no error but told there
};

// Appends v, or with v null nothing, to *out. Any is expanded where the schema knows the type and the value decodes.
// Strings that are not UTF-8 are escaped. resource_exhausted: depth, max_output, memory; then *out holds what it held before.
base::Status print(schema::View v, const PrintOptions& options, base::String* out);

struct ParseOptions {
  bool ignore_unknown = false;  // fields, extensions and enum names
  uint32_t max_depth = 100;     // messages within messages, as the decoder counts them: map entries and Anys too
  size_t max_output = wire::kMaxMessage;  // bytes of wire format
};

// Parses one message into `out`, which has been reset to `type`. Fields come in the order of the text.
// invalid_argument: the message begins with "line 3, column 17: ", offset() is that byte, path() the field as in
// "records[3].severity"; resource_exhausted: depth, max_output, memory. After an error `out` has to be reset.
base::Status parse(const schema::Message* type, base::Slice text, const ParseOptions& options, encode::Encoder* out);

// Whether this field goes by its message's name: what was a group in proto2, and looks like one in editions.
bool group_like(const schema::Field* f);
// The name between brackets: an extension's own, or, in a MessageSet, its message's if it is declared within that.
std::string_view extension_name(const schema::Field* f);

}  // namespace zcrpc::text
