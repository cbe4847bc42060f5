// zcrpc.h, section 6: edits, field masks, and comparing messages.
#include <new>

#include "capi/convert.h"
#include "capi/guard.h"
#include "capi/whole.h"
#include "encode/encoder.h"
#include "schema/compare.h"
#include "schema/mask.h"
#include "view/view.h"

using namespace zcrpc;
using namespace zcrpc::capi;

// A normalised list of paths, and the trie of them if it has a type; all in one arena.
struct zcrpc_mask {
  base::Arena arena;
  schema::Paths paths;
  const schema::Message* type = nullptr;
  schema::MaskNode* root = nullptr;
};

namespace {

bool refused(encode::Encoder* e, const void* data, size_t len) {
  if (!bad_slice(data, len)) return false;
  encode::fail(e, wrong("NULL with a length"));
  return true;
}

template <class F>
zcrpc_mask* guard_mask(zcrpc_error** err, F&& f, const char* user = __builtin_FUNCTION(), const void* caller = __builtin_return_address(0)) noexcept {
  const base::PublicEntry entry(user, caller);
  auto* m = new (std::nothrow) zcrpc_mask;
  base::Status s = m ? f(m) : base::Status::no_memory();
  if (s.ok()) return m;
  delete m;
  (void)give(std::move(s), err);
  return nullptr;
}

// The paths so far, which lie elsewhere, into the mask's own memory, normalised; and the trie.
base::Status finish_mask(zcrpc_mask* m, const schema::Message* type, uint32_t flags) {
  schema::normalise_paths(&m->paths);
  for (std::string_view& p : m->paths) {
    std::string_view copy = m->arena.text(p);
    if (!copy.data()) return base::Status::no_memory();
    p = copy;
  }
  m->type = type;
  if (!type) return {};
  if (!(m->root = schema::mask_root(type, &m->arena))) return base::Status::no_memory();
  for (std::string_view p : m->paths) ZCRPC_TRY(schema::mask_add(m->root, p, flags, &m->arena));
  return {};
}

base::Status check_flags(uint32_t flags) {
  if (flags & ~uint32_t(ZCRPC_MASK_THROUGH_REPEATED)) return wrong("zcrpc_mask: unknown flags");
  return {};
}
uint32_t path_flags(uint32_t flags) { return flags & ZCRPC_MASK_THROUGH_REPEATED ? schema::kMaskThroughRepeated : schema::kMaskStrict; }

}  // namespace

// ---- Edits

void zcrpc_encoder_edit(zcrpc_encoder* e, const zcrpc_view* v) {
  if (e) encode::edit(from_c(e), from_c(v));
}
void zcrpc_encoder_begin_at(zcrpc_encoder* e, uint32_t field, size_t i) {
  if (e) encode::begin_at(from_c(e), field, i);
}
void zcrpc_encoder_begin_key(zcrpc_encoder* e, uint32_t field, const void* key, size_t len) {
  if (e && !refused(from_c(e), key, len)) encode::begin_key(from_c(e), field, given(key, len));
}
void zcrpc_encoder_begin_key_int(zcrpc_encoder* e, uint32_t field, int64_t key) {
  if (e) encode::begin_key_int(from_c(e), field, key);
}
void zcrpc_encoder_clear(zcrpc_encoder* e, uint32_t field) {
  if (e) encode::clear(from_c(e), field);
}
void zcrpc_encoder_remove_at(zcrpc_encoder* e, uint32_t field, size_t i) {
  if (e) encode::remove_at(from_c(e), field, i);
}
void zcrpc_encoder_remove_key(zcrpc_encoder* e, uint32_t field, const void* key, size_t len) {
  if (e && !refused(from_c(e), key, len)) encode::remove_key(from_c(e), field, given(key, len));
}
void zcrpc_encoder_remove_key_int(zcrpc_encoder* e, uint32_t field, int64_t key) {
  if (e) encode::remove_key_int(from_c(e), field, key);
}
void zcrpc_encoder_put_int64_at(zcrpc_encoder* e, uint32_t field, size_t i, int64_t value) {
  if (e) encode::put_int64_at(from_c(e), field, i, value);
}
void zcrpc_encoder_put_uint64_at(zcrpc_encoder* e, uint32_t field, size_t i, uint64_t value) {
  if (e) encode::put_uint64_at(from_c(e), field, i, value);
}
void zcrpc_encoder_put_double_at(zcrpc_encoder* e, uint32_t field, size_t i, double value) {
  if (e) encode::put_double_at(from_c(e), field, i, value);
}
void zcrpc_encoder_put_string_at(zcrpc_encoder* e, uint32_t field, size_t i, const void* data, size_t len) {
  if (e && !refused(from_c(e), data, len)) encode::put_string_at(from_c(e), field, i, given(data, len));
}
void zcrpc_encoder_merge(zcrpc_encoder* e, const zcrpc_view* v) {
  if (e) encode::merge(from_c(e), from_c(v));
}

const zcrpc_view* zcrpc_encoder_view(zcrpc_encoder* e, zcrpc_arena* a, zcrpc_error** err) {
  return guard(err, [&]() -> base::Result<schema::View> {
    if (!e || !a) return wrong("zcrpc_encoder_view: no encoder, or no arena");
    base::Result<base::Buffer*> b = encode::snapshot(from_c(e));
    if (!b.ok()) return b.take_status();
    base::BufferRef holder(*b);
    base::Result<schema::View> v = view::decode(encode::root_of(from_c(e)), holder->slice(), true, {}, from_c(a), holder.get());
    // The view lives as long as the arena, and its bytes with it.
    if (v.ok() && !from_c(a)->hold(holder.get())) return base::Status::no_memory();
    return v;
  });
}

void zcrpc_encoder_put_deterministic(zcrpc_encoder* e, const zcrpc_view* v) {
  if (!e) return;
  base::Arena arena;
  base::Result<schema::View> all = encode::is_editing(from_c(e)) ? from_c(v) : whole(from_c(v), &arena);
  if (all.ok()) encode::put_deterministic(from_c(e), *all);
  else encode::fail(from_c(e), all.take_status());
}

// ---- Masks

zcrpc_mask* zcrpc_mask_new(const zcrpc_type* t, const char* paths, size_t len, uint32_t flags, zcrpc_error** err) {
  return guard_mask(err, [&](zcrpc_mask* m) -> base::Status {
    if (bad_slice(paths, len)) return wrong("zcrpc_mask_new: NULL with a length");
    ZCRPC_TRY(check_flags(flags));
    std::string_view text = given(paths, len).text();
    // As they were written, so that a mistake has its place there.
    if (t) {
      base::Arena scratch;
      auto checked = schema::mask_compile(from_c(t), text, path_flags(flags), &scratch);
      if (!checked.ok()) return checked.take_status();
    }
    if (!schema::split_paths(text, &m->paths)) return base::Status::no_memory();
    return finish_mask(m, from_c(t), path_flags(flags));
  });
}

zcrpc_mask* zcrpc_mask_from_view(const zcrpc_type* t, const zcrpc_view* field_mask, uint32_t flags, zcrpc_error** err) {
  return guard_mask(err, [&](zcrpc_mask* m) -> base::Status {
    ZCRPC_TRY(check_flags(flags));
    schema::View v = from_c(field_mask);
    if (v) {
      const schema::Message* type = schema::type_of(v);
      if (type->well_known != schema::WellKnown::kFieldMask) return wrong("zcrpc_mask_from_view: not a google.protobuf.FieldMask");
      schema::Elements paths = schema::elements(v, type->by_number(1));
      for (size_t i = 0; i < paths.count; i++)
        if (!m->paths.push(paths.string(i).text())) return base::Status::no_memory();
    }
    return finish_mask(m, from_c(t), path_flags(flags));
  });
}

void zcrpc_mask_free(zcrpc_mask* m) { delete m; }

size_t zcrpc_mask_count(const zcrpc_mask* m) { return m ? m->paths.size() : 0; }
void zcrpc_mask_at(const zcrpc_mask* m, size_t i, zcrpc_slice* path) {
  put(path, m && i < m->paths.size() ? base::Slice(m->paths[i]) : base::Slice());
}
int32_t zcrpc_mask_has(const zcrpc_mask* m, const char* path, size_t len) {
  return m && !bad_slice(path, len) && schema::paths_cover(m->paths, given(path, len).text());
}

zcrpc_mask* zcrpc_mask_union(const zcrpc_mask* a, const zcrpc_mask* b, zcrpc_error** err) {
  return guard_mask(err, [&](zcrpc_mask* m) -> base::Status {
    for (const zcrpc_mask* from : {a, b})
      if (from && !m->paths.append(from->paths.data(), from->paths.size())) return base::Status::no_memory();
    return finish_mask(m, nullptr, 0);
  });
}
zcrpc_mask* zcrpc_mask_intersection(const zcrpc_mask* a, const zcrpc_mask* b, zcrpc_error** err) {
  return guard_mask(err, [&](zcrpc_mask* m) -> base::Status {
    if (a && b && !schema::intersect_paths(a->paths, b->paths, &m->paths)) return base::Status::no_memory();
    return finish_mask(m, nullptr, 0);
  });
}

namespace {
// The trie of a mask for the open message; one without a type is compiled for it.
template <class F>
void with_trie(zcrpc_encoder* c, const zcrpc_mask* m, F&& f) {
  encode::Encoder* e = from_c(c);
  if (!m || encode::failed(e)) return m ? void() : encode::fail(e, wrong("no mask"));
  if (m->root) return f(e, m->root);
  const schema::Message* type = encode::type_of(e);
  if (!type) return encode::fail(e, wrong("the encoder has no type"));
  base::Arena arena;
  schema::MaskNode* root = schema::mask_root(type, &arena);
  if (!root) return encode::fail(e, base::Status::no_memory());
  for (std::string_view p : m->paths) {
    base::Status s = schema::mask_add(root, p, schema::kMaskStrict, &arena);
    if (!s.ok()) return encode::fail(e, std::move(s));
  }
  f(e, root);
}
}  // namespace

void zcrpc_encoder_trim(zcrpc_encoder* e, const zcrpc_mask* m) {
  if (e) with_trie(e, m, [](encode::Encoder* to, const schema::MaskNode* root) { encode::trim_to(to, root); });
}
void zcrpc_encoder_merge_masked(zcrpc_encoder* e, const zcrpc_view* v, const zcrpc_mask* m, uint32_t flags) {
  if (!e) return;
  if (flags & ~uint32_t(ZCRPC_MERGE_REPLACE_MESSAGES | ZCRPC_MERGE_REPLACE_REPEATED)) return encode::fail(from_c(e), wrong("unknown flags"));
  with_trie(e, m, [&, from = from_c(v)](encode::Encoder* to, const schema::MaskNode* root) { encode::merge_masked(to, from, root, flags); });
}

// ---- Comparing

int32_t zcrpc_view_equal(const zcrpc_view* a, const zcrpc_view* b) {
  base::Arena x, y;
  base::Result<schema::View> one = whole(from_c(a), &x), other = whole(from_c(b), &y);
  if (!one.ok() || !other.ok()) return -1;
  return int32_t(schema::equal(*one, *other));
}
uint64_t zcrpc_view_hash(const zcrpc_view* v, uint64_t seed) {
  base::Arena arena;
  base::Result<schema::View> all = whole(from_c(v), &arena);
  return all.ok() ? schema::hash(*all, seed) : 0;
}
