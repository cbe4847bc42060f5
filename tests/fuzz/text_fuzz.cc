// Any bytes as text format, for several types. What is accepted can be decoded and printed, and what is printed reads as
// the same message: print and parse settle at once.
#include <cstring>

#include "unit/text/support.h"

using namespace text_test;

namespace {

constexpr const char* kTypes[] = {"text.test.All", "text.test.Set", "text.strict.Strict", "google.protobuf.Any"};

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
  const schema::Message* type = schema->message(kTypes[data[0] % 4]);
  text::ParseOptions in;
  in.ignore_unknown = data[0] & 4;
  text::PrintOptions out;
  out.pretty = data[0] & 8;
  out.enum_numbers = data[0] & 16;
  std::string_view text = {reinterpret_cast<const char*>(data) + 1, size - 1};
  if (data[0] & 32) {
    // As wire bytes: printing has to cope with whatever decodes, its unknown fields too.
    out.unknown = true;
    Printed p = print(type, text, out);
    must(p.status.ok() || p.status.code() != base::Code::kInternal, "printing broke");
    return 0;
  }
  Parsed first = parse(type, text, in);
  if (!first.status.ok()) {
    must(first.status.offset() >= 0 && size_t(first.status.offset()) < size, "an error without its place");
    return 0;
  }
  Printed one = print(type, first.wire, out);
  if (!one.status.ok()) {
    // What text says in little the index may say at length: its budget is the one way to fail.
    must(one.status.code() == base::Code::kResourceExhausted, one.status.message());
    return 0;
  }
  Parsed second = parse(type, one.text);
  must(second.status.ok(), second.status.message());
  Printed two = print(type, second.wire, out);
  must(two.status.ok() && two.text == one.text, "printed otherwise the second time");
  return 0;
}
