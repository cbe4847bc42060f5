// What labels, options and features come to mean for a field.
#include "schema_test.h"

#include <cmath>
#include <cstring>

using namespace schema_test;
using schema::Kind;
using schema::Shape;

namespace {

Pb feature_options(std::initializer_list<std::pair<uint32_t, int>> f) { return Pb().sub(21, features(f)); }
Pb group_type() { return message("G").sub(2, field("x", 1, kTypeInt32)); }

void proto2_fields(void**) {
  Read r(with_message(message("M")
                          .sub(2, field("o", 1, kTypeInt32))
                          .sub(2, field("q", 2, kTypeInt32, kRequired))
                          .sub(2, field("r", 3, kTypeInt32, kRepeated))
                          .sub(2, field("p", 4, kTypeInt32, kRepeated).sub(8, Pb().num(2, 1)))
                          .sub(2, field("s", 5, kTypeString))
                          .sub(2, field_of("g", 6, kTypeGroup, ".p.M.G"))
                          .sub(2, field_of("m", 7, kTypeMessage, ".p.M"))
                          .sub(2, field("b", 8, kTypeBytes).sub(8, Pb().num(16, 1)))
                          .sub(3, group_type())));
  const schema::Field* f = r.field("p.M", 1);
  assert_true(f->presence && !f->required && !f->packed && f->shape == Shape::kSingular && !f->oneof);
  f = r.field("p.M", 2);
  assert_true(f->presence && f->required);
  f = r.field("p.M", 3);
  assert_true(!f->presence && !f->packed && f->shape == Shape::kRepeated && f->tag() == 3 << 3);
  f = r.field("p.M", 4);
  assert_true(f->packed && f->tag() == (4 << 3 | 2));
  assert_false(r.field("p.M", 5)->utf8);
  f = r.field("p.M", 6);
  assert_true(f->kind == Kind::kGroup && f->presence && f->tag() == (6 << 3 | 3));
  assert_true(f->message == r->message("p.M.G"));
  f = r.field("p.M", 7);
  assert_true(f->kind == Kind::kMessage && f->presence && f->message == f->parent);
  assert_true(r.field("p.M", 8)->debug_redact && !r.field("p.M", 7)->debug_redact);
}

void proto3_fields(void**) {
  Read r(with_message(message("M")
                          .sub(2, field("o", 1, kTypeInt32))
                          .sub(2, field("p", 2, kTypeInt32).num(9, 1).num(17, 1))
                          .sub(2, field("r", 3, kTypeSint64, kRepeated))
                          .sub(2, field("u", 4, kTypeInt32, kRepeated).sub(8, Pb().num(2, 0)))
                          .sub(2, field("s", 5, kTypeString, kRepeated))
                          .sub(2, field("x", 6, kTypeInt32).num(9, 0))
                          .sub(2, field("y", 7, kTypeString).num(9, 0))
                          .sub(2, field("z", 8, kTypeString))
                          .sub(8, Pb().str(1, "choice"))
                          .sub(8, Pb().str(1, "_p")),
                      "proto3"));
  assert_false(r.field("p.M", 1)->presence);
  const schema::Field* f = r.field("p.M", 2);
  assert_true(f->presence && !f->oneof);  // its oneof is synthetic
  assert_true(r.field("p.M", 3)->packed);
  assert_false(r.field("p.M", 4)->packed);
  assert_true(r.field("p.M", 5)->utf8 && !r.field("p.M", 5)->packed);
  const schema::Message* m = r->message("p.M");
  assert_int_equal(m->oneofs.size(), 1);
  assert_true(m->oneofs[0].name == "choice" && m->oneofs[0].fields.size() == 2);
  for (uint32_t n : {6u, 7u}) assert_true(r.field("p.M", n)->oneof == &m->oneofs[0] && r.field("p.M", n)->presence);
  assert_false(r.field("p.M", 8)->presence);
}

void edition_fields(void**) {
  for (const char* edition : {"2023", "2024"}) {
    Read r(with_message(message("M")
                            .sub(2, field("o", 1, kTypeInt32))
                            .sub(2, field("i", 2, kTypeInt32).sub(8, feature_options({{1, 2}})))
                            .sub(2, field("q", 3, kTypeInt32).sub(8, feature_options({{1, 3}})))
                            .sub(2, field("r", 4, kTypeInt32, kRepeated))
                            .sub(2, field("e", 5, kTypeInt32, kRepeated).sub(8, feature_options({{3, 2}})))
                            .sub(2, field("s", 6, kTypeString))
                            .sub(2, field("n", 7, kTypeString).sub(8, feature_options({{4, 3}})))
                            .sub(2, field_of("d", 8, kTypeMessage, ".p.M").sub(8, feature_options({{5, 2}})))
                            .sub(2, field_of("m", 9, kTypeMessage, ".p.M").sub(8, feature_options({{1, 2}})))
                            .sub(2, field_of("dr", 10, kTypeMessage, ".p.M", kRepeated).sub(8, feature_options({{5, 2}}))),
                        edition));
    assert_true(r.field("p.M", 1)->presence && !r.field("p.M", 1)->required);
    assert_false(r.field("p.M", 2)->presence);
    assert_true(r.field("p.M", 3)->required && r.field("p.M", 3)->presence);
    assert_true(r.field("p.M", 4)->packed);
    assert_false(r.field("p.M", 5)->packed);
    assert_true(r.field("p.M", 6)->utf8);
    assert_false(r.field("p.M", 7)->utf8);
    assert_true(r.field("p.M", 8)->kind == Kind::kGroup);
    assert_true(r.field("p.M", 9)->kind == Kind::kMessage && r.field("p.M", 9)->presence);  // messages always have presence
    assert_true(r.field("p.M", 10)->kind == Kind::kGroup && r.field("p.M", 10)->shape == Shape::kRepeated);
  }
}

// File over edition, message over file, oneof over message, field over oneof; an extension from where it stands.
void features_are_inherited_by_lexical_scope(void**) {
  Pb utf8_none = features({{4, 3}}), verify = features({{4, 2}});
  Pb m = message("M")
             .sub(2, field("a", 1, kTypeString))
             .sub(2, field("b", 2, kTypeString).num(9, 0))
             .sub(2, field("c", 3, kTypeString).num(9, 0).sub(8, Pb().sub(21, utf8_none)))
             .sub(8, Pb().str(1, "o").sub(2, Pb().sub(1, verify)))
             .sub(3, message("N").sub(2, field("d", 1, kTypeString)).sub(7, Pb().sub(12, verify)).sub(3, message("L").sub(2, field("e", 1, kTypeString))))
             .sub(5, Pb().num(1, 100).num(2, 200))
             .sub(7, Pb().sub(12, utf8_none));
  Pb scope = message("Scope").sub(6, field("x", 100, kTypeString).str(2, "M")).sub(7, Pb().sub(12, verify));
  Read r(set_of({file("a.proto", "2023").sub(8, Pb().sub(50, features({{4, 3}, {1, 2}}))).sub(4, m).sub(4, scope).sub(7, field("y", 101, kTypeString).str(2, "M"))}));
  assert_false(r.field("p.M", 1)->utf8);
  assert_false(r.field("p.M", 1)->presence);  // the file says implicit
  assert_true(r.field("p.M", 2)->utf8);       // from its oneof
  assert_true(r.field("p.M", 2)->presence);
  assert_false(r.field("p.M", 3)->utf8);
  assert_true(r.field("p.M.N", 1)->utf8);
  assert_true(r.field("p.M.N.L", 1)->utf8);
  assert_true(r->extension("p.Scope.x")->utf8);
  assert_false(r->extension("p.y")->utf8);
  assert_true(r->extension("p.y")->presence);  // extensions have it whatever the file says
}

void enums_take_closedness_from_their_own_scope(void**) {
  Pb open = enumeration("Open", {value("A", 0)}), closed = enumeration("Closed", {value("B", 1)}).sub(3, Pb().sub(7, features({{2, 2}})));
  Pb outer = message("Outer").sub(4, enumeration("Inner", {value("C", 0)})).sub(7, Pb().sub(12, features({{2, 2}})));
  Read r(set_of({file("e.proto").sub(5, enumeration("Two", {value("T", 5)})),
                 file("a.proto", "2023").sub(5, open).sub(5, closed).sub(4, outer).sub(4,
                     message("M").sub(2, field_of("a", 1, kTypeEnum, "Open")).sub(2, field_of("b", 2, kTypeEnum, "Closed"))
                                 .sub(2, field_of("c", 3, kTypeEnum, "Outer.Inner")).sub(2, field_of("d", 4, kTypeEnum, "Two")))}));
  assert_false(r->enumeration("p.Open")->closed);
  assert_true(r->enumeration("p.Closed")->closed);
  assert_true(r->enumeration("p.Outer.Inner")->closed);
  assert_true(r->enumeration("p.Two")->closed);
  for (uint32_t n = 1; n <= 4; n++) assert_true(r.field("p.M", n)->closed_enum == (n != 1));
  assert_int_equal(r.field("p.M", 2)->default_bits, 1);  // the first value
  assert_int_equal(r.field("p.M", 4)->default_bits, 5);
}

void maps_are_never_delimited(void**) {
  Pb entry = message("MEntry").sub(2, field("key", 1, kTypeString)).sub(2, field_of("value", 2, kTypeMessage, ".p.M")).sub(7, Pb().num(7, 1));
  Pb m = message("M").sub(2, field_of("m", 1, kTypeMessage, ".p.M.MEntry", kRepeated)).sub(2, field_of("n", 2, kTypeMessage, ".p.M")).sub(3, entry);
  Read r(set_of({file("a.proto", "2023").sub(8, Pb().sub(50, features({{5, 2}}))).sub(4, m)}));
  const schema::Field* f = r.field("p.M", 1);
  assert_true(f->shape == Shape::kMap && f->kind == Kind::kMessage && f->is_map());
  assert_true(f->map_key()->kind == Kind::kString && f->map_value()->kind == Kind::kMessage);
  assert_true(r.field("p.M", 2)->kind == Kind::kGroup);
}

void type_of_a_field_may_be_left_to_its_name(void**) {
  Read r(set_of({file("a.proto").sub(5, enumeration("E", {value("A", 0)}))
                     .sub(4, message("M").sub(2, Pb().str(1, "e").num(3, 1).str(6, "E")).sub(2, Pb().str(1, "m").num(3, 2).str(6, "M")))}));
  assert_true(r.field("p.M", 1)->kind == Kind::kEnum);
  assert_true(r.field("p.M", 2)->kind == Kind::kMessage);
}

// C++'s rules: innermost scope first; the first part of a compound name decides.
void relative_names(void**) {
  Pb inner = message("A").sub(3, message("B").sub(2, field_of("x", 1, kTypeMessage, "C")).sub(2, field_of("y", 2, kTypeMessage, "A.C"))
                                     .sub(2, field_of("z", 3, kTypeMessage, "p.A.C")).sub(2, field_of("B", 4, kTypeMessage, "B")))
                 .sub(3, message("C"));
  Read r(set_of({file("a.proto").sub(4, inner).sub(4, message("C"))}));
  assert_true(r.field("p.A.B", 1)->message->name == "p.A.C");
  assert_true(r.field("p.A.B", 2)->message->name == "p.A.C");
  assert_true(r.field("p.A.B", 3)->message->name == "p.A.C");
  assert_true(r.field("p.A.B", 4)->message->name == "p.A.B");  // a field of that name is no type
  // p.A hides the package A: its first part is found, so the search ends there.
  refused(set_of({file("b.proto", "proto2", "A").sub(4, message("D")), file("a.proto").sub(4, message("A")).sub(4, message("M").sub(2, field_of("x", 1, kTypeMessage, "A.D")))}),
          "a.proto: p.M.x: type \"A.D\" is not defined");
}

void default_values(void**) {
  struct Case {
    int type;
    const char* text;
    uint64_t bits;
  };
  auto bits = [](double d) { uint64_t u; memcpy(&u, &d, 8); return u; };
  auto fbits = [](float d) { uint32_t u; memcpy(&u, &d, 4); return uint64_t(u); };
  const Case cases[] = {
      {kTypeInt32, "-1", 0xFFFFFFFF}, {kTypeInt64, "-9223372036854775808", uint64_t(1) << 63}, {kTypeUint64, "18446744073709551615", UINT64_MAX},
      {kTypeUint32, "4294967295", 0xFFFFFFFF}, {kTypeSint32, "-2147483648", 0x80000000}, {kTypeBool, "true", 1}, {kTypeBool, "false", 0},
      {kTypeDouble, "1.5", bits(1.5)}, {kTypeDouble, "-inf", bits(-INFINITY)}, {kTypeDouble, "1e400", bits(INFINITY)}, {kTypeDouble, "-1e-400", bits(-0.0)},
      {kTypeDouble, "5e-324", bits(5e-324)}, {kTypeFloat, "0.1", fbits(0.1f)}, {kTypeFloat, "inf", fbits(INFINITY)}, {kTypeFloat, "1e39", fbits(INFINITY)},
  };
  for (const Case& c : cases) {
    Read r(with_field(field("x", 1, c.type).str(7, c.text)));
    assert_true(r.field("p.M", 1)->default_bits == c.bits);
  }
  Read nan(with_field(field("x", 1, kTypeDouble).str(7, "nan")));
  double d;
  memcpy(&d, &nan.field("p.M", 1)->default_bits, 8);
  assert_true(std::isnan(d));
  Read minus_nan(with_field(field("x", 1, kTypeFloat).str(7, "-nan")));  // as some printers have it
  assert_true((minus_nan.field("p.M", 1)->default_bits & 0x7FFFFFFF) > 0x7F800000);
  Read s(with_message(message("M").sub(2, field("s", 1, kTypeString).str(7, "a\"b")).sub(2, field("b", 2, kTypeBytes).str(7, "\\000\\377\\x7f\\n\\\\\\'\\\"\\?z\\1\\12"))
                          .sub(2, field("e", 3, kTypeString))));
  assert_true(s.field("p.M", 1)->default_bytes.text() == "a\"b");
  assert_true(s.field("p.M", 2)->default_bytes.text() == std::string_view("\0\xFF\x7F\n\\'\"?z\x01\x0A", 11));
  assert_true(s.field("p.M", 3)->default_bytes.size == 0 && s.field("p.M", 3)->default_bytes.data);
}

void methods(void**) {
  auto method = [](const char* name, int level) { return Pb().str(1, name).str(2, ".p.M").str(3, "M").sub(4, Pb().num(34, level)); };
  Read r(set_of({file("a.proto").sub(4, message("M")).sub(6, Pb().str(1, "S").sub(2, method("Get", 1)).sub(2, method("Put", 2).num(5, 1)).sub(2, method("Do", 0).num(6, 1)))}));
  assert_int_equal(r->services.size(), 1);
  assert_int_equal(r->methods.size(), 3);
  const schema::Method* m = r->method("/p.S/Get");
  assert_true(m && m == r->method("p.S/Get") && m == r->methods[0] && m->service == "p.S" && m->name == "Get" && m->path == "/p.S/Get");
  assert_int_equal(m->flags, schema::kNoSideEffects);
  assert_int_equal(r->method("p.S/Put")->flags, schema::kIdempotent | schema::kClientStream);
  assert_int_equal(r->method("p.S/Do")->flags, schema::kServerStream);
  assert_true(m->input == r->message("p.M") && m->output == m->input);
  assert_null(r->method("p.S/Gett"));
  assert_null(r->method(""));
  assert_null(r->method("//p.S/Get"));
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(proto2_fields),
      cmocka_unit_test(proto3_fields),
      cmocka_unit_test(edition_fields),
      cmocka_unit_test(features_are_inherited_by_lexical_scope),
      cmocka_unit_test(enums_take_closedness_from_their_own_scope),
      cmocka_unit_test(maps_are_never_delimited),
      cmocka_unit_test(type_of_a_field_may_be_left_to_its_name),
      cmocka_unit_test(relative_names),
      cmocka_unit_test(default_values),
      cmocka_unit_test(methods),
  };
  return cmocka_run_group_tests_name("schema features", tests, nullptr, nullptr);
}
