// PROXY headers, whole and in every two parts, and what is none.
#include <cstring>
#include <string>
#include <vector>

#include "net/proxy.h"

#include "support/cmocka.h"

using namespace zcrpc;
using net::ProxyHeader;

namespace {

const std::string kSignature("\r\n\r\n\0\r\nQUIT\n", 12);

std::string binary(char command, char kind, std::string rest) {
  return kSignature + command + kind + char(rest.size() >> 8) + char(rest.size() & 255) + rest;
}
const std::string kV4 = std::string("\xC0\x00\x02\x01\x0A\x00\x00\x01\x12\x67\x00\x50", 12);

// Feeds it as a socket would that has `first` bytes at once, then the rest; what was taken off, or -1 with *why.
int64_t feed(const std::string& bytes, size_t first, std::string* source, std::string* why) {
  ProxyHeader h;
  size_t at = 0;
  while (size_t wants = h.wants()) {
    size_t there = at < first ? first - at : bytes.size() - at;
    size_t n = std::min(wants, there);
    if (n == 0) return -2;  // it wants more than there is
    memcpy(h.room(), bytes.data() + at, n);
    at += n;
    if (base::Status s = h.came(n); !s.ok()) {
      *why = s.message();
      return -1;
    }
  }
  char text[net::kAddressText] = "";
  if (h.source().size) net::format_address(h.source(), text);
  *source = text;
  return int64_t(at);
}

void headers_are_read_and_nothing_behind_them(void**) {
  struct Case {
    std::string header;
    const char* source;
  };
  std::string v6 = std::string(15, '\0') + "\x01" + std::string(16, '\0') + std::string("\x01\xBB\x00\x50", 4);
  std::string local = "/run/front.sock" + std::string(216 - 15, '\0');
  const std::vector<Case> cases = {
      {"PROXY TCP4 192.0.2.1 10.0.0.1 4711 80\r\n", "192.0.2.1:4711"},
      {"PROXY TCP6 2001:db8::1 ::1 443 80\r\n", "[2001:db8::1]:443"},
      {"PROXY UNKNOWN\r\n", ""},
      {"PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n", ""},
      {binary(0x21, 0x11, kV4), "192.0.2.1:4711"},
      {binary(0x21, 0x11, kV4 + std::string("\x04\x00\x02zz", 5)), "192.0.2.1:4711"},
      {binary(0x21, 0x21, v6), "[::1]:443"},
      {binary(0x21, 0x31, local), "unix:/run/front.sock"},
      {binary(0x20, 0x00, ""), ""},
      {binary(0x20, 0x11, kV4), ""},  // LOCAL: a health check, whatever it says
      {binary(0x21, 0x00, ""), ""},
  };
  for (const Case& c : cases) {
    for (size_t first = 0; first <= c.header.size(); first++) {
      std::string source, why;
      int64_t took = feed(c.header + "PRI * HTTP/2.0", first, &source, &why);
      if (took != int64_t(c.header.size())) fail_msg("%s: took %d of %zu: %s", c.header.c_str(), int(took), c.header.size(), why.c_str());
      assert_string_equal(source.c_str(), c.source);
    }
    for (size_t cut = 0; cut < c.header.size(); cut++) {
      std::string source, why;
      assert_int_equal(feed(c.header.substr(0, cut), 0, &source, &why), -2);
    }
  }
}

void what_is_no_header_is_refused_at_once(void**) {
  struct Case {
    std::string bytes;
    const char* why;
  };
  const std::vector<Case> cases = {
      {"GET / HTTP/1.1\r\n", "begins otherwise"},
      {std::string("\x16\x03\x01\x02\x00", 5), "begins otherwise"},
      {"PROXY TCP4 192.0.2.1 10.0.0.1 4711\r\n", "not six words"},
      {"PROXY TCP4 192.0.2.1 10.0.0.1 4711 80 1\r\n", "not six words"},
      {"PROXY TCP4 2001:db8::1 ::1 443 80\r\n", "cannot be read"},
      {"PROXY TCP4 192.0.2.1 10.0.0.1 70000 80\r\n", "cannot be read"},
      {"PROXY TCP4 192.0.2.1 10.0.0.1  80\r\n", "cannot be read"},
      {"PROXY UDP4 192.0.2.1 10.0.0.1 1 80\r\n", "cannot be read"},
      {"PROXY TCP4 192.0.2.1 10.0.0.1 4711 80\n", "does not end in CR LF"},
      {"PROXY " + std::string(120, 'x'), "more than 107"},
      {binary(0x11, 0x11, kV4), "version is not 2"},
      {binary(0x22, 0x11, kV4), "neither LOCAL nor PROXY"},
      {binary(0x21, 0x11, kV4.substr(1)), "too short for IPv4"},
      {binary(0x21, 0x21, kV4), "too short for IPv6"},
      {binary(0x21, 0x31, kV4), "too short for a local socket"},
      {binary(0x21, 0x12, kV4), "unknown kind"},
      {binary(0x21, 0x11, std::string(521, '\0')), "longer than 536"},
  };
  for (const Case& c : cases) {
    std::string source, why;
    assert_int_equal(feed(c.bytes, 0, &source, &why), -1);
    if (why.find(c.why) == why.npos) fail_msg("\"%s\" does not say \"%s\"", why.c_str(), c.why);
  }
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(headers_are_read_and_nothing_behind_them),
      cmocka_unit_test(what_is_no_header_is_refused_at_once),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
