#include "base/source.h"

#include <cstdio>

namespace zcrpc::base {

Status Source::status() const {
  if (!failed_) return {};
  size_t line, column;
  line_and_column({begin_, size_t(end_ - begin_)}, error_offset_, &line, &column);
  return Status::format(code_, "line %zu, column %zu: %s", line, column, error_).at(int64_t(error_offset_));
}

bool Source::wrong_named(const uint8_t* at, const char* before, std::string_view name, const char* between, std::string_view rest) {
  constexpr size_t kShown = 48, kRest = 80;
  bool cut = name.size() > kShown;
  if (cut) {
    size_t n = kShown;
    while (n && (name[n] & 0xC0) == 0x80) n--;  // between characters
    name = name.substr(0, n);
  }
  snprintf(named_, sizeof named_, "%s \"%.*s%s\"%s%.*s", before, int(name.size()), name.data(), cut ? "..." : "", between,
           int(rest.size() < kRest ? rest.size() : kRest), rest.data());
  for (char* c = named_; *c; c++)
    if (uint8_t(*c) < 0x20 || *c == 0x7F) *c = '?';
  return wrong_at(at, named_);
}

void line_and_column(Slice text, size_t offset, size_t* line, size_t* column) {
  *line = *column = 1;
  for (size_t i = 0; i < offset && i < text.size; i++) {
    if (text.data[i] == '\n') {
      ++*line;
      *column = 1;
    } else if ((text.data[i] & 0xC0) != 0x80) {
      ++*column;
    }
  }
}

}  // namespace zcrpc::base
