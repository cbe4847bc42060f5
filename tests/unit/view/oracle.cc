#include "unit/view/oracle.h"

#include <google/protobuf/descriptor.pb.h>
#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/unknown_field_set.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>

#include "view_log.pb.h"
#include "view_three.pb.h"
#include "view_two.pb.h"
#include "wire/wire.h"

namespace oracle {

using namespace zcrpc;
using google::protobuf::FieldDescriptor;
using google::protobuf::Reflection;

const std::vector<Bound>& schemas() {
  static const auto* all = new std::vector<Bound>([] {
    google::protobuf::FileDescriptorSet set;
    for (const auto* file : {viewtest::two::Tree::descriptor()->file(), viewtest::three::Tree::descriptor()->file(), bench::v1::LogBatch::descriptor()->file()}) {
      file->CopyTo(set.add_file());
      file->CopyJsonNameTo(set.mutable_file(set.file_size() - 1));
    }
    std::string bytes = set.SerializeAsString();
    std::vector<Bound> made;
    for (auto* d = view::dispatchers(); *d; d++) {
      if (!view::usable(*d)) continue;
      auto s = schema::read(base::Slice(std::string_view(bytes)), {});
      if (!s.ok() || !view::bind_to(*s, *d).ok()) {
        std::fprintf(stderr, "schema: %s\n", s.status().message());
        std::abort();
      }
      made.push_back({*d, *s});
    }
    return made;
  }());
  return *all;
}

const std::vector<const PbMessage*>& roots() {
  static const std::vector<const PbMessage*> all = {
      &viewtest::two::Singles::default_instance(), &viewtest::two::Defaults::default_instance(), &viewtest::two::Lists::default_instance(),
      &viewtest::two::Packs::default_instance(), &viewtest::two::Tree::default_instance(), &viewtest::two::Mix::default_instance(),
      &viewtest::two::Oneofs::default_instance(), &viewtest::two::Wide::default_instance(), &viewtest::three::Singles::default_instance(),
      &viewtest::three::Presence::default_instance(), &viewtest::three::Lists::default_instance(), &viewtest::three::Packs::default_instance(),
      &viewtest::three::Tree::default_instance(), &viewtest::three::Mix::default_instance(), &viewtest::three::Oneofs::default_instance(),
      &viewtest::three::Wide::default_instance(), &bench::v1::LogBatch::default_instance()};
  return all;
}

namespace {

uint64_t below(Random& random, uint64_t n) { return random() % n; }

uint64_t some_number(Random& random) {
  switch (below(random, 6)) {
    case 0: return below(random, 3);
    case 1: return below(random, 128);
    case 2: return below(random, 20000);
    case 3: return ~below(random, 300);  // small negative ones
    default: return random() >> below(random, 64);
  }
}

std::string some_text(Random& random, bool utf8) {
  size_t n = below(random, 12) ? below(random, 40) : below(random, 8) ? below(random, 300) : below(random, 20000);
  std::string s;
  const bool ascii = below(random, 3) != 0;
  while (s.size() < n) {
    if (ascii) s += char('a' + below(random, 26));
    else if (utf8) s += below(random, 2) ? "\xC3\xA9" : below(random, 2) ? "\xE2\x82\xAC" : "\xF0\x9F\x98\x80";
    else s += char(random());
  }
  return s;
}

void put_one(PbMessage* m, const FieldDescriptor* f, Random& random, int depth) {
  const Reflection* r = m->GetReflection();
  const bool many = f->is_repeated();
  switch (f->cpp_type()) {
#define CASE(type, Name, value)                        \
  case FieldDescriptor::CPPTYPE_##type:                \
    if (many) r->Add##Name(m, f, value);               \
    else r->Set##Name(m, f, value);                    \
    break;
    CASE(INT32, Int32, int32_t(some_number(random)))
    CASE(INT64, Int64, int64_t(some_number(random)))
    CASE(UINT32, UInt32, uint32_t(some_number(random)))
    CASE(UINT64, UInt64, some_number(random))
    CASE(DOUBLE, Double, double(int64_t(some_number(random))) / 3)
    CASE(FLOAT, Float, float(int64_t(some_number(random))) / 3)
    CASE(BOOL, Bool, below(random, 2) != 0)
    CASE(STRING, String, some_text(random, f->type() == FieldDescriptor::TYPE_STRING))
    CASE(ENUM, EnumValue, f->enum_type()->value(int(below(random, uint64_t(f->enum_type()->value_count()))))->number())
#undef CASE
    case FieldDescriptor::CPPTYPE_MESSAGE:
      fill(many ? r->AddMessage(m, f) : r->MutableMessage(m, f), random, depth - 1);
  }
}

std::string key_text(const PbMessage& m, const FieldDescriptor* f) {
  const Reflection* r = m.GetReflection();
  switch (f->cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT32: return std::to_string(r->GetInt32(m, f));
    case FieldDescriptor::CPPTYPE_INT64: return std::to_string(r->GetInt64(m, f));
    case FieldDescriptor::CPPTYPE_UINT32: return std::to_string(r->GetUInt32(m, f));
    case FieldDescriptor::CPPTYPE_UINT64: return std::to_string(r->GetUInt64(m, f));
    case FieldDescriptor::CPPTYPE_BOOL: return std::to_string(r->GetBool(m, f));
    default: return r->GetString(m, f);
  }
}

std::string key_text(schema::Kind k, const schema::Elements& e, const uint8_t* p) {
  if (is_string(k)) {
    auto s = e.string_at(p);
    return std::string(s.text());
  }
  uint64_t v = schema::bits_at(k, p);
  using K = schema::Kind;
  bool is_signed = k == K::kInt32 || k == K::kInt64 || k == K::kSint32 || k == K::kSint64 || k == K::kSfixed32 || k == K::kSfixed64;
  return is_signed ? std::to_string(int64_t(v)) : std::to_string(v);
}

// Bits of a number as schema::bits_at tells them. i below 0: singular.
uint64_t pb_bits(const PbMessage& m, const FieldDescriptor* f, int i) {
  const Reflection* r = m.GetReflection();
#define GET(Name) (i < 0 ? r->Get##Name(m, f) : r->GetRepeated##Name(m, f, i))
  switch (f->cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT32: return uint64_t(int64_t(GET(Int32)));
    case FieldDescriptor::CPPTYPE_INT64: return uint64_t(GET(Int64));
    case FieldDescriptor::CPPTYPE_UINT32: return GET(UInt32);
    case FieldDescriptor::CPPTYPE_UINT64: return GET(UInt64);
    case FieldDescriptor::CPPTYPE_BOOL: return GET(Bool);
    case FieldDescriptor::CPPTYPE_ENUM: return uint64_t(int64_t(GET(EnumValue)));
    case FieldDescriptor::CPPTYPE_DOUBLE: {
      double d = GET(Double);
      uint64_t v;
      memcpy(&v, &d, 8);
      return v;
    }
    case FieldDescriptor::CPPTYPE_FLOAT: {
      float d = GET(Float);
      uint32_t v;
      memcpy(&v, &d, 4);
      return v;
    }
    default: return 0;
  }
#undef GET
}

struct Comparison {
  bool unknown_too;

  std::string map(schema::View v, const schema::Field* f, const PbMessage& m, const FieldDescriptor* d) {
    const Reflection* r = m.GetReflection();
    std::map<std::string, const PbMessage*> want;
    for (int i = 0; i < r->FieldSize(m, d); i++) {
      const PbMessage& entry = r->GetRepeatedMessage(m, d, i);
      want[key_text(entry, d->message_type()->map_key())] = &entry;
    }
    auto e = schema::elements(v, f);
    if (e.count != want.size()) return "has " + std::to_string(e.count) + " entries, not " + std::to_string(want.size());
    for (size_t i = 0; i < e.count; i++) {
      std::string key = key_text(f->map_key()->kind, e, e.at(i) + f->map_key()->offset);
      auto at = want.find(key);
      if (at == want.end()) return "[" + key + "] should not be there (or is twice)";
      const uint8_t* slot = e.at(i) + f->map_value()->offset;
      const FieldDescriptor* vd = d->message_type()->map_value();
      const PbMessage& entry = *at->second;
      const Reflection* er = entry.GetReflection();
      std::string why;
      if (is_message(f->map_value()->kind)) {
        why = message(e.message_at(slot), f->map_value()->message, er->GetMessage(entry, vd));
      } else if (is_string(f->map_value()->kind)) {
        if (e.string_at(slot).text() != er->GetString(entry, vd)) why = "string differs";
      } else if (schema::bits_at(f->map_value()->kind, slot) != pb_bits(entry, vd, -1)) {
        why = "number differs";
      }
      if (!why.empty()) return "[" + key + "]." + why;
      want.erase(at);
    }
    return "";
  }

  std::string field(schema::View v, const schema::Field* f, const PbMessage& m, const FieldDescriptor* d) {
    const Reflection* r = m.GetReflection();
    if (d->is_map()) return map(v, f, m, d);
    if (d->is_repeated()) {
      auto e = schema::elements(v, f);
      if (int(e.count) != r->FieldSize(m, d)) return "has " + std::to_string(e.count) + " elements, not " + std::to_string(r->FieldSize(m, d));
      if (schema::has(v, f) != (e.count != 0)) return "has() is wrong";
      std::string scratch;
      for (int i = 0; i < int(e.count); i++) {
        std::string why;
        if (is_message(f->kind)) why = message(e.message(f->message, size_t(i)), f->message, r->GetRepeatedMessage(m, d, i));
        else if (is_string(f->kind)) why = e.string(size_t(i)).text() == r->GetRepeatedStringReference(m, d, i, &scratch) ? "" : "string differs";
        else why = e.number(f->kind, size_t(i)) == pb_bits(m, d, i) ? "" : "number differs";
        if (!why.empty()) return "[" + std::to_string(i) + "]." + why;
      }
      return "";
    }
    if (d->has_presence() && schema::has(v, f) != r->HasField(m, d)) return "presence differs";
    if (!d->has_presence() && schema::has(v, f) != r->HasField(m, d)) return "implicit presence differs";
    if (is_message(f->kind)) {
      if (!r->HasField(m, d)) return schema::sub_message(v, f) ? "should be absent" : "";
      return message(schema::sub_message(v, f), f->message, r->GetMessage(m, d));
    }
    std::string scratch;
    if (is_string(f->kind)) return schema::string(v, f).text() == r->GetStringReference(m, d, &scratch) ? "" : "string differs";
    return schema::number(v, f) == pb_bits(m, d, -1) ? "" : "number differs";
  }

  std::string unknown(schema::View v, const PbMessage& m) {
    google::protobuf::UnknownFieldSet ours;
    for (const zcrpc_range& r : schema::unknown(v)) {
      const uint8_t* p = schema::input_of(v) + r.offset;
      if (r.number) {
        uint64_t n;
        wire::Fault fault;
        wire::read_varint(p, p + r.len, &n, &fault);
        ours.AddVarint(int(r.number), uint64_t(int64_t(int32_t(n))));
      } else {
        google::protobuf::UnknownFieldSet part;
        if (!part.ParseFromArray(p, int(r.len))) return "unknown range does not parse";
        ours.MergeFrom(part);
      }
    }
    std::string a, b;
    ours.SerializeToString(&a);
    m.GetReflection()->GetUnknownFields(m).SerializeToString(&b);
    return a == b ? "" : "unknown fields differ";
  }

  std::string message(schema::View v, const schema::Message* t, const PbMessage& m) {
    if (v && schema::type_of(v) != t) return "has the wrong type";
    const auto* d = m.GetDescriptor();
    for (int i = 0; i < d->field_count(); i++) {
      const auto* fd = d->field(i);
      const schema::Field* f = t->by_number(uint32_t(fd->number()));
      if (!f) return fd->name() + " is not in the schema";
      std::string why = field(v, f, m, fd);
      if (!why.empty()) return fd->name() + "." + why;
    }
    for (const schema::Field* f : t->extensions) {
      const auto* fd = d->file()->pool()->FindExtensionByNumber(d, int(f->number));
      if (!fd) return "unknown extension";
      std::string why = field(v, f, m, fd);
      if (!why.empty()) return "[" + fd->full_name() + "]." + why;
    }
    for (const schema::Oneof& o : t->oneofs) {
      const auto* od = d->FindOneofByName(std::string(o.name));
      if (!od) return "oneof is unknown";
      if (v) {
        const schema::Field* set = schema::which(v, &o);
        const auto* want = m.GetReflection()->GetOneofFieldDescriptor(m, od);
        if ((set ? int(set->number) : 0) != (want ? want->number() : 0)) return std::string(o.name) + " has another case";
      }
    }
    return unknown_too && v ? unknown(v, m) : "";
  }
};

}  // namespace

void fill(PbMessage* m, Random& random, int depth) {
  std::vector<const FieldDescriptor*> fields;
  const auto* d = m->GetDescriptor();
  for (int i = 0; i < d->field_count(); i++) fields.push_back(d->field(i));
  std::vector<const FieldDescriptor*> extensions;
  d->file()->pool()->FindAllExtensions(d, &extensions);
  fields.insert(fields.end(), extensions.begin(), extensions.end());
  const uint64_t rarity = fields.size() > 30 ? 1 + below(random, 30) : 1 + below(random, 4);
  for (const auto* f : fields) {
    if (below(random, rarity)) continue;
    const bool message = f->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE;
    if (message && depth <= 0) continue;
    uint64_t n = 1;
    if (f->is_repeated()) n = message ? below(random, 4) : below(random, 8) ? below(random, 12) : below(random, 200);
    if (f->is_map() && !below(random, 8)) n = 20 + below(random, 40);
    for (uint64_t i = 0; i < n; i++) put_one(m, f, random, depth);
  }
}

std::string encode(const PbMessage& m) {
  std::string out;
  m.SerializePartialToString(&out);
  return out;
}

std::string shuffled(const std::string& bytes, Random& random) {
  std::vector<std::string> fields;
  auto* p = reinterpret_cast<const uint8_t*>(bytes.data());
  const uint8_t* end = p + bytes.size();
  while (p < end) {
    uint32_t tag;
    wire::Fault fault;
    const uint8_t *at, *value = wire::read_tag(p, end, &tag, &fault);
    const uint8_t* next = value ? wire::skip_value(value, end, tag, 100, &fault, &at) : nullptr;
    if (!next) return bytes;
    fields.emplace_back(reinterpret_cast<const char*>(p), size_t(next - p));
    p = next;
  }
  std::shuffle(fields.begin(), fields.end(), random);
  std::string out;
  for (const auto& f : fields) out += f;
  return out;
}

std::string mutated(std::string s, Random& random) {
  for (uint64_t n = 1 + below(random, 3); n; n--) {
    size_t at = s.empty() ? 0 : below(random, s.size());
    switch (below(random, 6)) {
      case 0:
        if (!s.empty()) s[at] = char(random());
        break;
      case 1:
        if (!s.empty()) s[at] = char(s[at] ^ 1 << below(random, 8));
        break;
      case 2: s.resize(at); break;
      case 3: s.insert(at, 1, char(random())); break;
      case 4:
        if (!s.empty()) s.erase(at, 1 + below(random, 4));
        break;
      default: s.insert(at, s.substr(s.empty() ? 0 : below(random, s.size()), below(random, 30)));
    }
  }
  return s;
}

std::string difference(schema::View v, const schema::Message* type, const PbMessage& m, bool unknown_too) {
  return Comparison{unknown_too}.message(v, type, m);
}

Decoded::Decoded(const schema::Message* type, const std::string& in, bool slack, const view::Limits& limits) {
  const void* data;
  if (slack) {
    bytes = in + std::string(base::kSlack, '\xFF');
    data = bytes.data();
  } else {
    // Exactly its size, so that a sanitizer sees the first byte read past the end.
    exact_ = static_cast<char*>(std::malloc(in.size() ? in.size() : 1));
    memcpy(exact_, in.data(), in.size());
    data = exact_;
  }
  auto r = view::decode(type, base::Slice(data, in.size()), slack, limits, &arena);
  if (r.ok()) view = *r;
  else status = r.take_status();
}

Decoded::~Decoded() { std::free(exact_); }

std::string Decoded::index() const {
  auto* head = schema::index_of(view);
  return {reinterpret_cast<const char*>(head), head->size};
}

}  // namespace oracle
