// Whatever decodes is written again in the size that was foretold; what was written reads the same, and writing that
// again changes nothing. Also in memory of the caller, a little too small, and by pieces.
#include <cstdio>
#include <cstdlib>
#include <string>

#include "encode/encoder.h"
#include "view/view.h"

namespace {

using namespace zcrpc;

void must(bool truth, const char* what) {
  if (truth) return;
  std::fprintf(stderr, "%s\n", what);
  std::abort();
}

const schema::Schema* types() {
  static const schema::Schema* s = [] {
    std::string set;
    FILE* f = std::fopen(ENCODE_TEST_SET, "rb");
    must(f != nullptr, "no descriptor set");
    char block[65536];
    for (size_t n; (n = std::fread(block, 1, sizeof block, f)) > 0;) set.append(block, n);
    std::fclose(f);
    auto read = schema::read(base::Slice(std::string_view(set)), {});
    must(read.ok() && view::bind(*read).ok(), "the schema is broken");
    return *read;
  }();
  return s;
}

std::string written(encode::Encoder* e) {
  auto b = encode::finish(e);
  must(b.ok(), b.status().message());
  std::string s((*b)->slice().text());
  (*b)->release();
  return s;
}

std::string again(encode::Encoder* e, const schema::Message* t, schema::View v) {
  encode::reset(e, t);
  encode::put_fields(e, v);
  std::string s = written(e);
  must(s.size() == encode::encoded_size(v), "another size than foretold");
  must(s.size() <= encode::encoded_bound(v), "more than the bound");
  return s;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static constexpr const char* kTypes[] = {"t.All", "t2.Two", "t.Maps", "t.Wide", "t.Repeated", "t.Unpacked", "t2.Set", "t2.WideTwo"};
  if (size == 0) return 0;
  const schema::Message* t = types()->message(kTypes[data[0] % std::size(kTypes)]);
  base::Arena a, b;
  auto v = view::decode(t, {data + 1, size - 1}, false, {}, &a);
  if (!v.ok()) return 0;
  encode::Encoder* e = encode::encoder_new(t);
  const std::string once = again(e, t, *v);
  auto w = view::decode(t, base::Slice(std::string_view(once)), false, {}, &b);
  // The same content may want a little more index than its source; nothing else may stop it.
  must(w.ok() || w.status().code() == base::Code::kResourceExhausted, "what was written does not read");
  if (w.ok()) must(again(e, t, *w) == once, "writing again changes something");
  std::string memory(once.size() + 40, '\x5A');
  encode::reset_in(e, t, reinterpret_cast<uint8_t*>(memory.data()), memory.size());
  encode::put_fields(e, *v);
  must(written(e) == once, "another result in the caller's memory");
  // Each sub-message passed through byte for byte decodes to what it was.
  for (const schema::Field& f : t->fields) {
    schema::View child = f.repeated() || !schema::is_message(f.kind) ? nullptr : schema::sub_message(*v, &f);
    if (!child) continue;
    encode::reset(e, t);
    encode::put_view(e, f.number, child);
    const std::string part = written(e);
    base::Arena c;
    auto x = view::decode(t, base::Slice(std::string_view(part)), false, {}, &c);
    must(x.ok() || x.status().code() == base::Code::kResourceExhausted, "a part that was passed through does not read");
    if (x.ok()) must(again(e, f.message, schema::sub_message(*x, &f)) == again(e, f.message, child), "a part that was passed through reads otherwise");
  }
  encode::encoder_free(e);
  return 0;
}
