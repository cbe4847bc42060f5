// Edits against libprotobuf: the same random changes to a message of theirs and to an encoder over a view of its bytes.
#include <google/protobuf/descriptor.pb.h>

#include <deque>

#include "encode_test.h"
#include "random_message.h"

namespace {

using namespace random_message;
using encode::Encoder;
using pb::FieldDescriptor;

constexpr const char* kTypes[] = {"t.All", "t.Repeated", "t.Unpacked", "t.Maps", "t.Wide", "t2.Two", "t2.WideTwo", "t2.Item", "t2.Set", "t2.TwoAsInts"};

struct World {
  Types types;
  const pb::DescriptorPool& pool = *pb::DescriptorPool::generated_pool();
  Encoder* encoder = encode::encoder_new(nullptr);
  base::Arena arena, other;
  std::deque<std::string> kept;  // bytes of views that the edit refers to
  std::vector<base::Buffer*> buffers;
  std::string log;

  World() {
    (void)t::All::default_instance();
    (void)t2::Two::default_instance();
  }
  ~World() {
    encode::encoder_free(encoder);
    drop();
  }
  void drop() {
    for (base::Buffer* b : buffers) b->release();
    buffers.clear();
    kept.clear();
    arena.reset();
    other.reset();
  }
  std::unique_ptr<pb::Message> make(const std::string& type) {
    return std::unique_ptr<pb::Message>(pb::MessageFactory::generated_factory()->GetPrototype(pool.FindMessageTypeByName(type))->New());
  }
  std::string random(Random* r, const std::string& type, int depth = 2) {
    auto m = make(type);
    Filler(r, &pool).fill(m.get(), depth);
    return m->SerializePartialAsString();
  }
  // A view whose bytes live as long as the edit: in a buffer, or not.
  schema::View view(Random* r, const std::string& type, const std::string& bytes, base::Arena* a) {
    if (r->chance(50)) {
      base::Buffer* b = base::Buffer::make(bytes.size());
      memcpy(b->writable(), bytes.data(), bytes.size());
      buffers.push_back(b);
      auto v = view::decode(types[type.c_str()], b->slice(), true, {}, a, b);
      return v.ok() ? *v : nullptr;
    }
    kept.push_back(bytes);
    auto v = view::decode(types[type.c_str()], slice(kept.back()), false, {}, a);
    return v.ok() ? *v : nullptr;
  }
};

class Editor {
 public:
  Editor(World* w, Random* r) : w_(*w), r_(*r), e_(w->encoder) {}

  void change(pb::Message* m, int depth, int n) {
    const pb::Descriptor* d = m->GetDescriptor();
    std::vector<const FieldDescriptor*> fields;
    for (int i = 0; i < d->field_count(); i++) fields.push_back(d->field(i));
    w_.pool.FindAllExtensions(d, &fields);
    while (n--) {
      switch (r_.below(12)) {
        case 0: merge(m); break;
        case 1: unknown(m); break;
        default:
          if (!fields.empty()) field(m, fields[r_.below(fields.size())], depth);
      }
    }
  }

 private:
  void note(const char* what, const FieldDescriptor* f, uint64_t n = 0) { w_.log += std::string(what) + " " + (f ? f->full_name() : "") + " " + std::to_string(n) + "\n"; }

  void merge(pb::Message* m) {
    note("merge", nullptr);
    std::string type = m->GetDescriptor()->full_name(), bytes = w_.random(&r_, type, 1);
    auto other = w_.make(type);
    other->ParsePartialFromString(bytes);
    schema::View v = w_.view(&r_, type, bytes, &w_.other);
    if (!v) return;
    m->MergeFrom(*other);
    encode::merge(e_, v);
  }
  // A field that nobody knows, or one whose number is known with another wire type.
  void unknown(pb::Message* m) {
    const pb::Descriptor* d = m->GetDescriptor();
    if (d->options().message_set_wire_format()) return;
    uint32_t number = 3000 + uint32_t(r_.below(3));
    if (r_.chance(30)) {
      note("clear", nullptr, number);
      m->GetReflection()->MutableUnknownFields(m)->DeleteByNumber(int(number));
      return encode::clear(e_, number);
    }
    note("unknown", nullptr, number);
    uint64_t v = r_.number();
    m->GetReflection()->MutableUnknownFields(m)->AddVarint(int(number), v);
    uint8_t b[20], *p = wire::put_varint(b, wire::tag(number, wire::Type::kVarint));
    p = wire::put_varint(p, v);
    encode::put_raw(e_, {b, size_t(p - b)});
  }

  void field(pb::Message* m, const FieldDescriptor* f, int depth) {
    const pb::Reflection* r = m->GetReflection();
    auto number = uint32_t(f->number());
    bool message = f->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE;
    if (r_.chance(20)) {
      note("clear", f);
      r->ClearField(m, f);
      return encode::clear(e_, number);
    }
    if (f->is_map()) return map(m, f, depth);
    if (f->is_repeated()) return repeated(m, f, depth);
    if (!message) {
      note("set", f);
      return put(m, f, -1);
    }
    if (depth == 0) return;
    if (r_.chance(25)) {
      note("put_view", f);
      r->ClearField(m, f);
      return put_view(r->MutableMessage(m, f), f);
    }
    note("begin", f);
    pb::Message* sub = r->MutableMessage(m, f);
    encode::begin(e_, number);
    change(sub, depth - 1, int(r_.below(4)));
    note("end", f);
    encode::end(e_);
  }

  void put_view(pb::Message* sub, const FieldDescriptor* f) {
    std::string type = f->message_type()->full_name(), bytes = w_.random(&r_, type, 1);
    if (r_.chance(20)) bytes += w_.random(&r_, type, 1);
    schema::View v = w_.view(&r_, type, bytes, &w_.other);
    assert_non_null(v);
    sub->ParsePartialFromString(bytes);
    encode::put_view(e_, uint32_t(f->number()), v);
  }

  void repeated(pb::Message* m, const FieldDescriptor* f, int depth) {
    const pb::Reflection* r = m->GetReflection();
    auto number = uint32_t(f->number());
    int n = r->FieldSize(*m, f);
    bool message = f->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE;
    uint64_t what = r_.below(4);
    if (n && what == 0) {
      int i = int(r_.below(uint64_t(n)));
      note("remove_at", f, uint64_t(i));
      for (int j = i; j + 1 < n; j++) r->SwapElements(m, f, j, j + 1);
      r->RemoveLast(m, f);
      return encode::remove_at(e_, number, size_t(i));
    }
    if (n && what == 1) {
      int i = int(r_.below(uint64_t(n)));
      if (!message) {
        note("put_at", f, uint64_t(i));
        return put(m, f, i);
      }
      note("begin_at", f, uint64_t(i));
      encode::begin_at(e_, number, size_t(i));
      change(r->MutableRepeatedMessage(m, f, i), depth ? depth - 1 : 0, int(r_.below(3)));
      note("end", f);
      return encode::end(e_);
    }
    if (!message) {
      if (what == 2 && f->cpp_type() == FieldDescriptor::CPPTYPE_DOUBLE) {
        note("put_doubles", f);
        double v[3] = {1, 2.5, -0.0};
        for (double d : v) r->AddDouble(m, f, d);
        return encode::put_doubles(e_, number, v, 3);
      }
      if (what == 2 && f->cpp_type() == FieldDescriptor::CPPTYPE_INT64) {
        note("put_int64s", f);
        int64_t v[3] = {1, -1, INT64_MAX};
        for (int64_t i : v) r->AddInt64(m, f, i);
        return encode::put_int64s(e_, number, v, 3);
      }
      note("add", f);
      return put(m, f, n);
    }
    if (depth == 0) return;
    if (r_.chance(40)) {
      note("add_view", f);
      return put_view(r->AddMessage(m, f), f);
    }
    note("add begin", f);
    pb::Message* sub = r->AddMessage(m, f);
    encode::begin(e_, number);
    change(sub, depth - 1, int(r_.below(4)));
    note("end", f);
    encode::end(e_);
  }

  // One number or string to both: i < 0 sets a singular one; at the end appends.
  void put(pb::Message* m, const FieldDescriptor* f, int i) {
    const pb::Reflection* r = m->GetReflection();
    auto number = uint32_t(f->number());
    uint64_t n = r_.number();
    bool add = i >= 0 && i == r->FieldSize(*m, f), at = i >= 0 && !add;
    auto at_i = size_t(i);
#define BOTH(Type, value, call)                                       \
  {                                                                    \
    auto v = value;                                                    \
    if (at) r->SetRepeated##Type(m, f, i, v);                          \
    else if (add) r->Add##Type(m, f, v);                               \
    else r->Set##Type(m, f, v);                                        \
    return at ? encode::put_##call##_at(e_, number, at_i, v) : encode::put_##call(e_, number, v); \
  }
    switch (f->cpp_type()) {
      case FieldDescriptor::CPPTYPE_INT32: BOTH(Int32, int32_t(n), int64)
      case FieldDescriptor::CPPTYPE_INT64: BOTH(Int64, int64_t(n), int64)
      case FieldDescriptor::CPPTYPE_UINT32: BOTH(UInt32, uint32_t(n), uint64)
      case FieldDescriptor::CPPTYPE_UINT64: BOTH(UInt64, n, uint64)
      case FieldDescriptor::CPPTYPE_DOUBLE: BOTH(Double, double(int64_t(n)), double)
      case FieldDescriptor::CPPTYPE_FLOAT: BOTH(Float, float(int32_t(n)), double)
      case FieldDescriptor::CPPTYPE_BOOL: BOTH(Bool, bool(n & 1), int64)
      case FieldDescriptor::CPPTYPE_ENUM: BOTH(EnumValue, f->enum_type()->value(int(n % uint64_t(f->enum_type()->value_count())))->number(), int64)
      default: break;
    }
#undef BOTH
    std::string s = f->type() == FieldDescriptor::TYPE_BYTES ? r_.bytes() : r_.text();
    if (at) {
      r->SetRepeatedString(m, f, i, s);
      return encode::put_string_at(e_, number, at_i, slice(s));
    }
    add ? r->AddString(m, f, s) : r->SetString(m, f, s);
    if (!r_.chance(50)) return encode::put_string(e_, number, slice(s));
    base::Buffer* b = base::Buffer::make(s.size());
    memcpy(b->writable(), s.data(), s.size());
    encode::put_buffer(e_, number, b, 0, s.size());
    b->release();
  }

  // ---- Maps, which reflection shows as entries

  bool same_key(const pb::Message& a, const pb::Message& b) {
    const FieldDescriptor* k = a.GetDescriptor()->map_key();
    const pb::Reflection *r = a.GetReflection(), *q = b.GetReflection();
    switch (k->cpp_type()) {
      case FieldDescriptor::CPPTYPE_INT32: return r->GetInt32(a, k) == q->GetInt32(b, k);
      case FieldDescriptor::CPPTYPE_INT64: return r->GetInt64(a, k) == q->GetInt64(b, k);
      case FieldDescriptor::CPPTYPE_UINT32: return r->GetUInt32(a, k) == q->GetUInt32(b, k);
      case FieldDescriptor::CPPTYPE_UINT64: return r->GetUInt64(a, k) == q->GetUInt64(b, k);
      case FieldDescriptor::CPPTYPE_BOOL: return r->GetBool(a, k) == q->GetBool(b, k);
      default: return r->GetString(a, k) == q->GetString(b, k);
    }
  }
  int64_t int_key(const pb::Message& a) {
    const FieldDescriptor* k = a.GetDescriptor()->map_key();
    const pb::Reflection* r = a.GetReflection();
    switch (k->cpp_type()) {
      case FieldDescriptor::CPPTYPE_INT32: return r->GetInt32(a, k);
      case FieldDescriptor::CPPTYPE_INT64: return r->GetInt64(a, k);
      case FieldDescriptor::CPPTYPE_UINT32: return r->GetUInt32(a, k);
      case FieldDescriptor::CPPTYPE_UINT64: return int64_t(r->GetUInt64(a, k));
      default: return r->GetBool(a, k);
    }
  }
  void map(pb::Message* m, const FieldDescriptor* f, int depth) {
    const pb::Reflection* r = m->GetReflection();
    auto number = uint32_t(f->number());
    const FieldDescriptor *k = f->message_type()->map_key(), *v = f->message_type()->map_value();
    bool text = k->cpp_type() == FieldDescriptor::CPPTYPE_STRING, message = v->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE;
    // A key: of an entry that is there, or a random one.
    auto wanted = w_.make("t.All");  // any owner: entries are made below
    int n = r->FieldSize(*m, f), place = -1;
    std::unique_ptr<pb::Message> key;
    if (n && r_.chance(60)) {
      place = int(r_.below(uint64_t(n)));
      key.reset(r->GetRepeatedMessage(*m, f, place).New());
      key->CopyFrom(r->GetRepeatedMessage(*m, f, place));
    } else {
      auto scratch = std::unique_ptr<pb::Message>(m->New());
      pb::Message* entry = scratch->GetReflection()->AddMessage(scratch.get(), f);
      key_of(entry, k);
      key.reset(entry->New());
      key->CopyFrom(*entry);
      for (int i = 0; i < n && place < 0; i++)
        if (same_key(r->GetRepeatedMessage(*m, f, i), *key)) place = i;
    }
    std::string s = text ? key->GetReflection()->GetString(*key, k) : std::string();
    if (r_.chance(30)) {
      note("remove_key", f);
      if (place >= 0) {
        r->SwapElements(m, f, place, n - 1);
        r->RemoveLast(m, f);
      }
      return text ? encode::remove_key(e_, number, slice(s)) : encode::remove_key_int(e_, number, int_key(*key));
    }
    if (message && r_.chance(60)) {
      note("begin_key", f);
      pb::Message* entry;
      if (place >= 0) {
        entry = r->MutableRepeatedMessage(m, f, place);
      } else {
        entry = r->AddMessage(m, f);
        copy_key(*key, entry);
      }
      text ? encode::begin_key(e_, number, slice(s)) : encode::begin_key_int(e_, number, int_key(*key));
      change(entry->GetReflection()->MutableMessage(entry, v), depth ? depth - 1 : 0, int(r_.below(3)));
      note("end", f);
      return encode::end(e_);
    }
    note("set_key", f);
    pb::Message* entry;
    if (place >= 0) {
      entry = r->MutableRepeatedMessage(m, f, place);
      entry->GetReflection()->ClearField(entry, v);
    } else {
      entry = r->AddMessage(m, f);
      copy_key(*key, entry);
    }
    encode::begin(e_, number);
    if (r_.chance(50)) put_key(*key, k);
    else key->GetReflection()->ClearField(key.get(), v), put_key(*key, k);
    if (message) {
      encode::begin(e_, 2);
      change(entry->GetReflection()->MutableMessage(entry, v), depth ? depth - 1 : 0, int(r_.below(3)));
      encode::end(e_);
    } else {
      put(entry, v, -1);
    }
    encode::end(e_);
  }
  void key_of(pb::Message* entry, const FieldDescriptor* k) {
    const pb::Reflection* r = entry->GetReflection();
    uint64_t n = r_.chance(50) ? r_.below(3) : r_.number();
    switch (k->cpp_type()) {
      case FieldDescriptor::CPPTYPE_INT32: return r->SetInt32(entry, k, int32_t(n));
      case FieldDescriptor::CPPTYPE_INT64: return r->SetInt64(entry, k, int64_t(n));
      case FieldDescriptor::CPPTYPE_UINT32: return r->SetUInt32(entry, k, uint32_t(n));
      case FieldDescriptor::CPPTYPE_UINT64: return r->SetUInt64(entry, k, n);
      case FieldDescriptor::CPPTYPE_BOOL: return r->SetBool(entry, k, n & 1);
      default: return r->SetString(entry, k, r_.text());
    }
  }
  void copy_key(const pb::Message& from, pb::Message* to) {
    const FieldDescriptor* k = from.GetDescriptor()->map_key();
    const pb::Reflection *r = from.GetReflection(), *q = to->GetReflection();
    switch (k->cpp_type()) {
      case FieldDescriptor::CPPTYPE_INT32: return q->SetInt32(to, k, r->GetInt32(from, k));
      case FieldDescriptor::CPPTYPE_INT64: return q->SetInt64(to, k, r->GetInt64(from, k));
      case FieldDescriptor::CPPTYPE_UINT32: return q->SetUInt32(to, k, r->GetUInt32(from, k));
      case FieldDescriptor::CPPTYPE_UINT64: return q->SetUInt64(to, k, r->GetUInt64(from, k));
      case FieldDescriptor::CPPTYPE_BOOL: return q->SetBool(to, k, r->GetBool(from, k));
      default: return q->SetString(to, k, r->GetString(from, k));
    }
  }
  void put_key(const pb::Message& key, const FieldDescriptor* k) {
    const pb::Reflection* r = key.GetReflection();
    if (k->cpp_type() == FieldDescriptor::CPPTYPE_STRING) return encode::put_string(e_, 1, slice(r->GetString(key, k)));
    if (k->cpp_type() == FieldDescriptor::CPPTYPE_UINT64) return encode::put_uint64(e_, 1, r->GetUInt64(key, k));
    encode::put_int64(e_, 1, int_key(key));
  }

  World& w_;
  Random& r_;
  Encoder* e_;
};

std::string hex(const std::string& s) {
  std::string r;
  char b[3];
  for (size_t i = 0; i < s.size() && i < 600; i++) r += (snprintf(b, 3, "%02x", uint8_t(s[i])), b);
  return r;
}

void equal_to_theirs(World* w, const char* type, const pb::Message& want, const std::string& ours, const std::string& in) {
  auto got = w->make(type);
  bool read = got->ParsePartialFromString(ours);
  std::string a = deterministic(want), b = deterministic(*got);
  if (!read || a != b) {
    fprintf(stderr, "%s\n%s\nin   %s\nwant %s\nours %s\n", type, w->log.c_str(), hex(in).c_str(), hex(a).c_str(), hex(ours).c_str());
    std::string x = want.DebugString(), y = got->DebugString();
    size_t at = 0;
    while (at < x.size() && at < y.size() && x[at] == y[at]) at++;
    at = at < 200 ? 0 : at - 200;
    fprintf(stderr, "theirs: ...%s\n---\nours: ...%s\n", x.substr(at, 1000).c_str(), y.substr(at, 1000).c_str());
  }
  assert_true(read);
  assert_true(a == b);
}

void the_same_edits_give_the_same_message(void**) {
  World w;
  for (int i = 0; i < rounds(); i++) {
    Random r{uint64_t(i) + 5000000};
    w.drop();
    w.log.clear();
    const char* type = kTypes[r.below(std::size(kTypes))];
    std::string in = w.random(&r, type);
    if (r.chance(30)) in += w.random(&r, type);  // sub-messages in pieces, keys twice
    if (r.chance(20)) in += w.random(&r, kTypes[r.below(std::size(kTypes))]);  // unknown fields, other wire types
    auto want = w.make(type);
    if (!want->ParsePartialFromString(in)) continue;
    schema::View v = w.view(&r, type, in, &w.arena);
    if (!v) continue;
    encode::edit(w.encoder, v);
    Editor(&w, &r).change(want.get(), 3, int(1 + r.below(8)));
    if (r.chance(30)) {  // what was set can be read back, and then changed further
      auto b = encode::snapshot(w.encoder);
      assert_true(b.ok());
      equal_to_theirs(&w, type, *want, std::string((*b)->slice().text()), in);
      (*b)->release();
      Editor(&w, &r).change(want.get(), 3, int(r.below(4)));
    }
    size_t size = encode::size(w.encoder);
    if (encode::failed(w.encoder)) fprintf(stderr, "%s\n%s", encode::take_status(w.encoder).message(), w.log.c_str());
    std::string ours = gathered(w.encoder);
    if (size != ours.size()) fprintf(stderr, "%s\n", w.log.c_str());
    assert_int_equal(size, ours.size());
    assert_true(ours == finished(w.encoder));
    equal_to_theirs(&w, type, *want, ours, in);
  }
}

void an_edit_that_touches_nothing_passes_every_byte(void**) {
  World w;
  for (int i = 0; i < rounds() / 4; i++) {
    Random r{uint64_t(i) + 6000000};
    w.drop();
    const char* type = kTypes[r.below(std::size(kTypes))];
    std::string in = w.random(&r, type) + w.random(&r, kTypes[r.below(std::size(kTypes))]);
    auto m = w.make(type);
    if (!m->ParsePartialFromString(in)) continue;
    schema::View v = w.view(&r, type, in, &w.arena);
    if (!v) continue;
    encode::edit(w.encoder, v);
    encode::clear(w.encoder, 4444);  // so that it is looked at
    assert_true(finished(w.encoder) == in);
  }
}

}  // namespace

int main() {
  pb::SetLogHandler(silent);
  const CMUnitTest tests[] = {
      cmocka_unit_test(the_same_edits_give_the_same_message),
      cmocka_unit_test(an_edit_that_touches_nothing_passes_every_byte),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
