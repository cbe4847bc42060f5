#include "server/routes.h"

#include <cstdlib>
#include <cstring>
#include <new>

namespace zcrpc::server {

using base::Status;

Routes::Routes() = default;

Routes::~Routes() {
  for (Table* t = table_.load(std::memory_order_relaxed); t;) {
    Table* older = t->older;
    free_table(t);
    t = older;
  }
  for (Route* r : routes_) drop(r);
}

// A method without a schema belongs to the caller: it is copied, with its path behind it.
Route* Routes::copy(const Route& given) {
  auto* r = new (std::nothrow) Route(given);
  if (!r) return nullptr;
  if (given.method->schema) {
    given.method->schema->retain();
    return r;
  }
  std::string_view path = given.method->path;
  auto* m = static_cast<schema::Method*>(std::malloc(sizeof(schema::Method) + path.size()));
  if (!m) {
    delete r;
    return nullptr;
  }
  auto* text = reinterpret_cast<char*>(m + 1);
  memcpy(text, path.data(), path.size());
  new (m) schema::Method(*given.method);
  m->path = r->path = {text, path.size()};
  m->service = m->name = {};
  r->method = m;
  return r;
}

void Routes::drop(Route* r) {
  if (r->method->schema) {
    r->method->schema->release();
  } else {
    std::free(const_cast<schema::Method*>(r->method));
  }
  delete r;
}

Routes::Table* Routes::make_table(size_t slots) {
  auto* t = static_cast<Table*>(std::calloc(1, sizeof(Table) + slots * sizeof(Entry)));
  if (!t) return nullptr;
  t->mask = slots - 1;
  t->entries = reinterpret_cast<Entry*>(t + 1);
  return t;
}

void Routes::free_table(Table* t) { std::free(t); }

void Routes::insert(Table* t, const Route* r, uint64_t h) {
  size_t i = h & t->mask;
  while (t->entries[i].route && t->entries[i].route->path != r->path) i = (i + 1) & t->mask;
  if (!t->entries[i].route) t->count++;
  t->entries[i] = {h, r};
}

Status Routes::set(const Route& given) {
  std::lock_guard lock(writing_);
  Route* r = copy(given);
  if (!r) return Status::no_memory();
  Table* old = table_.load(std::memory_order_relaxed);
  size_t slots = 16;
  while (old && slots < (old->count + 1) * 2) slots *= 2;
  Table* t = make_table(slots);
  if (!t || !routes_.push(r)) {
    if (t) free_table(t);
    drop(r);
    return Status::no_memory();
  }
  if (old)
    for (size_t i = 0; i <= old->mask; i++)
      if (old->entries[i].route) insert(t, old->entries[i].route, old->entries[i].hash);
  insert(t, r, hash(r->path));
  t->older = published_.load(std::memory_order_relaxed) ? old : nullptr;
  table_.store(t, std::memory_order_release);
  if (old && !t->older) free_table(old);
  return {};
}

}  // namespace zcrpc::server
