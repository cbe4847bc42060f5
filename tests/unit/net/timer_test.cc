// The timing wheel against a list that is searched, over random times on every level.

#include <cstdlib>
#include <random>
#include <vector>

#include "net/timer.h"

// After the C++ headers: it defines a macro named fail.
extern "C" {
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
}

using namespace zcrpc::net;

namespace {

constexpr int64_t kMs = Timers::kNsPerMs;

struct Probe : Timer {
  int64_t due = 0;  // ns; 0: not set
  int fired = 0;
};

std::vector<Probe*> g_fired;
void note(Timer* t) {
  auto* p = static_cast<Probe*>(t);
  p->fired++;
  p->due = 0;
  g_fired.push_back(p);
}

void timers_fire_early_or_late(void**) {
  std::mt19937_64 random(7);
  Timers wheel;
  int64_t now = 123'456'789'012'345;
  wheel.start(now);
  std::vector<Probe> probes(300);
  for (Probe& p : probes) p.fire = note;
  for (int step = 0; step < 20000; step++) {
    Probe& p = probes[random() % probes.size()];
    int64_t reach = int64_t(1) << (random() % 42);
    switch (random() % 4) {
      case 0:
        wheel.clear(&p);
        p.due = 0;
        break;
      case 1: {
        int64_t before = now;
        now += int64_t(random() % (uint64_t(1) << (random() % 40)));
        g_fired.clear();
        wheel.run(now);
        for (Probe& q : probes) {
          if (q.due == 0) continue;
          // Rounded up to a millisecond: what is still set is due after now's millisecond.
          assert_true((q.due + kMs - 1) / kMs > now / kMs);
        }
        for (Probe* q : g_fired) assert_false(q->set());
        (void)before;
        break;
      }
      default:
        p.due = now + int64_t(random() % uint64_t(reach)) + 1;
        wheel.set(&p, p.due);
    }
    int64_t least = INT64_MAX;
    for (Probe& q : probes)
      if (q.due && q.due < least) least = q.due;
    // next() may be early, so that a slot is moved down, but never late.
    if (least != INT64_MAX) assert_true(wheel.next() <= (least + kMs - 1) / kMs * kMs);
  }
}

void a_timer_fires_before_its_time(void**) {
  std::mt19937_64 random(8);
  Timers wheel;
  int64_t now = 5'000'000'123;
  wheel.start(now);
  Probe p;
  p.fire = note;
  for (int i = 0; i < 2000; i++) {
    int64_t due = now + 1 + int64_t(random() % (uint64_t(1) << (random() % 38)));
    wheel.set(&p, due);
    p.fired = 0;
    int turns = 0;
    while (!p.fired) {
      int64_t next = wheel.next();
      assert_true(next > now - kMs);
      now = next;
      wheel.run(now);
      assert_true(++turns < 10);  // a move down each level at most
    }
    assert_true(now >= due);
    assert_true(now < due + 2 * kMs);
  }
  assert_true(wheel.empty());
  assert_true(wheel.next() == INT64_MAX);
}

struct Again : Timer {
  Timers* wheel;
  Timer* other;
  int64_t at;
  int runs = 0;
};

void a_timer_that_sets_and_clears_others_breaks_the_round(void**) {
  Timers wheel;
  wheel.start(0);
  Probe victim;
  victim.fire = note;
  Again a;
  a.wheel = &wheel;
  a.other = &victim;
  a.at = 10 * kMs;
  a.fire = [](Timer* t) {
    auto* self = static_cast<Again*>(t);
    self->wheel->clear(self->other);
    if (++self->runs < 3) self->wheel->set(self, self->at);  // due already: still in this round
  };
  wheel.set(&a, a.at);
  wheel.set(&victim, a.at);
  wheel.run(10 * kMs);
  assert_int_equal(a.runs, 3);
  assert_int_equal(victim.fired, 0);
  assert_true(wheel.empty());
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(timers_fire_early_or_late),
      cmocka_unit_test(a_timer_fires_before_its_time),
      cmocka_unit_test(a_timer_that_sets_and_clears_others_breaks_the_round),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
