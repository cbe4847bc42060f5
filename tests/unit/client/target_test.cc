// What a channel's target says: host, port, prefix, Host header.
#include "client/target.h"

#include "support/cmocka.h"

using namespace zcrpc;

namespace {

void expect(const char* text, const char* host, uint16_t port, const char* authority, const char* prefix) {
  client::Target t;
  assert_true(client::parse_target(text, &t).ok());
  assert_true(t.endpoint.host == host);
  assert_int_equal(t.endpoint.port, port);
  assert_true(t.endpoint.authority == authority);
  assert_true(t.prefix == prefix);
  assert_true(t.endpoint.socket_path.empty());
}

void hosts_ports_and_prefixes_are_told_apart(void**) {
  expect("http://localhost", "localhost", 80, "localhost", "");
  expect("http://localhost/", "localhost", 80, "localhost", "");
  expect("http://a.b-c.example:8080/x/y//", "a.b-c.example", 8080, "a.b-c.example:8080", "/x/y");
  expect("http://192.0.2.1:1", "192.0.2.1", 1, "192.0.2.1:1", "");
  expect("http://[2001:db8::1]:443/p", "2001:db8::1", 443, "[2001:db8::1]:443", "/p");
  expect("http://[::1]", "::1", 80, "[::1]", "");
  expect("http://h:65535", "h", 65535, "h:65535", "");
}

void a_local_socket_has_a_path_and_no_host(void**) {
  client::Target t;
  assert_true(client::parse_target("unix:/run/x.sock", &t).ok());
  assert_true(t.endpoint.socket_path == "/run/x.sock");
  assert_true(t.endpoint.host.empty());
  assert_true(t.endpoint.authority == "localhost");
  std::string_view longest = "unix:/23456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678";
  client::Target u, v;
  assert_true(client::parse_target(longest.substr(0, 5 + 107), &u).ok());
  assert_int_equal(client::parse_target(longest.substr(0, 5 + 108), &v).code(), base::Code::kInvalidArgument);
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(hosts_ports_and_prefixes_are_told_apart),
      cmocka_unit_test(a_local_socket_has_a_path_and_no_host),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
