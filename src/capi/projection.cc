// zcrpc.h, section 5: projections.
#include "view/project.h"

#include "capi/convert.h"

namespace zcrpc::capi {
ZCRPC_HANDLE(zcrpc_projection, view::Projection)  // before guard.h, whose templates look for it
}

#include "capi/guard.h"
#include "capi/options.h"

using namespace zcrpc;
using namespace zcrpc::capi;
using base::Result;
using base::Status;
using view::Projection;

zcrpc_projection* zcrpc_projection_new(const zcrpc_type* t, const char* paths, zcrpc_error** err) {
  return guard(err, [&]() -> Result<Projection*> {
    if (!t || !paths) return wrong("zcrpc_projection_new: no type, or no paths");
    view::ProjectionBuilder b(from_c(t));
    ZCRPC_TRY(b.add_list(paths));
    return b.finish();
  });
}

zcrpc_projection* zcrpc_projection_from_mask(const zcrpc_type* t, const zcrpc_view* mask, zcrpc_error** err) {
  return guard(err, [&]() -> Result<Projection*> {
    if (!t) return wrong("zcrpc_projection_from_mask: no type");
    view::ProjectionBuilder b(from_c(t));
    if (mask) {
      const schema::Message* m = schema::type_of(from_c(mask));
      if (m->well_known != schema::WellKnown::kFieldMask) return wrong("zcrpc_projection_from_mask: not a google.protobuf.FieldMask");
      const schema::Elements paths = schema::elements(from_c(mask), m->by_number(1));
      for (uint32_t i = 0; i < paths.count; i++) ZCRPC_TRY(b.add(paths.string(i).text()));
    }
    return b.finish();
  });
}

void zcrpc_projection_free(zcrpc_projection* p) {
  if (p) from_c(p)->release();
}

zcrpc_buffer* zcrpc_projection_copy(const zcrpc_projection* p, const void* data, size_t len, const zcrpc_options* o, zcrpc_error** err) {
  return guard(err, [&]() -> Result<base::Buffer*> {
    if (!p || bad_slice(data, len)) return wrong("zcrpc_projection_copy: no projection, or NULL with a length");
    ZCRPC_TRY(check_for(o, ZCRPC_FOR_DECODE));
    view::Limits limits = get_limits(from_c(o));
    limits.projection = from_c(p);
    base::Arena arena;
    Result<schema::View> v = view::decode(from_c(p)->type, base::Slice(data, len), false, limits, &arena);
    if (!v.ok()) return v.take_status();
    encode::Encoder* e = encode::encoder_new(from_c(p)->type);
    if (!e) return Status::no_memory();
    if (from_c(p)->mask) encode::put_named(e, *v, from_c(p)->mask);
    else encode::put_fields(e, *v);
    Result<base::Buffer*> b = encode::finish(e);
    encode::encoder_free(e);
    return b;
  });
}

zcrpc_code zcrpc_options_set_projection(zcrpc_options* o, const zcrpc_projection* p, zcrpc_error** err) {
  return guard(err, [&]() -> Status {
    if (!o) return wrong("zcrpc_options_set_projection: no options");
    if (from_c(o)->what != ZCRPC_FOR_DECODE) return wrong("a projection is for ZCRPC_FOR_DECODE");
    from_c(o)->set_projection(const_cast<Projection*>(from_c(p)));
    return {};
  });
}
