// A server's answers, byte for byte.
#include <zcrpc.h>

#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "rpc/message.h"
#include "rpc/reply.h"
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
using base::Metadata;
using base::Slice;
using base::Status;
using compress::Coding;
using rpc::Reply;
using rpc::Request;

namespace {

void ask(Request* r, bool http2, const char* type, const char* target = "/p.S/M") {
  r->clear();
  r->set_http2(http2);
  assert_true(r->set_line(*type ? "POST" : "GET", target));
  if (*type) assert_true(r->add("content-type", type));
  (void)r->classify(ZCRPC_METHOD_NO_SIDE_EFFECTS, {});
}

std::string lines(std::span<const base::Header> list) {
  std::string s;
  for (const base::Header& h : list) s += std::string(h.name) + ": " + std::string(h.value) + "\n";
  return s;
}

void is(const Reply& reply, int status, const char* headers, const char* body, const char* trailers) {
  assert_int_equal(reply.status(), status);
  assert_string_equal(lines(reply.headers()).c_str(), headers);
  assert_string_equal(std::string(reply.body().text()).c_str(), body);
  assert_string_equal(lines(reply.trailers()).c_str(), trailers);
}

void fill(Metadata* headers, Metadata* trailers) {
  assert_true(headers->add("x-a", Slice(std::string_view("1"))));
  assert_true(headers->add("x-a", Slice(std::string_view("2"))));
  assert_true(trailers->add("t-bin", Slice("\0\x01\xFF\xFE", 4)));
}

void an_ok_answer_is_framed_wrong(void**) {
  Request r;
  Reply reply;
  Metadata h, t;
  fill(&h, &t);
  ask(&r, true, "application/proto");
  assert_true(reply.ok(r, 13, Coding::kIdentity, nullptr, nullptr).ok());
  is(reply, 200, "content-type: application/proto\ncontent-length: 13\n", "", "");
  assert_int_equal(reply.prefix().size, 0);
  assert_false(reply.is_error());
  assert_true(reply.ok(r, 0, Coding::kGzip, &h, &t).ok());
  is(reply, 200,
     "content-type: application/proto\ncontent-length: 0\ncontent-encoding: gzip\nx-a: 1\nx-a: 2\ntrailer-t-bin: AAH//g\n", "", "");
  ask(&r, false, "application/json");
  assert_true(reply.ok(r, 2, Coding::kIdentity, nullptr, nullptr).ok());
  is(reply, 200, "content-type: application/json\ncontent-length: 2\n", "", "");
  ask(&r, false, "", "/p.S/M?encoding=json&message=");
  assert_true(reply.ok(r, 2, Coding::kIdentity, nullptr, nullptr).ok());
  is(reply, 200, "content-type: application/json\ncontent-length: 2\nvary: accept-encoding\n", "", "");
  ask(&r, true, "application/grpc");
  assert_true(reply.ok(r, 0x01020304, Coding::kIdentity, &h, &t).ok());
  is(reply, 200, "content-type: application/grpc\nx-a: 1\nx-a: 2\n", "", "grpc-status: 0\nt-bin: AAH//g\n");
  assert_int_equal(reply.prefix().size, 5);
  assert_memory_equal(reply.prefix().data, "\0\1\2\3\4", 5);
  ask(&r, true, "application/grpc+json");
  assert_true(reply.ok(r, 7, Coding::kGzip, nullptr, nullptr).ok());
  is(reply, 200, "content-type: application/grpc+json\ngrpc-encoding: gzip\n", "", "grpc-status: 0\n");
  assert_memory_equal(reply.prefix().data, "\1\0\0\0\7", 5);
  if constexpr (sizeof(size_t) > 4) {
    assert_int_equal(int(reply.ok(r, size_t(UINT32_MAX) + 1, Coding::kIdentity, nullptr, nullptr).code()), int(Code::kResourceExhausted));
  }
}

void an_error_loses_what_the_handler_said(void**) {
  Request r;
  Reply reply;
  Metadata h, t;
  fill(&h, &t);
  Status s(Code::kNotFound, "caf\xC3\xA9 \"100%\"\n");
  assert_true(s.error()->add_detail("google.rpc.BadRequest", Slice("\x0a\x03xyz", 5)));
  assert_true(s.error()->metadata()->add("e", Slice(std::string_view("m"))));
  ask(&r, true, "application/proto");
  assert_true(reply.error(r, *s.error(), &h, &t).ok());
  is(reply, 404,
     "content-type: application/json\ncontent-length: 112\nx-a: 1\nx-a: 2\ntrailer-t-bin: AAH//g\ntrailer-e: m\n",
     "{\"code\":\"not_found\",\"message\":\"caf\xC3\xA9 \\\"100%\\\"\\n\",\"details\":[{\"type\":\"google.rpc.BadRequest\",\"value\":\"CgN4eXo\"}]}", "");
  assert_int_equal(reply.body().size, 112);
  assert_true(reply.is_error());
  // Trailers-only: everything in one head.
  ask(&r, true, "application/grpc+proto");
  assert_true(reply.error(r, *s.error(), &h, &t).ok());
  is(reply, 200,
     "content-type: application/grpc+proto\nx-a: 1\nx-a: 2\nt-bin: AAH//g\ne: m\ngrpc-status: 5\n"
     "grpc-message: caf%C3%A9 \"100%25\"%0A\n"
     "grpc-status-details-bin: CAUSDWNhZsOpICIxMDAlIgoaMgopdHlwZS5nb29nbGVhcGlzLmNvbS9nb29nbGUucnBjLkJhZFJlcXVlc3QSBQoDeHl6\n",
     "", "");
  assert_int_equal(reply.prefix().size, 0);
  assert_true(reply.error(r, Code::kInternal, "").ok());
  is(reply, 200, "content-type: application/grpc+proto\ngrpc-status: 13\n", "", "");
  // Codes that are nobody's business outside.
  assert_true(reply.error(r, Code::kPending, "x").ok());
  is(reply, 200, "content-type: application/grpc+proto\ngrpc-status: 2\ngrpc-message: x\n", "", "");
  ask(&r, false, "application/json");
  assert_true(reply.error(r, Code::kPending, "").ok());
  is(reply, 500, "content-type: application/json\ncontent-length: 18\n", "{\"code\":\"unknown\"}", "");
  ask(&r, false, "", "/p.S/M?encoding=json&message=");
  assert_true(reply.error(r, Code::kUnavailable, "").ok());
  is(reply, 503, "content-type: application/json\ncontent-length: 22\nvary: accept-encoding\n", "{\"code\":\"unavailable\"}", "");
}

void every_code_has_its_status(void**) {
  const int expected[] = {0, 499, 500, 400, 504, 404, 409, 403, 429, 400, 409, 400, 501, 500, 503, 500, 401};
  Request r;
  Reply reply;
  for (int c = 1; c <= 16; c++) {
    ask(&r, true, "application/proto");
    assert_true(reply.error(r, Code(c), "").ok());
    assert_int_equal(reply.status(), expected[c]);
    ask(&r, true, "application/grpc");
    assert_true(reply.error(r, Code(c), "").ok());
    assert_int_equal(reply.status(), 200);
    assert_string_equal(lines(reply.headers()).c_str(), ("content-type: application/grpc\ngrpc-status: " + std::to_string(c) + "\n").c_str());
  }
}

void a_refusal_does_not_say_what_would_do(void**) {
  Request r;
  Reply reply;
  auto refuse = [&](bool http2, const char* method, std::vector<std::pair<const char*, const char*>> headers, int32_t flags) {
    r.clear();
    r.set_http2(http2);
    assert_true(r.set_line(method, "/p.S/M?encoding=json"));
    for (auto& [n, v] : headers) assert_true(r.add(n, v));
    assert_true(reply.refuse(r, r.classify(flags, {})).ok());
  };
  refuse(true, "POST", {{"content-type", "text/plain"}}, 0);
  is(reply, 415, "content-length: 0\naccept-post: application/grpc, application/grpc+json, application/grpc+proto, application/grpc-web, application/grpc-web+json, application/grpc-web+proto, application/grpc-web-text, application/grpc-web-text+json, application/grpc-web-text+proto, application/json, application/proto\n", "", "");
  refuse(false, "POST", {}, 0);
  is(reply, 415, "content-length: 0\naccept-post: application/grpc-web, application/grpc-web+json, application/grpc-web+proto, application/grpc-web-text, application/grpc-web-text+json, application/grpc-web-text+proto, application/json, application/proto\n", "", "");
  refuse(false, "OPTIONS", {}, ZCRPC_METHOD_NO_SIDE_EFFECTS);
  is(reply, 405, "content-length: 0\nallow: GET, POST\n", "", "");
  refuse(false, "POST", {{"content-type", "application/proto"}}, -1);
  is(reply, 404, "content-length: 0\n", "", "");
  refuse(true, "POST", {{"content-type", "application/grpc"}}, -1);
  is(reply, 200, "content-type: application/grpc\ngrpc-status: 12\ngrpc-message: unknown method\n", "", "");
  refuse(true, "POST", {{"content-type", "application/grpc"}, {"grpc-encoding", "br9"}}, 0);
  is(reply, 200, "content-type: application/grpc\ngrpc-status: 12\ngrpc-message: unknown compression: supported are " CODINGS " and identity\ngrpc-accept-encoding: " CODINGS "\n", "", "");
  refuse(false, "POST", {{"content-type", "application/proto"}, {"content-encoding", "br9"}}, 0);
  is(reply, 501, ("content-type: application/json\ncontent-length: " + std::to_string(85 + strlen(CODINGS)) + "\naccept-encoding: " CODINGS "\n").c_str(),
     "{\"code\":\"unimplemented\",\"message\":\"unknown compression: supported are " CODINGS " and identity\"}", "");
  refuse(false, "GET", {}, ZCRPC_METHOD_NO_SIDE_EFFECTS);
  is(reply, 400, "content-type: application/json\ncontent-length: 72\nvary: accept-encoding\n",
     "{\"code\":\"invalid_argument\",\"message\":\"missing query parameter: message\"}", "");
  refuse(false, "POST", {{"content-type", "application/grpc"}}, 0);
  is(reply, 505, "content-length: 0\n", "", "");
  reply.bare(503);
  is(reply, 503, "content-length: 0\n", "", "");
}

void metadata_split_the_answer(void**) {
  Request r;
  Reply reply;
  ask(&r, false, "application/proto");
  struct {
    const char *name, *value;
  } bad[] = {{"x", "a\r\nset-cookie: b"}, {"x", "a\nb"}, {"x", "\x01"}, {"x", "caf\xC3\xA9"}, {"x", " a"}, {"x", "a "}, {"X", "a"}, {"x y", "a"},
             {"x:", "a"}, {"", "a"}, {":status", "500"}, {"content-length", "5"}, {"content-type", "x"}, {"connection", "close"}, {"grpc-status", "0"},
             {"connect-x", "y"}, {"trailer-x", "y"}, {"transfer-encoding", "chunked"}, {"te", "x"}, {"host", "x"}};
  for (auto& b : bad) {
    Metadata m;
    assert_true(m.add(b.name, Slice(std::string_view(b.value))));
    assert_true(m.add("good", Slice(std::string_view("yes"))));
    assert_int_equal(int(reply.ok(r, 0, Coding::kIdentity, &m, nullptr).code()), int(Code::kInvalidArgument));
    assert_int_equal(int(reply.ok(r, 0, Coding::kIdentity, nullptr, &m).code()), int(Code::kInvalidArgument));
    Status s(Code::kInternal, "");
    assert_true(reply.error(r, *s.error(), &m, nullptr).ok());  // an error can always be told
    is(reply, 500, "content-type: application/json\ncontent-length: 19\ngood: yes\n", "{\"code\":\"internal\"}", "");
  }
  Metadata m;
  assert_true(m.add("x-bin", Slice(std::string_view("\r\n"))));
  assert_true(m.add("empty", Slice()));
  assert_true(reply.ok(r, 0, Coding::kIdentity, &m, nullptr).ok());
  is(reply, 200, "content-type: application/proto\ncontent-length: 0\nx-bin: DQo\nempty: \n", "", "");
}

// ---- gRPC-Web, and streams

std::string frame(uint8_t flags, const std::string& s) {
  uint8_t head[5];
  rpc::write_envelope(head, flags, uint32_t(s.size()));
  return std::string(reinterpret_cast<char*>(head), 5) + s;
}

void is_body(const Reply& reply, const std::string& expected) {
  std::string got(reply.body().text());
  if (got != expected) print_error("%s\n", got.c_str());
  assert_true(got == expected);
}

void ask_stream(Request* r, bool http2, const char* type) {
  r->clear();
  r->set_http2(http2);
  assert_true(r->set_line("POST", "/p.S/M"));
  assert_true(r->add("content-type", type));
  assert_false(bool(r->classify(ZCRPC_METHOD_CLIENT_STREAM | ZCRPC_METHOD_SERVER_STREAM, {})));
}

void a_grpc_web_answer_lacks_its_trailers(void**) {
  Request r;
  Reply reply;
  Metadata h, t;
  fill(&h, &t);
  ask(&r, false, "application/grpc-web+proto");
  assert_true(reply.ok(r, 3, Coding::kIdentity, &h, &t).ok());
  std::string tail = frame(0x80, "grpc-status: 0\r\nt-bin: AAH//g\r\n");
  assert_int_equal(reply.status(), 200);
  assert_string_equal(lines(reply.headers()).c_str(), ("content-type: application/grpc-web+proto\ncontent-length: " +
                                                       std::to_string(5 + 3 + tail.size()) + "\nx-a: 1\nx-a: 2\n").c_str());
  assert_true(reply.prefix().text() == std::string_view("\0\0\0\0\3", 5));
  is_body(reply, tail);
  assert_int_equal(reply.trailers().size(), 0);
  // As text: message and trailers are one base64.
  ask(&r, false, "application/grpc-web-text");
  assert_true(reply.ok(r, 3, Coding::kIdentity, nullptr, nullptr).ok());
  base::Piece piece{Slice(std::string_view("abc")), nullptr};
  assert_true(reply.as_text({&piece, 1}).ok());
  assert_int_equal(reply.prefix().size, 0);
  is_body(reply, "AAAAAANhYmOAAAAAEGdycGMtc3RhdHVzOiAwDQo=");
  assert_string_equal(lines(reply.headers()).c_str(), "content-type: application/grpc-web-text\ncontent-length: 40\n");
  // An error has its trailers in the body too, whoever may read headers.
  Status s(Code::kNotFound, "no 100% \xC3\xA9");
  ask(&r, true, "application/grpc-web");
  assert_true(reply.error(r, *s.error(), &h, &t).ok());
  assert_string_equal(lines(reply.headers()).c_str(), "content-type: application/grpc-web\ncontent-length: 68\nx-a: 1\nx-a: 2\n");
  is_body(reply, frame(0x80, "grpc-status: 5\r\ngrpc-message: no 100%25 %C3%A9\r\nt-bin: AAH//g\r\n"));
  assert_true(reply.is_error());
}

void a_stream_has_no_end(void**) {
  Request r;
  Reply reply;
  Metadata h, t;
  fill(&h, &t);
  assert_true(t.add("t-a", Slice(std::string_view("1"))));
  assert_true(t.add("u", Slice(std::string_view("\"quoted\""))));
  assert_true(t.add("t-a", Slice(std::string_view("2"))));
  Status s(Code::kNotFound, "gone");
  assert_true(s.error()->add_detail("a.B", Slice(std::string_view("\1\2"))));
  for (bool http2 : {true, false}) {
    ask_stream(&r, http2, "application/connect+json");
    assert_true(reply.begin_stream(r, Coding::kGzip, &h).ok());
    is(reply, 200, "content-type: application/connect+json\nconnect-content-encoding: gzip\nx-a: 1\nx-a: 2\n", "", "");
    assert_true(reply.end_stream(r, nullptr, nullptr).ok());
    is_body(reply, frame(2, "{}"));
    assert_true(reply.end_stream(r, nullptr, &t).ok());
    is_body(reply, frame(2, "{\"metadata\":{\"t-bin\":[\"AAH//g\"],\"t-a\":[\"1\",\"2\"],\"u\":[\"\\\"quoted\\\"\"]}}"));
    assert_true(reply.end_stream(r, s.error(), &t).ok());
    is_body(reply, frame(2, "{\"error\":{\"code\":\"not_found\",\"message\":\"gone\",\"details\":[{\"type\":\"a.B\",\"value\":\"AQI\"}]},"
                            "\"metadata\":{\"t-bin\":[\"AAH//g\"],\"t-a\":[\"1\",\"2\"],\"u\":[\"\\\"quoted\\\"\"]}}"));
    // The head is where it was: HTTP/2 may not have sent it yet.
    assert_string_equal(lines(reply.headers()).c_str(), "content-type: application/connect+json\nconnect-content-encoding: gzip\nx-a: 1\nx-a: 2\n");
    assert_int_equal(reply.trailers().size(), 0);
  }
  ask_stream(&r, true, "application/grpc");
  assert_true(reply.begin_stream(r, Coding::kGzip, nullptr).ok());
  is(reply, 200, "content-type: application/grpc\ngrpc-encoding: gzip\n", "", "");
  assert_true(reply.end_stream(r, nullptr, &t).ok());
  is(reply, 200, "content-type: application/grpc\ngrpc-encoding: gzip\n", "", "grpc-status: 0\nt-bin: AAH//g\nt-a: 1\nu: \"quoted\"\nt-a: 2\n");
  assert_true(reply.end_stream(r, s.error(), nullptr).ok());
  assert_string_equal(lines(reply.trailers()).c_str(),
                      "grpc-status: 5\ngrpc-message: gone\ngrpc-status-details-bin: CAUSBGdvbmUaHQoXdHlwZS5nb29nbGVhcGlzLmNvbS9hLkISAgEC\n");
  ask_stream(&r, false, "application/grpc-web-text+json");
  assert_true(reply.begin_stream(r, Coding::kIdentity, nullptr).ok());
  is(reply, 200, "content-type: application/grpc-web-text+json\n", "", "");
  assert_true(reply.end_stream(r, nullptr, nullptr).ok());
  is_body(reply, "gAAAABBncnBjLXN0YXR1czogMA0K");
}

void an_error_before_the_first_message_is_no_stream(void**) {
  Request r;
  Reply reply;
  Metadata h, t;
  fill(&h, &t);
  Status s(Code::kNotFound, "gone");
  ask_stream(&r, false, "application/connect+proto");
  assert_true(reply.error(r, *s.error(), &h, &t).ok());
  assert_int_equal(reply.status(), 200);
  std::string body = frame(2, "{\"error\":{\"code\":\"not_found\",\"message\":\"gone\"},\"metadata\":{\"t-bin\":[\"AAH//g\"]}}");
  is_body(reply, body);
  assert_string_equal(lines(reply.headers()).c_str(),
                      ("content-type: application/connect+proto\ncontent-length: " + std::to_string(body.size()) + "\nx-a: 1\nx-a: 2\n").c_str());
  ask_stream(&r, true, "application/grpc+proto");
  assert_true(reply.error(r, *s.error(), &h, &t).ok());
  is(reply, 200, "content-type: application/grpc+proto\nx-a: 1\nx-a: 2\nt-bin: AAH//g\ngrpc-status: 5\ngrpc-message: gone\n", "", "");
}

void an_answer_costs_allocations(void**) {
  Request r;
  Reply reply;
  Status s(Code::kNotFound, "gone");
  for (int i = 0; i < 20; i++) {
    fail_malloc_at(0);
    for (const char* type : {"application/proto", "application/grpc"}) {
      r.clear();
      r.set_http2(true);
      bool ok = r.set_line("POST", "/p.S/M") && r.add("content-type", type) && r.add("user-agent", "x") && r.add("te", "trailers");
      assert_true(ok && !r.classify(0, {}));
      assert_true(reply.ok(r, 13, Coding::kIdentity, &r.metadata(), nullptr).ok());
      assert_true(reply.error(r, *s.error(), nullptr, nullptr).ok());
    }
    long n = fail_malloc_count();
    fail_malloc_stop();
    if (i > 2) assert_int_equal(n, 0);
  }
}

void a_lack_of_memory_crashes_or_leaks(void**) {
  Status s(Code::kNotFound, "\n");
  assert_true(s.error()->add_detail("a.B", Slice("abc", 3)));
  for (long n = 1;; n++) {
    assert_true(n < 200);
    long before = fail_malloc_live();
    bool ok = true;
    Code last = Code::kOk;
    fail_malloc_at(n);
    {
      Request r;
      Reply reply;
      for (const char* type : {"application/proto", "application/grpc"}) {
        r.clear();
        r.set_http2(true);
        ok = ok && r.set_line("POST", "/p.S/M") && r.add("content-type", type) && r.add("x-bin", "AAAA,AAAA");
        if (!ok) break;
        (void)r.classify(0, {});
        if (last == Code::kOk) last = reply.ok(r, 13, Coding::kIdentity, &r.metadata(), &r.metadata()).code();
        if (last == Code::kOk) last = reply.error(r, *s.error(), nullptr, nullptr).code();
      }
    }
    int failed = fail_malloc_stop();
    assert_int_equal(fail_malloc_live(), before);
    if (!failed) break;
    // An arena that cannot have a large block makes do with a smaller one.
    assert_true(!ok || last == Code::kResourceExhausted || last == Code::kOk);
  }
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(an_ok_answer_is_framed_wrong),
      cmocka_unit_test(an_error_loses_what_the_handler_said),
      cmocka_unit_test(every_code_has_its_status),
      cmocka_unit_test(a_refusal_does_not_say_what_would_do),
      cmocka_unit_test(metadata_split_the_answer),
      cmocka_unit_test(a_grpc_web_answer_lacks_its_trailers),
      cmocka_unit_test(a_stream_has_no_end),
      cmocka_unit_test(an_error_before_the_first_message_is_no_stream),
      cmocka_unit_test(an_answer_costs_allocations),
      cmocka_unit_test(a_lack_of_memory_crashes_or_leaks),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
