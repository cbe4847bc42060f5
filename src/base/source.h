// The text that a reader goes through, and its first mistake, which sticks: every call after it fails too.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/slice.h"
#include "base/status.h"

namespace zcrpc::base {

// Line and column (both from 1; columns count characters) of a byte of the text.
void line_and_column(Slice text, size_t offset, size_t* line, size_t* column);

class Source {
 public:
  explicit Source(Slice text) : begin_(text.data), p_(text.data), end_(text.data + text.size) {}

  bool ok() const { return !failed_; }
  Code code() const { return code_; }
  const char* error() const { return error_; }  // "expected a string"; lives as long as what made it
  size_t error_offset() const { return error_offset_; }
  // "line 1, column 17: expected a string" with the offset; OK if there was no mistake.
  Status status() const;
  Source(const Source&) = delete;
  Source& operator=(const Source&) = delete;

  // For parsers built on a reader.
  size_t offset() const { return size_t(p_ - begin_); }
  const uint8_t* position() const { return p_; }
  const uint8_t* text_end() const { return end_; }
  void advance(const uint8_t* to) { p_ = to; }
  // Both return false. Nothing is left to read after them.
  bool wrong_at(const uint8_t* at, const char* text, Code code = Code::kInvalidArgument) {
    if (failed_) return false;
    failed_ = true;
    code_ = code;
    error_ = text;
    error_offset_ = size_t(at - begin_);
    p_ = end_;
    return false;
  }
  bool wrong(const char* text, Code code = Code::kInvalidArgument) { return wrong_at(p_, text, code); }
  // The same with a name out of the text in quotes: `before "name"between rest`. Long ones are cut.
  bool wrong_named(const uint8_t* at, const char* before, std::string_view name, const char* between, std::string_view rest);

 protected:
  const uint8_t *begin_, *p_, *end_;
  bool failed_ = false;

 private:
  Code code_ = Code::kOk;
  const char* error_ = "";
  size_t error_offset_ = 0;
  char named_[192];
};

}  // namespace zcrpc::base
