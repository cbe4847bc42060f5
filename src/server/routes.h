// Which method a path leads to, and who answers it.
#pragma once

#include <zcrpc.h>

#include <atomic>
#include <cstdint>
#include <mutex>
#include <string_view>

#include "base/hash.h"
#include "base/status.h"
#include "base/vec.h"
#include "compress/registry.h"
#include "schema/schema.h"
#include "server/intercept.h"
#include "view/view.h"

namespace zcrpc::server {

// How one method is served. Never changes once it is published, and lives as long as the server, since running calls
// end on the route that they began on.
struct Route {
  const schema::Method* method = nullptr;  // input null: messages are bytes
  std::string_view path;                   // the prefix, and the method's
  zcrpc_unary_fn fn = nullptr;             // answers; or
  zcrpc_event_fn event_fn = nullptr;       // gets the events; or, when both are null, a turn does
  zcrpc_http_fn http_fn = nullptr;         // plain HTTP: of the one route that is no method's
  void* user = nullptr;
  uint64_t tag = 0;
  bool uncounted = false;                  // takes none of the places for calls: a full server is not a dead one
  bool raw = false;                        // messages are bytes in whichever codec the call has
  size_t message_limit = 0;
  compress::Preference compression;        // as in Config; own_compression: it is not the server's
  int compression_level = -1;              // -1 here and below: as the server
  int64_t compress_min = -1;
  int8_t etags = -1;
  bool own_compression = false;
  int64_t max_deadline_ms = -1;            // -1: none
  static constexpr int64_t kInherit = INT64_MIN;  // until Server::set has put the server's value there
  int64_t default_deadline_ms = kInherit, min_deadline_ms = kInherit, silence_ms = kInherit;
  const Interceptors* interceptors = nullptr;  // nullptr: none
  view::Limits decode;
};

class Routes {
 public:
  Routes();
  Routes(const Routes&) = delete;
  Routes& operator=(const Routes&) = delete;
  ~Routes();

  // Routes of which there is one: for plain HTTP, and for methods that nobody knows, by the shape of the request.
  enum Special { kPlain, kUnknownUnary, kUnknownStream, kSpecials };

  // [any] Adds r, copied, with the method's path behind the prefix. Retains the method's schema. already_exists: there is
  // one for that path, and replace is false.
  base::Status set(const Route& r, std::string_view prefix, bool replace);
  // [any] r.method is ignored: its place is taken by one without a path.
  base::Status set(Special which, const Route& r, bool replace);
  // From now on loops read: replaced tables are kept until the server goes.
  void publish() {
    std::lock_guard lock(writing_);  // whoever replaces a table now frees the old one before it is read
    published_ = true;
  }
  const Route* special(Special which) const { return specials_[which].load(std::memory_order_acquire); }
  // [any] f(const Route&) for each method's route, in no order.
  template <class F>
  void each(F&& f) const {
    const Table* t = table_.load(std::memory_order_acquire);
    for (size_t i = 0; t && i <= t->mask; i++)
      if (t->entries[i].route) f(*t->entries[i].route);
  }
  // [any] nullptr: none.
  const Route* find(std::string_view path) const {
    const Table* t = table_.load(std::memory_order_acquire);
    if (!t) return nullptr;
    uint64_t h = hash(path);
    for (size_t i = h & t->mask;; i = (i + 1) & t->mask) {
      const Entry& e = t->entries[i];
      if (!e.route) return nullptr;
      if (e.hash == h && e.route->path == path) return e.route;
    }
  }

 private:
  struct Entry {
    uint64_t hash;
    const Route* route;
  };
  // Readers take no lock: a table is replaced, not changed.
  struct Table {
    Table* older;
    size_t mask, count;
    Entry* entries;
  };
  // Paths come from peers, keys from the application: a peer cannot make two keys collide.
  static uint64_t hash(std::string_view path) { return base::fnv1a(path); }
  struct Owned;
  static Route* copy(const Route& r, std::string_view prefix);
  static void drop(Route* r);
  static Table* make_table(size_t slots);
  static void insert(Table* t, const Route* r, uint64_t h);
  static void free_table(Table* t);

  std::mutex writing_;
  std::atomic<bool> published_{false};
  std::atomic<Table*> table_{nullptr};
  std::atomic<const Route*> specials_[kSpecials] = {};
  base::Vec<Route*> routes_;
};

}  // namespace zcrpc::server
