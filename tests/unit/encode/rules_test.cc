// Rules of an edit, which are found and added by number: work counted by the depth of their tree, in orders that had been slow.
#include <bit>

#include "encode/edit.h"
#include "support/cmocka.h"

#undef fail  // cmocka's macro

using namespace zcrpc;

namespace {

enum Order { kAscending, kDescending, kFromBothEnds, kFromTheMiddle, kScattered, kOrders };

// The i-th of n different numbers.
uint32_t number_of(int order, uint32_t i, uint32_t n) {
  switch (order) {
    case kAscending: return i + 1;
    case kDescending: return n - i;
    case kFromBothEnds: return i & 1 ? n - i / 2 : i / 2 + 1;
    case kFromTheMiddle: return i & 1 ? n / 2 - i / 2 : n / 2 + 1 + i / 2;
    default: return uint32_t(uint64_t(i) * 7919 % n) + 1;  // a prime that n is no multiple of
  }
}

void fill(encode::Rules* rules, int order, uint32_t n) {
  rules->in(&base::kDefaultAllocator);
  for (uint32_t i = 0; i < n; i++) {
    const uint32_t number = number_of(order, i, n);
    assert_null(rules->find(number));
    assert_non_null(rules->add(number));
  }
}

// A rule is of a lower level than what it is left of, and, of three in a row to the right, one of them is: what makes of
// the number of levels a bound of the steps.
bool below(encode::Rules& rules, uint32_t place, const encode::Rule& r) {
  if (!place) return r.level == 1;
  const encode::Rule& child = rules.begin()[place - 1];
  if (place == r.left) return child.level + 1 == r.level;
  const bool last = !child.right || rules.begin()[child.right - 1].level < child.level;
  return child.level + 1 == r.level || (child.level == r.level && last);
}

// A path has two rules of each level at most, so neither finding nor adding takes more steps than that.
void no_order_of_numbers_makes_a_deep_tree(void**) {
  for (int order = 0; order < kOrders; order++) {
    for (uint32_t n : {1u, 16u, 17u, 18u, 100u, 20000u}) {
      encode::Rules rules;
      fill(&rules, order, n);
      assert_int_equal(rules.levels() > 0, n > encode::kFewRules);
      assert_true(rules.levels() < unsigned(std::bit_width(n + 1)));
      for (encode::Rule& r : rules) {
        assert_ptr_equal(rules.find(r.number), &r);
        if (rules.levels()) assert_true(below(rules, r.left, r) && below(rules, r.right, r));
      }
    }
  }
}

void rules_are_met_once_each_by_ascending_number(void**) {
  for (int order = 0; order < kOrders; order++) {
    encode::Rules rules;
    fill(&rules, order, 1000);
    uint32_t last = 0;
    rules.ascending([&](encode::Rule& r) { assert_int_equal(r.number, ++last); });
    assert_int_equal(last, 1000);
    rules.clear();
    assert_true(rules.empty());
    assert_null(rules.find(500));
    rules.ascending([](encode::Rule&) { assert_true(false); });
    assert_non_null(rules.add(7));
    assert_int_equal(rules.find(7)->number, 7);
  }
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(no_order_of_numbers_makes_a_deep_tree),
      cmocka_unit_test(rules_are_met_once_each_by_ascending_number),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
