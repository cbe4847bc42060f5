// Edits against libprotobuf: the same random changes to a message of theirs and to an encoder over a view of its bytes.
#include <google/protobuf/descriptor.pb.h>
#include <google/protobuf/field_mask.pb.h>
#include <google/protobuf/util/field_mask_util.h>
#include <google/protobuf/util/message_differencer.h>

#include <deque>

#include "encode_test.h"
#include "random_message.h"
#include "schema/compare.h"
#include "schema/mask.h"

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

// ---- Masks

// Some paths of a type, a few of them deep.
std::string random_paths(Random* r, const pb::Descriptor* d) {
  std::string paths;
  for (size_t n = 1 + r->below(6); n; n--) {
    const pb::Descriptor* at = d;
    std::string path;
    for (int depth = 0; depth < 3; depth++) {
      const FieldDescriptor* f = at->field(int(r->below(uint64_t(at->field_count()))));
      path += (path.empty() ? "" : ".") + f->name();
      if (f->is_repeated() || f->cpp_type() != FieldDescriptor::CPPTYPE_MESSAGE || f->message_type()->field_count() == 0 || r->chance(40)) break;
      at = f->message_type();
    }
    if (!paths.empty()) paths += ",";
    paths += path;
  }
  return paths;
}

pb::FieldMask theirs_of(const schema::Paths& paths) {
  pb::FieldMask m;
  for (std::string_view p : paths) m.add_paths(std::string(p));
  return m;
}

// Their trim leaves extensions, which a mask of theirs cannot name.
void drop_extensions(pb::Message* m, const schema::MaskNode* mask) {
  if (mask->whole) return;
  const pb::Reflection* r = m->GetReflection();
  std::vector<const FieldDescriptor*> set;
  r->ListFields(*m, &set);
  for (const FieldDescriptor* f : set)
    if (f->is_extension()) r->ClearField(m, f);
  for (const schema::MaskNode* child : mask->children()) {
    const FieldDescriptor* f = m->GetDescriptor()->FindFieldByNumber(int(child->field->number));
    if (!child->whole && r->HasField(*m, f)) drop_extensions(r->MutableMessage(m, f), child);
  }
}

// Their merge makes every message that a path leads through, and so may unset a oneof for nothing; ours does not.
void drop_made(pb::Message* m, const pb::Message& before, const pb::Message& source, const schema::MaskNode* mask) {
  const pb::Reflection* r = m->GetReflection();
  for (const schema::MaskNode* child : mask->children()) {
    const FieldDescriptor* f = m->GetDescriptor()->FindFieldByNumber(int(child->field->number));
    if (child->whole) continue;
    if (!r->HasField(before, f) && !r->HasField(source, f)) r->ClearField(m, f);
    else drop_made(r->MutableMessage(m, f), r->GetMessage(before, f), r->GetMessage(source, f), child);
  }
}
bool leads_through_oneof(const schema::MaskNode* mask) {
  for (const schema::MaskNode* child : mask->children())
    if (!child->whole && (child->field->oneof || leads_through_oneof(child))) return true;
  return false;
}

void masks_agree(void**) {
  World w;
  for (int i = 0; i < rounds(); i++) {
    Random r{uint64_t(i) + 7000000};
    w.drop();
    w.log.clear();
    const char* type = kTypes[r.below(7)];
    const pb::Descriptor* d = w.pool.FindMessageTypeByName(type);
    std::string a = random_paths(&r, d), b = random_paths(&r, d);
    // Lists.
    schema::Paths x, y, both, all;
    assert_true(schema::split_paths(a, &x) && schema::split_paths(b, &y) && all.append(x.data(), x.size()) && all.append(y.data(), y.size()));
    pb::FieldMask p = theirs_of(x), q = theirs_of(y), want;
    schema::normalise_paths(&x);
    schema::normalise_paths(&y);
    schema::normalise_paths(&all);
    assert_true(schema::intersect_paths(x, y, &both));
    pb::util::FieldMaskUtil::ToCanonicalForm(p, &want);
    assert_string_equal(pb::util::FieldMaskUtil::ToString(theirs_of(x)).c_str(), pb::util::FieldMaskUtil::ToString(want).c_str());
    pb::util::FieldMaskUtil::Union(p, q, &want);
    assert_string_equal(pb::util::FieldMaskUtil::ToString(theirs_of(all)).c_str(), pb::util::FieldMaskUtil::ToString(want).c_str());
    pb::util::FieldMaskUtil::Intersect(p, q, &want);
    assert_string_equal(pb::util::FieldMaskUtil::ToString(theirs_of(both)).c_str(), pb::util::FieldMaskUtil::ToString(want).c_str());
    for (std::string_view path : y)
      assert_int_equal(schema::paths_cover(x, path), pb::util::FieldMaskUtil::IsPathInFieldMask(std::string(path), p));
    // Applied.
    base::Arena arena;
    auto mask = schema::mask_compile(w.types[type], a, schema::kMaskStrict, &arena);
    assert_true(mask.ok());
    std::string in = w.random(&r, type), other = w.random(&r, type);
    if (r.chance(30)) in += w.random(&r, type);
    auto m = w.make(type), o = w.make(type);
    if (!m->ParsePartialFromString(in) || !o->ParsePartialFromString(other)) continue;
    schema::View v = w.view(&r, type, in, &w.arena), from = w.view(&r, type, other, &w.other);
    encode::edit(w.encoder, v);
    w.log = "mask " + a + "\n";
    if (r.chance(50)) {
      w.log += "trim\n";
      pb::util::FieldMaskUtil::TrimMessage(p, m.get());
      encode::trim_to(w.encoder, *mask);
      drop_extensions(m.get(), *mask);
    } else {
      bool messages = r.chance(50), repeated = r.chance(50);
      w.log += "merge " + std::to_string(messages) + std::to_string(repeated) + "\n";
      pb::util::FieldMaskUtil::MergeOptions options;
      options.set_replace_message_fields(messages);
      options.set_replace_repeated_fields(repeated);
      if (leads_through_oneof(*mask)) continue;
      auto before = w.make(type);
      before->CopyFrom(*m);
      pb::util::FieldMaskUtil::MergeMessageTo(*o, p, options, m.get());
      drop_made(m.get(), *before, *o, *mask);
      encode::merge_masked(w.encoder, from, *mask, (messages ? uint32_t(encode::kMaskReplaceMessages) : 0u) | (repeated ? uint32_t(encode::kMaskReplaceRepeated) : 0u));
    }
    equal_to_theirs(&w, type, *m, finished(w.encoder), in);
  }
}

// ---- Deterministic encoding, equality, hash

std::string sorted(World* w, const char* type, schema::View v) {
  encode::reset(w->encoder, w->types[type]);
  encode::put_deterministic(w->encoder, v);
  return finished(w->encoder);
}

void deterministic_bytes_are_libprotobufs(void**) {
  World w;
  for (int i = 0; i < rounds(); i++) {
    Random r{uint64_t(i) + 8000000};
    w.drop();
    const char* type = kTypes[r.below(std::size(kTypes) - 3)];
    std::string in = w.random(&r, type);
    if (r.chance(50)) in += w.random(&r, type);
    auto m = w.make(type);
    if (!m->ParsePartialFromString(in)) continue;
    schema::View v = w.view(&r, type, in, &w.arena);
    std::string want = deterministic(*m), ours = sorted(&w, type, v);
    if (want != ours) fprintf(stderr, "%s\nin   %s\nwant %s\nours %s\n", type, hex(in).c_str(), hex(want).c_str(), hex(ours).c_str());
    assert_true(want == ours);
    assert_true(sorted(&w, type, w.view(&r, type, ours, &w.other)) == ours);
  }
}

void equality_is_theirs_and_hashes_follow(void**) {
  World w;
  size_t equal_ones = 0;
  for (int i = 0; i < rounds(); i++) {
    Random r{uint64_t(i) + 9000000};
    w.drop();
    const char* type = kTypes[r.below(std::size(kTypes) - 3)];
    std::string in = w.random(&r, type);
    auto m = w.make(type), o = w.make(type);
    if (!m->ParsePartialFromString(in)) continue;
    o->CopyFrom(*m);
    schema::View v = w.view(&r, type, in, &w.arena);
    encode::edit(w.encoder, v);
    Editor(&w, &r).change(o.get(), 2, int(r.below(3)));
    // In another order: maps of generated code come out as their hash has it.
    std::string out = o->SerializePartialAsString();
    schema::View u = w.view(&r, type, out, &w.other);
    if (!u) continue;
    bool want = deterministic(*m) == deterministic(*o);
    schema::Equal got = schema::equal(v, u);
    if (got != (want ? schema::Equal::kYes : schema::Equal::kNo)) fprintf(stderr, "%s %d\n%s\n%s\n%s\n", type, int(got), w.log.c_str(), hex(in).c_str(), hex(out).c_str());
    assert_int_equal(int(got), want);
    assert_int_equal(int(schema::equal(u, v)), want);
    assert_int_equal(schema::hash(v, 5) == schema::hash(u, 5), want);
    equal_ones += want;
    w.log.clear();
  }
  assert_true(equal_ones > size_t(rounds()) / 10);
}

}  // namespace

int main() {
  pb::SetLogHandler(silent);
  const CMUnitTest tests[] = {
      cmocka_unit_test(the_same_edits_give_the_same_message),
      cmocka_unit_test(an_edit_that_touches_nothing_passes_every_byte),
      cmocka_unit_test(masks_agree),
      cmocka_unit_test(deterministic_bytes_are_libprotobufs),
      cmocka_unit_test(equality_is_theirs_and_hashes_follow),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
