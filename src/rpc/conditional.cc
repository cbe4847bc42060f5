#include "rpc/conditional.h"

namespace zcrpc::rpc {

namespace {

// "..." at the front of *s, or nothing; *s goes on behind it.
std::string_view opaque(std::string_view* s) {
  if (s->starts_with("W/")) s->remove_prefix(2);
  if (!s->starts_with('"')) return {};
  size_t end = s->find('"', 1);
  if (end == std::string_view::npos) return {};
  std::string_view tag = s->substr(0, end + 1);
  s->remove_prefix(end + 1);
  return tag;
}

void skip_blanks(std::string_view* s) {
  while (!s->empty() && (s->front() == ' ' || s->front() == '\t')) s->remove_prefix(1);
}

}  // namespace

bool names_tag(std::string_view list, std::string_view tag) {
  std::string_view ours = opaque(&tag);
  skip_blanks(&list);
  if (ours.empty()) return false;
  if (list == "*") return true;
  // A tag may hold a comma, so the list is read tag by tag; what is none ends it.
  while (!list.empty()) {
    std::string_view theirs = opaque(&list);
    if (theirs.empty()) return false;
    if (theirs == ours) return true;
    skip_blanks(&list);
    if (!list.starts_with(',')) return false;
    list.remove_prefix(1);
    skip_blanks(&list);
  }
  return false;
}

bool has_tag(const base::Metadata& request, std::string_view tag) {
  for (size_t i = 0; i < request.size(); i++)
    if (request.name(i) == "if-none-match" && names_tag(request.value(i).text(), tag)) return true;
  return false;
}

std::string_view write_tag(uint64_t hash, char out[kTag]) {
  char* p = out;
  for (char c : {'W', '/', '"'}) *p++ = c;
  for (int shift = 60; shift >= 0; shift -= 4) *p++ = "0123456789abcdef"[hash >> shift & 15];
  *p = '"';
  return {out, kTag};
}

}  // namespace zcrpc::rpc
