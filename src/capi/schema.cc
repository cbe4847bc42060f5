// zcrpc.h, section 4: schemas.
#include "schema/schema.h"
#include "schema/diff.h"
#include "schema/required.h"
#include "schema/walk.h"

#include <algorithm>
#include <cstdlib>
#include <new>

#include "base/string.h"
#include "capi/convert.h"
#include "capi/guard.h"
#include "view/view.h"

using namespace zcrpc;
using namespace zcrpc::capi;
using base::Status;

namespace {

uint32_t flags_of(const schema::Field& f) {
  uint32_t flags = 0;
  if (f.shape == schema::Shape::kRepeated) flags |= ZCRPC_FIELD_REPEATED;
  if (f.shape == schema::Shape::kMap) flags |= ZCRPC_FIELD_REPEATED | ZCRPC_FIELD_MAP;
  if (f.presence) flags |= ZCRPC_FIELD_PRESENCE;
  if (f.required) flags |= ZCRPC_FIELD_REQUIRED;
  if (f.packed) flags |= ZCRPC_FIELD_PACKED;
  if (f.extension) flags |= ZCRPC_FIELD_EXTENSION;
  if (f.closed_enum) flags |= ZCRPC_FIELD_CLOSED_ENUM;
  return flags;
}

int32_t describe(const schema::Field* f, zcrpc_field_info* out) {
  if (!f || !out) return 0;
  zcrpc_field_info info{};
  info.number = f->number;
  info.kind = int32_t(f->kind);
  info.flags = flags_of(*f);
  info.name = f->name.data();
  info.json_name = f->json_name.data();
  info.oneof = f->oneof ? f->oneof->name.data() : nullptr;
  info.message = f->message ? to_c(f->message) : nullptr;
  info.enumeration = f->enumeration ? to_c(f->enumeration) : nullptr;
  fill(out, info);
  return 1;
}

// The schema with its decoder, ready to be shared.
base::Result<schema::Schema*> bound(base::Result<schema::Schema*> r) {
#ifdef ZCRPC_WITH_VIEW
  if (r.ok()) {
    Status s = view::bind(*r);
    if (!s.ok()) {
      (*r)->release();
      return s;
    }
  }
#endif
  return r;
}

// "name": "text", with what JSON wants escaped. Texts are names and our own sentences: UTF-8 without control characters,
// but what a json_name brought.
void member(base::String* out, const char* name, std::string_view text) {
  out->append('"').append(name).append("\": \"");
  for (char c : text) {
    auto u = uint8_t(c);
    if (u < 0x20) {
      out->append("\\u00").append("0123456789abcdef"[u >> 4]).append("0123456789abcdef"[u & 15]);
      continue;
    }
    if (c == '"' || c == '\\') out->append('\\');
    out->append(c);
  }
  out->append('"');
}

// "/service/method": two parts that are not empty, printable and without spaces.
bool proper_path(std::string_view path) {
  if (!path.starts_with('/')) return false;
  size_t slash = path.find('/', 1);
  if (slash == path.npos || slash == 1 || slash + 1 == path.size() || path.find('/', slash + 1) != path.npos) return false;
  return std::all_of(path.begin(), path.end(), [](char c) { return c > ' ' && c < 0x7F && c != '?' && c != '#' && c != '%'; });
}

}  // namespace

zcrpc_schema* zcrpc_schema_new(const void* set, size_t len, zcrpc_error** err) {
  return guard(err, [&]() -> base::Result<schema::Schema*> {
    if (bad_slice(set, len)) return wrong("zcrpc_schema_new: set is NULL but its length is not 0");
    return bound(schema::read({set, len}, {}));
  });
}

zcrpc_schema* zcrpc_schema_descriptors(zcrpc_error** err) {
  return guard(err, [&]() -> base::Result<schema::Schema*> {
    base::Slice file = schema::well_known_file("google/protobuf/descriptor.proto");
    return bound(schema::read_files({&file, 1}, {}));
  });
}

zcrpc_schema* zcrpc_schema_retain(const zcrpc_schema* s) {
  return s ? to_c(const_cast<schema::Schema*>(from_c(s)->retain())) : nullptr;
}

void zcrpc_schema_release(zcrpc_schema* s) {
  if (s) from_c(s)->release();
}

const zcrpc_type* zcrpc_schema_type(const zcrpc_schema* s, const char* name) { return s && name ? to_c(from_c(s)->message(name)) : nullptr; }
const zcrpc_enum* zcrpc_schema_enum(const zcrpc_schema* s, const char* name) { return s && name ? to_c(from_c(s)->enumeration(name)) : nullptr; }
const zcrpc_method* zcrpc_schema_method(const zcrpc_schema* s, const char* path) { return s && path ? to_c(from_c(s)->method(path)) : nullptr; }

const zcrpc_type* zcrpc_schema_type_at(const zcrpc_schema* s, size_t i) {
  return s && i < from_c(s)->messages.size() ? to_c(static_cast<const schema::Message*>(from_c(s)->messages[i])) : nullptr;
}
const zcrpc_method* zcrpc_schema_method_at(const zcrpc_schema* s, size_t i) {
  return s && i < from_c(s)->methods.size() ? to_c(from_c(s)->methods[i]) : nullptr;
}

const char* zcrpc_type_name(const zcrpc_type* t) { return t ? from_c(t)->name.data() : ""; }
uint64_t zcrpc_type_fingerprint(const zcrpc_type* t) { return t ? from_c(t)->fingerprint : 0; }

void zcrpc_type_get_info(const zcrpc_type* t, zcrpc_type_info* out) {
  if (!out) return;
  zcrpc_type_info info{};
  info.name = "";
  if (t) {
    const schema::Message& m = *from_c(t);
    info.type_no = m.type_no;
    info.name = m.name.data();
    info.fingerprint = m.fingerprint;
    info.field_count = uint32_t(m.fields.size());
    info.size = m.size;
    info.extension_slot = m.extension_slot;
    if (m.sparse) info.flags |= ZCRPC_TYPE_SPARSE;
    if (m.map_entry) info.flags |= ZCRPC_TYPE_MAP_ENTRY;
    if (m.message_set) info.flags |= ZCRPC_TYPE_MESSAGE_SET;
    if (m.extendable()) info.flags |= ZCRPC_TYPE_EXTENDABLE;
  }
  fill(out, info);
}

uint32_t zcrpc_type_field_number(const zcrpc_type* t, const char* name) {
  const schema::Field* f = t && name ? from_c(t)->by_name(name) : nullptr;
  return f ? f->number : 0;
}

int32_t zcrpc_type_field(const zcrpc_type* t, uint32_t field, zcrpc_field_info* out) {
  if (!t) return 0;
  const schema::Field* f = from_c(t)->by_number(field);
  return describe(f ? f : from_c(t)->extension(field), out);
}

int32_t zcrpc_type_field_at(const zcrpc_type* t, size_t i, zcrpc_field_info* out) {
  return t && i < from_c(t)->fields.size() ? describe(&from_c(t)->fields[i], out) : 0;
}

size_t zcrpc_type_layout(const zcrpc_type* t, zcrpc_slot* rows, size_t max, uint32_t* size) {
  if (size) *size = t ? from_c(t)->size : 0;
  if (!t) return 0;
  const auto& fields = from_c(t)->fields;
  for (size_t i = 0; rows && i < max && i < fields.size(); i++) {
    const schema::Field& f = fields[i];
    rows[i] = {f.number, f.offset, f.message ? f.message->type_no : 0, f.case_offset, f.stride, f.bit, uint8_t(f.kind), uint8_t(f.shape)};
  }
  return fields.size();
}

const char* zcrpc_enum_name(const zcrpc_enum* e, int32_t number) {
  const schema::EnumValue* v = e ? from_c(e)->by_number(number) : nullptr;
  return v ? v->name.data() : nullptr;
}

int32_t zcrpc_enum_number(const zcrpc_enum* e, const char* name, int32_t* number) {
  const schema::EnumValue* v = e && name ? from_c(e)->by_name(name) : nullptr;
  if (v && number) *number = v->number;
  return v != nullptr;
}

void zcrpc_method_get_info(const zcrpc_method* m, zcrpc_method_info* out) {
  if (!out) return;
  zcrpc_method_info info{};
  info.path = "";
  if (m) {
    info.flags = from_c(m)->flags;
    info.path = from_c(m)->path.data();
    info.input = to_c(from_c(m)->input);
    info.output = to_c(from_c(m)->output);
  }
  fill(out, info);
}

// The method and its path in one piece of memory.
zcrpc_method* zcrpc_method_new(const char* path, uint32_t flags, zcrpc_error** err) {
  return guard(err, [&]() -> base::Result<schema::Method*> {
    constexpr uint32_t kAll = ZCRPC_METHOD_CLIENT_STREAM | ZCRPC_METHOD_SERVER_STREAM | ZCRPC_METHOD_NO_SIDE_EFFECTS | ZCRPC_METHOD_IDEMPOTENT;
    if (!path || !proper_path(path)) return wrong("zcrpc_method_new: a path is \"/service/method\"");
    if (flags & ~kAll) return wrong("zcrpc_method_new: unknown flags");
    size_t n = strlen(path);
    auto* m = static_cast<schema::Method*>(std::malloc(sizeof(schema::Method) + n + 1));
    if (!m) return Status::no_memory();
    new (m) schema::Method();
    auto* text = reinterpret_cast<char*>(m + 1);
    memcpy(text, path, n + 1);
    m->path = {text, n};
    m->service = m->path.substr(1, m->path.find('/', 1) - 1);
    m->name = m->path.substr(m->service.size() + 2);
    m->flags = flags;
    return m;
  });
}

void zcrpc_method_free(zcrpc_method* m) {
  if (m && !from_c(m)->schema) std::free(m);
}

uint32_t zcrpc_view_next(const zcrpc_view* v, uint32_t after) {
  const schema::Field* f = schema::next_set(from_c(v), after);
  return f ? f->number : 0;
}

zcrpc_code zcrpc_view_check_required(const zcrpc_view* v, zcrpc_error** err) {
  return guard(err, [&] { return schema::check_required(from_c(v)); });
}

zcrpc_buffer* zcrpc_schema_diff(const zcrpc_schema* from, const zcrpc_schema* to, zcrpc_error** err) {
  return guard(err, [&]() -> base::Result<base::Buffer*> {
    if (!from || !to) return wrong("zcrpc_schema_diff: no schema");
    base::Arena texts;
    base::Vec<schema::Finding> findings;
    ZCRPC_TRY(schema::diff(from_c(from), from_c(to), &texts, &findings));
    base::String out;
    out.append('[');
    for (const schema::Finding& f : findings) {
      out.append(&f == findings.begin() ? "\n  {" : ",\n  {");
      member(&out, "path", f.path);
      out.append(", ");
      member(&out, "breaks", schema::breaks_name(f.breaks));
      out.append(", ");
      member(&out, "kind", f.kind);
      out.append(", ");
      member(&out, "reason", f.reason);
      out.append('}');
    }
    out.append(findings.empty() ? "]" : "\n]");
    if (!out.ok()) return Status::no_memory();
    base::Buffer* b = base::Buffer::make(out.size());
    if (!b) return Status::no_memory();
    memcpy(b->writable(), out.data(), out.size());
    return b;
  });
}

int32_t zcrpc_type_extension_at(const zcrpc_type* t, size_t i, zcrpc_field_info* out) {
  return t && i < from_c(t)->extensions.size() ? describe(from_c(t)->extensions[i], out) : 0;
}

const zcrpc_decl* zcrpc_schema_decl(const zcrpc_schema* s, const char* name) {
  return s && name ? to_c(schema::find_declaration(from_c(s), name)) : nullptr;
}

const zcrpc_decl* zcrpc_schema_file_at(const zcrpc_schema* s, size_t i) {
  return s && i < from_c(s)->files.size() ? to_c(&from_c(s)->declarations[from_c(s)->files[i].declaration]) : nullptr;
}

const zcrpc_decl* zcrpc_type_decl(const zcrpc_type* t, uint32_t field) {
  if (!t) return nullptr;
  const schema::Message* m = from_c(t);
  if (field == 0) return to_c(&m->schema->declarations[m->declaration]);
  const schema::Field* f = m->by_number(field);
  if (!f) f = m->extension(field);
  return f ? to_c(&m->schema->declarations[f->declaration]) : nullptr;
}

const zcrpc_decl* zcrpc_enum_decl(const zcrpc_enum* e) { return e ? to_c(&from_c(e)->schema->declarations[from_c(e)->declaration]) : nullptr; }

const zcrpc_decl* zcrpc_method_decl(const zcrpc_method* m) {
  const schema::Schema* s = m ? from_c(m)->schema : nullptr;
  return s ? to_c(&s->declarations[from_c(m)->declaration]) : nullptr;
}

const zcrpc_decl* zcrpc_decl_parent(const zcrpc_decl* d) { return d ? to_c(from_c(d)->up()) : nullptr; }
const zcrpc_decl* zcrpc_decl_first(const zcrpc_decl* d) { return d ? to_c(from_c(d)->first()) : nullptr; }
const zcrpc_decl* zcrpc_decl_next(const zcrpc_decl* d) { return d ? to_c(from_c(d)->next()) : nullptr; }

void zcrpc_decl_get_info(const zcrpc_decl* d, zcrpc_decl_info* out) {
  if (!out) return;
  zcrpc_decl_info info{};
  info.name = info.descriptor_type = info.options_type = "";
  info.bytes = slice_of(base::Slice());
  if (d) {
    using K = schema::Declaration;
    const K& x = *from_c(d);
    info.kind = x.kind;
    if (schema::deprecated(x)) info.flags |= ZCRPC_DECL_DEPRECATED;
    info.name = x.name.data();
    info.bytes = slice_of(x.bytes);
    info.descriptor_type = schema::descriptor_type(x.kind);
    info.options_type = schema::options_type(x.kind);
    switch (x.kind) {
      case K::kMessage: info.type = to_c(static_cast<const schema::Message*>(x.what)); break;
      case K::kField: case K::kExtension: {
        auto* f = static_cast<const schema::Field*>(x.what);
        info.number = int32_t(f->number);
        info.type = to_c(f->parent);
        break;
      }
      case K::kOneof: info.type = to_c(static_cast<const schema::Oneof*>(x.what)->parent); break;
      case K::kEnum: info.enumeration = to_c(static_cast<const schema::Enum*>(x.what)); break;
      case K::kValue:
        info.number = static_cast<const schema::EnumValue*>(x.what)->number;
        info.enumeration = to_c(static_cast<const schema::Enum*>(x.up()->what));
        break;
      case K::kMethod: info.method = to_c(static_cast<const schema::Method*>(x.what)); break;
      case K::kRange:
        info.type = to_c(static_cast<const schema::Message*>(x.up()->what));
        schema::range_of(x, &info.number, &info.last);
        break;
      case K::kFile: case K::kService: break;
    }
  }
  fill(out, info);
}

int32_t zcrpc_decl_reserved(const zcrpc_decl* d, size_t i, int32_t* first, int32_t* last, zcrpc_slice* name) {
  schema::Reserved r{};
  bool there = d && schema::reserved_at(*from_c(d), i, &r);
  if (there && first) *first = r.first;
  if (there && last) *last = r.last;
  put(name, r.name);
  return there;
}

int32_t zcrpc_decl_comment(const zcrpc_decl* d, size_t i, zcrpc_slice* out) {
  base::Slice s;
  bool there = d && schema::comment_at(*from_c(d), i, &s);
  put(out, s);
  return there;
}

#ifdef ZCRPC_WITH_VIEW
const zcrpc_view* zcrpc_decl_options(const zcrpc_decl* d, const zcrpc_schema* types, zcrpc_arena* a, zcrpc_error** err) {
  return guard(err, [&]() -> base::Result<schema::View> {
    if (!d || !a) return wrong("zcrpc_decl_options: no declaration, or no arena");
    const schema::Schema* s = types ? from_c(types) : from_c(d)->schema;
    auto bytes = schema::options_of(*from_c(d), from_c(a));
    if (!bytes.ok()) return bytes.take_status();
    if (bytes->empty()) return schema::View(nullptr);
    const char* name = schema::options_type(from_c(d)->kind);
    const schema::Message* m = s->message(name);
    if (!m) return Status::format(base::Code::kFailedPrecondition, "the schema has no %s: zcrpc_schema_descriptors has", name);
    return view::decode(m, *bytes, false, {}, from_c(a));
  });
}
#endif
