// Random messages for the differential tests, made by libprotobuf.
#pragma once

#include <google/protobuf/descriptor.h>
#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <google/protobuf/stubs/logging.h>

#include <cstdlib>
#include <cstring>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "encode_old.pb.h"
#include "encode_test.pb.h"

namespace pb = google::protobuf;

namespace random_message {

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

inline std::string deterministic(const pb::Message& m) {
  std::string s;
  {
    pb::io::StringOutputStream out(&s);
    pb::io::CodedOutputStream coded(&out);
    coded.SetSerializationDeterministic(true);
    m.SerializePartialToCodedStream(&coded);
  }
  return s;
}

// How many rounds a test makes: ENCODE_ROUNDS, or fewer under sanitizers.
inline int rounds() {
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

// It tells of every string that it refuses.
inline void silent(pb::LogLevel, const char*, int, const std::string&) {}

}  // namespace random_message
