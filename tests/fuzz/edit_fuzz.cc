// Random edits of whatever decodes: an edit never breaks a message, its size is foretold, what it gives reads the same when
// it is read back, and what no edit named is still there. The edits come from the input, too.
#include <cstdio>
#include <cstdlib>
#include <string>

#include "encode/encoder.h"
#include "schema/compare.h"
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

// The script of edits: bytes, then zeros.
struct Script {
  const uint8_t *p, *end;
  uint8_t byte() { return p < end ? *p++ : 0; }
  base::Slice text() {
    size_t n = byte() % 8, left = size_t(end - p);
    base::Slice s(p, n < left ? n : left);
    p += s.size;
    return s;
  }
  bool more() const { return p < end; }
};

void edit(encode::Encoder* e, Script* s, schema::View other, int depth) {
  while (s->more()) {
    const schema::Message* t = encode::type_of(e);
    uint8_t op = s->byte();
    if (op % 16 == 15 || t->fields.empty()) return;
    const schema::Field* f = &t->fields[s->byte() % t->fields.size()];
    size_t i = s->byte() % 4;
    switch (op % 16) {
      case 0: encode::put_int64(e, f->number, int8_t(s->byte())); break;
      case 1: encode::put_uint64(e, f->number, s->byte()); break;
      case 2: encode::put_double(e, f->number, s->byte()); break;
      case 3: encode::put_string(e, f->number, s->text()); break;
      case 4: encode::clear(e, f->number); break;
      case 5: encode::remove_at(e, f->number, i); break;
      case 6: encode::put_int64_at(e, f->number, i, int8_t(s->byte())); break;
      case 7: encode::put_string_at(e, f->number, i, s->text()); break;
      case 8: encode::remove_key(e, f->number, s->text()); break;
      case 9: encode::remove_key_int(e, f->number, int8_t(s->byte())); break;
      case 10: {
        if (!other || schema::type_of(other) != t) break;
        if (i < 2) {
          encode::merge(e, other);
          break;
        }
        base::Arena masks;
        auto m = schema::mask_compile(t, f->name, schema::kMaskStrict, &masks);
        must(m.ok(), "a field's name is no mask");
        if (i == 2) encode::merge_masked(e, other, *m, s->byte() % 4);
        else encode::trim_to(e, *m);
        break;
      }
      case 11: encode::clear(e, s->byte() * 7u + 1); break;  // perhaps unknown
      default:
        if (depth == 0) break;
        if (op % 16 == 12) encode::begin(e, f->number);
        else if (op % 16 == 13) encode::begin_at(e, f->number, i);
        else if (f->is_map() && schema::is_string(f->map_key()->kind)) encode::begin_key(e, f->number, s->text());
        else encode::begin_key_int(e, f->number, int8_t(s->byte()));
        if (encode::failed(e)) return;
        edit(e, s, other, depth - 1);
        if (encode::failed(e)) return;
        encode::end(e);
    }
    if (encode::failed(e)) return;
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static constexpr const char* kTypes[] = {"t.All", "t2.Two", "t.Maps", "t.Wide", "t.Repeated", "t.Unpacked", "t2.Set", "t2.WideTwo"};
  if (size < 2) return 0;
  const schema::Message* t = types()->message(kTypes[data[0] % std::size(kTypes)]);
  size_t script = data[1] < size - 2 ? data[1] : size - 2;
  base::Slice in(data + 2 + script, size - 2 - script);
  base::Arena a, b, c;
  auto v = view::decode(t, in, false, {}, &a);
  if (!v.ok()) return 0;
  encode::Encoder* e = encode::encoder_new(nullptr);
  must(e != nullptr, "no memory");
  // Nothing touched, but looked at: the same bytes.
  encode::edit(e, *v);
  encode::clear(e, 536870000);
  auto same = encode::finish(e);
  must(same.ok(), "an edit that touches nothing failed");
  must((*same)->slice().text() == in.text(), "an edit that touches nothing changed something");
  (*same)->release();
  encode::edit(e, *v);
  Script s{data + 2, data + 2 + script};
  edit(e, &s, *v, 4);
  if (!encode::failed(e)) {
    auto snapshot = encode::snapshot(e);
    must(snapshot.ok(), "no snapshot");
    size_t foretold = encode::size(e);
    auto out = encode::finish(e);
    must(out.ok(), out.status().message());
    must((*out)->size() == foretold, "another size than foretold");
    must((*out)->slice().text() == (*snapshot)->slice().text(), "read back another message");
    auto w = view::decode(t, (*out)->slice(), true, {}, &b);
    must(w.ok(), "an edit made a message that cannot be read");
    must(schema::equal(*w, *w) == schema::Equal::kYes, "not equal to itself");
    // Written in order it is an equal message, and hashes alike.
    encode::reset(e, t);
    encode::put_deterministic(e, *w);
    auto sorted = encode::finish(e);
    must(sorted.ok(), "not written again");
    auto x = view::decode(t, (*sorted)->slice(), true, {}, &c);
    must(x.ok() && schema::equal(*w, *x) == schema::Equal::kYes, "sorted, it is another message");
    must(schema::hash(*w, 1) == schema::hash(*x, 1), "equal messages, two hashes");
    (*sorted)->release();
    (*out)->release();
    (*snapshot)->release();
  }
  encode::encoder_free(e);
  return 0;
}
