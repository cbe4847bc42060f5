// A Connect unary call seen from the client: what it sends, and what it makes of answers, honest and other.
#include <zcrpc.h>

#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "rpc/connect.h"
#include "support/codings.h"
#include "support/fail_malloc.h"

extern "C" {
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
}

using namespace zcrpc;
using base::Code;
using base::Slice;
using base::Status;
using compress::Coding;
using rpc::Codec;
using rpc::ConnectAnswer;
using rpc::ConnectCall;

namespace {

using Headers = std::vector<std::pair<std::string, std::string>>;
compress::Pool* g_pool;

std::string lines(const base::Metadata& m) {
  std::string s;
  for (size_t i = 0; i < m.size(); i++) s += std::string(m.name(i)) + ": " + std::string(m.value(i).text()) + "\n";
  return s;
}

std::string squeeze(const std::string& s) {
  compress::Deflater d;
  assert_true(d.begin(g_pool, Coding::kGzip, 0, s.size()).ok());
  assert_true(d.feed(Slice(std::string_view(s))).ok());
  base::BufferRef b(*d.finish());
  return std::string(b->slice().text());
}

void headers_are_missing_or_wrong(void**) {
  base::Metadata out, mine;
  ConnectCall c;
  c.user_agent = "me";
  assert_true(rpc::connect_headers(c, false, &out).ok());
  assert_string_equal(lines(out).c_str(), "content-type: application/proto\nconnect-protocol-version: 1\naccept-encoding: " CODINGS "\nuser-agent: me\n");
  out.clear();
  assert_true(mine.add("x-bin", Slice("\0\1", 2)));
  assert_true(mine.add("user-agent", Slice(std::string_view("own"))));
  c.metadata = &mine;
  c.codec = Codec::kJson;
  c.coding = Coding::kGzip;
  c.timeout_ns = 1500000001;
  c.accept_compressed = false;
  assert_true(rpc::connect_headers(c, false, &out).ok());
  assert_string_equal(lines(out).c_str(),
                      "content-type: application/json\nconnect-protocol-version: 1\ncontent-encoding: gzip\nconnect-timeout-ms: 1501\n"
                      "x-bin: AAE\nuser-agent: own\n");
  out.clear();
  assert_true(rpc::connect_headers(c, true, &out).ok());
  assert_string_equal(lines(out).c_str(), "connect-timeout-ms: 1501\nx-bin: AAE\nuser-agent: own\n");
  out.clear();
  assert_true(mine.add("bad name", Slice()));
  assert_int_equal(int(rpc::connect_headers(c, false, &out).code()), int(Code::kInvalidArgument));
  base::String target;
  rpc::connect_get_target("/p.S/M", ConnectCall(), Slice("\xFF\xEF?\x00", 4), &target);
  assert_true(target.view() == "/p.S/M?connect=v1&base64=1&encoding=proto&message=_-8_AA");
  target.clear();
  rpc::connect_get_target("/p.S/M", c, Slice(), &target);
  assert_true(target.view() == "/p.S/M?connect=v1&base64=1&compression=gzip&encoding=json&message=");
}

Status answer(ConnectAnswer* a, int http, const Headers& headers, const std::string& body, size_t step = SIZE_MAX, Codec codec = Codec::kProto) {
  a->begin(codec, 1000, g_pool);
  bool on = a->status(http);
  for (auto& [n, v] : headers) on = on && a->header(n, v);
  for (size_t i = 0; on && i < body.size(); i += step) {
    std::string part = body.substr(i, step);
    std::vector<char> copy(part.begin(), part.end());  // gone before the next
    on = a->data(Slice(copy.data(), copy.size()));
    if (step == SIZE_MAX) break;
  }
  return a->finish();
}

void a_reply_is_lost(void**) {
  ConnectAnswer a;
  const Headers proto = {{"content-type", "application/proto"}, {"x", "1"}, {"trailer-t-bin", "AAE="}, {"date", "now"}, {"content-length", "5"}};
  for (size_t step : {SIZE_MAX, size_t(1), size_t(2)}) {
    assert_true(answer(&a, 200, proto, "hello", step).ok());
    assert_true(a.message().text() == "hello");
    assert_string_equal(lines(a.headers()).c_str(), "x: 1\n");
    assert_int_equal(a.trailers().size(), 1);
    assert_true(a.trailers().name(0) == "t-bin" && a.trailers().value(0).size == 2);
    Headers packed = proto;
    packed.emplace_back("content-encoding", "gzip");
    assert_true(answer(&a, 200, packed, squeeze("hello hello"), step).ok());
    assert_true(a.message().text() == "hello hello");
  }
  assert_true(answer(&a, 200, proto, "").ok());
  assert_true(a.message().empty());
  assert_true(answer(&a, 200, {{"content-type", "application/json; charset=utf-8"}}, "{}", 1, Codec::kJson).ok());
}

void a_bad_reply_is_believed(void**) {
  ConnectAnswer a;
  auto code = [&](int http, const Headers& h, const std::string& body) { return int(answer(&a, http, h, body).code()); };
  const std::pair<std::string, std::string> proto = {"content-type", "application/proto"}, gzip = {"content-encoding", "gzip"};
  assert_int_equal(code(200, {proto}, std::string(1000, 'x')), int(Code::kOk));
  assert_int_equal(code(200, {proto}, std::string(1001, 'x')), int(Code::kResourceExhausted));
  assert_int_equal(code(200, {proto, gzip}, squeeze(std::string(1001, 'x'))), int(Code::kResourceExhausted));
  assert_int_equal(code(200, {proto, gzip}, "hello"), int(Code::kInternal));
  assert_int_equal(code(200, {proto, gzip}, squeeze("hello").substr(0, 10)), int(Code::kInternal));
  assert_int_equal(code(200, {proto, {"content-encoding", "lzma"}}, "hello"), int(Code::kInternal));
  assert_int_equal(code(200, {{"content-type", "application/json"}}, "{}"), int(Code::kInternal));
  assert_int_equal(code(200, {{"content-type", "text/html"}}, "<html>"), int(Code::kUnknown));
  assert_int_equal(code(200, {}, ""), int(Code::kUnknown));
}

void a_peers_error_is_lost(void**) {
  ConnectAnswer a;
  const std::pair<std::string, std::string> json = {"content-type", "application/json"};
  const std::string body = "{\"code\":\"not_found\",\"message\":\"gone\",\"details\":[{\"type\":\"a.B\",\"value\":\"eHl6\"}]}";
  for (size_t step : {SIZE_MAX, size_t(1)}) {
    Status s = answer(&a, 404, {json, {"h", "1"}, {"trailer-t", "2"}}, body, step);
    assert_int_equal(int(s.code()), int(Code::kNotFound));
    assert_string_equal(s.message(), "gone");
    assert_int_equal(s.error()->detail_count(), 1);
    assert_string_equal(lines(*s.error()->metadata()).c_str(), "h: 1\nt: 2\n");
  }
  Status s = answer(&a, 404, {json, {"content-encoding", "gzip"}}, squeeze(body), 3);
  assert_string_equal(s.message(), "gone");
  struct {
    int http;
    Headers headers;
    const char* body;
    Code code;
    const char* message;
  } cases[] = {
      {503, {}, "", Code::kUnavailable, "HTTP status 503"},
      {502, {{"content-type", "text/html"}}, "{\"code\":\"not_found\"}", Code::kUnavailable, "HTTP status 502"},
      {401, {json}, "not json", Code::kUnauthenticated, "HTTP status 401"},
      {429, {json}, "{\"code\":null,\"message\":\"slow\"}", Code::kUnavailable, "slow"},
      {418, {json}, "{}", Code::kUnknown, "HTTP status 418"},
      {404, {json, {"content-encoding", "lzma"}}, "x", Code::kUnimplemented, "the answer has an unknown compression"},
      {400, {json, {"content-encoding", "gzip"}}, "xxxx", Code::kInternal, "compressed data are broken"},
  };
  for (auto& c : cases) {
    s = answer(&a, c.http, c.headers, c.body);
    assert_int_equal(int(s.code()), int(c.code));
    assert_string_equal(s.message(), c.message);
  }
  s = answer(&a, 500, {json}, std::string(5000, 'x'));
  assert_int_equal(int(s.code()), int(Code::kUnknown));
}

void a_lack_of_memory_crashes_or_leaks(void**) {
  const std::string body = "{\"code\":\"not_found\",\"message\":\"gone\"}";
  for (long n = 1;; n++) {
    assert_true(n < 200);
    long before = fail_malloc_live();
    fail_malloc_at(n);
    Code code, sent;
    {
      ConnectAnswer a;
      a.begin(Codec::kProto, 1000, nullptr);
      bool on = a.status(404) && a.header("content-type", "application/json") && a.header("x", "y");
      on = on && a.data(Slice(std::string_view(body)));
      code = a.finish().code();
      base::Metadata out;
      ConnectCall call;
      sent = rpc::connect_headers(call, false, &out).code();
    }
    int failed = fail_malloc_stop();
    assert_int_equal(fail_malloc_live(), before);
    if (!failed) {
      assert_int_equal(int(code), int(Code::kNotFound));
      assert_int_equal(int(sent), int(Code::kOk));
      break;
    }
    assert_true(code != Code::kOk);
  }
}

}  // namespace

int main() {
  compress::Pool pool;
  g_pool = &pool;
  const CMUnitTest tests[] = {
      cmocka_unit_test(headers_are_missing_or_wrong),
      cmocka_unit_test(a_reply_is_lost),
      cmocka_unit_test(a_bad_reply_is_believed),
      cmocka_unit_test(a_peers_error_is_lost),
      cmocka_unit_test(a_lack_of_memory_crashes_or_leaks),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
