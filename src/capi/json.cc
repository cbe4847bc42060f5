// zcrpc.h, section 5: views as text, and one format as another.
#include "json/json.h"
#include "text/text.h"

#include <cstdlib>
#include <new>

#include "capi/guard.h"
#include "capi/options.h"
#include "capi/whole.h"
#include "view/view.h"

using namespace zcrpc;
using namespace zcrpc::capi;
using base::Result;
using base::Status;

namespace {

bool known_format(int32_t format) { return format == ZCRPC_PROTO || format == ZCRPC_JSON || format == ZCRPC_TEXT; }

// Text that a buffer holds, so that it is not copied once more.
struct Held {
  base::String text;
};
void release_held(const void*, size_t, void* user) {
  auto* h = static_cast<Held*>(user);
  h->~Held();
  std::free(h);
}

Result<base::Buffer*> to_buffer(base::String text) {
  size_t n = text.size();
  // Much smaller than its memory: a copy is cheaper than what it would pin.
  if (n < 1024 || text.bytes().capacity() / 2 > n) {
    base::Buffer* b = base::Buffer::make(n);
    if (!b) return Status::no_memory();
    if (n) memcpy(b->writable(), text.data(), n);
    return b;
  }
  void* p = std::malloc(sizeof(Held));
  if (!p) return Status::no_memory();
  auto* h = new (p) Held{std::move(text)};
  base::Buffer* b = base::Buffer::wrap(h->text.data(), n, release_held, h);
  if (b) return b;
  release_held(nullptr, 0, h);
  return Status::no_memory();
}

struct EncoderFree {
  encode::Encoder* e;
  ~EncoderFree() { encode::encoder_free(e); }
};

// source, budget: as json::PrintOptions has them.
Result<base::Buffer*> print(schema::View v, const schema::Message* type, int32_t format, const Options* o, size_t source, size_t budget) {
  if (format == ZCRPC_PROTO) {
    EncoderFree e{encode::encoder_new(type)};
    if (!e.e) return Status::no_memory();
    if (v) encode::put_fields(e.e, v);
    return encode::finish(e.e);
  }
  bool enum_numbers = get_bool(o, ZCRPC_FORMAT_ENUM_NUMBERS, false), pretty = get_bool(o, ZCRPC_FORMAT_PRETTY, false);
  bool redact = get_bool(o, ZCRPC_FORMAT_REDACT, false);
  base::String text;
  if (format == ZCRPC_JSON) {
    json::PrintOptions options;
    options.source = source;
    options.budget = budget;
    options.enum_numbers = enum_numbers;
    options.pretty = pretty;
    options.redact = redact;
    options.proto_names = get_bool(o, ZCRPC_FORMAT_PROTO_NAMES, false);
    ZCRPC_TRY(json::print(v, type, options, &text));
  } else {
    text::PrintOptions options;
    options.source = source;
    options.budget = budget;
    options.enum_numbers = enum_numbers;
    options.pretty = pretty;
    options.redact = redact;
    options.unknown = get_bool(o, ZCRPC_FORMAT_UNKNOWN_FIELDS, false);
    ZCRPC_TRY(text::print(v, options, &text));
  }
  return to_buffer(std::move(text));
}

constexpr size_t kExpected = 65536;

Result<base::Buffer*> parse(const schema::Message* type, int32_t format, base::Slice text, const Options* o) {
  EncoderFree e{encode::encoder_new(type)};
  if (!e.e) return Status::no_memory();
  encode::reset(e.e, type);
  encode::expect(e.e, text.size < kExpected ? text.size : kExpected);  // wire bytes are nearly always fewer than characters
  bool ignore_unknown = get_bool(o, ZCRPC_FORMAT_IGNORE_UNKNOWN, false);
  if (format == ZCRPC_JSON) {
    json::ParseOptions options;
    options.ignore_unknown = ignore_unknown;
    ZCRPC_TRY(json::parse(type, text, options, e.e));
  } else {
    text::ParseOptions options;
    options.ignore_unknown = ignore_unknown;
    ZCRPC_TRY(text::parse(type, text, options, e.e));
  }
  return encode::finish(e.e);
}

Result<base::Buffer*> convert(const schema::Message* type, int32_t from, base::Slice data, int32_t to, const Options* o) {
  base::BufferRef parsed;
  view::Limits limits = view::of_text({}, data.size, 0);
  size_t source = 0;
  if (from != ZCRPC_PROTO) {
    Result<base::Buffer*> wire = parse(type, from, data, o);
    if (!wire.ok() || to == ZCRPC_PROTO) return wire;
    parsed.reset(*wire);
    source = data.size;
    limits = view::of_text({}, data.size, parsed->held());
    data = parsed->slice();
  }
  base::Arena arena;
  Result<schema::View> v = view::decode(type, data, parsed && parsed->has_slack(), limits, &arena);
  if (!v.ok()) return v.take_status();
  return print(*v, type, to, o, source, beside(limits.max_index, *v, arena));
}

}  // namespace

zcrpc_buffer* zcrpc_view_print(const zcrpc_view* v, int32_t format, const zcrpc_options* o, zcrpc_error** err) {
  return guard(err, [&]() -> Result<base::Buffer*> {
    if (!known_format(format)) return wrong("zcrpc_view_print: the format is ZCRPC_PROTO, ZCRPC_JSON or ZCRPC_TEXT");
    ZCRPC_TRY(check_for(o, ZCRPC_FOR_FORMAT));
    if (!v) {
      base::String text;
      if (format == ZCRPC_JSON) text.append("{}");
      return text.ok() ? to_buffer(std::move(text)) : Result<base::Buffer*>(Status::no_memory());
    }
    base::Arena arena;
    size_t left;
    Result<schema::View> all = whole(from_c(v), &arena, &left);
    if (!all.ok()) return all.take_status();
    return print(*all, schema::type_of(*all), format, from_c(o), 0, left);
  });
}

size_t zcrpc_view_debug(const zcrpc_view* v, char* out, size_t cap) {
  if (!out || cap == 0) return 0;
  *out = 0;
  if (!v) return 0;
  base::Arena arena;
  text::PrintOptions options;
  Result<schema::View> all = whole(from_c(v), &arena, &options.budget);
  bool cut = false;
  options.redact = options.unknown = true;
  options.cut = &cut;
  options.max_output = cap < SIZE_MAX - 64 ? cap + 64 : cap;  // the pen asks for more room than it may need
  base::String text;
  if (!all.ok() || !text::print(*all, options, &text).ok()) return 0;
  size_t n = text.size();
  constexpr std::string_view kMore = "...";
  if (cut || n > cap - 1) {
    n = cap - 1 > kMore.size() ? cap - 1 - kMore.size() : 0;
    while (n && (uint8_t(text.data()[n]) & 0xC0) == 0x80) n--;  // between characters
    text.truncate(n);
    size_t dots = cap - 1 < kMore.size() ? cap - 1 : kMore.size();
    if (!text.append(kMore.substr(0, dots)).ok()) return 0;
    n += dots;
  }
  if (n) memcpy(out, text.data(), n);
  out[n] = 0;
  return n;
}

zcrpc_buffer* zcrpc_type_convert(const zcrpc_type* t, int32_t from, const void* data, size_t len, int32_t to, const zcrpc_options* o,
                                 zcrpc_error** err) {
  return guard(err, [&]() -> Result<base::Buffer*> {
    if (!t || bad_slice(data, len)) return wrong("zcrpc_type_convert: a type and data are needed");
    if (!known_format(from) || !known_format(to)) return wrong("zcrpc_type_convert: formats are ZCRPC_PROTO, ZCRPC_JSON and ZCRPC_TEXT");
    ZCRPC_TRY(check_for(o, ZCRPC_FOR_FORMAT));
    return convert(from_c(t), from, given(data, len), to, from_c(o));
  });
}
