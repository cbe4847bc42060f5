#include "base/source.h"

namespace zcrpc::base {

Status Source::status() const {
  if (!failed_) return {};
  size_t line, column;
  line_and_column({begin_, size_t(end_ - begin_)}, error_offset_, &line, &column);
  return Status::format(code_, "line %zu, column %zu: %s", line, column, error_).at(int64_t(error_offset_));
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
