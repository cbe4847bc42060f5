// zcrpc.h, section 11: details of errors as messages.
#include "capi/convert.h"
#include "capi/guard.h"
#include "encode/state.h"
#ifdef ZCRPC_WITH_RPC
#include "rpc/grpc.h"
#endif

using namespace zcrpc;
using namespace zcrpc::capi;
using base::Slice;
using base::Status;

zcrpc_code zcrpc_error_put_detail(zcrpc_error* e, zcrpc_encoder* message, zcrpc_error** err) {
  return guard(err, [&]() -> Status {
    if (!e || !message || !from_c(message)->root) return wrong("zcrpc_error_put_detail: an error and a message are needed");
    auto bytes = encode::finish(from_c(message));
    if (!bytes.ok()) return bytes.take_status();
    bool added = from_c(e)->add_detail(from_c(message)->root->name, (*bytes)->slice());
    (*bytes)->release();
    return added ? Status() : Status::no_memory();
  });
}

const zcrpc_view* zcrpc_error_find_detail(const zcrpc_error* e, const zcrpc_type* t, size_t nth, zcrpc_arena* a, zcrpc_error** err) {
  if (!t || !a) {
    (void)give(wrong("zcrpc_error_find_detail: a type and an arena are needed"), err);
    return nullptr;
  }
  const base::Error* error = from_c(e);
  for (size_t i = 0; error && i < error->detail_count(); i++) {
    if (error->detail_type(i) != from_c(t)->name || nth-- > 0) continue;
    std::string_view copy = from_c(a)->text(error->detail_value(i).text());  // the view does not end with the error
    if (copy.data()) return zcrpc_view_decode(t, copy.data(), copy.size(), nullptr, a, err);
    (void)give(Status::no_memory(), err);
    return nullptr;
  }
  return nullptr;
}

#ifdef ZCRPC_WITH_RPC
zcrpc_buffer* zcrpc_error_status(const zcrpc_error* e, zcrpc_error** err) {
  return guard(err, [&]() -> base::Result<base::Buffer*> {
    if (!e) return wrong("zcrpc_error_status: no error");
    base::Arena arena;
    Slice bytes = rpc::write_status(*from_c(e), &arena);
    base::Buffer* made = bytes.data ? base::Buffer::make(bytes.size) : nullptr;
    if (!made) return Status::no_memory();
    memcpy(made->writable(), bytes.data, bytes.size);
    return made;
  });
}

zcrpc_error* zcrpc_error_from_status(const void* data, size_t len, zcrpc_error** err) {
  return guard(err, [&]() -> base::Result<base::Error*> {
    if (bad_slice(data, len)) return wrong("zcrpc_error_from_status: no data");
    base::Error* made = rpc::read_status({data, len});
    if (!made) return wrong("not a google.rpc.Status");
    made->set_spoken(true);
    return made;
  });
}
#endif
