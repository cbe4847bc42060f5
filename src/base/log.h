// Logging goes to a callback of the application, or nowhere.
#pragma once

#include <cstdint>
#include <string_view>

namespace zcrpc::base {

enum class LogLevel : int32_t { kError = 1, kWarning = 2, kInfo = 3, kDebug = 4 };

struct Log {
  void (*write)(int32_t level, const char* text, size_t size, void* user) = nullptr;
  void* user = nullptr;
  LogLevel level = LogLevel::kError;

  bool on(LogLevel l) const { return write && int32_t(l) <= int32_t(level); }
  void text(LogLevel l, std::string_view s) const {
    if (on(l)) write(int32_t(l), s.data(), s.size(), user);
  }
  // printf without floats; cut at 511 characters; control characters become '?': a line is a line.
  void format(LogLevel l, const char* fmt, ...) const __attribute__((format(printf, 3, 4)));
};

}  // namespace zcrpc::base
