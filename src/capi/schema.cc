// zcrpc.h, section 4: schemas.
#include "schema/schema.h"
#include "schema/required.h"
#include "schema/walk.h"

#include <algorithm>
#include <cstdlib>
#include <new>

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
    auto r = schema::read({set, len}, {});
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
