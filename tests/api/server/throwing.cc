#include "throwing.h"

#include <atomic>
#include <exception>
#include <new>
#include <stdexcept>
#include <string>
#include <string_view>

namespace {

std::atomic<int> g_locals{0}, g_uncaught{0};

struct Local {
  Local() {
    g_locals++;
    g_uncaught = std::uncaught_exceptions();
  }
  ~Local() { g_locals--; }
  Local(const Local&) = delete;
  Local& operator=(const Local&) = delete;
};

struct Own : std::exception {
  std::string text = "an exception of its own, hunter2";
  const char* what() const noexcept override { return text.c_str(); }
};

void throw_as(std::string_view kind) {
  Local here;
  if (kind == "runtime" || kind == "finished") throw std::runtime_error("the password is hunter2");
  if (kind == "own") throw Own();
  if (kind == "alloc") throw std::bad_alloc();
  if (kind == "number") throw 42;
  if (kind == "long") throw std::runtime_error(std::string(5000, 'x'));
  if (kind == "nested") {
    try {
      throw std::runtime_error("inner");
    } catch (const std::exception&) {
      throw std::logic_error("outer, hunter2");
    }
  }
}

std::string_view text_of(const zcrpc_view* m) {
  zcrpc_slice s;
  zcrpc_view_string(m, 1, &s);
  return {s.data, s.len};
}

}  // namespace

void throw_release(const void*, size_t, void*) { throw Own(); }
int throwing_locals(void) { return g_locals; }
int throwing_uncaught(void) { return g_uncaught; }

zcrpc_code throw_unary(zcrpc_call* call, const zcrpc_view* request, zcrpc_encoder* reply, void*) {
  Local here;
  zcrpc_encoder_put_string(reply, 1, "half a reply", ZCRPC_NTS);
  if (text_of(request) == "finished") zcrpc_call_finish(call, nullptr);
  throw_as(text_of(request));
  return ZCRPC_OK;
}

// What the test has set, on its own thread.
static int now(void* user) { return __atomic_load_n(static_cast<int*>(user), __ATOMIC_SEQ_CST); }

void throw_at_event(zcrpc_call* call, const zcrpc_event* event, const zcrpc_view* message, void* user) {
  Local here;
  if (event->kind == ZCRPC_EVENT_REQUEST) zcrpc_call_read(call, 10);
  if (message) {
    zcrpc_encoder_put_string(zcrpc_call_encoder(call), 1, "sent", 4);
    zcrpc_call_send(call, nullptr);
  }
  if (event->kind == now(user)) throw_as("runtime");
  if (event->kind == ZCRPC_EVENT_HALF_CLOSE) zcrpc_call_finish(call, nullptr);
}

zcrpc_code throw_intercept(zcrpc_call*, const zcrpc_event* event, const zcrpc_view*, void* user) {
  Local here;
  if (event->kind == now(user)) throw_as("runtime");
  return ZCRPC_OK;
}

void throw_observe(const zcrpc_call_record*, void* user) {
  Local here;
  if (now(user)) throw_as("runtime");
}

void throw_http(zcrpc_call* call, const zcrpc_http* request, void*) {
  Local here;
  zcrpc_http reply{};
  reply.struct_size = sizeof reply;
  reply.status = 200;
  reply.more = 1;
  reply.length = 100;
  reply.body = {"begun", 5};
  if (std::string_view(request->path.data, request->path.len) == "/late") zcrpc_call_reply_http(call, &reply, nullptr);
  throw_as("runtime");
}

void throw_reply(zcrpc_call*, const zcrpc_event*, const zcrpc_view*, void* user) {
  Local here;
  ++*static_cast<int*>(user);
  throw_as("runtime");
}
