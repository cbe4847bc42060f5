// Random messages, to and fro: our JSON read by libprotobuf, its JSON read by us, and both by ourselves again.
#include <google/protobuf/descriptor.pb.h>
#include <google/protobuf/dynamic_message.h>
#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <google/protobuf/util/json_util.h>

#include <cmath>
#include <cstdarg>
#include <cstddef>
#include <csetjmp>
#include <limits>
#include <memory>
#include <random>

#include "unit/json/support.h"

extern "C" {
#include <cmocka.h>
}

using namespace json_test;
namespace pb = google::protobuf;

namespace {

std::mt19937_64 g_random(20260101);
uint64_t dice(uint64_t n) { return g_random() % n; }

std::string random_text() {
  static const char* parts[] = {"a", "Z", "9", " ", "\"", "\\", "/", "\n", "\t", "\x01", "\x1f", "\x7f", "\xC3\xA9", "\xE2\x82\xAC",
                                "\xF0\x9F\x98\x80", "<", "&", "plain text that is longer than sixteen bytes", "\xEF\xBF\xBF"};
  std::string s;
  for (uint64_t n = dice(6); n > 0; n--) s += parts[dice(std::size(parts))];
  return s;
}
std::string random_bytes() {
  std::string s(dice(40), 0);
  for (char& c : s) c = char(g_random());
  return s;
}
int64_t random_int() {
  switch (dice(4)) {
    case 0: return int64_t(dice(100));
    case 1: return -int64_t(dice(1000));
    case 2: return int64_t(1) << dice(63);
    default: return int64_t(g_random());
  }
}
double random_double() {
  switch (dice(8)) {
    case 0: return 0;
    case 1: return double(int64_t(dice(100000)));
    case 2: return std::numeric_limits<double>::infinity();
    case 3: return std::numeric_limits<double>::quiet_NaN();
    case 4: return -0.5;
    default: {
      uint64_t bits = g_random();
      double d;
      memcpy(&d, &bits, 8);
      return std::isfinite(d) ? d : 1.25;
    }
  }
}
float random_float() {
  uint32_t bits = uint32_t(g_random());
  float f;
  memcpy(&f, &bits, 4);
  return std::isfinite(f) ? f : dice(2) ? std::numeric_limits<float>::infinity() : std::numeric_limits<float>::quiet_NaN();
}

void fill(pb::Message* m, int depth);

void set_int(pb::Message* m, const char* name, int64_t v) {
  const pb::FieldDescriptor* f = m->GetDescriptor()->FindFieldByName(name);
  if (f->cpp_type() == pb::FieldDescriptor::CPPTYPE_INT64) m->GetReflection()->SetInt64(m, f, v);
  else m->GetReflection()->SetInt32(m, f, int32_t(v));
}

// Well-known types hold only what has a JSON form. True: it was one.
bool fill_known(pb::Message* m, int depth) {
  const pb::Descriptor* d = m->GetDescriptor();
  const pb::Reflection* r = m->GetReflection();
  const std::string& name = d->full_name();
  if (name == "google.protobuf.Timestamp") {
    set_int(m, "seconds", int64_t(dice(315537897600)) - 62135596800);
    set_int(m, "nanos", dice(2) ? int64_t(dice(1000000000)) : int64_t(dice(1000)) * 1000000);
  } else if (name == "google.protobuf.Duration") {
    int64_t sign = dice(2) ? 1 : -1;
    set_int(m, "seconds", sign * int64_t(dice(315576000000)));
    set_int(m, "nanos", sign * int64_t(dice(1000000000)));
  } else if (name == "google.protobuf.FieldMask") {
    static const char* paths[] = {"a", "foo_bar", "x.y_z", "foo.bar_baz.q1"};
    for (uint64_t n = dice(4); n > 0; n--) r->AddString(m, d->field(0), paths[dice(4)]);
  } else if (name == "google.protobuf.Value") {
    switch (depth > 3 ? dice(4) : dice(6)) {
      case 0: r->SetEnumValue(m, d->FindFieldByNumber(1), 0); break;
      case 1: r->SetDouble(m, d->FindFieldByNumber(2), double(random_int())); break;
      case 2: r->SetString(m, d->FindFieldByNumber(3), random_text()); break;
      case 3: r->SetBool(m, d->FindFieldByNumber(4), dice(2)); break;
      case 4: fill(r->MutableMessage(m, d->FindFieldByNumber(5)), depth + 1); break;
      default: fill(r->MutableMessage(m, d->FindFieldByNumber(6)), depth + 1); break;
    }
  } else if (name == "google.protobuf.Any") {
    if (dice(3) == 0) return true;
    const pb::Descriptor* inner = d->file()->pool()->FindMessageTypeByName(dice(2) ? "json.test.All" : "google.protobuf.Duration");
    std::unique_ptr<pb::Message> made(m->GetReflection()->GetMessageFactory()->GetPrototype(inner)->New());
    fill(made.get(), depth + 3);
    r->SetString(m, d->FindFieldByNumber(1), "type.googleapis.com/" + inner->full_name());
    r->SetString(m, d->FindFieldByNumber(2), made->SerializeAsString());
  } else {
    return false;
  }
  return true;
}

void fill_field(pb::Message* m, const pb::FieldDescriptor* f, int depth) {
  const pb::Reflection* r = m->GetReflection();
  uint64_t times = f->is_repeated() ? dice(4) : 1;
  if (f->is_map() && f->message_type()->field(0)->cpp_type() == pb::FieldDescriptor::CPPTYPE_BOOL) times = dice(2);
  for (; times > 0; times--) {
#define PUT(Type, value) f->is_repeated() ? r->Add##Type(m, f, value) : r->Set##Type(m, f, value)
    switch (f->cpp_type()) {
      case pb::FieldDescriptor::CPPTYPE_INT32: PUT(Int32, int32_t(random_int())); break;
      case pb::FieldDescriptor::CPPTYPE_INT64: PUT(Int64, random_int()); break;
      case pb::FieldDescriptor::CPPTYPE_UINT32: PUT(UInt32, uint32_t(random_int())); break;
      case pb::FieldDescriptor::CPPTYPE_UINT64: PUT(UInt64, uint64_t(random_int())); break;
      case pb::FieldDescriptor::CPPTYPE_DOUBLE: PUT(Double, random_double()); break;
      case pb::FieldDescriptor::CPPTYPE_FLOAT: PUT(Float, random_float()); break;
      case pb::FieldDescriptor::CPPTYPE_BOOL: PUT(Bool, dice(2) == 1); break;
      case pb::FieldDescriptor::CPPTYPE_ENUM: PUT(EnumValue, f->enum_type()->name() == "NullValue" ? 0 : int(dice(5)) - 1); break;
      case pb::FieldDescriptor::CPPTYPE_STRING:
        PUT(String, f->type() == pb::FieldDescriptor::TYPE_BYTES ? random_bytes() : random_text());
        break;
      case pb::FieldDescriptor::CPPTYPE_MESSAGE:
        fill(f->is_repeated() ? r->AddMessage(m, f) : r->MutableMessage(m, f), depth + 1);
        break;
    }
#undef PUT
  }
}

// Keys of maps differ: what a text with equal ones means is not agreed on.
void fill_key(pb::Message* m, const pb::FieldDescriptor* f) {
  static int64_t next = 0;
  const pb::Reflection* r = m->GetReflection();
  next++;
  switch (f->cpp_type()) {
    case pb::FieldDescriptor::CPPTYPE_INT32: return r->SetInt32(m, f, int32_t(next % 2 ? next : -next));
    case pb::FieldDescriptor::CPPTYPE_INT64: return r->SetInt64(m, f, next % 2 ? next : INT64_MIN + next);
    case pb::FieldDescriptor::CPPTYPE_UINT64: return r->SetUInt64(m, f, UINT64_MAX - uint64_t(next));
    case pb::FieldDescriptor::CPPTYPE_UINT32: return r->SetUInt32(m, f, UINT32_MAX - uint32_t(next));
    case pb::FieldDescriptor::CPPTYPE_BOOL: return r->SetBool(m, f, next % 2);
    default: return r->SetString(m, f, random_text() + std::to_string(next));
  }
}

// A map entry with both fields, as every serialiser writes it.
void fill(pb::Message* m, int depth) {
  if (fill_known(m, depth)) return;
  const pb::Descriptor* d = m->GetDescriptor();
  bool whole = d->options().map_entry() || d->field_count() == 1;
  for (int i = 0; i < d->field_count(); i++) {
    const pb::FieldDescriptor* f = d->field(i);
    // libprotobuf 3.21 forgets a null that it reads into these.
    if (f->name() == "c_null" || f->name() == "null" || f->name() == "c_value" || f->name() == "r_value" || f->name() == "m_value") continue;
    if (f->cpp_type() == pb::FieldDescriptor::CPPTYPE_MESSAGE && depth > 3 && !whole) continue;
    if (d->options().map_entry() && i == 0) fill_key(m, f);
    else if (whole || dice(uint64_t(2 + 3 * depth)) == 0) fill_field(m, f, depth);
  }
}

struct World {
  pb::DescriptorPool pool;
  pb::DynamicMessageFactory factory{&pool};
  schema::Schema* schema = nullptr;
  const pb::Message* prototype = nullptr;
  const schema::Message* type = nullptr;
};
World* g;

std::string canonical(const pb::Message& m) {
  std::string s;
  {
    pb::io::StringOutputStream out(&s);
    pb::io::CodedOutputStream coded(&out);
    coded.SetSerializationDeterministic(true);
    m.SerializePartialToCodedStream(&coded);
  }
  return s;
}

// Maps drawn at random may hold a key twice, and Anys hold bytes: canonical() of a message read again from its own bytes.
std::unique_ptr<pb::Message> random_message() {
  std::unique_ptr<pb::Message> m(g->prototype->New());
  fill(m.get(), 0);
  std::unique_ptr<pb::Message> again(g->prototype->New());
  assert_true(again->ParseFromString(m->SerializeAsString()));
  return again;
}

void our_json_means_the_same_to_libprotobuf_and_its_to_us(void**) {
  for (int round = 0; round < 800; round++) {
    std::unique_ptr<pb::Message> m = random_message();
    std::string wire = m->SerializeAsString(), want = canonical(*m);
    Printed ours = print(g->type, wire);
    if (!ours.status.ok()) fail_msg("round %d: %s %s", round, ours.status.path(), ours.status.message());
    std::unique_ptr<pb::Message> back(g->prototype->New());
    auto s = pb::util::JsonStringToMessage(ours.text, back.get());
    if (!s.ok()) fail_msg("round %d: libprotobuf: %s\n%s", round, s.ToString().c_str(), ours.text.c_str());
    std::string theirs;
    assert_true(pb::util::MessageToJsonString(*m, &theirs).ok());
    // What it reads from its own text is what it can mean by a message (Anys come out in another order of bytes).
    std::unique_ptr<pb::Message> mirror(g->prototype->New());
    s = pb::util::JsonStringToMessage(theirs, mirror.get());
    if (!s.ok()) fail_msg("round %d: libprotobuf, its own text: %s\n%s", round, s.ToString().c_str(), theirs.c_str());
    if (canonical(*back) != canonical(*mirror)) fail_msg("round %d:\nours   %s\ntheirs %s", round, ours.text.c_str(), theirs.c_str());
    Parsed p = parse(g->type, theirs);
    if (!p.status.ok()) fail_msg("round %d: %s %s\n%s", round, p.status.path(), p.status.message(), theirs.c_str());
    assert_true(back->ParseFromString(p.wire));
    std::string again = print(g->type, canonical(*back)).text;
    if (again != print(g->type, want).text) fail_msg("round %d:\n got  %s\n want %s", round, again.c_str(), print(g->type, want).text.c_str());
  }
}

void what_we_print_we_read_back(void**) {
  json::PrintOptions forms[4];
  forms[1].pretty = true;
  forms[2].proto_names = true;
  forms[3].enum_numbers = true;
  for (int round = 0; round < 800; round++) {
    std::unique_ptr<pb::Message> m = random_message();
    std::string wire = m->SerializeAsString();
    std::string want = print(g->type, wire).text;
    for (const json::PrintOptions& o : forms) {
      std::string text = print(g->type, wire, o).text;
      Parsed p = parse(g->type, text);
      if (!p.status.ok()) fail_msg("%s %s\n%s", p.status.path(), p.status.message(), text.c_str());
      std::string again = print(g->type, p.wire).text;
      if (again != want) fail_msg("got  %s\nwant %s", again.c_str(), want.c_str());
    }
  }
}

void a_text_cut_or_changed_anywhere_is_refused_or_read_soundly(void**) {
  for (int round = 0; round < 12; round++) {
    std::string text = print(g->type, random_message()->SerializeAsString()).text;
    if (text.size() > 1500) text.resize(1500);
    for (size_t n = 0; n + 1 < text.size(); n++) {
      Parsed p = parse(g->type, text.substr(0, n));
      assert_false(p.status.ok());
      assert_true(p.status.offset() >= 0 && size_t(p.status.offset()) <= n);
      std::string changed = text;
      changed[n] = char(g_random());
      p = parse(g->type, changed);
      if (!p.status.ok()) continue;
      Printed again = print(g->type, p.wire);
      if (!again.status.ok()) fail_msg("read but not printed: %s: %s", changed.c_str(), again.status.message());
    }
  }
}

int setup(void**) {
  g = new World;
  pb::FileDescriptorSet set;
  if (!set.ParseFromString(file_bytes(JSON_TEST_SET))) return 1;
  for (const auto& f : set.file())
    if (!g->pool.BuildFile(f)) return 1;
  g->prototype = g->factory.GetPrototype(g->pool.FindMessageTypeByName("json.test.All"));
  g->schema = load();
  g->type = g->schema->message("json.test.All");
  return 0;
}
int teardown(void**) {
  g->schema->release();
  delete g;
  pb::ShutdownProtobufLibrary();
  return 0;
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(our_json_means_the_same_to_libprotobuf_and_its_to_us),
      cmocka_unit_test(what_we_print_we_read_back),
      cmocka_unit_test(a_text_cut_or_changed_anywhere_is_refused_or_read_soundly),
  };
  return cmocka_run_group_tests(tests, setup, teardown);
}
