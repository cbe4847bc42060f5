// The first step over a file: objects for its types, their full names, one flat space of symbols, features of scopes.
#include <algorithm>
#include <cstring>
#include <new>

#include "base/utf8.h"
#include "schema/builder.h"
#include "wire/scan.h"

namespace zcrpc::schema {

using base::Code;
using base::Status;

namespace {

bool identifier(std::string_view s) {
  auto letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; };
  if (s.empty() || !letter(s[0])) return false;
  return std::all_of(s.begin(), s.end(), [&](char c) { return letter(c) || (c >= '0' && c <= '9'); });
}

bool plain_text(std::string_view s) {
  if (std::any_of(s.begin(), s.end(), [](char c) { return uint8_t(c) < 0x20; })) return false;
  return base::utf8_valid(reinterpret_cast<const uint8_t*>(s.data()), s.size());
}

}  // namespace

// The full name of `name` in `scope`, in `arena`, taken in the space of symbols.
Status Builder::name_symbol(const FileDecl& f, std::string_view scope, std::string_view name, Symbol::Kind kind, void* what,
                            base::Arena* arena, std::string_view* full) {
  if (name.empty()) return wrong(f, scope, "something without a name is declared here");
  if (!identifier(name)) return wrong(f, scope, "\"%.*s\" is not an identifier", ZCRPC_NAME(name));
  size_t prefix = scope.empty() ? 0 : scope.size() + 1;
  if (prefix + name.size() > kMaxName) return wrong(f, scope, "name of more than %zu bytes", kMaxName);
  auto* p = static_cast<char*>(arena->alloc(prefix + name.size() + 1));
  if (!p) return Status::no_memory();
  if (prefix) {
    memcpy(p, scope.data(), scope.size());
    p[prefix - 1] = '.';
  }
  memcpy(p + prefix, name.data(), name.size());
  p[prefix + name.size()] = '\0';
  *full = {p, prefix + name.size()};
  Symbol* there;
  if (!names_.add({*full, &f, what, kind}, &there)) return Status::no_memory();
  if (there) {
    if (there->kind == Symbol::kPackage) return wrong(f, *full, "already defined as a package in %.*s", ZCRPC_NAME(there->file->name));
    return wrong(f, *full, "already defined in %.*s%s", ZCRPC_NAME(there->file->name),
                 kind == Symbol::kEnumValue ? " (enum values are siblings of their type, not children of it)" : "");
  }
  if (!in_bounds()) return no_room();
  return {};
}

Status Builder::declare_edition(FileDecl& f) {
  if (f.syntax.empty() || f.syntax == "proto2") {
    f.edition = kEditionProto2;
  } else if (f.syntax == "proto3") {
    f.edition = kEditionProto3;
  } else if (f.syntax != "editions") {
    return wrong(f, "", "syntax \"%.*s\" is not known", ZCRPC_NAME(f.syntax));
  } else if (!known_edition(f.edition)) {
    return wrong(f, "", "edition %d is not known (2023 and 2024 are)", f.edition);
  }
  if (f.legacy()) ZCRPC_TRY(check_no_features(f, "", f.features));
  if (f.features.presence == Features::kLegacyRequired) return wrong(f, "", "LEGACY_REQUIRED cannot be the default of a file");
  f.resolved = over(edition_defaults(f.edition), f.features);
  return {};
}

Status Builder::declare_package(FileDecl& f) {
  std::string_view p = f.package;
  if (p.empty()) return {};
  if (p.size() > kMaxName) return wrong(f, "", "package name of more than %zu bytes", kMaxName);
  for (size_t start = 0;;) {
    size_t dot = std::min(p.find('.', start), p.size());
    if (!identifier(p.substr(start, dot - start))) return wrong(f, "", "package \"%.*s\" is not a name", ZCRPC_NAME(p));
    Symbol* there;
    if (!names_.add({p.substr(0, dot), &f, nullptr, Symbol::kPackage}, &there)) return Status::no_memory();
    if (there && there->kind != Symbol::kPackage)
      return wrong(f, p.substr(0, dot), "a package here, but already defined otherwise in %.*s", ZCRPC_NAME(there->file->name));
    if (!in_bounds()) return no_room();
    if (dot == p.size()) return {};
    start = dot + 1;
  }
}

Status Builder::declare_file(FileDecl& f) {
  if (f.name.empty() || !plain_text(f.name)) return wrong(f, "", "a file has no proper name");
  ZCRPC_TRY(declare_edition(f));
  ZCRPC_TRY(declare_package(f));
  File* made = f.made;
  made->name = schema_->arena.text(f.name);
  made->package = schema_->arena.text(f.package);
  auto* bytes = static_cast<uint8_t*>(schema_->arena.alloc(f.bytes.size));
  if (!made->name.data() || !made->package.data() || !bytes) return Status::no_memory();
  if (f.bytes.size) memcpy(bytes, f.bytes.data, f.bytes.size);
  made->bytes = {bytes, f.bytes.size};
  f.package = made->package;

  for (EnumDecl& e : f.enums) ZCRPC_TRY(declare_enum(f, e, f.package, f.resolved));
  for (MessageDecl& m : f.messages) ZCRPC_TRY(declare_message(f, m, nullptr, f.package, f.resolved));
  ZCRPC_TRY(declare_extensions(f, f.extensions, f.package, &f.resolved));
  for (ServiceDecl& s : f.services) ZCRPC_TRY(declare_service(f, s));
  return {};
}

Status Builder::declare_message(FileDecl& f, MessageDecl& d, Message* outer, std::string_view scope, const Features& parent) {
  auto* m = make_array<Message>(1, &schema_->arena);
  if (!m) return Status::no_memory();
  d.made = m;
  m->schema = schema_;
  m->type_no = uint32_t(messages_.size());
  m->map_entry = d.map_entry;
  m->message_set = d.message_set;
  ZCRPC_TRY(name_symbol(f, scope, d.name, Symbol::kMessage, m, &schema_->arena, &m->name));
  if (m->type_no > ZCRPC_HEAD_TYPE) return wrong(f, m->name, "more than %u message types", ZCRPC_HEAD_TYPE);
  if (f.legacy()) ZCRPC_TRY(check_no_features(f, m->name, d.features));
  d.resolved = over(parent, d.features);
  if (!messages_.push({m, &d, &f, outer})) return Status::no_memory();

  // Text format skips fields of these names.
  auto* reserved = make_array<std::string_view>(d.reserved_names.size(), &schema_->arena);
  if (!reserved) return Status::no_memory();
  m->reserved_names = {reserved, d.reserved_names.size()};
  for (std::string_view name : d.reserved_names) {
    *reserved = schema_->arena.text(name);
    if (!reserved++->data()) return Status::no_memory();
  }
  ZCRPC_TRY(declare_oneofs(f, d));
  ZCRPC_TRY(declare_fields(f, d));
  for (EnumDecl& e : d.enums) ZCRPC_TRY(declare_enum(f, e, m->name, d.resolved));
  for (MessageDecl& n : d.nested) ZCRPC_TRY(declare_message(f, n, m, m->name, d.resolved));
  return declare_extensions(f, d.extensions, m->name, &d.resolved);
}

// Oneofs that only carry proto3's `optional` are synthetic: they have a name, and that is all.
Status Builder::declare_oneofs(FileDecl& f, MessageDecl& d) {
  Message* m = d.made;
  for (FieldDecl& x : d.fields) {
    if (!x.has_oneof) {
      if (x.proto3_optional) return wrong(f, m->name, "%.*s: proto3_optional without its oneof", ZCRPC_NAME(x.name));
      continue;
    }
    if (x.oneof_index < 0 || size_t(x.oneof_index) >= d.oneofs.size())
      return wrong(f, m->name, "%.*s: oneof_index %d is out of range", ZCRPC_NAME(x.name), x.oneof_index);
    OneofDecl& o = d.oneofs[size_t(x.oneof_index)];
    o.members++;
    o.synthetic = o.synthetic || x.proto3_optional;
  }
  size_t real = 0;
  for (OneofDecl& o : d.oneofs) real += !o.synthetic;
  Oneof* made = make_array<Oneof>(real, &schema_->arena);
  if (!made) return Status::no_memory();
  m->oneofs = {made, real};
  for (OneofDecl& o : d.oneofs) {
    std::string_view full;
    ZCRPC_TRY(name_symbol(f, m->name, o.name, Symbol::kOneof, nullptr, &schema_->arena, &full));
    if (o.members == 0) return wrong(f, full, "a oneof needs at least one field");
    if (o.synthetic && o.members != 1) return wrong(f, full, "the oneof of a proto3_optional field has other members");
    if (f.legacy()) ZCRPC_TRY(check_no_features(f, full, o.features));
    o.resolved = over(d.resolved, o.features);
    if (o.synthetic) continue;
    made->name = full.substr(full.size() - o.name.size());
    made->parent = m;
    auto** members = schema_->arena.array<const Field*>(o.members);
    if (!members) return Status::no_memory();
    made->fields = {members, 0};  // link_oneofs fills it
    o.oneof = made++;
  }
  return {};
}

// Fields in ascending order of their numbers, which must be fit to be stored first.
Status Builder::declare_fields(FileDecl& f, MessageDecl& d) {
  Message* m = d.made;
  size_t n = d.fields.size();
  if (n > 65534) return wrong(f, m->name, "more than 65534 fields");
  auto** order = scratch_.array<FieldDecl*>(n + 1);
  Field* fields = make_array<Field>(n, &schema_->arena);
  if (!order || !fields) return Status::no_memory();
  m->fields = {fields, n};
  for (size_t i = 0; i < n; i++) order[i] = &d.fields[i];
  std::sort(order, order + n, [](const FieldDecl* a, const FieldDecl* b) { return a->number != b->number ? a->number < b->number : a < b; });
  for (size_t i = 0; i < n; i++) {
    Field* x = &fields[i];
    ZCRPC_TRY(declare_field(f, *order[i], m->name, x));
    x->index = uint32_t(i);
    x->parent = m;
    if (order[i]->has_extendee) return wrong(f, x->full_name, "an extendee, but this is no extension");
    if (i && order[i - 1]->number == order[i]->number)
      return wrong(f, x->full_name, "field number %d is already used by %.*s", order[i]->number, ZCRPC_NAME(order[i - 1]->name));
  }
  return {};
}

Status Builder::declare_field(FileDecl& f, FieldDecl& d, std::string_view scope, Field* made) {
  d.field = made;
  ZCRPC_TRY(name_symbol(f, scope, d.name, Symbol::kField, nullptr, &schema_->arena, &made->full_name));
  made->name = made->full_name.substr(made->full_name.size() - d.name.size());
  made->number = uint32_t(d.number);
  made->bit = ZCRPC_NO_BIT;
  made->debug_redact = d.debug_redact;
  if (d.has_json_name) {
    if (d.json_name.find('\0') != d.json_name.npos ||
        !base::utf8_valid(reinterpret_cast<const uint8_t*>(d.json_name.data()), d.json_name.size()))
      return wrong(f, made->full_name, "json_name is not UTF-8 without zeros");
    made->json_name = schema_->arena.text(d.json_name);
    return made->json_name.data() ? make_json_key(made) : Status::no_memory();
  }
  auto* p = static_cast<char*>(schema_->arena.alloc(d.name.size() + 1));
  if (!p) return Status::no_memory();
  size_t n = json_name_of(d.name, p);
  p[n] = '\0';
  made->json_name = {p, n};
  return make_json_key(made);
}

// What a printer writes before the field's value, so that it need neither look for escapes nor write three pieces.
Status Builder::make_json_key(Field* made) {
  const std::string_view name = made->json_name;
  const base::Slice bytes(name);
  if (wire::find_special<false>(bytes.data, bytes.end()) != bytes.end()) return {};
  const size_t n = name.size() + 3;
  auto* p = static_cast<char*>(schema_->arena.alloc((n + 15) & ~size_t(15)));
  if (!p) return Status::no_memory();
  p[0] = '"';
  if (!name.empty()) memcpy(p + 1, name.data(), name.size());
  p[n - 2] = '"';
  p[n - 1] = ':';
  memset(p + n, 0, ((n + 15) & ~size_t(15)) - n);
  made->json_key = {p, n};
  return {};
}

Status Builder::declare_enum(FileDecl& f, EnumDecl& d, std::string_view scope, const Features& parent) {
  auto* e = make_array<Enum>(1, &schema_->arena);
  auto* values = make_array<EnumValue>(d.values.size(), &schema_->arena);
  if (!e || !values) return Status::no_memory();
  d.made = e;
  e->schema = schema_;
  ZCRPC_TRY(name_symbol(f, scope, d.name, Symbol::kEnum, e, &schema_->arena, &e->name));
  if (f.legacy()) ZCRPC_TRY(check_no_features(f, e->name, d.features));
  d.resolved = over(parent, d.features);
  e->closed = d.resolved.enum_type == Features::kClosed;
  if (d.values.empty()) return wrong(f, e->name, "an enum needs at least one value");
  for (size_t i = 0; i < d.values.size(); i++) {
    std::string_view full;
    ZCRPC_TRY(name_symbol(f, scope, d.values[i].name, Symbol::kEnumValue, nullptr, &schema_->arena, &full));
    values[i] = {full.substr(full.size() - d.values[i].name.size()), d.values[i].number};
  }
  e->values = {values, d.values.size()};
  return enums_.push({e, &d, &f}) ? Status() : Status::no_memory();
}

Status Builder::declare_extensions(FileDecl& f, std::span<FieldDecl> ds, std::string_view scope, const Features* features) {
  if (ds.empty()) return {};
  Field* made = make_array<Field>(ds.size(), &schema_->arena);
  if (!made) return Status::no_memory();
  for (FieldDecl& d : ds) {
    made->extension = true;
    ZCRPC_TRY(declare_field(f, d, scope, made++));
    if (!extensions_.push({&d, &f, scope, features})) return Status::no_memory();
  }
  return {};
}

Status Builder::declare_service(FileDecl& f, ServiceDecl& d) {
  std::string_view full;
  ZCRPC_TRY(name_symbol(f, f.package, d.name, Symbol::kService, nullptr, &schema_->arena, &full));
  auto* methods = make_array<Method>(d.methods.size(), &schema_->arena);
  if (!methods) return Status::no_memory();
  for (size_t i = 0; i < d.methods.size(); i++) {
    std::string_view name = d.methods[i].name, symbol;
    ZCRPC_TRY(name_symbol(f, full, name, Symbol::kMethod, nullptr, &scratch_, &symbol));
    // "/service/method", of which the last part is the method's name too.
    auto* p = static_cast<char*>(schema_->arena.alloc(full.size() + name.size() + 3));
    if (!p) return Status::no_memory();
    p[0] = '/';
    memcpy(p + 1, full.data(), full.size());
    p[1 + full.size()] = '/';
    memcpy(p + full.size() + 2, name.data(), name.size());
    p[full.size() + 2 + name.size()] = '\0';
    methods[i].schema = schema_;
    methods[i].path = {p, full.size() + 2 + name.size()};
    methods[i].service = full;
    methods[i].name = methods[i].path.substr(full.size() + 2);
  }
  if (!services_.push({&d, &f})) return Status::no_memory();
  // The object itself gets its place among all services when their number is known.
  d.made = make_array<Service>(1, &scratch_);
  if (!d.made) return Status::no_memory();
  d.made->name = full;
  d.made->methods = {methods, d.methods.size()};
  return {};
}

}  // namespace zcrpc::schema
