// Between the opaque handles of zcrpc.h and the types behind them: from_c and to_c only cast. Slices and lengths too.
#pragma once

#include <cstring>

#include <zcrpc.h>

#include "base/arena.h"
#include "base/buffer.h"
#include "base/metadata.h"
#include "base/slice.h"
#include "base/status.h"
#include "encode/encoder.h"
#include "schema/declaration.h"
#include "schema/schema.h"
#include "schema/view.h"

// Sections with handles of their own (loop, server, channel, ...) add their pairs in their own file.
#define ZCRPC_HANDLE(c_type, cpp_type)                                                                          \
  inline cpp_type* from_c(c_type* p) { return reinterpret_cast<cpp_type*>(p); }                                 \
  inline const cpp_type* from_c(const c_type* p) { return reinterpret_cast<const cpp_type*>(p); }               \
  inline c_type* to_c(cpp_type* p) { return reinterpret_cast<c_type*>(p); }                                     \
  inline const c_type* to_c(const cpp_type* p) { return reinterpret_cast<const c_type*>(p); }

namespace zcrpc::capi {

struct Options;  // options.h

ZCRPC_HANDLE(zcrpc_error, base::Error)
ZCRPC_HANDLE(zcrpc_metadata, base::Metadata)
ZCRPC_HANDLE(zcrpc_buffer, base::Buffer)
ZCRPC_HANDLE(zcrpc_arena, base::Arena)
ZCRPC_HANDLE(zcrpc_options, Options)
ZCRPC_HANDLE(zcrpc_schema, schema::Schema)
ZCRPC_HANDLE(zcrpc_type, schema::Message)
ZCRPC_HANDLE(zcrpc_enum, schema::Enum)
ZCRPC_HANDLE(zcrpc_method, schema::Method)
ZCRPC_HANDLE(zcrpc_decl, schema::Declaration)
ZCRPC_HANDLE(zcrpc_encoder, encode::Encoder)
// A schema::View is a const zcrpc_head *: views are never written through.
// Debug builds end here with a message if the view has.
inline schema::View from_c(const zcrpc_view* p, const char* user = __builtin_FUNCTION()) {
  base::check_view(p, user);
  return reinterpret_cast<schema::View>(p);
}
inline const zcrpc_view* to_c(schema::View p) { return reinterpret_cast<const zcrpc_view*>(p); }

// A pointer and a length as given by the caller; ZCRPC_NTS measures. NULL is empty.
inline base::Slice given(const void* data, size_t len) {
  if (!data) return {};
  if (len == ZCRPC_NTS) len = strlen(static_cast<const char*>(data));
  return {data, len};
}
// NULL with a length is a mistake that the caller has to hear of.
inline bool bad_slice(const void* data, size_t len) { return !data && len != 0; }

// Slices given out are never NULL.
inline zcrpc_slice slice_of(base::Slice s) { return {s.size ? reinterpret_cast<const char*>(s.data) : "", s.size}; }
inline zcrpc_slice slice_of(std::string_view s) { return slice_of(base::Slice(s)); }
inline void put(zcrpc_slice* out, base::Slice s) {
  if (out) *out = slice_of(s);
}

// A struct that may grow: no more than the caller's header knows, and zeros where his is newer than this library.
template <class T>
void fill(T* out, T value) {
  size_t n = value.struct_size = out->struct_size;
  memcpy(static_cast<void*>(out), &value, n < sizeof value ? n : sizeof value);
  if (n > sizeof value) memset(reinterpret_cast<char*>(out) + sizeof value, 0, n - sizeof value);
}

}  // namespace zcrpc::capi
