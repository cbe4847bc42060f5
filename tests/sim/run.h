// One run from a seed: a server, its handlers, clients, and what must hold whatever happens.
#pragma once

#include <cstdint>
#include <string>

namespace sim {

struct Outcome {
  std::string why;       // what does not hold; empty: all does
  uint64_t turns = 0, calls = 0, answered = 0, allocations = 0, failed_allocations = 0;
  size_t peak = 0, bound = 1;  // bytes that the server had allocated at once, and might have
};

Outcome run(uint64_t seed, bool trace);

}  // namespace sim
