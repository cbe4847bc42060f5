// Codes, timeouts, percent-encoding, google.rpc.Status, Connect's error JSON, metadata.
#include <zcrpc.h>

#include <cstring>
#include <string>

#include "rpc/connect.h"
#include "rpc/grpc.h"
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
using base::Error;
using base::Slice;
using base::Status;

namespace {

Slice s(std::string_view v) { return Slice(v); }

void a_status_maps_to_the_wrong_code(void**) {
  struct {
    int http;
    Code connect, grpc;
  } cases[] = {
      {400, Code::kInternal, Code::kInternal},           {401, Code::kUnauthenticated, Code::kUnauthenticated},
      {403, Code::kPermissionDenied, Code::kPermissionDenied}, {404, Code::kUnimplemented, Code::kUnimplemented},
      {429, Code::kUnavailable, Code::kUnavailable},     {502, Code::kUnavailable, Code::kUnavailable},
      {503, Code::kUnavailable, Code::kUnavailable},     {504, Code::kUnavailable, Code::kUnavailable},
      {409, Code::kUnknown, Code::kUnknown},             {412, Code::kUnknown, Code::kUnknown},
      {413, Code::kUnknown, Code::kUnknown},             {415, Code::kUnknown, Code::kUnknown},
      {418, Code::kUnknown, Code::kUnknown},             {431, Code::kUnknown, Code::kInternal},
      {505, Code::kUnknown, Code::kUnknown},             {800, Code::kUnknown, Code::kUnknown},
      {500, Code::kUnknown, Code::kUnknown},             {200, Code::kUnknown, Code::kUnknown},
  };
  for (auto& c : cases) {
    assert_int_equal(int(rpc::code_from_http(c.http)), int(c.connect));
    assert_int_equal(int(rpc::code_from_http_grpc(c.http)), int(c.grpc));
  }
  assert_int_equal(int(rpc::code_from_reset(7)), int(Code::kUnavailable));
  assert_int_equal(int(rpc::code_from_reset(8)), int(Code::kCanceled));
  assert_int_equal(int(rpc::code_from_reset(11)), int(Code::kResourceExhausted));
  assert_int_equal(int(rpc::code_from_reset(12)), int(Code::kPermissionDenied));
  for (uint32_t e : {0u, 1u, 2u, 3u, 5u, 13u, 99u}) assert_int_equal(int(rpc::code_from_reset(e)), int(Code::kInternal));
}

void a_timeout_overflows_or_shrinks(void**) {
  int64_t ns;
  struct {
    const char* text;
    int64_t ns;  // -1: refused
  } grpc[] = {{"1n", 1}, {"99999999n", 99999999}, {"1u", 1000}, {"1m", 1000000}, {"1S", 1000000000}, {"1M", 60000000000}, {"1H", 3600000000000},
              {"0S", 0}, {"00000001S", 1000000000}, {"2562047H", 2562047 * 3600000000000}, {"2562048H", rpc::kNoTimeout}, {"99999999H", rpc::kNoTimeout},
              {"123456789S", -1}, {"", -1}, {"S", -1}, {"1", -1}, {"1s", -1}, {"1h", -1}, {"-1S", -1}, {"+1S", -1}, {"1 S", -1}, {"1.5S", -1}, {"1SS", -1}};
  for (auto& c : grpc) {
    bool ok = rpc::read_grpc_timeout(c.text, &ns);
    assert_int_equal(ok, c.ns >= 0);
    if (ok) assert_int_equal(ns, c.ns);
  }
  assert_true(rpc::read_connect_timeout("9999999999", &ns));
  assert_int_equal(ns, 9999999999000000);
  assert_false(rpc::read_connect_timeout("99999999999", &ns));
  char out[rpc::kMaxTimeout];
  auto grpc_text = [&](int64_t v) { return std::string(out, rpc::write_grpc_timeout(v, out)); };
  auto connect_text = [&](int64_t v) { return std::string(out, rpc::write_connect_timeout(v, out)); };
  assert_string_equal(grpc_text(0).c_str(), "0n");
  assert_string_equal(grpc_text(-5).c_str(), "0n");
  assert_string_equal(grpc_text(99999999).c_str(), "99999999n");
  assert_string_equal(grpc_text(100000000).c_str(), "100000u");
  assert_string_equal(grpc_text(100000001).c_str(), "100001u");  // up: never before our own deadline
  assert_string_equal(grpc_text(5000000000).c_str(), "5000000u");
  assert_string_equal(grpc_text(INT64_MAX - 1).c_str(), "2562048H");
  assert_string_equal(connect_text(1).c_str(), "1");
  assert_string_equal(connect_text(1500000000).c_str(), "1500");
  assert_string_equal(connect_text(-1).c_str(), "0");
  assert_string_equal(connect_text(INT64_MAX - 1).c_str(), "9999999999");
  for (int64_t v : {int64_t(1), int64_t(999), int64_t(123456789), int64_t(98765432109), int64_t(1) << 60}) {
    assert_true(rpc::read_grpc_timeout(grpc_text(v), &ns));
    assert_true(ns >= v);
  }
}

void percent_encoding_fails_or_lies(void**) {
  base::Arena a;
  auto enc = [&](std::string_view v) { return std::string(rpc::percent_encode(v, &a)); };
  auto dec = [&](std::string_view v) { return std::string(rpc::percent_decode(v, &a)); };
  for (int i = 0; i < 256; i++) {
    std::string one(1, char(i)), e = enc(one);
    bool plain = (i >= 0x20 && i <= 0x24) || (i >= 0x26 && i <= 0x7E);
    assert_int_equal(e.size(), plain ? 1 : 3);
    assert_true(dec(e) == one);
  }
  assert_string_equal(enc("a%b\n").c_str(), "a%25b%0A");
  assert_string_equal(enc("").c_str(), "");
  assert_string_equal(dec("%").c_str(), "%");
  assert_string_equal(dec("%4").c_str(), "%4");
  assert_string_equal(dec("%zz%4x%41%6d%6D").c_str(), "%zz%4xAmm");
  assert_string_equal(dec("%%41").c_str(), "%A");
}

void details_are_lost(void**) {
  base::Arena a;
  Status st(Code::kAborted, "why");
  assert_true(st.error()->add_detail("a.B", s("xyz")));
  assert_true(st.error()->add_detail("c.D", Slice()));
  Slice bytes = rpc::write_status(*st.error(), &a);
  const char expected[] = "\x08\x0a\x12\x03why\x1a\x1e\x0a\x17type.googleapis.com/a.B\x12\x03xyz\x1a\x19\x0a\x17type.googleapis.com/c.D";
  assert_int_equal(bytes.size, sizeof expected - 1);
  assert_memory_equal(bytes.data, expected, bytes.size);
  Status back(rpc::read_status(bytes));
  assert_int_equal(int(back.code()), int(Code::kAborted));
  assert_string_equal(back.message(), "why");
  assert_int_equal(back.error()->detail_count(), 2);
  assert_true(back.error()->detail_type(0) == "a.B" && back.error()->detail_value(0).text() == "xyz");
  assert_true(back.error()->detail_type(1) == "c.D" && back.error()->detail_value(1).empty());
  // Cut anywhere but between fields it is no Status.
  for (size_t i = 0; i < bytes.size; i++) {
    Error* e = rpc::read_status(bytes.part(0, i));
    bool border = i == 0 || i == 2 || i == 7 || i == 39;
    assert_int_equal(e != nullptr, border);
    Error::free(e);
  }
  // Unknown fields, a large code, an Any without a slash.
  const char odd[] = "\x08\xFF\xFF\x03\x3d\1\2\3\4\x1a\x03\x0a\x01T\x22\x01x";
  Status o(rpc::read_status(Slice(odd, sizeof odd - 1)));
  assert_int_equal(int(o.code()), int(Code::kUnknown));
  assert_true(o.error()->detail_type(0) == "T");
}

void a_grpc_error_is_read_wrong(void**) {
  assert_null(rpc::read_grpc_error("0", "ignored", ""));
  auto code = [](std::string_view status, std::string_view message, std::string_view details, const char* text) {
    Status st(rpc::read_grpc_error(status, message, details));
    assert_string_equal(st.message(), text);
    return int(st.code());
  };
  assert_int_equal(code("5", "no%20%C3%A9%", "", "no \xC3\xA9%"), int(Code::kNotFound));
  assert_int_equal(code("", "", "", "the answer has no grpc-status"), int(Code::kInternal));
  assert_int_equal(code("x", "", "", "broken grpc-status"), int(Code::kInternal));
  assert_int_equal(code("5x", "", "", "broken grpc-status"), int(Code::kInternal));
  assert_int_equal(code("17", "m", "", "m"), int(Code::kUnknown));
  assert_int_equal(code("7", "plain", "CAUSB2VuY29kZWQ", "plain"), int(Code::kPermissionDenied));  // the plain ones count
  assert_int_equal(code("7", "plain", "$$$", "plain"), int(Code::kPermissionDenied));
  Status st(rpc::read_grpc_error("5", "m", "CAUSAW0aCgoDVC9YEgN4eXo="));
  assert_int_equal(st.error()->detail_count(), 1);
  assert_true(st.error()->detail_type(0) == "X" && st.error()->detail_value(0).text() == "xyz");
}

void an_error_in_json_is_read_wrong(void**) {
  struct {
    const char* json;
    Code code;
    const char* message;
    size_t details;
  } cases[] = {
      {"{\"code\":\"not_found\",\"message\":\"gone\"}", Code::kNotFound, "gone", 0},
      {"{\"code\":\"not_found\"}", Code::kNotFound, "otherwise", 0},
      {"{\"message\":\"gone\",\"code\":null}", Code::kUnavailable, "gone", 0},
      {"{\"message\":\"gone\"}", Code::kUnavailable, "gone", 0},
      {"{\"code\":\"strange\",\"message\":\"gone\"}", Code::kUnavailable, "gone", 0},
      {"{\"code\":\"Not_Found\"}", Code::kUnavailable, "otherwise", 0},
      {"{\"code\":5,\"message\":[1,{}]}", Code::kUnavailable, "otherwise", 0},
      {"{\"code\":\"aborted\",\"message\":\"\"}", Code::kAborted, "", 0},
      {"{}", Code::kUnavailable, "otherwise", 0},
      {"[]", Code::kUnavailable, "otherwise", 0},
      {"", Code::kUnavailable, "otherwise", 0},
      {"null", Code::kUnavailable, "otherwise", 0},
      {"{\"code\":\"not_found\"", Code::kUnavailable, "otherwise", 0},
      {"{\"code\":\"not_found\"} x", Code::kUnavailable, "otherwise", 0},
      {"{\"code\":\"canceled\",\"x\":{\"y\":[1,2]},\"details\":[{\"type\":\"a.B\",\"value\":\"eHl6\",\"debug\":{\"a\":1}},"
       "{\"type\":\"type.googleapis.com/c.D\",\"value\":\"eHl6eA==\"},{\"type\":\"e.F\",\"value\":\"*\"},{\"value\":\"\"},7]}",
       Code::kCanceled, "otherwise", 2},
      {"{\"code\":\"canceled\",\"details\":{}}", Code::kCanceled, "otherwise", 0},
      {"{\"code\":\"canceled\",\"message\":\"a\\u00e9\\n\"}", Code::kCanceled, "a\xC3\xA9\n", 0},
  };
  for (auto& c : cases) {
    Status st(rpc::read_error_json(s(c.json), Code::kUnavailable, "otherwise"));
    if (st.code() != c.code || strcmp(st.message(), c.message)) print_error("%s: %d %s\n", c.json, int(st.code()), st.message());
    assert_int_equal(int(st.code()), int(c.code));
    assert_string_equal(st.message(), c.message);
    assert_int_equal(st.error()->detail_count(), c.details);
    if (c.details) {
      assert_true(st.error()->detail_type(0) == "a.B" && st.error()->detail_value(0).text() == "xyz");
      assert_true(st.error()->detail_type(1) == "c.D" && st.error()->detail_value(1).text() == "xyzx");
    }
  }
  // What we write we read.
  Status st(Code::kDataLoss, "a\"\\\x01\xF0\x9F\x98\x80");
  assert_true(st.error()->add_detail("a.B", s("\xFF\xFE")));
  base::String json;
  rpc::write_error_json(*st.error(), &json);
  assert_true(json.ok());
  Status back(rpc::read_error_json(json.slice(), Code::kUnknown, ""));
  assert_int_equal(int(back.code()), int(Code::kDataLoss));
  assert_string_equal(back.message(), st.message());
  assert_true(back.error()->detail_value(0).text() == "\xFF\xFE");
}

void binary_metadata_change_on_the_way(void**) {
  base::Arena a;
  base::Metadata m;
  std::string all;
  for (int i = 0; i < 256; i++) all += char(i);
  for (size_t n : {size_t(0), size_t(1), size_t(2), size_t(3), size_t(100), size_t(256)}) {
    m.clear();
    std::string_view wire = rpc::wire_value("a-bin", s(std::string_view(all).substr(0, n)), &a);
    assert_non_null(wire.data());
    assert_true(wire.find('=') == std::string_view::npos);
    assert_true(rpc::add_metadata(&m, "a-bin", wire));
    assert_int_equal(m.size(), 1);
    assert_true(m.value(0).text() == std::string_view(all).substr(0, n));
  }
  m.clear();
  std::string large = std::string(5000, 'A');
  assert_true(rpc::add_metadata(&m, "a-bin", large + ", AA==,AAA=,," + large));
  assert_int_equal(m.size(), 5);
  assert_int_equal(m.value(0).size, 3750);
  assert_int_equal(m.value(1).size, 1);
  assert_int_equal(m.value(2).size, 2);
  assert_int_equal(m.value(3).size, 0);
  m.clear();
  assert_true(rpc::add_metadata(&m, "plain", "  a , b\t"));
  assert_true(m.value(0).text() == "a , b");
}

void names_are_let_through(void**) {
  for (const char* good : {"a", "x-y_z.0", "authorization", "user-agent", "cookie", "accept", "x-bin", "connect", "grpc", "contentx"}) {
    assert_true(rpc::valid_metadata_name(good));
  }
  for (const char* bad : {"", "A", "a b", "a:", "\xC3\xA9", "a\n", ":path", "grpc-x", "connect-x", "content-x", "te", "host", "connection", "keep-alive",
                          "transfer-encoding", "upgrade", "trailer", "trailer-x", "proxy-connection", "accept-encoding", "date", "expect"}) {
    assert_false(rpc::valid_metadata_name(bad));
  }
  assert_true(rpc::valid_metadata_value("") && rpc::valid_metadata_value("a b~"));
  for (const char* bad : {" a", "a ", "\t", "a\x7F", "\x80"}) assert_false(rpc::valid_metadata_value(bad));
}

void the_user_agent_is_not_ours(void**) {
  char out[rpc::kMaxUserAgent];
  std::string version = std::to_string(ZCRPC_VERSION >> 16) + "." + std::to_string(ZCRPC_VERSION >> 8 & 255) + "." + std::to_string(ZCRPC_VERSION & 255);
  assert_true(rpc::user_agent(rpc::Protocol::kConnect, out) == "connect-c/" + version + " (libzcrpc)");
  assert_true(rpc::user_agent(rpc::Protocol::kGrpc, out) == "grpc-c-zcrpc/" + version);
}

void a_lack_of_memory_crashes_or_leaks(void**) {
  const char json[] = "{\"code\":\"canceled\",\"message\":\"\\u0041b\",\"details\":[{\"type\":\"a.B\",\"value\":\"eHl6\"}]}";
  for (long n = 1;; n++) {
    assert_true(n < 200);
    long before = fail_malloc_live();
    fail_malloc_at(n);
    {
      Status a(rpc::read_error_json(s(json), Code::kInternal, "x"));
      Status b(rpc::read_grpc_error("5", "m%41", "CAUSAW0aCgoDVC9YEgN4eXo="));
      assert_false(a.ok());
      assert_false(b.ok());
    }
    int failed = fail_malloc_stop();
    assert_int_equal(fail_malloc_live(), before);
    if (!failed) break;
  }
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(a_status_maps_to_the_wrong_code),
      cmocka_unit_test(a_timeout_overflows_or_shrinks),
      cmocka_unit_test(percent_encoding_fails_or_lies),
      cmocka_unit_test(details_are_lost),
      cmocka_unit_test(a_grpc_error_is_read_wrong),
      cmocka_unit_test(an_error_in_json_is_read_wrong),
      cmocka_unit_test(binary_metadata_change_on_the_way),
      cmocka_unit_test(names_are_let_through),
      cmocka_unit_test(the_user_agent_is_not_ours),
      cmocka_unit_test(a_lack_of_memory_crashes_or_leaks),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
