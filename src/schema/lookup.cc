// Look-ups in a finished schema, and the tables they use.
#include <algorithm>
#include <bit>
#include <cstdlib>

#include "schema/builder.h"

namespace zcrpc::schema {

using base::Status;

// Full names of everything that can be looked up, hashed with a key of this process: peers send type names.
struct Schema::Symbols {
  enum Kind : uint32_t { kMessage = 0, kEnum, kMethod, kExtension, kFile };
  struct Slot {
    uint32_t hash;
    uint32_t what;  // kind in the high 3 bits, index + 1 below; 0: free
  };
  static constexpr uint32_t kIndexBits = 0x1FFFFFFF;
  base::HashKey key;
  std::span<const Slot> slots;  // a power of two

  uint64_t hash(Kind kind, std::string_view s) const { return base::siphash(key, s.data(), s.size()) + kind * 0x9E3779B97F4A7C15u; }
  template <class Equal>
  uint32_t find(Kind kind, std::string_view s, Equal&& equal) const {
    uint64_t h = hash(kind, s);
    for (size_t i = size_t(h) & (slots.size() - 1);; i = (i + 1) & (slots.size() - 1)) {
      const Slot& x = slots[i];
      if (x.what == 0) return UINT32_MAX;
      uint32_t index = (x.what & kIndexBits) - 1;
      if (x.hash == uint32_t(h >> 32) && x.what >> 29 == kind && equal(index)) return index;
    }
  }
};

const Message* Schema::message(std::string_view name) const {
  uint32_t i = symbols->find(Symbols::kMessage, name, [&](uint32_t k) { return messages[k]->name == name; });
  return i == UINT32_MAX ? nullptr : messages[i];
}

const Enum* Schema::enumeration(std::string_view name) const {
  uint32_t i = symbols->find(Symbols::kEnum, name, [&](uint32_t k) { return enums[k]->name == name; });
  return i == UINT32_MAX ? nullptr : enums[i];
}

const Method* Schema::method(std::string_view path) const {
  if (path.starts_with('/')) path.remove_prefix(1);
  uint32_t i = symbols->find(Symbols::kMethod, path, [&](uint32_t k) { return methods[k]->path.substr(1) == path; });
  return i == UINT32_MAX ? nullptr : methods[i];
}

const Field* Schema::extension(std::string_view name) const {
  uint32_t i = symbols->find(Symbols::kExtension, name, [&](uint32_t k) { return all_extensions[k]->full_name == name; });
  return i == UINT32_MAX ? nullptr : all_extensions[i];
}

const File* Schema::file(std::string_view name) const {
  uint32_t i = symbols->find(Symbols::kFile, name, [&](uint32_t k) { return files[k].name == name; });
  return i == UINT32_MAX ? nullptr : &files[i];
}

void Schema::release() const {
  if (refs.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
  auto* self = const_cast<Schema*>(this);
  self->~Schema();
  std::free(self);
}

const EnumValue* Enum::by_number(int32_t n) const {
  // Most enums count up from zero.
  if (n >= 0 && size_t(n) < number_order.size() && values[number_order[size_t(n)]].number == n) return &values[number_order[size_t(n)]];
  auto at = std::lower_bound(number_order.begin(), number_order.end(), n, [&](uint32_t i, int32_t v) { return values[i].number < v; });
  return at != number_order.end() && values[*at].number == n ? &values[*at] : nullptr;
}

const EnumValue* Enum::by_name(std::string_view s) const {
  auto at = std::lower_bound(name_order.begin(), name_order.end(), s, [&](uint32_t i, std::string_view v) { return values[i].name < v; });
  return at != name_order.end() && values[*at].name == s ? &values[*at] : nullptr;
}

const Field* Message::by_number_slow(uint32_t n) const {
  auto at = std::lower_bound(fields.begin(), fields.end(), n, [](const Field& f, uint32_t v) { return f.number < v; });
  return at != fields.end() && at->number == n ? &*at : nullptr;
}

namespace {

// A slot of Message::names: 16 bits of hash above the field's index + 1; 0: free.
template <class Equal>
const Field* find_name(const Message* m, std::string_view s, Equal&& equal) {
  uint64_t h = base::siphash(m->schema->symbols->key, s.data(), s.size());
  auto high = uint32_t(h >> 32) & 0xFFFF0000u;
  size_t mask = m->names.size() - 1;
  for (size_t i = size_t(h) & mask; m->names[i]; i = (i + 1) & mask) {
    if ((m->names[i] & 0xFFFF0000u) != high) continue;
    const Field& f = m->fields[(m->names[i] & 0xFFFF) - 1];
    if (equal(f)) return &f;
  }
  return nullptr;
}

void put_name(const Message* m, uint32_t* slots, std::string_view s, uint32_t index) {
  uint64_t h = base::siphash(m->schema->symbols->key, s.data(), s.size());
  size_t mask = m->names.size() - 1, i = size_t(h) & mask;
  while (slots[i]) i = (i + 1) & mask;
  slots[i] = (uint32_t(h >> 32) & 0xFFFF0000u) | (index + 1);
}

}  // namespace

const Field* Message::by_name(std::string_view s) const {
  return find_name(this, s, [&](const Field& f) { return f.json_name == s || f.name == s; });
}

const Field* Message::by_proto_name(std::string_view s) const {
  return find_name(this, s, [&](const Field& f) { return f.name == s; });
}

const Field* Message::extension(uint32_t n) const {
  auto at = std::lower_bound(extensions.begin(), extensions.end(), n, [](const Field* f, uint32_t v) { return f->number < v; });
  return at != extensions.end() && (*at)->number == n ? *at : nullptr;
}

bool Message::in_extension_range(uint32_t n) const {
  auto at = std::upper_bound(extension_ranges.begin(), extension_ranges.end(), n, [](uint32_t v, const Range& r) { return v < r.start; });
  return at != extension_ranges.begin() && n < at[-1].end;
}

Status Builder::index_message(Message* m) {
  // As many of the lowest numbers as keep the table within 4 entries a field and a few.
  size_t n = m->fields.size(), dense = 0;
  for (size_t i = 0; i < n && size_t(m->fields[i].number) + 1 <= 4 * (i + 1) + 32; i++) dense = m->fields[i].number + 1;
  auto* numbers = make_array<uint16_t>(dense, &schema_->arena);
  size_t size = std::bit_ceil(4 * n + 1);
  auto* names = make_array<uint32_t>(size, &schema_->arena);
  if (!numbers || !names) return Status::no_memory();
  for (const Field& f : m->fields)
    if (f.number < dense) numbers[f.number] = uint16_t(f.index + 1);
  m->dense = {numbers, dense};
  m->names = {names, size};
  // Legacy files may have many fields of one JSON name: the first has it, so that no chain grows long.
  for (const Field& f : m->fields)
    if (!find_name(m, f.json_name, [&](const Field& g) { return g.json_name == f.json_name; })) put_name(m, names, f.json_name, f.index);
  for (const Field& f : m->fields)
    if (m->by_proto_name(f.name) != &f) put_name(m, names, f.name, f.index);
  return in_bounds() ? Status() : no_room();
}

Status Builder::index_enum(Enum* e) {
  auto n = uint32_t(e->values.size());
  auto* numbers = schema_->arena.array<uint32_t>(n + 1);
  auto* names = schema_->arena.array<uint32_t>(n + 1);
  if (!numbers || !names) return Status::no_memory();
  for (uint32_t i = 0; i < n; i++) numbers[i] = names[i] = i;
  const auto& v = e->values;
  std::sort(numbers, numbers + n, [&](uint32_t a, uint32_t b) { return v[a].number != v[b].number ? v[a].number < v[b].number : a < b; });
  std::sort(names, names + n, [&](uint32_t a, uint32_t b) { return v[a].name < v[b].name; });
  auto* last = std::unique(numbers, numbers + n, [&](uint32_t a, uint32_t b) { return v[a].number == v[b].number; });
  e->number_order = {numbers, size_t(last - numbers)};
  e->name_order = {names, n};
  return {};
}

Status Builder::index_symbols() {
  using Symbols = Schema::Symbols;
  auto* table = const_cast<Symbols*>(schema_->symbols);
  size_t n = schema_->messages.size() + schema_->enums.size() + schema_->methods.size() + schema_->all_extensions.size() + schema_->files.size();
  size_t size = std::bit_ceil(2 * n + 1);
  auto* slots = make_array<Symbols::Slot>(size, &schema_->arena);
  if (!slots) return Status::no_memory();
  auto put = [&](Symbols::Kind kind, std::string_view name, size_t index) {
    uint64_t h = table->hash(kind, name);
    size_t i = size_t(h) & (size - 1);
    while (slots[i].what) i = (i + 1) & (size - 1);
    slots[i] = {uint32_t(h >> 32), uint32_t(kind) << 29 | uint32_t(index + 1)};
  };
  for (size_t i = 0; i < schema_->messages.size(); i++) put(Symbols::kMessage, schema_->messages[i]->name, i);
  for (size_t i = 0; i < schema_->enums.size(); i++) put(Symbols::kEnum, schema_->enums[i]->name, i);
  for (size_t i = 0; i < schema_->methods.size(); i++) put(Symbols::kMethod, schema_->methods[i]->path.substr(1), i);
  for (size_t i = 0; i < schema_->all_extensions.size(); i++) put(Symbols::kExtension, schema_->all_extensions[i]->full_name, i);
  for (size_t i = 0; i < schema_->files.size(); i++) put(Symbols::kFile, schema_->files[i].name, i);
  table->slots = {slots, size};
  return {};
}

Status Builder::begin_symbols() {
  auto* table = make_array<Schema::Symbols>(1, &schema_->arena);
  if (!table) return Status::no_memory();
  table->key = key_;
  schema_->symbols = table;
  return {};
}

}  // namespace zcrpc::schema
