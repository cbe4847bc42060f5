// Views that outlive their memory. In debug builds (ZCRPC_DEBUG; CMAKE_BUILD_TYPE=Debug) the process keeps the addresses of
// views that were ended, by what, and for whom; using one of them is told on stderr, and then the process aborts, so that
// a debugger or a core file stands at the mistake. In other builds nothing of this exists.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace zcrpc::base {

class Arena;

#ifdef ZCRPC_DEBUG

// Names the public function that is running on this thread: what ends meanwhile is put down to it.
class ReleaseSite {
 public:
  ReleaseSite(const char* function, const void* caller);
  ReleaseSite(const ReleaseSite&) = delete;
  ReleaseSite& operator=(const ReleaseSite&) = delete;
  ~ReleaseSite();

 private:
  const char* function_;
  const void* caller_;
};

// Names the public function whose body is a lambda, which has no name of its own to tell.
class PublicCall {
 public:
  explicit PublicCall(const char* function);
  PublicCall(const PublicCall&) = delete;
  PublicCall& operator=(const PublicCall&) = delete;
  ~PublicCall();

 private:
  const char* before_;
};

// The views of an arena end: first its memory, piece by piece, then, for what they were, each of them. `end` is of begin_end().
uint64_t begin_end();
void memory_ended(uint64_t end, const void* begin, size_t size, const Arena* arena);
void view_ended(uint64_t end, const void* index, size_t size, std::string_view type);
// An index begins at an address that may have been another's.
void view_began(const void* index, size_t size);
// Memory of ended views, kept for a while, so that no new view begins there. False: the caller frees it.
bool keep_released(void* block, size_t size);
// Ends the process if v is the address of a view that has ended; user: the function that was given it.
void check_view(const void* v, const char* user);
#else
struct ReleaseSite {
  ReleaseSite(const char*, const void*) {}
};
struct PublicCall {
  explicit PublicCall(const char*) {}
};
inline void view_began(const void*, size_t) {}
inline void check_view(const void*, const char*) {}
#endif

}  // namespace zcrpc::base
