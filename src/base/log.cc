#include "base/log.h"

#include <cstdarg>
#include <cstdio>

namespace zcrpc::base {

void Log::format(LogLevel l, const char* fmt, ...) const {
  if (!on(l)) return;
  char text[512];
  va_list args;
  va_start(args, fmt);
  int n = vsnprintf(text, sizeof text, fmt, args);
  va_end(args);
  if (n < 0) return;
  if (size_t(n) >= sizeof text) n = int(sizeof text) - 1;
  for (char* p = text; p < text + n; p++)
    if (uint8_t(*p) < 0x20 || *p == 0x7f) *p = '?';
  write(int32_t(l), text, size_t(n), user);
}

}  // namespace zcrpc::base
