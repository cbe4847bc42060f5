// What a call is to the C API, whichever side made it. Server and client derive their own calls from this struct and
// fill a table of verbs; the hub of a loop numbers the calls and carries their events to a turn or to their function.
//
// Threads: "[any]" any thread; "[inside]" the thread that is inside the call's loop (net::Loop: in a turn, or entered).
// The verbs are [any]: the side that implements them enters the loop, or posts to it.
#pragma once

#include <zcrpc.h>

#include <atomic>
#include <cstdint>

#include "base/arena.h"
#include "base/buffer.h"
#include "base/metadata.h"
#include "base/status.h"
#include "base/vec.h"
#include "encode/encoder.h"
#include "schema/schema.h"
#include "schema/view.h"

namespace zcrpc::rpc {

class Hub;
struct Call;

// An event on its way. Embedded in what causes it (a call has one for REQUEST or HEADERS, and one for DONE; a message of
// a stream has its own), so that delivering cannot fail for want of memory.
struct Event {
  zcrpc_event record{};            // data and index are addresses here; call and tag are filled in when it is delivered
  Call* call = nullptr;            // a reference is held from push until release; nullptr: RELEASED and DRAINED
  schema::View message = nullptr;  // what record.index describes
  base::Buffer* buffer = nullptr;  // what holds the bytes of data, if that is counted memory; not a reference of its own
  Event* next = nullptr;
  // In a turn, before it is delivered; once. False: it is dropped. nullptr: nothing.
  bool (*before)(Event*) = nullptr;
  void (*released)(Event*) = nullptr;  // [inside] after the consumer is done with it; may free it; nullptr: nothing
};

// What a side does for the functions of zcrpc.h section 8. A null entry: the other side's verb, failed_precondition (or
// nothing, for void). Unless it says otherwise a verb is [any].
struct Verbs {
  base::Status (*send)(Call* c);                              // the message in c->encoder
  base::Status (*send_headers)(Call* c);                      // server: before the first message
  base::Status (*close_send)(Call* c);
  size_t (*room)(const Call* c);
  void (*read)(Call* c, int32_t credits);
  void (*cancel)(Call* c);
  void (*finish)(Call* c, base::Status status);               // server: OK sends the message in c->encoder
  base::Status (*start)(Call* c, uint64_t tag, zcrpc_event_fn fn, void* user);   // client
  base::Status (*unary)(Call* c, schema::View* reply);        // client, blocking
  base::Status (*next)(Call* c, schema::View* message);       // client, blocking
  void (*set_timeout)(Call* c, int64_t timeout_ms);           // client
  int64_t (*time_left_ms)(const Call* c);
  base::Metadata* (*metadata)(Call* c, int32_t which);        // ZCRPC_REQUEST_HEADERS...; nullptr: not there yet
  void (*info)(const Call* c, zcrpc_call_info* out);
  // [inside] An operation of a turn on this call (FINISH, SEND, READ, CANCEL). message: data of the operation, held by
  // buffer if that is set (its reference passes), else copied before return; meta: a metadata block or empty.
  base::Status (*op)(Call* c, const zcrpc_op* op, base::Slice message, base::Buffer* buffer, base::Slice meta);
  // Server: an encoded message, or more of the body of a plain answer. buffer: holds bytes, or null; retained if needed.
  base::Status (*send_bytes)(Call* c, base::Slice bytes, base::Buffer* buffer);
  base::Status (*reply_http)(Call* c, const zcrpc_http& reply);  // server, plain HTTP
  void (*unreferenced)(Call* c);                              // the last reference has gone
  // How what is sent from now on is compressed: "" as the options say, "identity" not at all, or a coding.
  base::Status (*set_compression)(Call* c, std::string_view name);
  // [inside] fn threw, at the event that it was called with. Never null.
  void (*threw)(Call* c, std::string_view what);
  bool (*forked)(const Call* c);                              // never null: this process inherited the call by fork
};

// Flags that any thread may look at.
enum : uint32_t {
  kServerSide = 1,   // never changes
  kDone = 2,         // DONE has been decided: no more events will be made
};

// What zcrpc_stats tells. Each loop writes its own, any thread may read.
struct Counters {
  std::atomic<uint64_t> calls{0}, calls_failed{0}, calls_now{0}, connections{0}, connections_now{0}, bytes_in{0}, bytes_out{0},
      messages_in{0}, messages_out{0}, copies_in{0}, copies_out{0}, bytes_copied_in{0}, bytes_copied_out{0}, allocations{0},
      refused{0}, retries{0}, late_ops{0}, buffers_now{0}, memory_now{0};
  std::atomic<uint64_t> dropped{0};    // any thread
  std::atomic<uint64_t> codes[17]{};   // calls that have ended
  // There is one writer, so no locked instruction is needed.
  static void add(std::atomic<uint64_t>& c, uint64_t n) { c.store(c.load(std::memory_order_relaxed) + n, std::memory_order_relaxed); }
  void copied_in(size_t n) {
    add(copies_in, 1);
    add(bytes_copied_in, n);
  }
  void copied_out(size_t n) { copied_out_by(1, n); }
  void copied_out_by(uint64_t copies, uint64_t bytes) {
    add(copies_out, copies);
    add(bytes_copied_out, bytes);
  }
};

struct Call {
  const Verbs* verbs = nullptr;
  Hub* hub = nullptr;
  Counters* counters = nullptr;               // of the server or channel on this loop
  std::atomic<uint32_t> refs{1};
  std::atomic<uint32_t> flags{0};
  uint64_t id = 0;                            // set by Hub::add
  uint64_t tag = 0;
  void* user = nullptr;                       // the application's: zcrpc_call_set_user
  const schema::Method* method = nullptr;
  const zcrpc_method* handle = nullptr;       // the same as C sees it, for zcrpc_call_info
  // Where events go: to this function, or, when it is null, to a turn.
  zcrpc_event_fn fn = nullptr;
  void* fn_user = nullptr;
  encode::Encoder* encoder = nullptr;         // of the message under construction; nullptr until it is asked for
  const Event* delivering = nullptr;          // [inside] while fn runs
  base::Error* error = nullptr;               // [inside] how it ended; nullptr: well, or not yet. Owned.
  // The application's, under keys of its own: zcrpc_call_set_value. Whoever ends or reuses the call drops them.
  struct Value {
    const void* key;
    void* value;
    void (*drop)(void* value);
  };
  base::Vec<Value> values;
  Event first;                                // REQUEST, or HEADERS of the response
  Event done;                                 // DONE

  void retain() { refs.fetch_add(1, std::memory_order_relaxed); }
  void release() {
    if (refs.fetch_sub(1, std::memory_order_acq_rel) == 1) verbs->unreferenced(this);
  }
  bool has(uint32_t f) const { return flags.load(std::memory_order_acquire) & f; }
  void set(uint32_t f) { flags.fetch_or(f, std::memory_order_release); }
  void drop_values() {
    while (!values.empty()) {
      Value v = values.back();
      values.pop();
      if (v.drop) v.drop(v.value);
    }
  }
};

// What ZCRPC_OP_START opens a call on: a method of a channel (zcrpc_channel_bind). Registered with the hub.
struct Target {
  // [inside] As Verbs::op. The new call is the hub's: it lives until its DONE has been released.
  base::Status (*start)(Target* t, const zcrpc_op* op, base::Slice message, base::Buffer* buffer, base::Slice meta) = nullptr;
};

// The calls of one loop. All [inside].
class Hub {
 public:
  explicit Hub(const base::Allocator* a = base::default_allocator()) : slots_(a), targets_(a) {}
  Hub(const Hub&) = delete;
  Hub& operator=(const Hub&) = delete;

  // Numbers a call; false without memory. Ids never return: a generation and a place in the table.
  [[nodiscard]] bool add(Call* c);
  void remove(Call* c);           // once its DONE has been released, or if it never had an event
  Call* find(uint64_t id) const;  // nullptr: over, or never was

  // Queues an event; it is delivered in a turn, in order: to the call's function, or to the turn's batch.
  void push(Event* e);
  // The next event that waits; nullptr: none. Its reference to the call passes on: give it back with release.
  Event* front() const { return head_; }
  void pop();
  void release(Event* e);
  // Delivers the events of calls that have a function; those for a turn stay, in their order.
  void run_functions();
  // Runs what comes before delivery for all that waits, in order, and delivers nothing.
  void run_before();
  bool waiting() const { return head_ != nullptr; }

  // Ids for ZCRPC_OP_START; 0 without memory.
  uint64_t bind(Target* t);
  void unbind(uint64_t id);
  Target* target(uint64_t id) const;

  std::atomic<uint64_t> late_ops{0};           // operations on calls that had ended; any thread may read
  void (*pushed)(Hub* h, void* user) = nullptr;  // [inside] an event was queued: a sleeping turn must return
  void* pushed_user = nullptr;

 private:
  void run(bool deliver);
  struct Slot {
    Call* call;
    uint64_t generation;
    uint32_t next_free;
  };
  base::Vec<Slot> slots_;
  base::Vec<Target*> targets_;
  uint32_t free_ = 0;  // place + 1
  Event *head_ = nullptr, *tail_ = nullptr;
};

}  // namespace zcrpc::rpc
