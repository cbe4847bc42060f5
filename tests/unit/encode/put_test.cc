// Puts, sub-messages, references and results, byte for byte.
#include <cstring>

#include "encode_test.h"

namespace {

using encode::Encoder;

struct Bench {
  Types types;
  Encoder* e = encode::encoder_new(nullptr);
  base::Arena arena;
  ~Bench() { encode::encoder_free(e); }
  Encoder* start(const char* type, size_t headroom = 0) {
    encode::reset(e, types[type], headroom);
    return e;
  }
};

std::string bytes(std::initializer_list<int> b) {
  std::string s;
  for (int c : b) s += char(c);
  return s;
}
void text(Encoder* e, uint32_t field, std::string_view s) { encode::put_string(e, field, slice(s)); }

void each_kind_is_written_as_its_type_says(void**) {
  Bench b;
  Encoder* e = b.start("t.All");
  encode::put_double(e, 1, 1.0);
  encode::put_double(e, 2, 1.0);
  encode::put_int64(e, 5, -1);
  encode::put_uint64(e, 6, 1);
  encode::put_uint64(e, 7, 2);
  encode::put_int64(e, 8, 1);
  text(e, 9, "hi");
  encode::put_int64(e, 14, -3);
  encode::put_int64(e, 15, -2);
  encode::put_int64(e, 17, -1);
  encode::put_int64(e, 18, INT64_MIN);
  text(e, 536870911, "x");
  assert_true(finished(e) ==
              bytes({0x09, 0, 0, 0, 0, 0, 0, 0xF0, 0x3F, 0x15, 0, 0, 0x80, 0x3F,                            //
                     0x28, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 1,                          //
                     0x31, 1, 0, 0, 0, 0, 0, 0, 0, 0x3D, 2, 0, 0, 0, 0x40, 1, 0x4A, 2, 'h', 'i',             //
                     0x70, 0xFD, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 1, 0x7D, 0xFE, 0xFF, 0xFF, 0xFF,  //
                     0x88, 1, 1, 0x90, 1, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 1,           //
                     0xFA, 0xFF, 0xFF, 0xFF, 0x0F, 1, 'x'}));
}

void packed_runs_have_one_tag_and_unpacked_ones_many(void**) {
  Bench b;
  const int64_t v[] = {1, -1, 300};
  Encoder* e = b.start("t.Repeated");
  encode::put_int64s(e, 5, v, 3);
  encode::put_int64s(e, 17, v, 3);
  encode::put_int64s(e, 5, v, 0);
  assert_true(finished(e) == bytes({0x2A, 13, 1, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 1, 0xAC, 2,  //
                                    0x8A, 1, 4, 2, 1, 0xD8, 4}));
  e = b.start("t.Unpacked");
  encode::put_int64s(e, 17, v, 3);
  assert_true(finished(e) == bytes({0x88, 1, 2, 0x88, 1, 1, 0x88, 1, 0xD8, 4}));
  e = b.start("t.Repeated");
  const double d[] = {0.5, -2};
  encode::put_doubles(e, 2, d, 2);
  encode::begin_packed(e, b.types["t.Repeated"]->by_number(13));
  encode::put_element(e, b.types["t.Repeated"]->by_number(13), 128);
  encode::end(e);
  assert_true(finished(e) == bytes({0x12, 8, 0, 0, 0, 0x3F, 0, 0, 0, 0xC0, 0x6A, 2, 0x80, 1}));
}

// Lengths of every size, each after one of another size, so that each guess is wrong.
void a_wrong_guess_of_a_length_moves_the_bytes(void**) {
  Bench b;
  Encoder* e = b.start("t.All");
  std::string want;
  for (size_t n : std::initializer_list<size_t>{0, 1, 125, 130, 3, 16370, 16390, 7, 300, 2100000, 1}) {
    std::string s(n, 'x');
    encode::begin(e, 40);
    text(e, 1, s);
    encode::put_int64(e, 2, 5);
    encode::end(e);
    std::string leaf = "\x0A";
    auto varint = [](size_t v) {
      std::string r;
      for (; v >= 0x80; v >>= 7) r += char(v | 0x80);
      return r + char(v);
    };
    leaf += varint(n) + s + "\x10\x05";
    want += "\xC2\x02" + varint(leaf.size()) + leaf;
  }
  assert_true(finished(e) == want);
}

void groups_end_with_a_tag(void**) {
  Bench b;
  Encoder* e = b.start("t2.Two");
  encode::begin(e, 5);
  encode::put_int64(e, 1, 7);
  encode::begin(e, 3);
  encode::put_int64(e, 1, 9);
  encode::end(e);
  encode::end(e);
  encode::put_int64(e, 101, 3);  // an extension
  assert_true(finished(e) == bytes({0x2B, 8, 7, 0x1A, 2, 8, 9, 0x2C, 0xA8, 6, 3}));
}

void a_sub_view_passes_byte_for_byte(void**) {
  Bench b;
  // Overlong on purpose, with an unknown field: nothing may be made prettier.
  std::string leaf = bytes({0x0A, 0x81, 0x00, 'n', 0x10, 0x80, 0x80, 0x00, 0x78, 0x05});
  std::string in = bytes({0x9A, 1, int(leaf.size())}) + leaf;
  schema::View v = decode(b.types["t.All"], in, &b.arena);
  schema::View child = schema::sub_message(v, b.types["t.All"]->by_number(19));
  Encoder* e = b.start("t.All");
  encode::put_view(e, 19, child);
  encode::put_view(e, 40, child);
  encode::put_view(e, 20, v);
  encode::put_view(e, 19, nullptr);
  assert_true(finished(e) == in + bytes({0xC2, 2, int(leaf.size())}) + leaf + bytes({0xA2, 1, int(in.size())}) + in + bytes({0x9A, 1, 0}));
}

void a_merged_view_is_written_as_its_pieces(void**) {
  Bench b;
  std::string in = bytes({0x9A, 1, 3, 0x0A, 1, 'a', 0x9A, 1, 2, 0x10, 7, 0x9A, 1, 3, 0x0A, 1, 'z'});
  schema::View child = schema::sub_message(decode(b.types["t.All"], in, &b.arena), b.types["t.All"]->by_number(19));
  Encoder* e = b.start("t.All");
  encode::put_view(e, 40, child);
  assert_true(finished(e) == bytes({0xC2, 2, 8, 0x0A, 1, 'a', 0x10, 7, 0x0A, 1, 'z'}));
  e = b.start("t.All");
  encode::begin(e, 40);
  encode::put_fields(e, child);
  encode::end(e);
  assert_true(finished(e) == bytes({0xC2, 2, 5, 0x0A, 1, 'z', 0x10, 7}));
}

void a_group_passes_into_a_length_and_back(void**) {
  Bench b;
  const schema::Message* two = b.types["t2.Two"];
  std::string in = bytes({0x2B, 8, 7, 0x2C});
  schema::View part = schema::sub_message(decode(two, in, &b.arena), two->by_number(5));
  Encoder* e = b.start("t2.Two");
  encode::put_view(e, 5, part);
  assert_true(finished(e) == in);
}

void implicit_defaults_are_dropped_and_explicit_zeros_kept(void**) {
  Bench b;
  std::string in = bytes({0x28, 0, 0x4A, 0, 0x40, 0, 0xA8, 1, 0, 0xF0, 1, 0, 0x09, 0, 0, 0, 0, 0, 0, 0, 0x80});
  schema::View v = decode(b.types["t.All"], in, &b.arena);
  Encoder* e = b.start("t.All");
  encode::put_fields(e, v);
  // -0.0, the optional field and the member of the oneof stay.
  assert_true(finished(e) == bytes({0x09, 0, 0, 0, 0, 0, 0, 0, 0x80, 0xA8, 1, 0, 0xF0, 1, 0}));
}

void message_set_extensions_are_written_as_items(void**) {
  Bench b;
  std::string in = bytes({0xC2, 0x3E, 3, 0x0A, 1, 'x'});  // as a plain extension, number 1000
  schema::View v = decode(b.types["t2.Set"], in, &b.arena);
  Encoder* e = b.start("t2.Set");
  encode::put_fields(e, v);
  assert_int_equal(encode::encoded_size(v), 10);
  assert_true(finished(e) == bytes({0x0B, 0x10, 0xE8, 7, 0x1A, 3, 0x0A, 1, 'x', 0x0C}));
}

// ---- By reference

struct Counted {
  std::string data;
  int released = 0;
  base::Buffer* buffer;
  explicit Counted(std::string s) : data(std::move(s)) {
    buffer = base::Buffer::wrap(data.data(), data.size(), [](const void*, size_t, void* self) { static_cast<Counted*>(self)->released++; }, this);
  }
};

void large_buffers_are_parts_of_the_result_and_small_ones_copied(void**) {
  Bench b;
  Counted big(std::string(20000, 'B')), small(std::string(100, 's'));
  Encoder* e = b.start("t.All");
  encode::begin(e, 20);
  encode::put_buffer(e, 12, big.buffer, 0, 20000);
  encode::put_buffer(e, 12, small.buffer, 50, 50);
  encode::end(e);
  encode::put_buffer(e, 9, big.buffer, 1000, 16384);
  big.buffer->release();
  small.buffer->release();
  assert_int_equal(small.released, 1);
  assert_int_equal(big.released, 0);
  auto parts = encode::gather(e);
  assert_true(parts.ok());
  assert_int_equal(parts->size(), 4);
  assert_ptr_equal((*parts)[1].bytes.data, big.data.data());
  assert_int_equal((*parts)[1].bytes.size, 20000);
  assert_ptr_equal((*parts)[1].buffer, big.buffer);
  assert_ptr_equal((*parts)[3].bytes.data, big.data.data() + 1000);
  std::string inner = bytes({0x62, 0xA0, 0x9C, 1}) + big.data + bytes({0x62, 50}) + small.data.substr(50);
  std::string want = bytes({0xA2, 1, int(0x80 | (inner.size() & 0x7F)), int(0x80 | (inner.size() >> 7 & 0x7F)), int(inner.size() >> 14)}) + inner +
                     bytes({0x4A, 0x80, 0x80, 1}) + big.data.substr(0, 16384);
  assert_int_equal(encode::size(e), want.size());
  assert_true(gathered(e) == want);
  assert_true(finished(e) == want);
  auto flat = encode::contiguous(e);
  assert_true(flat.ok());
  assert_null(flat->data);
  encode::reset(e, b.types["t.All"]);
  assert_int_equal(big.released, 1);
}

void a_view_that_holds_a_buffer_goes_by_reference(void**) {
  Bench b;
  const schema::Message* all = b.types["t.All"];
  std::string big(30000, 'x');
  encode::reset(b.e, all);
  encode::begin(b.e, 19);
  text(b.e, 1, big);
  encode::end(b.e);
  Counted in(finished(b.e));
  auto v = view::decode(all, in.buffer->slice(), false, {}, &b.arena);
  assert_true(v.ok());
  schema::View child = schema::sub_message(*v, all->by_number(19));
  Encoder* e = b.start("t.All");
  encode::put_view(e, 40, child);
  encode::put_fields(e, *v);
  assert_int_equal(encode::gather(e)->size(), 1);  // nobody counts that memory
  std::string want = finished(e);
  const_cast<schema::Anchor*>(schema::anchor_of(*v))->buffer = in.buffer;
  e = b.start("t.All");
  encode::put_view(e, 40, child);
  encode::put_fields(e, *v);
  auto parts = encode::gather(e);
  assert_int_equal(parts->size(), 3);  // the second as a whole, since it came as it would be written
  assert_true((*parts)[1].bytes.data >= in.buffer->data() && (*parts)[1].bytes.data < in.buffer->data() + in.buffer->size());
  assert_true(gathered(e) == want);
  in.buffer->release();
  assert_int_equal(in.released, 0);
  encode::reset(e, all);
  assert_int_equal(in.released, 1);
}

// ---- Where the result lies

void headroom_lies_before_the_message(void**) {
  Bench b;
  Encoder* e = b.start("t.All", 14);
  text(e, 9, std::string(3000, 'h'));
  std::string want = "\x4A\xB8\x17" + std::string(3000, 'h');
  assert_int_equal(encode::size(e), want.size());
  auto flat = encode::contiguous(e);
  assert_true(flat.ok() && flat->text() == want);
  memset(const_cast<uint8_t*>(flat->data) - 14, 'F', 14);
  size_t offset;
  auto chunk = encode::take_chunk(e, &offset);
  assert_true(chunk.ok() && *chunk);
  assert_int_equal(offset, 14);
  assert_true((*chunk)->slice().text() == std::string(14, 'F') + want);
  (*chunk)->release();
  e = b.start("t.All", 14);  // and again, from nothing
  text(e, 9, "a");
  assert_true(finished(e) == bytes({0x4A, 1, 'a'}));
}

void the_callers_memory_is_used_until_it_is_full(void**) {
  Bench b;
  const schema::Message* all = b.types["t.All"];
  alignas(8) uint8_t memory[256];
  memset(memory, 0x5A, sizeof memory);
  encode::reset_in(b.e, all, memory, 200);
  text(b.e, 9, "in place");
  assert_true(encode::in_place(b.e));
  auto flat = encode::contiguous(b.e);
  assert_ptr_equal(flat->data, memory);
  assert_true(flat->text() == bytes({0x4A, 8}) + "in place");
  for (size_t i = 200; i < sizeof memory; i++) assert_int_equal(memory[i], 0x5A);
  encode::reset_in(b.e, all, memory, 200);
  std::string want;
  for (int i = 0; i < 100; i++) {
    text(b.e, 9, "0123456789");
    want += bytes({0x4A, 10}) + "0123456789";
    for (size_t k = 200; k < sizeof memory; k++) assert_int_equal(memory[k], 0x5A);
  }
  assert_false(encode::in_place(b.e));
  assert_true(finished(b.e) == want);
}

void what_was_given_away_is_not_written_again(void**) {
  Bench b;
  Encoder* e = b.start("t.All");
  std::string s(6000, 'a');
  text(e, 9, s);
  auto first = encode::finish(e);
  assert_true(first.ok());
  e = b.start("t.All");
  text(e, 9, std::string(6000, 'b'));
  assert_true((*first)->slice().text() == "\x4A\xF0\x2E" + s);
  (*first)->release();
}

// ---- Mistakes

struct Mistake {
  base::Code code;
  const char *message, *path;
};
void assert_mistake(Encoder* e, Mistake want) {
  assert_true(encode::failed(e));
  text(e, 9, "a later put changes nothing");
  encode::end(e);
  auto b = encode::finish(e);
  assert_false(b.ok());
  assert_string_equal(b.status().message(), want.message);
  assert_string_equal(b.status().path(), want.path);
  assert_int_equal(int(b.status().code()), int(want.code));
  assert_int_equal(int(encode::finish(e).status().code()), int(base::Code::kFailedPrecondition));
}

void the_first_mistake_sticks_with_its_path(void**) {
  Bench b;
  const auto kWrong = base::Code::kInvalidArgument;
  const auto kEarly = base::Code::kFailedPrecondition;
  Encoder* e = b.start("t.All");
  encode::put_int64(e, 99, 1);
  assert_mistake(e, {kWrong, "t.All has no field 99", ""});
  e = b.start("t.All");
  text(e, 5, "x");
  assert_mistake(e, {kWrong, "not a string or bytes field", "f_int32"});
  e = b.start("t.All");
  encode::put_int64(e, 5, int64_t(1) << 31);
  assert_mistake(e, {kWrong, "value out of range", "f_int32"});
  e = b.start("t.All");
  encode::put_int64(e, 13, -1);
  assert_mistake(e, {kWrong, "value out of range", "f_uint32"});
  e = b.start("t.All");
  encode::put_uint64(e, 3, uint64_t(1) << 63);
  assert_mistake(e, {kWrong, "value out of range", "f_int64"});
  e = b.start("t.All");
  encode::put_int64(e, 8, 2);
  assert_mistake(e, {kWrong, "value out of range", "f_bool"});
  e = b.start("t.All");
  encode::put_double(e, 3, 1);
  assert_mistake(e, {kWrong, "not a float or double field", "f_int64"});
  e = b.start("t.All");
  encode::begin(e, 9);
  assert_mistake(e, {kWrong, "not a message field", "f_string"});
  e = b.start("t.All");
  encode::end(e);
  assert_mistake(e, {kEarly, "end without begin", ""});
  e = b.start("t.All");
  encode::begin(e, 20);
  for (int i = 0; i < 3; i++) {
    encode::begin(e, 40);
    if (i < 2) encode::end(e);
  }
  text(e, 1, "\xED\xA0\x80");
  assert_mistake(e, {kWrong, "invalid UTF-8", "self.leaves[2].name"});
  e = b.start("t2.Two");
  encode::begin(e, 103);
  text(e, 1, "x");
  assert_mistake(e, {kWrong, "not a string or bytes field", "[t2.child].id"});
  e = b.start("t.All");
  encode::begin(e, 45);
  encode::begin(e, 5);
  encode::put_double(e, 1, 1);
  assert_mistake(e, {kWrong, "not a float or double field", "maps.leaves[0].key"});
  e = b.start("t.Repeated");
  encode::begin_packed(e, b.types["t.Repeated"]->by_number(5));
  encode::put_int64(e, 5, 1);
  assert_mistake(e, {kWrong, "inside a packed run only its elements fit", "f_int32"});
  std::string empty;
  schema::View leaf = decode(b.types["t.Leaf"], empty, &b.arena);
  e = b.start("t.All");
  encode::put_view(e, 20, leaf);
  assert_mistake(e, {kWrong, "a message of another type", "self"});
  e = b.start("t.All");
  encode::put_fields(e, leaf);
  assert_mistake(e, {kWrong, "a message of another type", ""});
  encode::reset(e, nullptr);
  encode::put_int64(e, 1, 1);
  assert_mistake(e, {kWrong, "the encoder has no type", ""});
}

void an_open_message_is_not_finished(void**) {
  Bench b;
  Encoder* e = b.start("t.All");
  encode::begin(e, 20);
  encode::begin(e, 19);
  auto r = encode::finish(e);
  assert_false(r.ok());
  assert_string_equal(r.status().message(), "a sub-message is still open");
  assert_string_equal(r.status().path(), "self.leaf");
}

void a_finished_message_takes_no_more(void**) {
  Bench b;
  Encoder* e = b.start("t.All");
  text(e, 9, "x");
  assert_true(encode::contiguous(e).ok());
  text(e, 9, "y");
  assert_true(encode::failed(e));
  assert_int_equal(int(encode::take_status(e).code()), int(base::Code::kFailedPrecondition));
}

// Over 2 GiB without 2 GiB of memory: the same buffer again and again.
void a_length_over_2_gib_is_an_error_and_does_not_wrap(void**) {
  Bench b;
  Counted big(std::string(size_t(64) << 20, 'x'));
  Encoder* e = b.start("t.All");
  encode::begin(e, 20);
  for (int i = 0; i < 33; i++) encode::put_buffer(e, 12, big.buffer, 0, big.data.size());
  encode::end(e);
  assert_true(encode::failed(e));
  auto r = encode::finish(e);
  assert_int_equal(int(r.status().code()), int(base::Code::kResourceExhausted));
  assert_string_equal(r.status().message(), "message over 2147483647 bytes");
  assert_string_equal(r.status().path(), "self");
  encode::reset(e, b.types["t.All"]);
  for (int i = 0; i < 31; i++) encode::put_buffer(e, 12, big.buffer, 0, big.data.size());
  assert_false(encode::failed(e));
  assert_int_equal(encode::size(e), 31 * (big.data.size() + 5));
  assert_true(encode::gather(e).ok());
  encode::reset(e, nullptr);
  big.buffer->release();
  assert_int_equal(big.released, 1);
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(each_kind_is_written_as_its_type_says),
      cmocka_unit_test(packed_runs_have_one_tag_and_unpacked_ones_many),
      cmocka_unit_test(a_wrong_guess_of_a_length_moves_the_bytes),
      cmocka_unit_test(groups_end_with_a_tag),
      cmocka_unit_test(a_sub_view_passes_byte_for_byte),
      cmocka_unit_test(a_merged_view_is_written_as_its_pieces),
      cmocka_unit_test(a_group_passes_into_a_length_and_back),
      cmocka_unit_test(implicit_defaults_are_dropped_and_explicit_zeros_kept),
      cmocka_unit_test(message_set_extensions_are_written_as_items),
      cmocka_unit_test(large_buffers_are_parts_of_the_result_and_small_ones_copied),
      cmocka_unit_test(a_view_that_holds_a_buffer_goes_by_reference),
      cmocka_unit_test(headroom_lies_before_the_message),
      cmocka_unit_test(the_callers_memory_is_used_until_it_is_full),
      cmocka_unit_test(what_was_given_away_is_not_written_again),
      cmocka_unit_test(the_first_mistake_sticks_with_its_path),
      cmocka_unit_test(an_open_message_is_not_finished),
      cmocka_unit_test(a_finished_message_takes_no_more),
      cmocka_unit_test(a_length_over_2_gib_is_an_error_and_does_not_wrap),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
