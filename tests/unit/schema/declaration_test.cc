// Declarations against libprotobuf's descriptors: names, order, options, comments, reserved numbers.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wconversion"
#pragma GCC diagnostic ignored "-Wshadow"
#pragma GCC diagnostic ignored "-Wunused-parameter"
#include <google/protobuf/descriptor.h>
#include <google/protobuf/descriptor.pb.h>
#pragma GCC diagnostic pop

#include "schema_test.h"
#include "support/file.h"

#include "schema/declaration.h"

namespace pb = google::protobuf;
using namespace schema_test;
using schema::Declaration;

namespace {

std::string dir;

std::string text(base::Slice s) { return std::string(s.text()); }

// What holds for every declaration; libprotobuf's descriptor, and the message it comes from.
template <class D, class P>
void same(const Declaration* d, Declaration::Kind kind, const D* x, const P& proto, const std::string& name) {
  assert_non_null(d);
  assert_int_equal(d->kind, kind);
  assert_string_equal(d->name.data(), name.c_str());
  assert_true(text(d->bytes) == proto.SerializeAsString());
  assert_string_equal(schema::descriptor_type(kind), P::descriptor()->full_name().c_str());
  assert_string_equal(schema::options_type(kind), std::decay_t<decltype(proto.options())>::descriptor()->full_name().c_str());
  base::Arena arena;
  auto options = schema::options_of(*d, &arena);
  assert_true(options.ok() && text(*options) == (proto.has_options() ? proto.options().SerializeAsString() : ""));
  pb::SourceLocation at;
  base::Slice c;
  bool has = x->GetSourceLocation(&at);
  assert_int_equal(schema::comment_at(*d, 0, &c), has && !at.leading_comments.empty());
  if (has && !at.leading_comments.empty()) assert_string_equal(text(c).c_str(), at.leading_comments.c_str());
  assert_int_equal(schema::comment_at(*d, 1, &c), has && !at.trailing_comments.empty());
  if (has && !at.trailing_comments.empty()) assert_string_equal(text(c).c_str(), at.trailing_comments.c_str());
  size_t n = has ? at.leading_detached_comments.size() : 0;
  for (size_t i = 0; i < n; i++) assert_true(schema::comment_at(*d, 2 + i, &c) && text(c) == at.leading_detached_comments[i]);
  assert_false(schema::comment_at(*d, 2 + n, &c));
}

template <class Proto, class D>
Proto proto_of(const D* x) {
  Proto p;
  x->CopyTo(&p);
  return p;
}

struct Walk {
  const schema::Schema* s;
  size_t seen = 0, deprecated = 0;

  void name_finds(const Declaration* d) {
    seen++;
    assert_true(d->name.empty() || schema::find_declaration(s, d->name) == d);
    deprecated += schema::deprecated(*d);
  }
  const Declaration* field(const Declaration* d, Declaration::Kind kind, const pb::FieldDescriptor* f, const pb::FieldDescriptorProto& p) {
    same(d, kind, f, p, f->full_name());
    name_finds(d);
    assert_int_equal(static_cast<const schema::Field*>(d->what)->number, f->number());
    assert_int_equal(schema::deprecated(*d), f->options().deprecated());
    return d->next();
  }
  const Declaration* enumeration(const Declaration* d, const pb::EnumDescriptor* e, const pb::EnumDescriptorProto& p) {
    same(d, Declaration::kEnum, e, p, e->full_name());
    name_finds(d);
    const Declaration* c = d->first();
    for (int i = 0; i < e->value_count(); i++, c = c->next()) {
      same(c, Declaration::kValue, e->value(i), p.value(i), e->value(i)->full_name());
      name_finds(c);
      assert_ptr_equal(c->up(), d);
    }
    assert_null(c);
    schema::Reserved r;
    int n = e->reserved_range_count();
    for (int i = 0; i < n; i++)
      assert_true(schema::reserved_at(*d, size_t(i), &r) && r.first == e->reserved_range(i)->start && r.last == e->reserved_range(i)->end);
    for (int i = 0; i < e->reserved_name_count(); i++) assert_true(schema::reserved_at(*d, size_t(n + i), &r) && text(r.name) == e->reserved_name(i));
    assert_false(schema::reserved_at(*d, size_t(n + e->reserved_name_count()), &r));
    for (int number : {-6, -5, -4, -3, -2, 0, 6, 7, 8, 999, 1000, INT32_MAX, INT32_MIN}) assert_int_equal(schema::reserves_number(*d, number), e->IsReservedNumber(number));
    for (const char* name : {"GONE", "HIGH", ""}) assert_int_equal(schema::reserves_name(*d, name), e->IsReservedName(name));
    return d->next();
  }
  const Declaration* message(const Declaration* d, const pb::Descriptor* m, const pb::DescriptorProto& p) {
    same(d, Declaration::kMessage, m, p, m->full_name());
    name_finds(d);
    const Declaration* c = d->first();
    for (int i = 0; i < m->field_count(); i++) c = field(c, Declaration::kField, m->field(i), p.field(i));
    for (int i = 0; i < m->real_oneof_decl_count(); i++, c = c->next()) {
      same(c, Declaration::kOneof, m->oneof_decl(i), p.oneof_decl(i), m->oneof_decl(i)->full_name());
      name_finds(c);
    }
    for (int i = 0; i < m->nested_type_count(); i++) c = message(c, m->nested_type(i), p.nested_type(i));
    for (int i = 0; i < m->enum_type_count(); i++) c = enumeration(c, m->enum_type(i), p.enum_type(i));
    for (int i = 0; i < m->extension_range_count(); i++, c = c->next()) {
      assert_int_equal(c->kind, Declaration::kRange);
      assert_true(text(c->bytes) == p.extension_range(i).SerializeAsString());
      int32_t first = 0, last = 0;
      schema::range_of(*c, &first, &last);
      assert_true(first == m->extension_range(i)->start && last == m->extension_range(i)->end - 1);
      seen++;
    }
    for (int i = 0; i < m->extension_count(); i++) c = field(c, Declaration::kExtension, m->extension(i), p.extension(i));
    assert_null(c);
    schema::Reserved r;
    int n = m->reserved_range_count();
    for (int i = 0; i < n; i++)
      assert_true(schema::reserved_at(*d, size_t(i), &r) && r.first == m->reserved_range(i)->start && r.last == m->reserved_range(i)->end - 1);
    for (int i = 0; i < m->reserved_name_count(); i++) assert_true(schema::reserved_at(*d, size_t(n + i), &r) && text(r.name) == m->reserved_name(i));
    assert_false(schema::reserved_at(*d, size_t(n + m->reserved_name_count()), &r));
    for (int number : {1, 4, 5, 6, 9, 10, 20, 21, 99, 100, 536870911}) assert_int_equal(schema::reserves_number(*d, number), m->IsReservedNumber(number));
    for (const char* name : {"old", "price", ""}) assert_int_equal(schema::reserves_name(*d, name), m->IsReservedName(name));
    return d->next();
  }
  const Declaration* file(const Declaration* d, const pb::FileDescriptor* f, const pb::FileDescriptorProto& p) {
    assert_int_equal(d->kind, Declaration::kFile);
    assert_string_equal(d->name.data(), f->name().c_str());
    assert_null(d->up());
    name_finds(d);
    const Declaration* c = d->first();
    for (int i = 0; i < f->message_type_count(); i++) c = message(c, f->message_type(i), p.message_type(i));
    for (int i = 0; i < f->enum_type_count(); i++) c = enumeration(c, f->enum_type(i), p.enum_type(i));
    for (int i = 0; i < f->extension_count(); i++) c = field(c, Declaration::kExtension, f->extension(i), p.extension(i));
    for (int i = 0; i < f->service_count(); i++) {
      same(c, Declaration::kService, f->service(i), p.service(i), f->service(i)->full_name());
      name_finds(c);
      const Declaration* m = c->first();
      for (int k = 0; k < f->service(i)->method_count(); k++, m = m->next()) {
        const pb::MethodDescriptor* x = f->service(i)->method(k);
        same(m, Declaration::kMethod, x, p.service(i).method(k), x->service()->full_name() + "/" + x->name());
        name_finds(m);
        assert_ptr_equal(schema::find_declaration(s, x->full_name()), m);
        assert_ptr_equal(schema::find_declaration(s, "/" + std::string(m->name)), m);
      }
      assert_null(m);
      c = c->next();
    }
    assert_null(c);
    return d->next();
  }
};

void declarations_are_what_libprotobuf_reads(void**) {
  for (const char* name : {"/schema_full.binpb", "/options.binpb"}) {
    std::string bytes = file_bytes(dir + name);
    Read r(bytes);
    pb::FileDescriptorSet set;
    assert_true(set.ParseFromString(bytes));
    pb::DescriptorPool pool;
    Walk w{&*r.operator->()};
    const Declaration* d = r->declarations.data();
    for (const auto& f : set.file()) {
      const pb::FileDescriptor* made = pool.BuildFile(f);
      assert_non_null(made);
      d = w.file(d, made, f);
    }
    assert_null(d);
    assert_int_equal(w.seen, r->declarations.size());
    assert_true(std::string_view(name) != "/options.binpb" || w.deprecated >= 4);
  }
}

void a_file_tells_the_comments_of_its_syntax(void**) {
  Read r(file_bytes(dir + "/options.binpb"));
  base::Slice c;
  const Declaration* d = schema::find_declaration(r.operator->(), "options.proto");
  assert_true(schema::comment_at(*d, 0, &c));
  assert_string_equal(text(c).c_str(), " The syntax.\n");
  assert_true(schema::comment_at(*d, 3, &c));
  assert_string_equal(text(c).c_str(), " Detached from the syntax.\n");
}

// Options that a writer sent in two pieces are one message: their bytes end to end.
void options_in_pieces_are_joined(void**) {
  Pb f = field("x", 1, kTypeInt32).sub(8, Pb().num(3, 0).num(50003, 1)).sub(8, Pb().num(3, 1).num(50003, 2));
  Read r(with_field(f));
  const Declaration* d = schema::find_declaration(r.operator->(), "p.M.x");
  base::Arena arena;
  auto o = schema::options_of(*d, &arena);
  assert_true(o.ok() && text(*o) == Pb().num(3, 0).num(50003, 1).num(3, 1).num(50003, 2).bytes);
  assert_true(schema::deprecated(*d));
  char small[300];
  base::Arena full(small, sizeof small);
  while (full.alloc(8)) {
  }
  assert_int_equal(int(schema::options_of(*d, &full).status().code()), int(base::Code::kResourceExhausted));
}

void names_that_nobody_declared_are_not_found(void**) {
  Read r(file_bytes(dir + "/options.binpb"));
  for (const char* name : {"", ".", "opts", "opts.", "opts.Order.", "opts.Order.nothing", "opts.LOW.x", "opts.Level.LOW", "LOW", "opts.Shop", "opts.Shop.Nothing", "Shop/Take", "opts.Order.Inner.CALM"}) {
    bool there = std::string_view(name) == "opts.Shop" || std::string_view(name) == "opts.Order.Inner.CALM";
    if ((schema::find_declaration(r.operator->(), name) != nullptr) != there) fail_msg("%s", name);
  }
  assert_non_null(schema::find_declaration(r.operator->(), "opts.LOW"));
  Read empty("");
  assert_null(schema::find_declaration(empty.operator->(), "x"));
}

}  // namespace

int main(int argc, char** argv) {
  dir = argc > 1 ? argv[1] : ".";
  const CMUnitTest tests[] = {
      cmocka_unit_test(declarations_are_what_libprotobuf_reads),
      cmocka_unit_test(a_file_tells_the_comments_of_its_syntax),
      cmocka_unit_test(options_in_pieces_are_joined),
      cmocka_unit_test(names_that_nobody_declared_are_not_found),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
