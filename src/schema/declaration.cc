#include "schema/declaration.h"

#include <cstring>

#include "schema/builder.h"
#include "schema/fields.h"

namespace zcrpc::schema {

using base::Result;
using base::Slice;
using base::Status;

// ---- Making them: one walk over the declarations of a file, in the order of its descriptor's lists ---------------

Status Builder::list_declarations() {
  base::Vec<Declaration> all;
  for (FileDecl* f : files_) {
    ListOf list{this, f, &all};
    ZCRPC_TRY(list.file());
  }
  return copy_array(all, &schema_->declarations);
}

Status Builder::ListOf::open(Declaration::Kind kind, std::string_view name, Slice bytes, const void* what, uint32_t parent, size_t place) {
  // What was parsed lies in the caller's memory; the schema has its own copy.
  Slice own(file_->made->bytes.data + (bytes.data - file_->bytes.data), bytes.size);
  auto at = uint32_t(all_->size());
  if (kind == Declaration::kFile) parent = at;
  if (!all_->push({builder_->schema_, name, own, what, parent, at + 1, uint32_t(place), kind})) return Status::no_memory();
  return builder_->in_bounds() ? Status() : builder_->no_room();
}

Status Builder::ListOf::file() {
  auto self = uint32_t(all_->size());
  file_->made->declaration = self;
  ZCRPC_TRY(open(Declaration::kFile, file_->made->name, file_->bytes, file_->made, 0, 0));
  for (size_t i = 0; i < file_->messages.size(); i++) ZCRPC_TRY(message(file_->messages[i], self, i));
  for (size_t i = 0; i < file_->enums.size(); i++) ZCRPC_TRY(enumeration(file_->enums[i], self, i, file_->made->package));
  ZCRPC_TRY(fields(Declaration::kExtension, file_->extensions, self));
  for (size_t i = 0; i < file_->services.size(); i++) ZCRPC_TRY(service(file_->services[i], self, i));
  return close(self);
}

// A name and the scope before it are one text in the schema: the short one is its end.
std::string_view Builder::ListOf::full(std::string_view scope, std::string_view name) {
  size_t n = scope.empty() ? 0 : scope.size() + 1;
  return {name.data() - n, name.size() + n};
}

Status Builder::ListOf::fields(Declaration::Kind kind, std::span<FieldDecl> ds, uint32_t parent) {
  for (size_t i = 0; i < ds.size(); i++) {
    ds[i].field->declaration = uint32_t(all_->size());
    ZCRPC_TRY(open(kind, ds[i].field->full_name, ds[i].bytes, ds[i].field, parent, i));
  }
  return {};
}

Status Builder::ListOf::message(MessageDecl& d, uint32_t parent, size_t place) {
  auto self = uint32_t(all_->size());
  d.made->declaration = self;
  ZCRPC_TRY(open(Declaration::kMessage, d.made->name, d.bytes, d.made, parent, place));
  ZCRPC_TRY(fields(Declaration::kField, d.fields, self));
  for (size_t i = 0; i < d.oneofs.size(); i++)
    if (const Oneof* o = d.oneofs[i].oneof) ZCRPC_TRY(open(Declaration::kOneof, full(d.made->name, o->name), d.oneofs[i].bytes, o, self, i));
  for (size_t i = 0; i < d.nested.size(); i++) ZCRPC_TRY(message(d.nested[i], self, i));
  for (size_t i = 0; i < d.enums.size(); i++) ZCRPC_TRY(enumeration(d.enums[i], self, i, d.made->name));
  for (size_t i = 0; i < d.extension_ranges.size(); i++)
    ZCRPC_TRY(open(Declaration::kRange, "", d.extension_ranges[i].bytes, nullptr, self, i));
  ZCRPC_TRY(fields(Declaration::kExtension, d.extensions, self));
  return close(self);
}

Status Builder::ListOf::enumeration(EnumDecl& d, uint32_t parent, size_t place, std::string_view scope) {
  auto self = uint32_t(all_->size());
  d.made->declaration = self;
  ZCRPC_TRY(open(Declaration::kEnum, d.made->name, d.bytes, d.made, parent, place));
  for (size_t i = 0; i < d.values.size(); i++) {
    const EnumValue& v = d.made->values[i];
    ZCRPC_TRY(open(Declaration::kValue, full(scope, v.name), d.values[i].bytes, &v, self, i));
  }
  return close(self);
}

Status Builder::ListOf::service(ServiceDecl& d, uint32_t parent, size_t place) {
  auto self = uint32_t(all_->size());
  ZCRPC_TRY(open(Declaration::kService, d.made->name, d.bytes, d.made, parent, place));
  for (size_t i = 0; i < d.methods.size(); i++) {
    auto* m = const_cast<Method*>(&d.made->methods[i]);
    m->declaration = uint32_t(all_->size());
    ZCRPC_TRY(open(Declaration::kMethod, m->path.substr(1), d.methods[i].bytes, m, self, i));
  }
  return close(self);
}

// ---- Finding them ------------------------------------------------------------------------------------------------

const File* Declaration::file() const {
  const Declaration* d = this;
  while (const Declaration* u = d->up()) d = u;
  return static_cast<const File*>(d->what);
}

namespace {

const Declaration* find_child(const Declaration& d, Declaration::Kind kind, std::string_view full_name) {
  for (const Declaration* c = d.first(); c; c = c->next())
    if (c->kind == kind && c->name == full_name) return c;
  return nullptr;
}

const Declaration* find_value(const Schema* s, std::string_view scope, std::string_view name) {
  for (const Enum* e : s->enums) {
    size_t dot = e->name.rfind('.');
    if (e->name.substr(0, dot == e->name.npos ? 0 : dot) != scope) continue;
    const EnumValue* v = e->by_name(name);
    if (v) return &s->declarations[e->declaration + 1 + uint32_t(v - e->values.data())];
  }
  return nullptr;
}

}  // namespace

const Declaration* find_declaration(const Schema* s, std::string_view name) {
  auto at = [s](uint32_t i) { return &s->declarations[i]; };
  if (const Message* m = s->message(name)) return at(m->declaration);
  if (const Enum* e = s->enumeration(name)) return at(e->declaration);
  if (const Method* m = s->method(name)) return at(m->declaration);
  if (const Field* x = s->extension(name)) return at(x->declaration);
  for (const Declaration* d = s->declarations.empty() ? nullptr : s->declarations.data(); d; d = d->next()) {
    if (d->name == name) return d;
    if (const Declaration* x = find_child(*d, Declaration::kService, name)) return x;
  }
  size_t dot = name.rfind('.');
  std::string_view scope = dot == name.npos ? "" : name.substr(0, dot), last = dot == name.npos ? name : name.substr(dot + 1);
  if (const Message* m = s->message(scope)) {
    if (const Field* f = m->by_proto_name(last)) return at(f->declaration);
    if (const Declaration* o = find_child(*at(m->declaration), Declaration::kOneof, name)) return o;
  }
  for (const Service& x : s->services) {
    if (x.name != scope) continue;
    for (const Method& m : x.methods)
      if (m.name == last) return at(m.declaration);
  }
  return find_value(s, scope, last);
}

// ---- What their descriptors say ----------------------------------------------------------------------------------

namespace {

struct Names {
  const char *descriptor, *options;
  uint32_t options_field, deprecated_field;  // deprecated_field 0: has none
};
constexpr Names kNames[] = {
    {"", "", 0, 0},
    {"google.protobuf.FileDescriptorProto", "google.protobuf.FileOptions", 8, 23},
    {"google.protobuf.DescriptorProto", "google.protobuf.MessageOptions", 7, 3},
    {"google.protobuf.FieldDescriptorProto", "google.protobuf.FieldOptions", 8, 3},
    {"google.protobuf.FieldDescriptorProto", "google.protobuf.FieldOptions", 8, 3},
    {"google.protobuf.OneofDescriptorProto", "google.protobuf.OneofOptions", 2, 0},
    {"google.protobuf.EnumDescriptorProto", "google.protobuf.EnumOptions", 3, 3},
    {"google.protobuf.EnumValueDescriptorProto", "google.protobuf.EnumValueOptions", 3, 1},
    {"google.protobuf.ServiceDescriptorProto", "google.protobuf.ServiceOptions", 3, 33},
    {"google.protobuf.MethodDescriptorProto", "google.protobuf.MethodOptions", 4, 33},
    {"google.protobuf.DescriptorProto.ExtensionRange", "google.protobuf.ExtensionRangeOptions", 3, 0},
};

}  // namespace

const char* descriptor_type(Declaration::Kind k) { return kNames[k].descriptor; }
const char* options_type(Declaration::Kind k) { return kNames[k].options; }

Result<Slice> options_of(const Declaration& d, base::Arena* scratch) {
  Slice one;
  size_t pieces = 0, total = 0;
  for (Fields f(d.bytes); f.next();)
    if (f.is_bytes(kNames[d.kind].options_field)) pieces++, total += f.bytes().size, one = f.bytes();
  if (pieces < 2) return one;
  auto* all = static_cast<uint8_t*>(scratch->alloc(total));
  if (!all) return Status::no_memory();
  uint8_t* p = all;
  for (Fields f(d.bytes); f.next();)
    if (f.is_bytes(kNames[d.kind].options_field) && f.bytes().size) memcpy(p, f.bytes().data, f.bytes().size), p += f.bytes().size;
  return Slice(all, total);
}

bool deprecated(const Declaration& d) {
  bool is = false;
  const Names& n = kNames[d.kind];
  if (!n.deprecated_field) return false;
  for (Fields f(d.bytes); f.next();)
    if (f.is_bytes(n.options_field))
      for (Fields o(f.bytes()); o.next();) o.truth(n.deprecated_field, &is);
  return is;
}

void range_of(const Declaration& d, int32_t* first, int32_t* last) {
  for (Fields r(d.bytes); r.next();) {
    r.integer(1, first);
    r.integer(2, last);
  }
  --*last;  // the end was excluded
}

bool reserved_at(const Declaration& d, size_t i, Reserved* out) {
  if (d.kind != Declaration::kMessage && d.kind != Declaration::kEnum) return false;
  uint32_t ranges = d.kind == Declaration::kMessage ? 9 : 4, names = ranges + 1;
  for (Fields f(d.bytes); f.next();) {
    if (!f.is_bytes(ranges) || i--) continue;
    *out = {};
    for (Fields r(f.bytes()); r.next();) {
      r.integer(1, &out->first);
      r.integer(2, &out->last);
    }
    if (d.kind == Declaration::kMessage) out->last--;  // its end is excluded; an enum's is not
    return true;
  }
  for (Fields f(d.bytes); f.next();) {
    if (!f.is_bytes(names) || i--) continue;
    *out = {0, 0, f.bytes()};
    return true;
  }
  return false;
}

bool reserves_number(const Declaration& d, int32_t number) {
  if (d.kind != Declaration::kMessage && d.kind != Declaration::kEnum) return false;
  uint32_t ranges = d.kind == Declaration::kMessage ? 9 : 4;
  int32_t past = d.kind == Declaration::kMessage;
  for (Fields f(d.bytes); f.next();) {
    if (!f.is_bytes(ranges)) continue;
    int32_t first = 0, last = 0;
    for (Fields r(f.bytes()); r.next();) {
      r.integer(1, &first);
      r.integer(2, &last);
    }
    if (number >= first && int64_t(number) <= int64_t(last) - past) return true;
  }
  return false;
}

bool reserves_name(const Declaration& d, std::string_view name) {
  if (d.kind != Declaration::kMessage && d.kind != Declaration::kEnum) return false;
  uint32_t names = d.kind == Declaration::kMessage ? 10 : 5;
  for (Fields f(d.bytes); f.next();)
    if (f.is_bytes(names) && f.bytes().text() == name) return true;
  return false;
}

// ---- Comments ----------------------------------------------------------------------------------------------------

namespace {

// The number of the list in the parent's descriptor that a declaration stands in.
uint32_t list_of(const Declaration& d, bool in_file) {
  switch (d.kind) {
    case Declaration::kMessage: return in_file ? 4 : 3;
    case Declaration::kEnum: return in_file ? 5 : 4;
    case Declaration::kExtension: return in_file ? 7 : 6;
    case Declaration::kService: return 6;
    case Declaration::kOneof: return 8;
    case Declaration::kRange: return 5;
    default: return 2;  // fields, values, methods
  }
}

constexpr size_t kMaxPath = 2 * 66;  // types nest 64 deep

}  // namespace

bool comment_at(const Declaration& d, size_t i, Slice* out) {
  // The path to it, from its end; of a file that of its syntax line.
  uint32_t path[kMaxPath];
  size_t n = kMaxPath;
  if (d.kind == Declaration::kFile) path[--n] = 12;
  for (const Declaration* x = &d; x->kind != Declaration::kFile && n >= 2; x = x->up()) {
    path[--n] = x->place;
    path[--n] = list_of(*x, x->up()->kind == Declaration::kFile);
  }
  for (Fields f(d.file()->bytes); f.next();) {
    if (!f.is_bytes(9)) continue;
    for (Fields g(f.bytes()); g.next();) {
      if (!g.is_bytes(1)) continue;
      Slice at, leading, trailing, apart;
      bool has_leading = false, has_trailing = false, has_apart = false;
      size_t detached = 2;
      for (Fields l(g.bytes()); l.next();) {
        if (l.is_bytes(1)) at = l.bytes();
        if (l.is_bytes(3)) leading = l.bytes(), has_leading = true;
        if (l.is_bytes(4)) trailing = l.bytes(), has_trailing = true;
        if (l.is_bytes(6) && detached++ == i) apart = l.bytes(), has_apart = true;
      }
      const uint8_t* p = at.begin();
      size_t k = n;
      for (uint64_t v; p != at.end() && k < kMaxPath; k++) {
        wire::Fault fault;
        if (!(p = wire::read_varint(p, at.end(), &v, &fault)) || v != path[k]) break;
      }
      if (k != kMaxPath || p != at.end()) continue;
      *out = i == 0 ? leading : i == 1 ? trailing : apart;
      return i == 0 ? has_leading : i == 1 ? has_trailing : has_apart;
    }
  }
  return false;
}

}  // namespace zcrpc::schema
