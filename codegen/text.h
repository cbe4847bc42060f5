// Text under construction, and what of the world outside may go into it.
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>

namespace zcrpc::codegen {

// Puts text together from templates in which $name$ stands for a value.
class Printer {
 public:
  using Vars = std::initializer_list<std::pair<std::string_view, std::string_view>>;
  void print(std::string_view text, Vars vars = {});
  std::string take() { return std::move(out_); }

 private:
  std::string out_;
};

// A comment of a .proto file as one of C, with a newline behind it; "" stays "". Nothing in it can end the comment, be a
// trigraph, splice lines or turn the direction of text.
std::string c_comment(std::string_view text);
// Bytes as the inside of a string literal.
std::string c_string(std::string_view bytes);

}  // namespace zcrpc::codegen
