// Debug builds: which public function runs on this thread, called from where, and why views end within it. What a loop ends
// while it is turned by that function is told as the end of a call, unless a reason says otherwise. In other builds
// nothing of this exists.
#pragma once

#include "base/released.h"

namespace zcrpc::base {

#ifdef ZCRPC_DEBUG

class PublicEntry {
 public:
  PublicEntry(const char* function, const void* caller);
  PublicEntry(const PublicEntry&) = delete;
  PublicEntry& operator=(const PublicEntry&) = delete;
  ~PublicEntry();
  // Of the innermost one on this thread.
  static const void* caller();

 private:
  PublicCall name_;
  const void* before_;
};

// nullptr: the end of their call, as without one.
class ReleaseReason {
 public:
  explicit ReleaseReason(const char* reason);
  ReleaseReason(const ReleaseReason&) = delete;
  ReleaseReason& operator=(const ReleaseReason&) = delete;
  ~ReleaseReason();

 private:
  const char* before_;
};
#else
struct PublicEntry {
  PublicEntry(const char*, const void*) {}
  static const void* caller() { return nullptr; }
};
struct ReleaseReason {
  explicit ReleaseReason(const char*) {}
};
#endif

}  // namespace zcrpc::base
