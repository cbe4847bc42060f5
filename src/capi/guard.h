// The boundary: every entry that can fail runs inside guard(), so that no exception crosses it, and hands its error to
// the caller through give().
#pragma once

#include <type_traits>
#include <utility>

#include "base/public_entry.h"
#include "base/status.h"
#include "capi/convert.h"

// The codec alone is built without exceptions: nothing in it throws.
#ifdef __cpp_exceptions
#define ZCRPC_GUARDED try
#define ZCRPC_OTHERWISE catch (...)  // bad_alloc alone is ever thrown
#else
#define ZCRPC_GUARDED
#define ZCRPC_OTHERWISE if constexpr (false)
#endif

namespace zcrpc::capi {

// The code of s; the error itself goes to *err, when the caller wants it.
inline int32_t give(base::Status s, zcrpc_error** err) noexcept {
  if (s.ok()) return ZCRPC_OK;
  auto code = int32_t(s.code());
  if (err) *err = to_c(s.take());
  return code;
}

inline base::Status wrong(std::string_view text) { return {base::Code::kInvalidArgument, text}; }

// f gives a Status: guard gives its code. f gives a Result<T *>: guard gives the pointer as its C handle, or NULL.
//   return guard(err, [&]() -> base::Status { ... });
//   return guard(err, [&]() -> base::Result<base::Buffer*> { ... });
// user: the public function that called guard, and from where, for messages of debug builds about views.
template <class F>
auto guard(zcrpc_error** err, F&& f, const char* user = __builtin_FUNCTION(), const void* caller = __builtin_return_address(0)) noexcept {
  const base::PublicEntry entry(user, caller);
  using R = std::remove_cvref_t<decltype(f())>;
  if constexpr (std::is_same_v<R, base::Status>) {
    ZCRPC_GUARDED {
      return give(f(), err);
    }
    ZCRPC_OTHERWISE { return give(base::Status::no_memory(), err); }
  } else {
    using C = decltype(to_c(*std::declval<R&>()));
    ZCRPC_GUARDED {
      R r = f();
      if (r.ok()) return to_c(*r);
      (void)give(r.take_status(), err);
    }
    ZCRPC_OTHERWISE { (void)give(base::Status::no_memory(), err); }
    return C(nullptr);
  }
}

}  // namespace zcrpc::capi
