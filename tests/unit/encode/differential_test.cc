// put_fields against libprotobuf: what it writes of a view must be what libprotobuf would write of the same bytes.
#include "encode/same.h"
#include "encode_test.h"
#include "random_message.h"

namespace {

using namespace random_message;

struct World {
  Types types;
  // Generated code, since dynamic messages keep duplicate map keys.
  const pb::DescriptorPool& pool = *pb::DescriptorPool::generated_pool();
  encode::Encoder* encoder = encode::encoder_new(nullptr);
  base::Arena arena;
  size_t compared = 0, as_written = 0;

  World() {
    (void)t::All::default_instance();
    (void)t2::Two::default_instance();
  }
  ~World() { encode::encoder_free(encoder); }

  std::unique_ptr<pb::Message> make(const char* type) {
    return std::unique_ptr<pb::Message>(pb::MessageFactory::generated_factory()->GetPrototype(pool.FindMessageTypeByName(type))->New());
  }
  std::string random(Random* r, const char* type) {
    auto m = make(type);
    Filler(r, &pool).fill(m.get(), 3);
    return m->SerializePartialAsString();
  }

  // Both sides read `bytes` and write them again. Unknown fields keep their bytes here, overlong varints too, which
  // libprotobuf shortens: bytes that are not its own may come out longer.
  void compare(const char* type, const std::string& bytes, bool canonical = true) {
    auto want = make(type);
    if (!want->ParsePartialFromString(bytes)) return;
    arena.reset();
    auto v = view::decode(types[type], slice(bytes), false, {}, &arena);
    if (!v.ok() && !canonical) return;  // where the two differ in what they accept, the decoder's tests look
    if (!v.ok()) {
      fprintf(stderr, "%s: libprotobuf reads it, we do not: %s at %lld, %s\n", type, v.status().message(), (long long)v.status().offset(), v.status().path());
      assert_true(v.ok());
    }
    encode::reset(encoder, types[type]);
    encode::put_fields(encoder, *v);
    size_t size = encode::size(encoder);
    std::string ours = finished(encoder);
    assert_int_equal(ours.size(), size);
    assert_int_equal(ours.size(), encode::encoded_size(*v));
    assert_true(ours.size() <= encode::encoded_bound(*v));
    // The walk that writes field by field, which put_fields spares itself when the bytes came as they would be written: the
    // same bytes, whether it did or not.
    encode::reset(encoder, types[type]);
    encode::put_fields(encoder, *v, [](const zcrpc_same*, const uint8_t*, const unsigned char*, uint32_t) -> const uint8_t* { return nullptr; });
    assert_true(finished(encoder) == ours);
    base::Slice whole;
    if (encode::comes_as_written(*v, &whole)) {
      assert_true(whole.text() == bytes && ours == bytes);
      as_written++;
    }
    // With its maps sorted it is what libprotobuf writes with its own sorted.
    encode::reset(encoder, types[type]);
    encode::put_deterministic(encoder, *v);
    const std::string sorted = finished(encoder);
    assert_int_equal(sorted.size(), size);
    const std::string a = deterministic(*want);
    if (canonical) assert_true(sorted == a);
    auto again = make(type);
    assert_true(again->ParsePartialFromString(sorted));
    auto got = make(type);
    assert_true(got->ParsePartialFromString(ours));
    const std::string b = deterministic(*got);
    assert_true(deterministic(*again) == b);
    if (a != b || (canonical && ours.size() != want->ByteSizeLong())) {
      fprintf(stderr, "%s: %zu bytes in, %zu ours, %zu theirs\nin    %s\nwant  %s\ngot   %s\n", type, bytes.size(), ours.size(), want->ByteSizeLong(),
              hex(bytes).c_str(), hex(a).c_str(), hex(ours).c_str());
      fprintf(stderr, "%s\n---\n%s\n", want->DebugString().substr(0, 2000).c_str(), got->DebugString().substr(0, 2000).c_str());
    }
    assert_true(a == b);
    if (canonical) assert_int_equal(ours.size(), want->ByteSizeLong());
    compared++;
  }
  static std::string hex(const std::string& s) {
    std::string r;
    char b[3];
    for (size_t i = 0; i < s.size() && i < 400; i++) r += (snprintf(b, 3, "%02x", uint8_t(s[i])), b);
    return r;
  }
};

constexpr const char* kTypes[] = {"t.All", "t.Repeated", "t.Unpacked", "t.Maps", "t.Wide", "t2.Two", "t2.TwoAsInts", "t2.WideTwo"};

void random_messages_come_out_as_libprotobuf_writes_them(void**) {
  World w;
  for (int i = 0; i < rounds(); i++) {
    Random r{uint64_t(i)};
    const char* type = kTypes[r.below(std::size(kTypes))];
    w.compare(type, w.random(&r, type));
  }
  assert_true(w.compared >= size_t(rounds()) * 9 / 10);
  assert_true(w.as_written > size_t(rounds()) / 20);
}

// One byte is not as it would be written: a longer varint, a field out of its place, another length.
void a_byte_that_is_off_is_not_passed_on_for_what_would_be_written(void**) {
  World w;
  for (int i = 0; i < rounds(); i++) {
    Random r{3000000 + uint64_t(i)};
    const char* type = kTypes[r.below(std::size(kTypes))];
    std::string bytes = w.random(&r, type);
    if (bytes.empty()) continue;
    const size_t at = r.below(bytes.size());
    if (r.chance(50)) {
      bytes[at] = char(r.below(256));
    } else {  // an overlong varint, if there is one at this place
      bytes[at] = char(bytes[at] | 0x80);
      bytes.insert(at + 1, 1, '\0');
    }
    w.compare(type, bytes, false);
  }
  assert_true(w.compared > size_t(rounds()) / 20);
}

// Two messages one behind the other are their merge: sub-messages in pieces, maps with duplicates, oneofs that change.
void concatenated_messages_are_written_merged(void**) {
  World w;
  for (int i = 0; i < rounds(); i++) {
    Random r{1000000 + uint64_t(i)};
    const char* type = kTypes[r.below(std::size(kTypes))];
    std::string bytes = w.random(&r, type);
    for (size_t n = 1 + r.below(3); n; n--) bytes += w.random(&r, type);
    w.compare(type, bytes);
  }
}

// Packed where unpacked is declared, enums with values of tomorrow, and fields of quite another type.
void bytes_of_another_type_keep_their_meaning(void**) {
  World w;
  for (int i = 0; i < rounds(); i++) {
    Random r{2000000 + uint64_t(i)};
    constexpr const char* kPairs[][2] = {{"t.Repeated", "t.Unpacked"}, {"t.Unpacked", "t.Repeated"}, {"t2.TwoAsInts", "t2.Two"}};
    if (r.chance(70)) {
      auto& pair = kPairs[r.below(3)];
      w.compare(pair[1], w.random(&r, pair[0]), false);
    } else {
      const char* from = kTypes[r.below(std::size(kTypes))];
      w.compare(kTypes[r.below(std::size(kTypes))], w.random(&r, from) + w.random(&r, from), false);
    }
  }
  assert_true(w.compared > size_t(rounds()) / 2);
}

}  // namespace

int main() {
  pb::SetLogHandler(silent);
  const CMUnitTest tests[] = {
      cmocka_unit_test(random_messages_come_out_as_libprotobuf_writes_them),
      cmocka_unit_test(a_byte_that_is_off_is_not_passed_on_for_what_would_be_written),
      cmocka_unit_test(concatenated_messages_are_written_merged),
      cmocka_unit_test(bytes_of_another_type_keep_their_meaning),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
