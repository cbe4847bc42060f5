// zcrpc.h, section 6: streams of messages, and parts of buffers.
#include "encode/delimited.h"

#include <new>

#include "capi/convert.h"

namespace zcrpc::capi {
ZCRPC_HANDLE(zcrpc_reader, encode::DelimitedReader)
}

#include "capi/guard.h"

using namespace zcrpc;
using namespace zcrpc::capi;

namespace {
bool is_framing(int32_t f) { return f == ZCRPC_DELIMITED_VARINT || f == ZCRPC_DELIMITED_FIXED32; }
size_t limit_of(size_t max) { return max && max < wire::kMaxMessage ? max : wire::kMaxMessage; }
}  // namespace

zcrpc_buffer* zcrpc_buffer_part(zcrpc_buffer* b, size_t offset, size_t len, zcrpc_error** err) {
  return guard(err, [&]() -> base::Result<base::Buffer*> {
    if (!b || offset > from_c(b)->size() || len > from_c(b)->size() - offset) return wrong("zcrpc_buffer_part: not a part of the buffer");
    base::Buffer* part = base::Buffer::part(from_c(b), offset, len);
    if (!part) return base::Status::no_memory();
    return part;
  });
}

size_t zcrpc_delimited_prefix(int32_t framing, size_t len, void* out) {
  if (!out || !is_framing(framing) || len > wire::kMaxMessage) return 0;
  return encode::put_prefix(encode::Framing(framing), len, static_cast<uint8_t*>(out));
}

zcrpc_code zcrpc_delimited_next(int32_t framing, const void* data, size_t len, size_t max, zcrpc_slice* message, size_t* used, zcrpc_error** err) {
  return guard(err, [&]() -> base::Status {
    if (!is_framing(framing) || bad_slice(data, len) || !used) return wrong("zcrpc_delimited_next: framing, data or used");
    base::Slice in(data, len);
    uint64_t size;
    size_t prefix = encode::read_prefix(encode::Framing(framing), in, &size);
    if (prefix == SIZE_MAX) return std::move(wrong("the length of a message is no varint of 32 bits")).at(0);
    if (prefix && size > limit_of(max)) return base::Status(base::Code::kResourceExhausted, "a message over the limit").at(0);
    *used = prefix ? prefix + size_t(size) : len + 1;
    if (*used > len) return base::Status(base::Code::kTooSmall, "the message is not all there");
    put(message, in.part(prefix, size_t(size)));
    return {};
  });
}

zcrpc_code zcrpc_encoder_gather_delimited(zcrpc_encoder* e, int32_t framing, zcrpc_slice* parts, size_t max, size_t* count, zcrpc_error** err) {
  return guard(err, [&]() -> base::Status {
    if (!e || !count || (!parts && max) || !is_framing(framing)) return wrong("zcrpc_encoder_gather_delimited: encoder, framing, parts or count");
    auto all = encode::gather_delimited(from_c(e), encode::Framing(framing));
    if (!all.ok()) return all.take_status();
    *count = all->size();
    for (size_t i = 0; i < all->size() && i < max; i++) parts[i] = slice_of((*all)[i].bytes);
    if (all->size() > max) return base::Status(base::Code::kTooSmall, "more parts than there is room for");
    return {};
  });
}

zcrpc_code zcrpc_encoder_write_delimited(zcrpc_encoder* e, int32_t framing, zcrpc_write_fn write, void* user, zcrpc_error** err) {
  return guard(err, [&]() -> base::Status {
    if (!e || !write || !is_framing(framing)) return wrong("zcrpc_encoder_write_delimited: encoder, framing or function");
    auto all = encode::gather_delimited(from_c(e), encode::Framing(framing));
    if (!all.ok()) return all.take_status();
    for (size_t i = 0; i < all->size();) {
      zcrpc_slice parts[16];
      size_t n = 0;
      for (; n < 16 && i < all->size(); i++) parts[n++] = slice_of((*all)[i].bytes);
      if (zcrpc_code code = write(parts, n, user)) return base::Status(base::Code(code), "the function that writes failed");
    }
    return {};
  });
}

zcrpc_reader* zcrpc_reader_new(int32_t framing, size_t max, zcrpc_error** err) {
  return guard(err, [&]() -> base::Result<encode::DelimitedReader*> {
    if (!is_framing(framing)) return wrong("zcrpc_reader_new: no such framing");
    auto* r = new (std::nothrow) encode::DelimitedReader(encode::Framing(framing), limit_of(max));
    if (!r) return base::Status::no_memory();
    return r;
  });
}
void zcrpc_reader_free(zcrpc_reader* r) { delete from_c(r); }

void zcrpc_reader_set_source(zcrpc_reader* r, zcrpc_read_fn read, void* user) {
  if (r) from_c(r)->set_source(read, user);
}
zcrpc_code zcrpc_reader_push(zcrpc_reader* r, const void* data, size_t len, zcrpc_error** err) {
  return guard(err, [&]() -> base::Status {
    if (!r || bad_slice(data, len)) return wrong("zcrpc_reader_push: no reader, or NULL with a length");
    return from_c(r)->push({data, len});
  });
}
zcrpc_code zcrpc_reader_push_buffer(zcrpc_reader* r, zcrpc_buffer* b, size_t offset, size_t len, zcrpc_error** err) {
  return guard(err, [&]() -> base::Status {
    if (!r || !b || offset > from_c(b)->size() || len > from_c(b)->size() - offset) return wrong("zcrpc_reader_push_buffer: no reader, or not a part of the buffer");
    return from_c(r)->push(from_c(b), from_c(b)->slice().part(offset, len));
  });
}
void zcrpc_reader_end(zcrpc_reader* r) {
  if (r) from_c(r)->end();
}
zcrpc_code zcrpc_reader_next(zcrpc_reader* r, zcrpc_buffer** message, zcrpc_error** err) {
  return guard(err, [&]() -> base::Status {
    if (!r || !message) return wrong("zcrpc_reader_next: no reader, or no place for the message");
    *message = nullptr;
    auto b = from_c(r)->next();
    if (!b.ok()) return b.take_status();
    *message = to_c(*b);
    return {};
  });
}
uint64_t zcrpc_reader_offset(const zcrpc_reader* r) { return r ? from_c(r)->offset() : 0; }
