// Whether this process is a child that inherited an object by fork: told by a page that the kernel wipes in children,
// so that asking costs one load.
#pragma once

#include <cstdint>

#include "base/status.h"

namespace zcrpc::net {

class ForkMark {
 public:
  ForkMark() = default;
  ForkMark(const ForkMark&) = delete;
  ForkMark& operator=(const ForkMark&) = delete;
  ~ForkMark();
  base::Status init();
  bool forked() const { return mark_ && *mark_ == 0; }

 private:
  volatile uint32_t* mark_ = nullptr;
};

}  // namespace zcrpc::net
