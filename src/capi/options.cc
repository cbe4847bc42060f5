// zcrpc.h, section 3: options.
#include "capi/options.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <new>

#include "capi/guard.h"
#include "view/project.h"

using namespace zcrpc;
using namespace zcrpc::capi;
using base::Code;
using base::Status;

namespace {

constexpr uint32_t bit(int32_t what) { return 1u << what; }
constexpr uint32_t kDecode = bit(ZCRPC_FOR_DECODE), kFormat = bit(ZCRPC_FOR_FORMAT), kLoop = bit(ZCRPC_FOR_LOOP),
                   kServer = bit(ZCRPC_FOR_SERVER), kChannel = bit(ZCRPC_FOR_CHANNEL), kCall = bit(ZCRPC_FOR_CALL), kTls = bit(ZCRPC_FOR_TLS);
constexpr const char* kNames[] = {"", "DECODE", "FORMAT", "LOOP", "SERVER", "CHANNEL", "CALL", "TLS"};

constexpr int64_t kMessage = 0x7FFFFFFF, kMostRate = 1'000'000, kText = -1;  // kText in `most`: a string

// Every key: its name for errors, what it is for, and the numbers it takes.
struct Row {
  int32_t key;
  const char* name;
  uint32_t for_what;
  int64_t least, most;
};
constexpr Row kRows[] = {
    {ZCRPC_DECODE_MODE, "DECODE_MODE", kDecode, ZCRPC_EAGER, ZCRPC_LAZY},
    {ZCRPC_DECODE_DROP_UNKNOWN, "DECODE_DROP_UNKNOWN", kDecode | kCall, 0, 1},
    {ZCRPC_DECODE_MAX_INDEX, "DECODE_MAX_INDEX", kDecode | kCall, 1, int64_t(1) << 31},
    {ZCRPC_DECODE_MAX_DEPTH, "DECODE_MAX_DEPTH", kDecode | kCall, 1, wire::kDeepest},
    {ZCRPC_FORMAT_IGNORE_UNKNOWN, "FORMAT_IGNORE_UNKNOWN", kFormat, 0, 1},
    {ZCRPC_FORMAT_ENUM_NUMBERS, "FORMAT_ENUM_NUMBERS", kFormat, 0, 1},
    {ZCRPC_FORMAT_PROTO_NAMES, "FORMAT_PROTO_NAMES", kFormat, 0, 1},
    {ZCRPC_FORMAT_PRETTY, "FORMAT_PRETTY", kFormat, 0, 1},
    {ZCRPC_FORMAT_UNKNOWN_FIELDS, "FORMAT_UNKNOWN_FIELDS", kFormat, 0, 1},
    {ZCRPC_FORMAT_REDACT, "FORMAT_REDACT", kFormat, 0, 1},
    {ZCRPC_LIMIT_MESSAGE, "LIMIT_MESSAGE", kServer | kChannel | kCall, 1, kMessage},
    {ZCRPC_LIMIT_HEADERS, "LIMIT_HEADERS", kServer | kChannel, 1024, 1 << 20},
    {ZCRPC_LIMIT_UNTAKEN, "LIMIT_UNTAKEN", kServer, 1 << 16, kMessage},
    {ZCRPC_LIMIT_INFLATING, "LIMIT_INFLATING", kServer, 0, kMessage},
    {ZCRPC_LIMIT_COMPRESSED, "LIMIT_COMPRESSED", kServer, 0, kMessage},
    {ZCRPC_COMPRESSION, "COMPRESSION", kServer | kChannel | kCall, 0, kText},
    {ZCRPC_COMPRESSION_MIN, "COMPRESSION_MIN", kServer | kChannel | kCall, 0, kMessage},
    {ZCRPC_COMPRESSION_LEVEL, "COMPRESSION_LEVEL", kServer | kChannel | kCall, 0, 22},
    {ZCRPC_SERVER_MAX_CONNECTIONS, "SERVER_MAX_CONNECTIONS", kServer, 1, 1 << 24},
    {ZCRPC_SERVER_MAX_CALLS, "SERVER_MAX_CALLS", kServer, 1, 1 << 24},
    {ZCRPC_SERVER_MAX_STREAMS, "SERVER_MAX_STREAMS", kServer, 1, 1 << 20},
    {ZCRPC_SERVER_MAX_CONNECTION_AGE, "SERVER_MAX_CONNECTION_AGE", kServer, -1, INT32_MAX},
    {ZCRPC_SERVER_KEEPALIVE, "SERVER_KEEPALIVE", kServer, -1, INT32_MAX},
    {ZCRPC_SERVER_KEEPALIVE_TIMEOUT, "SERVER_KEEPALIVE_TIMEOUT", kServer, 1, INT32_MAX},
    {ZCRPC_SERVER_MAX_REQUESTS, "SERVER_MAX_REQUESTS", kServer, -1, INT32_MAX},
    {ZCRPC_SERVER_AGE_GRACE, "SERVER_AGE_GRACE", kServer, -1, INT32_MAX},
    {ZCRPC_SERVER_MAX_DEADLINE, "SERVER_MAX_DEADLINE", kServer | kCall, -1, INT32_MAX},
    {ZCRPC_SERVER_DEFAULT_DEADLINE, "SERVER_DEFAULT_DEADLINE", kServer | kCall, -1, INT32_MAX},
    {ZCRPC_SERVER_MIN_DEADLINE, "SERVER_MIN_DEADLINE", kServer | kCall, 0, INT32_MAX},
    {ZCRPC_SERVER_SILENCE, "SERVER_SILENCE", kServer | kCall, -1, INT32_MAX},
    {ZCRPC_SERVER_RESET_RATE, "SERVER_RESET_RATE", kServer, 1, kMostRate},
    {ZCRPC_SERVER_RESET_BURST, "SERVER_RESET_BURST", kServer, 1, kMostRate},
    {ZCRPC_SERVER_FRAME_RATE, "SERVER_FRAME_RATE", kServer, 1, kMostRate},
    {ZCRPC_SERVER_FRAME_BURST, "SERVER_FRAME_BURST", kServer, 1, kMostRate},
    {ZCRPC_SERVER_WINDOW, "SERVER_WINDOW", kServer, 16 << 10, 16 << 20},
    {ZCRPC_SERVER_WINDOW_MAX, "SERVER_WINDOW_MAX", kServer, 0, 256 << 20},
    {ZCRPC_SERVER_HEAD_TIMEOUT, "SERVER_HEAD_TIMEOUT", kServer, 1, INT32_MAX},
    {ZCRPC_SERVER_BODY_TIMEOUT, "SERVER_BODY_TIMEOUT", kServer, 1, INT32_MAX},
    {ZCRPC_SERVER_MIN_RATE, "SERVER_MIN_RATE", kServer, 0, kMessage},
    {ZCRPC_SERVER_IDLE_TIMEOUT, "SERVER_IDLE_TIMEOUT", kServer, -1, INT32_MAX},
    {ZCRPC_SERVER_STALL_TIMEOUT, "SERVER_STALL_TIMEOUT", kServer, 1, INT32_MAX},
    {ZCRPC_SERVER_STALL_RATE, "SERVER_STALL_RATE", kServer, 0, kMessage},
    {ZCRPC_SERVER_LINGER, "SERVER_LINGER", kServer, 1, INT32_MAX},
    {ZCRPC_SERVER_REST_TIMEOUT, "SERVER_REST_TIMEOUT", kServer, 1, INT32_MAX},
    {ZCRPC_SERVER_REST_SIZE, "SERVER_REST_SIZE", kServer, 0, kMessage},
    {ZCRPC_SERVER_DRAIN_PING, "SERVER_DRAIN_PING", kServer, 0, INT32_MAX},
    {ZCRPC_SERVER_POLLED_WITHIN, "SERVER_POLLED_WITHIN", kServer, 0, INT32_MAX},
    {ZCRPC_SERVER_MAX_OUTPUT, "SERVER_MAX_OUTPUT", kServer, 4 << 10, kMessage},
    {ZCRPC_SERVER_MAX_PIPELINED, "SERVER_MAX_PIPELINED", kServer, 4 << 10, kMessage},
    {ZCRPC_SERVER_MAX_AHEAD, "SERVER_MAX_AHEAD", kServer, 16 << 10, kMessage},
    {ZCRPC_SERVER_HEALTH, "SERVER_HEALTH", kServer, 0, 1},
    {ZCRPC_SERVER_REFLECTION, "SERVER_REFLECTION", kServer, 0, 1},
    {ZCRPC_SERVER_CORS_ORIGINS, "SERVER_CORS_ORIGINS", kServer, 0, kText},
    {ZCRPC_SERVER_PREFIX, "SERVER_PREFIX", kServer | kCall, 0, kText},
    {ZCRPC_SERVER_LAME_DUCK, "SERVER_LAME_DUCK", kServer, -1, INT32_MAX},
    {ZCRPC_SERVER_PROXY_PROTOCOL, "SERVER_PROXY_PROTOCOL", kServer, 0, 1},
    {ZCRPC_SERVER_ETAGS, "SERVER_ETAGS", kServer | kCall, 0, 1},
    {ZCRPC_SERVER_CORS_CREDENTIALS, "SERVER_CORS_CREDENTIALS", kServer, 0, 1},
    {ZCRPC_SERVER_CORS_HEADERS, "SERVER_CORS_HEADERS", kServer, 0, kText},
    {ZCRPC_SERVER_CORS_EXPOSE, "SERVER_CORS_EXPOSE", kServer, 0, kText},
    {ZCRPC_SERVER_CORS_MAX_AGE, "SERVER_CORS_MAX_AGE", kServer, 0, 86400},
    {ZCRPC_SERVER_REFLECTION_HIDE, "SERVER_REFLECTION_HIDE", kServer, 0, kText},
    {ZCRPC_SERVER_OVERRIDE, "SERVER_OVERRIDE", kCall, 0, 1},
    {ZCRPC_SERVER_RAW, "SERVER_RAW", kCall, 0, 1},
    {ZCRPC_CHANNEL_CODEC, "CHANNEL_CODEC", kChannel | kCall, ZCRPC_PROTO, ZCRPC_JSON},
    {ZCRPC_CHANNEL_TIMEOUT, "CHANNEL_TIMEOUT", kChannel | kCall, -1, INT32_MAX},
    {ZCRPC_CHANNEL_CONNECTIONS, "CHANNEL_CONNECTIONS", kChannel, 0, 1 << 16},
    {ZCRPC_CHANNEL_USE_GET, "CHANNEL_USE_GET", kChannel | kCall, 0, 1 << 20},
    {ZCRPC_TLS_CERTIFICATE, "TLS_CERTIFICATE", kTls, 0, kText},
    {ZCRPC_TLS_KEY, "TLS_KEY", kTls, 0, kText},
    {ZCRPC_TLS_TRUST, "TLS_TRUST", kTls, 0, kText},
    {ZCRPC_TLS_VERIFY, "TLS_VERIFY", kTls, 0, 1},
    {ZCRPC_TLS_KEY_LOG, "TLS_KEY_LOG", kTls, 0, kText},
};

Status row_for(const Options& o, int32_t key, const Row** out) {
  const Row* row = std::find_if(std::begin(kRows), std::end(kRows), [&](const Row& r) { return r.key == key; });
  if (row == std::end(kRows)) return Status::format(Code::kInvalidArgument, "option %d is not known", key);
  if (!(row->for_what & bit(o.what)))
    return Status::format(Code::kInvalidArgument, "option ZCRPC_%s is not for ZCRPC_FOR_%s", row->name, kNames[o.what]);
  *out = row;
  return {};
}

// A text may be a private key.
void wipe(char* text, size_t n) {
  if (text) explicit_bzero(text, n);
  std::free(text);
}

Status set(Options* o, const Options::Value& v) {
  auto* old = const_cast<Options::Value*>(o->find(v.key));
  if (old) {
    wipe(old->text, old->size);
    *old = v;
    return {};
  }
  return o->values.push(v) ? Status() : Status::no_memory();
}

}  // namespace

namespace zcrpc::capi {

Options::~Options() {
  for (const Value& v : values) wipe(v.text, v.size);
  set_projection(nullptr);
  delete codings;
}

void Options::set_projection(view::Projection* p) {
  if (p) p->retain();
  if (projection) projection->release();
  projection = p;
}

const Options::Value* Options::find(int32_t key) const {
  for (const Value& v : values)
    if (v.key == key) return &v;
  return nullptr;
}

int64_t get_int(const Options* o, int32_t key, int64_t fallback) {
  const Options::Value* v = o ? o->find(key) : nullptr;
  return v ? v->number : fallback;
}

std::string_view get_string(const Options* o, int32_t key, std::string_view fallback) {
  const Options::Value* v = o ? o->find(key) : nullptr;
  return v && v->text ? std::string_view(v->text, v->size) : fallback;
}

view::Limits get_limits(const Options* o) {
  view::Limits l;
  l.max_index = size_t(get_int(o, ZCRPC_DECODE_MAX_INDEX, 0));
  l.max_depth = uint32_t(get_int(o, ZCRPC_DECODE_MAX_DEPTH, l.max_depth));
  l.lazy = get_int(o, ZCRPC_DECODE_MODE, ZCRPC_EAGER) == ZCRPC_LAZY;
  l.drop_unknown = get_bool(o, ZCRPC_DECODE_DROP_UNKNOWN, false);
  l.projection = o ? o->projection : nullptr;
  return l;
}

Status check_for(const zcrpc_options* o, int32_t what) {
  if (!o || from_c(o)->what == what) return {};
  return Status::format(Code::kInvalidArgument, "options made for ZCRPC_FOR_%s where those for ZCRPC_FOR_%s belong", kNames[from_c(o)->what], kNames[what]);
}

}  // namespace zcrpc::capi

zcrpc_options* zcrpc_options_new(int32_t what, zcrpc_error** err) {
  return guard(err, [&]() -> base::Result<Options*> {
    if (what < ZCRPC_FOR_DECODE || what > ZCRPC_FOR_TLS) return Status::format(Code::kInvalidArgument, "zcrpc_options_new: %d is no ZCRPC_FOR_", what);
    auto* o = new (std::nothrow) Options();
    if (!o) return Status::no_memory();
    o->what = what;
    return o;
  });
}

void zcrpc_options_free(zcrpc_options* o) { delete from_c(o); }

zcrpc_code zcrpc_options_set_int(zcrpc_options* o, int32_t key, int64_t value, zcrpc_error** err) {
  return guard(err, [&]() -> Status {
    if (!o) return wrong("zcrpc_options_set_int: no options");
    const Row* row = nullptr;
    ZCRPC_TRY(row_for(*from_c(o), key, &row));
    if (row->most == kText) return Status::format(Code::kInvalidArgument, "option ZCRPC_%s takes a string", row->name);
    if (value < row->least || value > row->most)
      return Status::format(Code::kInvalidArgument, "option ZCRPC_%s is %lld; it takes %lld to %lld", row->name, static_cast<long long>(value),
                            static_cast<long long>(row->least), static_cast<long long>(row->most));
    return set(from_c(o), {key, 0, value, nullptr});
  });
}

zcrpc_code zcrpc_options_set_string(zcrpc_options* o, int32_t key, const char* value, zcrpc_error** err) {
  return guard(err, [&]() -> Status {
    if (!o || !value) return wrong("zcrpc_options_set_string: no options, or no value");
    const Row* row = nullptr;
    ZCRPC_TRY(row_for(*from_c(o), key, &row));
    if (row->most != kText) return Status::format(Code::kInvalidArgument, "option ZCRPC_%s takes a number", row->name);
    size_t n = strlen(value);
    if (n > 4096) return Status::format(Code::kInvalidArgument, "option ZCRPC_%s: more than 4096 bytes", row->name);
    auto* text = static_cast<char*>(std::malloc(n + 1));
    if (!text) return Status::no_memory();
    memcpy(text, value, n + 1);
    Status s = set(from_c(o), {key, uint32_t(n), 0, text});
    if (!s.ok()) std::free(text);
    return s;
  });
}

zcrpc_code zcrpc_options_set_log(zcrpc_options* o, int32_t level, zcrpc_log_fn fn, void* user, zcrpc_error** err) {
  return guard(err, [&]() -> Status {
    if (!o) return wrong("zcrpc_options_set_log: no options");
    if (!(bit(from_c(o)->what) & (kLoop | kServer | kChannel)))
      return Status::format(Code::kInvalidArgument, "a log is not for ZCRPC_FOR_%s", kNames[from_c(o)->what]);
    if (level < 1 || level > 4) return Status::format(Code::kInvalidArgument, "log level %d; 1 to 4 are known", level);
    from_c(o)->log = {fn, user, base::LogLevel(level)};
    return {};
  });
}

zcrpc_code zcrpc_options_add_interceptor(zcrpc_options* o, zcrpc_intercept_fn fn, void* user, zcrpc_error** err) {
  return guard(err, [&]() -> Status {
    if (!o || !fn) return wrong("zcrpc_options_add_interceptor: no options, or no function");
    if (!(bit(from_c(o)->what) & (kServer | kCall)))
      return Status::format(Code::kInvalidArgument, "an interceptor is not for ZCRPC_FOR_%s", kNames[from_c(o)->what]);
    return from_c(o)->interceptors.push({fn, user}) ? Status() : Status::no_memory();
  });
}

zcrpc_code zcrpc_options_set_observer(zcrpc_options* o, zcrpc_observe_fn fn, void* user, zcrpc_error** err) {
  return guard(err, [&]() -> Status {
    if (!o) return wrong("zcrpc_options_set_observer: no options");
    if (from_c(o)->what != ZCRPC_FOR_SERVER) return Status::format(Code::kInvalidArgument, "an observer is not for ZCRPC_FOR_%s", kNames[from_c(o)->what]);
    from_c(o)->observe = fn;
    from_c(o)->observe_user = user;
    return {};
  });
}

// The public record is the inner one, so that nothing has to be copied that must last.
static_assert(sizeof(zcrpc_allocator) == sizeof(base::Allocator) && offsetof(zcrpc_allocator, alloc) == offsetof(base::Allocator, alloc) &&
              offsetof(zcrpc_allocator, realloc) == offsetof(base::Allocator, realloc) && offsetof(zcrpc_allocator, free) == offsetof(base::Allocator, free) &&
              offsetof(zcrpc_allocator, user) == offsetof(base::Allocator, user));

zcrpc_code zcrpc_options_set_allocator(zcrpc_options* o, const zcrpc_allocator* a, zcrpc_error** err) {
  return guard(err, [&]() -> Status {
    if (!o || (a && (!a->alloc || !a->realloc || !a->free))) return wrong("zcrpc_options_set_allocator: no options, or a function is missing");
    if (!(bit(from_c(o)->what) & (kLoop | kServer))) return Status::format(Code::kInvalidArgument, "an allocator is not for ZCRPC_FOR_%s", kNames[from_c(o)->what]);
    from_c(o)->allocator = reinterpret_cast<const base::Allocator*>(a);
    return {};
  });
}
