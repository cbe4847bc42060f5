// What is refused, and with which words.
#include "schema_test.h"

using namespace schema_test;

namespace {

Pb entry_field() { return field_of("m", 1, kTypeMessage, ".p.M.MEntry", kRepeated); }
Pb map_entry(const Pb& key = field("key", 1, kTypeString), const Pb& val = field("value", 2, kTypeInt32)) {
  return message("MEntry").sub(2, key).sub(2, val).sub(7, Pb().num(7, 1));
}
Pb range(int64_t from, int64_t to) { return Pb().num(1, from).num(2, to); }
Pb optional_features(std::initializer_list<std::pair<uint32_t, int>> f) { return Pb().sub(21, features(f)); }

void numbers(void**) {
  refused(with_field(field("x", 0, kTypeInt32)), "a.proto: p.M.x: field number 0 is not allowed (1 to 536870911)");
  refused(with_field(field("x", -1, kTypeInt32)), "a.proto: p.M.x: field number -1 is not allowed (1 to 536870911)");
  refused(with_field(field("x", 536870912, kTypeInt32)), "a.proto: p.M.x: field number 536870912 is not allowed (1 to 536870911)");
  accepted(with_field(field("x", 536870911, kTypeInt32)));
  refused(with_field(field("x", 19000, kTypeInt32)), "a.proto: p.M.x: field numbers 19000 to 19999 are reserved for protobuf itself");
  refused(with_field(field("x", 19999, kTypeInt32)), "a.proto: p.M.x: field numbers 19000 to 19999 are reserved for protobuf itself");
  accepted(with_message(message("M").sub(2, field("x", 18999, kTypeInt32)).sub(2, field("y", 20000, kTypeInt32))));
  refused(with_message(message("M").sub(2, field("x", 7, kTypeInt32)).sub(2, field("y", 7, kTypeInt32))), "a.proto: p.M.y: field number 7 is already used by x");
}

void names(void**) {
  refused(with_message(message("M").sub(2, field("x", 1, kTypeInt32)).sub(2, field("x", 2, kTypeInt32))), "a.proto: p.M.x: already defined in a.proto");
  refused(with_message(message("M").sub(2, field("N", 1, kTypeInt32)).sub(3, message("N"))), "a.proto: p.M.N: already defined in a.proto");
  refused(set_of({file("a.proto").sub(4, message("M")), file("b.proto").sub(4, message("M"))}), "b.proto: p.M: already defined in a.proto");
  refused(set_of({file("a.proto").sub(4, message("M")), file("b.proto").sub(5, enumeration("M", {value("A", 0)}))}), "b.proto: p.M: already defined in a.proto");
  refused(set_of({file("a.proto", "proto2", "").sub(4, message("p")), file("b.proto").sub(4, message("M"))}),
          "b.proto: p: a package here, but already defined otherwise in a.proto");
  refused(set_of({file("a.proto").sub(4, message("M")), file("b.proto", "proto2", "").sub(4, message("p"))}), "b.proto: p: already defined as a package in a.proto");
  refused(set_of({file("a.proto").sub(5, enumeration("E", {value("A", 0)})).sub(5, enumeration("F", {value("A", 0)}))}),
          "a.proto: p.A: already defined in a.proto (enum values are siblings of their type, not children of it)");
  refused(with_message(Pb()), "a.proto: p: something without a name is declared here");
  refused(with_message(message("a b")), "a.proto: p: \"a b\" is not an identifier");
  refused(with_message(message("1a")), "a.proto: p: \"1a\" is not an identifier");
  refused(set_of({file("a.proto", "proto2", "p..q")}), "a.proto: package \"p..q\" is not a name");
  refused(set_of({file("")}), ": a file has no proper name");
  refused(set_of({file("a.proto").sub(4, message("M")), file("a.proto")}), "a.proto: the file is there twice, with different contents");
  accepted(set_of({file("a.proto").sub(4, message("M")), file("a.proto").sub(4, message("M"))}));  // sets joined end to end
  std::string longest(1020, 'x');
  accepted(with_message(message(longest)));
  refused(with_message(message(longest + "xx")), "a.proto: p: name of more than 1023 bytes");
}

void json_names(void**) {
  Pb two = message("M").sub(2, field("foo_bar", 1, kTypeInt32)).sub(2, field("fooBar", 2, kTypeInt32));
  refused(with_message(two, "proto3"), "a.proto: p.M.fooBar: the JSON name \"fooBar\" is already used by foo_bar");
  accepted(with_message(two, "proto2"));
  accepted(with_message(Pb(two).sub(7, Pb().num(11, 1)), "proto3"));  // deprecated_legacy_json_field_conflicts
  refused(with_message(two, "2023"), "a.proto: p.M.fooBar: the JSON name \"fooBar\" is already used by foo_bar");
  accepted(with_message(Pb(two).sub(7, Pb().sub(12, features({{6, 2}}))), "2023"));
  // Names that json_name hides still conflict, as protoc has it.
  Pb hidden = message("M").sub(2, field("foo_bar", 1, kTypeInt32).str(10, "a")).sub(2, field("fooBar", 2, kTypeInt32));
  refused(with_message(hidden, "proto3"), "a.proto: p.M.fooBar: the JSON name \"fooBar\" is already used by foo_bar");
  Pb custom = message("M").sub(2, field("a", 1, kTypeInt32).str(10, "z")).sub(2, field("b", 2, kTypeInt32).str(10, "z"));
  refused(with_message(custom, "proto2"), "a.proto: p.M.b: the JSON name \"z\" is already used by a");
  refused(with_field(field("x", 1, kTypeInt32).str(10, std::string("a\0b", 3))), "a.proto: p.M.x: json_name is not UTF-8 without zeros");
}

void types(void**) {
  refused(with_field(field_of("x", 1, kTypeMessage, ".p.Nowhere")), "a.proto: p.M.x: type \".p.Nowhere\" is not defined");
  refused(with_field(field_of("x", 1, kTypeMessage, "Nowhere")), "a.proto: p.M.x: type \"Nowhere\" is not defined");
  refused(with_field(field_of("x", 1, kTypeMessage, ".p")), "a.proto: p.M.x: \".p\" is not a type");
  refused(with_field(field_of("x", 1, kTypeMessage, ".p.M.x")), "a.proto: p.M.x: \".p.M.x\" is not a type");
  refused(with_field(field_of("x", 1, kTypeEnum, ".p.M")), "a.proto: p.M.x: \".p.M\" is not an enum type");
  refused(set_of({file("a.proto").sub(5, enumeration("E", {value("A", 0)})).sub(4, message("M").sub(2, field_of("x", 1, kTypeMessage, ".p.E")))}),
          "a.proto: p.M.x: \".p.E\" is not a message type");
  refused(with_field(field("x", 1, kTypeMessage)), "a.proto: p.M.x: a message or enum type without its name");
  refused(with_field(field_of("x", 1, kTypeInt32, ".p.M")), "a.proto: p.M.x: a number or string cannot name a type");
  refused(with_field(Pb().str(1, "x").num(3, 1)), "a.proto: p.M.x: no type");
  refused(with_field(field("x", 1, 19)), "a.proto: p.M.x: type 19 is not known");
  refused(with_field(field("x", 1, kTypeInt32, 4)), "a.proto: p.M.x: label 4 is not known");
  refused(with_field(field("x", 1, kTypeInt32).str(2, ".p.M")), "a.proto: p.M.x: an extendee, but this is no extension");
}

void ranges(void**) {
  auto with = [](const Pb& m) { return with_message(m); };
  refused(with(message("M").sub(5, range(0, 5))), "a.proto: p.M: extension range 0 to 4 is not allowed (1 to 536870911)");
  refused(with(message("M").sub(5, range(5, 5))), "a.proto: p.M: extension range 5 to 4 is not allowed (1 to 536870911)");
  refused(with(message("M").sub(5, range(5, 536870913))), "a.proto: p.M: extension range 5 to 536870912 is not allowed (1 to 536870911)");
  accepted(with(message("M").sub(5, range(5, 536870912))));
  refused(with(message("M").sub(9, range(-1, 5))), "a.proto: p.M: reserved range -1 to 4 is not allowed (1 to 536870911)");
  refused(with(message("M").sub(9, range(5, 3))), "a.proto: p.M: reserved range 5 to 2 is not allowed (1 to 536870911)");
  refused(with(message("M").sub(5, range(5, 10)).sub(5, range(9, 12))), "a.proto: p.M: extension range 9 to 11 overlaps extension range 5 to 9");
  refused(with(message("M").sub(5, range(5, 10)).sub(9, range(1, 6))), "a.proto: p.M: extension range 5 to 9 overlaps reserved range 1 to 5");
  refused(with(message("M").sub(9, range(5, 10)).sub(9, range(5, 6))), "a.proto: p.M: reserved range 5 to 9 overlaps reserved range 5 to 5");
  accepted(with(message("M").sub(5, range(5, 10)).sub(9, range(10, 12))));
  refused(with(message("M").sub(5, range(5, 10)).sub(2, field("x", 9, kTypeInt32))), "a.proto: p.M.x: field number 9 lies in the extension range 5 to 9");
  refused(with(message("M").sub(9, range(5, 10)).sub(2, field("x", 5, kTypeInt32))), "a.proto: p.M.x: field number 5 lies in the reserved range 5 to 9");
  refused(with(message("M").str(10, "x").sub(2, field("x", 5, kTypeInt32))), "a.proto: p.M.x: the name is reserved");
  refused(with_message(message("M").sub(5, range(5, 10)), "proto3"), "a.proto: p.M: extension ranges are not allowed in proto3");
}

void extensions(void**) {
  auto with = [](const Pb& x, std::string_view syntax = "proto2") {
    return set_of({file("m.proto").sub(4, message("M").sub(5, range(100, 200))), file("a.proto", syntax).str(3, "m.proto").sub(7, x)});
  };
  accepted(with(field("x", 100, kTypeInt32).str(2, ".p.M")));
  accepted(with(field("x", 100, kTypeInt32).str(2, "M")));
  refused(with(field("x", 99, kTypeInt32).str(2, ".p.M")), "a.proto: p.x: p.M does not take extensions with the number 99");
  refused(with(field("x", 200, kTypeInt32).str(2, ".p.M")), "a.proto: p.x: p.M does not take extensions with the number 200");
  refused(with(field("x", 100, kTypeInt32)), "a.proto: p.x: an extension without an extendee");
  refused(with(field("x", 100, kTypeInt32).str(2, ".p.N")), "a.proto: p.x: extendee \".p.N\" is not defined");
  refused(with(field("x", 100, kTypeInt32).str(2, ".p")), "a.proto: p.x: \".p\" is not a message type");
  refused(with(field("x", 100, kTypeInt32, kRequired).str(2, ".p.M")), "a.proto: p.x: an extension cannot be required");
  refused(with(field("x", 100, kTypeInt32).str(2, ".p.M").sub(8, optional_features({{1, 3}})), "2023"), "a.proto: p.x: an extension cannot be required");
  refused(with(field("x", 100, kTypeInt32).str(2, ".p.M").num(9, 0)), "a.proto: p.x: an extension cannot be in a oneof");
  refused(set_of({file("m.proto").sub(4, message("M").sub(5, range(100, 200))).sub(7, field("x", 100, kTypeInt32).str(2, "M")),
                  file("a.proto").sub(7, field("y", 100, kTypeInt32).str(2, "M"))}),
          "a.proto: p.y: extension number 100 of p.M is already used by p.x");
}

void message_sets(void**) {
  Pb set = message("M").sub(7, Pb().num(1, 1)).sub(5, range(4, 0x7FFFFFFF));
  auto with = [&](const Pb& x) { return set_of({file("a.proto").sub(4, set).sub(4, message("N")).sub(7, x)}); };
  accepted(with(field_of("x", 1547769, kTypeMessage, ".p.N").str(2, "M")));
  accepted(with(field_of("x", 0x7FFFFFFE, kTypeMessage, ".p.N").str(2, "M")));
  refused(with(field("x", 4, kTypeInt32).str(2, "M")), "a.proto: p.x: extensions of a message set are optional messages");
  refused(with(field_of("x", 4, kTypeMessage, ".p.N", kRepeated).str(2, "M")), "a.proto: p.x: extensions of a message set are optional messages");
  refused(with_message(Pb(set).sub(2, field("x", 1, kTypeInt32))), "a.proto: p.M: a message set cannot have fields, only extensions");
  refused(with_message(message("M").sub(7, Pb().num(1, 1)), "proto3"), "a.proto: p.M: message sets are not allowed in proto3");
}

void oneofs(void**) {
  auto with = [](const Pb& f) { return with_message(message("M").sub(2, f).sub(8, Pb().str(1, "o"))); };
  accepted(with(field("x", 1, kTypeInt32).num(9, 0)));
  refused(with(field("x", 1, kTypeInt32).num(9, 1)), "a.proto: p.M: x: oneof_index 1 is out of range");
  refused(with(field("x", 1, kTypeInt32).num(9, -1)), "a.proto: p.M: x: oneof_index -1 is out of range");
  refused(with(field("x", 1, kTypeInt32)), "a.proto: p.M.o: a oneof needs at least one field");
  refused(with(field("x", 1, kTypeInt32, kRepeated).num(9, 0)), "a.proto: p.M.x: a field of a oneof cannot be repeated or required");
  refused(with(field("x", 1, kTypeInt32, kRequired).num(9, 0)), "a.proto: p.M.x: a field of a oneof cannot be repeated or required");
  refused(with(field("x", 1, kTypeInt32).num(9, 0).num(17, 1)), "a.proto: p.M.x: proto3_optional is for optional fields of proto3 files");
  refused(with_field(field("x", 1, kTypeInt32).num(17, 1), "proto3"), "a.proto: p.M: x: proto3_optional without its oneof");
  refused(with_message(message("M").sub(2, field("x", 1, kTypeInt32).num(9, 0).num(17, 1)).sub(2, field("y", 2, kTypeInt32).num(9, 0)).sub(8, Pb().str(1, "_x")), "proto3"),
          "a.proto: p.M._x: the oneof of a proto3_optional field has other members");
}

void defaults(void**) {
  auto with = [](int type, const char* v) { return with_field(field("x", 1, type).str(7, v)); };
  refused(with(kTypeInt32, "2147483648"), "a.proto: p.M.x: default value \"2147483648\" does not fit the type");
  refused(with(kTypeUint32, "-1"), "a.proto: p.M.x: default value \"-1\" does not fit the type");
  refused(with(kTypeInt64, "1x"), "a.proto: p.M.x: default value \"1x\" does not fit the type");
  refused(with(kTypeUint64, ""), "a.proto: p.M.x: default value \"\" does not fit the type");
  refused(with(kTypeBool, "1"), "a.proto: p.M.x: default value \"1\" does not fit the type");
  refused(with(kTypeFloat, "infinity"), "a.proto: p.M.x: default value \"infinity\" does not fit the type");
  refused(with(kTypeDouble, "1.5.2"), "a.proto: p.M.x: default value \"1.5.2\" does not fit the type");
  refused(with(kTypeBytes, "\\777"), "a.proto: p.M.x: default value \"\\777\" does not fit the type");
  refused(with(kTypeBytes, "\\xg"), "a.proto: p.M.x: default value \"\\xg\" does not fit the type");
  refused(with(kTypeBytes, "\\"), "a.proto: p.M.x: default value \"\\\" does not fit the type");
  refused(with(kTypeString, "\xC0"), "a.proto: p.M.x: default value \"\xC0\" does not fit the type");
  refused(set_of({file("a.proto").sub(5, enumeration("E", {value("A", 0)})).sub(4, message("M").sub(2, field_of("x", 1, kTypeEnum, ".p.E").str(7, "B")))}),
          "a.proto: p.M.x: default value \"B\" does not fit the type");
  refused(with_field(field("x", 1, kTypeInt32, kRepeated).str(7, "1")), "a.proto: p.M.x: a repeated field cannot have a default value");
  refused(with_field(field_of("x", 1, kTypeMessage, ".p.M").str(7, "1")), "a.proto: p.M.x: a message cannot have a default value");
  refused(with_field(field("x", 1, kTypeInt32).str(7, "1"), "proto3"), "a.proto: p.M.x: default values are not allowed in proto3");
  refused(with_field(field("x", 1, kTypeInt32).str(7, "1").sub(8, optional_features({{1, 2}})), "2023"), "a.proto: p.M.x: a field with implicit presence cannot have a default value");
}

void enums(void**) {
  auto with = [](const Pb& e, std::string_view syntax = "proto2") { return set_of({file("a.proto", syntax).sub(5, e)}); };
  refused(with(enumeration("E", {})), "a.proto: p.E: an enum needs at least one value");
  refused(with(enumeration("E", {value("A", 1)}), "proto3"), "a.proto: p.E: the first value of an open enum must be 0");
  refused(with(enumeration("E", {value("A", 1)}), "2023"), "a.proto: p.E: the first value of an open enum must be 0");
  accepted(with(enumeration("E", {value("A", 1)})));
  accepted(with(enumeration("E", {value("A", 1)}).sub(3, Pb().sub(7, features({{2, 2}}))), "2023"));
  refused(with(enumeration("E", {value("A", 0), value("B", 1), value("C", 1)})), "a.proto: p.E: B and C have the same number 1, and allow_alias is not set");
  accepted(with(enumeration("E", {value("A", 0), value("B", 1), value("C", 1)}).sub(3, Pb().num(2, 1))));
  refused(with(enumeration("E", {value("A", 5)}).sub(4, range(1, 5))), "a.proto: p.E: A uses the reserved number 5");
  accepted(with(enumeration("E", {value("A", 6)}).sub(4, range(-3, 5))));
  refused(with(enumeration("E", {value("A", 9)}).sub(4, range(1, 5)).sub(4, range(5, 6))), "a.proto: p.E: reserved ranges 1 to 5 and 5 to 6 overlap");
  refused(with(enumeration("E", {value("A", 9)}).sub(4, range(5, 4))), "a.proto: p.E: reserved range 5 to 4 ends before it starts");
  refused(with(enumeration("E", {value("A", 5)}).str(5, "A")), "a.proto: p.E: the name A is reserved");
}

void closed_enums_need_presence(void**) {
  Pb closed = enumeration("E", {value("A", 0)});
  refused(set_of({file("e.proto").sub(5, closed), file("a.proto", "proto3").sub(4, message("M").sub(2, field_of("x", 1, kTypeEnum, ".p.E")))}),
          "a.proto: p.M.x: a field with implicit presence cannot have the closed enum p.E");
  refused(set_of({file("a.proto", "2023").sub(5, Pb(closed).sub(3, Pb().sub(7, features({{2, 2}}))))
                      .sub(4, message("M").sub(2, field_of("x", 1, kTypeEnum, ".p.E").sub(8, optional_features({{1, 2}}))))}),
          "a.proto: p.M.x: a field with implicit presence cannot have the closed enum p.E");
}

void syntax_and_editions(void**) {
  refused(set_of({file("a.proto", "proto4")}), "a.proto: syntax \"proto4\" is not known");
  refused(set_of({Pb().str(1, "a.proto").str(12, "editions")}), "a.proto: edition 0 is not known (2023 and 2024 are)");
  refused(set_of({Pb().str(1, "a.proto").str(12, "editions").num(14, 9999)}), "a.proto: edition 9999 is not known (2023 and 2024 are)");
  for (int e : {998, 999, 1000, 1001}) accepted(set_of({Pb().str(1, "a.proto").str(12, "editions").num(14, e)}));
  refused(set_of({file("a.proto", "2023").sub(8, Pb().sub(50, features({{1, 3}})))}), "a.proto: LEGACY_REQUIRED cannot be the default of a file");
  refused(set_of({file("a.proto", "2023").sub(8, Pb().sub(50, features({{1, 4}})))}), "a.proto: feature field_presence has the unknown value 4");
  refused(with_field(field("x", 1, kTypeInt32, kRequired), "2023"), "a.proto: p.M.x: required is not allowed in edition files; it is the feature field_presence = LEGACY_REQUIRED");
  refused(with_field(field_of("x", 1, kTypeGroup, ".p.M"), "2023"), "a.proto: p.M.x: groups are not allowed in edition files; they are the feature message_encoding = DELIMITED");
  refused(with_field(field("x", 1, kTypeInt32, kRepeated).sub(8, Pb().num(2, 1)), "2024"), "a.proto: p.M.x: packed is not allowed in edition files; it is the feature repeated_field_encoding");
  refused(with_field(field("x", 1, kTypeInt32, kRequired), "proto3"), "a.proto: p.M.x: required fields are not allowed in proto3");
  refused(with_field(field_of("x", 1, kTypeGroup, ".p.M"), "proto3"), "a.proto: p.M.x: groups are not allowed in proto3");
  refused(with_field(field("x", 1, kTypeString, kRepeated).sub(8, Pb().num(2, 1))), "a.proto: p.M.x: packed is for repeated numbers only");
  refused(with_field(field("x", 1, kTypeInt32).sub(8, Pb().num(2, 1))), "a.proto: p.M.x: packed is for repeated numbers only");
  Pb f = features({{1, 1}});
  refused(set_of({file("a.proto").sub(8, Pb().sub(50, f))}), "a.proto: features can be set in edition files only");
  refused(with_message(message("M").sub(7, Pb().sub(12, f)), "proto3"), "a.proto: p.M: features can be set in edition files only");
  refused(with_field(field("x", 1, kTypeInt32).sub(8, optional_features({{1, 1}}))), "a.proto: p.M.x: features can be set in edition files only");
  refused(with_message(message("M").sub(2, field("x", 1, kTypeInt32).num(9, 0)).sub(8, Pb().str(1, "o").sub(2, Pb().sub(1, f)))), "a.proto: p.M.o: features can be set in edition files only");
  refused(set_of({file("a.proto").sub(5, enumeration("E", {value("A", 0)}).sub(3, Pb().sub(7, f)))}), "a.proto: p.E: features can be set in edition files only");
}

void imports(void**) {
  refused(set_of({file("a.proto").str(3, "b.proto")}), "a.proto: the import \"b.proto\" is missing");
  refused(set_of({file("a.proto").str(3, "a.proto")}), "a.proto: the import of \"a.proto\" closes a cycle");
  refused(set_of({file("a.proto").str(3, "b.proto"), file("b.proto").str(3, "c.proto"), file("c.proto").str(3, "b.proto")}),
          "c.proto: the import of \"b.proto\" closes a cycle");
  accepted(set_of({file("a.proto").str(3, "b.proto").str(3, "c.proto"), file("b.proto").str(3, "c.proto"), file("c.proto")}));
  refused(set_of({file("a.proto").str(3, "google/protobuf/nothing.proto")}), "a.proto: the import \"google/protobuf/nothing.proto\" is missing");
  schema::Options bare;
  bare.supply_well_known = false;
  Read r(set_of({file("a.proto").str(3, "google/protobuf/any.proto")}), bare);
  assert_string_equal(r.result.status().message(), "a.proto: the import \"google/protobuf/any.proto\" is missing");
}

void map_entries(void**) {
  auto with = [](const Pb& entry) { return with_message(message("M").sub(2, entry_field()).sub(3, entry)); };
  accepted(with(map_entry()));
  auto malformed = [&](const Pb& entry, const char* why) { refused(with(entry), (std::string("a.proto: p.M.MEntry: malformed map entry: ") + why).c_str()); };
  malformed(message("MEntry").sub(2, field("key", 1, kTypeInt32)).sub(7, Pb().num(7, 1)), "its fields are not 1 and 2");
  malformed(map_entry(field("key", 1, kTypeInt32), field("value", 3, kTypeInt32)), "its fields are not 1 and 2");
  malformed(map_entry(field("k", 1, kTypeInt32)), "its fields are not called key and value");
  malformed(map_entry(field("key", 1, kTypeInt32, kRepeated)), "key and value are not plain optional fields");
  malformed(map_entry(field("key", 1, kTypeFloat)), "keys are integers, bool or string");
  malformed(map_entry(field("key", 1, kTypeBytes)), "keys are integers, bool or string");
  malformed(map_entry(field_of("key", 1, kTypeMessage, ".p.M")), "keys are integers, bool or string");
  malformed(map_entry(field("key", 1, kTypeInt32), field_of("value", 2, kTypeGroup, ".p.M")), "its value is a group");
  malformed(map_entry().sub(3, message("N")), "it declares more than its two fields");
  refused(set_of({file("a.proto").sub(4, map_entry())}), "a.proto: p.MEntry: malformed map entry: it is not nested in the message that has the map");
  refused(with_message(message("M").sub(2, field_of("m", 1, kTypeMessage, ".p.M.MEntry")).sub(3, map_entry())), "a.proto: p.M.m: p.M.MEntry is a map entry, and this is not its map");
  refused(set_of({file("a.proto").sub(4, message("M").sub(2, entry_field()).sub(3, map_entry())).sub(4, message("N").sub(2, entry_field()))}),
          "a.proto: p.N.m: p.M.MEntry is a map entry, and this is not its map");
}

void services(void**) {
  auto with = [](const Pb& m) { return set_of({file("a.proto").sub(4, message("M")).sub(6, Pb().str(1, "S").sub(2, m))}); };
  accepted(with(Pb().str(1, "Do").str(2, ".p.M").str(3, "M")));
  refused(with(Pb().str(1, "Do").str(2, ".p.N").str(3, ".p.M")), "a.proto: p.S/Do: type \".p.N\" is not defined");
  refused(with(Pb().str(1, "Do").str(2, ".p.M")), "a.proto: p.S/Do: type \"\" is not defined");
  refused(with(Pb().str(1, "Do").str(2, ".p.M").str(3, ".p.S")), "a.proto: p.S/Do: \".p.S\" is not a message type");
  refused(set_of({file("a.proto").sub(4, message("M")).sub(6, Pb().str(1, "S").sub(2, Pb().str(1, "Do").str(2, "M").str(3, "M")).sub(2, Pb().str(1, "Do").str(2, "M").str(3, "M")))}),
          "a.proto: p.S.Do: already defined in a.proto");
}

void broken_bytes_tell_their_place(void**) {
  std::string good = set_of({file("a.proto").sub(4, message("M").sub(2, field("x", 1, kTypeInt32)))});
  accepted(good);
  for (size_t n = 0; n < good.size(); n++) {
    Read r(good.substr(0, n));
    if (n == 0) {
      assert_true(r.result.ok());
      continue;
    }
    assert_false(r.result.ok());
    assert_int_equal(int(r.result.status().code()), int(base::Code::kInvalidArgument));
    assert_int_equal(r.result.status().offset(), 0);  // the one file is cut
  }
  // Inside a message of the file, the place is that of the field that is broken.
  std::string set = set_of({file("a.proto").sub(4, message("M").sub(2, Pb{std::string("\x0A\x01x\x18")}))});
  Read r(set);
  assert_string_equal(r.result.status().message(), "a.proto: broken descriptor: truncated");
  assert_int_equal(r.result.status().offset(), set.size() - 1);
}

void nesting_is_bounded(void**) {
  Pb m = message("M");
  for (int i = 0; i < 63; i++) m = message("M").sub(3, m);
  accepted(with_message(m));
  Read r(with_message(message("M").sub(3, m)));
  assert_string_equal(r.result.status().message(), "a.proto: types are nested more than 64 deep");
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(numbers),      cmocka_unit_test(names),         cmocka_unit_test(json_names),
      cmocka_unit_test(types),        cmocka_unit_test(ranges),        cmocka_unit_test(extensions),
      cmocka_unit_test(message_sets), cmocka_unit_test(oneofs),        cmocka_unit_test(defaults),
      cmocka_unit_test(enums),        cmocka_unit_test(closed_enums_need_presence),
      cmocka_unit_test(syntax_and_editions),                           cmocka_unit_test(imports),
      cmocka_unit_test(map_entries),  cmocka_unit_test(services),      cmocka_unit_test(broken_bytes_tell_their_place),
      cmocka_unit_test(nesting_is_bounded),
  };
  return cmocka_run_group_tests_name("schema errors", tests, nullptr, nullptr);
}
