#include "base/allocator.h"

#include <cstdlib>

namespace zcrpc::base {
namespace {

void* plain_alloc(size_t size, void*) { return std::malloc(size); }
void* plain_realloc(void* p, size_t, size_t size, void*) { return std::realloc(p, size); }
void plain_free(void* p, size_t, void*) { std::free(p); }

}  // namespace

constinit const Allocator kDefaultAllocator = {plain_alloc, plain_realloc, plain_free, nullptr};

}  // namespace zcrpc::base
