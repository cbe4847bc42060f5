// Ordered names and values, as HTTP headers and trailers carry them. Values of names in -bin are raw bytes here.
#pragma once

#include <string_view>

#include "base/slice.h"
#include "base/vec.h"

namespace zcrpc::base {

class Metadata {
 public:
  constexpr Metadata() = default;
  explicit Metadata(const Allocator* a) : rows_(a), bytes_(a) {}

  size_t size() const { return rows_.size(); }
  std::string_view name(size_t i) const { return {bytes_.data() + rows_[i].at, rows_[i].name}; }
  Slice value(size_t i) const { return {bytes_.data() + rows_[i].at + rows_[i].name, rows_[i].value}; }
  // Copies both; false without memory, and nothing was added.
  [[nodiscard]] bool add(std::string_view name, Slice value);
  // The first of that name (lower case); false: none.
  bool get(std::string_view name, Slice* value) const;
  [[nodiscard]] bool add_all(const Metadata& o);
  void clear() {
    rows_.clear();
    bytes_.clear();
  }

 private:
  struct Row {
    uint32_t at, name, value;
  };
  Vec<Row> rows_;
  Vec<char> bytes_;
};

}  // namespace zcrpc::base
