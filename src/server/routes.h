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
  std::string_view path;                   // the method's; with a prefix: behind it
  zcrpc_unary_fn fn = nullptr;             // answers; or
  zcrpc_event_fn event_fn = nullptr;       // gets the events; or, when both are null, a turn does
  void* user = nullptr;
  uint64_t tag = 0;
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

  // [any] Adds r, copied, or puts it in the place of the one for the same path. Retains the method's schema.
  base::Status set(const Route& r);
  // From now on loops read: replaced tables are kept until the server goes.
  void publish() { published_ = true; }
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
  static Route* copy(const Route& r);
  static void drop(Route* r);
  static Table* make_table(size_t slots);
  static void insert(Table* t, const Route* r, uint64_t h);
  static void free_table(Table* t);

  std::mutex writing_;
  std::atomic<bool> published_{false};
  std::atomic<Table*> table_{nullptr};
  base::Vec<Route*> routes_;
};

}  // namespace zcrpc::server
