// zcrpc.h, section 1: codes and errors.
#include "capi/convert.h"
#include "capi/guard.h"

using namespace zcrpc;
using namespace zcrpc::capi;

const char* zcrpc_code_name(zcrpc_code code) { return base::code_name(base::Code(code)); }

zcrpc_code zcrpc_code_from_name(const char* name) {
  base::Code c = base::Code::kUnknown;
  if (!name) return ZCRPC_UNKNOWN;
  if (!strcmp(name, "ok")) return ZCRPC_OK;
  return base::code_from_name(name, &c) ? zcrpc_code(c) : ZCRPC_UNKNOWN;
}

zcrpc_error* zcrpc_error_new(zcrpc_code code, const char* text, size_t len) {
  if (code < ZCRPC_CANCELED || code > ZCRPC_UNAUTHENTICATED) code = ZCRPC_UNKNOWN;
  base::Error* e = base::Error::make(base::Code(code), given(text, len).text());
  e->set_spoken(true);
  return to_c(e);
}

zcrpc_code zcrpc_error_add_detail(zcrpc_error* e, const char* type, const void* data, size_t len, zcrpc_error** err) {
  return guard(err, [&]() -> base::Status {
    if (!e || !type || !*type || bad_slice(data, len)) return wrong("zcrpc_error_add_detail: error, type and data are needed");
    if (!from_c(e)->add_detail(type, given(data, len))) return base::Status::no_memory();
    return {};
  });
}

void zcrpc_error_free(zcrpc_error* e) { base::Error::free(from_c(e)); }

zcrpc_code zcrpc_error_code(const zcrpc_error* e) { return e ? zcrpc_code(from_c(e)->code()) : ZCRPC_OK; }
const char* zcrpc_error_message(const zcrpc_error* e) { return e ? from_c(e)->message() : ""; }
const char* zcrpc_error_path(const zcrpc_error* e) { return e ? from_c(e)->path() : ""; }
int64_t zcrpc_error_offset(const zcrpc_error* e) { return e ? from_c(e)->offset() : -1; }
size_t zcrpc_error_detail_count(const zcrpc_error* e) { return e ? from_c(e)->detail_count() : 0; }

void zcrpc_error_detail(const zcrpc_error* e, size_t i, zcrpc_slice* type, zcrpc_slice* value) {
  bool there = e && i < from_c(e)->detail_count();
  put(type, there ? base::Slice(from_c(e)->detail_type(i)) : base::Slice());
  put(value, there ? from_c(e)->detail_value(i) : base::Slice());
}

zcrpc_metadata* zcrpc_error_metadata(zcrpc_error* e) {
  return e && !from_c(e)->is_static() ? to_c(from_c(e)->metadata()) : nullptr;
}
