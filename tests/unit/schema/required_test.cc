// Required fields against libprotobuf, which knows them too, over random messages; and the paths that are named.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wconversion"
#pragma GCC diagnostic ignored "-Wshadow"
#pragma GCC diagnostic ignored "-Wunused-parameter"
#include <google/protobuf/descriptor.h>
#include <google/protobuf/descriptor.pb.h>
#include <google/protobuf/dynamic_message.h>
#pragma GCC diagnostic pop

#include "schema_test.h"
#include "support/fail_malloc.h"
#include "support/file.h"

#include <cstring>
#include <memory>
#include <random>
#include <vector>

#include "schema/required.h"
#include "schema/walk.h"
#include "view/view.h"

namespace pb = google::protobuf;
using namespace schema_test;

namespace {

std::string dir;

struct Schemas {
  Schemas() : bytes(file_bytes(dir + "/required.binpb")) {
    auto r = schema::read({bytes.data(), bytes.size()}, {});
    assert_true(r.ok());
    s = *r;
    assert_true(view::bind(s).ok());
    pb::FileDescriptorSet set;
    assert_true(set.ParseFromString(bytes));
    for (const auto& f : set.file()) assert_non_null(pool.BuildFile(f));
  }
  ~Schemas() { s->release(); }
  schema::View decode(const char* type, const std::string& b, base::Arena* a) {
    auto v = view::decode(s->message(type), {b.data(), b.size()}, false, {.max_depth = 1000}, a);
    if (!v.ok()) fail_msg("not decoded: %s", v.status().message());
    return *v;
  }
  std::string bytes;
  schema::Schema* s;
  pb::DescriptorPool pool;
};

struct Checked {
  Checked(Schemas& all, const char* type, const std::string& b) : v(all.decode(type, b, &arena)), status(schema::check_required(v)) {}
  base::Arena arena;
  schema::View v;
  base::Status status;
};

void lacks(Schemas& all, const char* type, const Pb& p, const char* path) {
  Checked c(all, type, p.bytes);
  if (c.status.ok()) fail_msg("nothing missing, but should be %s", path);
  assert_int_equal(int(c.status.code()), int(base::Code::kInvalidArgument));
  assert_string_equal(c.status.path(), path);
}
void whole(Schemas& all, const char* type, const Pb& p) {
  Checked c(all, type, p.bytes);
  if (!c.status.ok()) fail_msg("missing: %s", c.status.path());
}

const char* const kTree = "required.Tree";
Pb leaf() { return Pb().str(2, "x"); }
Pb entry(const Pb& key, const Pb& value) {
  Pb e = key;
  return e.sub(2, value);
}

void the_path_names_what_is_missing(void**) {
  Schemas all;
  assert_true(schema::check_required(nullptr).ok());
  lacks(all, "required.Leaf", Pb(), "source");
  assert_string_equal(Checked(all, "required.Leaf", "").status.message(), "required field required.Leaf.source is not set");
  whole(all, "required.Leaf", leaf());
  whole(all, "required.Leaf", Pb().str(2, ""));
  whole(all, kTree, Pb());
  lacks(all, kTree, Pb().sub(1, Pb()), "leaf.source");
  lacks(all, kTree, Pb().sub(2, leaf()).sub(2, leaf()).sub(2, leaf()).sub(2, Pb()).sub(2, Pb()), "leaves[3].source");
  lacks(all, kTree, Pb().sub(3, entry(Pb().str(1, "a"), leaf())).sub(3, entry(Pb().str(1, "b\"\\c"), Pb())), "names[\"b\\\"\\\\c\"].source");
  lacks(all, kTree, Pb().sub(3, Pb().str(1, std::string(63, 'k') + "\xC3\xA4z")), ("names[\"" + std::string(63, 'k') + "...\"].source").c_str());
  lacks(all, kTree, Pb().sub(3, Pb()), "names[\"\"].source");
  lacks(all, kTree, Pb().sub(4, Pb().num(1, -7)), "numbers[-7].source");
  lacks(all, kTree, Pb().sub(5, entry(Pb().num(1, 1), Pb().sub(10, Pb()).sub(10, Pb().sub(1, Pb())))), "trees[true].children[1].leaf.source");
  whole(all, kTree, Pb().sub(6, Pb().num(1, 1)));
  whole(all, kTree, Pb().sub(12, Pb().sub(2, Pb())));
  Pb group;
  group.varint(7 << 3 | 3);
  group.varint(7 << 3 | 4);
  lacks(all, kTree, group, "part.amount");
  lacks(all, kTree, Pb().sub(8, Pb()), "chosen.source");
  whole(all, kTree, Pb().sub(8, Pb()).num(9, 1));  // replaced by another member
  lacks(all, kTree, Pb().sub(11, Pb()), "wide.id");
  lacks(all, kTree, Pb().sub(11, Pb().num(26, 0).sub(28, Pb().num(26, 1)).sub(28, Pb().num(1, 26))), "wide.wides[1].id");
  lacks(all, kTree, Pb().sub(11, Pb().num(26, 0).sub(150, Pb().sub(1001, leaf()).sub(1001, Pb()))), "wide.[required.grown].[required.extras][1].source");
  lacks(all, kTree, Pb().num(1002, 1).sub(1000, Pb()), "[required.extra].source");
  // A message in two pieces is looked at as a whole.
  whole(all, kTree, Pb().sub(1, Pb().num(1, 1)).sub(1, leaf()));
  lacks(all, "required.Holder", Pb().sub(1, Pb().sub(77, Pb())), "set.[required.Item.item].value");
}

void deep_messages_are_walked_without_the_c_stack(void**) {
  Schemas all;
  Pb p = Pb().sub(1, Pb());
  std::string path = "leaf.source";
  for (int i = 0; i < 200; i++) {
    p = Pb().sub(10, p);
    path.insert(0, "children[0].");
  }
  lacks(all, kTree, p, path.c_str());
  for (long n = 1;; n++) {
    base::Arena arena;
    schema::View v = all.decode(kTree, p.bytes, &arena);
    long before = fail_malloc_live();
    int failed;
    {
      fail_malloc_at(n);
      base::Status s = schema::check_required(v);
      failed = fail_malloc_stop();
      assert_false(s.ok());
      if (!failed) assert_string_equal(s.path(), path.c_str());
      // Either memory was missing for the check, or only for its report.
      if (failed && s.code() != base::Code::kResourceExhausted) assert_int_equal(int(s.code()), int(base::Code::kInvalidArgument));
    }
    assert_int_equal(fail_malloc_live(), before);
    if (!failed) break;
  }
}

// What waits cannot be told to be whole; what was opened can.
void lazy_children_are_opened_first(void**) {
  Schemas all;
  Pb p = Pb().sub(1, leaf()).sub(2, leaf()).sub(2, Pb()).sub(3, entry(Pb().str(1, "a"), leaf())).sub(3, Pb().str(1, "b"));
  base::Arena arena;
  view::Limits lazy;
  lazy.lazy = true;
  auto v = view::decode(all.s->message(kTree), {p.bytes.data(), p.bytes.size()}, false, lazy, &arena);
  assert_true(v.ok());
  auto stands_at = [&](base::Code code, const char* path) {
    base::Status s = schema::check_required(*v);
    assert_int_equal(int(s.code()), int(code));
    assert_string_equal(s.path(), path);
  };
  auto open = [&](uint32_t number, size_t i) { assert_true(view::open(*v, all.s->message(kTree)->by_number(number), i, &arena).ok()); };
  stands_at(base::Code::kFailedPrecondition, "leaf");
  open(1, 0);
  stands_at(base::Code::kFailedPrecondition, "leaves[0]");
  open(2, 0);
  stands_at(base::Code::kFailedPrecondition, "leaves[1]");
  open(2, 1);
  stands_at(base::Code::kInvalidArgument, "leaves[1].source");
}

// A random message: known fields at random, each with a fair chance of lacking what is required.
void random_message(pb::Message* m, std::mt19937& rng, int depth) {
  const pb::Reflection* r = m->GetReflection();
  std::vector<const pb::FieldDescriptor*> fields;
  const pb::Descriptor* d = m->GetDescriptor();
  for (int i = 0; i < d->field_count(); i++) fields.push_back(d->field(i));
  d->file()->pool()->FindAllExtensions(d, &fields);
  for (const pb::FieldDescriptor* f : fields) {
    bool message = f->cpp_type() == pb::FieldDescriptor::CPPTYPE_MESSAGE;
    // An entry without its value is whole to libprotobuf's reflection, and an empty message to all others.
    bool map_value = d->options().map_entry() && f->number() == 2;
    if (map_value && message) {
      random_message(r->MutableMessage(m, f), rng, depth ? depth - 1 : 0);
      continue;
    }
    if (rng() % (f->is_required() ? 20u : message ? 5u : 4u) == 0 ? f->is_required() : !f->is_required()) continue;
    if (message && depth == 0) continue;
    // One entry a map: of two with one key, libprotobuf's reflection would look at both.
    for (auto n = f->is_repeated() && !f->is_map() ? 1 + rng() % 3 : 1; n; n--) {
      if (message) {
        random_message(f->is_repeated() ? r->AddMessage(m, f) : r->MutableMessage(m, f), rng, depth - 1);
        continue;
      }
      int32_t number = int32_t(rng() % 3);
      std::string text(rng() % 3, 'a');
      bool add = f->is_repeated();
      switch (f->cpp_type()) {
        case pb::FieldDescriptor::CPPTYPE_INT32: add ? r->AddInt32(m, f, number) : r->SetInt32(m, f, number); break;
        case pb::FieldDescriptor::CPPTYPE_INT64: add ? r->AddInt64(m, f, number) : r->SetInt64(m, f, number); break;
        case pb::FieldDescriptor::CPPTYPE_UINT32: add ? r->AddUInt32(m, f, uint32_t(number)) : r->SetUInt32(m, f, uint32_t(number)); break;
        case pb::FieldDescriptor::CPPTYPE_UINT64: add ? r->AddUInt64(m, f, uint64_t(number)) : r->SetUInt64(m, f, uint64_t(number)); break;
        case pb::FieldDescriptor::CPPTYPE_BOOL: r->SetBool(m, f, number == 1); break;
        case pb::FieldDescriptor::CPPTYPE_STRING: add ? r->AddString(m, f, text) : r->SetString(m, f, text); break;
        default: fail_msg("a kind that the test does not know");
      }
    }
  }
}

// libprotobuf's names of what is missing, in our spelling; maps, whose order it does not keep, as "map[]".
std::string ours_of(const std::string& path) {
  std::string out;
  for (size_t i = 0; i < path.size(); i++) {
    char c = path[i];
    out += c == '(' ? '[' : c == ')' ? ']' : c;
  }
  return out;
}
std::string blurred(const std::string& path) {
  static const char* const kMaps[] = {"names[", "numbers[", "trees["};
  std::string out = path;
  for (const char* map : kMaps)
    for (size_t at = 0; (at = out.find(map, at)) != out.npos; at += strlen(map)) {
      if (!strcmp(map, "trees[") && at >= 5 && out.compare(at - 5, 5, "part.") == 0) continue;
      size_t end = out.find(']', at);
      out.erase(at + strlen(map), end - at - strlen(map));
      if (out.compare(at + strlen(map) + 1, 6, ".value") == 0) out.erase(at + strlen(map) + 1, 6);
    }
  return out;
}

void random_messages_lack_what_libprotobuf_says(void**) {
  Schemas all;
  pb::DynamicMessageFactory factory(&all.pool);
  std::mt19937 rng(20261121);
  size_t lacking = 0, complete = 0;
  for (int round = 0; round < 6000; round++) {
    const char* type = round % 3 == 0 ? "required.Wide" : kTree;
    std::unique_ptr<pb::Message> m(factory.GetPrototype(all.pool.FindMessageTypeByName(type))->New());
    random_message(m.get(), rng, round % 5);
    std::vector<std::string> missing;
    m->FindInitializationErrors(&missing);
    std::string bytes;
    assert_true(m->SerializePartialToString(&bytes));
    Checked c(all, type, bytes);
    if (missing.empty()) {
      complete++;
      if (!c.status.ok()) fail_msg("round %d: libprotobuf misses nothing, we %s", round, c.status.path());
      continue;
    }
    lacking++;
    if (c.status.ok()) fail_msg("round %d: libprotobuf misses %s, we nothing", round, missing[0].c_str());
    bool found = false;
    for (const std::string& s : missing) found = found || blurred(ours_of(s)) == blurred(c.status.path());
    if (!found) fail_msg("round %d: %s is not among what libprotobuf misses, which begins with %s", round, c.status.path(), missing[0].c_str());
  }
  if (lacking < 300 || complete < 300) fail_msg("%zu lack something, %zu do not", lacking, complete);
}

void a_walk_meets_each_set_field_once_in_order(void**) {
  Schemas all;
  pb::DynamicMessageFactory factory(&all.pool);
  std::mt19937 rng(7);
  for (int round = 0; round < 2000; round++) {
    const char* type = round % 2 ? "required.Wide" : kTree;
    std::unique_ptr<pb::Message> m(factory.GetPrototype(all.pool.FindMessageTypeByName(type))->New());
    random_message(m.get(), rng, round % 3);
    std::string bytes;
    assert_true(m->SerializePartialToString(&bytes));
    Checked c(all, type, bytes);
    std::vector<const pb::FieldDescriptor*> set;
    m->GetReflection()->ListFields(*m, &set);
    uint32_t at = 0;
    for (const pb::FieldDescriptor* f : set) {
      const schema::Field* x = schema::next_set(c.v, at);
      assert_non_null(x);
      assert_string_equal(x->full_name.data(), f->full_name().c_str());
      at = x->number;
    }
    assert_null(schema::next_set(c.v, at));
    assert_null(schema::next_set(c.v, UINT32_MAX));
  }
  assert_null(schema::next_set(nullptr, 0));
}

}  // namespace

int main(int argc, char** argv) {
  dir = argc > 1 ? argv[1] : ".";
  const CMUnitTest tests[] = {
      cmocka_unit_test(the_path_names_what_is_missing),
      cmocka_unit_test(deep_messages_are_walked_without_the_c_stack),
      cmocka_unit_test(lazy_children_are_opened_first),
      cmocka_unit_test(random_messages_lack_what_libprotobuf_says),
      cmocka_unit_test(a_walk_meets_each_set_field_once_in_order),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
