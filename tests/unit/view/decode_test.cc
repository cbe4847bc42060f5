// What the decoder must refuse, with the byte and the path; what it must not cost; and what it must not lose.
#include <cstdio>
#include <string>

#include "unit/view/oracle.h"
#include "view_log.pb.h"
#include "view_two.pb.h"

#include "support/cmocka.h"
#include "support/fail_malloc.h"

namespace {

using namespace zcrpc;
using oracle::Decoded;
using std::string;

const schema::Message* type(const char* name, size_t dispatcher = 0) {
  return oracle::schemas()[dispatcher].schema->message(name);
}

string varint(uint64_t v) {
  string s;
  for (; v >= 0x80; v >>= 7) s += char(v | 0x80);
  return s + char(v);
}
string tag(uint32_t number, uint32_t wire_type) { return varint(uint64_t(number) << 3 | wire_type); }
string sub(uint32_t number, const string& payload) { return tag(number, 2) + varint(payload.size()) + payload; }
string num(uint32_t number, uint64_t v) { return tag(number, 0) + varint(v); }

// Refused by every dispatcher, with slack and without, eagerly and lazily, in the same words.
void refuses(const char* name, const string& bytes, int64_t offset, const char* path, const char* text,
             base::Code code = base::Code::kInvalidArgument, view::Limits limits = {}, bool lazily = true) {
  for (size_t i = 0; i < oracle::schemas().size(); i++) {
    for (int way = 0; way < (lazily ? 4 : 2); way++) {
      limits.lazy = way & 2;
      Decoded d(type(name, i), bytes, way & 1, limits);
      const base::Status s = d.view ? view::open_all(d.view, &d.arena) : std::move(d.status);
      if (s.ok()) fail_msg("%s: accepted%s: %s", oracle::schemas()[i].dispatcher->name, limits.lazy ? " lazily" : "", text);
      assert_int_equal(s.code(), code);
      assert_string_equal(s.message(), text);
      assert_string_equal(s.path(), path);
      assert_int_equal(s.offset(), offset);
    }
  }
}
// Two faults: an eager decode tells the one that comes first, a lazy one that of the message further up.
void refuses_eagerly(const char* name, const string& bytes, int64_t offset, const char* path, const char* text) {
  refuses(name, bytes, offset, path, text, base::Code::kInvalidArgument, {}, false);
}
schema::View accepts(Decoded& d) {
  if (!d.view) fail_msg("refused: byte %ld: %s: %s", long(d.status.offset()), d.status.path(), d.status.message());
  return d.view;
}

constexpr const char* kTree = "viewtest.two.Tree";
constexpr const char* kBatch = "bench.v1.LogBatch";

// ---- Broken bytes: point 1 of the binary rules ------------------------------------------------------------------

void field_number_0_is_refused(void**) {
  refuses(kTree, string("\0\0", 2), 0, "", "field number 0");
  refuses(kTree, num(1, 5) + string("\2\0", 2), 2, "", "field number 0");
  refuses(kTree, sub(2, string("\1", 1)), 2, "left", "field number 0");
}

void tags_over_5_bytes_or_32_bits_are_refused(void**) {
  refuses(kTree, "\x88\x80\x80\x80", 0, "", "truncated tag");
  refuses(kTree, string("\x88\x80\x80\x80\x80\x00\x01", 7), 0, "", "tag of more than 5 bytes or 32 bits");
  refuses(kTree, string("\x88\x80\x80\x80\x10\x01", 6), 0, "", "tag of more than 5 bytes or 32 bits");
}

void overlong_tags_and_values_are_read(void**) {
  Decoded d(type(kTree), string("\x88\x80\x00\x85\x80\x80\x80\x80\x80\x80\x80\x80\x00", 13), true);
  assert_int_equal(schema::number(accepts(d), type(kTree)->by_number(1)), 5);
}

void overflow_bits_of_the_tenth_byte_are_dropped(void**) {
  Decoded d(type("viewtest.two.Singles"), "\x20\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f", true);
  assert_int_equal(schema::number(accepts(d), type("viewtest.two.Singles")->by_number(4)), UINT64_MAX);
  refuses("viewtest.two.Singles", string("\x20\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 12), 1, "f_uint64", "varint of more than 10 bytes");
}

void wire_types_6_and_7_are_refused(void**) {
  refuses(kTree, "\x0e", 0, "", "wire type 6 or 7");
  refuses(kTree, num(1, 1) + "\x0f", 2, "", "wire type 6 or 7");
  refuses(kTree, tag(90, 3) + "\x0e", 2, "", "wire type 6 or 7");
}

void groups_must_match(void**) {
  refuses(kTree, tag(10, 4), 0, "", "end of a group that is not open");
  refuses(kTree, tag(10, 3) + tag(11, 4), 1, "inner", "end of a group that is not open");
  refuses(kTree, tag(10, 3) + num(1, 1), 0, "inner", "group without its end");
  refuses_eagerly(kTree, sub(2, tag(10, 3)) + tag(10, 4), 2, "left.inner", "group without its end");
  refuses(kTree, tag(90, 3) + tag(91, 3) + tag(90, 4), 4, "", "end of a group that is not open");
  refuses(kTree, tag(90, 3) + num(1, 1), 0, "", "group without its end");
  refuses_eagerly(kTree, sub(2, tag(90, 3)) + tag(90, 4), 2, "left", "group without its end");
}

void truncations_tell_what_and_where(void**) {
  refuses(kTree, "\x08", 1, "id", "truncated varint");
  refuses(kTree, "\x08\x80\x80", 1, "id", "truncated varint");
  refuses(kTree, "\x22", 1, "name", "truncated length");
  refuses(kTree, "\x22\x05" "abc", 1, "name", "length past the end");
  refuses(kTree, sub(2, num(1, 1) + "\x22\x02" "a") + num(1, 300), 5, "left.name", "length past the end");
  refuses(kTree, sub(2, "\x08\x80") + num(1, 1), 3, "left.id", "truncated varint");
  refuses("viewtest.two.Singles", "\x09\x01\x02", 1, "f_double", "truncated fixed-width number");
  refuses("viewtest.two.Singles", "\x15\x01\x02", 1, "f_float", "truncated fixed-width number");
  refuses(kTree, num(1, 1) + "\xf8", 2, "", "truncated tag");
  refuses(kTree, sub(2, "\xb8\x05"), 4, "left", "truncated varint");
  refuses(kTree, sub(2, "\xba\x05"), 4, "left", "truncated length");
  refuses(kTree, sub(2, "\xb9\x05"), 4, "left", "truncated fixed-width number");
  refuses(kTree, sub(2, "\xb8") + num(1, 1), 2, "left", "truncated tag");
  refuses(kTree, sub(2, num(1, 1) + "\x08"), 5, "left.id", "truncated varint");
  refuses("viewtest.two.Packs", sub(3, "\x01\x80"), 3, "r_int64[1]", "truncated varint");
  refuses("viewtest.two.Packs", sub(3, "\x01\x02\x03") + sub(3, "\x04\x80"), 8, "r_int64[4]", "truncated varint");
  refuses("viewtest.two.Packs", sub(1, "12345678" "1"), 10, "r_double[1]", "packed numbers that are not a whole number of them");
}

void the_path_counts_elements_and_names_keys(void**) {
  string record = num(1, 17) + sub(6, sub(1, "k") + sub(2, "v"));
  string bad_source = sub(9, "\x0a\x09" "abc");
  refuses(kBatch, sub(1, record) + sub(1, record) + sub(1, record) + sub(1, bad_source), 41, "records[3].source.file", "length past the end");
  refuses(kBatch, sub(1, record) + sub(1, sub(6, sub(1, "k") + "\x12\x05zz")), 20, "records[1].labels[\"k\"]", "length past the end");
  refuses(kTree, sub(8, sub(1, "a\"b") + sub(2, "\x08")), 10, "named[\"a\\\"b\"].id", "truncated varint");
  refuses(kTree, sub(8, sub(1, std::string("a\0\n", 3)) + sub(2, "\x08")), 10, "named[\"a\\x00\\x0a\"].id", "truncated varint");
  refuses(kTree, sub(9, num(1, uint64_t(-7)) + sub(2, "\x09")), 16, "numbered[-7].s0_double", "truncated fixed-width number");
  refuses(kTree, num(5, 1) + num(5, 2) + tag(5, 0) + "\xff", 5, "numbers[2]", "truncated varint");
  refuses(kTree, sub(3, "") + sub(3, sub(102, "\x08")), 8, "kids[1].[viewtest.two.x_tree].id", "truncated varint");
  refuses(kTree, sub(7, "") + sub(7, "\x0e"), 4, "wides[1]", "wire type 6 or 7");
}

void bad_utf8_is_refused_wherever_it_stands(void**) {
  const char* batch = kBatch;
  refuses(batch, sub(1, sub(2, "ab\xff" "c")), 6, "records[0].service", "invalid UTF-8");
  refuses(batch, sub(1, sub(6, sub(1, "\xc0\x80"))), 6, "records[0].labels", "invalid UTF-8");
  refuses(batch, sub(1, sub(6, sub(1, "k") + sub(2, "\xed\xa0\x80"))), 9, "records[0].labels[\"k\"]", "invalid UTF-8");
  refuses("viewtest.three.Lists", sub(9, "ok") + sub(9, "\xf5"), 6, "r_string[1]", "invalid UTF-8");
  refuses("viewtest.three.Oneofs", sub(2, string(40, 'a') + "\xe2\x82"), 42, "a_text", "invalid UTF-8");
  Decoded d(type(kTree), sub(4, "\xff"), true);  // proto2 does not ask for it
  accepts(d);
}

void every_cut_inside_a_field_is_refused(void**) {
  oracle::Random random(7);
  viewtest::two::Tree m;
  do oracle::fill(&m, random, 3);
  while (m.ByteSizeLong() < 500 || m.ByteSizeLong() > 3000);
  string bytes = oracle::encode(m);
  std::vector<bool> ends(bytes.size() + 1);
  auto* p = reinterpret_cast<const uint8_t*>(bytes.data());
  for (const uint8_t *q = p, *end = p + bytes.size(); q <= end;) {
    ends[size_t(q - p)] = true;
    if (q == end) break;
    uint32_t t;
    wire::Fault fault;
    const uint8_t* at;
    q = wire::read_tag(q, end, &t, &fault);
    q = wire::skip_value(q, end, t, 100, &fault, &at);
  }
  for (size_t n = 0; n < bytes.size(); n++) {
    for (size_t i = 0; i < oracle::schemas().size(); i++) {
      Decoded d(type(kTree, i), bytes.substr(0, n), n % 2);
      assert_int_equal(d.status.ok(), ends[n]);
      if (d.status.ok()) continue;
      assert_int_equal(d.status.code(), base::Code::kInvalidArgument);
      assert_true(d.status.offset() >= 0 && d.status.offset() <= int64_t(n));
    }
  }
}

// ---- Lazy views -----------------------------------------------------------------------------------------------------

view::Limits lazily() {
  view::Limits limits;
  limits.lazy = true;
  return limits;
}

// The same, where the root itself is accepted lazily: what is wrong is in what was not opened yet.
void refuses_lazily(const char* name, const string& bytes, int64_t offset, const char* path, const char* text,
                    base::Code code = base::Code::kInvalidArgument, view::Limits limits = {}) {
  refuses(name, bytes, offset, path, text, code, limits);
  limits.lazy = true;
  for (size_t i = 0; i < oracle::schemas().size(); i++) {
    Decoded d(type(name, i), bytes, true, limits);
    accepts(d);
  }
}

void a_fault_in_a_closed_child_shows_when_it_is_opened_in_the_same_words(void**) {
  string record = num(1, 17) + sub(6, sub(1, "k") + sub(2, "v"));
  string bad_source = sub(9, "\x0a\x09" "abc");
  refuses_lazily(kBatch, sub(1, record) + sub(1, record) + sub(1, record) + sub(1, bad_source), 41, "records[3].source.file", "length past the end");
  refuses_lazily(kTree, sub(8, sub(1, "a\"b") + sub(2, "\x08")), 10, "named[\"a\\\"b\"].id", "truncated varint");
  refuses_lazily(kTree, sub(3, "") + sub(3, sub(102, "\x08")), 8, "kids[1].[viewtest.two.x_tree].id", "truncated varint");
  refuses_lazily(kTree, sub(7, "") + sub(7, "\x0e"), 4, "wides[1]", "wire type 6 or 7");
  refuses_lazily(kTree, sub(2, num(1, 5)) + sub(2, "\x08"), 7, "left.id", "truncated varint");
  refuses_lazily(kTree, sub(2, sub(3, "") + sub(3, num(1, 1) + sub(2, "\x08"))), 11, "left.kids[1].left.id", "truncated varint");
  refuses_lazily(kTree, tag(10, 3) + num(1, 5) + tag(10, 4) + sub(2, "\xff"), 6, "left", "truncated tag");
}

// Every cut and every changed byte of some messages in messages: where only one thing can be wrong, eagerly and lazily it is the
// same one, at the same byte. Of two faults, the one nearer to the root comes first lazily, and the one nearer to the start eagerly.
void one_fault_is_told_lazily_as_it_is_eagerly(void**) {
  const string whole = num(1, 300) + sub(2, sub(3, num(1, 1) + sub(4, "ab")) + sub(8, sub(1, "k") + sub(2, num(1, 7) + sub(2, "")))) +
                       tag(10, 3) + num(1, 5) + tag(10, 4) + sub(3, sub(2, sub(2, num(1, 300))) + num(5, 2));
  const schema::Message* t = type(kTree);
  size_t same = 0, other = 0;
  auto compare = [&](const string& bytes, bool must) {
    for (bool slack : {true, false}) {
      Decoded eager(t, bytes, slack), lazy(t, bytes, slack, lazily());
      const base::Status s = lazy.view ? view::open_all(lazy.view, &lazy.arena) : std::move(lazy.status);
      const bool equal = s.code() == eager.status.code() && s.offset() == eager.status.offset() && strcmp(s.path(), eager.status.path()) == 0 && strcmp(s.message(), eager.status.message()) == 0;
      if (getenv("SHOW") && !equal && slack)
        printf("%s at %ld in %s, but lazily %s at %ld in %s\n", eager.status.message(), long(eager.status.offset()), eager.status.path(), s.message(),
                 long(s.offset()), s.path());
      if (!equal && must)
        fail_msg("%s at %ld in %s, but lazily %s at %ld in %s", eager.status.message(), long(eager.status.offset()), eager.status.path(), s.message(),
                 long(s.offset()), s.path());
      (equal ? same : other)++;
    }
  };
  for (size_t n = 0; n <= whole.size(); n++) compare(whole.substr(0, n), true);
  for (size_t at = 0; at < whole.size(); at++)
    for (int b = 0; b < 256; b++) {
      string bytes = whole;
      bytes[at] = char(b);
      compare(bytes, false);
    }
  assert_true(same > 20 * other);
}

void depth_counts_over_all_levels_of_a_lazy_view(void**) {
  string bytes = num(1, 1);
  for (int i = 0; i < 5; i++) bytes = sub(2, bytes);
  view::Limits limits;
  limits.max_depth = 5;
  limits.lazy = true;
  Decoded d(type(kTree), bytes, true, limits);
  assert_true(view::open_all(accepts(d), &d.arena).ok());
  limits.lazy = false;
  limits.max_depth = 4;
  refuses_lazily(kTree, bytes, 8, "left.left.left.left.left", "nested deeper than the limit of 4 levels", base::Code::kResourceExhausted, limits);
}

void children_share_one_budget(void**) {
  string bytes;
  for (int i = 0; i < 1000; i++) bytes += sub(3, "");
  view::Limits limits = lazily();
  limits.max_index = 60000;
  Decoded d(type(kTree), bytes, true, limits);
  const schema::Field* kids = type(kTree)->by_number(3);
  schema::View v = accepts(d);
  assert_int_equal(schema::elements(v, kids).count, 1000);
  size_t opened = 0;
  for (; opened < 1000; opened++) {
    base::Result<schema::View> child = view::open(v, kids, opened, &d.arena);
    if (child.ok()) continue;
    assert_int_equal(child.status().code(), base::Code::kResourceExhausted);
    assert_string_equal(child.status().message(), "index larger than the limit of 60000 bytes");
    assert_string_equal(child.status().path(), ("kids[" + std::to_string(opened) + "]").c_str());
    break;
  }
  assert_true(opened > 50 && opened < 500);
  assert_true(schema::lazy_link_of(v)->root->used <= 60000);  // debug builds' notes lie in the arena too
#ifndef ZCRPC_DEBUG
  assert_true(d.arena.used() <= 60000);
#endif
}

void a_child_is_opened_once_and_then_kept(void**) {
  string bytes = sub(2, num(1, 5)) + num(1, 9) + sub(2, sub(4, "x")) + sub(7, "") + sub(8, sub(1, "k") + sub(2, num(1, 3)));
  for (bool slack : {true, false}) {
    Decoded d(type(kTree), bytes, slack, lazily());
    const schema::Message* t = type(kTree);
    schema::View v = accepts(d);
    assert_true(schema::has(v, t->by_number(2)));
    assert_null(schema::sub_message(v, t->by_number(2)));
    assert_null(schema::elements(v, t->by_number(7)).message(t->by_number(7)->message, 0));
    schema::View left = view::open(v, t->by_number(2), 0, &d.arena).value();
    assert_ptr_equal(schema::sub_message(v, t->by_number(2)), left);
    assert_ptr_equal(view::open(v, t->by_number(2), 0, &d.arena).value(), left);
    assert_int_equal(schema::number(left, t->by_number(1)), 5);
    assert_string_equal(string(schema::string(left, t->by_number(4)).text()).c_str(), "x");
    auto pieces = schema::pieces(left);
    assert_int_equal(pieces.size(), 2);
    assert_int_equal(pieces[0].offset, 2);
    assert_int_equal(pieces[1].offset, 8);
    schema::View named = view::open(v, t->by_number(8), 0, &d.arena).value();
    assert_int_equal(schema::number(named, t->by_number(1)), 3);
    base::Slice whole;
    assert_true(schema::encoded(named, &whole));
    assert_int_equal(whole.size, 2);
    assert_null(view::open(v, t->by_number(8), 1, &d.arena).value());
    assert_null(view::open(v, t->by_number(6), 0, &d.arena).value());
    base::Arena other;
    assert_int_equal(view::open(v, t->by_number(7), 0, &other).status().code(), base::Code::kInvalidArgument);
  }
}

void many_pieces_of_a_closed_child_are_not_quadratic(void**) {
  string bytes;
  for (int i = 0; i < 300000; i++) bytes += sub(2, num(1, 1));
  Decoded d(type(kTree), bytes, true, lazily());
  schema::View left = view::open(accepts(d), type(kTree)->by_number(2), 0, &d.arena).value();
  assert_non_null(left);
  assert_int_equal(schema::pieces(left).size(), 300000);
}

void dropped_unknown_fields_leave_no_row(void**) {
  view::Limits limits;
  string bytes = num(1, 1) + num(777777, 5) + sub(2, num(777777, 6));
  limits.drop_unknown = true;
  Decoded d(type(kTree), bytes, true, limits);
  schema::View v = accepts(d);
  assert_int_equal(schema::unknown(v).size(), 0);
  assert_int_equal(schema::index_of(v)->unknown_count, 0);
  refuses(kTree, bytes + tag(777777, 3), 14, "", "group without its end", base::Code::kInvalidArgument, limits);
}

// ---- MessageSet ---------------------------------------------------------------------------------------------------

string item(const string& type_id, const string& message, bool type_first) {
  return tag(1, 3) + (type_first ? type_id + message : message + type_id) + tag(1, 4);
}

void items_of_a_message_set_are_extensions_in_either_order(void**) {
  const schema::Message *set = type("viewtest.two.Set"), *element = type("viewtest.two.SetElement");
  const schema::Field* known = set->extension(1547769);
  assert_non_null(known);
  const string id = num(2, 1547769), payload = num(1, 5) + sub(2, item(id, sub(3, num(1, 6)), false));
  for (size_t i = 0; i < oracle::schemas().size(); i++) {
    for (bool first : {true, false}) {
      for (bool lazy : {true, false}) {
        for (bool slack : {true, false}) {
          view::Limits limits;
          limits.lazy = lazy;
          const string bytes = item(num(2, 99), sub(3, "\xff"), first) + item(id, sub(3, payload) + num(9, 1), first) + sub(77, "x") +
                               item(id, sub(3, sub(3, string(300, 'q'))), first) + item(id, "", first);
          Decoded d(type("viewtest.two.Set", i), bytes, slack, limits);
          schema::View v = accepts(d);
          assert_true(view::open_all(v, &d.arena).ok());
          const schema::Field* own = schema::type_of(v)->extension(1547769);
          schema::View e = schema::sub_message(v, own);
          assert_non_null(e);
          assert_int_equal(schema::number(e, element->by_number(1)), 5);
          assert_int_equal(schema::string(e, element->by_number(3)).size, 300);
          schema::View inner = schema::sub_message(schema::sub_message(e, schema::type_of(e)->by_number(2)), own);
          assert_non_null(inner);
          assert_int_equal(schema::number(inner, element->by_number(1)), 6);
          assert_int_equal(schema::pieces(e).size(), 2);
          // The stranger, the field that is none, and the item without a message, as they came.
          auto rows = schema::unknown(v);
          assert_int_equal(rows.size(), 3);
          assert_int_equal(rows[0].offset, 0);
          assert_int_equal(rows[0].len, item(num(2, 99), sub(3, "\xff"), first).size());
          assert_int_equal(rows[1].len, 4);
          assert_int_equal(rows[2].offset + rows[2].len, bytes.size());
        }
      }
    }
  }
  // An extension as a field of its own is fine too.
  Decoded plain(set, sub(1547769, num(1, 8)), true);
  assert_int_equal(schema::number(schema::sub_message(accepts(plain), known), element->by_number(1)), 8);
}

void a_broken_item_tells_byte_and_path(void**) {
  const string id = num(2, 1547769);
  refuses("viewtest.two.HasSet", sub(1, item(id, sub(3, "\x08"), true)), 10, "set.[viewtest.two.SetElement.element].id", "truncated varint");
  refuses("viewtest.two.HasSet", sub(1, tag(1, 3) + id), 2, "set", "group without its end");
  refuses("viewtest.two.HasSet", sub(1, tag(1, 3) + id + tag(2, 4)), 7, "set", "end of a group that is not open");
  string bytes = item(id, sub(3, ""), true);
  for (int i = 0; i < 50; i++) bytes = item(id, sub(3, sub(2, bytes)), true);
  Decoded d(type("viewtest.two.Set"), bytes, true);
  assert_int_equal(d.status.code(), base::Code::kResourceExhausted);
}

// ---- Merging: what must not get lost ------------------------------------------------------------------------------

void a_failed_second_occurrence_is_a_failed_decode(void**) {
  refuses(kTree, sub(2, num(1, 5)) + sub(2, "\x08"), 7, "left.id", "truncated varint");
  refuses("viewtest.two.Oneofs", sub(3, num(1, 5)) + sub(2, "abc") + sub(3, "\x08"), 12, "a_tree.id", "truncated varint");
}

void a_merged_message_lists_its_pieces_in_order(void**) {
  string bytes = sub(2, num(1, 5)) + num(1, 9) + sub(2, sub(4, "x"));
  Decoded d(type(kTree), bytes, true);
  schema::View left = schema::sub_message(accepts(d), type(kTree)->by_number(2));
  assert_int_equal(schema::number(left, type(kTree)->by_number(1)), 5);
  assert_string_equal(string(schema::string(left, type(kTree)->by_number(4)).text()).c_str(), "x");
  base::Slice whole;
  assert_false(schema::encoded(left, &whole));
  auto pieces = schema::pieces(left);
  assert_int_equal(pieces.size(), 2);
  assert_int_equal(pieces[0].offset, 2);
  assert_int_equal(pieces[0].len, 2);
  assert_int_equal(pieces[1].offset, 8);
  assert_int_equal(pieces[1].len, 3);
}

void groups_of_several_pieces_are_listed_without_their_tags(void**) {
  string bytes = tag(10, 3) + num(1, 5) + tag(10, 4) + tag(10, 3) + num(4, 6) + num(4, 7) + tag(10, 4);
  Decoded d(type(kTree), bytes, true);
  schema::View inner = schema::sub_message(accepts(d), type(kTree)->by_number(10));
  auto pieces = schema::pieces(inner);
  assert_int_equal(pieces.size(), 2);
  assert_int_equal(pieces[0].offset, 1);
  assert_int_equal(pieces[0].len, 2);
  assert_int_equal(pieces[1].offset, 5);
  assert_int_equal(pieces[1].len, 4);
}

void a_closed_enums_stray_value_is_an_unknown_field(void**) {
  const schema::Message* t = type("viewtest.two.Packs");
  string bytes = sub(17, "\x01\x05\x0a\x63");  // r_near: 5 and 99 are none
  Decoded d(t, bytes, true);
  schema::View v = accepts(d);
  assert_int_equal(schema::elements(v, t->by_number(17)).count, 2);
  auto rows = schema::unknown(v);
  assert_int_equal(rows.size(), 2);
  assert_int_equal(rows[0].number, 17);
  assert_int_equal(rows[0].offset, 4);
  assert_int_equal(rows[1].offset, 6);
  Decoded one(type("viewtest.two.Singles"), num(16, 1) + num(17, 5) + num(17, 1), true);
  v = accepts(one);
  assert_int_equal(schema::number(v, type("viewtest.two.Singles")->by_number(17)), 1);
  rows = schema::unknown(v);
  assert_int_equal(rows.size(), 1);
  assert_int_equal(rows[0].number, 0);
  assert_int_equal(rows[0].len, 3);
}

void a_map_entrys_stray_enum_makes_the_entry_unknown(void**) {
  const schema::Message* t = type("viewtest.two.Mix");
  string fixed = string("\x0d\x01\x00\x00\x00", 5);
  string bytes = sub(9, fixed + num(2, 77)) + sub(9, fixed + num(2, 10));
  Decoded d(t, bytes, false);
  schema::View v = accepts(d);
  assert_int_equal(schema::elements(v, t->by_number(9)).count, 1);
  auto rows = schema::unknown(v);
  assert_int_equal(rows.size(), 1);
  assert_int_equal(rows[0].offset, 0);
  assert_int_equal(rows[0].len, bytes.size() / 2);
}

void a_map_value_that_comes_twice_replaces(void**) {
  const schema::Message *t = type(kTree), *tree = t;
  string bytes = sub(8, sub(1, "k") + sub(2, num(1, 5)) + sub(2, sub(4, "x")));
  Decoded d(t, bytes, true);
  const schema::Field* f = t->by_number(8);
  auto e = schema::elements(accepts(d), f);
  assert_int_equal(e.count, 1);
  schema::View value = e.message_at(e.at(0) + f->map_value()->offset);
  assert_false(schema::has(value, tree->by_number(1)));
  assert_true(schema::has(value, tree->by_number(4)));
}

// ---- Cost: memory, depth, time ------------------------------------------------------------------------------------

size_t index_size(const Decoded& d) { return schema::index_of(d.view)->size; }

void sparse_records_fit_the_default_budget(void**) {
  // Of Wide's fields, over 90, each record sets three; of Tree's two.
  string wide = num(5, 7) + sub(9, "abc") + num(90, 1), bytes, two;
  for (int i = 0; i < 100000; i++) bytes += sub(7, wide);
  Decoded d(type(kTree), bytes, false);
  accepts(d);
  assert_true(index_size(d) <= 8 * bytes.size());
  assert_int_equal(schema::elements(d.view, type(kTree)->by_number(7)).count, 100000);
  for (int i = 0; i < 100000; i++) two += sub(3, num(1, uint64_t(i)) + num(5, 1));
  Decoded small(type(kTree), two, true);
  accepts(small);
}

void a_budget_ends_in_an_element_that_is_not_there(void**) {
  // Sparse elements are counted before the first of them has a place.
  string bytes, inner;
  for (int i = 0; i < 20; i++) bytes += sub(7, num(5, 7) + num(90, 1));
  const size_t stride = bytes.size() / 20;
  inner = sub(2, bytes);
  const size_t head = inner.size() - bytes.size();
  const string name = "wides";
  size_t ended = 0;
  for (size_t limit = 64; limit < 8000; limit += 40) {
    view::Limits limits;
    limits.max_index = limit;
    for (bool nested : {false, true}) {
      Decoded d(type(kTree), nested ? inner : bytes, true, limits);
      if (d.status.ok() || !strstr(d.status.path(), name.c_str())) continue;  // or it ends before the first
      // Opened at its tag, or closed at its last byte.
      const size_t at = size_t(d.status.offset()) - (nested ? head : 0);
      const size_t element = strtoul(strchr(d.status.path(), '[') + 1, nullptr, 10);
      assert_in_range(at, element * stride, (element + 1) * stride);
      assert_string_equal(d.status.path(), ((nested ? "left." : "") + name + "[" + std::to_string(element) + "]").c_str());
      ended++;
    }
  }
  assert_true(ended > 20);
}

void what_costs_too_much_is_refused(void**) {
  string empty;
  while (empty.size() < 4u << 20) empty += sub(3, "");  // two bytes that make a message each
  Decoded d(type(kTree), empty, true);
  assert_int_equal(d.status.code(), base::Code::kResourceExhausted);
  assert_string_equal(d.status.message(), "index larger than the limit of 67108864 bytes");
  // Unknown fields, and known ones between them so that no two ranges touch.
  string strange;
  while (strange.size() < 8u << 20) strange += num(90, 1) + num(1, 1);
  Decoded u(type(kTree), strange, true);
  assert_true(u.view == nullptr || index_size(u) <= 32 * strange.size() + (1u << 20));
  view::Limits limits;
  limits.max_index = 4096;
  refuses(kTree, empty.substr(0, 4000), 0,
          "kids[0]", "index larger than the limit of 4096 bytes", base::Code::kResourceExhausted, limits);
}

string nested(int levels, const string& inner, uint32_t field) {
  string s = inner;
  for (int i = 0; i < levels; i++) s = sub(field, s);
  return s;
}

void depth_is_limited_at_100_for_all_that_nests(void**) {
  Decoded ok(type(kTree), nested(100, num(1, 1), 2), true);
  accepts(ok);
  Decoded deep(type(kTree), nested(101, num(1, 1), 2), true);
  assert_int_equal(deep.status.code(), base::Code::kResourceExhausted);
  assert_string_equal(deep.status.message(), "nested deeper than the limit of 100 levels");
  string groups;
  for (int i = 0; i < 101; i++) groups = tag(90, 3) + groups + tag(90, 4);
  Decoded unknown(type(kTree), groups, true);
  assert_int_equal(unknown.status.code(), base::Code::kResourceExhausted);
  Decoded less(type(kTree), groups.substr(2, groups.size() - 4), true);
  accepts(less);
  // A map's value is two levels down: its entry is one.
  string named;
  for (int i = 0; i < 50; i++) named = sub(8, sub(1, "k") + sub(2, named));
  Decoded maps(type(kTree), named, true);
  accepts(maps);
  Decoded more(type(kTree), sub(2, named), true);
  assert_int_equal(more.status.code(), base::Code::kResourceExhausted);
  view::Limits limits;
  limits.max_depth = 900;
  Decoded raised(type(kTree), nested(900, "", 2), false, limits);
  accepts(raised);
  Decoded over(type(kTree), nested(901, "", 2), false, limits);
  assert_int_equal(over.status.code(), base::Code::kResourceExhausted);
}

void many_keys_are_not_quadratic(void**) {
  // 200,000 keys, none in order, half of them twice; a quadratic search would take minutes.
  string bytes;
  for (uint32_t i = 0; i < 200000; i++) bytes += sub(3, num(1, (i * 2654435761u) % 100000) + num(2, i));
  Decoded d(type("viewtest.two.Mix"), bytes, true);
  assert_true(schema::elements(accepts(d), type("viewtest.two.Mix")->by_number(3)).count <= 100000);
  // The same in runs of one, another field between them.
  bytes.clear();
  for (uint32_t i = 0; i < 100000; i++) bytes += sub(3, num(1, (i * 2654435761u) % 50000) + num(2, i)) + sub(5, num(1, i % 7));
  Decoded apart(type("viewtest.two.Mix"), bytes, true);
  assert_true(schema::elements(accepts(apart), type("viewtest.two.Mix")->by_number(3)).count <= 50000);
  assert_int_equal(schema::elements(apart.view, type("viewtest.two.Mix")->by_number(5)).count, 7);
}

void interleaved_arrays_are_not_copied_each_time(void**) {
  string bytes;
  for (uint32_t i = 0; i < 100000; i++) bytes += num(3, i) + num(5, i) + sub(9, "s") + num(11, 1);
  Decoded d(type("viewtest.two.Lists"), bytes, true);
  accepts(d);
  for (uint32_t f : {3u, 5u, 9u, 11u}) assert_int_equal(schema::elements(d.view, type("viewtest.two.Lists")->by_number(f)).count, 100000);
}

void a_long_declared_length_takes_no_memory(void**) {
  string bytes = tag(2, 2) + varint(0x7fffffff) + "x";
  for (const char* name : {kTree, "viewtest.two.Packs"}) {
    Decoded d(type(name), bytes, true);
    assert_int_equal(d.status.code(), base::Code::kInvalidArgument);
    assert_true(d.arena.reserved() < 8192);
  }
}

void each_decode_takes_one_allocation_or_none(void**) {
  oracle::Random random(3);
  bench::v1::LogBatch m;
  do oracle::fill(&m, random, 3);
  while (m.ByteSizeLong() < 2000);
  string bytes = oracle::encode(m) + string(32, '\0');
  base::Arena arena;
  base::Slice data(bytes.data(), bytes.size() - 32);
  fail_malloc_at(0);
  assert_true(view::decode(type(kBatch), data, true, {}, &arena).ok());
  assert_int_equal(fail_malloc_count(), 1);
  arena.reset();
  assert_true(view::decode(type(kBatch), data, true, {}, &arena).ok());
#ifndef ZCRPC_DEBUG  // debug builds set the old block aside
  assert_int_equal(fail_malloc_count(), 1);
#endif
  fail_malloc_stop();
}

void running_out_of_memory_is_an_error_at_every_allocation(void**) {
  string bytes;
  for (int i = 0; i < 3000; i++) bytes += sub(3, num(1, 1)) + num(90, 1) + num(5, 3) + sub(7, num(5, 7)) + sub(9, num(1, uint64_t(9000 - i)));
  for (long n = 1;; n++) {
    long before = fail_malloc_live();
    bool ok;
    int failed;
    {
      base::Arena arena;
      fail_malloc_from(n);
      auto r = view::decode(type(kTree), base::Slice(bytes.data(), bytes.size()), false, {}, &arena);
      failed = fail_malloc_stop();
      ok = r.ok();
      if (!ok) assert_int_equal(r.status().code(), base::Code::kResourceExhausted);
    }
#ifndef ZCRPC_DEBUG
    assert_int_equal(fail_malloc_live(), before);
#else
    (void)before;
#endif
    if (!failed) {
      assert_true(ok);
      assert_true(n > 2);
      break;
    }
  }
}

void an_index_in_the_callers_memory_is_the_same_and_tells_its_size(void**) {
  oracle::Random random(11);
  viewtest::two::Tree m;
  do oracle::fill(&m, random, 3);
  while (m.ByteSizeLong() < 2000);
  string bytes = oracle::encode(m);
  Decoded d(type(kTree), bytes, true);
  string want = Decoded(type(kTree), bytes, false).index();
  base::Slice data(bytes.data(), bytes.size());
  size_t size;
  base::Status s = view::index(type(kTree), data, {}, nullptr, 0, &size);
  assert_int_equal(s.code(), base::Code::kTooSmall);
  assert_int_equal(size, want.size());
  std::vector<uint64_t> memory(size / 8);
  assert_true(view::index(type(kTree), data, {}, memory.data(), size, &size).ok());
  assert_int_equal(size, want.size());
  assert_int_equal(view::index(type(kTree), data, {}, memory.data(), size - 8, &size).code(), base::Code::kTooSmall);
}

}  // namespace

int main() {
  (void)oracle::schemas();
  const CMUnitTest tests[] = {
      cmocka_unit_test(field_number_0_is_refused),
      cmocka_unit_test(tags_over_5_bytes_or_32_bits_are_refused),
      cmocka_unit_test(overlong_tags_and_values_are_read),
      cmocka_unit_test(overflow_bits_of_the_tenth_byte_are_dropped),
      cmocka_unit_test(wire_types_6_and_7_are_refused),
      cmocka_unit_test(groups_must_match),
      cmocka_unit_test(truncations_tell_what_and_where),
      cmocka_unit_test(the_path_counts_elements_and_names_keys),
      cmocka_unit_test(bad_utf8_is_refused_wherever_it_stands),
      cmocka_unit_test(every_cut_inside_a_field_is_refused),
      cmocka_unit_test(a_fault_in_a_closed_child_shows_when_it_is_opened_in_the_same_words),
      cmocka_unit_test(one_fault_is_told_lazily_as_it_is_eagerly),
      cmocka_unit_test(depth_counts_over_all_levels_of_a_lazy_view),
      cmocka_unit_test(children_share_one_budget),
      cmocka_unit_test(a_child_is_opened_once_and_then_kept),
      cmocka_unit_test(many_pieces_of_a_closed_child_are_not_quadratic),
      cmocka_unit_test(dropped_unknown_fields_leave_no_row),
      cmocka_unit_test(items_of_a_message_set_are_extensions_in_either_order),
      cmocka_unit_test(a_broken_item_tells_byte_and_path),
      cmocka_unit_test(a_failed_second_occurrence_is_a_failed_decode),
      cmocka_unit_test(a_merged_message_lists_its_pieces_in_order),
      cmocka_unit_test(groups_of_several_pieces_are_listed_without_their_tags),
      cmocka_unit_test(a_closed_enums_stray_value_is_an_unknown_field),
      cmocka_unit_test(a_map_entrys_stray_enum_makes_the_entry_unknown),
      cmocka_unit_test(a_map_value_that_comes_twice_replaces),
      cmocka_unit_test(sparse_records_fit_the_default_budget),
      cmocka_unit_test(a_budget_ends_in_an_element_that_is_not_there),
      cmocka_unit_test(what_costs_too_much_is_refused),
      cmocka_unit_test(depth_is_limited_at_100_for_all_that_nests),
      cmocka_unit_test(many_keys_are_not_quadratic),
      cmocka_unit_test(interleaved_arrays_are_not_copied_each_time),
      cmocka_unit_test(a_long_declared_length_takes_no_memory),
      cmocka_unit_test(each_decode_takes_one_allocation_or_none),
      cmocka_unit_test(running_out_of_memory_is_an_error_at_every_allocation),
      cmocka_unit_test(an_index_in_the_callers_memory_is_the_same_and_tells_its_size),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
