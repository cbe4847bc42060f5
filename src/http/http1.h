// HTTP/1.1, the server's side, strict: whatever two parsers could read in two ways is refused. The parser is pulled, sees
// any split of the input, and never holds a connection's memory between requests. The body comes as slices of the input.
//
//   while (parser.next(&in, &arena) != Event::kMore) ...
//
// One request is open at a time: after kEnd nothing more is read until next_request, so that pipelined requests wait in
// the receive buffer, and what waits is bounded by it.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "base/arena.h"
#include "base/header.h"
#include "base/slice.h"
#include "base/vec.h"

namespace zcrpc::http {

struct Http1Limits {
  size_t head = 16 << 10;           // bytes of request line and headers
  size_t headers = 128;             // lines of them
  size_t chunk_extension = 256;     // bytes behind one chunk's size
  size_t extensions = 4096;         // the same, of one body
  size_t trailer = 8 << 10;         // bytes of the trailer section, which is checked and dropped
};

struct Http1Head {
  std::string_view method;
  std::string_view target;          // path and query, "*", or of CONNECT nothing; of an absolute form what follows its host
  std::string_view authority;       // Host, or that of an absolute form
  std::span<const base::Header> headers;  // names in lower case, values trimmed; Host among them
  int64_t content_length = -1;      // -1: not given
  bool chunked = false;
  bool http10 = false;
  bool keep_alive = true;           // what the client asks for
  bool expect_continue = false;
  bool has_body() const { return chunked || content_length > 0; }
};

class Http1Parser {
 public:
  enum class Event : uint8_t {
    kMore,   // all input is used up: bring more
    kHead,   // head() is there
    kBody,   // body(): a part of the body, within the input
    kEnd,    // the request is complete
    kError,  // status() and reason(); answer, then close
  };
  explicit Http1Parser(const Http1Limits* limits, const base::Allocator* a = base::default_allocator()) : limits_(limits), held_(a) {}

  // Takes from the front of *in. A head lies in arena, which may be reset as soon as what matters was copied.
  Event next(base::Slice* in, base::Arena* arena);
  const Http1Head& head() const { return head_; }
  base::Slice body() const { return body_; }
  int status() const { return status_; }          // 400, 414, 417, 431, 501, 505; 500 without memory
  const char* reason() const { return reason_; }  // for people: "content-length is not digits"
  void next_request();
  // Within a head or a body: a connection that ends now was cut. Between requests it was not.
  bool between_requests() const { return state_ == State::kStart && held_.empty(); }
  bool in_head() const { return state_ == State::kStart && !held_.empty(); }

 private:
  enum class Extension : uint8_t { kBegin, kName, kEquals, kValue, kQuoted, kEscape, kQuoteEnd };
  enum class State : uint8_t { kStart, kBody, kSize, kExtension, kSizeLf, kData, kDataCr, kDataLf, kTrailer, kEnd, kError };
  struct Framing;
  // All bool ones: false after fail.
  bool fail(int status, const char* reason);
  bool scan(const char* p, size_t n, size_t* end);
  Event find_head(base::Slice* in, base::Arena* arena);
  bool parse_head(char* p, char* end, base::Arena* arena);
  bool request_line(char* p, char* end);
  bool target(char* p, char* end);
  bool field(char* p, char* end, base::Header* h);
  bool framing_field(const base::Header& h, Framing* f);
  bool framing(const Framing& f);
  Event counted(base::Slice* in);
  Event chunked(base::Slice* in);
  bool chunk_byte(uint8_t c);
  bool extension_byte(uint8_t c);
  bool trailer_byte(uint8_t c);

  const Http1Limits* limits_;
  State state_ = State::kStart;
  uint64_t left_ = 0;           // of the body or the chunk
  Extension in_extension_ = Extension::kBegin;
  uint32_t digits_ = 0;         // of the chunk's size
  size_t extension_ = 0, extensions_ = 0, trailer_ = 0;
  size_t seen_ = 0, line_ = 0;  // of the head: searched up to there; where its last line began
  size_t lines_ = 0;            // that have ended so far
  bool skipped_ = false;        // the one empty line that may precede a request
  base::Vec<char> held_;        // a head or a trailer line that came in parts
  Http1Head head_;
  base::Slice body_;
  int status_ = 0;
  const char* reason_ = "";
};

// ---- answers

inline constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";

struct Http1Answer {
  int status = 200;
  std::span<const base::Header> headers;  // without those below
  std::string_view date;                  // http_date's, kept for a second by the caller; "": none
  int64_t content_length = -1;            // -1: no such header
  bool chunked = false;                   // writes transfer-encoding
  bool close = false;                     // writes connection: close
  bool keep_alive = false;                // for HTTP/1.0: writes connection: keep-alive
};
// Bytes it takes at most, and the writing of it: returns the bytes written.
size_t http1_head_bound(const Http1Answer& a);
size_t http1_write_head(const Http1Answer& a, char* out);

// Framing of a chunked body: the line before a chunk (at most 18 bytes), what follows each chunk, and the end.
size_t http1_chunk_head(uint64_t size, char out[18]);
inline constexpr std::string_view kChunkEnd = "\r\n";
inline constexpr std::string_view kLastChunk = "0\r\n\r\n";

// "Sat, 21 Nov 2026 09:41:15 GMT", always 29 characters.
inline constexpr size_t kDateSize = 29;
void http_date(int64_t wall_ns, char out[kDateSize]);
// "Not Found"; "" for a stranger.
std::string_view http_reason(int status);

}  // namespace zcrpc::http
