// Rules of a message under edit: found and added in log n steps, in whatever order their numbers come.
#include "encode/edit.h"

namespace zcrpc::encode {

void Rules::clear() {
  all_.clear();
  root_ = 0;
}

Rule* Rules::find(uint32_t number) {
  if (!root_) {
    for (Rule& r : all_)
      if (r.number >= number) return r.number == number ? &r : nullptr;
    return nullptr;
  }
  for (uint32_t place = root_; place;) {
    Rule& r = at(place);
    if (r.number == number) return &r;
    place = number < r.number ? r.left : r.right;
  }
  return nullptr;
}

Rule* Rules::add(uint32_t number) {
  Rule* r = one_more(&all_);
  if (!r) return nullptr;
  const bool few = all_.size() <= kFewRules;
  for (; few && r > all_.begin() && r[-1].number > number; r--) *r = r[-1];
  *r = Rule();
  r->number = number;
  if (few) return r;
  for (uint32_t place = root_ ? uint32_t(all_.size()) : 1; place <= all_.size(); place++) root_ = insert(root_, place);
  return r;
}

// A left child of the same level goes to the right.
uint32_t Rules::skew(uint32_t tree) {
  const uint32_t left = at(tree).left;
  if (!left || at(left).level != at(tree).level) return tree;
  at(tree).left = at(left).right;
  at(left).right = tree;
  return left;
}

// Of three in a row of the same level, the one in the middle goes up.
uint32_t Rules::split(uint32_t tree) {
  const uint32_t right = at(tree).right;
  if (!right || !at(right).right || at(at(right).right).level != at(tree).level) return tree;
  at(tree).right = at(right).left;
  at(right).left = tree;
  at(right).level++;
  return right;
}

uint32_t Rules::insert(uint32_t tree, uint32_t place) {
  if (!tree) return place;
  Rule& r = at(tree);
  uint32_t& side = at(place).number < r.number ? r.left : r.right;
  side = insert(side, place);
  return split(skew(tree));
}

}  // namespace zcrpc::encode
