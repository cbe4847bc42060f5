// The HTTP/1.1 parser: every rule, each input whole, cut in two at every place, and byte by byte.
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "http/http1.h"

extern "C" {
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
}

using namespace zcrpc;
using http::Http1Head;
using http::Http1Limits;
using http::Http1Parser;
using Event = http::Http1Parser::Event;

namespace {

std::string describe(const Http1Head& h) {
  std::string s = std::string(h.method) + " " + std::string(h.target) + " @" + std::string(h.authority);
  if (h.http10) s += " 1.0";
  if (h.content_length >= 0) s += " cl=" + std::to_string(h.content_length);
  if (h.chunked) s += " chunked";
  if (!h.keep_alive) s += " close";
  if (h.expect_continue) s += " expect";
  for (const base::Header& f : h.headers) s += "|" + std::string(f.name) + "=" + std::string(f.value);
  return s + "\n";
}

// Feeds the parts one after the other; what happened, in one text. A body's bytes are joined.
std::string run_parts(const std::vector<std::string>& parts, const Http1Limits& limits) {
  Http1Parser p(&limits);
  base::Arena arena;
  std::string log, body;
  bool body_open = false;
  for (const std::string& part : parts) {
    // A copy of its own, freed afterwards: a parser that keeps pointers into the input is found out.
    std::vector<char> copy(part.begin(), part.end());
    base::Slice in(copy.data(), copy.size());
    for (bool more = true; more;) {
      switch (p.next(&in, &arena)) {
        case Event::kMore:
          assert_int_equal(in.size, 0);
          more = false;
          break;
        case Event::kHead:
          log += describe(p.head());
          body.clear();
          body_open = true;
          break;
        case Event::kBody:
          assert_true(p.body().size > 0);
          body += std::string(p.body().text());
          break;
        case Event::kEnd:
          log += "<" + body + ">\n";
          body_open = false;
          p.next_request();
          arena.reset();
          break;
        case Event::kError:
          return log + std::to_string(p.status()) + " " + p.reason();
      }
    }
  }
  if (body_open) log += "<" + body + "...";
  if (p.in_head()) log += "...";
  return log;
}

std::string run(const std::string& input, const Http1Limits& limits = {}) {
  std::string whole = run_parts({input}, limits);
  for (size_t i = 0; i <= input.size(); i++) {
    std::string cut = run_parts({input.substr(0, i), input.substr(i)}, limits);
    if (cut != whole) {
      print_error("cut at %zu:\n%s\nwhole:\n%s\n", i, cut.c_str(), whole.c_str());
      fail();
    }
  }
  std::vector<std::string> bytes;
  for (char c : input) bytes.push_back(std::string(1, c));
  assert_string_equal(run_parts(bytes, limits).c_str(), whole.c_str());
  return whole;
}

void expect(const std::string& input, const char* what) { assert_string_equal(run(input).c_str(), what); }

const std::string kStart = "POST /p HTTP/1.1\r\nHost: h\r\n";

void a_request_is_read_wrong(void**) {
  expect("GET / HTTP/1.1\r\nHost: example.com:8080\r\n\r\n", "GET / @example.com:8080|host=example.com:8080\n<>\n");
  expect("POST /a.B/C?x=1&y HTTP/1.1\r\nHOST: h\r\nContent-Length: 5\r\nX-Odd:   a  b \t\r\nX-Empty:\r\n\r\nhello",
         "POST /a.B/C?x=1&y @h cl=5|host=h|content-length=5|x-odd=a  b|x-empty=\n<hello>\n");
  expect(kStart + "content-length: 0\r\n\r\n", "POST /p @h cl=0|host=h|content-length=0\n<>\n");
  expect(kStart + "X: \x80\xFF\r\n\r\n", "POST /p @h|host=h|x=\x80\xFF\n<>\n");
  expect("GET /\x7E!$&'()*+,;=:@%20\"<>[]^`{|} HTTP/1.1\r\nHost: [::1]:1\r\n\r\n",
         "GET /~!$&'()*+,;=:@%20\"<>[]^`{|} @[::1]:1|host=[::1]:1\n<>\n");
}

void chunks_are_read_wrong(void**) {
  const std::string head = kStart + "Transfer-Encoding: chunked\r\n\r\n";
  const std::string log = "POST /p @h chunked|host=h|transfer-encoding=chunked\n";
  expect(head + "5\r\nhello\r\n0\r\n\r\n", (log + "<hello>\n").c_str());
  expect(head + "0\r\n\r\n", (log + "<>\n").c_str());
  expect(head + "a;name=value;q=\"s\"\r\n0123456789\r\n0B\r\nhello world\r\n000\r\n\r\n", (log + "<0123456789hello world>\n").c_str());
  expect(head + "1\r\nx\r\n0\r\nA: b\r\nContent-Type: x\r\n\r\n" + "GET / HTTP/1.1\r\nHost: h\r\n\r\n",
         (log + "<x>\nGET / @h|host=h\n<>\n").c_str());
  expect(kStart + "transfer-encoding: CHUNKED\r\n\r\n0\r\n\r\n", "POST /p @h chunked|host=h|transfer-encoding=CHUNKED\n<>\n");
  for (const char* bad : {"\r\n", "g\r\n", "-1\r\n", "+1\r\n", "0x1\r\n", " 1\r\n", "1 \r\n", "1 ;x\r\n", "1\n", "1\r\r\n", "1234567890123456\r\n"}) {
    std::string got = run(head + bad);
    assert_memory_equal(got.c_str(), (log + "400 ").c_str(), log.size() + 4);
  }
  expect(head + "1\r\nxx\r\n", (log + "400 a chunk longer than its size").c_str());
  expect(head + "1\r\nx\n", (log + "400 a chunk longer than its size").c_str());
  expect(head + "1\r\nx\r\r", (log + "400 a chunk longer than its size").c_str());
  for (const char* bad : {"1;a\nb\r\n", "1;a b\r\n", "1; a\r\n", "1;a \r\n", "1;\r\n", "1;;a\r\n", "1;=b\r\n", "1;a=\r\n", "1;a=b=c\r\n", "1;a=\"b\r\n",
                          "1;a=\"b\"c\r\n", "1;a=b\"c\"\r\n", "1;\x92\r\n", "1;a=\"\\\r\n", "1;a\"\r\n"}) {
    expect(head + bad, (log + "400 broken chunk extension").c_str());
  }
  expect(head + std::string("1;a\0b\r\n", 7), (log + "400 broken chunk extension").c_str());
  expect(head + "1;a=\"b;\\\" c\";d;e=f\r\nx\r\n0;g\r\n\r\n", (log + "<x>\n").c_str());
  expect(head + "0\r\nA: b\n\r\n", (log + "400 a line that ends without CR").c_str());
  for (const char* name : {"Content-Length", "transfer-encoding", "HOST"}) {
    expect(head + "0\r\nA: b\r\n" + name + ": 3\r\n\r\n", (log + "400 framing in a trailer").c_str());
  }
  expect(head + "0\r\nA b\r\n\r\n", (log + "400 a header without a colon").c_str());
  expect(head + "0\r\nA: b\r\n c\r\n\r\n", (log + "400 a header that goes on in the next line").c_str());
}

void caps_on_chunk_extensions_and_trailers_are_missing(void**) {
  Http1Limits limits;
  limits.chunk_extension = 8;
  limits.extensions = 20;
  limits.trailer = 40;
  const std::string head = kStart + "Transfer-Encoding: chunked\r\n\r\n";
  auto ends = [&](const std::string& body, const char* end) {
    std::string got = run(head + body, limits);
    assert_string_equal(got.c_str() + got.find('\n') + 1, end);
  };
  ends("1;12345678\r\nx\r\n0\r\n\r\n", "<x>\n");
  ends("1;123456789\r\nx\r\n0\r\n\r\n", "400 chunk extensions are too long");
  ends("1;12345678\r\nx\r\n1;12345678\r\nx\r\n0;1234\r\n\r\n", "<xx>\n");
  ends("1;12345678\r\nx\r\n1;12345678\r\nx\r\n0;12345\r\n\r\n", "400 chunk extensions are too long");
  ends("0\r\na: " + std::string(33, 'x') + "\r\n\r\n", "<>\n");  // 38 + 2
  ends("0\r\na: " + std::string(34, 'x') + "\r\n\r\n", "431 trailers are too long");
}

void two_parsers_could_read_it_in_two_ways(void**) {
  expect(kStart + "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n", "400 both transfer-encoding and content-length");
  expect(kStart + "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n", "400 both transfer-encoding and content-length");
  for (const char* te : {"gzip, chunked", "chunked, gzip", "xchunked", "chunked;q=1", "identity", "", "\"chunked\"", "chunked,", "chunked chunked"}) {
    expect(kStart + "Transfer-Encoding: " + te + "\r\n\r\n", "400 transfer-encoding other than chunked");
  }
  expect(kStart + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", "400 transfer-encoding is given twice");
  expect("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", "400 transfer-encoding in HTTP/1.0");
  expect(kStart + "Content-Length: 3\r\nContent-Length: 3\r\n\r\n", "400 content-length is given twice");
  for (const char* cl : {"3, 3", "+3", "-3", "0x3", "3 3", "", "3.0", "1234567890123456789", "\xD9\xA3"}) {
    expect(kStart + "Content-Length: " + cl + "\r\n\r\n", "400 content-length is not a number");
  }
  expect(kStart + "Content-Length : 3\r\n\r\n", "400 broken header name");
  expect(kStart + "Content-Length\t: 3\r\n\r\n", "400 broken header name");
  expect(kStart + ": 3\r\n\r\n", "400 broken header name");
  expect(kStart + "nocolon\r\n\r\n", "400 a header without a colon");
  expect(kStart + "X: a\r\n b\r\n\r\n", "400 a header that goes on in the next line");
  expect("POST /p HTTP/1.1\r\n Host: h\r\n\r\n", "400 a header that goes on in the next line");
  expect("POST /p HTTP/1.1\nHost: h\r\n\r\n", "400 a line that ends without CR");
  expect("POST /p HTTP/1.1\r\nHost: h\n\r\n", "400 a line that ends without CR");
  expect("POST /p HTTP/1.1\r\nHost: h\r\n\n", "400 a line that ends without CR");
  expect(kStart + "X: a\rb\r\n\r\n", "400 a control character in a header");
  expect(kStart + "X: a\r\r\n\r\n", "400 a control character in a header");
  expect(kStart + std::string("X: a\0b\r\n\r\n", 10), "400 a control character in a header");
  expect(kStart + "X: a\x01\r\n\r\n", "400 a control character in a header");
  expect(kStart + "X: a\x7F\r\n\r\n", "400 a control character in a header");
  expect(kStart + std::string("X\0: a\r\n\r\n", 9), "400 broken header name");
  expect(kStart + "X(: a\r\n\r\n", "400 broken header name");
  expect(kStart + "X\x80: a\r\n\r\n", "400 broken header name");
}

void a_host_is_missing_or_ambiguous(void**) {
  expect("GET / HTTP/1.1\r\n\r\n", "400 no host");
  expect("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", "400 host is given twice");
  expect("GET / HTTP/1.1\r\nHost:\r\n\r\n", "400 broken host");
  expect("GET / HTTP/1.1\r\nHost: a b\r\n\r\n", "400 broken host");
  expect("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", "400 broken host");
  expect("GET / HTTP/1.1\r\nHost: u@a\r\n\r\n", "400 broken host");
  expect("GET / HTTP/1.1\r\nHost: a,b\r\n\r\n", "400 broken host");
  expect("GET / HTTP/1.0\r\n\r\n", "GET / @ 1.0 close\n<>\n");
}

void a_request_line_is_taken_loosely(void**) {
  for (const char* bad : {"GET / HTTP/1.1 x", "GET  / HTTP/1.1", " GET / HTTP/1.1", "GET /\tHTTP/1.1", "GET / HTTP/1.1 ", "G(T / HTTP/1.1", "GET /",
                          "GET", "GET / HTTP/11", "GET / http/1.1", "GET / HTTP/1,1", "GET a HTTP/1.1", "GET /#f HTTP/1.1", "GET * HTTP/1.1",
                          "GET /a\x80 HTTP/1.1", "GET /a\x7F HTTP/1.1", "GET ftp://h/ HTTP/1.1", "GET http:/// HTTP/1.1", "GET http://u@h/ HTTP/1.1",
                          "GET HTTP/1.1", "GET / HTTP/1.1\r"}) {
    std::string got = run(std::string(bad) + "\r\nHost: h\r\n\r\n");
    if (got.substr(0, 4) != "400 ") print_error("%s: %s\n", bad, got.c_str());
    assert_string_equal(got.substr(0, 4).c_str(), "400 ");
  }
  expect("GET / HTTP/2.0\r\nHost: h\r\n\r\n", "505 HTTP version is not served");
  expect("GET / HTTP/1.2\r\nHost: h\r\n\r\n", "505 HTTP version is not served");
  expect("CONNECT h:1 HTTP/1.1\r\nHost: h\r\n\r\n", "501 CONNECT is not served");
  expect("\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n", "GET / @h|host=h\n<>\n");
  expect("GET / HTTP/1.1\r\nHost: h\r\n\r\n\r\nGET /2 HTTP/1.1\r\nHost: h\r\n\r\n", "GET / @h|host=h\n<>\nGET /2 @h|host=h\n<>\n");
  expect("\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n", "400 empty request line");
  expect("\nGET / HTTP/1.1\r\nHost: h\r\n\r\n", "400 a line that ends without CR");
}

void other_forms_of_the_target_are_misread(void**) {
  expect("POST http://real:80/p?q HTTP/1.1\r\nHost: fake\r\n\r\n", "POST /p?q @real:80|host=fake\n<>\n");
  expect("POST HTTPS://real HTTP/1.1\r\nHost: fake\r\n\r\n", "POST / @real|host=fake\n<>\n");
  expect("POST http://real?q=1 HTTP/1.1\r\nHost: fake\r\n\r\n", "POST /?q=1 @real|host=fake\n<>\n");
  expect("POST http://real/ HTTP/1.1\r\n\r\n", "400 no host");
  expect("OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n", "OPTIONS * @h|host=h\n<>\n");
}

void a_connection_is_kept_or_closed_against_the_clients_wish(void**) {
  expect(kStart + "Connection: close\r\n\r\n", "POST /p @h close|host=h|connection=close\n<>\n");
  expect(kStart + "Connection: Keep-Alive\r\n\r\n", "POST /p @h|host=h|connection=Keep-Alive\n<>\n");
  expect(kStart + "Connection: x , CLOSE,y\r\n\r\n", "POST /p @h close|host=h|connection=x , CLOSE,y\n<>\n");
  expect("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", "GET / @ 1.0|connection=keep-alive\n<>\n");
  expect(kStart + "Expect: 100-Continue\r\ncontent-length: 1\r\n\r\nx", "POST /p @h cl=1 expect|host=h|expect=100-Continue|content-length=1\n<x>\n");
  expect(kStart + "Expect: tea\r\n\r\n", "417 unknown expectation");
  expect("GET / HTTP/1.0\r\nExpect: 100-continue\r\n\r\n", "GET / @ 1.0 close|expect=100-continue\n<>\n");
}

void pipelined_requests_run_together(void**) {
  const std::string one = kStart + "Content-Length: 2\r\n\r\nab";
  const std::string log = "POST /p @h cl=2|host=h|content-length=2\n<ab>\n";
  expect(one + one + one, (log + log + log).c_str());
  // Nothing of the next request is read before the server asks for it.
  Http1Limits limits;
  Http1Parser p(&limits);
  base::Arena arena;
  std::string two = one + one;
  base::Slice in{std::string_view(two)};
  assert_int_equal(int(p.next(&in, &arena)), int(Event::kHead));
  assert_int_equal(int(p.next(&in, &arena)), int(Event::kBody));
  assert_ptr_equal(p.body().data, two.data() + one.size() - 2);  // in place
  for (int i = 0; i < 3; i++) assert_int_equal(int(p.next(&in, &arena)), int(Event::kEnd));
  assert_int_equal(in.size, one.size());
  p.next_request();
  assert_int_equal(int(p.next(&in, &arena)), int(Event::kHead));
}

void limits_are_off_by_one(void**) {
  Http1Limits limits;
  limits.head = 100;
  limits.headers = 3;
  std::string base_head = "GET / HTTP/1.1\r\nHost: h\r\nX: ";
  std::string exact = base_head + std::string(100 - base_head.size() - 4, 'x') + "\r\n\r\n";
  assert_int_equal(exact.size(), 100);
  assert_memory_equal(run(exact, limits).c_str(), "GET / @h", 8);
  std::string over = base_head + std::string(101 - base_head.size() - 4, 'x') + "\r\n\r\n";
  assert_string_equal(run(over, limits).c_str(), "431 headers are too long");
  assert_string_equal(run("GET /" + std::string(200, 'a'), limits).c_str(), "414 request line is too long");
  assert_memory_equal(run("GET / HTTP/1.1\r\nHost: h\r\na: 1\r\nb: 2\r\n\r\n", limits).c_str(), "GET / @h", 8);
  assert_string_equal(run("GET / HTTP/1.1\r\nHost: h\r\na: 1\r\nb: 2\r\nc:\r\n\r\n", limits).c_str(), "431 too many headers");
  // Endless input without an end of head stops at the limit.
  assert_string_equal(run("GET / HTTP/1.1\r\n" + std::string(300, 'a'), limits).c_str(), "431 headers are too long");
}

void a_cut_connection_looks_like_an_idle_one(void**) {
  Http1Limits limits;
  Http1Parser p(&limits);
  base::Arena arena;
  assert_true(p.between_requests());
  base::Slice in{std::string_view("GET")};
  assert_int_equal(int(p.next(&in, &arena)), int(Event::kMore));
  assert_false(p.between_requests());
  assert_true(p.in_head());
  in = base::Slice(std::string_view(" / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\na"));
  assert_int_equal(int(p.next(&in, &arena)), int(Event::kHead));
  assert_int_equal(int(p.next(&in, &arena)), int(Event::kBody));
  assert_int_equal(int(p.next(&in, &arena)), int(Event::kMore));
  assert_false(p.between_requests());
  in = base::Slice(std::string_view("b"));
  assert_int_equal(int(p.next(&in, &arena)), int(Event::kBody));
  assert_int_equal(int(p.next(&in, &arena)), int(Event::kEnd));
  p.next_request();
  assert_true(p.between_requests());
}

void out_of_memory_is_not_told(void**) {
  Http1Limits limits;
  Http1Parser p(&limits);
  uint8_t little[64];
  base::Arena arena(little, sizeof little);
  base::Slice in{std::string_view("GET / HTTP/1.1\r\nHost: h\r\nsome: thing\r\nother: thing\r\n\r\n")};
  assert_int_equal(int(p.next(&in, &arena)), int(Event::kError));
  assert_int_equal(p.status(), 500);
  assert_int_equal(int(p.next(&in, &arena)), int(Event::kError));
}

void an_answer_is_written_wrong(void**) {
  const base::Header headers[] = {{"content-type", "application/proto", true}, {"x-y", "z", false}};
  http::Http1Answer a;
  a.headers = headers;
  a.date = "Sat, 21 Nov 2026 09:41:15 GMT";
  a.content_length = 13;
  std::string out(http::http1_head_bound(a), '\0');
  size_t n = http::http1_write_head(a, out.data());
  assert_string_equal(out.substr(0, n).c_str(),
                      "HTTP/1.1 200 OK\r\ncontent-type: application/proto\r\nx-y: z\r\ncontent-length: 13\r\n"
                      "date: Sat, 21 Nov 2026 09:41:15 GMT\r\n\r\n");
  http::Http1Answer b;
  b.status = 499;
  b.chunked = true;
  b.close = true;
  out.assign(http::http1_head_bound(b), '\0');
  n = http::http1_write_head(b, out.data());
  assert_string_equal(out.substr(0, n).c_str(),
                      "HTTP/1.1 499 Client Closed Request\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n");
  char chunk[18];
  assert_int_equal(http::http1_chunk_head(0x1a2b, chunk), 6);
  assert_memory_equal(chunk, "1a2b\r\n", 6);
  assert_int_equal(http::http1_chunk_head(UINT64_MAX, chunk), 18);
  assert_int_equal(http::http_reason(777).size(), 0);
}

// Values are looked at eight bytes at a time: each byte, at each place of the eight and behind them.
void a_byte_of_a_field_is_judged_by_its_place(void**) {
  auto odd = [](int c) { return !strchr("!#$%&'*+-.^_`|~", c); };
  for (size_t at = 0; at < 20; at++) {
    for (int c = 0; c < 256; c++) {
      if (c == '\n' || c == '\r') continue;
      std::string text(20, 'a');
      text[at] = char(c);
      bool good = c == '\t' || (c >= 0x20 && c != 0x7F);
      std::string log = run_parts({kStart + "X: " + text + "\r\n\r\n"}, {});
      if (!good) assert_string_equal(log.c_str(), "400 a control character in a header");
      else assert_true(log.starts_with("POST /p @h|host=h|x="));
      if (c == ':') continue;
      bool alnum = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
      bool name = alnum || (c && !odd(c));
      log = run_parts({kStart + text + ": v\r\n\r\n"}, {});
      text[at] = base::ascii_lower(char(c));
      std::string wanted = name ? "POST /p @h|host=h|" + text + "=v\n<>\n"
                           : at == 0 && (c == ' ' || c == '\t') ? "400 a header that goes on in the next line" : "400 broken header name";
      assert_string_equal(log.c_str(), wanted.c_str());
    }
  }
}

void a_date_is_wrong(void**) {
  char d[http::kDateSize + 1] = {};
  struct { int64_t s; const char* text; } cases[] = {
      {0, "Thu, 01 Jan 1970 00:00:00 GMT"},
      {1795254075, "Sat, 21 Nov 2026 09:41:15 GMT"},
      {951782399, "Mon, 28 Feb 2000 23:59:59 GMT"},
      {951782400, "Tue, 29 Feb 2000 00:00:00 GMT"},
      {4107542400, "Mon, 01 Mar 2100 00:00:00 GMT"},
  };
  for (auto& c : cases) {
    http::http_date(c.s * 1000000000 + 999999999, d);
    assert_string_equal(d, c.text);
  }
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(a_request_is_read_wrong),
      cmocka_unit_test(chunks_are_read_wrong),
      cmocka_unit_test(caps_on_chunk_extensions_and_trailers_are_missing),
      cmocka_unit_test(two_parsers_could_read_it_in_two_ways),
      cmocka_unit_test(a_host_is_missing_or_ambiguous),
      cmocka_unit_test(a_request_line_is_taken_loosely),
      cmocka_unit_test(other_forms_of_the_target_are_misread),
      cmocka_unit_test(a_connection_is_kept_or_closed_against_the_clients_wish),
      cmocka_unit_test(pipelined_requests_run_together),
      cmocka_unit_test(limits_are_off_by_one),
      cmocka_unit_test(a_cut_connection_looks_like_an_idle_one),
      cmocka_unit_test(out_of_memory_is_not_told),
      cmocka_unit_test(an_answer_is_written_wrong),
      cmocka_unit_test(a_byte_of_a_field_is_judged_by_its_place),
      cmocka_unit_test(a_date_is_wrong),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
