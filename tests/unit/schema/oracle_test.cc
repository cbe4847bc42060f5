// Our reading of descriptors against libprotobuf's, field by field.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wconversion"
#pragma GCC diagnostic ignored "-Wshadow"
#pragma GCC diagnostic ignored "-Wunused-parameter"
#include <google/protobuf/descriptor.h>
#include <google/protobuf/descriptor.pb.h>
#pragma GCC diagnostic pop

#include "schema_test.h"
#include "support/file.h"

#include <cstring>

namespace pb = google::protobuf;
using namespace schema_test;

namespace {

std::string dir;

uint64_t default_of(const pb::FieldDescriptor* d) {
  uint64_t u = 0;
  switch (d->cpp_type()) {
    case pb::FieldDescriptor::CPPTYPE_INT32: return uint32_t(d->default_value_int32());
    case pb::FieldDescriptor::CPPTYPE_UINT32: return d->default_value_uint32();
    case pb::FieldDescriptor::CPPTYPE_INT64: return uint64_t(d->default_value_int64());
    case pb::FieldDescriptor::CPPTYPE_UINT64: return d->default_value_uint64();
    case pb::FieldDescriptor::CPPTYPE_BOOL: return d->default_value_bool();
    case pb::FieldDescriptor::CPPTYPE_ENUM: return uint32_t(d->default_value_enum()->number());
    case pb::FieldDescriptor::CPPTYPE_FLOAT: {
      float f = d->default_value_float();
      memcpy(&u, &f, 4);
      return u;
    }
    case pb::FieldDescriptor::CPPTYPE_DOUBLE: {
      double f = d->default_value_double();
      memcpy(&u, &f, 8);
      return u;
    }
    default: return 0;
  }
}

void same_field(const schema::Field* f, const pb::FieldDescriptor* d) {
  assert_string_equal(f->name.data(), d->name().c_str());
  assert_string_equal(f->full_name.data(), d->full_name().c_str());
  assert_string_equal(f->json_name.data(), d->json_name().c_str());
  assert_int_equal(f->number, d->number());
  assert_int_equal(f->kind, d->type());
  assert_int_equal(f->repeated(), d->is_repeated());
  assert_int_equal(f->is_map(), d->is_map());
  assert_int_equal(f->presence, d->has_presence());
  assert_int_equal(f->required, d->is_required());
  assert_int_equal(f->packed, d->is_packed());
  assert_int_equal(f->extension, d->is_extension());
  assert_string_equal(f->parent->name.data(), d->containing_type()->full_name().c_str());
  const pb::OneofDescriptor* o = d->real_containing_oneof();
  assert_int_equal(f->oneof != nullptr, o != nullptr);
  if (o) assert_string_equal(f->oneof->name.data(), o->name().c_str());
  if (d->message_type()) assert_string_equal(f->message->name.data(), d->message_type()->full_name().c_str());
  if (d->enum_type()) {
    assert_string_equal(f->enumeration->name.data(), d->enum_type()->full_name().c_str());
    assert_int_equal(f->closed_enum, d->enum_type()->file()->syntax() == pb::FileDescriptor::SYNTAX_PROTO2);
  }
  assert_int_equal(f->utf8, d->type() == pb::FieldDescriptor::TYPE_STRING && d->file()->syntax() == pb::FileDescriptor::SYNTAX_PROTO3);
  if (d->is_repeated()) return;
  assert_true(f->default_bits == default_of(d));
  if (d->cpp_type() == pb::FieldDescriptor::CPPTYPE_STRING) assert_true(f->default_bytes.text() == d->default_value_string());
}

void descriptors_mean_what_they_mean_to_libprotobuf(void**) {
  std::string bytes = file_bytes(dir + "/schema_full.binpb");
  Read r(bytes);
  pb::FileDescriptorSet set;
  assert_true(set.ParseFromString(bytes));
  pb::DescriptorPool pool;
  size_t messages = 0, enums = 0, fields = 0;
  for (const auto& f : set.file()) assert_non_null(pool.BuildFile(f));
  for (const schema::Message* m : r->messages) {
    const pb::Descriptor* d = pool.FindMessageTypeByName(std::string(m->name));
    assert_non_null(d);
    messages++;
    assert_int_equal(m->fields.size(), d->field_count());
    assert_int_equal(m->oneofs.size(), d->real_oneof_decl_count());
    assert_int_equal(m->map_entry, d->options().map_entry());
    assert_int_equal(m->message_set, d->options().message_set_wire_format());
    assert_int_equal(m->extension_ranges.size(), d->extension_range_count());
    for (const schema::Field& f : m->fields) {
      const pb::FieldDescriptor* x = d->FindFieldByNumber(int(f.number));
      assert_non_null(x);
      same_field(&f, x);
      fields++;
    }
  }
  for (const schema::Field* x : r->all_extensions) {
    const pb::FieldDescriptor* d = pool.FindExtensionByName(std::string(x->full_name));
    assert_non_null(d);
    same_field(x, d);
  }
  for (const schema::Enum* e : r->enums) {
    const pb::EnumDescriptor* d = pool.FindEnumTypeByName(std::string(e->name));
    assert_non_null(d);
    enums++;
    assert_int_equal(e->values.size(), d->value_count());
    for (int i = 0; i < d->value_count(); i++) {
      assert_string_equal(e->values[size_t(i)].name.data(), d->value(i)->name().c_str());
      assert_int_equal(e->values[size_t(i)].number, d->value(i)->number());
      assert_string_equal(e->by_number(d->value(i)->number())->name.data(), d->FindValueByNumber(d->value(i)->number())->name().c_str());
    }
  }
  for (const schema::Method* m : r->methods) {
    std::string name(m->path.substr(1));
    name[name.find('/')] = '.';
    const pb::MethodDescriptor* d = pool.FindMethodByName(name);
    assert_non_null(d);
    assert_string_equal(m->input->name.data(), d->input_type()->full_name().c_str());
    assert_string_equal(m->output->name.data(), d->output_type()->full_name().c_str());
    assert_int_equal((m->flags & schema::kClientStream) != 0, d->client_streaming());
    assert_int_equal((m->flags & schema::kServerStream) != 0, d->server_streaming());
    assert_int_equal((m->flags & schema::kNoSideEffects) != 0, d->options().idempotency_level() == pb::MethodOptions::NO_SIDE_EFFECTS);
  }
  assert_true(messages > 40 && enums > 8 && fields > 150);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc > 1) dir = argv[1];
  const CMUnitTest tests[] = {cmocka_unit_test(descriptors_mean_what_they_mean_to_libprotobuf)};
  return cmocka_run_group_tests_name("schema oracle", tests, nullptr, nullptr);
}
