#include "wire/wire.h"

#include "support/cmocka.h"

#include <initializer_list>
#include <string>
#include <vector>

using namespace zcrpc::wire;

namespace {

using Bytes = std::vector<uint8_t>;

// Each input in a block of its exact size, so that a sanitizer sees a read behind it.
struct Input {
  explicit Input(const Bytes& b) : size(b.size()), data(new uint8_t[b.size() + (b.empty() ? 1 : 0)]) { std::copy(b.begin(), b.end(), data); }
  ~Input() { delete[] data; }
  Input(const Input&) = delete;
  Input& operator=(const Input&) = delete;
  const uint8_t* end() const { return data + size; }
  size_t size;
  uint8_t* data;
};

Bytes varint(uint64_t v) {
  uint8_t b[10];
  return {b, put_varint(b, v)};
}

Bytes operator+(Bytes a, const Bytes& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

void values_of_every_length_come_back(void**) {
  for (int bits = 0; bits <= 64; bits++) {
    for (uint64_t v : {bits == 64 ? UINT64_MAX : (uint64_t(1) << bits) - 1, bits == 64 ? UINT64_MAX : uint64_t(1) << bits}) {
      Bytes b = varint(v);
      assert_int_equal(b.size(), varint_size(v));
      Input in(b);
      uint64_t got = 0;
      Fault f = Fault::kNone;
      assert_ptr_equal(read_varint(in.data, in.end(), &got, &f), in.end());
      assert_true(got == v);
      for (size_t n = 0; n < b.size(); n++) {
        Input cut(Bytes(b.begin(), b.begin() + long(n)));
        f = Fault::kNone;
        assert_null(read_varint(cut.data, cut.end(), &got, &f));
        assert_true(f == Fault::kTruncated);
      }
    }
  }
}

void overlong_values_are_read_and_overflowing_bits_dropped(void**) {
  struct {
    Bytes bytes;
    uint64_t value;
  } cases[] = {
      {{0x80, 0x00}, 0},
      {{0x81, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x00}, 1},
      {{0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x7F}, UINT64_MAX},
      {{0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x7E}, 0},
  };
  for (const auto& c : cases) {
    Input in(c.bytes);
    uint64_t v = 99;
    Fault f = Fault::kNone;
    assert_ptr_equal(read_varint(in.data, in.end(), &v, &f), in.end());
    assert_true(v == c.value);
  }
  Input eleven({0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x00});
  uint64_t v;
  Fault f = Fault::kNone;
  assert_null(read_varint(eleven.data, eleven.end(), &v, &f));
  assert_true(f == Fault::kVarintTooLong);
}

Fault tag_fault(const Bytes& b, uint32_t* tag) {
  Input in(b);
  Fault f = Fault::kNone;
  const uint8_t* p = read_tag(in.data, in.end(), tag, &f);
  if (p) assert_ptr_equal(p, in.end());
  return f;
}

void tags_end_at_five_bytes_and_32_bits(void**) {
  uint32_t t = 0;
  assert_true(tag_fault({0x08}, &t) == Fault::kNone);
  assert_int_equal(t, 8);
  assert_true(tag_fault({0x88, 0x80, 0x80, 0x80, 0x00}, &t) == Fault::kNone);  // overlong, in five bytes
  assert_int_equal(t, 8);
  assert_true(tag_fault({0xF8, 0xFF, 0xFF, 0xFF, 0x0F}, &t) == Fault::kNone);
  assert_int_equal(tag_number(t), kMaxFieldNumber);
  assert_true(tag_fault({0x88, 0x80, 0x80, 0x80, 0x80, 0x00}, &t) == Fault::kTagTooLong);
  assert_true(tag_fault({0xF8, 0xFF, 0xFF, 0xFF, 0x1F}, &t) == Fault::kTagTooLong);
  assert_true(tag_fault({}, &t) == Fault::kTruncated);
  assert_true(tag_fault({0x88, 0x80}, &t) == Fault::kTruncated);
}

void field_number_zero_and_wire_types_6_and_7_are_faults(void**) {
  uint32_t t = 0;
  for (uint8_t type = 0; type <= 5; type++) assert_true(tag_fault({type}, &t) == Fault::kFieldNumberZero);
  assert_true(tag_fault({0x80, 0x00}, &t) == Fault::kFieldNumberZero);
  assert_true(tag_fault({0x0E}, &t) == Fault::kWireType);
  assert_true(tag_fault({0x0F}, &t) == Fault::kWireType);
}

void a_length_never_reaches_past_the_end(void**) {
  struct {
    Bytes bytes;
    Fault fault;
  } cases[] = {
      {{0x00}, Fault::kNone},
      {{0x02, 1, 2}, Fault::kNone},
      {{0x03, 1, 2}, Fault::kTruncated},
      {varint(0x7FFFFFFF), Fault::kTruncated},
      {varint(0x80000000u), Fault::kLengthTooLong},
      {varint(UINT64_MAX), Fault::kLengthTooLong},
      {{0x80}, Fault::kTruncated},
  };
  for (const auto& c : cases) {
    Input in(c.bytes);
    uint32_t n = 77;
    Fault f = Fault::kNone;
    const uint8_t* p = read_length(in.data, in.end(), &n, &f);
    assert_int_equal(int(f), int(c.fault));
    if (c.fault == Fault::kNone) {
      assert_ptr_equal(p + n, in.end());
    } else {
      assert_null(p);
    }
  }
}

Bytes start(uint32_t n) { return varint(tag(n, Type::kStartGroup)); }
Bytes end(uint32_t n) { return varint(tag(n, Type::kEndGroup)); }

struct Skipped {
  Fault fault = Fault::kNone;
  long used = -1;  // bytes skipped; -1: fault
  long at = -1;    // where the fault was told
};
// Skips the one field that b begins with.
Skipped skip(const Bytes& b, uint32_t depth = kMaxDepth) {
  Input in(b);
  Skipped s;
  uint32_t t = 0;
  const uint8_t* p = read_tag(in.data, in.end(), &t, &s.fault);
  if (!p) return s;
  const uint8_t* at = nullptr;
  const uint8_t* q = skip_value(p, in.end(), t, depth, &s.fault, &at);
  if (q)
    s.used = q - in.data;
  else
    s.at = at - in.data;
  return s;
}

void every_wire_type_is_skipped_whole(void**) {
  for (const Bytes& b : {Bytes{0x08, 0x96, 0x01}, Bytes{0x09, 1, 2, 3, 4, 5, 6, 7, 8}, Bytes{0x12, 3, 1, 2, 3}, Bytes{0x15, 1, 2, 3, 4},
                         start(1) + end(1), start(1) + Bytes{0x08, 0x01} + start(2) + Bytes{0x12, 1, 0} + end(2) + end(1)}) {
    assert_int_equal(skip(b).used, b.size());
    assert_int_equal(skip(b + Bytes{0xFF}).used, b.size());
    for (size_t n = 1; n < b.size(); n++) {
      Skipped s = skip(Bytes(b.begin(), b.begin() + long(n)));
      assert_true(s.fault == Fault::kTruncated);
      assert_true(s.at <= long(n));
    }
  }
}

void groups_end_by_number_not_by_count(void**) {
  Skipped s = skip(start(1) + end(2));
  assert_true(s.fault == Fault::kGroupMismatch);
  assert_int_equal(s.at, 1);
  s = skip(start(1) + start(2) + end(1) + end(2));
  assert_true(s.fault == Fault::kGroupMismatch);
  assert_int_equal(s.at, 2);
  s = skip(end(1));
  assert_true(s.fault == Fault::kGroupMismatch);
  // What looks like an end inside a length-delimited field is none.
  assert_int_equal(skip(start(1) + Bytes{0x12, 1, 0x0C} + end(1)).used, 5);
  // A fault inside a group tells its own place.
  s = skip(start(1) + Bytes{0x08, 0x01} + Bytes{0x07});
  assert_true(s.fault == Fault::kFieldNumberZero);
  assert_int_equal(s.at, 3);
}

void nested_groups_stop_at_the_depth_and_use_no_c_stack(void**) {
  Bytes b;
  for (int i = 0; i < 100; i++) b = b + start(3);
  for (int i = 0; i < 100; i++) b = b + end(3);
  assert_int_equal(skip(b, 100).used, b.size());
  Skipped s = skip(b, 99);
  assert_true(s.fault == Fault::kDepth);
  assert_int_equal(s.at, 99);
  assert_true(skip(start(1) + end(1), 0).fault == Fault::kDepth);
  Bytes many(1 << 20, start(1)[0]);
  s = skip(many, UINT32_MAX);
  assert_true(s.fault == Fault::kDepth);
  assert_int_equal(s.at, kDeepest);
}

void zigzag_is_its_own_inverse(void**) {
  for (int64_t v : {int64_t(0), int64_t(-1), int64_t(1), INT64_MIN, INT64_MAX}) assert_true(unzigzag(zigzag(v)) == v);
  assert_true(zigzag(-1) == 1 && zigzag(1) == 2);
}

void every_fault_has_a_text(void**) {
  for (int i = 0; i <= int(Fault::kLengthTooLong); i++) assert_string_not_equal(fault_text(Fault(i)), "unknown fault");
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(values_of_every_length_come_back),
      cmocka_unit_test(overlong_values_are_read_and_overflowing_bits_dropped),
      cmocka_unit_test(tags_end_at_five_bytes_and_32_bits),
      cmocka_unit_test(field_number_zero_and_wire_types_6_and_7_are_faults),
      cmocka_unit_test(a_length_never_reaches_past_the_end),
      cmocka_unit_test(every_wire_type_is_skipped_whole),
      cmocka_unit_test(groups_end_by_number_not_by_count),
      cmocka_unit_test(nested_groups_stop_at_the_depth_and_use_no_c_stack),
      cmocka_unit_test(zigzag_is_its_own_inverse),
      cmocka_unit_test(every_fault_has_a_text),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
