// gRPC-Web's text form: base64 that may end anywhere and go on behind its padding.
#include <algorithm>
#include <cstring>
#include <string>

#include "rpc/web_text.h"

extern "C" {
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
}

using namespace zcrpc;
using base::Slice;
using rpc::TextDecoder;
using Result = TextDecoder::Result;

namespace {

Result decode(const std::string& text, size_t step, std::string* out) {
  TextDecoder d;
  base::Vec<uint8_t> v;
  Result r = Result::kOk;
  for (size_t at = 0; at < text.size() && r == Result::kOk; at += step) {
    r = d.feed(Slice(text.data() + at, std::min(step, text.size() - at)), &v);
  }
  if (r == Result::kOk) r = d.end(&v);
  out->assign(reinterpret_cast<const char*>(v.data()), v.size());
  return r;
}

void padding_in_the_middle_ends_the_body(void**) {
  const struct {
    const char *text, *bytes;
  } cases[] = {
      {"", ""}, {"YQ==", "a"}, {"YWI=", "ab"}, {"YWJj", "abc"}, {"YQ==YWI=YWJj", "aabab" "c"}, {"YWI=YQ==", "aba"},
      {"YQ", "a"}, {"YWI", "ab"}, {"YWJjYQ", "abca"}, {"Pz8/Pj4+", "?\x3f?>>>"},
  };
  for (auto& c : cases)
    for (size_t step = 1; step <= 9; step++) {
      std::string out;
      assert_int_equal(int(decode(c.text, step, &out)), int(Result::kOk));
      assert_string_equal(out.c_str(), c.bytes);
    }
}

void what_is_no_base64_is_taken(void**) {
  for (const char* text : {"=", "A", "A===", "A=", "YQ=", "YQ=A", "YQ=a", "YWJ-", "YWJ_", "YW Jj", "YWJj\n", "YWJj\r\n", "Y\xC3\xA9Jj"})
    for (size_t step = 1; step <= 5; step++) {
      std::string out;
      assert_int_equal(int(decode(text, step, &out)), int(Result::kBroken));
    }
}

void a_body_does_not_come_back(void**) {
  std::string bytes;
  for (int i = 0; i < 700; i++) bytes.push_back(char(i * 37));
  for (size_t flush : {size_t(1), size_t(2), size_t(3), size_t(100), size_t(700)}) {
    base::String text;
    rpc::TextEncoder encoder(&text);
    for (size_t at = 0; at < bytes.size(); at += flush) encoder.add(Slice(bytes.data() + at, std::min(flush, bytes.size() - at)));
    encoder.end();
    assert_int_equal(text.size(), (bytes.size() + 2) / 3 * 4);
    assert_true(text.view().find('=') == std::string_view::npos || text.view().find('=') >= text.size() - 2);
    for (size_t step : {size_t(1), size_t(5), size_t(64), size_t(5000)}) {
      std::string out;
      assert_int_equal(int(decode(std::string(text.view()), step, &out)), int(Result::kOk));
      assert_true(out == bytes);
    }
  }
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(padding_in_the_middle_ends_the_body),
      cmocka_unit_test(what_is_no_base64_is_taken),
      cmocka_unit_test(a_body_does_not_come_back),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
