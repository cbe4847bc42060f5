#include <charconv>
#include <cstring>

#include "http/http1.h"

namespace zcrpc::http {

namespace {

constexpr size_t kFixed = 256;  // more than the lines that are not in `headers`

char* put(char* p, std::string_view s) {
  memcpy(p, s.data(), s.size());
  return p + s.size();
}

char* put_header(char* p, std::string_view name, std::string_view value) {
  p = put(p, name);
  p = put(p, ": ");
  p = put(p, value);
  return put(p, "\r\n");
}

char* put_digits(char* p, uint32_t v, int digits) {
  for (int i = digits; i-- > 0; v /= 10) p[i] = char('0' + v % 10);
  return p + digits;
}

}  // namespace

std::string_view http_reason(int status) {
  switch (status) {
    case 100: return "Continue";
    case 200: return "OK";
    case 204: return "No Content";
    case 304: return "Not Modified";
    case 400: return "Bad Request";
    case 401: return "Unauthorized";
    case 403: return "Forbidden";
    case 404: return "Not Found";
    case 405: return "Method Not Allowed";
    case 408: return "Request Timeout";
    case 409: return "Conflict";
    case 412: return "Precondition Failed";
    case 413: return "Content Too Large";
    case 414: return "URI Too Long";
    case 415: return "Unsupported Media Type";
    case 417: return "Expectation Failed";
    case 429: return "Too Many Requests";
    case 431: return "Request Header Fields Too Large";
    case 499: return "Client Closed Request";
    case 500: return "Internal Server Error";
    case 501: return "Not Implemented";
    case 503: return "Service Unavailable";
    case 504: return "Gateway Timeout";
    case 505: return "HTTP Version Not Supported";
    default: return "";
  }
}

size_t http1_head_bound(const Http1Answer& a) {
  size_t n = kFixed + a.date.size();
  for (const base::Header& h : a.headers) n += h.name.size() + h.value.size() + 4;
  return n;
}

size_t http1_write_head(const Http1Answer& a, char* out) {
  char* p = put(out, "HTTP/1.1 ");
  p = put_digits(p, uint32_t(a.status), 3);
  *p++ = ' ';
  p = put(p, http_reason(a.status));
  p = put(p, "\r\n");
  for (const base::Header& h : a.headers) p = put_header(p, h.name, h.value);
  if (a.content_length >= 0) {
    p = put(p, "content-length: ");
    p = std::to_chars(p, p + 20, a.content_length).ptr;
    p = put(p, "\r\n");
  }
  if (a.chunked) p = put(p, "transfer-encoding: chunked\r\n");
  if (!a.date.empty()) p = put_header(p, "date", a.date);
  if (a.close) p = put(p, "connection: close\r\n");
  else if (a.keep_alive) p = put(p, "connection: keep-alive\r\n");
  p = put(p, "\r\n");
  return size_t(p - out);
}

size_t http1_chunk_head(uint64_t size, char out[18]) {
  char* p = std::to_chars(out, out + 16, size, 16).ptr;
  return size_t(put(p, "\r\n") - out);
}

void http_date(int64_t wall_ns, char out[kDateSize]) {
  int64_t seconds = wall_ns / 1000000000;
  if (wall_ns < 0) seconds = 0;
  int64_t days = seconds / 86400;
  auto second = uint32_t(seconds % 86400);
  // Civil date of a day number, counted in years that begin in March so that leap days come last.
  int64_t z = days + 719468;
  auto era = z / 146097;
  auto doe = uint32_t(z - era * 146097);
  uint32_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
  uint32_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
  uint32_t mp = (5 * doy + 2) / 153;
  uint32_t day = doy - (153 * mp + 2) / 5 + 1;
  uint32_t month = mp < 10 ? mp + 3 : mp - 9;
  auto year = uint32_t(int64_t(yoe) + era * 400 + (month <= 2));
  char* p = put(out, std::string_view(&"ThuFriSatSunMonTueWed"[days % 7 * 3], 3));
  p = put(p, ", ");
  p = put_digits(p, day, 2);
  *p++ = ' ';
  p = put(p, std::string_view(&"JanFebMarAprMayJunJulAugSepOctNovDec"[(month - 1) * 3], 3));
  *p++ = ' ';
  p = put_digits(p, year, 4);
  *p++ = ' ';
  p = put_digits(p, second / 3600, 2);
  *p++ = ':';
  p = put_digits(p, second / 60 % 60, 2);
  *p++ = ':';
  p = put_digits(p, second % 60, 2);
  put(p, " GMT");
}

}  // namespace zcrpc::http
