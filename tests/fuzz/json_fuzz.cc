// Any bytes as JSON, for several types. What is accepted can be decoded and printed, and what is printed reads as the
// same message: print and parse settle at once.
#include <cstring>

#include "unit/json/support.h"

using namespace json_test;

namespace {

constexpr const char* kTypes[] = {"json.test.All", "json.test.Wide", "json.old.Old", "google.protobuf.Value", "google.protobuf.Any",
                                  "json.test.Names", "google.protobuf.FieldMask", "google.protobuf.Timestamp"};

void must(bool truth, const char* what) {
  if (truth) return;
  fprintf(stderr, "%s\n", what);
  abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static schema::Schema* schema = load();
  if (size == 0) return 0;
  // The first byte: which type, and which options.
  const schema::Message* type = schema->message(kTypes[data[0] % 8]);
  json::ParseOptions in;
  in.ignore_unknown = data[0] & 8;
  json::PrintOptions out;
  out.pretty = data[0] & 16;
  out.proto_names = data[0] & 32;
  out.enum_numbers = data[0] & 64;
  Parsed first = parse(type, {reinterpret_cast<const char*>(data) + 1, size - 1}, in);
  if (!first.status.ok()) {
    must(first.status.offset() >= 0 && size_t(first.status.offset()) < size, "an error without its place");
    return 0;
  }
  Printed text = print(type, first.wire, out);
  if (!text.status.ok()) {
    // What JSON says in little the index may say at length: its budget is the one way to fail.
    must(text.status.code() == base::Code::kResourceExhausted, text.status.message());
    return 0;
  }
  Parsed second = parse(type, text.text);
  must(second.status.ok(), second.status.message());
  Printed again = print(type, second.wire, out);
  must(again.status.ok(), "printed once, but not twice");
  must(again.text == text.text, "printed otherwise the second time");
  Parsed third = parse(type, again.text);
  must(third.status.ok() && third.wire == second.wire, "read otherwise the second time");
  return 0;
}
