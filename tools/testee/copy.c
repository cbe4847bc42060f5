/* A message written again field by field, from what the getters tell of it: whatever they get wrong, the suite sees. */
#include <string.h>

#include "testee.h"

struct copy {
  enum mode mode;
  zcrpc_encoder *e;
  zcrpc_arena *arena;
  zcrpc_error **err;
};

static int message(struct copy *c, const zcrpc_view *v);

static int is_message(int32_t kind) { return kind == ZCRPC_KIND_MESSAGE || kind == ZCRPC_KIND_GROUP; }
static int is_text(int32_t kind) { return kind == ZCRPC_KIND_STRING || kind == ZCRPC_KIND_BYTES; }
static int is_real(int32_t kind) { return kind == ZCRPC_KIND_DOUBLE || kind == ZCRPC_KIND_FLOAT; }
static int is_unsigned(int32_t kind) {
  return kind == ZCRPC_KIND_UINT64 || kind == ZCRPC_KIND_FIXED64 || kind == ZCRPC_KIND_UINT32 || kind == ZCRPC_KIND_FIXED32;
}

/* Puts what the getters of either kind gave. */
static void put(struct copy *c, uint32_t field, const zcrpc_value *v) {
  if (is_text(v->kind)) zcrpc_encoder_put_string(c->e, field, v->of.s.data, v->of.s.len);
  else if (is_real(v->kind)) zcrpc_encoder_put_double(c->e, field, v->of.d);
  else if (is_unsigned(v->kind)) zcrpc_encoder_put_uint64(c->e, field, v->of.u);
  else zcrpc_encoder_put_int64(c->e, field, v->of.i);
}

/* The i-th value of a field: by typed getters, or, in the dynamic mode, with its tag. repeated: maps too. */
static int get(struct copy *c, const zcrpc_view *v, const zcrpc_field_info *f, int repeated, size_t i, int32_t kind, zcrpc_value *out) {
  memset(out, 0, sizeof *out);
  if (c->mode == MODE_DYNAMIC) return zcrpc_view_value(v, f->number, i, out, c->err) == ZCRPC_OK;
  out->kind = kind;
  if (is_message(kind)) {
    if (c->mode == MODE_LAZY) {
      zcrpc_error *err = NULL;
      out->of.m = zcrpc_view_open(v, f->number, i, c->arena, &err);
      if (err) {
        *c->err = err;
        return 0;
      }
      return 1;
    }
    out->of.m = repeated ? zcrpc_view_message_at(v, f->number, i) : zcrpc_view_message(v, f->number);
  } else if (is_text(kind)) {
    if (repeated) zcrpc_view_string_at(v, f->number, i, &out->of.s);
    else zcrpc_view_string(v, f->number, &out->of.s);
  } else if (is_real(kind)) {
    out->of.d = repeated ? zcrpc_view_double_at(v, f->number, i) : zcrpc_view_double(v, f->number);
  } else if (is_unsigned(kind)) {
    out->of.u = repeated ? zcrpc_view_uint64_at(v, f->number, i) : zcrpc_view_uint64(v, f->number);
  } else {
    out->of.i = repeated ? zcrpc_view_int64_at(v, f->number, i) : zcrpc_view_int64(v, f->number);
  }
  return 1;
}

static int sub_message(struct copy *c, uint32_t field, const zcrpc_view *v) {
  int good;
  zcrpc_encoder_begin(c->e, field);
  good = message(c, v);
  zcrpc_encoder_end(c->e);
  return good;
}

static int packed(struct copy *c, const zcrpc_view *v, const zcrpc_field_info *f) {
  size_t n = zcrpc_view_count(v, f->number), width, count;
  const void *array = zcrpc_view_array(v, f->number, &count, &width);
  size_t i;
  (void)n;
  if (array && count == n) {
    zcrpc_encoder_put_array(c->e, f->number, array, count);
    return 1;
  }
  for (i = 0; i < n; i++) {
    zcrpc_value value;
    if (!get(c, v, f, 1, i, f->kind, &value)) return 0;
    put(c, f->number, &value);
  }
  return 1;
}

static int map(struct copy *c, const zcrpc_view *v, const zcrpc_field_info *f) {
  size_t n = zcrpc_view_count(v, f->number), i;
  zcrpc_field_info key, value;
  key.struct_size = value.struct_size = sizeof key;
  if (!zcrpc_type_field(f->message, 1, &key) || !zcrpc_type_field(f->message, 2, &value)) return 0;
  for (i = 0; i < n; i++) {
    zcrpc_value held;
    if (!get(c, v, f, 1, i, value.kind, &held)) return 0;
    zcrpc_encoder_begin(c->e, f->number);
    if (is_text(key.kind)) {
      zcrpc_slice s;
      zcrpc_view_key_at(v, f->number, i, &s);
      zcrpc_encoder_put_string(c->e, 1, s.data, s.len);
    } else {
      int64_t k = zcrpc_view_key_int_at(v, f->number, i);
      if (is_unsigned(key.kind)) zcrpc_encoder_put_uint64(c->e, 1, (uint64_t)k);
      else zcrpc_encoder_put_int64(c->e, 1, k);
    }
    if (is_message(value.kind)) {
      if (!sub_message(c, 2, held.of.m)) return 0;
    } else {
      put(c, 2, &held);
    }
    zcrpc_encoder_end(c->e);
  }
  return 1;
}

static int field(struct copy *c, const zcrpc_view *v, const zcrpc_field_info *f) {
  zcrpc_value value;
  size_t n, i;
  if (f->flags & ZCRPC_FIELD_MAP) return map(c, v, f);
  if (f->flags & ZCRPC_FIELD_PACKED) return packed(c, v, f);
  if (!(f->flags & ZCRPC_FIELD_REPEATED)) {
    if (!get(c, v, f, 0, 0, f->kind, &value)) return 0;
    if (is_message(f->kind)) return sub_message(c, f->number, value.of.m);
    put(c, f->number, &value);
    return 1;
  }
  n = zcrpc_view_count(v, f->number);
  for (i = 0; i < n; i++) {
    if (!get(c, v, f, 1, i, f->kind, &value)) return 0;
    if (!is_message(f->kind)) put(c, f->number, &value);
    else if (!sub_message(c, f->number, value.of.m)) return 0;
  }
  return 1;
}

static size_t put_varint(char *to, uint64_t v) {
  size_t n = 0;
  for (; v > 127; v >>= 7) to[n++] = (char)(v | 128);
  to[n++] = (char)v;
  return n;
}

static void unknown(struct copy *c, const zcrpc_view *v) {
  uint32_t number;
  zcrpc_slice s;
  size_t i;
  for (i = 0; zcrpc_view_unknown(v, i, &number, &s); i++) {
    char tag[10];
    if (number) zcrpc_encoder_put_raw(c->e, tag, put_varint(tag, (uint64_t)number << 3));
    zcrpc_encoder_put_raw(c->e, s.data, s.len);
  }
}

/* The dynamic mode goes through all fields and asks for each by its name; the others walk over what is set. */
static int by_name(struct copy *c, const zcrpc_view *v, const zcrpc_type *t) {
  zcrpc_field_info f;
  size_t i;
  f.struct_size = sizeof f;
  for (i = 0; zcrpc_type_field_at(t, i, &f); i++) {
    uint32_t number = zcrpc_type_field_number(t, f.name);
    if (number != f.number) return 0;
    if (zcrpc_view_has(v, number) && !field(c, v, &f)) return 0;
  }
  for (i = 0; zcrpc_type_extension_at(t, i, &f); i++)
    if (zcrpc_view_has(v, f.number) && !field(c, v, &f)) return 0;
  return 1;
}

static int message(struct copy *c, const zcrpc_view *v) {
  const zcrpc_type *t = zcrpc_view_type(v);
  zcrpc_field_info f;
  uint32_t number = 0;
  if (!v) return 1;
  f.struct_size = sizeof f;
  if (c->mode == MODE_DYNAMIC) {
    if (!by_name(c, v, t)) return 0;
  } else {
    while ((number = zcrpc_view_next(v, number)) != 0)
      if (!zcrpc_type_field(t, number, &f) || !field(c, v, &f)) return 0;
  }
  unknown(c, v);
  return 1;
}

void copy_rest(const zcrpc_view *v, zcrpc_encoder *e) {
  struct copy c;
  zcrpc_error *err = NULL;
  const zcrpc_type *t = zcrpc_view_type(v);
  zcrpc_field_info f;
  size_t i;
  c.mode = MODE_GENERATED;
  c.e = e;
  c.arena = NULL;
  c.err = &err;
  f.struct_size = sizeof f;
  for (i = 0; zcrpc_type_extension_at(t, i, &f); i++)
    if (zcrpc_view_has(v, f.number)) field(&c, v, &f);
  unknown(&c, v);
}

zcrpc_code copy_message(enum mode mode, const zcrpc_view *v, zcrpc_encoder *e, zcrpc_arena *a, zcrpc_error **err) {
  struct copy c;
  c.mode = mode;
  c.e = e;
  c.arena = a;
  c.err = err;
  if (message(&c, v)) return ZCRPC_OK;
  if (!*err) *err = zcrpc_error_new(ZCRPC_INTERNAL, "a getter did not give what is set", ZCRPC_NTS);
  return zcrpc_error_code(*err);
}
