// put_fields against libprotobuf: what it writes of a view must be what libprotobuf would write of the same bytes.
#include <google/protobuf/descriptor.h>
#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <google/protobuf/stubs/logging.h>

#include <cstdlib>
#include <cstring>
#include <memory>
#include <random>

#include "encode_old.pb.h"
#include "encode_test.h"
#include "encode_test.pb.h"

namespace pb = google::protobuf;

namespace {

class Random {
 public:
  explicit Random(uint64_t seed) : r_(seed) {}
  uint64_t below(uint64_t n) { return r_() % n; }
  bool chance(unsigned percent) { return below(100) < percent; }
  // Numbers of every length, and the edges.
  uint64_t number() {
    switch (below(6)) {
      case 0: return below(4);
      case 1: return ~uint64_t(0) - below(3);
      case 2: return uint64_t(1) << below(64);
      case 3: return (uint64_t(1) << below(64)) - 1;
      default: return r_() >> below(64);
    }
  }
  std::string text() {
    static const char* const kPieces[] = {"a", "bc", "xyz", "\xC3\xA9", "\xE2\x82\xAC", "\xF0\x9F\x98\x80", "0123456789", " "};
    size_t n = chance(2) ? below(6000) : chance(20) ? below(60) : below(6);
    std::string s;
    for (size_t i = 0; i < n; i++) s += kPieces[below(8)];
    return s;
  }
  std::string bytes() {
    std::string s(chance(1) ? below(40000) : below(40), '\0');
    for (char& c : s) c = char(r_());
    return s;
  }

 private:
  std::mt19937_64 r_;
};

class Filler {
 public:
  explicit Filler(Random* r, const pb::DescriptorPool* pool) : r_(*r), pool_(pool) {}

  void fill(pb::Message* m, int depth) {
    const pb::Descriptor* d = m->GetDescriptor();
    const pb::Reflection* r = m->GetReflection();
    std::vector<const pb::FieldDescriptor*> fields;
    for (int i = 0; i < d->field_count(); i++) fields.push_back(d->field(i));
    pool_->FindAllExtensions(d, &fields);
    unsigned percent = d->field_count() > 25 ? 12 : 35;
    for (const pb::FieldDescriptor* f : fields) {
      if (!f->is_required() && !r_.chance(percent)) continue;
      bool message = f->cpp_type() == pb::FieldDescriptor::CPPTYPE_MESSAGE;
      if (message && depth == 0) continue;
      if (!f->is_repeated()) {
        if (message)
          fill(r->MutableMessage(m, f), depth - 1);
        else
          set(m, r, f, false);
        continue;
      }
      for (size_t n = r_.chance(3) ? r_.below(200) : r_.below(5); n; n--) {
        if (message)
          fill(r->AddMessage(m, f), depth - 1);
        else
          set(m, r, f, true);
      }
    }
  }

 private:
  void set(pb::Message* m, const pb::Reflection* r, const pb::FieldDescriptor* f, bool add) {
    uint64_t n = r_.number();
    double d;
    memcpy(&d, &n, sizeof d);
    if (d != d) d = 0.5;
    switch (f->cpp_type()) {
      case pb::FieldDescriptor::CPPTYPE_INT32: return add ? r->AddInt32(m, f, int32_t(n)) : r->SetInt32(m, f, int32_t(n));
      case pb::FieldDescriptor::CPPTYPE_INT64: return add ? r->AddInt64(m, f, int64_t(n)) : r->SetInt64(m, f, int64_t(n));
      case pb::FieldDescriptor::CPPTYPE_UINT32: return add ? r->AddUInt32(m, f, uint32_t(n)) : r->SetUInt32(m, f, uint32_t(n));
      case pb::FieldDescriptor::CPPTYPE_UINT64: return add ? r->AddUInt64(m, f, n) : r->SetUInt64(m, f, n);
      case pb::FieldDescriptor::CPPTYPE_DOUBLE: return add ? r->AddDouble(m, f, d) : r->SetDouble(m, f, d);
      case pb::FieldDescriptor::CPPTYPE_FLOAT: return add ? r->AddFloat(m, f, float(d)) : r->SetFloat(m, f, float(d));
      case pb::FieldDescriptor::CPPTYPE_BOOL: return add ? r->AddBool(m, f, n & 1) : r->SetBool(m, f, n & 1);
      case pb::FieldDescriptor::CPPTYPE_ENUM: {
        int v = f->enum_type()->value(int(n % uint64_t(f->enum_type()->value_count())))->number();
        if (f->file()->syntax() == pb::FileDescriptor::SYNTAX_PROTO3 && r_.chance(20)) v = int32_t(n);
        return add ? r->AddEnumValue(m, f, v) : r->SetEnumValue(m, f, v);
      }
      default: {
        std::string s = f->type() == pb::FieldDescriptor::TYPE_BYTES ? r_.bytes() : r_.text();
        return add ? r->AddString(m, f, s) : r->SetString(m, f, s);
      }
    }
  }

  Random& r_;
  const pb::DescriptorPool* pool_;
};

std::string deterministic(const pb::Message& m) {
  std::string s;
  {
    pb::io::StringOutputStream out(&s);
    pb::io::CodedOutputStream coded(&out);
    coded.SetSerializationDeterministic(true);
    m.SerializePartialToCodedStream(&coded);
  }
  return s;
}

struct World {
  Types types;
  // Generated code, since dynamic messages keep duplicate map keys.
  const pb::DescriptorPool& pool = *pb::DescriptorPool::generated_pool();
  encode::Encoder* encoder = encode::encoder_new(nullptr);
  base::Arena arena;
  size_t compared = 0, merged = 0;

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
    auto got = make(type);
    assert_true(got->ParsePartialFromString(ours));
    std::string a = deterministic(*want), b = deterministic(*got);
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

int rounds() {
  const char* n = getenv("ENCODE_ROUNDS");
#if defined(__SANITIZE_ADDRESS__) || !defined(__OPTIMIZE__)
  constexpr int kRounds = 2000;
#elif defined(__has_feature)
  constexpr int kRounds = __has_feature(address_sanitizer) ? 2000 : 40000;
#else
  constexpr int kRounds = 40000;  // with the three tests together over 100,000 messages
#endif
  return n ? atoi(n) : kRounds;
}

void random_messages_come_out_as_libprotobuf_writes_them(void**) {
  World w;
  for (int i = 0; i < rounds(); i++) {
    Random r{uint64_t(i)};
    const char* type = kTypes[r.below(std::size(kTypes))];
    w.compare(type, w.random(&r, type));
  }
  assert_true(w.compared >= size_t(rounds()) * 9 / 10);
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

// It tells of every string that it refuses.
void silent(pb::LogLevel, const char*, int, const std::string&) {}

}  // namespace

int main() {
  pb::SetLogHandler(silent);
  const CMUnitTest tests[] = {
      cmocka_unit_test(random_messages_come_out_as_libprotobuf_writes_them),
      cmocka_unit_test(concatenated_messages_are_written_merged),
      cmocka_unit_test(bytes_of_another_type_keep_their_meaning),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
