// A Connect stream seen from its client: what it makes of answers, honest and other, however they are cut.
#include <zcrpc.h>

#include <algorithm>
#include <string>
#include <vector>

#include "rpc/connect_stream.h"
#include "support/cmocka.h"
#include "support/fail_malloc.h"

using namespace zcrpc;
using base::Code;
using base::Slice;
using base::Status;
using rpc::Codec;
using rpc::ConnectStreamAnswer;

namespace {

std::string frame(int flags, const std::string& body) {
  std::string s(5, '\0');
  rpc::write_envelope(reinterpret_cast<uint8_t*>(s.data()), uint8_t(flags), uint32_t(body.size()));
  return s + body;
}

struct Outcome {
  std::vector<std::string> messages;
  Code code = Code::kOk;
  std::string text, tail;
};

// Reads an answer in pieces of that size.
Outcome read(const std::string& bytes, size_t cut, int http = 200, const char* type = "application/connect+proto", const char* coding = nullptr,
             size_t limit = 1000) {
  Outcome o;
  compress::Pool pool;  // outlives its user
  ConnectStreamAnswer a;
  a.begin(Codec::kProto, limit, &pool, &compress::kRegistry);
  a.status(http);
  bool good = a.header("content-type", type) && (!coding || a.header("connect-content-encoding", coding)) && a.header("x-head", "1");
  for (size_t at = 0; good && at < bytes.size(); at += cut) {
    Slice in(bytes.data() + at, std::min(cut, bytes.size() - at));
    while (good && in.size) {
      good = a.take(&in).ok();
      if (!good || !a.has_message()) continue;
      o.messages.push_back(std::string(a.reader().message().text()));
      a.reader().next();
    }
  }
  Status s = a.finish();
  o.code = s.code();
  o.text = s.message();
  Slice v;
  if (a.trailers().get("x-tail", &v)) o.tail = v.text();
  if (s.code() == Code::kNotFound) assert_true(s.error()->metadata()->get("x-head", &v) && s.error()->metadata()->get("x-tail", &v));
  return o;
}

void messages_are_cut_wrong(void**) {
  std::string all = frame(0, "one") + frame(0, "") + frame(0, "three") + frame(2, "{\"metadata\":{\"x-tail\":[\"v\"]}}");
  for (size_t cut = 1; cut <= all.size(); cut++) {
    Outcome o = read(all, cut);
    assert_int_equal(o.code, Code::kOk);
    assert_int_equal(o.messages.size(), 3);
    assert_string_equal(o.messages[0].c_str(), "one");
    assert_string_equal(o.messages[1].c_str(), "");
    assert_string_equal(o.messages[2].c_str(), "three");
    assert_string_equal(o.tail.c_str(), "v");
  }
}

void an_error_is_not_that_of_the_peer(void**) {
  std::string end = "{\"metadata\":{\"x-tail\":[\"v\",7],\"bad\":3},\"error\":{\"code\":\"not_found\",\"message\":\"no \\\"such\\\" thing\",\"details\":[]}}";
  Outcome o = read(frame(0, "a") + frame(2, end), 7);
  assert_int_equal(o.code, Code::kNotFound);
  assert_string_equal(o.text.c_str(), "no \"such\" thing");
  assert_int_equal(o.messages.size(), 1);
  assert_string_equal(o.tail.c_str(), "v");
  assert_int_equal(read(frame(2, "{\"error\":{}}"), 100).code, Code::kUnknown);
  assert_int_equal(read(frame(2, "{\"error\":null}"), 100).code, Code::kOk);
}

void a_broken_stream_ends_well(void**) {
  std::string good = frame(0, "a") + frame(2, "{}");
  assert_int_equal(read(good, 100).code, Code::kOk);
  for (size_t n = 0; n < good.size(); n++) assert_int_equal(read(good.substr(0, n), 100).code, Code::kInternal);
  assert_int_equal(read(good + frame(0, "b"), 100).code, Code::kInternal);     // behind the end
  assert_int_equal(read(frame(2, "{\"metadata\":"), 100).code, Code::kInternal);
  assert_int_equal(read(frame(2, "[]"), 100).code, Code::kInternal);
  assert_int_equal(read(frame(4, "a"), 100).code, Code::kInternal);            // a flag that nobody knows
  assert_int_equal(read(frame(1, "a"), 100).code, Code::kInternal);            // compressed, by nothing that was named
  assert_int_equal(read(frame(1, "a"), 100, 200, "application/connect+proto", "gzip").code, Code::kInternal);
  assert_int_equal(read(good, 100, 200, "application/connect+proto", "rot13").code, Code::kInternal);
  assert_int_equal(read(good, 100, 200, "application/connect+json").code, Code::kInternal);
  assert_int_equal(read(good, 100, 200, "text/html").code, Code::kUnknown);
  assert_int_equal(read("<html>", 100, 503, "text/html").code, Code::kUnavailable);
  assert_int_equal(read("", 100, 404, "text/html").code, Code::kUnimplemented);
  assert_int_equal(read(frame(0, std::string(1001, 'x')), 100).code, Code::kResourceExhausted);
}

// Every allocation fails once: an error comes, nothing leaks, and nothing is believed that was not read.
void no_memory_is_a_clean_end(void**) {
  std::string all = frame(0, "one") + frame(2, "{\"metadata\":{\"x-tail\":[\"v\"]},\"error\":{\"code\":\"aborted\",\"details\":[{\"type\":\"a.B\",\"value\":\"AAAA\"}]}}");
  for (long n = 1;; n++) {
    ConnectStreamAnswer a;
    fail_malloc_at(n);
    a.begin(Codec::kProto, 1000, nullptr, &compress::kRegistry);
    a.status(200);
    bool good = a.header("content-type", "application/connect+proto") && a.header("x-head", "1");
    Slice in{std::string_view(all)};
    while (good && in.size) {
      good = a.take(&in).ok();
      if (good && a.has_message()) a.reader().next();
    }
    Code code = a.finish().code();
    bool failed = fail_malloc_stop() != 0;
    assert_true(code == Code::kAborted || (failed && code == Code::kResourceExhausted));
    if (!failed) break;
  }
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(messages_are_cut_wrong),
      cmocka_unit_test(an_error_is_not_that_of_the_peer),
      cmocka_unit_test(a_broken_stream_ends_well),
      cmocka_unit_test(no_memory_is_a_clean_end),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
