// Whole files by protoc: editions 2023 and 2024, well-known types, look-ups, descriptors that lie apart.
#include "schema_test.h"
#include "support/file.h"

#include <vector>

using namespace schema_test;
using schema::Kind;
using schema::Shape;
using schema::WellKnown;

namespace {

std::string dir;

void editions_by_protoc(void**) {
  Read r(file_bytes(ZCRPC_SOURCE_DIR "/tests/protos/editions.binpb"));
  auto f = [&](uint32_t n) { return r.field("editions.Fields", n); };
  assert_true(f(1)->presence && !f(2)->presence && f(3)->required);
  assert_true(f(4)->packed && !f(5)->packed);
  assert_true(!f(6)->utf8 && f(7)->utf8);
  assert_true(f(8)->kind == Kind::kGroup && f(9)->kind == Kind::kMessage && f(8)->message == f(9)->message);
  assert_true(f(10)->is_map() && f(10)->map_key()->utf8 && f(10)->map_value()->kind == Kind::kMessage);
  assert_true(!f(11)->closed_enum && f(12)->closed_enum && f(12)->default_bits == 5);
  assert_true(f(13)->default_bits == 0xFFFFFFF9u && f(14)->default_bytes.text() == std::string_view("\x01\xFF", 2));
  assert_true(f(15)->presence && f(15)->oneof == f(16)->oneof && f(16)->kind == Kind::kGroup);
  const schema::Field* x = r->extension("editions.delimited_extension");
  assert_true(x && x->kind == Kind::kGroup && x->shape == Shape::kRepeated && x == r->message("editions.Fields")->extension(100));
  auto n = [&](uint32_t k) { return r.field("editions.Newer", k); };
  assert_true(!n(1)->presence && n(2)->presence && n(3)->kind == Kind::kGroup && n(3)->presence && !n(4)->packed);
  assert_true(n(5)->is_map() && n(5)->map_value()->kind == Kind::kMessage && n(6)->presence && n(7)->kind == Kind::kMessage);
}

void well_known_types_are_told_by_name_and_form(void**) {
  Read r(file_bytes(dir + "/schema_full.binpb"));
  auto known = [&](uint32_t n) { return r.field("schema.three.All", n)->message->well_known; };
  assert_true(known(40) == WellKnown::kAny && known(41) == WellKnown::kDuration && known(42) == WellKnown::kEmpty && known(43) == WellKnown::kFieldMask);
  assert_true(known(44) == WellKnown::kStruct && known(45) == WellKnown::kValue && known(46) == WellKnown::kListValue && known(47) == WellKnown::kTimestamp);
  assert_true(known(48) == WellKnown::kStringValue && known(49) == WellKnown::kInt64Value && known(11) == WellKnown::kNone);
  assert_true(r->enumeration("google.protobuf.NullValue")->well_known == WellKnown::kNullValue);
  assert_true(r->message("google.protobuf.DoubleValue")->well_known == WellKnown::kDoubleValue);

  // A stranger under the same name is an ordinary message, which nothing reads as a Timestamp.
  Read stranger(set_of({file("a.proto", "proto3", "google.protobuf").sub(4, message("Timestamp").sub(2, field("seconds", 1, kTypeString)))
                            .sub(4, message("Struct").sub(2, field("x", 1, kTypeInt32))).sub(4, message("Empty").sub(2, field("x", 1, kTypeInt32)))}));
  for (const schema::Message* m : stranger->messages) assert_true(m->well_known == WellKnown::kNone);
}

void missing_well_known_files_are_supplied(void**) {
  Read bare(file_bytes(dir + "/schema_bare.binpb")), full(file_bytes(dir + "/schema_full.binpb"));
  assert_int_equal(bare->files.size(), full->files.size());
  assert_int_equal(bare->messages.size(), full->messages.size());
  for (const schema::Message* m : full->messages) {
    const schema::Message* same = bare->message(m->name);
    assert_non_null(same);
    assert_true(same->fingerprint == m->fingerprint);
  }
  assert_non_null(bare->file("google/protobuf/descriptor.proto"));
}

void every_name_finds_its_object(void**) {
  Read r(file_bytes(dir + "/schema_full.binpb"));
  for (size_t i = 0; i < r->messages.size(); i++) {
    const schema::Message* m = r->messages[i];
    assert_int_equal(m->type_no, i);
    assert_true(r->message(m->name) == m && m->name.data()[m->name.size()] == '\0' && m->schema == r.operator->());
    for (const schema::Field& f : m->fields) {
      assert_true(m->by_number(f.number) == &f && m->by_number_slow(f.number) == &f && m->by_proto_name(f.name) == &f);
      assert_true(m->by_name(f.name) == &f && m->by_name(f.json_name) == &f && f.parent == m && &m->fields[f.index] == &f);
      assert_null(m->by_number(f.number == 536870911 ? 536870910 : 536870911));
    }
    assert_null(m->by_name("no such name"));
    assert_null(m->by_number(0));
    assert_true(m->dense.size() <= 4 * m->fields.size() + 32);
  }
  for (const schema::Enum* e : r->enums) {
    assert_true(r->enumeration(e->name) == e);
    for (const schema::EnumValue& v : e->values) {
      assert_true(e->by_name(v.name) == &v);
      assert_int_equal(e->by_number(v.number)->number, v.number);
    }
  }
  for (const schema::Field* x : r->all_extensions) assert_true(r->extension(x->full_name) == x && x->parent->extension(x->number) == x);
  for (const schema::File& f : r->files) assert_true(r->file(f.name) == &f);
  assert_null(r->message("schema.two"));
  assert_null(r->message(".schema.two.All"));
  assert_null(r->enumeration("schema.two.All"));
  const schema::Enum* color = r->enumeration("schema.two.Color");
  assert_true(color->by_number(3)->name == "RED" && color->by_name("ALSO_RED")->number == 3);
  assert_true(color->has(-1) && color->has(INT32_MAX) && !color->has(2) && !color->has(INT32_MIN));
  const schema::Message* all = r->message("schema.two.All");
  assert_true(all->by_name("renamedAway")->number == 28 && all->by_name("renamed_field")->number == 28 && !all->by_proto_name("renamedAway"));
  assert_true(all->in_extension_range(100) && all->in_extension_range(199) && !all->in_extension_range(200) && !all->in_extension_range(99));
  assert_true(all->in_extension_range(536870911) && !all->in_extension_range(536870912));
}

void files_list_what_they_declare(void**) {
  Read r(file_bytes(dir + "/schema_full.binpb"));
  const schema::File* two = r->file("schema_two.proto");
  std::vector<std::string> names;
  for (const schema::Message* m : two->messages) names.emplace_back(m->name);
  const std::vector<std::string> want = {"schema.two.All", "schema.two.All.Gr", "schema.two.All.Gr.Deep", "schema.two.All.ColorsEntry", "schema.two.All.ChildrenEntry",
                                         "schema.two.All.Other", "schema.two.Set", "schema.two.Item", "schema.two.Noted"};
  assert_true(names == want);
  assert_int_equal(two->enums.size(), 2);
  assert_true(two->enums[0]->name == "schema.two.Color" && two->enums[1]->name == "schema.two.All.Inner");
  const schema::File* three = r->file("schema_three.proto");
  assert_int_equal(three->services.size(), 1);
  assert_true(three->services[0]->name == "schema.three.Echo" && three->services[0]->methods.size() == 4);
  assert_true(two->package == "schema.two");
}

void files_that_lie_apart_come_in_any_order(void**) {
  std::vector<std::string> bytes = {file("b.proto", "proto3").str(3, "a.proto").sub(4, message("B").sub(2, field_of("a", 1, kTypeMessage, ".p.A"))).bytes,
                                    file("a.proto", "proto3").sub(4, message("A")).bytes};
  std::vector<base::Slice> files;
  for (const auto& b : bytes) files.emplace_back(b.data(), b.size());
  auto r = schema::read_files(files, {});
  assert_true(r.ok());
  assert_true((*r)->messages[0]->name == "p.B");  // types are numbered in the order of the files
  assert_true((*r)->file("a.proto")->bytes.text() == bytes[1]);
  assert_true((*r)->file("a.proto")->bytes.data != files[1].data);  // copied
  (*r)->release();
}

void an_empty_set_is_an_empty_schema(void**) {
  Read r("");
  assert_true(r->messages.empty() && r->files.empty());
  assert_null(r->message("x"));
  assert_null(r->method("x"));
}

}  // namespace

int main(int argc, char** argv) {
  if (argc > 1) dir = argv[1];
  const CMUnitTest tests[] = {
      cmocka_unit_test(editions_by_protoc),
      cmocka_unit_test(well_known_types_are_told_by_name_and_form),
      cmocka_unit_test(missing_well_known_files_are_supplied),
      cmocka_unit_test(every_name_finds_its_object),
      cmocka_unit_test(files_list_what_they_declare),
      cmocka_unit_test(files_that_lie_apart_come_in_any_order),
      cmocka_unit_test(an_empty_set_is_an_empty_schema),
  };
  return cmocka_run_group_tests_name("schema files", tests, nullptr, nullptr);
}
