// What zcrpc_options holds, for the sections that read it.
#pragma once

#include <string_view>

#include <zcrpc.h>

#include "base/log.h"
#include "base/status.h"
#include "base/vec.h"
#include "capi/convert.h"
#include "compress/registry.h"
#include "view/view.h"

namespace zcrpc::capi {

struct Options {
  struct Value {
    int32_t key;
    uint32_t size;  // of text
    int64_t number;
    char* text;     // zero-terminated, owned; nullptr: a number
  };
  int32_t what = 0;  // ZCRPC_FOR_
  base::Log log;
  base::Vec<Value> values;
  view::Projection* projection = nullptr;  // counted
  struct Hook {
    zcrpc_intercept_fn fn;
    void* user;
  };
  base::Vec<Hook> interceptors;
  const base::Allocator* allocator = nullptr;  // the application's record; nullptr: malloc
  zcrpc_observe_fn observe = nullptr;
  void* observe_user = nullptr;
  compress::Registry* codings = nullptr;   // with the application's own; owned

  Options() = default;
  Options(const Options&) = delete;
  Options& operator=(const Options&) = delete;
  ~Options();

  const Value* find(int32_t key) const;
  bool has(int32_t key) const { return find(key) != nullptr; }
  void set_projection(view::Projection* p);  // nullptr: none
};

// Values of options that may be NULL: what was set, or else the fallback.
int64_t get_int(const Options* o, int32_t key, int64_t fallback);
inline bool get_bool(const Options* o, int32_t key, bool fallback) { return get_int(o, key, fallback) != 0; }
std::string_view get_string(const Options* o, int32_t key, std::string_view fallback = "");
// The DECODE keys, which options for calls take too.
view::Limits get_limits(const Options* o);

// Whether o (NULL is fine) was made for that.
base::Status check_for(const zcrpc_options* o, int32_t what);

}  // namespace zcrpc::capi
