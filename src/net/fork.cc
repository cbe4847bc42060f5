#include "net/fork.h"

#include <sys/mman.h>

namespace zcrpc::net {

using base::Code;
using base::Status;

Status ForkMark::init() {
  void* page = mmap(nullptr, sizeof(uint32_t), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (page == MAP_FAILED) return Status::no_memory();
  if (madvise(page, sizeof(uint32_t), MADV_WIPEONFORK) != 0) {
    munmap(page, sizeof(uint32_t));
    return Status(Code::kUnavailable, "the kernel is older than 4.14");
  }
  mark_ = static_cast<uint32_t*>(page);
  *mark_ = 1;
  return {};
}

ForkMark::~ForkMark() {
  if (mark_) munmap(const_cast<uint32_t*>(mark_), sizeof(uint32_t));
}

}  // namespace zcrpc::net
