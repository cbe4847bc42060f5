// A projection: tables of their own for what a field mask selects. Fields that it does not name have the op that skips.
#pragma once

#include <atomic>

#include "base/arena.h"
#include "schema/mask.h"
#include "view/table.h"
#include "view/view.h"

namespace zcrpc::view {

struct Projection {
  std::atomic<uint32_t> refs{1};
  base::Arena arena;
  const schema::Message* type = nullptr;  // its schema is kept
  const Table* table = nullptr;

  Projection* retain() {
    refs.fetch_add(1, std::memory_order_relaxed);
    return this;
  }
  void release();
};

// Compiles a mask of that type, one path after another. Paths lead through repeated fields (each element) and maps (their
// entries, "labels.value.text"). add: errors as schema::mask_add. finish: nullptr without memory; the builder is then empty.
class ProjectionBuilder {
 public:
  explicit ProjectionBuilder(const schema::Message* type);
  ~ProjectionBuilder();
  ProjectionBuilder(const ProjectionBuilder&) = delete;
  ProjectionBuilder& operator=(const ProjectionBuilder&) = delete;

  base::Status add(std::string_view path);
  base::Status add_list(std::string_view paths);  // with commas between them
  base::Result<Projection*> finish();

 private:
  Projection* made_;
  schema::MaskNode* root_ = nullptr;
};

}  // namespace zcrpc::view
