// A projection: tables of their own for what a field mask selects. They have entries for the fields that it names; others are skipped.
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
  const schema::MaskNode* mask = nullptr;  // if it names some members of a oneof and not others, which are decoded as well; else nullptr

  Projection* retain() {
    refs.fetch_add(1, std::memory_order_relaxed);
    return this;
  }
  void release();
};

// Compiles a mask of that type, one path after another. Paths lead through repeated fields (each element) and maps (their
// entries, "labels.value.text"). add: errors as schema::mask_add, and finish: resource_exhausted where tables and what is
// needed to make them would take more than 1 MiB and 32 times the bytes of all paths (decision 0199), with the path.
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
  base::Arena scratch_;
  size_t most_ = size_t(1) << 20;
  schema::MaskNode* root_ = nullptr;
};

}  // namespace zcrpc::view
