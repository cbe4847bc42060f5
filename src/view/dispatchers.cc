// Which dispatchers this build holds, and which this machine should use.
#include "view/table.h"

namespace zcrpc::view {

#ifdef ZCRPC_VIEW_TAIL
extern const Dispatcher kTailBase;
#endif
#ifdef ZCRPC_VIEW_TAIL_V3
extern const Dispatcher kTailV3;
#endif

namespace {

// Here, and not beside the code that needs it: nothing of that may run before the answer.
#ifdef ZCRPC_VIEW_TAIL_V3
bool has_v3() {
  __builtin_cpu_init();
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2") &&
         __builtin_cpu_supports("fma") && __builtin_cpu_supports("popcnt");
}
#endif

constexpr const Dispatcher* kAll[] = {
#ifdef ZCRPC_VIEW_TAIL_V3
    &kTailV3,
#endif
#ifdef ZCRPC_VIEW_TAIL
    &kTailBase,
#endif
    &kGoto,
    nullptr,
};

}  // namespace

bool usable(const Dispatcher* d) {
#ifdef ZCRPC_VIEW_TAIL_V3
  if (d == &kTailV3) return has_v3();
#endif
  (void)d;
  return true;
}

const Dispatcher* const* dispatchers() { return kAll; }

const Dispatcher* best_dispatcher() {
  const Dispatcher* const* d = kAll;
  while (!usable(*d)) d++;
  return *d;
}

}  // namespace zcrpc::view
