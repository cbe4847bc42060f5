#include "schema/symbols.h"

#include <cstring>

namespace zcrpc::schema {

uint64_t SymbolTable::hash(std::string_view s) {
  uint64_t cost = s.size() + 16;
  work_ = work_ > cost ? work_ - cost : 0;
  return base::siphash(key_, s.data(), s.size());
}

Symbol* SymbolTable::find(std::string_view name) {
  if (slots_.empty() || exhausted()) return nullptr;
  uint64_t h = hash(name);
  size_t mask = slots_.size() - 1;
  for (size_t i = size_t(h) & mask; slots_[i]; i = (i + 1) & mask) {
    if ((slots_[i] ^ h) >> 32) continue;
    Symbol* s = &symbols_[uint32_t(slots_[i]) - 1];
    if (s->name == name) return s;
  }
  return nullptr;
}

bool SymbolTable::grow() {
  size_t size = slots_.empty() ? 64 : slots_.size() * 2;
  base::Vec<uint64_t> fresh;
  uint64_t* to = fresh.grow(size);
  if (!to) return false;
  memset(to, 0, size * sizeof *to);
  for (size_t n = 0; n < symbols_.size(); n++) {
    uint64_t h = hash(symbols_[n].name);
    size_t i = size_t(h) & (size - 1);
    while (to[i]) i = (i + 1) & (size - 1);
    to[i] = (h >> 32 << 32) | (n + 1);
  }
  slots_ = std::move(fresh);
  return true;
}

bool SymbolTable::add(const Symbol& s, Symbol** there) {
  *there = nullptr;
  if (symbols_.size() * 2 >= slots_.size() && !grow()) return false;
  uint64_t h = hash(s.name);
  size_t mask = slots_.size() - 1, i = size_t(h) & mask;
  for (; slots_[i]; i = (i + 1) & mask) {
    if ((slots_[i] ^ h) >> 32) continue;
    Symbol* old = &symbols_[uint32_t(slots_[i]) - 1];
    if (old->name == s.name) {
      *there = old;
      return true;
    }
  }
  if (symbols_.size() >= UINT32_MAX - 1 || !symbols_.push(s)) return false;
  slots_[i] = (h >> 32 << 32) | symbols_.size();
  return true;
}

Symbol* SymbolTable::resolve(std::string_view scope, std::string_view name) {
  if (name.starts_with('.')) return find(name.substr(1));
  std::string_view first = name.substr(0, name.find('.'));
  char text[2 * kMaxName + 2];
  for (;;) {
    size_t prefix = scope.empty() ? 0 : scope.size() + 1;
    if (prefix <= kMaxName + 1 && name.size() <= kMaxName) {
      if (prefix) {
        memcpy(text, scope.data(), scope.size());
        text[prefix - 1] = '.';
      }
      memcpy(text + prefix, name.data(), name.size());
      if (Symbol* s = find({text, prefix + first.size()})) {
        if (first.size() < name.size()) {
          if (s->is_scope()) return find({text, prefix + name.size()});
        } else if (s->is_type()) {
          return s;
        }
      }
    }
    if (scope.empty()) return nullptr;
    size_t dot = scope.rfind('.');
    scope = dot == scope.npos ? std::string_view() : scope.substr(0, dot);
  }
}

}  // namespace zcrpc::schema
