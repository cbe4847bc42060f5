#include "base/status.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <new>

namespace zcrpc::base {
namespace {

constexpr const char* kNames[] = {"ok", "canceled", "unknown", "invalid_argument", "deadline_exceeded", "not_found",
                                  "already_exists", "permission_denied", "resource_exhausted", "failed_precondition",
                                  "aborted", "out_of_range", "unimplemented", "internal", "unavailable", "data_loss",
                                  "unauthenticated"};

char* copy_text(std::string_view s) {
  auto* p = static_cast<char*>(std::malloc(s.size() + 1));
  if (!p) return nullptr;
  if (!s.empty()) memcpy(p, s.data(), s.size());
  p[s.size()] = '\0';
  return p;
}

void free_text(const char* s) { std::free(const_cast<char*>(s)); }

constexpr std::string_view kNoMemoryText = "out of memory";

}  // namespace

const char* code_name(Code c) {
  auto n = int32_t(c);
  if (n >= 0 && n <= 16) return kNames[n];
  if (c == Code::kPending) return "pending";
  if (c == Code::kTooSmall) return "too_small";
  return "unknown";
}

bool code_from_name(std::string_view name, Code* out) {
  for (int32_t i = 1; i <= 16; i++)
    if (name == kNames[i]) {
      *out = Code(i);
      return true;
    }
  return false;
}

// Constant-initialised and never written: no constructor runs at load, no destructor at exit.
constinit const Error Error::kNoMemory(Code::kResourceExhausted, kNoMemoryText.data(), kNoMemoryText.size(), nullptr);

Error* Error::no_memory() { return const_cast<Error*>(&kNoMemory); }

struct Error::OnHeap {
  OnHeap(Code code, const char* text, size_t n) : error(code, text, n, &lists) {}
  Error error;  // first: its address is the block's
  Lists lists;
};

Error* Error::make(Code code, std::string_view message) {
  void* p = std::malloc(sizeof(OnHeap));
  char* text = p ? copy_text(message) : nullptr;
  if (!text) {
    std::free(p);
    return no_memory();
  }
  return &(new (p) OnHeap(code, text, message.size()))->error;
}

void Error::free(Error* e) {
  if (!e || e->is_static()) return;
  free_text(e->message_);
  if (*e->path_) free_text(e->path_);
  e->lists_->~Lists();
  std::free(e);
}

bool Error::set_path(std::string_view path) {
  if (is_static()) return false;
  char* text = path.empty() ? nullptr : copy_text(path);
  if (!text && !path.empty()) return false;
  if (*path_) free_text(path_);
  path_ = text ? text : "";
  return true;
}

bool Error::set_message(std::string_view message) {
  if (is_static()) return false;
  char* text = copy_text(message);
  if (!text) return false;
  free_text(message_);
  message_ = text;
  message_size_ = message.size();
  return true;
}

void Error::set_code(Code c) {
  if (!is_static()) code_ = c;
}

void Error::set_offset(int64_t offset) {
  if (!is_static()) offset_ = offset;
}

bool Error::add_detail(std::string_view type, Slice value) { return !is_static() && lists_->details.add(type, value); }

Status Status::format(Code code, const char* fmt, ...) {
  char text[512];  // longer ones are cut
  va_list args;
  va_start(args, fmt);
  int n = vsnprintf(text, sizeof text, fmt, args);
  va_end(args);
  if (n < 0) n = 0;
  if (size_t(n) >= sizeof text) n = int(sizeof text) - 1;
  return Status(code, {text, size_t(n)});
}

}  // namespace zcrpc::base
