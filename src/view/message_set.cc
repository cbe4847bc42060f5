// MessageSet: an extension comes as an item, the group 1 { type id = 2, message = 3 }, or as a field of its own like any other.
#include "view/context.h"

namespace zcrpc::view {
namespace {

constexpr uint32_t kTypeId = wire::tag(2, wire::Type::kVarint), kMessage = wire::tag(3, wire::Type::kLength);

// The first type id and the first message of an item, in either order; null: none.
struct Item {
  uint64_t type = 0;
  const uint8_t* message = nullptr;  // its length
};

// The item's bytes have been looked at once: nothing in it can be wrong.
Item read_item(const uint8_t* p, const uint8_t* end) {
  Item item;
  bool typed = false;
  wire::Fault fault;
  const uint8_t* at;
  for (uint32_t tag; (p = wire::read_tag(p, end, &tag, &fault)) && wire::tag_type(tag) != wire::Type::kEndGroup;) {
    const uint8_t* value = p;
    p = wire::skip_value(p, end, tag, wire::kDeepest, &fault, &at);
    if (!p) break;
    if (tag == kTypeId && !typed) {
      wire::read_varint(value, end, &item.type, &fault);
      typed = true;
    }
    if (tag == kMessage && !item.message) item.message = value;
  }
  return item;
}

}  // namespace

bool set_item(Context* c, const uint8_t* start, const uint8_t* p) {
  const uint8_t* next = skip_group(c, start, p, kItemStart);
  if (!next) return false;
  const Item item = read_item(p, next);
  const Target to = item.message && item.type <= UINT32_MAX ? find_target(c->walk.t, uint32_t(item.type)) : Target{nullptr, nullptr};
  if (!to.field || to.field->kind != schema::Kind::kMessage || to.field->repeated() || to.entry->op == Op::kSkip) {
    if (!push_unknown(c, c->offset(start), c->offset(next))) return false;  // kept as it came
    c->walk.p = next;
    return true;
  }
  const Frame* const open = c->sp;
  if (!enter_message(c, to, start, item.message)) return false;
  if (c->sp == open) {  // noted, and left closed
    c->walk.p = next;
    return true;
  }
  open_frame(c)->flags |= kItem;
  open_frame(c)->resume = c->offset(next);
  return true;
}

}  // namespace zcrpc::view
