#include "server/routes.h"

#include <cstdlib>
#include <cstring>
#include <new>

namespace zcrpc::server {

using base::Code;
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

// Everything in one piece of memory: the route, a method of its own if it needs one, and the path if that is put together.
struct Routes::Owned : Route {
  const schema::Schema* schema;  // retained; nullptr: none
  schema::Method own;
};

// A method without a schema belongs to the caller; one whose messages are bytes here is told from others by its types.
Route* Routes::copy(const Route& given, std::string_view prefix) {
  const schema::Method& m = *given.method;
  bool own = !m.schema || given.raw;
  size_t text = own || !prefix.empty() ? prefix.size() + m.path.size() + 1 : 0;
  void* memory = std::malloc(sizeof(Owned) + text);
  if (!memory) return nullptr;
  auto* r = new (memory) Owned{{given}, m.schema ? m.schema->retain() : nullptr, m};
  r->path = m.path;
  if (text) {
    auto* p = reinterpret_cast<char*>(r + 1);
    prefix.copy(p, prefix.size());
    m.path.copy(p + prefix.size(), m.path.size());
    p[text - 1] = 0;
    r->path = {p, text - 1};
  }
  if (own) {
    r->method = &r->own;
    r->own.path = r->path.substr(prefix.size());
    r->own.input = r->own.output = nullptr;
    if (!m.schema) r->own.service = r->own.name = {};
  }
  return r;
}

void Routes::drop(Route* r) {
  auto* o = static_cast<Owned*>(r);
  if (o->schema) o->schema->release();
  std::free(o);
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

Status Routes::set(const Route& given, std::string_view prefix, bool replace) {
  std::lock_guard lock(writing_);
  Route* r = copy(given, prefix);
  if (!r) return Status::no_memory();
  if (!replace && find(r->path)) {
    Status s = Status::format(Code::kAlreadyExists, "%.*s is served already; with ZCRPC_SERVER_OVERRIDE the new handler takes its place",
                              int(r->path.size()), r->path.data());
    drop(r);
    return s;
  }
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

Status Routes::set(Special which, const Route& given, bool replace) {
  std::lock_guard lock(writing_);
  if (!replace && special(which)) {
    return Status::format(Code::kAlreadyExists, "%s have a handler already; with ZCRPC_SERVER_OVERRIDE the new one takes its place",
                          which == kPlain ? "plain HTTP requests" : "unknown methods");
  }
  schema::Method m{};
  m.flags = which == kUnknownUnary ? schema::kNoSideEffects : which == kPlain ? schema::kServerStream : schema::kClientStream | schema::kServerStream;
  Route with = given;
  with.method = &m;
  Route* r = copy(with, "");
  if (r && !routes_.push(r)) {
    drop(r);
    r = nullptr;
  }
  if (!r) return Status::no_memory();
  specials_[which].store(r, std::memory_order_release);
  return {};
}

}  // namespace zcrpc::server
