#include "base/clock.h"

#include <ctime>

namespace zcrpc::base {
namespace {

int64_t read_clock(clockid_t id) {
  timespec t{};
  clock_gettime(id, &t);
  return int64_t(t.tv_sec) * 1000000000 + t.tv_nsec;
}
int64_t monotonic(void*) { return read_clock(CLOCK_MONOTONIC); }
int64_t wall(void*) { return read_clock(CLOCK_REALTIME); }
constexpr Clock kSystem = {monotonic, wall, nullptr};

}  // namespace

const Clock* system_clock() { return &kSystem; }

}  // namespace zcrpc::base
