// Time as it is handed in: nothing below net reads a clock of its own.
#pragma once

#include <cstdint>

namespace zcrpc::base {

struct Clock {
  int64_t (*monotonic_ns)(void* user);
  int64_t (*wall_ns)(void* user);  // since 1970-01-01 UTC
  void* user;

  int64_t now() const { return monotonic_ns(user); }
  int64_t wall() const { return wall_ns(user); }
};

const Clock* system_clock();

}  // namespace zcrpc::base
