#include "server/services.h"

#include "view/view.h"

namespace zcrpc::server {

namespace {
constexpr uint8_t kSet[] = {
#include "services_set.inc"
};
}  // namespace

base::Result<schema::Schema*> services_schema() {
  auto made = schema::read({kSet, sizeof kSet}, {});
  if (!made.ok()) return made;
  if (base::Status s = view::bind(*made); !s.ok()) {
    (*made)->release();
    return s;
  }
  return made;
}

}  // namespace zcrpc::server
