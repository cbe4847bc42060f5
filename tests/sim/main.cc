// zcrpc-sim [--seed N] [--count N] [--trace]: runs of the server in a simulated world, each from its seed. A run that
// breaks a promise prints its seed; `zcrpc-sim --seed N --trace` shows what happened in it.
#include <algorithm>
#include <cinttypes>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "sim/run.h"

int main(int argc, char** argv) {
  uint64_t seed = 1, count = 1;
  bool trace = false;
  for (int i = 1; i < argc; i++) {
    auto number = [&] { return strtoull(i + 1 < argc ? argv[++i] : "", nullptr, 10); };
    if (!strcmp(argv[i], "--seed")) seed = number();
    else if (!strcmp(argv[i], "--count")) count = number();
    else if (!strcmp(argv[i], "--trace")) trace = true;
    else return fprintf(stderr, "zcrpc-sim [--seed N] [--count N] [--trace]\n"), 2;
  }
  uint64_t bad = 0, calls = 0, answered = 0, turns = 0, failed = 0, fullest = 0;
  for (uint64_t n = 0; n < count; n++) {
    sim::Outcome o = sim::run(seed + n, trace);
    calls += o.calls;
    answered += o.answered;
    turns += o.turns;
    failed += o.failed_allocations;
    fullest = std::max(fullest, o.peak * 100 / o.bound);
    if (o.why.empty()) continue;
    printf("seed %" PRIu64 ": %s\n", seed + n, o.why.c_str());
    fflush(stdout);
    if (++bad == 20) break;
  }
  printf("%" PRIu64 " seeds, %" PRIu64 " calls, %" PRIu64 " of them OK, %" PRIu64 " turns, %" PRIu64 " allocations failed, at most %" PRIu64
         " %% of the memory bound: %" PRIu64 " failed\n", count, calls, answered, turns, failed, fullest, bad);
  return bad != 0;
}
