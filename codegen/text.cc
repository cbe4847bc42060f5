#include "text.h"

#include <vector>

#include "base/utf8.h"

namespace zcrpc::codegen {

void Printer::print(std::string_view text, Vars vars) {
  while (!text.empty()) {
    size_t dollar = text.find('$');
    out_ += text.substr(0, dollar);
    if (dollar == std::string_view::npos) return;
    text.remove_prefix(dollar + 1);
    size_t end = text.find('$');
    std::string_view name = text.substr(0, end);
    for (const auto& [key, value] : vars)
      if (key == name) out_ += value;
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  }
}

namespace {

// One byte, or one character of several, made harmless.
void add_char(std::string* line, std::string_view c) {
  auto u = static_cast<unsigned char>(c[0]);
  if (c.size() == 3 && u == 0xE2) {  // embeddings, overrides and isolates of text direction
    auto low = static_cast<unsigned char>(c[2]);
    if (c[1] == '\x80' && low >= 0xAA && low <= 0xAE) return;
    if (c[1] == '\x81' && low >= 0xA6 && low <= 0xA9) return;
  }
  char last = line->empty() ? '\0' : line->back();
  if ((last == '*' && c == "/") || (last == '/' && c == "*") || (last == '?' && c == "?")) *line += ' ';
  if (u < 0x20 || u == 0x7F)
    *line += ' ';
  else
    *line += c;
}

std::string clean_line(std::string_view text) {
  std::string line;
  while (!text.empty()) {
    size_t n = 1;
    while (n < 4 && n < text.size() && (static_cast<unsigned char>(text[n]) & 0xC0) == 0x80) n++;
    const auto* bytes = reinterpret_cast<const uint8_t*>(text.data());
    if (!base::utf8_valid(bytes, n)) {
      add_char(&line, "?");
      text.remove_prefix(1);
    } else {
      add_char(&line, text.substr(0, n));
      text.remove_prefix(n);
    }
  }
  while (!line.empty() && (line.back() == ' ' || line.back() == '\\')) line.pop_back();
  return line;
}

}  // namespace

std::string c_comment(std::string_view text) {
  std::vector<std::string> lines;
  while (!text.empty()) {
    size_t end = text.find('\n');
    std::string line = clean_line(text.substr(0, end));
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    if (!line.empty() && line[0] == ' ') line.erase(0, 1);  // the blank behind the // of the source
    if (!line.empty() || !lines.empty()) lines.push_back(line);
  }
  while (!lines.empty() && lines.back().empty()) lines.pop_back();
  if (lines.empty()) return {};
  std::string r = "/*";
  for (size_t i = 0; i < lines.size(); i++) {
    if (i) r += "\n *";
    if (!lines[i].empty()) r += (lines[i][0] == '/' ? "  " : " ") + lines[i];
  }
  return r + " */\n";
}

std::string c_string(std::string_view bytes) {
  std::string r;
  for (char c : bytes) {
    auto u = static_cast<unsigned char>(c);
    if (u < 0x20 || u >= 0x7F || c == '"' || c == '\\' || c == '?')
      r += {'\\', char('0' + (u >> 6)), char('0' + (u >> 3 & 7)), char('0' + (u & 7))};
    else
      r += c;
  }
  return r;
}

}  // namespace zcrpc::codegen
