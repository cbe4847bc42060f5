// zcrpc.h, section 6: encoders.
#include "capi/convert.h"
#include "capi/guard.h"
#include "capi/whole.h"
#include "encode/same.h"
#include "encode/state.h"

#include <zcrpc/codegen.h>

using namespace zcrpc;
using namespace zcrpc::capi;

// What generated code does by itself, it does at the same places.
static_assert(sizeof(zcrpc_open) == sizeof(encode::Open) && offsetof(zcrpc_open, last) == offsetof(encode::Open, last) &&
              offsetof(zcrpc_open, slot) == offsetof(encode::Open, slot) && offsetof(zcrpc_open, guess) == offsetof(encode::Open, guess));
static_assert(offsetof(zcrpc_cursor, end) == offsetof(encode::Encoder, end) && offsetof(zcrpc_cursor, open) == offsetof(encode::Encoder, open) &&
              offsetof(zcrpc_cursor, first) == offsetof(encode::Encoder, first_open) &&
              offsetof(zcrpc_cursor, full) == offsetof(encode::Encoder, open_end) && offsetof(zcrpc_cursor, last) == offsetof(encode::Encoder, last) &&
              offsetof(zcrpc_cursor, last_count) == offsetof(encode::Encoder, last_count) &&
              offsetof(zcrpc_cursor, guesses) == offsetof(encode::Encoder, guesses));

namespace {
// Text that is NULL though it has a length sticks like any other mistake.
bool refused(encode::Encoder* e, const void* data, size_t len) {
  if (!bad_slice(data, len)) return false;
  encode::fail(e, wrong("NULL with a length"));
  return true;
}
}  // namespace

zcrpc_encoder* zcrpc_encoder_new(const zcrpc_type* t, zcrpc_error** err) {
  return guard(err, [&]() -> base::Result<encode::Encoder*> {
    encode::Encoder* e = encode::encoder_new(from_c(t));
    if (!e) return base::Status::no_memory();
    return e;
  });
}

void zcrpc_encoder_reset(zcrpc_encoder* e, const zcrpc_type* t) {
  if (e) encode::reset(from_c(e), from_c(t));
}

void zcrpc_encoder_free(zcrpc_encoder* e) { encode::encoder_free(from_c(e)); }

void zcrpc_encoder_put_int64(zcrpc_encoder* e, uint32_t field, int64_t value) {
  if (e) encode::put_int64(from_c(e), field, value);
}

void zcrpc_encoder_put_uint64(zcrpc_encoder* e, uint32_t field, uint64_t value) {
  if (e) encode::put_uint64(from_c(e), field, value);
}

void zcrpc_encoder_put_double(zcrpc_encoder* e, uint32_t field, double value) {
  if (e) encode::put_double(from_c(e), field, value);
}

void zcrpc_encoder_put_string(zcrpc_encoder* e, uint32_t field, const void* data, size_t len) {
  if (e && !refused(from_c(e), data, len)) encode::put_string(from_c(e), field, given(data, len));
}

void zcrpc_encoder_put_buffer(zcrpc_encoder* e, uint32_t field, zcrpc_buffer* b, size_t offset, size_t len) {
  if (e) encode::put_buffer(from_c(e), field, from_c(b), offset, len);
}

void zcrpc_encoder_put_view(zcrpc_encoder* e, uint32_t field, const zcrpc_view* v) {
  if (e) encode::put_view(from_c(e), field, from_c(v));
}

static void put_message(encode::Encoder* e, schema::View v, zcrpc_same_fn* same) {
  if (encode::is_editing(e)) return encode::merge(e, v);  // bytes of v itself, which have to last
  base::Arena arena;
  base::Result<schema::View> all = whole(v, &arena);
  if (all.ok()) encode::put_fields(e, *all, same);
  else encode::fail(e, all.take_status());
}

void zcrpc_encoder_put_fields(zcrpc_encoder* e, const zcrpc_view* v) {
  if (e) put_message(from_c(e), from_c(v), nullptr);
}

void zcrpc_encoder_put_same(zcrpc_encoder* e, const zcrpc_view* v, zcrpc_same_fn* same) {
  if (e) put_message(from_c(e), from_c(v), same);
}

void zcrpc_encoder_put_int64s(zcrpc_encoder* e, uint32_t field, const int64_t* values, size_t count) {
  if (e && !refused(from_c(e), values, count)) encode::put_int64s(from_c(e), field, values, count);
}

void zcrpc_encoder_put_doubles(zcrpc_encoder* e, uint32_t field, const double* values, size_t count) {
  if (e && !refused(from_c(e), values, count)) encode::put_doubles(from_c(e), field, values, count);
}

void zcrpc_encoder_put_array(zcrpc_encoder* e, uint32_t field, const void* values, size_t count) {
  if (e && !refused(from_c(e), values, count)) encode::put_array(from_c(e), field, values, count);
}

void zcrpc_encoder_put_raw(zcrpc_encoder* e, const void* data, size_t len) {
  if (e && !refused(from_c(e), data, len)) encode::put_raw(from_c(e), given(data, len));
}

void zcrpc_encoder_begin(zcrpc_encoder* e, uint32_t field) {
  if (e) encode::begin(from_c(e), field);
}

void zcrpc_encoder_end(zcrpc_encoder* e) {
  if (e) encode::end(from_c(e));
}

size_t zcrpc_encoder_size(const zcrpc_encoder* e) { return e ? encode::size(from_c(e)) : 0; }

zcrpc_buffer* zcrpc_encoder_finish(zcrpc_encoder* e, zcrpc_error** err) {
  return guard(err, [&]() -> base::Result<base::Buffer*> {
    if (!e) return wrong("zcrpc_encoder_finish: no encoder");
    return encode::finish(from_c(e));
  });
}

zcrpc_code zcrpc_encoder_gather(zcrpc_encoder* e, zcrpc_slice* parts, size_t max, size_t* count, zcrpc_error** err) {
  return guard(err, [&]() -> base::Status {
    if (!e || !count || (!parts && max)) return wrong("zcrpc_encoder_gather: no encoder, parts or count");
    auto all = encode::gather(from_c(e));
    if (!all.ok()) return all.take_status();
    *count = all->size();
    for (size_t i = 0; i < all->size() && i < max; i++) parts[i] = slice_of((*all)[i].bytes);
    if (all->size() > max) return base::Status(base::Code::kTooSmall, "more parts than there is room for");
    return {};
  });
}

size_t zcrpc_view_encoded_size(const zcrpc_view* v) {
  base::Arena arena;
  base::Result<schema::View> all = whole(from_c(v), &arena);
  return all.ok() ? encode::encoded_size(*all) : SIZE_MAX;
}
size_t zcrpc_view_encoded_bound(const zcrpc_view* v) { return encode::encoded_bound(from_c(v)); }
