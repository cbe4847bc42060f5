// zcrpc.h, section 5: views.
#include "view/view.h"

#include <zcrpc/codegen.h>

#include <bit>
#include <cstring>

#include "capi/guard.h"
#include "capi/options.h"

using namespace zcrpc;
using namespace zcrpc::capi;
using schema::Elements;
using schema::Field;
using schema::Kind;
using schema::View;

namespace {

const Field* field_of(View v, uint32_t number) {
  if (!v) return nullptr;
  const schema::Message* m = schema::type_of(v);
  const Field* f = m->by_number(number);
  return f ? f : m->extension(number);
}

bool is_float(Kind k) { return k == Kind::kDouble || k == Kind::kFloat; }
bool is_integer(Kind k) { return schema::is_packable(k) && !is_float(k); }

double to_double(Kind k, uint64_t bits) {
  return k == Kind::kDouble ? std::bit_cast<double>(bits) : double(std::bit_cast<float>(uint32_t(bits)));
}

// A singular field of a kind that the getter serves, or nullptr.
template <class Serves>
const Field* singular(View v, uint32_t number, Serves serves) {
  const Field* f = field_of(v, number);
  return f && !f->repeated() && serves(f->kind) ? f : nullptr;
}

// The i-th element of a repeated field, or the i-th value of a map: of what field it is, and where it lies.
struct Element {
  const Field* field = nullptr;  // nullptr: there is none
  Elements of;
  const uint8_t* at = nullptr;

  uint64_t number() const { return of.borrowed ? Elements::wire_bits(field->kind, at) : schema::bits_at(field->kind, at); }
  base::Slice string() const { return of.string_at(at); }
  View message(size_t i, const Field* whole) const {
    return whole->is_map() ? of.message_at(at) : of.message(field->message, i);
  }
};
template <class Serves>
Element element(View v, uint32_t number, size_t i, Serves serves) {
  const Field* f = field_of(v, number);
  if (!f || !f->repeated()) return {};
  const Field* value = f->is_map() ? f->map_value() : f;
  if (!serves(value->kind)) return {};
  Elements all = schema::elements(v, f);
  if (i >= all.count) return {};
  return {value, all, all.at(i) + (f->is_map() ? value->offset : 0)};
}

// A map and the kind of its key; nullptr: no map, or a key of another kind.
const Field* map_of(View v, uint32_t number, bool string_key) {
  const Field* f = field_of(v, number);
  return f && f->is_map() && (f->map_key()->kind == Kind::kString) == string_key ? f : nullptr;
}

base::Result<View> decode(const zcrpc_type* t, base::Slice data, bool slack, const zcrpc_options* o, zcrpc_arena* a, base::Buffer* holder) {
  if (!t || !a) return wrong("zcrpc_view_decode: no type, or no arena");
  ZCRPC_TRY(check_for(o, ZCRPC_FOR_DECODE));
  return view::decode(from_c(t), data, slack, get_limits(o ? from_c(o) : nullptr), from_c(a), holder);
}

}  // namespace

void zcrpc_debug_view(const void* m) { base::check_view(m, "generated code"); }

// A small message takes less time than guard() and a Result would add to it.
const zcrpc_view* zcrpc_view_decode(const zcrpc_type* t, const void* data, size_t len, const zcrpc_options* o, zcrpc_arena* a, zcrpc_error** err) {
  base::Status why;
  if (t && a && !o && !bad_slice(data, len)) {
    constexpr view::Limits kUsual;
    if (View v = view::decode(from_c(t), base::Slice(data, len), false, kUsual, from_c(a), nullptr, &why)) return to_c(v);
    (void)give(std::move(why), err);
    return nullptr;
  }
  return guard(err, [&]() -> base::Result<View> {
    if (bad_slice(data, len)) return wrong("zcrpc_view_decode: NULL with a length");
    return decode(t, base::Slice(data, len), false, o, a, nullptr);
  });
}

const zcrpc_view* zcrpc_view_decode_buffer(const zcrpc_type* t, zcrpc_buffer* b, const zcrpc_options* o, zcrpc_arena* a, zcrpc_error** err) {
  return guard(err, [&]() -> base::Result<View> {
    if (!b) return wrong("zcrpc_view_decode_buffer: no buffer");
    base::Buffer* whole = from_c(b);
    base::Result<View> v = decode(t, whole->slice(), whole->has_slack(), o, a, whole);
    // Without the reference the view's bytes could go: the index is then memory of the arena that nobody knows of.
    if (v.ok() && !from_c(a)->hold(whole)) return base::Status::no_memory();
    return v;
  });
}

zcrpc_code zcrpc_view_index(const zcrpc_type* t, const void* data, size_t len, const zcrpc_options* o, void* index, size_t cap, size_t* size, zcrpc_error** err) {
  return guard(err, [&]() -> base::Status {
    if (!t || !size || bad_slice(data, len) || bad_slice(index, cap)) return wrong("zcrpc_view_index: no type, no size, or NULL with a length");
    if (reinterpret_cast<uintptr_t>(index) % 8) return wrong("zcrpc_view_index: the memory is not 8-aligned");
    ZCRPC_TRY(check_for(o, ZCRPC_FOR_DECODE));
    return view::index(from_c(t), base::Slice(data, len), get_limits(o ? from_c(o) : nullptr), index, cap, size);
  });
}

const zcrpc_view* zcrpc_view_open(const zcrpc_view* v, uint32_t field, size_t i, zcrpc_arena* a, zcrpc_error** err) {
  return guard(err, [&]() -> base::Result<View> {
    if (!v) return View(nullptr);
    const Field* f = field_of(from_c(v), field);
    if (!f || !(f->is_map() ? f->map_value() : f)->message)
      return base::Status::format(base::Code::kInvalidArgument, "zcrpc_view_open: field %u is no message", field);
    return view::open(from_c(v), f, i, from_c(a));
  });
}

zcrpc_code zcrpc_view_open_all(const zcrpc_view* v, zcrpc_arena* a, zcrpc_error** err) {
  return guard(err, [&] { return view::open_all(from_c(v), from_c(a)); });
}

const zcrpc_type* zcrpc_view_type(const zcrpc_view* v) { return v ? to_c(schema::type_of(from_c(v))) : nullptr; }

int32_t zcrpc_view_bytes(const zcrpc_view* v, zcrpc_slice* out) {
  base::Slice s;
  bool one = v && schema::encoded(from_c(v), &s);
  put(out, s);
  return one;
}

int32_t zcrpc_view_has(const zcrpc_view* v, uint32_t field) {
  const Field* f = field_of(from_c(v), field);
  return f && schema::has(from_c(v), f);
}

uint32_t zcrpc_view_which(const zcrpc_view* v, uint32_t field) {
  const Field* f = field_of(from_c(v), field);
  const Field* set = f && f->oneof ? schema::which(from_c(v), f->oneof) : nullptr;
  return set ? set->number : 0;
}

// user: the public function, for the message of debug builds.
static uint64_t integer(const zcrpc_view* v, uint32_t field, const char* user = __builtin_FUNCTION()) {
  View m = from_c(v, user);
  const Field* f = singular(m, field, is_integer);
  return f ? schema::number(m, f) : 0;
}
uint64_t zcrpc_view_uint64(const zcrpc_view* v, uint32_t field) { return integer(v, field); }
int64_t zcrpc_view_int64(const zcrpc_view* v, uint32_t field) { return int64_t(integer(v, field)); }
int32_t zcrpc_view_int32(const zcrpc_view* v, uint32_t field) { return int32_t(uint32_t(integer(v, field))); }

double zcrpc_view_double(const zcrpc_view* v, uint32_t field) {
  const Field* f = singular(from_c(v), field, is_float);
  return f ? to_double(f->kind, schema::number(from_c(v), f)) : 0;
}

void zcrpc_view_string(const zcrpc_view* v, uint32_t field, zcrpc_slice* out) {
  const Field* f = singular(from_c(v), field, schema::is_string);
  put(out, f ? schema::string(from_c(v), f) : base::Slice());
}

const zcrpc_view* zcrpc_view_message(const zcrpc_view* v, uint32_t field) {
  const Field* f = singular(from_c(v), field, schema::is_message);
  return f ? to_c(schema::sub_message(from_c(v), f)) : nullptr;
}

size_t zcrpc_view_count(const zcrpc_view* v, uint32_t field) {
  const Field* f = field_of(from_c(v), field);
  return f && f->repeated() ? schema::elements(from_c(v), f).count : 0;
}

static uint64_t integer_at(const zcrpc_view* v, uint32_t field, size_t i, const char* user = __builtin_FUNCTION()) {
  Element e = element(from_c(v, user), field, i, is_integer);
  return e.field ? e.number() : 0;
}
uint64_t zcrpc_view_uint64_at(const zcrpc_view* v, uint32_t field, size_t i) { return integer_at(v, field, i); }
int64_t zcrpc_view_int64_at(const zcrpc_view* v, uint32_t field, size_t i) { return int64_t(integer_at(v, field, i)); }

double zcrpc_view_double_at(const zcrpc_view* v, uint32_t field, size_t i) {
  Element e = element(from_c(v), field, i, is_float);
  return e.field ? to_double(e.field->kind, e.number()) : 0;
}

void zcrpc_view_string_at(const zcrpc_view* v, uint32_t field, size_t i, zcrpc_slice* out) {
  Element e = element(from_c(v), field, i, schema::is_string);
  put(out, e.field ? e.string() : base::Slice());
}

const zcrpc_view* zcrpc_view_message_at(const zcrpc_view* v, uint32_t field, size_t i) {
  Element e = element(from_c(v), field, i, schema::is_message);
  return e.field ? to_c(e.message(i, field_of(from_c(v), field))) : nullptr;
}

namespace {

template <class T, class Serves, class Convert>
size_t copy_numbers(View v, uint32_t field, size_t first, T* out, size_t max, Serves serves, Convert convert) {
  const Field* f = field_of(v, field);
  if (!f || f->shape != schema::Shape::kRepeated || !serves(f->kind)) return 0;
  Elements all = schema::elements(v, f);
  if (first >= all.count) return 0;
  size_t n = all.count - first < max ? all.count - first : max;
  for (size_t i = 0; i < n; i++) out[i] = convert(f->kind, all.number(f->kind, first + i));
  return n;
}

}  // namespace

size_t zcrpc_view_int64s(const zcrpc_view* v, uint32_t field, size_t first, int64_t* out, size_t max) {
  return copy_numbers(from_c(v), field, first, out, max, is_integer, [](Kind, uint64_t bits) { return int64_t(bits); });
}

size_t zcrpc_view_doubles(const zcrpc_view* v, uint32_t field, size_t first, double* out, size_t max) {
  return copy_numbers(from_c(v), field, first, out, max, is_float, to_double);
}

const void* zcrpc_view_array(const zcrpc_view* v, uint32_t field, size_t* count, size_t* width) {
  const Field* f = field_of(from_c(v), field);
  Elements all;
  if (f && f->shape == schema::Shape::kRepeated && schema::is_packable(f->kind)) all = schema::elements(from_c(v), f);
  // Borrowed elements are as the wire has them: little-endian.
  bool native = !all.borrowed || std::endian::native == std::endian::little;
  if (count) *count = all.count;
  if (width) *width = all.count ? schema::slot_width(f->kind) : 0;
  return all.count && native ? all.data : nullptr;
}

size_t zcrpc_view_find(const zcrpc_view* v, uint32_t field, const void* key, size_t len) {
  const Field* f = map_of(from_c(v), field, true);
  if (!f) return ZCRPC_NONE;
  base::Slice wanted = given(key, len);
  Elements all = schema::elements(from_c(v), f);
  for (size_t i = 0; i < all.count; i++)
    if (all.string_at(all.at(i) + f->map_key()->offset).text() == wanted.text()) return i;
  return ZCRPC_NONE;
}

size_t zcrpc_view_find_int(const zcrpc_view* v, uint32_t field, int64_t key) {
  const Field* f = map_of(from_c(v), field, false);
  if (!f) return ZCRPC_NONE;
  const Field* k = f->map_key();
  Elements all = schema::elements(from_c(v), f);
  for (size_t i = 0; i < all.count; i++)
    if (int64_t(schema::bits_at(k->kind, all.at(i) + k->offset)) == key) return i;
  return ZCRPC_NONE;
}

void zcrpc_view_key_at(const zcrpc_view* v, uint32_t field, size_t i, zcrpc_slice* out) {
  const Field* f = map_of(from_c(v), field, true);
  base::Slice s;
  if (f) {
    Elements all = schema::elements(from_c(v), f);
    if (i < all.count) s = all.string_at(all.at(i) + f->map_key()->offset);
  }
  put(out, s);
}

int64_t zcrpc_view_key_int_at(const zcrpc_view* v, uint32_t field, size_t i) {
  const Field* f = map_of(from_c(v), field, false);
  if (!f) return 0;
  Elements all = schema::elements(from_c(v), f);
  return i < all.count ? int64_t(schema::bits_at(f->map_key()->kind, all.at(i) + f->map_key()->offset)) : 0;
}

zcrpc_code zcrpc_view_value(const zcrpc_view* v, uint32_t field, size_t i, zcrpc_value* out, zcrpc_error** err) {
  return guard(err, [&]() -> base::Status {
    if (!out) return wrong("zcrpc_view_value: nowhere to put it");
    const Field* f = field_of(from_c(v), field);
    if (!f) return base::Status::format(base::Code::kNotFound, "no field %u", field);
    auto absent = [&] {
      return base::Status::format(base::Code::kNotFound, "%.*s is not set", int(f->name.size()), f->name.data()).in(f->name);
    };
    View m = from_c(v);
    zcrpc_value value{};
    if (!f->repeated()) {
      if (i != 0 || !schema::has(m, f)) return absent();
      value.kind = int32_t(f->kind);
      if (schema::is_message(f->kind)) value.of.m = to_c(schema::sub_message(m, f));
      else if (schema::is_string(f->kind)) value.of.s = slice_of(schema::string(m, f));
      else if (is_float(f->kind)) value.of.d = to_double(f->kind, schema::number(m, f));
      else value.of.u = schema::number(m, f);
    } else {
      Element e = element(m, field, i, [](Kind) { return true; });
      if (!e.field) return absent();
      Kind k = e.field->kind;
      value.kind = int32_t(k);
      if (schema::is_message(k)) value.of.m = to_c(e.message(i, f));
      else if (schema::is_string(k)) value.of.s = slice_of(e.string());
      else if (is_float(k)) value.of.d = to_double(k, e.number());
      else value.of.u = e.number();
    }
    *out = value;
    return {};
  });
}

int32_t zcrpc_view_unknown(const zcrpc_view* v, size_t i, uint32_t* field, zcrpc_slice* out) {
  std::span<const zcrpc_range> rows = v ? schema::unknown(from_c(v)) : std::span<const zcrpc_range>();
  if (i >= rows.size()) return 0;
  if (field) *field = rows[i].number;
  put(out, base::Slice(schema::input_of(from_c(v)) + rows[i].offset, rows[i].len));
  return 1;
}
