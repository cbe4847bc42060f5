// What depends on the byte order, on alignment, and on the width of a pointer: packed numbers of every kind at every
// alignment, against bytes that are written here by hand, and back to the same bytes. One line at the end sums up all
// bytes that were written: it is the same on every machine.
#include "support/cmocka.h"

#include <bit>
#include <charconv>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "base/arena.h"
#include "encode/encoder.h"
#include "schema/view.h"
#include "support/file.h"
#include "support/pb.h"
#include "view/view.h"

using namespace zcrpc;
using schema::Kind;

namespace {

schema::Schema* all;
uint64_t sum = 0xcbf29ce484222325u;  // FNV-1a over everything that was encoded

void add_sum(const std::string& s) {
  for (char c : s) sum = (sum ^ uint8_t(c)) * 0x100000001b3u;
}

const uint64_t kValues[] = {0, 1, 0x7F, 0x80, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0x0102030405060708, 0x7FFFFFFFFFFFFFFF,
                            0x8000000000000000, 0xFFFFFFFFFFFFFFFF, 0x3FF0000000000000, 0x4048F5C3, 0xC0000000, 0x123456789ABCDEF0};

// The value as its kind holds it, as bits_at gives it.
uint64_t native(Kind k, uint64_t v) {
  switch (k) {
    case Kind::kBool: return v & 1;
    case Kind::kFloat: case Kind::kFixed32: case Kind::kUint32: return uint32_t(v);
    case Kind::kInt32: case Kind::kSint32: case Kind::kSfixed32: case Kind::kEnum: return uint64_t(int64_t(int32_t(uint32_t(v))));
    default: return v;
  }
}
void append_le(std::string* out, uint64_t v, int n) {
  for (int i = 0; i < n; i++) out->push_back(char(v >> 8 * i));
}
void append_element(std::string* out, Kind k, uint64_t v) {
  Pb varint;
  switch (schema::wire_type(k)) {
    case wire::Type::kFixed32: append_le(out, v, 4); return;
    case wire::Type::kFixed64: append_le(out, v, 8); return;
    default: break;
  }
  if (k == Kind::kSint32) v = uint32_t(uint32_t(v) << 1 ^ uint32_t(int32_t(v) >> 31));
  if (k == Kind::kSint64) v = v << 1 ^ uint64_t(int64_t(v) >> 63);
  varint.varint(v);
  out->append(varint.bytes);
}

std::string encoded(schema::View v, const schema::Message* type) {
  encode::Encoder* e = encode::encoder_new(type);
  assert_non_null(e);
  encode::put_fields(e, v);
  auto b = encode::finish(e);
  if (!b.ok()) fail_msg("not encoded: %s", b.status().message());
  std::string s((*b)->slice().text());
  (*b)->release();
  encode::encoder_free(e);
  add_sum(s);
  return s;
}

// A message with n elements of one packed field, `shift` bytes behind an 8-aligned address in its input.
void packed_comes_and_goes(const schema::Field& f, size_t n, size_t shift) {
  const schema::Message* type = f.parent;
  std::string payload;
  for (size_t i = 0; i < n; i++) append_element(&payload, f.kind, native(f.kind, kValues[(i + shift) % std::size(kValues)]));
  Pb message;
  message.str(f.number, payload);
  std::string with_pad = message.bytes + Pb().str(20, std::string(shift, 'p')).bytes;
  std::vector<uint64_t> room(with_pad.size() / 8 + 4);
  auto* at = reinterpret_cast<char*>(room.data()) + shift;
  memcpy(at, with_pad.data(), with_pad.size());
  base::Arena arena;
  auto v = view::decode(type, {at, with_pad.size()}, false, {}, &arena);
  if (!v.ok()) fail_msg("%s: %s", f.name.data(), v.status().message());
  schema::Elements e = schema::elements(*v, &f);
  assert_int_equal(e.count, n);
  for (size_t i = 0; i < n; i++) assert_int_equal(e.number(f.kind, i), native(f.kind, kValues[(i + shift) % std::size(kValues)]));
  std::string want = n ? message.bytes : "";
  if (shift) want += Pb().str(20, std::string(shift, 'p')).bytes;
  assert_true(encoded(*v, type) == want);
  // Unpacked, each element with its own tag, reads the same.
  Pb single;
  for (size_t i = 0; i < n; i++) {
    single.varint(uint64_t(f.number) << 3 | uint64_t(schema::wire_type(f.kind)));
    append_element(&single.bytes, f.kind, native(f.kind, kValues[(i + shift) % std::size(kValues)]));
  }
  base::Arena other;
  auto w = view::decode(type, {single.bytes.data(), single.bytes.size()}, false, {}, &other);
  assert_true(w.ok());
  schema::Elements u = schema::elements(*w, &f);
  assert_int_equal(u.count, n);
  for (size_t i = 0; i < n; i++) assert_int_equal(u.number(f.kind, i), e.number(f.kind, i));
  assert_true(encoded(*w, type) == (n ? message.bytes : ""));
}

void every_packed_kind_at_every_alignment(void**) {
  const schema::Message* m = all->message("codec.Packed");
  assert_non_null(m);
  size_t kinds = 0;
  for (const schema::Field& f : m->fields) {
    if (!f.repeated()) continue;
    kinds++;
    for (size_t shift = 0; shift < 9; shift++)
      for (size_t n : {0, 1, 2, 3, 8, 17, 70}) packed_comes_and_goes(f, n, shift);
  }
  assert_int_equal(kinds, 14);
}

// The slots of an index are in the machine's order: written by hand in the wire's, read as numbers.
void maps_and_oneofs_hold_numbers(void**) {
  const schema::Message* m = all->message("codec.Outer");
  std::string key, small, large;
  append_le(&key, 0x0102030405060708, 8);
  append_le(&small, 0xA1B2C3D4, 4);
  append_le(&large, std::bit_cast<uint64_t>(-2.5), 8);
  Pb entry, text, outer;
  entry.varint(1 << 3 | 1);
  entry.bytes += key;
  std::string floats;
  append_le(&floats, std::bit_cast<uint32_t>(1.5f), 4);
  entry.sub(2, Pb().str(2, floats));
  text.str(1, "k").num(2, 3);  // sint32 -2
  outer.sub(1, entry).sub(2, text).sub(3, Pb().str(20, "x"));
  Pb with_small = outer, with_large = outer;
  with_small.varint(4 << 3 | 5);
  with_small.bytes += small;
  with_large.varint(5 << 3 | 1);
  with_large.bytes += large;
  base::Arena arena;
  auto v = view::decode(m, {with_small.bytes.data(), with_small.bytes.size()}, false, {}, &arena);
  assert_true(v.ok());
  const schema::Field* by_number = m->by_number(1);
  schema::Elements e = schema::elements(*v, by_number);
  assert_int_equal(e.count, 1);
  assert_int_equal(schema::bits_at(Kind::kSfixed64, e.at(0) + by_number->map_key()->offset), 0x0102030405060708);
  schema::View packed = e.message_at(e.at(0) + by_number->map_value()->offset);
  const schema::Field* f_float = by_number->map_value()->message->by_number(2);
  assert_int_equal(schema::elements(packed, f_float).number(Kind::kFloat, 0), std::bit_cast<uint32_t>(1.5f));
  const schema::Field* by_text = m->by_number(2);
  e = schema::elements(*v, by_text);
  assert_int_equal(int64_t(schema::bits_at(Kind::kSint32, e.at(0) + by_text->map_value()->offset)), -2);
  assert_int_equal(schema::number(*v, m->by_number(4)), 0xA1B2C3D4);
  assert_false(schema::has(*v, m->by_number(5)));
  assert_true(encoded(*v, m) == with_small.bytes);
  auto w = view::decode(m, {with_large.bytes.data(), with_large.bytes.size()}, false, {}, &arena);
  assert_true(w.ok() && std::bit_cast<double>(schema::number(*w, m->by_number(5))) == -2.5);
  assert_true(encoded(*w, m) == with_large.bytes);
}

// A length that a 32-bit machine cannot add to an address.
void lengths_near_the_end_of_the_address_space_are_refused(void**) {
  const schema::Message* m = all->message("codec.Packed");
  for (const char* bytes : {"\xA2\x01\xFF\xFF\xFF\xFF\x07", "\xA2\x01\xFF\xFF\xFF\xFF\x0F", "\x32\xF8\xFF\xFF\xFF\x0F", "\x32\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01"}) {
    base::Arena arena;
    auto v = view::decode(m, {bytes, strlen(bytes)}, false, {}, &arena);
    assert_false(v.ok());
    assert_int_equal(int(v.status().code()), int(base::Code::kInvalidArgument));
  }
}

// The build of the codec alone reads decimal numbers by itself: default values in descriptors are such.
void decimal_numbers_are_read_as_libc_reads_them(void**) {
  uint64_t random = 0x9E3779B97F4A7C15u;
  auto next = [&] { return random = random * 6364136223846793005u + 1442695040888963407u, random >> 17 ^ random << 30; };
  std::vector<std::string> texts = {"0", "-0", "1", "0.1", "1e23", "9007199254740993", "9007199254740992.99999999999999999999999999", "4.9e-324", "2.4703282292062328e-324",
                                    "2.4703282292062327e-324", "1.7976931348623157e308", "1.7976931348623159e308", "2.2250738585072011e-308", "1e-400", "1e999999999", "0e999999999",
                                    "3.4028235677973366e38", "1.17549431e-38", "1e5x", "1.e", ".5", "1e+", "5e-1", std::string(1000, '7') + "e-900", "0." + std::string(1000, '0') + "1e1001"};
  for (int i = 0; i < 3000; i++) {
    char text[64];
    auto d = std::bit_cast<double>(next());
    if (d != d || d - d != 0) continue;
    std::snprintf(text, sizeof text, "%.*e", int(next() % 24), i % 3 ? d : double(std::bit_cast<float>(uint32_t(next() & 0x7F7FFFFF))));
    texts.push_back(text);
  }
  for (const std::string& t : texts) {
    const char *begin = t.data(), *end = begin + t.size();
    char* rest;
    double d = 0, want = std::strtod(begin, &rest);
    auto r = std::from_chars(begin, end, d, std::chars_format::general);
    assert_ptr_equal(r.ptr, rest);
    if (r.ec == std::errc()) assert_int_equal(std::bit_cast<uint64_t>(d), std::bit_cast<uint64_t>(want));
    else assert_true(want == 0 || want - want != 0);
    float f = 0, narrow = std::strtof(begin, nullptr);
    r = std::from_chars(begin, end, f, std::chars_format::general);
    if (r.ec == std::errc()) assert_int_equal(std::bit_cast<uint32_t>(f), std::bit_cast<uint32_t>(narrow));
    else assert_true(narrow == 0 || narrow - narrow != 0);
  }
}

void the_same_bytes_everywhere(void**) { std::printf("bytes written: %016llx\n", static_cast<unsigned long long>(sum)); }

}  // namespace

int main(int argc, char** argv) {
  std::string set = file_bytes(argc > 1 ? argv[1] : "codec_test.binpb");
  auto r = schema::read({set.data(), set.size()}, {});
  if (!r.ok() || !view::bind(*r).ok()) return 2;
  all = *r;
  const CMUnitTest tests[] = {
      cmocka_unit_test(every_packed_kind_at_every_alignment),
      cmocka_unit_test(maps_and_oneofs_hold_numbers),
      cmocka_unit_test(lengths_near_the_end_of_the_address_space_are_refused),
      cmocka_unit_test(decimal_numbers_are_read_as_libc_reads_them),
      cmocka_unit_test(the_same_bytes_everywhere),
  };
  int failed = cmocka_run_group_tests(tests, nullptr, nullptr);
  all->release();
  return failed;
}
