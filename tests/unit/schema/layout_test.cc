// Layout 1, offset by offset, and fingerprints. A change here breaks generated code: it needs a new layout number.
#include "schema_test.h"

#include <cstdio>

using namespace schema_test;

namespace {

std::string row(const schema::Field* f) {
  char t[80];
  snprintf(t, sizeof t, "%u: off %u bit %d case %u stride %u", f->number, f->offset, f->bit == ZCRPC_NO_BIT ? -1 : f->bit, f->case_offset, f->stride);
  return t;
}
void rows(const schema::Message* m, std::initializer_list<const char*> want) {
  assert_int_equal(m->fields.size(), want.size());
  size_t i = 0;
  for (const char* w : want) assert_string_equal(row(&m->fields[i++]).c_str(), w);
}

// The log record of the goals: 80 bytes, as measured in the prototype.
void log_record(void**) {
  Pb loc = message("Location").sub(2, field("file", 1, kTypeString)).sub(2, field("line", 2, kTypeUint32)).sub(2, field("function", 3, kTypeString));
  Pb entry = message("LabelsEntry").sub(2, field("key", 1, kTypeString)).sub(2, field("value", 2, kTypeString)).sub(7, Pb().num(7, 1));
  Pb rec = message("Record").sub(2, field("time", 1, kTypeFixed64)).sub(2, field("service", 2, kTypeString)).sub(2, field("instance", 3, kTypeString))
               .sub(2, field("severity", 4, kTypeInt32)).sub(2, field("text", 5, kTypeString))
               .sub(2, field_of("labels", 6, kTypeMessage, "LabelsEntry", kRepeated)).sub(2, field("trace", 7, kTypeString)).sub(2, field("span", 8, kTypeString))
               .sub(2, field_of("location", 9, kTypeMessage, "Location")).sub(3, entry);
  Read r(set_of({file("a.proto", "proto3").sub(4, rec).sub(4, loc)}));
  const schema::Message* m = r->message("p.Record");
  assert_int_equal(m->size, 80);
  assert_int_equal(m->presence_words, 1);
  rows(m, {"1: off 16 bit -1 case 0 stride 0", "2: off 24 bit -1 case 0 stride 0", "3: off 32 bit -1 case 0 stride 0", "4: off 72 bit -1 case 0 stride 0",
           "5: off 40 bit -1 case 0 stride 0", "6: off 48 bit -1 case 0 stride 16", "7: off 56 bit -1 case 0 stride 0", "8: off 64 bit -1 case 0 stride 0",
           "9: off 76 bit -1 case 0 stride 0"});
  assert_int_equal(r->message("p.Location")->size, 40);
}

void slots_go_by_width_then_number_and_bits_by_number(void**) {
  Read r(with_message(message("M").sub(2, field("d", 4, kTypeBool)).sub(2, field("a", 1, kTypeBool)).sub(2, field("b", 2, kTypeInt32)).sub(2, field("c", 3, kTypeString))
                          .sub(2, field_of("m", 5, kTypeMessage, "M")).sub(2, field_of("r", 6, kTypeMessage, "M", kRepeated)).sub(2, field("e", 7, kTypeBool, kRepeated))
                          .sub(5, Pb().num(1, 100).num(2, 101))));
  const schema::Message* m = r->message("p.M");
  rows(m, {"1: off 56 bit 0 case 0 stride 0", "2: off 48 bit 1 case 0 stride 0", "3: off 16 bit 2 case 0 stride 0", "4: off 57 bit 3 case 0 stride 0",
           "5: off 52 bit -1 case 0 stride 0", "6: off 24 bit -1 case 0 stride 64", "7: off 32 bit -1 case 0 stride 1"});
  assert_int_equal(m->extension_slot, 40);  // behind all other slots of 8 bytes
  assert_int_equal(m->size, 64);
}

void oneofs_have_a_case_word_and_one_slot(void**) {
  Read r(with_message(message("M").sub(2, field("x", 2, kTypeInt32).num(9, 0)).sub(2, field("y", 5, kTypeString).num(9, 0)).sub(2, field("z", 3, kTypeInt32))
                          .sub(2, field("p", 1, kTypeBool).num(9, 1)).sub(2, field("q", 4, kTypeInt32).num(9, 1)).sub(8, Pb().str(1, "wide")).sub(8, Pb().str(1, "narrow")),
                      "proto3"));
  const schema::Message* m = r->message("p.M");
  // 8: wide's value 16. 4: narrow's case 24 and value 28 (its lowest member is 1), wide's case 32 (2), z 36.
  rows(m, {"1: off 28 bit -1 case 24 stride 0", "2: off 16 bit -1 case 32 stride 0", "3: off 36 bit -1 case 0 stride 0", "4: off 28 bit -1 case 24 stride 0",
           "5: off 16 bit -1 case 32 stride 0"});
  assert_int_equal(m->size, 40);
}

void more_than_32_presence_bits_take_words_behind_the_head(void**) {
  Pb m = message("M");
  for (int i = 1; i <= 33; i++) m.sub(2, field("b" + std::to_string(i), i, kTypeBool));
  Read r(with_message(m));
  assert_int_equal(r->message("p.M")->presence_words, 2);
  assert_string_equal(row(r.field("p.M", 33)).c_str(), "33: off 56 bit 32 case 0 stride 0");
  assert_string_equal(row(r.field("p.M", 1)).c_str(), "1: off 24 bit 0 case 0 stride 0");
  assert_int_equal(r->message("p.M")->size, 64);  // 16 head, 4 word, 4 padding, 33 bools, padding
}

void wide_messages_are_sparse(void**) {
  auto with = [](int strings, bool one_more) {
    Pb m = message("M");
    for (int i = 1; i <= strings; i++) m.sub(2, field("s" + std::to_string(i), i, kTypeString));
    if (one_more) m.sub(2, field("b", 90, kTypeBool));
    return with_message(m, "proto3");
  };
  Read plain(with(22, false));
  assert_int_equal(plain->message("p.M")->size, 192);
  assert_false(plain->message("p.M")->sparse);
  Read sparse(with(22, true));
  const schema::Message* m = sparse->message("p.M");
  assert_true(m->sparse);
  assert_int_equal(m->size, 16);
  assert_int_equal(m->presence_words, 1);
  assert_string_equal(row(sparse.field("p.M", 90)).c_str(), "90: off 0 bit 22 case 0 stride 0");
  Read more(with(40, true));
  assert_int_equal(more->message("p.M")->presence_words, 2);
  assert_int_equal(more->message("p.M")->size, 24);
}

void sparse_messages_have_bits_for_oneofs_and_extensions(void**) {
  Pb m = message("M");
  for (int i = 1; i <= 31; i++) m.sub(2, field("s" + std::to_string(i), i, kTypeString));
  m.sub(2, field("x", 40, kTypeInt32).num(9, 0)).sub(2, field_of("r", 41, kTypeMessage, "M", kRepeated)).sub(8, Pb().str(1, "o")).sub(5, Pb().num(1, 100).num(2, 101));
  Read r(with_message(m));
  const schema::Message* t = r->message("p.M");
  assert_true(t->sparse && t->extendable());
  assert_int_equal(t->extension_slot, 0);  // bit 33, the last
  assert_int_equal(t->presence_words, 2);
  assert_int_equal(t->size, 24);
  assert_string_equal(row(r.field("p.M", 40)).c_str(), "40: off 0 bit 31 case 0 stride 0");
  assert_string_equal(row(r.field("p.M", 41)).c_str(), "41: off 0 bit 32 case 0 stride 4");  // elements are offsets
  assert_int_equal(t->oneofs[0].case_offset, 0);
}

void map_entries_put_the_wider_slot_first(void**) {
  struct {
    int key, value;
    uint32_t at_key, at_value, size;
  } cases[] = {{kTypeString, kTypeString, 0, 8, 16}, {kTypeInt32, kTypeString, 8, 0, 16}, {kTypeString, kTypeBool, 0, 8, 16},
               {kTypeBool, kTypeBool, 0, 1, 2},      {kTypeInt32, kTypeBool, 0, 4, 8},    {kTypeBool, kTypeDouble, 8, 0, 16},
               {kTypeInt32, kTypeFloat, 0, 4, 8}};
  for (const auto& c : cases) {
    Pb entry = message("MEntry").sub(2, field("key", 1, c.key)).sub(2, field("value", 2, c.value)).sub(7, Pb().num(7, 1));
    Read r(with_message(message("M").sub(2, field_of("m", 1, kTypeMessage, "MEntry", kRepeated)).sub(3, entry), "proto3"));
    const schema::Field* f = r.field("p.M", 1);
    assert_int_equal(f->map_key()->offset, c.at_key);
    assert_int_equal(f->map_value()->offset, c.at_value);
    assert_int_equal(f->message->size, c.size);
    assert_int_equal(f->stride, c.size);
    assert_int_equal(f->message->presence_words, 0);
    assert_int_equal(f->map_key()->bit, ZCRPC_NO_BIT);
  }
}

uint64_t print_of(const Pb& m, std::string_view syntax = "proto3") {
  Read r(with_message(m, syntax));
  return r->message("p.M")->fingerprint;
}

void fingerprints_are_blind_to_order_and_files(void**) {
  Pb x = field("x", 1, kTypeInt32), y = field_of("y", 2, kTypeMessage, ".p.N"), n = message("N").sub(2, field("z", 1, kTypeString));
  Pb other = message("O").sub(2, field_of("m", 1, kTypeMessage, ".p.M"));
  uint64_t want = 0;
  for (const std::string& set : {set_of({file("a.proto", "proto3").sub(4, message("M").sub(2, x).sub(2, y)).sub(4, n)}),
                                 set_of({file("b.proto", "proto3").sub(4, n).sub(4, other).sub(4, message("M").sub(2, y).sub(2, x)).sub(9, Pb())}),
                                 set_of({file("c.proto", "proto3").sub(4, n), file("d.proto", "proto3").str(3, "c.proto").sub(4, message("M").sub(2, x).sub(2, y))})}) {
    Read r(set);
    if (!want) want = r->message("p.M")->fingerprint;
    assert_true(r->message("p.M")->fingerprint == want);
    assert_true(r->message("p.M")->fingerprint != r->message("p.N")->fingerprint);
  }
}

void fingerprints_see_what_changes_the_wire_or_the_layout(void**) {
  const Pb base = message("M").sub(2, field("x", 1, kTypeInt32, kRepeated));
  const uint64_t want = print_of(base);
  assert_true(print_of(base) == want);
  assert_true(print_of(message("M").sub(2, field("renamed", 1, kTypeInt32, kRepeated))) == want);  // names of fields are not on the wire
  for (const Pb& m : {message("M").sub(2, field("x", 2, kTypeInt32, kRepeated)), message("M").sub(2, field("x", 1, kTypeSint32, kRepeated)),
                      message("M").sub(2, field("x", 1, kTypeInt32)), message("M").sub(2, field("x", 1, kTypeInt32, kRepeated).sub(8, Pb().num(2, 0))),
                      message("M").sub(2, field("x", 1, kTypeInt32, kRepeated)).sub(2, field("y", 2, kTypeInt32))})
    assert_true(print_of(m) != want);
  assert_true(print_of(message("M").sub(2, field("x", 1, kTypeInt32))) != print_of(message("M").sub(2, field("x", 1, kTypeInt32).num(9, 0).num(17, 1)).sub(8, Pb().str(1, "_x"))));
  assert_true(print_of(message("M").sub(2, field("x", 1, kTypeInt32)), "proto2") != print_of(message("M").sub(2, field("x", 1, kTypeInt32)).sub(5, Pb().num(1, 5).num(2, 6)), "proto2"));
}

void fingerprints_reach_through_cycles(void**) {
  auto with = [](int deep) {
    Read r(set_of({file("a.proto", "proto3").sub(4, message("A").sub(2, field_of("b", 1, kTypeMessage, ".p.B")))
                       .sub(4, message("B").sub(2, field_of("a", 1, kTypeMessage, ".p.A")).sub(2, field_of("c", 2, kTypeMessage, ".p.C")))
                       .sub(4, message("C").sub(2, field("x", 1, deep)))}));
    assert_true(r->message("p.A")->fingerprint != r->message("p.B")->fingerprint);
    return r->message("p.A")->fingerprint;
  };
  assert_true(with(kTypeInt32) == with(kTypeInt32));
  assert_true(with(kTypeInt32) != with(kTypeInt64));
}

// Written down once: generated code in the world carries such numbers.
void fingerprints_never_change(void**) {
  Read r(with_message(message("M").sub(2, field("x", 1, kTypeInt32)).sub(2, field("s", 2, kTypeString, kRepeated)).sub(2, field_of("m", 3, kTypeMessage, ".p.M")), "proto3"));
  assert_true(r->message("p.M")->fingerprint == 0xf384ddc9d0b5c814u);
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(log_record),
      cmocka_unit_test(slots_go_by_width_then_number_and_bits_by_number),
      cmocka_unit_test(oneofs_have_a_case_word_and_one_slot),
      cmocka_unit_test(more_than_32_presence_bits_take_words_behind_the_head),
      cmocka_unit_test(wide_messages_are_sparse),
      cmocka_unit_test(sparse_messages_have_bits_for_oneofs_and_extensions),
      cmocka_unit_test(map_entries_put_the_wider_slot_first),
      cmocka_unit_test(fingerprints_are_blind_to_order_and_files),
      cmocka_unit_test(fingerprints_see_what_changes_the_wire_or_the_layout),
      cmocka_unit_test(fingerprints_reach_through_cycles),
      cmocka_unit_test(fingerprints_never_change),
  };
  return cmocka_run_group_tests_name("schema layout", tests, nullptr, nullptr);
}
