// zcrpc.h, section 11: Any, Struct and Value, strings with a zero behind them.
#include <cmath>

#include "capi/convert.h"
#include "capi/guard.h"
#include "encode/state.h"

using namespace zcrpc;
using namespace zcrpc::capi;
using base::Code;
using base::Slice;
using base::Status;
using schema::View;
using schema::WellKnown;

namespace {

constexpr std::string_view kTypeUrl = "type.googleapis.com/";

WellKnown known(View v) { return v ? schema::type_of(v)->well_known : WellKnown::kNone; }
const schema::Field* field_of(View v, uint32_t number) { return schema::type_of(v)->by_number(number); }

// What comes behind the last slash; "" without one.
std::string_view any_name(View any) {
  if (known(any) != WellKnown::kAny) return {};
  std::string_view url = schema::string(any, field_of(any, 1)).text();
  size_t slash = url.rfind('/');
  return slash == std::string_view::npos ? std::string_view() : url.substr(slash + 1);
}

uint32_t which(View value) {
  const schema::Field* f = schema::which(value, field_of(value, ZCRPC_VALUE_NULL)->oneof);
  return f ? f->number : 0;
}

// The Struct or ListValue that v is or holds; nullptr.
View items(View v) {
  if (known(v) == WellKnown::kValue) {
    uint32_t kind = which(v);
    if (kind != ZCRPC_VALUE_STRUCT && kind != ZCRPC_VALUE_LIST) return nullptr;
    v = schema::sub_message(v, field_of(v, kind));
  }
  return known(v) == WellKnown::kStruct || known(v) == WellKnown::kListValue ? v : nullptr;
}

WellKnown open_type(encode::Encoder* e) {
  const schema::Message* t = encode::failed(e) ? nullptr : encode::type_of(e);
  return t ? t->well_known : WellKnown::kNone;
}

// Opens the Value of a new member or element, and tells how many levels that took. In an open Value: none.
int open_value(encode::Encoder* e, const char* key, size_t len) {
  switch (open_type(e)) {
    case WellKnown::kStruct:
      if (!key) {
        encode::fail(e, wrong("a member of a Struct needs a key"));
        return 0;
      }
      if (e->editing) {
        encode::begin_key(e, 1, given(key, len));
        return 1;
      }
      encode::begin(e, 1);
      encode::put_string(e, 1, given(key, len));
      encode::begin(e, 2);
      return 2;
    case WellKnown::kListValue:
      encode::begin(e, 1);
      return 1;
    case WellKnown::kValue: return 0;
    default:
      if (!encode::failed(e)) encode::fail(e, wrong("no Struct, ListValue or Value is open"));
      return 0;
  }
}

template <class Put>
void put_value(zcrpc_encoder* c, const char* key, size_t len, Put&& put) {
  encode::Encoder* e = from_c(c);
  if (!e || encode::failed(e)) return;
  int levels = open_value(e, key, len);
  put(e);
  for (; levels > 0; levels--) encode::end(e);
}

Status check_text(const char* data, size_t len) {
  if (const void* zero = len ? memchr(data, 0, len) : nullptr)
    return wrong("a zero inside the string").at(int64_t(static_cast<const char*>(zero) - data));
  return {};
}

}  // namespace

// ---- Any

void zcrpc_any_type(const zcrpc_view* any, zcrpc_slice* name) {
  if (name) *name = slice_of(any_name(from_c(any)));
}

const zcrpc_view* zcrpc_any_unpack(const zcrpc_view* any, const zcrpc_type* t, const zcrpc_options* o, zcrpc_arena* a, zcrpc_error** err) {
  std::string_view name = any_name(from_c(any));
  const schema::Message* type = from_c(t);
  auto refuse = [&](Status s) {
    (void)give(std::move(s), err);
    return static_cast<const zcrpc_view*>(nullptr);
  };
  if (any && known(from_c(any)) != WellKnown::kAny) return refuse(wrong("zcrpc_any_unpack: not an Any"));
  if (name.empty()) return refuse(Status(Code::kNotFound, "the Any is empty, or its type URL has no slash"));
  if (!type) type = schema::type_of(from_c(any))->schema->message(name);
  if (!type || type->name != name)
    return refuse(Status::format(Code::kNotFound, type ? "the Any holds %.*s" : "the schema does not know %.*s", int(name.size()), name.data()));
  Slice value = schema::string(from_c(any), field_of(from_c(any), 2));
  return zcrpc_view_decode(to_c(type), value.data, value.size, o, a, err);
}

void zcrpc_encoder_put_any(zcrpc_encoder* c, uint32_t field, const char* type, const void* data, size_t len) {
  encode::Encoder* e = from_c(c);
  if (!e || encode::failed(e)) return;
  std::string_view name = given(type, ZCRPC_NTS).text();
  if (name.empty() || bad_slice(data, len)) return encode::fail(e, wrong("zcrpc_encoder_put_any: type and data are needed"));
  char url[512];
  size_t before = name.find('/') == std::string_view::npos ? kTypeUrl.size() : 0;
  if (name.size() > 480) return encode::fail(e, wrong("zcrpc_encoder_put_any: the name is too long"));
  memcpy(url, kTypeUrl.data(), before);
  memcpy(url + before, name.data(), name.size());
  if (field) encode::begin(e, field);
  if (!encode::failed(e) && open_type(e) != WellKnown::kAny) return encode::fail(e, wrong("zcrpc_encoder_put_any: not an Any"));
  encode::put_string(e, 1, Slice(url, before + name.size()));
  Slice value = given(data, len);
  if (value.size || e->editing) encode::put_string(e, 2, value);
  if (field) encode::end(e);
}

// ---- Struct, ListValue, Value

int32_t zcrpc_value_kind(const zcrpc_view* v) {
  switch (known(from_c(v))) {
    case WellKnown::kValue: return int32_t(which(from_c(v)));
    case WellKnown::kStruct: return ZCRPC_VALUE_STRUCT;
    case WellKnown::kListValue: return ZCRPC_VALUE_LIST;
    default: return 0;
  }
}

size_t zcrpc_value_count(const zcrpc_view* v) {
  View in = items(from_c(v));
  return in ? schema::elements(in, field_of(in, 1)).count : 0;
}

const zcrpc_view* zcrpc_value_at(const zcrpc_view* v, size_t i, zcrpc_slice* key) {
  put(key, Slice());
  View in = items(from_c(v));
  if (!in) return nullptr;
  const schema::Field* f = field_of(in, 1);
  if (i >= schema::elements(in, f).count) return nullptr;
  if (key && f->is_map()) zcrpc_view_key_at(to_c(in), 1, i, key);
  return zcrpc_view_message_at(to_c(in), 1, i);
}

const zcrpc_view* zcrpc_value_get(const zcrpc_view* v, const char* key, size_t len) {
  View in = items(from_c(v));
  if (!in || !key || known(in) != WellKnown::kStruct) return nullptr;
  size_t i = zcrpc_view_find(to_c(in), 1, key, len == ZCRPC_NTS ? strlen(key) : len);
  return i == ZCRPC_NONE ? nullptr : zcrpc_view_message_at(to_c(in), 1, i);
}

void zcrpc_value_put_null(zcrpc_encoder* e, const char* key, size_t key_len) {
  put_value(e, key, key_len, [](encode::Encoder* at) { encode::put_int64(at, ZCRPC_VALUE_NULL, 0); });
}
void zcrpc_value_put_number(zcrpc_encoder* e, const char* key, size_t key_len, double number) {
  put_value(e, key, key_len, [&](encode::Encoder* at) {
    if (!std::isfinite(number)) return encode::fail(at, wrong("a number in a Value is finite"));
    encode::put_double(at, ZCRPC_VALUE_NUMBER, number);
  });
}
void zcrpc_value_put_string(zcrpc_encoder* e, const char* key, size_t key_len, const char* data, size_t len) {
  put_value(e, key, key_len, [&](encode::Encoder* at) { encode::put_string(at, ZCRPC_VALUE_STRING, given(data, len)); });
}
void zcrpc_value_put_bool(zcrpc_encoder* e, const char* key, size_t key_len, int32_t truth) {
  put_value(e, key, key_len, [&](encode::Encoder* at) { encode::put_int64(at, ZCRPC_VALUE_BOOL, truth != 0); });
}

void zcrpc_value_begin(zcrpc_encoder* c, const char* key, size_t key_len, int32_t kind) {
  encode::Encoder* e = from_c(c);
  if (!e || encode::failed(e)) return;
  if (kind != ZCRPC_VALUE_STRUCT && kind != ZCRPC_VALUE_LIST) return encode::fail(e, wrong("zcrpc_value_begin: neither a Struct nor a list"));
  if (open_type(e) == WellKnown::kValue) return encode::fail(e, wrong("zcrpc_value_begin: in a Value, use zcrpc_encoder_begin"));
  (void)open_value(e, key, key_len);
  encode::begin(e, uint32_t(kind));
}

void zcrpc_value_end(zcrpc_encoder* c) {
  encode::Encoder* e = from_c(c);
  if (!e || encode::failed(e)) return;
  encode::end(e);
  if (open_type(e) != WellKnown::kValue) return;
  encode::end(e);
  if (const schema::Message* t = encode::failed(e) ? nullptr : encode::type_of(e); t && t->map_entry) encode::end(e);
}

// ---- Strings

zcrpc_code zcrpc_slice_string(const char* data, size_t len, char* out, size_t cap, zcrpc_error** err) {
  return guard(err, [&]() -> Status {
    if (out && cap) *out = 0;
    if (!out || bad_slice(data, len)) return wrong("zcrpc_slice_string: data and memory are needed");
    Slice s = given(data, len);
    ZCRPC_TRY(check_text(s.text().data(), s.size));
    if (s.size >= cap) return Status::format(Code::kTooSmall, "%zu bytes are needed", s.size + 1);
    if (s.size) memcpy(out, s.data, s.size);
    out[s.size] = 0;
    return {};
  });
}

const char* zcrpc_arena_string(zcrpc_arena* a, const char* data, size_t len, zcrpc_error** err) {
  const char* made = nullptr;
  (void)guard(err, [&]() -> Status {
    if (!a || bad_slice(data, len)) return wrong("zcrpc_arena_string: an arena and data are needed");
    Slice s = given(data, len);
    ZCRPC_TRY(check_text(s.text().data(), s.size));
    made = from_c(a)->text(s.text()).data();
    return made ? Status() : Status::no_memory();
  });
  return made;
}
