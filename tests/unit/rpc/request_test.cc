// What a request's head amounts to: protocol, codec, coding, deadline, metadata, or why it is refused.
#include <zcrpc.h>

#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "rpc/request.h"
#include "support/codings.h"

extern "C" {
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
}

using namespace zcrpc;
using base::Code;
using compress::Coding;
using rpc::Codec;
using rpc::Protocol;
using rpc::Refusal;
using rpc::Request;

namespace {

using Headers = std::vector<std::pair<std::string, std::string>>;

Refusal ask(Request* r, bool http2, const char* method, const char* target, const Headers& headers, int32_t flags,
            const rpc::RequestRules& rules = {}) {
  r->clear();
  r->set_http2(http2);
  if (http2) {
    assert_true(r->add(":method", method));
    assert_true(r->add(":scheme", "http"));
    assert_true(r->add(":path", target));
    assert_true(r->add(":authority", "h"));
  } else {
    assert_true(r->set_line(method, target));
    assert_true(r->add("host", "h"));
  }
  for (auto& [n, v] : headers) assert_true(r->add(n, v));
  return r->classify(flags, rules);
}

void is_refused(const Refusal& f, int http, Code code, const char* message) {
  assert_int_equal(f.http, http);
  assert_int_equal(int(f.code), int(code));
  assert_string_equal(f.message, message);
}

void a_content_type_is_taken_for_another(void**) {
  Request r;
  struct {
    const char* type;
    bool http2;
    int http;  // of the refusal
    Protocol protocol;
    Codec codec;
  } cases[] = {
      {"application/proto", true, 0, Protocol::kConnect, Codec::kProto},
      {"application/proto", false, 0, Protocol::kConnect, Codec::kProto},
      {"application/json", true, 0, Protocol::kConnect, Codec::kJson},
      {"Application/JSON", false, 0, Protocol::kConnect, Codec::kJson},
      {"application/json; charset=utf-8", false, 0, Protocol::kConnect, Codec::kJson},
      {"application/json;charset=\"UTF-8\"", false, 0, Protocol::kConnect, Codec::kJson},
      {"application/json; charset=latin1", false, 415, Protocol::kNone, Codec::kJson},
      {"application/proto; charset=utf-8", false, 415, Protocol::kNone, Codec::kProto},
      {"application/grpc", true, 0, Protocol::kGrpc, Codec::kProto},
      {"application/grpc+proto", true, 0, Protocol::kGrpc, Codec::kProto},
      {"application/grpc+json", true, 0, Protocol::kGrpc, Codec::kJson},
      {"application/grpc+thrift", true, 200, Protocol::kGrpc, Codec::kProto},
      {"application/grpc", false, 505, Protocol::kNone, Codec::kProto},
      {"application/grpc-web", true, 0, Protocol::kGrpcWeb, Codec::kProto},
      {"application/grpc-web+proto", false, 0, Protocol::kGrpcWeb, Codec::kProto},
      {"application/grpc-web+json", false, 0, Protocol::kGrpcWeb, Codec::kJson},
      {"application/grpc-web-text", true, 0, Protocol::kGrpcWeb, Codec::kProto},
      {"application/grpc-web-text+json", true, 0, Protocol::kGrpcWeb, Codec::kJson},
      {"application/grpc-web+thrift", true, 200, Protocol::kGrpcWeb, Codec::kProto},
      {"application/grpc-webx", true, 415, Protocol::kNone, Codec::kProto},
      {"application/grpcx", true, 415, Protocol::kNone, Codec::kProto},
      {"application/grpc;x", true, 415, Protocol::kNone, Codec::kProto},
      {"application/connect+proto", true, 415, Protocol::kNone, Codec::kProto},
      {"application/protobuf", true, 415, Protocol::kNone, Codec::kProto},
      {"application/", true, 415, Protocol::kNone, Codec::kProto},
      {"text/json", true, 415, Protocol::kNone, Codec::kProto},
      {"json", true, 415, Protocol::kNone, Codec::kProto},
      {"", true, 415, Protocol::kNone, Codec::kProto},
  };
  for (auto& c : cases) {
    Refusal f = ask(&r, c.http2, "POST", "/p.S/M", {{"content-type", c.type}}, 0);
    if (f.http != c.http || r.protocol() != c.protocol) print_error("%s: %d\n", c.type, f.http);
    assert_int_equal(f.http, c.http);
    assert_int_equal(int(r.protocol()), int(c.protocol));
    if (c.http == 0) assert_int_equal(int(r.codec()), int(c.codec));
    if (c.http == 415) assert_true(f.accept_post);
  }
  is_refused(ask(&r, true, "POST", "/p.S/M", {}, 0), 415, Code::kUnknown, "unsupported content type");
  is_refused(ask(&r, true, "POST", "/p.S/M", {{"content-type", "application/proto"}, {"content-type", "application/json"}}, 0), 415,
             Code::kUnknown, "unsupported content type");
  is_refused(ask(&r, true, "POST", "/p.S/M", {{"content-type", "application/grpc+x"}}, 0), 200, Code::kUnimplemented, "unknown codec");
}

void an_unknown_path_or_method_gets_the_wrong_status(void**) {
  Request r;
  const Headers proto = {{"content-type", "application/proto"}}, grpc = {{"content-type", "application/grpc"}};
  is_refused(ask(&r, true, "POST", "/p.S/No", proto, -1), 404, Code::kUnimplemented, "unknown method");
  is_refused(ask(&r, false, "GET", "/", {}, -1), 404, Code::kUnimplemented, "unknown method");
  is_refused(ask(&r, true, "POST", "/p.S/No", grpc, -1), 200, Code::kUnimplemented, "unknown method");
  assert_int_equal(int(r.protocol()), int(Protocol::kGrpc));
  for (const char* m : {"GET", "HEAD", "OPTIONS", "PUT", "DELETE", "post"}) {
    Refusal f = ask(&r, true, m, "/p.S/M", proto, 0);
    is_refused(f, 405, Code::kUnimplemented, "method not allowed");
    assert_string_equal(f.allow, "POST");
  }
  Refusal f = ask(&r, false, "HEAD", "/p.S/M", {}, ZCRPC_METHOD_NO_SIDE_EFFECTS);
  assert_int_equal(f.http, 405);
  assert_string_equal(f.allow, "GET, POST");
  f = ask(&r, false, "GET", "/p.S/M?message=&encoding=proto", {}, ZCRPC_METHOD_IDEMPOTENT);
  assert_int_equal(f.http, 405);
  assert_string_equal(f.allow, "POST");
  // Streams of a unary protocol.
  assert_int_equal(ask(&r, true, "POST", "/p.S/M", proto, ZCRPC_METHOD_SERVER_STREAM).http, 415);
}

void a_stream_is_taken_for_a_unary_call(void**) {
  Request r;
  const int32_t both = ZCRPC_METHOD_CLIENT_STREAM | ZCRPC_METHOD_SERVER_STREAM;
  for (int32_t flags : {int32_t(ZCRPC_METHOD_CLIENT_STREAM), int32_t(ZCRPC_METHOD_SERVER_STREAM), both}) {
    for (bool http2 : {true, false}) {
      assert_false(bool(ask(&r, http2, "POST", "/p.S/M", {{"content-type", "application/connect+json"}, {"connect-timeout-ms", "7"}}, flags)));
      assert_int_equal(int(r.protocol()), int(Protocol::kConnectStream));
      assert_int_equal(int(r.codec()), int(Codec::kJson));
      assert_int_equal(r.timeout_ns(), 7000000);
      assert_true(r.streams());
      assert_false(bool(ask(&r, http2, "POST", "/p.S/M", {{"content-type", "application/grpc-web-text"}, {"grpc-timeout", "7m"}}, flags)));
      assert_int_equal(int(r.protocol()), int(Protocol::kGrpcWeb));
      assert_true(r.text());
      assert_int_equal(r.timeout_ns(), 7000000);
      for (const char* type : {"application/proto", "application/json", "application/connect", "application/connect+xml"})
        assert_int_equal(ask(&r, http2, "POST", "/p.S/M", {{"content-type", type}}, flags).http, 415);
      assert_int_equal(ask(&r, http2, "GET", "/p.S/M?encoding=json&message=", {}, flags).http, 405);
    }
    assert_false(bool(ask(&r, true, "POST", "/p.S/M", {{"content-type", "application/grpc"}}, flags)));
    assert_int_equal(ask(&r, false, "POST", "/p.S/M", {{"content-type", "application/grpc"}}, flags).http, 505);
  }
  // Streams have their own headers for codings; a unary call's are not looked at.
  assert_false(bool(ask(&r, true, "POST", "/p.S/M",
                        {{"content-type", "application/connect+proto"}, {"connect-content-encoding", "gzip"},
                         {"connect-accept-encoding", "lzma,gzip"}, {"content-encoding", "lzma"}, {"accept-encoding", "x"}}, both)));
  assert_int_equal(int(r.coding()), int(Coding::kGzip));
  assert_int_equal(r.accepted(), 3);
  assert_true(ask(&r, true, "POST", "/p.S/M", {{"content-type", "application/connect+proto"}, {"connect-content-encoding", "lzma"}}, both).accept_encoding);
  rpc::RequestRules strict;
  strict.require_connect_version = true;
  assert_int_equal(ask(&r, true, "POST", "/p.S/M", {{"content-type", "application/connect+proto"}}, both, strict).http, 200);
  // A path that nobody serves is told in the protocol's own words where it has some.
  is_refused(ask(&r, false, "POST", "/p.S/No", {{"content-type", "application/grpc-web"}}, -1), 200, Code::kUnimplemented, "unknown method");
  is_refused(ask(&r, false, "POST", "/p.S/No", {{"content-type", "application/connect+proto"}}, -1), 404, Code::kUnimplemented, "unknown method");
}

void the_protocol_version_is_ignored(void**) {
  Request r;
  rpc::RequestRules strict;
  strict.require_connect_version = true;
  const Headers bare = {{"content-type", "application/proto"}};
  Headers one = bare, two = bare;
  one.emplace_back("connect-protocol-version", "1");
  two.emplace_back("connect-protocol-version", "2");
  assert_false(bool(ask(&r, true, "POST", "/p.S/M", bare, 0)));
  assert_false(bool(ask(&r, true, "POST", "/p.S/M", one, 0, strict)));
  is_refused(ask(&r, true, "POST", "/p.S/M", bare, 0, strict), 200, Code::kInvalidArgument,
             "missing required header: set connect-protocol-version to \"1\"");
  is_refused(ask(&r, true, "POST", "/p.S/M", two, 0), 200, Code::kInvalidArgument, "connect-protocol-version must be \"1\"");
  const int32_t get = ZCRPC_METHOD_NO_SIDE_EFFECTS;
  assert_false(bool(ask(&r, true, "GET", "/p.S/M?connect=v1&encoding=proto&message=", {}, get, strict)));
  is_refused(ask(&r, true, "GET", "/p.S/M?encoding=proto&message=", {}, get, strict), 200, Code::kInvalidArgument,
             "missing required query parameter: set connect to \"v1\"");
  is_refused(ask(&r, true, "GET", "/p.S/M?connect=v2&encoding=proto&message=", {}, get), 200, Code::kInvalidArgument,
             "query parameter connect must be \"v1\"");
}

void a_timeout_is_misread(void**) {
  Request r;
  auto connect = [&](const char* v) { return ask(&r, true, "POST", "/p.S/M", {{"content-type", "application/proto"}, {"connect-timeout-ms", v}}, 0); };
  auto grpc = [&](const char* v) { return ask(&r, true, "POST", "/p.S/M", {{"content-type", "application/grpc"}, {"grpc-timeout", v}}, 0); };
  assert_false(bool(connect("1500")));
  assert_int_equal(r.timeout_ns(), 1500000000);
  assert_false(bool(connect("0")));
  assert_int_equal(r.timeout_ns(), 0);
  assert_false(bool(connect("9999999999")));
  assert_int_equal(r.timeout_ns(), 9999999999 * 1000000);
  for (const char* bad : {"", "-1", "1.5", "1s", "12345678901", " 1"}) {
    is_refused(connect(bad), 200, Code::kInvalidArgument, ("broken timeout: connect-timeout-ms: \"" + std::string(bad) + "\"").c_str());
  }
  // What is shown of it can be shown.
  is_refused(connect("1\xff\x01\n"), 200, Code::kInvalidArgument, "broken timeout: connect-timeout-ms: \"1???\"");
  is_refused(connect("12345678901234567890123456"), 200, Code::kInvalidArgument, "broken timeout: connect-timeout-ms: \"12345678901234567890...\"");
  is_refused(connect("12345678901234567890123"), 200, Code::kInvalidArgument, "broken timeout: connect-timeout-ms: \"12345678901234567890123\"");
  assert_false(bool(grpc("20m")));
  assert_int_equal(r.timeout_ns(), 20000000);
  is_refused(grpc("20"), 200, Code::kInvalidArgument, "broken timeout: grpc-timeout: \"20\"");
  is_refused(ask(&r, true, "POST", "/p.S/M", {{"content-type", "application/grpc"}, {"grpc-timeout", "1x"}, {"connect-timeout-ms", "2x"}}, 0), 200,
             Code::kInvalidArgument, "broken timeout: grpc-timeout: \"1x\"");
  // Each protocol has its own header.
  assert_false(bool(ask(&r, true, "POST", "/p.S/M", {{"content-type", "application/grpc"}, {"connect-timeout-ms", "x"}}, 0)));
  assert_int_equal(r.timeout_ns(), rpc::kNoTimeout);
}

void codings_are_negotiated_wrong(void**) {
  Request r;
  auto connect = [&](Headers h) {
    h.emplace_back("content-type", "application/proto");
    return ask(&r, true, "POST", "/p.S/M", h, 0);
  };
  assert_false(bool(connect({})));
  assert_int_equal(r.accepted(), 1);
  assert_int_equal(int(r.preferred()), int(Coding::kIdentity));
  assert_false(bool(connect({{"content-encoding", "gzip"}})));
  assert_int_equal(int(r.coding()), int(Coding::kGzip));
  assert_int_equal(int(r.preferred()), int(Coding::kGzip));  // it listed nothing: what it used it knows
  assert_false(bool(connect({{"content-encoding", "gzip"}, {"accept-encoding", "identity"}})));
  assert_int_equal(int(r.preferred()), int(Coding::kIdentity));
  assert_int_equal(r.accepted(), 1);
  assert_false(bool(connect({{"accept-encoding", "lzma, xz , gzip"}})));
  assert_int_equal(r.accepted(), 3);
  assert_int_equal(int(r.preferred()), int(Coding::kGzip));
  assert_false(bool(connect({{"accept-encoding", "identity, gzip"}})));
  assert_int_equal(int(r.preferred()), int(Coding::kIdentity));  // in the order of the list
  assert_int_equal(r.accepted(), 3);
  assert_false(bool(connect({{"accept-encoding", "gzip;q=0, br;q=0.00, xz"}})));
  assert_int_equal(r.accepted(), 1);
  assert_false(bool(connect({{"accept-encoding", "br;q=0.5, zstd;q=1.0, gzip"}})));  // weights but zero do not count
  assert_int_equal(r.accepted(), 1 CODING_BROTLI(| bit(Coding::kBr)) CODING_ZSTD(| bit(Coding::kZstd)) | bit(Coding::kGzip));
#ifdef TEST_BROTLI
  assert_int_equal(int(r.preferred()), int(Coding::kBr));
#endif
  Refusal f = connect({{"content-encoding", "zstd9"}});
  is_refused(f, 200, Code::kUnimplemented, "unknown compression: supported are " CODINGS " and identity");
  assert_true(f.accept_encoding);
  assert_int_equal(connect({{"content-encoding", "gzip, gzip"}}).http, 200);
  assert_int_equal(connect({{"content-encoding", "gzip"}, {"content-encoding", "gzip"}}).http, 200);
  auto grpc = [&](Headers h) {
    h.emplace_back("content-type", "application/grpc");
    return ask(&r, true, "POST", "/p.S/M", h, 0);
  };
  assert_false(bool(grpc({{"grpc-encoding", "gzip"}, {"grpc-accept-encoding", "identity,xz,gzip"}})));
  assert_int_equal(int(r.coding()), int(Coding::kGzip));
  assert_true(r.coding_named());
  assert_int_equal(r.accepted(), 3);
  assert_false(bool(grpc({{"content-encoding", "lzma"}, {"accept-encoding", "br"}})));  // not gRPC's headers
  assert_false(r.coding_named());
  is_refused(grpc({{"grpc-encoding", "lzma"}}), 200, Code::kUnimplemented, "unknown compression: supported are " CODINGS " and identity");
}

void a_query_is_misread(void**) {
  Request r;
  const int32_t get = ZCRPC_METHOD_NO_SIDE_EFFECTS;
  assert_false(bool(ask(&r, false, "GET", "/p.S/M?message=eyJ9&unknown=1&base64=1&encoding=json&connect=v1&compression=gzip", {}, get)));
  assert_int_equal(int(r.protocol()), int(Protocol::kConnectGet));
  assert_true(r.path() == "/p.S/M");
  assert_true(r.get_message() == "eyJ9");
  assert_true(r.get_base64());
  assert_int_equal(int(r.codec()), int(Codec::kJson));
  assert_int_equal(int(r.coding()), int(Coding::kGzip));
  assert_false(bool(ask(&r, true, "GET", "/p.S/M?encoding=proto&message=&message=x&base64=0", {{"connect-timeout-ms", "5"}}, get)));
  assert_true(r.get_message().empty());
  assert_false(r.get_base64());
  assert_int_equal(r.timeout_ns(), 5000000);
  assert_false(bool(ask(&r, true, "GET", "/p.S/M?encoding=json&message=a=b", {}, get)));
  assert_true(r.get_message() == "a=b");
  is_refused(ask(&r, true, "GET", "/p.S/M?encoding=json", {}, get), 200, Code::kInvalidArgument, "missing query parameter: message");
  is_refused(ask(&r, true, "GET", "/p.S/M?encoding=xml&message=", {}, get), 415, Code::kUnknown, "unsupported content type");
  is_refused(ask(&r, true, "GET", "/p.S/M", {}, get), 415, Code::kUnknown, "unsupported content type");
  is_refused(ask(&r, true, "GET", "/p.S/M?encoding=json&message=&compression=zip", {}, get), 200, Code::kUnimplemented, "unknown compression: supported are " CODINGS " and identity");
  assert_false(bool(ask(&r, true, "POST", "/p.S/M?x", {{"content-type", "application/proto"}}, get)));
  assert_true(r.path() == "/p.S/M" && r.query() == "x");
  assert_true(r.get_message().empty());
}

void handlers_see_what_is_not_theirs(void**) {
  Request r;
  ask(&r, false, "POST", "/p.S/M",
      {{"content-type", "application/proto"}, {"content-length", "77"}, {"content-encoding", "gzip"}, {"connection", "close"},
       {"te", "trailers"}, {"transfer-encoding", "chunked"}, {"upgrade", "h2c"}, {"keep-alive", "1"}, {"proxy-connection", "x"},
       {"connect-timeout-ms", "1"}, {"connect-anything", "x"}, {"grpc-timeout", "1S"}, {"grpc-tags-bin", "AA"}, {"accept-encoding", "gzip"},
       {"trailer-x", "y"}, {"expect", "100-continue"}, {"date", "now"},
       {"user-agent", "curl"}, {"authorization", " Bearer x "}, {"x-bin", "AAE=, AgM"}, {"y-bin", "AAE"}, {"z-bin", "!"}, {"x", "1"}, {"x", "2, 3"}},
      0);
  const base::Metadata& m = r.metadata();
  std::string all;
  for (size_t i = 0; i < m.size(); i++) all += std::string(m.name(i)) + "=" + std::string(m.value(i).text()) + ";";
  const char text[] = "user-agent=curl;authorization=Bearer x;x-bin=\0\1;x-bin=\2\3;y-bin=\0\1;x=1;x=2, 3;";
  const std::string expected(text, sizeof text - 1);
  assert_int_equal(all.size(), expected.size());
  assert_true(all == expected);
  assert_int_equal(r.content_length(), 77);
}

void a_request_remembers_the_one_before(void**) {
  Request r;
  ask(&r, true, "GET", "/p.S/M?encoding=json&message=abc&base64=1&compression=gzip",
      {{"connect-timeout-ms", "5"}, {"a", "b"}, {"content-length", "5"}, {"connect-protocol-version", "2"}}, ZCRPC_METHOD_NO_SIDE_EFFECTS);
  assert_false(bool(ask(&r, false, "POST", "/p.S/N", {{"content-type", "application/proto"}}, 0)));
  assert_int_equal(int(r.protocol()), int(Protocol::kConnect));
  assert_true(r.path() == "/p.S/N" && r.query().empty() && r.get_message().empty() && !r.get_base64() && !r.http2());
  assert_int_equal(r.timeout_ns(), rpc::kNoTimeout);
  assert_int_equal(int(r.coding()), int(Coding::kIdentity));
  assert_int_equal(r.metadata().size(), 0);
  assert_int_equal(r.content_length(), -1);
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(a_content_type_is_taken_for_another),
      cmocka_unit_test(an_unknown_path_or_method_gets_the_wrong_status),
      cmocka_unit_test(a_stream_is_taken_for_a_unary_call),
      cmocka_unit_test(the_protocol_version_is_ignored),
      cmocka_unit_test(a_timeout_is_misread),
      cmocka_unit_test(codings_are_negotiated_wrong),
      cmocka_unit_test(a_query_is_misread),
      cmocka_unit_test(handlers_see_what_is_not_theirs),
      cmocka_unit_test(a_request_remembers_the_one_before),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
