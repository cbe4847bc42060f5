#include "schema/compare.h"

#include <algorithm>

#include "base/hash.h"
#include "base/vec.h"

namespace zcrpc::schema {
namespace {

using wire::Type;

bool is_nan(Kind k, uint64_t bits) {
  if (k == Kind::kFloat) return (bits & 0x7FFFFFFF) > 0x7F800000;
  return k == Kind::kDouble && (bits & 0x7FFFFFFFFFFFFFFF) > 0x7FF0000000000000;
}
// Numbers as they are compared: one NaN for all.
uint64_t canonical(Kind k, uint64_t bits) { return is_nan(k, bits) ? ~uint64_t(0) : bits; }

bool same(base::Slice a, base::Slice b) { return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0); }

// The fields that are set, ascending, extensions among them.
class SetFields {
 public:
  explicit SetFields(View v) : v_(v) {
    if (!v) return;
    const Message* m = type_of(v);
    f_ = m->fields.data();
    end_ = f_ + m->fields.size();
    extensions_ = m->extensions;
  }
  const Field* next() {
    for (;;) {
      const bool own = f_ != end_ && (e_ == extensions_.size() || f_->number < extensions_[e_]->number);
      const Field* f = own ? f_++ : e_ != extensions_.size() ? extensions_[e_++] : nullptr;
      if (!f || has(v_, f)) return f;
    }
  }

 private:
  View v_;
  const Field *f_ = nullptr, *end_ = nullptr;
  std::span<const Field* const> extensions_;
  size_t e_ = 0;
};

// Unknown fields in order, one tag and value after the other; groups are flat: their tags stand among the others.
class Unknown {
 public:
  explicit Unknown(View v) : input_(v ? input_of(v) : nullptr) {
    if (v) rows_ = unknown(v);
  }
  struct Token {
    uint32_t tag;
    uint64_t bits;      // of a number
    base::Slice bytes;  // of what has a length
    bool operator==(const Token& o) const { return tag == o.tag && bits == o.bits && same(bytes, o.bytes); }
  };
  bool next(Token* t) {
    while (p_ == end_) {
      if (row_ == rows_.size()) return false;
      const zcrpc_range& r = rows_[row_++];
      p_ = input_ + r.offset;
      end_ = p_ + r.len;
      if (!r.number) continue;
      // A closed enum's stray number, out of a packed run.
      *t = {wire::tag(r.number, Type::kVarint), 0, {}};
      (void)wire::read_varint(p_, end_, &t->bits, &fault_);
      p_ = end_;
      return true;
    }
    *t = {};
    p_ = wire::read_tag(p_, end_, &t->tag, &fault_);
    if (p_) p_ = value(t);
    if (!p_) p_ = end_;  // does not happen: it was decoded
    return true;
  }

 private:
  const uint8_t* value(Token* t) {
    uint32_t n;
    switch (wire::tag_type(t->tag)) {
      case Type::kVarint: return wire::read_varint(p_, end_, &t->bits, &fault_);
      case Type::kFixed64: t->bits = wire::load_le<uint64_t>(p_); return p_ + 8;
      case Type::kFixed32: t->bits = wire::load_le<uint32_t>(p_); return p_ + 4;
      case Type::kLength:
        if (const uint8_t* q = wire::read_length(p_, end_, &n, &fault_)) {
          t->bytes = {q, n};
          return q + n;
        }
        return nullptr;
      default: return p_;
    }
  }

  const uint8_t* input_;
  std::span<const zcrpc_range> rows_;
  size_t row_ = 0;
  const uint8_t *p_ = nullptr, *end_ = nullptr;
  wire::Fault fault_ = wire::Fault::kNone;
};

// ---- Maps

struct Entries {
  const Field *key, *value;
  Elements of;
  bool text, is_signed;

  Entries(View v, const Field* map) : key(map->map_key()), value(map->map_value()), of(elements(v, map)) {
    text = is_string(key->kind);
    is_signed = key->kind == Kind::kInt32 || key->kind == Kind::kInt64 || key->kind == Kind::kSint32 ||
                key->kind == Kind::kSint64 || key->kind == Kind::kSfixed32 || key->kind == Kind::kSfixed64;
  }
  base::Slice string(size_t i) const { return of.string_at(of.at(i) + key->offset); }
  uint64_t number(size_t i) const { return bits_at(key->kind, of.at(i) + key->offset); }
  const uint8_t* slot(size_t i) const { return of.at(i) + value->offset; }
};

int order_keys(const Entries& a, size_t i, const Entries& b, size_t j) {
  if (a.text) return a.string(i).text().compare(b.string(j).text());
  uint64_t x = a.number(i), y = b.number(j);
  if (a.is_signed) return int64_t(x) < int64_t(y) ? -1 : int64_t(x) > int64_t(y);
  return x < y ? -1 : x > y;
}

// One value: a number, a string, or a message (nullptr: the empty one), as it lies in a slot or an array.
struct Value {
  Kind kind;
  uint64_t bits = 0;
  base::Slice text;
  View message = nullptr;
};

Value value_at(const Entries& e, size_t i) {
  Value v{e.value->kind, 0, {}, nullptr};
  if (is_message(v.kind)) v.message = e.of.message_at(e.slot(i));
  else if (is_string(v.kind)) v.text = e.of.string_at(e.slot(i));
  else v.bits = canonical(v.kind, bits_at(v.kind, e.slot(i)));
  return v;
}
Value element_at(const Field* f, const Elements& e, size_t i) {
  Value v{f->kind, 0, {}, nullptr};
  if (is_message(v.kind)) v.message = e.message(f->message, i);
  else if (is_string(v.kind)) v.text = e.string(i);
  else v.bits = canonical(v.kind, e.number(v.kind, i));
  return v;
}
Value singular(View view, const Field* f) {
  Value v{f->kind, 0, {}, nullptr};
  if (is_message(v.kind)) v.message = sub_message(view, f);
  else if (is_string(v.kind)) v.text = string(view, f);
  else v.bits = canonical(v.kind, number(view, f));
  return v;
}

Equal equal_values(const Value& a, const Value& b) {
  if (is_message(a.kind)) return equal(a.message, b.message);
  if (is_string(a.kind)) return same(a.text, b.text) ? Equal::kYes : Equal::kNo;
  return a.bits == b.bits ? Equal::kYes : Equal::kNo;
}

// Places of the entries, ascending by key. False: no memory.
bool sort_keys(const Entries& e, base::Vec<uint32_t>* places) {
  uint32_t* p = places->grow(e.of.count);
  if (!p) return false;
  for (uint32_t i = 0; i < e.of.count; i++) p[i] = i;
  std::sort(p, p + e.of.count, [&](uint32_t i, uint32_t j) { return order_keys(e, i, e, j) < 0; });
  return true;
}

Equal equal_maps(const Entries& a, const Entries& b) {
  if (a.of.count != b.of.count) return Equal::kNo;
  size_t n = a.of.count, i = 0;
  // Most that are equal have the same order, too.
  for (; i < n && order_keys(a, i, b, i) == 0; i++)
    if (Equal e = equal_values(value_at(a, i), value_at(b, i)); e != Equal::kYes) return e;
  if (i == n) return Equal::kYes;
  base::Vec<uint32_t> x, y;
  if (!sort_keys(a, &x) || !sort_keys(b, &y)) return Equal::kNoMemory;
  for (i = 0; i < n; i++) {
    if (order_keys(a, x[i], b, y[i]) != 0) return Equal::kNo;
    if (Equal e = equal_values(value_at(a, x[i]), value_at(b, y[i])); e != Equal::kYes) return e;
  }
  return Equal::kYes;
}

Equal equal_fields(View a, View b, const Field* f, const Field* g) {
  if (f->is_map()) return equal_maps(Entries(a, f), Entries(b, g));
  if (!f->repeated()) return equal_values(singular(a, f), singular(b, g));
  Elements x = elements(a, f), y = elements(b, g);
  if (x.count != y.count) return Equal::kNo;
  for (size_t i = 0; i < x.count; i++)
    if (Equal e = equal_values(element_at(f, x, i), element_at(g, y, i)); e != Equal::kYes) return e;
  return Equal::kYes;
}

// ---- Hashing: a keyed hash of each value, mixed in order; entries of maps are added up

uint64_t mix(uint64_t h, uint64_t v) {
  h ^= v * 0x9E3779B97F4A7C15u;
  h = (h ^ h >> 32) * 0xD6E8FEB86659FD93u;
  return h ^ h >> 29;
}

struct Hasher {
  base::HashKey key;

  uint64_t bytes(base::Slice s) const { return base::siphash(key, s.data ? s.data : reinterpret_cast<const uint8_t*>(""), s.size); }
  uint64_t value(const Value& v) const {
    if (is_message(v.kind)) return message(v.message);
    if (is_string(v.kind)) return bytes(v.text);
    return mix(key.k1, v.bits);
  }
  uint64_t map(View v, const Field* f) const {
    Entries e(v, f);
    uint64_t sum = e.of.count;
    for (size_t i = 0; i < e.of.count; i++) {
      uint64_t k = e.text ? bytes(e.string(i)) : mix(key.k1, e.number(i));
      sum += mix(mix(key.k0, k), value(value_at(e, i)));
    }
    return sum;
  }
  uint64_t field(View v, const Field* f) const {
    if (f->is_map()) return map(v, f);
    if (!f->repeated()) return value(singular(v, f));
    Elements e = elements(v, f);
    uint64_t h = mix(key.k0, e.count);
    for (size_t i = 0; i < e.count; i++) h = mix(h, value(element_at(f, e, i)));
    return h;
  }
  uint64_t message(View v) const {
    uint64_t h = key.k0;
    SetFields fields(v);
    while (const Field* f = fields.next()) h = mix(mix(h, f->number), field(v, f));
    Unknown unknown_fields(v);
    for (Unknown::Token t; unknown_fields.next(&t);) {
      h = mix(mix(h, t.tag), t.bits);
      if (wire::tag_type(t.tag) == Type::kLength) h = mix(h, bytes(t.bytes));
    }
    return mix(h, 0);
  }
};

}  // namespace

Equal equal(View a, View b) {
  if (a == b) return Equal::kYes;
  if (a && b && type_of(a) != type_of(b) && type_of(a)->fingerprint != type_of(b)->fingerprint) return Equal::kNo;
  SetFields x(a), y(b);
  for (;;) {
    const Field *f = x.next(), *g = y.next();
    if (!f && !g) break;
    if (!f || !g || f->number != g->number) return Equal::kNo;
    if (Equal e = equal_fields(a, b, f, g); e != Equal::kYes) return e;
  }
  Unknown u(a), w(b);
  for (;;) {
    Unknown::Token s, t;
    bool more = u.next(&s);
    if (more != w.next(&t)) return Equal::kNo;
    if (!more) return Equal::kYes;
    if (!(s == t)) return Equal::kNo;
  }
}

uint64_t hash(View v, uint64_t seed) { return Hasher{{mix(seed, 1), mix(seed, 2)}}.message(v); }

}  // namespace zcrpc::schema
