// Receive blocks, routes, and the text of a bad request.
#include <cstring>
#include <string>

#include "server/blocks.h"
#include "server/errors.h"
#include "server/routes.h"
#include "support/cmocka.h"

using namespace zcrpc;

namespace {

void a_block_that_is_held_is_written_again(void**) {
  rpc::Counters counters;
  server::Blocks blocks(&counters);
  uint8_t* at;
  size_t room;
  assert_true(blocks.room(&at, &room));
  assert_int_equal(room, server::Blocks::kSize);
  uint8_t* first = at;
  memset(at, 1, 100);
  blocks.handled(100);
  assert_true(blocks.room(&at, &room));
  assert_ptr_equal(at, first);  // nobody held it
  base::Buffer* held = blocks.current()->retain();
  blocks.handled(100);
  assert_true(blocks.room(&at, &room));
  assert_ptr_equal(at, first + 100 + base::kSlack);  // behind what is held, and behind its slack
  // Until the block is too small, then another one; at most as many as are held.
  for (int i = 0; i < 100; i++) {
    assert_true(blocks.room(&at, &room));
    assert_true(room >= server::Blocks::kLeast);
    assert_true(at >= first + server::Blocks::kSize || at + room <= first || at >= first + 100 + base::kSlack);
    blocks.handled(20'000);
  }
  assert_int_equal(counters.allocations.load(), 2);
  held->release();
}

void blocks_without_end_are_remembered(void**) {
  rpc::Counters counters;
  server::Blocks blocks(&counters);
  base::Buffer* held[100];
  for (auto& h : held) {
    uint8_t* at;
    size_t room;
    assert_true(blocks.room(&at, &room));
    h = blocks.current()->retain();
    blocks.handled(room);
  }
  for (auto& a : held)
    for (auto& b : held) assert_true(&a == &b || a != b);
  for (auto& h : held) h->release();
}

void a_route_is_not_found_or_not_replaced(void**) {
  server::Routes routes;
  schema::Method methods[200] = {};
  std::string paths[200];
  for (int i = 0; i < 200; i++) {
    paths[i] = "/p.S/Method" + std::to_string(i);
    methods[i].path = paths[i];
    server::Route r;
    r.method = &methods[i];
    r.path = paths[i];
    r.tag = uint64_t(i);
    if (i == 100) routes.publish();
    assert_true(routes.set(r, "", false).ok());
  }
  for (int i = 0; i < 200; i++) assert_int_equal(routes.find(paths[i])->tag, i);
  for (const char* no : {"", "/", "/p.S/Method", "/p.S/Method200", "/p.S/method1", "p.S/Method1"}) assert_null(routes.find(no));
  const server::Route* old = routes.find(paths[7]);
  server::Route again;
  again.method = &methods[7];
  again.path = paths[7];
  again.tag = 4711;
  base::Status refused = routes.set(again, "", false);
  assert_int_equal(int(refused.code()), int(base::Code::kAlreadyExists));
  assert_non_null(strstr(refused.message(), "/p.S/Method7 is served already"));
  assert_int_equal(routes.find(paths[7])->tag, 7);
  assert_true(routes.set(again, "", true).ok());
  assert_int_equal(routes.find(paths[7])->tag, 4711);
  assert_int_equal(old->tag, 7);  // calls that run have it still
  // With a prefix it is another path.
  assert_true(routes.set(again, "/api/v1", false).ok());
  assert_true(routes.find("/api/v1/p.S/Method7")->method->path == "/p.S/Method7");
}

void a_bad_request_does_not_name_the_field(void**) {
  base::Status s = server::bad_request(base::Status(base::Code::kInvalidArgument, "truncated varint").at(17).in("records[3].source"));
  assert_string_equal(s.message(), "byte 17: records[3].source: truncated varint");
  assert_int_equal(s.error()->detail_count(), 1);
  assert_true(s.error()->detail_type(0) == "google.rpc.BadRequest");
  // field_violations { field: "records[3].source" description: "truncated varint" }
  std::string want = "\x0a\x25\x0a\x11records[3].source\x12\x10truncated varint";
  assert_true(s.error()->detail_value(0).text() == want);

  s = server::bad_request(base::Status(base::Code::kInvalidArgument, "line 3, column 17: not a number").at(40).in("a.b"));
  assert_string_equal(s.message(), "line 3, column 17: not a number (a.b)");
  s = server::bad_request(base::Status(base::Code::kResourceExhausted, "too deep").at(9).in("a"));
  assert_int_equal(s.error()->detail_count(), 0);
  s = server::bad_request(base::Status::no_memory());
  assert_int_equal(int(s.code()), int(base::Code::kResourceExhausted));
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(a_block_that_is_held_is_written_again),
      cmocka_unit_test(blocks_without_end_are_remembered),
      cmocka_unit_test(a_route_is_not_found_or_not_replaced),
      cmocka_unit_test(a_bad_request_does_not_name_the_field),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
