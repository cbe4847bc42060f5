// One hostile megabyte after the other, decoded lazily and opened to the last, and through a mask: either a typed error, or
// within 1 MiB + 32 x its size, and in time that grows with its size and no faster.
#include <algorithm>
#include <ctime>
#include <string>
#include <vector>

#include "unit/view/oracle.h"
#include "view/project.h"

#include "support/cmocka.h"

namespace {

using namespace zcrpc;
using std::string;

string varint(uint64_t v) {
  string s;
  for (; v >= 0x80; v >>= 7) s += char(v | 0x80);
  return s + char(v);
}
string tag(uint32_t number, uint32_t wire_type) { return varint(uint64_t(number) << 3 | wire_type); }
string sub(uint32_t number, const string& payload) { return tag(number, 2) + varint(payload.size()) + payload; }
string num(uint32_t number, uint64_t v) { return tag(number, 0) + varint(v); }

template <class Make>
string filled(size_t size, Make make) {
  string s;
  for (uint32_t i = 0; s.size() < size; i++) s += make(i);
  return s;
}
string chain(size_t levels, const string& open, const string& close) {
  string s;
  for (size_t i = 0; i < levels; i++) s = open + s + close;
  return s;
}

struct Case {
  const char *name, *type, *mask;
  string (*bytes)(size_t size);
};
const Case kCases[] = {
    {"empty sub-messages", "viewtest.two.Tree", "kids.id", [](size_t n) { return filled(n, [](uint32_t) { return sub(3, ""); }); }},
    {"empty wide sub-messages", "viewtest.two.Tree", "wides.s0_int64", [](size_t n) { return filled(n, [](uint32_t) { return sub(7, ""); }); }},
    {"pieces of one message", "viewtest.two.Tree", "left.name", [](size_t n) { return filled(n, [](uint32_t) { return sub(2, ""); }); }},
    {"pieces with a run each", "viewtest.two.Tree", "left.kids.id", [](size_t n) { return filled(n, [](uint32_t) { return sub(2, sub(3, "")); }); }},
    {"empty strings", "viewtest.two.Lists", "r_string", [](size_t n) { return filled(n, [](uint32_t) { return sub(9, ""); }); }},
    {"empty map entries", "viewtest.two.Tree", "named.value.id", [](size_t n) { return filled(n, [](uint32_t) { return sub(8, ""); }); }},
    {"map keys that come twice", "viewtest.two.Tree", "numbered.value.s0_int64", [](size_t n) {
       return filled(n, [](uint32_t i) { return sub(9, num(1, (i * 2654435761u) % 50000) + sub(2, "")); });
     }},
    {"packed numbers", "viewtest.two.Packs", "r_int64", [](size_t n) { return sub(3, string(n, '\1')); }},
    {"deep nesting", "viewtest.two.Tree", "left.left.left.id", [](size_t n) {
       return filled(n, [](uint32_t) {
         string s;
         for (int i = 0; i < 99; i++) s = sub(3, s);
         return s;
       });
     }},
    {"nested groups", "viewtest.two.Tree", "id", [](size_t n) { return filled(n, [](uint32_t) { return chain(99, tag(10, 3), tag(10, 4)); }); }},
    {"unknown groups", "viewtest.two.Tree", "id", [](size_t n) { return filled(n, [](uint32_t) { return chain(99, tag(90, 3), tag(90, 4)) + num(1, 1); }); }},
    {"unknown fields", "viewtest.two.Tree", "id", [](size_t n) { return filled(n, [](uint32_t) { return num(90, 1) + num(1, 1); }); }},
    {"oneof members in turn", "viewtest.two.Oneofs", "a_int", [](size_t n) { return filled(n, [](uint32_t) { return sub(3, "") + num(1, 1); }); }},
    {"items of a set", "viewtest.two.Set", "[viewtest.two.SetElement.element].id",
     [](size_t n) { return filled(n, [](uint32_t) { return tag(1, 3) + num(2, 1547769) + sub(3, "") + tag(1, 4); }); }},
};

void opens_all(const Case& c, const string& bytes) {
  const schema::Message* t = oracle::schemas()[0].schema->message(c.type);
  view::Limits limits;
  limits.lazy = true;
  oracle::Decoded d(t, bytes, true, limits);
  const base::Status s = d.status.ok() ? view::open_all(d.view, &d.arena) : std::move(d.status);
  if (!s.ok() && s.code() != base::Code::kResourceExhausted) fail_msg("%s, lazy: %s", c.name, s.message());
#ifdef ZCRPC_DEBUG  // whose notes lie in the arena too
  const size_t used = d.view ? schema::lazy_link_of(d.view)->root->used : 0;
#else
  const size_t used = d.arena.used();
#endif
  if (used > (1u << 20) + 32 * bytes.size()) fail_msg("%s, lazy: %zu bytes for %zu", c.name, used, bytes.size());
}

void projects(const Case& c, const string& bytes) {
  const schema::Message* t = oracle::schemas()[0].schema->message(c.type);
  view::ProjectionBuilder b(t);
  assert_true(b.add(c.mask).ok());
  view::Projection* p = b.finish().value();
  view::Limits limits;
  limits.projection = p;
  oracle::Decoded d(t, bytes, true, limits);
  if (!d.status.ok() && d.status.code() != base::Code::kResourceExhausted) fail_msg("%s, projected: %s", c.name, d.status.message());
  if (d.status.ok() && schema::index_of(d.view)->size > (1u << 20) + 32 * bytes.size()) fail_msg("%s: too large", c.name);
  p->release();
}

template <class Work>
double seconds(Work work) {
  double best = 1e9;
  for (int i = 0; i < 3; i++) {
    const std::clock_t from = std::clock();  // of this process: the machine may be busy
    work();
    best = std::min(best, double(std::clock() - from) / CLOCKS_PER_SEC);
  }
  return best;
}

void no_hostile_megabyte_costs_more_than_its_budget(void**) {
  for (const Case& c : kCases) {
    const string small = c.bytes(1 << 18), large = c.bytes(1 << 20);
    // Four times the bytes: four times as long; a quadratic one takes sixteen. Room for a busy machine.
    for (auto work : {opens_all, projects}) {
      const double a = seconds([&] { work(c, small); }), b = seconds([&] { work(c, large); });
      if (b > 10 * a + 0.05) fail_msg("%s: %.3f s for a quarter, %.3f s for all", c.name, a, b);
    }
  }
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {cmocka_unit_test(no_hostile_megabyte_costs_more_than_its_budget)};
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
